"""Plain columns of numbers: separator, decimal comma, header and units are found and shown.

Spectrometers, diffractometers and counting cards all export text whose only standard is that
numbers stand in columns. What is found here is said in ``notes`` so that the user can confirm it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.files import read_text, readable

if TYPE_CHECKING:
    from heterodot.measurement import Measurement

Array = NDArray[np.float64]

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?")
_MISSING = frozenset(
    {"", "nan", "-nan", "+nan", "n/a", "na", "#n/a", "--", "-", "null", "none", "#num!", "#div/0!"}
    | {"inf", "-inf", "+inf", "overflow", "over", "1.#qnan", "-1.#ind", "1.#inf"}
)
_SEPARATORS: dict[str, str] = {"tab": "\t", "semicolon": ";", "comma": ",", "spaces": " "}
_COMMENTS = ("#", "%", "//", "!", "'", '"#')
_CANDIDATES: tuple[tuple[str, str], ...] = (
    ("tab", "."),
    ("tab", ","),
    ("semicolon", "."),
    ("semicolon", ","),
    ("comma", "."),
    ("spaces", "."),
    ("spaces", ","),
)
_SAMPLE = 400


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of numbers as a text file states them.

    Attributes
    ----------
    columns : (n_rows, n_columns) array
        The numbers; NaN where the file leaves a cell empty or says so.
    names : tuple of str
        One for each column; ``"column 2"`` where the header names none.
    units : tuple of str
        As pint writes them (``"nm"``, ``"1/cm"``), ``""`` where none is stated.
    header : tuple of str
        The raw lines before the numbers.
    notes : tuple of str
        Which separator, decimal sign, comment sign and header were assumed.
    line_of_row : (n_rows,) array
        Line number (from one) of each row, for messages.
    metadata : dict
        ``key: value`` pairs found in header and footer.
    """

    columns: Array
    names: tuple[str, ...]
    units: tuple[str, ...]
    header: tuple[str, ...]
    notes: tuple[str, ...]
    line_of_row: NDArray[np.int64]
    metadata: dict[str, str]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.columns.shape[0])

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return int(self.columns.shape[1])


def read_columns(path: str | Path, *, limit: int = 2**28) -> Table:
    """Return the largest block of numbers of a text file, with what had to be assumed.

    Parameters
    ----------
    path : str or Path
    limit : int
        Largest file taken, bytes.

    Raises
    ------
    InputError
        Missing, binary, too large, without numbers, ragged (the line is named), cut short, a
        column without any number, or a comma that is both separator and decimal sign.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "a.csv")
    ...     _ = file.write_text("Wavelength (nm);Abs\\n500,5;0,12\\n501,5;0,13\\n")
    ...     table = read_columns(file)
    >>> table.names, table.units, table.columns[1].tolist()
    (('Wavelength', 'Abs'), ('nm', ''), [501.5, 0.13])
    >>> table.notes[0]
    'columns are separated by semicolon, the decimal sign is a comma'
    """
    text = read_text(path, limit=limit)
    _refuse_binary(text, path)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    separator, decimal = _separator(lines, path)
    numbers, indices, comment = _block(lines, separator, decimal, path)
    columns, dropped = _without_empty_tail(numbers)
    header = tuple(lines[: indices[0]])
    names, units, named_on = _names(header, columns.shape[1], separator)
    _refuse_empty_columns(columns, names, path)
    notes = [
        f"columns are separated by {separator}, the decimal sign is a "
        f"{'comma' if decimal == ',' else 'point'}"
    ]
    if comment:
        notes.append(f"lines that start with '{comment}' are comments")
    if named_on is not None:
        notes.append(f"names of the columns are on line {named_on + 1}")
    else:
        notes.append("no names of columns were found")
    if dropped:
        notes.append(f"{dropped} empty column(s) at the end were left out")
    missing = int(np.isnan(columns).sum())
    if missing:
        notes.append(f"{missing} cell(s) hold no number")
    last = indices[-1]
    left_out = _rows_after(lines, last + 1, separator, decimal)
    if left_out:
        notes.append(f"a second block of {left_out} rows after line {last + 1} was not read")
    return Table(
        columns,
        names,
        units,
        header,
        tuple(notes),
        np.asarray(indices, dtype=np.int64) + 1,
        _metadata([*header, *lines[last + 1 : last + 400]], separator),
    )


