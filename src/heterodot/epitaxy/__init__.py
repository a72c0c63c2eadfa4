"""Which planes and directions of two crystals fit, how well, and which atoms meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heterodot.epitaxy.relationship import Interface, OrientationRelationship

if TYPE_CHECKING:
    from heterodot.epitaxy.description import describe
    from heterodot.epitaxy.equivalence import equivalent, inverse
    from heterodot.epitaxy.meeting import interfaces
    from heterodot.epitaxy.orientations import Search, search
    from heterodot.epitaxy.ranking import rank, ranked
    from heterodot.epitaxy.slabs import adhesion, bicrystal, coordination
    from heterodot.epitaxy.whole import WholeRelation, whole_crystal

_HOMES = {
    "Search": "heterodot.epitaxy.orientations",
    "adhesion": "heterodot.epitaxy.slabs",
    "bicrystal": "heterodot.epitaxy.slabs",
    "coordination": "heterodot.epitaxy.slabs",
    "equivalent": "heterodot.epitaxy.equivalence",
    "inverse": "heterodot.epitaxy.equivalence",
    "interfaces": "heterodot.epitaxy.meeting",
    "rank": "heterodot.epitaxy.ranking",
    "ranked": "heterodot.epitaxy.ranking",
    "search": "heterodot.epitaxy.orientations",
    "whole_crystal": "heterodot.epitaxy.whole",
    "WholeRelation": "heterodot.epitaxy.whole",
    "describe": "heterodot.epitaxy.description",
}

__all__ = [
    "Interface",
    "OrientationRelationship",
    "Search",
    "WholeRelation",
    "adhesion",
    "bicrystal",
    "coordination",
    "describe",
    "equivalent",
    "interfaces",
    "inverse",
    "rank",
    "ranked",
    "search",
    "whole_crystal",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'heterodot.epitaxy' has no attribute '{name}'")
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
