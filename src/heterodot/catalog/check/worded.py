"""Records that say in words what they measured: ``"XRD 2theta CdS (111), (200)"``, ``"tau1"``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from heterodot.catalog.check.diffraction import spacing_against_cell
from heterodot.catalog.check.findings import Finding, Node, Place, half_digit
from heterodot.catalog.phases import cells_for

_PLANE = re.compile(r"[({]\s*(-?\d)\s*,?\s*(-?\d)\s*,?\s*(-?\d)\s*[)}]")
_FORMULA = re.compile(r"\b([A-Z][A-Za-z0-9]*)\s*[({]\s*-?\d")


def worded_reflections(node: Node, place: Place) -> Iterator[Finding]:
    """Compare 2theta or spacing of reflections that the quantity's name lists with the cell."""
    name = node.get("quantity")
    if not isinstance(name, str) or "value" not in node:
        return
    text = f"{name} {node.get('conditions', '')}"
    angle = re.search(r"\b2\s*theta\b|2θ", name) is not None
    if not angle and not re.search(r"\bspacing\b|\bd\s+[A-Z({]", name):
        return
    planes = [[int(x) for x in match] for match in _PLANE.findall(text)]
    phase = _phase(text, node)
    values = node["value"] if isinstance(node["value"], list) else [node["value"]]
    if not planes or phase is None or any(isinstance(v, str | bool) for v in values):
        return
    if len(planes) == 1:
        planes = planes * len(values)
    if len(planes) != len(values):
        return
    unit = node.get("unit", node.get("units", "deg" if angle else "angstrom"))
    for plane, number in zip(planes, values, strict=True):
        content = {"value": number, "unit": unit, "bound": node.get("bound", "")}
        record = {"phase": phase, "plane": plane, "two_theta" if angle else "spacing": content}
        for found in spacing_against_cell(record, place):
            yield place.at("value").finding(
                found.rule, found.message, found.arithmetic, found.stated, found.computed
            )


def _phase(text: str, node: Node) -> str | None:
    """Return the phase named before the indices, else the only one of the record."""
    match = _FORMULA.search(text)
    if match is not None and cells_for(match[1]):
        return match[1]
    systems = node.get("systems")
    if isinstance(systems, list) and len(systems) == 1 and cells_for(str(systems[0])):
        return str(systems[0])
    return None


def together(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return records that several records of one sample make together.

    Lifetimes, amplitudes and their average listed one by one become one decay; atomic and mass
    percents of elements become one composition, shares of a whole are summed.
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for record in records:
        if isinstance(record.get("system"), str) and isinstance(record.get("value"), int | float):
            key = (record["system"], str(record.get("conditions", "")))
            groups.setdefault(key, []).append(record)
    found: list[dict[str, Any]] = []
    for members in groups.values():
        found += _decays(members)
        found += _composition(members)
        found += _fractions(members)
    return found


def _decays(members: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    lifetimes: dict[str, Any] = {}
    amplitudes: dict[str, Any] = {}
    average: Mapping[str, Any] | None = None
    for record in members:
        name = str(record.get("quantity", ""))
        content = {
            "value": record["value"],
            "unit": record.get("unit", record.get("units", "")),
        }
        if re.search(r"\btau_?ave|average lifetime|mean lifetime", name):
            average = record
        elif match := re.search(r"\btau_?(\d)\b", name):
            lifetimes[match[1]] = content
        elif match := re.search(r"\bA_?(\d)\b", name):
            amplitudes[match[1]] = content
    if average is None or len(lifetimes) < 2 or set(lifetimes) != set(amplitudes):
        return []
    return [
        {
            "id": average.get("id", "decay"),
            "components": [
                {"amplitude": amplitudes[k], "lifetime": lifetimes[k]} for k in sorted(lifetimes)
            ],
            "average": {
                "value": average["value"],
                "unit": average.get("unit", average.get("units", "")),
            },
        }
    ]


def _composition(members: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    columns: dict[str, dict[str, float]] = {"atomic": {}, "mass": {}}
    first = ""
    for record in members:
        match = re.search(
            r"\b(atomic|mass|weight)\s*(?:%|percent)\s*(?:of\s*)?([A-Z][a-z]?)$",
            str(record.get("quantity", "")),
        )
        if match:
            column = "atomic" if match[1] == "atomic" else "mass"
            columns[column][match[2]] = record["value"]
            first = first or str(record.get("id", "composition"))
    whole = [
        column
        for column in columns.values()
        if len(column) > 1
        and abs(sum(column.values()) - 100) < 3 + sum(half_digit(v) for v in column.values())
    ]
    if not columns["atomic"] or not columns["mass"] or not whole:
        return []  # a part of the elements says nothing of the sum
    return [{"id": first, "composition": {k: v for k, v in columns.items() if v}}]


def _fractions(members: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the parts of a whole that are listed one by one (relative intensities, shares)."""
    wholes: dict[str, dict[str, Any]] = {}
    first: dict[str, str] = {}
    for record in members:
        unit = str(record.get("unit", record.get("units", "")))
        match = re.match(
            r"(.*\b(?:relative intensity|share|fraction))\b(?: of|,)\s+(.+)$",
            str(record.get("quantity", "")),
        )
        if match and unit in ("%", "percent") and not record.get("bound"):
            wholes.setdefault(match[1], {})[match[2]] = record["value"]
            first.setdefault(match[1], str(record.get("id", match[1])))
    # what is far below 100 % is a choice of parts and no whole
    return [
        {"id": first[name], "fractions": {**parts, "unit": "percent"}}
        for name, parts in wholes.items()
        if len(parts) > 1 and sum(parts.values()) > 85
    ]
