"""Shapes of nanocrystals: facets of a crystal, spheres, disks, and what they make together.

A shape is the intersection of half-spaces (facets), at most one ball and at most one cylinder;
branched bodies are unions of such. Coordinates are Cartesian in the crystal's own frame, from the
center of the shape.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.crystal import Crystal
from heterodot.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Facet:
    """A plane that bounds a crystal.

    Attributes
    ----------
    normal : (3,) array
        Outward unit normal, Cartesian frame of the crystal.
    distance : float
        From the center of the shape, Å (negative: the center is outside).
    plane : three ints or None
        Miller indices in the crystal's cell, None for a plane without any.
    termination : str or None
        Outermost layer, e.g. ``"CsBr"``; None takes what the distance gives.
    """

    normal: Array
    distance: float
    plane: tuple[int, int, int] | None = None
    termination: str | None = None


@dataclass(frozen=True, eq=False)
class Shape:
    """A body around the origin.

    Attributes
    ----------
    name : str
    facets : tuple of Facet
    ball : (center, radius) or None
    cylinder : (axis, radius) or None
        Unit axis through the origin.
    parts : tuple of Shape
        If given, the body is the union of these, and nothing else.
    text : str
        Shape and size in words.

    Examples
    --------
    >>> cube = Shape("cube", tuple(Facet(n, 1.0) for n in np.vstack([np.eye(3), -np.eye(3)])))
    >>> bool(cube.contains([[0.9, 0.9, 0.9]])[0]), bool(cube.contains([[1.1, 0, 0]])[0])
    (True, False)
    """

    name: str
    facets: tuple[Facet, ...] = ()
    ball: tuple[Array, float] | None = None
    cylinder: tuple[Array, float] | None = None
    parts: tuple[Shape, ...] = ()
    text: str = ""

    def outside(self, points: ArrayLike) -> Array:
        """Return how far points lie outside, (n,), Å; negative inside (no true distance)."""
        points = np.atleast_2d(np.asarray(points, dtype=float))
        if self.parts:
            return np.asarray(np.min([part.outside(points) for part in self.parts], axis=0))
        worst = np.full(len(points), -np.inf)
        for facet in self.facets:
            np.maximum(worst, points @ facet.normal - facet.distance, out=worst)
        if self.ball is not None:
            center, radius = self.ball
            np.maximum(worst, np.linalg.norm(points - center, axis=1) - radius, out=worst)
        if self.cylinder is not None:
            axis, radius = self.cylinder
            across = points - np.outer(points @ axis, axis)
            np.maximum(worst, np.linalg.norm(across, axis=1) - radius, out=worst)
        return worst

    def contains(self, points: ArrayLike, margin: float = 1e-6) -> NDArray[np.bool_]:
        """Return which points lie inside or within ``margin`` of the surface, (n,) bool."""
        return np.asarray(self.outside(points) <= margin)

    def moved(self, facets: Sequence[Facet]) -> Shape:
        """Return the shape with other facets."""
        return dataclasses.replace(self, facets=tuple(facets))

    def cut(self, normal: Array, distance: float) -> Shape:
        """Return the part of the body with ``x . normal <= distance``."""
        if self.parts:
            return dataclasses.replace(
                self, parts=tuple(part.cut(normal, distance) for part in self.parts)
            )
        return self.moved([*self.facets, Facet(np.asarray(normal, dtype=float), distance)])

    def bounds(self) -> tuple[Array, Array]:
        """Return the corners of a box, (3,) and (3,), Å, that holds the body.

        Raises
        ------
        InputError
            The facets do not close a body, or nothing is left of it.
        """
        if self.parts:
            boxes = [part.bounds() for part in self.parts]
            return np.min([b[0] for b in boxes], 0), np.max([b[1] for b in boxes], 0)
        low, high = np.full(3, -np.inf), np.full(3, np.inf)
        if self.ball is not None:
            center, radius = self.ball
            low, high = np.maximum(low, center - radius), np.minimum(high, center + radius)
        if not self.facets:
            return low, high
        corners = self._halfspaces(low, high)
        return np.maximum(low, corners.min(0)), np.minimum(high, corners.max(0))

    def _halfspaces(self, low: Array, high: Array) -> Array:
        """Corners of the polyhedron of facets (with ball and cylinder replaced by boxes)."""
        from scipy.optimize import linprog
        from scipy.spatial import HalfspaceIntersection, QhullError

        normals = [f.normal for f in self.facets]
        distances = [f.distance for f in self.facets]
        if self.cylinder is not None:
            axis, radius = self.cylinder
            first = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
            first /= np.linalg.norm(first)
            second = np.cross(axis, first)
            normals += [first, -first, second, -second]
            distances += [radius] * 4
        big = 1e5
        for k in range(3):
            unit = np.eye(3)[k]
            normals += [unit, -unit]
            distances += [min(high[k], big), min(-low[k], big)]
        a, b = np.array(normals), np.array(distances)
        # the largest ball inside the half-spaces is a point from which qhull can start
        found = linprog(
            [0, 0, 0, -1],
            A_ub=np.c_[a, np.ones(len(a))],
            b_ub=b,
            bounds=[(None, None)] * 3 + [(0, None)],
        )
        if not found.success or found.x[3] < 1e-3:
            raise InputError(
                "nothing is left of the shape", place=self.name, remedy="make it larger"
            )
        try:
            corners = HalfspaceIntersection(np.c_[a, -b], found.x[:3]).intersections
        except QhullError as error:
            raise InputError("the facets make no body", place=self.name) from error
        if np.abs(corners).max() > 0.5 * big:
            raise InputError(
                "the facets do not close a body",
                place=self.name,
                remedy="add the opposite facets",
            )
        return np.asarray(corners, dtype=float)

    def volume(self, points: int = 400_000) -> float:
        """Return the volume, Å³: exact for polyhedra, else by a grid (0.5 % or better)."""
        low, high = self.bounds()
        if not self.parts and self.ball is None and self.cylinder is None:
            from scipy.spatial import ConvexHull

            return float(ConvexHull(self._halfspaces(low - np.inf, high + np.inf)).volume)
        step = float(np.prod(high - low) / points) ** (1 / 3)
        counts = np.maximum(np.ceil((high - low) / step).astype(int), 1)
        steps = (high - low) / counts
        axes = [a + s * (np.arange(n) + 0.5) for a, s, n in zip(low, steps, counts, strict=True)]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
        return float(self.contains(grid, 0.0).sum() * np.prod(steps))


@dataclass(frozen=True, eq=False)
class Axes:
    """The directions that act as cube axes in a crystal.

    Cubic crystals have their cell axes; orthorhombic and other distorted perovskites have the
    three directions between neighboring octahedra (pseudocubic axes). Layered perovskites have
    two of these and, as the third axis, the normal of the layers, one spacing of layers long.

    Attributes
    ----------
    vectors : (3, 3) array
        Rows: pseudocubic axes, Cartesian, Å, one pseudocubic cell long.
    pseudo : bool
        Whether they differ from the cell axes.
    """

    vectors: Array
    pseudo: bool = field(default=False)

    @property
    def length(self) -> float:
        """Mean length of the axes, Å; in layered perovskites of those in the layer."""
        lengths = np.linalg.norm(self.vectors, axis=1)
        return float((lengths[:2] if self.layered else lengths).mean())

    @property
    def layered(self) -> bool:
        """Whether the third axis is the normal of layers of octahedra."""
        lengths = np.linalg.norm(self.vectors, axis=1)
        return bool(self.pseudo and lengths[2] > 1.5 * lengths[:2].max())


def cube_axes(crystal: Crystal) -> Axes:
    """Return the cube axes of a crystal (see `Axes`).

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> cube_axes(crystal("CsPbBr3_cubic")).pseudo
    False
    """
    if crystal.symmetry.number >= 195:
        return Axes(np.array(crystal.cell))
    found = _octahedra_axes(crystal)
    if found is not None:
        return Axes(found, True)
    return Axes(np.array(crystal.cell))


def _octahedra_axes(crystal: Crystal) -> Array | None:
    """Vectors between corner-sharing octahedra, if the crystal is a perovskite."""
    from ase.neighborlist import neighbor_list

    if crystal.charges is None or len(crystal.counts) < 3:
        return None
    charges = crystal.charges
    divalent = np.flatnonzero(charges >= 1.5)
    if len(divalent) == 0 or len({crystal.symbols[i] for i in divalent}) != 1:
        return None
    i, _, vectors = neighbor_list("ijD", crystal.atoms[divalent], 7.2)
    near = vectors[i == 0]
    if len(near) == 4:
        return _layer_axes(crystal, divalent, near)
    if len(near) != 6:
        return None
    rows: list[Array] = []
    for vector in sorted(near, key=lambda v: tuple(np.round(-v, 3))):
        cosines = [abs(vector @ r) / np.linalg.norm(vector) / np.linalg.norm(r) for r in rows]
        if all(c < 0.35 for c in cosines):
            rows.append(vector)
    if len(rows) != 3:
        return None
    axes = np.array(rows)
    return axes if np.linalg.det(axes) > 0 else axes[[1, 0, 2]]


def _layer_axes(crystal: Crystal, divalent: NDArray[np.int64], near: Array) -> Array | None:
    """Two vectors between octahedra of one flat layer, and its normal, one layer spacing long."""
    from ase.neighborlist import neighbor_list

    first, *others = sorted(near, key=lambda v: tuple(np.round(-v, 3)))
    across = [v for v in others if abs(v @ first) < 0.2 * np.linalg.norm(v) * np.linalg.norm(first)]
    if len(across) != 2 or abs(np.linalg.norm(across[0]) / np.linalg.norm(first) - 1) > 0.1:
        return None
    normal = np.cross(first, across[0])
    normal /= np.linalg.norm(normal)
    if np.abs(near @ normal).max() > 0.6:
        return None
    reach = 1.05 * float(np.linalg.norm(crystal.cell, axis=1).max())
    i, _, vectors = neighbor_list("ijD", crystal.atoms[divalent], reach)
    heights = np.abs(vectors[i == 0] @ normal)
    above = heights[heights > 1.0]
    if len(above) == 0 or above.min() < 1.3 * np.linalg.norm(first):
        return None
    axes = np.array([first, across[0], normal * above.min()])
    return axes if np.linalg.det(axes) > 0 else axes[[1, 0, 2]]


def family(crystal: Crystal, indices: Sequence[int]) -> list[tuple[Array, tuple[int, int, int]]]:
    """Return normals and cell indices of all facets {hkl}, inversion included.

    In crystals with pseudocubic axes ``indices`` count along these; elsewhere they are Miller
    indices of the cell and the crystal's Laue class makes the family.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> len(family(crystal("PbS"), (1, 1, 1))), len(family(crystal("PbS"), (1, 0, 0)))
    (8, 6)
    """
    axes = cube_axes(crystal)
    if axes.pseudo:
        import itertools

        inverse = np.linalg.inv(axes.vectors).T
        seen: dict[tuple[int, ...], None] = {}
        for order in itertools.permutations(indices):
            for signs in itertools.product((1, -1), repeat=3):
                seen[tuple(s * i for s, i in zip(signs, order, strict=True))] = None
        return [miller(crystal, np.array(hkl) @ inverse) for hkl in sorted(seen, reverse=True)]
    rotations = crystal.symmetry.rotations
    # planes transform with the inverse transpose of the fractional rotation
    images = np.asarray(indices) @ np.concatenate([rotations, -rotations])
    unique = sorted({tuple(int(x) for x in row) for row in images}, reverse=True)
    return [(crystal.plane_normal(hkl), (hkl[0], hkl[1], hkl[2])) for hkl in unique]


def miller(crystal: Crystal, normal: ArrayLike) -> tuple[Array, tuple[int, int, int]]:
    """Return the lattice plane of low indices nearest to a normal: (unit normal, (h, k, l))."""
    vector = np.asarray(normal, dtype=float) @ crystal.cell.T
    vector = vector / np.abs(vector).max()
    best: tuple[float, tuple[int, int, int]] | None = None
    for scale in range(1, 13):
        hkl = np.rint(vector * scale).astype(int)
        if not hkl.any() or np.gcd.reduce(hkl) != 1:
            continue
        unit = crystal.plane_normal(hkl)
        angle = np.degrees(
            np.arccos(np.clip(unit @ np.asarray(normal) / np.linalg.norm(normal), -1, 1))
        )
        cost = angle + 0.35 * scale
        if best is None or cost < best[0] - 1e-9:
            best = (float(cost), (int(hkl[0]), int(hkl[1]), int(hkl[2])))
    if best is None:
        raise InputError("no lattice plane is near this direction", place=crystal.name)
    return crystal.plane_normal(best[1]), best[1]
