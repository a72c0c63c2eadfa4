"""A project's own records over the built-in ones."""

from __future__ import annotations

import pytest

from heterodot.catalog import crystal, find_phases, lookup, overlay, published
from heterodot.catalog.project import add_phase
from heterodot.cif import write_cif
from heterodot.errors import InputError


def write(folder, kind, text, name="mine.yaml"):
    (folder / kind).mkdir(parents=True, exist_ok=True)
    (folder / kind / name).write_text(text)


OWN_GAP = (
    "- {id: CsPbBr3.band_gap.mine, phase: CsPbBr3, quantity: band_gap, value: 2.36,"
    " uncertainty: 0.01, unit: eV, temperature: 300, method: Tauc,"
    " source: {citation: 'notebook 7, p. 12'}, default: true, reason: our crystal}\n"
)


def test_own_value_comes_first_and_goes_again(tmp_path):
    write(tmp_path, "properties", OWN_GAP)
    before = lookup("CsPbBr3", "band_gap")
    with overlay(tmp_path):
        own = lookup("CsPbBr3", "band_gap")
        assert own.value.value == 2.36
        assert own.origin == "properties/mine.yaml"
        others = lookup("CsPbBr3", "band_gap", all=True)
        assert before.id in [e.id for e in others]
        assert [e.default for e in others].count(True) == 1
    assert lookup("CsPbBr3", "band_gap") == before


def test_environment_names_the_folder(tmp_path, monkeypatch):
    write(tmp_path, "properties", OWN_GAP)
    monkeypatch.setenv("HETERODOT_CATALOG", str(tmp_path))
    assert lookup("CsPbBr3", "band_gap").value.value == 2.36


def test_own_phase_and_result(tmp_path):
    write(
        tmp_path,
        "phases",
        "- {id: PbSe, default_for: PbSe, space_group: F m -3 m, cell: [6.126],"
        " sites: {Pb: [0, 0, 0], Se: [0.5, 0.5, 0.5]}, charges: {Pb: 2, Se: -2},"
        " method: X-ray, source: {citation: 'Noda et al. (1987)'}}\n",
    )
    write(
        tmp_path,
        "literature",
        "document: {key: Mine2026, citation: 'notebook 7', title: ours}\n"
        "results:\n"
        "- {id: Mine2026.1, system: our dots, systems: [CsPbBr3/PbSe], quantity: PL peak,"
        " value: 1400, unit: nm, kind: measured, place: p. 3}\n",
    )
    with overlay(tmp_path):
        assert crystal("PbSe").cellpar[0] == pytest.approx(6.126)
        assert published(system="CsPbBr3/PbSe")[0].values[0].value == 1400
        assert next(p for p in find_phases("PbSe")).origin == "phases/mine.yaml"
    with pytest.raises(InputError):
        crystal("PbSe")


def test_conflicting_name_shows_both_sources(tmp_path):
    write(
        tmp_path,
        "phases",
        "- {id: PbS, space_group: F m -3 m, cell: [5.9], sites: {Pb: [0, 0, 0], S: [0.5, 0.5, 0.5]},"
        " source: {citation: 'my own powder'}}\n",
    )
    with pytest.raises(InputError) as caught, overlay(tmp_path):
        pass
    text = str(caught.value)
    assert "Noda" in text
    assert "my own powder" in text
    assert "mine.yaml" in text


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("properties", OWN_GAP.replace("unit: eV", "unit: eVolt"), "not a known unit"),
        ("properties", OWN_GAP.replace("value: 2.36", "value: '2.36'"), "written as text"),
        ("properties", OWN_GAP.replace("source: {citation: 'notebook 7, p. 12'}, ", ""), "no source"),
        ("phases", "- {id: A, formula: PbQ, space_group: P 1, cell: [5], source: x}\n", "PbQ"),
        ("phases", "- {id: A, space_group: P 1, cell: [5]}\n", "has no source"),
        ("literature", "results: []\n", "no 'document'"),
        ("stuff", "- {id: a}\n", "not in one of the folders"),
    ],
)  # fmt: skip
def test_bad_records_are_refused(tmp_path, kind, text, message):
    write(tmp_path, kind, text)
    with pytest.raises(InputError, match=message), overlay(tmp_path):
        pass


def test_missing_folder(tmp_path):
    with pytest.raises(InputError, match="not a folder"), overlay(tmp_path / "none"):
        pass


@pytest.mark.parametrize("name", ["PbS", "CsPbBr3_ortho", "CdS_wurtzite", "Pb4S3Br2"])
def test_added_phase_is_the_crystal_of_the_cif(tmp_path, name):
    first = crystal(name)
    path = write_cif(tmp_path / "in.cif", first.atoms)
    own = tmp_path / "own"
    _, report, target = add_phase(path, f"{name}_mine", own, source="notebook 1")
    assert report.faults == ()
    assert target.is_file()
    with overlay(own):
        again = crystal(f"{name}_mine")
        assert again.symmetry.number == first.symmetry.number
        assert len(again) == len(first)
        assert again.density == pytest.approx(first.density, rel=1e-6)
        assert again.source == "notebook 1"
        found = first.match_positions(again.scaled @ first.cell, again.numbers, 0.01)
        assert sorted(found) == list(range(len(first)))


def test_added_phase_may_become_the_default(tmp_path):
    path = write_cif(tmp_path / "in.cif", crystal("CsPbBr3_ortho").atoms)
    add_phase(path, "CsPbBr3_cold", tmp_path / "own", default=True)
    with overlay(tmp_path / "own"):
        assert crystal("CsPbBr3").name == "CsPbBr3_cold"


def test_taken_name_shows_both_sources(tmp_path):
    path = write_cif(tmp_path / "in.cif", crystal("PbS").atoms)
    with pytest.raises(InputError, match=r"Noda.*my source"):
        add_phase(path, "PbS", tmp_path / "own", source="my source")
    add_phase(path, "PbS_mine", tmp_path / "own", source="first")
    with pytest.raises(InputError, match=r"first.*second"):
        add_phase(path, "PbS_mine", tmp_path / "own", source="second")


def test_unsound_cif_is_refused_unless_wanted(tmp_path):
    squeezed = crystal("PbS").replace(cell=crystal("PbS").cell * 0.7)
    path = write_cif(tmp_path / "in.cif", squeezed.atoms)
    with pytest.raises(InputError, match="not sound"):
        add_phase(path, "squeezed", tmp_path / "own")
    assert not (tmp_path / "own" / "phases" / "squeezed.yaml").exists()
    _, report, _ = add_phase(path, "squeezed", tmp_path / "own", anyway=True)
    assert report.faults


def test_cif_with_two_blocks_is_refused(tmp_path):
    one = write_cif(tmp_path / "one.cif", crystal("PbS").atoms, name="one").read_text()
    two = write_cif(tmp_path / "two.cif", crystal("PbS").atoms, name="two").read_text()
    both = tmp_path / "both.cif"
    both.write_text(one + "\n" + two)
    with pytest.raises(InputError, match="2 structures"):
        add_phase(both, "both", tmp_path / "own")


def test_bad_name(tmp_path):
    with pytest.raises(InputError, match="cannot be a name"):
        add_phase("x.cif", "../x", tmp_path)
