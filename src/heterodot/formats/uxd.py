"""Bruker and Siemens .uxd (text export of DIFFRAC): the first range with 2theta and counts."""

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

# the line before the data -> (pairs of angle and value, unit)
LAYOUTS = {
    "_COUNTS": (False, "counts"), "_CPS": (False, "counts/s"), "_COUNT": (False, "counts"),
    "_2THETACOUNTS": (True, "counts"), "_2THETACPS": (True, "counts/s"),
}  # fmt: skip


def read(path: Path, kind: str | None = None) -> Measurement:
    """Return the first range of a .uxd file.

    Raises
    ------
    InputError
        Not a .uxd file, cut off within its head, or not a 2theta scan.
    """
    header: dict[str, str] = {}
    layout, words, ranges = None, [], 0
    for k, raw in enumerate(read_text(path).splitlines()):
        line = raw.split(";", 1)[0].strip()
        if not line:
            continue
        if line.startswith("_"):
            if line.upper() in LAYOUTS:
                ranges += 1
                layout = layout or line.upper()
                continue
            match = re.match(r"(_\w+)\s*=\s*'?(.*?)'?\s*$", line)
            if match and ranges == 0:
                header[match[1].upper()] = match[2]
            continue
        if ranges == 1:
            for word in re.split(r"[\s,]+", line):
                value = number(word)
                if value is None:
                    raise InputError("holds what is no number", file=path, place=f"line {k + 1}")
                words.append(value)
    if layout is None:
        raise InputError(
            "has no _COUNTS and so is no .uxd file", file=path, remedy="export it as .xy"
        )
    drive = header.get("_DRIVE", "COUPLED").upper()
    if drive not in ("COUPLED", "2THETA", "TWOTHETA", "THETA/2THETA", "THETA-2THETA"):
        raise InputError(f"drives '{drive}', not 2theta", file=path, remedy="give a coupled scan")
    pairs, unit = LAYOUTS[layout]
    values = np.array(words)
    if pairs:
        if len(values) % 2:
            raise InputError("has an angle without counts", file=path, remedy="it is cut off")
        x, y = values[::2], values[1::2]
    else:
        start = number(header.get("_START") or header.get("_2THETA"))
        step = number(header.get("_STEPSIZE"))
        if start is None or step is None or step == 0:
            raise InputError("states no start and step", file=path, place="_START, _STEPSIZE")
        x, y = start + step * np.arange(len(values)), values
        stated = number(header.get("_STEPCOUNT"))
        if stated is not None and int(stated) != len(values):
            raise InputError(
                f"states {int(stated)} points and has {len(values)}",
                file=path,
                place="_STEPCOUNT",
                remedy="the file is cut off; export it again",
            )
    notes = [f"the file has {ranges} ranges; the first was taken"] if ranges > 1 else []
    metadata: dict[str, Any] = {
        "sample": header.get("_SAMPLE", ""), "anode": header.get("_ANODE", ""),
        "measured": header.get("_DATEMEASURED", ""), "scan": drive, "unit": unit,
    }  # fmt: skip
    seconds = number(header.get("_STEPTIME"))
    if seconds is not None:
        metadata["counting_time"] = seconds
    second = number(header.get("_WL2"))
    if second is not None:
        metadata["kAlpha2"] = second
    return pattern(
        path, x, y, unit=unit, wavelength=number(header.get("_WL1")), metadata=metadata, notes=notes
    )
