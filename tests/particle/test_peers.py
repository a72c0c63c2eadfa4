"""Other programs open what is exported; each test is skipped where its program is not there."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from heterodot.errors import MissingExtraError
from heterodot.particle import Particle, build
from heterodot.particle.export import export, to_pymatgen
from heterodot.particle.ligands import passivate


@cache
def capped() -> Particle:
    """A small cube with every element of organic ligands."""
    bare = build("CsPbBr3", "cube", "2 cells", termination_a="CsBr")
    return passivate(passivate(bare, "acetate", coverage=0.1), "butylammonium", coverage=0.15)


def agree(symbols: list[str], positions: np.ndarray, tolerance: float = 1e-6) -> None:
    """Same composition and the same distances between all atoms."""
    ours = capped()
    assert Counter(symbols) == Counter(ours.symbols)
    upper = np.triu_indices(len(ours), 1)

    def distances(points: np.ndarray) -> np.ndarray:
        return np.sort(np.linalg.norm(points[:, None] - points[None], axis=-1)[upper])

    np.testing.assert_allclose(distances(positions), distances(ours.positions), atol=tolerance)


def test_ligands_bring_their_elements() -> None:
    assert {"H", "C", "N", "O"} <= set(capped().symbols)


@pytest.mark.engine
@pytest.mark.parametrize("name", ["POSCAR", "a.cif", "a.data"])
def test_pymatgen_opens(name: str, tmp_path: Path) -> None:
    pytest.importorskip("pymatgen", reason="pymatgen is not installed")
    from pymatgen.core import Structure  # type: ignore[import-not-found,unused-ignore]
    from pymatgen.io.lammps.data import LammpsData  # type: ignore[import-not-found,unused-ignore]

    export(capped(), tmp_path / name)
    if name == "a.data":
        found = LammpsData.from_file(str(tmp_path / name), atom_style="full").structure
        assert sum(found.site_properties["charge"]) == pytest.approx(0.0, abs=1e-9)
    else:
        found = Structure.from_file(str(tmp_path / name))
    agree([s.symbol for s in found.species], found.cart_coords)


@pytest.mark.engine
def test_pymatgen_molecule() -> None:
    pytest.importorskip("pymatgen", reason="pymatgen is not installed")
    found = to_pymatgen(capped())
    agree([s.symbol for s in found.species], found.cart_coords)
    assert found.site_properties["domain"] == capped().domain.tolist()


def test_absent_pymatgen_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pymatgen", None)
    monkeypatch.setitem(sys.modules, "pymatgen.core", None)
    with pytest.raises(MissingExtraError, match="pip install pymatgen"):
        to_pymatgen(capped())


@pytest.mark.engine
@pytest.mark.parametrize("name", ["a.pdb", "a.xyz"])
def test_mdanalysis_opens(name: str, tmp_path: Path) -> None:
    mda = pytest.importorskip("MDAnalysis", reason="MDAnalysis is not installed")
    export(capped(), tmp_path / name)
    atoms = mda.Universe(str(tmp_path / name)).atoms
    elements = atoms.elements if name == "a.pdb" else atoms.names
    agree([str(e) for e in elements], atoms.positions.astype(float), 3e-3)
    if name == "a.pdb":
        assert "L" in set(atoms.chainIDs)


@pytest.mark.engine
def test_lammps_reads_the_data_file(tmp_path: Path) -> None:
    program = shutil.which("lmp")
    if program is None:
        pytest.skip("LAMMPS is not installed")
    export(capped(), tmp_path / "a.data")
    (tmp_path / "in.lmp").write_text(
        "units metal\natom_style full\nboundary f f f\nread_data a.data\npair_style coul/cut 8\n"
        'pair_coeff * *\nrun 0\nprint "read $(atoms) atoms"\n'
    )
    done = subprocess.run(
        [program, "-in", "in.lmp", "-log", "none"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert f"read {len(capped())} atoms" in done.stdout
    assert "ERROR" not in done.stdout


@pytest.mark.engine
def test_xtb_runs_the_exported_coordinates(tmp_path: Path) -> None:
    program = shutil.which("xtb")
    if program is None:
        pytest.skip("xTB is not installed")
    small = build("PbS", "cube", "0.7 nm")
    export(small, tmp_path / "a.coord")
    done = subprocess.run(
        [program, "a.coord", "--gfn", "1"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert "TOTAL ENERGY" in done.stdout
    charge = next(line for line in done.stdout.splitlines() if "total charge" in line)
    assert float(charge.split()[-3]) == pytest.approx(small.net_charge, abs=1e-6)


@pytest.mark.engine
def test_tblite_computes_the_exported_coordinates(tmp_path: Path) -> None:
    calculator = pytest.importorskip("tblite.ase", reason="tblite is not installed").TBLite
    import ase.io

    export(build("PbS", "cube", "0.7 nm"), tmp_path / "a.coord")
    atoms = ase.io.read(tmp_path / "a.coord", format="turbomole")
    atoms.calc = calculator(method="GFN1-xTB", verbosity=0)
    assert np.isfinite(atoms.get_potential_energy())


@pytest.mark.engine
@pytest.mark.slow
def test_cp2k_takes_the_exported_input(tmp_path: Path) -> None:
    """CP2K's own check of an input, which sets up basis sets and potentials of every element."""
    from heterodot.energy.cp2k import command
    from heterodot.energy.cp2k_input import Cp2kSettings

    try:
        line = command(tmp_path, "a")
    except MissingExtraError as error:
        pytest.skip(str(error))
    settings = Cp2kSettings(task="energy", cutoff=60, vacuum=3, max_scf=1, n_lumo=4, cube=(-1, 1))
    export(capped(), tmp_path / "a.inp", cp2k=settings)
    done = subprocess.run(
        [*line, "--check"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert "SUCCESS" in done.stdout, done.stdout[-2000:]
