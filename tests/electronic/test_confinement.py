"""Levels against exact ones: balls, cuboids, core and shell, energy-dependent masses."""

from __future__ import annotations

import numpy as np
import pytest

from heterodot.electronic import levels_of_shape, pure
from heterodot.electronic.confinement import Barrier, Well, cells, kinetic, solve, solve_on
from heterodot.electronic.ideal import box, core_shell, from_distances, sphere
from heterodot.electronic.materials import Carrier
from heterodot.errors import InputError

from .wells import UNIT, core_shell_level, slab_level, sphere_level


def band(mass, edge=0.0, gap=10.0, coupling=0.0):
    return Carrier(edge, edge - gap, mass, coupling, mass, mass)


def run(shape, bands, height, outer=1.0, states=1):
    return solve_on(shape, shape.coarsened(), bands, Barrier(height, outer), states)


def test_kinetic_prefactor():
    assert kinetic() == pytest.approx(UNIT, rel=1e-9)


@pytest.mark.parametrize(
    ("diameter", "mass", "height"), [(40, 0.085, 4.0), (60, 0.25, 3.0), (35, 0.5, 1.0)]
)
def test_ball_with_mass_jump(diameter, mass, height):
    found = run(sphere("x", diameter, 1.3), [band(mass)], height, states=4)
    exact = sphere_level(diameter / 2, height, lambda e: 1 / mass)
    assert found.solution.energies[0] == pytest.approx(exact, rel=0.004)
    exact_p = sphere_level(diameter / 2, height, lambda e: 1 / mass, angular=1)
    assert found.solution.energies[1:4] == pytest.approx([exact_p] * 3, rel=0.01)


def test_errors_hold_the_truth():
    generator = np.random.default_rng(5)
    ratios = []
    for _ in range(8):
        diameter, mass = generator.uniform(20, 45), generator.uniform(0.08, 0.5)
        spacing, height = diameter * generator.uniform(0.025, 0.05), generator.uniform(2, 5)
        found = run(sphere("x", diameter, spacing), [band(mass)], height)
        exact = sphere_level(diameter / 2, height, lambda e, m=mass: 1 / m)
        ratios.append((found.solution.energies[0] - exact) / found.errors[0])
    assert np.mean(np.abs(ratios) < 1) >= 0.75
    assert np.abs(ratios).max() < 2.0


@pytest.mark.parametrize("diameter", [20, 30, 50])
def test_two_band_mass_of_lead_sulfide(diameter):
    mass, coupling, gap = 0.12, 2.53, 0.41

    def inverse(energy):
        return 1 / mass - coupling / gap + coupling / (energy + gap)

    exact = sphere_level(diameter / 2, 4.5, inverse)
    shape = sphere("x", diameter, 1.1)
    found = run(shape, [band(mass, gap=gap, coupling=coupling)], 4.5)
    assert found.solution.energies[0] == pytest.approx(exact, rel=0.004)
    flat = run(shape, [band(mass, gap=gap)], 4.5)
    assert flat.solution.energies[0] > found.solution.energies[0]


def test_cuboid_with_high_barrier_is_three_wells():
    # one mass everywhere and a barrier that is high: the separable problem to a few percent
    edges = (32.0, 40.0, 50.0)
    found = run(box("x", edges, 1.0), [band(0.2)], 20.0, outer=0.2)
    exact = sum(slab_level(edge, 20.0, 0.2) for edge in edges)
    assert found.solution.energies[0] == pytest.approx(exact, rel=0.004)


def test_cube_levels_are_degenerate():
    found = run(box("x", (36.0,) * 3, 1.2), [band(0.15)], 4.0, states=4)
    assert np.ptp(found.solution.energies[1:4]) < 2e-4


@pytest.mark.parametrize("step", [0.5, -0.4])
def test_core_and_shell(step):
    core, outer, height = 18.0, 32.0, 4.0
    shape = core_shell("a", "b", 2 * core, 2 * outer, 1.3)
    assert shape.names == ("a", "b")
    base = min(step, 0.0)
    found = run(shape, [band(0.1), band(0.25, edge=step)], height)
    exact = core_shell_level(core, outer, step - base, height - base, 0.1, 0.25)
    if base == 0.0:
        assert found.solution.energies[0] == pytest.approx(exact, rel=0.02)
    else:
        # the shell is the well: compare with a fine radial finite-difference solution
        assert found.solution.energies[0] == pytest.approx(
            radial_level(core, outer, step, height, 0.1, 0.25), abs=0.01
        )


def radial_level(core, outer, step, height, mass_core, mass_shell, mass_out=1.0):
    """A slow twin: u = r psi on a fine radial mesh with fluxes of psi."""
    h = 0.02
    r = (np.arange(int((outer + 12) / h)) + 0.5) * h
    mass = np.where(r < core, mass_core, np.where(r < outer, mass_shell, mass_out))
    edge = np.where(r < core, 0.0, np.where(r < outer, step, height))
    face = np.arange(1, len(r)) * h
    flow = UNIT * face**2 * 2 / (mass[1:] + mass[:-1]) / h**2
    diagonal = edge * r**2
    diagonal[:-1] += flow
    diagonal[1:] += flow
    from scipy.linalg import eigh_tridiagonal

    values, _ = eigh_tridiagonal(
        diagonal / r**2, -flow / (r[1:] * r[:-1]), select="i", select_range=(0, 0)
    )
    return values[0]


