"""Compiled loops of lifetime maps: one small Poisson fit a pixel."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def unit_decay(irf, ratio, column, slope):  # type: ignore[no-untyped-def]
    """Write a unit decay seen through the response, and d/dlog(tau) (twin: `exponential`)."""
    r = np.exp(-ratio)
    lost = -np.expm1(-ratio)
    if ratio < 1e-4:
        first = ratio / 2 - ratio * ratio / 6
        d_first = 0.5 - ratio / 3
    else:
        first = 1.0 - lost / ratio
        d_first = lost / ratio**2 - r / ratio
    later = lost * lost / ratio
    d_later = 2.0 * lost * r / ratio - later / ratio
    state = 0.0
    d_state = 0.0
    for n in range(irf.size):
        column[n] = first * irf[n] + later * state
        slope[n] = -ratio * (d_first * irf[n] + d_later * state + later * d_state)
        d_state = r * d_state - r * state
        state = r * state + irf[n]


@njit(cache=True)
def fit_pixel(counts, irf, ratios, share, x, covariance, limit):  # type: ignore[no-untyped-def]
    """Fit log photons, log lifetimes (in bins) and background of one pixel by Fisher scoring.

    Parameters
    ----------
    counts, irf : (n_bins,) arrays
    ratios, share : (n_components,) arrays
        Start: bin width over lifetime, and part of the photons.
    x : (2 n_components + 1,) array
        Written: log photons, log lifetimes in bins, background.
    covariance : (2 n + 1, 2 n + 1) array
        Written.
    limit : int
        Iterations.

    Returns
    -------
    (deviance, converged)
    """
    m = ratios.size
    n = counts.size
    size = 2 * m + 1
    total = counts.sum()
    lowest = 0.0
    quiet = max(n // 10, 4)
    for k in range(n - quiet, n):
        lowest += counts[k] / quiet
    for i in range(m):
        x[i] = np.log(max(share[i] * total, 1e-3))
        x[m + i] = -np.log(ratios[i])
    x[2 * m] = max(0.3 * lowest, 1e-3)
    columns = np.empty((size, n))
    column = np.empty(n)
    slope = np.empty(n)
    trial = x.copy()
    gradient = np.empty(size)
    curvature = np.zeros((size, size))
    new_columns = np.empty((size, n))
    cost = np.inf
    damping = 1e-2
    converged = False
    first = True
    for _ in range(limit):
        # model and derivatives at the trial point
        background = trial[2 * m]
        model = np.full(n, background)
        for i in range(m):
            photons = np.exp(trial[i])
            unit_decay(irf, np.exp(-trial[m + i]), column, slope)
            for k in range(n):
                new_columns[i, k] = photons * column[k]
                new_columns[m + i, k] = photons * slope[k]
                model[k] += new_columns[i, k]
        new_cost = 0.0
        for k in range(n):
            new_columns[2 * m, k] = 1.0
            mk = max(model[k], 1e-12)
            new_cost += 2.0 * (mk - counts[k])
            if counts[k] > 0:
                new_cost += 2.0 * counts[k] * np.log(counts[k] / mk)
        gain = cost - new_cost
        if first or new_cost <= cost:
            for p in range(size):
                x[p] = trial[p]
            cost = new_cost
            columns, new_columns = new_columns, columns
            for p in range(size):
                g = 0.0
                for k in range(n):
                    g += columns[p, k] * (1.0 - counts[k] / max(model[k], 1e-12))
                gradient[p] = g
                for q in range(p + 1):
                    h = 0.0
                    for k in range(n):
                        h += columns[p, k] * columns[q, k] / max(model[k], 1e-12)
                    curvature[p, q] = h
                    curvature[q, p] = h
            if not first and gain < 1e-5:
                converged = True
                break
            damping = max(damping * 0.2, 1e-9)
            first = False
        else:
            damping *= 8.0
            if damping > 1e8:
                break
        free = np.ones(size)
        if x[2 * m] <= 0.0 and gradient[2 * m] > 0:
            free[2 * m] = 0.0
        matrix = np.zeros((size, size))
        right = np.zeros(size)
        for p in range(size):
            if free[p] == 0.0 or curvature[p, p] <= 0.0:
                matrix[p, p] = 1.0
                continue
            right[p] = -gradient[p]
            for q in range(size):
                if free[q] > 0.0:
                    matrix[p, q] = curvature[p, q]
            matrix[p, p] = curvature[p, p] * (1.0 + damping) + 1e-12
        step = np.linalg.solve(matrix, right)
        for p in range(2 * m):
            trial[p] = x[p] + min(max(step[p], -1.0), 1.0)
        trial[2 * m] = max(x[2 * m] + step[2 * m], 0.0)
    for p in range(size):
        if curvature[p, p] <= 0.0:
            curvature[p, p] = 1e-300
    scale = np.empty(size)
    for p in range(size):
        scale[p] = 1.0 / np.sqrt(curvature[p, p])
    scaled = np.empty((size, size))
    for p in range(size):
        for q in range(size):
            scaled[p, q] = curvature[p, q] * scale[p] * scale[q]
        scaled[p, p] += 1e-12
    inverse = np.linalg.inv(scaled)
    for p in range(size):
        for q in range(size):
            covariance[p, q] = inverse[p, q] * scale[p] * scale[q]
    return cost, converged


@njit(cache=True)
def fit_pixels(counts, irf, ratios, share, least, values, errors, costs, done):  # type: ignore[no-untyped-def]
    """Fit every row of ``counts`` (n_pixels, n_bins) with at least ``least`` counts."""
    m = ratios.size
    x = np.empty(2 * m + 1)
    covariance = np.empty((2 * m + 1, 2 * m + 1))
    for pixel in range(counts.shape[0]):
        if counts[pixel].sum() < least:
            continue
        cost, converged = fit_pixel(counts[pixel], irf, ratios, share, x, covariance, 60)
        costs[pixel] = cost
        done[pixel] = converged
        for p in range(2 * m + 1):
            values[pixel, p] = x[p]
            errors[pixel, p] = np.sqrt(max(covariance[p, p], 0.0))
        # the mean (amplitude-average) lifetime in bins and its error
        s0 = 0.0
        s1 = 0.0
        for i in range(m):
            s0 += np.exp(x[i] - x[m + i])
            s1 += np.exp(x[i])
        mean = s1 / s0
        variance = 0.0
        slope = np.empty(2 * m)
        for i in range(m):
            slope[i] = (np.exp(x[i]) - mean * np.exp(x[i] - x[m + i])) / s0
            slope[m + i] = mean * np.exp(x[i] - x[m + i]) / s0
        for p in range(2 * m):
            for q in range(2 * m):
                variance += slope[p] * covariance[p, q] * slope[q]
        values[pixel, 2 * m + 1] = mean
        errors[pixel, 2 * m + 1] = np.sqrt(max(variance, 0.0))
