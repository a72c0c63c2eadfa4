"""Quantum yields, transfer tables, excitation spectra and stability, against known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterodot.errors import InputError
from heterodot.probes.emission import absorbed_shares, excitation_spectrum, stability
from heterodot.probes.plqy import (
    TransferRow,
    composite_yield,
    consistency,
    photons_between,
    rounding_error,
    second_band_yield,
    sphere_yield,
    transfer_efficiency,
)
from heterodot.probes.spectrum import Spectrum
from heterodot.units import Value

# Yang (2024), Table 3-1: sample, PL_PbS, A_PbS, A_perovskite, PLQY_PbS, eta / %
TABLE = [
    ("1:1", 131987, 0.022, 0.138, 0.025, 21.88),
    ("1:3", 477937, 0.059, 0.160, 0.052, 24.92),
    ("1:5", 1756475, 0.108, 0.140, 0.112, 33.62),
    ("1:10", 3259940, 0.092, 0.196, 0.156, 58.48),
    ("1:30", 5502883, 0.113, 0.180, 0.225, 71.56),
]
EXCITING = 3011395668.0


def rows() -> list[TransferRow]:
    digit = 0.001 / math.sqrt(12)
    return [
        TransferRow(
            name,
            Value(pl, "", 0.3),
            Value(EXCITING, "", 0.3),
            Value(a, "", digit),
            Value(d, "", digit),
            Value(q, "", digit),
            Value(eta / 100, "", 1e-4 / math.sqrt(12)),
        )
        for name, pl, a, d, q, eta in TABLE
    ]


def test_the_printed_equation_does_not_give_the_printed_column() -> None:
    """Check Y11: every efficiency comes out negative."""
    found = [100 * transfer_efficiency(r, form="printed").value for r in rows()]
    np.testing.assert_allclose(found, [-14.67, -34.97, -73.42, -43.40, -58.27], atol=0.006)


def test_one_calibration_explains_all_rows_but_one() -> None:
    found = consistency(rows(), form="printed")
    assert found.factor.value == pytest.approx(0.0336, abs=5e-5)
    assert found.consistent == (True, False, True, True, True)
    computed = [100 * e.value for e in found.computed]
    for k in (0, 2, 3, 4):
        assert computed[k] == pytest.approx(TABLE[k][5], abs=0.02)
    assert computed[1] == pytest.approx(19.92, abs=0.02)  # the table prints 24.92
    assert any("'1:3' states 24.92 %" in w for w in found.warnings)
    assert any("bare acceptor" in w for w in found.warnings)
    assert any("negative" in w for w in found.warnings)


def test_absorbed_shares_leave_the_table_without_a_calibration() -> None:
    found = consistency(rows(), form="absorbed")
    assert sum(found.consistent) < 3
    assert any("no single calibration" in w for w in found.warnings)


@given(
    st.floats(0.01, 1.0),
    st.floats(0.01, 1.0),
    st.floats(0.02, 0.9),
    st.floats(0.0, 1.0),
    st.floats(0.01, 1.0),
)
def test_efficiency_inverts_the_model(
    a: float, d: float, q: float, eta: float, factor: float
) -> None:
    total = a + d
    absorbed = 1 - 10**-total
    pl = factor * 1e9 * q * absorbed * (a + eta * d) / total
    row = TransferRow("x", *(Value(v, "", 0.0) for v in (pl, 1e9, a, d, q)))
    found = transfer_efficiency(row, calibration=Value(factor, "", 0.0))
    assert found.value == pytest.approx(eta, abs=1e-9)


def test_transfer_rows_are_checked() -> None:
    good = rows()[0]
    with pytest.raises(InputError, match="not a form"):
        transfer_efficiency(good, form="other")
    bad = TransferRow("x", *(Value(v, "") for v in (1e5, 1e9, 0.02, 0.1, 2.5)))
    with pytest.raises(InputError, match="more than one"):
        transfer_efficiency(bad)
    mute = TransferRow("x", *(Value(v, "") for v in (1e5, 1e9, 0.02, 0.1, 0.5)))
    with pytest.raises(InputError, match="states no efficiency"):
        consistency([mute, mute])
    with pytest.raises(InputError, match="at least two"):
        consistency(rows()[:1])
    assert rounding_error(np.array([3011395668.0])) == pytest.approx(1 / math.sqrt(12))
    assert rounding_error(np.array([0.138, 0.16])) == pytest.approx(1e-3 / math.sqrt(12))


@given(st.floats(1e-9, 3.0), st.floats(1e-9, 3.0))
def test_absorbed_shares_add_up(donor: float, acceptor: float) -> None:
    f_donor, f_acceptor = absorbed_shares(np.array([donor]), np.array([acceptor]))
    assert float(f_donor[0] + f_acceptor[0]) == pytest.approx(1 - 10 ** -(donor + acceptor))
    assert f_donor[0] / f_acceptor[0] == pytest.approx(donor / acceptor)


def sphere(absorptance: float, diffuse: float, quantum: float, light: float = 1e7) -> list[float]:
    """Photons of the three measurements of de Mello (1997) for a sample of known yield."""
    beside = light * (1 - diffuse)
    hit = light * (1 - absorptance) * (1 - diffuse)
    emission_beside = quantum * light * diffuse
    emission_hit = quantum * (light * absorptance + light * (1 - absorptance) * diffuse)
    return [light, beside, hit, emission_beside, emission_hit]


@given(st.floats(0.05, 0.95), st.floats(0.01, 0.6), st.floats(0.01, 1.0))
def test_three_measurements_give_the_yield_that_was_put_in(
    absorptance: float, diffuse: float, quantum: float
) -> None:
    la, lb, lc, pb, pc = (
        Value(x, "count", math.sqrt(x)) for x in sphere(absorptance, diffuse, quantum)
    )
    found = sphere_yield(
        la, lc, Value(0.0, "count", 1.0), pc, laser_indirect=lb, emission_indirect=pb
    )
    assert found.method == "three measurements"
    assert found.quantum_yield.value == pytest.approx(quantum, rel=1e-9)
    assert found.absorptance.value == pytest.approx(absorptance, rel=1e-9)


def test_error_of_a_yield_against_simulated_counting() -> None:
    rng = np.random.default_rng(4)
    truth = sphere(0.3, 0.2, 0.45, 1e5)
    yields = []
    for _ in range(300):
        la, lb, lc, pb, pc = (Value(float(n), "count", math.sqrt(n)) for n in rng.poisson(truth))
        found = sphere_yield(
            la, lc, Value(0.0, "count", 1.0), pc, laser_indirect=lb, emission_indirect=pb
        )
        yields.append(found.quantum_yield.value)
    assert found.quantum_yield.error == pytest.approx(np.std(yields), rel=0.15)


def test_yields_that_cannot_be_are_said_or_refused() -> None:
    light = Value(1e6, "count", 1e3)
    with pytest.raises(InputError, match="nothing beyond the error"):
        sphere_yield(light, Value(0.9999e6, "count", 1e3), Value(0, "count", 1), light)
    found = sphere_yield(light, Value(9e5, "count", 9e2), Value(0, "count", 1), light)
    assert any("cannot be" in w for w in found.warnings)
    corrected = sphere_yield(
        light,
        Value(5e5, "count", 7e2),
        Value(0, "count", 1),
        Value(2e5, "count", 4e2),
        reabsorption=Value(0.2, "", 0.0),
    )
    # Ahn et al. (2007): 0.4 / (1 - 0.2 + 0.2 * 0.4)
    assert corrected.corrected is not None
    assert corrected.corrected.value == pytest.approx(0.4 / 0.88)
    with pytest.raises(InputError, match="add up"):
        composite_yield(Value(0.8, "", 0.01), Value(0.5, "", 0.01))
    assert second_band_yield(Value(0.4, ""), Value(2.0, ""), Value(1.0, "")).value == 0.2
    x = np.linspace(440, 460, 21)
    with pytest.raises(InputError, match="clipped"):
        photons_between(x, np.minimum(1e5 - (x - 450) ** 2 * 1e4, 6e4), 440, 460)
    with pytest.raises(InputError, match="channels lie between"):
        photons_between(x, np.ones(21), 500, 510)
    assert photons_between(x, np.full(21, 4.0), 440, 460).value == 84


@pytest.mark.parametrize("eta", [0.0, 0.3, 0.85])
def test_excitation_spectra_give_the_transfer_efficiency(eta: float) -> None:
    energy = np.linspace(1.6, 3.4, 300)
    donor = 0.3 / (1 + np.exp(-(energy - 2.45) / 0.02))
    acceptor = 0.05 * (energy / 1.6) ** 3
    f_donor, f_acceptor = absorbed_shares(donor, acceptor)
    inside = 0
    for seed in range(12):
        noise = np.random.default_rng(seed).normal(0, 30, 300)
        ple = Spectrum(energy, 2e4 * (f_acceptor + eta * f_donor) + noise)
        found = excitation_spectrum(ple, Spectrum(energy, donor), Spectrum(energy, acceptor))
        error = found.transfer.error or 0.003
        inside += abs(found.transfer.value - eta) < 1.96 * error
        assert found.transfer.value == pytest.approx(eta, abs=0.02)
    assert inside >= 9
    if eta > 0.5:  # whose absorption is it?
        assert found.similarity["donor"] > found.similarity["acceptor"]
        parts = [np.trapezoid(f, energy) for f in (eta * f_donor, f_acceptor)]
        assert found.donor_part.value == pytest.approx(parts[0] / sum(parts), abs=0.01)
    if eta == 0.0:
        assert found.donor_part.value < 0.02


def test_an_excitation_spectrum_of_something_else_is_said() -> None:
    energy = np.linspace(1.6, 3.4, 300)
    donor = Spectrum(energy, 0.3 / (1 + np.exp(-(energy - 2.45) / 0.02)))
    acceptor = Spectrum(energy, 0.05 * (energy / 1.6) ** 3)
    strange = Spectrum(energy, 100 * np.exp(-(((energy - 2.0) / 0.05) ** 2)))
    assert any(
        "something else" in w for w in excitation_spectrum(strange, donor, acceptor).warnings
    )
    only = Spectrum(energy, absorbed_shares(donor.values, acceptor.values)[0])
    found = excitation_spectrum(only, donor, acceptor)
    assert not found.transfer.value < 50
    with pytest.raises(InputError, match="do not overlap"):
        excitation_spectrum(Spectrum(energy + 9, donor.values), donor, acceptor)


def test_half_lives() -> None:
    time = np.linspace(0, 300, 31)
    found = stability(time, 5 * np.exp(-time / 100))
    assert found.model == "exponential"
    assert found.half_life.value == pytest.approx(100 * math.log(2), rel=1e-6)
    assert found.crossed is not None
    assert found.crossed.value == pytest.approx(100 * math.log(2), abs=10)
    stretched = stability(time, np.exp(-((time / 80) ** 0.5)))
    assert stretched.model == "stretched"
    assert stretched.half_life.value == pytest.approx(80 * math.log(2) ** 2, rel=1e-3)


def test_half_lives_that_were_not_reached_are_said() -> None:
    # Yang (2024): 9 and 16 percent of the absorption lost after 180 h
    for lost, half in ((0.09, 1323.0), (0.16, 715.6)):
        time = np.linspace(0, 180, 19)
        found = stability(time, np.exp(math.log(1 - lost) * time / 180))
        assert found.half_life.value == pytest.approx(half, rel=2e-3)
        assert found.crossed is None
        assert found.kept.value == pytest.approx(1 - lost, abs=1e-6)
        assert any("extrapolated" in w for w in found.warnings)
    flat = stability(np.arange(10.0), 1 + np.random.default_rng(0).normal(0, 0.01, 10))
    assert math.isinf(flat.half_life.value) or any("extrapolated" in w for w in flat.warnings)
    with pytest.raises(InputError, match="does not rise"):
        stability(np.array([0, 2, 1, 3.0]), np.ones(4))
    with pytest.raises(InputError, match="at least four"):
        stability(np.arange(3.0), np.ones(3))
