"""Overlay of found particles for review, and histograms of their sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.report.palette import CHALCOGENIDE, PEROVSKITE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from heterodot.probes.segmentation import Segmentation

UNSIZED = "#D55E00"


def overlay(image: NDArray[Any], found: Segmentation) -> Figure:
    """Return the image with outlines and numbers, to be checked by eye.

    Sized particles are outlined in orange, counted ones that could not be sized in red and broken
    lines, second domains in blue.

    Parameters
    ----------
    image : (ny, nx) array
    found : Segmentation
    """
    from matplotlib.figure import Figure
    from scipy import ndimage

    ny, nx = image.shape
    width = 8.0
    figure = Figure(figsize=(width, width * ny / nx), dpi=200, layout="constrained")
    axes = figure.subplots()
    side = found.pixel_size
    low, high = np.quantile(image, [0.002, 0.998])
    extent = (-side / 2, (nx - 0.5) * side, (ny - 0.5) * side, -side / 2)
    axes.imshow(image, cmap="gray", vmin=low, vmax=high, extent=extent, interpolation="nearest")
    boxes = ndimage.find_objects(found.labels)
    for particle in found.particles:
        rows, columns = boxes[particle.number - 1]
        own = np.pad(found.labels[rows, columns] == particle.number, 1)
        x = (np.arange(own.shape[1]) + columns.start - 1) * side
        y = (np.arange(own.shape[0]) + rows.start - 1) * side
        sized = particle.size is not None
        axes.contour(
            x, y, own, levels=[0.5], colors=PEROVSKITE if sized else UNSIZED, linewidths=0.8,
            linestyles="solid" if sized else "dashed",
        )  # fmt: skip
        minor = np.pad(found.second[rows, columns], 1) & own
        if minor.any():
            axes.contour(x, y, minor, levels=[0.5], colors=CHALCOGENIDE, linewidths=0.8)
        axes.annotate(
            str(particle.number), particle.center, color="white", fontsize=5, ha="center",
            va="center", bbox={"facecolor": "black", "alpha": 0.5, "lw": 0, "pad": 0.6},
        )  # fmt: skip
    axes.set_xlabel("x (nm)")
    axes.set_ylabel("y (nm)")
    return figure


def size_histogram(found: Segmentation, bins: int | None = None) -> Figure:
    """Return the histogram of sizes with counting errors, and of the domains if there are two."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.5, 2.6), layout="constrained")
    axes = figure.subplots()
    edges, counts, errors = found.histogram(bins)
    middle = (edges[1:] + edges[:-1]) / 2
    axes.bar(middle, counts, np.diff(edges), yerr=errors, color="#B8C4CE", ec="white", capsize=2,
             label="particles", error_kw={"lw": 0.7})  # fmt: skip
    label = f"{found.size_name} (nm)"
    for name, color in (("first", PEROVSKITE), ("second", CHALCOGENIDE)):
        sizes = found.domain_sizes(name)
        if len(sizes) > 2:
            axes.hist(sizes, bins="fd", histtype="step", color=color, label=f"{name} domain")
            label = f"{found.size_name}, domains: diameter of equal area (nm)"
    axes.set_xlabel(label, fontsize=8)
    axes.set_ylabel("particles", fontsize=8)
    axes.tick_params(labelsize=7)
    if axes.get_legend_handles_labels()[1] != ["particles"]:
        axes.legend(fontsize=7, frameon=False)
    return figure
