"""The tight-binding Hamiltonian of a finite body of one or more materials.

Interface rule. A bond takes its hoppings from the material of its anion. A metal atom's levels
are the mean of the materials of its bonds, weighted by their number, so a lead atom in a shared
layer lies between its two sides. Metal-metal hoppings act only within one domain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.electronic.tight_binding import HOPPINGS, TightBindingSet, fade, slater_koster
from heterodot.electronic.tight_binding_edges import SpinHamiltonian
from heterodot.errors import InputError

REACH_BOND = 1.25  # atoms are bonded up to this multiple of the distance of their hopping
PASSIVATION = 30.0  # eV, by which a dangling sp3 hybrid of a zinc-blende material is raised


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
