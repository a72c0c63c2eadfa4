"""Cells and strains from printed peaks, and fractions from line intensities."""

from __future__ import annotations

import numpy as np
import pytest

from heterodot.catalog import crystal
from heterodot.crystal import Crystal
from heterodot.errors import InputError
from heterodot.probes.xrd import XrdSetup, sticks
from heterodot.probes.xrd.bragg import cell_from_peaks, domain_strains, shift_strain, spacing
from heterodot.probes.xrd.fractions import adiabatic, line_strength, reference_intensity_ratio
from heterodot.units import Value

# Peaks printed by Yang (thesis, 2024, section 3.3.1): alone, then in the heterostructure.
SHIFTS = {
    "CsPbBr3": {(2, 0, 0): (30.43, 30.25), (2, 2, 0): (43.61, 43.47)},
    "PbS": {(2, 0, 0): (29.50, 29.71), (2, 2, 0): (42.45, 42.59)},
}


def test_strains_of_both_domains_from_printed_shifts():
    """The perovskite is stretched by 0.3 to 0.6 %, the sulfide compressed by 0.3 to 0.7 %."""
    found = domain_strains(SHIFTS, error=0.01)
    percent = {(d, h): 100 * v.value for d, s in found.items() for h, v in s.items()}
    # recomputed by hand from Bragg's law: sin(before/2)/sin(after/2) - 1
    for domain, peaks in SHIFTS.items():
        for hkl, (before, after) in peaks.items():
            by_hand = np.sin(np.radians(before / 2)) / np.sin(np.radians(after / 2)) - 1
            assert percent[domain, hkl] == pytest.approx(100 * by_hand, abs=1e-9)
    assert percent["CsPbBr3", (2, 0, 0)] == pytest.approx(0.581, abs=0.001)
    assert percent["CsPbBr3", (2, 2, 0)] == pytest.approx(0.306, abs=0.001)
    assert percent["PbS", (2, 0, 0)] == pytest.approx(-0.691, abs=0.001)
    assert percent["PbS", (2, 2, 0)] == pytest.approx(-0.314, abs=0.001)
    assert all(v.error is not None for s in found.values() for v in s.values())


def test_cells_from_printed_peaks():
    """Both phases are cubic within the peaks; PbS is 1 % larger than its bulk (a disagreement)."""
    bromide = cell_from_peaks(
        crystal("CsPbBr3_cubic"),
        {(1, 1, 0): 21.38, (2, 0, 0): 30.41, (2, 1, 1): 37.47, (2, 2, 0): 43.56},
    )
    assert bromide["a"].value == pytest.approx(5.8735, abs=0.001)
    assert 0 < bromide["a"].error < 0.002
    assert bromide["alpha"].error is None
    sulfide = cell_from_peaks(
        crystal("PbS"), {(1, 1, 1): 25.71, (2, 0, 0): 29.78, (2, 2, 0): 42.61}
    )
    assert sulfide["a"].value == pytest.approx(5.9963, abs=0.001)
    assert sulfide["a"].value / crystal("PbS").cellpar[0] - 1 > 0.009


@pytest.mark.parametrize("name", ["CsPbBr3_ortho", "CdS_wurtzite", "PbS"])
def test_cell_round_trip_in_any_symmetry(name):
    bulk = crystal(name)
    lines = sticks(bulk, XrdSetup("CuKa1", range=(15, 80)))
    chosen = np.linspace(0, len(lines) - 1, min(9, len(lines))).astype(int)
    peaks = {tuple(int(x) for x in lines.hkl[i]): float(lines.two_theta[i]) for i in chosen}
    stretched = bulk.replace(cell=bulk.cell * 1.01)
    found = cell_from_peaks(stretched, peaks)
    for key, true in zip(("a", "b", "c", "alpha", "beta", "gamma"), bulk.cellpar, strict=True):
        assert found[key].value == pytest.approx(true, abs=1e-6)


def test_error_of_a_spacing_follows_from_bragg():
    d = spacing(30.0, "CuKa1", 0.02)
    numeric = abs(spacing(30.01).value - spacing(29.99).value)
    assert d.error == pytest.approx(numeric, rel=1e-3)
    assert shift_strain(30.0, 30.0).value == 0.0


@pytest.mark.parametrize("angle", [0.0, 180.0, -5.0, float("nan"), 400.0])
def test_no_angle(angle):
    with pytest.raises(InputError, match="2theta"):
        spacing(angle)


