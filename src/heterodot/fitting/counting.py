"""Counting statistics: Poisson deviance, its expectation at few counts, likelihood."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def deviance(counts: Floats, expected: Floats) -> float:
    """Return twice the log of the likelihood ratio to a perfect model; infinite if impossible.

    Examples
    --------
    >>> deviance(np.array([4.0, 0.0]), np.array([4.0, 1.0]))
    2.0
    """
    if not np.isfinite(expected).all() or (expected < 0).any():
        return float("inf")
    full = counts > 0
    y, m = counts[full], expected[full]
    if (m <= 0).any():
        return float("inf")
    # y log(y/m) - (y - m) without cancellation where y is near m
    return float(2.0 * ((y * np.log(y / m)).sum() - y.sum() + expected.sum()))


def log_likelihood(counts: Floats, expected: Floats) -> float:
    """Return the natural logarithm of the Poisson likelihood."""
    from scipy.special import gammaln, xlogy

    return float((xlogy(counts, expected) - expected - gammaln(counts + 1.0)).sum())


@functools.cache
def _table() -> tuple[Floats, Floats, Floats]:
    from scipy.special import gammaln, xlogy

    mean = np.geomspace(1e-4, 400.0, 120)
    k = np.arange(0, 900.0)[:, None]
    chance = np.exp(xlogy(k, mean) - mean - gammaln(k + 1.0))
    term = 2.0 * (xlogy(k, np.where(k > 0, k, 1.0) / mean) - k + mean)
    first = (chance * term).sum(axis=0)
    second = (chance * term**2).sum(axis=0) - first**2
    return np.log(mean), first, second


def deviance_moments(expected: Floats) -> tuple[float, float]:
    """Return mean and variance of the deviance of Poisson counts with these expectations.

    At many counts a bin gives mean 1 and variance 2; at 0.01 counts it gives 0.1. Exact sums,
    interpolated over the logarithm of the expectation.

    Examples
    --------
    >>> mean, variance = deviance_moments(np.full(10, 1e4))
    >>> round(mean, 2), round(variance, 1)
    (10.0, 20.0)
    """
    grid, first, second = _table()
    m = np.asarray(expected, dtype=float)
    m = m[m > 0]
    logs = np.log(m)
    means = np.where(m < np.exp(grid[-1]), np.interp(logs, grid, first), 1.0 + 1.0 / (6.0 * m))
    variances = np.where(m < np.exp(grid[-1]), np.interp(logs, grid, second), 2.0)
    rare = m < 1e-4
    means = np.where(rare, -2.0 * m * logs, means)
    return float(means.sum()), float(variances.sum())


def goodness(counts: Floats, expected: Floats, free: int) -> dict[str, float]:
    """Return expected deviance, its z score and Pearson's chi-square."""
    from heterodot.fitting.assess import autocorrelation_test, runs_test

    mean, variance = deviance_moments(expected)
    found = deviance(counts, expected)
    safe = np.maximum(expected, 1e-12)
    pearson = (counts - expected) / np.sqrt(safe)
    return {
        "deviance_expected": mean - free,
        "deviance_z": (found - mean + free) / max(variance, 1e-12) ** 0.5,
        "pearson": float((pearson**2).sum()),
        "runs_z": runs_test(pearson),
        "autocorrelation_z": autocorrelation_test(pearson),
    }
