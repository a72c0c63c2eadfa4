"""GSAS powder data (text with a BANK line): STD, ESD, ALT, FXY and FXYE at constant wavelength.

Larson and Von Dreele, General Structure Analysis System, Los Alamos report LAUR 86-748 (2004).
Angles are in hundredths of a degree.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.files import read_text
from heterodot.formats.diffraction import pattern

if TYPE_CHECKING:
    from heterodot.measurement import Measurement

Floats = NDArray[np.float64]


def read(path: Path, kind: str | None = None) -> Measurement:
    """Return the first bank of a GSAS data file.

    Raises
    ------
    InputError
        No BANK line, time of flight, an unknown layout, fewer points than it states.
    """
    lines = read_text(path).splitlines()
    banks = [k for k, line in enumerate(lines) if line.startswith("BANK")]
    if not banks:
        raise InputError("has no BANK line", file=path, remedy="check that it is GSAS data")
    at = banks[0]
    words = lines[at].split()
    place = f"line {at + 1}"
    try:
        stated, how = int(words[2]), words[4].upper()
    except (IndexError, ValueError):
        raise InputError("has a BANK line that does not read", file=path, place=place) from None
    if how in ("SLOG", "TIME_MAP", "RALF", "LOG6", "COND", "EDS", "LPSD"):
        raise InputError(
            f"is not a scan at constant wavelength ({how})",
            file=path,
            place=place,
            remedy="give angle-dispersive data",
        )
    layout = words[-1].upper() if words[-1].isalpha() else "STD"
    if how in ("FXY", "FXYE"):
        layout = how
    end = banks[1] if len(banks) > 1 else len(lines)
    body = [
        (k, lines[k]) for k in range(at + 1, end) if lines[k].strip() and lines[k][0] not in "#"
    ]
    notes = [f"the file has {len(banks)} banks; the first was taken"] if len(banks) > 1 else []
    try:
        x, y, error = _rows(layout, words, body)
    except (ValueError, IndexError):
        raise InputError(
            f"does not read as {layout}", file=path, place=place, remedy="export it again as FXYE"
        ) from None
    if len(y) > stated:  # the last record is filled up
        x, y, error = x[:stated], y[:stated], None if error is None else error[:stated]
    if len(y) < stated:
        raise InputError(
            f"states {stated} points and has {len(y)}",
            file=path,
            place=place,
            remedy="the file is cut off; export it again",
        )
    if error is not None and not (error > 0).all():
        error = None
        notes.append("standard errors of zero were left out")
    metadata: dict[str, Any] = {"title": lines[0].strip() if at > 0 else "", "layout": layout}
    return pattern(path, x, y, error=error, metadata=metadata, notes=notes)


def _rows(
    layout: str, words: list[str], body: list[tuple[int, str]]
) -> tuple[Floats, Floats, Floats | None]:
    """Return angles (degrees), intensities and errors of the records of one bank."""
    if layout in ("FXYE", "FXY"):
        n = 3 if layout == "FXYE" else 2
        table = np.array([[float(w) for w in line.split()[:n]] for _, line in body])
        return table[:, 0] / 100, table[:, 1], table[:, 2] if n == 3 else None
    if layout == "ALT":
        cells = [
            (float(line[i : i + 8]) / 3200, float(line[i + 8 : i + 15]) / 1000,
             float(line[i + 15 : i + 20]) / 1000)
            for _, line in body
            for i in range(0, 80, 20)
            if line[i : i + 8].strip()
        ]  # fmt: skip
        table = np.array(cells)
        return table[:, 0], table[:, 1], table[:, 2]
    start, step = float(words[5]) / 100, float(words[6]) / 100
    if layout == "ESD":
        pairs = [
            (float(line[i : i + 8]), float(line[i + 8 : i + 16]))
            for _, line in body
            for i in range(0, 80, 16)
            if line[i : i + 8].strip()
        ]
        table = np.array(pairs)
        return _steps(start, step, len(table)), table[:, 0], table[:, 1]
    # STD: ten fields of eight, two digits for the number of detectors, six for the mean count
    values, detectors = [], []
    for _, line in body:
        for i in range(0, 80, 8):
            field = line[i : i + 8]
            if field.strip():
                detectors.append(max(float(field[:2].strip() or 1), 1.0))
                values.append(float(field[2:8]))
    y = np.array(values)
    error = np.sqrt(np.maximum(y, 1.0) / np.array(detectors))
    return _steps(start, step, len(y)), y, error


def _steps(start: float, step: float, n: int) -> Floats:
    return np.asarray(start + step * np.arange(n), dtype=float)
