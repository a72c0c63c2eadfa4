"""Zone axes, reflections and rotations of a crystal that a pattern of spots can see."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heterodot.probes.em.preview import scattering

if TYPE_CHECKING:
    from heterodot.crystal import Crystal

Array = NDArray[np.float64]
Indices = tuple[int, int, int]


def zone_axes(crystal: Crystal, max_index: int = 4) -> list[Indices]:
    """Return coprime [uvw] up to an index, one of each symmetry-equivalent set, simplest first."""
    span = range(-max_index, max_index + 1)
    every: list[Indices] = [
        (u, v, w) for u in span for v in span for w in span if math.gcd(u, v, w) == 1
    ]
    every.sort(key=lambda u: (sum(i * i for i in u), [-i for i in u]))
    inverse = np.linalg.inv(crystal.cell)
    seen: set[Indices] = set()
    kept = []
    for u in every:
        if u in seen:
            continue
        kept.append(u)
        images = crystal.point_operations @ crystal.direction(u) @ inverse
        for image in (*np.rint(images).astype(int), *np.rint(-images).astype(int)):
            seen.add((int(image[0]), int(image[1]), int(image[2])))
    return kept


def laue_rotations(crystal: Crystal) -> Array:
    """Return the proper rotations of the Laue group, (n, 3, 3): what spots can see of symmetry."""
    operations = crystal.point_operations
    turned = operations * np.linalg.det(operations)[:, None, None]
    _, first = np.unique(np.round(turned, 6), axis=0, return_index=True)
    return np.asarray(turned[np.sort(first)])


def reflections(crystal: Crystal, g_max: float) -> tuple[NDArray[np.int64], Array]:
    """Return allowed hkl up to g_max (1/Å), (n, 3), and |F| relative to the largest, kinematic."""
    top = np.ceil(g_max * np.linalg.norm(crystal.cell, axis=1)).astype(int)
    axes = [np.arange(-t, t + 1) for t in top]
    hkl = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    q = np.linalg.norm(hkl @ crystal.reciprocal, axis=1)
    hkl = hkl[(q > 0) & (q <= g_max)]
    q2 = np.sum((hkl @ crystal.reciprocal) ** 2, axis=1)
    factor = np.zeros(len(hkl), dtype=complex)
    for number in np.unique(crystal.numbers):
        sites = crystal.scaled[crystal.numbers == number]
        # B = 1 Å², as for most of these crystals at room temperature; only ranks reflections
        f = scattering(int(number), q2) * np.exp(-q2 / 4)
        factor += f * np.exp(2j * np.pi * hkl @ sites.T).sum(axis=1)
    strength = np.abs(factor) / max(float(np.abs(factor).max(initial=0.0)), 1e-30)
    return hkl[strength > 0.02], strength[strength > 0.02]


def frame_of(crystal: Crystal, zone: Indices) -> Array:
    """Return rows x, y, z of an image frame whose z is the zone axis."""
    z = crystal.direction(zone)
    z = z / np.linalg.norm(z)
    x = np.eye(3)[int(np.argmin(np.abs(z)))]
    x = x - (x @ z) * z
    x /= np.linalg.norm(x)
    return np.array([x, np.cross(z, x), z])


def sure_strength(crystal: Crystal, hkl: NDArray[np.int64]) -> Array:
    """Return the least of the amplitudes that potential and Z-contrast give reflections, (n,).

    Each is relative to its largest. What is strong in both should be seen in any image.
    """
    q2 = np.sum((hkl @ crystal.reciprocal) ** 2, axis=1)
    both = []
    for contrast in (False, True):
        factor = np.zeros(len(hkl), dtype=complex)
        for number in np.unique(crystal.numbers):
            sites = crystal.scaled[crystal.numbers == number]
            f = number**1.7 if contrast else scattering(int(number), q2)
            factor += f * np.exp(-q2 / 4) * np.exp(2j * np.pi * hkl @ sites.T).sum(axis=1)
        both.append(np.abs(factor) / max(float(np.abs(factor).max(initial=0.0)), 1e-30))
    return np.asarray(np.minimum(*both))
