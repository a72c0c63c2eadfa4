"""Geometric phase analysis recovers a strain that was put in."""

import numpy as np
import pytest
import xarray as xr

from heterodot.errors import InputError
from heterodot.measurement import Measurement
from heterodot.probes.em import find_spots, geometric_phase


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
