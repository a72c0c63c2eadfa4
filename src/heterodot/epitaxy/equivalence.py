"""Orientation relationships under the symmetry of both crystals: equality, other indices, inverse.

Two relations are one when an operation of A applied to A's side and an operation of B applied to
B's side carry the planes and the rotation of one onto those of the other, both operations proper
or both improper (a mirror image of the whole bicrystal).
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.epitaxy.planes import coprime, lattice_of
from heterodot.epitaxy.relationship import (
    Indices,
    OrientationRelationship,
    direction_text,
    plane_text,
)
from heterodot.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from heterodot.epitaxy.orientations import Search


def given_operations(crystal: Crystal) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the point group on columns of [uvw] of the given cell, (n, 3, 3), and which is proper.

    Entries are fractions where the given cell has less symmetry than the crystal (a supercell).
    """
    lattice = lattice_of(crystal)
    forth = lattice.to_given
    back = np.linalg.inv(forth)
    return np.asarray(forth @ lattice.operations @ back), lattice.proper


def rotation_angle(rotation: NDArray[np.float64]) -> float:
    """Return the angle of a rotation matrix, degrees."""
    # the sine from the antisymmetric part keeps small angles exact where the cosine does not
    sine = np.linalg.norm(
        [
            rotation[2, 1] - rotation[1, 2],
            rotation[0, 2] - rotation[2, 0],
            rotation[1, 0] - rotation[0, 1],
        ]
    )
    return math.degrees(math.atan2(float(sine), float(np.trace(rotation)) - 1.0))


def variants(
    relation: OrientationRelationship, *, handed: bool = False
) -> list[tuple[Indices, Indices, NDArray[np.float64], int, int]]:
    """Return every spelling of a relation: planes, rotation, and the operations used.

    Parameters
    ----------
    relation : OrientationRelationship
    handed : bool
        Leave out mirror images.

    Returns
    -------
    list of (plane_a, plane_b, rotation, operation of A, operation of B)
        Planes in the given cells; operations count rows of `given_operations`.
    """
    ops_a, proper_a = given_operations(relation.crystal_a)
    ops_b, proper_b = given_operations(relation.crystal_b)
    cart_a = lattice_of(relation.crystal_a).cartesian
    cart_b = lattice_of(relation.crystal_b).cartesian
    planes_a = [coprime(np.array(relation.plane_a) @ np.linalg.inv(op)) for op in ops_a]
    planes_b = [coprime(np.array(relation.plane_b) @ np.linalg.inv(op)) for op in ops_b]
    found = []
    for i in range(len(ops_a)):
        for j in range(len(ops_b)):
            if proper_a[i] != proper_b[j] or (handed and not proper_a[i]):
                continue
            rotation = cart_a[i] @ relation.rotation @ np.linalg.inv(cart_b[j])
            found.append((planes_a[i], planes_b[j], rotation, i, j))
    return found


def equivalent(
    one: OrientationRelationship,
    two: OrientationRelationship,
    *,
    tolerance: float = 0.1,
    handed: bool = False,
) -> bool:
    """Return whether two relations of the same crystals are one under their symmetry.

    Parameters
    ----------
    one, two : OrientationRelationship
    tolerance : float
        Largest angle between rotations that count as the same, degrees.
    handed : bool
        Tell mirror images apart.
    """
    for plane_a, plane_b, rotation, *_ in variants(one, handed=handed):
        if (
            plane_a == tuple(two.plane_a)
            and plane_b == tuple(two.plane_b)
            and rotation_angle(rotation @ two.rotation.T) <= tolerance
        ):
            return True
    return False


def respelled(relation: OrientationRelationship, i: int, j: int) -> OrientationRelationship:
    """Return a relation with operation ``i`` of A and ``j`` of B applied (both proper or not)."""
    ops_a, proper_a = given_operations(relation.crystal_a)
    ops_b, proper_b = given_operations(relation.crystal_b)
    if proper_a[i] != proper_b[j]:
        raise InputError("a mirror image of one crystal alone is not the same relation")
    op_a, op_b = ops_a[i], ops_b[j]
    cart_a = lattice_of(relation.crystal_a).cartesian[i]
    cart_b = lattice_of(relation.crystal_b).cartesian[j]
    changes: dict[str, Any] = {
        "plane_a": coprime(np.array(relation.plane_a) @ np.linalg.inv(op_a)),
        "plane_b": coprime(np.array(relation.plane_b) @ np.linalg.inv(op_b)),
        "rotation": _orthogonal(cart_a @ relation.rotation @ np.linalg.inv(cart_b)),
        "mesh_a": relation.mesh_a @ op_a.T,
        "mesh_b": relation.mesh_b @ op_b.T,
    }
    for key, op in (
        ("direction_a", op_a),
        ("direction2_a", op_a),
        ("direction_b", op_b),
        ("direction2_b", op_b),
    ):
        changes[key] = coprime(op @ np.array(getattr(relation, key), dtype=float))
    if not proper_a[i]:
        # the axes (direction, normal x direction) change hand: shear changes sign
        strain = np.array(relation.strain)
        strain[0, 1] = strain[1, 0] = -strain[0, 1]
        changes["strain"] = strain
    return dataclasses.replace(relation, **changes)


