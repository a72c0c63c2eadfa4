"""Small repairs on finished particles: roles found again, clashes eased, charge settled.

These work on the atoms of any particle, not on lattice sites.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.particle.checks import contacts, coordination, full_coordination
from heterodot.particle.ions import BOND, CONTACT, radii
from heterodot.particle.neutral import Capping
from heterodot.particle.organics import molecule_of, with_partners
from heterodot.particle.particle import Particle

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


def relabel(particle: Particle) -> Particle:
    """Return the particle with roles found from bonds: interface, surface, core; ligands stay.

    An atom bonded to another domain is interface; one with fewer bonds than its element has in
    its crystal (or than most of its kind, where the crystal is not known) is surface, and so is
    one bonded to an ion whose charge the crystal does not have (halide that caps a sulfide).
    """
    found = contacts(particle)
    bonded = coordination(particle, found)
    i, j = found.i[found.bond], found.j[found.bond]
    d = particle.domain
    across = (d[i] != d[j]) & (d[i] >= 0) & (d[j] >= 0)
    role = np.full(len(particle), "core", dtype="U9")
    full = full_coordination(particle)
    symbols = np.array(particle.symbols)
    for k in range(len(particle.domains)):
        for symbol in np.unique(symbols[d == k]):
            mine = (d == k) & (symbols == symbol)
            usual = full.get((k, str(symbol)))
            if usual is None:
                usual = _alike(particle, k, float(particle.charge[mine][0]))
            if usual is None and particle.domains[k].crystal is None:
                usual = int(np.bincount(bonded[mine]).argmax())
            role[mine & (bonded < (99 if usual is None else usual))] = "surface"
    strange = _strange(particle)
    role[i[strange[j]]] = "surface"
    role[j[strange[i]]] = "surface"
    role[i[across]] = "interface"
    role[j[across]] = "interface"
    role[(d < 0) | (particle.role == "ligand")] = "ligand"
    return particle.replace(role=role)


def _strange(particle: Particle) -> NDArray[np.bool_]:
    """Which atoms have a charge that no ion of their crystal has, (n_atoms,)."""
    found = np.zeros(len(particle), dtype=bool)
    for k, domain in enumerate(particle.domains):
        if domain.crystal is None or domain.crystal.charges is None:
            continue
        mine = np.flatnonzero((particle.domain == k) & (particle.role != "ligand"))
        own = np.round(domain.crystal.charges, 3)
        found[mine] = ~np.isin(np.round(particle.charge[mine], 3), own)
    return found


def _alike(particle: Particle, k: int, charge: float) -> int | None:
    """Coordination of the crystal's ions of the same charge, None where it has none."""
    from heterodot.particle.crystallite import bonds

    crystal = particle.domains[k].crystal
    if crystal is None or crystal.charges is None:
        return None
    same = np.abs(crystal.charges - charge) < 1e-3
    return int(bonds(crystal).coordination[same].min()) if same.any() else None


def separate(particle: Particle, least: float = 0.77, rounds: int = 60) -> tuple[Particle, int]:
    """Push ions that are too close apart; atoms inside a domain stay where they are.

    Parameters
    ----------
    least : float
        Multiple of the sum of ionic radii that every contact shall have.

    Returns
    -------
    particle : Particle
    moved : int
        How many atoms were moved.
    """
    found = contacts(particle, 4.5)
    radius = radii(particle.numbers, particle.charge)
    organic = np.isin(particle.numbers, (1, 6, 7, 8, 15))
    keep = ~(organic[found.i] & organic[found.j])
    close = keep & (found.ratio < least + 0.15)
    i, j = found.i[close], found.j[close]
    # molecules are not bent
    loose = ((particle.role != "core") & (molecule_of(particle) == 0)).astype(float)
    positions = particle.positions.copy()
    for _ in range(rounds):
        step = positions[j] - positions[i]
        d = np.linalg.norm(step, axis=1)
        lack = least * (radius[i] + radius[j]) - d
        bad = lack > 1e-4
        if not bad.any():
            break
        unit = step[bad] / np.maximum(d[bad], 1e-6)[:, None]
        share = loose[i[bad]] + loose[j[bad]]
        share[share == 0] = np.inf
        push = (1.02 * lack[bad] / share)[:, None] * unit
        np.add.at(positions, i[bad], -push * loose[i[bad], None])
        np.add.at(positions, j[bad], push * loose[j[bad], None])
    moved = int((np.abs(positions - particle.positions).max(axis=1) > 1e-9).sum())
    return (particle.replace(positions=positions), moved) if moved else (particle, 0)


