"""Profile and bootstrap errors of a transient-absorption fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from heterodot.errors import InputError
from heterodot.fitting import Fit, Parameter
from heterodot.fitting import profile as profile_of
from heterodot.fitting.intervals import changed, from_draws
from heterodot.probes.ta.conclusion import conclude
from heterodot.probes.ta.problem import Problem, solve
from heterodot.probes.ta.projection import Projection
from heterodot.progress import Progress, silent


def _problem(fit: Fit) -> Problem:
    problem = fit.extra.get("problem")
    if not isinstance(problem, Problem):
        raise InputError("the fit does not hold its problem", remedy="pass the result of ta.fit")
    return problem


def profile(
    fit: Fit,
    names: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    progress: Progress = silent,
) -> Fit:
    """Return the fit with profile-likelihood intervals of its rates (all of them if None)."""
    problem = _problem(fit)
    chosen = names or [p.name for p in problem.scheme.rates if not p.fixed]

    def refit(parameters: Sequence[Parameter]) -> Fit:
        given = {p.name: p for p in parameters}
        trial = replace(problem, parameters=changed(problem.parameters, parameters))
        end = solve(trial)
        return replace(
            fit,
            cost=end.cost,
            free=trial.free,
            parameters={
                n: replace(p, value=trial.values(end.x)[n])
                for n, p in fit.parameters.items()
                if n in trial.free or n in given
            },
        )

    return profile_of(refit, fit, chosen, level=level, progress=progress)


def bootstrap(
    fit: Fit, *, draws: int = 100, seed: int = 0, level: float = 0.95, progress: Progress = silent
) -> Fit:
    """Return the fit with bootstrap errors: new normal noise of the found size around the model.

    ``extra["bootstrap"]`` holds every draw (n_draws, n_free) and ``extra["spectra_bootstrap"]``
    the standard deviation of the species' spectra.
    """
    problem = _problem(fit)
    rng = np.random.default_rng(seed)
    sets = fit.extra["datasets"]
    scale = 1.0 if fit.statistic == "chi2" else float(fit.extra["noise_scale"])
    rows, spectra = [], []
    failed = 0
    for k in range(draws):
        progress("bootstrap", k / draws)
        matrices = []
        for m in problem.projection.matrices:
            sigma = m.sigma if m.sigma.ndim == 2 else np.broadcast_to(m.sigma, m.values.shape)
            model = np.where(m.mask, sets[m.name]["model"], 0.0)
            new = model + scale * sigma * rng.standard_normal(model.shape)
            matrices.append(replace(m, values=np.where(m.mask, new, 0.0)))
        old = problem.projection
        projection = Projection(
            matrices, old.setups, old.modes, old.species, old.kinetic, old.absent
        )
        started = tuple(replace(p, value=fit[p.name].value) for p in problem.parameters)
        trial = replace(problem, projection=projection, parameters=started)
        end = solve(trial)
        if not end.converged:
            failed += 1
            continue
        rows.append([trial.values(end.x)[n] for n in fit.free])
        found = conclude(trial, end, (), {})
        spectra.append(found.extra["spectra"])
    done = from_draws(fit, rows, failed, level=level)
    spread = np.std(spectra, axis=0, ddof=1)
    return replace(done, extra={**done.extra, "spectra_bootstrap": spread})
