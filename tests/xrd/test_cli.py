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
