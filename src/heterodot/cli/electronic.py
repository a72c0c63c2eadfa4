"""``heterodot electronic``: levels, localization, alignment and optical gap of a particle file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from heterodot.cli.console import Console, verb, write_csv

if TYPE_CHECKING:
    from heterodot.electronic import Levels
    from heterodot.electronic.atomistic import AtomisticLevels
    from heterodot.particle import Particle


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


def lengths_of(text: str, place: str) -> list[float]:
    """Return lengths in Å of a text such as ``4,6,8nm``; a unit at the end holds for all."""
    import re

    from heterodot.units import parse

    match = re.search(r"[^\d.,\s]+$", text.strip())
    unit = match[0] if match else "angstrom"
    numbers = text.strip()[: len(text.strip()) - len(match[0])] if match else text
    return [parse(f"{part.strip()} {unit}", "angstrom", place=place) for part in numbers.split(",")]


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option(
    "--map", "pair", nargs=2, metavar="CUBE CAP",
    help="Instead of a file: type and gap over both sizes of a cube with a cap.",
)  # fmt: skip
@click.option("--cube-sizes", default="4,6,8,10nm", show_default=True, help="With --map.")
@click.option("--cap-sizes", default="2.4,3,4,5nm", show_default=True, help="With --map.")
@click.option("--states", default=3, show_default=True, help="Levels of each carrier.")
@click.option("--spacing", default=None, help="Edge of a grid voxel, e.g. 1.2angstrom.")
@click.option("--no-coulomb", is_flag=True, help="Leave attraction and self-polarization out.")
@click.option("--excitons", is_flag=True, help="Also transitions, lifetime and Stokes shift.")
@click.option(
    "--set", "settings", multiple=True, metavar="PHASE.QUANTITY=VALUE",
    help="Replace a value of the catalog, e.g. PbS.ionization_energy=5.2eV (repeatable).",
)  # fmt: skip
@click.option(
    "--atomistic", is_flag=True,
    help="Also the band-edge states of the atoms themselves (tight binding).",
)  # fmt: skip
@click.option(
    "--cube", "cubes", type=click.Path(path_type=Path), metavar="FOLDER",
    help="Write electron and hole as cube files (of both models with --atomistic).",
)  # fmt: skip
@click.option("--temperature", default="300K", show_default=True, help="For thermal shares.")
@click.option("--seed", default=0, show_default=True, help="Of the solver's first guess.")
@click.option("--figure", type=click.Path(path_type=Path), help="Write a level diagram (svg...).")
@click.option("--csv", "table", type=click.Path(path_type=Path), help="Write the levels as CSV.")
@verb("heterodot/electronic/1")
def electronic(
    console: Console,
    path: Path | None,
    pair: tuple[str, str] | None,
    cube_sizes: str,
    cap_sizes: str,
    states: int,
    spacing: str | None,
    no_coulomb: bool,
    excitons: bool,
    settings: tuple[str, ...],
    atomistic: bool,
    cubes: Path | None,
    temperature: str,
    seed: int,
    figure: Path | None,
    table: Path | None,
) -> None:
    """Levels, localization by domain and type of alignment of a particle.

    PATH is a particle in extended XYZ, as 'heterodot build' writes it.

    \b
    Example:
      heterodot build --a CsPbCl3 --size-a "3.4 nm" --b PbS --shape-b cuboctahedron --size-b "3.0 nm" --match 1 -o particle.xyz
      heterodot electronic particle.xyz --figure levels.svg
      heterodot electronic particle.xyz --atomistic --cube orbitals
      heterodot electronic --map CsPbBr3 PbS --cap-sizes 2.4,3,4nm --figure map.svg
    """
    from heterodot.electronic import alignment, exciton, levels, robustness
    from heterodot.errors import InputError
    from heterodot.particle import Particle
    from heterodot.units import parse

    if (path is None) == (pair is None):
        raise click.UsageError("Give a particle file, or --map with two phases.")
    if pair is not None:
        _size_map(console, pair, cube_sizes, cap_sizes, settings, not no_coulomb, figure, table)
        return
    assert path is not None
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
    firm = robustness(found, temperature=kelvin) if len(found.domains) > 1 else None
    document = {
        "particle": {"file": path.name, "formula": particle.formula, "atoms": len(particle)},
        **found.to_json(),
        "alignment": aligned.to_json(),
        "robustness": None if firm is None else firm.to_json(),
    }
    optical = exciton(found, temperature=kelvin) if excitons else None
    if optical is not None:
        document["exciton"] = optical.to_json()
    atoms = _atomistic(particle, seed, console) if atomistic else None
    if atoms is not None:
        from heterodot.electronic.atomistic_density import describe

        document["atomistic"] = dict(describe(atoms))
    if cubes is not None:
        document["cube_files"] = _write_cubes(cubes, particle, found, atoms)
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
    if firm is not None:
        console.say(f"{firm}")
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
    if atoms is not None:
        _say_atomistic(console, atoms)
    for name in document.get("cube_files", ()):
        console.say(f"written: {name}")
    for text in (*found.warnings, *(() if optical is None else optical.warnings)):
        console.warn(text)


def _crystalline(particle: Particle) -> Any:
    """Return which atoms belong to a crystal (ligands do not)."""
    return (particle.domain >= 0) & (particle.role != "ligand")


def _atomistic(particle: Particle, seed: int, console: Console) -> AtomisticLevels:
    import numpy as np

    from heterodot.electronic.atomistic import atomistic_levels
    from heterodot.errors import InputError

    crystals = [domain.crystal for domain in particle.domains if domain.crystal is not None]
    if len(crystals) < len(particle.domains):
        raise InputError("a domain has no crystal", place="--atomistic")
    chosen = np.flatnonzero(_crystalline(particle))
    return atomistic_levels(
        particle.positions[chosen],
        [particle.symbols[k] for k in chosen],
        particle.domain[chosen],
        crystals,
        seed=seed,
        progress=console.progress,
    )


def _write_cubes(
    folder: Path, particle: Particle, found: Levels, atoms: AtomisticLevels | None
) -> list[str]:
    from ase.data import atomic_numbers

    from heterodot.electronic.atomistic_density import orbital_density, write_cube

    folder.mkdir(parents=True, exist_ok=True)
    numbers = [atomic_numbers[symbol] for symbol in particle.symbols]
    clouds = {carrier: found.density(carrier) for carrier in ("electron", "hole")}
    if atoms is not None:
        place = particle.positions[_crystalline(particle)]
        for carrier in ("electron", "hole"):
            clouds[f"{carrier}_atomistic"] = orbital_density(atoms, place, carrier)
    for name, density in clouds.items():
        write_cube(density, numbers, particle.positions, folder / f"{name}.cube")
    return [f"{folder.name}/{name}.cube" for name in clouds]


def _say_atomistic(console: Console, atoms: AtomisticLevels) -> None:
    from heterodot.electronic.atomistic_density import atomistic_alignment

    rows = [
        ["filled" if filled else "empty", float(energy), float(error),
         *(float(share[k]) for share in atoms.domains.values())]
        for k, (energy, error, filled) in enumerate(
            zip(atoms.energies, atoms.errors, atoms.occupied, strict=True)
        )
    ]  # fmt: skip
    columns = ["state", "energy (eV)", "numerical error (eV)", *atoms.domains]
    console.table(columns, rows, "Tight binding; shares by domain")
    kind, _, reason = atomistic_alignment(atoms)
    console.say(f"atoms: {kind}: {reason}; gap {atoms.gap} without electron-hole attraction")
    for text in atoms.notes:
        console.say(f"  {text}")


def _size_map(
    console: Console,
    pair: tuple[str, str],
    cube_sizes: str,
    cap_sizes: str,
    settings: tuple[str, ...],
    coulomb: bool,
    figure: Path | None,
    table: Path | None,
) -> None:
    from heterodot.electronic import size_map

    found = size_map(
        *pair,
        lengths_of(cube_sizes, "--cube-sizes"),
        lengths_of(cap_sizes, "--cap-sizes"),
        coulomb=coulomb,
        materials=overrides_of(settings),
        progress=console.progress,
    )
    console.end_progress()
    columns = ["cube (nm)", "cap (nm)", "type", "gap (eV)", "electron in cap", "hole in cap"]
    rows = [
        [
            edge / 10,
            cap / 10,
            found.types[i][j],
            float(found.gaps[i, j]),
            float(found.electron[i, j]),
            float(found.hole[i, j]),
        ]
        for i, edge in enumerate(found.first_sizes)
        for j, cap in enumerate(found.second_sizes)
    ]
    if figure is not None:
        from heterodot.report.figures_electronic import save, size_map_figure

        save(size_map_figure(found), figure)
    if table is not None:
        write_csv(table, columns, rows)
    console.document({"size_map": found.to_json()})
    console.table(columns, rows, f"{found.first} cube with {found.second} cap")
