"""Gap, linewidth and yield against temperature.

References
----------
Y. P. Varshni, Physica 34, 149 (1967); L. Vina, S. Logothetidis and M. Cardona, Phys. Rev. B 30,
1979 (1984) for the Bose-Einstein form; A. Francisco-Lopez et al., J. Phys. Chem. Lett. 10, 2971
(2019) for lattice expansion beside it in perovskites; S. Rudin, T. L. Reinecke and B. Segall,
Phys. Rev. B 42, 11218 (1990) for linewidths; D. S. Jiang, H. Jung and K. Ploog, J. Appl. Phys.
64, 1371 (1988) for two-channel quenching.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.fitting import Fit, Parameter, least_squares
from heterodot.probes.uncertainty import widened

Array = NDArray[np.float64]
Law = Callable[[Mapping[str, float], Array], Array]


def _boltzmann() -> float:
    """Return k_B in eV/K."""
    from scipy.constants import e, k

    return float(k / e)


def occupation(energy: float, temperature: Array) -> Array:
    """Return the Bose-Einstein occupation of a phonon (eV) at temperatures (K).

    Examples
    --------
    >>> round(float(occupation(0.025852, np.array([300.0]))[0]), 3)
    0.582
    """
    t = np.maximum(np.asarray(temperature, dtype=float), 1e-6)
    with np.errstate(over="ignore"):
        return np.asarray(1.0 / np.expm1(np.minimum(energy / (_boltzmann() * t), 700.0)))


@dataclass(frozen=True)
class TemperatureLaw:
    """A law of temperature with its parameters.

    Attributes
    ----------
    name : str
    quantity : str
        ``"gap"``, ``"width"`` or ``"intensity"``.
    formula : str
        For people.
    law : callable
        Parameters and temperatures (K) to values.
    start : callable
        Temperatures and data to start parameters.
    """

    name: str
    quantity: str
    formula: str
    law: Law
    start: Callable[[Array, Array], list[Parameter]]


def _varshni(p: Mapping[str, float], t: Array) -> Array:
    return np.asarray(p["gap_0"] - p["alpha"] * t**2 / (t + p["beta"]))


def _varshni_start(t: Array, y: Array) -> list[Parameter]:
    slope = (y[-1] - y[0]) / max(t[-1] - t[0], 1.0)
    return [
        Parameter("gap_0", float(y[0]), "eV"),
        Parameter("alpha", float(-slope * 1.3 or 1e-5), "eV/K", low=-5e-3, high=5e-3),
        Parameter("beta", 150.0, "K", low=0.0, high=2000.0),
    ]


def _bose(p: Mapping[str, float], t: Array) -> Array:
    return np.asarray(p["gap_0"] - 2 * p["coupling"] * occupation(p["phonon"], t))


def _bose_start(t: Array, y: Array) -> list[Parameter]:
    n = float(occupation(0.02, np.array([t[-1]]))[0])
    return [
        Parameter("gap_0", float(y[0]), "eV"),
        Parameter("coupling", float((y[0] - y[-1]) / (2 * n) or 1e-3), "eV", low=-2.0, high=2.0),
        Parameter("phonon", 0.02, "eV", low=1e-3, high=0.2),
    ]


def _expansion(p: Mapping[str, float], t: Array) -> Array:
    return np.asarray(
        p["gap_0"] + p["expansion"] * t + p["coupling"] * 2 * occupation(p["phonon"], t)
    )


def _expansion_start(t: Array, y: Array) -> list[Parameter]:
    slope = (y[-1] - y[0]) / max(t[-1] - t[0], 1.0)
    return [
        Parameter("gap_0", float(y[0]), "eV"),
        Parameter("expansion", float(slope), "eV/K", low=-5e-3, high=5e-3),
        Parameter("coupling", -0.01, "eV", low=-2.0, high=2.0),
        Parameter("phonon", 0.02, "eV", low=1e-3, high=0.2),
    ]


def _linear(p: Mapping[str, float], t: Array) -> Array:
    return np.asarray(p["gap_0"] + p["slope"] * t)


def _linear_start(t: Array, y: Array) -> list[Parameter]:
    slope = (y[-1] - y[0]) / max(t[-1] - t[0], 1.0)
    return [Parameter("gap_0", float(y[0]), "eV"), Parameter("slope", float(slope), "eV/K")]


def _width(p: Mapping[str, float], t: Array) -> Array:
    return np.asarray(p["width_0"] + p["acoustic"] * t + p["optical"] * occupation(p["phonon"], t))


def _width_start(t: Array, y: Array) -> list[Parameter]:
    rise = float(y[-1] - y[0])
    n = float(occupation(0.02, np.array([t[-1]]))[0])
    return [
        Parameter("width_0", float(y[0]), "eV", low=0.0),
        Parameter("acoustic", 0.1 * rise / max(t[-1], 1.0), "eV/K", low=0.0, high=1e-3),
        Parameter("optical", 0.9 * rise / n, "eV", low=0.0, high=2.0),
        Parameter("phonon", 0.02, "eV", low=2e-3, high=0.2),
    ]


def _width_optical_start(t: Array, y: Array) -> list[Parameter]:
    start = _width_start(t, y)
    return [
        p if p.name != "acoustic" else Parameter("acoustic", 0.0, "eV/K", fixed=True) for p in start
    ]


def _width_acoustic(p: Mapping[str, float], t: Array) -> Array:
    return np.asarray(p["width_0"] + p["acoustic"] * t)


def _width_acoustic_start(t: Array, y: Array) -> list[Parameter]:
    slope = max(float(y[-1] - y[0]) / max(t[-1] - t[0], 1.0), 1e-8)
    return [
        Parameter("width_0", float(y[0]), "eV", low=0.0),
        Parameter("acoustic", slope, "eV/K", low=0.0, high=1e-2),
    ]


def _arrhenius(p: Mapping[str, float], t: Array) -> Array:
    kt = _boltzmann() * np.maximum(t, 1e-3)
    return np.asarray(p["start"] / (1 + np.exp(p["log_rate"] - p["activation"] / kt)))


def _arrhenius_start(t: Array, y: Array) -> list[Parameter]:
    top = float(y.max())
    activation = 0.05
    drop = max(top / max(float(y[-1]), 1e-3 * top) - 1.0, 1e-2)
    log_rate = math.log(drop) + activation / (_boltzmann() * t[-1])
    return [
        Parameter("start", top, "", low=0.0),
        Parameter("log_rate", log_rate, "", low=-10.0, high=60.0),
        Parameter("activation", activation, "eV", low=1e-3, high=1.5),
    ]


def _arrhenius_two(p: Mapping[str, float], t: Array) -> Array:
    kt = _boltzmann() * np.maximum(t, 1e-3)
    one = np.exp(p["log_rate"] - p["activation"] / kt)
    two = np.exp(p["log_rate_2"] - p["activation_2"] / kt)
    return np.asarray(p["start"] / (1 + one + two))


def _arrhenius_two_start(t: Array, y: Array) -> list[Parameter]:
    top = float(y.max())
    middle = (
        float(np.interp(0.85 * top, y[::-1], t[::-1])) if y[0] > y[-1] else float(t[len(t) // 2])
    )
    return [
        *_arrhenius_start(t, y),
        Parameter(
            "log_rate_2",
            math.log(0.2) + 0.008 / (_boltzmann() * max(middle, 5.0)),
            "",
            low=-10.0,
            high=60.0,
        ),
        Parameter("activation_2", 0.008, "eV", low=5e-4, high=0.5),
    ]


LAWS: dict[str, TemperatureLaw] = {
    law.name: law
    for law in (
        TemperatureLaw("linear", "gap", "E0 + a T", _linear, _linear_start),
        TemperatureLaw("varshni", "gap", "E0 - alpha T^2 / (T + beta)", _varshni, _varshni_start),
        TemperatureLaw(
            "bose-einstein", "gap", "E0 - 2 a_B / (exp(Eph / kT) - 1)", _bose, _bose_start
        ),
        TemperatureLaw(
            "expansion",
            "gap",
            "E0 + A_TE T + 2 A_EP / (exp(Eph / kT) - 1)",
            _expansion,
            _expansion_start,
        ),
        TemperatureLaw(
            "width",
            "width",
            "G0 + s T + G_LO / (exp(E_LO / kT) - 1)",
            _width,
            _width_start,
        ),
        TemperatureLaw(
            "width-optical",
            "width",
            "G0 + G_LO / (exp(E_LO / kT) - 1)",
            _width,
            _width_optical_start,
        ),
        TemperatureLaw(
            "width-acoustic", "width", "G0 + s T", _width_acoustic, _width_acoustic_start
        ),
        TemperatureLaw(
            "arrhenius", "intensity", "I0 / (1 + a exp(-Ea / kT))", _arrhenius, _arrhenius_start
        ),
        TemperatureLaw(
            "arrhenius-two",
            "intensity",
            "I0 / (1 + a1 exp(-E1 / kT) + a2 exp(-E2 / kT))",
            _arrhenius_two,
            _arrhenius_two_start,
        ),
    )
}


@dataclass(frozen=True, eq=False)
class TemperatureFit:
    """A series of temperatures with its law.

    Attributes
    ----------
    law : TemperatureLaw
    fit : Fit
    criteria : mapping of law to float
        Corrected Akaike criterion of all laws that were tried (lower is better).
    temperature, data, model : (n,) arrays
    warnings : tuple of str
    """

    law: TemperatureLaw
    fit: Fit
    criteria: Mapping[str, float]
    temperature: Array
    data: Array
    model: Array
    warnings: tuple[str, ...] = ()

    def at(self, temperature: float) -> float:
        """Return the law's value at a temperature (K)."""
        values = {n: p.value for n, p in self.fit.parameters.items()}
        return float(self.law.law(values, np.array([float(temperature)]))[0])


