"""Molecules in the builder: one site each while carved and joined, all atoms in the particle.

A crystal with organic cations is carved as `heterodot.organic.ions` gives it. Its molecules are
rigid: strain moves where they stand, not their bonds. A molecule whose body would touch another
domain is taken off its site whole, and its site stays empty.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.organic import Group, IonicCrystal, groups_of
from heterodot.particle.crystallite import Crystallite
from heterodot.particle.particle import Particle

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

# closest approach of the body of a molecule to atoms of another domain, by pairs with and without
# hydrogen, Å: a little under the sums of van der Waals radii
HEAVY, HYDROGEN = 2.9, 2.0


def grown(block: Crystallite, flat: Ints) -> tuple[Ints, Array, Array, Ints, Ints]:
    """Return the atoms of some filled sites, molecules with all of theirs.

    Returns
    -------
    numbers : (n_atoms,) int array
    positions : (n_atoms, 3) array
        Particle's frame, Å.
    charges : (n_atoms,) array
    owner : (n_atoms,) int array
        Row of ``flat`` that each atom belongs to.
    molecule : (n_atoms,) int array
        From one, zero where an ion is an atom.
    """
    numbers = block.flat[flat].astype(np.int64)
    positions = block.positions(flat)
    charges = block.charges(flat)
    crystal = block.crystal
    if not isinstance(crystal, IonicCrystal):
        own = np.arange(len(flat))
        return numbers, positions, charges, own, np.zeros(len(flat), dtype=np.int64)
    return _with_bodies(crystal, block, flat, numbers, positions, charges)


def _with_bodies(
    crystal: IonicCrystal,
    block: Crystallite,
    flat: Ints,
    numbers: Ints,
    positions: Array,
    charges: Array,
) -> tuple[Ints, Array, Array, Ints, Ints]:
    turn = rigid(block.rotation)
    site = block.site(flat)
    count = np.ones(len(flat), dtype=np.int64)
    bodies = []
    for s, group in enumerate(crystal.groups):
        if group is None:
            continue
        rows = np.flatnonzero((site == s) & (numbers == crystal.numbers[s]))
        kinds, offsets, q = crystal.atoms_of(s)
        count[rows] = len(kinds)
        bodies.append((rows, kinds, offsets @ turn.T, q))
    start = np.concatenate([[0], np.cumsum(count)[:-1]]).astype(np.int64)
    owner = np.repeat(np.arange(len(flat)), count)
    numbers, positions, charges = numbers[owner], positions[owner], charges[owner]
    molecule = np.zeros(len(owner), dtype=np.int64)
    for rows, kinds, offsets, q in bodies:
        if len(rows) == 0:
            continue
        at = start[rows][:, None] + np.arange(len(kinds))
        numbers[at] = kinds
        positions[at] += offsets
        charges[at] = q
        molecule[at] = rows[:, None] + 1
    _, dense = np.unique(molecule, return_inverse=True)
    dense = dense + (0 if (molecule == 0).any() else 1)
    return numbers, positions, charges, owner, np.asarray(dense, dtype=np.int64)


def rigid(deformation: Array) -> Array:
    """Return the rotation of a deformation without its strain."""
    u, _, vt = np.linalg.svd(deformation)
    return np.asarray(u @ vt)


def clear(blocks: Sequence[Crystallite]) -> int:
    """Take molecules off their sites whose bodies touch another domain; return how many.

    Of two molecules of different domains that touch, the one of the later domain goes.
    """
    gone = 0
    for k in reversed(range(len(blocks))):
        block = blocks[k]
        if not isinstance(block.crystal, IonicCrystal):
            continue
        flat = block.filled()
        touching = crowded(blocks, k, flat)
        block.empty(flat[touching])
        gone += int(touching.sum())
    return gone


def drop_loose(blocks: Sequence[Crystallite]) -> int:
    """Take off what neither bonds nor molecules in contact hold to the rest; return how many ions.

    Only for particles with molecules; elsewhere bonds alone decide (`Crystallite.prune`).
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    from heterodot.particle.checks import contacts, holding
    from heterodot.particle.particle import Domain

    if not any(isinstance(block.crystal, IonicCrystal) for block in blocks):
        return 0
    filled = [block.filled() for block in blocks]
    parts = [grown(block, flat) for block, flat in zip(blocks, filled, strict=True)]
    table = np.array(chemical_symbols)
    domain = np.repeat(np.arange(len(blocks)), [len(p[0]) for p in parts])
    probe = Particle(
        tuple(table[np.concatenate([p[0] for p in parts])].tolist()),
        np.concatenate([p[1] for p in parts]),
        domain,
        np.full(len(domain), "core"),
        np.concatenate([p[2] for p in parts]),
        tuple(Domain(str(k)) for k in range(len(blocks))),
    )
    found = contacts(probe)
    held = holding(probe, found)
    n = len(probe)
    ones = np.ones(int(held.sum()), dtype=np.int8)
    graph = coo_matrix((ones, (found.i[held], found.j[held])), shape=(n, n))
    pieces, label = connected_components(graph, directed=False)
    if pieces == 1:
        return 0
    out = label != np.bincount(label).argmax()
    gone = 0
    for k, (block, flat, part) in enumerate(zip(blocks, filled, parts, strict=True)):
        rows = np.unique(part[3][out[domain == k]])
        block.empty(flat[rows])
        gone += len(rows)
    return gone


