"""Ion exchange in one domain: halides, Pb for two Cu, Pb for Cd or Zn; and etching a domain away.

Anion exchange keeps every site and changes what sits on it. Cation exchange keeps the anion
sublattice and puts the new cations on the sites that they have in the product crystal (tetrahedral
holes for Cu2S and zinc-blende CdS or ZnS). Charge is the same before and after, ion for ion.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.errors import InputError
from heterodot.organic import molecules, with_cell
from heterodot.particle.organics import kept_rigid, molecule_of
from heterodot.particle.particle import Domain, Particle
from heterodot.particle.sublattice import new_sites, product_crystal, vegard
from heterodot.particle.touch_up import halide_of, largest_piece, relabel, separate, tidy

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

ORDERS = ("random", "ordered", "graded")


def parse_replacement(text: str) -> tuple[str, str, int]:
    """Return (old, new, number of new ions for one old) of a text such as ``"Pb=2Cu"``.

    Raises
    ------
    InputError
        Not of the form ``Cl=Br`` or ``Pb=2Cu``.

    Examples
    --------
    >>> parse_replacement("Pb=2Cu"), parse_replacement("Cl=Br")
    (('Pb', 'Cu', 2), ('Cl', 'Br', 1))
    """
    from ase.data import atomic_numbers

    match = re.fullmatch(r"\s*([A-Z][a-z]?)\s*=\s*(\d*)\s*([A-Z][a-z]?)\s*", text)
    if (
        match is None
        or match[1] not in atomic_numbers
        or match[3] not in atomic_numbers
        or match[2] == "0"
    ):
        raise InputError(
            f"'{text}' is not an exchange", place="replace", remedy="write it as Cl=Br or Pb=2Cu"
        )
    return match[1], match[3], int(match[2] or 1)


def exchange(
    particle: Particle,
    domain: int | str,
    replacement: str,
    *,
    fraction: float = 1.0,
    order: str = "random",
    depth: float = 10.0,
    keep_layers: int = 0,
    product: Crystal | None = None,
    cell: str = "new",
    seed: int = 0,
) -> Particle:
    """Exchange one element of one domain and return the new particle.

    Parameters
    ----------
    domain : int or str
        Index or name. Ligands and other domains are left alone.
    replacement : str
        ``"Cl=Br"``, ``"Pb=2Cu"``, ``"Pb=Cd"``.
    fraction : float
        Share of the ions of that element in the domain, 0 to 1.
    order : str
        ``"random"`` (with the seed), ``"ordered"`` (as evenly spread as it goes) or ``"graded"``
        (from the surface inwards, over about ``depth``).
    depth : float
        Width of the graded front, Å.
    keep_layers : int
        Layers of cations at the interface that stay (counted over shared anions).
    product : Crystal, optional
        What the domain becomes; taken from the catalog by its formula if not given.
    cell : str
        ``"new"`` gives the domain the cell of the product (by Vegard's rule for part of an
        exchange); at an interface it is pinned to its neighbor and relaxes within a nanometer.
        ``"keep"`` leaves every old site where it is.
    seed : int

    Returns
    -------
    Particle
        ``history[-1]`` says how many ions were exchanged, the misfit of the new cell to the old
        one, the mismatch at the interface before and after, and how many surface ions had to
        give way (``eased``).

    Raises
    ------
    InputError
        No such domain or element; a fraction outside 0 to 1; an exchange that would change the
        charge; no product crystal known where one is needed.

    Examples
    --------
    >>> from heterodot.particle import build
    >>> cube = build("CsPbCl3", "cube", "3 cells")
    >>> exchange(cube, "CsPbCl3", "Cl=Br").formula == cube.formula.replace("Cl", "Br")
    True
    """
    old, new, number = parse_replacement(replacement)
    k = domain_index(particle, domain)
    _refuse(particle, k, old, fraction, order, cell)
    sites = np.flatnonzero(
        (particle.domain == k) & (np.array(particle.symbols) == old) & (molecule_of(particle) == 0)
    )
    if len(sites) == 0:
        raise InputError(
            f"the {old} of the {particle.domains[k].name} domain is part of its molecules",
            place="replace",
            remedy="name an element of the inorganic part",
        )
    q_old, q_new = _charges(particle, k, old, new, number)
    kept = interface_layers(particle, k, keep_layers, old)
    free = sites[~np.isin(sites, kept)]
    count = int(np.rint(fraction * len(free)))
    chosen = choose(particle, free, count, order, depth, seed)
    step: dict[str, Any] = {
        "step": "exchange",
        "domain": particle.domains[k].name,
        "replace": f"{old}={number if number > 1 else ''}{new}",
        "fraction": fraction,
        "order": order,
        "seed": seed,
        "exchanged": len(chosen),
        "kept": len(sites) - len(free),
    }
    if len(chosen) == 0:
        return particle.replace({**step, "note": "nothing was left to exchange"})
    share = len(chosen) / len(sites)
    crystal = particle.domains[k].crystal
    found = product if product is not None else product_crystal(crystal, old, new, number)
    if q_old < 0 or found is None or _isomorphous(crystal, found, old):
        out = _on_sites(particle, chosen, new, q_new / number)
        scale = vegard(crystal, found, share) if crystal is not None and found is not None else 1.0
        out = _rename(out, k, crystal, found, share, scale if cell == "new" else 1.0)
    else:
        out = _through_sublattice(particle, k, chosen, new, q_new / number, number, found)
    if cell == "new" and found is not None and crystal is not None:
        factor = vegard(crystal, found, share)
        out = _stretch(out, particle, k, factor)
        step["cell_change"] = factor - 1.0
    step |= _mismatch(particle, out, step.get("cell_change", 0.0), k)
    out, moved = separate(relabel(out))
    if moved:
        step["eased"] = moved
    if q_old > 0:
        # halide that sat on the old cations and reaches none of the new ones
        out, done = tidy(out, halide_of(out), seed) if _falls_apart(particle, out) else (out, [])
        if done:
            step["neutralized"] = done
            out = relabel(out)
    return out.replace(step)


def _falls_apart(before: Particle, after: Particle) -> bool:
    """Whether a particle that was one neutral piece is none any more."""
    whole = abs(before.net_charge) < 1e-6 and len(largest_piece(before)) == len(before)
    return whole and len(largest_piece(after)) < len(after)


def domain_index(particle: Particle, domain: int | str) -> int:
    """Return the index of a domain given by index or name; refuse one that is not there."""
    names = [d.name for d in particle.domains]
    if isinstance(domain, str):
        if domain not in names:
            raise InputError(
                f"there is no domain '{domain}'",
                place="domain",
                remedy=f"choose among {', '.join(names)}",
            )
        return names.index(domain)
    if not 0 <= domain < len(names):
        raise InputError(
            f"there is no domain {domain}", place="domain", remedy=f"give 0 to {len(names) - 1}"
        )
    return domain


def _refuse(particle: Particle, k: int, old: str, fraction: float, order: str, cell: str) -> None:
    if not 0.0 <= fraction <= 1.0:
        raise InputError(
            f"a fraction of {fraction:g} is not possible", place="fraction", remedy="give 0 to 1"
        )
    if order not in ORDERS:
        raise InputError(
            f"'{order}' is not an order", place="order", remedy=f"choose {', '.join(ORDERS)}"
        )
    if cell not in ("new", "keep"):
        raise InputError(f"'{cell}' is not known", place="cell", remedy="choose new or keep")
    there = particle.composition(k)
    if old not in there:
        raise InputError(
            f"the {particle.domains[k].name} domain has no {old}",
            place="replace",
            remedy=f"it has {', '.join(there)}",
        )


def _charges(particle: Particle, k: int, old: str, new: str, number: int) -> tuple[float, float]:
    """Charge of one old ion and of the new ones for it; they have to agree."""
    from heterodot.charges import STATES

    mine = (particle.domain == k) & (np.array(particle.symbols) == old)
    mine &= molecule_of(particle) == 0
    q_old = float(np.round(particle.charge[mine].mean(), 6))
    states = STATES.get(new, ())
    for state in states:
        if abs(state * number - q_old) < 1e-6:
            return q_old, float(state * number)
    raise InputError(
        f"{number} {new} for one {old} changes the charge ({q_old:+g} e)",
        place="replace",
        remedy=f"{new} has {', '.join(f'{s:+d}' for s in states)}"
        if states
        else f"no charge of {new} is known",
    )


def choose(
    particle: Particle, sites: Ints, count: int, order: str, depth: float, seed: int
) -> Ints:
    """Return ``count`` of the sites in the wanted order (see `exchange`)."""
    if count >= len(sites):
        return sites
    random = np.random.default_rng(seed)
    if order == "random":
        return np.sort(random.choice(sites, count, replace=False))
    points = particle.positions[sites]
    if order == "graded":
        from scipy.spatial import cKDTree

        skin = particle.positions[particle.role == "surface"]
        if len(skin) == 0:
            skin = particle.positions
        distance, _ = cKDTree(skin).query(points)
        rank = distance + depth * random.random(len(sites)) * 0.5
        return np.sort(sites[np.argsort(rank, kind="stable")[:count]])
    # low-discrepancy sweep: sites sorted along a space-filling order, taken at equal strides
    low, span = points.min(0), np.maximum(np.ptp(points, axis=0), 1e-9)
    grid = np.minimum(((points - low) / span * 63).round().astype(np.int64), 63)
    code = np.zeros(len(sites), dtype=np.int64)
    for bit in range(6):
        for axis in range(3):
            code |= ((grid[:, axis] >> bit) & 1) << (3 * bit + axis)
    along = sites[np.argsort(code, kind="stable")]
    picks = np.floor((np.arange(count) + 0.5) * len(sites) / count).astype(int)
    return np.sort(along[picks])


def interface_layers(particle: Particle, k: int, layers: int, element: str) -> Ints:
    """Return the cations of a domain in its first layers from any interface.

    The first layer are those bonded to ions of another domain; each next layer shares an anion
    with the one before.
    """
    if layers <= 0:
        return np.zeros(0, dtype=np.int64)
    from heterodot.particle.checks import contacts

    found = contacts(particle)
    i, j = found.i[found.bond], found.j[found.bond]
    i, j = np.concatenate([i, j]), np.concatenate([j, i])
    d = particle.domain
    mine = (d == k) & (np.array(particle.symbols) == element)
    other = (d != k) & (d >= 0)
    front = np.zeros(len(particle), dtype=bool)
    front[i[mine[i] & other[j]]] = True
    # cations of the shared layer belong to the other domain: their anions in this one are first
    shared = np.zeros(len(particle), dtype=bool)
    shared[j[other[i] & (particle.charge[i] > 0) & (d[j] == k)]] = True
    front[i[mine[i] & shared[j]]] = True
    for _ in range(layers - 1):
        anions = np.zeros(len(particle), dtype=bool)
        anions[j[front[i]]] = True
        front[i[mine[i] & anions[j]]] = True
    return np.flatnonzero(front)


def _isomorphous(old: Crystal | None, new: Crystal, element: str) -> bool:
    """Whether the product has its new cations where the old ones were (same structure type)."""
    if old is None:
        return True
    return old.symmetry.number == new.symmetry.number and len(old) == len(new)


def _on_sites(particle: Particle, chosen: Ints, new: str, charge: float) -> Particle:
    symbols = np.array(particle.symbols, dtype=object)
    symbols[chosen] = new
    charges = particle.charge.copy()
    charges[chosen] = charge
    return particle.replace(symbols=tuple(symbols.tolist()), charge=charges)


def _rename(
    particle: Particle,
    k: int,
    old: Crystal | None,
    product: Crystal | None,
    share: float,
    scale: float,
) -> Particle:
    """Give the domain the product's crystal and a name that says what it holds."""
    counts = particle.composition(k)
    crystal = old
    if share > 0.999 and product is not None:
        name, crystal = product.formula, product
    else:
        name = _mixed_name(counts)
        if old is not None and molecules(old):
            name = _mixed_layered(particle, k, old)
        if old is not None:
            crystal = with_cell(old, old.cell * scale)
    domains = list(particle.domains)
    names = {d.name for m, d in enumerate(domains) if m != k}
    base, n = name, 2
    while name in names:
        name, n = f"{base} {n}", n + 1
    domains[k] = replace(domains[k], name=name, crystal=crystal)
    return particle.replace(domains=tuple(domains))


