"""Recipes: mass against amount, stock concentrations, molar ratios and shares."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from heterodot.catalog import database
from heterodot.catalog.check.findings import (
    Finding,
    Node,
    Place,
    Stated,
    optional,
    plain_unit,
    short,
    stated,
)
from heterodot.catalog.formula import molar_mass, parse_formula
from heterodot.errors import InputError
from heterodot.units import Value

_FOLLOWS = "follows from the record's own numbers"
# relative slack of a last digit in a recipe
_DIGITS = 0.05
_MASS, _MOLES, _VOLUME = ("g", "mg", "kg", "ug"), ("mol", "mmol", "umol"), ("L", "mL", "uL")


@dataclass(frozen=True, slots=True)
class Chemical:
    """What a reagent's name stands for: atoms, molar mass (g/mol), its error, density (g/mL)."""

    name: str
    atoms: dict[str, float]
    molar_mass: float
    error: float = 0.0
    density: float | None = None


@functools.cache
def _known() -> dict[str, Chemical]:
    found = {}
    for record in database.records("SELECT record FROM reagent"):
        atoms = parse_formula(record["formula"]) if "formula" in record else {}
        mass = record.get("molar_mass") or molar_mass(atoms)
        for name in record["names"]:
            found[name.casefold()] = Chemical(
                name, atoms, float(mass), float(record.get("uncertainty", 0)), record.get("density")
            )
    return found


def chemical(name: str) -> Chemical | None:
    """Return what a reagent's name stands for, or None where it is not known."""
    text = re.sub(r",.*$|\s*\bstock\b.*$", "", name).strip()
    hit = _known().get(text.casefold())
    if hit is not None:
        return hit
    try:
        atoms = parse_formula(text)
    except InputError:
        return None
    return Chemical(text, atoms, molar_mass(atoms))


@dataclass(frozen=True, slots=True)
class Reagent:
    """A reagent as a record states it; amounts in g, mol, mL and mol/L."""

    name: str
    chemical: Chemical | None
    mass: Stated | None
    moles: Stated | None
    volume: Stated | None
    concentration: Stated | None
    purity: float
    place: Place

    def amount(self) -> tuple[float, str] | None:
        """Return the amount in mol and how it was had, or None."""
        if self.moles is not None:
            return self.moles.value, f"{short(self.moles.value * 1e3)} mmol {self.name}"
        if self.volume is not None and self.concentration is not None:
            n = self.volume.value * 1e-3 * self.concentration.value
            return n, (
                f"{short(self.volume.value)} mL x {short(self.concentration.value)} mol/L"
                f" = {short(n * 1e3)} mmol {self.name}"
            )
        if self.chemical is None:
            return None
        molar = self.chemical.molar_mass
        if self.mass is not None:
            n = self.mass.value / molar
            return n, (
                f"{short(self.mass.value * 1e3)} mg {self.name} / {molar:.2f} g/mol"
                f" = {short(n * 1e3)} mmol"
            )
        if self.volume is not None and self.chemical.density is not None:
            n = self.volume.value * self.chemical.density / molar
            return n, (
                f"{short(self.volume.value)} mL {self.name} x {self.chemical.density} g/mL"
                f" / {molar:.2f} g/mol = {short(n * 1e3)} mmol"
            )
        return None


