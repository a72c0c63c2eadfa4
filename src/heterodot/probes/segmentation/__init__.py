"""Nanocrystals in an image: found, split, sized, counted by domain, reviewed."""

from __future__ import annotations

from heterodot.probes.segmentation.background import flatten, otsu, pixel_noise
from heterodot.probes.segmentation.field import segment
from heterodot.probes.segmentation.found import (
    DomainSize,
    FoundParticle,
    Segmentation,
    binomial,
)

__all__ = [
    "DomainSize",
    "FoundParticle",
    "Segmentation",
    "binomial",
    "flatten",
    "otsu",
    "pixel_noise",
    "segment",
]
