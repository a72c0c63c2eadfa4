"""Read what CP2K leaves behind: energies, forces, orbitals, projected states."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.files import read_text

TESTED = ("7", "8", "9", "2022", "2023", "2024", "2025", "2026")
"""Versions whose layouts are read: ``energy (a.u.):`` up to 7.1, ``energy [a.u.]:`` up to 2024 and
``energy [hartree]`` with ``FORCES|`` lines from 2025 on. Run here: 2023.1."""


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
    sizes : mapping of group to int
        Atoms of each list.
    """

    energies: NDArray[np.float64]
    occupations: NDArray[np.float64]
    weights: dict[str, NDArray[np.float64]]
    fermi: float
    sizes: dict[str, int] = field(default_factory=dict)

    def by_atom(self, n: int) -> NDArray[np.float64] | None:
        """Return the weights of ``n`` atoms (n, n_orbitals), if every atom has a list.

        Lists of single atoms come last and in the order of the atoms, after those of domains.
        """
        count = sum(1 for group in self.weights if group.startswith("list "))
        last = [f"list {k}" for k in range(count - n + 1, count + 1)]
        if count < n or any(self.sizes.get(group, 1) != 1 for group in last):
            return None
        return np.array([self.weights[group] for group in last])


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
    relaxed : (n_atoms, 3) array or None
        Last geometry of a relaxation, in the same frame as ``positions``, Å.
    max_forces : (n_steps,) array
        Largest component of the forces at each step of a relaxation, eV/Å.
    optimized : bool
        Whether a relaxation said that it had converged.
    molden : Path or None
        Orbitals and basis set.
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
    relaxed: NDArray[np.float64] | None = None
    max_forces: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    optimized: bool = False
    molden: Path | None = None


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
    version = (_first(text, r"CP2K\| version string:\s*(.+)") or "unknown").strip()
    notes = []
    number = re.search(r"version\s+(\d+)", version)
    if number is None or number[1] not in TESTED:
        notes.append(f"written by {version}, which this reader was not tried on; check the numbers")
    # older: "energy (a.u.):" or "energy [a.u.]:"; from 2025: "energy [hartree]"
    found = re.findall(r"ENERGY\| Total FORCE_EVAL.*?[\])]:?\s+(-?\d+\.\d+)", text)
    energies = [float(x) for x in found]
    if "PROGRAM ENDED" in text and not energies:
        raise InputError(
            f"has no total energy in a form that is known here ({version})",
            file=path,
            remedy="give an output of CP2K 7 to 2026 with print level medium",
        )
    if "PROGRAM ENDED" not in text:
        done = f"{len(energies)} geometries were finished" if energies else "no energy was reached"
        raise NotFoundError(
            f"the run stopped half-way ({done})",
            file=path,
            remedy="run the same command again: it goes on from its wavefunctions",
        )
    if re.search(r"SCF run NOT converged", text[text.rfind("SCF WAVEFUNCTION OPTIMIZATION") :]):
        raise NotFoundError(
            "the wavefunction did not converge",
            file=path,
            remedy="raise max_scf, or start from a relaxed structure",
        )
    folder = Path(path).parent
    stem = _first(text, r"GLOBAL\| Project name\s+(\S+)") or Path(path).stem
    symbols, positions = _coordinates(text)
    relaxed, trajectory = None, folder / f"{stem}-pos-1.xyz"
    steps = re.findall(r"(?:Max\. gradient\s+=|OPT\| Maximum gradient)\s+(\d+\.\d+)", text)
    if steps and trajectory.exists():
        frames = read_positions(trajectory, len(symbols))
        relaxed = frames[-1] if len(frames) else None
    molden = sorted(folder.glob(f"{stem}-MOS-*.molden"))
    return Cp2kResult(
        energies[-1] * hartree(),
        np.array(energies) * hartree(),
        _forces(text, len(symbols)),
        positions,
        symbols,
        read_pdos(folder, stem) if list(folder.glob(f"{stem}-*.pdos")) else None,
        tuple(sorted(folder.glob(f"{stem}-*.cube"))),
        version,
        tuple(notes),
        relaxed,
        np.array([float(x) for x in steps]) * hartree() / bohr(),
        "GEOMETRY OPTIMIZATION COMPLETED" in text,
        molden[-1] if molden else None,
    )


