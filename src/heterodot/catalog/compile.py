"""Compile the catalog's reviewed text into one SQLite file (this is no public interface)."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Bump when the tables below change: the cached database of an older layout is then not used.
LAYOUT = 2

_KINDS = (
    "systems",
    "results",
    "recipes",
    "equations",
    "claims",
    "inconsistencies",
    "comparisons",
)

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE phase (id TEXT PRIMARY KEY, formula TEXT, default_for TEXT, record TEXT, file TEXT);
CREATE TABLE property (
    id TEXT PRIMARY KEY, phase TEXT, quantity TEXT, is_default INTEGER, record TEXT, file TEXT
);
CREATE INDEX property_by_phase ON property (phase, quantity);
CREATE TABLE curve (id TEXT PRIMARY KEY, phase TEXT, quantity TEXT, record TEXT, file TEXT);
CREATE TABLE radius (element TEXT, charge INTEGER, coordination TEXT, spin TEXT, record TEXT);
CREATE INDEX radius_by_ion ON radius (element, charge);
CREATE TABLE bond_valence (
    cation TEXT, cation_charge INTEGER, anion TEXT, anion_charge INTEGER, record TEXT
);
CREATE TABLE quantity (name TEXT PRIMARY KEY, unit TEXT, record TEXT);
CREATE TABLE published (
    id TEXT PRIMARY KEY, kind TEXT, document TEXT, system TEXT, quantity TEXT, record TEXT,
    file TEXT
);
CREATE INDEX published_by_kind ON published (kind, document);
CREATE TABLE reagent (name TEXT PRIMARY KEY, record TEXT);
CREATE TABLE law (name TEXT PRIMARY KEY, record TEXT);
CREATE TABLE document (key TEXT PRIMARY KEY, record TEXT);
"""


def text_files(folder: Path) -> list[Path]:
    """Return the data files of a catalog folder in a fixed order."""
    return sorted(p for p in folder.rglob("*.yaml") if p.is_file())


def digest(folder: Path) -> str:
    """Return the hash of all text of a catalog folder and of the layout."""
    found = hashlib.sha256(f"layout {LAYOUT}".encode())
    for path in text_files(folder):
        found.update(path.relative_to(folder).as_posix().encode())
        found.update(b"\0")
        found.update(path.read_bytes())
    return found.hexdigest()


def load_yaml(text: str | bytes) -> Any:
    """Return the plain data of YAML text (the C loader where it is there; no objects ever)."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(text, Loader=loader)


def fill(connection: sqlite3.Connection, folder: Path, found: str = "") -> None:
    """Make the tables in ``connection`` and put every record of ``folder`` in.

    Parameters
    ----------
    connection : sqlite3.Connection
        An empty database.
    folder : Path
        With ``phases/``, ``properties/``, ``curves/``, ``literature/`` and the tables of ions.
    found : str
        The folder's `digest`, kept in ``meta``.
    """
    connection.executescript(_TABLES)
    connection.execute("INSERT INTO meta VALUES ('digest', ?)", (found,))
    for path in text_files(folder):
        kind = path.relative_to(folder).parts[0]
        content = load_yaml(path.read_bytes())
        name = path.relative_to(folder).as_posix()
        for table, row in rows_of(kind, content, name):
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)
    connection.commit()


def rows_of(kind: str, content: Any, file: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield (table, row) for every record of a data file; ``kind`` is its folder or name."""
    if content is None:
        return
    if kind == "phases":
        for r in content:
            formula = r.get("formula") or r["id"].split("_")[0]
            yield "phase", (r["id"], formula, r.get("default_for"), _text(r), file)
    elif kind == "properties":
        for r in content:
            row = (r["id"], r["phase"], r["quantity"], int(bool(r.get("default"))), _text(r), file)
            yield "property", row
    elif kind == "curves":
        for r in content:
            yield "curve", (r["id"], r["phase"], r["quantity"], _text(r), file)
    elif kind == "literature":
        yield from _literature(content, file)
    elif kind == "ionic_radii.yaml":
        rows = [(row, {"source": content["source"]}) for row in content["radii"]]
        rows += [(r["ion"], {k: r[k] for k in r if k != "ion"}) for r in content.get("others", [])]
        for (element, charge, coordination, spin, radius), origin in rows:
            record = {
                "radius": radius,
                "unit": content["unit"],
                "uncertainty": content.get("uncertainty"),
                **origin,
            }
            yield "radius", (element, charge, str(coordination), spin or "", _text(record))
    elif kind == "bond_valence.yaml":
        for cation, charge, anion, anion_charge, r0, b, source in content["parameters"]:
            record = {"r0": r0, "b": b, "unit": "angstrom", "source": content["sources"][source]}
            yield "bond_valence", (cation, charge, anion, anion_charge, _text(record))
    elif kind == "reagents.yaml":
        for r in content["reagents"]:
            yield "reagent", (r["names"][0], _text(r))
    elif kind == "laws.yaml":
        for name, r in content.items():
            yield "law", (name, _text(r))
    elif kind == "quantities.yaml":
        for name, r in content.items():
            yield "quantity", (name, r["unit"], _text(r))


def _literature(content: Any, file: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
    document = content["document"]
    key = document["key"]
    yield "document", (key, _text(document))
    for kind in _KINDS:
        for r in content.get(kind) or []:
            systems = r.get("systems") or ([r["system"]] if r.get("system") else [])
            row = (r["id"], kind, key, "|".join(systems), r.get("quantity", ""), _text(r), file)
            yield "published", row


def _text(record: Any) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"), default=str)
