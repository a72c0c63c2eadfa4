"""Least squares and Poisson likelihood over named parameters, each ending in a whole `Fit`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.errors import InputError
from heterodot.fitting.assess import check_parameters, errors_of, finished
from heterodot.fitting.descent import Descent, descend
from heterodot.fitting.result import Fit, Parameter
from heterodot.progress import Progress, silent

Floats = NDArray[np.float64]
Model = Callable[[Mapping[str, float]], Floats]
# values -> {free name: derivative of the model, same shape as the data}
Jacobian = Callable[[Mapping[str, float]], Mapping[str, Floats]]


class _Problem:
    """A model of named parameters seen as a function of the vector of its free ones."""

    def __init__(
        self, model: Model, parameters: Sequence[Parameter], shape: int, jacobian: Jacobian | None
    ) -> None:
        self.parameters = check_parameters(parameters)
        self.free = tuple(p.name for p in self.parameters if not p.fixed)
        self.start = np.array([p.value for p in self.parameters if not p.fixed])
        self.low = np.array([p.low for p in self.parameters if not p.fixed])
        self.high = np.array([p.high for p in self.parameters if not p.fixed])
        self._model, self._jacobian, self._shape = model, jacobian, shape
        self._steps = self._first_steps()

    def _first_steps(self) -> Floats:
        room = np.where(np.isfinite(self.high - self.low), 1e-2 * (self.high - self.low), 1.0)
        return 1e-6 * np.where(self.start != 0, np.abs(self.start), room)

    def values(self, x: Floats) -> dict[str, float]:
        held = {p.name: p.value for p in self.parameters}
        held.update(zip(self.free, map(float, x), strict=True))
        return held

    def model(self, x: Floats) -> Floats:
        y = np.asarray(self._model(self.values(x)), dtype=float).ravel()
        if y.size != self._shape:
            raise InputError(
                f"the model gives {y.size} points for {self._shape} data points",
                remedy="evaluate it on the axis of the data",
            )
        return y

    def jacobian(self, x: Floats, y: Floats, central: bool = False) -> Floats:
        """Return the (points, n_free) derivative, by differences where none is given."""
        if self._jacobian is not None:
            given = self._jacobian(self.values(x))
            zero = np.zeros(self._shape)
            return np.stack([np.ravel(given.get(name, zero)) for name in self.free], axis=1)
        columns = np.empty((self._shape, x.size))
        for k in range(x.size):
            h = max(self._steps[k], 1e-8 * abs(x[k]), 1e-300)
            if np.isfinite(self.high[k] - self.low[k]):  # a flat direction must not leave the box
                h = min(h, 0.1 * (self.high[k] - self.low[k]))
            up = x.copy()
            room = x[k] + h <= self.high[k]
            up[k] = x[k] + h if room else x[k] - h
            if central and room and x[k] - h >= self.low[k]:
                down = x.copy()
                down[k] = x[k] - h
                columns[:, k] = (self.model(up) - self.model(down)) / (up[k] - down[k])
            else:
                columns[:, k] = (self.model(up) - y) / (up[k] - x[k])
        return columns

    def rescale(self, curvature: Floats, unit: float) -> None:
        """Set difference steps to a small part of each parameter's own standard error."""
        size = np.sqrt(np.maximum(np.diag(curvature), 1e-300) / max(unit, 1e-300))
        self._steps = np.where(np.diag(curvature) > 0, 1e-4 / size, self._steps)


def _checked(data: ArrayLike, what: str) -> Floats:
    y = np.asarray(data, dtype=float).ravel()
    if y.size == 0:
        raise InputError(f"the {what} are empty", remedy="give at least one point")
    bad = np.flatnonzero(~np.isfinite(y))
    if bad.size:
        raise InputError(
            f"{bad.size} of {y.size} {what} are not numbers (first at point {bad[0] + 1})",
            remedy="cut or mask them",
        )
    return y


def _few(points: int, free: int) -> None:
    if points < free:
        raise InputError(
            f"{points} data points cannot determine {free} parameters",
            remedy="fix some parameters or give more data",
        )


