"""Energy of two half crystals in contact, from the ionic potential, over shift and gap.

Both half crystals are rigid and periodic in the coincidence cell (B strained onto A), so their
interaction is a sum over the plane waves that both lattices have in common: Coulomb terms decay
as exp(-G z) (Parry, Surf. Sci. 49, 433 (1975), for planes that do not overlap), the Born-Mayer
repulsion by the Fourier transform of exp(-r/rho) in a plane. Work per registry does not grow with
the coincidence cell.

How far it can be trusted: ions do not relax and the cut is flat. Adhesion is a lower bound (in
magnitude) and the interface energy an upper bound for the same potential; relaxation lowers the
energy most where the two lattices disagree most. Differences between registries of one
termination pair are good to some tens of percent, absolute values to a factor of about two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.epitaxy.layers import Layer, Side, layers

if TYPE_CHECKING:
    from heterodot.energy.potential import IonicPotential

FLOOR = 0.7  # Å: nearest approach of the two surface atom planes that is evaluated
POLAR = 1e-4  # e/Å²: bound charge below which a termination counts as non-polar
DEEP = 12.0  # Å: depth of each half crystal
REACH = 6.5  # Å: range of the repulsion
WIDEST = 4.5  # Å: largest gap that is looked at
COARSE = 6.0  # 1/Å: waves that a first look at all registries uses
PRECISION = 9.0  # waves are kept up to G with exp(-G FLOOR) = exp(-PRECISION)


@dataclass(frozen=True, eq=False)
class Half:
    """A half crystal per primitive mesh: atoms from its terminating layer inwards.

    Attributes
    ----------
    points : (n, 2) array
        In-plane positions in the relation's axes, Å.
    depths : (n,) array
        Distance behind the outermost atom, Å.
    weights : (n,) array
        Occupancy of each site.
    charges : (n,) array
        Formal charges times the potential's scale and the occupancy, e.
    species : tuple of str
        Of each atom.
    area : float
        Of the mesh, Å².
    edge : float
        Height of the outermost atom over the terminating plane, Å (for B: below it).
    bound : float
        Bound surface charge of the termination, e/Å² (formal charges, not scaled): the
        polarization of the stacking that ends there. Zero for a non-polar plane.
    occupancy : float
        What is left of the outermost layer once it gives up the bound charge: 1 for a non-polar
        plane, 1/2 for (111) of rock salt.
    """

    points: NDArray[np.float64]
    depths: NDArray[np.float64]
    weights: NDArray[np.float64]
    charges: NDArray[np.float64]
    species: tuple[str, ...]
    area: float
    edge: float
    bound: float
    occupancy: float


def half(
    view: Side,
    stack: list[Layer],
    last: int,
    *,
    below: bool,
    deform: NDArray[np.float64] | None = None,
    scale: float = 1.0,
) -> Half:
    """Return the half crystal whose outermost layer is ``stack[last]``.

    A polar termination cannot exist as it is cut: its field would reach through the crystal. It
    gives up its bound charge in the simplest way, by losing the same fraction of every ion of its
    outermost layer (for (111) of rock salt half of it, as in the octopolar reconstruction, taken
    as a mean occupancy); charges and repulsions are weighted with the occupancy.

    Parameters
    ----------
    view : Side
    stack : list of Layer
        All layers of one period, as `layers` gives them.
    last : int
        The outermost layer.
    below : bool
        The crystal lies below its termination (A) or above it (B).
    deform : (2, 2) array, optional
        In-plane map of positions, column vectors.
    scale : float
        Factor on the formal charges.
    """
    from ase.data import chemical_symbols

    period, drift = view.period, view.stack.drift
    rows, flats, heights = [], [], []
    for n, layer in enumerate(stack):
        turn = 0
        if below and n > last:
            turn = -1
        elif not below and n < last:
            turn = 1
        whole = np.rint((view.stack.heights[layer.members] - layer.heights) / period)
        rows.append(layer.members)
        flats.append(view.stack.flat[layer.members] + (turn - whole)[:, None] * drift)
        heights.append(layer.heights + turn * period)
    row, flat, height = np.concatenate(rows), np.vstack(flats), np.concatenate(heights)
    charges = view.crystal.require_charges()[view.sites.atoms[row]]
    plane = stack[last].height
    sign = 1.0 if below else -1.0
    edge = float((sign * (height - plane)).max())
    bound = float(sign * (charges * height).sum() / (view.mesh.area * period))
    outermost = np.concatenate([np.full(len(layer.members), n) for n, layer in enumerate(stack)])
    occupancy = 1.0
    carried = float(charges[outermost == last].sum()) / view.mesh.area
    if abs(bound) > POLAR and abs(carried) > POLAR:
        kept = 1.0 - bound / carried
        occupancy = kept if 0.0 <= kept <= 1.0 else 1.0
    repeats = max(1, math.ceil(DEEP / period))
    points, depths = [], []
    for n in range(repeats):
        points.append((flat - sign * n * drift) @ view.mesh.flat)
        depths.append(edge - sign * (height - plane) + n * period)
    where = np.vstack(points)
    area = view.mesh.area
    if deform is not None:
        where = where @ deform.T
        area *= float(abs(np.linalg.det(deform)))
        bound /= float(abs(np.linalg.det(deform)))
    weights = np.ones(len(row) * repeats)
    weights[: len(row)][outermost == last] = occupancy
    return Half(
        np.ascontiguousarray(where),
        np.concatenate(depths),
        weights,
        np.tile(charges, repeats) * scale * weights,
        tuple(chemical_symbols[n] for n in view.sites.numbers[row]) * repeats,
        area,
        edge,
        bound,
        occupancy,
    )


@dataclass(frozen=True, eq=False)
class Waves:
    """The plane waves that two lattices with a common cell share, and a grid of rigid shifts.

    Attributes
    ----------
    vectors : (m, 2) array
        One of each pair G, -G, and 0; 1/Å, shortest first.
    lengths : (m,) array
    dual : (2, 2) array
        Period of the registry, rows, Å.
    floor : float
        Smallest gap for which they are enough, Å.
    shifts : (n, 2) array
        Coarse grid over the period, Å.
    phases : (n, k) complex array
        exp(i G s) of the shifts and the ``k`` longest-ranged waves.
    """

    vectors: NDArray[np.float64]
    lengths: NDArray[np.float64]
    dual: NDArray[np.float64]
    floor: float
    shifts: NDArray[np.float64]
    phases: NDArray[np.complex128]


def shared_waves(
    cell: NDArray[np.float64],
    cell_a: NDArray[np.int64],
    cell_b: NDArray[np.int64],
    *,
    floor: float = FLOOR,
) -> Waves:
    """Return the waves common to both meshes of a coincidence cell.

    Parameters
    ----------
    cell : (2, 2) array
        Coincidence cell, rows, Å.
    cell_a, cell_b : (2, 2) int array
        The same in both meshes.
    floor : float
        Smallest gap that will be asked for, Å.
    """
    vectors, dual = common_waves(cell, cell_a, cell_b, PRECISION / floor)
    lengths = np.linalg.norm(vectors, axis=1)
    order = np.argsort(np.round(lengths, 9), kind="stable")
    vectors, lengths = np.ascontiguousarray(vectors[order]), lengths[order]
    shifts = grid(dual, 0.55)
    coarse = int(np.searchsorted(lengths, COARSE))
    phases = np.exp(1j * shifts @ vectors[:coarse].T)
    return Waves(vectors, lengths, dual, floor, shifts, phases)


def grid(dual: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Return rigid shifts that cover the period of the registry, (n, 2), Å."""
    numbers = [max(1, min(24, math.ceil(x / step))) for x in np.linalg.norm(dual, axis=1)]
    fractions = np.array(list(np.ndindex(*numbers))) / numbers
    return np.asarray(fractions @ dual)


