"""Types of the published systems that are cheap enough to compute here; all are in the docs."""

from __future__ import annotations

import numpy as np
import pytest

from heterodot.electronic import alignment, levels_of_shape, pure, robustness
from heterodot.electronic.ideal import block, cube_and_cap, from_distances


def found(first, second, edge, size, sunk=0.25):
    shape = cube_and_cap(first, second, edge, size, sunk=sunk, points=22**3)
    return levels_of_shape(shape, (pure(first), pure(second)))


def test_chloride_with_lead_sulfide_is_type_one_whatever_the_offsets():
    # Livakas (2024): both frontier orbitals on PbS
    firm = robustness(found("CsPbCl3", "PbS", 34.0, 30.0))
    assert firm.probabilities["type I"] > 0.95


def test_cadmium_sulfide_takes_the_electron():
    # Qiu (2023): type II
    firm = robustness(found("CsPbBr3", "CdS", 55.0, 55.0, 0.5))
    assert firm.probabilities["type II"] > 0.6


def test_chalcohalide_holds_the_hole_and_may_share_the_electron():
    # Imran (2021): valence edge on Pb4S3Br2, conduction edge over both: quasi-type II
    levels = found("CsPbBr3", "Pb4S3Br2", 32.0, 42.0, 0.5)
    assert alignment(levels).hole["Pb4S3Br2"] > 0.9
    firm = robustness(levels)
    assert firm.error == pytest.approx(np.hypot(0.3, 0.1))
    assert firm.probabilities["quasi-type II"] > 0.1
    # over the halides the electron moves from the chalcohalide to the perovskite
    shares = [
        alignment(found(first, "Pb4S3Br2", 32.0, 42.0, 0.5)).electron["Pb4S3Br2"]
        for first in ("CsPbCl3", "CsPbI3")
    ]
    assert shares[0] > 0.9 > 0.5 > shares[1]


def test_layered_bromide_beside_the_perovskite_is_type_two():
    # Yang (2024), from photoelectron spectra; the layers' axis is z, the junction across x
    half = np.full(3, 30.0)
    plate = np.array([40.0, 30.0, 30.0])
    bodies = [
        ("CsPbBr3", block(half)),
        ("PMA2PbBr4", block(plate, (70.0, 0.0, 0.0))),
    ]
    shape = from_distances(bodies, -half, [110.0, 30.0, 30.0], points=22**3)
    levels = levels_of_shape(shape, (pure("CsPbBr3"), pure("PMA2PbBr4")))
    assert alignment(levels).type == "type II"
    # nothing confines across the layers: the hole lies below that of the mean mass
    layered = pure("PMA2PbBr4").hole
    assert layered.axis == (0.0, 0.0, 1.0)
    assert layered.longitudinal > 10 * layered.transverse


def test_copper_sulfide_says_that_it_is_full_of_holes():
    levels = found("CsPbCl3", "Cu2-xS", 34.0, 30.0)
    assert alignment(levels).hole["Cu2-xS"] > 0.9
    assert any("free holes" in text for text in levels.warnings)
