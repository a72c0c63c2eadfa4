"""Multislice images against analytic limits and scaling laws; what holds without abTEM, too."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from heterodot.catalog import crystal
from heterodot.errors import InputError, MissingExtraError
from heterodot.particle import Domain, Particle, build
from heterodot.probes.em import (
    EmSetup,
    HrtemSetup,
    StemSetup,
    find_columns,
    preview,
    simulate_hrtem,
    simulate_stem,
)
from heterodot.probes.em.multislice import Beam, Specimen, specimen
from heterodot.probes.em.preview import projected
from heterodot.probes.em.stem import integrated, resampled
from heterodot.probes.em.support import CLOSEST, carbon_film

try:
    import abtem
except ImportError:
    abtem = None
needs_abtem = pytest.mark.skipif(abtem is None, reason="abTEM is not installed (heterodot[em])")
SMALL = EmSetup(pixel=0.2, margin=2.5)


def atoms(*symbols: str, apart: float = 3.0) -> Particle:
    """Atoms in a row along the beam."""
    n = len(symbols)
    places = np.zeros((n, 3))
    places[:, 2] = apart * np.arange(n)
    home = (Domain("PbS", crystal("PbS")),)
    return Particle(symbols, places, np.zeros(n, int), np.array(["core"] * n), np.zeros(n), home)


def cube() -> Particle:
    return build("PbS", "cube", "2 cells")


# ---------------------------------------------------------------- with abTEM


@needs_abtem
def test_haadf_grows_with_the_atomic_number() -> None:
    symbols, numbers = ("S", "Br", "Cs", "Pb"), (16, 35, 55, 82)
    setup = StemSetup(phonons=0, reach=4.0)
    sums = [
        simulate_stem(atoms(s), SMALL, setup, workers=1)["haadf"].data.values.sum() for s in symbols
    ]
    power = np.polyfit(np.log(numbers), np.log(sums), 1)[0]
    assert 1.6 < power < 1.9  # Treacy: 1.6 to 1.9 for annular detectors of these angles


@needs_abtem
@pytest.mark.slow
def test_columns_lie_where_the_atoms_are_and_the_preview_agrees() -> None:
    view = EmSetup(zone=(1, 1, 0), pixel=0.2, margin=3.0, blur=1.0)
    particle = cube()
    setup = StemSetup(phonons=0, source=0.6, haadf=(45.0, 60.0))
    image = simulate_stem(particle, view, setup)["haadf"]
    seen, _ = projected(particle, view)
    found = [c for c in find_columns(image, separation=1.4) if c.intensity.value > 0]
    heavy = seen[particle.numbers == 82, :2]
    strong = np.quantile([c.intensity.value for c in found], 0.6)
    for column in found:
        if column.intensity.value >= strong:
            place = np.array([column.x.value, column.y.value])
            assert np.linalg.norm(heavy - place, axis=1).min() < 0.03
    quick = preview(particle, view)
    assert quick.data.shape == image.data.shape
    assert np.allclose(quick.data["x"].values, image.data["x"].values)
    assert np.corrcoef(quick.data.values.ravel(), image.data.values.ravel())[0, 1] > 0.9


@needs_abtem
def test_more_reach_changes_little_and_workers_nothing() -> None:
    view, particle = EmSetup(pixel=0.4, margin=1.0), atoms("Pb", "S", "Pb")
    near, same, wide, fine = (
        simulate_stem(particle, view, StemSetup(**options), workers=n)["haadf"].data.values
        for options, n in (({}, 1), ({}, 3), ({"reach": 9.0}, 1), ({"sampling": 0.06}, 1))
    )
    assert np.array_equal(near, same)
    assert np.abs(wide - near).max() < 0.03 * near.max()
    # the transmission function is exact within its band, so a finer grid changes little
    assert np.abs(fine - near).max() < 0.1 * near.max()


@needs_abtem
def test_idpc_is_the_projected_potential_seen_by_the_probe() -> None:
    # one light atom is a weak phase object: phase = sigma V, blurred by the probe's intensity
    beam = StemSetup(phonons=0, source=0.0, potential="peng", reach=6.0, idpc=80.0)
    view = EmSetup(pixel=0.25, margin=6.0, blur=0.0, b_iso=0.0)
    image = simulate_stem(atoms("S"), view, beam, ("idpc",))["idpc"].data.values
    field = preview(atoms("S"), view, "potential").data.values * _interaction(beam)
    ny, nx = field.shape
    q = np.hypot(*np.meshgrid(np.fft.fftfreq(nx, 0.25), np.fft.fftfreq(ny, 0.25)))
    top = beam.convergence * 1e-3 / beam.wavelength
    x = np.clip(q / (2 * top), 0, 1)
    overlap = 2 / np.pi * (np.arccos(x) - x * np.sqrt(1 - x**2))  # of an aperture with itself
    expected = np.fft.ifft2(np.fft.fft2(field) * overlap).real
    a, b = image - image.mean(), expected - expected.mean()
    assert (a * b).sum() / math.sqrt((a * a).sum() * (b * b).sum()) > 0.98
    assert (a * b).sum() / (b * b).sum() == pytest.approx(1.0, abs=0.12)


@needs_abtem
def test_hrtem_of_one_atom_is_the_linear_image() -> None:
    setup = HrtemSetup(phonons=0, angular_spread=0.0, potential="peng")
    view = EmSetup(pixel=0.2, margin=15.0, blur=0.0, b_iso=0.0)
    image = simulate_hrtem(atoms("S"), view, setup).data.values
    field = preview(atoms("S"), view, "potential").data.values
    ny, nx = field.shape
    q2 = np.add.outer(np.fft.fftfreq(ny, 0.2) ** 2, np.fft.fftfreq(nx, 0.2) ** 2)
    wave = setup.wavelength
    phase = np.pi * wave * q2 * (0.5 * setup.cs * wave**2 * q2 - setup.focus)
    damped = np.sin(phase) * np.exp(-((np.pi * wave * setup.focal_spread * q2) ** 2) / 4)
    linear = 1 + np.fft.ifft2(np.fft.fft2(field) * 2 * _interaction(setup) * damped).real
    assert np.abs(image - linear).max() < 0.06 * (linear.max() - linear.min())
    assert np.corrcoef(image.ravel(), linear.ravel())[0, 1] > 0.997


@needs_abtem
def test_dose_and_seeds() -> None:
    view = EmSetup(pixel=0.3, margin=3.0)
    particle = build("PbS", "cube", "1 cells")
    quiet = simulate_hrtem(particle, view, HrtemSetup(phonons=1, seed=3))
    counted = simulate_hrtem(particle, view, HrtemSetup(phonons=1, seed=3, dose=1e4))
    again = simulate_hrtem(particle, view, HrtemSetup(phonons=1, seed=3, dose=1e4))
    other = simulate_hrtem(particle, view, HrtemSetup(phonons=1, seed=4, dose=1e4))
    per_pixel = 1e4 * 0.09
    assert counted.data.attrs["units"] == "electron"
    assert np.array_equal(counted.data.values, again.data.values)
    assert not np.array_equal(counted.data.values, other.data.values)
    left = (counted.data.values - quiet.data.values * per_pixel) / np.sqrt(
        quiet.data.values * per_pixel
    )
    assert np.std(left) == pytest.approx(1.0, abs=0.1)
    assert quiet.metadata["microscope"]["seed"] == 3
    assert quiet.metadata["engine"].startswith("abTEM")


@needs_abtem
def test_a_support_scatters_and_vacuum_does_not() -> None:
    view = EmSetup(pixel=0.25, margin=5.0)
    bare = simulate_hrtem(atoms("S"), view, HrtemSetup(phonons=0))
    film = simulate_hrtem(atoms("S"), view, HrtemSetup(phonons=0, support=20.0))
    corner = (slice(0, 12), slice(0, 12))
    assert bare.data.values[corner].std() < 0.02
    assert film.data.values[corner].std() > 0.03
    assert film.metadata["atoms"] == 1


@needs_abtem
def test_stem_on_the_command_line(tmp_path: Path) -> None:
    from heterodot.formats import read

    atoms("Pb", "S").write(tmp_path / "a.xyz")
    words = ["simulate", "stem", str(tmp_path / "a.xyz"), "--engine", "abtem", "--of", "PbS"]
    words += ["--detector", "haadf", "--detector", "bf", "--pixel", "0.03nm", "--margin", "0.2nm"]
    words += ["-o", str(tmp_path / "a.tif"), "--png", str(tmp_path / "a.png"), "--json"]
    done = _run(words)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["engine"].startswith("abTEM")
    assert document["microscope"]["haadf"] == [60.0, 80.0]
    assert read(tmp_path / "a_haadf.tif").data.attrs["pixel_size_nm"] == pytest.approx(0.03)
    bright = read(tmp_path / "a_bf.tif").data.values
    aperture = (10 / 21) ** 2  # of the beam that a disk of 10 mrad takes from one of 21
    assert bright[0, 0] == pytest.approx(aperture, rel=0.1)
    assert (tmp_path / "a_bf.png").read_bytes().startswith(b"\x89PNG")


# ---------------------------------------------------------------- without abTEM


def _interaction(beam: Beam) -> float:
    """Interaction constant, rad / (V Å), Kirkland's eq. 2.43."""
    from scipy.constants import c, e, h, m_e

    gamma = 1 + beam.energy * e / (m_e * c**2)
    return float(2 * math.pi * gamma * m_e * e * beam.wavelength * 1e-10 / h**2 * 1e-10)


