"""Loops over the pixels of a field, compiled; plain arrays in and out."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)  # type: ignore[untyped-decorator]
def distances(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the distance of each pixel of a mask to the nearest one outside, pixels.

    Exact, in two passes of lower envelopes of parabolas (Felzenszwalb and Huttenlocher, Theory
    Comput. 8, 415 (2012)). A mask without outside gets the diagonal of the field.
    """
    ny, nx = mask.shape
    far = float(ny * ny + nx * nx)
    squared = np.empty((ny, nx))
    for x in range(nx):
        gap = ny + nx
        for y in range(ny):
            gap = 0 if not mask[y, x] else gap + 1
            squared[y, x] = gap
        gap = ny + nx
        for y in range(ny - 1, -1, -1):
            gap = 0 if not mask[y, x] else gap + 1
            least = min(float(gap), squared[y, x])
            squared[y, x] = min(least * least, far)
    apex = np.empty(nx, np.int64)
    start = np.empty(nx + 1)
    line = np.empty(nx)
    for y in range(ny):
        line[:] = squared[y]
        k = 0
        apex[0] = 0
        start[0] = -np.inf
        start[1] = np.inf
        for x in range(1, nx):
            while True:
                a = apex[k]
                s = ((line[x] + x * x) - (line[a] + a * a)) / (2.0 * (x - a))
                if s > start[k]:
                    break
                k -= 1
            k += 1
            apex[k] = x
            start[k] = s
            start[k + 1] = np.inf
        k = 0
        for x in range(nx):
            while start[k + 1] < x:
                k += 1
            a = apex[k]
            squared[y, x] = np.sqrt(min(line[a] + (x - a) * (x - a), far))
    return squared


