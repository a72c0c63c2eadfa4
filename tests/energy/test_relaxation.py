"""Relaxation: downhill, at rest in the end, resumable, and polite about bad input."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from heterodot.catalog import crystal
from heterodot.energy import IonicPotential, fit_potential, relax
from heterodot.errors import InputError


@pytest.fixture(scope="module")
def potential() -> IonicPotential:
    return fit_potential(crystal("CsPbCl3"), crystal("PbS"))


def rumpled(name: str = "PbS", repeat: int = 2, noise: float = 0.15, seed: int = 0) -> Atoms:
    atoms = crystal(name).atoms.repeat(repeat)
    atoms.pbc = False
    atoms.positions += np.random.default_rng(seed).normal(scale=noise, size=(len(atoms), 3))
    return atoms


@pytest.mark.parametrize("name", ["PbS", "CsPbCl3"])
def test_comes_to_rest_downhill_in_one_piece(potential, name) -> None:
    start = rumpled(name, 3)
    before = start.positions.copy()
    done = relax(start, potential, fmax=0.01, steps=500)
    assert done.converged
    assert done.max_force <= 0.01
    assert (np.diff(done.energies) <= 0).all()
    assert done.intact
    np.testing.assert_array_equal(start.positions, before)
    # at rest by the other road too: the forces of the potential itself at the end
    _, forces = potential.evaluate_atoms(done.atoms)
    assert np.linalg.norm(forces, axis=1).max() <= 0.0101


def test_agrees_with_ase_optimizer(potential) -> None:
    from ase.optimize import BFGS

    atoms = rumpled(noise=0.05)
    ours = relax(atoms, potential, fmax=0.005, steps=500)
    theirs = atoms.copy()
    theirs.calc = potential.calculator()
    BFGS(theirs, logfile=None).run(fmax=0.005, steps=500)
    assert ours.energy == pytest.approx(theirs.get_potential_energy(), abs=1e-3)


def test_any_ase_calculator() -> None:
    from ase.calculators.lj import LennardJones

    pair = Atoms("Ar2", [[0, 0, 0], [0, 0, 1.5]])
    done = relax(pair, LennardJones(sigma=1.0, epsilon=1.0, rc=10.0), fmax=1e-4, steps=200)
    distance = done.atoms.get_distance(0, 1)
    assert distance == pytest.approx(2 ** (1 / 6), abs=1e-3)
    with pytest.raises(InputError, match="computes no energies"):
        relax(pair, object())


def test_fixed_atoms_stay(potential) -> None:
    atoms = rumpled()
    fixed = np.arange(len(atoms)) < 10
    done = relax(atoms, potential, fixed=fixed)
    np.testing.assert_array_equal(done.atoms.positions[:10], atoms.positions[:10])
    assert np.abs(done.atoms.positions[10:] - atoms.positions[10:]).max() > 0.01
    with pytest.raises(InputError, match="mask"):
        relax(atoms, potential, fixed=[1, 2, 3])


def test_stopped_run_goes_on_and_ends_the_same(potential, tmp_path) -> None:
    atoms = rumpled("CsPbCl3", 3)
    whole = relax(atoms, potential, fmax=0.01)
    kept = tmp_path / "state.npz"
    calls = []

    def stop(doing: str, fraction: float) -> None:
        calls.append(fraction)
        if len(calls) == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        relax(atoms, potential, fmax=0.01, progress=stop, resume=kept)
    assert kept.exists()
    resumed = relax(atoms, potential, fmax=0.01, resume=kept)
    assert resumed.steps == whole.steps
    np.testing.assert_array_equal(resumed.energies, whole.energies)
    np.testing.assert_array_equal(resumed.atoms.positions, whole.atoms.positions)
    assert all(0 <= f <= 1 for f in calls)


def test_kept_state_of_another_run_is_refused(potential, tmp_path) -> None:
    kept = tmp_path / "state.npz"
    relax(rumpled(seed=1), potential, resume=kept)
    with pytest.raises(InputError, match="another relaxation"):
        relax(rumpled(seed=2), potential, resume=kept)
    kept.write_bytes(kept.read_bytes()[:200])
    with pytest.raises(InputError, match="not a kept relaxation"):
        relax(rumpled(seed=1), potential, resume=kept)


def test_overlap_and_charge_are_refused(potential) -> None:
    close = Atoms("PbS", [[0, 0, 0], [0, 0, 0.7]])
    with pytest.raises(InputError, match=r"atoms 0 \(Pb\) and 1 \(S\) overlap"):
        relax(close, potential)
    charged = Atoms("PbCl", [[0, 0, 0], [0, 0, 2.7]])
    with pytest.raises(InputError, match=r"carry \+1 e.*net_charge"):
        relax(charged, potential)
    assert relax(charged, potential, net_charge=1.0).converged
    with pytest.raises(InputError, match="force limit"):
        relax(charged, potential, fmax=-1)


def test_pieces_are_counted(potential) -> None:
    from heterodot.energy.relaxation import fragments

    one = rumpled(noise=0.0)
    two = one + one
    two.positions[len(one) :, 0] += 40.0
    assert fragments(one) == 1
    assert fragments(two) == 2


def test_result_is_plain(potential) -> None:
    import json

    done = relax(rumpled(), potential, steps=3)
    assert not done.converged
    assert done.steps == 3
    record = json.loads(json.dumps(done.to_json()))
    assert record["energy_end"]["value"] < record["energy_start"]["value"]
    assert "3 steps" in record["message"]
