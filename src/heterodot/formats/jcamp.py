"""JCAMP-DX spectra (.jdx, .dx, .jcamp): plain, packed, squeezed, difference and duplicate forms.

References
----------
R. S. McDonald and P. A. Wilks, Appl. Spectrosc. 42, 151 (1988): the format and its compressed
forms (PAC, SQZ, DIF, DUP), with the checks of abscissa and ordinate that are made here too.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.files import read_text
from heterodot.formats.columns import Table
from heterodot.formats.curves import measurement_of

if TYPE_CHECKING:
    from heterodot.measurement import Measurement

Array = NDArray[np.float64]

_SQZ = {c: str(k) for k, c in enumerate("@ABCDEFGHI")} | {
    c: f"-{k + 1}" for k, c in enumerate("abcdefghi")
}
_DIF = {c: str(k) for k, c in enumerate("%JKLMNOPQR")} | {
    c: f"-{k + 1}" for k, c in enumerate("jklmnopqr")
}
_DUP = {c: str(k + 1) for k, c in enumerate("STUVWXYZ")} | {"s": "9"}
# an exponent carries a sign, since a bare E is also a squeezed digit
_TOKEN = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]\d+)?|[@A-Ia-i%J-Rj-rS-Zs]\d*|\?")
_X_UNITS = {
    "1/CM": ("Wavenumber", "1/cm"),
    "NANOMETERS": ("Wavelength", "nm"),
    "NM": ("Wavelength", "nm"),
    "MICROMETERS": ("Wavelength", "um"),
    "SECONDS": ("Time", "s"),
    "EV": ("Energy", "eV"),
}
_LIMIT = 50_000_000


def read(path: Path, kind: str | None = None) -> Measurement:
    """Return the first spectrum of a JCAMP-DX file.

    Raises
    ------
    InputError
        Not JCAMP-DX, without data, a damaged line (named), or a number of points, first ordinate
        or abscissa other than the header states.
    """
    return measurement_of(table_of(read_text(path), path), path, kind)


def table_of(text: str, path: Path) -> Table:
    """Return the first spectrum of JCAMP-DX ``text``."""
    labels, body, line = _records(text, path)
    form = labels.get("XYDATA") or labels.get("XYPOINTS") or labels.get("PEAKTABLE") or ""
    notes = ["a JCAMP-DX file"]
    if "XYDATA" in labels and "++" in form:
        x, y = _xydata(labels, body, line, path, notes)
    else:
        x, y = _pairs(labels, body, line, path)
    stated = _number(labels, "NPOINTS")
    if stated is not None and int(stated) != len(x):
        raise InputError(
            f"holds {len(x)} points, its header says {int(stated)}",
            file=path,
            place="NPOINTS",
            remedy="the file is cut short or damaged; export it again",
        )
    name, unit = _X_UNITS.get(labels.get("XUNITS", "").strip().upper(), ("x", ""))
    return Table(
        np.column_stack([x, y]),
        (name, labels.get("YUNITS", "column 2").strip().capitalize()),
        (unit, ""),
        (),
        tuple(notes),
        np.arange(len(x)) + line,
        {k: v.strip() for k, v in labels.items() if len(v) < 2000},
    )


def _records(text: str, path: Path) -> tuple[dict[str, str], list[str], int]:
    """Return the labelled records, the lines of data and the number of their first line."""
    if not re.match(r"\s*##\s*TITLE\s*=", text, re.IGNORECASE):
        raise InputError("is not JCAMP-DX", file=path, remedy="it should start with '##TITLE='")
    labels: dict[str, str] = {}
    body: list[str] = []
    start, key = 0, ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split("$$")[0].rstrip()
        match = re.match(r"\s*##([^=]*)=(.*)", line)
        if match:
            if body:
                break
            key = re.sub(r"[\s/_-]", "", match[1]).upper()
            if key == "END":
                break
            if key in ("TITLE", "DATATYPE", "NPOINTS") and key in labels:
                labels.pop("XYDATA", None)  # a block inside a link file starts anew
            labels[key] = match[2].strip()
            start = number
        elif key in ("XYDATA", "XYPOINTS", "PEAKTABLE"):
            if line.strip():
                body.append(line)
        elif key:
            labels[key] += "\n" + line
    if not body:
        raise InputError("holds no data", file=path, remedy="export it as ##XYDATA")
    return labels, body, start + 1


def _number(labels: dict[str, str], key: str) -> float | None:
    try:
        return float(labels[key].replace(",", "."))
    except (KeyError, ValueError):
        return None


def _pairs(labels: dict[str, str], body: list[str], line: int, path: Path) -> tuple[Array, Array]:
    numbers: list[float] = []
    for k, text in enumerate(body):
        for token in re.split(r"[,;\s]+", text.strip()):
            try:
                numbers.append(float(token))
            except ValueError as error:
                raise InputError(
                    f"'{token[:20]}' is not a number",
                    file=path,
                    place=f"line {line + k}",
                    remedy="export the file again",
                ) from error
    if len(numbers) % 2:
        raise InputError("an abscissa has no ordinate", file=path, remedy="export it again")
    pairs = np.asarray(numbers).reshape(-1, 2)
    return (
        pairs[:, 0] * (_number(labels, "XFACTOR") or 1.0),
        pairs[:, 1] * (_number(labels, "YFACTOR") or 1.0),
    )


def _xydata(
    labels: dict[str, str], body: list[str], line: int, path: Path, notes: list[str]
) -> tuple[Array, Array]:
    x_factor, y_factor = _number(labels, "XFACTOR") or 1.0, _number(labels, "YFACTOR") or 1.0
    first, last = _number(labels, "FIRSTX"), _number(labels, "LASTX")
    ordinates: list[float] = []
    ended_in_difference = False
    starts: list[tuple[int, float, int]] = []
    for k, text in enumerate(body):
        place = f"line {line + k}"
        abscissa, values, difference = _line(text, path, place)
        if ended_in_difference:
            if not values or abs(values[0] - ordinates[-1]) > 0.5:
                raise InputError(
                    "the check ordinate does not repeat the line before",
                    file=path,
                    place=place,
                    remedy="the file is damaged; export it again",
                )
            values = values[1:]
        starts.append((len(ordinates) - int(ended_in_difference), abscissa, line + k))
        ordinates += values
        ended_in_difference = difference
        if len(ordinates) > _LIMIT:
            raise InputError("unpacks to too many points", file=path, place=place)
    y = np.asarray(ordinates) * y_factor
    if len(y) < 2 or first is None or last is None:
        raise InputError("states no FIRSTX and LASTX", file=path, remedy="export it again")
    x = np.linspace(first, last, len(y))
    step = (last - first) / (len(y) - 1)
    for index, abscissa, number in starts:
        if abs(abscissa * x_factor - (first + index * step)) > 1.01 * abs(step) + 1e-9:
            raise InputError(
                f"abscissa {abscissa * x_factor:g} where {first + index * step:g} is due",
                file=path,
                place=f"line {number}",
                remedy="points are missing or FIRSTX, LASTX are wrong; export it again",
            )
    stated = _number(labels, "FIRSTY")
    if stated is not None and abs(stated - y[0]) > max(abs(y_factor), 1e-3 * abs(stated)):
        notes.append(f"the first ordinate is {y[0]:g}, the header says {stated:g}")
    return x, y


def _line(text: str, path: Path, place: str) -> tuple[float, list[float], bool]:
    """Return abscissa, ordinates and whether the last was given as a difference."""
    text = text.strip()
    tokens = _TOKEN.findall(text)
    if not tokens or len("".join(tokens)) != len(re.sub(r"[\s,;]", "", text)):
        raise InputError("cannot be read", file=path, place=place, remedy="export the file again")
    values: list[float] = []
    previous, difference = 0.0, False
    last: tuple[str, float] = ("", 0.0)
    try:
        abscissa = float(tokens[0])
    except ValueError as error:
        raise InputError("starts with no abscissa", file=path, place=place) from error
    for token in tokens[1:]:
        sign = token[0]
        if sign in _DUP:
            count = int(_DUP[sign] + token[1:]) - 1
            if not values or count > _LIMIT:
                raise InputError("repeats nothing or too much", file=path, place=place)
            for _ in range(count):
                previous = previous + last[1] if last[0] == "difference" else previous
                values.append(previous)
        elif sign == "?":
            values.append(float("nan"))
        elif sign in _DIF:
            change = float(_DIF[sign] + token[1:])
            previous += change
            values.append(previous)
            last, difference = ("difference", change), True
        else:
            previous = float(_SQZ[sign] + token[1:]) if sign in _SQZ else float(token)
            values.append(previous)
            last, difference = ("value", 0.0), False
    return abscissa, values, difference
