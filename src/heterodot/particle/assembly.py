"""Build a particle: one crystal, or two joined at an orientation relationship.

The frame is Cartesian frame of crystal A with the center of A's shape at the origin. A lies below
the interface and B above it, along the relation's normal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.epitaxy import Interface, OrientationRelationship
from heterodot.errors import InputError
from heterodot.particle.crystallite import Crystallite, carve
from heterodot.particle.facets import best_center, centers, settle
from heterodot.particle.join import couple, resolve, sides
from heterodot.particle.lengths import Size, lengths
from heterodot.particle.named import Termination, shape
from heterodot.particle.neutral import Capping, balance
from heterodot.particle.particle import Domain, Particle
from heterodot.particle.placement import Placement, place, snap
from heterodot.particle.registry import refine
from heterodot.particle.shapes import Shape, cube_axes
from heterodot.progress import Progress, silent

Array = NDArray[np.float64]

NEAR = 4.5


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


def build(
    crystal_a: Crystal | str,
    shape_a: str | Shape,
    size_a: Size = "",
    crystal_b: Crystal | str | None = None,
    shape_b: str | Shape | None = None,
    size_b: Size | None = None,
    relation: OrientationRelationship | None = None,
    *,
    interface: Interface | Placement | None = None,
    termination_a: Termination = None,
    termination_b: Termination = None,
    center_a: str | Sequence[float] | None = None,
    cut_a: Size | None = None,
    cut_b: Size | None = None,
    strain: str = "b",
    shared: str | None = None,
    registry: str = "auto",
    passivator: str | None = None,
    neutral: bool = True,
    overhang: bool = False,
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
    interface : Interface, optional
        Which atoms meet; the best ranked interface of the relation if not given.
    termination_a, termination_b : str or mapping, optional
        Outermost layer of the facets (``"CsBr"``), or by family (``{"111": "S"}``).
    center_a : str or (3,) floats, optional
        Element, or fractional coordinates, on which A's shape is centered.
    cut_a, cut_b : length, optional
        Distance of the interface from the center of each shape, Å or with a unit. Where it is
        not given it is the facet of that shape that is parallel to the interface (a cap on a
        facet), else zero (both crystals cut through the middle, a dimer).
    strain : str
        Who yields to the other: ``"b"``, ``"a"``, ``"both"`` or ``"none"``.
    shared : str, optional
        Element of the layer that both crystals share, to choose among the interfaces.
    registry : str
        ``"lattice"`` takes shift and gap as the interface gives them; ``"coordination"`` looks
        for those at which cations of the interface are best coordinated
        (`heterodot.particle.registry`); ``"auto"`` does so where fewer than three quarters of
        the cations of the sparser crystal coincide.
    passivator : str, optional
        Halide that may cap surfaces; that of either crystal if not given.
    neutral : bool
        Whether formal charges have to sum to zero.
    overhang : bool
        Whether B may be wider than the facet that it sits on (mushroom).
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
    a_crystal = _crystal(crystal_a)
    progress("carving", 0.05)
    body_a = _body(a_crystal, shape_a, size_a, termination_a, "shape_a", center=center_a)
    step: dict[str, Any] = {"step": "build", "a": a_crystal.name, "shape_a": body_a.shape.text}
    step |= {"seed": seed, "strain": strain}
    if crystal_b is None:
        capping = capping_of(passivator, (a_crystal,))
        block = carve(a_crystal, body_a.shape, body_a.center, shift=-body_a.center)
        done = _finish(block, body_a.shape)
        blocks, bodies = [block], [body_a]
        joined: dict[str, Any] = {}
    else:
        b_crystal = _crystal(crystal_b)
        capping = capping_of(passivator, (a_crystal, b_crystal))
        if relation is None:
            raise InputError(
                "two crystals need a relation",
                place="build",
                remedy="take one from epitaxy.search(crystal_a, crystal_b).matches",
            )
        _same_crystals(relation, a_crystal, b_crystal)
        how = (
            interface
            if isinstance(interface, Placement)
            else place(relation, interface, strain=strain, shared=shared)
        )
        if registry == "coordination" or (registry == "auto" and how.registry < 0.75):
            progress("finding the registry", 0.1)
            how = refine(relation, how, capping)
        body_b = _body_b(b_crystal, shape_b, size_b, termination_b, how)
        progress("joining", 0.2)
        blocks, bodies, joined = _join(body_a, body_b, how, cut_a, cut_b, overhang, capping)
        step |= {"b": b_crystal.name, "shape_b": body_b.shape.text, "relation": relation.label}
        done = joined
    progress("neutralizing", 0.6)
    step |= done
    step["neutralized"] = neutralize(blocks, capping, seed) if neutral else []
    info: dict[str, Any] = {}
    if relation is not None and crystal_b is not None:
        info["relation"] = relation.to_json()
    progress("labelling", 0.8)
    particle = assemble(blocks, [body.shape.text for body in bodies], step, info)
    if len(blocks) > 1:
        particle = with_interface_report(particle, joined)
    progress("built", 1.0)
    return particle


def with_interface_report(particle: Particle, joined: Mapping[str, Any]) -> Particle:
    """Return the particle with ``info["interface"]`` measured from its atoms."""
    from heterodot.particle.checks import contacts, coordination, interface_report

    found = contacts(particle)
    measured, check = interface_report(particle, found, coordination(particle, found))
    return particle.replace(
        info={**particle.info, "interface": {**measured, "made": dict(joined), "check": check}}
    )


def _crystal(crystal: Crystal | str) -> Crystal:
    if isinstance(crystal, str):
        from heterodot.catalog import crystal as named

        crystal = named(crystal)
    crystal.require_charges()
    return crystal


def _same_crystals(relation: OrientationRelationship, a: Crystal, b: Crystal) -> None:
    for mine, own, which in ((relation.crystal_a, a, "A"), (relation.crystal_b, b, "B")):
        if mine.formula != own.formula or not np.allclose(mine.cell, own.cell, atol=1e-4):
            raise InputError(
                f"the relation is for {mine.name} as crystal {which}, not for {own.name}",
                place="relation",
                remedy="search for a relation of these two crystals",
            )


def _body(
    crystal: Crystal,
    name: str | Shape,
    size: Size,
    termination: Termination,
    place_: str,
    *,
    center: str | Sequence[float] | None = None,
    axis: Array | None = None,
) -> Body:
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


def _body_b(
    crystal: Crystal,
    name: str | Shape | None,
    size: Size | None,
    termination: Termination,
    how: Placement,
) -> Body:
    if name is None or (size is None and not isinstance(name, Shape)):
        raise InputError(
            "crystal B needs a shape and a size", place="build", remedy="give shape_b and size_b"
        )
    up = np.linalg.solve(how.matrix, how.normal)
    return _body(
        crystal, name, size if size is not None else "", termination, "shape_b",
        axis=up / np.linalg.norm(up),
    )  # fmt: skip


def _finish(block: Crystallite, body: Shape) -> dict[str, Any]:
    """Remove what hangs loose, complete octahedra, and remove again; say how many."""
    pruned = block.prune()
    completed = _whole(block, body)
    return {"completed": completed, "pruned": pruned + block.prune()}


def _whole(block: Crystallite, body: Shape) -> int:
    """Complete octahedra that a curved or cut surface opened; facets stay as they were asked."""
    curved = body.ball is not None or body.cylinder is not None
    return block.complete() if curved else 0


def _join(
    body_a: Body,
    body_b: Body,
    how: Placement,
    cut_a: Size | None,
    cut_b: Size | None,
    overhang: bool,
    capping: Capping | None,
) -> tuple[list[Crystallite], list[Body], dict[str, Any]]:
    """Cut both bodies at the interface, lay B on A, and resolve where they meet."""
    normal = how.normal
    inverse = np.linalg.inv(how.matrix)
    below_b = -(normal @ how.matrix) / np.linalg.norm(normal @ how.matrix)
    d_a, on_facet = _cut(body_a, normal, cut_a, "cut_a")
    how = snap(how, body_a.crystal, float(body_a.center @ normal) + d_a, body_a.center, on_facet)
    height = how.level - float(body_a.center @ normal)
    d_b, _ = _cut(body_b, below_b, cut_b, "cut_b")
    # A ends just above the shared layer, B just below it; ions of both in that layer are sorted
    # out atom by atom
    shape_a = _open(body_a.shape, normal).cut(normal, height + 0.3)
    footprint = _footprint(body_a, shape_a, normal, height)
    target = body_a.center + footprint + d_b * normal
    wish = inverse @ (target - how.shift)
    opened = _open(body_b.wanted, below_b)
    center_b = _nearest_center(body_b, opened, wish, -below_b)
    settled, _ = settle(opened, body_b.crystal, center_b)
    base = body_a.center + height * normal
    depth = float((center_b - inverse @ (base + how.gap * normal - how.shift)) @ -below_b)
    shape_b = settled.cut(below_b, depth + 0.3)
    if on_facet and not overhang:
        _fits(body_a, body_b, shape_a, shape_b, normal, below_b, height, depth)
    a = carve(
        body_a.crystal,
        shape_a,
        body_a.center,
        rotation=how.stretch,
        shift=-how.stretch @ body_a.center,
    )
    b = carve(
        body_b.crystal,
        shape_b,
        center_b,
        rotation=how.stretch @ how.matrix,
        shift=how.stretch @ (how.shift - body_a.center),
    )
    if on_facet:
        _trim(a, how, d_a + float(body_a.center @ normal), shape_b, center_b)
    completed = _whole(a, body_a.shape), _whole(b, body_b.shape)
    done: dict[str, Any] = dict(resolve(a, b, capping))
    done["completed"] = sum(completed)
    done["plane_height"] = height
    return [a, b], [body_a, replace(body_b, center=center_b)], done


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
    a.flat[flat[above & ~inside]] = 0


def _cut(body: Body, normal: Array, cut: Size | None, place_: str) -> tuple[float, bool]:
    """Distance of the interface from the center, and whether it is a facet of the shape."""
    parallel = [
        f.distance for f in body.shape.facets if float(f.normal @ normal) > np.cos(np.radians(1.5))
    ]
    if cut is None:
        return (min(parallel), True) if parallel else (0.0, False)
    text = str(cut).strip()
    sign = -1.0 if text.startswith("-") else 1.0
    if text.lstrip("+-0. ") == "" or _zero(cut):
        return 0.0, False
    size = text.lstrip("+-") if isinstance(cut, str) else abs(float(cut))  # type: ignore[arg-type]
    (value,) = lengths(size, cube_axes(body.crystal).length, place=place_)
    return sign * value, False


def _zero(cut: Size) -> bool:
    return isinstance(cut, int | float) and float(cut) == 0.0


def _open(body: Shape, normal: Array) -> Shape:
    """Return the shape without the facet that the interface takes the place of."""
    if body.parts:
        return replace(body, parts=tuple(_open(p, normal) for p in body.parts))
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


def _nearest_center(body: Body, shape_: Shape, wish: Array, up: Array) -> Array:
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


# -------------------------------------------------------------------- neutrality


def capping_of(passivator: str | None, crystals: Sequence[Crystal]) -> Capping | None:
    """Return the halide that may cap surfaces: the one asked for, or one of the crystals'.

    Raises
    ------
    InputError
        Not a monovalent anion.
    """
    from ase.data import atomic_numbers

    from heterodot.charges import STATES

    if passivator is not None:
        if STATES.get(passivator, (0,))[0] != -1:
            raise InputError(
                f"{passivator} is not a monovalent anion",
                place="passivator",
                remedy="use F, Cl, Br or I",
            )
        return Capping(int(atomic_numbers[passivator]))
    for crystal in crystals:
        for number, charge in zip(crystal.numbers, crystal.require_charges(), strict=True):
            if -1.5 < charge < -0.5:
                return Capping(int(number), float(charge))
    return None


def neutralize(
    blocks: Sequence[Crystallite], capping: Capping | None, seed: int
) -> list[dict[str, Any]]:
    """Bring each domain, then the whole, to zero formal charge with ions of the surface.

    Bonds across an interface count for both sides by their Pauling strength, so that a domain
    that continues into another is not taken for charged.

    Raises
    ------
    InputError
        Charge is left that no surface ion can balance.
    """
    done: list[dict[str, Any]] = []
    total = sum(block.charge for block in blocks)
    couple(blocks) if len(blocks) > 1 else None
    for k, block in enumerate(blocks):
        last = k == len(blocks) - 1
        want = -sum(b.charge for b in blocks) if last else -float(np.rint(effective(block, blocks)))
        done += _balance(block, blocks, k, want, capping, seed)
    for k, block in enumerate(blocks[:-1]):
        left = -sum(b.charge for b in blocks)
        if abs(left) < 1e-6:
            break
        done += _balance(block, blocks, k, left, capping, seed)
    left = sum(b.charge for b in blocks)
    if abs(left) > 1e-6:
        raise InputError(
            f"a charge of {left:+g} e is left of {total:+g} e; no ion of the surface balances it",
            place="neutrality",
            remedy="name a halide as passivator, change a size by one layer, or allow a charge "
            "with neutral=False",
        )
    return done


def effective(block: Crystallite, blocks: Sequence[Crystallite]) -> float:
    """Return the charge of a domain with bonds across its interfaces shared by strength, e."""
    flat = block.filled()
    cross = block.cross[flat]
    sign = np.sign(block.charges(flat[cross > 0]))
    return block.charge - float((sign * cross[cross > 0]).sum())


def _balance(
    block: Crystallite,
    blocks: Sequence[Crystallite],
    k: int,
    want: float,
    capping: Capping | None,
    seed: int,
) -> list[dict[str, Any]]:
    if abs(want) < 1e-6:
        return []
    near = blocked = None
    for m, other in enumerate(blocks):
        if m == k:
            continue
        pair = sides(block, other, empty=True)
        if pair is None:
            continue
        near = np.zeros(block.flat.size, dtype=bool) if near is None else near
        blocked = np.zeros(block.flat.size, dtype=bool) if blocked is None else blocked
        side, far = pair
        from scipy.spatial import cKDTree

        there = far.points[far.filled]
        if len(there):
            distance, _ = cKDTree(there).query(side.points)
            near[side.flat[distance < NEAR]] = True
            # an empty site this close to an ion of the other domain stays empty
            blocked[side.flat[(distance < 3.0) & ~side.filled]] = True
    _, done = balance(block, want, near=near, blocked=blocked, capping=capping, seed=seed)
    for entry in done:
        entry["domain"] = block.crystal.formula
    if len(blocks) > 1:
        couple(blocks)
    return done


# -------------------------------------------------------------------- labels


def assemble(
    blocks: Sequence[Crystallite],
    texts: Sequence[str],
    step: Mapping[str, Any],
    info: Mapping[str, Any],
) -> Particle:
    """Return the particle of filled sites, with domains, roles and charges."""
    from ase.data import chemical_symbols

    if len(blocks) > 1:
        couple(blocks)
    names: list[str] = []
    for block in blocks:
        name, n = block.crystal.formula, 2
        while name in names:
            name = f"{block.crystal.formula} {n}"
            n += 1
        names.append(name)
    numbers, positions, charges, labels, roles, domains = [], [], [], [], [], []
    for k, (block, text) in enumerate(zip(blocks, texts, strict=True)):
        flat = block.filled()
        numbers.append(block.flat[flat])
        positions.append(block.positions(flat))
        charges.append(block.charges(flat))
        labels.append(np.full(len(flat), k))
        saturation = block.saturation()[flat]
        role = np.where(saturation < 0.999, "surface", "core").astype("U9")
        role[block.cross[flat] > 1e-9] = "interface"
        roles.append(role)
        rotation, strain = _polar(block.rotation)
        domains.append(
            Domain(names[k], block.crystal, rotation, strain, np.array(block.shift), text)
        )
    table = np.array(chemical_symbols)
    particle = Particle(
        tuple(table[np.concatenate(numbers)].tolist()),
        np.concatenate(positions),
        np.concatenate(labels),
        np.concatenate(roles),
        np.concatenate(charges),
        tuple(domains),
        (),
        {},
        dict(info),
    )
    return replace(particle, history=({**step, "formula": particle.formula},))


def _polar(deformation: Array) -> tuple[Array, Array]:
    """Split a deformation into (rotation, strain): ``deformation = (1 + strain) @ rotation``."""
    u, s, vt = np.linalg.svd(deformation)
    rotation = u @ vt
    strain = u @ np.diag(s) @ u.T - np.eye(3)
    strain[np.abs(strain) < 1e-12] = 0.0
    return rotation, strain
