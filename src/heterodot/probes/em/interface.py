"""The straight line where two lattices of an image meet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.measurement import Measurement
from heterodot.probes.em.bragg import Spectrum, beside, bragg, spectrum
from heterodot.probes.em.spots import broad, pixels
from heterodot.units import Value

if TYPE_CHECKING:
    from heterodot.probes.em.reading import Reading

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """A straight interface in an image.

    Attributes
    ----------
    x, y : float
        Its middle, Å.
    angle : Value
        Direction from +x toward +y, degrees, 0 to 180.
    offset : Value
        Distance from the origin of the image's axes along the normal ``(-sin, cos)`` of the
        direction, Å; the error is that of its place, which the filter's width does not limit.
    roughness : Value
        Root mean square distance of the edge from the line, Å. Steps shorter than ``resolution``
        are averaged over.
    length : float
        Seen length, Å.
    resolution : float
        Full width over which the amplitudes are averaged, Å.
    """

    x: float
    y: float
    angle: Value
    offset: Value
    roughness: Value
    length: float
    resolution: float

    @property
    def ends(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Both ends, (x, y), Å."""
        a = math.radians(self.angle.value)
        dx, dy = math.cos(a) * self.length / 2, math.sin(a) * self.length / 2
        return (self.x - dx, self.y - dy), (self.x + dx, self.y + dy)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "point": [self.x, self.y],
            "angle": self.angle.to_json(),
            "offset": self.offset.to_json(),
            "roughness": self.roughness.to_json(),
            "length": {"value": self.length, "error": self.resolution, "unit": "angstrom"},
            "resolution": {"value": self.resolution, "error": None, "unit": "angstrom",
                           "error_reason": "set by the mask"},
        }  # fmt: skip


def interface_line(
    image: Measurement,
    g_a: ArrayLike,
    g_b: ArrayLike | None = None,
    *,
    shared: ArrayLike | None = None,
    width: float | None = None,
) -> Line:
    """Return the line between the region of one reflection and that of another.

    The line runs where the amplitudes of both, each over its own plateau, are equal. Where B has
    no reflection that A lacks (PbS on CsPbBr3 cube-on-cube), ``shared`` is a reflection of both,
    and the line runs where A's own one has fallen to half.

    Parameters
    ----------
    image : Measurement
    g_a, g_b : (2,) array
        A reflection of each lattice that the other has not, 1/Å.
    shared : (2,) array, optional
        A reflection of both, in place of ``g_b``.
    width : float, optional
        Standard deviation of the masks, 1/Å; a third of the distance of the reflections, and at
        most a quarter of the shorter one, if not given.

    Raises
    ------
    InputError
        The reflections cannot be told apart.
    NotFoundError
        A reflection is not seen, the two regions do not meet, or their border is not a line.
    """
    if (g_b is None) == (shared is None):
        raise InputError("either g_b or a shared reflection is needed", place="interface_line")
    values, y, x = pixels(image)
    a = np.asarray(g_a, dtype=float)
    b = np.asarray(g_b if shared is None else shared, dtype=float)
    # the nearest of b, -b and (for a mask that must not touch) the origin limit the mask
    apart = min(float(np.linalg.norm(a - b)), float(np.linalg.norm(a + b)))
    shorter = min(math.hypot(*a), math.hypot(*b))
    sigma = min(apart / 3, shorter / 4) if width is None else float(width)
    extent = min(len(x) * float(np.diff(x).mean()), len(y) * float(np.diff(y).mean()))
    if sigma * extent < 2:
        raise InputError(
            "the two reflections cannot be told apart in a field of this size", place="g_a, g_b",
            remedy="take reflections that lie farther apart, or a shared one",
        )  # fmt: skip
    whole = spectrum(values, y, x)
    own, other, grid = _amplitudes(whole, a, b, sigma)
    if shared is None:
        present, difference = own + other > 0.6, own - other
    else:
        present, difference = other > 0.5, own - 0.5
    points = _crossings(difference, present, *grid)
    if len(points) < 4:
        raise NotFoundError(
            "the two lattices do not meet in this image", place="interface",
            remedy="check that each reflection belongs to one of the domains alone",
        )  # fmt: skip
    return _fit(points, 0.37 / sigma)


