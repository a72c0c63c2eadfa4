"""A flattened field parted into particles.

Touching particles are split by the watershed of the distance to the outline (Beucher and
Lantuejoul, 1979); rods and platelets, which touch without a neck, along the shortest line from a
concave corner that leaves convex parts.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    Image = NDArray[np.float64]
    Labels = NDArray[np.int32]
    Mask = NDArray[np.bool_]

LOW = 0.25  # of the usual contrast: what is taken as particle at first
CONVEX = 0.93  # part of its convex hull that a whole particle fills
LONG = 2.2  # longer by shorter side of what is taken for a platelet


@dataclass(frozen=True, eq=False)
class Field:
    """A flattened field and its filtered copies.

    Attributes
    ----------
    smooth : (ny, nx) array
        Filtered contrast.
    level : (ny, nx) array
        Contrast of the plateau near each pixel.
    blur : float
        Standard deviation of filter and microscope together, pixels.
    noise : float
        Of one pixel of ``smooth``.
    usual : float
        Usual contrast of the particles.
    """

    smooth: Image
    level: Image
    blur: float
    noise: float
    usual: float

    @classmethod
    def prepared(cls, flat: Image, sigma: float, blur: float, noise: float, usual: float) -> Field:
        """Return the field of a flattened image."""
        from scipy import ndimage

        smooth = ndimage.gaussian_filter(flat, sigma)
        # a plateau is reached two widths of the blur inside an edge
        plateau = ndimage.gaussian_filter(smooth, 1.5 * sigma)
        reach = 2 * math.ceil(2.5 * math.hypot(blur, 1.5 * sigma)) + 1
        level = ndimage.maximum_filter(plateau, size=reach)
        return cls(smooth, level, blur, noise / (2 * math.sqrt(math.pi) * sigma), usual)


def split_field(field: Field, split: float, least: float) -> Labels:
    """Return the particles, (ny, nx), numbered from 1, split where necks are narrow."""
    from scipy import ndimage

    from heterodot.probes.segmentation._kernels import distances

    low = max(LOW * field.usual, 4 * field.noise)
    mask = (field.smooth > low) & (field.smooth > 0.5 * field.level)
    mask = closed(ndimage.binary_opening(mask, iterations=1), 0.4 * least**2)
    if not mask.any():
        return np.zeros(mask.shape, dtype=np.int32)
    depth = ndimage.gaussian_filter(distances(mask), 1.0) * mask
    basins = merged(hills(depth), depth, split)
    return without_small(basins, math.pi / 4 * least**2)


def without_small(labels: Labels, least: float) -> Labels:
    """Return labels of at least so many pixels, numbered from 1."""
    sizes = np.bincount(labels.ravel())
    small = sizes < least
    small[0] = True
    renumbered = np.zeros(len(sizes), dtype=np.int32)
    renumbered[~small] = np.arange(1, int((~small).sum()) + 1)
    found: Labels = renumbered[labels]
    return found


def closed(mask: Mask, largest: float) -> Mask:
    """Return a mask whose holes up to an area (pixels) are filled; gaps in a ring stay open."""
    from scipy import ndimage

    outside, count = ndimage.label(~mask)
    if count == 0:
        return mask
    small = np.bincount(outside.ravel()) <= largest
    rim = np.concatenate([outside[0], outside[-1], outside[:, 0], outside[:, -1]])
    small[rim] = False
    small[0] = False
    found: Mask = mask | small[outside]
    return found


def hills(height: Image) -> Labels:
    """Return the hill of each pixel above zero: the summit that the steepest way up ends on.

    Parameters
    ----------
    height : (ny, nx) array

    Returns
    -------
    (ny, nx) int32 array
        0 where the height is zero, else the hill's number from 1.

    Examples
    --------
    >>> hills(np.array([[1.0, 2.0, 1.0, 0.5, 1.5, 3.0, 0.0]]))
    array([[1, 1, 1, 2, 2, 2, 0]], dtype=int32)
    """
    from heterodot.probes.segmentation._kernels import hill_numbers

    found: Labels = hill_numbers(np.ascontiguousarray(height, dtype=float))
    return found


def merged(basins: Labels, depth: Image, split: float) -> Labels:
    """Return basins joined where the saddle between them is nearly as deep as the shallower one."""
    from heterodot.probes.segmentation._kernels import borders, largest_of

    count = int(basins.max())
    top = largest_of(depth, basins, count)
    first, second, height = borders(basins, depth)
    key = first.astype(np.int64) * (count + 1) + second
    pairs, inverse = np.unique(key, return_inverse=True)
    saddle = np.zeros(len(pairs))
    np.maximum.at(saddle, inverse, height)
    root = np.arange(count + 1)

    def find(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = int(root[i])
        return i

    for k in np.argsort(-saddle, kind="stable"):
        a, b = find(int(pairs[k] // (count + 1))), find(int(pairs[k] % (count + 1)))
        if a != b and saddle[k] > (1 - split) * min(top[a], top[b]):
            keep, lose = (a, b) if top[a] >= top[b] else (b, a)
            root[lose] = keep
    joined: Labels = np.array([find(i) for i in range(count + 1)], dtype=np.int32)[basins]
    return joined


# ----------------------------------------------------------------- convex parts


def hull(mask: Mask) -> tuple[Image, float]:
    """Return the corners, (k, 2) x and y, and the area of the convex hull of a mask's pixels.

    The hull goes through the middles of the pixels' sides, which lie on a straight outline also
    where it is slanted.

    Examples
    --------
    >>> hull(np.ones((3, 4), dtype=bool))[1]
    11.5
    """
    from scipy.spatial import ConvexHull

    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    left, top = mask[rows].argmax(1), mask[:, columns].argmax(0)
    right = mask.shape[1] - 1 - mask[rows][:, ::-1].argmax(1)
    bottom = mask.shape[0] - 1 - mask[::-1][:, columns].argmax(0)
    points = np.concatenate([
        np.stack([left - 0.5, rows], 1), np.stack([right + 0.5, rows], 1),
        np.stack([columns, top - 0.5], 1), np.stack([columns, bottom + 0.5], 1),
    ])  # fmt: skip
    found = ConvexHull(points)
    return points[found.vertices], float(found.volume)


def solidity(mask: Mask) -> float:
    """Return the part of its convex hull that a mask fills; one, within 1 %, if it is convex."""
    return float(mask.sum()) / hull(mask)[1]


def elongation(mask: Mask) -> float:
    """Return the ratio of the main axes of a mask by its moments."""
    y, x = np.nonzero(mask)
    values = np.linalg.eigvalsh(np.cov(np.stack([x, y])) - np.eye(2) / 12)
    return float(math.sqrt(values[1] / max(values[0], 1e-3)))


def are_long(labels: Labels) -> bool:
    """Return whether most convex particles off the frame are longer than wide by ``LONG``."""
    from scipy import ndimage

    found = []
    ny, nx = labels.shape
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        rows, columns = box
        if rows.start == 0 or columns.start == 0 or rows.stop == ny or columns.stop == nx:
            continue
        own = labels[box] == number
        if min(own.shape) > 3 and solidity(own) > 0.85:
            found.append(elongation(own))
    return len(found) > 0 and float(np.median(found)) > LONG


def paired(labels: Labels, field: Field, contrast: float) -> Labels:
    """Return labels joined where two that meet no third differ in gray: domains of one particle.

    Parameters
    ----------
    labels : (ny, nx) int32 array
    field : Field
    contrast : float
        Least step of gray, relative to the larger one's.
    """
    from heterodot.probes.segmentation._kernels import borders, distances, largest_of, means_of

    depth = distances(labels > 0)
    deepest = largest_of(depth, labels, int(labels.max()))
    gray = means_of(field.smooth, labels, depth, 0.5 * deepest, 2 * deepest)
    first, second, _ = borders(labels, np.zeros(labels.shape))
    pairs = np.unique(np.stack([first, second], 1), axis=0)
    meets = np.bincount(pairs.ravel(), minlength=len(gray))
    name = np.arange(len(gray), dtype=np.int32)
    for a, b in pairs:
        strong = max(gray[a], gray[b])
        if meets[a] == meets[b] == 1 and abs(gray[a] - gray[b]) > contrast * strong:
            name[b] = a
    return without_small(name[labels], 1)


def rejoined(labels: Labels) -> Labels:
    """Return labels joined where two that meet are convex together (a bar split across)."""
    from scipy import ndimage

    from heterodot.probes.segmentation._kernels import borders

    first, second, _ = borders(labels, np.zeros(labels.shape))
    boxes = ndimage.find_objects(labels)
    name = np.arange(labels.max() + 1, dtype=np.int32)
    for a, b in np.unique(np.stack([first, second], 1), axis=0):
        both = [boxes[k - 1] for k in range(1, len(name)) if name[k] in (name[a], name[b])]
        box = tuple(
            slice(min(s[i].start for s in both), max(s[i].stop for s in both)) for i in (0, 1)
        )
        view = name[labels[box]]
        one, other = view == name[a], view == name[b]
        if name[a] == name[b]:
            continue
        apart = one.sum() * solidity(one) + other.sum() * solidity(other)
        rough = apart / (one.sum() + other.sum()) - 0.03
        if solidity(one | other) > min(CONVEX, rough):
            name[name == name[b]] = name[a]
    found = name[labels]
    return without_small(found, 1)


def parted(labels: Labels, least: float) -> Labels:
    """Return labels whose pieces that are not convex are cut into convex parts.

    Parameters
    ----------
    labels : (ny, nx) int32 array
    least : float
        Pixels of the smallest part.
    """
    from scipy import ndimage

    found = labels.copy()
    count = int(labels.max())
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        own = np.pad(labels[box] == number, 1)
        for part in _convex_parts(own, least, 4)[1:]:
            count += 1
            found[box][part[1:-1, 1:-1]] = count
    return found


def _convex_parts(mask: Mask, least: float, depth: int) -> list[Mask]:
    if depth == 0 or mask.sum() < 2 * least or solidity(mask) > CONVEX:
        return [mask]
    best, score = None, solidity(mask) + 0.05
    for cut in _cuts(mask):
        one, other = _divided(mask, *cut)
        if min(one.sum(), other.sum()) < least:
            continue
        total = one.sum() + other.sum()
        mean = (one.sum() * solidity(one) + other.sum() * solidity(other)) / total
        if mean > score:
            best, score = (one, other), mean
    if best is None:
        return [mask]
    return [p for half in best for p in _convex_parts(half, least, depth - 1)]


def _cuts(mask: Mask) -> list[tuple[Image, Image]]:
    """Return lines from each concave corner to the others and straight across, as two points."""
    corners = _concave(mask)
    cuts = list(itertools.combinations(corners, 2))
    angle = np.arange(0, 360, 7.5) * math.pi / 180
    way = np.stack([np.cos(angle), np.sin(angle)], 1)
    reach = np.arange(1.5, math.hypot(*mask.shape), 0.5)
    for corner in corners:
        at = np.rint(corner + way[:, None] * reach[None, :, None]).astype(int)
        ok = (at >= 0).all(2) & (at[..., 0] < mask.shape[1]) & (at[..., 1] < mask.shape[0])
        at = np.where(ok[..., None], at, 0)
        inside = mask[at[..., 1], at[..., 0]] & ok
        length = np.where(inside.all(1), len(reach) - 1, inside.argmin(1))
        length = np.where(length < 3, 10_000, length)  # starts outside the particle
        lower = (length <= np.roll(length, 1)) & (length <= np.roll(length, -1)) & (length < 10_000)
        for k in np.flatnonzero(lower)[np.argsort(length[lower], kind="stable")][:3]:
            cuts.append((corner, corner + way[k] * reach[length[k]]))
    return cuts


def _concave(mask: Mask) -> list[Image]:
    """Return the deepest point, x and y, of each notch between a mask and its hull."""
    from scipy import ndimage

    corners, _ = hull(mask)
    ny, nx = mask.shape
    y, x = np.mgrid[:ny, :nx]
    ends = np.roll(corners, -1, axis=0)
    edge = ends - corners
    edge /= np.hypot(*edge.T)[:, None]
    # hull corners run counterclockwise: inside is on the left of each edge
    inward = np.full(mask.shape, np.inf)
    for (x0, y0), (ex, ey) in zip(corners, edge, strict=True):
        inward = np.minimum(inward, ex * (y - y0) - ey * (x - x0))
    notches, count = ndimage.label((inward > 1.5) & ~mask)
    found = []
    for k in range(1, count + 1):
        own = np.where(notches == k, inward, 0)
        j, i = np.unravel_index(int(own.argmax()), own.shape)
        if own[j, i] > 2.5:
            found.append(np.array([float(i), float(j)]))
    return found


def _divided(mask: Mask, a: Image, b: Image) -> tuple[Mask, Mask]:
    """Return a mask's parts on both sides of the line from a to b; pixels beyond it stay joined."""
    from scipy import ndimage

    y, x = np.nonzero(mask)
    way = (b - a) / np.hypot(*(b - a))
    along = (x - a[0]) * way[0] + (y - a[1]) * way[1]
    across = (y - a[1]) * way[0] - (x - a[0]) * way[1]
    line = (np.abs(across) < 0.9) & (along > -1.5) & (along < np.hypot(*(b - a)) + 1.5)
    open_ = mask.copy()
    open_[y[line], x[line]] = False
    parts, count = ndimage.label(open_)
    if count < 2:
        return mask, np.zeros_like(mask)
    sizes = np.bincount(parts.ravel())[1:]
    one, other = np.argsort(-sizes)[:2] + 1
    # the line's pixels and crumbs go to the nearer part
    both = (parts == one) | (parts == other)
    nearest = ndimage.distance_transform_edt(~both, return_distances=False, return_indices=True)
    whole = parts[tuple(nearest)]
    return mask & (whole == one), mask & (whole == other)
