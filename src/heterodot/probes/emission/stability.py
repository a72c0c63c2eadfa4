"""Stability curves: what is left with time, and half-lives that say whether they were reached."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.fitting import Fit, Parameter, least_squares
from heterodot.probes.uncertainty import propagate
from heterodot.units import Value

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stability:
    """How a signal lasts.

    Attributes
    ----------
    half_life : Value
        Time to half the first value, in the unit of the times; by the model, extrapolated where
        the data end before (then there is a warning).
    crossed : Value or None
        Where the data themselves pass one half, None where they never do.
    kept : Value
        Share at the last time, by the model.
    model : str
        ``"exponential"`` or ``"stretched"``, whichever has the lower information criterion.
    fit : Fit
    warnings : tuple of str
    """

    half_life: Value
    crossed: Value | None
    kept: Value
    model: str
    fit: Fit
    warnings: tuple[str, ...] = ()


def stability(
    time: Array, signal: Array, *, unit: str = "hour", sigma: Array | None = None
) -> Stability:
    """Fit I = I_0 exp(-(t / tau)^b) and return half-life and what is kept.

    Parameters
    ----------
    time : (n,) array
        From zero, in ``unit``.
    signal : (n,) array
        Absorbance, PL, photocurrent...; any unit.
    unit : str
    sigma : (n,) array, optional

    Raises
    ------
    InputError
        Fewer than four points, time that does not rise, or a signal that is not positive at first.
    """
    time, signal = np.asarray(time, float), np.asarray(signal, float)
    good = np.isfinite(time) & np.isfinite(signal)
    time, signal = time[good], signal[good]
    sigma = None if sigma is None else np.asarray(sigma, float)[good]
    if len(time) < 4:
        raise InputError(f"{len(time)} points", place="stability", remedy="give at least four")
    if (np.diff(time) <= 0).any():
        raise InputError("time does not rise", place="stability", remedy="sort the rows by time")
    if signal[0] <= 0:
        raise InputError("the first value is not positive", place="stability", remedy="check it")
    span = float(time[-1] - time[0])
    t = time - time[0]
    lost = float(np.clip(1 - signal[-1] / signal[0], 0.02, 0.98))
    tau = span / -math.log(1 - lost)

    def model(p: Mapping[str, float]) -> Array:
        return np.asarray(p["start"] * np.exp(-p["rate"] * (t / span) ** p["stretch"]))

    def run(stretched: bool) -> Fit:
        free = not stretched
        return least_squares(
            model,
            [
                Parameter("start", float(signal[0]), ""),
                Parameter("rate", span / tau, ""),
                Parameter("stretch", 1.0, "", low=0.1, high=5.0, fixed=free),
            ],
            signal,
            sigma=sigma,
            name="stretched exponential" if stretched else "exponential",
        )

    fits = {"exponential": run(False)}
    if len(time) >= 6:
        fits["stretched"] = run(True)
    usable = {n: f for n, f in fits.items() if f.converged} or fits
    name = min(usable, key=lambda n: usable[n].bic)
    fit = usable[name]
    warnings = list(fit.warnings)
    names = ("rate", "stretch")
    inputs = [Value(fit[n].value, "", fit[n].error) for n in names]
    covariance = np.zeros((2, 2))
    if fit.covariance is not None:
        for i, a in enumerate(names):
            for j, b in enumerate(names):
                if a in fit.free and b in fit.free:
                    covariance[i, j] = fit.covariance[fit.free.index(a), fit.free.index(b)]
    rate = fit["rate"]
    if rate.value <= 2 * (rate.error or 0.0) or rate.value <= 0:
        half = Value(math.inf, unit, None, "no loss beyond its error")
        warnings.append("the signal does not fall beyond its error: there is no half-life to tell")
    else:
        half = propagate(
            lambda k, b: span * (math.log(2) / max(k, 1e-12)) ** (1 / b),
            inputs,
            unit,
            covariance=covariance,
        )
        if half.value > span:
            warnings.append(
                f"the data end after {span:g} {unit}, before half is lost: the half-life is "
                "extrapolated"
            )
    kept = propagate(lambda k, b: math.exp(-k), inputs, "", covariance=covariance)
    return Stability(half, _crossed(t, signal, unit), kept, name, fit, tuple(warnings))


def _crossed(time: Array, signal: Array, unit: str) -> Value | None:
    below = np.flatnonzero(signal <= 0.5 * signal[0])
    if len(below) == 0 or below[0] == 0:
        return None
    k = int(below[0])
    at = np.interp(0.5 * signal[0], [signal[k], signal[k - 1]], [time[k], time[k - 1]])
    return Value(float(at), unit, float(time[k] - time[k - 1]) / math.sqrt(12))