def reagent(node: Node, place: Place) -> Reagent | None:
    """Return the reagent in a node, or None if the node is none."""
    name = node.get("name", node.get("reagent", node.get("chemical")))
    if not isinstance(name, str):
        return None
    mass = optional(node, ("mass",), "g", place)
    moles = optional(node, ("moles", "amount_of_substance", "n"), "mol", place)
    volume = optional(node, ("volume",), "mL", place)
    if moles is None and isinstance(node.get("mmol"), int | float):
        moles = stated({"value": node["mmol"], "unit": "mmol"}, "mol", place.at("mmol"))
    if isinstance(node.get("mg"), int | float):
        mass = stated({"value": node["mg"], "unit": "mg"}, "g", place.at("mg"))
    amount, unit = node.get("amount"), node.get("units", node.get("unit"))
    if isinstance(amount, str | dict) and unit is None:
        text = amount.get("unit", "") if isinstance(amount, dict) else amount.split()[-1]
        unit, amount = str(text), amount
    if amount is not None and unit is not None and not isinstance(amount, list):
        content = amount if isinstance(amount, str | dict) else {"value": amount, "unit": unit}
        kind = plain_unit(str(unit))
        if kind in _MASS and mass is None:
            mass = stated(content, "g", place.at("amount"))
        elif kind in _MOLES and moles is None:
            moles = stated(content, "mol", place.at("amount"))
        elif kind in _VOLUME and volume is None:
            volume = stated(content, "mL", place.at("amount"))
    if any(isinstance(node.get(k), dict) and isinstance(node[k].get("value"), list) for k in node):
        return None
    purity = node.get("purity")
    if isinstance(purity, dict) and isinstance(purity.get("value"), int | float):
        share = float(purity["value"]) / 100.0
    else:
        match = re.search(r"([\d.]+)\s*%", str(purity)) if purity else None
        share = float(match[1]) / 100.0 if match else 1.0
    concentration = optional(node, ("concentration",), "mol/L", place)
    formula = node.get("formula")
    found = chemical(str(formula)) if formula else chemical(name)
    if all(x is None for x in (mass, moles, volume)):
        return None
    return Reagent(name, found, mass, moles, volume, concentration, share, place)


def _listed(node: Node, key: str) -> list[Any]:
    content = node.get(key)
    return content if isinstance(content, list) else []


def _is_recipe(node: Node) -> bool:
    return bool(_listed(node, "reagents") or _listed(node, "steps"))


def reagents_of(node: Node, place: Place) -> list[Reagent]:
    """Return all reagents of a recipe or step, those of its steps included."""
    found: list[Reagent] = []
    for k, item in enumerate(_listed(node, "reagents")):
        if isinstance(item, dict):
            one = _readable(item, place.at("reagents").at(k))
            if one is not None:
                found.append(one)
    for k, step in enumerate(_listed(node, "steps")):
        if isinstance(step, dict):
            found += reagents_of(step, place.at("steps").at(k))
    return found


def _readable(node: Node, place: Place) -> Reagent | None:
    values = [v.get("value") if isinstance(v, dict) else v for v in node.values()]
    if any(isinstance(v, list) for v in values):
        return None  # a series of amounts is a study, not one batch
    return reagent(node, place)


def mass_against_moles(node: Node, place: Place) -> Iterator[Finding]:
    """Compare mass or volume of a reagent with the amount of substance stated beside it."""
    if not isinstance(node.get("name", node.get("reagent")), str):
        return
    one = _readable(node, place)
    if one is None or one.moles is None:
        return
    if one.volume is not None and one.concentration is not None:
        n = one.volume.value * 1e-3 * one.concentration.value
        if not one.moles.agrees(n, 0.02, digits=_DIGITS):
            yield place.finding(
                "volume against moles",
                f"{short(one.moles.value * 1e3)} mmol of {one.name} is stated, its volume and"
                f" concentration make {short(n * 1e3)} mmol",
                f"{short(one.volume.value)} mL x {short(one.concentration.value)} mol/L"
                f" = {short(n * 1e3)} mmol",
                Value(one.moles.value * 1e3, "mmol", None, "as stated in the record"),
                Value(n * 1e3, "mmol", None, _FOLLOWS),
            )
        return
    if one.chemical is None:
        return
    grams, how = one.mass.value if one.mass else None, ""
    slack = one.mass.slack if one.mass else 0.0
    if grams is None and one.volume is not None and one.chemical.density is not None:
        grams = one.volume.value * one.chemical.density
        how = f"{short(one.volume.value)} mL x {one.chemical.density} g/mL = {short(grams)} g; "
        slack = 0.0
    if grams is None:
        return
    molar = one.chemical.molar_mass
    room = one.chemical.error / molar
    readings = [("neat", 1.0)] + ([("at its purity", one.purity)] if one.purity < 1.0 else [])
    computed = [(label, grams * part / molar) for label, part in readings]
    width = 0.02 + room
    if any(
        one.moles.agrees(n, width, min(slack / molar, 0.03 * n), digits=_DIGITS)
        for _, n in computed
    ):
        return
    arithmetic = how + "; ".join(
        f"{short(grams * part * 1e3)} mg / {molar:.2f} g/mol = {short(n * 1e3)} mmol"
        + (f" {label}" if len(readings) > 1 else "")
        for (label, part), (_, n) in zip(readings, computed, strict=True)
    )
    yield place.finding(
        "mass against moles",
        f"{short(one.moles.value * 1e3)} mmol of {one.name} is stated,"
        f" {'its mass' if one.mass else 'its volume'} makes {short(computed[0][1] * 1e3)} mmol",
        arithmetic,
        Value(one.moles.value * 1e3, "mmol", None, "as stated in the record"),
        Value(computed[0][1] * 1e3, "mmol", None, _FOLLOWS),
    )


