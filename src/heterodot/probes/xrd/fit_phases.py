"""Fit a recorded powder pattern with phases or particle models: fractions, sizes, strain, cells."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.fitting import Fit, Parameter
from heterodot.probes.xrd.amorphous import hump_of
from heterodot.probes.xrd.components import (
    Component,
    HumpComponent,
    ParticleComponent,
    PhaseComponent,
)
from heterodot.probes.xrd.pattern_fit import (
    Problem,
    Solution,
    coarse_start,
    covariance_of,
    r_factors,
    shared_parameters,
    solve,
)
from heterodot.probes.xrd.recorded import Recorded, recorded
from heterodot.probes.xrd.setup import XrdSetup, lines_of
from heterodot.probes.xrd.wavelength import better_wavelength
from heterodot.progress import Progress, silent

if TYPE_CHECKING:
    from heterodot.crystal import Crystal
    from heterodot.measurement import Measurement

Floats = NDArray[np.float64]

SIZES = (25.0, 45.0, 80.0, 150.0, 400.0)
SPREAD = 0.15  # of ln(size), where nothing is known
SHAPES_SHARE = 0.25  # of the misfit that is left, which a phase must explain at least
CELL = ("a", "b", "c", "alpha", "beta", "gamma")


def fit(
    measurement: Measurement,
    phases: Sequence[Crystal] | Mapping[str, Any],
    setup: XrdSetup | None = None,
    *,
    range: tuple[float, float] | None = None,  # the field's word
    shape: str = "auto",
    spread: float | str = "auto",
    texture: Mapping[str, tuple[int, int, int]] | None = None,
    silica: bool | str = "auto",
    background: int = 4,
    refine_b: bool = True,
    refine_zero: bool = True,
    refine_displacement: bool = False,
    refine_absorption: bool = False,
    free: Sequence[str] = ("cell", "size", "microstrain"),
    drop_absent: bool = True,
    check_wavelength: bool = True,
    progress: Progress = silent,
) -> Fit:
    """Fit a whole powder pattern and say how much of each phase is there.

    Parameters
    ----------
    measurement : Measurement
        A curve over 2theta. Counts get counting errors; other values an estimate from the noise
        between neighboring points.
    phases : sequence of Crystal, or mapping of name to Crystal or particle models
        A particle model is a `Particle`, ASE atoms or a list of them; its Debye pattern is
        stretched to fit instead of refining size and strain.
    setup : XrdSetup, optional
        Lines, displacement parameters, polarization and instrument width; the range and points
        are those of the data. Without it the file's own wavelength or Cu K-alpha.
    range : (low, high), optional
        2theta in degrees to be fitted.
    shape : str
        ``"sphere"``, ``"cube"`` with (100) faces, or ``"auto"``: whichever fits a cubic phase
        better.
    spread : float or "auto"
        Standard deviation of ln(size) within a phase; ``"auto"`` starts from 0.15 and refines it
        where the shapes of the peaks ask for it.
    texture : mapping of phase to (h, k, l), optional
        Axis of a March-Dollase texture to be refined.
    silica : bool or "auto"
        Hump of fumed silica; ``"auto"`` keeps it only if the data ask for it.
    background : int
        Chebyshev terms beside one that falls as 1/s².
    refine_b, refine_zero : bool
        Refine one displacement parameter for all phases, and the zero of the angles.
    refine_displacement : bool
        Refine the sample's displacement (see `XrdSetup`); below 60 degrees it can hardly be told
        from the zero, so fix one of them.
    refine_absorption : bool
        Refine absorption times thickness (see `XrdSetup`).
    free : sequence of str
        Among ``cell``, ``size``, ``microstrain``, ``spread``.
    drop_absent : bool
        Fit again without the phases for which there is no evidence.
    check_wavelength : bool
        Where the fit is poor, look whether another wavelength would do.
    progress : Progress

    Returns
    -------
    Fit
        Parameters with errors (``PbS.weight_fraction``, ``PbS.size``, ``PbS.a``...). ``extra``
        has ``phases`` (one record each, absent ones with an upper limit), ``r_factors``,
        ``two_theta``, ``components`` (curves), ``background`` and ``unexplained`` (peaks).

    Raises
    ------
    InputError
        Data or phases that cannot be used.
    NotFoundError
        None of the phases is in the pattern.

    Notes
    -----
    Errors are from the covariance, widened by the long-run variance of the residuals, in which
    neighbors that deviate together count once. They do not hold what the model lacks: expect one
    to three percent in fractions from shapes and displacement parameters. Fractions are of the crystalline phases only; the amorphous
    hump has no scale. A phase counts as there if dropping it raises BIC by more than ten and
    its mass is above three standard errors.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> from heterodot.probes.xrd import simulate
    >>> from ase.build import bulk
    >>> dot = bulk("PbS", "rocksalt", a=5.97, cubic=True) * (7, 7, 7)
    >>> pattern = simulate(dot, XrdSetup(range=(20, 60), points=500))
    >>> found = fit(pattern, [crystal("PbS")], silica=False)
    >>> round(found["PbS.a"].value, 2)
    5.97
    """
    data = recorded(measurement)
    if range is not None:
        data = data.between(*range)
    base, remarks = setup_for(data, setup)
    warnings = [*data.notes, *remarks]
    loose = spread == "auto"
    if isinstance(spread, str) and not loose:
        raise InputError(
            f"'{spread}' is no spread of sizes", place="spread", remedy="give a number or 'auto'"
        )
    components: list[Component] = [
        *_components(
            phases, base, shape, SPREAD if loose else float(spread), texture or {}, tuple(free)
        )
    ]
    if silica:
        components.append(HumpComponent("silica", hump_of("silica"), base))
    shared = shared_parameters(base, zero=refine_zero, b=refine_b)
    problem = Problem(data, components, base, background, shared)
    progress("coarse start", 0.05)
    solution = solve(problem, coarse_start(problem, SIZES), progress=progress)
    if refine_displacement or refine_absorption:
        # nearly the same as the zero and B: freed only where the rest is right already
        more = shared_parameters(
            base,
            zero=refine_zero,
            b=refine_b,
            displacement=refine_displacement,
            absorption=refine_absorption,
        )
        problem = Problem(data, components, base, background, more)
        values = {p.name: p.value for p in problem.all} | solution.values
        begin = np.array([values[problem.names[i]] for i in problem.free])
        solution = solve(problem, begin, progress=progress)
    if shape == "auto":
        problem, solution = _shaped(problem, solution, progress)
    if loose:
        problem, solution = _spread_freed(problem, solution, progress)
    evidence = _evidence(problem, solution, progress)
    strongest = max(evidence.values())
    records = {
        c.name: _standing(problem, solution, c.name, evidence[c.name], strongest)
        for c in components
    }
    absent: list[Component] = []
    while drop_absent:
        weak = [c for c in problem.components if not _keeps(c, records[c.name]["present"], silica)]
        if not weak:
            break
        # one at a time: two phases that stand in for one another must not both go
        weakest = min(weak, key=lambda c: records[c.name]["evidence"])
        absent.append(weakest)
        rest = [c for c in problem.components if c is not weakest]
        if all(isinstance(c, HumpComponent) for c in rest):
            _nothing_found(problem, check_wavelength)
        problem = Problem(data, rest, base, background, problem.shared)
        begin = np.array([solution.values[problem.names[i]] for i in problem.free])
        solution = solve(problem, begin, progress=progress)
        again = [c.name for c in weak if c is not weakest]
        for name, value in _evidence(problem, solution, progress, again).items():
            records[name] = _standing(problem, solution, name, value, strongest)
    misfit = _misfit(problem, solution)
    if check_wavelength and misfit > 0.15:
        warnings += better_wavelength(problem, solution.chi2)
    return _report(problem, solution, records, absent, warnings, base)


def _keeps(component: Component, present: bool, silica: bool | str) -> bool:
    return present or (isinstance(component, HumpComponent) and silica is True)


def setup_for(data: Recorded, setup: XrdSetup | None) -> tuple[XrdSetup, list[str]]:
    """Return the set-up with the data's range, and remarks about the wavelength."""
    span = (float(data.two_theta[0]) - 0.6, float(data.two_theta[-1]) + 0.6)
    span = (max(span[0], 0.05), min(span[1], 179.9))
    points = len(data.two_theta)
    if setup is None:
        if data.wavelength is None:
            remark = "the file names no wavelength; Cu K-alpha was taken"
            return XrdSetup("CuKa", range=span, points=points), [remark]
        name = name_of(data.wavelength)
        return XrdSetup(name, range=span, points=points), [
            f"wavelength taken from the file: {data.wavelength:.5g} Å"
        ]
    remarks = []
    if data.wavelength is not None:
        stated = setup.mean_wavelength
        if abs(stated / data.wavelength - 1) > 0.005:
            remarks.append(
                f"the file says {data.wavelength:.5g} Å, but {stated:.5g} Å was asked for and used"
            )
    return dataclasses.replace(setup, range=span, points=points), remarks


