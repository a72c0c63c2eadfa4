"""Coincidence cells of two surface meshes, and the rotations that symmetry keeps apart.

A match is a rational map of one plane lattice on the other within limits of strain and area
(Zur and McGill, J. Appl. Phys. 55, 378 (1984), made complete by enumerating all sublattices);
matches whose rotations agree under the symmetry of both planes are one orientation relationship.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.epitaxy.elasticity import ENERGY_UNIT, elastic_estimate
from heterodot.epitaxy.planes import SurfaceMesh


@dataclass(frozen=True, eq=False)
class Match:
    """One rotation of two planes with the coincidence cells that realize it, the best first.

    Attributes
    ----------
    angle : float
        In-plane turn from B's frame to A's, radians.
    cells : (n, 8) int array
        ``cell_a`` and ``cell_b`` row by row; those equivalent to the best one, for choosing names.
    stretches : (2,) array
        ln of the principal stretches of B onto A, larger first.
    area : float
        Of the coincidence cell on A, Å².
    cost : float
        Geometric misfit figure by which the representative was chosen.
    others : int
        Further coincidence cells within the limits at (nearly) the same rotation.
    angles : (n,) array
        The turn of each of ``cells``.
    """

    angle: float
    cells: NDArray[np.int64]
    stretches: NDArray[np.float64]
    area: float
    cost: float
    others: int
    angles: NDArray[np.float64]


def misfit_cost(
    stretches: NDArray[np.float64], density: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the geometric figure of merit of coincidence cells, lower is better.

    The elastic energy of a typical layer, in the unit of the score, plus the share of lattice
    points that do not coincide, which stands for registry and bonding. It chooses among cells of
    one rotation only.

    Parameters
    ----------
    stretches : (n, 2) array
        ln of the principal stretches.
    density : (n,) array
        Fraction of lattice points of both meshes that coincide, 0 to 1.
    """
    return np.asarray(elastic_estimate(stretches) / ENERGY_UNIT + (1.0 - density))


def matches(
    a: SurfaceMesh,
    b: SurfaceMesh,
    *,
    max_area: float,
    max_strain: float,
    same_angle: float = math.radians(1.0),
    handed: bool = False,
) -> list[Match]:
    """Return the distinct rotations at which two planes have a coincidence cell.

    Parameters
    ----------
    a, b : SurfaceMesh
    max_area : float
        Largest coincidence cell on either side, Å².
    max_strain : float
        Largest principal strain of either side onto the other.
    same_angle : float
        Rotations closer than this (radians) are one; the cell of lowest cost stands for them.
    handed : bool
        Keep mirror images apart (they have the same energy and the same planes and directions).
    """
    from heterodot.epitaxy._kernels import coincidences

    cells, measures = coincidences(a.flat, b.flat, max_area, math.log1p(max_strain))
    if len(cells) == 0:
        return []
    det_a = np.abs(cells[:, 0] * cells[:, 3] - cells[:, 1] * cells[:, 2])
    det_b = np.abs(cells[:, 4] * cells[:, 7] - cells[:, 5] * cells[:, 6])
    cost = misfit_cost(measures[:, 1:3], 1.0 / np.sqrt(det_a * det_b))
    period = _period(a, b)
    folded = measures[:, 0] % period
    mirror = None
    if not handed and len(a.mirrors) and len(b.mirrors):
        mirror = 2.0 * (a.mirrors[0] - b.mirrors[0])
        folded = np.minimum(folded, (mirror - measures[:, 0]) % period)
    # round before sorting: equivalent cells must not be ordered by floating-point noise
    order = np.lexsort((np.round(folded, 7), np.round(measures[:, 3], 4), np.round(cost, 7)))
    found: list[Match] = []
    free = np.ones(len(cells), dtype=bool)
    for i in order:
        if not free[i]:
            continue
        distance = _apart(measures[:, 0], measures[i, 0], period)
        if mirror is not None:
            distance = np.minimum(distance, _apart(mirror - measures[:, 0], measures[i, 0], period))
        near = free & (distance < max(same_angle, 1e-7))
        same = near & (distance < 1e-6) & (np.abs(cost - cost[i]) < 1e-6)
        found.append(
            Match(
                float(measures[i, 0]),
                cells[same],
                measures[i, 1:3],
                float(measures[i, 3]),
                float(cost[i]),
                int(near.sum() - same.sum()),
                measures[same, 0],
            )
        )
        free &= ~near
    return found


def _period(a: SurfaceMesh, b: SurfaceMesh) -> float:
    """Smallest turn that the rotations of both planes make together, radians."""
    return 2.0 * math.pi / math.lcm(len(a.turns), len(b.turns))


def _apart(angles: NDArray[np.float64], angle: float, period: float) -> NDArray[np.float64]:
    delta = (angles - angle) % period
    return np.minimum(delta, period - delta)
