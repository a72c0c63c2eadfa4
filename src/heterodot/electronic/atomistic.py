"""Tight-binding states of a particle of one or two materials, atom by atom.

Interface rule. A bond takes its hoppings from the material of its anion. A metal atom's levels
are the mean of the materials of its bonds, weighted by their number, so a lead atom in a shared
layer lies between its two sides. Metal-metal hoppings act only within one domain. Each material
is moved so that its valence edge is at minus its ionization energy, and its conduction level so
that its bulk gap is the measured one; both shifts are reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.crystal import Crystal
from heterodot.electronic.tight_binding import (
    HOPPINGS,
    BulkEdges,
    TightBindingSet,
    bulk_edges,
    fade,
    slater_koster,
    tight_binding_set,
)
from heterodot.electronic.tight_binding_edges import (
    DENSE,
    EdgeStates,
    SpinHamiltonian,
    edge_states,
)
from heterodot.errors import InputError, NotFoundError
from heterodot.progress import Progress, silent
from heterodot.units import Value

REACH_BOND = 1.25  # atoms are bonded up to this multiple of the distance of their hopping
PASSIVATION = 30.0  # eV, by which a dangling sp3 hybrid of a zinc-blende material is raised


@dataclass(frozen=True, eq=False)
class AtomisticLevels:
    """Band-edge states of a particle by tight binding.

    Attributes
    ----------
    energies : (k,) array
        eV against vacuum where the materials' ionization energies are known.
    occupied : (k,) bool array
        Whether a state lies below the gap.
    errors : (k,) array
        Numerical error bound (residual), eV; the model's own error is in ``notes``.
    populations : (n_atoms, k) array
        Weight of each atom in each state; columns add up to one.
    spinors : (n_orbitals, k, 2) array
    domains : mapping of domain name to (k,) array
        Share of each state in each domain.
    bulk : mapping of material to BulkEdges
        Bulk edges on the same scale.
    notes : tuple of str
        Shifts that were applied, and what was left out.
    """

    energies: NDArray[np.float64]
    occupied: NDArray[np.bool_]
    errors: NDArray[np.float64]
    populations: NDArray[np.float64]
    spinors: NDArray[np.complex128]
    domains: Mapping[str, NDArray[np.float64]]
    bulk: Mapping[str, BulkEdges]
    notes: tuple[str, ...] = ()
    products: int = 0

    @property
    def homo(self) -> int:
        """Index of the highest filled state."""
        return int(np.flatnonzero(self.occupied)[-1])

    @property
    def lumo(self) -> int:
        """Index of the lowest empty state."""
        return int(np.flatnonzero(~self.occupied)[0])

    @property
    def gap(self) -> Value:
        """Gap between the frontier states (no electron-hole attraction); error is numerical."""
        h, e = self.homo, self.lumo
        return Value(
            float(self.energies[e] - self.energies[h]),
            "eV",
            float(np.hypot(self.errors[e], self.errors[h])),
        )

    def to_json(self) -> dict[str, Any]:
        """Return energies, shares and notes as plain data."""
        return {
            "gap": self.gap.to_json(),
            "states": [
                {
                    "energy": Value(float(e), "eV", float(err)).to_json(),
                    "occupied": bool(filled),
                    "domains": {name: float(share[k]) for name, share in self.domains.items()},
                }
                for k, (e, err, filled) in enumerate(
                    zip(self.energies, self.errors, self.occupied, strict=True)
                )
            ],
            "bulk": {
                name: {"valence": edge.valence, "conduction": edge.conduction, "unit": "eV"}
                for name, edge in self.bulk.items()
            },
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class AlignedSet:
    """A parameter set placed on the vacuum scale with the measured gap.

    Attributes
    ----------
    parameters : TightBindingSet
    edges : BulkEdges
        Bulk edges after the shifts.
    notes : tuple of str
        What was shifted and why.
    """

    parameters: TightBindingSet
    edges: BulkEdges
    notes: tuple[str, ...] = field(default_factory=tuple)


def aligned_set(crystal: Crystal, *, measured_gap: bool = True, align: bool = True) -> AlignedSet:
    """Return the tight-binding set of a crystal, at its lattice, gap and ionization energy.

    Parameters
    ----------
    crystal : Crystal
    measured_gap : bool
        Move the metal's conduction level until the bulk gap is the catalog's.
    align : bool
        Put the bulk valence edge at minus the catalog's ionization energy.

    Raises
    ------
    InputError
        No parameters for the material.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> chloride = aligned_set(crystal("CsPbCl3"))
    >>> bool(chloride.edges.gap > 2.7), len(chloride.notes) > 0
    (True, True)
    """
    raw = tight_binding_set(crystal.name if _has_set(crystal.name) else crystal.formula)
    cubic = _cubic_reference(crystal, raw)
    parameters = raw.at_lattice(cubic.cellpar[0])
    notes = [f"{raw.name}: {raw.source} ({raw.note})"]
    edges = bulk_edges(parameters, cubic)
    target = _known(crystal, "band_gap") if measured_gap else None
    if target is not None:
        wanted = target.value
        total = 0.0
        for _ in range(30):
            miss = wanted - edges.gap
            if abs(miss) < 1e-6:
                break
            parameters = parameters.with_cation_p(miss)
            total += miss
            edges = bulk_edges(parameters, cubic)
        notes.append(
            f"{raw.name}: conduction level moved by {total:+.3f} eV so that the bulk gap is "
            f"the measured {target}"
        )
    elif measured_gap:
        notes.append(f"{raw.name}: no measured gap is known; its gap is {edges.gap:.3f} eV")
    ionization = _ionization(crystal) if align else None
    if ionization is not None:
        shift = -ionization.value - edges.valence
        parameters = parameters.shifted(shift)
        edges = BulkEdges(edges.valence + shift, edges.conduction + shift, edges.k)
        notes.append(f"{raw.name}: valence edge at minus the ionization energy {ionization}")
    elif align:
        notes.append(f"{raw.name}: no ionization energy is known; its energy zero is the set's own")
    return AlignedSet(parameters, edges, tuple(notes))


def _has_set(name: str) -> bool:
    from heterodot.electronic.tight_binding import tight_binding_materials

    return name in tight_binding_materials()


def _known(crystal: Crystal, quantity: str) -> Value | None:
    from heterodot.catalog import lookup

    for name in (crystal.name, crystal.formula):
        try:
            return lookup(name, quantity).value.to("eV")
        except (InputError, NotFoundError):
            continue
    return None


def _ionization(crystal: Crystal) -> Value | None:
    found = _known(crystal, "ionization_energy")
    if found is not None:
        return found
    affinity, gap = _known(crystal, "electron_affinity"), _known(crystal, "band_gap")
    if affinity is None or gap is None:
        return None
    error = float(np.hypot(affinity.error or 0.0, gap.error or 0.0)) or None
    return Value(affinity.value + gap.value, "eV", error)


def _cubic_reference(crystal: Crystal, parameters: TightBindingSet) -> Crystal:
    """Return the ideal cubic crystal with the volume per formula unit of the given one."""
    volume = crystal.volume / crystal.formula_units
    if parameters.structure == "perovskite":
        cation = next(e for e in crystal.counts if e not in parameters.orbitals)
        metal = parameters.metal
        anion = next(e for e in parameters.orbitals if e != metal)
        sites = {cation: (0, 0, 0), metal: (0.5, 0.5, 0.5), anion: (0.5, 0.5, 0)}
        return Crystal.from_sites(crystal.name, "P m -3 m", (volume ** (1 / 3),), sites)
    metal = parameters.metal
    anion = next(e for e in parameters.orbitals if e != metal)
    edge = (4 * volume) ** (1 / 3)
    if parameters.structure == "rock salt":
        sites = {metal: (0, 0, 0), anion: (0.5, 0.5, 0.5)}
        return Crystal.from_sites(crystal.name, "F m -3 m", (edge,), sites)
    sites = {metal: (0, 0, 0), anion: (0.25, 0.25, 0.25)}
    return Crystal.from_sites(crystal.name, "F -4 3 m", (edge,), sites)


# -------------------------------------------------------------------- the Hamiltonian of a body


@dataclass(frozen=True, eq=False)
class Body:
    """Hamiltonian of a particle with the map from orbitals to atoms.

    Attributes
    ----------
    hamiltonian : SpinHamiltonian
    atom : (n_orbitals,) int array
        Atom of each orbital.
    notes : tuple of str
    """

    hamiltonian: SpinHamiltonian
    atom: NDArray[np.int64]
    notes: tuple[str, ...]


def assemble(
    positions: NDArray[np.float64],
    symbols: Sequence[str],
    domain: ArrayLike,
    sets: Sequence[TightBindingSet],
) -> Body:
    """Return the tight-binding Hamiltonian of a finite body.

    Parameters
    ----------
    positions : (n, 3) array
        Å.
    symbols : sequence of str, n
    domain : (n,) int array
        Index into ``sets``; -1 for atoms of no crystal, which are left out.
    sets : sequence of TightBindingSet

    Raises
    ------
    InputError
        No atom brings an orbital, or two atoms lie on one another.
    """
    from scipy.sparse import coo_matrix
    from scipy.spatial import cKDTree

    positions = np.asarray(positions, dtype=float)
    names = np.array(symbols)
    domain = np.asarray(domain, dtype=np.int64)
    levels, strength, notes = _levels_of_atoms(positions, names, domain, sets)
    has = np.isfinite(levels)
    width = np.where(has[:, 0], 1, 0) + np.where(has[:, 1], 3, 0)
    start = np.concatenate([[0], np.cumsum(width)])
    n = int(start[-1])
    if n == 0:
        raise InputError(
            "no atom has tight-binding orbitals", place="atomistic", remedy="check its domains"
        )
    # orbital index of (s, px, py, pz) per atom, -1 where there is none
    index = np.full((len(names), 4), -1, dtype=np.int64)
    index[has[:, 0], 0] = start[:-1][has[:, 0]]
    p_start = start[:-1] + has[:, 0]
    index[has[:, 1], 1:] = p_start[has[:, 1], None] + np.arange(3)
    reach = max(s.reach for s in sets)
    pairs = cKDTree(positions).query_pairs(reach, output_type="ndarray").astype(np.int64)
    rows, columns, values = [], [], []
    bonds: list[NDArray[np.int64]] = []
    for chosen, integrals, nearest in _pair_integrals(positions, names, domain, sets, pairs):
        i, j = chosen.T
        vector = positions[j] - positions[i]
        r = np.linalg.norm(vector, axis=1)
        block = slater_koster(vector / r[:, None], integrals)
        left = np.broadcast_to(index[i][:, :, None], block.shape)
        right = np.broadcast_to(index[j][:, None, :], block.shape)
        keep = (left >= 0) & (right >= 0) & (block != 0.0)
        rows += [left[keep], right[keep]]
        columns += [right[keep], left[keep]]
        values += [block[keep], block[keep]]
        bonds.append(chosen[nearest])
    for m in range(4):
        here = index[:, m] >= 0
        rows.append(index[here, m])
        columns.append(index[here, m])
        values.append(levels[here, 0 if m == 0 else 1])
    _passivate(positions, names, domain, sets, np.concatenate(bonds), index, rows, columns, values)
    matrix = coo_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(n, n)
    ).tocsr()
    matrix.sum_duplicates()
    kind = np.zeros(n, dtype=np.int8)
    factor = np.zeros(n)
    spinful = np.flatnonzero((strength != 0) & has[:, 1])
    for m in (1, 2, 3):
        kind[index[spinful, m]] = m
        factor[index[spinful, m]] = strength[spinful]
    atom = np.repeat(np.arange(len(names)), width)
    hamiltonian = SpinHamiltonian(
        matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data, kind, factor
    )
    return Body(hamiltonian, atom, tuple(notes))


def _owner(
    anion_domain: NDArray[np.int64], pair: tuple[str, str], sets: Sequence[TightBindingSet]
) -> NDArray[np.int64]:
    """Return the set that a metal-anion bond belongs to: its anion's, else the first that has it."""
    able = [k for k, s in enumerate(sets) if pair in s.hoppings]
    return np.where(np.isin(anion_domain, able), anion_domain, able[0])


