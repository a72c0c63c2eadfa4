"""Decays and diffusion: average lifetimes, Einstein relation, diffusion lengths."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from heterodot.catalog.check.findings import Finding, Node, Place, Stated, optional, short, stated
from heterodot.errors import InputError
from heterodot.units import Value

_FOLLOWS = "follows from the record's own numbers"


def average_lifetime(node: Node, place: Place) -> Iterator[Finding]:
    """Compare a stated average lifetime with amplitudes and lifetimes of its components."""
    parts, here = _components(node, place)
    if len(parts) < 2:
        return
    target = optional(node, ("average", "average_lifetime", "tau_ave", "tau_average"), "ns", here)
    if target is None:
        return
    amplitudes, lifetimes = [a for a, _ in parts], [t for _, t in parts]
    if min(lifetimes) <= 0 or sum(amplitudes) <= 0:
        return
    first = sum(a * t for a, t in parts)
    computed = {
        "amplitude": first / sum(amplitudes),
        "intensity": sum(a * t * t for a, t in parts) / first,
    }
    weighting = str(node.get("weighting", node.get("weighted", ""))).casefold()
    chosen = {k: v for k, v in computed.items() if weighting.startswith(k[:5])} or computed
    if any(target.agrees(value, 0.02) for value in chosen.values()):
        return
    listed = ", ".join(f"{short(a)} at {short(t)} ns" for a, t in parts)
    shown = "; ".join(f"{k}-weighted {short(v)} ns" for k, v in computed.items())
    label, value = min(chosen.items(), key=lambda item: abs(item[1] - target.value))
    yield here.at("average").finding(
        "average lifetime",
        f"{target.value:g} ns is stated{f' ({weighting}-weighted)' if weighting else ''},"
        f" the components make {shown}",
        f"{listed}: sum(A t)/sum(A) = {short(computed['amplitude'])},"
        f" sum(A t^2)/sum(A t) = {short(computed['intensity'])}",
        target.as_value(),
        Value(value, "ns", None, f"{label}-weighted"),
    )


def _components(node: Node, place: Place) -> tuple[list[tuple[float, float]], Place]:
    listed = node.get("components")
    if isinstance(listed, list) and all(isinstance(x, dict) for x in listed):
        found = []
        for k, item in enumerate(listed):
            here = place.at("components").at(k)
            a = optional(item, ("amplitude", "A"), "", here)
            t = optional(item, ("lifetime", "tau"), "ns", here)
            if a is None or t is None:
                return [], place
            found.append((a.value, t.value))
        return found, place
    numbered = [k[3:].lstrip("_") for k in node if re.fullmatch(r"tau_?\d", str(k))]
    if len(numbered) > 1:
        return _numbered(node, numbered, place), place
    amplitudes, lifetimes = node.get("amplitudes"), node.get("lifetimes")
    if amplitudes is not None and lifetimes is not None:
        a_values = _list(amplitudes, "", place.at("amplitudes"))
        t_values = _list(lifetimes, "ns", place.at("lifetimes"))
        if len(a_values) != len(t_values):
            raise InputError(
                f"{len(a_values)} amplitudes and {len(t_values)} lifetimes do not belong together",
                place=str(place),
                remedy="give one amplitude for each lifetime",
            )
        return list(zip(a_values, t_values, strict=True)), place
    return [], place


def _numbered(node: Node, numbers: list[str], place: Place) -> list[tuple[float, float]]:
    """Return amplitudes and lifetimes of keys such as A1 and tau1."""
    found = []
    for k in numbers:
        a = optional(node, (f"A{k}", f"A_{k}", f"a{k}"), "", place)
        t = optional(node, (f"tau{k}", f"tau_{k}"), "ns", place)
        if a is None or t is None:
            return []
        found.append((a.value, t.value))
    return found


def _list(content: Any, unit: str, place: Place) -> list[float]:
    found_unit: Any = unit
    values = content
    if isinstance(content, dict):
        values, found_unit = content.get("value"), content.get("unit", content.get("units", unit))
    if not isinstance(values, list):
        raise InputError("a list of numbers is expected", place=str(place))
    return [
        stated(
            v if isinstance(v, dict | str) else {"value": v, "unit": found_unit}, unit, place.at(k)
        ).value
        for k, v in enumerate(values)
    ]


def diffusion(node: Node, place: Place) -> Iterator[Finding]:
    """Compare diffusion coefficient, mobility, lifetime and diffusion length with one another."""
    names = ("diffusion", "diffusion_coefficient", "D")
    if not any(name in node for name in names) or not any(
        name in node for name in ("mobility", "length", "diffusion_length")
    ):
        return
    coefficient = optional(node, names, "cm**2/s", place)
    mobility = optional(node, ("mobility",), "cm**2/V/s", place)
    lifetime = optional(node, ("lifetime", "tau"), "ns", place)
    length = optional(node, ("length", "diffusion_length"), "nm", place)
    temperature = optional(node, ("temperature",), "K", place)
    if coefficient is None or coefficient.value <= 0:
        return
    if mobility is not None:
        yield from _einstein(coefficient, mobility, temperature, place)
    if length is not None and lifetime is not None and lifetime.value > 0:
        yield from _length(coefficient, lifetime, length, node, place)


def _einstein(
    coefficient: Stated, mobility: Stated, temperature: Stated | None, place: Place
) -> Iterator[Finding]:
    from scipy.constants import e, k

    kelvin = temperature.value if temperature else 298.15
    computed = float(coefficient.value * e / (k * kelvin))
    blur = computed * coefficient.slack / coefficient.value
    if mobility.agrees(computed, 0.03, blur):
        return
    yield place.at("mobility").finding(
        "Einstein relation",
        f"the mobility {mobility.value:g} cm2/Vs does not belong to D = {coefficient.value:g} cm2/s"
        f" at {kelvin:g} K, which makes {short(computed)} cm2/Vs",
        f"mu = e D / k T = {coefficient.value:g} / ({short(k * kelvin / e)} V) = {short(computed)}",
        mobility.as_value(),
        Value(computed, "cm**2/V/s", None, _FOLLOWS),
    )


def _length(
    coefficient: Stated, lifetime: Stated, length: Stated, node: Node, place: Place
) -> Iterator[Finding]:
    dimensions = int(node.get("dimensions", 0) or 0)
    computed = math.sqrt(coefficient.value * lifetime.value * 1e-9) * 1e7
    blur = (
        0.5 * computed * (coefficient.slack / coefficient.value + lifetime.slack / lifetime.value)
    )
    # L is sqrt(D tau) for most, sqrt(2 d D tau) where a dimension is given
    readings = [1.0] if not dimensions else [2.0 * dimensions]
    if any(length.agrees(computed * math.sqrt(f), 0.03, blur) for f in readings):
        return
    value = computed * math.sqrt(readings[0])
    factor = "" if readings[0] == 1.0 else f"{readings[0]:g} x "
    yield place.at("length").finding(
        "diffusion length",
        f"the length {length.value:g} nm does not belong to D and the lifetime, which make"
        f" {short(value)} nm",
        f"L = sqrt({factor}{coefficient.value:g} cm2/s x {lifetime.value:g} ns) = {short(value)} nm",
        length.as_value(),
        Value(value, "nm", None, _FOLLOWS),
    )
