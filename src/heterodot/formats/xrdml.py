"""PANalytical .xrdml (XML): 2theta scans with counts, wavelengths and counting time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.files import readable
from heterodot.formats.diffraction import (
    children,
    first_text,
    local,
    number,
    numbers,
    pattern,
    xml_root,
)

if TYPE_CHECKING:
    from heterodot.measurement import Measurement

Floats = NDArray[np.float64]


def read(path: Path, kind: str | None = None) -> Measurement:
    """Return the 2theta scan of an .xrdml file; repeated scans of one range are added up.

    Raises
    ------
    InputError
        Not XRDML, cut off, no 2theta scan, scans of different ranges.
    """
    readable(path, limit=2**28)
    root = xml_root(path.read_bytes(), path)
    if local(root.tag) != "xrdMeasurements":
        raise InputError(
            f"is XML of another kind (<{local(root.tag)}>)", file=path, remedy="give an XRDML file"
        )
    scans = [scan for scan in children(root, "scan") if children(scan, "dataPoints")]
    if not scans:
        raise InputError("has no scan", file=path, remedy="export the measurement again")
    notes: list[str] = []
    first = _scan(scans[0], path, notes)
    x, y = first
    for scan in scans[1:]:
        x2, y2 = _scan(scan, path, notes)
        if len(x2) != len(x) or not np.allclose(x, x2, atol=1e-6):
            raise InputError(
                f"has {len(scans)} scans of different ranges",
                file=path,
                place="scan",
                remedy="export the one you want to a file of its own",
            )
        y = y + y2
    if len(scans) > 1:
        notes.append(f"{len(scans)} scans of one range were added up")
        moved = _moving(scans)
        if moved:
            notes.append(
                f"the scans differ in {', '.join(moved)}: they are a map, and their sum is no "
                "powder pattern"
            )
    wavelengths = {name: number(first_text(root, name)) for name in ("kAlpha1", "kAlpha2", "kBeta")}
    ratio = number(first_text(root, "ratioKAlpha2KAlpha1"))
    seconds = number(first_text(root, "commonCountingTime"))
    metadata: dict[str, Any] = {
        **{k: v for k, v in wavelengths.items() if v is not None},
        "anode": first_text(root, "anodeMaterial") or "",
        "scan_axis": str(scans[0].attrib.get("scanAxis", "")),
        "status": str(scans[0].attrib.get("status", "")),
        "sample": first_text(root, "id") or "",
        "started": first_text(root, "startTimeStamp") or "",
    }
    if ratio is not None:
        metadata["ratio_kalpha2_kalpha1"] = ratio
    if seconds is not None:
        metadata["counting_time"] = seconds
    if metadata["status"].lower() == "aborted":
        notes.append("the scan was aborted; what was recorded is used")
    return pattern(path, x, y, wavelength=wavelengths["kAlpha1"], metadata=metadata, notes=notes)


def _moving(scans: list[Any]) -> list[str]:
    """Return the other axes that do not stand where they stood from one scan to the next."""
    seen: dict[str, set[str]] = {}
    for scan in scans:
        for positions in children(scan, "positions"):
            place = first_text(positions, "commonPosition") or first_text(
                positions, "startPosition"
            )
            if positions.attrib.get("axis") != "2Theta":
                seen.setdefault(str(positions.attrib.get("axis")), set()).add(str(place))
    return sorted(axis for axis, places in seen.items() if len(places) > 1)


def _scan(scan: Any, path: Path, notes: list[str]) -> tuple[Floats, Floats]:
    points = children(scan, "dataPoints")[0]
    values, name = None, ""
    for name in ("intensities", "counts"):
        found = children(points, name)
        if found:
            values = numbers(str(found[0].text or ""), path, name)
            break
    if values is None or len(values) == 0:
        raise InputError("has no intensities", file=path, place="dataPoints")
    if name == "counts":
        factors = children(points, "beamAttenuationFactors")
        if factors:
            factor = numbers(str(factors[0].text or ""), path, "beamAttenuationFactors")
            if len(factor) == len(values):
                values = values * factor
                notes.append("counts were multiplied by the file's attenuation factors")
    return _angles(points, len(values), path), values


def _angles(points: Any, n: int, path: Path) -> Floats:
    for positions in children(points, "positions"):
        if positions.attrib.get("axis") != "2Theta":
            continue
        unit = positions.attrib.get("unit", "deg")
        if unit != "deg":
            raise InputError(f"gives 2theta in '{unit}'", file=path, remedy="export in degrees")
        listed = first_text(positions, "listPositions")
        if listed:
            return numbers(listed, path, "listPositions")
        start = number(first_text(positions, "startPosition"))
        end = number(first_text(positions, "endPosition"))
        if start is not None and end is not None:
            return np.linspace(start, end, n)
    raise InputError(
        "does not scan 2theta", file=path, place="positions", remedy="give a theta-2theta scan"
    )
