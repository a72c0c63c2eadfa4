"""Figures of decays, lifetime distributions, lifetime maps and transient absorption."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from heterodot.report.figures_light import DATA, GREY, MODEL, figure
from heterodot.report.palette import CHALCOGENIDE, DOMAINS, PEROVSKITE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from heterodot.fitting import Fit
    from heterodot.probes.decay import Distribution, LifetimeMap


def species_color(name: str, index: int) -> str:
    """Return a species' color: by the domain that its name says is excited, else by order."""
    excited = [part for part in name.split() if part.endswith(("*", "+", "-"))]
    text = excited[0] if len(excited) == 1 else name
    if text.startswith(("CsPb", "MAPb", "FAPb")):
        return PEROVSKITE
    if text.startswith(("PbS", "CdS", "ZnS", "Cu", "Pb4S3", "PbSe", "CdSe")):
        return CHALCOGENIDE
    return ("#009E73", "#CC79A7", "#D55E00", "#56B4E9", PEROVSKITE, CHALCOGENIDE)[index % 6]


def decay_figure(fit: Fit) -> Figure:
    """Draw counts, response, model and residuals in standard deviations, one column wide."""
    made, axes = figure(2, 1, 1.9)
    top, bottom = axes
    traces = fit.extra["traces"]
    unit = next(iter(traces.values()))["unit"]
    at = 0
    residual = np.zeros(0) if fit.residual is None else fit.residual
    for k, (name, trace) in enumerate(traces.items()):
        t, y = trace["time"], trace["counts"]
        color = DATA if len(traces) == 1 else DOMAINS[k % len(DOMAINS)]
        shown = np.where(y > 0, y, np.nan)
        top.semilogy(t, shown, ".", ms=1.2, color=color, alpha=0.5, label=name or "counts")
        top.semilogy(t, trace["model"], "-", lw=1.0, color=MODEL, label=None if k else fit.model)
        irf = trace["irf"]
        if irf is not None and k == 0 and irf.max() < 0.999:
            scaled = irf / irf.max() * y.max()
            top.semilogy(
                t, np.where(scaled > 0.3, scaled, np.nan), lw=0.7, color=GREY, label="response"
            )
        bottom.plot(t, residual[at : at + y.size], ".", ms=1.0, color=color, alpha=0.5)
        at += y.size
    top.set_ylabel("Counts", fontsize=8)
    top.legend(fontsize=6, frameon=False)
    bottom.axhline(0.0, lw=0.6, color=MODEL)
    bottom.set_xlabel(f"Time ({unit})", fontsize=8)
    bottom.set_ylabel("Residual (σ)", fontsize=8)
    bottom.sharex(top)
    return made


def distribution_figure(found: Distribution) -> Figure:
    """Draw photons over log lifetime with their posterior error."""
    made, ax = figure()
    ax.semilogx(found.lifetimes, found.photons, color=DATA, lw=1.0)
    ax.fill_between(
        found.lifetimes,
        np.maximum(found.photons - found.error, 0.0),
        found.photons + found.error,
        color=GREY,
        alpha=0.4,
        lw=0,
    )
    ax.set_xlabel(f"Lifetime ({found.unit})", fontsize=8)
    ax.set_ylabel("Photons in a bin of log τ", fontsize=8)
    ax.set_ylim(bottom=0)
    return made


def map_figure(found: LifetimeMap) -> Figure:
    """Draw the mean lifetime over the image, and its error."""
    made, axes = figure(1, 2, 2.6)
    for ax, image, label in (
        (axes[0], found.mean, "Mean lifetime"),
        (axes[1], found.mean_error, "Standard error"),
    ):
        shown = ax.imshow(image, cmap="viridis", origin="lower", interpolation="nearest")
        bar = made.colorbar(shown, ax=ax, shrink=0.85)
        bar.set_label(f"{label} ({found.unit})", fontsize=7)
        bar.ax.tick_params(labelsize=6)
        ax.set_xlabel("x (pixels)", fontsize=8)
        ax.set_ylabel("y (pixels)", fontsize=8)
    return made


