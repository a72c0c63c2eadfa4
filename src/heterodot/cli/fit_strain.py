"""``heterodot fit gpa``: maps of strain and rotation from a lattice image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from heterodot.cli.console import Console, verb
from heterodot.cli.fit_image import Words, numbers, offered_phases, opened, parse_region, save

if TYPE_CHECKING:
    import numpy as np

    from heterodot.measurement import Measurement
    from heterodot.probes.em import Reading
    from heterodot.probes.em.spots import Region


@click.command(cls=Words)
@click.argument("file", metavar="IMAGE")
@click.option("--g", "reflections", multiple=True, help="gx,gy in 1/nm (two); default: strongest.")
@click.option("--reference", help="x0,y0,x1,y1 in nm, or the number of a domain; default: found.")
@click.option("--phases", "-p", multiple=True, help="Tell elastic strain from other lattices.")
@click.option("--pixel", help="Size of a pixel, e.g. 0.02nm; default is the file's.")
@click.option("--resolution", help="Length to average over, e.g. 1nm.")
@click.option("-o", "--output", type=click.Path(), help="Write the maps (.nc or .tif).")
@click.option("--figure", type=click.Path(), help="Write the maps as a figure (.png...).")
@verb("heterodot/fit-gpa/1")
def gpa(
    console: Console,
    file: str,
    reflections: tuple[str, ...],
    reference: str | None,
    phases: tuple[str, ...],
    pixel: str | None,
    resolution: str | None,
    output: str | None,
    figure: str | None,
) -> None:
    """Map strain and rotation of a lattice image against a reference region.

    With --phases the domains are indexed, and what bulk lattices differ by is told from elastic
    strain.

    Example: heterodot fit gpa dimer.dm4 --phases CsPbBr3 PbS --figure strain.png -o strain.nc
    """
    from heterodot.errors import InputError
    from heterodot.probes.em import geometric_phase, misfits, read_domains
    from heterodot.units import parse

    if output and Path(output).suffix.lower() not in (".nc", ".tif", ".tiff"):
        raise InputError(
            "maps are written as .nc or .tif", file=output, remedy="figures go to --figure"
        )
    image, warnings = opened(file, pixel)
    g = None
    if reflections:
        if len(reflections) != 2:
            raise InputError("two reflections are needed", place="--g", remedy="--g 3.4,0 0,3.4")
        g = [[x / 10 for x in numbers(text, 2, "--g")] for text in reflections]
    readings: list[Reading] = []
    number: int | None = None
    region: Any = None
    if phases:
        crystals, _ = offered_phases(console, phases, ())
        readings = read_domains(image, crystals, progress=console.progress)
        console.end_progress()
    if reference and reference.strip().isdigit():
        number, region = _domain(image, readings, int(reference))
    elif reference:
        region = parse_region(reference, "--reference")
        number = _grain_at(readings, image, region)
    elif readings:
        known = [r for r in readings if r.best is not None]
        if known:
            number, region = known[0].grain.number, known[0].grain.mask
    width = 0.37 / parse(resolution, "angstrom", place="--resolution") if resolution else None
    strain = geometric_phase(image, g, region, width=width)
    rows = []
    own = [r for r in readings if r.grain.number == number and r.best is not None]
    if own and number is not None:
        rows = misfits(strain, readings, number)
    warnings += [*strain.warnings, *(m.warning for m in rows if m.warning)]
    if output:
        _write_maps(strain, output)
    if figure:
        from heterodot.report.figures_em_fit import strain_figure

        save(strain_figure(image, strain), Path(figure))
    console.document(
        {
            "source": image.source,
            **strain.to_json(),
            "reference_domain": number,
            "domains": [r.to_json() for r in readings],
            "misfits": [m.to_json() for m in rows],
            "warnings": warnings,
            "output": [o for o in (output, figure) if o],
        }
    )
    _show_strain(console, strain, own, rows)
    if not console.json:
        for warning in warnings:
            console.remark(f"note: {warning}")


def _domain(
    image: Measurement, readings: list[Reading], number: int
) -> tuple[int, np.ndarray[Any, Any]]:
    """Return a domain's number and mask; domains are found if they were not yet."""
    from heterodot.errors import InputError
    from heterodot.probes.em import find_grains

    grains = [r.grain for r in readings] or find_grains(image)
    for grain in grains:
        if grain.number == number:
            return number, grain.mask
    raise InputError(
        f"there is no domain {number}", place="--reference",
        remedy=f"give 1 to {len(grains)}, or a region",
    )  # fmt: skip