def test_weight_of_the_tail():
    # exact: tail of a ball from the known radial function
    radius, mass, height = 15.0, 0.12, 4.0
    energy = sphere_level(radius, height, lambda e: 1 / mass)
    k, q = np.sqrt(energy * mass / UNIT), np.sqrt((height - energy) / UNIT)
    inside = radius / 2 - np.sin(2 * k * radius) / (4 * k)
    outside = np.sin(k * radius) ** 2 / (2 * q)
    found = run(sphere("x", 2 * radius, 1.0), [band(mass)], height)
    assert found.solution.outside[0] == pytest.approx(outside / (inside + outside), rel=0.03)


def test_states_are_orthonormal_and_seed_does_not_matter():
    shape = sphere("x", 30.0, 1.6)
    first = solve_on(shape, shape.coarsened(), [band(0.2)], Barrier(3.0, 1.0), 3, seed=0)
    other = solve_on(shape, shape.coarsened(), [band(0.2)], Barrier(3.0, 1.0), 3, seed=7)
    vectors = first.solution.vectors
    assert vectors @ vectors.T == pytest.approx(np.eye(3), abs=1e-8)
    assert other.solution.energies == pytest.approx(first.solution.energies, abs=5e-5)


def test_cells_keep_volume_and_surface():
    shape = sphere("x", 30.0, 1.5)
    grid = cells(shape)
    assert grid.filled.sum() * 1.5**3 == pytest.approx(shape.volume(), rel=2e-3)
    assert grid.surface.sum() * 1.5**2 == pytest.approx(np.pi * 30**2, rel=0.004)
    # neighbors are mutual
    for axis in range(3):
        up = grid.neighbors[:, 2 * axis + 1]
        back = grid.neighbors[up, 2 * axis]
        linked = grid.openings[:, 2 * axis + 1] > 0
        assert (back[linked] == np.flatnonzero(linked)).all()


def test_kernel_equals_the_obvious_matrix():
    from heterodot.electronic._kernels import apply_links

    generator = np.random.default_rng(3)
    n = 20
    neighbors = generator.integers(0, n, (n, 6)).astype(np.int32)
    links, diagonal = generator.normal(size=(n, 6)), generator.normal(size=n)
    vectors = generator.normal(size=(2, n))
    matrix = np.diag(diagonal)
    for i in range(n):
        for f in range(6):
            matrix[i, neighbors[i, f]] += links[i, f]
    out = np.empty_like(vectors)
    apply_links(vectors, diagonal, links, neighbors, out)
    assert out == pytest.approx(vectors @ matrix.T)


def test_a_medium_below_the_band_is_refused():
    shape = sphere("x", 30.0, 2.0)
    with pytest.raises(InputError, match="nothing confines"):
        run(shape, [band(0.2)], -1.0)
    with pytest.raises(InputError, match="states"):
        run(shape, [band(0.2)], 3.0, states=0)


def test_deposit_equals_the_obvious_sum():
    from heterodot.electronic._kernels import deposit

    generator = np.random.default_rng(4)
    points = generator.uniform(-1, 7, (50, 3))
    grid = np.zeros((6, 6, 6))
    deposit(grid, points, 2.5)
    slow = np.zeros_like(grid)
    for x in points:
        low = np.floor(x).astype(int)
        if (low < 0).any() or (low + 1 > 5).any():
            continue
        for corner in np.ndindex(2, 2, 2):
            weight = np.prod([u if c else 1 - u for u, c in zip(x - low, corner, strict=True)])
            slow[tuple(low + corner)] += 2.5 * weight
    assert grid == pytest.approx(slow)
    assert grid.sum() > 0


def test_rod_and_platelet_against_bessel_and_sine():
    # (2.405/R)^2 + (pi/L)^2 for a rod and a disk, walls moved out by psi/psi' = m_out/(m kappa)
    reach = (1.0 / 0.2) / np.sqrt(600.0 / UNIT)
    for radius, length in ((15.0, 80.0), (40.0, 18.0)):

        def rod(x, y, z, radius=radius, length=length):
            return np.maximum(np.sqrt(x**2 + y**2) - radius, abs(z) - length / 2)

        corner = np.array([radius, radius, length / 2])
        shape = from_distances([("PbS", rod)], -corner, corner, 1.6)
        light = Carrier(0.0, -30.0, 0.2, 0.0, 0.2, 0.2)
        found = solve(Well(cells(shape), (light,), Barrier(600.0, 1.0)), 2).energies
        unit = UNIT / 0.2
        exact = unit * ((2.404826 / (radius + reach)) ** 2 + (np.pi / (length + 2 * reach)) ** 2)
        assert found[0] == pytest.approx(exact, rel=0.025)


def test_shell_that_takes_the_electron():
    # CdS core, ZnS shell: both carriers stay in the core; turned around, in the shell
    inside = levels_of_shape(
        core_shell("CdS", "ZnS", 30.0, 46.0, 2.0),
        (pure("CdS"), pure("ZnS")),
        states=1,
        coulomb=False,
    )
    assert inside.electrons[0].fractions["CdS"] > 0.6
    assert inside.holes[0].fractions["CdS"] > 0.8
    turned = levels_of_shape(
        core_shell("ZnS", "CdS", 30.0, 60.0, 2.0),
        (pure("ZnS"), pure("CdS")),
        states=1,
        coulomb=False,
    )
    assert turned.electrons[0].fractions["CdS"] > 0.7
    assert turned.electrons[0].energy.value > pure("CdS").conduction.value