def crowded(blocks: Sequence[Crystallite], k: int, flat: Ints) -> Mask:
    """Which sites of a domain have or would have a molecule that touches another domain, (n,).

    Parameters
    ----------
    k : int
        Which of the ``blocks`` the sites belong to.
    flat : (n,) int array
        Sites, filled or not.
    """
    from scipy.spatial import cKDTree

    block = blocks[k]
    crystal = block.crystal
    found = np.zeros(len(flat), dtype=bool)
    if not isinstance(crystal, IonicCrystal) or len(flat) == 0:
        return found
    others = [grown(b, b.filled())[:2] for m, b in enumerate(blocks) if m != k]
    if block.moved:
        # ions of its own that were put off the lattice count as foreign
        loose = np.array(sorted(block.moved))
        others.append((block.flat[loose].astype(np.int64), block.positions(loose)))
    if not others:
        return found
    numbers = np.concatenate([kinds for kinds, _ in others])
    points = np.concatenate([p for _, p in others])
    trees = [cKDTree(points[pick]) for pick in (numbers == 1, numbers != 1) if pick.any()]
    light = [True, False] if (numbers == 1).any() else [False]
    turn = rigid(block.rotation)
    site = block.site(flat)
    at = block.positions(flat)
    for s, group in enumerate(crystal.groups):
        rows = np.flatnonzero(site == s)
        if group is None or len(rows) == 0:
            continue
        kinds, offsets, _ = crystal.atoms_of(s)
        body = (at[rows][:, None] + (offsets @ turn.T)[None])[:, 1:]
        for tree, hydrogen in zip(trees, light, strict=True):
            distance, _ = tree.query(body.reshape(-1, 3), distance_upper_bound=HEAVY + 0.1)
            distance = distance.reshape(len(rows), -1)
            least = np.where((kinds[1:] == 1) | hydrogen, HYDROGEN, HEAVY)
            found[rows] |= (distance < least).any(axis=1)
    return found


def beside_bodies(blocks: Sequence[Crystallite], k: int, flat: Ints, reach: float) -> Mask:
    """Which sites of a domain lie within reach (Å) of a molecule's body in another, (n,)."""
    from scipy.spatial import cKDTree

    found = np.zeros(len(flat), dtype=bool)
    for m, other in enumerate(blocks):
        if m == k or not isinstance(other.crystal, IonicCrystal) or len(flat) == 0:
            continue
        _, points, charges, _, molecule = grown(other, other.filled())
        body = (molecule > 0) & (charges == 0)
        if body.any():
            distance, _ = cKDTree(points[body]).query(
                blocks[k].positions(flat), distance_upper_bound=reach
            )
            found |= np.isfinite(distance)
    return found


def named(done: Sequence[dict[str, Any]], blocks: Sequence[Crystallite]) -> list[dict[str, Any]]:
    """Return what was done with molecules under their own names (``PMA`` for its nitrogen)."""
    names: dict[str, str] = {}
    for block in blocks:
        if isinstance(block.crystal, IonicCrystal):
            for number, group in zip(block.crystal.numbers, block.crystal.groups, strict=True):
                if group is not None:
                    names[chemical_symbols[number]] = group.name
    return [{**entry, "element": names.get(entry["element"], entry["element"])} for entry in done]


# -------------------------------------------------------------------- molecules of a particle


_GROUPS: weakref.WeakKeyDictionary[Particle, tuple[Group, ...]] = weakref.WeakKeyDictionary()


def molecules_of(particle: Particle) -> tuple[Group, ...]:
    """Return the molecules of a particle, found from its atoms."""
    found = _GROUPS.get(particle)
    if found is None:
        found = groups_of(particle.numbers, particle.positions)
        _GROUPS[particle] = found
    return found


