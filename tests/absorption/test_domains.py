"""Heterostructures taken apart: sizes back within errors, mixtures, and spectra from levels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import erfc

from heterodot.catalog.sizing import sizing_curve
from heterodot.electronic import levels
from heterodot.electronic.exciton import coupling
from heterodot.errors import InputError, NotFoundError
from heterodot.particle import Particle
from heterodot.probes.absorption import AbsorptionSetup, decompose, simulate, transitions
from heterodot.probes.spectrum import Spectrum, energy_spectrum
from heterodot.probes.unmixing import unmix

from ..electronic.particles import janus, single


def domain(
    energy: np.ndarray, centre: float, width: float, peak: float, step: float, power: float
) -> np.ndarray:
    line = peak * np.exp(-4 * math.log(2) * ((energy - centre) / width) ** 2)
    opening = 0.5 * erfc((centre + 0.15 - energy) / (0.85 * width))
    return line + step * opening * (energy / centre) ** power


@pytest.mark.parametrize(
    ("phase", "size", "low", "parameters"),
    [("PbS", 3.2, 0.95, (0.14, 0.05, 0.05, 2.5)), ("CdS", 5.0, 2.1, (0.12, 0.10, 0.12, 3.0))],
)
def test_sizes_come_back_within_their_errors(
    phase: str, size: float, low: float, parameters: tuple[float, ...]
) -> None:
    energy = np.linspace(low, 3.4, 420)
    exciton = sizing_curve(phase).energy(size)
    perovskite = sizing_curve("CsPbBr3").energy(5.5)
    clean = domain(energy, exciton, *parameters) + domain(energy, perovskite, 0.09, 0.3, 0.3, 2)
    pulls = []
    for seed in range(5):
        noise = np.random.default_rng(seed).normal(0, 1e-3, len(energy))
        found = decompose(Spectrum(energy, clean + noise), ["CsPbBr3", phase])
        by_phase = {d.phase: d for d in found.domains}
        dot, cube = by_phase[phase], by_phase["CsPbBr3"]
        assert dot.size.error is not None
        pulls.append((dot.size.value - size) / dot.size.error)
        assert dot.size.value == pytest.approx(size, abs=0.08)
        assert cube.exciton.value == pytest.approx(perovskite, abs=0.003)
        assert cube.size.value == pytest.approx(5.5, abs=0.15)
        assert cube.size.error is not None
        assert cube.size.error > 0.3  # the curve's own error is in it
    # strongly overlapping domains: errors are about a fifth too small (see the docs)
    assert np.median(np.abs(pulls)) < 2
    assert np.sqrt(np.mean(np.square(pulls))) < 3.5
    assert any("states no scatter" in w for w in found.warnings)
    total = sum(d.absorbance for d in found.domains) + found.background
    np.testing.assert_allclose(total, found.model, atol=1e-9)
    wavelength = 1239.84198 / 3.1
    share = found.absorbance_at("CsPbBr3", wavelength) + found.absorbance_at(phase, wavelength)
    assert share == pytest.approx(float(np.interp(3.1, energy, clean)), rel=0.1)


def test_what_cannot_be_taken_apart_is_refused() -> None:
    energy = np.linspace(1.0, 3.0, 300)
    flat = Spectrum(energy, 0.1 + 0.01 * energy)
    with pytest.raises(NotFoundError, match="near"):
        decompose(flat, ["CsPbBr3", "PbS"])
    with pytest.raises(InputError, match="points for 2 domains"):
        decompose(flat.between(1.0, 1.1), ["CsPbBr3", "PbS"])


def test_mixtures_have_honest_errors() -> None:
    energy = np.linspace(1.0, 3.0, 300)
    first, second = energy**2, 1 + np.sin(4 * energy)
    references = {"a": Spectrum(energy, first), "b": Spectrum(energy, second)}
    inside = 0
    for seed in range(40):
        noise = np.random.default_rng(seed).normal(0, 0.05, 300)
        found = unmix(Spectrum(energy, 0.7 * first + 0.2 * second + noise), references)
        for name, truth in (("a", 0.7), ("b", 0.2)):
            value = found.amounts[name]
            inside += abs(value.value - truth) < 1.96 * (value.error or 0)
    assert 70 <= inside <= 80
    alone = unmix(Spectrum(energy, 0.7 * first), references)
    assert alone.amounts["b"].value == pytest.approx(0, abs=1e-9)
    with pytest.raises(InputError, match="share"):
        unmix(Spectrum(energy + 5, first), references)
    same = unmix(
        Spectrum(energy, first), {"a": Spectrum(energy, first), "b": Spectrum(energy, 2 * first)}
    )
    assert same.explained == pytest.approx(1.0)


@pytest.fixture(scope="module")
def dot() -> Particle:
    return single("PbS", lambda r: np.linalg.norm(r, axis=1) < 16.0)


def test_spectrum_of_a_dot_begins_at_its_optical_gap(dot: Particle) -> None:
    found = levels(dot, states=4, spacing=2.0)
    assert found.optical_gap is not None
    measured = simulate(found, AbsorptionSetup(width=0.05))
    pairs, _ = transitions(found)
    assert pairs[0].energy.value == pytest.approx(found.optical_gap.value, abs=1e-4)
    # s-s overlaps fully, s-p not at all: the envelopes' selection rule
    strength = {(p.electron, p.hole): p.strength for p in pairs}
    assert strength[0, 0] > 20 * max(strength[0, 1], strength[1, 0])
    material = found.materials[0]
    # two spins a valley, the band coupling 2|p|²/m of one polarization (Kang and Wise)
    strength_of_one = coupling(material)
    assert strength_of_one is not None
    valleys = max(1, len(material.valleys))
    upper = 2 * strength_of_one * valleys / pairs[0].energy.value
    assert 0.9 * upper < strength[0, 0] <= upper * 1.001
    spectrum = energy_spectrum(measured, "all")
    top = spectrum.energy[np.argmax(spectrum.values)]
    assert top == pytest.approx(found.optical_gap.value, abs=0.05)


def test_strength_is_kept_and_domains_add_up(dot: Particle) -> None:
    found = levels(dot, states=3, spacing=2.0)
    pairs, _ = transitions(found)
    wide = AbsorptionSetup(width=0.08, low=0.2, high=6.0, points=4000)
    measured = simulate(found, wide)
    energy, values = measured.data["energy"].values, measured.data.values
    assert np.trapezoid(values[:, 0], energy) == pytest.approx(sum(p.strength for p in pairs))
    np.testing.assert_allclose(values[:, 0], values[:, 1:].sum(axis=1), atol=1e-9)
    assert any("more states" in n for n in measured.notes)
    with pytest.raises(InputError, match="width"):
        AbsorptionSetup(width=0.0)


def test_heterostructure_shows_both_domains() -> None:
    particle = janus("CsPbCl3", "PbS", 22.0, 24.0)
    measured = simulate(particle, AbsorptionSetup(states=4))
    assert str(measured.data["sample"].values[0]) == "all"
    assert measured.data.sizes["sample"] == 3
    first = measured.metadata["transitions"][0]
    assert abs(sum(first["domains"].values()) - 1) < 1e-6
