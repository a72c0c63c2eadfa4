"""Crystal phases by name."""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any

from heterodot.crystal import Crystal
from heterodot.errors import InputError, nearest


@functools.cache
def _records() -> dict[str, dict[str, Any]]:
    import yaml

    found: dict[str, dict[str, Any]] = {}
    folder = resources.files("heterodot.catalog").joinpath("data/phases")
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        for record in yaml.safe_load(file.read_text(encoding="utf-8")):
            found[record["id"]] = record
    return found


def phase_names() -> list[str]:
    """Return the ids of all phases."""
    return list(_records())


def crystal(name: str) -> Crystal:
    """Return the crystal of a phase id (``CsPbCl3_cubic``) or formula (its default polymorph).

    Raises
    ------
    InputError
        Unknown name (the nearest known ones are suggested).

    Examples
    --------
    >>> crystal("CsPbCl3").name
    'CsPbCl3_cubic'
    """
    records = _records()
    defaults = {r["default_for"]: r for r in records.values() if r.get("default_for")}
    record = records.get(name) or defaults.get(name)
    if record is None:
        close = nearest(name, [*records, *defaults])
        raise InputError(
            f"'{name}' is not a phase of the catalog",
            remedy=f"did you mean {' or '.join(close)}?" if close else "see 'heterodot phases'",
        )
    return Crystal.from_sites(
        record["id"],
        record["space_group"],
        record["cell"],
        record["sites"],
        charges=record["charges"],
        source=record["source"],
        method=record["method"],
    )
