"""What the catalog hands out: a value with its source, temperature and method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from heterodot.units import Value


@dataclass(frozen=True, slots=True)
class Source:
    """Where a record comes from.

    Attributes
    ----------
    citation : str
        Authors, journal, volume, page (year).
    doi : str
        Without resolver; empty where none is known for certain.
    """

    citation: str
    doi: str = ""

    def __str__(self) -> str:
        return f"{self.citation}, doi:{self.doi}" if self.doi else self.citation

    def to_json(self) -> dict[str, str]:
        """Return citation and DOI as plain data."""
        return {"citation": self.citation, "doi": self.doi}


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of one quantity of one phase, with its source.

    Attributes
    ----------
    id : str
        Unique in the catalog, ``"PbS.band_gap.1"``.
    phase : str
        Phase id or bare formula that the value is stated for.
    quantity : str
        E.g. ``"band_gap"`` (see `heterodot.catalog.quantities`).
    value : Value
        Number, unit and error; use ``.value.to_pint()`` for a pint quantity.
    source : Source
    temperature : float or None
        K, where stated.
    method : str
        How it was had.
    default : bool
        Whether it is the one that `lookup` gives when asked for one.
    reason : str
        Why it is the default.
    note : str
        Anything a reader should know.
    origin : str
        ``"built-in"`` or the project file that it came from.

    Examples
    --------
    >>> from heterodot.catalog import lookup
    >>> gap = lookup("PbS", "band_gap")
    >>> gap.value.unit, gap.temperature
    ('eV', 300.0)
    """

    id: str
    phase: str
    quantity: str
    value: Value
    source: Source
    temperature: float | None = None
    method: str = ""
    default: bool = False
    reason: str = ""
    note: str = ""
    origin: str = "built-in"
    conditions: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the entry as plain data; the value as ``{"value", "error", "unit"}``."""
        return {
            "id": self.id,
            "phase": self.phase,
            "quantity": self.quantity,
            **self.value.to_json(),
            "temperature": (
                None
                if self.temperature is None
                else Value(self.temperature, "K", None, "as stated").to_json()
            ),
            "method": self.method,
            "source": self.source.to_json(),
            "default": self.default,
            "reason": self.reason,
            "note": self.note,
            "origin": self.origin,
            **({"conditions": dict(self.conditions)} if self.conditions else {}),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any], origin: str = "built-in") -> Entry:
        """Return the Entry of a property record of a data file."""
        uncertainty = record.get("uncertainty")
        source = record["source"]
        temperature = record.get("temperature")
        return cls(
            id=str(record["id"]),
            phase=str(record["phase"]),
            quantity=str(record["quantity"]),
            value=Value(
                float(record["value"]),
                str(record.get("unit") or ""),
                None if uncertainty is None else float(uncertainty),
                None if uncertainty is not None else "the source states none",
            ),
            source=Source(str(source["citation"]), str(source.get("doi") or "")),
            temperature=None if temperature is None else float(temperature),
            method=str(record.get("method") or ""),
            default=bool(record.get("default", False)),
            reason=str(record.get("reason") or ""),
            note=str(record.get("note") or ""),
            origin=origin,
            conditions=dict(record.get("conditions") or {}),
        )
