"""Levels of equivalent valleys, each with its own mass tensor."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from heterodot.electronic.confinement import Solution, Well, solve
from heterodot.electronic.materials import Carrier

Array = NDArray[np.float64]
SAME_VALLEY = 3e-5  # eV, below which two valleys count as related by symmetry


def valley_splitting(
    well: Well, solution: Solution, domain: int, band: Carrier, axes: Array
) -> Array:
    """Return shifts of each state for equivalent valleys along ``axes``, eV, (n_valleys, n_states).

    Each valley is solved with its own mass tensor, ``1/m_l`` along its axis and ``1/m_t`` across,
    starting from the states of the mean mass.

    Parameters
    ----------
    well, solution
        The problem with the mean mass and its states.
    domain : int
        The domain that has the valleys.
    band : Carrier
        Of that domain.
    axes : (n_valleys, 3) array
        Unit vectors.
    """
    solved: list[tuple[Array, Array]] = []
    found = []
    for axis in axes:
        x, y, z = (float(component) for component in axis)
        bands = list(well.bands)
        bands[domain] = dataclasses.replace(band, axis=(x, y, z))
        turned = Well(well.cells, tuple(bands), well.barrier, well.extra)
        _, operator = turned.parts(solution.reference)
        first = np.linalg.eigvalsh(solution.vectors @ operator(solution.vectors).T)
        # valleys that a symmetry of the particle takes into each other agree in first order
        for other, known in solved:
            if np.abs(first - other).max() < SAME_VALLEY:
                shifts = known
                break
        else:
            valley = solve(
                turned, len(solution.energies), guess=solution.vectors, reference=solution.reference
            )
            shifts = valley.energies - solution.energies
            solved.append((np.asarray(first, dtype=float), shifts))
        found.append(shifts)
    return np.array(found)
