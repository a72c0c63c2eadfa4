"""Properties of the checker: right records pass, wrong ones do not, odd ones never crash it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterodot.catalog.check import check_file, check_record
from heterodot.catalog.formula import molar_mass, net_charge, parse_formula
from heterodot.errors import InputError

SALTS = ["PbBr2", "Cs2CO3", "PbCl2", "CdO", "Zn(OAc)2", "Pb(OAc)2.3H2O", "C2H5NS", "S"]


def v(value, unit):
    return {"value": value, "unit": unit}


@given(st.sampled_from(SALTS), st.floats(0.01, 50.0))
def test_a_weighed_amount_passes(salt, amount):
    mass = round(amount * molar_mass(parse_formula(salt)), 2)
    record = {"id": "a", "name": salt, "mass": v(mass, "mg"), "moles": v(amount, "mmol")}
    assert check_record(record) == []


@given(st.sampled_from(SALTS), st.floats(0.01, 50.0), st.sampled_from([0.5, 0.85, 1.15, 2.0, 10.0]))
def test_a_wrong_amount_does_not(salt, amount, slip):
    mass = round(slip * amount * molar_mass(parse_formula(salt)), 4)
    record = {"id": "a", "name": salt, "mass": v(mass, "mg"), "moles": v(amount, "mmol")}
    assert [f.rule for f in check_record(record)] == ["mass against moles"]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_charge_is_the_sum_of_the_ions(cs, pb, s):
    bromide = cs + 2 * pb - 2 * s
    if bromide <= 0:
        return
    text = f"Cs{cs}Pb{pb}S{s}Br{bromide}"
    assert check_record({"id": "a", "formula": text}) == []
    off = check_record({"id": "a", "formula": f"Cs{cs}Pb{pb}S{s}Br{bromide + 1}"})
    assert [f.computed.value for f in off] == [-1]


@given(
    st.dictionaries(
        st.sampled_from(["Pb", "S", "Cl", "Cd", "Zn", "Cu"]), st.integers(1, 400), min_size=1
    )
)
def test_a_formula_is_read_as_written(counts):
    text = "".join(f"{e}{n}" for e, n in counts.items())
    assert parse_formula(text) == counts
    if len(counts) == 1:
        assert net_charge(counts) is None


@given(st.floats(250, 2500))
def test_a_photon_is_one_photon(wavelength):
    energy = 1239.841984 / wavelength
    record = {"id": "a", "energy": v(energy, "eV"), "wavelength": v(wavelength, "nm")}
    assert check_record(record) == []
    record["energy"] = v(energy * 1.02, "eV")
    assert check_record(record)


@given(
    st.lists(st.tuples(st.floats(0.05, 1), st.floats(0.1, 100)), min_size=2, max_size=4),
    st.sampled_from(["amplitude", "intensity"]),
)
def test_an_average_lifetime_lies_between_its_parts(parts, weighting):
    first = sum(a * t for a, t in parts)
    ways = {
        "amplitude": first / sum(a for a, _ in parts),
        "intensity": sum(a * t * t for a, t in parts) / first,
    }
    record = {
        "id": "a",
        "components": [{"amplitude": a, "lifetime": v(t, "ns")} for a, t in parts],
        "average": v(ways[weighting], "ns"),
        "weighting": weighting,
    }
    assert check_record(record) == []
    record["average"] = v(1.3 * max(t for _, t in parts), "ns")
    assert check_record(record)


KEYS = [
    "name", "mass", "moles", "volume", "concentration", "reagents", "steps", "ratios", "share",
    "formula", "charge", "composition", "fractions", "components", "average", "amplitudes",
    "lifetimes", "diffusion", "mobility", "lifetime", "length", "temperature", "phase", "plane",
    "cell", "spacing", "two_theta", "wavelength", "energy", "mismatch", "a", "b", "stated", "facet",
    "reflection", "zone", "direction", "excitation", "derived", "inputs", "equation", "variables",
    "law", "quantity", "value", "unit", "purity", "electron_beam", "tau1", "A1", "tau2", "A2",
]  # fmt: skip
ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-10, 10**6),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(
        ["PbS", "eV", "nm", "3 nm", "", "0", "Pb(", "CsPbBr3", "(200)", "a/b", "deg", "M"]
    ),
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=12,
)


def refused_or_checked(record):
    """Return what is found; a refusal has to name the record."""
    try:
        return check_record({"id": "odd", **record})
    except InputError as error:
        text = str(error)
    assert "odd" in text
    return []


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=7))
def test_odd_records_are_refused_or_checked_but_never_crash(record):
    for found in refused_or_checked(record):
        assert found.message
        assert found.arithmetic


@pytest.mark.parametrize(
    "record",
    [
        {"spacing": v(0, "nm"), "two_theta": v(30, "deg")},
        {"cell": [5.0], "plane": [1, 0, 0], "two_theta": v(0, "deg")},
        {"cell": [0.0], "plane": [1, 0, 0], "spacing": v(3, "nm")},
        {"energy": v(2, "eV"), "wavelength": v(-5, "nm")},
        {"name": "PbS", "mass": v(float("nan"), "g"), "moles": v(1, "mmol")},
        {"concentration": v(-1, "mol/L"), "reagents": [{"name": "PbS", "mass": v(1, "g")}]},
        {"diffusion": v(0, "cm2/s"), "mobility": v(0, "cm2/Vs")},
    ],
)
def test_impossible_numbers(record):
    refused_or_checked(record)


def test_text_that_multiplies_itself_is_refused(tmp_path):
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 9)]
    path = tmp_path / "bomb.yaml"
    path.write_text("records:\n- id: x\n  " + "\n  ".join(lines) + "\n")
    with pytest.raises(InputError, match="more than"):
        check_file(path)


def test_text_that_contains_itself_is_refused(tmp_path):
    path = tmp_path / "loop.yaml"
    path.write_text("- &x\n  id: x\n  inner: *x\n")
    with pytest.raises(InputError, match=r"more than|deep"):
        check_file(path)