@dataclass(frozen=True, eq=False)
class Seen:
    """A half crystal as the other one sees it: its Fourier amplitudes (see `_planewise`)."""

    half: Half
    coulomb: NDArray[np.complex128]
    plain: NDArray[np.complex128]
    weighted: NDArray[np.complex128]


def seen(
    body: Half,
    waves: Waves,
    own: Sequence[str],
    others: Sequence[str],
    potential: IonicPotential,
    *,
    below: bool,
) -> Seen:
    """Return the Fourier amplitudes of a half crystal.

    Parameters
    ----------
    body : Half
    waves : Waves
    own, others : sequences of str
        Elements of this crystal and of the other.
    potential : IonicPotential
    below : bool
        Whether it is the lower half.
    """
    from heterodot.epitaxy._planewise import amplitudes

    rates = np.array([[1.0 / potential.rho[x, y] for y in others] for x in own])
    kinds = np.array([list(own).index(s) for s in body.species])
    values = amplitudes(
        waves.vectors, body.points, body.depths, body.weights, body.charges, kinds, REACH, rates,
        -1.0 if below else 1.0,
    )  # fmt: skip
    return Seen(body, *values)


class Junction:
    """Energy per area of two half crystals as a function of rigid shift and gap.

    Parameters
    ----------
    lower, upper : Seen
        Both halves, with amplitudes for the same waves and elements.
    waves : Waves
    own, others : sequences of str
        Elements of the lower and of the upper crystal.
    potential : IonicPotential
    """

    def __init__(
        self,
        lower: Seen,
        upper: Seen,
        waves: Waves,
        own: Sequence[str],
        others: Sequence[str],
        potential: IonicPotential,
    ) -> None:
        from heterodot.energy.ewald import coulomb_constant

        self.lower, self.upper = lower.half, upper.half
        self.waves = waves
        lengths = waves.lengths
        # a wave and its opposite are added as one
        twice = np.where(lengths > 0, 2.0, 1.0) / (self.lower.area * self.upper.area)
        rho = np.array([[potential.rho[a, b] for b in others] for a in own])
        contact = np.array([[potential.contact[a, b] for b in others] for a in own])
        self.rates = 1.0 / rho
        self.strengths = 2.0 * math.pi * rho * np.exp(contact / rho)
        safe = np.where(lengths > 0, lengths, 1.0)
        front = 2.0 * math.pi * coulomb_constant() / safe * twice
        self.coulomb = front * lower.coulomb * upper.coulomb
        self.p_a, self.w_a = lower.plain * twice, lower.weighted * twice
        self.p_b, self.w_b = upper.plain, upper.weighted

    @classmethod
    def between(
        cls,
        lower: Half,
        upper: Half,
        cell: NDArray[np.float64],
        cell_a: NDArray[np.int64],
        cell_b: NDArray[np.int64],
        potential: IonicPotential,
        *,
        floor: float = FLOOR,
    ) -> Junction:
        """Return the junction of two halves with a common cell (rows, Å; integers in meshes)."""
        waves = shared_waves(cell, cell_a, cell_b, floor=floor)
        own, others = sorted(set(lower.species)), sorted(set(upper.species))
        return cls(
            seen(lower, waves, own, others, potential, below=True),
            seen(upper, waves, others, own, potential, below=False),
            waves,
            own,
            others,
            potential,
        )

    def spectrum(self, gap: float) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
        """Return the energy of each common wave at a gap and its derivative by the gap."""
        from heterodot.epitaxy._planewise import spectrum

        values = np.empty(len(self.waves.lengths), dtype=np.complex128)
        slopes = np.empty_like(values)
        spectrum(
            gap, self.waves.lengths, self.coulomb, self.p_a, self.w_a, self.p_b, self.w_b,
            self.rates, self.strengths, values, slopes,
        )  # fmt: skip
        return values, slopes

    def energy(self, shift: NDArray[np.float64], gap: float) -> float:
        """Return the interaction energy per area, eV/Å² (negative where the halves attract).

        Parameters
        ----------
        shift : (2,) array
            Rigid shift of the upper half, Å.
        gap : float
            Distance of the outermost atoms along the normal, Å.
        """
        return float(self.gradient(shift, gap)[0])

    def gradient(self, shift: NDArray[np.float64], gap: float) -> tuple[float, NDArray[np.float64]]:
        """Return energy per area and its derivatives by shift (x, y) and gap, eV/Å² and eV/Å³."""
        from heterodot.epitaxy._planewise import at_shift

        values, slopes = self.spectrum(gap)
        energy, x, y, z = at_shift(
            self.waves.vectors, values, slopes, float(shift[0]), float(shift[1])
        )
        return float(energy), np.array([x, y, z])

    def shift_map(
        self, gap: float, *, step: float = 0.4
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return shifts over the period of the registry, (n, 2) Å, and energies there, (n,)."""
        from heterodot.epitaxy._planewise import shift_map

        shifts = grid(self.waves.dual, step)
        values, _ = self.spectrum(gap)
        return shifts, np.asarray(shift_map(self.waves.vectors, values, shifts))

    def coarse(self, *, widest: float = WIDEST) -> tuple[NDArray[np.float64], float, float]:
        """Return shift, gap and energy of the best point of a coarse grid (long waves only)."""
        count = self.waves.phases.shape[1]
        gaps = np.arange(max(self.waves.floor, 0.8), widest, 0.25)
        values = np.empty((count, len(gaps)), dtype=np.complex128)
        slopes = np.empty(count, dtype=np.complex128)
        from heterodot.epitaxy._planewise import spectrum

        lengths = self.waves.lengths[:count]
        for n, gap in enumerate(gaps):
            out = np.empty(count, dtype=np.complex128)
            spectrum(
                float(gap), lengths, self.coulomb[:count], self.p_a, self.w_a, self.p_b, self.w_b,
                self.rates, self.strengths, out, slopes,
            )  # fmt: skip
            values[:, n] = out
        phases = self.waves.phases
        energies = phases.real @ values.real - phases.imag @ values.imag
        flat = int(np.argmin(np.round(energies, 9)))
        row, column = divmod(flat, len(gaps))
        return self.waves.shifts[row], float(gaps[column]), float(energies[row, column])

    def optimum(
        self,
        start: tuple[NDArray[np.float64], float, float] | None = None,
        *,
        widest: float = WIDEST,
    ) -> tuple[NDArray[np.float64], float, float]:
        """Return shift (Å), gap (Å) and energy per area of the most stable registry.

        The energy is positive, at the widest gap, where the halves repel each other everywhere.

        Parameters
        ----------
        start : (shift, gap, energy), optional
            Where to start; the best point of `coarse` if not given.
        widest : float
            Largest gap, Å.
        """
        from scipy.optimize import minimize

        best = self.coarse(widest=widest) if start is None else start

        def function(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            return self.gradient(x[:2], float(x[2]))

        found = minimize(
            function,
            np.array([*best[0], best[1]]),
            jac=True,
            method="L-BFGS-B",
            bounds=[(None, None), (None, None), (self.waves.floor, widest)],
            options={"maxiter": 40, "ftol": 1e-10, "gtol": 1e-7},
        )
        return np.asarray(found.x[:2]), float(found.x[2]), float(found.fun)


def common_waves(
    cell: NDArray[np.float64],
    cell_a: NDArray[np.int64],
    cell_b: NDArray[np.int64],
    longest: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the wave vectors that two lattices with a common cell share, one of each +-pair.

    Returns
    -------
    waves : (m, 2) array
        1/Å, including 0, up to ``longest``.
    dual : (2, 2) array
        Period of the registry (the lattice of all differences of vectors of both), rows, Å.
    """
    together = _sum_lattice(np.asarray(cell_a), np.asarray(cell_b))
    dual = _reduced2(together @ cell)
    reciprocal = 2.0 * math.pi * np.linalg.inv(dual).T
    lengths = np.linalg.norm(dual, axis=1)
    n0, n1 = (int(longest * x / (2.0 * math.pi)) + 1 for x in lengths)
    grid = np.array(
        [(0, k) for k in range(n1 + 1)]
        + [(h, k) for h in range(1, n0 + 1) for k in range(-n1, n1 + 1)],
        dtype=float,
    )
    waves = grid @ reciprocal
    return np.ascontiguousarray(waves[np.linalg.norm(waves, axis=1) <= longest]), dual


def _sum_lattice(cell_a: NDArray[np.int64], cell_b: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return a basis, in units of the common cell, of all vectors of A's mesh plus B's mesh."""
    det_a = round(float(np.linalg.det(cell_a)))
    det_b = round(float(np.linalg.det(cell_b)))
    scale = abs(det_a * det_b)
    rows = np.vstack(
        [
            np.rint(np.linalg.inv(cell_a) * scale),
            np.rint(np.linalg.inv(cell_b) * scale),
        ]
    ).astype(np.int64)
    # integer row reduction of four generators to two
    work = [[int(x) for x in row] for row in rows]
    basis = []
    for column in range(2):
        while True:
            live = [row for row in work if row[column] != 0]
            if len(live) <= 1:
                break
            pivot = min(live, key=lambda row: abs(row[column]))
            for row in live:
                if row is not pivot:
                    times = row[column] // pivot[column]
                    for k in range(2):
                        row[k] -= times * pivot[k]
        live = [row for row in work if row[column] != 0]
        basis.append(live[0])
        work.remove(live[0])
    return np.array(basis, dtype=float) / scale


def _reduced2(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    one, two = rows[0].copy(), rows[1].copy()
    while True:
        if one @ one > two @ two:
            one, two = two, one
        times = round(float(one @ two) / float(one @ one))
        if times == 0:
            return np.array([one, two])
        two = two - times * one


def cleavage(view: Side, stack: list[Layer], last: int, potential: IonicPotential) -> float:
    """Return the energy per area to part a crystal above layer ``last``, eV/Å² (rigid).

    It is the sum of both surface energies that the cut makes.
    """
    following = (last + 1) % len(stack)
    lower = half(view, stack, last, below=True, scale=potential.charge_scale)
    upper = half(view, stack, following, below=False, scale=potential.charge_scale)
    step = stack[following].height - stack[last].height
    # the upper half is built at its own heights; one period up where the stack starts again
    turns = 1 if following <= last else 0
    drift = turns * view.stack.drift @ view.mesh.flat
    gap = step + turns * view.period - lower.edge - upper.edge
    one = np.eye(2, dtype=np.int64)
    junction = Junction.between(
        lower, upper, view.mesh.flat, one, one, potential, floor=max(min(gap, FLOOR), 0.3)
    )
    return -junction.energy(drift, gap)


def cheapest_face(crystal: Crystal, potential: IonicPotential) -> float:
    """Return the lowest surface energy among the non-polar low-index faces, eV/Å² (rigid).

    No face that a cut makes costs less: it would otherwise be the crystal's own. Planes up to
    index 1 of the conventional cell are looked at; 0 where all of them are polar.
    """
    from heterodot.epitaxy.planes import distinct_planes, surface_mesh
    from heterodot.epitaxy.registry import primitive_sites, stacking

    sites = primitive_sites(crystal)
    found = []
    for plane in distinct_planes(crystal, 1):
        mesh = surface_mesh(crystal, plane)
        view = Side(crystal, sites, mesh, stacking(sites, mesh), np.eye(2, dtype=np.int64))
        stack = layers(view)
        for last in range(len(stack)):
            if abs(half(view, stack, last, below=True).bound) < POLAR:
                found.append(0.5 * cleavage(view, stack, last, potential))
    positive = [energy for energy in found if energy > 0]
    return min(positive) if positive else 0.0
