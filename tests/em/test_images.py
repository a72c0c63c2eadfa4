"""Images with and without scale, and sizes from a file on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from heterodot.errors import InputError
from heterodot.formats import read

RADIUS, STEP = 14.0, 0.25  # pixels, nm per pixel


def field() -> np.ndarray:
    """Sixteen dark disks on a bright film."""
    y, x = np.mgrid[:320, :320]
    image = np.full((320, 320), 200.0)
    for cy in range(40, 320, 80):
        for cx in range(40, 320, 80):
            image[np.hypot(y - cy, x - cx) < RADIUS] = 90.0
    return image + np.random.default_rng(2).normal(0, 4, image.shape)


def save(path: Path) -> Path:
    saved = Image.fromarray(np.clip(field(), 0, 255).astype(np.uint8))
    tags = {270: "ImageJ=1.53\nunit=nm\n", 282: 1 / STEP, 283: 1 / STEP, 296: 1}
    saved.save(path, tiffinfo=tags)
    return path


def test_scale_of_an_imagej_file(tmp_path: Path) -> None:
    measured = read(save(tmp_path / "a.tif"))
    assert measured.data.dims == ("y", "x")
    assert measured.data.attrs["pixel_size_nm"] == pytest.approx(STEP, rel=1e-3)


def test_an_image_without_scale_is_refused(tmp_path: Path) -> None:
    Image.fromarray(field().clip(0, 255).astype(np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="scale"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_files_that_lie_about_their_type(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"not an image at all" * 20)
    with pytest.raises(InputError, match=path.name):
        read(path)


def test_a_truncated_file(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"a\.tif"):
        read(path)


def test_sizes_on_the_command_line(tmp_path: Path) -> None:
    path, table = save(tmp_path / "a.tif"), tmp_path / "sizes.csv"
    overlay = tmp_path / "overlay.png"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "heterodot.cli.main",
            "segment",
            str(path),
            "--json",
            "--csv",
            str(table),
            "--overlay",
            str(overlay),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "heterodot/segment/1"
    sizes = [float(line.split(",")[3]) for line in table.read_text().splitlines()[1:]]
    assert len(sizes) == 16
    assert np.mean(sizes) == pytest.approx(2 * RADIUS * STEP, rel=0.03)
    assert overlay.read_bytes().startswith(b"\x89PNG")
