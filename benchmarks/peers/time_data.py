"""Data of known truth for the time-resolved comparisons, made here from stated constants."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter
from scipy.special import erfc, erfcx

FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))
TAUS = (0.8, 12.0, 350.0)
SIGMA, CHIRP, REFERENCE = 0.120 / FWHM, (0.15, 0.30, -0.06), 580.0


def ta_matrix(seed=0, wavelengths=600, delays=300, noise=1e-4):
    """Return wavelength, delay, data (n_delays, n_wavelengths)."""
    nm = np.linspace(430.0, 760.0, wavelengths)
    half = delays // 2
    t = np.r_[
        np.linspace(-1.0, 1.0, half, endpoint=False), np.geomspace(1.0, 3000.0, delays - half)
    ]

    def band(center, width):
        return np.exp(-0.5 * ((nm - center) / width) ** 2)

    spectra = 1e-3 * np.stack(
        [
            -6 * band(510, 9) + 3 * band(545, 20) + 1.5 * band(650, 60),
            -8 * band(513, 8) + 1.2 * band(480, 18) + band(690, 50),
            -3 * band(516, 9) - 1.6 * band(640, 35) + 0.6 * band(470, 15),
        ]
    )
    x = (nm - REFERENCE) / 100.0
    late = t[:, None] - np.polynomial.polynomial.polyval(x, CHIRP)[None, :]
    data = np.zeros(late.shape)
    for tau, s in zip(TAUS, spectra, strict=True):
        k = 1.0 / tau
        u = (k * SIGMA - late / SIGMA) / np.sqrt(2.0)
        with np.errstate(over="ignore", invalid="ignore"):
            a = 0.5 * np.exp(-0.5 * (late / SIGMA) ** 2) * erfcx(np.maximum(u, -5.0))
            b = 0.5 * np.exp(np.minimum(0.5 * (k * SIGMA) ** 2 - k * late, 700.0)) * erfc(u)
        data += np.where(u > 0, a, b) * s
    return nm, t, data + np.random.default_rng(seed).normal(size=data.shape) * noise


WIDTH, BINS = 0.016, 4096
CASES = {2: ((0.35, 0.65), (1.0, 9.2)), 3: ((0.25, 0.35, 0.40), (0.8, 4.0, 18.0))}


def response(x):
    """Return a detector-like response: a Gaussian with a diffusion tail."""
    y = np.exp(-0.5 * ((x - 3.2) / 0.085) ** 2)
    z = np.clip(x - 3.2, 0, None)
    y = y + 0.08 * np.where(x > 3.2, np.exp(-z / 0.35) * (1 - np.exp(-z / 0.05)), 0)
    return y / y.sum()


def decay(count, seed):
    """Return time, counts and measured response of a histogram with 1e5 counts."""
    t = (np.arange(BINS) + 0.5) * WIDTH
    true = response(t - 0.37 * WIDTH)
    y = np.full(BINS, 0.5)
    for share, tau in zip(*CASES[count], strict=True):
        r = np.exp(-WIDTH / tau)
        y = y + 1e5 * share * lfilter([1 - r], [1, -r], true)
    measured = np.random.default_rng(12345).poisson(response(t) * 1e6).astype(float)
    return t, np.random.default_rng(seed).poisson(y).astype(float), measured
