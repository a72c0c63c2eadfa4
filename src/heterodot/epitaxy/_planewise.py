"""Kernels of the planewise Fourier sums of two half crystals: plain arrays in and out."""

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(cache=True)
def amplitudes(  # type: ignore[no-untyped-def]
    waves, points, depths, weights, charges, kinds, reach, rates, sign
):
    """Return Fourier amplitudes of a half crystal, seen from its surface.

    Parameters
    ----------
    waves : (m, 2) array
        In-plane wave vectors G, 1/Å.
    points : (n, 2) array
        In-plane positions per mesh, Å.
    depths : (n,) array
        Distance behind the surface atom plane, Å, not negative.
    weights : (n,) array
        Occupancy, applied to the repulsion.
    charges : (n,) array
        Already weighted.
    kinds : (n,) int array
        Species of this half crystal, 0..k-1.
    reach : float
        Atoms deeper than this do not take part in the repulsion, Å.
    rates : (k, l) array
        1/rho of each species of this half with each species of the other, 1/Å.
    sign : float
        Sign of the phase: exp(i sign G.r).

    Returns
    -------
    coulomb : (m,) complex array
        sum q exp(i s G r - G d); zero at G = 0.
    plain, weighted : (k, l, m) complex arrays
        sum exp(i s G r - q d) and sum d exp(i s G r - q d) by species, q = sqrt(G^2 + rate^2).
    """
    m = len(waves)
    n_kinds, n_others = rates.shape
    coulomb = np.zeros(m, np.complex128)
    plain = np.zeros((n_kinds, n_others, m), np.complex128)
    weighted = np.zeros((n_kinds, n_others, m), np.complex128)
    for g in range(m):
        gx, gy = waves[g, 0], waves[g, 1]
        length = math.sqrt(gx * gx + gy * gy)
        for i in range(len(depths)):
            d = depths[i]
            if length * d > 40.0 and d > reach:
                continue
            angle = sign * (gx * points[i, 0] + gy * points[i, 1])
            phase = complex(math.cos(angle), math.sin(angle))
            if length > 0:
                coulomb[g] += charges[i] * math.exp(-length * d) * phase
            if d > reach:
                continue
            k = kinds[i]
            for other in range(n_others):
                rate = rates[k, other]
                q = math.sqrt(length * length + rate * rate)
                value = weights[i] * math.exp(-q * d) * phase
                plain[k, other, g] += value
                weighted[k, other, g] += d * value
    return coulomb, plain, weighted


@njit(cache=True)
def spectrum(  # type: ignore[no-untyped-def]
    gap, lengths, coulomb, p_a, w_a, p_b, w_b, rates, strengths, out, slope
):
    """Fill ``out`` with the energy of every wave at a gap and ``slope`` with its derivative.

    Parameters
    ----------
    gap : float
        Distance of the two surface atom planes, Å.
    lengths : (m,) array
        |G|, 1/Å.
    coulomb : (m,) complex array
        Product of both Coulomb amplitudes with all prefactors but exp(-G gap).
    p_a, w_a : (k, l, m), p_b, w_b : (l, k, m) complex arrays
        Amplitudes of both sides.
    rates, strengths : (k, l) array
        1/rho and prefactor of each pair (areas and the mirrored waves of G included).
    out, slope : (m,) complex arrays, written
        eV/Å² and eV/Å³.
    """
    n_a, n_b = rates.shape
    for g in range(len(lengths)):
        length = lengths[g]
        decay = math.exp(-length * gap) if length > 0 else 0.0
        total = coulomb[g] * decay
        change = -length * total
        for a in range(n_a):
            for b in range(n_b):
                rate = rates[a, b]
                q = math.sqrt(length * length + rate * rate)
                front = strengths[a, b] * rate / (q * q * q) * math.exp(-q * gap)
                zero = p_a[a, b, g] * p_b[b, a, g]
                one = w_a[a, b, g] * p_b[b, a, g] + p_a[a, b, g] * w_b[b, a, g]
                # sum of exp(-q z) (1 + q z) with z = gap + depth of one + depth of the other
                total += front * (zero * (1.0 + q * gap) + q * one)
                change -= front * q * q * (zero * gap + one)
        out[g] = total
        slope[g] = change


@njit(cache=True)
def at_shift(waves, values, slopes, x, y):  # type: ignore[no-untyped-def]
    """Return energy, its derivatives by x and y, and by the gap, at one rigid shift."""
    energy = 0.0
    by_x = 0.0
    by_y = 0.0
    by_gap = 0.0
    for g in range(len(waves)):
        angle = waves[g, 0] * x + waves[g, 1] * y
        c, s = math.cos(angle), math.sin(angle)
        real = values[g].real * c - values[g].imag * s
        imag = values[g].real * s + values[g].imag * c
        energy += real
        by_x -= waves[g, 0] * imag
        by_y -= waves[g, 1] * imag
        by_gap += slopes[g].real * c - slopes[g].imag * s
    return energy, by_x, by_y, by_gap


@njit(cache=True)
def shift_map(waves, values, shifts):  # type: ignore[no-untyped-def]
    """Return the energy at many rigid shifts, (n,), eV/Å²."""
    result = np.zeros(len(shifts))
    for n in range(len(shifts)):
        total = 0.0
        for g in range(len(waves)):
            angle = waves[g, 0] * shifts[n, 0] + waves[g, 1] * shifts[n, 1]
            total += values[g].real * math.cos(angle) - values[g].imag * math.sin(angle)
        result[n] = total
    return result
