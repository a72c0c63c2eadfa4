"""Where an image has which lattice: grains found by the spots of a window that moves over it.

Each spot of the windowed Fourier transform gives a map of its amplitude (the image filtered by that
reflection). Places whose spots stand in the same proportions belong together, however thick the
crystal is there. Grains of one phase less than about 5 degrees apart, and lattices whose spots
all agree within the window's resolution (0.9 over its width), are not told apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.measurement import Measurement
from heterodot.probes.em.bragg import Spectrum, beside, bragg, spectrum
from heterodot.probes.em.spots import (
    Region,
    Spot,
    axes_of,
    broad,
    cut,
    find_spots,
    gathered,
    pixels,
    widths,
)

Array = NDArray[np.float64]
STANDS_OUT = 5.5  # of a spot over the median noise: one false spot in about 1e9 looks
ALIKE = 0.9  # cosine of two spot patterns that are one lattice


@dataclass(frozen=True, eq=False)
class Grain:
    """A part of an image with one lattice.

    Attributes
    ----------
    number : int
        From 1, largest first.
    mask : (ny, nx) bool array
        Its pixels, in the image's grid.
    weights : (ny, nx) array
        0 to 1, falling off before its edges; for `find_spots`.
    spots : tuple of Spot
        Strongest first.
    center : (float, float)
        x, y, Å.
    area : float
        Å²; its edges are uncertain by about half the window.
    """

    number: int
    mask: NDArray[np.bool_]
    weights: NDArray[np.float64]
    spots: tuple[Spot, ...]
    center: tuple[float, float]
    area: float

    @property
    def extent(self) -> float:
        """Edge of a square of the same area, Å; taken for its thickness where that is unknown."""
        return math.sqrt(self.area)

    def to_json(self) -> dict[str, Any]:
        """Return place, area and spots as plain data."""
        return {
            "grain": self.number,
            "center": list(self.center),
            "area": {"value": self.area, "error": None, "unit": "angstrom^2",
                     "error_reason": "edges are uncertain by half the window"},
            "spots": [spot.to_json() for spot in self.spots],
        }  # fmt: skip


def find_grains(
    image: Measurement,
    *,
    window: float | None = None,
    most: int = 12,
    shortest: float = 1.2,
    longest: float = 8.0,
) -> list[Grain]:
    """Return the parts of an image that have a lattice each, largest first.

    Parameters
    ----------
    image : Measurement
        Kind ``"image"``, axes with a scale.
    window : float, optional
        Full width at half maximum of the moving window, Å. Wider: closer lattices are told apart,
        smaller grains and sharper borders lost. 20 Å if not given, less in fields below 80 Å.
    most : int
        How many grains at most.
    shortest, longest : float
        Spacings that are used, Å.

    Raises
    ------
    InputError
        No scale, or a window that does not fit the image.
    NotFoundError
        No lattice anywhere.

    Examples
    --------
    >>> from heterodot.particle import build
    >>> from heterodot.probes.em import EmSetup, preview
    >>> image = preview(build("PbS", "cube", "5 nm"), EmSetup(zone=(0, 0, 1)))
    >>> [round(grain.spots[0].spacing.value, 2) for grain in find_grains(image)]
    [2.97]
    """
    values, y, x = pixels(image)
    dy, dx = float(np.diff(y).mean()), float(np.diff(x).mean())
    extent = min(len(y) * dy, len(x) * dx)
    full = min(20.0, extent / 4) if window is None else float(window)
    if not max(2 * max(dy, dx), 5.0) <= full <= extent / 2:
        raise InputError(
            f"a window of {full:.3g} Å", place="window",
            remedy=f"take 5 Å to half the field ({extent / 2:.0f} Å)",
        )  # fmt: skip
    s = full / 2.3548
    whole = spectrum(values - broad(values, longest, dy, dx), y, x)
    vectors = _candidates(whole, s, max(shortest, 2.2 * max(dx, dy)), longest)
    if not len(vectors):
        raise NotFoundError(
            "no lattice stands out of the noise anywhere", place=image.source or "image",
            remedy="check scale and focus, or give a larger window",
        )  # fmt: skip
    features, seen, grid = _features(whole, vectors, s)
    labels = _clusters(features, seen, full**2 / _cell(grid))
    return _grains(image, labels, grid, (y, x), s, most, longest)


def _cell(grid: tuple[Array, Array]) -> float:
    return float((grid[0][1] - grid[0][0]) * (grid[1][1] - grid[1][0]))


def _candidates(whole: Spectrum, s: float, shortest: float, longest: float) -> Array:
    """Return reflections that stand out in some window of standard deviation s, (n, 2)."""
    from scipy import fft, ndimage

    small, y, x = _coarse(whole, 1 / shortest)
    dy, dx = float(y[1] - y[0]), float(x[1] - x[0])
    half = [max(4, math.ceil(2.6 * s / d)) for d in (dy, dx)]
    weights = np.outer(*[
        np.exp(-0.5 * (np.arange(-h, h + 1) * d / s) ** 2) for h, d in zip(half, (dy, dx), strict=True)
    ]).astype(np.float32)  # fmt: skip
    size = [fft.next_fast_len(max(64, 4 * h), real=True) for h in half]
    fy, fx = fft.fftfreq(size[0], dy), fft.rfftfreq(size[1], dx)
    q = np.hypot(fy[:, None], fx[None, :])
    inside = (q >= 1 / longest) & (q <= 1 / shortest)
    ring = np.digitize(q[inside], np.linspace(1 / longest, 1 / shortest, 13)[1:-1])
    padded = np.pad(small, [(h, h) for h in half])
    best = np.zeros(q.shape)
    for row in _steps(len(y), 2 * s / dy):
        strips = [
            padded[row : row + 2 * half[0] + 1, column : column + 2 * half[1] + 1] * weights
            for column in _steps(len(x), 2 * s / dx)
        ]
        amplitudes = np.abs(fft.rfft2(np.array(strips), s=size))[:, inside]
        for amplitude in amplitudes:
            noise = np.array([np.median(amplitude[ring == k]) for k in range(12)])
            noise = np.maximum(ndimage.median_filter(noise, 5), 1e-3 * amplitude.max() + 1e-30)
            best[inside] = np.maximum(best[inside], amplitude / noise[ring])
    width = 1 / (2 * math.pi * s)
    reach = [
        2 * max(1, round(1.6 * width * n * d)) + 1 for n, d in zip(size, (dy, dx), strict=True)
    ]
    peaks = (best == ndimage.maximum_filter(best, size=reach, mode="wrap")) & (best > STANDS_OUT)
    rows, columns = np.nonzero(peaks)
    order = np.argsort(-best[rows, columns])
    found: list[Array] = []
    for k in order:
        vector = np.array([fx[columns[k]], fy[rows[k]]])
        near = [min(np.linalg.norm(vector - v), np.linalg.norm(vector + v)) for v in found]
        if min(near, default=1.0) > 2.2 * width:
            found.append(vector)
    return np.array(found[:32])


def _steps(count: int, step: float) -> NDArray[np.int64]:
    """Return evenly spread pixel numbers over an axis, about ``step`` apart."""
    return np.unique(np.linspace(0, count - 1, max(2, round(count / step) + 1)).astype(np.int64))


def _coarse(whole: Spectrum, top: float) -> tuple[NDArray[Any], Array, Array]:
    """Return the image again with pixels no finer than frequencies up to ``top`` need."""
    from scipy import fft

    lengths = [n * d for n, d in zip(whole.shape, whole.steps, strict=True)]
    counts = [
        min(n, fft.next_fast_len(math.ceil(2.3 * top * length), real=True))
        for n, length in zip(whole.shape, lengths, strict=True)
    ]
    rows, columns = (np.arange(n) - n // 2 for n in counts)
    patch = whole.at(rows, columns)
    small = fft.ifft2(fft.ifftshift(patch)).real * (counts[0] * counts[1] / math.prod(whole.shape))
    y, x = (
        a[0] + np.arange(n) * length / n
        for a, n, length in zip((whole.y, whole.x), counts, lengths, strict=True)
    )
    return small.astype(np.float32), y, x


def _features(
    whole: Spectrum, vectors: Array, s: float
) -> tuple[Array, NDArray[np.bool_], tuple[Array, Array]]:
    """Return amplitudes (n, my, mx) over their largest, where any lattice is seen, and axes."""
    from scipy import ndimage

    sigma = 1 / (2 * math.pi * s)
    maps, sure = [], []
    for vector in vectors:
        filtered = bragg(whole, vector, sigma, cell=s / 3)
        noise = np.sort(beside(whole, vector, sigma), axis=0)[:2].mean(axis=0)
        # `beside` comes on its own, coarser grid
        scale = [a / b for a, b in zip(filtered.wave.shape, noise.shape, strict=True)]
        noise = ndimage.zoom(ndimage.gaussian_filter(noise, 3), scale, order=1, grid_mode=True,
                             mode="nearest")  # fmt: skip
        noise = np.maximum(noise, 1e-3 * filtered.amplitude.max())
        # the two smaller of four Rayleigh amplitudes average 0.75 of their median
        over = filtered.amplitude / (1.33 * noise)
        if np.percentile(over, 99) < STANDS_OUT - 2.0:
            continue
        top = float(np.percentile(filtered.amplitude, 99.5))
        maps.append(np.clip(filtered.amplitude - 1.33 * noise, 0, None) / max(top, 1e-30))
        sure.append(over > STANDS_OUT - 2.0)
    if not maps:
        raise NotFoundError("no lattice stands out of the noise anywhere", place="find_grains")
    seen = np.sum(sure, axis=0) >= min(2, len(maps))
    return np.array(maps), seen, (filtered.y, filtered.x)


def _clusters(features: Array, seen: NDArray[np.bool_], least: float) -> NDArray[np.int64]:
    """Return a number for each place, 0 where no lattice is seen, split while patterns differ."""
    from scipy import ndimage

    length = np.linalg.norm(features, axis=0)
    seen = seen & (length > 0)
    unit = np.where(seen, features / np.maximum(length, 1e-12), 0.0)
    open_, done = [seen], []
    while open_:
        part = open_.pop()
        split = _two_means(unit[:, part], length[part]) if part.sum() >= 2 * least else None
        if split is not None:
            one = np.zeros(part.shape, dtype=bool)
            one[part] = split
            # a border one window wide between two lattices is no lattice of its own
            halves = [ndimage.binary_opening(h, iterations=1) for h in (one, part & ~one)]
            if min(_largest(h) for h in halves) >= least:
                open_ += [one, part & ~one]
                continue
        done.append(part)
    labels = np.zeros(seen.shape, dtype=np.int64)
    if not done:
        return labels
    smooth = np.array([ndimage.gaussian_filter(part.astype(float), 1.5) for part in done])
    labels[seen] = (np.argmax(smooth, axis=0) + 1)[seen]
    final = np.zeros_like(labels)
    count = 0
    for k in range(1, len(done) + 1):
        own = labels == k
        # the window smears a crystal past its edge, where the amplitude is a half
        if own.any():
            own &= length > 0.45 * float(np.percentile(length[own], 80))
        parts, n = ndimage.label(own)
        for j in range(1, n + 1):
            if (parts == j).sum() >= least:
                count += 1
                final[parts == j] = count
    return final


def _largest(mask: NDArray[np.bool_]) -> int:
    from scipy import ndimage

    parts, n = ndimage.label(mask)
    return int(np.bincount(parts.ravel())[1:].max()) if n else 0


def _two_means(unit: Array, weight: Array) -> NDArray[np.bool_] | None:
    """Return which columns of unit vectors go with the first of two patterns, None if one fits."""
    mean = unit @ weight
    mean /= max(float(np.linalg.norm(mean)), 1e-30)
    # start from the places least like the whole and least like that one, averaged over a few
    first = unit[:, np.argsort(mean @ unit)[: max(3, unit.shape[1] // 50)]].mean(axis=1)
    second = unit[:, np.argsort(first @ unit)[: max(3, unit.shape[1] // 50)]].mean(axis=1)
    first, second = (v / max(float(np.linalg.norm(v)), 1e-30) for v in (first, second))
    nearer = first @ unit > second @ unit
    for _ in range(30):
        if nearer.all() or not nearer.any():
            return None
        first, second = (unit[:, n] @ weight[n] for n in (nearer, ~nearer))
        first /= np.linalg.norm(first)
        second /= np.linalg.norm(second)
        again = first @ unit > second @ unit
        if (again == nearer).all():
            break
        nearer = again
    return None if float(first @ second) > ALIKE else nearer


def _grains(
    image: Measurement,
    labels: NDArray[np.int64],
    grid: tuple[Array, Array],
    axes: tuple[Array, Array],
    s: float,
    most: int,
    longest: float,
) -> list[Grain]:
    """Return grains with their masks in the image's pixels and their spots."""
    steps = [float(a[1] - a[0]) for a in axes]
    values = np.asarray(image.data.values, dtype=float)
    values = values - broad(values, longest, *steps)
    parts = [labels == k for k in range(1, int(labels.max(initial=0)) + 1)]
    parts.sort(key=lambda part: -int(part.sum()))
    pieces = [p for p in (_piece(image, part, grid, axes, s, longest) for part in parts) if p]
    pieces = _merged(pieces, values, image, grid, axes, s, longest)
    found = []
    for number, (part, weights, spots) in enumerate(pieces[:most], start=1):
        mask = _upsampled(part.astype(float), grid, axes) > 0.5
        rows, columns = np.nonzero(mask)
        center = (float(axes[1][columns].mean()), float(axes[0][rows].mean()))
        area = float(mask.sum()) * steps[0] * steps[1]
        found.append(Grain(number, mask, weights, tuple(spots), center, area))
    if not found:
        raise NotFoundError(
            "no part of the image has a lattice of its own", place=image.source or "image",
            remedy="give regions, or a smaller window",
        )  # fmt: skip
    return found


