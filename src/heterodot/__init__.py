"""Heterodot: colloidal nanocrystal heterostructures from orientation search to fits.

The names below are imported when first used, so that ``import heterodot`` stays fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Alignment": "heterodot.electronic",
    "Crystal": "heterodot.crystal",
    "Fit": "heterodot.fitting",
    "HeterodotError": "heterodot.errors",
    "Interface": "heterodot.epitaxy",
    "Levels": "heterodot.electronic",
    "Measurement": "heterodot.measurement",
    "OrientationRelationship": "heterodot.epitaxy",
    "Parameter": "heterodot.fitting",
    "Particle": "heterodot.particle",
    "Study": "heterodot.study",
    "Value": "heterodot.units",
    "crystal": "heterodot.catalog",
    "lookup": "heterodot.catalog",
}

if TYPE_CHECKING:
    from heterodot.catalog import crystal, lookup
    from heterodot.crystal import Crystal
    from heterodot.electronic import Alignment, Levels
    from heterodot.epitaxy import Interface, OrientationRelationship
    from heterodot.errors import HeterodotError
    from heterodot.fitting import Fit, Parameter
    from heterodot.measurement import Measurement
    from heterodot.particle import Particle
    from heterodot.study import Study
    from heterodot.units import Value

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'heterodot' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
