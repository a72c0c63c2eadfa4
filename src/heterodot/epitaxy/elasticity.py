"""Elastic energy of a coherent interface, shared between the two crystals by compliance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.epitaxy.relationship import OrientationRelationship
from heterodot.errors import InputError

GPA = 160.2176634  # GPa in one eV/Å³, exact by the definition of the electronvolt
ENERGY_UNIT = 0.05  # eV/Å²: 0.8 J/m², the size of an ionic surface energy; the unit of all scores
THICKNESS = 30.0  # Å, of each strained layer
TYPICAL_MODULUS, TYPICAL_POISSON = 50.0, 0.25  # GPa; stands in until elastic constants are known
_PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


@dataclass(frozen=True, eq=False)
class SharedStrain:
    """How a misfit is shared.

    Attributes
    ----------
    strain_a, strain_b : (2, 2) array
        In-plane strain of each crystal, in the axes (direction_a, normal x direction_a).
    energy : float
        Elastic energy per area, eV/Å².
    fraction_b : float
        Part of the energy-weighted misfit that B takes, 0 to 1.
    thickness : float
        Of each crystal that is strained, Å.
    """

    strain_a: NDArray[np.float64]
    strain_b: NDArray[np.float64]
    energy: float
    fraction_b: float
    thickness: float


def elastic_estimate(stretches: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the misfit energy of two typical layers that share it equally, eV/Å², (...,).

    Isotropic layers with ``TYPICAL_MODULUS``, each ``THICKNESS`` thick: what is used before the
    elastic constants of a potential are at hand, good to a factor of two.

    Parameters
    ----------
    stretches : (..., 2) array
        ln of the principal stretches.
    """
    one, two = stretches[..., 0], stretches[..., 1]
    square = one**2 + two**2 + 2.0 * TYPICAL_POISSON * one * two
    modulus = TYPICAL_MODULUS / GPA / (1.0 - TYPICAL_POISSON**2)
    return np.asarray(0.25 * THICKNESS * modulus * square)


def isotropic_stiffness(modulus: float, poisson: float) -> NDArray[np.float64]:
    """Return the stiffness of an isotropic solid, (6, 6), in the unit of ``modulus``.

    Examples
    --------
    >>> float(isotropic_stiffness(100.0, 0.0)[0, 0])
    100.0
    """
    lame = modulus * poisson / ((1 + poisson) * (1 - 2 * poisson))
    shear = modulus / (2 * (1 + poisson))
    c = np.zeros((6, 6))
    c[:3, :3] = lame
    c[np.arange(3), np.arange(3)] += 2 * shear
    c[np.arange(3, 6), np.arange(3, 6)] = shear
    return c


def rotated(stiffness: NDArray[np.float64], frame: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a stiffness (6, 6) in the axes that are the columns of ``frame``."""
    full = np.zeros((3, 3, 3, 3))
    for m, (i, j) in enumerate(_PAIRS):
        for n, (k, p) in enumerate(_PAIRS):
            full[i, j, k, p] = full[j, i, k, p] = stiffness[m, n]
            full[i, j, p, k] = full[j, i, p, k] = stiffness[m, n]
    turned = np.einsum("ai,bj,ck,dl,abcd->ijkl", frame, frame, frame, frame, full, optimize=True)
    return np.array([[turned[i, j, k, p] for (k, p) in _PAIRS] for (i, j) in _PAIRS])


def plane_stress(stiffness: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the in-plane stiffness (3, 3; xx, yy, 2xy) of a layer free to relax along z."""
    inside, outside = [0, 1, 5], [2, 3, 4]
    free = stiffness[np.ix_(outside, outside)]
    if abs(np.linalg.det(free)) < 1e-12:
        raise InputError("the stiffness is singular", place="elasticity")
    return np.asarray(
        stiffness[np.ix_(inside, inside)]
        - stiffness[np.ix_(inside, outside)]
        @ np.linalg.inv(free)
        @ stiffness[np.ix_(outside, inside)]
    )


def share(
    relation: OrientationRelationship,
    stiffness_a: NDArray[np.float64],
    stiffness_b: NDArray[np.float64],
    *,
    thickness: float = 30.0,
    strained: str = "both",
) -> SharedStrain:
    """Return how the misfit of a relation is shared, with its energy per area.

    Both crystals are coherent layers of equal thickness, free along the normal (plane stress);
    the sharing minimizes their elastic energy. Linear elasticity: good to a few tens of percent at
    3 % strain; a real particle relaxes towards its edges and stores less.

    Parameters
    ----------
    relation : OrientationRelationship
    stiffness_a, stiffness_b : (6, 6) array
        Voigt order xx yy zz yz xz xy, GPa, in the Cartesian axes of each crystal's cell.
    thickness : float
        Of each strained layer, Å.
    strained : "a", "b" or "both"
        Which crystal may strain.

    Raises
    ------
    InputError
        Unknown ``strained``, or a stiffness that is not positive.
    """
    if strained not in ("a", "b", "both"):
        raise InputError(f"'{strained}' is not a, b or both", place="strained")
    first = relation.crystal_a.direction(relation.direction_a)
    x = first / np.linalg.norm(first)
    frame = np.column_stack([x, np.cross(relation.normal, x), relation.normal])
    in_a = plane_stress(rotated(stiffness_a, frame)) / GPA
    in_b = plane_stress(rotated(stiffness_b, relation.rotation.T @ frame)) / GPA
    e = relation.strain
    misfit = np.array([e[0, 0], e[1, 1], 2 * e[0, 1]])
    for name, matrix in ((relation.crystal_a.name, in_a), (relation.crystal_b.name, in_b)):
        if np.linalg.eigvalsh(matrix).min() <= 0:
            raise InputError("the stiffness is not positive", place=name, remedy="check it")
    if strained == "b":
        part_a = np.zeros(3)
    elif strained == "a":
        part_a = -misfit
    else:
        part_a = -np.linalg.solve(in_a + in_b, in_b @ misfit)
    part_b = misfit + part_a
    energy = 0.5 * thickness * float(part_a @ in_a @ part_a + part_b @ in_b @ part_b)
    size = float(np.linalg.norm(misfit))
    fraction = float(part_b @ misfit) / size**2 if size > 0 else 0.5
    return SharedStrain(_tensor(part_a), _tensor(part_b), energy, fraction, thickness)


def _tensor(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([[vector[0], vector[2] / 2], [vector[2] / 2, vector[1]]])
