"""The orientation search against published relations and symmetry."""

from __future__ import annotations

import numpy as np
import pytest

from heterodot.catalog import crystal
from heterodot.epitaxy import equivalent, search


@pytest.fixture(scope="module")
def livakas():
    return search(crystal("CsPbCl3_cubic"), crystal("PbS"))


def test_published_relation_of_cspbcl3_pbs_is_found(livakas):
    relation = livakas.find((-2, 1, 0), (-4, -4, 2), (0, 0, 1), (1, -1, 0))
    assert relation.plane_a == (-2, 1, 0)
    assert relation.plane_b == (-2, -2, 1)
    assert (relation.direction_a, relation.direction_b) == ((0, 0, 1), (1, -1, 0))
    assert (relation.direction2_a, relation.direction2_b) == ((1, 2, 0), (1, 1, 4))
    # 3 x [001] over 4 x 1/2[1-10], [120] over 1/2[114]
    assert relation.mismatch == pytest.approx([-0.00151, 0.00471], abs=2e-5)
    assert relation.area == pytest.approx(12.533 * 16.815, rel=1e-3)
    # STEM needs 7 degrees of tilt from [0-10]CsPbCl3 to [00-1]PbS
    tilt = np.degrees(np.arccos((relation.rotation @ [0, 0, -1]) @ [0, -1, 0]))
    assert tilt == pytest.approx(7.1, abs=0.1)


def test_rotated_relation_is_first_for_the_chloride(livakas):
    published = livakas.find((-2, 1, 0), (-4, -4, 2), (0, 0, 1), (1, -1, 0))
    assert published.rank == 1


def test_cube_on_cube_is_first_for_the_bromide():
    found = search(crystal("CsPbBr3_cubic"), crystal("PbS"))
    first = found.matches[0]
    assert np.allclose(np.abs(first.rotation), np.eye(3), atol=1e-9)
    assert found.find((1, 0, 0), (1, 0, 0), (0, 1, 0), (0, 1, 0)).rank == 1


def test_rotation_carries_normals_and_directions(livakas):
    for relation in livakas.matches:
        a, b, turn = relation.crystal_a, relation.crystal_b, relation.rotation
        assert np.linalg.det(turn) == pytest.approx(1.0)
        assert turn @ b.plane_normal(relation.plane_b) == pytest.approx(relation.normal, abs=1e-9)
        for name_a, name_b in (
            (relation.direction_a, relation.direction_b),
            (relation.direction2_a, relation.direction2_b),
        ):
            one, two = a.direction(name_a), turn @ b.direction(name_b)
            cosine = one @ two / np.linalg.norm(one) / np.linalg.norm(two)
            assert np.degrees(np.arccos(min(cosine, 1.0))) < 2.0
        assert relation.strain_max <= 0.03 + 1e-9
        assert [m.rank for m in livakas.matches] == list(range(1, len(livakas) + 1))


def test_no_relation_is_listed_twice(livakas):
    for i, one in enumerate(livakas.matches):
        for two in livakas.matches[:i]:
            assert not equivalent(one, two, tolerance=0.9)
