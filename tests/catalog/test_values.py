"""Look-ups: which value is given, with what source; radii against Shannon's table."""

from __future__ import annotations

import pytest

from heterodot.catalog import Entry, database, ionic_radius, lookup, quantities
from heterodot.errors import InputError, NotFoundError

# Shannon, Acta Cryst. A32, 751 (1976), table 1, read off the paper's columns CN and IR
SHANNON = [
    ("Cs", 1, 6, 1.67), ("Cs", 1, 12, 1.88), ("Pb", 2, 6, 1.19), ("Pb", 2, 12, 1.49),
    ("Cl", -1, 6, 1.81), ("Br", -1, 6, 1.96), ("I", -1, 6, 2.20), ("S", -2, 6, 1.84),
    ("Cd", 2, 4, 0.78), ("Zn", 2, 4, 0.60), ("Cu", 1, 4, 0.60), ("Na", 1, 6, 1.02),
]  # fmt: skip


def test_entry_is_typed_and_has_its_source():
    gap = lookup("PbS", "band_gap")
    assert isinstance(gap, Entry)
    assert gap.value.to("meV").value == pytest.approx(410)
    assert gap.value.to_pint().units == "electron_volt"
    assert gap.source.doi == "10.1103/PhysRev.140.A330"
    assert gap.default
    assert gap.reason
    assert gap.to_json()["unit"] == "eV"


def test_all_gives_the_default_first():
    entries = lookup("PbS", "band_gap", all=True)
    assert [e.default for e in entries] == [True] + [False] * (len(entries) - 1)


def test_temperature_prefers_the_nearest():
    assert lookup("PbS", "band_gap", temperature=10).temperature == 4
    assert lookup("PbS", "band_gap", temperature=290).temperature == 300


def test_phase_id_falls_back_on_its_formula():
    entry = lookup("CsPbBr3_ortho", "exciton_binding_energy")
    assert entry.phase == "CsPbBr3"


def test_polymorph_has_its_own_value():
    assert lookup("CdS_wurtzite", "band_gap").value.value == pytest.approx(2.42)
    assert lookup("CdS", "band_gap").phase == "CdS_zincblende"


def test_reduced_mass_and_kane_energy_agree():
    """Two-band relation 1/mu = (2/3) E_P/E_g of a cubic perovskite with large splitting."""
    for phase in ("CsPbCl3", "CsPbBr3", "CsPbI3"):
        mu = lookup(phase, "reduced_mass").value.value
        gap = lookup(phase, "band_gap", temperature=2).value.value
        kane = lookup(phase, "kane_energy").value
        assert abs(kane.value - 1.5 * gap / mu) < max(kane.error or 0.0, 0.05)


def test_hydrogen_like_binding_is_of_the_measured_order():
    """The measured binding energy gives a dielectric constant between the limits."""
    for phase in ("CsPbBr3", "CsPbI3"):
        mu = lookup(phase, "reduced_mass").value.value
        binding = lookup(phase, "exciton_binding_energy").value.to("eV").value
        effective = (13.606 * mu / binding) ** 0.5
        assert effective > lookup(phase, "dielectric_optical").value.value


@pytest.mark.parametrize(("element", "charge", "coordination", "radius"), SHANNON)
def test_ionic_radii_are_shannons(element, charge, coordination, radius):
    entry = ionic_radius(element, charge, coordination)
    assert entry.value.to("angstrom").value == pytest.approx(radius)
    assert "Shannon" in entry.source.citation


def test_tolerance_factors_of_the_halides():
    """Yang 2024 lists 0.8 for CsPbI3; with twelve-coordinate cesium it is 0.85."""
    x = ionic_radius("I", -1).value.value
    t = (ionic_radius("Cs", 1, 12).value.value + x) / (
        2**0.5 * (ionic_radius("Pb", 2).value.value + x)
    )
    assert t == pytest.approx(0.851, abs=0.001)


def test_radius_by_ion_text():
    assert lookup("Pb2+", "ionic_radius").conditions["coordination"] == "6"
    assert len(lookup("Cs+", "ionic_radius", all=True)) > 3
    with pytest.raises(InputError, match="is not an ion"):
        lookup("Pb", "ionic_radius")


