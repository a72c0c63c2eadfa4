"""Electron microscopy: preview and simulate images, find orientations and strain in them."""

from heterodot.probes.em.gpa import Strain, geometric_phase
from heterodot.probes.em.interface import Line, interface_line
from heterodot.probes.em.orientation import (
    Indexing,
    MeasuredRelation,
    index,
    measured_relation,
    shared_axes,
)
from heterodot.probes.em.preview import EmSetup, preview
from heterodot.probes.em.spots import Spot, find_spots

__all__ = [
    "EmSetup",
    "Indexing",
    "Line",
    "MeasuredRelation",
    "Spot",
    "Strain",
    "find_spots",
    "geometric_phase",
    "index",
    "interface_line",
    "measured_relation",
    "preview",
    "shared_axes",
]
