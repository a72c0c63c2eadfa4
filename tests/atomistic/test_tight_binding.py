"""Tight binding: published gaps, symmetry, Bloch sums against large bodies, states against LAPACK."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from heterodot.catalog import crystal
from heterodot.electronic import tight_binding_edges
from heterodot.electronic.atomistic import aligned_set, assemble, atomistic_levels
from heterodot.electronic.tight_binding import (
    bloch_hamiltonian,
    bulk_edges,
    effective_mass,
    occupied,
    slater_koster,
    special_point,
    spin_orbit_matrix,
    tight_binding_set,
)
from heterodot.electronic.tight_binding_edges import SpinHamiltonian, edge_states
from heterodot.electronic.tight_binding_fit import Target, harrison_hopping, predictions
from heterodot.errors import InputError

CHLORIDE = crystal("CsPbCl3")


def cube(name: str, n) -> tuple[np.ndarray, list[str]]:
    atoms = crystal(name).atoms.repeat(n)
    return atoms.positions, atoms.get_chemical_symbols()


@pytest.mark.parametrize(
    ("material", "phase", "without", "with_coupling"),
    [("CsPbCl3", "CsPbCl3", 3.187, 2.127), ("CsPbBr3", "CsPbBr3", 2.160, 1.100),
     ("CsPbI3", "CsPbI3_alpha", 1.630, 0.630)],
)  # fmt: skip
def test_gaps_of_the_published_halide_sets(material, phase, without, with_coupling) -> None:
    """Gaps at R that follow from the published numbers in closed form (arXiv:2101.08562)."""
    bulk = crystal(phase)
    parameters = tight_binding_set(material).at_lattice(bulk.cellpar[0])
    assert bulk_edges(parameters, bulk).gap == pytest.approx(with_coupling, abs=6e-4)
    bare = replace(parameters, spin_orbit={})
    assert bulk_edges(bare, bulk).gap == pytest.approx(without, abs=6e-4)
    # the gap is at R and nowhere smaller on the special points
    for other in ("Gamma", "X", "M"):
        assert bulk_edges(parameters, bulk, special_point(bulk, other)).gap > with_coupling


@pytest.mark.parametrize(
    ("phase", "direction", "band", "low", "high"),
    [
        # measured: PbS (Cuff 1964), CdS (Lippens 1989), ZnS; the sets were fitted to them
        ("PbS", (1, 1, 1), "electron", 0.09, 0.13), ("PbS", (1, -1, 0), "electron", 0.06, 0.09),
        ("PbS", (1, 1, 1), "hole", 0.09, 0.13), ("PbS", (1, -1, 0), "hole", 0.06, 0.085),
        ("CdS_zincblende", (1, 0, 0), "electron", 0.16, 0.20),
        ("ZnS_zincblende", (1, 0, 0), "electron", 0.31, 0.37),
        # reduced masses of CsPbX3 from magneto-optics are 0.126 m_e (Br) and 0.202 (Cl)
        ("CsPbBr3", (1, 0, 0), "electron", 0.12, 0.36), ("CsPbCl3", (1, 0, 0), "hole", 0.15, 0.5),
    ],
)  # fmt: skip
def test_masses_at_the_measured_gap(phase, direction, band, low, high) -> None:
    placed = aligned_set(crystal(phase))
    assert low < effective_mass(placed.parameters, crystal(phase), direction, band) < high


def test_spin_orbit_matrix_is_that_of_angular_momentum() -> None:
    coupling = spin_orbit_matrix()
    np.testing.assert_allclose(coupling, coupling.conj().T)
    # (L.sigma)^2 = 2 - L.sigma for l = 1
    np.testing.assert_allclose(coupling @ coupling, 2 * np.eye(6) - coupling, atol=1e-14)


def test_slater_koster_blocks_turn_with_the_bond() -> None:
    from scipy.spatial.transform import Rotation

    rotation = Rotation.random(rng=3).as_matrix()
    unit = np.array([[0.0, 0.0, 1.0]])
    integrals = np.array([[-1.0, 0.7, -0.4, 1.8, -0.5]])
    turn = np.eye(4)
    turn[1:, 1:] = rotation
    expected = turn @ slater_koster(unit, integrals)[0] @ turn.T
    np.testing.assert_allclose(slater_koster(unit @ rotation.T, integrals)[0], expected, atol=1e-14)


def test_folded_supercell_gives_the_same_bands() -> None:
    parameters = tight_binding_set("PbS").at_lattice(crystal("PbS").cellpar[0])
    cubic, small = crystal("PbS"), crystal("PbS").primitive()
    big = np.linalg.eigvalsh(bloch_hamiltonian(parameters, cubic, np.zeros(3)))
    folded = []
    for k in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)):
        point = 2 * np.pi / cubic.cellpar[0] * np.array(k, float)
        folded.append(np.linalg.eigvalsh(bloch_hamiltonian(parameters, small, point)))
    np.testing.assert_allclose(np.sort(np.concatenate(folded)), big, atol=1e-10)
    assert occupied(parameters, small) == 10


def periodic_twin(positions, symbols, parameters) -> np.ndarray:
    """The same body as a crystal with vacuum: another code path."""
    from heterodot.crystal import Crystal

    cell = np.eye(3) * (np.ptp(positions, axis=0).max() + 12.0)
    from ase.data import atomic_numbers

    box = Crystal(
        "box", cell, np.array([atomic_numbers[s] for s in symbols]),
        (positions - positions.min(axis=0)) @ np.linalg.inv(cell),
    )  # fmt: skip
    return bloch_hamiltonian(parameters, box, np.zeros(3))


@pytest.mark.parametrize("phase", ["CsPbCl3", "PbS"])
def test_body_is_the_crystal_in_vacuum(phase) -> None:
    parameters = aligned_set(crystal(phase)).parameters
    positions, symbols = cube(phase, (2, 1, 1))
    body = assemble(positions, symbols, np.zeros(len(symbols), int), [parameters])
    dense = body.hamiltonian.dense()
    np.testing.assert_allclose(dense, dense.conj().T, atol=1e-12)
    twin = periodic_twin(positions, symbols, parameters)
    np.testing.assert_allclose(np.linalg.eigvalsh(dense), np.linalg.eigvalsh(twin), atol=1e-9)


def test_kernel_agrees_with_the_plain_product() -> None:
    from scipy.sparse import csr_matrix

    parameters = aligned_set(CHLORIDE).parameters
    positions, symbols = cube("CsPbCl3", 2)
    h = assemble(positions, symbols, np.zeros(len(symbols), int), [parameters]).hamiltonian
    rng = np.random.default_rng(0)
    x = rng.normal(size=(len(h), 3, 2)) + 1j * rng.normal(size=(len(h), 3, 2))
    matrix = csr_matrix((h.data, h.indices, h.indptr))
    expected = np.stack([matrix @ x[:, :, s] for s in (0, 1)], axis=2)
    coupling = spin_orbit_matrix()
    for start in np.flatnonzero(h.kind == 1):
        part = x[start : start + 3].transpose(0, 2, 1).reshape(6, 3)
        image = (h.strength[start] * coupling @ part).reshape(3, 2, 3).transpose(0, 2, 1)
        expected[start : start + 3] += image
    np.testing.assert_allclose(h.apply(x), expected, atol=1e-12)
    np.testing.assert_allclose(h.apply(x, 1.5), expected - 1.5 * x, atol=1e-12)


@pytest.mark.parametrize(("phase", "center", "n"), [("CsPbCl3", -5.3, 3), ("PbS", -4.8, (3, 3, 2))])
def test_edge_states_are_those_of_lapack(phase, center, n, monkeypatch) -> None:
    """All near-degenerate copies are found (cubes have fourfold levels, PbS four valleys)."""
    parameters = aligned_set(crystal(phase)).parameters
    positions, symbols = cube(phase, n)
    h = assemble(positions, symbols, np.zeros(len(symbols), int), [parameters]).hamiltonian
    monkeypatch.setattr(tight_binding_edges, "DENSE", 0)
    states = edge_states(h, 20, center, tolerance=1e-5)
    assert states.products > 0
    exact = np.linalg.eigvalsh(h.dense())
    nearest = np.sort(exact[np.argsort(np.abs(exact - center), kind="stable")[:20]])
    np.testing.assert_allclose(states.energies, nearest, atol=1e-8)
    assert states.residuals.max() < 1e-5
    flat = states.spinors.transpose(1, 0, 2).reshape(20, -1)
    np.testing.assert_allclose(flat.conj() @ flat.T, np.eye(20), atol=1e-8)
    np.testing.assert_allclose(states.populations.sum(axis=0), 1.0, atol=1e-10)


def test_states_do_not_depend_on_the_seed() -> None:
    parameters = aligned_set(crystal("PbS")).parameters
    positions, symbols = cube("PbS", (3, 3, 2))
    h = assemble(positions, symbols, np.zeros(len(symbols), int), [parameters]).hamiltonian
    first, second = edge_states(h, 8, -4.8, seed=0), edge_states(h, 8, -4.8, seed=5)
    np.testing.assert_allclose(first.energies, second.energies, atol=1e-6)


def test_confinement_closes_with_size_toward_the_bulk_gap() -> None:
    pbs = crystal("PbS")
    gaps = []
    for n in (2, 3):
        positions, symbols = cube("PbS", n)
        levels = atomistic_levels(
            positions, symbols, np.zeros(len(symbols), int), [pbs], n_states=24
        )
        assert levels.occupied.any()
        assert (~levels.occupied).any()
        gaps.append(levels.gap.value)
    assert gaps[0] > gaps[1] > levels.bulk["PbS"].gap
    # sizing curve of Moreels et al., ACS Nano 3, 3023 (2009), volume-equivalent diameter; a bare
    # single-particle gap of a cube should be near it
    d = 3 * 0.5936 * (6 / np.pi) ** (1 / 3)
    assert gaps[1] == pytest.approx(0.41 + 1 / (0.0252 * d**2 + 0.283 * d), rel=0.25)


def test_passivated_sulfide_has_a_clean_gap() -> None:
    """Without raising the dangling hybrids, surface states fill the gap of CdS."""
    cds = crystal("CdS_zincblende")
    positions, symbols = cube("CdS_zincblende", 2)
    levels = atomistic_levels(positions, symbols, np.zeros(len(symbols), int), [cds], n_states=8)
    assert levels.gap.value > levels.bulk["CdS"].gap


def test_shared_lead_layer_lies_between_its_sides() -> None:
    """The written interface rule: levels by the mean of bonds, hoppings by the anion."""
    chloride, sulfide = aligned_set(CHLORIDE).parameters, aligned_set(crystal("PbS")).parameters
    positions = np.array([[0, 0, 0], [0, 0, 2.8], [0, 0, -2.9], [2.8, 0, 0]], float)
    body = assemble(positions, ["Pb", "Cl", "S", "Cl"], np.array([0, 0, 1, 0]), [chloride, sulfide])
    h = body.hamiltonian.dense().real[::2, ::2]
    expected = (2 * chloride.orbitals["Pb"]["s"] + sulfide.orbitals["Pb"]["s"]) / 3
    assert h[0, 0] == pytest.approx(expected)
    s_start = int(np.flatnonzero(body.atom == 2)[0])
    hopping = sulfide.hoppings["Pb", "S"]
    assert h[0, s_start] == pytest.approx(hopping.ss * (hopping.distance / 2.9) ** 2, rel=1e-6)


def test_domains_share_states_of_a_pair() -> None:
    """A PbS cube beside a CsPbCl3 cube holds both frontier states (type I), as offsets say."""
    a, sa = cube("CsPbCl3", 2)
    b, sb = cube("PbS", 2)
    positions = np.concatenate([a, b + np.array([0, 0, 30.0])])
    domain = np.array([0] * len(sa) + [1] * len(sb))
    levels = atomistic_levels(positions, sa + sb, domain, [CHLORIDE, crystal("PbS")], n_states=24)
    share = levels.domains["PbS"]
    assert share[levels.homo] > 0.99
    assert share[levels.lumo] > 0.99
    for k in range(len(levels.energies)):
        total = levels.domains["PbS"][k] + levels.domains["CsPbCl3"][k]
        assert total == pytest.approx(1.0, abs=1e-9)
    import json

    from heterodot.cli.console import plain

    assert json.loads(json.dumps(plain(levels.to_json())))["gap"]["unit"] == "eV"


def test_material_without_parameters_is_named() -> None:
    with pytest.raises(InputError, match=r"Pb4S3Br2.*catalog/data/tight_binding"):
        aligned_set(crystal("Pb4S3Br2"))
    parameters = aligned_set(CHLORIDE).parameters
    with pytest.raises(InputError, match="no atom has"):
        assemble(np.zeros((1, 3)), ["Cs"], np.zeros(1, int), [parameters])
    with pytest.raises(InputError, match="overlap"):
        assemble(np.array([[0, 0, 0], [0, 0, 0.3]]), ["Pb", "Cl"], np.zeros(2, int), [parameters])


def test_fit_targets_are_computed_from_the_bands() -> None:
    pbs = crystal("PbS")
    parameters = tight_binding_set("PbS").at_lattice(pbs.cellpar[0])
    cell = pbs.primitive()
    gap, mass = predictions(
        parameters, pbs, cell, occupied(parameters, cell),
        [Target("level", "L", 1, 0.0, 1.0), Target("mass", "L", 1, 0.0, 1.0, (1, 1, 1))],
    )  # fmt: skip
    assert gap == pytest.approx(bulk_edges(parameters, pbs).gap, abs=1e-9)
    assert mass == pytest.approx(effective_mass(parameters, pbs, (1, 1, 1), "electron"), rel=0.02)
    assert harrison_hopping(2.0).pps == pytest.approx(4 * harrison_hopping(4.0).pps)


def test_small_bodies_go_to_lapack_and_restarts_change_nothing(monkeypatch) -> None:
    parameters = aligned_set(crystal("PbS")).parameters
    positions, symbols = cube("PbS", 3)
    h = assemble(positions, symbols, np.zeros(len(symbols), int), [parameters]).hamiltonian
    whole = edge_states(h, 8, -4.8)
    monkeypatch.setattr(tight_binding_edges, "LARGEST", 20)
    assert isinstance(h, SpinHamiltonian)
    np.testing.assert_allclose(edge_states(h, 8, -4.8).energies, whole.energies, atol=1e-6)
