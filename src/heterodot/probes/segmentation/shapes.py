"""Circles, rectangles and blurred rectangles fitted to outlines and images of single particles."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    Image = NDArray[np.float64]

STEPS = 40
SCALE = 0.5  # pixels beyond which a point of an outline counts less (soft l1)


def circle(points: Image) -> tuple[tuple[float, float], float, Image]:
    """Return center, radius and residuals (k,) of the circle through points, (k, 2).

    Gauss-Newton steps on reweighted distances, from the algebraic circle.
    """
    start = points.mean(0)
    design = np.column_stack([2 * (points - start), np.ones(len(points))])
    a = np.linalg.lstsq(design, ((points - start) ** 2).sum(1), rcond=None)[0]
    p = np.array([*(a[:2] + start), math.sqrt(max(a[2] + a[0] ** 2 + a[1] ** 2, 1.0))])
    rest = np.zeros(len(points))
    for _ in range(STEPS):
        away = points - p[:2]
        far = np.maximum(np.hypot(away[:, 0], away[:, 1]), 1e-9)
        rest = far - p[2]
        weight = 1 / np.sqrt(1 + (rest / SCALE) ** 2)
        slope = np.column_stack([-away / far[:, None], -np.ones(len(points))])
        left = slope.T @ (slope * weight[:, None]) + 1e-9 * np.eye(3)
        step = np.linalg.solve(left, -slope.T @ (rest * weight))
        p = p + step
        if np.abs(step).max() < 1e-7:
            break
    return (float(p[0]), float(p[1])), float(p[2]), rest


def rectangle(
    points: Image, center: tuple[float, float], axis: Image, sides: tuple[float, float] | float
) -> tuple[tuple[float, float], tuple[float, float], Image]:
    """Return center, both sides and residuals of the rectangle nearest to points, (k, 2).

    Parameters
    ----------
    points : (k, 2) array
        Of the outline, x and y.
    center : tuple of float
        Where to start.
    axis : (2,) array
        Direction of the first side to start with; others are tried, since the least squares of a
        rectangle have local minima. The first start is kept if it lies on the points.
    sides : float or two floats
        To start with.

    Returns
    -------
    tuple, tuple, (k,) array
    """
    from heterodot.probes.segmentation._kernels import fit_rectangle, rectangle_distances

    points = np.ascontiguousarray(points, dtype=float)
    a, b = (sides, sides) if isinstance(sides, int | float) else sides
    first = math.atan2(axis[1], axis[0])
    best, least = np.zeros(5), math.inf
    turns = [0.0, math.pi / 4, math.pi / 8, 3 * math.pi / 8]
    for turn in turns:
        start = np.array([center[0], center[1], first + turn, a, b])
        found, cost = fit_rectangle(points, start, STEPS, SCALE)
        if cost < least:
            best, least = found, cost
        if least < 0.12 * len(points):  # residuals of 0.25 pixel: no other start does better
            break
    rest = rectangle_distances(points, best, np.empty((len(points), 5)))
    center_ = (float(best[0]), float(best[1]))
    return center_, (abs(float(best[3])), abs(float(best[4]))), rest


def blurred_rectangle(
    values: Image, free: NDArray[np.bool_], start: Image, blur: float
) -> tuple[Image, Image, float]:
    """Return the blurred rectangle that is nearest to an image, its errors and its misfit.

    The only way to size what is hardly wider than the blur, where half the height is not yet
    reached at the outline.

    Parameters
    ----------
    values : (n, m) array
        Contrast.
    free : (n, m) bool array
        Pixels to be fitted.
    start : (6,) array
        Center x and y, angle, longer side, shorter side, height.
    blur : float
        Standard deviation, pixels.

    Returns
    -------
    (6,) array, (6,) array, float
        Parameters; standard errors for residuals correlated over the blur; root mean square of
        the residuals by the height.
    """
    from heterodot.probes.segmentation._kernels import fit_blurred_rectangle

    y, x = np.nonzero(free)
    found, covariance, cost = fit_blurred_rectangle(
        x.astype(float), y.astype(float), values[free], np.asarray(start, dtype=float), blur, STEPS
    )
    spare = max(len(x) - 6, 1)
    # filtered noise repeats itself over 4 pi blur^2 pixels
    variance = cost / spare * max(4 * math.pi * blur**2, 1.0)
    errors = np.sqrt(np.maximum(np.diag(covariance), 0) * variance)
    return found, errors, math.sqrt(cost / spare) / max(abs(float(found[5])), 1e-12)
