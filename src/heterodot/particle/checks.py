"""What a particle is, measured from its atoms, and whether it could exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.organic import bonded, molecules
from heterodot.particle.ions import BOND, CONTACT, radii
from heterodot.particle.organics import molecules_of
from heterodot.particle.particle import Particle

# molecules keep this multiple of the sum of Bondi radii from each other and from halide; strong
# N-H...Br bonds have 0.75, ligand shells as packed by `passivate` 0.7
VDW = 0.65

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Contacts:
    """Pairs of atoms within reach of each other.

    Attributes
    ----------
    i, j : (n_pairs,) int arrays, ``i < j``
    distance : (n_pairs,) array, Å
    ratio : (n_pairs,) array
        Distance over the sum of ionic radii.
    bond : (n_pairs,) bool array
        Opposite charges within 1.3 sums of radii, or covalent parts of molecules.
    """

    i: Ints
    j: Ints
    distance: Array
    ratio: Array
    bond: NDArray[np.bool_]


def contacts(particle: Particle, reach: float = 5.2) -> Contacts:
    """Return all pairs of atoms within ``reach`` (Å) with what counts as a bond."""
    from scipy.spatial import cKDTree

    numbers = particle.numbers
    radius = radii(numbers, particle.charge)
    pairs = cKDTree(particle.positions).query_pairs(reach, output_type="ndarray")
    i, j = pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64)
    distance = np.linalg.norm(particle.positions[i] - particle.positions[j], axis=1)
    ratio = distance / (radius[i] + radius[j])
    product = particle.charge[i] * particle.charge[j]
    covalent = _covalent(particle, i, j)
    organic = np.isin(numbers, (1, 6, 7, 8, 15)) & (np.abs(particle.charge) < 0.25)
    opposite = (product < 0) & (ratio < BOND) & ~covalent
    # neutral atoms (metals, unknown charges) bond by distance alone, molecules to nothing else
    unknown = (product == 0) & (ratio < 1.2) & ~covalent & ~organic[i] & ~organic[j]
    return Contacts(i, j, distance, ratio, opposite | covalent | unknown)


def _covalent(particle: Particle, i: Ints, j: Ints) -> NDArray[np.bool_]:
    """Which pairs are bonds inside molecules."""
    first, second, _ = bonded(particle.numbers, particle.positions)
    n = len(particle)
    return np.isin(np.minimum(i, j) * n + np.maximum(i, j), first * n + second)


def coordination(particle: Particle, found: Contacts) -> Ints:
    """Return the number of bonds of each atom, (n_atoms,)."""
    n = len(particle)
    return np.asarray(
        np.bincount(found.i[found.bond], minlength=n)
        + np.bincount(found.j[found.bond], minlength=n),
        dtype=np.int64,
    )


def report(particle: Particle) -> dict[str, Any]:
    """Return formula, composition, sizes, interface and every check with its numbers.

    Returns
    -------
    dict
        ``formula``, ``atoms``, ``charge``, ``domains`` (composition, size, role counts),
        ``interface`` (bonds across, coordination of the cations there; None for one domain),
        ``checks`` (list of ``{"name", "passed", "value", "limit", "unit", "note"}``) and
        ``passed`` (all of them).

    Examples
    --------
    >>> from heterodot.particle import build
    >>> found = report(build("CsPbBr3", "cube", "3 cells"))
    >>> found["passed"], found["charge"]["value"]
    (True, 0.0)
    """
    found = contacts(particle)
    bonded = coordination(particle, found)
    checks = [
        _neutral(particle),
        _connected(particle, found),
        _contact(particle, found),
        _labelled(particle),
        _interior(particle, found, bonded),
    ]
    if "molecule" in particle.extra or np.isin(particle.numbers, (6, 7)).any():
        checks += _molecules(particle, found)
    interface = None
    if len(particle.domains) > 1:
        interface, continuity = interface_report(particle, found, bonded)
        checks.append(continuity)
    return {
        "formula": particle.formula,
        "atoms": len(particle),
        "charge": {"value": particle.net_charge, "error": 0.0, "unit": "e"},
        "domains": [_domain(particle, k) for k in range(len(particle.domains))],
        "ligands": int((particle.domain < 0).sum()),
        "size": measured_size(particle.positions),
        "interface": interface,
        "checks": checks,
        "passed": all(check["passed"] for check in checks),
    }


def _check(
    name: str, passed: bool, value: Any, limit: Any, unit: str = "", note: str = ""
) -> dict[str, Any]:
    return {
        "name": name,
        "passed": bool(passed),
        "value": value,
        "limit": limit,
        "unit": unit,
        "note": note,
    }


def _neutral(particle: Particle) -> dict[str, Any]:
    q = particle.net_charge
    return _check("neutral", abs(q) < 1e-6, q, 0.0, "e", "sum of formal charges")


def _connected(particle: Particle, found: Contacts) -> dict[str, Any]:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(particle)
    held = holding(particle, found)
    i, j = found.i[held], found.j[held]
    graph = coo_matrix((np.ones(len(i), dtype=np.int8), (i, j)), shape=(n, n))
    pieces, label = connected_components(graph, directed=False)
    largest = int(np.bincount(label).max()) if n else 0
    note = "" if pieces == 1 else f"{n - largest} atoms are outside the largest piece"
    return _check("connected", pieces == 1, int(pieces), 1, "pieces", note)


def holding(particle: Particle, found: Contacts) -> NDArray[np.bool_]:
    """Return which pairs hold a body together: bonds, and van der Waals contacts of molecules.

    The latter are all that holds the layers of a layered perovskite; they reach up to 1.1 sums of
    the radii of Bondi (J. Phys. Chem. 68, 441 (1964)).
    """
    from ase.data.vdw import vdw_radii

    organic = np.isin(particle.numbers, (1, 6, 7, 8, 15))
    both = organic[found.i] & organic[found.j]
    radius = np.nan_to_num(vdw_radii[particle.numbers], nan=1.7)
    near = found.distance < 1.1 * (radius[found.i] + radius[found.j])
    return np.asarray(found.bond | (both & near))


def _molecules(particle: Particle, found: Contacts) -> list[dict[str, Any]]:
    """Every molecule is whole, and none comes too near to another or to a halide."""
    from collections import Counter

    from ase.data.vdw import vdw_radii

    groups = molecules_of(particle)
    number = np.zeros(len(particle), dtype=np.int64)
    for n, group in enumerate(groups, 1):
        number[group.atoms] = n
    inside = [k for k in np.unique(particle.domain) if k >= 0]
    broken = 0
    for k in inside:
        crystal = particle.domains[k].crystal
        if crystal is None or not molecules(crystal):
            continue
        whole = {group.formula for group in molecules(crystal)}
        mine = [g for g in groups if particle.domain[g.carrier] == k]
        broken += sum(g.formula not in whole for g in mine)
        # carbon and nitrogen of this domain that are in no molecule have lost theirs
        lost = (particle.domain == k) & np.isin(particle.numbers, (6, 7)) & (number == 0)
        broken += int(lost.sum())
    names = Counter(group.name for group in groups)
    text = ", ".join(f"{count} {name}" for name, count in sorted(names.items()))
    checks = [_check("molecules whole", broken == 0, len(groups) - broken, len(groups), "", text)]
    soft = np.isin(particle.numbers, (1, 6, 7, 8, 9, 17, 35, 53))
    i, j = found.i, found.j
    judged = soft[i] & soft[j] & ((number[i] > 0) | (number[j] > 0)) & (number[i] != number[j])
    if judged.any():
        radius = np.nan_to_num(vdw_radii[particle.numbers], nan=1.7)
        ratio = np.where(judged, found.distance / (radius[i] + radius[j]), np.inf)
        n = int(np.argmin(ratio))
        a, b = int(i[n]), int(j[n])
        note = (
            f"{particle.symbols[a]}{a + 1}-{particle.symbols[b]}{b + 1} {found.distance[n]:.3f} Å"
        )
        near = float(ratio[n])
        checks.append(
            _check("molecules apart", near >= VDW, near, VDW, "sum of van der Waals radii", note)
        )
    return checks


def _contact(particle: Particle, found: Contacts) -> dict[str, Any]:
    numbers = particle.numbers
    organic = np.isin(numbers, (1, 6, 7, 8, 15))
    judged = ~(organic[found.i] & organic[found.j])
    if not judged.any():
        return _check("contacts", True, None, CONTACT, "sum of radii", "no pairs within reach")
    ratio = np.where(judged, found.ratio, np.inf)
    k = int(np.argmin(ratio))
    i, j = int(found.i[k]), int(found.j[k])
    note = f"{particle.symbols[i]}{i + 1}-{particle.symbols[j]}{j + 1} {found.distance[k]:.3f} Å"
    return _check(
        "contacts", ratio[k] >= CONTACT - 1e-6, float(ratio[k]), CONTACT, "sum of radii", note
    )


def _labelled(particle: Particle) -> dict[str, Any]:
    counts = [int((particle.domain == k).sum()) for k in range(len(particle.domains))]
    loose = int(((particle.domain < 0) & (particle.role != "ligand")).sum())
    return _check("domains labelled", min(counts) > 0 and loose == 0, counts, None, "atoms")


def _interior(particle: Particle, found: Contacts, bonded: Ints) -> dict[str, Any]:
    """Share of core atoms with the coordination and bond lengths of their crystal."""
    from heterodot.particle.crystallite import bonds

    core = np.flatnonzero(particle.role == "core")
    known = [k for k, d in enumerate(particle.domains) if d.crystal is not None]
    ligand = particle.role == "ligand"
    held = np.zeros(len(particle), dtype=bool)
    i, j = found.i[found.bond], found.j[found.bond]
    held[i[ligand[j]]] = True
    held[j[ligand[i]]] = True
    judged = core[np.isin(particle.domain[core], known) & ~held[core]]
    if len(judged) == 0:
        return _check("bulk-like interior", True, None, 0.95, "", "no core atoms to judge")
    good = np.zeros(len(particle), dtype=bool)
    mean = _mean_bond(particle, found)
    numbers = particle.numbers
    for k in known:
        crystal = particle.domains[k].crystal
        assert crystal is not None
        table = bonds(crystal)
        length = np.zeros(len(crystal))
        ends = crystal.positions[table.other] + table.cell @ crystal.cell
        d = np.linalg.norm(ends - crystal.positions[table.site], axis=1)
        np.add.at(length, table.site, d)
        length /= np.maximum(table.coordination, 1)
        mine = judged[particle.domain[judged] == k]
        foreign = ~np.isin(numbers[mine], crystal.numbers)
        site_charge = crystal.require_charges()
        # an ion that is not of this crystal is judged as the one whose charge it has
        strange = foreign & ~np.isin(np.round(particle.charge[mine], 3), np.round(site_charge, 3))
        good[mine[strange]] = True
        for site in range(len(crystal)):
            same = (numbers[mine] == crystal.numbers[site]) | (
                foreign & (np.abs(particle.charge[mine] - site_charge[site]) < 1e-3)
            )
            fits = (bonded[mine] == table.coordination[site]) & (
                np.abs(mean[mine] - length[site]) < 0.1 * length[site]
            )
            good[mine[same & fits]] = True
    share = float(good[judged].mean())
    return _check(
        "bulk-like interior", share >= 0.95, share, 0.95, "",
        f"{len(judged)} core atoms against coordination and mean bond of their crystal (10 %)",
    )  # fmt: skip


def _mean_bond(particle: Particle, found: Contacts) -> Array:
    n = len(particle)
    i, j, d = found.i[found.bond], found.j[found.bond], found.distance[found.bond]
    total = np.bincount(i, d, n) + np.bincount(j, d, n)
    count = np.bincount(i, minlength=n) + np.bincount(j, minlength=n)
    return np.asarray(total / np.maximum(count, 1))


def interface_report(
    particle: Particle, found: Contacts, bonded: Ints
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the atoms say of the interfaces, and the check that they are continuous."""
    i, j = found.i[found.bond], found.j[found.bond]
    d = particle.domain
    across = (d[i] != d[j]) & (d[i] >= 0) & (d[j] >= 0)
    touching = np.unique(np.concatenate([i[across], j[across]]))
    n = len(particle)
    crossing = np.bincount(i[across], minlength=n) + np.bincount(j[across], minlength=n)
    strong = touching[particle.charge[touching] > 1.5]
    census: dict[str, dict[str, int]] = {}
    for atom in strong:
        element = particle.symbols[atom]
        key = str(int(bonded[atom]))
        census.setdefault(element, {})
        census[element][key] = census[element].get(key, 0) + 1
    full = full_coordination(particle)
    complete = [bonded[a] >= full.get((int(d[a]), particle.symbols[a]), 1) for a in strong]
    share = float(np.mean(complete)) if len(complete) else 0.0
    document = {
        "atoms": len(touching),
        "bonds_across": int(across.sum()),
        "cations": len(strong),
        "bonds_across_per_cation": float(crossing[strong].mean()) if len(strong) else 0.0,
        "coordination": {e: dict(sorted(c.items())) for e, c in sorted(census.items())},
        "complete": share,
    }
    pairs = {
        tuple(sorted((int(d[x]), int(d[y])))) for x, y in zip(i[across], j[across], strict=True)
    }
    linked = {k for pair in pairs for k in pair}
    return document, _check(
        "interface continuous",
        len(linked) == len(particle.domains) and int(across.sum()) >= 3,
        int(across.sum()),
        3,
        "bonds",
        f"{share:.0%} of {len(strong)} cations that bond across have their bulk coordination",
    )


