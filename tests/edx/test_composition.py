"""EDX arithmetic against published tables, textbook ratios and sampling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterodot.errors import InputError
from heterodot.probes.edx import (
    composition,
    from_counts,
    overlaps,
    parse_formula,
    stoichiometry,
    width,
)

# Livakas et al., SI Table S1: atomic %, mass %, relative fit error %
LIVAKAS = {
    "S": (21.42, 5.32, 3.79),
    "Cl": (17.18, 4.72, 0.73),
    "Mn": (1.74, 0.74, 1.06),
    "Cs": (11.43, 11.77, 0.05),
    "Pb": (48.23, 77.45, 0.09),
}


def test_published_mass_percent_follow_from_atomic_percent() -> None:
    found = composition({e: row[0] for e, row in LIVAKAS.items()})
    for element, value in found.mass_percent().items():
        assert value.value == pytest.approx(LIVAKAS[element][1], abs=0.011)
    back = composition({e: row[1] for e, row in LIVAKAS.items()}, kind="mass")
    for element, value in back.atomic_percent().items():
        # mass percent are printed to 0.01, which is 0.3 % of the light elements' atomic percent
        assert value.value == pytest.approx(LIVAKAS[element][0], abs=0.05)


def test_published_charges() -> None:
    # Imran et al.: Cs1.05PbBr2.7 and Pb4S2.9Br2.6 by EDX; charges +0.35 and -0.40 e
    for text, charge in [("Cs1.05PbBr2.7", 0.35), ("Pb4S2.9Br2.6", -0.4)]:
        counts = parse_formula(text)
        total = sum(counts.values())
        found = composition({e: 100 * n / total for e, n in counts.items()})
        assert found.charge().value * total == pytest.approx(charge, abs=1e-9)
    chalcohalide = stoichiometry(found, "Pb4S3Br2", reference="Pb")
    assert chalcohalide.counts["Br"].value == pytest.approx(2.6)
    assert any("do not balance: -0.40 e" in w for w in chalcohalide.warnings)


def test_neutral_formula_does_not_warn() -> None:
    found = composition({"Cs": 20, "Pb": 20, "Br": 60}, relative_error=3)
    assert stoichiometry(found, "CsPbBr3").warnings == ()


@given(
    st.lists(st.floats(1.0, 50.0), min_size=3, max_size=3),
    st.floats(0.5, 5.0),
)
def test_errors_are_those_of_sampling(amounts: list[float], relative: float) -> None:
    elements = ("Pb", "S", "Br")
    table = dict(zip(elements, amounts, strict=True))
    found = composition(table, relative_error=relative)
    rng = np.random.default_rng(3)
    draws = np.array(amounts) * (1 + relative / 100 * rng.normal(size=(4000, 3)))
    sampled = 100 * (draws / draws.sum(1, keepdims=True)).std(0)
    for k, value in enumerate(found.atomic_percent().values()):
        assert value.error == pytest.approx(sampled[k], rel=0.08, abs=1e-3)
    mass = draws * np.array([207.2, 32.06, 79.904])
    sampled = 100 * (mass / mass.sum(1, keepdims=True)).std(0)
    for k, value in enumerate(found.mass_percent().values()):
        assert value.error == pytest.approx(sampled[k], rel=0.08, abs=1e-3)


def test_there_and_back() -> None:
    mass = composition({e: row[0] for e, row in LIVAKAS.items()}, relative_error=2).mass_percent()
    back = composition(mass, kind="mass").atomic_percent()
    for element, row in LIVAKAS.items():
        assert back[element].value == pytest.approx(row[0], rel=1e-9)


def test_cliff_lorimer_of_equal_masses() -> None:
    found = from_counts({"Cs": 1329.05 * 4, "Br": 799.04 * 4}, {"Cs": 1.0, "Br": 1.0})
    assert found.ratio_to("Cs")["Br"].value == pytest.approx(1.0, rel=1e-3)
    error = found.ratio_to("Cs")["Br"].error
    assert error == pytest.approx((1 / 5316 + 1 / 3196) ** 0.5, rel=0.01)


def test_overlaps_of_sulfur_and_lead_only_where_they_are() -> None:
    assert any("S K" in w and "Pb M" in w for w in overlaps(["Cs", "Pb", "S", "Cl"]))
    assert overlaps(["Cs", "Pb", "Br"]) == []
    assert any("Zn L" in w for w in overlaps(["Na", "Zn"]))
    # 130 eV at manganese is about 80 eV at sulfur
    assert width(5.8988) == pytest.approx(0.130)
    assert 0.07 < width(2.31) < 0.10


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: composition({}), "empty"),
        (lambda: composition({"Pb": -1}), "positive"),
        (lambda: composition({"Pb": float("nan")}), "positive"),
        (lambda: composition({"Qx": 50, "Pb": 50}), "not an element"),
        (lambda: composition({"Pb": 50}, kind="weight"), "atomic or mass"),
        (lambda: parse_formula("Pb4S3Br2)"), "not a formula"),
        (lambda: from_counts({"Pb": 1}, {}), "no k-factor"),
        (lambda: stoichiometry(composition({"Pb": 100}), "CdS"), "none of the elements"),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()  # type: ignore[operator]


def test_a_sum_away_from_hundred_is_said() -> None:
    assert "sum to 88.00" in composition({"Pb": 44, "S": 44}).warnings[0]


def test_counts_in_the_formula_scale_have_the_errors_of_sampling() -> None:
    amounts = {"Pb": 41.0, "S": 31.0, "Br": 22.0, "Cu": 6.0}
    rng = np.random.default_rng(5)
    for reference in (None, "Pb"):
        found = stoichiometry(
            composition(amounts, relative_error=2), "Pb4S3Br2", reference=reference
        )
        rows = []
        for _ in range(1500):
            noisy = {e: v * (1 + 0.02 * rng.normal()) for e, v in amounts.items()}
            one = stoichiometry(composition(noisy), "Pb4S3Br2", reference=reference)
            assert one.charge is not None
            rows.append([*[v.value for v in one.counts.values()], one.charge.value])
        sampled = np.std(rows, axis=0)
        assert found.charge is not None
        stated = [v.error for v in [*found.counts.values(), found.charge]]
        assert np.allclose(stated, sampled, rtol=0.1, atol=1e-9)
        assert found.extra["Cu"].value > 0


def test_several_oxidation_states_follow_from_the_formula() -> None:
    table = composition({"Sn": 100 / 3, "S": 200 / 3}, relative_error=1)
    assert stoichiometry(table, "SnS2").warnings == ()
    gold = stoichiometry(composition({"Au": 50, "Xe": 50}), "AuXe")
    assert any("not checked" in w for w in gold.warnings)
