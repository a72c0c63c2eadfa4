"""Displaced and thin samples, tails of peaks, humps, and classical patterns as other programs make."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from heterodot.catalog import crystal
from heterodot.errors import InputError
from heterodot.probes.xrd import XrdSetup, fit, lines_of, simulate
from heterodot.probes.xrd.amorphous import hump
from heterodot.probes.xrd.components import PhaseComponent
from heterodot.probes.xrd.profile import pseudo_voigt
from heterodot.probes.xrd.recorded import recorded
from heterodot.probes.xrd.sticks import planes, structure_factors

from .mixtures import as_measurement, ball


def curve(setup: XrdSetup, x: np.ndarray, **changes: float) -> np.ndarray:
    made = PhaseComponent("PbS", crystal("PbS"), setup, start_size=90.0)
    values = {p.name: p.value for p in made.parameters()} | {
        f"PbS.{k}": v for k, v in changes.items()
    }
    return made.curve(x, values)


def counted(y: np.ndarray, seed: int, top: float = 20000.0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(y / y.max() * top + 150.0)


def test_displacement_is_refined_and_spoils_the_cell_if_it_is_not():
    setup = XrdSetup("CuKa1", range=(20, 110), points=2500)
    x = setup.two_theta
    y = counted(curve(setup, setup.true_angle(x, 0.12), microstrain=0.0), 1)
    bulk = crystal("PbS")
    options = {"silica": False, "shape": "sphere", "refine_zero": False, "refine_b": False}
    found = fit(as_measurement(x, y), [bulk], setup, refine_displacement=True, **options)
    wrong = fit(as_measurement(x, y), [bulk], setup, **options)
    assert found["displacement"].value == pytest.approx(0.12, abs=4 * found["displacement"].error)
    assert found["displacement"].error < 0.01
    assert found["PbS.a"].value == pytest.approx(bulk.cellpar[0], abs=4 * found["PbS.a"].error)
    assert abs(wrong["PbS.a"].value - bulk.cellpar[0]) > 3 * abs(
        found["PbS.a"].value - bulk.cellpar[0]
    )
    given = dataclasses.replace(setup, displacement=0.12)
    again = fit(as_measurement(x, y), [bulk], given, **options)
    assert again["PbS.a"].value == pytest.approx(bulk.cellpar[0], abs=4 * again["PbS.a"].error)


def test_simulated_pattern_of_a_displaced_sample_is_shifted():
    body = ball(crystal("PbS"), 60.0, np.random.default_rng(2))
    plain = simulate(body, XrdSetup("CuKa1", range=(28, 32), points=2001)).data
    moved = simulate(body, XrdSetup("CuKa1", range=(28, 32), points=2001, displacement=0.2)).data
    shift = float(moved.two_theta[moved.argmax()] - plain.two_theta[plain.argmax()])
    assert shift == pytest.approx(0.2 * np.cos(np.radians(15)), abs=0.004)


def test_thin_sample_in_reflection_and_transmission():
    x = np.array([20.0, 60.0, 100.0])
    sine = np.sin(np.radians(x) / 2)
    thick, thin = XrdSetup(mu_t=50.0), XrdSetup(mu_t=1e-3)
    assert np.allclose(thick.absorption_factor(x), 1.0)
    assert np.allclose(thin.absorption_factor(x), 2e-3 / sine, rtol=0.01)
    through = XrdSetup(mu_t=1.0, mounting="transmission").absorption_factor(x)
    path = 1 / np.cos(np.radians(x) / 2)
    assert np.allclose(through, path * np.exp(-path))
    # what passes is most where mu t is one, at small angles
    flat = [XrdSetup(mu_t=m, mounting="transmission").absorption_factor(np.array([1.0]))[0] for m in (0.5, 1.0, 2.0)]  # fmt: skip
    assert flat[1] == max(flat)


def test_absorption_is_refined():
    setup = XrdSetup("CuKa1", range=(20, 110), points=2000)
    x = setup.two_theta
    y = counted(curve(setup, x, microstrain=0.0) * setup.absorption_factor(x, 0.25), 3)
    found = fit(
        as_measurement(x, y), [crystal("PbS")], setup, silica=False, shape="sphere",
        refine_absorption=True, refine_b=False,
    )  # fmt: skip
    assert found["mu_t"].value == pytest.approx(0.25, abs=4 * found["mu_t"].error)
    assert found["mu_t"].error < 0.05


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"displacement": 5.0}, "no displacement"),
        ({"mu_t": -1.0}, "out of range"),
        ({"mounting": "sideways"}, "no mounting"),
    ],
)
def test_refused_samples(wrong, message):
    with pytest.raises(InputError, match=message):
        XrdSetup(**wrong)


def classical(parts, x: np.ndarray, share: float, width: float = 0.05) -> np.ndarray:
    """Peaks of one pseudo-Voigt each at Bragg's angle, Scherrer widths: as textbooks make them."""
    total = np.zeros(len(x))
    for name, weight, size in parts:
        phase = crystal(name)
        mass = phase.density * phase.volume
        for line in lines_of("CuKa"):
            hkl, many = planes(phase, line.wavelength / 2 / np.sin(np.radians(x[-1] + 8) / 2))
            squared = structure_factors(phase, hkl, lambda _: 1.5, line.wavelength)
            sine = np.linalg.norm(hkl @ phase.reciprocal, axis=1) * line.wavelength / 2
            theta = np.arcsin(sine)
            strength = many * squared * (1 + np.cos(2 * theta) ** 2) / (sine**2 * np.cos(theta))
            breadth = np.hypot(np.degrees(0.9 * line.wavelength / size / np.cos(theta)), width)
            for t, s, b in zip(np.degrees(2 * theta), strength, breadth, strict=True):
                factor = weight / phase.volume / mass * line.weight
                total += factor * s * pseudo_voigt(x - t, float(b), share)
    return total


