"""Envelope states of one carrier on a shape: position-dependent edges and masses, finite barrier.

The equation is BenDaniel and Duke's (Phys. Rev. 152, 683 (1966)) with a mass that depends on
energy through the coupling of the bands across the gap (Kang and Wise, J. Opt. Soc. Am. B 14, 1632
(1997)). Outside, the state falls as exp(-kappa n), with kappa of the barrier: the tail is
eliminated exactly for a smooth surface, which leaves a surface term
``hbar^2/(2 m_out) (kappa + mean curvature)`` in the energy. The grid then holds the particle only.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.electronic.eigen import BoxPreconditioner, Eigenpairs, Operator, faces, lowest
from heterodot.electronic.materials import Carrier
from heterodot.electronic.shape import Shape, doubled
from heterodot.errors import InputError
from heterodot.progress import Progress, silent

Array = NDArray[np.float64]
THINNEST = 0.03  # voxels filled less are closed; their surface goes to their neighbors


@functools.cache
def kinetic() -> float:
    """Return hbar²/(2 m_e) in eV Å²."""
    from scipy.constants import electron_mass, elementary_charge, hbar

    return float(hbar**2 / (2 * electron_mass) / elementary_charge * 1e20)


@dataclass(frozen=True, eq=False)
class Barrier:
    """What the carrier meets outside: height (eV, same sign convention as `Carrier`) and mass."""

    height: float
    mass: float


@dataclass(frozen=True, eq=False)
class Cells:
    """The voxels of a shape as the solver uses them.

    Attributes
    ----------
    filled : (nx, ny, nz) array
        Fraction inside, zero where closed.
    shares : (n_domains, nx, ny, nz) array
        Of the filled part.
    openings : (3, nx + 1, ny + 1, nz + 1) array
    surface, curvature : (nx, ny, nz) arrays
    scale : (nx, ny, nz) array
        One over the root of ``filled``.
    spacing : float
    """

    filled: Array
    shares: Array
    openings: Array
    surface: Array
    curvature: Array
    scale: Array
    spacing: float


def cells(shape: Shape) -> Cells:
    """Close voxels that are almost empty and hand their surface to their neighbors."""
    filled = shape.inside.astype(float)
    full = filled > THINNEST
    filled[~full] = 0.0
    total = np.maximum(shape.inside, 1e-6)
    shares = shape.fractions / total * full
    openings = shape.openings.astype(float)
    for axis in range(3):
        pair = np.moveaxis(openings[axis], axis, 0)
        mask = np.moveaxis(full, axis, 0)
        pair[0], pair[-1] = 0.0, 0.0
        pair[1:-1, :-1, :-1] *= mask[1:] & mask[:-1]
    surface = shape.surface.astype(float)
    surface = _handed_on(surface, full)
    bend = np.where(full, shape.curvature, 0.0).astype(float)
    scale = np.where(full, 1 / np.sqrt(np.where(full, filled, 1.0)), 0.0)
    return Cells(filled, shares, openings, surface, bend, scale, shape.spacing)


def _handed_on(surface: Array, full: NDArray[np.bool_]) -> Array:
    """Move the surface in closed voxels to open neighbors, keeping the total."""
    total = surface.sum()
    if total == 0 or not full.any():
        return surface
    lost = np.where(full, 0.0, surface)
    wide = np.pad(full, 1)
    shifts = [(axis, step) for axis in range(3) for step in (-1, 1)]
    count = sum(np.roll(wide, s, a)[1:-1, 1:-1, 1:-1].astype(float) for a, s in shifts)
    share = np.pad(np.where(count > 0, lost / np.maximum(count, 1), 0.0), 1)
    given = sum(np.roll(share, s, a)[1:-1, 1:-1, 1:-1] for a, s in shifts)
    moved = np.where(full, surface + given, 0.0)
    return np.asarray(moved * (total / moved.sum()))


@dataclass(frozen=True, eq=False)
class Well:
    """The problem of one carrier: cells, a band a domain, barrier, extra potential.

    Attributes
    ----------
    cells : Cells
    bands : tuple of Carrier, one a domain
    barrier : Barrier
    extra : (nx, ny, nz) array or None
        Potential energy added everywhere, eV.
    masses : tuple of (3,) array or None
        Fixed inverse masses along x, y, z relative to the isotropic mean of each domain
        (valley anisotropy); None for isotropic.
    """

    cells: Cells
    bands: tuple[Carrier, ...]
    barrier: Barrier
    extra: Array | None = None
    masses: tuple[Array, ...] | None = None

    def parts(self, energy: float) -> tuple[Array, Operator]:
        """Return the local coefficient hbar²/2m and the operator at an energy of the mass."""
        cells, unit = self.cells, kinetic()
        heaviness = np.zeros(cells.filled.shape)
        potential = np.zeros(cells.filled.shape)
        for share, band in zip(cells.shares, self.bands, strict=True):
            heaviness += share / band.inverse_mass(energy)
            potential += share * band.edge
        full = cells.filled > 0
        coefficient = np.where(full, unit / np.where(full, heaviness, 1.0), unit)
        stiff = faces(coefficient, cells.openings, cells.spacing)
        if self.masses is not None:
            self._stretch(stiff)
        if self.extra is not None:
            potential = potential + self.extra
        tail = self.decay(energy)
        step = unit / self.barrier.mass * (tail + cells.curvature)
        potential = potential * cells.filled + np.maximum(step, 0.0) * cells.surface / cells.spacing
        return coefficient, Operator(stiff, potential, cells.scale)

    def _stretch(self, stiff: Array) -> None:
        """Multiply what flows along each axis by the domain's factor for that axis."""
        assert self.masses is not None
        for axis in range(3):
            factor = np.ones(self.cells.filled.shape)
            for share, ratio in zip(self.cells.shares, self.masses, strict=True):
                factor += share * (ratio[axis] - 1)
            pair = np.moveaxis(stiff[axis], axis, 0)
            moved = np.moveaxis(factor, axis, 0)
            pair[1:-1, :-1, :-1] *= (moved[1:] + moved[:-1]) / 2

    def decay(self, energy: float) -> float:
        """Return 1/Å of the fall outside; not below 0.05 where the barrier is nearly reached."""
        depth = max(self.barrier.height - energy, 0.0)
        return max(float(np.sqrt(depth * self.barrier.mass / kinetic())), 0.05)

    def start(self) -> float:
        """Return an energy near the bottom of the deepest band."""
        return min(band.edge for band in self.bands)

    def outside(self, vectors: Array, energy: float) -> Array:
        """Return the weight of the tails relative to that inside, (m,)."""
        weight = self.cells.surface / (2 * self.decay(energy)) / self.cells.spacing
        psi = vectors * self.cells.scale
        return np.asarray((psi**2 * weight).sum(axis=(1, 2, 3)))

    def slope(self, vector: Array, energy: float, step: float = 0.02) -> float:
        """Return how the expectation value changes with the energy of the mass and the tail."""
        values = []
        for shift in (-step, step):
            _, operator = self.parts(energy + shift)
            values.append(float((vector * operator(vector[None])[0]).sum()))
        return (values[1] - values[0]) / (2 * step)


