"""Emission bands: Jacobian, areas, numbers of bands, artefacts, and the documents' arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr

from heterodot.errors import InputError
from heterodot.measurement import Measurement
from heterodot.probes.emission import SHAPES, artefacts, band, fit_emission
from heterodot.probes.spectrum import (
    Spectrum,
    energy_of,
    energy_spectrum,
    photon_constant,
    sample_names,
    wavelength_of,
)


def over_wavelength(wavelength: np.ndarray, values: np.ndarray, kind: str = "pl") -> Measurement:
    data = xr.DataArray(
        values,
        dims=("wavelength",),
        coords={"wavelength": ("wavelength", wavelength, {"units": "nm"})},
        attrs={"units": ""},
    )
    return Measurement(data, kind, "made")


def test_a_gaussian_over_energy_comes_back_from_a_wavelength_axis() -> None:
    wavelength = np.linspace(900, 1700, 801)
    energy = energy_of(wavelength)
    per_energy = 1000 * np.exp(-4 * math.log(2) * ((energy - 1.0) / 0.15) ** 2)
    counts = per_energy * energy**2 / photon_constant()  # per nm: dE/dlambda
    spectrum = energy_spectrum(over_wavelength(wavelength, counts))
    assert spectrum.jacobian
    np.testing.assert_allclose(spectrum.values[::-1], per_energy, rtol=1e-12)
    found = fit_emission(spectrum, shape="gaussian", bands=1)
    peak = found.peaks[0]
    assert peak.energy.value == pytest.approx(1.0, abs=1e-6)
    assert peak.width.value == pytest.approx(0.15, abs=1e-6)
    assert peak.wavelength.value == pytest.approx(photon_constant(), rel=1e-6)
    # maximum of E^2 exp(-(E - E0)^2 / 2 s^2): E^2 - E E0 - 2 s^2 = 0
    s = 0.15 / (2 * math.sqrt(2 * math.log(2)))
    shifted = (1 + math.sqrt(1 + 8 * s * s)) / 2
    assert found.maximum_wavelength == pytest.approx(photon_constant() / shifted, abs=1.1)
    assert any("maximum over wavelength" in w for w in found.warnings)


def test_the_verb_fit_takes_measurements() -> None:
    from heterodot.probes import absorption, emission

    wavelength = np.linspace(450, 560, 221)
    energy = energy_of(wavelength)
    counts = band("gaussian", energy, 2.45, 0.09, 0) * energy**2
    found = emission.fit(over_wavelength(wavelength, counts), "gaussian", bands=1)
    assert found.peaks[0].energy.value == pytest.approx(2.45, abs=1e-6)
    bound, continuum = absorption.elliott_absorption(energy, 2.45, 0.04, 0.025)
    noise = np.random.default_rng(0).normal(0, 1e-3, 221)
    measured = over_wavelength(wavelength, bound + continuum + noise, "absorption")
    fitted = absorption.fit(measured, "elliott", between=(2.25, 2.7))
    assert isinstance(fitted, absorption.ElliottFit)
    assert fitted.gap.value == pytest.approx(2.45, abs=0.003)
    with pytest.raises(InputError, match="not a model"):
        absorption.fit(measured, "eliot")


def test_an_absorbance_is_not_scaled() -> None:
    measured = over_wavelength(np.linspace(400, 500, 50), np.linspace(0, 1, 50), "absorption")
    spectrum = energy_spectrum(measured)
    assert not spectrum.jacobian
    np.testing.assert_allclose(spectrum.values[::-1], np.linspace(0, 1, 50))
    assert sample_names(measured) == [""]


@pytest.mark.parametrize("shape", SHAPES)
def test_areas_against_analysis_and_quadrature(shape: str) -> None:
    x = np.linspace(1.0, 3.0, 1601)
    skew = {"voigt": 0.4, "lognormal": 0.3, "split": 0.3}.get(shape, 0.0)
    y = 50 * band(shape, x, 2.0, 0.1, skew)
    found = fit_emission(Spectrum(x, y), shape=shape, bands=1, background=False)
    peak = found.peaks[0]
    gauss, lorentz = math.sqrt(math.pi / (4 * math.log(2))), math.pi / 2
    expected = {
        "gaussian": gauss,
        "lorentzian": lorentz,
        "voigt": 0.4 * lorentz + 0.6 * gauss,
        "split": gauss,
    }.get(shape)
    if expected is None:  # the log-normal by fine quadrature
        fine = np.linspace(0.5, 4.0, 200001)
        expected = float(np.trapezoid(band(shape, fine, 2.0, 0.1, skew), fine)) / 0.1
    assert peak.area.value == pytest.approx(50 * 0.1 * expected, rel=2e-3)
    assert peak.energy.value == pytest.approx(2.0, abs=1e-4)
    half = x[y >= y.max() / 2]
    assert peak.width.value == pytest.approx(half[-1] - half[0], abs=0.004)
    if peak.asymmetry is not None:
        low, high = 2.0 - half[0], half[-1] - 2.0
        assert peak.asymmetry.value == pytest.approx(low / high, rel=0.1)


@pytest.mark.parametrize("n", [1, 2])
def test_the_number_of_bands_is_told_by_evidence(n: int) -> None:
    x = np.linspace(2.0, 3.4, 500)
    rng = np.random.default_rng(7)
    y = 1000 * band("gaussian", x, 2.40, 0.10, 0)
    if n == 2:  # 408 and 510 nm, the two emissions of a 2D-3D film
        y = y + 400 * band("gaussian", x, 3.04, 0.12, 0)
    counts = rng.poisson(y + 20).astype(float)
    spectrum = Spectrum(x, counts, np.sqrt(np.maximum(counts, 1)))
    found = fit_emission(spectrum, shape="gaussian")
    assert len(found.peaks) == n
    truths = [2.40, 3.04][:n]
    for peak, truth in zip(found.peaks, truths, strict=True):
        assert peak.energy.error is not None
        assert abs(peak.energy.value - truth) < 3 * peak.energy.error


def test_bad_spectra_are_refused() -> None:
    x = np.linspace(2, 3, 200)
    clipped = np.minimum(100 * band("gaussian", x, 2.5, 0.2, 0), 60.0)
    with pytest.raises(InputError, match="saturated"):
        fit_emission(Spectrum(x, clipped))
    with pytest.raises(InputError, match="noise"):
        fit_emission(Spectrum(x, np.random.default_rng(0).normal(0, 1, 200)))
    with pytest.raises(InputError, match="not a shape"):
        fit_emission(Spectrum(x, x), shape="square")
    with pytest.raises(InputError, match="sample"):
        _two_samples()
    nans = np.full(100, np.nan)
    with pytest.raises(InputError, match="usable points"):
        energy_spectrum(over_wavelength(np.arange(400.0, 500), nans))
    with pytest.raises(InputError, match="not positive"):
        energy_spectrum(over_wavelength(np.arange(-50.0, 50), np.ones(100)))


def _two_samples() -> None:
    data = xr.DataArray(
        np.ones((9, 2)),
        dims=("energy", "sample"),
        coords={
            "energy": ("energy", np.linspace(1, 2, 9), {"units": "eV"}),
            "sample": ("sample", ["a", "b"], {"units": ""}),
        },
        attrs={"units": ""},
    )
    energy_spectrum(Measurement(data, "pl", "two"), "c")


def test_second_orders_and_scattered_light_are_flagged() -> None:
    energies = [photon_constant() / w for w in (1032.0, 1200.0, 800.0, 400.0)]
    found = artefacts(energies, [0.05, 0.1, 0.004, 0.004], excitation=400, emitters=[516.0])
    causes = {round(a.wavelength): a.cause for a in found}
    assert "second order of the emission at 516" in causes[1032]
    assert "second order of the exciting light" in causes[800]
    assert "scattered exciting light" in causes[400]
    assert 1200 not in causes


def test_arithmetic_of_the_documents() -> None:
    # I11: 16 and 17 nm at 519 nm are 73.6 and 78.2 meV
    for nm, mev in ((16, 73.6), (17, 78.2)):
        width = energy_of(519 - nm / 2) - energy_of(519 + nm / 2)
        assert 1000 * float(width) == pytest.approx(mev, abs=0.1)
    # I10: 2.33 eV is 532.1 nm; Y28: 2.45 eV is 506.1 nm
    assert float(wavelength_of(2.33)) == pytest.approx(532.1, abs=0.05)
    assert float(wavelength_of(2.45)) == pytest.approx(506.1, abs=0.05)
    # Y22: new peaks lie 0.195, 0.390 and 0.493 eV below 408 nm, not all "about 0.5 eV"
    shifts = energy_of(408.0) - energy_of(np.array([436.0, 468.0, 487.0]))
    np.testing.assert_allclose(shifts, [0.195, 0.390, 0.493], atol=1e-3)
    # Y23: Stokes shifts 400 -> 410 and 494 -> 518 nm
    assert 1000 * float(energy_of(400.0) - energy_of(410.0)) == pytest.approx(75.6, abs=0.1)
    assert 1000 * float(energy_of(494.0) - energy_of(518.0)) == pytest.approx(116.0, abs=0.5)
    # Q13: photon energies of pumps and bleaches
    np.testing.assert_allclose(
        energy_of(np.array([510.0, 400, 440, 455, 450])),
        [2.431, 3.100, 2.818, 2.725, 2.755],
        atol=5e-4,
    )
    # J25: 445 nm (2.786 eV) lies below the gap of CsPbCl3
    assert float(energy_of(445.0)) == pytest.approx(2.786, abs=5e-4)
