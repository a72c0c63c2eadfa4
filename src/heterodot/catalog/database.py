"""The catalog's SQLite database: compiled from the text once, then only read."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from importlib import resources
from pathlib import Path
from typing import Any

from heterodot.catalog import compile as compiling
from heterodot.errors import HeterodotError, InputError
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


# Folders of a user's own records that overlay the built-in ones, innermost last.
_overlays: ContextVar[tuple[str, ...]] = ContextVar("heterodot_catalog_overlays", default=())


@contextlib.contextmanager
def overlay(folder: str | Path) -> Iterator[None]:
    """Let a project's own phases, values and results overlay the built-in ones.

    Parameters
    ----------
    folder : str or Path
        With YAML files under ``phases/``, ``properties/``, ``curves/`` or ``literature/``, in the
        format of the built-in ones. ``HETERODOT_CATALOG`` names such a folder for a whole process.

    Raises
    ------
    InputError
        No such folder, a record that is refused, or a name that the catalog has already (both
        sources are shown).
    """
    path = Path(folder)
    if not path.is_dir():
        raise InputError("is not a folder", file=path, remedy="give the project's catalog folder")
    token = _overlays.set((*_overlays.get(), str(path.resolve())))
    try:
        connection()  # refuse a bad overlay here and not at the first query
        yield
    finally:
        _overlays.reset(token)


def connection() -> sqlite3.Connection:
    """Return the open, read-only database of the built-in text and the overlays."""
    folders = _folders()
    # one connection a process: SQLite's must not be carried across a fork
    if not folders:
        return _built_in(os.getpid())
    return _overlaid(folders, _states(folders), os.getpid())


def state() -> str:
    """Return a hash of all text that queries are answered from, for keys of kept results."""
    import hashlib

    states = (compiling.digest(data_folder()), *_states(_folders()))
    return hashlib.sha256(" ".join(states).encode()).hexdigest()


def _folders() -> tuple[str, ...]:
    folders = _overlays.get()
    named = os.environ.get("HETERODOT_CATALOG")
    if named and Path(named).is_dir():
        folders = (str(Path(named).resolve()), *folders)
    return folders


def _states(folders: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(compiling.digest(Path(folder)) for folder in folders)


@functools.lru_cache(maxsize=4)
def _overlaid(folders: tuple[str, ...], states: tuple[str, ...], pid: int) -> sqlite3.Connection:
    from heterodot.catalog.project import add_records

    memory = sqlite3.connect(":memory:", check_same_thread=False)
    _built_in(pid).backup(memory)
    for folder in folders:
        add_records(memory, Path(folder))
    memory.commit()
    return memory


@functools.lru_cache(maxsize=2)
def _built_in(pid: int) -> sqlite3.Connection:
    """Open the database of the built-in text.

    It is found beside the text or in the cache under the hash of the text. Where it is not there
    it is compiled; where the cache cannot be written it is kept in memory.
    """
    source = data_folder()
    found = compiling.digest(source)
    target = cache_folder() / f"catalog-{found[:24]}.sqlite"
    for path in (source / "catalog.sqlite", target):
        opened = _open(path, found)
        if opened is not None:
            return opened
    try:
        with replacing(target) as beside:
            building = sqlite3.connect(beside)
            compiling.fill(building, source, found)
            building.close()
        opened = _open(target, found)
        if opened is not None:
            return opened
    except (OSError, HeterodotError, sqlite3.Error, RuntimeError):
        pass  # no home, no space, no permission: the catalog works from memory all the same
    memory = sqlite3.connect(":memory:", check_same_thread=False)
    compiling.fill(memory, source, found)
    return memory


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


def records(query: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """Return the records (column ``record``) that an SQL query finds."""
    return [json.loads(row[0]) for row in connection().execute(query, tuple(values))]


def rows(query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Return the rows that an SQL query finds."""
    return list(connection().execute(query, tuple(values)))
