"""Measurements keep units, go through NetCDF unchanged, and open in plain xarray."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from heterodot.errors import InputError
from heterodot.formats import read
from heterodot.measurement import Measurement


def curve() -> Measurement:
    axis = xr.DataArray(np.linspace(15, 60, 7), dims="two_theta", attrs={"units": "deg"})
    data = xr.DataArray(
        np.arange(7.0),
        dims="two_theta",
        coords={"two_theta": axis},
        name="intensity",
        attrs={"units": "counts"},
    )
    return Measurement(data, "xrd", "a.xy", "00ff", {"wavelength": 1.5406}, ("guessed",))


def test_round_trip(tmp_path: Path) -> None:
    path = curve().write(tmp_path / "a.nc")
    for again in (Measurement.read(path), read(path)):
        xr.testing.assert_identical(again.data, curve().data)
        assert (again.kind, again.source, again.sha256) == ("xrd", "a.xy", "00ff")
        assert again.metadata == {"wavelength": 1.5406}
        assert again.notes == ("guessed",)


def test_opens_in_plain_xarray_as_nxdata(tmp_path: Path) -> None:
    with xr.open_dataset(curve().write(tmp_path / "a.nc"), engine="h5netcdf") as opened:
        assert opened.attrs["NX_class"] == "NXdata"
        assert opened[opened.attrs["signal"]].attrs["units"] == "counts"


def test_units_are_demanded() -> None:
    bare = xr.DataArray(np.arange(3.0), dims="x", coords={"x": [1, 2, 3]})
    with pytest.raises(InputError, match="no units"):
        Measurement(bare, "xrd")
    bare.attrs["units"] = "counts"
    with pytest.raises(InputError, match="axis 'x' carries no units"):
        Measurement(bare, "xrd")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.nc").write_bytes(b"\x89HDF\r\n\x1a\n" + b"junk" * 20)
    with pytest.raises(InputError, match="not a measurement of ours"):
        read(tmp_path / "a.nc")
    (tmp_path / "a.qqq").write_text("x")
    with pytest.raises(InputError, match=r"'.qqq' are not read"):
        read(tmp_path / "a.qqq")
