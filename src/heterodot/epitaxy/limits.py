"""What a search may be asked: bulk crystals, sensible limits, bounded effort."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from heterodot.crystal import Crystal
from heterodot.epitaxy.planes import SurfaceMesh, lattice_of
from heterodot.errors import InputError

VACUUM = 9.0
"""Empty space along a cell axis (Å) above which a structure is no bulk crystal."""

LONGEST = 300.0
"""Estimated CPU seconds above which a search is refused unless forced."""


def check_limits(max_index: int, max_area: float, max_strain: float) -> None:
    """Refuse limits without meaning.

    Raises
    ------
    InputError
    """
    if max_index < 1 or int(max_index) != max_index:
        raise InputError(
            f"{max_index} is not a largest index", place="max_index", remedy="give 1, 2 or 3"
        )
    if not 0 < max_area < math.inf:
        raise InputError(f"{max_area} Å² is not an area", place="max_area", remedy="give 400")
    if not 0 < max_strain < 0.5:
        raise InputError(
            f"{max_strain} is not a strain",
            place="max_strain",
            remedy="give a fraction such as 0.03 for 3 %",
        )


def check_bulk(crystal: Crystal) -> None:
    """Refuse molecules and layers in a box.

    Raises
    ------
    InputError
        More than ``VACUUM`` of empty space along an axis.
    """
    if len(crystal) > 1000:
        return
    heights = 1.0 / np.linalg.norm(crystal.reciprocal, axis=1)
    names = "abc"
    empty = []
    for axis in range(3):
        fractions = np.sort(crystal.scaled[:, axis] % 1.0)
        gaps = np.diff(np.append(fractions, fractions[0] + 1.0)) * heights[axis]
        if gaps.max() > VACUUM:
            empty.append((names[axis], float(gaps.max())))
    if empty:
        kind = {1: "a layer", 2: "a chain", 3: "a molecule"}[len(empty)]
        raise InputError(
            f"{empty[0][1]:.0f} Å of empty space along {', '.join(n for n, _ in empty)}: {kind} "
            "in a box, not a crystal",
            place=crystal.name,
            remedy="give a structure that repeats in three directions",
        )


def effort(crystal_a: Crystal, crystal_b: Crystal, max_index: int, max_area: float) -> float:
    """Return the CPU seconds that a search will take, roughly (within a factor of three)."""
    numbers, areas = [], []
    for crystal in (crystal_a, crystal_b):
        lattice = lattice_of(crystal)
        # coprime triples are 1/zeta(3) = 0.83 of all; each family has about one per operation
        triples = 0.83 * (2 * max_index + 1) ** 3
        numbers.append(max(triples / len(lattice.operations), 3.0))
        areas.append(float(abs(np.linalg.det(lattice.primitive))) ** (2.0 / 3.0))
    # large planes have large meshes and few cells; a quarter of the pairs carry the load
    cells = (max_area / areas[0]) ** 2
    inside = max(max_area / areas[1], 1.0)
    pairs = numbers[0] * numbers[1]
    planes = sum((2 * max_index + 1) ** 3 for _ in range(2)) * 2e-5
    return float(planes + pairs * (3e-4 + 0.25 * 2e-8 * cells * inside))


def check_effort(crystal_a: Crystal, crystal_b: Crystal, max_index: int, max_area: float) -> None:
    """Refuse a search that would take very long.

    Raises
    ------
    InputError
        With the estimate.
    """
    seconds = effort(crystal_a, crystal_b, max_index, max_area)
    if seconds > LONGEST:
        text = f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"
        raise InputError(
            f"index {max_index} and {max_area:g} Å² for {crystal_a.formula} and "
            f"{crystal_b.formula} would take about {text}",
            place="max_index, max_area",
            remedy="lower one of them, or force it (--force)",
        )


def nearest_beyond(
    meshes_a: Sequence[SurfaceMesh],
    meshes_b: Sequence[SurfaceMesh],
    max_area: float,
    max_strain: float,
) -> str:
    """Return which limit to loosen, and by how much, to get at least one match."""
    area = strain = math.inf
    for factor in (1.5, 2.0, 4.0, 8.0, 16.0):
        if math.isinf(strain):
            wide = min(max_strain * factor, 0.25)
            strain = _least(meshes_a, meshes_b, max_area, wide)[1]
        if math.isinf(area):
            large = min(max_area * factor, max(1500.0, max_area))
            area = _least(meshes_a, meshes_b, large, max_strain)[0]
    options = []
    if math.isfinite(strain):
        # rounded up, so that the number printed is enough
        options.append(f"allow a strain of {math.ceil(1000 * strain - 1e-9) / 10:g} %")
    if math.isfinite(area):
        options.append(f"allow an area of {math.ceil(area):d} Å²")
    if options:
        return " or ".join(options)
    for wide in (0.03, 0.06, 0.12, 0.25):
        area, strain = _least(meshes_a, meshes_b, 800.0, wide)
        if math.isfinite(area):
            return f"allow an area of {math.ceil(area):d} Å² with a strain of {100 * wide:.2g} %"
    return "raise the index and both limits"


def _least(
    meshes_a: Sequence[SurfaceMesh],
    meshes_b: Sequence[SurfaceMesh],
    max_area: float,
    max_strain: float,
) -> tuple[float, float]:
    """Smallest area (Å², either side) and smallest strain of any match within limits, or inf."""
    from heterodot.epitaxy._kernels import coincidences

    area = strain = math.inf
    for a in meshes_a:
        for b in meshes_b:
            cells, found = coincidences(a.flat, b.flat, max_area, math.log1p(max_strain))
            if len(cells) == 0:
                continue
            upper = np.abs(cells[:, 4] * cells[:, 7] - cells[:, 5] * cells[:, 6]) * b.area
            area = min(area, float(np.maximum(found[:, 3], upper).min()))
            strain = min(strain, float(np.expm1(np.abs(found[:, 1:3]).max(axis=1)).min()))
    return area, strain
