"""Emission: bands in energy, artefacts, excitation spectra, stability."""

from heterodot.probes.emission.artefacts import Artefact, artefacts
from heterodot.probes.emission.excitation import Excitation, absorbed_shares, excitation_spectrum
from heterodot.probes.emission.fit import fit
from heterodot.probes.emission.peaks import SHAPES, EmissionFit, EmissionPeak, band, fit_emission
from heterodot.probes.emission.stability import Stability, stability

__all__ = [
    "SHAPES",
    "Artefact",
    "EmissionFit",
    "EmissionPeak",
    "Excitation",
    "Stability",
    "absorbed_shares",
    "artefacts",
    "band",
    "excitation_spectrum",
    "fit",
    "fit_emission",
    "stability",
]
