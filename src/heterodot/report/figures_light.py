"""Figures of absorption, emission, yields, temperature series and photodetectors.

Each function takes plain results and returns a Matplotlib Figure at the width of a journal column;
the caller saves it. Perovskite and chalcogenide keep one color each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodot.report.palette import CHALCOGENIDE, DOMAINS, PEROVSKITE, domain_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN = 3.35  # inches, one column of most journals
DATA, MODEL, GREY = "#000000", "#D55E00", "#888888"


def figure(rows: int = 1, columns: int = 1, height: float = 2.5) -> tuple[Figure, Any]:
    """Return an empty figure at column width and its axes (an array if there are several)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(COLUMN * columns, height * rows), layout="constrained")
    FigureCanvasAgg(made)
    axes = made.subplots(rows, columns, squeeze=True)
    for ax in np.atleast_1d(axes).ravel():
        ax.tick_params(labelsize=7, direction="in", top=True, right=True)
    return made, axes


def save(made: Figure, path: str) -> None:
    """Save a figure whole or not at all; text stays text in SVG and PDF."""
    import matplotlib as mpl

    from heterodot.files import replacing

    with replacing(path) as beside, mpl.rc_context({"svg.fonttype": "none", "pdf.fonttype": 42}):
        made.savefig(beside, dpi=300)


def _labels(ax: Axes, x: str, y: str) -> None:
    ax.set_xlabel(x, fontsize=8)
    ax.set_ylabel(y, fontsize=8)


def _legend(ax: Axes) -> None:
    ax.legend(fontsize=6, frameon=False)


def tauc_figure(edge: Any) -> Figure:
    """Return the Tauc plot of a `TaucEdge` with its line and edge."""
    made, ax = figure()
    ax.plot(edge.energy, edge.ordinate, color=DATA, lw=1)
    low = edge.edge.value
    x = np.array([low, edge.high + 0.3 * (edge.high - edge.low)])
    ax.plot(x, edge.intercept + edge.slope * x, color=MODEL, lw=1, ls="--")
    ax.axvspan(edge.low, edge.high, color=MODEL, alpha=0.15, lw=0)
    ax.axvline(low, color=GREY, lw=0.6)
    top = (edge.intercept + edge.slope * edge.high) * 2.2
    ax.set_ylim(-0.03 * top, top)
    ax.set_xlim(low - 0.35, edge.high + 0.35)
    power = "(A E)$^2$ / eV$^2$" if edge.transition == "direct" else "(A E)$^{1/2}$ / eV$^{1/2}$"
    _labels(ax, "photon energy / eV", power)
    return made


def elliott_figure(fit: Any) -> Figure:
    """Return data, model, exciton and continuum of an `ElliottFit`."""
    made, ax = figure()
    ax.plot(fit.energy, fit.fit.data, ".", ms=2, color=DATA, label="data")
    ax.plot(fit.energy, fit.fit.model_values, color=MODEL, lw=1, label="Elliott")
    ax.fill_between(
        fit.energy,
        fit.background,
        fit.background + fit.bound,
        color=PEROVSKITE,
        alpha=0.5,
        lw=0,
        label="exciton",
    )
    ax.plot(fit.energy, fit.background + fit.continuum, color=GREY, lw=0.8, label="continuum")
    ax.axvline(fit.gap.value, color=GREY, lw=0.6, ls=":")
    _labels(ax, "photon energy / eV", "absorbance")
    _legend(ax)
    return made


def exciton_figure(spectrum: Any, found: Any) -> Figure:
    """Return a spectrum with its first exciton and the background under it."""
    made, ax = figure()
    ax.plot(spectrum.energy, spectrum.values, color=DATA, lw=0.8)
    inside = (spectrum.energy >= found.low) & (spectrum.energy <= found.high)
    x = spectrum.energy[inside]
    ax.plot(x, found.background, color=GREY, lw=0.8, ls="--")
    ax.fill_between(
        x, found.background, found.background + found.peak, color=CHALCOGENIDE, alpha=0.4, lw=0
    )
    ax.axvline(found.energy.value, color=MODEL, lw=0.6)
    _labels(ax, "photon energy / eV", "absorbance")
    return made


def domains_figure(found: Any) -> Figure:
    """Return a `Decomposition`: data, model and each domain in its own color."""
    made, ax = figure()
    ax.plot(found.energy, found.data, ".", ms=2, color=DATA, label="data")
    ax.plot(found.energy, found.model, color=MODEL, lw=1, label="sum")
    for k, domain in enumerate(found.domains):
        ax.plot(
            found.energy,
            domain.absorbance,
            lw=1,
            color=domain_color(domain.phase, k),
            label=domain.phase,
        )
    ax.plot(found.energy, found.background, lw=0.7, ls=":", color=GREY, label="background")
    _labels(ax, "photon energy / eV", "absorbance")
    _legend(ax)
    return made


def emission_figure(fit: Any) -> Figure:
    """Return the bands of an `EmissionFit` with the residual below."""
    made, (ax, below) = figure(2, 1, 1.7)
    ax.plot(fit.energy, fit.data, ".", ms=2, color=DATA)
    ax.plot(fit.energy, fit.model, color=MODEL, lw=1)
    bottom = fit.fit["background"].value
    for k, part in enumerate(fit.parts):
        ax.plot(fit.energy, bottom + part, lw=0.8, color=DOMAINS[k % len(DOMAINS)])
    below.plot(fit.energy, fit.data - fit.model, color=GREY, lw=0.6)
    _labels(ax, "", "emission per energy")
    _labels(below, "photon energy / eV", "residual")
    return made