def ta_figure(fit: Fit, dataset: str | None = None) -> Figure:
    """Draw data with time zero, species' spectra with errors, traces with the fit, residuals."""
    made, axes = figure(2, 2, 2.5)
    sets = fit.extra["datasets"]
    name = dataset if dataset is not None else next(iter(sets))
    one = sets[name]
    unit = fit.extra["time_unit"]
    t, nm, data = one["time"], one["wavelength"], one["data"]
    linear = max(
        float(np.ptp(one["time_zero"])), 10 * float(np.median(np.diff(t)[: max(3, t.size // 3)]))
    )
    limit = float(np.nanpercentile(np.abs(data), 99.0)) or 1.0
    shown = axes[0, 0].pcolormesh(
        nm,
        t,
        data * 1e3,
        cmap="RdBu_r",
        vmin=-limit * 1e3,
        vmax=limit * 1e3,
        shading="nearest",
        rasterized=True,
    )
    axes[0, 0].plot(nm, one["time_zero"], "k--", lw=0.8)
    bar = made.colorbar(shown, ax=axes[0, 0])
    bar.set_label("ΔA (mOD)", fontsize=7)
    bar.ax.tick_params(labelsize=6)
    reduced = one["residual"] / max(float(fit.extra["noise_scale"]), 1e-300)
    rest = axes[0, 1].pcolormesh(
        nm, t, reduced, cmap="RdBu_r", vmin=-4, vmax=4, shading="nearest", rasterized=True
    )
    bar = made.colorbar(rest, ax=axes[0, 1])
    bar.set_label("Residual (σ)", fontsize=7)
    bar.ax.tick_params(labelsize=6)
    for ax in (axes[0, 0], axes[0, 1]):
        ax.set_yscale("symlog", linthresh=linear)
        ax.set_xlabel("Wavelength (nm)", fontsize=8)
        ax.set_ylabel(f"Delay ({unit})", fontsize=8)
    ax = axes[1, 0]
    every = fit.extra["wavelength"]
    for k, species in enumerate(fit.extra["species"]):
        s, e = fit.extra["spectra"][k] * 1e3, fit.extra["spectra_error"][k] * 1e3
        color = species_color(species, k)
        ax.plot(every, s, lw=1.0, color=color, label=species)
        ax.fill_between(every, s - e, s + e, color=color, alpha=0.3, lw=0)
    ax.axhline(0, lw=0.5, color=GREY)
    ax.legend(fontsize=6, frameon=False)
    ax.set_xlabel("Wavelength (nm)", fontsize=8)
    ax.set_ylabel("ΔA of a species (mOD)", fontsize=8)
    ax = axes[1, 1]
    strength = np.nanstd(data, axis=0)
    picked = _spread_maxima(strength, 4)
    for k, i in enumerate(sorted(picked)):
        color = DOMAINS[k % len(DOMAINS)]
        ax.plot(
            t - one["time_zero"][i],
            data[:, i] * 1e3,
            ".",
            ms=2,
            color=color,
            label=f"{nm[i]:.0f} nm",
        )
        ax.plot(t - one["time_zero"][i], one["model"][:, i] * 1e3, "-", lw=0.9, color=color)
    ax.set_xscale("symlog", linthresh=linear)
    ax.legend(fontsize=6, frameon=False)
    ax.set_xlabel(f"Delay after time zero ({unit})", fontsize=8)
    ax.set_ylabel("ΔA (mOD)", fontsize=8)
    return made


def _spread_maxima(strength: np.ndarray, count: int) -> list[int]:
    """Return indices of strong wavelengths that lie apart."""
    apart = max(1, strength.size // 12)
    left = np.nan_to_num(strength.copy())
    found: list[int] = []
    for _ in range(min(count, strength.size)):
        k = int(left.argmax())
        if left[k] <= 0:
            break
        found.append(k)
        left[max(0, k - apart) : k + apart + 1] = 0.0
    return found
