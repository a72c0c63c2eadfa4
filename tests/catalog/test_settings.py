"""Settings: indices and cells carried over, against the symmetry operations themselves."""

from __future__ import annotations

from fractions import Fraction

import gemmi
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterodot.catalog import crystal
from heterodot.errors import InputError, NotFoundError
from heterodot.settings import (
    change_setting,
    find_transformation,
    pseudocubic_cell,
    setting_of,
    transformation,
    translate_direction,
    translate_plane,
)

indices = st.tuples(*[st.integers(-6, 6)] * 3).filter(any)
NAMES = ["Pnma", "Pbnm", "pseudocubic", "P m c n", "P n a m"]


def test_documents_indices():
    """The faces of CsPbBr3 as Imran 2021 and Jagadeeswararao 2021 give them, in Pnma."""
    assert translate_plane((2, 0, 2), "Pnma", "pseudocubic") == (2, 0, 0)
    assert translate_plane((1, 0, 1), "Pnma", "pseudocubic") == (1, 0, 0)
    assert translate_plane((0, 1, 0), "Pnma", "pseudocubic", reduce=True) == (0, 1, 0)
    assert translate_plane((0, 1, 0), "Pnma", "pseudocubic") == (0, Fraction(1, 2), 0)
    # (001) of Pnma is no face of the cube
    assert sorted(map(abs, translate_plane((0, 0, 1), "Pnma", "pseudocubic", reduce=True))) == [
        0, 1, 1,
    ]  # fmt: skip
    assert translate_plane((0, 2, 0), "Pnma", "Pbnm") == (0, 0, 2)


@pytest.mark.parametrize(
    ("reference", "setting"),
    [
        ("P n m a", "P b n m"),
        ("P n m a", "P m c n"),
        ("P n m a", "P c m n"),
        ("R -3 m:H", "R -3 m:R"),
        ("C 1 2/c 1", "I 1 2/a 1"),
        ("P 1 21/c 1", "P 1 21/n 1"),
    ],
)
def test_transformation_carries_symmetry_operations(reference, setting):
    """Rotations of one setting become those of the other: W' = Q W Q^-1 with Q = M^-T."""
    q = np.linalg.inv(transformation(reference, setting)).T
    old = gemmi.find_spacegroup_by_name(reference).operations()
    new = gemmi.find_spacegroup_by_name(setting).operations()

    def rotations(group, matrix):
        turned = [
            matrix @ np.array(op.float_seitz())[:3, :3] @ np.linalg.inv(matrix) for op in group
        ]
        return {tuple(np.round(w, 6).ravel() + 0.0) for w in turned}

    assert rotations(old, q) == rotations(new, np.eye(3))


@given(indices, st.sampled_from(NAMES), st.sampled_from(NAMES))
def test_there_and_back(plane, source, target):
    moved = translate_plane(plane, source, target)
    scale = 2 if any(isinstance(x, Fraction) for x in moved) else 1
    whole = tuple(int(x * scale) for x in moved)
    assert translate_plane(whole, target, source) == tuple(x * scale for x in plane)


@given(indices, indices, st.sampled_from(NAMES), st.sampled_from(NAMES))
def test_zone_law_is_kept(plane, direction, source, target):
    """The sum hu + kv + lw is a length along the normal over d, the same in every setting."""
    moved_plane = translate_plane(plane, source, target)
    moved_direction = translate_direction(direction, source, target)
    before = sum(h * u for h, u in zip(plane, direction, strict=True))
    assert sum(h * u for h, u in zip(moved_plane, moved_direction, strict=True)) == before


@given(indices)
def test_d_spacing_is_the_same_in_both_settings(plane):
    ortho = crystal("CsPbBr3_ortho")
    other = change_setting(ortho, "Pnma", "Pbnm")
    assert other.d_spacing(translate_plane(plane, "Pnma", "Pbnm")) == pytest.approx(
        ortho.d_spacing(plane)
    )


def test_crystal_in_pbnm_has_the_published_cell_and_symbol():
    other = change_setting(crystal("CsPbBr3_ortho"), "Pnma", "Pbnm")
    assert other.cellpar[:3] == pytest.approx((8.207, 8.255, 11.759))
    assert setting_of(other) == "P b n m"
    assert other.charges is not None
    assert other.charges.sum() == pytest.approx(0)


def test_pseudocubic_axes_are_nearly_a_cube():
    axes = pseudocubic_cell(crystal("CsPbBr3_ortho"))
    lengths = np.linalg.norm(axes, axis=1)
    assert np.ptp(lengths) < 0.1
    assert np.linalg.det(axes) == pytest.approx(crystal("CsPbBr3_ortho").volume / 4)


def test_found_transformation_is_the_named_one():
    ortho = crystal("CsPbBr3_ortho")
    assert np.array_equal(
        find_transformation(ortho.cell, np.diag([8.207, 8.255, 11.759])),
        transformation("Pnma", "Pbnm"),
    )
    axes = find_transformation(ortho.cell, np.eye(3) * 5.84)
    assert abs(np.linalg.det(axes)) == pytest.approx(0.25)
    with pytest.raises(NotFoundError):
        find_transformation(ortho.cell, np.diag([3.0, 30.0, 7.0]))


def test_bad_names_and_indices():
    with pytest.raises(InputError, match="not a setting"):
        transformation("Pnma", "Qnma")
    with pytest.raises(InputError, match="different space groups"):
        transformation("Pnma", "P 1 21/c 1")
    with pytest.raises(InputError, match="three indices"):
        translate_plane((0, 0, 0), "Pnma", "Pbnm")
    with pytest.raises(InputError, match="no period"):
        change_setting(crystal("CsPbBr3_ortho"), "Pnma", "pseudocubic")