def settle_charge(
    particle: Particle, halide: tuple[int, float] | None, seed: int = 0
) -> tuple[Particle, list[dict[str, Any]]]:
    """Return the particle made neutral with surface ions, and what was done.

    Positive charge: halide is put where cations lack neighbors, then monovalent and divalent
    cations with fewest bonds leave. Negative charge: halide with fewest bonds leaves, halide
    replaces chalcogen with fewest bonds, chalcogen leaves. Charge that is left stays and is for
    the caller to report.
    """
    done: list[dict[str, Any]] = []
    for _ in range(8):
        q = particle.net_charge
        if abs(q) < 1e-6:
            break
        if q > 0 and halide is not None:
            particle, n = _cap(particle, halide, round(q))
            if n:
                done.append({"action": "add", "element": _symbol(halide[0]), "count": n})
            q = particle.net_charge
        if abs(q) < 1e-6:
            break
        before = len(particle), particle.net_charge
        particle, more = _trade(particle, halide, seed)
        done += more
        if before == (len(particle), particle.net_charge):
            break
    return particle, done


def _symbol(number: int) -> str:
    from ase.data import chemical_symbols

    return str(chemical_symbols[number])


def _bound(particle: Particle) -> Array:
    """Bonds of each atom over the most that its element has in this particle."""
    bonded = coordination(particle, contacts(particle)).astype(float)
    symbols = np.array(particle.symbols)
    for symbol in np.unique(symbols):
        mine = symbols == symbol
        bonded[mine] /= max(float(np.quantile(bonded[mine], 0.9)), 1.0)
    return bonded


