"""Absorption: edges, excitons, scattering, domains with sizes, and spectra from levels."""

from heterodot.probes.absorption.domains import Decomposition, DomainAbsorption, decompose
from heterodot.probes.absorption.elliott import ElliottFit, elliott, elliott_absorption
from heterodot.probes.absorption.exciton import (
    Derivatives,
    FirstExciton,
    derivatives,
    exciton_near,
    first_exciton,
)
from heterodot.probes.absorption.fit import fit
from heterodot.probes.absorption.levels import AbsorptionSetup, simulate, transitions
from heterodot.probes.absorption.scattering import Scattering, scattering
from heterodot.probes.absorption.tauc import TaucEdge, tauc

__all__ = [
    "AbsorptionSetup",
    "Decomposition",
    "Derivatives",
    "DomainAbsorption",
    "ElliottFit",
    "FirstExciton",
    "Scattering",
    "TaucEdge",
    "decompose",
    "derivatives",
    "elliott",
    "elliott_absorption",
    "exciton_near",
    "first_exciton",
    "fit",
    "scattering",
    "simulate",
    "tauc",
    "transitions",
]
