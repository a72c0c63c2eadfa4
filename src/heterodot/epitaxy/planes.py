"""Crystal planes that differ by symmetry, and their primitive surface meshes.

Planes are enumerated in the standard conventional cell of the space group and under the point
group of the crystal (not of its lattice), so the answer does not depend on the cell in which the
crystal was given; the meshes follow from integer arithmetic in a primitive basis.
"""

from __future__ import annotations

import functools
import itertools
import math
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.epitaxy.relationship import Indices
from heterodot.errors import InputError

# Primitive vectors as rows in the conventional cell (International Tables A, obverse setting of R).
CENTERINGS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "P": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "A": ((1, 0, 0), (0, 1 / 2, -1 / 2), (0, 1 / 2, 1 / 2)),
    "B": ((1 / 2, 0, -1 / 2), (0, 1, 0), (1 / 2, 0, 1 / 2)),
    "C": ((1 / 2, 1 / 2, 0), (-1 / 2, 1 / 2, 0), (0, 0, 1)),
    "I": ((-1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (1 / 2, 1 / 2, -1 / 2)),
    "F": ((0, 1 / 2, 1 / 2), (1 / 2, 0, 1 / 2), (1 / 2, 1 / 2, 0)),
    "R": ((2 / 3, 1 / 3, 1 / 3), (-1 / 3, 1 / 3, 1 / 3), (-1 / 3, -2 / 3, 1 / 3)),
}


