"""Stage results on disk, each under the hash of everything it depends on."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heterodot.documents import plain
from heterodot.errors import OutputError
from heterodot.files import sha256, write_text

DONE = "done.json"


def content_hash(content: Any) -> str:
    """Return the SHA-256 of plain data (keys sorted, floats by their shortest text).

    Examples
    --------
    >>> content_hash({"b": 1, "a": 2.5}) == content_hash({"a": 2.5, "b": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class StageResult:
    """What a stage left behind.

    Attributes
    ----------
    name : str
    key : str
        Hash of its inputs.
    folder : Path
        Where its files are.
    summary : mapping
        Plain data: numbers for tables, notes, warnings.
    files : tuple of str
        Names of its files in ``folder``.
    seconds : float
        Run time when it was computed.
    reused : bool
        Whether it was there already.
    """

    name: str
    key: str
    folder: Path
    summary: Mapping[str, Any]
    files: tuple[str, ...]
    seconds: float
    reused: bool

    def path(self, name: str) -> Path:
        """Return the path of one of its files."""
        return self.folder / name


class Store:
    """A folder of stage results; a result counts only when its ``done.json`` vouches for it.

    ``done.json`` is written last and lists every file with its hash, so that a run that was
    killed at any moment, or a file that was changed since, is never taken for a whole result.

    Parameters
    ----------
    root : Path
        The output folder of the study.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            (root / "stages").mkdir(parents=True, exist_ok=True)
            probe = root / "stages" / ".writable"
            probe.write_text("")
            probe.unlink()
        except OSError as error:
            raise OutputError(
                f"cannot be used for results ({error.strerror or error})",
                file=root,
                remedy="give another folder with --out",
            ) from error

    def folder(self, name: str, key: str) -> Path:
        """Return where the result of a stage with these inputs belongs."""
        return self.root / "stages" / f"{name}-{key[:12]}"

    def find(self, name: str, key: str) -> StageResult | None:
        """Return a stage's whole result if it is there, else None."""
        folder = self.folder(name, key)
        try:
            record = json.loads((folder / DONE).read_text(encoding="utf-8"))
            if record["key"] != key:
                return None
            for file, digest in record["files"].items():
                if sha256(folder / file) != digest:
                    return None
            return StageResult(
                name,
                key,
                folder,
                record["summary"],
                tuple(record["files"]),
                float(record["seconds"]),
                True,
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        except Exception as error:
            from heterodot.errors import InputError

            if isinstance(error, InputError):  # a listed file is missing or empty
                return None
            raise

    def make(self, name: str, key: str, work: Callable[[Path], Mapping[str, Any]]) -> StageResult:
        """Run ``work(folder)`` unless its result is there; return the result.

        ``work`` writes its files into the folder and returns a plain summary.
        """
        import time

        found = self.find(name, key)
        if found is not None:
            return found
        folder = self.folder(name, key)
        try:
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True)
        except OSError as error:
            raise OutputError(
                f"cannot be prepared ({error.strerror or error})", file=folder
            ) from error
        start = time.perf_counter()
        summary = json.loads(json.dumps(plain(work(folder))))
        seconds = time.perf_counter() - start
        files = {
            file.name: sha256(file)
            for file in sorted(folder.iterdir())
            if file.is_file() and not file.name.startswith(".")
        }
        record = {"name": name, "key": key, "seconds": seconds, "files": files, "summary": summary}
        write_text(folder / DONE, json.dumps(record, indent=1))
        return StageResult(name, key, folder, summary, tuple(files), seconds, False)
