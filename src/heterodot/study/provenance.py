"""Where a result comes from: versions, machine kind, seed, inputs and their hashes."""

from __future__ import annotations

import datetime
import functools
import platform
from importlib import metadata
from typing import Any

PACKAGES = ("heterodot", "numpy", "scipy", "ase", "spglib", "gemmi", "numba", "xarray", "pint")


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def machine() -> str:
    """Return the kind of machine (never its name)."""
    import os

    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def now() -> str:
    """Return the time as ISO text in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def record(**more: Any) -> dict[str, Any]:
    """Return the provenance of a run made now."""
    return {"time": now(), "versions": versions(), "machine": machine(), **more}
