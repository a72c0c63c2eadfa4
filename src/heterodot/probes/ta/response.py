"""Exponentials that rise through a Gaussian instrument response, with all their derivatives.

With f(t) the convolution of exp(-kt) with a unit Gaussian of width s, and g that Gaussian,

    df/dt0 = k f - g,   df/dk = (k s^2 - t) f - s^2 g,   df/ds = s (k^2 f - k g + g'),

so f, t f and g with its moments span the model and every derivative of it: one evaluation of the
scaled complementary error function for each point and rate is all that a step of a fit costs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FWHM = float(2.0 * np.sqrt(2.0 * np.log(2.0)))  # of a Gaussian, in its standard deviations
FAR = 8.5  # standard deviations beyond which the Gaussian is below the rounding of a double


def rise(time: Floats, zero: Floats, rates: Floats, sigma: float) -> Floats:
    """Return exp(-k t) from t0 on, convolved with a Gaussian.

    Parameters
    ----------
    time : (n_times,) array
    zero : (n_groups,) array
        Time zero of each group (wavelength).
    rates : (n_rates,) array
        Not negative; zero is a step.
    sigma : float
        Standard deviation of the response; zero for an instantaneous one.

    Returns
    -------
    (n_groups, n_rates, n_times) array

    Examples
    --------
    >>> f = rise(np.array([-1.0, 0.0, 2.0]), np.zeros(1), np.array([0.0]), 0.1)
    >>> np.round(f[0, 0], 3)
    array([0. , 0.5, 1. ])
    """
    t = time[None, :] - zero[:, None]
    out = np.zeros((zero.size, rates.size, time.size))
    if sigma <= 0:
        on = t >= 0
        late = np.where(on, t, 0.0)
        for j, k in enumerate(rates):
            out[:, j] = np.exp(-k * late) * on
        return out
    # times are sorted in a fit, but need not be; the fast split is used where they are
    ordered = bool(np.all(np.diff(time) >= 0))
    first = int(np.searchsorted(time, zero.min() - FAR * sigma)) if ordered else 0
    bell = np.zeros((zero.size, 0))
    for j, k in enumerate(rates):
        if not ordered:
            out[:, j] = _near(t, float(k), sigma, np.exp(-0.5 * (t / sigma) ** 2))
            continue
        last = int(np.searchsorted(time, zero.max() + sigma * (FAR + k * sigma)))
        if bell.shape[1] < last - first:
            bell = np.exp(-0.5 * (t[:, first:last] / sigma) ** 2)
        out[:, j, first:last] = _near(t[:, first:last], float(k), sigma, bell[:, : last - first])
        if last < time.size:
            shift = k * (zero - zero.min()) + 0.5 * (k * sigma) ** 2
            if shift.max() < 50.0:
                tail = np.exp(-k * (time[last:] - zero.min()))
                out[:, j, last:] = np.exp(shift)[:, None] * tail[None, :]
            else:
                out[:, j, last:] = np.exp(0.5 * (k * sigma) ** 2 - k * t[:, last:])
    return out


def _near(t: Floats, k: float, sigma: float, bell: Floats) -> Floats:
    """Return the convolution where the Gaussian is felt; ``bell`` is exp(-t^2/(2 sigma^2))."""
    from scipy.special import erfcx

    u = (k * sigma - t / sigma) * np.sqrt(0.5)
    half = 0.5 * bell * erfcx(np.abs(u))
    inside = u < 0
    half[inside] = np.exp(0.5 * (k * sigma) ** 2 - k * t[inside]) - half[inside]
    return np.asarray(half)


def moments(time: Floats, zero: Floats, sigma: float, count: int) -> Floats:
    """Return u^n exp(-u^2/2)/sqrt(2 pi) for n below ``count``, u = (t - t0)/sigma.

    Returns
    -------
    (n_groups, count, n_times) array; zeros where sigma is zero
    """
    out = np.zeros((zero.size, count, time.size))
    if sigma <= 0:
        return out
    first, last = 0, time.size
    if np.all(np.diff(time) >= 0):
        first = int(np.searchsorted(time, zero.min() - FAR * sigma))
        last = int(np.searchsorted(time, zero.max() + FAR * sigma))
    u = (time[None, first:last] - zero[:, None]) / sigma
    term = np.exp(-0.5 * u**2) / np.sqrt(2.0 * np.pi)
    for n in range(count):
        out[:, n, first:last] = term
        term = term * u
    return out
