"""Two bodies cut and laid on one another: where the interface is, and where B stands on A."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.errors import InputError
from heterodot.particle.crystallite import Crystallite, bonds, carve
from heterodot.particle.facets import best_center, centers, settle
from heterodot.particle.join import resolve
from heterodot.particle.lengths import Size, lengths
from heterodot.particle.named import Termination, shape
from heterodot.particle.neutral import Capping
from heterodot.particle.placement import Placement, snap
from heterodot.particle.shapes import Shape, cube_axes
from heterodot.particle.spelling import Turn

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Body:
    """A crystal with the shape to carve from it, settled on its layers.

    Attributes
    ----------
    crystal : Crystal
    shape : Shape
        Settled, around ``center``.
    center : (3,) array
        In the crystal's frame, Å.
    wanted : Shape
        As asked for, not settled.
    """

    crystal: Crystal
    shape: Shape
    center: Array
    wanted: Shape

    def turned(self, turn: Turn) -> Body:
        """Return the image of the body under a symmetry operation of its crystal."""
        cell = self.crystal.cell
        center = turn.point(self.center) @ np.linalg.inv(cell)
        center = np.round(center - np.floor(center + 1e-6), 9) @ cell
        return Body(self.crystal, turn.shape(self.shape), center, turn.shape(self.wanted))


def make_body(
    crystal: Crystal,
    name: str | Shape,
    size: Size,
    termination: Termination,
    place_: str,
    *,
    center: str | Sequence[float] | None = None,
    axis: Array | None = None,
) -> Body:
    """Return a crystal with a shape settled on its layers, centered where it suits best."""
    wanted = shape(
        name,
        crystal,
        size,
        termination=termination,
        axis=None if axis is None else axis.tolist(),
        place=place_.replace("shape", "size"),
    )
    if center is None:
        middle, settled = best_center(wanted, crystal)
        return Body(crystal, settled, middle, wanted)
    if isinstance(center, str):
        hits = [i for i, symbol in enumerate(crystal.symbols) if symbol == center]
        if not hits:
            raise InputError(
                f"{crystal.formula} has no {center}",
                place="center_a",
                remedy=f"choose among {', '.join(crystal.counts)}",
            )
        middle = crystal.positions[hits[0]]
    else:
        middle = np.asarray(center, dtype=float) @ crystal.cell
    return Body(crystal, settle(wanted, crystal, middle)[0], middle, wanted)


def make_body_b(
    crystal: Crystal,
    name: str | Shape | None,
    size: Size | None,
    termination: Termination,
    up: Array,
) -> Body:
    """Return the body of crystal B, with round caps along ``up``, the interface's normal."""
    if name is None or (size is None and not isinstance(name, Shape)):
        raise InputError(
            "crystal B needs a shape and a size", place="build", remedy="give shape_b and size_b"
        )
    return make_body(
        crystal, name, size if size is not None else "", termination, "shape_b", axis=up
    )


def finish(block: Crystallite, body: Shape) -> dict[str, Any]:
    """Remove what hangs loose, complete octahedra, and remove again; say how many."""
    pruned = block.prune()
    completed = _whole(block, body)
    return {"completed": completed, "pruned": pruned + block.prune()}


def _whole(block: Crystallite, body: Shape) -> int:
    """Complete octahedra that a curved or cut surface opened; facets stay as they were asked."""
    curved = body.ball is not None or body.cylinder is not None
    return block.complete() if curved else 0


