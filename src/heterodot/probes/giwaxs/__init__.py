"""Grazing-incidence wide-angle scattering: reduce an image, find rings, orientation, layers, phases."""

from heterodot.probes.giwaxs.film_fit import FilmFit, Reflection, fit
from heterodot.probes.giwaxs.films import (
    Film,
    critical_angle,
    simulate_image,
    simulate_polar,
)
from heterodot.probes.giwaxs.geometry import Geometry
from heterodot.probes.giwaxs.layers import Layers, layers
from heterodot.probes.giwaxs.orientation import Orientation, mean_p2, orientation, pole_density
from heterodot.probes.giwaxs.reduction import Reduced, reduce

__all__ = [
    "Film",
    "FilmFit",
    "Geometry",
    "Layers",
    "Orientation",
    "Reduced",
    "Reflection",
    "critical_angle",
    "fit",
    "layers",
    "mean_p2",
    "orientation",
    "pole_density",
    "reduce",
    "simulate_image",
    "simulate_polar",
]
