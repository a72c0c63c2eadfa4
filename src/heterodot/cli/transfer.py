"""``heterodot transfer``: how fast electron and hole cross from one domain into the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from heterodot.cli.console import Console, verb


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option(
    "--trend", "pair", nargs=2, metavar="DONOR ACCEPTOR",
    help="Instead of a file: a cube of one phase with a cap of another, over their sizes.",
)  # fmt: skip
@click.option("--sizes", default="4,6,8,10nm", show_default=True, help="Cube edges, with --trend.")
@click.option("--caps", default=None, help="Cap diameters, with --trend (default: as the cubes).")
@click.option("--donor", default=None, help="Domain that was excited (default: the wider gap).")
@click.option("--acceptor", default=None, help="The other domain.")
@click.option(
    "--carrier", type=click.Choice(["electron", "hole", "both"]), default="both", show_default=True
)
@click.option(
    "--states", default=None, type=int,
    help="Levels of each carrier (default: as many as reach the donor's).",
)  # fmt: skip
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
    path: Path | None,
    pair: tuple[str, str] | None,
    sizes: str,
    caps: str | None,
    donor: str | None,
    acceptor: str | None,
    carrier: str,
    states: int | None,
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
      heterodot transfer --trend CsPbBr3 CdS --sizes 5.5,8,11nm --carrier electron
    """
    from heterodot.cli.electronic import overrides_of
    from heterodot.electronic import material, medium
    from heterodot.electronic.levels import levels_of_shape
    from heterodot.electronic.shape import rasterize
    from heterodot.electronic.transfer import Transfer
    from heterodot.electronic.transfer import transfer as rate_of
    from heterodot.electronic.transfer_sizes import levels_for_transfer
    from heterodot.errors import InputError, NotFoundError
    from heterodot.particle import Particle
    from heterodot.units import parse

    def number(text: str | None, unit: str, name: str) -> float | None:
        return None if text is None else parse(text, unit, place=name)

    if (path is None) == (pair is None):
        raise click.UsageError("Give a particle file, or --trend with two phases.")
    bath: dict[str, Any] = {
        "reorganization": number(reorganization, "eV", "--reorganization"),
        "phonon": number(phonon, "eV", "--phonon"),
        "offset_error": number(offset_error, "eV", "--offset-error"),
        "temperature": parse(temperature, "K", place="--temperature"),
        "seed": seed,
    }
    if pair is not None:
        _trend(console, pair, sizes, caps, carrier, settings, bath)
        return
    assert path is not None
    particle = Particle.read(path)
    if len(particle.domains) < 2:
        raise InputError("has one domain; transfer needs two", file=path)
    step = number(spacing, "angstrom", "--spacing")
    if step is None:
        step = rasterize(particle, points=40**3).spacing
    shape = rasterize(particle, step)
    parts = tuple(material(domain, overrides_of(settings)) for domain in particle.domains)
    around = medium(overrides_of(settings))
    if donor is None and acceptor is None:
        donor = max(parts, key=lambda m: m.gap.value).name
    results: dict[str, Transfer] = {}
    reasons: dict[str, str] = {}
    for name in ("electron", "hole") if carrier == "both" else (carrier,):
        try:
            found = (
                levels_of_shape(
                    shape, parts, states=states, around=around, seed=seed, progress=console.progress
                )
                if states is not None
                else levels_for_transfer(
                    shape,
                    parts,
                    carrier=name,
                    donor=donor or next(m.name for m in parts if m.name != acceptor),
                    around=around,
                    seed=seed,
                    progress=console.progress,
                )
            )
            results[name] = rate_of(found, carrier=name, donor=donor, acceptor=acceptor, **bath)
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
        "domains": [m.to_json() for m in parts],
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


def _trend(
    console: Console,
    pair: tuple[str, str],
    sizes: str,
    caps: str | None,
    carrier: str,
    settings: tuple[str, ...],
    bath: dict[str, Any],
) -> None:
    from heterodot.cli.electronic import lengths_of, overrides_of
    from heterodot.electronic import transfer_trend

    trends = [
        transfer_trend(
            *pair,
            lengths_of(sizes, "--sizes"),
            None if caps is None else lengths_of(caps, "--caps"),
            carrier=name,
            materials=overrides_of(settings),
            progress=console.progress,
            **bath,
        )
        for name in (("electron", "hole") if carrier == "both" else (carrier,))
    ]
    console.end_progress()
    console.document({"trends": [trend.to_json() for trend in trends]})
    for trend in trends:
        rows = [
            [size / 10, cap / 10, count, 1 / max(t.median, 1e-30),
             f"{1 / max(t.band[1], 1e-30):.2g} to {1 / max(t.band[0], 1e-30):.2g}",
             t.driving.value, t.total_coupling, t.reorganization.value]
            for size, cap, count, t in zip(
                trend.sizes, trend.caps, trend.states, trend.transfers, strict=True
            )
        ]  # fmt: skip
        console.table(
            ["cube (nm)", "cap (nm)", "levels", "median time (ps)", "68 % band (ps)",
             "driving (eV)", "coupling to all (eV)", "reorganization (eV)"],
            rows,
            f"{trend.carrier} from {trend.donor} into {trend.acceptor}",
        )  # fmt: skip
        low, middle, high = trend.ratio()
        console.say(
            f"{trend.carrier}: rate at {trend.sizes[0] / 10:g} nm over that at "
            f"{trend.sizes[-1] / 10:g} nm {middle:.2g} (68 %: {low:.2g} to {high:.2g}); the first is "
            f"the faster one with probability {trend.faster():.0%}"
        )
        for size, result in zip(trend.sizes, trend.transfers, strict=True):
            for text in result.warnings:
                console.warn(f"{size / 10:g} nm: {text}")