def least_squares(
    model: Model,
    parameters: Sequence[Parameter],
    data: ArrayLike,
    *,
    sigma: ArrayLike | None = None,
    name: str = "model",
    jacobian: Jacobian | None = None,
    max_evaluations: int | None = None,
    progress: Progress = silent,
) -> Fit:
    """Fit a model by (weighted) least squares inside bounds.

    Parameters
    ----------
    model : callable
        Mapping of every parameter's value to an array of the data's size.
    parameters : sequence of Parameter
        Start values, bounds, and which are fixed.
    data : array
    sigma : float or array of the data's size, optional
        One standard deviation of each point. Where it is None the noise is taken as equal on all
        points and its size from the residual, so errors are scaled by the reduced chi-square.
    name : str
    jacobian : callable, optional
        Values -> mapping of free name to derivative; differences are used where None.
    max_evaluations : int, optional
        500 if None.
    progress : Progress
        ``KeyboardInterrupt`` from it keeps the best point so far.

    Returns
    -------
    Fit
        ``converged`` is False where the tolerance was not met; bounds that were hit and
        parameters that the data do not determine are in ``warnings``.

    Raises
    ------
    InputError
        Empty or non-finite data, sigma that is not positive, fewer points than parameters, or a
        model that is not finite at the start.

    Examples
    --------
    >>> x = np.arange(5.0)
    >>> line = lambda p: p["a"] + p["b"] * x
    >>> fit = least_squares(line, [Parameter("a", 0.0), Parameter("b", 0.0)], 1 + 2 * x, sigma=0.1)
    >>> round(fit["b"].value, 6), round(fit["b"].error, 4)
    (2.0, 0.0316)
    """
    y = _checked(data, "data points")
    weight = np.ones_like(y)
    if sigma is not None:
        spread = np.broadcast_to(np.asarray(sigma, dtype=float).ravel(), y.shape)
        if not (np.isfinite(spread).all() and (spread > 0).all()):
            raise InputError("sigma must be positive everywhere", remedy="mask points without one")
        weight = 1.0 / spread
    problem = _Problem(model, parameters, y.size, jacobian)
    _few(y.size, len(problem.free))
    dof = y.size - len(problem.free)

    def evaluate(x: Floats, derivatives: bool) -> tuple[float, Floats | None, Floats | None]:
        value = problem.model(x)
        residual = (value - y) * weight
        cost = float(residual @ residual)
        if not np.isfinite(cost):
            return np.inf, None, None
        if not derivatives:
            return cost, None, None
        columns = problem.jacobian(x, value) * weight[:, None]
        curvature = columns.T @ columns
        unit = 1.0 if sigma is not None else cost / max(dof, 1)
        problem.rescale(curvature, max(unit, 1e-20 * float(y @ y) / y.size))
        return cost, columns.T @ residual, curvature

    end = _run(
        evaluate,
        problem,
        dof,
        relative=sigma is None,
        floor=1e-15 * float((y * weight) @ (y * weight)),
        max_evaluations=max_evaluations,
        progress=progress,
        name=name,
    )
    value = problem.model(end.x)
    columns = problem.jacobian(end.x, value, central=True) * weight[:, None]
    end = Descent(
        end.x,
        end.cost,
        end.gradient,
        columns.T @ columns,
        end.converged,
        end.message,
        end.evaluations,
    )
    scale = 1.0 if sigma is not None else end.cost / dof if dof > 0 else np.nan
    if sigma is not None:
        likelihood = -0.5 * end.cost + float(np.log(weight).sum())
    else:
        likelihood = -0.5 * y.size * (np.log(max(end.cost, 1e-300) / y.size) + 1.0)
    return _conclude(
        problem,
        end,
        scale,
        name,
        statistic="squares" if sigma is None else "chi2",
        log_likelihood=likelihood - 0.5 * y.size * float(np.log(2 * np.pi)) * (sigma is not None),
        data=y,
        value=value,
        residual=(y - value) * weight,
    )


