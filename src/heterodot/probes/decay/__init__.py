"""Luminescence decays: ``simulate`` histograms, ``fit`` them by Poisson likelihood."""

from heterodot.probes.decay.averages import averages
from heterodot.probes.decay.distribution import Distribution, Peak, fit_distribution
from heterodot.probes.decay.fit import fit
from heterodot.probes.decay.histogram import Histogram, prepare
from heterodot.probes.decay.intervals import bootstrap, profile
from heterodot.probes.decay.lifetime_map import LifetimeMap, fit_map
from heterodot.probes.decay.quenching import Diffusion, fit_quenching, from_lifetimes, survival
from heterodot.probes.decay.recombination import density, fit_power_series, fit_stretched
from heterodot.probes.decay.simulation import histogram, simulate

__all__ = [
    "Diffusion",
    "Distribution",
    "Histogram",
    "LifetimeMap",
    "Peak",
    "averages",
    "bootstrap",
    "density",
    "fit",
    "fit_distribution",
    "fit_map",
    "fit_power_series",
    "fit_quenching",
    "fit_stretched",
    "from_lifetimes",
    "histogram",
    "prepare",
    "profile",
    "simulate",
    "survival",
]
