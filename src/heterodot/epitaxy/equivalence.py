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
    rotations, *_ = carrying(one, two.plane_a, two.plane_b, handed=handed)
    return any(rotation_angle(rotation @ two.rotation.T) <= tolerance for rotation in rotations)


def carrying(
    relation: OrientationRelationship,
    plane_a: Indices,
    plane_b: Indices,
    *,
    handed: bool = False,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the spellings of a relation that have given planes.

    Returns
    -------
    rotations : (n, 3, 3) array
    operations_a, operations_b : (n,) int array
        Rows of `given_operations`.
    """
    sides = []
    for crystal, plane, target in (
        (relation.crystal_a, relation.plane_a, plane_a),
        (relation.crystal_b, relation.plane_b, plane_b),
    ):
        lattice = lattice_of(crystal)
        images = lattice.plane_operations @ np.array(lattice.plane_conventional(plane))
        wanted = np.array(lattice.plane_conventional(target))
        keep = np.flatnonzero((images == wanted).all(axis=1))
        sides.append((keep, lattice.proper[keep], lattice.cartesian[keep]))
    (ops_a, proper_a, cart_a), (ops_b, proper_b, cart_b) = sides
    both = proper_a[:, None] == proper_b[None, :]
    if handed:
        both &= proper_a[:, None]
    i, j = np.nonzero(both)
    rotations = cart_a[i] @ relation.rotation @ np.linalg.inv(cart_b[j])
    return rotations, ops_a[i], ops_b[j]


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
    nearest: tuple[float, OrientationRelationship] | None = None
    any_planes = False
    for relation in found.matches:
        for rotation, i, j in zip(*carrying(relation, wanted_a, wanted_b), strict=True):
            any_planes = True
            if wanted is None or direction_a is None or direction_b is None:
                return respelled(relation, int(i), int(j))
            off = rotation_angle(rotation @ wanted.T)
            if off > tolerance + 2.0 or (nearest is not None and off > nearest[0] + 2.0):
                if nearest is None or off < nearest[0]:
                    nearest = (off, respelled(relation, int(i), int(j)))
                continue
            spelled = respelled(relation, int(i), int(j))
            if corresponding(spelled, direction_a, direction_b):
                return along(spelled, direction_a)
            if nearest is None or off < nearest[0] - 1e-6:
                nearest = (off, spelled)
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
    return nearest[1]


def corresponding(
    relation: OrientationRelationship, direction_a: Indices, direction_b: Indices
) -> bool:
    """Return whether two in-plane directions are one in the coincidence cell of a relation."""
    one = _in_cell(relation, direction_a, "a")
    two = _in_cell(relation, direction_b, "b")
    cross = one[0] * two[1] - one[1] * two[0]
    size = float(np.linalg.norm(one) * np.linalg.norm(two))
    return abs(cross) < 1e-6 * size and float(one @ two) > 0


def _in_cell(
    relation: OrientationRelationship, direction: Indices, which: str
) -> NDArray[np.float64]:
    """Components of a direction in the coincidence cell vectors, (2,)."""
    mesh, cell = (
        (relation.mesh_a, relation.cell_a) if which == "a" else (relation.mesh_b, relation.cell_b)
    )
    rows = cell @ mesh
    solution, *_ = np.linalg.lstsq(rows.T, np.array(direction, dtype=float), rcond=None)
    return np.asarray(solution)


def along(relation: OrientationRelationship, direction_a: Indices) -> OrientationRelationship:
    """Return a relation with its coincidence cell spelled so that ``direction_a`` comes first."""
    from heterodot.epitaxy.planes import euclid

    u, v, _ = coprime(np.append(_in_cell(relation, direction_a, "a"), 0.0))
    _, s, t = euclid(u, v)
    # (u, v) and (-t, s) span the same lattice; take the second vector most nearly at right angles
    rows = relation.cell_a @ relation.mesh_a @ relation.crystal_a.cell
    first = np.array([u, v]) @ rows
    second = np.array([-t, s]) @ rows
    times = round(float(first @ second) / float(first @ first))
    matrix = np.array([[u, v], [-t - times * u, s - times * v]], dtype=np.int64)
    return recelled(relation, matrix)


def recelled(
    relation: OrientationRelationship, matrix: NDArray[np.int64]
) -> OrientationRelationship:
    """Return the same relation with coincidence cell ``matrix @ cell``, det(matrix) = 1.

    Directions, mismatches and the axes of the strain follow.
    """
    cell_a, cell_b = matrix @ relation.cell_a, matrix @ relation.cell_b
    rows_a, rows_b = cell_a @ relation.mesh_a, cell_b @ relation.mesh_b
    names_a = [coprime(np.round(row, 6)) for row in rows_a]
    names_b = [coprime(np.round(row, 6)) for row in rows_b]
    lengths_a = np.linalg.norm(rows_a @ relation.crystal_a.cell, axis=1)
    lengths_b = np.linalg.norm(rows_b @ relation.crystal_b.cell, axis=1)
    old = relation.crystal_a.direction(relation.direction_a)
    new = relation.crystal_a.direction(names_a[0])
    x = old / np.linalg.norm(old)
    y = np.cross(relation.normal, x)
    unit = new / np.linalg.norm(new)
    c, s = float(unit @ x), float(unit @ y)
    axes = np.array([[c, s], [-s, c]])
    return dataclasses.replace(
        relation,
        direction_a=names_a[0],
        direction_b=names_b[0],
        direction2_a=names_a[1],
        direction2_b=names_b[1],
        cell_a=cell_a,
        cell_b=cell_b,
        mismatch=lengths_b / lengths_a - 1.0,
        strain=axes @ relation.strain @ axes.T,
    )


def inverse(relation: OrientationRelationship) -> OrientationRelationship:
    """Return the same interface with the crystals' names exchanged: B below, A above.

    Planes change sign (they point from the lower to the upper crystal), mismatch and strain
    become those of A onto B.
    """
    flat = np.linalg.inv(np.eye(2) + relation.strain) - np.eye(2)
    # the normal points the other way, and with it the second axis
    flat[0, 1] = flat[1, 0] = -flat[0, 1]
    minus_a = tuple(-h for h in relation.plane_a)
    minus_b = tuple(-h for h in relation.plane_b)
    mesh_b = relation.mesh_b @ relation.crystal_b.cell
    cell = relation.cell_b @ mesh_b
    return dataclasses.replace(
        relation,
        crystal_a=relation.crystal_b,
        crystal_b=relation.crystal_a,
        plane_a=(minus_b[0], minus_b[1], minus_b[2]),
        plane_b=(minus_a[0], minus_a[1], minus_a[2]),
        direction_a=relation.direction_b,
        direction_b=relation.direction_a,
        direction2_a=relation.direction2_b,
        direction2_b=relation.direction2_a,
        rotation=relation.rotation.T,
        mesh_a=relation.mesh_b,
        mesh_b=relation.mesh_a,
        cell_a=relation.cell_b,
        cell_b=relation.cell_a,
        area=float(np.linalg.norm(np.cross(cell[0], cell[1]))),
        mismatch=1.0 / (1.0 + relation.mismatch) - 1.0,
        strain=flat,
        strain_max=float(np.abs(np.linalg.eigvalsh(flat)).max()),
    )
