"""What a relation means in the field's words: spacings, tilts, steps, other settings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from heterodot.crystal import Crystal
from heterodot.epitaxy.planes import coprime, lattice_of, plane_order
from heterodot.epitaxy.relationship import (
    Indices,
    OrientationRelationship,
    direction_text,
    plane_text,
)
from heterodot.errors import HeterodotError

LOW: tuple[Indices, ...] = tuple(
    (h, k, m) for h, k, m in itertools.product((-1, 0, 1), repeat=3) if any((h, k, m))
)


COLUMNS = (
    "rank",
    "plane A",
    "plane B",
    "direction A",
    "direction B",
    "direction 2 A",
    "direction 2 B",
    "area (Å²)",
    "mismatch 1 (%)",
    "mismatch 2 (%)",
    "largest strain (%)",
    "registry",
    "bonding",
    "score",
)


def table_row(relation: Mapping[str, Any], rank: int | None = None) -> list[Any]:
    """Return one row of the ranked table, under `COLUMNS`, from a relation's JSON."""
    parts, score = relation["parts"], relation["score"]
    bonding = parts.get("bonding") if "adhesion" in parts else None
    return [
        relation["rank"] if rank is None else rank,
        *[plane_text(relation[key]) for key in ("plane_a", "plane_b")],
        *[
            direction_text(relation[key])
            for key in ("direction_a", "direction_b", "direction2_a", "direction2_b")
        ],
        round(relation["area"], 2),
        *[round(100 * m, 3) for m in relation["mismatch"]],
        round(100 * relation["strain_max"], 3),
        round(parts["registry"], 3),
        None if bonding is None else round(bonding, 3),
        None if score is None else round(score, 4),
    ]


def describe(relation: OrientationRelationship) -> dict[str, Any]:
    """Return spacings, near-parallel zone axes, steps and other settings as plain data."""
    lattice_a, lattice_b = lattice_of(relation.crystal_a), lattice_of(relation.crystal_b)
    return {
        "angle_axis": rotation_axis(relation),
        "spacing_a": relation.crystal_a.d_spacing(relation.plane_a),
        "spacing_b": relation.crystal_b.d_spacing(relation.plane_b),
        "tilts": zone_tilts(relation),
        "facets_a": facets(relation.crystal_a, lattice_a.plane_conventional(relation.plane_a)),
        "facets_b": facets(relation.crystal_b, lattice_b.plane_conventional(relation.plane_b)),
        "settings": other_settings(relation),
    }


def rotation_axis(relation: OrientationRelationship) -> dict[str, Any]:
    """Return angle (degrees) and axis (Cartesian, A's frame) of the rotation B -> A."""
    from heterodot.epitaxy.equivalence import rotation_angle

    matrix = relation.rotation
    angle = rotation_angle(matrix)
    values, vectors = np.linalg.eig(matrix)
    axis = np.real(vectors[:, int(np.argmin(np.abs(values - 1.0)))])
    return {"angle": angle, "axis": [float(x) for x in axis / np.linalg.norm(axis)]}


def zone_tilts(
    relation: OrientationRelationship, *, largest: float = 12.0, most: int = 6
) -> list[dict[str, Any]]:
    """Return low-index zone axes of both crystals that are nearly parallel.

    Such a pair is what a microscopist sees: how far the sample has to be tilted from the zone axis
    of one crystal to that of the other. Axes are in the conventional cells carried into the given
    ones; opposite directions count once.

    Returns
    -------
    list of dict
        ``{"a", "b", "angle"}``, degrees, the nearest first; one for each kind of pair of axes.
    """
    low = [h for h in LOW if h > (0, 0, 0)]
    found: list[dict[str, Any]] = []
    axes = []
    for crystal in (relation.crystal_a, relation.crystal_b):
        lattice = lattice_of(crystal)
        names = [coprime(lattice.direction_given(np.array(u, dtype=float))) for u in low]
        vectors = np.array(low, dtype=float) @ lattice.conventional
        axes.append((names, vectors / np.linalg.norm(vectors, axis=1)[:, None]))
    cosines = axes[0][1] @ (axes[1][1] @ relation.rotation.T).T
    angles = np.degrees(np.arccos(np.clip(np.abs(cosines), 0.0, 1.0)))
    order = np.argsort(np.round(angles, 6), axis=None, kind="stable")
    kinds: set[tuple[object, ...]] = set()
    for flat in order:
        i, j = divmod(int(flat), angles.shape[1])
        angle = float(angles[i, j])
        if angle > largest or len(found) == most:
            break
        kind = (tuple(sorted(map(abs, low[i]))), tuple(sorted(map(abs, low[j]))), round(angle, 2))
        if kind in kinds:
            continue
        kinds.add(kind)
        name_b = axes[1][0][j]
        if cosines[i, j] < 0:
            name_b = (-name_b[0], -name_b[1], -name_b[2])
        found.append({"a": list(axes[0][0][i]), "b": list(name_b), "angle": angle})
    return found


