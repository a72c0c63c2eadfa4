"""CP2K behind our objects: input written, program run and restarted, output parsed.

Quickstep with the Gaussian and plane waves method (VandeVondele et al., Comput. Phys. Commun. 167,
103 (2005)), MOLOPT basis sets and GTH pseudopotentials; finite bodies in a box with a wavelet
Poisson solver. Per-atom weights of the orbitals come from CP2K's projected density of states with
one list per atom, so no overlap matrix has to be rebuilt here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.energy.cp2k_output import Cp2kResult, read_output
from heterodot.errors import InputError, MissingExtraError, NotFoundError
from heterodot.files import write_text
from heterodot.progress import Progress, silent

if TYPE_CHECKING:
    from ase import Atoms

PROGRAMS = ("cp2k.psmp", "cp2k.ssmp", "cp2k.popt", "cp2k.sopt", "cp2k")

#: electrons that the GTH pseudopotentials leave in the valence (files GTH_POTENTIALS of CP2K)
VALENCE = {
    "H": 1, "C": 4, "N": 5, "O": 6, "F": 7, "Na": 9, "Mg": 10, "P": 5, "S": 6, "Cl": 7, "K": 9,
    "Mn": 15, "Cu": 11, "Zn": 12, "Ga": 13, "Ge": 4, "As": 5, "Se": 6, "Br": 7, "Rb": 9, "Ag": 11,
    "Cd": 12, "In": 13, "Sn": 4, "Sb": 5, "Te": 6, "I": 7, "Cs": 9, "Hg": 12, "Pb": 4, "Bi": 5,
}  # fmt: skip


@dataclass(frozen=True)
class Cp2kSettings:
    """What is asked of CP2K.

    Attributes
    ----------
    functional : str
        ``"PBE"``, ``"BLYP"``, ``"PADE"`` (LDA).
    basis : str
        Basis set name in BASIS_MOLOPT.
    cutoff : float
        Plane-wave cutoff of the density, Ry.
    vacuum : float
        Empty space on each side of the body, Å.
    scf_eps : float
        Convergence of the wavefunction.
    max_scf : int
    task : str
        ``"energy"``, ``"force"`` or ``"relax"``.
    max_steps, fmax :
        Of a relaxation; eV/Å.
    n_lumo : int
        Empty orbitals to compute and project.
    cube : tuple of int
        Orbitals to write as cube files, counted from the gap: -1 is the HOMO, 1 the LUMO.
    density : bool
        Write the electron density as a cube file.
    charge : int
        Net charge of the body; has to be said where it is not zero.
    stride : int
        Grid points per cube point.
    """

    functional: str = "PBE"
    basis: str = "DZVP-MOLOPT-SR-GTH"
    cutoff: float = 300.0
    vacuum: float = 6.0
    scf_eps: float = 1e-6
    max_scf: int = 60
    task: str = "force"
    max_steps: int = 100
    fmax: float = 0.05
    n_lumo: int = 10
    cube: tuple[int, ...] = ()
    density: bool = False
    charge: int = 0
    stride: int = 2
    extra: Mapping[str, str] = field(default_factory=dict)


def find_cp2k() -> str:
    """Return the path of a CP2K program, from ``HETERODOT_CP2K`` or PATH.

    Raises
    ------
    MissingExtraError
        There is none.
    """
    asked = os.environ.get("HETERODOT_CP2K")
    for name in (asked, *PROGRAMS) if asked else PROGRAMS:
        found = shutil.which(str(name))
        if found:
            return found
    raise MissingExtraError(
        "CP2K is not on PATH",
        remedy="install it ('apt install cp2k' on Debian, 'conda install -c conda-forge cp2k') or "
        "set HETERODOT_CP2K to the program or to a script that runs it in a container",
    )


def write_input(
    atoms: Atoms,
    folder: str | Path,
    settings: Cp2kSettings | None = None,
    *,
    name: str = "run",
    restart: bool = False,
) -> Path:
    """Write ``<name>.inp`` for a finite body and return its path.

    Raises
    ------
    InputError
        An element without pseudopotential, an odd number of electrons, an unannounced charge.
    """
    settings = settings or Cp2kSettings()
    text = input_text(atoms, settings, name=name, restart=restart)
    return write_text(Path(folder) / f"{name}.inp", text)


def input_text(
    atoms: Atoms, settings: Cp2kSettings, *, name: str = "run", restart: bool = False
) -> str:
    """Return the text of a CP2K input (see `write_input`)."""
    symbols = atoms.get_chemical_symbols()
    electrons = count_electrons(symbols, settings.charge)
    _refuse_charge(atoms, settings.charge)
    edge = float(np.ceil(np.ptp(atoms.positions, axis=0).max() + 2 * settings.vacuum))
    middle = 0.5 * (atoms.positions.max(axis=0) + atoms.positions.min(axis=0))
    coordinates = atoms.positions - middle + edge / 2
    runs = {"energy": "ENERGY", "force": "ENERGY_FORCE", "relax": "GEO_OPT"}
    if settings.task not in runs:
        raise InputError(f"task '{settings.task}'", place="cp2k", remedy=f"one of {list(runs)}")
    spin = electrons % 2
    dft = [
        "BASIS_SET_FILE_NAME BASIS_MOLOPT",
        "POTENTIAL_FILE_NAME GTH_POTENTIALS",
        f"CHARGE {settings.charge}",
        *(["UKS T"] if spin else []),
        f"WFN_RESTART_FILE_NAME {name}-RESTART.wfn",
        "&MGRID",
        f"  CUTOFF {settings.cutoff:g}",
        "  REL_CUTOFF 50",
        "&END MGRID",
        "&QS",
        "  EPS_DEFAULT 1.0E-11",
        "&END QS",
        "&POISSON",
        "  PERIODIC NONE",
        "  POISSON_SOLVER WAVELET",
        "&END POISSON",
        "&SCF",
        f"  SCF_GUESS {'RESTART' if restart else 'ATOMIC'}",
        f"  EPS_SCF {settings.scf_eps:.1E}",
        f"  MAX_SCF {settings.max_scf}",
        "  &OT",
        "    PRECONDITIONER FULL_SINGLE_INVERSE",
        "    MINIMIZER DIIS",
        "  &END OT",
        "  &OUTER_SCF",
        f"    EPS_SCF {settings.scf_eps:.1E}",
        "    MAX_SCF 10",
        "  &END OUTER_SCF",
        "&END SCF",
        "&XC",
        f"  &XC_FUNCTIONAL {settings.functional}",
        "  &END XC_FUNCTIONAL",
        "&END XC",
        *_print_section(len(atoms), settings, electrons),
    ]
    subsys = [
        "&CELL",
        f"  ABC {edge:.4f} {edge:.4f} {edge:.4f}",
        "  PERIODIC NONE",
        "&END CELL",
        "&COORD",
        *[
            f"  {symbol} {x:.10f} {y:.10f} {z:.10f}"
            for symbol, (x, y, z) in zip(symbols, coordinates, strict=True)
        ],
        "&END COORD",
    ]
    for element in sorted(set(symbols)):
        subsys += [
            f"&KIND {element}",
            f"  BASIS_SET {settings.basis}",
            f"  POTENTIAL GTH-{settings.functional}-q{VALENCE[element]}",
            "&END KIND",
        ]
    lines = [
        "&GLOBAL",
        f"  PROJECT {name}",
        f"  RUN_TYPE {runs[settings.task]}",
        "  PRINT_LEVEL MEDIUM",
        "&END GLOBAL",
        "&FORCE_EVAL",
        "  METHOD QUICKSTEP",
        "  &DFT",
        *[f"    {line}" for line in dft],
        "  &END DFT",
        "  &SUBSYS",
        *[f"    {line}" for line in subsys],
        "  &END SUBSYS",
        "  &PRINT",
        "    &FORCES ON",
        "    &END FORCES",
        "  &END PRINT",
        "&END FORCE_EVAL",
    ]
    if settings.task == "relax":
        from scipy import constants as c

        hartree_bohr = c.physical_constants["Hartree energy in eV"][0] / (
            c.physical_constants["Bohr radius"][0] * 1e10
        )
        lines += [
            "&MOTION",
            "  &GEO_OPT",
            "    OPTIMIZER LBFGS",
            f"    MAX_ITER {settings.max_steps}",
            f"    MAX_FORCE {settings.fmax / hartree_bohr:.3E}",
            "  &END GEO_OPT",
            "&END MOTION",
        ]
    return "\n".join(lines) + "\n"


def _print_section(n: int, settings: Cp2kSettings, electrons: int) -> list[str]:
    lines = ["&PRINT"]
    if settings.n_lumo:
        lines += ["  &PDOS", f"    NLUMO {settings.n_lumo}", "    COMPONENTS F"]
        for atom in range(1, n + 1):
            lines += ["    &LDOS", f"      LIST {atom}", "    &END LDOS"]
        lines.append("  &END PDOS")
    if settings.cube:
        below = max([-k for k in settings.cube if k < 0], default=0)
        above = max([k for k in settings.cube if k > 0], default=0)
        lines += [
            "  &MO_CUBES",
            f"    NHOMO {below}",
            f"    NLUMO {above}",
            f"    STRIDE {settings.stride}",
            "    WRITE_CUBE T",
            "  &END MO_CUBES",
        ]
    if settings.density:
        lines += ["  &E_DENSITY_CUBE", f"    STRIDE {settings.stride}", "  &END E_DENSITY_CUBE"]
    del electrons
    lines.append("&END PRINT")
    return lines


def count_electrons(symbols: Sequence[str], charge: int = 0) -> int:
    """Return the valence electrons of a body under the GTH pseudopotentials.

    Raises
    ------
    InputError
        An element that is not in the table.

    Examples
    --------
    >>> count_electrons(["Pb", "S"])
    10
    """
    missing = sorted(set(symbols) - set(VALENCE))
    if missing:
        raise InputError(
            f"no pseudopotential is chosen for {', '.join(missing)}",
            place="cp2k",
            remedy="add the element to VALENCE in energy/cp2k.py with its GTH valence",
        )
    return sum(VALENCE[s] for s in symbols) - charge


def _refuse_charge(atoms: Atoms, charge: int) -> None:
    if "charge" not in atoms.arrays:
        return
    found = float(np.asarray(atoms.arrays["charge"]).sum())
    if abs(found - charge) > 1e-3:
        raise InputError(
            f"the formal charges add up to {found:+g}, but CP2K would be told {charge:+d}",
            place="cp2k",
            remedy="neutralize the particle, or say the charge that is meant",
        )


def run_cp2k(
    atoms: Atoms,
    folder: str | Path,
    settings: Cp2kSettings | None = None,
    *,
    name: str = "run",
    threads: int = 1,
    timeout: float | None = None,
    restart: bool = True,
    progress: Progress = silent,
) -> Cp2kResult:
    """Run CP2K in a folder and return what it found; go on from a run that stopped half-way.

    If the folder holds a finished output of the same input, it is read instead of run again. If it
    holds wavefunctions of a run that did not finish, they are the starting guess.

    Parameters
    ----------
    atoms : ase.Atoms
    folder : path
        Made if it is not there; all files stay in it.
    settings : Cp2kSettings
    threads : int
        OpenMP threads.
    timeout : float, optional
        Seconds after which it is stopped (and can be restarted).
    restart : bool
        Whether to use what an earlier run left.

    Raises
    ------
    MissingExtraError
        CP2K is not installed.
    NotFoundError
        It stopped half-way or did not converge; the message says how to go on.
    """
    settings = settings or Cp2kSettings()
    program = find_cp2k()
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    output = place / f"{name}.out"
    old = place / f"{name}.inp"
    fresh = input_text(atoms, settings, name=name)
    wavefunctions = place / f"{name}-RESTART.wfn"
    again = restart and wavefunctions.exists() and wavefunctions.stat().st_size > 0
    if restart and output.exists() and old.exists():
        same = old.read_text() in (fresh, input_text(atoms, settings, name=name, restart=True))
        if same:
            try:
                return read_output(output)
            except (InputError, NotFoundError):
                pass  # it stopped half-way: go on below
    write_input(atoms, place, settings, name=name, restart=again)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    began = time.monotonic()
    with open(output, "wb") as stream:
        process = subprocess.Popen(
            [program, "-i", f"{name}.inp"],
            cwd=place,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        try:
            while process.poll() is None:
                time.sleep(0.2)
                passed = time.monotonic() - began
                progress(f"CP2K: {passed:.0f} s", passed / (timeout or (passed + 60.0)))
                if timeout is not None and passed > timeout:
                    process.terminate()
                    process.wait(10)
                    raise NotFoundError(
                        f"CP2K was stopped after {timeout:.0f} s",
                        file=output,
                        remedy="run the same command again: it goes on from its wavefunctions",
                    )
        except BaseException:
            if process.poll() is None:
                process.terminate()
            raise
    if process.returncode != 0:
        tail = output.read_text(errors="replace").strip().splitlines()[-12:]
        said = next((x.strip(" *") for x in tail if "error" in x.lower()), tail[-1] if tail else "")
        raise NotFoundError(
            f"CP2K ended with code {process.returncode} ({said[:120]})",
            file=output,
            remedy="see the end of the file; the same command goes on from its wavefunctions",
        )
    return read_output(output)


def cp2k_calculator(
    folder: str | Path, settings: Cp2kSettings | None = None, **options: Any
) -> Any:
    """Return an ASE calculator that runs CP2K in a folder (one sub-folder a geometry)."""
    from ase.calculators.calculator import Calculator, all_changes

    base = settings or Cp2kSettings()

    class _Cp2k(Calculator):  # type: ignore[misc]
        implemented_properties = ("energy", "forces")

        def __init__(self) -> None:
            super().__init__()
            self.count = 0

        def calculate(
            self,
            atoms: Any = None,
            properties: Any = ("energy",),
            system_changes: Any = all_changes,
        ) -> None:
            super().calculate(atoms, properties, system_changes)
            asked = replace(base, task="force", n_lumo=0, cube=(), density=False)
            place = Path(folder) / f"step-{self.count:04d}"
            self.count += 1
            result = run_cp2k(self.atoms, place, asked, **options)
            self.results["energy"] = result.energy
            self.results["forces"] = _forces_of(result)

    return _Cp2k()


def _forces_of(result: Cp2kResult) -> NDArray[np.float64]:
    if result.forces is None:
        raise NotFoundError("CP2K printed no forces", remedy="set task='force'")
    return result.forces
