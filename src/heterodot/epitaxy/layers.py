"""The atomic layers of a crystal parallel to an interface: terminations, charges, site nets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.epitaxy.planes import SurfaceMesh, lattice_of
from heterodot.epitaxy.registry import Sites, Stacking, primitive_sites, stacking
from heterodot.epitaxy.relationship import OrientationRelationship
from heterodot.organic import symbols_shown

RUMPLING = 0.35
"""Ions whose heights differ by less than this (Å) belong to one layer."""


@dataclass(frozen=True, eq=False)
class Side:
    """One crystal of a relation, seen along the interface normal in the relation's axes.

    Attributes
    ----------
    crystal : Crystal
    sites : Sites
        Ions of the primitive cell.
    mesh : SurfaceMesh
        Surface mesh as the relation spells it; ``mesh.frame`` has columns direction_a,
        normal x direction_a, normal, in the crystal's own Cartesian frame.
    stack : Stacking
        Heights and in-plane positions of the ions.
    cell : (2, 2) int array
        Coincidence cell in the mesh.
    """

    crystal: Crystal
    sites: Sites
    mesh: SurfaceMesh
    stack: Stacking
    cell: NDArray[np.int64]

    @property
    def period(self) -> float:
        """Distance of lattice planes along the normal, Å."""
        return self.stack.spacing


def side(relation: OrientationRelationship, which: Literal["a", "b"]) -> Side:
    """Return crystal A or B of a relation as seen from the interface."""
    first = relation.crystal_a.direction(relation.direction_a)
    x = first / np.linalg.norm(first)
    normal = relation.normal
    frame = np.column_stack([x, np.cross(normal, x), normal])
    if which == "a":
        crystal, plane, rows, cell = (
            relation.crystal_a,
            relation.plane_a,
            relation.mesh_a,
            relation.cell_a,
        )
    else:
        crystal, plane, rows, cell = (
            relation.crystal_b,
            relation.plane_b,
            relation.mesh_b,
            relation.cell_b,
        )
        frame = relation.rotation.T @ frame
    lattice = lattice_of(crystal)
    conventional = rows @ np.linalg.inv(lattice.to_given).T
    indices = np.rint(conventional @ np.linalg.inv(lattice.centering)).astype(np.int64)
    vectors = rows @ crystal.cell
    area = float(np.linalg.norm(np.cross(vectors[0], vectors[1])))
    mesh = SurfaceMesh(
        lattice.plane_conventional(plane),
        vectors,
        indices,
        np.ascontiguousarray(vectors @ frame[:, :2]),
        frame,
        area,
        float(abs(np.linalg.det(lattice.primitive)) / area),
        np.zeros(0),
        np.zeros(0),
    )
    sites = primitive_sites(crystal)
    return Side(crystal, sites, mesh, stacking(sites, mesh), np.asarray(cell))


@dataclass(frozen=True, eq=False)
class Layer:
    """One atomic layer parallel to the interface, per primitive surface mesh.

    Attributes
    ----------
    name : str
        Composition, cations first, e.g. ``"PbCl2"``.
    height : float
        Of the plane through its cations (of all ions if it has none), Å, in [0, period).
    members : (n,) int array
        Rows of ``Side.sites``.
    heights : (n,) array
        Of each member near ``height``, Å (unwrapped).
    charge : float
        Formal charge per primitive mesh, e; NaN where charges are not known.
    cations : dict of element to number per mesh
    """

    name: str
    height: float
    members: NDArray[np.int64]
    heights: NDArray[np.float64]
    charge: float
    cations: dict[str, int]


def layers(view: Side) -> list[Layer]:
    """Return the atomic layers of one period along the normal, from the cell origin upwards.

    Ions closer in height than ``RUMPLING`` to their neighbor belong to one layer.
    """
    from ase.data import chemical_symbols

    period = view.period
    heights = view.stack.heights % period
    heights[np.abs(heights - period) < 1e-6] = 0.0
    order = np.argsort(np.round(heights, 6), kind="stable")
    sorted_heights = heights[order]
    gaps = np.diff(np.append(sorted_heights, sorted_heights[0] + period))
    breaks = np.flatnonzero(gaps > RUMPLING)
    if len(breaks) == 0:
        breaks = np.array([int(np.argmax(gaps))])
    start = (breaks[-1] + 1) % len(order)
    rolled = np.roll(order, -start)
    unwrapped = np.roll(sorted_heights, -start)
    unwrapped = np.where(np.arange(len(order)) >= len(order) - start, unwrapped + period, unwrapped)
    if start == 0:
        unwrapped = sorted_heights
    ends = np.flatnonzero(np.diff(unwrapped) > RUMPLING)
    groups = np.split(np.arange(len(order)), ends + 1)
    found = []
    charges = view.crystal.charges
    shown = symbols_shown(view.crystal)
    for group in groups:
        members = rolled[group]
        own = unwrapped[group]
        numbers = view.sites.numbers[members]
        signs = view.sites.signs[members]
        counts: dict[str, int] = {}
        for atom in view.sites.atoms[members]:
            counts[shown[atom]] = counts.get(shown[atom], 0) + 1
        cations = {
            chemical_symbols[n]: int(np.sum((numbers == n) & (signs >= 0)))
            for n in dict.fromkeys(numbers[signs >= 0].tolist())
        }
        height = float(np.mean(own[signs >= 0])) if (signs >= 0).any() else float(np.mean(own))
        whole = np.floor(height / period + 1e-9) * period
        found.append(
            Layer(
                layer_formula(counts),
                height - whole,
                members,
                own - whole,
                float("nan")
                if charges is None
                else float(charges[view.sites.atoms[members]].sum()),
                cations,
            )
        )
    return sorted(found, key=lambda layer: round(layer.height, 6))


def layer_formula(counts: dict[str, int]) -> str:
    """Return the smallest formula of element counts, cations first.

    Examples
    --------
    >>> layer_formula({"Cl": 4, "Pb": 2}), layer_formula({"S": 1})
    ('PbCl2', 'S')
    """
    from heterodot.charges import PAULING

    divisor = int(np.gcd.reduce(list(counts.values())))
    keys = sorted(counts, key=lambda e: (PAULING.get(e, 2.0), e))
    return "".join(k + (str(counts[k] // divisor) if counts[k] > divisor else "") for k in keys)


def net_shape(view: Side, layer: Layer) -> str:
    """Return how the cations of a layer are arranged: square, hexagonal, rectangular, oblique...

    The net is that of the densest cation; ``"none"`` where there is no cation.
    """
    cation = view.sites.signs[layer.members] >= 0
    members = layer.members[cation]
    if len(members) == 0:
        return "none"
    points = (view.stack.flat[members] % 1.0) @ view.mesh.flat
    reach = range(-2, 3)
    images = np.array([(i, j) for i in reach for j in reach], dtype=float) @ view.mesh.flat
    delta = (points[None, :, :] + images[:, None, :] - points[0]).reshape(-1, 2)
    length = np.linalg.norm(delta, axis=1)
    near = np.argsort(np.round(length, 3), kind="stable")
    near = near[length[near] > 0.5]
    shortest = length[near[0]]
    shell = delta[near[length[near] < 1.12 * shortest]]
    angles = np.sort(np.degrees(np.arctan2(shell[:, 1], shell[:, 0])) % 360.0)
    steps = np.diff(np.append(angles, angles[0] + 360.0))
    if len(shell) == 4 and np.allclose(steps, 90.0, atol=8.0):
        return "square"
    if len(shell) == 6 and np.allclose(steps, 60.0, atol=8.0):
        return "hexagonal"
    if len(shell) == 3 and np.allclose(steps, 120.0, atol=8.0):
        return "honeycomb"
    first = delta[near[0]]
    across = [d for d in delta[near] if abs(np.cross(first, d)) > 0.2 * shortest**2]
    if across and abs(first @ across[0]) < 0.1 * shortest * float(np.linalg.norm(across[0])):
        return "rectangular"
    return "oblique"
