"""Images with their domains and indexed spots, and maps of strain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.report.palette import domain_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from heterodot.measurement import Measurement
    from heterodot.probes.em.gpa import Strain
    from heterodot.probes.em.interface import Line
    from heterodot.probes.em.reading import Reading

UNKNOWN = "#999999"
DIVERGING = "RdBu_r"  # ColorBrewer's, told apart by color-blind readers


def spots_figure(
    image: Measurement, readings: Sequence[Reading], line: Line | None = None
) -> Figure:
    """Return the image with its domains, and the spots of each domain with their indices.

    Parameters
    ----------
    image : Measurement
    readings : sequence of Reading
        From `heterodot.probes.em.read_domains`; the first four are drawn.
    line : Line, optional
        The interface.
    """
    from matplotlib.figure import Figure

    shown = list(readings)[:4]
    count = 1 + len(shown)
    columns = count if count <= 3 else 3
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(2.45 * columns + 0.2, 2.55 * rows), dpi=200, layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    _micrograph(axes[0], image)
    y, x = (image.data[n].values * _to_nm(image) for n in ("y", "x"))
    for reading in shown:
        color = _color(reading)
        axes[0].contour(x, y, reading.grain.mask, levels=[0.5], colors=[color], linewidths=1.2)
        axes[0].annotate(
            str(reading.grain.number), np.array(reading.grain.center) / 10, color="white",
            fontsize=7, ha="center", va="center",
            bbox={"facecolor": color, "lw": 0, "pad": 0.25, "boxstyle": "round"},
        )  # fmt: skip
    if line is not None:
        ends = np.array(line.ends) / 10
        axes[0].plot(ends[:, 0], ends[:, 1], color="white", lw=1.2, ls="--")
    for panel, reading in zip(axes[1:], shown, strict=False):
        _pattern(panel, image, reading)
    for panel in axes[count:]:
        panel.set_visible(False)
    return figure


def _color(reading: Reading) -> str:
    best = reading.best
    if best is None:
        return UNKNOWN
    return domain_color(best.crystal.formula, reading.grain.number - 1)


def _to_nm(image: Measurement) -> float:
    from heterodot.probes.em.spots import SCALE

    return SCALE[str(image.data["x"].attrs["units"])] / 10


def _micrograph(panel: Axes, image: Measurement) -> None:
    """Draw an image in gray with a scale bar and no axes."""
    values = np.asarray(image.data.values, dtype=float)
    y, x = (image.data[n].values * _to_nm(image) for n in ("y", "x"))
    step = float(x[1] - x[0]) / 2
    low, high = np.nanquantile(values, [0.005, 0.998])
    panel.imshow(
        values, cmap="gray", vmin=low, vmax=high, origin="lower", interpolation="antialiased",
        extent=(x[0] - step, x[-1] + step, y[0] - step, y[-1] + step),
    )  # fmt: skip
    scale_bar(panel)
    panel.set_axis_off()


def scale_bar(panel: Axes, color: str = "white") -> None:
    """Draw a bar of a round number of nm in the lower left corner of axes in nm."""
    left, right = panel.get_xlim()
    bottom, top = panel.get_ylim()
    want = (right - left) / 4
    power = 10 ** math.floor(math.log10(want))
    length = max(m for m in (1, 2, 5, 10) if m * power <= want * 1.0001) * power
    x0, y0 = left + 0.05 * (right - left), bottom + 0.06 * (top - bottom)
    panel.plot([x0, x0 + length], [y0, y0], color=color, lw=2.5, solid_capstyle="butt")
    panel.annotate(
        f"{length:g} nm", (x0 + length / 2, y0), xytext=(0, 3), textcoords="offset points",
        color=color, ha="center", va="bottom", fontsize=7,
    )  # fmt: skip


def _pattern(panel: Axes, image: Measurement, reading: Reading) -> None:
    """Draw the diffractogram of a domain, its spots ringed and the low ones named."""
    from heterodot.epitaxy.relationship import direction_text
    from heterodot.probes.em.spots import diffractogram

    spots = reading.grain.spots
    reach = min(1.12 * max((s.g for s in spots if s.amplitude > 0.03), default=0.7), 0.9)
    amplitude, fy, fx = diffractogram(image, reading.grain.weights, reach=reach)
    shown = np.log(amplitude + 0.003 * amplitude.max())
    edge = float(fx[1] - fx[0]) / 2
    panel.imshow(
        shown, cmap="gray", origin="lower", vmin=float(np.quantile(shown, 0.5)),
        extent=(fx[0] - edge, fx[-1] + edge, fy[0] - edge, fy[-1] + edge),
        interpolation="antialiased",
    )  # fmt: skip
    best, color = reading.best, _color(reading)
    size = 0.022 * reach
    matched = {} if best is None else dict(zip(best.matched, best.hkl, strict=True))
    named = 0
    for k, spot in enumerate(spots):
        for sign in (1, -1):
            at = (sign * spot.gx, sign * spot.gy)
            hkl = matched.get(k)
            panel.add_patch(_ring(at, 2 * size, color if hkl else UNKNOWN, hkl is not None))
            # the lower half of the pattern carries the names, so that each stands once
            if hkl and named < 8 and spot.g < 0.72 * reach and _upper(at):
                text = _hkl_text([sign * h for h in hkl])
                panel.annotate(
                    text, at, xytext=(0, 5), textcoords="offset points", color=color,
                    fontsize=6, ha="center", va="bottom",
                    bbox={"facecolor": "black", "alpha": 0.55, "lw": 0, "pad": 0.4},
                )  # fmt: skip
                named += 1
    panel.set_xlim(-reach, reach)
    panel.set_ylim(-reach, reach)
    panel.set_xticks([])
    panel.set_yticks([])
    label = "phase not found"
    if best is not None:
        label = f"{best.crystal.formula} {direction_text(best.zone)}"
    panel.annotate(
        f"{reading.grain.number}  {label}", (0.03, 0.97), xycoords="axes fraction", color="white",
        fontsize=7, va="top", bbox={"facecolor": "black", "alpha": 0.6, "lw": 0, "pad": 1.5},
    )  # fmt: skip
    bar = 0.2
    panel.plot([-0.95 * reach, -0.95 * reach + bar], [-0.93 * reach] * 2, color="white", lw=2)
    panel.annotate(
        f"{bar * 10:g} nm$^{{-1}}$", (-0.95 * reach + bar / 2, -0.93 * reach), xytext=(0, 2),
        textcoords="offset points", color="white", fontsize=6, ha="center", va="bottom",
    )  # fmt: skip


def _upper(at: tuple[float, float]) -> bool:
    return at[1] > 1e-3 or (abs(at[1]) <= 1e-3 and at[0] > 0)


def _ring(at: tuple[float, float], radius: float, color: str, sure: bool) -> Any:
    from matplotlib.patches import Circle

    return Circle(at, radius, fill=False, ec=color, lw=0.8 if sure else 0.5,
                  ls="-" if sure else ":")  # fmt: skip


def _hkl_text(hkl: Sequence[int]) -> str:
    """Return indices with bars over negative ones."""
    parts = [rf"\bar{{{-h}}}" if h < 0 else str(h) for h in hkl]
    return f"${' '.join(parts) if any(abs(h) > 9 for h in hkl) else ''.join(parts)}$"


def strain_figure(image: Measurement, strain: Strain) -> Figure:
    """Return the image with the reference region, and maps of strain and rotation.

    Places without the reference lattice are gray. The colors of all three strains mean the same.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    figure = Figure(figsize=(7.2, 4.6), dpi=200, layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    _micrograph(axes[0], image)
    x0, x1, y0, y1 = (v / 10 for v in strain.region)
    axes[0].add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec="#56B4E9", lw=1.2))
    axes[0].annotate("reference", (x0, y1), color="#56B4E9", fontsize=7, va="bottom")
    _arrows(axes[0], strain)
    limit = 100 * _limit([strain.exx, strain.eyy, strain.exy], strain.trusted, 3 * strain.error)
    names = {"exx": r"$\varepsilon_{xx}$", "eyy": r"$\varepsilon_{yy}$",
             "exy": r"$\varepsilon_{xy}$"}  # fmt: skip
    drawn: Any = None
    for panel, (name, label) in zip((axes[1], axes[2], axes[4]), names.items(), strict=True):
        drawn = _map(panel, strain, 100 * getattr(strain, name), limit, label)
    figure.colorbar(drawn, ax=[axes[1], axes[2]], label="strain (%)", shrink=0.9)
    turn = _limit([strain.rotation], strain.trusted, 0.1)
    rotation = _map(axes[5], strain, strain.rotation, turn, r"$\omega_{xy}$")
    figure.colorbar(rotation, ax=axes[5], label="rotation (deg)", shrink=0.9)
    top = max(float(np.quantile(strain.amplitude, 0.99)), 1.0)
    weak = _map(axes[3], strain, strain.amplitude, top, "amplitude", cmap="viridis", low=0.0)
    figure.colorbar(weak, ax=axes[3], label="over reference", shrink=0.9)
    figure.colorbar(drawn, ax=axes[4], label="strain (%)", shrink=0.9)
    return figure


