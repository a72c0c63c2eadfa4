"""Lifetime distributions by maximum entropy: no more structure than the counts ask for.

References
----------
A. K. Livesey and J. C. Brochon, Biophys. J. 52, 693 (1987);
J. Skilling and R. K. Bryan, Mon. Not. R. Astron. Soc. 211, 111 (1984).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import NotFoundError
from heterodot.fitting.counting import deviance, deviance_moments
from heterodot.measurement import Measurement
from heterodot.probes.decay.convolution import exponential, shifted
from heterodot.probes.decay.histogram import prepare
from heterodot.progress import Progress, silent
from heterodot.units import Value

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Peak:
    """One maximum of a distribution: center (geometric mean), its width in log tau, its share."""

    center: Value
    log_width: float
    fraction: Value


@dataclass(frozen=True, eq=False)
class Distribution:
    """Photons over log lifetime.

    Attributes
    ----------
    lifetimes : (n,) array
    photons : (n,) array
        Photons in each bin of log lifetime.
    error : (n,) array
        Posterior standard deviation; neighbors are correlated.
    peaks : tuple of Peak
    mean : Value
        Amplitude-average lifetime.
    cost, expected : float
        Deviance, and the one that pure noise would give.
    background, shift : float
    unit : str
    time, counts, model : (n_bins,) arrays
    warnings : tuple of str
    """

    lifetimes: Floats
    photons: Floats
    error: Floats
    peaks: tuple[Peak, ...]
    mean: Value
    cost: float
    expected: float
    background: float
    shift: float
    unit: str
    time: Floats
    counts: Floats
    model: Floats
    warnings: tuple[str, ...]


def fit_distribution(
    measurement: Measurement,
    *,
    irf: Measurement,
    points: int = 48,
    range_: tuple[float, float] | None = None,
    window: tuple[float, float] | None = None,
    progress: Progress = silent,
) -> Distribution:
    """Return the flattest distribution of lifetimes that the counts allow.

    The entropy relative to a flat distribution in log tau is made as large as it can be while the
    Poisson deviance equals its expectation. Peaks narrower than the counts resolve come out wider
    than they are; their centers and shares hold.

    Parameters
    ----------
    measurement, irf : Measurement
    points : int
        Lifetimes, evenly spaced in log.
    range_ : (low, high), optional
        Lifetimes; from half a bin to three windows if None.
    window : (low, high), optional
    progress : Progress
    """
    from heterodot.probes.decay.fit import fit

    h = prepare(measurement, irf, window=window)
    assert h.irf is not None
    discrete = fit(measurement, "auto", irf=irf, window=window)
    shift = discrete["shift"].value
    response = shifted(h.irf, shift / h.width)[0]
    span = h.width * h.counts.size
    low, high = range_ or (0.5 * h.width, 3.0 * span)
    grid = np.geomspace(low, high, points)
    columns = np.stack(
        [exponential(response, h.width / t)[0] for t in grid] + [np.ones(h.counts.size)]
    )
    start = np.full(points, max(float(h.counts.sum()), 1.0) / points)
    base = max(discrete["background"].value, 1e-3)
    # the discrete fit is what the counts allow at best: pure noise around it
    goal = max(discrete.cost, 0.0) + np.sqrt(2.0 * max(discrete.dof, 1)) * 0.3
    log_h = np.log(np.r_[start, base])
    default = start.copy()
    alphas = np.geomspace(1e3, 1e-4, 22)
    best: tuple[Floats, Floats, float] | None = None
    for k, alpha in enumerate(alphas):
        progress("maximum entropy", k / alphas.size)
        log_h, curvature, cost = _relax(log_h, h.counts, columns, default, alpha)
        best = (log_h, curvature, cost)
        if cost <= goal:
            break
    if best is None:
        raise NotFoundError("no distribution was found", remedy="check the response")
    log_h, curvature, cost = best
    amount = np.exp(log_h)
    covariance = np.linalg.pinv(curvature) * np.outer(amount, amount)
    model = amount @ columns
    photons, cov = amount[:-1], covariance[:-1, :-1]
    warnings = []
    if cost > goal + 3.0 * np.sqrt(2.0 * max(discrete.dof, 1)):
        warnings.append("no distribution of lifetimes describes the decay within its noise")
    if photons[-1] + photons[-2] > 0.05 * photons.sum():
        warnings.append("much of the distribution lies at the longest lifetimes: widen the window")
    amplitude = photons / grid
    mean = photons.sum() / amplitude.sum()
    slope = (1.0 - mean / grid) / amplitude.sum()
    return Distribution(
        grid,
        photons,
        np.sqrt(np.maximum(np.diag(cov), 0.0)),
        _peaks(grid, photons, cov, h.unit),
        Value(float(mean), h.unit, _root(slope, cov)),
        cost,
        deviance_moments(model)[0],
        float(amount[-1]),
        shift,
        h.unit,
        h.time,
        h.counts,
        model,
        tuple(warnings),
    )


def _relax(
    log_h: Floats, counts: Floats, columns: Floats, default: Floats, alpha: float
) -> tuple[Floats, Floats, float]:
    """Minimize deviance/2 - alpha S over log amounts by damped Newton steps."""
    n = default.size

    def value(x: Floats) -> tuple[float, float, Floats]:
        amount = np.exp(x)
        model = amount @ columns
        cost = deviance(counts, model)
        a = amount[:n]
        entropy = float((a - default - a * np.log(a / default)).sum() / default[0])
        return 0.5 * cost - alpha * entropy, cost, model

    x = log_h.copy()
    target, cost, model = value(x)
    damping = 1e-3
    curvature = np.eye(x.size)
    for _ in range(60):
        amount = np.exp(x)
        scaled = columns * amount[:, None]
        gradient = scaled @ (1.0 - counts / model)
        curvature = (scaled / model) @ scaled.T
        a = amount[:n] / default[0]
        gradient[:n] += alpha * a * np.log(amount[:n] / default)
        curvature[range(n), range(n)] += alpha * np.maximum(a, 1e-12)
        for _ in range(12):
            step = -np.linalg.solve(
                curvature + damping * np.diag(np.diag(curvature) + 1e-9), gradient
            )
            trial = x + np.clip(step, -2.0, 2.0)
            new, new_cost, new_model = value(trial)
            if new <= target:
                break
            damping *= 8.0
        else:
            break
        gain = target - new
        x, target, cost, model = trial, new, new_cost, new_model
        damping = max(damping / 10.0, 1e-9)
        if gain < 1e-5:
            break
    return x, curvature, cost


def _root(slope: Floats, covariance: Floats) -> float:
    return math.sqrt(max(float(slope @ covariance @ slope), 0.0))


def _peaks(grid: Floats, photons: Floats, cov: Floats, unit: str) -> tuple[Peak, ...]:
    total = photons.sum()
    logs = np.log(grid)
    minima = [0]
    minima += [
        i
        for i in range(1, grid.size - 1)
        if photons[i] <= photons[i - 1] and photons[i] < photons[i + 1]
    ]
    minima.append(grid.size)
    out = []
    for a, b in itertools.pairwise(minima):
        part = photons[a:b]
        share = part.sum() / total
        if share < 0.01:
            continue
        center = float((part * logs[a:b]).sum() / part.sum())
        slope = np.zeros(grid.size)
        slope[a:b] = (logs[a:b] - center) / part.sum()
        spread = float(np.sqrt(max((part * (logs[a:b] - center) ** 2).sum() / part.sum(), 0.0)))
        mask = np.zeros(grid.size)
        mask[a:b] = 1.0
        by_share = (mask - share) / total
        tau = math.exp(center)
        out.append(
            Peak(
                Value(tau, unit, tau * _root(slope, cov)),
                spread,
                Value(float(share), "", _root(by_share, cov)),
            )
        )
    return tuple(out)
