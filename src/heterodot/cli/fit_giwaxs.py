"""``heterodot fit giwaxs``: orientation, layer spacing and phases of a film at grazing incidence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from heterodot.cli.console import Console, verb
from heterodot.cli.fit_xrd import Several
from heterodot.cli.simulate_xrd import parse_range

EDGES = ["auto", "first row", "last row", "first column", "last column"]


@click.command(cls=Several)
@click.argument("file", metavar="IMAGE")
@click.option("--poni", type=click.Path(), help="Geometry from pyFAI's calibration.")
@click.option("--distance", help="Sample to detector, e.g. '180 mm' (without --poni).")
@click.option("--center", nargs=2, type=float, help="Row and column of the direct beam.")
@click.option("--pixel", help="Size of a pixel, e.g. '172 um'.")
@click.option("--wavelength", help="CuKa, CuKa1... or Å.")
@click.option("--incidence", help="Angle between beam and film, degrees.")
@click.option("--tilt", default=0.0, help="Of the film about the beam, degrees.")
@click.option("--up", default="auto", type=click.Choice(EDGES), help="Edge the normal points to.")
@click.option("--mask", type=click.Path(), help="Image, not zero where pixels are not used.")
@click.option("--dark", type=click.Path(), help="Image without beam, same time.")
@click.option("--saturated", type=float, help="Counts at which a pixel is not used.")
@click.option("--polarization", default=0.0, show_default=True, help="0 tube, 0.98 synchrotron.")
@click.option("--q-range", "span", help="1/Å, e.g. 0.2:2.5.")
@click.option("--resolution", default=0.0, help="Instrument width, 1/Å.")
@click.option("--phases", "-p", multiple=True, help="Catalog names or CIF files (several).")
@click.option("--elements", multiple=True, help="Search the catalog's phases of these elements.")
@click.option("--search", is_flag=True, help="Search all phases of the catalog.")
@click.option("--critical", help="Critical angle, degrees, 'fit', or a phase to compute it from.")
@click.option(
    "-o", "--output", type=click.Path(), help="Figure (.svg...), reflections (.csv), .nc."
)
@verb("heterodot/fit-giwaxs/1")
def giwaxs(
    console: Console,
    file: str,
    poni: str | None,
    distance: str | None,
    center: tuple[float, float] | None,
    pixel: str | None,
    wavelength: str | None,
    incidence: str | None,
    tilt: float,
    up: str,
    mask: str | None,
    dark: str | None,
    saturated: float | None,
    polarization: float,
    span: str | None,
    resolution: float,
    phases: tuple[str, ...],
    elements: tuple[str, ...],
    search: bool,
    critical: str | None,
    output: str | None,
) -> None:
    """Film at grazing incidence: rings or spots, orientation, layer spacing, phases.

    IMAGE is a detector image (.edf, .cbf, .tif...), or a reduced map (.nc, as -o map.nc writes it).

    Example: heterodot fit giwaxs film.edf --poni lab.poni --incidence 0.4 --search --json
    """
    from heterodot.errors import InputError
    from heterodot.formats import read
    from heterodot.probes.giwaxs import fit, reduce

    image = read(file, "giwaxs")
    reduced = None
    angle = _angle(incidence, "--incidence")
    if image.kind == "giwaxs-image":
        if angle is None:
            raise InputError(
                "the angle of incidence is not stated", place="--incidence", remedy="e.g. 0.4"
            )
        shape = (int(image.data.shape[0]), int(image.data.shape[1]))
        geometry = _geometry(shape, poni, distance, center, pixel, wavelength, angle, tilt, up)
        reduced = reduce(
            image, geometry, mask=_plane(mask), dark=_plane(dark, counts=True),
            q_range=parse_range(span, "--q-range") if span else None, polarization=polarization,
            saturated=saturated,
        )  # fmt: skip
        console.remark(f"reduced by {reduced.engine}; the normal points to the {geometry.up}")
    elif image.kind != "giwaxs-polar":
        raise InputError(
            f"holds a measurement of kind '{image.kind}'", file=file, remedy="give a detector image"
        )
    chosen = _phases(phases, console)
    candidates = _candidates(elements, search) if not chosen else None
    polar = reduced.polar if reduced else image
    found = fit(
        polar, phases=chosen or None, candidates=candidates, cells=_cells(), incidence=angle,
        critical=_critical(critical, polar.metadata.get("wavelength")),
        fit_critical=critical == "fit", resolution=resolution, progress=console.progress,
    )  # fmt: skip
    if output:
        _write(output, found, reduced, polar)
    console.document(
        {
            "source": Path(file).name,
            "geometry": polar.metadata.get("geometry"),
            "engine": polar.metadata.get("engine"),
            **found.to_json(),
            "output": output,
        }
    )
    _show(console, found)


def _angle(text: str | None, place: str) -> float | None:
    from heterodot.units import parse

    return None if text is None else parse(text, "deg", place=place)


def _geometry(
    shape: tuple[int, int],
    poni: str | None,
    distance: str | None,
    center: tuple[float, float] | None,
    pixel: str | None,
    wavelength: str | None,
    incidence: float,
    tilt: float,
    up: str,
) -> Any:
    from heterodot.errors import InputError
    from heterodot.probes.giwaxs import Geometry
    from heterodot.units import parse

    edge = None if up == "auto" else up
    length = None if wavelength is None else _wavelength(wavelength)
    if poni is not None:
        from heterodot.formats.poni import read_poni

        told = read_poni(poni)
        stated = told["shape"]
        if stated is not None and tuple(stated) != shape:
            raise InputError(
                f"is for {stated[0]} x {stated[1]} pixels, the image has {shape[0]} x {shape[1]}",
                file=poni,
                remedy="give the .poni file of this detector and binning",
            )
        if pixel is not None and told["pixel"] is None:
            size = parse(pixel, "um", place="--pixel")
            told["pixel"] = (size, size)
        return Geometry.from_poni(
            told, shape, incidence=incidence, wavelength=length, tilt=tilt, up=edge
        )
    given = {"--distance": distance, "--center": center, "--pixel": pixel, "--wavelength": length}
    lacking = [name for name, value in given.items() if value is None]
    if lacking:
        raise InputError(
            f"the geometry is not known without {', '.join(lacking)}",
            place="geometry",
            remedy="give a .poni file with --poni, or these options",
        )
    assert distance is not None
    assert center is not None
    assert pixel is not None
    assert length is not None
    size = parse(pixel, "um", place="--pixel")
    return Geometry.simple(
        shape, (size, size), parse(distance, "mm", place="--distance"), center, length,
        incidence=incidence, tilt=tilt, up=edge,
    )  # fmt: skip


def _wavelength(text: str) -> float:
    from heterodot.probes.xrd import lines_of

    return sum(line.wavelength * line.weight for line in lines_of(text))


def _plane(path: str | None, counts: bool = False) -> Any:
    if path is None:
        return None
    from heterodot.formats.detector import read

    values = read(Path(path)).data.values
    return values if counts else values != 0


def _phases(names: tuple[str, ...], console: Console) -> dict[str, Any]:
    from heterodot.catalog import crystal_or_file

    chosen: dict[str, Any] = {}
    for name in [part for word in names for part in word.split(",") if part]:
        crystal = crystal_or_file(name)[0]
        label = re.sub(r"\W+", "_", Path(name).stem if name.lower().endswith(".cif") else name)
        chosen[label] = crystal
        if label != crystal.name:
            console.remark(f"{label}: taken as {crystal.name}")
    return chosen


def _candidates(elements: tuple[str, ...], search: bool) -> list[Any] | None:
    if not (elements or search):
        return None
    from heterodot.cli.fit_xrd import _catalog
    from heterodot.errors import InputError

    known = [c for c in _catalog() if not elements or set(c.counts) <= set(elements)]
    if not known:
        raise InputError(
            "no candidate is made of these elements only", place="--elements", remedy="name more"
        )
    return known


def _cells() -> dict[str, Any]:
    """Return the cells of all catalog phases, also of those without sites."""
    from ase.geometry import cell_to_cellpar

    from heterodot.catalog.phases import full_cell, phase_names, phase_record

    found = {}
    for name in phase_names():
        record = phase_record(name)
        if record.get("cell"):
            found[name] = [float(x) for x in cell_to_cellpar(full_cell(record))]
    return found


def _critical(text: str | None, wavelength: Any) -> float | None:
    if text is None or text == "fit":
        return None
    try:
        return float(text.rstrip("°"))
    except ValueError:
        pass
    from heterodot.catalog import crystal_or_file
    from heterodot.errors import InputError
    from heterodot.probes.giwaxs import critical_angle

    if not wavelength:
        raise InputError(
            "the file states no wavelength, which a critical angle needs",
            place="--critical",
            remedy="give the angle in degrees instead, or 'fit'",
        )
    return critical_angle(crystal_or_file(text)[0], float(wavelength))


def _write(path: str, found: Any, reduced: Any, polar: Any) -> None:
    from heterodot.errors import OutputError

    suffix = Path(path).suffix.lower()
    if suffix in (".svg", ".pdf", ".png"):
        from heterodot.files import replacing
        from heterodot.report.figures_giwaxs import film_figure

        with replacing(path) as beside:
            film_figure(found, reduced.cartesian if reduced else None).savefig(
                beside, format=suffix[1:], dpi=200
            )
    elif suffix == ".nc":
        polar.write(path)
    elif suffix == ".csv":
        from heterodot.cli.console import write_csv

        write_csv(path, *_table(found))
    else:
        raise OutputError(
            f"files of type '{suffix}' are not written here",
            file=path,
            remedy="give .svg, .pdf, .png, .csv or .nc",
        )


def _table(found: Any) -> tuple[list[str], list[list[Any]]]:
    columns = [
        "q_per_angstrom", "q_error", "d_angstrom", "d_error", "size_angstrom", "kind", "angle_deg",
        "spread_deg", "oriented", "oriented_error", "hermans", "hermans_error", "phase", "hkl",
    ]  # fmt: skip
    rows = []
    for r in found.reflections:
        o = r.orientation
        rows.append(
            [
                r.ring.q.value, r.ring.q.error, r.ring.spacing.value, r.ring.spacing.error,
                r.size.value, o.kind if o else None, o.angle.value if o and o.angle else None,
                o.width.value if o and o.width else None, o.oriented.value if o else None,
                o.oriented.error if o else None, o.hermans.value if o else None,
                o.hermans.error if o else None, r.phase, " ".join(map(str, r.hkl or ())),
            ]
        )  # fmt: skip
    return columns, rows


def _show(console: Console, found: Any) -> None:
    rows = []
    for r in found.reflections:
        o = r.orientation
        rows.append(
            [
                str(r.ring.q.value.__format__(".4f")), str(r.ring.spacing), str(r.size.to("nm")),
                o.kind if o else "-", o.angle.show() if o and o.angle else "-",
                o.width.show() if o and o.width else "-", o.oriented.show() if o else "-",
                o.hermans.show() if o else "-", r.phase or "-",
                " ".join(map(str, r.hkl)) if r.hkl else "-",
            ]
        )  # fmt: skip
    console.table(
        ["q (1/Å)", "d", "size", "kind", "from normal", "spread", "oriented", "Hermans", "phase",
         "hkl"],
        rows,
    )  # fmt: skip
    if found.layers is not None:
        console.say(
            f"layers: {found.layers.spacing} from orders "
            f"{', '.join(map(str, found.layers.orders))} ({found.layers.note})"
        )
        for row in found.layer_phases[:3]:
            plane = "".join(map(str, row["plane"]))
            console.say(
                f"  {row['phase']} ({plane}) {row['spacing']:.3f} Å: {row['mismatch']:+.2%}"
            )
    if found.phases is not None:
        for name, row in found.phases.extra["phases"].items():
            if row.get("amorphous"):
                continue
            told = f"{row['weight_fraction']}" if row["present"] else "not there"
            console.say(f"{name}: {told}")
    if not console.json:
        for warning in found.warnings:
            console.remark(f"note: {warning}")