def _trade(
    particle: Particle, halide: tuple[int, float] | None, seed: int
) -> tuple[Particle, list[dict[str, Any]]]:
    q = particle.net_charge
    bound = _bound(particle)
    random = np.random.default_rng(seed).random(len(particle)) * 1e-3
    outer = (particle.role != "core") & (particle.role != "ligand")
    order = np.argsort(bound + random + (particle.role == "interface"), kind="stable")
    charge = np.round(particle.charge, 6)
    if q > 0:
        kinds = [("remove", 0.5, 1.5), ("remove", 1.5, 9.0)]
    else:
        kinds = [("remove", -1.5, -0.5), ("replace", -9.0, -1.5), ("remove", -9.0, -1.5)]
    for action, low, high in kinds:
        if action == "replace" and halide is None:
            continue
        gain = np.abs(charge) if action == "remove" else np.abs(charge) - 1.0
        possible = outer & (charge > low) & (charge < high) & (bound < 0.999) & (gain <= abs(q))
        picks = order[possible[order]]
        if len(picks) == 0:
            continue
        count = int(abs(q) // gain[picks[0]])
        picks = picks[:count]
        symbol = particle.symbols[picks[0]]
        entry = {"action": action, "element": symbol, "count": len(picks)}
        if action == "remove":
            stay = np.ones(len(particle), dtype=bool)
            stay[with_partners(particle, picks)] = False
            return particle.take(stay), [entry]
        assert halide is not None
        symbols = np.array(particle.symbols, dtype=object)
        symbols[picks] = _symbol(halide[0])
        charges = particle.charge.copy()
        charges[picks] = halide[1]
        return particle.replace(symbols=tuple(symbols.tolist()), charge=charges), [entry]
    return particle, []


def _cap(particle: Particle, halide: tuple[int, float], count: int) -> tuple[Particle, int]:
    """Put up to ``count`` halide ions beside surface cations that lack neighbors."""
    from heterodot.particle.join import around_cations, cover, room_for, touching

    number, charge = halide
    size = float(radii(np.array([number]), np.array([charge]))[0])
    radius = radii(particle.numbers, particle.charge)
    bonded = coordination(particle, contacts(particle))
    full = full_coordination(particle)
    lacks = np.zeros(len(particle), dtype=np.int64)
    for x in np.flatnonzero((particle.charge > 1.5) & (particle.role != "ligand")):
        usual = full.get((int(particle.domain[x]), particle.symbols[x]), 6)
        lacks[x] = max(usual - int(bonded[x]), 0)
    if not (lacks > 0).any():
        return particle, 0
    spots = around_cations(particle.positions, radius + size, lacks)
    spots = spots[room_for(spots, np.full(len(spots), size), particle.positions, radius, 0.85)]
    if len(spots) == 0:
        return particle, 0
    lacking = np.flatnonzero(lacks > 0)
    reach = 1.2 * (radius[lacking] + size)
    # a spot beside cations that have all their neighbors serves less
    content = np.flatnonzero((particle.charge > 1.5) & (lacks == 0) & (particle.role != "ligand"))
    crowd = touching(spots, particle.positions[content], BOND * (radius[content] + size))
    chosen = cover(spots, particle.positions[lacking], reach, lacks[lacking], size, crowd)[:count]
    if not chosen:
        return particle, 0
    from scipy.spatial import cKDTree

    host = lacking[cKDTree(particle.positions[lacking]).query(spots[chosen])[1]]
    return added(
        particle,
        [_symbol(number)] * len(chosen),
        spots[chosen],
        particle.domain[host],
        np.full(len(chosen), "surface"),
        np.full(len(chosen), charge),
    ), len(chosen)


def largest_piece(particle: Particle) -> Particle:
    """Return the particle without atoms that nothing bonds to its largest piece."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    found = contacts(particle)
    n = len(particle)
    i, j = found.i[found.bond], found.j[found.bond]
    graph = coo_matrix((np.ones(len(i), dtype=np.int8), (i, j)), shape=(n, n))
    pieces, label = connected_components(graph, directed=False)
    if pieces == 1:
        return particle
    return particle.take(label == np.bincount(label).argmax())


def halide_of(particle: Particle, passivator: str | None = None) -> Capping | None:
    """Return the halide asked for, or the first one that the particle holds."""
    from heterodot.particle.charging import capping_of

    if passivator is not None:
        return capping_of(passivator, ())
    for number, charge in zip(particle.numbers, particle.charge, strict=True):
        if -1.5 < charge < -0.5 and number not in (1, 6, 7, 8):
            return Capping(int(number), float(charge))
    return None


def tidy(
    particle: Particle, halide: Capping | None, seed: int = 0
) -> tuple[Particle, list[dict[str, Any]]]:
    """Return one connected, neutral piece, and what was done to have it.

    What nothing bonds to the largest piece goes, and domains of which nothing is left; charge is
    settled as `settle_charge` does, until both hold.
    """
    done: list[dict[str, Any]] = []
    for _ in range(6):
        whole = largest_piece(particle)
        if len(whole) < len(particle):
            done.append(
                {"action": "remove", "element": "loose ions", "count": len(particle) - len(whole)}
            )
        elif abs(particle.net_charge) < 1e-6:
            break
        particle, more = settle_charge(whole, halide, seed)
        done += more
    return without_empty_domains(particle), done


def without_empty_domains(particle: Particle) -> Particle:
    """Return the particle without domains that have no atoms."""
    there = [k for k in range(len(particle.domains)) if (particle.domain == k).any()]
    if len(there) == len(particle.domains):
        return particle
    index = np.full(len(particle.domains) + 1, -1, dtype=np.int64)
    index[there] = np.arange(len(there))
    return particle.replace(
        domain=index[particle.domain], domains=tuple(particle.domains[k] for k in there)
    )


def added(
    particle: Particle,
    symbols: list[str],
    positions: Array,
    domain: Ints,
    role: NDArray[Any],
    charge: Array,
    extra: dict[str, Array] | None = None,
) -> Particle:
    """Return the particle with more atoms; extra arrays are zero for them unless given."""
    n, m = len(particle), len(symbols)
    extra = extra or {}
    columns: dict[str, Any] = {}
    for key in {*particle.extra, *extra}:
        one = particle.extra.get(key)
        two = extra.get(key)
        if one is None:
            assert two is not None
            one = np.zeros((n, *np.shape(two)[1:]), dtype=np.asarray(two).dtype)
        if two is None:
            two = np.zeros((m, *np.shape(one)[1:]), dtype=np.asarray(one).dtype)
        columns[key] = np.concatenate([one, two])
    return particle.replace(
        symbols=(*particle.symbols, *symbols),
        positions=np.concatenate([particle.positions, positions]),
        domain=np.concatenate([particle.domain, domain]),
        role=np.concatenate([particle.role, np.asarray(role, dtype="U9")]),
        charge=np.concatenate([particle.charge, charge]),
        extra=columns,
    )


def least_contact(particle: Particle) -> float:
    """Return the smallest ratio of a contact to its sum of ionic radii."""
    found = contacts(particle, 4.5)
    organic = np.isin(particle.numbers, (1, 6, 7, 8, 15))
    judged = ~(organic[found.i] & organic[found.j])
    return float(found.ratio[judged].min()) if judged.any() else CONTACT