def full_coordination(particle: Particle) -> dict[tuple[int, str], int]:
    """Return the bulk coordination of each element in each domain whose crystal is known."""
    from heterodot.particle.crystallite import bonds

    found: dict[tuple[int, str], int] = {}
    for k, domain in enumerate(particle.domains):
        if domain.crystal is None or domain.crystal.charges is None:
            continue
        table = bonds(domain.crystal)
        for symbol, number in zip(domain.crystal.symbols, table.coordination, strict=True):
            key = (k, symbol)
            found[key] = min(found.get(key, 99), int(number))
    return found


def _domain(particle: Particle, k: int) -> dict[str, Any]:
    chosen = particle.domain == k
    domain = particle.domains[k]
    roles, counts = np.unique(particle.role[chosen], return_counts=True)
    return {
        "name": domain.name,
        "crystal": None if domain.crystal is None else domain.crystal.name,
        "shape": domain.shape,
        "atoms": int(chosen.sum()),
        "composition": particle.composition(k),
        **_named_molecules(particle, k),
        "charge": {
            "value": float(np.round(particle.charge[chosen].sum(), 6)),
            "error": 0.0,
            "unit": "e",
        },
        "size": measured_size(particle.positions[chosen], domain.orientation),
        "roles": {str(r): int(c) for r, c in zip(roles, counts, strict=True)},
    }


