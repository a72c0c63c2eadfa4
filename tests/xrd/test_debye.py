"""The Debye equation against the direct double sum, analytic limits and bulk reflections."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from heterodot.errors import InputError
from heterodot.probes.xrd import XrdSetup, simulate, sticks
from heterodot.probes.xrd.debye import debye, pair_sums
from heterodot.probes.xrd.scattering import dispersion, form_factors


def rock_salt(m: int, displacement: float, seed: int = 0) -> SimpleNamespace:
    grid = np.stack(np.meshgrid(*[np.arange(m)] * 3, indexing="ij"), -1).reshape(-1, 3)
    shake = np.random.default_rng(seed).normal(0, displacement, grid.shape) if displacement else 0
    symbols = np.where(grid.sum(1) % 2 == 0, "Pb", "S")
    return SimpleNamespace(symbols=tuple(symbols), positions=grid * 2.968 + shake)


def double_sum(symbols, positions, q, b=0.0, wavelength=None):
    """Each atom with each atom, one q at a time."""
    elements = sorted(set(symbols))
    index = np.array([elements.index(s) for s in symbols])
    f = form_factors(elements, q).astype(complex)
    if wavelength:
        f = f + dispersion(elements, wavelength)[:, None]
    distance = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    total = []
    for k, value in enumerate(q):
        own = f[index, k]
        damping = np.full(distance.shape, np.exp(-2 * b * (value / 4 / np.pi) ** 2))
        np.fill_diagonal(damping, 1.0)
        total.append((own @ (np.sinc(value * distance / np.pi) * damping) @ own.conj()).real)
    return np.array(total)


@pytest.mark.parametrize("displacement", [0.0, 0.05])
@pytest.mark.parametrize(("exact", "limit"), [(True, 1e-6), (False, 1e-4)])
def test_against_the_double_sum(displacement, exact, limit):
    body = rock_salt(7, displacement)
    q = np.linspace(0.3, 8.0, 120)
    truth = double_sum(body.symbols, body.positions, q, 0.8, 1.5406)
    found = debye(body.symbols, body.positions, q, b_iso=0.8, exact=exact, wavelength=1.5406)
    assert np.abs(found - truth).max() < limit * truth.max()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.05, 1.0), st.integers(2, 60))
def test_random_bodies(seed, low, n):
    rng = np.random.default_rng(seed)
    positions = rng.permutation(np.stack(np.meshgrid(*[np.arange(4)] * 3), -1).reshape(-1, 3))[:n]
    positions = positions * 2.5 + rng.uniform(-0.4, 0.4, (n, 3))
    symbols = rng.choice(["Cs", "Pb", "Br"], n)
    q = np.linspace(low, 12.0, 40)
    truth = double_sum(symbols, positions, q)
    assert np.allclose(
        debye(symbols, positions, q, exact=True), truth, atol=1e-6 * truth.max(), rtol=0
    )


def test_forward_scattering_counts_all_electrons_together():
    body = rock_salt(5, 0.02)
    electrons = sum({"Pb": 82, "S": 16}[s] for s in body.symbols)
    found = debye(body.symbols, body.positions, np.array([1e-4]), exact=True)
    assert found[0] == pytest.approx(electrons**2, rel=2e-3)


def test_rotation_and_translation_change_nothing():
    body = rock_salt(5, 0.05)
    q = np.linspace(0.5, 6, 50)
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    moved = body.positions @ rotation.T + np.array([100.0, -30.0, 7.0])
    a = debye(body.symbols, body.positions, q, exact=True)
    b = debye(body.symbols, moved, q, exact=True)
    assert np.abs(a - b).max() < 1e-8 * a.max()


def test_reported_error_is_not_smaller_than_the_true_one():
    body = rock_salt(12, 0.0)
    setup = {"wavelength": "CuKa1", "points": 400}
    quick = simulate(body, XrdSetup(**setup, engine="histogram"))
    exact = simulate(body, XrdSetup(**setup, engine="exact"))
    true = np.abs(quick.data.values - exact.data.values).max() / exact.data.values.max()
    assert true < quick.metadata["error_of_maximum"] < 1e-4


def test_large_crystal_has_the_bulk_reflections_on_an_absolute_scale(pbs):
    """Area of a powder line per cell: pi lambda m |F|² P / (v q² cos theta), in radians of 2theta."""
    m, wavelength = 30, 1.5405929
    body = rock_salt(m, 0.0)
    setup = XrdSetup("CuKa1", range=(15, 70), points=6000, b_iso=0.0)
    pattern = simulate(body, setup).data
    lines = sticks(pbs, setup)
    x, y = pattern["two_theta"].values, pattern.values
    q = 2 * np.pi / lines.d
    area = np.pi * wavelength * lines.multiplicity * lines.structure_factor**2
    area *= setup.polarization_factor(lines.two_theta) * (m**3 / 8)
    area /= pbs.volume * q**2 * np.cos(np.radians(lines.two_theta) / 2)
    assert np.trapezoid(y, np.radians(x)) == pytest.approx(area.sum(), rel=0.04)
    for position in lines.two_theta[[0, 1, 2, 5]]:
        near = np.abs(x - position) < 0.6
        assert abs(x[near][np.argmax(y[near])] - position) < 0.06


def test_doublet_is_the_sum_of_its_lines():
    body = rock_salt(6, 0.03)
    common = {"range": (25, 50), "points": 300}
    both = simulate(body, XrdSetup("CuKa", **common)).data.values
    first = simulate(body, XrdSetup("CuKa1", **common)).data.values
    second = simulate(body, XrdSetup("CuKa2", **common)).data.values
    assert np.allclose(both, (2 * first + second) / 3, rtol=1e-6, atol=1e-6 * both.max())


def test_ensemble_is_the_weighted_mean():
    a, b = rock_salt(4, 0.03), rock_salt(5, 0.03)
    setup = XrdSetup(points=200)
    mixed = simulate([a, b], setup, weights=[1, 3]).data.values
    alone = simulate(a, setup).data.values, simulate(b, setup).data.values
    assert np.allclose(mixed, alone[0] / 4 + alone[1] * 3 / 4)


def test_instrument_width_keeps_the_area():
    body = rock_salt(10, 0.0)
    sharp = simulate(body, XrdSetup("CuKa1", range=(20, 60), points=2000)).data.values
    wide = simulate(
        body,
        XrdSetup("CuKa1", range=(20, 60), points=2000, caglioti=(0, 0, 2.25), instrument_eta=0.0),
    ).data.values
    assert wide.sum() == pytest.approx(sharp.sum(), rel=2e-3)
    assert wide.max() < 0.9 * sharp.max()


def test_ase_atoms_and_longer_wavelength_moves_peaks_up():
    atoms = Atoms("Pb2", positions=[[0, 0, 0], [0, 0, 3.0]])
    setup = XrdSetup(1.0, range=(5, 100), points=500, dispersion=False)
    short = simulate(atoms, setup).data
    long = simulate(atoms, XrdSetup(1.5, range=(5, 100), points=500, dispersion=False)).data
    q = np.linspace(1.0, 5.0, 30)
    a = np.interp(q, short["q"], short / setup.polarization_factor(setup.two_theta))
    b = np.interp(q, long["q"], long / setup.polarization_factor(setup.two_theta))
    assert np.allclose(a, b, rtol=0.02)


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        (np.zeros((2, 3)), "nearer than 0.4"),
        (np.full((2, 3), np.nan), "not finite"),
        (np.zeros((0, 3)), "no atoms"),
        (np.array([[0, 0, 0], [0, 0, 3e9]]), "too large"),
    ],
)
def test_bad_bodies(positions, message):
    with pytest.raises(InputError, match=message):
        pair_sums(["Pb"] * len(positions), positions, 4.0)


@pytest.mark.parametrize(
    "change",
    [
        {"wavelength": "CuKb9"},
        {"wavelength": -1.0},
        {"wavelength": float("nan")},
        {"range": (60, 10)},
        {"range": (10, 200)},
        {"points": 1},
        {"engine": "magic"},
        {"b_iso": -1.0},
        {"polarization": "sideways"},
        {"caglioti": (0.0, 0.0, -1.0)},
        {"silica": -0.1},
    ],
)
def test_bad_setups(change):
    with pytest.raises(InputError):
        XrdSetup(**change)
