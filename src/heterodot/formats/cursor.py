"""A reader's place in a binary file: every read is checked against the bytes that are there."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.files import readable


class Cursor:
    """Bytes of a file with a position.

    Parameters
    ----------
    data : bytes
    path : str or Path
        Named in errors.

    Examples
    --------
    >>> cursor = Cursor(b"\\x02\\x00ab", "a.bin")
    >>> cursor.unpack("<H"), cursor.take(2)
    ((2,), b'ab')
    """

    def __init__(self, data: bytes, path: str | Path) -> None:
        self.data, self.path, self.at = data, path, 0

    @classmethod
    def open(cls, path: str | Path, limit: int = 2**32) -> Cursor:
        """Return a cursor at the start of a file."""
        return cls(readable(path, limit=limit).read_bytes(), path)

    def seek(self, at: int) -> Cursor:
        """Go to a byte that the file's own header names."""
        if not 0 <= at <= len(self.data):
            raise InputError(
                f"its header points to byte {at} of {len(self.data)}",
                file=self.path,
                remedy="the file is cut off or damaged; copy it again from the instrument",
            )
        self.at = at
        return self

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes."""
        if size < 0 or self.at + size > len(self.data):
            raise InputError(
                f"ends at byte {len(self.data)}, where {size} bytes more from byte {self.at} are "
                "announced",
                file=self.path,
                remedy="the file is cut off or damaged; copy it again from the instrument",
            )
        part = self.data[self.at : self.at + size]
        self.at += size
        return part

    def unpack(self, layout: str) -> tuple[Any, ...]:
        """Return the next values of a `struct` layout."""
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def array(self, kind: str, count: int) -> NDArray[Any]:
        """Return the next ``count`` numbers of a numpy type; the size is checked first."""
        width = np.dtype(kind).itemsize
        return np.frombuffer(self.take(int(count) * width), dtype=kind)

    def text(self, size: int) -> str:
        """Return ``size`` bytes as text up to the first zero byte."""
        return self.take(size).split(b"\x00", 1)[0].decode("latin-1").strip()
