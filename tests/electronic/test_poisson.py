"""Attraction and images against the exact ones of a dielectric ball."""

from __future__ import annotations

import numpy as np
import pytest

from heterodot.electronic.ideal import core_shell, sphere
from heterodot.electronic.poisson import Dielectric, coulomb, self_energy

from .wells import COULOMB, own_image


def ground_state(shape, radius):
    axes = np.meshgrid(*shape.coordinates(), indexing="ij", sparse=True)
    r = np.sqrt(sum(x**2 for x in axes))
    rho = np.where(r < radius, np.sinc(r / radius) ** 2, 0.0) * shape.inside
    return rho / (rho.sum() * shape.spacing**3), r


@pytest.mark.parametrize(("inner", "outer"), [(17.2, 2.07), (7.2, 2.07), (3.0, 3.0), (4.0, 8.0)])
def test_attraction_of_ground_states_in_a_ball(inner, outer):
    radius = 20.0
    shape = sphere("x", 2 * radius, 2.0)
    rho, _ = ground_state(shape, radius)
    phi = Dielectric(shape, [inner], outer).potential(rho)
    found = (rho * phi).sum() * shape.spacing**3
    # Brus (1984): 1.786/eps_in R, and only the l = 0 image of two s states
    exact = COULOMB / radius * (1.786 / inner + 1 / outer - 1 / inner)
    assert found == pytest.approx(exact, rel=0.015)


@pytest.mark.parametrize(("inner", "outer"), [(17.2, 2.07), (7.2, 2.07)])
def test_own_image_in_a_ball(inner, outer):
    radius = 22.0
    shape = sphere("x", 2 * radius, 1.5)
    grid, field = self_energy(shape, [inner], outer)
    rho, r = ground_state(grid, radius)
    found = (rho * field).sum() / rho.sum()
    place = np.linspace(0, radius, 400)[1:-1]
    weight = np.sinc(place / radius) ** 2 * place**2
    exact = np.array([own_image(p, radius, inner, outer) for p in place])
    assert found == pytest.approx((weight * exact).sum() / weight.sum(), rel=0.02)
    center = np.unravel_index(np.argmin(r), r.shape)
    assert field[center] == pytest.approx(own_image(r[center], radius, inner, outer), rel=0.03)


def test_no_contrast_no_image():
    _, field = self_energy(sphere("x", 30.0, 1.5), [5.0], 5.0)
    assert np.abs(field).max() < 1e-9


def test_image_of_an_inner_boundary():
    # a core of the same constant as the shell changes nothing; one of higher constant attracts
    same = self_energy(core_shell("a", "b", 24.0, 48.0, 2.0), [6.0, 6.0], 2.0)
    plain = self_energy(sphere("x", 48.0, 2.0), [6.0], 2.0)
    middle = tuple(n // 2 for n in same[1].shape)
    assert same[1][middle] == pytest.approx(plain[1][middle], rel=0.03)
    shape = core_shell("a", "b", 24.0, 48.0, 2.0)
    higher = self_energy(shape, [20.0, 6.0], 6.0)
    exact = own_image(0.0, 12.0, 20.0, 6.0)
    # three elements across the core: coarse
    assert higher[1][middle] == pytest.approx(exact, rel=0.17)


def test_potential_is_linear_and_symmetric():
    shape = sphere("x", 26.0, 2.0)
    problem = Dielectric(shape, [8.0], 2.0)
    generator = np.random.default_rng(1)
    a = generator.random(shape.points) * shape.inside
    b = generator.random(shape.points) * shape.inside
    a, b = a / a.sum(), b / b.sum()
    left, right = (b * problem.potential(a)).sum(), (a * problem.potential(b)).sum()
    assert left == pytest.approx(right, rel=2e-3)
    assert problem.potential(2 * a) == pytest.approx(2 * problem.potential(a), rel=1e-3)


def test_unit_of_the_interaction():
    assert coulomb() == pytest.approx(COULOMB, rel=1e-9)
