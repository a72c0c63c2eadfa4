"""Damped Gauss-Newton descent inside bounds (Levenberg 1944, Marquardt 1963), for any statistic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.progress import Progress, silent

Floats = NDArray[np.float64]
# (x, derivatives wanted) -> statistic S, half its gradient g, curvature H, so that
# S(x + d) is about S + 2 g.d + d.H.d; g and H may be None where derivatives are not wanted.
Evaluate = Callable[[Floats, bool], tuple[float, Floats | None, Floats | None]]

REACH = 0.8  # part of the way to a bound that one step may go; the last step may go all of it


@dataclass(frozen=True, eq=False)
class Descent:
    """Where a descent ended.

    Attributes
    ----------
    x : (n,) array
    cost : float
        The statistic at ``x``.
    gradient, curvature : (n,), (n, n) arrays
        Half gradient and Gauss-Newton curvature at ``x``.
    converged : bool
        The expected further gain is below the tolerance.
    message : str
    evaluations : int
    """

    x: Floats
    cost: float
    gradient: Floats
    curvature: Floats
    converged: bool
    message: str
    evaluations: int


def descend(
    evaluate: Evaluate,
    start: Floats,
    low: Floats,
    high: Floats,
    *,
    tolerance: float = 1e-6,
    relative: bool = False,
    dof: int = 1,
    floor: float = 0.0,
    max_evaluations: int = 500,
    progress: Progress = silent,
    doing: str = "fitting",
) -> Descent:
    """Lower a statistic from ``start`` inside the box ``low`` to ``high``.

    It ends when the gain that a full Gauss-Newton step promises (the statistic's distance to its
    minimum) is below ``tolerance``: in units of the statistic where the noise is known, so that
    1e-6 is a thousandth of a standard error; times ``cost / dof`` with ``relative=True``, where
    it is not. So the end does not depend on the unit of data or parameters.

    Parameters
    ----------
    evaluate : callable
        See `Evaluate`. It may return infinity where the model is not defined.
    start, low, high : (n,) arrays
    tolerance : float
    relative : bool
    dof : int
        Degrees of freedom, used with ``relative``.
    floor : float
        A gain below this is rounding (give about 1e-15 of the data's own sum of squares).
    max_evaluations : int
    progress : Progress
        A ``KeyboardInterrupt`` from it ends the descent at the best point so far.

    References
    ----------
    J. J. Moré, Lecture Notes in Mathematics 630, 105 (1978).

    Examples
    --------
    >>> def bowl(x, derivatives):
    ...     return float((x[0] - 3) ** 2), np.array([x[0] - 3]), np.eye(1)
    >>> box = np.array([10.0])
    >>> round(float(descend(bowl, np.array([0.0]), -box, box).x[0]), 4)
    3.0
    """
    x = np.clip(np.asarray(start, dtype=float), low, high)
    cost, gradient, curvature = _whole(evaluate, x)
    damping, growth, spent = 1e-2, 2.0, 1
    first = cost
    converged, message = False, f"stopped after {max_evaluations} evaluations"
    try:
        while spent < max_evaluations:
            progress(doing, min(0.95, spent / max_evaluations))
            unit = tolerance * (cost / max(dof, 1) if relative else 1.0) + floor
            free = ~(((x <= low) & (gradient > 0)) | ((x >= high) & (gradient < 0)))
            full = _step(x, gradient, curvature, low, high, free, 1e-13)
            promise = _gain(full, gradient, curvature)
            if promise <= unit:
                converged, message = True, f"converged after {spent} evaluations"
                trial = np.clip(x + full, low, high)
                trial_cost = evaluate(trial, False)[0]
                if trial_cost <= cost:
                    x, cost = trial, trial_cost
                break
            step = _step(x, gradient, curvature, low, high, free, damping)
            # a wild early step must not be caught by a far bound: go most of the way at most
            step = np.clip(step, REACH * (low - x), REACH * (high - x))
            gain = _gain(step, gradient, curvature)
            trial = np.clip(x + step, low, high)
            trial_cost, _, _ = evaluate(trial, False)
            spent += 1
            actual = cost - trial_cost
            if np.isfinite(trial_cost) and actual > 0:
                ratio = actual / gain if gain > 0 else 1.0
                x, (cost, gradient, curvature) = trial, _whole(evaluate, trial)
                damping = max(damping * max(0.1, 1.0 - (2.0 * ratio - 1.0) ** 3), 1e-14)
                growth = 2.0
                continue
            damping, growth = damping * growth, growth * 2.0
            if damping > 1e12 or np.array_equal(trial, x):
                # no descent left at the precision of the machine
                good = promise <= 1e3 * unit or promise <= 1e-9 * first
                converged = bool(good)
                message = (
                    f"converged to the machine's precision after {spent} evaluations"
                    if good
                    else "no descent is left, although the gradient is not zero"
                )
                break
    except KeyboardInterrupt:
        message = f"stopped by the user after {spent} evaluations; the best point so far is kept"
    return Descent(x, cost, gradient, curvature, converged, message, spent)


def _whole(evaluate: Evaluate, x: Floats) -> tuple[float, Floats, Floats]:
    cost, gradient, curvature = evaluate(x, True)
    if gradient is None or curvature is None:
        raise FloatingPointError("no derivatives at a point where the statistic is finite")
    return cost, gradient, curvature


def _gain(step: Floats, gradient: Floats, curvature: Floats) -> float:
    return float(-(2.0 * step @ gradient + step @ curvature @ step))


def _step(
    x: Floats,
    gradient: Floats,
    curvature: Floats,
    low: Floats,
    high: Floats,
    free: NDArray[np.bool_],
    damping: float,
) -> Floats:
    """Return the damped step that stays in the box: what would leave it is stopped at the wall."""
    step = np.zeros_like(x)
    open_ = free & (np.diag(curvature) > 0)
    for _ in range(x.size):
        if not open_.any():
            break
        index = np.flatnonzero(open_)
        scale = np.sqrt(np.diag(curvature)[index])
        matrix = curvature[np.ix_(index, index)] / np.outer(scale, scale)
        push = (gradient + curvature @ np.where(open_, 0.0, step))[index] / scale
        matrix.flat[:: index.size + 1] += damping
        try:
            move = -np.linalg.solve(matrix, push) / scale
        except np.linalg.LinAlgError:
            move = -(np.linalg.pinv(matrix) @ push) / scale
        beyond = (x[index] + move > high[index]) | (x[index] + move < low[index])
        step[index] = move
        if not beyond.any():
            break
        wall = index[beyond]
        step[wall] = np.clip(x[wall] + step[wall], low[wall], high[wall]) - x[wall]
        open_[wall] = False
    return step
