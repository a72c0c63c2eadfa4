"""Tauc plots: the optical edge from the straight part of (A E)^n, chosen by evidence.

References
----------
J. Tauc, R. Grigorovici and A. Vancu, Phys. Status Solidi 15, 627 (1966); P. Makula, M. Pacia and
W. Macyk, J. Phys. Chem. Lett. 9, 6814 (2018) for the background below the edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.probes.absorption.exciton import exciton_near
from heterodot.probes.spectrum import Spectrum, noise_level
from heterodot.units import Value

Array = NDArray[np.float64]

EXPONENTS = {"direct": 2.0, "indirect": 0.5}
# a line within half a percent of the highest ordinate passes as straight
STRAIGHT = 0.005
# what lies outside the line is thought of as a curve with a free knot every 60 meV
KNOT = 0.06


@dataclass(frozen=True, eq=False)
class TaucEdge:
    """The optical edge of a Tauc plot.

    It is called optical edge, not gap: with an exciton below the continuum the straight part is
    the exciton's flank.

    Attributes
    ----------
    edge : Value
        Where the line meets zero, eV; the error holds the line and the choice of its range.
    transition : str
        ``"direct"`` or ``"indirect"``.
    low, high : float
        Range of the best line, eV.
    slope, intercept : float
        Of that line in (A E)^n against E.
    background : float
        Absorbance taken away before, the mean below the edge.
    exciton : Value or None
        An exciton peak above the edge, eV.
    energy, ordinate : (n,) arrays
        The plot.
    windows : int
        How many ranges share 95 percent of the evidence.
    warnings : tuple of str
    """

    edge: Value
    transition: str
    low: float
    high: float
    slope: float
    intercept: float
    background: float
    exciton: Value | None
    energy: Array
    ordinate: Array
    windows: int
    warnings: tuple[str, ...] = ()


def tauc(
    spectrum: Spectrum,
    transition: str = "direct",
    *,
    between: tuple[float, float] | None = None,
    background: float | None = None,
) -> TaucEdge:
    """Return the optical edge of an absorption spectrum.

    Every range of points is tried as the straight part. A range is worth as much as the points
    that it explains within their noise (and within half a percent), less the price of its two
    parameters; points outside are priced as a smooth curve with a knot every 60 meV (Bayesian
    information criterion). The edge is the mean over ranges weighted by this evidence, and its
    variance holds that within and between ranges.

    Parameters
    ----------
    spectrum : Spectrum
        Absorbance (or anything proportional to the absorption coefficient).
    transition : {"direct", "indirect"}
        (A E)^2 or (A E)^(1/2).
    between : (low, high), optional
        Take the line in this range (eV) instead.
    background : float, optional
        Absorbance to take away; default the mean far below the edge, if that can be told.

    Raises
    ------
    InputError
        Fewer than 12 points, or an unknown transition.
    NotFoundError
        No rising edge.

    Notes
    -----
    With an exciton the edge reads typically 40 to 130 meV below the gap of the continuum at room
    temperature; use `elliott` there. Size dispersion broadens the flank and lowers it further.
    """
    if transition not in EXPONENTS:
        raise InputError(
            f"'{transition}' is not a kind of transition", remedy="choose direct or indirect"
        )
    if len(spectrum.energy) < 12:
        raise InputError(
            f"{len(spectrum.energy)} points", place="Tauc plot", remedy="give at least twelve"
        )
    warnings: list[str] = []
    energy, absorbance = spectrum.energy, spectrum.values
    noise = max(noise_level(absorbance), 1e-12 * float(np.abs(absorbance).max()))
    level, clear = _background(energy, absorbance) if background is None else (background, True)
    if not clear:
        warnings.append(
            "there is no flat stretch below the edge: scattering or sub-gap absorption may shift it"
        )
    power = EXPONENTS[transition]
    corrected = np.clip(absorbance - level, 0.0, None)
    ordinate = (corrected * energy) ** power
    floor = np.maximum(corrected, 2 * noise)
    sigma = power * energy**power * floor ** (power - 1.0) * noise
    first, last, edge, error, windows, slope, intercept = (
        _by_evidence(energy, ordinate, sigma)
        if between is None
        else _given(energy, ordinate, sigma, between)
    )
    peak = exciton_near(spectrum, edge)
    if peak is not None:
        warnings.append(
            f"an exciton stands at {peak}: the straight part is its flank, and the edge reads "
            f"{1000 * (peak.value - edge):.0f} meV below it; the gap of the continuum lies higher "
            "still (usually 40 to 130 meV above this edge), fit it with the Elliott model"
        )
    return TaucEdge(
        Value(edge, "eV", error),
        transition,
        float(energy[first]),
        float(energy[last]),
        slope,
        intercept,
        level,
        peak,
        energy,
        ordinate,
        windows,
        tuple(warnings),
    )


def _background(energy: Array, absorbance: Array) -> tuple[float, bool]:
    """Return the mean of the flat stretch at low energies and whether there is one."""
    span = absorbance.max() - absorbance.min()
    smooth = _smooth(absorbance)
    rise = np.flatnonzero(smooth > smooth.min() + 0.05 * span)
    end = int(rise[0]) if len(rise) and rise[0] >= 5 else 0
    if end < 5:
        return 0.0, False
    return float(np.median(absorbance[: max(5, int(0.8 * end))])), True


def _smooth(values: Array) -> Array:
    from scipy.signal import savgol_filter

    width = min(11, (len(values) - 1) // 2 * 2 - 1)
    return np.asarray(savgol_filter(values, width, 2) if width >= 5 else values)


def _sums(energy: Array, ordinate: Array, sigma: Array) -> list[Array]:
    w = 1.0 / sigma**2
    x = energy - energy.mean()
    terms = (w, w * x, w * x * x, w * ordinate, w * x * ordinate, w * ordinate**2)
    return [np.concatenate([[0.0], np.cumsum(t)]) for t in terms]


def _by_evidence(
    energy: Array, ordinate: Array, sigma: Array
) -> tuple[int, int, float, float, int, float, float]:
    start, steepest, end = _first_edge(energy, ordinate, sigma)
    part = slice(start, end + 1)
    energy, ordinate, sigma = energy[part], ordinate[part], sigma[part]
    sigma = np.hypot(sigma, STRAIGHT * ordinate.max())
    n = len(energy)
    centre = energy.mean()
    s = _sums(energy, ordinate, sigma)
    i, j = np.triu_indices(n, 5)
    wide = energy[j] - energy[i] >= 0.03
    i, j = i[wide], j[wide]
    if len(i) == 0:
        raise InputError("the spectrum is too narrow", place="Tauc plot", remedy="measure more")
    sw, sx, sxx, sy, sxy, syy = (t[j + 1] - t[i] for t in s)
    det = sw * sxx - sx**2
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (sw * sxy - sx * sy) / det
        offset = (sxx * sy - sx * sxy) / det
        chi2 = np.maximum(syy - slope * sxy - offset * sy, 0.0)
        edge = centre - offset / slope
        # variance of -offset/slope with the covariance of the line
        x0 = edge - centre
        variance = (sxx + 2 * x0 * sx + x0**2 * sw) / det / slope**2
    span = energy[-1] - energy[0]
    outside = (span - (energy[j] - energy[i])) / KNOT
    evidence = -0.5 * chi2 - 0.5 * np.log(n) * (2.0 + outside)
    steep = slope > 0.6 * steepest
    usable = steep & np.isfinite(edge) & (edge < energy[j]) & (edge > energy[i] - 1.0)
    usable &= ordinate[j] - ordinate[i] > 6 * np.minimum(sigma[i], sigma[j])
    if not usable.any():
        raise NotFoundError(
            "no rising edge was found",
            place="Tauc plot",
            remedy="check that the spectrum covers the edge, or give the range",
        )
    evidence = np.where(usable, evidence, -np.inf)
    best = int(np.argmax(evidence))
    weight = np.exp(evidence - evidence[best])
    weight /= weight.sum()
    mean = float(np.sum(weight * np.where(usable, edge, 0.0)))
    scatter = np.where(usable, variance + (edge - mean) ** 2, 0.0)
    ordered = np.sort(weight)[::-1]
    windows = int(np.searchsorted(np.cumsum(ordered), 0.95)) + 1
    return (
        start + int(i[best]),
        start + int(j[best]),
        mean,
        # what passes as straight is no noise: its share does not average out
        float(np.hypot(np.sqrt(np.sum(weight * scatter)), STRAIGHT * ordinate.max() / slope[best])),
        windows,
        float(slope[best]),
        float(offset[best] - slope[best] * centre),
    )


def _first_edge(energy: Array, ordinate: Array, sigma: Array) -> tuple[int, float, int]:
    """Return first point, slope and last point of the first edge.

    It begins where the ordinate stays above its noise. It ends where the slope, after a maximum,
    has fallen to 60 percent of it before it rises again: an exciton's flank ends at its peak, and
    a bare band edge goes on to the last point.
    """
    smooth = _smooth(ordinate)
    below = np.flatnonzero(smooth < np.maximum(3 * sigma, 0.002 * ordinate.max()))
    start = int(below[-1]) if len(below) and below[-1] < len(energy) - 12 else 0
    width = max(3, int(np.searchsorted(energy - energy[0], 0.03)))
    x, y = energy[start:], smooth[start:]
    if len(x) <= width + 3:
        return 0, 0.0, len(energy) - 1
    rise = (y[width:] - y[:-width]) / (x[width:] - x[:-width])
    steepest = 0.0
    for k, slope in enumerate(rise):
        if slope > steepest:
            steepest = float(slope)
        elif slope < 0.6 * steepest and steepest > 0.02 * rise.max() and k + width >= 11:
            return start, steepest, start + k + width
    return start, float(rise.max()), len(energy) - 1


def _given(
    energy: Array, ordinate: Array, sigma: Array, between: tuple[float, float]
) -> tuple[int, int, float, float, int, float, float]:
    inside = np.flatnonzero((energy >= between[0]) & (energy <= between[1]))
    if len(inside) < 3:
        raise InputError(
            f"{len(inside)} points lie between {between[0]:g} and {between[1]:g} eV",
            place="Tauc plot",
            remedy=f"the data go from {energy[0]:.3f} to {energy[-1]:.3f} eV",
        )
    x, y = energy[inside], ordinate[inside]
    w = 1.0 / np.hypot(sigma[inside], STRAIGHT * y.max())
    design = np.column_stack([np.ones_like(x), x]) * w[:, None]
    solution, *_ = np.linalg.lstsq(design, y * w, rcond=None)
    residual = y * w - design @ solution
    scale = max(float(residual @ residual) / max(len(x) - 2, 1), 1.0)
    covariance = np.linalg.inv(design.T @ design) * scale
    offset, slope = map(float, solution)
    if slope <= 0:
        raise NotFoundError(
            "the line falls", place="Tauc plot", remedy="give a range on the rising edge"
        )
    edge = -offset / slope
    gradient = np.array([-1.0 / slope, offset / slope**2])
    error = float(np.sqrt(gradient @ covariance @ gradient))
    return int(inside[0]), int(inside[-1]), edge, error, 1, slope, offset
