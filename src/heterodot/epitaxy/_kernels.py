"""Numerical kernels of the orientation search: plain arrays in and out."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def _gcd(a, b):  # type: ignore[no-untyped-def]
    a, b = abs(a), abs(b)
    while b:
        a, b = b, a % b
    return a


def _lattice_vectors(
    mesh: NDArray[np.float64], longest: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return indices and lengths of all mesh vectors up to a length, shortest first."""
    cross = abs(mesh[0, 0] * mesh[1, 1] - mesh[0, 1] * mesh[1, 0])
    n0 = int(longest * math.hypot(mesh[1, 0], mesh[1, 1]) / cross) + 1
    n1 = int(longest * math.hypot(mesh[0, 0], mesh[0, 1]) / cross) + 1
    first, second = np.meshgrid(np.arange(-n0, n0 + 1), np.arange(-n1, n1 + 1), indexing="ij")
    indices = np.column_stack([first.ravel(), second.ravel()])
    lengths = np.sqrt(((indices @ mesh) ** 2).sum(axis=1))
    keep = (lengths > 0) & (lengths <= longest)
    indices, lengths = indices[keep], lengths[keep]
    order = np.argsort(lengths, kind="stable")
    return np.ascontiguousarray(indices[order]), np.ascontiguousarray(lengths[order])


