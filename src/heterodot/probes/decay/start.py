"""Start values of a decay fit: non-negative amounts on a grid of lifetimes, gathered in groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.probes.decay.convolution import exponential, shifted
from heterodot.probes.decay.histogram import Histogram, quiet_level

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Start:
    """Lifetimes, and amounts, shift (bins) and background of each trace."""

    lifetimes: list[float]
    photons: list[list[float]]
    shift: list[float]
    background: list[float]


def starts(
    histograms: Sequence[Histogram],
    count: int,
    given: Sequence[float] | None,
    move: bool,
    offset: float = 0.0,
) -> Start:
    """Return start values for ``count`` exponentials.

    Traces are rebinned (finely over the response, ever more coarsely after it) and taken apart on
    two dozen lifetimes by non-negative least squares; the weights found are gathered into
    ``count`` groups. ``offset`` moves the response by so many bins, for another try.
    """
    from scipy.optimize import nnls

    amounts: list[tuple[Floats, Floats]] = []
    shifts, backgrounds = [], []
    span = max(h.width * h.counts.size for h in histograms)
    fine = min(h.width for h in histograms)
    grid = np.geomspace(0.3 * fine, 3.0 * span, 24)
    for h in histograms:
        assert h.irf is not None
        tail = h.irf[0] == 1.0
        move_by = 0.0 if tail or not move else _edge(h) + offset
        irf = shifted(h.irf, move_by)[0]
        columns = np.stack([exponential(irf, h.width / tau)[0] for tau in grid])
        edges = _edges(irf)
        packed = np.add.reduceat(columns, edges, axis=1)
        y = np.add.reduceat(h.counts, edges)
        sizes = np.diff(np.r_[edges, h.counts.size]).astype(float)
        design = np.vstack([packed, sizes]).T
        weight = 1.0 / np.sqrt(np.maximum(y, max(1.0, 1e-4 * y.max())))
        found, _ = nnls(design * weight[:, None], y * weight, maxiter=2000)
        amounts.append((grid, found[:-1]))
        shifts.append(move_by)
        backgrounds.append(float(found[-1]) or 0.3 * quiet_level(h.counts))
    summed = np.sum([a for _, a in amounts], axis=0)
    lifetimes = list(given) if given is not None else _gathered(grid, summed, count)
    photons = []
    for (_, a), h in zip(amounts, histograms, strict=True):
        nearest = np.abs(np.log(grid)[:, None] - np.log(lifetimes)[None, :]).argmin(axis=1)
        total = max(float(a.sum()), 0.1 * float(h.counts.sum()))
        photons.append(
            [max(float(a[nearest == k].sum()), 0.02 * total) for k in range(len(lifetimes))]
        )
    return Start(lifetimes, photons, shifts, backgrounds)


def _edges(irf: Floats, fine: int = 80, coarse: int = 140) -> NDArray[np.int64]:
    """Return first bins of groups: single bins over the response, then ever wider ones."""
    n = irf.size
    rise = np.cumsum(irf)
    first = max(int(np.searchsorted(rise, 0.002 * rise[-1])) - 5, 0)
    last = min(max(int(np.searchsorted(rise, 0.99 * rise[-1])) + 5, first + 10), n)
    near = np.unique(np.linspace(first, last, min(fine, last - first + 1)).astype(int))
    before = np.linspace(0, first, 6).astype(int)
    after = last + np.geomspace(1, max(n - last, 2), coarse).astype(int)
    edges = np.unique(np.r_[before, near, after])
    return np.asarray(edges[edges < n], dtype=np.int64)


def _edge(h: Histogram) -> float:
    """Return the offset in bins between the rising edges of decay and response."""
    assert h.irf is not None
    base = quiet_level(h.counts)
    rise = np.cumsum(h.irf)
    y = np.maximum(h.counts - base, 0.0)
    # a rise of the decay is the response's integral for lifetimes longer than the response
    top = np.convolve(y, np.ones(3) / 3, mode="same")
    peak = int(top.argmax())
    level = 0.5 * top[peak]
    before = np.flatnonzero(top[: peak + 1] < level)
    half = before[-1] + 1 if before.size else 0
    middle = int(np.searchsorted(rise, 0.5))
    offset = float(half - middle)
    # a small offset is better found by the fit itself
    return offset if abs(offset) > 5 else 0.0


def _gathered(grid: Floats, weight: Floats, count: int) -> list[float]:
    """Return centers of ``count`` groups of a distribution over log lifetime (k-means)."""
    logs = np.log(grid)
    used = weight > 1e-6 * weight.max() if weight.max() > 0 else np.ones(grid.size, bool)
    # amounts span decades: their square root keeps a small group from being swallowed
    x, w = logs[used], np.sqrt(np.maximum(weight[used], 1e-12 * max(weight.max(), 1e-300)))
    if x.size <= count:
        centers = list(x)
        while len(centers) < count:
            gaps = np.diff(np.sort(centers)) if len(centers) > 1 else np.array([])
            if gaps.size and gaps.max() > 1.5:
                k = int(gaps.argmax())
                centers.append(float(np.sort(centers)[k] + gaps[k] / 2))
            else:
                centers.append(float(np.max(centers) - 1.2))
        return [float(v) for v in np.exp(np.sort(centers))]
    total = np.cumsum(w) / w.sum()
    centers_ = np.interp((np.arange(count) + 0.5) / count, total, x)
    for _ in range(30):
        label = np.abs(x[:, None] - centers_[None, :]).argmin(axis=1)
        new = np.array(
            [
                np.average(x[label == k], weights=w[label == k]) if (label == k).any() else c
                for k, c in enumerate(centers_)
            ]
        )
        if np.allclose(new, centers_):
            break
        centers_ = new
    for k in range(1, count):  # groups may not fall together
        centers_[k] = max(centers_[k], centers_[k - 1] + 0.4)
    return [float(v) for v in np.exp(centers_)]
