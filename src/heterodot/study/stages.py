"""The stages of a study: each takes its settings and earlier results, writes files, says what it found.

A stage never prints and never reads the study file. What it writes can be opened without
Heterodot: extended XYZ, CIF, CSV, NetCDF, JSON.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodot.catalog.database import state
from heterodot.crystal import Crystal
from heterodot.documents import plain
from heterodot.errors import InputError, MissingValueError, NotFoundError
from heterodot.files import read_text, write_text
from heterodot.progress import Progress
from heterodot.study.store import StageResult

if TYPE_CHECKING:
    from heterodot.electronic import Density
    from heterodot.epitaxy import OrientationRelationship, Search
    from heterodot.particle import Particle
    from heterodot.study.settings import Exchange, Relation, Settings


@dataclass(frozen=True)
class Job:
    """What a stage works with.

    Attributes
    ----------
    folder : Path
        Where it writes.
    settings : Settings
    crystal_a, crystal_b : Crystal
    taken : mapping
        For ``"a"`` and ``"b"``: which catalog phase or file (with hash) was taken.
    earlier : mapping of stage name to StageResult
    progress : Progress
    base : Path
        Folder of the study file, where relative paths in it start.
    """

    folder: Path
    settings: Settings
    crystal_a: Crystal
    crystal_b: Crystal
    taken: Mapping[str, Any]
    earlier: Mapping[str, StageResult]
    progress: Progress
    base: Path = Path(".")

    def crystals(self) -> tuple[Crystal, Crystal]:
        """Return the crystals of both domains as built: after an exchange, those of its product."""
        found = self.particle("built").domains
        return found[0].crystal or self.crystal_a, found[1].crystal or self.crystal_b

    def particle(self, which: str) -> Particle:
        """Return the particle as built or as relaxed."""
        from heterodot.particle import Particle

        stage = {"built": "particle", "relaxed": "energy"}[which]
        return Particle.read(self.earlier[stage].path(f"{which}.xyz"))


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes
    ----------
    name : str
    version : int
        Raised when its results change for the same input, so that old ones are not taken.
    needs : tuple of str
        Stages whose results it uses.
    depends : callable
        ``depends(settings)``: the plain data that its results depend on.
    work : callable
        ``work(job) -> summary`` (plain data); it writes files into ``job.folder``.
    """

    name: str
    version: int
    needs: tuple[str, ...]
    depends: Callable[[Settings], Any]
    work: Callable[[Job], Mapping[str, Any]]


# ------------------------------------------------------------------------------- the work


def crystals(job: Job) -> Mapping[str, Any]:
    """Write both crystals, with their source, and say what they are."""
    from heterodot.cif import write_cif

    summary = {}
    for key, crystal in (("a", job.crystal_a), ("b", job.crystal_b)):
        write_text(
            job.folder / f"crystal_{key}.json", json.dumps(plain(crystal.to_record()), indent=1)
        )
        write_cif(
            job.folder / f"crystal_{key}.cif",
            crystal.atoms,
            name=crystal.name,
            comment=f"{crystal.name}: {crystal.source}",
        )
        summary[key] = {**crystal.to_json(), "taken": job.taken[key]}
    return summary


def epitaxy(job: Job) -> Mapping[str, Any]:
    """Search orientation relationships; write the ranked table and every relation."""
    from heterodot.epitaxy import ranked
    from heterodot.epitaxy.description import COLUMNS, table_row

    limits = job.settings.epitaxy
    found = ranked(
        job.crystal_a,
        job.crystal_b,
        best=limits.energies,
        max_index=limits.max_index,
        max_area=limits.max_area,
        max_strain=limits.max_strain,
        progress=job.progress,
    )
    rows = [table_row(plain(match.to_json()), n) for n, match in enumerate(found.matches, 1)]
    write_text(job.folder / "epitaxy.csv", csv_text(COLUMNS, rows))
    write_text(job.folder / "epitaxy.json", json.dumps(plain(found.to_json())))
    chosen, rank = choose(found, job.settings.particle.match)
    # built as it stands in the table: equivalent indices must not make another particle
    listed = found.matches[rank - 1]
    write_text(job.folder / "relation.json", json.dumps(plain(listed.to_record())))
    return {
        "matches": len(found.matches),
        "chosen_rank": rank,
        "chosen": chosen.to_json(),
        "warnings": list(found.notes),
        "first": [match.to_json() for match in found.matches[:40]],
    }


