"""``heterodot fit fft`` and ``fit gpa`` on files, good and bad."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from heterodot.cli.main import main
from heterodot.measurement import Measurement
from heterodot.probes.em import EmSetup, preview
from tests.em.microscope import SHEAR, dimer, recorded

PIXEL = 0.02  # nm


@pytest.fixture(scope="module")
def janus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CsPbBr3/PbS along a cube edge, as ImageJ saves it."""
    particle, _ = dimer("CsPbBr3", "PbS")
    image = recorded(preview(particle, EmSetup(zone=(0, 1, 0), tilt=(1, -1))), warp=SHEAR)
    path = tmp_path_factory.mktemp("em") / "janus.tif"
    tags = {270: "ImageJ=1.53\nunit=nm\n", 282: 1 / PIXEL, 283: 1 / PIXEL, 296: 1}
    picture = Image.fromarray(image.data.values[::-1].astype(np.float32))
    picture.save(path, tiffinfo=tags)
    return path


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any], str]:
    """Return exit code, JSON document and stderr of a command."""
    with pytest.raises(SystemExit) as ended:
        main(["fit", *words, "--json"])
    out, err = capsys.readouterr()
    code = ended.value.code
    assert isinstance(code, int)
    return code, json.loads(out) if out.strip() else {}, err


