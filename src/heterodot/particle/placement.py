"""How crystal B lies on crystal A: rotation, shift, strain and the plane at which they meet."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.epitaxy import Interface, OrientationRelationship
from heterodot.errors import InputError, NotFoundError

Array = NDArray[np.float64]


SHARES = ("b", "a", "both", "none")


@dataclass(frozen=True, eq=False)
class Placement:
    """Where crystal B lies in the Cartesian frame of crystal A (A not strained there).

    Attributes
    ----------
    matrix : (3, 3) array
        B's frame -> A's frame: the rotation, times the strain that fits B to A.
    shift : (3,) array
        ``v_a = matrix @ v_b + shift``, Å.
    normal : (3,) array
        Unit normal of the interface, A's frame, from A into B.
    level : float
        Height of the plane where they meet along the normal, Å.
    gap : float
        Distance from A's last plane to B's first, Å; zero for a shared layer.
    stretch : (3, 3) array
        What the whole (A and B) is multiplied with in the end: the part of the strain that A
        takes over.
    anchor : (3,) array
        A point of A's frame at which sites of both coincide.
    registry : float
        Share of cations of the sparser crystal that coincide.
    """

    matrix: Array
    shift: Array
    normal: Array
    level: float
    gap: float
    stretch: Array
    anchor: Array
    registry: float = 1.0

    def moved(self, step: Array) -> Placement:
        """Return the placement with B, plane and anchor moved by a vector of A's frame."""
        return dataclasses.replace(
            self,
            shift=self.shift + step,
            level=self.level + float(step @ self.normal),
            anchor=self.anchor + step,
        )

    def rounded(self) -> Placement:
        """Return the placement without its last digits, which depend on how it was found."""
        return Placement(
            np.round(self.matrix, 9) + 0.0,
            np.round(self.shift, 9) + 0.0,
            np.round(self.normal, 9) + 0.0,
            round(self.level, 9),
            round(self.gap, 9),
            np.round(self.stretch, 9) + 0.0,
            np.round(self.anchor, 9) + 0.0,
            self.registry,
        )

    def turned(self, turn: Array, about: Array) -> Placement:
        """Return the placement turned by a symmetry operation of A about a point."""
        return dataclasses.replace(
            self,
            matrix=turn @ self.matrix,
            shift=about + turn @ (self.shift - about),
            normal=turn @ self.normal,
            level=float((about + turn @ (self.level * self.normal - about)) @ (turn @ self.normal)),
            anchor=about + turn @ (self.anchor - about),
        )


def place(
    relation: OrientationRelationship,
    interface: Interface | None = None,
    *,
    strain: str = "b",
    shared: str | None = None,
) -> Placement:
    """Return the placement that an orientation relationship and its interface give.

    Parameters
    ----------
    interface : Interface, optional
        Which atoms meet; the best ranked one of the relation if not given.
    strain : str
        Who yields: ``"b"`` (B fits A), ``"a"``, ``"both"`` (half each), ``"none"`` (both keep
        their cells; sites coincide in the middle of the interface only).
    shared : str, optional
        Element of the layer that both share, to choose among the interfaces.

    Raises
    ------
    InputError
        An unknown way to share strain, or an interface of another relation.
    NotFoundError
        The relation has no interface with such a shared layer.
    """
    if strain not in SHARES:
        raise InputError(
            f"'{strain}' is not a way to share strain",
            place="strain",
            remedy=f"choose among {', '.join(SHARES)}",
        )
    if interface is None:
        interface = ranked_interface(relation, 1, shared)
    elif interface.relation is not relation and not (
        interface.relation.plane_a == relation.plane_a
        and interface.relation.plane_b == relation.plane_b
        and np.allclose(interface.relation.rotation, relation.rotation, atol=1e-6)
    ):
        raise InputError(
            "the interface belongs to another relation",
            place="interface",
            remedy="take one from epitaxy.interfaces(relation)",
        )
    matrix, shift = interface.transform(strained=strain != "none")
    normal_b = relation.crystal_b.plane_normal(relation.plane_b)
    anchor = matrix @ (interface.offset_b * interface.period_b * normal_b) + shift
    stretch: Array = np.eye(3)
    if strain in ("a", "both"):
        inverse = np.asarray(np.linalg.inv(np.eye(3) + interface.strain), dtype=float)
        stretch = inverse if strain == "a" else _root(inverse)
    return Placement(
        matrix,
        shift,
        relation.normal,
        interface.height,
        interface.gap,
        stretch,
        anchor,
        interface.registry,
    )


