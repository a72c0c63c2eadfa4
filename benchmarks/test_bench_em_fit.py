"""How long lattice images take: strain maps of 2048 x 2048 pixels (target under 3 CPU seconds),
domains, indexing against one pair and against the whole catalog, the interface.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from heterodot.catalog import crystal, phase_names
from heterodot.errors import InputError
from heterodot.measurement import Measurement
from heterodot.probes.em import (
    EmSetup,
    find_grains,
    find_spots,
    geometric_phase,
    index,
    preview,
    read_domains,
)

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.em.microscope import dimer, recorded


def field(n: int = 2048, pixel: float = 0.2) -> Measurement:
    """Return a square lattice of 2.97 Å with a strained half, noise added."""
    at = np.arange(n) * pixel
    bent = np.where(at > at.mean(), at / 1.01, at)
    image = np.add.outer(np.cos(2 * np.pi * at / 2.97), np.cos(2 * np.pi * bent / 2.97))
    image = image + np.random.default_rng(0).normal(0, 0.5, image.shape)
    axis = {"units": "angstrom"}
    coordinates = {"y": ("y", at, axis), "x": ("x", at, axis)}
    data = xr.DataArray(image, dims=("y", "x"), coords=coordinates, attrs={"units": ""})
    return Measurement(data, "image")


@pytest.fixture(scope="module")
def large() -> Measurement:
    """A field of 2048 x 2048 pixels."""
    return field()


@pytest.fixture(scope="module")
def janus() -> Measurement:
    """CsPbBr3/PbS, recorded."""
    particle, _ = dimer("CsPbBr3", "PbS")
    return recorded(preview(particle, EmSetup(zone=(0, 1, 0), tilt=(1, -1))))


def test_strain_maps_2048(benchmark: Any, large: Measurement) -> None:
    benchmark(geometric_phase, large)


def test_spots_2048(benchmark: Any, large: Measurement) -> None:
    benchmark(find_spots, large)


def test_grains_2048(benchmark: Any, large: Measurement) -> None:
    benchmark.pedantic(find_grains, args=(large,), rounds=2)


def test_domains_of_a_dimer(benchmark: Any, janus: Measurement) -> None:
    pair = [crystal("CsPbBr3"), crystal("PbS")]
    benchmark.pedantic(read_domains, args=(janus, pair), rounds=3)


def test_index_against_the_catalog(benchmark: Any, janus: Measurement) -> None:
    crystals = []
    for name in phase_names():
        try:
            crystals.append(crystal(name))
        except InputError:
            continue
    spots = find_grains(janus)[0].spots
    benchmark.pedantic(index, args=(spots, crystals), rounds=2)
