"""Pair sums of a crystal as sums over its shells of equal pairs.

Forces, stress and their derivatives with strain and displacement are linear in the slope and the
curvature of the pair energy. The coefficients depend on the structure alone, so they are added up
once and a fit of the repulsion multiplies small matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.energy.potential import _born_mayer

Array = NDArray[np.float64]
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def strains() -> Array:
    """Return the six unit strains in Voigt order, (6, 3, 3)."""
    found = np.zeros((6, 3, 3))
    for m, (a, b) in enumerate(VOIGT):
        found[m, a, b] += 0.5
        found[m, b, a] += 0.5
    return found


def voigt(stress: Array) -> Array:
    """Return a symmetric tensor (3, 3) in Voigt order, (6,)."""
    return np.array([stress[a, b] for a, b in VOIGT])


@dataclass(frozen=True, eq=False)
class Shells:
    """Shells of equal pairs (elements and distance), and what each adds per unit of its slope.

    Attributes
    ----------
    kinds : (s, 2) int array
        Rows of the pair tables.
    r : (s,) array
        Distance, Å.
    forces : (3n, s) array
        Force per slope.
    stress : (9, s) array
        Stress per slope, 1/Å².
    slope, curve : (36 + 18n + 9n², s) array or None
        Clamped-ion stiffness, force on strain and Hessian per slope and per curvature.
    """

    kinds: NDArray[np.int64]
    r: Array
    forces: Array
    stress: Array
    slope: Array | None
    curve: Array | None

    def _tables(self, contact: Array, rho: Array) -> tuple[Array, Array]:
        a, b = self.kinds.T
        return contact[a, b], rho[a, b]

    def forces_stress(self, contact: Array, rho: Array) -> tuple[Array, Array]:
        """Return forces (n, 3), eV/Å, and stress (3, 3), eV/Å³, for pair tables (k, k)."""
        _, slope = _born_mayer(self.r, *self._tables(contact, rho))
        return (self.forces @ slope).reshape(-1, 3), (self.stress @ slope).reshape(3, 3)

    def response(self, contact: Array, rho: Array) -> tuple[Array, Array, Array]:
        """Return stiffness (6, 6), force on strain (3n, 6) and Hessian (3n, 3n)."""
        assert self.slope is not None
        assert self.curve is not None
        tables = self._tables(contact, rho)
        h = 1e-4
        _, slope = _born_mayer(self.r, *tables)
        ends = (_born_mayer(self.r + h, *tables)[1], _born_mayer(self.r - h, *tables)[1])
        flat = self.slope @ slope + self.curve @ ((ends[0] - ends[1]) / (2 * h))
        n = len(self.forces)
        return (
            flat[:36].reshape(6, 6),
            flat[36 : 36 + 6 * n].reshape(n, 6),
            flat[36 + 6 * n :].reshape(n, n),
        )


def shells_of(
    crystal: Crystal, pairs: tuple[NDArray[Any], ...], elements: Sequence[str], *, response: bool
) -> Shells:
    """Return the shells of a crystal.

    Parameters
    ----------
    pairs : tuple
        Of `heterodot.energy.ewald.near_pairs`.
    elements : sequence of str
        Rows of the pair tables.
    response : bool
        Also add up what the second derivatives need.
    """
    i: Any
    j: Any
    i, j, d, r = pairs
    every: Any = slice(None)
    n, volume = len(crystal), crystal.volume
    row = np.array([list(elements).index(s) for s in crystal.symbols])
    low, high = np.minimum(row[i], row[j]), np.maximum(row[i], row[j])
    keys, shell = np.unique(np.stack([low, high, np.round(r, 7)]), axis=1, return_inverse=True)
    shell = shell.reshape(-1)
    s = keys.shape[1]
    unit = d / r[:, None]
    forces = np.zeros((n, 3, s))
    np.add.at(forces, (i, every, shell), unit)
    stress = _by_shell(0.5 / volume * unit[:, :, None] * d[:, None, :], shell, s)
    slope = curve = None
    if response:
        outer = unit[:, :, None] * unit[:, None, :]
        across = (np.eye(3) - outer) / r[:, None, None]
        extra = _stretch_of_pull(d, unit)
        slope = _second(across, extra, d, (i, j), shell, s, n, volume)
        curve = _second(outer, np.zeros_like(extra), d, (i, j), shell, s, n, volume)
    mean = np.bincount(shell, r, s) / np.bincount(shell, minlength=s)
    return Shells(keys[:2].T.astype(np.int64), mean, forces.reshape(3 * n, s), stress, slope, curve)


def _by_shell(values: Array, shell: NDArray[np.int64], s: int) -> Array:
    """Return per-pair values (m, ...) added up by shell, (size, s)."""
    flat = values.reshape(len(values), -1)
    return np.stack([np.bincount(shell, column, s) for column in flat.T])


def _stretch_of_pull(d: Array, unit: Array) -> Array:
    """Return what strain does to the stress of unit pulls at fixed slope, (m, 6, 3, 3)."""
    e = strains()
    stretched = np.einsum("pb,mbc->pmc", d, e)
    change = unit[:, None, :, None] * stretched[:, :, None, :]
    change -= np.trace(e, axis1=1, axis2=2)[None, :, None, None] * (
        unit[:, None, :, None] * d[:, None, None, :]
    )
    return np.asarray(change)


def _second(
    k: Array,
    extra: Array,
    d: Array,
    ends: tuple[Any, Any],
    shell: Any,
    s: int,
    n: int,
    volume: float,
) -> Array:
    """Return stiffness, coupling and Hessian per shell for pair springs ``k`` (m, 3, 3)."""
    i, j = ends
    every: Any = slice(None)
    stretched = np.einsum("pb,mbc->pmc", d, strains())
    df = np.einsum("pab,pmb->pma", k, stretched)
    dstress = df[:, :, :, None] * d[:, None, None, :] + extra
    rows = np.stack([dstress[:, :, a, b] for a, b in VOIGT], axis=1)  # (m, voigt, strain)
    stiffness = _by_shell(0.5 / volume * rows, shell, s)
    coupling = np.zeros((n, 3, 6, s))
    np.add.at(coupling, (i, every, every, shell), df.transpose(0, 2, 1))
    hessian = np.zeros((n, n, 3, 3, s))
    np.add.at(hessian, (i, j, every, every, shell), -k)
    np.add.at(hessian, (i, i, every, every, shell), k)
    square = hessian.transpose(0, 2, 1, 3, 4)
    return np.concatenate([stiffness, coupling.reshape(18 * n, s), square.reshape(9 * n * n, s)])
