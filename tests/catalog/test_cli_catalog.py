"""The verbs phases, lookup, literature and check as a user calls them."""

from __future__ import annotations

import csv
import json

import pytest

from heterodot.catalog import crystal
from heterodot.cif import write_cif
from heterodot.cli.main import main


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def call(*args):
        with pytest.raises(SystemExit) as ended:
            main(list(args))
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return call


def document(out):
    found = json.loads(out)
    assert out.count("\n") == 1
    return found


def test_lookup(run):
    code, out, _ = run("lookup", "PbS", "band_gap", "--json")
    found = document(out)
    assert code == 0
    assert found["schema"] == "heterodot/lookup/1"
    assert found["entries"][0]["value"] == 0.41
    assert found["entries"][0]["unit"] == "eV"
    assert found["entries"][0]["source"]["doi"]
    code, out, _ = run("lookup", "PbS", "band_gap", "--unit", "meV")
    assert code == 0
    assert "410(10) meV" in out


def test_lookup_says_which_polymorph_was_taken(run):
    _, out, _ = run("lookup", "CdS", "band_gap")
    assert "'CdS' was taken as CdS_zincblende" in out
    _, out, _ = run("lookup", "CdS", "band_gap", "--json")
    assert document(out)["taken"] == ["CdS_zincblende"]


def test_lookup_of_everything_about_a_phase(run):
    _, out, _ = run("lookup", "PbS", "--json")
    assert len(document(out)["entries"]) > 10


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (("lookup", "PbS", "bandgap"), 3, "did you mean band_gap"),
        (("lookup", "PMA2PbBr4", "kane_energy"), 4, "it has"),
        (("lookup", "PbS", "band_gap", "--unit", "nm"), 3, "cannot be given"),
        (("phases", "Unobtainium"), 4, "no phase"),
        (("phases", "add"), 2, "one file and a name"),
        (("phases", "add", "none.cif", "--name", "x"), 3, "does not exist"),
        (("literature", "--system", "CsPbBr3/ZnTe"), 4, "there are some of"),
        (("literature", "--document", "Smith"), 3, "Imran2021"),
        (("check", "none.yaml"), 3, "does not exist"),
        (("phases", "--project", "nowhere"), 3, "not a folder"),
    ],
)
def test_refusals_are_one_sentence(run, args, code, text):
    ended, out, err = run(*args)
    assert ended == code
    assert text in err
    assert out == ""
    assert "Traceback" not in err


def test_phases_lists_and_shows(run):
    _, out, _ = run("phases")
    assert "PMA2PbBr4" in out
    assert "not sourced" in out
    _, out, _ = run("phases", "CsPbBr3_ortho", "--json")
    found = document(out)["phases"][0]
    assert found["checks"]["faults"] == []
    assert found["structure"]["space_group"]["number"] == 62
    _, out, _ = run("phases", "PbS")
    assert "bond-valence sums" in out


def test_csv(run, tmp_path):
    code, _, _ = run("phases", "CdS", "--csv", "out.csv")
    assert code == 0
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert [row["id"] for row in rows] == ["CdS_zincblende", "CdS_wurtzite"]
    _, out, _ = run("literature", "--system", "CsPbBr3/CdS", "--quantity", "mismatch", "--csv", "-")
    assert out.splitlines()[0].startswith("id,system,quantity")


def test_literature(run):
    args = ("literature", "--system", "CsPbBr3/CdS", "--quantity", "electron transfer time")
    _, out, _ = run(*args, "--json")
    found = document(out)
    assert found["entries"][0]["values"][0] == {"value": 8.9, "error": 1.4, "unit": "ps"}
    _, out, _ = run(*args)
    assert "8.9(14) ps" in out


def test_sizing_curve_is_shown_with_its_source(run):
    code, out, _ = run("lookup", "PbS", "sizing_curve", "--json")
    assert code == 0
    assert "Moreels" in document(out)["entries"][0]["source"]["citation"]
    _, out, _ = run("lookup", "PbS", "sizing_curve")
    assert "Moreels" in out


def test_check_shows_the_arithmetic(run, tmp_path):
    (tmp_path / "lab.yaml").write_text(
        "- id: batch.1\n  reagents:\n"
        "  - {name: PbBr2, mass: {value: 83, unit: mg}, moles: {value: 0.15, unit: mmol}}\n"
    )
    code, out, _ = run("check", "lab.yaml")
    assert code == 0
    assert "83 mg / 367.01 g/mol = 0.2262 mmol" in out
    code, out, _ = run("check", "lab.yaml", "--strict", "--json")
    assert code == 4
    assert document(out)["findings"][0]["rule"] == "mass against moles"


def test_own_phase_is_found_again(run, tmp_path):
    write_cif(tmp_path / "mine.cif", crystal("PbS").atoms)
    code, out, _ = run("phases", "add", "mine.cif", "--name", "PbS_mine", "--source", "notebook 3")
    assert code == 0
    assert "heterodot-catalog" in out
    code, out, err = run("phases", "PbS_mine", "--json")
    assert code == 0
    assert document(out)["phases"][0]["source"]["citation"] == "notebook 3"
    code, _, err = run("phases", "add", "mine.cif", "--name", "PbS_mine", "--source", "other")
    assert code == 3
    assert "notebook 3" in err
    assert "other" in err
