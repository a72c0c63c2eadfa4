"""Orbitals with atomic weights from the files that programs leave: CP2K, Molden, cube files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.electronic.dos import Orbitals
from heterodot.errors import InputError
from heterodot.files import readable

if TYPE_CHECKING:
    from heterodot.electronic.dos_cube import Cube
    from heterodot.energy.cp2k_output import Cp2kResult

Array = NDArray[np.float64]
SYMMETRIC = 2500
"""Up to this many functions Löwdin's populations are computed (a dense square root of the overlap);
above, Mulliken's, which need no matrix but may be negative."""


def read_orbitals(
    path: str | Path, domain: ArrayLike | None = None, names: Sequence[str] = ()
) -> Orbitals:
    """Return the orbitals of a CP2K output (with the files beside it) or of a Molden file.

    Weights of atoms come from, in this order: CP2K's projected states with one list per atom, the
    Molden file beside the output, the cube files of orbitals beside it.

    Parameters
    ----------
    domain : (n_atoms,) int array, optional
        Domain of each atom, -1 for none.
    names : sequence of str
        Names of the domains.

    Raises
    ------
    InputError
        Not a file that is understood, or one without weights of atoms.
    NotFoundError
        The run stopped half-way.
    """
    with open(readable(path, limit=2**33), encoding="utf-8", errors="replace") as stream:
        head = stream.read(4000)
    if "[molden format]" in head.lower():
        return from_molden(path, domain, names)
    from heterodot.energy.cp2k_output import read_output

    return from_cp2k(read_output(path), domain, names)


def from_cp2k(
    result: Cp2kResult, domain: ArrayLike | None = None, names: Sequence[str] = ()
) -> Orbitals:
    """Return the orbitals of a CP2K run.

    Raises
    ------
    InputError
        The run has no projected states, or nothing by atom.
    """
    states, n = result.states, len(result.symbols)
    rows = None if states is None else states.by_atom(n)
    if states is not None and rows is not None:
        owner = np.zeros(n, dtype=int) if domain is None else np.asarray(domain)
        return Orbitals(
            states.energies,
            states.occupations,
            rows,
            result.symbols,
            owner,
            tuple(names) or ("all",),
            f"CP2K, {result.version}",
            "Lowdin (CP2K PDOS)",
            result.notes,
        )
    if result.molden is not None:
        return from_molden(result.molden, domain, names, source=f"CP2K, {result.version}")
    orbitals = [file for file in result.cubes if _orbital_number(file) is not None]
    if states is not None and orbitals:
        return _from_cubes(result, orbitals, domain, names)
    if states is None:
        raise InputError("the run has no projected states", remedy="ask for &PRINT &PDOS")
    raise InputError(
        "the projected states are not by atom",
        place="dos",
        remedy="print one &LDOS list per atom (lists=both), a Molden file (solver=diagonalization) "
        "or cubes of the orbitals next to the gap (cube=-10,10)",
    )


def from_molden(
    path: str | Path,
    domain: ArrayLike | None = None,
    names: Sequence[str] = (),
    *,
    source: str = "",
) -> Orbitals:
    """Return the orbitals in a Molden file, of whatever program wrote it.

    Raises
    ------
    InputError
        See `heterodot.energy.molden.read_molden`.
    """
    from heterodot.energy.molden import lowdin, read_molden

    found = read_molden(path)
    small = len(found.coefficients) <= SYMMETRIC
    owner = np.zeros(len(found.symbols), dtype=int) if domain is None else np.asarray(domain)
    return Orbitals(
        found.energies,
        found.occupations,
        lowdin(found) if small else found.populations,
        found.symbols,
        owner,
        tuple(names) or ("all",),
        f"{source or 'Molden file'} ({Path(path).name})",
        "Lowdin (own overlap matrix)" if small else "Mulliken (own overlap matrix)",
    )


def _orbital_number(path: Path) -> int | None:
    """Return the number in CP2K's name of an orbital cube, ``NAME-WFN_00041_1-1_0.cube``."""
    match = re.search(r"-WFN_(\d+)_1-", path.name)
    return int(match[1]) if match else None


def _from_cubes(
    result: Cp2kResult,
    files: Sequence[Path],
    domain: ArrayLike | None,
    names: Sequence[str],
) -> Orbitals:
    from heterodot.electronic.dos_cube import read_cube

    assert result.states is not None
    numbers, columns = [], []
    for file in files:
        number = _orbital_number(file)
        assert number is not None
        if number > len(result.states.energies):
            continue
        numbers.append(number - 1)
        columns.append(cell_weights(read_cube(file)))
    n = len(result.symbols)
    if not columns or any(len(column) != n for column in columns):
        raise InputError("the cubes have other atoms than the run", place="dos")
    owner = np.zeros(n, dtype=int) if domain is None else np.asarray(domain)
    return Orbitals(
        result.states.energies[numbers],
        result.states.occupations[numbers],
        np.array(columns).T,
        result.symbols,
        owner,
        tuple(names) or ("all",),
        f"CP2K, {result.version} ({len(columns)} cubes)",
        "density in the cells of the atoms",
        (*result.notes, f"only the {len(columns)} orbitals that have cube files are known"),
    )


def cell_weights(cube: Cube) -> Array:
    """Return the share of an orbital's density that is nearest to each atom, (n_atoms,).

    Distances are measured in units of the covalent radius of each atom, so that a large ion has a
    large cell. Points below a millionth of the highest density are left out.

    Raises
    ------
    InputError
        The cube holds no atoms, or nothing but zeros.
    """
    from ase.data import covalent_radii
    from scipy.spatial import cKDTree

    density = cube.values**2
    top = float(density.max(initial=0.0))
    if top <= 0 or len(cube.positions) == 0:
        raise InputError("is empty or has no atoms", place=cube.title or "cube")
    where = np.argwhere(density > 1e-6 * top)
    points = where @ cube.steps + cube.origin
    weight = density[tuple(where.T)]
    near = min(8, len(cube.positions))
    distance, index = cKDTree(cube.positions).query(points, k=near)
    distance, index = distance.reshape(len(points), near), index.reshape(len(points), near)
    radius = covalent_radii[cube.numbers]
    best = np.argmin(distance / radius[index], axis=1)
    owner = index[np.arange(len(points)), best]
    total = np.bincount(owner, weight, len(cube.positions))
    return np.asarray(total / total.sum())


def frontier_cubes(path: str | Path, homo: float, lumo: float) -> dict[str, Path]:
    """Return the cube files of the orbitals at two energies (eV) beside a CP2K output.

    Those that are not there are left out.
    """
    from heterodot.energy.cp2k_output import read_output

    result = read_output(path)
    if result.states is None:
        return {}
    found: dict[str, Path] = {}
    for name, energy in (("HOMO", homo), ("LUMO", lumo)):
        for file in result.cubes:
            number = _orbital_number(file)
            if number is None or number > len(result.states.energies):
                continue
            if abs(float(result.states.energies[number - 1]) - energy) < 1e-6:
                found[name] = file
    return found
