"""Orbitals and basis set from a Molden file, and the populations of atoms in each orbital.

Molden files are written by CP2K (``&MO_MOLDEN``), xTB, ORCA, Psi4 and many others; they hold
geometry, contracted Gaussians and orbital coefficients (Schaftenaar and Noordik, J. Comput. Aided
Mol. Des. 14, 123 (2000)). The overlap matrix is not in them, so it is computed here from the basis
set; that the orbitals come out orthonormal under it is the check that both were understood.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.files import read_text

Array = NDArray[np.float64]
LETTERS = "spdfg"
ORDER = ((0,), (1, -1, 0), *[(0, *[s * m for m in range(1, n + 1) for s in (1, -1)])
                             for n in (2, 3, 4)])  # fmt: skip
"""Magnetic numbers in the order of the format: p as x, y, z; then 0, +1, -1, +2, -2..."""


@dataclass(frozen=True, eq=False)
class GaussianShell:
    """A contracted shell: ``r^l Y_lm sum c exp(-a r²)``, primitives normalized one by one."""

    atom: int
    angular: int
    exponents: Array
    coefficients: Array


@dataclass(frozen=True, eq=False)
class MolecularOrbitals:
    """Orbitals of one calculation over contracted Gaussians.

    Attributes
    ----------
    symbols : tuple of str
    positions : (n_atoms, 3) array
        Å.
    shells : tuple of GaussianShell
    coefficients : (n_functions, k) array
    energies : (k,) array
        eV.
    occupations : (k,) array
    norms : (k,) array
        Of every orbital under the overlap of the basis; 1 if file and reader agree.
    populations : (n_atoms, k) array
        Mulliken's: ``sum_mu c_mu (S c)_mu`` over the functions of an atom; columns add up to 1.
    """

    symbols: tuple[str, ...]
    positions: Array
    shells: tuple[GaussianShell, ...]
    coefficients: Array
    energies: Array
    occupations: Array
    norms: Array
    populations: Array


def read_molden(path: str | Path) -> MolecularOrbitals:
    """Return the orbitals in a Molden file with their populations.

    Raises
    ------
    InputError
        Not a Molden file, cut off, Cartesian d functions, or orbitals that are not normalized
        under the basis set of the file.
    """
    from heterodot.energy.cp2k_output import bohr, hartree

    text = read_text(path, limit=2**31)
    if "[molden format]" not in text[:4000].lower():
        raise InputError("is not a Molden file", file=path, remedy="its first line says so")
    parts = _sections(text)
    for needed in ("atoms", "gto", "mo"):
        if needed not in parts:
            raise InputError(f"has no [{needed.upper()}] section", file=path, remedy="export again")
    unit, rows = parts["atoms"]
    try:
        symbols, positions, numbers = _atoms(rows)
        shells = _shells(parts["gto"][1], {n: k for k, n in enumerate(numbers)})
        size = sum(2 * s.angular + 1 for s in shells)
        coefficients, energies, occupations = _orbitals(parts["mo"][1], size, path)
    except (ValueError, IndexError, KeyError) as error:
        raise InputError(
            f"cannot be understood ({error})", file=path, remedy="it may be cut off; export again"
        ) from error
    if any(s.angular == 2 for s in shells) and not {"5d", "5d7f", "5d10f"} & set(parts):
        raise InputError("has Cartesian d functions", file=path, remedy="export spherical ones")
    if any(s.angular == 3 for s in shells) and not {"7f", "5d7f", "5d"} & set(parts):
        raise InputError("has Cartesian f functions", file=path, remedy="export spherical ones")
    if "angs" not in unit.lower():
        positions = positions * bohr()
    from heterodot.energy.overlap import overlap_times

    product = overlap_times(shells, positions / bohr(), coefficients)
    contributions = coefficients * product
    norms = contributions.sum(axis=0)
    if len(norms) == 0 or np.abs(norms - 1).max() > 0.02:
        worst = float(norms[np.abs(norms - 1).argmax()]) if len(norms) else 0.0
        raise InputError(
            f"has orbitals that are not normalized under its basis set ({worst:.3f} for 1)",
            file=path,
            remedy="more digits may help (NDIGITS 9 in CP2K), or another program's conventions",
        )
    owner = np.concatenate([[s.atom] * (2 * s.angular + 1) for s in shells])
    populations = np.zeros((len(symbols), len(energies)))
    np.add.at(populations, owner, contributions)
    return MolecularOrbitals(
        symbols, positions, shells, coefficients, energies * hartree(), occupations, norms,
        populations / norms,
    )  # fmt: skip


def _sections(text: str) -> dict[str, tuple[str, list[str]]]:
    found: dict[str, tuple[str, list[str]]] = {}
    rows: list[str] = []
    for line in text.splitlines():
        match = re.match(r"\s*\[([^\]]+)\]\s*(.*)", line)
        if match is None:
            rows.append(line)
        else:
            rows = []
            found[match[1].strip().lower()] = (match[2], rows)
    return found


def _atoms(rows: list[str]) -> tuple[tuple[str, ...], Array, list[int]]:
    from ase.data import chemical_symbols

    parts = [row.split() for row in rows if row.strip()]
    symbols = tuple(chemical_symbols[int(p[2])] for p in parts)
    return (
        symbols,
        np.array([[float(x) for x in p[3:6]] for p in parts]),
        [int(p[1]) for p in parts],
    )


def _shells(rows: list[str], atom_of: dict[int, int]) -> tuple[GaussianShell, ...]:
    found: list[GaussianShell] = []
    atom, at = -1, 0
    while at < len(rows):
        words = rows[at].replace("D", "E").split() if rows[at].strip() else []
        at += 1
        if not words:
            atom = -1
        elif atom < 0:
            atom = atom_of[int(words[0])]
        else:
            kind, count = words[0].lower(), int(words[1])
            if not 0 < count <= 1000 or at + count > len(rows):
                raise ValueError(f"a shell of {count} primitives")
            table = np.array(
                [[float(x.replace("D", "E")) for x in row.split()] for row in rows[at : at + count]]
            )
            at += count
            for k, letter in enumerate(kind):
                found.append(
                    GaussianShell(atom, LETTERS.index(letter), table[:, 0], table[:, 1 + k])
                )
    return tuple(found)


def _orbitals(rows: list[str], size: int, path: str | Path) -> tuple[Array, Array, Array]:
    columns: list[Array] = []
    energies: list[float] = []
    occupations: list[float] = []
    head = False
    for number, line in enumerate(rows):
        if "=" in line:
            if not head:
                columns.append(np.zeros(size))
                energies.append(0.0)
                occupations.append(0.0)
                head = True
            name, _, value = line.partition("=")
            if name.strip().lower() == "ene":
                energies[-1] = float(value)
            elif name.strip().lower() == "occup":
                occupations[-1] = float(value)
        elif line.strip():
            head = False
            index, value = line.split()
            if not 1 <= int(index) <= size or not columns:
                raise InputError(
                    f"has a coefficient of function {index}, the basis set has {size}",
                    file=path,
                    place=f"line {number + 1} of [MO]",
                    remedy="export spherical functions",
                )
            columns[-1][int(index) - 1] = float(value)
    return np.array(columns).reshape(-1, size).T, np.array(energies), np.array(occupations)


def lowdin(orbitals: MolecularOrbitals) -> Array:
    """Return Löwdin's populations, ``sum_mu (S^1/2 c)_mu²`` over the functions of an atom.

    Never negative, and what CP2K's projected density of states holds. Needs the dense square root
    of the overlap matrix.

    Returns
    -------
    (n_atoms, k) array
        Columns add up to 1.
    """
    from heterodot.energy.cp2k_output import bohr
    from heterodot.energy.overlap import overlap_times

    size = len(orbitals.coefficients)
    overlap = overlap_times(orbitals.shells, orbitals.positions / bohr(), np.eye(size))
    values, vectors = np.linalg.eigh(0.5 * (overlap + overlap.T))
    root = np.sqrt(np.maximum(values, 0.0))[:, None] * (vectors.T @ orbitals.coefficients)
    shares = (vectors @ root) ** 2
    owner = np.concatenate([[s.atom] * (2 * s.angular + 1) for s in orbitals.shells])
    populations = np.zeros((len(orbitals.symbols), shares.shape[1]))
    np.add.at(populations, owner, shares)
    return np.asarray(populations / populations.sum(axis=0))