def facets(crystal: Crystal, plane: Indices) -> list[dict[str, Any]]:
    """Return the low-index facets that make up a plane: one if it is flat, else its steps.

    A plane (hkl) is the sum of whole numbers of low-index planes (indices up to 1); the sum with
    the fewest facets, then the smallest numbers, then the smallest angles to the mean plane wins:
    (2 1 0) = (1 0 0) + (1 1 0).

    Parameters
    ----------
    crystal : Crystal
    plane : three ints
        Of the conventional cell.

    Returns
    -------
    list of dict
        ``{"plane", "number", "angle"}``: conventional indices, how many, degrees from the mean.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> [(f["plane"], f["number"]) for f in facets(crystal("PbS"), (2, 2, 1))]
    [([1, 1, 0], 1), ([1, 1, 1], 1)]
    """
    lattice = lattice_of(crystal)
    mean = lattice.normal(plane)
    low = sorted(LOW, key=plane_order)
    angles = {
        h: math.degrees(math.acos(min(1.0, max(-1.0, float(lattice.normal(h) @ mean)))))
        for h in low
    }
    near = [h for h in low if angles[h] < 75.0]
    target = np.array(plane)
    best: tuple[tuple[Any, ...], list[tuple[Indices, int]]] | None = None
    for count in (1, 2, 3):
        for chosen in itertools.combinations(near, count):
            rows = np.array(chosen, dtype=float).T
            if np.linalg.matrix_rank(rows) < count:
                continue
            numbers, *_ = np.linalg.lstsq(rows, target.astype(float), rcond=None)
            whole = np.rint(numbers)
            if (np.abs(numbers - whole) > 1e-6).any() or (whole < 1).any():
                continue
            if not np.array_equal(rows @ whole, target):
                continue
            key = (
                int(whole.sum()),
                sum(round(angles[h], 3) * n for h, n in zip(chosen, whole, strict=True)),
                chosen,
            )
            if best is None or key < best[0]:
                best = (key, [(h, int(n)) for h, n in zip(chosen, whole, strict=True)])
        if best is not None:
            break
    if best is None:
        return [{"plane": list(plane), "number": 1, "angle": 0.0}]
    return [{"plane": list(h), "number": n, "angle": angles[h]} for h, n in best[1]]


def is_stepped(relation: OrientationRelationship) -> tuple[bool, bool]:
    """Return whether the interface is stepped on A's and on B's side."""
    return tuple(  # type: ignore[return-value]
        len(facets(c, lattice_of(c).plane_conventional(p))) > 1
        for c, p in (
            (relation.crystal_a, relation.plane_a),
            (relation.crystal_b, relation.plane_b),
        )
    )


def other_settings(relation: OrientationRelationship) -> dict[str, Any]:
    """Return planes and directions in pseudocubic, Pnma and Pbnm indices where they apply.

    They apply to perovskites ABX3: an orthorhombic one (space group 62) is expressed in the axes
    of its cubic parent and in both orthorhombic settings, a cubic one in both orthorhombic
    settings with the c axis of Pbnm along [001].
    """
    found: dict[str, Any] = {}
    for key, crystal, plane, names in (
        (
            "a",
            relation.crystal_a,
            relation.plane_a,
            (relation.direction_a, relation.direction2_a),
        ),
        (
            "b",
            relation.crystal_b,
            relation.plane_b,
            (relation.direction_b, relation.direction2_b),
        ),
    ):
        settings = _settings(crystal, plane, names)
        if settings:
            found[key] = settings
    return found


def _settings(
    crystal: Crystal, plane: Indices, directions: tuple[Indices, Indices]
) -> dict[str, Any]:
    from heterodot.settings import setting_of, translate_direction, translate_plane

    counts = sorted(crystal.counts.values())
    ratio = [c // crystal.formula_units for c in counts]
    if ratio != [1, 1, 3]:
        return {}
    number = crystal.symmetry.number
    targets: tuple[str, ...]
    if number == 221:
        source = "pseudocubic"
        targets = ("Pnma", "Pbnm")
    elif number == 62:
        try:
            source = setting_of(crystal).replace(" ", "")
        except HeterodotError:
            return {}
        targets = tuple(t for t in ("pseudocubic", "Pnma", "Pbnm") if t != source)
        if not _is_cell_of(crystal, source):
            return {}
    else:
        return {}
    return {
        target: {
            "plane": list(translate_plane(plane, source, target, reduce=True)),
            "directions": [
                list(translate_direction(u, source, target, reduce=True)) for u in directions
            ],
        }
        for target in targets
    }


def _is_cell_of(crystal: Crystal, setting: str) -> bool:
    """Whether the given cell is that of the setting and of a perovskite (near-cubic parent)."""
    from heterodot.settings import pseudocubic_cell

    axes = np.linalg.norm(pseudocubic_cell(crystal, setting), axis=1)
    return len(crystal) == 20 and bool(axes.max() / axes.min() < 1.08)
