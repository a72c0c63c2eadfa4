"""``heterodot export``: a particle file for another program."""

from __future__ import annotations

import click

from heterodot.cli.console import Console, verb


@click.command()
@click.argument("path", type=click.Path())
@click.argument("output", type=click.Path())
@click.option("--format", "kind", help="extxyz, cif, pdb, poscar, lammps, cp2k, xtb, dftb.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Setting of a CP2K input: task=relax, cutoff=200, solver=diagonalization, cube=-3,3...",
)
@verb("heterodot/export/1")
def export(
    console: Console, path: str, output: str, kind: str | None, settings: tuple[str, ...]
) -> None:
    """Write a particle for another program.

    \b
    heterodot export dimer.xyz dimer.inp        # CP2K, ready to run
    heterodot export dimer.xyz dimer.inp --set task=relax --set cutoff=400
    heterodot export dimer.xyz POSCAR
    """
    from heterodot.particle import Particle
    from heterodot.particle.export import export as write

    particle = Particle.read(path)
    asked = None
    if settings:
        from heterodot.energy.cp2k_input import settings_from
        from heterodot.particle.cp2k import EXPORTED

        asked = settings_from(settings, EXPORTED)
    files = [str(file) for file in write(particle, output, kind, cp2k=asked)]
    console.document({"formula": particle.formula, "atoms": len(particle), "files": files})
    for file in files:
        console.say(f"wrote {file}")
