"""Transient absorption: ``simulate`` a kinetic scheme, ``fit`` a matrix or several.

There is no ``simulate(particle, setup)`` that would invent spectra: populations come from the
scheme and its rates (from `heterodot.electronic` if they are computed), spectra from a measurement.
"""

from heterodot.probes.ta.fit import fit
from heterodot.probes.ta.identify import Identifiability, identify
from heterodot.probes.ta.intervals import bootstrap, profile
from heterodot.probes.ta.matrix import Matrix, noise, prepare
from heterodot.probes.ta.onset import Onset, find_onset
from heterodot.probes.ta.scheme import Reaction, Scheme, parallel, read_scheme, sequential
from heterodot.probes.ta.simulation import simulate
from heterodot.probes.ta.singular import Singular, singular_values

__all__ = [
    "Identifiability",
    "Matrix",
    "Onset",
    "Reaction",
    "Scheme",
    "Singular",
    "bootstrap",
    "find_onset",
    "fit",
    "identify",
    "noise",
    "parallel",
    "prepare",
    "profile",
    "read_scheme",
    "sequential",
    "simulate",
    "singular_values",
]
