"""Whole-pattern fit: crystalline phases, particle models and humps on a smooth background.

The factors of the components and the background are linear and are eliminated at every step
(variable projection, Golub and Pereyra, SIAM J. Numer. Anal. 10, 413 (1973)); components never get
a negative factor. Cells, sizes, strains, texture, zero shift and humps are found by damped
Gauss-Newton steps. R-factors as in Young, The Rietveld Method (1993).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.fitting import Parameter
from heterodot.probes.xrd.components import Component, HumpComponent
from heterodot.probes.xrd.profile import chebyshev
from heterodot.probes.xrd.recorded import Recorded
from heterodot.probes.xrd.setup import XrdSetup
from heterodot.progress import Progress, silent

Floats = NDArray[np.float64]


@dataclass(eq=False)
class Problem:
    """A pattern, its components and the parameters that are free.

    Attributes
    ----------
    data : Recorded
    components : sequence of Component
    setup : XrdSetup
    background : int
        Chebyshev terms; a term that falls as 1/s² is added for the tail of the direct beam.
    shared : list of Parameter
        ``zero`` (degrees, added to the angles by the instrument), ``b_overall`` (Å², over that of
        the set-up), ``displacement`` (degrees) and ``mu_t`` as in `XrdSetup`.
    """

    data: Recorded
    components: Sequence[Component]
    setup: XrdSetup
    background: int
    shared: list[Parameter]

    def __post_init__(self) -> None:
        """Collect parameters, and project the background out of the data."""
        self.kept: dict[tuple[float, ...], Floats] = {}
        self.all: list[Parameter] = list(self.shared)
        self.owner: list[int] = [-1] * len(self.shared)
        for k, component in enumerate(self.components):
            own = component.parameters()
            self.all += own
            self.owner += [k] * len(own)
        self.free = [i for i, p in enumerate(self.all) if not p.fixed]
        self.names = [p.name for p in self.all]
        x = self.data.two_theta
        s = np.sin(np.radians(x) / 2)
        smooth = np.vstack([chebyshev(x, self.background), (s.min() / s) ** 2])
        self.smooth = smooth / self.data.sigma
        self.q, _ = np.linalg.qr(self.smooth.T)
        self.y = self.data.intensity / self.data.sigma
        self.y_left = self.y - self.q @ (self.q.T @ self.y)

    @property
    def start(self) -> Floats:
        """Start values of the free parameters."""
        return np.array([self.all[i].value for i in self.free])

    def values(self, free: Floats) -> dict[str, float]:
        """Return all parameter values by name."""
        found = {p.name: p.value for p in self.all}
        for i, value in zip(self.free, free, strict=True):
            found[self.names[i]] = float(value)
        return found

    def column(self, k: int, values: Mapping[str, float]) -> Floats:
        """Return component k on the points of the data, not weighted, (n,)."""
        name = self.components[k].name
        mine = (f"{name}.", "zero", "b_overall", "displacement", "mu_t")
        key = (k, *(v for n, v in values.items() if n.startswith(mine)))
        if key in self.kept:
            return self.kept[key]
        if len(self.kept) > 64:
            self.kept.pop(next(iter(self.kept)))
        x = self.data.two_theta - values["zero"]
        x = self.setup.true_angle(x, values.get("displacement"))
        curve = self.components[k].curve(x, values)
        if not isinstance(self.components[k], HumpComponent):
            wavelength = self.setup.mean_wavelength
            s = np.sin(np.radians(x) / 2) / wavelength
            curve = curve * np.exp(-2 * values["b_overall"] * s**2)
            curve = curve * self.setup.absorption_factor(x, values.get("mu_t"))
        self.kept[key] = curve
        return curve

    def columns(self, values: Mapping[str, float]) -> Floats:
        """Return all weighted components as columns, (n, n_components)."""
        n = len(self.components)
        return (
            np.column_stack([self.column(k, values) for k in range(n)]) / self.data.sigma[:, None]
        )

    def factors(self, columns: Floats) -> tuple[Floats, Floats]:
        """Return non-negative factors of the components and what is left of the data."""
        from scipy.optimize import nnls

        left = columns - self.q @ (self.q.T @ columns)
        scale = np.linalg.norm(left, axis=0)
        scale[scale == 0] = 1.0
        factor, _ = nnls(left / scale, self.y_left)
        factor = factor / scale
        return factor, self.y_left - left @ factor

    def smooth_factors(self, columns: Floats, factor: Floats) -> Floats:
        """Return the background's factors for given components."""
        return np.asarray(
            np.linalg.lstsq(self.smooth.T, self.y - columns @ factor, rcond=None)[0], dtype=float
        )