def name_of(wavelength: float) -> str | float:
    """Return the doublet whose lines or mean are at a wavelength (Å), else the number itself.

    Examples
    --------
    >>> name_of(1.5406), name_of(1.54187), name_of(1.0332)
    ('CuKa', 'CuKa', 1.0332)
    """
    for element in ("Cu", "Mo", "Co", "Fe", "Cr", "Ag"):
        lines = lines_of(f"{element}Ka")
        mean = sum(x.wavelength * x.weight for x in lines)
        if any(abs(wavelength - v) < 3e-4 for v in (mean, lines[0].wavelength)):
            return f"{element}Ka"
    return wavelength


def _components(
    phases: Sequence[Crystal] | Mapping[str, Any],
    setup: XrdSetup,
    shape: str,
    spread: float,
    texture: Mapping[str, tuple[int, int, int]],
    free: tuple[str, ...],
) -> list[Component]:
    named = dict(phases) if isinstance(phases, Mapping) else {c.name: c for c in phases}
    if not named or (not isinstance(phases, Mapping) and len(named) != len(phases)):
        raise InputError(
            "there are no phases" if not named else "a phase is named twice",
            place="phases",
            remedy="name each phase once",
        )
    unknown = set(texture) - set(named)
    if unknown:
        raise InputError(f"'{sorted(unknown)[0]}' is not among the phases", place="texture")
    found: list[Component] = []
    from heterodot.crystal import Crystal

    for name, what in named.items():
        if "." in name or name in ("silica", "background"):
            raise InputError(f"'{name}' cannot name a phase", place="phases")
        if isinstance(what, Crystal):
            found.append(
                PhaseComponent(
                    name,
                    what,
                    setup,
                    "sphere" if shape == "auto" else shape,
                    spread,
                    texture.get(name),
                    free,
                )
            )
        else:
            bodies = [what] if hasattr(what, "positions") else list(what)
            found.append(ParticleComponent(name, bodies, setup))
    return found


