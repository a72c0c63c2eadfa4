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
def apply_operator(psi: Array, stiff: Array, potential: Array, out: Array) -> None:
    """Apply ``-div(stiff grad psi) + potential psi`` with zero beyond the box.

    Parameters
    ----------
    psi, out : (m, nx, ny, nz) arrays
    stiff : (3, nx + 1, ny + 1, nz + 1) array
        Face coefficient over spacing squared; ``stiff[0, i]`` lies between voxels i - 1 and i.
    potential : (nx, ny, nz) array
    """
    m, nx, ny, nz = psi.shape
    for s in range(m):
        for i in range(nx):
            for j in range(ny):
                for k in range(nz):
                    here = psi[s, i, j, k]
                    west = stiff[0, i, j, k]
                    east = stiff[0, i + 1, j, k]
                    south = stiff[1, i, j, k]
                    north = stiff[1, i, j + 1, k]
                    down = stiff[2, i, j, k]
                    up = stiff[2, i, j, k + 1]
                    total = (potential[i, j, k] + west + east + south + north + down + up) * here
                    if i > 0:
                        total -= west * psi[s, i - 1, j, k]
                    if i < nx - 1:
                        total -= east * psi[s, i + 1, j, k]
                    if j > 0:
                        total -= south * psi[s, i, j - 1, k]
                    if j < ny - 1:
                        total -= north * psi[s, i, j + 1, k]
                    if k > 0:
                        total -= down * psi[s, i, j, k - 1]
                    if k < nz - 1:
                        total -= up * psi[s, i, j, k + 1]
                    out[s, i, j, k] = total
