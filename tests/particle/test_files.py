"""Files: exact round trip, other programs' formats, foreign files, the command line, pictures."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import ase.io
import numpy as np
import pytest
from click.testing import CliRunner

from heterodot.catalog import crystal
from heterodot.cli.main import cli, main
from heterodot.epitaxy import search
from heterodot.errors import InputError
from heterodot.particle import Domain, Particle, build
from heterodot.particle.checks import report
from heterodot.particle.export import FORMATS, export
from heterodot.particle.from_cif import read_particle_cif
from heterodot.particle.ligands import passivate
from heterodot.particle.measured_facets import facets
from heterodot.particle.recognize import recognize


@cache
def janus() -> Particle:
    found = search(crystal("CsPbBr3"), crystal("PbS"), max_index=1)
    return build(
        "CsPbBr3", "cube", "3.5 nm", "PbS", "hemisphere", "3 nm",
        found.find((1, 0, 0), (1, 0, 0)),
    )  # fmt: skip


def bare(particle: Particle) -> Particle:
    """Return the atoms of a particle as a foreign file would give them."""
    n = len(particle)
    return Particle(
        particle.symbols, particle.positions, np.zeros(n, dtype=int), np.array(["core"] * n),
        particle.charge, (Domain("?"),),
    )  # fmt: skip


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_every_format_can_be_written(kind: str, tmp_path: Path) -> None:
    files = export(janus(), tmp_path / f"a{FORMATS[kind][0]}", kind)
    assert all(f.stat().st_size > 200 for f in files)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("name", "reader"),
    [("a.xyz", "extxyz"), ("POSCAR", "vasp"), ("a.pdb", "proteindatabank"),
     ("a.data", "lammps-data"), ("a.gen", "gen"), ("a.coord", "turbomole")],
)  # fmt: skip
def test_ase_reads_what_was_written(name: str, reader: str, tmp_path: Path) -> None:
    """ASE is the other reader: elements and all distances to the first atom agree."""
    particle = janus()
    export(particle, tmp_path / name)
    options = {"atom_style": "full"} if reader == "lammps-data" else {}
    atoms = ase.io.read(tmp_path / name, format=reader, **options)
    if reader != "lammps-data":
        assert sorted(atoms.get_chemical_symbols()) == sorted(particle.symbols)
    assert len(atoms) == len(particle)
    tolerance = 2e-3 if reader == "proteindatabank" else 1e-6

    def moments(points: np.ndarray) -> np.ndarray:
        return np.linalg.eigvalsh(np.cov((points - points.mean(0)).T))

    assert moments(atoms.positions) == pytest.approx(moments(particle.positions), rel=tolerance)


def test_cp2k_input_is_whole(tmp_path: Path) -> None:
    files = export(janus(), tmp_path / "run.inp")
    text = files[0].read_text()
    assert text.count("&KIND") == text.count("&END KIND") == 4
    opened: list[str] = []
    for line in text.splitlines():
        word = line.strip().split(" ")[0]
        if word == "&END":
            assert opened.pop() == line.strip().split()[1]
        elif word.startswith("&"):
            opened.append(word[1:])
    assert not opened
    # larger than 300 atoms: lists of domains only, and every atom is in exactly one of them
    listed: set[int] = set()
    for line in text.splitlines():
        if line.strip().startswith("LIST"):
            for part in line.split()[1:]:
                first, _, last = part.partition("..")
                listed |= set(range(int(first), int(last or first) + 1))
    assert listed == set(range(1, len(janus()) + 1))
    assert f"# list 1 is {janus().domains[0].name}" in text
    assert len(files) == 1


def test_domains_are_found_again_in_a_foreign_file() -> None:
    particle = janus()
    found = recognize(bare(particle))
    assert sorted(d.name for d in found.domains) == ["CsPbBr3", "PbS"]
    names = [d.name for d in found.domains]
    mine = np.array([names[d] for d in found.domain])
    true = np.array([particle.domains[d].name for d in particle.domain])
    assert (mine == true).mean() > 0.95
    sulfur = np.array(particle.symbols) == "S"
    assert (mine[sulfur] == "PbS").all()


@pytest.mark.parametrize("angle", [0.0, 17.0, 63.0])
def test_orientation_of_a_foreign_crystal_is_found(angle: float) -> None:
    """A turned cube: bonds of the turned crystal lie along the axes that are reported."""
    turn = np.radians(angle)
    rotation = np.array(
        [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    )
    cube = build("CsPbBr3", "cube", "4 cells")
    turned = bare(cube).replace(positions=cube.positions @ rotation.T)
    domain = recognize(turned).domains[0]
    assert domain.crystal is not None
    off = domain.crystal.proper_rotations @ rotation.T @ domain.orientation
    angles = np.degrees(np.arccos(np.clip((np.trace(off, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    assert angles.min() < 0.2


def test_facets_of_a_cube() -> None:
    cube = build("CsPbBr3", "cube", "5 cells", termination_a="CsBr")
    found = facets(cube, 0)
    main_ones = [f for f in found if f["family"] == "100"]
    assert len(main_ones) == 6
    assert all(set(f["termination"]) == {"Cs", "Br"} for f in main_ones)
    assert sum(f["area"]["value"] for f in main_ones) == pytest.approx(6 * 2.94**2, rel=0.15)


def test_cif_of_a_particle_comes_back(tmp_path: Path) -> None:
    export(janus(), tmp_path / "a.cif")
    found = recognize(read_particle_cif(tmp_path / "a.cif"))
    assert found.composition() == janus().composition()
    assert len(found.domains) == 2


def test_cif_of_a_crystal_is_no_particle(tmp_path: Path) -> None:
    from heterodot.cif import write_cif

    write_cif(tmp_path / "bulk.cif", crystal("PbS").atoms)
    with pytest.raises(InputError, match="repeats"):
        read_particle_cif(tmp_path / "bulk.cif")


def test_ligands_survive_a_file(tmp_path: Path) -> None:
    covered = passivate(build("CsPbBr3", "cube", "3 cells"), "acetate", coverage=0.2)
    assert Particle.read(covered.write(tmp_path / "a.xyz")).same_as(covered)


def test_pictures(tmp_path: Path) -> None:
    from heterodot.report.figures_particle import domain_colors, draw, save

    assert domain_colors(janus()) == ["#E69F00", "#0072B2"]
    for name in ("a.png", "a.svg"):
        save(draw(janus(), by="domain"), tmp_path / name)
        assert (tmp_path / name).stat().st_size > 10_000
    with pytest.raises(InputError, match="not written"):
        save(draw(janus()), tmp_path / "a.bmp")


# ------------------------------------------------------------------ command line


def run(*args: str) -> dict:
    result = CliRunner().invoke(cli, [*args, "--json", "--quiet"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_build_inspect_exchange_passivate_export(tmp_path: Path) -> None:
    cube, dimer = str(tmp_path / "f.xyz"), str(tmp_path / "d.xyz")
    made = run(
        "build", "--a", "CsPbBr3", "--shape-a", "cube", "--size-a", "5 cells",
        "--termination-a", "CsBr", "-o", cube, "--picture", str(tmp_path / "f.svg"),
    )  # fmt: skip
    assert made["schema"] == "heterodot/build/1"
    assert made["formula"] == "Cs200Pb125Br450"
    assert made["a"] == {"catalog": "CsPbBr3_cubic", "asked_for": "CsPbBr3"}
    assert set(made["charge"]) == {"value", "error", "unit"}
    made = run(
        "build", "--a", "CsPbBr3", "--size-a", "3 nm", "--b", "PbS", "--shape-b", "hemisphere",
        "--size-b", "2.4 nm", "--plane-a", "1 0 0", "--plane-b", "1 0 0", "--max-index", "1",
        "-o", dimer,
    )  # fmt: skip
    assert made["passed"], made["checks"]
    assert [d["name"] for d in made["domains"]] == ["CsPbBr3", "PbS"]
    assert made["match"]["plane_a"] == [1, 0, 0]
    assert made["interface"]["cations"] > 5
    seen = run("inspect", dimer)
    assert seen["formula"] == made["formula"]
    assert seen["domains"][0]["facets"]
    changed = run(
        "exchange", dimer, "--domain", "CsPbBr3", "--replace", "Br=Cl", "-o",
        str(tmp_path / "g.xyz"),
    )  # fmt: skip
    assert "CsPbCl3" in [d["name"] for d in changed["domains"]]
    etched = run("exchange", dimer, "--domain", "CsPbBr3", "--etch")
    assert [d["name"] for d in etched["domains"]] == ["PbS"]
    capped = run("passivate", cube, "--ligand", "acetate", "--coverage", "0.1")
    assert capped["ligands"] > 0
    written = run("export", dimer, str(tmp_path / "d.inp"))
    assert len(written["files"]) == 1
    written = run("export", dimer, str(tmp_path / "d.inp"), "--set", "task=relax")
    assert "RUN_TYPE GEO_OPT" in (tmp_path / "d.inp").read_text()


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["build", "--a", "CsPbBr3", "--size-a", "0.3 nm"], 3, "below one unit cell"),
        (["build", "--a", "CsPbBr4", "--size-a", "3 nm"], 3, "did you mean"),
        (["build", "--a", "CsPbBr3", "--size-a", "3 nm", "--b", "PbS"], 3, "shape and a size"),
        (["build", "--a", "CsPbBr3", "--size-a", "3 nm", "--match", "1"], 3, "without B"),
        (["build", "--a", "CsPbBr3", "--size-a", "3 nm", "--b", "PbS", "--shape-b", "cube",
          "--size-b", "2 nm", "--match", "9999", "--max-index", "1"], 4, "relations, not 9999"),
        (["build", "--a", "CsPbBr3"], 2, "Missing option"),
        (["inspect", "nowhere.xyz"], 3, "does not exist"),
        (["export", "nowhere.xyz", "a.cif"], 3, "does not exist"),
    ],
)  # fmt: skip
def test_wrong_calls(
    args: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(args)
    assert stop.value.code == code
    assert words in capsys.readouterr().err


def test_broken_files(tmp_path: Path) -> None:
    path = janus().write(tmp_path / "a.xyz")
    lines = path.read_text().splitlines()
    for text, words in (
        ("\n".join(lines[:40]), "cut off"),
        ("hello\n", "number of atoms"),
        ("2\n\nPb 0 0 0\nXx 1 1 1\n", "not an element"),
        ("99999999999\n\n", "claims"),
        ("\n".join([lines[0], lines[1].replace("domains", "domain5", 1), *lines[2:]]), "damaged"),
    ):
        (tmp_path / "b.xyz").write_text(text)
        with pytest.raises(InputError, match=words):
            Particle.read(tmp_path / "b.xyz")
    with pytest.raises(InputError, match="does not say its format"):
        export(janus(), tmp_path / "a.foo")
    with pytest.raises(InputError, match="not a format"):
        export(janus(), tmp_path / "a.foo", "poscarr")


def test_reports_are_plain_json() -> None:
    text = json.dumps(report(janus()), allow_nan=False)
    assert "bulk-like interior" in text
