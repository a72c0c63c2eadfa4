"""Becker & Hickl SPCM text exports (.asc): blocks of time and photons."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.files import read_text
from heterodot.formats.delays import traces

if TYPE_CHECKING:
    from heterodot.measurement import Measurement

_BLOCK = re.compile(r"\*BLOCK\s+(\d+)\s*\(\s*Time\s*\[(\w+)\]", re.IGNORECASE)


def read(path: str | Path, kind: str | None = None) -> Measurement:
    """Return the curves of an SPCM export; another .asc is read as a matrix or as columns.

    Raises
    ------
    InputError
        A block that does not end, a line that is no pair of numbers, blocks of unlike times.
    """
    lines = read_text(path).splitlines()
    starts = [k for k, line in enumerate(lines) if _BLOCK.search(line)]
    if not starts:
        if kind == "ta" or any("explicit" in line.lower() for line in lines[:12]):
            from heterodot.formats.ta import read as read_matrix

            return read_matrix(path, kind)
        from heterodot.formats.columns import read as read_plain

        return read_plain(path, kind)
    metadata = _metadata(lines[: starts[0]])
    curves: list[NDArray[np.float64]] = []
    names: list[str] = []
    unit = "ns"
    time: NDArray[np.float64] = np.zeros(0)
    for start in starts:
        match = _BLOCK.search(lines[start])
        assert match is not None
        unit = match[2]
        rows = []
        ended = False
        for k in range(start + 1, len(lines)):
            if lines[k].startswith("*END"):
                ended = True
                break
            if not lines[k].strip():
                continue
            cells = lines[k].replace(",", " ").split()
            try:
                rows.append((float(cells[0]), float(cells[1])))
            except (ValueError, IndexError) as error:
                raise InputError(
                    f"'{lines[k].strip()}' is no time with photons",
                    file=path,
                    place=f"line {k + 1}",
                    remedy="export it again with a decimal point",
                ) from error
        if not ended:
            raise InputError(
                f"block {match[1]} has no *END: the file is cut off",
                file=path,
                remedy="copy it again",
            )
        table = np.array(rows)
        if table.shape[0] < 2:
            raise InputError(f"block {match[1]} is empty", file=path, remedy="export it again")
        if curves and table.shape[0] != time.size:
            raise InputError("its blocks have unlike times", file=path, remedy="export one block")
        time = table[:, 0]
        curves.append(table[:, 1])
        names.append(match[1])
    # printed times are rounded; the recorded width of a channel is not
    width = metadata.get("SP_TAC_TC")
    notes = []
    if isinstance(width, float) and width > 0 and unit == "ns":
        exact = time[0] + np.arange(time.size) * width * 1e9
        if np.abs(exact - time).max() < 1e-3 * (abs(time[-1]) + width * 1e9):
            time = exact
            notes.append(f"times from the recorded channel width of {width * 1e12:.5g} ps")
    counts = curves[0] if len(curves) == 1 else np.stack(curves, axis=1)
    return traces(path, time, counts, time_unit=unit, names=names, metadata=metadata, notes=notes)


def _metadata(lines: list[str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for line in lines:
        if match := re.match(r"\s*#\w+ \[(\w+),(\w),(.*)\]\s*$", line):
            name, kind, value = match.groups()
            try:
                found[name] = float(value) if kind == "F" else int(value) if kind in "IU" else value
            except ValueError:
                found[name] = value
        elif match := re.match(r"\s*(\w[\w ]*?)\s*:\s*(.*\S)?\s*$", line):
            found[match[1]] = match[2] or ""
    return found
