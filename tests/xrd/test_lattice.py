"""Lattice autocorrelation against counting every pair, and the kernels against obvious loops."""

from __future__ import annotations

import numpy as np
import pytest

from heterodot.errors import InputError
from heterodot.particle import Domain, Particle
from heterodot.probes.xrd import XrdSetup, _kernels, simulate
from heterodot.probes.xrd.lattice import chains


def cut(crystal, keep, half):
    n = int(half * 1.8 / min(crystal.cellpar[:3])) + 1
    grid = np.stack(np.meshgrid(*[np.arange(-n, n + 1)] * 3, indexing="ij"), -1).reshape(-1, 3)
    positions = ((grid[:, None] + crystal.scaled[None]) @ crystal.cell).reshape(-1, 3)
    symbols = np.array(list(crystal.symbols) * len(grid))
    inside = keep(positions)
    return symbols[inside], positions[inside]


def particle(*pieces):
    symbols = np.concatenate([s for s, _, _ in pieces])
    domain = np.concatenate([np.full(len(s), k) for k, (s, _, _) in enumerate(pieces)])
    n = len(symbols)
    return Particle(
        tuple(symbols), np.concatenate([p for _, p, _ in pieces]), domain,
        np.array(["core"] * n), np.zeros(n),
        tuple(Domain(f"d{k}", c) for k, (_, _, c) in enumerate(pieces)),
    )  # fmt: skip


def box(p, size, low=-np.inf, high=np.inf):
    return (np.abs(p[:, :2] - 0.1) < size).all(1) & (p[:, 2] > low) & (p[:, 2] < high)


def single(crystal, half=20.0):
    return particle((*cut(crystal, lambda p: box(p, half, -half, half), half), crystal))


def joined(a, b, half=18.0):
    return particle(
        (*cut(a, lambda p: box(p, half, -half, 0.1), half), a),
        (*cut(b, lambda p: box(p, half, 2.5, half), half), b),
    )


@pytest.mark.parametrize("coherent", [True, False])
def test_against_all_pairs(pbs, cspbbr3, coherent):
    other = pbs.replace(cell=cspbbr3.cell) if coherent else pbs
    for body in (single(cspbbr3), joined(cspbbr3, other)):
        common = {"wavelength": "CuKa1", "points": 600}
        quick = simulate(body, XrdSetup(engine="lattice", **common))
        exact = simulate(body, XrdSetup(engine="exact", **common))
        assert quick.metadata["engine"] == ["lattice"]
        off = np.abs(quick.data.values - exact.data.values).max() / exact.data.values.max()
        assert off < 1e-4
        assert off < quick.metadata["error_of_maximum"]


def test_rotated_and_moved_domain_is_recognized(pbs):
    body = single(pbs)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    moved = Particle(
        body.symbols, body.positions @ turn.T + [5.0, -3.0, 8.0], body.domain, body.role,
        body.charge, (Domain("PbS", pbs, turn),),
    )  # fmt: skip
    setup = XrdSetup(engine="lattice", points=300)
    a, b = simulate(body, setup).data.values, simulate(moved, setup).data.values
    assert np.abs(a - b).max() < 1e-4 * a.max()


