"""Mixtures of phases against compositions that were mixed, and published tables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from heterodot.errors import InputError
from heterodot.probes.edx import (
    Composition,
    composition,
    disagreement,
    inflation,
    mixture,
    overlap_consequences,
    parse_formula,
    stoichiometry,
)

from .test_composition import LIVAKAS


def mixed(parts: dict[str, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for formula, amount in parts.items():
        for element, n in parse_formula(formula).items():
            found[element] = found.get(element, 0.0) + amount * n
    total = sum(found.values())
    return {e: 100 * n / total for e, n in found.items()}


@settings(max_examples=30, deadline=None)
@given(st.floats(0.02, 0.98), st.floats(0.02, 0.98))
def test_what_was_mixed_comes_back(a: float, b: float) -> None:
    parts = {"CsPbBr3": a * b, "PbS": a * (1 - b), "Pb4S3Br2": 1 - a}
    for error in (None, 3.0):
        found = mixture(composition(mixed(parts), relative_error=error), list(parts))
        for share in found.shares:
            assert share.mole.value == pytest.approx(parts[share.formula], abs=1e-6)
        assert found.rms < 1e-6
        assert found.freedom == 1
        assert found.explained is True


def test_errors_are_those_of_noisy_tables_and_chi2_is_of_its_law() -> None:
    truth = mixed({"CsPbBr3": 0.3, "PbS": 0.7})
    rng = np.random.default_rng(2)
    rows, chi2, stated = [], [], 0.0
    for _ in range(400):
        noisy = {e: v * (1 + 0.03 * rng.normal()) for e, v in truth.items()}
        found = mixture(composition(noisy, relative_error=3), ["CsPbBr3", "PbS"])
        rows.append(found.shares[0].mole.value)
        chi2.append(found.chi2)
    exact = mixture(composition(truth, relative_error=3), ["CsPbBr3", "PbS"])
    stated = exact.shares[0].mole.error or 0.0
    assert np.std(rows) == pytest.approx(stated, rel=0.12)
    assert np.mean(rows) == pytest.approx(0.3, abs=3 * stated / 20)
    assert exact.freedom == 2
    assert np.mean([c for c in chi2 if c is not None]) == pytest.approx(2, rel=0.2)


def test_weighted_amounts_are_the_minimum_found_by_another_program() -> None:
    table = composition({e: r[0] for e, r in LIVAKAS.items()}, relative_error=4)
    found = mixture(table, ["CsPbCl3", "PbS"])
    assert table.covariance is not None
    inside = [e != "Mn" for e in table.elements]
    part = table.fractions[inside] / table.fractions[inside].sum()
    slope = (np.eye(4) - part[:, None]) / table.fractions[inside].sum()
    covariance = slope @ table.covariance[np.ix_(inside, inside)] @ slope.T
    weight = np.linalg.pinv(covariance, rcond=1e-9)
    columns = np.array([[parse_formula(f).get(e, 0) for f in ("CsPbCl3", "PbS")]
                        for e in table.elements if e != "Mn"])  # fmt: skip

    def misfit(share: float) -> float:
        atoms = columns @ np.array([share, 1 - share])
        rest = part - atoms / atoms.sum()
        return float(rest @ weight @ rest)

    best = minimize(lambda p: misfit(p[0]), [0.5], method="Nelder-Mead", options={"xatol": 1e-8})
    # the amounts are free up to the sum of atoms, which is one for both
    assert found.shares[0].mole.value == pytest.approx(best.x[0], abs=1e-4)
    assert found.chi2 == pytest.approx(best.fun, rel=1e-3)


def test_table_s1_of_livakas_is_no_mixture_of_its_two_phases() -> None:
    table = composition({e: r[0] for e, r in LIVAKAS.items()}, relative_error=4)
    found = mixture(table, ["CsPbCl3", "PbS"])
    assert found.explained is False
    assert any("do not explain" in w and "Pb" in w for w in found.warnings)
    # a sum of formal charges of half an electron per atom: halide and sulfide are far too few
    assert found.shares[0].mole.error is not None
    charge = table.charge()
    assert charge.value == pytest.approx(
        (11.43 + 2 * 48.23 + 2 * 1.74 - 17.18 - 2 * 21.42) / 100, abs=1e-6
    )
    assert charge.value > 10 * (charge.error or 0)


def test_published_domains_of_imran() -> None:
    chalcohalide = composition({"Pb": 4, "S": 2.9, "Br": 2.6}, relative_error=5)
    found = mixture(chalcohalide, ["Pb4S3Br2", "PbBr2"])
    # the surplus bromine as lead bromide: 0.34 Pb and 0.6 Br per formula unit
    assert found.explained is True
    assert 0.1 < found.shares[1].mole.value < 0.4
    perovskite = stoichiometry(composition({"Cs": 1.05, "Pb": 1, "Br": 2.7}), "CsPbBr3")
    assert perovskite.charge is not None
    assert perovskite.charge.value == pytest.approx(0.37, abs=0.03)


def test_cadmium_sulfide_of_qiu_has_equal_cadmium_and_sulfur() -> None:
    # ICP-OES of the CdS domains, Cd/S/Pb = 1/0.997/0.008
    table = composition({"Cd": 1.0, "S": 0.997, "Pb": 0.008}, relative_error=3)
    found = mixture(table, ["CdS", "PbS"])
    assert found.explained is True
    assert found.shares[1].mole.value == pytest.approx(0.008, abs=0.003)


def test_a_foreign_element_does_not_move_the_shares() -> None:
    clean = mixed({"CsPbBr3": 0.3, "PbS": 0.7})
    found = mixture(composition({**clean, "Mn": 2.0}, relative_error=4), ["CsPbBr3", "PbS"])
    assert found.shares[0].mole.value == pytest.approx(0.3, abs=1e-6)
    assert found.explained is True
    assert any("Mn (2.0 atomic percent) is in none" in w for w in found.warnings)
    much = mixture(composition({**clean, "Zn": 30.0}, relative_error=4), ["CsPbBr3", "PbS"])
    assert much.explained is False
    assert any("lack elements" in w for w in much.warnings)


def test_a_phase_that_is_not_there_is_none() -> None:
    table = composition(mixed({"PbS": 1.0}) | {"Br": 0.0, "Cs": 0.0}, relative_error=3)
    found = mixture(table, ["CsPbBr3", "PbS"])
    assert found.shares[0].mole.value == pytest.approx(0, abs=1e-9)
    assert found.shares[1].mole.value == pytest.approx(1)


def test_mass_taken_for_atomic_percent_is_noticed() -> None:
    truth = composition(mixed({"CsPbBr3": 0.5, "PbS": 0.5}))
    mass = {e: v.value for e, v in truth.mass_percent().items()}
    wrong = mixture(composition(mass, relative_error=3), ["CsPbBr3", "PbS"])
    assert any("read as mass percent the phases fit far better" in w for w in wrong.warnings)
    right = mixture(composition(mass, kind="mass", relative_error=3), ["CsPbBr3", "PbS"])
    assert right.warnings == ()
    assert right.explained is True


def test_mass_column_that_does_not_follow_is_said() -> None:
    atomic = {e: r[0] for e, r in LIVAKAS.items()}
    mass = {e: r[1] for e, r in LIVAKAS.items()}
    assert disagreement(atomic, mass) == []
    assert "Pb: 70.00" in disagreement(atomic, {**mass, "Pb": 70.0, "S": 12.77})[-1]


def test_overlap_is_worse_where_the_neighbor_is_stronger() -> None:
    free = inflation(["S", "Cs L"], {"S": 1000, "Cs L": 1000}, {"S": "K"}, "S")
    equal = inflation(["S", "Pb M"], {"S": 1000, "Pb M": 1000}, {"S": "K"}, "S")
    strong = inflation(["S", "Pb M"], {"S": 1000, "Pb M": 10000}, {"S": "K"}, "S")
    assert free == pytest.approx(1, abs=0.01)
    assert 1.2 < equal < strong
    said = overlap_consequences(composition({e: r[0] for e, r in LIVAKAS.items()}))
    assert len(said) == 1
    # mass percent 77.45 and 5.32: a percent of the lead is 15 % of the sulfur
    assert "raises S by 14.6 %" in said[0]


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ([], "no phase"),
        (["PbS", "PbS"], "twice"),
        (["PbS", "Pb2S2"], "do not tell"),
        (["ZnO"], "none of the phases"),
        (["PbQ"], "not an element"),
    ],
)
def test_bad_phases(phases: list[str], message: str) -> None:
    table: Composition = composition({"Pb": 50, "S": 50})
    with pytest.raises(InputError, match=message):
        mixture(table, phases)
