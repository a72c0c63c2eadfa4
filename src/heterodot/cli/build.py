"""``heterodot build``: one crystal, or two joined at an orientation relationship."""

from __future__ import annotations

from typing import Any

import click

from heterodot.cli.console import Console, verb


@click.command()
@click.option("--a", "name_a", required=True, metavar="CRYSTAL", help="Catalog name or CIF.")
@click.option("--shape-a", default="cube", show_default=True, help="Shape of A.")
@click.option("--size-a", required=True, help="Size of A: '3.4 nm', '5 cells', '2 nm x 13 nm'.")
@click.option("--termination-a", help="Outer layer of A's facets: 'CsBr', or '100=CsBr,111=S'.")
@click.option("--b", "name_b", metavar="CRYSTAL", help="Second crystal.")
@click.option("--shape-b", help="Shape of B.")
@click.option("--size-b", help="Size of B.")
@click.option("--termination-b", help="Outer layer of B's facets.")
@click.option("--match", type=int, help="Rank of the relation in 'heterodot epitaxy' (1 first).")
@click.option("--plane-a", help="Plane of A at the interface, e.g. '2 1 0' (instead of a rank).")
@click.option("--plane-b", help="Plane of B at the interface.")
@click.option("--max-index", default=2, show_default=True, help="Index limit of the search.")
@click.option("--max-area", default="400", show_default=True, help="Coincidence cell, Å².")
@click.option("--max-strain", default="3", show_default=True, help="Principal strain, percent.")
@click.option("--interface", "rank", default=1, show_default=True, help="Rank of the interface.")
@click.option("--shared", help="Element of the layer that both share, e.g. Pb.")
@click.option("--cut-a", help="Distance of the interface from A's center, e.g. '-0.4 nm'.")
@click.option("--cut-b", help="Distance of the interface from B's center.")
@click.option(
    "--strain",
    type=click.Choice(["b", "a", "both", "none"]),
    default="b",
    show_default=True,
    help="Who yields to the other.",
)
@click.option("--caps", default=1, show_default=True, help="Equivalent facets of A that carry B.")
@click.option("--inside", type=int, help="Put this many B inside A (1: core/shell).")
@click.option("--overhang", is_flag=True, help="Let B be wider than the facet (mushroom).")
@click.option("--passivator", help="Halide that may cap surfaces.")
@click.option(
    "--completion",
    type=click.Choice(["halide", "vacancies"]),
    default="halide",
    show_default=True,
    help="Surplus chalcogen of a surface: replaced by halide, or left out.",
)
@click.option("--charged", is_flag=True, help="Do not make it neutral.")
@click.option("--seed", default=0, show_default=True, help="Orders equal surface sites.")
@click.option("--output", "-o", type=click.Path(), help="File: .xyz, .cif, .pdb, .vasp, .data...")
@click.option("--picture", type=click.Path(), help="Also draw it (.png or .svg).")
@verb("heterodot/build/1")
def build(console: Console, **o: Any) -> None:
    """Build a particle; say what it is and whether it passes every check.

    \b
    heterodot build --a CsPbBr3 --size-a "5 cells" --termination-a CsBr -o cube.xyz
    heterodot build --a CsPbCl3 --size-a "3.4 nm" --b PbS --shape-b cuboctahedron \\
        --size-b "3.0 nm" --match 1 -o dimer.xyz --json
    """
    from heterodot.catalog import crystal_or_file
    from heterodot.errors import InputError
    from heterodot.particle import build as make
    from heterodot.particle import report

    a, taken_a = crystal_or_file(o["name_a"])
    relation: Any = None
    extra: dict[str, Any] = {"a": taken_a}
    pair: dict[str, Any] = {}
    if o["name_b"] is not None:
        if not o["shape_b"] or not o["size_b"]:
            raise InputError(
                "crystal B needs a shape and a size",
                place="--shape-b, --size-b",
                remedy="give both, e.g. --shape-b hemisphere --size-b '3 nm'",
            )
        b, extra["b"] = crystal_or_file(o["name_b"])
        relation, extra["match"] = _relation(console, a, b, o)
        pair = {
            "crystal_b": b,
            "shape_b": o["shape_b"],
            "size_b": o["size_b"],
            "relation": relation,
            "interface": o["rank"],
            "shared": o["shared"],
        }
    elif any(o[key] is not None for key in ("match", "plane_a", "plane_b", "shape_b", "size_b")):
        raise InputError(
            "a relation or shape of B was given without B", place="--b", remedy="name crystal B"
        )
    particle = make(
        a,
        o["shape_a"],
        o["size_a"],
        termination_a=termination(o["termination_a"]),
        termination_b=termination(o["termination_b"]),
        cut_a=o["cut_a"],
        cut_b=o["cut_b"],
        strain=o["strain"],
        passivator=o["passivator"],
        completion=o["completion"],
        neutral=not o["charged"],
        overhang=o["overhang"],
        caps=o["caps"],
        positions=o["inside"],
        seed=o["seed"],
        progress=console.progress,
        **pair,
    )
    found = report(particle)
    finish(console, particle, found, extra, o["output"], o["picture"])