def lay(
    body_a: Body,
    body_b: Body,
    how: Placement,
    *,
    cut_a: Size | None = None,
    cut_b: Size | None = None,
    overhang: bool = False,
    capping: Capping | None = None,
    turns: Sequence[Array] = (),
) -> tuple[list[Crystallite], dict[str, Any]]:
    """Cut both bodies at the interface, lay B on A, and resolve where they meet.

    Parameters
    ----------
    turns : sequence of (3, 3) arrays
        Symmetry operations of A about its center that give further, equivalent places for B.

    Returns
    -------
    blocks : list of Crystallite
        A, then each B.
    done : dict
        What was removed, shared and added.
    """
    normal = how.normal
    inverse = np.linalg.inv(how.matrix)
    below_b = -(normal @ how.matrix) / np.linalg.norm(normal @ how.matrix)
    d_a, on_facet = _cut(body_a, normal, cut_a, "cut_a")
    how = snap(how, body_a.crystal, float(body_a.center @ normal) + d_a, body_a.center, on_facet)
    height = how.level - float(body_a.center @ normal)
    d_b, b_on_facet = _cut(body_b, below_b, cut_b, "cut_b")
    if cut_b is None and not b_on_facet:
        # the shared layer is A's: half of B is counted from the layer above it
        d_b = _bond_length(body_b.crystal)
    # A ends just above the shared layer, B just below it; ions of both in that layer are sorted
    # out atom by atom
    shape_a = without_facet(body_a.shape, normal).cut(normal, height + 0.3)
    for body, cut, axis, name in (
        (body_a, cut_a, normal, "cut_a"),
        (body_b, cut_b, below_b, "cut_b"),
    ):
        if cut is not None:
            _meets(body, axis, d_a if body is body_a else d_b, name)
    footprint = _footprint(body_a, shape_a, normal, height)
    target = body_a.center + footprint + d_b * normal
    wish = inverse @ (target - how.shift)
    opened = without_facet(body_b.wanted, below_b)
    center_b = nearest_center(body_b, opened, wish, -below_b)
    settled, _ = settle(opened, body_b.crystal, center_b)
    base = body_a.center + height * normal
    depth = float((center_b - inverse @ (base + how.gap * normal - how.shift)) @ -below_b)
    shape_b = settled.cut(below_b, depth + 0.3)
    if on_facet and not overhang:
        _fits(body_a, body_b, shape_a, shape_b, normal, below_b, height, depth)
    places = [how, *[how.turned(turn, body_a.center) for turn in turns]]
    for place in places[1:]:
        shape_a = without_facet(shape_a, place.normal).cut(place.normal, height + 0.3)
    a = carve(
        body_a.crystal,
        shape_a,
        body_a.center,
        rotation=how.stretch,
        shift=-how.stretch @ body_a.center,
    )
    others = []
    for place in places:
        others.append(
            carve(
                body_b.crystal,
                shape_b,
                center_b,
                rotation=place.stretch @ place.matrix,
                shift=place.stretch @ (place.shift - body_a.center),
            )
        )
        if on_facet:
            _trim(a, place, d_a + float(body_a.center @ place.normal), shape_b, center_b)
    completed = _whole(a, body_a.shape) + sum(_whole(b, body_b.shape) for b in others)
    before = [len(k.filled()) for k in (a, *others)]
    done = meet([a, *others], capping)
    done["carved"] = before
    done["completed"] = completed
    done["plane_height"] = height
    return [a, *others], done


def _bond_length(crystal: Crystal) -> float:
    """Mean length of the bonds of a crystal, Å."""
    table = bonds(crystal)
    ends = crystal.positions[table.other] + table.cell @ crystal.cell
    return float(np.linalg.norm(ends - crystal.positions[table.site], axis=1).mean())


def meet(blocks: list[Crystallite], capping: Capping | None) -> dict[str, Any]:
    """Resolve every pair of domains that touch; return what was done in all."""
    done: dict[str, Any] = {}
    for m, first in enumerate(blocks):
        for second in blocks[m + 1 :]:
            for key, count in resolve(first, second, capping, blocks).items():
                done[key] = done.get(key, 0) + count
    return done


