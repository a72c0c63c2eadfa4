"""Interfaces: where terminating planes lie and which sites coincide under the stated map."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from heterodot.catalog import crystal
from heterodot.epitaxy import Interface, interfaces, search

CASES = [
    ("CsPbCl3_cubic", "PbS", (-2, 1, 0), (-4, -4, 2), (0, 0, 1), (1, -1, 0)),
    ("CsPbBr3_cubic", "PbS", (1, 0, 0), (1, 0, 0), None, None),
    ("CsPbBr3_cubic", "PbS", (1, 1, 1), (-1, 1, 1), None, None),
    ("PbS", "CsPbBr3_cubic", (2, 1, 1), (2, 1, 1), None, None),
]


def atoms_within(crystal_, matrix, translation, radius):
    reach = int(radius / min(crystal_.cellpar[:3])) + 4
    cells = np.array(list(np.ndindex(2 * reach + 1, 2 * reach + 1, 2 * reach + 1))) - reach
    points = (crystal_.scaled[None] + cells[:, None]).reshape(-1, 3) @ crystal_.cell
    points = points @ matrix.T + translation
    keep = np.linalg.norm(points, axis=1) < radius
    return points[keep], np.tile(crystal_.numbers, len(cells))[keep]


@pytest.mark.parametrize(("a", "b", "plane_a", "plane_b", "dir_a", "dir_b"), CASES)
def test_transform_puts_the_stated_sites_on_one_another(a, b, plane_a, plane_b, dir_a, dir_b):
    found = search(crystal(a), crystal(b))
    relation = found.find(plane_a, plane_b, dir_a, dir_b)
    for meeting in interfaces(relation):
        matrix, translation = meeting.transform()
        one, kind_one = atoms_within(relation.crystal_a, np.eye(3), np.zeros(3), 26.0)
        two, kind_two = atoms_within(relation.crystal_b, matrix, translation, 30.0)
        n, height = relation.normal, meeting.height
        lead = 82
        plane_one = one[(np.abs(one @ n - height) < 0.02) & (kind_one == lead)]
        plane_two = two[(np.abs(two @ n - height) < 0.02) & (kind_two == lead)]
        assert len(plane_one) > 3
        distance, _ = cKDTree(plane_two).query(plane_one)
        # every coincidence cell holds at least one exact coincidence, at the same fraction
        exact = np.mean(distance < 1e-6)
        per_cell = abs(np.linalg.det(relation.cell_a))
        assert exact == pytest.approx(max(round(exact * per_cell), 1) / per_cell, abs=0.15)
        assert exact >= 0.8 / per_cell
        assert meeting.gap == 0.0
        assert meeting.shared == "Pb"


def test_registry_counts_sites_of_the_published_interface():
    found = search(crystal("CsPbCl3_cubic"), crystal("PbS"))
    best = interfaces(found.find((-2, 1, 0), (-4, -4, 2), (0, 0, 1), (1, -1, 0)))[0]
    # three Pb of CsPbCl3 face four of PbS along [001] | [1-10]; one of three coincides
    assert best.registry == pytest.approx(1 / 3)
    assert (best.shared, best.termination_a) == ("Pb", "PbCl2")


def test_record_round_trip():
    found = search(crystal("CsPbBr3_cubic"), crystal("PbS"), max_index=1)
    one = interfaces(found.matches[0])[0]
    two = Interface.from_record(one.to_record())
    assert two.to_record() == one.to_record()
    for left, right in zip(one.transform(), two.transform(), strict=True):
        assert np.array_equal(left, right)


def test_unstrained_transform_is_the_rotation():
    found = search(crystal("CsPbBr3_cubic"), crystal("PbS"), max_index=1)
    one = interfaces(found.matches[0])[0]
    matrix, _ = one.transform(strained=False)
    assert matrix == pytest.approx(one.relation.rotation)
    strained, _ = one.transform()
    # B's cell edge laid onto A's: 5.936 -> 5.874 in the plane, unchanged along the normal
    edges = np.linalg.norm(strained @ np.eye(3) * 5.936, axis=0)
    assert sorted(edges) == pytest.approx([5.874, 5.874, 5.936], abs=1e-6)
