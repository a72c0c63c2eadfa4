"""Lattices: spacing against cell, 2theta against spacing, mismatch, facets, forbidden reflections."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from heterodot.catalog.check.findings import Finding, Node, Place, Stated, optional, short, stated
from heterodot.catalog.phases import cells_for
from heterodot.errors import InputError
from heterodot.settings import translate_plane
from heterodot.units import Value

_FOLLOWS = "follows from the record's own numbers"
# Copper K alpha 1; Deslattes et al., Rev. Mod. Phys. 75, 35 (2003)
_COPPER = {"value": 1.540593, "unit": "angstrom"}
_SOURCES = {"cu k-alpha": 1.540593, "cu ka": 1.540593, "cu ka1": 1.540593, "mo ka": 0.70932}


@dataclass(frozen=True, slots=True)
class Spacing:
    """A spacing that a cell gives, in Å, and how."""

    value: float
    how: str


def plane_of(content: Any, place: Place) -> tuple[int, int, int]:
    """Return three Miller indices from a list or a text such as ``"(2 0 -2)"`` or ``"202"``."""
    values: list[int] | None = None
    if isinstance(content, str):
        import re

        text = content.strip(" ()[]{}")
        pieces = text.replace(",", " ").split()
        if len(pieces) == 1:
            pieces = re.findall(r"-?\d", text)
        if len(pieces) == 3 and all(re.fullmatch(r"-?\d+", p) for p in pieces):
            values = [int(p) for p in pieces]
    elif (
        isinstance(content, list | tuple)
        and len(content) == 3
        and all(isinstance(x, int) and not isinstance(x, bool) for x in content)
    ):
        values = list(content)
    if values is None or not any(values):
        raise InputError(
            f"{content!r} are not Miller indices",
            place=str(place),
            remedy="give three integers, e.g. [2, 0, 0]",
        )
    return (values[0], values[1], values[2])


def cell_spacings(node: Node, place: Place) -> list[Spacing]:
    """Return the spacings of the plane in every cell that the node may mean.

    A phase id means that phase; a formula means any of its polymorphs, orthorhombic perovskites
    in pseudocubic axes too, because documents mix these; a ``cell`` means itself.
    """
    if "plane" not in node and "hkl" not in node:
        return []
    key = "plane" if "plane" in node else "hkl"
    hkl = np.array(plane_of(node[key], place.at(key)), dtype=float)
    found = []
    if node.get("cell") is not None:
        cell = _own_cell(node["cell"], place.at("cell"))
        return [Spacing(_spacing(hkl, cell), "the stated cell")]
    phase = node.get("phase", node.get("formula"))
    if not isinstance(phase, str):
        return []
    for name, cell in cells_for(phase):
        found.append(Spacing(_spacing(hkl, cell), name))
    return found


def _own_cell(content: Any, place: Place) -> Any:
    if not isinstance(content, list) or len(content) not in (1, 3, 6):
        raise InputError(
            "a cell has 1, 3 or 6 numbers", place=str(place), remedy="give [a] or [a, b, c]"
        )
    values = [
        stated(x, "angstrom" if k < 3 else "deg", place.at(k)).value for k, x in enumerate(content)
    ]
    lengths = values[:3] if len(values) > 1 else values * 3
    if min(values) <= 0 or max(values[3:], default=90) >= 180:
        raise InputError("lengths and angles of a cell are positive", place=str(place))
    from ase.geometry import cellpar_to_cell

    return np.asarray(cellpar_to_cell([*lengths, *(values[3:] or [90, 90, 90])]))


def _spacing(hkl: Any, cell: Any) -> float:
    return float(1.0 / np.linalg.norm(np.linalg.inv(cell) @ hkl))


def spacing_against_cell(node: Node, place: Place) -> Iterator[Finding]:
    """Compare a stated spacing or 2theta with the cell, and with one another."""
    spacing = optional(node, ("spacing", "d", "d_spacing"), "angstrom", place)
    angle = optional(node, ("two_theta", "2theta"), "deg", place)
    if spacing is None and angle is None:
        return
    if spacing is not None and spacing.value <= 0:
        raise InputError("a spacing is positive", place=str(place.at("spacing")))
    if angle is not None and not 0 < angle.value < 180:
        raise InputError("2theta lies between 0 and 180 deg", place=str(place.at("two_theta")))
    wavelength = _wavelength(node, place)
    if spacing is not None and angle is not None:
        yield from _bragg(spacing, angle, wavelength, place)
    choices = cell_spacings(node, place)
    if not choices:
        return
    label = f"{node.get('phase', node.get('formula', ''))} {node.get('plane', node.get('hkl'))}"
    if spacing is not None and not any(spacing.agrees(c.value, 0.015, about=0.03) for c in choices):
        near = min(choices, key=lambda c: abs(math.log(c.value / max(spacing.value, 1e-9))))
        factor = spacing.value / near.value
        hint = "; nm for Å?" if abs(factor - 0.1) < 0.01 else ""
        yield place.at("spacing").finding(
            "spacing against cell",
            f"{spacing.value:g} Å is stated for {label}, {near.how} gives {short(near.value)} Å{hint}",
            f"d = 1/|h a* + k b* + l c*| = {short(near.value)} Å ({near.how});"
            f" {spacing.value:g} / {short(near.value)} = {short(factor)}",
            spacing.as_value(),
            Value(near.value, "angstrom", None, _FOLLOWS),
        )
    if angle is not None:
        yield from _angle_against_cell(angle, choices, wavelength, label, place)


def _wavelength(node: Node, place: Place) -> float:
    content = node.get("wavelength", node.get("radiation"))
    if isinstance(content, str) and content.strip().casefold() in _SOURCES:
        return _SOURCES[content.strip().casefold()]
    value = stated(content if content is not None else _COPPER, "angstrom", place.at("wavelength"))
    if value.value <= 0:
        raise InputError("a wavelength is positive", place=str(place.at("wavelength")))
    return value.value


def _two_theta(spacing: float, wavelength: float) -> float | None:
    sine = wavelength / (2.0 * spacing)
    return 2.0 * math.degrees(math.asin(sine)) if sine < 1.0 else None


def _bragg(spacing: Stated, angle: Stated, wavelength: float, place: Place) -> Iterator[Finding]:
    computed = _two_theta(spacing.value, wavelength)
    blurred = _two_theta(spacing.value + spacing.slack, wavelength)
    if (
        computed is None
        or blurred is None
        or angle.agrees(computed, 0.0, abs(blurred - computed) + 0.05)
    ):
        return
    yield place.at("two_theta").finding(
        "Bragg",
        f"2theta = {angle.value:g} deg does not belong to d = {spacing.value:g} Å, which is at"
        f" {computed:.2f} deg",
        f"2 asin({wavelength:.4f} / (2 x {spacing.value:g})) = {computed:.2f} deg",
        angle.as_value(),
        Value(computed, "deg", None, _FOLLOWS),
    )


def _angle_against_cell(
    angle: Stated, choices: Sequence[Spacing], wavelength: float, label: str, place: Place
) -> Iterator[Finding]:
    angles = [(c, _two_theta(c.value, wavelength)) for c in choices]
    known = [(c, a) for c, a in angles if a is not None]
    if not known or any(angle.agrees(a, 0.0, 0.2, about=0.0) for _, a in known):
        return
    near, computed = min(known, key=lambda pair: abs(pair[1] - angle.value))
    stated_d = wavelength / (2.0 * math.sin(math.radians(angle.value / 2.0)))
    yield place.at("two_theta").finding(
        "2theta against cell",
        f"{angle.value:g} deg is stated for {label}, {near.how} gives {computed:.2f} deg",
        f"2 asin({wavelength:.4f} / (2 x {near.value:.4f})) = {computed:.2f} deg;"
        f" {angle.value:g} deg is d = {stated_d:.3f} Å, not {near.value:.3f} Å",
        angle.as_value(),
        Value(computed, "deg", None, _FOLLOWS),
    )


def mismatch(node: Node, place: Place) -> Iterator[Finding]:
    """Compare a stated lattice mismatch with the two spacings, and ask what they mean."""
    content = node.get("mismatch")
    if not isinstance(content, dict) or "a" not in content or "b" not in content:
        return
    here = place.at("mismatch")
    a, how_a = _side(content["a"], here.at("a"))
    b, how_b = _side(content["b"], here.at("b"))
    if a is None or b is None:
        return
    relative = b / a - 1.0
    arithmetic = f"{b:.4f} Å ({how_b}) / {a:.4f} Å ({how_a}) - 1 = {100 * relative:+.2f} %"
    given = content.get("stated", content.get("value"))
    if given is not None:
        full = given if isinstance(given, dict | str) else {**content, "value": given}
        yield from _against_stated(full, a, b, arithmetic, here)
    yield from _in_plane(content, here)


def _against_stated(
    full: dict[str, Any] | str, a: float, b: float, arithmetic: str, place: Place
) -> Iterator[Finding]:
    relative = b / a - 1.0
    unit = str(full.get("unit", full.get("units", ""))) if isinstance(full, dict) else ""
    if isinstance(full, dict) and unit in ("A", "Å", "angstrom", "nm", "pm"):
        length = float(full["value"])
        yield place.finding(
            "mismatch as a length",
            f"a mismatch of {length:g} {unit} says nothing without its period;"
            f" it is {100 * relative:+.2f} %",
            arithmetic,
            Value(length, unit, None, "as stated in the record"),
            Value(100 * relative, "percent", None, _FOLLOWS),
        )
        return
    target = stated(full, "percent", place.at("stated"))
    readings = [abs(relative), abs(a / b - 1.0), 2 * abs(b - a) / (a + b)]
    if not any(target.agrees(100 * r, 0.05, 0.1) for r in readings):
        yield place.finding(
            "mismatch",
            f"{target.value:g} % is stated, the spacings make {100 * relative:+.2f} %",
            arithmetic,
            target.as_value(),
            Value(100 * abs(relative), "percent", None, _FOLLOWS),
        )


def _side(content: Any, place: Place) -> tuple[float | None, str]:
    if not isinstance(content, dict) or "value" in content:
        return stated(content, "angstrom", place).value, "as stated"
    own = optional(content, ("spacing", "d", "period"), "angstrom", place)
    if own is not None:
        return own.value, "as stated"
    choices = cell_spacings(content, place)
    if not choices:
        return None, ""
    return choices[0].value, f"{choices[0].how} {content.get('plane')}"


def _in_plane(content: Node, place: Place) -> Iterator[Finding]:
    """Report a mismatch of planes that lie parallel to the interface they should describe."""
    interface = content.get("interface")
    if not isinstance(interface, dict):
        return
    here = place.at("interface")
    for side in ("a", "b"):
        own = content[side]
        if not isinstance(own, dict) or f"plane_{side}" not in interface or "plane" not in own:
            return
        compared = np.array(plane_of(own["plane"], place.at(side)))
        contact = np.array(plane_of(interface[f"plane_{side}"], here))
        if np.any(np.cross(compared, contact)):
            return
    periods, shown = [], []
    for side in ("a", "b"):
        phase, direction = content[side].get("phase"), interface.get(f"direction_{side}")
        if isinstance(phase, str) and direction is not None:
            name, cell = cells_for(phase)[0]
            uvw = np.array(plane_of(direction, here))
            periods.append(_period(uvw, cell, phase))
            shown.append(f"{periods[-1]:.3f} Å along {list(map(int, uvw))} of {name}")
    text = " and ".join(shown)
    if len(periods) == 2:
        text += f": ratio {periods[1] / periods[0]:.3f}"
    yield here.finding(
        "mismatch out of plane",
        "the spacings compared are those of planes parallel to the interface, which say nothing"
        f" of the fit within it{f'; the periods there are {text}' if text else ''}",
        f"cross products of compared and contact planes are zero{f'; {text}' if text else ''}",
    )


def _period(uvw: Any, cell: Any, phase: str) -> float:
    """Return the shortest lattice period along a direction, centering included."""
    from heterodot.catalog.phases import phase_record

    record = phase_record(phase)
    centering = str(record["space_group"]).strip()[0]
    centerings: dict[str, list[tuple[float, float, float]]] = {
        "F": [(0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)],
        "I": [(0.5, 0.5, 0.5)],
        "C": [(0.5, 0.5, 0)],
        "A": [(0, 0.5, 0.5)],
    }
    vectors = centerings.get(centering, [])
    whole = uvw / math.gcd(*(int(x) for x in uvw))
    half = whole / 2.0
    shorter = any(np.allclose((half - v) % 1.0, 0.0) for v in vectors)
    return float(np.linalg.norm((half if shorter else whole) @ cell))


def facet(node: Node, place: Place) -> Iterator[Finding]:
    """Compare a face in one setting with the family that it is said to be in another."""
    content = node.get("facet")
    if not isinstance(content, dict) or "called" not in content:
        return
    here = place.at("facet")
    hkl = plane_of(content.get("plane"), here.at("plane"))
    family = plane_of(content["called"], here.at("called"))
    source, target = str(content.get("setting", "Pnma")), str(content.get("in", "pseudocubic"))
    moved = translate_plane(hkl, source, target, reduce=True)
    found = (int(moved[0]), int(moved[1]), int(moved[2]))
    if sorted(abs(x) for x in found) == sorted(abs(x) for x in family):
        return
    yield here.finding(
        "facet in another setting",
        f"{source} {hkl} is {target} {found}, not of the family {family}",
        f"hkl' = M hkl: {hkl} -> {found}",
    )


def forbidden_reflection(node: Node, place: Place) -> Iterator[Finding]:
    """Report a reflection that the symmetry of the phase forbids."""
    content = node.get("reflection")
    if not isinstance(content, dict) or "plane" not in content:
        return
    here = place.at("reflection")
    hkl = plane_of(content["plane"], here.at("plane"))
    import gemmi

    symbol = content.get("space_group")
    if symbol is None and isinstance(content.get("phase"), str):
        from heterodot.catalog.phases import phase_record

        symbol = phase_record(content["phase"])["space_group"]
    group = gemmi.find_spacegroup_by_name(str(symbol)) if symbol else None
    if group is None:
        raise InputError(
            "a reflection needs a phase or a space_group", place=str(here), remedy="add one"
        )
    if group.operations().is_systematically_absent(list(hkl)):
        yield here.finding(
            "forbidden reflection",
            f"{hkl} is absent by symmetry in {group.xhm()}",
            f"the screw axes, glide planes or centering of {group.xhm()} extinguish {hkl}",
        )


def zone_argument(node: Node, place: Place) -> Iterator[Finding]:
    """Report an angle of 90 deg between a plane and a direction in it given as evidence."""
    content = node.get("zone")
    if not isinstance(content, dict) or not {"plane", "direction"} <= set(content):
        return
    here = place.at("zone")
    hkl = plane_of(content["plane"], here.at("plane"))
    uvw = plane_of(content["direction"], here.at("direction"))
    product = sum(h * u for h, u in zip(hkl, uvw, strict=True))
    belongs = product == 0
    angle = optional(content, ("angle",), "deg", here)
    if angle is not None and belongs and abs(angle.value - 90.0) < 0.5:
        yield here.finding(
            "angle of a zone",
            f"the angle of 90 deg holds for every plane of the zone {list(uvw)} and singles out none",
            f"h u + k v + l w = {' + '.join(f'{h}x{u}' for h, u in zip(hkl, uvw, strict=True))} = 0",
        )
    elif angle is None and not belongs:
        yield here.finding(
            "plane and zone",
            f"the direction {list(uvw)} does not lie in the plane {hkl}",
            f"h u + k v + l w = {product}",
        )
