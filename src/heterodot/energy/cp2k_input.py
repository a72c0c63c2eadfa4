"""The CP2K input of a finite body: Quickstep, MOLOPT basis, orbital transformation, output by domain.

Quickstep with the Gaussian and plane waves method (VandeVondele et al., Comput. Phys. Commun. 167,
103 (2005)), MOLOPT basis sets and GTH pseudopotentials; finite bodies in a box with a wavelet
Poisson solver. The basis sets and potentials named are in the files ``BASIS_MOLOPT`` and
``GTH_POTENTIALS`` that come with CP2K.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.errors import InputError, nearest
from heterodot.files import write_text

if TYPE_CHECKING:
    from ase import Atoms

#: electrons that the GTH pseudopotentials leave in the valence (files GTH_POTENTIALS of CP2K)
VALENCE = {
    "H": 1, "C": 4, "N": 5, "O": 6, "F": 7, "Na": 9, "Mg": 10, "P": 5, "S": 6, "Cl": 7, "K": 9,
    "Mn": 15, "Cu": 11, "Zn": 12, "Ga": 13, "Ge": 4, "As": 5, "Se": 6, "Br": 7, "Rb": 9, "Ag": 11,
    "Cd": 12, "In": 13, "Sn": 4, "Sb": 5, "Te": 6, "I": 7, "Cs": 9, "Au": 11, "Hg": 12, "Tl": 13,
    "Pb": 4, "Bi": 5,
}  # fmt: skip

TASKS = {"energy": "ENERGY", "force": "ENERGY_FORCE", "relax": "GEO_OPT"}
LISTED = 300
"""Up to this many atoms each gets its own list of projected states by default: every list is a file
with a line for each occupied orbital, so 1,000 atoms would fill half a gigabyte."""


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
        Inner steps; 20 outer loops of them.
    solver : str
        ``"OT"`` (needs a gap, scales best) or ``"diagonalization"`` (also writes all orbitals and
        the basis set to a Molden file, from which populations of any group follow).
    task : str
        ``"energy"``, ``"force"`` or ``"relax"``.
    max_steps, fmax :
        Of a relaxation; eV/Å.
    n_lumo : int
        Empty orbitals to compute and project.
    lists : str
        Which groups of atoms get projected states: ``"atoms"``, ``"domains"``, ``"both"``,
        ``"none"``, or ``"auto"``: both up to 300 atoms, domains above.
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
    max_scf: int = 40
    solver: str = "OT"
    task: str = "force"
    max_steps: int = 100
    fmax: float = 0.05
    n_lumo: int = 10
    lists: str = "auto"
    cube: tuple[int, ...] = ()
    density: bool = False
    charge: int = 0
    stride: int = 2
    fixed: tuple[int, ...] = field(default=())

    def __post_init__(self) -> None:
        """Refuse what CP2K would only trip over later."""
        for name, known in (
            ("task", tuple(TASKS)),
            ("solver", ("OT", "diagonalization")),
            ("lists", ("auto", "atoms", "domains", "both", "none")),
        ):
            value = getattr(self, name)
            if value not in known:
                raise InputError(
                    f"{name} '{value}' is not known", place="cp2k", remedy=f"one of {list(known)}"
                )
        for name in ("cutoff", "vacuum", "scf_eps", "fmax", "max_scf", "stride"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is not above zero", place="cp2k")


def settings_from(texts: Sequence[str], start: Cp2kSettings | None = None) -> Cp2kSettings:
    """Return settings with texts such as ``"cutoff=200"`` applied.

    Raises
    ------
    InputError
        No such setting, or a value of another kind.

    Examples
    --------
    >>> settings_from(["cutoff=200", "cube=-1,1", "density=yes"]).cube
    (-1, 1)
    """
    base = start or Cp2kSettings()
    known = {f.name: getattr(Cp2kSettings(), f.name) for f in dataclasses.fields(Cp2kSettings)}
    changes: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or name not in known:
            close = nearest(name, known)
            raise InputError(
                f"'{text}' is not a setting of CP2K",
                place="--set",
                remedy=f"did you mean {close[0]}=...?" if close else f"one of {', '.join(known)}",
            )
        try:
            changes[name] = _as_kind(value.strip(), known[name])
        except ValueError:
            raise InputError(
                f"'{value}' is no value of {name}", place="--set", remedy=f"e.g. {known[name]!r}"
            ) from None
    return dataclasses.replace(base, **changes)


def _as_kind(value: str, like: Any) -> Any:
    if isinstance(like, bool):
        if value.lower() not in ("yes", "no", "true", "false", "1", "0"):
            raise ValueError(value)
        return value.lower() in ("yes", "true", "1")
    if isinstance(like, tuple):
        return tuple(int(part) for part in value.split(",") if part)
    return type(like)(value)


def write_input(
    atoms: Atoms,
    folder: str | Path,
    settings: Cp2kSettings | None = None,
    *,
    name: str = "run",
    restart: bool = False,
    domains: Mapping[str, ArrayLike] | None = None,
) -> Path:
    """Write ``<name>.inp`` for a finite body and return its path.

    Raises
    ------
    InputError
        An element without pseudopotential, an unannounced charge.
    """
    settings = settings or Cp2kSettings()
    text = input_text(atoms, settings, name=name, restart=restart, domains=domains)
    return write_text(Path(folder) / f"{name}.inp", text)


def input_text(
    atoms: Atoms,
    settings: Cp2kSettings,
    *,
    name: str = "run",
    restart: bool = False,
    domains: Mapping[str, ArrayLike] | None = None,
) -> str:
    """Return the text of a CP2K input.

    Parameters
    ----------
    atoms : ase.Atoms
    settings : Cp2kSettings
    name : str
        Project name.
    restart : bool
        Start from the wavefunctions that an earlier run left.
    domains : mapping of name to (m,) int array, optional
        Atoms (from 0) of each domain, which get a list of projected states of their own.
    """
    symbols = atoms.get_chemical_symbols()
    electrons = count_electrons(symbols, settings.charge)
    _refuse_charge(atoms, settings.charge)
    edge = float(np.ceil(np.ptp(atoms.positions, axis=0).max() + 2 * settings.vacuum))
    middle = 0.5 * (atoms.positions.max(axis=0) + atoms.positions.min(axis=0))
    coordinates = atoms.positions - middle + edge / 2
    dft = [
        "BASIS_SET_FILE_NAME BASIS_MOLOPT",
        "POTENTIAL_FILE_NAME GTH_POTENTIALS",
        f"CHARGE {settings.charge}",
        *(["UKS T"] if electrons % 2 else []),
        f"WFN_RESTART_FILE_NAME {name}-RESTART.wfn",
        *_block("MGRID", f"CUTOFF {settings.cutoff:g}", "REL_CUTOFF 50"),
        *_block("QS", "EPS_DEFAULT 1.0E-11"),
        *_block("POISSON", "PERIODIC NONE", "POISSON_SOLVER WAVELET"),
        *_scf(settings, restart),
        *_block("XC", *_block(f"XC_FUNCTIONAL {settings.functional}")),
        *_print_section(len(atoms), settings, domains or {}),
    ]
    subsys = [
        *_block("CELL", f"ABC {edge:.4f} {edge:.4f} {edge:.4f}", "PERIODIC NONE"),
        *_block(
            "COORD",
            *[
                f"{symbol} {x:.10f} {y:.10f} {z:.10f}"
                for symbol, (x, y, z) in zip(symbols, coordinates, strict=True)
            ],
        ),
    ]
    for element in sorted(set(symbols)):
        potential = f"POTENTIAL GTH-{settings.functional}-q{VALENCE[element]}"
        subsys += _block(f"KIND {element}", f"BASIS_SET {settings.basis}", potential)
    lines = [
        *[f"# list {k} is {n}" for k, n in enumerate(domains or {}, 1)],
        *_block(
            "GLOBAL",
            f"PROJECT {name}",
            f"RUN_TYPE {TASKS[settings.task]}",
            "PRINT_LEVEL MEDIUM",
        ),
        *_block(
            "FORCE_EVAL",
            "METHOD QUICKSTEP",
            *_block("DFT", *dft),
            *_block("SUBSYS", *subsys),
            *_block("PRINT", *_block("FORCES ON")),
        ),
        *_motion(settings),
    ]
    return "\n".join(lines) + "\n"


def _block(head: str, *inner: str) -> list[str]:
    return [f"&{head}", *[f"  {line}" for line in inner], f"&END {head.split()[0]}"]


def _scf(settings: Cp2kSettings, restart: bool) -> list[str]:
    lines = [
        f"SCF_GUESS {'RESTART' if restart else 'ATOMIC'}",
        f"EPS_SCF {settings.scf_eps:.1E}",
        f"MAX_SCF {settings.max_scf}",
    ]
    if settings.solver == "OT":
        lines += _block("OT", "PRECONDITIONER FULL_SINGLE_INVERSE", "MINIMIZER DIIS")
        lines += _block("OUTER_SCF", f"EPS_SCF {settings.scf_eps:.1E}", "MAX_SCF 20")
    else:
        lines[-1] = f"MAX_SCF {20 * settings.max_scf}"
        lines += [f"ADDED_MOS {settings.n_lumo}", *_block("DIAGONALIZATION")]
        lines += _block("MIXING", "METHOD BROYDEN_MIXING", "ALPHA 0.3", "NBUFFER 8")
    return _block("SCF", *lines)


def _print_section(n: int, settings: Cp2kSettings, domains: Mapping[str, ArrayLike]) -> list[str]:
    lines: list[str] = []
    if settings.n_lumo:
        wanted = settings.lists
        if wanted == "auto":
            wanted = "both" if n <= LISTED else "domains"
        lists: list[str] = []
        if wanted in ("both", "domains"):
            for index in domains.values():
                rows = _ranges(np.sort(np.asarray(index, dtype=np.int64)) + 1)
                lists += _block("LDOS", *[f"LIST {row}" for row in rows])
        if wanted in ("both", "atoms"):
            for atom in range(1, n + 1):
                lists += _block("LDOS", f"LIST {atom}")
        lines += _block("PDOS", f"NLUMO {settings.n_lumo}", "COMPONENTS F", *lists)
    if settings.solver == "diagonalization":
        lines += _block("MO_MOLDEN", "NDIGITS 9")
    if settings.cube:
        below = max([-k for k in settings.cube if k < 0], default=0)
        above = max([k for k in settings.cube if k > 0], default=0)
        lines += _block(
            "MO_CUBES",
            f"NHOMO {below}",
            f"NLUMO {above}",
            f"STRIDE {settings.stride}",
            "WRITE_CUBE T",
        )
    if settings.density:
        lines += _block("E_DENSITY_CUBE", f"STRIDE {settings.stride}")
    return _block("PRINT", *lines)


def _motion(settings: Cp2kSettings) -> list[str]:
    if settings.task != "relax":
        return []
    from heterodot.energy.cp2k_output import bohr, hartree

    lines = _block(
        "GEO_OPT",
        "OPTIMIZER LBFGS",
        f"MAX_ITER {settings.max_steps}",
        f"MAX_FORCE {settings.fmax / (hartree() / bohr()):.3E}",
        f"RMS_FORCE {settings.fmax / (hartree() / bohr()):.3E}",
        "MAX_DR 1.0E-1",
        "RMS_DR 1.0E-1",
    )
    if settings.fixed:
        rows = [f"LIST {row}" for row in _ranges(np.sort(np.array(settings.fixed)) + 1)]
        lines += _block("CONSTRAINT", *_block("FIXED_ATOMS", *rows))
    return _block("MOTION", *lines)


def _ranges(index: NDArray[np.int64]) -> list[str]:
    """Return atom numbers in CP2K's ``first..last`` form, eight to a line.

    Examples
    --------
    >>> _ranges(np.array([1, 2, 3, 7]))
    ['1..3 7']
    """
    if len(index) == 0:
        return []
    breaks = np.flatnonzero(np.diff(index) > 1)
    first = index[np.concatenate([[0], breaks + 1])]
    last = index[np.concatenate([breaks, [len(index) - 1]])]
    parts = [f"{a}..{b}" if b > a else f"{a}" for a, b in zip(first, last, strict=True)]
    return [" ".join(parts[k : k + 8]) for k in range(0, len(parts), 8)]


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
            remedy="add the element to VALENCE in energy/cp2k_input.py with its GTH valence",
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