def _run(words: list[str], block: bool = False) -> subprocess.CompletedProcess[str]:
    code = "import sys; " + ("sys.modules['abtem'] = None; " if block else "")
    code += "from heterodot.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )


def test_without_the_extra_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "abtem", None)
    with pytest.raises(MissingExtraError, match=r"heterodot\[em\]"):
        simulate_hrtem(atoms("S"), SMALL)
    with pytest.raises(MissingExtraError):
        simulate_stem(atoms("S"), SMALL)
    atoms("Pb").write(tmp_path / "a.xyz")
    done = _run(["simulate", "hrtem", str(tmp_path / "a.xyz")], block=True)
    assert done.returncode == 5
    assert done.stderr.strip().count("\n") == 0


def test_wavelengths_of_the_tables() -> None:
    # Williams and Carter, table 1.2
    for energy, pm in ((100e3, 3.70), (200e3, 2.51), (300e3, 1.97)):
        assert 100 * Beam(energy=energy).wavelength == pytest.approx(pm, abs=0.006)
    assert HrtemSetup(cs=-1e5).focus < 0 < HrtemSetup(cs=1e7).focus


def test_displacements_have_the_variance_of_b() -> None:
    particle = cube()
    view = EmSetup(b_iso={"Pb": 2.0, "S": 0.5})
    low = np.array([-20.0, -20.0])
    seen = specimen(particle, view, Beam(), low, -low)
    moved = np.array([seen.displaced(0, k) for k in range(200)]) - seen.positions
    for symbol, b in (("Pb", 2.0), ("S", 0.5)):
        own = np.array(particle.symbols) == symbol
        assert np.var(moved[:, own]) == pytest.approx(b / (8 * math.pi**2), rel=0.03)
    still = specimen(particle, view, Beam(phonons=0), low, -low)
    assert np.array_equal(still.displaced(0, 0), still.positions)
    assert isinstance(still, Specimen)


