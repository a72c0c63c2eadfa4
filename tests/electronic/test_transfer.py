"""Rates against their limits, diabatic states, gap trajectories."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from scipy.constants import Boltzmann, elementary_charge, hbar

from heterodot.electronic import levels_of_shape, transfer, transfer_trend
from heterodot.electronic.diabats import diabats
from heterodot.electronic.ideal import box, cube_and_cap
from heterodot.electronic.materials import Carrier, pure
from heterodot.electronic.rates import depletion, jortner_rate, marcus_rate, rate_matrix
from heterodot.electronic.trajectory import analyze_gap, populations, read_trajectory
from heterodot.electronic.transfer_sizes import states_below
from heterodot.errors import InputError, NotFoundError

HBAR = hbar / elementary_charge * 1e12  # eV ps
KT = Boltzmann * 300 / elementary_charge


def test_marcus_maximum_without_barrier():
    value = marcus_rate(0.01, -0.3, 0.3, 300)
    assert value == pytest.approx(2 * np.pi / HBAR * 1e-4 / np.sqrt(4 * np.pi * 0.3 * KT))


def test_detailed_balance():
    down = marcus_rate(0.01, -0.1, 0.4, 300)
    up = marcus_rate(0.01, 0.1, 0.4, 300)
    assert up / down == pytest.approx(np.exp(-0.1 / KT), rel=1e-9)
    down = jortner_rate(0.01, -0.1, 0.1, 0.3, 0.03, 300)
    up = jortner_rate(0.01, 0.1, 0.1, 0.3, 0.03, 300)
    assert up / down == pytest.approx(np.exp(-0.1 / KT), rel=1e-6)


def test_soft_mode_is_classical():
    soft = jortner_rate(0.02, -0.2, 0.1, 0.3, 0.001, 300)
    assert soft == pytest.approx(marcus_rate(0.02, -0.2, 0.4, 300), rel=1e-3)


def test_stiff_mode_is_jortners_sum():
    strength, quantum = 1.5, 0.18
    summed = sum(
        math.exp(-strength) * strength**n / math.factorial(n)
        * marcus_rate(0.01, -0.4 + n * quantum, 0.2, 300)
        for n in range(30)
    )  # fmt: skip
    full = jortner_rate(0.01, -0.4, 0.2, strength * quantum, quantum, 300)
    assert full == pytest.approx(summed, rel=0.01)


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan")])
def test_rates_refuse_what_is_no_energy(bad):
    with pytest.raises(InputError):
        marcus_rate(0.01, -0.1, bad, 300)
    with pytest.raises(InputError):
        jortner_rate(0.01, -0.1, 0.1, 0.1, bad, 300)


def survival(strengths, places, variance, memory, points=3001):
    """One over the mean life of an overdamped gap with sinks, by finite differences."""
    from scipy.sparse import diags
    from scipy.sparse.linalg import spsolve

    width = np.sqrt(variance)
    x = np.linspace(-7 * width, 7 * width, points)
    step = x[1] - x[0]
    density = np.exp(-(x**2) / (2 * variance))
    density /= density.sum() * step
    hop = variance / memory / step**2 * np.sqrt(density[1:] * density[:-1])
    up, down = hop / density[:-1], hop / density[1:]
    main = np.zeros(points)
    main[:-1] -= up
    main[1:] -= down
    for strength, place in zip(strengths, places, strict=True):
        main[np.argmin(abs(x - place))] -= strength / step
    life = -spsolve(diags([main, up, down], [0, -1, 1]).tocsc(), density)
    return 1 / (life.sum() * step)


@pytest.mark.parametrize(
    ("strengths", "places"),
    [([1.0], [0.0]), ([5.0], [0.1]), ([1.0] * 4, [-0.05, 0.0, 0.05, 0.1]),
     ([0.02] * 40, np.linspace(-0.2, 0.2, 40))],
)  # fmt: skip
def test_crossings_deplete_each_other_as_a_moving_gap_does(strengths, places):
    strengths, places = np.array(strengths), np.array(places)
    variance, memory = 0.0026, 0.04
    golden = strengths * np.exp(-(places**2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    left = depletion(strengths, places, variance, memory)
    exact = survival(strengths, places, variance, memory)
    assert (golden * left).sum() == pytest.approx(exact, rel=0.01)
    assert (left <= 1).all()


def test_weyl_counts_the_levels_of_a_cube():
    # hard walls: n levels with nx^2 + ny^2 + nz^2 below (k L / pi)^2
    edge, mass, energy = 60.0, 0.5, 1.0
    band = Carrier(0.0, -30.0, mass, 0.0, mass, mass)
    reach = mass * energy / (hbar**2 / (2 * 9.1093837e-31) / elementary_charge * 1e20)
    n = np.arange(1, 60)
    squares = n[:, None, None] ** 2 + n[None, :, None] ** 2 + n[None, None, :] ** 2
    exact = (squares < reach * (edge / np.pi) ** 2).sum()
    found = states_below(box("PbS", (edge,) * 3, 2.0), {"PbS": band}, energy)
    assert found == pytest.approx(exact, rel=0.15)


def test_levels_reach_the_donor_and_trends_share_their_errors():
    trend = transfer_trend("CsPbBr3", "CdS", [40.0, 55.0], points=18**3, samples=60)
    for made, count in zip(trend.transfers, trend.states, strict=True):
        assert made.driving.value < 0
        assert max(c.driving for c in made.channels) > 0.05  # beyond the donor's level
        assert count >= len(made.channels)
    low, middle, high = trend.ratio()
    assert 0 < low < middle < high
    assert 0 <= trend.faster() <= 1
    own = trend.ratio(0, 0)
    assert own == pytest.approx((1.0, 1.0, 1.0))  # the same draws cancel
    with pytest.raises(InputError, match="one cap"):
        transfer_trend("CsPbBr3", "CdS", [40.0, 55.0], [30.0])
    with pytest.raises(InputError, match="different phases"):
        transfer_trend("CdS", "CdS", [40.0])


@pytest.fixture(scope="module")
def found():
    bulk = (pure("CsPbCl3"), pure("PbS"))
    return levels_of_shape(cube_and_cap("CsPbCl3", "PbS", 34.0, 30.0, 2.4), bulk, states=14)


def test_diabats_rebuild_the_levels(found):
    parts = diabats(found, "electron", "CsPbCl3", "PbS")
    n = len(parts.donor_energies)
    matrix = np.diag(np.concatenate([parts.donor_energies, parts.acceptor_energies]))
    matrix[:n, n:] = parts.coupling
    matrix[n:, :n] = parts.coupling.T
    assert np.linalg.eigvalsh(matrix) == pytest.approx(
        np.sort(found.solved["electron"].solution.energies), abs=1e-6
    )
    assert parts.purity > 0.8
    volume = (2 * found.shape.spacing) ** 3
    assert parts.donor_density.sum() * volume == pytest.approx(1, abs=1e-6)


def test_electron_falls_into_lead_sulfide(found):
    result = transfer(found, carrier="electron", donor="CsPbCl3", samples=100)
    assert (result.donor, result.acceptor) == ("CsPbCl3", "PbS")
    assert result.driving.value < -0.1
    low, high = result.band
    assert 0 < low < result.median < high
    assert 0.01 < result.time < 1e3  # measured times of such particles: 0.3 to 30 ps
    assert result.reorganization.value > 0.01
    again = transfer(found, carrier="electron", donor="CsPbCl3", samples=100)
    assert again.band == result.band
    document = result.to_json()
    assert document["rate"]["unit"] == "1/ps"
    assert len(document["channels"]) > 0


def test_uphill_is_slower_and_said(found):
    up = transfer(found, carrier="electron", donor="PbS", acceptor="CsPbCl3", samples=20)
    down = transfer(found, carrier="electron", donor="CsPbCl3", samples=20)
    assert up.rate.value < 1e-2 * down.rate.value
    assert any("uphill" in text for text in up.warnings)


def test_transfer_refuses(found):
    with pytest.raises(InputError, match="no domain"):
        transfer(found, donor="CdS")
    with pytest.raises(InputError, match="same domain"):
        transfer(found, donor="PbS", acceptor="PbS")
    with pytest.raises(InputError, match="share"):
        transfer(found, classical_share=0.0)
    with pytest.raises(NotFoundError, match="more states"):
        bulk = (pure("CsPbCl3"), pure("PbS"))
        few = levels_of_shape(cube_and_cap("CsPbCl3", "PbS", 34.0, 30.0, 3.0), bulk, states=1)
        transfer(few, donor="CsPbCl3")


def test_rate_matrix_keeps_the_number():
    names, matrix = rate_matrix(1.5, 0.2, {})
    assert len(names) == 4
    assert np.abs(matrix.sum(axis=0)).max() < 1e-15
    times = np.array([0.0, 1.0, 50.0])
    number = populations(matrix, np.array([1.0, 0, 0, 0]), times)
    assert number.sum(axis=1) == pytest.approx(1)
    assert number[1, 0] == pytest.approx(np.exp(-1.7))
    assert number[2, 3] == pytest.approx(1, abs=1e-3)
    with pytest.raises(InputError):
        rate_matrix(1.0, 1.0, {"nothing": 3.0})


def test_line_of_a_known_vibration():
    step, wave = 0.001, 365.0  # ps, 1/cm
    time = np.arange(8000) * step
    omega = 2 * np.pi * wave * 2.99792458e-2
    gap = 1.2 + 0.03 * np.cos(omega * time) + 0.01 * np.cos(0.3 * omega * time + 1)
    found = analyze_gap(gap, step)
    (first, _), (second, share) = found.peaks(2)
    assert first == pytest.approx(365, abs=5)
    assert second == pytest.approx(0.3 * 365, abs=8)
    assert share == pytest.approx(1 / 9, rel=0.2)
    assert found.mean.value == pytest.approx(1.2, abs=0.002)
    assert found.spread.value == pytest.approx(np.sqrt(0.03**2 / 2 + 0.01**2 / 2), rel=0.02)
    # area under the spectral density is the variance
    area = np.trapezoid(found.spectrum, found.wavenumber)
    assert area == pytest.approx(found.spread.value**2, rel=0.05)


def test_slow_bath_dephases_as_a_gaussian():
    # correlation time far above hbar/spread: exp(-(spread t/hbar)^2/2), 1/e^(1/2) at hbar/spread
    generator = np.random.default_rng(2)
    step, memory, spread, n = 0.0005, 0.2, 0.05, 400_000
    decay = np.exp(-step / memory)
    noise = generator.normal(size=n) * spread * np.sqrt(1 - decay**2)
    from scipy.signal import lfilter

    gap = 1.0 + lfilter([1.0], [1.0, -decay], noise)
    found = analyze_gap(gap, step, longest=1.0)
    assert found.decoherence.value == pytest.approx(HBAR / spread * 1000, rel=0.12)


def test_tables_and_series_are_read(tmp_path):
    energies = np.linspace(-5, -3, 20)[:, None] + np.array([0.0, 1.5, 1.8])
    table = tmp_path / "EIGTXT"
    np.savetxt(table, energies)
    found = read_trajectory(table, step=0.001)
    assert found.gap(0, 1) == pytest.approx(np.full(20, 1.5))
    for k in range(10):
        matrix = np.diag([0.1, 0.2]) + 0.001
        np.savetxt(tmp_path / f"0_Ham_{k}_re", matrix)
    series = read_trajectory(tmp_path / "0_Ham_0_re", step=0.001, unit="rydberg")
    assert series.energies.shape == (10, 2)
    assert series.gap(0, 1)[0] == pytest.approx(0.1 * 13.605693, rel=1e-6)
    (tmp_path / "0_Ham_4_re").unlink()
    with pytest.raises(InputError, match="step 4"):
        read_trajectory(tmp_path / "0_Ham_0_re", step=0.001)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3\n1 2\n", "line 2"),
        ("# nothing\n", "no numbers"),
        ("step energy\n1 2\n", "line 1"),
        ("1 2\n" * 4, "at least 8"),
        ("1 nan\n" * 9, "not finite"),
    ],
)
def test_bad_tables(tmp_path, text, message):
    path = tmp_path / "gap.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(message)):
        read_trajectory(path, step=0.001)
