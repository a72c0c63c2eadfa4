"""Sizing curves against published numbers, the printed polynomials and an integral of our own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from heterodot.catalog.sizing import CUBE_COULOMB, sizing_curve, sizing_phases
from heterodot.errors import InputError, NotFoundError
from heterodot.probes.spectrum import photon_constant


def test_lead_sulfide_numbers_of_the_documents() -> None:
    curve = sizing_curve("PbS")
    # J24: Jagadeeswararao (2021) prints 1.60 eV for 2.86 nm
    assert curve.energy(2.86) == pytest.approx(1.395, abs=5e-4)
    assert curve.size(1.60).value == pytest.approx(2.44, abs=5e-3)
    # L15: emission at 1250 nm of Livakas (2024), without a Stokes shift
    assert curve.size(photon_constant() / 1250).value == pytest.approx(4.371, abs=5e-4)
    # Y16: 2.9 and 3.4 nm of Yang (2024), printed as 950 and 1156 nm of emission
    for size, printed, stokes in ((2.9, 950, 73), (3.4, 1156, 135)):
        energy = curve.energy(size)
        assert 1000 * (energy - photon_constant() / printed) == pytest.approx(stokes, abs=1)
    assert photon_constant() / curve.energy(2.9) == pytest.approx(899.5, abs=0.1)
    assert photon_constant() / curve.energy(3.4) == pytest.approx(1027.0, abs=0.5)


@pytest.mark.parametrize(
    ("phase", "coefficients", "wavelengths"),
    [
        ("CdS", (13.29, -9.2352e-2, 1.9557e-4, -6.6521e-8), (360, 400, 440, 455)),
        ("CdSe", (41.57, -0.4277, 1.6242e-3, -2.6575e-6, 1.6122e-9), (480, 520, 580, 620)),
    ],
)
def test_polynomials_are_inverted(
    phase: str, coefficients: tuple[float, ...], wavelengths: tuple[float, ...]
) -> None:
    curve = sizing_curve(phase)
    for wavelength in wavelengths:
        direct = sum(c * wavelength**k for k, c in enumerate(coefficients))
        assert curve.size(photon_constant() / wavelength).value == pytest.approx(direct, abs=1e-3)


@given(st.floats(0.02, 0.98), st.sampled_from(["PbS", "PbSe", "CdS", "CdSe", "CsPbBr3"]))
def test_size_and_energy_are_inverse_and_errors_follow_the_slope(share: float, phase: str) -> None:
    curve = sizing_curve(phase)
    size = curve.low + share * (curve.high - curve.low)
    energy = curve.energy(size)
    found = curve.size(energy, 0.005)
    assert found.value == pytest.approx(size, rel=2e-4)
    slope = (curve.energy(size * 1.001) - curve.energy(size * 0.999)) / (0.002 * size)
    expected = math.hypot(0.005, curve.energy_error or 0.0) / abs(slope)
    assert found.error == pytest.approx(expected, rel=0.02)


def test_coulomb_integral_of_a_cube() -> None:
    """<1/r> of two ground states: 1/r = 2/sqrt(pi) int exp(-t^2 r^2) dt makes it separable."""
    x = np.linspace(-0.5, 0.5, 1601)
    density = 2 * np.cos(np.pi * x) ** 2
    step = x[1] - x[0]
    pair = np.convolve(density, density) * step
    u = np.arange(len(pair)) * step - 1.0

    def along(t: float) -> float:
        return float(np.sum(pair * np.exp(-((t * u) ** 2))) * step)

    near, _ = quad(lambda t: along(t) ** 3, 0, 60, limit=200)
    # far out the Gaussian is a point: along(t) -> pair(0) sqrt(pi)/t
    far = (float(pair[len(pair) // 2]) * math.sqrt(math.pi)) ** 3 / (2 * 60**2)
    assert 2 / math.sqrt(math.pi) * (near + far) == pytest.approx(CUBE_COULOMB, abs=2e-3)


def test_cesium_lead_bromide_near_what_was_measured() -> None:
    # Qiu (2023): 5.5 nm cubes absorb near 500 nm, allowance of the curve 0.05 eV
    curve = sizing_curve("CsPbBr3")
    assert curve.energy(5.5) == pytest.approx(photon_constant() / 497, abs=0.06)
    assert curve.size_name == "edge"


def test_what_no_curve_covers_is_refused() -> None:
    with pytest.raises(InputError, match="outside the sizing curve"):
        sizing_curve("PbS").size(2.9)
    with pytest.raises(NotFoundError, match="PbS"):
        sizing_curve("ZnO")
    assert sizing_curve("PbS_galena").phase == "PbS"
    assert {"PbS", "CdS", "CsPbBr3"} <= set(sizing_phases())
    assert not sizing_curve("PbS").covers(2.0)
    assert sizing_curve("PbS").size(1.0).error is None
