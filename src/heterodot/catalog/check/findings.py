"""What the checker reports, and how it reads numbers and weighs differences."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from heterodot.errors import InputError
from heterodot.units import Value, convert, parse

Node = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """One disagreement between what a record states and what its own numbers give.

    Attributes
    ----------
    record : str
        Id of the record.
    key : str
        Where in the record.
    rule : str
        Which check found it.
    message : str
        One sentence.
    arithmetic : str
        The computation, with its numbers.
    stated, computed : Value or None
        The two numbers, where there are two.
    """

    record: str
    key: str
    rule: str
    message: str
    arithmetic: str
    stated: Value | None = None
    computed: Value | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the finding as plain data."""
        return {
            "record": self.record,
            "key": self.key,
            "rule": self.rule,
            "message": self.message,
            "arithmetic": self.arithmetic,
            "stated": None if self.stated is None else self.stated.to_json(),
            "computed": None if self.computed is None else self.computed.to_json(),
        }

    def __str__(self) -> str:
        return f"{self.record}: {self.key}: {self.message} [{self.arithmetic}]"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which record the checker is."""

    record: str
    key: str = ""

    def at(self, key: str | int) -> Place:
        """Return the place one key further in."""
        text = f"[{key}]" if isinstance(key, int) else (f".{key}" if self.key else str(key))
        return Place(self.record, f"{self.key}{text}")

    def __str__(self) -> str:
        return f"{self.record}: {self.key}" if self.key else self.record

    def finding(
        self,
        rule: str,
        message: str,
        arithmetic: str,
        stated: Value | None = None,
        computed: Value | None = None,
    ) -> Finding:
        """Return a finding at this place."""
        return Finding(self.record, self.key, rule, message, arithmetic, stated, computed)


@dataclass(frozen=True, slots=True)
class Stated:
    """A number as a record states it: with the unit asked for and how sharply it is given.

    Attributes
    ----------
    value : float
        In ``unit``.
    unit : str
    slack : float
        Half a unit of its last digit, or its stated uncertainty if larger, in ``unit``.
    about : bool
        Marked as approximate.
    bound : str
        ``"<"``, ``">"``, ``"<="``, ``">="`` or empty.
    """

    value: float
    unit: str
    slack: float
    about: bool = False
    bound: str = ""

    def as_value(self) -> Value:
        """Return it as a Value (the error is the width of the last digit)."""
        return Value(self.value, self.unit, None, "as stated in the record")

    def agrees(
        self,
        computed: float,
        relative: float,
        slack: float = 0.0,
        *,
        digits: float = math.inf,
        about: float = 0.08,
    ) -> bool:
        """Return whether ``computed`` may be what was meant.

        Parameters
        ----------
        computed : float
            In ``unit``.
        relative : float
            Relative difference that is let pass.
        slack : float
            Absolute difference that is let pass besides, in ``unit``.
        digits : float
            Largest relative slack that the last digit is granted: who writes 0.2 mmol in a
            recipe means 0.200 and not anything from 0.15 to 0.25.
        about : float
            Relative difference that is let pass where the number is marked as approximate.
        """
        share = max(about, relative) if self.about else relative
        room = min(self.slack, digits * abs(computed)) + slack + share * abs(computed)
        room += 1e-12 * abs(computed)
        if self.bound in ("<", "<="):
            return computed <= self.value + room
        if self.bound in (">", ">="):
            return computed >= self.value - room
        return abs(self.value - computed) <= room

    def __str__(self) -> str:
        return f"{self.bound} {self.value:.6g} {self.unit}".strip()


_UNITS = {
    "%": "percent",
    "at%": "percent",
    "wt%": "percent",
    "Å": "angstrom",
    "°C": "degC",
    "°": "deg",
    "m0": "m_e",
    "1": "",
    "M": "mol/L",
    "mM": "mmol/L",
    "cm2/s": "cm**2/s",
    "cm2/Vs": "cm**2/V/s",
    "cm-1": "1/cm",
    "Jones": "cm*Hz**0.5/W",
    "µm": "um",
    "μm": "um",
}


def plain_unit(unit: str, like: str = "") -> str:
    """Return a unit that pint reads for what laboratories write (``"%"``, ``"cm2/Vs"``).

    ``A`` is an angstrom where a length is wanted (``like``) and an ampere elsewhere, ``C`` a
    degree Celsius where a temperature is wanted and a coulomb elsewhere.

    Examples
    --------
    >>> plain_unit("A", "nm"), plain_unit("A", "mA"), plain_unit("cm2/Vs")
    ('angstrom', 'A', 'cm**2/V/s')
    """
    text = unit.strip()
    if text == "A" and like in ("angstrom", "nm", "pm", "um", "m"):
        return "angstrom"
    if text == "C" and like in ("K", "degC"):
        return "degC"
    if text in _UNITS:
        return _UNITS[text]
    # exponents as laboratories write them: cm2, cm-1
    return re.sub(r"(?<=[A-Za-zµμ])(-?\d)", r"**\1", text)


def half_digit(number: float) -> float:
    """Return half a unit of the last digit that a number is written with.

    Examples
    --------
    >>> half_digit(0.04), half_digit(29.8), half_digit(5)
    (0.005, 0.05, 0.5)
    """
    if not math.isfinite(number) or number == 0:
        return 0.0
    text = repr(number)
    exponent = Decimal(text).as_tuple().exponent
    if text.endswith(".0") or isinstance(number, int):
        exponent = 0
    return 0.5 * 10.0 ** int(exponent)


def stated(content: Any, unit: str, place: Place) -> Stated:
    """Return the number that a record states, in ``unit``.

    ``content`` is ``{value, unit}`` (``units`` is read as well), a text such as ``"3.4 nm"``, or
    a bare number, taken to be in ``unit``.

    Raises
    ------
    InputError
        No number, a number as text without a unit, an unknown unit or one of another dimension.
    """
    about, bound, width = False, "", 0.0
    found = unit
    if isinstance(content, Mapping):
        number = content.get("value")
        found = content.get("unit", content.get("units", unit)) or ""
        bound = str(content.get("bound", "") or "")
        about = bound in ("about", "~") or bool(content.get("about", False))
        bound = bound if bound in ("<", ">", "<=", ">=") else ""
        width = float(content.get("uncertainty") or content.get("error") or 0.0)
        if isinstance(number, str):
            raise InputError(
                f"the number '{number}' is written as text",
                place=str(place.at("value")),
                remedy="take the quotation marks away",
            )
    elif isinstance(content, str):
        text = content.strip()
        about = text.startswith(("~", "about "))
        text = text.removeprefix("~").removeprefix("about ").strip()
        head = text.split()
        try:
            float(head[0])
        except (ValueError, IndexError):
            # symbols of laboratories ("2.33eV") are left to the parser of units
            return Stated(parse(text, unit, place=str(place)), unit, 0.0, about)
        if len(head) == 1:
            raise InputError(
                f"the number '{content}' is written as text",
                place=str(place),
                remedy="take the quotation marks away, or add the unit",
            )
        number = float(head[0]) if "." in head[0] or "e" in head[0].lower() else int(head[0])
        found = " ".join(head[1:])
    else:
        number = content
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise InputError(
            f"{number!r} is not a number", place=str(place), remedy="give {value: ..., unit: ...}"
        )
    found = plain_unit(str(found), unit)
    try:
        value = convert(float(number), found or "1", unit or "1")
        upper = convert(float(number) + half_digit(number), found or "1", unit or "1")
        wide = convert(float(number) + width, found or "1", unit or "1")
    except InputError as error:
        raise error.at(place=str(place.at("unit"))) from error
    slack = max(abs(upper - value), abs(wide - value))
    return Stated(value, unit, slack, about, bound)


def optional(node: Node, keys: tuple[str, ...], unit: str, place: Place) -> Stated | None:
    """Return the number under the first of ``keys`` that is there, or None."""
    for key in keys:
        if node.get(key) is not None:
            return stated(node[key], unit, place.at(key))
    return None


def walk(content: Any, place: Place) -> Iterator[tuple[Node, Place]]:
    """Yield every mapping in a record with its place, outermost first."""
    if isinstance(content, Mapping):
        yield content, place
        for key, value in content.items():
            yield from walk(value, place.at(str(key)))
    elif isinstance(content, list | tuple):
        for k, value in enumerate(content):
            yield from walk(value, place.at(k))


# "mass_mg: 70" is read as "mass: {value: 70, unit: mg}"
_WITH_UNIT = re.compile(
    r"(mass|moles|amount|volume|energy|wavelength|two_theta|spacing|d|lifetime|average|length"
    r"|temperature)_(mg|g|ug|mmol|umol|mol|uL|mL|L|eV|meV|nm|A|angstrom|deg|ns|ps|us|K)"
)
# "quantity: average lifetime, value: 4 ns" beside its components says "average: 4 ns"
_NAMED = {
    "average lifetime": "average",
    "mean lifetime": "average",
    "diffusion length": "length",
    "diffusion coefficient": "diffusion",
    "mobility": "mobility",
    "photon energy": "energy",
    "emission energy": "energy",
    "wavelength": "wavelength",
    "emission wavelength": "wavelength",
    "d spacing": "spacing",
    "lattice spacing": "spacing",
    "interplanar spacing": "spacing",
    "interplanar distance": "spacing",
    "2theta": "two_theta",
    "two theta": "two_theta",
    "stock concentration": "concentration",
    "concentration": "concentration",
    "mismatch": "stated",
}
# below these the keys are symbols, elements or names of the record's own
_OWN_NAMES = frozenset(
    {"inputs", "variables", "fractions", "percentages", "composition", "counts", "charges"}
)
_SYNONYMS = {
    "photon_energy": "energy",
    "lambda": "wavelength",
    "mu": "mobility",
    "L": "length",
    "diffusion_length": "length",
    "2theta": "two_theta",
    "hkl": "plane",
    "tau_ave": "average",
    "tau_average": "average",
    "average_lifetime": "average",
}


def spelled_out(content: Any) -> Any:
    """Return a record with units out of its keys and other words for a key made the usual ones.

    Examples
    --------
    >>> spelled_out({"name": "PbBr2", "mass_mg": 70, "tau1": 2, "A1": 0.5})["mass"]
    {'value': 70, 'unit': 'mg'}
    """
    if isinstance(content, Mapping):
        found: dict[str, Any] = {}
        for key, value in content.items():
            match = _WITH_UNIT.fullmatch(str(key))
            if match and isinstance(value, int | float) and match[1] not in content:
                unit = "angstrom" if match[2] == "A" else match[2]
                found[match[1]] = {"value": value, "unit": unit}
            elif str(key) in _SYNONYMS and _SYNONYMS[str(key)] not in content:
                found[_SYNONYMS[str(key)]] = spelled_out(value)
            else:
                found[str(key)] = value if str(key) in _OWN_NAMES else spelled_out(value)
        name = str(found.get("quantity", "")).strip().casefold().replace("_", " ")
        alias = _NAMED.get(name.replace("-", " "))
        if alias is not None and alias not in found and isinstance(found.get("value"), int | float):
            taken = ("value", "unit", "units", "bound", "uncertainty")
            found[alias] = {key: found[key] for key in taken if key in found}
        return found
    if isinstance(content, list | tuple):
        return [spelled_out(item) for item in content]
    return content


def short(number: float) -> str:
    """Return a number for showing arithmetic."""
    return f"{number:.4g}"
