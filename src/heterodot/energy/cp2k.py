"""CP2K behind our objects: input written, program run and restarted, output parsed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.energy.cp2k_input import (
    Cp2kSettings,
    count_electrons,
    input_text,
    settings_from,
    write_input,
)
from heterodot.energy.cp2k_output import Cp2kResult, read_output, read_positions
from heterodot.errors import InputError, MissingExtraError, NotFoundError
from heterodot.files import write_text
from heterodot.progress import Progress, silent

if TYPE_CHECKING:
    from ase import Atoms

    from heterodot.energy.relaxation import Relaxation

__all__ = [
    "Cp2kSettings", "command", "count_electrons", "cp2k_calculator", "find_cp2k", "input_text",
    "relax_cp2k", "run_cp2k", "settings_from", "write_input",
]  # fmt: skip

PROGRAMS = ("cp2k.psmp", "cp2k.ssmp", "cp2k.popt", "cp2k.sopt", "cp2k")
CONTAINERS = ("apptainer", "singularity", "podman", "docker")


def find_cp2k() -> str:
    """Return the program line of CP2K, from ``HETERODOT_CP2K`` or PATH.

    ``HETERODOT_CP2K`` may hold a line with arguments (``mpirun -np 8 cp2k.psmp``).

    Raises
    ------
    MissingExtraError
        There is none.
    """
    asked = os.environ.get("HETERODOT_CP2K", "").strip()
    if asked:
        first = shlex.split(asked)[0]
        if shutil.which(first):
            return asked
        raise MissingExtraError(
            f"HETERODOT_CP2K names '{first}', which is not a program here",
            remedy="correct or unset the variable",
        )
    for name in PROGRAMS:
        found = shutil.which(name)
        if found:
            return shlex.quote(found)
    raise MissingExtraError(
        "CP2K is not on PATH",
        remedy="install it ('apt install cp2k' on Debian, 'conda install -c conda-forge cp2k'), "
        "set HETERODOT_CP2K to the program, or HETERODOT_CP2K_IMAGE to a container image",
    )


def command(folder: str | Path, name: str = "run", threads: int = 1) -> list[str]:
    """Return the command line that runs ``<name>.inp`` in a folder.

    With ``HETERODOT_CP2K_IMAGE`` set (an image file or a name such as ``cp2k/cp2k:2024.1``) it
    runs in a container by apptainer, singularity, podman or docker, whichever is on PATH first;
    ``HETERODOT_CP2K`` then names the program inside (``cp2k`` where not given).

    Raises
    ------
    MissingExtraError
        Neither CP2K nor a container program is there.
    """
    image = os.environ.get("HETERODOT_CP2K_IMAGE", "").strip()
    if not image:
        return [*shlex.split(find_cp2k()), "-i", f"{name}.inp"]
    place = Path(folder).resolve()
    inside = shlex.split(os.environ.get("HETERODOT_CP2K", "cp2k"))
    for program in CONTAINERS:
        found = shutil.which(program)
        if found is None:
            continue
        if program in ("apptainer", "singularity"):
            is_file = Path(image).exists() or "://" in image
            where = ["exec", "--bind", f"{place}:/calculation", "--pwd", "/calculation"]
            where += ["--env", f"OMP_NUM_THREADS={threads}"]
            return [found, *where, image if is_file else f"docker://{image}", *inside, "-i",
                    f"{name}.inp"]  # fmt: skip
        where = ["run", "--rm", "-v", f"{place}:/calculation", "-w", "/calculation"]
        where += ["-e", f"OMP_NUM_THREADS={threads}", "--user", f"{os.getuid()}:{os.getgid()}"]
        return [found, *where, image, *inside, "-i", f"{name}.inp"]
    raise MissingExtraError(
        f"no container program to run {image} is on PATH",
        remedy=f"install one of {', '.join(CONTAINERS)}, or unset HETERODOT_CP2K_IMAGE",
    )


def run_cp2k(
    atoms: Atoms,
    folder: str | Path,
    settings: Cp2kSettings | None = None,
    *,
    name: str = "run",
    threads: int = 1,
    timeout: float | None = None,
    restart: bool = True,
    domains: Mapping[str, ArrayLike] | None = None,
    progress: Progress = silent,
) -> Cp2kResult:
    """Run CP2K in a folder and return what it found; go on from a run that stopped half-way.

    If the folder holds a finished output of the same input, it is read instead of run again. If it
    holds what a run of the same input left when it did not finish, that is gone on from: its
    wavefunctions, and its last geometry in a relaxation. What another input left is not used.

    Parameters
    ----------
    atoms : ase.Atoms
    folder : path
        Made if it is not there; all files stay in it.
    settings : Cp2kSettings
    threads : int
        OpenMP threads.
    timeout : float, optional
        Seconds after which it is stopped (and can be restarted).
    restart : bool
        Whether to use what an earlier run left.
    domains : mapping of name to (m,) int array, optional
        Atoms of each domain, for projected states.

    Raises
    ------
    MissingExtraError
        CP2K is not installed.
    NotFoundError
        It stopped half-way or did not converge; the message says how to go on.
    """
    settings = settings or Cp2kSettings()
    place = Path(folder)
    line = command(place, f"{name}-again", threads)
    place.mkdir(parents=True, exist_ok=True)
    output, identity = place / f"{name}.out", place / f"{name}.inp"
    fresh = input_text(atoms, settings, name=name, domains=domains)
    same = restart and identity.exists() and identity.read_text(encoding="utf-8") == fresh
    if same and output.exists():
        try:
            return read_output(output)
        except (InputError, NotFoundError):
            pass  # it stopped half-way or before it said anything: go on below
    wavefunctions = place / f"{name}-RESTART.wfn"
    if not same:
        _put_aside(place, name)
        write_text(identity, fresh)
    again = same and wavefunctions.exists() and wavefunctions.stat().st_size > 0
    moved = _last_geometry(atoms, place, name) if same and settings.task == "relax" else atoms
    text = input_text(moved, settings, name=name, restart=again, domains=domains)
    write_text(place / f"{name}-again.inp", text)
    _execute(line, place, output, threads, timeout, progress)
    return read_output(output)


def _put_aside(place: Path, name: str) -> None:
    """Rename what a run of another input left, so that nothing of it is taken for this one's."""
    old = [f for f in place.glob(f"{name}*") if f.is_file() and not f.name.startswith("older-")]
    for file in old:
        if file.suffix in (".inp", ".out", ".pdos", ".cube", ".molden", ".wfn", ".xyz", ".restart"):
            file.replace(file.with_name(f"older-{file.name}"))


