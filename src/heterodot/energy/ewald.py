"""Lattice sums of point charges: energy, forces and stress of a periodic cell by Ewald's method.

Ewald, Ann. Phys. 369, 253 (1921); stress as in Nose and Klein, Mol. Phys. 50, 1055 (1983).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError


@functools.cache
def coulomb_constant() -> float:
    """Return e²/(4 pi eps0) in eV Å.

    Examples
    --------
    >>> round(coulomb_constant(), 4)
    14.3996
    """
    from scipy import constants as c

    return float(c.e / (4 * np.pi * c.epsilon_0) * 1e10)


def ewald(
    cell: NDArray[np.float64],
    positions: NDArray[np.float64],
    charges: NDArray[np.float64],
    *,
    accuracy: float = 1e-10,
    reach: float | None = None,
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return energy, forces and stress of point charges that repeat in three directions.

    Parameters
    ----------
    cell : (3, 3) array
        Lattice vectors as rows, Å.
    positions : (n, 3) array
        Å.
    charges : (n,) array
        In e; they have to add up to zero.
    accuracy : float
        Relative size of the terms that are left out.
    reach : float, optional
        Cutoff of the sum in real space, Å; balanced against the reciprocal sum where not given.

    Returns
    -------
    energy : float
        eV per cell.
    forces : (n, 3) array
        eV/Å.
    stress : (3, 3) array
        eV/Å³, positive under tension (the derivative of energy with strain, over volume).

    Raises
    ------
    InputError
        The cell is charged.

    Examples
    --------
    The Madelung constant of rock salt:

    >>> cell = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) * 1.0
    >>> e, f, s = ewald(cell, np.array([[0, 0, 0], [1., 0, 0]]), np.array([1., -1.]))
    >>> round(float(-e / coulomb_constant()), 7)
    1.7475646
    """
    from scipy.special import erfc

    if abs(charges.sum()) > 1e-6 * max(1.0, np.abs(charges).max()):
        raise InputError(
            f"the cell carries a charge of {charges.sum():+g} e",
            place="ewald",
            remedy="give formal charges that add up to zero",
        )
    volume = abs(float(np.linalg.det(cell)))
    n = len(charges)
    depth = float(np.sqrt(-np.log(accuracy)))
    if reach is None:
        reach = float(np.clip(depth / np.sqrt(np.pi) * (volume**2 / n) ** (1 / 6), 4.0, 14.0))
    alpha = depth / reach
    i, j, d, r = near_pairs(cell, positions, reach)
    qq = charges[i] * charges[j]
    screened = erfc(alpha * r) / r
    slope = -(screened + 2 * alpha / np.sqrt(np.pi) * np.exp(-((alpha * r) ** 2))) / r
    energy = 0.5 * float(qq @ screened)
    g = (qq * slope / r)[:, None] * d
    forces = gather(i, g, n)
    virial = 0.5 * g.T @ d

    energy -= alpha / np.sqrt(np.pi) * float(charges @ charges)

    k = _waves(cell, 2 * alpha * depth)
    k2 = np.einsum("ij,ij->i", k, k)
    weight = 4 * np.pi / volume * np.exp(-k2 / (4 * alpha**2)) / k2
    for block in range(0, len(k), 4096):
        kb, k2b, wb = (array[block : block + 4096] for array in (k, k2, weight))
        phase = positions @ kb.T
        cosine, sine = np.cos(phase), np.sin(phase)
        real, imaginary = charges @ cosine, charges @ sine
        density = wb * (real**2 + imaginary**2)
        energy += 0.5 * float(density.sum())
        pull = charges[:, None] * (sine * real - cosine * imaginary) * wb
        forces += pull @ kb
        shape = density * 2 * (1 / k2b + 1 / (4 * alpha**2))
        virial += 0.5 * (np.eye(3) * density.sum() * -1.0 + (kb * shape[:, None]).T @ kb)
    factor = coulomb_constant()
    scaled: NDArray[np.float64] = forces * factor
    return energy * factor, scaled, virial / volume * factor


SCREENING_RATE = 0.35
"""1/Å. Electrons screen the field of an ion within about the distance to its neighbors (Resta, Phys.
Rev. B 16, 2717 (1977)): at 3 Å the bare part has fallen to a seventh."""
NEAR_ON, NEAR_OFF = 9.0, 10.0  # Å; by 9 Å the bare part has fallen below 1e-5


