"""How well the ions of two crystals lie on one another across an interface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.epitaxy.planes import SurfaceMesh, euclid, lattice_of
from heterodot.organic import sites_of

# Widths of the two Gaussian weights: half the length of a bond between cation and anion along the
# normal, and the displacement at which an ion no longer sits where the other crystal wants it.
DEPTH = 1.45
SOFTNESS = 0.45


@dataclass(frozen=True, eq=False)
class Sites:
    """Ions of a primitive cell: positions, sign of charge, element.

    Attributes
    ----------
    crystal : Crystal
        Whose sites they are.
    fractional : (n, 3) array
        In the primitive basis of `planes.Lattice`.
    atoms : (n,) int array
        Index of each in the crystal as given.
    signs : (n,) int array
        +1 cation, -1 anion, 0 unknown.
    numbers : (n,) int array
        Atomic numbers.
    """

    crystal: Crystal
    fractional: NDArray[np.float64]
    atoms: NDArray[np.int64]
    signs: NDArray[np.int64]
    numbers: NDArray[np.int64]


def primitive_sites(crystal: Crystal) -> Sites:
    """Return the ions of the primitive cell of a crystal; a molecule is one ion."""
    lattice = lattice_of(crystal)
    inverse = np.linalg.inv(lattice.primitive)
    own = sites_of(crystal)
    fractional = crystal.positions[own] @ inverse
    fractional -= np.floor(fractional + 1e-6)
    kept: list[int] = []
    for i, point in enumerate(fractional):
        delta = fractional[kept] - point
        delta -= np.round(delta)
        if not len(kept) or (np.linalg.norm(delta @ lattice.primitive, axis=1) > 0.1).all():
            kept.append(i)
    index = own[np.array(kept)]
    charges = crystal.charges if crystal.charges is not None else np.zeros(len(crystal))
    return Sites(
        crystal,
        fractional[np.array(kept)],
        index,
        np.sign(charges[index]).astype(np.int64),
        np.asarray(crystal.numbers[index]),
    )


@dataclass(frozen=True, eq=False)
class Stacking:
    """The ions of a crystal as seen along the normal of a plane.

    Attributes
    ----------
    flat : (n, 2) array
        In-plane position of each ion of the primitive cell, in mesh fractions.
    heights : (n,) array
        Along the normal from the cell origin, Å.
    drift : (2,) array
        In-plane offset from one lattice plane to the next, mesh fractions.
    spacing : float
        Distance of lattice planes, Å.
    step : (3,) int array
        The lattice vector from one plane to the next, primitive indices.
    """

    flat: NDArray[np.float64]
    heights: NDArray[np.float64]
    drift: NDArray[np.float64]
    spacing: float
    step: NDArray[np.int64]


def stacking(sites: Sites, mesh: SurfaceMesh) -> Stacking:
    """Return the ions of a crystal as seen along a plane's normal."""
    lattice = lattice_of(sites.crystal)
    step = _out_of_plane(mesh)
    inverse = np.linalg.inv(mesh.flat)
    along = step @ lattice.primitive @ mesh.frame
    if along[2] < 0:  # a mesh may be spelled left-handed
        step, along = -step, -along
    own = sites.fractional @ lattice.primitive @ mesh.frame
    return Stacking(
        np.ascontiguousarray(own[:, :2] @ inverse),
        np.ascontiguousarray(own[:, 2]),
        np.ascontiguousarray(along[:2] @ inverse),
        float(along[2]),
        step,
    )


def _out_of_plane(mesh: SurfaceMesh) -> NDArray[np.int64]:
    """Return a primitive vector that completes the mesh to a basis of the lattice, upwards."""
    u, v = (mesh.primitive_indices[k] for k in range(2))
    h, k, m = (int(x) for x in np.cross(u, v))
    g, s, t = euclid(h, k)
    one, p, q = euclid(g, m)
    if one != 1:
        raise AssertionError("the surface mesh is not primitive")
    return np.array([p * s, p * t, q], dtype=np.int64)


def registry(
    stack_a: Stacking,
    stack_b: Stacking,
    sites_a: Sites,
    sites_b: Sites,
    mesh_a: SurfaceMesh,
    mesh_b: SurfaceMesh,
    cell_a: NDArray[np.int64],
    cell_b: NDArray[np.int64],
) -> tuple[float, float, int, int]:
    """Return how far the ions of both crystals continue one another, over the best rigid shift.

    Every pair of cations, one of each crystal, is laid on one another in turn; the ions of both
    crystals near that height are then compared sign by sign in the coincidence cell (halfway
    between those of A and B, so that exchanging the crystals changes nothing). Both an ion's distance from the interface and its distance from its counterpart count
    with a Gaussian weight.

    Returns
    -------
    all_ions : float
        2 x matched / all ions of both crystals at the interface, 0 to 1.
    cations : float
        Fraction of the cations of the crystal that has fewer of them that are matched.
    site_a, site_b : int
        Rows of the two cations that are laid on one another.
    """
    from heterodot.epitaxy._kernels import continuity

    candidates = [
        (i, j)
        for i in np.flatnonzero(sites_a.signs >= 0)
        for j in np.flatnonzero(sites_b.signs >= 0)
    ]
    pairs = np.array(candidates, dtype=np.int64)
    found = continuity(
        stack_a.flat, stack_a.heights, sites_a.signs, stack_a.drift, stack_a.spacing,
        stack_b.flat, stack_b.heights, sites_b.signs, stack_b.drift, stack_b.spacing,
        cell_a, cell_b, mean_cell(cell_a @ mesh_a.flat, cell_b @ mesh_b.flat), pairs,
        DEPTH, SOFTNESS,
    )  # fmt: skip
    return float(found[0]), float(found[1]), int(found[2]), int(found[3])


def mean_cell(flat_a: NDArray[np.float64], flat_b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cell halfway between A's and B's, with B's turned onto A's, rows, (2, 2) Å."""
    onto = np.linalg.solve(flat_b, flat_a).T
    angle = np.arctan2(onto[1, 0] - onto[0, 1], onto[0, 0] + onto[1, 1])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.ascontiguousarray(0.5 * (flat_a + flat_b @ turn.T))
