"""Average lifetimes of multi-exponential decays, both of them, with their errors.

The amplitude average sum(a tau)/sum(a) is the one that rates and quantum yields follow; the
intensity average sum(a tau^2)/sum(a tau) is the mean arrival time of the photons. Papers quote
either without saying which, and for a few exponentials they differ by a factor of two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heterodot.errors import InputError
from heterodot.fitting import Fit, Parameter, propagate, with_derived
from heterodot.units import Value


def averages(
    amplitudes: Sequence[float],
    lifetimes: Sequence[float],
    *,
    amplitude_errors: Sequence[float] | None = None,
    lifetime_errors: Sequence[float] | None = None,
    unit: str = "ns",
) -> tuple[Value, Value]:
    """Return amplitude- and intensity-average lifetime of a published table.

    Parameters
    ----------
    amplitudes : sequence
        Pre-exponential factors (need not sum to one).
    lifetimes : sequence
    amplitude_errors, lifetime_errors : sequence, optional
        Standard errors, taken as independent (tables give no correlations).
    unit : str

    Examples
    --------
    >>> by_amplitude, by_intensity = averages([0.31, 0.47, 0.24], [0.49, 2.85, 9.2])
    >>> round(by_amplitude.value, 3), round(by_intensity.value, 3)
    (3.627, 6.543)
    """
    a, t = np.asarray(amplitudes, float), np.asarray(lifetimes, float)
    if a.size != t.size or a.size == 0:
        raise InputError(f"{a.size} amplitudes for {t.size} lifetimes", remedy="give pairs")
    if not a.sum() > 0 or (t <= 0).any():
        raise InputError("amplitudes must have a positive sum and lifetimes be positive")
    s0, s1, s2 = a.sum(), (a * t).sum(), (a * t * t).sum()
    first, second = s1 / s0, s2 / s1
    if amplitude_errors is None or lifetime_errors is None:
        reason = "the errors of the parts were not given"
        return Value(float(first), unit, None, reason), Value(float(second), unit, None, reason)
    da, dt = np.asarray(amplitude_errors, float), np.asarray(lifetime_errors, float)
    e1 = np.sqrt((((t - first) / s0 * da) ** 2 + (a / s0 * dt) ** 2).sum())
    e2 = np.sqrt(((t * (t - second) / s1 * da) ** 2 + (a * (2 * t - second) / s1 * dt) ** 2).sum())
    return Value(float(first), unit, float(e1)), Value(float(second), unit, float(e2))


def with_averages(fit: Fit, tags: Sequence[str], count: int) -> Fit:
    """Return the fit with fractions and both average lifetimes of every trace."""
    derived: list[Parameter] = []
    for tag in tags:
        tau = np.array([fit[f"tau_{i}"].value for i in range(1, count + 1)])
        n = np.array([fit[f"photons_{i}{tag}"].value for i in range(1, count + 1)])
        unit = fit["tau_1"].unit
        a = n / tau
        total, sum_a = n.sum(), a.sum()
        names_t = [f"tau_{i}" for i in range(1, count + 1)]
        names_n = [f"photons_{i}{tag}" for i in range(1, count + 1)]
        for i in range(count):
            by_n = (np.eye(count)[i] - n[i] / total) / total
            derived.append(
                propagate(
                    fit,
                    f"intensity_{i + 1}{tag}",
                    dict(zip(names_n, by_n, strict=True)),
                    n[i] / total,
                    "",
                )
            )
            by_a = (np.eye(count)[i] - a[i] / sum_a) / sum_a
            gradient = dict(zip(names_n, by_a / tau, strict=True))
            gradient |= dict(zip(names_t, -by_a * a / tau, strict=True))
            derived.append(propagate(fit, f"amplitude_{i + 1}{tag}", gradient, a[i] / sum_a, ""))
        mean_a, mean_i = total / sum_a, float((n * tau).sum() / total)
        gradient = dict(zip(names_n, (1.0 - mean_a / tau) / sum_a, strict=True))
        gradient |= dict(zip(names_t, mean_a * n / tau**2 / sum_a, strict=True))
        derived.append(propagate(fit, f"tau_amplitude{tag}", gradient, mean_a, unit))
        gradient = dict(zip(names_n, (tau - mean_i) / total, strict=True))
        gradient |= dict(zip(names_t, n / total, strict=True))
        derived.append(propagate(fit, f"tau_intensity{tag}", gradient, mean_i, unit))
    return with_derived(fit, derived)
