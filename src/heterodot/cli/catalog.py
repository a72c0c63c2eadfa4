"""``heterodot phases``, ``lookup`` and ``literature``: ask the catalog."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from heterodot.cli.console import Console, verb, write_csv
from heterodot.errors import InputError

# Where a project keeps records of its own, if it keeps any.
OWN_FOLDER = "heterodot-catalog"

_project = click.option(
    "--project",
    type=click.Path(file_okay=False),
    help=f"Folder with records of your own [default: ./{OWN_FOLDER} if it is there].",
)
_csv = click.option(
    "--csv", "csv_path", metavar="FILE", help="Write the table as CSV ('-' for the screen)."
)


@contextlib.contextmanager
def _own_records(console: Console, project: str | None) -> Iterator[Path]:
    """Overlay the project's records, and say so."""
    from heterodot.catalog import overlay

    named = project or os.environ.get("HETERODOT_CATALOG") or OWN_FOLDER
    folder = Path(named)
    if project is not None and not folder.is_dir():
        raise InputError("is not a folder", file=folder, remedy="give your catalog folder")
    if not folder.is_dir() or os.environ.get("HETERODOT_CATALOG") == named:
        yield folder
        return
    with overlay(folder):
        console.remark(f"with your own records from {folder}")
        yield folder


def _tabulate(
    console: Console, columns: Sequence[str], rows: list[list[Any]], csv_path: str | None
) -> None:
    if csv_path == "-" and not console.json:
        import csv
        import sys

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
        return
    if csv_path and csv_path != "-":
        written = write_csv(csv_path, columns, rows)
        console.remark(f"wrote {written}")
        return
    console.table(columns, rows)


@click.command()
@click.argument("words", nargs=-1, metavar="[TEXT | add FILE.cif]")
@click.option("--name", help="With 'add': name of the new phase.")
@click.option("--source", default="", help="With 'add': where the structure comes from.")
@click.option("--default", is_flag=True, help="With 'add': its formula stands for this phase.")
@click.option("--anyway", is_flag=True, help="With 'add': store it although checks found faults.")
@_csv
@_project
@verb("heterodot/phases/1")
def phases(
    console: Console,
    words: tuple[str, ...],
    name: str | None,
    source: str,
    default: bool,
    anyway: bool,
    csv_path: str | None,
    project: str | None,
) -> None:
    """List crystal phases, show one, or add one of your own.

    \b
    Examples:
      heterodot phases                  all phases
      heterodot phases CsPbBr3          those with that text
      heterodot phases CsPbBr3_ortho    one in full, with its checks
      heterodot phases add my.cif --name CsPbCl3_mine --source "notebook 12, p. 3"
    """
    if words and words[0] == "add":
        if len(words) != 2 or not name:
            raise click.UsageError("give one file and a name: phases add FILE.cif --name NAME")
        _add(console, words[1], name, project, source, default, anyway)
        return
    from heterodot.catalog import find_phases, phase_names
    from heterodot.errors import NotFoundError, nearest

    text = " ".join(words)
    with _own_records(console, project):
        found = find_phases(text)
        exact = [phase for phase in found if phase.id == text]
        if not found:
            close = nearest(text, phase_names())
            raise NotFoundError(
                f"no phase has '{text}'",
                remedy=f"did you mean {' or '.join(close)}?" if close else "see 'heterodot phases'",
            )
        if exact and (len(found) > 1 or not csv_path):
            found = exact
        details = [_details(phase) if exact else {} for phase in found]
    console.document(
        {"phases": [{**p.to_json(), **d} for p, d in zip(found, details, strict=True)]}
    )
    columns = ["id", "formula", "default for", "space group", "cell / Å, deg", "sites", "source"]
    rows = [
        [
            p.id,
            p.formula,
            p.default_for,
            p.space_group,
            " ".join(f"{x:g}" for x in p.cell) or "not sourced",
            p.sites or "not sourced",
            str(p.source),
        ]
        for p in found
    ]
    _tabulate(console, columns, rows, csv_path)
    if exact and not csv_path:
        _show_details(console, found[0], details[0])


