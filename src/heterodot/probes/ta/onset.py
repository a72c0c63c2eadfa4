"""Time zero at every wavelength, found from the data with no guess from the user.

For every delay taken as time zero, each wavelength's trace is projected on a few exponentials of
fixed rates that rise there; what is left over, as a function of that delay, has its minimum at the
wavelength's own time zero. A polynomial is then laid through all these curves at once, so that a
wavelength without signal has no say.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.probes.ta.matrix import Matrix
from heterodot.probes.ta.response import FWHM, moments, rise

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Onset:
    """Time zero as a polynomial of wavelength, and the width of the response.

    Attributes
    ----------
    coefficients : tuple of float
        Of ((wavelength - reference)/100 nm)^n, n = 0, 1...
    fwhm : float
        In the unit of the delays.
    reference : float
        nm.
    """

    coefficients: tuple[float, ...]
    fwhm: float
    reference: float

    def at(self, wavelength: Floats) -> Floats:
        """Return time zero at wavelengths in nm."""
        x = (np.asarray(wavelength) - self.reference) / 100.0
        return np.asarray(sum(c * x**n for n, c in enumerate(self.coefficients)))


def find_onset(
    matrix: Matrix, *, order: int = 2, fwhm: float | None = None, artefact: bool = True
) -> Onset:
    """Return time zero and chirp of a matrix.

    Parameters
    ----------
    matrix : Matrix
    order : int
        Of the polynomial.
    fwhm : float, optional
        Width of the response, if known.
    artefact : bool
        Let the response itself and its slope take part (coherent artefact).

    Examples
    --------
    >>> time = np.r_[np.arange(-2, 2, 0.05), np.geomspace(2, 500, 40)]
    >>> nm = np.linspace(450, 650, 12)
    >>> zero = 0.2 + 0.3 * (nm - 550) / 100
    >>> signal = rise(time, zero, np.array([0.1]), 0.06)[:, 0].T
    >>> m = Matrix("", time, nm, signal, signal > -1, np.full(12, 1e-3), True)
    >>> bool(np.abs(find_onset(m).at(nm) - zero).max() < 0.06)
    True
    """
    y, wavelength = _binned(matrix)
    t = matrix.time
    step = _fine_step(t)
    candidates = _candidates(t, step)
    # the slow part has no say in where time zero is: every few of its delays suffice
    fine = int(np.searchsorted(t, candidates[-1] + 8.0 * step))
    late = np.unique(np.linspace(fine, t.size - 1, min(40, max(t.size - fine, 1))).astype(int))
    thin = np.unique(np.r_[np.arange(min(fine, t.size)), late])
    widths = [fwhm] if fwhm else [2.0 * step, 4.0 * step, 8.0 * step]
    best: tuple[float, float, Floats] | None = None
    for width in widths:
        rest = _rest(t[thin], candidates, width / FWHM, y[thin], artefact)
        lowest = float(rest.min(axis=1).sum())
        if best is None or lowest < best[0]:
            best = (lowest, width, rest)
    assert best is not None
    reference = float(np.round(0.5 * (wavelength[0] + wavelength[-1])))
    x = (wavelength - reference) / 100.0
    order = min(order, max(0, np.unique(wavelength).size - 2))
    coefficients = _polynomial(candidates, best[2], x, order)
    return Onset(tuple(map(float, coefficients)), float(best[1]), reference)


def _binned(matrix: Matrix, bins: int = 48) -> tuple[Floats, Floats]:
    """Return traces averaged over neighbors in wavelength, in units of their noise."""
    sigma = matrix.sigma if matrix.sigma.ndim == 1 else np.median(matrix.sigma, axis=0)
    edges = np.unique(np.linspace(0, matrix.wavelength.size, bins + 1).astype(int))
    rows, centers = [], []
    for a, b in itertools.pairwise(edges):
        weight = matrix.mask[:, a:b] / sigma[a:b] ** 2
        total = weight.sum(axis=1)
        mean = (matrix.values[:, a:b] * weight).sum(axis=1) / np.maximum(total, 1e-300)
        rows.append(mean * np.sqrt(np.median(total)))
        centers.append(matrix.wavelength[a:b].mean())
    return np.array(rows).T, np.array(centers)


def _fine_step(t: Floats) -> float:
    steps = np.diff(t)
    return float(np.median(np.sort(steps)[: max(3, steps.size // 3)]))


def _candidates(t: Floats, step: float, most: int = 64) -> Floats:
    """Return delays of the finely sampled part, at most ``most``."""
    fine = np.flatnonzero(np.diff(t) < 4.0 * step)
    last = int(fine[-1]) + 1 if fine.size else t.size // 2
    inside = t[2 : max(last, 5)]
    if inside.size > most:
        inside = np.linspace(inside[0], inside[-1], most)
    return np.asarray(inside)


def _rest(t: Floats, zeros: Floats, sigma: float, y: Floats, artefact: bool) -> Floats:
    """Return what traces have left after projection on a rise at each of ``zeros``.

    Returns
    -------
    (n_traces, n_zeros) array
    """
    span = max(float(t[-1] - zeros[0]), 10 * sigma)
    rates = np.r_[0.0, np.geomspace(2.0 / span, 0.2 / sigma, 4)]
    columns = rise(t, zeros, rates, sigma)
    if artefact:
        columns = np.concatenate([columns, moments(t, zeros, sigma, 2)], axis=1)
    q, _ = np.linalg.qr(columns.swapaxes(1, 2))
    explained = ((q.swapaxes(1, 2) @ y) ** 2).sum(axis=1)  # (n_zeros, n_traces)
    return np.asarray((y * y).sum(axis=0)[:, None] - explained.T)


def _polynomial(grid: Floats, rest: Floats, x: Floats, order: int) -> Floats:
    """Return the polynomial along which the summed curves are lowest."""
    from scipy.optimize import minimize

    # a curve's depth is limited, so that one strong band (and its misfit) does not decide alone
    curves = rest - rest.min(axis=1, keepdims=True)
    depth = np.median(curves, axis=1)
    curves = curves / (depth[:, None] + 1.0)
    weight = depth / (depth + np.median(depth))
    spacing = float(np.median(np.diff(grid)))

    rows, places = np.arange(x.size), np.arange(grid.size, dtype=float)

    def cost(c: Floats) -> float:
        zero = np.polynomial.polynomial.polyval(x, c)
        outside = np.maximum(grid[0] - zero, 0) + np.maximum(zero - grid[-1], 0)
        at = np.clip(np.interp(zero, grid, places), 0, grid.size - 1.000001)
        low = at.astype(int)
        found = curves[rows, low] * (1.0 - at + low) + curves[rows, low + 1] * (at - low)
        return float((weight * np.minimum(found, 1.0)).sum() + (outside / spacing).sum())

    lowest = grid[curves.argmin(axis=1)]
    start = np.zeros(order + 1)
    start[0] = grid[(curves * weight[:, None]).sum(axis=0).argmin()]
    trials = [start]
    if order:
        keep = weight > 0.2
        for _ in range(8):
            c = np.polynomial.polynomial.polyfit(x, lowest, order, w=weight * keep)
            off = np.abs(np.polynomial.polynomial.polyval(x, c) - lowest)
            keep = off <= max(2.5 * float(np.median(off[keep])), 2.0 * spacing)
            if keep.sum() <= order + 2:
                break
        trials.append(np.asarray(c))
        for slope in np.linspace(-1, 1, 9) * (grid[-1] - grid[0]) / max(np.ptp(x), 1e-9):
            line = start.copy()
            line[1] = slope
            trials.append(line)
    trials = sorted(trials, key=cost)[:2]
    found = []
    for trial in trials:
        simplex = np.vstack([trial, trial + np.eye(order + 1) * 2.0 * spacing])
        end = minimize(
            cost,
            trial,
            method="Nelder-Mead",
            options={"initial_simplex": simplex, "maxfev": 150 * (order + 1), "fatol": 1e-4},
        )
        found.append((float(end.fun), np.asarray(end.x)))
    return min(found, key=lambda pair: pair[0])[1]
