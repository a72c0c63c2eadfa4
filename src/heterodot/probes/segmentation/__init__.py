"""Nanocrystals in an image: found, split, sized, counted by domain, reviewed."""

from __future__ import annotations

from heterodot.probes.segmentation.background import burnt_in, flatten, otsu, pixel_noise
from heterodot.probes.segmentation.field import segment
from heterodot.probes.segmentation.found import (
    DomainSize,
    FoundParticle,
    Segmentation,
    binomial,
)
from heterodot.probes.segmentation.review import review_document, reviewed

__all__ = [
    "DomainSize",
    "FoundParticle",
    "Segmentation",
    "binomial",
    "burnt_in",
    "flatten",
    "otsu",
    "pixel_noise",
    "review_document",
    "reviewed",
    "segment",
]