def _grain_at(readings: list[Reading], image: Measurement, region: Region) -> int | None:
    """Return the domain that most of a region lies in, None where none does."""
    import numpy as np

    from heterodot.probes.em.spots import axes_of

    y, x = axes_of(image)
    box = np.ix_((y >= region[2]) & (y <= region[3]), (x >= region[0]) & (x <= region[1]))
    shares = {r.grain.number: float(r.grain.mask[box].mean()) for r in readings}
    best = max(shares, key=lambda k: shares[k], default=None)
    return best if best is not None and shares[best] > 0.5 else None


def _show_strain(console: Console, strain: Any, own: list[Reading], rows: list[Any]) -> None:
    from heterodot.units import Value

    spacings = [1 / float((g**2).sum() ** 0.5) for g in strain.g]
    x0, x1, y0, y1 = (v / 10 for v in strain.region)
    table = [
        ["reflections", f"{spacings[0]:.3f} and {spacings[1]:.3f} Å"],
        ["reference region", f"{x0:.2f},{y0:.2f},{x1:.2f},{y1:.2f} nm"
         + (" (found)" if strain.found else "")],
        ["resolution", Value(strain.resolution / 10, "nm").show()],
        ["strain error in the reference", f"{100 * strain.error:.2f} %"],
    ]  # fmt: skip
    if own:
        table.insert(0, ["reference domain", f"{own[0].grain.number} ({own[0].best.crystal.name})"])  # type: ignore[union-attr]
    console.table(["quantity", "value"], table)
    if not rows:
        return
    lines = []
    for row in rows:
        for name in ("exx", "eyy", "exy", "rotation"):
            factor, unit = (1.0, "°") if name == "rotation" else (100.0, "%")
            lines.append([
                f"{row.grain} {row.phase}", f"{name} ({unit})",
                *(_cell(part, name, factor) for part in (row.measured, row.bulk, row.elastic)),
            ])  # fmt: skip
    console.table(["domain", "quantity", "apparent", "bulk lattices", "elastic"], lines)


def _cell(part: Any, name: str, factor: float) -> str:
    from heterodot.units import Value, format_error

    if part is None:
        return "-"
    value = part[name]
    if isinstance(value, Value):
        return format_error(factor * value.value, factor * (value.error or 0.0))
    return f"{factor * value:.2f}"


def _write_maps(strain: Any, output: str) -> None:
    """Write the maps as NetCDF, or as pages of a float TIFF that ImageJ opens with its scale."""
    if Path(output).suffix.lower() == ".nc":
        strain.to_measurement().write(output)
        return
    import numpy as np
    from PIL import Image

    from heterodot.files import replacing

    data = strain.to_measurement().data
    # the first row of a picture is its upper edge
    pages = [
        Image.fromarray(np.ascontiguousarray(page[::-1], dtype=np.float32)) for page in data.values
    ]
    step = float(strain.x[1] - strain.x[0]) / 10
    labels = ", ".join(str(name) for name in data["map"].values)
    tags = {270: f"ImageJ=1.53\nimages={len(pages)}\nunit=nm\nlabels={labels}\n",
            282: 1 / step, 283: 1 / step, 296: 1}  # fmt: skip
    with replacing(output) as beside:
        pages[0].save(beside, format="TIFF", save_all=True, append_images=pages[1:], tiffinfo=tags)