def bare_part(r: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ``erfc(k r) / r``, switched off smoothly between 9 and 10 Å, and its slope."""
    from scipy.special import erfc

    k = SCREENING_RATE
    t = np.clip((r - NEAR_ON) / (NEAR_OFF - NEAR_ON), 0.0, 1.0)
    s = 1 - t**3 * (10 - 15 * t + 6 * t**2)
    ds = -30 * t**2 * (1 - t) ** 2 / (NEAR_OFF - NEAR_ON)
    value = erfc(k * r) / r
    slope = -(value + 2 * k / np.sqrt(np.pi) * np.exp(-((k * r) ** 2))) / r
    return value * s, slope * s + value * ds


def screened_ewald(
    cell: NDArray[np.float64],
    positions: NDArray[np.float64],
    charges: NDArray[np.float64],
    screening: float,
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return energy, forces and stress of charges that electrons screen at a distance.

    Each pair interacts as ``q q [1/e + (1 - 1/e) erfc(k r)] / r``: bare where they touch, divided by
    the dielectric constant of the electrons far away. Returned as by `ewald`, which it is for a
    ``screening`` of 1.
    """
    energy, forces, stress = ewald(cell, positions, charges)
    if screening == 1.0:
        return energy, forces, stress
    i, j, d, r = near_pairs(cell, positions, NEAR_OFF)
    weight = coulomb_constant() * (1 - 1 / screening) * charges[i] * charges[j]
    value, slope = bare_part(r)
    pull = (weight * slope / r)[:, None] * d
    volume = abs(float(np.linalg.det(cell)))
    return (
        energy / screening + 0.5 * float(weight @ value),
        forces / screening + gather(i, pull, len(charges)),
        stress / screening + 0.5 * pull.T @ d / volume,
    )


def near_pairs(
    cell: NDArray[np.float64], positions: NDArray[np.float64], reach: float
) -> tuple[NDArray[Any], ...]:
    """Return i, j, vectors from i to j and distances of all pairs within reach of a crystal.

    Every pair of images is listed from both ends, (m,), (m,), (m, 3) and (m,) arrays, Å.

    Examples
    --------
    >>> i, j, d, r = near_pairs(np.eye(3), np.zeros((1, 3)), 1.1)
    >>> len(i), bool((r == 1).all())
    (6, True)
    """
    n = len(positions)
    heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)  # between faces of the cell, Å
    scaled = positions @ np.linalg.inv(cell)
    layers = np.ceil(reach / heights + np.ptp(scaled, axis=0)).astype(int)
    if n * n * int(np.prod(2 * layers + 1)) > 200_000:
        from ase.neighborlist import primitive_neighbor_list

        found = primitive_neighbor_list(
            "ijDd", (True, True, True), cell, positions, reach, use_scaled_positions=False
        )
        return tuple(found)
    # a small cell: every image at once costs less than a list of bins
    axes = [np.arange(-m, m + 1) for m in layers]
    images = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3) @ cell
    d = (positions[None, :, None] - positions[:, None, None]) + images
    r2 = np.einsum("ijkx,ijkx->ijk", d, d)
    i, j, k = np.nonzero((r2 < reach**2) & (r2 > 1e-12))
    return i, j, d[i, j, k], np.sqrt(r2[i, j, k])


def gather(index: NDArray[np.int64], vectors: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return the sum of the vectors (m, 3) that belong to each of ``n`` atoms, (n, 3)."""
    total = np.empty((n, 3))
    for k in range(3):
        total[:, k] = np.bincount(index, vectors[:, k], n)
    return total


def _waves(cell: NDArray[np.float64], longest: float) -> NDArray[np.float64]:
    reciprocal = 2 * np.pi * np.linalg.inv(cell).T
    # |m_i| <= k.a_i / 2 pi <= |k| |a_i| / 2 pi
    limits = np.floor(longest * np.linalg.norm(cell, axis=1) / (2 * np.pi)).astype(int)
    grids = np.meshgrid(*[np.arange(-m, m + 1) for m in limits], indexing="ij")
    k = np.stack(grids, axis=-1).reshape(-1, 3) @ reciprocal
    k2 = np.einsum("ij,ij->i", k, k)
    return np.asarray(k[(k2 > 1e-12) & (k2 < longest**2)], dtype=float)