Piece = tuple[NDArray[np.bool_], Array, list[Spot]]


def _piece(
    image: Measurement,
    part: NDArray[np.bool_],
    grid: tuple[Array, Array],
    axes: tuple[Array, Array],
    s: float,
    longest: float,
) -> Piece | None:
    """Return a part of the map with soft weights in the image's pixels and its spots."""
    from scipy import ndimage

    inner = ndimage.gaussian_filter(part.astype(float), 0.6 * s / math.sqrt(_cell(grid)))
    soft = np.clip(2 * inner - 1, 0, None)
    weights = np.clip(_upsampled(soft / max(float(soft.max()), 1e-30), grid, axes), 0, 1)
    try:
        return part, weights, _spots(image, weights, axes, longest)
    except (NotFoundError, InputError):
        return None


def _spots(
    image: Measurement, weights: Array, axes: tuple[Array, Array], longest: float
) -> list[Spot]:
    """Return the spots of a weighted part, split ones gathered."""
    spots = find_spots(image, weights=weights, limit=60, longest=longest)
    dy, dx = (float(a[1] - a[0]) for a in axes)
    return gathered(spots, min(0.035, 5 * max(widths(weights, dy, dx))))[:30]


def _merged(
    pieces: list[Piece],
    values: Array,
    image: Measurement,
    grid: tuple[Array, Array],
    axes: tuple[Array, Array],
    s: float,
    longest: float,
) -> list[Piece]:
    """Return pieces with neighbors joined whose spots do not differ beyond noise and thickness."""
    from scipy import ndimage

    again = True
    while again:
        again = False
        for small in reversed(range(1, len(pieces))):
            near = ndimage.binary_dilation(pieces[small][0], iterations=2)
            for large in range(small):
                touching = (near & pieces[large][0]).any()
                if touching and _one_lattice(values, pieces[small], pieces[large], axes):
                    both = pieces[large][0] | pieces[small][0]
                    joined = _piece(image, both, grid, axes, s, longest)
                    if joined is not None:
                        pieces[large] = joined
                        del pieces[small]
                        again = True
                        break
            if again:
                break
    return sorted(pieces, key=lambda p: -int(p[0].sum()))


