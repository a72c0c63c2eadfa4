"""Published results of the documents that the catalog holds, found by system and quantity."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from heterodot.catalog import database
from heterodot.catalog.records import Source
from heterodot.errors import InputError, NotFoundError, nearest
from heterodot.units import Value

KINDS = (
    "results",
    "systems",
    "recipes",
    "equations",
    "claims",
    "inconsistencies",
    "comparisons",
)

# Words that stand for one another in a query; each is tried for the other.
_SYNONYMS: dict[str, tuple[str, ...]] = {
    "emission": ("pl", "photoluminescence"),
    "photoluminescence": ("pl", "emission"),
    "pl": ("emission", "photoluminescence"),
    "yield": ("plqy", "qy"),
    "plqy": ("yield",),
    "bandgap": ("gap",),
    "band": ("gap", "cbm", "vbm"),
    "diameter": ("size",),
    "edge": ("size",),
    "size": ("edge", "diameter", "width"),
    "misfit": ("mismatch",),
    "mismatch": ("misfit",),
    "electron-transfer": ("transfer",),
    "lifetime": ("tau", "decay"),
    "tau": ("lifetime",),
    "spacing": ("d",),
    "detectivity": ("d*",),
    "exciton": ("excitonic", "absorption"),
    "xrd": ("2theta",),
    "2theta": ("xrd",),
}


@dataclass(frozen=True, slots=True)
class Published:
    """One entry of a document: a result, system, recipe, equation, claim or known slip.

    Attributes
    ----------
    id : str
        ``"Qiu2023.M039"``.
    kind : str
        One of `KINDS`.
    document : str
        Key of the document, ``"Qiu2023"``.
    source : Source
    systems : tuple of str
        Heterostructures or phases that it is about, ``("CsPbBr3/CdS",)``.
    system : str
        What the document calls the sample.
    quantity : str
        What was measured; the name of recipes, equations and systems.
    values : tuple of Value
        None, one or several numbers, each with unit and error.
    text : str
        What it says where it is not a number.
    bound : str
        ``"<"``, ``">"``, ``"about"``, ``"range"`` or empty.
    how : str
        ``"measured"``, ``"fitted"``, ``"calculated"``, ``"instrument"``, ``"quoted"``...
    conditions, place : str
        Conditions of the measurement; where in the document.
    record : mapping
        The whole record as it is in the data file.
    """

    id: str
    kind: str
    document: str
    source: Source
    systems: tuple[str, ...] = ()
    system: str = ""
    quantity: str = ""
    values: tuple[Value, ...] = ()
    text: str = ""
    bound: str = ""
    how: str = ""
    conditions: str = ""
    place: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> Value | None:
        """The number, where there is exactly one."""
        return self.values[0] if len(self.values) == 1 else None

    def to_json(self) -> dict[str, Any]:
        """Return the entry as plain data."""
        return {
            "id": self.id,
            "kind": self.kind,
            "document": self.document,
            "source": self.source.to_json(),
            "systems": list(self.systems),
            "system": self.system,
            "quantity": self.quantity,
            "values": [value.to_json() for value in self.values],
            "text": self.text,
            "bound": self.bound,
            "how": self.how,
            "conditions": self.conditions,
            "place": self.place,
            **({"record": dict(self.record)} if self.kind != "results" else {}),
        }


def published(
    *,
    system: str | None = None,
    quantity: str | None = None,
    document: str | None = None,
    kind: str = "results",
) -> list[Published]:
    """Return what the documents publish, in the order in which they print it.

    Parameters
    ----------
    system : str, optional
        A heterostructure (``"CsPbBr3/CdS"``, ``"CdS-CsPbBr3"``), a phase (``"PbS"``: alone, not
        as part of a heterostructure), or words of what the document calls the sample.
    quantity : str, optional
        Words that all have to be in the quantity's name (``"electron transfer time"``).
    document : str, optional
        Key of the document or its beginning (``"Qiu"``).
    kind : str
        One of `KINDS`; ``"results"`` if not given.

    Raises
    ------
    InputError
        Unknown document or kind.
    NotFoundError
        Nothing fits (what is there for the system is listed).

    Examples
    --------
    >>> times = published(system="CsPbBr3/CdS", quantity="electron transfer time")
    >>> [(str(x.value), x.how) for x in times][:2]
    [('8.9(14) ps', 'fitted'), ('8.9(8) ps', 'fitted')]
    """
    if kind not in KINDS:
        raise InputError(f"'{kind}' is not a kind of entry", remedy=f"one of {', '.join(KINDS)}")
    keys = _documents(document)
    sources = _sources()
    rows = database.rows(
        "SELECT document, record FROM published WHERE kind = ? ORDER BY rowid", (kind,)
    )
    entries = [
        _entry(kind, key, json.loads(text), sources[key]) for key, text in rows if key in keys
    ]
    if system is not None:
        entries = [entry for entry in entries if _is_about(entry, system)]
    of_system = entries
    if quantity is not None:
        entries = [entry for entry in entries if _names(entry, quantity)]
    if not entries:
        raise _nothing(system, quantity, document, kind, of_system)
    return entries


def documents() -> dict[str, Source]:
    """Return the documents by key."""
    return dict(_sources())


def _sources() -> dict[str, Source]:
    found = {}
    for key, text in database.rows("SELECT key, record FROM document"):
        record = json.loads(text)
        found[str(key)] = Source(record["citation"], record.get("doi", ""))
    return found


def _documents(document: str | None) -> set[str]:
    known = list(_sources())
    if document is None:
        return set(known)
    keys = {key for key in known if key.casefold().startswith(document.casefold())}
    if not keys:
        raise InputError(
            f"'{document}' is not a document of the catalog", remedy=f"one of {', '.join(known)}"
        )
    return keys


def _entry(kind: str, document: str, record: dict[str, Any], source: Source) -> Published:
    names = {
        "equations": "name",
        "systems": "name",
        "recipes": "name",
        "claims": "claim",
        "inconsistencies": "issue",
        "comparisons": "topic",
    }
    texts = {"equations": "printed", "recipes": "outcome", "inconsistencies": "because"}
    texts |= {"claims": "shown_by", "comparisons": "status"}
    return Published(
        id=record["id"],
        kind=kind,
        document=document,
        source=source,
        systems=tuple(record.get("systems", ())),
        system=str(record.get("system", record.get("name", ""))),
        quantity=str(record.get(names.get(kind, "quantity"), "")),
        values=_values(record) if kind == "results" else (),
        text=str(record.get(texts.get(kind, "text"), record.get("text", ""))),
        bound=str(record.get("bound", "")),
        how=str(record.get("kind", record.get("role", record.get("verdict", "")))),
        conditions=str(record.get("conditions", "")),
        place=str(record.get("place", "")),
        record=record,
    )


def _values(record: dict[str, Any]) -> tuple[Value, ...]:
    if "value" not in record:
        return ()
    numbers = record["value"] if isinstance(record["value"], list) else [record["value"]]
    units = record.get("unit", "")
    units = units if isinstance(units, list) else [units] * len(numbers)
    errors = record.get("uncertainty")
    errors = errors if isinstance(errors, list) else [errors] * len(numbers)
    return tuple(
        Value(
            float(number),
            unit,
            None if error is None else float(error),
            None if error is not None else "the document states none",
        )
        for number, unit, error in zip(numbers, units, errors, strict=True)
    )


def _parts(text: str) -> frozenset[str]:
    """Return the materials of ``"CsPbBr3/CdS"`` or ``"CsPbBr3-PbS"`` as a set."""
    kept = text.replace("2-x", "2~x").replace("1-x", "1~x")
    return frozenset(
        part.strip().replace("~", "-").casefold() for part in re.split(r"[/@–—-]", kept) if part
    )


def _is_about(entry: Published, system: str) -> bool:
    wanted = _parts(system)
    if any(_parts(name) == wanted for name in entry.systems):
        return True
    formulas = {part for name in entry.systems for part in _parts(name)}
    if wanted <= formulas or any(wanted == _parts(name) for name in entry.systems):
        return False  # a material alone does not stand for a heterostructure that has it
    return all(
        re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", entry.system.casefold())
        for word in system.casefold().split()
    )


def _words(text: str) -> list[str]:
    found = re.findall(r"[a-z0-9*]+", text.casefold().replace("d*", "detectivity"))
    return [word[:-1] if len(word) > 3 and word.endswith("s") else word for word in found]


def _names(entry: Published, quantity: str) -> bool:
    there = _words(f"{entry.quantity} {entry.system if entry.kind != 'results' else ''}")
    return all(
        any(
            word.startswith(option) for word in there for option in (want, *_SYNONYMS.get(want, ()))
        )
        for want in _words(quantity)
    )


def _nothing(
    system: str | None,
    quantity: str | None,
    document: str | None,
    kind: str,
    of_system: list[Published],
) -> NotFoundError:
    asked = " ".join(
        part
        for part in (
            f"of {system}" if system else "",
            f"on '{quantity}'" if quantity else "",
            f"in {document}" if document else "",
        )
        if part
    )
    if not of_system:
        names = database.rows("SELECT DISTINCT system FROM published WHERE kind = ?", (kind,))
        known = sorted({name for row in names for name in row[0].split("|") if name})
        close = nearest(system or "", known, n=6) or known[:12]
        return NotFoundError(f"no {kind} {asked}", remedy=f"there are some of {', '.join(close)}")
    there = list(dict.fromkeys(entry.quantity for entry in of_system))
    close = nearest(quantity or "", there, n=5) or there[:8]
    listed = "', '".join(close)
    return NotFoundError(f"no {kind} {asked}", remedy=f"there are '{listed}'")