def _shaped(problem: Problem, solution: Solution, progress: Progress) -> tuple[Problem, Solution]:
    """Return the problem with cubes for those cubic phases that cubes fit better."""
    for k, component in enumerate(problem.components):
        if not isinstance(component, PhaseComponent) or solution.factors[k] == 0:
            continue
        if component.crystal.symmetry.number < 195:
            continue
        cube = dataclasses.replace(component, shape="cube")
        parts = [*problem.components[:k], cube, *problem.components[k + 1 :]]
        trial = Problem(problem.data, parts, problem.setup, problem.background, problem.shared)
        values = dict(solution.values)
        values[f"{component.name}.size"] *= 0.78  # edge of a cube with the same mean column
        begin = np.array([values[trial.names[i]] for i in trial.free])
        other = solve(trial, begin, max_evaluations=12, progress=progress)
        if other.chi2 < solution.chi2 - 10:
            problem, solution = trial, other
    return problem, solution


def _spread_freed(
    problem: Problem, solution: Solution, progress: Progress
) -> tuple[Problem, Solution]:
    """Return the problem with free spreads of size, if the peaks' shapes ask for them.

    Tails between a Gaussian's and a Lorentzian's are those of a wider distribution of sizes; with
    the wrong one sizes and the shares of phases of wide lines are off.
    """
    parts: list[Component] = []
    freed = 0
    for k, c in enumerate(problem.components):
        if isinstance(c, PhaseComponent) and solution.factors[k] > 0 and "size" in c.free:
            c = dataclasses.replace(c, free=(*c.free, "spread"), kept={})
            freed += 1
        parts.append(c)
    if freed == 0:
        return problem, solution
    trial = Problem(problem.data, parts, problem.setup, problem.background, problem.shared)
    begin = np.array([solution.values[trial.names[i]] for i in trial.free])
    other = solve(trial, begin, progress=progress)
    gained = (solution.chi2 - other.chi2) / other.noise
    if gained > freed * math.log(len(problem.y)) + 10:
        return trial, other
    return problem, solution


