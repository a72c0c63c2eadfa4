"""Quantities of one variable against values that stand in the catalog on their own."""

from __future__ import annotations

import pytest

from heterodot.catalog import curve, lookup
from heterodot.errors import InputError, NotFoundError
from heterodot.units import Value


@pytest.mark.parametrize("temperature", [4, 300])
def test_gap_of_lead_sulfide_meets_the_measured_ones(temperature):
    found = curve("PbS", "band_gap_of_temperature")(Value(temperature, "K"))
    measured = lookup("PbS", "band_gap", temperature=temperature).value
    assert found.value == pytest.approx(measured.value, abs=0.012)


def test_slope_at_room_temperature_is_the_measured_coefficient():
    gap = curve("PbS", "band_gap_of_temperature")
    slope = (gap(305).value - gap(295).value) / 10
    assert slope == pytest.approx(
        lookup("PbS", "gap_temperature_coefficient").value.value, rel=0.05
    )


def test_index_of_zinc_sulfide_at_the_sodium_line():
    found = curve("ZnS", "refractive_index_of_wavelength")(Value(589.3, "nm"))
    assert found.value == pytest.approx(lookup("ZnS", "refractive_index").value.value, abs=0.003)


def test_refusals():
    with pytest.raises(InputError, match="outside 4 to 400 K"):
        curve("PbS", "band_gap_of_temperature")(900)
    with pytest.raises(NotFoundError, match="band_gap_of_temperature of PbS"):
        curve("CdS", "band_gap_of_temperature")
    with pytest.raises(InputError, match="did you mean"):
        curve("PbSs", "band_gap_of_temperature")
