"""Figures of orientation relationships: both nets, the stereogram, spots of both domains."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.epitaxy.planes import lattice_of
from heterodot.epitaxy.relationship import (
    Indices,
    Interface,
    OrientationRelationship,
    direction_text,
    plane_text,
)
from heterodot.report.palette import CHALCOGENIDE, PEROVSKITE, domain_color

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from heterodot.crystal import Crystal

WIDTH = 3.4  # inches, one column of a journal


def colors(relation: OrientationRelationship) -> tuple[str, str]:
    """Return the colors of A and B: those of their kinds, never the same twice."""
    one = domain_color(relation.crystal_a.formula, 0)
    two = domain_color(relation.crystal_b.formula, 1)
    if one == two:
        two = CHALCOGENIDE if one == PEROVSKITE else PEROVSKITE
    return one, two


def nets(interface: Interface, *, cells: int = 2) -> Figure:
    """Draw the cation nets of both crystals at the interface, with the coincidence cell.

    Parameters
    ----------
    interface : Interface
    cells : int
        Coincidence cells along each axis.

    Returns
    -------
    Figure
        Axes in Å along direction_a and along normal x direction_a.
    """
    from matplotlib.figure import Figure

    from heterodot.epitaxy.layers import side
    from heterodot.epitaxy.meeting import coincident_cations, near_plane

    relation = interface.relation
    a, b = side(relation, "a"), side(relation, "b")
    flat = a.cell @ a.mesh.flat
    tolerance = interface.tolerance
    height_a = interface.offset_a * interface.period_a
    height_b = interface.offset_b * interface.period_b
    shift = np.array(interface.shift) @ a.mesh.flat
    fractions_a = near_plane(a, height_a, tolerance)[:, :2]
    fractions_b = near_plane(b, height_b - interface.gap, tolerance)[:, :2]
    fractions_b = fractions_b + shift @ np.linalg.inv(flat)
    shared, _ = coincident_cations(a, b, height_a, height_b, shift, interface.gap, tolerance)
    color_a, color_b = colors(relation)
    figure = Figure(figsize=(WIDTH, WIDTH), layout="constrained")
    axes = figure.add_subplot()
    steps = np.array(list(itertools.product(range(-1, cells + 1), repeat=2)))
    corner = np.array([[0, 0], [cells, 0], [cells, cells], [0, cells], [0, 0]]) @ flat
    inside = _polygon(corner[:-1])

    def spread(points: NDArray[np.float64]) -> NDArray[np.float64]:
        wrapped = points - np.floor(points + 1e-6)
        every = (wrapped[None] + steps[:, None]).reshape(-1, 2) @ flat
        return np.asarray(every[inside(every)])

    for points, color, marker, size, name in (
        (fractions_a, color_a, "o", 38, relation.crystal_a.formula),
        (fractions_b, color_b, "D", 14, relation.crystal_b.formula),
    ):
        where = spread(points)
        axes.scatter(
            where[:, 0], where[:, 1], s=size, marker=marker, facecolors=color,
            edgecolors="black", linewidths=0.3, label=name, zorder=3,
        )  # fmt: skip
    if shared:
        where = spread(np.array([p[:2] for p, _ in shared]) @ np.linalg.inv(flat))
        axes.scatter(
            where[:, 0], where[:, 1], s=90, facecolors="none", edgecolors="black",
            linewidths=0.9, label="shared", zorder=4,
        )  # fmt: skip
    axes.plot(corner[:, 0], corner[:, 1], color="0.6", linewidth=0.6)
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) @ flat
    axes.plot(unit[:, 0], unit[:, 1], color="black", linewidth=1.0, label="coincidence cell")
    axes.set_aspect("equal")
    axes.set_xlabel(f"along {direction_text(relation.direction_a)}{relation.crystal_a.formula} (Å)")
    axes.set_ylabel("in the interface, across (Å)")
    figure.legend(loc="outside upper center", ncols=2, fontsize=7, frameon=False)
    return figure


def _polygon(corners: NDArray[np.float64]) -> Any:
    inverse = np.linalg.inv(np.array([corners[1] - corners[0], corners[3] - corners[0]]))

    def inside(points: NDArray[np.float64]) -> NDArray[np.bool_]:
        fractions = (points - corners[0]) @ inverse
        return np.asarray(((fractions > -0.02) & (fractions < 1.02)).all(axis=1))

    return inside


def stereogram(relation: OrientationRelationship, *, max_index: int = 1) -> Figure:
    """Draw the stereographic projection of plane normals of both crystals, interface normal up.

    Parameters
    ----------
    relation : OrientationRelationship
    max_index : int
        Normals of planes up to this index (conventional cells) are drawn.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, WIDTH * 1.08), layout="constrained")
    axes = figure.add_subplot()
    turn = np.linspace(0, 2 * np.pi, 361)
    axes.plot(np.cos(turn), np.sin(turn), color="black", linewidth=0.8)
    axes.plot([-1, 1], [0, 0], color="0.85", linewidth=0.5, zorder=0)
    axes.plot([0, 0], [-1, 1], color="0.85", linewidth=0.5, zorder=0)
    frame = _frame(relation)
    color_a, color_b = colors(relation)
    span = range(-max_index, max_index + 1)
    planes: list[Indices] = [
        (h, k, m) for h, k, m in itertools.product(span, repeat=3) if math.gcd(h, k, m) == 1
    ]
    bases: list[NDArray[np.float64]] = [frame.T, np.asarray(frame.T @ relation.rotation)]
    for crystal, matrix, color, marker, offset in (
        (relation.crystal_a, bases[0], color_a, "o", (3, 3)),
        (relation.crystal_b, bases[1], color_b, "D", (3, -8)),
    ):
        lattice = lattice_of(crystal)
        first = True
        for plane in planes:
            vector = matrix @ lattice.normal(plane)
            if vector[2] < -1e-6:
                continue
            x, y = vector[:2] / (1.0 + vector[2])
            size = 34 if sum(map(abs, plane)) == 1 else 16
            axes.scatter(
                [x], [y], s=size, marker=marker, facecolors=color, edgecolors="black",
                linewidths=0.3, zorder=3, label=crystal.formula if first else None,
            )  # fmt: skip
            first = False
            axes.annotate(
                "".join(f"{h}" if h >= 0 else f"{-h}\u0305" for h in lattice.plane_given(plane)),
                (x, y), xytext=offset, textcoords="offset points", fontsize=5.5, color=color,
            )  # fmt: skip
    axes.set_aspect("equal")
    axes.set_xlim(-1.12, 1.12)
    axes.set_ylim(-1.12, 1.12)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    a, b = relation.crystal_a.formula, relation.crystal_b.formula
    axes.set_xlabel(
        f"center: {plane_text(relation.plane_a)}{a} ‖ {plane_text(relation.plane_b)}{b}; right: "
        f"{direction_text(relation.direction_a)}{a}",
        fontsize=7,
    )
    figure.legend(loc="outside upper center", ncols=2, fontsize=7, frameon=False)
    return figure