def _mixed_name(counts: Mapping[str, int]) -> str:
    """Formula per divalent cation with two decimals: ``CsPbCl1.50Br1.50`` without surfaces."""
    from heterodot.charges import STATES

    halides = {e: c for e, c in counts.items() if STATES.get(e, (0,))[0] == -1}
    if halides and any(STATES.get(e, (0,))[0] == 2 for e in counts):
        total = sum(halides.values())
        parts = [e for e in counts if e not in halides]
        anions = "".join(f"{e}{3 * c / total:.2f}" for e, c in halides.items())
        return "".join(parts) + anions
    reference = max(counts.values())
    return "".join(f"{e}{c / reference:.2f}" for e, c in counts.items())


def _mixed_layered(particle: Particle, k: int, old: Crystal) -> str:
    """Formula with the organic part of the crystal and its halides in their present shares."""
    from heterodot.charges import STATES

    inorganic = (particle.domain == k) & (molecule_of(particle) == 0)
    counts: dict[str, int] = {}
    for atom in np.flatnonzero(inorganic):
        counts[particle.symbols[atom]] = counts.get(particle.symbols[atom], 0) + 1
    halides = {e: c for e, c in counts.items() if STATES.get(e, (0,))[0] == -1}
    own = [s for s, q in zip(old.symbols, old.require_charges(), strict=True) if q == -1]
    per_unit = len(own) / max(old.formula_units, 1)
    head = old.formula
    for element in {*own, *halides}:
        head = re.sub(rf"{element}\d*(?![a-z])", "", head)
    total = max(sum(halides.values()), 1)
    return head + "".join(f"{e}{per_unit * c / total:.2f}" for e, c in halides.items())


