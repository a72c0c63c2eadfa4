"""Photodetector figures: the documents' arithmetic, units, traces of known truth, bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest

from heterodot.errors import InputError
from heterodot.probes.photodetector import (
    JONES,
    chopped_trace,
    dark_current_density,
    external_quantum_efficiency,
    noise_at,
    noise_detectivity,
    power_series,
    printed_detectivity,
    responsivity,
    shot_noise_detectivity,
)
from heterodot.units import Value, registry


def test_efficiencies_of_qiu() -> None:
    """Q07: 4.8 and 11.2 A/W at 450 nm are 1322 and 3086 percent."""
    for response, percent in ((4.8, 1322), (11.2, 3086)):
        found = external_quantum_efficiency(Value(response, "A/W", 0.1), Value(450.0, "nm"))
        assert found.value == pytest.approx(percent, abs=0.6)
        assert found.error == pytest.approx(found.value * 0.1 / response)


def test_dark_current_behind_a_detectivity() -> None:
    """Q08: 4e13 Jones at 4.8 A/W need 4.494e-8 A/cm2, 4.5e-13 A on 10 um x 100 um."""
    density = dark_current_density(Value(4.8, "A/W"), Value(4e13, JONES))
    assert density.value == pytest.approx(4.494e-8, rel=2e-4)
    area = Value(10.0 * 100.0, "um^2")
    dark = Value(density.value * area.to("cm^2").value, "A")
    assert dark.value == pytest.approx(4.5e-13, rel=2e-3)
    back = shot_noise_detectivity(Value(4.8, "A/W"), dark, area)
    assert back.value == pytest.approx(4e13, rel=1e-9)


def test_the_printed_form_is_no_detectivity() -> None:
    printed = printed_detectivity(Value(4.8, "A/W"), Value(4.5e-13, "A"))
    shot = shot_noise_detectivity(Value(4.8, "A/W"), Value(4.5e-13, "A"), Value(1e-5, "cm^2"))
    assert printed.value / shot.value == pytest.approx(1 / math.sqrt(1e-5))
    unit = registry().Unit
    assert unit(printed.unit).dimensionality != unit(JONES).dimensionality
    assert unit(shot.unit).dimensionality == unit("cm*Hz^0.5/W").dimensionality


def test_responsivity_units_and_errors() -> None:
    by_power = responsivity(Value(2.0, "uA", 0.1), Value(1.0, "uW", 0.02))
    by_area = responsivity(Value(2.0, "uA", 0.1), Value(100.0, "mW/cm^2", 2.0), Value(1e-5, "cm^2"))
    assert by_power.value == pytest.approx(2.0)
    assert by_area.value == pytest.approx(2.0)
    assert by_power.error == pytest.approx(2 * math.hypot(0.05, 0.02), rel=1e-4)
    with pytest.raises(InputError, match="not positive"):
        responsivity(Value(1.0, "A"), Value(0.0, "W"))
    with pytest.raises(InputError, match="cannot be given in"):
        responsivity(Value(1.0, "A"), Value(1.0, "V"))


def test_noise_spectrum_is_split() -> None:
    f = np.geomspace(1, 1e4, 80)
    rng = np.random.default_rng(0)
    density = 2e-14 * np.sqrt(1 + 100 / f) * np.exp(rng.normal(0, 0.03, 80))
    found = noise_at(f, density, 10.0)
    assert found.white.value == pytest.approx(2e-14, rel=0.05)
    assert found.corner.value == pytest.approx(100, rel=0.15)
    assert found.exponent.value == pytest.approx(1.0, abs=0.06)
    assert found.at.value == pytest.approx(2e-14 * math.sqrt(11), rel=0.03)
    assert any("extrapolated" in w for w in noise_at(f, density, 1e-2).warnings)
    with pytest.raises(InputError, match="positive"):
        noise_at(np.arange(8.0), np.ones(8), 1.0)
    d_star = noise_detectivity(Value(1.0, "A/W"), found.at, Value(1e-4, "cm^2"))
    assert d_star.value == pytest.approx(0.01 / found.at.value)


def trace(
    rise: float, fall: float, step: float, noise: float, cycles: int = 5, drift: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Exponential switching between 1 and 10 nA, one second on and one off."""
    time = np.arange(0.0, 2.0 * cycles, step)
    phase = np.mod(time, 2.0)
    light = np.where(
        phase < 1.0, np.exp(-phase / fall), 1 - np.exp(-np.maximum(phase - 1.0, 0) / rise)
    )
    light[time < 1.0] = 0.0
    current = 1e-9 + 9e-9 * light * (1 + drift * time)
    return time, current + np.random.default_rng(1).normal(0, noise, len(time))