def _frame(relation: OrientationRelationship) -> NDArray[np.float64]:
    first = relation.crystal_a.direction(relation.direction_a)
    x = first / np.linalg.norm(first)
    return np.column_stack([x, np.cross(relation.normal, x), relation.normal])


def spot_list(
    crystal: Crystal,
    axis: NDArray[np.float64],
    *,
    longest: float,
    tilt: float = math.radians(1.5),
) -> list[tuple[Indices, NDArray[np.float64], float]]:
    """Return reflections (hkl) near the zone of an axis, with vector (1/Å) and relative strength.

    Strengths are kinematic with the atomic number as scattering power, which shows extinctions
    right and intensities roughly; they are in units of the strongest reflection.

    Parameters
    ----------
    crystal : Crystal
    axis : (3,) array
        Unit vector in the crystal's Cartesian frame.
    longest : float
        Largest |g|, 1/Å.
    tilt : float
        How far a reflection may lie off the zone plane, radians.
    """
    reach = [int(longest * np.linalg.norm(row)) + 1 for row in crystal.cell]
    grid = np.array(list(itertools.product(*[range(-n, n + 1) for n in reach])))
    vectors = grid @ crystal.reciprocal
    length = np.linalg.norm(vectors, axis=1)
    off = np.abs(vectors @ axis)
    keep = (length > 1e-6) & (length <= longest) & (off <= length * math.sin(tilt) + 1e-9)
    grid, vectors, length = grid[keep], vectors[keep], length[keep]
    if len(grid) == 0:
        return []
    phases = np.exp(2j * np.pi * grid @ crystal.scaled.T)
    # scattering power falls off with angle; a Gaussian stands in for the form factor
    strength = np.abs(phases @ crystal.numbers) ** 2 * np.exp(-(length**2) / 0.18)
    strength = strength / strength.max()
    return [
        ((int(h[0]), int(h[1]), int(h[2])), v, float(s))
        for h, v, s in zip(grid, vectors, strength, strict=True)
        if s > 2e-3
    ]


