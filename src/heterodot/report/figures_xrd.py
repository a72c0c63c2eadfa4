"""Figures of powder patterns: fit with its parts and residual, and a pattern beside bulk sticks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodot.report.palette import CHALCOGENIDE, DOMAINS, PEROVSKITE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from heterodot.fitting import Fit
    from heterodot.measurement import Measurement
    from heterodot.probes.xrd import Sticks

OTHERS = DOMAINS[2:]
HUMP = "#999999"


def color_of(name: str, formula: str, taken: list[str]) -> str:
    """Return a phase's color: one each for perovskites and chalcogenides, others in turn."""
    halide = any(x in formula for x in ("Cl", "Br", "I"))
    sulfide = any(x in formula for x in ("S", "Se", "Te"))
    if halide and not sulfide and formula.startswith("Cs") and PEROVSKITE not in taken:
        return PEROVSKITE
    if sulfide and not halide and CHALCOGENIDE not in taken:
        return CHALCOGENIDE
    return next((c for c in OTHERS if c not in taken), "#000000")


def pattern_figure(fit: Fit, width: float = 3.5) -> Figure:
    """Return measured and fitted pattern, parts, background and weighted residual.

    Parameters
    ----------
    fit : Fit
        From `heterodot.probes.xrd.fit`.
    width : float
        Inches (3.5 is one journal column).
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, 0.95 * width), layout="constrained")
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    x = fit.extra["two_theta"]
    smooth = fit.extra["background"]
    assert fit.data is not None
    assert fit.model_values is not None
    assert fit.residual is not None
    top.plot(x, fit.data, ".", ms=1.5, color="0.6", label="measured")
    taken: list[str] = []
    for name, curve in fit.extra["components"].items():
        row = fit.extra["phases"].get(name, {})
        color = HUMP if row.get("amorphous") else color_of(name, row.get("formula", ""), taken)
        taken.append(color)
        top.fill_between(x, smooth, smooth + curve, color=color, alpha=0.35, lw=0)
        top.plot(x, smooth + curve, color=color, lw=0.8, label=name)
    top.plot(x, smooth, color="0.4", lw=0.8, ls="--", label="background")
    top.plot(x, fit.model_values, color="black", lw=0.9, label="fit")
    top.set_ylabel("Intensity")
    top.set_ylim(bottom=0)
    top.legend(frameon=False, fontsize="x-small")
    below.axhspan(-2, 2, color="0.9", lw=0)
    below.plot(x, fit.residual, color="black", lw=0.5)
    below.set_ylabel("Residual / σ")
    below.set_xlabel("2θ (deg)")
    below.set_xlim(float(x[0]), float(x[-1]))
    return figure


def simulated_figure(
    pattern: Measurement,
    sticks: Mapping[str, Sticks] | None = None,
    width: float = 3.5,
    formulas: Mapping[str, str] | None = None,
) -> Figure:
    """Return a simulated pattern above the reflections of bulk phases.

    Parameters
    ----------
    pattern : Measurement
        From `heterodot.probes.xrd.simulate`.
    sticks : mapping of phase to Sticks, optional
    width : float
        Inches.
    formulas : mapping of phase to formula, optional
        For the colors; the names are used otherwise.
    """
    from matplotlib.figure import Figure

    rows: dict[str, Any] = dict(sticks or {})
    figure = Figure(figsize=(width, 0.75 * width + 0.35 * len(rows)), layout="constrained")
    axes = figure.subplots(
        1 + len(rows), 1, sharex=True, height_ratios=[3, *[0.6] * len(rows)], squeeze=False
    ).ravel()
    x, y = pattern.data["two_theta"].values, pattern.data.values
    axes[0].plot(x, y / np.max(y), color="black", lw=0.9)
    axes[0].set_ylabel("Intensity / maximum")
    taken: list[str] = []
    for axis, (name, found) in zip(axes[1:], rows.items(), strict=True):
        color = color_of(name, (formulas or {}).get(name, name), taken)
        taken.append(color)
        axis.vlines(found.two_theta, 0, found.intensity, color=color, lw=1.0)
        axis.set_ylim(0, 115)
        axis.set_yticks([])
        axis.text(0.99, 0.9, name, color=color, ha="right", va="top", transform=axis.transAxes)
    axes[-1].set_xlabel("2θ (deg)")
    axes[0].set_xlim(float(x[0]), float(x[-1]))
    return figure
