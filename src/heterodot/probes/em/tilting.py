"""How to tilt: zone axes that both domains share, and the way there from the present view."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.probes.em.patterns import Indexing
from heterodot.probes.em.zones import Indices
from heterodot.units import Value

if TYPE_CHECKING:
    from heterodot.crystal import Crystal


@dataclass(frozen=True)
class SharedAxis:
    """A direction that is a zone axis of both domains.

    Attributes
    ----------
    a, b : three ints
        [uvw] of each, toward the viewer.
    apart : float
        Angle between the two, degrees.
    tilt : Value
        From the present view to ``a``, degrees.
    about : float
        Direction in the image, degrees from +x toward +y, of the axis to turn the specimen about
        (right-handed) by ``tilt``.
    tilt_b : float
        From the present view to ``b``, degrees.
    """

    a: Indices
    b: Indices
    apart: float
    tilt: Value
    about: float
    tilt_b: float

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "a": list(self.a),
            "b": list(self.b),
            "apart": {"value": self.apart, "error": None, "unit": "deg",
                      "error_reason": "that of the relation"},
            "tilt": self.tilt.to_json(),
            "about": {"value": self.about, "error": self.tilt.error, "unit": "deg"},
            "tilt_b": {"value": self.tilt_b, "error": self.tilt.error, "unit": "deg"},
        }  # fmt: skip


def shared_axes(
    first: Indexing,
    rotation: NDArray[np.float64],
    crystal_b: Crystal,
    *,
    max_index: int = 3,
    within: float = 2.0,
    reach: float = 60.0,
) -> list[SharedAxis]:
    """Return zone axes that both crystals share and the tilt from here, nearest first.

    Parameters
    ----------
    first : Indexing
        Crystal A as it is seen now.
    rotation : (3, 3) array
        Cartesian of B -> Cartesian of A (`MeasuredRelation.rotation`).
    crystal_b : Crystal
    max_index : int
        Largest index of [uvw], in the cells as given.
    within : float
        Degrees by which the two axes may differ.
    reach : float
        Largest tilt, degrees.

    Notes
    -----
    Each axis of A comes once, with the axis of B nearest to it. From one image the relation, and
    with it what lies across the beam, may be ambiguous: look at its ``alternatives``.
    """
    span = range(-max_index, max_index + 1)
    every = np.array(
        [u for u in itertools.product(span, repeat=3) if any(u) and math.gcd(*map(abs, u)) == 1]
    )
    a = every @ first.crystal.cell
    b = (every @ crystal_b.cell) @ rotation.T
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    seen_a, seen_b = a @ first.orientation.T, b @ first.orientation.T
    cosines = a @ b.T
    found = []
    for i, j in enumerate(cosines.argmax(axis=1)):
        apart = _angle(float(np.linalg.norm(a[i] - b[j])))
        tilt = math.degrees(math.atan2(math.hypot(*seen_a[i, :2]), seen_a[i, 2]))
        if apart > within or tilt > reach:
            continue
        # turning about (y, -x) brings (x, y, z) to the beam
        about = math.degrees(math.atan2(-seen_a[i, 0], seen_a[i, 1])) % 360.0
        found.append(
            SharedAxis(
                _triple(every[i]),
                _triple(every[j]),
                apart,
                Value(tilt, "deg", first.tilt.error),
                about if tilt > 1e-6 else 0.0,
                math.degrees(math.atan2(math.hypot(*seen_b[j, :2]), seen_b[j, 2])),
            )
        )
    return sorted(found, key=lambda f: (round(f.tilt.value, 3), sum(map(abs, f.a))))


def _angle(chord: float) -> float:
    return math.degrees(2 * math.asin(min(chord / 2, 1.0)))


def _triple(row: NDArray[np.int64]) -> Indices:
    return int(row[0]), int(row[1]), int(row[2])
