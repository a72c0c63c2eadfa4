"""Pair-distance sums of the Debye equation: plain arrays in, plain arrays out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

Array = NDArray[Any]

# one 64-bit word a bin: pairs above bit 36, sum of offsets (1/256 of a bin) below it
_SHIFT = 36
_ONE = 1 << _SHIFT
_MASK = _ONE - 1


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _packed_rows(
    x: Array, y: Array, z: Array, first: int, last: int, low: int, high: int, same: bool,
    scale: Any, bins: Array, word: Array,
) -> None:  # fmt: skip
    for i in range(first, last):
        xi, yi, zi = x[i], y[i], z[i]
        start = i + 1 if same else low
        n = high - start
        for j in range(n):
            dx = x[start + j] - xi
            dy = y[start + j] - yi
            dz = z[start + j] - zi
            word[j] = np.int32(np.sqrt(dx * dx + dy * dy + dz * dz) * scale)
        for j in range(n):
            v = word[j]
            bins[v >> 8] += _ONE + np.int64(v & 255)


@njit(cache=True, parallel=True, error_model="numpy")  # type: ignore[untyped-decorator]
def pair_histogram(
    x: Array, y: Array, z: Array, i0: int, i1: int, j0: int, j1: int, same: bool,
    scale: Any, n_bins: int, chunk: int,
) -> Array:  # fmt: skip
    """Return cloud-in-cell histogram of distances between atoms i0..i1 and j0..j1.

    Parameters
    ----------
    x, y, z : (n,) float32 arrays
    same : bool
        The two ranges are the same; each pair is counted once.
    scale : float32
        256 over the bin width.
    n_bins : int
        Nodes; the largest distance must lie below node ``n_bins - 2``.
    chunk : int
        Rows per work item; at most 8192 so that no packed counter can overflow.

    Returns
    -------
    (n_bins,) float64 array
        Weight at nodes r = k * width.
    """
    n_items = (i1 - i0 + chunk - 1) // chunk
    threads = min(8, n_items)
    total = np.zeros((threads, n_bins))
    for t in prange(threads):
        bins = np.zeros(n_bins, dtype=np.int64)
        word = np.empty(max(j1 - j0, 1), dtype=np.int32)
        for item in range(t, n_items, threads):
            first = i0 + item * chunk
            last = min(first + chunk, i1)
            _packed_rows(x, y, z, first, last, j0, j1, same, scale, bins, word)
            for k in range(n_bins - 1):
                v = bins[k]
                if v != 0:
                    right = (v & _MASK) / 256.0
                    # the integer cut of the offset lost half a unit on average
                    count = np.float64(v >> _SHIFT)
                    right += count / 512.0
                    total[t, k] += count - right
                    total[t, k + 1] += right
                    bins[k] = 0
    summed: Array = total.sum(0)
    return summed


@njit(cache=True, parallel=True, error_model="numpy")  # type: ignore[untyped-decorator]
def pair_moments(
    x: Array, y: Array, z: Array, i0: int, i1: int, j0: int, j1: int, same: bool,
    width: float, n_bins: int, chunk: int,
) -> Array:  # fmt: skip
    """Return Taylor moments of the distances between atoms i0..i1 and j0..j1.

    Returns
    -------
    (n_bins, 8) array
        Sum over pairs of ``d**m / r`` for m = 0..7, where d is the distance from the bin's middle
        in bin widths.
    """
    n_items = (i1 - i0 + chunk - 1) // chunk
    threads = min(8, n_items)
    total = np.zeros((threads, n_bins, 8))
    inverse = 1.0 / width
    for t in prange(threads):
        r = np.empty(max(j1 - j0, 1))
        own = total[t]
        for item in range(t, n_items, threads):
            for i in range(i0 + item * chunk, min(i0 + (item + 1) * chunk, i1)):
                xi, yi, zi = x[i], y[i], z[i]
                start = i + 1 if same else j0
                n = j1 - start
                for j in range(n):
                    dx = x[start + j] - xi
                    dy = y[start + j] - yi
                    dz = z[start + j] - zi
                    r[j] = np.sqrt(dx * dx + dy * dy + dz * dz)
                for j in range(n):
                    f = r[j] * inverse
                    k = int(f)
                    d = f - k - 0.5
                    w = 1.0 / r[j]
                    d2 = d * d
                    d4 = d2 * d2
                    row = own[k]
                    row[0] += w
                    row[1] += w * d
                    row[2] += w * d2
                    row[3] += w * d2 * d
                    row[4] += w * d4
                    row[5] += w * d4 * d
                    row[6] += w * d4 * d2
                    row[7] += w * d4 * d2 * d
    summed: Array = total.sum(0)
    return summed


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def profile_transform(
    weight: Array, s: Array, gauss: Array, lorentz: Array, group: Array, overlap: Array, step: float
) -> Array:  # fmt: skip
    """Return the Fourier transform over L of a phase's reflections.

    Parameters
    ----------
    weight, s : (n,) arrays
        Strength and position (1/Å) of each reflection.
    gauss, lorentz : (n,) arrays
        Damping exp(-gauss L² - lorentz L).
    group : (n,) int array
        Row of ``overlap`` of each reflection.
    overlap : (n_groups, n_L) array
        A(L) at L = k step.
    step : float
        Å.

    Returns
    -------
    (n_L,) complex array
        sum_h w_h A_h(L) exp(-damping) exp(2 pi i L s_h).
    """
    n_l = overlap.shape[1]
    result = np.zeros(n_l, dtype=np.complex128)
    for h in range(len(s)):
        angle = 2 * np.pi * s[h] * step
        turn = complex(np.cos(angle), np.sin(angle))
        phase = complex(weight[h], 0.0)
        row = overlap[group[h]]
        # exp(-g (k step)²) by the recurrence of its ratio
        g = gauss[h] * step * step
        damping = 1.0
        ratio = np.exp(-g - lorentz[h] * step)
        shrink = np.exp(-2 * g)
        for k in range(n_l):
            result[k] += phase * (damping * row[k])
            phase *= turn
            damping *= ratio
            ratio *= shrink
            if damping < 1e-12:
                break
    return result


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def local_cubic(values: Array, start: float, step: float, x: Array) -> Array:
    """Return a uniform curve at x by the cubic through the four nearest points, (len(x),)."""
    n = len(values)
    result = np.empty(len(x))
    for i in range(len(x)):
        u = (x[i] - start) / step
        k = min(max(int(u), 1), n - 3)
        t = u - k
        a, b, c, d = values[k - 1], values[k], values[k + 1], values[k + 2]
        result[i] = (
            -t * (t - 1) * (t - 2) / 6 * a
            + (t + 1) * (t - 1) * (t - 2) / 2 * b
            - (t + 1) * t * (t - 2) / 2 * c
            + (t + 1) * t * (t - 1) / 6 * d
        )
    return result


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def add_weighted_moments(table: Array, r: Array, weight: Array, width: float) -> None:
    """Add weighted distances to a table of Taylor moments, as `pair_moments` makes it."""
    inverse = 1.0 / width
    for j in range(len(r)):
        f = r[j] * inverse
        k = int(f)
        d = f - k - 0.5
        w = weight[j] / r[j]
        for m in range(8):
            table[k, m] += w
            w *= d


@njit(cache=True, parallel=True, error_model="numpy")  # type: ignore[untyped-decorator]
def chain_histogram(
    ax: Array, ay: Array, az: Array, alen: Array, bx: Array, by: Array, bz: Array, blen: Array,
    tx: float, ty: float, tz: float, scale: Any, n_bins: int,
) -> Array:  # fmt: skip
    """Return the cloud-in-cell histogram of distances between atoms of two sets of chains.

    A chain is ``len`` atoms a translation t apart. Two chains have all their differences on one
    line, each met as often as it fits, so that len_a + len_b - 1 distances stand for
    len_a * len_b pairs.

    Parameters
    ----------
    ax, ay, az, bx, by, bz : (n_chains,) float32 arrays
        First atom of each chain, Å.
    alen, blen : (n_chains,) int arrays
        ``blen`` falling.
    tx, ty, tz : float
        Translation, Å.
    scale : float32
        256 over the bin width.
    n_bins : int
    """
    n = len(ax)
    threads = min(8, max(n, 1))
    longest = blen[0]
    reach = np.zeros(longest + 1, dtype=np.int64)  # chains of b longer than k
    for k in range(longest + 1):
        while reach[k] < len(bx) and blen[reach[k]] > k:
            reach[k] += 1
    total = np.zeros((threads, n_bins))
    for t in prange(threads):
        bins = np.zeros(n_bins, dtype=np.int64)
        word = np.empty(len(bx), dtype=np.int32)
        for i in range(t, n, threads):
            la = alen[i]
            for k in range(1 - la, longest):
                m = reach[max(k, 0)]
                x0 = np.float32(ax[i] - k * tx)
                y0 = np.float32(ay[i] - k * ty)
                z0 = np.float32(az[i] - k * tz)
                for j in range(m):
                    dx, dy, dz = bx[j] - x0, by[j] - y0, bz[j] - z0
                    word[j] = np.int32(np.sqrt(dx * dx + dy * dy + dz * dz) * scale)
                most = min(la, k + la)
                for j in range(m):
                    v = word[j]
                    many = min(most, blen[j], blen[j] - k)
                    bins[v >> 8] += many * (_ONE + np.int64(v & 255))
            if (i // threads) % 64 == 63 or i + threads >= n:
                for k in range(n_bins - 1):
                    v = bins[k]
                    if v != 0:
                        count = np.float64(v >> _SHIFT)
                        right = (v & _MASK) / 256.0 + count / 512.0
                        total[t, k] += count - right
                        total[t, k + 1] += right
                        bins[k] = 0
    summed: Array = total.sum(0)
    return summed
