"""``heterodot epitaxy``: orientation relationships of two crystals, ranked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from heterodot.cli.console import Console, verb, write_csv

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def parse_charges(text: str | None) -> dict[str, float] | None:
    """Return formal charges from a text such as ``Cu=1,S=-2``."""
    if text is None:
        return None
    from heterodot.errors import InputError

    found = {}
    for part in text.split(","):
        element, _, value = part.partition("=")
        try:
            found[element.strip()] = float(value)
        except ValueError:
            raise InputError(
                f"'{part}' is not a charge", place="--charges", remedy="write Cu=1,S=-2"
            ) from None
    return found


def shown(row: list[Any]) -> list[Any]:
    """Return a row of the ranked table as people read it: signed misfits."""
    from heterodot.epitaxy.description import COLUMNS

    signed = [i for i, name in enumerate(COLUMNS) if name.startswith("mismatch")]
    return [f"{cell:+.2f}" if i in signed else cell for i, cell in enumerate(row)]


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--max-index", default=2, show_default=True, help="Largest Miller index.")
@click.option("--max-area", default="400", show_default=True, help="Coincidence cell, Å².")
@click.option("--max-strain", default="3", show_default=True, help="Principal strain, percent.")
@click.option("--same-angle", default=1.0, show_default=True, help="Degrees that count as one.")
@click.option("--energies", default=20, show_default=True, help="How many get energies; 0: none.")
@click.option("--top", default=15, show_default=True, help="Rows of the table.")
@click.option("--match", default=1, show_default=True, help="Match shown in detail and drawn.")
@click.option("--handed", is_flag=True, help="List mirror images apart.")
@click.option("--whole", is_flag=True, help="Match whole lattices, without a given plane.")
@click.option("--charges", help="Formal charges for both, e.g. Cu=1,S=-2.")
@click.option("--force", is_flag=True, help="Search even if it takes long.")
@click.option("--csv", "csv_file", type=click.Path(), help="Write all matches as CSV.")
@click.option("--nets", type=click.Path(), help="Draw both nets at the interface.")
@click.option("--stereogram", type=click.Path(), help="Draw the stereogram of the relation.")
@click.option("--spots", type=click.Path(), help="Draw the FFT spots of both domains.")
@click.option("--zone", help="Zone axis of A for --spots, e.g. 0,0,1 (default: direction A).")
@verb("heterodot/epitaxy/1")
def epitaxy(
    console: Console,
    a: str,
    b: str,
    max_index: int,
    max_area: str,
    max_strain: str,
    same_angle: float,
    energies: int,
    top: int,
    match: int,
    handed: bool,
    whole: bool,
    charges: str | None,
    force: bool,
    csv_file: str | None,
    nets: str | None,
    stereogram: str | None,
    spots: str | None,
    zone: str | None,
) -> None:
    """Search the orientation relationships of two crystals, best first.

    A and B are phases of the catalog or CIF files; A lies below the interface, B above it.

    Example: heterodot epitaxy CsPbCl3 PbS --max-index 2 --csv matches.csv --nets nets.svg
    """
    from heterodot.catalog import crystal_or_file
    from heterodot.documents import plain
    from heterodot.epitaxy import interfaces, ranked
    from heterodot.epitaxy.description import COLUMNS, table_row
    from heterodot.errors import InputError
    from heterodot.units import parse

    given = parse_charges(charges)
    one, taken_a = crystal_or_file(a, charges=given)
    two, taken_b = crystal_or_file(b, charges=given)
    for name, taken in ((a, taken_a), (b, taken_b)):
        if taken.get("catalog", name) != name:
            console.remark(f"{name}: taken as {taken['catalog']}")
    area = parse(max_area, "angstrom^2", place="--max-area")
    strain = fraction(max_strain)
    if whole:
        show_whole(console, one, two, {"a": taken_a, "b": taken_b}, strain, top)
        return
    found = ranked(
        one,
        two,
        best=energies,
        max_index=max_index,
        max_area=area,
        max_strain=strain,
        same_angle=same_angle,
        handed=handed,
        force=force,
        progress=console.progress,
    )
    for note in found.notes:
        console.warn(note)
    if not 1 <= match <= len(found.matches):
        raise InputError(
            f"there is no match {match}",
            place="--match",
            remedy=f"give a number from 1 to {len(found.matches)}",
        )
    chosen = found.matches[match - 1]
    meetings = interfaces(chosen)
    files = draw(chosen, meetings, nets=nets, stereogram=stereogram, spots=spots, zone=zone)
    if csv_file:
        rows = [table_row(plain(relation.to_json())) for relation in found.matches]
        files.append(str(write_csv(csv_file, COLUMNS, rows)))
    console.document(document(found, chosen, meetings, {"a": taken_a, "b": taken_b}, files))
    tell(console, found, chosen, meetings, top)
    for file in files:
        console.say(f"wrote {file}")


def fraction(text: str) -> float:
    """Return a strain given in percent (``3``, ``3 %``) as a fraction."""
    from heterodot.errors import InputError

    try:
        return float(text.strip().rstrip("%")) / 100.0
    except ValueError:
        raise InputError(
            f"'{text}' is not a percentage", place="--max-strain", remedy="give e.g. 3"
        ) from None


def document(
    found: Any, chosen: Any, meetings: list[Any], taken: dict[str, Any], files: list[str]
) -> dict[str, Any]:
    """Return the JSON document of a search."""
    from heterodot.epitaxy import coordination
    from heterodot.epitaxy.description import describe
    from heterodot.epitaxy.energies import with_units

    known = all(
        c.charges is not None and (c.charges > 0).any() for c in (found.crystal_a, found.crystal_b)
    )
    content = found.to_json()
    content["taken"] = taken
    for entry, relation in zip(content["matches"], found.matches, strict=True):
        entry["energies"] = with_units(relation.parts)
    content["chosen"] = {
        "rank": chosen.rank,
        "label": chosen.label,
        "detail": describe(chosen),
        "interfaces": [meeting.to_json() for meeting in meetings],
        "coordination": coordination(meetings[0]) if meetings and known else None,
    }
    content["files"] = files
    return dict(content)


def tell(console: Console, found: Any, chosen: Any, meetings: list[Any], top: int) -> None:
    """Print the table and what the chosen match means."""
    from heterodot.documents import plain
    from heterodot.epitaxy.description import COLUMNS, describe, table_row
    from heterodot.epitaxy.relationship import direction_text, plane_text

    a, b = found.crystal_a, found.crystal_b
    console.say(
        f"A = {a.formula} ({a.name}), B = {b.formula} ({b.name}): {len(found.matches)} relations "
        f"of {found.matched_pairs} plane pairs (of {found.plane_pairs}), {found.cells} "
        "coincidence cells"
    )
    rows = [table_row(plain(relation.to_json())) for relation in found.matches[:top]]
    console.table(COLUMNS, [shown(row) for row in rows])
    if len(found.matches) > top:
        console.say(f"... {len(found.matches) - top} more (--top, --csv, --json)")
    detail = describe(chosen)
    console.say()
    console.say(f"match {chosen.rank}: {chosen.label}")
    for side in "ab":
        steps = detail[f"facets_{side}"]
        if len(steps) > 1:
            text = " + ".join(
                f"{f['number'] if f['number'] > 1 else ''}{plane_text(f['plane'])}" for f in steps
            )
            formula = (a if side == "a" else b).formula
            console.say(f"  stepped on {formula}: {text}")
    for tilt in detail["tilts"][:3]:
        console.say(
            f"  {direction_text(tilt['a'])}{a.formula} is {tilt['angle']:.1f} degrees from "
            f"{direction_text(tilt['b'])}{b.formula}"
        )
    if meetings:
        best = meetings[0]
        layer = f"shared {best.shared} layer" if best.shared else "no shared element"
        console.say(
            f"  {best.termination_a} | {best.termination_b}, {layer}, "
            f"{100 * best.registry:.0f} % of the cation sites coincide"
        )


def draw(
    chosen: Any,
    meetings: list[Any],
    *,
    nets: str | None,
    stereogram: str | None,
    spots: str | None,
    zone: str | None,
) -> list[str]:
    """Write the figures asked for; return their paths."""
    if not (nets or stereogram or spots):
        return []
    from heterodot.files import replacing
    from heterodot.report import figures_epitaxy as figures

    made = []
    wanted: tuple[tuple[str | None, Callable[[], Figure]], ...] = (
        (nets, lambda: figures.nets(meetings[0])),
        (stereogram, lambda: figures.stereogram(chosen)),
        (
            spots,
            lambda: figures.spots(chosen, zone_a=None if zone is None else indices(zone, "--zone")),
        ),
    )
    for path, make in wanted:
        if path is None:
            continue
        figure = make()
        with replacing(path) as beside:
            figure.savefig(beside, format=picture_format(path), dpi=200)
        made.append(path)
    return made


def picture_format(path: str) -> str:
    """Return the picture format of a file name."""
    from heterodot.errors import InputError

    kind = Path(path).suffix.lstrip(".").lower() or "svg"
    if kind not in ("svg", "pdf", "png"):
        raise InputError(
            f"pictures are not written as .{kind}", file=path, remedy="use .svg, .pdf or .png"
        )
    return kind


def indices(text: str, place: str) -> tuple[int, int, int]:
    """Return Miller indices of a text such as ``"2 1 0"`` or ``"-1,1,0"``."""
    from heterodot.errors import InputError

    parts = text.replace(",", " ").replace("(", " ").replace(")", " ").split()
    try:
        h, k, m = (int(p) for p in parts)
    except ValueError:
        raise InputError(
            f"'{text}' is not three indices", place=place, remedy="write it as '2 1 0'"
        ) from None
    return h, k, m


def show_whole(
    console: Console, one: Any, two: Any, taken: dict[str, Any], strain: float, top: int
) -> None:
    """Search relations of the whole lattices, without a given plane."""
    from heterodot.epitaxy import whole_crystal

    found = whole_crystal(one, two, max_strain=strain, progress=console.progress)
    console.document({"taken": taken, "relations": [entry.to_json() for entry in found]})
    console.table(
        ("rank", "relation", "angle (deg)", "lattice fit", "strain (%)", "facets that join"),
        [
            (
                n + 1,
                entry.label,
                round(entry.angle, 2),
                round(entry.fit, 3),
                round(100 * entry.strain_max, 2),
                "; ".join(entry.facet_labels[:3]),
            )
            for n, entry in enumerate(found[:top])
        ],
    )