def _orthogonal(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    u, _, vh = np.linalg.svd(matrix)
    return np.asarray(u @ vh)


def rotation_of(
    crystal_a: Crystal,
    crystal_b: Crystal,
    plane_a: Indices,
    plane_b: Indices,
    direction_a: Indices,
    direction_b: Indices,
) -> NDArray[np.float64]:
    """Return the rotation B -> A that plane ‖ plane and direction ‖ direction define, (3, 3).

    Raises
    ------
    InputError
        A direction does not lie in its plane.
    """
    frames = []
    for crystal, plane, direction in (
        (crystal_a, plane_a, direction_a),
        (crystal_b, plane_b, direction_b),
    ):
        if abs(np.dot(plane, direction)) > 1e-9:
            raise InputError(
                f"{direction_text(direction)} does not lie in {plane_text(plane)} of "
                f"{crystal.formula}",
                remedy="give a direction [uvw] with h u + k v + l w = 0",
            )
        normal = crystal.plane_normal(plane)
        x = crystal.direction(direction)
        x = x / np.linalg.norm(x)
        frames.append(np.column_stack([x, np.cross(normal, x), normal]))
    return np.asarray(frames[0] @ frames[1].T)


def express(
    found: Search,
    plane_a: Indices,
    plane_b: Indices,
    direction_a: Indices | None,
    direction_b: Indices | None,
    tolerance: float,
) -> OrientationRelationship:
    """Return the match of a search that has these planes and directions, in these indices."""
    wanted_a = coprime(np.array(plane_a, dtype=float))
    wanted_b = coprime(np.array(plane_b, dtype=float))
    wanted = None
    if direction_a is not None and direction_b is not None:
        wanted = rotation_of(
            found.crystal_a, found.crystal_b, wanted_a, wanted_b, direction_a, direction_b
        )
    nearest: tuple[float, OrientationRelationship, int, int] | None = None
    any_planes = False
    for relation in found.matches:
        if not _same_family(found.crystal_a, relation.plane_a, wanted_a) or not _same_family(
            found.crystal_b, relation.plane_b, wanted_b
        ):
            continue
        any_planes = True
        for one, two, rotation, i, j in variants(relation):
            if one != wanted_a or two != wanted_b:
                continue
            if wanted is None:
                return respelled(relation, i, j)
            off = rotation_angle(rotation @ wanted.T)
            if nearest is None or off < nearest[0] - 1e-6:
                nearest = (off, relation, i, j)
    pair = (
        f"{plane_text(plane_a)} of {found.crystal_a.formula} and {plane_text(plane_b)} of "
        f"{found.crystal_b.formula}"
    )
    if not any_planes or nearest is None:
        raise NotFoundError(
            f"{pair} have no coincidence cell within {found.max_area:g} Å² and "
            f"{100 * found.max_strain:g} %",
            remedy="raise max_index, max_area or max_strain",
        )
    if nearest[0] > tolerance:
        raise NotFoundError(
            f"{pair} match, but the nearest relation is {nearest[0]:.1f} degrees away from these "
            f"directions",
            remedy="leave the directions out to see it",
        )
    relation = respelled(*nearest[1:])
    if direction_a is not None and direction_b is not None:
        relation = _along(relation, direction_a, direction_b)
    return relation


def _same_family(crystal: Crystal, one: Indices, two: Indices) -> bool:
    operations = lattice_of(crystal).plane_operations
    lattice = lattice_of(crystal)
    members = operations @ np.array(lattice.plane_conventional(one))
    return bool((members == np.array(lattice.plane_conventional(two))).all(axis=1).any())


def _along(
    relation: OrientationRelationship, direction_a: Indices, direction_b: Indices
) -> OrientationRelationship:
    """Return the relation with its cell vectors taken in an order that starts as asked."""
    want_a, want_b = coprime(np.array(direction_a)), coprime(np.array(direction_b))
    for turn in (((1, 0), (0, 1)), ((0, 1), (-1, 0)), ((-1, 0), (0, -1)), ((0, -1), (1, 0))):
        matrix = np.array(turn)
        first = matrix[0]
        names_a = (relation.direction_a, relation.direction2_a)
        names_b = (relation.direction_b, relation.direction2_b)
        axis = int(np.flatnonzero(first)[0])
        sign = int(first[axis])
        if (
            tuple(sign * x for x in names_a[axis]) == want_a
            and tuple(sign * x for x in names_b[axis]) == want_b
        ):
            return turned(relation, matrix)
    return relation


def turned(relation: OrientationRelationship, matrix: NDArray[Any]) -> OrientationRelationship:
    """Return the same relation with coincidence cell vectors ``matrix @ cell`` (axes swapped or
    reversed): directions, mismatches and the axes of the strain follow.
    """
    order = [int(np.flatnonzero(row)[0]) for row in matrix]
    signs = [int(row[k]) for row, k in zip(matrix, order, strict=True)]
    names_a = (relation.direction_a, relation.direction2_a)
    names_b = (relation.direction_b, relation.direction2_b)

    def name(names: tuple[Indices, Indices], k: int) -> Indices:
        u, v, w = (signs[k] * x for x in names[order[k]])
        return (u, v, w)

    one = relation.crystal_a.direction(relation.direction_a)
    new = relation.crystal_a.direction(name(names_a, 0))
    normal = relation.normal
    x = one / np.linalg.norm(one)
    y = np.cross(normal, x)
    unit = new / np.linalg.norm(new)
    c, s = float(unit @ x), float(unit @ y)
    axes = np.array([[c, s], [-s, c]])
    return dataclasses.replace(
        relation,
        direction_a=name(names_a, 0),
        direction_b=name(names_b, 0),
        direction2_a=name(names_a, 1),
        direction2_b=name(names_b, 1),
        cell_a=np.asarray(matrix) @ relation.cell_a,
        cell_b=np.asarray(matrix) @ relation.cell_b,
        mismatch=np.array([relation.mismatch[k] for k in order]),
        strain=axes @ relation.strain @ axes.T,
    )
