"""PicoQuant's tagged files: histograms (.phu) and time-tagged photons (.ptu), sorted into bins.

The format is public: a header of tags of 48 bytes, then histograms or records of 32 bits. Of the
records only T3 (pulsed excitation) holds a decay.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.formats.cursor import Cursor
from heterodot.formats.delays import traces

if TYPE_CHECKING:
    from heterodot.measurement import Measurement

_EMPTY, _BOOL, _INT, _BITS, _COLOR = 0xFFFF0008, 0x00000008, 0x10000008, 0x11000008, 0x12000008
_FLOAT, _TIME = 0x20000008, 0x21000008
_FLOATS, _ANSI, _WIDE, _BLOB = 0x2001FFFF, 0x4001FFFF, 0x4002FFFF, 0xFFFFFFFF
# record type -> bits of (channel, delay); T3 only
_PICOHARP_T3 = 0x00010303
_HYDRA_T3 = {0x00010304, 0x01010304, 0x00010305, 0x00010306, 0x00010307}
_T2 = {0x00010203, 0x00010204, 0x01010204, 0x00010205, 0x00010206, 0x00010207}


def read(path: str | Path, kind: str | None = None) -> Measurement:
    """Return the decays of a .phu or .ptu file, one for each curve or channel.

    Raises
    ------
    InputError
        Not a PicoQuant file, cut off, T2 records, or sizes larger than the file.
    """
    cursor = Cursor.open(path)
    magic = cursor.text(8)
    if magic not in ("PQTTTR", "PQHISTO"):
        raise InputError(
            "is not a PicoQuant file (PQTTTR or PQHISTO at its start)",
            file=path,
            remedy="export it from the instrument's program, or as ASCII",
        )
    version = cursor.text(8)
    tags = _tags(cursor)
    tags["FileVersion"] = version
    return _histograms(cursor, tags) if magic == "PQHISTO" else _photons(cursor, tags)


def _tags(cursor: Cursor) -> dict[str, Any]:
    tags: dict[str, Any] = {}
    for _ in range(100_000):
        name = cursor.text(32)
        index, kind = cursor.unpack("<iI")
        raw = cursor.take(8)
        key = f"{name}[{index}]" if index >= 0 else name
        if name == "Header_End":
            return tags
        number = int.from_bytes(raw, "little", signed=True)
        if kind == _BOOL:
            tags[key] = number != 0
        elif kind in (_INT, _BITS, _COLOR):
            tags[key] = number
        elif kind in (_FLOAT, _TIME):
            tags[key] = float(np.frombuffer(raw, "<f8")[0])
        elif kind == _ANSI:
            tags[key] = cursor.text(number)
        elif kind == _WIDE:
            tags[key] = cursor.take(number).decode("utf-16-le", "replace").rstrip("\x00")
        elif kind == _FLOATS:
            tags[key] = cursor.array("<f8", number // 8).tolist()
        elif kind == _BLOB:
            cursor.take(number)
        elif kind != _EMPTY:
            raise InputError(
                f"has a tag '{name}' of unknown kind {kind:#x}",
                file=cursor.path,
                place=f"byte {cursor.at}",
                remedy="the file is damaged; copy it again",
            )
    raise InputError("has a header without end", file=cursor.path, remedy="copy it again")


def _histograms(cursor: Cursor, tags: dict[str, Any]) -> Measurement:
    curves: list[NDArray[Any]] = []
    names: list[str] = []
    widths: set[float] = set()
    count = int(tags.get("HistoResult_NumberOfCurves", 0))
    if not 0 < count <= 4096:
        raise InputError(f"announces {count} curves", file=cursor.path, remedy="copy it again")
    for k in range(count):
        try:
            bins = int(tags[f"HistResDscr_HistogramBins[{k}]"])
            offset = int(tags[f"HistResDscr_DataOffset[{k}]"])
            width = float(tags[f"HistResDscr_MDescResolution[{k}]"])
        except KeyError as error:
            raise InputError(
                f"does not describe curve {k + 1} ({error})",
                file=cursor.path,
                remedy="copy it again",
            ) from error
        curves.append(cursor.seek(offset).array("<u4", bins))
        widths.add(width)
        names.append(str(tags.get(f"HistResDscr_CurveIndex[{k}]", k)))
    if len(widths) > 1 or len({c.size for c in curves}) > 1:
        raise InputError(
            "its curves have unlike bins", file=cursor.path, remedy="save one curve a file"
        )
    width = widths.pop()
    if not width > 0:
        raise InputError("states no bin width", file=cursor.path, remedy="export it as ASCII")
    time = (np.arange(curves[0].size) + 0.5) * width * 1e9
    stack = np.stack(curves, axis=1)
    counts = stack[:, 0] if count == 1 else stack
    return traces(cursor.path, time, counts, time_unit="ns", names=names, metadata=tags)


def _photons(cursor: Cursor, tags: dict[str, Any]) -> Measurement:
    kind = int(tags.get("TTResultFormat_TTTRRecType", 0))
    total = int(tags.get("TTResult_NumberOfRecords", 0))
    if kind in _T2:
        raise InputError(
            "holds T2 records, which have no delay after a pulse",
            file=cursor.path,
            remedy="record in T3 mode, or make the histogram in the instrument's program",
        )
    if kind != _PICOHARP_T3 and kind not in _HYDRA_T3:
        raise InputError(
            f"holds records of unknown kind {kind:#x}",
            file=cursor.path,
            remedy="export the histogram as .phu or ASCII",
        )
    width = float(tags.get("MeasDesc_Resolution", 0.0))
    if not width > 0:
        raise InputError("states no bin width", file=cursor.path, remedy="export it as ASCII")
    records = cursor.array("<u4", total)
    if kind == _PICOHARP_T3:
        channel = records >> 28
        delay = (records >> 16) & 0xFFF
        photon = channel != 0xF
    else:
        channel = (records >> 25) & 0x3F
        delay = (records >> 10) & 0x7FFF
        photon = (records >> 31) == 0
    if not photon.any():
        raise InputError("holds no photons", file=cursor.path, remedy="check the recording")
    channel, delay = channel[photon], delay[photon]
    period = float(tags.get("MeasDesc_GlobalResolution", 0.0))
    bins = int(delay.max()) + 1
    if period > width and period / width < 2**16:
        bins = max(bins, round(period / width))
    used = np.unique(channel)
    stack = np.stack([np.bincount(delay[channel == c], minlength=bins) for c in used], axis=1)
    time = (np.arange(bins) + 0.5) * width * 1e9
    counts = stack[:, 0] if used.size == 1 else stack
    notes = [f"{int(photon.sum())} photons sorted into {bins} bins of {width * 1e12:.4g} ps"]
    return traces(
        cursor.path,
        time,
        counts,
        time_unit="ns",
        names=[str(int(c)) for c in used],
        metadata=tags,
        notes=notes,
    )
