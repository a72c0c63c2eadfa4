"""Fields of particles of known sizes, drawn by formulas that the segmentation does not use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


@dataclass(frozen=True, eq=False)
class Truth:
    image: NDArray[np.float64]
    centers: NDArray[np.float64]
    sizes: NDArray[np.float64]
    second: NDArray[np.float64]  # areas of second domains


def field(
    kind: str,
    *,
    shape: tuple[int, int] = (700, 800),
    size: float = 44.0,
    spread: float = 0.12,
    count: int = 90,
    overlap: float = 0.25,
    noise: float = 6.0,
    bright: bool = True,
    seed: int = 1,
    second: float = 0.0,
    second_level: float = 1.6,
) -> Truth:
    """Draw ``disc``, ``sphere`` or ``cube`` particles, pixels; contrast 30 on an uneven film."""
    rng = np.random.default_rng(seed)
    ny, nx = shape
    contrast = np.zeros(shape)
    centers: list[tuple[float, float]] = []
    sizes: list[float] = []
    minors: list[float] = []
    while len(sizes) < count:
        s = size * (1 + spread * np.clip(rng.normal(), -2.5, 2.5))
        cx, cy = rng.uniform(0, nx), rng.uniform(0, ny)
        half = s / 2 * (1.2 if kind == "cube" else 1.0)
        near = [
            np.hypot(cx - x, cy - y)
            < (1 - overlap) * (half + t / 2 * (1.2 if kind == "cube" else 1))
            for (x, y), t in zip(centers, sizes, strict=True)
        ]
        if any(near):
            continue
        centers.append((cx, cy))
        sizes.append(s)
        minors.append(_draw(contrast, kind, cx, cy, s, rng, second, second_level))
    y, x = np.mgrid[:ny, :nx]
    film = 200 + 40 * np.exp(-((x - 0.2 * nx) ** 2 + (y - 0.7 * ny) ** 2) / (0.5 * nx) ** 2)
    film = film + 15 * np.sin(2.2 * x / nx + 1.1 * y / ny)
    image = film + (1 if bright else -1) * 30 * contrast
    image = ndimage.gaussian_filter(image, 0.7) + noise * rng.normal(size=shape)
    return Truth(image, np.array(centers), np.array(sizes), np.array(minors))


def _draw(
    contrast: NDArray[np.float64],
    kind: str,
    cx: float,
    cy: float,
    s: float,
    rng: Any,
    second: float,
    second_level: float,
) -> float:
    reach = int(s) + 3
    y0, y1 = max(int(cy) - reach, 0), min(int(cy) + reach, contrast.shape[0])
    x0, x1 = max(int(cx) - reach, 0), min(int(cx) + reach, contrast.shape[1])
    fine = 4
    y, x = np.mgrid[y0 * fine : y1 * fine, x0 * fine : x1 * fine]
    y = (y + 0.5) / fine - 0.5 - cy
    x = (x + 0.5) / fine - 0.5 - cx
    if kind == "cube":
        angle = rng.uniform(0, np.pi / 2)
        u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
        drawn = 1.0 * ((np.abs(u) < s / 2) & (np.abs(v) < s / 2))
    else:
        u = x
        r = np.hypot(x, y) / (s / 2)
        drawn = 1.0 * (r < 1) if kind == "disc" else np.sqrt(np.maximum(1 - r * r, 0))
    minor = 0.0
    if rng.uniform() < second:
        part = (u > 0.15 * s) & (drawn > 0)
        drawn = np.where(part, second_level, 1.0) * drawn
        minor = float(part.sum()) / fine**2
    drawn *= rng.uniform(0.7, 1.3)
    contrast[y0:y1, x0:x1] += drawn.reshape(y1 - y0, fine, x1 - x0, fine).mean((1, 3))
    return minor


def matched(found: Any, truth: Truth, pixel: float) -> NDArray[np.float64]:
    """Return rows of found and true size (pixels) and index of truth, for the sized particles."""
    rows = []
    for p in found.particles:
        gap = np.hypot(*(truth.centers - np.array(p.center) / pixel).T)
        k = int(gap.argmin())
        if gap[k] < 0.35 * truth.sizes[k] and p.size is not None:
            rows.append((p.size / pixel, truth.sizes[k], k))
    return np.array(rows)
