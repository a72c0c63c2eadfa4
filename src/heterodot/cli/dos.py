"""``heterodot dos``: density of states by domain, localization and traps of a calculation."""

from __future__ import annotations

from typing import Any

import click

from heterodot.cli.console import Console, verb


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--particle", type=click.Path(), help="Particle file that names the domains.")
@click.option("--states", default=40, show_default=True, help="States (tight binding only).")
@click.option("--sigma", default=0.1, show_default=True, help="Broadening, eV.")
@click.option(
    "--by", type=click.Choice(["domain", "element", "both"]), default="domain", show_default=True
)
@click.option(
    "--limit", default=8.0, show_default=True, help="Confinement above which a state is a trap."
)
@click.option("--table", type=click.Path(), help="Write the curves as CSV.")
@click.option("--figure", type=click.Path(), help="Write a figure (.svg, .pdf, .png).")
@click.option("--surfaces", type=click.Path(), help="Picture of HOMO and LUMO from cube files.")
@click.option(
    "--enclosed", default=0.5, show_default=True, help="Share of an orbital inside its surface."
)
@verb("heterodot/dos/1")
def dos(
    console: Console,
    file: str,
    particle: str | None,
    states: int,
    sigma: float,
    by: str,
    limit: float,
    table: str | None,
    figure: str | None,
    surfaces: str | None,
    enclosed: float,
) -> None:
    """Density of states by domain, frontier orbitals and traps.

    FILE is the output of CP2K (its .pdos, .molden and .cube files beside it), a Molden file of any
    program, or a particle file, whose states near the gap are then computed by tight binding.

    Example: heterodot dos run.out --particle dimer.xyz --figure dos.svg
    """
    from heterodot.electronic.dos import density_of_states, find_traps, participation, summary

    orbitals = _orbitals(console, file, particle, states)
    traps = find_traps(orbitals, limit)
    curves = density_of_states(orbitals, by=by, sigma=sigma)
    content = summary(orbitals, traps)
    for note in content["notes"]:
        console.remark(note)
    if table:
        from heterodot.cli.console import write_csv

        columns = ["energy (eV)", "total (1/eV)", *[f"{name} (1/eV)" for name in curves.parts]]
        rows = zip(curves.energies, curves.total, *curves.parts.values(), strict=True)
        write_csv(table, columns, [[float(x) for x in row] for row in rows])
    if figure:
        from heterodot.files import replacing
        from heterodot.report.figures_dos import dos_figure

        drawn = dos_figure(curves, orbitals, traps)
        with replacing(figure) as beside:
            drawn.savefig(beside)
    if surfaces:
        _surfaces(file, surfaces, orbitals.energies[[traps.homo, traps.lumo]], enclosed, particle)
    console.document({"file": file, "orbitals": len(orbitals.energies), "sigma": sigma, **content})
    shares = orbitals.shares()
    population = participation(orbitals.weights)
    shown = [k for k in range(traps.homo - 4, traps.lumo + 5) if 0 <= k < len(population)]
    console.table(
        ("orbital", "energy (eV)", "filled", "IPR", "confinement", "trap", *shares),
        [
            (
                {traps.homo: "HOMO", traps.lumo: "LUMO"}.get(k, str(k)),
                float(orbitals.energies[k]),
                bool(orbitals.filled[k]),
                float(population[k]),
                float(traps.ratio[k]),
                bool(traps.is_trap[k]),
                *[float(share[k]) for share in shares.values()],
            )
            for k in shown
        ],
    )
    console.say(f"gap {traps.gap} without traps, {traps.raw_gap:.3f} eV with them")
    console.say(
        f"trap: {traps.criterion} (IPR above {min(1.0, traps.threshold[traps.homo]):.3g} at the HOMO); "
        f"{int(traps.is_trap.sum())} of {len(population)} orbitals"
    )
    for path in (table, figure, surfaces):
        if path:
            console.say(f"written: {path}")


def _surfaces(file: str, output: str, edges: Any, enclosed: float, particle: str | None) -> None:
    from heterodot.electronic.dos_cube import enclosing_value, isosurface, read_cube
    from heterodot.electronic.dos_sources import frontier_cubes
    from heterodot.errors import InputError
    from heterodot.files import replacing
    from heterodot.particle import Particle
    from heterodot.report.figures_dos import orbital_figure

    found = {}
    if not file.lower().endswith((".xyz", ".extxyz", ".molden")):
        found = frontier_cubes(file, *edges)
    if not found:
        raise InputError(
            "has no cube files of HOMO or LUMO beside it",
            file=file,
            remedy="ask for them: heterodot export ... --set cube=-1,1",
        )
    panels = []
    for name, path in found.items():
        cube = read_cube(path)
        value = enclosing_value(cube, enclosed)
        panels.append((name, cube, isosurface(cube, value), isosurface(-cube, value)))
    domain = Particle.read(particle).domain if particle else None
    drawn = orbital_figure(panels, domain)
    with replacing(output) as beside:
        drawn.savefig(beside)


def _orbitals(console: Console, file: str, particle: str | None, states: int) -> Any:
    from pathlib import Path

    from heterodot.electronic.dos import Orbitals, read_orbitals
    from heterodot.errors import InputError
    from heterodot.particle import Particle

    if Path(file).suffix.lower() in (".xyz", ".extxyz"):
        from heterodot.electronic.atomistic import atomistic_levels

        body = Particle.read(file)
        crystals = [domain.crystal for domain in body.domains if domain.crystal is not None]
        if len(crystals) < len(body.domains):
            raise InputError(
                "does not say which crystals its domains are",
                file=file,
                remedy="build it with 'heterodot build', or give a CP2K output",
            )
        levels = atomistic_levels(
            body.positions, body.symbols, body.domain, crystals, n_states=states,
            progress=console.progress,
        )  # fmt: skip
        return Orbitals.from_levels(levels, body.symbols, body.domain)
    if particle is None:
        return read_orbitals(file)
    body = Particle.read(particle)
    names = [domain.name for domain in body.domains]
    orbitals = read_orbitals(file, body.domain, names)
    if orbitals.symbols != body.symbols:
        raise InputError(
            "has other atoms than the calculation",
            file=particle,
            remedy="give the particle file that the input was made from",
        )
    return orbitals
