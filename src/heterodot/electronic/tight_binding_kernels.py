"""Kernel of tight binding: a sparse real hopping matrix and p spin-orbit coupling on many spinors.

Hoppings do not touch the spin and are real, so a block of spinors is multiplied as real columns;
only the on-site spin-orbit coupling mixes them. Rows are independent, so the result does not
depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

from numba import njit, prange

_FLAGS = {"contract", "nsz"}


PARALLEL_FROM = (
    15_000  # rows; below, threads cost more than they bring, on a busy machine much more
)


def _apply_shifted(
    indptr: Any,
    indices: Any,
    data: Any,
    kind: Any,
    strength: Any,
    shift: float,
    factor: float,
    add: float,
    x: Any,
    z: Any,
    out: Any,
) -> None:
    """Fill ``out = factor * (H x - shift x) + add * z``.

    Parameters
    ----------
    indptr, indices, data : CSR of the real orbital matrix (n, n)
    kind : (n,) int array
        0 no spin-orbit coupling, 1, 2, 3 for the px, py, pz row of an atom that has it; the three
        rows follow one another.
    strength : (n,) array
        Factor of L·sigma of the row.
    x, z, out : (n, 4 b) real arrays
        Columns of a spinor: Re up, Im up, Re down, Im down.
    """
    n, columns = x.shape
    shift = x.dtype.type(shift)
    factor = x.dtype.type(factor)
    add = x.dtype.type(add)
    for i in prange(n):
        row = out[i]
        own = x[i]
        for c in range(columns):
            row[c] = -shift * own[c]
        for p in range(indptr[i], indptr[i + 1]):
            v = data[p]
            other = x[indices[p]]
            for c in range(columns):
                row[c] += v * other[c]
        what = kind[i]
        if what != 0:
            f = strength[i]
            if what == 1:
                py = x[i + 1]
                pz = x[i + 2]
                for c in range(0, columns, 4):
                    row[c] += f * (py[c + 1] + pz[c + 2])
                    row[c + 1] += f * (-py[c] + pz[c + 3])
                    row[c + 2] += f * (-py[c + 3] - pz[c])
                    row[c + 3] += f * (py[c + 2] - pz[c + 1])
            elif what == 2:
                px = x[i - 1]
                pz = x[i + 1]
                for c in range(0, columns, 4):
                    row[c] += f * (-px[c + 1] + pz[c + 3])
                    row[c + 1] += f * (px[c] - pz[c + 2])
                    row[c + 2] += f * (px[c + 3] + pz[c + 1])
                    row[c + 3] += f * (-px[c + 2] - pz[c])
            else:
                px = x[i - 2]
                py = x[i - 1]
                for c in range(0, columns, 4):
                    row[c] += f * (-py[c + 3] - px[c + 2])
                    row[c + 1] += f * (py[c + 2] - px[c + 3])
                    row[c + 2] += f * (-py[c + 1] + px[c])
                    row[c + 3] += f * (py[c] + px[c + 1])
        rest = z[i]
        for c in range(columns):
            row[c] = factor * row[c] + add * rest[c]


_serial = njit(cache=True, fastmath=_FLAGS)(_apply_shifted)
_threaded = njit(cache=True, fastmath=_FLAGS, parallel=True)(_apply_shifted)


def apply_shifted(indptr: Any, *rest: Any) -> None:
    """Fill ``out = factor * (H x - shift x) + add * z`` (see `_apply_shifted`), threaded if large."""
    (_threaded if len(indptr) > PARALLEL_FROM else _serial)(indptr, *rest)