def interface_between(image: Measurement, a: Reading, b: Reading) -> Line:
    """Return the interface of two domains from all spots of both.

    Inside each domain the amplitudes of all spots make a pattern; everywhere else they are the sum
    of both patterns in some shares. The line runs where the shares are equal, so reflections that
    both lattices have do no harm.

    Parameters
    ----------
    image : Measurement
    a, b : Reading
        Domains of the image.

    Raises
    ------
    NotFoundError
        Both domains show the same pattern, or they meet in no line.
    """
    values, y, x = pixels(image)
    steps = float(np.diff(y).mean()), float(np.diff(x).mean())
    whole = spectrum(values - broad(values, LONGEST, *steps), y, x)
    vectors = _strong_spots(a, b)
    sigma = min(0.045, float(np.linalg.norm(vectors, axis=1).min()) / 4)
    filtered = [bragg(whole, v, sigma) for v in vectors]
    maps = np.array([f.amplitude for f in filtered], dtype=float)
    grid = filtered[0].y, filtered[0].x
    patterns = [_pattern(maps, r.grain.weights, (y, x), grid) for r in (a, b)]
    cosine = float(patterns[0] @ patterns[1])
    cosine /= float(np.linalg.norm(patterns[0]) * np.linalg.norm(patterns[1]))
    if cosine > 0.95:
        raise NotFoundError(
            "both domains have the same spots: their border is not seen by them",
            place="interface", remedy="take another zone axis",
        )  # fmt: skip
    shares = _shares(maps, *patterns)
    points = _crossings(shares[0] - shares[1], shares.sum(axis=0) > 0.5, *grid)
    if len(points) < 4:
        raise NotFoundError("the two domains do not meet in this image", place="interface")
    return _fit(points, 0.37 / sigma)


LONGEST = 8.0  # Å


def _strong_spots(a: Reading, b: Reading) -> Points:
    """Return the strongest spots of both domains, each once."""
    kept: list[Points] = []
    for reading in (a, b):
        for spot in [s for s in reading.grain.spots if s.amplitude > 0.1][:8]:
            at = np.array([spot.gx, spot.gy])
            if all(min(np.linalg.norm(at - k), np.linalg.norm(at + k)) > 0.03 for k in kept):
                kept.append(at)
    return np.array(kept)


def _pattern(
    maps: Points, weights: Points, axes: tuple[Points, Points], grid: tuple[Points, Points]
) -> Points:
    """Return the mean amplitude of each reflection inside a domain."""
    rows, columns = (
        np.clip(np.rint((g - a[0]) / (a[1] - a[0])).astype(int), 0, len(a) - 1)
        for a, g in zip(axes, grid, strict=True)
    )
    inside = weights[np.ix_(rows, columns)]
    inside = np.where(inside > 0.6, inside, 0.0)
    return np.asarray((maps * inside).sum(axis=(1, 2)) / max(float(inside.sum()), 1e-30))


def _shares(maps: Points, one: Points, two: Points) -> Points:
    """Return how much of each pattern, none negative, is in each place, (2, my, mx)."""
    size = np.linalg.norm(one), np.linalg.norm(two)
    # both patterns count alike, however bright the domain
    p, q = one / size[0], two / size[1]
    c = float(p @ q)
    on_p, on_q = np.tensordot(p, maps, 1), np.tensordot(q, maps, 1)
    first = (on_p - c * on_q) / (1 - c * c)
    second = (on_q - c * on_p) / (1 - c * c)
    first, second = (
        np.where(second < 0, np.clip(on_p, 0, None), np.clip(first, 0, None)),
        np.where(first < 0, np.clip(on_q, 0, None), np.clip(second, 0, None)),
    )
    return np.array([first / size[0], second / size[1]])


