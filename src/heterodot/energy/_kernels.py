"""Numerical kernels of the ionic potential: plain arrays in and out, compiled once.

Every sum runs over one atom's partners in their order, so a result does not depend on the number
of threads. ``reassoc`` lets the compiler add in vector lanes; NaN and infinity keep their meaning.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

_FLAGS = {"reassoc", "contract", "nsz"}


PARALLEL_FROM = 1500  # atoms; below, threads cost more than they bring


def _coulomb_open(
    x: Any, y: Any, z: Any, q: Any, potential: Any, fx: Any, fy: Any, fz: Any
) -> None:
    """Fill potential (q/r) and field (q d/r^3) at every charge of a finite body, direct sum.

    Parameters
    ----------
    x, y, z, q : (n,) arrays
        Positions and charges.
    potential, fx, fy, fz : (n,) arrays, written
        ``sum_j q_j / r_ij`` and ``sum_j q_j (r_i - r_j) / r_ij^3``.
    """
    n = x.shape[0]
    for i in prange(n):
        xi = x[i]
        yi = y[i]
        zi = z[i]
        p = 0.0
        gx = 0.0
        gy = 0.0
        gz = 0.0
        for j in range(i):
            dx = xi - x[j]
            dy = yi - y[j]
            dz = zi - z[j]
            inv2 = 1.0 / (dx * dx + dy * dy + dz * dz)
            v = q[j] * np.sqrt(inv2)
            w = v * inv2
            p += v
            gx += w * dx
            gy += w * dy
            gz += w * dz
        for j in range(i + 1, n):
            dx = xi - x[j]
            dy = yi - y[j]
            dz = zi - z[j]
            inv2 = 1.0 / (dx * dx + dy * dy + dz * dz)
            v = q[j] * np.sqrt(inv2)
            w = v * inv2
            p += v
            gx += w * dx
            gy += w * dy
            gz += w * dz
        potential[i] = p
        fx[i] = gx
        fy[i] = gy
        fz[i] = gz


_serial = njit(cache=True, fastmath=_FLAGS)(_coulomb_open)
_threaded = njit(cache=True, fastmath=_FLAGS, parallel=True)(_coulomb_open)


@njit(cache=True)  # type: ignore[untyped-decorator]
def switch(r: float, on: float, off: float) -> tuple[float, float]:
    """Return the switch that falls smoothly from 1 at ``on`` to 0 at ``off``, and its slope."""
    if r <= on:
        return 1.0, 0.0
    if r >= off:
        return 0.0, 0.0
    t = (r - on) / (off - on)
    value = 1.0 - t * t * t * (10.0 - 15.0 * t + 6.0 * t * t)
    slope = -30.0 * t * t * (1.0 - t) * (1.0 - t) / (off - on)
    return value, slope


@njit(cache=True)  # type: ignore[untyped-decorator]
def repulsion(r: float, contact: float, rho: float, on: float, off: float) -> tuple[float, float]:
    """Return the switched Born-Mayer energy ``rho exp((contact - r)/rho)`` and its slope."""
    s, ds = switch(r, on, off)
    e = np.exp((contact - r) / rho)
    return rho * e * s, -e * s + rho * e * ds


@njit(cache=True)  # type: ignore[untyped-decorator]
def short_range(
    positions: Any,
    kind: Any,
    pairs: Any,
    contact: Any,
    rho: Any,
    on: float,
    off: float,
    forces: Any,
) -> float:
    """Add the repulsion of listed pairs to ``forces`` and return its energy.

    Parameters
    ----------
    positions : (n, 3) array, Å
    kind : (n,) int array
        Row of the pair tables for each atom.
    pairs : (m, 2) int array
        Each pair once; pairs beyond ``off`` add nothing.
    contact, rho : (k, k) arrays, Å
    forces : (n, 3) array, eV/Å, added to
    """
    energy = 0.0
    for m in range(pairs.shape[0]):
        i = pairs[m, 0]
        j = pairs[m, 1]
        dx = positions[i, 0] - positions[j, 0]
        dy = positions[i, 1] - positions[j, 1]
        dz = positions[i, 2] - positions[j, 2]
        r = np.sqrt(dx * dx + dy * dy + dz * dz)
        if r >= off:
            continue
        v, dv = repulsion(r, contact[kind[i], kind[j]], rho[kind[i], kind[j]], on, off)
        energy += v
        g = -dv / r
        forces[i, 0] += g * dx
        forces[i, 1] += g * dy
        forces[i, 2] += g * dz
        forces[j, 0] -= g * dx
        forces[j, 1] -= g * dy
        forces[j, 2] -= g * dz
    return energy


@njit(cache=True)  # type: ignore[untyped-decorator]
def bare_pairs(
    positions: Any, charges: Any, pairs: Any, rate: float, on: float, off: float, forces: Any
) -> float:
    """Add ``q q erfc(rate r) / r`` of listed pairs to ``forces`` and return its energy.

    Switched off between ``on`` and ``off``; units are those of charge² over length.
    """
    energy = 0.0
    for m in range(pairs.shape[0]):
        i = pairs[m, 0]
        j = pairs[m, 1]
        dx = positions[i, 0] - positions[j, 0]
        dy = positions[i, 1] - positions[j, 1]
        dz = positions[i, 2] - positions[j, 2]
        r = np.sqrt(dx * dx + dy * dy + dz * dz)
        if r >= off:
            continue
        s, ds = switch(r, on, off)
        v = math.erfc(rate * r) / r
        dv = -(v + 2.0 * rate / np.sqrt(np.pi) * np.exp(-((rate * r) ** 2))) / r
        qq = charges[i] * charges[j]
        energy += qq * v * s
        g = -qq * (dv * s + v * ds) / r
        forces[i, 0] += g * dx
        forces[i, 1] += g * dy
        forces[i, 2] += g * dz
        forces[j, 0] -= g * dx
        forces[j, 1] -= g * dy
        forces[j, 2] -= g * dz
    return energy


def coulomb(
    positions: NDArray[np.float64], charges: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return potential (n,) and field (n, 3) at point charges, in charge over Å and over Å²."""
    x, y, z = (np.ascontiguousarray(positions[:, k], dtype=float) for k in range(3))
    out = np.empty((4, len(x)))
    fill = _threaded if len(x) > PARALLEL_FROM else _serial
    fill(x, y, z, np.ascontiguousarray(charges, dtype=float), *out)
    return out[0], out[1:].T.copy()
