"""A counted decay and its instrument response on common bins, checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.measurement import Measurement
from heterodot.units import convert

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts in equal time bins.

    Attributes
    ----------
    time : (n_bins,) array
        In ``unit``.
    counts : (n_bins,) array
    irf : (n_bins,) array or None
        Instrument response on the same bins, unit sum, background removed.
    width : float
        Of a bin.
    unit : str
    poisson : bool
        Whether the values are counts (whole numbers).
    name : str
    notes : tuple of str
    """

    time: Floats
    counts: Floats
    irf: Floats | None
    width: float
    unit: str
    poisson: bool = True
    name: str = ""
    notes: tuple[str, ...] = ()


def prepare(
    measurement: Measurement,
    irf: Measurement | None = None,
    *,
    window: tuple[float, float] | None = None,
    irf_background: bool = True,
    name: str = "",
) -> Histogram:
    """Return a histogram with its response on the same bins.

    Parameters
    ----------
    measurement, irf : Measurement
        One axis, ``time``. A response on finer bins is summed onto those of the decay.
    window : (low, high), optional
        Times to keep.
    irf_background : bool
        Remove the median of the response's quiet part.

    Raises
    ------
    InputError
        Unsorted or unequal bins, NaN, negative or clipped counts, a response of coarser bins, in
        another unit, or empty.
    """
    t, y, unit, where = _trace(measurement)
    width = _bin_width(t, where)
    notes: list[str] = []
    _check_values(y, where)
    whole = bool(np.all(np.abs(y - np.round(y)) < 1e-6))
    if not whole:
        notes.append("values are not whole counts; their noise is taken from the residual")
    _check_clipping(y, where, whole)
    response = None
    if irf is not None:
        response = _response(irf, t, width, unit, irf_background, notes)
    if window is not None:
        keep = (t >= window[0]) & (t <= window[1])
        if keep.sum() < 8:
            raise InputError(
                f"{int(keep.sum())} bins lie between {window[0]:g} and {window[1]:g} {unit}",
                place=where,
                remedy=f"the times run from {t[0]:g} to {t[-1]:g} {unit}",
            )
        first, last = np.flatnonzero(keep)[[0, -1]]
        if response is not None and response[:first].sum() > 0.01:
            raise InputError(
                "the window cuts into the instrument response",
                place=where,
                remedy="start the window before the rise",
            )
        t, y = t[first : last + 1], y[first : last + 1]
        response = None if response is None else response[first : last + 1]
    return Histogram(t, y, response, width, unit, whole, name, tuple(notes))


def _trace(measurement: Measurement) -> tuple[Floats, Floats, str, str]:
    data, where = measurement.data, measurement.source or measurement.kind
    dims = [d for d in data.dims if data.sizes[d] > 1]
    data = data.squeeze()
    if len(dims) != 1 or str(dims[0]) not in ("time", "delay", "channel"):
        raise InputError(
            f"has axes {', '.join(map(str, data.dims)) or 'none'}, not one of time",
            place=where,
            remedy="pick or sum to one trace, or fit the traces together",
        )
    axis = data[dims[0]]
    unit = str(axis.attrs.get("units") or "")
    if not unit or unit in ("1", "channel"):
        raise InputError(
            "the time axis has no unit", place=where, remedy="give the bin width with its unit"
        )
    try:
        picoseconds = convert(1.0, unit, "ps")
    except InputError as error:
        raise InputError(
            f"the time axis is in '{unit}', which is no time",
            place=where,
            remedy="name the column e.g. 'time (ns)'",
        ) from error
    t = np.asarray(axis.values, dtype=float)
    if t.size < 8:
        raise InputError(f"has {t.size} bins", place=where, remedy="give at least 8")
    step = float(np.median(np.diff(t))) * picoseconds if np.isfinite(t).all() else 1.0
    if step > 1e12 or 0 < step < 1e-4:
        raise InputError(
            f"bins of {step:.3g} ps are not a decay's; the unit '{unit}' seems wrong",
            place=where,
            remedy="correct the unit of the time axis",
        )
    return t, np.asarray(data.values, dtype=float), unit, where


