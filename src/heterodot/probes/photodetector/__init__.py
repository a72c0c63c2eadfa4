"""Photodetectors: responsivity, efficiency, detectivity, linear range, speed and stability."""

from heterodot.probes.photodetector.figures_of_merit import (
    JONES,
    PRINTED_WARNING,
    SHOT_WARNING,
    Noise,
    dark_current_density,
    external_quantum_efficiency,
    noise_at,
    noise_detectivity,
    printed_detectivity,
    responsivity,
    shot_noise_detectivity,
)
from heterodot.probes.photodetector.power import PowerSeries, power_series
from heterodot.probes.photodetector.trace import Edge, Trace, chopped_trace

__all__ = [
    "JONES",
    "PRINTED_WARNING",
    "SHOT_WARNING",
    "Edge",
    "Noise",
    "PowerSeries",
    "Trace",
    "chopped_trace",
    "dark_current_density",
    "external_quantum_efficiency",
    "noise_at",
    "noise_detectivity",
    "power_series",
    "printed_detectivity",
    "responsivity",
    "shot_noise_detectivity",
]
