"""``heterodot relax``: bring the atoms of a particle to rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from heterodot.cli.console import Console, verb

if TYPE_CHECKING:
    from heterodot.particle import Particle


@click.command()
@click.argument("file", metavar="FILE")
@click.option("-o", "--output", type=click.Path(), help="Relaxed particle [FILE_relaxed.xyz].")
@click.option("--fmax", default=0.05, show_default=True, help="Largest force at the end, eV/Å.")
@click.option("--steps", default=300, show_default=True, help="Most steps.")
@click.option(
    "--engine",
    default="ionic",
    show_default=True,
    help="ionic, cp2k, chgnet, gfn1-xtb or gfn2-xtb.",
)
@click.option(
    "--fix", multiple=True, metavar="WHAT", help="Atoms that stay: a role (core) or a domain."
)
@click.option("--phase", multiple=True, help="Crystal to fit to, where the file names none.")
@click.option(
    "--screening",
    type=float,
    help="Dielectric constant between distant ions (ionic) [of the crystals' electrons; 1: none].",
)
@click.option("--charge", type=float, help="Net charge, where it is meant not to be zero.")
@click.option("--resume", type=click.Path(), help="Keep the state here and go on from it.")
@click.option("--threads", default=1, show_default=True, help="Of CP2K.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Setting of CP2K: cutoff=400, basis=..., charge=1...",
)
@verb("heterodot/relax/1")
def relax(
    console: Console,
    file: str,
    output: str | None,
    fmax: float,
    steps: int,
    engine: str,
    fix: tuple[str, ...],
    phase: tuple[str, ...],
    screening: float | None,
    charge: float | None,
    resume: str | None,
    threads: int,
    settings: tuple[str, ...],
) -> None:
    """Relax a particle file; the energy never rises.

    With --engine cp2k the optimizer is CP2K's own, in the folder FILE.cp2k (or --resume), and the
    same command goes on from a run that was stopped.

    Example: heterodot relax dimer.xyz --fmax 0.02 --steps 500 -o relaxed.xyz
    """
    from pathlib import Path

    from heterodot.energy.motion import moved
    from heterodot.particle import Particle

    particle = Particle.read(file)
    mask = _fixed(particle, fix) if fix else None
    if engine == "cp2k":
        done, notes = _cp2k(
            console, particle, mask, file, (fmax, steps, charge, resume, threads), settings
        )
    else:
        done, notes = _downhill(
            console, particle, mask, file, engine, phase, (fmax, steps, charge, resume), screening
        )
    target = Path(output) if output else Path(file).with_name(f"{Path(file).stem}_relaxed.xyz")
    step = {"step": "relax", "engine": engine, "fmax": fmax, "steps": done.steps}
    relaxed = particle.replace(
        {**step, "converged": done.converged}, positions=done.atoms.positions
    )
    relaxed.write(target)
    inner = _inner(particle, moved(particle.atoms, done.atoms, particle.domain))
    console.document(
        {
            "file": file,
            "output": str(target),
            "atoms": len(particle),
            **done.to_json(),
            "internal_displacement": inner,
            "notes": notes,
        }
    )
    console.say(done.message)
    console.table(
        ("", "start", "end"),
        [
            ("energy (eV)", f"{done.energies[0]:.3f}", f"{done.energies[-1]:.3f}"),
            ("largest force (eV/Å)", f"{done.max_forces[0]:.3f}", f"{done.max_forces[-1]:.4f}"),
            ("pieces", str(done.fragments[0]), str(done.fragments[1])),
        ],
    )
    console.say(
        f"{done.steps} steps; atoms moved {done.mean_displacement:.2f} Å on average, "
        f"{done.max_displacement:.2f} Å at most"
    )
    console.say("displacements with each domain's own motion taken out (Å):")
    console.table(
        ("domain", "atoms", "number", "median", "mean", "largest"),
        [
            (name, role, row["number"], row["median"], row["mean"], row["max"])
            for name, roles in inner.items()
            for role, row in (("all", roles), *roles["by_role"].items())
        ],
    )
    if not done.intact:
        console.warn("the particle fell into more pieces than it had")
    console.say(f"written: {target}")
    if not done.converged:
        click.get_current_context().exit(4)


def _inner(particle: Particle, far: Any) -> dict[str, Any]:
    """Return median, mean and largest displacement of each domain, and of each role in it."""
    import numpy as np

    def row(mask: Any) -> dict[str, Any]:
        values = far[mask]
        return {
            "number": int(mask.sum()),
            "median": float(np.median(values)),
            "mean": float(values.mean()),
            "max": float(values.max()),
            "unit": "angstrom",
        }

    found: dict[str, Any] = {}
    for k in np.unique(particle.domain):
        here = particle.domain == k
        name = particle.domains[k].name if k >= 0 else "ligands"
        roles = {str(r): row(here & (particle.role == r)) for r in np.unique(particle.role[here])}
        found[name] = {**row(here), "by_role": roles}
    return found


def _downhill(
    console: Console,
    particle: Particle,
    mask: Any,
    file: str,
    engine: str,
    phase: tuple[str, ...],
    asked: tuple[float, int, float | None, str | None],
    screening: float | None,
) -> tuple[Any, list[str]]:
    from pathlib import Path

    from heterodot.energy import relax as relax_atoms

    fmax, steps, charge, resume = asked
    potential, notes = _potential(engine, particle, phase, Path(file), screening)
    for note in notes:
        console.remark(note)
    done = relax_atoms(
        particle.atoms,
        potential,
        fmax=fmax,
        steps=steps,
        fixed=mask,
        progress=console.progress,
        resume=resume,
        net_charge=charge,
    )
    return done, notes


def _cp2k(
    console: Console,
    particle: Particle,
    mask: Any,
    file: str,
    asked: tuple[float, int, float | None, str | None, int],
    settings: tuple[str, ...],
) -> tuple[Any, list[str]]:
    from pathlib import Path

    from heterodot.energy.cp2k import Cp2kSettings, command, relax_cp2k, settings_from

    fmax, steps, charge, resume, threads = asked
    place = Path(resume) if resume else Path(file).with_suffix(".cp2k")
    start = Cp2kSettings(n_lumo=0, fmax=fmax, max_steps=steps, charge=round(charge or 0))
    notes = [f"CP2K: {' '.join(command(place, threads=threads))}, in {place}"]
    console.remark(notes[0])
    done = relax_cp2k(
        particle.atoms,
        place,
        settings_from(settings, start),
        fixed=mask,
        threads=threads,
        progress=console.progress,
    )
    return done, notes


def _potential(
    engine: str, particle: Particle, phase: tuple[str, ...], file: Any, screening: float | None
) -> tuple[Any, list[str]]:
    if engine == "ionic":
        from heterodot.energy.ionic import potential_for

        fitted = potential_for(
            particle.atoms, *_crystals(particle, phase, file), screening=screening
        )
        return fitted, [
            f"ionic potential fitted to {', '.join(fitted.crystals)}; charges are "
            f"{fitted.charge_scale:g} of the formal ones, screened by {fitted.screening:.3g} at a "
            "distance",
            *fitted.notes,
        ]
    from heterodot.energy.engines import engine as make

    calculator, warning = make(engine)
    return calculator, [warning] if warning else []


def _crystals(particle: Particle, phase: tuple[str, ...], file: Any) -> list[Any]:
    from heterodot.catalog import crystal, crystal_or_file
    from heterodot.errors import InputError

    if phase:
        return [crystal_or_file(name)[0] for name in phase]
    found = [domain.crystal for domain in particle.domains if domain.crystal is not None]
    if found:
        return found
    try:
        return [crystal(domain.name) for domain in particle.domains]
    except InputError:
        raise InputError(
            "does not say which crystals its domains are",
            file=file,
            remedy="name them: --phase CsPbCl3 --phase PbS",
        ) from None


def _fixed(particle: Particle, fix: tuple[str, ...]) -> Any:
    import numpy as np

    from heterodot.errors import InputError
    from heterodot.particle.particle import ROLES

    mask = np.zeros(len(particle), dtype=bool)
    names = [domain.name for domain in particle.domains]
    for what in fix:
        if what in ROLES:
            mask |= particle.role == what
        elif what in names:
            mask |= particle.select(what)
        else:
            raise InputError(
                f"'{what}' is neither a role nor a domain",
                place="--fix",
                remedy=f"one of {', '.join([*ROLES, *names])}",
            )
    return mask
