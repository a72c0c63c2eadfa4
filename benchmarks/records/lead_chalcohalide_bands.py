"""Masses, gaps and the valence offset of Pb4S3X2: where those records of the catalog come from.

Needs CP2K (``cp2k.psmp``; used: 2023.1). PBE, DZVP-MOLOPT-SR-GTH, k points; matrices in real space
are read back, spin-orbit coupling is added on the p orbitals (``lambda L·sigma`` with 0.53 eV for Pb,
a third of the atomic splittings for S, Cl, Br), and the extrema of the bands are searched.

    python lead_chalcohalide_bands.py input Pb4S3Br2 "3 2 3" > bulk/run.inp     # then run CP2K there
    python lead_chalcohalide_bands.py masses bulk
    python lead_chalcohalide_bands.py superlattice 3 > layers/run.inp           # then run CP2K there
    python lead_chalcohalide_bands.py offset layers

What came out is in ``catalog/data/properties/computed.yaml``. Checks of the method: PbS 0.37 eV
without and 0.14 eV with spin-orbit coupling, cubic CsPbBr3 1.68 and 0.87 eV. The superlattice is not
relaxed; its plateaus of the potential are flat to 0.06 eV.
"""

import re
import sys
from pathlib import Path

import numpy as np
from scipy.constants import physical_constants
from scipy.linalg import eigh
from scipy.optimize import minimize

from heterodot.catalog import crystal
from heterodot.electronic.confinement import kinetic
from heterodot.electronic.tight_binding import spin_orbit_matrix

HARTREE = physical_constants["Hartree energy in eV"][0]
BOHR = physical_constants["Bohr radius"][0] * 1e10
VALENCE = {"Pb": 4, "S": 6, "Br": 7, "Cl": 7, "Cs": 9}
FUNCTIONS = {"Pb": 13, "S": 13, "Br": 13, "Cl": 13}  # basis functions; Cs has the rest
COUPLING = {"Pb": 0.53, "S": 0.0247, "Br": 0.152, "Cl": 0.0364}  # eV, factor of L·sigma

INPUT = """&GLOBAL
  PROJECT run
  RUN_TYPE ENERGY
&END GLOBAL
&FORCE_EVAL
  METHOD QUICKSTEP
  &DFT
    BASIS_SET_FILE_NAME BASIS_MOLOPT
    POTENTIAL_FILE_NAME GTH_POTENTIALS
    &MGRID
      CUTOFF {cutoff}
      REL_CUTOFF 40
    &END MGRID
    &SCF
      EPS_SCF {precision}
      MAX_SCF 60
      ADDED_MOS 20
      &MIXING
        METHOD BROYDEN_MIXING
        ALPHA 0.25
        NBROYDEN 8
      &END MIXING
    &END SCF
    &XC
      &XC_FUNCTIONAL PBE
      &END XC_FUNCTIONAL
    &END XC
    &KPOINTS
      SCHEME MONKHORST-PACK {k}
      FULL_GRID .FALSE.
      SYMMETRY .FALSE.
    &END KPOINTS
    &PRINT
{wanted}
    &END PRINT
  &END DFT
  &SUBSYS
    &CELL
{cell}
    &END CELL
    &COORD
{atoms}
    &END COORD
{kinds}
  &END SUBSYS
&END FORCE_EVAL"""
MATRICES = "\n".join(
    f"      &{name}_CSR_WRITE\n        REAL_SPACE .TRUE.\n        THRESHOLD 1E-7\n"
    f"      &END {name}_CSR_WRITE"
    for name in ("KS", "S")
)
POTENTIAL = "      &V_HARTREE_CUBE\n        STRIDE 2 2 1\n      &END V_HARTREE_CUBE"


def write_input(symbols, positions, cell, k, wanted, cutoff=300, precision="1E-5"):
    """Print a CP2K input."""
    kinds = "\n".join(
        f"    &KIND {e}\n      BASIS_SET DZVP-MOLOPT-SR-GTH\n      POTENTIAL GTH-PBE-q{VALENCE[e]}\n"
        "    &END KIND"
        for e in sorted(set(symbols))
    )
    rows = [f"      {s} {x:.8f} {y:.8f} {z:.8f}" for s, (x, y, z) in zip(symbols, positions)]  # noqa: B905
    axes = [f"      {name} {x:.8f} {y:.8f} {z:.8f}" for name, (x, y, z) in zip("ABC", cell)]  # noqa: B905
    print(
        INPUT.format(
            k=k, wanted=wanted, cutoff=cutoff, precision=precision, cell="\n".join(axes),
            atoms="\n".join(rows), kinds=kinds,
        )
    )  # fmt: skip