def test_rise_and_fall_of_exponential_switching() -> None:
    time, current = trace(0.05, 0.10, 0.001, 2e-11)
    found = chopped_trace(time, current)
    # 10 to 90 percent of an exponential: ln 9 time constants
    assert found.rise.value == pytest.approx(math.log(9) * 0.05, rel=0.04)
    assert found.fall.value == pytest.approx(math.log(9) * 0.10, rel=0.04)
    assert not found.rise_limited
    assert found.cycles == 5
    assert found.on_off.value == pytest.approx(10, rel=0.02)
    assert found.noise.value == pytest.approx(2e-11, rel=0.15)
    assert len(found.edges) == 9


def test_switching_faster_than_the_sampling_is_a_bound() -> None:
    """Qiu (2023) states 1.6 ms at data intervals of 1.6 to 2 ms: the sampling's, not the device's."""
    time, current = trace(1e-5, 1e-5, 0.0016, 1e-11, cycles=3)
    found = chopped_trace(time, current)
    assert found.rise_limited
    assert found.fall_limited
    assert found.rise.error is None
    assert 1e-3 < found.rise.value < 0.0033
    assert any("limit of the sampling" in w for w in found.warnings)


def test_drift_is_seen_and_stability_is_not_invented() -> None:
    time, current = trace(0.01, 0.01, 0.005, 1e-11, cycles=20, drift=-0.005)
    found = chopped_trace(time, current)
    assert found.kept.value == pytest.approx(1 - 0.9 * 0.005 * 38, abs=0.02)
    assert found.drift.value < 0
    assert any("changes by" in w for w in found.warnings)
    steady = chopped_trace(*trace(0.01, 0.01, 0.005, 1e-11, cycles=20))
    assert abs(steady.drift.value) < 4 * (steady.drift.error or 0)
    assert not any("changes by" in w for w in steady.warnings)


def test_bad_traces_are_refused() -> None:
    time, current = trace(0.05, 0.1, 0.01, 1e-11)
    with pytest.raises(InputError, match="clipped"):
        chopped_trace(time, np.minimum(current, 8e-9))
    with pytest.raises(InputError, match="does not rise"):
        chopped_trace(time[::-1], current)
    with pytest.raises(InputError, match="stands out"):
        chopped_trace(time, np.random.default_rng(0).normal(1e-9, 1e-11, len(time)))
    with pytest.raises(InputError, match="at least ten"):
        chopped_trace(time[:5], current[:5])
    negative = chopped_trace(time, -current)
    assert negative.on_off.value == pytest.approx(10, rel=0.05)


def test_power_series() -> None:
    power = np.geomspace(1e-9, 1e-3, 13)
    linear = power_series(power, 0.5 * power)
    assert linear.exponent.value == pytest.approx(1.0, abs=1e-9)
    assert linear.linear_range.value == pytest.approx(120.0)
    assert any("lower bound" in w for w in linear.warnings)
    saturated = power_series(power, 0.5 * power / (1 + power / 1e-5))
    # a tenth is lost at 1.1e-6 W: about 60 dB above 1e-9 W
    assert saturated.linear_range.value == pytest.approx(20 * math.log10(1.6e-6 / 1e-9), abs=7)
    assert not saturated.linear[-1]
    sublinear = power_series(power, power**0.7)
    assert sublinear.exponent.value == pytest.approx(0.7, abs=1e-9)
    assert any("one power only" in w for w in sublinear.warnings)
    with pytest.raises(InputError, match="at least three"):
        power_series(power[:2], power[:2])


def test_error_of_the_exponent_is_honest() -> None:
    power = np.geomspace(1e-6, 1e-2, 12)
    inside = 0
    for seed in range(60):
        noise = np.exp(np.random.default_rng(seed).normal(0, 0.05, 12))
        found = power_series(power, power**0.8 * noise)
        inside += abs(found.exponent.value - 0.8) < 2.23 * (found.exponent.error or 0)
    assert 52 <= inside <= 60
