"""Energy-dispersive X-rays: percent, spectra and maps to stoichiometry and phases with errors."""

from __future__ import annotations

from heterodot.probes.edx.composition import (
    Composition,
    composition,
    from_counts,
    k_factors_of,
    masses,
    parse_formula,
)
from heterodot.probes.edx.lines import family, inflation, overlaps, width
from heterodot.probes.edx.maps import (
    MapDomain,
    MapDomains,
    element_maps,
    find_domains,
    simulate_maps,
    summed,
)
from heterodot.probes.edx.phases import PhaseMixture, PhaseShare, mixture
from heterodot.probes.edx.spectrum import Line, SpectrumFit, fit_spectrum, simulate_spectrum
from heterodot.probes.edx.stoichiometry import (
    Stoichiometry,
    disagreement,
    overlap_consequences,
    stoichiometry,
)

__all__ = [
    "Composition",
    "Line",
    "MapDomain",
    "MapDomains",
    "PhaseMixture",
    "PhaseShare",
    "SpectrumFit",
    "Stoichiometry",
    "composition",
    "disagreement",
    "element_maps",
    "family",
    "find_domains",
    "fit_spectrum",
    "from_counts",
    "inflation",
    "k_factors_of",
    "masses",
    "mixture",
    "overlap_consequences",
    "overlaps",
    "parse_formula",
    "simulate_maps",
    "simulate_spectrum",
    "stoichiometry",
    "summed",
    "width",
]
