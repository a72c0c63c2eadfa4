"""Look up a physical value of a phase, or the radius of an ion, with its source."""

from __future__ import annotations

import json
import re
from typing import Any, Literal, overload

from heterodot.catalog import database
from heterodot.catalog.records import Entry, Source
from heterodot.errors import InputError, NotFoundError, nearest
from heterodot.units import Value

# A value without a stated temperature is taken to be of a room.
_ROOM_TEMPERATURE = 298.0


@overload
def lookup(
    phase_or_formula: str,
    quantity: str,
    *,
    temperature: float | None = None,
    all: Literal[False] = False,
) -> Entry: ...


@overload
def lookup(
    phase_or_formula: str,
    quantity: str,
    *,
    temperature: float | None = None,
    all: Literal[True],
) -> list[Entry]: ...


def lookup(
    phase_or_formula: str,
    quantity: str,
    *,
    temperature: float | None = None,
    all: bool = False,
) -> Entry | list[Entry]:
    """Return what is known of a quantity of a phase.

    A phase id (``"CsPbBr3_ortho"``) is answered with values of that phase, else of its formula;
    a formula (``"CsPbBr3"``) with values of the formula, else of its default polymorph, else of
    any polymorph. Read ``.phase`` of the answer to see which it was.

    Parameters
    ----------
    phase_or_formula : str
    quantity : str
        E.g. ``"band_gap"``; see `quantities` for the list.
    temperature : float, optional
        K. Prefer the value measured nearest to it to the marked default.
    all : bool
        Return every value, best first, instead of one.

    Returns
    -------
    Entry, or list of Entry if ``all``

    Raises
    ------
    InputError
        The phase or the quantity is not a name that the catalog has.
    NotFoundError
        Both are known, but there is no value (the quantities that are there are listed).

    Examples
    --------
    >>> str(lookup("PbS", "band_gap").value)
    '0.410(10) eV'
    >>> len(lookup("CsPbBr3", "band_gap", all=True)) > 1
    True
    """
    if quantity == "ionic_radius":
        radii = _radii(phase_or_formula)
        return radii if all else radii[0]
    names = names_for(phase_or_formula)
    found: list[tuple[int, Entry]] = []
    for rank, name in enumerate(names):
        for text, file, is_default in database.rows(
            "SELECT record, file, is_default FROM property WHERE phase = ? AND quantity = ?"
            " ORDER BY id",
            (name, quantity),
        ):
            record = {**json.loads(text), "default": bool(is_default)}
            found.append((rank, Entry.from_record(record, _origin(file))))
    if not found:
        raise _nothing(phase_or_formula, quantity, names)

    def order(item: tuple[int, Entry]) -> tuple[float, ...]:
        rank, entry = item
        near = 0.0
        if temperature is not None:
            stated = entry.temperature if entry.temperature is not None else _ROOM_TEMPERATURE
            near = abs(stated - temperature)
        return (rank, near, not entry.default)

    entries = [entry for _, entry in sorted(found, key=order)]
    return entries if all else entries[0]


def _origin(file: str) -> str:
    return file.removeprefix("project:") if file.startswith("project:") else "built-in"


def _radii(ion: str) -> list[Entry]:
    """Return the radii of an ion such as ``"Pb2+"``, six neighbors first."""
    match = re.fullmatch(r"\s*([A-Z][a-z]?)(\d*)([+-])\s*", ion)
    if match is None:
        raise InputError(
            f"'{ion}' is not an ion", remedy="write the element with its charge, e.g. 'Pb2+'"
        )
    charge = int(match[2] or 1) * (1 if match[3] == "+" else -1)
    rows = database.rows(
        "SELECT coordination, spin FROM radius WHERE element = ? AND charge = ?"
        " ORDER BY coordination != '6', CAST(coordination AS INTEGER), coordination",
        (match[1], charge),
    )
    if not rows:
        return [ionic_radius(match[1], charge)]  # says what there is
    return [ionic_radius(match[1], charge, c, spin=s) for c, s in rows]


def quantities(phase_or_formula: str | None = None) -> list[str]:
    """Return the names of all quantities, or of those with a value for a phase."""
    if phase_or_formula is None:
        found = database.rows("SELECT name FROM quantity UNION SELECT quantity FROM property")
        return sorted(row[0] for row in found)
    names = names_for(phase_or_formula)
    marks = ", ".join("?" * len(names))
    found = database.rows(f"SELECT DISTINCT quantity FROM property WHERE phase IN ({marks})", names)
    return sorted(row[0] for row in found)