def test_relation_and_interface_of_a_file(
    janus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = tmp_path / "spots.png"
    code, found, _ = call(
        capsys, "fft", str(janus), "--phases", "CsPbBr3", "PbS", "--figure", str(figure)
    )
    assert code == 0
    assert found["schema"] == "heterodot/fit-fft/1"
    assert found["phases"] == {"CsPbBr3": "CsPbBr3_cubic", "PbS": "PbS"}
    domains = found["images"][0]["domains"]
    assert {d["phase"] for d in domains} == {"CsPbBr3_cubic", "PbS"}
    spacing = domains[0]["spots"][0]["spacing"]
    assert spacing["unit"] == "angstrom"
    assert spacing["error"] > 0
    relation = found["relation"]
    assert relation["candidates"][0]["rank"] == 1
    assert relation["candidates"][0]["agrees"]
    # the image has y upward: the interface lies level, CsPbBr3 below
    by_phase = {d["phase"]: d["center"][1] for d in domains}
    assert by_phase["CsPbBr3_cubic"] < by_phase["PbS"]
    assert abs((found["interface"]["angle"]["value"] + 90) % 180 - 90) < 5
    planes = {c["label"].split(",")[0]: c["agrees"] for c in found["contact_planes"]}
    assert planes["(1 0 0)CsPbBr3 ‖ (1 0 0)PbS"]
    assert not planes["(1 1 0)CsPbBr3 ‖ (1 1 0)PbS"]
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_given_regions_are_taken(janus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found, _ = call(
        capsys, "fft", str(janus), "--phases", "CsPbBr3", "PbS", "--no-candidates",
        "--region", "1,1,5.5,6", "1.2,7,5,10.5",
    )  # fmt: skip
    assert code == 0
    assert [d["phase"] for d in found["images"][0]["domains"]] == ["CsPbBr3_cubic", "PbS"]
    assert found["relation"]["candidates"] == []
    assert found["relation"]["rotation_b_to_a"]


def test_a_phase_that_is_not_there_comes_out_as_not_there(
    janus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found, err = call(capsys, "fft", str(janus), "--phases", "CsPbI3", "Cs4PbBr6")
    assert code == 4
    assert "none of the candidate phases" in err
    assert {r["phase"] for r in found["images"][0]["not_there"]} == {
        "CsPbI3_alpha", "Cs4PbBr6",
    }  # fmt: skip
    assert found["relation"] is None


def test_strain_maps_of_a_file(
    janus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, figure = tmp_path / "strain.nc", tmp_path / "strain.png"
    code, found, _ = call(
        capsys, "gpa", str(janus), "--phases", "CsPbBr3", "PbS", "-o", str(maps),
        "--figure", str(figure),
    )  # fmt: skip
    assert code == 0
    assert found["schema"] == "heterodot/fit-gpa/1"
    (misfit,) = found["misfits"]
    assert misfit["phase"] == "PbS"
    assert misfit["elastic"]["exx"]["value"] == pytest.approx(-0.0104, abs=0.003)
    assert any("no elastic strain" in w for w in found["warnings"])
    data = Measurement.read(maps).data
    assert list(data["map"].values) == ["exx", "eyy", "exy", "rotation", "amplitude"]
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_strain_maps_as_a_picture_keep_their_scale(
    janus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "strain.tif"
    code, found, _ = call(
        capsys, "gpa", str(janus), "--g", "3.35,0", "0,3.41", "--reference", "1,1,5.5,6",
        "-o", str(path),
    )  # fmt: skip
    assert code == 0
    assert not found["reference_found"]
    with Image.open(path) as opened:
        assert opened.n_frames == 5
        assert opened.mode == "F"
        step = 1 / float(opened.tag_v2[282])
        assert step * opened.size[0] == pytest.approx(PIXEL * Image.open(janus).size[0], rel=0.01)


# ---------------------------------------------------------------- bad input


def screenshot(path: Path, janus: Path, bar: bool) -> Path:
    """Return an eight-bit picture of the file, as of a figure in a paper."""
    values = np.asarray(Image.open(janus), dtype=float)
    gray = np.clip(values / np.percentile(values, 99.7) * 230, 0, 230).astype(np.uint8)
    if bar:
        ny, nx = gray.shape
        gray[ny - 24 : ny - 16, 16 : 16 + 100] = 255
        for k in range(6):  # letters above it
            gray[ny - 44 : ny - 30, 20 + 14 * k : 24 + 14 * k] = 255
        assert nx > 150
    Image.fromarray(gray).save(path)
    return path


def test_an_image_without_scale_asks_for_it(
    janus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = screenshot(tmp_path / "a.png", janus, bar=False)
    for verb in ("fft", "gpa"):
        code, found, err = call(capsys, verb, str(path), "--phases", "PbS")
        assert (code, found) == (3, {})
        assert "--pixel" in err
        assert "a.png" in err


def test_a_screenshot_with_a_burnt_in_bar_is_read_with_a_warning(
    janus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = screenshot(tmp_path / "a.png", janus, bar=True)
    code, found, _ = call(
        capsys, "fft", str(path), "--phases", "CsPbBr3", "PbS", "--pixel", "0.02nm"
    )
    assert code == 0
    assert any("scale bar" in w and "smoothed" in w for w in found["warnings"])
    assert any("eight bits" in w for w in found["warnings"])
    assert found["relation"]["candidates"][0]["rank"] == 1


def stored(path: Path, values: np.ndarray, pixel: float = 0.2) -> Path:
    ny, nx = values.shape
    data = xr.DataArray(
        values,
        dims=("y", "x"),
        coords={
            "y": ("y", np.arange(ny) * pixel, {"units": "angstrom"}),
            "x": ("x", np.arange(nx) * pixel, {"units": "angstrom"}),
        },
        attrs={"units": ""},
        name="image",
    )
    return Measurement(data, "image", path.name).write(path)


@pytest.mark.parametrize(
    ("values", "code", "said"),
    [
        (np.random.default_rng(0).normal(size=(300, 300)), 4, "no lattice"),
        (np.ones((300, 300)), 3, "equal"),
        (np.random.default_rng(0).normal(size=(20, 300)), 3, "too few"),
        (np.where(np.arange(90000).reshape(300, 300) == 41234, np.nan, 1.0), 3, "row 137"),
    ],
    ids=["noise", "flat", "small", "nan"],
)
def test_images_without_a_lattice(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    values: np.ndarray,
    code: int,
    said: str,
) -> None:
    path = stored(tmp_path / "a.nc", values)
    ended, found, err = call(capsys, "fft", str(path), "--phases", "PbS")
    assert (ended, found) == (code, {})
    assert said in err
    assert "a.nc" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fft", "--phases", "PbS", "--region", "1,2,3"], "x0,y0,x1,y1"),
        (["fft", "--phases", "PbS", "--region", "90,90,95,95"], "stay in"),
        (["fft", "--phases", "PbSe"], "did you mean"),
        (["fft", "--phases", "PbS", "PbS"], "twice"),
        (["fft", "--phases", "PbS", "--tilt", "0,0", "5,5"], "2 tilts for 1 images"),
        (["gpa", "--g", "3.4,0"], "two reflections"),
        (["gpa", "--g", "2.1,0.9", "-0.8,2.3"], "stand out"),
        (["gpa", "--reference", "9", "--phases", "PbS", "CsPbBr3"], "there is no domain 9"),
        (["gpa", "-o", "strain.xyz"], ".nc or .tif"),
    ],
)
def test_wrong_options(
    janus: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    code, found, err = call(capsys, words[0], str(janus), *words[1:])
    assert code in (3, 4)
    assert found == {}
    assert said in err
