"""Sub-pixel outlines of particles, their form, and their sizes.

Outlines lie where a blurred edge of the particle's own height would lie.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heterodot.probes.segmentation.found import DomainSize, FoundParticle
from heterodot.probes.segmentation.split import CONVEX, LONG, elongation, solidity

if TYPE_CHECKING:
    from heterodot.probes.segmentation.split import Field

    Image = NDArray[np.float64]
    Labels = NDArray[np.int32]

FREE = 0.4  # of the outline must be free to size a particle by it


def thickness_of(field: Field, labels: Labels) -> str:
    """Return ``"round"`` if most particles are thinner near the outline than inside."""
    from heterodot.probes.segmentation._kernels import distances, largest_of, means_of

    depth = distances(labels > 0)
    deepest = largest_of(depth, labels, int(labels.max()))
    outer = means_of(field.smooth, labels, depth, 0.25 * deepest, 0.45 * deepest)
    inner = means_of(field.smooth, labels, depth, 0.7 * deepest, 2 * deepest)
    # chord of a sphere: 0.76; flat up to the outline: 1; nothing in reach of the blur
    wide = deepest * 0.35 > 1.5 * field.blur
    wide[0] = False
    if not wide.any():
        return "uniform"
    ratio = outer[wide] / inner[wide]
    return "round" if float(np.nanmedian(ratio)) < 0.88 else "uniform"


def final_outlines(field: Field, labels: Labels, kind: str) -> tuple[Labels, Image]:
    """Return labels within the true outlines, and contrast above each pixel's threshold.

    A step blurred by a Gaussian crosses half its height where it stood. The blurred chord of a
    sphere of radius R is ``0.411 sqrt(2 s/R)`` of its height above the sphere's outline, where s
    is the blur and 0.411 the mean of the root of the positive half of a normal variable.
    """
    from scipy import ndimage

    from heterodot.probes.segmentation._kernels import (
        distances,
        grown_labels,
        largest_of,
        means_of,
    )

    grown = grown_labels(labels, 3 * field.blur)
    if kind == "round":
        depth = distances(labels > 0)
        radius = np.maximum(largest_of(depth, labels, int(labels.max())), 3.0)
        top = means_of(field.smooth, labels, depth, 0.7 * radius, 9 * radius)
        root = math.gamma(0.75) * 2**0.25 / (2 * math.sqrt(math.pi))
        height = np.nan_to_num(top) * root * np.sqrt(2 * field.blur / radius)
        limits = np.maximum(height, 2.5 * field.noise)
        limits[0] = field.usual
        threshold = limits[grown]
    else:
        threshold = np.maximum(0.5 * field.level, 2.5 * field.noise)
        threshold = np.where(grown > 0, threshold, 0.5 * field.level)
    excess = field.smooth - threshold
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
    near : (n, m) bool array
        Pixels of other particles and three pixels round them.
    outline : (k, 2) array
        Free sub-pixel points x, y in the field, pixels.
    free : float
        Part of the outline that is free.
    touching, at_border : bool
    """

    number: int
    corner: tuple[int, int]
    mask: NDArray[np.bool_]
    near: NDArray[np.bool_]
    outline: Image
    free: float
    touching: bool
    at_border: bool


