"""EDX: compositions with errors beside mixtures, spectra with their lines, maps with domains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodot.report.palette import CHALCOGENIDE, DOMAINS, PEROVSKITE, element_color

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from heterodot.probes.edx import Composition, MapDomains, PhaseMixture, SpectrumFit


def composition_figure(
    found: Mapping[str, Composition], mixtures: Sequence[PhaseMixture | None] = ()
) -> Figure:
    """Return atomic percent of each region with errors, and what mixtures of phases would have.

    Parameters
    ----------
    found : mapping of region to Composition
    mixtures : sequence of PhaseMixture or None
        One for each region, or none.
    """
    from matplotlib.figure import Figure

    elements = list(dict.fromkeys(e for made in found.values() for e in made.elements))
    n = len(found)
    figure = Figure(figsize=(1.6 + 0.5 * len(elements) * max(1, n / 2), 2.6), layout="constrained")
    axes = figure.subplots()
    wide = 0.8 / n
    for k, (name, made) in enumerate(found.items()):
        percent = made.atomic_percent()
        x = np.array([elements.index(e) for e in made.elements]) + (k - (n - 1) / 2) * wide
        errors = [v.error or 0.0 for v in percent.values()]
        color = "#B8C4CE" if n == 1 else DOMAINS[k % len(DOMAINS)]
        axes.bar(x, [v.value for v in percent.values()], 0.9 * wide, yerr=errors, color=color,
                 label=name if n > 1 else "found", capsize=2, error_kw={"lw": 0.7})  # fmt: skip
        mixed = mixtures[k] if k < len(mixtures) else None
        if mixed is not None:
            label = " + ".join(f"{s.mole.value:.2f} {s.formula}" for s in mixed.shares)
            # the mixture is of the phases' elements alone
            own = np.array([percent[e].value for e in mixed.elements]).sum() / 100
            at = np.array([elements.index(e) for e in mixed.elements]) + (k - (n - 1) / 2) * wide
            axes.plot(at, own * mixed.expected, "_", ms=140 * wide / len(elements), mew=2, color="#D55E00",
                      label=_subscripts(label) if n == 1 else None)  # fmt: skip
    axes.set_xticks(range(len(elements)), elements)
    axes.set_ylabel("atomic percent", fontsize=8)
    axes.tick_params(labelsize=8)
    if n > 1 or any(m is not None for m in mixtures):
        axes.legend(fontsize=7, frameon=False)
    axes.set_ylim(0, axes.get_ylim()[1] * (1.15 if n > 1 else 1.25))
    return figure


def _subscripts(text: str) -> str:
    import re

    return re.sub(r"(?<=[A-Za-z])(\d+)", r"$_{\1}$", text)


def spectrum_figure(found: SpectrumFit) -> Figure:
    """Return a spectrum with its fit, background, named lines, and residuals in standard errors."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 3.6), layout="constrained")
    top, low = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    top.step(found.energy, found.counts, where="mid", color="#9A9A9A", lw=0.6, label="measured")
    top.plot(found.energy, found.model, color="#D55E00", lw=0.9, label="fit")
    top.plot(found.energy, found.background, color="black", lw=0.8, ls="--", label="background")
    floor = max(0.5, float(found.background[found.background > 0].min()) * 0.3)
    top.set_yscale("log")
    top.set_ylim(floor, float(found.counts.max()) * 6)
    placed: list[float] = []
    for line in sorted(found.lines, key=lambda x: x.energy):
        at = int(np.argmin(np.abs(found.energy - line.energy)))
        near = sum(abs(line.energy - p) < 0.45 for p in placed)
        placed.append(line.energy)
        height = float(found.model[max(at - 3, 0) : at + 4].max())
        top.annotate(
            line.name, (line.energy, height * 1.15), (0, 4 + 11 * near), fontsize=7,
            textcoords="offset points", ha="center", va="bottom",
            arrowprops={"arrowstyle": "-", "lw": 0.4} if near else None,
        )  # fmt: skip
    top.set_ylabel("counts per channel", fontsize=8)
    top.legend(fontsize=7, frameon=False, loc="upper right")
    rest = (found.counts - found.model) / np.sqrt(np.maximum(found.model, 1))
    low.plot(found.energy, rest, color="#0072B2", lw=0.5)
    low.axhline(0, color="black", lw=0.5)
    low.set_ylabel("residual /\nst. error", fontsize=8)
    low.set_xlabel("energy (keV)", fontsize=8)
    for axes in (top, low):
        axes.tick_params(labelsize=7)
    return figure


def domains_figure(found: MapDomains) -> Figure:
    """Return each element's map with the domains' outlines, and the domains."""
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    panels = [*found.elements, "domains"]
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    ny, nx = found.labels.shape
    figure = Figure(figsize=(2.3 * columns, 2.3 * rows * ny / nx + 0.5), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).ravel()
    side = found.pixel
    extent = (0.0, nx * side, ny * side, 0.0)
    x, y = (np.arange(nx) + 0.5) * side, (np.arange(ny) + 0.5) * side
    colors = [PEROVSKITE, CHALCOGENIDE, *DOMAINS[2:]]
    order = _colored(found)
    for ax, name in zip(axes, panels, strict=False):
        if name == "domains":
            palette = ListedColormap(["white", *[colors[order[d.number]] for d in found.domains]])
            ax.imshow(found.labels, cmap=palette, vmin=-0.5, vmax=len(found.domains) + 0.5,
                      extent=extent, interpolation="nearest")  # fmt: skip
            ax.contour(x, y, found.pure, levels=[0.5], colors="black", linewidths=0.6)
        else:
            counts = np.maximum(found.maps[found.elements.index(name)], 0)
            ax.imshow(counts, cmap=_map_of(name), extent=extent, interpolation="nearest",
                      vmax=max(float(np.quantile(counts, 0.995)), 1e-9))  # fmt: skip
            for d in found.domains:
                ax.contour(x, y, found.labels == d.number, levels=[0.5], colors="white",
                           linewidths=0.6)  # fmt: skip
        ax.text(0.03, 0.97, name, transform=ax.transAxes, fontsize=8, va="top",
                color="black" if name == "domains" else "white")  # fmt: skip
        ax.tick_params(labelsize=7)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    figure.supxlabel("x (nm)", fontsize=8)
    figure.supylabel("y (nm)", fontsize=8)
    return figure


def _colored(found: MapDomains) -> dict[int, int]:
    """Return which color each domain has: perovskite's for the one with most halide or cesium."""
    first = {"Cs", "Rb", "Cl", "Br", "I"}
    share = {}
    for d in found.domains:
        total = sum(max(v.value, 0) for v in d.counts.values())
        share[d.number] = sum(max(v.value, 0) for e, v in d.counts.items() if e in first) / total
    ranked = sorted(share, key=lambda n: -share[n])
    return {number: k for k, number in enumerate(ranked)}


def _map_of(element: str) -> Any:
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    color = np.array(to_rgb(element_color(element)))
    # dark colors would not show on black: raise them to the same lightness
    color = np.clip(color / max(color.max(), 1e-3), 0, 1)
    return LinearSegmentedColormap.from_list(element, [(0, 0, 0), tuple(color)])