def fit_temperature(
    temperature: Array,
    data: Array,
    quantity: str,
    *,
    sigma: Array | None = None,
    laws: Sequence[str] | None = None,
) -> TemperatureFit:
    """Fit a temperature series with the law that has the lowest information criterion.

    Parameters
    ----------
    temperature : (n,) array, K
    data : (n,) array
        Gap or peak energy (eV), full width (eV), or intensity (any unit).
    quantity : {"gap", "width", "intensity"}
    sigma : (n,) array, optional
        Standard deviations.
    laws : sequence of str, optional
        Names in ``LAWS``; default all of the quantity.

    Raises
    ------
    InputError
        Too few temperatures, some below zero or twice the same only, or an unknown law.
    NotFoundError
        No law converged.

    Notes
    -----
    A gap that rises with temperature (lead salts, lead-halide perovskites) gives a negative
    alpha or coupling: that is the inverse shift, not a fault, and the ``expansion`` law names its
    part.
    """
    temperature, data = np.asarray(temperature, float), np.asarray(data, float)
    good = np.isfinite(temperature) & np.isfinite(data)
    order = np.argsort(temperature[good])
    t, y = temperature[good][order], data[good][order]
    s = None if sigma is None else np.asarray(sigma, float)[good][order]
    _check(t, y, quantity)
    names = list(laws) if laws else [n for n, law in LAWS.items() if law.quantity == quantity]
    for name in names:
        if name not in LAWS or LAWS[name].quantity != quantity:
            known = ", ".join(n for n, law in LAWS.items() if law.quantity == quantity)
            raise InputError(f"'{name}' is not a law of the {quantity}", remedy=f"choose {known}")
    fits: dict[str, Fit] = {}
    for name in names:
        start = LAWS[name].start(t, y)
        if len(t) < sum(not p.fixed for p in start) + (0 if laws else 2):
            continue
        fits[name] = _best_of_starts(LAWS[name], start, t, y, s)
    usable = {n: f for n, f in fits.items() if f.converged}
    if not usable:
        raise NotFoundError(
            f"no law of the {quantity} converged on {len(t)} temperatures",
            remedy="give more temperatures or name one law",
        )
    criteria = {n: f.aic for n, f in usable.items()}
    chosen = min(usable, key=lambda n: (criteria[n], len(usable[n].free)))
    fit = widened(usable[chosen])
    warnings = [*fit.warnings, *_remarks(quantity, fit, t, y, criteria, chosen)]
    return TemperatureFit(
        LAWS[chosen], fit, criteria, t, y, np.asarray(fit.model_values), tuple(warnings)
    )