def shared_parameters(
    setup: XrdSetup,
    *,
    zero: bool = True,
    b: bool = True,
    displacement: bool = False,
    absorption: bool = False,
) -> list[Parameter]:
    """Return what all components share, and which of it is refined."""
    found = [
        Parameter("zero", 0.0, "deg", low=-0.5, high=0.5, fixed=not zero),
        Parameter("b_overall", 0.0, "angstrom^2", low=-1.5, high=8.0, fixed=not b),
    ]
    if displacement or setup.displacement:
        start = setup.displacement
        found.append(
            Parameter(
                "displacement", start, "deg", low=start - 0.5, high=start + 0.5,
                fixed=not displacement,
            )
        )  # fmt: skip
    if absorption:
        found.append(Parameter("mu_t", setup.mu_t or 0.3, "", low=1e-3, high=10.0))
    return found


@dataclass(frozen=True, eq=False)
class Solution:
    """Where a whole-pattern fit ended.

    Attributes
    ----------
    values : dict
        All nonlinear parameters by name.
    factors : (n_components,) array
        Masses (arbitrary common unit) and hump heights.
    smooth : (n_background,) array
    chi2 : float
    noise : float
        Long-run variance of the weighted residuals (one where only noise is left).
    names : tuple of str
        Names of the columns of ``jacobian``.
    jacobian : (n, n_all) array
        Weighted, of free nonlinear parameters, factors and background.
    converged : bool
    message : str
    """

    values: dict[str, float]
    factors: Floats
    smooth: Floats
    chi2: float
    noise: float
    names: tuple[str, ...]
    jacobian: Floats
    converged: bool
    message: str


def _steps(problem: Problem) -> Floats:
    """Return finite-difference steps and natural scales of the free parameters."""
    scale = []
    for i in problem.free:
        name = problem.names[i].rsplit(".", 1)[-1]
        p = problem.all[i]
        if name.startswith("strain") or name == "stretch":
            scale.append(2e-3)
        elif name == "microstrain":
            scale.append(3e-3)
        elif name == "size":
            scale.append(0.2 * p.value)
        elif name in ("zero", "displacement"):
            scale.append(0.05)
        else:
            scale.append(0.1 * max(abs(p.value), 0.5))
    return np.array(scale)


def solve(
    problem: Problem,
    start: Floats | None = None,
    *,
    max_evaluations: int = 60,
    progress: Progress = silent,
    jacobian: bool = True,
) -> Solution:
    """Minimize the weighted squares of a problem by variable projection."""
    from heterodot.fitting.descent import descend

    low = np.array([problem.all[i].low for i in problem.free])
    high = np.array([problem.all[i].high for i in problem.free])
    begin = problem.start if start is None else start
    inside = 1e-6 * (high - low)
    begin = np.clip(begin, low + inside, high - inside)
    scale = _steps(problem)

    def evaluate(free: Floats, derivatives: bool) -> tuple[float, Floats | None, Floats | None]:
        left = problem.factors(problem.columns(problem.values(free)))[1]
        cost = float(left @ left)
        if not derivatives:
            return cost, None, None
        slope = _slope(problem, free, high, scale)
        return cost, slope.T @ left, slope.T @ slope

    if len(problem.free):
        found = descend(
            evaluate, begin, low, high, tolerance=1e-3, relative=True, dof=len(problem.y),
            max_evaluations=max_evaluations, progress=progress, doing="pattern fit",
        )  # fmt: skip
        free, converged, message = found.x, found.converged, found.message
    else:
        free, converged, message = begin, True, "only linear parameters"
    values = problem.values(free)
    columns = problem.columns(values)
    factor, left = problem.factors(columns)
    names, matrix = _full(problem, free, values, columns, factor, scale) if jacobian else ((), left)
    return Solution(
        values, factor, problem.smooth_factors(columns, factor), float(left @ left),
        long_run_variance(left), names, matrix, converged,
        message,
    )  # fmt: skip