def _last_geometry(atoms: Atoms, place: Path, name: str) -> Atoms:
    """Return the atoms where an unfinished relaxation left them."""
    trajectory = place / f"{name}-pos-1.xyz"
    moved = atoms.copy()
    if trajectory.exists():
        found = read_positions(trajectory, len(atoms))
        if len(found):
            moved.positions[:] = found[-1]
            # what the next run writes starts anew; the way so far is kept
            trajectory.replace(trajectory.with_name(f"older-{trajectory.name}"))
    return moved


def _execute(
    line: list[str],
    place: Path,
    output: Path,
    threads: int,
    timeout: float | None,
    progress: Progress,
) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    began = time.monotonic()
    with open(output, "wb") as stream:
        process = subprocess.Popen(
            line, cwd=place, stdout=stream, stderr=subprocess.STDOUT, env=environment
        )
        try:
            while process.poll() is None:
                time.sleep(0.2)
                passed = time.monotonic() - began
                progress(f"CP2K: {passed:.0f} s", passed / (timeout or (passed + 60.0)))
                if timeout is not None and passed > timeout:
                    raise NotFoundError(
                        f"CP2K was stopped after {timeout:.0f} s",
                        file=output,
                        remedy="run the same command again: it goes on from where it was",
                    )
        except BaseException:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
            raise
    if process.returncode != 0:
        tail = output.read_text(errors="replace").strip().splitlines()[-60:]
        said = _complaint(tail)
        raise NotFoundError(
            f"CP2K ended with code {process.returncode} ({said[:160]})",
            file=output,
            remedy="see the end of the file; the same command goes on from its wavefunctions",
        )