def names_for(name: str) -> list[str]:
    """Return the ids and formulas whose values answer for ``name``, best first.

    Raises
    ------
    InputError
        Nothing has that name (the nearest known ones are suggested).
    """
    phases = database.rows("SELECT id, formula, default_for FROM phase")
    by_id = {row[0]: row for row in phases}
    if name in by_id:
        _, formula, _ = by_id[name]
        order = [name, formula]
    else:
        formula = name
        order = [name]
        order += [row[0] for row in phases if row[2] == name]
    order += [row[0] for row in phases if row[1] == formula] if name not in by_id else []
    unique = list(dict.fromkeys(order))
    known = name in by_id or any(row[1] == name for row in phases)
    if not known and not database.rows("SELECT 1 FROM property WHERE phase = ? LIMIT 1", (name,)):
        stated = [row[0] for row in database.rows("SELECT DISTINCT phase FROM property")]
        close = nearest(name, [*by_id, *(row[1] for row in phases), *stated])
        raise InputError(
            f"'{name}' is not a phase or formula of the catalog",
            remedy=f"did you mean {' or '.join(close)}?" if close else "see 'heterodot phases'",
        )
    return unique


def _nothing(name: str, quantity: str, names: list[str]) -> InputError | NotFoundError:
    known = quantities()
    if quantity not in known:
        close = nearest(quantity, known)
        return InputError(
            f"'{quantity}' is not a quantity of the catalog",
            remedy=f"did you mean {' or '.join(close)}?" if close else f"one of {', '.join(known)}",
        )
    marks = ", ".join("?" * len(names))
    there = sorted(
        row[0]
        for row in database.rows(
            f"SELECT DISTINCT quantity FROM property WHERE phase IN ({marks})", names
        )
    )
    return NotFoundError(
        f"the catalog has no {quantity} of {name}",
        remedy=(
            f"it has {', '.join(there)}" if there else "add one to a catalog folder of your own"
        ),
    )


def ionic_radius(
    element: str, charge: int, coordination: int | str = 6, *, spin: str = ""
) -> Entry:
    """Return the effective ionic radius of an ion (Shannon).

    Parameters
    ----------
    element : str
    charge : int
        Formal charge, e.
    coordination : int or str
        Number of neighbors; a text such as ``"4SQ"`` or ``"4PY"`` for special ones.
    spin : str
        ``"high"`` or ``"low"`` where the table tells them apart.

    Raises
    ------
    InputError
        The ion or the coordination is not in the table (those that are get listed).

    References
    ----------
    R. D. Shannon, Acta Cryst. A32, 751 (1976), table 1, effective ionic radii.

    Examples
    --------
    >>> ionic_radius("Cs", 1, 12).value.value
    1.88
    """
    hits: list[dict[str, Any]] = database.records(
        "SELECT record FROM radius WHERE element = ? AND charge = ? AND coordination = ?"
        " AND (spin = ? OR ? = '') ORDER BY spin",
        (element, int(charge), str(coordination), spin, spin),
    )
    ion = f"{element}{abs(int(charge))}{'+' if charge > 0 else '-'}"
    if not hits:
        there = database.rows(
            "SELECT charge, coordination, spin FROM radius WHERE element = ?", (element,)
        )
        listed = ", ".join(f"{q:+d} with {c}{f' {s} spin' if s else ''}" for q, c, s in there)
        raise InputError(
            f"no radius of {ion} with {coordination} neighbors in Shannon's table",
            remedy=f"it has {listed}" if listed else "check the element",
        )
    record = hits[0]
    return Entry(
        id=f"{ion}.ionic_radius.{coordination}",
        phase=element,
        quantity="ionic_radius",
        value=Value(record["radius"], record["unit"], None, "the table states none"),
        source=Source(record["source"]["citation"], record["source"].get("doi", "")),
        method="from interatomic distances of oxides, fluorides and halides",
        default=True,
        reason="the table that the field uses",
        conditions={"charge": charge, "coordination": coordination, "spin": spin},
    )


def radii_by_charge(element: str) -> dict[int, float]:
    """Return the radius of every ion of an element, Å, by formal charge.

    With six neighbors where the table has that, else with the number next to six; high spin.

    Examples
    --------
    >>> radii_by_charge("Pb")
    {2: 1.19, 4: 0.775}
    """
    found: dict[int, tuple[tuple[float, str], float]] = {}
    for charge, coordination, spin, record in database.rows(
        "SELECT charge, coordination, spin, record FROM radius WHERE element = ?", (element,)
    ):
        neighbors = re.match(r"\d+", coordination)
        special = coordination if neighbors is None or neighbors[0] != coordination else ""
        off = abs(int(neighbors[0]) - 6) if neighbors else 99
        order = (off + (0.5 if special else 0.0), spin)
        if charge not in found or order < found[charge][0]:
            found[charge] = (order, float(json.loads(record)["radius"]))
    return {charge: found[charge][1] for charge in sorted(found)}
