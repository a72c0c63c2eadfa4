"""How the atoms of two crystals meet: terminations, the shared cation layer, shift and gap."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from heterodot.epitaxy.layers import Layer, Side, layers, side
from heterodot.epitaxy.registry import DEPTH, SOFTNESS
from heterodot.epitaxy.relationship import Interface, OrientationRelationship

TOLERANCE = 0.6
"""Two cation sites closer than this (Å) are one; about a fifth of a bond."""


def interfaces(
    relation: OrientationRelationship,
    *,
    tolerance: float = TOLERANCE,
    shared: str | None = None,
    most: int = 12,
) -> list[Interface]:
    """Return the ways in which the atoms of a relation can meet, the most continuous first.

    Every layer of A that holds cations is laid on every such layer of B, one pair of cations of
    them on one another, with the rigid shift that continues the most ions (sign by sign). A layer
    of the same cation on both sides is a *shared* layer: the two terminating planes are one
    (gap 0). Where the crystals have no cation in common, a cation of B continues the cation net of
    A in the same place; nothing is shared then and the gap is 0 as well, with one of the two
    cations to be dropped. `heterodot.epitaxy.energies` adds relaxed gaps and shifts of layers
    that abut.

    Parameters
    ----------
    relation : OrientationRelationship
    tolerance : float
        Distance within which two cation sites count as one, Å.
    shared : str, optional
        Only interfaces that share this element.
    most : int
        Length of the list.

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
    common = set(a.crystal.symbols) & set(b.crystal.symbols)
    cations = {
        s
        for view in (a, b)
        for s, sign in zip(_symbols(view), view.sites.signs, strict=True)
        if sign >= 0
    }
    can_share = common & cations
    found = []
    for one in layers(a):
        for two in layers(b):
            for i, j, element in _alignments(a, b, one, two, can_share):
                if shared is not None and element != shared:
                    continue
                found.append(_meet(relation, a, b, one, two, i, j, element, tolerance))
    found.sort(
        key=lambda x: (
            x.shared is None,
            -round(x.parts["ions"], 4),
            -round(x.registry, 4),
            x.termination_a,
            x.termination_b,
        )
    )
    return found[:most]


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
            same = symbols_a[i] == symbols_b[j]
            if same:
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
        a.cell, b.cell, a.cell @ a.mesh.flat, np.array([[i, j]]), DEPTH, SOFTNESS,
    )  # fmt: skip
    return float(values[0]), float(values[1])


def _meet(
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
    ions, _ = continuity_of(a, b, i, j)
    # the two ions define the common plane; it may lie off the layer's mean height when rumpled
    height_a, height_b = float(a.stack.heights[i]), float(b.stack.heights[j])
    onto = np.linalg.inv(b.cell @ b.mesh.flat) @ (a.cell @ a.mesh.flat)
    from_b = b.stack.flat[j] @ b.mesh.flat @ onto
    shift = (a.stack.flat[i] @ a.mesh.flat - from_b) @ np.linalg.inv(a.mesh.flat)
    shift = shift - np.floor(shift + 1e-9)
    # lowering a plane by whole periods moves the crystal sideways by its drift as well
    offset_a, whole_a = _fraction(height_a, a.period)
    offset_b, whole_b = _fraction(height_b, b.period)
    shift = (
        shift
        - whole_a * a.stack.drift
        + whole_b * (b.stack.drift @ b.mesh.flat @ onto @ np.linalg.inv(a.mesh.flat))
    )
    shift = shift - np.floor(shift + 1e-9)
    pairs, sparser = coincident_cations(a, b, i, j, tolerance)
    density_a, density_b = one.charge / a.mesh.area, two.charge / b.mesh.area
    return Interface(
        relation,
        one.name,
        two.name,
        element,
        offset_a,
        offset_b,
        (float(shift[0]), float(shift[1])),
        0.0,
        len(pairs) / sparser if sparser else 0.0,
        {},
        a.period,
        b.period,
        density_a,
        density_b,
        tolerance,
        {"ions": ions},
    )


def _fraction(height: float, period: float) -> tuple[float, int]:
    whole = math.floor(height / period + 1e-9)
    return max(height / period - whole, 0.0), whole


def coincident_cations(
    a: Side, b: Side, i: int, j: int, tolerance: float
) -> tuple[list[tuple[NDArray[np.float64], NDArray[np.float64]]], int]:
    """Return cation sites of A and B that coincide in one cell, and how many could at most.

    Cations within ``tolerance`` of the common plane are compared; positions are in the relation's
    axes (x along direction_a, z along the normal), Å, with ion ``i`` of A and ``j`` of B at 0.
    """
    flat = a.cell @ a.mesh.flat
    points_a = near_plane(a, i, tolerance)
    points_b = near_plane(b, j, tolerance)
    pairs = []
    for p in points_a:
        for q in points_b:
            d = p[:2] - q[:2]
            d = (d - np.round(d)) @ flat
            if np.hypot(np.linalg.norm(d), p[2] - q[2]) <= tolerance:
                pairs.append((np.append(p[:2] @ flat, p[2]), np.append(q[:2] @ flat, q[2])))
                break
    return pairs, min(len(points_a), len(points_b))


def near_plane(view: Side, origin: int, reach: float) -> NDArray[np.float64]:
    """Return cations within ``reach`` of the height of ion ``origin``: cell fractions and height.

    Returns
    -------
    (n, 3) array
        In-plane fractions of the coincidence cell relative to that ion, height in Å.
    """
    from heterodot.epitaxy._kernels import _slab

    points, sign = _slab(
        view.stack.flat, view.stack.heights, view.sites.signs, view.stack.drift,
        view.stack.spacing, view.cell, view.stack.heights[origin], reach,
    )  # fmt: skip
    centre = view.stack.flat[origin] @ np.linalg.inv(view.cell)
    points = points[sign >= 0]
    points[:, :2] -= centre
    return np.asarray(points)
