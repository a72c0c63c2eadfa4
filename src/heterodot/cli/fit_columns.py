"""``heterodot fit columns``: positions and intensities of atomic columns in an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from heterodot.cli.console import Console, verb, write_csv
from heterodot.cli.fit_image import Words, offered_phases, opened, parse_region

_TABLE = [
    "x_nm", "x_error_nm", "y_nm", "y_error_nm", "intensity", "intensity_error", "fwhm_nm",
    "background", "domain", "sublattice", "offset_x_nm", "offset_y_nm",
]  # fmt: skip


@click.command(cls=Words)
@click.argument("file", metavar="IMAGE")
@click.option("--phases", "-p", multiple=True, help="Candidate phases or CIFs: sites get names.")
@click.option("--pixel", help="Size of a pixel, e.g. 0.02nm; default is the file's.")
@click.option("--region", "regions", multiple=True,
              help="x0,y0,x1,y1 in nm from the lower left; may be repeated, one a domain.")  # fmt: skip
@click.option("--separation", default="0.15 nm", show_default=True, help="Least distance.")
@click.option("--signal", default=5.0, show_default=True, help="Least height over the noise.")
@click.option("--dark", is_flag=True, help="Columns are dark (bright field, HRTEM).")
@click.option("--csv", "table", type=click.Path(), help="Write one row per column.")
@click.option("--figure", "picture", type=click.Path(), help="Write image and columns (.png...).")
@verb("heterodot/fit-columns/1")
def columns(
    console: Console,
    file: str,
    phases: tuple[str, ...],
    pixel: str | None,
    regions: tuple[str, ...],
    separation: str,
    signal: float,
    dark: bool,
    table: str | None,
    picture: str | None,
) -> None:
    """Find atomic columns, fit their positions and intensities, sort them to sublattices.

    Positions count from the lower left corner of the picture, y upward. Without phases the
    sublattices are named A, B... by strength.

    Example: heterodot fit columns haadf.tif --phases CsPbBr3 PbS --csv columns.csv
    """
    from heterodot.errors import HeterodotError, InputError
    from heterodot.probes.em import find_columns, find_grains, from_regions, read_domains
    from heterodot.probes.em.sublattices import Sorted, sort_columns
    from heterodot.units import parse

    if picture and Path(picture).suffix.lower() not in (".png", ".pdf", ".svg"):
        raise InputError("figures end in .png, .pdf or .svg", file=picture, remedy="take .png")
    image, warnings = opened(file, pixel)
    image.data.attrs["y_axis"] = "up"
    chosen = [parse_region(text, "--region") for text in regions]
    found = find_columns(
        image,
        separation=parse(separation, "angstrom", place="--separation"),
        signal=signal,
        dark=dark,
        progress=console.progress,
    )
    if chosen:
        found = tuple(c for c in found if any(_within(c, region) for region in chosen))
    taken: dict[str, str] = {}
    crystals: list[Any] = []
    if phases:
        crystals, taken = offered_phases(console, phases, ())
    try:
        domains: Any = (
            read_domains(image, crystals, regions=chosen)
            if crystals
            else (from_regions(image, chosen) if chosen else find_grains(image))
        )
        result = sort_columns(found, image, domains)
    except HeterodotError as error:
        # positions are worth having where no lattice could be told
        result = Sorted(found, (), (), (f"not sorted to sublattices: {error}",))
    warnings = [*warnings, *result.warnings]
    written = _write(image, result, table, picture)
    document = result.to_json()
    console.document(
        {
            "source": Path(file).name,
            "phases": taken,
            "count": len(result.columns),
            **document,
            "warnings": warnings,
            "output": written,
        }
    )
    console.say(f"{len(result.columns)} columns, median error of a position {_median(result)}")
    rows = [
        [s.domain, s.label, s.count, str(s.intensity), f"{s.spread:.3g}"]
        for s in result.sublattices
    ]
    console.table(["domain", "sublattice", "columns", "mean intensity", "scatter"], rows)
    for path in written:
        console.say(f"written: {path}")
    for warning in warnings:
        console.warn(warning)


def _within(column: Any, region: tuple[float, float, float, float]) -> bool:
    x0, x1, y0, y1 = region
    return bool(x0 <= column.x.value <= x1 and y0 <= column.y.value <= y1)


def _median(result: Any) -> str:
    import numpy as np

    errors = [c.x.error for c in result.columns if c.x.error is not None]
    return f"{100 * float(np.median(errors)):.2g} pm" if errors else "unknown"


def _write(image: Any, result: Any, table: str | None, picture: str | None) -> list[str]:
    from heterodot.files import replacing
    from heterodot.report.figures_em import columns_figure

    written = []
    if table:
        write_csv(table, _TABLE, [_row(c) for c in result.columns])
        written.append(table)
    if picture:
        with replacing(picture) as beside:
            kind = Path(picture).suffix.lower().lstrip(".")
            columns_figure(image, result).savefig(beside, format=kind, dpi=300)
        written.append(picture)
    return written


def _row(column: Any) -> list[Any]:
    x, y = column.x.to("nm"), column.y.to("nm")
    offset = column.offset or (None, None)
    return [
        x.value, x.error, y.value, y.error, column.intensity.value, column.intensity.error,
        column.width.to("nm").value, column.background, column.domain, column.sublattice,
        *(None if o is None else o / 10 for o in offset),
    ]  # fmt: skip
