"""How the atoms of two crystals meet: terminations, the shared cation layer, shift and gap."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heterodot.epitaxy.layers import Layer, Side, layers, side
from heterodot.epitaxy.registry import DEPTH, SOFTNESS, mean_cell
from heterodot.epitaxy.relationship import Interface, OrientationRelationship
from heterodot.errors import NotFoundError

if TYPE_CHECKING:
    from heterodot.energy.potential import IonicPotential

TOLERANCE = 0.6
"""Two cation sites closer than this (Å) are one; about a fifth of a bond."""


def interfaces(
    relation: OrientationRelationship,
    *,
    potential: IonicPotential | None = None,
    tolerance: float = TOLERANCE,
    shared: str | None = None,
    most: int = 12,
    faces: tuple[float, float] | None = None,
) -> list[Interface]:
    """Return the ways in which the atoms of a relation can meet, the best first.

    Without a potential every layer of A that holds cations is laid on every such layer of B, one
    pair of cations on one another, with the rigid shift that continues the most ions (sign by
    sign). A layer of the same cation on both sides is a *shared* layer: the two terminating planes
    are one (gap 0) and coinciding atoms are counted once. Where the crystals have no cation in
    common, a cation of B continues the cation net of A in its place, and ``shared`` is None.

    With a potential every termination of A is brought to every termination of B, and shift and
    gap are those of lowest energy (`heterodot.epitaxy.junction.Junction`); where that puts the
    layer which B would have next onto A's last one, they are named as a shared layer, and the
    small relaxation that remains is the gap.

    Parameters
    ----------
    relation : OrientationRelationship
    potential : IonicPotential, optional
        From `heterodot.energy.fit_potential(crystal_a, crystal_b)`.
    tolerance : float
        Distance within which two cation sites count as one, Å.
    shared : str, optional
        Only interfaces that share this element.
    most : int
        Length of the list. With a potential, all pairs of terminations get a first look, and as
        many as this are refined.
    faces : (float, float), optional
        Surface energies of the cheapest faces of A and B, eV/Å², below which no cut is counted;
        found with `heterodot.epitaxy.junction.cheapest_face` if not given.

    Returns
    -------
    list of Interface
        With a potential sorted by ``parts["bonding"]`` (adhesion over the surface energies of
        both cuts), else by registry of all ions.

    Raises
    ------
    NotFoundError
        Nothing is left after asking for a shared element.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> from heterodot.epitaxy import search
    >>> found = search(crystal("CsPbBr3_cubic"), crystal("PbS"), max_index=1)
    >>> best = interfaces(found.matches[0])[0]
    >>> best.shared, best.termination_a, best.termination_b, round(best.registry, 3)
    ('Pb', 'PbBr2', 'PbS', 1.0)
    """
    a, b = side(relation, "a"), side(relation, "b")
    found = (
        _by_registry(relation, a, b, tolerance)
        if potential is None
        else _by_energy(
            relation, a, b, potential, tolerance, most, faces or _faces(relation, potential)
        )
    )
    if shared is not None:
        found = [meeting for meeting in found if meeting.shared == shared]
        if not found:
            raise NotFoundError(
                f"no termination shares a layer of {shared}",
                place=relation.label,
                remedy="name a cation that both crystals have, or leave it open",
            )
    return found[:most]


# ------------------------------------------------------------------ by registry


def _by_registry(
    relation: OrientationRelationship, a: Side, b: Side, tolerance: float
) -> list[Interface]:
    symbols_a, symbols_b = _symbols(a), _symbols(b)
    cations_a = {s for s, sign in zip(symbols_a, a.sites.signs, strict=True) if sign >= 0}
    cations_b = {s for s, sign in zip(symbols_b, b.sites.signs, strict=True) if sign >= 0}
    found = []
    for one in layers(a):
        for two in layers(b):
            for i, j, element in _alignments(a, b, one, two, cations_a & cations_b):
                found.append(_laid(relation, a, b, one, two, i, j, element, tolerance))
    found.sort(
        key=lambda x: (
            x.shared is None,
            -round(x.parts["ions"], 4),
            -round(x.registry, 4),
            x.termination_a,
            x.termination_b,
        )
    )
    return found


def _symbols(view: Side) -> list[str]:
    from ase.data import chemical_symbols

    return [str(chemical_symbols[n]) for n in view.sites.numbers]


def _alignments(
    a: Side, b: Side, one: Layer, two: Layer, can_share: set[str]
) -> list[tuple[int, int, str | None]]:
    """Pairs of cations (rows of sites) to lay on one another, the best for each shared element."""
    symbols_a, symbols_b = _symbols(a), _symbols(b)
    options: dict[str | None, list[tuple[int, int]]] = {}
    for i in one.members[a.sites.signs[one.members] >= 0]:
        for j in two.members[b.sites.signs[two.members] >= 0]:
            if symbols_a[i] == symbols_b[j]:
                options.setdefault(symbols_a[i], []).append((int(i), int(j)))
            elif not can_share:
                options.setdefault(None, []).append((int(i), int(j)))
    chosen = []
    for element, pairs in options.items():
        values = [continuity_of(a, b, i, j)[0] for i, j in pairs]
        best = int(np.argmax(np.round(values, 6)))
        chosen.append((*pairs[best], element))
    return chosen


def continuity_of(a: Side, b: Side, i: int, j: int) -> tuple[float, float]:
    """Return registry of all ions and of cations with ion ``i`` of A laid on ion ``j`` of B."""
    from heterodot.epitaxy._kernels import continuity

    values = continuity(
        a.stack.flat, a.stack.heights, a.sites.signs, a.stack.drift, a.stack.spacing,
        b.stack.flat, b.stack.heights, b.sites.signs, b.stack.drift, b.stack.spacing,
        a.cell, b.cell, mean_cell(a.cell @ a.mesh.flat, b.cell @ b.mesh.flat),
        np.array([[i, j]]), DEPTH, SOFTNESS,
    )  # fmt: skip
    return float(values[0]), float(values[1])


def fitting(a: Side, b: Side) -> NDArray[np.float64]:
    """Return the in-plane map that brings B onto A in the relation's axes, (2, 2), columns."""
    return np.asarray(np.linalg.solve(b.cell @ b.mesh.flat, a.cell @ a.mesh.flat).T)


