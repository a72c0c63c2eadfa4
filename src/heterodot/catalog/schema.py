"""What a record has to have: read from YAML text, refused by id and key where it does not."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from heterodot.catalog.check.findings import plain_unit
from heterodot.catalog.compile import load_yaml
from heterodot.errors import InputError
from heterodot.files import read_text
from heterodot.units import registry

# Lists of records that a file may have under these keys; a bare list or one record is fine too.
LISTS = (
    "records",
    "phases",
    "properties",
    "curves",
    "systems",
    "results",
    "measurements",
    "recipes",
    "equations",
    "claims",
    "inconsistencies",
    "facts",
)
# Entries of a file, references counted as often as they stand: all five documents have 30,000.
_MOST_NODES = 300_000
_NUMBERS = ("value", "uncertainty", "error", "temperature")


def read_records(path: str | Path) -> list[dict[str, Any]]:
    """Return the records of a YAML file.

    Each has an ``id`` (given by its place where the file gives none) and has passed `validate`.

    Raises
    ------
    InputError
        The file is no YAML, has no records, or a record is refused by `validate`.
    """
    import yaml

    text = read_text(path, limit=2**26)
    try:
        content = load_yaml(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}" if mark is not None else None
        raise InputError(
            f"is not YAML ({getattr(error, 'problem', None) or error})",
            file=path,
            place=place,
            remedy="correct the line",
        ) from error
    _bounded(content, path)
    try:
        records = list(_records(content))
    except InputError as error:
        raise error.at(file=path) from error
    if not records:
        raise InputError(
            "has no records",
            file=path,
            remedy="give a list of mappings, each with an id, or lists under 'results', 'recipes'...",
        )
    shared = _document_source(content)
    seen: dict[str, int] = {}
    for number, record in enumerate(records, 1):
        identity = str(record.get("id") or f"record {number}")
        record.setdefault("id", identity)
        if identity in seen:
            raise InputError(
                f"has two records called {identity} (numbers {seen[identity]} and {number})",
                file=path,
                remedy="give each its own id",
            )
        seen[identity] = number
        try:
            validate(record, shared_source=shared)
        except InputError as error:
            raise error.at(file=path) from error
    return records


def _bounded(content: Any, path: str | Path) -> None:
    """Refuse text whose references unfold into more than a checker should walk through."""
    left = _MOST_NODES
    stack: list[tuple[Any, int]] = [(content, 0)]
    while stack:
        node, depth = stack.pop()
        left -= 1
        if left < 0 or depth > 60:
            raise InputError(
                f"has more than {_MOST_NODES} entries, or nests too deep",
                file=path,
                remedy="split it, and write out what refers to itself",
            )
        if isinstance(node, dict):
            stack.extend((value, depth + 1) for value in node.values())
        elif isinstance(node, list):
            stack.extend((item, depth + 1) for item in node)


def _records(content: Any) -> Iterator[dict[str, Any]]:
    if isinstance(content, list):
        for item in content:
            if not isinstance(item, dict):
                raise InputError(
                    f"{item!r:.60} is not a record", remedy="give a list of mappings with an id"
                )
            yield item
    elif isinstance(content, dict):
        lists = [key for key in LISTS if isinstance(content.get(key), list)]
        # a single record may itself have facts or results as parts
        if "id" in content and not any(_of_records(content[key]) for key in lists):
            yield content
            return
        for key in lists:
            if _of_records(content[key]):
                yield from _records(content[key])
        if not lists and content and "id" not in content:
            yield content


def _of_records(items: list[Any]) -> bool:
    return bool(items) and all(isinstance(item, dict) for item in items) and "id" in items[0]


def _document_source(content: Any) -> bool:
    """Return whether the file as a whole names its source."""
    if not isinstance(content, dict):
        return False
    document = content.get("document", content)
    return isinstance(document, dict) and bool(document.get("citation") or document.get("source"))


def validate(record: Mapping[str, Any], *, shared_source: bool = False) -> None:
    """Refuse a record that has a number as text, an unknown unit or no source.

    Parameters
    ----------
    record : mapping
    shared_source : bool
        The file names one source for all its records.

    Raises
    ------
    InputError
        With the record's id and the key.
    """
    identity = str(record.get("id", "record"))
    if "quantity" in record and "value" in record:
        _need_source(record, identity, shared_source)
        if "phase" in record:
            _need(record, identity, ("id", "phase", "quantity", "value"))
    if "space_group" in record:
        # a phase whose cell is not known says so in its note
        _need(record, identity, ("id", "cell") if "note" not in record else ("id",))
        _need_source(record, identity, shared_source)
    _walk(record, identity, "")


def _need(record: Mapping[str, Any], identity: str, keys: tuple[str, ...]) -> None:
    for key in keys:
        if record.get(key) in (None, ""):
            raise InputError(f"record {identity} has no '{key}'", place=key, remedy="add it")


def _need_source(record: Mapping[str, Any], identity: str, shared: bool) -> None:
    source = record.get("source")
    named = (isinstance(source, str) and source.strip()) or (
        isinstance(source, Mapping) and (source.get("citation") or source.get("location"))
    )
    if named or shared or record.get("place") or record.get("document"):
        return
    raise InputError(
        f"record {identity} has no source",
        place="source",
        remedy="add source: {citation: ..., doi: ...}; a laboratory notebook and page will do",
    )


def _walk(content: Any, identity: str, key: str) -> None:
    if isinstance(content, Mapping):
        for name, value in content.items():
            inner = f"{key}.{name}" if key else str(name)
            if name in _NUMBERS:
                _number(content, str(name), value, identity, inner)
            if name in ("unit", "units") and not isinstance(content.get("value"), str):
                _unit(value, identity, inner)
            _walk(value, identity, inner)
    elif isinstance(content, list):
        for k, item in enumerate(content):
            _walk(item, identity, f"{key}[{k}]")


def _number(node: Mapping[str, Any], name: str, value: Any, identity: str, key: str) -> None:
    values = value if isinstance(value, list) else [value]
    for item in values:
        if isinstance(item, str):
            if name == "temperature" or not _looks_like_number(item):
                continue
            raise InputError(
                f"record {identity}: the number '{item}' is written as text",
                place=key,
                remedy="take the quotation marks away",
            )
        if isinstance(item, float) and not math.isfinite(item):
            raise InputError(f"record {identity}: {item} is not a finite number", place=key)


def _looks_like_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# What documents write where there is no unit of measurement.
_COUNTS = frozenset(
    {"particles", "lines", "counts", "mesh", "atoms", "formula", "card", "mixed", "time", "x"}
    | {
        "pixels",
        "samples",
        "%RH",
        ": 1",
        "mol",
        "C",
        "T",
        "rpm",
        "weeks",
        "days",
        "h",
        "min",
        "mol ratio",
        "atom ratio",
        "text",
    }
)


def _unit(unit: Any, identity: str, key: str) -> None:
    units = unit if isinstance(unit, list) else [unit]
    for item in units:
        # "V vs RHE", "nm (fit)": the words after the unit say what it refers to
        words = re.sub(r"\s*(\(.*\)|\bvs\b.*)$", "", str(item or "")).strip()
        parts = [part for part in re.split(r",\s+", words) if part]
        if all(
            any(p in _COUNTS or _known(plain_unit(p)) for p in (part, part.split()[0]))
            for part in parts
        ):
            continue
        raise InputError(
            f"record {identity}: '{item}' is not a known unit",
            place=key,
            remedy="write it as in 'nm', 'cm**2/V/s' or 'percent'",
        )


def _known(unit: str) -> bool:
    try:
        registry().Unit(unit)
    except Exception:  # pint raises many kinds on malformed text
        return False
    return True
