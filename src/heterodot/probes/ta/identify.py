"""Can these data tell the rates of a scheme apart? Asked before the fit, answered with a family."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import NotFoundError
from heterodot.fitting.descent import descend
from heterodot.probes.ta.problem import Problem, absent_of
from heterodot.probes.ta.projection import Projection

Floats = NDArray[np.float64]
# squared effect of a direction in rate space that no rearranged spectra can undo, below which it
# counts as none (central differences leave about 1e-18)
THRESHOLD = 1e-11


@dataclass(frozen=True)
class Identifiability:
    """What noise-free data of a scheme would determine.

    Attributes
    ----------
    determined : int
        Number of combinations of rates that have an effect of their own.
    rates : tuple of str
        Free rates (and excited fractions).
    lost : tuple of str
        Those of which only combinations are determined, most free first.
    family : tuple of mapping
        Sets of rates that give the same data, with other species' spectra.
    exchanged : tuple of (name, name)
        Pairs whose exchange gives the same data: a discrete ambiguity.
    """

    determined: int
    rates: tuple[str, ...]
    lost: tuple[str, ...]
    family: tuple[Mapping[str, float], ...]
    exchanged: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        if not self.lost:
            return f"{len(self.rates)} rates, all determined"
        shown = [
            "(" + ", ".join(f"{n} = {row[n]:.4g}" for n in self.rates) + ")"
            for row in self.family[:3]
        ]
        same = f"; equal fits: {', '.join(shown)}" if shown else ""
        return (
            f"{len(self.rates)} free rates, {self.determined} determined "
            f"(only combinations of {', '.join(self.lost)} are){same}"
        )


def identify(problem: Problem, *, seed: int = 0) -> Identifiability:
    """Return which rates noise-free data with unknown spectra would determine.

    Data are made from the scheme with random spectra (zero where the scheme says so) on the
    problem's own delays, and the curvature of the projected problem is examined. More free rates
    than eigenvalues, for one data set, always lose one; shared spectra in several data sets or
    spectral zeros can save it. This is local (at the start values), as such tests are.

    Parameters
    ----------
    problem : Problem
    seed : int
        Of the random spectra.
    """
    scheme = problem.scheme
    kinetic = {*(p.name for p in scheme.rates), *scheme.fractions}
    rates = tuple(n for n in problem.free if n in kinetic)
    values = {p.name: p.value for p in problem.parameters}
    # well inside the window, so that the question is of structure, not of the length of the scan
    projection = _random(problem, values, seed)
    curvature = _curvature(projection, values, rates)
    diagonal = np.sqrt(np.maximum(np.diag(curvature), 1e-300))
    eigen, vectors = np.linalg.eigh(curvature / np.outer(diagonal, diagonal))
    null = eigen < THRESHOLD * max(float(eigen[-1]), 1.0)
    dead = np.diag(curvature) < THRESHOLD * max(float(np.diag(curvature).max()), 1e-300)
    if not null.any() and not dead.any():
        return Identifiability(len(rates), rates, (), (), _exchanges(projection, values, rates))
    weight = (vectors[:, null] ** 2).sum(axis=1) if null.any() else np.zeros(len(rates))
    weight = np.where(dead, 1.0, weight)
    order = np.argsort(-weight)
    lost = tuple(rates[i] for i in order if weight[i] > 1e-3)
    determined = len(rates) - int(null.sum() if null.any() else dead.sum())
    return Identifiability(
        determined, rates, lost, _family(projection, values, rates, lost, int(null.sum()))
    )


def _random(problem: Problem, values: Mapping[str, float], seed: int) -> Projection:
    """Return the problem on a dozen wavelengths with noise-free data of random spectra."""
    rng = np.random.default_rng(seed)
    scheme, old = problem.scheme, problem.projection
    every = old.wavelength
    picked = every[np.unique(np.linspace(0, every.size - 1, min(every.size, 12)).astype(int))]
    for _, low, high in scheme.zeros:
        inside = every[(every >= low) & (every <= high)]
        picked = np.unique(np.r_[picked, inside[:: max(1, inside.size // 4)]])
    spectra = rng.uniform(0.5, 2.0, (len(scheme.species), picked.size))
    spectra *= rng.choice([-1.0, 1.0], spectra.shape)
    absent = absent_of(scheme, picked)
    if absent is not None:
        spectra[absent] = 0.0
    setups = [replace(s, artefact=0, offset=False) for s in old.setups]
    matrices = []
    from heterodot.probes.ta.response import FWHM, rise

    for m, s in zip(old.matrices, setups, strict=True):
        x = (picked - s.reference) / 100.0
        zero = sum(
            (values[name] * x**n for n, name in enumerate(s.chirp, 1)),
            np.full(picked.size, values[s.zero]),
        )
        k, weights = scheme.modes(m.name, values)
        f = rise(m.time, zero, k, values[s.width] / FWHM if s.width else 0.0)
        data = np.einsum("wjt,js,sw->tw", f, weights, spectra)
        matrices.append(
            replace(
                m,
                wavelength=picked,
                values=data,
                mask=np.ones(data.shape, bool),
                sigma=np.ones(picked.size),
                known=True,
            )
        )
    return Projection(matrices, setups, scheme.modes, len(scheme.species), old.kinetic, absent)


def _curvature(
    projection: Projection, values: Mapping[str, float], rates: tuple[str, ...]
) -> Floats:
    _, _, curvature, _ = projection.evaluate(values, rates, True)
    assert curvature is not None
    size = np.array([values[n] for n in rates])
    return np.asarray(curvature * np.outer(size, size))


def _exchanges(
    projection: Projection, values: Mapping[str, float], rates: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """Return pairs of rates that may trade values without any change of the data's fit."""
    if all(m.name == "" for m in projection.matrices) and _diagonal(projection, values):
        return ()  # independent decays: an exchange only renames them
    found = []
    for a, b in itertools.combinations(rates, 2):
        if np.isclose(values[a], values[b]):
            continue
        trial = {**values, a: values[b], b: values[a]}
        if projection.evaluate(trial, (), False)[0] < 1e-8 * projection.total:
            found.append((a, b))
    return tuple(found)