def _without(problem: Problem, name: str) -> Problem:
    rest = [c for c in problem.components if c.name != name]
    return Problem(problem.data, rest, problem.setup, problem.background, problem.shared)


def _evidence(
    problem: Problem,
    solution: Solution,
    progress: Progress,
    names: Sequence[str] | None = None,
) -> dict[str, float]:
    """Return for each component (or those named) by how much BIC rises when it is left out.

    A quarter of the misfit that all components together leave is granted to wrong shapes: a phase
    that explains less than that may stand for the tails of another's lines.
    """
    n = len(problem.y)
    granted = SHAPES_SHARE * max(solution.chi2 - n, 0.0)
    found = {}
    for component in problem.components:
        if names is not None and component.name not in names:
            continue
        rest = _without(problem, component.name)
        begin = np.array([solution.values[rest.names[i]] for i in rest.free])
        if rest.components:
            other = solve(rest, begin, max_evaluations=15, progress=progress, jacobian=False).chi2
        else:
            other = float(rest.y_left @ rest.y_left)
        parameters = 1 + sum(not p.fixed for p in component.parameters())
        gained = (other - solution.chi2 - granted) / solution.noise
        found[component.name] = gained - parameters * math.log(n)
    return found


def _misfit(problem: Problem, solution: Solution) -> float:
    """Return what share of the structure above the background is left (0 is perfect)."""
    noise = len(problem.y)
    above = float(problem.y_left @ problem.y_left)
    return math.sqrt(max(solution.chi2 - noise, 0.0) / max(above, 1e-30))


def _standing(
    problem: Problem, solution: Solution, name: str, evidence: float, strongest: float
) -> dict[str, Any]:
    """Return mass, its error and whether a component is there.

    One whose lines are so wide that it could be the tails of others (below 1.5 nm, or strain at its
    bound) needs a hundredth of the strongest phase's evidence.
    """
    names, covariance, _ = covariance_of(solution, problem, solution.noise)
    k = [c.name for c in problem.components].index(name)
    mass = float(solution.factors[k])
    label = f"{name}.factor"
    error = math.sqrt(covariance[names.index(label), names.index(label)]) if label in names else 0
    masses = [
        f
        for f, c in zip(solution.factors, problem.components, strict=True)
        if not isinstance(c, HumpComponent)
    ]
    total = float(sum(masses)) or 1.0
    size = solution.values.get(f"{name}.size", math.inf)
    strain = solution.values.get(f"{name}.microstrain", 0.0)
    shapeless = (size < 15.0 or strain > 0.045) and evidence < 0.01 * strongest
    return {
        "present": bool(evidence > 10 and mass > 3 * error and not shapeless),
        "evidence": evidence,
        "fraction": mass / total,
        "fraction_error": error / total,
    }


def _nothing_found(problem: Problem, check_wavelength: bool) -> None:
    said = better_wavelength(problem, math.inf) if check_wavelength else []
    names = ", ".join(c.name for c in problem.components if not isinstance(c, HumpComponent))
    raise NotFoundError(
        f"none of {names} is in the pattern" + (f" ({said[0]})" if said else ""),
        remedy="check phases and wavelength, or let the catalog suggest phases",
    )


