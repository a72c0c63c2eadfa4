"""Run every check on a record, a file or the whole catalog."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from heterodot.catalog import database
from heterodot.catalog.check import (
    composition,
    diffraction,
    kinetics,
    light,
    recipes,
    relations,
    worded,
)
from heterodot.catalog.check.findings import Finding, Node, Place, spelled_out, walk
from heterodot.errors import InputError
from heterodot.units import WrongDimension

Rule = Callable[[Node, Place], Iterator[Finding]]

# name -> what it compares; every rule looks at every mapping of a record and speaks where the
# keys that it needs are there.
RULES: dict[str, Rule] = {
    "mass against moles": recipes.mass_against_moles,
    "stock concentration": recipes.stock_concentration,
    "molar ratio": recipes.ratios,
    "share": recipes.shares,
    "formal charge": composition.formula_charge,
    "atomic against mass percent": composition.atomic_and_mass_percent,
    "sum of percentages": composition.percentages,
    "average lifetime": kinetics.average_lifetime,
    "diffusion": kinetics.diffusion,
    "spacing against cell": diffraction.spacing_against_cell,
    "mismatch": diffraction.mismatch,
    "facet in another setting": diffraction.facet,
    "forbidden reflection": diffraction.forbidden_reflection,
    "angle of a zone": diffraction.zone_argument,
    "photon energy": light.photon_energy,
    "electron wavelength": light.electron_wavelength,
    "excitation below the gap": light.excitation,
    "derived value": relations.derived,
    "equation dimension": relations.equation_dimension,
    "misprinted law": relations.law,
    "quantity": relations.quantity_dimension,
    "reflections in words": worded.worded_reflections,
}


# What arithmetic on a record of odd shape ends in; the record is told, not the program stopped.
_MALFORMED = (
    TypeError,
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)


def check_record(record: Mapping[str, Any], identity: str | None = None) -> list[Finding]:
    """Return the disagreements within one record.

    Parameters
    ----------
    record : mapping
        See the documentation for the keys that are understood; others are left alone.
    identity : str, optional
        What to call it; its ``id`` if not given.

    Raises
    ------
    InputError
        A number as text, an unknown unit, a formula that does not parse (record and key named).

    Examples
    --------
    >>> slip = {"id": "lab.1", "energy": {"value": 2.48, "unit": "eV"},
    ...         "wavelength": {"value": 520, "unit": "nm"}}
    >>> print(check_record(slip)[0].message)
    2.48 eV and 520 nm are not one photon: 520 nm is 2.384 eV
    """
    name = identity or str(record.get("id", record.get("name", "record")))
    found: list[Finding] = []
    for node, place in walk(spelled_out(record), Place(name)):
        for rule_name, rule in RULES.items():
            try:
                found.extend(rule(node, place))
            except WrongDimension as error:
                where = Place(name, (error.place or str(place)).removeprefix(f"{name}: "))
                found.append(where.finding("dimension", error.what, "the two units differ in kind"))
            except InputError as error:
                raise error.at(place=str(place)) from error
            except _MALFORMED as error:
                raise InputError(
                    f"cannot be checked for {rule_name}: its keys do not hold what they should"
                    f" ({type(error).__name__}: {error})",
                    place=str(place),
                    remedy="compare it with the table of keys in the documentation",
                ) from error
    # the same disagreement met through a parent and its child is one
    unique = {(f.key, f.rule, f.message): f for f in found}
    return list(unique.values())


def check_file(path: str | Path) -> tuple[list[Finding], int]:
    """Return the disagreements in a YAML file of records, and the number of records.

    Raises
    ------
    InputError
        Not YAML, no records, or a record that cannot be read (its id and key are named).
    """
    from heterodot.catalog.schema import read_records

    records = read_records(path)
    found: list[Finding] = []
    for record in [*records, *worded.together(records)]:
        try:
            found += check_record(record)
        except InputError as error:
            raise error.at(file=path) from error
    return found, len(records)


def check_catalog() -> tuple[list[Finding], int]:
    """Return the disagreements in the built-in catalog's own records, and how many there are.

    The documents' records stand as printed, so their known slips show here.
    """
    found: list[Finding] = []
    count = 0
    for table in ("property", "phase", "published"):
        for (text,) in database.rows(f"SELECT record FROM {table} ORDER BY rowid"):
            record = json.loads(text)
            count += 1
            found += check_record(record)
    for document in database.rows("SELECT DISTINCT document FROM published"):
        results = database.records(
            "SELECT record FROM published WHERE kind = 'results' AND document = ?", document
        )
        for record in worded.together(results):
            found += check_record(record)
    return found, count
