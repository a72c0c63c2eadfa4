"""Transient-absorption matrices as text: plain, pyglotaran's ASCII, Ultrafast Systems' CSV."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.files import read_text
from heterodot.formats.delays import matrix

if TYPE_CHECKING:
    from heterodot.measurement import Measurement

Floats = NDArray[np.float64]
_GAPS = frozenset({"", "nan", "-nan", "inf", "-inf", "n/a", "na", "null", "--", "#n/a", "none"})
_TIME_UNIT = re.compile(
    r"(?:time|delay|t)\b[^a-z\n]{0,4}\b(fs|ps|ns|us|µs|μs|ms|s)\b", re.IGNORECASE
)


def read(path: str | Path, kind: str | None = None) -> Measurement:
    """Return a matrix over delay and wavelength from a text file.

    The first row and the first column are the axes, in either order; which is which is found from
    the numbers and said in the notes. Rows of text before and after are kept as metadata.

    Raises
    ------
    InputError
        No matrix, a row of another length (named), axes that are neither delays nor wavelengths.
    """
    text = read_text(path)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for number, line in enumerate(lines[:12]):
        if re.match(r"\s*(time|wavelength)\s+explicit", line, re.IGNORECASE):
            return _explicit(path, lines, number)
    return _plain(path, lines)


def _numbers(cells: list[str], decimal: str) -> list[float] | None:
    out = []
    for raw in cells:
        cell = raw.strip().strip('"')
        if cell.lower() in _GAPS:
            out.append(np.nan)
            continue
        if decimal == ",":
            if "." in cell:
                return None
            cell = cell.replace(",", ".")
        try:
            out.append(float(cell))
        except ValueError:
            return None
    return out


def _cells(line: str, separator: str) -> list[str]:
    if separator == " ":
        return line.split()
    cells = line.split(separator)
    # a separator at the end of every line is common
    return cells[:-1] if len(cells) > 1 and not cells[-1].strip() else cells


def _explicit(path: str | Path, lines: list[str], at: int) -> Measurement:
    """Read pyglotaran's (TIMP's) ASCII: the axis after 'intervalnr' is spelled out first."""
    by_time = lines[at].strip().lower().startswith("time")
    match = re.search(r"intervalnr\s+(\d+)", "\n".join(lines[at : at + 3]), re.IGNORECASE)
    if match is None:
        raise InputError(
            "has no 'Intervalnr' after its 'explicit' line",
            file=path,
            place=f"line {at + 2}",
            remedy="export it again",
        )
    count = int(match[1])
    first = next(k for k in range(at, len(lines)) if "intervalnr" in lines[k].lower()) + 1
    rows = [(k + 1, line.split()) for k, line in enumerate(lines[first:], first) if line.strip()]
    if not rows:
        raise InputError("ends after its header", file=path, remedy="copy it again")
    axis = _numbers(rows[0][1], ".")
    if axis is None or len(axis) != count:
        raise InputError(
            f"announces {count} intervals and lists {len(rows[0][1])}",
            file=path,
            place=f"line {rows[0][0]}",
            remedy="the file is cut off or edited; export it again",
        )
    other, body = [], []
    for number, cells in rows[1:]:
        row = _numbers(cells, ".")
        if row is None or len(row) != count + 1:
            raise InputError(
                f"holds {len(cells)} cells, not {count + 1} numbers",
                file=path,
                place=f"line {number}",
                remedy="the file is cut off or edited; export it again",
            )
        other.append(row[0])
        body.append(row[1:])
    values = np.array(body)
    along, across = np.array(axis), np.array(other)
    metadata = {"header": [line for line in lines[:at] if line.strip()]}
    notes = ["the file states no unit of time; taken as ps, please confirm"]
    if by_time:
        return matrix(path, along, across, values.T, time_unit="ps", metadata=metadata, notes=notes)
    return matrix(path, across, along, values, time_unit="ps", metadata=metadata, notes=notes)


def _plain(path: str | Path, lines: list[str]) -> Measurement:
    separator, decimal, first, rows, numbers = _block(path, lines)
    notes = [
        f"columns are separated by {_spoken(separator)}, the decimal sign is a "
        f"{'comma' if decimal == ',' else 'point'}"
    ]
    top, body = rows[0], rows[1:]
    width = len(body[0])
    for k, row in enumerate(body):
        if len(row) != width:
            raise InputError(
                f"holds {len(row)} numbers, the rows before it {width}",
                file=path,
                place=f"line {numbers[k + 1]}",
                remedy="the file is cut off or edited; export it again",
            )
    if len(top) == width:
        top = top[1:]
    elif len(top) != width - 1:
        raise InputError(
            f"the first row has {len(top)} numbers for columns of {width - 1}",
            file=path,
            place=f"line {numbers[0]}",
            remedy="give a matrix whose first row and column are its axes",
        )
    across, along = np.array(top), np.array([row[0] for row in body])
    values = np.array([row[1:] for row in body])
    remarks = [line for line in [*lines[:first], *lines[numbers[-1] :]] if line.strip()]
    words = "\n".join(remarks) + "\n" + lines[first]
    keep_a, keep_b = np.isfinite(across), np.isfinite(along)
    if not keep_a.all() or not keep_b.all():
        lost = int((~keep_a).sum() + (~keep_b).sum())
        notes.append(f"{lost} row(s) or column(s) without a place on their axis are left out")
        across, along, values = across[keep_a], along[keep_b], values[np.ix_(keep_b, keep_a)]
    time_across = _which_is_time(path, across, along)
    notes.append(f"delays run along the {'first row' if time_across else 'first column'}")
    time, spectral = (across, along) if time_across else (along, across)
    unit = _time_unit(words, notes)
    spectral_unit = "nm"
    if re.search(r"\bcm-?\^?-?1\b|wavenumber", words, re.IGNORECASE):
        spectral_unit = "1/cm"
    elif re.search(r"\beV\b", words) and spectral.max() < 20:
        spectral_unit = "eV"
    else:
        notes.append("the spectral axis is taken as nm")
    return matrix(
        path,
        time,
        spectral,
        values.T if time_across else values,
        time_unit=unit,
        spectral_unit=spectral_unit,
        metadata={"text": remarks} if remarks else {},
        notes=notes,
    )


def _spoken(separator: str) -> str:
    return {"\t": "tab", ";": "semicolon", ",": "comma", " ": "spaces"}[separator]


def _block(
    path: str | Path, lines: list[str]
) -> tuple[str, str, int, list[list[float]], list[int]]:
    """Return separator, decimal sign, first line, rows of numbers and their line numbers."""
    best: tuple[str, str, int, list[list[float]], list[int]] | None = None
    for separator, decimal in ((s, d) for s in ("\t", ";", ",", " ") for d in (".", ",")):
        if separator == decimal:
            continue
        rows: list[list[float]] = []
        numbers: list[int] = []
        first = 0
        for k, line in enumerate(lines):
            cells = _cells(line, separator)
            row = _numbers(cells, decimal) if len(cells) >= 3 else None
            if row is None and len(cells) >= 4 and not rows:
                tail = _numbers(cells[1:], decimal)  # a word in the corner
                row = tail if tail is not None and np.isfinite(tail).sum() > 2 else None
            if row is None or not np.isfinite(row).any():
                if rows and line.strip():
                    break
                continue
            if not rows:
                first = k
            rows.append(row)
            numbers.append(k + 1)
        size = sum(map(len, rows))
        if len(rows) >= 4 and (best is None or size > sum(map(len, best[3]))):
            best = (separator, decimal, first, rows, numbers)
    if best is None:
        raise InputError(
            "holds no matrix of numbers",
            file=path,
            remedy="give a matrix whose first row and first column are delay and wavelength",
        )
    return best


def _which_is_time(path: str | Path, across: Floats, along: Floats) -> bool:
    """Return True where the first row holds the delays."""

    def spectral(x: Floats) -> bool:
        steps = np.diff(x)
        return bool((x > 0).all() and ((steps > 0).all() or (steps < 0).all()))

    def wide(x: Floats) -> float:
        return float(x.max() / max(x.min(), 1e-300))

    a, b = spectral(across), spectral(along)
    if a != b:
        return b
    if not a:
        raise InputError(
            "neither axis can be wavelengths (positive and sorted)",
            file=path,
            remedy="check the first row and the first column",
        )
    # both could be: delays span decades, wavelengths do not
    return wide(across) > wide(along)


def _time_unit(words: str, notes: list[str]) -> str:
    match = _TIME_UNIT.search(words)
    if match:
        unit = match[1].replace("µ", "u").replace("μ", "u").lower()
        notes.append(f"delays are in {unit}, as the file says")
        return unit
    notes.append("the file states no unit of time; taken as ps, please confirm")
    return "ps"
