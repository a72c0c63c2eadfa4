"""Ultrafast Systems' binary matrices (.ufs): labelled axes and data, big-endian, as LabVIEW writes.

Layout, each text preceded by its length: version, then for both axes label, unit, number of points
and points, then the data's unit, three sizes, the data, and free text.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from heterodot.errors import InputError
from heterodot.formats.cursor import Cursor
from heterodot.formats.delays import matrix

if TYPE_CHECKING:
    from heterodot.measurement import Measurement


def _text(cursor: Cursor) -> str:
    (size,) = cursor.unpack(">I")
    if size > 2**20:
        raise InputError(
            f"announces a text of {size} bytes",
            file=cursor.path,
            place=f"byte {cursor.at}",
            remedy="it is no Ultrafast Systems file, or damaged; export it as .csv",
        )
    return cursor.take(size).decode("latin-1").strip("\x00 ")


def read(path: str | Path, kind: str | None = None) -> Measurement:
    """Return the matrix of a .ufs file.

    Raises
    ------
    InputError
        Not such a file, cut off, or sizes that disagree with its axes.
    """
    cursor = Cursor.open(path)
    version = _text(cursor)
    if not version.lower().startswith("version"):
        raise InputError(
            "does not start with a version of Ultrafast Systems",
            file=path,
            remedy="export the matrix as .csv",
        )
    axes = []
    for _ in range(2):
        label, unit = _text(cursor), _text(cursor)
        (count,) = cursor.unpack(">I")
        axes.append((label, unit, cursor.array(">f8", count).astype(float)))
    unit = _text(cursor)
    sizes = cursor.unpack(">III")
    n, m = axes[0][2].size, axes[1][2].size
    layers = [s for s in sizes if s not in (0, 1)]
    if sorted(s for s in sizes if s > 1)[-2:] != sorted(s for s in (n, m) if s > 1)[-2:]:
        raise InputError(
            f"its data are {' x '.join(map(str, sizes))}, its axes {n} x {m}",
            file=path,
            remedy="the file is damaged; export it again",
        )
    del layers
    values = cursor.array(">f8", n * m).reshape(n, m).astype(float)
    scans = max(1, (len(cursor.data) - cursor.at) // (8 * n * m))
    notes = []
    if sizes[0] > 1 and sizes[1:] == (n, m) and scans >= sizes[0] - 1:
        notes.append(f"{sizes[0]} scans are in the file; the first is read")
        cursor.take(8 * n * m * (sizes[0] - 1))
    remarks = cursor.take(len(cursor.data) - cursor.at).decode("latin-1", "replace")
    first_is_time = axes[0][0].lower().startswith(("time", "delay"))
    time, spectral = (axes[0], axes[1]) if first_is_time else (axes[1], axes[0])
    data = values if first_is_time else values.T
    return matrix(
        path,
        time[2],
        spectral[2],
        np.asarray(data),
        time_unit=time[1].strip() or "ps",
        spectral_unit=spectral[1].strip() or "nm",
        metadata={"version": version, "data": unit, "text": remarks.strip("\x00 ")},
        notes=notes,
    )
