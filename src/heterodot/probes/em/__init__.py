"""Electron microscopy: preview and simulate images, find orientations and strain in them."""

from heterodot.probes.em.columns import Column, find_columns
from heterodot.probes.em.contact import Contact, contact_planes
from heterodot.probes.em.gpa import Strain, geometric_phase
from heterodot.probes.em.grains import Grain, find_grains, from_regions
from heterodot.probes.em.hrtem import HrtemSetup, simulate_hrtem
from heterodot.probes.em.interface import Line, interface_between, interface_line
from heterodot.probes.em.misfit import Misfit, misfits
from heterodot.probes.em.orientation import (
    Candidate,
    MeasuredRelation,
    measured_relation,
)
from heterodot.probes.em.patterns import Indexing, index
from heterodot.probes.em.preview import EmSetup, preview
from heterodot.probes.em.reading import Reading, consistent, domain_pair, not_there, read_domains
from heterodot.probes.em.spots import Spot, find_spots
from heterodot.probes.em.stem import StemSetup, simulate_stem
from heterodot.probes.em.sublattices import Sublattice, sort_columns
from heterodot.probes.em.tilting import SharedAxis, shared_axes

__all__ = [
    "Candidate",
    "Column",
    "Contact",
    "EmSetup",
    "Grain",
    "HrtemSetup",
    "Indexing",
    "Line",
    "MeasuredRelation",
    "Misfit",
    "Reading",
    "SharedAxis",
    "Spot",
    "StemSetup",
    "Strain",
    "Sublattice",
    "consistent",
    "contact_planes",
    "domain_pair",
    "find_columns",
    "find_grains",
    "find_spots",
    "from_regions",
    "geometric_phase",
    "index",
    "interface_between",
    "interface_line",
    "measured_relation",
    "misfits",
    "not_there",
    "preview",
    "read_domains",
    "shared_axes",
    "simulate_hrtem",
    "simulate_stem",
    "sort_columns",
]
