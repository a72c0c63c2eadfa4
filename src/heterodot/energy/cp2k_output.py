"""Read what CP2K leaves behind: energies, forces, orbitals, projected states."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.files import read_text

TESTED = ("7", "8", "9", "2022", "2023", "2024", "2025")


def hartree() -> float:
    """Return one Hartree in eV."""
    from scipy.constants import physical_constants

    return float(physical_constants["Hartree energy in eV"][0])


def bohr() -> float:
    """Return one Bohr in Å."""
    from scipy.constants import physical_constants

    return float(physical_constants["Bohr radius"][0] * 1e10)


@dataclass(frozen=True, eq=False)
class ProjectedStates:
    """Weights of orbitals on groups of atoms from CP2K's projected density of states.

    Attributes
    ----------
    energies : (n_orbitals,) array
        eV.
    occupations : (n_orbitals,) array
    weights : mapping of group to (n_orbitals,) array
        ``"Pb"`` for an element (kind), ``"list 3"`` for the third list of atoms.
    fermi : float
        eV.
    """

    energies: NDArray[np.float64]
    occupations: NDArray[np.float64]
    weights: dict[str, NDArray[np.float64]]
    fermi: float


@dataclass(frozen=True, eq=False)
class Cp2kResult:
    """What a finished run found.

    Attributes
    ----------
    energy : float
        eV.
    energies : (n_steps,) array
        Of every geometry, eV.
    forces : (n_atoms, 3) array or None
        Of the last geometry, eV/Å.
    positions : (n_atoms, 3) array
        As printed at the start, Å.
    symbols : tuple of str
    states : ProjectedStates or None
    cubes : tuple of Path
    version : str
    notes : tuple of str
    """

    energy: float
    energies: NDArray[np.float64]
    forces: NDArray[np.float64] | None
    positions: NDArray[np.float64]
    symbols: tuple[str, ...]
    states: ProjectedStates | None
    cubes: tuple[Path, ...]
    version: str
    notes: tuple[str, ...] = ()


def read_output(path: str | Path) -> Cp2kResult:
    """Return the result of a CP2K run from its main output and the files beside it.

    Raises
    ------
    InputError
        Not an output of CP2K.
    NotFoundError
        The run stopped half-way or its wavefunction did not converge.
    """
    text = read_text(path, limit=2**31)
    if "CP2K|" not in text:
        raise InputError(
            "is not an output of CP2K", file=path, remedy="give the file that CP2K printed"
        )
    version = _first(text, r"CP2K\| version string:\s*(.+)") or "unknown"
    notes = []
    number = re.search(r"version\s+(\d+)", version)
    if number is None or number[1] not in TESTED:
        notes.append(
            f"written by {version.strip()}, which this reader was not tried on; check the numbers"
        )
    energies = [float(x) for x in re.findall(r"ENERGY\| Total FORCE_EVAL.*?:\s*(-?\d+\.\d+)", text)]
    if "PROGRAM ENDED" not in text or not energies:
        done = f"{len(energies)} geometries were finished" if energies else "no energy was reached"
        raise NotFoundError(
            f"the run stopped half-way ({done})",
            file=path,
            remedy="run the same command again: it goes on from its wavefunctions",
        )
    if re.search(r"SCF run NOT converged", text):
        raise NotFoundError(
            "the wavefunction did not converge",
            file=path,
            remedy="raise max_scf, or start from a relaxed structure",
        )
    folder = Path(path).parent
    stem = Path(path).stem
    symbols, positions = _coordinates(text)
    return Cp2kResult(
        energies[-1] * hartree(),
        np.array(energies) * hartree(),
        _forces(text, len(symbols)),
        positions,
        symbols,
        read_pdos(folder, stem) if list(folder.glob(f"{stem}-*.pdos")) else None,
        tuple(sorted(folder.glob(f"{stem}-*.cube"))),
        version.strip(),
        tuple(notes),
    )


def _first(text: str, pattern: str) -> str | None:
    match = re.search(pattern, text)
    return match[1] if match else None


def _coordinates(text: str) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    at = text.find("ATOMIC COORDINATES")
    symbols, rows = [], []
    if at >= 0:
        for line in text[at:].splitlines()[1:]:
            part = line.split()
            if len(part) >= 7 and part[0].isdigit() and part[1].isdigit():
                symbols.append(part[2])
                rows.append([float(x) for x in part[4:7]])
            elif rows:
                break
    return tuple(symbols), np.array(rows, dtype=float).reshape(-1, 3)


def _forces(text: str, n: int) -> NDArray[np.float64] | None:
    at = text.rfind("ATOMIC FORCES in")
    if at < 0 or n == 0:
        return None
    rows = []
    for line in text[at:].splitlines()[1:]:
        part = line.split()
        if len(part) == 6 and part[0].isdigit() and part[1].isdigit():
            rows.append([float(x) for x in part[3:6]])
        elif rows:
            break
    if len(rows) != n:
        return None
    return np.array(rows) * hartree() / bohr()


def read_pdos(folder: str | Path, stem: str) -> ProjectedStates:
    """Return the projected states in all ``<stem>-*.pdos`` files of a folder (the last step).

    Raises
    ------
    InputError
        A file that is not a projected density of states, or files that disagree.
    """
    files = sorted(Path(folder).glob(f"{stem}-*.pdos"))
    if not files:
        raise InputError("has no .pdos files", file=folder, remedy="ask CP2K for &PRINT &PDOS")
    energies: NDArray[np.float64] | None = None
    occupations: NDArray[np.float64] | None = None
    weights: dict[str, NDArray[np.float64]] = {}
    fermi = float("nan")
    for file in files:
        group, level, table = _pdos_table(file)
        order = np.argsort(table[:, 0], kind="stable")
        table = table[order]
        if energies is None:
            energies, occupations, fermi = table[:, 1], table[:, 2], level
        elif len(table) != len(energies) or not np.allclose(table[:, 1], energies, atol=1e-5):
            raise InputError(
                "has other orbitals than the files beside it",
                file=file,
                remedy="remove files of older runs from the folder",
            )
        weights[group] = table[:, 3:].sum(axis=1)
    assert energies is not None
    assert occupations is not None
    return ProjectedStates(energies * hartree(), occupations, weights, fermi * hartree())


def _pdos_table(file: Path) -> tuple[str, float, NDArray[np.float64]]:
    text = read_text(file)
    head = text.splitlines()[0] if text.strip() else ""
    kind = re.search(r"atomic kind\s+(\S+)", head)
    listed = re.search(r"list\s+(\d+)", head)
    level = re.search(r"E\(Fermi\)\s*=\s*(-?\d+\.\d+)", head)
    if not head.startswith("#") or (kind is None and listed is None) or level is None:
        raise InputError(
            "is not a projected density of states of CP2K", file=file, place="line 1",
            remedy="it may be of another version; give files of CP2K 7 to 2025",
        )  # fmt: skip
    rows: list[list[float]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("#"):
            rows = rows if "MO" in line else []
            continue
        try:
            rows.append([float(x) for x in line.split()])
        except ValueError as error:
            raise InputError(
                "holds a field that is no number", file=file, place=f"line {number}"
            ) from error
    if not rows or len({len(row) for row in rows}) != 1 or len(rows[0]) < 4:
        raise InputError("is cut off", file=file, remedy="run CP2K again")
    group = kind[1] if kind is not None else f"list {int(listed[1])}"  # type: ignore[index]
    return group, float(level[1]), np.array(rows)
