"""Bruker .brml (a zip of XML files): the first measured 2theta scan."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.files import readable
from heterodot.formats.diffraction import children, first_text, local, number, pattern, xml_root

if TYPE_CHECKING:
    from heterodot.measurement import Measurement

Floats = NDArray[np.float64]

_LARGEST = 2**28  # bytes that one member may unpack to


def read(path: Path, kind: str | None = None) -> Measurement:
    """Return the 2theta scan of a .brml file.

    Raises
    ------
    InputError
        Not a zip, cut off, no raw data, several scans, no 2theta axis.
    """
    readable(path, limit=2**30)
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist()}
            raw = sorted(n for n in members if re.search(r"(^|/)RawData\d*\.xml$", n))
            if not raw:
                raise InputError(
                    "holds no RawData", file=path, remedy="give a .brml file of a measurement"
                )
            documents = [_unpack(archive, members[name], path) for name in raw]
            rest = [
                _unpack(archive, members[n], path)
                for n in sorted(members)
                if n.endswith(("MeasurementContainer.xml", "InstructionContainer.xml"))
            ]
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        raise InputError(
            f"is not a whole .brml file ({error})",
            file=path,
            remedy="copy it again; it is a zip archive that may be cut off",
        ) from None
    notes: list[str] = []
    roots = [xml_root(data, path) for data in documents]
    routes = [r for root in roots for r in children(root, "DataRoute") if children(r, "Datum")]
    if not routes:
        raise InputError("has no measured points", file=path, remedy="give a finished measurement")
    if len(routes) > 1:
        notes.append(f"the file has {len(routes)} scans; the first was taken")
    x, y, seconds = _route(routes[0], path, notes)
    extra = [xml_root(data, path) for data in rest]
    metadata: dict[str, Any] = {}
    wavelength = None
    for root in [*roots, *extra]:
        for name in ("WaveLengthAlpha1", "WaveLengthAverage"):
            for element in children(root, name):
                wavelength = wavelength or number(element.attrib.get("Value") or element.text)
        for element in children(root, "TubeMaterial"):
            metadata.setdefault("anode", element.attrib.get("Value") or (element.text or ""))
    if seconds is not None:
        metadata["counting_time"] = seconds
    metadata["scan"] = first_text(routes[0], "ScanName") or ""
    return pattern(path, x, y, wavelength=wavelength, metadata=metadata, notes=notes)


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> bytes:
    if info.file_size > _LARGEST:
        raise InputError(
            f"{info.filename} would unpack to {info.file_size / 1e6:.0f} MB",
            file=path,
            remedy="check that it is a powder measurement",
        )
    with archive.open(info) as stream:
        return stream.read(_LARGEST)


def _route(route: Any, path: Path, notes: list[str]) -> tuple[Floats, Floats, float | None]:
    """Return 2theta, counts and seconds a step of one DataRoute."""
    rows = []
    for datum in children(route, "Datum"):
        try:
            rows.append([float(x) for x in str(datum.text or "").split(",")])
        except ValueError:
            raise InputError(
                "holds a point that is not numbers", file=path, place=f"point {len(rows) + 1}"
            ) from None
    widths = {len(row) for row in rows}
    if len(widths) != 1:
        raise InputError("its points differ in length", file=path, remedy="export it again")
    table = np.array(rows)
    axis = _axis(route)
    if axis is None:
        raise InputError(
            "does not scan 2theta", file=path, place="ScanAxes", remedy="give a theta-2theta scan"
        )
    start, stop, step = axis
    seconds = float(table[0, 0]) if table.shape[1] > 2 else None
    if len(table) == 1:  # one shot of a line detector
        begin = _recorded(route) or 2
        values = table[0, begin:]
        return np.asarray(start + step * np.arange(len(values)), dtype=float), values, seconds
    last = _recorded(route)
    value = last if last is not None and last < table.shape[1] else table.shape[1] - 1
    reach = 3 * abs(step) + 1e-6
    for k in range(table.shape[1] - 1):
        if k == value:
            continue
        if abs(table[0, k] - start) < reach and np.ptp(table[:, k]) > abs(stop - start) / 2:
            if abs(table[-1, k] - stop) > reach:
                notes.append(f"the scan ends at {table[-1, k]:g}, planned was {stop:g} degrees")
            return table[:, k], table[:, value], seconds
    notes.append("angles were computed from start and step of the scan")
    angles = np.asarray(start + step * np.arange(len(table)), dtype=float)
    return angles, table[:, value], seconds


def _axis(route: Any) -> tuple[float, float, float] | None:
    for info in children(route, "ScanAxisInfo"):
        if info.attrib.get("AxisId") == "TwoTheta" or info.attrib.get("AxisName") == "TwoTheta":
            found = [number(first_text(info, n)) for n in ("Start", "Stop", "Increment")]
            if found[0] is not None and found[1] is not None:
                return found[0], found[1], found[2] or 0.02
    return None


def _recorded(route: Any) -> int | None:
    for view in children(route, "RawDataView"):
        kind = next((v for k, v in view.attrib.items() if local(k) == "type"), "")
        if kind == "RecordedRawDataView":
            start = number(view.attrib.get("Start"))
            return None if start is None else int(start)
    return None
