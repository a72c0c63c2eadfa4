"""How long powder patterns take: Debye sums, lattice autocorrelation, sticks, whole-pattern fits.

Targets in CPU seconds: 10,648 displaced atoms under 0.6, 50,653 under 8; perfect crystallites and
joined domains of 50,000 atoms under 1, 200,000 under 5; a fit of three phases under 10.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from heterodot.catalog import crystal
from heterodot.particle import Domain, Particle
from heterodot.probes.xrd import XrdSetup, fit, simulate, sticks

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.xrd.mixtures import mixture
from tests.xrd.test_lattice import joined

SETUP = XrdSetup("CuKa1", range=(10, 60), points=2500, b_iso=0.0, dispersion=False)


def displaced(edge: int) -> SimpleNamespace:
    grid = np.stack(np.meshgrid(*[np.arange(edge)] * 3, indexing="ij"), -1).reshape(-1, 3)
    shake = np.random.default_rng(0).normal(0, 0.05, grid.shape)
    symbols = np.where(grid.sum(1) % 2 == 0, "Pb", "S")
    return SimpleNamespace(symbols=tuple(symbols), positions=grid * 2.968 + shake)


def perfect(edge: int) -> Particle:
    grid = np.stack(np.meshgrid(*[np.arange(edge)] * 3, indexing="ij"), -1).reshape(-1, 3)
    lead = grid.sum(1) % 2 == 0
    n = len(grid)
    return Particle(
        tuple(np.where(lead, "Pb", "S")), grid * 2.968, np.zeros(n, int),
        np.array(["core"] * n), np.where(lead, 2.0, -2.0), (Domain("PbS", crystal("PbS")),),
    )  # fmt: skip


@pytest.mark.parametrize("edge", [10, 22, 37])
def test_debye_of_displaced_atoms(benchmark: Any, edge: int) -> None:
    body = displaced(edge)
    rounds = 1 if edge > 30 else 3
    found = benchmark.pedantic(simulate, (body, SETUP), rounds=rounds, warmup_rounds=1)
    assert found.metadata["error_of_maximum"] < 1e-4


def test_debye_exact(benchmark: Any) -> None:
    body = displaced(22)
    setup = XrdSetup("CuKa1", engine="exact")
    benchmark.pedantic(simulate, (body, setup), rounds=2, warmup_rounds=1)


@pytest.mark.parametrize("edge", [37, 59])
def test_perfect_crystallite(benchmark: Any, edge: int) -> None:
    body = perfect(edge)
    found = benchmark.pedantic(simulate, (body, SETUP), rounds=2, warmup_rounds=1)
    assert found.metadata["engine"] == ["lattice"]


@pytest.mark.parametrize("half", [57.0, 92.0])
def test_joined_domains(benchmark: Any, half: float) -> None:
    bromide = crystal("CsPbBr3_cubic")
    body = joined(bromide, crystal("PbS").replace(cell=bromide.cell), half)
    found = benchmark.pedantic(simulate, (body, SETUP), rounds=1, warmup_rounds=1)
    assert found.metadata["engine"] == ["lattice"]


def test_sticks_of_an_orthorhombic_phase(benchmark: Any) -> None:
    phase = crystal("CsPbBr3_ortho")
    assert len(benchmark(sticks, phase, SETUP)) > 50


def test_fit_of_three_phases(benchmark: Any) -> None:
    names = ("PbS", "CsPbBr3_cubic", "CsPbCl3_cubic")
    parts = [
        (crystal(n), d, w) for n, d, w in zip(names, (40, 60, 50), (0.3, 0.4, 0.3), strict=True)
    ]
    setup = XrdSetup("CuKa", range=(12, 62), points=2500, b_iso=1.5)
    pattern, _ = mixture(parts, setup=setup)
    phases = [crystal(n) for n in names]
    found = benchmark.pedantic(fit, (pattern, phases), rounds=2, warmup_rounds=1)
    assert found.converged
