"""Curves that hold nothing, spikes or tiny numbers end in a result or one sentence, never in a loop."""

from __future__ import annotations

import numpy as np
import pytest

from heterodot.errors import HeterodotError
from heterodot.fitting import Parameter, least_squares
from heterodot.probes.absorption import decompose, elliott, first_exciton, scattering, tauc
from heterodot.probes.emission import fit_emission, stability
from heterodot.probes.photodetector import chopped_trace, power_series
from heterodot.probes.spectrum import Spectrum
from heterodot.probes.temperature import fit_temperature

X = np.linspace(0.9, 3.3, 90)
CURVES = {
    "zero": np.zeros(90),
    "one": np.ones(90),
    "noise": np.random.default_rng(0).normal(size=90),
    "tiny": np.random.default_rng(1).normal(size=90) * 1e-13,
    "spike": np.where(np.arange(90) == 40, 50.0, 0.0),
    "falling": -np.exp(-(((X - 2) / 0.1) ** 2)),
    "huge": 1e9 / (1 + np.exp(-(X - 2.2) / 0.05)),
}


@pytest.mark.parametrize("name", CURVES)
def test_every_fit_ends(name: str) -> None:
    y = CURVES[name]
    spectrum = Spectrum(X, y)
    ended: list[str] = []
    for work in (
        lambda: tauc(spectrum),
        lambda: tauc(spectrum, "indirect"),
        lambda: elliott(spectrum),
        lambda: first_exciton(spectrum),
        lambda: decompose(spectrum, ["CsPbBr3", "PbS"]),
        lambda: scattering(spectrum, 2.0),
        lambda: fit_emission(spectrum),
        lambda: stability(X, y),
        lambda: fit_temperature(100 * X, y, "gap"),
        lambda: fit_temperature(100 * X, y, "intensity"),
        lambda: chopped_trace(X, y),
        lambda: power_series(X, y),
    ):
        try:
            ended.append(type(work()).__name__)
        except HeterodotError as error:
            ended.append(str(error))
    assert len(ended) == 12
    assert all(len(text) > 3 for text in ended)


def test_a_curvature_without_numbers_determines_nothing() -> None:
    """A model that overflows in its derivative once sent the error analysis round in circles."""
    x = np.linspace(0, 1, 20)
    fit = least_squares(
        lambda p: np.full(20, 1e-200) * p["a"] + 1e-200 * p["b"] * x,
        [Parameter("a", 1.0), Parameter("b", 1.0)],
        1e-200 * np.ones(20),
    )
    assert fit["a"].error is None or np.isfinite(fit["a"].error)
