"""``heterodot passivate``: ligands on the surface."""

from __future__ import annotations

import click

from heterodot.cli.console import Console, verb


@click.command()
@click.argument("path", type=click.Path())
@click.option("--ligand", required=True, help="oleate, oleylammonium, acetate, Cl...")
@click.option("--coverage", default=1.0, show_default=True, help="Share of the sites, 0 to 1.")
@click.option("--domain", help="Only on this domain.")
@click.option("--seed", default=0, show_default=True, help="Order of the sites.")
@click.option("--output", "-o", type=click.Path(), help="File to write.")
@verb("heterodot/passivate/1")
def passivate(
    console: Console,
    path: str,
    ligand: str,
    coverage: float,
    domain: str | None,
    seed: int,
    output: str | None,
) -> None:
    """Replace surface ions by ligands of the same charge, as many as fit.

    \b
    heterodot passivate cube.xyz --ligand oleylammonium --coverage 0.3 -o capped.xyz
    """
    from heterodot.cli.build import finish
    from heterodot.particle import Particle, report
    from heterodot.particle.ligands import passivate as attach

    particle = attach(Particle.read(path), ligand, coverage=coverage, domain=domain, seed=seed)
    step = particle.history[-1]
    console.remark(
        f"{step['attached']} of {step['wanted']} {step['ligand']} found room "
        f"({step['coverage']:.0%} of {step['sites']} sites)"
    )
    finish(console, particle, report(particle), {}, output, None)
