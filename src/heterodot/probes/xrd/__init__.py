"""Powder X-ray diffraction: simulate a particle's pattern, fit the one that was recorded."""

from heterodot.probes.xrd.fit_phases import fit
from heterodot.probes.xrd.pattern import simulate
from heterodot.probes.xrd.phases_found import Candidate, Suggestion, suggest
from heterodot.probes.xrd.setup import XrdSetup, lines_of, wavelength_names
from heterodot.probes.xrd.sticks import Sticks, sticks

__all__ = [
    "Candidate",
    "Sticks",
    "Suggestion",
    "XrdSetup",
    "fit",
    "lines_of",
    "simulate",
    "sticks",
    "suggest",
    "wavelength_names",
]
