"""Zone axis of a domain from its spots, and the orientation relation of two domains."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.probes.em.preview import scattering
from heterodot.probes.em.spots import Spot
from heterodot.units import Value

if TYPE_CHECKING:
    from heterodot.crystal import Crystal
    from heterodot.epitaxy import OrientationRelationship

Indices = tuple[int, int, int]
HALF_TURN = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Indexing:
    """One crystal seen along one zone axis.

    Attributes
    ----------
    crystal : Crystal
    zone : three ints
        [uvw] toward the viewer; symmetry-equivalent ones are the same answer.
    orientation : (3, 3) array
        Cartesian of the crystal -> image frame (x, y, toward the viewer). A pattern of spots does
        not tell it from the one half a turn about the beam away.
    angle : Value
        Rotation about the beam, degrees (its error is what matters).
    spacing_ratio : Value
        Measured over expected spacings, 1 for the candidate as given and the scale as given.
    hkl : tuple of three ints
        Of each matched spot.
    matched : tuple of int
        Which spots these are.
    score : float
        0 to 1: share of the expected and of the seen intensity that is explained.
    tilt_limit : float
        Degrees; spots alone cannot exclude a tilt below about this one.
    """

    crystal: Crystal
    zone: Indices
    orientation: NDArray[np.float64]
    angle: Value
    spacing_ratio: Value
    hkl: tuple[Indices, ...]
    matched: tuple[int, ...]
    score: float
    tilt_limit: float

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "phase": self.crystal.name,
            "zone_axis": list(self.zone),
            "orientation": self.orientation.tolist(),
            "angle": self.angle.to_json(),
            "spacing_ratio": self.spacing_ratio.to_json(),
            "spots": [
                {"spot": k, "hkl": list(h)} for k, h in zip(self.matched, self.hkl, strict=True)
            ],
            "score": self.score,
            "tilt_not_excluded": {"value": self.tilt_limit, "unit": "deg", "error": None,
                                  "error_reason": "a limit"},
        }  # fmt: skip


def zone_axes(crystal: Crystal, max_index: int = 4) -> list[Indices]:
    """Return coprime [uvw] up to an index, one of each symmetry-equivalent set, simplest first."""
    span = range(-max_index, max_index + 1)
    every: list[Indices] = [
        (u, v, w) for u in span for v in span for w in span if math.gcd(u, v, w) == 1
    ]
    every.sort(key=lambda u: (sum(i * i for i in u), [-i for i in u]))
    inverse = np.linalg.inv(crystal.cell)
    seen: set[Indices] = set()
    kept = []
    for u in every:
        if u in seen:
            continue
        kept.append(u)
        images = crystal.point_operations @ crystal.direction(u) @ inverse
        for image in (*np.rint(images).astype(int), *np.rint(-images).astype(int)):
            seen.add((int(image[0]), int(image[1]), int(image[2])))
    return kept


def reflections(crystal: Crystal, g_max: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return allowed hkl up to g_max (1/Å), (n, 3), and |F| relative to the largest, kinematic."""
    top = np.ceil(g_max * np.linalg.norm(crystal.cell, axis=1)).astype(int)
    axes = [np.arange(-t, t + 1) for t in top]
    hkl = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    q = np.linalg.norm(hkl @ crystal.reciprocal, axis=1)
    hkl = hkl[(q > 0) & (q <= g_max)]
    q2 = np.sum((hkl @ crystal.reciprocal) ** 2, axis=1)
    factor = np.zeros(len(hkl), dtype=complex)
    for number in np.unique(crystal.numbers):
        sites = crystal.scaled[crystal.numbers == number]
        # B = 1 Å², as for most of these crystals at room temperature; only ranks reflections
        f = scattering(int(number), q2) * np.exp(-q2 / 4)
        factor += f * np.exp(2j * np.pi * hkl @ sites.T).sum(axis=1)
    strength = np.abs(factor) / max(float(np.abs(factor).max()), 1e-30)
    return hkl[strength > 0.02], strength[strength > 0.02]