def _details(phase: Any) -> dict[str, Any]:
    if not phase.sites or not phase.ordered:
        return {}
    from heterodot.catalog import crystal
    from heterodot.catalog.structure import check_structure

    found = crystal(phase.id)
    report = check_structure(found)
    return {
        "structure": found.to_json(),
        "checks": {
            "space_group": report.space_group,
            "density": {
                "value": report.density,
                "error": None,
                "unit": "g/cm^3",
                "error_reason": "follows from the cell",
            },
            "shortest": [
                {"pair": c.pair, "distance": c.distance, "unit": "angstrom", "of_radii": c.ratio}
                for c in report.contacts[:5]
            ],
            "bond_valence": [
                {"site": v.site, "sum": v.valence, "charge": v.charge} for v in report.valences
            ],
            "global_instability_index": report.instability,
            "faults": list(report.faults),
        },
    }


def _show_details(console: Console, phase: Any, details: dict[str, Any]) -> None:
    if phase.note:
        console.say(f"\n{phase.note}")
    console.say(f"method: {phase.method}; {phase.origin}")
    if not details:
        return
    checks = details["checks"]
    console.say(f"density {checks['density']['value']:.3f} g/cm3")
    console.say(
        "shortest distances: "
        + ", ".join(f"{c['pair']} {c['distance']:.3f} Å" for c in checks["shortest"][:4])
    )
    if checks["bond_valence"]:
        sums = ", ".join(f"{v['site']} {v['sum']:.2f}" for v in checks["bond_valence"])
        index = checks["global_instability_index"]
        console.say(f"bond-valence sums: {sums}; instability index {index:.2f}")
    console.say("faults: " + ("; ".join(checks["faults"]) or "none found"))


def _add(
    console: Console,
    path: str,
    name: str,
    project: str | None,
    source: str,
    default: bool,
    anyway: bool,
) -> None:
    from heterodot.catalog.project import add_phase

    folder = Path(project or os.environ.get("HETERODOT_CATALOG") or OWN_FOLDER)
    context: Any = contextlib.nullcontext()
    if folder.is_dir():
        from heterodot.catalog import overlay

        context = overlay(folder)
    with context:
        crystal, report, target = add_phase(
            path, name, folder, source=source, default=default, anyway=anyway
        )
    if not source:
        console.remark(f"source taken from the file: {crystal.source}")
    console.document(
        {
            "name": name,
            "file": str(target),
            "formula": crystal.formula,
            "space_group": report.space_group,
            "atoms": len(crystal),
            "faults": list(report.faults),
        }
    )
    console.say(
        f"{name}: {crystal.formula}, {len(crystal)} atoms, {report.space_group},"
        f" {report.density:.3f} g/cm3, stored in {target}"
    )
    for fault in report.faults:
        console.warn(fault)


@click.command()
@click.argument("phase")
@click.argument("quantity", required=False)
@click.option("--temperature", metavar="T", help="Prefer the value nearest to it, e.g. '4 K'.")
@click.option("--all", "everything", is_flag=True, help="Every value, not only the default.")
@click.option("--unit", help="Give the value in this unit.")
@_csv
@_project
@verb("heterodot/lookup/1")
def lookup(
    console: Console,
    phase: str,
    quantity: str | None,
    temperature: str | None,
    everything: bool,
    unit: str | None,
    csv_path: str | None,
    project: str | None,
) -> None:
    """Look up a physical value of PHASE with its source.

    Without QUANTITY every value of the phase is listed.

    \b
    Examples:
      heterodot lookup CsPbBr3 band_gap
      heterodot lookup PbS electron_mass --all
      heterodot lookup Pb2+ ionic_radius --all
    """
    from heterodot.catalog import lookup as find
    from heterodot.catalog import quantities
    from heterodot.units import parse

    kelvin = parse(temperature, "K", place="--temperature") if temperature else None
    if quantity == "sizing_curve":
        _show_curve(console, phase)
        return
    with _own_records(console, project):
        if quantity is None:
            names = quantities(phase)
            entries = [find(phase, name, temperature=kelvin) for name in names]
        else:
            entries = find(phase, quantity, temperature=kelvin, all=True)
            if not everything:
                entries = entries[:1]
    values = [entry.value.to(unit) if unit else entry.value for entry in entries]
    console.document(
        {
            "asked": phase,
            "taken": sorted({entry.phase for entry in entries}),
            "entries": [
                {**entry.to_json(), **value.to_json()}
                for entry, value in zip(entries, values, strict=True)
            ],
        }
    )
    columns = ["phase", "quantity", "value", "T / K", "method", "source", "default"]
    rows: list[list[Any]] = [
        [
            entry.phase,
            entry.quantity + _conditions(entry),
            str(value),
            entry.temperature,
            entry.method,
            str(entry.source),
            entry.default,
        ]
        for entry, value in zip(entries, values, strict=True)
    ]
    _tabulate(console, columns, rows, csv_path)
    if quantity is not None and not csv_path and entries:
        first = entries[0]
        if first.phase != phase and quantity != "ionic_radius":
            console.say(f"'{phase}' was taken as {first.phase}")
        for text in (first.reason and f"default: {first.reason}", first.note):
            if text:
                console.say(text)


