"""Emission peaks over photon energy: symmetric and asymmetric shapes, their number by evidence.

References
----------
J. Mooney and P. Kambhampati, J. Phys. Chem. Lett. 4, 3316 (2013) for the conversion to energy;
D. B. Siano and D. E. Metzler, J. Chem. Phys. 51, 1856 (1969) for the log-normal band.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.fitting import Fit, Parameter, least_squares, runs_test
from heterodot.probes.spectrum import Spectrum, noise_level, photon_constant, wavelength_of
from heterodot.probes.uncertainty import correlation_time, propagate, widened
from heterodot.units import Value

Array = NDArray[np.float64]

SHAPES = ("gaussian", "lorentzian", "voigt", "lognormal", "split")


@dataclass(frozen=True)
class EmissionPeak:
    """One emission band.

    Attributes
    ----------
    energy : Value
        Position of the maximum of the band per energy interval, eV.
    width : Value
        Full width at half maximum, eV.
    area : Value
        Integral over energy, in the values' unit times eV.
    asymmetry : Value or None
        Low-energy over high-energy half width; one for a symmetric band.
    wavelength : Value
        h c over ``energy``, nm (not the maximum over the wavelength axis).
    width_wavelength : Value
        Full width at half maximum as it would read on a wavelength axis, nm.
    """

    energy: Value
    width: Value
    area: Value
    asymmetry: Value | None
    wavelength: Value
    width_wavelength: Value


@dataclass(frozen=True, eq=False)
class EmissionFit:
    """Bands of an emission spectrum.

    Attributes
    ----------
    peaks : tuple of EmissionPeak
        From the lowest energy up.
    shape : str
    fit : Fit
    criteria : mapping of int to float
        Bayesian information criterion against the number of bands that were tried.
    maximum : Value
        Maximum of the spectrum over energy, eV.
    maximum_wavelength : float
        Maximum of the spectrum over wavelength (per nm), nm.
    energy, data, model : (n,) arrays
    parts : tuple of (n,) arrays
    warnings : tuple of str
    """

    peaks: tuple[EmissionPeak, ...]
    shape: str
    fit: Fit
    criteria: Mapping[int, float]
    maximum: Value
    maximum_wavelength: float
    energy: Array
    data: Array
    model: Array
    parts: tuple[Array, ...]
    warnings: tuple[str, ...] = ()


def band(shape: str, x: Array, centre: float, width: float, skew: float) -> Array:
    """Return a band of unit height, full width ``width`` and shape parameter ``skew``.

    ``skew`` is the Lorentzian share for ``voigt`` (pseudo-Voigt), and the natural logarithm of
    the low- over the high-energy half width for ``lognormal`` and ``split``.

    Examples
    --------
    >>> [round(float(band(s, np.array([0.5]), 0.0, 1.0, 0.0)[0]), 3) for s in SHAPES]
    [0.5, 0.5, 0.5, 0.5, 0.5]
    """
    u = (np.asarray(x, dtype=float) - centre) / width
    gauss = np.exp(-4 * math.log(2) * u**2)
    if shape == "gaussian":
        return np.asarray(gauss)
    if shape == "lorentzian":
        return np.asarray(1.0 / (1.0 + 4 * u**2))
    if shape == "voigt":
        return np.asarray(skew / (1.0 + 4 * u**2) + (1 - skew) * gauss)
    ratio = math.exp(-skew)  # high- over low-energy half width
    if shape == "split":
        low = width / (1 + ratio)
        half = np.where(x < centre, low, width - low)
        return np.asarray(np.exp(-math.log(2) * ((x - centre) / half) ** 2))
    if shape == "lognormal":
        if abs(skew) < 1e-4:
            return np.asarray(gauss)
        # Siano and Metzler with rho the ratio of the half widths
        argument = 1 + u * (ratio**2 - 1) / ratio
        inside = argument > 1e-12
        out = np.zeros_like(u)
        log = np.log(argument[inside])
        out[inside] = np.exp(-math.log(2) / math.log(ratio) ** 2 * log**2)
        return out
    raise InputError(f"'{shape}' is not a shape", remedy=f"choose among {', '.join(SHAPES)}")


def fit_emission(
    spectrum: Spectrum,
    *,
    bands: int | None = None,
    shape: str = "lognormal",
    between: tuple[float, float] | None = None,
    background: bool = True,
) -> EmissionFit:
    """Fit emission bands.

    Parameters
    ----------
    spectrum : Spectrum
        Emission per energy interval (see `heterodot.probes.spectrum.energy_spectrum`).
    bands : int, optional
        Number of bands; default the one of 1, 2 or 3 with the lowest information criterion, with
        as many points as the residual has independent ones, among those where every band is
        placed by the data, apart from the others and more than a sliver (2 percent).
    shape : {"gaussian", "lorentzian", "voigt", "lognormal", "split"}
    between : (low, high), optional
        Fitted range, eV.
    background : bool
        Allow a constant.

    Raises
    ------
    InputError
        Too few points, no signal, a clipped maximum, or an unknown shape.
    """
    if shape not in SHAPES:
        raise InputError(f"'{shape}' is not a shape", remedy=f"choose among {', '.join(SHAPES)}")
    part = spectrum if between is None else spectrum.between(*between)
    _refuse_clipped(part)
    noise = noise_level(part.values)
    if part.values.max() - np.median(part.values) < 5 * noise and part.values.max() < 8 * noise:
        raise InputError("no emission stands out of the noise", place="emission")
    tried: dict[int, tuple[Fit, float]] = {}
    for n in [bands] if bands else (1, 2, 3):
        if len(part.energy) < 4 * n + 4:
            break
        fit = _fit(part, n, shape, background)
        tried[n] = (fit, _criterion(fit))
        if fit.converged and _white(fit):
            break  # nothing is left that another band could explain
    if not tried:
        raise InputError(
            f"{len(part.energy)} points for {bands or 1} band(s)", remedy="give more points"
        )
    chosen = _choose({n: c for n, (_, c) in tried.items()}, {n: f for n, (f, _) in tried.items()})
    fit = widened(tried[chosen][0])
    return _result(part, fit, chosen, shape, {n: c for n, (_, c) in tried.items()}, noise)


def _refuse_clipped(spectrum: Spectrum) -> None:
    raw = spectrum.values
    if spectrum.jacobian:  # a detector clips what it counts, before the conversion
        raw = raw * spectrum.energy**2
    top = raw.max()
    flat = np.flatnonzero(raw >= top * (1 - 1e-9))
    if top > 0 and len(flat) >= 4 and flat[-1] - flat[0] == len(flat) - 1:
        raise InputError(
            f"{len(flat)} neighboring points share the highest value {top:g}: the detector was "
            "saturated",
            place="emission",
            remedy="measure again with less light, or cut that range out",
        )


def _starts(part: Spectrum, n: int) -> list[tuple[float, float, float]]:
    """Return centre, width and height of ``n`` bands, one after another on the residual."""
    from scipy.signal import savgol_filter

    x, y = part.energy, part.values - np.percentile(part.values, 5)
    width = min(max(5, len(x) // 40 * 2 + 1), (len(x) - 1) // 2 * 2 - 1)
    smooth = savgol_filter(y, max(width, 5), 2) if len(x) > 6 else y
    found = []
    left = smooth.copy()
    for _ in range(n):
        k = int(np.argmax(left))
        above = np.flatnonzero(left > left[k] / 2)
        lo = hi = k
        members = set(above.tolist())
        while lo - 1 in members:
            lo -= 1
        while hi + 1 in members:
            hi += 1
        span = max(x[hi] - x[lo], 3 * float(np.median(np.diff(x))))
        found.append((float(x[k]), float(span), max(float(left[k]), 1e-300)))
        left = left - left[k] * band("gaussian", x, x[k], 1.1 * span, 0.0)
    return found


def _fit(part: Spectrum, n: int, shape: str, background: bool) -> Fit:
    x, y = part.energy, part.values
    span, step = float(x[-1] - x[0]), float(np.median(np.diff(x)))
    low, high = {"voigt": (0.0, 1.0)}.get(shape, (-1.5, 1.5))
    free = shape in ("voigt", "lognormal", "split")
    parameters: list[Parameter] = []
    for k, (centre, width, height) in enumerate(_starts(part, n), 1):
        parameters += [
            Parameter(f"energy_{k}", centre, "eV", low=x[0] - 0.1 * span, high=x[-1] + 0.1 * span),
            Parameter(f"width_{k}", width, "eV", low=step, high=3 * span),
            Parameter(f"height_{k}", height, "", low=0.0),
        ]
        start = 0.3 if shape == "voigt" else 0.05
        parameters.append(
            Parameter(f"skew_{k}", start if free else 0.0, "", low=low, high=high, fixed=not free)
        )
    bottom = float(np.percentile(y, 5)) if background else 0.0
    parameters.append(Parameter("background", bottom, "", fixed=not background))

    def model(p: Mapping[str, float]) -> Array:
        total = np.full_like(x, p["background"])
        for k in range(1, n + 1):
            one = band(shape, x, p[f"energy_{k}"], p[f"width_{k}"], p[f"skew_{k}"])
            total += p[f"height_{k}"] * one
        return total

    name = f"{n} {shape} band{'s' if n > 1 else ''}"
    # one band converges in ten to thirty steps; several that need hundreds are not told apart
    return least_squares(
        model,
        parameters,
        y,
        sigma=part.sigma,
        name=name,
        max_evaluations=100 * (2 if n == 1 else 1),
    )


def _criterion(fit: Fit) -> float:
    """Bayesian information criterion with as many points as are independent."""
    time = max(correlation_time(fit.residual), 1.0)
    n = fit.points / time
    return len(fit.free) * math.log(max(n, 2)) - 2 * fit.log_likelihood / time


def _choose(criteria: Mapping[int, float], fits: Mapping[int, Fit]) -> int:
    # misfit is no noise: the model with the whitest residual says how many points are independent
    time = min(max(correlation_time(f.residual), 1.0) for f in fits.values())
    score = {
        n: len(f.free) * math.log(max(f.points / time, 2)) - 2 * f.log_likelihood / time
        for n, f in fits.items()
        if f.converged and _sound(f, n)
    }
    if not score:
        return min(criteria, key=lambda n: criteria[n])
    best = min(score.values())
    return min(n for n, s in score.items() if s < best + 6.0)


def _white(fit: Fit) -> bool:
    residual = np.asarray(fit.residual)
    return correlation_time(residual) < 1.4 and not abs(runs_test(residual)) > 2.5


def _sound(fit: Fit, n: int) -> bool:
    """Whether every band of a fit is one: placed, not at a bound, apart from others, no sliver."""
    if n == 1:
        return True
    areas = [fit[f"height_{k}"].value * fit[f"width_{k}"].value for k in range(1, n + 1)]
    for k in range(1, n + 1):
        energy, width = fit[f"energy_{k}"], fit[f"width_{k}"]
        if energy.error is None or width.error is None or fit[f"skew_{k}"].note:
            return False
        if energy.error > 0.5 * width.value or width.error > 0.5 * width.value:
            return False
        if areas[k - 1] < 0.02 * sum(areas):
            return False
        for j in range(1, k):
            near = min(width.value, fit[f"width_{j}"].value)
            if abs(energy.value - fit[f"energy_{j}"].value) < 0.3 * near:
                return False
    return True


def _result(
    part: Spectrum, fit: Fit, n: int, shape: str, criteria: Mapping[int, float], noise: float
) -> EmissionFit:
    values = {name: p.value for name, p in fit.parameters.items()}
    x = part.energy
    order = sorted(range(1, n + 1), key=lambda k: values[f"energy_{k}"])
    parts = tuple(
        values[f"height_{k}"]
        * band(shape, x, values[f"energy_{k}"], values[f"width_{k}"], values[f"skew_{k}"])
        for k in order
    )
    peaks = tuple(_peak(fit, k, shape) for k in order)
    warnings = [*part.notes, *fit.warnings]
    for k in order:
        if values[f"height_{k}"] < 3 * noise:
            warnings.append(
                f"the band at {values[f'energy_{k}']:.3f} eV is no higher than the noise"
            )
        inside = part.energy[0] < values[f"energy_{k}"] < part.energy[-1]
        if not inside:
            warnings.append(f"the band at {values[f'energy_{k}']:.3f} eV lies outside the data")
    model = np.asarray(fit.model_values)
    per_wavelength = model * x**2 if part.jacobian else model
    top = float(wavelength_of(x[int(np.argmax(per_wavelength))]))
    maximum = _maximum(fit, x, model)
    if part.jacobian:
        shift = abs(photon_constant() / top - maximum.value)
        if shift > 0.15:
            warnings.append("the strongest band over wavelength is another one than over energy")
        elif shift > max(2e-3, 2 * (maximum.error or 0)):
            warnings.append(
                f"the maximum over wavelength ({top:.1f} nm) reads {1000 * shift:.1f} meV off the "
                "maximum over energy; compare energies with energies"
            )
    return EmissionFit(
        peaks,
        shape,
        replace(fit, warnings=tuple(warnings)),
        dict(criteria),
        maximum,
        top,
        x,
        part.values,
        model,
        parts,
        tuple(warnings),
    )


def _maximum(fit: Fit, x: Array, model: Array) -> Value:
    k = int(np.clip(np.argmax(model), 1, len(x) - 2))
    curve = np.polyfit(x[k - 1 : k + 2] - x[k], model[k - 1 : k + 2], 2)
    shift = float(-curve[1] / (2 * curve[0])) if curve[0] < 0 else 0.0
    position = float(x[k]) + float(np.clip(shift, x[k - 1] - x[k], x[k + 1] - x[k]))
    near = min(
        (p for name, p in fit.parameters.items() if name.startswith("energy_")),
        key=lambda p: abs(p.value - position),
    )
    return Value(position, "eV", near.error, near.note or None)


def _peak(fit: Fit, k: int, shape: str) -> EmissionPeak:
    names = [f"energy_{k}", f"width_{k}", f"height_{k}", f"skew_{k}"]
    inputs = [Value(fit[n].value, fit[n].unit, fit[n].error) for n in names]
    covariance = np.zeros((4, 4))
    if fit.covariance is not None:
        for i, a in enumerate(names):
            for j, b in enumerate(names):
                if a in fit.free and b in fit.free:
                    value = fit.covariance[fit.free.index(a), fit.free.index(b)]
                    covariance[i, j] = value if np.isfinite(value) else 0.0
    grid = np.linspace(-6.0, 6.0, 2401)

    def area(centre: float, width: float, height: float, skew: float) -> float:
        wide = 40.0 if shape in ("lorentzian", "voigt") else 6.0
        u = grid * wide / 6.0
        tail = height * skew if shape == "voigt" else height if shape == "lorentzian" else 0.0
        inside = np.trapezoid(band(shape, centre + u * width, centre, width, skew), u) * width
        # beyond 40 widths a Lorentzian still holds 0.8 % of its area
        return float(height * inside + tail * width / 2 * (math.pi / 2 - math.atan(2 * wide)) * 2)

    def over_wavelength(centre: float, width: float, height: float, skew: float) -> float:
        ratio = math.exp(-skew) if shape in ("split", "lognormal") else 1.0
        low = width / (1 + ratio)
        at = [centre - low, centre + width - low]
        return float(wavelength_of(max(at[0], 1e-3)) - wavelength_of(at[1]))

    def stated(index: int, unit: str) -> Value:
        p = fit[names[index]]
        return Value(p.value, unit, p.error, p.note or ("held fixed" if p.fixed else "not had"))

    asymmetry = None
    if shape in ("split", "lognormal"):
        asymmetry = propagate(lambda s: math.exp(s), [inputs[3]], "")
    return EmissionPeak(
        stated(0, "eV"),
        stated(1, "eV"),
        propagate(area, inputs, "", covariance=covariance),
        asymmetry,
        propagate(lambda e: float(wavelength_of(e)), inputs[:1], "nm"),
        propagate(over_wavelength, inputs, "nm", covariance=covariance),
    )
