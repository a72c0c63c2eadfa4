"""Nothing changes with the cell, the frame or the order in which crystals are given."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterodot.catalog import crystal
from heterodot.epitaxy import equivalent, inverse, search
from heterodot.epitaxy.equivalence import respelled, rotation_angle, variants
from heterodot.settings import change_setting

PAIRS = [
    ("CsPbBr3_cubic", "PbS", 2),
    ("CsPbBr3_cubic", "CdS_zincblende", 1),
    ("CsPbBr3_ortho", "PbS", 1),
    ("Pb4S3Br2", "CsPbBr3_cubic", 1),
    ("CdS_wurtzite", "CsPbCl3_cubic", 1),
]


def signature(found):
    return np.array(
        sorted(
            (
                round(r.area, 3),
                round(r.strain_max, 6),
                round(r.parts["registry"], 4),
                round(r.score, 5),
            )
            for r in found.matches
        )
    )


def turned(solid, seed):
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return solid.replace(cell=solid.cell @ (q * np.linalg.det(q)).T)


@pytest.mark.parametrize(("a", "b", "index"), PAIRS)
def test_cell_and_frame_do_not_matter(a, b, index):
    one, two = crystal(a), crystal(b)
    expected = signature(search(one, two, max_index=index))
    others = [
        (one.primitive(), two.primitive()),
        (turned(one, 1), turned(two, 2)),
        (one.supercell([1, 1, 2]), two.supercell([[1, 1, 0], [0, 1, 0], [0, 0, 2]])),
    ]
    if a == "CsPbBr3_ortho":
        others.append((change_setting(one, "Pnma", "Pbnm"), two))
    for left, right in others:
        found = signature(search(left, right, max_index=index))
        assert found.shape == expected.shape
        assert found == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize(("a", "b", "index"), PAIRS)
def test_exchanging_the_crystals_gives_the_inverse(a, b, index):
    one, two = crystal(a), crystal(b)
    forth, back = search(one, two, max_index=index), search(two, one, max_index=index)
    assert len(forth) == len(back)
    left = list(back.matches)
    for relation in forth.matches:
        turned_round = inverse(relation)
        hits = [n for n, r in enumerate(left) if equivalent(turned_round, r, tolerance=0.05)]
        assert len(hits) == 1, relation.label
        partner = left.pop(hits[0])
        assert partner.strain_max == pytest.approx(turned_round.strain_max, abs=1e-6)
        assert partner.parts["registry"] == pytest.approx(relation.parts["registry"], abs=1e-4)
    assert not left


@pytest.mark.parametrize(("a", "b", "index"), PAIRS)
@pytest.mark.parametrize("handed", [False, True])
def test_no_two_are_equivalent(a, b, index, handed):
    found = search(crystal(a), crystal(b), max_index=index, handed=handed)
    for n, one in enumerate(found.matches):
        for two in found.matches[:n]:
            assert not equivalent(one, two, tolerance=0.9, handed=handed)


def test_mirror_images_are_merged_unless_asked_for():
    one, two = crystal("CsPbBr3_cubic"), crystal("PbS")
    plain, handed = search(one, two, max_index=1), search(one, two, max_index=1, handed=True)
    assert len(handed) > len(plain)
    for relation in handed.matches:
        assert any(equivalent(relation, other, tolerance=1.01) for other in plain.matches)


def test_inverse_of_the_inverse():
    found = search(crystal("CsPbBr3_ortho"), crystal("PbS"), max_index=1)
    for relation in found.matches[:8]:
        again = inverse(inverse(relation))
        assert again.plane_a == relation.plane_a
        assert again.mismatch == pytest.approx(relation.mismatch)
        assert again.strain == pytest.approx(relation.strain, abs=1e-12)
        assert again.area == pytest.approx(relation.area)


@functools.cache
def livakas():
    return search(crystal("CsPbCl3_cubic"), crystal("PbS"))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_every_spelling_is_the_same_relation(seed):
    found = livakas()
    rng = np.random.default_rng(seed)
    relation = found.matches[int(rng.integers(len(found.matches)))]
    spellings = variants(relation)
    *_, i, j = spellings[int(rng.integers(len(spellings)))]
    other = respelled(relation, i, j)
    assert equivalent(relation, other, tolerance=1e-4)
    assert np.linalg.det(other.rotation) == pytest.approx(1.0)
    normal_b = other.crystal_b.plane_normal(other.plane_b)
    assert other.rotation @ normal_b == pytest.approx(other.normal, abs=1e-9)
    # found again, in the indices asked for
    back = found.find(other.plane_a, other.plane_b, other.direction_a, other.direction_b)
    # another relation with the very same parallel directions may rank better
    assert back.rank <= relation.rank
    assert (back.plane_a, back.direction_a) == (other.plane_a, other.direction_a)
    assert back.direction_b == other.direction_b
    assert rotation_angle(back.rotation @ other.rotation.T) < (
        1e-3 if back.rank == relation.rank else 4.0
    )
    # mesh, cell and strain still say the same
    cell_a = back.cell_a @ back.mesh_a @ back.crystal_a.cell
    cell_b = back.cell_b @ back.mesh_b @ back.crystal_b.cell @ back.rotation.T
    ratio = np.linalg.norm(cell_b, axis=1) / np.linalg.norm(cell_a, axis=1) - 1
    assert ratio == pytest.approx(back.mismatch, abs=1e-9)
