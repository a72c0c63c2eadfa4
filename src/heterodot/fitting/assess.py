"""What an ended descent says of its parameters: covariance, bounds, degeneracy, residuals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.fitting.descent import Descent
from heterodot.fitting.result import Fit, Parameter

Floats = NDArray[np.float64]
# a direction in which the curvature, scaled to a unit diagonal, is below this is not determined
SINGULAR = 1e-11


@dataclass(frozen=True, eq=False)
class Errors:
    """Covariance of the free parameters and what is wrong with it.

    Attributes
    ----------
    covariance : (n, n) array or None
        NaN in the rows of parameters at a bound or not determined.
    notes : dict of index to note
    warnings : tuple of str
    """

    covariance: Floats | None
    notes: dict[int, str]
    warnings: tuple[str, ...]


def check_parameters(parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """Return the parameters if their names differ and their starts are numbers.

    Raises
    ------
    InputError
        A name twice, a start that is not a number, or nothing to fit.
    """
    chosen = tuple(parameters)
    names = [p.name for p in chosen]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"parameter '{twice[0]}' is given twice", remedy="rename one")
    for p in chosen:
        if not np.isfinite(p.value):
            raise InputError("the start value is not a number", place=p.name, remedy="give one")
    if all(p.fixed for p in chosen):
        raise InputError("every parameter is fixed", remedy="free at least one")
    return chosen


def errors_of(
    names: Sequence[str], end: Descent, low: Floats, high: Floats, scale: float = 1.0
) -> Errors:
    """Return the covariance at the end of a descent, ``scale`` times the inverse curvature."""
    n = len(names)
    notes: dict[int, str] = {}
    warnings: list[str] = []
    width = np.where(np.isfinite(high - low), high - low, np.abs(end.x) + 1e-300)
    for k in range(n):
        for side, bound in (("lower", low[k]), ("upper", high[k])):
            near = 1e-9 * max(width[k], abs(bound)) if np.isfinite(bound) else 0.0
            if np.isfinite(bound) and abs(end.x[k] - bound) <= near:
                notes[k] = f"at its {side} bound"
                warnings.append(
                    f"{names[k]} is at its {side} bound {bound:g}; widen the bound or fix it"
                )
    diagonal = np.diag(end.curvature)
    for k in range(n):
        if k not in notes and not diagonal[k] > 0:
            notes[k] = "not determined by the data (they do not depend on it)"
            warnings.append(f"the data do not depend on {names[k]}; fix it")
    keep = [k for k in range(n) if k not in notes]
    covariance = np.full((n, n), np.nan)
    while keep:
        index = np.ix_(keep, keep)
        unit = np.sqrt(diagonal[keep])
        with np.errstate(all="ignore"):
            scaled = end.curvature[index] / np.outer(unit, unit)
        none = np.full(scaled.shape, np.nan)
        values, vectors = np.linalg.eigh(scaled) if np.isfinite(scaled).all() else (none[0], none)
        if values[0] > SINGULAR * max(values[-1], 1.0):
            inverse = (vectors / values) @ vectors.T / np.outer(unit, unit)
            covariance[index] = scale * inverse
            break
        weight = np.abs(vectors[:, 0])
        lost = [keep[i] for i in np.flatnonzero(weight > 0.1 * weight.max())]
        lost = lost or list(keep)  # a curvature that is not a number determines nothing
        together = ", ".join(names[k] for k in lost)
        for k in lost:
            notes[k] = f"not determined by the data (only a combination of {together} is)"
        warnings.append(
            f"the data determine only a combination of {together}; fix or tie one of them"
        )
        keep = [k for k in keep if k not in lost]
    warnings += _correlated(names, covariance)
    return Errors(covariance if keep else None, notes, tuple(warnings))


def _correlated(names: Sequence[str], covariance: Floats) -> list[str]:
    sigma = np.sqrt(np.diag(covariance))
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = np.abs(covariance / np.outer(sigma, sigma))
    pairs = np.argwhere(np.triu(correlation, 1) > 0.99)
    return [
        f"{names[i]} and {names[j]} are correlated at {correlation[i, j]:.4f}; "
        "their errors hold only together"
        for i, j in pairs
    ]


def finished(
    parameters: Sequence[Parameter], values: Mapping[str, float], free: Sequence[str], bad: Errors
) -> dict[str, Parameter]:
    """Return the parameters with fitted values, errors and notes."""
    done: dict[str, Parameter] = {}
    for p in parameters:
        if p.name not in free:
            done[p.name] = replace(p, value=float(values[p.name]), error=None)
            continue
        k = list(free).index(p.name)
        variance = np.nan if bad.covariance is None else bad.covariance[k, k]
        error = float(np.sqrt(variance)) if variance >= 0 else None
        done[p.name] = replace(
            p, value=float(values[p.name]), error=error, note=bad.notes.get(k, p.note)
        )
    return done


def runs_test(residual: Floats) -> float:
    """Return the z score of the number of runs of equal sign (Wald and Wolfowitz, 1940).

    Strongly negative: too few runs, the residual is not random and the model is incomplete.

    Examples
    --------
    >>> bool(runs_test(np.sin(np.linspace(0, 6, 200))) < -10)
    True
    """
    signs = np.sign(np.asarray(residual).ravel())
    signs = signs[signs != 0]
    above, below = int((signs > 0).sum()), int((signs < 0).sum())
    n = above + below
    if above == 0 or below == 0 or n < 10:
        return float("nan")
    runs = 1 + int((signs[1:] != signs[:-1]).sum())
    mean = 2.0 * above * below / n + 1.0
    variance = (mean - 1.0) * (mean - 2.0) / (n - 1.0)
    return float((runs - mean) / np.sqrt(variance))


def autocorrelation_test(residual: Floats, lags: int = 10) -> float:
    """Return the z score of the summed autocorrelation over the first lags (zero if white).

    More sensitive than the runs test where counts are few and signs are lopsided.

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(size=4000)
    >>> abs(autocorrelation_test(noise)) < 4
    True
    """
    r = np.asarray(residual, dtype=float).ravel()
    r = r - r.mean()
    power = float(r @ r)
    lags = min(lags, r.size // 4)
    if power <= 0 or lags < 1:
        return float("nan")
    rho = np.array([float(r[:-lag] @ r[lag:]) / power for lag in range(1, lags + 1)])
    return float(rho.sum() * np.sqrt(r.size / lags))


def with_derived(fit: Fit, derived: Sequence[Parameter], **extra: Any) -> Fit:
    """Return the fit with derived parameters and extras added."""
    return replace(
        fit,
        parameters={**fit.parameters, **{p.name: p for p in derived}},
        extra={**fit.extra, **extra},
    )


def propagate(
    fit: Fit, name: str, gradient: Mapping[str, float], value: float, unit: str, note: str = ""
) -> Parameter:
    """Return a derived parameter with the error that the covariance gives it.

    Parameters
    ----------
    gradient : mapping of free parameter to the derivative of the derived one
    """
    row = np.array([gradient.get(free, 0.0) for free in fit.free])
    error = None
    if fit.covariance is not None:
        used = np.flatnonzero(row)
        variance = float(row[used] @ fit.covariance[np.ix_(used, used)] @ row[used])
        error = float(np.sqrt(variance)) if variance >= 0 else None
    if error is None and not note:
        note = "its error could not be had from the parameters that it is made of"
    return Parameter(name, float(value), unit, error, fixed=False, note=note)
