"""Named shapes: cube, cuboctahedron, sphere, disk, hexapod, Wulff and Winterbottom bodies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.errors import InputError, nearest
from heterodot.particle.lengths import Size, lengths
from heterodot.particle.shapes import Facet, Shape, cube_axes, family

Array = NDArray[np.float64]
Indices = tuple[int, int, int]
Termination = str | Mapping[str, str] | None

# family and distance as a multiple of half the size (between opposite {100} where there are any)
_POLYHEDRA: dict[str, tuple[tuple[Indices, float], ...]] = {
    "cube": (((1, 0, 0), 1.0),),
    "truncated cube": (((1, 0, 0), 1.0), ((1, 1, 1), 1.45)),
    "cuboctahedron": (((1, 0, 0), 1.0), ((1, 1, 1), 2 / np.sqrt(3))),
    "truncated octahedron": (((1, 0, 0), 1.0), ((1, 1, 1), np.sqrt(3) / 2)),
    "octahedron": (((1, 1, 1), 1 / np.sqrt(3)),),
    "rhombic dodecahedron": (((1, 1, 0), 1 / np.sqrt(2)),),
    "edge-truncated cube": (((1, 0, 0), 1.0), ((1, 1, 0), 1.27)),
}
NAMES = (
    *_POLYHEDRA, "cuboid", "platelet", "disk", "rod", "sphere", "hemisphere", "cap", "hexapod",
    "tetrahedron",
)  # fmt: skip


def shape(
    name: str | Shape,
    crystal: Crystal,
    size: Size,
    *,
    termination: Termination = None,
    axis: Sequence[float] | None = None,
    place: str = "shape",
) -> Shape:
    """Return a named shape of a crystal at a size.

    Parameters
    ----------
    name : str or Shape
        One of `NAMES`; a `Shape` is returned as it is.
    crystal : Crystal
        Whose facets bound it.
    size : str or number or sequence
        One length: between opposite {100} facets for cubes and all that is made from them,
        corner to corner for octahedra and rhombic dodecahedra, edge for tetrahedra, diameter for
        spheres. Two: diameter x thickness (disk, cap), edge x thickness (platelet), diameter x
        length (rod), length x width of the arms (hexapod). Three: cuboid. Bare numbers are Å.
    termination : str or mapping, optional
        Outermost layer of every facet (``"CsBr"``), or by family: ``{"111": "S"}``. A name that
        a facet family does not have is an error only when no family has it.
    axis : (3,) floats, optional
        Outward normal of a hemisphere or cap, axis of disk, rod or platelet; Cartesian, crystal
        frame. The third cube axis if not given.

    Raises
    ------
    InputError
        Unknown name; wrong number of lengths; below one unit cell.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> body = shape("cuboctahedron", crystal("PbS"), "3.0 nm")
    >>> len(body.facets), round(body.volume() / 1000, 1)
    (14, 22.5)
    """
    if isinstance(name, Shape):
        return name
    key = name.strip().lower().replace("_", " ")
    if key not in NAMES:
        close = nearest(key, NAMES)
        raise InputError(
            f"'{name}' is not a shape",
            place=place,
            remedy=f"did you mean {' or '.join(close)}?" if close else f"use {', '.join(NAMES)}",
        )
    axes = cube_axes(crystal)
    sizes = lengths(size, axes.length, place=place)
    text = f"{key} {' x '.join(f'{s / 10:.3g}' for s in sizes)} nm"
    _large_enough(sizes, crystal, axes.length, place)
    if key in _POLYHEDRA:
        (edge,) = _count(sizes, 1, key, place)
        facets = [
            Facet(normal, ratio * edge / 2, plane)
            for indices, ratio in _POLYHEDRA[key]
            for normal, plane in form(crystal, indices)
        ]
        body = Shape(key, tuple(facets), text=text)
    elif key == "tetrahedron":
        (edge,) = _count(sizes, 1, key, place)
        normals = [f for f in form(crystal, (1, 1, 1)) if _even(f[0], axes.vectors)]
        body = Shape(key, tuple(Facet(n, edge / np.sqrt(24), p) for n, p in normals), text=text)
    elif key == "cuboid":
        body = _cuboid(crystal, _count(sizes, 3, key, place), text)
    elif key == "hexapod":
        body = _hexapod(crystal, _count(sizes, 2, key, place), text)
    else:
        body = _round(key, crystal, sizes, axis, text, place)
    return terminated(body, crystal, termination, place=place)


def form(crystal: Crystal, indices: Sequence[int]) -> list[tuple[Array, tuple[int, int, int]]]:
    """Return the facets that stand for a cubic form in any crystal, normals and indices.

    Where the symmetry does not make all permutations of the indices one family (the faces of a
    brick in an orthorhombic crystal), the families of all permutations are taken together.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> len(form(crystal("Pb4S3Br2"), (1, 0, 0)))
    6
    """
    import itertools

    if cube_axes(crystal).pseudo:
        return family(crystal, indices)
    found: dict[tuple[int, int, int], Array] = {}
    for permuted in sorted(set(itertools.permutations(indices)), reverse=True):
        for normal, plane in family(crystal, permuted):
            found.setdefault(plane, normal)
    return [(normal, plane) for plane, normal in found.items()]


def _large_enough(sizes: Sequence[float], crystal: Crystal, cell: float, place: str) -> None:
    if min(sizes) < 0.999 * min(cell, float(np.linalg.norm(crystal.cell, axis=1).max())):
        raise InputError(
            f"{min(sizes) / 10:.3g} nm is below one unit cell of {crystal.formula} "
            f"({cell / 10:.3g} nm)",
            place=place,
            remedy=f"give at least {2 * cell / 10:.2g} nm",
        )


def _count(sizes: tuple[float, ...], n: int, key: str, place: str) -> tuple[float, ...]:
    if len(sizes) == n:
        return sizes
    if len(sizes) == 1:
        return sizes * n
    raise InputError(
        f"a {key} takes {n} length{'s' * (n > 1)}, not {len(sizes)}",
        place=place,
        remedy="give them as '2 nm x 13 nm'" if n > 1 else "give one, such as '3.4 nm'",
    )


def _even(normal: Array, vectors: Array) -> bool:
    return bool(np.prod(np.sign(np.linalg.inv(vectors).T @ normal)) > 0)


def _cuboid(crystal: Crystal, sizes: tuple[float, ...], text: str) -> Shape:
    axes = cube_axes(crystal)
    facets = []
    if axes.pseudo:
        pairs = [(v, f) for v in axes.vectors for f in family(crystal, (1, 0, 0))]
    else:
        planes = [tuple(int(x) * s for x in row) for row in np.eye(3) for s in (1, -1)]
        found = [(crystal.plane_normal(p), (p[0], p[1], p[2])) for p in planes]
        pairs = [(v, f) for v in axes.vectors for f in found]
    for k, vector in enumerate(axes.vectors):
        own = [f for v, f in pairs if v is vector or np.array_equal(v, vector)]
        own.sort(key=lambda f: -abs(float(f[0] @ vector)))
        facets += [Facet(normal, sizes[k] / 2, plane) for normal, plane in own[:2]]
    return Shape("cuboid", tuple(facets), text=text)


def _hexapod(crystal: Crystal, sizes: tuple[float, ...], text: str) -> Shape:
    """Six square arms along the cube axes: tip to tip, width."""
    span, width = sizes if sizes[0] != sizes[1] else (sizes[0], sizes[0] / 3)
    parts = []
    for k in range(3):
        own = [width] * 3
        own[k] = span
        parts.append(_cuboid(crystal, tuple(own), text))
    return Shape("hexapod", parts=tuple(parts), text=text)


def _round(
    key: str,
    crystal: Crystal,
    sizes: tuple[float, ...],
    axis: Sequence[float] | None,
    text: str,
    place: str,
) -> Shape:
    facets = form(crystal, (1, 0, 0))
    if key == "platelet" and cube_axes(crystal).layered:
        axis = None  # it lies in its layers, whichever face meets another crystal
    wanted = cube_axes(crystal).vectors[2] if axis is None else np.asarray(axis, dtype=float)
    wanted = wanted / np.linalg.norm(wanted)
    near = max(facets, key=lambda f: float(f[0] @ wanted))
    up = near[0] if axis is None or near[0] @ wanted > 0.9999 else wanted
    plane = near[1] if near[0] @ up > 0.9999 else None
    down = None if plane is None else (-plane[0], -plane[1], -plane[2])
    if key == "sphere":
        (diameter,) = _count(sizes, 1, key, place)
        return Shape(key, ball=(np.zeros(3), diameter / 2), text=text)
    if key == "hemisphere":
        (diameter,) = _count(sizes, 1, key, place)
        return Shape(key, (Facet(-up, 0.0, down),), (np.zeros(3), diameter / 2), text=text)
    first, second = _count(sizes, 2, key, place)
    if (key in ("disk", "platelet") and second > first) or (key == "rod" and second < first):
        first, second = second, first  # a disk is flat and a rod long, in whichever order given
    if key == "cap":
        # a ball that meets the plane in a circle of the first size and rises by the second
        height = second if len(sizes) == 2 else first / 2
        radius = (first**2 / 4 + height**2) / (2 * height)
        return Shape(key, (Facet(-up, 0.0, down),), (up * (height - radius), radius), text=text)
    ends = (Facet(up, second / 2, plane), Facet(-up, second / 2, down))
    if key == "platelet":
        third = second if len(sizes) == 2 else first
        box = _cuboid(crystal, (first, first, first), text)
        sides = [f for f in box.facets if abs(f.normal @ up) < 0.5]
        ends = (Facet(up, third / 2, plane), Facet(-up, third / 2, down))
        return Shape(key, (*sides, *ends), text=text)
    return Shape(key, ends, cylinder=(up, first / 2), text=text)


def polyhedron(
    crystal: Crystal,
    facets: Sequence[tuple[Sequence[int], float | str]],
    *,
    symmetric: bool = True,
    name: str = "polyhedron",
    termination: Termination = None,
) -> Shape:
    """Return the convex polyhedron of (hkl, distance from center) facets.

    Parameters
    ----------
    facets : sequence of ((h, k, l), distance)
        Distances in Å, or texts such as ``"1.5 nm"``.
    symmetric : bool
        Whether each facet stands for its whole family.

    Raises
    ------
    InputError
        A distance that is not positive, or facets that do not close a body.
    """
    found = []
    for indices, distance in facets:
        (value,) = lengths(distance, cube_axes(crystal).length, place=f"{name}: {indices}")
        if symmetric:
            members = family(crystal, indices)
        else:
            h, k, l = (int(x) for x in indices)  # noqa: E741
            members = [(crystal.plane_normal((h, k, l)), (h, k, l))]
        found += [Facet(normal, value, plane) for normal, plane in members]
    body = Shape(name, tuple(found), text=name)
    body.bounds()
    return terminated(body, crystal, termination, place=name)


def wulff(
    crystal: Crystal,
    energies: Mapping[Indices, float],
    size: Size,
    *,
    termination: Termination = None,
    substrate: tuple[Indices, float] | None = None,
) -> Shape:
    """Return the body of least surface energy (Wulff), or of least energy on a substrate.

    Parameters
    ----------
    energies : mapping of (h, k, l) to surface energy
        Any one unit; only ratios matter. Each stands for its family.
    size : str or number
        Diameter of the sphere of equal volume, of the free Wulff body.
    substrate : ((h, k, l), energy), optional
        The facet that touches a substrate and its effective energy there, that is the energy of
        the interface minus that of the bare substrate, in the same unit (Winterbottom). It may
        be negative; the body is then cut above its center.

    Raises
    ------
    InputError
        Energies that are not positive, or a substrate energy that leaves nothing (full wetting).

    References
    ----------
    G. Wulff, Z. Kristallogr. 34, 449 (1901); W. L. Winterbottom, Acta Metall. 15, 303 (1967).

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> body = wulff(crystal("PbS"), {(1, 0, 0): 1.0, (1, 1, 1): 1.1}, "3 nm")
    >>> round((6 * body.volume() / np.pi) ** (1 / 3), 1)
    30.0
    """
    if not energies or any(not np.isfinite(e) or e <= 0 for e in energies.values()):
        raise InputError("surface energies have to be positive", place="wulff")
    (diameter,) = lengths(size, cube_axes(crystal).length)
    facets = [
        Facet(normal, float(energy), plane)
        for indices, energy in energies.items()
        for normal, plane in family(crystal, indices)
    ]
    unit = Shape("wulff", tuple(facets))
    scale = diameter / (6 * unit.volume() / np.pi) ** (1 / 3)
    scaled = [Facet(f.normal, f.distance * scale, f.plane) for f in facets]
    name = "wulff"
    if substrate is not None:
        name = "winterbottom"
        plane, energy = substrate
        normal = crystal.plane_normal(plane)
        scaled.append(Facet(normal, float(energy) * scale, plane))
    body = Shape(name, tuple(scaled), text=f"{name} {diameter / 10:.3g} nm")
    try:
        body.bounds()
    except InputError as error:
        raise InputError(
            "nothing stands on the substrate: it is wetted",
            place=name,
            remedy="raise the energy of the interface",
        ) from error
    return terminated(body, crystal, termination, place=name)


def terminated(body: Shape, crystal: Crystal, termination: Termination, *, place: str) -> Shape:
    """Return the shape with the wanted outermost layer written on its facets.

    Raises
    ------
    InputError
        No facet of the shape can end with such a layer.
    """
    from heterodot.particle.layers import layer_names

    if termination is None:
        return body
    if body.parts:
        parts = tuple(terminated(p, crystal, termination, place=place) for p in body.parts)
        return Shape(body.name, parts=parts, text=body.text)
    used = False
    facets = []
    seen: set[str] = set()
    for facet in body.facets:
        wanted = termination if isinstance(termination, str) else None
        if not isinstance(termination, str) and facet.plane is not None:
            wanted = termination.get(_family_name(facet, crystal))
        if wanted is None or facet.plane is None:
            facets.append(facet)
            continue
        names = layer_names(crystal, facet.plane)
        seen |= set(names)
        match = _named(wanted, names)
        used |= match is not None
        facets.append(Facet(facet.normal, facet.distance, facet.plane, match))
    if not used:
        raise InputError(
            f"no facet of this {body.name} of {crystal.formula} can end with {termination}",
            place=place,
            remedy=f"choose among {', '.join(sorted(seen))}" if seen else "give no termination",
        )
    return body.moved(facets)


def _named(wanted: str, names: Sequence[str]) -> str | None:
    from heterodot.particle.layers import elements

    for name in names:
        if elements(name) == elements(wanted):
            return name
    return None


def _family_name(facet: Facet, crystal: Crystal) -> str:
    """Name such as ``"111"``, in pseudocubic indices where the crystal has such axes."""
    indices = np.array(facet.plane) @ crystal.reciprocal @ cube_axes(crystal).vectors.T
    return "".join(str(int(i)) for i in sorted(np.abs(np.rint(indices).astype(int)), reverse=True))