def excitation_figure(found: Any) -> Figure:
    """Return an excitation spectrum with what came in through donor and acceptor."""
    made, ax = figure()
    mixture = found.mixture
    ax.plot(mixture.energy, mixture.data, ".", ms=2, color=DATA, label="excitation")
    ax.plot(mixture.energy, mixture.model, color=MODEL, lw=1, label="sum")
    ax.plot(mixture.energy, mixture.parts["donor"], color=PEROVSKITE, lw=1, label="donor")
    ax.plot(mixture.energy, mixture.parts["acceptor"], color=CHALCOGENIDE, lw=1, label="acceptor")
    _labels(ax, "exciting photon energy / eV", "acceptor emission")
    _legend(ax)
    return made


def stability_figure(time: Any, signal: Any, found: Any) -> Figure:
    """Return a stability curve with its model and half-life."""
    made, ax = figure()
    ax.plot(time, np.asarray(signal) / found.fit["start"].value, "o", ms=3, color=DATA)
    ax.plot(time, found.fit.model_values / found.fit["start"].value, color=MODEL, lw=1)
    ax.axhline(0.5, color=GREY, lw=0.5, ls=":")
    _labels(ax, f"time / {found.half_life.unit}", "share that is left")
    return made


def consistency_figure(names: Sequence[str], found: Sequence[Any]) -> Figure:
    """Return the calibration that each row of a transfer table needs, for each form."""
    made, ax = figure()
    x = np.arange(len(names))
    for form, color, marker in zip(found, (PEROVSKITE, CHALCOGENIDE), "os", strict=False):
        values = np.array([n.value for n in form.needed]) / form.factor.value
        errors = np.array([n.error or 0.0 for n in form.needed]) / form.factor.value
        ax.errorbar(x, values, errors, fmt=marker, ms=4, lw=0.8, color=color, label=form.form)
    ax.axhline(1.0, color=GREY, lw=0.6)
    ax.set_xticks(x, names)
    _labels(ax, "sample", "calibration needed / fitted")
    _legend(ax)
    return made


def temperature_figure(found: Any) -> Figure:
    """Return a temperature series with its law; intensities over 1/T on a logarithmic axis."""
    made, ax = figure()
    t, law = found.temperature, found.law
    values = {n: p.value for n, p in found.fit.parameters.items()}
    dense = np.linspace(max(t.min(), 1.0), t.max(), 400)
    curve = law.law(values, dense)
    if law.quantity == "intensity":
        ax.semilogy(1000 / np.maximum(t, 1.0), found.data, "o", ms=3, color=DATA)
        ax.semilogy(1000 / dense, curve, color=MODEL, lw=1)
        ax.set_xlim(0.9 * 1000 / t.max(), min(1000 / dense.min(), 120))
        _labels(ax, "1000 K / T", "intensity")
    else:
        scale, name = (1.0, "gap / eV") if law.quantity == "gap" else (1000.0, "full width / meV")
        ax.plot(t, scale * found.data, "o", ms=3, color=DATA)
        ax.plot(dense, scale * curve, color=MODEL, lw=1)
        _labels(ax, "temperature / K", name)
    return made


def trace_figure(time: Any, current: Any, found: Any) -> Figure:
    """Return a chopped trace with its edges."""
    made, ax = figure()
    ax.plot(time, current, color=DATA, lw=0.7)
    for edge in found.edges:
        ax.axvline(edge.time, color=PEROVSKITE if edge.rising else CHALCOGENIDE, lw=0.5, ls=":")
    _labels(ax, "time / s", "current / A")
    return made


def power_figure(power: Any, current: Any, found: Any, unit: str) -> Figure:
    """Return photocurrent and responsivity against power, the linear stretch marked."""
    made, ax = figure()
    order = np.argsort(power)
    ax.loglog(np.asarray(power)[order], np.asarray(current)[order], "o", ms=3, color=DATA)
    ax.axvspan(found.low, found.high, color=PEROVSKITE, alpha=0.2, lw=0)
    _labels(ax, f"light / {unit}", "photocurrent / A")
    return made


def simulated_figure(measured: Any) -> Figure:
    """Return a simulated absorption spectrum, in all and by domain."""
    made, ax = figure()
    energy = measured.data["energy"].values
    for k, name in enumerate(measured.data["sample"].values):
        color = DATA if k == 0 else domain_color(str(name), k - 1)
        ax.plot(
            energy,
            measured.data.values[:, k],
            lw=1.2 if k == 0 else 0.9,
            color=color,
            label=str(name),
        )
    _labels(ax, "photon energy / eV", "oscillator strength / eV$^{-1}$")
    _legend(ax)
    return made


def spectrum_figure(x: Any, y: Any, x_label: str, y_label: str) -> Figure:
    """Return one curve with labels."""
    made, ax = figure()
    ax.plot(x, y, color=DATA, lw=1)
    _labels(ax, x_label, y_label)
    return made
