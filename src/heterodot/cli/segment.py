"""``heterodot segment``: particles of a micrograph, their sizes and domains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from heterodot.cli.console import Console, verb, write_csv


@click.command()
@click.argument("file", metavar="IMAGE")
@click.option("--pixel-size", help="Size of a pixel, e.g. '0.21 nm'; default is the file's.")
@click.option("--polarity", default="auto", type=click.Choice(["auto", "bright", "dark"]))
@click.option("--shape", default="auto", type=click.Choice(["auto", "round", "cube", "platelet"]))
@click.option("--thickness", default="auto", type=click.Choice(["auto", "round", "uniform"]))
@click.option("--smallest", help="Least diameter, e.g. '3 nm'.")
@click.option("--split", default=0.12, show_default=True, help="Depth of a neck that parts.")
@click.option("--crop", help="Pixels x0:x1,y0:y1 to look at, e.g. 0:2048,0:1900.")
@click.option(
    "--exclude", multiple=True, help="Pixels x0:x1,y0:y1 that are no micrograph (a label)."
)
@click.option("--domain-contrast", default=0.15, show_default=True, help="Step that makes two.")
@click.option("--dimers", is_flag=True, help="Touching pairs of different gray are one particle.")
@click.option("--drop", help="Numbers to take out after looking at the overlay, e.g. 3,17.")
@click.option("--review", type=click.Path(), help="Write a list to be edited (.json).")
@click.option("--reviewed", type=click.Path(), help="Read the edited list and apply it.")
@click.option("--bins", type=int, help="Bins of the histogram.")
@click.option("--csv", "table", type=click.Path(), help="Write one row per particle.")
@click.option("--overlay", "overlay_file", type=click.Path(), help="Write outlines (.png).")
@click.option("--histogram", "histogram_file", type=click.Path(), help="Write figure (.svg...).")
@verb("heterodot/segment/1")
def segment(
    console: Console,
    file: str,
    pixel_size: str | None,
    polarity: str,
    shape: str,
    thickness: str,
    smallest: str | None,
    split: float,
    crop: str | None,
    exclude: tuple[str, ...],
    domain_contrast: float,
    dimers: bool,
    drop: str | None,
    review: str | None,
    reviewed: str | None,
    bins: int | None,
    table: str | None,
    overlay_file: str | None,
    histogram_file: str | None,
) -> None:
    """Find, split and size the particles of a micrograph, and count two-domain ones.

    Check the overlay; take wrong ones out with --drop, or edit the list that --review writes and
    give it back with --reviewed.

    Example: heterodot segment field.tif --overlay field.png --review field.json
    """
    from heterodot.errors import InputError
    from heterodot.files import write_text
    from heterodot.formats.images import read
    from heterodot.probes.segmentation import burnt_in, review_document
    from heterodot.probes.segmentation import segment as found_in
    from heterodot.units import Value, parse

    if review and Path(review).exists():
        raise InputError(
            "is there already, perhaps edited", file=review, remedy="move it, or give --reviewed"
        )
    given = parse(pixel_size, "nm", place="--pixel-size") if pixel_size else None
    measured = read(Path(file), pixel_size=given)
    image = measured.data.values
    boxes = [_box(text, image.shape, "--exclude") for text in exclude]
    bar = measured.metadata.get("scale_bar")
    if bar is not None:
        boxes.append(burnt_in(image, (bar[0], bar[1], bar[2], bar[3])))
    if crop:
        y0, y1, x0, x1 = _box(crop, image.shape, "--crop")
        image = image[y0:y1, x0:x1]
        boxes = [(a - y0, b - y0, c - x0, d - x0) for a, b, c, d in boxes]
    found = found_in(
        image,
        float(measured.data.attrs["pixel_size_nm"]),
        polarity=polarity,
        shape=shape,
        thickness=thickness,
        split=split,
        smallest=parse(smallest, "nm", place="--smallest") if smallest else None,
        domain_contrast=domain_contrast,
        dimers=dimers,
        exclude=[box for box in boxes if box[1] > 0 and box[3] > 0],
    )
    if review:
        verdict = review_document(found, measured.source, measured.sha256)
        write_text(review, json.dumps(verdict, indent=1) + "\n")
    counted = len(found.particles)
    if reviewed:
        found = _applied(found, reviewed, measured.sha256)
    if drop:
        found = found.without(_numbers(drop))
    warnings = [*measured.notes, *found.warnings]
    if bar is not None:
        warnings.append("the burnt-in bar and its label were left out")
    document = {
        "source": measured.source,
        **found.to_json(),
        "taken_out_by_review": counted - len(found.particles),
        "warnings": warnings,
    }
    if len(found.sizes()):
        edges, counts, errors = found.histogram(bins)
        document["histogram"] = {"edges_nm": edges, "counts": counts, "errors": errors}
    if table:
        write_csv(table, _COLUMNS, [_row(p) for p in found.particles])
    _draw(image, found, bins, overlay_file, histogram_file)
    console.document(
        {**document, "output": [o for o in (table, overlay_file, histogram_file, review) if o]}
    )
    rows_ = [
        ["counted (counting error)", _counted(len(found.particles))],
        ["sized", str(len(found.sizes()))],
    ]
    if len(found.sizes()):
        rows_.append([f"mean {found.size_name}", str(found.mean())])
    if len(found.sizes()) > 1:
        rows_.append(["standard deviation", str(found.spread())])
    if document["mean_shorter_edge"]:
        rows_.append(["mean shorter edge", str(Value.from_json(document["mean_shorter_edge"]))])
    for name in ("first", "second"):
        sizes = found.domain_sizes(name)
        if len(sizes) > 1:
            rows_.append([f"{name} domain, diameter of equal area", str(_mean(sizes))])
    if document["fraction_without_second_domain"]:
        rows_.append(["fraction without second domain", str(found.fraction_without_second())])
    console.table(["quantity", "value"], rows_)
    if not console.json:
        for warning in warnings:
            console.remark(f"note: {warning}")


def _counted(number: int) -> str:
    return f"{number} ({number**0.5:.0f})"


def _mean(sizes: Any) -> Any:
    from heterodot.units import Value

    return Value(float(sizes.mean()), "nm", float(sizes.std(ddof=1) / len(sizes) ** 0.5))


def _applied(found: Any, path: str, sha256: str) -> Any:
    from heterodot.errors import InputError
    from heterodot.files import read_text
    from heterodot.probes.segmentation import reviewed

    try:
        document = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(
            f"is not JSON ({error.msg})",
            file=path,
            place=f"line {error.lineno}",
            remedy="mend it, or write it again with --review",
        ) from error
    if not isinstance(document, dict):
        raise InputError("is no review of a field", file=path, remedy="write one with --review")
    try:
        return reviewed(found, document, sha256)
    except InputError as error:
        raise error.at(file=path) from error


_COLUMNS = [
    "number", "x_nm", "y_nm", "size_nm", "error_nm", "aspect", "touching", "at_border",
    "first_domain_nm", "second_domain_nm", "second_level", "shorter_edge_nm",
]  # fmt: skip


def _row(particle: Any) -> list[Any]:
    sizes = [d.diameter for d in particle.domains] + [None, None]
    level = particle.domains[1].level if len(particle.domains) == 2 else None
    return [
        particle.number, *particle.center, particle.size, particle.error, particle.aspect,
        particle.touching, particle.at_border, *sizes[:2], level,
        None if particle.sides is None else particle.sides[1],
    ]  # fmt: skip


def _draw(image: Any, found: Any, bins: int | None, overlay: str | None, bars: str | None) -> None:
    from heterodot.errors import InputError
    from heterodot.files import replacing
    from heterodot.report.figures_segmentation import overlay as overlay_figure
    from heterodot.report.figures_segmentation import size_histogram

    for path, is_overlay in ((overlay, True), (bars, False)):
        if path is None:
            continue
        kind = Path(path).suffix.lower().lstrip(".")
        if kind not in ("png", "pdf", "svg"):
            raise InputError(f"figures are not written as '.{kind}'", file=path, remedy="take .png")
        figure = overlay_figure(image, found) if is_overlay else size_histogram(found, bins)
        with replacing(path) as beside:
            figure.savefig(beside, format=kind)


def _numbers(text: str) -> list[int]:
    from heterodot.errors import InputError

    words = [w for w in text.replace(",", " ").split() if w]
    if not all(w.isdigit() for w in words):
        raise InputError(f"'{text}' is not a list of numbers", place="--drop", remedy="as in 3,17")
    return [int(w) for w in words]


def _box(text: str, shape: tuple[int, ...], place: str) -> tuple[int, int, int, int]:
    """Return first row, past the last, first column, past the last."""
    import re

    from heterodot.errors import InputError

    match = re.fullmatch(r"(\d+):(\d+),(\d+):(\d+)", text.replace(" ", ""))
    if match is None:
        raise InputError(f"'{text}' is not a box", place=place, remedy="as in 0:2048,0:1900")
    x0, x1, y0, y1 = (int(n) for n in match.groups())
    if not (x0 < x1 <= shape[1] and y0 < y1 <= shape[0]):
        raise InputError(
            f"'{text}' leaves the image of {shape[1]} by {shape[0]} pixels", place=place
        )
    return y0, y1, x0, x1
