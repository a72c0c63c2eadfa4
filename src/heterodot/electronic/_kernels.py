"""Compiled loops of the envelope-function solver; plain arrays in and out."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def deposit(grid: Array, points: Array, weight: float) -> None:
    """Share ``weight`` of each point among its eight nearest voxels, in place.

    Parameters
    ----------
    grid : (nx, ny, nz) array
        Added to.
    points : (n, 3) array
        In units of voxels, the first center at zero; points outside are left out.
    weight : float
    """
    nx, ny, nz = grid.shape
    for p in range(points.shape[0]):
        i, j, k = np.floor(points[p, 0]), np.floor(points[p, 1]), np.floor(points[p, 2])
        u, v, w = points[p, 0] - i, points[p, 1] - j, points[p, 2] - k
        a, b, c = int(i), int(j), int(k)
        if a < 0 or b < 0 or c < 0 or a + 1 >= nx or b + 1 >= ny or c + 1 >= nz:
            continue
        for da in range(2):
            for db in range(2):
                for dc in range(2):
                    share = (
                        (u if da else 1 - u) * (v if db else 1 - v) * (w if dc else 1 - w) * weight
                    )
                    grid[a + da, b + db, c + dc] += share


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def apply_links(
    vectors: Array, diagonal: Array, links: Array, neighbors: NDArray[np.int32], out: Array
) -> None:
    """Apply a symmetric matrix of a diagonal and six off-diagonal entries a row.

    Parameters
    ----------
    vectors, out : (m, n) arrays
    diagonal : (n,) array
    links : (n, 6) array
        Off-diagonal entries.
    neighbors : (n, 6) int32 array
        Their columns (any valid one where the entry is zero).
    """
    m, n = vectors.shape
    for s in range(m):
        for i in range(n):
            total = diagonal[i] * vectors[s, i]
            for f in range(6):
                total += links[i, f] * vectors[s, neighbors[i, f]]
            out[s, i] = total


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def fill_links(
    heaviness: Array,
    openings: Array,
    neighbors: NDArray[np.int32],
    scale: Array,
    unit: float,
    links: Array,
    flow: Array,
) -> None:
    """Fill the off-diagonal entries of the kinetic energy and what flows out of each voxel.

    Parameters
    ----------
    heaviness : (n,) array
        Effective mass.
    openings : (n, 6) array
        Open fraction of the faces.
    neighbors : (n, 6) int32 array
    scale : (n,) array
        One over the root of the filled fraction.
    unit : float
        hbar²/(2 m_e) over the spacing squared, times two, eV.
    links : (n, 6) array
        Filled.
    flow : (n,) array
        Filled: sum over the faces, eV.
    """
    for i in range(heaviness.shape[0]):
        total = 0.0
        for f in range(6):
            j = neighbors[i, f]
            # two half voxels add like resistances in series
            value = openings[i, f] * unit / (heaviness[i] + heaviness[j])
            links[i, f] = -value * scale[i] * scale[j]
            total += value
        flow[i] = total