def _show_curve(console: Console, phase: str) -> None:
    from heterodot.catalog.sizing import sizing_curve

    curve = sizing_curve(phase)
    parameters = dict(curve.parameters)
    console.document(
        {
            "asked": phase,
            "taken": [curve.phase],
            "entries": [
                {
                    "id": curve.id,
                    "quantity": "sizing_curve",
                    "form": curve.form,
                    "parameters": parameters,
                    "size": curve.size_name,
                    "range": {"value": [curve.low, curve.high], "error": None, "unit": "nm"},
                    "source": curve.source.to_json(),
                    "note": curve.note,
                }
            ],
        }
    )
    shown = ", ".join(f"{k} = {v}" for k, v in parameters.items())
    console.say(f"{curve.id}: {curve.form} in the {curve.size_name}, {shown}")
    console.say(f"made from {curve.low:g} to {curve.high:g} nm; {curve.source}")
    if curve.note:
        console.say(curve.note)


def _conditions(entry: Any) -> str:
    if entry.quantity != "ionic_radius":
        return ""
    spin = f", {entry.conditions['spin']} spin" if entry.conditions.get("spin") else ""
    return f" ({entry.conditions['coordination']} neighbors{spin})"


@click.command()
@click.option("--system", help="Heterostructure, phase or words, e.g. 'CsPbBr3/CdS'.")
@click.option("--quantity", help="Words of the quantity, e.g. 'electron transfer time'.")
@click.option("--document", help="Key of a document or its beginning, e.g. Qiu.")
@click.option(
    "--kind",
    type=click.Choice(
        [
            "results",
            "systems",
            "recipes",
            "equations",
            "claims",
            "inconsistencies",
            "comparisons",
        ]
    ),
    default="results",
    show_default=True,
    help="What to list.",
)
@_csv
@_project
@verb("heterodot/literature/1")
def literature(
    console: Console,
    system: str | None,
    quantity: str | None,
    document: str | None,
    kind: str,
    csv_path: str | None,
    project: str | None,
) -> None:
    """Search the published results of the documents in the catalog.

    \b
    Examples:
      heterodot literature --system CsPbBr3/CdS --quantity "electron transfer time"
      heterodot literature --document Livakas --kind recipes
    """
    from heterodot.catalog import published

    with _own_records(console, project):
        entries = published(system=system, quantity=quantity, document=document, kind=kind)
    console.document({"kind": kind, "entries": [entry.to_json() for entry in entries]})
    columns = ["id", "system", "quantity", "value", "how", "conditions", "place"]
    rows: list[list[Any]] = []
    for entry in entries:
        numbers = "; ".join(str(value) for value in entry.values) or entry.text
        mark = {"about": "~", "range": ""}.get(entry.bound, entry.bound)
        rows.append(
            [
                entry.id,
                entry.system or ", ".join(entry.systems),
                entry.quantity,
                f"{mark} {numbers}".strip(),
                entry.how,
                entry.conditions,
                entry.place,
            ]
        )
    _tabulate(console, columns, rows, csv_path)
