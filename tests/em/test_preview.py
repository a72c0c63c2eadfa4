"""The preview against a sum over atoms written out."""

import math

import numpy as np
import pytest

from heterodot.errors import InputError
from heterodot.particle import build
from heterodot.probes.em import EmSetup, preview
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
