"""Where a shape sits on its lattice: facets moved onto layers, and the center that suits best."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.organic import IonicCrystal
from heterodot.particle.layers import Layer, layers
from heterodot.particle.shapes import Facet, Shape, cube_axes

Array = NDArray[np.float64]

# a gap between layers of ions wider than this holds the bodies of molecules, Å
WIDE = 5.0


def preferred_layer(found: tuple[Layer, ...], crystal: Crystal) -> str | None:
    """Return the layer that a facet ends with where nobody said, or None for the nearest one.

    Two rules from what syntheses give: a perovskite ends with its layer of monovalent ions (CsX
    before PbX2), and a polar face whose layers hold either cations or anions ends with anions,
    the sites where halide passivates (S-rich {111} of rock salt).
    """
    charges = crystal.require_charges()
    kinds = [[charges[i] for i in layer.sites] for layer in found]
    mild = [max(abs(q) for q in kind) < 1.5 for kind in kinds]
    if any(mild) and not all(mild):
        names = {layer.name for layer, ok in zip(found, mild, strict=True) if ok}
        return sorted(names)[0] if len(names) == 1 else None
    negative = [all(q < 0 for q in kind) for kind in kinds]
    positive = [all(q > 0 for q in kind) for kind in kinds]
    if any(negative) and all(n or p for n, p in zip(negative, positive, strict=True)):
        names = {layer.name for layer, ok in zip(found, negative, strict=True) if ok}
        return sorted(names)[0] if len(names) == 1 else None
    return None


def settle(
    shape: Shape, crystal: Crystal, center: Array, *, prefer: bool = True
) -> tuple[Shape, float]:
    """Move each lattice facet onto the layer nearest to its nominal distance.

    Parameters
    ----------
    center : (3,) array
        Center of the shape in the crystal's frame, Å.
    prefer : bool
        Whether facets without a termination follow `preferred_layer`.

    Returns
    -------
    shape : Shape
        Facet distances lie just outside the layers that they end with.
    cost : float
        Mean square of the moves, Å².
    """
    if shape.parts:
        pairs = [settle(part, crystal, center, prefer=prefer) for part in shape.parts]
        return replace(shape, parts=tuple(p for p, _ in pairs)), float(
            np.mean([c for _, c in pairs])
        )
    moves: list[float] = []
    facets: list[Facet] = []
    for facet in shape.facets:
        if facet.plane is None:
            facets.append(facet)
            continue
        found, period = layers(crystal, facet.plane)
        wanted = facet.termination
        if wanted is None and prefer:
            wanted = preferred_layer(found, crystal)
        chosen = [layer for layer in found if wanted is None or layer.name == wanted] or list(found)
        # organic tails reach to the middle of the gap behind their layer
        tail: dict[int, float] = {}
        if wanted is not None and isinstance(crystal, IonicCrystal):
            tail = _before_gap(chosen, found, period)
            chosen = [layer for layer in chosen if id(layer) in tail]
        base = float(center @ facet.normal)
        best: tuple[float, float, Layer] | None = None
        for layer in chosen:
            offset = layer.position - base
            reach = tail.get(id(layer), 0.0)
            turns = np.rint((facet.distance - offset - reach) / period)
            height = offset + turns * period
            move = height + reach - facet.distance
            if best is None or abs(move) < abs(best[0]) - 1e-9:
                best = (move, height, layer)
        assert best is not None
        move, height, layer = best
        moves.append(move)
        beyond = max(_half_gap(crystal, facet.plane, found.index(layer)), tail.get(id(layer), 0.0))
        facets.append(replace(facet, distance=height + beyond))
    return shape.moved(facets), float(np.mean(np.square(moves))) if moves else 0.0


def _before_gap(chosen: list[Layer], found: tuple[Layer, ...], period: float) -> dict[int, float]:
    """Of layers of one name, those with the widest gap outwards; half of it where it is wide, Å.

    The organic cations above a sheet and those below the next one have one name; a layered crystal
    ends between the two, not between cations and their own sheet.
    """
    gaps = []
    for layer in chosen:
        steps = [(o.position - layer.position) % period for o in found if o is not layer]
        gaps.append(min((step for step in steps if step > 1e-6), default=period))
    return {
        id(layer): gap / 2 if gap > WIDE else 0.0
        for layer, gap in zip(chosen, gaps, strict=True)
        if gap > max(gaps) - 0.5
    }


@functools.lru_cache(maxsize=1024)
def _half_gap(crystal: Crystal, plane: tuple[int, int, int], k: int) -> float:
    """Distance above the mean height of layer ``k`` of a plane at which nothing lies, Å."""
    found, period = layers(crystal, plane)
    normal = crystal.plane_normal(plane)
    layer = found[k]
    heights = (crystal.positions[list(layer.sites)] @ normal - layer.position) % period
    heights = np.where(heights > period / 2, heights - period, heights)
    top = float(heights.max())
    others = [
        (float(h) - layer.position) % period
        for other in found
        if other is not layer
        for h in crystal.positions[list(other.sites)] @ normal
    ]
    above = [h for h in others if h > top] or [period]
    return top + min(0.4, (min(above) - top) / 2)


def centers(crystal: Crystal) -> Array:
    """Return the points of a cell that a shape is centered on: atoms and half-way points, (n, 3).

    Cations come first, so that ties fall to them.
    """
    charges = crystal.require_charges()
    atoms = crystal.scaled[np.argsort(-charges, kind="stable")]
    halves = np.array(list(np.ndindex(2, 2, 2))) / 2
    points = np.concatenate([atoms, halves])
    axes = cube_axes(crystal)
    if axes.layered:
        # between two layers, above the middle of an octahedron
        between = (atoms[0] @ crystal.cell + axes.vectors[2] / 2) @ np.linalg.inv(crystal.cell)
        points = np.concatenate([points, between[None]])
    kept: list[Array] = []
    for point in points:
        delta = np.array(kept) - point if kept else np.zeros((0, 3))
        delta -= np.round(delta)
        if not (np.abs(delta @ crystal.cell).max(axis=1) < 1e-3).any():
            kept.append(point)
    return np.array(kept) @ crystal.cell


def best_center(shape: Shape, crystal: Crystal) -> tuple[Array, Shape]:
    """Return the center at which facets move least, and the settled shape.

    Shapes without lattice facets (spheres) are centered on the first cation of highest charge.
    """
    best: tuple[float, Array, Shape] | None = None
    for center in centers(crystal):
        settled, cost = settle(shape, crystal, center)
        if best is None or cost < best[0] - 1e-6:
            best = (cost, center, settled)
    assert best is not None
    return best[1], best[2]
