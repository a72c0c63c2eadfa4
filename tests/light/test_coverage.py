"""Coverage: over 200 noise realizations the 95 percent interval holds the truth 92 to 98 percent."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from heterodot.probes.absorption import elliott, elliott_absorption, first_exciton
from heterodot.probes.emission import band, fit_emission
from heterodot.probes.spectrum import Spectrum
from heterodot.probes.temperature import LAWS, fit_temperature
from heterodot.units import Value

ENERGY = np.linspace(2.05, 2.75, 281)


def edge(rng: np.random.Generator) -> list[tuple[Value, float]]:
    bound, continuum = elliott_absorption(ENERGY, 2.40, 0.040, 0.025)
    fit = elliott(Spectrum(ENERGY, bound + continuum + rng.normal(0, 2e-3, len(ENERGY))))
    return [(fit.gap, 2.40), (fit.binding, 0.040), (fit.exciton, 2.36)]


def exciton(rng: np.random.Generator) -> list[tuple[Value, float]]:
    x = np.linspace(0.7, 1.3, 240)
    y = 0.2 * np.exp(-4 * math.log(2) * ((x - 0.95) / 0.09) ** 2) + 0.05 + 0.1 * (x - 0.7) ** 2
    found = first_exciton(Spectrum(x, y + rng.normal(0, 2e-3, len(x))))
    return [(found.centre, 0.95), (found.width, 0.09)]


def bands(rng: np.random.Generator) -> list[tuple[Value, float]]:
    y = 300 * band("lognormal", ENERGY, 2.40, 0.10, 0.25) + 30
    counts = rng.poisson(y).astype(float)
    found = fit_emission(Spectrum(ENERGY, counts, np.sqrt(y)), bands=1)
    return [(found.peaks[0].energy, 2.40), (found.peaks[0].width, 0.10)]


def varshni(rng: np.random.Generator) -> list[tuple[Value, float]]:
    t, truth = np.linspace(10, 300, 20), {"gap_0": 2.55, "alpha": 4e-4, "beta": 120.0}
    data = LAWS["varshni"].law(truth, t) + rng.normal(0, 2e-4, 20)
    fit = fit_temperature(t, data, "gap", sigma=np.full(20, 2e-4), laws=["varshni"]).fit
    return [(Value(fit[n].value, "", fit[n].error), x) for n, x in truth.items() if n != "beta"]


@pytest.mark.slow
@pytest.mark.parametrize("draw", [edge, exciton, bands, varshni])
def test_intervals_hold_the_truth(
    draw: Callable[[np.random.Generator], list[tuple[Value, float]]],
) -> None:
    inside: list[list[bool]] = []
    for seed in range(200):
        found = draw(np.random.default_rng(1000 + seed))
        inside.append([abs(v.value - truth) < 1.96 * (v.error or 0.0) for v, truth in found])
    share = np.mean(inside, axis=0)
    # 200 draws at 95 percent scatter by 1.5 percent
    assert (share > 0.905).all(), share
    assert (share < 0.99).all(), share