def superlattice(layers):
    """Print the input of CsPbBr3 with ``layers`` PbBr2 planes on Pb4S3Br2, sharing its lead planes.

    Pb4S3Br2 is cut at y = 0, between its two sheets of lead. Bromide stands 2.95 Å above each lead of
    the sheet; the cell leans so that both sheets meet the same perovskite columns.
    """
    atoms = crystal("Pb4S3Br2").atoms
    a, b, c = atoms.cell.lengths()
    scaled = atoms.get_scaled_positions() % 1.0
    symbols = list(atoms.get_chemical_symbols())
    places = [(s[0] * a, s[2] * c, s[1] * b) for s in scaled]
    edge, above = float(crystal("CsPbBr3_cubic").cell[0, 0]), 2.95
    top = 0.941176 * b
    columns = [(0.794, 0.0), (1.294, 0.5)]
    for i in range(2 * layers + 1):
        z = top + above + i * edge / 2
        for u, w in columns:
            if i % 2:
                sheet = [("Pb", u, w), ("Br", u + 0.25, w + 0.25), ("Br", u + 0.25, w - 0.25)]
            else:
                sheet = [("Br", u, w), ("Cs", u + 0.5, w)]
            for symbol, x, y in sheet:
                symbols.append(symbol)
                places.append((x * a, y * c, z))
    height = top + 2 * above + layers * edge - 0.058824 * b
    cell = [(a, 0, 0), (0, c, 0), (-0.088 * a, 0.5 * c, height)]
    write_input(symbols, places, cell, "2 2 1", POTENTIAL, 250, "1E-4")