def _report(
    problem: Problem,
    solution: Solution,
    records: dict[str, dict[str, Any]],
    absent: Sequence[Component],
    warnings: list[str],
    setup: XrdSetup,
) -> Fit:
    from heterodot.probes.xrd.fit_report import background_curve, phase_records, unexplained

    n = len(problem.y)
    count = len(solution.names)
    factors = r_factors(problem, solution, count)
    names, covariance, notes = covariance_of(solution, problem, solution.noise)
    sigma = dict(zip(names, np.sqrt(np.diag(covariance)), strict=True))
    parameters: dict[str, Parameter] = {}
    for p in problem.all:
        note = notes.get(p.name, "")
        parameters[p.name] = dataclasses.replace(
            p, value=solution.values[p.name], error=sigma.get(p.name), note=note
        )
    for k, component in enumerate(problem.components):
        label = f"{component.name}.factor"
        parameters[label] = Parameter(
            label, float(solution.factors[k]), "", sigma.get(label), low=0.0
        )
    for k, value in enumerate(solution.smooth):
        label = f"background.{k}"
        parameters[label] = Parameter(label, float(value), "", sigma.get(label))
    rows, derived = phase_records(problem, solution, names, covariance, notes, records, absent)
    parameters.update(derived)
    columns = problem.columns(solution.values) * problem.data.sigma[:, None]
    smooth = background_curve(problem, solution)
    model = columns @ solution.factors + smooth
    residual = (problem.data.intensity - model) / problem.data.sigma
    warnings += _warnings(problem, solution, names, covariance, notes, factors, rows)
    peaks = unexplained(problem.data, residual, model)
    if peaks:
        listed = ", ".join(f"{p['two_theta']:.1f}" for p in peaks[:5])
        warnings.append(f"peaks at {listed} degrees are explained by no phase")
    return Fit(
        model=f"whole pattern of {', '.join(c.name for c in problem.components)}",
        parameters=parameters,
        covariance=covariance,
        free=names,
        converged=solution.converged,
        message=solution.message,
        statistic="chi2",
        cost=solution.chi2,
        points=n,
        dof=n - count,
        log_likelihood=-0.5 * solution.chi2,
        data=problem.data.intensity,
        model_values=model,
        residual=residual,
        warnings=tuple(warnings),
        extra={
            "phases": rows,
            "r_factors": factors,
            "noise": problem.data.noise,
            "two_theta": problem.data.two_theta,
            "components": {
                c.name: columns[:, k] * solution.factors[k]
                for k, c in enumerate(problem.components)
            },
            "background": smooth,
            "unexplained": peaks,
            "setup": setup.to_json(),
        },
    )


def _cells_off(rows: Mapping[str, dict[str, Any]]) -> list[str]:
    """Return a warning where cells differ from their references more than strain explains."""
    off = {n: r["cell_volume_change"] / 3 for n, r in rows.items() if "cell_volume_change" in r}
    if not off:
        return []
    mean = sum(off.values()) / len(off)
    if len(off) > 1 and abs(mean) > 0.01 and max(abs(x - mean) for x in off.values()) < 0.004:
        return [
            f"all cells are {100 * mean:+.1f} % off their references: the wavelength may be wrong "
            f"by as much, or the angles are shifted"
        ]
    return [
        f"the cell of {name} is {100 * x:+.1f} % off its reference: another phase, or a wrong "
        "wavelength"
        for name, x in off.items()
        if abs(x) > 0.015
    ]


def _large(size: Any) -> bool:
    """Return whether a size (Å) is so large that the instrument's width matters."""
    return getattr(size, "value", 0.0) > 300.0


def _warnings(
    problem: Problem,
    solution: Solution,
    names: tuple[str, ...],
    covariance: Floats,
    notes: Mapping[str, str],
    factors: Mapping[str, float],
    rows: Mapping[str, dict[str, Any]],
) -> list[str]:
    found = [] if solution.converged else [f"the fit did not converge: {solution.message}"]
    for name, note in notes.items():
        if note.startswith("at its") and not name.endswith("microstrain"):
            found.append(f"{name} is {note}")
    sigma = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(sigma, sigma)
    for i in range(len(names)):
        for j in range(i):
            if abs(correlation[i, j]) > 0.97 and not names[i].startswith("background"):
                found.append(
                    f"{names[j]} and {names[i]} are hardly told apart "
                    f"(correlation {correlation[i, j]:+.2f})"
                )
    if factors["chi2_reduced"] > 4:
        found.append(
            f"the misfit is {math.sqrt(factors['chi2_reduced']):.1f} times the noise: shapes or "
            "phases are not quite right; errors were widened"
        )
    if any(isinstance(c, HumpComponent) for c in problem.components):
        found.append("fractions are of the crystalline phases; the amorphous hump has no scale")
    found += _cells_off(rows)
    sharp = [n for n, r in rows.items() if r.get("size") and _large(r["size"])]
    if sharp and not any(problem.setup.caglioti):
        found.append(
            f"no instrument width was given: the size of {', '.join(sharp)} is a lower limit"
        )
    for name, row in rows.items():
        if not row["present"]:
            found.append(f"{name} is not there: there is no evidence for it in the pattern")
    return found