def _laid(
    relation: OrientationRelationship,
    a: Side,
    b: Side,
    one: Layer,
    two: Layer,
    i: int,
    j: int,
    element: str | None,
    tolerance: float,
) -> Interface:
    """Return the interface in which ion ``i`` of A and ``j`` of B are one site."""
    deform = fitting(a, b)
    # both ions as their layers have them, which may be whole periods away from the cell's own
    where_a, height_a = _in_layer(a, one, i)
    where_b, height_b = _in_layer(b, two, j)
    shift = (where_a @ a.mesh.flat - deform @ (where_b @ b.mesh.flat)) @ np.linalg.inv(a.mesh.flat)
    ions, _ = continuity_of(a, b, i, j)
    return _assembled(
        relation, a, b, one, two, height_a, height_b, shift, 0.0, element, tolerance, {"ions": ions}
    )


def _in_layer(view: Side, layer: Layer, row: int) -> tuple[NDArray[np.float64], float]:
    place = int(np.flatnonzero(layer.members == row)[0])
    height = float(layer.heights[place])
    whole = round((float(view.stack.heights[row]) - height) / view.period)
    return view.stack.flat[row] - whole * view.stack.drift, height


def _assembled(
    relation: OrientationRelationship,
    a: Side,
    b: Side,
    one: Layer,
    two: Layer,
    height_a: float,
    height_b: float,
    shift: NDArray[np.float64],
    gap: float,
    element: str | None,
    tolerance: float,
    parts: dict[str, float],
) -> Interface:
    """Return an Interface with its counted registry; heights and shift may be out of range."""
    deform = fitting(a, b)
    offset_a, whole_a = _fraction(height_a, a.period)
    offset_b, whole_b = _fraction(height_b, b.period)
    back = np.linalg.inv(a.mesh.flat)
    shift = shift - whole_a * a.stack.drift
    shift = shift + whole_b * (deform @ (b.stack.drift @ b.mesh.flat)) @ back
    shift = shift - np.floor(shift + 1e-9)
    height_a, height_b = offset_a * a.period, offset_b * b.period
    pairs, sparser = coincident_cations(
        a, b, height_a, height_b, shift @ a.mesh.flat, gap, tolerance
    )
    return Interface(
        relation,
        one.name,
        two.name,
        element,
        offset_a,
        offset_b,
        (float(shift[0]), float(shift[1])),
        gap,
        len(pairs) / sparser if sparser else 0.0,
        {},
        a.period,
        b.period,
        one.charge / a.mesh.area,
        two.charge / b.mesh.area,
        tolerance,
        parts,
    )


def _fraction(height: float, period: float) -> tuple[float, int]:
    whole = math.floor(height / period + 1e-9)
    return max(height / period - whole, 0.0), whole


def coincident_cations(
    a: Side,
    b: Side,
    height_a: float,
    height_b: float,
    shift: NDArray[np.float64],
    gap: float,
    tolerance: float,
) -> tuple[list[tuple[NDArray[np.float64], NDArray[np.float64]]], int]:
    """Return cation sites of A and B that coincide in one cell, and how many could at most.

    Cations within ``tolerance`` of each crystal's own plane are compared; where the planes are
    apart, B's next layer towards A is the one that would lie on A's. Positions are in the
    relation's axes (x along direction_a, z from A's plane), Å.

    Parameters
    ----------
    height_a, height_b : float
        Of the terminating planes in each crystal, Å.
    shift : (2,) array
        Of B's cell origin against A's, Å.
    gap : float
        Distance of the planes, Å.
    """
    flat = a.cell @ a.mesh.flat
    moved = shift @ np.linalg.inv(flat)
    points_a = near_plane(a, height_a, tolerance)
    points_b = near_plane(b, height_b - gap, tolerance)
    points_b[:, :2] += moved
    pairs = []
    for p in points_a:
        for q in points_b:
            d = p[:2] - q[:2]
            d = (d - np.round(d)) @ flat
            if np.hypot(np.linalg.norm(d), p[2] - q[2]) <= tolerance:
                pairs.append((np.append(p[:2] @ flat, p[2]), np.append(q[:2] @ flat, q[2])))
                break
    return pairs, min(len(points_a), len(points_b))


