"""The Debye scattering equation of a finite body, by distance histogram or by exact moments.

I(q) = sum_i |f_i|² + 2 sum_{i<j} Re(f_i f_j*) exp(-(B_i + B_j) s²) sin(q r_ij) / (q r_ij),
with s = q / 4 pi (Debye, Ann. Phys. 46, 809 (1915)). The self terms carry no Debye-Waller factor:
what displacement takes from the interference comes back as diffuse scattering.

Distances go into a grid by cloud-in-cell weights whose mean blur (sinc²) is divided out, or into
Taylor moments (eight terms a bin), which are exact to rounding; both are then summed over q by a
chirp-z transform, so that the number of points costs nearly nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.progress import Progress, silent

Floats = NDArray[np.float64]

TOLERANCE = 1e-4  # of the maximum, for the histogram
_PHASE_HISTOGRAM = 0.02  # largest q times bin width
_PHASE_MOMENTS = 0.4
_CLOSEST = 0.4  # Å; nothing real is nearer


@dataclass(frozen=True, eq=False)
class PairSums:
    """Pair distances of a body, sorted by pair of elements, ready to be summed at any q.

    Attributes
    ----------
    elements : tuple of str
    counts : (n_elements,) int array
        Atoms of each.
    pairs : tuple of (int, int)
        Which elements each row of ``table`` is of.
    table : (n_pairs, n_bins) or (n_pairs, n_bins, 8) array
        Cloud-in-cell weights at r = k width, or Taylor moments about r = (k + 1/2) width.
    width : float
        Bin width, Å.
    longest : float
        Longest distance, Å.
    """

    elements: tuple[str, ...]
    counts: NDArray[np.int64]
    pairs: tuple[tuple[int, int], ...]
    table: Floats
    width: float
    longest: float

    @property
    def exact(self) -> bool:
        """Whether these are moments."""
        return self.table.ndim == 3

    def coarser(self) -> PairSums:
        """Return the same histogram on nodes twice as far apart (exactly what it would have held)."""
        table = self.table
        if table.shape[1] % 2 == 0:
            table = np.pad(table, ((0, 0), (0, 1)))
        even = table[:, ::2].copy()
        odd = table[:, 1::2]
        even[:, :-1] += odd / 2
        even[:, 1:] += odd / 2
        return PairSums(self.elements, self.counts, self.pairs, even, 2 * self.width, self.longest)

    def sums(self, q0: float, step: float, n: int) -> Floats:
        """Return sum over pairs of sin(q r)/(q r) at q0 + k step, (n_pairs, n)."""
        from scipy.signal import CZT

        n_bins = self.table.shape[1]
        q = q0 + step * np.arange(n)
        w = np.exp(1j * step * self.width)
        a = np.exp(-1j * q0 * self.width)
        transform = CZT(n_bins, n, w, a)
        if not self.exact:
            r = self.width * np.arange(n_bins)
            weights = self.table[:, 1:] / r[1:]
            total = transform(np.pad(weights, ((0, 0), (1, 0))), axis=1).imag / q
            blur = np.sinc(q * self.width / 2 / np.pi) ** 2
            return np.asarray(total / blur, dtype=float)
        middle = np.exp(1j * q * self.width / 2)
        result = np.zeros((len(self.pairs), n), dtype=complex)
        factor = np.ones(n, dtype=complex)
        for m in range(self.table.shape[2]):
            result += transform(self.table[:, :, m], axis=1) * factor
            factor = factor * (1j * q * self.width) / (m + 1)
        return np.asarray((result * middle).imag / q, dtype=float)


def sort_atoms(
    symbols: Sequence[str], positions: Floats
) -> tuple[tuple[str, ...], NDArray[np.int64], Floats, NDArray[np.int64]]:
    """Return elements, counts, positions sorted by element and the order that sorts them."""
    names = np.asarray(symbols)
    elements, index = np.unique(names, return_inverse=True)
    order = np.argsort(index, kind="stable")
    points = np.asarray(positions, dtype=float).reshape(-1, 3)
    if len(points) != len(names) or len(points) == 0:
        raise InputError("there are no atoms, or symbols and positions differ", place="particle")
    if not np.isfinite(points).all():
        raise InputError("a position is not finite", place="particle")
    counts = np.bincount(index, minlength=len(elements)).astype(np.int64)
    return tuple(str(e) for e in elements), counts, points[order], order


def pair_sums(
    symbols: Sequence[str],
    positions: Floats,
    q_max: float,
    *,
    exact: bool = False,
    progress: Progress = silent,
) -> PairSums:
    """Return the pair distances of a body up to its own diameter.

    Parameters
    ----------
    symbols : sequence of str
    positions : (n_atoms, 3) array
        Å.
    q_max : float
        Largest momentum transfer that will be asked for, 1/Å; sets the bins.
    exact : bool
        Taylor moments (relative error below 1e-8) instead of a histogram.

    Raises
    ------
    InputError
        No atoms, or two atoms nearer than 0.4 Å.

    Notes
    -----
    Work grows as the square of the number of atoms: about 2 ns a pair for the histogram, 7 ns for
    moments, on one core of 2023.
    """
    elements, counts, points, _ = sort_atoms(symbols, positions)
    points = points - points.mean(0)
    longest = _diameter(points)
    n = len(points)
    bounds = np.concatenate([[0], np.cumsum(counts)])
    pairs = tuple((a, b) for a in range(len(elements)) for b in range(a, len(elements)))
    width = (_PHASE_MOMENTS if exact else _PHASE_HISTOGRAM) / q_max
    n_bins = int(longest / width) + 4
    if n_bins * len(pairs) * (64 if exact else 8) > 4e9:
        raise InputError(
            f"the body is {longest:.3g} Å across, too large for one histogram",
            place="particle",
            remedy="check the unit of the positions (Å), or take fewer atoms",
        )
    table = np.zeros((len(pairs), n_bins, 8) if exact else (len(pairs), n_bins))
    done = 0.0
    chunk = int(np.clip(n // 64, 16, 8192))
    for row, (a, b) in enumerate(pairs):
        span = (int(bounds[a]), int(bounds[a + 1]), int(bounds[b]), int(bounds[b + 1]))
        table[row] = _block(points, span, a == b, exact, width, n_bins, chunk)
        work = counts[a] * counts[b] / (2 if a == b else 1)
        done += float(work)
        progress("pair distances", min(done / max(n * (n - 1) / 2, 1), 1.0))
    near = int(_CLOSEST / width)
    closest = table[:, :near, 0] if exact else table[:, :near]
    if np.any(closest != 0):
        raise InputError(
            f"two atoms are nearer than {_CLOSEST} Å",
            place="particle",
            remedy="check for doubled atoms or positions that are not in Å",
        )
    return PairSums(elements, counts, pairs, table, width, longest)


def _block(
    points: Floats,
    span: tuple[int, int, int, int],
    same: bool,
    exact: bool,
    width: float,
    n_bins: int,
    chunk: int,
) -> Floats:
    from heterodot.probes.xrd import _kernels

    if exact:
        x, y, z = (np.ascontiguousarray(points[:, k]) for k in range(3))
        found = _kernels.pair_moments(x, y, z, *span, same, width, n_bins, chunk)
    else:
        single = [np.ascontiguousarray(points[:, k], dtype=np.float32) for k in range(3)]
        scale = np.float32(256.0 / width)
        found = _kernels.pair_histogram(*single, *span, same, scale, n_bins, chunk)
    return np.asarray(found, dtype=float)


def _diameter(points: Floats) -> float:
    """Return an upper bound of the longest distance, Å."""
    radius = np.linalg.norm(points, axis=1).max() if len(points) > 1 else 0.0
    box = np.linalg.norm(np.ptp(points, axis=0))
    return float(min(2 * radius, box)) + 0.1


def intensity(
    sums: PairSums,
    q0: float,
    step: float,
    n: int,
    b_iso: Sequence[float],
    extra: Sequence[complex] | None = None,
    partial: Floats | None = None,
) -> Floats:
    """Return I(q) in squared electrons at q0 + k step, (n,).

    Parameters
    ----------
    sums : PairSums
    q0, step : float
        1/Å.
    n : int
    b_iso : sequence of float
        B of each element of ``sums.elements``, Å².
    extra : sequence of complex, optional
        f' + i f'' of each element.
    partial : (n_pairs, n) array, optional
        What ``sums.sums(q0, step, n)`` gave, if it is there already.
    """
    from heterodot.probes.xrd.scattering import form_factors

    q = np.asarray(q0 + step * np.arange(n), dtype=float)
    f = form_factors(sums.elements, q).astype(complex)
    if extra is not None:
        f = f + np.asarray(extra)[:, None]
    s2 = (q / (4 * np.pi)) ** 2
    damping = np.exp(-np.asarray(b_iso, dtype=float)[:, None] * s2)
    partial = sums.sums(q0, step, n) if partial is None else partial
    total = (sums.counts[:, None] * np.abs(f) ** 2).sum(0)
    for row, (a, b) in enumerate(sums.pairs):
        total = total + 2 * (f[a] * f[b].conj()).real * damping[a] * damping[b] * partial[row]
    return np.asarray(total, dtype=float)


def histogram_error(sums: PairSums, q0: float, step: float, n: int, *args: Any) -> float:
    """Return the error of a histogram pattern as a fraction of its maximum, estimated.

    The pattern is made once more from nodes twice as far apart. The error falls with the square
    of that distance on average, but not for each single distance of a perfect lattice, so the
    whole difference is given, which is about three times the error of the finer pattern.
    """
    fine = intensity(sums, q0, step, n, *args)
    coarse = intensity(sums.coarser(), q0, step, n, *args)
    return float(np.abs(fine - coarse).max() / np.abs(fine).max())


def debye(
    symbols: Sequence[str],
    positions: Floats,
    q: Floats,
    *,
    b_iso: float | Sequence[float] = 0.0,
    exact: bool = False,
    wavelength: float | None = None,
) -> Floats:
    """Return the Debye intensity of a body at any q, in squared electrons, (n_q,).

    Parameters
    ----------
    symbols : sequence of str
    positions : (n_atoms, 3) array
        Å.
    q : (n_q,) array
        1/Å, positive.
    b_iso : float or one per element (in alphabetical order)
        Å².
    exact : bool
        Good to 1e-6 of the maximum instead of 1e-4.
    wavelength : float, optional
        Å; adds dispersion.

    Examples
    --------
    >>> import numpy as np
    >>> q = np.array([1.0, 2.0])
    >>> pair = debye(["Pb", "Pb"], np.array([[0, 0, 0], [3.0, 0, 0]]), q, exact=True)
    >>> alone = debye(["Pb"], np.zeros((1, 3)), q, exact=True)
    >>> np.allclose(pair / alone, 2 + 2 * np.sin(3 * q) / (3 * q), atol=1e-6)
    True
    """
    from heterodot.probes.xrd.scattering import dispersion

    q = np.asarray(q, dtype=float)
    if not np.isfinite(q).all() or (q <= 0).any():
        raise InputError("q must be positive", place="q")
    sums = pair_sums(symbols, positions, float(q.max()), exact=exact)
    b = np.broadcast_to(np.asarray(b_iso, dtype=float), len(sums.elements))
    extra = None if wavelength is None else list(dispersion(sums.elements, wavelength))
    start, step, n = uniform_grid(float(q.min()), float(q.max()), sums.longest, exact)
    return resample(intensity(sums, start, step, n, list(b), extra), start, step, q)


def uniform_grid(low: float, high: float, longest: float, exact: bool) -> tuple[float, float, int]:
    """Return start, step and number of a q grid that a cubic spline reads without loss."""
    step = (0.04 if exact else 0.2) / max(longest, 20.0)
    n = max(math.ceil((high - low) / step) + 1, 8)
    return low, (high - low) / (n - 1) if high > low else step, n


def resample(values: Floats, start: float, step: float, q: Floats) -> Floats:
    """Return a uniform curve at any q by cubic spline."""
    from scipy.interpolate import CubicSpline

    return np.asarray(CubicSpline(start + step * np.arange(len(values)), values)(q), dtype=float)