def stock_concentration(node: Node, place: Place) -> Iterator[Finding]:
    """Compare the stated concentration of a stock with its solute and volume."""
    content = node.get("concentration")
    if not _is_recipe(node):
        return
    target = stated(content, "mol/L", place.at("concentration")) if content is not None else None
    key = "concentration"
    if target is None and isinstance(node.get("product"), str):
        match = re.search(r"(~|about )?\s*(\d+\.?\d*) M\b", node["product"])
        if match:
            number = float(match[2])
            target = stated(
                {"value": number, "unit": "mol/L", "about": bool(match[1])}, "mol/L", place
            )
            key = "product"
    if target is None or target.value <= 0:
        return
    parts = reagents_of(node, place)
    volume = _final_volume(node, parts, place)
    of = content.get("of") if isinstance(content, dict) else None
    solutes = [r for r in parts if (r.mass or r.moles) and r.amount()]
    if of is not None:
        solutes = [
            r
            for r in parts
            if of == r.name or (r.chemical and of in r.chemical.atoms and r.amount())
        ]
    if not solutes or not volume:
        return
    choices = []
    for one in solutes[:1] if of is None else solutes:
        amount = one.amount()
        assert amount is not None
        for times in _multiples(one, of):
            choices.append((amount[0] * times / (volume * 1e-3), amount[1], times, one))
    first = choices[0][3].chemical
    room = 0.03 + (first.error / first.molar_mass if first else 0.0)
    if not choices or any(target.agrees(c, room, digits=_DIGITS) for c, _, _, _ in choices):
        return
    c, how, times, one = min(choices, key=lambda x: abs(math.log(x[0] / target.value)))
    factor = f" x {times:g}" if times != 1 else ""
    yield place.at(key).finding(
        "stock concentration",
        f"{target.value:g} mol/L is stated, {one.name} and the volumes make {short(c)} mol/L",
        f"{how}{factor}; / {short(volume)} mL = {short(c)} mol/L",
        target.as_value(),
        Value(c, "mol/L", None, _FOLLOWS),
    )


def _multiples(one: Reagent, of: Any) -> list[float]:
    atoms = one.chemical.atoms if one.chemical else {}
    if of in atoms:
        return [atoms[of]]
    if of is not None:
        return [1.0]
    from heterodot.charges import STATES

    metals = [
        n for e, n in atoms.items() if STATES.get(e, (0,))[0] > 0 and e not in ("H", "C", "Si")
    ]
    return sorted({1.0, *metals})


def _final_volume(node: Node, parts: list[Reagent], place: Place) -> float:
    total = optional(node, ("volume", "total_volume"), "mL", place)
    if total is not None:
        return total.value
    named = [r.volume.value for r in parts if r.name == "total" and r.volume]
    return named[0] if named else sum(r.volume.value for r in parts if r.volume)


