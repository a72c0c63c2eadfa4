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


@dataclass(frozen=True, eq=False)
class Placement:
    """Where crystal B lies in the Cartesian frame of crystal A.

    Attributes
    ----------
    rotation : (3, 3) array
        B's frame -> A's frame, proper; times the strain of B if it has one.
    shift : (3,) array
        ``v_a = rotation @ v_b + shift``, Å.
    normal : (3,) array
        Unit normal of the interface, A's frame, from A into B.
    level : float
        Height of the plane where they meet along the normal, Å.
    strain_a, strain_b : (3, 3) array
        Symmetric strains in A's frame.
    """

    rotation: Array
    shift: Array
    normal: Array
    level: float
    strain_a: Array
    strain_b: Array

    def moved(self, step: Array) -> Placement:
        """Return the placement with B and the plane moved by a vector of A's frame."""
        return dataclasses.replace(
            self, shift=self.shift + step, level=self.level + float(step @ self.normal)
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
        Who yields: ``"b"`` (B fits A), ``"a"``, ``"both"`` (half each), ``"none"``.
    shared : str, optional
        Element of the layer that both share, to choose among the interfaces.

    Raises
    ------
    InputError
        An unknown way to share strain, or an interface of another relation.
    NotFoundError
        The relation has no interface with such a shared layer.
    """
    if interface is None:
        interface = _best_interface(relation, shared)
    elif interface.relation is not relation and not np.allclose(
        interface.relation.rotation, relation.rotation, atol=1e-6
    ):
        raise InputError(
            "the interface belongs to another relation",
            place="interface",
            remedy="take one from epitaxy.interfaces(relation)",
        )
    rotation, shift = interface.transform()
    normal = relation.normal
    period = lattice_step(relation.crystal_a, normal) @ normal
    level = interface.offset_a * float(period)
    share = {"b": (0.0, 1.0), "a": (-1.0, 0.0), "both": (-0.5, 0.5), "none": (0.0, 0.0)}
    if strain not in share:
        raise InputError(
            f"'{strain}' is not a way to share strain",
            place="strain",
            remedy=f"choose among {', '.join(share)}",
        )
    full = strain_tensor(relation)
    on_a, on_b = share[strain]
    strained = (np.eye(3) + on_b * full) @ np.asarray(rotation)
    return Placement(
        strained, np.asarray(shift, dtype=float), normal, level, on_a * full, on_b * full
    )


def _best_interface(relation: OrientationRelationship, shared: str | None) -> Interface:
    from heterodot.epitaxy import interfaces

    found = list(interfaces(relation))
    if shared is not None:
        found = [i for i in found if i.shared == shared]
    if not found:
        raise NotFoundError(
            f"{relation.label} has no interface"
            + (f" that shares a {shared} layer" if shared else ""),
            remedy="choose another relation" if not shared else "leave the shared layer open",
        )
    return found[0]


def strain_tensor(relation: OrientationRelationship) -> Array:
    """Return the in-plane strain that B needs to fit A, in A's Cartesian frame, (3, 3)."""
    first = relation.crystal_a.direction(relation.direction_a)
    first = first / np.linalg.norm(first)
    second = np.cross(relation.normal, first)
    basis = np.stack([first, second])
    return np.asarray(basis.T @ np.asarray(relation.strain) @ basis, dtype=float)


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
    placement: Placement, crystal: Crystal, height: float, beside: Array | None = None
) -> Placement:
    """Move B by a lattice vector of A so that the plane comes nearest to a height.

    Parameters
    ----------
    height : float
        Wanted height of the plane along the normal, Å, in A's frame.
    beside : (3,) array, optional
        Point near which the origin of B's coincidence is wanted; it keeps misfit small there.
    """
    normal = placement.normal
    step = lattice_step(crystal, normal)
    period = float(step @ normal)
    turns = int(np.rint((height - placement.level) / period))
    moved = placement.moved(turns * step)
    if beside is None:
        return moved
    cell = crystal.primitive().cell
    grid = np.array(list(np.ndindex(13, 13, 13))) - 6
    vectors = grid @ cell
    flat = vectors[np.abs(vectors @ normal) < 1e-4]
    lateral = beside - moved.shift
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
