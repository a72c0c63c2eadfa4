"""Profile and bootstrap errors of a decay's fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.fitting import Fit, Parameter
from heterodot.fitting import bootstrap as bootstrap_of
from heterodot.fitting import profile as profile_of
from heterodot.fitting.intervals import changed
from heterodot.probes.decay.exponentials import Posed, conclude, solve
from heterodot.progress import Progress, silent

Floats = NDArray[np.float64]


def profile(
    found: Fit,
    names: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    progress: Progress = silent,
) -> Fit:
    """Return a decay's fit with profile-likelihood intervals (of the lifetimes if None)."""
    posed = problem_of(found)
    chosen = names or [n for n in found.free if n.startswith("tau_")]

    def refit(parameters: Sequence[Parameter]) -> Fit:
        return _refit(posed, parameters)

    return profile_of(refit, found, chosen, level=level, progress=progress)


def bootstrap(found: Fit, *, draws: int = 100, seed: int = 0, progress: Progress = silent) -> Fit:
    """Return a decay's fit with bootstrap errors (new counting noise around the model)."""
    posed = problem_of(found)

    def refit(counts: Floats) -> Fit:
        parts, at = [], 0
        for h in posed.histograms:
            parts.append(replace(h, counts=counts[at : at + h.counts.size]))
            at += h.counts.size
        return _refit(replace(posed, histograms=tuple(parts)), posed.parameters)

    return bootstrap_of(refit, found, draws=draws, seed=seed, progress=progress)


def problem_of(found: Fit) -> Posed:
    """Return the posed problem that a fit keeps."""
    posed = found.extra.get("problem")
    if not isinstance(posed, Posed):
        raise InputError("the fit does not hold its problem", remedy="pass the result of fit")
    return posed


def _refit(posed: Posed, parameters: Sequence[Parameter]) -> Fit:
    trial = replace(posed, parameters=changed(posed.parameters, parameters))
    return conclude(trial, solve(trial, 200, silent))