def test_nothing_is_told_with_what_there_is():
    with pytest.raises(InputError, match="did you mean band_gap"):
        lookup("PbS", "bandgap")
    with pytest.raises(InputError, match="did you mean PbS"):
        lookup("PbSs", "band_gap")
    with pytest.raises(NotFoundError, match="it has band_gap"):
        lookup("PMA2PbBr4", "kane_energy")
    with pytest.raises(InputError, match=r"it has \+2 with"):
        ionic_radius("Pb", 3)


def test_quantities_of_a_phase():
    assert "band_gap" in quantities("PbS")
    assert set(quantities("PbS")) <= set(quantities())


def test_unwritable_cache_is_no_hindrance(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("HETERODOT_CACHE", str(blocked / "cache"))
    database._built_in.cache_clear()
    try:
        assert lookup("PbS", "valley_degeneracy").value.value == 4
    finally:
        database._built_in.cache_clear()


def test_damaged_cache_is_rebuilt(monkeypatch, tmp_path):
    from heterodot.catalog import compile as compiling

    found = compiling.digest(database.data_folder())
    (tmp_path / f"catalog-{found[:24]}.sqlite").write_bytes(b"SQLite format 3\x00 but no more")
    monkeypatch.setenv("HETERODOT_CACHE", str(tmp_path))
    database._built_in.cache_clear()
    try:
        assert lookup("PbS", "band_gap").value.unit == "eV"
    finally:
        database._built_in.cache_clear()


def test_two_threads_share_the_catalog():
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: lookup("CdS", "electron_mass").value.value, range(40)))
    assert set(found) == {found[0]}


@pytest.mark.parametrize(("phase", "number"), [("CsPbBr3", 0), ("CsPbBr3", 1), ("CsPbI3", 0)])
def test_binding_mass_and_screening_of_one_study_belong_together(phase, number):
    """A hydrogen-like exciton: E_b = 13.606 eV mu / eps^2."""
    mu = lookup(phase, "reduced_mass", all=True)[number]
    eps = lookup(phase, "dielectric_effective", all=True)[number]
    binding = lookup(phase, "exciton_binding_energy", all=True)[number]
    assert mu.source == eps.source == binding.source
    computed = 13605.7 * mu.value.value / eps.value.value**2
    assert computed == pytest.approx(binding.value.to("meV").value, rel=0.06)


@pytest.mark.parametrize("phase", ["PbS", "CdS", "ZnS_zincblende"])
def test_calculated_deformation_potential_is_near_the_measured_one(phase):
    """Measured pressure coefficients and gaps computed at five volumes: two separate ways."""
    measured, calculated = lookup(phase, "deformation_potential_gap", all=True)
    assert measured.default
    assert "DFT" in calculated.method
    assert 0.7 < calculated.value.value / measured.value.value < 1.0


def test_stated_error_of_the_untilted_perovskites_covers_that_difference():
    ratios = [
        lookup(p, "deformation_potential_gap", all=True)[1].value.value
        / lookup(p, "deformation_potential_gap").value.value
        for p in ("PbS", "CdS", "ZnS_zincblende")
    ]
    for phase in ("CsPbCl3", "CsPbBr3", "CsPbI3"):
        value = lookup(phase, "deformation_potential_gap_untilted").value
        assert value.value > 0  # the gap of a lead halide opens on expansion
        assert value.error >= (1 / min(ratios) - 1) * value.value * 0.7
        with pytest.raises(NotFoundError):  # rigid octahedra are not passed off as the crystal's
            lookup(phase, "deformation_potential_gap")


def test_calculated_values_do_not_displace_measured_ones():
    assert lookup("PbS", "thermal_expansion").value.value == pytest.approx(2.03e-5)
    assert lookup("PbS", "thermal_expansion", temperature=300).value.value == pytest.approx(2.03e-5)
    assert lookup("CsPbBr3", "bulk_modulus").value.value == pytest.approx(15.5)
    other = lookup("PbS", "thermal_expansion", all=True)[1]
    assert other.value.value == pytest.approx(2.03e-5, rel=0.3)
