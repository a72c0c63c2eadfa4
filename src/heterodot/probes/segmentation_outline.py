"""Outlines of particles in a flattened field: splitting, sub-pixel contours, sizes, domains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from heterodot.probes.segmentation import DomainSize, FoundParticle

    Image = NDArray[np.float64]
    Labels = NDArray[np.int32]

LOW = 0.25  # of the usual contrast: what is taken as particle at first
FREE = 0.4  # of the outline must be free to size a particle by it


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

    low = max(LOW * field.usual, 4 * field.noise)
    mask = (field.smooth > low) & (field.smooth > 0.5 * field.level)
    mask = closed(ndimage.binary_opening(mask, iterations=1), 0.4 * least**2)
    if not mask.any():
        return np.zeros(mask.shape, dtype=np.int32)
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), 1.0) * mask
    basins = hills(depth)
    basins = merged(basins, depth, split)
    sizes = np.bincount(basins.ravel())
    small = sizes < math.pi / 4 * least**2
    small[0] = True
    renumbered = np.zeros(len(sizes), dtype=np.int32)
    renumbered[~small] = np.arange(1, int((~small).sum()) + 1)
    found: Labels = renumbered[basins]
    return found


def closed(mask: NDArray[np.bool_], largest: float) -> NDArray[np.bool_]:
    """Return a mask whose holes up to an area (pixels) are filled; gaps in a ring stay open."""
    from scipy import ndimage

    holes, count = ndimage.label(ndimage.binary_fill_holes(mask) & ~mask)
    if count == 0:
        return mask
    small = np.bincount(holes.ravel()) <= largest
    small[0] = False
    found: NDArray[np.bool_] = mask | small[holes]
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
    ny, nx = height.shape
    padded = np.pad(height, 1, constant_values=-1.0)
    best = height.copy()
    above = np.arange(ny * nx).reshape(ny, nx)
    own = above.copy()
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            other = padded[1 + dy : 1 + dy + ny, 1 + dx : 1 + dx + nx]
            higher = other > best
            best[higher] = other[higher]
            above[higher] = own[higher] + dy * nx + dx
    way = above.ravel()
    while True:
        further = way[way]
        if np.array_equal(further, way):
            break
        way = further
    inside = height.ravel() > 0
    found = np.zeros(ny * nx, dtype=np.int32)
    found[inside] = 1 + np.unique(way[inside], return_inverse=True)[1].astype(np.int32)
    return found.reshape(ny, nx)


def _means(values: Image, labels: Labels, count: int) -> Image:
    """Return the mean of each label from 1, (count,); nan where a label has no pixels."""
    total = np.bincount(labels.ravel(), weights=values.ravel(), minlength=count + 1)[1:]
    number = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    return np.asarray(np.where(number > 0, total / np.maximum(number, 1), np.nan))


def merged(basins: Labels, depth: Image, split: float) -> Labels:
    """Return basins joined where the saddle between them is nearly as deep as the shallower one."""
    from scipy import ndimage

    count = int(basins.max())
    top = np.zeros(count + 1)
    top[1:] = ndimage.maximum(depth, basins, np.arange(1, count + 1))
    saddles: dict[tuple[int, int], float] = {}
    for a, b, da, db in (
        (basins[:, :-1], basins[:, 1:], depth[:, :-1], depth[:, 1:]),
        (basins[:-1], basins[1:], depth[:-1], depth[1:]),
    ):
        meet = (a != b) & (a > 0) & (b > 0)
        pass_ = np.minimum(da[meet], db[meet])
        for i, j, d in zip(a[meet].tolist(), b[meet].tolist(), pass_.tolist(), strict=True):
            pair = (min(i, j), max(i, j))
            saddles[pair] = max(saddles.get(pair, 0.0), d)
    root = np.arange(count + 1)

    def find(i: int) -> int:
        while root[i] != i:
            i = int(root[i])
        return i

    for (i, j), saddle in sorted(saddles.items(), key=lambda item: -item[1]):
        a_, b_ = find(i), find(j)
        if a_ != b_ and saddle > (1 - split) * min(top[a_], top[b_]):
            keep, lose = (a_, b_) if top[a_] >= top[b_] else (b_, a_)
            root[lose] = keep
    joined: Labels = np.array([find(i) for i in range(count + 1)], dtype=np.int32)[basins]
    return joined


def thickness_of(field: Field, labels: Labels) -> str:
    """Return ``"round"`` if most particles are thinner near the outline than inside."""
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(labels > 0)
    index = np.arange(1, int(labels.max()) + 1)
    deepest = np.concatenate([[1.0], ndimage.maximum(depth, labels, index)])
    part = depth / np.maximum(deepest, 1e-9)[labels]
    outer = np.where((part > 0.25) & (part < 0.45), labels, 0)
    inner = np.where(part > 0.7, labels, 0)
    ratio = _means(field.smooth, outer, len(index)) / _means(field.smooth, inner, len(index))
    # chord of a sphere: 0.76; flat up to the outline: 1; nothing in reach of the blur
    wide = deepest[1:] * 0.35 > 1.5 * field.blur
    if not wide.any():
        return "uniform"
    return "round" if float(np.nanmedian(ratio[wide])) < 0.88 else "uniform"


def final_outlines(field: Field, labels: Labels, kind: str) -> tuple[Labels, Image]:
    """Return labels within the true outlines, and contrast above each pixel's threshold.

    A step blurred by a Gaussian crosses half its height where it stood. The blurred chord of a
    sphere of radius R is ``0.411 sqrt(2 s/R)`` of its height above the sphere's outline, where s
    is the blur and 0.411 the mean of the root of the positive half of a normal variable.
    """
    from scipy import ndimage

    index = np.arange(1, int(labels.max()) + 1)
    reach, nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    grown = np.where(reach <= 3 * field.blur, labels[tuple(nearest)], 0)
    if kind == "round":
        depth = ndimage.distance_transform_edt(labels > 0)
        radius = np.maximum(ndimage.maximum(depth, labels, index), 3.0)
        deep = np.concatenate([[np.inf], 0.7 * radius])
        top = _means(field.smooth, np.where(depth > deep[labels], labels, 0), len(index))
        root = math.gamma(0.75) * 2**0.25 / (2 * math.sqrt(math.pi))
        height = np.nan_to_num(top) * root * np.sqrt(2 * field.blur / radius)
        limits = np.concatenate([[np.inf], np.maximum(height, 2.5 * field.noise)])
        threshold = limits[grown]
    else:
        threshold = np.where(grown > 0, np.maximum(0.5 * field.level, 2.5 * field.noise), np.inf)
        threshold = np.where(grown > 0, threshold, 0.5 * field.level)
    excess = field.smooth - np.where(np.isfinite(threshold), threshold, field.usual)
    out = np.where((excess > 0) & (grown > 0), grown, 0).astype(np.int32)
    for number, box in enumerate(ndimage.find_objects(out), start=1):
        if box is None:
            continue
        own = out[box] == number
        parts, count = ndimage.label(own)
        largest = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:])) if count > 1 else own
        whole = ndimage.binary_fill_holes(largest)
        view = out[box]
        view[own & ~whole] = 0
        view[whole & (view == 0)] = number
    return out, excess


@dataclass(frozen=True, eq=False)
class Piece:
    """One particle's pixels and outline.

    Attributes
    ----------
    number : int
    corner : tuple of int
        Row and column of ``mask[0, 0]`` in the field.
    mask : (n, m) bool array
    outline : (k, 2) array
        Free sub-pixel points x, y in the field, pixels.
    free : float
        Part of the outline that is free.
    touching, at_border : bool
    """

    number: int
    corner: tuple[int, int]
    mask: NDArray[np.bool_]
    outline: Image
    free: float
    touching: bool
    at_border: bool


def pieces(labels: Labels, excess: Image) -> list[Piece]:
    """Return the particles of a labelled field."""
    from scipy import ndimage

    found = []
    ny, nx = labels.shape
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        rows, columns = box
        y0, x0 = max(rows.start - 4, 0), max(columns.start - 4, 0)
        view = labels[y0 : rows.stop + 4, x0 : columns.stop + 4]
        own = view == number
        others = (view > 0) & ~own
        near = ndimage.binary_dilation(others, iterations=3) if others.any() else others
        points, taken = _crossings(own, near, excess[y0 : rows.stop + 4, x0 : columns.stop + 4])
        border = rows.start == 0 or columns.start == 0 or rows.stop == ny or columns.stop == nx
        free = 1 - taken / max(len(points) + taken, 1)
        points = points + np.array([x0, y0])
        found.append(Piece(number, (y0, x0), own, points, free, taken > 0, border))
    return found


def _crossings(own: NDArray[np.bool_], near: NDArray[np.bool_], excess: Image) -> tuple[Image, int]:
    """Return points x, y where the excess passes zero, and how many lie at other particles."""
    points, taken = [], 0
    for axis in (0, 1):
        first = [slice(None), slice(None)]
        second = [slice(None), slice(None)]
        first[axis], second[axis] = slice(None, -1), slice(1, None)
        a, b = tuple(first), tuple(second)
        edge = own[a] != own[b]
        blocked = edge & (near[a] | near[b])
        taken += int(blocked.sum())
        y, x = np.nonzero(edge & ~blocked)
        low, high = excess[a][y, x], excess[b][y, x]
        gap = low - high
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.where(low * high < 0, low / gap, 0.5)
        place = np.stack([x, y], 1).astype(float)
        place[:, 1 - axis] += np.clip(part, 0, 1)
        points.append(place)
    return np.concatenate(points), taken


def shape_of(found: list[Piece]) -> str:
    """Return ``"cube"`` if most outlines have four corners."""
    whole = [p for p in found if not p.at_border and p.free > 0.95] or found
    corners = []
    for piece in whole:
        y, x = np.nonzero(piece.mask)
        dx, dy = piece.outline.T - np.array(
            [[x.mean() + piece.corner[1]], [y.mean() + piece.corner[0]]]
        )
        radius, angle = np.hypot(dx, dy), np.arctan2(dy, dx)
        order = np.argsort(angle)
        radius, angle = radius[order], angle[order]
        if len(radius) < 12:
            continue
        step = np.diff(angle, append=angle[0] + 2 * np.pi)
        fourth = abs(np.sum(radius * np.exp(4j * angle) * step)) / np.sum(radius * step)
        corners.append(2 * fourth)
    # a square has 0.136, a circle nothing, an ellipse of aspect 1.3 has 0.01
    return "cube" if corners and float(np.median(corners)) > 0.05 else "round"


def measured(
    piece: Piece,
    field: Field,
    form: str,
    kind: str,
    pixel_size: float,
    domain_contrast: float,
    second: NDArray[np.bool_],
) -> FoundParticle:
    """Return a particle's size and domains; its second domain is marked in ``second``."""
    from heterodot.probes.segmentation import FoundParticle

    y, x = np.nonzero(piece.mask)
    center = (x.mean() + piece.corner[1], y.mean() + piece.corner[0])
    size = error = aspect = None
    domains: tuple[DomainSize, ...] = ()
    if not piece.at_border and piece.free >= FREE:
        size, error, aspect, center = _size(piece, form, center)
    if not piece.at_border and not piece.touching:
        domains = _domains(piece, field, kind, pixel_size, domain_contrast, second)
    return FoundParticle(
        piece.number,
        (float(center[0] * pixel_size), float(center[1] * pixel_size)),
        None if size is None else size * pixel_size,
        None if error is None else error * pixel_size,
        aspect,
        piece.touching,
        piece.at_border,
        domains,
    )


