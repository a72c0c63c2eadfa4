"""States of the atoms' own Hamiltonian as densities on a grid, like those of the envelope model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.electronic.alignment import classify
from heterodot.electronic.atomistic import AtomisticLevels
from heterodot.electronic.levels import Density
from heterodot.errors import InputError

Array = NDArray[np.float64]
WIDTH = 1.3  # Å, standard deviation of an atom's share: about the reach of a valence p orbital
THERMAL = 0.02585  # eV, k_B 300 K, of the shares near an edge


def orbital_density(
    levels: AtomisticLevels,
    positions: ArrayLike,
    state: int | str,
    *,
    spacing: float = 0.8,
    width: float = WIDTH,
) -> Density:
    """Return the probability density of one tight-binding state on a grid.

    Every atom's population in the state is spread as a Gaussian around it: the grid shows on which
    atoms a state lives, not the lobes of their orbitals.

    Parameters
    ----------
    levels : AtomisticLevels
    positions : (n_atoms, 3) array
        Å, those that the levels were computed for.
    state : int or str
        Index of the state, or ``"electron"`` for the lowest empty and ``"hole"`` for the highest
        filled one.
    spacing : float
        Edge of a voxel, Å.
    width : float
        Standard deviation of the Gaussians, Å.

    Raises
    ------
    InputError
        No such state, positions of another number of atoms, a grid coarser than the Gaussians.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> from heterodot.electronic.atomistic import atomistic_levels
    >>> lead = crystal("PbS").atoms.repeat(2)
    >>> found = atomistic_levels(
    ...     lead.positions, lead.get_chemical_symbols(), [0] * len(lead), [crystal("PbS")], n_states=4
    ... )
    >>> cloud = orbital_density(found, lead.positions, "electron")
    >>> round(float(cloud.values.sum()) * cloud.spacing**3, 3)
    1.0
    """
    from scipy.ndimage import gaussian_filter

    place = np.asarray(positions, dtype=float)
    index, label = _which(levels, state)
    if len(place) != len(levels.populations):
        raise InputError(
            f"{len(place)} positions for the states of {len(levels.populations)} atoms",
            remedy="give the positions that the states were computed for",
        )
    if not (np.isfinite(spacing) and 0 < spacing <= width):
        raise InputError(
            f"a spacing of {spacing} Å does not resolve Gaussians of {width} Å",
            place="spacing",
            remedy=f"give at most {width} Å",
        )
    weight = levels.populations[:, index]
    margin = 5 * width + spacing
    low = place.min(axis=0) - margin
    counts = np.ceil((place.max(axis=0) + margin - low) / spacing).astype(int) + 1
    if float(np.prod(counts.astype(float))) > 300**3:
        raise InputError(
            f"a spacing of {spacing} Å makes a grid of {counts[0]} x {counts[1]} x {counts[2]}",
            place="spacing",
            remedy="give a larger one",
        )
    raw = np.zeros(counts)
    _share(raw, (place - low) / spacing, weight)
    # sharing among eight voxels has already spread by a third of a voxel: take it off
    spread = np.sqrt(max((width / spacing) ** 2 - 1 / 6, 0.05))
    values = gaussian_filter(raw, spread, mode="constant", truncate=5) / spacing**3
    return Density(values.astype(np.float32), spacing, low, label)


def _which(levels: AtomisticLevels, state: int | str) -> tuple[int, str]:
    if state == "electron":
        return levels.lumo, "electron 1, tight binding"
    if state == "hole":
        return levels.homo, "hole 1, tight binding"
    if isinstance(state, str) or not 0 <= state < len(levels.energies):
        raise InputError(
            f"there is no tight-binding state '{state}'",
            remedy=f"give 'electron', 'hole' or 0 to {len(levels.energies) - 1}",
        )
    return int(state), f"state {state} at {levels.energies[state]:.3f} eV, tight binding"


def _share(grid: Array, points: Array, weights: Array) -> None:
    """Share each weight among the eight voxels around its point, in place."""
    base = np.floor(points).astype(int)
    part = points - base
    for corner in np.ndindex(2, 2, 2):
        factor = np.prod(np.where(corner, part, 1 - part), axis=1)
        np.add.at(grid, tuple((base + corner).T), weights * factor)


def atomistic_alignment(levels: AtomisticLevels) -> tuple[str, dict[str, dict[str, float]], str]:
    """Return type of alignment, shares of electron and hole, and the reason, by the written rules.

    Shares are thermal (300 K) over the computed states at each edge.
    """
    shares: dict[str, dict[str, float]] = {}
    for name, chosen, sign in (
        ("electron", ~levels.occupied, 1.0),
        ("hole", levels.occupied, -1.0),
    ):
        energy = sign * levels.energies[chosen]
        weight = np.exp(-(energy - energy.min()) / THERMAL)
        weight /= weight.sum()
        parts = {d: float(levels.domains[d][chosen] @ weight) for d in levels.domains}
        total = sum(parts.values())
        shares[name] = {d: p / total for d, p in parts.items()}
    kind, reason = classify(shares["electron"], shares["hole"])
    return kind, shares, reason


def write_cube(density: Density, numbers: Sequence[int], positions: ArrayLike, path: Any) -> None:
    """Write a density with its atoms as a Gaussian cube file, whole or not at all.

    Parameters
    ----------
    density : Density
        Written in 1/bohr³, as programs expect.
    numbers : sequence of int
        Atomic numbers.
    positions : (n, 3) array
        Å.
    path : path
    """
    from scipy.constants import physical_constants

    from heterodot.files import write_text

    bohr = physical_constants["Bohr radius"][0] * 1e10
    place = np.asarray(positions, dtype=float) / bohr
    origin = np.asarray(density.origin) / bohr
    lines = [f"Heterodot: {density.label}", "probability density in 1/bohr^3, x outermost"]
    lines.append(f"{len(place):6d} " + " ".join(f"{x:.6f}" for x in origin))
    for axis, count in enumerate(density.values.shape):
        step = [density.spacing / bohr if k == axis else 0.0 for k in range(3)]
        lines.append(f"{count:6d} " + " ".join(f"{x:.6f}" for x in step))
    for number, where in zip(numbers, place, strict=True):
        lines.append(f"{number:5d} {float(number):.6f} " + " ".join(f"{x:.6f}" for x in where))
    values = density.values.astype(float) * bohr**3
    for row in values.reshape(-1, values.shape[2]):
        for start in range(0, len(row), 6):
            lines.append(" ".join(f"{x:.5e}" for x in row[start : start + 6]))
    write_text(path, "\n".join(lines) + "\n")


def describe(levels: AtomisticLevels) -> Mapping[str, Any]:
    """Return states, alignment and notes as plain data."""
    kind, shares, reason = atomistic_alignment(levels)
    return {**levels.to_json(), "alignment": {"type": kind, "reason": reason, **shares}}
