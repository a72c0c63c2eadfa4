"""Envelope states of one carrier on a shape: position-dependent edges and masses, finite barrier.

The equation is BenDaniel and Duke's (Phys. Rev. 152, 683 (1966)) with a mass that depends on
energy through the coupling of the bands across the gap (Kang and Wise, J. Opt. Soc. Am. B 14, 1632
(1997)). Outside, the state falls as exp(-kappa n), with kappa of the barrier: the tail is
eliminated exactly for a smooth surface, which leaves a surface term
``hbar^2/(2 m_out) (kappa + mean curvature)`` in the energy. The grid then holds the particle only.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.electronic._kernels import fill_links
from heterodot.electronic.eigen import BoxPreconditioner, Eigenpairs, Operator, lowest
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
    """The filled voxels of a shape, as the solver uses them.

    Attributes
    ----------
    active : (n,) int array
        Their places in the flattened box.
    points : tuple of int
        Voxels of the box along each axis.
    spacing : float
    filled : (n,) array
        Fraction inside.
    shares : (n_domains, n) array
        Of each domain in the filled part.
    neighbors : (n, 6) int32 array
        Numbers of the voxels at -x, +x, -y, +y, -z, +z (its own where there is none).
    openings : (n, 6) array
        Open fraction of the six faces.
    surface, curvature : (n,) arrays
    """

    active: NDArray[np.int64]
    points: tuple[int, int, int]
    spacing: float
    filled: Array
    shares: Array
    neighbors: NDArray[np.int32]
    openings: Array
    surface: Array
    curvature: Array

    @property
    def scale(self) -> Array:
        """One over the root of the filled fraction, (n,)."""
        return np.asarray(1 / np.sqrt(self.filled))

    def boxed(self, vectors: Array) -> Array:
        """Return values on filled voxels, (..., n), in the box, (..., nx, ny, nz)."""
        out = np.zeros((*vectors.shape[:-1], int(np.prod(self.points))), dtype=vectors.dtype)
        out[..., self.active] = vectors
        return out.reshape(*vectors.shape[:-1], *self.points)

    def gathered(self, fields: Array) -> Array:
        """Return the values of fields, (..., nx, ny, nz), on the filled voxels, (..., n)."""
        return np.asarray(fields.reshape(*fields.shape[:-3], -1)[..., self.active])


def cells(shape: Shape) -> Cells:
    """Return the voxels that are not almost empty; the surface of others goes to neighbors."""
    inside = shape.inside
    full = inside > THINNEST
    active = np.flatnonzero(full)
    number = np.full(full.shape, -1, dtype=np.int32)
    number[full] = np.arange(len(active), dtype=np.int32)
    own = np.arange(len(active), dtype=np.int32)
    neighbors = np.empty((len(active), 6), dtype=np.int32)
    openings = np.zeros((len(active), 6))
    for axis in range(3):
        through = np.moveaxis(shape.openings[axis], axis, 0)[:, :-1, :-1]
        for side, step in enumerate((-1, 1)):
            beside = np.roll(np.pad(number, 1, constant_values=-1), -step, axis)[1:-1, 1:-1, 1:-1]
            there = beside[full]
            face = np.moveaxis(through[1:] if step > 0 else through[:-1], 0, axis)[full]
            k = 2 * axis + side
            neighbors[:, k] = np.where(there >= 0, there, own)
            openings[:, k] = np.where(there >= 0, face, 0.0)
    filled = inside[full].astype(float)
    return Cells(
        active,
        shape.points,
        shape.spacing,
        filled,
        shape.fractions[:, full].astype(float) / filled,
        neighbors,
        openings,
        _handed_on(shape.surface.astype(float), full)[full],
        shape.curvature[full].astype(float),
    )


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
    extra : (n,) array or None
        Potential energy added everywhere, eV.
    """

    cells: Cells
    bands: tuple[Carrier, ...]
    barrier: Barrier
    extra: Array | None = None

    def parts(self, energy: float) -> tuple[Array, Operator]:
        """Return the local coefficient hbar²/2m and the operator at an energy of the mass."""
        cells, unit = self.cells, kinetic()
        heaviness = np.zeros(len(cells.active))
        potential = np.zeros(len(cells.active))
        local = energy if self.extra is None else energy - self.extra
        for share, band in zip(cells.shares, self.bands, strict=True):
            across = 1.0 if band.axis is None else band.mass / band.transverse
            heaviness += share / (band.inverse_mass(local) * across)
            potential += share * band.edge
        if self.extra is not None:
            potential += self.extra
        # the flux a grad psi is continuous across faces
        links, flow = np.empty_like(cells.openings), np.empty_like(heaviness)
        step = 2 * unit / cells.spacing**2
        fill_links(heaviness, cells.openings, cells.neighbors, cells.scale, step, links, flow)
        slope, excess = self._along(local)
        leak, seen = self._skin(local, self._toward_surface(heaviness, excess))
        skin = leak * seen * cells.surface / cells.spacing
        diagonal = (flow + skin) / cells.filled + potential
        return unit / heaviness, Operator(diagonal, links, cells.neighbors, slope, excess)

    def _toward_surface(self, heaviness: Array, excess: Array | None) -> Array:
        """Return the mass along the surface's normal where the mass has an axis, m_e."""
        if excess is None:
            return heaviness
        axis = np.array(next(band.axis for band in self.bands if band.axis is not None))
        faces = self.cells.openings
        normal = faces[:, 0::2] - faces[:, 1::2]
        length = np.maximum((normal**2).sum(axis=1), 1e-12)
        along = (normal @ axis) ** 2 / length
        return np.asarray(1 / (1 / heaviness + along * excess / (kinetic() * self.cells.filled)))

    def _along(self, local: float | Array) -> tuple[Any, Array | None]:
        """Return slope and excess coefficient along the axis of an anisotropic mass, if any."""
        if self._slope is None:
            return None, None
        excess = np.zeros(len(self.cells.active))
        for share, band in zip(self.cells.shares, self.bands, strict=True):
            if band.axis is not None:
                ratio = band.mass / band.longitudinal - band.mass / band.transverse
                excess += share * band.inverse_mass(local) * ratio
        return self._slope, kinetic() * self.cells.filled * excess

    @functools.cached_property
    def _slope(self) -> Any:
        """Derivative along the one axis that bands have, of scaled vectors; None without axis."""
        axes = {band.axis for band in self.bands if band.axis is not None}
        if not axes:
            return None
        if len(axes) > 1:
            raise InputError(
                "two domains with differently turned anisotropic masses cannot be solved together",
                place="valleys",
                remedy="give one of them a mean mass only",
            )
        from scipy.sparse import diags

        (axis,) = axes
        return (slope_matrix(self.cells, np.array(axis)) @ diags(self.cells.scale)).tocsr()

    def _skin(self, energy: float | Array, heaviness: Array) -> tuple[Array, Array]:
        """Return what leaks per area of surface, eV Å, and amplitude there over that at the center.

        The way from a voxel's center to the surface is in series with the tail.
        """
        cells, unit = self.cells, kinetic()
        leak = unit / self.barrier.mass * np.maximum(self.decay(energy) + cells.curvature, 1e-3)
        depth = (cells.filled - 0.5) * cells.spacing
        return leak, 1 / np.maximum(1 + leak * heaviness / unit * depth, 0.4)

    def decay(self, energy: float | Array) -> float | Array:
        """Return 1/Å of the fall outside; not below 0.05 where the barrier is nearly reached."""
        depth = np.maximum(self.barrier.height - np.asarray(energy), 0.0)
        rate = np.maximum(np.sqrt(depth * self.barrier.mass / kinetic()), 0.05)
        return float(rate) if rate.ndim == 0 else np.asarray(rate)

    def start(self) -> float:
        """Return an energy near the bottom of the deepest band."""
        return min(band.edge for band in self.bands)

    def outside(self, vectors: Array, energy: float) -> Array:
        """Return the weight of the tails relative to that inside, (m,)."""
        heaviness = np.zeros(len(self.cells.active))
        for share, band in zip(self.cells.shares, self.bands, strict=True):
            heaviness += share / band.inverse_mass(energy)
        _, seen = self._skin(energy, heaviness)
        weight = self.cells.surface / (2 * self.decay(energy)) / self.cells.spacing
        return np.asarray(vectors**2 @ (weight * seen**2 / self.cells.filled))

    def slopes(self, vectors: Array, energy: float, step: float = 0.02) -> Array:
        """Return how expectation values change with the energy of mass and tail, (m,)."""
        values = []
        for shift in (-step, step):
            _, operator = self.parts(energy + shift)
            values.append((vectors * operator(vectors)).sum(axis=1))
        return np.asarray((values[1] - values[0]) / (2 * step))


