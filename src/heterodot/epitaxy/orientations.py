"""The orientation search: every way in which two crystals fit, each once, best first."""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.epitaxy.coincidence import Match, matches
from heterodot.epitaxy.elasticity import elastic_estimate
from heterodot.epitaxy.layers import Side
from heterodot.epitaxy.limits import check_bulk, check_effort, check_limits, nearest_beyond
from heterodot.epitaxy.planes import (
    Lattice,
    SurfaceMesh,
    coprime,
    distinct_planes,
    lattice_of,
    surface_mesh,
)
from heterodot.epitaxy.ranking import (
    bound_charges,
    least_imbalance,
    numbered,
    score_of,
)
from heterodot.epitaxy.registry import primitive_sites, registry, stacking
from heterodot.epitaxy.relationship import Indices, OrientationRelationship
from heterodot.errors import NotFoundError
from heterodot.progress import Progress, silent


@dataclass(frozen=True, eq=False)
class Search:
    """All orientation relationships of two crystals within limits, best first.

    Attributes
    ----------
    crystal_a, crystal_b : Crystal
    max_index : int
        Largest Miller index in the conventional cell of each crystal.
    max_area : float
        Largest coincidence cell, Å².
    max_strain : float
        Largest principal strain.
    matches : tuple of OrientationRelationship
        Ranked; ``rank`` counts from 1.
    plane_pairs : int
        Pairs of planes that were compared.
    matched_pairs : int
        Pairs of planes with at least one match.
    cells : int
        Distinct coincidence cells within the limits before rotations were merged.
    same_angle : float
        Rotations closer than this are one relation, degrees.
    evaluated : int
        How many of the best have energies (see `heterodot.epitaxy.rank`).
    notes : tuple of str
        What the reader should know.
    """

    crystal_a: Crystal
    crystal_b: Crystal
    max_index: int
    max_area: float
    max_strain: float
    matches: tuple[OrientationRelationship, ...]
    plane_pairs: int
    matched_pairs: int
    cells: int
    same_angle: float = 1.0
    evaluated: int = 0
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.matches)

    def __getitem__(self, index: int) -> OrientationRelationship:
        return self.matches[index]

    def find(
        self,
        plane_a: Indices,
        plane_b: Indices,
        direction_a: Indices | None = None,
        direction_b: Indices | None = None,
        *,
        tolerance: float = 2.0,
    ) -> OrientationRelationship:
        """Return a relation in the indices asked for, up to the symmetry of both crystals.

        Parameters
        ----------
        plane_a, plane_b : three ints
            In the cells of the crystals as given; common factors do not matter.
        direction_a, direction_b : three ints, optional
            In-plane directions that are parallel. Where left out, the best match of the planes.
        tolerance : float
            How far the directions may be from parallel, degrees.

        Raises
        ------
        NotFoundError
            No match of these planes, or none with these directions.
        InputError
            A direction does not lie in its plane.
        """
        from heterodot.epitaxy.equivalence import express

        return express(self, plane_a, plane_b, direction_a, direction_b, tolerance)

    def to_json(self) -> dict[str, Any]:
        """Return limits, counts and matches as plain data."""
        return {
            "a": _named(self.crystal_a),
            "b": _named(self.crystal_b),
            "limits": {
                "max_index": self.max_index,
                "max_area": self.max_area,
                "max_strain": self.max_strain,
                "same_angle": self.same_angle,
            },
            "plane_pairs": self.plane_pairs,
            "matched_pairs": self.matched_pairs,
            "coincidence_cells": self.cells,
            "evaluated": self.evaluated,
            "notes": list(self.notes),
            "matches": [relation.to_json() for relation in self.matches],
        }


def _named(crystal: Crystal) -> dict[str, Any]:
    return {
        "name": crystal.name,
        "formula": crystal.formula,
        "space_group": crystal.symmetry.international,
        "cellpar": list(crystal.cellpar),
        "source": crystal.source,
        "method": crystal.method,
    }


