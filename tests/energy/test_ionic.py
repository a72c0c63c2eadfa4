"""The ionic potential: crystals at rest, forces exact, plain data whole."""

from __future__ import annotations

import json

import numpy as np
import pytest

from heterodot.catalog import crystal
from heterodot.crystal import Crystal
from heterodot.energy import IonicPotential, elastic_constants, fit_potential
from heterodot.energy.ewald import coulomb_constant
from heterodot.energy.ionic import GPA
from heterodot.errors import InputError


@pytest.fixture(scope="module")
def potential() -> IonicPotential:
    return fit_potential(crystal("CsPbCl3"), crystal("PbS"))


def slow_energy(potential, positions, species, charges) -> float:
    """The obvious twin: every pair, one after the other."""
    energy = 0.0
    q = np.asarray(charges) * potential.charge_scale
    for i in range(len(q)):
        for j in range(i):
            r = float(np.linalg.norm(positions[i] - positions[j]))
            energy += coulomb_constant() * q[i] * q[j] / r
            energy += float(potential.pair_energy(r, species[i], species[j]))
    return energy


def body(seed: int = 0, n: int = 60) -> tuple[np.ndarray, list[str], np.ndarray]:
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(5)] * 3), -1).reshape(-1, 3)[:n] * 2.9
    positions = grid + rng.normal(scale=0.25, size=grid.shape)
    species = list(rng.choice(["Cs", "Pb", "Cl", "S"], n))
    return positions, species, np.array([{"Cs": 1, "Pb": 2, "Cl": -1, "S": -2}[s] for s in species])


def test_energy_is_that_of_the_slow_twin(potential) -> None:
    positions, species, charges = body()
    energy, _ = potential.evaluate(positions, species, charges)
    assert energy == pytest.approx(slow_energy(potential, positions, species, charges), rel=1e-12)


def test_forces_are_derivatives_to_1e_6(potential) -> None:
    positions, species, charges = body(1)
    _, forces = potential.evaluate(positions, species, charges)
    h = 1e-4
    for i in (0, 17, 59):
        for k in range(3):
            ends = []
            for sign in (1, -1):
                moved = positions.copy()
                moved[i, k] += sign * h
                ends.append(potential.evaluate(moved, species, charges)[0])
            assert -(ends[0] - ends[1]) / (2 * h) == pytest.approx(forces[i, k], abs=1e-6)
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-10)
    torque = np.cross(positions, forces).sum(axis=0)
    np.testing.assert_allclose(torque, 0, atol=1e-8)


@pytest.fixture(scope="module")
def screened() -> IonicPotential:
    return fit_potential(crystal("CsPbCl3"), crystal("PbS"), screening=8.4)


def test_screened_forces_are_derivatives_to_1e_6(screened) -> None:
    # spread out, so that pairs fall on the switch between 9 and 10 Å
    positions, species, charges = body(4)
    energy, forces = screened.evaluate(positions, species, charges)
    slow = 0.0
    for i in range(len(charges)):
        for j in range(i):
            r = float(np.linalg.norm(positions[i] - positions[j]))
            q = (
                charges[i]
                * charges[j]
                / screened.charges[species[i]]
                / screened.charges[species[j]]
            )
            slow += float(screened.pair_energy(r, species[i], species[j]))
            bare = screened.pair_energy(r, species[i], species[j], coulomb=True)
            slow += q * float(bare - screened.pair_energy(r, species[i], species[j]))
    assert energy == pytest.approx(slow, rel=1e-10)
    h = 1e-4
    for i in (3, 31, 58):
        for k in range(3):
            ends = []
            for sign in (1, -1):
                moved = positions.copy()
                moved[i, k] += sign * h
                ends.append(screened.evaluate(moved, species, charges)[0])
            assert -(ends[0] - ends[1]) / (2 * h) == pytest.approx(forces[i, k], abs=1e-6)
    r = np.linspace(2.5, 11, 3001)
    slope = -np.gradient(screened.pair_energy(r, "Pb", "S", coulomb=True), r)
    np.testing.assert_allclose(
        slope[2:-2], screened.pair_force(r, "Pb", "S", coulomb=True)[2:-2], atol=2e-4
    )


