"""Which reflections of a thin, slightly tilted crystal should be seen, and which tilts hide."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
TILTS = np.radians(
    [[0.0, 0.0], *([t, a] for t in (1.5, 3.0, 4.5) for a in range(0, 180, 15))]
)  # magnitude and direction of the axis


def absent(
    flat: Array,
    strength: Array,
    matched: NDArray[np.int64],
    at: Array,
    amplitude: Array,
    thickness: float,
    weakest: float,
) -> tuple[float, float]:
    """Return the share of low reflections that should stand out and do not, and a cost.

    What should stand out: kinematic amplitude three times above ``weakest``, the least spot found,
    under the tilt (up to 4.5 degrees, at a cost) that excuses most. A spot weaker than a sixth of
    what is expected counts as missing: it leaks in from a neighbor.
    """
    q = np.linalg.norm(flat, axis=1)
    top = max(0.7 * float(np.linalg.norm(at, axis=1).max()), float(q.min()) * 1.2)
    half = (flat[:, 0] > 1e-9) | ((np.abs(flat[:, 0]) <= 1e-9) & (flat[:, 1] > 0))
    found = np.zeros(len(flat))
    for j, a in zip(matched, amplitude, strict=True):
        same = np.linalg.norm(flat - flat[j], axis=1) < 1e-6
        same |= np.linalg.norm(flat + flat[j], axis=1) < 1e-6
        found[same] = np.maximum(found[same], a)
    # (tilt, reflection): how much of its length along the beam the plane of the transform cuts
    depth = np.outer(np.sin(TILTS[:, 0]), q) * np.abs(
        np.sin(np.subtract.outer(TILTS[:, 1], np.arctan2(flat[:, 1], flat[:, 0])))
    )
    cut = np.exp(-0.5 * (depth * max(thickness, 10.0) / 0.45) ** 2) + 0.03
    expected = strength * cut
    # what the lens and the probe damp is far out: low reflections set the scale for low ones
    near = np.linalg.norm(at, axis=1) <= top
    use = near if near.sum() > 1 else np.ones(len(at), dtype=bool)
    ratio = amplitude[use] / np.maximum(expected[:, matched[use]], 1e-9)
    rate = np.exp(np.median(np.log(np.maximum(ratio, 1e-9)), axis=1))[:, None]
    limit = 0.3 * np.maximum((strength * (found > 0)).max(), np.median(strength))
    low = half & (q <= top) & (strength >= limit)
    there = found > rate * expected / 6
    clear = low & (rate * expected > 3 * weakest)
    visible = clear & ~there
    # a tilt is no excuse where it would have put out spots that are seen
    dim = ((cut[:, matched] < 0.15) & (amplitude > 2 * weakest)).sum(axis=1)
    missed = 3.0 * np.minimum(visible.sum(axis=1), 5) + 0.5 * (np.degrees(TILTS[:, 0]) / 2) ** 2
    missed = missed + 1.5 * dim
    best = int(np.argmin(missed))
    weight = expected[best] * (clear[best] | (low & there[best]))
    share = float(weight[~there[best]].sum() / max(float(weight.sum()), 1e-30))
    return share, float(missed[best])


def tilt_error(at: Array, thickness: float) -> float:
    """Return the tilt (degrees) at which the spots would leave the plane of the transform.

    A crystal of thickness t has reflections 1/t long along the beam, so a spot at g is seen up to
    tilts of about 1/(t g); what counts is the direction in which spots reach least far.
    """
    angles = np.linspace(0, math.pi, 37)
    reach = np.abs(at @ np.array([np.cos(angles), np.sin(angles)])).max(axis=0).min()
    return math.degrees(math.asin(min(1.0, 1 / (max(thickness, 10.0) * max(float(reach), 1e-3)))))
