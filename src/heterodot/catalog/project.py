"""A project's own records over the built-in ones, and new phases from CIF files."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np

from heterodot.catalog import compile as compiling
from heterodot.catalog import database
from heterodot.catalog.structure import StructureReport, check_structure
from heterodot.crystal import Crystal
from heterodot.errors import InputError
from heterodot.files import write_text

# tables of records with an id that a project may add to, and the word for one of them
_TABLES = {"phase": "phase", "property": "value", "curve": "curve", "published": "entry"}


def add_records(connection: sqlite3.Connection, folder: Path) -> None:
    """Put the records of a project folder into a copy of the database.

    Raises
    ------
    InputError
        A record that is refused, or an id that is there already with another content (both
        sources are shown).
    """
    import yaml

    for path in compiling.text_files(folder):
        name = path.relative_to(folder).as_posix()
        kind = path.relative_to(folder).parts[0]
        if kind not in ("phases", "properties", "curves", "literature"):
            raise InputError(
                "is not in one of the folders phases, properties, curves, literature",
                file=path,
                remedy="move it into the one that it belongs to",
            )
        try:
            content = compiling.load_yaml(path.read_bytes())
        except (yaml.YAMLError, ValueError) as error:
            raise InputError(f"is not YAML ({error})", file=path, remedy="correct it") from error
        _validate(content, kind, path)
        for table, row in compiling.rows_of(kind, content, f"project:{name}"):
            _insert(connection, table, row, path)


def _validate(content: Any, kind: str, path: Path) -> None:
    from heterodot.catalog.formula import parse_formula
    from heterodot.catalog.schema import read_records

    if kind == "literature" and not (isinstance(content, dict) and "document" in content):
        raise InputError(
            "has no 'document' with key and citation", file=path, remedy="add document: {...}"
        )
    for record in read_records(path):
        identity = record["id"]
        needed = {
            "phases": ("space_group", "cell", "source"),
            "properties": ("phase", "quantity", "value", "source"),
            "curves": ("phase", "quantity", "source"),
        }.get(kind, ())
        for key in needed:
            if record.get(key) in (None, "", []):
                raise InputError(
                    f"record {identity} has no {key}", file=path, place=key, remedy="add it"
                )
        if kind == "phases" and record.get("formula"):
            parse_formula(str(record["formula"]), place=f"{path.name}: {identity}: formula")
        if kind == "properties" and not isinstance(record["value"], int | float):
            raise InputError(f"record {identity}: the value is no number", file=path, place="value")


def _insert(connection: sqlite3.Connection, table: str, row: tuple[Any, ...], path: Path) -> None:
    if table in _TABLES:
        own = connection.execute(f"SELECT record, file FROM {table} WHERE id = ?", (row[0],))
        hit = own.fetchone()
        record = json.loads(next(x for x in row if isinstance(x, str) and x.startswith("{")))
        if hit is not None:
            there = json.loads(hit[0])
            if there == record:
                return
            raise InputError(
                f"the {_TABLES[table]} {row[0]} is there already: {_source(there)} ({hit[1]});"
                f" this file has {_source(record)}",
                file=path,
                place=str(row[0]),
                remedy="give it another id",
            )
        if table == "property" and row[3]:
            # the project's default comes before the built-in one
            connection.execute(
                "UPDATE property SET is_default = 0 WHERE phase = ? AND quantity = ?", row[1:3]
            )
        if table == "phase" and record.get("default_for"):
            connection.execute(
                "UPDATE phase SET default_for = NULL WHERE default_for = ?",
                (record["default_for"],),
            )
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)


def _source(record: dict[str, Any]) -> str:
    source = record.get("source", "")
    text = source if isinstance(source, str) else source.get("citation", "")
    return f"'{text}'" if text else "no source"


def add_phase(
    path: str | Path,
    name: str,
    folder: str | Path,
    *,
    source: str = "",
    default: bool = False,
    anyway: bool = False,
) -> tuple[Crystal, StructureReport, Path]:
    """Check the crystal of a CIF file and store it as a phase of a project.

    Parameters
    ----------
    path : str or Path
        A CIF with one ordered crystal.
    name : str
        Id of the phase.
    folder : str or Path
        The project's catalog folder; it is made if it is not there.
    source : str
        Citation; what the CIF says of its origin if not given.
    default : bool
        Whether the formula without polymorph shall stand for it.
    anyway : bool
        Store it although checks found faults.

    Returns
    -------
    tuple of (Crystal, StructureReport, Path)
        What was stored, what the checks found, and the file written.

    Raises
    ------
    InputError
        The CIF is refused, the name is taken (both sources are shown), or the checks found
        faults.
    """
    if not name or any(ch in name for ch in "/\\ :\t\n"):
        raise InputError(
            f"'{name}' cannot be a name", place="--name", remedy="use letters, digits, _ and -"
        )
    crystal = Crystal.read(path)
    citation = source or crystal.source or f"CIF {Path(path).name}"
    crystal = crystal.replace(name=name, source=citation)
    taken = database.rows("SELECT record, file FROM phase WHERE id = ?", (name,))
    target = Path(folder) / "phases" / f"{name}.yaml"
    if not taken and target.is_file():
        taken = [
            (json.dumps(r, default=str), str(target))
            for r in compiling.load_yaml(target.read_bytes()) or []
        ]
    if taken:
        there = json.loads(taken[0][0])
        raise InputError(
            f"the name {name} is taken: {_source(there)} ({taken[0][1]}); this file has '{citation}'",
            file=path,
            place="--name",
            remedy="give another name",
        )
    report = check_structure(crystal)
    if report.faults and not anyway:
        raise InputError(
            f"its structure is not sound: {'; '.join(report.faults)}",
            file=path,
            remedy="correct the CIF, or store it all the same with --anyway",
        )
    record = _record(crystal, default)
    write_text(target, _yaml([record]))
    return crystal, report, target


def _record(crystal: Crystal, default: bool) -> dict[str, Any]:
    record: dict[str, Any] = {"id": crystal.name, "formula": crystal.formula}
    if default:
        record["default_for"] = crystal.formula
    record["space_group"], record["sites"] = _asymmetric(crystal)
    record["cell"] = [round(float(x), 8) for x in crystal.cellpar]
    if crystal.charges is not None:
        charges = {e: crystal.charge_of(e) for e in crystal.counts}
        record["charges"] = {e: int(q) if q == int(q) else q for e, q in charges.items()}
    record["formula_units"] = crystal.formula_units
    record["method"] = crystal.method or "from a CIF"
    if crystal.temperature is not None:
        record["temperature"] = crystal.temperature
    record["source"] = {"citation": crystal.source}
    return record


def _asymmetric(crystal: Crystal) -> tuple[str, dict[str, list[float]]]:
    """Return a space group and sites that make the crystal again; P 1 where symmetry does not."""
    symmetry = crystal.symmetry
    orbits = sorted({int(k) for k in symmetry.equivalent})
    chosen: dict[str, list[float]] = {}
    for k in orbits:
        label = crystal.labels[k]
        while label in chosen:
            label += "'"
        chosen[label] = [round(float(x), 10) for x in crystal.scaled[k]]
    try:
        again = Crystal.from_sites(crystal.name, symmetry.hall, crystal.cellpar, chosen)
        if len(again) == len(crystal):
            positions = again.scaled @ crystal.cell
            found = crystal.match_positions(positions, again.numbers, 0.02)
            if len(np.unique(found)) == len(crystal):
                return symmetry.hall, chosen
    except InputError:
        pass  # a shifted origin or an unusual setting: every atom is listed instead
    sites = {}
    for k, (label, point) in enumerate(zip(crystal.labels, crystal.scaled, strict=True), 1):
        element = "".join(ch for ch in label if ch.isalpha())
        sites[f"{element}{k}"] = [round(float(x), 10) for x in point]
    return "P 1", sites


def _yaml(content: Any) -> str:
    import yaml

    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100))
