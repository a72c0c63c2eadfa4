"""EDX results: tables of percent, EMSA/MSA spectra, and microscopes' spectrum images.

The spectrum file is the one of ISO 22029:2012 (EMSA/MAS), which is plain text. Spectrum images are
read through RosettaSciIO.
"""

from __future__ import annotations

import csv
import importlib
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodot.errors import InputError, MissingExtraError
from heterodot.files import read_text, readable, sha256

if TYPE_CHECKING:
    from heterodot.measurement import Measurement

ROSETTA = {
    ".bcf": "bruker",
    ".dm3": "digitalmicrograph",
    ".dm4": "digitalmicrograph",
    ".emd": "emd",
    ".hspy": "hspy",
}
MAX_CHANNELS = 2**20
MAX_VOXELS = 2**30
KILO = {"kev": 1.0, "ev": 1e-3}
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"


def read(path: Path, kind: str | None = None) -> Measurement:
    """Return what an EDX file holds: a table, a spectrum, or a spectrum image.

    Parameters
    ----------
    path : Path
        .csv, .tsv, .txt, .msa, .emsa, .bcf, .hspy, .emd, .dm3 or .dm4.
    kind : str, optional
        Not used.

    Returns
    -------
    Measurement
        Kind ``"edx"``. Dims ``("region", "element")`` in percent (``attrs["percent_of"]`` is
        ``"atomic"``, ``"mass"`` or ``""`` where the file does not say) or in counts;
        ``("energy",)``; or ``("y", "x", "energy")``.

    Raises
    ------
    InputError
        Not what its suffix says, damaged, cut off, or not EDX.
    MissingExtraError
        A microscope's own format without RosettaSciIO.
    """
    path = Path(path)
    readable(path, limit=2**33)
    suffix = path.suffix.lower()
    if suffix in (".msa", ".emsa"):
        return _emsa(path)
    if suffix in ROSETTA:
        return _cube(path)
    return _table(path)


# ------------------------------------------------------------------------ spectra


def _emsa(path: Path) -> Measurement:
    """Return the spectrum of an EMSA/MAS file."""
    import xarray as xr

    from heterodot.measurement import Measurement

    fields, body, ended = _emsa_lines(path)
    if "FORMAT" not in fields or "SPECTRUM" not in fields:
        raise InputError("is no EMSA/MAS spectrum", file=path, remedy="export it again as .msa")
    signal = fields.get("SIGNALTYPE", "EDS").upper()
    if signal not in ("EDS", "EDX", "XEDS", ""):
        raise InputError(f"holds a spectrum of kind {signal}, not EDX", file=path)
    number = _field(fields, "NPOINTS", path)
    if not 10 <= number <= MAX_CHANNELS or number != int(number):
        raise InputError(f"claims {number:g} channels", file=path, place="#NPOINTS")
    values = [float(x) for line in body for x in re.findall(_NUMBER, line)]
    notes = []
    pairs = fields.get("DATATYPE", "Y").upper().startswith("XY")
    data: Any = np.array(values[1::2] if pairs else values)
    if len(data) < number or not ended:
        raise InputError(
            f"is cut off: {len(data)} of {number:.0f} channels"
            + ("" if ended else ", and no #ENDOFDATA"),
            file=path,
            remedy="copy or export it again",
        )
    data = np.asarray(data[: int(number)], dtype=float)
    unit = (fields.get("XUNITS") or "keV").strip().lower()
    if unit not in KILO:
        raise InputError(f"'{unit}' is no unit of energy", file=path, place="#XUNITS")
    if pairs:
        energy: Any = np.array(values[0::2])[: int(number)] * KILO[unit]
    else:
        step, start = _field(fields, "XPERCHAN", path), _field(fields, "OFFSET", path, 0.0)
        energy = (start + step * np.arange(len(data))) * KILO[unit]
    if not (np.diff(energy) > 0).all():
        raise InputError("the energy does not increase", file=path, place="#XPERCHAN")
    if energy[-1] > 1000:
        raise InputError(
            f"the axis ends at {energy[-1]:.4g} keV", file=path, place="#XUNITS",
            remedy="correct the unit: the channels seem to be in eV",
        )  # fmt: skip
    if data.min() < 0:
        notes.append("there are negative counts: a background seems to be subtracted")
    if np.abs(data - np.rint(data)).max() > 1e-6:
        notes.append("counts are not whole: they may be scaled, and errors with them")
    array = xr.DataArray(
        data, dims=("energy",), coords={"energy": ("energy", energy, {"units": "keV"})},
        name="counts", attrs={"units": "counts"},
    )  # fmt: skip
    return Measurement(array, "edx", path.name, sha256(path), fields, tuple(notes))


