"""Two domains of one particle, told apart by their gray."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heterodot.probes.segmentation.background import otsu
from heterodot.probes.segmentation.found import DomainSize

if TYPE_CHECKING:
    from heterodot.probes.segmentation.outline import Piece
    from heterodot.probes.segmentation.split import Field

    Image = NDArray[np.float64]


def domains_of(
    piece: Piece,
    field: Field,
    kind: str,
    pixel_size: float,
    contrast: float,
    second: NDArray[np.bool_],
) -> tuple[DomainSize, ...]:
    """Return one or two domains of a particle; pixels of the second are marked in ``second``."""
    box = tuple(slice(c, c + n) for c, n in zip(piece.corner, piece.mask.shape, strict=True))
    values = field.smooth[box]
    minor = second_domain(values, piece.mask, kind, field.blur, field.noise, contrast)
    area = float(piece.mask.sum()) * pixel_size**2
    if minor is None:
        return (DomainSize("first", area, 2 * math.sqrt(area / math.pi), 1.0),)
    view = second[box]
    view |= minor
    part = float(minor.sum()) * pixel_size**2
    level = float(np.median(values[minor]) / np.median(values[piece.mask & ~minor]))
    return (
        DomainSize("first", area - part, 2 * math.sqrt((area - part) / math.pi), 1.0),
        DomainSize("second", part, 2 * math.sqrt(part / math.pi), level),
    )


def second_domain(
    values: Image,
    mask: NDArray[np.bool_],
    kind: str,
    blur: float,
    noise: float,
    contrast: float,
) -> NDArray[np.bool_] | None:
    """Return the pixels of a second domain of one particle, or None.

    Inside the reach of the blur two classes of gray are sought (Otsu). They are domains if their
    step exceeds ``contrast`` of the particle's gray and the noise, and each is in one piece.
    """
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(mask)
    gray = values
    if kind == "round":
        part = np.clip(1 - depth / max(depth.max(), 1e-9), 0, 1)
        gray = values / np.sqrt(np.maximum(1 - part**2, 0.05))
        core = mask & (part < 0.7)
    else:
        core = mask & (depth > 2 * blur)
    inside = gray[core]
    if len(inside) < 30 or np.ptp(inside) == 0:
        return None
    threshold = otsu(inside, 64)
    high = core & (gray > threshold)
    low = core & ~high
    if min(high.sum(), low.sum()) < max(0.04 * core.sum(), (2 * blur) ** 2):
        return None
    medians = float(np.median(gray[high])), float(np.median(gray[low]))
    step = medians[0] - medians[1]
    within = max(float(np.std(gray[high])), float(np.std(gray[low])), 1e-12)
    if step < contrast * max(medians) or step < 5 * noise or step < 2.5 * within:
        return None
    smaller = high if high.sum() < low.sum() else low
    parts, _ = ndimage.label(smaller)
    largest = int(np.bincount(parts.ravel())[1:].max())
    if largest < 0.8 * smaller.sum():
        return None
    # pixels in the blurred rim go with the nearest of the core
    nearest = ndimage.distance_transform_edt(~core, return_distances=False, return_indices=True)
    found: NDArray[np.bool_] = smaller[tuple(nearest)] & mask
    return found