def _complaint(tail: list[str]) -> str:
    """Return what CP2K says in the box that it draws when it gives up."""
    boxed = [x.strip(" */|\\_") for x in tail if x.strip().startswith("*") and "*" in x[2:]]
    words = [x.replace("[ABORT]", "").strip(" \\/|_O") for x in boxed]
    words = [x for x in words if x and ".F:" not in x]
    if words:
        return " ".join(words[:3])
    named = next((x.strip(" *") for x in tail if "error" in x.lower()), "")
    return named or (tail[-1].strip() if tail else "it said nothing")


def relax_cp2k(
    atoms: Atoms,
    folder: str | Path,
    settings: Cp2kSettings | None = None,
    *,
    fixed: ArrayLike | None = None,
    **options: Any,
) -> Relaxation:
    """Relax atoms by CP2K's own optimizer in one run; call again to go on from a stopped one.

    Parameters
    ----------
    fixed : (n,) bool array, optional
        Atoms that stay where they are.
    **options
        As in `run_cp2k`.

    Returns
    -------
    Relaxation
        Energies and largest forces are those of the last run's geometries.
    """
    from heterodot.energy.motion import fragments
    from heterodot.energy.relaxation import Relaxation

    began = time.perf_counter()
    held = () if fixed is None else tuple(int(k) for k in np.flatnonzero(np.asarray(fixed)))
    asked = replace(settings or Cp2kSettings(n_lumo=0), task="relax", fixed=held)
    result = run_cp2k(atoms, folder, asked, **options)
    relaxed = atoms.copy()
    if result.relaxed is not None:
        # back from CP2K's box: atoms that were held are where they were, a free body stays put
        away = result.relaxed - atoms.positions
        relaxed.positions[:] = result.relaxed - away[list(held) or slice(None)].mean(axis=0)
    moved = np.linalg.norm(relaxed.positions - atoms.positions, axis=1)
    forces = result.max_forces if len(result.max_forces) else np.array([np.nan])
    return Relaxation(
        relaxed,
        result.energies,
        forces,
        float(moved.mean()),
        float(moved.max()),
        result.optimized,
        f"CP2K {'converged' if result.optimized else 'did not converge'}: largest force "
        f"{forces[-1]:.4f} eV/Å",
        len(result.energies),
        (fragments(atoms), fragments(relaxed)),
        time.perf_counter() - began,
        f"CP2K, {result.version}",
        {"fmax": asked.fmax, "steps": asked.max_steps, "fixed": len(held)},
    )


def cp2k_calculator(
    folder: str | Path, settings: Cp2kSettings | None = None, **options: Any
) -> Any:
    """Return an ASE calculator that runs CP2K in a folder (one sub-folder a geometry).

    Each geometry starts from the wavefunctions of the one before.
    """
    from ase.calculators.calculator import Calculator, all_changes

    base = settings or Cp2kSettings()

    class _Cp2k(Calculator):  # type: ignore[misc]
        implemented_properties = ("energy", "forces")

        def __init__(self) -> None:
            super().__init__()
            self.count = 0

        def calculate(
            self,
            atoms: Any = None,
            properties: Any = ("energy",),
            system_changes: Any = all_changes,
        ) -> None:
            super().calculate(atoms, properties, system_changes)
            asked = replace(base, task="force", n_lumo=0, cube=(), density=False)
            place = Path(folder) / f"step-{self.count:04d}"
            before = Path(folder) / f"step-{self.count - 1:04d}" / "run-RESTART.wfn"
            if before.exists() and not place.exists():
                place.mkdir(parents=True)
                shutil.copy(before, place / before.name)
                write_input(self.atoms, place, asked)  # says that the guess belongs to it
            self.count += 1
            result = run_cp2k(self.atoms, place, asked, **options)
            self.results["energy"] = result.energy
            self.results["forces"] = _forces_of(result)

    return _Cp2k()


def _forces_of(result: Cp2kResult) -> NDArray[np.float64]:
    if result.forces is None:
        raise InputError("CP2K printed no forces", place="cp2k", remedy="set task='force'")
    return result.forces
