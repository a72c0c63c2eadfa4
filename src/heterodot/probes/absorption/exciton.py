"""First excitons: derivative spectra and a peak on its background.

References
----------
A. Savitzky and M. J. E. Golay, Anal. Chem. 36, 1627 (1964) for the derivatives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.fitting import Fit, Parameter, least_squares
from heterodot.probes.spectrum import Spectrum, noise_level
from heterodot.probes.uncertainty import widened
from heterodot.units import Value

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Derivatives:
    """An absorption spectrum on an even energy grid with its derivatives.

    Attributes
    ----------
    energy, value, first, second : (n,) arrays
        eV, absorbance, per eV, per eV^2.
    sigma_first, sigma_second : float
        Standard deviations of the derivatives from the noise of the data.
    window : float
        Full width of the smoothing, eV.
    """

    energy: Array
    value: Array
    first: Array
    second: Array
    sigma_first: float
    sigma_second: float
    window: float


def derivatives(spectrum: Spectrum, window: float | None = None) -> Derivatives:
    """Return smoothed first and second derivatives (local cubics over ``window`` eV).

    Parameters
    ----------
    spectrum : Spectrum
    window : float, optional
        Width of the local fits, eV; default 5 percent of the range, at most 0.12 eV, and at least
        seven points.

    Raises
    ------
    InputError
        Fewer than nine points.
    """
    from scipy.signal import savgol_coeffs, savgol_filter

    n = len(spectrum.energy)
    if n < 9:
        raise InputError(f"{n} points", place="derivative", remedy="give at least nine")
    grid = np.linspace(spectrum.energy[0], spectrum.energy[-1], n)
    value = np.interp(grid, spectrum.energy, spectrum.values)
    step = float(grid[1] - grid[0])
    width = window if window is not None else min(0.12, 0.05 * (grid[-1] - grid[0]))
    points = max(7, round(width / step) // 2 * 2 + 1)
    points = min(points, (n - 1) // 2 * 2 + 1)
    noise = noise_level(spectrum.values)
    sigma = [
        noise * float(np.linalg.norm(savgol_coeffs(points, 3, deriv=d, delta=step))) for d in (1, 2)
    ]
    first = savgol_filter(value, points, 3, deriv=1, delta=step)
    second = savgol_filter(value, points, 3, deriv=2, delta=step)
    # noise of lamps and gratings is not white: what the second derivative itself does from one
    # window to the next counts where it is more
    broad = min(3 * points, (n - 1) // 2 * 2 + 1)
    ripple = second - savgol_filter(second, broad, 3)
    sigma[1] = max(sigma[1], 1.4826 * float(np.median(np.abs(ripple))))
    return Derivatives(
        grid,
        np.asarray(savgol_filter(value, points, 3)),
        np.asarray(first),
        np.asarray(second),
        sigma[0],
        sigma[1],
        points * step,
    )


def exciton_near(spectrum: Spectrum, edge: float, reach: float = 0.35) -> Value | None:
    """Return an exciton peak within ``reach`` above an edge (eV), None where there is none.

    A peak is a minimum of the second derivative that stands five standard deviations below zero,
    and where the absorbance bends by a twentieth of its height there.
    """
    d = derivatives(spectrum)
    low, high = edge - 0.05, edge + reach
    edges = max(2, round(d.window / (d.energy[1] - d.energy[0])) // 2)
    inner = np.arange(edges, len(d.energy) - edges)
    inner = inner[(d.energy[inner] > low) & (d.energy[inner] < high)]
    found = [
        k
        for k in inner
        if d.second[k] <= d.second[k - 1]
        and d.second[k] <= d.second[k + 1]
        and d.second[k] < -5 * d.sigma_second
    ]
    for k in found:
        # a band edge alone bends too; an exciton bends back: the curvature turns positive after it
        after = d.second[k : k + max(3, int(0.15 / (d.energy[1] - d.energy[0])))]
        bend = -d.second[k] * (0.03**2) / max(abs(float(d.value[k])), 1e-300)
        if after.max() > max(3 * d.sigma_second, -0.1 * d.second[k]) and bend > 0.02:
            return _minimum(d, int(k))
    return None


def _minimum(d: Derivatives, k: int) -> Value:
    """Parabola through the second derivative around its minimum, with error."""
    step = float(d.energy[1] - d.energy[0])
    half = max(2, round(0.25 * d.window / step))
    part = slice(max(0, k - half), min(len(d.energy), k + half + 1))
    x, y = d.energy[part] - d.energy[k], d.second[part]
    curve = np.polyfit(x, y, 2) if len(x) >= 4 else np.array([0.0, 0.0, 0.0])
    if curve[0] <= 0:
        return Value(float(d.energy[k]), "eV", step)
    shift = float(np.clip(-curve[1] / (2 * curve[0]), x[0], x[-1]))
    # the vertex moves by slope error / curvature; points under one window are one point
    slope_error = d.sigma_second / (d.window / 2) * math.sqrt(2)
    return Value(float(d.energy[k]) + shift, "eV", max(slope_error / (2 * curve[0]), 0.1 * step))


@dataclass(frozen=True, eq=False)
class FirstExciton:
    """The first exciton of an absorption spectrum by three routes.

    Attributes
    ----------
    energy : Value
        What sizing curves mean by first exciton, eV: the maximum of the absorbance where there is
        one, else the fitted centre, else the minimum of the second derivative (see ``how``).
    how : str
        Which of the three ``energy`` is.
    centre : Value
        Centre of the Gaussian with the background taken away, eV.
    width : Value
        Full width at half maximum, eV.
    second_derivative : Value
        Minimum of the second derivative, eV.
    maximum : Value or None
        Local maximum of the absorbance, eV: shifted up by the rising background.
    fit : Fit
        Gaussian on a quadratic background.
    low, high : float
        Fitted range, eV.
    peak, background : (n,) arrays
        Over the fitted range.
    warnings : tuple of str
    """

    energy: Value
    how: str
    centre: Value
    width: Value
    second_derivative: Value
    maximum: Value | None
    fit: Fit
    low: float
    high: float
    peak: Array
    background: Array
    warnings: tuple[str, ...] = ()


def first_exciton(
    spectrum: Spectrum,
    *,
    near: float | None = None,
    between: tuple[float, float] | None = None,
) -> FirstExciton:
    """Return the first exciton: a Gaussian on a smooth background, and derivative positions.

    Parameters
    ----------
    spectrum : Spectrum
        Absorbance.
    near : float, optional
        Look within 0.15 eV of this energy; default the lowest peak that is significant.
    between : (low, high), optional
        Fit this range (eV); default 1.6 widths about the peak.

    Raises
    ------
    NotFoundError
        No peak bends the spectrum significantly.
    """
    d = derivatives(spectrum)
    rough = _lowest_peak(d, near)
    if rough is None:  # a shoulder of a broad size distribution asks for wider smoothing
        d = derivatives(spectrum, 2 * d.window)
        rough = _lowest_peak(d, near)
    if rough is None:
        raise NotFoundError(
            "no exciton peak or shoulder stands out of the noise",
            place="absorption",
            remedy="give the energy near which to look, or use the Tauc edge",
        )
    k = int(np.argmin(np.abs(d.energy - rough.value)))
    width = _width(d, k)
    low, high = between or (rough.value - 1.6 * width, rough.value + 1.1 * width)
    part = spectrum.between(low, high)
    x = part.energy - rough.value
    height = max(float(-d.second[k]) * width**2 / 8.0, 1e-12)

    def shapes(p: dict[str, float]) -> tuple[Array, Array]:
        peak = p["height"] * np.exp(-4 * math.log(2) * ((x - p["shift"]) / p["width"]) ** 2)
        return peak, p["b0"] + p["b1"] * x + p["b2"] * x**2

    bottom = float(part.values.min())
    fit = least_squares(
        lambda p: sum(shapes(dict(p)), np.zeros_like(x)),
        [
            Parameter("shift", 0.0, "eV", low=-width, high=width),
            Parameter("width", width, "eV", low=0.15 * width, high=6 * width),
            Parameter("height", height, "", low=0.0),
            Parameter("b0", bottom),
            Parameter("b1", 0.0, "1/eV"),
            Parameter("b2", 0.0, "1/eV^2"),
        ],
        part.values,
        sigma=part.sigma,
        name="exciton (Gaussian) on a quadratic background",
    )
    fit = widened(fit)
    warnings = list(fit.warnings)
    centre = Value(
        rough.value + fit["shift"].value,
        "eV",
        fit["shift"].error,
        None if fit["shift"].error is not None else fit["shift"].note or "could not be determined",
    )
    placed = fit.converged and centre.error is not None and not fit["shift"].note
    if placed and (centre.error or 0.0) > 0.25 * width:
        warnings.append("the background hides the peak; the second derivative says where it is")
        placed = False
    maximum = _maximum(spectrum, d, k, width)
    if maximum is not None:
        energy, how = maximum, "maximum of the absorbance"
    elif placed:
        energy, how = centre, "fitted centre (there is no maximum)"
    else:
        energy, how = rough, "minimum of the second derivative"
    peak, background = shapes({n: p.value for n, p in fit.parameters.items()})
    return FirstExciton(
        energy,
        how,
        centre,
        Value(fit["width"].value, "eV", fit["width"].error, fit["width"].note or None),
        rough,
        maximum,
        fit,
        float(part.energy[0]),
        float(part.energy[-1]),
        peak,
        background,
        tuple(warnings),
    )


def _lowest_peak(d: Derivatives, near: float | None) -> Value | None:
    edges = max(2, round(d.window / (d.energy[1] - d.energy[0])) // 2)
    inner = np.arange(edges, len(d.energy) - edges)
    if near is not None:
        inner = inner[np.abs(d.energy[inner] - near) < 0.15]
    minima = [
        int(k)
        for k in inner
        if d.second[k] <= d.second[k - 1]
        and d.second[k] <= d.second[k + 1]
        and d.second[k] < -5 * d.sigma_second
    ]
    minima = [k for k in minima if prominent(d, k)]
    if not minima:
        return None
    # one that counts bends at least a seventh as much as the strongest
    strongest = min(d.second[k] for k in minima)
    chosen = next(k for k in minima if d.second[k] <= 0.15 * strongest)
    return _minimum(d, chosen)


def prominent(d: Derivatives, k: int, share: float = 0.01) -> bool:
    """Whether the peak that the curvature stands for is that share of the absorbance or more."""
    height = -float(d.second[k]) * _width(d, k) ** 2 / (8 * math.log(2))
    return height > share * abs(float(d.value[k]))


def _width(d: Derivatives, k: int) -> float:
    """Full width at half maximum from the zeros of the second derivative (2 sigma apart)."""
    left, right = k, k
    while left > 0 and d.second[left] < 0:
        left -= 1
    while right < len(d.energy) - 1 and d.second[right] < 0:
        right += 1
    step = float(d.energy[1] - d.energy[0])
    return float(max(d.energy[right] - d.energy[left], 3 * step)) * math.sqrt(2 * math.log(2))


def _maximum(spectrum: Spectrum, d: Derivatives, k: int, width: float) -> Value | None:
    """Return the local maximum nearest to a point, with what noise and smoothing do to it.

    The window is halved as long as that moves the maximum by more than its noise: a wide one
    leans to the flatter side of a peak on a slope.
    """
    found = _crossing(d, k, width)
    if found is None:
        return None
    window, shift = d.window, 0.0
    for _ in range(3):
        window /= 2
        fine = derivatives(spectrum, window)
        step = float(fine.energy[1] - fine.energy[0])
        if fine.window > 1.5 * window + 2 * step:
            break  # as narrow as the points allow
        narrow = _crossing(fine, int(np.argmin(np.abs(fine.energy - found[0]))), width)
        if narrow is None or narrow[1] > abs(narrow[0] - found[0]):
            break
        shift = abs(narrow[0] - found[0])
        found = narrow
    return Value(found[0], "eV", math.hypot(found[1], shift, 1e-6))


def _crossing(d: Derivatives, k: int, width: float) -> tuple[float, float] | None:
    """Return where the first derivative falls through zero near a point, and its error."""
    near = np.flatnonzero(np.abs(d.energy - d.energy[k]) < width)
    crossings = [int(m) for m in near[:-1] if d.first[m] > 0 >= d.first[m + 1] and d.second[m] < 0]
    if not crossings:
        return None
    m = min(crossings, key=lambda c: abs(c - k))
    slope = (d.first[m + 1] - d.first[m]) / (d.energy[m + 1] - d.energy[m])
    return float(d.energy[m] - d.first[m] / slope), float(d.sigma_first / abs(slope))
