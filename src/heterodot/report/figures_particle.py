"""A still picture of a particle: spheres with shading, colored by element or by domain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.particle.particle import Particle

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

PEROVSKITE = "#E69F00"
CHALCOGENIDE = "#0072B2"
OTHERS = ("#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")

# after Okabe and Ito's palette, so that no two ions of one crystal look alike to any eye
ELEMENTS = {
    "Cs": "#56B4E9", "Pb": "#4D4D4D", "S": "#F0E442", "Cl": "#009E73", "Br": "#8B3A1E",
    "I": "#6A3D9A", "Cd": "#CC79A7", "Zn": "#7F8FA6", "Cu": "#D55E00", "Mn": "#9C27B0",
    "C": "#2F2F2F", "H": "#EDEDED", "N": "#3050F8", "O": "#E0301E", "Se": "#E69F00",
}  # fmt: skip


def domain_colors(particle: Particle) -> list[str]:
    """Return one color for each domain: halide perovskites and chalcogenides keep theirs."""
    found: list[str] = []
    spare = iter(OTHERS * 40)
    for k, domain in enumerate(particle.domains):
        elements = set(particle.composition(k))
        if domain.crystal is not None:
            elements = set(domain.crystal.symbols)
        halide = bool(elements & {"F", "Cl", "Br", "I"})
        chalcogen = bool(elements & {"O", "S", "Se", "Te"})
        color = PEROVSKITE if halide and not chalcogen else CHALCOGENIDE
        if (halide and chalcogen) or not (halide or chalcogen) or color in found:
            color = next(spare)
        found.append(color)
    return found


def draw(
    particle: Particle, *, by: str = "element", view: tuple[float, float] = (20.0, -60.0)
) -> Figure:
    """Return a picture of a particle.

    Parameters
    ----------
    by : str
        ``"element"`` or ``"domain"``.
    view : (elevation, azimuth)
        Degrees; the interface normal, where there is one, points up.

    Raises
    ------
    InputError
        Another way to color.
    """
    from matplotlib.figure import Figure

    if by not in ("element", "domain"):
        raise InputError(f"'{by}' is no way to color", place="by", remedy="use element or domain")
    turned = _turn(particle, view)
    radius = 0.62 * _display_radii(particle)
    order = np.argsort(turned[:, 2], kind="stable")
    if by == "domain":
        table = [*domain_colors(particle), "#999999"]
        colors = [table[int(d)] for d in particle.domain]
        legend = {d.name: c for d, c in zip(particle.domains, table, strict=False)}
        if (particle.domain < 0).any():
            legend["ligands"] = "#999999"
    else:
        colors = [ELEMENTS.get(s, "#B0B0B0") for s in particle.symbols]
        legend = {s: ELEMENTS.get(s, "#B0B0B0") for s in particle.composition()}
    figure = Figure(figsize=(3.4, 3.4), dpi=200)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    _balls(axes, turned[order], radius[order], [colors[i] for i in order])
    _finish(axes, turned, legend)
    return figure


def _turn(particle: Particle, view: tuple[float, float]) -> Array:
    """Rotate so that the second domain, or the third axis, is up; then to the view."""
    points = particle.positions - particle.positions.mean(0)
    up = np.array([0.0, 0.0, 1.0])
    if len(particle.domains) > 1:
        first, second = (points[particle.domain == k] for k in (0, 1))
        if len(first) and len(second):
            step = second.mean(0) - first.mean(0)
            if np.linalg.norm(step) > 1.0:
                up = step / np.linalg.norm(step)
    side = np.cross(up, np.eye(3)[np.argmin(np.abs(up))])
    side /= np.linalg.norm(side)
    frame = np.stack([side, np.cross(up, side), up])
    elevation, azimuth = np.radians(view)
    ca, sa, ce, se = np.cos(azimuth), np.sin(azimuth), np.cos(elevation), np.sin(elevation)
    spin = np.array([[ca, -sa, 0], [sa, ca, 0], [0, 0, 1]])
    # screen: x to the right, y up, z toward the eye
    tilt = np.array([[1, 0, 0], [0, se, ce], [0, -ce, se]])
    return np.asarray(points @ frame.T @ spin.T @ tilt.T)


def _display_radii(particle: Particle) -> Array:
    from heterodot.particle.ions import radii

    return np.maximum(radii(particle.numbers, particle.charge), 0.5)


def _balls(axes: object, points: Array, radius: Array, colors: list[str]) -> None:
    """Discs from back to front, paler with depth, each with a dark rim."""
    from matplotlib.collections import EllipseCollection
    from matplotlib.colors import to_rgb

    depth = (points[:, 2] - points[:, 2].min()) / max(float(np.ptp(points[:, 2])), 1e-9)
    base = np.array([to_rgb(c) for c in colors])
    fog = 0.45 * (1 - depth)[:, None]
    face = base * (1 - fog) + fog
    discs = EllipseCollection(
        2 * radius, 2 * radius, np.zeros(len(radius)), units="x",
        offsets=points[:, :2], transOffset=axes.transData,  # type: ignore[attr-defined]
        facecolors=face, edgecolors=face * 0.45, linewidths=0.25,
    )  # fmt: skip
    axes.add_collection(discs)  # type: ignore[attr-defined]


def _finish(axes: object, points: Array, legend: dict[str, str]) -> None:
    from matplotlib.lines import Line2D

    span = 0.56 * float(np.ptp(points[:, :2], axis=0).max()) + 4.0
    middle = (points[:, :2].max(0) + points[:, :2].min(0)) / 2
    axes.set_xlim(middle[0] - span, middle[0] + span)  # type: ignore[attr-defined]
    axes.set_ylim(middle[1] - 1.12 * span, middle[1] + 0.88 * span)  # type: ignore[attr-defined]
    axes.set_aspect("equal")  # type: ignore[attr-defined]
    axes.set_axis_off()  # type: ignore[attr-defined]
    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=5, color=c, label=name)
        for name, c in legend.items()
    ]
    axes.legend(  # type: ignore[attr-defined]
        handles=handles, loc="upper right", fontsize=6, frameon=False, handletextpad=0.1
    )
    bar = _round_length(span / 2)
    x, y = middle[0] - 0.95 * span, middle[1] - 1.05 * span
    axes.plot([x, x + bar], [y, y], color="black", linewidth=1.5)  # type: ignore[attr-defined]
    axes.text(  # type: ignore[attr-defined]
        x + bar / 2, y + 0.02 * span, f"{bar / 10:g} nm", ha="center", va="bottom", fontsize=7
    )


def _round_length(length: float) -> float:
    exponent = 10.0 ** np.floor(np.log10(length))
    return float(max(f for f in (1, 2, 5) if f * exponent <= length) * exponent)


def save(figure: Figure, path: str | Path) -> Path:
    """Write the picture as PNG, SVG or PDF, by the ending of its name.

    Raises
    ------
    InputError
        Another ending.
    """
    from heterodot.files import replacing

    target = Path(path)
    kind = target.suffix.lower().lstrip(".")
    if kind not in ("png", "svg", "pdf"):
        raise InputError(
            f"pictures of type '{target.suffix}' are not written",
            file=target,
            remedy="end the name with .png, .svg or .pdf",
        )
    with replacing(target) as beside:
        figure.savefig(beside, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return target