def _named_molecules(particle: Particle, k: int) -> dict[str, Any]:
    """Count of each kind of molecule of a domain, nothing where there are none."""
    crystal = particle.domains[k].crystal
    if crystal is None or not molecules(crystal):
        return {}
    counts: dict[str, int] = {}
    for group in molecules_of(particle):
        if particle.domain[group.carrier] == k:
            counts[group.name] = counts.get(group.name, 0) + 1
    return {"molecules": counts}


def measured_size(points: Array, axes: Array | None = None) -> dict[str, Any]:
    """Return the size of a set of atoms, from atom center to atom center.

    ``along_axes`` are the spans along the crystal's Cartesian axes, ``diameter`` that of the
    sphere with the same radius of gyration, ``thinnest`` and ``longest`` the spans along the
    principal axes.
    """
    if len(points) == 0:
        return {}
    frame = np.eye(3) if axes is None else np.asarray(axes, dtype=float)
    spans = np.ptp(points @ frame, axis=0)
    middle = points - points.mean(0)
    gyration = float(np.sqrt((middle**2).sum(1).mean()))
    principal = np.linalg.svd(middle.T @ middle)[0] if len(points) > 2 else np.eye(3)
    along = np.sort(np.ptp(middle @ principal, axis=0))

    def length(value: float) -> dict[str, Any]:
        return {"value": float(value) / 10, "error": 0.0, "unit": "nm"}

    return {
        "along_axes": [length(s) for s in spans],
        "diameter": length(2 * gyration * np.sqrt(5 / 3)),
        "thinnest": length(along[0]),
        "longest": length(along[-1]),
    }
