"""Galactic/Thermo/Horiba SPC files, and Shimadzu's compound files of the same suffix.

The layout is the one of the published header SPC.H (Galactic Industries, "A brief guide to SPC
file format", 1997): a main header of 512 bytes, then x values where they are not even, then for
each spectrum a sub-header of 32 bytes and its ordinates as floats or as fractions of a power of
two. Shimadzu UVProbe keeps ``X Data`` and ``Y Data`` streams of doubles in an OLE2 file instead.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.formats import jasco
from heterodot.formats.columns import Table
from heterodot.formats.curves import measurement_of

if TYPE_CHECKING:
    from heterodot.measurement import Measurement

Array = NDArray[np.float64]

_X_UNITS: dict[int, tuple[str, str]] = {
    1: ("Wavenumber", "1/cm"),
    2: ("Wavelength", "um"),
    3: ("Wavelength", "nm"),
    4: ("Time", "s"),
    5: ("Time", "min"),
    13: ("Raman shift", "1/cm"),
    14: ("Energy", "eV"),
    18: ("2theta", "deg"),
    20: ("Temperature", "degC"),
    21: ("Temperature", "K"),
    23: ("Time", "ms"),
    24: ("Time", "us"),
    25: ("Time", "ns"),
    30: ("Time", "hour"),
}
_Y_UNITS: dict[int, tuple[str, str]] = {
    0: ("Intensity", ""),
    2: ("Absorbance", ""),
    4: ("Counts", "count"),
    5: ("Voltage", "V"),
    7: ("Current", "mA"),
    9: ("Voltage", "mV"),
    11: ("Percent", "percent"),
    12: ("Intensity", ""),
    13: ("Relative intensity", ""),
    128: ("Transmittance", ""),
    129: ("Reflectance", ""),
    130: ("Single beam", ""),
    131: ("Emission", ""),
}
_SHORT, _MULTI, _LABELS, _XY_EACH, _X_VALUES = 1, 4, 32, 64, 128
_EXPORT = "export it as text or JCAMP-DX"
_POINTS = 100_000_000


def read(path: Path, kind: str | None = None) -> Measurement:
    """Return the spectra of an SPC file (Galactic new format, or Shimadzu's).

    Raises
    ------
    InputError
        Another file, an old or big-endian variant, or one that claims more than it holds.
    """
    data = path.read_bytes()
    if data[:4] == b"\xd0\xcf\x11\xe0":
        return measurement_of(_shimadzu(path), path, kind)
    if len(data) < 512 or data[1] != 0x4B:
        known = {0x4C: "a big-endian SPC file", 0x4D: "an SPC file of the format before 1996"}
        what = known.get(data[1] if len(data) > 1 else 0, "not an SPC file")
        raise InputError(f"is {what}", file=path, remedy=_EXPORT)
    return measurement_of(_galactic(data, path), path, kind)


def _galactic(data: bytes, path: Path) -> Table:
    flags, _, experiment, exponent, points = struct.unpack_from("<BBBbI", data)
    first, last, spectra = struct.unpack_from("<ddI", data, 8)
    x_type, y_type = data[28], data[29]
    spectra = max(spectra, 1)
    if flags & _XY_EACH and spectra > 1:
        raise InputError(
            f"holds {spectra} spectra with an axis each",
            file=path,
            remedy="export them one by one",
        )
    width = 2 if flags & _SHORT else 4
    if (
        points < 2
        or points * spectra > _POINTS
        or 512 + spectra * (32 + width * points) > len(data)
    ):
        raise InputError(
            f"claims {spectra} x {points} points but has {len(data)} bytes",
            file=path,
            remedy="the file is cut short; copy it again",
        )
    at = 512
    if flags & _X_VALUES and not flags & _XY_EACH:
        x = np.frombuffer(_part(data, at, 4 * points, path), "<f4").astype(float)
        at += 4 * points
    else:
        x = np.linspace(first, last, points)
    columns = []
    for k in range(spectra):
        own = struct.unpack_from("<b", _part(data, at, 32, path), 1)[0]
        power = own if flags & _MULTI else exponent
        at += 32
        if flags & _XY_EACH:
            x = np.frombuffer(_part(data, at, 4 * points, path), "<f4").astype(float)
            at += 4 * points
        size = 4 * points if power == -128 else width * points
        raw = _part(data, at, size, path)
        at += size
        columns.append(_ordinates(raw, power, width))
        if not np.isfinite(columns[-1]).all():
            raise InputError(
                "ordinates are not numbers", file=path, place=f"spectrum {k + 1}", remedy=_EXPORT
            )
    x_name, x_unit = _X_UNITS.get(x_type, ("x", ""))
    y_name, y_unit = _Y_UNITS.get(y_type, ("Intensity", ""))
    if flags & _LABELS:
        labels = [p.decode("latin-1").strip() for p in data[218:248].split(b"\x00")]
        x_name = labels[0] or x_name
        y_name = (labels[1] if len(labels) > 1 else "") or y_name
    names = [y_name] if spectra == 1 else [f"{y_name} {k + 1}" for k in range(spectra)]
    metadata = {
        "comment": data[88:218].split(b"\x00")[0].decode("latin-1").strip(),
        "experiment code": str(experiment),
        "source": data[45:54].split(b"\x00")[0].decode("latin-1").strip(),
        **_log(data),
    }
    return Table(
        np.column_stack([x, *columns]),
        (x_name, *names),
        (x_unit, *[y_unit] * spectra),
        (),
        ("a Galactic SPC file, little-endian",),
        np.arange(points) + 1,
        {k: v for k, v in metadata.items() if v},
    )


def _ordinates(raw: bytes, power: int, width: int) -> Array:
    if power == -128:
        return np.frombuffer(raw, "<f4").astype(float)
    integers = np.frombuffer(raw, "<i2" if width == 2 else "<i4").astype(float)
    return np.asarray(integers * 2.0 ** (power - 8 * width), dtype=float)


def _part(data: bytes, at: int, size: int, path: Path) -> bytes:
    part = data[at : at + size]
    if len(part) < size:
        raise InputError("is cut short", file=path, place=f"byte {at}", remedy="copy it again")
    return part


def _log(data: bytes) -> dict[str, str]:
    start = struct.unpack_from("<I", data, 248)[0]
    if not 512 <= start <= len(data) - 64:
        return {}
    size, _, text = struct.unpack_from("<III", data, start)
    block = data[start + text : start + min(size, 1 << 20)].decode("latin-1")
    pairs = (line.split("=", 1) for line in block.replace("\r", "").split("\n") if "=" in line)
    return {k.strip(): v.strip("\x00 ") for k, v in pairs}


def _shimadzu(path: Path) -> Table:
    columns: list[Array] = []
    names: list[str] = []
    axis: Array | None = None
    with jasco.compound(path) as opened:
        for entry in jasco.entries(opened, path):
            if not entry[-1].startswith("X Data"):
                continue
            ordinate = [*entry[:-1], entry[-1].replace("X", "Y", 1)]
            x = _doubles(jasco.stream(opened, entry, path))
            y = _doubles(jasco.stream(opened, ordinate, path))
            if len(x) != len(y) or len(x) < 3:
                raise InputError(
                    f"{len(x)} abscissas but {len(y)} ordinates",
                    file=path,
                    place="/".join(entry),
                    remedy=_EXPORT,
                )
            if axis is None:
                axis = x
            if not np.array_equal(axis, x):
                continue
            columns.append(y)
            names.append(entry[-4] if len(entry) >= 4 else f"spectrum {len(names) + 1}")
    if axis is None:
        raise InputError("holds no 'X Data' stream", file=path, remedy=_EXPORT)
    return Table(
        np.column_stack([axis, *columns]),
        ("Wavelength", *names),
        ("nm", *[""] * len(names)),
        (),
        ("a Shimadzu file; its axis is taken as wavelength in nm, please confirm",),
        np.arange(len(axis)) + 1,
        {},
    )


def _doubles(raw: bytes) -> Array:
    return np.frombuffer(raw[: len(raw) // 8 * 8], "<f8").astype(float)