def _emsa_lines(path: Path) -> tuple[dict[str, str], list[str], bool]:
    """Return the header's fields, the lines of data, and whether the end was there."""
    fields: dict[str, str] = {}
    body: list[str] = []
    for line in read_text(path).splitlines():
        match = re.match(r"#+\s*([A-Za-z][\w-]*)\s*(?:[^:]*):(.*)", line)
        if match:
            name = match[1].upper()
            if name == "ENDOFDATA":
                return fields, body, True
            value = match[2].strip()
            # the unit may stand between name and colon: "#XPERCHAN  -eV: 10"
            fields[name] = f"{fields[name]} {value}" if name in fields else value
        elif line.strip() and not line.startswith("#") and "SPECTRUM" in fields:
            body.append(line)
    return fields, body, False


def _field(fields: dict[str, str], name: str, path: Path, default: float | None = None) -> float:
    match = re.match(_NUMBER, fields.get(name, "").strip())
    if match is None:
        if default is not None:
            return default
        raise InputError("has no number there", file=path, place=f"#{name}")
    return float(match[0])


# ------------------------------------------------------------------------- images


def _cube(path: Path) -> Measurement:
    """Return the spectrum image of a microscope's file."""
    import xarray as xr

    from heterodot.measurement import Measurement

    module = ROSETTA[path.suffix.lower()]
    try:
        reader = importlib.import_module(f"rsciio.{module}")
    except ImportError as error:
        raise MissingExtraError(
            f"files of type {path.suffix} are read through RosettaSciIO", file=path,
            remedy="install heterodot[microscopy], or export .msa or tables",
        ) from error  # fmt: skip
    options = {"select_type": "spectrum_image"} if module in ("bruker", "emd") else {}
    try:
        signals = reader.file_reader(str(path), **options)
    except Exception as error:  # the readers raise many kinds on damaged files
        raise InputError(
            f"is not what its suffix says, or damaged ({error})", file=path, remedy="copy it again"
        ) from error
    notes = []
    for signal in signals:
        axes = sorted(signal["axes"], key=lambda a: a.get("index_in_array", 0))
        unit = str(axes[-1].get("units", "")).strip().lower()
        shape = np.shape(signal["data"])
        if len(shape) not in (1, 3) or unit not in KILO or math.prod(shape) > MAX_VOXELS:
            continue
        data = np.asarray(signal["data"], dtype=np.float32 if len(shape) == 3 else float)
        coords: dict[str, Any] = {}
        for name, axis, n in zip(("y", "x", "energy")[-len(shape) :], axes, shape, strict=True):
            here = str(axis.get("units", "")).strip().lower()
            factor = KILO[unit] if name == "energy" else _nanometers(here)
            if name != "energy" and factor is None:
                notes.append(f"the axis {name} has no length: pixels are counted as 1 nm")
            scale, offset = float(axis.get("scale", 1)), float(axis.get("offset", 0))
            values = (offset + scale * np.arange(n)) * (factor or 1.0)
            coords[name] = (name, values, {"units": "keV" if name == "energy" else "nm"})
        array = xr.DataArray(
            data, dims=tuple(coords), coords=coords, name="counts", attrs={"units": "counts"}
        )
        found = {"original": str(signal.get("metadata", {}))[:20000]}
        return Measurement(array, "edx", path.name, sha256(path), found, tuple(notes))
    raise InputError("holds no EDX spectrum or spectrum image", file=path)


def _nanometers(unit: str) -> float | None:
    from heterodot.formats.images import NANOMETERS

    return NANOMETERS.get(unit)


# ------------------------------------------------------------------------- tables

