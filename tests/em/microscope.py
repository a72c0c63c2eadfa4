"""What a microscope does to an image: counts, drift, a wrong scale; and dimers to look at."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np

from heterodot.catalog import crystal
from heterodot.epitaxy import Search, search
from heterodot.measurement import Measurement
from heterodot.particle import Particle, build

SHEAR = np.array([[0.015, 0.004], [0.004, -0.002]])  # drift and scale, as in slow scans


def recorded(
    image: Measurement, counts: float = 200.0, seed: int = 0, warp: np.ndarray | None = None
) -> Measurement:
    """Return an image with Poisson noise, a tenth of background, and drift.

    ``counts`` per Å² where the particle is bright; ``warp`` is a symmetric strain of the image.
    """
    from scipy import ndimage

    values = np.clip(image.data.values, 0, None)
    pixel = float(np.diff(image.data["x"].values).mean())
    if warp is not None:
        back = np.linalg.inv(np.eye(2) + warp)[::-1, ::-1]
        middle = (np.array(values.shape) - 1) / 2
        values = ndimage.affine_transform(values, back, middle - back @ middle, order=3)
    values = np.clip(values, 0, None) / np.percentile(values, 95) + 0.1
    noisy = np.random.default_rng(seed).poisson(values * counts * pixel**2).astype(float)
    return replace(image, data=image.data.copy(data=noisy))


@functools.cache
def dimer(a: str, b: str) -> tuple[Particle, Search]:
    """Return a small particle of the first relation of two phases, and all relations."""
    sizes = {
        ("CsPbCl3", "PbS"): ("3.4 nm", "3.0 nm"),
        ("CsPbBr3", "PbS"): ("5 nm", "4 nm"),
        ("CsPbBr3", "CdS"): ("5 nm", "4 nm"),
    }[a, b]
    one, two = crystal(a), crystal(b)
    found = search(one, two)
    return build(one, "cube", sizes[0], two, "cuboctahedron", sizes[1], found[0]), found
