"""Figures of gap trajectories: spectral density, dephasing and populations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from heterodot.electronic.hopping import HoppingPopulations
    from heterodot.electronic.trajectory import GapAnalysis

COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
SHOWN = 6


def trajectory_figure(
    gap: GapAnalysis | None, step: float, populations: HoppingPopulations | None = None
) -> Figure:
    """Return spectral density and dephasing function of a gap, and populations with errors.

    Parameters
    ----------
    step : float
        Time between the lags of the analysis, ps.
    """
    from matplotlib.figure import Figure

    panels = 2 * (gap is not None) + (populations is not None)
    figure = Figure(figsize=(3.4, 2.1 * panels), layout="constrained")
    axes = list(np.atleast_1d(figure.subplots(panels, 1)))
    if gap is not None:
        spectrum, dephasing = axes.pop(0), axes.pop(0)
        # as far as 99 % of the fluctuations go
        area = np.cumsum(gap.spectrum)
        last = gap.wavenumber[int(np.searchsorted(area, 0.99 * area[-1]))]
        spectrum.plot(gap.wavenumber, gap.spectrum, color=COLORS[0], lw=1)
        spectrum.set_xlim(0, min(1.5 * float(last) + 50, float(gap.wavenumber[-1])))
        spectrum.set_xlabel("wavenumber (cm$^{-1}$)", fontsize=8)
        spectrum.set_ylabel("spectral density (eV$^2$ cm)", fontsize=8)
        lag = 1000 * step * np.arange(len(gap.dephasing))
        dephasing.plot(lag, gap.dephasing, color=COLORS[0], lw=1)
        dephasing.axhline(np.exp(-0.5), color="grey", lw=0.6, ls=":")
        if np.isfinite(gap.decoherence.value):
            dephasing.axvline(gap.decoherence.value, color="grey", lw=0.6, ls=":")
            dephasing.set_xlim(0, 5 * gap.decoherence.value)
        dephasing.set_xlabel("time (fs)", fontsize=8)
        dephasing.set_ylabel("dephasing function", fontsize=8)
    if populations is not None:
        at = axes.pop(0)
        mean, error = populations.mean, populations.error
        order = np.argsort(-np.ptp(mean, axis=0))[:SHOWN]
        for color, k in zip(COLORS, order, strict=False):
            at.plot(populations.times, mean[:, k], color=color, lw=1, label=f"state {k}")
            if error is not None:
                low, high = mean[:, k] - error[:, k], mean[:, k] + error[:, k]
                at.fill_between(populations.times, low, high, color=color, alpha=0.25, lw=0)
        at.set_xlabel("time (ps)", fontsize=8)
        at.set_ylabel("population", fontsize=8)
        at.legend(fontsize=7, frameon=False)
    for drawn in figure.axes:
        drawn.tick_params(labelsize=7)
    return figure