def _size(
    piece: Piece, form: str, center: tuple[float, float]
) -> tuple[float, float, float, tuple[float, float]]:
    """Return size, error (pixels), aspect, center."""
    y, x = np.nonzero(piece.mask)
    values, axes = np.linalg.eigh(np.cov(np.stack([x, y])) + np.eye(2) / 12)
    moments = float(math.sqrt(values[1] / values[0]))
    area = float(piece.mask.sum())
    points = piece.outline
    if form == "round":
        middle, radius, rest = circle(points)
        sure = float(np.std(rest)) / math.sqrt(max(len(points) / 3, 1))
        if not piece.touching:
            return 2 * math.sqrt(area / math.pi), 2 * sure, moments, center
        return 2 * radius, 2 * sure / piece.free, 1.0 if piece.free < 0.8 else moments, middle
    middle, sides, rest = rectangle(points, center, axes[:, 1], math.sqrt(area))
    sure = float(np.std(rest)) / math.sqrt(max(len(points) / 6, 1))
    ratio = max(sides) / max(min(sides), 1e-9)
    if not piece.touching:
        return math.sqrt(area), 2 * sure, ratio, center
    return math.sqrt(sides[0] * sides[1]), 2 * sure / piece.free, ratio, middle


def circle(points: Image) -> tuple[tuple[float, float], float, Image]:
    """Return center, radius and residuals (k,) of the circle through points, (k, 2)."""
    from scipy.optimize import least_squares

    start = points.mean(0)
    design = np.column_stack([2 * (points - start), np.ones(len(points))])
    a = np.linalg.lstsq(design, ((points - start) ** 2).sum(1), rcond=None)[0]
    first = np.array([*(a[:2] + start), math.sqrt(max(a[2] + a[0] ** 2 + a[1] ** 2, 1.0))])

    def rest(p: Image) -> Image:
        return np.asarray(np.hypot(points[:, 0] - p[0], points[:, 1] - p[1]) - p[2])

    found = least_squares(rest, first, loss="soft_l1", f_scale=0.5)
    return (float(found.x[0]), float(found.x[1])), float(found.x[2]), rest(found.x)


