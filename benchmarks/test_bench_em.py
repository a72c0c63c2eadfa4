"""Speed of image simulation and of column fits (run: pytest benchmarks/test_bench_em.py)."""

from __future__ import annotations

from typing import Any

import pytest

from heterodot.particle import Particle, build
from heterodot.probes.em import (
    EmSetup,
    HrtemSetup,
    StemSetup,
    find_columns,
    preview,
    simulate_hrtem,
    simulate_stem,
)


@pytest.fixture(scope="module")
def cube() -> Particle:
    return build("CsPbBr3", "cube", "3.5 nm")


@pytest.mark.parametrize("mode", ["haadf", "potential"])
def test_preview(benchmark: Any, cube: Particle, mode: str) -> None:
    image = benchmark(preview, cube, EmSetup(pixel=0.1), mode)
    assert image.data.values.max() > 0


def test_columns(benchmark: Any, cube: Particle) -> None:
    image = preview(cube, EmSetup(pixel=0.2))
    found = benchmark(find_columns, image)
    assert len(found) > 100


def test_hrtem(benchmark: Any, cube: Particle) -> None:
    pytest.importorskip("abtem")
    setup = HrtemSetup(phonons=1)
    benchmark.pedantic(simulate_hrtem, (cube, EmSetup(), setup), rounds=1, iterations=1)


def test_stem_of_a_few_cells(benchmark: Any) -> None:
    pytest.importorskip("abtem")
    small = build("PbS", "cube", "2 cells")
    run = {"workers": 1}
    benchmark.pedantic(
        simulate_stem, (small, EmSetup(margin=2.0), StemSetup()), run, rounds=1, iterations=1
    )