def spots(
    relation: OrientationRelationship,
    *,
    zone_a: Indices | None = None,
    longest: float = 0.62,
) -> Figure:
    """Draw the Fourier spots of both domains seen along a zone axis of A, labelled.

    Parameters
    ----------
    relation : OrientationRelationship
    zone_a : three ints, optional
        Direction of A along the beam; ``direction_a`` if not given.
    longest : float
        Largest |g|, 1/Å.

    Returns
    -------
    Figure
        Axes in 1/Å, the interface normal up where it lies in the plane of view.
    """
    from matplotlib.figure import Figure

    zone = relation.direction_a if zone_a is None else zone_a
    beam = relation.crystal_a.direction(zone)
    beam = beam / np.linalg.norm(beam)
    up = relation.normal - (relation.normal @ beam) * beam
    if np.linalg.norm(up) < 1e-6:
        up = _frame(relation)[:, 0]
    up = up / np.linalg.norm(up)
    right = np.cross(up, beam)
    color_a, color_b = colors(relation)
    figure = Figure(figsize=(WIDTH, WIDTH * 1.1), layout="constrained")
    axes = figure.add_subplot()
    for crystal, turn, color, marker, offset in (
        (relation.crystal_a, np.eye(3), color_a, "o", (3, 3)),
        (relation.crystal_b, relation.rotation, color_b, "D", (3, -8)),
    ):
        found = spot_list(crystal, turn.T @ beam, longest=longest)
        for n, (index, vector, strength) in enumerate(found):
            where = turn @ vector
            x, y = float(where @ right), float(where @ up)
            axes.scatter(
                [x], [y], s=6 + 60 * strength**0.5, marker=marker, facecolors=color,
                edgecolors="none", alpha=0.85, label=crystal.formula if n == 0 else None,
            )  # fmt: skip
            if np.hypot(x, y) < 0.48 and strength > 0.02:
                axes.annotate(
                    "".join(f"{h}" if h >= 0 else f"{-h}\u0305" for h in index),
                    (x, y), xytext=offset, textcoords="offset points", fontsize=5, color=color,
                )  # fmt: skip
    axes.scatter([0], [0], s=20, color="black", marker="+")
    axes.set_aspect("equal")
    axes.set_xlim(-longest, longest)
    axes.set_ylim(-longest, longest)
    axes.set_xlabel("spatial frequency (1/Å)")
    axes.set_ylabel("spatial frequency (1/Å)")
    figure.legend(loc="outside upper center", ncols=2, fontsize=7, frameon=False)
    return figure
