"""The whole result at the end of a descent: errors, spectra, remarks on what is doubtful."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from heterodot.fitting import Fit, Parameter
from heterodot.fitting.assess import Errors, errors_of
from heterodot.fitting.descent import Descent
from heterodot.probes.ta.problem import Problem
from heterodot.probes.ta.projection import Solution
from heterodot.probes.ta.scheme import Scheme, parallel

Floats = NDArray[np.float64]


def conclude(
    problem: Problem, end: Descent, warnings: Sequence[str], extra: Mapping[str, object]
) -> Fit:
    """Return the whole result at the end of a descent."""
    projection, free = problem.projection, problem.free
    values = problem.values(end.x)
    by_name = {p.name: p for p in problem.parameters}
    low = np.array([problem.inner(n, by_name[n].low) for n in free])
    high = np.array([problem.inner(n, by_name[n].high) for n in free])
    known = all(m.known for m in projection.matrices)
    dof = projection.points - projection.amplitudes_used - len(free)
    scale = 1.0 if known else end.cost / dof
    bad = errors_of(free, end, low, high, scale)
    slope = np.array([values[n] if n in problem.logarithmic else 1.0 for n in free])
    covariance = None if bad.covariance is None else bad.covariance * np.outer(slope, slope)
    parameters = _parameters(problem, values, free, covariance, bad)
    notes = [n for m in projection.matrices for n in m.notes]
    remarks = [*bad.warnings, *_remarks(problem, parameters, values)]
    if not end.converged:
        remarks.insert(0, f"not converged: {end.message}")
    _, _, _, solution = projection.evaluate(values, free, True, solution=True)
    assert solution is not None
    if isinstance(problem.scheme, Scheme) and _is_parallel(problem.scheme):
        parameters = _lifetimes_sorted(problem, parameters)
    else:
        parameters |= _lifetimes(problem, parameters)
    content = _spectra(problem, solution, covariance, free, scale, values)
    remarks += _residual_remarks(problem, solution, scale)
    residual = np.concatenate([r.ravel() for r in solution.residuals])
    n = projection.points
    likelihood = -0.5 * end.cost if known else -0.5 * n * (np.log(max(end.cost, 1e-300) / n) + 1.0)
    total = projection.amplitudes_used + len(free)
    return Fit(
        model=_title(problem.scheme),
        parameters=parameters,
        covariance=covariance,
        free=free,
        converged=end.converged,
        message=end.message,
        statistic="chi2" if known else "squares",
        cost=end.cost,
        points=n,
        dof=dof,
        log_likelihood=float(likelihood),
        residual=residual,
        warnings=tuple(dict.fromkeys([*warnings, *remarks])),
        extra={
            **content,
            **extra,
            "problem": problem,
            "notes": notes,
            "evaluations": end.evaluations,
            "amplitudes": projection.amplitudes_used,
            "bic_with_amplitudes": float(total * np.log(n) - 2.0 * likelihood),
            "noise_scale": float(np.sqrt(scale)),
        },
    )


def _is_parallel(scheme: Scheme) -> bool:
    return scheme == parallel(len(scheme.rates), scheme.time_unit)


def _title(scheme: Scheme) -> str:
    if _is_parallel(scheme):
        return f"{len(scheme.rates)} independent decays"
    return "target model " + "; ".join(str(scheme).splitlines())


def _parameters(
    problem: Problem,
    values: Mapping[str, float],
    free: Sequence[str],
    covariance: Floats | None,
    bad: Errors,
) -> dict[str, Parameter]:
    done: dict[str, Parameter] = {}
    for p in problem.parameters:
        error, note = None, p.note
        if p.name in free:
            k = list(free).index(p.name)
            variance = np.nan if covariance is None else covariance[k, k]
            error = float(np.sqrt(variance)) if variance >= 0 else None
            note = bad.notes.get(k, p.note)
        done[p.name] = replace(p, value=values[p.name], error=error, note=note)
    return done


def _lifetimes(problem: Problem, parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """Return 1/k of every rate, named ``tau(k)``."""
    out: dict[str, Parameter] = {}
    for rate in problem.scheme.rates:
        p = parameters[rate.name]
        if p.value > 0:
            error = None if p.error is None else p.error / p.value**2
            name = f"tau({rate.name})"
            out[name] = Parameter(
                name, 1.0 / p.value, problem.scheme.time_unit, error, fixed=p.fixed, note=p.note
            )
    return out


def _lifetimes_sorted(
    problem: Problem, parameters: Mapping[str, Parameter]
) -> dict[str, Parameter]:
    """Return all parameters with ``tau_i`` beside ``k_i``."""
    out = dict(parameters)
    for i, rate in enumerate(problem.scheme.rates, 1):
        p = parameters[rate.name]
        error = None if p.error is None else p.error / p.value**2
        out[f"tau_{i}"] = Parameter(
            f"tau_{i}", 1.0 / p.value, problem.scheme.time_unit, error, note=p.note
        )
    return out


def _remarks(
    problem: Problem, parameters: Mapping[str, Parameter], values: Mapping[str, float]
) -> list[str]:
    """Return warnings on lifetimes beyond the window or within the response, and run-aways."""
    out: list[str] = []
    matrices, setups = problem.projection.matrices, problem.projection.setups
    unit = problem.scheme.time_unit
    window = max(float(m.time[-1]) for m in matrices)
    response = min((values[s.width] for s in setups if s.width), default=0.0)
    for rate in problem.scheme.rates:
        p = parameters[rate.name]
        if p.fixed or p.value <= 0:
            continue
        tau = 1.0 / p.value
        if tau > window:
            out.append(
                f"{p.name}: lifetime {tau:.4g} {unit} is longer than the last delay "
                f"({window:.4g} {unit}); it is a lower limit at best"
            )
        if response and tau < 0.3 * response:
            out.append(
                f"{p.name}: lifetime {tau:.4g} {unit} is far inside the response "
                f"({response:.4g} {unit}); it may stand for a coherent artefact"
            )
        if p.error is not None and p.error > 0.5 * p.value:
            out.append(f"{p.name} has an error of {100 * p.error / p.value:.0f} %: run-away")
    return out


def _residual_remarks(problem: Problem, solution: Solution, scale: float) -> list[str]:
    from heterodot.fitting import autocorrelation_test

    out = []
    for m, r in zip(problem.projection.matrices, solution.residuals, strict=True):
        some = r[:: max(1, r.shape[0] // 100)]
        z = np.array(
            [autocorrelation_test(row[row != 0], 4) for row in some if (row != 0).sum() > 20]
        )
        z = z[np.isfinite(z)]
        if z.size and float(np.mean(z > 4.0)) > 0.1:
            tag = f" of '{m.name}'" if m.name else ""
            out.append(
                f"residuals{tag} are not random at {100 * np.mean(z > 4.0):.0f} % of the "
                "wavelengths: the model is incomplete and errors are too small"
            )
        if m.known and scale == 1.0:
            reduced = float((r * r).sum() / max(m.mask.sum(), 1))
            if reduced > 1.5:
                out.append(f"residuals are {np.sqrt(reduced):.2g} times the stated noise")
    return out


def _spectra(
    problem: Problem,
    solution: Solution,
    covariance: Floats | None,
    free: Sequence[str],
    scale: float,
    values: Mapping[str, float],
) -> dict[str, object]:
    """Return species' spectra with errors, decay-associated spectra, residuals and models."""
    projection, scheme = problem.projection, problem.scheme
    n = len(scheme.species)
    variance = solution.variance * scale
    if covariance is not None:
        ok = np.flatnonzero(np.isfinite(np.diag(covariance)))
        part = solution.response[:, :, ok]
        variance = variance + np.einsum(
            "glp,pq,glq->gl", part, covariance[np.ix_(ok, ok)], part, optimize=True
        )
    first = projection.matrices[0]
    rates, weights = scheme.modes(first.name, values)
    content: dict[str, object] = {
        "wavelength": projection.wavelength,
        "species": list(scheme.species),
        "spectra": solution.amplitudes[:, :n].T,
        "spectra_error": np.sqrt(variance[:, :n]).T,
        "mode_rates": rates,
        "decay_associated": weights @ solution.amplitudes[:, :n].T,
        "unit": first.unit,
        "time_unit": scheme.time_unit,
        "datasets": {},
    }
    column = n
    sets: dict[str, dict[str, object]] = {}
    for b, m in enumerate(projection.matrices):
        s = projection.setups[b]
        at = np.searchsorted(projection.wavelength, np.round(m.wavelength, 6))
        sigma = m.sigma if m.sigma.ndim == 2 else np.broadcast_to(m.sigma, m.values.shape)
        residual = solution.residuals[b][at].T
        zero = projection.zero(b, values)[at]
        rates, weights = scheme.modes(m.name, values)
        sets[m.name] = {
            "time": m.time,
            "wavelength": m.wavelength,
            "data": np.where(m.mask, m.values, np.nan),
            "model": np.where(m.mask, m.values - residual * sigma, np.nan),
            "residual": residual,
            "time_zero": zero,
            "populations": weights.T @ np.exp(-np.outer(rates, np.maximum(m.time, 0.0))),
            "artefact": solution.amplitudes[at][:, column : column + s.artefact].T,
        }
        column += s.artefact
        if s.offset:
            sets[m.name]["offset"] = solution.amplitudes[at][:, column]
            column += 1
    content["datasets"] = sets
    return content
