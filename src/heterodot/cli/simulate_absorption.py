"""``heterodot simulate absorption``: a spectrum from the particle's levels."""

from __future__ import annotations

from pathlib import Path

import click

from heterodot.cli.console import Console, verb
from heterodot.cli.light import between, deliver, warn_all


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--width", default=0.10, show_default=True, help="Full width of every line, eV.")
@click.option("--states", default=12, show_default=True, help="Levels of each carrier.")
@click.option("--range", "span", help="Energies, eV, e.g. 1.0:3.0.")
@click.option("--points", default=801, show_default=True)
@click.option("-o", "--output", type=click.Path(), help="Figure, curves (.csv) or .nc.")
@verb("heterodot/simulate-absorption/1")
def absorption(
    console: Console,
    file: str,
    width: float,
    states: int,
    span: str | None,
    points: int,
    output: str | None,
) -> None:
    """Absorption of a particle from its electron and hole levels, in all and by domain.

    Example: heterodot simulate absorption dimer.xyz --width 0.08 -o absorption.svg
    """
    from heterodot.particle import Particle
    from heterodot.probes.absorption import AbsorptionSetup, simulate
    from heterodot.report.figures_light import simulated_figure

    limits = between(span) or (None, None)
    setup = AbsorptionSetup(width, limits[0], limits[1], points, states)
    found = simulate(Particle.read(file), setup, progress=console.progress)
    energy, values = found.data["energy"].values, found.data.values
    names = [str(n) for n in found.data["sample"].values]
    pairs = found.metadata["transitions"]
    strongest = sorted(pairs, key=lambda p: -p["strength"])[:8]
    console.table(
        ["energy / eV", "strength", "electron", "hole", "domains"],
        [
            [
                f"{p['energy']['value']:.3f}",
                f"{p['strength']:.3g}",
                str(p["electron"] + 1),
                str(p["hole"] + 1),
                ", ".join(f"{n} {100 * x:.0f} %" for n, x in p["domains"].items()),
            ]
            for p in sorted(strongest, key=lambda p: p["energy"]["value"])
        ],
        title="strongest pairs",
    )
    console.document(
        {
            "source": Path(file).name,
            "output": output,
            "complete_to_eV": found.metadata["complete_to_eV"],
            "transitions": pairs,
            "energy": {"unit": "eV", "values": energy},
            "strength": {"unit": "1/eV", "values": dict(zip(names, values.T, strict=True))},
            "warnings": list(found.notes),
        }
    )
    warn_all(console, found.notes)
    if output and output.endswith(".nc"):
        found.write(output)
        console.say(f"written: {output}")
        return
    deliver(
        console,
        output,
        lambda: simulated_figure(found),
        ["energy (eV)", *names],
        lambda: [[e, *row] for e, row in zip(energy, values, strict=True)],
    )