def rectangle(
    points: Image, center: tuple[float, float], axis: Image, side: float
) -> tuple[tuple[float, float], tuple[float, float], Image]:
    """Return center, both sides and residuals of the rectangle nearest to points, (k, 2).

    Several starting angles are tried, since the least squares of a rectangle have local minima.
    """
    from scipy.optimize import least_squares

    def rest(p: Image) -> Image:
        c, s = math.cos(p[2]), math.sin(p[2])
        dx, dy = points[:, 0] - p[0], points[:, 1] - p[1]
        u = np.abs(c * dx + s * dy) - p[3] / 2
        v = np.abs(c * dy - s * dx) - p[4] / 2
        outside = np.hypot(np.maximum(u, 0), np.maximum(v, 0))
        return np.asarray(outside + np.minimum(np.maximum(u, v), 0))

    best: Any = None
    first = math.atan2(axis[1], axis[0])
    for turn in (0.0, math.pi / 8, math.pi / 4, 3 * math.pi / 8):
        start = [center[0], center[1], first + turn, side, side]
        found = least_squares(rest, start, loss="soft_l1", f_scale=0.5, max_nfev=40)
        if best is None or found.cost < best.cost:
            best = found
    x = best.x
    return (float(x[0]), float(x[1])), (abs(float(x[3])), abs(float(x[4]))), rest(x)