def _levels_of_atoms(
    positions: NDArray[np.float64],
    names: NDArray[np.str_],
    domain: NDArray[np.int64],
    sets: Sequence[TightBindingSet],
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Return s and p levels (n, 2; NaN for none) and spin-orbit factors (n,) by the rule above."""
    from scipy.spatial import cKDTree

    n = len(names)
    share = np.zeros((n, len(sets)))
    metals = {s.metal for s in sets}
    pairs = cKDTree(positions).query_pairs(max(s.reach for s in sets), output_type="ndarray")
    i, j = np.concatenate([pairs, pairs[:, ::-1]]).T
    metal = np.isin(names, sorted(metals))
    wanted = metal[i] & ~metal[j] & (domain[i] >= 0) & (domain[j] >= 0)
    i, j = i[wanted], j[wanted]
    r = np.linalg.norm(positions[j] - positions[i], axis=1)
    if len(r) and r.min() < 1.0:
        raise InputError("two atoms overlap", place="atomistic", remedy="relax the particle first")
    for k, parameters in enumerate(sets):
        for (a, b), hopping in parameters.hoppings.items():
            mine = (names[i] == a) & (names[j] == b) & (r < hopping.distance * REACH_BOND)
            mine &= _owner(domain[j], (a, b), sets) == k
            np.add.at(share, (i[mine], k), 1.0)
    empty = share.sum(axis=1) == 0
    inside = empty & (domain >= 0)
    share[inside, domain[inside]] = 1.0
    share /= np.maximum(share.sum(axis=1, keepdims=True), 1e-300)
    levels = np.full((n, 2), np.nan)
    strength = np.zeros(n)
    left_out: set[str] = set()
    for element in sorted(set(names.tolist())):
        here = (names == element) & (domain >= 0)
        owners = [k for k, s in enumerate(sets) if element in s.orbitals]
        if not owners:
            if here.any():
                left_out.add(element)
            continue
        weight = share[here][:, owners]
        lost = weight.sum(axis=1) == 0
        weight[lost, 0] = 1.0
        weight = weight / weight.sum(axis=1, keepdims=True)
        for column, key in enumerate(("s", "p")):
            with_key = [m for m, k in enumerate(owners) if key in sets[k].orbitals[element]]
            if with_key:
                part = weight[:, with_key]
                total = part.sum(axis=1, keepdims=True)
                part = np.where(total > 0, part / np.maximum(total, 1e-300), 1 / len(with_key))
                values = np.array([sets[owners[m]].orbitals[element][key] for m in with_key])
                levels[here, column] = part @ values
        strength[here] = weight @ np.array([sets[k].spin_orbit.get(element, 0.0) for k in owners])
    notes = [f"{element} brings no orbital" for element in sorted(left_out)]
    outside = sorted(set(names[domain < 0].tolist()))
    if outside:
        notes.append(f"atoms of no domain are left out ({', '.join(outside)})")
    return levels, strength, notes


def _pair_integrals(
    positions: NDArray[np.float64],
    names: NDArray[np.str_],
    domain: NDArray[np.int64],
    sets: Sequence[TightBindingSet],
    pairs: NDArray[np.int64],
) -> list[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]]:
    """Return for each set its pairs (m, 2), integrals (m, 5), and which of them are bonds."""
    inside = (domain[pairs] >= 0).all(axis=1)
    pairs = pairs[inside]
    metals = {s.metal for s in sets}
    is_metal = np.isin(names, sorted(metals))
    # the metal comes first, so that a pair has one name
    swap = ~is_metal[pairs[:, 0]] & is_metal[pairs[:, 1]]
    pairs = np.where(swap[:, None], pairs[:, ::-1], pairs)
    r = np.linalg.norm(positions[pairs[:, 0]] - positions[pairs[:, 1]], axis=1)
    out = []
    for k, parameters in enumerate(sets):
        for (a, b), hopping in parameters.hoppings.items():
            alike = (a in metals) == (b in metals)
            if (b in metals and not alike) or (alike and a > b):
                continue  # the same pair in the other order
            mine = (names[pairs[:, 0]] == a) & (names[pairs[:, 1]] == b)
            if alike:
                mine &= (domain[pairs] == k).all(axis=1)
            else:
                mine &= _owner(domain[pairs[:, 1]], (a, b), sets) == k
            factor = fade(r, hopping.distance)
            mine &= factor > 0
            if not mine.any():
                continue
            base = np.array([getattr(hopping, key) for key in HOPPINGS])
            bonded = (r[mine] < REACH_BOND * hopping.distance) & (not alike)
            out.append((pairs[mine], factor[mine, None] * base, bonded))
    return out


def _passivate(
    positions: NDArray[np.float64],
    names: NDArray[np.str_],
    domain: NDArray[np.int64],
    sets: Sequence[TightBindingSet],
    bonds: NDArray[np.int64],
    index: NDArray[np.int64],
    rows: list[NDArray[np.int64]],
    columns: list[NDArray[np.int64]],
    values: list[NDArray[np.float64]],
) -> None:
    """Raise the dangling hybrids of zinc-blende materials out of the gap.

    What is raised is the part of an atom's sp3 space that is orthogonal to the hybrids along its
    bonds (after Lee, Oyafuso, von Allmen, Klimeck, Phys. Rev. B 69, 045316 (2004)).
    """
    tetrahedral = [k for k, s in enumerate(sets) if s.structure == "zinc blende"]
    if not tetrahedral:
        return
    both = np.concatenate([bonds, bonds[:, ::-1]])
    order = np.argsort(both[:, 0], kind="stable")
    both = both[order]
    first = np.searchsorted(both[:, 0], np.arange(len(names) + 1))
    for atom in np.flatnonzero(np.isin(domain, tetrahedral)):
        where = index[atom]
        partners = both[first[atom] : first[atom + 1], 1]
        if (where < 0).any() or len(partners) >= 4:
            continue
        unit = positions[partners] - positions[atom]
        unit /= np.linalg.norm(unit, axis=1)[:, None]
        hybrids = np.concatenate([np.full((len(unit), 1), 0.5), np.sqrt(0.75) * unit], axis=1)
        q, _ = np.linalg.qr(hybrids.T) if len(unit) else (np.zeros((4, 0)), None)
        raised = PASSIVATION * (np.eye(4) - q @ q.T)
        rows.append(np.repeat(where, 4))
        columns.append(np.tile(where, 4))
        values.append(raised.ravel())


# -------------------------------------------------------------------- levels


def atomistic_levels(
    positions: NDArray[np.float64],
    symbols: Sequence[str],
    domain: ArrayLike,
    crystals: Sequence[Crystal],
    *,
    n_states: int = 20,
    measured_gap: bool = True,
    tolerance: float = 1e-4,
    seed: int = 0,
    progress: Progress = silent,
) -> AtomisticLevels:
    """Return the states around the gap of a particle by tight binding with spin-orbit coupling.

    Parameters
    ----------
    positions : (n, 3) array
        Å.
    symbols : sequence of str, n
    domain : (n,) int array
        Index into ``crystals``; -1 for ligands, which are left out.
    crystals : sequence of Crystal
        Bulk phase of each domain.
    n_states : int
        States around the gap, counting spin.
    measured_gap : bool
        Correct each material's bulk gap to the measured one (see `aligned_set`).
    tolerance : float
        Largest residual, eV.

    Raises
    ------
    InputError
        A material without parameters (which, and where to add them).
    NotFoundError
        The states did not converge.
    """
    placed = [aligned_set(crystal, measured_gap=measured_gap) for crystal in crystals]
    names = _distinct([crystal.formula for crystal in crystals])
    body = assemble(positions, symbols, domain, [p.parameters for p in placed])
    notes = [note for p in placed for note in p.notes] + list(body.notes)
    top, bottom = max(p.edges.valence for p in placed), min(p.edges.conduction for p in placed)
    if top >= bottom:
        notes.append(
            f"broken gap: the bulk valence edge of one material ({top:.2f} eV) is above the "
            f"conduction edge of the other ({bottom:.2f} eV); filled and empty states are told "
            "apart at the middle and may be mixed"
        )
    center = 0.5 * (top + bottom)
    states = edge_states(
        body.hamiltonian,
        n_states,
        center,
        tolerance=tolerance,
        seed=seed,
        progress=progress,
        width=0.5 * abs(bottom - top) + 0.8,
    )
    states = _both_sides(body.hamiltonian, states, n_states, tolerance, seed, progress)
    weights = np.zeros((len(symbols), len(states.energies)))
    np.add.at(weights, body.atom, states.populations)
    owner = np.asarray(domain)
    return AtomisticLevels(
        states.energies,
        states.energies < states.center,
        states.residuals,
        weights,
        states.spinors,
        {name: weights[owner == k].sum(axis=0) for k, name in enumerate(names)},
        {name: p.edges for name, p in zip(names, placed, strict=True)},
        tuple(notes),
        states.products,
    )


def _both_sides(
    hamiltonian: SpinHamiltonian,
    states: EdgeStates,
    n_states: int,
    tolerance: float,
    seed: int,
    progress: Progress,
) -> EdgeStates:
    """Look again from other energies in the gap while all states come from one side.

    The center moves away from the known edge by steps that keep that edge in view, so no state
    between is missed; the far edge is checked once more from the middle of the gap found.
    """
    if 2 * len(hamiltonian) <= DENSE:
        return _with_frontier(
            edge_states(hamiltonian, 2 * len(hamiltonian), states.center), n_states
        )
    center, reach = states.center, float(np.abs(states.energies - states.center).max())
    for _ in range(12):
        below = states.energies < states.center
        if below.any() and (~below).any():
            break
        known = states.energies[-1] if below.all() else states.energies[0]
        near = abs(float(known) - center)
        center += (1.0 if below.all() else -1.0) * (0.5 * (reach - near) + 0.2)
        again = edge_states(
            hamiltonian, n_states, center, tolerance=tolerance, seed=seed, progress=progress
        )
        reach = float(np.abs(again.energies - center).max())
        other = (again.energies < states.center) != below[0]
        if other.any():
            far = again.energies[other].max() if not below[0] else again.energies[other].min()
            again = edge_states(
                hamiltonian,
                n_states,
                0.5 * (float(far) + float(known)),
                tolerance=tolerance,
                seed=seed,
                progress=progress,
            )
            other = (again.energies < again.center) != below[0]
        states = EdgeStates(
            np.concatenate([states.energies, again.energies[other]]),
            np.concatenate([states.spinors, again.spinors[:, other]], axis=1),
            np.concatenate([states.residuals, again.residuals[other]]),
            again.center if other.any() else states.center,
            states.products + again.products,
        )
    order = np.argsort(states.energies, kind="stable")
    return EdgeStates(
        states.energies[order],
        states.spinors[:, order],
        states.residuals[order],
        states.center,
        states.products,
    )


def _with_frontier(states: EdgeStates, n_states: int) -> EdgeStates:
    """Return the nearest of all states of a small body, and the frontier pair of either side."""
    below = states.energies < states.center
    nearest = np.argsort(np.abs(states.energies - states.center), kind="stable")[:n_states]
    frontier = np.concatenate([np.flatnonzero(below)[-2:], np.flatnonzero(~below)[:2]])
    keep = np.union1d(nearest, frontier)
    return EdgeStates(
        states.energies[keep],
        states.spinors[:, keep],
        states.residuals[keep],
        states.center,
        states.products,
    )


def _distinct(names: Sequence[str]) -> list[str]:
    out: list[str] = []
    for name in names:
        candidate, n = name, 2
        while candidate in out:
            candidate = f"{name} {n}"
            n += 1
        out.append(candidate)
    return out
