"""Hamamatsu streak-camera images (.img): counts over wavelength and time."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.formats.cursor import Cursor
from heterodot.formats.delays import matrix

if TYPE_CHECKING:
    from heterodot.measurement import Measurement

Floats = NDArray[np.float64]
_KINDS = {0: "u1", 2: "<u2", 3: "<u4"}


def read(path: str | Path, kind: str | None = None) -> Measurement:
    """Return a streak image over time and wavelength.

    Raises
    ------
    InputError
        Not such an image, cut off, packed pixels, or no scaling of its axes.
    """
    cursor = Cursor.open(path)
    if cursor.take(2) != b"IM":
        raise InputError(
            "is not a Hamamatsu image (IM at its start)",
            file=path,
            remedy="save it from HPD-TA as .img, or export it as ASCII",
        )
    comment_size, width, height, _, _, pixel = cursor.unpack("<hhhhhh")
    cursor.seek(64)
    if comment_size < 0 or width <= 0 or height <= 0:
        raise InputError(f"announces {width} x {height} pixels", file=path, remedy="save it again")
    if pixel not in _KINDS:
        raise InputError(
            f"has pixels of kind {pixel}, which are not read",
            file=path,
            remedy="save it with 16 or 32 bits a pixel, not packed",
        )
    comment = cursor.take(comment_size).decode("latin-1")
    image = cursor.array(_KINDS[pixel], width * height).reshape(height, width).astype(float)
    fields = {f"{s}.{k}": v for s, k, v in _fields(comment)}
    wavelength, nm = _axis(cursor, fields, "X", width, path)
    time, time_unit = _axis(cursor, fields, "Y", height, path)
    notes = []
    if nm != "nm":
        notes.append(f"the wavelength axis is in '{nm or 'pixels'}'; taken as nm, please confirm")
    if time_unit not in ("fs", "ps", "ns", "us", "ms", "s"):
        notes.append(f"the time axis is in '{time_unit or 'pixels'}'; taken as ps, please confirm")
        time_unit = "ps"
    return matrix(
        path,
        time,
        wavelength,
        image,
        time_unit=time_unit,
        unit="count",
        kind="decay",
        metadata=fields,
        notes=notes,
    )


def _fields(comment: str) -> list[tuple[str, str, str]]:
    found, section = [], ""
    for part in re.split(r"\r?\n(?=\[)|(?<=\")\s*,?\s*(?=\[)", comment):
        if match := re.match(r"\s*\[([^\]]+)\]", part):
            section = match[1]
        for key, quoted, bare in re.findall(r'([\w ./]+)=(?:"([^"]*)"|([^,\r\n\[]*))', part):
            found.append((section, key.strip(), quoted or bare.strip()))
    return found


def _axis(
    cursor: Cursor, fields: dict[str, str], name: str, count: int, path: str | Path
) -> tuple[Floats, str]:
    """Return an axis from its table in the file (``#offset,count``) or from its scale."""
    unit = fields.get(f"Scaling.Scaling{name}Unit", "").strip()
    table = fields.get(f"Scaling.Scaling{name}ScalingFile", "")
    match = re.fullmatch(r"#(\d+),(\d+)", table.strip())
    if match is None:
        match = re.fullmatch(r"#(\d+)", table.strip())
    if match is not None:
        size = int(match[2]) if match.lastindex == 2 else count
        if size < count:
            raise InputError(
                f"has {size} scale values for {count} pixels",
                file=path,
                place=f"Scaling{name}ScalingFile",
                remedy="save it again",
            )
        values = cursor.seek(int(match[1])).array("<f4", size)[:count]
        return values.astype(np.float64), unit
    try:
        scale = float(fields.get(f"Scaling.Scaling{name}Scale", "1") or 1)
    except ValueError:
        scale = 1.0
    return np.arange(count, dtype=np.float64) * np.float64(scale), unit
