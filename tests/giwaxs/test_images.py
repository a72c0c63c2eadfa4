"""Detector images: reduced by pyFAI and found again, read from files, refused; from the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from heterodot.cli.main import main
from heterodot.errors import HeterodotError, InputError, MissingExtraError
from heterodot.formats import read
from heterodot.probes.giwaxs import Geometry, fit, reduce, simulate_image, simulate_polar

from .layered import CELL, WAVELENGTH, films

GEOMETRY = Geometry.simple((500, 500), (344, 344), 180.0, (480, 250), WAVELENGTH, incidence=0.4)
CRITICAL = 0.28


def pyfai():
    return pytest.importorskip("pyFAI", reason="needs pyFAI (heterodot[giwaxs])")


@pytest.fixture(scope="module")
def image():
    return simulate_image(films(), GEOMETRY, counts=8000, seed=3, critical=CRITICAL)


def write_tif(image, path):
    from PIL import Image

    Image.fromarray(image.data.values.astype(np.int32)).save(path)
    return path


def run(capsys, *args):
    with pytest.raises(SystemExit) as caught:
        main([str(a) for a in args])
    out, err = capsys.readouterr()
    return caught.value.code or 0, out, err


def test_reduced_image_gives_back_the_film(image):
    pyfai()
    reduced = reduce(image, GEOMETRY)
    assert "pyFAI" in reduced.engine
    counts = reduced.cartesian.data
    assert counts.dims == ("q_z", "q_parallel")
    assert np.isnan(counts.values).any()  # the wedge that a flat detector does not see
    found = fit(reduced, fit_critical=True, cells={"PMA2PbBr4": (*CELL, 90, 90, 90)})
    assert found.layers.spacing.value == pytest.approx(CELL[2] / 2, abs=0.03)
    assert found.layers.critical.value == pytest.approx(CRITICAL, abs=0.02)
    assert abs(found.layers.uncorrected.value - CELL[2] / 2) > 0.1
    first = found.reflections[0].orientation
    assert first.kind == "spot"
    assert first.hermans.value == pytest.approx(0.93, abs=0.02)


def test_masked_and_bad_pixels_are_left_out(image):
    pyfai()
    counts = image.data.values.copy()
    counts[:, 100:110] = -1.0
    counts[5, 5] = np.nan
    mask = np.zeros(counts.shape, dtype=bool)
    mask[:, 300:320] = True
    reduced = reduce(counts, GEOMETRY, mask=mask, saturated=5000.0, points=300)
    told = " ".join(reduced.polar.notes)
    assert "negative pixels" in told
    assert "saturated" in told
    assert "not finite" in told
    plain = reduce(image.data.values, GEOMETRY, points=300)
    a, b = reduced.polar.data.values, plain.polar.data.values
    both = np.isfinite(a) & np.isfinite(b)
    error = np.hypot(reduced.polar.data["error"].values, plain.polar.data["error"].values)
    assert np.mean(np.abs(a - b)[both] < 4 * error[both] + 1e-9) > 0.98


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: (c[:-1], GEOMETRY), "the geometry"),
        (lambda c: (c, GEOMETRY.replace(up="last row")), "every pixel is masked|no pixel"),
        (lambda c: (-c - 1, GEOMETRY), "negative"),
    ],
)
def test_images_that_do_not_fit_are_refused(image, change, message):
    counts, geometry = change(image.data.values)
    if "every" in message:
        geometry = geometry.replace(foot=(500 * 344.0, 250 * 344.0))
        counts = counts[:]
    with pytest.raises(InputError, match=message):
        reduce(counts, geometry)


def test_without_pyfai_the_extra_is_named(image, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pyFAI", None)
    with pytest.raises(MissingExtraError, match="giwaxs"):
        reduce(image, GEOMETRY)


@pytest.mark.parametrize("suffix", [".edf", ".tif", ".cbf"])
def test_images_are_read_back(image, tmp_path, suffix):
    if suffix != ".tif":
        pytest.importorskip("fabio", reason="needs fabio (heterodot[giwaxs])")
        from fabio.cbfimage import CbfImage
        from fabio.edfimage import EdfImage

        writer = {".edf": EdfImage, ".cbf": CbfImage}[suffix]
        path = tmp_path / f"a{suffix}"
        writer(data=image.data.values.astype(np.int32)).write(str(path))
    else:
        path = write_tif(image, tmp_path / "a.tif")
    found = read(path, "giwaxs")
    assert found.kind == "giwaxs-image"
    assert (found.data.values == image.data.values).all()
    whole = path.read_bytes()
    for part in (0.02, 0.5):
        path.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(HeterodotError) as caught:
            read(path, "giwaxs")
        assert caught.value.exit_code == 3


@pytest.mark.parametrize("name", ["a.edf", "a.cbf", "a.tif", "a.mccd", "a.img"])
def test_images_that_lie_about_their_type(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"%PDF-1.4 this is a paper\n" * 50)
    with pytest.raises((InputError, MissingExtraError)) as caught:
        read(path, "giwaxs")
    assert name in str(caught.value)


def test_an_edf_that_claims_too_much_is_refused(tmp_path):
    pytest.importorskip("fabio", reason="needs fabio (heterodot[giwaxs])")
    path = tmp_path / "a.edf"
    head = "{\nDim_1 = 900000 ;\nDim_2 = 900000 ;\nDataType = SignedInteger ;\nByteOrder = LowByteFirst ;\n"
    path.write_bytes((head.ljust(509) + "\n}\n").encode() + bytes(1000))
    with pytest.raises(InputError):
        read(path, "giwaxs")


def test_command_line_from_image_to_figure(capsys, image, tmp_path):
    pyfai()
    path = write_tif(image, tmp_path / "film.tif")
    args = (
        "fit", "giwaxs", path, "--distance", "180 mm", "--center", "480", "250", "--pixel",
        "344 um", "--wavelength", WAVELENGTH, "--incidence", "0.4", "--critical", "fit",
    )  # fmt: skip
    code, out, _ = run(capsys, *args, "--json", "-o", tmp_path / "a.png")
    assert code == 0
    document = json.loads(out)
    assert document["schema"] == "heterodot/fit-giwaxs/1"
    assert document["layers"]["spacing"]["value"] == pytest.approx(CELL[2] / 2, abs=0.03)
    assert document["layer_phases"][0]["phase"] == "PMA2PbBr4"
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_command_line_from_a_reduced_map(capsys, tmp_path):
    """A reduced map needs neither pyFAI nor fabio."""
    chi, q = np.arange(-89.0, 90, 2.0), np.linspace(0.25, 2.3, 500)
    path = simulate_polar(films(), q, chi, WAVELENGTH, counts=3000).write(tmp_path / "map.nc")
    code, out, err = run(
        capsys,
        "fit",
        "giwaxs",
        path,
        "--phases",
        "CsPbBr3_cubic",
        "--json",
        "-o",
        tmp_path / "t.csv",
    )
    assert code == 0, err
    document = json.loads(out)
    kinds = {r["kind"] for r in document["reflections"]}
    assert {"ring", "spot"} <= kinds
    assert document["phases"][0]["name"] == "CsPbBr3_cubic"
    table = (tmp_path / "t.csv").read_text().splitlines()
    assert table[0].startswith("q_per_angstrom")
    assert len(table) == 1 + len(document["reflections"])
    code, out, _ = run(capsys, "fit", "giwaxs", path)
    assert code == 0
    assert "layers:" in out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "angle of incidence"),
        (("--incidence", "0.4"), "--distance"),
        (("--incidence", "grazing"), "--incidence"),
        (("--incidence", "0.4", "--poni", "no.poni"), "does not exist"),
        (("--incidence", "0.4", "--distance", "18 K", "--center", "1", "1", "--pixel", "1 um",
          "--wavelength", "CuKa"), "--distance"),
    ],
)  # fmt: skip
def test_errors_are_one_sentence(capsys, image, tmp_path, args, message):
    path = write_tif(image, tmp_path / "film.tif")
    code, out, err = run(capsys, "fit", "giwaxs", path, *args, "--quiet")
    assert code == 3
    assert message in err
    assert out == ""