@dataclass(frozen=True, eq=False)
class Solution:
    """States of one carrier.

    Attributes
    ----------
    energies : (n,) array
        eV in the carrier's convention (upward into confinement), each at its own mass.
    vectors : (n, n_voxels) array
        Of unit length, on the filled voxels: the amplitude times the root of the filled fraction.
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


def slope_matrix(grid: Cells, axis: Array) -> Any:
    """Return the derivative along an axis at voxel centers as a sparse matrix, 1/Å, (n, n).

    Mean of the differences to both neighbors. With one neighbor only, that difference stands for the
    inner half of the voxel (a weight of one half in the energy): the way to the surface is in the
    boundary term.
    """
    from scipy.sparse import csr_matrix

    n = len(grid.active)
    own = np.arange(n)
    total = csr_matrix((n, n))
    for k in range(3):
        if abs(axis[k]) < 1e-12:
            continue
        ways = [grid.openings[:, 2 * k + side] > 0.5 for side in (0, 1)]
        both = ways[0] & ways[1]
        weight = axis[k] / grid.spacing * np.where(both, 0.5, np.sqrt(0.5))
        for side, sign in ((0, -1.0), (1, 1.0)):
            rows = own[ways[side]]
            there = grid.neighbors[rows, 2 * k + side]
            value = sign * weight[rows]
            total = total + csr_matrix(
                (
                    np.concatenate([value, -value]),
                    (np.concatenate([rows, rows]), np.concatenate([there, rows])),
                ),
                shape=(n, n),
            )
    return total.tocsr()


def solve(
    well: Well,
    states: int,
    *,
    seed: int = 0,
    guess: Array | None = None,
    reference: float | None = None,
    own_masses: bool = True,
    tolerance: float = 4e-3,
    progress: Progress = silent,
) -> Solution:
    """Return the lowest states of a well, each at the mass of its own energy.

    Parameters
    ----------
    well : Well
    states : int
    seed : int
        Of the random part of the first guess.
    guess : (m, n_voxels) array, optional
        Vectors to start from.
    reference : float, optional
        Energy to start the mass from, eV.
    own_masses : bool
        Take excited states at the mass of their own energy (else to first order only).
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
        slopes = well.slopes(pairs.states, energy)
        better = energy + (pairs.values[0] - energy) / (1 - slopes[0])
        used, moved, energy = energy, abs(better - energy), better
        progress("levels", min(0.9, 0.2 + 0.1 * iterations / 20))
        if moved < 2e-4 or (reference is not None and moved < 0.02):
            break
    energies = used + (pairs.values - used) / (1 - slopes)
    first_order = energies
    if own_masses and states > 1:
        energies = _own_masses(well, energies, pairs.states)
    corrections = energies - first_order
    tails = well.outside(pairs.states, energy)
    return Solution(energies, pairs.states, tails / (1 + tails), energy, iterations, corrections)