def read_positions(path: str | Path, n: int) -> NDArray[np.float64]:
    """Return the whole frames of an XYZ trajectory, (n_frames, n, 3), Å; a cut one is left out.

    Raises
    ------
    InputError
        Frames of another number of atoms.
    """
    lines = read_text(path, limit=2**31).splitlines()
    frames: list[list[list[float]]] = []
    for start in range(0, len(lines) - n - 1, n + 2):
        if lines[start].split() != [str(n)]:
            raise InputError(
                f"is not a trajectory of {n} atoms", file=path, place=f"line {start + 1}"
            )
        try:
            rows = [[float(x) for x in line.split()[1:4]] for line in lines[start + 2 :][:n]]
        except ValueError:
            break
        if any(len(row) != 3 for row in rows):
            break
        frames.append(rows)
    return np.array(frames, dtype=float).reshape(-1, n, 3)


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
    """Return the last forces printed: a table of six columns, from 2025 on ``FORCES|`` lines."""
    old, new = text.rfind("ATOMIC FORCES in"), text.rfind("FORCES| Atomic forces")
    if max(old, new) < 0 or n == 0:
        return None
    rows = []
    for line in text[max(old, new) :].splitlines()[1:]:
        part = line.split()
        if new > old and len(part) == 6 and part[0] == "FORCES|" and part[1].isdigit():
            rows.append([float(x) for x in part[2:5]])
        elif old > new and len(part) == 6 and part[0].isdigit() and part[1].isdigit():
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
    up = [f for f in files if "ALPHA" in f.name[len(stem) :]]
    down = [f for f in files if "BETA" in f.name[len(stem) :]]
    if not (up and down):
        return _one_spin(files)
    one, two = _one_spin(up), _one_spin(down)
    if set(one.weights) != set(two.weights):
        raise InputError("the two spins have different lists", file=folder, remedy="run CP2K again")
    return ProjectedStates(
        np.concatenate([one.energies, two.energies]),
        np.concatenate([one.occupations, two.occupations]),
        {g: np.concatenate([one.weights[g], two.weights[g]]) for g in one.weights},
        max(one.fermi, two.fermi),
        one.sizes,
    )


def _one_spin(files: list[Path]) -> ProjectedStates:
    energies: NDArray[np.float64] | None = None
    occupations: NDArray[np.float64] | None = None
    weights: dict[str, NDArray[np.float64]] = {}
    sizes: dict[str, int] = {}
    fermi = float("nan")
    for file in files:
        group, size, level, table = _pdos_table(file)
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
        if size:
            sizes[group] = size
    assert energies is not None
    assert occupations is not None
    return ProjectedStates(energies * hartree(), occupations, weights, fermi * hartree(), sizes)


def _pdos_table(file: Path) -> tuple[str, int, float, NDArray[np.float64]]:
    """Return group, its atoms (0 for a kind), Fermi level and rows of the last step in a file."""
    text = read_text(file)
    heads = [line for line in text.splitlines() if line.startswith("#") and "E(Fermi)" in line]
    head = heads[-1] if heads else ""
    kind = re.search(r"atomic kind\s+(\S+)", head)
    listed = re.search(r"list\s+(\d+)\s+of\s+(\d+)\s+atom", head)
    level = re.search(r"E\(Fermi\)\s*=\s*(-?\d+\.\d+)", head)
    if (kind is None and listed is None) or level is None:
        raise InputError(
            "is not a projected density of states of CP2K", file=file, place="line 1",
            remedy="it may be of another version; give files of CP2K 7 to 2026",
        )  # fmt: skip
    rows: list[list[float]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("#"):
            rows = []
            continue
        try:
            rows.append([float(x) for x in line.split()])
        except ValueError as error:
            raise InputError(
                "holds a field that is no number", file=file, place=f"line {number}"
            ) from error
    if not rows or len({len(row) for row in rows}) != 1 or len(rows[0]) < 4:
        raise InputError("is cut off", file=file, remedy="run CP2K again")
    if kind is not None:
        return kind[1], 0, float(level[1]), np.array(rows)
    assert listed is not None
    return f"list {int(listed[1])}", int(listed[2]), float(level[1]), np.array(rows)