def _slope(problem: Problem, free: Floats, high: Floats, scale: Floats) -> Floats:
    """Return the derivative of the projected residual, (n, n_free)."""
    values = problem.values(free)
    columns = problem.columns(values)
    _, base = problem.factors(columns)
    result = np.empty((len(base), len(free)))
    for j, i in enumerate(problem.free):
        step = 1e-3 * scale[j]
        if free[j] + step > high[j]:
            step = -step
        moved = free.copy()
        moved[j] += step
        changed = problem.values(moved)
        owner = problem.owner[i]
        if owner < 0:
            trial = problem.columns(changed)
        else:
            trial = columns.copy()
            trial[:, owner] = problem.column(owner, changed) / problem.data.sigma
        result[:, j] = (problem.factors(trial)[1] - base) / step
    return result


def _full(
    problem: Problem,
    free: Floats,
    values: dict[str, float],
    columns: Floats,
    factor: Floats,
    scale: Floats,
) -> tuple[tuple[str, ...], Floats]:
    """Return names and weighted derivatives of the model by every fitted number."""
    derivative = []
    names: list[str] = []
    for j, i in enumerate(problem.free):
        step = 1e-3 * scale[j]
        moved = free.copy()
        moved[j] += step
        changed = problem.values(moved)
        owner = problem.owner[i]
        affected = range(len(problem.components)) if owner < 0 else [owner]
        slope = np.zeros(len(columns))
        for k in affected:
            new = problem.column(k, changed) / problem.data.sigma
            slope += factor[k] * (new - columns[:, k]) / step
        derivative.append(slope)
        names.append(problem.names[i])
    for k, component in enumerate(problem.components):
        derivative.append(columns[:, k])
        names.append(f"{component.name}.factor")
    for k, row in enumerate(problem.smooth):
        derivative.append(row)
        names.append(f"background.{k}")
    return tuple(names), np.array(derivative).T


def covariance_of(
    solution: Solution, problem: Problem, inflate: float
) -> tuple[tuple[str, ...], Floats, dict[str, str]]:
    """Return names and covariance of what the data determine, and notes on what they do not.

    Parameters at a bound, and those of a component without mass, are left out.
    """
    notes: dict[str, str] = {}
    keep = []
    mass = {c.name: f for c, f in zip(problem.components, solution.factors, strict=True)}
    by_name = {p.name: p for p in problem.all}
    for j, name in enumerate(solution.names):
        owner, _, what = name.partition(".")
        if owner in mass and mass[owner] == 0:
            if what != "factor":
                notes[name] = "not determined: the component is not there"
                continue
        elif name in by_name:
            p, value = by_name[name], solution.values[name]
            edge = 1e-4 * (p.high - p.low)
            if value - p.low < edge:
                notes[name] = "at its lower bound"
                continue
            if p.high - value < edge:
                notes[name] = "at its upper bound"
                continue
        keep.append(j)
    jacobian = solution.jacobian[:, keep]
    norm = np.linalg.norm(jacobian, axis=0)
    for j, n in zip(keep, norm, strict=True):
        if n == 0:
            notes[solution.names[j]] = "not determined by the data"
    used = norm > 0
    keep = [j for j, ok in zip(keep, used, strict=True) if ok]
    jacobian, norm = jacobian[:, used], norm[used]
    if len(keep) == 0:
        raise InputError("nothing is left to be determined", remedy="add a phase")
    normal = (jacobian / norm).T @ (jacobian / norm)
    inverse = np.linalg.pinv(normal, rcond=1e-12, hermitian=True)
    covariance = inverse / np.outer(norm, norm) * inflate
    return tuple(solution.names[j] for j in keep), covariance, notes


