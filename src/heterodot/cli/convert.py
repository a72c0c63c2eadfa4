"""``heterodot convert``: an instrument's file to NetCDF, with what was understood of it."""

from __future__ import annotations

from typing import Any

import click

from heterodot.cli.console import Console, verb


@click.command()
@click.argument("file", metavar="FILE")
@click.option("-o", "--output", required=True, type=click.Path(), help="NetCDF file (.nc).")
@click.option(
    "--kind",
    help="What it is (decay, ta, absorption, pl, xrd...), where a suffix is shared.",
)
@verb("heterodot/convert/1")
def convert(console: Console, file: str, output: str, kind: str | None) -> None:
    """Read an instrument's file and write NetCDF that xarray and silx open.

    Example: heterodot convert scan.ufs -o scan.nc
    """
    from pathlib import Path

    from heterodot.errors import OutputError
    from heterodot.formats import read

    if Path(output).suffix.lower() != ".nc":
        raise OutputError(
            f"files of type '{Path(output).suffix or 'none'}' are not written here",
            file=output,
            remedy="give a name that ends in .nc",
        )
    measured = read(file, kind)
    measured.write(output)
    data = measured.data
    axes: list[dict[str, Any]] = []
    for dim in data.dims:
        axis = data[dim]
        numeric = axis.dtype.kind in "fiu"
        axes.append(
            {
                "name": str(dim),
                "points": int(axis.size),
                "unit": str(axis.attrs.get("units", "")),
                "first": float(axis.values[0]) if numeric else str(axis.values[0]),
                "last": float(axis.values[-1]) if numeric else str(axis.values[-1]),
            }
        )
    console.say(f"{measured.source}: {measured.kind}, written to {output}")
    console.table(
        ["axis", "points", "unit", "first", "last"],
        [[a["name"], a["points"], a["unit"], a["first"], a["last"]] for a in axes],
    )
    for note in measured.notes:
        console.say(f"  {note}")
    console.document(
        {
            "source": measured.source,
            "sha256": measured.sha256,
            "kind": measured.kind,
            "unit": str(data.attrs.get("units", "")),
            "axes": axes,
            "notes": list(measured.notes),
            "metadata": {str(k): str(v) for k, v in measured.metadata.items()},
            "output": output,
        }
    )
