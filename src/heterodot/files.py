"""Whole files or none: writing beside and renaming, hashing, refusing odd paths."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from heterodot.errors import InputError, OutputError


def _refusal(path: Path, error: OSError) -> OutputError:
    remedies = {
        errno.ENOSPC: "free some space or give another output folder, then run again",
        errno.EDQUOT: "free some of your quota or give another output folder, then run again",
        errno.EACCES: "give a folder you may write to",
        errno.EPERM: "give a folder you may write to",
        errno.EROFS: "give a folder you may write to",
        errno.EISDIR: "give the name of a file, not of a folder",
        errno.EEXIST: "a part of the path is a file; give another path",
        errno.ENOTDIR: "a part of the path is a file; give another path",
    }
    return OutputError(
        f"cannot be written ({error.strerror or error})",
        file=path,
        remedy=remedies.get(error.errno or 0, "check the path and try again"),
    )


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; rename it onto ``path`` if the block succeeds.

    Parameters
    ----------
    path : str or Path
        Where the finished file goes. Its folder is made if it is not there.

    Yields
    ------
    Path
        A temporary path in the same folder, to be written by the caller.

    Raises
    ------
    OutputError
        The folder cannot be made or written, or the disk is full. Nothing half-written is left.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(f"{folder}/a.txt") as beside:
    ...         _ = beside.write_text("whole")
    ...     Path(folder, "a.txt").read_text()
    'whole'
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "Is a directory")
        handle, name = tempfile.mkstemp(
            prefix=f".{target.name}.", suffix=f".part{target.suffix}", dir=target.parent
        )
        os.close(handle)
    except OSError as error:
        raise _refusal(target, error) from error
    beside = Path(name)
    try:
        yield beside
        with open(beside, "rb") as stream:
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(beside, 0o666 & ~umask)
        os.replace(beside, target)
    except OSError as error:
        raise _refusal(target, error) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> Path:
    """Write ``text`` as UTF-8 so that ``path`` is either the old file or the whole new one."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")
    return Path(path)


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Write ``data`` so that ``path`` is either the old file or the whole new one."""
    with replacing(path) as beside:
        beside.write_bytes(data)
    return Path(path)


def readable(path: str | Path, *, limit: int = 2**31) -> Path:
    """Return ``path`` as a Path if it is an ordinary, non-empty file that can be read.

    Raises
    ------
    InputError
        Missing, a folder, empty, larger than ``limit`` bytes, or not permitted.
    """
    target = Path(path)
    try:
        if target.is_dir():
            raise InputError("is a folder", file=target, remedy="give the file inside it")
        if not target.exists():
            raise InputError("does not exist", file=target, remedy="check the name and folder")
        if not target.is_file():
            raise InputError("is not an ordinary file", file=target, remedy="give a file")
        size = target.stat().st_size
        with open(target, "rb"):
            pass
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror or error})", file=target, remedy="check permissions"
        ) from error
    if size == 0:
        raise InputError("is empty", file=target, remedy="export or download it again")
    if size > limit:
        raise InputError(
            f"has {size / 1e6:.0f} MB, more than the {limit / 1e6:.0f} MB allowed here",
            file=target,
            remedy="check that it is the right file",
        )
    return target


def read_text(path: str | Path, *, limit: int = 2**28) -> str:
    """Return the text of ``path`` (UTF-8, else Latin-1), or refuse it in one sentence."""
    data = readable(path, limit=limit).read_bytes()
    if b"\x00" in data[:4096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError("is binary, not text", file=path, remedy="give a text file")
    for encoding in (
        ("utf-8-sig", "utf-16") if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig",)
    ):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes as hexadecimal text."""
    digest = hashlib.sha256()
    with open(readable(path, limit=2**40), "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