def test_screened_limits(screened) -> None:
    """Far apart two ions feel each other divided by the screening; at contact almost bare."""
    bare = fit_potential(crystal("CsPbCl3"), crystal("PbS"))
    far = np.array([30.0])
    ratio = bare.pair_energy(far, "Pb", "S", coulomb=True) / screened.pair_energy(
        far, "Pb", "S", coulomb=True
    )
    assert ratio[0] == pytest.approx(8.4, rel=1e-9)
    near = np.array([0.01])
    unit = screened.charge_scale**2 * 4 * coulomb_constant() / near
    coulomb = screened.pair_energy(near, "Pb", "Pb", coulomb=True) - screened.pair_energy(
        near, "Pb", "Pb"
    )
    assert coulomb[0] == pytest.approx(unit[0], rel=0.01)
    with pytest.raises(InputError, match="screening"):
        fit_potential(crystal("PbS"), screening=0.5)


@pytest.mark.parametrize("name", ["CsPbCl3", "PbS"])
def test_screened_crystals_rest_and_keep_their_stiffness(screened, name) -> None:
    _, forces, stress = screened.bulk(crystal(name))
    assert np.abs(stress * GPA).max() < 0.02
    assert np.abs(forces).max() < 1e-6
    assert IonicPotential.from_record(json.loads(json.dumps(screened.to_record()))) == screened
    if name == "PbS":
        quality = screened.quality["PbS"]
        assert quality["elastic_c11_fitted"] == pytest.approx(quality["elastic_c11_given"], rel=0.1)
    # a crystal is the limit of large bodies: forces on an ion deep inside a body vanish
    atoms = crystal(name).atoms.repeat(5 if name == "CsPbCl3" else 4)
    atoms.pbc = False
    _, inside = screened.evaluate_atoms(atoms)
    middle = np.argmin(np.linalg.norm(atoms.positions - atoms.positions.mean(axis=0), axis=1))
    assert np.linalg.norm(inside[middle]) < 0.15


def test_relaxing_takes_the_screening_of_the_catalog() -> None:
    from ase import Atoms

    from heterodot.energy.ionic import optical_screening, potential_for

    pair = Atoms("PbS", [[0, 0, 0], [0, 0, 2.6]])
    assert potential_for(pair, crystal("PbS")).screening == pytest.approx(17.2, rel=0.1)
    assert potential_for(pair, crystal("PbS"), screening=1.0).screening == 1.0
    odd = Crystal.from_sites("NaF", "F m -3 m", (4.63,), {"Na": (0, 0, 0), "F": (0.5, 0.5, 0.5)})
    assert optical_screening(odd) == 1.0


def test_same_crystals_are_fitted_once() -> None:
    first = fit_potential(crystal("PbS"))
    assert fit_potential(crystal("PbS")) is first
    other = crystal("PbS").replace(cell=crystal("PbS").cell * 1.01)
    assert fit_potential(other) != first
    assert fit_potential(crystal("PbS"), charge_scale=0.7) != first


def test_repulsion_switches_off_smoothly(potential) -> None:
    r = np.linspace(6.3, 8.2, 4001)
    energy = potential.pair_energy(r, "Cs", "S")
    slope = -np.gradient(energy, r)
    np.testing.assert_allclose(slope[2:-2], potential.pair_force(r, "Cs", "S")[2:-2], atol=1e-8)
    assert (energy[r >= 8.0] == 0).all()


@pytest.mark.parametrize("name", ["CsPbCl3", "PbS"])
def test_crystals_are_at_rest_in_their_own_cells(potential, name) -> None:
    _, forces, stress = potential.bulk(crystal(name))
    assert np.abs(stress * GPA).max() < 0.02
    assert np.abs(forces).max() < 1e-6
    # a cell 1 % larger pulls back
    big = crystal(name).replace(cell=crystal(name).cell * 1.01)
    assert np.trace(potential.bulk(big)[2]) > 0


