"""Photocurrent against light power: exponent, responsivity, linear dynamic range."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.units import Value

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PowerSeries:
    """What a series of light powers tells.

    Attributes
    ----------
    exponent : Value
        theta in I_ph ~ P^theta over the whole series (one for a linear detector).
    linear_range : Value
        20 log10(P_high / P_low) of the stretch with constant responsivity, dB.
    low, high : float
        Ends of that stretch, in the unit of the powers.
    response : (n,) array
        Photocurrent over power at each point.
    linear : (n,) bool array
        Points in that stretch.
    warnings : tuple of str
    """

    exponent: Value
    linear_range: Value
    low: float
    high: float
    response: Array
    linear: NDArray[np.bool_]
    warnings: tuple[str, ...] = ()


def power_series(
    power: Array,
    photocurrent: Array,
    *,
    sigma: Array | None = None,
    tolerance: float = 0.1,
    noise: float | None = None,
) -> PowerSeries:
    """Return exponent and linear dynamic range of a series of powers.

    The linear stretch is the longest run of neighboring powers over which the responsivity stays
    within ``tolerance`` of the middle of its span there. Its ends are measured points, so that the range is a
    lower bound where the series begins or ends inside it, which is said.

    Parameters
    ----------
    power, photocurrent : (n,) arrays
        Any unit; dark current already taken away.
    sigma : (n,) array, optional
        Standard deviations of the photocurrent.
    tolerance : float
        Relative change of the responsivity that still counts as linear.
    noise : float, optional
        Noise current; points below it are left out.

    Raises
    ------
    InputError
        Fewer than three powers with positive current, or repeated powers only.
    """
    order = np.argsort(power)
    power = np.asarray(power, float)[order]
    current = np.asarray(photocurrent, float)[order]
    sigma = None if sigma is None else np.asarray(sigma, float)[order]
    warnings: list[str] = []
    good = (power > 0) & (current > max(noise or 0.0, 0.0)) & np.isfinite(current)
    if not good.all():
        warnings.append(
            f"{int((~good).sum())} point(s) without positive power and current left out"
        )
    power, current = power[good], current[good]
    sigma = None if sigma is None else sigma[good]
    if len(power) < 3 or power[0] == power[-1]:
        raise InputError(
            f"{len(power)} usable powers", place="power series", remedy="give at least three"
        )
    exponent = _exponent(power, current, sigma)
    response = current / power
    first, last = _longest_constant(response, tolerance)
    linear = np.zeros(len(power), bool)
    linear[first : last + 1] = True
    decades = 20 * math.log10(power[last] / power[first])
    ends = [
        name for name, at in (("lowest", first == 0), ("highest", last == len(power) - 1)) if at
    ]
    if ends:
        warnings.append(
            f"the {' and the '.join(ends)} power still belong(s) to the linear stretch: the linear "
            "dynamic range is a lower bound"
        )
    # the true ends lie between measured neighbors: half of each gap
    gaps = []
    if first > 0:
        gaps.append(10 * math.log10(power[first] / power[first - 1]))
    if last < len(power) - 1:
        gaps.append(10 * math.log10(power[last + 1] / power[last]))
    error = math.hypot(*gaps) if gaps else None
    reason = None if gaps else "the series ends inside the linear stretch"
    if abs(exponent.value - 1) > max(3 * (exponent.error or 0), 0.05):
        warnings.append(
            f"the photocurrent grows as power to the {exponent.value:.2f}: a responsivity holds for "
            "one power only, and that at the lowest is the largest"
            if exponent.value < 1
            else f"the photocurrent grows as power to the {exponent.value:.2f}, faster than linear"
        )
    return PowerSeries(
        exponent,
        Value(decades, "dB", error, reason),
        float(power[first]),
        float(power[last]),
        response,
        linear,
        tuple(warnings),
    )


def _exponent(power: Array, current: Array, sigma: Array | None) -> Value:
    x, y = np.log(power), np.log(current)
    weight = np.ones_like(x) if sigma is None else current / sigma
    design = np.column_stack([np.ones_like(x), x]) * weight[:, None]
    solution, *_ = np.linalg.lstsq(design, y * weight, rcond=None)
    residual = y * weight - design @ solution
    dof = max(len(x) - 2, 1)
    scale = residual @ residual / dof
    covariance = np.linalg.inv(design.T @ design) * (scale if sigma is None else max(scale, 1.0))
    return Value(float(solution[1]), "", float(np.sqrt(covariance[1, 1])))


def _longest_constant(response: Array, tolerance: float) -> tuple[int, int]:
    """Return first and last point of the longest run within ``tolerance`` of its middle."""
    best = (0, 0)
    for first in range(len(response)):
        if len(response) - first <= best[1] - best[0] + 1:
            break
        high = np.maximum.accumulate(response[first:])
        low = np.minimum.accumulate(response[first:])
        outside = np.flatnonzero(high - low > tolerance * np.abs(high + low))
        last = first + (int(outside[0]) if len(outside) else len(high)) - 1
        if last - first > best[1] - best[0]:
            best = (first, last)
    return best
