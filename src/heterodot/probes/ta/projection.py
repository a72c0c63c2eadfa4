"""The whole model of one or more matrices as a separable least-squares problem.

Every wavelength is a group with its own time zero (chirp); spectra are linear amplitudes and are
projected out. The data are used as they were recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from heterodot.fitting.separable import Normal, eliminate
from heterodot.probes.ta.matrix import Matrix
from heterodot.probes.ta.response import FWHM, moments, rise

Floats = NDArray[np.float64]
CHUNK = 24  # wavelengths worked on together: their columns stay in the processor's cache

# values -> (rates (m,), weights (m, n_species)) of a data set
Modes = Callable[[str, Mapping[str, float]], tuple[Floats, Floats]]


@dataclass(frozen=True)
class Setup:
    """What is known of a data set's instrument.

    Attributes
    ----------
    zero : str
        Name of the time-zero parameter at ``reference``.
    chirp : tuple of str
        Names of the coefficients of ((wavelength - reference)/100 nm)^n, n = 1, 2...
    width : str
        Name of the full width at half maximum of the response; empty for none.
    artefact : int
        Number of coherent-artefact columns (Gaussian and its derivatives), 0 to 3.
    offset : bool
        A constant background spectrum as one more column.
    reference : float
        nm.
    """

    zero: str
    chirp: tuple[str, ...] = ()
    width: str = ""
    artefact: int = 0
    offset: bool = False
    reference: float = 500.0


@dataclass(frozen=True, eq=False)
class Solution:
    """Amplitudes and residuals at given nonlinear parameters."""

    cost: float
    amplitudes: Floats
    residuals: list[Floats]
    response: Floats
    variance: Floats


@dataclass(eq=False)
class Projection:
    """Cost, gradient and curvature of the nonlinear parameters of a global or target fit.

    Parameters
    ----------
    matrices : sequence of Matrix
    setups : sequence of Setup
    modes : callable
        Kinetics, see `Scheme.modes`.
    species : int
        Number of spectra shared by all data sets.
    kinetic : tuple of str
        Nonlinear parameters that `modes` depends on.
    absent : (n_species, n_wavelengths) array of bool, optional
        Where a species has no signal.
    """

    matrices: Sequence[Matrix]
    setups: Sequence[Setup]
    modes: Modes
    species: int
    kinetic: tuple[str, ...]
    absent: NDArray[np.bool_] | None = None
    wavelength: Floats = field(init=False)

    def __post_init__(self) -> None:
        """Lay all data sets on the union of their wavelengths (nothing is interpolated)."""
        every = np.unique(np.round(np.concatenate([m.wavelength for m in self.matrices]), 6))
        self.wavelength = every
        self._x = [(every - s.reference) / 100.0 for s in self.setups]
        self._data: list[Floats] = []
        self._weight: list[Floats | None] = []
        scale = np.zeros(every.size)
        for m in self.matrices:
            at = np.searchsorted(every, np.round(m.wavelength, 6))
            sigma = m.sigma if m.sigma.ndim == 2 else np.broadcast_to(m.sigma, m.values.shape)
            weight = np.zeros((every.size, m.time.size))
            weight[at] = (m.mask / sigma).T
            y = np.zeros((every.size, m.time.size))
            y[at] = m.values.T
            self._data.append(y * weight)
            plain = bool(m.mask.all() and m.sigma.ndim == 1 and at.size == every.size)
            self._weight.append(None if plain else weight)
            scale[at] = np.maximum(scale[at], 1.0 / np.median(sigma, axis=0))
        # without gaps a wavelength has one weight, which is applied to its Gram matrix instead
        self._scale = scale
        if len(self.matrices) == 1 and self._weight[0] is None:
            self._common: Floats | None = 1.0 / np.asarray(self.matrices[0].sigma)
        else:
            self._common = None
            for b, m in enumerate(self.matrices):
                if self._weight[b] is None:
                    self._weight[b] = np.broadcast_to(
                        (1.0 / m.sigma)[:, None], (every.size, m.time.size)
                    )
        self._artefact = [s.artefact for s in self.setups]
        self.linear = self.species + sum(s.artefact + s.offset for s in self.setups)
        used = np.ones((every.size, self.linear), bool)
        if self.absent is not None:
            used[:, : self.species] &= ~self.absent.T
        self._used = used
        self.points = int(sum(m.mask.sum() for m in self.matrices))

    @property
    def total(self) -> float:
        """Weighted sum of squares of the data."""
        return float(sum((y * y).sum() for y in self._data))

    @property
    def amplitudes_used(self) -> int:
        """Number of linear amplitudes that the data hold."""
        return int(self._used.sum())

    def zero(self, b: int, values: Mapping[str, float]) -> Floats:
        """Return time zero of data set ``b`` at every wavelength."""
        s, x = self.setups[b], self._x[b]
        t0 = np.full(x.size, values[s.zero])
        for n, name in enumerate(s.chirp, 1):
            t0 = t0 + values[name] * x**n
        return t0

    def _kinetics(
        self, values: Mapping[str, float], names: Sequence[str], derivatives: bool
    ) -> list[tuple[Floats, Floats, dict[str, tuple[Floats, Floats]]]]:
        """Return rates, weights and their derivatives (by central differences) per data set."""
        out = []
        for m in self.matrices:
            rates, weights = self.modes(m.name, values)
            slopes: dict[str, tuple[Floats, Floats]] = {}
            for name in self.kinetic if derivatives else ():
                if name not in names:
                    continue
                h = 1e-5 * max(abs(values[name]), 1e-9 * float(np.abs(rates).max()) + 1e-300)
                up = self.modes(m.name, {**values, name: values[name] + h})
                down = self.modes(m.name, {**values, name: values[name] - h})
                slopes[name] = ((up[0] - down[0]) / (2 * h), (up[1] - down[1]) / (2 * h))
            out.append((rates, weights, slopes))
        return out

    def evaluate(
        self,
        values: Mapping[str, float],
        names: Sequence[str],
        derivatives: bool,
        solution: bool = False,
    ) -> tuple[float, Floats | None, Floats | None, Solution | None]:
        """Return cost, half gradient, curvature (in ``names``), and the linear solution."""
        kinetics = self._kinetics(values, names, derivatives)
        zeros = [self.zero(b, values) for b in range(len(self.matrices))]
        n = len(names)
        cost = 0.0
        gradient, curvature = np.zeros(n), np.zeros((n, n))
        amplitudes = np.zeros((self.wavelength.size, self.linear))
        responses = np.zeros((self.wavelength.size, self.linear, n))
        variance = np.zeros((self.wavelength.size, self.linear))
        residuals = [np.zeros_like(y) for y in self._data] if solution else []
        for first in range(0, self.wavelength.size, CHUNK):
            chunk = slice(first, min(first + CHUNK, self.wavelength.size))
            part = self._chunk(chunk, values, names, derivatives, solution, kinetics, zeros)
            cost += part.cost
            if derivatives:
                gradient += part.gradient
                curvature += part.curvature
            if solution:
                amplitudes[chunk] = part.amplitudes
                variance[chunk] = part.normal.variance()
                if derivatives:
                    responses[chunk] = part.response
                for b, r in enumerate(part.residuals):
                    residuals[b][chunk] = r
        done = Solution(cost, amplitudes, residuals, responses, variance) if solution else None
        return (
            cost,
            gradient if derivatives else None,
            curvature if derivatives else None,
            done,
        )

    def _chunk(
        self,
        chunk: slice,
        values: Mapping[str, float],
        names: Sequence[str],
        derivatives: bool,
        refine: bool,
        kinetics: Sequence[tuple[Floats, Floats, dict[str, tuple[Floats, Floats]]]],
        zeros: Sequence[Floats],
    ) -> _Part:
        used = self._used[chunk]
        groups = used.shape[0]
        bases: list[Floats] = []
        mixes: list[Floats] = []
        gram = np.zeros((groups, self.linear, self.linear))
        right = np.zeros((groups, self.linear))
        column = self.species
        for b, setup in enumerate(self.setups):
            rates, weights, _ = kinetics[b]
            basis = self._basis(b, chunk, rates, zeros[b][chunk], values, derivatives)
            mix = np.zeros((basis.shape[1], self.linear))
            m = rates.size
            mix[:m, : self.species] = weights
            start = 2 * m if derivatives else m
            for k in range(setup.artefact):
                mix[start + k, column + k] = 1.0
            column += setup.artefact
            if setup.offset:
                mix[-1, column] = 1.0
                column += 1
            bases.append(basis)
            mixes.append(mix)
            model = mix.T @ basis  # (groups, linear, times)
            gram += model @ model.swapaxes(1, 2)
            right += (model @ self._data[b][chunk][:, :, None])[:, :, 0]
        common = None if self._common is None else self._common[chunk]
        if common is not None:
            # the basis is not weighted: do it here, so that data and columns agree
            gram *= (common**2)[:, None, None]
            right *= common[:, None]
        normal = Normal(gram, used)
        amplitudes = normal.solve(right)
        residuals, back = self._residuals(chunk, bases, mixes, amplitudes, common)
        if refine:
            # one step takes out what the Gram matrix lost by squaring the condition
            rest = sum(
                (v @ mix for v, mix in zip(back, mixes, strict=True)), np.zeros_like(amplitudes)
            )
            amplitudes = amplitudes + normal.solve(rest)
            residuals, back = self._residuals(chunk, bases, mixes, amplitudes, common)
        cost = float(sum((r * r).sum() for r in residuals))
        part = _Part(cost, amplitudes, residuals, normal)
        if derivatives:
            self._derive(part, values, names, kinetics, chunk, bases, mixes, back, common)
        return part

    def _basis(
        self,
        b: int,
        chunk: slice,
        rates: Floats,
        zero: Floats,
        values: Mapping[str, float],
        derivatives: bool,
    ) -> Floats:
        """Return the columns f, (t f), Gaussian moments, (one): (groups, columns, times)."""
        setup, matrix = self.setups[b], self.matrices[b]
        sigma = values[setup.width] / FWHM if setup.width else 0.0
        f = rise(matrix.time, zero, rates, sigma)
        parts = [f]
        count = setup.artefact
        if derivatives:
            parts.append(f * (matrix.time[None, None, :] - zero[:, None, None]))
            count = max(2, setup.artefact + 2) if setup.width else setup.artefact
        if count:
            parts.append(moments(matrix.time, zero, sigma, count))
        if setup.offset:
            parts.append(np.ones((zero.size, 1, matrix.time.size)))
        basis = np.concatenate(parts, axis=1)
        weight = self._weight[b]
        if weight is not None:
            basis *= weight[chunk][:, None, :]
        return basis

    def _residuals(
        self,
        chunk: slice,
        bases: Sequence[Floats],
        mixes: Sequence[Floats],
        amplitudes: Floats,
        common: Floats | None,
    ) -> tuple[list[Floats], list[Floats]]:
        """Return weighted residuals and their products with every basis column."""
        residuals, back = [], []
        for b, (basis, mix) in enumerate(zip(bases, mixes, strict=True)):
            a = amplitudes @ mix.T
            if common is not None:
                a = a * common[:, None]
            r = self._data[b][chunk] - (a[:, None, :] @ basis)[:, 0]
            v = (basis @ r[:, :, None])[:, :, 0]
            residuals.append(r)
            back.append(v if common is None else v * common[:, None])
        return residuals, back

    def _derive(
        self,
        part: _Part,
        values: Mapping[str, float],
        names: Sequence[str],
        kinetics: Sequence[tuple[Floats, Floats, dict[str, tuple[Floats, Floats]]]],
        chunk: slice,
        bases: Sequence[Floats],
        mixes: Sequence[Floats],
        back: Sequence[Floats],
        common: Floats | None,
    ) -> None:
        n = len(names)
        groups = part.amplitudes.shape[0]
        cross = np.zeros((groups, self.linear, n))
        direct = np.zeros((n, n))
        gradient = np.zeros(n)
        column = self.species
        for b, (basis, mix) in enumerate(zip(bases, mixes, strict=True)):
            own = slice(column, column + self.setups[b].artefact)
            coefficients = self._coefficients(
                b, chunk, part.amplitudes, own, kinetics[b], values, names, basis.shape[1]
            )
            column += self.setups[b].artefact + self.setups[b].offset
            gram = basis @ basis.swapaxes(1, 2)
            if common is not None:
                gram *= (common**2)[:, None, None]
            image = gram @ coefficients
            cross += mix.T @ image
            width = coefficients.shape[1]
            direct += coefficients.reshape(groups * width, n).T @ image.reshape(groups * width, n)
            gradient -= np.einsum("gcp,gc->p", coefficients, back[b])
        cross = cross * self._used[chunk][:, :, None]
        part.curvature, part.response = eliminate(part.normal, cross, direct)
        part.gradient = gradient

    def _coefficients(
        self,
        b: int,
        chunk: slice,
        amplitudes: Floats,
        own: slice,
        kinetic: tuple[Floats, Floats, dict[str, tuple[Floats, Floats]]],
        values: Mapping[str, float],
        names: Sequence[str],
        columns: int,
    ) -> Floats:
        """Return what every parameter's derivative is in the basis: (groups, columns, n)."""
        setup = self.setups[b]
        rates, weights, slopes = kinetic
        m = rates.size
        sigma = values[setup.width] / FWHM if setup.width else 0.0
        a = amplitudes[:, : self.species] @ weights.T  # (groups, m): amplitude of every mode
        bumps = amplitudes[:, own]  # coherent artefact
        c = np.zeros((a.shape[0], columns, len(names)))
        f, tf, g = slice(0, m), slice(m, 2 * m), 2 * m
        for p, name in enumerate(names):
            if name in slopes:
                dk, dm = slopes[name]
                pull = a * dk
                c[:, f, p] += pull * rates * sigma**2 + amplitudes[:, : self.species] @ dm.T
                c[:, tf, p] -= pull
                if sigma > 0:
                    c[:, g, p] -= sigma * pull.sum(axis=1)
            power = self._power(setup, name)
            if power is not None and sigma > 0:
                x = self._x[b][chunk] ** power
                c[:, f, p] += a * rates * x[:, None]
                c[:, g, p] -= a.sum(axis=1) / sigma * x
                for k in range(setup.artefact):
                    c[:, g + k + 1, p] += bumps[:, k] / sigma * x
                    if k:
                        c[:, g + k - 1, p] -= k * bumps[:, k] / sigma * x
            if name == setup.width and sigma > 0:
                c[:, f, p] += sigma * a * rates**2 / FWHM
                c[:, g, p] -= (a * rates).sum(axis=1) / FWHM
                c[:, g + 1, p] -= a.sum(axis=1) / sigma / FWHM
                for k in range(setup.artefact):
                    c[:, g + k, p] -= k * bumps[:, k] / sigma / FWHM
                    c[:, g + k + 2, p] += bumps[:, k] / sigma / FWHM
        return c

    @staticmethod
    def _power(setup: Setup, name: str) -> int | None:
        if name == setup.zero:
            return 0
        return setup.chirp.index(name) + 1 if name in setup.chirp else None


@dataclass(eq=False)
class _Part:
    """What one chunk of wavelengths adds."""

    cost: float
    amplitudes: Floats
    residuals: list[Floats]
    normal: Normal
    gradient: Floats = field(default_factory=lambda: np.zeros(0))
    curvature: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    response: Floats = field(default_factory=lambda: np.zeros((0, 0, 0)))