@dataclass(frozen=True, eq=False)
class Solution:
    """States of one carrier.

    Attributes
    ----------
    energies : (n,) array
        eV in the carrier's convention (upward into confinement), each at its own mass.
    vectors : (n, nx, ny, nz) array
        Unit sum of squares over the filled parts.
    outside : (n,) array
        Weight of the tail as a fraction of all.
    reference : float
        The energy at which the masses of ``vectors`` were taken.
    iterations : int
    corrections : (n,) array
        What taking each state at its own mass changed, eV.
    """

    energies: Array
    vectors: Array
    outside: Array
    reference: float
    iterations: int
    corrections: Array


def solve(
    well: Well,
    states: int,
    *,
    seed: int = 0,
    guess: Array | None = None,
    reference: float | None = None,
    own_masses: bool = True,
    tolerance: float = 3e-3,
    progress: Progress = silent,
) -> Solution:
    """Return the lowest states of a well, each at the mass of its own energy.

    Parameters
    ----------
    well : Well
    states : int
    seed : int
        Of the random part of the first guess.
    guess : (m, nx, ny, nz) array, optional
        Vectors to start from.
    reference : float, optional
        Energy to start the mass from, eV.
    own_masses : bool
        Solve excited states again at their own energy (else a first-order estimate is used).
    tolerance : float
        Residual, eV.
    """
    vectors = first_guess(well, states + 2, seed) if guess is None else guess
    energy = well.start() + 0.2 if reference is None else reference
    iterations = 0
    for _ in range(8):
        pairs = _linear(well, energy, vectors, states, tolerance)
        iterations += pairs.iterations
        vectors = np.concatenate([pairs.states, vectors[states:]])
        slope = well.slope(pairs.states[0], energy)
        better = energy + (pairs.values[0] - energy) / (1 - slope)
        moved, energy = abs(better - energy), better
        progress("levels", min(0.9, 0.2 + 0.1 * iterations / 20))
        if moved < 2e-4 or (reference is not None and moved < 0.02):
            break
    slopes = np.array([well.slope(v, energy) for v in pairs.states])
    energies = energy + (pairs.values - energy) / (1 - slopes)
    corrections = np.zeros(states)
    if own_masses:
        energies, corrections, extra = _own_masses(well, energies, pairs.states, tolerance)
        iterations += extra
    tails = well.outside(pairs.states, energy)
    return Solution(energies, pairs.states, tails / (1 + tails), energy, iterations, corrections)