def _through_sublattice(
    particle: Particle,
    k: int,
    chosen: Ints,
    new: str,
    charge: float,
    number: int,
    product: Crystal,
) -> Particle:
    """Take the chosen cations out and put the new ones on the product's sites."""
    places = new_sites(particle, k, chosen, number, product, new)
    stay = np.ones(len(particle), dtype=bool)
    stay[chosen] = False
    base = particle.take(stay)
    symbols = np.array(base.symbols, dtype=object)
    labels = base.domain.copy()
    domains = list(base.domains)
    rest = np.flatnonzero((labels == k) & (base.charge > 0))
    old = domains[k]
    if len(rest) == 0:
        target = k
        domains[k] = _product_domain(old, product, old.shape)
    else:
        # what was kept stays the old crystal; the exchanged part is a domain of its own
        target = len(domains)
        names = {d.name for d in domains}
        made = _product_domain(old, product, old.shape)
        name, n = made.name, 2
        while name in names:
            name, n = f"{made.name} {n}", n + 1
        domains.append(replace(made, name=name))
        labels = _split(base, labels, k, target, rest, places)
    m = len(places)
    extra = {
        key: np.concatenate([array, np.zeros((m, *np.shape(array)[1:]), dtype=array.dtype)])
        for key, array in base.extra.items()
    }
    return base.replace(
        symbols=(*symbols.tolist(), *([new] * m)),
        positions=np.concatenate([base.positions, places]),
        domain=np.concatenate([labels, np.full(m, target)]),
        role=np.concatenate([base.role, np.full(m, "core", dtype="U9")]),
        charge=np.concatenate([base.charge, np.full(m, charge)]),
        domains=tuple(domains),
        extra=extra,
    )