def _own_masses(well: Well, energies: Array, states: Array) -> Array:
    """Return energies of excited states with the masses at their own energies.

    The operator at another mass is diagonalized among the states themselves; what other states
    would add is of second order in the change of mass.
    """
    found = energies.copy()
    for k in range(1, len(energies)):
        if k > 1 and abs(energies[k] - energies[k - 1]) < 0.01:
            found[k] = energies[k] + found[k - 1] - energies[k - 1]
            continue
        energy = float(energies[k])
        value, slope = [], 0.02
        for shift in (-slope, 0.0, slope):
            _, operator = well.parts(energy + shift)
            value.append(float(np.linalg.eigvalsh(states @ operator(states).T)[k]))
        change = (value[2] - value[0]) / (2 * slope)
        found[k] = energy + (value[1] - energy) / (1 - change)
    return found


def _linear(well: Well, energy: float, vectors: Array, states: int, tolerance: float) -> Eigenpairs:
    coefficient, operator = well.parts(energy)
    grid, bottom = well.cells, well.start()
    inverse = BoxPreconditioner(
        grid.active, grid.points, grid.spacing, coefficient, grid.scale, 0.03
    )
    shifted = dataclasses.replace(operator, diagonal=operator.diagonal - bottom)
    pairs = lowest(shifted, inverse, vectors, states, tolerance=tolerance)
    return Eigenpairs(pairs.values + bottom, pairs.states, pairs.residuals, pairs.iterations)


