"""Nanocrystals in an image: found against an uneven film, split, sized, counted by domain."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.probes.segmentation.background import flatten, pixel_noise, usual_contrast
from heterodot.probes.segmentation.found import DomainSize, FoundParticle, Segmentation

MAX_PIXELS = 2**28
SHAPES = ("auto", "round", "cube", "platelet")


def segment(
    image: NDArray[Any],
    pixel_size: float,
    *,
    polarity: str = "auto",
    shape: str = "auto",
    thickness: str = "auto",
    smoothing: float | None = None,
    blur: float = 0.7,
    split: float = 0.12,
    smallest: float | None = None,
    domain_contrast: float = 0.15,
    exclude: Iterable[tuple[int, int, int, int]] = (),
    dimers: bool = False,
) -> Segmentation:
    """Return the particles of a field.

    Parameters
    ----------
    image : (ny, nx) array
        Intensities in any linear scale.
    pixel_size : float
        nm.
    polarity : ``"auto"``, ``"bright"`` (dark field) or ``"dark"`` (bright field)
    shape : ``"auto"``, ``"round"``, ``"cube"`` or ``"platelet"``
        Which size is asked for; auto asks whether most are long, else whether most outlines have
        four corners.
    thickness : ``"auto"``, ``"round"`` or ``"uniform"``
        Contrast across a particle: the chord of a sphere, or flat up to its outline.
    smoothing : float, optional
        Gaussian filter, pixels; by default 1 to 3 by the noise.
    blur : float
        Standard deviation of the microscope's blur and the pixel together, pixels. Only matters
        for round thickness, and there by its root.
    split : float
        Necks narrower than ``1 - split`` of the smaller neighbor's width part particles.
    smallest : float, optional
        Least diameter, nm; by default six pixels.
    domain_contrast : float
        Least step of contrast, relative to the particle's, that makes a second domain.
    exclude : iterable of four ints
        Boxes (first row, past the last, first column, past the last) that are no micrograph: a
        burnt-in bar or label.
    dimers : bool
        Two that touch each other and no third are domains of one particle if their gray differs
        by ``domain_contrast``: for domains that hang together by a neck.

    Returns
    -------
    Segmentation

    Raises
    ------
    InputError
        Not an image, no scale, or values that are not finite.
    NotFoundError
        Nothing that stands out of the noise.

    Notes
    -----
    Sizes are good to about 2 % for particles wider than 20 pixels whose contrast is three times
    the noise of a pixel. Two cubes that lie flush along whole edges cannot be parted by their
    outline; they show in the overlay and as warnings of aspect. Particles at the frame are not
    sized, which takes out slightly more large ones than small.

    Examples
    --------
    >>> y, x = np.mgrid[:120, :160]
    >>> field = 100.0 + 50 * (np.hypot(x - 50, y - 60) < 20) + 50 * (np.hypot(x - 110, y - 60) < 20)
    >>> found = segment(field, 0.5, thickness="uniform")
    >>> len(found.particles), found.shape, round(found.mean().value)
    (2, 'round', 20)
    """
    from heterodot.probes.segmentation import outline
    from heterodot.probes.segmentation.domains import domains_of
    from heterodot.probes.segmentation.split import (
        Field,
        are_long,
        paired,
        parted,
        rejoined,
        split_field,
    )

    for name, given, choices in (
        ("polarity", polarity, ("auto", "bright", "dark")),
        ("shape", shape, SHAPES),
        ("thickness", thickness, ("auto", "round", "uniform")),
    ):
        if given not in choices:
            raise InputError(f"'{given}' is not one of {', '.join(choices)}", place=name)
    values = _checked(image, pixel_size)
    keep = _kept(values, exclude)
    flat, sign, warnings = flatten(values, polarity, keep)
    if keep is not None:
        flat[~keep] = 0.0
    least = max(6.0, (smallest or 0.0) / pixel_size)
    # a step of one gray level is noise too where an image has few of them
    noise = math.hypot(pixel_noise(flat), _step(values) / math.sqrt(12))
    level = usual_contrast(flat, noise)
    sigma = smoothing if smoothing is not None else _smoothing(level, noise)
    field = Field.prepared(flat, sigma, math.hypot(sigma, blur), noise, level)
    labels = split_field(field, split, least)
    if shape == "platelet" or (shape == "auto" and labels.max() > 0 and are_long(labels)):
        labels = rejoined(parted(labels, math.pi / 4 * least**2))
    if dimers and labels.max() > 1:
        labels = paired(labels, field, domain_contrast)
    if labels.max() == 0:
        raise NotFoundError(
            "no particle stands out of the noise",
            remedy="check the polarity, or give a smaller least size",
        )
    kind = outline.thickness_of(field, labels) if thickness == "auto" else thickness
    labels, excess = outline.final_outlines(field, labels, kind)
    pieces = outline.pieces(labels, excess, keep)
    second = np.zeros(labels.shape, dtype=bool)
    thin = shape == "platelet" or (shape == "auto" and outline.shape_of(pieces) == "platelet")
    domains: list[tuple[DomainSize, ...]] = [
        ()
        if piece.at_border or piece.touching or thin
        else domains_of(piece, field, kind, pixel_size, domain_contrast, second)
        for piece in pieces
    ]
    one = [p for p, d in zip(pieces, domains, strict=True) if len(d) == 1]
    form = (
        outline.shape_of(one if len(one) > 4 and not thin else pieces) if shape == "auto" else shape
    )
    particles = [
        outline.measured(piece, field, form, pixel_size, two)
        for piece, two in zip(pieces, domains, strict=True)
    ]
    warnings += _remarks(particles, level / noise if noise > 0 else math.inf, form)
    return Segmentation(
        labels, second, tuple(particles), pixel_size, form, kind,
        "bright" if sign > 0 else "dark", float(sigma),
        float(level / noise) if noise > 0 else math.inf, tuple(warnings),
    )  # fmt: skip


def _kept(
    values: NDArray[np.float64], exclude: Iterable[tuple[int, int, int, int]]
) -> NDArray[np.bool_] | None:
    """Return which pixels are looked at, None if all are."""
    boxes = list(exclude)
    if not boxes:
        return None
    keep = np.ones(values.shape, dtype=bool)
    for y0, y1, x0, x1 in boxes:
        keep[max(y0, 0) : y1, max(x0, 0) : x1] = False
    if keep.mean() < 0.2:
        raise InputError("hardly anything of the image is left", place="exclude")
    return keep


def _step(values: NDArray[np.float64]) -> float:
    """Return the least step between gray levels of a part of an image."""
    levels = np.unique(values[:: max(1, len(values) // 200)])
    return float(np.diff(levels).min()) if 1 < len(levels) <= 4096 else 0.0


def _checked(image: NDArray[Any], pixel_size: float) -> NDArray[np.float64]:
    if not isinstance(pixel_size, int | float) or not (
        math.isfinite(pixel_size) and pixel_size > 0
    ):
        raise InputError("the image has no scale", remedy="give the size of a pixel in nm")
    array = np.asarray(image)
    if array.ndim != 2 or min(array.shape) < 32 or array.size > MAX_PIXELS:
        raise InputError(
            f"an array of shape {array.shape} is not a field of particles",
            remedy="give one gray image of at least 32 by 32 pixels",
        )
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        raise InputError("the image has values that are not finite", remedy="crop or mend it")
    if np.ptp(values) == 0:
        raise NotFoundError("the image is of one gray only")
    return values


def _smoothing(level: float, noise: float) -> float:
    """Return the filter that brings noise to a tenth of the contrast, 1 to 3 pixels."""
    wanted = 10 * noise / (2 * math.sqrt(math.pi) * level)
    return float(np.clip(wanted, 1.0, 3.0))


def _remarks(particles: Iterable[FoundParticle], signal_to_noise: float, form: str) -> list[str]:
    particles = list(particles)
    said = []
    if signal_to_noise < 1.0:
        said.append(f"contrast is only {signal_to_noise:.1f} of the noise: sizes may be off")
    rest = [p for p in particles if p.size is None]
    border = sum(p.at_border for p in rest)
    if border:
        said.append(f"{border} particles at the frame were counted but not sized")
    if len(rest) > border:
        said.append(f"{len(rest) - border} crowded particles were counted but not sized")
    long = [p.number for p in particles if p.aspect is not None and p.aspect > 1.7]
    if long and form != "platelet":
        numbers = ", ".join(map(str, long[:8]))
        said.append(f"long outlines, perhaps two particles side by side: {numbers}")
    return said
