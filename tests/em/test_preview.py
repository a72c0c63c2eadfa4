"""The preview against a sum over atoms written out, and the relation of our own dimer."""

import math

import numpy as np
import pytest

from heterodot.catalog import crystal
from heterodot.epitaxy import search
from heterodot.errors import InputError
from heterodot.particle import build
from heterodot.probes.em import EmSetup, find_spots, index, measured_relation, preview
from heterodot.probes.em.orientation import misorientation
from heterodot.probes.em.preview import projected


def test_haadf_is_the_sum_of_gaussians() -> None:
    particle = build("PbS", "cube", "3 cells")
    setup = EmSetup(zone=(1, 1, 0), blur=1.2, tilt=(3, 1), exponent=2.0)
    image = preview(particle, setup)
    seen, _ = projected(particle, setup)
    s2 = setup.blur**2 / (8 * math.log(2)) + setup.b_iso / (8 * math.pi**2)
    x, y = image.data["x"].values, image.data["y"].values
    gx, gy = (np.exp(-((a[:, None] - seen[:, k]) ** 2) / (2 * s2)) for k, a in ((0, x), (1, y)))
    direct = (gy * particle.numbers**2.0) @ gx.T / (2 * math.pi * s2)
    assert np.abs(image.data.values - direct).max() < 2e-3 * direct.max()


def test_thinner_means_fewer_atoms_and_bad_axes_are_refused() -> None:
    particle = build("PbS", "cube", "3 cells")
    thin = preview(particle, EmSetup(thickness=6.0)).metadata["atoms"]
    assert 0 < thin < len(particle)
    with pytest.raises(InputError):
        EmSetup(zone=(0, 0, 0))


def test_relation_of_our_dimer_from_two_zone_axes() -> None:
    a, b = crystal("CsPbCl3"), crystal("PbS")
    relation = next(iter(search(a, b)))
    dimer = build(a, "cube", "3.4 nm", b, "cuboctahedron", "3.0 nm", relation)
    pairs = []
    for zone in (relation.direction_a, relation.direction2_a):
        setup = EmSetup(zone=zone)
        image = preview(dimer, setup, "potential")
        seen, _ = projected(dimer, setup)
        found = []
        for k, phase in enumerate((a, b)):
            low, high = seen[dimer.domain == k].min(0) - 7, seen[dimer.domain == k].max(0) + 7
            region = (low[0], high[0], low[1], high[1])
            best = index(find_spots(image, region), [a, b])[0]
            assert best.crystal.name == phase.name
            found.append(best)
        pairs.append((found[0], found[1]))
    measured = measured_relation(pairs, [relation])
    assert misorientation(measured.rotation, relation.rotation, a, b) < 1.0
    assert measured.candidates[0][1] < 1.0
