"""Crystal phases by name."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.catalog import database
from heterodot.catalog.records import Source
from heterodot.crystal import Crystal
from heterodot.errors import InputError, nearest


def phase_names() -> list[str]:
    """Return the ids of all phases."""
    return [row[0] for row in database.rows("SELECT id FROM phase ORDER BY rowid")]


def phase_record(name: str) -> dict[str, Any]:
    """Return the record of a phase id, or of the default polymorph of a formula.

    Raises
    ------
    InputError
        Unknown name (the nearest known ones are suggested).
    """
    found = database.records(
        "SELECT record FROM phase WHERE id = ? OR default_for = ? ORDER BY id = ? DESC",
        (name, name, name),
    )
    if not found:
        known = database.rows("SELECT id, default_for FROM phase")
        close = nearest(name, [text for row in known for text in row if text])
        raise InputError(
            f"'{name}' is not a phase of the catalog",
            remedy=f"did you mean {' or '.join(close)}?" if close else "see 'heterodot phases'",
        )
    return found[0]


def crystal(name: str) -> Crystal:
    """Return the crystal of a phase id (``CsPbCl3_cubic``) or formula (its default polymorph).

    Raises
    ------
    InputError
        Unknown name (the nearest known ones are suggested), or a phase whose sites are not known.

    Examples
    --------
    >>> crystal("CsPbCl3").name
    'CsPbCl3_cubic'
    """
    record = phase_record(name)
    return _crystal(record["id"], database.connection())


def crystal_or_file(
    name: str, *, base: str | Path = ".", charges: Mapping[str, float] | None = None
) -> tuple[Crystal, dict[str, Any]]:
    """Return the crystal of a catalog name or a CIF path, and what was taken.

    Parameters
    ----------
    name : str
        Catalog name, or path of a CIF file (one that ends in ``.cif``, exists, or has a slash).
    base : path
        Folder that a relative path starts at.
    charges : mapping of element to formal charge, optional
        In place of those of the catalog, or of the common oxidation states.

    Returns
    -------
    Crystal
    dict
        ``{"catalog", "asked_for"}`` or ``{"file", "sha256"}``.

    Raises
    ------
    InputError
        Unknown name, or a file that cannot be read.

    Examples
    --------
    >>> crystal_or_file("CsPbCl3")[1]
    {'catalog': 'CsPbCl3_cubic', 'asked_for': 'CsPbCl3'}
    """
    path = Path(base) / name  # an absolute name stands for itself
    if name.lower().endswith(".cif") or "/" in name or "\\" in name or path.is_file():
        from heterodot.files import sha256

        return Crystal.read(path, charges=charges), {"file": path.name, "sha256": sha256(path)}
    found = crystal(name)
    if charges is not None:
        from heterodot.sites import charges_for

        found = found.replace(charges=charges_for(found.numbers, charges, place=name))
    return found, {"catalog": found.name, "asked_for": name}


@functools.lru_cache(maxsize=64)
def _crystal(name: str, _connection: Any) -> Crystal:
    record = phase_record(name)
    if not record.get("sites"):
        known = "its cell" if record.get("cell") else "its formula"
        raise InputError(
            f"the atomic sites of {record['id']} are not known, only {known}",
            remedy="give a CIF of it instead",
        )
    partly = {k: v for k, v in (record.get("occupancies") or {}).items() if v != 1}
    if partly:
        listed = ", ".join(f"{site} ({share:g})" for site, share in partly.items())
        raise InputError(
            f"{record['id']} has partly occupied sites: {listed}",
            remedy="take an ordered model of it (see 'heterodot phases')",
        )
    return _from_sites(record)


def _from_sites(record: dict[str, Any]) -> Crystal:
    source = record["source"]
    return Crystal.from_sites(
        record["id"],
        record["space_group"],
        record["cell"],
        record["sites"],
        charges=record.get("charges"),
        source=source if isinstance(source, str) else source["citation"],
        method=record.get("method", ""),
        temperature=record.get("temperature"),
    )


@dataclass(frozen=True, slots=True)
class Phase:
    """A crystal phase as the catalog lists it.

    Attributes
    ----------
    id : str
    formula : str
    default_for : str
        The formula that stands for this phase where no polymorph is named; else empty.
    space_group : str
        Hermann-Mauguin symbol with its setting.
    cell : tuple of float
        Lengths (Å) and angles (degrees) that the lattice system leaves free; empty if unknown.
    sites : int
        Number of distinct sites; 0 where only the cell is known.
    ordered : bool
        Whether every site is fully occupied.
    source : Source
    temperature : float or None
        K.
    density : float or None
        g/cm³, from cell, formula and formula units; None where one of them is not known.
    method, note, origin : str
        ``origin`` is ``"built-in"`` or the project's file.
    """

    id: str
    formula: str
    default_for: str
    space_group: str
    cell: tuple[float, ...]
    sites: int
    ordered: bool
    source: Source
    temperature: float | None = None
    method: str = ""
    note: str = ""
    origin: str = "built-in"
    density: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the phase as plain data."""
        found = {name: getattr(self, name) for name in self.__slots__}
        temperature, density = self.temperature, self.density
        return {
            **found,
            "cell": list(self.cell),
            "density": (
                None
                if density is None
                else {
                    "value": density,
                    "error": None,
                    "unit": "g/cm^3",
                    "error_reason": "follows from the cell",
                }
            ),
            "source": self.source.to_json(),
            "temperature": (
                None
                if temperature is None
                else {"value": temperature, "error": None, "unit": "K", "error_reason": "as stated"}
            ),
        }


