"""``heterodot electronic``: levels, localization, alignment and optical gap of a particle file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from heterodot.cli.console import Console, verb, write_csv


def overrides_of(settings: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Return ``{"PbS": {"band_gap": 0.4}}`` of texts such as ``PbS.band_gap=0.4eV``."""
    from heterodot.electronic.materials import MASSES, UNITS
    from heterodot.errors import InputError
    from heterodot.units import parse

    found: dict[str, dict[str, Any]] = {}
    for text in settings:
        name, equals, value = text.partition("=")
        phase, dot, quantity = name.strip().rpartition(".")
        if not (equals and dot and phase):
            raise InputError(
                f"'{text}' is not of the form PHASE.QUANTITY=VALUE",
                place="--set",
                remedy="give e.g. PbS.ionization_energy=5.0eV",
            )
        unit = UNITS.get(quantity, "m_e" if quantity in MASSES else "")
        found.setdefault(phase, {})[quantity] = parse(value, unit, place=f"--set {name}")
    return found


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--states", default=3, show_default=True, help="Levels of each carrier.")
@click.option("--spacing", default=None, help="Edge of a grid voxel, e.g. 1.2angstrom.")
@click.option("--no-coulomb", is_flag=True, help="Leave attraction and self-polarization out.")
@click.option("--excitons", is_flag=True, help="Also transitions, lifetime and Stokes shift.")
@click.option(
    "--set", "settings", multiple=True, metavar="PHASE.QUANTITY=VALUE",
    help="Replace a value of the catalog, e.g. PbS.ionization_energy=5.2eV (repeatable).",
)  # fmt: skip
@click.option("--temperature", default="300K", show_default=True, help="For thermal shares.")
@click.option("--seed", default=0, show_default=True, help="Of the solver's first guess.")
@click.option("--figure", type=click.Path(path_type=Path), help="Write a level diagram (svg...).")
@click.option("--csv", "table", type=click.Path(path_type=Path), help="Write the levels as CSV.")
@verb("heterodot/electronic/1")
def electronic(
    console: Console,
    path: Path,
    states: int,
    spacing: str | None,
    no_coulomb: bool,
    excitons: bool,
    settings: tuple[str, ...],
    temperature: str,
    seed: int,
    figure: Path | None,
    table: Path | None,
) -> None:
    """Levels, localization by domain and type of alignment of a particle.

    PATH is a particle in extended XYZ, as 'heterodot build' writes it.

    \b
    Example:
      heterodot build CsPbCl3 PbS --out particle.xyz
      heterodot electronic particle.xyz --figure levels.svg
    """
    from heterodot.electronic import alignment, exciton, levels
    from heterodot.errors import InputError
    from heterodot.particle import Particle
    from heterodot.units import parse

    if excitons and no_coulomb:
        raise InputError("--excitons needs the Coulomb terms", remedy="leave --no-coulomb out")
    kelvin = parse(temperature, "K", place="--temperature")
    step = None if spacing is None else parse(spacing, "angstrom", place="--spacing")
    particle = Particle.read(path)
    found = levels(
        particle,
        states=states,
        spacing=step,
        coulomb=not no_coulomb,
        materials=overrides_of(settings),
        seed=seed,
        progress=console.progress,
    )
    aligned = alignment(found, temperature=kelvin)
    document = {
        "particle": {"file": path.name, "formula": particle.formula, "atoms": len(particle)},
        **found.to_json(),
        "alignment": aligned.to_json(),
    }
    optical = exciton(found, temperature=kelvin) if excitons else None
    if optical is not None:
        document["exciton"] = optical.to_json()
    if figure is not None:
        from heterodot.report.figures_electronic import level_diagram, save

        save(level_diagram(found), figure)
    rows = [
        [s.carrier, s.index + 1, s.energy.value, s.energy.error, *s.fractions.values(), s.outside]
        for s in (*reversed(found.electrons), *found.holes)
    ]
    columns = ["carrier", "level", "energy (eV)", "grid error (eV)", *found.domains, "outside"]
    if table is not None:
        write_csv(table, columns, rows)
    console.end_progress()
    console.document(document)
    console.say(f"{particle.formula}, {len(particle)} atoms")
    console.table(columns, rows, "Energies against vacuum; shares by domain")
    console.say(f"{aligned}")
    for offset in aligned.offsets:
        console.say(
            f"bulk offsets {offset.second} - {offset.first}: conduction {offset.conduction}, "
            f"valence {offset.valence} (type {offset.bulk_type} without confinement)"
        )
        console.say(f"  {offset.source}")
    if found.optical_gap is not None:
        console.say(f"optical gap {found.optical_gap}; gap between levels {found.gap}")
    if optical is not None and optical.lifetime is not None:
        console.say(f"radiative lifetime {optical.lifetime}; Stokes shift {optical.stokes}")
    for text in (*found.warnings, *(() if optical is None else optical.warnings)):
        console.warn(text)
