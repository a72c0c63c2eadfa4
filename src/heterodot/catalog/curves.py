"""Quantities that are functions of one variable: a gap of temperature, an index of wavelength."""

from __future__ import annotations

from dataclasses import dataclass

from heterodot.catalog import database
from heterodot.catalog.check.expressions import evaluate
from heterodot.catalog.records import Source
from heterodot.catalog.values import names_for
from heterodot.errors import InputError, NotFoundError
from heterodot.units import Value, registry


@dataclass(frozen=True, slots=True)
class Curve:
    """A quantity of a phase as a formula of one variable, with its source.

    Attributes
    ----------
    id, phase, quantity : str
    formula : str
        In the numbers of the variable.
    variable, variable_unit : str
        Symbol in the formula and the unit of its numbers.
    unit : str
        Of the result.
    low, high : float
        Where it holds, in ``variable_unit``.
    error : float or None
        Standard deviation of the result, in ``unit``.
    source : Source
    method, note : str

    Examples
    --------
    >>> gap = curve("PbS", "band_gap_of_temperature")
    >>> str(gap(300.0)), str(gap(Value(77, "K")))
    ('0.419(10) eV', '0.307(10) eV')
    """

    id: str
    phase: str
    quantity: str
    formula: str
    variable: str
    variable_unit: str
    unit: str
    low: float
    high: float
    error: float | None
    source: Source
    method: str = ""
    note: str = ""

    def __call__(self, at: float | Value) -> Value:
        """Return the quantity at a value of the variable (a bare number is in its unit).

        Raises
        ------
        InputError
            Outside the range in which the curve holds.
        """
        number = at.to(self.variable_unit).value if isinstance(at, Value) else float(at)
        if not self.low <= number <= self.high:
            raise InputError(
                f"{number:g} {self.variable_unit} is outside {self.low:g} to {self.high:g}"
                f" {self.variable_unit}, where {self.id} holds",
                remedy="stay inside, or give a curve of your own",
            )
        names = {self.variable: registry().Quantity(number, "")}
        result = float(evaluate(self.formula, names, self.id).to("").magnitude)
        reason = None if self.error is not None else "the source states none"
        return Value(result, self.unit, self.error, reason)


def curve(phase_or_formula: str, quantity: str) -> Curve:
    """Return a quantity of a phase as a function of one variable.

    Parameters
    ----------
    phase_or_formula : str
    quantity : str
        ``"band_gap_of_temperature"``, ``"refractive_index_of_wavelength"``; sizes of nanocrystals
        from their first exciton are in `heterodot.catalog.sizing`.

    Raises
    ------
    InputError
        Unknown phase.
    NotFoundError
        No such curve (those that are there are listed).
    """
    for name in names_for(phase_or_formula):
        found = database.records(
            "SELECT record FROM curve WHERE phase = ? AND quantity = ? ORDER BY id",
            (name, quantity),
        )
        found = [r for r in found if "formula" in r]
        if found:
            record = max(found, key=lambda r: bool(r.get("default")))
            variable, source = record["variable"], record["source"]
            error = record.get("error")
            return Curve(
                id=record["id"],
                phase=record["phase"],
                quantity=quantity,
                formula=str(record["formula"]),
                variable=str(variable["name"]),
                variable_unit=str(variable["unit"]),
                unit=str(record.get("unit") or ""),
                low=float(record["range"][0]),
                high=float(record["range"][1]),
                error=None if error is None else float(error),
                source=Source(source["citation"], source.get("doi", "")),
                method=record.get("method", ""),
                note=record.get("note", ""),
            )
    there = database.rows("SELECT DISTINCT phase, quantity FROM curve ORDER BY phase")
    raise NotFoundError(
        f"the catalog has no curve {quantity} of {phase_or_formula}",
        remedy=f"there are {', '.join(f'{q} of {p}' for p, q in there)}",
    )
