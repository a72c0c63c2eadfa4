"""Levels, localization, alignment, excitons and transfer of a particle (see `docs/electronic`)."""

from heterodot.electronic.alignment import Alignment, alignment
from heterodot.electronic.coulomb import Coulomb
from heterodot.electronic.levels import Density, Levels, State, levels, levels_of_shape
from heterodot.electronic.materials import Material, Medium, material, medium
from heterodot.electronic.shape import Shape, rasterize

__all__ = [
    "Alignment",
    "Coulomb",
    "Density",
    "Levels",
    "Material",
    "Medium",
    "Shape",
    "State",
    "alignment",
    "levels",
    "levels_of_shape",
    "material",
    "medium",
    "rasterize",
]