def sink(
    body_a: Body,
    body_b: Body,
    how: Placement,
    points: Sequence[Array],
    capping: Capping | None,
) -> tuple[list[Crystallite], dict[str, Any]]:
    """Put B inside A at points given from A's center, and resolve where they meet.

    Raises
    ------
    InputError
        B does not fit inside A, or two of them overlap.
    """
    a = carve(body_a.crystal, body_a.shape, body_a.center, shift=-body_a.center)
    inverse = np.linalg.inv(how.matrix)
    up = (how.normal @ how.matrix) / np.linalg.norm(how.normal @ how.matrix)
    others: list[Crystallite] = []
    for point in points:
        target = body_a.center + np.asarray(point, dtype=float)
        place = snap(how, body_a.crystal, float(target @ how.normal), target)
        center_b = nearest_center(body_b, body_b.wanted, inverse @ (target - place.shift), up)
        shape_b, _ = settle(body_b.wanted, body_b.crystal, center_b)
        b = carve(
            body_b.crystal,
            shape_b,
            center_b,
            rotation=place.matrix,
            shift=place.shift - body_a.center,
        )
        outside = body_a.shape.outside(b.positions(b.filled())).max()
        if outside > -2.0:
            raise InputError(
                f"the {body_b.shape.text} of {body_b.crystal.formula} does not fit inside the "
                f"{body_a.shape.text} of {body_a.crystal.formula}",
                place="size_b",
                remedy="make it smaller or move it inwards",
            )
        for other in others:
            seen = shape_b.contains(
                (other.positions(other.filled()) + body_a.center - place.shift) @ inverse.T
                - center_b
            )
            if seen.any():
                raise InputError(
                    f"two {body_b.crystal.formula} domains overlap",
                    place="positions",
                    remedy="move them apart or make them smaller",
                )
        flat = a.filled()
        own = (a.crystal_positions(flat) - place.shift) @ inverse.T - center_b
        a.empty(flat[shape_b.contains(own, 0.5)])
        others.append(b)
    completed = _whole(a, body_a.shape)
    before = [len(k.filled()) for k in (a, *others)]
    done = meet([a, *others], capping)
    done["carved"] = before
    done["completed"] = completed
    return [a, *others], done


def refuse_remnants(before: list[int], blocks: list[Crystallite]) -> None:
    """Refuse a join that ate up most of a domain."""
    for count, block in zip(before, blocks, strict=True):
        now = len(block.filled())
        if now < 0.35 * count or now < 4:
            raise InputError(
                f"of {count} ions of {block.crystal.formula} only {now} hold together here",
                place="interface",
                remedy="choose another interface or relation, or make the domain larger",
            )


def _meets(body: Body, axis: Array, distance: float, place_: str) -> None:
    """Refuse a cut that lies outside the shape."""
    slack = np.sign(distance) * 3.0
    if len(_section(body.wanted, axis, distance - slack)) == 0:
        raise InputError(
            f"a cut at {distance / 10:.3g} nm misses the {body.shape.text} of "
            f"{body.crystal.formula}",
            place=place_,
            remedy="give a smaller distance from its center",
        )


def _trim(
    a: Crystallite,
    how: Placement,
    facet: float,
    shape_b: Shape,
    center_b: Array,
) -> None:
    """Keep A's layers above its own facet only under B, so that the free facet stays as asked."""
    flat = a.filled()
    points = a.crystal_positions(flat)
    height = points @ how.normal
    above = height > facet
    # where the site, lifted to B's first plane, lies inside B
    lifted = points + np.outer(how.level + how.gap + 0.05 - height, how.normal)
    inside = shape_b.contains((lifted - how.shift) @ np.linalg.inv(how.matrix).T - center_b, 0.5)
    a.empty(flat[above & ~inside])


def _cut(body: Body, normal: Array, cut: Size | None, place_: str) -> tuple[float, bool]:
    """Distance of the interface from the center, and whether it is a facet of the shape."""
    parallel = [
        f.distance for f in body.shape.facets if float(f.normal @ normal) > np.cos(np.radians(1.5))
    ]
    if cut is None:
        return (min(parallel), True) if parallel else (0.0, False)
    text = str(cut).strip()
    sign = -1.0 if text.startswith("-") else 1.0
    if _zero(text):
        return 0.0, False
    size = text.lstrip("+-") if isinstance(cut, str) else abs(float(cut))  # type: ignore[arg-type]
    (value,) = lengths(size, cube_axes(body.crystal).length, place=place_)
    return sign * value, False


