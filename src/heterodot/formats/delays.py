"""Matrices over delay and wavelength, and traces over time, as measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.files import sha256

if TYPE_CHECKING:
    from heterodot.measurement import Measurement


def matrix(
    path: str | Path,
    time: NDArray[Any],
    wavelength: NDArray[Any],
    values: NDArray[Any],
    *,
    time_unit: str,
    spectral_unit: str = "nm",
    unit: str = "",
    kind: str = "ta",
    metadata: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> Measurement:
    """Return values (n_times, n_wavelengths) as a measurement over ``time`` and ``wavelength``."""
    import xarray as xr

    from heterodot.measurement import Measurement

    axis = {"eV": "energy", "1/cm": "wavenumber"}.get(spectral_unit, "wavelength")
    array = xr.DataArray(
        values,
        dims=("time", axis),
        coords={
            "time": ("time", time, {"units": time_unit}),
            axis: (axis, wavelength, {"units": spectral_unit}),
        },
        name="difference_absorbance" if kind == "ta" else "counts",
        attrs={"units": unit},
    )
    return Measurement(
        array, kind, Path(path).name, sha256(path), dict(metadata or {}), tuple(notes)
    )


def traces(
    path: str | Path,
    time: NDArray[Any],
    counts: NDArray[Any],
    *,
    time_unit: str,
    names: Sequence[str] = (),
    dims: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> Measurement:
    """Return counts as a measurement over ``time``, and ``sample`` where there are several.

    Parameters
    ----------
    counts : (n_times,), (n_times, n_samples) or (ny, nx, n_times) array
        The last form is an image with ``dims`` ("y", "x", "time").
    """
    import xarray as xr

    from heterodot.measurement import Measurement

    coords: dict[str, Any] = {"time": ("time", time, {"units": time_unit})}
    if counts.ndim == 1:
        order: tuple[str, ...] = ("time",)
    elif counts.ndim == 2:
        order = ("time", "sample")
        labels = list(names) or [str(k + 1) for k in range(counts.shape[1])]
        coords["sample"] = ("sample", np.asarray(labels, dtype=str), {"units": ""})
    else:
        order = tuple(dims)
        for name, size in zip(order, counts.shape, strict=True):
            if name != "time":
                coords[name] = (name, np.arange(size), {"units": "pixel"})
    array = xr.DataArray(counts, dims=order, coords=coords, name="counts", attrs={"units": "count"})
    return Measurement(
        array, "decay", Path(path).name, sha256(path), dict(metadata or {}), tuple(notes)
    )
