"""Cells and strains from peak positions: Bragg's law with its errors.

What a paper prints (2theta of indexed peaks, before and after a domain was joined) is enough for
the cell of a cubic or any other crystal, and for the strain of each domain along each normal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.units import Value

if TYPE_CHECKING:
    from heterodot.crystal import Crystal

Floats = NDArray[np.float64]


def _wavelength(wavelength: str | float) -> float:
    from heterodot.probes.xrd.setup import lines_of

    return max(lines_of(wavelength), key=lambda line: line.weight).wavelength


def _checked(two_theta: float) -> float:
    if not (math.isfinite(two_theta) and 0 < two_theta < 180):
        raise InputError(
            f"{two_theta} is not an angle 2theta in degrees",
            place="two_theta",
            remedy="give degrees above 0 and below 180",
        )
    return float(two_theta)


def spacing(
    two_theta: float, wavelength: str | float = "CuKa1", error: float | None = None
) -> Value:
    """Return the interplanar distance of a peak at 2theta (degrees), Å.

    Examples
    --------
    >>> str(spacing(30.08, error=0.02))
    '2.9685(19) angstrom'
    """
    theta = math.radians(_checked(two_theta)) / 2
    d = _wavelength(wavelength) / (2 * math.sin(theta))
    own = None if error is None else d / math.tan(theta) * math.radians(error) / 2
    return Value(d, "angstrom", own, None if own is not None else "no error of the angle given")


def shift_strain(
    before: float,
    after: float,
    wavelength: str | float = "CuKa1",
    *,
    error: float | None = None,
) -> Value:
    """Return by what fraction a spacing grew when its peak moved from ``before`` to ``after``.

    Parameters
    ----------
    before, after : float
        2theta in degrees.
    wavelength : str or float
        Cancels out; kept for the check of the range.
    error : float, optional
        Standard error of each angle, degrees.

    Examples
    --------
    >>> strain = shift_strain(30.0, 29.7, error=0.02)
    >>> round(100 * strain.value, 2), round(100 * strain.error, 2)
    (0.99, 0.09)
    """
    first, second = spacing(before, wavelength, error), spacing(after, wavelength, error)
    strain = second.value / first.value - 1
    if first.error is None or second.error is None:
        return Value(strain, "", None, "no error of the angles given")
    relative = math.hypot(first.error / first.value, second.error / second.value)
    return Value(strain, "", (1 + strain) * relative)


def cell_from_peaks(
    crystal: Crystal,
    peaks: Mapping[tuple[int, int, int], float],
    wavelength: str | float = "CuKa1",
    *,
    error: float | None = None,
) -> dict[str, Value]:
    """Return the cell that indexed peak positions give, by least squares in 1/d².

    The metric has as many unknowns as the symmetry of the crystal allows; the error follows from
    the scatter of the peaks, or from ``error`` where that is larger or there is none to spare.

    Parameters
    ----------
    crystal : Crystal
        For its symmetry and setting.
    peaks : mapping of (h, k, l) to 2theta in degrees
    wavelength : str or float
    error : float, optional
        Standard error of each angle, degrees.

    Returns
    -------
    dict of str to Value
        ``a``, ``b``, ``c`` (Å), ``alpha``, ``beta``, ``gamma`` (degrees).

    Raises
    ------
    InputError
        Fewer peaks than unknowns, or peaks that do not determine them.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> cell = cell_from_peaks(crystal("PbS"), {(1, 1, 1): 25.98, (2, 0, 0): 30.08})
    >>> round(cell["a"].value, 2)
    5.94
    """
    from heterodot.probes.xrd.components import strain_basis
    from heterodot.probes.xrd.fit_report import CELL, cellpar_of

    basis = strain_basis(crystal)
    hkl = np.array(list(peaks), dtype=float).reshape(-1, 3)
    d = np.array([spacing(t, wavelength).value for t in peaks.values()])
    if len(hkl) < len(basis):
        raise InputError(
            f"{len(hkl)} peaks cannot give {len(basis)} cell parameters",
            place="peaks",
            remedy="name more peaks",
        )
    coefficients = np.zeros(len(basis))
    slope = np.zeros((len(hkl), len(basis)))
    left = np.zeros(len(hkl))
    for _ in range(20):
        strain = np.eye(3) + np.einsum("k,kij->ij", coefficients, basis)
        cell = crystal.cell @ strain
        vectors = hkl @ np.linalg.inv(cell).T
        length = np.linalg.norm(vectors, axis=1)
        left = np.log(d) + np.log(length)
        for k, b in enumerate(basis):
            moved = vectors @ (np.linalg.inv(strain) @ b)
            slope[:, k] = np.einsum("ij,ij->i", moved, vectors) / length**2
        step, _, rank, _ = np.linalg.lstsq(slope, left, rcond=1e-9)
        if rank < len(basis):
            raise InputError(
                "these peaks do not determine the cell", place="peaks", remedy="name others"
            )
        coefficients = coefficients + step
        if np.abs(step).max() < 1e-12:
            break
    spare = len(hkl) - len(basis)
    scatter = float(left @ left) / spare if spare > 0 else 0.0
    stated = 0.0
    if error is not None:
        angles = np.radians(np.array(list(peaks.values()))) / 2
        stated = float(np.mean((math.radians(error) / 2 / np.tan(angles)) ** 2))
    variance = max(scatter, stated)
    covariance = np.linalg.inv(slope.T @ slope) * variance

    def par(c: Floats) -> Floats:
        whole = crystal.cell @ (np.eye(3) + np.einsum("k,kij->ij", c, basis))
        return np.array(cellpar_of(whole))

    base = par(coefficients)
    gradient = np.array(
        [(par(coefficients + 1e-6 * unit) - base) / 1e-6 for unit in np.eye(len(basis))]
    ).T
    sigma = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", gradient, covariance, gradient), 0))
    found = {}
    for k, name in enumerate(CELL):
        free = bool((np.abs(gradient[k]) > 1e-9).any())
        known = free and variance > 0
        found[name] = Value(
            float(base[k]),
            "angstrom" if k < 3 else "deg",
            float(sigma[k]) if known else None,
            None if known else ("fixed by symmetry" if not free else "no peaks to spare"),
        )
    return found


def domain_strains(
    shifts: Mapping[str, Mapping[tuple[int, int, int], Sequence[float]]],
    wavelength: str | float = "CuKa1",
    *,
    error: float | None = None,
) -> dict[str, dict[tuple[int, int, int], Value]]:
    """Return the strain of each domain along each normal from peaks before and after joining.

    Parameters
    ----------
    shifts : mapping of domain to mapping of (h, k, l) to (2theta alone, 2theta joined)

    Examples
    --------
    >>> found = domain_strains({"PbS": {(2, 0, 0): (29.50, 29.71)}})
    >>> round(100 * found["PbS"][2, 0, 0].value, 2)
    -0.69
    """
    return {
        name: {
            hkl: shift_strain(pair[0], pair[1], wavelength, error=error)
            for hkl, pair in peaks.items()
        }
        for name, peaks in shifts.items()
    }
