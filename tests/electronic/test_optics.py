"""Oscillator strengths, lifetimes, spectra and sizing curves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.constants import c, electron_mass, elementary_charge, epsilon_0, hbar

from heterodot.electronic import absorption, empirical_gap, exciton, levels_of_shape, sizing_table
from heterodot.electronic.exciton import cross_section_unit, local_field, rate_unit
from heterodot.electronic.ideal import box, sphere
from heterodot.electronic.materials import pure
from heterodot.errors import InputError, NotFoundError


@pytest.fixture(scope="module")
def bromide():
    return levels_of_shape(box("CsPbBr3", (60.0,) * 3, 2.2), (pure("CsPbBr3"),), states=4)


def test_units_of_strength():
    # the area under a line of strength one is 109.76 Mb eV
    assert cross_section_unit() == pytest.approx(1.0976, rel=1e-3)
    omega = 2.0 * elementary_charge / hbar
    rate = elementary_charge**2 * omega**2 / (6 * np.pi * epsilon_0 * electron_mass * c**3)
    assert rate_unit() * 4.0 == pytest.approx(rate * 1e-9, rel=1e-9)


def test_lifetime_of_bromide_cubes_is_nanoseconds(bromide):
    # measured at room temperature: 3 to 20 ns for cubes of 5 to 10 nm
    assert 2 < exciton(bromide).lifetime.value < 20


def test_selection_rules_of_a_cube(bromide):
    pairs = {(t.electron, t.hole): t for t in exciton(bromide).transitions}
    assert pairs[0, 0].overlap > 0.95
    assert max(pairs[0, k].overlap for k in (1, 2, 3)) < 1e-3
    # the three p levels couple among themselves only: rows of overlaps sum to about one
    assert sum(pairs[1, k].overlap for k in (1, 2, 3)) == pytest.approx(1, abs=0.1)


def test_strength_of_the_edge_follows_the_coupling(bromide):
    pairs = {(t.electron, t.hole): t for t in exciton(bromide).transitions}
    edge = pairs[0, 0]
    coupling = bromide.materials[0].electron.coupling
    assert edge.strength == pytest.approx(2 * coupling / edge.energy.value, rel=0.1)


def test_area_under_the_spectrum(bromide):
    energies = np.linspace(1.5, 4.5, 3001)
    spectrum = absorption(bromide, width=0.05, energies=energies)
    strength = sum(t.strength for t in exciton(bromide).transitions)
    index = np.sqrt(bromide.medium.dielectric)
    expected = cross_section_unit() * local_field(bromide) ** 2 / index * strength
    assert np.trapezoid(spectrum.data.values, energies) == pytest.approx(expected, rel=1e-3)
    assert spectrum.data.attrs["units"] == "angstrom^2"
    assert spectrum.notes


def test_spectrum_refuses_a_width_of_zero(bromide):
    with pytest.raises(InputError, match="width"):
        absorption(bromide, width=0.0)


def test_excitons_need_coulomb_terms():
    found = levels_of_shape(sphere("PbS", 30.0, 2.5), (pure("PbS"),), states=1, coulomb=False)
    with pytest.raises(InputError, match="coulomb=True"):
        exciton(found)


@pytest.mark.parametrize(
    ("formula", "phase", "limit"),
    [
        ("PbS", None, 0.08),
        ("CsPbBr3", None, 0.12),
        ("CsPbI3", None, 0.13),
        ("CsPbCl3", None, 0.06),
        ("CdS", "CdS_zincblende", 0.30),
    ],
)
def test_sizing_curves(formula, phase, limit):
    # nothing is fitted to these curves; the limits are the errors that the docs state
    rows = sizing_table(formula, phase=phase, points=20**3)
    assert max(abs(row.difference) for row in rows) < limit


def test_empirical_curves_and_their_range():
    assert empirical_gap("PbS", 30.0).value == pytest.approx(
        0.41 + 1 / (0.0252 * 9 + 0.283 * 3), abs=1e-12
    )
    with pytest.raises(InputError, match="outside"):
        empirical_gap("PbS", 300.0)
    with pytest.raises(NotFoundError, match="no sizing curve"):
        empirical_gap("PbT", 30.0)
