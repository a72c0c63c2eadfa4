"""`heterodot simulate xrd` and `heterodot fit xrd` from file to JSON, exit codes and figures."""

from __future__ import annotations

import json

import numpy as np
import pytest

from heterodot.catalog import crystal
from heterodot.cli.main import main
from heterodot.particle import Domain, Particle
from heterodot.probes.xrd import XrdSetup, fit, simulate, sticks
from heterodot.report.figures_xrd import pattern_figure, simulated_figure

from .mixtures import ball, mixture


def run(capsys, *args):
    with pytest.raises(SystemExit) as caught:
        main([str(a) for a in args])
    out, err = capsys.readouterr()
    return caught.value.code or 0, out, err


@pytest.fixture
def dot(tmp_path):
    body = ball(crystal("PbS"), 36.0, np.random.default_rng(0))
    n = len(body.symbols)
    charge = np.where(np.array(body.symbols) == "Pb", 2.0, -2.0)
    particle = Particle(
        body.symbols, body.positions, np.zeros(n, int), np.array(["core"] * n), charge,
        (Domain("PbS", crystal("PbS")),),
    )  # fmt: skip
    return particle.write(tmp_path / "dot.xyz")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    pattern, truth = mixture(
        [(crystal("PbS"), 38.0, 0.4), (crystal("CsPbBr3_cubic"), 60.0, 0.6)], seed=11
    )
    path = tmp_path_factory.mktemp("xrd") / "mix.xy"
    np.savetxt(path, np.c_[pattern.data["two_theta"], pattern.data], fmt="%.4f %d")
    return path, truth


def test_simulate_then_read_back(capsys, dot, tmp_path):
    out = tmp_path / "out.xy"
    code, text, _ = run(
        capsys, "simulate", "xrd", dot, "--wavelength", "CuKa", "--range", "10:60",
        "--points", 250, "-o", out, "--json", "--sticks", "PbS",
    )  # fmt: skip
    document = json.loads(text)
    assert code == 0
    assert document["schema"] == "heterodot/simulate-xrd/1"
    assert len(document["intensity"]["values"]) == 250
    assert document["error_of_maximum"] < 1e-4
    assert document["sticks"]["PbS"][0]["hkl"] == [1, 1, 1]
    table = np.loadtxt(out)
    assert table.shape == (250, 2)
    assert np.allclose(table[:, 0], np.linspace(10, 60, 250))
    direct = simulate(Particle.read(dot), XrdSetup(points=250)).data.values
    assert np.allclose(table[:, 1], direct, rtol=1e-6)
    from heterodot.formats import read
    from heterodot.probes.xrd.recorded import recorded

    assert recorded(read(out, "xrd")).wavelength == pytest.approx(1.5419, abs=1e-3)


def test_counting_noise_takes_a_seed(capsys, dot, tmp_path):
    texts = []
    for k, seed in enumerate((1, 1, 2)):
        path = tmp_path / f"{k}.csv"
        args = ("simulate", "xrd", dot, "--points", 50, "--counts", 500, "--seed", seed, "-q")
        run(capsys, *args, "-o", path)
        texts.append(path.read_text())
    assert texts[0] == texts[1] != texts[2]


def test_fit_gives_fractions_sizes_and_cells(capsys, mixed, tmp_path):
    path, truth = mixed
    curves = tmp_path / "curves.csv"
    code, text, _ = run(
        capsys, "fit", "xrd", path, "--phases", "CsPbBr3_cubic", "PbS", "CsPbCl3", "--wavelength",
        "CuKa", "--json", "--rir", "-o", curves,
    )  # fmt: skip
    assert code == 0
    document = json.loads(text)
    rows = {row["name"]: row for row in document["phases"]}
    assert rows["PbS"]["present"]
    assert not rows["CsPbCl3"]["present"]
    assert rows["CsPbCl3"]["phase"] == "CsPbCl3_cubic"
    assert rows["CsPbCl3"]["weight_fraction"]["value"] == 0
    for name in ("PbS", "CsPbBr3_cubic"):
        found = rows[name]["weight_fraction"]
        assert found["value"] == pytest.approx(truth[name]["fraction"], abs=0.03)
        assert found["error"] > 0
        assert rows[name]["size"]["value"] == pytest.approx(truth[name]["size"], rel=0.1)
        assert rows[name]["cell"]["a"]["unit"] == "angstrom"
    assert 0 < document["r_factors"]["rwp"] < 0.05
    adiabatic = document["adiabatic"]["PbS"]["weight_fraction"]["value"]
    assert adiabatic == pytest.approx(0.4, abs=0.08)
    assert curves.read_text().splitlines()[0].startswith("two_theta_deg,measured,fitted")


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("--phases", "PbSS"), 3, "did you mean PbS"),
        (("--phases", "PbS", "--wavelength", "CuKz"), 3, "not a known X-ray line"),
        (("--phases", "PbS", "--range", "70:90"), 3, "points lie in"),
        (("--phases", "PbS", "--texture", "PbS"), 3, "not a texture"),
        (("--phases", "CsPbCl3_cubic", "--wavelength", "MoKa"), 4, "none of"),
        (("--elements", "He"), 3, "no candidate"),
    ],
)
def test_errors_are_one_sentence(capsys, mixed, args, code, message):
    found, out, err = run(capsys, "fit", "xrd", mixed[0], *args, "--quiet")
    assert found == code
    assert message in err
    assert out == ""


