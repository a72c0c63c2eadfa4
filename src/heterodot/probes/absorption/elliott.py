"""Elliott's absorption of a direct gap: excitons below and a Coulomb-enhanced continuum above.

References
----------
R. J. Elliott, Phys. Rev. 108, 1384 (1957); M. Saba et al., Nat. Commun. 5, 5049 (2014) for its
use on halide perovskites with a common broadening.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.fitting import Fit, Parameter, least_squares
from heterodot.probes.absorption.exciton import first_exciton
from heterodot.probes.spectrum import Spectrum
from heterodot.probes.uncertainty import correlation_time, widened
from heterodot.units import Value

Array = NDArray[np.float64]

# discrete lines that are summed; the next is weaker than one in 700 and merges with the continuum
LINES = 8


def elliott_absorption(
    energy: Array, gap: float, binding: float, width: float
) -> tuple[Array, Array]:
    """Return absorption by bound excitons and by the continuum, on one scale.

    Parameters
    ----------
    energy : (n,) array, eV
    gap : float
        Of the continuum, eV.
    binding : float
        Exciton binding energy (three-dimensional Rydberg), eV.
    width : float
        Standard deviation of the Gaussian broadening, eV.

    Returns
    -------
    bound, continuum : (n,) arrays
        In units where the continuum without Coulomb attraction is sqrt(E - gap), eV^(1/2).

    Notes
    -----
    Below ``width`` the sum over lines and the continuum join without a step at the gap. For a
    vanishing binding energy the continuum is the square root of a bare direct gap.

    Examples
    --------
    >>> bound, continuum = elliott_absorption(np.array([2.6]), 2.4, 1e-6, 1e-3)
    >>> round(float(bound[0]), 6), round(float(continuum[0] / 0.2**0.5), 2)
    (0.0, 1.01)
    """
    x = np.asarray(energy, dtype=float) - gap
    bound = np.zeros_like(x)
    norm = 1.0 / (width * math.sqrt(2 * math.pi))
    for n in range(1, LINES + 1):
        line = norm * np.exp(-0.5 * ((x + binding / n**2) / width) ** 2)
        bound += 4 * math.pi * binding**1.5 / n**3 * line
    # lines beyond the last lie within a fraction of the width of the gap: one line there
    rest = 1.2020569031595942 - sum(1.0 / n**3 for n in range(1, LINES + 1))
    bound += 4 * math.pi * binding**1.5 * rest * norm * np.exp(-0.5 * (x / width) ** 2)
    return bound, _continuum(x, binding, width)


def _continuum(x: Array, binding: float, width: float) -> Array:
    """Convolve the enhanced square root with a Gaussian on a grid that scales with the width.

    The grid begins at the gap and is the same in units of the width, so that the result is a
    smooth function of all parameters.
    """
    from scipy.interpolate import CubicSpline

    step = width / 16
    n = int(max(float(x.max()), 0.0) / step) + 16 * 13
    if n > 200_000:
        raise InputError("the range is too wide for this broadening", remedy="give a wider one")
    t = (np.arange(n) + 0.5) * step
    ratio = 2 * math.pi * np.sqrt(binding / t)
    enhanced = np.sqrt(t) * ratio / -np.expm1(-ratio)
    half = 16 * 6
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) / 16) ** 2)
    kernel /= kernel.sum()
    smooth = np.convolve(np.concatenate([np.zeros(2 * half), enhanced]), kernel, "same")[:-half]
    grid = (np.arange(len(smooth)) - 2 * half + 0.5) * step
    inside = x > grid[0]
    out = np.zeros_like(x)
    out[inside] = CubicSpline(grid, smooth)(x[inside])
    return out


@dataclass(frozen=True, eq=False)
class ElliottFit:
    """Gap and exciton of an absorption edge.

    Attributes
    ----------
    gap, binding, exciton, width : Value
        Continuum gap, binding energy, 1s position, full width at half maximum of the broadening;
        eV.
    fit : Fit
    adequate : bool
        Whether the residual is free of trends (longer than a thirtieth of the range); dots whose
        levels are discrete are not described by a continuum.
    energy, bound, continuum, background : (n,) arrays
        Over the fitted range.
    warnings : tuple of str
    """

    gap: Value
    binding: Value
    exciton: Value
    width: Value
    fit: Fit
    adequate: bool
    energy: Array
    bound: Array
    continuum: Array
    background: Array
    warnings: tuple[str, ...] = ()


def elliott(
    spectrum: Spectrum,
    *,
    between: tuple[float, float] | None = None,
    binding: float | None = None,
) -> ElliottFit:
    """Fit gap, binding energy and broadening of an absorption edge with an exciton.

    Parameters
    ----------
    spectrum : Spectrum
        Absorbance.
    between : (low, high), optional
        Fitted range, eV; default from 0.35 below to 0.35 above the exciton.
    binding : float, optional
        Hold the binding energy at this (eV), as from low temperature or magneto-optics.

    Raises
    ------
    NotFoundError
        No exciton peak or shoulder.
    InputError
        Fewer than 12 points in the range.

    Notes
    -----
    Where the broadening exceeds the binding energy the two are hardly told apart, and the fit
    says so. The bands are parabolic: the range should not reach far above the gap.
    """
    rough = first_exciton(spectrum)
    centre = rough.second_derivative.value
    part = spectrum.between(*(between or (centre - 0.35, centre + 0.35)))
    if len(part.energy) < 12:
        raise InputError(
            f"{len(part.energy)} points in the range", place="Elliott", remedy="widen it"
        )
    sigma0 = min(max(rough.width.value / 2.355, 0.005), 0.15)
    scale = float(np.interp(centre, part.energy, part.values) - part.values.min())
    bound0, continuum0 = elliott_absorption(np.array([centre]), centre + 0.04, 0.04, sigma0)
    amplitude = max(scale, 1e-6) / max(float(bound0[0] + continuum0[0]), 1e-12)
    held = binding is not None

    def pieces(p: Mapping[str, float]) -> tuple[Array, Array, Array]:
        bound, continuum = elliott_absorption(part.energy, p["gap"], p["binding"], p["broadening"])
        background = p["offset"] + p["slope"] * (part.energy - centre)
        return p["amplitude"] * bound, p["amplitude"] * continuum, background

    fit = least_squares(
        lambda p: sum(pieces(p), np.zeros_like(part.energy)),
        [
            Parameter("gap", centre + (binding or 0.04), "eV", low=centre - 0.1, high=centre + 0.4),
            Parameter("binding", binding or 0.04, "eV", low=1e-4, high=0.6, fixed=held),
            Parameter("broadening", sigma0, "eV", low=1e-3, high=0.3),
            Parameter("amplitude", amplitude, "1/eV^0.5", low=0.0),
            Parameter("offset", float(part.values[:3].mean()), ""),
            Parameter("slope", 0.0, "1/eV"),
        ],
        part.values,
        sigma=part.sigma,
        name="Elliott",
    )
    adequate = fit.converged and correlation_time(fit.residual) < max(6.0, len(part.energy) / 30)
    fit = widened(fit)
    warnings = list(fit.warnings)
    if not adequate:
        warnings.append(
            "the Elliott model does not describe this edge (confined levels, sizes that vary, or a "
            "range too wide): do not use its gap and binding energy"
        )
    width, energy_b = fit["broadening"].value, fit["binding"].value
    if not held and width > energy_b:
        warnings.append(
            f"the broadening ({2355 * width:.0f} meV full width) exceeds the binding energy "
            f"({1000 * energy_b:.0f} meV): the two are told apart by the shape alone; hold the "
            "binding energy at a value from low temperature if there is one"
        )
    bound, continuum, background = pieces({n: p.value for n, p in fit.parameters.items()})
    return ElliottFit(
        _value(fit, "gap"),
        _value(fit, "binding"),
        _difference(fit),
        Value(2.354820045 * width, "eV", _times(fit["broadening"].error, 2.354820045)),
        fit,
        adequate,
        part.energy,
        bound,
        continuum,
        background,
        tuple(warnings),
    )


def _value(fit: Fit, name: str) -> Value:
    p = fit[name]
    reason = p.note or ("held fixed" if p.fixed else "could not be determined")
    return Value(p.value, p.unit, p.error, None if p.error is not None else reason)


def _times(error: float | None, factor: float) -> float | None:
    return None if error is None else error * factor


def _difference(fit: Fit) -> Value:
    """Return gap minus binding with the error that their covariance gives."""
    value = fit["gap"].value - fit["binding"].value
    if fit.covariance is None:
        return Value(value, "eV", None, "no covariance")
    row = np.array([{"gap": 1.0, "binding": -1.0}.get(n, 0.0) for n in fit.free])
    used = np.flatnonzero(row)
    variance = float(row[used] @ fit.covariance[np.ix_(used, used)] @ row[used])
    if not variance >= 0:
        return Value(value, "eV", None, "could not be determined")
    return Value(value, "eV", math.sqrt(variance))
