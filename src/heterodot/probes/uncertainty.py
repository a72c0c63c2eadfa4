"""Errors of computed figures: linear propagation by central differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from heterodot.fitting import Fit
from heterodot.units import Value


def propagate(
    function: Callable[..., float],
    inputs: Sequence[Value],
    unit: str,
    *,
    covariance: NDArray[np.float64] | None = None,
) -> Value:
    """Return ``function`` of the inputs' numbers with its standard error to first order.

    Parameters
    ----------
    function : callable
        Takes one float for each input.
    inputs : sequence of Value
        Independent unless ``covariance`` is given. One without error counts as exact.
    unit : str
        Of the result.
    covariance : (n, n) array, optional
        Of the inputs, in their units.

    Examples
    --------
    >>> str(propagate(lambda a, b: a / b, [Value(6.0, "A", 0.6), Value(2.0, "W", 0.1)], "A/W"))
    '3.0(3) A/W'
    """
    numbers = [v.value for v in inputs]
    errors = np.array([v.error or 0.0 for v in inputs])
    centre = float(function(*numbers))
    if covariance is None:
        covariance = np.diag(errors**2)
    spread = np.sqrt(np.diag(covariance))
    gradient = np.zeros(len(numbers))
    for k, (x, s) in enumerate(zip(numbers, spread, strict=True)):
        if s == 0.0:
            continue
        # a tenth of the error: small against it, large against rounding
        step = max(0.1 * s, 1e-7 * abs(x))
        high, low = list(numbers), list(numbers)
        high[k], low[k] = x + step, x - step
        try:
            gradient[k] = (float(function(*high)) - float(function(*low))) / (2 * step)
        except (ZeroDivisionError, ValueError, OverflowError):
            return Value(centre, unit, None, "the function is singular within the errors")
    variance = float(gradient @ covariance @ gradient)
    if not math.isfinite(variance):
        return Value(centre, unit, None, "the error could not be carried through")
    if variance <= 0.0:
        return Value(centre, unit, None, "no input states an error")
    return Value(centre, unit, math.sqrt(variance))


def correlation_time(residual: NDArray[np.float64] | None) -> float:
    """Return over how many points a residual is correlated (one if it is white).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> 0.5 < correlation_time(rng.normal(size=4000)) < 1.5
    True
    """
    if residual is None:
        return 1.0
    centred = np.asarray(residual, dtype=float) - np.mean(residual)
    power = float(centred @ centred)
    if power <= 0.0:
        return 1.0
    time = 1.0
    for lag in range(1, len(centred) // 4):
        time += 2.0 * float(centred[:-lag] @ centred[lag:]) / power
        if lag >= 5.0 * time:
            break
    return time


def widened(fit: Fit) -> Fit:
    """Return the fit with errors widened where its residual is correlated from point to point.

    Neighbors that err together carry less than one point's information each; standard errors are
    multiplied by the square root of the integrated correlation time of the residual, which is
    said in the warnings. Nothing changes where the residual is white.

    References
    ----------
    A. Sokal, in Functional Integration (Springer, 1997), for the time and its window.
    """
    if fit.residual is None or fit.covariance is None or fit.points < 20:
        return fit
    time = correlation_time(fit.residual)
    if time < 1.5:
        return fit
    factor = math.sqrt(time)
    parameters = {
        name: replace(p, error=None if p.error is None else p.error * factor)
        for name, p in fit.parameters.items()
    }
    warning = (
        f"the residual is correlated over about {time:.0f} points (the model is not exact); errors "
        f"were widened {factor:.1f} times"
    )
    return replace(
        fit,
        parameters=parameters,
        covariance=fit.covariance * time,
        warnings=(*fit.warnings, warning),
    )
