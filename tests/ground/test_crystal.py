"""Crystals against the International Tables, handbooks and symmetry itself."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from heterodot.charges import formal_charges
from heterodot.crystal import Crystal
from heterodot.errors import InputError


@pytest.mark.parametrize(
    ("fixture", "number", "operations", "proper", "density"),
    [
        # densities: CRC Handbook galena 7.60, hawleyite 4.83 g/cm3
        ("pbs", 225, 48, 24, 7.60),
        ("cds", 216, 24, 12, 4.83),
        ("cspbcl3", 221, 48, 24, 4.21),
    ],
)
def test_symmetry_and_density(
    fixture: str, number: int, operations: int, proper: int, density: float, request: object
) -> None:
    crystal = request.getfixturevalue(fixture)  # type: ignore[attr-defined]
    assert crystal.symmetry.number == number
    assert len(crystal.point_operations) == operations
    assert len(crystal.proper_rotations) == proper
    assert crystal.density == pytest.approx(density, rel=0.01)


def test_point_operations_map_the_crystal_on_itself(cds: Crystal) -> None:
    for rotation, shift in zip(cds.symmetry.rotations, cds.symmetry.translations, strict=True):
        moved = (cds.scaled @ rotation.T + shift) @ cds.cell
        assert len(set(cds.match_positions(moved, cds.numbers))) == len(cds)


def test_pnma_and_pbnm_are_the_same_crystal_in_two_settings() -> None:
    a, b, c = 8.2, 11.7, 8.1
    x, z = 0.03, 0.46
    pnma = Crystal.from_sites("A", "P n m a", (a, b, c), {"Cs": (x, 0.25, z), "Pb": (0, 0, 0.5)})
    # Pbnm = (c, a, b) of Pnma
    pbnm = Crystal.from_sites("A", "P b n m", (c, a, b), {"Cs": (z, x, 0.25), "Pb": (0.5, 0, 0)})
    assert pnma.symmetry.number == pbnm.symmetry.number == 62
    assert pnma.symmetry.hall != pbnm.symmetry.hall
    near = sorted(np.round(bulk_distances(pnma), 6))
    assert near == sorted(np.round(bulk_distances(pbnm), 6))


def bulk_distances(crystal: Crystal) -> np.ndarray:
    return crystal.supercell((2, 2, 2)).atoms.get_all_distances(mic=True)[0]


def test_d_spacing_of_galena(pbs: Crystal) -> None:
    # PDF 5-592: 3.429 (111), 2.969 (200), 2.099 (220)
    for plane, d in [((1, 1, 1), 3.429), ((2, 0, 0), 2.969), ((2, 2, 0), 2.099)]:
        assert pbs.d_spacing(plane) == pytest.approx(d, abs=0.003)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(-3, 3), min_size=3, max_size=3),
    st.lists(st.integers(-3, 3), min_size=3, max_size=3),
)
def test_direction_lies_in_plane_when_indices_say_so(plane: list[int], uvw: list[int]) -> None:
    crystal = Crystal.from_sites("x", "P -1", (5.1, 6.2, 7.3, 81, 95, 103), {"Pb": (0, 0, 0)})
    if not any(plane) or not any(uvw):
        return
    inside = crystal.plane_normal(plane) @ crystal.direction(uvw)
    spacing = crystal.d_spacing(plane)
    assert inside == pytest.approx(np.dot(plane, uvw) * spacing, abs=1e-9)


@pytest.mark.parametrize("matrix", [(2, 1, 3), ((1, 1, 0), (-1, 1, 0), (0, 0, 1))])
def test_supercell_is_the_same_crystal(cspbcl3: Crystal, matrix: object) -> None:
    big = cspbcl3.supercell(matrix)  # type: ignore[arg-type]
    assert big.density == pytest.approx(cspbcl3.density)
    assert big.symmetry.number == 221
    assert len(big.primitive()) == 5
    assert len(big.point_operations) == 48


def test_primitive_keeps_orientation_charges_and_atoms(pbs: Crystal) -> None:
    small = pbs.primitive()
    assert len(small) == 2
    assert sorted(small.charges) == [-2.0, 2.0]  # type: ignore[arg-type]
    # every lattice vector of the primitive cell is one of the conventional lattice
    fractional = small.cell @ np.linalg.inv(pbs.cell)
    assert np.allclose(2 * fractional, np.round(2 * fractional))
    index = pbs.match_positions(small.positions, small.numbers)
    assert np.array_equal(pbs.numbers[index], small.numbers)


@pytest.mark.parametrize("matrix", [np.eye(3, dtype=int), [[2, 1, 0], [0, 1, 0], [0, 0, 3]]])
def test_operations_of_a_turned_crystal_are_its_own(cds: Crystal, matrix: np.ndarray) -> None:
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_euler("xyz", [13, 47, 71], degrees=True).as_matrix()
    big = cds.supercell(matrix)
    turned = big.replace(cell=big.cell @ turn.T)
    assert len(turned.point_operations) == 24
    expected = turn @ cds.point_operations @ turn.T
    for operation in turned.point_operations:
        assert np.abs(expected - operation).max(axis=(1, 2)).min() < 1e-6
    small = turned.primitive()
    assert len(small) == 2
    turned.match_positions(small.positions, small.numbers)


def test_record_round_trip(cds: Crystal) -> None:
    again = Crystal.from_record(cds.to_record())
    assert np.array_equal(again.scaled, cds.scaled)
    assert again.to_record() == cds.to_record()


def test_arrays_cannot_be_changed(pbs: Crystal) -> None:
    with pytest.raises(ValueError, match="read-only"):
        pbs.cell[0, 0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        pbs.scaled[0] = 0.5


@pytest.mark.parametrize(
    ("counts", "charges"),
    [
        ({"Pb": 4, "S": 3, "Br": 2}, {"Pb": 2, "S": -2, "Br": -1}),
        ({"Cu": 2, "S": 1}, {"Cu": 1, "S": -2}),
        ({"Cu": 1, "S": 1}, {"Cu": 2, "S": -2}),
        ({"Cs": 4, "Pb": 1, "Br": 6}, {"Cs": 1, "Pb": 2, "Br": -1}),
        ({"Pb": 1, "O": 2}, {"Pb": 4, "O": -2}),
        ({"Pb": 1}, {"Pb": 0}),
    ],
)
def test_formal_charges(counts: dict[str, int], charges: dict[str, int]) -> None:
    assert formal_charges(counts) == charges


def test_unknown_charges_are_none_and_never_zero() -> None:
    crystal = Crystal.from_sites("x", "P m -3 m", (4.0,), {"Kr": (0, 0, 0), "Pb": (0.5, 0.5, 0.5)})
    assert crystal.charges is None
    with pytest.raises(InputError, match=r"no formal charges are known.*give them"):
        crystal.require_charges()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Crystal.from_atoms(Atoms("H2O", positions=np.eye(3))), "does not repeat"),
        (lambda: Crystal.from_sites("x", "Q m m", (4,), {"Pb": (0, 0, 0)}), "not a space group"),
        (lambda: Crystal.from_sites("x", "P m -3 m", (-4,), {"Pb": (0, 0, 0)}), "positive"),
        (lambda: Crystal.from_sites("x", "P 1", (4.0,), {"Pb": (0, 0, 0)}), "needs more than"),
        (lambda: Crystal.from_sites("x", "P m -3 m", (4,), {"7b": (0, 0, 0)}), "element"),
        (
            lambda: Crystal.from_sites("x", "P 1", (4, 4, 4), {"Pb": (0, 0, 0), "S": (0, 0, 0)}),
            "lie on one another",
        ),
    ],
)
def test_what_is_not_a_crystal_is_refused(make: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()  # type: ignore[operator]


def test_from_atoms_agrees_with_ase() -> None:
    atoms = bulk("PbS", "rocksalt", a=5.936, cubic=True)
    crystal = Crystal.from_atoms(atoms)
    assert crystal.symmetry.number == 225
    assert crystal.volume == pytest.approx(atoms.get_volume())