def index(
    spots: Sequence[Spot],
    crystals: Sequence[Crystal],
    *,
    max_index: int = 4,
    tolerance: float = 0.025,
    keep: int = 5,
) -> list[Indexing]:
    """Return crystals and zone axes that explain the spots, best first.

    Parameters
    ----------
    spots : sequence of Spot
        From `find_spots`; spots of another domain among them are allowed.
    crystals : sequence of Crystal
        Candidate phases.
    max_index : int
        Largest index of [uvw].
    tolerance : float
        Relative deviation of a reflection's place that is accepted (scale errors, strain).
    keep : int
        How many answers.

    Raises
    ------
    InputError
        Fewer than two spots.
    NotFoundError
        No candidate explains two spots that are not parallel.
    """
    if len(spots) < 2:
        raise InputError("two spots at least are needed", place="index")
    g_max = 1.05 * max(s.g for s in spots)
    found = []
    for crystal in crystals:
        hkl, strength = reflections(crystal, g_max)
        for zone in zone_axes(crystal, max_index):
            one = _best_turn(crystal, zone, hkl, strength, spots, tolerance)
            if one is not None:
                found.append(one)
    if not found:
        raise NotFoundError(
            "no candidate phase explains two spots", place="index",
            remedy="check the scale, add phases, or choose a region inside one domain",
        )  # fmt: skip
    return sorted(found, key=lambda i: -i.score)[:keep]


def _frame(crystal: Crystal, zone: Indices) -> NDArray[np.float64]:
    """Return rows x, y, z of an image frame whose z is the zone axis."""
    z = crystal.direction(zone)
    z = z / np.linalg.norm(z)
    x = np.eye(3)[int(np.argmin(np.abs(z)))]
    x = x - (x @ z) * z
    x /= np.linalg.norm(x)
    return np.array([x, np.cross(z, x), z])


def _best_turn(
    crystal: Crystal,
    zone: Indices,
    hkl: NDArray[np.int64],
    strength: NDArray[np.float64],
    spots: Sequence[Spot],
    tolerance: float,
) -> Indexing | None:
    """Return the rotation about a zone axis that explains most, None where nothing does."""
    on = hkl @ np.array(zone) == 0
    if on.sum() < 4:
        return None
    hkl, strength = hkl[on], strength[on]
    frame = _frame(crystal, zone)
    flat = (hkl @ crystal.reciprocal @ frame.T)[:, :2]
    length = np.linalg.norm(flat, axis=1)
    seen = np.array([[s.gx, s.gy] for s in spots])
    radius = np.linalg.norm(seen, axis=1)
    amplitude = np.array([s.amplitude for s in spots])
    reach = tolerance * radius + 2 * np.array([s.error for s in spots])
    # the lowest reflections alone propose turns, each spot against each of like length
    pairs = [
        (k, j)
        for k in np.argsort(-amplitude)[:12]
        for j in np.nonzero(np.abs(length - radius[k]) < reach[k])[0]
    ]
    if not pairs:
        return None
    k, j = np.array(pairs).T
    turns = np.arctan2(seen[k, 1], seen[k, 0]) - np.arctan2(flat[j, 1], flat[j, 0])
    turns = np.unique(np.round(turns % np.pi, 3))
    best: tuple[float, float, NDArray[np.int64], NDArray[np.bool_]] | None = None
    for turn in turns:
        nearest, hit, score = _match(turn, flat, strength, seen, amplitude, reach)
        if best is None or score > best[0] + 1e-9:
            best = (score, float(turn), nearest, hit)
    assert best is not None
    score, turn, nearest, hit = best
    fitted = _fit_turn(flat[nearest[hit]], seen[hit], np.array([s.error for s in spots])[hit])
    if fitted is None:
        return None
    turn, turn_error, ratio, ratio_error = fitted
    c, s = math.cos(turn), math.sin(turn)
    spin = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    # foreshortening by a tilt t is 1 - cos t, lost in the error of a spacing
    tilt = math.degrees(math.acos(max(1 - max(2 * ratio_error, 1e-4), 0.0)))
    return Indexing(
        crystal,
        zone,
        spin @ frame,
        Value(math.degrees(turn), "deg", math.degrees(turn_error)),
        Value(1 / ratio, "1", ratio_error),
        tuple((int(h[0]), int(h[1]), int(h[2])) for h in hkl[nearest[hit]]),
        tuple(int(i) for i in np.nonzero(hit)[0]),
        score,
        tilt,
    )