def _one_lattice(values: Array, small: Piece, large: Piece, axes: tuple[Array, Array]) -> bool:
    """Return whether the amplitudes of both pieces' spots are one pattern within what varies."""
    top = [s for s in large[2] if s.amplitude > 0.05][:16]
    top += [s for s in small[2] if s.amplitude > 0.05][:16]
    vectors = np.array([[s.gx, s.gy] for s in top])
    turned = np.concatenate([vectors @ np.array([[c, s], [-s, c]]) for c, s in _TURNS])
    one, two = (
        np.abs(_transform(values, p[1], np.concatenate([vectors, turned]), axes))
        for p in (small, large)
    )
    count = len(vectors)
    noise = 1.2 * float(np.median(one[count:]))
    one, two = one[:count], two[:count]
    # the strongest agree by definition; thickness and tilt change the rest by about a half
    scale = float(one @ two) / float(two @ two)
    unlike = np.abs(one - scale * two) / np.hypot(noise, 0.5 * np.maximum(one, scale * two))
    return bool(np.mean(unlike < 1.5) > 0.9 and unlike.max() < 4)


_TURNS = [(math.cos(a), math.sin(a)) for a in np.radians([23.0, -23.0, 67.0, -67.0])]


def _transform(
    values: Array, weights: Array, vectors: Array, axes: tuple[Array, Array]
) -> NDArray[Any]:
    """Return Fourier components of a weighted image, over the weights' sum."""
    rows, columns = (np.nonzero((weights > 1e-3).any(axis=k))[0] for k in (1, 0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    y, x = axes[0][box[0]], axes[1][box[1]]
    w = weights[box]
    v = values[box]
    v = ((v - np.average(v, weights=w)) * w / w.sum()).astype(np.float32)
    waves = [np.exp(-2j * math.pi * np.outer(g, a)) for g, a in ((vectors[:, 1], y), (vectors[:, 0], x))]  # fmt: skip
    return np.asarray(((waves[0].astype(np.complex64) @ v) * waves[1]).sum(axis=1))


def _upsampled(field: Array, grid: tuple[Array, Array], axes: tuple[Array, Array]) -> Array:
    """Return a map between its grid points by straight lines, on finer axes."""
    rows, columns = (_between(g, a) for g, a in zip(grid, axes, strict=True))
    return np.asarray(rows @ field.astype(np.float32) @ columns.T, dtype=float)


def _between(grid: Array, axis: Array) -> NDArray[np.float32]:
    at = np.clip((axis - grid[0]) / (grid[1] - grid[0]), 0, len(grid) - 1)
    low = np.minimum(at.astype(np.int64), len(grid) - 2)
    matrix = np.zeros((len(axis), len(grid)), dtype=np.float32)
    rows = np.arange(len(axis))
    matrix[rows, low] = 1 - (at - low)
    matrix[rows, low + 1] = at - low
    return matrix


def joined(image: Measurement, grains: Sequence[Grain], longest: float = 8.0) -> Grain | None:
    """Return several grains of one lattice as one, None where no spots are left.

    Parameters
    ----------
    image : Measurement
    grains : sequence of Grain
        The first gives its number.
    """
    from scipy import ndimage

    y, x = axes_of(image)
    dy, dx = float(np.diff(y).mean()), float(np.diff(x).mean())
    mask = np.any([g.mask for g in grains], axis=0)
    # seams between the parts are closed, edges fall off over the same length as those of a part
    mask = ndimage.binary_closing(mask, iterations=max(1, round(3 / dx)))
    soft = ndimage.gaussian_filter(mask.astype(np.float32), (5 / dy, 5 / dx), truncate=2.5)
    weights = np.clip(2 * soft.astype(float) - 1, 0, None)
    weights /= max(float(weights.max()), 1e-30)
    try:
        spots = _spots(image, weights, (y, x), longest)
    except (NotFoundError, InputError):
        return None
    rows, columns = np.nonzero(mask)
    center = (float(x[columns].mean()), float(y[rows].mean()))
    return Grain(grains[0].number, mask, weights, tuple(spots), center, float(mask.sum()) * dy * dx)


def from_regions(image: Measurement, regions: list[Region], longest: float = 8.0) -> list[Grain]:
    """Return grains of regions (x0, x1, y0, y1 in Å) that the user gives.

    Raises
    ------
    InputError
        A region outside the image.
    NotFoundError
        A region without spots.
    """
    y, x = axes_of(image)
    grains = []
    for k, region in enumerate(regions, start=1):
        cut(image, region)
        x0, x1, y0, y1 = region
        inside = [(a >= low) & (a <= high) for a, low, high in ((y, y0, y1), (x, x0, x1))]
        bells = []
        for part in inside:
            n = int(part.sum())
            bell = np.zeros(len(part))
            bell[part] = np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (n / 6)) ** 2)
            bells.append(bell)
        weights = np.outer(*bells)
        spots = _spots(image, weights, (y, x), longest)
        area = (x1 - x0) * (y1 - y0)
        center = ((x0 + x1) / 2, (y0 + y1) / 2)
        grains.append(Grain(k, np.outer(*inside), weights, tuple(spots), center, area))
    return grains
