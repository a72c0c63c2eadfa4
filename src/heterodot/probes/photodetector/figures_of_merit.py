"""Figures of merit of a photodetector: responsivity, efficiency, detectivity, with units.

References
----------
R. C. Jones, Proc. IRE 47, 1495 (1959) for the specific detectivity; Y. Fang, A. Armin,
P. Meredith and J. Huang, Nat. Photonics 13, 1 (2019) for what dark current alone cannot tell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.probes.spectrum import photon_constant
from heterodot.probes.uncertainty import propagate
from heterodot.units import Value

Array = NDArray[np.float64]

JONES = "cm*Hz^0.5/W"
SHOT_WARNING = (
    "the shot-noise form counts only the noise of the mean dark current; flicker and thermal noise "
    "make the true detectivity lower, often by two to three orders of magnitude"
)
PRINTED_WARNING = (
    "R / sqrt(2 q I) without the area has the unit Hz^(1/2)/W, not cm Hz^(1/2)/W (Jones): it is no "
    "specific detectivity; give the area"
)


def _charge() -> float:
    from scipy.constants import e

    return float(e)


def _positive(value: Value, unit: str, place: str) -> Value:
    found = value.to(unit)
    if not (math.isfinite(found.value) and found.value > 0):
        raise InputError(f"{value} is not positive", place=place, remedy=f"give it in {unit}")
    return found


def responsivity(photocurrent: Value, power: Value, area: Value | None = None) -> Value:
    """Return R = I_ph / P in A/W.

    Parameters
    ----------
    photocurrent : Value
        Light current minus dark current.
    power : Value
        Power on the device (W), or intensity (W/cm^2) if ``area`` is given.
    area : Value, optional
        Illuminated area.

    Examples
    --------
    >>> str(responsivity(Value(1.0, "uA", 0.1), Value(0.5, "mW/cm^2"), Value(4e-4, "cm^2")))
    '5.0(5) A/W'
    """
    current = photocurrent.to("A")
    if area is None:
        return propagate(lambda i, p: i / p, [current, _positive(power, "W", "power")], "A/W")
    inputs = [current, _positive(power, "W/cm^2", "intensity"), _positive(area, "cm^2", "area")]
    return propagate(lambda i, p, s: i / (p * s), inputs, "A/W")


def external_quantum_efficiency(response: Value, wavelength: Value) -> Value:
    """Return EQE = R h c / (e lambda) in percent (above 100 where there is gain).

    Examples
    --------
    >>> round(external_quantum_efficiency(Value(4.8, "A/W"), Value(450.0, "nm")).value)
    1322
    """
    inputs = [response.to("A/W"), _positive(wavelength, "nm", "wavelength")]
    return propagate(lambda r, w: 100.0 * r * photon_constant() / w, inputs, "percent")


def shot_noise_detectivity(response: Value, dark_current: Value, area: Value) -> Value:
    """Return D* = R sqrt(area / (2 q I_dark)) in Jones: an upper bound, see ``SHOT_WARNING``."""
    q = _charge()
    inputs = [
        response.to("A/W"),
        _positive(dark_current, "A", "dark current"),
        _positive(area, "cm^2", "area"),
    ]
    return propagate(lambda r, i, s: r * math.sqrt(s / (2 * q * i)), inputs, JONES)


def printed_detectivity(response: Value, dark_current: Value) -> Value:
    """Return R / sqrt(2 q I_dark), the form printed without area, in its true unit Hz^(1/2)/W."""
    q = _charge()
    inputs = [response.to("A/W"), _positive(dark_current, "A", "dark current")]
    return propagate(lambda r, i: r / math.sqrt(2 * q * i), inputs, "Hz^0.5/W")


def noise_detectivity(response: Value, noise: Value, area: Value) -> Value:
    """Return D* = R sqrt(area) / i_n in Jones from a measured noise density i_n (A/Hz^0.5)."""
    inputs = [
        response.to("A/W"),
        _positive(noise, "A/Hz^0.5", "noise"),
        _positive(area, "cm^2", "area"),
    ]
    return propagate(lambda r, n, s: r * math.sqrt(s) / n, inputs, JONES)


def dark_current_density(response: Value, detectivity: Value) -> Value:
    """Return the dark current density (A/cm^2) that a shot-noise D* implies.

    Examples
    --------
    >>> implied = dark_current_density(Value(4.8, "A/W"), Value(4e13, JONES))
    >>> f"{implied.value:.3e} {implied.unit}"
    '4.494e-08 A/cm^2'
    """
    q = _charge()
    inputs = [response.to("A/W"), _positive(detectivity, JONES, "detectivity")]
    return propagate(lambda r, d: r**2 / (2 * q * d**2), inputs, "A/cm^2")


@dataclass(frozen=True)
class Noise:
    """A noise spectrum split into white and flicker parts.

    Attributes
    ----------
    white : Value
        A/Hz^0.5.
    corner : Value
        Frequency where flicker and white power are equal, Hz.
    exponent : Value
        Of the flicker power, about 1.
    at : Value
        Density at the frequency asked for, A/Hz^0.5.
    warnings : tuple of str
    """

    white: Value
    corner: Value
    exponent: Value
    at: Value
    warnings: tuple[str, ...] = ()


def noise_at(frequency: Array, density: Array, wanted: float) -> Noise:
    """Fit i_n^2 = w^2 (1 + (f_c / f)^a) to a noise spectrum and return the density at ``wanted``.

    Parameters
    ----------
    frequency : (n,) array, Hz
    density : (n,) array, A/Hz^0.5
    wanted : float
        Frequency of use, Hz.

    Raises
    ------
    InputError
        Fewer than five points, or values that are not positive.
    """
    from scipy.optimize import least_squares

    frequency, density = np.asarray(frequency, float), np.asarray(density, float)
    if len(frequency) < 5 or (frequency <= 0).any() or (density <= 0).any():
        raise InputError(
            "a noise spectrum needs five points with positive frequency and density",
            place="noise spectrum",
            remedy="remove the zero-frequency row",
        )

    def model(p: Array, f: Array) -> Array:
        return np.asarray(
            p[0] + 0.5 * np.log1p(np.exp(np.clip(p[2] * (p[1] - np.log(f)), -60, 60)))
        )

    start = np.array([np.log(density.min()), np.log(np.median(frequency)), 1.0])
    found = least_squares(lambda p: model(p, frequency) - np.log(density), start, x_scale="jac")
    dof = max(len(frequency) - 3, 1)
    covariance = np.linalg.pinv(found.jac.T @ found.jac) * 2 * found.cost / dof
    values = [
        Value(float(p), "", float(math.sqrt(max(v, 0))))
        for p, v in zip(found.x, np.diag(covariance), strict=True)
    ]
    warnings = []
    if not frequency.min() <= wanted <= frequency.max():
        warnings.append(
            f"{wanted:g} Hz is outside the noise spectrum ({frequency.min():g} to "
            f"{frequency.max():g} Hz); the density is extrapolated"
        )
    f = np.array([wanted])
    at = propagate(
        lambda a, b, c: float(np.exp(model(np.array([a, b, c]), f)[0])),
        values,
        "A/Hz^0.5",
        covariance=covariance,
    )
    return Noise(
        propagate(math.exp, values[:1], "A/Hz^0.5"),
        propagate(lambda x: math.exp(min(x, 300.0)), values[1:2], "Hz"),
        values[2],
        at,
        tuple(warnings),
    )
