"""Attach ligands: molecules take the place of surface ions of the same charge.

That is how they bind on these crystals: carboxylate on halide sites, alkylammonium on cesium
sites; the particle stays neutral, ion for ion (De Roo et al., ACS Nano 10, 2071 (2016)).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.particle.checks import contacts, coordination
from heterodot.particle.exchange import domain_index
from heterodot.particle.ions import BOND, CONTACT, radii
from heterodot.particle.molecules import LIGANDS, Molecule, molecule
from heterodot.particle.organics import molecule_of
from heterodot.particle.particle import Particle
from heterodot.particle.touch_up import added, relabel

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# closest approach of ligand atoms to anything that they are not bonded to, by pairs with and
# without hydrogen, Å: a little under the sums of van der Waals radii, as in dense monolayers
HEAVY, HYDROGEN = 2.9, 2.0


def passivate(
    particle: Particle,
    ligand: str | Molecule,
    *,
    coverage: float = 1.0,
    domain: int | str | None = None,
    seed: int = 0,
) -> Particle:
    """Replace surface ions by ligands of the same charge, as many as fit without clashes.

    Parameters
    ----------
    ligand : str or Molecule
        ``"oleate"``, ``"oleylammonium"``, ``"acetate"``... (see `LIGANDS`), or a halide
        (``"Cl"``), which changes the surface halide.
    coverage : float
        Share of the surface ions of that charge to be replaced, 0 to 1.
    domain : int or str, optional
        Only on this domain.
    seed : int
        Order in which sites and turns about the axis are tried.

    Returns
    -------
    Particle
        Ligand atoms have domain -1, role ``ligand`` and a number from one in
        ``extra["molecule"]``. ``history[-1]`` says how many sites there were, how many were asked
        for and how many ligands found room.

    Raises
    ------
    InputError
        Unknown ligand or domain, coverage outside 0 to 1, no surface ion of its charge.

    Examples
    --------
    >>> from heterodot.particle import build
    >>> covered = passivate(build("CsPbBr3", "cube", "4 cells"), "acetate", coverage=0.1)
    >>> covered.net_charge
    0.0
    """
    if not 0.0 <= coverage <= 1.0:
        raise InputError(
            f"a coverage of {coverage:g} is not possible", place="coverage", remedy="give 0 to 1"
        )
    k = None if domain is None else domain_index(particle, domain)
    if isinstance(ligand, str) and ligand in ("F", "Cl", "Br", "I"):
        return _halide(particle, ligand, coverage, k, seed)
    body = molecule(ligand) if isinstance(ligand, str) else ligand
    sites, outward = binding_sites(particle, body.charge, k)
    if len(sites) == 0:
        raise InputError(
            f"there is no surface ion of charge {body.charge:+g} for {body.name} to replace",
            place="passivate",
            remedy=f"choose among {', '.join(LIGANDS)}, or cap with a halide first",
        )
    wanted = int(np.rint(coverage * len(sites)))
    random = np.random.default_rng(seed)
    taken, atoms = _attach(particle, body, sites, outward, wanted, random)
    stay = np.ones(len(particle), dtype=bool)
    stay[taken] = False
    base = particle.take(stay)
    start = int(np.max(base.extra["molecule"], initial=0)) if "molecule" in base.extra else 0
    if atoms:
        n, m = len(atoms), len(body.symbols)
        base = added(
            base,
            list(body.symbols) * n,
            np.concatenate(atoms),
            np.full(n * m, -1),
            np.full(n * m, "ligand"),
            np.tile(body.charges, n),
            {"molecule": np.repeat(np.arange(start + 1, start + n + 1), m)},
        )
    return relabel(base).replace(
        {
            "step": "passivate",
            "ligand": body.name,
            "sites": len(sites),
            "wanted": wanted,
            "attached": len(atoms),
            "coverage": len(atoms) / len(sites),
            "seed": seed,
        }
    )


def binding_sites(particle: Particle, charge: float, k: int | None) -> tuple[Ints, Array]:
    """Return surface ions of a charge that face outwards, and unit vectors out of the surface."""
    outer = (particle.role != "core") & (particle.role != "ligand")
    # the crystal's own organic cations stay
    same = (np.abs(particle.charge - charge) < 1e-6) & (molecule_of(particle) == 0)
    mine = particle.domain >= 0 if k is None else particle.domain == k
    sites = np.flatnonzero(outer & same & mine & (particle.role != "interface"))
    found = contacts(particle, 6.5)
    n = len(particle)
    step = particle.positions[found.j] - particle.positions[found.i]
    weight = 1.0 / np.maximum(found.distance, 1e-6) ** 3
    pull = np.stack(
        [
            np.bincount(found.i, step[:, c] * weight, n)
            - np.bincount(found.j, step[:, c] * weight, n)
            for c in range(3)
        ],
        axis=1,
    )
    bonded = coordination(particle, found)
    total = np.bincount(found.i, weight * found.distance, n) + np.bincount(
        found.j, weight * found.distance, n
    )
    one_sided = np.linalg.norm(pull, axis=1) / np.maximum(total, 1e-9)
    facing = (one_sided[sites] > 0.25) & (bonded[sites] > 0)
    sites = sites[facing]
    outward = -pull[sites]
    outward /= np.linalg.norm(outward, axis=1)[:, None]
    return sites, np.asarray(outward)


def _attach(
    particle: Particle,
    body: Molecule,
    sites: Ints,
    outward: Array,
    wanted: int,
    random: np.random.Generator,
) -> tuple[list[int], list[Array]]:
    """Try sites far apart first; turn and tilt each molecule until it fits."""
    from scipy.spatial import cKDTree

    hydrogen = np.array([s == "H" for s in body.symbols])
    tree = cKDTree(particle.positions)
    grid = _Occupied(4.0)
    # an ammonium is smaller than cesium and sinks into the site, where its hydrogens find halide
    lifts = (-1.2, -0.8, -0.4) if body.symbols[0] == "N" else (0.2, 0.6)
    taken: list[int] = []
    atoms: list[Array] = []
    head = 3 if body.symbols[0] == "O" else 1
    tail = np.arange(len(body.symbols)) >= head
    if body.symbols[0] == "N":
        # the three hydrogens of the ammonium may touch the halide around it
        near = np.linalg.norm(body.positions - body.positions[0], axis=1) < 1.2
        tail &= ~near
    for index in random.permutation(len(sites)):
        if len(atoms) >= wanted:
            break
        site = int(sites[index])
        for lift in lifts:
            placed = _fit(
                particle, body, site, outward[index], lift, tail, hydrogen, tree, grid, random
            )
            if placed is not None:
                break
        if placed is None:
            continue
        taken.append(site)
        atoms.append(placed)
        grid.add(placed, hydrogen)
    return taken, atoms


class _Occupied:
    """Ligand atoms placed so far, in cells."""

    def __init__(self, edge: float) -> None:
        self.edge = edge
        self.cells: dict[tuple[int, int, int], list[tuple[Array, bool]]] = {}

    def add(self, points: Array, hydrogen: NDArray[np.bool_]) -> None:
        for point, h in zip(points, hydrogen, strict=True):
            key = tuple(int(x) for x in np.floor(point / self.edge))
            self.cells.setdefault((key[0], key[1], key[2]), []).append((point, bool(h)))

    def clashes(self, points: Array, hydrogen: NDArray[np.bool_]) -> bool:
        wanted: set[tuple[int, int, int]] = set()
        base = {tuple(int(x) for x in np.floor(p / self.edge)) for p in points}
        for x, y, z in base:
            for i, j, k in np.ndindex(3, 3, 3):
                wanted.add((x + i - 1, y + j - 1, z + k - 1))
        there = [entry for key in wanted for entry in self.cells.get(key, ())]
        if not there:
            return False
        others = np.array([p for p, _ in there])
        light = np.array([h for _, h in there])
        d = np.linalg.norm(points[:, None] - others[None], axis=2)
        limit = np.where(hydrogen[:, None] | light[None], HYDROGEN, HEAVY)
        return bool((d < limit).any())


def _fit(
    particle: Particle,
    body: Molecule,
    site: int,
    out: Array,
    lift: float,
    tail: NDArray[np.bool_],
    hydrogen: NDArray[np.bool_],
    tree: Any,
    grid: _Occupied,
    random: np.random.Generator,
) -> Array | None:
    """Return the molecule on a site, turned so that nothing is too close, or None."""
    origin = particle.positions[site] + lift * out
    spin = random.random() * 2 * np.pi
    for tilt in np.radians((0.0, 15.0, 30.0)):
        for turn in np.linspace(0, 2 * np.pi, 12, endpoint=False):
            placed = body.positions @ _orient(out, turn + spin, tilt).T + origin
            near, who = tree.query(placed, k=2)
            # the ion that is replaced does not count
            distance = np.where(who[:, 0] == site, near[:, 1], near[:, 0])
            limit = np.where(hydrogen, HYDROGEN + 0.1, HEAVY)
            limit = np.where(tail, limit, np.where(hydrogen, 1.5, 2.0))
            if (distance < limit).any() or grid.clashes(placed, hydrogen):
                continue
            if body.symbols[0] == "O" and not _held(particle, body, placed[:2], site, tree):
                continue
            return np.asarray(placed)
    return None


def _held(particle: Particle, body: Molecule, oxygen: Array, site: int, tree: Any) -> bool:
    """Whether the oxygen of a carboxylate bonds to a cation and stands off everything else."""
    size = radii(np.full(len(oxygen), 8), np.asarray(body.charges[: len(oxygen)]))
    bonded = False
    for point, own in zip(oxygen, size, strict=True):
        near = np.array([n for n in tree.query_ball_point(point, 5.0) if n != site], dtype=int)
        if len(near) == 0:
            continue
        d = np.linalg.norm(particle.positions[near] - point, axis=1)
        total = own + radii(particle.numbers[near], particle.charge[near])
        if (d < (CONTACT + 0.005) * total).any():
            return False
        bonded |= bool(((particle.charge[near] > 0.5) & (d < BOND * total)).any())
    return bonded


def _orient(out: Array, turn: float, tilt: float) -> Array:
    """Rotation that carries +z to ``out``, after a turn about it and a tilt away from it."""
    first = np.cross(out, np.eye(3)[np.argmin(np.abs(out))])
    first /= np.linalg.norm(first)
    frame = np.stack([first, np.cross(out, first), out], axis=1)
    c, s = np.cos(turn), np.sin(turn)
    spin = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    ct, st = np.cos(tilt), np.sin(tilt)
    lean = np.array([[ct, 0.0, st], [0.0, 1.0, 0.0], [-st, 0.0, ct]])
    return np.asarray(frame @ spin @ lean)


def _halide(
    particle: Particle, element: str, coverage: float, k: int | None, seed: int
) -> Particle:
    sites, _ = binding_sites(particle, -1.0, k)
    other = sites[np.array([particle.symbols[i] != element for i in sites], dtype=bool)]
    if len(other) == 0:
        raise InputError(f"there is no surface halide for {element} to replace", place="passivate")
    count = int(np.rint(coverage * len(other)))
    chosen = np.random.default_rng(seed).permutation(other)[:count]
    symbols = np.array(particle.symbols, dtype=object)
    symbols[chosen] = element
    return particle.replace(
        {
            "step": "passivate",
            "ligand": element,
            "sites": len(other),
            "wanted": count,
            "attached": count,
            "coverage": count / len(other),
            "seed": seed,
        },
        symbols=tuple(symbols.tolist()),
    )