_SYMBOL = re.compile(r"^([A-Z][a-z]?)(?:[\s_\-(]*(K|L|M)[a-zA-Z0-9α-ω]*\)?)?$")
_KINDS = (
    ("atomic", re.compile(r"\bat(?:om|omic|oms)?\b|\bat\s*[.%]|at%", re.I)),
    ("mass", re.compile(r"\b(?:mass|weight|wt)\b|wt\s*[.%]|wt%", re.I)),
    ("counts", re.compile(r"\b(?:counts?|intensity|area)\b", re.I)),
)
_ERROR = re.compile(r"err|sigma|σ|uncert|±|\bsd\b|\bdev", re.I)
_RELATIVE = re.compile(r"fit|rel", re.I)


def _table(path: Path) -> Measurement:
    """Return a table of percent or counts, elements in rows or in columns."""
    rows, notes = _cells(path)
    for start, row in enumerate(rows):
        columns = {k: _element(cell) for k, cell in enumerate(row)}
        found = {k: e for k, e in columns.items() if e}
        if len(found) >= 2 and not any(_value(c) for c in row):
            return _wide(path, rows, start, found, notes)
        below = rows[start + 1 : start + 3]
        place = next(
            (
                k
                for k in range(len(row))
                if below and all(len(b) > k and _element(b[k]) for b in below)
            ),
            None,
        )
        if place is not None and not _element(row[place]):
            return _long(path, rows, start, place, notes)
    raise InputError(
        "has no elements in a column or in a heading", file=path,
        remedy="head it 'Element,Atomic %,Error' with one element a row, or one element a column",
    )  # fmt: skip


def _cells(path: Path) -> tuple[list[list[str]], list[str]]:
    text = read_text(path, limit=2**24)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise InputError("holds no table", file=path)
    many = max("\t;,", key=lambda s: sum(s in line for line in lines) + 0.5 * (s == "\t"))
    notes = []
    if many == ";" and re.search(r"\d,\d", text):
        lines = [re.sub(r"(?<=\d),(?=\d)", ".", line) for line in lines]
        notes.append("the decimal sign is a comma")
    return [[c.strip() for c in r] for r in csv.reader(lines, delimiter=many)], notes


def _element(cell: str) -> str | None:
    """Return the element that a cell names, with or without its line (``Pb L``, ``S (K)``)."""
    from ase.data import atomic_numbers

    word = re.sub(
        r"\s*[\[(]?\s*(?:at|wt|mass|atomic|weight)?\s*\.?\s*%\s*[\])]?$", "", cell
    ).strip()
    match = _SYMBOL.match(word)
    return match[1] if match and match[1] in atomic_numbers else None


def _value(cell: str) -> tuple[float, float | None] | None:
    """Return number and error of ``5.3``, ``5.3 %``, ``5.3 ± 0.4`` or ``5.3(4)``."""
    text = cell.strip().rstrip("%").strip()
    match = re.fullmatch(rf"({_NUMBER})(?:\s*(?:±|\+-|\+/-)\s*({_NUMBER}))?", text)
    if match:
        return float(match[1]), None if match[2] is None else float(match[2])
    match = re.fullmatch(r"([-+]?\d+(?:\.(\d*))?)\((\d+)\)", text)
    if match:
        return float(match[1]), int(match[3]) * 10.0 ** -len(match[2] or "")
    return None


def _kind(text: str) -> str | None:
    return next((name for name, pattern in _KINDS if pattern.search(text)), None)


