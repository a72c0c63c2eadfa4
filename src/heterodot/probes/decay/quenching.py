"""Diffusion of carriers to an extraction layer: D, mobility and diffusion length from quenching.

In a film of thickness L the excess density obeys dn/dt = D d2n/dx2 - n/tau, with no flow through
one face and extraction at the other, D dn/dx = -S n (S infinite for an ideal quencher). In the
eigenfunctions cos(l_m x), with l tan(l L) = S/D, what has survived diffusion is a sum of
exponentials, so a quenched decay is the free decay times

    sum_m w_m exp(-D l_m^2 t),

and reconvolution with a measured response needs no numerical integration. The closed forms that
papers use, 1/tau_q = 1/tau + pi^2 D/(4 L^2) (lowest mode only) and
tau_q/tau = 1 - tanh(L/L_D)/(L/L_D) (mean lifetime, even excitation), are given beside it.

References
----------
S. D. Stranks et al., Science 342, 341 (2013).
J. Crank, The Mathematics of Diffusion, 2nd ed. (Oxford, 1975), chapter 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.fitting import Fit, Parameter, poisson, propagate, with_derived
from heterodot.measurement import Measurement
from heterodot.probes.decay.convolution import exponential, shifted
from heterodot.probes.decay.histogram import prepare
from heterodot.units import Value, convert

Floats = NDArray[np.float64]
MODES = 24  # squares of the odd numbers: the 24th mode weighs 4e-4 of the first


def modes(
    thickness: float,
    diffusion: float,
    *,
    velocity: float = np.inf,
    absorption: float = 0.0,
    side: str = "far",
    count: int = MODES,
) -> tuple[Floats, Floats]:
    """Return decay rates D l_m^2 and weights w_m of the surviving carriers.

    Parameters
    ----------
    thickness : float
        Any length unit; the others follow it.
    diffusion : float
    velocity : float
        Of extraction at the quenching face; infinite for an ideal quencher.
    absorption : float
        Coefficient of the exciting light; zero for even excitation.
    side : {"far", "illuminated"}
        Where the quencher is.

    Returns
    -------
    rates, weights : (count,) arrays
        The weights of all modes sum to one; the rest is put on the last.

    Examples
    --------
    >>> rates, weights = modes(1.0, 1.0)
    >>> round(float(rates[0]), 3), round(float(weights[0]), 3)
    (2.467, 0.811)
    """
    if not (thickness > 0 and diffusion > 0 and velocity > 0):
        raise InputError(
            "thickness, diffusion coefficient and extraction velocity must be positive",
            place="quenching",
        )
    wave = _wavenumbers(thickness, velocity / diffusion, count)
    norm = thickness / 2 + np.sin(2 * wave * thickness) / (4 * wave)
    integral = np.sin(wave * thickness) / wave  # of the mode over the film: what emits
    if absorption * thickness < 1e-9:
        overlap = integral / thickness
    else:
        a = absorption
        total = -np.expm1(-a * thickness) / a
        # the quencher is at x = L; light comes from x = 0 ("far") or from x = L
        e = np.exp(-a * thickness)
        sine, cosine = np.sin(wave * thickness), np.cos(wave * thickness)
        if side == "far":
            overlap = (a + e * (wave * sine - a * cosine)) / (a**2 + wave**2) / total
        elif side == "illuminated":
            overlap = (wave * sine + a * cosine - a * e) / (a**2 + wave**2) / total
        else:
            raise InputError(f"side '{side}'", remedy="take 'far' or 'illuminated'")
    weights = overlap * integral / norm
    weights[-1] += 1.0 - weights.sum()
    return diffusion * wave**2, weights


def _wavenumbers(thickness: float, ratio: float, count: int) -> Floats:
    """Return the roots of l tan(l L) = ratio by Newton steps inside their intervals."""
    m = np.arange(count)
    if not np.isfinite(ratio):
        return np.asarray((m + 0.5) * np.pi / thickness)
    h = ratio * thickness
    low, high = m * np.pi, (m + 0.5) * np.pi
    for _ in range(80):
        x = 0.5 * (low + high)
        # cos changes sign from mode to mode; compare on the branch that starts at m pi
        sign = np.where(m % 2 == 0, 1.0, -1.0)
        above = sign * (x * np.sin(x) - h * np.cos(x)) > 0
        high, low = np.where(above, x, high), np.where(above, low, x)
    return np.asarray(0.5 * (low + high) / thickness)


def survival(
    time: ArrayLike,
    thickness: float,
    diffusion: float,
    *,
    velocity: float = np.inf,
    absorption: float = 0.0,
    side: str = "far",
) -> Floats:
    """Return the fraction of carriers not yet extracted (without recombination).

    Examples
    --------
    >>> round(float(survival([0.0], 100.0, 1.0)[0]), 9)
    1.0
    """
    rates, weights = modes(
        thickness,
        diffusion,
        velocity=velocity,
        absorption=absorption,
        side=side,
        count=200,
    )
    t = np.atleast_1d(np.asarray(time, float))
    return np.asarray(np.exp(-np.outer(t, rates)) @ weights)


@dataclass(frozen=True)
class Diffusion:
    """What a pair of lifetimes says of diffusion.

    Attributes
    ----------
    coefficient : Value
        From the solved diffusion equation, cm2/s.
    length : Value
        sqrt(D tau), nm.
    mobility : Value
        e D/(k T), cm2/(V s).
    lowest_mode : Value
        D from 1/tau_q = 1/tau + pi^2 D/(4 L^2), as papers use, cm2/s.
    definition : str
        What "lifetime" was taken to mean.
    warnings : tuple of str
    """

    coefficient: Value
    length: Value
    mobility: Value
    lowest_mode: Value
    definition: str
    warnings: tuple[str, ...]


def from_lifetimes(
    free: Value,
    quenched: Value,
    thickness: Value,
    *,
    definition: str = "mean",
    temperature: float = 298.15,
    velocity: float = np.inf,
    absorption: float = 0.0,
    side: str = "far",
) -> Diffusion:
    """Return diffusion from a lifetime without and one with an extraction layer.

    Parameters
    ----------
    free, quenched : Value
        Lifetimes.
    thickness : Value
    definition : {"mean", "1/e", "long"}
        What the quenched lifetime is: the mean (amplitude average), the time to 1/e, or the
        slope at late times (then the lowest mode is exact).
    temperature : float
        K, for the mobility.
    velocity : float
        Of extraction, cm/s.
    absorption : float
        1/cm.

    Raises
    ------
    NotFoundError
        No D gives this ratio (the quenched decay is not faster, or faster than an even initial
        profile allows).

    Examples
    --------
    >>> found = from_lifetimes(
    ...     Value(9.2, "ns"), Value(1.0, "ns"), Value(100, "nm"), definition="long")
    >>> round(found.coefficient.value, 4)
    0.0361
    """
    from scipy.constants import e, k
    from scipy.optimize import brentq

    tau, tau_q = free.to("s"), quenched.to("s")
    film = thickness.to("cm")
    if not 0 < tau_q.value < tau.value:
        raise NotFoundError(
            f"a quenched lifetime of {quenched} is not shorter than {free}",
            remedy="check which decay is which",
        )
    closed = 4 * film.value**2 / np.pi**2 * (1 / tau_q.value - 1 / tau.value)

    def solve(t: float, q: float, length: float) -> float:
        if definition == "long" and not np.isfinite(velocity):
            return float(4 * length**2 / np.pi**2 * (1 / q - 1 / t))

        def lifetime(d: float) -> float:
            rates, weights = modes(
                length,
                d,
                velocity=velocity,
                absorption=absorption,
                side=side,
                count=200,
            )
            if definition == "long":
                return float(1 / (1 / t + rates[0]))
            if definition == "mean":
                return float((weights / (1 / t + rates)).sum())

            def height(x: float) -> float:
                return float(np.exp(-x / t) * (np.exp(-x * rates) @ weights) - np.exp(-1.0))

            return float(brentq(height, 0.0, t, xtol=1e-9 * t))

        guess = 4 * length**2 / np.pi**2 * (1 / q - 1 / t)
        try:
            return float(
                np.exp(
                    brentq(
                        lambda u: lifetime(np.exp(u)) / q - 1.0,
                        np.log(guess) - 6.0,
                        np.log(guess) + 6.0,
                        xtol=1e-8,
                    )
                )
            )
        except ValueError as error:
            raise NotFoundError(
                "no diffusion coefficient gives this pair of lifetimes",
                remedy="check thickness and extraction velocity",
            ) from error

    if definition not in ("mean", "1/e", "long"):
        raise InputError(f"definition '{definition}'", remedy="take 'mean', '1/e' or 'long'")
    d = solve(tau.value, tau_q.value, film.value)
    parts = []
    for n, v in enumerate((tau, tau_q, film)):
        if v.error is None:
            continue
        moved = [x.value for x in (tau, tau_q, film)]
        step = 1e-4 * v.value
        moved[n] += step
        parts.append((solve(*moved) - d) / step * v.error)
    error = float(np.sqrt(np.sum(np.square(parts)))) if len(parts) == 3 else None
    reason = None if error is not None else "a lifetime or the thickness has no error"
    length = float(np.sqrt(d * tau.value)) * 1e7
    relative = None if error is None else error / d
    thermal = k * temperature / e
    warnings = []
    if length > 3.0 * thickness.to("nm").value:
        warnings.append(
            "the diffusion length is over three times the film: extraction at the face may limit"
        )
    return Diffusion(
        Value(d, "cm^2/s", error, reason),
        Value(length, "nm", None if relative is None else 0.5 * relative * length, reason),
        Value(
            d / thermal, "cm^2/(V*s)", None if relative is None else relative * d / thermal, reason
        ),
        Value(float(closed), "cm^2/s", None, "closed form, for comparison"),
        definition,
        tuple(warnings),
    )


def fit_quenching(
    free: Measurement,
    quenched: Measurement,
    thickness: Value,
    *,
    irf: Measurement | Mapping[str, Measurement],
    components: int = 1,
    temperature: float = 298.15,
    velocity: Value | None = None,
    absorption: Value | None = None,
    side: str = "far",
) -> Fit:
    """Fit the decays without and with an extraction layer together, with D as a parameter.

    Parameters
    ----------
    free, quenched : Measurement
        Histograms of the bare film and of the film with the layer.
    thickness : Value
        Its error is carried into D.
    irf : Measurement or mapping with "free" and "quenched"
    components : int
        Exponentials of the bare film.
    velocity : Value, optional
        Of extraction; ideal if None.
    absorption : Value, optional
        Coefficient of the exciting light; even excitation if None.
    side : {"far", "illuminated"}

    Returns
    -------
    Fit
        ``diffusion`` (cm2/s), ``diffusion_length`` (nm, with the mean lifetime), ``mobility``
        (cm2/(V s)), and the lifetimes of the bare film.

    Notes
    -----
    Diffusion of one carrier, first-order recombination, no re-absorption; a film of grains whose
    borders hinder carriers obeys no single D.
    """
    from scipy.constants import e, k

    from heterodot.probes.decay.fit import fit as fit_decay

    sets = {"free": free, "quenched": quenched}
    responses = {n: irf[n] if isinstance(irf, Mapping) else irf for n in sets}
    hist = {n: prepare(m, responses[n], name=n) for n, m in sets.items()}
    unit = hist["free"].unit
    if hist["quenched"].unit != unit:
        raise InputError(
            f"times are in {unit} and {hist['quenched'].unit}", remedy="bring both to one unit"
        )
    to_time = convert(1.0, unit, "s")
    film = thickness.to("cm").value
    speed = np.inf if velocity is None else velocity.to("cm/s").value
    alpha = 0.0 if absorption is None else absorption.to("1/cm").value
    bare = fit_decay(free, components, irf=responses["free"])
    taus = [bare[f"tau_{i}"].value for i in range(1, components + 1)]
    photons = [bare[f"photons_{i}"].value for i in range(1, components + 1)]
    mean_q = _mean_arrival(hist["quenched"].time, hist["quenched"].counts)
    mean_f = _mean_arrival(hist["free"].time, hist["free"].counts)
    start = 4 * film**2 / np.pi**2 / to_time * max(1 / mean_q - 1 / mean_f, 0.05 / mean_f)
    parameters = [
        Parameter(
            "log_diffusion",
            float(np.log(start)),
            "",
            low=np.log(start) - 12,
            high=np.log(start) + 12,
        ),
        *(
            Parameter(f"tau_{i}", t, unit, low=1e-3 * t, high=1e3 * t)
            for i, t in enumerate(taus, 1)
        ),
        *(Parameter(f"photons_{i} [free]", n, "", low=0.0) for i, n in enumerate(photons, 1)),
        Parameter(
            "scale [quenched]",
            float(hist["quenched"].counts.sum() / max(hist["free"].counts.sum(), 1))
            * mean_f
            / mean_q,
            "",
            low=1e-6,
        ),
    ]
    for n, h in hist.items():
        low = np.sort(h.counts)[: max(8, h.counts.size // 10)]
        parameters += [
            Parameter(f"background [{n}]", float(low.mean()) + 1e-3, "", low=0.0),
            Parameter(
                f"shift [{n}]",
                bare["shift"].value if n == "free" else 0.0,
                unit,
                low=-0.1 * float(np.ptp(h.time)),
                high=0.1 * float(np.ptp(h.time)),
            ),
        ]

    def model(v: Mapping[str, float]) -> Floats:
        d = float(np.exp(v["log_diffusion"])) * to_time
        rates, weights = modes(film, d, velocity=speed * to_time, absorption=alpha, side=side)
        out = []
        for n, h in hist.items():
            assert h.irf is not None
            response = shifted(h.irf, v[f"shift [{n}]"] / h.width)[0]
            y = np.full(h.counts.size, v[f"background [{n}]"])
            for i in range(1, components + 1):
                tau, amount = v[f"tau_{i}"], v[f"photons_{i} [free]"]
                if n == "free":
                    y = y + amount * exponential(response, h.width / tau)[0]
                    continue
                amount = amount * v["scale [quenched]"]
                for rate, weight in zip(rates, weights, strict=True):
                    # a column has unit area: its height at time zero goes with its own rate
                    both = 1 / tau + rate
                    y = (
                        y
                        + amount * weight / (tau * both) * exponential(response, h.width * both)[0]
                    )
            out.append(np.maximum(y, 1e-9))
        return np.concatenate(out)

    counts = np.concatenate([h.counts for h in hist.values()])
    found = poisson(model, parameters, counts, name="diffusion to an extraction layer")
    d = float(np.exp(found["log_diffusion"].value))
    own = found["log_diffusion"].error
    thick = thickness.error / thickness.value if thickness.error is not None else 0.0
    error = None if own is None else d * float(np.hypot(own, 2 * thick))
    note = "" if thickness.error is not None else "without the error of the thickness"
    n_sum = sum(found[f"photons_{i} [free]"].value for i in range(1, components + 1))
    a_sum = sum(
        found[f"photons_{i} [free]"].value / found[f"tau_{i}"].value
        for i in range(1, components + 1)
    )
    mean = n_sum / a_sum
    length = float(np.sqrt(d * mean * to_time)) * 1e7
    by_tau = {"tau_1": 0.5 * length / mean} if components == 1 else {}
    counted = propagate(
        found, "diffusion_length", {"log_diffusion": 0.5 * length, **by_tau}, length, "nm"
    ).error
    length_error = None if counted is None else float(np.hypot(counted, thick * length))
    diffusion = Parameter("diffusion", d, "cm^2/s", error, note=note)
    thermal = k * temperature / e
    derived = [
        diffusion,
        Parameter("diffusion_length", length, "nm", length_error, note=note),
        Parameter(
            "mobility",
            d / thermal,
            "cm^2/(V*s)",
            None if error is None else error / thermal,
            note=note,
        ),
    ]
    return with_derived(found, derived)


def _mean_arrival(time: Floats, counts: Floats) -> float:
    base = float(np.median(np.sort(counts)[: max(8, counts.size // 5)]))
    y = np.maximum(counts - base, 0.0)
    first = int(np.argmax(counts))
    t = time[first:] - time[first]
    return max(
        float((t * y[first:]).sum() / max(y[first:].sum(), 1e-300)), float(time[1] - time[0])
    )