@pytest.mark.parametrize(
    ("parts", "share", "silica"),
    [
        ([("CsPbBr3_cubic", 0.6, 85.0), ("PbS", 0.4, 40.0)], 0.8, 0.0),
        ([("CsPbCl3_cubic", 0.7, 100.0), ("PbS", 0.3, 30.0)], 0.6, 0.5),
    ],
)
def test_lorentzian_tails_are_a_wider_spread_of_sizes(parts, share, silica):
    """Fractions within 3 % and Scherrer sizes within 10 %; the hump may be a plain Gaussian."""
    setup = XrdSetup("CuKa", caglioti=(0.0, 0.0, 0.05**2), b_iso=1.5)
    x = np.linspace(12, 66, 1800)
    y = classical(parts, x, share)
    y = y / y.max() + silica * hump(x, setup, 1.5, 0.5, 0.0)
    y = np.random.default_rng(4).poisson(10000 * y + 300.0)
    names = [p[0] for p in parts]
    absent = "CsPbCl3_cubic" if "CsPbBr3_cubic" in names else "CsPbBr3_cubic"
    phases = [crystal(n) for n in [*names, absent]]
    found = fit(as_measurement(x, y), phases, setup)
    rows = found.extra["phases"]
    assert not rows[absent]["present"]
    for name, weight, size in parts:
        assert rows[name]["weight_fraction"].value == pytest.approx(weight, abs=0.03)
        assert rows[name]["scherrer_size"].value == pytest.approx(size, rel=0.10)
    assert rows[names[0]]["spread"].value > 0.25
    assert rows["silica"]["present"] == (silica > 0)


def test_spread_may_be_held_or_refused():
    setup = XrdSetup("CuKa1", range=(20, 60), points=600)
    y = counted(curve(setup, setup.two_theta), 5)
    pattern = as_measurement(setup.two_theta, y)
    found = fit(pattern, [crystal("PbS")], setup, spread=0.15, silica=False)
    assert found.extra["phases"]["PbS"]["spread"].error is None
    with pytest.raises(InputError, match="no spread"):
        fit(pattern, [crystal("PbS")], setup, spread="wide")


def test_wavelength_of_a_file_is_not_the_ratio_of_its_doublet():
    """Readers of real .raw and .xrdml files also state the ratio 0.5 of the two lines."""
    x = np.linspace(20, 60, 100)
    pattern = as_measurement(
        x, x + 100, kAlpha2=1.54439, ratio_kalpha2_kalpha1=0.5, wavelength=1.5406
    )
    assert recorded(pattern).wavelength == pytest.approx(1.5406)
    only = as_measurement(x, x + 100, ratio_kalpha2_kalpha1=0.5)
    assert recorded(only).wavelength is None
