"""``heterodot inspect``: what a particle file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from heterodot.cli.console import Console, verb


def load(path: str) -> tuple[Any, str]:
    """Return the particle of an XYZ or CIF file, and how it was read."""
    from heterodot.particle import Particle

    if Path(path).suffix.lower() == ".cif":
        from heterodot.particle.from_cif import read_particle_cif

        return read_particle_cif(path), "CIF"
    return Particle.read(path), "XYZ"


@click.command()
@click.argument("path", type=click.Path())
@click.option("--again", is_flag=True, help="Find domains anew even if the file names them.")
@click.option("--output", "-o", type=click.Path(), help="Write the particle with its domains.")
@click.option("--picture", type=click.Path(), help="Draw it (.png or .svg).")
@verb("heterodot/inspect/1")
def inspect(
    console: Console, path: str, again: bool, output: str | None, picture: str | None
) -> None:
    """Say what a particle file holds: domains, sizes, facets, coordination, interface.

    Works on any XYZ or CIF of a finite particle; domains of files that are not ours are found
    from the neighbors of their atoms.

    \b
    heterodot inspect dimer.xyz
    heterodot inspect somebody_elses.xyz -o with_domains.xyz --json
    """
    from heterodot.cli.build import finish
    from heterodot.particle import report
    from heterodot.particle.measured_facets import facets
    from heterodot.particle.recognize import recognize

    particle, kind = load(path)
    named = all(d.crystal is not None for d in particle.domains)
    if again or not named:
        particle = recognize(particle)
    found = report(particle)
    for k, domain in enumerate(found["domains"]):
        domain["facets"] = facets(particle, k)
        domain["orientation"] = particle.domains[k].orientation.tolist()
    extra = {
        "file": Path(path).name,
        "kind": kind,
        "domains_from": "the file" if named and not again else "local environment",
        "charges_from": particle.info.get("charges", "the file"),
        "relation": particle.info.get("relation"),
        "history": list(particle.history),
    }
    finish(console, particle, found, extra, output, picture)
    rows = [
        [
            d["name"],
            f"{{{f['family']}}}",
            f"{f['area']['value']:.2f}",
            " ".join(f"{e}{n}" for e, n in f["termination"].items()),
            f"{f['interface']:.0%}",
        ]
        for d in found["domains"]
        for f in d["facets"][:14]
    ]
    if rows:
        console.table(["domain", "facet", "area (nm²)", "outer layer", "at interface"], rows)
