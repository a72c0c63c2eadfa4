"""The straight line where two lattices of an image meet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.measurement import Measurement
from heterodot.probes.em.bragg import bragg, spectrum
from heterodot.probes.em.gpa import _taper
from heterodot.probes.em.spots import pixels
from heterodot.units import Value


@dataclass(frozen=True)
class Line:
    """A straight interface: a point on it (Å), direction from +x and rms distance of the edge."""

    x: float
    y: float
    angle: Value
    roughness: Value

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "point": [self.x, self.y],
            "angle": self.angle.to_json(),
            "roughness": self.roughness.to_json(),
        }


def interface_line(image: Measurement, g_a: ArrayLike, g_b: ArrayLike) -> Line:
    """Return the line between the region of one reflection and that of another.

    Parameters
    ----------
    image : Measurement
    g_a, g_b : (2,) array
        One reflection of each lattice, 1/Å, that the other has not.

    Raises
    ------
    NotFoundError
        The two regions do not meet.
    """
    from scipy import fft, ndimage

    values, y, x = pixels(image)
    dy, dx = float(np.diff(y).mean()), float(np.diff(x).mean())
    a, b = np.asarray(g_a, dtype=float), np.asarray(g_b, dtype=float)
    apart = float(np.linalg.norm(a - b))
    shorter = min(math.hypot(*a), math.hypot(*b))
    sigma = min(apart / 3, shorter / 4)
    if sigma * len(x) * dx < 1:
        raise InputError("the two reflections cannot be told apart", place="g_a, g_b")
    spectrum = fft.fft2(((values - values.mean()) * _taper(*values.shape)).astype(np.float32))
    maps = [_phase_gradient(spectrum, v, float(sigma), dy, dx)[1] for v in (a, b)]
    maps = [m / np.percentile(m, 99) for m in maps]
    present = maps[0] + maps[1] > 0.5
    first = (maps[0] > maps[1]) & present
    second = (maps[1] >= maps[0]) & present
    edge = ndimage.binary_dilation(first) & second
    rows, columns = np.nonzero(edge)
    if len(rows) < 8:
        raise NotFoundError("the two lattices do not meet in this image", place="interface")
    points = np.stack([x[columns], y[rows]], axis=1)
    for _ in range(5):  # stray patches of the other lattice do not turn the line
        center = np.median(points, axis=0)
        axis = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2][0]
        away = np.abs((points - points.mean(axis=0)) @ np.array([-axis[1], axis[0]]))
        keep = away <= 3 * max(float(np.sqrt(np.mean(away**2))), dx)
        if keep.all():
            break
        points = points[keep]
    center = points.mean(axis=0)
    along = (points - center) @ axis
    away = (points - center) @ np.array([-axis[1], axis[0]])
    rough = float(np.std(away))
    # edge pixels within the resolution of the mask are not independent
    independent = max(float(np.ptp(along)) * sigma / 0.37, 2.0)
    error = math.degrees(max(rough, dx / 3) / (float(np.std(along)) * math.sqrt(independent)))
    return Line(
        float(center[0]),
        float(center[1]),
        Value(math.degrees(math.atan2(axis[1], axis[0])) % 180.0, "deg", error),
        Value(rough, "angstrom", rough / math.sqrt(2 * independent)),
    )
