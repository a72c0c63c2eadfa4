"""From an image to its domains: which phase, along which axis, and which two belong together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodot.errors import InputError, NotFoundError
from heterodot.measurement import Measurement
from heterodot.probes.em.grains import Grain, find_grains, from_regions
from heterodot.probes.em.orientation import consistent
from heterodot.probes.em.patterns import G_TOP, TOLD_APART, Indexing, index, reflections
from heterodot.probes.em.spots import Region
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
    if any(len(a.spots) != len(b.spots) for a, b in zip(grains, cleaned, strict=True)):
        for k, (before, after) in enumerate(zip(grains, cleaned, strict=True)):
            if len(after.spots) != len(before.spots):
                found[k] = _answers(after, crystals, keep, options)
        found = consistent(found, scale_error=scale_error)
    progress("comparing with phases", 1.0)
    return [
        Reading(grain, tuple(answers), () if answers else _fringes(grain, crystals, scale_error))
        for grain, answers in zip(cleaned, found, strict=True)
    ]


def _answers(
    grain: Grain, crystals: Sequence[Crystal], keep: int, options: dict[str, Any]
) -> list[Indexing]:
    try:
        return index(grain.spots, crystals, thickness=grain.extent, keep=keep, **options)
    except (InputError, NotFoundError):  # too few spots, or nothing that fits them
        return []


def _without_alien(grains: Sequence[Grain], found: Sequence[Sequence[Indexing]]) -> list[Grain]:
    """Return grains without the spots that the best answers of others alone explain."""
    cleaned = []
    for k, (grain, answers) in enumerate(zip(grains, found, strict=True)):
        own = set(answers[0].matched) if answers else set()
        spots = []
        for n, spot in enumerate(grain.spots):
            alien = any(
                bool(
                    (np.linalg.norm(other[0].seen - [s * spot.gx, s * spot.gy], axis=1)
                    < 3 * np.hypot(other[0].sigma, spot.error)).any()
                )
                for m, other in enumerate(found)
                if m != k and other and other[0].there
                for s in (1.0, -1.0)
            )  # fmt: skip
            if n in own or not alien:
                spots.append(spot)
        few = len(spots) < 2
        cleaned.append(grain if few else dataclasses.replace(grain, spots=tuple(spots)))
    return cleaned


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

    Raises
    ------
    NotFoundError
        One of the phases is not there, or no two of them touch.
    """
    from scipy import ndimage

    sides = []
    for crystal in (a, b):
        own = [r for r in readings if r.best is not None and r.best.crystal.name == crystal.name]
        if not own:
            raise NotFoundError(
                f"no domain of {crystal.name} is seen", place="image",
                remedy="give its region, other phases, or another zone axis",
            )  # fmt: skip
        sides.append(own)
    best: tuple[float, Reading, Reading] | None = None
    for one in sides[0]:
        shape = one.grain.mask.shape
        step = max(1, min(shape) // 200)
        near = ndimage.binary_dilation(one.grain.mask[::step, ::step], iterations=200 // 20)
        for two in sides[1]:
            touch = bool((near & two.grain.mask[::step, ::step]).any())
            assert one.best is not None
            assert two.best is not None
            value = one.best.evidence + two.best.evidence + (1e6 if touch else 0.0)
            if best is None or value > best[0]:
                best = (value, one, two)
    assert best is not None
    return best[1], best[2]


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
