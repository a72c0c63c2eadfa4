"""Patterns of mixtures made from particle models by the Debye equation, with everything known."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import xarray as xr
from ase.data import atomic_masses, atomic_numbers

from heterodot.crystal import Crystal
from heterodot.measurement import Measurement
from heterodot.probes.xrd import XrdSetup, simulate
from heterodot.probes.xrd.pattern import _added


def ball(crystal: Crystal, diameter: float, rng: np.random.Generator) -> SimpleNamespace:
    """All atoms within a sphere at a random place in the crystal."""
    n = int(diameter / 2 / min(crystal.cellpar[:3])) + 2
    grid = np.stack(np.meshgrid(*[np.arange(-n, n + 1)] * 3, indexing="ij"), -1).reshape(-1, 3)
    positions = ((grid[:, None] + crystal.scaled[None]) @ crystal.cell).reshape(-1, 3)
    positions = positions - rng.uniform(-3, 3, 3)
    symbols = np.array(list(crystal.symbols) * len(grid))
    keep = np.linalg.norm(positions, axis=1) < diameter / 2
    return SimpleNamespace(symbols=tuple(symbols[keep]), positions=positions[keep])


def mass(body: SimpleNamespace) -> float:
    return float(sum(atomic_masses[atomic_numbers[s]] for s in body.symbols))


def mixture(
    parts: list[tuple[Crystal, float, float]],
    *,
    seed: int = 0,
    setup: XrdSetup | None = None,
    counts: float = 15000,
    silica: float = 0.2,
    background: tuple[float, ...] = (0.3, -0.12, 0.05),
    zero: float = 0.0,
    spread: float = 0.12,
) -> tuple[Measurement, dict[str, dict[str, float]]]:
    """Return a pattern with counting noise, and the truth: fraction, volume-weighted size, cell.

    Parameters
    ----------
    parts : list of (crystal, median diameter in Å, weight fraction)
    """
    rng = np.random.default_rng(seed)
    setup = setup or XrdSetup("CuKa", range=(15, 60), points=1100, b_iso=1.5)
    total = np.zeros(setup.points)
    truth = {}
    z = np.array([-1.3, 0.0, 1.3])
    number = np.exp(-(z**2) / 2)
    for crystal, diameter, fraction in parts:
        bodies = [ball(crystal, diameter * np.exp(spread * u), rng) for u in z]
        masses = np.array([mass(b) for b in bodies])
        pattern = simulate(bodies, setup, weights=list(number)).data.values
        total += fraction * pattern * number.sum() / (number @ masses)
        sizes = (masses / crystal.density * 1.66054 * 6 / np.pi) ** (1 / 3)
        truth[crystal.name] = {
            "fraction": fraction,
            "size": float((number * masses) @ sizes / (number @ masses)),
            "a": crystal.cellpar[0],
        }
    total /= total.max()
    total += _added(
        setup.two_theta, dataclasses.replace(setup, background=background, silica=silica)
    )
    values = rng.poisson(total * counts).astype(float)
    return as_measurement(setup.two_theta + zero, values), truth


def as_measurement(two_theta: np.ndarray, values: np.ndarray, **metadata: object) -> Measurement:
    data = xr.DataArray(
        np.asarray(values, dtype=float),
        dims="two_theta",
        coords={"two_theta": ("two_theta", two_theta, {"units": "deg"})},
        attrs={"units": ""},
    )
    return Measurement(data, "xrd", "mixture.xy", "", metadata)
