"""``heterodot fit fft``: domains, zone axes and the orientation relation in lattice images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from heterodot.cli.console import Console, verb
from heterodot.cli.fit_xrd import Several

if TYPE_CHECKING:
    from heterodot.measurement import Measurement
    from heterodot.probes.em import Reading
    from heterodot.probes.em.spots import Region


class Words(Several):
    """A command whose --phases, --elements and --region take all words up to the next option."""

    EATERS = ("--phases", "-p", "--elements", "--region", "--g", "--tilt")


def opened(path: str, pixel: str | None) -> tuple[Measurement, list[str]]:
    """Return an image with y upward and without a burnt-in scale bar, and what to say of it."""
    from dataclasses import replace

    from heterodot.errors import InputError
    from heterodot.formats import images, read
    from heterodot.probes.em.spots import without_bar
    from heterodot.units import parse

    file = Path(path)
    size = parse(pixel, "nm", place="--pixel") if pixel else None
    if file.suffix.lower() not in (*images.PLAIN, *images.ROSETTA):
        return read(file, "image"), []
    try:
        image = images.read(file, pixel_size=size)
    except InputError as error:
        if "no scale" not in error.what:
            raise
        raise InputError(
            error.what, file=file, remedy="give the size of a pixel, e.g. --pixel 0.02nm"
        ) from error
    image, warnings = without_bar(image)
    notes = [n for n in image.notes if not (warnings and "scale bar" in n)]
    # rows of a file run downward; angles are counted from +x to +y upward
    data = image.data.isel(y=slice(None, None, -1)).assign_coords(y=image.data["y"])
    return replace(image, data=data), [*notes, *warnings]


def parse_region(text: str, place: str) -> Region:
    """Return (x0, x1, y0, y1) in Å from ``x0,y0,x1,y1`` in nm."""
    from heterodot.errors import InputError

    try:
        x0, y0, x1, y1 = (10 * float(part) for part in text.replace("nm", "").split(","))
    except ValueError:
        raise InputError(
            f"'{text}' is not a region", place=place,
            remedy="give x0,y0,x1,y1 in nm from the lower left corner, e.g. 2,2,8,8",
        ) from None  # fmt: skip
    if x0 == x1 or y0 == y1:
        raise InputError(f"'{text}' has no area", place=place)
    return min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)


def numbers(text: str, count: int, place: str) -> tuple[float, ...]:
    """Return a given count of numbers from a text with commas."""
    from heterodot.errors import InputError

    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != count:
        raise InputError(f"'{text}' is not {count} numbers", place=place, remedy="as in 10,-3")
    return values


def offered_phases(
    console: Console, phases: tuple[str, ...], elements: tuple[str, ...]
) -> tuple[list[Any], dict[str, str]]:
    """Return crystals named, or all of the catalog with known sites (of given elements)."""
    from heterodot.catalog import crystal, phase_names
    from heterodot.catalog.phases import crystal_or_file
    from heterodot.errors import InputError

    found: list[Any] = []
    if phases:
        for name in phases:
            one, taken = crystal_or_file(name)
            if taken.get("catalog", name) != name:
                console.remark(f"{name}: taken as {taken['catalog']}")
            found.append(one)
        if len({c.name for c in found}) < len(found):
            raise InputError("a phase is given twice", place="--phases")
        return found, {n: c.name for n, c in zip(phases, found, strict=True)}
    for name in phase_names():
        try:
            one = crystal(name)
        except InputError:  # its sites are not known
            continue
        if not elements or set(one.symbols) <= set(elements):
            found.append(one)
    if not found:
        raise InputError(
            "no phase of the catalog has these elements only", place="--elements",
            remedy="leave it out, or give --phases",
        )  # fmt: skip
    return found, {}


@click.command(cls=Words)
@click.argument("files", metavar="IMAGE...", nargs=-1, required=True)
@click.option("--phases", "-p", multiple=True, help="Catalog names or CIF files (several).")
@click.option("--elements", multiple=True, help="Without --phases: only phases of these.")
@click.option("--region", multiple=True, help="x0,y0,x1,y1 in nm, one a domain; default: found.")
@click.option("--pixel", help="Size of a pixel, e.g. 0.02nm; default is the file's.")
@click.option("--window", help="Window that looks for domains, e.g. 2nm.")
@click.option("--max-index", default=4, show_default=True, help="Largest index of a zone axis.")
@click.option("--scale-error", default=2.0, show_default=True, help="Of the scale, percent.")
@click.option("--distortion", default=1.0, show_default=True, help="Drift and scan, percent.")
@click.option("--tilt", multiple=True, help="Tilt about x,y from the first image, degrees.")
@click.option("--candidates/--no-candidates", default=True, help="Compare with an epitaxy search.")
@click.option("--figure", type=click.Path(), help="Write image and spots (.png, .svg, .pdf).")
@verb("heterodot/fit-fft/1")
def fft(
    console: Console,
    files: tuple[str, ...],
    phases: tuple[str, ...],
    elements: tuple[str, ...],
    region: tuple[str, ...],
    pixel: str | None,
    window: str | None,
    max_index: int,
    scale_error: float,
    distortion: float,
    tilt: tuple[str, ...],
    candidates: bool,
    figure: str | None,
) -> None:
    """Find domains, spacings, zone axes and the orientation relation in lattice images.

    Several images of one particle along several axes are read together. Without --phases, all
    phases of the catalog are tried. Regions are in nm from the lower left corner.

    Example: heterodot fit fft dimer.dm4 --phases CsPbBr3 PbS --figure spots.png
    """
    from heterodot.errors import InputError, NotFoundError
    from heterodot.probes.em import not_there, read_domains
    from heterodot.units import parse

    if region and len(files) > 1:
        raise InputError("regions go with one image", place="--region", remedy="leave them out")
    if tilt and len(tilt) != len(files):
        raise InputError(
            f"{len(tilt)} tilts for {len(files)} images", place="--tilt",
            remedy="give one for each image, 0,0 for the first",
        )  # fmt: skip
    if not 1 <= max_index <= 8:
        raise InputError(f"{max_index} is not 1 to 8", place="--max-index")
    if not (0 < scale_error <= 10 and 0 <= distortion <= 10):
        raise InputError("errors of scale and distortion are 0 to 10 %", place="--scale-error")
    crystals, taken = offered_phases(console, phases, elements)
    options: dict[str, Any] = {"scale_error": scale_error / 100, "distortion": distortion / 100}
    regions = [parse_region(text, "--region") for text in region]
    width = parse(window, "angstrom", place="--window") if window else None
    views, images, warnings = [], [], []
    for path in files:
        image, notes = opened(path, pixel)
        warnings += [f"{Path(path).name}: {n}" for n in notes]
        readings = read_domains(
            image, crystals, regions=regions, window=width, max_index=max_index,
            progress=console.progress, **options,
        )  # fmt: skip
        console.end_progress()
        views.append((image, readings))
        images.append(
            {
                "source": image.source,
                "domains": [r.to_json() for r in readings],
                "not_there": not_there(readings, crystals),
            }
        )
    tilts = [numbers(t, 2, "--tilt") for t in tilt]
    result = _relation(console, views, crystals, bool(phases), tilts, candidates, options)
    warnings += result.pop("warnings")
    line = result.pop("line")
    if figure:
        _save_spots(figure, views, line)
    document = {"phases": taken, "images": images, **result, "warnings": warnings,
                "output": _written(figure, len(views))}  # fmt: skip
    console.document(document)
    _show(console, views, images, result, warnings)
    if not any(r.best for _, readings in views for r in readings):
        raise NotFoundError(
            "none of the candidate phases is seen in the image", file=files[0],
            remedy="check the scale, try other --phases, a --region or a larger --scale-error",
        )  # fmt: skip


def _relation(
    console: Console,
    views: list[tuple[Measurement, list[Reading]]],
    crystals: list[Any],
    named: bool,
    tilts: list[Any],
    candidates: bool,
    options: dict[str, Any],
) -> dict[str, Any]:
    """Return relation, interface and shared axes of the two phases that are seen together."""
    from heterodot.errors import HeterodotError, NotFoundError
    from heterodot.probes.em import (
        contact_planes,
        domain_pair,
        interface_between,
        measured_relation,
        shared_axes,
    )

    empty: dict[str, Any] = {"a": None, "b": None, "relation": None, "interface": None,
                             "contact_planes": [], "shared_axes": [], "warnings": [], "line": None}  # fmt: skip
    two = _two_phases(views, crystals, named)
    if two is None:
        return empty
    a, b = two
    pairs, kept = [], []
    warnings = []
    for k, (image, readings) in enumerate(views):
        try:
            pair = domain_pair(readings, a, b)
        except NotFoundError as error:
            warnings.append(
                f"{image.source}: {error.what}; this image says nothing of the relation"
            )
            continue
        pairs.append((image, *pair))
        kept.append(k)
    if not pairs:
        return {**empty, "warnings": warnings}
    offered: Any = ()
    if candidates:
        from heterodot.epitaxy import search

        try:
            offered = search(a, b, progress=console.progress).matches
        except HeterodotError as error:
            warnings.append(f"no candidate relations: {error.what}")
        console.end_progress()
    measured = measured_relation(
        [(one.open, two.open) for _, one, two in pairs],
        offered,
        tilts=[tilts[k] for k in kept] if tilts and kept[0] == 0 else None,
        **options,
    )
    if measured.discord > 3:
        warnings.append(
            f"the images do not agree on one relation (chi squared {measured.discord:.1f}): are they "
            "of one particle, and the tilts right?"
        )
    image, one, two_ = pairs[0]
    line, contacts = None, []
    try:
        line = interface_between(image, one, two_)
        if measured.candidates and one.best is not None:
            members = [
                r for c in measured.candidates if c.agrees and not c.told_apart
                for r in c.same_rotation
            ]  # fmt: skip
            contacts = contact_planes(line, one.best, measured, members)
    except HeterodotError as error:
        warnings.append(f"interface: {error.what}")
    axes = [] if one.best is None else shared_axes(one.best, measured.rotation, b, within=1.5)[:8]
    return {
        "a": a.name,
        "b": b.name,
        "relation": measured.to_json(),
        "interface": None if line is None else line.to_json(),
        "contact_planes": [c.to_json() for c in contacts],
        "shared_axes": [s.to_json() for s in axes],
        "warnings": warnings,
        "line": line,
    }


def _two_phases(
    views: list[tuple[Measurement, list[Reading]]], crystals: list[Any], named: bool
) -> tuple[Any, Any] | None:
    """Return the two phases that are there, in the order given, else by evidence."""
    sure: dict[str, float] = {}
    for _, readings in views:
        for reading in readings:
            if reading.best is not None:
                name = reading.best.crystal.name
                sure[name] = max(sure.get(name, 0.0), reading.best.evidence)
    order = [c for c in crystals if c.name in sure]
    if not named:
        order.sort(key=lambda c: -sure[c.name])
    return (order[0], order[1]) if len(order) > 1 else None


def _written(figure: str | None, count: int) -> list[str]:
    if figure is None:
        return []
    return [str(_numbered(figure, k, count)) for k in range(count)]


def _numbered(figure: str, k: int, count: int) -> Path:
    path = Path(figure)
    return path if count == 1 else path.with_name(f"{path.stem}_{k + 1}{path.suffix}")


def _save_spots(figure: str, views: list[tuple[Measurement, list[Reading]]], line: Any) -> None:
    from heterodot.report.figures_em_fit import spots_figure

    for k, (image, readings) in enumerate(views):
        drawn = spots_figure(image, readings, line if k == 0 else None)
        save(drawn, _numbered(figure, k, len(views)))


def save(figure: Any, path: Path) -> None:
    """Write a figure in the format of its suffix, whole or not at all."""
    from heterodot.errors import OutputError
    from heterodot.files import replacing

    kind = path.suffix.lower().lstrip(".")
    if kind not in ("png", "pdf", "svg"):
        raise OutputError(f"figures are not written as '.{kind}'", file=path, remedy="take .png")
    with replacing(path) as beside:
        figure.savefig(beside, format=kind)


def _show(
    console: Console,
    views: list[tuple[Measurement, list[Reading]]],
    images: list[dict[str, Any]],
    result: dict[str, Any],
    warnings: list[str],
) -> None:
    """Print domains, spacings, relation and what is not there for people."""
    from heterodot.epitaxy.relationship import direction_text

    for (image, readings), record in zip(views, images, strict=True):
        rows = []
        for reading in readings:
            best = reading.best
            others = ", ".join(
                f"{a.crystal.name} {direction_text(a.zone)}" for a in reading.open[1:]
            )
            spots = reading.grain.spots
            rows.append(
                [
                    reading.grain.number,
                    f"{reading.grain.center[0] / 10:.1f}, {reading.grain.center[1] / 10:.1f}",
                    f"{reading.grain.extent / 10:.1f}",
                    best.crystal.name if best else "not found",
                    direction_text(best.zone) if best else "-",
                    best.spacing_ratio.show() if best else "-",
                    ", ".join(s.spacing.show().removesuffix(" Å") for s in spots[:3]),
                    others or (_fringe_text(reading) if best is None else "-"),
                ]
            )
        console.table(
            ["domain", "x, y (nm)", "edge (nm)", "phase", "zone axis", "spacing over bulk",
             "spacings (Å)", "not told apart"],
            rows, title=image.source,
        )  # fmt: skip
        for row in record["not_there"][:6]:
            console.say(f"{row['phase']} is not there: {row['reason']}")
        if len(record["not_there"]) > 6:
            console.say(f"{len(record['not_there']) - 6} other candidates are not there")
    relation = result["relation"]
    if relation is not None:
        console.say(f"relation: {relation['verdict']}")
        error = relation["error"]["value"]
        turn = ", ".join(f"{t['value']:.2f}({t['error']:.2f})°" for t in relation["turns"])
        console.say(f"turn of the domains about the beam: {turn}; across it within {error:.1f}°")
        if relation["ambiguous"]:
            console.say(
                "another rotation explains the images as well; a second zone axis settles it"
            )
    for contact in result["contact_planes"]:
        if contact["agrees"]:
            console.say(f"the interface's line agrees with {contact['label']}")
    for axis in [x for x in result["shared_axes"] if x["tilt"]["value"] > 0.5][:2]:
        console.say(
            f"shared axis {direction_text(axis['a'])} ‖ {direction_text(axis['b'])}: tilt "
            f"{axis['tilt']['value']:.1f}° about {axis['about']['value']:.0f}° from +x"
        )
    if not console.json:
        for warning in warnings:
            console.remark(f"note: {warning}")


def _fringe_text(reading: Reading) -> str:
    from heterodot.epitaxy.relationship import plane_text

    if not reading.fringes:
        return "-"
    return "maybe " + ", ".join(f"{n} {plane_text(h)}" for n, h, _ in reading.fringes[:2])
