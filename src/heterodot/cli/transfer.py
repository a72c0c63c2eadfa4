"""``heterodot transfer``: how fast electron and hole cross from one domain into the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from heterodot.cli.console import Console, verb


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--donor", default=None, help="Domain that was excited (default: the wider gap).")
@click.option("--acceptor", default=None, help="The other domain.")
@click.option(
    "--carrier", type=click.Choice(["electron", "hole", "both"]), default="both", show_default=True
)
@click.option("--states", default=16, show_default=True, help="Levels of each carrier.")
@click.option("--spacing", default=None, help="Edge of a grid voxel (default: about 40^3 voxels).")
@click.option("--reorganization", default=None, help="Reorganization energy, e.g. 0.1eV.")
@click.option("--phonon", default=None, help="Quantum of the accepting mode, e.g. 20meV.")
@click.option("--offset-error", default=None, help="Error of the driving force, e.g. 0.1eV.")
@click.option("--temperature", default="300K", show_default=True)
@click.option(
    "--set", "settings", multiple=True, metavar="PHASE.QUANTITY=VALUE",
    help="Replace a value of the catalog, e.g. PbS.ionization_energy=5.2eV (repeatable).",
)  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="Of solver and uncertainty band.")
@verb("heterodot/transfer/1")
def transfer(
    console: Console,
    path: Path,
    donor: str | None,
    acceptor: str | None,
    carrier: str,
    states: int,
    spacing: str | None,
    reorganization: str | None,
    phonon: str | None,
    offset_error: str | None,
    temperature: str,
    settings: tuple[str, ...],
    seed: int,
) -> None:
    """Charge-transfer rates between the two domains of a particle, with their uncertainty.

    PATH is a particle in extended XYZ, as 'heterodot build' writes it.

    \b
    Example:
      heterodot transfer particle.xyz --donor CsPbCl3 --carrier hole
    """
    from heterodot.cli.electronic import overrides_of
    from heterodot.electronic import levels
    from heterodot.electronic.shape import rasterize
    from heterodot.electronic.transfer import Transfer
    from heterodot.electronic.transfer import transfer as rate_of
    from heterodot.errors import InputError, NotFoundError
    from heterodot.particle import Particle
    from heterodot.units import parse

    def number(text: str | None, unit: str, name: str) -> float | None:
        return None if text is None else parse(text, unit, place=name)

    particle = Particle.read(path)
    if len(particle.domains) < 2:
        raise InputError("has one domain; transfer needs two", file=path)
    step = number(spacing, "angstrom", "--spacing")
    if step is None:
        step = rasterize(particle, points=40**3).spacing
    found = levels(
        particle,
        states=states,
        spacing=step,
        materials=overrides_of(settings),
        seed=seed,
        progress=console.progress,
    )
    if donor is None and acceptor is None:
        donor = max(found.materials, key=lambda m: m.gap.value).name
    results: dict[str, Transfer] = {}
    reasons: dict[str, str] = {}
    for name in ("electron", "hole") if carrier == "both" else (carrier,):
        try:
            results[name] = rate_of(
                found,
                carrier=name,
                donor=donor,
                acceptor=acceptor,
                reorganization=number(reorganization, "eV", "--reorganization"),
                phonon=number(phonon, "eV", "--phonon"),
                offset_error=number(offset_error, "eV", "--offset-error"),
                temperature=parse(temperature, "K", place="--temperature"),
                seed=seed,
            )
        except NotFoundError as error:
            if carrier != "both":
                raise
            reasons[name] = str(error)
    console.end_progress()
    if not results:
        raise NotFoundError("; ".join(reasons.values()), remedy="give more --states")
    document: dict[str, Any] = {
        "particle": {"file": path.name, "formula": particle.formula, "atoms": len(particle)},
        "transfers": [result.to_json() for result in results.values()],
        "not_found": reasons,
        "domains": [m.to_json() for m in found.materials],
    }
    console.document(document)
    console.table(
        ["carrier", "from", "to", "time (ps)", "68 % band (ps)", "driving (eV)", "coupling (eV)",
         "reorganization (eV)"],
        [
            [
                r.carrier,
                r.donor,
                r.acceptor,
                r.time,
                f"{1 / max(r.band[1], 1e-30):.2g} to {1 / max(r.band[0], 1e-30):.2g}",
                r.driving.value,
                r.coupling.value,
                r.reorganization.value,
            ]
            for r in results.values()
        ],
    )  # fmt: skip
    for name, text in reasons.items():
        console.warn(f"{name}: {text}")
    for result in results.values():
        for text in result.warnings:
            console.warn(f"{result.carrier}: {text}")
