"""A block of lattice sites, some of them filled: what is carved, completed and made neutral.

Sites are kept on a dense grid of cells, so coordination of a whole crystal is a few shifted sums
and every empty neighbor site is known. How well an ion is bound is measured by Pauling's bond
strengths (charge of the cation over its coordination number): its *saturation* is the sum over the
bonds it has, over the sum in the bulk.

References
----------
L. Pauling, J. Am. Chem. Soc. 51, 1010 (1929).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.errors import InputError
from heterodot.organic import IonicCrystal, bonded, ions, molecules
from heterodot.particle.ions import BOND, radii
from heterodot.particle.shapes import Shape

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Bonds:
    """First shells of opposite charge in a crystal.

    Attributes
    ----------
    site, other : (n_bonds,) int arrays
        Atoms of the cell; every bond is listed from both ends.
    cell : (n_bonds, 3) int array
        Cell of ``other`` relative to that of ``site``.
    strength : (n_bonds,) array
        Charge of the cation over its coordination number, e.
    total : (n_sites,) array
        Sum of strengths of each site in the bulk.
    coordination : (n_sites,) int array
    """

    site: Ints
    other: Ints
    cell: Ints
    strength: Array
    total: Array
    coordination: Ints


@functools.lru_cache(maxsize=64)
def bonds(crystal: Crystal) -> Bonds:
    """Return the bonds of a crystal: ions of opposite charge within 1.3 sums of radii.

    Covalent bonds inside molecules are listed with strength zero.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> bonds(crystal("CsPbBr3_cubic")).coordination.tolist()
    [12, 6, 6, 6, 6]
    """
    from ase.neighborlist import neighbor_list

    charges = crystal.require_charges()
    size = radii(crystal.numbers, charges)
    reach = BOND * (np.sort(size)[-2:].sum() if len(size) > 1 else 2 * size[0])
    i, j, d, cells = neighbor_list("ijdS", crystal.atoms, float(reach) + 0.01)
    keep = (charges[i] * charges[j] < 0) & (d <= BOND * (size[i] + size[j]))
    i, j, cells = i[keep], j[keep], cells[keep]
    number = np.asarray(np.bincount(i, minlength=len(crystal)), dtype=np.int64)
    cation = np.where(charges[i] > 0, i, j)
    strength = charges[cation] / np.maximum(number[cation], 1)
    if not isinstance(crystal, IonicCrystal) and molecules(crystal):
        first, second, shifts = bonded(crystal.numbers, crystal.positions, crystal.cell)
        i, j = np.concatenate([i, first]), np.concatenate([j, second])
        cells = np.concatenate([cells, shifts])
        strength = np.concatenate([strength, np.zeros(len(first))])
        number = np.asarray(np.bincount(i, minlength=len(crystal)), dtype=np.int64)
    total = np.asarray(np.bincount(i, weights=strength, minlength=len(crystal)), dtype=float)
    return Bonds(i, j, cells, strength, total, number)


@dataclass(eq=False)
class Crystallite:
    """Lattice sites in a box of cells, and what fills them. The builder's working copy.

    Attributes
    ----------
    crystal : Crystal
    low : (3,) int array
        First cell of the box.
    species : (n1, n2, n3, n_sites) int array
        Atomic number on each site, zero where it is empty.
    rotation : (3, 3) array
        Crystal's Cartesian frame -> particle's (proper rotation times strain).
    shift : (3,) array
        Position of the crystal's origin in the particle, Å.
    cross : flat array
        Bond strength that each site gets from other domains, e.
    changed : mapping of flat site to charge
        Charges of ions that replaced the crystal's own.
    moved : mapping of flat site to (3,) array
        Displacement from the site, particle's frame, Å, of ions added at an interface.
    """

    crystal: Crystal
    low: Ints
    species: NDArray[np.int16]
    rotation: Array
    shift: Array
    cross: Array
    changed: dict[int, float]
    moved: dict[int, Array] = field(default_factory=dict)

    # ---------------------------------------------------------------- where and what

    @property
    def flat(self) -> NDArray[np.int16]:
        """Species as a flat view."""
        return self.species.reshape(-1)

    @functools.cached_property
    def pad(self) -> int:
        """Cells at the border of the box that stay empty."""
        return max(int(np.abs(bonds(self.crystal).cell).max(initial=1)), 1)

    @functools.cached_property
    def offsets(self) -> Ints:
        """Flat distance of each bond's far end, (n_bonds,)."""
        _, n2, n3, ns = self.species.shape
        table = bonds(self.crystal)
        cell = table.cell
        steps = (cell[:, 0] * n2 + cell[:, 1]) * n3 + cell[:, 2]
        return np.asarray(steps * ns + table.other - table.site)

    @functools.cached_property
    def _by_site(self) -> list[tuple[Ints, Array]]:
        table = bonds(self.crystal)
        return [
            (self.offsets[table.site == s], table.strength[table.site == s])
            for s in range(len(self.crystal))
        ]

    def around(self, flat: int) -> tuple[Ints, Array]:
        """Return the neighbor sites of one site and the strengths of the bonds to them."""
        offsets, strength = self._by_site[flat % len(self.crystal)]
        return flat + offsets, strength

    def filled(self) -> Ints:
        """Return the flat indices of the filled sites."""
        return np.flatnonzero(self.flat)

    def site(self, flat: Ints) -> Ints:
        """Return the atom of the cell that each flat index stands for."""
        return np.asarray(flat) % len(self.crystal)

    def crystal_positions(self, flat: Ints) -> Array:
        """Return positions in the crystal's own frame, (n, 3), Å."""
        _, n2, n3, ns = self.species.shape
        flat = np.asarray(flat)
        cell, site = np.divmod(flat, ns)
        k = cell % n3
        j = (cell // n3) % n2
        i = cell // (n3 * n2)
        cells = np.stack([i, j, k], -1) + self.low
        return np.asarray((cells + self.crystal.scaled[site]) @ self.crystal.cell)

    def positions(self, flat: Ints) -> Array:
        """Return positions in the particle's frame, (n, 3), Å."""
        found = self.crystal_positions(flat) @ self.rotation.T + self.shift
        if self.moved:
            keys = np.fromiter(self.moved, dtype=np.int64)
            for k in np.flatnonzero(np.isin(flat, keys)):
                found[k] += self.moved[int(np.asarray(flat)[k])]
        return np.asarray(found)

    def charges(self, flat: Ints) -> Array:
        """Return the formal charge of what is or would be on each site, (n,), e."""
        found = self.crystal.require_charges()[self.site(flat)].copy()
        if self.changed:
            keys = np.fromiter(self.changed, dtype=np.int64)
            for k in np.flatnonzero(np.isin(flat, keys)):
                found[k] = self.changed[int(np.asarray(flat)[k])]
        return found

    @property
    def charge(self) -> float:
        """Sum of formal charges of the filled sites, e."""
        counts = np.count_nonzero(self.species, axis=(0, 1, 2))
        own = float(counts @ self.crystal.require_charges())
        base = self.crystal.require_charges()
        for index, charge in self.changed.items():
            if self.flat[index]:
                own += charge - float(base[index % len(base)])
        return own

    def extent(self) -> tuple[Array, Array]:
        """Return corners of a box, particle's frame, Å, that holds all filled cells."""
        cells = np.any(self.species, axis=3)
        spans = []
        for axis in range(3):
            others = tuple(k for k in range(3) if k != axis)
            there = np.flatnonzero(np.any(cells, axis=others))  # type: ignore[arg-type, unused-ignore]
            spans.append((int(there[0]), int(there[-1]) + 1) if len(there) else (0, 0))
        corners = np.array([[spans[k][c[k]] for k in range(3)] for c in np.ndindex(2, 2, 2)])
        points = (corners + self.low) @ self.crystal.cell @ self.rotation.T + self.shift
        # ions off the lattice stay within a few Å of their site
        room = 3.0 if self.moved else 0.0
        return points.min(0) - room, points.max(0) + room

    def within(self, low: Array, high: Array, *, empty: bool) -> Ints:
        """Return filled sites (and empty ones beside them) in cells that touch a box, flat."""
        corners = np.array([[(low, high)[c[k]][k] for k in range(3)] for c in np.ndindex(2, 2, 2)])
        own = (corners - self.shift) @ np.linalg.inv(self.rotation).T
        cells = own @ np.linalg.inv(self.crystal.cell) - self.low
        p = self.pad
        dims = np.array(self.species.shape[:3])
        first = np.clip(np.floor(cells.min(0)).astype(int) - 1, p, dims - p)
        last = np.clip(np.ceil(cells.max(0)).astype(int) + 1, p, dims - p)
        if (last <= first).any():
            return np.zeros(0, dtype=np.int64)
        box = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
        there = self.species != 0
        seen = there[box].copy()
        if empty:
            table = bonds(self.crystal)
            for s, o, offset in zip(table.site, table.other, table.cell, strict=True):
                shifted = tuple(
                    slice(a + int(d), b + int(d))
                    for a, b, d in zip(first, last, offset, strict=True)
                )
                seen[..., s] |= there[(*shifted, o)]
        i, j, k, site = np.nonzero(seen)
        _, n2, n3, ns = self.species.shape
        flat = (((i + first[0]) * n2 + j + first[1]) * n3 + k + first[2]) * ns + site
        return np.asarray(flat, dtype=np.int64)

    # ---------------------------------------------------------------- binding

    def saturation(self) -> Array:
        """Return the saturation of every site, filled or not, (n_flat,): one in the bulk."""
        table = bonds(self.crystal)
        sums = np.zeros(self.species.shape)
        there = self.species != 0
        p = self.pad
        n1, n2, n3, _ = self.species.shape
        inner = (slice(p, n1 - p), slice(p, n2 - p), slice(p, n3 - p))
        for s, o, (a, b, c), w in zip(
            table.site, table.other, table.cell, table.strength, strict=True
        ):
            seen = there[p + a : n1 - p + a, p + b : n2 - p + b, p + c : n3 - p + c, o]
            sums[(*inner, s)] += w * seen
        total = np.where(table.total > 0, table.total, 1.0)
        return np.asarray((sums.reshape(-1) + self.cross) / np.tile(total, n1 * n2 * n3))

    def empty(self, flat: Ints) -> None:
        """Take the ions off some sites."""
        self.flat[flat] = 0
        if self.moved or self.changed:
            for index in np.atleast_1d(flat):
                self.moved.pop(int(index), None)
                self.changed.pop(int(index), None)

    def prune(self) -> int:
        """Remove what is too weakly bound, until nothing is; return how many ions went.

        Ions of charge two and more need half of their bulk bond strength, monovalent ones a
        quarter (a corner of a CsX-terminated cube has just that), halide that took the place of
        other ions a tenth.
        """
        need = np.where(np.abs(self.crystal.require_charges()) >= 1.5, 0.5, 0.25) - 1e-6
        lonely = bonds(self.crystal).total == 0
        need[lonely] = -1.0
        wanted = np.tile(need, self.flat.size // len(need))
        for index in (*self.changed, *self.moved):
            wanted[index] = 0.1
        gone = 0
        while True:
            weak = (self.flat != 0) & (self.saturation() < wanted)
            n = int(weak.sum())
            if n == 0:
                return gone
            self.empty(np.flatnonzero(weak))
            gone += n

    def complete(self) -> int:
        """Fill the empty halide sites around divalent and higher cations; return how many.

        Only for crystals whose anions are all monovalent (halides): an octahedron that has lost
        a corner to a curved cut gets it back.
        """
        charges = self.crystal.require_charges()
        if charges.min() < -1.5 or not (charges >= 1.5).any() or not (charges <= -0.5).any():
            return 0
        table = bonds(self.crystal)
        strong = np.isin(table.site, np.flatnonzero(charges >= 1.5))
        before = int(np.count_nonzero(self.species))
        there = self.species != 0
        n1, n2, n3, _ = self.species.shape
        p = self.pad
        for s, o, (a, b, c) in zip(
            table.site[strong], table.other[strong], table.cell[strong], strict=True
        ):
            source = there[p : n1 - p, p : n2 - p, p : n3 - p, s]
            target = self.species[p + a : n1 - p + a, p + b : n2 - p + b, p + c : n3 - p + c, o]
            target[source & (target == 0)] = self.crystal.numbers[o]
        return int(np.count_nonzero(self.species)) - before


def carve(
    crystal: Crystal,
    shape: Shape,
    center: Array,
    *,
    rotation: Array | None = None,
    shift: Array | None = None,
    margin: float = 1e-3,
    limit: int = 5_000_000,
) -> Crystallite:
    """Return the lattice sites of a crystal inside a shape; molecules are one site each.

    Parameters
    ----------
    center : (3,) array
        Center of the shape, Cartesian frame of the crystal, Å.
    rotation, shift : arrays, optional
        Crystal frame -> particle frame.
    margin : float
        Sites this far outside still count, Å.
    limit : int
        Largest number of lattice sites in the box, against sizes given in a wrong unit.

    Raises
    ------
    InputError
        Nothing is inside, or the size asks for more than ``limit`` sites.
    """
    crystal = ions(crystal)
    low, high = shape.bounds()
    pad = max(int(np.abs(bonds(crystal).cell).max(initial=1)), 1) + 1
    corners = np.array(
        [
            [(low, high)[i][0], (low, high)[j][1], (low, high)[k][2]]
            for i, j, k in np.ndindex(2, 2, 2)
        ]
    )
    scaled = (corners + center) @ np.linalg.inv(crystal.cell)
    first = np.floor(scaled.min(0)).astype(int) - pad
    dims = np.ceil(scaled.max(0)).astype(int) + pad - first
    total = int(np.prod(dims.astype(float))) * len(crystal)
    if total > limit:
        raise InputError(
            f"{shape.text or shape.name} of {crystal.formula} needs {total:,} lattice sites",
            place="size",
            remedy=f"stay below {limit:,}; check the unit of the size",
        )
    species = np.zeros((*dims, len(crystal)), dtype=np.int16)
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in dims], indexing="ij"), -1)
    cells = (grid.reshape(-1, 3) + first) @ crystal.cell - center
    flat = species.reshape(-1, len(crystal))
    for s, basis in enumerate(crystal.positions):
        flat[shape.contains(cells + basis, margin), s] = crystal.numbers[s]
    if not species.any():
        raise InputError(
            f"no atom of {crystal.formula} lies inside {shape.text or shape.name}",
            place="size",
            remedy="make it larger",
        )
    return Crystallite(
        crystal,
        first,
        species,
        np.eye(3) if rotation is None else np.asarray(rotation, dtype=float),
        np.zeros(3) if shift is None else np.asarray(shift, dtype=float),
        np.zeros(species.size),
        {},
    )


def copy(block: Crystallite, **changes: Any) -> Crystallite:
    """Return a crystallite that shares nothing with ``block``."""
    import dataclasses

    fresh: dict[str, Any] = {
        "species": block.species.copy(),
        "cross": block.cross.copy(),
        "changed": dict(block.changed),
        "moved": dict(block.moved),
    }
    return dataclasses.replace(block, **{**fresh, **changes})