def _split(base: Particle, labels: Ints, k: int, target: int, rest: Ints, places: Array) -> Ints:
    """Give each anion of the old domain to the cations that are nearest to it."""
    from scipy.spatial import cKDTree

    anions = np.flatnonzero((labels == k) & (base.charge < 0))
    to_old, _ = cKDTree(base.positions[rest]).query(base.positions[anions])
    to_new, _ = cKDTree(places).query(base.positions[anions])
    old_kind = np.sort(to_old)[: max(len(anions) // 4, 1)].mean()
    new_kind = np.sort(to_new)[: max(len(anions) // 4, 1)].mean()
    labels = labels.copy()
    labels[anions[to_new / new_kind < to_old / old_kind - 1e-6]] = target
    return labels


def _product_domain(old: Domain, product: Crystal, shape: str) -> Domain:
    """Product on the old anion sublattice: same axes, its anion on the old anion."""
    from heterodot.particle.sublattice import anion_origin

    origin = np.array(old.origin)
    if old.crystal is not None:
        scale = old.crystal.cell[0, 0] / product.cell[0, 0]
        shift = anion_origin(old.crystal) - scale * anion_origin(product)
        origin = origin + (np.eye(3) + old.strain) @ old.orientation @ shift
    return Domain(product.formula, product, old.orientation, old.strain, origin, shape)


def _stretch(particle: Particle, before: Particle, k: int, factor: float) -> Particle:
    """Scale a domain to its new cell; pinned to its neighbor in the plane of the interface.

    Displacements in the plane fade in over ``1 - exp(-h / 5 Å)`` with the height above the
    interface; those across it are full. A particle of one domain scales about its middle.
    """
    mine = particle.domain == k
    grown = mine | (particle.domain >= len(before.domains))
    points = particle.positions[grown]
    others = (particle.domain >= 0) & ~grown
    if not others.any():
        center = points.mean(0)
        moved = center + factor * (points - center)
    else:
        from scipy.spatial import cKDTree

        distance, nearest = cKDTree(particle.positions[others]).query(points)
        touching = points[distance < 4.0]
        anchor = touching.mean(0) if len(touching) else points.mean(0)
        normal = _normal(touching, points.mean(0) - anchor)
        off = points - anchor
        height = off @ normal
        across = np.outer(height, normal)
        along = off - across
        fade = 1.0 - np.exp(-np.maximum(np.minimum(height, distance), 0.0) / 5.0)
        moved = anchor + along * (1 + (factor - 1) * fade[:, None]) + across * factor
        del nearest
    positions = particle.positions.copy()
    positions[grown] = moved
    positions = kept_rigid(particle, positions)
    domains = list(particle.domains)
    offset = np.array(domains[k].origin) - points.mean(0)
    domains[k] = replace(domains[k], origin=moved.mean(0) + factor * offset)
    return particle.replace(positions=positions, domains=tuple(domains))


def _normal(points: Array, toward: Array) -> Array:
    """Normal of the plane through points, turned toward a vector; the vector if there are few."""
    if len(points) < 6:
        return toward / max(float(np.linalg.norm(toward)), 1e-9)
    middle = points - points.mean(0)
    normal = np.linalg.svd(middle.T @ middle)[0][:, -1]
    return np.asarray(normal if normal @ toward >= 0 else -normal)


def _mismatch(before: Particle, after: Particle, change: float, k: int) -> dict[str, Any]:
    """Mismatch at the interface before and after, where the relation is known."""
    relation = before.info.get("relation")
    if not relation or len(before.domains) < 2:
        return {}
    old = np.array(relation["mismatch"], dtype=float)
    new = (1 + old) / (1 + change) - 1 if k == 0 else (1 + old) * (1 + change) - 1
    return {"mismatch_before": old.tolist(), "mismatch_after": new.tolist()}
