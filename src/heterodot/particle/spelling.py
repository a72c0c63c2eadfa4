"""One spelling for each orientation relationship, so that equivalent indices build one particle.

The symmetry of both crystals gives every relation many spellings: other planes and directions of
the same forms. A builder that sorts, rounds and breaks ties would make slightly different
particles of them. So the bodies are turned into one spelling, chosen among all of them, joined
there, and the particle is turned back: what is built then differs by nothing but that turn.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.epitaxy import OrientationRelationship
from heterodot.epitaxy.equivalence import carrying, given_operations, respelled
from heterodot.epitaxy.planes import coprime, lattice_of
from heterodot.errors import InputError
from heterodot.particle.particle import Domain, Particle
from heterodot.particle.placement import Placement
from heterodot.particle.shapes import Facet, Shape

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Turn:
    """A symmetry operation of a crystal: ``x -> matrix @ x + step`` maps it onto itself.

    Attributes
    ----------
    matrix : (3, 3) array
        Cartesian, orthogonal, not always proper.
    indices : (3, 3) array
        The same on columns of [uvw] of the crystal's cell.
    step : (3,) array
        Å.
    """

    matrix: Array
    indices: Array
    step: Array

    def point(self, point: Array) -> Array:
        """Return the image of a point."""
        return np.asarray(self.matrix @ point + self.step)

    def shape(self, shape: Shape) -> Shape:
        """Return the image of a shape, which stays around its center."""
        back = np.linalg.inv(self.indices)

        def facet(one: Facet) -> Facet:
            plane = None if one.plane is None else coprime(np.array(one.plane) @ back)
            normal = np.round(self.matrix @ one.normal, 10) + 0.0
            return dataclasses.replace(
                one, normal=normal, distance=round(one.distance, 9), plane=plane
            )

        # in one order, whatever the spelling
        facets = sorted(
            map(facet, shape.facets),
            key=lambda f: (round(f.distance, 6), *np.round(f.normal, 6).tolist()),
        )
        ball, cylinder = shape.ball, shape.cylinder
        return dataclasses.replace(
            shape,
            facets=tuple(facets),
            ball=None if ball is None else (self.matrix @ ball[0], ball[1]),
            cylinder=None if cylinder is None else (self.matrix @ cylinder[0], cylinder[1]),
            parts=tuple(map(self.shape, shape.parts)),
        )


@dataclass(frozen=True, eq=False)
class Spelling:
    """A relation in the one spelling of its kind, and the way back to the one asked for.

    Attributes
    ----------
    relation : OrientationRelationship
    a, b : Turn
        Operations of both crystals, both proper or both not, that lead from the relation asked
        for to this one.
    """

    relation: OrientationRelationship
    a: Turn
    b: Turn

    def placement(self, asked: Placement) -> Placement:
        """Return a placement of the relation asked for, as it is in this spelling."""
        turn, about = self.a.matrix, self.a.step
        normal = turn @ asked.normal
        return dataclasses.replace(
            asked,
            matrix=turn @ asked.matrix @ self.b.matrix.T,
            shift=turn @ asked.shift + about - turn @ asked.matrix @ self.b.matrix.T @ self.b.step,
            normal=normal,
            level=asked.level + float(about @ normal),
            stretch=turn @ asked.stretch @ turn.T,
            anchor=turn @ asked.anchor + about,
        )

    def back(self, particle: Particle) -> Particle:
        """Return a particle that was built in this spelling, as it was asked for."""
        turn = self.a.matrix.T
        domains = []
        for k, domain in enumerate(particle.domains):
            own = self.a if k == 0 else self.b
            bent = np.eye(3) + domain.strain
            domains.append(
                Domain(
                    domain.name,
                    domain.crystal,
                    turn @ domain.orientation @ own.matrix,
                    turn @ domain.strain @ turn.T,
                    turn @ (domain.origin + bent @ domain.orientation @ own.step),
                    domain.shape,
                )
            )
        return particle.replace(positions=particle.positions @ turn.T, domains=tuple(domains))


def spelled(relation: OrientationRelationship) -> Spelling:
    """Return the one spelling of all relations that are equivalent to this one.

    It has the largest indices in dictionary order: plane of A, plane of B, then the rotation.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> from heterodot.epitaxy import search
    >>> found = search(crystal("CsPbBr3_cubic"), crystal("PbS"), max_index=1)
    >>> spelled(found.find((0, -1, 0), (0, 0, 1))).relation.plane_a
    (1, 0, 0)
    """
    ops_a, proper_a = given_operations(relation.crystal_a)
    ops_b, proper_b = given_operations(relation.crystal_b)
    planes_a = [coprime(np.array(relation.plane_a) @ np.linalg.inv(op)) for op in ops_a]
    plane_a = max(planes_a)
    hands = {bool(proper_a[i]) for i, plane in enumerate(planes_a) if plane == plane_a}
    planes_b = [
        coprime(np.array(relation.plane_b) @ np.linalg.inv(op))
        for op, proper in zip(ops_b, proper_b, strict=True)
        if bool(proper) in hands
    ]
    rotations, rows_a, rows_b = carrying(relation, plane_a, max(planes_b))
    flat = np.round(rotations.reshape(len(rotations), 9), 4) + 0.0
    top = max(map(tuple, flat.tolist()))
    alike = [k for k, row in enumerate(flat.tolist()) if tuple(row) == top]
    named = [(k, respelled(relation, int(rows_a[k]), int(rows_b[k]))) for k in alike]
    k, chosen = max(named, key=lambda pair: _order(pair[1]))
    return Spelling(
        chosen,
        _operation(relation.crystal_a, int(rows_a[k])),
        _operation(relation.crystal_b, int(rows_b[k])),
    )


def _order(relation: OrientationRelationship) -> tuple[object, ...]:
    return (
        relation.direction_a,
        relation.direction_b,
        tuple((np.round(relation.mesh_a, 4) + 0.0).ravel().tolist()),
        tuple((np.round(relation.mesh_b, 4) + 0.0).ravel().tolist()),
    )


def _operation(crystal: Crystal, row: int) -> Turn:
    """Return the operation of a row of `given_operations`, with its translation."""
    matrix = lattice_of(crystal).cartesian[row]
    indices = given_operations(crystal)[0][row]
    u, _, vh = np.linalg.svd(matrix)
    matrix = u @ vh
    kinds, counts = np.unique(crystal.numbers, return_counts=True)
    rarest = np.flatnonzero(crystal.numbers == kinds[np.argmin(counts)])
    images = crystal.positions @ matrix.T
    for k in rarest:
        step = crystal.positions[k] - images[rarest[0]]
        try:
            crystal.match_positions(images + step, crystal.numbers)
        except InputError:
            continue
        return Turn(np.asarray(matrix), np.asarray(indices, dtype=float), step)
    raise InputError(
        f"the symmetry of {crystal.name} does not map its atoms onto one another",
        place="crystal",
        remedy="symmetrize the structure",
    )
