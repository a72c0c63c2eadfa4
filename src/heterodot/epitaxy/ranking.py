"""The rank of orientation relationships: registry, bonding, misfit, charge; one set of weights.

The score is a sum of parts that are all shown. Weights are fixed once, for every pair of crystals:

    score = 1/2 (1 - registry) + 1/2 (1 - bonding) + elastic/G + imbalance U/G + 1/10 (1 - density)

``registry``  ions of both crystals that continue one another at the interface, 0 to 1
``bonding``   adhesion over the surface energies that the interface replaces, 0 to 1: which part of
              the bonds cut on both sides the interface restores (0 where it was not computed)
``elastic``   energy per area of sharing the misfit by compliance, two layers of 3 nm each
``imbalance`` bound charge per area that the junction leaves to be compensated
``density``   fraction of lattice points that coincide
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.epitaxy.elasticity import (
    ENERGY_UNIT,
    THICKNESS,
    TYPICAL_MODULUS,
    TYPICAL_POISSON,
)
from heterodot.epitaxy.relationship import OrientationRelationship
from heterodot.errors import HeterodotError, InputError
from heterodot.progress import Progress, silent

if TYPE_CHECKING:
    from heterodot.energy.potential import IonicPotential
    from heterodot.epitaxy.layers import Side
    from heterodot.epitaxy.orientations import Search

WEIGHT_REGISTRY = 0.5
WEIGHT_BONDING = 0.5
WEIGHT_DENSITY = 0.1
POTENTIAL_UNIT = 1.0  # U, V: cost of compensating a unit of charge at the junction


def score_of(parts: dict[str, float]) -> float:
    """Return the rank figure of named parts, lower is better (see the module's head).

    Examples
    --------
    >>> round(score_of({"registry": 1, "bonding": 1, "elastic": 0, "imbalance": 0,
    ...                 "density": 1}), 3)
    0.0
    """
    return (
        WEIGHT_REGISTRY * (1.0 - parts["registry"])
        + WEIGHT_BONDING * (1.0 - parts["bonding"])
        + WEIGHT_DENSITY * (1.0 - parts["density"])
        + parts["elastic"] / ENERGY_UNIT
        + parts["imbalance"] * POTENTIAL_UNIT / ENERGY_UNIT
    )


def order(relation: OrientationRelationship) -> tuple[Any, ...]:
    """Sort key: score, then area, then simple indices."""
    return (
        round(relation.score, 5),
        round(relation.area, 3),
        sum(abs(x) for x in relation.plane_a + relation.plane_b),
        tuple(-x for x in relation.plane_a + relation.plane_b),
        tuple(-x for x in relation.direction_a + relation.direction_b),
    )


def numbered(relations: list[OrientationRelationship]) -> tuple[OrientationRelationship, ...]:
    """Return relations in order with their ranks."""
    return tuple(
        dataclasses.replace(relation, rank=n + 1)
        for n, relation in enumerate(sorted(relations, key=order))
    )


def bound_charges(view: Side) -> NDArray[np.float64]:
    """Return the bound surface charge of each termination of a plane (as a top face), e/Å²."""
    from heterodot.epitaxy.layers import layers

    if view.crystal.charges is None:
        return np.zeros(1)
    stack = layers(view)
    charges = view.crystal.charges[view.sites.atoms]
    found = []
    for last in range(len(stack)):
        moment = sum(
            float((charges[layer.members] * (layer.heights - view.period * (n > last))).sum())
            for n, layer in enumerate(stack)
        )
        found.append(moment / (view.mesh.area * view.period))
    return np.array(found)


def least_imbalance(charges_a: NDArray[np.float64], charges_b: NDArray[np.float64]) -> float:
    """Return the smallest |charge| that a pair of terminations leaves, e/Å².

    Both arrays are those of `bound_charges`; the lower face of B that starts above a layer carries
    the opposite of the top face that ends with it.
    """
    return float(np.abs(charges_a[:, None] - charges_b[None, :]).min())


def rank(
    found: Search,
    potential: IonicPotential | None = None,
    *,
    best: int = 20,
    progress: Progress = silent,
) -> Search:
    """Return a search ranked anew with the energy of its best relations.

    For the ``best`` relations of the ranking without energies, all terminations are brought
    together with the ionic potential (`interfaces`), the misfit is shared by the elastic constants
    of that potential, and the score is formed with their bonding.

    Parameters
    ----------
    found : Search
    potential : IonicPotential, optional
        Fitted to both crystals if not given.
    best : int
        How many relations get energies.

    Raises
    ------
    InputError
        Charges are not known.
    """
    from heterodot.energy import elastic_constants, fit_potential
    from heterodot.epitaxy.elasticity import share
    from heterodot.epitaxy.junction import cheapest_face
    from heterodot.epitaxy.meeting import interfaces

    if potential is None:
        progress("fitting the ionic potential", 0.0)
        potential = fit_potential(found.crystal_a, found.crystal_b)
    stiff = [
        _stiffness(potential, crystal, elastic_constants)
        for crystal in (found.crystal_a, found.crystal_b)
    ]
    faces = (
        cheapest_face(found.crystal_a, potential),
        cheapest_face(found.crystal_b, potential),
    )
    changed = []
    for n, relation in enumerate(found.matches):
        if n >= best:
            changed.append(relation)
            continue
        progress("bringing terminations together", n / min(best, len(found.matches)))
        meetings = interfaces(relation, potential=potential, most=6, faces=faces)
        top = min(meetings, key=lambda m: _junction_cost(m.parts))
        shared = share(relation, stiff[0], stiff[1], thickness=THICKNESS)
        parts = {
            **relation.parts,
            "bonding": min(max(top.parts["bonding"], 0.0), 1.0),
            "imbalance": top.parts["imbalance"],
            "elastic": shared.energy,
            "strain_on_a": float(np.abs(np.linalg.eigvalsh(shared.strain_a)).max()),
            "strain_on_b": float(np.abs(np.linalg.eigvalsh(shared.strain_b)).max()),
            "adhesion": top.energy["adhesion"],
            "interface": top.energy["interface"],
        }
        changed.append(dataclasses.replace(relation, parts=parts, score=score_of(parts)))
    progress("bringing terminations together", 1.0)
    return dataclasses.replace(found, matches=numbered(changed), evaluated=min(best, len(changed)))


def ranked(
    crystal_a: Crystal,
    crystal_b: Crystal,
    *,
    best: int = 20,
    progress: Progress = silent,
    **limits: Any,
) -> Search:
    """Return what `search` finds within ``limits``, ranked with energies where they can be had.

    This is the order that every face shows and that a rank refers to. Where there are no formal
    charges, or the ionic potential does not fit the crystals, the order is that of `search` and
    the notes say so.

    Parameters
    ----------
    best : int
        How many relations get energies; 0 for none.
    **limits
        As `search` takes them (``max_index``, ``max_area``, ``max_strain``...).

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> ranked(crystal("CsPbBr3"), crystal("PbS"), max_index=1, best=0).matches[0].plane_a
    (1, 0, 0)
    """
    from heterodot.epitaxy.orientations import search

    found = search(crystal_a, crystal_b, progress=progress, **limits)
    if best == 0 or not found.matches:
        return found
    try:
        if crystal_a.charges is None or crystal_b.charges is None:
            raise InputError("formal charges are not known")
        return rank(found, best=best, progress=progress)
    except HeterodotError as error:
        return dataclasses.replace(found, notes=(*found.notes, f"ranked without energies: {error}"))


def _junction_cost(parts: Any) -> float:
    return float(
        WEIGHT_BONDING * (1.0 - min(max(parts["bonding"], 0.0), 1.0))
        + parts["imbalance"] * POTENTIAL_UNIT / ENERGY_UNIT
    )


def _stiffness(potential: IonicPotential, crystal: Crystal, compute: Any) -> NDArray[np.float64]:
    """Elastic constants of the potential, or typical ones where they are too costly or unstable."""
    from heterodot.epitaxy.elasticity import isotropic_stiffness

    if len(crystal.primitive()) <= 10:
        # the primitive cell keeps the Cartesian axes of the crystal
        found = np.asarray(compute(potential, crystal.primitive()))
        if np.linalg.eigvalsh(0.5 * (found + found.T)).min() > 1.0:
            return found
    return isotropic_stiffness(TYPICAL_MODULUS, TYPICAL_POISSON)
