"""Which phases a pattern shows: forward selection among candidates, then a fit that must agree.

Every candidate is laid on the pattern at several crystallite sizes and cell parameters; the one
that explains most is taken, then the one that explains most of the rest. The whole-pattern fit then
drops those for which there is no evidence (BIC, with correlated residuals counted once).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.fitting import Fit
from heterodot.probes.xrd.amorphous import hump_of
from heterodot.probes.xrd.components import Component, HumpComponent, PhaseComponent
from heterodot.probes.xrd.fit_phases import fit, setup_for
from heterodot.probes.xrd.pattern_fit import Problem, coarse_start, shared_parameters, solve
from heterodot.probes.xrd.recorded import Recorded, recorded
from heterodot.probes.xrd.setup import XrdSetup
from heterodot.progress import Progress, silent

if TYPE_CHECKING:
    from heterodot.crystal import Crystal
    from heterodot.measurement import Measurement

Floats = NDArray[np.float64]

SIZES = (25.0, 45.0, 80.0, 200.0)
STRAINS = np.linspace(-0.015, 0.015, 7)


@dataclass(frozen=True)
class Candidate:
    """A phase that was tried on a pattern.

    Attributes
    ----------
    name, formula : str
    present : bool
        Whether the final fit kept it.
    evidence : float
        By how much BIC rises without it (phases that are there), or would fall with it.
    similarity : float
        Correlation of its best pattern with the data above the background, 0 to 1.
    """

    name: str
    formula: str
    present: bool
    evidence: float
    similarity: float


@dataclass(frozen=True, eq=False)
class Suggestion:
    """What the search found.

    Attributes
    ----------
    candidates : tuple of Candidate
        All, ranked: present ones by evidence, then the others.
    fit : Fit
        Of the phases that are there.
    """

    candidates: tuple[Candidate, ...]
    fit: Fit


def suggest(
    measurement: Measurement,
    candidates: Sequence[Crystal],
    setup: XrdSetup | None = None,
    *,
    elements: Sequence[str] | None = None,
    most: int = 5,
    progress: Progress = silent,
    **options: Any,
) -> Suggestion:
    """Return the phases that a pattern shows, ranked by evidence, and the fit with them.

    Parameters
    ----------
    measurement : Measurement
    candidates : sequence of Crystal
        The catalog's, for instance.
    setup : XrdSetup, optional
        As in `fit`.
    elements : sequence of str, optional
        Only candidates made of these.
    most : int
        Largest number of phases.
    progress : Progress
    **options
        Passed to `fit`.

    Raises
    ------
    InputError
        Data that cannot be used, or no candidates.
    NotFoundError
        None of them is in the pattern.

    Notes
    -----
    Phases of one lattice and nearly one cell (PbS and a rock salt of the same parameter) cannot be
    told apart by a pattern of broad lines; of two polymorphs of one formula the better is taken.
    """
    data = recorded(measurement)
    if "range" in options and options["range"] is not None:
        data = data.between(*options["range"])
    base, _ = setup_for(data, setup)
    chosen = [c for c in candidates if elements is None or set(c.counts) <= set(elements)]
    if not chosen:
        raise InputError(
            "no candidate is made of these elements only",
            place="elements",
            remedy="name more elements, or give phases",
        )
    picked, similarity = _forward(data, chosen, base, most, progress)
    if not picked:
        raise NotFoundError(
            f"none of {len(chosen)} candidates explains the pattern",
            remedy="check the wavelength, or give phases as CIF files",
        )
    picked = _polymorphs(data, picked, chosen, base, progress)
    result = fit(measurement, picked, setup, progress=progress, **options)
    rows = result.extra["phases"]
    ranked = []
    for crystal in chosen:
        row = rows.get(crystal.name)
        ranked.append(
            Candidate(
                crystal.name,
                crystal.formula,
                bool(row and row["present"]),
                float(row["evidence"]) if row else 0.0,
                similarity[crystal.name],
            )
        )
    ranked.sort(key=lambda c: (not c.present, -c.evidence if c.present else -c.similarity))
    return Suggestion(tuple(ranked), result)


def _forward(
    data: Recorded, crystals: Sequence[Crystal], setup: XrdSetup, most: int, progress: Progress
) -> tuple[list[Crystal], dict[str, float]]:
    """Return the phases picked one after another, and each candidate's similarity."""
    thin = max(len(data.two_theta) // 700, 1)
    few = dataclasses.replace(
        data,
        two_theta=data.two_theta[::thin],
        intensity=data.intensity[::thin],
        sigma=data.sigma[::thin],
    )
    humps: list[Component] = [
        HumpComponent(f"hump{k}", dataclasses.replace(known, position=p), setup)
        for known in [hump_of("silica")]
        for k, p in enumerate(np.linspace(*known.position_range, 4))
    ]
    shared = shared_parameters(setup)
    whole = Problem(few, humps, setup, 4, shared)
    ground = _projected(whole, whole.columns(whole.values(whole.start)))
    bank = {}
    for k, crystal in enumerate(crystals):
        progress("laying candidates on the pattern", k / len(crystals))
        bank[crystal.name] = _bank(whole, crystal, setup)
    _, bare = _nnls(ground, whole.y_left)
    size = float(np.linalg.norm(bare))
    similarity = {}
    for crystal in crystals:
        columns = bank[crystal.name]
        norm = np.linalg.norm(columns, axis=0)
        score = (columns.T @ bare) / np.where(norm > 0, norm, 1)
        similarity[crystal.name] = float(np.clip(score.max() / size, 0, 1)) if size > 0 else 0.0
    picked: list[Crystal] = []
    columns, left = ground, bare
    while len(picked) < most:
        best: tuple[float, Crystal, Floats, Floats] | None = None
        for crystal in crystals:
            if any(crystal.formula == c.formula for c in picked):
                continue
            # only the few columns that point along what is left are worth a whole solution
            own = bank[crystal.name]
            gain = (own.T @ left) / np.maximum(np.linalg.norm(own, axis=0), 1e-30)
            for j in np.argsort(-gain)[:4]:
                trial = np.column_stack([columns, own[:, j]])
                rest = _nnls(trial, whole.y_left)[1]
                chi2 = float(rest @ rest)
                if best is None or chi2 < best[0]:
                    best = (chi2, crystal, trial, rest)
        if best is None:
            break
        chi2, crystal, trial, rest = best
        # generous here: what is picked in vain is dropped by the fit, which knows the noise
        gained = float(left @ left) - chi2
        if gained < 4 * math.log(len(left)) + 10 or gained < 0.03 * chi2:
            break
        picked.append(crystal)
        # the phase brings its neighbors in size and cell, so that its misfit is not taken for more
        own = bank[crystal.name]
        columns = np.column_stack([trial, _near(own, trial[:, -1])])
        left = _nnls(columns, whole.y_left)[1]
    return picked, similarity


def _polymorphs(
    data: Recorded,
    picked: list[Crystal],
    crystals: Sequence[Crystal],
    setup: XrdSetup,
    progress: Progress,
) -> list[Crystal]:
    """Return the picked phases, each in the polymorph that fits best with the others.

    Forward selection sees one phase at a time, and an orthorhombic cell with its many lines
    can stand in for a cubic one and its neighbor; a solution with all phases decides.
    """

    def cost(phases: list[Crystal]) -> float:
        shared = shared_parameters(setup)
        parts: list[Component] = [PhaseComponent(f"p{k}", c, setup) for k, c in enumerate(phases)]
        parts.append(HumpComponent("silica", hump_of("silica"), setup))
        problem = Problem(data, parts, setup, 4, shared)
        start = coarse_start(problem, SIZES)
        solution = solve(problem, start, max_evaluations=25, progress=progress, jacobian=False)
        return solution.chi2 + len(problem.free) * math.log(len(problem.y))

    best = math.inf
    for k, phase in enumerate(picked):
        others = [c for c in crystals if c.formula == phase.formula and c.name != phase.name]
        if not others:
            continue
        if best == math.inf:
            best = cost(picked)
        for other in others:
            trial = [*picked[:k], other, *picked[k + 1 :]]
            found = cost(trial)
            if found < best:
                best, picked = found, trial
    return picked


def _near(own: Floats, column: Floats) -> Floats:
    norm = np.linalg.norm(own, axis=0) * np.linalg.norm(column)
    alike = (own.T @ column) / np.where(norm > 0, norm, 1)
    return own[:, np.argsort(-alike)[1:7]]


def _projected(problem: Problem, columns: Floats) -> Floats:
    return np.asarray(columns - problem.q @ (problem.q.T @ columns), dtype=float)


def _nnls(columns: Floats, y: Floats) -> tuple[Floats, Floats]:
    from scipy.optimize import nnls

    scale = np.linalg.norm(columns, axis=0)
    scale[scale == 0] = 1.0
    factor, _ = nnls(columns / scale, y)
    return factor / scale, y - (columns / scale) @ factor


def _bank(problem: Problem, crystal: Crystal, setup: XrdSetup) -> Floats:
    """Return a phase at several sizes and cells, background projected out, (n, n_variants)."""
    component = PhaseComponent("x", crystal, setup)
    basis = [float(np.trace(b) / np.sum(b * b)) for b in component.basis]
    values = {p.name: p.value for p in component.parameters()}
    values["x.microstrain"] = 0.0
    columns = []
    for size in SIZES:
        for strain in STRAINS:
            moved = {f"x.strain_{k + 1}": strain * b for k, b in enumerate(basis)}
            curve = component.curve(problem.data.two_theta, {**values, **moved, "x.size": size})
            columns.append(curve / problem.data.sigma)
    return _projected(problem, np.array(columns).T)
