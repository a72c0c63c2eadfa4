"""How long a film at grazing incidence takes: simulated image, reduction by pyFAI, reflections.

No target is set; these say what to expect of a detector of a million pixels.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heterodot.probes.giwaxs import Geometry, fit, reduce, simulate_image, simulate_polar

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.giwaxs.layered import WAVELENGTH, films

GEOMETRY = Geometry.simple(
    (1000, 1000), (172, 172), 180.0, (960, 500), WAVELENGTH, incidence=0.4
)  # fmt: skip


def test_image_of_a_film(benchmark: Any) -> None:
    image = benchmark.pedantic(simulate_image, (films(), GEOMETRY), rounds=2, warmup_rounds=1)
    assert image.data.shape == GEOMETRY.shape


def test_reduction(benchmark: Any) -> None:
    pytest.importorskip("pyFAI")
    image = simulate_image(films(), GEOMETRY, counts=4000)
    found = benchmark.pedantic(reduce, (image, GEOMETRY), rounds=2, warmup_rounds=1)
    assert np.isfinite(found.polar.data.values).any()


def test_reflections_and_orientation(benchmark: Any) -> None:
    q, chi = np.linspace(0.2, 2.6, 600), np.arange(-89.5, 90.0)
    pattern = simulate_polar(films(), q, chi, WAVELENGTH, counts=4000)
    found = benchmark.pedantic(fit, (pattern,), rounds=2, warmup_rounds=1)
    assert len(found.reflections) > 5
