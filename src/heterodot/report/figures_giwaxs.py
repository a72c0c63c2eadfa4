"""Figures of films at grazing incidence: map in q, powder equivalent, and angles of reflections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from heterodot.report.figures_xrd import color_of
from heterodot.report.palette import DOMAINS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from heterodot.measurement import Measurement
    from heterodot.probes.giwaxs import FilmFit


def film_figure(found: FilmFit, cartesian: Measurement | None = None, width: float = 7.0) -> Figure:
    """Return the map with its reflections, the powder equivalent and azimuthal profiles.

    Parameters
    ----------
    found : FilmFit
        From `heterodot.probes.giwaxs.fit`.
    cartesian : Measurement, optional
        Map over q parallel and q_z from `reduce`; the polar map is shown without it.
    width : float
        Inches (7 is two journal columns).
    """
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, 0.52 * width), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=[1.05, 1])
    left, upper, lower = (
        figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, 1])
    )  # fmt: skip
    if cartesian is not None:
        x, y = cartesian.data["q_parallel"].values, cartesian.data["q_z"].values
        values, labels = cartesian.data.values, ("$q_\\parallel$ (1/Å)", "$q_z$ (1/Å)")
    else:
        x, y = found.map.q, found.map.chi
        values, labels = found.map.values, ("q (1/Å)", "χ from the normal (deg)")
    seen = values[np.isfinite(values) & (values > 0)]
    low, high = np.percentile(seen, [2, 99.8])
    shown = left.pcolormesh(
        x, y, np.where(values > 0, values, np.nan), norm=LogNorm(max(low, high * 1e-4), high),
        cmap="viridis", rasterized=True, shading="nearest",
    )  # fmt: skip
    figure.colorbar(shown, ax=left, label="Intensity", shrink=0.8)
    left.set_xlabel(labels[0])
    left.set_ylabel(labels[1])
    if cartesian is not None:
        left.set_aspect("equal")
        _marks(left, found, float(np.abs(x).max()), float(y.max()))
    _profile(upper, found)
    _angles(lower, found)
    return figure


def _marks(axes: Any, found: FilmFit, wide: float, high: float) -> None:
    """Draw each reflection where its poles are: a dotted quarter for a ring, a cross for a spot."""
    for r in found.reflections:
        q, o = r.ring.q.value, r.orientation
        if o is None or o.angle is None:
            chi = np.radians(np.linspace(5, 85, 60))
            axes.plot(q * np.sin(chi), q * np.cos(chi), ":", color="white", lw=0.7)
            continue
        chi = np.radians(o.angle.value)
        for side in (1, -1):
            axes.plot(
                side * q * np.sin(chi), q * np.cos(chi), "+", color="white", ms=6, mew=0.9
            )  # fmt: skip
    axes.set_xlim(-wide, wide)
    axes.set_ylim(0, high)


def _profile(axes: Any, found: FilmFit) -> None:
    """Draw the powder equivalent with the phases' names at their reflections."""
    axes.plot(found.q, found.powder, color="black", lw=0.9)
    axes.set_yscale("log")
    positive = found.powder[found.powder > 0]
    axes.set_ylim(0.7 * float(positive.min()), 12 * float(positive.max()))
    taken: dict[str, str] = {}
    for r in found.reflections:
        if not r.phase:
            continue
        if r.phase not in taken:
            taken[r.phase] = _color(found, r.phase, list(taken.values()))
        top = float(np.interp(r.ring.q.value, found.q, found.powder))
        plane = "".join(map(str, r.hkl or ()))
        axes.annotate(
            plane, (r.ring.q.value, 1.3 * top), rotation=90, ha="center", va="bottom",
            fontsize="x-small", color=taken[r.phase],
        )  # fmt: skip
    for name, color in taken.items():
        axes.plot([], [], color=color, lw=3, label=name)
    if taken:
        axes.legend(frameon=False, fontsize="x-small", loc="upper right")
    axes.set_xlabel("q (1/Å)")
    axes.set_ylabel("Powder equivalent")


def _color(found: FilmFit, name: str, taken: list[str]) -> str:
    row = found.phases.extra["phases"].get(name, {}) if found.phases is not None else {}
    return color_of(name, str(row.get("formula", "")), taken)


def _angles(axes: Any, found: FilmFit) -> None:
    """Draw the azimuthal profiles of the most significant reflections with their models."""
    ranked = sorted(
        (r for r in found.reflections if r.orientation is not None),
        key=lambda r: -r.ring.significance,
    )[:4]
    for k, r in enumerate(sorted(ranked, key=lambda r: r.ring.q.value)):
        o = r.orientation
        assert o is not None
        weight = np.sin(np.radians(o.chi))
        mean = float((o.model * weight).sum() / weight.sum()) or 1.0
        color = DOMAINS[(k + 2) % len(DOMAINS)]
        label = f"q = {r.ring.q.value:.2f} 1/Å, {o.kind}"
        axes.errorbar(o.chi, o.intensity / mean, o.error / mean, fmt=".", ms=2, lw=0.5, color=color)
        axes.plot(o.chi, o.model / mean, color=color, lw=1.0, label=label)
    axes.set_yscale("log")
    axes.set_ylim(0.03, None)
    axes.set_xlim(0, 90)
    axes.set_xlabel("χ from the normal (deg)")
    axes.set_ylabel("Pole density (powder = 1)")
    axes.legend(frameon=False, fontsize="x-small")
