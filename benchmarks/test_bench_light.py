"""How long spectra take: reading, edges, excitons, domains, bands, and what peers need to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heterodot.catalog.sizing import sizing_curve
from heterodot.formats.columns import read_columns
from heterodot.probes.absorption import decompose, elliott, elliott_absorption, first_exciton, tauc
from heterodot.probes.emission import band, fit_emission
from heterodot.probes.photodetector import chopped_trace
from heterodot.probes.spectrum import Spectrum
from heterodot.probes.temperature import LAWS, fit_temperature

ENERGY = np.linspace(1.9, 2.9, 501)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    file = tmp_path_factory.mktemp("columns") / "matrix.csv"
    np.savetxt(file, rng.normal(size=(600, 301)), delimiter=",", fmt="%.6e", header="", comments="")
    return file


@pytest.fixture(scope="module")
def film() -> Spectrum:
    bound, continuum = elliott_absorption(ENERGY, 2.40, 0.035, 0.03)
    noise = np.random.default_rng(0).normal(0, 1e-3, len(ENERGY))
    return Spectrum(ENERGY, 2 * (bound + continuum) + noise)


def test_read_600_by_301(benchmark: Any, table: Path) -> None:
    assert benchmark(read_columns, table).n_columns == 301


def test_read_600_by_301_numpy_genfromtxt(benchmark: Any, table: Path) -> None:
    assert benchmark(np.genfromtxt, table, delimiter=",").shape == (600, 301)


def test_read_600_by_301_numpy_loadtxt(benchmark: Any, table: Path) -> None:
    assert benchmark(np.loadtxt, table, delimiter=",").shape == (600, 301)


def test_tauc(benchmark: Any, film: Spectrum) -> None:
    assert benchmark(tauc, film).edge.value < 2.4


def test_first_exciton(benchmark: Any, film: Spectrum) -> None:
    assert benchmark(first_exciton, film).energy.value < 2.5


def test_elliott(benchmark: Any, film: Spectrum) -> None:
    assert benchmark(elliott, film).adequate


def test_two_domains(benchmark: Any) -> None:
    x = np.linspace(2.1, 3.4, 500)
    cds = sizing_curve("CdS").energy(5.0)
    y = 0.3 * band("gaussian", x, 2.5, 0.09, 0) + 0.1 * band("gaussian", x, cds, 0.12, 0)
    y = y + 0.3 / (1 + np.exp(-(x - 2.65) / 0.03)) + 0.1 / (1 + np.exp(-(x - cds - 0.15) / 0.04))
    y = y + np.random.default_rng(0).normal(0, 1e-3, len(x))
    found = benchmark(decompose, Spectrum(x, y), ["CsPbBr3", "CdS"])
    assert len(found.domains) == 2


def test_bands_by_evidence(benchmark: Any) -> None:
    rng = np.random.default_rng(0)
    y = rng.poisson(1000 * band("lognormal", ENERGY, 2.4, 0.1, 0.1) + 20).astype(float)
    assert len(benchmark(fit_emission, Spectrum(ENERGY, y)).peaks) == 1


def test_temperature_laws(benchmark: Any) -> None:
    t = np.linspace(10, 300, 30)
    y = LAWS["varshni"].law({"gap_0": 2.5, "alpha": 4e-4, "beta": 120.0}, t)
    y = y + np.random.default_rng(0).normal(0, 2e-4, 30)
    benchmark(fit_temperature, t, y, "gap", sigma=np.full(30, 2e-4))


def test_trace_of_100000_samples(benchmark: Any) -> None:
    t = np.arange(100_000) * 1e-3
    y = 1e-9 + 9e-9 * (np.mod(t, 2.0) > 1.0)
    y = y + np.random.default_rng(0).normal(0, 1e-11, len(t))
    assert benchmark(chopped_trace, t, y).cycles == 50
