"""A study runs end to end, does nothing twice, and ends the same after any interruption."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from heterodot.errors import InputError, NotFoundError, OutputError
from heterodot.particle import Particle
from heterodot.study import Study
from tests.browser import needs_chromium, open_page

SMALL = """
[study]
title = "small"
[crystals]
a = "CsPbBr3_cubic"
b = "PbS"
[epitaxy]
max_index = 1
[particle]
shape_a = "cube"
size_a = "3 cells"
shape_b = "cube"
size_b = "1.5 nm"
[energy]
steps = 4
[electronic]
states = 1
spacing = "2 Å"
[probes.xrd]
points = 200
[[compare]]
published = "Livakas2024.M022"
item = 0
computed = "xrd.reflection_b"
b = [1, 1, 1]
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "small.toml"
    path.write_text(SMALL, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def finished(study: Path) -> Any:
    return Study.read(study).run(study.parent / "out")


def substance(folder: Path) -> dict[str, Any]:
    """What a run found, without its times."""
    stages = json.loads((folder / "results.json").read_text())["stages"]
    for stage in stages.values():
        del stage["seconds"], stage["reused"]
        stage["summary"].pop("seconds", None)
    return stages  # type: ignore[no-any-return]


def test_every_stage_and_product_is_there(finished: Any) -> None:
    assert list(finished.stages) == [
        "crystals",
        "epitaxy",
        "particle",
        "energy",
        "electronic",
        "xrd",
    ]
    for name in ("particle.xyz", "particle.cif", "relaxed.xyz", "epitaxy.csv", "xrd.xy"):
        assert (finished.out / name).stat().st_size > 0
    built = Particle.read(finished.out / "particle.xyz")
    assert built.net_charge == 0
    assert [d.name for d in built.domains] == ["CsPbBr3", "PbS"]
    assert finished.provenance["inputs"]["a"]["catalog"] == "CsPbBr3_cubic"
    row = finished.comparison[0]
    # 26 degrees printed; 25.98 from a = 5.936 Å by Bragg's law
    assert row["computed"]["value"] == pytest.approx(25.98, abs=0.02)
    assert row["published"]["value"] == 26


def test_relaxation_goes_down_and_pattern_peaks_where_bragg_says(finished: Any) -> None:
    energies = finished.stages["energy"].summary["energies"]
    assert energies[-1] < energies[0]
    lines = [line.split() for line in (finished.out / "xrd.xy").read_text().splitlines()]
    strongest = max(lines, key=lambda row: float(row[1]))
    sticks = [
        s["two_theta"]
        for key in ("a", "b")
        for s in finished.stages["xrd"].summary["bulk"][key]["sticks"]
    ]
    # crystallites of 1.5 nm have lines about 6 degrees wide
    assert min(abs(float(strongest[0]) - t) for t in sticks) < 1.5


def test_a_second_run_reuses_all_and_adds_to_the_history(finished: Any, study: Path) -> None:
    again = Study.read(study).run(finished.out)
    assert all(stage.reused for stage in again.stages.values())
    history = (finished.out / "history.jsonl").read_text().splitlines()
    assert len(history) >= 2
    assert json.loads(history[0])["keys"] == json.loads(history[-1])["keys"]


def test_only_what_changed_runs_again(finished: Any, study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished.out, out)
    changed = tmp_path / "changed.toml"
    changed.write_text(SMALL.replace("points = 200", "points = 150"), encoding="utf-8")
    result = Study.read(changed).run(out)
    assert [s.name for s in result.stages.values() if not s.reused] == ["xrd"]
    assert len(list((out / "stages").glob("xrd-*"))) == 2  # the older result stays


def test_a_killed_run_goes_on_and_ends_the_same(finished: Any, study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for delay in (2.0, 3.5, 5.0):
        process = subprocess.Popen(
            [sys.executable, "-m", "heterodot.cli.main", "run", str(study), "-o", str(out), "-q"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
    Study.read(study).run(out)
    assert substance(out) == substance(finished.out)
    for product in ("particle.xyz", "relaxed.xyz", "xrd.xy", "epitaxy.csv", "levels.json"):
        assert (out / product).read_bytes() == (finished.out / product).read_bytes()


def test_a_full_disk_in_the_middle(
    finished: Any, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    whole = os.replace

    def full(source: Any, target: Any) -> None:
        if "energies.csv" in str(target):
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match=r"energies\.csv: cannot be written .*free some space"):
        Study.read(study).run(out)
    assert not (out / "report.html").exists()
    monkeypatch.setattr(os, "replace", whole)
    result = Study.read(study).run(out)
    assert [s.name for s in result.stages.values() if s.reused] == [
        "crystals",
        "epitaxy",
        "particle",
    ]
    assert substance(out) == substance(finished.out)


def test_cif_input_and_its_hash(tmp_path: Path, pbs: Any) -> None:
    from heterodot.cif import write_cif
    from heterodot.files import sha256

    write_cif(tmp_path / "own.cif", pbs.atoms, name="PbS")
    path = tmp_path / "s.toml"
    text = SMALL.replace('b = "PbS"', 'b = "own.cif"').replace("steps = 4", "steps = 0")
    path.write_text(text, encoding="utf-8")
    result = Study.read(path).run(tmp_path / "out")
    assert result.provenance["inputs"]["b"] == {
        "file": "own.cif",
        "sha256": sha256(tmp_path / "own.cif"),
    }


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (('b = "PbS"', 'b = "PbX"'), InputError, r"crystals\.b: 'PbX' is not .*PbS"),
        (('b = "PbS"', 'b = "no.cif"'), InputError, r"no\.cif: crystals\.b: does not exist"),
        (("[particle]", "[particle]\nmatch = 9999"), NotFoundError, r"rank 9999"),
        (("max_index = 1", "max_strain = 1e-9"), NotFoundError, r"allow an area of .* strain of"),
        (('M022"', 'M9999"'), InputError, r"compare\.0\.published: .*not an entry"),
        (("xrd.reflection_b", "xrd.reflexion"), InputError, r"compare\.0\.computed.*reflection"),
    ],
)
def test_faults_found_while_running(
    tmp_path: Path, change: tuple[str, str], kind: Any, message: str
) -> None:
    path = tmp_path / "s.toml"
    path.write_text(SMALL.replace(*change), encoding="utf-8")
    with pytest.raises(kind, match=message):
        Study.read(path).run(tmp_path / "out")


class TestCommand:
    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "heterodot.cli.main", *args], capture_output=True, text=True
        )

    def test_json_is_one_document(self, finished: Any, study: Path) -> None:
        done = self.run("run", str(study), "--out", str(finished.out), "--json")
        assert done.returncode == 0
        document = json.loads(done.stdout)
        assert document["schema"] == "heterodot/run/1"
        assert document["stages"]["particle"]["reused"] is True

    def test_exit_codes_and_one_sentence(self, tmp_path: Path) -> None:
        for args, code, words in [
            (("run", str(tmp_path / "none.toml")), 3, "does not exist"),
            (("run", str(tmp_path)), 3, "is a folder"),
            (("run",), 2, "Missing argument"),
            (("rum", "x"), 2, "Did you mean 'run'?"),
            (("run", "x", "--oot", "y"), 2, "No such option"),
        ]:
            done = self.run(*args)
            assert done.returncode == code, done.stderr
            assert words in done.stderr
            assert "Traceback" not in done.stderr
            assert done.stdout == ""

    def test_unwritable_output(self, tmp_path: Path, study: Path) -> None:
        (tmp_path / "file").write_text("x")
        done = self.run("run", str(study), "--out", str(tmp_path / "file"))
        assert done.returncode == 3
        assert "cannot be used for results" in done.stderr

    def test_control_c_keeps_what_was_done(self, study: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        process = subprocess.Popen(
            [sys.executable, "-m", "heterodot.cli.main", "run", str(study), "--out", str(out)],
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        until = time.monotonic() + 60
        while not list(out.glob("stages/epitaxy-*/done.json")) and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 130, stderr
        assert "stopped" in stderr
        assert "Traceback" not in stderr
        assert list(out.glob("stages/epitaxy-*/done.json"))

    def test_commands_on_files_give_what_the_stages_gave(
        self, finished: Any, tmp_path: Path
    ) -> None:
        out = finished.out
        built = tmp_path / "built.xyz"
        crystals = ["--a", "CsPbBr3_cubic", "--b", "PbS", "--shape-b", "cube"]
        sizes = ["--size-a", "3 cells", "--size-b", "1.5 nm", "--max-index", "1"]
        done = self.run("build", *crystals, *sizes, "-o", str(built), "--quiet")
        assert done.returncode == 0, done.stderr
        assert Particle.read(built).same_as(Particle.read(out / "particle.xyz"))
        relaxed = tmp_path / "relaxed.xyz"
        done = self.run("relax", str(built), "--steps", "4", "-o", str(relaxed), "--json")
        assert done.returncode == 4  # four steps do not converge, and that is said
        assert json.loads(done.stdout)["steps"] == 4
        kept = Particle.read(out / "relaxed.xyz").positions
        assert abs(Particle.read(relaxed).positions - kept).max() < 1e-9
        pattern = tmp_path / "p.xy"
        done = self.run(
            *("simulate", "xrd", str(relaxed), "--range", "15:60", "--points", "200"),
            *("-o", str(pattern)),
        )
        assert done.returncode == 0, done.stderr
        ours = [line.split() for line in pattern.read_text().splitlines() if line[:1] != "#"]
        theirs = [line.split() for line in (out / "xrd.xy").read_text().splitlines()]
        top = max(float(row[1]) for row in theirs)
        for mine, other in zip(ours, theirs, strict=True):
            assert float(mine[1]) == pytest.approx(float(other[1]), abs=1e-5 * top)
        done = self.run("electronic", str(built), "--states", "1", "--spacing", "2", "--json")
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        stage = finished.stages["electronic"].summary["levels"]["gap"]["value"]
        found = json.dumps(document)
        assert f"{stage:.6f}"[:7] in found

    def test_schema_and_cite(self) -> None:
        assert json.loads(self.run("schema").stdout)["title"] == "Heterodot study file"
        document = json.loads(self.run("schema", "--json").stdout)
        assert document["schema"] == "heterodot/schema/1"
        assert "Heterodot" in self.run("cite").stdout


class TestReport:
    pytestmark = needs_chromium

    def test_page_of_a_study_draws_offline(self, finished: Any, tmp_path: Path) -> None:
        opened = open_page(finished.report, tmp_path)
        assert opened.errors == []
        assert opened.requests == []
        n = finished.stages["particle"].summary["report"]["atoms"]
        assert f'data-drawn="{n}"' in opened.dom
        assert 'data-plot="xrd" data-drawn="yes"' in opened.dom
        for table in ("orientations", "comparison", "checks", "domains", "crystals", "values"):
            assert f'data-name="{table}"' in opened.dom
        assert "Hybrid" not in opened.dom
        assert "NaN" not in opened.dom.split("<script")[0]


def test_an_exchange_in_the_study_file_is_made_before_everything_else(tmp_path: Path) -> None:
    path = tmp_path / "exchanged.toml"
    text = SMALL.replace("[energy]", 'exchange = [{ domain = "a", replace = "Br=Cl" }]\n[energy]')
    path.write_text(text.replace("states = 1", "states = 0"), encoding="utf-8")
    result = Study.read(path).run(tmp_path / "out")
    built = Particle.read(result.stages["particle"].path("built.xyz"))
    symbols = built.atoms.symbols
    assert built.domains[0].name == "CsPbCl3"
    assert set(built.domain[symbols == "Br"]) <= {1}  # what caps the sulfide is not its halide
    assert (symbols == "Cl").sum() > 50
    assert result.stages["xrd"].summary["bulk"]["a"]["formula"] == "CsPbCl3"
    assert result.stages["electronic"].summary == {"skipped": "no levels were asked for"}
    page = result.report.read_text(encoding="utf-8")
    assert "Levels</h2>" not in page
    assert "electron density" not in page


def test_a_material_without_band_parameters_still_gets_its_page(tmp_path: Path) -> None:
    from heterodot.catalog import crystal
    from heterodot.cif import write_cif

    # rock salt that the catalog has no bands of
    salt = crystal("PbS").atoms
    salt.symbols[salt.symbols == "Pb"] = "Eu"
    salt.arrays.pop("charge")
    write_cif(tmp_path / "EuS.cif", salt, name="EuS")
    text = SMALL.replace('b = "PbS"', 'b = "EuS.cif"').split("[[compare]]")[0]
    text += '[[compare]]\npublished = "Livakas2024.C005"\ncomputed = "electronic.type"\n'
    (tmp_path / "eus.toml").write_text(text, encoding="utf-8")
    result = Study.read(tmp_path / "eus.toml").run(tmp_path / "out")
    assert "no levels were computed: " in result.stages["electronic"].summary["skipped"]
    assert "of EuS" in result.stages["electronic"].summary["skipped"]
    assert result.comparison[0]["computed"].startswith("no levels were computed: ")
    assert "No levels were computed: " in result.report.read_text(encoding="utf-8")
    assert (result.out / "xrd.xy").is_file()


def test_every_bundled_study_is_right_and_can_be_copied(tmp_path: Path) -> None:
    from heterodot.catalog import crystal_or_file
    from heterodot.study.comparison import check
    from heterodot.study.study import bundled

    for name, title in bundled().items():
        settings = Study.demo(name).settings
        assert settings.study.title == title
        assert settings.compare
        check(settings)
        for crystal in (settings.crystals.a, settings.crystals.b):
            assert len(crystal_or_file(crystal)[0]) > 0
    with pytest.raises(InputError, match=r"choose among .*cspbbr3-cds"):
        Study.demo("cspbbr3-cdse")
    command = [sys.executable, "-m", "heterodot", "demo", "cspbbr3-cds", "--copy"]
    target = tmp_path / "mine.toml"
    assert subprocess.run([*command, str(target)], capture_output=True, check=False).returncode == 0
    assert Study.read(target).settings == Study.demo("cspbbr3-cds").settings
    again = subprocess.run([*command, str(target)], capture_output=True, text=True, check=False)
    assert again.returncode == 3
    assert "is there already" in again.stderr