def poisson(
    model: Model,
    parameters: Sequence[Parameter],
    counts: ArrayLike,
    *,
    name: str = "model",
    jacobian: Jacobian | None = None,
    max_evaluations: int | None = None,
    progress: Progress = silent,
) -> Fit:
    """Fit expected counts by maximum Poisson likelihood (Fisher scoring) inside bounds.

    Counts need not be many: there is no 1/sqrt(N) weight, so no bias where bins hold few counts.

    Parameters
    ----------
    model : callable
        Mapping of every parameter's value to expected counts, positive where counts are.
    parameters : sequence of Parameter
    counts : array
        Counts, not negative, not scaled.
    name, jacobian, max_evaluations, progress
        As in `least_squares`.

    Returns
    -------
    Fit
        ``cost`` is the deviance (Baker and Cousins), ``residual`` Pearson's;
        ``extra["deviance_expected"]`` and ``extra["deviance_z"]`` say how good it is where bins
        hold few counts and deviance per degree of freedom need not be near one.

    Raises
    ------
    InputError
        As `least_squares`, and negative counts.

    References
    ----------
    S. Baker and R. D. Cousins, Nucl. Instrum. Methods 221, 437 (1984).

    Examples
    --------
    >>> counts = np.array([9, 11, 10, 10])
    >>> fit = poisson(lambda p: np.full(4, p["mean"]), [Parameter("mean", 1.0, low=0)], counts)
    >>> round(fit["mean"].value, 3), round(fit["mean"].error, 3)
    (10.0, 1.581)
    """
    from heterodot.fitting.counting import deviance, goodness, log_likelihood

    y = check_counts(counts)
    problem = _Problem(model, parameters, y.size, jacobian)
    _few(y.size, len(problem.free))
    dof = y.size - len(problem.free)

    def evaluate(x: Floats, derivatives: bool) -> tuple[float, Floats | None, Floats | None]:
        value = problem.model(x)
        cost = deviance(y, value)
        if not np.isfinite(cost) or not derivatives:
            return cost, None, None
        columns = problem.jacobian(x, value)
        safe = np.maximum(value, 1e-300)
        curvature = (columns / np.where(value > 0, safe, np.inf)[:, None]).T @ columns
        problem.rescale(curvature, 1.0)
        gradient = columns.T @ (1.0 - np.where(value > 0, y / safe, 0.0))
        return cost, gradient, curvature

    end = _run(
        evaluate,
        problem,
        dof,
        relative=False,
        floor=1e-15 * float(y.sum()),
        max_evaluations=max_evaluations,
        progress=progress,
        name=name,
    )
    value = problem.model(end.x)
    residual = (y - value) / np.sqrt(np.maximum(value, 1e-12))
    return _conclude(
        problem,
        end,
        1.0,
        name,
        statistic="poisson",
        log_likelihood=log_likelihood(y, value),
        data=y,
        value=value,
        residual=residual,
        extra=goodness(y, value, len(problem.free)),
    )


def check_counts(counts: ArrayLike) -> Floats:
    """Return counts as floats, or refuse what cannot be counts."""
    y = _checked(counts, "counts")
    if (y < 0).any():
        raise InputError(
            f"{int((y < 0).sum())} counts are negative",
            remedy="give raw counts: fit the background instead of subtracting it",
        )
    return y


def _run(
    evaluate: Callable[[Floats, bool], tuple[float, Floats | None, Floats | None]],
    problem: _Problem,
    dof: int,
    *,
    relative: bool,
    floor: float,
    max_evaluations: int | None,
    progress: Progress,
    name: str,
) -> Descent:
    start = np.clip(problem.start, problem.low, problem.high)
    if not np.isfinite(evaluate(start, False)[0]):
        raise InputError(
            f"the {name} is not defined at the start values",
            remedy="change the start values or narrow the bounds",
        )
    return descend(
        evaluate,
        start,
        problem.low,
        problem.high,
        relative=relative,
        dof=dof,
        floor=floor,
        max_evaluations=max_evaluations or 500,
        progress=progress,
        doing=f"fitting {name}",
    )


def _conclude(
    problem: _Problem,
    end: Descent,
    scale: float,
    name: str,
    *,
    statistic: str,
    log_likelihood: float,
    data: Floats,
    value: Floats,
    residual: Floats,
    extra: Mapping[str, float] | None = None,
) -> Fit:
    bad = errors_of(problem.free, end, problem.low, problem.high, scale)
    warnings = list(bad.warnings)
    if not end.converged:
        warnings.insert(0, f"not converged: {end.message}")
    return Fit(
        model=name,
        parameters=finished(problem.parameters, problem.values(end.x), problem.free, bad),
        covariance=bad.covariance,
        free=problem.free,
        converged=end.converged,
        message=end.message,
        statistic=statistic,
        cost=end.cost,
        points=data.size,
        dof=data.size - len(problem.free),
        log_likelihood=log_likelihood,
        data=data,
        model_values=value,
        residual=residual,
        warnings=tuple(warnings),
        extra={"evaluations": end.evaluations, **(extra or {})},
    )