def coincidences(
    mesh_a: NDArray[np.float64], mesh_b: NDArray[np.float64], max_area: float, limit: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find every primitive coincidence cell of two plane lattices within area and strain.

    For each sublattice of A (all of them, by Hermite normal form, each with its reduced basis)
    every pair of vectors of B with matching lengths is tried; a pair is kept when the cell of B
    has an area within the limit, both principal stretches s of B onto A obey |ln s| <= limit, and
    the pair of cells is primitive: the 2 x 4 integer matrix of both cells is saturated (the 2 x 2
    minors are coprime), so no smaller cell is common to both.

    Parameters
    ----------
    mesh_a, mesh_b : (2, 2) array
        Reduced right-handed meshes, rows, Å.
    max_area : float
        Å², on either side.
    limit : float
        Largest |ln(stretch)|.

    Returns
    -------
    cells : (n, 8) int array
        cell_a and cell_b, row by row.
    measures : (n, 4) array
        Angle that turns B onto A (radians), the two ln(stretch) (larger first), area on A (Å²).
    """
    # the second vector of a reduced cell of area S along a first vector u has |v|^2 <= S^2/u^2+u^2/4
    shortest = math.hypot(mesh_a[0, 0], mesh_a[0, 1])
    longest = math.sqrt((max_area / shortest) ** 2 + shortest**2 / 4.0)
    longest = max(longest, math.sqrt(2.0 / math.sqrt(3.0) * max_area))
    indices, lengths = _lattice_vectors(mesh_b, longest * math.exp(limit) * 1.0001)
    cells, measures = _coincidences(mesh_a, mesh_b, max_area, limit, indices, lengths)
    return cells, measures


@njit(cache=True)
def _coincidences(  # type: ignore[no-untyped-def]
    mesh_a, mesh_b, max_area, limit, indices, lengths
):
    area_a = abs(mesh_a[0, 0] * mesh_a[1, 1] - mesh_a[0, 1] * mesh_a[1, 0])
    area_b = abs(mesh_b[0, 0] * mesh_b[1, 1] - mesh_b[0, 1] * mesh_b[1, 0])
    most = int(max_area / area_a + 1e-9)
    factor = math.exp(limit)
    cells = np.empty((256, 8), np.int64)
    measures = np.empty((256, 4))
    count = 0
    tiny = 1e-9
    for n in range(1, most + 1):
        for p in range(1, n + 1):
            if n % p:
                continue
            q = n // p
            for s in range(q):
                # rows (p, s) and (0, q)
                a00, a01, a10, a11 = p, s, 0, q
                ux = a00 * mesh_a[0, 0] + a01 * mesh_a[1, 0]
                uy = a00 * mesh_a[0, 1] + a01 * mesh_a[1, 1]
                vx = a10 * mesh_a[0, 0] + a11 * mesh_a[1, 0]
                vy = a10 * mesh_a[0, 1] + a11 * mesh_a[1, 1]
                while True:  # Lagrange reduction
                    uu = ux * ux + uy * uy
                    vv = vx * vx + vy * vy
                    if uu > vv * (1.0 + 1e-9):
                        a00, a01, a10, a11 = a10, a11, a00, a01
                        ux, uy, vx, vy = vx, vy, ux, uy
                        uu = vv
                    times = math.floor((ux * vx + uy * vy) / uu + 0.5 - 1e-9)
                    if times == 0:
                        break
                    k = int(times)
                    a10 -= k * a00
                    a11 -= k * a01
                    vx -= k * ux
                    vy -= k * uy
                if a00 * a11 - a01 * a10 < 0:
                    a10, a11, vx, vy = -a10, -a11, -vx, -vy
                u = math.sqrt(ux * ux + uy * uy)
                v = math.sqrt(vx * vx + vy * vy)
                area = n * area_a
                first_u = np.searchsorted(lengths, u / factor * (1 - tiny))
                last_u = np.searchsorted(lengths, u * factor * (1 + tiny))
                first_v = np.searchsorted(lengths, v / factor * (1 - tiny))
                last_v = np.searchsorted(lengths, v * factor * (1 + tiny))
                for i in range(first_u, last_u):
                    b00, b01 = indices[i, 0], indices[i, 1]
                    wx = b00 * mesh_b[0, 0] + b01 * mesh_b[1, 0]
                    wy = b00 * mesh_b[0, 1] + b01 * mesh_b[1, 1]
                    for j in range(first_v, last_v):
                        b10, b11 = indices[j, 0], indices[j, 1]
                        det_b = b00 * b11 - b01 * b10
                        if det_b <= 0 or det_b * area_b > max_area * (1 + tiny):
                            continue
                        g = _gcd(n, det_b)
                        if g > 1:
                            g = _gcd(g, a00 * b10 - b00 * a10)
                        if g > 1:
                            g = _gcd(g, a00 * b11 - b01 * a10)
                        if g > 1:
                            g = _gcd(g, a01 * b10 - b00 * a11)
                        if g > 1:
                            g = _gcd(g, a01 * b11 - b01 * a11)
                        if g > 1:
                            continue
                        xx = b10 * mesh_b[0, 0] + b11 * mesh_b[1, 0]
                        xy = b10 * mesh_b[0, 1] + b11 * mesh_b[1, 1]
                        # F with F w = u and F x = v
                        det = wx * xy - wy * xx
                        f00 = (ux * xy - vx * wy) / det
                        f01 = (vx * wx - ux * xx) / det
                        f10 = (uy * xy - vy * wy) / det
                        f11 = (vy * wx - uy * xx) / det
                        # singular values and polar angle of a 2 x 2 matrix in closed form
                        plus = math.hypot(f00 + f11, f10 - f01)
                        minus = math.hypot(f00 - f11, f10 + f01)
                        large = 0.5 * (plus + minus)
                        small = 0.5 * (plus - minus)
                        if small <= 0:
                            continue
                        e1 = math.log(large)
                        e2 = math.log(small)
                        if e1 > limit + tiny or e2 < -limit - tiny:
                            continue
                        if count == len(cells):
                            more = np.empty((2 * count, 8), np.int64)
                            more[:count] = cells
                            cells = more
                            wider = np.empty((2 * count, 4))
                            wider[:count] = measures
                            measures = wider
                        cells[count, 0] = a00
                        cells[count, 1] = a01
                        cells[count, 2] = a10
                        cells[count, 3] = a11
                        cells[count, 4] = b00
                        cells[count, 5] = b01
                        cells[count, 6] = b10
                        cells[count, 7] = b11
                        measures[count, 0] = math.atan2(f10 - f01, f00 + f11)
                        measures[count, 1] = e1
                        measures[count, 2] = e2
                        measures[count, 3] = area
                        count += 1
    return cells[:count], measures[:count]


@njit(cache=True)
def _translations(cell):  # type: ignore[no-untyped-def]
    """Return one mesh translation of each class modulo a cell, (n, 2) int."""
    n = abs(cell[0, 0] * cell[1, 1] - cell[0, 1] * cell[1, 0])
    g = _gcd(cell[0, 0], cell[1, 0])
    rows = n // g
    result = np.empty((n, 2), np.int64)
    count = 0
    for i in range(g):
        for j in range(rows):
            result[count, 0] = i
            result[count, 1] = j
            count += 1
    return result


@njit(cache=True)
def _slab(flat, heights, signs, drift, spacing, cell, centre, reach):  # type: ignore[no-untyped-def]
    """Return coincidence-cell fractions, height over ``centre`` and sign of all ions near it."""
    moves = _translations(cell)
    det = cell[0, 0] * cell[1, 1] - cell[0, 1] * cell[1, 0]
    i00, i01 = cell[1, 1] / det, -cell[0, 1] / det
    i10, i11 = -cell[1, 0] / det, cell[0, 0] / det
    total = 0
    for k in range(len(heights)):
        z = heights[k] - centre
        low = math.ceil((-reach - z) / spacing)
        high = math.floor((reach - z) / spacing)
        total += max(0, high - low + 1)
    points = np.empty((total * len(moves), 3))
    sign = np.empty(total * len(moves), np.int64)
    count = 0
    for k in range(len(heights)):
        z = heights[k] - centre
        low = math.ceil((-reach - z) / spacing)
        high = math.floor((reach - z) / spacing)
        for layer in range(low, high + 1):
            for t in range(len(moves)):
                x = flat[k, 0] + layer * drift[0] + moves[t, 0]
                y = flat[k, 1] + layer * drift[1] + moves[t, 1]
                points[count, 0] = x * i00 + y * i10
                points[count, 1] = x * i01 + y * i11
                points[count, 2] = z + layer * spacing
                sign[count] = signs[k]
                count += 1
    return points, sign


@njit(cache=True)
def continuity(  # type: ignore[no-untyped-def]
    flat_a, heights_a, signs_a, drift_a, spacing_a,
    flat_b, heights_b, signs_b, drift_b, spacing_b,
    cell_a, cell_b, metric, pairs, depth, softness,
):  # fmt: skip
    """Return the best (all-ion registry, cation registry, site of A, site of B) over ``pairs``."""
    reach = 2.0 * depth
    best = np.zeros(4)
    best[0] = -1.0
    cut = (3.0 * softness) ** 2
    det_a = cell_a[0, 0] * cell_a[1, 1] - cell_a[0, 1] * cell_a[1, 0]
    det_b = cell_b[0, 0] * cell_b[1, 1] - cell_b[0, 1] * cell_b[1, 0]
    for c in range(len(pairs)):
        i, j = pairs[c, 0], pairs[c, 1]
        points_a, sign_a = _slab(
            flat_a, heights_a, signs_a, drift_a, spacing_a, cell_a, heights_a[i], reach
        )
        points_b, sign_b = _slab(
            flat_b, heights_b, signs_b, drift_b, spacing_b, cell_b, heights_b[j], reach
        )
        ax, ay = flat_a[i, 0], flat_a[i, 1]
        bx, by = flat_b[j, 0], flat_b[j, 1]
        sx = (ax * cell_a[1, 1] - ay * cell_a[1, 0]) / det_a - (
            bx * cell_b[1, 1] - by * cell_b[1, 0]
        ) / det_b
        sy = (ay * cell_a[0, 0] - ax * cell_a[0, 1]) / det_a - (
            by * cell_b[0, 0] - bx * cell_b[0, 1]
        ) / det_b
        total = 0.0
        cations_a = 0.0
        cations_b = 0.0
        weight_a = np.empty(len(points_a))
        weight_b = np.empty(len(points_b))
        for p in range(len(points_a)):
            weight_a[p] = math.exp(-0.5 * (points_a[p, 2] / depth) ** 2)
            total += weight_a[p]
            if sign_a[p] >= 0:
                cations_a += weight_a[p]
        for q in range(len(points_b)):
            weight_b[q] = math.exp(-0.5 * (points_b[q, 2] / depth) ** 2)
            total += weight_b[q]
            if sign_b[q] >= 0:
                cations_b += weight_b[q]
        matched = 0.0
        matched_cations = 0.0
        for p in range(len(points_a)):
            for q in range(len(points_b)):
                if sign_a[p] * sign_b[q] < 0:  # an unknown sign goes with any
                    continue
                dz = points_a[p, 2] - points_b[q, 2]
                if dz * dz > cut:
                    continue
                dx = points_a[p, 0] - points_b[q, 0] - sx
                dy = points_a[p, 1] - points_b[q, 1] - sy
                dx -= round(dx)
                dy -= round(dy)
                x = dx * metric[0, 0] + dy * metric[1, 0]
                y = dx * metric[0, 1] + dy * metric[1, 1]
                d2 = x * x + y * y + dz * dz
                if d2 > cut:
                    continue
                gain = math.sqrt(weight_a[p] * weight_b[q]) * math.exp(
                    -0.5 * d2 / (softness * softness)
                )
                matched += gain
                if sign_a[p] >= 0:
                    matched_cations += gain
        score = 2.0 * matched / total
        if score > best[0] + 1e-9:
            best[0] = score
            best[1] = matched_cations / min(cations_a, cations_b)
            best[2] = i
            best[3] = j
    return best
