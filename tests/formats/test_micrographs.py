"""Micrographs of microscopes' own formats, their lies, and TIFF tags of several programs."""

from __future__ import annotations

import struct
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from heterodot.errors import InputError, MissingExtraError, OutputError
from heterodot.formats import images, read
from heterodot.probes.em.preview import as_image

try:
    import rsciio
except ImportError:
    rsciio = None
needs_rosetta = pytest.mark.skipif(
    rsciio is None, reason="RosettaSciIO is not installed (heterodot[microscopy])"
)
FIELD = np.random.default_rng(4).integers(100, 4000, size=(24, 40)).astype(np.uint16)


def emd(path: Path, units: str = "nm", step: float = 0.031, data: Any = FIELD) -> Path:
    """Write an .emd of the Berkeley kind with h5py alone."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["version_major"], file.attrs["version_minor"] = 0, 2
        group = file.create_group("experimental/image")
        group.attrs["emd_group_type"] = 1
        # these files count x first
        group.create_dataset("data", data=data.T)
        for k, n in enumerate(data.T.shape, start=1):
            axis = group.create_dataset(f"dim{k}", data=step * np.arange(n))
            axis.attrs["name"], axis.attrs["units"] = "xy"[k - 1], f"[{units}]"
    return path


def ser(path: Path, step: float = 3.1e-11, data: np.ndarray = FIELD) -> Path:
    """Write a .ser of TIA with one image by hand, positions in meters."""
    head = struct.pack("<HHHIIIII", 0x4949, 0x0197, 0x0210, 0x4122, 0x4152, 1, 1, 0)
    dimension = struct.pack("<IddIII", 1, 0.0, 1.0, 0, 0, 0)
    head = head[:-4] + struct.pack("<I", len(head) + 4 + len(dimension))
    head += struct.pack("<I", 1) + dimension
    start = len(head) + 8
    element = struct.pack("<ddIddIHII", 0.0, step, 0, 0.0, step, 0, 2, *data.shape[::-1])
    element += data[::-1].astype("<u2").tobytes()
    tag = struct.pack("<HHI", 0x4152, 0, 1_500_000_000)
    path.write_bytes(head + struct.pack("<II", start, start + len(element)) + element + tag)
    return path


@needs_rosetta
def test_emd_and_ser_keep_values_and_scale(tmp_path: Path) -> None:
    for path in (emd(tmp_path / "a.emd"), ser(tmp_path / "a.ser")):
        image = read(path)
        assert image.data.attrs["pixel_size_nm"] == pytest.approx(0.031, rel=1e-6), path.name
        assert np.array_equal(image.data.values, FIELD), path.name


@needs_rosetta
@pytest.mark.parametrize("suffix", [".dm3", ".dm4", ".emd", ".ser"])
def test_files_that_lie_and_files_cut_off(tmp_path: Path, suffix: str) -> None:
    liar = tmp_path / f"liar{suffix}"
    liar.write_bytes(b"\x89PNG\r\n\x1a\n" + b"not a micrograph " * 200)
    with pytest.raises(InputError, match="liar"):
        read(liar)
    whole = ser(tmp_path / "a.ser") if suffix == ".ser" else emd(tmp_path / "a.emd")
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 3])
    with pytest.raises(InputError, match="cut"):
        read(cut)


@needs_rosetta
def test_a_diffraction_pattern_in_a_ser_is_not_an_image(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="diffraction"):
        read(ser(tmp_path / "a.ser", step=4.2e7))
    with pytest.raises(InputError, match="no scale"):
        read(emd(tmp_path / "a.emd", units=""))


def signal(data: Any, units: str, scale: float = 0.2, other: float | None = None) -> dict[str, Any]:
    axes = [{"units": units, "scale": scale} for _ in np.shape(data)]
    if other is not None:
        axes[-2]["scale"] = other
    return {"data": data, "axes": axes, "metadata": {"General": {"title": "made"}}}


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Signals that a stand-in for the reader of .dm3 will return."""
    signals: list[dict[str, Any]] = []
    package, module = types.ModuleType("rsciio"), types.ModuleType("rsciio.digitalmicrograph")
    module.file_reader = lambda name: signals  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rsciio", package)
    monkeypatch.setitem(sys.modules, "rsciio.digitalmicrograph", module)
    return signals


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: signal(FIELD.astype(complex), "1/nm"), "Fourier transform"),
        (lambda: signal(FIELD.astype(float), "1/nm"), "diffraction pattern"),
        (lambda: signal(np.zeros((5, 4, 3)), "eV"), "spectra"),
        (lambda: signal(np.zeros(50), "nm"), "1-dimensional"),
        (lambda: signal(FIELD, ""), "no scale"),
        (lambda: signal(FIELD, "nm", other=0.3), "not square"),
        (lambda: signal(FIELD, "nm", scale=1e15), "diffraction"),
    ],
)
def test_what_is_no_image_is_said(
    made: Any, said: str, reader: list[dict[str, Any]], tmp_path: Path
) -> None:
    reader.append(made())
    (tmp_path / "a.dm3").write_bytes(b"anything")
    with pytest.raises(InputError, match=said):
        read(tmp_path / "a.dm3")


