"""``heterodot fit decay``, ``fit ta`` and ``convert`` from files on disk."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from heterodot.cli.main import cli, main
from heterodot.measurement import Measurement
from heterodot.probes.decay import simulate
from heterodot.probes.ta import read_scheme
from heterodot.probes.ta import simulate as simulate_ta


def run(*args):
    result = CliRunner().invoke(cli, list(map(str, args)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def decay_files(tmp_path):
    counts, irf = simulate([1.0, 6.0], [0.5, 0.5], counts=1e5, bins=400, width=0.08, seed=1)
    for name, m in (("d.csv", counts), ("irf.csv", irf)):
        rows = zip(m.data.time.values, m.data.values, strict=True)
        text = "time (ns),counts\n" + "".join(f"{t:.4f},{int(y)}\n" for t, y in rows)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_fit_decay_json_and_figure(decay_files):
    out = decay_files / "d.svg"
    result = run(
        "fit", "decay", decay_files / "d.csv", "--irf", decay_files / "irf.csv",
        "--components", 2, "--json", "-o", out, "--quiet",
    )  # fmt: skip
    document = json.loads(result.stdout)
    assert document["schema"] == "heterodot/fit-decay/1"
    tau = document["parameters"]["tau_2"]
    assert abs(tau["value"] - 6.0) < 4 * tau["error"]
    assert tau["unit"] == "ns"
    assert {"tau_amplitude", "tau_intensity"} <= set(document["parameters"])
    assert "Residual" in out.read_text()


def test_fit_decay_auto_decimal_comma_and_csv(decay_files):
    for name in ("d.csv", "irf.csv"):
        text = (decay_files / name).read_text()
        (decay_files / name).write_text(text.replace(",", ";").replace(".", ","))
    out = decay_files / "curves.csv"
    result = run("fit", "decay", decay_files / "d.csv", "--irf", decay_files / "irf.csv", "-o", out)
    assert "2 exponentials" in result.stdout
    assert out.read_text().startswith("trace,time (ns),counts,model,residual\n")


def test_fit_decay_distribution_and_stretched(decay_files):
    common = [decay_files / "d.csv", "--irf", decay_files / "irf.csv", "--json", "-q"]
    found = json.loads(run("fit", "decay", *common, "--model", "distribution").stdout)
    assert len(found["peaks"]) == 2
    found = json.loads(run("fit", "decay", *common, "--model", "stretched").stdout)
    assert found["parameters"]["beta"]["value"] < 0.9


def test_channels_need_a_bin_width(decay_files):
    rows = (decay_files / "d.csv").read_text().splitlines()[1:]
    text = "".join(f"{k}\t{row.split(',')[1]}\n" for k, row in enumerate(rows))
    (decay_files / "c.dat").write_text(text)
    (decay_files / "i.dat").write_text(
        "".join(
            f"{k}\t{row.split(',')[1]}\n"
            for k, row in enumerate((decay_files / "irf.csv").read_text().splitlines()[1:])
        )
    )
    common = ["fit", "decay", decay_files / "c.dat", "--irf", decay_files / "i.dat", "-n", 2]
    assert "--bin-width" in run(*common).stderr
    found = json.loads(run(*common, "--bin-width", "80 ps", "--json").stdout)
    assert found["parameters"]["tau_2"]["value"] == pytest.approx(6.0, rel=0.05)


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["fit", "decay", "missing.csv"], 3, "does not exist"),
        (["fit", "decay", "d.csv", "-n", "many"], 3, "no number of exponentials"),
        (["fit", "decay", "d.csv", "--model", "distribution"], 3, "needs the response"),
        (["fit", "decay", "d.csv", "--window", "5:1"], 3, "lower end first"),
        (["fit", "decay", "d.csv", "--quenched", "d.csv"], 3, "thickness"),
        (["fit", "decay", "d.csv", "--together"], 3, "one trace only"),
        (["convert", "d.csv", "-o", "x.txt"], 3, "ends in .nc"),
    ],
)
def test_exit_codes(decay_files, monkeypatch, capsys, args, code, message):
    monkeypatch.chdir(decay_files)
    with pytest.raises(SystemExit) as caught:
        main(args)
    assert caught.value.code == code
    assert message in capsys.readouterr().err


SCHEME = "CsPbBr3* -> CsPbBr3+ CdS- : k_et\nCsPbBr3+ CdS- -> GS : k_cr\n"


@pytest.fixture
def ta_files(tmp_path):
    t = np.r_[np.arange(-1, 2, 0.06), np.geomspace(2, 2000, 40)]
    nm = np.linspace(430, 560, 16)
    s = 1e-3 * np.stack(
        [-8 * np.exp(-(((nm - 510) / 12) ** 2)), -5 * np.exp(-(((nm - 440) / 15) ** 2))]
    )
    m = simulate_ta(
        read_scheme(SCHEME), s, t, nm, rates={"k_et": 1 / 8.9, "k_cr": 1e-3}, fwhm=0.15,
        chirp=(0.2,), noise=1e-4, seed=2,
    )  # fmt: skip
    lines = [",".join(["0", *(f"{x:.6g}" for x in t)])]
    lines += [
        ",".join([f"{x:.6g}", *(f"{y:.6g}" for y in row)])
        for x, row in zip(nm, m.data.values.T, strict=True)
    ]
    (tmp_path / "m.csv").write_text("\n".join([*lines, "Time units: ps", ""]))
    (tmp_path / "scheme.txt").write_text(SCHEME)
    return tmp_path


def test_fit_ta_scheme(ta_files):
    out = ta_files / "ta.png"
    result = run(
        "fit", "ta", ta_files / "m.csv", "--scheme", ta_files / "scheme.txt", "--json", "-q",
        "-o", out, "--profile",
    )  # fmt: skip
    document = json.loads(result.stdout)
    assert document["schema"] == "heterodot/fit-ta/1"
    tau = document["parameters"]["tau(k_et)"]
    assert abs(tau["value"] - 8.9) < 4 * tau["error"]
    assert len(document["parameters"]["k_et"]["interval_95"]) == 2
    assert document["species"] == ["CsPbBr3*", "CsPbBr3+ CdS-"]
    assert np.shape(document["spectra_error"]) == (2, 16)
    assert out.read_bytes().startswith(b"\x89PNG")


def test_fit_ta_components_and_spectra(ta_files):
    out = ta_files / "spectra.csv"
    result = run("fit", "ta", ta_files / "m.csv", "--components", 2, "--svd", "-o", out)
    assert "significant" in result.stdout
    assert out.read_text().startswith("wavelength (nm),component 1 (OD)")


def test_fit_ta_refuses_what_cannot_be_told(ta_files, capsys):
    (ta_files / "four.txt").write_text("A -> B : k1\nB -> A : k2\nA -> GS : k3\nB -> GS : k4\n")
    args = ["fit", "ta", str(ta_files / "m.csv"), "--scheme", str(ta_files / "four.txt")]
    with pytest.raises(SystemExit) as caught:
        main(args)
    assert caught.value.code == 3
    assert "4 free rates, 2 determined" in capsys.readouterr().err
    result = run(*args, "--family")
    assert result.stdout.count("equal fit:") >= 2


def test_fit_ta_bad_options(ta_files, capsys):
    for extra, message in (
        (["--scheme", str(ta_files / "scheme.txt"), "-n", "2"], "more than one model"),
        (["--start", "k"], "not NAME=VALUE"),
        (["--artefact", "7"], "0 to 3"),
        (["--dataset", "x"], "not NAME=VALUE"),
        (["--time-unit", "nm"], "cannot be given"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(["fit", "ta", str(ta_files / "m.csv"), *extra])
        assert caught.value.code == 3
        assert message in capsys.readouterr().err


def test_convert_round_trip(ta_files):
    out = ta_files / "m.nc"
    document = json.loads(
        run("convert", ta_files / "m.csv", "--kind", "ta", "-o", out, "--json").stdout
    )
    assert [a["name"] for a in document["axes"]] == ["time", "wavelength"]
    again = Measurement.read(out)
    assert again.kind == "ta"
    assert again.data.shape == (90, 16)


def test_streak_image_is_summed_over_a_band(tmp_path):
    import xarray as xr

    counts, irf = simulate([3.0], [1.0], counts=1e5, bins=300, width=0.06, seed=3)
    nm = np.arange(500.0, 530.0, 10.0)
    cube = np.stack([0 * counts.data.values, counts.data.values, 7 + 0 * counts.data.values], 1)
    data = xr.DataArray(
        cube,
        dims=("time", "wavelength"),
        coords={"time": counts.data.time, "wavelength": ("wavelength", nm, {"units": "nm"})},
        attrs={"units": "count"},
    )
    Measurement(data, "decay").write(tmp_path / "streak.nc")
    irf.write(tmp_path / "irf.nc")
    common = ["fit", "decay", tmp_path / "streak.nc", "--irf", tmp_path / "irf.nc", "-n", 1]
    found = json.loads(run(*common, "--sum", "505:515", "--json", "-q").stdout)
    tau = found["parameters"]["tau_1"]
    assert abs(tau["value"] - 3.0) < 4 * tau["error"]
    with pytest.raises(Exception, match="no wavelength lies in"):
        run(*common, "--sum", "600:700")