def ratios(node: Node, place: Place) -> Iterator[Finding]:
    """Compare stated molar ratios of elements or reagents with the amounts of the record."""
    if not _listed(node, "ratios") or not _is_recipe(node):
        return
    parts = reagents_of(node, place)
    for k, item in enumerate(node["ratios"]):
        here = place.at("ratios").at(k)
        if not isinstance(item, dict) or "of" not in item or "to" not in item:
            raise InputError(
                "a ratio needs 'of', 'to' and 'value'", place=str(here), remedy="complete it"
            )
        target = stated({**item, "unit": item.get("unit", "")}, "", here)
        top, bottom = _total(parts, str(item["of"])), _total(parts, str(item["to"]))
        if top is None or bottom is None or bottom[0] == 0:
            continue
        value = top[0] / bottom[0]
        if not target.agrees(value, 0.03, digits=_DIGITS):
            yield here.finding(
                "molar ratio",
                f"{item['of']}:{item['to']} is stated as {target.value:g},"
                f" the amounts make {short(value)}",
                f"({top[1]}) / ({bottom[1]}) = {short(value)}",
                target.as_value(),
                Value(value, "", None, _FOLLOWS),
            )


def _total(parts: list[Reagent], what: str) -> tuple[float, str] | None:
    """Return the moles of a reagent or element in all reagents, and how they add up."""
    hits = [r for r in parts if r.name == what]
    chosen = [(r, 1.0) for r in hits]
    if not hits:
        chosen = [
            (r, r.chemical.atoms[what])
            for r in parts
            if r.chemical is not None and what in r.chemical.atoms and (r.mass or r.moles)
        ]
    if not chosen:
        return None
    total, how = 0.0, []
    for one, times in chosen:
        amount = one.amount()
        if amount is None:
            return None
        total += amount[0] * times
        how.append(f"{amount[1]}{f' x {times:g}' if times != 1 else ''}")
    return total, " + ".join(how)


def shares(node: Node, place: Place) -> Iterator[Finding]:
    """Compare a stated share of a reagent (mass or mole percent of another) with the amounts."""
    if not _is_recipe(node):
        return
    if "steps[" in place.key:
        return  # a step is judged with its whole recipe, where the other reagent may be
    parts = reagents_of(node, place)
    from heterodot.catalog.check.findings import walk

    for item, here in walk(node, place):
        content = item.get("share", item.get("label"))
        if not isinstance(content, str | dict) or "name" not in item:
            continue
        if isinstance(content, str):
            match = re.fullmatch(r"\s*(\d+\.?\d*)\s*%\s*", content)
            if not match:
                continue
            number = float(match[1]) if "." in match[1] else int(match[1])
            content = {"value": number, "unit": "percent"}
        one = _readable(item, here)
        others = [r for r in parts if r.name == content.get("of")]
        if not others and "of" not in content:
            weighed = [r for r in parts if r.name != item["name"] and r.mass]
            others = sorted(weighed, key=lambda r: -(r.mass.value if r.mass else 0.0))[:1]
        if one is None or not others:
            continue
        yield from _share(one, others[0], content, here.at("share"))


def _share(
    one: Reagent, other: Reagent, content: dict[str, Any], place: Place
) -> Iterator[Finding]:
    target = stated(content, "percent", place)
    by = str(content.get("by", "mass"))
    if by == "moles":
        a, b = one.amount(), other.amount()
        if a is None or b is None:
            return
        value, arithmetic = a[0] / b[0] * 100, f"{a[1]} / {b[1]}"
    else:
        grams = [_grams(one), _grams(other)]
        if grams[0] is None or grams[1] is None:
            return
        value = grams[0] / grams[1] * 100
        arithmetic = f"{short(grams[0] * 1e3)} mg / {short(grams[1] * 1e3)} mg"
    if not target.agrees(value, 0.01, digits=_DIGITS):
        yield place.finding(
            "share",
            f"{one.name} is called {target.value:g} % of {other.name}, the amounts make"
            f" {short(value)} % by {by}",
            f"{arithmetic} = {short(value)} %",
            target.as_value(),
            Value(value, "percent", None, _FOLLOWS),
        )


def _grams(one: Reagent) -> float | None:
    if one.mass is not None:
        return one.mass.value
    amount = one.amount()
    if amount is None or one.chemical is None:
        return None
    return amount[0] * one.chemical.molar_mass