def _own_masses(
    well: Well, energies: Array, states: Array, tolerance: float
) -> tuple[Array, Array, int]:
    """Return energies of excited states with the masses at their own energies."""
    found, iterations = energies.copy(), 0
    done = [0]
    for k in range(1, len(energies)):
        near = [j for j in done if abs(energies[j] - energies[k]) < 0.01]
        if near and near[-1] > 0:
            found[k] = energies[k] + found[near[-1]] - energies[near[-1]]
            done.append(k)
            continue
        energy = float(energies[k])
        pairs = _linear(well, energy, states, len(states), tolerance)
        iterations += pairs.iterations
        slope = well.slope(pairs.states[k], energy)
        found[k] = energy + (pairs.values[k] - energy) / (1 - slope)
        done.append(k)
    return found, found - energies, iterations


def _linear(well: Well, energy: float, vectors: Array, states: int, tolerance: float) -> Eigenpairs:
    coefficient, operator = well.parts(energy)
    free = BoxPreconditioner(coefficient, well.cells.spacing, 0.03, well.cells.scale)
    bottom = well.start()
    shifted = Operator(
        operator.stiff, operator.potential - bottom * well.cells.filled, operator.scale
    )
    pairs = lowest(shifted, free, vectors, states, tolerance=tolerance)
    return Eigenpairs(pairs.values + bottom, pairs.states, pairs.residuals, pairs.iterations)


def first_guess(well: Well, count: int, seed: int) -> Array:
    """Return smooth start vectors that reach every domain, (count, nx, ny, nz)."""
    full = well.cells.filled
    grids = np.meshgrid(*[np.linspace(-1, 1, n) for n in full.shape], indexing="ij", sparse=True)
    generator = np.random.default_rng(seed)
    root = np.sqrt(full)
    found = []
    domains = list(well.cells.shares)
    order = np.argsort([band.edge for band in well.bands])
    for k in order:
        found.append(root * domains[k])
    for axis in range(3):
        found.append(root * domains[order[0]] * grids[axis])
    while len(found) < count:
        a, b, c = generator.normal(size=3)
        found.append(root * np.cos(3 * (a * grids[0] + b * grids[1] + c * grids[2])))
    return np.stack(found[: max(count, len(order))])


def refined(solution: Solution, well: Well) -> Array:
    """Return a solution's vectors on voxels half as wide, as a guess for ``well``."""
    fine = doubled(solution.vectors * 1.0)
    return np.asarray(fine * (well.cells.filled > 0))


def solve_on(
    shape: Shape,
    bands: Sequence[Carrier],
    barrier: Barrier,
    states: int = 3,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[Solution, Array, Well]:
    """Return the states of a carrier on a shape, with the error of the grid.

    Solved on voxels twice as wide first; the difference tells the error of the finer grid.

    Returns
    -------
    Solution
        On the shape's own grid, energies at each state's own mass.
    errors : (states,) array
        Estimate of what is left of the grid in the energies, eV.
    Well
        The problem on the shape's own grid.

    Raises
    ------
    InputError
        A barrier that lies below the band.
    """
    if states < 1 or states > 200:
        raise InputError(f"{states} states cannot be asked for", remedy="give 1 to 200")
    lowest_edge = min(band.edge for band in bands)
    if barrier.height <= lowest_edge:
        raise InputError(
            f"the medium's edge lies {lowest_edge - barrier.height:.2f} eV below the band, so that "
            "nothing confines the carrier",
            place="medium",
            remedy="check ionization energies and affinities, or give another medium",
        )
    wide = Well(cells(shape.coarsened()), tuple(bands), barrier)
    first = solve(wide, states, seed=seed, progress=progress)
    well = Well(cells(shape), tuple(bands), barrier)
    second = solve(
        well,
        states,
        guess=refined(first, well),
        reference=first.reference,
        own_masses=False,
        progress=progress,
    )
    energies = second.energies + first.corrections
    errors = np.abs(energies - first.energies)
    finished = Solution(
        energies,
        second.vectors,
        second.outside,
        second.reference,
        first.iterations + second.iterations,
        first.corrections,
    )
    return finished, errors, well