def long_run_variance(residual: Floats) -> float:
    """Return the variance of weighted residuals with their correlation between neighbors.

    One for pure noise. A wrong peak shape leaves waves over many points, which count as one
    observation, not as many (Berar and Lelann, J. Appl. Cryst. 24, 1 (1991)); this is the sum of
    the autocovariance up to its first zero, never below one.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(size=4000)
    >>> waves = noise + 2 * np.sin(np.arange(4000) / 10)
    >>> long_run_variance(noise) < 1.2, long_run_variance(waves) > 15
    (True, True)
    """
    n = len(residual)
    size = 1 << (2 * n - 1).bit_length()
    power = np.abs(np.fft.rfft(residual, size)) ** 2
    covariance = np.fft.irfft(power, size)[: n // 2] / n
    negative = np.flatnonzero(covariance[1:] <= 0)
    last = int(negative[0]) + 1 if len(negative) else len(covariance)
    return max(float(covariance[0] + 2 * covariance[1:last].sum()), 1.0)


def r_factors(problem: Problem, solution: Solution, n_parameters: int) -> dict[str, float]:
    """Return Rp, Rwp, Rexp (fractions), chi2 and reduced chi2 (background not subtracted)."""
    columns = problem.columns(solution.values)
    model = (columns @ solution.factors + solution.smooth @ problem.smooth) * problem.data.sigma
    y = problem.data.intensity
    weighted = float(((y / problem.data.sigma) ** 2).sum())
    dof = len(y) - n_parameters
    return {
        "rp": float(np.abs(y - model).sum() / np.abs(y).sum()),
        "rwp": math.sqrt(solution.chi2 / weighted),
        "rexp": math.sqrt(max(dof, 1) / weighted),
        "chi2": solution.chi2,
        "chi2_reduced": solution.chi2 / max(dof, 1),
    }


def coarse_start(problem: Problem, sizes: Sequence[float], sweeps: int = 2) -> Floats:
    """Return start values of the free parameters from a coarse grid of sizes and cell strains."""
    free = problem.start.copy()
    index = {problem.names[i]: j for j, i in enumerate(problem.free)}
    for _ in range(sweeps):
        for k, component in enumerate(problem.components):
            name = component.name
            strains = [n for n in index if n.startswith(f"{name}.strain")]
            stretch = f"{name}.stretch"
            grids: list[list[tuple[str, float]]] = []
            if isinstance(component, HumpComponent):
                p = next(p for p in problem.all if p.name == f"{name}.position")
                grids = [
                    [(f"{name}.position", v)] for v in np.linspace(p.low * 1.02, p.high * 0.98, 5)
                ]
            elif stretch in index:
                grids = [[(stretch, v)] for v in np.linspace(-0.02, 0.02, 9)]
            elif f"{name}.size" in index:
                moves = np.linspace(-0.018, 0.018, 7) if strains else [0.0]
                # only an isotropic strain is tried; the basis of a cubic crystal is that already
                grids = [
                    [(f"{name}.size", d), *_isotropic(component, strains, m)]
                    for d in sizes
                    for m in moves
                ]
            free = _best_of(problem, k, free, index, grids)
            march = f"{name}.march"
            if march in index:  # both a plate-like and a needle-like texture can be a minimum
                turns = [[(march, v)] for v in (0.4, 0.55, 0.75, 1.0, 1.35, 1.8, 2.5)]
                free = _best_of(problem, k, free, index, turns)
    return free


def _best_of(
    problem: Problem,
    k: int,
    free: Floats,
    index: Mapping[str, int],
    moves: Sequence[Sequence[tuple[str, float]]],
) -> Floats:
    """Return the free parameters after that move of component k which fits best, if any does."""
    best, chosen = math.inf, free
    columns = problem.columns(problem.values(free))
    for move in [[], *moves]:
        trial = free.copy()
        for what, value in move:
            if what in index:
                trial[index[what]] = value
        new = columns.copy()
        new[:, k] = problem.column(k, problem.values(trial)) / problem.data.sigma
        left = problem.factors(new)[1]
        score = float(left @ left)
        if score < best:
            best, chosen = score, trial
    return chosen


def _isotropic(component: Any, strains: list[str], move: float) -> list[tuple[str, float]]:
    coefficients = [float(np.trace(b) / np.sum(b * b)) for b in component.basis]
    return [(name, move * c) for name, c in zip(strains, coefficients, strict=False)]
