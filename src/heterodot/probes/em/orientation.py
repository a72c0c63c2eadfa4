"""The orientation relation of two domains from the images in which both were indexed.

A pattern of spots fixes a domain's turn about the beam to a tenth of a degree and its tilt across
the beam to one or two degrees only; it leaves a half turn about the beam open. All of that is
carried along as a covariance, so a second image along another axis adds what the first lacks.
Friedel's law hides polarity: zinc blende is compared as if it had a center of inversion.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.probes.em.patterns import TOLD_APART, Indexing, design, index
from heterodot.probes.em.zones import Indices, laue_rotations
from heterodot.units import Value

if TYPE_CHECKING:
    from heterodot.crystal import Crystal
    from heterodot.epitaxy import OrientationRelationship

__all__ = [
    "Candidate", "Indexing", "MeasuredRelation", "index", "measured_relation", "misorientation",
]  # fmt: skip

Array = NDArray[np.float64]
Answers = Indexing | Sequence[Indexing]
HALF_TURN = np.diag([-1.0, -1.0, 1.0])
STRAIN = 0.005  # of a domain against its bulk cell, standard deviation
LATITUDE = 0.5  # degrees by which a real interface may deviate from the ideal relation
SAME = 1.0  # degrees: candidates whose rotations agree within are one


class Candidate(NamedTuple):
    """A relation that was offered, against what was measured.

    Attributes
    ----------
    relation : OrientationRelationship
        The best ranked of those with this rotation.
    angle : float
        Degrees between it and the measured rotation, least under symmetry.
    chi2 : float
        The same over the errors, squared; three degrees of freedom.
    probability : float
        Chance of so large a deviation if it is the true one.
    agrees : bool
        Probability above 0.3 %.
    told_apart : bool
        It is worse than the first by more than 20 to 1.
    same_rotation : tuple of OrientationRelationship
        All offered ones with this rotation: other planes of contact, or the same by symmetry.
    """

    relation: OrientationRelationship
    angle: float
    chi2: float
    probability: float
    agrees: bool
    told_apart: bool
    same_rotation: tuple[OrientationRelationship, ...]


@dataclass(frozen=True, eq=False)
class MeasuredRelation:
    """How crystal B lies on crystal A, from one or more images.

    Attributes
    ----------
    rotation : (3, 3) array
        Cartesian of B -> Cartesian of A.
    covariance : (3, 3) array
        Of the rotation vector that is left, in A's frame, degrees squared.
    alternatives : tuple of (3, 3) arrays
        Rotations that explain the images as well (half turn, other zone axes); empty where
        resolved.
    candidates : tuple of Candidate
        Relations offered, nearest first, those with one rotation together.
    parallel : tuple of (uvw of A, uvw of B)
        Zone axes that were parallel in the images.
    turns : tuple of Value
        Angle about the beam from B's to A's own reference directions in each image, degrees, with
        its error: what one image gives best.
    discord : float
        Chi squared over degrees of freedom between the images (and known tilts); 0 for one image.
        Above about 3, the images do not show one particle, or a tilt is wrong.
    """

    rotation: NDArray[np.float64]
    covariance: NDArray[np.float64]
    alternatives: tuple[NDArray[np.float64], ...]
    candidates: tuple[Candidate, ...]
    parallel: tuple[tuple[Indices, Indices], ...]
    turns: tuple[Value, ...]
    discord: float

    @property
    def error(self) -> Value:
        """Largest standard error of the rotation about any axis, degrees."""
        largest = math.sqrt(float(np.linalg.eigvalsh(self.covariance).max()))
        return Value(largest, "deg", largest / math.sqrt(2 * len(self.parallel)))

    @property
    def verdict(self) -> str:
        """One sentence on the candidates."""
        if not self.candidates:
            return "no candidate relation was offered"
        if not self.candidates[0].agrees:
            return (
                f"none of the candidates agrees: the nearest, {self.candidates[0].relation.label}, "
                f"is {self.candidates[0].angle:.1f} degrees away"
            )
        good = [c for c in self.candidates if c.agrees and not c.told_apart]
        if len(good) == 1:
            return f"{good[0].relation.label} agrees, {good[0].angle:.1f} degrees away"
        return (
            f"{len(good)} candidates cannot be told apart by "
            f"{'this image' if len(self.parallel) == 1 else 'these images'}: "
            + "; ".join(c.relation.label for c in good[:4])
            + (" and others" if len(good) > 4 else "")
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "rotation_b_to_a": self.rotation.tolist(),
            "error": self.error.to_json(),
            "covariance_deg2": self.covariance.tolist(),
            "ambiguous": bool(self.alternatives),
            "alternatives": [m.tolist() for m in self.alternatives],
            "zone_axes": [{"a": list(a), "b": list(b)} for a, b in self.parallel],
            "turns": [t.to_json() for t in self.turns],
            "discord_of_images": self.discord,
            "verdict": self.verdict,
            "candidates": [
                {
                    "label": c.relation.label,
                    "rank": c.relation.rank,
                    "angle": {"value": c.angle, "error": self.error.value, "unit": "deg"},
                    "chi2": c.chi2,
                    "probability": c.probability,
                    "agrees": c.agrees,
                    "told_apart_from_first": c.told_apart,
                    "same_rotation": [
                        {"label": r.label, "rank": r.rank} for r in c.same_rotation
                    ],
                }
                for c in self.candidates
            ],
        }  # fmt: skip


def misorientation(a: Array, b: Array, crystal_a: Crystal, crystal_b: Crystal) -> float:
    """Return the smallest angle (degrees) between two B -> A rotations under both Laue groups."""
    left = np.einsum("mij,jk->mik", laue_rotations(crystal_a), a)
    right = np.einsum("ij,njk->nik", b, laue_rotations(crystal_b))
    trace = np.einsum("mij,nij->mn", left, right).max()
    return math.degrees(math.acos(float(np.clip((trace - 1) / 2, -1, 1))))


class _Option(NamedTuple):
    """One way to read an image: rotation B -> A, its covariance (deg²), and what it costs."""

    rotation: Array
    covariance: Array
    cost: float
    parallel: tuple[Indices, Indices]
    turn: Value
    sides: tuple[Array, Array]


def measured_relation(
    pairs: Sequence[tuple[Answers, Answers]],
    candidates: Sequence[OrientationRelationship] = (),
    *,
    tilts: Sequence[tuple[float, float]] | None = None,
    tilt_error: float = 1.0,
    scale_error: float = 0.02,
    distortion: float = 0.01,
) -> MeasuredRelation:
    """Return the orientation relation from domains indexed in the same images.

    Parameters
    ----------
    pairs : sequence of (answers for A, answers for B)
        One pair an image: an `Indexing`, or the list of those that `index` gives (answers within
        3 of the first's evidence, of the same crystal, are kept open).
    candidates : sequence of OrientationRelationship
        Relations to compare with, e.g. from `heterodot.epitaxy.search`. Those that are one by
        symmetry, or differ only in the plane of contact, are ranked together.
    tilts : sequence of two floats, optional
        Degrees about the image's x axis, then about its y axis, by which the specimen was tilted
        from the first image to each (the first is ``(0, 0)``). Unknown if not given.
    tilt_error : float
        Standard error of these, degrees.
    scale_error, distortion : float
        As given to `index`; both domains share the image's distortion.

    Raises
    ------
    InputError
        No image, other crystals in a later one, or tilts of another number.
    """
    if not pairs:
        raise InputError("no image was indexed", place="measured_relation")
    if tilts is not None and len(tilts) != len(pairs):
        raise InputError(f"{len(tilts)} tilts for {len(pairs)} images", place="tilts")
    answers = [(_open(a), _open(b)) for a, b in pairs]
    crystal_a, crystal_b = answers[0][0][0].crystal, answers[0][1][0].crystal
    for a, b in answers[1:]:
        if (a[0].crystal.name, b[0].crystal.name) != (crystal_a.name, crystal_b.name):
            raise InputError(
                f"one image shows {crystal_a.name} and {crystal_b.name}, another "
                f"{a[0].crystal.name} and {b[0].crystal.name}", place="measured_relation",
            )  # fmt: skip
    options = [_options(a, b, scale_error, distortion) for a, b in answers]
    symmetry = laue_rotations(crystal_a), laue_rotations(crystal_b)
    frames = None if tilts is None else [_tilted(*t) for t in tilts]
    readings = []
    for first in options[0]:
        readings.append(_combined(first, options[1:], symmetry, frames, tilt_error))
    readings.sort(key=lambda r: r[2])
    best = readings[0]
    alternatives: list[_Reading] = []
    for other in readings[1:]:
        limit = 3 * math.sqrt(float(np.linalg.eigvalsh(best[1]).max()))
        if other[2] - best[2] < TOLD_APART and all(
            misorientation(other[0], known[0], crystal_a, crystal_b) > max(limit, SAME)
            for known in (best, *alternatives)
        ):
            alternatives.append(other)
    ranked = _ranked(candidates, [best, *alternatives], symmetry)
    return MeasuredRelation(
        best[0],
        best[1],
        tuple(a[0] for a in alternatives),
        ranked,
        best[3],
        best[4],
        best[5],
    )


def _open(answers: Answers) -> list[Indexing]:
    """Return the answers that the evidence keeps open, all of the first one's crystal."""
    if isinstance(answers, Indexing):
        return [answers]
    if not answers:
        raise InputError("a domain has no answer", place="measured_relation")
    first = answers[0]
    return [
        a
        for a in answers
        if a.crystal.name == first.crystal.name and first.evidence - a.evidence < TOLD_APART
    ]


def _options(
    of_a: list[Indexing], of_b: list[Indexing], scale_error: float, distortion: float
) -> list[_Option]:
    """Return every reading of one image: answers times the half turn about the beam."""
    found = []
    for a in of_a:
        for b in of_b:
            turn_a, turn_b, error = _joint_turns(a, b, scale_error, distortion)
            side_a, side_b = (
                _about_beam(t) @ one.orientation for t, one in ((turn_a, a), (turn_b, b))
            )
            across = math.hypot(a.tilt.error or 2.0, b.tilt.error or 2.0)
            spread = np.diag([across**2, across**2, max(math.degrees(error), 0.05) ** 2])
            cost = of_a[0].evidence - a.evidence + of_b[0].evidence - b.evidence
            angle = (a.angle.value + math.degrees(turn_a)) - (b.angle.value + math.degrees(turn_b))
            turn = Value(angle % 180.0, "deg", math.degrees(error))
            for half in (np.eye(3), HALF_TURN):
                found.append(
                    _Option(
                        side_a.T @ half @ side_b,
                        side_a.T @ spread @ side_a,
                        cost,
                        (a.zone, b.zone),
                        turn,
                        (side_a, half @ side_b),
                    )
                )
    return found


def _about_beam(turn: float) -> Array:
    c, s = math.cos(turn), math.sin(turn)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def _joint_turns(
    a: Indexing, b: Indexing, scale_error: float, distortion: float
) -> tuple[float, float, float]:
    """Return turns (rad) of both domains with the distortion they share, and the relative error.

    Unknown: both turns, scale, two shears of the image, an isotropic strain of each domain.
    """
    rows, rest, weight = [], [], []
    for k, one in enumerate((a, b)):
        model = (np.array(one.hkl) @ one.crystal.reciprocal @ one.orientation.T)[:, :2]
        part = design(model)
        block = np.zeros((len(part), 7))
        block[:, k] = part[:, 0]
        block[:, 2:5] = part[:, 1:]
        block[:, 5 + k] = part[:, 1]
        rows.append(block)
        rest.append((one.seen - model).ravel())
        weight.append(np.repeat(1 / one.sigma**2, 2))
    matrix, right, w = np.concatenate(rows), np.concatenate(rest), np.concatenate(weight)
    prior = np.array([np.inf, np.inf, scale_error, distortion, distortion, STRAIN, STRAIN])
    normal = matrix.T @ (w[:, None] * matrix) + np.diag(1 / np.maximum(prior, 1e-6) ** 2)
    covariance = np.linalg.inv(normal)
    solution = covariance @ (matrix.T @ (w * right))
    left = right - matrix @ solution
    chi = float((w * left**2).sum()) / max(len(left) - 4, 1)
    relative = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return float(solution[0]), float(solution[1]), math.sqrt(relative * max(chi, 1.0))


_Reading = tuple[Array, Array, float, tuple[tuple[Indices, Indices], ...], tuple[Value, ...], float]


def _combined(
    first: _Option,
    others: list[list[_Option]],
    symmetry: tuple[Array, Array],
    frames: list[Array] | None,
    tilt_error: float,
) -> _Reading:
    """Return the mean rotation over images, its covariance and cost, with one reading of each."""
    rotation, covariance, cost = first.rotation, first.covariance, first.cost
    parallel, turns, discord = [first.parallel], [first.turn], 0.0
    for k, options in enumerate(others):
        best: tuple[float, Array, Array, float, _Option] | None = None
        for option in options:
            vectors, spreads = _variants(option, rotation, symmetry)
            chi = np.einsum("ni,nij,nj->n", vectors, np.linalg.inv(covariance + spreads), vectors)
            if frames is not None:
                chi = chi + _view_chi(first, option, frames[k + 1], symmetry, tilt_error)
            total = 0.5 * chi + option.cost
            n = int(np.argmin(total))
            if best is None or total[n] < best[0]:
                best = (float(total[n]), vectors[n], spreads[n], float(chi[n]), option)
        assert best is not None
        gain = covariance @ np.linalg.inv(covariance + best[2])
        rotation = _rotated(gain @ best[1]) @ rotation
        covariance = covariance - gain @ covariance
        covariance = (covariance + covariance.T) / 2
        cost += best[0]
        discord += best[3]
        parallel.append(best[4].parallel)
        turns.append(best[4].turn)
    freedom = (3 if frames is None else 9) * len(others)
    discord = discord / freedom if others else 0.0
    # images that disagree say how far the errors are too small
    covariance = covariance * max(discord, 1.0)
    return rotation, covariance, cost, tuple(parallel), tuple(turns), discord


def _variants(option: _Option, about: Array, symmetry: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return rotation vectors (deg) from a rotation to all symmetry variants of an option."""
    ops_a, ops_b = symmetry
    moved = np.einsum("aij,jk,bkl->abil", ops_a, option.rotation, ops_b)
    vectors = _vectors(np.einsum("abij,kj->abik", moved, about).reshape(-1, 3, 3))
    spreads = np.einsum("aij,jk,alk->ail", ops_a, option.covariance, ops_a)
    return vectors, np.repeat(spreads, len(ops_b), axis=0)


def _view_chi(
    first: _Option,
    option: _Option,
    frame: Array,
    symmetry: tuple[Array, Array],
    tilt_error: float,
) -> Array:
    """Return chi squared of the known tilt between two images for each symmetry variant.

    A seen in the first image, tilted as the goniometer says, should be A seen in the second one
    but for a symmetry operation; so should B with the operation that goes with it.
    """
    ops_a, ops_b = symmetry
    both: list[Array] = []
    turns = (np.eye(3), HALF_TURN)
    for half, start in ((h, s) for h in turns for s in turns):
        # both domains of an image may be half a turn about the beam away, together
        side_a, side_b = half @ option.sides[0], half @ option.sides[1]
        onto = frame @ start
        # side_a @ op.T == frame @ first for the variant `op` that `_variants` applies to A
        away_a = _vectors(np.einsum("ij,akj,lk->ail", side_a, ops_a, onto @ first.sides[0]))
        away_b = _vectors(np.einsum("ij,bjk,lk->bil", side_b, ops_b, onto @ first.sides[1]))
        sigma2 = tilt_error**2 + float(np.trace(first.covariance) / 2)
        cost = ((away_a**2).sum(axis=1)[:, None] + (away_b**2).sum(axis=1)) / sigma2
        both.append(cost.reshape(-1))
    return np.asarray(np.min(both, axis=0))


def _vectors(rotations: Array) -> Array:
    """Return rotation vectors (n, 3), degrees, of rotation matrices (n, 3, 3)."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_matrix(rotations).as_rotvec(degrees=True))


def _rotated(vector: Array) -> Array:
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_rotvec(vector, degrees=True).as_matrix())


def _tilted(about_x: float, about_y: float) -> Array:
    """Return the rotation of a specimen tilted about x, then about y, degrees."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_euler("xy", [about_x, about_y], degrees=True).as_matrix())


def _ranked(
    candidates: Sequence[OrientationRelationship],
    readings: list[_Reading],
    symmetry: tuple[Array, Array],
) -> tuple[Candidate, ...]:
    """Return candidates by how well they agree with any open reading, one rotation once."""
    from scipy.stats import chi2 as distribution

    groups = _groups(candidates, symmetry)
    rows = []
    for members in groups:
        best = (math.inf, math.inf, math.inf)
        for rotation, covariance, cost, *_ in readings:
            option = _Option(
                members[0].rotation, np.zeros((3, 3)), 0.0, ((0, 0, 1), (0, 0, 1)),
                Value(0.0, "deg"), (rotation, rotation),
            )  # fmt: skip
            vectors, _ = _variants(option, rotation, symmetry)
            inverse = np.linalg.inv(covariance + LATITUDE**2 * np.eye(3))
            chi = np.einsum("ni,ij,nj->n", vectors, inverse, vectors)
            n = int(np.argmin(chi))
            extra = 2 * (cost - readings[0][2])
            angle = float(np.linalg.norm(vectors, axis=1).min())
            best = min(best, (float(chi[n]) + extra, float(chi[n]), angle))
        rows.append((best, members))
    rows.sort(key=lambda row: (row[0][0], row[1][0].rank))
    return tuple(
        Candidate(
            members[0],
            angle,
            chi,
            float(distribution.sf(chi, 3)),
            bool(distribution.sf(chi, 3) > 0.003),
            total - rows[0][0][0] > 2 * TOLD_APART,
            tuple(members),
        )
        for (total, chi, angle), members in rows
    )


def _groups(
    candidates: Sequence[OrientationRelationship], symmetry: tuple[Array, Array]
) -> list[list[OrientationRelationship]]:
    """Return candidates gathered by rotation, which is all that spots can see."""
    ops_a, ops_b = symmetry
    groups: list[tuple[Array, list[OrientationRelationship]]] = []
    least = 1 + 2 * math.cos(math.radians(SAME))
    for relation in sorted(candidates, key=lambda r: (r.rank == 0, r.rank)):
        for variants, members in groups:
            if np.einsum("nij,ij->n", variants, relation.rotation).max() >= least:
                members.append(relation)
                break
        else:
            moved = np.einsum("aij,jk,bkl->abil", ops_a, relation.rotation, ops_b)
            groups.append((moved.reshape(-1, 3, 3), [relation]))
    return [members for _, members in groups]
