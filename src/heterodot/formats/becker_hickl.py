"""Becker & Hickl .sdt files: decay curves and images, with the time scale from their set-up."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.formats.cursor import Cursor
from heterodot.formats.delays import traces

if TYPE_CHECKING:
    from heterodot.measurement import Measurement

_KINDS = {0x000: "<u2", 0x100: "<u4", 0x200: "<f8"}
_ZIPPED = 0x1000


def read(path: str | Path, kind: str | None = None) -> Measurement:
    """Return the curves or the first image of an .sdt file.

    Raises
    ------
    InputError
        Not such a file, cut off, photon streams instead of histograms, unlike blocks.
    """
    cursor = Cursor.open(path)
    head = cursor.unpack("<hihiHihIihhHIHH")
    info_at, info_size = head[1], head[2]
    blocks_at, blocks, descriptions_at = head[5], head[6], head[8]
    descriptions, description_size, valid = head[9], head[10], head[11]
    if valid != 0x5555:
        raise InputError(
            "is not a whole Becker & Hickl file (its header is not marked valid)",
            file=path,
            remedy="save it again from SPCM, or export it as .asc",
        )
    if not 0 < descriptions <= 4096 or description_size < 90 or blocks == 0:
        raise InputError("describes no measurement", file=path, remedy="save it again from SPCM")
    info = cursor.seek(info_at).take(info_size).decode("latin-1").strip("\x00 \r\n")
    described = [
        _description(cursor.seek(descriptions_at + k * description_size))
        for k in range(descriptions)
    ]
    count = (blocks & 0xFFFF) if blocks > 0 else blocks + 65536
    curves: list[NDArray[Any]] = []
    at, size = blocks_at, cursor.data
    used: dict[str, Any] = described[0]
    seen: set[int] = set()
    for _ in range(min(count, 65535)):
        if at in seen or not 0 < at < len(size):
            break
        seen.add(at)
        # offsets beyond 4 GB have their high byte in front
        far, far_next, data_at, next_at, block_kind, which, _, length = cursor.seek(at).unpack(
            "<BBIIHhII"
        )
        data_at, next_at = data_at + (far << 32), next_at + (far_next << 32)
        used = described[which] if 0 <= which < descriptions else described[0]
        curves += _block(cursor.seek(data_at), block_kind, length, used)
        at = next_at
    if not curves:
        raise InputError("holds no data block", file=path, remedy="save it again from SPCM")
    return _measured(path, curves, used, info)


def _description(cursor: Cursor) -> dict[str, Any]:
    """Return what the time scale and the image need of a measurement's description."""
    start = cursor.at
    time, date, module = cursor.text(9), cursor.text(11), cursor.text(16)
    (mode,) = cursor.unpack("<h")
    cursor.seek(start + 64)  # past discriminator and synchronization settings
    tac_range, gain = cursor.unpack("<fh")
    cursor.seek(start + 82)
    channels, _, nx, ny = cursor.unpack("<hhhh")
    scan = (0, 0)
    if start + 181 <= len(cursor.data):
        cursor.seek(start + 173)
        scan = cursor.unpack("<ii")
    return {
        "time": time,
        "date": date,
        "module": module,
        "mode": mode,
        "tac_range": tac_range,
        "tac_gain": gain,
        "channels": channels if channels > 0 else channels + 65536,
        "curves": (nx, ny),
        "scan": scan,
    }


def _block(cursor: Cursor, kind: int, length: int, used: dict[str, Any]) -> list[NDArray[Any]]:
    number = _KINDS.get(kind & 0x0F00)
    if number is None or kind & 0x00F0 in (0x20, 0x30):
        raise InputError(
            f"has a data block of kind {kind:#x}, which is no histogram",
            file=cursor.path,
            remedy="export the decay from SPCM as .asc",
        )
    raw = cursor.take(length) if not kind & _ZIPPED else _unzipped(cursor, length)
    values = np.frombuffer(
        raw[: len(raw) // np.dtype(number).itemsize * np.dtype(number).itemsize], number
    )
    bins = int(used["channels"])
    if bins <= 0 or values.size == 0 or values.size % bins:
        raise InputError(
            f"has a block of {values.size} numbers for curves of {bins} bins",
            file=cursor.path,
            remedy="the file is damaged; save it again",
        )
    return list(values.reshape(-1, bins))


def _unzipped(cursor: Cursor, length: int) -> bytes:
    rest = cursor.data[cursor.at :]
    try:
        with zipfile.ZipFile(io.BytesIO(rest)) as archive:
            member = archive.infolist()[0]
            if member.file_size > length:
                raise InputError(
                    f"has a packed block that claims {member.file_size} bytes instead of {length}",
                    file=cursor.path,
                    remedy="the file is damaged; save it again",
                )
            return archive.read(member)
    except (zipfile.BadZipFile, IndexError) as error:
        raise InputError(
            "has a packed block that cannot be unpacked",
            file=cursor.path,
            remedy="save it from SPCM without compression",
        ) from error


def _measured(
    path: str | Path, curves: list[NDArray[Any]], used: dict[str, Any], info: str
) -> Measurement:
    bins = int(used["channels"])
    gain, span = int(used["tac_gain"]), float(used["tac_range"])
    if not (gain > 0 and span > 0):
        raise InputError("states no time range", file=path, remedy="export it as .asc")
    width = span / gain / bins
    time = (np.arange(bins) + 0.5) * width * 1e9
    stack = np.stack(curves)
    nx, ny = used["scan"]
    metadata = {**used, "info": info}
    if nx > 1 and ny > 1 and stack.shape[0] % (nx * ny) == 0:
        image = stack[: nx * ny].reshape(ny, nx, bins)
        notes = (
            [f"first of {stack.shape[0] // (nx * ny)} images"] if stack.shape[0] > nx * ny else []
        )
        return traces(
            path,
            time,
            image,
            time_unit="ns",
            dims=("y", "x", "time"),
            metadata=metadata,
            notes=notes,
        )
    counts = stack[0] if stack.shape[0] == 1 else stack.T
    return traces(path, time, counts, time_unit="ns", metadata=metadata)