def _root(symmetric: Array) -> Array:
    values, vectors = np.linalg.eigh(symmetric)
    return np.asarray((vectors * np.sqrt(values)) @ vectors.T, dtype=float)


def ranked_interface(
    relation: OrientationRelationship, rank: int = 1, shared: str | None = None
) -> Interface:
    """Return the interface of a rank, from 1, of those that share a layer of an element.

    Raises
    ------
    NotFoundError
        There are fewer, or none that shares such a layer.
    """
    from heterodot.epitaxy import interfaces

    found = interfaces(relation, shared=shared)
    which = f" that share a {shared} layer" if shared else ""
    if not found:
        raise NotFoundError(
            f"{relation.label} has no interfaces{which}", remedy="choose another relation"
        )
    if not 1 <= rank <= len(found):
        raise NotFoundError(
            f"{relation.label} has {len(found)} interface{'s' * (len(found) > 1)}{which}, "
            f"not {rank}",
            place="interface",
            remedy=f"give a rank from 1 to {len(found)}" if len(found) > 1 else "give 1",
        )
    return found[rank - 1]


def lattice_step(crystal: Crystal, normal: Array, reach: int = 6) -> Array:
    """Return the lattice vector with the smallest positive height along a normal, Å, (3,).

    Among those of equal height the shortest is taken.
    """
    cell = crystal.primitive().cell
    grid = np.array(list(np.ndindex(*[2 * reach + 1] * 3))) - reach
    vectors = grid @ cell
    height = vectors @ normal
    up = height > 0.05
    vectors, height = vectors[up], height[up]
    low = height < height.min() + 1e-4
    vectors = vectors[low]
    return np.asarray(vectors[np.argmin(np.linalg.norm(vectors, axis=1))], dtype=float)


def snap(
    placement: Placement,
    crystal: Crystal,
    height: float,
    beside: Array | None = None,
    above: bool = False,
) -> Placement:
    """Move B by a lattice vector of A so that the plane comes nearest to a height.

    Parameters
    ----------
    height : float
        Wanted height of the plane along the normal, Å, in A's frame.
    beside : (3,) array, optional
        Point near which the anchor is wanted, so that misfit is smallest there.
    above : bool
        Take the first plane at or above the height instead of the nearest.
    """
    normal = placement.normal
    step = lattice_step(crystal, normal)
    period = float(step @ normal)
    off = (height - placement.level) / period
    # a facet ends up to 0.4 Å above its layer (`facets.settle`)
    turns = int(np.ceil(off - 0.45 / period)) if above else int(np.rint(off))
    moved = placement.moved(turns * step)
    if beside is None:
        return moved
    cell = crystal.primitive().cell
    grid = np.array(list(np.ndindex(13, 13, 13))) - 6
    vectors = grid @ cell
    flat = vectors[np.abs(vectors @ normal) < 1e-4]
    lateral = beside - moved.anchor
    lateral = lateral - (lateral @ normal) * normal
    # the in-plane lattice vectors as a basis of the nearest point
    best = np.zeros(3)
    for _ in range(200):
        left = lateral - best
        step_ = flat[np.argmin(np.linalg.norm(left - flat, axis=1))]
        if np.linalg.norm(step_) < 1e-9:
            break
        best = best + step_
    return moved.moved(best)
