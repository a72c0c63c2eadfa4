"""Sizes as people write them: ``"3.4 nm"``, ``"5 cells"``, ``"20 x 20 x 3 nm"``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from heterodot.errors import InputError
from heterodot.units import parse

Size = str | float | int | Sequence[float | str]


def lengths(size: Size, cell: float, *, place: str = "size") -> tuple[float, ...]:
    """Return the lengths that a size states, Å.

    Parameters
    ----------
    size : str, number, or sequence of them
        ``"3.4 nm"``, ``34.0`` (Å), ``"5 cells"``, ``"2 nm x 13 nm"``, ``"4 x 4 x 6 cells"``.
    cell : float
        Length of one cell, Å, for sizes in cells.

    Raises
    ------
    InputError
        Not a length, not positive, or not finite.

    Examples
    --------
    >>> lengths("3.4 nm", 5.6), lengths("5 cells", 6.0), lengths("4 x 6 nm", 5.6)
    ((34.0,), (30.0,), (40.0, 60.0))
    """
    if isinstance(size, str):
        parts = re.split(r"\s*[x×]\s*", size.strip())
        unit = re.search(r"[A-Za-zÅµμ]+\s*$", parts[-1])
        tail = unit.group().strip() if unit else ""
        texts: list[str | float] = [
            part if re.search(r"[A-Za-zÅ]", part) or not tail else f"{part} {tail}"
            for part in parts
        ]
    elif isinstance(size, int | float):
        texts = [size]
    else:
        texts = list(size)
    found = tuple(_one(text, cell, place) for text in texts)
    for text, value in zip(texts, found, strict=True):
        if value <= 0:
            raise InputError(
                f"'{text}' is not a size", place=place, remedy="give a length such as '3.4 nm'"
            )
    if not found:
        raise InputError("no size was given", place=place, remedy="give one such as '3.4 nm'")
    return found


def _one(text: str | float, cell: float, place: str) -> float:
    if isinstance(text, str):
        counted = re.fullmatch(r"\s*([-+]?\d+(?:\.\d+)?)\s*(?:cells?|uc|unit cells?)\s*", text)
        if counted:
            return float(counted[1]) * cell
    return parse(text, "angstrom", place=place)