def near_plane(view: Side, height: float, reach: float) -> NDArray[np.float64]:
    """Return cations within ``reach`` of a height: fractions of the coincidence cell, z - height.

    Returns
    -------
    (n, 3) array
    """
    from heterodot.epitaxy._kernels import _slab

    points, sign = _slab(
        view.stack.flat, view.stack.heights, view.sites.signs, view.stack.drift,
        view.stack.spacing, view.cell, float(height), float(reach),
    )  # fmt: skip
    return np.asarray(points[sign >= 0])


# ------------------------------------------------------------------ by energy


def _by_energy(
    relation: OrientationRelationship,
    a: Side,
    b: Side,
    potential: IonicPotential,
    tolerance: float,
    refined: int,
    faces: tuple[float, float],
) -> list[Interface]:
    from heterodot.epitaxy.junction import Junction, cleavage, half, seen, shared_waves

    stack_a, stack_b = layers(a), layers(b)
    deform = fitting(a, b)
    scale = potential.charge_scale
    waves = shared_waves(a.cell @ a.mesh.flat, a.cell, b.cell)
    own, others = sorted(set(a.crystal.symbols)), sorted(set(b.crystal.symbols))
    lowers = [
        seen(
            half(a, stack_a, n, below=True, scale=scale), waves, own, others, potential, below=True
        )
        for n in range(len(stack_a))
    ]
    uppers = [
        seen(
            half(b, stack_b, n, below=False, deform=deform, scale=scale),
            waves, others, own, potential, below=False,
        )
        for n in range(len(stack_b))
    ]  # fmt: skip
    looked = []
    for n, lower in enumerate(lowers):
        for m, upper in enumerate(uppers):
            junction = Junction(lower, upper, waves, own, others, potential)
            looked.append((junction.coarse(), n, m, junction))
    looked.sort(key=lambda entry: (round(entry[0][2], 6), entry[1], entry[2]))
    cuts_a: dict[int, float] = {}
    cuts_b: dict[int, float] = {}
    back = np.linalg.inv(a.mesh.flat)
    found = []
    for start, n, m, junction in looked[:refined]:
        shift, distance, energy = junction.optimum(start)
        lower_half, upper_half = lowers[n].half, uppers[m].half
        gap = distance + lower_half.edge + upper_half.edge
        meeting = _named(relation, a, b, stack_a, stack_b, n, m, shift @ back, gap, tolerance)
        if n not in cuts_a:
            cuts_a[n] = cleavage(a, stack_a, n, potential)
        if m not in cuts_b:
            cuts_b[m] = cleavage(b, stack_b, m - 1, potential)
        one = max(0.5 * cuts_a[n], faces[0])
        two = max(0.5 * cuts_b[m], faces[1])
        energies = {
            "adhesion": -energy,
            "interface": one + two + energy,
            "surface_a": one,
            "surface_b": two,
        }
        parts = {
            **meeting.parts,
            "bonding": -energy / (one + two) if one + two > 1e-4 else 0.0,
            "imbalance": abs(lower_half.bound + upper_half.bound),
            "occupancy_a": lower_half.occupancy,
            "occupancy_b": upper_half.occupancy,
        }
        found.append(dataclasses.replace(meeting, energy=energies, parts=parts))
    found.sort(
        key=lambda x: (
            -round(x.parts["bonding"], 4),
            round(x.energy["interface"], 6),
            x.termination_a,
            x.termination_b,
        )
    )
    return found


def _faces(relation: OrientationRelationship, potential: IonicPotential) -> tuple[float, float]:
    from heterodot.epitaxy.junction import cheapest_face

    return (
        cheapest_face(relation.crystal_a, potential),
        cheapest_face(relation.crystal_b, potential),
    )


def _named(
    relation: OrientationRelationship,
    a: Side,
    b: Side,
    stack_a: list[Layer],
    stack_b: list[Layer],
    n: int,
    m: int,
    shift: NDArray[np.float64],
    gap: float,
    tolerance: float,
) -> Interface:
    """Return the interface of A's layer ``n`` and B's ``m``, as a shared layer where it is one."""
    one, two = stack_a[n], stack_b[m]
    before = (m - 1) % len(stack_b)
    previous = stack_b[before]
    step = two.height - previous.height + (b.period if before >= m else 0.0)
    common = [e for e in previous.cations if e in one.cations]
    rest = gap - step
    if common and abs(rest) <= tolerance:
        height_b = two.height - step
        laid = _assembled(
            relation, a, b, one, previous, one.height, height_b, shift, rest, common[0],
            tolerance, {},
        )  # fmt: skip
        pairs, _ = coincident_cations(
            a, b, one.height, height_b, shift @ a.mesh.flat, rest, tolerance
        )
        if pairs:
            return laid
    return _assembled(
        relation, a, b, one, two, one.height, two.height, shift, gap, None, tolerance, {}
    )
