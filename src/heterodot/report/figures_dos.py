"""Figures of the density of states and of the localization of orbitals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from heterodot.electronic.dos import DensityOfStates, Orbitals, Traps

PEROVSKITE, CHALCOGENIDE = "#E69F00", "#0072B2"
OTHERS = ("#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
HALIDES = ("F", "Cl", "Br", "I")


def domain_colors(names: tuple[str, ...] | list[str]) -> dict[str, str]:
    """Return a color for each domain: halide perovskites orange, chalcogenides blue.

    Examples
    --------
    >>> domain_colors(["CsPbCl3", "PbS"])
    {'CsPbCl3': '#E69F00', 'PbS': '#0072B2'}
    """
    found: dict[str, str] = {}
    rest = iter(OTHERS * (1 + len(names)))
    for name in names:
        wanted = PEROVSKITE if name.startswith(("Cs", "Rb", "MA", "FA")) else CHALCOGENIDE
        found[name] = wanted if wanted not in found.values() else next(rest)
    return found


def dos_figure(curves: DensityOfStates, orbitals: Orbitals, traps: Traps) -> Figure:
    """Return the density of states by group above the participation ratio of the orbitals."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.4, 3.6), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    colors = domain_colors(list(curves.parts))
    base = np.zeros_like(curves.energies)
    for name, part in curves.parts.items():
        top.fill_between(
            curves.energies, base, base + part, color=colors[name], alpha=0.75, lw=0, label=name
        )
        base = base + part
    top.plot(curves.energies, curves.total, color="black", lw=0.6)
    top.set_ylabel("density of states (1/eV)", fontsize=8)
    top.legend(fontsize=7, frameon=False)
    ipr = traps.threshold * traps.ratio / traps.limit
    good = ~traps.is_trap
    bottom.semilogy(orbitals.energies[good], ipr[good], "o", ms=2.5, color="black", label="band")
    bottom.semilogy(orbitals.energies[~good], ipr[~good], "x", ms=4, color="#D55E00", label="trap")
    bottom.semilogy(orbitals.energies, traps.threshold, color="grey", lw=0.6)
    bottom.set_xlabel("energy (eV)", fontsize=8)
    bottom.set_ylabel("participation ratio", fontsize=8)
    bottom.legend(fontsize=7, frameon=False)
    for axes in (top, bottom):
        axes.tick_params(labelsize=7)
        for k, text in ((traps.homo, "HOMO"), (traps.lumo, "LUMO")):
            axes.axvline(orbitals.energies[k], color="grey", lw=0.6, ls=":", label=f"_{text}")
    return figure
