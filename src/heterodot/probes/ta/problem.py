"""A posed transient-absorption fit: data, scheme, instrument, start values; and its descent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.fitting import Parameter
from heterodot.fitting.descent import Descent, descend
from heterodot.probes.ta.matrix import Matrix
from heterodot.probes.ta.projection import Projection, Setup
from heterodot.probes.ta.scheme import Scheme
from heterodot.progress import Progress, silent

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Problem:
    """A posed fit: data, scheme, instrument, and parameters with start values.

    Attributes
    ----------
    projection : Projection
    scheme : Scheme
    parameters : tuple of Parameter
    logarithmic : frozenset of str
        Parameters that are positive and are moved in their logarithm.
    """

    projection: Projection
    scheme: Scheme
    parameters: tuple[Parameter, ...]
    logarithmic: frozenset[str]

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the nonlinear parameters to be fitted."""
        return tuple(p.name for p in self.parameters if not p.fixed)

    def values(self, x: Floats) -> dict[str, float]:
        """Return all values at a point of the search."""
        held = {p.name: p.value for p in self.parameters}
        for name, u in zip(self.free, x, strict=True):
            held[name] = float(np.exp(u)) if name in self.logarithmic else float(u)
        return held

    def inner(self, name: str, value: float) -> float:
        """Return where a value lies in the search."""
        if name not in self.logarithmic:
            return value
        return float(np.log(value)) if value > 0 else -np.inf


def absent_of(scheme: Scheme, wavelength: Floats) -> NDArray[np.bool_] | None:
    """Return where the scheme says that a species has no signal, (n_species, n_wavelengths)."""
    if not scheme.zeros:
        return None
    absent = np.zeros((len(scheme.species), wavelength.size), bool)
    for name, low, high in scheme.zeros:
        absent[scheme.species.index(name)] |= (wavelength >= low) & (wavelength <= high)
    return absent


def problem_of(
    matrices: Sequence[Matrix],
    setups: Sequence[Setup],
    scheme: Scheme,
    parameters: tuple[Parameter, ...],
) -> Problem:
    """Return the posed problem of matrices, instrument, scheme and parameters."""
    kinetic = (*(p.name for p in scheme.rates), *scheme.fractions)
    absent = absent_of(scheme, np.unique(np.concatenate([m.wavelength for m in matrices])))
    projection = Projection(matrices, setups, scheme.modes, len(scheme.species), kinetic, absent)
    positive = frozenset(
        [p.name for p in scheme.rates if p.value > 0 or not p.fixed]
        + [s.width for s in setups if s.width]
    )
    return Problem(projection, scheme, parameters, positive)


def solve(
    problem: Problem,
    *,
    max_evaluations: int = 200,
    tolerance: float = 1e-6,
    progress: Progress = silent,
) -> Descent:
    """Return where the descent from the problem's start values ends."""
    free = problem.free
    if not free:
        raise InputError("every parameter is fixed", remedy="free at least one")
    by_name = {p.name: p for p in problem.parameters}
    start = np.array([problem.inner(n, by_name[n].value) for n in free])
    low = np.array([problem.inner(n, by_name[n].low) for n in free])
    high = np.array([problem.inner(n, by_name[n].high) for n in free])
    projection = problem.projection
    if projection.points <= projection.amplitudes_used + len(free):
        raise InputError(
            f"{projection.points} points cannot determine {projection.amplitudes_used} "
            f"amplitudes and {len(free)} parameters",
            remedy="use fewer components",
        )
    last: dict[bytes, tuple[float, Floats, Floats]] = {}

    def evaluate(x: Floats, derivatives: bool) -> tuple[float, Floats | None, Floats | None]:
        # derivatives cost little beside the columns, so both come from one pass
        key = x.tobytes()
        if key not in last:
            values = problem.values(x)
            cost, gradient, curvature, _ = projection.evaluate(values, free, True)
            assert gradient is not None
            assert curvature is not None
            slope = np.array([values[n] if n in problem.logarithmic else 1.0 for n in free])
            last.clear()
            last[key] = (cost, gradient * slope, curvature * np.outer(slope, slope))
        return last[key]

    return descend(
        evaluate,
        start,
        low,
        high,
        relative=not all(m.known for m in projection.matrices),
        dof=projection.points - projection.amplitudes_used - len(free),
        tolerance=tolerance,
        floor=1e-14 * projection.total,
        max_evaluations=max_evaluations,
        progress=progress,
        doing="fitting the matrix",
    )
