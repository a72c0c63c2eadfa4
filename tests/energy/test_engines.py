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
from heterodot.energy.cp2k import (
    Cp2kSettings,
    command,
    count_electrons,
    find_cp2k,
    input_text,
    relax_cp2k,
    run_cp2k,
    settings_from,
)
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


FAKE_GEO_OPT = """#!/bin/sh
echo ' CP2K| version string:  CP2K version 2025.1'
echo ' GLOBAL| Project name  run'
echo ' MODULE QUICKSTEP: ATOMIC COORDINATES IN ANGSTROM'
echo '      1    1 Pb   82      4.0      4.0      5.5   4.0 207.2'
echo '      2    2 S    16      6.7      4.0      5.5   6.0  32.1'
echo '      3    1 Pb   82      6.7      6.7      5.5   4.0 207.2'
echo '      4    2 S    16      4.0      6.7      5.5   6.0  32.1'
echo ' ENERGY| Total FORCE_EVAL ( QS ) energy [hartree]           -27.500000000'
frame() { echo 4; echo ' i = 1'; echo "Pb $1 4 5"; echo 'S 6.7 4 5'; echo 'Pb 6.7 6.7 5'; \
  echo 'S 4 6.7 5'; }
if grep -q 'SCF_GUESS RESTART' run-again.inp; then
  frame 4.25 > run-pos-1.xyz
  echo ' OPT| Maximum gradient                 0.0000100000'
  echo ' ***                    GEOMETRY OPTIMIZATION COMPLETED           ***'
  echo ' PROGRAM ENDED AT now'
else
  echo psi > run-RESTART.wfn; frame 4.2 > run-pos-1.xyz; printf '4\\n i = 2\\nPb 4.2' >> run-pos-1.xyz
  exit 137
fi
"""


def fake(tmp_path, monkeypatch, text: str, name: str = "fake-cp2k") -> str:
    program = tmp_path / name
    program.write_text(text)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("HETERODOT_CP2K", str(program))
    return str(program)


def test_relaxation_killed_half_way_goes_on_from_its_last_whole_geometry(
    tmp_path, monkeypatch
) -> None:
    fake(tmp_path, monkeypatch, FAKE_GEO_OPT)
    folder = tmp_path / "calc"
    settings = Cp2kSettings(n_lumo=0)
    with pytest.raises(NotFoundError, match=r"code 137.*same command goes on"):
        relax_cp2k(RING, folder, settings)
    first = (folder / "run.inp").read_text()
    done = relax_cp2k(RING, folder, settings)
    assert done.converged
    assert done.max_force == pytest.approx(1e-5 * 27.211386 / 0.529177, rel=1e-4)
    assert (folder / "run.inp").read_text() == first  # what was asked is kept
    again = (folder / "run-again.inp").read_text()
    assert "SCF_GUESS RESTART" in again
    # the whole frame (first atom at 4.2, so 2.5 Å from the third) and not the cut one
    rows = [line.split() for line in again.splitlines() if line.split()[:1] == ["Pb"]]
    assert float(rows[1][1]) - float(rows[0][1]) == pytest.approx(2.5)
    assert done.atoms.get_distance(0, 1) == pytest.approx(np.hypot(2.45, 0), abs=1e-6)
    # finished: read, not run again; other settings: started anew, old files put aside
    monkeypatch.setenv("HETERODOT_CP2K", "true")
    assert relax_cp2k(RING, folder, settings).converged
    with pytest.raises(InputError, match="is empty"):
        run_cp2k(RING, folder, Cp2kSettings(cutoff=200))
    assert (folder / "older-run.out").exists()
    assert not (folder / "run-RESTART.wfn").exists()


@pytest.mark.parametrize("program", ["docker", "podman", "apptainer"])
def test_container_line_is_composed_and_run(tmp_path, monkeypatch, program) -> None:
    """The fake container program writes its arguments down and plays CP2K."""
    tools = tmp_path / "tools"
    tools.mkdir()
    fake(
        tools,
        monkeypatch,
        FAKE_GEO_OPT.replace("#!/bin/sh", '#!/bin/sh\necho "$@" > args'),
        program,
    )
    monkeypatch.delenv("HETERODOT_CP2K")
    monkeypatch.setenv("PATH", f"{tools}:/bin:/usr/bin")
    monkeypatch.setattr(cp2k, "CONTAINERS", (program,))
    monkeypatch.setenv("HETERODOT_CP2K_IMAGE", "cp2k/cp2k:2025.1")
    folder = tmp_path / "calc"
    with pytest.raises(NotFoundError, match="code 137"):
        run_cp2k(RING, folder, Cp2kSettings(task="relax"), threads=3)
    said = (folder / "args").read_text().split()
    assert said[-3:] == ["cp2k", "-i", "run-again.inp"]
    assert f"{folder.resolve()}:/calculation" in said
    assert "OMP_NUM_THREADS=3" in said
    image = "docker://cp2k/cp2k:2025.1" if program == "apptainer" else "cp2k/cp2k:2025.1"
    assert image in said
    monkeypatch.setattr(cp2k, "CONTAINERS", ("no-such-program",))
    with pytest.raises(MissingExtraError, match="container program"):
        run_cp2k(RING, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_program_line_may_have_arguments(tmp_path, monkeypatch) -> None:
    program = fake(tmp_path, monkeypatch, "#!/bin/sh\n")
    monkeypatch.setenv("HETERODOT_CP2K", f"env A=1 {program}")
    assert command(tmp_path)[-4:] == ["A=1", program, "-i", "run.inp"]
    monkeypatch.setenv("HETERODOT_CP2K", "/no/such/cp2k")
    with pytest.raises(MissingExtraError, match="not a program here"):
        find_cp2k()


def test_settings_from_texts() -> None:
    found = settings_from(["cutoff=200", "cube=-3,3", "density=yes", "basis=TZVP-MOLOPT-GTH"])
    assert (found.cutoff, found.cube, found.density) == (200.0, (-3, 3), True)
    for bad, words in (
        ("cutof=3", "did you mean cutoff"),
        ("cutoff=many", "no value of cutoff"),
        ("cutoff", "not a setting"),
        ("task=dance", "task"),
        ("vacuum=-1", "above zero"),
    ):
        with pytest.raises(InputError, match=words):
            settings_from([bad])


def test_large_bodies_do_not_get_a_list_for_every_atom() -> None:
    many = crystal("PbS").atoms.repeat(4)
    many.pbc = False
    lists = {"A": np.arange(0, 200), "B": np.arange(200, len(many))}
    text = input_text(many, Cp2kSettings(), domains=lists)
    assert text.count("&LDOS\n") == 2
    assert "LIST 1..200" in text
    assert "# list 2 is B" in text
    text = input_text(RING, Cp2kSettings(lists="domains"), domains={"A": [0, 2], "B": [1, 3]})
    assert text.count("&LDOS\n") == 2
    assert "LIST 1 3" in text
    molden = input_text(RING, Cp2kSettings(solver="diagonalization"))
    assert "&MO_MOLDEN" in molden
    assert "ADDED_MOS 10" in molden
    assert "&OT" not in molden


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
