"""Triangles of a surface of equal value on a regular grid, by marching tetrahedra.

Each cell is cut into six tetrahedra that share its diagonal (Doi and Koide, IEICE Trans. E74, 214
(1991)); the surface is closed inside the grid and has no ambiguous cases.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# corners of a cell, and the six tetrahedra around the diagonal 0-7
_CORNERS = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
_TETRAHEDRA = np.array(
    [[0, 1, 3, 7], [0, 3, 2, 7], [0, 2, 6, 7], [0, 6, 4, 7], [0, 4, 5, 7], [0, 5, 1, 7]]
)


def isosurface(
    values: NDArray[Any], level: float, spacing: float, origin: NDArray[Any]
) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
    """Return vertices and triangles of the surface where ``values`` equals ``level``.

    Parameters
    ----------
    values : (nx, ny, nz) array
    level : float
    spacing : float
        Edge of a voxel, Å.
    origin : (3,) array
        Position of the first grid point, Å.

    Returns
    -------
    vertices : (n, 3) float32 array
        Å.
    triangles : (m, 3) uint32 array
        Rows of vertex indices, wound so that normals point to lower values.

    Examples
    --------
    >>> x = np.linspace(-2, 2, 41)
    >>> r = np.sqrt(x[:, None, None]**2 + x[None, :, None]**2 + x[None, None, :]**2)
    >>> v, f = isosurface(-r, -1.5, 0.1, np.array([-2.0, -2.0, -2.0]))
    >>> bool(abs(np.linalg.norm(v, axis=1) - 1.5).max() < 0.01)
    True
    """
    field = np.asarray(values, dtype=np.float64)
    above = field > level
    corner_above = [
        above[
            c[0] : above.shape[0] - 1 + c[0],
            c[1] : above.shape[1] - 1 + c[1],
            c[2] : above.shape[2] - 1 + c[2],
        ]
        for c in _CORNERS
    ]
    total = np.sum(corner_above, axis=0, dtype=np.int8)
    cells = np.argwhere((total > 0) & (total < 8))
    if len(cells) == 0:
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint32)
    shape = np.array(field.shape)
    strides = np.array([shape[1] * shape[2], shape[2], 1])
    ids = (cells[:, None] + _CORNERS) @ strides  # (cells, 8) grid points
    tetrahedra = ids[:, _TETRAHEDRA].reshape(-1, 4)
    heights = field.ravel()[tetrahedra]
    inside = heights > level
    count = inside.sum(axis=1)
    edges: list[NDArray[np.int64]] = []  # (triangles, 3, 2) pairs of grid points
    for n in (1, 3):
        chosen = tetrahedra[count == n]
        flags = inside[count == n] if n == 1 else ~inside[count == n]
        lone = np.argmax(flags, axis=1)
        apex = chosen[np.arange(len(chosen)), lone]
        others = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])[lone]
        base = np.take_along_axis(chosen, others, axis=1)
        edges.append(np.stack([np.repeat(apex[:, None], 3, 1), base], axis=2))
    chosen = tetrahedra[count == 2]
    order = np.argsort(~inside[count == 2], axis=1, kind="stable")
    a, b, c, d = np.take_along_axis(chosen, order, axis=1).T
    for corner in (((a, c), (a, d), (b, d)), ((a, c), (b, d), (b, c))):
        edges.append(np.stack([np.stack(pair, axis=1) for pair in corner], axis=1))
    pairs = np.sort(np.concatenate(edges).reshape(-1, 2), axis=1)
    unique, index = np.unique(pairs, axis=0, return_inverse=True)
    low, high = field.ravel()[unique[:, 0]], field.ravel()[unique[:, 1]]
    share = (level - low) / (high - low)
    points = [np.stack(np.unravel_index(unique[:, k], field.shape), axis=1) for k in (0, 1)]
    grid = np.asarray(points[0] + share[:, None] * (points[1] - points[0]), dtype=float)
    triangles = index.reshape(-1, 3)
    return _wound(field, grid, triangles, spacing, np.asarray(origin, dtype=float))


def _wound(
    field: NDArray[np.float64],
    grid: NDArray[np.float64],
    triangles: NDArray[np.int64],
    spacing: float,
    origin: NDArray[np.float64],
) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
    """Turn triangles so that their normals point downhill; drop those without area."""
    from scipy.ndimage import map_coordinates

    corners = grid[triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normal, axis=1)
    keep = length > 1e-12
    triangles, normal, length = triangles[keep], normal[keep], length[keep]
    middle = grid[triangles].mean(axis=1)
    step = 0.25 * normal / length[:, None]
    ahead = map_coordinates(field, (middle + step).T, order=1, mode="nearest")
    behind = map_coordinates(field, (middle - step).T, order=1, mode="nearest")
    wrong = ahead > behind
    triangles[wrong] = triangles[wrong][:, [0, 2, 1]]
    return (grid * spacing + origin).astype(np.float32), triangles.astype(np.uint32)
