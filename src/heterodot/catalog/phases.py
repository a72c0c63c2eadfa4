"""Crystal phases by name."""

from __future__ import annotations

import functools
from typing import Any

from heterodot.catalog import database
from heterodot.crystal import Crystal
from heterodot.errors import InputError, nearest


def phase_names() -> list[str]:
    """Return the ids of all phases."""
    return [row[0] for row in database.rows("SELECT id FROM phase ORDER BY rowid")]


def phase_record(name: str) -> dict[str, Any]:
    """Return the record of a phase id, or of the default polymorph of a formula.

    Raises
    ------
    InputError
        Unknown name (the nearest known ones are suggested).
    """
    found = database.records(
        "SELECT record FROM phase WHERE id = ? OR default_for = ? ORDER BY id = ? DESC",
        (name, name, name),
    )
    if not found:
        known = database.rows("SELECT id, default_for FROM phase")
        close = nearest(name, [text for row in known for text in row if text])
        raise InputError(
            f"'{name}' is not a phase of the catalog",
            remedy=f"did you mean {' or '.join(close)}?" if close else "see 'heterodot phases'",
        )
    return found[0]


def crystal(name: str) -> Crystal:
    """Return the crystal of a phase id (``CsPbCl3_cubic``) or formula (its default polymorph).

    Raises
    ------
    InputError
        Unknown name (the nearest known ones are suggested), or a phase whose sites are not known.

    Examples
    --------
    >>> crystal("CsPbCl3").name
    'CsPbCl3_cubic'
    """
    record = phase_record(name)
    return _crystal(record["id"], database.connection())


@functools.lru_cache(maxsize=64)
def _crystal(name: str, _connection: Any) -> Crystal:
    record = phase_record(name)
    if not record.get("sites"):
        raise InputError(
            f"the atomic sites of {record['id']} are not known, only its cell",
            remedy=record.get("note") or "give a CIF",
        )
    source = record["source"]
    text = source if isinstance(source, str) else source["citation"]
    return Crystal.from_sites(
        record["id"],
        record["space_group"],
        record["cell"],
        record["sites"],
        charges=record["charges"],
        source=text,
        method=record.get("method", ""),
        temperature=record.get("temperature"),
    )
