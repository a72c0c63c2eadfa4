"""The verbs of light from the command line: JSON, figures, units, exit codes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from heterodot.cli.light import between, quantity
from heterodot.cli.main import cli
from heterodot.errors import HeterodotError, InputError
from heterodot.probes.absorption import elliott_absorption
from heterodot.probes.emission import absorbed_shares, band
from heterodot.probes.spectrum import energy_of, photon_constant

from ..electronic.particles import single


def run(*words: object) -> dict[str, Any]:
    result = CliRunner().invoke(cli, [*map(str, words), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def refusal(*words: object) -> HeterodotError:
    result = CliRunner().invoke(cli, [*map(str, words), "--json"])
    assert isinstance(result.exception, HeterodotError), result.output
    return result.exception


def table(path: Path, names: list[str], *columns: Any) -> Path:
    rows = [";".join(names)]
    rows += [
        ";".join(f"{x:.9g}".replace(".", ",") for x in row) for row in zip(*columns, strict=True)
    ]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def film(tmp_path: Path) -> Path:
    wavelength = np.linspace(430, 660, 461)
    bound, continuum = elliott_absorption(energy_of(wavelength), 2.40, 0.04, 0.025)
    noise = np.random.default_rng(0).normal(0, 1e-3, len(wavelength))
    return table(
        tmp_path / "film.csv",
        ["Wavelength (nm)", "Absorbance"],
        wavelength,
        2 * (bound + continuum) + noise,
    )


def test_absorption_of_a_film(film: Path, tmp_path: Path) -> None:
    for suffix in ("svg", "csv"):
        out = tmp_path / f"out.{suffix}"
        found = run("fit", "absorption", film, "-o", out)
        assert out.stat().st_size > 500
    assert found["schema"] == "heterodot/fit-absorption/1"
    assert found["elliott"]["gap"]["value"] == pytest.approx(2.40, abs=0.003)
    assert found["elliott"]["gap"]["error"] > 0
    assert found["tauc"]["optical_edge"]["unit"] == "eV"
    assert 0.04 < 2.40 - found["tauc"]["optical_edge"]["value"] < 0.13
    assert any("Elliott" in w for w in found["warnings"])
    assert "<text" in (tmp_path / "out.svg").read_text()  # editable text
    text = CliRunner().invoke(cli, ["fit", "absorption", str(film)]).output
    assert "optical edge" in text
    run("fit", "absorption", film, "--model", "exciton", "-o", tmp_path / "d.csv")
    heading = (tmp_path / "d.csv").read_text().splitlines()[0]
    assert heading.endswith("first derivative,second derivative")
    held = run("fit", "absorption", film, "--model", "elliott", "--binding", 40)
    assert held["elliott"]["binding"]["error_reason"] == "held fixed"


def test_absorption_by_domains(tmp_path: Path) -> None:
    from heterodot.catalog.sizing import sizing_curve

    energy = np.linspace(2.1, 3.4, 400)
    cds = sizing_curve("CdS").energy(5.0)
    from ..absorption.test_domains import domain

    values = domain(energy, 2.52, 0.09, 0.3, 0.3, 2) + domain(energy, cds, 0.12, 0.10, 0.12, 3)
    values = values + np.random.default_rng(0).normal(0, 1e-3, 400)
    file = table(tmp_path / "a.csv", ["Energy (eV)", "A"], energy, values)
    found = run("fit", "absorption", file, "-p", "CsPbBr3", "-p", "CdS", "-o", tmp_path / "d.svg")
    sizes = {d["phase"]: d["size"] for d in found["domains"]}
    assert sizes["CdS"]["value"] == pytest.approx(5.0, abs=0.1)
    assert sizes["CsPbBr3"]["unit"] == "nm"
    error = refusal("fit", "absorption", file, "-p", "CsPbBr3", "-p", "CdS", "--near", "PbS=1")
    assert "not one of the phases" in str(error)


def test_emission_and_its_artefacts(tmp_path: Path) -> None:
    wavelength = np.linspace(850, 1350, 501)
    energy = energy_of(wavelength)
    per_energy = 800 * band("gaussian", energy, 1.10, 0.12, 0)
    per_energy += 150 * band("gaussian", energy, photon_constant() / 1032, 0.02, 0)
    counts = per_energy * energy**2
    file = table(tmp_path / "nir.csv", ["Wavelength (nm)", "PL (counts)"], wavelength, counts)
    found = run(
        "fit",
        "pl",
        file,
        "--shape",
        "gaussian",
        "--bands",
        2,
        "--emitter",
        516,
        "-o",
        tmp_path / "pl.svg",
    )
    assert [b["energy"]["value"] for b in found["bands"]] == pytest.approx([1.10, 1.2014], abs=1e-3)
    assert found["jacobian"]
    assert "second order" in found["artefacts"][0]["cause"]


def test_excitation_spectrum(tmp_path: Path) -> None:
    energy = np.linspace(1.6, 3.4, 200)
    donor = 0.3 / (1 + np.exp(-(energy - 2.45) / 0.02))
    acceptor = 0.05 * (energy / 1.6) ** 3
    f_donor, f_acceptor = absorbed_shares(donor, acceptor)
    files = [
        table(tmp_path / f"{n}.csv", ["Energy (eV)", n], energy, y)
        for n, y in (
            ("PLE", 1e4 * (f_acceptor + 0.6 * f_donor)),
            ("donor abs", donor),
            ("acceptor abs", acceptor),
        )
    ]
    found = run(
        "fit", "pl", files[0], "--donor", files[1], "--acceptor", files[2], "-o", tmp_path / "e.svg"
    )
    assert found["transfer_efficiency"]["value"] == pytest.approx(0.6, abs=1e-4)
    assert "go together" in str(refusal("fit", "pl", files[0], "--donor", files[1]))


def test_stability_curve(tmp_path: Path) -> None:
    time = np.linspace(0, 180, 19)
    file = table(
        tmp_path / "s.csv",
        ["Time (h)", "hetero", "bare"],
        time,
        np.exp(math.log(0.91) * time / 180),
        np.exp(math.log(0.84) * time / 180),
    )
    found = run("fit", "pl", file, "-o", tmp_path / "s.png")
    assert [s["half_life"]["value"] for s in found["stability"]] == pytest.approx(
        [1323, 716], rel=2e-3
    )
    assert found["stability"][0]["half_life"]["unit"] == "hour"


def test_transfer_table(tmp_path: Path) -> None:
    from ..emission.test_yields import TABLE

    file = tmp_path / "t.csv"
    lines = ["sample,I_ex,PL_PbS,A_PbS,A_pero,PLQY_PbS,eta_trans (%)"]
    lines += [f"{n},3011395668,{pl},{a},{d},{q},{eta}" for n, pl, a, d, q, eta in TABLE]
    file.write_text("\n".join(lines))
    found = run("fit", "plqy", file, "-o", tmp_path / "t.svg")
    printed = found["forms"]["printed"]
    assert [r["agrees"] for r in printed["rows"]] == [True, False, True, True, True]
    assert printed["calibration"]["value"] == pytest.approx(0.0336, abs=5e-5)
    assert [round(100 * r["uncalibrated"]["value"], 2) for r in printed["rows"]] == [
        -14.67,
        -34.97,
        -73.42,
        -43.40,
        -58.27,
    ]
    fixed = run("fit", "plqy", file, "--form", "printed", "--calibration", "0.0336+-0.0001")
    assert fixed["forms"]["printed"]["calibration"]["error"] == pytest.approx(1e-4)
    file.write_text("\n".join([*lines, "x,3,4,nothing,1,1,1"]))
    assert "line 7, column 'A_PbS'" in str(refusal("fit", "plqy", file))


def test_sphere_file(tmp_path: Path) -> None:
    wavelength = np.linspace(420, 620, 401)

    def shape(centre: float, width: float, photons: float) -> np.ndarray:
        y = np.exp(-0.5 * ((wavelength - centre) / width) ** 2)
        return photons * y / y.sum()

    empty = shape(450, 2, 1e6)
    direct = shape(450, 2, 6e5) + shape(515, 9, 1.6e5)
    file = table(
        tmp_path / "q.csv", ["Wavelength (nm)", "empty", "direct"], wavelength, empty, direct
    )
    found = run("fit", "plqy", file, "--laser", "440:460", "--emission", "480:580")
    assert found["quantum_yield"]["value"] == pytest.approx(0.4, abs=2e-3)
    assert found["absorptance"]["value"] == pytest.approx(0.4, abs=1e-3)
    assert "ranges of laser" in str(refusal("fit", "plqy", file))
    other = table(tmp_path / "r.csv", ["Wavelength (nm)", "x", "y"], wavelength, empty, direct)
    assert "do not name" in str(
        refusal("fit", "plqy", other, "--laser", "440:460", "--emission", "480:580")
    )


def test_temperature_series(tmp_path: Path) -> None:
    celsius = np.linspace(-200, 25, 12)
    kelvin = celsius + 273.15
    gap = 2.30 + 3e-4 * kelvin
    file = table(tmp_path / "t.csv", ["Temperature (°C)", "Gap (meV)"], celsius, 1000 * gap)
    found = run("fit", "temperature", file, "--law", "linear", "-o", tmp_path / "t.svg")
    assert found["quantity"] == "gap"
    assert found["fit"]["parameters"]["gap_0"]["value"] == pytest.approx(2.30, abs=1e-6)
    assert found["fit"]["parameters"]["slope"]["value"] == pytest.approx(3e-4, rel=1e-6)
    kelvins = table(tmp_path / "k.csv", ["Temperature (K)", "thing"], celsius, gap)
    assert "does not say what it is" in str(refusal("fit", "temperature", kelvins))
    assert "kelvin" in str(refusal("fit", "temperature", kelvins, "--quantity", "gap"))


def test_photodetector_trace_series_and_spectrum(tmp_path: Path) -> None:
    from ..photodetector.test_photodetector import trace

    time, current = trace(0.05, 0.1, 0.005, 1e-11)
    file = table(tmp_path / "i.csv", ["Time (s)", "Current (nA)"], time, 1e9 * current)
    found = run(
        "fit",
        "photodetector",
        file,
        "--intensity",
        "0.7 mW/cm^2",
        "--area",
        "1e-5 cm^2",
        "--wavelength",
        "450 nm",
        "--noise",
        "1e-13 A/Hz^0.5",
        "-o",
        tmp_path / "i.svg",
    )
    assert found["responsivity"]["value"] == pytest.approx(9e-9 / (0.7e-3 * 1e-5), rel=0.01)
    assert found["eqe"]["value"] == pytest.approx(found["responsivity"]["value"] * 275.5, rel=1e-3)
    assert found["detectivity_noise"]["unit"] == "cm*Hz^0.5/W"
    assert any("shot-noise" in w for w in found["warnings"])
    bare = run("fit", "photodetector", file, "--power", "7 nW")
    assert bare["printed_form"]["unit"] == "Hz^0.5/W"
    assert any("no specific detectivity" in w for w in bare["warnings"])
    power = np.geomspace(1e-3, 10, 9)
    series = table(
        tmp_path / "p.csv", ["Intensity (mW/cm2)", "Current (A)"], power, 1e-7 * power**0.8
    )
    found = run("fit", "photodetector", series, "--area", "1e-4 cm^2", "-o", tmp_path / "p.svg")
    assert found["exponent"]["value"] == pytest.approx(0.8, abs=1e-6)
    assert found["at_weakest_light"]["responsivity"]["value"] == pytest.approx(
        1e-7 * 1e-3**0.8 / (1e-6 * 1e-4), rel=1e-6
    )
    wavelength = np.linspace(400, 600, 21)
    spectrum = table(
        tmp_path / "r.csv", ["Wavelength (nm)", "R (A/W)"], wavelength, wavelength / 1000
    )
    found = run("fit", "photodetector", spectrum, "-o", tmp_path / "r.csv.svg")
    np.testing.assert_allclose(found["eqe_percent"], 123.984, rtol=1e-4)
    assert "cannot be given in" in str(refusal("fit", "photodetector", file, "--power", "3 V"))


def test_simulated_absorption(tmp_path: Path) -> None:
    particle = single("PbS", lambda r: np.linalg.norm(r, axis=1) < 13.0)
    particle.write(tmp_path / "dot.xyz")
    for out in ("a.svg", "a.csv", "a.nc"):
        found = run(
            "simulate", "absorption", tmp_path / "dot.xyz", "--states", 2, "-o", tmp_path / out
        )
        assert (tmp_path / out).stat().st_size > 100
    assert found["transitions"][0]["energy"]["unit"] == "eV"
    assert set(found["strength"]["values"]) == {"all", "PbS"}


@pytest.mark.parametrize("verb", ["absorption", "pl", "plqy", "temperature", "photodetector"])
def test_help_has_an_example_and_bad_files_end_in_one_sentence(verb: str, tmp_path: Path) -> None:
    text = CliRunner().invoke(cli, ["fit", verb, "--help"]).output
    assert f"heterodot fit {verb}" in text
    for name, content in (
        ("a.csv", b"\x00\x01\x02" * 99),
        ("b.csv", b"words only\n"),
        ("c.csv", b""),
    ):
        file = tmp_path / name
        file.write_bytes(content)
        error = refusal(
            "fit", verb, file, *(["--laser", "1:2", "--emission", "3:4"] if verb == "plqy" else [])
        )
        assert error.exit_code == 3
        assert name in str(error)
    error = refusal("fit", verb, tmp_path / "nowhere.csv")
    assert "does not exist" in str(error)


def test_output_of_an_unknown_kind_is_refused(film: Path, tmp_path: Path) -> None:
    assert "are not written here" in str(
        refusal("fit", "absorption", film, "-o", tmp_path / "a.docx")
    )
    assert not (tmp_path / "a.docx").exists()


def test_ranges_and_quantities() -> None:
    assert between("2.1:2.6") == (2.1, 2.6)
    assert between(None) is None
    for bad in ("2.1", "a:b", "3:2"):
        with pytest.raises(InputError, match="--range"):
            between(bad)
    value = quantity("0.5+-0.1 mW/cm^2", "W/cm^2", "--x")
    assert (value.value, value.error) == pytest.approx((5e-4, 1e-4))
    assert quantity("450 nm", "nm", "--x").error is None
    with pytest.raises(InputError, match="--x"):
        quantity("frog", "nm", "--x")
