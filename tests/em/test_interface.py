"""The line between two lattices, against one that was drawn."""

import math

import numpy as np
import pytest
import xarray as xr

from heterodot.errors import InputError, NotFoundError
from heterodot.measurement import Measurement
from heterodot.probes.em import interface_line

PIXEL, SIDE = 0.25, 640
G_A, G_B, SHARED = np.array([0.17, 0.0]), np.array([0.21, 0.19]), np.array([0.05, 0.30])


def as_image(values: np.ndarray) -> Measurement:
    at = (np.arange(len(values)) - len(values) // 2) * PIXEL
    axis = {"units": "angstrom"}
    data = xr.DataArray(
        values, dims=("y", "x"), coords={"y": ("y", at, axis), "x": ("x", at, axis)},
        attrs={"units": ""},
    )  # fmt: skip
    return Measurement(data, "image")


def two_halves(
    degrees: float, offset: float, radius: float = 60.0, own_b: bool = True
) -> np.ndarray:
    """Return lattice A above and B below the line ``-x sin + y cos = offset``, in a disk."""
    at = (np.arange(SIDE) - SIDE // 2) * PIXEL
    x, y = np.meshgrid(at, at)
    a = math.radians(degrees)
    above = -x * math.sin(a) + y * math.cos(a) > offset
    wave = [np.cos(2 * np.pi * (g[0] * x + g[1] * y)) for g in (G_A, G_B, SHARED)]
    values = np.where(above, wave[0], wave[1] if own_b else 0.0) + (0.0 if own_b else wave[2])
    values = values * (np.hypot(x, y) < radius)
    return values + np.random.default_rng(3).normal(0, 0.5, values.shape)


@pytest.mark.parametrize(("degrees", "offset"), [(0.0, 0.0), (17.0, 8.0), (90.0, -5.0), (133.0, 3)])
def test_line_of_two_lattices(degrees: float, offset: float) -> None:
    line = interface_line(as_image(two_halves(degrees, offset)), G_A, G_B)
    turn = (line.angle.value - degrees + 90) % 180 - 90
    assert abs(turn) < 1.0
    assert line.angle.error is not None
    assert abs(turn) < 4 * line.angle.error
    where = -line.x * math.sin(math.radians(degrees)) + line.y * math.cos(math.radians(degrees))
    assert where == pytest.approx(offset, abs=1.0)
    assert line.length == pytest.approx(2 * math.sqrt(60**2 - offset**2), abs=1.5 * line.resolution)


@pytest.mark.parametrize("degrees", [30.0, 100.0])
def test_line_where_one_lattice_has_all_reflections_of_the_other(degrees: float) -> None:
    image = as_image(two_halves(degrees, 4.0, own_b=False))
    line = interface_line(image, G_A, shared=SHARED)
    assert abs((line.angle.value - degrees + 90) % 180 - 90) < 1.5
    where = -line.x * math.sin(math.radians(degrees)) + line.y * math.cos(math.radians(degrees))
    assert where == pytest.approx(4.0, abs=1.5)


def test_one_lattice_alone_has_no_line() -> None:
    values = two_halves(0.0, -200.0)
    with pytest.raises(NotFoundError):
        interface_line(as_image(values), G_A, G_B)


def test_one_reflection_twice_is_refused() -> None:
    with pytest.raises(InputError, match="told apart"):
        interface_line(as_image(two_halves(0.0, 0.0)), G_A, -G_A)
    with pytest.raises(InputError, match="either"):
        interface_line(as_image(two_halves(0.0, 0.0)), G_A)