def csv_text(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table as CSV text."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return stream.getvalue()


def choose(found: Search, match: int | Relation) -> tuple[OrientationRelationship, int]:
    """Return the relation that the study asks for, and its rank among those found.

    Raises
    ------
    NotFoundError
        Nothing was found, the rank is beyond the list, or no relation has these planes.
    """
    if not found.matches:
        raise NotFoundError(
            "no orientation relationship lies within the limits",
            place="epitaxy",
            remedy="raise epitaxy.max_strain or epitaxy.max_area",
        )
    if isinstance(match, int):
        if match > len(found.matches):
            raise NotFoundError(
                f"rank {match} was asked for and {len(found.matches)} relations were found",
                place="particle.match",
                remedy="give a smaller rank or wider limits",
            )
        return found.matches[match - 1], match
    relation = found.find(match.plane_a, match.plane_b, match.direction_a, match.direction_b)
    return relation, relation.rank


def particle(job: Job) -> Mapping[str, Any]:
    """Build the particle at the chosen relation; write extended XYZ and CIF; check it."""
    from heterodot.cif import write_cif
    from heterodot.epitaxy import OrientationRelationship
    from heterodot.particle import build, report

    record = json.loads(read_text(job.earlier["epitaxy"].path("relation.json")))
    relation = OrientationRelationship.from_record(record)
    wish = job.settings.particle
    built = build(
        job.crystal_a,
        wish.shape_a,
        wish.size_a,
        job.crystal_b,
        wish.shape_b,
        wish.size_b,
        relation,
        shared=wish.shared,
        termination_a=wish.termination_a,
        termination_b=wish.termination_b,
        cut_a=wish.cut_a,
        cut_b=wish.cut_b,
        strain=wish.strain,
        passivator=wish.passivator,
        completion=wish.completion,
        overhang=wish.overhang,
        caps=wish.caps,
        positions=wish.inside,
        seed=job.settings.study.seed,
        progress=job.progress,
    )
    for change in wish.exchange:
        built = _exchanged(built, change, job)
    built.write(job.folder / "built.xyz")
    write_cif(job.folder / "built.cif", built.atoms, name=built.formula)
    return {"report": report(built), "history": list(built.history)}


def _exchanged(built: Particle, wish: Exchange, job: Job) -> Particle:
    """Return the particle after one exchange of the study file."""
    from heterodot.catalog import crystal_or_file
    from heterodot.particle.exchange import exchange

    places: dict[str, int | str] = {"a": 0, "b": 1}
    return exchange(
        built,
        places.get(wish.domain.lower(), wish.domain),
        wish.replace,
        fraction=wish.fraction,
        order=wish.order,
        depth=wish.depth,
        keep_layers=wish.keep_layers,
        product=crystal_or_file(wish.product, base=job.base)[0] if wish.product else None,
        seed=job.settings.study.seed,
    )


def energy(job: Job) -> Mapping[str, Any]:
    """Relax the particle with the built-in ionic potential; write it and the way down."""
    from heterodot.energy import relax
    from heterodot.energy.ionic import potential_for
    from heterodot.energy.motion import displacements
    from heterodot.particle import report

    built = job.particle("built")
    wish = job.settings.energy
    if wish.steps == 0:
        built.write(job.folder / "relaxed.xyz")
        return {"steps": 0, "converged": False, "message": "no relaxation was asked for"}
    try:
        potential = potential_for(built.atoms, *job.crystals())
    except MissingValueError as error:
        built.write(job.folder / "relaxed.xyz")
        return {"steps": 0, "converged": False, "message": f"not relaxed: {error}"}
    done = relax(built.atoms, potential, fmax=wish.fmax, steps=wish.steps, progress=job.progress)
    relaxed = built.replace(
        {"step": "relax", "potential": "ionic", "steps": done.steps, "fmax": wish.fmax},
        positions=done.atoms.positions,
    )
    relaxed.write(job.folder / "relaxed.xyz")
    energies = np.asarray(done.energies, dtype=float)
    write_text(
        job.folder / "energies.csv",
        csv_text(("step", "energy (eV)"), list(enumerate(energies.tolist()))),
    )
    write_text(job.folder / "potential.json", json.dumps(plain(potential.to_record()), indent=1))
    inner = displacements(built.atoms, done.atoms, built.domain)
    return {
        **done.to_json(),
        "internal_displacement": {
            built.domains[k].name: {"mean": mean, "max": most, "unit": "angstrom"}
            for k, (mean, most) in inner.items()
            if k >= 0
        },
        "warnings": list(potential.notes),
        "energies": energies,
        "atoms": len(relaxed),
        "report": report(relaxed),
        "potential": potential.to_record(),
    }


def electronic(job: Job) -> Mapping[str, Any]:
    """Compute electron and hole levels on the particle's shape and the type of alignment."""
    from heterodot.electronic import alignment, levels, robustness

    wish = job.settings.electronic
    if wish.states == 0:
        return {"skipped": "no levels were asked for"}
    body = job.particle("built")
    try:
        found = levels(
            body,
            states=wish.states,
            spacing=wish.spacing,
            coulomb=wish.coulomb,
            materials=wish.materials or None,
            seed=job.settings.study.seed,
            progress=job.progress,
        )
    except MissingValueError as error:
        # the particle, its pattern and the page are worth having all the same
        return {"skipped": f"no levels were computed: {error}"}
    kind = alignment(found)
    document = plain({"levels": found.to_json(), "alignment": kind.to_json()})
    if len(found.domains) > 1:
        job.progress("band offsets varied", 0.9)
        firm = robustness(found)
        document["robustness"] = plain({**firm.to_json(), "said": str(firm)})
    write_text(job.folder / "levels.json", json.dumps(document, indent=1))
    densities = np.stack(
        [at_atoms(found, carrier, body.positions) for carrier in ("electron", "hole")]
    )
    np.save(job.folder / "density_at_atoms.npy", densities.astype(np.float32), allow_pickle=False)
    for carrier in ("electron", "hole"):
        _keep_density(job.folder / f"{carrier}_density.npz", found.density(carrier, 0))
    if wish.atomistic:
        document["atomistic"] = plain(_atomistic(job, body))
    return document  # type: ignore[no-any-return]


def _keep_density(path: Path, density: Density) -> None:
    """Write a density and the value whose surface holds half of it."""
    np.savez_compressed(
        path,
        allow_pickle=False,
        values=np.asarray(density.values, dtype=np.float32),
        spacing=density.spacing,
        origin=np.asarray(density.origin),
        level=density.isovalue(0.5),
    )


def _atomistic(job: Job, body: Particle) -> dict[str, Any]:
    """Compute the atoms' own states; where there are no parameters, say which are missing."""
    from heterodot.electronic.atomistic import atomistic_levels
    from heterodot.electronic.atomistic_density import describe, orbital_density

    crystals = [domain.crystal for domain in body.domains if domain.crystal is not None]
    chosen = np.flatnonzero((body.domain >= 0) & (body.role != "ligand"))
    place = body.positions[chosen]
    try:
        found = atomistic_levels(
            place,
            [body.symbols[k] for k in chosen],
            body.domain[chosen],
            crystals,
            seed=job.settings.study.seed,
            progress=job.progress,
        )
    except InputError as error:
        return {"skipped": str(error)}
    for carrier in ("electron", "hole"):
        cloud = orbital_density(found, place, carrier)
        _keep_density(job.folder / f"{carrier}_density_atomistic.npz", cloud)
    return dict(describe(found))


def at_atoms(levels: Any, carrier: str, positions: Any) -> Any:
    """Return the density of the lowest electron or hole state at each atom, largest set to one."""
    from scipy.ndimage import map_coordinates

    density = levels.density(carrier, 0)
    index = (np.asarray(positions) - np.asarray(density.origin)) / density.spacing
    values = map_coordinates(np.asarray(density.values, dtype=float), index.T, order=1)
    top = float(values.max())
    return values / top if top > 0 else values


def xrd(job: Job) -> Mapping[str, Any]:
    """Simulate the powder pattern of the particle and the sticks of both bulk phases."""
    from heterodot.probes.xrd import XrdSetup, simulate, sticks

    wish = job.settings.probes.xrd
    if wish is None:
        return {"skipped": "no powder pattern was asked for"}
    setup = XrdSetup(wavelength=wish.wavelength, range=wish.two_theta, points=wish.points)
    pattern = simulate(job.particle(wish.structure), setup, progress=job.progress)
    pattern.write(job.folder / "xrd.nc")
    write_text(job.folder / "xrd.xy", _xy(pattern))
    patterns: list[str] = [wish.structure]
    if job.earlier["energy"].summary["steps"] > 0:
        other = "built" if wish.structure == "relaxed" else "relaxed"
        beside = simulate(job.particle(other), setup, progress=job.progress)
        write_text(job.folder / f"xrd_{other}.xy", _xy(beside))
        patterns.append(other)
    bulk = {}
    for key, crystal in zip("ab", job.crystals(), strict=True):
        bulk[key] = {
            "formula": crystal.formula,
            "sticks": sticks(crystal, setup).records(),
        }
    return {
        "wavelength": wish.wavelength,
        "structure": wish.structure,
        "patterns": patterns,
        "metadata": dict(pattern.metadata),
        "notes": list(pattern.notes),
        "bulk": bulk,
    }


def _xy(pattern: Any) -> str:
    """Return a pattern as two columns: 2theta (degrees) and intensity."""
    angle = np.asarray(pattern.data["two_theta"], dtype=float)
    intensity = np.asarray(pattern.data, dtype=float)
    return "".join(f"{x:.5f} {y:.8g}\n" for x, y in zip(angle, intensity, strict=True))


STAGES: tuple[Stage, ...] = (
    Stage("crystals", 1, (), lambda s: None, crystals),
    Stage(
        "epitaxy",
        1,
        ("crystals",),
        lambda s: {"epitaxy": s.epitaxy.model_dump(), "match": s.particle.model_dump()["match"]},
        epitaxy,
    ),
    Stage(
        "particle",
        2,
        ("epitaxy",),
        lambda s: {"particle": s.particle.model_dump(), "seed": s.study.seed},
        particle,
    ),
    Stage("energy", 2, ("particle",), lambda s: s.energy.model_dump(), energy),
    Stage(
        "electronic",
        2,
        ("particle",),
        lambda s: {**s.electronic.model_dump(), "seed": s.study.seed, "catalog": state()},
        electronic,
    ),
    Stage(
        "xrd",
        2,
        ("particle", "energy"),
        lambda s: None if s.probes.xrd is None else s.probes.xrd.model_dump(),
        xrd,
    ),
)
