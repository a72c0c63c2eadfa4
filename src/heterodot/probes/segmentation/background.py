"""The support film under the particles, the noise of a pixel, and thresholds between two grays.

The film is a penalized spline (Eilers, Currie and Durban, Comput. Stat. Data Anal. 50, 61 (2006))
through block means, fitted as a lower envelope by asymmetric weights.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import NotFoundError

Image = NDArray[np.float64]

GROUPS = 160  # blocks along the longer side on which the film is fitted
SEGMENTS = 7  # of the spline along each side
STIFFNESS = 1e-3  # of second differences, times the blocks per coefficient


def flatten(
    image: Image, polarity: str = "auto", keep: NDArray[np.bool_] | None = None
) -> tuple[Image, int, list[str]]:
    """Return contrast against the support, its sign, and remarks.

    A smooth surface is fitted to block means, again and again without the blocks that stand out on
    the particles' side.

    Parameters
    ----------
    image : (ny, nx) array
    polarity : ``"auto"``, ``"bright"`` or ``"dark"``
    keep : (ny, nx) bool array, optional
        Pixels that belong to the micrograph (not to a scale bar).

    Returns
    -------
    (ny, nx) array
        Support at zero, particles positive.
    int
        1 for bright particles, -1 for dark.
    list of str
    """
    step = max(1, math.ceil(max(image.shape) / GROUPS))
    ny, nx = (n // step * step for n in image.shape)

    def blocked(values: Image) -> Image:
        parts = values[:ny, :nx].reshape(ny // step, step, nx // step, step)
        return np.asarray(parts.mean((1, 3)))

    blocks = blocked(image)
    known = np.ones(blocks.shape)
    if keep is not None:
        known = (blocked(keep.astype(float)) > 0.999).astype(float)
    bases = [_basis(n, step, size) for n, size in zip(blocks.shape, image.shape, strict=True)]
    sides = {"bright": (1,), "dark": (-1,), "auto": _sides(image)}[polarity]
    fits = {s: _one_sided(bases, s * blocks, known) for s in sides}
    # the support is the side on which what is left is narrow and fills most of the blocks
    sign = min(fits, key=lambda s: fits[s][1])
    warnings = []
    if len(fits) == 2 and min(f[1] for f in fits.values()) > 0.8 * max(f[1] for f in fits.values()):
        warnings.append("bright or dark particles is a close call: check the overlay, or say which")
    wide = [_spline(np.arange(n) / n) for n in image.shape]
    support = wide[0] @ fits[sign][0] @ wide[1].T
    return sign * image - support, sign, warnings


def _sides(image: Image) -> tuple[int, ...]:
    """Return the sign of the particles, or both signs where their pattern does not tell.

    The film hangs together between the particles, however little of it there is, as in a monolayer;
    particles do not, unless they touch.
    """
    from scipy import ndimage

    step = max(1, max(image.shape) // 1024)
    small = ndimage.uniform_filter(image, step)[::step, ::step] if step > 1 else image
    smooth = ndimage.gaussian_filter(small, 1.5 if step == 1 else 1.0)
    local = smooth - ndimage.gaussian_filter(smooth, max(small.shape) / 12)
    high = local > otsu(local.ravel())
    together = {}
    for sign, particles in ((1, high), (-1, ~high)):
        sizes = np.bincount(ndimage.label(particles)[0].ravel())[1:]
        together[sign] = float(sizes.max() / sizes.sum()) if len(sizes) else 1.0
    apart = min(together, key=lambda sign: together[sign])
    if together[apart] < 0.35 and together[-apart] > 0.75:
        return (apart,)
    return (1, -1)


def _basis(blocks: int, step: int, size: int) -> Image:
    return _spline((np.arange(blocks) * step + (step - 1) / 2) / size)


def _spline(at: Image) -> Image:
    """Return cubic B-splines at places from 0 to 1, (n, SEGMENTS + 3)."""
    from scipy.interpolate import BSpline

    knots = np.arange(-3, SEGMENTS + 4) / SEGMENTS
    return np.asarray(BSpline.design_matrix(at, knots, 3).toarray())


def _one_sided(bases: list[Image], data: Image, known: Image) -> tuple[Image, float]:
    """Return coefficients of the support below the data, and how much stands above it.

    Asymmetric least squares finds the lower envelope; a fit through all blocks within its noise
    follows. The second number is the median of the rest by its top: small where most of the field
    is support.
    """
    offset = float(np.median(data))
    data = data - offset
    weights = known.copy()
    coefficients = np.zeros((bases[0].shape[1], bases[1].shape[1]))
    surface = np.zeros(data.shape)
    for _ in range(20):
        coefficients = _smooth(bases, data, weights)
        surface = bases[0] @ coefficients @ bases[1].T
        weights = np.where(data > surface, 0.02, 0.98) * known
    for _ in range(20):
        rest = data - surface
        # the mirror of what lies below the envelope is support too
        below = (rest < 0) & (known > 0)
        width = math.sqrt(float(np.sum(rest[below] ** 2) / max(below.sum(), 1)))
        keep = (rest < 2.5 * width + 1e-9 * float(np.ptp(data))) * known
        if keep.sum() < 3 * coefficients.size:
            break
        coefficients = _smooth(bases, data, keep)
        surface = bases[0] @ coefficients @ bases[1].T
    rest = (data - surface)[known > 0]
    top = float(np.quantile(rest, 0.98))
    narrow = float(np.median(np.abs(rest))) / top if top > 0 else math.inf
    return coefficients + offset, narrow  # B-splines sum to one


def _smooth(bases: list[Image], data: Image, weights: Image) -> Image:
    """Return the coefficients of the penalized spline through weighted data.

    The normal equations of a product of two bases are sums over rows and columns in turn.
    """
    rows, columns = bases
    n, m = rows.shape[1], columns.shape[1]
    row_pairs = (rows[:, :, None] * rows[:, None, :]).reshape(len(rows), -1)
    column_pairs = (columns[:, :, None] * columns[:, None, :]).reshape(len(columns), -1)
    pairs = (row_pairs.T @ weights @ column_pairs).reshape(n, n, m, m)
    matrix = pairs.transpose(0, 2, 1, 3).reshape(n * m, n * m)
    right = (rows.T @ (weights * data) @ columns).ravel()
    bend = [np.diff(np.eye(k), n=2, axis=0) for k in (n, m)]
    penalty = np.kron(bend[0].T @ bend[0], np.eye(m)) + np.kron(np.eye(n), bend[1].T @ bend[1])
    stiff = STIFFNESS * data.size / (n * m)
    system = matrix + stiff * penalty + 1e-9 * stiff * np.eye(n * m)
    return np.asarray(np.linalg.solve(system, right)).reshape(n, m)


def pixel_noise(image: Image) -> float:
    """Return the noise of one pixel, by the median of second differences (Immerkaer, 1996)."""
    a = image
    second = (
        a[:-2, :-2] - 2 * a[:-2, 1:-1] + a[:-2, 2:]
        - 2 * (a[1:-1, :-2] - 2 * a[1:-1, 1:-1] + a[1:-1, 2:])
        + a[2:, :-2] - 2 * a[2:, 1:-1] + a[2:, 2:]
    )  # fmt: skip
    # every pixel is not needed for a median
    step = max(1, int(math.sqrt(second.size / 250_000)))
    return float(np.median(np.abs(second[::step, ::step]))) / 0.6745 / 6.0


def otsu(values: NDArray[np.float64], bins: int = 256) -> float:
    """Return the threshold that parts values into two classes of least variance (Otsu, 1979)."""
    counts, edges = np.histogram(values, bins=bins)
    middle = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts).astype(float)
    above = below[-1] - below
    first = np.cumsum(counts * middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (first / below - (first[-1] - first) / above) ** 2
    best = np.flatnonzero(between == np.nanmax(between))
    return float(edges[1 + int(best.mean())])


def usual_contrast(flat: Image, noise: float) -> float:
    """Return the usual contrast of the particles.

    Raises
    ------
    NotFoundError
        Nothing stands out of the noise.
    """
    from scipy import ndimage

    rough = ndimage.gaussian_filter(flat, 1.5)
    threshold = otsu(rough[::2, ::2].ravel())
    high = rough[rough > threshold]
    level = float(np.median(high)) if len(high) else 0.0
    if level <= 1.5 * noise / (2 * math.sqrt(math.pi) * 1.5) or level <= 0:
        raise NotFoundError(
            "no particle stands out of the noise", remedy="check the polarity or average frames"
        )
    return level


def burnt_in(image: Image, bar: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Return the box of a burnt-in bar and its label: rows from, to, columns from, to.

    The label is what is of the bar's gray near the bar, in strokes no thicker than it.

    Parameters
    ----------
    image : (ny, nx) array
    bar : tuple of int
        First row, past the last, first column, past the last.

    Examples
    --------
    >>> field = np.arange(40000.0).reshape(200, 200) % 97
    >>> field[180:186, 20:80] = field[165:175, 40:43] = 255
    >>> burnt_in(field, (180, 186, 20, 80))
    (163, 188, 18, 82)
    """
    from scipy import ndimage

    y0, y1, x0, x1 = bar
    long, high = x1 - x0, y1 - y0
    top, left = max(y0 - long // 2, 0), max(x0 - long // 3, 0)
    view = image[top : y1 + long // 2, left : x1 + long // 3]
    parts, count = ndimage.label(view == image[y0, x0])
    boxes = [(y0, y1, x0, x1)]
    for number, (rows, columns) in enumerate(ndimage.find_objects(parts), start=1):
        own = np.pad(parts[rows, columns] == number, 1)
        thick = 2 * float(ndimage.distance_transform_edt(own).max())
        if count > 1 and own.sum() > 4 and thick <= 1.5 * high + 2:
            boxes.append((rows.start + top, rows.stop + top, columns.start + left,
                          columns.stop + left))  # fmt: skip
    low, high_ = np.min(boxes, axis=0), np.max(boxes, axis=0)
    return (
        max(int(low[0]) - 2, 0), int(high_[1]) + 2, max(int(low[2]) - 2, 0), int(high_[3]) + 2,
    )  # fmt: skip
