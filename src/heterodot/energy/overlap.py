"""Overlap of contracted Gaussians, applied to orbitals without storing the matrix.

Recursion of Obara and Saika, J. Chem. Phys. 84, 3963 (1986); real solid harmonics by the recursion
in Helgaker, Jorgensen and Olsen, Molecular Electronic-Structure Theory (2000), section 6.4.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

if TYPE_CHECKING:
    from heterodot.energy.molden import GaussianShell

Array = NDArray[np.float64]
HIGHEST = 4
FAR = 25.0  # exp(-25) is 1e-11: pairs of Gaussians farther apart are left out


def monomials(angular: int) -> list[tuple[int, int, int]]:
    """Return the powers of x, y, z of degree ``angular``."""
    return [
        (a, b, angular - a - b) for a in range(angular, -1, -1) for b in range(angular - a, -1, -1)
    ]


@functools.cache
def solid_harmonics() -> dict[tuple[int, int], dict[tuple[int, int, int], float]]:
    """Return ``r^l Y_lm`` (normalized over the sphere) as polynomials, up to l = 4.

    Examples
    --------
    >>> y = solid_harmonics()[2, -2]
    >>> [(powers, round(float(c), 4)) for powers, c in y.items()]  # xy sqrt(15 / 4 pi)
    [((1, 1, 0), 1.0925)]
    """
    Poly = dict[tuple[int, int, int], float]

    def times(p: Poly, x: int, y: int, z: int, c: float) -> Poly:
        return {(a + x, b + y, d + z): c * v for (a, b, d), v in p.items()}

    def total(*parts: Poly) -> Poly:
        found: Poly = {}
        for part in parts:
            for powers, v in part.items():
                found[powers] = found.get(powers, 0.0) + v
        return {powers: v for powers, v in found.items() if abs(v) > 1e-14}

    s: dict[tuple[int, int], Poly] = {(0, 0): {(0, 0, 0): 1.0}}
    for n in range(HIGHEST):
        top = np.sqrt((2.0 if n == 0 else 1.0) * (2 * n + 1) / (2 * n + 2))
        minus = s.get((n, -n), {}) if n else {}
        s[n + 1, n + 1] = total(times(s[n, n], 1, 0, 0, top), times(minus, 0, 1, 0, -top))
        s[n + 1, -n - 1] = total(times(s[n, n], 0, 1, 0, top), times(minus, 1, 0, 0, top))
        for m in range(-n, n + 1):
            below = s.get((n - 1, m), {})
            c = 1 / np.sqrt((n + m + 1) * (n - m + 1))
            down = -np.sqrt((n + m) * (n - m)) * c
            squares = [times(below, *axis, down) for axis in ((2, 0, 0), (0, 2, 0), (0, 0, 2))]
            s[n + 1, m] = total(times(s[n, m], 0, 0, 1, (2 * n + 1) * c), *squares)
    return {
        (n, m): {k: v * float(np.sqrt((2 * n + 1) / (4 * np.pi))) for k, v in p.items()}
        for (n, m), p in s.items()
    }


@functools.cache
def _tables() -> tuple[Array, NDArray[np.int64]]:
    """Return spherical functions over monomials (5, 9, 15) and the powers (5, 15, 3)."""
    from heterodot.energy.molden import ORDER

    weights = np.zeros((HIGHEST + 1, 2 * HIGHEST + 1, 15))
    powers = np.zeros((HIGHEST + 1, 15, 3), dtype=np.int64)
    for n in range(HIGHEST + 1):
        for c, mono in enumerate(monomials(n)):
            powers[n, c] = mono
            for row, m in enumerate(ORDER[n]):
                weights[n, row, c] = solid_harmonics()[n, m].get(mono, 0.0)
    return weights, powers


def overlap_times(shells: Sequence[GaussianShell], positions: Array, coefficients: Array) -> Array:
    """Return overlap matrix times orbital coefficients.

    Parameters
    ----------
    shells : sequence of GaussianShell
        Normalized as a whole here, whatever the scale of their coefficients.
    positions : (n_atoms, 3) array
        Bohr.
    coefficients : (n_functions, k) array

    Returns
    -------
    (n_functions, k) array
    """
    angular = np.array([s.angular for s in shells], dtype=np.int64)
    counts = np.array([len(s.exponents) for s in shells], dtype=np.int64)
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    exponents = np.concatenate([s.exponents for s in shells])
    scaled = np.concatenate([_normalized(s) for s in shells])
    functions = np.concatenate([[0], np.cumsum(2 * angular + 1)]).astype(np.int64)
    centers = np.ascontiguousarray(positions[[s.atom for s in shells]], dtype=float)
    lowest = np.array([s.exponents.min() for s in shells])
    out = np.zeros_like(coefficients, dtype=float)
    weights, powers = _tables()
    _apply(
        angular, first, exponents, scaled, functions, centers, lowest, weights, powers,
        np.ascontiguousarray(coefficients, dtype=float), out,
    )  # fmt: skip
    return out


def _normalized(shell: GaussianShell) -> Array:
    """Return coefficients over bare Gaussians that make the contracted shell normal."""
    from scipy.special import gamma

    n, a = shell.angular, shell.exponents
    c = shell.coefficients * np.sqrt(2 * (2 * a) ** (n + 1.5) / gamma(n + 1.5))
    pair = gamma(n + 1.5) / (2 * (a[:, None] + a[None, :]) ** (n + 1.5))
    return np.asarray(c / np.sqrt(c @ pair @ c))


@njit(cache=True)  # type: ignore[untyped-decorator]
def _axis(i_max: int, j_max: int, pa: float, pb: float, p: float, s0: float, table: Any) -> None:
    table[0, 0] = s0
    for i in range(i_max):
        table[i + 1, 0] = pa * table[i, 0]
        if i > 0:
            table[i + 1, 0] += i * table[i - 1, 0] / (2 * p)
    for j in range(j_max):
        for i in range(i_max + 1):
            v = pb * table[i, j]
            if i > 0:
                v += i * table[i - 1, j] / (2 * p)
            if j > 0:
                v += j * table[i, j - 1] / (2 * p)
            table[i, j + 1] = v


@njit(cache=True)  # type: ignore[untyped-decorator]
def _apply(
    angular: Any, first: Any, exponents: Any, scaled: Any, functions: Any, centers: Any,
    lowest: Any, weights: Any, powers: Any, coefficients: Any, out: Any,
) -> None:  # fmt: skip
    ns = angular.shape[0]
    k = coefficients.shape[1]
    tables = np.zeros((3, 6, 6))
    cart = np.zeros((15, 15))
    half = np.zeros((9, 15))
    block = np.zeros((9, 9))
    for s in range(ns):
        for t in range(s + 1):
            d0 = centers[s, 0] - centers[t, 0]
            d1 = centers[s, 1] - centers[t, 1]
            d2 = centers[s, 2] - centers[t, 2]
            r2 = d0 * d0 + d1 * d1 + d2 * d2
            if lowest[s] * lowest[t] / (lowest[s] + lowest[t]) * r2 > FAR:
                continue
            la, lb = angular[s], angular[t]
            na, nb = (la + 1) * (la + 2) // 2, (lb + 1) * (lb + 2) // 2
            cart[:na, :nb] = 0.0
            for u in range(first[s], first[s + 1]):
                for v in range(first[t], first[t + 1]):
                    a, b = exponents[u], exponents[v]
                    p = a + b
                    mu = a * b / p
                    if mu * r2 > FAR:
                        continue
                    for x in range(3):
                        d = centers[s, x] - centers[t, x]
                        s0 = np.sqrt(np.pi / p) * np.exp(-mu * d * d)
                        _axis(la, lb, -b / p * d, a / p * d, p, s0, tables[x])
                    w = scaled[u] * scaled[v]
                    for i in range(na):
                        for j in range(nb):
                            cart[i, j] += (
                                w
                                * tables[0, powers[la, i, 0], powers[lb, j, 0]]
                                * tables[1, powers[la, i, 1], powers[lb, j, 1]]
                                * tables[2, powers[la, i, 2], powers[lb, j, 2]]
                            )
            ma, mb = 2 * la + 1, 2 * lb + 1
            for i in range(ma):
                for j in range(nb):
                    total = 0.0
                    for c in range(na):
                        total += weights[la, i, c] * cart[c, j]
                    half[i, j] = total
            for i in range(ma):
                for j in range(mb):
                    total = 0.0
                    for c in range(nb):
                        total += half[i, c] * weights[lb, j, c]
                    block[i, j] = total
            fa, fb = functions[s], functions[t]
            for i in range(ma):
                for j in range(mb):
                    v = block[i, j]
                    if v == 0.0:
                        continue
                    for q in range(k):
                        out[fa + i, q] += v * coefficients[fb + j, q]
                    if s != t:
                        for q in range(k):
                            out[fb + j, q] += v * coefficients[fa + i, q]
