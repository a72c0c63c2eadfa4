"""The rigid shift and gap at which cations of an interface find most of their neighbors.

Where the cation nets of two crystals do not lie on one another site by site (three cells of one on
four of the other), no single shift is right for all ions. The shift and gap are then chosen by
trying them: a round patch of the interface is joined by the rules of `heterodot.particle.join` at
each of a grid of shifts, and the one that leaves the cations best coordinated is kept. This is a
geometric choice to start from; energies (`heterodot relax`) have the last word.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.epitaxy import OrientationRelationship
from heterodot.particle.crystallite import Crystallite, bonds, carve
from heterodot.particle.ions import BOND, radii
from heterodot.particle.join import couple, resolve
from heterodot.particle.placement import Placement, lattice_step
from heterodot.particle.shapes import Facet, Shape

Array = NDArray[np.float64]

RADIUS = 13.0
DEPTH = 9.0
INNER = 8.0
GRID = (4, 3)
GAPS = (0.0, 0.7, 1.4)

_KEPT: dict[tuple[object, ...], Array] = {}


def refine(
    relation: OrientationRelationship,
    placement: Placement,
    capping: tuple[int, float] | None,
) -> Placement:
    """Return the placement shifted to where cations of the interface are best coordinated.

    Parameters
    ----------
    placement : Placement
        Start; returned as it is if nothing on the grid is better.
    capping : (atomic number, charge), optional
        Halide that may complete coordination.
    """
    key = (
        relation.label,
        relation.rotation.tobytes(),
        relation.crystal_a.cell.tobytes(),
        relation.crystal_b.cell.tobytes(),
        placement.shift.tobytes(),
        placement.matrix.tobytes(),
        capping,
    )
    if key not in _KEPT:
        _KEPT[key] = _search(relation, placement, capping)
    return _shifted(placement, _KEPT[key])


def _search(
    relation: OrientationRelationship,
    placement: Placement,
    capping: tuple[int, float] | None,
) -> Array:
    mesh = (relation.mesh_b @ relation.crystal_b.cell) @ placement.matrix.T
    normal = placement.normal
    best, best_score = np.zeros(3), -np.inf
    for gap in GAPS:
        for i in range(GRID[0]):
            for j in range(GRID[1]):
                step = mesh[0] * i / GRID[0] + mesh[1] * j / GRID[1] + gap * normal
                found = score(relation, _shifted(placement, step), capping)
                if found > best_score + 1e-9:
                    best, best_score = step, found
    return np.asarray(best, dtype=float)


def _shifted(placement: Placement, step: Array) -> Placement:
    import dataclasses

    return dataclasses.replace(placement, shift=placement.shift + step)


def score(
    relation: OrientationRelationship,
    placement: Placement,
    capping: tuple[int, float] | None,
) -> float:
    """Return how well the cations of a patch of interface are coordinated.

    It is the mean over the cations that bond across, away from the rim of the patch, of the
    share of their neighbors that they have (surplus counts against), plus a tenth of the
    share of cations that both crystals have in common.
    """
    a, b = patch(relation.crystal_a, relation.crystal_b, placement)
    made = resolve(a, b, capping)
    couple([a, b])
    shares: list[float] = []
    for block in (a, b):
        flat = block.filled()
        charge = block.charges(flat)
        offset = block.positions(flat) - placement.anchor
        lateral = offset - np.outer(offset @ placement.normal, placement.normal)
        pick = (charge > 1.5) & (np.linalg.norm(lateral, axis=1) < INNER) & (block.cross[flat] > 0)
        shares += _shares([a, b], block, flat[pick])
    if len(shares) < 3:
        return -1.0
    return float(np.mean(shares) + 0.1 * min(made["shared"] / max(len(shares), 1), 1.0))


def patch(
    crystal_a: Crystal, crystal_b: Crystal, placement: Placement
) -> tuple[Crystallite, Crystallite]:
    """Return round slabs of both crystals that meet at the anchor of a placement."""
    normal = placement.normal
    inverse = np.linalg.inv(placement.matrix)
    height = placement.level - float(placement.anchor @ normal)
    center = placement.anchor + height * normal
    slab_a = Shape(
        "patch",
        (Facet(normal, 0.3), Facet(-normal, DEPTH)),
        cylinder=(normal, RADIUS),
    )
    up = normal @ placement.matrix
    up = up / np.linalg.norm(up)
    # B's own layers stand where its shift puts them: its plane is looked for from the anchor up
    slab_b = Shape("patch", (Facet(up, DEPTH), Facet(-up, 0.3)), cylinder=(up, RADIUS))
    center_b = inverse @ (center + placement.gap * normal - placement.shift)
    a = carve(crystal_a, slab_a, center)
    b = carve(crystal_b, slab_b, center_b, rotation=placement.matrix, shift=placement.shift)
    return a, b


def _shares(blocks: list[Crystallite], block: Crystallite, flat: NDArray[np.int64]) -> list[float]:
    from scipy.spatial import cKDTree

    points = np.concatenate([k.positions(k.filled()) for k in blocks])
    charges = np.concatenate([k.charges(k.filled()) for k in blocks])
    sizes = np.concatenate(
        [radii(k.flat[k.filled()].astype(np.int64), k.charges(k.filled())) for k in blocks]
    )
    if len(flat) == 0:
        return []
    own = block.positions(flat)
    size = radii(block.flat[flat].astype(np.int64), block.charges(flat))
    tree = cKDTree(points)
    full = bonds(block.crystal).coordination[block.site(flat)]
    found = []
    for point, radius, wanted in zip(own, size, full, strict=True):
        near = np.array(tree.query_ball_point(point, 5.0))
        d = np.linalg.norm(points[near] - point, axis=1)
        n = int(((charges[near] < 0) & (d < BOND * (radius + sizes[near]))).sum())
        found.append(1.0 - abs(n - wanted) / wanted - (0.2 if n != wanted else 0.0))
    return found


def period(crystal: Crystal, normal: Array) -> float:
    """Return the distance of lattice planes along a normal, Å."""
    return float(lattice_step(crystal, normal) @ normal)