@njit(cache=True)  # type: ignore[untyped-decorator]
def hill_numbers(height: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the hill of each pixel above zero, from 1 in order of first pixels."""
    ny, nx = height.shape
    way = np.empty(ny * nx, np.int64)
    for y in range(ny):
        for x in range(nx):
            best, to = height[y, x], y * nx + x
            if best > 0:
                for i in range(max(y - 1, 0), min(y + 2, ny)):
                    for j in range(max(x - 1, 0), min(x + 2, nx)):
                        if height[i, j] > best:
                            best, to = height[i, j], i * nx + j
            way[y * nx + x] = to
    summit = np.zeros(ny * nx, np.int32)
    found = np.zeros((ny, nx), np.int32)
    count = 0
    for y in range(ny):
        for x in range(nx):
            if height[y, x] <= 0:
                continue
            at = y * nx + x
            end = at
            while way[end] != end:
                end = way[end]
            while way[at] != end:  # the next ones that come this way go straight there
                at, way[at] = way[at], end
            if summit[end] == 0:
                count += 1
                summit[end] = count
            found[y, x] = summit[end]
    return found


@njit(cache=True)  # type: ignore[untyped-decorator]
def largest_of(
    values: NDArray[np.float64], labels: NDArray[np.int32], count: int
) -> NDArray[np.float64]:
    """Return the largest value of each label from 0, (count + 1,); zero at least."""
    found = np.zeros(count + 1)
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            k = labels[y, x]
            if values[y, x] > found[k]:
                found[k] = values[y, x]
    return found


@njit(cache=True)  # type: ignore[untyped-decorator]
def means_of(
    values: NDArray[np.float64],
    labels: NDArray[np.int32],
    part: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the mean of each label's values where ``low < part < high`` of that label, (n,)."""
    count = len(low)
    total = np.zeros(count)
    number = np.zeros(count)
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            k = labels[y, x]
            if k > 0 and low[k] < part[y, x] < high[k]:
                total[k] += values[y, x]
                number[k] += 1
    found = np.full(count, np.nan)
    for k in range(count):
        if number[k] > 0:
            found[k] = total[k] / number[k]
    return found


@njit(cache=True)  # type: ignore[untyped-decorator]
def borders(
    labels: NDArray[np.int32], depth: NDArray[np.float64]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    """Return both labels (lower first) and the lower depth of each pair of pixels that meet."""
    ny, nx = labels.shape
    count = 0
    for y in range(ny):
        for x in range(nx):
            a = labels[y, x]
            if a > 0:
                if x + 1 < nx and labels[y, x + 1] > 0 and labels[y, x + 1] != a:
                    count += 1
                if y + 1 < ny and labels[y + 1, x] > 0 and labels[y + 1, x] != a:
                    count += 1
    first = np.empty(count, np.int32)
    second = np.empty(count, np.int32)
    height = np.empty(count)
    k = 0
    for y in range(ny):
        for x in range(nx):
            a = labels[y, x]
            if a == 0:
                continue
            for dy, dx in ((0, 1), (1, 0)):
                i, j = y + dy, x + dx
                if i < ny and j < nx and labels[i, j] > 0 and labels[i, j] != a:
                    first[k] = min(a, labels[i, j])
                    second[k] = max(a, labels[i, j])
                    height[k] = min(depth[y, x], depth[i, j])
                    k += 1
    return first, second, height


@njit(cache=True)  # type: ignore[untyped-decorator]
def grown_labels(labels: NDArray[np.int32], reach: float) -> NDArray[np.int32]:
    """Return labels that reach so many pixels further, each new pixel to the nearest label."""
    ny, nx = labels.shape
    r = int(np.ceil(reach))
    found = labels.copy()
    nearest = np.full((ny, nx), reach * reach + 1e-9)
    for y in range(ny):
        for x in range(nx):
            k = labels[y, x]
            if k == 0:
                continue
            inner = True
            for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                i, j = y + dy, x + dx
                if 0 <= i < ny and 0 <= j < nx and labels[i, j] == 0:
                    inner = False
            if inner:
                continue
            for i in range(max(y - r, 0), min(y + r + 1, ny)):
                for j in range(max(x - r, 0), min(x + r + 1, nx)):
                    if labels[i, j] != 0:
                        continue
                    gap = float((i - y) ** 2 + (j - x) ** 2)
                    if gap < nearest[i, j]:
                        nearest[i, j] = gap
                        found[i, j] = k
    return found


@njit(cache=True)  # type: ignore[untyped-decorator]
def rectangle_distances(
    points: NDArray[np.float64], p: NDArray[np.float64], slope: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return signed distances from a rectangle's outline, (k,), and their slopes, (k, 5).

    ``p`` is center x and y, angle, length and width; ``slope`` is overwritten.
    """
    c, s = np.cos(p[2]), np.sin(p[2])
    rest = np.empty(len(points))
    for k in range(len(points)):
        dx, dy = points[k, 0] - p[0], points[k, 1] - p[1]
        along, across = c * dx + s * dy, c * dy - s * dx
        u, v = abs(along) - p[3] / 2, abs(across) - p[4] / 2
        # weights of the two sides in the distance
        if u > 0 and v > 0:
            length = np.hypot(u, v)
            a, b = u / length, v / length
            rest[k] = length
        elif u > v:
            a, b = 1.0, 0.0
            rest[k] = u
        else:
            a, b = 0.0, 1.0
            rest[k] = v
        a1 = a * (1.0 if along >= 0 else -1.0)
        b1 = b * (1.0 if across >= 0 else -1.0)
        slope[k, 0] = -a1 * c + b1 * s
        slope[k, 1] = -a1 * s - b1 * c
        slope[k, 2] = a1 * across - b1 * along
        slope[k, 3] = -a / 2
        slope[k, 4] = -b / 2
    return rest


@njit(cache=True)  # type: ignore[untyped-decorator]
def fit_rectangle(
    points: NDArray[np.float64], start: NDArray[np.float64], steps: int, scale: float
) -> tuple[NDArray[np.float64], float]:
    """Return the rectangle nearest to points and its cost (soft l1 of residuals by ``scale``).

    Levenberg's damped steps on reweighted least squares.
    """
    p = start.copy()
    slope = np.empty((len(points), 5))
    rest = rectangle_distances(points, p, slope)
    cost = np.sum(np.sqrt(1 + (rest / scale) ** 2) - 1)
    damping = 1e-3
    for _ in range(steps):
        weight = 1 / np.sqrt(1 + (rest / scale) ** 2)
        matrix = slope.T @ (slope * weight.reshape(-1, 1))
        right = -(slope.T @ (rest * weight))
        gain = 0.0
        for _ in range(8):
            damped = matrix.copy()
            for i in range(5):
                damped[i, i] += damping * (matrix[i, i] + 1e-9)
            step = np.linalg.solve(damped, right)
            trial = p + step
            new_slope = np.empty_like(slope)
            new_rest = rectangle_distances(points, trial, new_slope)
            new_cost = np.sum(np.sqrt(1 + (new_rest / scale) ** 2) - 1)
            if new_cost < cost and trial[3] > 1.0 and trial[4] > 1.0:
                gain = cost - new_cost
                p, rest, slope, cost = trial, new_rest, new_slope, new_cost
                damping = max(damping / 5, 1e-9)
                break
            damping *= 6
        if gain <= 1e-9 * cost + 1e-12:
            break
    return p, cost


@njit(cache=True)  # type: ignore[untyped-decorator]
def fit_blurred_rectangle(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    values: NDArray[np.float64],
    start: NDArray[np.float64],
    blur: float,
    steps: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return parameters (6,), the inverse of the normal matrix and the sum of squares.

    Parameters are center x and y, angle, both sides, height; the model is the product of two
    blurred boxes.
    """
    p = start.copy()
    cost, matrix, right = _blurred_normal(x, y, values, p, blur)
    damping = 1e-3
    for _ in range(steps):
        gain = 0.0
        for _ in range(8):
            damped = matrix.copy()
            for i in range(6):
                damped[i, i] += damping * matrix[i, i] + 1e-12
            trial = p + np.linalg.solve(damped, right)
            if trial[3] > 0.5 and trial[4] > 0.5:
                new_cost, new_matrix, new_right = _blurred_normal(x, y, values, trial, blur)
                if new_cost < cost:
                    gain = cost - new_cost
                    p, cost, matrix, right = trial, new_cost, new_matrix, new_right
                    damping = max(damping / 5, 1e-9)
                    break
            damping *= 6
        if gain <= 1e-7 * cost:
            break
    for i in range(6):
        matrix[i, i] += 1e-12
    return p, np.linalg.inv(matrix), cost


@njit(cache=True)  # type: ignore[untyped-decorator]
def _blurred_normal(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    values: NDArray[np.float64],
    p: NDArray[np.float64],
    blur: float,
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum of squares, the normal matrix (6, 6) and its right side (6,)."""
    c, s = np.cos(p[2]), np.sin(p[2])
    root = 1 / (math.sqrt(2.0) * blur)
    peak = root / math.sqrt(math.pi)  # of half the slope of erf(root t)
    matrix = np.zeros((6, 6))
    right = np.zeros(6)
    slope = np.empty(6)
    cost = 0.0
    for k in range(len(x)):
        dx, dy = x[k] - p[0], y[k] - p[1]
        u, v = c * dx + s * dy, c * dy - s * dx
        u1, u2 = u + p[3] / 2, u - p[3] / 2
        v1, v2 = v + p[4] / 2, v - p[4] / 2
        fu = 0.5 * (math.erf(root * u1) - math.erf(root * u2))
        fv = 0.5 * (math.erf(root * v1) - math.erf(root * v2))
        gu1, gu2 = peak * math.exp(-((root * u1) ** 2)), peak * math.exp(-((root * u2) ** 2))
        gv1, gv2 = peak * math.exp(-((root * v1) ** 2)), peak * math.exp(-((root * v2) ** 2))
        du, dv = p[5] * fv * (gu1 - gu2), p[5] * fu * (gv1 - gv2)
        slope[0] = -c * du + s * dv
        slope[1] = -s * du - c * dv
        slope[2] = v * du - u * dv
        slope[3] = p[5] * fv * (gu1 + gu2) / 2
        slope[4] = p[5] * fu * (gv1 + gv2) / 2
        slope[5] = fu * fv
        rest = values[k] - p[5] * fu * fv
        cost += rest * rest
        for i in range(6):
            right[i] += slope[i] * rest
            for j in range(i + 1):
                matrix[i, j] += slope[i] * slope[j]
    for i in range(6):
        for j in range(i):
            matrix[j, i] = matrix[i, j]
    return cost, matrix, right