class Bands:
    """Bands of a finished run, from its matrices in real space."""

    def __init__(self, folder, window=30):
        text, given = (Path(folder, name).read_text() for name in ("run.out", "run.inp"))
        self.cell = np.array(
            [[float(x) for x in row.split()] for row in re.findall(r"^\s+[ABC] (.*)$", given, re.M)]
        )
        rows = re.search(r"&COORD\n(.*?)\s+&END COORD", given, re.S)[1].strip().split("\n")
        self.symbols = [row.split()[0] for row in rows]
        self.filled = sum(VALENCE[s] for s in self.symbols) // 2
        self.window = window
        found = {name: self._read(folder, name, text) for name in ("KS", "S")}
        self.size = max(int(table[:, :2].max()) for _, table in found["S"] if table.size)
        self.matrices = {name: self._full(tables) for name, tables in found.items()}
        cesium = self.size - sum(FUNCTIONS[s] for s in self.symbols if s != "Cs")
        functions = {**FUNCTIONS, "Cs": cesium // max(self.symbols.count("Cs"), 1)}
        self.starts = np.cumsum([0] + [functions[s] for s in self.symbols])

    @staticmethod
    def _read(folder, name, text):
        listed = re.search(name + r" CSR write\|.*?\n.*?\n((?:(?:\s+-?\d+){4}\s*\n)+)", text)[1]
        tables = []
        for row in listed.strip().split("\n"):
            number, *place = (int(x) for x in row.split())
            path = Path(folder, f"run-{name}_SPIN_1_R_{number}-1_0.csr")
            table = np.loadtxt(path, ndmin=2) if path.stat().st_size else np.zeros((0, 3))
            tables.append((tuple(place), table))
        return tables

    def _full(self, tables):
        """Both triangles: the files hold the upper one of each cell."""
        made = {}
        for place, table in tables:
            i, j = table[:, :2].astype(int).T - 1
            for key, row, column in ((place, i, j), (tuple(-x for x in place), j, i)):
                matrix = made.setdefault(key, np.zeros((self.size, self.size)))
                matrix[row, column] = table[:, 2]
        return made

    def at(self, k):
        """Return energies (eV) and the number of filled ones at a reduced k."""
        h, s = (
            sum(m * np.exp(2j * np.pi * np.dot(k, place)) for place, m in self.matrices[n].items())
            for n in ("KS", "S")
        )
        low = max(0, self.filled - self.window)
        high = min(self.size - 1, self.filled + self.window)
        energy, states = eigh(h, s, subset_by_index=[low, high])
        full = np.kron(np.diag(energy * HARTREE), np.eye(2)).astype(complex)
        seen = s @ states
        for atom, symbol in enumerate(self.symbols):
            if symbol in COUPLING:  # first p shell: after two s functions, ordered y, z, x
                p = [self.starts[atom] + 2 + m for m in (2, 0, 1)]
                own = np.kron(seen[p] / np.sqrt(s[p, p].real)[:, None], np.eye(2))
                full += COUPLING[symbol] * own.conj().T @ spin_orbit_matrix() @ own
        return np.linalg.eigvalsh(full), 2 * (self.filled - low)

    def edge(self, k, kind):
        """Return the edge of a band at k, counted upward into the band."""
        energy, filled = self.at(k)
        return energy[filled] if kind == "electron" else -energy[filled - 1]

    def masses(self, k, kind, step=0.03):
        """Return the principal masses at an extremum, m_e; ``step`` in 1/Å."""
        to_reduced = self.cell.T / (2 * np.pi)

        def value(*steps):
            return self.edge(np.array(k) + to_reduced.T @ (step * np.array(steps)), kind)

        middle, inverse = value(0, 0, 0), np.zeros((3, 3))
        unit = np.eye(3)
        for i in range(3):
            inverse[i, i] = value(*unit[i]) + value(*-unit[i]) - 2 * middle
            for j in range(i):
                pairs = [value(*(p * unit[i] + q * unit[j])) for p in (1, -1) for q in (1, -1)]
                inverse[i, j] = inverse[j, i] = (pairs[0] - pairs[1] - pairs[2] + pairs[3]) / 4
        return 1 / np.linalg.eigvalsh(inverse / step**2 / (2 * kinetic()))


def print_masses(folder):
    """Search the extrema from a grid of k and print masses and gap."""
    bands = Bands(folder)
    grid = [np.array([i / 10, j / 6, k / 10]) for i in range(6) for j in range(4) for k in range(6)]
    ends = {}
    for kind in ("hole", "electron"):
        best = min(grid, key=lambda k: bands.edge(k, kind))
        found = minimize(
            bands.edge, best + 0.01, (kind,), method="Nelder-Mead", options={"maxfev": 70}
        )
        masses = bands.masses(found.x, kind)
        ends[kind] = found.fun
        print(f"{kind}: k = {found.x.round(3)}, edge {found.fun:.3f} eV, masses {masses.round(3)}, "
              f"harmonic mean {3 / (1 / masses).sum():.3f} m_e")  # fmt: skip
    print(f"gap {ends['hole'] + ends['electron']:.3f} eV")


def print_offset(folder):
    """Print the macroscopic averages of the potential in both materials, eV."""
    (path,) = Path(folder).glob("*artree*.cube")
    lines = path.read_text().splitlines()
    atoms = int(lines[2].split()[0])
    counts = [int(lines[3 + k].split()[0]) for k in range(3)]
    step = float(lines[5].split()[3]) * BOHR
    values = np.array(" ".join(lines[6 + atoms :]).split(), float).reshape(counts)
    plane = values.mean(axis=(0, 1)) * HARTREE
    given = Path(folder, "run.inp").read_text()
    cesium = [float(z) for z in re.findall(r"^ +Cs \S+ \S+ (\S+)$", given, re.M)]
    half = float(crystal("Pb4S3Br2").cell[1, 1]) / 2
    for name, period, middle in (
        ("CsPbBr3", float(crystal("CsPbBr3_cubic").cell[0, 0]), (min(cesium) + max(cesium)) / 2),
        ("Pb4S3Br2", half, half),
    ):
        width = round(period / step)
        smooth = np.convolve(np.tile(plane, 3), np.ones(width) / width, "same")
        inside = [smooth[len(plane) + round((middle + s) / step)] for s in (-2, -1, 0, 1, 2)]
        print(f"{name}: {np.mean(inside):.3f} eV, spread {np.ptp(inside):.3f} eV")
    print("valence edge of each: this plus its bulk edge against the mean potential (masses)")


if __name__ == "__main__":
    task, *rest = sys.argv[1:] or ["help"]
    if task == "input":
        chosen = crystal(rest[0]).atoms
        write_input(
            chosen.get_chemical_symbols(), chosen.positions, chosen.cell.array, rest[1], MATRICES
        )
    elif task == "superlattice":
        superlattice(int(rest[0]))
    elif task == "masses":
        print_masses(rest[0])
    elif task == "offset":
        print_offset(rest[0])
    else:
        print(__doc__)
