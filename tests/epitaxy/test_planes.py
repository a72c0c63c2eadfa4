"""Planes by the crystal's own symmetry, and their primitive meshes."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterodot.catalog import crystal
from heterodot.crystal import Crystal
from heterodot.epitaxy.planes import (
    coprime,
    distinct_planes,
    integer_plane_basis,
    lattice_of,
    surface_mesh,
)
from heterodot.errors import InputError


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        # by the point group of the crystal with polar senses kept apart; tools that take the
        # symmetry of the lattice find 5/12/29 for Pb4S3Br2 and 3/6/13 for zinc-blende CdS
        ("Pb4S3Br2", (7, 19, 49)),
        ("CdS_zincblende", (4, 9, 21)),
        ("PbS", (3, 6, 13)),
        ("CsPbBr3_cubic", (3, 6, 13)),
    ],
)
def test_number_of_distinct_planes(name, numbers):
    assert tuple(len(distinct_planes(crystal(name), m)) for m in (1, 2, 3)) == numbers


def test_polar_senses_are_apart():
    planes = distinct_planes(crystal("CdS_zincblende"), 1)
    assert (1, 1, 1) in planes
    assert (-1, -1, -1) in planes
    assert (-1, -1, -1) not in distinct_planes(crystal("PbS"), 1)


@pytest.mark.parametrize(
    ("plane", "area"),
    [
        # primitive areas of rock-salt planes, V_primitive / d; a peer uses 2 to 4 times these
        ((1, 0, 0), 17.62),
        ((1, 1, 0), 24.92),
        ((1, 1, 1), 15.26),
        ((2, 1, 0), 39.40),
        ((2, 1, 1), 43.16),
        ((2, 2, 1), 52.85),
    ],
)
def test_primitive_mesh_of_rock_salt(plane, area):
    mesh = surface_mesh(crystal("PbS"), plane)
    assert mesh.area == pytest.approx(area, abs=0.01)
    assert mesh.area * mesh.spacing == pytest.approx(5.936**3 / 4)


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.integers(-9, 9)] * 3).filter(lambda h: any(h) and math.gcd(*h) == 1))
def test_plane_basis_spans_every_vector_in_the_plane(plane):
    basis = integer_plane_basis(np.array(plane))
    assert (basis @ np.array(plane) == 0).all()
    # saturated: its 2 x 2 minors are coprime, and they are the plane itself
    minors = np.cross(basis[0], basis[1])
    assert tuple(np.abs(minors)) == tuple(np.abs(plane))


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["PbS", "CsPbBr3_cubic", "CdS_wurtzite", "Pb4S3Br2", "CdS_zincblende"]),
    st.tuples(*[st.integers(-3, 3)] * 3).filter(lambda h: any(h) and math.gcd(*h) == 1),
)
def test_mesh_is_the_shortest_by_brute_force(name, plane):
    solid = crystal(name)
    mesh = surface_mesh(solid, plane)
    primitive = lattice_of(solid).primitive
    normal = lattice_of(solid).normal(plane)
    reach = range(-6, 7)
    points = np.array(list(itertools.product(reach, repeat=3))) @ primitive
    flat = points[(np.abs(points @ normal) < 1e-6) & (np.linalg.norm(points, axis=1) > 1e-6)]
    lengths = np.linalg.norm(flat, axis=1)
    assert np.linalg.norm(mesh.vectors[0]) == pytest.approx(lengths.min(), rel=1e-9)
    assert mesh.frame.T @ normal == pytest.approx([0, 0, 1], abs=1e-9)
    assert np.linalg.det(mesh.frame) == pytest.approx(1.0)
    # right-handed about the normal
    assert np.cross(*mesh.vectors) @ normal == pytest.approx(mesh.area)


def test_conventional_cell_of_a_primitive_one():
    small = crystal("PbS").primitive()
    lengths = np.linalg.norm(lattice_of(small).conventional, axis=1)
    assert lengths == pytest.approx([5.936] * 3)
    assert lattice_of(small).plane_given((1, 0, 0)) == coprime(
        np.array(small.cell) @ lattice_of(small).reciprocal[0] * 2
    )


def test_no_indices():
    with pytest.raises(InputError, match="0 0 0"):
        coprime((0, 0, 0))
    with pytest.raises(InputError, match="no crystal indices"):
        coprime(np.array([1.0, math.pi, 0.0]))


def test_left_out_symmetry_of_a_supercell_is_found():
    doubled = crystal("PbS").supercell([1, 1, 2])
    assert isinstance(doubled, Crystal)
    assert len(distinct_planes(doubled, 2)) == 6