def _bin_width(t: Floats, where: str) -> float:
    if not np.isfinite(t).all():
        raise InputError("the time axis has gaps", place=where, remedy="remove those rows")
    steps = np.diff(t)
    if (steps <= 0).any():
        k = int(np.flatnonzero(steps <= 0)[0])
        raise InputError(
            f"times are not ascending ({t[k]:g} is followed by {t[k + 1]:g})",
            place=where,
            remedy="sort the rows by time",
        )
    width = float((t[-1] - t[0]) / (t.size - 1))
    # printed times are rounded: allow half a unit of the last digit on each
    if np.abs(steps - width).max() > 0.02 * width + 2e-6 * abs(t[-1]):
        raise InputError(
            f"time bins are not equal ({steps.min():.4g} to {steps.max():.4g})",
            place=where,
            remedy="give the raw histogram with equal bins",
        )
    return width


def _check_values(y: Floats, where: str) -> None:
    bad = np.flatnonzero(~np.isfinite(y))
    if bad.size:
        raise InputError(
            f"{bad.size} of {y.size} bins are not numbers (first: bin {bad[0] + 1})",
            place=where,
            remedy="cut the trace with a window or repair the file",
        )
    if (y < 0).any():
        raise InputError(
            f"{int((y < 0).sum())} bins are negative",
            place=where,
            remedy="give raw counts: the background is a parameter of the fit",
        )
    if not y.any():
        raise InputError("all counts are zero", place=where, remedy="check the column")


def _check_clipping(y: Floats, where: str, whole: bool) -> None:
    top = float(y.max())
    flat = np.flatnonzero(y == top)
    longest = _longest_run(y == top)
    full = whole and top in (2.0**k - 1 for k in (12, 14, 15, 16, 24, 32))
    if top > 50 and (longest >= 4 or (full and flat.size >= 2)):
        raise InputError(
            f"{flat.size} bins hold the same maximum of {top:g}: the counts are clipped",
            place=where,
            remedy="record with fewer counts, or start the window after the clipped part",
        )


def _longest_run(flags: NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False].astype(int)))
    return int((edges[1::2] - edges[::2]).max()) if edges.size else 0


def _response(
    irf: Measurement, t: Floats, width: float, unit: str, background: bool, notes: list[str]
) -> Floats:
    ti, yi, irf_unit, where = _trace(irf)
    if irf_unit != unit:
        ti = ti * convert(1.0, irf_unit, unit)
        notes.append(f"response converted from {irf_unit} to {unit}")
    irf_width = _bin_width(ti, where)
    _check_values(yi, where)
    if background:
        quiet = quiet_level(yi)
        if quiet > 0:
            yi = np.maximum(yi - quiet, 0.0)
            notes.append(f"response background of {quiet:.3g} a bin removed")
    ratio = width / irf_width
    if ratio < 1 / 1.01:
        raise InputError(
            f"bins of the response ({irf_width:.4g} {unit}) are coarser than those of the decay "
            f"({width:.4g} {unit})",
            place=where,
            remedy="record the response with the decay's bins or finer ones",
        )
    if abs(ratio - 1.0) < 0.01 and abs((ti[0] - t[0]) / width) < 1e-3 + 0.01:
        out = np.zeros(t.size)
        n = min(t.size, yi.size)
        out[:n] = yi[:n]
    else:
        # counts lie evenly in a bin: the cumulative counts are read at the decay's bin edges
        edges = np.r_[ti - 0.5 * irf_width, ti[-1] + 0.5 * irf_width]
        cumulative = np.r_[0.0, np.cumsum(yi)]
        target = np.r_[t - 0.5 * width, t[-1] + 0.5 * width]
        out = np.diff(np.interp(target, edges, cumulative))
        notes.append(f"response rebinned from {irf_width:.4g} to {width:.4g} {unit}")
    if out.sum() < 0.5 * yi.sum():
        raise InputError(
            "most of the response lies outside the times of the decay",
            place=where,
            remedy="check units and offsets of both time axes",
        )
    if not out.sum() > 0:
        raise InputError("the response is empty", place=where)
    return np.asarray(out / out.sum())


def quiet_level(y: Floats) -> float:
    """Return the background of a peaked trace: the median of bins far below the peak.

    Examples
    --------
    >>> quiet_level(np.r_[np.full(50, 2.0), 100.0, 500.0, 100.0, np.full(50, 2.0)])
    2.0
    """
    low = y < 0.02 * y.max()
    return float(np.median(y[low])) if low.sum() >= 8 else 0.0
