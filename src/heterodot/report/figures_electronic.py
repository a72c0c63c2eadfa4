"""Figures of levels, alignment over sizes, absorption and sizing; results in, Figure out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodot.files import replacing
from heterodot.report.palette import domain_color

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from heterodot.electronic import Levels
    from heterodot.electronic.size_map import SizeMap
    from heterodot.electronic.sizing import SizingRow

WIDTH = 3.5  # inches, one column of a journal
TYPE_COLORS = {
    "type I": "#009E73",
    "quasi-type I": "#B2DFCB",
    "quasi-type II": "#E9C3DA",
    "type II": "#CC79A7",
}


def level_diagram(levels: Levels | Mapping[str, Any]) -> Figure:
    """Return band edges by domain with the particle's levels, each where it lives.

    A level is drawn in every domain, as wide as the root of its share there; the shares of the
    edge levels are written beside them.

    Parameters
    ----------
    levels : Levels, or what its ``to_json`` gave
        A document may also hold that under ``"levels"``.

    Returns
    -------
    matplotlib Figure
        Energies against vacuum in eV.
    """
    from matplotlib.figure import Figure

    document: Mapping[str, Any] = levels if isinstance(levels, Mapping) else levels.to_json()
    document = document.get("levels", document)
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    axes = figure.subplots()
    domains, edges = document["domains"], []
    for k, domain in enumerate(domains):
        color = domain_color(domain["phase"], k)
        low, high = domain["valence"]["value"], domain["conduction"]["value"]
        edges += [low, high]
        for edge in (low, high):
            axes.plot([k, k + 1], [edge, edge], color=color, lw=1.8, solid_capstyle="butt")
        axes.fill_between([k, k + 1], high, high + 9.0, color=color, alpha=0.18, lw=0)
        axes.fill_between([k, k + 1], low - 9.0, low, color=color, alpha=0.18, lw=0)
    for state in (*document["electrons"], *document["holes"]):
        energy = state["energy"]["value"]
        edges.append(energy)
        for k, domain in enumerate(domains):
            share = state["fractions"][domain["domain"]]
            if share < 0.02:
                continue
            half = 0.46 * np.sqrt(share)
            axes.plot(
                [k + 0.5 - half, k + 0.5 + half],
                [energy, energy],
                color="black",
                lw=1.6 if state["index"] == 0 else 0.8,
                solid_capstyle="butt",
            )
            if state["index"] == 0:
                up = state["carrier"] == "hole"
                axes.annotate(
                    f"{share:.0%}",
                    (k + 0.5, energy),
                    xytext=(0, 2 if up else -2),
                    textcoords="offset points",
                    ha="center",
                    va="bottom" if up else "top",
                    fontsize=7,
                )
    room = 0.12 * (max(edges) - min(edges)) + 0.1
    axes.set_ylim(min(edges) - room, max(edges) + room)
    axes.set_xlim(0, len(domains))
    axes.set_xticks([k + 0.5 for k in range(len(domains))], [d["domain"] for d in domains])
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("Energy against vacuum (eV)")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure


def size_map_figure(found: SizeMap) -> Figure:
    """Return the type of alignment over both domain sizes, with contours of the optical gap.

    Parameters
    ----------
    found : SizeMap

    Returns
    -------
    matplotlib Figure
        Sizes in nm, contours in eV.
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    figure = Figure(figsize=(WIDTH + 1.2, 3.2), layout="constrained")
    axes = figure.subplots()
    kinds = list(TYPE_COLORS)
    number = np.array([[kinds.index(t) for t in row] for row in found.types])
    x, y = np.asarray(found.first_sizes) / 10, np.asarray(found.second_sizes) / 10
    axes.pcolormesh(
        x, y, number.T, cmap=ListedColormap(list(TYPE_COLORS.values())), vmin=-0.5, vmax=3.5,
        shading="nearest",
    )  # fmt: skip
    if min(number.shape) > 1 and np.ptp(found.gaps) > 0:
        lines = axes.contour(x, y, found.gaps.T, colors="black", linewidths=0.7)
        axes.clabel(lines, fmt="%.2f", fontsize=7)
    axes.set_xlabel(f"{found.first} edge (nm)")
    axes.set_ylabel(f"{found.second} diameter (nm)")
    used = sorted(set(number.reshape(-1).tolist()))
    figure.legend(
        handles=[Patch(color=TYPE_COLORS[kinds[k]], label=kinds[k]) for k in used],
        loc="outside right upper",
        frameon=False,
        fontsize=8,
    )
    return figure


def sizing_figure(rows: dict[str, list[SizingRow]]) -> Figure:
    """Return computed optical gaps over size against empirical curves or points.

    Parameters
    ----------
    rows : mapping of formula to list of SizingRow
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
    axes = figure.subplots()
    markers = "osD^v<>"
    for k, (formula, entries) in enumerate(rows.items()):
        size = np.array([row.size for row in entries]) / 10
        axes.plot(
            size,
            [row.computed.value for row in entries],
            "-",
            color=domain_color(formula, k),
            lw=1.2,
        )
        axes.plot(
            size,
            [row.empirical.value for row in entries],
            markers[k % len(markers)],
            color=domain_color(formula, k),
            mfc="none",
            ms=4,
            label=formula,
        )
    axes.set_xlabel("Size (nm)")
    axes.set_ylabel("First exciton (eV)")
    axes.legend(
        frameon=False, fontsize=7, title="line: computed; marks: empirical", title_fontsize=7
    )
    return figure


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure in the format of its suffix (svg, pdf, png), whole or not at all.

    Raises
    ------
    InputError
        A suffix that is no figure format.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from heterodot.errors import InputError

    suffix = Path(path).suffix.lower().lstrip(".")
    if suffix not in ("svg", "pdf", "png"):
        raise InputError(
            f"'{suffix or path}' is no figure format",
            file=path,
            remedy="end it with .svg, .pdf or .png",
        )
    FigureCanvasAgg(figure)
    with replacing(path) as beside:
        figure.savefig(beside, format=suffix, dpi=300)
    return Path(path)
