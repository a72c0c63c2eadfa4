"""Edinburgh Instruments .FS spectra: the text that F980 and Fluoracle export under that suffix.

The binary .FS container is not published and no open description of it is known, so that it is
refused with the way to export it rather than guessed at.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from heterodot.errors import InputError

if TYPE_CHECKING:
    from heterodot.measurement import Measurement


def read(path: Path, kind: str | None = None) -> Measurement:
    """Return an Edinburgh Instruments spectrum that was saved as text.

    Raises
    ------
    InputError
        The binary container, or text without columns.
    """
    from heterodot.formats import columns

    with open(path, "rb") as opened:
        head = opened.read(4096)
    if b"\x00" in head or head.startswith(b"EAI"):
        raise InputError(
            "is a binary Edinburgh Instruments file, whose layout is not published",
            file=path,
            remedy="in F980 or Fluoracle choose File > Export > ASCII and give that file",
        )
    return columns.read(path, kind)
