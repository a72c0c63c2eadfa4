"""Bad input in one sentence, the command line, screens, figures, whole crystals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from heterodot.catalog import crystal
from heterodot.cif import read_cif
from heterodot.cli.epitaxy import epitaxy
from heterodot.cli.screen import screen as screen_command
from heterodot.crystal import Crystal
from heterodot.epitaxy import describe, interfaces, rank, search, whole_crystal
from heterodot.epitaxy.description import facets
from heterodot.epitaxy.limits import effort
from heterodot.epitaxy.screening import Limits, screen
from heterodot.errors import HeterodotError, InputError, NotFoundError


@pytest.fixture(scope="module")
def found():
    return search(crystal("CsPbCl3_cubic"), crystal("PbS"))


def test_a_molecule_is_refused():
    from ase.build import molecule

    atoms = molecule("H2O", vacuum=8.0)
    with pytest.raises(InputError, match="does not repeat"):
        Crystal.from_atoms(atoms)
    atoms.pbc = True
    boxed = Crystal.from_atoms(atoms, charges={"H": 1, "O": -2})
    with pytest.raises(InputError, match="a molecule in a box"):
        search(boxed, crystal("PbS"))


def test_a_layer_is_refused():
    cell = np.diag([4.0, 4.0, 25.0])
    layer = Crystal("layer", cell, [82, 16], [[0, 0, 0.5], [0.5, 0.5, 0.5]], [2, -2])
    with pytest.raises(InputError, match="a layer in a box"):
        search(crystal("PbS"), layer)


def test_disorder_is_refused(tmp_path):
    file = tmp_path / "half.cif"
    file.write_text(
        "data_x\n_cell_length_a 5.5\n_cell_length_b 5.5\n_cell_length_c 5.5\n"
        "_cell_angle_alpha 90\n_cell_angle_beta 90\n_cell_angle_gamma 90\n"
        "_space_group_name_H-M_alt 'P 1'\nloop_\n_atom_site_label\n_atom_site_type_symbol\n"
        "_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n_atom_site_occupancy\n"
        "Cu1 Cu 0 0 0 0.5\nS1 S 0.5 0.5 0.5 1\n"
    )
    with pytest.raises(InputError, match="partly occupied"):
        read_cif(file)


def test_limits_that_leave_nothing_say_what_to_loosen():
    with pytest.raises(NotFoundError) as error:
        search(
            crystal("CsPbCl3_cubic"), crystal("PbS"), max_index=1, max_area=40.0, max_strain=0.01
        )
    assert error.value.exit_code == 4
    text = str(error.value)
    assert "allow a strain of 6 %" in text  # 5.936 / 5.605 - 1 = 5.91 %, rounded up
    area = int(text.split("an area of ")[1].split()[0])
    again = search(
        crystal("CsPbCl3_cubic"), crystal("PbS"), max_index=1, max_area=area, max_strain=0.01
    )
    assert len(again)


@pytest.mark.parametrize(
    ("limits", "place"),
    [
        ({"max_index": 0}, "max_index"),
        ({"max_area": -1.0}, "max_area"),
        ({"max_strain": 3.0}, "max_strain"),
    ],
)
def test_limits_without_meaning(limits, place):
    with pytest.raises(InputError) as error:
        search(crystal("CsPbCl3_cubic"), crystal("PbS"), **limits)
    assert error.value.place == place


def test_huge_searches_are_refused_with_an_estimate():
    a, b = crystal("Pb4S3Br2"), crystal("CdS_wurtzite")
    with pytest.raises(InputError, match=r"would take about .*(minutes|hours)") as error:
        search(a, b, max_index=30, max_area=4000.0)
    assert "--force" in str(error.value)
    assert effort(a, b, 2, 400.0) < 10.0


def test_unknown_charges_are_not_taken_for_zero():
    solid = crystal("PbS").replace(charges=None)
    result = search(crystal("CsPbBr3_cubic"), solid, max_index=1)
    assert any("no formal charges" in note for note in result.notes)
    with pytest.raises(InputError, match="no formal charges"):
        rank(result)
    copper = Crystal.from_sites(
        "digenite", "F m -3 m", (5.57,), {"S": (0, 0, 0), "Cu": (0.25, 0.25, 0.25)}
    )
    assert copper.charge_of("Cu") == 1.0  # a peer takes zero here


def test_directions_out_of_the_plane(found):
    with pytest.raises(InputError, match="does not lie in"):
        found.find((2, 1, 0), (2, 2, 1), (1, 0, 0), (1, -1, 0))
    with pytest.raises(NotFoundError, match="degrees away"):
        found.find((1, 1, 1), (1, 1, 1), (1, -1, 0), (1, 1, -2))
    with pytest.raises(NotFoundError, match="no coincidence cell"):
        found.find((3, 1, 0), (1, 0, 0))


# ------------------------------------------------------------------ what it says


def test_steps_and_tilts_of_the_published_relation(found):
    relation = found.find((2, 1, 0), (2, 2, 1), (0, 0, 1), (1, -1, 0))
    told = describe(relation)
    # cut on (110) and (111), stair-like
    assert [(tuple(f["plane"]), f["number"]) for f in told["facets_a"]] == [
        ((1, 0, 0), 1),
        ((1, 1, 0), 1),
    ]
    assert [(tuple(f["plane"]), f["number"]) for f in told["facets_b"]] == [
        ((1, 1, 0), 1),
        ((1, 1, 1), 1),
    ]
    assert told["tilts"][0]["angle"] == pytest.approx(0.0, abs=1e-6)
    assert any(
        (t["a"], t["b"]) == ([1, 1, 0], [1, 1, 1]) and t["angle"] == pytest.approx(2.6, abs=0.1)
        for t in told["tilts"]
    )
    assert told["settings"]["a"]["Pbnm"]["plane"] == [1, 3, 0] or told["settings"]["a"]


def test_indices_of_an_orthorhombic_perovskite():
    result = search(crystal("CsPbBr3_ortho"), crystal("PbS"), max_index=1)
    relation = result.find((1, 0, 1), (1, 0, 0))
    pseudo = describe(relation)["settings"]["a"]["pseudocubic"]["plane"]
    assert sorted(map(abs, pseudo)) == [0, 0, 1]
    assert "b" not in describe(relation)["settings"]


def test_flat_planes_have_one_facet():
    assert facets(crystal("PbS"), (1, 0, 0)) == [{"plane": [1, 0, 0], "number": 1, "angle": 0.0}]


def test_whole_crystal_relation_is_cube_on_cube():
    best = whole_crystal(crystal("CsPbBr3_cubic"), crystal("PbS"), max_strain=0.03, most=3)
    assert best[0].angle == pytest.approx(0.0, abs=1e-6)
    assert best[0].strain == pytest.approx(np.eye(3) * (5.874 / 5.936 - 1), abs=1e-6)
    assert best[0].fit == pytest.approx(1.0, abs=1e-6)
    assert "(1 0 0) ‖ (1 0 0)" in best[0].facet_labels
    assert json.dumps(best[0].to_json())


# ------------------------------------------------------------------ faces


def test_command_json_is_one_document(tmp_path):
    table = tmp_path / "matches.csv"
    result = CliRunner().invoke(
        epitaxy,
        ["CsPbCl3", "PbS", "--json", "--energies", "0", "--csv", str(table)],
        catch_exceptions=False,
    )
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["schema"] == "heterodot/epitaxy/1"
    assert document["taken"]["a"]["catalog"] == "CsPbCl3_cubic"
    first = document["matches"][0]
    assert first["plane_a"] == [2, 1, 0]
    assert first["plane_b"] == [2, 2, 1]
    assert first["mismatch"] == pytest.approx([-0.0015, 0.0047], abs=1e-4)
    for key in (
        "direction_a", "direction_b", "direction2_a", "direction2_b", "rotation_b_to_a",
        "cell_a", "cell_b", "area", "strain_max", "score",
    ):  # fmt: skip
        assert key in first
    assert first["energies"]["elastic"]["unit"] == "eV/angstrom^2"
    assert document["chosen"]["interfaces"][0]["shared"] == "Pb"
    assert len(table.read_text().splitlines()) == len(document["matches"]) + 1


def test_command_table_and_pictures(tmp_path):
    files = [tmp_path / name for name in ("nets.svg", "stereogram.pdf", "spots.png")]
    result = CliRunner().invoke(
        epitaxy,
        ["CsPbBr3_cubic", "PbS", "--max-index", "1", "--energies", "0", "--nets", str(files[0]),
         "--stereogram", str(files[1]), "--spots", str(files[2])],
        catch_exceptions=False,
    )  # fmt: skip
    assert result.exit_code == 0
    assert "shared Pb layer" in result.stdout
    assert all(file.stat().st_size > 1000 for file in files)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--match", "999"], "there is no match"),
        (["--max-strain", "much"], "not a percentage"),
        (["--charges", "Cu"], "not a charge"),
        (["--max-index", "1", "--spots", "a.png", "--zone", "1,0"], "not three indices"),
        (["--max-index", "1", "--nets", "a.doc"], "not written as"),
    ],
)
def test_command_refusals(options, match):
    with pytest.raises(HeterodotError, match=match):
        CliRunner().invoke(
            epitaxy,
            ["CsPbBr3_cubic", "PbS", "--energies", "0", *options],
            catch_exceptions=False,
        )


def test_spots_show_extinctions_and_the_common_zone(found):
    from heterodot.report.figures_epitaxy import nets, spot_list, spots

    lead = crystal("PbS")
    listed = spot_list(lead, np.array([0.0, 0.0, 1.0]), longest=0.6)
    assert listed
    for (h, k, m), _, _ in listed:
        assert h % 2 == k % 2 == m % 2 == 0
    figure = spots(found.matches[0])
    assert figure.axes[0].get_xlabel() == "spatial frequency (1/Å)"
    assert nets(interfaces(found.matches[0])[0]).axes[0].get_ylabel().endswith("(Å)")


# ------------------------------------------------------------------ screens


def test_screen_resumes_and_writes_one_table(tmp_path, monkeypatch):
    import pyarrow.parquet as pq

    from heterodot.epitaxy import screening

    one = [crystal("CsPbCl3_cubic"), crystal("CsPbBr3_cubic")]
    two = [crystal("PbS"), crystal("ZnS_zincblende")]
    output = tmp_path / "pairs.parquet"
    limits = Limits(max_index=1, keep=5)
    calls = []
    real = screening.search_pair

    def stopping(a, b, asked):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append((a["name"], b["name"]))
        return real(a, b, asked)

    monkeypatch.setattr(screening, "search_pair", stopping)
    with pytest.raises(KeyboardInterrupt):
        screen(one, two, output, limits=limits)
    assert not output.exists()
    monkeypatch.setattr(screening, "search_pair", real)
    # a part that was cut off counts as missing
    parts = sorted((tmp_path / "pairs.parquet.parts").iterdir())
    assert len(parts) == 2
    parts[0].write_text('{"rows": [')
    done = screen(one, two, output, limits=limits)
    assert (done["pairs"], done["done"], done["searched"]) == (4, 1, 3)
    table = pq.read_table(output).to_pylist()
    assert len(table) == done["rows"]
    assert {(r["a"], r["b"]) for r in table} == {(a.name, b.name) for a in one for b in two}
    again = screen(one, two, output, limits=limits)
    assert again["searched"] == 0


def test_screen_in_shards_and_failures(tmp_path):
    one, two = [crystal("CsPbCl3_cubic")], [crystal("PbS"), crystal("CdS_zincblende")]
    output = tmp_path / "pairs.parquet"
    limits = Limits(max_index=1, max_area=40.0, max_strain=0.001)
    first = screen(one, two, output, limits=limits, shard=(1, 2))
    assert not first["complete"]
    second = screen(one, two, output, limits=limits, shard=(2, 2))
    assert second["complete"]
    assert second["failed"] == 2
    with pytest.raises(InputError, match="out of range"):
        screen(one, two, output, shard=(3, 2))
    with pytest.raises(InputError, match="empty"):
        screen([], two, output)


def test_screen_command(tmp_path):
    listing = tmp_path / "list.txt"
    listing.write_text("CsPbCl3_cubic  # chloride\n\nCsPbBr3_cubic\n")
    output = tmp_path / "out.parquet"
    result = CliRunner().invoke(
        screen_command,
        [str(listing), "PbS", "-o", str(output), "--max-index", "1", "--workers", "1", "--json"],
        catch_exceptions=False,
    )
    document = json.loads(result.stdout)
    assert (document["pairs"], document["complete"]) == (2, True)
    with pytest.raises(InputError, match="is not a shard"):
        CliRunner().invoke(screen_command, ["PbS", "CdS", "--shard", "x"], catch_exceptions=False)


def test_screen_is_the_same_in_a_pool(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    one, two = [crystal("CsPbCl3_cubic"), crystal("CsPbBr3_cubic")], [crystal("PbS")]
    limits = Limits(max_index=1)
    import pyarrow.parquet as pq

    screen(one, two, tmp_path / "a.parquet", limits=limits)
    with ThreadPoolExecutor(2) as pool:
        screen(one, two, tmp_path / "b.parquet", limits=limits, executor=pool)
    assert pq.read_table(tmp_path / "a.parquet").equals(pq.read_table(tmp_path / "b.parquet"))
