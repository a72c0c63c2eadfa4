"""Temperature laws: limits, truth within errors, the inverse shift, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.constants import e, k

from heterodot.errors import InputError
from heterodot.probes.temperature import LAWS, fit_temperature, occupation

T = np.linspace(10, 300, 15)
KB = k / e


def test_limits_of_the_laws() -> None:
    hot = np.array([5000.0])
    # n -> kT / E - 1/2
    assert occupation(0.02, hot)[0] == pytest.approx(KB * 5000 / 0.02 - 0.5, rel=2e-3)
    assert occupation(0.02, np.array([0.0]))[0] < 1e-300
    bose = LAWS["bose-einstein"].law({"gap_0": 1.0, "coupling": 0.03, "phonon": 0.02}, hot)
    assert bose[0] == pytest.approx(1.0 - 2 * 0.03 * (KB * 5000 / 0.02 - 0.5), rel=1e-3)
    varshni = LAWS["varshni"].law({"gap_0": 1.0, "alpha": 5e-4, "beta": 0.0}, hot)
    assert varshni[0] == pytest.approx(1.0 - 2.5)
    two = {
        "start": 7.0,
        "log_rate": 3.0,
        "activation": 0.05,
        "log_rate_2": -10,
        "activation_2": 0.5,
    }
    one = LAWS["arrhenius"].law(two, T)
    np.testing.assert_allclose(LAWS["arrhenius-two"].law(two, T), one, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "truth", "noise"),
    [
        ("varshni", {"gap_0": 2.55, "alpha": 4e-4, "beta": 120.0}, 1e-4),
        ("bose-einstein", {"gap_0": 2.55, "coupling": 0.03, "phonon": 0.015}, 1e-4),
        (
            "expansion",
            {"gap_0": 2.30, "expansion": 4e-4, "coupling": -0.02, "phonon": 0.020},
            1e-4,
        ),
        ("width", {"width_0": 0.03, "acoustic": 3e-5, "optical": 0.06, "phonon": 0.02}, 1e-4),
        ("arrhenius", {"start": 100.0, "log_rate": 5.0, "activation": 0.06}, 0.3),
    ],
)
def test_parameters_come_back_within_their_errors(
    name: str, truth: dict[str, float], noise: float
) -> None:
    law = LAWS[name]
    inside = total = 0
    for seed in range(12):
        data = law.law(truth, T) + np.random.default_rng(seed).normal(0, noise, len(T))
        found = fit_temperature(T, data, law.quantity, sigma=np.full(len(T), noise), laws=[name])
        for parameter, value in truth.items():
            fitted = found.fit[parameter]
            if fitted.error is not None and not fitted.note:
                inside += abs(fitted.value - value) < 1.96 * fitted.error
                total += 1
    assert total >= 10 * len(truth)
    assert inside >= 0.85 * total


def test_lattice_expansion_is_told_from_phonons() -> None:
    truth = {"gap_0": 1.40, "expansion": 4.5e-4, "coupling": -0.015, "phonon": 0.020}
    data = LAWS["expansion"].law(truth, T) + np.random.default_rng(1).normal(0, 1e-4, len(T))
    found = fit_temperature(T, data, "gap", sigma=np.full(len(T), 1e-4))
    assert found.law.name == "expansion"
    assert any("inverse shift" in w for w in found.warnings)
    assert found.criteria["varshni"] > found.criteria["expansion"] + 10
    assert found.at(200.0) == pytest.approx(
        float(LAWS["expansion"].law(truth, np.array([200.0]))[0]), abs=3e-4
    )


def test_falling_gap_of_a_usual_semiconductor_has_positive_alpha() -> None:
    # Varshni (1967) for silicon: 1.1557 eV, 7.021e-4 eV/K, 1108 K
    t = np.linspace(20, 700, 25)
    data = 1.1557 - 7.021e-4 * t**2 / (t + 1108)
    found = fit_temperature(t, data, "gap", laws=["varshni"])
    assert found.fit["alpha"].value == pytest.approx(7.021e-4, rel=1e-3)
    assert found.fit["beta"].value == pytest.approx(1108, rel=1e-3)
    assert not any("inverse" in w for w in found.warnings)


def test_few_or_wrong_temperatures_are_refused() -> None:
    with pytest.raises(InputError, match="at least four"):
        fit_temperature(np.array([100, 200, 300.0]), np.ones(3), "gap")
    with pytest.raises(InputError, match="kelvin"):
        fit_temperature(np.linspace(-50, 50, 9), np.ones(9), "gap")
    with pytest.raises(InputError, match="not a quantity"):
        fit_temperature(T, T, "color")
    with pytest.raises(InputError, match="not a law of the width"):
        fit_temperature(T, T, "width", laws=["varshni"])
    with pytest.raises(InputError, match="not positive"):
        fit_temperature(T, T - 100, "intensity")


def test_undecided_laws_are_said() -> None:
    truth = {"gap_0": 2.55, "alpha": 4e-4, "beta": 120.0}
    data = LAWS["varshni"].law(truth, T) + np.random.default_rng(0).normal(0, 2e-3, len(T))
    found = fit_temperature(
        T, data, "gap", sigma=np.full(len(T), 2e-3), laws=["varshni", "bose-einstein"]
    )
    assert any("do not tell" in w for w in found.warnings)