def _refuse_binary(text: str, path: str | Path) -> None:
    head = text[:65536]
    odd = sum(1 for c in head if (ord(c) < 32 and c not in "\t\n\r\f\x1a") or c == "\ufffd")
    if odd > 0.01 * len(head) + 1:
        raise InputError("is binary, not text", file=path, remedy="export it as text (.csv, .txt)")


def _split(line: str, separator: str) -> list[str]:
    if separator == "spaces":
        return line.split()
    return [cell.strip().strip('"').strip() for cell in line.split(_SEPARATORS[separator])]


def _row(line: str, separator: str, decimal: str) -> list[float] | None:
    """Return the numbers of a line (NaN for cells left empty), None where it holds other text."""
    text = line.replace(",", ".") if decimal == "," else line
    if "_" not in text:  # float() takes digit separators, files do not mean them
        try:
            cells = text.split() if separator == "spaces" else text.split(_SEPARATORS[separator])
            row = [float(cell) for cell in cells]
            return row if any(x == x for x in row) else None
        except ValueError:
            pass
    if decimal == "," and "." in line:
        return None
    row = []
    for cell in _split(text, separator):
        if _NUMBER.fullmatch(cell):
            row.append(float(re.sub("[dD]", "e", cell)))
        elif cell.casefold() in _MISSING:
            row.append(math.nan)
        else:
            return None
    return row if any(x == x for x in row) else None