def search(
    crystal_a: Crystal,
    crystal_b: Crystal,
    *,
    max_index: int = 2,
    max_area: float = 400.0,
    max_strain: float = 0.03,
    same_angle: float = 1.0,
    handed: bool = False,
    force: bool = False,
    progress: Progress = silent,
) -> Search:
    """Return every orientation relationship of two crystals within limits, each once, ranked.

    All pairs of planes that symmetry keeps apart are compared on their primitive meshes; a match
    is a coincidence cell within the limits; matches whose rotation agrees under the operations of
    both crystals (proper ones, or improper ones of both together) are one relation.

    Parameters
    ----------
    crystal_a, crystal_b : Crystal
        A lies below the interface, B above.
    max_index : int
        Largest Miller index, in the conventional cell of each crystal.
    max_area : float
        Largest coincidence cell on either side, Å².
    max_strain : float
        Largest principal strain of either side onto the other.
    same_angle : float
        Rotations closer than this about the same planes are one, degrees.
    handed : bool
        List mirror images as relations of their own.
    force : bool
        Search even if that would take longer than ``LONGEST``.
    progress : Progress

    Raises
    ------
    InputError
        Limits without meaning or too wide (the estimate is in the message), a molecule or layer
        in a box instead of a crystal.
    NotFoundError
        Nothing within the limits; the message says which limit to loosen and by how much.

    References
    ----------
    Zur and McGill, J. Appl. Phys. 55, 378 (1984).

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> found = search(crystal("CsPbBr3_cubic"), crystal("PbS"), max_index=1)
    >>> found.matches[0].label
    '(1 0 0)CsPbBr3 ‖ (1 0 0)PbS, [0 1 0]CsPbBr3 ‖ [0 1 0]PbS'
    """
    check_limits(max_index, max_area, max_strain)
    for crystal in (crystal_a, crystal_b):
        check_bulk(crystal)
    if not force:
        check_effort(crystal_a, crystal_b, max_index, max_area)
    meshes_a = [surface_mesh(crystal_a, p) for p in distinct_planes(crystal_a, max_index)]
    meshes_b = [surface_mesh(crystal_b, p) for p in distinct_planes(crystal_b, max_index)]
    sites_a, sites_b = primitive_sites(crystal_a), primitive_sites(crystal_b)
    stacks_a = [stacking(sites_a, mesh) for mesh in meshes_a]
    stacks_b = [stacking(sites_b, mesh) for mesh in meshes_b]
    found: list[OrientationRelationship] = []
    pairs = cells = 0
    charges_a, charges_b = (
        [bound_charges(Side(c, sites, mesh, stack, _ONE)) for mesh, stack in zip(m, s, strict=True)]
        for c, sites, m, s in (
            (crystal_a, sites_a, meshes_a, stacks_a),
            (crystal_b, sites_b, meshes_b, stacks_b),
        )
    )
    for i, (mesh_a, stack_a, bound_a) in enumerate(zip(meshes_a, stacks_a, charges_a, strict=True)):
        progress("comparing planes", i / len(meshes_a))
        for mesh_b, stack_b, bound_b in zip(meshes_b, stacks_b, charges_b, strict=True):
            here = matches(
                mesh_a,
                mesh_b,
                max_area=max_area,
                max_strain=max_strain,
                same_angle=math.radians(same_angle),
                handed=handed,
            )
            pairs += bool(here)
            for match in here:
                cells += len(match.cells) + match.others
                relation, chosen = _relation(crystal_a, crystal_b, mesh_a, mesh_b, match)
                ions, cations, *_ = registry(
                    stack_a, stack_b, sites_a, sites_b, mesh_a, mesh_b,
                    match.cells[chosen, :4].reshape(2, 2), match.cells[chosen, 4:].reshape(2, 2),
                )  # fmt: skip
                counts = relation.cell_a, relation.cell_b
                lost = [abs(c[0, 0] * c[1, 1] - c[0, 1] * c[1, 0]) for c in counts]
                parts = {
                    "registry": ions,
                    "bonding": 0.0,
                    "elastic": float(elastic_estimate(match.stretches)),
                    "imbalance": least_imbalance(bound_a, bound_b),
                    "density": 1.0 / math.sqrt(lost[0] * lost[1]),
                    "cation_registry": cations,
                    "alternatives": float(match.others),
                }
                found.append(dataclasses.replace(relation, score=score_of(parts), parts=parts))
    if not found:
        raise NotFoundError(
            f"no coincidence cell of {crystal_a.formula} and {crystal_b.formula} within "
            f"{max_area:g} Å² and {100 * max_strain:g} % up to index {max_index}",
            remedy=nearest_beyond(meshes_a, meshes_b, max_area, max_strain),
        )
    ranked = numbered(found)
    progress("comparing planes", 1.0)
    notes = tuple(
        f"no formal charges are known for {c.formula} ({c.name}): ions are compared without their "
        "sign, and charge and energy are left out of the score"
        for c in (crystal_a, crystal_b)
        if c.charges is None
    )
    return Search(
        crystal_a,
        crystal_b,
        max_index,
        max_area,
        max_strain,
        ranked,
        len(meshes_a) * len(meshes_b),
        pairs,
        cells,
        same_angle,
        notes=notes,
    )


