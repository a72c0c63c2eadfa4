"""Type of alignment and optical gap over the sizes of both domains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.electronic.alignment import alignment
from heterodot.electronic.ideal import cube_and_cap
from heterodot.electronic.levels import levels_of_shape
from heterodot.electronic.materials import Overrides, medium, pure
from heterodot.errors import InputError
from heterodot.progress import Progress, silent

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SizeMap:
    """Alignment over two sizes.

    Attributes
    ----------
    first, second : str
        Phases: a cube, and a truncated ball on one of its faces.
    first_sizes, second_sizes : tuple of float
        Edges and diameters, Å.
    types : tuple of tuple of str
        ``types[i][j]`` for ``first_sizes[i]`` and ``second_sizes[j]``.
    gaps : (n_first, n_second) array
        Optical gap (or gap without Coulomb terms), eV.
    electron, hole : (n_first, n_second) array
        Thermal share in the second domain.
    """

    first: str
    second: str
    first_sizes: tuple[float, ...]
    second_sizes: tuple[float, ...]
    types: tuple[tuple[str, ...], ...]
    gaps: Array
    electron: Array
    hole: Array

    def to_json(self) -> dict[str, Any]:
        """Return the map as plain data."""
        return {
            "first": self.first,
            "second": self.second,
            "first_sizes_angstrom": list(self.first_sizes),
            "second_sizes_angstrom": list(self.second_sizes),
            "types": [list(row) for row in self.types],
            "optical_gap_eV": self.gaps.tolist(),
            "electron_in_second": self.electron.tolist(),
            "hole_in_second": self.hole.tolist(),
        }


def size_map(
    first: str,
    second: str,
    first_sizes: Sequence[float],
    second_sizes: Sequence[float],
    *,
    sunk: float = 0.25,
    coulomb: bool = True,
    materials: Overrides | None = None,
    points: int = 28**3,
    progress: Progress = silent,
) -> SizeMap:
    """Return type and gap of a cube with a truncated ball over both sizes.

    Parameters
    ----------
    first, second : str
        Phases of the catalog: cube and ball.
    first_sizes, second_sizes : sequences of float
        Edge of the cube and diameter of the ball, Å.
    sunk : float
        Part of the ball's diameter that the cube's face cuts off.
    coulomb : bool
        Give the optical gap instead of the gap between levels.
    materials : mapping, optional
        Values that replace the catalog's (see `heterodot.electronic.levels`).
    points : int
        Voxels of each shape.
    progress : Progress

    Raises
    ------
    InputError
        Unknown phases, missing properties, sizes that are not positive.
    """
    if not first_sizes or not second_sizes:
        raise InputError("a size map needs sizes of both domains", place="size_map")
    if first == second:
        raise InputError("a size map needs two different phases", place=first)
    bulk = (pure(first, materials), pure(second, materials))
    around = medium(materials)
    shape = (len(first_sizes), len(second_sizes))
    gaps, electron, hole = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    types: list[tuple[str, ...]] = []
    for i, edge in enumerate(first_sizes):
        row = []
        for j, diameter in enumerate(second_sizes):
            progress("size map", (i * shape[1] + j) / gaps.size)
            body = cube_and_cap(first, second, edge, diameter, sunk=sunk, points=points)
            found = levels_of_shape(body, bulk, states=3, coulomb=coulomb, around=around)
            aligned = alignment(found)
            row.append(aligned.type)
            gaps[i, j] = (found.optical_gap or found.gap).value
            electron[i, j], hole[i, j] = aligned.electron[second], aligned.hole[second]
        types.append(tuple(row))
    progress("size map", 1.0)
    return SizeMap(
        first, second, tuple(first_sizes), tuple(second_sizes), tuple(types), gaps, electron, hole
    )
