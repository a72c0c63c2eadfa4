"""Levels, localization, alignment, excitons and transfer of a particle (see `docs/electronic`)."""

from heterodot.electronic.alignment import Alignment, Robustness, alignment, robustness
from heterodot.electronic.coulomb import Coulomb
from heterodot.electronic.exciton import Exciton, absorption, exciton
from heterodot.electronic.levels import Density, Levels, State, levels, levels_of_shape
from heterodot.electronic.materials import Material, Medium, material, medium, pure
from heterodot.electronic.shape import Shape, rasterize
from heterodot.electronic.size_map import SizeMap, size_map
from heterodot.electronic.sizing import empirical_gap, sizing_table
from heterodot.electronic.trajectory import GapTrajectory, read_trajectory
from heterodot.electronic.transfer import Transfer, transfer
from heterodot.electronic.transfer_sizes import TransferTrend, levels_for_transfer, transfer_trend

__all__ = [
    "Alignment",
    "Coulomb",
    "Density",
    "Exciton",
    "GapTrajectory",
    "Levels",
    "Material",
    "Medium",
    "Robustness",
    "Shape",
    "SizeMap",
    "State",
    "Transfer",
    "TransferTrend",
    "absorption",
    "alignment",
    "empirical_gap",
    "exciton",
    "levels",
    "levels_for_transfer",
    "levels_of_shape",
    "material",
    "medium",
    "pure",
    "rasterize",
    "read_trajectory",
    "robustness",
    "size_map",
    "sizing_table",
    "transfer",
    "transfer_trend",
]
