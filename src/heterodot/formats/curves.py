"""A table of columns as a curve: which column is the axis, in which unit, of which kind."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.files import sha256
from heterodot.formats.columns import Table, split_name, unit_of

if TYPE_CHECKING:
    from heterodot.measurement import Measurement

Array = NDArray[np.float64]

SPECTRA = ("absorption", "pl", "ple", "reflectance", "transmittance")
_AXIS_OF_UNIT = {
    "nm": "wavelength",
    "um": "wavelength",
    "angstrom": "wavelength",
    "eV": "energy",
    "meV": "energy",
    "1/cm": "wavenumber",
    "deg": "two_theta",
    "rad": "two_theta",
    "K": "temperature",
    "degC": "temperature",
}
_TIMES = ("s", "ms", "us", "ns", "ps", "fs", "min", "hour", "day")
_AXIS_WORDS: tuple[tuple[str, str, str], ...] = (
    # pattern of the heading, axis, unit that the word alone implies
    (r"2\s*-?\s*(theta|θ|th\b)|two.?theta", "two_theta", "deg"),
    (r"wave\s*-?\s*len(gth)?|lambda|λ|^wl$", "wavelength", ""),
    (r"wave\s*-?\s*numbers?", "wavenumber", "1/cm"),
    (r"energy|^h[vνn]u?$|photon", "energy", ""),
    (r"time|delay|^t$", "time", ""),
    (r"temp", "temperature", ""),
)
_KIND_WORDS: tuple[tuple[str, str], ...] = (
    (r"\bPLE\b|excitation", "ple"),
    (r"absor|uv.?vis|\babs\b|\bOD\b|optical density|extinction|^A$", "absorption"),
    (r"\bPL\b|photolum|emission|fluor|lumin", "pl"),
    (r"transm|%T", "transmittance"),
    (r"reflec|%R", "reflectance"),
)
_DEFAULT_UNIT = {"wavelength": "nm", "energy": "eV", "time": "ns", "temperature": "K"}


def measurement_of(table: Table, path: str | Path, kind: str | None) -> Measurement:
    """Return ``table`` as a measurement; see `heterodot.formats.columns.read`."""
    import xarray as xr

    from heterodot.measurement import Measurement

    notes = list(table.notes)
    if table.n_columns < 2:
        raise InputError(
            "has one column of numbers",
            file=path,
            remedy="export the axis (wavelength, time, angle) as the first column",
        )
    if table.n_rows < 3:
        raise InputError(
            f"has {table.n_rows} row(s) of numbers", file=path, remedy="give at least three"
        )
    axis, unit = _axis(table, path, kind, notes)
    found = _kind(table, axis, path, kind, notes)
    columns = _sorted(table, path, notes, found == "temperature")
    names, units = list(table.names[1:]), list(table.units[1:])
    error, keep = _error_column(names, columns[:, 1:], found, notes)
    names, units = [names[k] for k in keep], [units[k] for k in keep]
    values = columns[:, 1:][:, keep]
    attrs = {"units": _value_unit(units, table), "long_name": _long_name(names, table)}
    coords: dict[str, object] = {axis: (axis, columns[:, 0], {"units": unit})}
    if error is not None:
        coords["error"] = (axis, error, {"units": attrs["units"]})
    if values.shape[1] == 1:
        data = xr.DataArray(values[:, 0], dims=(axis,), coords=coords, attrs=attrs, name=found)
    else:
        attrs["long_name"] = ""
        coords["sample"] = ("sample", np.asarray(_unique(names), dtype=str), {"units": ""})
        coords["sample_units"] = ("sample", np.asarray(units, dtype=str), {"units": ""})
        data = xr.DataArray(values, dims=(axis, "sample"), coords=coords, attrs=attrs, name=found)
    return Measurement(
        data, found, Path(path).name, sha256(path), dict(table.metadata), tuple(notes)
    )


def _axis(table: Table, path: str | Path, kind: str | None, notes: list[str]) -> tuple[str, str]:
    heading, unit = table.names[0], table.units[0]
    metadata = {k.casefold(): v for k, v in table.metadata.items()}
    if heading.startswith("column ") and "xaxis" in metadata:
        heading, stated = split_name(metadata["xaxis"])
        unit = unit or stated or ""
    if not unit and (stated := unit_of(metadata.get("xunits", ""))):
        unit = stated
        notes.append(f"the axis is in {unit} (XUNITS of the header)")
    axis = _AXIS_OF_UNIT.get(unit) or ("time" if unit in _TIMES else "")
    if not axis:
        for pattern, name, implied in _AXIS_WORDS:
            if re.search(pattern, heading, re.IGNORECASE):
                axis, unit = name, unit or implied
                break
    if not axis:
        axis, unit = _axis_by_kind(table.columns[:, 0], kind)
        if axis != "x":
            notes.append(f"the axis has no name; taken as {axis} in {unit}, please confirm")
        x = table.columns[:, 0]
        if axis == "time" and np.array_equal(x, np.arange(len(x)) + x[0]):
            notes.append("the first column counts channels, so that the bin width must be given")
    elif not unit:
        unit = "s" if axis == "time" and kind == "photodetector" else ""
        unit = unit or _unit_by_range(axis, table.columns[:, 0])
        notes.append(f"the {axis} has no unit; taken as {unit}, please confirm")
    wanted = _axes_of(kind)
    if wanted and axis not in wanted:
        raise InputError(
            f"the axis is {axis} in {unit}, not {' or '.join(wanted)}",
            file=path,
            place=f"column '{heading}'",
            remedy=f"give a file of kind '{kind}' or correct the heading of its first column",
        )
    return axis, unit


def _axes_of(kind: str | None) -> tuple[str, ...]:
    if kind in SPECTRA:
        return ("wavelength", "energy", "wavenumber")
    return {"xrd": ("two_theta",), "decay": ("time",)}.get(kind or "", ())


def _axis_by_kind(x: Array, kind: str | None) -> tuple[str, str]:
    if kind == "xrd":
        return "two_theta", "deg"
    if kind == "decay":
        return "time", "ns"
    if kind in SPECTRA:
        high = float(np.nanmax(x))
        if high < 15:
            return "energy", "eV"
        return ("wavelength", "nm") if high < 4000 else ("wavenumber", "1/cm")
    return "x", ""


def _unit_by_range(axis: str, x: Array) -> str:
    high = float(np.nanmax(x))
    if axis == "wavelength":
        return "nm" if high > 30 else "um"
    if axis == "energy":
        return "eV" if high < 15 else "meV"
    return _DEFAULT_UNIT.get(axis, "")


def _kind(table: Table, axis: str, path: str | Path, kind: str | None, notes: list[str]) -> str:
    if kind is not None:
        return kind
    guess = {"two_theta": "xrd", "time": "decay"}.get(axis, "")
    if not guess and axis in ("wavelength", "energy", "wavenumber"):
        said = [v for k, v in table.metadata.items() if k.casefold() in ("yunits", "type", "yaxis")]
        text = " | ".join([*table.names[1:], *said, Path(path).stem])
        guess = next((k for p, k in _KIND_WORDS if re.search(p, text, re.IGNORECASE)), "spectrum")
    guess = guess or "curve"
    notes.append(f"taken as {guess} by its headings; say the kind if that is wrong")
    return guess


def _sorted(table: Table, path: str | Path, notes: list[str], any_order: bool) -> Array:
    x, lines = table.columns[:, 0], table.line_of_row
    if np.isnan(x).any():
        raise InputError(
            "the axis holds no number",
            file=path,
            place=f"line {lines[int(np.flatnonzero(np.isnan(x))[0])]}",
            remedy="remove that line",
        )
    if any_order:  # a series is a list of measurements, heating and cooling alike
        if (np.diff(x) < 0).any():
            notes.append("the rows were sorted by the first column")
        return table.columns[np.argsort(x, kind="stable")]
    step = np.diff(x)
    sign = 1.0 if np.sum(step > 0) >= np.sum(step < 0) else -1.0
    bad = np.flatnonzero(step * sign <= 0)
    if len(bad):
        raise InputError(
            f"the axis goes from {x[bad[0]]:g} to {x[bad[0] + 1]:g} and is not sorted",
            file=path,
            place=f"line {lines[bad[0] + 1]}",
            remedy="sort the rows, or split the file if it holds several scans",
        )
    if sign < 0:
        notes.append("the axis runs downwards in the file; turned round")
        return table.columns[::-1].copy()
    return table.columns


def _error_column(
    names: list[str], values: Array, kind: str, notes: list[str]
) -> tuple[Array | None, list[int]]:
    keep = list(range(values.shape[1]))
    if values.shape[1] == 2:
        named = re.search(r"^(err|error|sigma|std|sd|esd|unc|uncertainty|σ)", names[1], re.I)
        if named or (kind == "xrd" and names[1].startswith("column")):
            notes.append("the third column is the standard error of the second")
            return values[:, 1], [0]
    return None, keep


def _long_name(names: list[str], table: Table) -> str:
    if not names or names[0].startswith("column "):
        return table.metadata.get("YUNITS", "").lower()
    return names[0]


def _value_unit(units: list[str], table: Table) -> str:
    stated = {u for u in units if u}
    if len(stated) == 1:
        return stated.pop()
    metadata = {k.casefold(): v for k, v in table.metadata.items()}
    return unit_of(metadata.get("yunits", "")) or unit_of(metadata.get("yaxis", "")) or ""


def _unique(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return out
