"""Siemens and Bruker .raw (binary, versions 1 to 4): the first range with 2theta and counts.

Layout of versions 1 to 3 as in the DIFFRAC manuals (Exchange and XCH, 2002); version 4 as it was
worked out by the field from files and their exported text. A .raw file that is GSAS text goes to
that reader.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.files import readable
from heterodot.formats.diffraction import pattern

if TYPE_CHECKING:
    from heterodot.measurement import Measurement

Floats = NDArray[np.float64]


class _Bytes:
    """Little-endian numbers at offsets, refused when they lie beyond the end."""

    def __init__(self, data: bytes, path: Path) -> None:
        self.data = data
        self.path = path

    def at(self, offset: int, kind: str) -> Any:
        size = struct.calcsize("<" + kind)
        if offset < 0 or offset + size > len(self.data):
            raise InputError(
                f"ends at byte {len(self.data)}, before its header says",
                file=self.path,
                remedy="the file is cut off; copy it again",
            )
        return struct.unpack_from("<" + kind, self.data, offset)[0]

    def text(self, offset: int, n: int) -> str:
        raw = self.data[offset : offset + n].split(b"\x00")[0]
        return raw.decode("latin-1").strip()

    def floats(self, offset: int, n: int, stride: int = 4) -> Floats:
        if n < 0 or n > 10_000_000 or offset + n * stride > len(self.data):
            raise InputError(
                f"its header promises {n} points, more than the file holds",
                file=self.path,
                remedy="the file is cut off; copy it again",
            )
        raw = np.frombuffer(self.data, dtype=np.uint8, count=n * stride, offset=offset)
        return raw.reshape(n, stride)[:, :4].copy().view("<f4").ravel().astype(float)


def read(path: Path, kind: str | None = None) -> Measurement:
    """Return the first range of a .raw file.

    Raises
    ------
    InputError
        Not a Bruker file, cut off, or not a 2theta scan.
    """
    readable(path, limit=2**28)
    data = path.read_bytes()
    source = _Bytes(data, path)
    if data[:7] == b"RAW4.00":
        return _version4(source, path)
    if data[:7] == b"RAW1.01":
        return _version3(source, path)
    if data[:4] == b"RAW2":
        return _version2(source, path)
    if data[:4] == b"RAW ":
        return _version1(source, path)
    if b"BANK" in data[:8192]:
        from heterodot.formats.gsas import read as read_gsas

        return read_gsas(path, kind)
    raise InputError(
        "is not a Bruker .raw file (it does not begin with RAW)",
        file=path,
        remedy="export it as .xy or .csv, or check that the suffix is right",
    )


def _ranges(notes: list[str], n: int) -> None:
    if n > 1:
        notes.append(f"the file has {n} ranges; the first was taken")


def _angles(source: _Bytes, start: float, step: float, n: int) -> Floats:
    if n * 4 > len(source.data):  # before anything of that size is made
        raise InputError(
            f"its header promises {n} points, more than the file holds",
            file=source.path,
            remedy="the file is cut off; copy it again",
        )
    if not (np.isfinite([start, step]).all() and 0 < abs(step) < 10 and -180 < start < 180):
        raise InputError(
            f"its header gives a start of {start:g} and a step of {step:g} degrees",
            file=source.path,
            remedy="the file is damaged or no 2theta scan; export it as .xy",
        )
    return np.asarray(start + step * np.arange(n), dtype=float)


def _version1(source: _Bytes, path: Path) -> Measurement:
    n = source.at(4, "I")
    x = _angles(source, source.at(24, "f"), source.at(12, "f"), n)
    metadata = {
        "format": "RAW 1", "counting_time": source.at(8, "f"), "sample": source.text(40, 32),
        "kAlpha2": source.at(76, "f"),
    }  # fmt: skip
    y = source.floats(156, n)
    notes: list[str] = []
    _ranges(notes, 2 if source.at(152, "I") else 1)
    return pattern(path, x, y, wavelength=source.at(72, "f"), metadata=metadata, notes=notes)


def _version2(source: _Bytes, path: Path) -> Measurement:
    notes: list[str] = []
    _ranges(notes, source.at(4, "H"))
    metadata = {
        "format": "RAW 2", "measured": source.text(168, 20), "anode": source.text(188, 2),
        "kAlpha2": source.at(194, "f"), "ratio_kalpha2_kalpha1": source.at(198, "f"),
    }  # fmt: skip
    header = source.at(256, "H")
    n = source.at(258, "H")
    metadata["counting_time"] = source.at(264, "f")
    x = _angles(source, source.at(272, "f"), source.at(268, "f"), n)
    y = source.floats(256 + header, n)
    return pattern(path, x, y, wavelength=source.at(190, "f"), metadata=metadata, notes=notes)


def _version3(source: _Bytes, path: Path) -> Measurement:
    notes: list[str] = []
    _ranges(notes, source.at(12, "I"))
    metadata = {
        "format": "RAW 3", "measured": source.text(16, 10), "sample": source.text(326, 60),
        "anode": source.text(608, 4), "kAlpha2": source.at(632, "d"),
        "ratio_kalpha2_kalpha1": source.at(648, "d"), "radius": source.at(564, "f"),
    }  # fmt: skip
    begin = 712
    header, n = source.at(begin, "I"), source.at(begin + 4, "I")
    if header < 304 or header > 65536:
        raise InputError(
            f"has a range header of {header} bytes", file=path, remedy="the file is damaged"
        )
    metadata["counting_time"] = source.at(begin + 192, "f")
    x = _angles(source, source.at(begin + 16, "d"), source.at(begin + 176, "d"), n)
    extra = source.at(begin + 256, "I")
    y = source.floats(begin + header + extra, n)
    return pattern(path, x, y, wavelength=source.at(624, "d"), metadata=metadata, notes=notes)


def _version4(source: _Bytes, path: Path) -> Measurement:
    metadata: dict[str, Any] = {"format": "RAW 4", "measured": source.text(12, 12)}
    wavelength = None
    at = 61
    while True:
        segment = source.at(at, "I")
        if segment in (0, 160):
            break
        length = source.at(at + 4, "I")
        if length < 8:
            raise InputError("has a segment without length", file=path, remedy="it is damaged")
        if segment == 10 and length > 36:
            metadata[source.text(at + 12, 24)] = source.text(at + 36, min(length - 36, 200))
        elif segment == 30 and length >= 120:
            wavelength = source.at(at + 80, "d")
            metadata["kAlpha2"] = source.at(at + 88, "d")
            metadata["anode"] = source.text(at + 116, 4)
        at += length
    scan = source.text(at + 32, 24)
    if "coupled" not in scan.lower() and "2theta" not in scan.lower():
        raise InputError(
            f"is a '{scan}' scan, not one of 2theta", file=path, remedy="give a coupled scan"
        )
    n = source.at(at + 88, "I")
    x = _angles(source, source.at(at + 72, "d"), source.at(at + 80, "d"), n)
    metadata["scan"] = scan
    metadata["counting_time"] = source.at(at + 92, "f")
    size, header = source.at(at + 136, "I"), source.at(at + 140, "I")
    if size < 4 or size > 64:
        raise InputError(f"has points of {size} bytes", file=path, remedy="export it as .xy")
    y = source.floats(at + 160 + header, n, size)
    return pattern(path, x, y, wavelength=wavelength, metadata=metadata)