def test_a_carbon_film_has_its_density_and_no_atoms_too_close() -> None:
    from scipy.spatial import cKDTree

    film = carbon_film(np.array([40.0, 30.0]), 20.0, 2.0, seed=1)
    grams = len(film) * 12.011 / 6.02214076e23
    assert grams / (40 * 30 * 20 * 1e-24) == pytest.approx(2.0, rel=1e-3)
    # a wide box along z makes the tree periodic along x and y only
    near, _ = cKDTree(film, boxsize=[40.0, 30.0, 100.0]).query(film, k=2)
    assert near[:, 1].min() >= CLOSEST
    with pytest.raises(InputError, match="does not fit"):
        carbon_film(np.array([20.0, 20.0]), 20.0, 12.0)
    with pytest.raises(InputError, match="thinner"):
        carbon_film(np.array([3e3, 3e3]), 900.0, 2.0)


def test_resampling_keeps_band_limited_fields_and_integration_inverts_a_gradient() -> None:
    t = 2 * np.pi * np.arange(24) / 24
    coarse = np.add.outer(np.cos(2 * t), np.sin(3 * t)) + 1
    u = 2 * np.pi * np.arange(60) / 60
    fine = np.add.outer(np.cos(2 * u), np.sin(3 * u)) + 1
    assert np.allclose(resampled(coarse, (60, 60), 0.1, 0.0), fine, atol=1e-12)
    assert resampled(coarse, (60, 60), 0.1, 1.0).mean() == pytest.approx(fine.mean())
    slope_x = 3 * np.cos(3 * u)[None, :] * np.ones((60, 1)) / 6.0
    slope_y = -2 * np.sin(2 * u)[:, None] * np.ones((1, 60)) / 6.0
    phase = integrated(slope_x, slope_y, 0.1)  # period 6 Å: d/dx of 2 pi x / 6, over 2 pi
    assert np.allclose(phase - phase.mean(), fine - fine.mean(), atol=1e-10)