def first_guess(well: Well, count: int, seed: int) -> Array:
    """Return smooth start vectors that reach every domain, (count, n_voxels)."""
    grid = well.cells
    root = np.sqrt(grid.filled)
    place = np.array(np.unravel_index(grid.active, grid.points), dtype=float)
    place = 2 * place / np.array(grid.points)[:, None] - 1
    generator = np.random.default_rng(seed)
    order = np.argsort([band.edge for band in well.bands])
    found = [root * grid.shares[k] for k in order]
    found += [root * grid.shares[order[0]] * place[axis] for axis in range(3)]
    # waves as short as the count asks for: longer ones alone would soon depend on each other
    steep = max(3.0, 1.5 * count ** (1 / 3))
    while len(found) < count:
        wave = steep * generator.normal(size=3) @ place
        found.append(root * np.cos(wave + 2 * np.pi * generator.random()))
    return np.stack(found[: max(count, len(order))])


def refined(vectors: Array, coarse: Cells, fine: Cells) -> Array:
    """Return vectors of one grid on voxels half as wide, as a guess there."""
    amplitude = coarse.boxed(vectors * coarse.scale)
    return np.asarray(fine.gathered(doubled(amplitude)) * np.sqrt(fine.filled))


@dataclass(frozen=True, eq=False)
class OnGrid:
    """States of a carrier on a shape and on the same shape with voxels twice as wide.

    Attributes
    ----------
    solution : Solution
        On the shape's own grid.
    errors : (states,) array
        Estimate of what the grid leaves in the energies, eV.
    well : Well
    coarse_solution, coarse_well
        The same on the wider voxels.
    """

    solution: Solution
    errors: Array
    well: Well
    coarse_solution: Solution
    coarse_well: Well


def solve_on(
    shape: Shape,
    coarse: Shape,
    bands: Sequence[Carrier],
    barrier: Barrier,
    states: int = 3,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> OnGrid:
    """Return the states of a carrier on a shape, with the error of the grid.

    Solved on voxels twice as wide first; the difference tells how far the energies can be trusted.

    Parameters
    ----------
    shape, coarse : Shape
        The second is the first `Shape.coarsened`.
    bands : sequence of Carrier, one a domain
    barrier : Barrier
    states, seed, progress
        As in `solve`.

    Raises
    ------
    InputError
        A barrier that lies below the band, an impossible number of states.
    """
    if states < 1 or states > 300:
        raise InputError(f"{states} states cannot be asked for", remedy="give 1 to 300")
    lowest_edge = min(band.edge for band in bands)
    if barrier.height <= lowest_edge:
        raise InputError(
            f"the medium's edge lies {lowest_edge - barrier.height:.2f} eV below the band, so that "
            "nothing confines the carrier",
            place="medium",
            remedy="check ionization energies and affinities, or give another medium",
        )
    wide = Well(cells(coarse), tuple(bands), barrier)
    first = solve(wide, states, seed=seed, progress=progress)
    well = Well(cells(shape), tuple(bands), barrier)
    second = solve(
        well,
        states,
        guess=refined(first.vectors, wide.cells, well.cells),
        reference=first.reference,
        progress=progress,
    )
    energies = second.energies
    # Forty balls of random size, mass and barrier (docs): levels are off by 0.02 times spacing over
    # diameter on average, and extrapolating the two grids makes them worse, not better, because
    # what is left is noise of the cut voxels. The error says so without extrapolating.
    narrow = min(shape.diameter(name) for name in shape.names)
    errors = np.hypot(
        (energies - first.energies) / 3, 0.04 * shape.spacing / narrow * (energies - lowest_edge)
    )
    return OnGrid(second, errors, well, first, wide)
