"""``heterodot exchange``: ions of one domain for others, or a domain etched away."""

from __future__ import annotations

import click

from heterodot.cli.console import Console, verb


@click.command()
@click.argument("path", type=click.Path())
@click.option("--domain", required=True, help="Name of the domain, as 'heterodot inspect' says.")
@click.option("--replace", "replacement", help="Cl=Br, Pb=2Cu, Pb=Cd...")
@click.option("--etch", is_flag=True, help="Remove the domain instead.")
@click.option("--fraction", default=1.0, show_default=True, help="Share of the ions, 0 to 1.")
@click.option(
    "--order",
    type=click.Choice(["random", "ordered", "graded"]),
    default="random",
    show_default=True,
    help="Which ions go first.",
)
@click.option("--depth", default="1 nm", show_default=True, help="Width of a graded front.")
@click.option("--keep-layers", default=0, show_default=True, help="Cation layers kept.")
@click.option("--product", help="Crystal of the product (catalog name or CIF).")
@click.option("--keep-cell", is_flag=True, help="Leave the cell as it is.")
@click.option("--seed", default=0, show_default=True, help="For the random order.")
@click.option("--output", "-o", type=click.Path(), help="File to write.")
@verb("heterodot/exchange/1")
def exchange(
    console: Console,
    path: str,
    domain: str,
    replacement: str | None,
    etch: bool,
    fraction: float,
    order: str,
    depth: str,
    keep_layers: int,
    product: str | None,
    keep_cell: bool,
    seed: int,
    output: str | None,
) -> None:
    """Exchange ions in one domain, or etch a domain away.

    \b
    heterodot exchange dimer.xyz --domain CsPbCl3 --replace Cl=Br -o bromide.xyz
    heterodot exchange dimer.xyz --domain PbS --replace Pb=2Cu --keep-layers 1 -o copper.xyz
    """
    from heterodot.catalog import crystal_or_file
    from heterodot.cli.build import finish
    from heterodot.errors import InputError
    from heterodot.particle import Particle, report
    from heterodot.particle.etching import etch as remove
    from heterodot.particle.exchange import exchange as change
    from heterodot.units import parse

    if etch == (replacement is not None):
        raise InputError(
            "give either --replace or --etch", place="exchange", remedy="e.g. --replace Cl=Br"
        )
    particle = Particle.read(path)
    if etch:
        changed = remove(particle, domain, seed=seed)
    else:
        assert replacement is not None
        changed = change(
            particle,
            domain,
            replacement,
            fraction=fraction,
            order=order,
            depth=parse(depth, "angstrom", place="--depth"),
            keep_layers=keep_layers,
            product=crystal_or_file(product)[0] if product else None,
            cell="keep" if keep_cell else "new",
            seed=seed,
        )
    finish(console, changed, report(changed), {}, output, None)
