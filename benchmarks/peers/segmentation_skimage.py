"""Counts, sizes and CPU seconds on the same simulated fields: Heterodot beside scikit-image.

The peer's way is the one of its own gallery: Gaussian filter, Otsu's threshold, distance transform,
its local maxima as markers, watershed, regionprops (equivalent diameter; root of the area for cubes;
major axis for platelets). It is given the polarity and the shape, a large-scale Gaussian background
is subtracted for it, and the least distance of markers is the best of four for each field (by the
count), all of which Heterodot has to find out. Needs scikit-image.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.em.fields import Truth, field, matched

from heterodot.probes.segmentation import segment

SIZE = (2048, 2048)
FIELDS: dict[str, dict[str, Any]] = {
    "spheres": {"kind": "sphere"},
    "spheres, few electrons, uneven light": {"kind": "sphere", "film": "haadf", "dose": 1.0},
    "discs, bright field, noise": {"kind": "disc", "bright": False, "noise": 12.0},
    "cubes": {"kind": "cube"},
    "cubes, bright field, noise": {"kind": "cube", "bright": False, "noise": 12.0, "seed": 3},
    "two-domain cubes": {"kind": "cube", "second": 0.6, "overlap": -0.05, "seed": 8},
    "platelets": {"kind": "platelet", "size": 90.0, "spread": 0.08, "overlap": 0.0, "seed": 6},
}


class Peer:
    """What `matched` asks of a result."""

    def __init__(self, particles: list[Any]) -> None:
        self.particles = particles


class Found:
    """One region of the peer."""

    def __init__(self, center: tuple[float, float], size: float | None) -> None:
        self.center, self.size = center, size


def peer(truth: Truth, kind: str, bright: bool, distance: int) -> Peer:
    """Return the particles by scikit-image's usual steps, lengths in pixels."""
    from skimage.feature import peak_local_max
    from skimage.filters import gaussian, threshold_otsu
    from skimage.measure import regionprops
    from skimage.segmentation import clear_border, watershed

    image = truth.image if bright else -truth.image
    flat = image - gaussian(image, 150, preserve_range=True)
    smooth = gaussian(flat, 1.5, preserve_range=True)
    mask = smooth > threshold_otsu(smooth)
    depth = ndimage.distance_transform_edt(mask)
    peaks = peak_local_max(depth, min_distance=distance, labels=ndimage.label(mask)[0])
    markers = np.zeros(mask.shape, dtype=int)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels = watershed(-depth, markers, mask=mask)
    inner = set(np.unique(clear_border(labels)))
    found = []
    for region in regionprops(labels):
        if region.area < 30:
            continue
        y, x = region.centroid
        size = {
            "cube": region.area**0.5,
            "platelet": region.axis_major_length * (3**0.5 / 2),
        }.get(kind, region.equivalent_diameter_area)
        found.append(Found((x, y), float(size) if region.label in inner else None))
    return Peer(found)


def row(name: str, count: int, rows: np.ndarray, seconds: float) -> str:
    """Return a line of the table."""
    ratio = rows[:, 0] / rows[:, 1]
    one = len(set(rows[:, 2]))
    return (
        f"  {name:28s} found {count:4d} of 500   sized once {one:4d}   "
        f"mean size {100 * (ratio.mean() - 1):+6.2f} %   "
        f"within 3 % {100 * np.mean(np.abs(ratio - 1) < 0.03):5.1f} %   CPU {seconds:5.1f} s"
    )


def main(names: list[str]) -> None:
    """Print both on the fields named (all if none)."""
    for kind in ("sphere", "cube", "platelet"):  # compile before the clock runs
        size = 90.0 if kind == "platelet" else 44.0
        segment(field(kind, shape=(400, 400), count=6, size=size, overlap=-0.2).image, 1.0)
    for name in names or list(FIELDS):
        options = dict(FIELDS[name])
        kind = options.pop("kind")
        truth = field(kind, shape=SIZE, count=500, **options)
        print(name)
        start = time.process_time()
        ours = segment(truth.image, 1.0)
        seconds = time.process_time() - start
        print(row("Heterodot", len(ours.particles), matched(ours, truth, 1.0), seconds))
        best = None
        for distance in (5, 10, 20, 40):
            start = time.process_time()
            theirs = peer(truth, kind, options.get("bright", True), distance)
            seconds = time.process_time() - start
            if best is None or abs(len(theirs.particles) - 500) < abs(len(best[0].particles) - 500):
                best = (theirs, distance, seconds)
        if best is not None:
            label = f"scikit-image, distance {best[1]}"
            print(
                row(label, len(best[0].particles), matched(best[0], truth, 1.0), best[2]),
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
