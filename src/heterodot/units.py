"""Numbers with unit and error, and the one pint registry of the package."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

from heterodot.errors import InputError


class WrongDimension(InputError):
    """A unit that measures something else than the one asked for."""


@functools.cache
def registry() -> Any:
    """Return the package's pint registry (made at first use; importing pint takes a while)."""
    import pint

    ureg = pint.UnitRegistry()
    pint.set_application_registry(ureg)
    return ureg


@dataclass(frozen=True, slots=True)
class Value:
    """A physical quantity: number, standard error, unit.

    Parameters
    ----------
    value : float
        The number, in ``unit``.
    unit : str
        A unit that pint reads; ``""`` or ``"1"`` for a pure number.
    error : float, optional
        One standard error (or the stated limit), in ``unit``.
    error_reason : str, optional
        Why there is no error, where ``error`` is None.

    Examples
    --------
    >>> gap = Value(2.30, "eV", 0.05)
    >>> str(gap), round(gap.to("meV").value)
    ('2.30(5) eV', 2300)
    >>> Value(1.0, "eV").to_json()["error_reason"]
    'not stated'
    """

    value: float
    unit: str = ""
    error: float | None = None
    error_reason: str | None = None

    def to(self, unit: str) -> Value:
        """Return the same quantity in another unit.

        Raises
        ------
        InputError
            The units measure different things.
        """
        if unit == self.unit:
            return self
        factor_at = _converter(self.unit or "1", unit or "1")
        value = factor_at(self.value)
        error = (
            None
            if self.error is None
            else abs(factor_at(self.value + self.error) - factor_at(self.value - self.error)) / 2
        )
        return Value(value, unit, error, self.error_reason)

    def to_pint(self) -> Any:
        """Return the value as a pint quantity (the error is dropped)."""
        return registry().Quantity(self.value, self.unit or "dimensionless")

    def to_json(self) -> dict[str, Any]:
        """Return ``{"value", "error", "unit"}`` with ``error_reason`` where error is null."""
        document: dict[str, Any] = {"value": self.value, "error": self.error, "unit": self.unit}
        if self.error is None:
            document["error_reason"] = self.error_reason or "not stated"
        return document

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Value:
        """Return the Value that ``to_json`` wrote."""
        return cls(
            document["value"], document["unit"], document.get("error"), document.get("error_reason")
        )

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit and self.unit != "1" else ""
        return f"{format_error(self.value, self.error)}{unit}"

    def show(self) -> str:
        """Return it for a reader: symbols of units, four digits where there is no error.

        Examples
        --------
        >>> Value(0.763597, "angstrom").show(), Value(7.09, "deg", 0.2).show()
        ('0.7636 Å', '7.1(2)°')
        """
        number = f"{self.value:.4g}" if not self.error else format_error(self.value, self.error)
        unit = symbol(self.unit)
        return f"{number}{'' if unit in ('', '°') else ' '}{unit}"


SYMBOLS = {"angstrom": "Å", "deg": "°", "percent": "%", "degC": "°C", "1": "", "um": "µm"}


def symbol(unit: str) -> str:
    """Return a unit as it is printed.

    Examples
    --------
    >>> symbol("eV/angstrom"), symbol("angstrom^2")
    ('eV/Å', 'Å²')
    """
    import re

    if unit in SYMBOLS:
        return SYMBOLS[unit]
    text = re.sub(r"\bangstrom\b", "Å", unit)
    return text.replace("**", "^").replace("^2", "²").replace("^3", "³")


def format_error(value: float, error: float | None) -> str:
    """Return ``value(error)`` in the field's short form.

    Examples
    --------
    >>> format_error(8.94, 0.31), format_error(1234.5, 20.0), format_error(0.5, None)
    ('8.9(3)', '1230(20)', '0.5')
    >>> format_error(2.031e-19, 4e-21)
    '2.03(4)e-19'
    """
    if error is None or not math.isfinite(error) or error <= 0 or not math.isfinite(value):
        return f"{value:.6g}"
    largest = max(abs(value), error)
    if largest < 1e-4 or largest >= 1e7:
        power = math.floor(math.log10(largest))
        return f"{format_error(value / 10.0**power, error / 10.0**power)}e{power}"
    exponent = math.floor(math.log10(error))
    leading = error / 10**exponent
    if leading < 1.95:
        exponent -= 1
    if exponent >= 0:
        scale = 10**exponent
        return f"{round(value / scale) * scale:.0f}({round(error / scale) * scale:.0f})"
    return f"{value:.{-exponent}f}({round(error / 10**exponent):d})"


@functools.lru_cache(maxsize=512)
def _converter(unit: str, to: str) -> Any:
    import pint

    ureg = registry()
    try:
        source, target = ureg.Unit(unit), ureg.Unit(to)
        probe = ureg.Quantity(1.0, source)
        probe.to(target)
    except pint.UndefinedUnitError as error:
        raise InputError(f"'{error.args[0]}' is not a known unit") from error
    except pint.DimensionalityError as error:
        raise WrongDimension(f"{unit} cannot be given in {to}") from error
    except Exception as error:  # pint raises many kinds on malformed text
        raise InputError(f"'{unit}' is not a unit") from error
    return lambda number: float(ureg.Quantity(number, source).to(target).magnitude)


def convert(number: float, unit: str, to: str) -> float:
    """Return ``number`` in ``unit`` expressed in ``to``.

    Examples
    --------
    >>> convert(3.4, "nm", "angstrom")
    34.0
    """
    if unit == to:
        return number
    return round(float(_converter(unit, to)(number)), 15)


def parse(text: str | float | int, unit: str, *, place: str | None = None) -> float:
    """Return the number in ``unit`` that a text such as ``"3.4 nm"`` states.

    A bare number is taken to be in ``unit`` already. The symbols Å, ° and µ are understood.

    Raises
    ------
    InputError
        No number, an unknown unit, or one of another dimension.

    Examples
    --------
    >>> parse("3.4 nm", "angstrom"), parse("30 deg", "deg"), parse(12, "angstrom")
    (34.0, 30.0, 12.0)
    """
    if isinstance(text, bool):
        raise InputError(f"{text} is not a quantity", place=place, remedy=f"give it in {unit}")
    if isinstance(text, int | float):
        number, found = float(text), unit
    else:
        import re

        match = re.fullmatch(
            r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*", str(text)
        )
        if match is None:
            raise InputError(
                f"'{text}' does not start with a number",
                place=place,
                remedy=f"give a number with its unit, e.g. '3 {unit}'",
            )
        number = float(match[1])
        found = (
            match[2]
            .replace("Å", "angstrom")
            .replace("Å", "angstrom")
            .replace("°", "deg")
            .replace("µ", "u")
            .replace("μ", "u")
            .replace("²", "^2")
            or unit
        )
    if not math.isfinite(number):
        raise InputError(f"{text} is not a finite number", place=place)
    try:
        return convert(number, found, unit)
    except InputError as error:
        raise type(error)(
            error.what, place=place, remedy=f"use a unit that converts to {unit}"
        ) from error
