"""Engines by name, CP2K's input and restart, and the command line of relax and dos."""

from __future__ import annotations

import json
import stat

import numpy as np
import pytest
from ase import Atoms

from heterodot.catalog import crystal
from heterodot.cli.main import main
from heterodot.energy import cp2k
from heterodot.energy.cp2k import Cp2kSettings, count_electrons, find_cp2k, input_text, run_cp2k
from heterodot.energy.engines import ENGINES, engine, engine_names
from heterodot.energy.ionic import potential_for
from heterodot.errors import InputError, MissingExtraError, NotFoundError
from heterodot.particle import Domain, Particle

RING = Atoms("PbSPbS", [[0, 0, 0], [2.75, 0, 0], [2.75, 2.75, 0], [0, 2.75, 0]])


def test_missing_package_names_its_install_line(monkeypatch) -> None:
    import importlib

    real = importlib.import_module

    def blocked(name: str, *rest):
        if name.split(".")[0] in ("tblite", "chgnet"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr("heterodot.energy.engines.importlib.import_module", blocked)
    for name in engine_names():
        with pytest.raises(MissingExtraError, match="pip install"):
            engine(name)
        assert ENGINES[name].warning
    with pytest.raises(InputError, match="not an engine"):
        engine("dft")


@pytest.mark.engine
@pytest.mark.parametrize("name", engine_names())
def test_installed_engines_compute_forces(name) -> None:
    pytest.importorskip(ENGINES[name].package, reason="optional engine is not installed")
    calculator, warning = engine(name)
    atoms = RING.copy()
    atoms.calc = calculator
    assert warning
    assert np.isfinite(atoms.get_forces()).all()


def test_boxed_potential_gives_a_body_the_forces_of_free_space() -> None:
    from ase.calculators.lj import LennardJones

    from heterodot.energy.engines import boxed

    free, boxy = RING.copy(), RING.copy()
    free.calc = LennardJones(sigma=2.4, rc=7.0)
    boxy.calc = boxed(LennardJones(sigma=2.4, rc=7.0), vacuum=8.0)
    assert boxy.get_potential_energy() == pytest.approx(free.get_potential_energy(), rel=1e-9)
    np.testing.assert_allclose(boxy.get_forces(), free.get_forces(), atol=1e-9)


def test_cp2k_input_says_what_was_asked() -> None:
    settings = Cp2kSettings(task="relax", cube=(-1, 2), density=True, n_lumo=7)
    text = input_text(RING, settings)
    assert text.count("&LDOS") == text.count("&END LDOS") == len(RING)
    assert text.count("LIST ") == len(RING)
    for words in (
        "RUN_TYPE GEO_OPT",
        "NHOMO 1",
        "NLUMO 2",
        "E_DENSITY_CUBE",
        "GTH-PBE-q4",
        "NLUMO 7",
    ):
        assert words in text
    opened = [
        w[1:].split()[0]
        for w in text.split("\n")
        for w in [w.strip()]
        if w.startswith("&") and not w.startswith("&END")
    ]
    closed = [w.strip().split()[1] for w in text.split("\n") if w.strip().startswith("&END")]
    assert sorted(opened) == sorted(closed)
    assert "UKS T" not in text
    assert "UKS T" in input_text(RING, Cp2kSettings(charge=1))
    assert count_electrons(["Cs", "Pb", "Cl"]) == 20


def test_cp2k_refuses_what_it_cannot_do() -> None:
    with pytest.raises(InputError, match="Xe"):
        input_text(Atoms("Xe"), Cp2kSettings())
    charged = RING.copy()
    charged.set_array("charge", np.array([2.0, -2.0, 2.0, -1.0]))
    with pytest.raises(InputError, match=r"add up to \+1"):
        input_text(charged, Cp2kSettings())
    with pytest.raises(InputError, match="task"):
        input_text(RING, Cp2kSettings(task="dance"))


def test_absent_cp2k_is_said(monkeypatch) -> None:
    monkeypatch.setattr(cp2k.shutil, "which", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"not on PATH.*apt install cp2k"):
        find_cp2k()


def test_stopped_cp2k_offers_restart_and_goes_on(tmp_path, monkeypatch) -> None:
    """A program that stops half-way once and ends the second time, as CP2K does when killed."""
    program = tmp_path / "fake-cp2k"
    program.write_text(
        "#!/bin/sh\n"
        "echo ' CP2K| version string:  CP2K version 2023.1'\n"
        "if grep -q 'SCF_GUESS RESTART' run-again.inp; then\n"
        "  echo ' ENERGY| Total FORCE_EVAL ( QS ) energy [a.u.]:  -1.500000000'\n"
        "  echo ' PROGRAM ENDED AT now'\n"
        "else echo psi > run-RESTART.wfn; exit 3; fi\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("HETERODOT_CP2K", str(program))
    folder = tmp_path / "calc"
    with pytest.raises(NotFoundError, match="goes on from its wavefunctions"):
        run_cp2k(RING, folder)
    result = run_cp2k(RING, folder)
    assert result.energy == pytest.approx(-1.5 * 27.211386, rel=1e-6)
    program.unlink()
    with pytest.raises(MissingExtraError):
        monkeypatch.setattr(cp2k.shutil, "which", lambda name: None)
        run_cp2k(RING, folder)


@pytest.mark.engine
@pytest.mark.slow
def test_real_cp2k_runs_and_its_second_call_reads(tmp_path) -> None:
    try:
        find_cp2k()
    except MissingExtraError as error:
        pytest.skip(str(error))
    pair = Atoms("H2", [[0, 0, 0], [0, 0, 0.9]])
    settings = Cp2kSettings(cutoff=100, vacuum=3.5, scf_eps=1e-5, n_lumo=1)
    first = run_cp2k(pair, tmp_path, settings, timeout=300)
    assert first.forces is not None
    # stretched: the atoms pull each other back, with opposite forces
    assert first.forces[0, 2] > 0.5
    assert first.forces[0, 2] == pytest.approx(-first.forces[1, 2], abs=0.1)
    stamp = (tmp_path / "run.out").stat().st_mtime_ns
    assert run_cp2k(pair, tmp_path, settings).energy == first.energy
    assert (tmp_path / "run.out").stat().st_mtime_ns == stamp


def test_dopants_get_radii_and_ligands_are_refused() -> None:
    doped = Atoms("MnS", [[0, 0, 0], [2.6, 0, 0]])
    doped.set_array("charge", np.array([2.0, -2.0]))
    assert "Mn" in potential_for(doped, crystal("PbS")).charges
    ligand = Atoms("CPb", [[0, 0, 0], [2.6, 0, 0]])
    ligand.set_array("charge", np.array([0.0, 2.0]))
    with pytest.raises(InputError, match=r"for C; relax the particle before ligands"):
        potential_for(ligand, crystal("PbS"))


def particle_file(tmp_path, repeat: int = 2) -> str:
    pbs = crystal("PbS")
    atoms = pbs.atoms.repeat(repeat)
    noise = np.random.default_rng(0).normal(scale=0.1, size=(len(atoms), 3))
    particle = Particle(
        tuple(atoms.get_chemical_symbols()), atoms.positions + noise, np.zeros(len(atoms), int),
        np.array(["surface"] * len(atoms)), atoms.arrays["charge"], (Domain("PbS", pbs),),
    )  # fmt: skip
    path = tmp_path / "cube.xyz"
    particle.write(path)
    return str(path)


def run(args: list[str]) -> int:
    with pytest.raises(SystemExit) as stop:
        main(args)
    return int(stop.value.code or 0)


def test_relax_on_the_command_line(tmp_path, capsys) -> None:
    path = particle_file(tmp_path)
    out = tmp_path / "out.xyz"
    assert run(["relax", path, "--fmax", "0.02", "-o", str(out), "--json", "-q"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "heterodot/relax/1"
    assert document["converged"]
    assert document["energy_end"]["value"] < document["energy_start"]["value"]
    again = Particle.read(out)
    assert again.history[-1]["step"] == "relax"
    assert run(["relax", path, "--steps", "1", "-o", str(out), "-q"]) == 4
    assert run(["relax", path, "--fix", "nobody", "-q"]) == 3
    assert "neither a role nor a domain" in capsys.readouterr().err
    assert run(["relax", str(tmp_path / "none.xyz")]) == 3
    assert run(["relax", "--help"]) == 0
    assert "Example:" in capsys.readouterr().out


def test_dos_on_the_command_line(tmp_path, capsys) -> None:
    from pathlib import Path

    path = particle_file(tmp_path)
    table, figure = tmp_path / "dos.csv", tmp_path / "dos.svg"
    args = ["dos", path, "--states", "40", "--table", str(table), "--figure", str(figure)]
    assert run([*args, "--json", "-q"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["gap"]["value"] > 0.41
    assert document["gap"]["unit"] == "eV"
    assert document["criterion"]["limit"] == 8.0
    assert table.read_text().startswith("energy (eV),total (1/eV),PbS (1/eV)")
    assert "<svg" in figure.read_text()
    ours = Path(__file__).parents[1] / "atomistic" / "cp2k_pbs" / "run.out"
    assert run(["dos", str(ours), "--limit", "100", "-q"]) == 0
    assert "HOMO" in capsys.readouterr().out
    assert run(["dos", str(ours), "--particle", path, "-q"]) == 3
    assert run(["dos", "--help"]) == 0
