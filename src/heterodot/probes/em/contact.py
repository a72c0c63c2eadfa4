"""Which planes meet: the interface's line in the image against the planes of candidate relations.

Spots tell the rotation of two crystals and nothing of the plane in which they meet. Where that
plane stands edge-on in the image, its line does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodot.probes.em.interface import Line
from heterodot.probes.em.orientation import HALF_TURN, LATITUDE, MeasuredRelation
from heterodot.probes.em.patterns import Indexing
from heterodot.probes.em.zones import laue_rotations
from heterodot.units import Value

if TYPE_CHECKING:
    from heterodot.epitaxy import OrientationRelationship

STEPS = 5.0  # degrees by which a stepped or short interface may look turned


@dataclass(frozen=True)
class Contact:
    """A candidate's plane of contact against the line that is seen.

    Attributes
    ----------
    relation : OrientationRelationship
    deviation : Value
        Between the trace of its plane and the line, degrees, least over equivalent planes.
    inclination : float
        Between that plane and the beam, degrees; 0 is edge-on.
    agrees : bool
        Within three errors.
    """

    relation: OrientationRelationship
    deviation: Value
    inclination: float
    agrees: bool

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "label": self.relation.label,
            "rank": self.relation.rank,
            "deviation": self.deviation.to_json(),
            "inclination": {"value": self.inclination, "error": None, "unit": "deg",
                            "error_reason": "that of the zone axis"},
            "agrees": self.agrees,
        }  # fmt: skip


def contact_planes(
    line: Line,
    first: Indexing,
    measured: MeasuredRelation,
    relations: Sequence[OrientationRelationship],
    *,
    edge_on: float = 12.0,
) -> list[Contact]:
    """Return the planes of contact that relations of one rotation propose, nearest first.

    Parameters
    ----------
    line : Line
    first : Indexing
        Crystal A in the same image.
    measured : MeasuredRelation
    relations : sequence of OrientationRelationship
        E.g. ``measured.candidates[0].same_rotation``.
    edge_on : float
        Planes tilted more against the beam than this (degrees) draw no sharp line and are left
        out.
    """
    error = math.hypot(line.angle.error or 1.0, STEPS / 3)
    normal = np.array(
        [-math.sin(math.radians(line.angle.value)), math.cos(math.radians(line.angle.value))]
    )
    ops_a = laue_rotations(first.crystal)
    found = []
    for relation in relations:
        ops_b = laue_rotations(relation.crystal_b)
        best: tuple[float, float] | None = None
        for op in ops_a:
            turned = op @ relation.rotation
            cosine = np.einsum("ij,njk,ik->n", turned, ops_b, measured.rotation).max()
            angle = math.degrees(math.acos(float(np.clip((cosine - 1) / 2, -1, 1))))
            if angle > 3 * math.hypot(measured.error.value, LATITUDE):
                continue
            # the image does not tell A from A half a turn away: a line looks the same for both
            for half in (np.eye(3), HALF_TURN):
                at = half @ first.orientation @ op @ relation.normal
                inclination = math.degrees(math.asin(min(abs(float(at[2])), 1.0)))
                if inclination > edge_on:
                    continue
                unit = at[:2] / np.linalg.norm(at[:2])
                away = math.degrees(math.acos(min(abs(float(unit @ normal)), 1.0)))
                if best is None or away < best[0]:
                    best = (away, inclination)
        if best is not None:
            found.append(
                Contact(relation, Value(best[0], "deg", error), best[1], best[0] < 3 * error)
            )
    return sorted(
        found, key=lambda c: (not c.agrees, c.relation.rank if c.agrees else c.deviation.value)
    )
