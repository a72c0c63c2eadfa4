"""Samples of Livakas2024 and the series of Yang2024, made as particle models and found again."""

from __future__ import annotations

import pytest

from heterodot.catalog import crystal
from heterodot.crystal import Crystal
from heterodot.probes.xrd import XrdSetup, fit, suggest

from .mixtures import mixture

COMPETITORS = (
    "CsPbCl3_cubic", "PbS", "Cu2S_antifluorite", "CsPbBr3_cubic", "CdS_zincblende", "Pb4S3Br2",
)  # fmt: skip


def chlorine_chalcohalide() -> Crystal:
    """Pb4S3Cl2 as its bromine relative with chlorine on the halide sites, 1.5 % smaller.

    The published structure is an adaptation of Pb4S3Br2; its own cell is not in the catalog.
    """
    bromide = crystal("Pb4S3Br2")
    numbers = bromide.numbers.copy()
    numbers[numbers == 35] = 17
    return bromide.replace(
        name="Pb4S3Cl2_model", cell=bromide.cell * 0.985, numbers=numbers, labels=(), charges=None
    )


SAMPLES = {
    # name: parts as (phase, diameter in Å, weight fraction), hump of fumed silica
    "TMS": ([("CsPbCl3_cubic", 36.0, 0.45), ("PbS", 32.0, 0.55)], 0.5),
    "copper-exchanged": ([("CsPbCl3_cubic", 45.0, 0.6), ("Cu2S_antifluorite", 34.0, 0.4)], 0.4),
    "220 C": (
        [("CsPbCl3_cubic", 70.0, 0.35), ("PbS", 45.0, 0.35), ("Pb4S3Cl2_model", 60.0, 0.3)], 0.2,
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLES)
def test_three_samples_of_livakas2024(name):
    known = {n: crystal(n) for n in COMPETITORS} | {"Pb4S3Cl2_model": chlorine_chalcohalide()}
    parts, silica = SAMPLES[name]
    made = [(known[n], size, w) for n, size, w in parts]
    pattern, truth = mixture(made, seed=21, silica=silica, counts=20000)
    found = suggest(pattern, list(known.values()), XrdSetup("CuKa"), most=4)
    assert {c.name for c in found.candidates if c.present} == set(truth)
    rows = found.fit.extra["phases"]
    assert rows["silica"]["present"]
    assert 19 < rows["silica"]["two_theta"] < 23
    for phase, true in truth.items():
        assert abs(rows[phase]["weight_fraction"].value - true["fraction"]) < 0.03
        assert rows[phase]["size"].value == pytest.approx(true["size"], rel=0.10)


def test_etched_sample_has_no_perovskite():
    """After etching, the reflections of CsPbCl3 are gone; the fit must say so."""
    pattern, _ = mixture([(crystal("PbS"), 34.0, 1.0)], seed=22, silica=0.5)
    found = fit(pattern, [crystal("CsPbCl3_cubic"), crystal("PbS")], XrdSetup("CuKa"))
    rows = found.extra["phases"]
    assert rows["PbS"]["present"]
    assert not rows["CsPbCl3_cubic"]["present"]


def test_mass_fraction_rises_along_the_series_of_yang2024():
    """From Pb/S 1:1 to 1:30 the bromide shrinks (9.4 to 6 nm), the sulfide grows (2.9 to 3.4 nm).

    With one sulfide sphere a cube, as pictured, its share by mass must rise from a few to more
    than ten percent; the fit has to find both ends.
    """
    bromide, sulfide = crystal("CsPbBr3_cubic"), crystal("PbS")
    shares, found = [], []
    for edge, diameter in ((94.0, 29.0), (60.0, 34.0)):
        mass_b = edge**3 * bromide.density
        mass_s = 3.14159 / 6 * diameter**3 * sulfide.density
        share = mass_s / (mass_s + mass_b)
        shares.append(share)
        pattern, _ = mixture(
            [(sulfide, diameter, share), (bromide, edge, 1 - share)], seed=23, silica=0.0,
            counts=40000,
        )  # fmt: skip
        result = fit(pattern, [bromide, sulfide], XrdSetup("CuKa"), silica=False)
        found.append(result.extra["phases"]["PbS"]["weight_fraction"].value)
    assert shares[0] < 0.03 < 0.10 < shares[1]
    assert found[0] == pytest.approx(shares[0], abs=0.02)
    assert found[1] == pytest.approx(shares[1], abs=0.02)
    assert found[1] > found[0] + 0.05
