"""Our own NetCDF files."""

from __future__ import annotations

from pathlib import Path

from heterodot.measurement import Measurement


def read(path: Path, kind: str | None = None) -> Measurement:
    """Return the measurement in a NetCDF file that `Measurement.write` made."""
    return Measurement.read(path)
