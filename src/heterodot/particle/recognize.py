"""Find the domains of a particle that somebody else made, from the neighbors of its atoms.

Each atom's bonded neighbors are compared with those of every site of every catalog phase whose
elements the file has; bonded neighbors vote, and what hangs together becomes a domain. The
orientation of a domain follows from the bond directions of its bulk-like atoms. Surfaces and
distorted regions carry fewer clues: labels within one bond of an interface can go to either side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.organic import molecules
from heterodot.particle.checks import Contacts, contacts, holding
from heterodot.particle.organics import by_sites, molecule_of
from heterodot.particle.particle import Domain, Particle
from heterodot.particle.touch_up import relabel

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

SMALL = 8


@dataclass(frozen=True, eq=False)
class _Phase:
    """Neighbors by element of each site of a crystal, (n_sites, n_elements)."""

    crystal: Crystal
    counts: Array
    length: float


def recognize(particle: Particle, crystals: Sequence[Crystal] | None = None) -> Particle:
    """Return the particle with domains, crystals, orientations and roles found from its atoms.

    Parameters
    ----------
    crystals : sequence of Crystal, optional
        Phases to look for; all of the catalog if not given.

    Returns
    -------
    Particle
        One domain where no phase fits.

    Examples
    --------
    >>> from heterodot.particle import build
    >>> cube = build("CsPbBr3", "cube", "4 cells")
    >>> bare = Particle(cube.symbols, cube.positions, cube.domain, cube.role, cube.charge,
    ...                 (Domain("?"),))
    >>> [d.name for d in recognize(bare).domains]
    ['CsPbBr3']
    """
    elements = sorted(set(particle.symbols))
    found = contacts(particle)
    phases = _phases(crystals, elements)
    if not phases:
        return particle
    table = _neighbor_table(particle, found, elements)
    kinds = sorted({p.crystal.formula for p in phases})
    scores = np.stack(
        [
            np.max([_score(particle, p, table) for p in phases if p.crystal.formula == f], axis=0)
            for f in kinds
        ],
        axis=1,
    )
    label = _vote(scores, found)
    organic = np.isin(particle.numbers, (1, 6, 7, 8))
    label[organic & (scores.max(axis=1) < 0.2)] = -1
    label = _one_label(label, molecule_of(particle))
    groups = _components(label, found, scores, holding(particle, found))
    domains: list[Domain] = []
    domain = np.full(len(particle), -1, dtype=np.int64)
    for members in groups:
        formula = kinds[int(label[members[0]])]
        same = [p for p in phases if p.crystal.formula == formula]
        crystal = _polymorph(particle, found, same, members)
        rotation, origin = _orientation(particle, found, crystal, members)
        name, n = formula, 2
        while name in {d.name for d in domains}:
            name, n = f"{formula} {n}", n + 1
        domain[members] = len(domains)
        domains.append(Domain(name, crystal, rotation, np.zeros((3, 3)), origin, "as found"))
    if not domains:
        return particle
    _hand_out(particle, domain, (domain < 0) & ~(label < 0), domains)
    role = np.where(label < 0, "ligand", "core")
    fresh = particle.replace(
        {"step": "recognize", "domains": [d.name for d in domains]},
        domain=domain,
        domains=tuple(domains),
        role=role,
    )
    return relabel(fresh)


def _hand_out(
    particle: Particle, domain: Ints, loose: NDArray[np.bool_], domains: list[Domain]
) -> None:
    """Give atoms of splinters to the nearest domain that has their element, in place."""
    from scipy.spatial import cKDTree

    symbols = np.array(particle.symbols)
    there = domain >= 0
    for symbol in np.unique(symbols[loose]):
        mine = loose & (symbols == symbol)
        hosts = [
            k for k, d in enumerate(domains) if d.crystal is not None and symbol in d.crystal.counts
        ]
        near = there & np.isin(domain, hosts) if hosts else there
        _, index = cKDTree(particle.positions[near]).query(particle.positions[mine])
        domain[mine] = domain[near][index]


def _phases(crystals: Sequence[Crystal] | None, elements: list[str]) -> list[_Phase]:
    from heterodot.particle.crystallite import bonds

    if crystals is None:
        from heterodot.catalog import crystal as named
        from heterodot.catalog import phase_names
        from heterodot.errors import HeterodotError

        pool = []
        for name in phase_names():
            try:
                candidate = named(name)
            except HeterodotError:
                continue
            pool.append(candidate)
        crystals = pool
    found = []
    for crystal in crystals:
        if crystal.charges is None or not set(crystal.symbols) <= set(elements):
            continue
        if len(crystal.counts) < 2 or not (crystal.charges != 0).any() or len(crystal) > 400:
            continue
        table = bonds(crystal)
        if len(table.site) == 0:
            continue
        column = np.array([elements.index(s) for s in crystal.symbols])
        counts = np.zeros((len(crystal), len(elements)))
        np.add.at(counts, (table.site, column[table.other]), 1.0)
        ends = crystal.positions[table.other] + table.cell @ crystal.cell
        length = float(np.linalg.norm(ends - crystal.positions[table.site], axis=1).mean())
        found.append(_Phase(crystal, counts, length))
    return found


def _neighbor_table(particle: Particle, found: Contacts, elements: list[str]) -> Array:
    column = np.array([elements.index(s) for s in particle.symbols])
    table = np.zeros((len(particle), len(elements)))
    i, j = found.i[found.bond], found.j[found.bond]
    np.add.at(table, (i, column[j]), 1.0)
    np.add.at(table, (j, column[i]), 1.0)
    return table


def _score(particle: Particle, phase: _Phase, table: Array) -> Array:
    """Likeness of each atom to the best site of its element, 0 (or none) to 1."""
    numbers = particle.numbers
    best = np.zeros(len(particle))
    for site in range(len(phase.crystal)):
        mine = numbers == phase.crystal.numbers[site]
        if not mine.any():
            continue
        wanted = phase.counts[site]
        seen = table[mine]
        common = np.minimum(seen, wanted).sum(1)
        # neighbors that are missing count less than neighbors that do not belong
        missing = np.maximum(wanted - seen, 0).sum(1)
        strange = np.maximum(seen - wanted, 0).sum(1)
        best[mine] = np.maximum(best[mine], common / (common + 0.3 * missing + strange + 1e-9))
    return best


def _vote(scores: Array, found: Contacts) -> Ints:
    n, kinds = scores.shape
    i, j = found.i[found.bond], found.j[found.bond]
    field = scores.copy()
    for _ in range(2):
        total = field.copy()
        for k in range(kinds):
            total[:, k] += (
                0.5
                * (np.bincount(i, field[j, k], n) + np.bincount(j, field[i, k], n))
                / np.maximum(np.bincount(i, minlength=n) + np.bincount(j, minlength=n), 1)
            )
        # an element that a phase does not have cannot belong to it, whatever its neighbors say,
        # unless no phase has it
        total[(scores == 0) & (scores.max(1, keepdims=True) > 0)] = 0.0
        field = total
    return np.asarray(field.argmax(axis=1), dtype=np.int64)


def _one_label(label: Ints, molecule: Ints) -> Ints:
    """Give all atoms of a molecule the label that most of them have."""
    inside = np.flatnonzero(molecule)
    if len(inside) == 0:
        return label
    kinds, column = np.unique(label, return_inverse=True)
    votes = np.zeros((int(molecule.max()) + 1, len(kinds)))
    np.add.at(votes, (molecule[inside], column[inside]), 1.0)
    label = label.copy()
    label[inside] = kinds[votes.argmax(axis=1)][molecule[inside]]
    return label


def _components(label: Ints, found: Contacts, scores: Array, held: NDArray[np.bool_]) -> list[Ints]:
    """Connected atoms of one label, largest first; splinters without an interior are left out.

    Layers that only molecules in contact hold together are one domain.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(label)
    i, j = found.i[held], found.j[held]
    same = (label[i] == label[j]) & (label[i] >= 0)
    graph = coo_matrix((np.ones(int(same.sum())), (i[same], j[same])), shape=(n, n))
    _, piece = connected_components(graph, directed=False)
    size = np.bincount(piece)
    order = np.argsort(-size, kind="stable")
    least = max(SMALL, int(0.01 * n))
    i, j = found.i[found.bond], found.j[found.bond]
    mixed = np.zeros(n, dtype=bool)
    mixed[i[label[i] != label[j]]] = True
    mixed[j[label[i] != label[j]]] = True
    found_: list[Ints] = []
    for p in order:
        if size[p] < least:
            break
        members = np.flatnonzero(piece == p)
        own = label[members[0]]
        if own < 0:
            continue
        # a domain has an inside: atoms surrounded as in its crystal, by atoms of its own
        inner = (scores[members, own] > 0.95) & ~mixed[members]
        if not found_ or int(inner.sum()) >= max(4, len(members) // 20):
            found_.append(members)
    return found_


def _polymorph(particle: Particle, found: Contacts, phases: list[_Phase], members: Ints) -> Crystal:
    """Of phases of one formula, the one whose bonds are most alike; the first one on a draw."""
    if len(phases) == 1:
        return phases[0].crystal
    inside = np.zeros(len(particle), dtype=bool)
    inside[members] = True
    own = found.bond & inside[found.i] & inside[found.j]
    spread = found.distance[own]
    best = min(
        range(len(phases)),
        key=lambda k: (round(_unlike(phases[k], spread), 3), k),
    )
    return phases[best].crystal


def _unlike(phase: _Phase, lengths: Array) -> float:
    """Distance between the distributions of bond lengths (quantiles), relative."""
    from heterodot.particle.crystallite import bonds

    crystal = phase.crystal
    table = bonds(crystal)
    ends = crystal.positions[table.other] + table.cell @ crystal.cell
    own = np.linalg.norm(ends - crystal.positions[table.site], axis=1)
    levels = np.linspace(0.05, 0.95, 10)
    return float(np.abs(np.quantile(own, levels) / np.quantile(lengths, levels) - 1).mean())


def _orientation(
    particle: Particle, found: Contacts, crystal: Crystal, members: Ints
) -> tuple[Array, Array]:
    """Rotation and origin of a domain from the bonds of its best surrounded atoms."""
    from heterodot.particle.crystallite import bonds

    table = bonds(crystal)
    site = _reference_site(crystal)
    pick = table.site == site
    reference = (
        crystal.positions[table.other[pick]]
        + table.cell[pick] @ crystal.cell
        - crystal.positions[site]
    )
    inside = np.zeros(len(particle), dtype=bool)
    inside[members] = True
    i, j = found.i[found.bond], found.j[found.bond]
    keep = inside[i] & inside[j]
    i, j = np.concatenate([i[keep], j[keep]]), np.concatenate([j[keep], i[keep]])
    mine = particle.numbers[i] == crystal.numbers[site]
    i, j = i[mine], j[mine]
    count = np.bincount(i, minlength=len(particle))
    full = np.flatnonzero(count == len(reference))
    if len(full) == 0:
        return np.eye(3), np.zeros(3)
    middle = particle.positions[members].mean(0)
    near = full[np.argsort(np.linalg.norm(particle.positions[full] - middle, axis=1))[:40]]
    best: tuple[float, Array, int] | None = None
    organic = bool(molecules(crystal))
    for atom in near[: 6 if organic else 3]:
        observed = particle.positions[j[i == atom]] - particle.positions[atom]
        rotation, cost = _align(reference, observed)
        if organic:
            # octahedra of one layer are turned both ways: only the molecules tell the site
            rotation, cost = by_sites(particle, crystal, site, rotation, int(atom), members)
        if best is None or cost < best[0]:
            best = (cost, rotation, int(atom))
    assert best is not None
    if organic:
        return best[1], particle.positions[best[2]] - best[1] @ crystal.positions[site]
    rotation = _refine(particle, reference, best[1], i, j, near)
    # of all equivalent settings the one nearest to the file's own axes
    options = rotation @ crystal.proper_rotations
    traces = np.round(np.trace(options, axis1=1, axis2=2), 6)
    rotation = options[int(np.argmax(traces))]
    origin = particle.positions[best[2]] - rotation @ crystal.positions[site]
    return np.asarray(rotation), np.asarray(origin)


def _reference_site(crystal: Crystal) -> int:
    """The site whose bonds fix the orientation best: a cation of high charge with few bonds."""
    from heterodot.particle.crystallite import bonds

    charges = crystal.require_charges()
    number = bonds(crystal).coordination
    order = sorted(
        range(len(crystal)), key=lambda s: (-charges[s] if number[s] >= 4 else 9.0, number[s])
    )
    return order[0]


def _align(reference: Array, observed: Array) -> tuple[Array, float]:
    """Proper rotation that best carries one star of vectors onto another, and its misfit."""
    first = reference / np.linalg.norm(reference, axis=1)[:, None]
    second = observed / np.linalg.norm(observed, axis=1)[:, None]
    cosines = np.abs(first @ first[0])
    partner = int(np.argmin(cosines))
    best = (np.inf, np.eye(3))
    for p in range(len(second)):
        for q in range(len(second)):
            if p == q or abs(second[p] @ second[q] - first[0] @ first[partner]) > 0.3:
                continue
            rotation = _frame(second[p], second[q]) @ _frame(first[0], first[partner]).T
            turned = first @ rotation.T
            cost = float((1 - (turned @ second.T).max(axis=1)).sum())
            if cost < best[0] - 1e-9:
                best = (cost, rotation)
    return best[1], best[0]


def _frame(a: Array, b: Array) -> Array:
    normal = np.cross(a, b)
    normal = normal / np.linalg.norm(normal)
    return np.stack([a, np.cross(normal, a), normal], axis=1)


def _refine(
    particle: Particle, reference: Array, rotation: Array, i: Ints, j: Ints, atoms: Ints
) -> Array:
    """Least-squares rotation over the bonds of several atoms (Kabsch)."""
    chosen = np.isin(i, atoms)
    observed = particle.positions[j[chosen]] - particle.positions[i[chosen]]
    unit = observed / np.linalg.norm(observed, axis=1)[:, None]
    model = reference / np.linalg.norm(reference, axis=1)[:, None]
    match = (unit @ (model @ rotation.T).T).argmax(axis=1)
    u, _, vt = np.linalg.svd(unit.T @ model[match])
    sign = np.diag([1.0, 1.0, np.linalg.det(u @ vt)])
    return np.asarray(u @ sign @ vt)