def finish(
    console: Console,
    particle: Any,
    found: dict[str, Any],
    extra: dict[str, Any],
    output: str | None,
    picture: str | None,
) -> None:
    """Write the particle and its picture; print its report."""
    written = []
    if output:
        from heterodot.particle.export import export

        written = [str(path) for path in export(particle, output)]
    if picture:
        from heterodot.report.figures_particle import draw, save

        save(draw(particle), picture)
        written.append(picture)
    step = particle.history[-1] if particle.history else {}
    console.document({**found, **extra, "made": step, "files": written})
    show(console, found)
    for path in written:
        console.say(f"wrote {path}")


def show(console: Console, found: dict[str, Any]) -> None:
    """Print a particle's report for people."""
    console.say(f"{found['formula']}: {found['atoms']} atoms, {found['charge']['value']:+g} e")
    console.table(
        ["domain", "crystal", "atoms", "composition", "size along axes (nm)"],
        [
            [
                d["name"],
                d["crystal"],
                d["atoms"],
                " ".join(f"{e}{n}" for e, n in d["composition"].items()),
                " x ".join(f"{s['value']:.2f}" for s in d["size"].get("along_axes", [])),
            ]
            for d in found["domains"]
        ],
    )
    if found["interface"]:
        census = "; ".join(
            f"{e} " + ", ".join(f"{n} with {c}" for c, n in counts.items())
            for e, counts in found["interface"]["coordination"].items()
        )
        console.say(
            f"interface: {found['interface']['bonds_across']} bonds across; neighbors: {census}"
        )
    console.table(
        ["check", "passed", "value", "limit", "note"],
        [[c["name"], c["passed"], c["value"], c["limit"], c["note"]] for c in found["checks"]],
    )


def termination(text: str | None) -> Any:
    """Return a termination as the builder takes it: a name, or names by facet family."""
    if text is None or "=" not in text:
        return text
    from heterodot.errors import InputError

    parts = [part.partition("=") for part in text.split(",")]
    if any(not family.strip() or not name.strip() for family, _, name in parts):
        raise InputError(
            f"'{text}' is not a list of terminations", place="--termination", remedy="write 111=S"
        )
    return {family.strip(): name.strip() for family, _, name in parts}


def _relation(console: Console, a: Any, b: Any, o: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    from heterodot.cli.epitaxy import fraction, indices
    from heterodot.epitaxy import ranked, search
    from heterodot.errors import InputError, NotFoundError
    from heterodot.units import parse

    limits = {
        "max_index": o["max_index"],
        "max_area": parse(o["max_area"], "angstrom^2", place="--max-area"),
        "max_strain": fraction(o["max_strain"]),
    }
    planes = [o["plane_a"], o["plane_b"]]
    if (planes[0] is None) != (planes[1] is None):
        raise InputError("only one plane was given", place="--plane-a, --plane-b")
    if planes[0] is not None:
        found = search(a, b, **limits, progress=console.progress)
        relation = found.find(indices(planes[0], "--plane-a"), indices(planes[1], "--plane-b"))
        return relation, {**relation.to_json(), "rank": relation.rank}
    rank = o["match"] or 1
    # the order that 'heterodot epitaxy' shows
    found = ranked(a, b, **limits, progress=console.progress)
    for note in found.notes:
        console.remark(note)
    if not 1 <= rank <= len(found.matches):
        raise NotFoundError(
            f"there are {len(found.matches)} relations, not {rank}",
            place="--match",
            remedy="see 'heterodot epitaxy', or raise --max-index or --max-strain",
        )
    relation = found.matches[rank - 1]
    return relation, {"rank": rank, **relation.to_json()}
