"""Build a particle: one crystal, or two joined at an orientation relationship.

The frame is Cartesian frame of crystal A with the center of A's shape at the origin. A lies below
the interface and B above it, along the relation's normal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.epitaxy import Interface, OrientationRelationship
from heterodot.errors import InputError
from heterodot.organic import ions
from heterodot.particle.charging import capping_of, settle
from heterodot.particle.crystallite import carve
from heterodot.particle.join import couple
from heterodot.particle.labels import assemble, with_interface_report
from heterodot.particle.laying import (
    Body,
    finish,
    lay,
    make_body,
    make_body_b,
    refuse_remnants,
    sink,
)
from heterodot.particle.lengths import Size
from heterodot.particle.named import Termination
from heterodot.particle.organics import clear
from heterodot.particle.particle import Particle
from heterodot.particle.placement import Placement, place, ranked_interface
from heterodot.particle.registry import refine
from heterodot.particle.shapes import Shape
from heterodot.particle.spelling import Spelling, spelled
from heterodot.progress import Progress, silent

Array = NDArray[np.float64]


def build(
    crystal_a: Crystal | str,
    shape_a: str | Shape,
    size_a: Size = "",
    crystal_b: Crystal | str | None = None,
    shape_b: str | Shape | None = None,
    size_b: Size | None = None,
    relation: OrientationRelationship | None = None,
    *,
    interface: Interface | Placement | int | None = None,
    termination_a: Termination = None,
    termination_b: Termination = None,
    center_a: str | Sequence[float] | None = None,
    cut_a: Size | None = None,
    cut_b: Size | None = None,
    strain: str = "b",
    shared: str | None = None,
    registry: str = "auto",
    passivator: str | None = None,
    completion: str = "halide",
    neutral: bool = True,
    overhang: bool = False,
    caps: int = 1,
    positions: int | Sequence[Sequence[float]] | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Particle:
    """Build a particle of one crystal, or of two that share an interface.

    Parameters
    ----------
    crystal_a, crystal_b : Crystal or catalog name
    shape_a, shape_b : str or Shape
        See `heterodot.particle.shape` for the names.
    size_a, size_b : str, number (Å) or sequence
        ``"3.4 nm"``, ``"5 cells"``, ``"2 nm x 13 nm"``.
    relation : OrientationRelationship
        How B lies on A; needed with ``crystal_b``.
    interface : Interface or int, optional
        Which atoms meet, or the rank of that interface (1, the best one, if not given).
    termination_a, termination_b : str or mapping, optional
        Outermost layer of the facets (``"CsBr"``), or by family (``{"111": "S"}``).
    center_a : str or (3,) floats, optional
        Element, or fractional coordinates, on which A's shape is centered.
    cut_a, cut_b : length, optional
        Distance of the interface from the center of each shape, Å or with a unit. Where it is
        not given it is the facet of that shape that is parallel to the interface (a cap on a
        facet); else both crystals are cut through the middle (a dimer), B one bond length
        lower, since the layer that both share is counted with A.
    strain : str
        Who yields to the other: ``"b"``, ``"a"``, ``"both"`` or ``"none"``.
    shared : str, optional
        Element of the layer that both crystals share, to choose among the interfaces.
    registry : str
        ``"lattice"`` takes the shift as the interface gives it; ``"continuity"`` looks for the
        one at which most ions of each crystal continue the other
        (`heterodot.particle.registry`); ``"auto"`` does so where fewer than three quarters of
        the cations of the sparser crystal coincide.
    passivator : str, optional
        Halide that may cap surfaces; that of either crystal if not given.
    completion : str
        What a surface with too many chalcogen ions (S-rich {111} of PbS) does to be neutral:
        ``"halide"`` takes halide in their place, as under halide ligands; ``"vacancies"`` loses
        them and stays near the crystal's own composition, as in bare models.
    neutral : bool
        Whether formal charges have to sum to zero.
    overhang : bool
        Whether B may be wider than the facet that it sits on (mushroom).
    caps : int
        How many equivalent facets of A carry a B (opposite ones first).
    positions : int or sequence of (3,) lengths, optional
        Put B *inside* A: at these points from A's center (Å), or that many evenly spread. One at
        the center makes core/shell.
    seed : int
        Orders surface sites that are equal in every respect.
    progress : Progress

    Returns
    -------
    Particle
        With history, ``info["relation"]`` and ``info["interface"]`` where there are two domains.

    Raises
    ------
    InputError
        Sizes below a cell, a cap larger than its facet, a relation of other crystals, or a
        charge that surface ions cannot balance (it says what is left).

    Examples
    --------
    >>> build("CsPbBr3", "cube", "5 cells", termination_a="CsBr").formula
    'Cs200Pb125Br450'
    """
    if completion not in ("halide", "vacancies"):
        raise InputError(
            f"'{completion}' is not a way to complete a surface",
            place="completion",
            remedy="use 'halide' or 'vacancies'",
        )
    a_crystal = _crystal(crystal_a)
    progress("carving", 0.05)
    body_a = make_body(a_crystal, shape_a, size_a, termination_a, "shape_a", center=center_a)
    step: dict[str, Any] = {"step": "build", "a": a_crystal.name, "shape_a": body_a.shape.text}
    step |= {"seed": seed, "completion": completion}
    texts = [body_a.shape.text]
    info: dict[str, Any] = {}
    way: Spelling | None = None
    if crystal_b is None:
        capping = capping_of(passivator, (a_crystal,))
        block = carve(a_crystal, body_a.shape, body_a.center, shift=-body_a.center)
        done = finish(block, body_a.shape)
        blocks = [block]
    else:
        b_crystal = _crystal(crystal_b)
        capping = capping_of(passivator, (a_crystal, b_crystal))
        relation = _relation(relation, a_crystal, b_crystal)
        way = spelled(relation)
        how = _placement(way, relation, interface, strain, shared)
        if registry == "continuity" or (registry == "auto" and how.registry < 0.75):
            progress("finding the registry", 0.1)
            how = refine(way.relation, how).rounded()
        body_b = make_body_b(b_crystal, shape_b, size_b, termination_b, _up(how, way))
        body_a, body_b = body_a.turned(way.a), body_b.turned(way.b)
        progress("joining", 0.2)
        if positions is not None:
            points = _points(positions, body_a, body_b, strain, way.a.matrix)
            blocks, done = sink(body_a, body_b, how, points, capping)
        else:
            turns = equivalent_turns(body_a, how.normal, caps, strain)
            blocks, done = lay(
                body_a, body_b, how,
                cut_a=cut_a, cut_b=cut_b, overhang=overhang, capping=capping, turns=turns,
            )  # fmt: skip
        step |= {"b": b_crystal.name, "shape_b": body_b.shape.text, "relation": relation.label}
        step["strain"] = strain
        texts += [body_b.shape.text] * (len(blocks) - 1)
        info["relation"] = relation.to_json()
        taken = clear(blocks)
        if taken:
            done["molecules_removed"] = taken
            couple(blocks)
    progress("neutralizing", 0.6)
    step |= done
    inner = positions is not None
    step["neutralized"] = settle(
        blocks, capping, seed, inner=inner, neutral=neutral, completion=completion
    )
    if len(blocks) > 1:
        refuse_remnants(done["carved"], blocks)
    progress("labelling", 0.8)
    particle = assemble(blocks, texts, step, info)
    if way is not None:
        particle = with_interface_report(way.back(particle), done)
    progress("built", 1.0)
    return particle


def _relation(
    relation: OrientationRelationship | None, a: Crystal, b: Crystal
) -> OrientationRelationship:
    if relation is None:
        raise InputError(
            "two crystals need a relation",
            place="build",
            remedy="take one from epitaxy.search(crystal_a, crystal_b).matches",
        )
    _same_crystals(relation, a, b)
    return relation


def _placement(
    way: Spelling,
    asked: OrientationRelationship,
    interface: Interface | Placement | int | None,
    strain: str,
    shared: str | None,
) -> Placement:
    """Where B lies on A, in the one spelling of the relation."""
    if isinstance(interface, Placement):
        return way.placement(interface).rounded()
    if isinstance(interface, Interface):
        return way.placement(place(asked, interface, strain=strain, shared=shared)).rounded()
    chosen = ranked_interface(way.relation, interface or 1, shared)
    return place(way.relation, chosen, strain=strain).rounded()


def _up(how: Placement, way: Spelling) -> Array:
    """Direction of the interface's normal in B's frame as the relation asked for spells it."""
    up = way.b.matrix.T @ np.linalg.solve(how.matrix, how.normal)
    return np.asarray(up / np.linalg.norm(up))


def equivalent_turns(body: Body, normal: Array, count: int, strain: str) -> list[Array]:
    """Return symmetry operations of A that carry one interface onto ``count - 1`` others.

    Raises
    ------
    InputError
        There are not so many equivalent facets about the center of the shape, or A is strained.
    """
    if count == 1:
        return []
    if strain in ("a", "both"):
        raise InputError(
            "several caps cannot strain A each its own way",
            place="strain",
            remedy="use strain 'b' or 'none'",
        )
    found: list[Array] = []
    normals = [normal]
    candidates = [
        turn for turn in body.crystal.proper_rotations if _keeps(body.crystal, body.center, turn)
    ]
    while len(normals) < count:
        # the next facet is the one farthest from those that have a cap already
        spread = [max(float(n @ (turn @ normal)) for n in normals) for turn in candidates]
        k = int(np.argmin(np.round(spread, 6))) if spread else -1
        if k < 0 or spread[k] > 0.99:
            raise InputError(
                f"A has {len(normals)} equivalent facets for B, not {count}",
                place="caps",
                remedy=f"give at most {len(normals)}",
            )
        found.append(candidates[k])
        normals.append(candidates[k] @ normal)
    return found


def _keeps(crystal: Crystal, center: Array, turn: Array) -> bool:
    """Whether a rotation about a point maps the crystal onto itself."""
    images = (crystal.positions - center) @ turn.T + center
    try:
        crystal.match_positions(images, crystal.numbers)
    except InputError:
        return False
    return True


def _points(
    positions: int | Sequence[Sequence[float]],
    body_a: Body,
    body_b: Body,
    strain: str,
    turn: Array,
) -> list[Array]:
    """Return where domains go inside A, from its center, Å; points that are given are turned."""
    if strain in ("a", "both"):
        raise InputError(
            "an embedded domain cannot strain all of A", place="strain", remedy="use 'b' or 'none'"
        )
    if not isinstance(positions, int):
        return [turn @ np.asarray(point, dtype=float).reshape(3) for point in positions]
    if positions < 1 or positions > 1000:
        raise InputError(
            f"{positions} domains cannot be placed", place="positions", remedy="give 1 to 1000"
        )
    if positions == 1:
        return [np.zeros(3)]
    low, high = body_b.shape.bounds()
    radius = float(np.linalg.norm(high - low)) / (2 * np.sqrt(3)) * 1.2 + 3.0
    low, high = body_a.shape.bounds()
    axes = [np.linspace(a, b, 25) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    grid = grid[body_a.shape.outside(grid) < -radius]
    if len(grid) < positions:
        raise InputError(
            f"{positions} domains of this size do not fit",
            place="positions",
            remedy="make them smaller or fewer",
        )
    chosen = [grid[np.argmax(np.linalg.norm(grid, axis=1))]]
    while len(chosen) < positions:
        distance = np.min([np.linalg.norm(grid - c, axis=1) for c in chosen], axis=0)
        chosen.append(grid[np.argmax(np.round(distance, 6))])
    return chosen


def _crystal(crystal: Crystal | str) -> Crystal:
    """Return a crystal with its molecules as ions."""
    if isinstance(crystal, str):
        from heterodot.catalog import crystal as named

        crystal = named(crystal)
    crystal.require_charges()
    return ions(crystal)


def _same_crystals(relation: OrientationRelationship, a: Crystal, b: Crystal) -> None:
    for mine, own, which in ((relation.crystal_a, a, "A"), (relation.crystal_b, b, "B")):
        if mine.formula != own.formula or not np.allclose(mine.cell, own.cell, atol=1e-4):
            raise InputError(
                f"the relation is for {mine.name} as crystal {which}, not for {own.name}",
                place="relation",
                remedy="search for a relation of these two crystals",
            )
