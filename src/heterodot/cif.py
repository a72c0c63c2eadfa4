"""CIF in and out: one ordered crystal a file, with its symmetry, or one sentence why not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodot.crystal import Crystal
from heterodot.errors import InputError
from heterodot.files import read_text, write_text
from heterodot.sites import charges_for, element_of

if TYPE_CHECKING:
    from ase import Atoms


def read_cif(path: str | Path, *, charges: Mapping[str, float] | None = None) -> Crystal:
    """Return the one crystal in a CIF file.

    Formal charges are taken from ``_atom_type_oxidation_number`` or the charge in
    ``_atom_site_type_symbol`` if the file has them, else from common oxidation states.

    Parameters
    ----------
    path : str or Path
    charges : mapping of element to formal charge, optional

    Raises
    ------
    InputError
        Missing, empty or malformed file; no block or several blocks with atoms; no cell, no
        symmetry, no sites; partial occupancy; sites that disagree with the file's own formula.
    """
    import gemmi

    text = read_text(path)
    try:
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"is not a whole CIF ({str(error).replace('string:', 'line ')})",
            file=path,
            remedy="download or export it again",
        ) from error
    blocks = [block for block in document if len(block.find_loop("_atom_site_fract_x")) > 0]
    if not blocks:
        raise InputError(
            "has no atom sites (_atom_site_fract_x)",
            file=path,
            remedy="give a CIF of a crystal; the file may be cut off",
        )
    if len(blocks) > 1:
        names = ", ".join(block.name for block in blocks[:4])
        raise InputError(
            f"has {len(blocks)} structures ({names})",
            file=path,
            remedy="keep the one you want in a file of its own",
        )
    block = blocks[0]
    cell = _cell(block, path)
    operations = _operations(block, path)
    sites = _sites(block, path)
    given = charges if charges is not None else _oxidation(block)
    name = str(Path(path).stem)
    try:
        crystal = Crystal.from_operations(
            name,
            cell,
            operations,
            {label: site for label, (_, site) in sites.items()},
            charges=None,
            source=_source(block, path),
            temperature=_number(block, "_diffrn_ambient_temperature")
            or _number(block, "_cell_measurement_temperature"),
        )
    except InputError as error:
        raise error.at(file=path) from error
    by_label = {label: number for label, (number, _) in sites.items()}
    numbers = np.array([by_label[label] for label in crystal.labels])
    atom_charges = charges_for(
        numbers, given, place=str(path), cell=crystal.cell, scaled=crystal.scaled
    )
    crystal = crystal.replace(numbers=numbers, charges=atom_charges)
    _agree_with_formula(block, crystal, path)
    return crystal


def _cell(block: Any, path: str | Path) -> Any:
    from ase.geometry import cellpar_to_cell

    tags = [
        "_cell_length_a",
        "_cell_length_b",
        "_cell_length_c",
        "_cell_angle_alpha",
        "_cell_angle_beta",
        "_cell_angle_gamma",
    ]
    values = [_number(block, tag) for tag in tags]
    for tag, value in zip(tags, values, strict=True):
        if value is None or value <= 0:
            raise InputError(
                "has no usable value", file=path, place=tag, remedy="complete the cell"
            )
    cell = np.asarray(cellpar_to_cell(values), dtype=float)
    if not np.isfinite(cell).all() or np.linalg.det(cell) < 1.0:
        raise InputError("has a cell without volume", file=path, remedy="check lengths and angles")
    return cell


def _number(block: Any, tag: str) -> float | None:
    import gemmi

    text = block.find_value(tag)
    if text is None:
        return None
    value = float(gemmi.cif.as_number(text))
    return value if np.isfinite(value) else None


def _operations(block: Any, path: str | Path) -> Any:
    import gemmi

    for tag in ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz"):
        column = [gemmi.cif.as_string(text) for text in block.find_values(tag)]
        if column:
            try:
                return np.array([gemmi.Op(text).float_seitz() for text in column], dtype=float)
            except (RuntimeError, ValueError) as error:
                raise InputError(
                    f"has an operation that does not parse ({error})", file=path, place=tag
                ) from error
    for tag in (
        "_space_group_name_Hall",
        "_symmetry_space_group_name_Hall",
        "_space_group_name_H-M_alt",
        "_symmetry_space_group_name_H-M",
    ):
        text = block.find_value(tag)
        symbol = gemmi.cif.as_string(text) if text is not None else ""
        if not symbol or symbol in "?.":
            continue
        if tag.endswith("Hall"):
            try:
                group = gemmi.symops_from_hall(symbol)
            except (RuntimeError, ValueError):
                continue
            return np.array([op.float_seitz() for op in group], dtype=float)
        found = gemmi.find_spacegroup_by_name(symbol)
        if found is None:
            raise InputError(
                f"'{symbol}' is not a space group", file=path, place=tag, remedy="correct it"
            )
        return np.array([op.float_seitz() for op in found.operations()], dtype=float)
    raise InputError(
        "states no symmetry",
        file=path,
        remedy="add _space_group_name_H-M_alt ('P 1' if every atom of the cell is listed)",
    )


def _sites(block: Any, path: str | Path) -> dict[str, tuple[int, Any]]:
    import gemmi

    table = block.find(
        "_atom_site_",
        ["fract_x", "fract_y", "fract_z", "?label", "?type_symbol", "?occupancy", "?calc_flag"],
    )
    sites: dict[str, tuple[int, Any]] = {}
    partial: list[str] = []
    for n, row in enumerate(table):
        label = row.str(3) if row.has(3) else ""
        kind = row.str(4) if row.has(4) else ""
        symbol = kind if kind and kind not in "?." else label
        if row.has(6) and row.str(6) == "dum":
            continue
        point = np.array([gemmi.cif.as_number(row[i]) for i in range(3)], dtype=float)
        if not np.isfinite(point).all():
            raise InputError(
                f"site {label or n + 1} has no coordinates",
                file=path,
                place="_atom_site_fract_x",
                remedy="complete the sites; the file may be cut off",
            )
        if row.has(5):
            occupancy = gemmi.cif.as_number(row[5])
            if np.isfinite(occupancy) and abs(occupancy - 1.0) > 1e-3:
                partial.append(f"{label or symbol} ({occupancy:g})")
                continue
        number = element_of(symbol, place=str(path))
        unique = label or f"{symbol}{n + 1}"
        while unique in sites:
            unique += "'"
        sites[unique] = (number, point)
    if partial:
        raise InputError(
            f"has partly occupied sites: {', '.join(partial[:5])}",
            file=path,
            place="_atom_site_occupancy",
            remedy="give an ordered model of the crystal",
        )
    return sites


def _oxidation(block: Any) -> dict[str, float] | None:
    import re

    import gemmi
    from ase.data import chemical_symbols

    found: dict[str, float] = {}
    for row in block.find("_atom_type_", ["symbol", "oxidation_number"]):
        value = float(gemmi.cif.as_number(row[1]))
        if np.isfinite(value):
            found[chemical_symbols[element_of(row.str(0))]] = value
    if not found:
        for text in block.find_values("_atom_site_type_symbol"):
            match = re.fullmatch(r"([A-Z][a-z]?)(\d*)([+-])", gemmi.cif.as_string(text))
            if not match:
                return None
            found[match[1]] = float(match[2] or 1) * (1 if match[3] == "+" else -1)
    if not found or all(value == 0 for value in found.values()):
        return None
    return found


def _source(block: Any, path: str | Path) -> str:
    import gemmi

    parts = [f"CIF {Path(path).name}"]
    for tag in ("_journal_paper_doi", "_citation_doi", "_journal_name_full", "_cod_database_code"):
        text = block.find_value(tag)
        if text is not None and gemmi.cif.as_string(text) not in ("", "?", "."):
            parts.append(gemmi.cif.as_string(text))
    return ", ".join(parts)


def _agree_with_formula(block: Any, crystal: Crystal, path: str | Path) -> None:
    """Refuse a list of sites that lost elements which the file's own formula has."""
    import re

    import gemmi

    text = block.find_value("_chemical_formula_sum")
    if text is None:
        return
    stated = {
        element: float(count or 1)
        for element, count in re.findall(r"([A-Z][a-z]?)(\d*\.?\d*)", gemmi.cif.as_string(text))
    }
    stated.pop("H", None)
    stated.pop("D", None)
    found = {element: float(n) for element, n in crystal.counts.items() if element not in "HD"}
    if not stated or not found:
        return
    if set(stated) != set(found):
        lost = sorted(set(stated) ^ set(found))
        raise InputError(
            f"its sites and its formula '{gemmi.cif.as_string(text)}' disagree on {', '.join(lost)}",
            file=path,
            place="_chemical_formula_sum",
            remedy="the list of sites may be cut off; download it again",
        )
    ratios = [found[element] / stated[element] for element in stated]
    if max(ratios) > 1.02 * min(ratios):
        raise InputError(
            f"its sites make {crystal.formula}, its formula says '{gemmi.cif.as_string(text)}'",
            file=path,
            place="_chemical_formula_sum",
            remedy="check symmetry and sites; the file may be cut off",
        )


