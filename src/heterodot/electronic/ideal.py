"""Ideal shapes by signed distances: balls, cuboids, core and shell, a cube with a cap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.electronic.shape import MARGIN, POINTS, Shape, body_of, check_resolution, lattice
from heterodot.errors import InputError

Distance = Callable[[Any, Any, Any], Any]


def from_distances(
    distances: Sequence[tuple[str, Distance]],
    low: ArrayLike,
    high: ArrayLike,
    spacing: float | None = None,
    *,
    points: int = POINTS,
) -> Shape:
    """Return the shape of bodies given by signed distances (negative inside).

    Parameters
    ----------
    distances : sequence of (name, function)
        Functions of x, y, z in Å. Where bodies overlap, the later one fills the space.
    low, high : (3,) arrays
        Corners of the box that holds all bodies, Å.
    spacing, points
        As in `rasterize`.
    """
    low = np.asarray(low, dtype=float) - MARGIN
    high = np.asarray(high, dtype=float) + MARGIN
    spacing, counts, origin = lattice(low, high, spacing, points)
    parts = 2 if spacing > 0.6 else 1
    fine = spacing / parts
    axes = [
        origin[k] - (spacing - fine) / 2 + fine * np.arange(parts * counts[k]) for k in range(3)
    ]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    full = tuple(parts * n for n in counts)
    depths = [np.broadcast_to(-np.asarray(f(x, y, z)), full) for _, f in distances]
    depth = np.max(depths, axis=0).astype(np.float32)
    weights = np.zeros((len(distances), *full), dtype=np.float32)
    left = np.ones(full, dtype=np.float32)
    for k in reversed(range(len(distances))):
        mine = np.clip(0.5 + depths[k] / fine, 0, 1) if k else np.ones(full)
        weights[k] = left * mine
        left = left - weights[k]
    shape = body_of(tuple(n for n, _ in distances), depth, weights, spacing, origin, parts)
    check_resolution(shape)
    return shape


def sphere(name: str, diameter: float, spacing: float | None = None, **options: Any) -> Shape:
    """Return a sphere of one material, ``diameter`` in Å."""
    radius = _length(diameter) / 2
    return from_distances([(name, ball(radius))], [-radius] * 3, [radius] * 3, spacing, **options)


def box(name: str, edges: Sequence[float], spacing: float | None = None, **options: Any) -> Shape:
    """Return a cuboid of one material, three ``edges`` in Å."""
    half = np.array([_length(edge) for edge in edges]) / 2
    return from_distances([(name, block(half))], -half, half, spacing, **options)


def core_shell(
    core: str,
    shell: str,
    core_diameter: float,
    diameter: float,
    spacing: float | None = None,
    **options: Any,
) -> Shape:
    """Return a sphere with a concentric core, diameters in Å."""
    inner, outer = _length(core_diameter) / 2, _length(diameter) / 2
    around = without(ball(outer), ball(inner))
    return from_distances(
        [(core, ball(inner)), (shell, around)], [-outer] * 3, [outer] * 3, spacing, **options
    )


def cube_and_cap(
    cube: str,
    cap: str,
    edge: float,
    diameter: float,
    spacing: float | None = None,
    *,
    sunk: float = 0.25,
    **options: Any,
) -> Shape:
    """Return a cube with a truncated sphere on its +x face, the usual mushroom or Janus shape.

    Parameters
    ----------
    cube, cap : str
        Materials.
    edge, diameter : float
        Of the cube and of the sphere, Å.
    sunk : float
        How much of the sphere's diameter is cut off by the face (0.5 makes a hemisphere).
    """
    half, radius = _length(edge) / 2, _length(diameter) / 2
    center = half + radius * (1 - 2 * sunk)
    flat = block(np.full(3, half))
    round_part = without(ball(radius, (center, 0.0, 0.0)), flat)
    wide = max(half, radius)
    return from_distances(
        [(cube, flat), (cap, round_part)],
        [-half, -wide, -wide],
        [max(half, center + radius), wide, wide],
        spacing,
        **options,
    )


def ball(radius: float, center: Sequence[float] = (0.0, 0.0, 0.0)) -> Distance:
    """Return the signed distance to a sphere."""
    cx, cy, cz = center
    return lambda x, y, z: np.sqrt((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2) - radius


def without(body: Distance, hole: Distance) -> Distance:
    """Return the signed distance to what is left of a body without another."""
    return lambda x, y, z: np.maximum(body(x, y, z), -hole(x, y, z))


def block(half: NDArray[np.float64], center: Sequence[float] = (0.0, 0.0, 0.0)) -> Distance:
    """Return the signed distance to a cuboid (largest excess along its axes)."""
    cx, cy, cz = center
    return lambda x, y, z: np.maximum(
        np.maximum(abs(x - cx) - half[0], abs(y - cy) - half[1]), abs(z - cz) - half[2]
    )


def _length(number: float) -> float:
    if not np.isfinite(number) or number <= 0:
        raise InputError(f"{number} Å is not a size", remedy="give a positive length in Å")
    return float(number)