def _diagonal(projection: Projection, values: Mapping[str, float]) -> bool:
    _, weights = projection.modes("", values)
    return bool(np.count_nonzero(weights - np.diag(np.diag(weights))) == 0)


def _family(
    projection: Projection,
    values: Mapping[str, float],
    rates: tuple[str, ...],
    lost: tuple[str, ...],
    nullity: int,
) -> tuple[Mapping[str, float], ...]:
    """Return sets of rates that reproduce the data: one rate is moved, the others follow."""
    if nullity == 0 or len(rates) < 2:
        return ()
    driver = lost[0]
    others = tuple(n for n in rates if n != driver)
    start = np.log([max(values[n], 1e-300) for n in others])
    rows: list[Mapping[str, float]] = []
    for factor in (0.5, 0.7, 1.0, 1.4, 2.0):

        def evaluate(
            x: Floats, derivatives: bool, factor: float = factor
        ) -> tuple[float, Floats | None, Floats | None]:
            trial = {**values, driver: values[driver] * factor}
            trial.update(zip(others, np.exp(x), strict=True))
            cost, g, h, _ = projection.evaluate(trial, others, derivatives)
            if g is None or h is None:
                return cost, None, None
            size = np.exp(x)
            return cost, g * size, h * np.outer(size, size)

        try:
            end = descend(
                evaluate, start, start - 12.0, start + 12.0, tolerance=1e-12, max_evaluations=80
            )
        except NotFoundError:
            continue
        if end.cost < 1e-8 * projection.total:
            row = dict(zip(others, map(float, np.exp(end.x)), strict=True))
            row[driver] = values[driver] * factor
            rows.append({n: row[n] for n in rates})
    return tuple(rows)
