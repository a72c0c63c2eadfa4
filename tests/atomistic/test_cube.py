"""Cube files: whole in, isosurfaces closed and of the right size, densities conserved on planes."""

from __future__ import annotations

import numpy as np
import pytest

from heterodot.electronic.dos_cube import (
    Cube,
    density_difference,
    enclosing_value,
    isosurface,
    plane_profile,
    read_cube,
)
from heterodot.energy.cp2k_output import bohr
from heterodot.errors import InputError


def gaussian(sigma: float = 1.2, n: int = 41, center=(0.0, 0.0, 0.0)) -> Cube:
    """A density of one electron."""
    step = 0.3
    x = (np.arange(n) - n // 2) * step
    r2 = sum((g - c) ** 2 for g, c in zip(np.meshgrid(x, x, x, indexing="ij"), center, strict=True))
    values = np.exp(-0.5 * r2 / sigma**2) / (2 * np.pi * sigma**2) ** 1.5 * bohr() ** 3
    return Cube(
        values, np.full(3, x[0]), np.eye(3) * step, np.array([82]), np.zeros((1, 3)), "one electron"
    )


def write(cube: Cube, path) -> None:
    lines = ["made by a test", "density"]
    o = cube.origin / bohr()
    lines.append(f"{len(cube.numbers)} {o[0]:.6f} {o[1]:.6f} {o[2]:.6f}")
    for n, s in zip(cube.values.shape, cube.steps / bohr(), strict=True):
        lines.append(f"{n} {s[0]:.6f} {s[1]:.6f} {s[2]:.6f}")
    for z, p in zip(cube.numbers, cube.positions / bohr(), strict=True):
        lines.append(f"{z} 4.0 {p[0]:.6f} {p[1]:.6f} {p[2]:.6f}")
    lines += [
        " ".join(f"{v:.6E}" for v in row)
        for row in cube.values.reshape(-1, 6 if cube.values.size % 6 == 0 else 1)
    ]
    path.write_text("\n".join(lines) + "\n")


def test_round_trip_and_refusals(tmp_path) -> None:
    cube = gaussian(n=12)
    file = tmp_path / "a.cube"
    write(cube, file)
    again = read_cube(file)
    np.testing.assert_allclose(again.values, cube.values, rtol=1e-5)
    np.testing.assert_allclose(again.steps, cube.steps, atol=1e-5)
    text = file.read_text()
    file.write_text(text[: len(text) // 2])
    with pytest.raises(InputError, match="cut off"):
        read_cube(file)
    file.write_text(text.replace("12 ", "999999 ", 1))
    with pytest.raises(InputError, match="bytes"):
        read_cube(file)
    file.write_text("hello\n")
    with pytest.raises(InputError, match="not a cube"):
        read_cube(file)


def test_isosurface_of_a_ball_has_its_area_and_no_holes() -> None:
    cube = gaussian()
    radius = 1.7
    value = float(np.exp(-0.5 * radius**2 / 1.2**2) / (2 * np.pi * 1.2**2) ** 1.5 * bohr() ** 3)
    vertices, faces = isosurface(cube, value)
    np.testing.assert_allclose(np.linalg.norm(vertices, axis=1), radius, atol=0.02)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    assert 0.5 * np.linalg.norm(normals, axis=1).sum() == pytest.approx(
        4 * np.pi * radius**2, rel=0.02
    )
    # closed: every edge belongs to two triangles, and the signed volume is that of the ball
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    _, count = np.unique(edges, axis=0, return_counts=True)
    assert (count == 2).all()
    volume = np.einsum("ij,ij->", a, np.cross(b, c)) / 6
    assert volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.03)
    assert len(isosurface(cube, 10.0)[0]) == 0


def test_half_of_a_gaussian_lies_within_its_known_radius() -> None:
    from scipy.stats import chi

    cube = gaussian(n=51)
    value = enclosing_value(cube, 0.5, power=1)
    radius = 1.2 * chi.ppf(0.5, 3)
    expected = np.exp(-0.5 * radius**2 / 1.2**2) / (2 * np.pi * 1.2**2) ** 1.5 * bohr() ** 3
    assert value == pytest.approx(expected, rel=0.03)
    with pytest.raises(InputError, match="fraction"):
        enclosing_value(cube, 1.5)


@pytest.mark.parametrize("normal", [(0, 0, 1), (1, 1, 0), (1, -2, 3)])
def test_planes_conserve_electrons(normal) -> None:
    profile = plane_profile(gaussian(), normal)
    step = profile.position[1] - profile.position[0]
    assert profile.density.sum() * step == pytest.approx(1.0, abs=2e-3)
    assert profile.transferred(0.0) == pytest.approx(0.5, abs=0.08)
    mean = (profile.density * profile.position).sum() * step
    assert mean == pytest.approx(0.0, abs=1e-6)


def test_density_difference_counts_what_moved() -> None:
    """Half an electron that moves from below a plane to above it."""
    below, above = gaussian(0.8, center=(0, 0, -3.0)), gaussian(0.8, center=(0, 0, 3.0))

    def half(cube: Cube) -> Cube:
        return Cube(0.5 * cube.values, cube.origin, cube.steps, cube.numbers, cube.positions)

    whole = Cube(
        0.5 * below.values + 0.5 * above.values, below.origin, below.steps, below.numbers,
        below.positions,
    )  # fmt: skip
    moved = density_difference(whole, below)
    assert plane_profile(moved).transferred(0.0) == pytest.approx(0.5, abs=2e-3)
    nothing = density_difference(whole, half(below), half(above))
    assert np.abs(nothing.values).max() < 1e-15
    with pytest.raises(InputError, match="different grids"):
        density_difference(whole, gaussian(n=21))
    with pytest.raises(InputError, match="normal is zero"):
        plane_profile(whole, (0, 0, 0))


def test_state_of_a_dimer_on_a_grid(tmp_path) -> None:
    # two far clusters: the density of a state follows its populations, and adds up to one
    from heterodot.catalog import crystal
    from heterodot.electronic.atomistic import atomistic_levels
    from heterodot.electronic.atomistic_density import (
        atomistic_alignment,
        orbital_density,
        write_cube,
    )

    lead = crystal("PbS")
    block = lead.atoms.repeat((2, 2, 2))
    far = block.positions + np.array([40.0, 0.0, 0.0])
    place = np.vstack([block.positions, far])
    symbols = block.get_chemical_symbols() * 2
    domain = np.repeat([0, 1], len(block))
    found = atomistic_levels(place, symbols, domain, [lead, lead], n_states=8)
    cloud = orbital_density(found, place, "electron", spacing=1.0)
    step = cloud.spacing**3
    assert cloud.values.sum() * step == pytest.approx(1, abs=2e-3)
    x = cloud.origin[0] + cloud.spacing * np.arange(cloud.values.shape[0])
    left = cloud.values[x < 25].sum() * step
    share = found.populations[domain == 0, found.lumo].sum()
    assert left == pytest.approx(share, abs=5e-3)
    # half of it lies above the value that an isosurface would take
    value = cloud.isovalue(0.5)
    assert cloud.values[cloud.values >= value].sum() * step == pytest.approx(0.5, abs=0.02)
    # a Gaussian of one atom has the width that was asked for
    one = orbital_density(found, place, 0, spacing=0.5, width=2.0)
    assert one.label.startswith("state 0")
    shares = atomistic_alignment(found)[1]
    assert sum(shares["electron"].values()) == pytest.approx(1)
    write_cube(cloud, block.numbers.tolist() * 2, place, tmp_path / "e.cube")
    again = read_cube(tmp_path / "e.cube")
    assert again.values.shape == cloud.values.shape
    assert again.values.sum() == pytest.approx(cloud.values.sum() * bohr() ** 3, rel=1e-3)
    for wrong in ("middle", 99):
        with pytest.raises(InputError, match="no tight-binding state"):
            orbital_density(found, place, wrong)
    with pytest.raises(InputError, match="positions"):
        orbital_density(found, place[:-1], 0)
    with pytest.raises(InputError, match="resolve"):
        orbital_density(found, place, 0, spacing=4.0)


def test_a_study_keeps_the_surfaces_of_atoms_or_says_what_is_missing(tmp_path) -> None:
    from types import SimpleNamespace

    from heterodot.progress import silent
    from heterodot.study.stages import _atomistic
    from tests.electronic.particles import single

    job = SimpleNamespace(
        folder=tmp_path, settings=SimpleNamespace(study=SimpleNamespace(seed=0)), progress=silent
    )
    found = _atomistic(job, single("PbS", lambda r: np.linalg.norm(r, axis=1) < 7.0))
    assert found["alignment"]["type"] == "one domain"
    with np.load(tmp_path / "hole_density_atomistic.npz", allow_pickle=False) as kept:
        inside = kept["values"] >= kept["level"]
        assert kept["values"][inside].sum() / kept["values"].sum() == pytest.approx(0.5, abs=0.03)
    missing = _atomistic(job, single("Cs4PbBr6", lambda r: np.linalg.norm(r, axis=1) < 9.0))
    assert "Cs4PbBr6" in missing["skipped"]