def pieces(labels: Labels, excess: Image, keep: NDArray[np.bool_] | None = None) -> list[Piece]:
    """Return the particles of a labelled field; what is not kept is a frame too."""
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
        if keep is not None:
            hidden = ~keep[y0 : rows.stop + 4, x0 : columns.stop + 4]
            border = border or bool((ndimage.binary_dilation(own, iterations=3) & hidden).any())
        free = 1 - taken / max(len(points) + taken, 1)
        points = points + np.array([x0, y0])
        found.append(Piece(number, (y0, x0), own, near, points, free, taken > 0, border))
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
    """Return ``"platelet"``, ``"cube"`` (most outlines have four corners) or ``"round"``."""
    whole = [p for p in found if not p.at_border and p.free > 0.95] or found
    aspects = [elongation(p.mask) for p in whole if min(p.mask.shape) > 3]
    if aspects and float(np.median(aspects)) > LONG:
        return "platelet"
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
    piece: Piece, field: Field, form: str, pixel_size: float, domains: tuple[DomainSize, ...]
) -> FoundParticle:
    """Return a particle with its size.

    Where a second domain stands out of the outline, size and error are those of the first one.
    """
    y, x = np.nonzero(piece.mask)
    center = (x.mean() + piece.corner[1], y.mean() + piece.corner[0])
    size = error = aspect = None
    sides: tuple[float, float] | None = None
    if not piece.at_border and piece.free >= FREE:
        if form == "platelet":
            size, error, sides, center = _platelet(piece, field)
            aspect = sides[0] / sides[1]
        else:
            size, error, aspect, sides, center = _size(piece, form, center)
            if len(domains) == 2 and solidity(piece.mask) < CONVEX:
                share = domains[0].area / (domains[0].area + domains[1].area)
                size, aspect, sides = size * math.sqrt(share), None, None
    return FoundParticle(
        piece.number,
        (float(center[0] * pixel_size), float(center[1] * pixel_size)),
        None if size is None else size * pixel_size,
        None if error is None else error * pixel_size,
        aspect,
        piece.touching,
        piece.at_border,
        domains,
        None if sides is None else (sides[0] * pixel_size, sides[1] * pixel_size),
    )


def _size(
    piece: Piece, form: str, center: tuple[float, float]
) -> tuple[float, float, float, tuple[float, float] | None, tuple[float, float]]:
    """Return size, error (pixels), aspect, both sides, center."""
    from heterodot.probes.segmentation.shapes import circle, rectangle

    area = float(piece.mask.sum())
    points = piece.outline
    if form == "round":
        moments = elongation(piece.mask)
        middle, radius, rest = circle(points)
        sure = float(np.std(rest)) / math.sqrt(max(len(points) / 3, 1))
        if not piece.touching:
            return 2 * math.sqrt(area / math.pi), 2 * sure, moments, None, center
        return 2 * radius, 2 * sure / piece.free, 1.0 if piece.free < 0.8 else moments, None, middle
    y, x = np.nonzero(piece.mask)
    axis = np.linalg.eigh(np.cov(np.stack([x, y])))[1][:, 1]
    middle, (a, b), rest = rectangle(points, center, axis, math.sqrt(area))
    sure = float(np.std(rest)) / math.sqrt(max(len(points) / 6, 1))
    long, short = max(a, b), max(min(a, b), 1e-9)
    if not piece.touching:
        # the area is surer than the fit; the ratio is the fit's
        root = math.sqrt(area / (long * short))
        return math.sqrt(area), 2 * sure, long / short, (long * root, short * root), center
    return math.sqrt(long * short), 2 * sure / piece.free, long / short, (long, short), middle


def _platelet(
    piece: Piece, field: Field
) -> tuple[float, float, tuple[float, float], tuple[float, float]]:
    """Return longer edge, error, both edges (pixels) and center of a platelet seen on edge."""
    from heterodot.probes.segmentation.shapes import blurred_rectangle

    y, x = np.nonzero(piece.mask)
    values, axes = np.linalg.eigh(np.cov(np.stack([x, y])))
    long, short = (math.sqrt(12 * max(v, 0.3)) for v in values[::-1])
    box = tuple(slice(c, c + n) for c, n in zip(piece.corner, piece.mask.shape, strict=True))
    image = field.smooth[box]
    height = float(np.median(image[piece.mask]))
    start = np.array([x.mean(), y.mean(), math.atan2(axes[1, 1], axes[0, 1]), long, short, height])
    found, errors, _ = blurred_rectangle(image, ~piece.near, start, field.blur)
    sides, sure = found[3:5], errors[3:5]
    order = np.argsort(-sides)
    center = (float(found[0]) + piece.corner[1], float(found[1]) + piece.corner[0])
    return (
        float(sides[order[0]]), float(sure[order[0]]),
        (float(sides[order[0]]), float(sides[order[1]])), center,
    )  # fmt: skip