def _zero(text: str) -> bool:
    """Whether a length is zero, whatever its unit."""
    number = text.split()[0].rstrip("nmcelsÅA")
    try:
        return float(number) == 0.0
    except ValueError:
        return False


def without_facet(body: Shape, normal: Array) -> Shape:
    """Return the shape without the facet that the interface takes the place of."""
    if body.parts:
        return replace(body, parts=tuple(without_facet(p, normal) for p in body.parts))
    limit = np.cos(np.radians(1.5))
    return body.moved([f for f in body.facets if float(f.normal @ normal) < limit])


def _footprint(body: Body, cut: Shape, normal: Array, height: float) -> Array:
    """Middle of A's section at the interface, from the center of A's shape, (3,)."""
    points = _section(cut, normal, height - 0.05)
    if len(points) == 0:
        raise InputError(
            f"the interface misses the {body.shape.name} of {body.crystal.formula}",
            place="cut_a",
            remedy="give a smaller cut_a",
        )
    middle = points.mean(0)
    return np.asarray(middle - (middle @ normal) * normal + height * normal)


def _section(body: Shape, normal: Array, height: float, step: float = 0.8) -> Array:
    """Points of a plane through a shape, (n, 3)."""
    low, high = body.bounds()
    reach = float(np.linalg.norm(np.maximum(np.abs(low), np.abs(high))))
    first = np.cross(normal, np.eye(3)[np.argmin(np.abs(normal))])
    first /= np.linalg.norm(first)
    second = np.cross(normal, first)
    step = max(step, reach / 150)
    line = np.arange(-reach, reach + step, step)
    u, v = np.meshgrid(line, line)
    points = height * normal + u.reshape(-1, 1) * first + v.reshape(-1, 1) * second
    return np.asarray(points[body.contains(points, 0.0)])


def nearest_center(body: Body, shape_: Shape, wish: Array, up: Array) -> Array:
    """A center near ``wish`` that suits the facets and keeps the distance from the interface.

    Among the special points of the crystal within reach the one with the least sum of squares is
    taken: error of the distance from the interface, a seventh of that along it, and the mean
    square move of facets.
    """
    cell = body.crystal.cell
    inverse = np.linalg.inv(cell)
    grid = (np.array(list(np.ndindex(5, 5, 5))) - 2) @ cell
    best: tuple[float, Array] | None = None
    for kind in centers(body.crystal):
        points = grid + np.rint((wish - kind) @ inverse) @ cell + kind
        off = points - wish
        height = off @ up
        lateral = (off**2).sum(1) - height**2
        cost = height**2 + 0.15 * lateral + 2.0 * settle(shape_, body.crystal, kind)[1]
        k = int(np.argmin(cost))
        if best is None or cost[k] < best[0] - 1e-6:
            best = (float(cost[k]), points[k])
    assert best is not None
    return best[1]


def _fits(
    body_a: Body,
    body_b: Body,
    shape_a: Shape,
    shape_b: Shape,
    normal: Array,
    below_b: Array,
    height: float,
    depth: float,
) -> None:
    spans = []
    for body, axis, level in ((shape_a, normal, height - 0.05), (shape_b, -below_b, -depth + 0.3)):
        points = _section(body, axis, level)
        spans.append(float(np.linalg.norm(np.ptp(points, axis=0))) if len(points) else 0.0)
        spans.append(len(points) * max(0.8, _reach(body) / 150) ** 2)
    # compare areas: shapes of one width but different outline may overlap at corners only
    if spans[3] > 1.12 * spans[1]:
        wide_a, wide_b = (2 * np.sqrt(area / np.pi) / 10 for area in (spans[1], spans[3]))
        raise InputError(
            f"the {body_b.shape.text} of {body_b.crystal.formula} is wider at the interface "
            f"({wide_b:.2g} nm) than the facet of {body_a.crystal.formula} ({wide_a:.2g} nm)",
            place="size_b",
            remedy="make it smaller, or allow it with overhang",
        )


def _reach(body: Shape) -> float:
    low, high = body.bounds()
    return float(np.linalg.norm(np.maximum(np.abs(low), np.abs(high))))
