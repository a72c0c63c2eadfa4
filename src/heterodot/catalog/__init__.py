"""What is known of phases, levels, masses, optics, recipes and published results, with source."""

from heterodot.catalog.curves import Curve, curve
from heterodot.catalog.database import overlay
from heterodot.catalog.literature import Published, documents, published
from heterodot.catalog.phases import Phase, crystal, crystal_or_file, find_phases, phase_names
from heterodot.catalog.records import Entry, Source
from heterodot.catalog.values import ionic_radius, lookup, quantities

__all__ = [
    "Curve",
    "Entry",
    "Phase",
    "Published",
    "Source",
    "crystal",
    "crystal_or_file",
    "curve",
    "documents",
    "find_phases",
    "ionic_radius",
    "lookup",
    "overlay",
    "phase_names",
    "published",
    "quantities",
]
