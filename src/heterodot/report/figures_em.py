"""Figures of micrographs: the image with a scale bar, and its atomic columns by sublattice.

Each function takes plain results and returns a Matplotlib Figure; the caller saves it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodot.report.palette import CHALCOGENIDE, DOMAINS, PEROVSKITE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from heterodot.measurement import Measurement

WIDTH = 3.35  # inches, one column of most journals
SUBLATTICES = (PEROVSKITE, CHALCOGENIDE, *DOMAINS[2:])
NANOMETERS = {"angstrom": 0.1, "nm": 1.0}


def image_figure(image: Measurement, *, cut: float = 0.001) -> Figure:
    """Return an image in gray with a scale bar, no frame.

    Parameters
    ----------
    image : Measurement
        Axes with a scale; rows go up if the axis is marked ``"up"`` (simulated images).
    cut : float
        Part of the pixels at either end of the gray scale that is clipped.
    """
    made, _ = _drawn(image, cut)
    return made


def columns_figure(image: Measurement, found: Any, *, cut: float = 0.001) -> Figure:
    """Return an image with its atomic columns marked, one color a sublattice."""
    made, axes = _drawn(image, cut)
    for k, group in enumerate(found.sublattices):
        chosen = [
            c for c in found.columns if (c.domain, c.sublattice) == (group.domain, group.label)
        ]
        axes.plot(
            [c.x.to("nm").value for c in chosen],
            [c.y.to("nm").value for c in chosen],
            "o",
            ms=3.2,
            mew=0.8,
            mfc="none",
            mec=SUBLATTICES[k % len(SUBLATTICES)],
            label=f"{group.domain}: {group.label} ({group.count})",
        )
    open_ = [c for c in found.columns if not c.sublattice]
    if open_:
        axes.plot(
            [c.x.to("nm").value for c in open_],
            [c.y.to("nm").value for c in open_],
            "x",
            ms=2.4,
            mew=0.6,
            color="#D55E00",
            label=f"on no lattice ({len(open_)})",
        )
    # below the picture, where it hides no column
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        strip = 0.08 + 0.14 * math.ceil(len(handles) / 2)
        wide, high = made.get_size_inches()
        made.set_size_inches(wide, high + strip)
        axes.set_position((0, strip / (high + strip), 1, high / (high + strip)))
        made.legend(
            handles, labels, fontsize=6, loc="lower center", ncols=2, frameon=False,
            borderpad=0.2, borderaxespad=0.1, handletextpad=0.2, columnspacing=1.2,
        )  # fmt: skip
    return made


def bar_length(width: float) -> float:
    """Return a round length of about a quarter of the width of an image.

    Examples
    --------
    >>> bar_length(6.4), bar_length(13.0), bar_length(0.9)
    (1.0, 2.0, 0.2)
    """
    power = 10.0 ** math.floor(math.log10(width / 4))
    return max(step * power for step in (1, 2, 5) if step * power <= width / 4 * 1.0001)


def _drawn(image: Measurement, cut: float) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    data = image.data
    factor = NANOMETERS[str(data["x"].attrs["units"])]
    x, y = (np.asarray(data[k].values, dtype=float) * factor for k in ("x", "y"))
    dx, dy = x[1] - x[0], y[1] - y[0]
    wide, high = dx * len(x), dy * len(y)
    made = Figure(figsize=(WIDTH, min(WIDTH * high / wide, 9.0)))
    FigureCanvasAgg(made)
    axes = made.add_axes((0, 0, 1, 1))
    values = np.asarray(data.values, dtype=float)
    low, top = np.quantile(values, [cut, 1 - cut])
    extent = (x[0] - dx / 2, x[-1] + dx / 2, y[0] - dy / 2, y[-1] + dy / 2)
    axes.imshow(
        values, cmap="gray", vmin=low, vmax=top, extent=extent, origin="lower",
        interpolation="nearest", aspect="equal",
    )  # fmt: skip
    if data.attrs.get("y_axis") != "up":
        axes.invert_yaxis()
    axes.set_axis_off()
    _bar(axes, wide)
    return made, axes


def _bar(axes: Axes, wide: float) -> None:
    """Draw a white bar with a dark edge and its length in the lower left corner."""
    from matplotlib import patheffects
    from matplotlib.patches import Rectangle

    length = bar_length(wide)
    edge = [patheffects.withStroke(linewidth=1.6, foreground="black")]
    box = Rectangle(
        (0.04, 0.04), length / wide, 0.014, transform=axes.transAxes,
        fc="white", ec="black", lw=0.6,
    )  # fmt: skip
    axes.add_patch(box)
    text = f"{length:g} nm" if length >= 0.1 else f"{1000 * length:g} pm"
    axes.text(
        0.04 + length / wide / 2, 0.065, text, transform=axes.transAxes, color="white",
        fontsize=8, ha="center", va="bottom", path_effects=edge,
    )  # fmt: skip
