"""How long segmentation takes: fields of 2048 x 2048 pixels with 500 particles, under 10 CPU s."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from heterodot.probes.segmentation import segment

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.em.fields import field


@pytest.mark.parametrize("kind", ["sphere", "cube", "platelet"])
def test_field_of_500(benchmark: Any, kind: str) -> None:
    long = {"size": 90.0, "spread": 0.08, "overlap": 0.0} if kind == "platelet" else {}
    truth = field(kind, shape=(2048, 2048), count=500, **long)
    found = benchmark.pedantic(segment, (truth.image, 0.25), rounds=2, warmup_rounds=1)
    assert abs(len(found.particles) - 500) <= 10
