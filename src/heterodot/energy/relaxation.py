"""Relaxation of atoms to rest: limited-memory BFGS that never accepts a higher energy.

Liu and Nocedal, Math. Program. 45, 503 (1989), with a limit on the step of every atom and
backtracking to Armijo's condition, so that rumpled starting surfaces cannot throw atoms out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.energy.motion import displacements, fragments
from heterodot.energy.potential import IonicPotential
from heterodot.errors import InputError
from heterodot.progress import Progress, silent

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Relaxation", "displacements", "fragments", "relax"]

MEMORY = 25
MAX_STEP = 0.10  # Å, the farthest an atom may go in one step
Evaluate = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]


@dataclass(frozen=True, eq=False)
class Relaxation:
    """How a relaxation went and where it ended.

    Attributes
    ----------
    atoms : ase.Atoms
        Relaxed copy, with all arrays of the input.
    energies : (n_steps + 1,) array
        eV, from the start to the end; never rising.
    max_forces : (n_steps + 1,) array
        Largest force on a free atom at each step, eV/Å.
    mean_displacement, max_displacement : float
        Å, of all atoms from their start.
    converged : bool
        Whether the largest force came below ``fmax``.
    message : str
        How it ended, in a sentence.
    evaluations : int
        Energy and force calls.
    fragments : (int, int)
        Connected pieces before and after (bonds within 1.25 times the sum of ionic radii).
    seconds : float
        Wall time of this call (a resumed run counts its last part).
    engine : str
        What computed the energy.
    """

    atoms: Atoms
    energies: NDArray[np.float64]
    max_forces: NDArray[np.float64]
    mean_displacement: float
    max_displacement: float
    converged: bool
    message: str
    evaluations: int
    fragments: tuple[int, int]
    seconds: float
    engine: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def max_force(self) -> float:
        """Largest force at the end, eV/Å."""
        return float(self.max_forces[-1])

    @property
    def energy(self) -> float:
        """Energy at the end, eV."""
        return float(self.energies[-1])

    @property
    def steps(self) -> int:
        """Accepted steps."""
        return len(self.energies) - 1

    @property
    def intact(self) -> bool:
        """Whether it has no more pieces than at the start."""
        return self.fragments[1] <= self.fragments[0]

    def to_json(self) -> dict[str, Any]:
        """Return the result (without the atoms) as plain data."""
        exact = "deterministic result of the potential; its accuracy is stated in its notes"

        def quantity(value: float, unit: str) -> dict[str, Any]:
            return {"value": float(value), "error": None, "unit": unit, "error_reason": exact}

        return {
            "converged": self.converged,
            "message": self.message,
            "steps": self.steps,
            "evaluations": self.evaluations,
            "energy_start": quantity(self.energies[0], "eV"),
            "energy_end": quantity(self.energies[-1], "eV"),
            "max_force": quantity(self.max_force, "eV/angstrom"),
            "mean_displacement": quantity(self.mean_displacement, "angstrom"),
            "max_displacement": quantity(self.max_displacement, "angstrom"),
            "fragments": list(self.fragments),
            "intact": self.intact,
            "engine": self.engine,
            "seconds": self.seconds,
            "settings": dict(self.settings),
        }


def relax(
    atoms: Atoms,
    potential: Any,
    *,
    fmax: float = 0.05,
    steps: int = 300,
    fixed: ArrayLike | None = None,
    progress: Progress = silent,
    resume: str | Path | None = None,
    net_charge: float | None = None,
) -> Relaxation:
    """Relax atoms until the largest force is below ``fmax``; the energy never rises.

    Parameters
    ----------
    atoms : ase.Atoms
        A finite body, or a crystal in a fixed cell. Formal charges in the array ``charge``.
    potential : IonicPotential or ase Calculator
    fmax : float
        eV/Å.
    steps : int
        Most accepted steps.
    fixed : (n,) bool array, optional
        Atoms that stay where they are.
    progress : Progress
    resume : path, optional
        A file in which the state is kept every few seconds. If it is there and belongs to the
        same input, the run goes on from it and ends as if it had never stopped.
    net_charge : float, optional
        The charge that the atoms are meant to carry. Without it a charged body is refused.

    Returns
    -------
    Relaxation
        Also when it did not converge: look at ``converged`` and ``message``.

    Raises
    ------
    InputError
        Overlapping atoms, a net charge that was not announced, elements without parameters.

    Examples
    --------
    >>> from ase import Atoms
    >>> from heterodot.catalog import crystal
    >>> from heterodot.energy import fit_potential
    >>> pair = Atoms("PbS", [[0, 0, 0], [0, 0, 2.9]])
    >>> done = relax(pair, fit_potential(crystal("PbS")), fmax=0.01)
    >>> done.converged, bool(done.energies[-1] < done.energies[0])
    (True, True)
    """
    began = time.perf_counter()
    if not (np.isfinite(fmax) and fmax > 0):
        raise InputError(f"{fmax} is not a force limit", place="relax.fmax", remedy="give eV/Å > 0")
    if steps < 0:
        raise InputError(f"{steps} steps", place="relax.steps", remedy="give 0 or more")
    _refuse_charge(atoms, potential, net_charge)
    _refuse_overlap(atoms, potential)
    free = ~_fixed_mask(fixed, len(atoms))
    evaluate, engine, fingerprint = _engine(atoms, potential)
    checkpoint = _Checkpoint(resume, atoms, free, fingerprint)
    state = checkpoint.load() or _start(evaluate, np.array(atoms.positions), free)
    message = ""
    try:
        while True:
            worst = state.worst
            progress(
                f"relaxing: step {len(state.energies) - 1}, {worst:.3f} eV/Å",
                _done(state.max_forces, fmax, len(state.energies) - 1, steps),
            )
            if worst <= fmax:
                message = f"converged: largest force {worst:.4f} eV/Å"
                break
            if len(state.energies) > steps:
                message = f"stopped after {steps} steps with {worst:.3f} eV/Å left"
                break
            if not state.advance(evaluate, free):
                message = (
                    f"no lower energy found in any direction with {worst:.4f} eV/Å left: "
                    "the limit of the energy's numerical precision"
                )
                break
            checkpoint.save(state)
    except KeyboardInterrupt:
        checkpoint.save(state, now=True)
        raise
    checkpoint.save(state, now=True)
    relaxed = atoms.copy()
    relaxed.positions[:] = state.positions
    moved = np.linalg.norm(state.positions - atoms.positions, axis=1)
    return Relaxation(
        relaxed,
        np.array(state.energies),
        np.array(state.max_forces),
        float(moved.mean()) if len(moved) else 0.0,
        float(moved.max()) if len(moved) else 0.0,
        bool(state.worst <= fmax),
        message,
        state.evaluations,
        (fragments(atoms), fragments(relaxed)),
        time.perf_counter() - began,
        engine,
        {"fmax": fmax, "steps": steps, "fixed": int((~free).sum())},
    )


# -------------------------------------------------------------------- the search


@dataclass
class _State:
    """Where the search is: everything that a resumed run needs to go on the same way."""

    positions: NDArray[np.float64]
    forces: NDArray[np.float64]
    energies: list[float]
    max_forces: list[float]
    moves: list[NDArray[np.float64]]
    turns: list[NDArray[np.float64]]
    evaluations: int

    @property
    def worst(self) -> float:
        return self.max_forces[-1]

    def _direction(self) -> NDArray[np.float64]:
        """Return the quasi-Newton step by the two-loop recursion, (n, 3)."""
        q = -self.forces
        weights = []
        for s, y in zip(reversed(self.moves), reversed(self.turns), strict=True):
            a = np.vdot(s, q) / np.vdot(s, y)
            weights.append(a)
            q = q - a * y
        if self.moves:
            s, y = self.moves[-1], self.turns[-1]
            q = q * (np.vdot(s, y) / np.vdot(y, y))
        else:
            q = q / 10.0  # eV/Å², a usual stiffness of ionic bonds
        for s, y, a in zip(self.moves, self.turns, reversed(weights), strict=True):
            q = q + (a - np.vdot(y, q) / np.vdot(s, y)) * s
        return np.asarray(-q)

    def advance(self, evaluate: Evaluate, free: NDArray[np.bool_]) -> bool:
        """Take one step that lowers the energy; return False if there is none."""
        for attempt in range(2):
            step = self._direction()
            slope = float(np.vdot(self.forces, step))
            if slope <= 0:
                self.moves.clear()
                self.turns.clear()
                step = self._direction()
                slope = float(np.vdot(self.forces, step))
            longest = float(np.sqrt((step**2).sum(1).max()))
            if longest > MAX_STEP:
                step = step * (MAX_STEP / longest)
                slope *= MAX_STEP / longest
            if self._backtrack(evaluate, free, step, slope):
                return True
            if attempt == 0 and self.moves:
                self.moves.clear()
                self.turns.clear()
            else:
                break
        return False

    def _backtrack(
        self, evaluate: Evaluate, free: NDArray[np.bool_], step: NDArray[np.float64], slope: float
    ) -> bool:
        energy = self.energies[-1]
        share = 1.0
        for _ in range(12):
            trial = self.positions + share * step
            new_energy, new_forces = evaluate(trial)
            self.evaluations += 1
            if np.isfinite(new_energy) and new_energy <= energy - 1e-4 * share * slope:
                new_forces = np.where(free[:, None], new_forces, 0.0)
                s, y = trial - self.positions, self.forces - new_forces
                if np.vdot(s, y) > 1e-8 * float(np.vdot(s, s)):
                    self.moves.append(s)
                    self.turns.append(y)
                    del self.moves[:-MEMORY], self.turns[:-MEMORY]
                self.positions, self.forces = trial, new_forces
                self.energies.append(float(new_energy))
                self.max_forces.append(_largest(new_forces))
                return True
            # the parabola through both energies and the slope at the start
            rise = new_energy - energy + share * slope
            best = 0.5 * share * share * slope / rise if np.isfinite(rise) and rise > 0 else 0.0
            share = float(np.clip(best, 0.1 * share, 0.5 * share))
        return False


def _start(evaluate: Evaluate, positions: NDArray[np.float64], free: NDArray[np.bool_]) -> _State:
    energy, forces = evaluate(positions)
    if not np.isfinite(energy) or not np.isfinite(forces).all():
        raise InputError(
            "the energy of the starting structure is not a number",
            place="relax",
            remedy="check for atoms on one another",
        )
    forces = np.where(free[:, None], forces, 0.0)
    return _State(positions, forces, [float(energy)], [_largest(forces)], [], [], 1)


def _largest(forces: NDArray[np.float64]) -> float:
    return float(np.sqrt((forces**2).sum(axis=1).max())) if len(forces) else 0.0


def _done(worst: list[float], fmax: float, step: int, steps: int) -> float:
    first = max(worst[0], fmax * 1.001)
    by_force = np.log(first / max(worst[-1], fmax)) / np.log(first / fmax)
    return float(np.clip(max(by_force, step / max(steps, 1)), 0.0, 1.0))


# -------------------------------------------------------------------- engines and refusals


def _engine(atoms: Atoms, potential: Any) -> tuple[Evaluate, str, str]:
    """Return the energy function, its name, and a text that changes when the energy does."""
    import json

    if isinstance(potential, IonicPotential):
        from heterodot.energy.calculator import PairList

        symbols = atoms.get_chemical_symbols()
        charges = atoms.arrays.get("charge")
        record = json.dumps(potential.to_record(), sort_keys=True)
        if all(atoms.pbc):
            cell = np.array(atoms.cell)

            def periodic(positions: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
                energy, forces, _ = potential.evaluate_periodic(cell, positions, symbols, charges)
                return energy, forces

            return periodic, "ionic potential (crystal)", record
        from heterodot.energy.potential import refuse_partly_periodic

        refuse_partly_periodic(atoms)
        pairs = PairList(potential.reach)

        def body(positions: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            return potential.evaluate(positions, symbols, charges, pairs=pairs.at(positions))

        return body, "ionic potential", record
    if not hasattr(potential, "get_potential_energy"):
        raise InputError(
            f"a {type(potential).__name__} computes no energies",
            place="relax",
            remedy="give an IonicPotential or an ASE calculator",
        )
    work = atoms.copy()
    work.calc = potential

    def external(positions: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        work.positions[:] = positions
        return float(work.get_potential_energy()), np.array(work.get_forces(), dtype=float)

    name = type(potential).__name__
    parameters = getattr(potential, "parameters", {})
    return external, name, f"{name} {sorted(dict(parameters).items())!r}"


def _fixed_mask(fixed: ArrayLike | None, n: int) -> NDArray[np.bool_]:
    if fixed is None:
        return np.zeros(n, dtype=bool)
    mask = np.asarray(fixed)
    if mask.shape != (n,) or mask.dtype != bool:
        raise InputError(
            f"is not a mask of {n} yes or no", place="relax.fixed", remedy="give one bool an atom"
        )
    return mask


def _refuse_charge(atoms: Atoms, potential: Any, announced: float | None) -> None:
    if not isinstance(potential, IonicPotential) and "charge" not in atoms.arrays:
        return
    if isinstance(potential, IonicPotential):
        charges = potential.charge_array(atoms.get_chemical_symbols(), atoms.arrays.get("charge"))
    else:
        charges = np.asarray(atoms.arrays["charge"], dtype=float)
    found = float(charges.sum())
    if abs(found - (announced or 0.0)) > 1e-3:
        raise InputError(
            f"the atoms carry {found:+g} e"
            + ("" if announced is None else f", not {announced:+g} e as said"),
            place=atoms.get_chemical_formula(),
            remedy="neutralize it (heterodot build does), or say net_charge="
            f"{found:g} if it is meant",
        )


def _refuse_overlap(atoms: Atoms, potential: Any) -> None:
    """Refuse atoms that no potential can pull apart in an orderly way."""
    from scipy.spatial import cKDTree

    if len(atoms) < 2 or any(atoms.pbc):
        return
    pairs = cKDTree(atoms.positions).query_pairs(2.5, output_type="ndarray")
    symbols = atoms.get_chemical_symbols()
    for i, j in pairs:
        r = float(np.linalg.norm(atoms.positions[i] - atoms.positions[j]))
        limit = 0.6
        if isinstance(potential, IonicPotential):
            limit = 0.5 * potential.contact[symbols[i], symbols[j]]
        if r < limit:
            raise InputError(
                f"atoms {i} ({symbols[i]}) and {j} ({symbols[j]}) overlap: {r:.2f} Å apart",
                place=atoms.get_chemical_formula(),
                remedy="remove one of them or build the particle with a larger gap",
            )


# -------------------------------------------------------------------- stop and go on


class _Checkpoint:
    """The state of a search in one .npz file that is either whole or not there."""

    SECONDS = 5.0

    def __init__(
        self,
        path: str | Path | None,
        atoms: Atoms,
        free: NDArray[np.bool_],
        fingerprint: str,
    ) -> None:
        import hashlib

        self.path = None if path is None else Path(path)
        digest = hashlib.sha256(fingerprint.encode())
        for array in (atoms.positions, atoms.numbers, np.array(atoms.cell), free):
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(np.ascontiguousarray(atoms.arrays.get("charge", np.zeros(0))).tobytes())
        self.digest = digest.hexdigest()
        self._saved = time.monotonic()

    def load(self) -> _State | None:
        if self.path is None or not self.path.exists():
            return None
        import zipfile

        from heterodot.files import readable

        readable(self.path)
        try:
            with np.load(self.path, allow_pickle=False) as data:
                if str(data["digest"]) != self.digest:
                    raise InputError(
                        "belongs to another relaxation",
                        file=self.path,
                        remedy="delete it or give another name",
                    )
                return _State(
                    data["positions"],
                    data["forces"],
                    [float(e) for e in data["energies"]],
                    [float(f) for f in data["max_forces"]],
                    list(data["moves"]),
                    list(data["turns"]),
                    int(data["evaluations"]),
                )
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(
                f"is not a kept relaxation ({error})", file=self.path, remedy="delete it"
            ) from error

    def save(self, state: _State, *, now: bool = False) -> None:
        if self.path is None or (not now and time.monotonic() - self._saved < self.SECONDS):
            return
        from heterodot.files import replacing

        n = len(state.positions)
        with replacing(self.path) as beside, open(beside, "wb") as stream:
            np.savez(
                stream,
                digest=np.array(self.digest),
                positions=state.positions,
                forces=state.forces,
                energies=np.array(state.energies),
                max_forces=np.array(state.max_forces),
                moves=np.array(state.moves).reshape(-1, n, 3),
                turns=np.array(state.turns).reshape(-1, n, 3),
                evaluations=np.array(state.evaluations),
            )
        self._saved = time.monotonic()
