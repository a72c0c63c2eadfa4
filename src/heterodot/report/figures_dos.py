"""Figures of the density of states and of the localization of orbitals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from heterodot.electronic.dos import DensityOfStates, Orbitals, Traps
    from heterodot.electronic.dos_cube import Cube

    Mesh = tuple[NDArray[np.float64], NDArray[np.int64]]

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
    bottom.semilogy(orbitals.energies, np.minimum(traps.threshold, 1.0), color="grey", lw=0.6)
    # the deep states of a whole calculation would squeeze the gap to a line
    edges = orbitals.energies[[traps.homo, traps.lumo]]
    low, high = edges.min() - 6.0, edges.max() + 4.0
    seen = (max(float(curves.energies[0]), low), min(float(curves.energies[-1]), high))
    if seen[1] > seen[0]:
        bottom.set_xlim(*seen)
    bottom.set_xlabel("energy (eV)", fontsize=8)
    bottom.set_ylabel("participation ratio", fontsize=8)
    bottom.legend(fontsize=7, frameon=False)
    for axes in (top, bottom):
        axes.tick_params(labelsize=7)
        for k, text in ((traps.homo, "HOMO"), (traps.lumo, "LUMO")):
            axes.axvline(orbitals.energies[k], color="grey", lw=0.6, ls=":", label=f"_{text}")
    return figure


POSITIVE, NEGATIVE = "#D55E00", "#56B4E9"


def orbital_figure(
    panels: list[tuple[str, Cube, Mesh, Mesh]], domain: NDArray[np.int64] | None = None
) -> Figure:
    """Return pictures of orbitals: surfaces of both signs around the atoms, seen from one side.

    Parameters
    ----------
    panels : list of (name, cube, surface, surface)
        Meshes of equal height, one for each sign.
    domain : (n_atoms,) int array, optional
        Atoms are shaded by their domain; by element where not given.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.4 * len(panels), 3.4), dpi=200, layout="constrained")
    for axes, (name, cube, up, down) in zip(
        np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True
    ):
        _orbital_panel(axes, cube, (up, down), domain)
        axes.text(0.02, 0.96, name, transform=axes.transAxes, fontsize=9, va="top")
    return figure


def _orbital_panel(
    axes: object, cube: Cube, meshes: tuple[Mesh, Mesh], domain: NDArray[np.int64] | None
) -> None:
    from ase.data import chemical_symbols, covalent_radii
    from matplotlib.collections import EllipseCollection, PolyCollection
    from matplotlib.colors import to_rgb

    from heterodot.report.figures_particle import ELEMENTS

    turn = _view(35.0, 20.0)
    middle = cube.positions.mean(axis=0)
    atoms = (cube.positions - middle) @ turn.T
    radius = 0.45 * covalent_radii[cube.numbers]
    order = np.argsort(atoms[:, 2])
    if domain is not None and len(domain) == len(atoms):
        table = [PEROVSKITE, CHALCOGENIDE, *OTHERS]
        colors = [table[d % len(table)] if d >= 0 else "#999999" for d in domain]
    else:
        colors = [ELEMENTS.get(chemical_symbols[z], "#B0B0B0") for z in cube.numbers]
    face = np.array([to_rgb(c) for c in colors])[order]
    discs = EllipseCollection(
        2 * radius[order], 2 * radius[order], np.zeros(len(order)), units="x",
        offsets=atoms[order, :2], transOffset=axes.transData,  # type: ignore[attr-defined]
        facecolors=face, edgecolors=face * 0.5, linewidths=0.3,
    )  # fmt: skip
    axes.add_collection(discs)  # type: ignore[attr-defined]
    corners, shades = [], []
    for (vertices, triangles), color in zip(meshes, (POSITIVE, NEGATIVE), strict=True):
        if len(triangles) == 0:
            continue
        placed = ((vertices - middle) @ turn.T)[triangles]
        normal = np.cross(placed[:, 1] - placed[:, 0], placed[:, 2] - placed[:, 0])
        size = np.linalg.norm(normal, axis=1, keepdims=True)
        light = 0.55 + 0.45 * np.abs((normal / np.maximum(size, 1e-12)) @ [0.3, 0.4, 0.866])
        corners.append(placed)
        shades.append(np.array(to_rgb(color)) * light[:, None])
    if corners:
        mesh, shade = np.concatenate(corners), np.concatenate(shades)
        front = np.argsort(mesh[:, :, 2].mean(axis=1))
        rgba = np.concatenate([np.minimum(shade[front], 1.0), np.full((len(front), 1), 0.55)], 1)
        axes.add_collection(  # type: ignore[attr-defined]
            PolyCollection(
                list(mesh[front][:, :, :2]), facecolors=rgba, edgecolors="none", zorder=3
            )
        )
    seen = np.concatenate([atoms[:, :2], *[part.reshape(-1, 3)[:, :2] for part in corners]])
    reach = 0.5 * float(np.ptp(seen, axis=0).max()) + 1.5
    at = (seen.max(axis=0) + seen.min(axis=0)) / 2
    axes.set_xlim(at[0] - reach, at[0] + reach)  # type: ignore[attr-defined]
    axes.set_ylim(at[1] - reach, at[1] + reach)  # type: ignore[attr-defined]
    axes.set_aspect("equal")  # type: ignore[attr-defined]
    axes.set_axis_off()  # type: ignore[attr-defined]


def _view(azimuth: float, elevation: float) -> NDArray[np.float64]:
    """Return the rotation into the frame of the screen (x right, y up, z to the eye)."""
    a, e = np.radians([azimuth, elevation])
    spin = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, np.sin(e), np.cos(e)], [0, -np.cos(e), np.sin(e)]])
    return np.asarray(tilt @ spin)
