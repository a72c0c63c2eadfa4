"""Size broadening of a crystallite's reflections, as the Fourier transform of its ghost overlap.

The overlap of a body with itself shifted by L along a plane normal is A(L); the reflection's
profile in s = 1/d is its cosine transform (Stokes and Wilson, Proc. Camb. Phil. Soc. 38, 313
(1942)). Sphere and cube averaged over a lognormal distribution of sizes: Scardi and Leoni, Acta
Cryst. A58, 190 (2002).
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError

Floats = NDArray[np.float64]

SHAPES = ("sphere", "cube")


def overlap_terms(shape: str, normals: Floats) -> tuple[Floats, Floats]:
    """Return polynomial coefficients of A(L/D) and where it ends, for each plane normal.

    Parameters
    ----------
    shape : str
        ``"sphere"`` (size is the diameter) or ``"cube"`` (size is the edge, faces along the
        Cartesian axes of the crystal's frame).
    normals : (n, 3) array
        Unit normals.

    Returns
    -------
    terms : (n, 4) array
        A = sum_k terms_k (L/D)^k for L/D below ``end``.
    end : (n,) array
    """
    n = len(normals)
    if shape == "sphere":
        return np.tile([1.0, -1.5, 0.0, 0.5], (n, 1)), np.ones(n)
    if shape != "cube":
        raise InputError(
            f"'{shape}' is not a shape", place="shape", remedy=f"choose among {', '.join(SHAPES)}"
        )
    x, y, z = np.abs(normals).T
    terms = np.column_stack([np.ones(n), -(x + y + z), x * y + y * z + z * x, -x * y * z])
    return terms, 1 / np.maximum(np.maximum(x, y), z)


def overlap(length: Floats, size: float, spread: float, terms: Floats, end: Floats) -> Floats:
    """Return A(L), volume-weighted over a lognormal distribution of sizes, (n, n_L).

    Parameters
    ----------
    length : (n_L,) array
        L >= 0, Å.
    size : float
        Volume-weighted mean size <D^4>/<D^3>, Å.
    spread : float
        Standard deviation of ln D; zero for one size.
    terms, end
        From `overlap_terms`.

    Examples
    --------
    >>> terms, end = overlap_terms("sphere", np.array([[0.0, 0.0, 1.0]]))
    >>> overlap(np.array([0.0, 25.0, 60.0]), 50.0, 0.0, terms, end).round(4).tolist()
    [[1.0, 0.3125, 0.0]]
    """
    from scipy.special import erfc

    powers = np.arange(4)
    if spread < 1e-3:
        u = np.asarray(length)[None, :] / size
        value = terms[:, :1] + terms[:, 1:2] * u + terms[:, 2:3] * u**2 + terms[:, 3:] * u**3
        return np.asarray(np.where(u < end[:, None], value, 0.0), dtype=float)
    mu = np.log(size) - 3.5 * spread**2
    with np.errstate(divide="ignore"):
        log_length = np.log(np.asarray(length, dtype=float))
    moment = np.exp(powers * mu + powers**2 * spread**2 / 2)
    result = np.zeros((len(terms), len(log_length)))
    for k in powers:
        # a body counts only while it is longer than L / end
        z = (log_length[None, :] - np.log(end)[:, None] - mu - (3 - k) * spread**2) / (
            spread * np.sqrt(2)
        )
        share = 0.5 * erfc(z)
        result += terms[:, k, None] * share * (moment[3 - k] / moment[3]) * length[None, :] ** k
    return result


def column_length(size: float, shape: str) -> float:
    """Return the volume-weighted mean column length (size from an integral breadth), Å.

    For a sphere 3/4 of the volume-weighted diameter; for a cube the value of its (100) planes.
    """
    return 0.75 * size if shape == "sphere" else size


@functools.cache
def half_width(shape: str, spread: float) -> float:
    """Return the full width at half maximum of a reflection in s, times the size.

    0.9 over this, times the size, is what the Scherrer formula with K = 0.9 would print. For a
    cube the value of its (100) planes.

    Examples
    --------
    >>> round(half_width("sphere", 0.0), 3), round(half_width("cube", 0.0), 3)
    (1.107, 0.886)
    """
    from scipy.optimize import brentq

    normal = np.array([[1.0, 0.0, 0.0]])
    length = np.linspace(0.0, 1.0 if spread < 1e-3 else math.exp(4 * spread), 4001)
    ghost = overlap(length, 1.0, spread, *overlap_terms(shape, normal))[0]

    def height(s: float) -> float:
        return float(np.trapezoid(ghost * np.cos(2 * np.pi * length * s), length))

    return 2 * float(brentq(lambda s: height(s) - height(0.0) / 2, 0.05, 2.0))