def _long(
    path: Path, rows: list[list[str]], start: int, place: int, notes: list[str]
) -> Measurement:
    """Return a table with one element a row."""
    heading = rows[start]
    column: dict[str, int] = {}
    error: tuple[int, bool, str | None] | None = None
    for k, title in enumerate(heading):
        if k == place:
            continue
        if _ERROR.search(title):
            error = error or (k, bool(_RELATIVE.search(title)), _kind(title))
        elif _kind(title) and _kind(title) not in column:
            column[str(_kind(title))] = k
    if not column:
        rest = [k for k in range(len(heading)) if k != place and (error is None or k != error[0])]
        if not rest:
            raise InputError("has no column of numbers", file=path)
        column[""] = rest[0]
    elements: list[str] = []
    values: dict[str, list[float]] = {name: [] for name in column}
    errors: list[float] = []
    for number, row in enumerate(rows[start + 1 :], start=start + 2):
        symbol = row[place] if len(row) > place else ""
        if re.fullmatch(r"(?i)totals?|sum|", symbol):
            continue
        element = _element(symbol)
        if element is None:
            raise InputError(f"'{symbol}' is not an element", file=path, place=f"row {number}")
        if element in elements:
            raise InputError(f"{element} is there twice", file=path, place=f"row {number}")
        elements.append(element)
        for name, k in column.items():
            cell = row[k] if len(row) > k else ""
            got = _value(cell)
            if got is None:
                raise InputError(
                    f"'{cell}' is not a number", file=path, place=f"row {number}, {element}",
                    remedy="the file may be cut off" if len(row) < len(heading) else None,
                )  # fmt: skip
            values[name].append(got[0])
            if name == next(iter(column)) and got[1] is not None:
                errors.append(got[1])
        if error is not None:
            got = _value(row[error[0]]) if len(row) > error[0] else None
            if got is None:
                raise InputError("has no error there", file=path, place=f"row {number}")
            errors.append(got[0])
    kinds = [n for n in ("atomic", "mass", "counts", "") if n in values]
    first = kinds[0]
    data = np.array([values[first]])
    sigma = None
    if len(errors) == len(elements):
        relative = error is not None and error[1]
        sigma = np.array([errors]) * (data / 100 if relative else 1.0)
        if error is not None:
            notes.append(
                f"errors ('{heading[error[0]]}') were taken as "
                f"{'percent of the value' if relative else 'one standard error in its unit'}"
            )
    extra: dict[str, Any] = {n: np.array([values[n]]) for n in kinds[1:] if n in ("mass",)}
    return _made(path, elements, [path.stem], data, first, sigma, extra, notes)


def _wide(
    path: Path, rows: list[list[str]], start: int, found: dict[int, str], notes: list[str]
) -> Measurement:
    """Return a table with one element a column and one region a row."""
    elements = list(found.values())
    twice = {e for e in elements if elements.count(e) > 1}
    if twice:
        raise InputError(f"{min(twice)} heads two columns", file=path)
    above = " ".join(c for row in rows[: start + 1] for c in row)
    label = next((k for k in range(len(rows[start])) if k not in found), None)
    names: list[str] = []
    data: list[list[float]] = []
    sigma: list[list[float]] = []
    for number, row in enumerate(rows[start + 1 :], start=start + 2):
        cells = [_value(row[k]) if len(row) > k else None for k in found]
        if all(c is None for c in cells):
            continue
        for k, cell in zip(found, cells, strict=True):
            if cell is None:
                raise InputError(
                    f"'{row[k] if len(row) > k else ''}' is not a number", file=path,
                    place=f"row {number}, {found[k]}",
                    remedy="the file may be cut off" if len(row) <= k else None,
                )  # fmt: skip
        named = row[label] if label is not None and len(row) > label else ""
        names.append(named or f"region {len(names) + 1}")
        data.append([c[0] for c in cells if c])
        sigma.append([c[1] if c and c[1] is not None else math.nan for c in cells])
    if not data:
        raise InputError("has no row of numbers", file=path)
    errors = np.array(sigma)
    kept = errors if np.isfinite(errors).all() else None
    return _made(path, elements, names, np.array(data), _kind(above) or "", kept, {}, notes)


def _made(
    path: Path,
    elements: list[str],
    regions: list[str],
    data: Any,
    kind: str,
    sigma: Any,
    extra: dict[str, Any],
    notes: list[str],
) -> Measurement:
    import xarray as xr

    from heterodot.measurement import Measurement

    if (np.asarray(data) < 0).any():
        region, element = np.argwhere(np.asarray(data) < 0)[0]
        raise InputError(
            f"{elements[element]} is negative", file=path, place=regions[region],
            remedy="a net count below zero means none found: write 0",
        )  # fmt: skip
    coords: dict[str, Any] = {
        "region": ("region", regions, {"units": ""}),
        "element": ("element", elements, {"units": ""}),
    }
    if sigma is not None:
        coords["error"] = (("region", "element"), sigma)
    for name, values in extra.items():
        coords[f"{name}_percent"] = (("region", "element"), values)
    if kind == "":
        notes.append("the file does not say whether percent are of atoms or of mass")
    array = xr.DataArray(
        data, dims=("region", "element"), coords=coords, name="composition",
        attrs={"units": "counts" if kind == "counts" else "percent", "percent_of": kind},
    )  # fmt: skip
    return Measurement(array, "edx", path.name, sha256(path), {}, tuple(notes))