def _amplitudes(
    whole: Spectrum, a: Points, b: Points, sigma: float
) -> tuple[NDArray[Any], NDArray[Any], tuple[Points, Points]]:
    """Return both amplitudes over their plateaus on one grid, and its axes y, x."""
    one, two = bragg(whole, a, sigma), bragg(whole, b, sigma)
    maps = []
    for vector, filtered in ((a, one), (b, two)):
        amplitude = filtered.amplitude
        plateau = float(np.median(amplitude[amplitude > 0.5 * np.percentile(amplitude, 99)]))
        noise = np.sort(np.percentile(beside(whole, vector, sigma), 99, axis=(1, 2)))[:2].mean()
        if plateau < 1.5 * noise:
            raise NotFoundError(
                f"no fringes of {1 / math.hypot(*vector):.3f} Å stand out of the noise",
                place="interface", remedy="take reflections from 'heterodot fit fft'",
            )  # fmt: skip
        maps.append(amplitude / plateau)
    return maps[0], maps[1], (one.y, one.x)


def _crossings(
    difference: NDArray[Any], present: NDArray[np.bool_], y: Points, x: Points
) -> Points:
    """Return points (x, y) where the difference changes sign between present neighbors."""
    found = []
    for axis in (0, 1):
        low = np.take(difference, range(difference.shape[axis] - 1), axis)
        high = np.take(difference, range(1, difference.shape[axis]), axis)
        both = np.take(present, range(difference.shape[axis] - 1), axis) & np.take(
            present, range(1, difference.shape[axis]), axis
        )
        rows, columns = np.nonzero((low * high < 0) & both)
        part = low[rows, columns] / (low[rows, columns] - high[rows, columns])
        at_y, at_x = y[rows].astype(float), x[columns].astype(float)
        if axis == 0:
            at_y = at_y + part * (y[1] - y[0])
        else:
            at_x = at_x + part * (x[1] - x[0])
        found.append(np.stack([at_x, at_y], axis=1))
    return np.concatenate(found)


def _fit(points: Points, resolution: float) -> Line:
    """Return the line of least squared distances, outliers left out."""
    for _ in range(8):  # stray patches of the other lattice do not turn the line
        center = points.mean(axis=0)
        axis = np.linalg.svd(points - center, full_matrices=False)[2][0]
        away = (points - center) @ np.array([-axis[1], axis[0]])
        spread = 1.4826 * float(np.median(np.abs(away - np.median(away))))
        keep = np.abs(away - np.median(away)) <= 3.5 * max(spread, 0.2 * resolution)
        if keep.all() or keep.sum() < 4:
            break
        points = points[keep]
    if axis[1] < 0 or (axis[1] == 0 and axis[0] < 0):
        axis = -axis
    normal = np.array([-axis[1], axis[0]])
    along = (points - center) @ axis
    length = float(np.ptp(along))
    rough = float(np.std(away))
    if length < 1.5 * resolution or length < 3 * rough:
        raise NotFoundError(
            "the border of the two lattices is not a line", place="interface",
            remedy="it may be short, curved, or the domains lie above one another",
        )  # fmt: skip
    # crossings within the resolution of the mask are not independent
    independent = max(length / resolution, 2.0)
    scatter = max(rough, 0.02 * resolution) / math.sqrt(independent)
    angle = math.degrees(math.atan2(axis[1], axis[0])) % 180.0
    return Line(
        float(center[0]),
        float(center[1]),
        Value(angle, "deg", math.degrees(scatter / float(np.std(along)))),
        Value(float(center @ normal), "angstrom", scatter),
        Value(rough, "angstrom", rough / math.sqrt(2 * independent)),
        length,
        resolution,
    )