def _relation(
    crystal_a: Crystal, crystal_b: Crystal, mesh_a: SurfaceMesh, mesh_b: SurfaceMesh, match: Match
) -> tuple[OrientationRelationship, int]:
    """Return the relation of a match, spelled with the simplest directions, and which cell."""
    lattice_a, lattice_b = lattice_of(crystal_a), lattice_of(crystal_b)
    best: tuple[Any, ...] | None = None
    for n in range(min(len(match.cells), 12)):
        cell_a, cell_b = match.cells[n, :4].reshape(2, 2), match.cells[n, 4:].reshape(2, 2)
        for turn in _TURNS:
            one, two = turn @ cell_a, turn @ cell_b
            names = (
                _direction(lattice_a, mesh_a, one[0]),
                _direction(lattice_b, mesh_b, two[0]),
                _direction(lattice_a, mesh_a, one[1]),
                _direction(lattice_b, mesh_b, two[1]),
            )
            key = (
                sum(abs(x) for name in names[:2] for x in name),
                sum(x < 0 for name in names for x in name),
                tuple(-x for name in names for x in name),
            )
            if best is None or key < best[0]:
                best = (key, n, names, one, two)
    assert best is not None
    _, n, names, cell_a, cell_b = best
    return _with_cell(crystal_a, crystal_b, mesh_a, mesh_b, cell_a, cell_b, names), n


_ONE = np.eye(2, dtype=np.int64)
_TURNS = tuple(
    np.array(rows, dtype=np.int64)
    for rows in (
        ((1, 0), (0, 1)),
        ((0, 1), (-1, 0)),
        ((-1, 0), (0, -1)),
        ((0, -1), (1, 0)),
    )
)


@functools.lru_cache(maxsize=65536)
def _direction_text(values: tuple[float, ...]) -> Indices:
    return coprime(np.array(values))


def _direction(lattice: Lattice, mesh: SurfaceMesh, vector: NDArray[np.int64]) -> Indices:
    """Return coprime [uvw], in the given cell, of a vector in mesh indices."""
    conventional = vector @ mesh.primitive_indices @ lattice.centering
    return _direction_text(tuple(np.round(lattice.direction_given(conventional), 6)))


def _with_cell(
    crystal_a: Crystal,
    crystal_b: Crystal,
    mesh_a: SurfaceMesh,
    mesh_b: SurfaceMesh,
    cell_a: NDArray[np.int64],
    cell_b: NDArray[np.int64],
    names: tuple[Indices, Indices, Indices, Indices],
) -> OrientationRelationship:
    """Return the relation that lays ``cell_b @ mesh_b`` on ``cell_a @ mesh_a``."""
    lattice_a, lattice_b = lattice_of(crystal_a), lattice_of(crystal_b)
    flat_a, flat_b = cell_a @ mesh_a.flat, cell_b @ mesh_b.flat
    onto = np.linalg.solve(flat_b, flat_a).T
    angle = math.atan2(onto[1, 0] - onto[0, 1], onto[0, 0] + onto[1, 1])
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    strain = onto @ turn.T - np.eye(2)
    lengths_a, lengths_b = np.linalg.norm(flat_a, axis=1), np.linalg.norm(flat_b, axis=1)
    x = flat_a[0] / lengths_a[0]
    axes = np.array([[x[0], x[1]], [-x[1], x[0]]])
    along = axes @ (strain + strain.T) @ axes.T / 2.0
    full = np.eye(3)
    full[:2, :2] = turn
    return OrientationRelationship(
        crystal_a,
        crystal_b,
        lattice_a.plane_given(mesh_a.plane),
        lattice_b.plane_given(mesh_b.plane),
        names[0],
        names[1],
        names[2],
        names[3],
        mesh_a.frame @ full @ mesh_b.frame.T,
        lattice_a.direction_given(mesh_a.primitive_indices @ lattice_a.centering),
        lattice_b.direction_given(mesh_b.primitive_indices @ lattice_b.centering),
        np.array(cell_a),
        np.array(cell_b),
        float(abs(np.linalg.det(flat_a))),
        lengths_b / lengths_a - 1.0,
        along,
        float(np.abs(np.linalg.eigvalsh(along)).max()),
    )