def _separator(lines: list[str], path: str | Path) -> tuple[str, str]:
    filled = [line for line in lines if line.strip()]
    length = sum(map(len, filled)) // max(len(filled), 1) + 1
    wanted = max(24, min(_SAMPLE, 60_000 // length))
    if len(filled) > wanted:
        # evenly over the file, so that a long header does not outvote the numbers
        filled = [filled[int(i)] for i in np.linspace(0, len(filled) - 1, wanted)]
    text = "\n".join(filled)
    best: tuple[int, int, int] = (0, 0, 0)
    choice: tuple[str, str] | None = None
    for rank, (separator, decimal) in enumerate(_CANDIDATES):
        if (separator != "spaces" and _SEPARATORS[separator] not in text) or (
            decimal == "," and "," not in text
        ):
            continue
        rows = [row for line in filled if (row := _row(line, separator, decimal)) is not None]
        widths = Counter(len(row) for row in rows)
        if not widths:
            continue
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
        score = (count if width > 1 else 0, count, -rank)
        if score > best:
            best, choice = score, (separator, decimal)
    if choice is None:
        raise InputError(
            "holds no columns of numbers", file=path, remedy="export the data as .csv or .txt"
        )
    if choice == ("comma", "."):
        _refuse_double_comma(filled, path)
    return choice


def _refuse_double_comma(lines: list[str], path: str | Path) -> None:
    """A comma that is separator and decimal sign at once leaves digits such as '0123' alone."""
    rows = [_split(line, "comma") for line in lines if _row(line, "comma", ".") is not None]
    cells = [cell for row in rows for cell in row]
    lonely = any(re.fullmatch(r"0\d+", cell) for cell in cells)
    if lonely and not any("." in cell for cell in cells) and all(len(r) % 2 == 0 for r in rows):
        raise InputError(
            "uses the comma both as separator and as decimal sign",
            file=path,
            remedy="export it with semicolons, tabs or decimal points",
        )


def _comment(line: str) -> str:
    stripped = line.lstrip()
    return next((sign for sign in _COMMENTS if stripped.startswith(sign)), "")


def _block(
    lines: list[str], separator: str, decimal: str, path: str | Path
) -> tuple[Array, list[int], str]:
    """Return (numbers, their line indices, comment sign) of the longest block.

    A block ends at a line of text; blank lines and comment lines inside it are passed over.
    """
    blocks: list[tuple[list[list[float]], list[int]]] = []
    open_block: tuple[list[list[float]], list[int]] | None = None
    signs: Counter[str] = Counter()
    for index, line in enumerate(lines):
        if not line.strip():
            continue
        row = _row(line, separator, decimal)
        if row is not None:
            if open_block is None:
                open_block = ([], [])
                blocks.append(open_block)
            open_block[0].append(row)
            open_block[1].append(index)
        elif sign := _comment(line):
            signs[sign] += 1
        else:
            open_block = None
    rows, indices = max(blocks, key=lambda block: (len(block[0]), -block[1][0]))
    _refuse_bad_cell(lines, rows, indices, (separator, decimal), path)
    rows, indices = _same_width(rows, indices, path)
    numbers = np.asarray(rows, dtype=float)
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers, indices, signs.most_common(1)[0][0] if signs else ""


def _refuse_bad_cell(
    lines: list[str],
    rows: list[list[float]],
    indices: list[int],
    style: tuple[str, str],
    path: str | Path,
) -> None:
    """A line that starts with a number but holds text among the numbers is a fault."""
    width = Counter(len(r) for r in rows).most_common(1)[0][0]
    for index in (indices[0] - 1, indices[-1] + 1):
        if not 0 <= index < len(lines):
            continue
        cells = _split(lines[index], style[0])
        good = [bool(_NUMBER.fullmatch(c.replace(",", "."))) for c in cells]
        if len(cells) == width > 1 and good[0] and not all(good):
            bad = next(c for c, g in zip(cells, good, strict=True) if not g)
            raise InputError(
                f"'{bad[:40]}' is not a number",
                file=path,
                place=f"line {index + 1}",
                remedy="correct or remove that line",
            )


def _same_width(
    rows: list[list[float]], indices: list[int], path: str | Path
) -> tuple[list[list[float]], list[int]]:
    width = Counter(len(r) for r in rows).most_common(1)[0][0]
    # one or two counts of a header ("1024") may stand right above the numbers
    start = 0
    while start < min(3, len(rows) - 1) and len(rows[start]) < width:
        start += 1
    rows, indices = rows[start:], indices[start:]
    for row, index in zip(rows, indices, strict=True):
        if len(row) == width or (len(row) > width and all(x != x for x in row[width:])):
            continue  # separators left at the end of a line do no harm
        raise InputError(
            f"{len(row)} value(s) where the other lines have {width}",
            file=path,
            place=f"line {index + 1}",
            remedy="the file seems cut short; export it again"
            if index == indices[-1]
            else "correct that line or export the file again",
        )
    return [row[:width] for row in rows], indices


def _without_empty_tail(columns: Array) -> tuple[Array, int]:
    dropped = 0
    while columns.shape[1] > 1 and np.isnan(columns[:, -1]).all():
        columns = columns[:, :-1]
        dropped += 1
    return columns, dropped


def _refuse_empty_columns(columns: Array, names: tuple[str, ...], path: str | Path) -> None:
    for name, column in zip(names, columns.T, strict=True):
        if np.isnan(column).all():
            raise InputError(
                f"column '{name}' holds no number at all",
                file=path,
                remedy="remove it or export the file again",
            )


def _rows_after(lines: list[str], start: int, separator: str, decimal: str) -> int:
    rows = (_row(line, separator, decimal) for line in lines[start:] if line.strip())
    return sum(1 for row in rows if row is not None and len(row) > 1)


# ---------------------------------------------------------------------------------- names, units

# as written in files (case-folded, without dots and spaces) -> as pint reads it
UNITS: dict[str, str] = {
    "nm": "nm",
    "nanometer": "nm",
    "nanometers": "nm",
    "nanometre": "nm",
    "nanometres": "nm",
    "um": "um",
    "µm": "um",
    "μm": "um",
    "micrometers": "um",
    "microns": "um",
    "å": "angstrom",
    "angstrom": "angstrom",
    "ev": "eV",
    "mev": "meV",
    "electronvolt": "eV",
    "cm-1": "1/cm",
    "cm^-1": "1/cm",
    "cm−1": "1/cm",
    "1/cm": "1/cm",
    "wavenumber": "1/cm",
    "s": "s",
    "sec": "s",
    "second": "s",
    "seconds": "s",
    "ms": "ms",
    "us": "us",
    "µs": "us",
    "μs": "us",
    "microseconds": "us",
    "ns": "ns",
    "nanoseconds": "ns",
    "ps": "ps",
    "picoseconds": "ps",
    "fs": "fs",
    "min": "min",
    "h": "hour",
    "hours": "hour",
    "d": "day",
    "days": "day",
    "deg": "deg",
    "°": "deg",
    "degree": "deg",
    "degrees": "deg",
    "rad": "rad",
    "k": "K",
    "kelvin": "K",
    "°c": "degC",
    "degc": "degC",
    "c": "degC",
    "celsius": "degC",
    "counts": "count",
    "count": "count",
    "cts": "count",
    "photons": "count",
    "cps": "count/s",
    "counts/s": "count/s",
    "%": "percent",
    "percent": "percent",
    "%t": "percent",
    "a": "A",
    "ma": "mA",
    "ua": "uA",
    "µa": "uA",
    "μa": "uA",
    "na": "nA",
    "pa": "pA",
    "fa": "fA",
    "v": "V",
    "mv": "mV",
    "w": "W",
    "mw": "mW",
    "uw": "uW",
    "µw": "uW",
    "μw": "uW",
    "nw": "nW",
    "pw": "pW",
    "w/cm2": "W/cm^2",
    "wcm-2": "W/cm^2",
    "mw/cm2": "mW/cm^2",
    "mw/cm^2": "mW/cm^2",
    "mwcm-2": "mW/cm^2",
    "uw/cm2": "uW/cm^2",
    "µw/cm2": "uW/cm^2",
    "a/hz^0.5": "A/Hz^0.5",
    "a/sqrt(hz)": "A/Hz^0.5",
    "a/hz^(1/2)": "A/Hz^0.5",
    "hz": "Hz",
    "khz": "kHz",
    "mhz": "MHz",
    "od": "",
    "mod": "",
    "au": "",
    "arbunits": "",
    "arbunit": "",
    "arb": "",
    "norm": "",
    "1": "",
    "absorbance": "",
}


def unit_of(text: str) -> str | None:
    """Return the pint name of a unit as files write it, None where it is not one.

    Examples
    --------
    >>> unit_of("Nanometers"), unit_of("a.u."), unit_of("cm-1"), unit_of("sample")
    ('nm', '', '1/cm', None)
    """
    stripped = text.strip().replace(" ", "").replace("²", "2").replace("⁻¹", "-1")
    if stripped in {"mA", "MW", "mW", "MHz", "mHz"}:  # the case carries the prefix
        return stripped
    folded = stripped.casefold()
    for form in (folded, folded.replace(".", ""), folded.replace(".", "").strip("()[]")):
        if form in UNITS:
            return UNITS[form]
    return None


def split_name(text: str) -> tuple[str, str | None]:
    """Return (name, unit or None) of a heading.

    Examples
    --------
    >>> split_name("Wavelength (nm)"), split_name("hv / eV"), split_name("time[ps]")
    (('Wavelength', 'nm'), ('hv', 'eV'), ('time', 'ps'))
    >>> split_name("30 s")
    ('30 s', None)
    """
    text = text.strip().strip('"').strip()
    for pattern in (
        r"(.*?)\s*[\(\[\{]\s*([^()\[\]{}]*(?:\([^()]*\))?[^()\[\]{}]*)\s*[\)\]\}]\s*(.*)",
        r"(.*\S)\s*/\s*(\S.*)()",
        r"(.*\S),\s+(\S+)()",
        r"(.*[A-Za-z])\s+in\s+(\S+)()",
        r"([A-Za-z]+)_([A-Za-z0-9/^-]+)()",
    ):
        match = re.fullmatch(pattern, text)
        if match and (unit := unit_of(match[2])) is not None and (match[1] or match[3]):
            return f"{match[1]} {match[3]}".strip(), unit
    return text, None


def _words(line: str, separator: str, n: int) -> list[str]:
    line = line.strip("\r\n")
    sign = _comment(line)
    if sign:
        line = line.lstrip()[len(sign) :].lstrip("#")
    if separator != "spaces":
        if inner := re.search(r"\(\s+(\S.*\S)\s+\)$", line):
            return inner[1].split()  # SPCM: "*BLOCK 1  ( Time[ns]  No_of_photons )"
        if '"' in line:
            import csv

            return [c.strip() for c in next(csv.reader([line], delimiter=_SEPARATORS[separator]))]
        return _split(line, separator)
    line = line.strip()
    for pattern in (r"\t+", r"\s{2,}", r"\s+(?![(\[])", r"\s*[;,]\s*"):
        words = [w for w in re.split(pattern, line) if w]
        if len(words) == n:
            return words
    return line.split()


def _names(
    header: Sequence[str], n: int, separator: str
) -> tuple[tuple[str, ...], tuple[str, ...], int | None]:
    """Return names, units and the line of the names (the last header lines that have n words)."""
    unit_row: list[str] | None = None
    for index in range(len(header) - 1, max(-1, len(header) - 12), -1):
        if not re.search(r"[^\W_]", header[index]):
            continue  # blank lines and rulers
        words = _words(header[index], separator, n)
        known = [unit_of(w) for w in words]
        if n > 1 and unit_row is None and len(words) == n and _all_units(words, known):
            unit_row = [u or "" for u in known]
            continue
        if not _are_names(words, n):
            break
        pairs = [split_name(w) for w in words]
        names = tuple(p[0] or f"column {k + 1}" for k, p in enumerate(pairs))
        units = tuple(
            p[1] if p[1] is not None else (unit_row[k] if unit_row else "")
            for k, p in enumerate(pairs)
        )
        return names, units, index
    plain = tuple(f"column {k + 1}" for k in range(n))
    return plain, tuple(unit_row or [""] * n), None


def _all_units(words: Sequence[str], known: Sequence[str | None]) -> bool:
    filled = [u is not None for w, u in zip(words, known, strict=True) if w.strip("()[] ")]
    return bool(filled) and all(filled)


def _are_names(words: Sequence[str], n: int) -> bool:
    if len(words) != n or not any(words):
        return False
    if words[0].endswith((":", "=")):
        return False  # "wavelength: CuKa" is a key and its value
    if any(w and not re.search(r"[^\W\d_]|[%θλν]", w) for w in words):
        return False  # "NPOINTS 1801" is a key and its value, "[0, 4095]" is no name
    return not (
        n == 2 and re.fullmatch(r"[XY]UNITS|[XY]axis|ORIGIN|OWNER|Type|[A-Z]+ TYPE", words[0])
    )


def _metadata(lines: Sequence[str], separator: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        text = line.strip().lstrip("#%!/ ").strip()
        match = re.fullmatch(r"([A-Za-z][^:=\t;]{0,60}?)\s*(?:[:=]|\t+|;|,)\s*(.*)", text)
        if match and match[1] not in found and len(found) < 500:
            found[match[1].strip()] = match[2].strip().strip(";,").strip()
    return found


def read(path: str | Path, kind: str | None = None) -> Measurement:
    """Return a text file of columns as a measurement of the expected kind.

    Parameters
    ----------
    path : str or Path
    kind : str, optional
        ``"absorption"``, ``"pl"``, ``"ple"``, ``"xrd"``, ``"decay"``...; None guesses it from
        names and units and says so in the notes.

    Returns
    -------
    Measurement
        Over ``wavelength``, ``energy``, ``wavenumber``, ``time``, ``two_theta`` or ``x``, and
        ``sample`` where there is more than one column of values.

    Raises
    ------
    InputError
        As `read_columns`; or fewer than two columns, an axis that is not sorted, has no number
        on a line, or cannot be of the expected kind.
    """
    from heterodot.formats.curves import measurement_of

    readable(path)
    return measurement_of(read_columns(path), path, kind)
