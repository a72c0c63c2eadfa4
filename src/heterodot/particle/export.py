"""Write a particle for other programs: CIF, PDB, POSCAR, LAMMPS, CP2K, xTB, DFTB+, ASE.

Only extended XYZ keeps everything (domains, roles, charges, history); the others keep what their
format can hold.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, MissingExtraError, nearest
from heterodot.files import write_text
from heterodot.particle.particle import Particle

if TYPE_CHECKING:
    from heterodot.energy.cp2k_input import Cp2kSettings

Array = NDArray[np.float64]

VACUUM = 10.0

# format -> what file names end with
FORMATS: dict[str, tuple[str, ...]] = {
    "extxyz": (".xyz", ".extxyz"),
    "cif": (".cif",),
    "pdb": (".pdb",),
    "poscar": (".vasp", ".poscar"),
    "lammps": (".data", ".lmp"),
    "cp2k": (".inp",),
    "xtb": (".coord",),
    "dftb": (".hsd", ".gen"),
}


def export(
    particle: Particle,
    path: str | Path,
    format: str | None = None,
    *,
    cp2k: Cp2kSettings | None = None,
) -> list[Path]:
    """Write a particle in the format that is named or that the file name ends with.

    Parameters
    ----------
    path : str or Path
    format : str, optional
        One of `FORMATS`.
    cp2k : Cp2kSettings, optional
        What a CP2K input asks for.

    Returns
    -------
    list of Path
        The files written; a DFTB+ input comes with a geometry file beside it.

    Raises
    ------
    InputError
        A format that is not known.
    OutputError
        A file that cannot be written.
    """
    target = Path(path)
    kind = format or _format_of(target)
    if kind not in _WRITERS:
        close = nearest(str(kind), _WRITERS)
        raise InputError(
            f"'{kind}' is not a format",
            place="format",
            remedy=f"did you mean {close[0]}?" if close else f"use {', '.join(_WRITERS)}",
        )
    if cp2k is not None:
        if kind != "cp2k":
            raise InputError(
                f"settings of CP2K were given for the format {kind}",
                place="format",
                remedy="end the file with .inp, or leave them out",
            )
        return _cp2k(particle, target, cp2k)
    return _WRITERS[kind](particle, target)


def _format_of(path: Path) -> str:
    if path.name.upper() in ("POSCAR", "CONTCAR"):
        return "poscar"
    for kind, endings in FORMATS.items():
        if path.suffix.lower() in endings:
            return kind
    known = ", ".join(e for endings in FORMATS.values() for e in endings)
    raise InputError(
        f"does not say its format ('{path.suffix}')", file=path, remedy=f"end it with {known}"
    )


def boxed(particle: Particle, vacuum: float = VACUUM) -> tuple[Array, Array]:
    """Return positions in a box with vacuum on all sides, and its edges, Å."""
    low = particle.positions.min(0)
    edges = np.ptp(particle.positions, axis=0) + 2 * vacuum
    return particle.positions - low + vacuum, np.asarray(edges, dtype=float)


def _extxyz(particle: Particle, path: Path) -> list[Path]:
    return [particle.write(path)]


def _cif(particle: Particle, path: Path) -> list[Path]:
    from heterodot.cif import write_cif

    names = ", ".join(d.name for d in particle.domains)
    comment = f"{particle.formula} ({names}); a finite particle in a box with 10 Å of vacuum"
    return [write_cif(path, particle.atoms, name=particle.formula, comment=comment)]


def _pdb(particle: Particle, path: Path) -> list[Path]:
    """PDB: chain by domain (L for ligands), charge as B factor; serials wrap beyond 99,999."""
    positions, edges = boxed(particle)
    if edges.max() > 9999:
        raise InputError("is too large for PDB columns", file=path, remedy="use extended XYZ")
    a, b, c = edges
    lines = [
        f"REMARK   1 {particle.formula[:60]}",
        *[f"REMARK   2 CHAIN {_chain(k)} {d.name[:50]}" for k, d in enumerate(particle.domains)],
        f"CRYST1{a:9.3f}{b:9.3f}{c:9.3f}{90.0:7.2f}{90.0:7.2f}{90.0:7.2f} P 1           1",
    ]
    for n, (symbol, point, domain, charge) in enumerate(
        zip(particle.symbols, positions, particle.domain, particle.charge, strict=True), 1
    ):
        x, y, z = point
        chain = "L" if domain < 0 else _chain(int(domain))
        lines.append(
            f"HETATM{n % 100000:5d} {symbol.upper():>2s}   NCR {chain}{1:4d}    "
            f"{x:8.3f}{y:8.3f}{z:8.3f}{1.0:6.2f}{charge:6.2f}          {symbol.upper():>2s}"
        )
    lines.append("END")
    return [write_text(path, "\n".join(lines) + "\n")]


def _chain(k: int) -> str:
    return "ABCDEFGHIJKMNOPQRSTUVWXYZ"[k % 25]


def _by_element(particle: Particle) -> tuple[list[str], NDArray[np.int64]]:
    elements = list(particle.composition())
    rank = np.array([elements.index(s) for s in particle.symbols])
    return elements, np.argsort(rank, kind="stable")


def _poscar(particle: Particle, path: Path) -> list[Path]:
    positions, edges = boxed(particle)
    elements, order = _by_element(particle)
    counts = particle.composition()
    lines = [particle.formula, "1.0"]
    lines += [" ".join(f"{x:.10f}" for x in row) for row in np.diag(edges)]
    lines += [" ".join(elements), " ".join(str(counts[e]) for e in elements), "Cartesian"]
    lines += [" ".join(f"{x:.10f}" for x in positions[i]) for i in order]
    return [write_text(path, "\n".join(lines) + "\n")]


def _lammps(particle: Particle, path: Path) -> list[Path]:
    """LAMMPS data file, ``atom_style full``: molecule id is the domain, charges are formal."""
    from ase.data import atomic_masses, atomic_numbers

    positions, edges = boxed(particle)
    elements = list(particle.composition())
    lines = [
        f"{particle.formula}; units metal or real, atom_style full; molecule = domain",
        "",
        f"{len(particle)} atoms",
        f"{len(elements)} atom types",
        "",
        *[f"0.0 {edge:.10f} {axis}lo {axis}hi" for axis, edge in zip("xyz", edges, strict=True)],
        "",
        "Masses",
        "",
        *[f"{n} {atomic_masses[atomic_numbers[e]]:.4f} # {e}" for n, e in enumerate(elements, 1)],
        "",
        "Atoms # full",
        "",
    ]
    kind = {e: n for n, e in enumerate(elements, 1)}
    for n, (symbol, point, domain, charge) in enumerate(
        zip(particle.symbols, positions, particle.domain, particle.charge, strict=True), 1
    ):
        x, y, z = point
        molecule = int(domain) + 1 if domain >= 0 else len(particle.domains) + 1
        lines.append(f"{n} {molecule} {kind[symbol]} {charge:.6f} {x:.10f} {y:.10f} {z:.10f}")
    return [write_text(path, "\n".join(lines) + "\n")]


def _cp2k(particle: Particle, path: Path, settings: Cp2kSettings | None = None) -> list[Path]:
    from heterodot.particle.cp2k import cp2k_input

    return [write_text(path, cp2k_input(particle, path.stem, settings))]


def _xtb(particle: Particle, path: Path) -> list[Path]:
    """Turbomole coordinates (bohr) with the charge, as xTB reads them."""
    from scipy.constants import physical_constants

    bohr = physical_constants["Bohr radius"][0] * 1e10
    positions, _ = boxed(particle)
    lines = ["$coord"]
    lines += [
        f"{x:20.12f} {y:20.12f} {z:20.12f} {s.lower()}"
        for s, (x, y, z) in zip(particle.symbols, positions / bohr, strict=True)
    ]
    lines += ["$eht charge=" + str(round(particle.net_charge)) + " unpaired=0", "$end"]
    return [write_text(path, "\n".join(lines) + "\n")]


def _dftb(particle: Particle, path: Path) -> list[Path]:
    """DFTB+ input (GFN1-xTB, which needs no parameter files) and its geometry."""
    positions, _ = boxed(particle)
    elements, _ = _by_element(particle)
    kind = {e: n for n, e in enumerate(elements, 1)}
    geometry = path.with_suffix(".gen")
    lines = [f"{len(particle)} C", " ".join(elements)]
    lines += [
        f"{n} {kind[s]} {x:.10f} {y:.10f} {z:.10f}"
        for n, (s, (x, y, z)) in enumerate(zip(particle.symbols, positions, strict=True), 1)
    ]
    hsd = path.with_suffix(".hsd")
    control = f"""# {particle.formula}
