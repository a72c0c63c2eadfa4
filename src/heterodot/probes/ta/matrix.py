"""A transient-absorption matrix made ready for a fit: axes, gaps, spikes, noise, background.

Nothing here moves, smooths or interpolates data: points are left out or weighted, and the
background before time zero may be subtracted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.measurement import Measurement
from heterodot.units import convert

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Matrix:
    """Difference absorbance over delay and wavelength.

    Attributes
    ----------
    name : str
        Of the data set, as schemes call it.
    time : (n_times,) array
        Ascending, in ``time_unit``.
    wavelength : (n_wavelengths,) array
        Ascending, nm.
    values : (n_times, n_wavelengths) array
        Zero where ``mask`` is False.
    mask : (n_times, n_wavelengths) array of bool
        Points that count.
    sigma : (n_wavelengths,) or (n_times, n_wavelengths) array
        Standard deviation of a point (relative sizes if not ``known``).
    known : bool
        Whether ``sigma`` was measured (repeated scans, or given), not estimated.
    time_unit, unit : str
    notes : tuple of str
        What was left out or estimated.
    """

    name: str
    time: Floats
    wavelength: Floats
    values: Floats
    mask: NDArray[np.bool_]
    sigma: Floats
    known: bool
    time_unit: str = "ps"
    unit: str = ""
    notes: tuple[str, ...] = ()


def prepare(
    measurement: Measurement,
    *,
    name: str = "",
    sigma: Floats | float | None = None,
    background: float | None = None,
    exclude: Sequence[tuple[float, float]] = (),
    times: tuple[float, float] | None = None,
    wavelengths: tuple[float, float] | None = None,
    spikes: float | None = 10.0,
) -> Matrix:
    """Return the matrix of a measurement, checked.

    Parameters
    ----------
    measurement : Measurement
        Two dimensions, delay and wavelength (or energy), in any order; a third named ``scan``
        holds repeats, which are averaged and give the noise.
    name : str
    sigma : float or array, optional
        Known standard deviation.
    background : float, optional
        The mean of all delays before this one is subtracted, wavelength by wavelength.
    exclude : sequence of (low, high)
        Wavelengths to leave out, nm (pump scatter).
    times, wavelengths : (low, high), optional
        Range to keep.
    spikes : float or None
        Points this many noise widths from the median of their four neighbors in time are left
        out; None keeps all.

    Raises
    ------
    InputError
        Not two axes, unsorted or repeated delays, too few points, no finite values.
    """
    data = measurement.data
    where = measurement.source or measurement.kind
    notes: list[str] = []
    if "scan" in data.dims and data.sizes["scan"] > 1:
        data = data.transpose("scan", ...)
    elif "scan" in data.dims:
        data = data.isel(scan=0)
    time_dim, spectral_dim = _dims(data, where)
    order = (*(d for d in data.dims if d == "scan"), time_dim, spectral_dim)
    cube = np.asarray(data.transpose(*order).values, dtype=float)
    t = np.asarray(data[time_dim].values, dtype=float)
    time_unit = str(data[time_dim].attrs.get("units") or "ps")
    wavelength = _nanometres(data[spectral_dim], where)
    _check_time(t, where)
    _check_unit(t, time_unit, where)
    if cube.ndim == 3:
        values, given = _repeats(cube, notes)
        sigma = given if sigma is None else sigma
    else:
        values = cube
    by = np.argsort(wavelength, kind="stable")
    wavelength, values = wavelength[by], values[:, by]
    if isinstance(sigma, np.ndarray) and sigma.ndim:
        sigma = sigma[..., by]
    keep_t = np.ones(t.size, bool) if times is None else (t >= times[0]) & (t <= times[1])
    keep_w = np.ones(wavelength.size, bool)
    if wavelengths is not None:
        keep_w &= (wavelength >= wavelengths[0]) & (wavelength <= wavelengths[1])
    for low, high in exclude:
        keep_w &= ~((wavelength >= low) & (wavelength <= high))
    finite = np.isfinite(values)
    empty_t, empty_w = ~finite.any(axis=1), ~finite[keep_t].any(axis=0)
    if (empty_t & keep_t).any():
        notes.append(f"{int((empty_t & keep_t).sum())} empty delays are left out")
    if (empty_w & keep_w).any():
        notes.append(f"{int((empty_w & keep_w).sum())} empty wavelengths are left out")
    keep_t &= ~empty_t
    keep_w &= ~empty_w
    if keep_t.sum() < 5 or keep_w.sum() < 1:
        raise InputError(
            f"{int(keep_t.sum())} delays and {int(keep_w.sum())} wavelengths are left to fit",
            place=where,
            remedy="widen the ranges or check the file",
        )
    t, wavelength = t[keep_t], wavelength[keep_w]
    values = values[np.ix_(keep_t, keep_w)]
    mask = np.isfinite(values)
    if not mask.all():
        notes.append(f"{int((~mask).sum())} points without a number are left out")
    if isinstance(sigma, np.ndarray) and sigma.ndim:
        sigma = sigma[np.ix_(keep_t, keep_w)] if sigma.ndim == 2 else sigma[keep_w]
    values = np.where(mask, values, 0.0)
    if background is not None:
        values = _without_background(t, values, mask, background, where)
        notes.append(f"mean before {background:g} {time_unit} subtracted")
    if sigma is not None:
        spread = np.broadcast_to(
            np.asarray(sigma, float), values.shape if np.ndim(sigma) == 2 else wavelength.shape
        )
        if not (np.isfinite(spread).all() and (spread > 0).all()):
            raise InputError("the noise must be positive everywhere", place=where)
    else:
        spread = noise(values, mask)
    if spikes is not None:
        bad = _spikes(t, values, mask, spread, spikes)
        if bad.any():
            notes.append(f"{int(bad.sum())} spikes are left out")
            mask = mask & ~bad
    return Matrix(
        name,
        t,
        wavelength,
        np.where(mask, values, 0.0),
        mask,
        np.asarray(spread, dtype=float),
        sigma is not None,
        time_unit,
        str(data.attrs.get("units", "")),
        tuple(notes),
    )


def _dims(data: xr.DataArray, where: str) -> tuple[str, str]:
    dims = [str(d) for d in data.dims if str(d) != "scan"]
    time = [d for d in dims if d in ("time", "delay")]
    spectral = [d for d in dims if d in ("wavelength", "energy", "wavenumber")]
    if len(dims) != 2 or len(time) != 1 or len(spectral) != 1:
        raise InputError(
            f"has axes {', '.join(dims) or 'none'}, not delay and wavelength",
            place=where,
            remedy="give a matrix with the axes 'time' and 'wavelength'",
        )
    return time[0], spectral[0]


def _nanometres(axis: xr.DataArray, where: str) -> Floats:
    from scipy.constants import c, e, h

    x: Floats = np.asarray(axis.values, dtype=np.float64)
    unit = str(axis.attrs.get("units") or "nm")
    if not np.isfinite(x).all() or (x <= 0).any():
        raise InputError("the spectral axis has points without a positive number", place=where)
    if unit == "eV":
        x = h * c / e * 1e9 / x
    elif unit in ("1/cm", "cm-1", "cm^-1"):
        x = 1e7 / x
    else:
        x = x * convert(1.0, unit, "nm")
    if np.unique(x).size != x.size:
        raise InputError("wavelengths are repeated", place=where, remedy="remove the repeats")
    return x


def _check_time(t: Floats, where: str) -> None:
    if not np.isfinite(t).all():
        raise InputError(
            f"delay {int(np.flatnonzero(~np.isfinite(t))[0]) + 1} is not a number",
            place=where,
            remedy="remove that row",
        )
    steps = np.diff(t)
    if (steps < 0).any():
        k = int(np.flatnonzero(steps < 0)[0])
        raise InputError(
            f"delays are not sorted ({t[k]:g} is followed by {t[k + 1]:g})",
            place=where,
            remedy="sort the rows by delay",
        )
    if (steps == 0).any():
        k = int(np.flatnonzero(steps == 0)[0])
        raise InputError(
            f"delay {t[k]:g} comes twice", place=where, remedy="average or remove repeats"
        )


def _check_unit(t: Floats, unit: str, where: str) -> None:
    """Refuse delays that no pump-probe line or flash can have."""
    try:
        step = float(np.median(np.diff(t))) * convert(1.0, unit, "ps") if t.size > 1 else 1.0
    except InputError as error:
        raise InputError(
            f"the delays are in '{unit}', which is no time",
            place=where,
            remedy="give the unit of the delays, e.g. ps",
        ) from error
    if step > 1e13 or step < 1e-5:
        raise InputError(
            f"steps of {step:.3g} ps between delays cannot be; the unit '{unit}' seems wrong",
            place=where,
            remedy="correct the unit of the delays",
        )


def _repeats(cube: Floats, notes: list[str]) -> tuple[Floats, Floats]:
    """Return mean over scans and its standard error by wavelength (pooled over delays)."""
    import warnings

    n = np.isfinite(cube).sum(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        mean = np.nanmean(cube, axis=0)
        spread = np.nanvar(cube, axis=0, ddof=1)
        # a scan-wide drift is noise of the mean as well, so it stays in
        pooled = np.nanmean(np.where(n > 1, spread / np.maximum(n, 1), np.nan), axis=0)
    pooled = np.where(np.isfinite(pooled) & (pooled > 0), pooled, np.nanmedian(pooled))
    notes.append(f"noise from {cube.shape[0]} scans, pooled over delays")
    return mean, np.sqrt(pooled)


def _without_background(
    t: Floats, values: Floats, mask: NDArray[np.bool_], before: float, where: str
) -> Floats:
    early = t < before
    if not early.any():
        raise InputError(
            f"no delay lies before {before:g}",
            place=where,
            remedy=f"give a background limit above {t[0]:g}",
        )
    count = np.maximum(mask[early].sum(axis=0), 1)
    return np.asarray(np.where(mask, values - values[early].sum(axis=0) / count, 0.0))


def noise(values: Floats, mask: NDArray[np.bool_] | None = None) -> Floats:
    """Return the noise of every wavelength from second differences in time.

    The median absolute second difference, which a smooth signal hardly enters. Where the values
    of all wavelengths agree within what their number of delays allows, one common value is given.

    Parameters
    ----------
    values : (n_times, n_wavelengths) array

    Returns
    -------
    (n_wavelengths,) array
    """
    if values.shape[0] < 8:
        return np.full(values.shape[1], 1.0)
    second = values[:-2] - 2.0 * values[1:-1] + values[2:]
    if mask is not None:
        second = np.where(mask[:-2] & mask[1:-1] & mask[2:], second, np.nan)
    spread = np.nanmedian(np.abs(second), axis=0) / (0.6745 * np.sqrt(6.0))
    typical = float(np.nanmedian(spread))
    if not typical > 0:
        return np.full(values.shape[1], 1.0)
    spread = np.where(spread > 0.05 * typical, spread, typical)
    # the scatter of a median absolute deviation of n correlated differences is about 1.3/sqrt(n)
    expected = 1.3 / np.sqrt(values.shape[0])
    scatter = float(np.nanstd(np.log(spread)))
    if scatter < 1.6 * expected:
        return np.full(values.shape[1], typical)
    return np.asarray(spread)


def _spikes(
    t: Floats, values: Floats, mask: NDArray[np.bool_], sigma: Floats, limit: float
) -> NDArray[np.bool_]:
    """Return isolated points far from their neighbors in time, which themselves agree."""
    bad = np.zeros(mask.shape, bool)
    if t.size < 9:
        return bad
    stack = np.stack([values[:-4], values[1:-3], values[3:-1], values[4:]])
    neighbors = np.median(stack, axis=0)
    spread = stack.max(axis=0) - stack.min(axis=0)
    s = sigma[2:-2] if sigma.ndim == 2 else sigma[None, :]
    out = np.abs(values[2:-2] - neighbors)
    bad[2:-2] = (out > limit * s) & (out > 3.0 * spread) & mask[2:-2]
    return bad
