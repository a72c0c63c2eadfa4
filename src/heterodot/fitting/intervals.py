"""Intervals that need no parabola: profile likelihood and bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import HeterodotError, InputError
from heterodot.fitting.result import Fit, Parameter
from heterodot.progress import Progress, silent

Floats = NDArray[np.float64]


def profile(
    refit: Callable[[Sequence[Parameter]], Fit],
    fit: Fit,
    names: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    progress: Progress = silent,
) -> Fit:
    """Return the fit with profile-likelihood intervals.

    A parameter is held at a value, all others are fitted again, and the ends of its interval are
    where the statistic has risen by the quantile of chi-square (or of F, where the noise came
    from the residual). Asymmetric intervals and one-sided limits come out as they are.

    Parameters
    ----------
    refit : callable
        Parameters (some fixed) -> Fit, e.g. ``lambda p: least_squares(model, p, data)``.
    fit : Fit
        Its best fit.
    names : sequence of str, optional
        Free parameters to profile; all if None.
    level : float
        Probability, 0.95 for the field ``interval``.

    Returns
    -------
    Fit
        With ``interval`` set on the parameters; an end that the data do not limit is infinite or
        the bound. A profile that finds a better fit says so in the warnings.

    References
    ----------
    D. J. Venzon and S. H. Moolgavkar, Appl. Stat. 37, 87 (1988).

    Examples
    --------
    >>> from heterodot.fitting import least_squares
    >>> x = np.arange(6.0)
    >>> refit = lambda p: least_squares(lambda v: v["b"] * x, p, 2 * x, sigma=1.0)
    >>> found = profile(refit, refit([Parameter("b", 1.0)]))
    >>> low, high = found["b"].interval
    >>> round((high - low) / 2 / found["b"].error, 2)
    1.96
    """
    from scipy.stats import chi2, f

    chosen = list(names) if names is not None else list(fit.free)
    for name in chosen:
        if name not in fit.free:
            raise InputError(f"'{name}' is not a free parameter", remedy="profile a free one")
    if fit.statistic == "squares":
        rise = fit.cost / max(fit.dof, 1) * float(f.ppf(level, 1, max(fit.dof, 1)))
    else:
        rise = float(chi2.ppf(level, 1))
    done = dict(fit.parameters)
    warnings = list(fit.warnings)
    for count, name in enumerate(chosen):
        ends: list[float] = []
        for side in (-1, 1):
            progress(f"profiling {name}", (count + (side > 0) / 2) / len(chosen))
            end, better = _edge(refit, fit, name, side, rise)
            ends.append(end)
            if better:
                text = f"the profile of {name} found a better fit; start again from there"
                if text not in warnings:
                    warnings.append(text)
        done[name] = replace(done[name], interval=(min(ends), max(ends)))
    return replace(fit, parameters=done, warnings=tuple(warnings))


def _edge(
    refit: Callable[[Sequence[Parameter]], Fit], fit: Fit, name: str, side: int, rise: float
) -> tuple[float, bool]:
    """Return where the statistic has risen by ``rise``, and whether a better fit turned up."""
    best = fit[name]
    sigma = best.error if best.error else 0.1 * abs(best.value) or 1.0
    bound = best.high if side > 0 else best.low
    held = [p for p in fit.parameters.values() if p.name in fit.free or p.fixed]
    others = {p.name: p for p in held}
    better = False

    def height(value: float) -> float:
        nonlocal better
        trial = [replace(p, value=value, fixed=True) if n == name else p for n, p in others.items()]
        if all(p.fixed for p in trial):
            trial_fit = _only(refit, trial, name, value)
        else:
            trial_fit = refit(trial)
        for n in others:
            if n != name and n in trial_fit.free:
                others[n] = replace(others[n], value=trial_fit[n].value)
        gain = trial_fit.cost - fit.cost
        better = better or gain < -1e-3 * rise
        return float(np.sqrt(max(gain, 0.0)))

    target = float(np.sqrt(rise))
    last, last_height = best.value, 0.0
    reach = target / np.sqrt(rise if fit.statistic != "squares" else 3.84) * 1.96 * sigma
    for _ in range(40):
        point = last + side * reach
        if (point - bound) * side >= 0:
            point = bound
        level = height(point)
        if level >= target:
            return _between(height, last, last_height, point, level, target), better
        if point == bound:
            return float(bound), better
        slope = (level - last_height) / abs(point - last)
        last, last_height = point, level
        reach = (
            min(max((target - level) / slope, 0.1 * reach), 3 * reach) if slope > 0 else 2 * reach
        )
        if best.error and abs(last - best.value) > 1e4 * sigma:
            break
    return float(side * np.inf), better


def _only(
    refit: Callable[[Sequence[Parameter]], Fit], trial: list[Parameter], name: str, value: float
) -> Fit:
    """Evaluate at a point when the profiled parameter is the only one: a box too small to move."""
    width = 1e-9 * max(abs(value), 1e-12)
    boxed = [
        replace(p, fixed=False, low=value - width, high=value + width) if p.name == name else p
        for p in trial
    ]
    return refit(boxed)


def _between(
    height: Callable[[float], float], a: float, fa: float, b: float, fb: float, target: float
) -> float:
    """Return the crossing between two points by the Illinois method."""
    fa, fb = fa - target, fb - target
    for _ in range(25):
        c = b - fb * (b - a) / (fb - fa)
        fc = height(c) - target
        if abs(fc) < 2e-3 * target:
            return float(c)
        if fc * fb < 0:
            a, fa = b, fb
        else:
            fa *= 0.5
        b, fb = c, fc
    return float(b)


def bootstrap(
    refit: Callable[[Floats], Fit],
    fit: Fit,
    *,
    draws: int = 200,
    seed: int = 0,
    level: float = 0.95,
    method: str = "auto",
    progress: Progress = silent,
) -> Fit:
    """Return the fit with bootstrap intervals and standard errors.

    Parameters
    ----------
    refit : callable
        New data of the same size -> Fit (started from the best values).
    fit : Fit
        The best fit, with ``data``, ``model_values`` and ``residual``.
    draws : int
    seed : int
    method : {"auto", "parametric", "residual"}
        ``parametric`` draws new noise around the model (Poisson, or normal of the known size);
        ``residual`` draws from the residuals; ``auto`` takes the first where the noise is known.

    Returns
    -------
    Fit
        ``error`` and ``interval`` from the draws; ``extra["bootstrap"]`` holds every draw,
        an array (n_drawn, n_free). Draws that did not converge are left out and counted.

    References
    ----------
    B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap (Chapman and Hall, 1993).

    Examples
    --------
    >>> from heterodot.fitting import poisson
    >>> refit = lambda y: poisson(lambda p: np.full(50, p["m"]), [Parameter("m", 8.0, low=0)], y)
    >>> found = bootstrap(refit, refit(np.full(50, 9.0)), draws=100)
    >>> bool(0.3 < found["m"].error < 0.55)
    True
    """
    if fit.model_values is None or fit.residual is None or fit.data is None:
        raise InputError("the fit keeps no data to draw from", remedy="use profile errors")
    known = fit.statistic in ("poisson", "chi2")
    chosen = method if method != "auto" else ("parametric" if known else "residual")
    if chosen not in ("parametric", "residual") or (chosen == "parametric" and not known):
        raise InputError(
            f"bootstrap '{method}' does not fit the statistic '{fit.statistic}'",
            remedy="use method='residual'",
        )
    rng = np.random.default_rng(seed)
    value, residual = fit.model_values, fit.residual
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.where(residual != 0, (fit.data - value) / residual, 1.0)
    # small samples: residuals are narrower than the noise by the parameters that were fitted
    wider = np.sqrt(fit.points / max(fit.dof, 1))
    rows: list[list[float]] = []
    failed = 0
    for k in range(draws):
        progress("bootstrap", k / draws)
        if fit.statistic == "poisson" and chosen == "parametric":
            new = rng.poisson(np.maximum(value, 0.0)).astype(float)
        elif chosen == "parametric":
            new = value + spread * rng.standard_normal(value.shape)
        else:
            centered = residual - residual.mean()
            new = value + spread * wider * rng.choice(centered.ravel(), size=value.shape)
        try:
            found = refit(new)
        except HeterodotError:
            failed += 1
            continue
        if not found.converged:
            failed += 1
            continue
        rows.append([found[n].value for n in fit.free])
    return from_draws(fit, rows, failed, level=level)


def changed(parameters: Sequence[Parameter], trial: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """Return parameters with the values, and what is fixed, of those of the same name in a trial."""
    given = {p.name: p for p in trial}
    return tuple(
        replace(p, value=given[p.name].value, fixed=given[p.name].fixed) if p.name in given else p
        for p in parameters
    )


def from_draws(
    fit: Fit, rows: Sequence[Sequence[float]], failed: int, *, level: float = 0.95
) -> Fit:
    """Return the fit with errors and intervals of its free parameters from refitted draws.

    Parameters
    ----------
    fit : Fit
        The fit that was drawn from.
    rows : (n_draws, n_free)
        Free parameters of each draw that converged, in the order of ``fit.free``.
    failed : int
        Draws that did not.
    level : float
        Probability of the intervals.

    Returns
    -------
    Fit
        With ``extra["bootstrap"]`` holding the draws.

    Raises
    ------
    InputError
        Fewer than 10 draws converged.
    """
    draws = len(rows) + failed
    if len(rows) < 10:
        raise InputError(
            f"only {len(rows)} of {draws} draws could be fitted", remedy="use fewer parameters"
        )
    table = np.array(rows)
    tail = 100.0 * (1.0 - level) / 2.0
    low, high = np.percentile(table, [tail, 100.0 - tail], axis=0)
    done = dict(fit.parameters)
    for k, name in enumerate(fit.free):
        done[name] = replace(
            done[name],
            error=float(table[:, k].std(ddof=1)),
            interval=(float(low[k]), float(high[k])),
        )
    warnings = fit.warnings
    if failed:
        warnings = (*warnings, f"{failed} of {draws} bootstrap draws did not converge")
    return replace(fit, parameters=done, warnings=warnings, extra={**fit.extra, "bootstrap": table})
