"""Which crystal, along which zone axis, turned how: the pattern of spots of one domain.

Every candidate is a lattice whose reflections are drawn with chances proportional to their
kinematic amplitude. The evidence is the logarithm of how much likelier that makes the places of
the seen spots than spots anywhere would be, so dense patterns that fit everything win little.
Amplitudes of the image itself are used only where a strong reflection is missing, since lens and
multiple scattering change them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.probes.em.spots import Spot
from heterodot.probes.em.visibility import absent, tilt_error
from heterodot.probes.em.zones import Indices, frame_of, reflections, sure_strength, zone_axes
from heterodot.units import Value

if TYPE_CHECKING:
    from heterodot.crystal import Crystal

Array = NDArray[np.float64]
LOCAL = 0.003  # relative displacement of a spot by strain and uneven drift
STRAY = 0.1  # share of spots that belong to nothing offered
G_TOP = 0.85  # 1/Å: beyond it reflections are too dense to prove anything
ABSENT = 0.15  # share of strong low reflections that may be missing
FARTHEST = 3.5  # standard deviations of scale and distortion
TOLD_APART = 3.0  # difference in evidence (natural logarithm, 20 to 1)


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
    seen : (n, 2) array
        Matched spots, 1/Å.
    sigma : (n,) array
        Their errors, 1/Å.
    explained : float
        Share of the spots (weighted by the root of their amplitude) that are explained.
    absent : float
        Share of the low reflections that should have been seen and are not.
    evidence : float
        Natural logarithm of the odds against spots at random, trials taken off.
    tilt : Value
        Tilt of the zone axis against the beam that the spots cannot exclude: 0 with this error.
    """

    crystal: Crystal
    zone: Indices
    orientation: NDArray[np.float64]
    angle: Value
    spacing_ratio: Value
    hkl: tuple[Indices, ...]
    matched: tuple[int, ...]
    seen: NDArray[np.float64]
    sigma: NDArray[np.float64]
    explained: float
    absent: float
    evidence: float
    tilt: Value

    @property
    def score(self) -> float:
        """From 0 to 1: explained share times the share of expected reflections that are there."""
        return self.explained * (1 - self.absent)

    @property
    def there(self) -> bool:
        """Whether the phase can be said to be there."""
        return self.evidence > TOLD_APART and self.explained >= 0.5 and self.absent <= ABSENT

    @property
    def reason(self) -> str:
        """Why it cannot be said to be there, empty where it can."""
        if self.evidence <= TOLD_APART:
            return "its few matching spots may be chance"
        if self.explained < 0.5:
            return f"it leaves {100 * (1 - self.explained):.0f} % of the spots unexplained"
        if self.absent > ABSENT:
            return f"{100 * self.absent:.0f} % of its strong low reflections are missing"
        return ""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "phase": self.crystal.name,
            "formula": self.crystal.formula,
            "there": self.there,
            "reason": self.reason,
            "zone_axis": list(self.zone),
            "orientation": self.orientation.tolist(),
            "angle": self.angle.to_json(),
            "tilt_not_excluded": self.tilt.to_json(),
            "spacing_ratio": self.spacing_ratio.to_json(),
            "spots": [
                {"spot": k, "hkl": list(h)} for k, h in zip(self.matched, self.hkl, strict=True)
            ],
            "explained": self.explained,
            "absent": self.absent,
            "evidence": self.evidence,
        }


@dataclass(frozen=True, eq=False)
class _Seen:
    """Spots as arrays, and what may be wrong with the image."""

    at: Array
    error: Array
    amplitude: Array
    longest: float
    scale_error: float
    distortion: float
    thickness: float

    @property
    def g(self) -> Array:
        return np.asarray(np.linalg.norm(self.at, axis=1))

    @property
    def loose(self) -> Array:
        """Distance within which a reflection may be meant before anything is fitted."""
        share = 1.5 * math.hypot(self.scale_error, self.distortion)
        return np.asarray(2 * self.error + share * self.g)

    @property
    def tight(self) -> Array:
        """Standard deviation after the fit."""
        return np.asarray(np.hypot(self.error, LOCAL * self.g))

    @property
    def area(self) -> float:
        """Half of the ring in which spots were looked for, 1/Å²."""
        top = float(self.g.max())
        return max(math.pi / 2 * (1.1 * top**2 - 1 / self.longest**2), 0.01)


