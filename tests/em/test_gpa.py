"""Geometric phase analysis recovers a strain that was put in."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy import fft

from heterodot.catalog import crystal
from heterodot.errors import InputError, NotFoundError
from heterodot.measurement import Measurement
from heterodot.particle import Particle, build
from heterodot.probes.em import (
    EmSetup,
    Strain,
    find_spots,
    geometric_phase,
    misfits,
    preview,
    read_domains,
)
from heterodot.probes.em.bragg import bragg, spectrum
from tests.em.microscope import dimer, recorded


def lattice(exx: float, n: int = 512, pixel: float = 0.25, unit: str = "angstrom") -> Measurement:
    """Return a square lattice of 2.8 Å whose right half is stretched along x."""
    at = (np.arange(n) - n // 2) * pixel
    bent = np.where(at > 0, at / (1 + exx), at)
    image = np.add.outer(np.cos(2 * np.pi * at / 2.8), np.cos(2 * np.pi * bent / 2.8))
    image = image + np.random.default_rng(1).normal(0, 0.2, image.shape)
    axis = {"units": unit}
    data = xr.DataArray(
        image, dims=("y", "x"), coords={"y": ("y", at, axis), "x": ("x", at, axis)},
        attrs={"units": ""},
    )  # fmt: skip
    return Measurement(data, "image")


@pytest.mark.parametrize("exx", [0.0, 0.02, -0.015])
def test_imposed_strain_within_0_3_percent(exx: float) -> None:
    strain = geometric_phase(lattice(exx), reference=(-50, -15, -40, 40))
    found = strain.mean((15, 50, -40, 40))
    assert found["exx"].value == pytest.approx(exx, abs=0.003)
    assert found["eyy"].value == pytest.approx(0, abs=0.003)
    assert not strain.warnings


def test_another_lattice_is_called_an_artefact() -> None:
    strain = geometric_phase(lattice(0.08), reference=(-50, -15, -40, 40))
    assert any("artefact" in w for w in strain.warnings)


def test_spacing_of_a_known_lattice() -> None:
    spot = find_spots(lattice(0.0))[0]
    assert spot.spacing.value == pytest.approx(2.8, rel=1e-3)


def test_no_scale_is_refused() -> None:
    with pytest.raises(InputError, match="no scale"):
        find_spots(lattice(0.0, unit="px"))


# ---------------------------------------------------------------- images of atoms


def bent(change: object) -> tuple[Particle, Measurement]:
    """Return a cube of PbS whose atoms (x, y) were moved, and its noisy image."""
    cube = build("PbS", "cube", "9 nm")
    middle = cube.positions.mean(axis=0)
    at = cube.positions - middle
    moved = np.column_stack([*change(at[:, 0], at[:, 1]), at[:, 2]])  # type: ignore[operator]
    particle = replace(cube, positions=moved)
    setup = EmSetup(zone=(0, 0, 1), up=(0, 1, 0), thickness=30.0)
    return particle, recorded(preview(particle, setup, "potential"))


def test_a_strain_gradient_of_atoms_comes_back() -> None:
    # u = a x^2 / 2 right of the middle: exx = a x there, and zero left of it
    a = 7e-4
    _, image = bent(lambda x, y: (x + 0.5 * a * np.where(x > 0, x, 0) ** 2, y))
    strain = geometric_phase(image, reference=(-38, -10, -35, 35))
    for left in (6.0, 14.0, 22.0, 30.0):
        found = strain.mean((left, left + 4, -30, 30))
        # where the atoms are now, x + a x^2 / 2 = left + 2
        x = (np.sqrt(1 + 2 * a * (left + 2)) - 1) / a
        assert found["exx"].value == pytest.approx(a * x, abs=0.003)
        assert found["eyy"].value == pytest.approx(0, abs=0.003)
    assert a * 34 > 0.02  # the test reaches strains worth the name


def test_a_rotation_of_atoms_comes_back() -> None:
    # bent like a beam: rotation grows as k x, and the fibers along x are stretched by -k y
    k = 6e-4
    _, image = bent(lambda x, y: (x - k * x * y, y + 0.5 * k * x**2))
    strain = geometric_phase(image, reference=(-6, 6, -30, 30))
    for x in (-28.0, -15.0, 15.0, 28.0):
        found = strain.mean((x - 2, x + 2, -30, 30))
        assert found["rotation"].value == pytest.approx(np.degrees(k * x), abs=0.15)
    for y in (-25.0, 25.0):
        assert strain.mean((-4, 4, y - 2, y + 2))["exx"].value == pytest.approx(-k * y, abs=0.003)


def test_a_reference_region_is_found_inside_a_small_particle() -> None:
    _, image = bent(lambda x, y: (x, y))
    strain = geometric_phase(image)
    assert strain.found
    x0, x1, y0, y1 = strain.region
    assert max(map(abs, strain.region)) < 45
    assert min(x1 - x0, y1 - y0) > 2 * strain.resolution
    assert strain.mean((-30, 30, -30, 30))["exx"].value == pytest.approx(0, abs=0.003)


def dimer_maps(a: str, b: str, zone: tuple[int, int, int]) -> tuple[Particle, Strain, list]:
    particle, _ = dimer(a, b)
    image = recorded(preview(particle, EmSetup(zone=zone)))
    readings = read_domains(image, [crystal(a), crystal(b)])
    (reference,) = [r for r in readings if r.best and r.best.crystal.formula == a]
    strain = geometric_phase(image, reference=reference.grain.mask)
    return particle, strain, misfits(strain, readings, reference.grain.number)


def test_elastic_strain_of_an_interface_is_told_from_the_difference_of_lattices() -> None:
    particle, _, (found,) = dimer_maps("CsPbBr3", "PbS", (0, 1, 0))
    built = particle.domains[1].strain  # in-plane, so that PbS fits on CsPbBr3
    assert built[2, 2] == pytest.approx(-0.0104, abs=2e-4)
    assert found.elastic is not None
    assert found.bulk is not None
    # image x lies in the interface, image y along its normal
    assert found.elastic["exx"].value == pytest.approx(built[2, 2], abs=0.003)
    assert found.elastic["eyy"].value == pytest.approx(built[0, 0], abs=0.003)
    ratio = crystal("PbS").cellpar[0] / crystal("CsPbBr3").cellpar[0]
    assert found.bulk["eyy"] == pytest.approx(ratio - 1, abs=1e-5)
    assert "no elastic strain" in found.warning


def test_reflections_that_the_other_lattice_has_not_are_called_an_artefact() -> None:
    _, strain, (found,) = dimer_maps("CsPbBr3", "CdS", (0, 1, 1))
    assert found.bulk is None
    assert found.elastic is None
    assert "artefact" in found.warning
    assert any("artefact" in w for w in strain.warnings)


# ---------------------------------------------------------------- parts, and bad input


def test_a_cropped_patch_is_the_whole_transform_filtered() -> None:
    image = lattice(0.01, n=256)
    values, y, x = image.data.values, image.data["y"].values, image.data["x"].values
    vector, sigma = np.array([1 / 2.8, 0.0]), 0.05
    filtered = bragg(spectrum(values, y, x), vector, sigma)
    fy, fx = np.fft.fftfreq(len(y), 0.25) - vector[1], np.fft.fftfreq(len(x), 0.25) - vector[0]
    mask = np.exp(-(fy[:, None] ** 2 + fx**2) / (2 * sigma**2))
    mask[(np.abs(fy) > 4 * sigma)[:, None] | (np.abs(fx) > 4 * sigma)[None, :]] = 0
    slow = fft.ifft2(fft.fft2(values - values.mean()) * mask)
    rows = np.rint((filtered.y - y[0]) / 0.25).astype(int)
    columns = np.rint((filtered.x - x[0]) / 0.25).astype(int)
    on = np.abs((filtered.y - y[0]) / 0.25 - rows) < 1e-6
    across = np.abs((filtered.x - x[0]) / 0.25 - columns) < 1e-6
    assert on.sum() > 3
    got = filtered.amplitude[np.ix_(on, across)]
    assert got == pytest.approx(np.abs(slow[np.ix_(rows[on], columns[across])]), abs=2e-5)


def test_reflections_that_are_not_there_are_refused() -> None:
    with pytest.raises(NotFoundError, match="stand out"):
        geometric_phase(lattice(0.0), g=[[0.21, 0.09], [-0.08, 0.23]])
    with pytest.raises(InputError, match="parallel"):
        geometric_phase(lattice(0.0), g=[[0.2, 0.0], [0.4, 0.0]])


def test_a_region_outside_is_refused() -> None:
    with pytest.raises(InputError, match="stay in"):
        geometric_phase(lattice(0.0), g=[[1 / 2.8, 0], [0, 1 / 2.8]], reference=(900, 950, 0, 50))