def write_cif(
    path: str | Path, atoms: Atoms, *, name: str = "heterodot", comment: str = ""
) -> Path:
    """Write atoms as a P 1 CIF with twelve significant digits.

    A finite particle (no periodicity) is put in the middle of a box with 10 Å of vacuum on
    each side, since a CIF has to have a cell.

    Parameters
    ----------
    path : str or Path
    atoms : ase.Atoms
    name : str
        Name of the data block.
    comment : str
        Lines put at the head of the file.
    """
    work = atoms.copy()
    if not all(work.pbc):
        low = work.positions.min(0)
        span = work.positions.max(0) - low
        work.set_cell(np.diag(span + 20.0))
        work.positions += 10.0 - low
    scaled = work.get_scaled_positions(wrap=bool(all(atoms.pbc)))
    a, b, c, alpha, beta, gamma = work.cell.cellpar()
    head = [f"# {line}" for line in comment.splitlines()]
    lines = [
        *head,
        f"data_{''.join(ch if ch.isalnum() else '_' for ch in name)}",
        "_space_group_name_H-M_alt 'P 1'",
        "_space_group_IT_number 1",
        "loop_",
        "_space_group_symop_operation_xyz",
        "'x, y, z'",
        f"_cell_length_a {a:.10f}",
        f"_cell_length_b {b:.10f}",
        f"_cell_length_c {c:.10f}",
        f"_cell_angle_alpha {alpha:.10f}",
        f"_cell_angle_beta {beta:.10f}",
        f"_cell_angle_gamma {gamma:.10f}",
        f"_chemical_formula_sum '{_formula_sum(work)}'",
        "loop_",
        "_atom_site_label",
        "_atom_site_type_symbol",
        "_atom_site_fract_x",
        "_atom_site_fract_y",
        "_atom_site_fract_z",
        "_atom_site_occupancy",
    ]
    seen: dict[str, int] = {}
    for symbol, point in zip(work.get_chemical_symbols(), scaled, strict=True):
        seen[symbol] = seen.get(symbol, 0) + 1
        x, y, z = point
        lines.append(f"{symbol}{seen[symbol]} {symbol} {x:.12f} {y:.12f} {z:.12f} 1")
    return write_text(path, "\n".join(lines) + "\n")


def _formula_sum(atoms: Atoms) -> str:
    counts = atoms.symbols.formula.count()
    return " ".join(f"{element}{number}" for element, number in sorted(counts.items()))
