"""Ligand molecules in an ideal geometry: carboxylates and ammoniums with alkyl chains.

Bond lengths and angles are the textbook values of saturated chains (C-C 1.53 Å, C-H 1.09 Å,
tetrahedral angles); the chain is all-trans, with a cis double bond where oleyl groups have it.
They are starting geometries without clashes, to be relaxed by an energy method.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, nearest

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Molecule:
    """A ligand with its binding atom group at the origin and its chain along +z.

    Attributes
    ----------
    name : str
    symbols : tuple of str
    positions : (n, 3) array
        Å.
    charges : (n,) array
        Formal charges, e; they sum to the charge of the ion that it stands for.
    """

    name: str
    symbols: tuple[str, ...]
    positions: Array
    charges: Array

    @property
    def charge(self) -> float:
        """Sum of the charges, e."""
        return float(self.charges.sum())


# name -> (head, carbons of the chain, first carbon of a cis double bond or 0)
LIGANDS: dict[str, tuple[str, int, int]] = {
    "acetate": ("carboxylate", 1, 0),
    "octanoate": ("carboxylate", 7, 0),
    "oleate": ("carboxylate", 17, 8),
    "butylammonium": ("ammonium", 4, 0),
    "octylammonium": ("ammonium", 8, 0),
    "oleylammonium": ("ammonium", 18, 9),
}


def molecule(name: str) -> Molecule:
    """Return a ligand by name.

    Raises
    ------
    InputError
        Unknown name.

    Examples
    --------
    >>> oleate = molecule("oleate")
    >>> oleate.symbols.count("C"), oleate.symbols.count("H"), oleate.charge
    (18, 33, -1.0)
    """
    if name not in LIGANDS:
        close = nearest(name, LIGANDS)
        raise InputError(
            f"'{name}' is not a ligand that is known here",
            place="ligand",
            remedy=f"did you mean {close[0]}?" if close else f"use {', '.join(LIGANDS)}",
        )
    head, length, double = LIGANDS[name]
    return (
        _carboxylate(name, length, double)
        if head == "carboxylate"
        else _ammonium(name, length, double)
    )


CC, CH, NH, CO, CN = 1.53, 1.09, 1.02, 1.26, 1.49
TETRAHEDRAL = float(np.degrees(np.arccos(-1 / 3)))


def _chain(start: Array, length: int, double: int) -> Array:
    """Carbons of a zigzag in the xz plane; the chain turns at a cis double bond."""
    half = np.radians(TETRAHEDRAL / 2)
    points = [start]
    direction = 1.0
    axis = np.array([0.0, 0.0, 1.0])
    across = np.array([1.0, 0.0, 0.0])
    for n in range(1, length):
        bond = 1.34 if n == double else CC
        step = np.sin(half) * axis + direction * np.cos(half) * across
        points.append(points[-1] + bond * step)
        if not (double and n in (double - 1, double)):
            direction = -direction
        elif n == double:
            # after C=C the chain goes on along the direction that keeps both arms on one side
            axis, across = _turned(axis, across, direction)
            direction = -direction
    return np.array(points)


def _turned(axis: Array, across: Array, direction: float) -> tuple[Array, Array]:
    angle = -direction * np.radians(60.0)
    c, s = np.cos(angle), np.sin(angle)
    return c * axis - s * across, s * axis + c * across


def _hydrogens(carbons: Array, before: Array, double: int) -> list[Array]:
    """Hydrogen positions of each carbon: CH2 inside, CH at a double bond, CH3 at the end."""
    found: list[Array] = []
    n = len(carbons)
    for k in range(n):
        previous = before if k == 0 else carbons[k - 1]
        a = _unit(previous - carbons[k])
        if k == n - 1:
            found += [carbons[k] + CH * v for v in _three(-a)]
            continue
        b = _unit(carbons[k + 1] - carbons[k])
        away = _unit(-(a + b))
        if double and k in (double - 1, double):
            found.append(carbons[k] + CH * away)
            continue
        side = _unit(np.cross(a, b))
        tilt = np.radians(TETRAHEDRAL / 2)
        found += [
            carbons[k] + CH * (np.cos(tilt) * away + s * np.sin(tilt) * side) for s in (1, -1)
        ]
    return found


def _three(direction: Array) -> list[Array]:
    """Three unit vectors around a direction at the tetrahedral angle to its reverse."""
    z = _unit(direction)
    x = _unit(np.cross(z, np.array([0.0, 1.0, 0.0]) if abs(z[1]) < 0.9 else np.eye(3)[0]))
    y = np.cross(z, x)
    opening = np.radians(180.0 - TETRAHEDRAL)
    return [
        np.cos(opening) * z + np.sin(opening) * (np.cos(t) * x + np.sin(t) * y)
        for t in np.radians((60.0, 180.0, 300.0))
    ]


def _unit(vector: Array) -> Array:
    return np.asarray(vector / np.linalg.norm(vector))


def _carboxylate(name: str, length: int, double: int) -> Molecule:
    """R-COO(-): the middle of the two oxygens at the origin."""
    height = CO * np.cos(np.radians(62.5))
    half = CO * np.sin(np.radians(62.5))
    carbon = np.array([0.0, 0.0, height])
    oxygens = np.array([[0.0, half, 0.0], [0.0, -half, 0.0]])
    chain = _chain(carbon + np.array([0.0, 0.0, CC]), length, double)
    hydrogens = _hydrogens(chain, carbon, double)
    positions = np.concatenate([oxygens, carbon[None], chain, np.array(hydrogens)])
    symbols = ("O", "O", "C", *["C"] * length, *["H"] * len(hydrogens))
    charges = np.zeros(len(symbols))
    charges[:2] = -0.5
    return Molecule(name, symbols, positions, charges)


def _ammonium(name: str, length: int, double: int) -> Molecule:
    """R-NH3(+): nitrogen at the origin."""
    nitrogen = np.zeros(3)
    chain = _chain(np.array([0.0, 0.0, CN]), length, double)
    hydrogens = [
        *[nitrogen + NH * v for v in _three(np.array([0.0, 0.0, -1.0]))],
        *_hydrogens(chain, nitrogen, double),
    ]
    positions = np.concatenate([nitrogen[None], chain, np.array(hydrogens)])
    symbols = ("N", *["C"] * length, *["H"] * len(hydrogens))
    charges = np.zeros(len(symbols))
    charges[0] = 1.0
    return Molecule(name, symbols, positions, charges)
