"""JASCO Spectra Manager files (.jws, .jwb): spectra in an OLE2 compound file.

The streams that matter are ``DataInfo`` (how many channels and points, first and last abscissa,
what each channel is) and ``Y-Data`` (the ordinates, channel after channel, 32-bit floats). The
layout is not published by the maker; it was read from files and agrees with the text exports.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodot.errors import InputError
from heterodot.formats.columns import Table
from heterodot.formats.curves import measurement_of

if TYPE_CHECKING:
    from heterodot.measurement import Measurement

# code of a channel -> (name, unit); the others are kept as "channel 0x...."
CHANNELS: dict[int, tuple[str, str]] = {
    0x10000103: ("Wavelength", "nm"),
    0x10000102: ("Wavenumber", "1/cm"),
    0x20000003: ("Time", "s"),
    3: ("Absorbance", ""),
    1: ("Transmittance", "percent"),
    2: ("Reflectance", "percent"),
    14: ("Fluorescence", ""),
    4097: ("CD", "mdeg"),
    8193: ("HT voltage", "V"),
}
_EXPORT = "export it from Spectra Manager as text"
_POINTS = 50_000_000


def compound(path: Path) -> Any:
    """Return the open OLE2 compound file ``path``.

    Raises
    ------
    InputError
        Not a compound file, or a damaged one.
    """
    import olefile

    try:
        if not olefile.isOleFile(str(path)):
            raise InputError("is not an OLE2 compound file", file=path, remedy=_EXPORT)
        return olefile.OleFileIO(str(path))
    except (OSError, ValueError, IndexError, RecursionError, struct.error) as error:
        raise InputError(
            f"is a damaged compound file ({error})", file=path, remedy="copy it again"
        ) from error


def stream(opened: Any, name: str | list[str], path: Path) -> bytes:
    """Return a stream of a compound file, or refuse the file."""
    shown = name if isinstance(name, str) else "/".join(name)
    try:
        if not opened.exists(name):
            raise InputError(f"has no stream '{shown}'", file=path, remedy=_EXPORT)
        return bytes(opened.openstream(name).read())
    except (OSError, ValueError, IndexError, RecursionError) as error:
        raise InputError(
            f"the stream is damaged ({error})", file=path, place=shown, remedy="copy it again"
        ) from error


def entries(opened: Any, path: Path) -> list[list[str]]:
    """Return the paths of all streams of a compound file, or refuse one that goes in circles."""
    try:
        return [[str(part) for part in entry] for entry in opened.listdir()]
    except (OSError, ValueError, IndexError, RecursionError) as error:
        raise InputError(
            "its list of streams is damaged", file=path, remedy="copy the file again"
        ) from error


def read(path: Path, kind: str | None = None) -> Measurement:
    """Return the spectra of a JASCO file.

    Channels that share the abscissa (CD, HT voltage, absorbance) become samples side by side; a
    .jwb file's series keeps its second axis (often temperature) in the metadata.

    Raises
    ------
    InputError
        Not a JASCO file, or one that is cut short or claims more points than it holds.
    """
    with compound(path) as opened:
        info = stream(opened, "DataInfo", path)
        ordinates = stream(opened, "Y-Data", path)
        sample = _sample(opened)
    if len(info) < 56:
        raise InputError(
            f"'DataInfo' has {len(info)} bytes", file=path, remedy="copy the file again"
        )
    _, spectra, _, channels, _, points = struct.unpack_from("<6I", info)
    first, last, step = struct.unpack_from("<3d", info, 24)
    columns = max(channels, 1) * max(spectra, 1)
    if not (0 < points <= _POINTS and columns <= 10_000 and 4 * points * columns == len(ordinates)):
        raise InputError(
            f"claims {columns} x {points} points but holds {len(ordinates) // 4}",
            file=path,
            remedy="the file is cut short or of a newer kind; " + _EXPORT,
        )
    if not np.isfinite([first, last, step]).all() or abs(first + step * (points - 1) - last) > (
        abs(step) * 0.51 + 1e-6
    ):
        raise InputError(
            f"axis from {first:g} to {last:g} by {step:g} does not fit {points} points",
            file=path,
            remedy=_EXPORT,
        )
    values = np.frombuffer(ordinates, "<f4").astype(float).reshape(columns, points).T
    axis, unit = CHANNELS.get(struct.unpack_from("<I", info, 48)[0], ("column 1", ""))
    found = [_channel(info, 52 + 4 * k) for k in range(channels)] if channels else []
    if spectra > 1:
        series, second = _series(info, spectra)
        names = [f"{found[0][0]} {s}" for s in series]
        units = [found[0][1]] * spectra
        sample |= {"series": ", ".join(series), "series axis": second}
    else:
        names, units = [n for n, _ in found], [u for _, u in found]
    table = Table(
        np.column_stack([np.linspace(first, last, points), values]),
        (axis, *names),
        (unit, *units),
        (),
        ("a JASCO binary file, layout found from examples; compare with a text export once",),
        np.arange(points) + 1,
        sample,
    )
    return measurement_of(table, path, kind)


def _channel(info: bytes, at: int) -> tuple[str, str]:
    if len(info) < at + 4:
        return "column", ""
    code = struct.unpack_from("<I", info, at)[0]
    return CHANNELS.get(code, (f"channel {code:#x}", ""))


def _series(info: bytes, n: int) -> tuple[list[str], str]:
    """Return labels of the spectra of a series and what they count (bytes 64 to 96 + 8 n)."""
    if len(info) >= 92 + 8 * n and struct.unpack_from("<I", info, 60)[0] == n:
        values = struct.unpack_from(f"<{n}d", info, 92)
        low, high = struct.unpack_from("<2d", info, 64)
        if np.isfinite(values).all() and abs(values[0] - low) < 1e-3 and abs(values[-1] - high) < 1:
            return [f"{v:.2f}" for v in values], f"code {struct.unpack_from('<I', info, 88)[0]:#x}"
    return [str(k + 1) for k in range(n)], "number"


def _sample(opened: Any) -> dict[str, str]:
    """Return sample name and comment: two texts, each after its length in bytes."""
    found: dict[str, str] = {}
    try:
        raw = bytes(opened.openstream("SampleInfo").read())
        at = 4
        for key in ("sample", "comment"):
            length = struct.unpack_from("<I", raw, at)[0]
            text = raw[at + 4 : at + 4 + length].decode("utf-16-le", "replace").rstrip("\x00")
            at += 4 + length
            if text:
                found[key] = text
    except (OSError, struct.error, ValueError, IndexError, RecursionError):
        return found
    return found
