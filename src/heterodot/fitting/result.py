"""Parameters and what a fit says of them: values, errors, correlations, and how it ended."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.units import Value, format_error


@dataclass(frozen=True)
class Parameter:
    """A model parameter: start value before a fit, value with error after it.

    Attributes
    ----------
    name : str
    value : float
        In ``unit``.
    unit : str
    error : float or None
        Standard error; None before a fit, for a fixed parameter, or where none could be had.
    low, high : float
        Bounds.
    fixed : bool
        Held at ``value``.
    interval : (low, high) or None
        95 % interval where a profile or bootstrap gave one (it may be asymmetric).
    note : str
        What the user must know: ``"at its upper bound"``, ``"not determined by the data"``.
    """

    name: str
    value: float
    unit: str = ""
    error: float | None = None
    low: float = -math.inf
    high: float = math.inf
    fixed: bool = False
    interval: tuple[float, float] | None = None
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse empty bounds."""
        if not self.low < self.high:
            raise InputError(f"bounds {self.low} and {self.high} leave no room", place=self.name)

    def to_json(self) -> dict[str, Any]:
        """Return value, error, unit and notes as plain data."""
        reason = self.note or ("held fixed" if self.fixed else "could not be determined")
        document = Value(self.value, self.unit, self.error, reason).to_json()
        document["fixed"] = self.fixed
        if self.interval is not None:
            document["interval_95"] = [float(x) for x in self.interval]
        if self.note:
            document["note"] = self.note
        return document

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit and self.unit != "1" else ""
        tail = " (fixed)" if self.fixed else f" ({self.note})" if self.note else ""
        return f"{self.name} = {format_error(self.value, self.error)}{unit}{tail}"


@dataclass(frozen=True, eq=False)
class Fit:
    """The whole result of a fit; it never is a bare number.

    Attributes
    ----------
    model : str
        What was fitted, in words.
    parameters : mapping of name to Parameter
        All of them, fixed ones and derived ones too.
    covariance : (n_free, n_free) array or None
        Of the free parameters in the order of ``free``; None where it could not be had.
    free : tuple of str
        Names of the free parameters.
    converged : bool
        Whether the optimizer met its tolerance.
    message : str
        How it ended.
    statistic : str
        ``"chi2"`` (weighted squares), ``"squares"`` (unknown noise) or ``"poisson"`` (deviance).
    cost : float
        The statistic's value at the end.
    points, dof : int
        Data points and degrees of freedom.
    log_likelihood : float
        Natural logarithm at the end (up to a constant of the data).
    data, model_values, residual : array or None
        As fitted; ``residual`` is weighted where weights are known.
    warnings : tuple of str
        Bounds hit, degenerate parameters, residuals that are not random...
    extra : mapping
        Plain data or arrays particular to the model (species spectra, components...).
    """

    model: str
    parameters: Mapping[str, Parameter]
    covariance: NDArray[np.float64] | None
    free: tuple[str, ...]
    converged: bool
    message: str
    statistic: str
    cost: float
    points: int
    dof: int
    log_likelihood: float = float("nan")
    data: NDArray[np.float64] | None = None
    model_values: NDArray[np.float64] | None = None
    residual: NDArray[np.float64] | None = None
    warnings: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Parameter:
        if name not in self.parameters:
            from heterodot.errors import nearest

            raise InputError(
                f"the fit has no parameter '{name}'",
                remedy=f"choose among {', '.join(nearest(name, self.parameters) or self.parameters)}",
            )
        return self.parameters[name]

    @property
    def reduced(self) -> float:
        """Statistic per degree of freedom (about one for a right model and right weights)."""
        return self.cost / self.dof if self.dof > 0 else float("nan")

    @property
    def aic(self) -> float:
        """Akaike information criterion (corrected for few points), from the log-likelihood."""
        k, n = len(self.free), self.points
        correction = 2 * k * (k + 1) / (n - k - 1) if n - k - 1 > 0 else math.inf
        return 2 * k - 2 * self.log_likelihood + correction

    @property
    def bic(self) -> float:
        """Bayesian information criterion, from the log-likelihood."""
        return len(self.free) * math.log(max(self.points, 1)) - 2 * self.log_likelihood

    @property
    def correlation(self) -> NDArray[np.float64] | None:
        """Correlation matrix of the free parameters, (n_free, n_free)."""
        if self.covariance is None:
            return None
        sigma = np.sqrt(np.diag(self.covariance))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.covariance / np.outer(sigma, sigma), dtype=float)

    def to_json(self) -> dict[str, Any]:
        """Return everything but the arrays as plain data."""
        return {
            "model": self.model,
            "converged": self.converged,
            "message": self.message,
            "statistic": self.statistic,
            "cost": _finite(self.cost),
            "reduced": _finite(self.reduced),
            "points": self.points,
            "dof": self.dof,
            "log_likelihood": _finite(self.log_likelihood),
            "aic": _finite(self.aic),
            "bic": _finite(self.bic),
            "parameters": {k: p.to_json() for k, p in self.parameters.items()},
            "free": list(self.free),
            "correlation": None if self.correlation is None else self.correlation.tolist(),
            "warnings": list(self.warnings),
        }

    def __str__(self) -> str:
        head = f"{self.model}: {'converged' if self.converged else 'NOT CONVERGED'}, {self.message}"
        lines = [head, *(f"  {p}" for p in self.parameters.values())]
        lines.append(
            f"  {self.statistic} = {self.cost:.6g}, dof = {self.dof}, ratio = {self.reduced:.4g}"
        )
        return "\n".join([*lines, *(f"  warning: {w}" for w in self.warnings)])


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None