def test_too_few_peaks():
    with pytest.raises(InputError, match="cannot give 3"):
        cell_from_peaks(crystal("CsPbBr3_ortho"), {(2, 0, 0): 21.5})
    with pytest.raises(InputError, match="do not determine"):
        cell_from_peaks(crystal("CdS_wurtzite"), {(1, 0, 0): 24.8, (2, 0, 0): 50.9})


# ---------------------------------------------------------------- reflections


def test_extinctions_and_multiplicities_of_rock_salt(pbs):
    lines = sticks(pbs, XrdSetup("CuKa1", range=(20, 110)))
    parity = lines.hkl % 2
    assert np.all(parity.sum(1) % 3 == 0)  # all even or all odd
    by_sum = {int((h**2).sum()): int(m) for h, m in zip(lines.hkl, lines.multiplicity, strict=True)}
    assert [by_sum[n] for n in (3, 4, 8, 11, 12, 16)] == [8, 6, 12, 24, 8, 6]


def test_structure_factor_against_its_definition(cspbbr3):
    from heterodot.probes.xrd.scattering import dispersion, form_factors

    setup = XrdSetup("CuKa1", range=(10, 60), b_iso=0.0)
    lines = sticks(cspbbr3, setup)
    for hkl, found in zip(lines.hkl, lines.structure_factor, strict=True):
        q = 2 * np.pi / cspbbr3.d_spacing(hkl)
        f = form_factors(cspbbr3.symbols, np.array([q]))[:, 0] + dispersion(
            cspbbr3.symbols, setup.lines[0].wavelength
        )
        total = sum(
            x * np.exp(2j * np.pi * (hkl @ p)) for x, p in zip(f, cspbbr3.scaled, strict=True)
        )
        assert found == pytest.approx(abs(total), rel=1e-9)


def test_primitive_cell_gives_the_same_lines(pbs):
    setup = XrdSetup("CuKa1", range=(20, 80))
    a, b = sticks(pbs, setup), sticks(pbs.primitive(), setup)
    assert np.allclose(a.two_theta, b.two_theta)
    assert np.allclose(a.intensity, b.intensity, rtol=1e-6)


# ---------------------------------------------------------------- fractions


@pytest.mark.parametrize(
    ("name", "group", "cell", "sites", "card"),
    [
        # I/Ic printed on powder-diffraction cards: silicon 27-1402, zincite 36-1451
        ("Si", "F d -3 m", (5.4309,), {"Si": (0, 0, 0)}, 4.70),
        ("ZnO", "P 63 m c", (3.2498, 5.2066), {"Zn": (1 / 3, 2 / 3, 0), "O": (1 / 3, 2 / 3, 0.3825)},
         5.5),
    ],
)  # fmt: skip
def test_reference_intensity_ratios_are_near_those_of_cards(name, group, cell, sites, card):
    found = reference_intensity_ratio(Crystal.from_sites(name, group, cell, sites))
    assert found == pytest.approx(card, rel=0.08)


def test_adiabatic_fractions_add_up_and_carry_errors():
    found = adiabatic(
        {"PbS": Value(300.0, "", 30.0), "CsPbBr3": Value(100.0, "", 5.0)},
        {"PbS": 10.0, "CsPbBr3": 5.0},
    )
    assert found["PbS"].value == pytest.approx(0.6)
    assert sum(v.value for v in found.values()) == pytest.approx(1.0)
    numeric = (330 / 10) / (330 / 10 + 20) - 0.6, (300 / 10) / (30 + 21) - 0.6
    assert found["PbS"].error == pytest.approx(np.hypot(*numeric), rel=0.1)


def test_line_strength_gives_back_a_mixture_of_sticks():
    """Weights of 30 and 70 % from ideal line intensities of the two phases."""
    setup = XrdSetup("CuKa1", range=(10, 80))
    a, b = crystal("PbS"), crystal("CsPbBr3_cubic")
    factors = {"a": line_strength(a, (2, 0, 0), setup), "b": line_strength(b, (1, 1, 0), setup)}
    found = adiabatic({"a": 0.3 * factors["a"], "b": 0.7 * factors["b"]}, factors)
    assert found["a"].value == pytest.approx(0.3)


def test_refused_fractions():
    with pytest.raises(InputError, match="no factor"):
        adiabatic({"PbS": 1.0}, {})
    with pytest.raises(InputError, match="positive"):
        adiabatic({"PbS": -1.0}, {"PbS": 1.0})
    with pytest.raises(InputError, match="no reflection"):
        line_strength(crystal("PbS"), (1, 0, 0))
