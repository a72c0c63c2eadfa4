"""Transfer tables behind ``heterodot fit plqy``: which column is what, and the row-by-row test."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from heterodot.cli.console import Console
from heterodot.cli.light import deliver, warn_all

if TYPE_CHECKING:
    from heterodot.probes.plqy import TransferRow
    from heterodot.units import Value

_COLUMNS: dict[str, str] = {
    "quantum_yield": r"plqy|quantum.?yield|phi",
    "exciting": r"i_?ex|exciting|excitation",
    "stated": r"eta|efficien|transfer",
    "donor": r"a_?(donor|pero|perovskite|cspb)",
    "acceptor": r"a_?(acceptor|pbs|cds|chalco)",
    "emission": r"^pl\b|^pl_|emission|counts",
}


def is_transfer_table(path: str) -> bool:
    """Whether a file has the columns of a transfer table."""
    columns = _find(_table(path)[0])
    return {"emission", "exciting", "acceptor", "donor", "quantum_yield"} <= set(columns)


def _table(path: str) -> tuple[list[str], list[list[str]]]:
    """Return the heading and rows of a delimited table whose first column may be text."""
    import csv

    from heterodot.files import read_text

    lines = [x for x in read_text(path).splitlines() if x.strip() and not x.startswith("#")]
    if not lines:
        return [], []
    sign = max("\t;,", key=lines[0].count)
    rows = [[c.strip() for c in row] for row in csv.reader(lines, delimiter=sign)]
    return rows[0], rows[1:]


def _find(heading: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for k, name in enumerate(heading):
        for key, pattern in _COLUMNS.items():
            if key not in found and re.search(pattern, name, re.IGNORECASE):
                found[key] = k
                break
    return found


def read_rows(path: str) -> list[TransferRow]:
    """Return the rows of a transfer table; errors are those of rounding to the printed digits.

    Raises
    ------
    InputError
        A cell that is no number (with its line and column).
    """
    import numpy as np

    from heterodot.errors import InputError
    from heterodot.probes.plqy import TransferRow, rounding_error
    from heterodot.units import Value

    heading, rows = _table(path)
    columns = _find(heading)
    numbers: dict[str, Any] = {}
    for key, k in columns.items():
        column = []
        for line, row in enumerate(rows, 2):
            try:
                text = row[k].rstrip("%").strip()
                column.append(float(text.replace(",", ".") if "." not in text else text))
            except (IndexError, ValueError):
                raise InputError(
                    f"'{row[k] if k < len(row) else ''}' is not a number",
                    file=path,
                    place=f"line {line}, column '{heading[k]}'",
                    remedy="correct it",
                ) from None
        numbers[key] = np.asarray(column)
    errors = {key: rounding_error(c) for key, c in numbers.items()}
    percent = "stated" in numbers and (
        "%" in heading[columns["stated"]] or numbers["stated"].max() > 1.5
    )
    if percent:
        numbers["stated"], errors["stated"] = numbers["stated"] / 100, errors["stated"] / 100
    named = [k for k in range(len(heading)) if k not in columns.values()]

    def value(key: str, i: int) -> Value:
        return Value(float(numbers[key][i]), "", errors[key] or None)

    return [
        TransferRow(
            rows[i][named[0]] if named else str(i + 1),
            value("emission", i),
            value("exciting", i),
            value("acceptor", i),
            value("donor", i),
            value("quantum_yield", i),
            value("stated", i) if "stated" in numbers else None,
        )
        for i in range(len(rows))
    ]


def transfer_table(
    console: Console, path: str, form: str, calibration: Value | None, output: str | None
) -> None:
    """Show efficiencies of a transfer table in one or both forms, and test what it states."""
    from pathlib import Path

    from heterodot.files import sha256
    from heterodot.probes.plqy import CIRCULAR, consistency, transfer_efficiency
    from heterodot.report.figures_light import consistency_figure

    rows = read_rows(path)
    forms = ("printed", "absorbed") if form == "both" else (form,)
    stated = all(r.stated is not None for r in rows) and len(rows) > 1
    document: dict[str, Any] = {"source": Path(path).name, "sha256": sha256(path), "forms": {}}
    warnings: list[str] = []
    results = []
    for one in forms:
        tested = consistency(rows, form=one) if stated else None
        factor = calibration or (tested.factor if tested else None)
        eta = [transfer_efficiency(r, form=one, calibration=factor) for r in rows]
        plain = [transfer_efficiency(r, form=one) for r in rows]
        table = [
            [
                r.name,
                "-" if r.stated is None else f"{100 * r.stated.value:.2f} %",
                _percent(p),
                _percent(e),
                str(tested.needed[k]) if tested else "-",
                ("yes" if tested.consistent[k] else "NO") if tested else "-",
            ]
            for k, (r, p, e) in enumerate(zip(rows, plain, eta, strict=True))
        ]
        console.table(
            ["sample", "stated", "uncalibrated", "calibrated", "calibration needed", "agrees"],
            table,
            title=f"{one} form, calibration {factor if factor is not None else 'none'}",
        )
        document["forms"][one] = {
            "calibration": factor,
            "rows": [
                {
                    "sample": r.name,
                    "stated": r.stated,
                    "uncalibrated": p,
                    "calibrated": e,
                    "calibration_needed": tested.needed[k] if tested else None,
                    "agrees": tested.consistent[k] if tested else None,
                }
                for k, (r, p, e) in enumerate(zip(rows, plain, eta, strict=True))
            ],
            "warnings": list(tested.warnings) if tested else [CIRCULAR],
        }
        warnings += [
            f"{one} form: {w}" if w != CIRCULAR else w for w in document["forms"][one]["warnings"]
        ]
        if tested:
            results.append(tested)
    document["warnings"] = list(dict.fromkeys(warnings))
    console.document(document)
    warn_all(console, warnings)
    if results:
        deliver(
            console,
            output,
            lambda: consistency_figure([r.name for r in rows], results),
            ["sample", *(f"calibration needed ({r.form})" for r in results)],
            lambda: [[r.name, *(t.needed[k].value for t in results)] for k, r in enumerate(rows)],
        )


def _percent(value: Value) -> str:
    from heterodot.units import Value as Quantity

    error = None if value.error is None else 100 * value.error
    return f"{Quantity(100 * value.value, '', error)} %"
