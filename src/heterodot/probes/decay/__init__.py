"""Luminescence decays: ``simulate`` histograms, ``fit`` them by Poisson likelihood."""

from heterodot.probes.decay.averages import averages
from heterodot.probes.decay.fit import fit
from heterodot.probes.decay.histogram import Histogram, prepare
from heterodot.probes.decay.simulation import histogram, simulate

__all__ = ["Histogram", "averages", "fit", "histogram", "prepare", "simulate"]
