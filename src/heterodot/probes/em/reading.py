"""From an image to its domains: which phase, along which axis, and which two belong together."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.measurement import Measurement
from heterodot.probes.em.grains import Grain, find_grains, from_regions, joined
from heterodot.probes.em.orientation import HALF_TURN, STRAIN, misorientation
from heterodot.probes.em.patterns import G_TOP, TOLD_APART, Indexing, index, order
from heterodot.probes.em.spots import Region, Spot
from heterodot.probes.em.zones import reflections
from heterodot.progress import Progress, silent

if TYPE_CHECKING:
    from heterodot.crystal import Crystal


@dataclass(frozen=True, eq=False)
class Reading:
    """A grain and what it may be.

    Attributes
    ----------
    grain : Grain
    answers : tuple of Indexing
        Best first; empty where no candidate fits.
    fringes : tuple of (phase, hkl, relative deviation)
        What its strongest spacing may be, where spots on one line alone are seen.
    """

    grain: Grain
    answers: tuple[Indexing, ...]
    fringes: tuple[tuple[str, tuple[int, int, int], float], ...] = ()

    @property
    def best(self) -> Indexing | None:
        """The first answer if its phase can be said to be there."""
        return self.answers[0] if self.answers and self.answers[0].there else None

    @property
    def open(self) -> tuple[Indexing, ...]:
        """Answers that the evidence does not tell apart from the best, the best included."""
        best = self.best
        if best is None:
            return ()
        return tuple(a for a in self.answers if a.there and best.evidence - a.evidence < TOLD_APART)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        best = self.best
        return {
            **self.grain.to_json(),
            "phase": None if best is None else best.crystal.name,
            "zone_axis": None if best is None else list(best.zone),
            "not_told_apart": [
                {"phase": a.crystal.name, "zone_axis": list(a.zone)} for a in self.open[1:]
            ],
            "answers": [a.to_json() for a in self.answers],
            "fringes": [
                {"phase": name, "hkl": list(hkl), "deviation": off}
                for name, hkl, off in self.fringes
            ],
        }


def read_domains(
    image: Measurement,
    crystals: Sequence[Crystal],
    *,
    regions: Sequence[Region] = (),
    window: float | None = None,
    max_index: int = 4,
    scale_error: float = 0.02,
    distortion: float = 0.01,
    keep: int = 6,
    progress: Progress = silent,
) -> list[Reading]:
    """Return the domains of an image with phase and zone axis, largest first.

    Parameters
    ----------
    image : Measurement
        Kind ``"image"``, axes with a scale.
    crystals : sequence of Crystal
        Candidate phases.
    regions : sequence of (x0, x1, y0, y1), optional
        Å, one a domain; found if not given (`find_grains`).
    window : float, optional
        Of `find_grains`, Å.
    max_index, scale_error, distortion, keep
        Of `index`.
    progress : Progress

    Raises
    ------
    InputError
        No scale, no candidate, a region outside.
    NotFoundError
        No lattice in the image.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> from heterodot.particle import build
    >>> from heterodot.probes.em import EmSetup, preview
    >>> image = preview(build("PbS", "cube", "5 nm"), EmSetup(zone=(1, 1, 0)))
    >>> largest = read_domains(image, [crystal("PbS"), crystal("CsPbBr3")])[0].best
    >>> largest.crystal.name, largest.zone
    ('PbS', (1, 1, 0))

    Notes
    -----
    All domains share the image's scale (`consistent`). Spots that a neighbor explains and the
    domain does not, are taken for the neighbor's and left out at a second look.
    """
    if not crystals:
        raise InputError("no candidate phase is given", place="phases")
    progress("looking for lattices", 0.0)
    grains = from_regions(image, list(regions)) if regions else find_grains(image, window=window)
    options = {"max_index": max_index, "scale_error": scale_error, "distortion": distortion}
    found: list[list[Indexing]] = []
    for k, grain in enumerate(grains):
        progress("comparing with phases", k / len(grains))
        found.append(_answers(grain, crystals, keep, options))
    found = consistent(found, scale_error=scale_error)
    cleaned = _without_alien(grains, found)
    for k, (before, after) in enumerate(zip(grains, cleaned, strict=True)):
        if len(after.spots) != len(before.spots):
            found[k] = _answers(after, crystals, keep, options)
    found = consistent(found, scale_error=scale_error)
    if not regions:
        cleaned, found = _one_each(image, cleaned, found, crystals, keep, options)
    progress("comparing with phases", 1.0)
    return [
        Reading(grain, tuple(answers), () if answers else _fringes(grain, crystals, scale_error))
        for grain, answers in zip(cleaned, found, strict=True)
    ]


def consistent(
    found: Sequence[Sequence[Indexing]], *, scale_error: float = 0.02
) -> list[list[Indexing]]:
    """Return the answers for the domains of one image, ranked again with one common scale.

    The image's scale is the same for all domains, so a phase that needs another one than its
    neighbors loses evidence (PbS and CdS differ by 1.8 % and by little else).

    Parameters
    ----------
    found : sequence of sequence of Indexing
        Answers of `index` for each domain.
    scale_error : float
        As given to `index`.
    """
    prior = max(scale_error, 1e-4)
    grid = np.linspace(-4, 4, 161) * prior
    curves = []
    for answers in found:
        rows = []
        for one in answers:
            scale = 1 / one.spacing_ratio.value - 1
            error = math.hypot(one.spacing_ratio.error or 0.0, STRAIN)
            free = one.evidence + 0.5 * (scale / prior) ** 2
            rows.append(free - 0.5 * ((scale - grid) / error) ** 2)
        curves.append(np.array(rows).reshape(-1, len(grid)))
    # a neighbor that is nothing offered (evidence below zero) has no say on the scale
    best: list[NDArray[np.float64]] = [
        np.maximum(c.max(axis=0), 0.0) if len(c) else np.zeros(len(grid)) for c in curves
    ]
    whole = np.sum(best, axis=0) - 0.5 * (grid / prior) ** 2
    result = []
    for answers, curve, own in zip(found, curves, best, strict=True):
        rest = whole - own
        ranked = [
            dataclasses.replace(one, evidence=float((row + rest).max() - rest.max()))
            for one, row in zip(answers, curve, strict=True)
        ]
        result.append(sorted(ranked, key=order))
    return result


def _one_each(
    image: Measurement,
    grains: list[Grain],
    found: list[list[Indexing]],
    crystals: Sequence[Crystal],
    keep: int,
    options: dict[str, Any],
) -> tuple[list[Grain], list[list[Indexing]]]:
    """Return grains with touching parts of one crystal joined.

    A tilted crystal of uneven thickness shows other spots here and there and comes in parts. Parts
    that are indexed alike within 3 degrees are one; so is one that is not indexed with a neighbor
    whose lattice explains it.
    """
    parts = list(zip(grains, found, strict=True))
    again = True
    while again:
        again = False
        for i, j in itertools.combinations(range(len(parts)), 2):
            (one, first), (two, second) = parts[i], parts[j]
            if not _touching(one, two) or not _one_crystal(one, first, two, second):
                continue
            whole = joined(image, (one, two))
            if whole is None:
                continue
            answers = _answers(whole, crystals, keep, options)
            if answers and answers[0].there:
                parts[i] = (whole, answers)
                del parts[j]
                again = True
                break
    if len(parts) == len(grains):
        return grains, found
    parts.sort(key=lambda part: -part[0].area)
    numbered = [dataclasses.replace(g, number=k) for k, (g, _) in enumerate(parts, start=1)]
    answers_ = consistent([a for _, a in parts], scale_error=options["scale_error"])
    return numbered, answers_


def _touching(one: Grain, two: Grain) -> bool:
    from scipy import ndimage

    step = max(1, min(one.mask.shape) // 200)
    near = ndimage.binary_dilation(one.mask[::step, ::step], iterations=10)
    return bool((near & two.mask[::step, ::step]).any())


def _one_crystal(
    one: Grain, first: Sequence[Indexing], two: Grain, second: Sequence[Indexing]
) -> bool:
    """Return whether two grains show one crystal in one orientation."""
    a = first[0] if first and first[0].there else None
    b = second[0] if second and second[0].there else None
    if a is not None and b is not None:
        rivals = [
            r for own in (first, second) for r in own
            if r.there and r.crystal.name != own[0].crystal.name
            and own[0].evidence - r.evidence < 2 * TOLD_APART
        ]  # fmt: skip
        if a.crystal.name != b.crystal.name or rivals:
            return False
        return min(
            misorientation(a.orientation.T @ h @ b.orientation, np.eye(3), a.crystal, b.crystal)
            for h in (np.eye(3), HALF_TURN)
        ) < 3.0  # fmt: skip
    if a is None and b is None:
        return False
    known, other = (a, two) if a is not None else (b, one)
    assert known is not None
    hkl, strength = reflections(known.crystal, G_TOP)
    at = (hkl @ known.crystal.reciprocal @ known.orientation.T)[hkl @ np.array(known.zone) == 0]
    at = at[strength[hkl @ np.array(known.zone) == 0] > 0.05][:, :2] / known.spacing_ratio.value
    seen = np.array([[s.gx, s.gy] for s in other.spots])
    root = np.sqrt([s.amplitude for s in other.spots])
    away = np.linalg.norm(seen[:, None] - at[None], axis=2).min(axis=1)
    fits = away < 0.012 + 2 * np.array([s.error for s in other.spots])
    return len(other.spots) > 3 and bool(root[fits].sum() > 0.6 * root.sum())


def _answers(
    grain: Grain, crystals: Sequence[Crystal], keep: int, options: dict[str, Any]
) -> list[Indexing]:
    try:
        return index(grain.spots, crystals, thickness=grain.extent, keep=keep, **options)
    except (InputError, NotFoundError):  # too few spots, or nothing that fits them
        return []


def _without_alien(grains: Sequence[Grain], found: Sequence[Sequence[Indexing]]) -> list[Grain]:
    """Return grains without the spots that leak in from a neighbor.

    Those are spots that a neighbor's best answer explains, and the grain's own does not or shows it
    at less than a twelfth of the neighbor's strength.
    """
    cleaned = []
    for k, (grain, answers) in enumerate(zip(grains, found, strict=True)):
        own = set(answers[0].matched) if answers else set()
        spots = []
        for n, spot in enumerate(grain.spots):
            there = max(
                (
                    _strength(spot, grains[m], other[0])
                    for m, other in enumerate(found)
                    if m != k and other and other[0].there
                ),
                default=0.0,
            )
            if there == 0 or (n in own and spot.amplitude > 0.08 * there):
                spots.append(spot)
        few = len(spots) < 2
        cleaned.append(grain if few else dataclasses.replace(grain, spots=tuple(spots)))
    return cleaned


def _strength(spot: Spot, grain: Grain, answer: Indexing) -> float:
    """Return the amplitude of the spot of an indexed grain that lies where this one does, or 0."""
    at = np.array([spot.gx, spot.gy])
    limit = 3 * np.hypot(answer.sigma, spot.error)
    near = np.minimum(
        np.linalg.norm(answer.seen - at, axis=1), np.linalg.norm(answer.seen + at, axis=1)
    )
    return max(
        (grain.spots[answer.matched[i]].amplitude for i in np.flatnonzero(near < limit)),
        default=0.0,
    )


def _fringes(
    grain: Grain, crystals: Sequence[Crystal], scale_error: float
) -> tuple[tuple[str, tuple[int, int, int], float], ...]:
    """Return reflections whose spacing is that of the strongest spot, nearest first."""
    spot = grain.spots[0]
    found = []
    for crystal in crystals:
        hkl, strength = reflections(crystal, min(1.1 * spot.g, G_TOP))
        for one, s in zip(hkl, strength, strict=True):
            off = spot.g / float(np.linalg.norm(one @ crystal.reciprocal)) - 1
            if s > 0.2 and abs(off) < 2 * scale_error + 2 * spot.error / spot.g:
                found.append((crystal.name, tuple(sorted(map(abs, map(int, one)))), off))
    unique = {(name, hkl): off for name, hkl, off in found}
    rows = sorted(unique.items(), key=lambda item: abs(item[1]))[:6]
    return tuple((name, (hkl[2], hkl[1], hkl[0]), off) for (name, hkl), off in rows)


def domain_pair(readings: Sequence[Reading], a: Crystal, b: Crystal) -> tuple[Reading, Reading]:
    """Return the two domains, one of each phase, that touch and are surest.

    A domain whose phase is not told apart from this one counts where both phases are known to be
    there; the answers of what is returned are those of its phase alone.

    Raises
    ------
    NotFoundError
        One of the phases is not there.
    """
    sides = []
    for crystal in (a, b):
        own = [_as_phase(r, crystal) for r in readings]
        known = [r for r in own if r is not None]
        if not known:
            raise NotFoundError(
                f"no domain of {crystal.name} is seen", place="image",
                remedy="give its region, other phases, or another zone axis",
            )  # fmt: skip
        sides.append(known)
    best: tuple[float, Reading, Reading] | None = None
    for one in sides[0]:
        for two in sides[1]:
            if one.grain.number == two.grain.number:
                continue
            touch = _touching(one.grain, two.grain)
            value = one.answers[0].evidence + two.answers[0].evidence + (1e6 if touch else 0.0)
            if best is None or value > best[0]:
                best = (value, one, two)
    if best is None:
        raise NotFoundError(
            f"{a.name} and {b.name} are not seen side by side", place="image",
            remedy="give the region of each, or another zone axis",
        )  # fmt: skip
    return best[1], best[2]


def _as_phase(reading: Reading, crystal: Crystal) -> Reading | None:
    """Return a domain with the answers of one phase, None where another one is surely there."""
    best = reading.best
    own = tuple(a for a in reading.answers if a.crystal.name == crystal.name and a.there)
    if best is None or not own or best.evidence - own[0].evidence > 2 * TOLD_APART:
        return None
    return dataclasses.replace(reading, answers=own)


def not_there(readings: Sequence[Reading], crystals: Sequence[Crystal]) -> list[dict[str, Any]]:
    """Return the candidate phases that no domain shows, each with why."""
    rows = []
    for crystal in crystals:
        if any(a.crystal.name == crystal.name for r in readings for a in r.open):
            continue
        tries = [a for r in readings for a in r.answers if a.crystal.name == crystal.name]
        best = max(tries, key=lambda a: a.evidence, default=None)
        if best is None:
            reason = "no domain comes near its spacings"
        elif best.there:
            reason = "another phase explains its spots better"
        else:
            reason = best.reason
        rows.append({"phase": crystal.name, "reason": reason})
    return rows
