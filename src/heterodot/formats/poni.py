"""Detector geometry in a .poni file (pyFAI): distance, point of normal incidence, rotations."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from heterodot.errors import InputError
from heterodot.files import read_text

_NUMBERS = {
    "distance": "Distance", "poni1": "Poni1", "poni2": "Poni2", "rot1": "Rot1", "rot2": "Rot2",
    "rot3": "Rot3", "wavelength": "Wavelength", "pixel1": "PixelSize1", "pixel2": "PixelSize2",
}  # fmt: skip


def read_poni(path: str | Path) -> dict[str, Any]:
    """Return what a .poni file says, in mm, µm, Å and radians.

    Returns
    -------
    dict
        ``distance`` (mm), ``foot`` (µm along rows and columns), ``rotations`` (three, radians),
        ``wavelength`` (Å or None), ``pixel`` (µm along rows and columns, or None), ``shape``
        (pixels, or None) and ``detector``. Where a calibration was refined several times the last
        one counts.

    Raises
    ------
    InputError
        Not a .poni file, a number missing or not a number.
    """
    text = read_text(path, limit=2**22)
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = re.fullmatch(r"\s*([A-Za-z_]\w*)\s*:\s*(.*?)\s*", line)
        if match and not line.lstrip().startswith("#"):
            found[match[1].lower()] = match[2]
    numbers: dict[str, float | None] = {}
    for key, shown in _NUMBERS.items():
        numbers[key] = _number(found.get(shown.lower()), shown, path)
    missing = [_NUMBERS[k] for k in ("distance", "poni1", "poni2") if numbers[k] is None]
    if missing:
        raise InputError(
            f"has no {missing[0]}", file=path, remedy="give a .poni file, as pyFAI-calib2 writes it"
        )
    config = _config(found.get("detector_config", ""), path)
    name = found.get("detector", "") or str(config.get("detector", ""))
    pixel, shape = _detector(name, config, numbers)
    return {
        "distance": 1e3 * (numbers["distance"] or 0.0),
        "foot": (1e6 * (numbers["poni1"] or 0.0), 1e6 * (numbers["poni2"] or 0.0)),
        "rotations": tuple(float(numbers[k] or 0.0) for k in ("rot1", "rot2", "rot3")),
        "wavelength": None if numbers["wavelength"] is None else 1e10 * numbers["wavelength"],
        "pixel": pixel,
        "shape": shape,
        "detector": name,
    }


def _number(text: str | None, name: str, path: str | Path) -> float | None:
    if text is None or text.lower() in ("", "none", "null"):
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"'{text[:40]}' is no number", file=path, place=name)
    return value


def _config(text: str, path: str | Path) -> dict[str, Any]:
    if not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(
            f"is not JSON ({error})", file=path, place="Detector_config", remedy="write it anew"
        ) from None
    return found if isinstance(found, dict) else {}


def _detector(
    name: str, config: dict[str, Any], numbers: dict[str, float | None]
) -> tuple[tuple[float, float] | None, tuple[int, int] | None]:
    """Return the pixels' size (µm) and number, from the file or from pyFAI's list of detectors."""
    stated = [config.get("pixel1", numbers["pixel1"]), config.get("pixel2", numbers["pixel2"])]
    shape = config.get("max_shape")
    whole = None
    if isinstance(shape, list) and len(shape) == 2 and all(isinstance(n, int) for n in shape):
        whole = (int(shape[0]), int(shape[1]))
    if all(isinstance(x, int | float) and x > 0 for x in stated):
        return (1e6 * float(stated[0] or 0), 1e6 * float(stated[1] or 0)), whole
    if not name or name.lower() == "detector":
        return None, whole
    try:
        from pyFAI.detectors import ALL_DETECTORS
    except ImportError:
        return None, whole
    made = ALL_DETECTORS.get(name.lower())
    if made is None:
        return None, whole
    detector = made()
    if detector.pixel1 is None or detector.pixel2 is None:
        return None, whole
    return (
        (1e6 * float(detector.pixel1), 1e6 * float(detector.pixel2)),
        whole or (tuple(int(n) for n in detector.max_shape) if detector.max_shape else None),  # type: ignore[return-value]
    )
