"""Sites of a product crystal on the anion sublattice that an exchange keeps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.errors import HeterodotError, InputError
from heterodot.organic import molecules, with_cell
from heterodot.particle.particle import Particle

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


def product_crystal(crystal: Crystal | None, old: str, new: str, number: int) -> Crystal | None:
    """Return the catalog's crystal of the formula that an exchange makes, or one made for it.

    Where the catalog has none, an exchange ion for ion keeps the structure with the cell scaled
    by the sums of ionic radii of the closest pairs; None where that is not possible.
    """
    if crystal is None:
        return None
    from heterodot.catalog import crystal as named

    counts = dict(crystal.counts)
    moved = counts.pop(old)
    counts[new] = counts.get(new, 0) + moved * number
    formula = _formula(counts)
    if number == 1 and molecules(crystal):
        formula = crystal.replace(numbers=_renamed(crystal, old, new), labels=()).formula
    tail = crystal.name.rpartition("_")[2]
    for name in (f"{formula}_{tail}", formula, f"{formula}_antifluorite", f"{formula}_zincblende"):
        try:
            found = named(name)
        except HeterodotError:
            continue
        if found.formula == formula:
            return found
    if number != 1:
        return None
    return _substituted(crystal, old, new, formula)


def _formula(counts: dict[str, int]) -> str:
    from heterodot.charges import PAULING

    divisor = int(np.gcd.reduce(list(counts.values())))
    keys = sorted(counts, key=lambda s: (PAULING.get(s, 2.0), s))
    return "".join(k + (str(counts[k] // divisor) if counts[k] > divisor else "") for k in keys)


def _renamed(crystal: Crystal, old: str, new: str) -> Ints:
    """Atomic numbers with one element replaced outside molecules."""
    from ase.data import atomic_numbers

    mine = crystal.numbers == atomic_numbers[old]
    for group in molecules(crystal):
        mine[group.atoms] = False
    return np.where(mine, atomic_numbers[new], crystal.numbers)


def _substituted(crystal: Crystal, old: str, new: str, formula: str) -> Crystal:
    from ase.data import atomic_numbers

    from heterodot.particle.ions import radius

    charge = float(crystal.require_charges()[_renamed(crystal, old, new) != crystal.numbers].mean())
    delta = radius(int(atomic_numbers[new]), charge) - radius(int(atomic_numbers[old]), charge)
    from heterodot.particle.crystallite import bonds

    table = bonds(crystal)
    numbers = _renamed(crystal, old, new)
    mine = numbers != crystal.numbers
    ends = crystal.positions[table.other] + table.cell @ crystal.cell
    length = np.linalg.norm(ends - crystal.positions[table.site], axis=1)[mine[table.site]]
    scale = float((length.min() + delta) / length.min())
    return with_cell(crystal, crystal.cell * scale).replace(
        name=f"{formula} on the sites of {crystal.name}",
        numbers=numbers,
        labels=(),
        source=f"{crystal.source}; {old} replaced by {new}, cell scaled by ionic radii",
        method="estimated",
    )


def vegard(old: Crystal, new: Crystal, share: float) -> float:
    """Return the change of length of a domain of which a share has become another crystal.

    The cube root of the volume for one anion is interpolated linearly (Vegard's rule).

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> round(vegard(crystal("CsPbCl3_cubic"), crystal("CsPbBr3_cubic"), 1.0), 4)
    1.048
    """

    def length(crystal: Crystal) -> float:
        anions = int((crystal.require_charges() < 0).sum())
        return float((crystal.volume / anions) ** (1 / 3))

    return 1.0 + share * (length(new) / length(old) - 1.0)


def anion_origin(crystal: Crystal) -> Array:
    """Cartesian position of the first anion of a crystal, Å."""
    anions = np.flatnonzero(crystal.require_charges() < 0)
    return np.asarray(crystal.positions[anions[0]])


def new_sites(
    particle: Particle, k: int, chosen: Ints, number: int, product: Crystal, element: str
) -> Array:
    """Return places for ``number`` new cations for each of the chosen ones, (n, 3), Å.

    Places are where the product crystal, scaled onto the domain's anion sublattice, has that
    cation. Those with most anions around them and farthest from cations that stay are taken, each
    as near to the ion that it comes for as can be (least total squared distance).

    Raises
    ------
    InputError
        The product does not share its anion sublattice with the domain, or has too few sites.
    """
    from scipy.spatial import cKDTree

    domain = particle.domains[k]
    old = domain.crystal
    if old is None:
        raise InputError(
            f"the crystal of the {domain.name} domain is not known",
            place="exchange",
            remedy="run 'heterodot inspect' with --output first",
        )
    offsets = _bond_vectors(product, element) * (_anion_spacing(old) / _anion_spacing(product))
    frame = (np.eye(3) + domain.strain) @ domain.orientation
    mine = (particle.domain == k) & (particle.charge < -1.5)
    # shared layers: anions of this domain only, but halide on its surface helps to hold cations
    anions = particle.positions[mine]
    sites = (anions[:, None] + (offsets @ frame.T)[None]).reshape(-1, 3)
    sites, around = _unique(sites)
    stay = np.ones(len(particle), dtype=bool)
    stay[chosen] = False
    cations = particle.positions[stay & (particle.charge > 0)]
    crowd = np.full(len(sites), 9.0)
    if len(cations):
        crowd, _ = cKDTree(cations).query(sites)
    everything, _ = cKDTree(particle.positions[stay]).query(sites)
    possible = everything > 1.6
    sites, around, crowd = sites[possible], around[possible], crowd[possible]
    if len(sites) < number * len(chosen):
        raise InputError(
            f"the anion sublattice has room for {len(sites)} {element}, "
            f"{number * len(chosen)} are needed",
            place="exchange",
            remedy="exchange a smaller fraction",
        )
    return _assign(particle.positions[chosen], number, sites, around, crowd)


def _bond_vectors(product: Crystal, element: str) -> Array:
    """Vectors from an anion to the cations of one element around it, (n, 3), Å."""
    from heterodot.particle.crystallite import bonds

    table = bonds(product)
    symbols = np.array(product.symbols)
    anions = np.flatnonzero(product.require_charges() < 0)
    pick = (table.site == anions[0]) & (symbols[table.other] == element)
    ends = product.positions[table.other[pick]] + table.cell[pick] @ product.cell
    return np.asarray(ends - product.positions[anions[0]])


def _anion_spacing(crystal: Crystal) -> float:
    """Distance between nearest anions, Å."""
    from ase.neighborlist import neighbor_list

    anions = crystal.atoms[crystal.require_charges() < 0]
    reach = 2.0 * float((crystal.volume / len(anions)) ** (1 / 3))
    return float(neighbor_list("d", anions, reach).min())


def _unique(points: Array, tolerance: float = 0.7) -> tuple[Array, Ints]:
    """Merge points that coincide; return their means and how many there were."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    pairs = cKDTree(points).query_pairs(tolerance, output_type="ndarray")
    n = len(points)
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    count, label = connected_components(graph, directed=False)
    size = np.bincount(label, minlength=count)
    mean = np.stack([np.bincount(label, points[:, k], count) / size for k in range(3)], axis=1)
    return mean, size.astype(np.int64)


def _assign(origins: Array, number: int, sites: Array, around: Ints, crowd: Array) -> Array:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching
    from scipy.spatial import cKDTree

    wanted = np.repeat(origins, number, axis=0)
    full = int(around.max())
    penalty = 4.0 * (full - around) + np.where(crowd < 2.9, 3.0, 0.0)
    tree = cKDTree(sites)
    for reach in (4.0, 6.5, 10.0, 16.0, 40.0):
        near = cKDTree(wanted).sparse_distance_matrix(tree, reach, output_type="ndarray")
        weight = near["v"] ** 2 + penalty[near["j"]] + 1.0
        graph = coo_matrix((weight, (near["i"], near["j"])), shape=(len(wanted), len(sites)))
        try:
            _, columns = min_weight_full_bipartite_matching(graph.tocsr())
        except ValueError:
            continue
        return np.asarray(sites[columns])
    raise InputError(
        "the new cations find no sites on the anion sublattice",
        place="exchange",
        remedy="exchange a smaller fraction",
    )
