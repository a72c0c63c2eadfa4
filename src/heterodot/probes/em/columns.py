"""Atomic columns of an image: where they are and how strong, to a small part of a pixel, with errors.

A Gaussian on a constant for every column, its neighbors' Gaussians taken off, all columns in turn
until nothing moves (the method of De Backer et al., Ultramicroscopy 171, 104 (2016), with a width
and a background of each column's own).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.measurement import Measurement
from heterodot.probes.em.spots import Region, pixels
from heterodot.progress import Progress, silent
from heterodot.units import Value

Array = NDArray[np.float64]
ROUNDS = 6
FAINTEST = 0.02  # of the prominence of a strong column; what is fainter may be a ripple
BLOCK = 256  # columns fitted at once
PER_FWHM = math.sqrt(8 * math.log(2))


@dataclass(frozen=True)
class Column:
    """One atomic column.

    Attributes
    ----------
    x, y : Value
        Position in the image's axes, Å.
    intensity : Value
        Volume of its Gaussian over the background, image units times Å².
    width : Value
        Full width at half maximum, Å.
    background : float
        Under it, image units.
    domain, sublattice : str
        Set by `sort_columns`; empty before, and where a column fits no lattice.
    offset : (float, float) or None
        From its lattice site, Å.
    """

    x: Value
    y: Value
    intensity: Value
    width: Value
    background: float
    domain: str = ""
    sublattice: str = ""
    offset: tuple[float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "x": self.x.to_json(),
            "y": self.y.to_json(),
            "intensity": self.intensity.to_json(),
            "width": self.width.to_json(),
            "background": self.background,
            "domain": self.domain,
            "sublattice": self.sublattice,
            "offset_angstrom": None if self.offset is None else list(self.offset),
        }


def find_columns(
    image: Measurement,
    region: Region | None = None,
    *,
    separation: float = 1.5,
    signal: float = 5.0,
    dark: bool = False,
    progress: Progress = silent,
) -> tuple[Column, ...]:
    """Return the atomic columns of an image, by row and column of the image.

    Parameters
    ----------
    image : Measurement
        Kind ``"image"``, axes with a scale, at least three pixels in ``separation``.
    region : (x0, x1, y0, y1), optional
        Å.
    separation : float
        Least distance of two columns, Å. A column that makes no maximum of its own is not found.
    signal : float
        Least height over the noise.
    dark : bool
        Columns are dark (bright field, or HRTEM at Scherzer's defocus).
    progress : Progress

    Raises
    ------
    InputError
        No scale, or pixels too large.
    NotFoundError
        Nothing stands above the noise.

    Notes
    -----
    Errors come from the scatter of the residuals, pixel by pixel (White's covariance), and take
    the noise of pixels as independent. A column whose shape is no Gaussian (dumbbells, columns on a slope) can
    be off by more: on noise-free multislice images of a cube 3 nm high, 1 pm.
    """
    values, y, x = pixels(image)
    step = float(np.diff(x).mean())
    if abs(float(np.diff(y).mean()) / step - 1) > 1e-3:
        raise InputError("pixels are not square", place=image.source or "image")
    if step > separation / 3:
        raise InputError(
            f"pixels of {step:.2g} Å are too large for columns {separation:g} Å apart",
            place=image.source or "image", remedy="record at a higher magnification",
        )  # fmt: skip
    values = -values if dark else values
    inside = np.ones(values.shape, dtype=bool)
    if region is not None:
        x0, x1, y0, y1 = region
        inside = np.logical_and.outer((y >= y0) & (y <= y1), (x >= x0) & (x <= x1))
    rows, columns = _maxima(values, inside, separation / step, signal)
    if not len(rows):
        raise NotFoundError(
            "no atomic columns stand above the noise", place=image.source or "image",
            remedy="check the separation, or say that columns are dark",
        )  # fmt: skip
    found = _fitted(values, np.column_stack([columns, rows]), separation / step, progress)
    found = found.kept(signal, separation / step)
    if not len(found.p):
        raise NotFoundError("no maximum has the shape of a column", place=image.source or "image")
    return _columns(found, float(x[0]), float(y[0]), step, -1.0 if dark else 1.0)


def _maxima(
    values: Array, inside: NDArray[np.bool_], separation: float, signal: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows and columns of maxima (pixels) that stand over noise and neighborhood."""
    from scipy import ndimage

    narrow, wide = separation / 4, separation / 1.6
    smooth = ndimage.gaussian_filter(values, narrow)
    band = smooth - ndimage.gaussian_filter(values, wide)
    # noise from second differences, which lattice contrast hardly touches, by place
    kernel = np.outer([1, -2, 1], [1, -2, 1])
    local = ndimage.gaussian_filter(ndimage.convolve(values, kernel) ** 2, 2 * separation)
    noise = np.sqrt(np.clip(local, 0, None) / 36)
    # variance of white noise after the two Gaussians, and their covariance
    factor = (
        1 / (4 * math.pi * narrow**2)
        + 1 / (4 * math.pi * wide**2)
        - 2 / (2 * math.pi * (narrow**2 + wide**2))
    )
    reach = max(1, round(separation / 2))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    peaks = inside & (smooth == ndimage.maximum_filter(smooth, footprint=x**2 + y**2 <= reach**2))
    peaks &= band > signal * math.sqrt(factor) * noise
    if peaks.any():
        peaks &= band > FAINTEST * float(np.quantile(band[peaks], 0.9))
    edge = max(2, reach)
    peaks[:edge], peaks[-edge:], peaks[:, :edge], peaks[:, -edge:] = False, False, False, False
    rows, columns = np.nonzero(peaks)
    return rows, columns


@dataclass
class _Fits:
    """Parameters (height, x, y, sigma, background) in pixels, (n, 5), and their covariance."""

    p: Array
    start: Array
    covariance: Array

    def kept(self, signal: float, separation: float) -> _Fits:
        """Return the fits that are columns."""
        error = np.sqrt(self.covariance[:, 0, 0])
        moved = np.hypot(*(self.p[:, 1:3] - self.start).T)
        sigma = self.p[:, 3]
        good = np.isfinite(self.p).all(axis=1) & np.isfinite(error)
        good &= (self.p[:, 0] > signal * error) & (moved < separation / 2)
        if good.any():
            typical = float(np.median(sigma[good]))
            good &= (sigma > 0.4 * typical) & (sigma < 2.5 * typical)
        return _Fits(self.p[good], self.start[good], self.covariance[good])


def _fitted(values: Array, start: Array, separation: float, progress: Progress) -> _Fits:
    """Return a Gaussian for every maximum (x, y in pixels), the others' taken off."""
    from scipy.spatial import cKDTree

    n = len(start)
    near = np.full(n, 2 * separation)
    if n > 1:
        near = np.minimum(cKDTree(start).query(start, k=2)[0][:, 1], 2 * separation)
    radius = np.clip(0.7 * near, 2.5, None)
    at = start.astype(int)
    low = float(np.quantile(values, 0.01))
    height = np.maximum(values[at[:, 1], at[:, 0]] - low, 1e-12 * (np.ptp(values) + 1e-300))
    p = np.column_stack([height, start.astype(float), np.full(n, separation / 4), np.full(n, low)])
    covariance = np.full((n, 5, 5), np.nan)
    for turn in range(ROUNDS):
        model = _model(p, values.shape)
        before = p.copy()
        for k in range(0, n, BLOCK):
            part = slice(k, min(k + BLOCK, n))
            p[part], covariance[part] = _block(values, model, p[part], start[part], radius[part])
        progress("fitting columns", (turn + 1) / ROUNDS)
        if np.abs(p[:, 1:3] - before[:, 1:3]).max() < 1e-4:
            break
    return _Fits(p, start.astype(float), covariance)


def _gauss(p: Array, x: Any, y: Any) -> Array:
    """Return Gaussians without background at (n, m) places."""
    r2 = (x - p[:, 1, None]) ** 2 + (y - p[:, 2, None]) ** 2
    return np.asarray(p[:, 0, None] * np.exp(-r2 / (2 * p[:, 3, None] ** 2)))


def _places(center: Array, half: int) -> tuple[Any, Any]:
    """Return x and y of the pixels of square windows about centers, (n, m)."""
    y, x = (a.ravel() for a in np.mgrid[-half : half + 1, -half : half + 1])
    at = np.rint(center).astype(np.int64)
    return at[:, 0, None] + x, at[:, 1, None] + y


def _model(p: Array, shape: tuple[int, int]) -> Array:
    """Return the sum of all Gaussians."""
    total = np.zeros(shape)
    half = math.ceil(4.5 * float(np.median(p[:, 3])))
    for k in range(0, len(p), BLOCK):
        part = p[k : k + BLOCK]
        x, y = _places(part[:, 1:3], half)
        seen = (x >= 0) & (x < shape[1]) & (y >= 0) & (y < shape[0])
        np.add.at(total, (y[seen], x[seen]), _gauss(part, x, y)[seen])
    return total


def _block(
    values: Array, model: Array, p: Array, start: Array, radius: Array
) -> tuple[Array, Array]:
    """Return parameters and covariances of some columns by Levenberg and Marquardt's method."""
    half = math.ceil(float(radius.max()))
    x, y = _places(start, half)
    ny, nx = values.shape
    weight = np.hypot(x - start[:, 0, None], y - start[:, 1, None]) <= radius[:, None]
    weight &= (x >= 0) & (x < nx) & (y >= 0) & (y < ny)
    xc, yc = np.clip(x, 0, nx - 1), np.clip(y, 0, ny - 1)
    reach = math.ceil(4.5 * float(np.median(p[:, 3])))
    at = np.rint(p[:, 1:3])
    # the model holds a column only within its window
    own = (np.abs(x - at[:, 0, None]) <= reach) & (np.abs(y - at[:, 1, None]) <= reach)
    data = values[yc, xc] - model[yc, xc] + _gauss(p, x, y) * own
    p, damping = p.copy(), np.full(len(p), 1e-3)
    sigma_low, sigma_high = 0.4, 2.0 * radius

    def cost_of(q: Array) -> Array:
        return np.asarray((((_gauss(q, x, y) + q[:, 4, None] - data) * weight) ** 2).sum(axis=1))

    cost = cost_of(p)
    for _ in range(12):
        jacobian, residual = _normal_parts(p, x, y, data, weight)
        normal = np.einsum("nmi,nmj->nij", jacobian, jacobian)
        gradient = np.einsum("nmi,nm->ni", jacobian, residual)
        diagonal = np.einsum("nii->ni", normal).copy()
        scaled = normal.copy()
        np.einsum("nii->ni", scaled)[:] += damping[:, None] * diagonal + 1e-300
        trial = p - _solved(scaled, gradient)
        trial[:, 3] = np.clip(np.abs(trial[:, 3]), sigma_low, sigma_high)
        new = cost_of(trial)
        better = new < cost
        p[better], damping = trial[better], np.where(better, damping / 5, damping * 5)
        done = (cost - new < 1e-10 * cost) | ~better
        cost = np.where(better, new, cost)
        if done.all():
            break
    jacobian, residual = _normal_parts(p, x, y, data, weight)
    count = weight.sum(axis=1)
    free = np.maximum(count - 5, 1)
    # counts scatter more where they are high, so each residual speaks for its own pixel
    inverse = _inverted(np.einsum("nmi,nmj->nij", jacobian, jacobian))
    scatter = np.einsum("nm,nmi,nmj->nij", residual**2, jacobian, jacobian, optimize=True)
    return p, inverse @ scatter @ inverse * (count / free)[:, None, None]


def _normal_parts(
    p: Array, x: Any, y: Any, data: Array, weight: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Return the Jacobian (n, m, 5) and the residuals (n, m)."""
    own = _gauss(p, x, y)
    dx, dy = x - p[:, 1, None], y - p[:, 2, None]
    s2 = p[:, 3, None] ** 2
    jacobian = np.stack(
        [
            own / p[:, 0, None],
            own * dx / s2,
            own * dy / s2,
            own * (dx**2 + dy**2) / (s2 * p[:, 3, None]),
            np.ones_like(own),
        ],
        axis=2,
    )
    jacobian *= weight[:, :, None]
    residual = (own + p[:, 4, None] - data) * weight
    return jacobian, residual


def _solved(matrix: Array, right: Array) -> Array:
    scale = 1 / np.sqrt(np.clip(np.einsum("nii->ni", matrix), 1e-300, None))
    scaled = matrix * scale[:, :, None] * scale[:, None, :]
    scaled += 1e-12 * np.eye(5)
    return np.asarray(np.linalg.solve(scaled, (right * scale)[:, :, None])[:, :, 0] * scale)


def _inverted(matrix: Array) -> Array:
    scale = 1 / np.sqrt(np.clip(np.einsum("nii->ni", matrix), 1e-300, None))
    scaled = matrix * scale[:, :, None] * scale[:, None, :]
    # what the data do not determine gets no error, and no column
    singular = np.linalg.eigvalsh(scaled)[:, 0] < 1e-10
    inverse = np.linalg.inv(scaled + 1e-9 * singular[:, None, None] * np.eye(5))
    inverse[singular] = np.nan
    return np.asarray(inverse * scale[:, :, None] * scale[:, None, :])


def _columns(found: _Fits, x0: float, y0: float, step: float, sign: float) -> tuple[Column, ...]:
    """Return fits in pixels as columns in Å."""
    made = []
    for p, c in zip(found.p, found.covariance, strict=True):
        volume = 2 * math.pi * p[0] * p[3] ** 2
        slope = np.array([volume / p[0], 2 * volume / p[3]])
        error = math.sqrt(float(slope @ c[np.ix_([0, 3], [0, 3])] @ slope))
        made.append(
            Column(
                Value(x0 + step * float(p[1]), "angstrom", step * math.sqrt(c[1, 1])),
                Value(y0 + step * float(p[2]), "angstrom", step * math.sqrt(c[2, 2])),
                Value(float(volume) * step**2, "angstrom^2", error * step**2),
                Value(
                    PER_FWHM * step * float(p[3]), "angstrom", PER_FWHM * step * math.sqrt(c[3, 3])
                ),
                sign * float(p[4]),
            )
        )
    return tuple(made)
