"""Time of levels, attraction, images, diabatic states (run with ``pytest benchmarks``)."""

from __future__ import annotations

import pytest

from heterodot.electronic import levels_of_shape, robustness, transfer, transfer_trend
from heterodot.electronic.ideal import cube_and_cap
from heterodot.electronic.materials import pure
from heterodot.electronic.poisson import Dielectric, self_energy


@pytest.fixture(scope="module")
def bulk():
    materials = (pure("CsPbCl3"), pure("PbS"))
    levels_of_shape(cube_and_cap("CsPbCl3", "PbS", 30.0, 26.0, 3.0), materials, states=1)
    return materials


@pytest.mark.parametrize("spacing", [2.0, 1.25, 1.05])  # 1.05 Å makes about 64³ voxels
def test_levels_with_coulomb(benchmark, bulk, spacing):
    shape = cube_and_cap("CsPbCl3", "PbS", 50.0, 44.0, spacing)
    benchmark.pedantic(levels_of_shape, (shape, bulk), {"states": 3}, rounds=2)


# goals in CPU seconds: 5 at 64³, 20 at 96³, 150 at 160³; 3, 9 and 48 were measured
@pytest.mark.parametrize("voxels", [64, 96, 160])
def test_levels_in_a_box(benchmark, bulk, voxels):
    shape = cube_and_cap("CsPbCl3", "PbS", 50.0, 44.0, 69.8 / voxels)
    benchmark.pedantic(levels_of_shape, (shape, bulk), {"states": 3}, rounds=1)


def test_robustness(benchmark, bulk):
    found = levels_of_shape(cube_and_cap("CsPbCl3", "PbS", 50.0, 44.0, 1.09), bulk, states=3)
    benchmark.pedantic(robustness, (found,), rounds=2)


def test_shape(benchmark):
    benchmark.pedantic(cube_and_cap, ("CsPbCl3", "PbS", 50.0, 44.0, 1.05), rounds=2)


def test_poisson(benchmark):
    shape = cube_and_cap("CsPbCl3", "PbS", 50.0, 44.0, 1.9)
    problem = Dielectric(shape, [6.5, 17.2], 2.07)
    density = shape.fractions[1] / (shape.fractions[1].sum() * shape.spacing**3)
    benchmark(problem.potential, density)


def test_images(benchmark):
    shape = cube_and_cap("CsPbCl3", "PbS", 50.0, 44.0, 1.9)
    benchmark.pedantic(self_energy, (shape, [6.5, 17.2], 2.07), rounds=2)


def test_transfer(benchmark, bulk):
    shape = cube_and_cap("CsPbCl3", "PbS", 34.0, 30.0, 2.4)
    found = levels_of_shape(shape, bulk, states=14)
    benchmark.pedantic(transfer, (found,), {"donor": "CsPbCl3"}, rounds=2)


@pytest.mark.parametrize("edge", [55.0, 100.0])  # 10 and 52 electron levels; 164 Å has 217
def test_transfer_over_sizes(benchmark, edge):
    run = ("CsPbBr3", "CdS", [edge])
    benchmark.pedantic(transfer_trend, run, {"points": 28**3, "samples": 100}, rounds=1)
