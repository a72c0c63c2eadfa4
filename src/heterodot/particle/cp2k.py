"""A CP2K input for a finite particle: PBE, DZVP-MOLOPT, orbital transformation, output by domain.

Keywords follow the CP2K manual (versions 6 to 2025); the basis sets and potentials named are in
the ``BASIS_MOLOPT`` and ``GTH_POTENTIALS`` files that come with CP2K.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from heterodot.particle.particle import Particle

# valence electrons of the GTH-PBE potentials (file GTH_POTENTIALS of CP2K); elements of which the
# basis file has only the short-range set get that one
VALENCE: dict[str, int] = {
    "H": 1, "C": 4, "N": 5, "O": 6, "F": 7, "Na": 9, "P": 5, "S": 6, "Cl": 7, "K": 9,
    "Mn": 15, "Cu": 11, "Zn": 12, "Se": 6, "Br": 7, "Rb": 9, "Ag": 11, "Cd": 12, "In": 13,
    "Sn": 4, "Te": 6, "I": 7, "Cs": 9, "Au": 11, "Hg": 12, "Tl": 13, "Pb": 4, "Bi": 5,
}  # fmt: skip


def cp2k_input(particle: Particle, edges: NDArray[np.float64], geometry: str, project: str) -> str:
    """Return the input text.

    Parameters
    ----------
    edges : (3,) array
        Box with vacuum, Å.
    geometry : str
        Name of the XYZ file beside it.
    project : str
        Project name of the run.

    Notes
    -----
    Projected densities of states are printed for each domain through ``LDOS`` lists of its atoms,
    which needs the diagonalized orbitals that ``MO_CUBES`` and ``PDOS`` ask of OT by themselves.
    """
    elements = list(particle.composition())
    kinds = "\n".join(_kind(e) for e in elements)
    lists = "\n".join(
        f"        &LDOS\n{_ranges(np.flatnonzero(particle.domain == k) + 1)}\n        &END LDOS"
        for k in range(len(particle.domains))
    )
    names = "; ".join(f"LDOS {k + 1} is {d.name}" for k, d in enumerate(particle.domains))
    a, b, c = edges
    return f"""# {particle.formula}: {names}
&GLOBAL
  PROJECT {_safe(project)}
  RUN_TYPE ENERGY
  PRINT_LEVEL MEDIUM
&END GLOBAL
&FORCE_EVAL
  METHOD Quickstep
  &DFT
    BASIS_SET_FILE_NAME BASIS_MOLOPT
    POTENTIAL_FILE_NAME GTH_POTENTIALS
    CHARGE {round(particle.net_charge)}
    MULTIPLICITY 1
    &MGRID
      CUTOFF 350
      REL_CUTOFF 50
    &END MGRID
    &QS
      EPS_DEFAULT 1.0E-10
    &END QS
    &POISSON
      PERIODIC NONE
      PSOLVER WAVELET
    &END POISSON
    &SCF
      SCF_GUESS ATOMIC
      EPS_SCF 1.0E-6
      MAX_SCF 40
      &OT
        MINIMIZER DIIS
        PRECONDITIONER FULL_SINGLE_INVERSE
      &END OT
      &OUTER_SCF
        EPS_SCF 1.0E-6
        MAX_SCF 20
      &END OUTER_SCF
    &END SCF
    &XC
      &XC_FUNCTIONAL PBE
      &END XC_FUNCTIONAL
    &END XC
    &PRINT
      &MO_CUBES
        NHOMO 2
        NLUMO 2
        WRITE_CUBE .TRUE.
      &END MO_CUBES
      &PDOS
        NLUMO 50
{lists}
      &END PDOS
    &END PRINT
  &END DFT
  &SUBSYS
    &CELL
      ABC {max(a, b, c):.6f} {max(a, b, c):.6f} {max(a, b, c):.6f}
      PERIODIC NONE
    &END CELL
    &TOPOLOGY
      COORD_FILE_FORMAT XYZ
      COORD_FILE_NAME {geometry}
      &CENTER_COORDINATES
      &END CENTER_COORDINATES
    &END TOPOLOGY
{kinds}
  &END SUBSYS
&END FORCE_EVAL
&MOTION
  &GEO_OPT
    OPTIMIZER LBFGS
    MAX_ITER 300
  &END GEO_OPT
&END MOTION
"""


def _kind(element: str) -> str:
    from heterodot.errors import InputError

    if element not in VALENCE:
        raise InputError(
            f"no GTH potential is known here for {element}",
            place="cp2k",
            remedy="export extended XYZ and write the &KIND section by hand",
        )
    return f"""    &KIND {element}
      BASIS_SET DZVP-MOLOPT-SR-GTH
      POTENTIAL GTH-PBE-q{VALENCE[element]}
    &END KIND"""


def _ranges(index: NDArray[np.int64]) -> str:
    """Atom lists in CP2K's ``first..last`` form, a few on each line."""
    if len(index) == 0:
        return ""
    breaks = np.flatnonzero(np.diff(index) > 1)
    first = index[np.concatenate([[0], breaks + 1])]
    last = index[np.concatenate([breaks, [len(index) - 1]])]
    parts = [f"{a}..{b}" if b > a else f"{a}" for a, b in zip(first, last, strict=True)]
    rows = [" ".join(parts[n : n + 8]) for n in range(0, len(parts), 8)]
    return "\n".join(f"          LIST {row}" for row in rows)


def _safe(name: str) -> str:
    return "".join(ch if ch.isalnum() or ch in "-_" else "_" for ch in name) or "particle"