@pytest.mark.parametrize(
    "make",
    [
        lambda: StemSetup(energy=200.0),
        lambda: StemSetup(haadf=(80.0, 60.0)),
        lambda: StemSetup(convergence=0.0),
        lambda: StemSetup(phonons=-1),
        lambda: StemSetup(potential="other"),
        lambda: HrtemSetup(dose=-5.0),
        lambda: HrtemSetup(cs=math.nan),
        lambda: EmSetup(b_iso={"Pb": -1.0}),
        lambda: simulate_stem(atoms("S"), SMALL, detectors=("eels",)),
    ],
)
def test_what_no_microscope_does_is_refused(make: object) -> None:
    with pytest.raises(InputError):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    "words",
    [
        ["--of", "PbTe"],
        ["--zone", "north"],
        ["--tilt", "3"],
        ["--detector", "bf"],
        ["--pixel", "3 kg"],
        ["-o", "image.jpg"],
    ],
)
def test_bad_words_end_in_one_sentence(words: list[str], tmp_path: Path) -> None:
    atoms("Pb", "S").write(tmp_path / "a.xyz")
    if words[0] == "-o":
        words = ["-o", str(tmp_path / words[1])]
    done = _run(["simulate", "stem", str(tmp_path / "a.xyz"), *words])
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert len(list(tmp_path.iterdir())) == 1


def test_preview_on_the_command_line_reads_back(tmp_path: Path) -> None:
    from heterodot.formats import read

    particle = cube()
    particle.write(tmp_path / "a.xyz")
    words = ["simulate", "stem", str(tmp_path / "a.xyz"), "--zone", "[1-10]", "--json"]
    words += ["-o", str(tmp_path / "a.tif"), "--png", str(tmp_path / "a.png")]
    done = _run(words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["engine"] == "preview"
    image = read(tmp_path / "a.tif")
    direct = preview(particle, EmSetup(zone=(1, -1, 0)))
    assert image.data.attrs["pixel_size_nm"] == pytest.approx(0.02)
    # top row of the file is the top of the picture
    assert np.allclose(image.data.values[::-1], direct.data.values, rtol=1e-5, atol=0.1)