def test_images_are_taken_before_stacks_and_units_are_converted(
    reader: list[dict[str, Any]], tmp_path: Path
) -> None:
    reader += [signal(np.zeros((3, 24, 40)), "nm"), signal(FIELD, "µm", scale=2e-4)]
    (tmp_path / "a.dm3").write_bytes(b"anything")
    image = read(tmp_path / "a.dm3")
    assert image.data.attrs["pixel_size_nm"] == pytest.approx(0.2)
    assert np.array_equal(image.data.values, FIELD)
    assert image.metadata["original"]["General"]["title"] == "made"


def test_without_the_extra_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "rsciio", None)
    monkeypatch.setitem(sys.modules, "rsciio.tia", None)
    with pytest.raises(MissingExtraError, match=r"heterodot\[microscopy\]"):
        read(ser(tmp_path / "a.ser"))


@pytest.mark.parametrize(
    ("tags", "size"),
    [
        ({270: "ImageJ=1.53\nunit=\\u00B5m\n", 282: 5.0, 283: 5.0, 296: 1}, 200.0),
        ({282: 5e7, 283: 5e7, 296: 3}, 0.2),  # per centimeter, as TVIPS writes
        ({34682: "[Scan]\r\nPixelWidth=2.5e-010\r\n"}, 0.25),
        ({65003: "nm", 65009: 0.31}, 0.31),  # Gatan
        ({34118: "0\r\n0\r\n0\r\n5.8e-009\r\n5e4\r\n"}, 5.8),  # Zeiss
    ],
)
def test_scales_of_several_programs(tags: dict[int, Any], size: float, tmp_path: Path) -> None:
    Image.fromarray(FIELD).save(tmp_path / "a.tif", tiffinfo=tags)
    assert read(tmp_path / "a.tif").data.attrs["pixel_size_nm"] == pytest.approx(size, rel=1e-3)


def test_a_printers_resolution_is_no_scale(tmp_path: Path) -> None:
    Image.fromarray(FIELD).save(tmp_path / "a.tif", dpi=(300, 300))
    with pytest.raises(InputError, match="no scale"):
        read(tmp_path / "a.tif")
    image = images.read(tmp_path / "a.tif", pixel_size=0.05)
    assert image.data.attrs["pixel_size_nm"] == 0.05


def test_a_screenshot_with_a_burnt_in_bar_is_warned_of(tmp_path: Path) -> None:
    picture = np.random.default_rng(1).integers(20, 200, size=(200, 300, 3)).astype(np.uint8)
    picture[180:186, 20:90] = 255
    Image.fromarray(picture).save(tmp_path / "a.png")
    image = images.read(tmp_path / "a.png", pixel_size=0.05)
    said = " ".join(image.notes)
    assert "scale bar" in said
    assert "eight bits" in said
    assert "colors" in said
    assert image.metadata["scale_bar"] == [180, 186, 20, 90]


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), float("inf")])
def test_a_pixel_has_a_size(size: float, tmp_path: Path) -> None:
    Image.fromarray(FIELD).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match="size of a pixel"):
        images.read(tmp_path / "a.tif", pixel_size=size)


def test_what_we_write_is_read_back_and_tells_how_it_was_made(tmp_path: Path) -> None:
    made = as_image(FIELD.astype(float) / 7, 0.17, "test", "", {"engine": "preview"}, ())
    path = images.write_tiff(tmp_path / "a.tif", made)
    back = read(path)
    assert back.data.attrs["pixel_size_nm"] == pytest.approx(0.017, rel=1e-6)
    assert np.allclose(back.data.values[::-1], made.data.values, rtol=1e-6)
    assert "eight bits" not in " ".join(back.notes)
    with Image.open(path) as file:
        text = file.tag_v2[270]
        assert text.startswith("ImageJ=")
        assert "\nunit=nm\n" in text
        assert '"engine": "preview"' in text
        assert float(file.tag_v2[282]) == pytest.approx(1 / 0.017, rel=1e-6)
    with pytest.raises(OutputError):
        images.write_tiff(tmp_path / "a.jpg", made)
