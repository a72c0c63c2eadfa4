"""Tauc edges, Elliott gaps, excitons and scattering of spectra of known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

from heterodot.errors import InputError, NotFoundError
from heterodot.probes.absorption import (
    derivatives,
    elliott,
    elliott_absorption,
    exciton_near,
    first_exciton,
    scattering,
    tauc,
)
from heterodot.probes.spectrum import Spectrum, noise_level

ENERGY = np.linspace(1.9, 2.9, 401)


def perovskite(
    gap: float, binding: float, width: float, noise: float, seed: int, energy: np.ndarray = ENERGY
) -> Spectrum:
    bound, continuum = elliott_absorption(energy, gap, binding, width)
    values = 2 * (bound + continuum)
    return Spectrum(energy, values + np.random.default_rng(seed).normal(0, noise, len(energy)))


def test_direct_and_indirect_edges_within_their_errors() -> None:
    for seed in range(12):
        noise = np.random.default_rng(seed).normal(0, 1e-3, len(ENERGY))
        direct = np.sqrt(np.clip(ENERGY - 2.30, 0, None)) / ENERGY + noise
        found = tauc(Spectrum(ENERGY, direct))
        assert abs(found.edge.value - 2.30) < 3 * (found.edge.error or 0)
        assert (found.edge.error or 1) < 0.05
        assert found.exciton is None
        indirect = 5 * np.clip(ENERGY - 2.10, 0, None) ** 2 / ENERGY + noise
        found = tauc(Spectrum(ENERGY, indirect), "indirect")
        assert abs(found.edge.value - 2.10) < 3 * (found.edge.error or 0)
        assert (found.edge.error or 1) < 0.02


@pytest.mark.parametrize(("binding", "width"), [(0.035, 0.030), (0.040, 0.020), (0.030, 0.040)])
def test_an_exciton_makes_the_edge_read_low_and_says_so(binding: float, width: float) -> None:
    found = tauc(perovskite(2.40, binding, width, 5e-4, 1))
    assert 0.040 < 2.40 - found.edge.value < 0.130
    assert found.exciton is not None
    assert found.exciton.value == pytest.approx(2.40 - binding, abs=0.012)
    assert any("Elliott" in w for w in found.warnings)


def test_a_range_that_is_given_is_taken() -> None:
    x = np.linspace(2.0, 3.0, 101)
    line = Spectrum(x, np.sqrt(np.clip(x - 2.2, 0, None)) / x + 0.1)
    found = tauc(line, between=(2.4, 2.8), background=0.1)
    assert found.edge.value == pytest.approx(2.2, abs=1e-6)
    assert (found.low, found.high) == pytest.approx((2.4, 2.8))
    assert found.windows == 1
    with pytest.raises(InputError, match="points lie between"):
        tauc(line, between=(5.0, 6.0))
    with pytest.raises(NotFoundError, match="falls"):
        tauc(Spectrum(x, 4 - 1.3 * x), between=(2.1, 2.9))


def test_a_flat_background_is_taken_away_and_its_lack_is_said() -> None:
    offset = perovskite(2.4, 0.035, 0.03, 2e-4, 3)
    lifted = Spectrum(offset.energy, offset.values + 0.25)
    assert tauc(lifted).edge.value == pytest.approx(tauc(offset).edge.value, abs=0.003)
    assert tauc(lifted).background == pytest.approx(0.25, abs=0.003)
    cut = lifted.between(2.33, 2.9)
    assert any("no flat stretch" in w for w in tauc(cut).warnings)


def test_spectra_without_an_edge_are_refused() -> None:
    noise = np.random.default_rng(0).normal(0, 1e-3, 200)
    with pytest.raises(NotFoundError, match="no rising edge"):
        tauc(Spectrum(np.linspace(1, 2, 200), 3 - 1.5 * np.linspace(1, 2, 200) + noise))
    with pytest.raises(InputError, match="twelve"):
        tauc(Spectrum(np.linspace(1, 2, 8), np.linspace(0, 1, 8)))
    with pytest.raises(InputError, match="not a kind of transition"):
        tauc(perovskite(2.4, 0.03, 0.03, 1e-4, 0), "forbidden")


def test_elliott_against_slow_quadrature() -> None:
    """The continuum by adaptive integration of the formula, energy by energy."""
    gap, binding, width = 2.40, 0.035, 0.025
    energy = np.array([2.30, 2.38, 2.40, 2.43, 2.60])
    _, continuum = elliott_absorption(energy, gap, binding, width)
    for e, found in zip(energy, continuum, strict=True):

        def integrand(t: float, e: float = e) -> float:
            ratio = 2 * math.pi * math.sqrt(binding / t)
            line = math.exp(-0.5 * ((e - gap - t) / width) ** 2) / (width * math.sqrt(2 * math.pi))
            return 2 * math.pi * math.sqrt(binding) / -math.expm1(-ratio) * line

        expected, _ = quad(
            integrand, 1e-12, max(e - gap, 0) + 8 * width, points=[max(e - gap, 1e-9)]
        )
        assert found == pytest.approx(expected, rel=2e-3, abs=1e-6)


def test_elliott_limits() -> None:
    energy = np.linspace(2.5, 2.9, 40)
    bound, continuum = elliott_absorption(energy, 2.4, 1e-7, 1e-3)
    np.testing.assert_allclose(continuum, np.sqrt(energy - 2.4), rtol=5e-3)
    assert bound.max() < 1e-9
    # all bound lines together: 4 pi Eb^(3/2) zeta(3)
    fine = np.linspace(2.2, 2.6, 8001)
    bound, _ = elliott_absorption(fine, 2.4, 0.04, 0.004)
    zeta = float(np.sum(1.0 / np.arange(1, 20000) ** 3))
    area = np.trapezoid(bound, fine)
    assert area == pytest.approx(4 * math.pi * 0.04**1.5 * zeta, rel=1e-4)


def test_elliott_returns_truth_within_errors() -> None:
    inside = 0
    for seed in range(25):
        fit = elliott(perovskite(2.40, 0.040, 0.025, 2e-3, seed))
        assert fit.adequate
        for value, truth in ((fit.gap, 2.40), (fit.binding, 0.040), (fit.exciton, 2.36)):
            assert value.error is not None
            inside += abs(value.value - truth) < 1.96 * value.error
    # 75 intervals of 95 percent: fewer than 66 or so would be a fault
    assert inside >= 66


def test_elliott_holds_a_binding_energy_and_warns_of_broad_lines() -> None:
    spectrum = perovskite(2.40, 0.030, 0.045, 5e-4, 1)
    held = elliott(spectrum, binding=0.030)
    assert held.fit["binding"].fixed
    assert held.gap.value == pytest.approx(2.40, abs=0.001)
    free = elliott(spectrum)
    assert any("told apart by the shape alone" in w for w in free.warnings)


def test_first_exciton_of_a_dot() -> None:
    energy = np.linspace(0.7, 1.8, 500)
    background = 0.05 + 0.12 * (energy - 0.7) ** 2
    inside = 0
    for seed in range(10):
        peak = 0.2 * np.exp(-4 * math.log(2) * ((energy - 0.95) / 0.09) ** 2)
        noise = np.random.default_rng(seed).normal(0, 5e-4, len(energy))
        found = first_exciton(Spectrum(energy, background + peak + noise))
        assert found.centre.error is not None
        inside += abs(found.centre.value - 0.95) < 1.96 * found.centre.error
        assert found.width.value == pytest.approx(0.09, rel=0.03)
        assert found.second_derivative.value == pytest.approx(0.95, abs=0.004)
        assert found.maximum is not None
        # the rising background moves the maximum up, to where the sum's derivative vanishes
        fine = np.linspace(0.93, 0.97, 4001)
        whole = 0.12 * (fine - 0.7) ** 2 + 0.2 * np.exp(
            -4 * math.log(2) * ((fine - 0.95) / 0.09) ** 2
        )
        top = fine[np.argmax(whole)]
        assert top > 0.95
        assert abs(found.maximum.value - top) < 3 * (found.maximum.error or 0)
        assert found.energy == found.maximum
    assert inside >= 7


def test_a_shoulder_is_found_and_a_bare_edge_is_not_a_peak() -> None:
    energy = np.linspace(1.0, 2.5, 600)
    rise = 0.3 * np.exp(2.2 * (energy - 2.5))
    shoulder = rise + 0.02 * np.exp(-4 * math.log(2) * ((energy - 1.5) / 0.15) ** 2)
    noise = np.random.default_rng(1).normal(0, 1e-4, len(energy))
    found = first_exciton(Spectrum(energy, shoulder + noise))
    assert found.maximum is None or found.maximum.value > 1.4
    assert found.energy.value == pytest.approx(1.5, abs=0.02)
    with pytest.raises(NotFoundError, match="no exciton"):
        first_exciton(Spectrum(energy, rise + noise))
    assert exciton_near(Spectrum(energy, rise + noise), 1.5) is None


def test_derivatives_are_exact_for_cubics_and_state_their_noise() -> None:
    x = np.linspace(1, 2, 301)
    d = derivatives(Spectrum(x, 1 + 2 * x - x**2 + 0.5 * x**3))
    np.testing.assert_allclose(d.first, 2 - 2 * x + 1.5 * x**2, atol=1e-8)
    np.testing.assert_allclose(d.second, -2 + 3 * x, atol=1e-6)
    rng = np.random.default_rng(0)
    noisy = derivatives(Spectrum(x, rng.normal(0, 1e-3, 301)))
    assert noisy.first[20:-20].std() == pytest.approx(noisy.sigma_first, rel=0.35)


def test_scattering_power_and_error() -> None:
    energy = np.linspace(1.2, 3.0, 400)
    edge = 0.8 / (1 + np.exp(-(energy - 2.4) / 0.03))
    truth = 0.05 * (energy / 2.0) ** 4
    noise = np.random.default_rng(2).normal(0, 2e-4, len(energy))
    found = scattering(Spectrum(energy, edge + truth + noise), 2.0)
    assert found.exponent.error is not None
    assert abs(found.exponent.value - 4) < 3 * found.exponent.error
    assert found.corrected.sigma is not None
    pull = (found.background - truth)[-1] / found.corrected.sigma[-1]
    assert abs(pull) < 3
    with pytest.raises(InputError, match="points lie below"):
        scattering(Spectrum(energy, edge), 1.21)


def test_noise_level_ignores_steps() -> None:
    rng = np.random.default_rng(3)
    y = rng.normal(0, 0.01, 3000)
    y[1500:] += 5
    assert noise_level(y) == pytest.approx(0.01, rel=0.1)