@dataclass(frozen=True, eq=False)
class Lattice:
    """Conventional and primitive cell of a crystal, in the Cartesian frame it was given in.

    Attributes
    ----------
    conventional : (3, 3) array
        Standard conventional cell, rows, Å.
    primitive : (3, 3) array
        Primitive cell, rows, Å.
    centering : (3, 3) array
        ``primitive = centering @ conventional``.
    to_given : (3, 3) array
        Directions as columns: ``[uvw] given = to_given @ [uvw] conventional``.
    operations : (n, 3, 3) int array
        Point group in the conventional cell, acting on columns of [uvw].
    cartesian : (n, 3, 3) array
        The same as Cartesian matrices.
    """

    conventional: NDArray[np.float64]
    primitive: NDArray[np.float64]
    centering: NDArray[np.float64]
    to_given: NDArray[np.float64]
    operations: NDArray[np.int64]
    cartesian: NDArray[np.float64]

    @functools.cached_property
    def proper(self) -> NDArray[np.bool_]:
        """Which operations are proper rotations, (n,)."""
        return np.asarray(np.linalg.det(self.operations.astype(float)) > 0)

    @functools.cached_property
    def reciprocal(self) -> NDArray[np.float64]:
        """Reciprocal vectors of the conventional cell as rows, 1/Å."""
        return np.asarray(np.linalg.inv(self.conventional).T)

    @functools.cached_property
    def plane_operations(self) -> NDArray[np.int64]:
        """Point group on columns of (hkl) of the conventional cell, (n, 3, 3)."""
        inverse = np.linalg.inv(self.operations.astype(float))
        return np.asarray(np.rint(np.transpose(inverse, (0, 2, 1))), dtype=np.int64)

    def plane_given(self, plane: Indices) -> Indices:
        """Return conventional (hkl) in the cell that the crystal was given in."""
        return coprime(np.asarray(plane, dtype=float) @ np.linalg.inv(self.to_given))

    def plane_conventional(self, plane: Indices) -> Indices:
        """Return (hkl) of the given cell in the conventional one."""
        return coprime(np.asarray(plane, dtype=float) @ self.to_given)

    def direction_given(self, direction: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return conventional [uvw] (any length, may be rows) in the given cell."""
        return np.asarray(np.asarray(direction, dtype=float) @ self.to_given.T)

    def normal(self, plane: Indices) -> NDArray[np.float64]:
        """Unit normal of conventional (hkl), Cartesian, (3,)."""
        vector = np.asarray(plane, dtype=float) @ self.reciprocal
        return np.asarray(vector / np.linalg.norm(vector))


_LATTICES: weakref.WeakKeyDictionary[Crystal, Lattice] = weakref.WeakKeyDictionary()


def lattice_of(crystal: Crystal) -> Lattice:
    """Return conventional and primitive lattice and point group of a crystal.

    Raises
    ------
    InputError
        The symmetry cannot be found.

    Examples
    --------
    >>> from heterodot.crystal import Crystal
    >>> pbs = Crystal.from_sites("PbS", "F m -3 m", (5.936,), {"Pb": (0, 0, 0), "S": (.5, .5, .5)})
    >>> found = lattice_of(pbs.primitive())
    >>> [round(float(x), 3) for x in np.linalg.norm(found.conventional, axis=1)]
    [5.936, 5.936, 5.936]
    """
    known = _LATTICES.get(crystal)
    if known is not None:
        return known
    import spglib

    data = spglib.get_symmetry_dataset(
        (crystal.cell, crystal.scaled, crystal.numbers), symprec=crystal.symprec
    )
    if data is None:
        raise InputError("no symmetry found", place=crystal.name, remedy="check the sites")
    transform = _fractions(np.asarray(data.transformation_matrix))  # x_conventional = P x_given
    to_given = _fractions(np.linalg.inv(transform))
    conventional = to_given.T @ crystal.cell
    letter = str(data.international)[0]
    centering = np.array(CENTERINGS[letter])
    found = spglib.get_symmetry_from_database(int(data.hall_number))
    rotations = np.unique(np.asarray(found["rotations"], dtype=np.int64), axis=0)
    basis = conventional.T
    lattice = Lattice(
        conventional,
        centering @ conventional,
        centering,
        to_given,
        rotations,
        np.asarray(basis @ rotations @ np.linalg.inv(basis)),
    )
    _LATTICES[crystal] = lattice
    return lattice


def _fractions(matrix: NDArray[Any]) -> NDArray[np.float64]:
    """Take the noise off a matrix of small fractions (denominators up to 48)."""
    from fractions import Fraction

    exact = [[Fraction(float(x)).limit_denominator(48) for x in row] for row in matrix]
    return np.array([[float(x) for x in row] for row in exact])


def coprime(vector: NDArray[np.float64] | Indices) -> Indices:
    """Return the smallest integers in the ratio of three (near-)rational numbers.

    Raises
    ------
    InputError
        The numbers have no small common denominator, or are all zero.

    Examples
    --------
    >>> coprime((-4, -4, 2)), coprime((0.5, 0.5, 2.0))
    ((-2, -2, 1), (1, 1, 4))
    """
    values = [float(x) for x in vector]
    largest = max(abs(x) for x in values)
    if largest < 1e-9:
        raise InputError("0 0 0 are no indices", remedy="give three integers")
    for denominator in range(1, 49):
        scaled = [x * denominator for x in values]
        whole = [round(x) for x in scaled]
        if all(abs(a - b) < 1e-6 * denominator for a, b in zip(scaled, whole, strict=True)):
            divisor = math.gcd(*whole)
            if divisor:
                return (whole[0] // divisor, whole[1] // divisor, whole[2] // divisor)
    raise InputError(f"{values} are no crystal indices", remedy="give three integers")


def distinct_planes(crystal: Crystal, max_index: int) -> tuple[Indices, ...]:
    """Return one (hkl) of the *conventional* cell for each family that symmetry keeps apart.

    Families follow from the crystal's point group; a plane and its opposite belong together only
    where an operation of the crystal maps one on the other, so (1 1 1) and (-1 -1 -1) of zinc
    blende are two.

    Parameters
    ----------
    crystal : Crystal
    max_index : int
        Largest |h|, |k|, |l| of at least one member of the family.

    Examples
    --------
    >>> from heterodot.crystal import Crystal
    >>> cds = Crystal.from_sites("CdS", "F -4 3 m", (5.832,),
    ...                          {"Cd": (0, 0, 0), "S": (.25, .25, .25)})
    >>> distinct_planes(cds, 1)
    ((1, 0, 0), (1, 1, 0), (1, 1, 1), (-1, -1, -1))
    """
    operations = lattice_of(crystal).plane_operations
    span = range(-max_index, max_index + 1)
    every: list[Indices] = [
        (h, k, m) for h, k, m in itertools.product(span, repeat=3) if math.gcd(h, k, m) == 1
    ]
    families: list[Indices] = []
    seen: set[Indices] = set()
    for plane in sorted(every, key=plane_order):
        if plane in seen:
            continue
        members = set(_triples(operations @ np.array(plane)))
        seen |= members
        opposite = [(-h, -k, -m) for h, k, m in families if (-h, -k, -m) in members]
        families.append(opposite[0] if opposite else plane)
    return tuple(families)


def plane_order(plane: Indices) -> tuple[Any, ...]:
    """Sort key: low indices first, then the spelling that people use (2 1 0, not -1 0 2)."""
    return (
        sum(h * h for h in plane),
        sum(abs(h) for h in plane),
        sum(h < 0 for h in plane),
        tuple(-abs(h) for h in plane),
        tuple(-h for h in plane),
    )


def family(crystal: Crystal, plane: Indices) -> tuple[Indices, ...]:
    """Return all planes (conventional indices) that symmetry makes of one, in order."""
    members = set(_triples(lattice_of(crystal).plane_operations @ np.array(plane)))
    return tuple(sorted(members, key=plane_order))


def _triples(rows: NDArray[np.int64]) -> list[Indices]:
    return [(int(h), int(k), int(m)) for h, k, m in rows]


@dataclass(frozen=True, eq=False)
class SurfaceMesh:
    """The primitive two-dimensional lattice of a crystal plane.

    Attributes
    ----------
    plane : three ints
        (hkl) of the conventional cell.
    vectors : (2, 3) array
        Reduced mesh vectors in the plane, Cartesian, Å; right-handed about the normal.
    primitive_indices : (2, 3) int array
        The same in the primitive basis of the crystal.
    flat : (2, 2) array
        The same in the axes (x, y) of ``frame``.
    frame : (3, 3) array
        Columns: x along the first mesh vector, y, unit normal; Cartesian of the crystal.
    area : float
        Å².
    spacing : float
        Distance between lattice planes (extinctions counted), Å.
    turns : (n,) array
        Angles (radians) of the proper rotations of the crystal about the normal.
    mirrors : (m,) array
        Angles of the mirror lines of the crystal that contain the normal; may be empty.
    """

    plane: Indices
    vectors: NDArray[np.float64]
    primitive_indices: NDArray[np.int64]
    flat: NDArray[np.float64]
    frame: NDArray[np.float64]
    area: float
    spacing: float
    turns: NDArray[np.float64]
    mirrors: NDArray[np.float64]


def surface_mesh(crystal: Crystal, plane: Indices) -> SurfaceMesh:
    """Return the reduced primitive surface mesh of a plane (conventional indices).

    Examples
    --------
    >>> from heterodot.crystal import Crystal
    >>> pbs = Crystal.from_sites("PbS", "F m -3 m", (5.936,), {"Pb": (0, 0, 0), "S": (.5, .5, .5)})
    >>> round(surface_mesh(pbs, (1, 0, 0)).area, 2), round(surface_mesh(pbs, (1, 1, 1)).area, 2)
    (17.62, 15.26)
    """
    lattice = lattice_of(crystal)
    in_primitive = np.array(coprime(lattice.centering @ np.array(plane, dtype=float)))
    basis = integer_plane_basis(in_primitive)
    vectors = basis @ lattice.primitive
    basis, vectors = _reduced(basis, vectors)
    normal = lattice.normal(plane)
    if np.dot(np.cross(vectors[0], vectors[1]), normal) < 0:
        basis[1], vectors[1] = -basis[1], -vectors[1]
    x = vectors[0] / np.linalg.norm(vectors[0])
    frame = np.column_stack([x, np.cross(normal, x), normal])
    area = float(np.linalg.norm(np.cross(vectors[0], vectors[1])))
    turns, mirrors = _stabilizer(lattice, plane, frame)
    return SurfaceMesh(
        plane,
        vectors,
        basis,
        np.asarray(vectors @ frame[:, :2]),
        frame,
        area,
        float(abs(np.linalg.det(lattice.primitive)) / area),
        turns,
        mirrors,
    )


def integer_plane_basis(plane: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return two integer vectors that span all integer u with ``plane @ u == 0``, (2, 3).

    Extended Euclid: for coprime (h, k, l) with g = gcd(h, k) the vectors are (k, -h, 0)/g and
    the one that solves h u + k v = -g' l.
    """
    h, k, m = (int(x) for x in plane)
    if h == 0 and k == 0:
        return np.array([[1, 0, 0], [0, 1, 0]], dtype=np.int64)
    g, s, t = euclid(h, k)
    step = math.gcd(g, m) or g
    return np.array(
        [[k // g, -h // g, 0], [-s * m // step, -t * m // step, g // step]], dtype=np.int64
    )


def euclid(a: int, b: int) -> tuple[int, int, int]:
    """Return (g, s, t) with g = gcd(a, b) = s a + t b > 0."""
    s, old_s, r, old_r = 0, 1, b, a
    while r:
        quotient = old_r // r
        old_r, r = r, old_r - quotient * r
        old_s, s = s, old_s - quotient * s
    t = (old_r - old_s * a) // b if b else 0
    return (old_r, old_s, t) if old_r > 0 else (-old_r, -old_s, -t)


def _reduced(
    basis: NDArray[np.int64], vectors: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Lagrange-reduce a two-dimensional basis (shortest vectors first)."""
    basis, vectors = basis.copy(), vectors.copy()
    while True:
        if vectors[0] @ vectors[0] > vectors[1] @ vectors[1] * (1 + 1e-9):
            basis, vectors = basis[::-1].copy(), vectors[::-1].copy()
        times = round(float(vectors[0] @ vectors[1]) / float(vectors[0] @ vectors[0]) - 1e-9)
        if times == 0:
            return basis, vectors
        basis[1] -= times * basis[0]
        vectors[1] -= times * vectors[0]


def _stabilizer(
    lattice: Lattice, plane: Indices, frame: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return turns about and mirror lines along the normal among the crystal's operations."""
    keep = (lattice.plane_operations @ np.array(plane) == np.array(plane)).all(axis=1)
    flat = np.array([frame[:, :2].T @ op @ frame[:, :2] for op in lattice.cartesian[keep]])
    angles = np.arctan2(flat[:, 1, 0], flat[:, 0, 0])
    proper = lattice.proper[keep]
    return np.sort(angles[proper] % (2 * math.pi)), np.sort(angles[~proper] / 2 % math.pi)
