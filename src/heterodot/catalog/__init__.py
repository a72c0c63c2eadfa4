"""What is known of phases, levels, masses, optics, recipes and published results, with source."""

from heterodot.catalog.literature import Published, documents, published
from heterodot.catalog.phases import crystal, phase_names
from heterodot.catalog.records import Entry, Source
from heterodot.catalog.values import ionic_radius, lookup, quantities

__all__ = [
    "Entry",
    "Published",
    "Source",
    "crystal",
    "documents",
    "ionic_radius",
    "lookup",
    "phase_names",
    "published",
    "quantities",
]