def test_atoms_off_their_sites_are_counted_one_by_one(pbs, cspbbr3):
    """A few shaken atoms and a ligand do not cost the rest its lattice."""
    body = joined(cspbbr3, pbs)
    rng = np.random.default_rng(5)
    moved = rng.permutation(len(body))[: len(body) // 8]
    positions = body.positions.copy()
    positions[moved] += rng.normal(0, 0.1, (len(moved), 3))
    domain = body.domain.copy()
    domain[moved[:5]] = -1
    shaken = body.replace(positions=positions, domain=domain)
    common = {"wavelength": "CuKa1", "points": 400}
    quick = simulate(shaken, XrdSetup(engine="lattice", **common)).data.values
    exact = simulate(shaken, XrdSetup(engine="exact", **common)).data.values
    assert np.abs(quick - exact).max() < 1e-4 * exact.max()


def test_displaced_particle_is_left_to_the_other_engines(pbs):
    body = single(pbs, 16.0)
    shaken = body.replace(
        positions=body.positions + np.random.default_rng(0).normal(0, 0.05, body.positions.shape)
    )
    with pytest.raises(InputError, match="not on the lattices"):
        simulate(shaken, XrdSetup(engine="lattice"))
    assert simulate(shaken, XrdSetup(points=100)).metadata["engine"] == ["histogram"]


def test_chains_hold_every_atom_once():
    rng = np.random.default_rng(1)
    shift = np.array([1.0, 2.0, 2.0])
    starts = rng.uniform(0, 30, (40, 3))
    many = rng.integers(1, 6, 40)
    points = np.concatenate(
        [s + np.arange(m)[:, None] * shift for s, m in zip(starts, many, strict=True)]
    )
    begin, length = chains(rng.permutation(points), shift)
    again = np.concatenate(
        [s + np.arange(m)[:, None] * shift for s, m in zip(begin, length, strict=True)]
    )
    order = np.lexsort(points.T), np.lexsort(again.T)
    assert np.allclose(points[order[0]], again[order[1]], atol=1e-9)
    assert len(length) <= 40


def slow_nodes(first, second, width, n_bins, same):
    table = np.zeros(n_bins)
    for i, a in enumerate(first):
        for b in second[i + 1 :] if same else second:
            f = np.linalg.norm(a - b) / width
            k = int(f)
            table[k] += 1 - (f - k)
            table[k + 1] += f - k
    return table


def test_histogram_kernel_against_a_loop():
    points = np.random.default_rng(2).uniform(0, 20, (60, 3))
    x, y, z = (np.ascontiguousarray(points[:, k], dtype=np.float32) for k in range(3))
    scale = np.float32(256 / 0.01)
    same = _kernels.pair_histogram(x, y, z, 0, 60, 0, 60, True, scale, 4000, 16)
    cross = _kernels.pair_histogram(x, y, z, 0, 25, 25, 60, False, scale, 4000, 16)
    assert same.sum() == pytest.approx(60 * 59 / 2)
    moment = np.arange(4000)
    for found, true in (
        (same, slow_nodes(points, points, 0.01, 4000, True)),
        (cross, slow_nodes(points[:25], points[25:], 0.01, 4000, False)),
    ):
        assert np.abs(np.cumsum(found - true)).max() < 0.2
        assert (found - true) @ moment == pytest.approx(0, abs=3)


def test_moment_kernel_against_a_loop():
    points = np.random.default_rng(3).uniform(0, 15, (40, 3))
    x, y, z = (np.ascontiguousarray(points[:, k]) for k in range(3))
    found = _kernels.pair_moments(x, y, z, 0, 40, 0, 40, True, 0.1, 400, 8)
    true = np.zeros((400, 8))
    for i in range(40):
        for j in range(i + 1, 40):
            r = np.linalg.norm(points[i] - points[j])
            k = int(r / 0.1)
            true[k] += (r / 0.1 - k - 0.5) ** np.arange(8) / r
    assert np.allclose(found, true, atol=1e-10)


def test_profile_and_cubic_kernels_against_plain_sums():
    rng = np.random.default_rng(4)
    s, weight = rng.uniform(0.2, 0.6, 9), rng.uniform(0, 5, 9)
    gauss, lorentz = rng.uniform(0, 1e-3, 9), rng.uniform(0, 0.02, 9)
    ghost = np.linspace(1, 0, 50)[None].repeat(2, 0) ** [[1.0], [2.0]]
    group = rng.integers(0, 2, 9)
    found = _kernels.profile_transform(weight, s, gauss, lorentz, group, ghost, 0.5)
    length = 0.5 * np.arange(50)[:, None]
    true = weight * ghost[group].T * np.exp(-gauss * length**2 - lorentz * length)
    true = (true * np.exp(2j * np.pi * length * s)).sum(1)
    assert np.allclose(found, true, atol=1e-10)
    x = np.linspace(2.1, 7.7, 33)
    cubic = _kernels.local_cubic(np.arange(12.0) ** 3, 0.0, 1.0, x)
    assert np.allclose(cubic, x**3)
