"""Which facets a domain shows, measured from its atoms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.particle.particle import Particle
from heterodot.particle.shapes import family

Array = NDArray[np.float64]

FAMILIES = ((1, 0, 0), (1, 1, 0), (1, 1, 1))


def facets(particle: Particle, k: int, *, thickness: float = 1.0) -> list[dict[str, Any]]:
    """Return the low-index facets of a domain, the largest first.

    A facet is the layer of atoms within ``thickness`` (Å) of the outermost one along its normal,
    if its outline encloses at least a twentieth of the largest section of the domain. Facets
    against another domain are included; ``interface`` says which share of their atoms is.

    Returns
    -------
    list of dict
        ``family`` (in cube axes), ``normal`` (particle frame), ``area`` (nm²), ``distance`` from
        the middle of the domain (nm), ``atoms``, ``termination`` (counts), ``interface``.
    """
    domain = particle.domains[k]
    chosen = np.flatnonzero(particle.domain == k)
    if domain.crystal is None or len(chosen) < 12:
        return []
    points = particle.positions[chosen]
    middle = points.mean(0)
    frame = (np.eye(3) + domain.strain) @ domain.orientation
    largest = np.pi / 4 * float(np.prod(np.sort(np.ptp(points, axis=0))[1:]))
    found = []
    for indices in FAMILIES:
        for own, _ in family(domain.crystal, indices):
            normal = frame @ own
            normal = normal / np.linalg.norm(normal)
            height = (points - middle) @ normal
            top = np.flatnonzero(height > height.max() - thickness)
            area = _area(points[top], normal)
            if area < 0.05 * largest:
                continue
            symbols = [particle.symbols[chosen[t]] for t in top]
            counts = {s: symbols.count(s) for s in sorted(set(symbols))}
            found.append(
                {
                    "family": "".join(str(x) for x in indices),
                    "normal": [round(float(x), 4) for x in normal],
                    "area": {"value": area / 100, "error": None, "unit": "nm^2",
                             "error_reason": "outline through atom centers"},
                    "distance": {"value": float(height.max()) / 10, "error": None, "unit": "nm",
                                 "error_reason": "to the outermost atom center"},
                    "atoms": len(top),
                    "termination": counts,
                    "interface": float(np.mean(particle.role[chosen[top]] == "interface")),
                }
            )  # fmt: skip
    found.sort(key=lambda f: -float(f["area"]["value"]))  # type: ignore[index]
    return found


def _area(points: Array, normal: Array) -> float:
    """Area of the convex outline of points seen along a normal, Å²."""
    from scipy.spatial import ConvexHull, QhullError

    if len(points) < 4:
        return 0.0
    side = np.cross(normal, np.eye(3)[np.argmin(np.abs(normal))])
    side /= np.linalg.norm(side)
    flat = np.stack([points @ side, points @ np.cross(normal, side)], axis=1)
    try:
        return float(ConvexHull(flat).volume)
    except QhullError:
        return 0.0
