"""heterodot electronic and heterodot transfer on files; figures."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from heterodot.cli.electronic import electronic, overrides_of
from heterodot.cli.transfer import transfer
from heterodot.electronic import levels_of_shape
from heterodot.electronic.ideal import cube_and_cap, sphere
from heterodot.electronic.materials import pure
from heterodot.electronic.size_map import size_map
from heterodot.errors import InputError
from heterodot.report.figures_electronic import (
    level_diagram,
    save,
    size_map_figure,
    sizing_figure,
)

from .particles import janus, single


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("particle") / "particle.xyz"
    return janus("CsPbCl3", "PbS", 23.0, 24.0).write(path)


def run(command, *arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)


def test_document_of_electronic(file, tmp_path):
    table, figure = tmp_path / "levels.csv", tmp_path / "levels.svg"
    result = run(
        electronic, file, "--json", "--states", 2, "--spacing", "2angstrom", "--excitons",
        "--csv", table, "--figure", figure,
    )  # fmt: skip
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["schema"] == "heterodot/electronic/1"
    assert document["alignment"]["type"] == "type I"
    assert document["coulomb"]["optical_gap"]["unit"] == "eV"
    assert document["exciton"]["radiative_lifetime"]["unit"] == "ns"
    assert len(document["electrons"]) == 2
    assert table.read_text().count("\n") == 5
    assert "<svg" in figure.read_text()


def test_settings_reach_the_model(file):
    arguments = (file, "--json", "--states", 1, "--spacing", "2.4angstrom", "--no-coulomb")
    plain = json.loads(run(electronic, *arguments).stdout)
    moved = json.loads(run(electronic, *arguments, "--set", "PbS.ionization_energy=5.31eV").stdout)
    shift = moved["holes"][0]["energy"]["value"] - plain["holes"][0]["energy"]["value"]
    assert shift == pytest.approx(-0.30, abs=0.05)


def test_text_says_type_and_sources(file):
    result = run(electronic, file, "--spacing", "2.4angstrom", "--states", "1")
    assert "type I" in result.stdout
    assert "Tao" in result.stdout


def test_transfer_command(file):
    result = run(transfer, file, "--json", "--carrier", "electron", "--states", 12)
    document = json.loads(result.stdout)
    assert document["schema"] == "heterodot/transfer/1"
    (found,) = document["transfers"]
    assert found["donor"] == "CsPbCl3"
    assert found["rate"]["value"] > 0


def test_wrong_input_of_the_commands(file, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        run(electronic, tmp_path / "missing.xyz")
    with pytest.raises(InputError, match="does not resolve"):
        run(electronic, file, "--spacing", "9angstrom")
    with pytest.raises(InputError, match="no-coulomb"):
        run(electronic, file, "--no-coulomb", "--excitons")
    one = single("PbS", lambda p: (p**2).sum(axis=1) < 100.0).write(tmp_path / "one.xyz")
    with pytest.raises(InputError, match="one domain"):
        run(transfer, one)
    with pytest.raises(InputError, match="figure format"):
        run(electronic, file, "--spacing", "2.4angstrom", "--figure", tmp_path / "levels.doc")


@pytest.mark.parametrize("text", ["PbS", "PbS.band_gap", "band_gap=3", "PbS.band_gap=3 apples"])
def test_wrong_settings(text):
    with pytest.raises(InputError):
        overrides_of((text,))


def test_settings_take_units():
    found = overrides_of(("PbS.band_gap=410 meV", "PbS.electron_mass=0.1"))
    assert found == {"PbS": {"band_gap": pytest.approx(0.41), "electron_mass": 0.1}}


def test_figures_say_their_units(tmp_path):
    bulk = (pure("CsPbBr3"), pure("PbS"))
    found = levels_of_shape(
        cube_and_cap("CsPbBr3", "PbS", 30.0, 26.0, 3.0), bulk, states=2, coulomb=False
    )
    figure = level_diagram(found)
    assert "eV" in figure.axes[0].get_ylabel()
    again = level_diagram({"levels": found.to_json()})
    assert [line.get_ydata()[0] for line in again.axes[0].lines] == [
        line.get_ydata()[0] for line in figure.axes[0].lines
    ]
    assert save(figure, tmp_path / "levels.pdf").stat().st_size > 1000
    over_sizes = size_map("CsPbBr3", "PbS", [30.0, 40.0], [24.0, 30.0], points=16**3, coulomb=False)
    mapped = size_map_figure(over_sizes)
    assert "nm" in mapped.axes[0].get_xlabel()
    save(mapped, tmp_path / "map.png")
    from heterodot.electronic.sizing import SizingRow, empirical_gap
    from heterodot.units import Value

    rows = {"PbS": [SizingRow(30.0, Value(1.3, "eV", 0.1), empirical_gap("PbS", 30.0))]}
    assert "nm" in sizing_figure(rows).axes[0].get_xlabel()
    assert sphere("PbS", 30.0, 3.0).names == ("PbS",)


def test_size_map_command(tmp_path):
    figure = tmp_path / "map.svg"
    result = run(
        electronic, "--map", "CsPbCl3", "PbS", "--cube-sizes", "3nm", "--cap-sizes", "2.4,3nm",
        "--no-coulomb", "--json", "--figure", figure,
    )  # fmt: skip
    document = json.loads(result.stdout)
    assert document["size_map"]["first_sizes_angstrom"] == [30.0]
    assert document["size_map"]["second_sizes_angstrom"] == [24.0, 30.0]
    assert figure.exists()


def test_file_and_map_exclude_each_other(file):
    result = CliRunner().invoke(electronic, [str(file), "--map", "CsPbCl3", "PbS"])
    assert result.exit_code == 2
    assert CliRunner().invoke(electronic, []).exit_code == 2


def test_transfer_trend_command():
    result = run(
        transfer,
        "--trend",
        "CsPbBr3",
        "CdS",
        "--sizes",
        "3.4,4nm",
        "--carrier",
        "electron",
        "--json",
    )
    (trend,) = json.loads(result.stdout)["trends"]
    assert trend["cube_sizes_angstrom"] == [34.0, 40.0]
    assert len(trend["transfers"]) == 2
    assert 0 <= trend["probability_that_first_is_faster"] <= 1
    assert CliRunner().invoke(transfer, []).exit_code == 2


def test_atoms_and_cube_files(file, tmp_path):
    folder = tmp_path / "orbitals"
    result = run(
        electronic, file, "--states", "1", "--spacing", "2.4angstrom", "--no-coulomb",
        "--atomistic", "--cube", folder, "--json",
    )  # fmt: skip
    document = json.loads(result.stdout)
    assert document["atomistic"]["gap"]["unit"] == "eV"
    assert document["atomistic"]["alignment"]["type"]
    assert {p.name for p in folder.iterdir()} == {
        "electron.cube", "hole.cube", "electron_atomistic.cube", "hole_atomistic.cube",
    }  # fmt: skip
    assert "probabilities" in document["robustness"]