def _match(
    turn: float,
    flat: NDArray[np.float64],
    strength: NDArray[np.float64],
    seen: NDArray[np.float64],
    amplitude: NDArray[np.float64],
    reach: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.bool_], float]:
    """Return nearest reflection of each spot, whether it is within reach, and the score."""
    c, s = math.cos(turn), math.sin(turn)
    turned = flat @ np.array([[c, s], [-s, c]])
    apart = np.linalg.norm(seen[:, None] - turned[None], axis=2)
    nearest = np.argmin(apart, axis=1)
    distance = apart[np.arange(len(seen)), nearest]
    hit = distance < reach
    closeness = np.where(hit, 1 - 0.5 * (distance / reach) ** 2, 0.0)
    precision = float((np.sqrt(amplitude) * closeness).sum() / np.sqrt(amplitude).sum())
    # Friedel pairs: each matched spot stands for both
    recall = 2 * float(strength[np.unique(nearest[hit])].sum()) / float(strength.sum())
    if precision + recall == 0:
        return nearest, hit, 0.0
    return nearest, hit, 2 * precision * min(recall, 1.0) / (precision + min(recall, 1.0))


def _fit_turn(
    model: NDArray[np.float64], seen: NDArray[np.float64], sigma: NDArray[np.float64]
) -> tuple[float, float, float, float] | None:
    """Return turn and scale with errors that carry the model's vectors onto the seen ones."""
    if len(model) < 2:
        return None
    a, b = model[:, 0] + 1j * model[:, 1], seen[:, 0] + 1j * seen[:, 1]
    if np.abs(np.imag(np.conj(b[0]) * b) / (np.abs(b[0]) * np.abs(b))).max() < 0.1:
        return None
    weight = 1 / sigma**2
    norm = float(np.sum(weight * np.abs(a) ** 2))
    factor = complex(np.sum(weight * np.conj(a) * b)) / norm
    dof = 2 * len(a) - 2
    chi = float(np.sum(weight * np.abs(b - factor * a) ** 2)) / dof
    error = math.sqrt(max(chi, 1.0) / norm) / abs(factor)
    return float(np.angle(factor)), error, abs(factor), error


@dataclass(frozen=True, eq=False)
class MeasuredRelation:
    """How crystal B lies on crystal A, from one or more images.

    Attributes
    ----------
    rotation : (3, 3) array
        Cartesian of B -> Cartesian of A.
    error : Value
        Degrees, standard error of the rotation angle (about the beam; across it within the tilt).
    alternatives : tuple of (3, 3) arrays
        Rotations that explain the images as well (half-turn ambiguity); empty where resolved.
    candidates : tuple of (relation, degrees)
        Relations offered, nearest first, with the angle that is left.
    parallel : tuple of (uvw of A, uvw of B, degrees)
        Zone axes that were parallel in the images.
    """

    rotation: NDArray[np.float64]
    error: Value
    alternatives: tuple[NDArray[np.float64], ...]
    candidates: tuple[tuple[OrientationRelationship, float], ...]
    parallel: tuple[tuple[Indices, Indices], ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "rotation_b_to_a": self.rotation.tolist(),
            "error": self.error.to_json(),
            "ambiguous": bool(self.alternatives),
            "alternatives": [m.tolist() for m in self.alternatives],
            "zone_axes": [{"a": list(a), "b": list(b)} for a, b in self.parallel],
            "candidates": [
                {"label": r.label, "rank": r.rank,
                 "angle": {"value": angle, "error": self.error.value, "unit": "deg"}}
                for r, angle in self.candidates
            ],
        }  # fmt: skip


def misorientation(
    a: NDArray[np.float64], b: NDArray[np.float64], crystal_a: Crystal, crystal_b: Crystal
) -> float:
    """Return the smallest angle (degrees) between two B -> A rotations under both symmetries."""
    left = np.einsum("mij,jk->mik", crystal_a.proper_rotations, a)
    right = np.einsum("ij,njk->nik", b, crystal_b.proper_rotations)
    trace = np.einsum("mij,nij->mn", left, right).max()
    return math.degrees(math.acos(float(np.clip((trace - 1) / 2, -1, 1))))


