"""Decays that are not exponential: stretched, and rate equations of first, second, third order."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.errors import InputError
from heterodot.fitting import Fit, Parameter, poisson, propagate, with_derived
from heterodot.measurement import Measurement
from heterodot.probes.decay.convolution import shifted
from heterodot.probes.decay.histogram import Histogram, prepare, quiet_level
from heterodot.probes.decay.start import starts

Floats = NDArray[np.float64]


def convolved(irf: Floats, kernel: Floats) -> Floats:
    """Return the response convolved with a decay given on bins (no wrap-around)."""
    from scipy.signal import fftconvolve

    return np.asarray(fftconvolve(irf, kernel)[: irf.size])


def stretched_kernel(bins: int, width: float, tau: float, beta: float) -> Floats:
    """Return exp(-(t/tau)^beta) integrated over bins, of unit area on an endless window.

    Examples
    --------
    >>> k = stretched_kernel(4000, 0.01, 1.0, 0.6)
    >>> bool(abs(k.sum() - 1) < 1e-3)
    True
    """
    from scipy.special import gamma, gammainc

    # response even in its bin, decay integrated over bins: second differences of the double integral
    x = np.arange(bins + 1) * width / tau
    y = x**beta
    mean = gamma(2.0 / beta) / gamma(1.0 / beta)
    double = (x * gammainc(1.0 / beta, y) - mean * gammainc(2.0 / beta, y)) * tau / width
    kernel = np.diff(double)
    kernel[1:] -= np.diff(double)[:-1]
    return np.asarray(np.maximum(kernel, 0.0))


def fit_stretched(
    measurement: Measurement,
    *,
    irf: Measurement,
    window: tuple[float, float] | None = None,
) -> Fit:
    """Fit a stretched exponential exp(-(t/tau)^beta) with reconvolution.

    Returns
    -------
    Fit
        ``tau``, ``beta``, ``tau_mean`` = (tau/beta) Gamma(1/beta).

    References
    ----------
    F. Kohlrausch form as used by M. N. Berberan-Santos et al., Chem. Phys. 315, 171 (2005).
    """
    from scipy.special import digamma, gamma

    h = prepare(measurement, irf, window=window)
    assert h.irf is not None
    response = h.irf
    guess = starts([h], 1, None, True)
    total = sum(guess.photons[0])
    tau = guess.lifetimes[0]
    span = h.width * h.counts.size
    parameters = [
        Parameter("tau", tau, h.unit, low=1e-3 * h.width, high=100 * span),
        Parameter("beta", 0.8, "", low=0.1, high=1.0),
        Parameter("photons", total, "", low=0.0),
        Parameter("background", guess.background[0] + 1e-3, "", low=0.0),
        Parameter("shift", guess.shift[0] * h.width, h.unit, low=-0.1 * span, high=0.1 * span),
    ]

    def model(v: Mapping[str, float]) -> Floats:
        moved = shifted(response, v["shift"] / h.width)[0]
        kernel = stretched_kernel(h.counts.size, h.width, v["tau"], v["beta"])
        return np.maximum(v["photons"] * convolved(moved, kernel) + v["background"], 1e-9)

    found = poisson(model, parameters, h.counts, name="stretched exponential")
    t, b = found["tau"].value, found["beta"].value
    mean = t / b * gamma(1 / b)
    slope = mean * (-1 / b - digamma(1 / b) / b**2)
    return with_derived(
        found,
        [propagate(found, "tau_mean", {"tau": mean / t, "beta": slope}, mean, h.unit)],
    )


def density(time: ArrayLike, start: float, k1: float, k2: float = 0.0, k3: float = 0.0) -> Floats:
    """Return n(t) of dn/dt = -k1 n - k2 n^2 - k3 n^3.

    The time to fall to a density is an integral over its logarithm, done by Gauss-Legendre
    quadrature; its inverse is a cubic with the exact slope, so no step size enters.

    Examples
    --------
    >>> t = np.array([0.0, 1.0, 5.0])
    >>> bool(np.allclose(density(t, 2.0, 0.0, 0.5), 2.0 / (1 + t)))
    True
    """
    from scipy.interpolate import CubicHermiteSpline

    t = np.atleast_1d(np.asarray(time, float))
    if min(k1, k2, k3) < 0 or start <= 0:
        raise InputError("rates must not be negative and the density must be positive")
    last = float(t.max())
    fastest = k1 + k2 * start + k3 * start**2
    if fastest * last < 1e-12 or fastest == 0:
        return np.asarray(start * (1.0 - fastest * t))
    nodes, weights = np.polynomial.legendre.leggauss(4)
    depth = min(80.0, fastest * last)
    u = np.log(start) - np.linspace(0.0, 1.0, 400) ** 2 * depth
    middle, half = 0.5 * (u[1:] + u[:-1]), 0.5 * (u[:-1] - u[1:])
    n = np.exp(middle[:, None] + half[:, None] * nodes)
    pieces = (weights / (k1 + k2 * n + k3 * n**2)).sum(axis=1) * half
    when = np.r_[0.0, np.cumsum(pieces)]
    keep = np.r_[True, np.diff(when) > 0]
    when, u = when[keep], u[keep]
    at = np.exp(u)
    spline = CubicHermiteSpline(when, u, -(k1 + k2 * at + k3 * at**2))
    inside = np.exp(spline(np.clip(t, 0.0, when[-1])))
    return np.asarray(inside * np.exp(-k1 * np.maximum(t - when[-1], 0.0)))


def fit_power_series(
    measurements: Mapping[float, Measurement],
    *,
    irf: Measurement,
    emission: str = "bimolecular",
    auger: bool = True,
    start: Mapping[str, float] | None = None,
) -> Fit:
    """Fit decays at several excitation densities with shared k1, k2, k3.

    Parameters
    ----------
    measurements : mapping of initial density to Measurement
        Densities in 1/cm^3 (fluence times absorption); only their ratios matter for the quality
        of the fit, their size sets the unit of k2 and k3.
    irf : Measurement
    emission : {"bimolecular", "monomolecular"}
        Light follows n^2 (free carriers) or n (excitons).
    auger : bool
        Fit k3; zero otherwise.
    start : mapping, optional
        Start values of k1, k2, k3.

    Returns
    -------
    Fit
        ``k1`` (1/time), ``k2`` (cm^3/time), ``k3`` (cm^6/time), and an amount, background and
        shift for each density.

    References
    ----------
    M. B. Johnston and L. M. Herz, Acc. Chem. Res. 49, 146 (2016).
    """
    if emission not in ("bimolecular", "monomolecular"):
        raise InputError(f"emission '{emission}'", remedy="take 'bimolecular' or 'monomolecular'")
    if len(measurements) < 2:
        raise InputError(
            "one excitation density cannot tell orders of recombination apart",
            remedy="give decays at two densities or more",
        )
    powers = sorted(measurements)
    if powers[0] <= 0:
        raise InputError(f"density {powers[0]:g} is not positive", remedy="give 1/cm^3")
    hist = {p: prepare(measurements[p], irf, name=f"{p:g}") for p in powers}
    parameters = _rates(hist, auger, dict(start or {}))
    square = emission == "bimolecular"
    for p, h in hist.items():
        tag = f" [{p:g}]"
        span = h.width * h.counts.size
        net = float(np.maximum(h.counts - quiet_level(h.counts), 0.0).sum())
        parameters += [
            Parameter(f"photons{tag}", max(net, 1.0), "", low=0.0),
            Parameter(f"background{tag}", quiet_level(h.counts) + 1e-2, "", low=0.0),
            Parameter(f"shift{tag}", 0.0, h.unit, low=-0.05 * span, high=0.05 * span),
        ]

    def model(v: Mapping[str, float]) -> Floats:
        out = []
        for p, h in hist.items():
            assert h.irf is not None
            tag = f" [{p:g}]"
            t = np.arange(h.counts.size) * h.width
            n = density(t, 1.0, v["k1"], v["k2"] * p, v["k3"] * p * p)
            shape = n**2 if square else n
            # the first bin is met, on average, half
            shape = np.r_[0.5 * shape[0], shape[1:]]
            moved = shifted(h.irf, v[f"shift{tag}"] / h.width)[0]
            y = v[f"photons{tag}"] * convolved(moved, shape / shape.sum()) + v[f"background{tag}"]
            out.append(np.maximum(y, 1e-9))
        return np.concatenate(out)

    counts = np.concatenate([h.counts for h in hist.values()])
    return poisson(
        model, parameters, counts, name=f"recombination of three orders, {emission} emission"
    )


def _rates(
    hist: Mapping[float, Histogram], auger: bool, start: dict[str, float]
) -> list[Parameter]:
    """Return k1, k2, k3 with start values from the weakest and the strongest excitation."""
    low, high = min(hist), max(hist)
    unit = hist[low].unit
    slow = 1.0 / starts([hist[low]], 1, None, True).lifetimes[0]
    fast = 1.0 / starts([hist[high]], 1, None, True).lifetimes[0]
    extra = max(fast - slow, 0.1 * slow)
    k2 = 0.5 * extra / high
    k3 = 0.2 * extra / high**2
    return [
        Parameter("k1", start.get("k1", 0.5 * slow), f"1/{unit}", low=0.0),
        Parameter("k2", start.get("k2", k2), f"cm^3/{unit}", low=0.0),
        Parameter(
            "k3",
            start.get("k3", k3 if auger else 0.0),
            f"cm^6/{unit}",
            low=0.0,
            high=np.inf,
            fixed=not auger,
        ),
    ]