def test_crystal_energy_is_the_limit_of_large_bodies(potential) -> None:
    """Energy of the innermost ions of ever larger neutral cubes, against the lattice sum."""
    pbs = crystal("PbS")
    per_pair = potential.bulk(pbs)[0] / 4
    energies, counts = [], []
    for n in (4, 6, 8):
        grid = np.stack(np.meshgrid(*[np.arange(n)] * 3), -1).reshape(-1, 3)
        species = ["Pb" if s % 2 == 0 else "S" for s in grid.sum(1)]
        energies.append(potential.evaluate(grid * pbs.cell[0, 0] / 2, species)[0])
        counts.append(n)
    # volume, surface, edge, corner: E(n) = e v n^3/2 + s n^2 + ...; solve for the bulk term
    fit = np.polynomial.polynomial.Polynomial.fit(counts, np.array(energies), 2)
    assert len(fit.coef) == 3
    n = np.array(counts, dtype=float)
    table = np.stack([n**3 / 2, n**2, n], axis=1)
    bulk = np.linalg.solve(table, np.array(energies))[0]
    assert bulk == pytest.approx(per_pair, rel=2e-3)


def test_cauchy_relation_and_bulk_modulus(potential) -> None:
    """Central forces between centers of inversion at rest obey c12 = c44."""
    for name in ("PbS", "CsPbCl3"):
        c = elastic_constants(potential, crystal(name).primitive())
        h = 1e-3
        ends = []
        for f in (1 + h, 1 - h):
            cell = crystal(name)
            ends.append(np.trace(potential.bulk(cell.replace(cell=cell.cell * f))[2]) / 3)
        modulus = (ends[0] - ends[1]) / (6 * h) * GPA
        mean = (c[:3, :3].sum()) / 9
        assert modulus == pytest.approx(mean, rel=0.01)
        assert np.linalg.eigvalsh(c).min() > 0


def test_record_is_plain_and_whole(potential) -> None:
    again = IonicPotential.from_record(json.loads(json.dumps(potential.to_record())))
    assert again == potential
    positions, species, charges = body(2)
    assert again.evaluate(positions, species, charges)[0] == pytest.approx(
        potential.evaluate(positions, species, charges)[0], abs=0
    )


def test_ase_calculator_agrees(potential) -> None:
    from ase import Atoms

    positions, species, charges = body(3)
    atoms = Atoms(species, positions)
    atoms.set_array("charge", charges.astype(float))
    atoms.calc = potential.calculator()
    energy, forces = potential.evaluate(positions, species, charges)
    assert atoms.get_potential_energy() == pytest.approx(energy, rel=1e-13)
    np.testing.assert_allclose(atoms.get_forces(), forces, atol=1e-12)
    bulk = crystal("PbS").atoms
    bulk.calc = potential.calculator()
    assert np.abs(bulk.get_stress()).max() * GPA < 0.02
    bulk.pbc = (True, True, False)
    with pytest.raises(InputError, match="not slabs"):
        bulk.get_potential_energy()


def test_missing_element_is_named(potential) -> None:
    with pytest.raises(InputError, match=r"no parameters for Zn.*ions="):
        potential.evaluate(np.array([[0, 0, 0], [3.0, 0, 0]]), ["Zn", "S"])
    more = fit_potential(crystal("PbS"), ions={"Mn": 2})
    assert np.isfinite(more.evaluate(np.array([[0, 0, 0], [3.0, 0, 0]]), ["Mn", "S"])[0])


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="no crystal"):
        fit_potential()
    with pytest.raises(InputError, match="charge_scale"):
        fit_potential(crystal("PbS"), charge_scale=0)
    odd = Crystal.from_sites("CuFe", "P m -3 m", (2.9,), {"Cu": (0, 0, 0), "Fe": (0.5, 0.5, 0.5)})
    with pytest.raises(InputError, match="formal charges"):
        fit_potential(odd)
    metal = Crystal.from_sites("Cu", "F m -3 m", (3.6,), {"Cu": (0, 0, 0)})
    with pytest.raises(InputError, match="no ions"):
        fit_potential(metal)
