"""Counted decays of known truth: what a photon counter would record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.errors import InputError
from heterodot.measurement import Measurement
from heterodot.probes.decay.convolution import exponential, pile_up, shifted

Floats = NDArray[np.float64]


def histogram(
    time: ArrayLike, counts: ArrayLike, unit: str, *, source: str = "simulated"
) -> Measurement:
    """Return a decay as a Measurement.

    Examples
    --------
    >>> histogram([0.0, 1.0], [5, 3], "ns").kind
    'decay'
    """
    import xarray as xr

    array = xr.DataArray(
        np.asarray(counts),
        dims=("time",),
        coords={"time": ("time", np.asarray(time, float), {"units": unit})},
        name="counts",
        attrs={"units": "count"},
    )
    return Measurement(array, "decay", source)


def simulate(
    lifetimes: Sequence[float],
    intensities: Sequence[float],
    *,
    counts: float = 1e5,
    width: float | None = None,
    bins: int = 1024,
    irf_fwhm: float | None = None,
    irf_counts: float = 1e6,
    shift: float = 0.0,
    background: float = 0.5,
    pulses: float | None = None,
    unit: str = "ns",
    seed: int = 0,
) -> tuple[Measurement, Measurement]:
    """Return a histogram and its measured response, both with counting noise.

    Parameters
    ----------
    lifetimes, intensities : sequences
        Lifetimes, and the fraction of photons of each.
    counts : float
        Photons that would arrive in an endless window.
    width : float, optional
        Of a bin; the window is 5 of the longest lifetime if None.
    irf_fwhm : float, optional
        Of the response, Gaussian with a weak tail; six bins if None.
    shift : float
        Of the decay against the response, in time.
    pulses : float, optional
        Excitation pulses, for pile-up.
    seed : int
    """
    if len(lifetimes) != len(intensities):
        raise InputError("lifetimes and intensities differ in number", remedy="give pairs")
    step = width if width is not None else 5.0 * max(lifetimes) / bins
    fwhm = irf_fwhm if irf_fwhm is not None else 6.0 * step
    t = (np.arange(bins) + 0.5) * step
    center = 4.0 * fwhm
    sigma = fwhm / 2.3548
    late = np.clip(t - center, 0.0, None)
    response = np.exp(-0.5 * ((t - center) / sigma) ** 2)
    response += 0.05 * np.exp(-late / (3 * sigma)) * -np.expm1(-late / sigma) * (t > center)
    response /= response.sum()
    moved = shifted(response, shift / step)[0]
    model = np.full(bins, background)
    for tau, part in zip(lifetimes, intensities, strict=True):
        model = model + counts * part * exponential(moved, step / tau)[0]
    if pulses is not None:
        model = pile_up(model, pulses)[0]
    rng = np.random.default_rng(seed)
    measured = rng.poisson(response * irf_counts)
    return (
        histogram(t, rng.poisson(np.maximum(model, 0.0)), unit),
        histogram(t, measured, unit),
    )