def _arrows(panel: Axes, strain: Strain) -> None:
    """Draw the directions of both reflections in the upper left corner."""
    left, right = panel.get_xlim()
    bottom, top = panel.get_ylim()
    length = 0.11 * min(right - left, top - bottom)
    start = (left + 2 * length, top - 2 * length)
    for g in strain.g:
        unit = g / np.linalg.norm(g) * length
        panel.annotate("", start + unit, start, arrowprops={"arrowstyle": "->", "color": "white"})
        panel.annotate(
            f"{1 / np.linalg.norm(g):.2f} Å", start + 1.5 * unit, color="white", fontsize=5.5,
            ha="center", va="center",
        )  # fmt: skip


def _limit(maps: Sequence[NDArray[Any]], trusted: NDArray[np.bool_], least: float) -> float:
    """Return half of a symmetric color scale that holds 98 % of what is trusted."""
    if not trusted.any():
        return max(least, 1e-3)
    values = np.concatenate([np.abs(m[trusted]) for m in maps])
    want = max(float(np.quantile(values, 0.98)), least, 1e-4)
    power = 10 ** math.floor(math.log10(want))
    return float(next(m for m in (1, 1.5, 2, 3, 5, 7.5, 10) if m * power >= want * 0.999) * power)


def _map(
    panel: Axes,
    strain: Strain,
    values: NDArray[Any],
    limit: float,
    label: str,
    cmap: str = DIVERGING,
    low: float | None = None,
) -> Any:
    from matplotlib import colormaps

    colors = colormaps[cmap].with_extremes(bad="#BDBDBD")
    shown = values if low is not None else np.where(strain.trusted, values, np.nan)
    x, y = strain.x / 10, strain.y / 10
    edge = float(x[1] - x[0]) / 2
    drawn = panel.imshow(
        shown, cmap=colors, vmin=-limit if low is None else low, vmax=limit, origin="lower",
        extent=(x[0] - edge, x[-1] + edge, y[0] - edge, y[-1] + edge), interpolation="nearest",
    )  # fmt: skip
    scale_bar(panel, "white" if low is not None else "black")
    panel.set_axis_off()
    panel.annotate(
        label, (0.03, 0.97), xycoords="axes fraction", va="top", fontsize=9,
        bbox={"facecolor": "white", "alpha": 0.75, "lw": 0, "pad": 1.5},
    )  # fmt: skip
    return drawn


__all__ = ["scale_bar", "spots_figure", "strain_figure"]
