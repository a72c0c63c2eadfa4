"""Finite two-domain crystals: carve, join, complete, neutralize, exchange, passivate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heterodot.particle.particle import Domain, Particle

if TYPE_CHECKING:
    from heterodot.particle.assembly import build
    from heterodot.particle.checks import report
    from heterodot.particle.etching import etch
    from heterodot.particle.ligands import passivate
    from heterodot.particle.named import polyhedron, shape, wulff
    from heterodot.particle.shapes import Facet, Shape

_HOMES = {
    "Facet": "heterodot.particle.shapes",
    "Shape": "heterodot.particle.shapes",
    "build": "heterodot.particle.assembly",
    "etch": "heterodot.particle.etching",
    "passivate": "heterodot.particle.ligands",
    "polyhedron": "heterodot.particle.named",
    "report": "heterodot.particle.checks",
    "shape": "heterodot.particle.named",
    "wulff": "heterodot.particle.named",
}

__all__ = [
    "Domain", "Facet", "Particle", "Shape", "build", "etch", "passivate", "polyhedron", "report", "shape", "wulff",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'heterodot.particle' has no attribute '{name}'")
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
