"""Lattice sums against Madelung constants of the literature and finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from heterodot.energy.ewald import coulomb_constant, ewald
from heterodot.errors import InputError

FCC = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]], dtype=float)


@pytest.mark.parametrize(
    ("cell", "positions", "charges", "distance", "expected"),
    [
        # Madelung constants with the nearest distance as length, tables of Borwein and Glasser,
        # Lattice Sums Then and Now (2013), and Kittel, Introduction to Solid State Physics
        (FCC, [[0, 0, 0], [1, 0, 0]], [1, -1], 1.0, 1.7475645946),
        (np.eye(3), [[0, 0, 0], [0.5, 0.5, 0.5]], [1, -1], np.sqrt(0.75), 1.7626747731),
        (FCC, [[0, 0, 0], [0.5, 0.5, 0.5]], [1, -1], np.sqrt(0.75), 1.6380550533),
    ],
    ids=["rock salt", "CsCl", "zinc blende"],
)
def test_madelung(cell, positions, charges, distance, expected) -> None:
    energy, forces, stress = ewald(cell, np.array(positions, float), np.array(charges, float))
    assert -energy * distance / coulomb_constant() == pytest.approx(expected, abs=1e-8)
    assert np.abs(forces).max() < 1e-8
    # virial theorem of 1/r: trace of stress times volume is minus the Coulomb energy
    assert np.trace(stress) * np.linalg.det(cell) == pytest.approx(-energy, rel=1e-7)


def _random(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    cell = np.eye(3) * 6 + rng.normal(size=(3, 3)) * 0.4
    charges = rng.normal(size=5)
    return cell, rng.random((5, 3)) @ cell, charges - charges.mean()


@pytest.mark.parametrize("seed", [0, 1])
def test_forces_and_stress_are_derivatives(seed) -> None:
    cell, positions, charges = _random(seed)
    _, forces, stress = ewald(cell, positions, charges)
    h = 1e-4
    for i, k in [(0, 0), (2, 1), (4, 2)]:
        ends = []
        for sign in (1, -1):
            moved = positions.copy()
            moved[i, k] += sign * h
            ends.append(ewald(cell, moved, charges)[0])
        assert -(ends[0] - ends[1]) / (2 * h) == pytest.approx(forces[i, k], abs=1e-6)
    for a, b in [(0, 0), (1, 2)]:
        ends = []
        for sign in (1, -1):
            deform = np.eye(3)
            deform[a, b] += sign * h
            ends.append(ewald(cell @ deform, positions @ deform, charges, reach=7.0)[0])
        slope = (ends[0] - ends[1]) / (2 * h) / np.linalg.det(cell)
        assert slope == pytest.approx(stress[a, b], abs=1e-7)


def test_result_does_not_depend_on_the_split() -> None:
    cell, positions, charges = _random(3)
    first = ewald(cell, positions, charges, reach=5.0)
    second = ewald(cell, positions, charges, reach=9.0)
    assert first[0] == pytest.approx(second[0], abs=1e-8)
    np.testing.assert_allclose(first[1], second[1], atol=1e-7)
    np.testing.assert_allclose(first[2], second[2], atol=1e-8)


def test_charged_cell_is_refused() -> None:
    with pytest.raises(InputError, match="charge of"):
        ewald(FCC, np.zeros((1, 3)), np.array([1.0]))
