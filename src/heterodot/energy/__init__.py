"""Energies of atoms with formal charges: built-in ionic potential, relaxation, adaptors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

_HOMES = {
    "IonicPotential": "heterodot.energy.potential",
    "fit_potential": "heterodot.energy.ionic",
    "elastic_constants": "heterodot.energy.ionic",
    "Relaxation": "heterodot.energy.relaxation",
    "relax": "heterodot.energy.relaxation",
}

if TYPE_CHECKING:
    from heterodot.energy.ionic import elastic_constants, fit_potential
    from heterodot.energy.potential import IonicPotential
    from heterodot.energy.relaxation import Relaxation, relax

__all__ = ["IonicPotential", "Relaxation", "elastic_constants", "fit_potential", "relax"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'heterodot.energy' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