def measured_relation(
    pairs: Sequence[tuple[Indexing, Indexing]],
    candidates: Sequence[OrientationRelationship] = (),
) -> MeasuredRelation:
    """Return the orientation relation from domains indexed in the same image.

    One image leaves a half turn about the beam open; a second one along another axis settles it
    where the crystals' symmetry does not make both the same.

    Parameters
    ----------
    pairs : sequence of (Indexing of A, Indexing of B)
        One pair an image.
    candidates : sequence of OrientationRelationship
        Relations to compare with, e.g. from `heterodot.epitaxy.search`.

    Raises
    ------
    InputError
        No image.
    """
    if not pairs:
        raise InputError("no image was indexed", place="measured_relation")
    crystal_a, crystal_b = pairs[0][0].crystal, pairs[0][1].crystal
    # each image allows the orientation of B with and without the half turn
    options = [
        [a.orientation.T @ turn @ b.orientation for turn in (np.eye(3), HALF_TURN)]
        for a, b in pairs
    ]
    worst = []
    for one in options[0]:
        rest = [
            min(misorientation(one, m, crystal_a, crystal_b) for m in other)
            for other in options[1:]
        ]
        worst.append(max(rest, default=0.0))
    order = np.argsort(worst)
    errors = [math.hypot(a.angle.error or 0.0, b.angle.error or 0.0) for a, b in pairs]
    spread = float(min(worst)) / 2 if len(pairs) > 1 else 0.0
    error = max(math.hypot(float(np.mean(errors)), spread), 1e-3)
    best = options[0][int(order[0])]
    other = options[0][int(order[1])]
    same = misorientation(best, other, crystal_a, crystal_b) < 3 * error
    open_ = not same and worst[int(order[1])] - worst[int(order[0])] < 3 * error
    alternatives = (other,) if open_ else ()
    ranked = [
        (r, min(misorientation(m, r.rotation, crystal_a, crystal_b) for m in (best, *alternatives)))
        for r in candidates
    ]
    ranked.sort(key=lambda item: item[1])
    return MeasuredRelation(
        best,
        Value(error, "deg", error / math.sqrt(2 * len(pairs))),
        alternatives,
        tuple(ranked),
        tuple((a.zone, b.zone) for a, b in pairs),
    )


def shared_axes(
    first: Indexing,
    rotation: NDArray[np.float64],
    crystal_b: Crystal,
    *,
    max_index: int = 4,
    within: float = 2.0,
) -> list[dict[str, Any]]:
    """Return zone axes that both crystals share and the tilt from here, nearest first.

    Parameters
    ----------
    first : Indexing
        Crystal A as it is seen now.
    rotation : (3, 3) array
        Cartesian of B -> Cartesian of A (`MeasuredRelation.rotation`).
    crystal_b : Crystal
    max_index : int
    within : float
        Degrees by which the two axes may differ.

    Returns
    -------
    list of dict
        ``a``, ``b`` ([uvw]), ``apart`` (degrees), ``tilt`` (degrees from the present axis) and
        ``about`` (direction in the image, degrees from +x, of the axis to tilt about).
    """
    span = range(-max_index, max_index + 1)
    every = np.array(
        [u for u in itertools.product(span, repeat=3) if any(u) and math.gcd(*map(abs, u)) == 1]
    )
    a = every @ first.crystal.cell
    b = (every @ crystal_b.cell) @ rotation.T
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    seen = a @ first.orientation.T
    apart = np.degrees(np.arccos(np.clip(a @ b.T, -1, 1)))
    found = []
    for i, j in np.argwhere(apart <= within):
        if seen[i, 2] < -1e-9:
            continue
        tilt = math.degrees(math.acos(float(np.clip(seen[i, 2], -1, 1))))
        about = math.degrees(math.atan2(-seen[i, 0], seen[i, 1])) % 360.0
        found.append(
            {
                "a": every[i].tolist(),
                "b": every[j].tolist(),
                "apart": float(apart[i, j]),
                "tilt": tilt,
                "about": about,
            }
        )
    simple = {tuple(f["a"]): f for f in sorted(found, key=lambda f: -f["apart"])}
    return sorted(simple.values(), key=lambda f: (round(f["tilt"], 3), sum(map(abs, f["a"]))))