def _check(t: Array, y: Array, quantity: str) -> None:
    if quantity not in ("gap", "width", "intensity"):
        raise InputError(f"'{quantity}' is not a quantity", remedy="choose gap, width or intensity")
    if len(np.unique(t)) < 4:
        raise InputError(
            f"{len(np.unique(t))} temperatures", place="temperature", remedy="give at least four"
        )
    if (t < 0).any():
        raise InputError(
            f"{t.min():g} K is below zero",
            place="temperature",
            remedy="give temperatures in kelvin, or say degC in the heading",
        )
    if quantity != "gap" and (y <= 0).any():
        raise InputError(f"a {quantity} is not positive", place=quantity, remedy="check the column")


def _best_of_starts(
    law: TemperatureLaw, start: list[Parameter], t: Array, y: Array, s: Array | None
) -> Fit:
    """Fit from several phonon or activation energies, since those are the ones that get stuck."""
    best: Fit | None = None
    for factor in (1.0, 0.4, 2.5):
        trial = [
            Parameter(
                p.name,
                float(np.clip(p.value * factor, p.low, p.high)),
                p.unit,
                low=p.low,
                high=p.high,
                fixed=p.fixed,
            )
            if p.name in ("phonon", "activation", "beta")
            else p
            for p in start
        ]
        fit = least_squares(lambda p: law.law(p, t), trial, y, sigma=s, name=law.formula)
        if best is None or (fit.converged, -fit.cost) > (best.converged, -best.cost):
            best = fit
    assert best is not None
    return best


def _remarks(
    quantity: str,
    fit: Fit,
    t: Array,
    y: Array,
    criteria: Mapping[str, float],
    chosen: str,
) -> list[str]:
    out = []
    close = [n for n, c in criteria.items() if n != chosen and c - criteria[chosen] < 2.0]
    if close:
        out.append(f"the data do not tell {chosen} from {', '.join(close)}")
    if quantity == "gap":
        rise = float(np.polyfit(t, y, 1)[0])
        if rise > 0:
            out.append(
                "the gap rises with temperature (the inverse shift of lead salts and lead-halide "
                "perovskites): a negative alpha or coupling is meant so"
            )
    phonon = fit.parameters.get("phonon")
    if phonon is not None and phonon.value > 3 * _boltzmann() * float(t[-1]):
        out.append("the phonon energy is above what these temperatures excite")
    if quantity == "intensity" and float(y.min() / y.max()) > 0.8:
        out.append("less than a fifth is quenched: the activation energy hangs on little")
    return out
