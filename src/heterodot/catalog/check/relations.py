"""Numbers that follow from a formula, units that do not fit, laws that are misprinted."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from heterodot.catalog import database
from heterodot.catalog.check.expressions import Dimension, constant, evaluate
from heterodot.catalog.check.findings import Finding, Node, Place, plain_unit, short, stated
from heterodot.errors import InputError
from heterodot.units import Value, registry

_FOLLOWS = "follows from the record's own numbers"


def derived(node: Node, place: Place) -> Iterator[Finding]:
    """Compute a formula from its inputs and compare with the stated result."""
    content = node.get("derived", node)
    if not isinstance(content, Mapping) or not {"formula", "inputs"} <= set(content):
        return
    here = place.at("derived") if "derived" in node else place
    if "derived" not in node and place.key.split(".")[-1].startswith("derived"):
        return  # it was computed with its parent
    given = content.get("stated", content.get("result"))
    if given is None:
        return
    names = _inputs(content["inputs"], here.at("inputs"))
    try:
        value = evaluate(str(content["formula"]), names, str(here.at("formula")))
    except Dimension as error:
        yield here.at("formula").finding("dimension", str(error), str(content["formula"]))
        return
    unit = given.get("unit", given.get("units", "")) if isinstance(given, Mapping) else ""
    unit = plain_unit(str(unit))
    target = stated(given, unit, here.at("stated"))
    try:
        computed = float(value.to(unit or "dimensionless").magnitude)
    except Exception:
        yield _wrong_unit(here, content, value, unit)
        return
    if not math.isfinite(computed):
        raise InputError("the formula gives no finite number", place=str(here))
    relative = float(content.get("tolerance", 0.02))
    if target.agrees(computed, relative):
        return
    listed = ", ".join(f"{k} = {v:~.4g}" for k, v in names.items())
    yield here.at("stated").finding(
        "derived value",
        f"{target} is stated, {content['formula']} gives {short(computed)} {unit}".rstrip(),
        f"{content['formula']} with {listed} = {short(computed)} {unit}".rstrip(),
        target.as_value(),
        Value(computed, unit, None, _FOLLOWS),
    )


def _inputs(content: Any, place: Place) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        raise InputError("inputs are a mapping of symbol to value", place=str(place))
    ureg = registry()
    names = {}
    for symbol, given in content.items():
        here = place.at(symbol)
        if given == "constant":
            names[str(symbol)] = constant(str(symbol), str(here))
            continue
        unit = given.get("unit", given.get("units", "")) if isinstance(given, Mapping) else ""
        if isinstance(given, str):
            raise InputError(
                f"'{given}' is no value", place=str(here), remedy="give {value: ..., unit: ...}"
            )
        unit = plain_unit(str(unit))
        number = stated(given, unit, here)
        quantity = ureg.Quantity(number.value, unit or "dimensionless")
        names[str(symbol)] = quantity.to_base_units() if unit == "degC" else quantity
    return names


def _wrong_unit(place: Place, content: Node, value: Any, unit: str) -> Finding:
    return place.at("formula").finding(
        "dimension",
        f"{content['formula']} has the unit {value.to_reduced_units().units:~P}, not"
        f" {unit or 'that of a pure number'}",
        f"unit of the formula: {value.units:~P}",
    )


def equation_dimension(node: Node, place: Place) -> Iterator[Finding]:
    """Compare the unit of a formula with the unit that its result is said to have."""
    content = node.get("equation", node)
    if not isinstance(content, Mapping) or not {"formula", "variables", "unit"} <= set(content):
        return
    if "equation" not in node and place.key.split(".")[-1].startswith("equation"):
        return
    here = place.at("equation") if "equation" in node else place
    names = _unit_values(content["variables"], here.at("variables"), 1.0)
    try:
        value = evaluate(str(content["formula"]), names, str(here.at("formula")))
    except Dimension as error:
        yield here.at("formula").finding("dimension", str(error), str(content["formula"]))
        return
    unit = plain_unit(str(content["unit"]))
    try:
        registry().Unit(unit or "dimensionless")
    except Exception as error:
        raise InputError(f"'{unit}' is not a unit", place=str(here.at("unit"))) from error
    if value.dimensionality != registry().Unit(unit or "dimensionless").dimensionality:
        yield _wrong_unit(here, content, value, unit)


def _unit_values(content: Any, place: Place, seed: float) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        raise InputError("variables are a mapping of symbol to unit", place=str(place))
    names = {}
    for k, (symbol, unit) in enumerate(content.items()):
        here = place.at(symbol)
        if unit == "constant":
            names[str(symbol)] = constant(str(symbol), str(here))
            continue
        text = unit.get("unit", "") if isinstance(unit, Mapping) else unit
        try:
            # values differ from one another so that no accident of equal numbers hides a fault
            names[str(symbol)] = registry().Quantity(
                0.3 + 0.17 * ((k * seed * 7.3) % 5), plain_unit(str(text)) or "dimensionless"
            )
        except Exception as error:
            raise InputError(f"'{text}' is not a unit", place=str(here)) from error
    return names


def law(node: Node, place: Place) -> Iterator[Finding]:
    """Compare a printed formula with the law that it is meant to be."""
    content = node.get("law")
    if not isinstance(content, Mapping) or not {"name", "formula"} <= set(content):
        return
    here = place.at("law")
    rows = database.rows("SELECT record FROM law WHERE name = ?", (content["name"],))
    if not rows:
        known = ", ".join(row[0] for row in database.rows("SELECT name FROM law ORDER BY name"))
        raise InputError(
            f"'{content['name']}' is not a law of the catalog",
            place=str(here.at("name")),
            remedy=f"one of {known}",
        )
    record = json.loads(rows[0][0])
    ratios = []
    for seed in (1.0, 1.7, 2.9):
        names = _unit_values(
            {**record["variables"], **(content.get("variables") or {})}, here.at("variables"), seed
        )
        right = evaluate(record["formula"], names, str(here))
        try:
            printed = evaluate(str(content["formula"]), names, str(here.at("formula")))
            ratios.append(float((printed / right).to("").magnitude))
        except Dimension as error:
            yield here.at("formula").finding("dimension", str(error), str(content["formula"]))
            return
        except InputError:
            raise
        except Exception:
            yield here.at("formula").finding(
                "dimension",
                f"the printed formula has the unit {printed.units:~P}, the law {right.units:~P}",
                f"{content['formula']} against {record['formula']}",
            )
            return
    if max(abs(r - 1.0) for r in ratios) < 1e-6:
        return
    same = max(ratios) - min(ratios) < 1e-6 * max(abs(r) for r in ratios)
    amount = f"by the factor {short(ratios[0])}" if same else "by an amount that varies"
    yield here.at("formula").finding(
        "misprinted law",
        f"the printed formula differs from {record['title']} {amount}",
        f"{content['formula']} / ({record['formula']}) = {', '.join(short(r) for r in ratios)}"
        f" for three sets of values ({record['source']['citation']})",
        None,
        Value(ratios[0], "", None, "printed over correct") if same else None,
    )


def quantity_dimension(node: Node, place: Place) -> Iterator[Finding]:
    """Compare the unit and size of a named quantity with what the quantity can have."""
    name = node.get("quantity")
    if not isinstance(name, str) or "value" not in node:
        return
    kind = _kind(name)
    if kind is None:
        return
    unit = node.get("unit", node.get("units", ""))
    if isinstance(unit, list):
        return
    text = plain_unit(str(unit or ""), kind["unit"])
    ureg = registry()
    try:
        found = ureg.Unit(text or "dimensionless")
    except Exception as error:
        raise InputError(f"'{unit}' is not a known unit", place=str(place.at("unit"))) from error
    wanted = ureg.Unit(kind["unit"] or "dimensionless")
    others = [ureg.Unit(u) for u in kind.get("units", [])]
    if found.dimensionality not in {u.dimensionality for u in (wanted, *others)}:
        yield place.at("unit").finding(
            "dimension",
            f"{name} is given in {text or 'no unit'};"
            f" it is measured in {kind['unit'] or 'pure numbers'}",
            f"{found.dimensionality} is not {wanted.dimensionality}",
        )
        return
    limits = kind.get("range")
    if limits is None or found.dimensionality != wanted.dimensionality:
        return
    numbers = node["value"] if isinstance(node["value"], list) else [node["value"]]
    for number in numbers:
        value = stated({"value": number, "unit": text}, kind["unit"], place.at("value")).value
        if not limits[0] <= value <= limits[1]:
            yield place.at("value").finding(
                "implausible size",
                f"{name} of {number:g} {text} is outside {limits[0]:g} to {limits[1]:g}"
                f" {kind['unit']}: {kind.get('because', 'check the unit')}",
                f"{number:g} {text} = {short(value)} {kind['unit']}",
                Value(float(number), text, None, "as stated in the record"),
            )


def _kind(name: str) -> dict[str, Any] | None:
    """Return the record of the quantity that a name means, or None."""
    key = name.strip().casefold().replace("-", " ").replace("_", " ")
    for known, text in _quantities().items():
        record = json.loads(text)
        names = [known.replace("_", " "), *record.get("names", [])]
        if key in names or key.rstrip("s") in names:
            return {**record}
    return None


def _quantities() -> dict[str, str]:
    return {row[0]: row[1] for row in database.rows("SELECT name, record FROM quantity")}
