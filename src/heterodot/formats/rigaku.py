"""Rigaku .ras (text): keyed header, then angle, intensity and attenuator factor."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodot.errors import InputError
from heterodot.files import read_text
from heterodot.formats.diffraction import number, pattern

if TYPE_CHECKING:
    from heterodot.measurement import Measurement


def read(path: Path, kind: str | None = None) -> Measurement:
    """Return the first scan of a .ras file, intensities multiplied by the attenuator factor.

    Raises
    ------
    InputError
        Not a .ras file, cut off, or not a 2theta scan.
    """
    lines = read_text(path).splitlines()
    if not any(line.startswith("*RAS_DATA_START") for line in lines[:5]):
        raise InputError(
            "does not begin with *RAS_DATA_START", file=path, remedy="check that it is a .ras file"
        )
    header: dict[str, str] = {}
    begin = end = None
    for k, line in enumerate(lines):
        if line.startswith("*RAS_INT_START"):
            begin = k + 1
        elif line.startswith("*RAS_INT_END"):
            end = k
            break
        elif begin is None:
            match = re.match(r"\*(\S+)\s+\"?(.*?)\"?\s*$", line)
            if match:
                header[match[1]] = match[2]
    if begin is None or end is None:
        raise InputError(
            "has no end of its intensities (*RAS_INT_END)",
            file=path,
            remedy="the file is cut off; export it again",
        )
    rows = []
    for k in range(begin, end):
        words = lines[k].split()
        try:
            rows.append([float(w) for w in words[:3]])
        except ValueError:
            raise InputError("holds what is no number", file=path, place=f"line {k + 1}") from None
    if not rows or len({len(row) for row in rows}) != 1 or len(rows[0]) < 2:
        raise InputError("its rows differ in length", file=path, place=f"line {begin + 1}")
    axis = header.get("MEAS_SCAN_AXIS_X", "TwoThetaTheta")
    if not axis.lower().replace("-", "").startswith(("twotheta", "2theta")):
        raise InputError(f"scans '{axis}', not 2theta", file=path, remedy="give a 2theta scan")
    table = np.array(rows)
    notes = []
    y = table[:, 1]
    if table.shape[1] > 2 and np.any(table[:, 2] != 1):
        y = y * table[:, 2]
        notes.append("intensities were multiplied by the attenuator factor of each point")
    scans = sum(line.startswith("*RAS_INT_START") for line in lines)
    if scans > 1:
        notes.append(f"the file has {scans} scans; the first was taken")
    stated = number(header.get("MEAS_DATA_COUNT"))
    if stated is not None and int(stated) != len(table):
        notes.append(f"the header states {int(stated)} points, {len(table)} were found")
    unit = header.get("MEAS_SCAN_UNIT_Y", "counts")
    metadata: dict[str, Any] = {
        "anode": header.get("HW_XG_TARGET_NAME", ""),
        "sample": header.get("FILE_SAMPLE", ""),
        "scan_axis": axis,
        "unit": unit,
    }
    second = number(header.get("HW_XG_WAVE_LENGTH_ALPHA2"))
    if second is not None:
        metadata["kAlpha2"] = second
    return pattern(
        path,
        table[:, 0],
        y,
        unit=unit,
        wavelength=number(
            header.get("HW_XG_WAVE_LENGTH_ALPHA1") or header.get("MEAS_COND_XG_WAVE_LENGTH_ALPHA1")
        ),
        metadata=metadata,
        notes=notes,
    )
