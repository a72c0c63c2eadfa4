"""A person's verdict on found particles: written out as a list, edited, and applied again.

The list belongs to one image and one set of particles; it is refused for any other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from heterodot.errors import InputError
from heterodot.probes.segmentation.found import DomainSize, FoundParticle, Segmentation

SCHEMA = "heterodot/segmentation-review/1"
DECISIONS = ("accept", "reject")
TEXT = (
    "Set decision to reject for what is no particle. domains is 1 or 2 (0: not examined); "
    "2 may be set to 1 where the second domain is none."
)


def review_document(found: Segmentation, source: str, sha256: str) -> dict[str, Any]:
    """Return the list that a reviewer edits.

    Parameters
    ----------
    found : Segmentation
    source, sha256 : str
        Name and hash of the image's file.
    """
    return {
        "schema": SCHEMA,
        "image": source,
        "sha256": sha256,
        "how": TEXT,
        "pixel_size_nm": found.pixel_size,
        "particles": [
            {
                "number": p.number,
                "center_nm": [round(c, 4) for c in p.center],
                "size_nm": None if p.size is None else round(p.size, 4),
                "domains": len(p.domains),
                "decision": "accept",
                "comment": "",
            }
            for p in found.particles
        ],
    }


def reviewed(
    found: Segmentation, document: Mapping[str, Any], sha256: str | None = None
) -> Segmentation:
    """Return what a reviewer left of a field.

    Parameters
    ----------
    found : Segmentation
        The same field, found again.
    document : mapping
        As `review_document` made it, edited.
    sha256 : str, optional
        Of the image's file, to be compared.

    Raises
    ------
    InputError
        No review, one of another image or of other particles, or a decision that is none.

    Examples
    --------
    >>> from heterodot.probes.segmentation import segment
    >>> y, x = np.mgrid[:120, :160]
    >>> field = 50.0 * (np.hypot(x - 50, y - 60) < 20) + 50 * (np.hypot(x - 110, y - 60) < 20)
    >>> found = segment(field, 0.5)
    >>> verdict = review_document(found, "field.tif", "")
    >>> verdict["particles"][0]["decision"] = "reject"
    >>> len(reviewed(found, verdict).particles)
    1
    """
    rows = document.get("particles")
    if document.get("schema") != SCHEMA or not isinstance(rows, list):
        raise InputError("is no review of a field", remedy="write one with --review")
    if sha256 and document.get("sha256") and document["sha256"] != sha256:
        raise InputError("is a review of another image", remedy="write one for this image")
    by_number = {p.number: p for p in found.particles}
    rejected, changed = set(), {}
    for place, row in enumerate(rows):
        particle = _same(row, by_number, found.pixel_size, f"particles[{place}]")
        if row.get("decision") == "reject":
            rejected.add(particle.number)
        elif row.get("domains") != len(particle.domains):
            changed[particle.number] = _with_one(particle, row, f"particles[{place}]")
    lacking = sorted(set(by_number) - {row["number"] for row in rows})
    if lacking:
        raise InputError(
            f"particle {lacking[0]} is not in the review",
            remedy="take the same options as when it was written; reject rows, do not delete them",
        )
    kept = replace(
        found,
        particles=tuple(changed.get(p.number, p) for p in found.particles),
        second=found.second & ~np.isin(found.labels, list(changed)),
    )
    return kept.without(rejected)


def _same(
    row: Any, by_number: Mapping[int, FoundParticle], pixel: float, place: str
) -> FoundParticle:
    """Return the particle that a row of a review is about."""
    if not isinstance(row, Mapping) or row.get("decision") not in DECISIONS:
        said = row.get("decision") if isinstance(row, Mapping) else row
        raise InputError(f"'{said}' is no decision", place=place, remedy="write accept or reject")
    number, center = row.get("number"), row.get("center_nm")
    particle = by_number.get(number) if isinstance(number, int) else None
    ok = isinstance(center, list) and len(center) == 2
    ok = ok and all(isinstance(c, int | float) for c in center or [])
    if particle is None or not ok or math.dist(particle.center, center or [0, 0]) > 2 * pixel:
        raise InputError(
            f"particle {number} is not where the review has it",
            place=place,
            remedy="take the same image and options as when the review was written",
        )
    return particle


def _with_one(particle: FoundParticle, row: Mapping[str, Any], place: str) -> FoundParticle:
    """Return a particle whose second domain the reviewer took away."""
    if row.get("domains") != 1 or len(particle.domains) != 2:
        raise InputError(
            f"{row.get('domains')} domains cannot be measured in particle {particle.number}",
            place=f"{place}.domains",
            remedy="only 2 can be set to 1; reject the particle, or lower the contrast of domains",
        )
    area = sum(d.area for d in particle.domains)
    one = DomainSize("first", area, 2 * math.sqrt(area / math.pi), 1.0)
    return replace(particle, domains=(one,))