def test_the_file_may_come_last(capsys, mixed):
    code, text, _ = run(
        capsys, "fit", "xrd", "--phases", "PbS", "CsPbBr3_cubic", mixed[0], "--json"
    )
    assert code == 0
    assert len(json.loads(text)["phases"]) == 2


def test_missing_file_and_bad_output(capsys, dot, tmp_path):
    assert run(capsys, "fit", "xrd", tmp_path / "no.xy", "--phases", "PbS")[0] == 3
    assert run(capsys, "simulate", "xrd", dot, "--points", 20, "-o", tmp_path / "a.foo")[0] == 3
    assert run(capsys, "simulate", "xrd", dot, "--range", "ten")[0] == 3


def test_figures_show_every_part(mixed):
    from heterodot.formats import read

    found = fit(read(mixed[0], "xrd"), [crystal("PbS"), crystal("CsPbBr3_cubic")])
    figure = pattern_figure(found)
    labels = figure.axes[0].get_legend_handles_labels()[1]
    assert set(labels) >= {"measured", "fit", "background", "PbS", "CsPbBr3_cubic"}
    assert "deg" in figure.axes[1].get_xlabel()
    body = ball(crystal("PbS"), 20.0, np.random.default_rng(1))
    both = {name: sticks(crystal(name), XrdSetup()) for name in ("PbS", "CsPbBr3_cubic")}
    drawn = simulated_figure(simulate(body, XrdSetup(points=100)), both)
    assert len(drawn.axes) == 3


def _damaged(rows, how):
    x, y = rows[:, 0].copy(), rows[:, 1].copy()
    if how == "radians":
        x = np.radians(x)
    if how == "nan":
        y[7] = np.nan
    if how == "negative":
        y = y - 0.8 * np.median(y)
    if how == "descending":
        x, y = x[::-1], y[::-1]
    if how == "doubled":
        x, y = np.concatenate([x, x]), np.concatenate([y, y])
    return np.c_[x, y]


@pytest.mark.parametrize(
    ("how", "code", "message"),
    [
        ("radians", 3, "57.29578"),
        ("nan", 3, "not a number"),
        ("negative", 3, "negative counts"),
        ("doubled", 3, "not sorted"),
        ("descending", 0, "turned round"),
    ],
)
def test_bad_patterns_end_in_one_sentence_or_a_note(capsys, mixed, tmp_path, how, code, message):
    path = tmp_path / "bad.xy"
    np.savetxt(path, _damaged(np.loadtxt(mixed[0]), how), fmt="%.6f %.0f")
    found, out, err = run(capsys, "fit", "xrd", path, "--phases", "PbS", "CsPbBr3_cubic")
    assert found == code
    assert message in err.lower()
    assert (out == "") == (code != 0)


def test_wrong_wavelength_is_said(capsys, mixed):
    code, _, err = run(
        capsys, "fit", "xrd", mixed[0], "--phases", "PbS", "CsPbBr3_cubic", "--wavelength", "CoKa"
    )
    assert code in (0, 4)
    assert "wavelength may be wrong" in err
    assert "CuKa" in err


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.xrdml", b"<?xml version='1.0'?><xrdMeasurements><scan><dataPoi", "not whole XML"),
        ("a.brml", b"PK\x03\x04 cut off", "not a whole .brml"),
        ("a.raw", b"RAW1.01\x00" + bytes(300), "a.raw"),
        ("a.ras", b"*RAS_DATA_START\n*RAS_INT_START\n20 1 1\n", "RAS_INT_END"),
        ("a.xy", b"\x89PNG\r\n\x1a\n" + bytes(400), "binary"),
        ("a.uxd", b"MZ\x90 program", "a.uxd"),
    ],
)
def test_cut_off_files_and_files_that_lie(capsys, tmp_path, name, data, message):
    path = tmp_path / name
    path.write_bytes(data)
    code, out, err = run(capsys, "fit", "xrd", path, "--phases", "PbS", "--quiet")
    assert code == 3
    assert message in err
    assert out == ""


def test_displacement_and_thin_sample_from_the_command_line(capsys, mixed):
    code, out, _ = run(
        capsys, "fit", "xrd", mixed[0], "--phases", "PbS", "CsPbBr3_cubic", "--fix-zero",
        "--refine-displacement", "--radius", "250", "--mu-t", "0.5", "--json",
    )  # fmt: skip
    assert code == 0
    document = json.loads(out)
    assert document["displacement"]["unit"] == "deg"
    height = document["displacement_height"]
    assert height["unit"] == "mm"
    assert height["value"] == pytest.approx(
        np.radians(document["displacement"]["value"]) * 125.0, rel=1e-6
    )
