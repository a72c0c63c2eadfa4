"""The registry of two lattices and the spelling of relations: one particle, however it is named."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from heterodot.catalog import crystal
from heterodot.epitaxy import OrientationRelationship, search
from heterodot.epitaxy.equivalence import given_operations, respelled
from heterodot.particle import Particle, build, report
from heterodot.particle.placement import place
from heterodot.particle.registry import overlap, refine
from heterodot.particle.spelling import spelled


@cache
def relation(a: str, b: str, rank: int) -> OrientationRelationship:
    return search(crystal(a), crystal(b), max_index=2).matches[rank - 1]


@cache
def itself() -> OrientationRelationship:
    one = crystal("CsPbBr3_cubic")
    found = search(one, one, max_index=1)
    return found.find((1, 0, 0), (1, 0, 0), (0, 1, 0), (0, 1, 0))


def pair_sum(related: OrientationRelationship, how, shift: np.ndarray) -> float:
    """The same sum over pairs of ions in real space, over one coincidence cell."""
    from heterodot.epitaxy.registry import DEPTH, SOFTNESS

    a, b = related.crystal_a, related.crystal_b
    x = a.direction(related.direction_a)
    x = x / np.linalg.norm(x)
    axes = np.array([x, np.cross(related.normal, x), related.normal])
    cell = (related.cell_a @ related.mesh_a @ a.cell) @ axes[:2].T

    def ions(one, matrix, step, wide):
        grid = np.array(list(np.ndindex(19, 19, 19))) - 9
        points = ((grid @ one.cell)[:, None] + one.positions).reshape(-1, 3) @ matrix.T + step
        local = (points - how.anchor) @ axes.T
        sign = np.tile(np.sign(one.require_charges()), len(grid))
        inside = local[:, :2] @ np.linalg.inv(cell)
        low, high = (-1e-6, 1 - 1e-6) if not wide else (-0.6, 1.6)
        keep = ((inside >= low) & (inside < high)).all(1) & (np.abs(local[:, 2]) < 6)
        return local[keep], sign[keep]

    def total(one, two):
        (p, s), (q, t) = one, two
        apart = ((p[:, None] - q[None]) ** 2).sum(-1)
        middle = 0.5 * (p[:, None, 2] + q[None, :, 2])
        weight = np.exp(-apart / (4 * SOFTNESS**2) - 0.5 * (middle / DEPTH) ** 2)
        return float((s[:, None] * t[None] * weight).sum())

    one = ions(a, np.eye(3), np.zeros(3), False)
    one_wide = ions(a, np.eye(3), np.zeros(3), True)
    two = ions(b, how.matrix, how.shift, False)
    two_wide = ions(b, how.matrix, how.shift, True)
    moved = two_wide[0] + shift, two_wide[1]
    return total(one, moved) / np.sqrt(total(one, one_wide) * total(two, two_wide))


def test_a_crystal_continues_itself() -> None:
    how = place(itself())
    found = overlap(itself(), how)
    assert found.at(np.zeros(3)) == pytest.approx(1.0, abs=1e-6)
    assert found.best()[0] == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.tuples(*[st.floats(-2.0, 2.0)] * 2), st.floats(-0.8, 0.8))
def test_a_crystal_that_was_shifted_goes_back(flat: tuple[float, float], up: float) -> None:
    """Whatever shift a crystal is given against itself, the best registry undoes it."""
    how = place(itself())
    moved = dataclasses.replace(how, shift=how.shift + np.array([up, *flat]))
    back = refine(itself(), moved)
    left = (back.shift - how.shift) @ np.linalg.inv(itself().crystal_a.cell)
    assert left - np.round(left) == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("rank", [1, 3])
def test_fourier_sum_is_the_sum_over_pairs(rank: int) -> None:
    related = relation("CsPbCl3", "PbS", rank)
    how = place(related)
    found = overlap(related, how)
    for shift in ([0.0, 0.0, 0.0], [0.4, -1.1, 0.3], [2.2, 0.7, -0.6]):
        expected = pair_sum(related, how, np.array(shift))
        assert found.at(np.array(shift)) == pytest.approx(expected, abs=5e-3)


def test_best_shift_is_not_beaten_on_a_fine_grid() -> None:
    related = relation("CsPbCl3", "PbS", 4)
    found = overlap(related, place(related))
    shift, value = found.best()
    assert np.linalg.norm(shift) > 1.0
    random = np.random.default_rng(0).random((400, 3))
    tries = np.c_[random[:, :2] @ found.dual, (random[:, 2] - 0.5) * found.period]
    assert max(found.at(t) for t in tries) <= value + 1e-3


# ------------------------------------------------------------------ one particle for all spellings


def same_particle(one: Particle, two: Particle) -> None:
    assert one.formula == two.formula
    assert np.sort(pdist(two.positions)) == pytest.approx(np.sort(pdist(one.positions)), abs=1e-6)
    for key in ("bonds_across", "coordination"):
        assert two.info["interface"][key] == one.info["interface"][key]


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 47), st.integers(0, 23), st.sampled_from([1, 3, 4, 6]))
def test_equivalent_indices_build_the_same_particle(i: int, j: int, rank: int) -> None:
    """Symmetry operations of both crystals, mirrors included, on relations with odd nets."""
    asked = relation("CsPbCl3", "PbS", rank)
    proper_a = given_operations(asked.crystal_a)[1]
    proper_b = given_operations(asked.crystal_b)[1]
    other = respelled(asked, i, int(np.flatnonzero(proper_b == proper_a[i])[j]))
    one, two = (
        build("CsPbCl3", "cube", "2.4 nm", "PbS", "sphere", "2.4 nm", each)
        for each in (asked, other)
    )
    same_particle(one, two)
    assert two.domains[1].orientation == pytest.approx(other.rotation, abs=1e-6)


def test_tilted_perovskite_and_its_spellings() -> None:
    """Pnma: a body centered on lead has inversion only, so this is what keeps the particle."""
    asked = relation("CsPbBr3_ortho", "PbS", 1)
    ops_a, _ = given_operations(asked.crystal_a)
    proper_b = given_operations(asked.crystal_b)[1]
    i = int(np.argmin([np.abs(op + np.eye(3)).max() for op in ops_a]))
    other = respelled(asked, i, int(np.flatnonzero(~proper_b)[7]))
    first, second = (
        build(asked.crystal_a, "cube", "2.4 nm", "PbS", "sphere", "2.4 nm", each, center_a="Pb")
        for each in (asked, other)
    )
    same_particle(first, second)


def test_lattice_ions_stand_on_sites_of_their_crystal_in_every_spelling() -> None:
    asked = relation("CsPbCl3", "PbS", 1)
    particle = build("CsPbCl3", "cube", "2.4 nm", "PbS", "sphere", "2.4 nm", respelled(asked, 5, 3)
                     if given_operations(asked.crystal_a)[1][5]
                     == given_operations(asked.crystal_b)[1][3] else asked)  # fmt: skip
    for k, domain in enumerate(particle.domains):
        own = (particle.domain == k) & (particle.role == "core")
        assert domain.crystal is not None
        frame = (np.eye(3) + domain.strain) @ domain.orientation
        back = (particle.positions[own] - domain.origin) @ np.linalg.inv(frame).T
        domain.crystal.match_positions(back, particle.numbers[own], 1e-3)
        assert np.linalg.det(domain.orientation) == pytest.approx(1.0)


def test_a_cap_goes_to_the_facet_that_was_asked_for() -> None:
    """On a cuboid the faces differ: only the frame is turned, not the choice of the facet."""
    found = search(crystal("CsPbBr3_cubic"), crystal("PbS"), max_index=1)
    for plane, axis in (((1, 0, 0), 0), ((0, 1, 0), 1), ((0, 0, 1), 2)):
        asked = found.find(plane, (1, 0, 0))
        particle = build(
            "CsPbBr3_cubic", "cuboid", "4 nm x 3 nm x 2.4 nm", "PbS", "hemisphere", "2 nm", asked
        )
        middle = [particle.positions[particle.domain == k].mean(0) for k in (0, 1)]
        assert np.argmax(middle[1] - middle[0]) == axis
        assert report(particle)["passed"]


def test_a_spelling_is_one_of_its_kind() -> None:
    asked = relation("CsPbCl3", "PbS", 2)
    proper_a = given_operations(asked.crystal_a)[1]
    proper_b = given_operations(asked.crystal_b)[1]
    one = spelled(asked).relation
    for i in range(0, 48, 5):
        j = int(np.flatnonzero(proper_b == proper_a[i])[i % 24])
        two = spelled(respelled(asked, i, j)).relation
        assert (two.plane_a, two.plane_b) == (one.plane_a, one.plane_b)
        assert two.rotation == pytest.approx(one.rotation, abs=1e-9)
        assert (two.direction_a, two.direction_b) == (one.direction_a, one.direction_b)