Geometry = GenFormat {{
  <<< "{geometry.name}"
}}
Driver = {{}}
Hamiltonian = xTB {{
  Method = "GFN1-xTB"
  Charge = {round(particle.net_charge)}
  Filling = Fermi {{ Temperature [Kelvin] = 300 }}
}}
ParserOptions {{ ParserVersion = 12 }}
"""
    return [
        write_text(geometry, "\n".join(lines) + "\n"),
        write_text(hsd, control),
    ]


def to_pymatgen(particle: Particle) -> Any:
    """Return a pymatgen Molecule with domain, role and charge as site properties.

    Raises
    ------
    MissingExtraError
        pymatgen is not installed.
    """
    try:
        from pymatgen.core import Molecule  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise MissingExtraError(
            "pymatgen is not installed", remedy="install it with 'pip install pymatgen'"
        ) from error
    return Molecule(
        list(particle.symbols),
        particle.positions,
        charge=round(particle.net_charge),
        validate_proximity=False,
        site_properties={
            "domain": particle.domain.tolist(),
            "role": particle.role.tolist(),
            "formal_charge": particle.charge.tolist(),
        },
    )


_WRITERS: dict[str, Callable[[Particle, Path], list[Path]]] = {
    "extxyz": _extxyz,
    "cif": _cif,
    "pdb": _pdb,
    "poscar": _poscar,
    "lammps": _lammps,
    "cp2k": _cp2k,
    "xtb": _xtb,
    "dftb": _dftb,
}
