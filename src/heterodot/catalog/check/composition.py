"""Composition: formal charge of a formula, atomic against mass percent, what sums to 100."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from heterodot.catalog.check.findings import Finding, Node, Place, half_digit, short, stated
from heterodot.catalog.formula import net_charge, parse_formula, stated_charge
from heterodot.errors import InputError
from heterodot.units import Value

_FOLLOWS = "follows from the record's own numbers"


def formula_charge(node: Node, place: Place) -> Iterator[Finding]:
    """Compare the formal charge of a formula with the one that it should have (0 if unsaid)."""
    text = node.get("formula")
    if not isinstance(text, str) or _open_formula(text) or _is_expression(node):
        return
    atoms = parse_formula(text, place=str(place.at("formula")))
    yield from _counts(node, atoms, place)
    given = node.get("formal_charges", node.get("charges"))
    charges = {str(k): float(v) for k, v in given.items()} if isinstance(given, Mapping) else None
    target = node.get("net_charge", node.get("charge", stated_charge(text)))
    if isinstance(target, Mapping | str):
        target = stated(target, "e", place.at("charge")).value
    expected = float(target) if target is not None else 0.0
    found = net_charge(atoms, charges, expected=expected)
    if found is None:
        return
    net, used = found
    positive = sum(used[e] * n for e, n in atoms.items() if used[e] > 0)
    # measured (fractional) formulas carry the error of the analysis
    whole = all(abs(n - round(n)) < 1e-9 for n in atoms.values())
    room = 1e-6 if whole else max(0.03 * positive, 0.05)
    if abs(net - expected) <= room:
        return
    terms = " ".join(f"{used[e] * n:+g} ({n:g} {e} x {used[e]:+g})" for e, n in atoms.items())
    yield place.at("formula").finding(
        "formal charge",
        f"{text} has the formal charge {net:+.3g} e, {expected:+g} e is expected",
        f"{terms} = {net:+.3g}",
        Value(expected, "e", None, "as stated in the record"),
        Value(net, "e", None, _FOLLOWS),
    )


def _open_formula(text: str) -> bool:
    """Return whether a formula has letters for numbers or halides (Cu2-xS, CsPbX3)."""
    import re

    from ase.data import chemical_symbols

    if not text.strip() or re.search(r"X(?![a-z])|\d[-+][xy]|[{}]", text):
        return True
    elements = set(chemical_symbols[1:])
    return any(
        match[1] in elements and match[0] not in elements
        for match in re.finditer(r"([A-Z][a-z]?)([xy])(?![a-z])", text)
    )


def _is_expression(node: Node) -> bool:
    import re

    return any(key in node for key in ("inputs", "variables")) or bool(
        re.search(r"[*/^=<>]|\s[-+]\s", str(node["formula"]))
    )


def _counts(node: Node, atoms: Mapping[str, float], place: Place) -> Iterator[Finding]:
    total = node.get("total_atoms", node.get("atoms"))
    if isinstance(total, int | float) and abs(sum(atoms.values()) - total) > 1e-6:
        terms = " + ".join(f"{n:g}" for n in atoms.values())
        yield place.at("total_atoms").finding(
            "number of atoms",
            f"{total:g} atoms are stated, the formula has {sum(atoms.values()):g}",
            f"{terms} = {sum(atoms.values()):g}",
            Value(float(total), "", None, "as stated in the record"),
            Value(sum(atoms.values()), "", None, _FOLLOWS),
        )
    counts = node.get("counts")
    if isinstance(counts, Mapping):
        for element, number in counts.items():
            if isinstance(number, int | float) and abs(atoms.get(element, 0.0) - number) > 1e-6:
                yield place.at("counts").finding(
                    "number of atoms",
                    f"{number:g} {element} are stated, the formula has {atoms.get(element, 0):g}",
                    f"{node['formula']}: {element} {atoms.get(element, 0):g}",
                    Value(float(number), "", None, "as stated in the record"),
                    Value(atoms.get(element, 0.0), "", None, _FOLLOWS),
                )


def atomic_and_mass_percent(node: Node, place: Place) -> Iterator[Finding]:
    """Compare atomic with mass percent, and both with a sum of 100."""
    content = node.get("composition")
    if not isinstance(content, Mapping):
        return
    here = place.at("composition")
    columns: dict[str, dict[str, float]] = {"atomic": {}, "mass": {}}
    if any(key in content for key in ("atomic", "mass", "atomic_percent", "mass_percent")):
        for name, keys in (
            ("atomic", ("atomic", "atomic_percent")),
            ("mass", ("mass", "mass_percent")),
        ):
            for key in keys:
                if isinstance(content.get(key), Mapping):
                    columns[name] = {
                        str(e): _percent(v, here.at(key).at(e)) for e, v in content[key].items()
                    }
    else:
        for element, pair in content.items():
            if isinstance(pair, Mapping):
                for name in columns:
                    if name in pair:
                        columns[name][str(element)] = _percent(pair[name], here.at(element))
    for name, values in columns.items():
        if len(values) > 1:
            yield from _sum(values, f"{name} percent", here.at(name))
    common = [e for e in columns["atomic"] if e in columns["mass"]]
    if len(common) > 1:
        yield from _converted(columns, common, here)


def _percent(content: Any, place: Place) -> float:
    return stated(content, "percent", place).value


def _converted(
    columns: dict[str, dict[str, float]], common: list[str], place: Place
) -> Iterator[Finding]:
    from ase.data import atomic_masses, atomic_numbers

    for element in common:
        if element not in atomic_numbers:
            raise InputError(f"'{element}' is not an element", place=str(place))
    weights = {e: columns["atomic"][e] * float(atomic_masses[atomic_numbers[e]]) for e in common}
    whole = sum(weights.values())
    listed = sum(columns["mass"][e] for e in common)
    for element in common:
        computed = weights[element] / whole * listed
        given = columns["mass"][element]
        # a rounded atomic percent moves the mass percent in proportion
        blur = half_digit(columns["atomic"][element]) / max(columns["atomic"][element], 1e-9)
        room = half_digit(given) + (0.01 + blur) * computed
        if abs(given - computed) > room:
            yield place.at(element).finding(
                "atomic against mass percent",
                f"{given:g} mass % of {element} is stated, the atomic percents make"
                f" {short(computed)} %",
                f"{columns['atomic'][element]:g} x {weights[element] / columns['atomic'][element]:.2f}"
                f" / {short(whole)} = {short(computed)} %",
                Value(given, "percent", None, "as stated in the record"),
                Value(computed, "percent", None, _FOLLOWS),
            )


def percentages(node: Node, place: Place) -> Iterator[Finding]:
    """Compare fractions of a whole with 100 % (or 1)."""
    for key in ("fractions", "percentages"):
        content = node.get(key)
        if isinstance(content, Mapping) and "value" not in content:
            values = {str(k): v for k, v in content.items() if k not in ("unit", "units", "of")}
            unit = str(content.get("unit", content.get("units", "percent")))
        elif isinstance(content, Mapping) and isinstance(content.get("value"), list):
            values = {str(k): v for k, v in enumerate(content["value"], 1)}
            unit = str(content.get("unit", content.get("units", "percent")))
        elif isinstance(content, list):
            values, unit = {str(k): v for k, v in enumerate(content, 1)}, "percent"
        else:
            continue
        read = {
            k: stated(
                v if isinstance(v, Mapping | str) else {"value": v, "unit": unit},
                "percent",
                place.at(key).at(k),
            )
            for k, v in values.items()
        }
        if len(read) > 1:
            slack = sum(x.slack for x in read.values())
            numbers = {k: x.value for k, x in read.items()}
            yield from _sum(numbers, "fractions", place.at(key), slack)


def _sum(
    values: Mapping[str, float], what: str, place: Place, slack: float | None = None
) -> Iterator[Finding]:
    total = sum(values.values())
    room = slack if slack is not None else sum(half_digit(v) for v in values.values())
    if abs(total - 100.0) <= room + 0.05:
        return
    yield place.finding(
        "sum of percentages",
        f"the {what} sum to {short(total)} %, not to 100 %",
        f"{' + '.join(f'{v:g}' for v in values.values())} = {total:.4g}",
        Value(100.0, "percent", None, "a whole"),
        Value(total, "percent", None, _FOLLOWS),
    )