def index(
    spots: Sequence[Spot],
    crystals: Sequence[Crystal],
    *,
    max_index: int = 4,
    scale_error: float = 0.02,
    distortion: float = 0.01,
    thickness: float = 60.0,
    longest: float = 8.0,
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
    scale_error : float
        Standard error of the image's scale (relative), fitted under this prior.
    distortion : float
        Standard deviation of the image's linear distortion (drift, scan), likewise.
    thickness : float
        Å along the beam; it sets how far a tilt can hide.
    longest : float
        Longest spacing that was looked for, Å.
    keep : int
        How many answers.

    Raises
    ------
    InputError
        Fewer than two spots, or no candidate phase.
    NotFoundError
        No candidate explains two spots that are not parallel.

    Notes
    -----
    Reliable for patterns of three or more spots that are not on one line. Lattices that differ by
    less than the scale's error in every spacing are told apart by missing reflections alone (PbS
    and CdS, 1.8 %, hardly are); where the evidence differs by less than 3, take both answers as
    open. A lattice that needs a scale or distortion of more than 3.5 errors is refused.
    """
    if not crystals:
        raise InputError("no candidate phase is given", place="index")
    chosen = [k for k, s in enumerate(spots) if s.g <= G_TOP][:24]
    if len(chosen) < 2:
        raise InputError(
            "two spots at least are needed", place="index",
            remedy="choose a larger region inside one domain",
        )  # fmt: skip
    seen = _Seen(
        np.array([[spots[k].gx, spots[k].gy] for k in chosen]),
        np.array([spots[k].error for k in chosen]),
        np.array([spots[k].amplitude for k in chosen]),
        longest, scale_error, distortion, thickness,
    )  # fmt: skip
    found: list[Indexing] = []
    for crystal in crystals:
        hkl, strength = reflections(crystal, 1.05 * float(seen.g.max()))
        if not len(hkl):
            continue
        flat = np.linalg.norm(hkl @ crystal.reciprocal, axis=1) >= 1 / longest
        hkl, strength = hkl[flat], strength[flat]
        sure = sure_strength(crystal, hkl)
        for zone in zone_axes(crystal, max_index):
            found += _along(crystal, zone, hkl, strength, sure, seen, chosen)
    if not found:
        raise NotFoundError(
            "no candidate phase explains two spots", place="index",
            remedy="check the scale, add phases, or choose a region inside one domain",
        )  # fmt: skip
    return sorted(found, key=order)[:keep]


def order(one: Indexing) -> tuple[bool, float]:
    """Return the key that puts answers that can be said to be there first, by evidence."""
    return not one.there, -one.evidence


def _along(
    crystal: Crystal,
    zone: Indices,
    hkl: NDArray[np.int64],
    strength: Array,
    sure: Array,
    seen: _Seen,
    chosen: list[int],
) -> list[Indexing]:
    """Return the best turns about one zone axis, at most two that symmetry keeps apart."""
    on = hkl @ np.array(zone) == 0
    if on.sum() < 4:
        return []
    hkl, strength, sure = hkl[on], strength[on], sure[on]
    frame = frame_of(crystal, zone)
    flat = (hkl @ crystal.reciprocal @ frame.T)[:, :2]
    found: list[tuple[float, Indexing]] = []
    for turn in _turns(flat, strength, seen):
        one = _refined(crystal, zone, hkl, flat, strength, sure, frame, turn, seen, chosen)
        if one is None:
            continue
        # the same answer again, a symmetry operation away, brings the same evidence
        if all(abs(one.evidence - e) > 1e-3 for e, _ in found):
            found.append((one.evidence, one))
    found.sort(key=lambda item: -item[0])
    return [one for _, one in found[:2]]


def _turns(flat: Array, strength: Array, seen: _Seen) -> list[float]:
    """Return turns about the beam that bring reflections onto spots, most promising first."""
    length = np.linalg.norm(flat, axis=1)
    strong = np.argsort(-seen.amplitude)[:10]
    k, j = np.nonzero(np.abs(length[None, :] - seen.g[strong, None]) < seen.loose[strong, None])
    if not len(k):
        return []
    k = strong[k]
    turns = np.arctan2(seen.at[k, 1], seen.at[k, 0]) - np.arctan2(flat[j, 1], flat[j, 0])
    turns = np.unique(np.round(turns % np.pi / 0.01).astype(int)) * 0.01
    # score all turns at once, as complex numbers: (turn, spot, reflection)
    model = (flat[:, 0] + 1j * flat[:, 1])[None, :] * np.exp(1j * turns)[:, None]
    at = seen.at[:, 0] + 1j * seen.at[:, 1]
    reach = seen.loose + 0.006 * seen.g
    scores = np.empty(len(turns))
    share = strength / strength.sum()
    weight = np.sqrt(seen.amplitude)
    for n, row in enumerate(model):
        near = np.abs(at[:, None] - row[None, :]) / reach[:, None]
        nearest = near.argmin(axis=1)
        least = near[np.arange(len(at)), nearest]
        value = np.log1p(50 * share[nearest]) * np.clip(1 - least, 0, None)
        scores[n] = float((weight * value).sum())
    kept: list[float] = []
    for n in np.argsort(-scores):
        if scores[n] <= 0 or len(kept) == 4:
            break
        if all(abs((turns[n] - t + np.pi / 2) % np.pi - np.pi / 2) > 0.03 for t in kept):
            kept.append(float(turns[n]))
    return kept


def _refined(
    crystal: Crystal,
    zone: Indices,
    hkl: NDArray[np.int64],
    flat: Array,
    strength: Array,
    sure: Array,
    frame: Array,
    turn: float,
    seen: _Seen,
    chosen: list[int],
) -> Indexing | None:
    """Return the answer near one turn with its evidence, None where too little fits."""
    warp = np.eye(2)
    reach = seen.loose
    fit = None
    for step in range(4):
        turned = _spun(flat, turn)
        distance, nearest = _nearest(seen.at, turned @ warp.T)
        hit = distance < (reach if step == 0 else np.maximum(4 * seen.tight, 0.3 * reach))
        if step == 3:
            hit = distance < 4 * seen.tight
        if hit.sum() < 2 or _collinear(seen.at[hit]):
            return None
        fit = fit_warp(turned[nearest[hit]], seen.at[hit], seen.tight[hit], seen.scale_error,
                       seen.distortion)  # fmt: skip
        turn += fit[0][0]
        warp = np.eye(2) + _strain(fit[0][1:])
    assert fit is not None
    turned = _spun(flat, turn)
    distance, nearest = _nearest(seen.at, turned @ warp.T)
    hit = distance < 4 * seen.tight
    if hit.sum() < 2 or _collinear(seen.at[hit]):
        return None
    share = strength / (strength.sum() / 2)  # one of each Friedel pair
    density = share[nearest] / (2 * math.pi * seen.tight**2) * np.exp(-0.5 * (distance / seen.tight) ** 2)  # fmt: skip
    gains = np.log((1 - STRAY) * density * seen.area + STRAY)
    weight = np.minimum(1.0, seen.amplitude / 0.1)
    parameters, covariance = fit
    prior = _prior(seen.scale_error, seen.distortion)
    if (np.abs(parameters[1:]) > FARTHEST * prior[1:]).any():
        return None  # no microscope is that far off; another lattice is
    penalty = 0.5 * float((parameters**2 / prior**2)[1:].sum())
    # trials: zone axes and turns that were open
    trials = math.log(200.0 * math.pi / max(math.sqrt(covariance[0, 0]), 1e-3))
    lacking, missed = absent(
        flat, sure, nearest[hit], seen.at[hit], seen.amplitude[hit], seen.thickness,
        float(seen.amplitude.min()),
    )  # fmt: skip
    root = np.sqrt(seen.amplitude)
    c, s = math.cos(turn), math.sin(turn)
    ratio = 1 / (1 + parameters[1])
    return Indexing(
        crystal,
        zone,
        np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ frame,
        Value(math.degrees(turn), "deg", math.degrees(math.sqrt(covariance[0, 0]))),
        Value(ratio, "1", math.sqrt(covariance[1, 1]) * ratio**2),
        tuple((int(h[0]), int(h[1]), int(h[2])) for h in hkl[nearest[hit]]),
        tuple(chosen[i] for i in np.nonzero(hit)[0]),
        seen.at[hit],
        seen.tight[hit],
        float(root[hit].sum() / root.sum()),
        lacking,
        float((weight * gains).sum()) - penalty - trials - missed,
        Value(0.0, "deg", tilt_error(seen.at[hit], seen.thickness)),
    )


def _spun(flat: Array, turn: float) -> Array:
    c, s = math.cos(turn), math.sin(turn)
    return np.asarray(flat @ np.array([[c, s], [-s, c]]))


def _nearest(at: Array, model: Array) -> tuple[Array, NDArray[np.int64]]:
    apart = np.linalg.norm(at[:, None] - model[None], axis=2)
    nearest = np.argmin(apart, axis=1)
    return np.asarray(apart[np.arange(len(at)), nearest], dtype=float), nearest


def _collinear(at: Array) -> bool:
    cross = at[:, 0][:, None] * at[:, 1][None] - at[:, 1][:, None] * at[:, 0][None]
    lengths = np.linalg.norm(at, axis=1)
    return bool(np.abs(cross / np.outer(lengths, lengths)).max() < 0.1)


def _strain(parts: Array) -> Array:
    """Return the symmetric matrix of isotropic part, difference and shear."""
    iso, difference, shear = parts
    return np.array([[iso + difference, shear], [shear, iso - difference]])


def _prior(scale_error: float, distortion: float) -> Array:
    return np.array([1.0, max(scale_error, 1e-5), max(distortion, 1e-5), max(distortion, 1e-5)])


def design(model: Array) -> Array:
    """Return the change of each vector (both components) with turn and the three strains."""
    x, y = model.T
    columns = [(-y, x), (x, y), (x, -y), (y, x)]
    return np.stack([np.stack(c, axis=1).ravel() for c in columns], axis=1)


def fit_warp(
    model: Array, seen: Array, sigma: Array, scale_error: float, distortion: float
) -> tuple[Array, Array]:
    """Return turn, isotropic strain, difference and shear that carry model onto seen vectors.

    Least squares with the image's scale and distortion as priors.

    Returns
    -------
    parameters : (4,) array
    covariance : (4, 4) array
    """
    matrix = design(model)
    weight = np.repeat(1 / sigma**2, 2)
    prior = np.diag(1 / _prior(scale_error, distortion) ** 2)
    prior[0, 0] = 0.0
    normal = matrix.T @ (weight[:, None] * matrix) + prior
    right = matrix.T @ (weight * (seen - model).ravel())
    covariance = np.linalg.inv(normal)
    parameters = covariance @ right
    rest = (seen - model).ravel() - matrix @ parameters
    chi = float((weight * rest**2).sum()) / max(len(rest) - 2, 1)
    return parameters, np.asarray(covariance * max(chi, 1.0))
