"""Isosurfaces against solid geometry: area, volume, closedness."""

from __future__ import annotations

import numpy as np
import pytest

from heterodot.report.isosurface import isosurface


def ball(n: int, radius: float) -> tuple[np.ndarray, float, np.ndarray]:
    x = np.linspace(-2, 2, n)
    field = radius - np.sqrt(x[:, None, None] ** 2 + x[None, :, None] ** 2 + x[None, None, :] ** 2)
    return field, x[1] - x[0], np.full(3, -2.0)


def measure(vertices: np.ndarray, faces: np.ndarray) -> tuple[float, float]:
    a, b, c = (vertices[faces[:, k]].astype(float) for k in range(3))
    normal = np.cross(b - a, c - a)
    return float(np.linalg.norm(normal, axis=1).sum() / 2), float((a * normal).sum() / 6)


@pytest.mark.parametrize("radius", [0.7, 1.5])
def test_sphere(radius: float) -> None:
    field, spacing, origin = ball(61, radius)
    vertices, faces = isosurface(field, 0.0, spacing, origin)
    area, volume = measure(vertices, faces)
    assert area == pytest.approx(4 * np.pi * radius**2, rel=0.01)
    # outward normals make the enclosed volume positive
    assert volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.01)


def test_closed_surface_has_every_edge_twice() -> None:
    field, spacing, origin = ball(25, 1.2)
    rng = np.random.default_rng(1)
    _, faces = isosurface(field + rng.normal(0, 0.02, field.shape), 0.0, spacing, origin)
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    _, counts = np.unique(edges, axis=0, return_counts=True)
    assert set(counts) == {2}


def test_no_surface_is_no_triangles() -> None:
    vertices, faces = isosurface(np.zeros((4, 4, 4)), 1.0, 1.0, np.zeros(3))
    assert vertices.shape == (0, 3)
    assert faces.shape == (0, 3)
