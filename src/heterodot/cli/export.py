"""``heterodot export``: a particle file for another program."""

from __future__ import annotations

import click

from heterodot.cli.console import Console, verb


@click.command()
@click.argument("path", type=click.Path())
@click.argument("output", type=click.Path())
@click.option("--format", "kind", help="extxyz, cif, pdb, poscar, lammps, cp2k, xtb, dftb.")
@verb("heterodot/export/1")
def export(console: Console, path: str, output: str, kind: str | None) -> None:
    """Write a particle for another program.

    \b
    heterodot export dimer.xyz dimer.inp        # CP2K input and its geometry
    heterodot export dimer.xyz POSCAR
    """
    from heterodot.particle import Particle
    from heterodot.particle.export import export as write

    particle = Particle.read(path)
    files = [str(file) for file in write(particle, output, kind)]
    console.document({"formula": particle.formula, "atoms": len(particle), "files": files})
    for file in files:
        console.say(f"wrote {file}")
