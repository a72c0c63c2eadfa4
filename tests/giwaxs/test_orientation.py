"""Pole densities and their averages against integrals over the sphere and drawn crystallites."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterodot.probes.giwaxs import mean_p2, orientation, pole_density
from heterodot.probes.giwaxs.orientation import concentration, width_of

CHI = np.arange(90) + 0.5


@given(st.floats(0, 90), st.floats(0.01, 3000))
def test_mean_and_hermans_of_the_density_are_those_of_the_integral(alpha, kappa):
    chi = np.linspace(0, 180, 18001)
    weight = np.sin(np.radians(chi))
    density = pole_density(chi, alpha, kappa)
    assert np.sum(density * weight) / np.sum(weight) == pytest.approx(1.0, abs=1e-5)
    p2 = 0.5 * (3 * np.cos(np.radians(chi)) ** 2 - 1)
    assert np.sum(density * weight * p2) / np.sum(weight) == pytest.approx(
        mean_p2(alpha, kappa), abs=1e-5
    )


def test_density_is_that_of_drawn_crystallites():
    """Poles of half a million crystallites whose axes are drawn one by one."""
    rng = np.random.default_rng(0)
    n, kappa, alpha = 500_000, 20.0, np.radians(35.0)
    # inverse of the cumulated distribution of cos(theta) for exp(kappa cos theta)
    c = 1 + np.log(rng.random(n) * (1 - np.exp(-2 * kappa)) + np.exp(-2 * kappa)) / kappa
    s, turn, roll = np.sqrt(1 - c**2), *rng.uniform(0, 2 * np.pi, (2, n))
    axis = np.array([s * np.cos(turn), s * np.sin(turn), c])
    first = np.array([c * np.cos(turn), c * np.sin(turn), -s])
    second = np.cross(axis.T, first.T).T
    pole = np.cos(alpha) * axis + np.sin(alpha) * (np.cos(roll) * first + np.sin(roll) * second)
    drawn, edges = np.histogram(np.abs(pole[2]), bins=20, range=(0, 1))
    middle = np.degrees(np.arccos((edges[1:] + edges[:-1]) / 2))
    expected = pole_density(middle, 35.0, kappa)
    assert np.allclose(drawn / n * 20, expected, atol=0.04)


@pytest.mark.parametrize("width", [3.0, 12.0, 60.0, 200.0])
def test_width_is_where_the_density_of_axes_falls_to_half(width):
    kappa = concentration(width)
    assert np.exp(kappa * (np.cos(np.radians(width / 2)) - 1)) == pytest.approx(0.5)
    assert width_of(kappa) == pytest.approx(width)


@pytest.mark.parametrize(
    ("alpha", "width", "share", "kind"),
    [(0, 8, 0.9, "spot"), (54.7, 12, 0.8, "spot"), (0, 30, 1.0, "arc"), (90, 25, 0.3, "ring and arc"),
     (40, 20, 0.0, "ring")],
)  # fmt: skip
def test_truth_is_found_within_its_errors(alpha, width, share, kind):
    pulls = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        true = 400 * (1 - share + share * pole_density(CHI, alpha, concentration(width)))
        seen = np.where(CHI > 4, rng.poisson(true), np.nan)
        found = orientation(CHI, seen, np.sqrt(true))
        assert found is not None
        assert found.kind == kind
        hermans = share * mean_p2(alpha, concentration(width))
        pulls.append((found.hermans.value - hermans) / found.hermans.error)
        if share:
            pulls.append((found.width.value - width) / found.width.error)
            pulls.append((found.oriented.value - share) / max(found.oriented.error, 1e-4))
        if found.angle is not None:
            assert found.angle.value == pytest.approx(alpha, abs=3.0)
    assert np.sqrt(np.mean(np.square(pulls))) < 1.7
    assert np.abs(pulls).max() > 0.1


def test_hermans_parameter_of_limits():
    up = orientation(CHI, np.where(CHI < 4, 1e5, 1.0), np.full(90, 1.0))
    flat = orientation(CHI, np.where(CHI > 86, 1e5, 1.0), np.full(90, 1.0))
    even = orientation(CHI, np.full(90, 100.0), np.full(90, 10.0))
    assert up.hermans_measured.value == pytest.approx(1.0, abs=0.01)
    assert flat.hermans_measured.value == pytest.approx(-0.5, abs=0.01)
    assert even.hermans_measured.value == pytest.approx(0.0, abs=0.02)
    assert even.hermans_measured.error > 0
    assert even.kind == "ring"


def test_nothing_is_said_of_noise_or_few_angles():
    rng = np.random.default_rng(1)
    assert orientation(CHI, rng.normal(0, 1, 90), np.ones(90)) is None
    few = np.full(90, np.nan)
    few[:4] = 100.0
    assert orientation(CHI, few, np.ones(90)) is None