def molecule_of(particle: Particle) -> Ints:
    """Return for each atom the number of its molecule from one, zero for none, (n_atoms,)."""
    known = particle.extra.get("molecule")
    if known is not None:
        return np.asarray(known, dtype=np.int64)
    number = np.zeros(len(particle), dtype=np.int64)
    for n, group in enumerate(molecules_of(particle), 1):
        number[group.atoms] = n
    return number


def with_partners(particle: Particle, atoms: Ints) -> Ints:
    """Return atoms together with all atoms of the molecules that they belong to, sorted."""
    molecule = molecule_of(particle)
    mine = np.unique(molecule[atoms])
    inside = np.isin(molecule, mine[mine > 0])
    inside[atoms] = True
    return np.flatnonzero(inside)


def kept_rigid(particle: Particle, positions: Array) -> Array:
    """Return new positions in which every molecule has moved as its charged atom, unbent.

    Parameters
    ----------
    particle : Particle
        Before the move.
    positions : (n_atoms, 3) array
        After it, Å.
    """
    molecule = molecule_of(particle)
    inside = molecule > 0
    if not inside.any():
        return positions
    leads = np.flatnonzero(inside & (np.abs(particle.charge) > 0.25))
    step = np.zeros((int(molecule.max()) + 1, 3))
    middle = np.bincount(molecule, minlength=len(step)).astype(float)
    for axis in range(3):
        moved = positions[:, axis] - particle.positions[:, axis]
        step[:, axis] = np.bincount(molecule, moved, len(step)) / np.maximum(middle, 1.0)
    step[molecule[leads]] = positions[leads] - particle.positions[leads]
    out = np.array(positions)
    out[inside] = particle.positions[inside] + step[molecule[inside]]
    return out


# -------------------------------------------------------------------- how a found domain lies


def by_sites(
    particle: Particle, crystal: Crystal, site: int, rotation: Array, atom: int, members: Ints
) -> tuple[Array, float]:
    """Refine a rotation on the atoms around one of them, and say how badly they miss their sites.

    All turns that carry an octahedron of bonds onto itself are tried, since the site of the
    crystal has fewer.

    Parameters
    ----------
    crystal : Crystal
        With all atoms.
    site : int
        Atom of the cell that ``atom`` is taken for.
    rotation : (3, 3) array
        First guess, crystal -> particle.
    members : (n,) int array
        Atoms of the domain.

    Returns
    -------
    rotation : (3, 3) array
    missed : float
        Mean distance from the nearest site of the same element, Å, none counted above one.
    """
    here = particle.positions[members] - particle.positions[atom]
    near = (np.linalg.norm(here, axis=1) < 10.0) & (particle.numbers[members] > 1)
    points, numbers = here[near], particle.numbers[members[near]]
    best = (rotation, np.inf)
    for turn in _octahedral_turns():
        trial = rotation @ turn
        for _ in range(3):
            target, off = _nearest_sites(crystal, points @ trial + crystal.positions[site], numbers)
            good = off < 0.9
            if good.sum() < 8:
                break
            u, _, vt = np.linalg.svd(points[good].T @ (target[good] - crystal.positions[site]))
            trial = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
        _, off = _nearest_sites(crystal, points @ trial + crystal.positions[site], numbers)
        missed = float(np.minimum(off, 1.0).mean())
        if missed < best[1] - 1e-9:
            best = (trial, missed)
    return best


def _nearest_sites(crystal: Crystal, points: Array, numbers: Ints) -> tuple[Array, Array]:
    """Nearest site of the same element to each point, Cartesian, and its distance, Å."""
    scaled = points @ np.linalg.inv(crystal.cell)
    target = np.array(points)
    off = np.full(len(points), np.inf)
    for number in np.unique(numbers):
        mine = np.flatnonzero(numbers == number)
        sites = crystal.scaled[crystal.numbers == number]
        if len(sites) == 0:
            continue
        delta = sites[None] - scaled[mine][:, None]
        delta -= np.round(delta)
        step = delta @ crystal.cell
        length = np.linalg.norm(step, axis=2)
        k = length.argmin(axis=1)
        rows = np.arange(len(mine))
        target[mine] = points[mine] + step[rows, k]
        off[mine] = length[rows, k]
    return target, off


def _octahedral_turns() -> list[Array]:
    """The 24 proper rotations of a cube."""
    found = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            turn = np.zeros((3, 3))
            turn[range(3), order] = signs
            if np.linalg.det(turn) > 0:
                found.append(turn)
    return found
