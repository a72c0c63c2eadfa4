"""The catalog's SQLite database: compiled from the text once, then only read."""

from __future__ import annotations

import functools
import json
import os
import sqlite3
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from heterodot.catalog import compile as compiling
from heterodot.errors import HeterodotError
from heterodot.files import replacing


def data_folder() -> Path:
    """Return the folder of the built-in text."""
    return Path(str(resources.files("heterodot.catalog").joinpath("data")))


def cache_folder() -> Path:
    """Return where compiled databases are kept (``HETERODOT_CACHE`` overrides it)."""
    own = os.environ.get("HETERODOT_CACHE")
    if own:
        return Path(own)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "heterodot"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "heterodot"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "heterodot"


def connection(folder: str = "") -> sqlite3.Connection:
    """Return the open, read-only database of a catalog folder (default: the built-in one)."""
    # one connection a process: SQLite's must not be carried across a fork
    return _connection(folder, os.getpid())


@functools.lru_cache(maxsize=8)
def _connection(folder: str, pid: int) -> sqlite3.Connection:
    """Open the database of a catalog folder.

    The database is found in the cache under the hash of the text. Where it is not there it is
    compiled; where the cache cannot be written the database is kept in memory.
    """
    source = Path(folder) if folder else data_folder()
    found = compiling.digest(source)
    for path in (_shipped(source), cache_folder() / f"catalog-{found[:24]}.sqlite"):
        opened = _open(path, found)
        if opened is not None:
            return opened
    target = cache_folder() / f"catalog-{found[:24]}.sqlite"
    try:
        with replacing(target) as beside:
            building = sqlite3.connect(beside)
            compiling.fill(building, source, found)
            building.close()
    except (OSError, HeterodotError, sqlite3.Error, RuntimeError):
        # RuntimeError: no home folder; a fault in the text itself shows again just below
        memory = sqlite3.connect(":memory:", check_same_thread=False)
        compiling.fill(memory, source, found)
        return memory
    opened = _open(target, found)
    if opened is None:
        opened = sqlite3.connect(":memory:", check_same_thread=False)
        compiling.fill(opened, source, found)
    return opened


def _shipped(source: Path) -> Path:
    return source / "catalog.sqlite"


def _open(path: Path, found: str) -> sqlite3.Connection | None:
    """Return the database at ``path`` if it is one of ours, of this very text."""
    try:
        if not path.is_file():
            return None
        # immutable: no lock files, so a read-only or network folder serves as well
        opened = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
        )
        row = opened.execute("SELECT value FROM meta WHERE key = 'digest'").fetchone()
    except (OSError, sqlite3.Error, RuntimeError):
        return None
    if row is None or row[0] != found:
        opened.close()
        return None
    return opened


def records(query: str, values: Sequence[Any] = (), folder: str = "") -> list[dict[str, Any]]:
    """Return the records (column ``record``) that an SQL query finds."""
    return [json.loads(row[0]) for row in connection(folder).execute(query, tuple(values))]


def rows(query: str, values: Sequence[Any] = (), folder: str = "") -> list[tuple[Any, ...]]:
    """Return the rows that an SQL query finds."""
    return list(connection(folder).execute(query, tuple(values)))
