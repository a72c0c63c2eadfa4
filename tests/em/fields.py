"""Fields of particles of known sizes, drawn by formulas that the segmentation does not use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FINE = 4  # sub-pixels along an edge
THIN = 2 / 13  # shorter by longer edge of a platelet


@dataclass(frozen=True, eq=False)
class Truth:
    """A drawn field; lengths in pixels."""

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
    contrast: float = 30.0,
    varied: float = 0.3,
    film: str = "uneven",
    dose: float | None = None,
    attached: str = "",
) -> Truth:
    """Draw ``disc``, ``sphere``, ``cube`` or ``platelet`` particles on a film.

    ``film`` is ``"uneven"`` (40 gray levels over the field), ``"flat"``, or ``"haadf"``: dark film,
    and an illumination that falls by 40 % to one corner and multiplies everything. ``dose`` makes
    Poisson noise of so many counts per gray level instead of ``noise``. ``attached`` sets second
    domains on a face instead of inside: a ``"block"``, or a ``"ball"`` that hangs by a neck.
    """
    rng = np.random.default_rng(seed)
    ny, nx = shape
    thickness = np.zeros(shape)
    centers: list[tuple[float, float]] = []
    sizes: list[float] = []
    minors: list[float] = []
    turns: list[float] = []
    while len(sizes) < count:
        s = size * (1 + spread * np.clip(rng.normal(), -2.5, 2.5))
        cx, cy = rng.uniform(0, nx), rng.uniform(0, ny)
        angle = rng.uniform(0, np.pi)
        if _meets(kind, centers, sizes, turns, (cx, cy, s, angle), overlap):
            continue
        centers.append((cx, cy))
        sizes.append(s)
        turns.append(angle)
        has = rng.uniform() < second
        level = rng.uniform(1 - varied, 1 + varied)
        drawn = (kind, cx, cy, s, angle, second_level if has else 0.0, level, attached)
        minors.append(_draw(thickness, *drawn))
    image = _film(film, shape, thickness, contrast if bright else -contrast)
    image = ndimage.gaussian_filter(image, 0.7)
    if dose is not None:
        image = rng.poisson(np.maximum(image, 0) * dose) / dose
    else:
        image = image + noise * rng.normal(size=shape)
    return Truth(image, np.array(centers), np.array(sizes), np.array(minors))


def _meets(
    kind: str,
    centers: list[tuple[float, float]],
    sizes: list[float],
    turns: list[float],
    new: tuple[float, float, float, float],
    overlap: float,
) -> bool:
    if not sizes:
        return False
    cx, cy, s, angle = new
    dx, dy = np.array(centers).T - np.array([[cx], [cy]])
    other = np.array(sizes)
    if kind == "platelet":
        # none may cover the middle line of another: distance of points along both
        at = np.linspace(-0.5, 0.5, 15)
        mine = s * at[:, None] * np.array([np.cos(angle), np.sin(angle)])
        near = np.flatnonzero(np.hypot(dx, dy) < (s + other) / 2 + 8)
        for k in near:
            t = turns[k]
            his = other[k] * at[:, None] * np.array([np.cos(t), np.sin(t)]) + [dx[k], dy[k]]
            gap = np.hypot(*(mine[:, None] - his[None]).transpose(2, 0, 1)).min()
            if gap < (1 - overlap) * THIN * (s + other[k]) / 2:
                return True
        return False
    grow = 1.2 if kind == "cube" else 1.0
    return bool((np.hypot(dx, dy) < (1 - overlap) * grow * (s + other) / 2).any())


def _film(
    film: str, shape: tuple[int, int], thickness: NDArray[np.float64], contrast: float
) -> NDArray[np.float64]:
    ny, nx = shape
    y, x = np.mgrid[:ny, :nx]
    if film == "flat":
        return 200 + contrast * thickness
    if film == "haadf":
        light = 1 - 0.2 * x / nx - 0.2 * (y / ny) ** 2
        return np.asarray((10 + contrast * thickness) * light)
    base = 200 + 40 * np.exp(-((x - 0.2 * nx) ** 2 + (y - 0.7 * ny) ** 2) / (0.5 * nx) ** 2)
    return np.asarray(base + 15 * np.sin(2.2 * x / nx + 1.1 * y / ny) + contrast * thickness)


def _draw(
    thickness: NDArray[np.float64],
    kind: str,
    cx: float,
    cy: float,
    s: float,
    angle: float,
    second_level: float,
    level: float,
    attached: str,
) -> float:
    """Add a particle; return the area of its second domain."""
    reach = int(1.3 * s) + 3
    y0, y1 = max(int(cy) - reach, 0), min(int(cy) + reach, thickness.shape[0])
    x0, x1 = max(int(cx) - reach, 0), min(int(cx) + reach, thickness.shape[1])
    y, x = np.mgrid[y0 * FINE : y1 * FINE, x0 * FINE : x1 * FINE]
    y = (y + 0.5) / FINE - 0.5 - cy
    x = (x + 0.5) / FINE - 0.5 - cx
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    if kind == "cube":
        drawn = 1.0 * ((np.abs(u) < s / 2) & (np.abs(v) < s / 2))
    elif kind == "platelet":
        drawn = 1.0 * ((np.abs(u) < s / 2) & (np.abs(v) < THIN * s / 2))
    else:
        r = np.hypot(x, y) / (s / 2)
        drawn = 1.0 * (r < 1) if kind == "disc" else np.sqrt(np.maximum(1 - r * r, 0))
    minor = 0.0
    if second_level:
        if attached:
            part = (u > s / 2) & (u < s) & (np.abs(v) < 0.3 * s)
            if attached == "ball":
                part = (np.hypot(u - 0.72 * s, v) < 0.3 * s) & (u > s / 2)
            drawn = np.where(part, second_level, drawn)
        else:
            part = (u > 0.15 * s) & (drawn > 0)
            drawn = np.where(part, second_level, 1.0) * drawn
        minor = float(part.sum()) / FINE**2
    drawn = level * drawn
    thickness[y0:y1, x0:x1] += drawn.reshape(y1 - y0, FINE, x1 - x0, FINE).mean((1, 3))
    return minor


def screenshot(
    truth: Truth, clip: tuple[float, float] = (0.001, 0.999)
) -> tuple[NDArray[np.uint8], tuple[int, int, int, int]]:
    """Return the field in eight bits with a bar and digits burnt in, and rows, columns of the bar."""
    low, high = np.quantile(truth.image, clip)
    gray = np.clip((truth.image - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    ny, nx = gray.shape
    y0, x0 = ny - 24, 20
    bar = (y0, y0 + 7, x0, x0 + nx // 6)
    gray[bar[0] : bar[1], bar[2] : bar[3]] = 255
    for k in range(4):  # digits as strokes of three pixels
        x = x0 + 10 + 16 * k
        gray[y0 - 24 : y0 - 6, x : x + 3] = 255
        gray[y0 - 24 : y0 - 21, x : x + 10] = 255
        gray[y0 - 16 : y0 - 13, x : x + 10] = 255
    return gray, bar


def matched(found: Any, truth: Truth, pixel: float) -> NDArray[np.float64]:
    """Return rows of found and true size (pixels) and index of truth, for the sized particles."""
    rows = []
    for p in found.particles:
        gap = np.hypot(*(truth.centers - np.array(p.center) / pixel).T)
        k = int(gap.argmin())
        if gap[k] < 0.35 * truth.sizes[k] and p.size is not None:
            rows.append((p.size / pixel, truth.sizes[k], k))
    return np.array(rows)