def _domains(
    piece: Piece,
    field: Field,
    kind: str,
    pixel_size: float,
    contrast: float,
    second: NDArray[np.bool_],
) -> tuple[DomainSize, ...]:
    from heterodot.probes.segmentation import DomainSize

    box = tuple(slice(c, c + n) for c, n in zip(piece.corner, piece.mask.shape, strict=True))
    values = field.smooth[box]
    minor = second_domain(values, piece.mask, kind, field.blur, field.noise, contrast)
    area = float(piece.mask.sum()) * pixel_size**2
    if minor is None:
        return (DomainSize("first", area, 2 * math.sqrt(area / math.pi), 1.0),)
    view = second[box]
    view |= minor
    part = float(minor.sum()) * pixel_size**2
    level = float(np.median(values[minor]) / np.median(values[piece.mask & ~minor]))
    return (
        DomainSize("first", area - part, 2 * math.sqrt((area - part) / math.pi), 1.0),
        DomainSize("second", part, 2 * math.sqrt(part / math.pi), level),
    )


def second_domain(
    values: Image,
    mask: NDArray[np.bool_],
    kind: str,
    blur: float,
    noise: float,
    contrast: float,
) -> NDArray[np.bool_] | None:
    """Return the pixels of a second domain of one particle, or None.

    Inside the reach of the blur two classes of gray are sought (Otsu). They are domains if their
    step exceeds ``contrast`` of the particle's gray and the noise, and each is in one piece.
    """
    from scipy import ndimage

    from heterodot.probes.segmentation import otsu

    depth = ndimage.distance_transform_edt(mask)
    gray = values
    if kind == "round":
        part = np.clip(1 - depth / max(depth.max(), 1e-9), 0, 1)
        gray = values / np.sqrt(np.maximum(1 - part**2, 0.05))
        core = mask & (part < 0.7)
    else:
        core = mask & (depth > 2 * blur)
    inside = gray[core]
    if len(inside) < 30 or np.ptp(inside) == 0:
        return None
    threshold = otsu(inside, 64)
    high = core & (gray > threshold)
    low = core & ~high
    if min(high.sum(), low.sum()) < max(0.04 * core.sum(), (2 * blur) ** 2):
        return None
    medians = float(np.median(gray[high])), float(np.median(gray[low]))
    step = medians[0] - medians[1]
    within = max(float(np.std(gray[high])), float(np.std(gray[low])), 1e-12)
    if step < contrast * max(medians) or step < 5 * noise or step < 2.5 * within:
        return None
    smaller = high if high.sum() < low.sum() else low
    parts, _ = ndimage.label(smaller)
    largest = int(np.bincount(parts.ravel())[1:].max())
    if largest < 0.8 * smaller.sum():
        return None
    # pixels in the blurred rim go with the nearest of the core
    nearest = ndimage.distance_transform_edt(~core, return_distances=False, return_indices=True)
    found: NDArray[np.bool_] = smaller[tuple(nearest)] & mask
    return found