def find_phases(text: str = "") -> list[Phase]:
    """Return the phases whose id, formula, space group or note has all words of ``text``.

    Examples
    --------
    >>> [phase.id for phase in find_phases("CdS")]
    ['CdS_zincblende', 'CdS_wurtzite']
    """
    found = []
    for _, formula, default_for, record_text, file in database.rows(
        "SELECT id, formula, default_for, record, file FROM phase ORDER BY formula, rowid"
    ):
        record = json.loads(record_text)
        source = record["source"]
        entry = Phase(
            id=record["id"],
            formula=formula,
            default_for=default_for or "",
            space_group=record["space_group"],
            cell=tuple(float(x) for x in record.get("cell") or ()),
            sites=len(record.get("sites") or ()),
            ordered=all(v == 1 for v in (record.get("occupancies") or {}).values()),
            source=(
                Source(source)
                if isinstance(source, str)
                else Source(source["citation"], source.get("doi", ""))
            ),
            temperature=record.get("temperature"),
            method=record.get("method", ""),
            note=record.get("note", ""),
            origin=file.removeprefix("project:") if file.startswith("project:") else "built-in",
            density=_density(record, formula),
        )
        there = f"{entry.id} {entry.formula} {entry.space_group} {entry.note}".casefold()
        if all(word in there for word in text.casefold().split()):
            found.append(entry)
    return found


def _density(record: dict[str, Any], formula: str) -> float | None:
    """Return the density that cell and formula units make, or None."""
    if not record.get("cell") or not record.get("formula_units"):
        return None
    from scipy.constants import atomic_mass

    from heterodot.catalog.formula import molar_mass, parse_formula

    mass = molar_mass(parse_formula(formula)) * float(record["formula_units"])
    return float(mass * atomic_mass / np.linalg.det(full_cell(record)) * 1e27)


def full_cell(record: dict[str, Any]) -> NDArray[np.float64]:
    """Return the lattice vectors of a phase record as rows, (3, 3), Å; sites are not needed."""
    import gemmi
    from ase.geometry import cellpar_to_cell

    values = [float(x) for x in record["cell"]]
    group = gemmi.find_spacegroup_by_name(record["space_group"])
    system = group.crystal_system_str() if group is not None else ""
    gamma = 120.0 if system in ("hexagonal", "trigonal") and len(values) < 6 else 90.0
    if len(values) == 1:
        values = values * 3
    elif len(values) == 2:
        values = [values[0], values[0], values[1]]
    if len(values) == 4:
        values = [*values[:3], 90.0, values[3], 90.0]
    if len(values) == 3:
        values = [*values, 90.0, 90.0, gamma]
    return np.asarray(cellpar_to_cell(values), dtype=float)


def cells_for(name: str) -> list[tuple[str, NDArray[np.float64]]]:
    """Return every cell that a name may mean, the likeliest first.

    A phase id means that phase. A formula means its polymorphs, the default one first, and
    orthorhombic perovskites in their pseudocubic axes as well, since documents mix settings.

    Returns
    -------
    list of (name, (3, 3) array)
        Empty where nothing has that name.
    """
    rows = database.rows("SELECT id, formula, default_for, record FROM phase ORDER BY rowid")
    exact = [row for row in rows if row[0] == name and row[1] != name]
    hits = exact or [row for row in rows if name in (row[0], row[1])]
    hits.sort(key=lambda row: row[2] != name)
    found = []
    for identity, formula, _, text in hits:
        record = json.loads(text)
        if not record.get("cell"):
            continue
        cell = full_cell(record)
        found.append((identity, cell))
        if not exact and record["space_group"].replace(" ", "") == "Pnma" and _perovskite(formula):
            from heterodot.settings import transformation

            axes = transformation("Pnma", "pseudocubic") @ cell
            mean = float(np.linalg.det(axes)) ** (1 / 3)
            found.append((f"{identity} (pseudocubic)", np.eye(3) * mean))
    return found


def _perovskite(formula: str) -> bool:
    from heterodot.catalog.formula import parse_formula

    counts = sorted(parse_formula(formula).values())
    return counts == [1.0, 1.0, 3.0]
