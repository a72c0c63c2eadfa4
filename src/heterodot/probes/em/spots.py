"""Spots in the Fourier transform of a lattice image, to a small part of a Fourier pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.measurement import Measurement
from heterodot.units import Value

Region = tuple[float, float, float, float]
SCALE = {"angstrom": 1.0, "Å": 1.0, "nm": 10.0, "nanometer": 10.0, "um": 1e4, "pm": 0.01}
FLOOR = 0.05  # Fourier pixels: least error given to a spot; chosen, not calibrated


@dataclass(frozen=True)
class Spot:
    """One spot of the Fourier transform.

    Attributes
    ----------
    gx, gy : float
        Spatial frequency, 1/Å.
    error : float
        Standard error of each component, 1/Å, from the noise beside the spot.
    amplitude : float
        Relative to the strongest spot.
    signal : float
        Amplitude over the background at its frequency.
    """

    gx: float
    gy: float
    error: float
    amplitude: float
    signal: float

    @property
    def g(self) -> float:
        """Length of the vector, 1/Å."""
        return math.hypot(self.gx, self.gy)

    @property
    def spacing(self) -> Value:
        """Lattice spacing, Å."""
        return Value(1 / self.g, "angstrom", self.error / self.g**2)

    @property
    def angle(self) -> Value:
        """Direction from +x toward +y, degrees."""
        return Value(
            math.degrees(math.atan2(self.gy, self.gx)), "deg", math.degrees(self.error / self.g)
        )

    def to_json(self) -> dict[str, Any]:
        """Return spacing, angle and strength as plain data."""
        return {
            "spacing": self.spacing.to_json(),
            "angle": self.angle.to_json(),
            "amplitude": self.amplitude,
            "signal_to_background": self.signal,
        }


def axes_of(image: Measurement) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the axes y and x of an image in Å.

    Raises
    ------
    InputError
        Not an image, too few pixels, no scale, uneven axes.
    """
    data = image.data
    place = image.source or "image"
    if data.dims != ("y", "x"):
        raise InputError(f"axes {data.dims} are not those of an image (y, x)", place=place)
    if min(data.shape) < 32:
        raise InputError(
            f"{data.shape[1]} x {data.shape[0]} pixels are too few for a lattice", place=place,
            remedy="give 32 x 32 pixels at least, better 256 x 256",
        )  # fmt: skip
    axes = []
    for name in ("y", "x"):
        units = str(data[name].attrs["units"])
        if units not in SCALE:
            raise InputError(
                f"the image has no scale (axis in '{units}')", place=place,
                remedy="give its pixel size in nm",
            )  # fmt: skip
        axis = np.asarray(data[name].values, dtype=float) * SCALE[units]
        step = np.diff(axis)
        if not (np.isfinite(axis).all() and step.min() > 0 and np.ptp(step) < 1e-3 * step.mean()):
            raise InputError(f"axis {name} is not evenly rising", place=place)
        axes.append(axis)
    return axes[0], axes[1]


def pixels(
    image: Measurement,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return values (ny, nx) and the axes y, x in Å of an image with a scale.

    Raises
    ------
    InputError
        What `axes_of` refuses, or values that are not finite or all equal.
    """
    y, x = axes_of(image)
    values = np.asarray(image.data.values, dtype=float)
    _check_values(values, image.source or "image")
    return values, y, x


def _check_values(values: NDArray[np.float64], place: str) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        row, column = (int(k) for k in np.argwhere(~finite)[0])
        raise InputError(
            f"{int((~finite).sum())} pixels are not finite, the first in row {row}, column "
            f"{column}", place=place, remedy="choose a region without them, or repair the image",
        )  # fmt: skip
    if np.ptp(values) == 0:
        raise InputError("all pixels are equal", place=place, remedy="is it the right frame?")


def cut(image: Measurement, region: Region | None) -> tuple[NDArray[np.float64], float, float]:
    """Return the pixels of a region (x0, x1, y0, y1 in Å) and the pixel size along y and x."""
    y, x = axes_of(image)
    values = np.asarray(image.data.values, dtype=float)
    dy, dx = float(np.diff(y).mean()), float(np.diff(x).mean())
    if region is not None:
        x0, x1, y0, y1 = region
        rows, columns = (y >= y0) & (y <= y1), (x >= x0) & (x <= x1)
        if rows.sum() < 16 or columns.sum() < 16:
            raise InputError(
                f"the region {region} holds less than 16 x 16 pixels", place="region",
                remedy=f"stay in x {x[0]:.1f} to {x[-1]:.1f}, y {y[0]:.1f} to {y[-1]:.1f} Å",
            )  # fmt: skip
        values = values[np.ix_(rows, columns)]
    _check_values(values, image.source or "image")
    return values, dy, dx


def without_bar(image: Measurement) -> tuple[Measurement, tuple[str, ...]]:
    """Return the image with a burnt-in scale bar and its lettering smoothed over, and a warning.

    The reader notes where a bar is (``metadata["scale_bar"]``, rows and columns). All pixels of
    the bar's gray in its quarter of the frame are taken for bar or letters.

    Returns
    -------
    image : Measurement
        The same one if there is no bar.
    warnings : tuple of str
    """
    from dataclasses import replace

    from scipy import ndimage

    bar = image.metadata.get("scale_bar")
    if not bar:
        return image, ()
    y0, y1, x0, x1 = (int(k) for k in bar)
    values = np.array(image.data.values, dtype=float)
    gray = float(np.median(values[y0:y1, x0:x1]))
    ny = len(values)
    low, high = (ny * 3 // 4, ny) if (y0 + y1) / 2 > ny / 2 else (0, max(ny // 4, y1))
    low = min(low, y0)
    drawn = np.zeros(values.shape, dtype=bool)
    drawn[low:high] = np.abs(values[low:high] - gray) < 0.02 * max(np.ptp(values), 1e-30)
    drawn = ndimage.binary_dilation(drawn, iterations=2)
    kept = (~drawn).astype(float)
    spread = max(8.0, 2.0 * (y1 - y0))
    smooth = ndimage.gaussian_filter(values * kept, spread)
    share = ndimage.gaussian_filter(kept, spread)
    values[drawn] = (smooth / np.maximum(share, 1e-6))[drawn]
    data = image.data.copy(data=values)
    warning = (
        f"a burnt-in scale bar and its letters ({int(drawn.sum())} pixels) were smoothed over: "
        "an exported picture may be clipped, resampled or compressed; the microscope's own file "
        "is better"
    )
    return replace(image, data=data), (warning,)


def find_spots(
    image: Measurement,
    region: Region | None = None,
    *,
    weights: NDArray[np.float64] | None = None,
    limit: int = 40,
    signal: float = 6.0,
    longest: float = 8.0,
    shortest: float = 1.0,
) -> list[Spot]:
    """Return the spots of an image, strongest first, one of each Friedel pair.

    The region is weighted with a Gaussian window, for which the logarithm of a spot is a
    parabola, so its place is found without bias.

    Parameters
    ----------
    image : Measurement
        Kind ``"image"``, axes with a scale.
    region : (x0, x1, y0, y1), optional
        Å; all of the image if not given.
    weights : (ny, nx) array, optional
        Weights of all pixels in place of the Gaussian window, e.g. of a grain with soft edges
        (`heterodot.probes.em.grains.Grain.weights`).
    limit : int
        How many at most.
    signal : float
        Least amplitude over the background (median on a ring of the same frequency).
    longest, shortest : float
        Spacings looked for, Å.

    Raises
    ------
    InputError
        No scale or a region too small.
    NotFoundError
        No spot above the background.
    """
    place = image.source or "image"
    if weights is None:
        values, dy, dx = cut(image, region)
        window = np.outer(_gaussian(len(values)), _gaussian(values.shape[1]))
    else:
        values, window, dy, dx = _weighted(image, weights)
    values = values - broad(values, longest, dy, dx)
    values = (values - np.average(values, weights=window)) * window
    amplitude, fy, fx = _spectrum(values, dy, dx, 1.1 / shortest)
    q = np.hypot(fy[:, None], fx[None, :])
    inside = (q >= 1 / longest) & (q <= 1 / shortest)
    background = _background(amplitude, q, inside)
    width_y, width_x = widths(window, dy, dx)
    chosen = _peaks(amplitude, background, inside, (fy, fx), (width_y, width_x), signal)
    if not chosen:
        raise NotFoundError(
            "no lattice spots stand above the background", place=place,
            remedy="choose a region inside one crystal, or lower the threshold",
        )  # fmt: skip
    top = float(amplitude[chosen[0]])
    spots = []
    for r, c in chosen[:limit]:
        up, right = _vertex(amplitude, r, c)
        ratio = float(amplitude[r, c] / background[r, c])
        error = max(width_x, width_y) * math.hypot(FLOOR, 1 / ratio)
        spots.append(
            Spot(
                float(fx[c] + right * (fx[1] - fx[0])),
                float(fy[r] + up * (fy[1] - fy[0])),
                error,
                float(amplitude[r, c] / top),
                ratio,
            )
        )
    return spots


def gathered(spots: Sequence[Spot], reach: float) -> list[Spot]:
    """Return spots with those closer than ``reach`` (1/Å) taken for parts of one.

    A crystal of uneven thickness (a cube along its edge, a truncated octahedron) that is tilted
    splits each spot about its true place. The middle, weighted by amplitude, is kept with an error
    of a quarter of the distance.
    """
    left = sorted(spots, key=lambda s: -s.amplitude)
    found = []
    while left:
        first = left.pop(0)
        parts = [(first, 1.0)]
        rest = []
        for other in left:
            signs = [
                t for t in (1.0, -1.0)
                if math.hypot(first.gx - t * other.gx, first.gy - t * other.gy) < reach
            ]  # fmt: skip
            if signs:
                parts.append((other, signs[0]))
            else:
                rest.append(other)
        left = rest
        weight = np.array([s.amplitude for s, _ in parts])
        at = np.array([[t * s.gx, t * s.gy] for s, t in parts])
        middle = np.average(at, axis=0, weights=weight)
        # parts far weaker than the first move it little and say little about its error
        spread = float(np.sqrt(np.average(((at - middle) ** 2).sum(axis=1), weights=weight)))
        found.append(
            Spot(
                float(middle[0]),
                float(middle[1]),
                math.hypot(first.error, spread / 2),
                first.amplitude,
                first.signal,
            )
        )
    return found


def diffractogram(
    image: Measurement,
    weights: NDArray[np.float64] | None = None,
    *,
    reach: float = 0.8,
    longest: float = 8.0,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return Fourier amplitudes (n, m) for a figure, and their axes fy, fx in 1/Å.

    Parameters
    ----------
    image : Measurement
    weights : (ny, nx) array, optional
        As for `find_spots`; a Gaussian window over the image if not given.
    reach : float
        Largest frequency along each axis, 1/Å.
    longest : float
        What varies slower is taken off, Å.
    """
    if weights is None:
        values, dy, dx = cut(image, None)
        window = np.outer(_gaussian(len(values)), _gaussian(values.shape[1]))
    else:
        values, window, dy, dx = _weighted(image, weights)
    values = values - broad(values, longest, dy, dx)
    values = (values - np.average(values, weights=window)) * window
    half, fy, fx = _spectrum(values, dy, dx, reach)
    right = half[:, fx >= -1e-12]
    return (
        np.concatenate([right[::-1, :0:-1], right], axis=1),
        fy,
        np.concatenate([-fx[fx > 1e-12][::-1], fx[fx >= -1e-12]]),
    )


def _weighted(
    image: Measurement, weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float, float]:
    """Return values and weights where the weights are not zero, and the pixel size."""
    y, x = axes_of(image)
    if weights.shape != (len(y), len(x)):
        raise InputError("weights and image differ in shape", place="weights")
    rows, columns = (np.nonzero((weights > 1e-3).any(axis=k))[0] for k in (1, 0))
    if not len(rows) or min(len(rows), len(columns)) < 16:
        raise InputError("the weights leave less than 16 x 16 pixels", place="weights")
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    values = np.asarray(image.data.values[box], dtype=float)
    _check_values(values, image.source or "image")
    return values, weights[box], float(np.diff(y).mean()), float(np.diff(x).mean())


def broad(values: NDArray[np.float64], longest: float, dy: float, dx: float) -> NDArray[np.float64]:
    """Return what varies slower than the longest spacing: thickness, support, illumination."""
    from scipy import ndimage

    size = [max(3, round(longest / d)) for d in (dy, dx)]
    once = ndimage.uniform_filter(values, size, mode="nearest")
    return np.asarray(ndimage.uniform_filter(once, size, mode="nearest"))


def widths(window: NDArray[np.float64], dy: float, dx: float) -> tuple[float, float]:
    """Return the standard widths (1/Å) of a spot along y and x under a window."""
    found = []
    for axis, step in ((1, dy), (0, dx)):
        profile = window.sum(axis=axis)
        at = np.arange(len(profile)) * step
        mean = np.average(at, weights=profile)
        found.append(1 / (2 * math.pi * math.sqrt(np.average((at - mean) ** 2, weights=profile))))
    return found[0], found[1]


def _spectrum(
    values: NDArray[np.float64], dy: float, dx: float, reach: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return amplitudes up to a frequency with their axes, fx from a little below zero on."""
    from scipy import fft

    # a window without padding samples a spot at its own width; small regions want more
    size = [fft.next_fast_len(n if n >= 1024 else max(256, 2 * n), real=True) for n in values.shape]
    half = np.abs(fft.rfft2(values.astype(np.float32), s=size))
    fy, fx = fft.fftfreq(size[0], dy), fft.rfftfreq(size[1], dx)
    rows = np.nonzero(np.abs(fy) <= reach)[0]
    rows = rows[np.argsort(fy[rows])]
    half = half[np.ix_(rows, np.nonzero(fx <= reach)[0])]
    fy, fx = fy[rows], fx[fx <= reach]
    if (len(rows)) % 2 == 0:  # the axis has to be its own mirror
        half, fy = half[1:], fy[1:]
    # columns left of zero by Friedel's law, so that maxima at fx = 0 have neighbors
    left = half[::-1, 3:0:-1]
    return (
        np.concatenate([left, half], axis=1).astype(float),
        fy,
        np.concatenate([-fx[3:0:-1], fx]),
    )


def _peaks(
    amplitude: NDArray[np.float64],
    background: NDArray[np.float64],
    inside: NDArray[np.bool_],
    axes: tuple[NDArray[np.float64], NDArray[np.float64]],
    width: tuple[float, float],
    signal: float,
) -> list[tuple[int, int]]:
    """Return rows and columns of the maxima that count, strongest first."""
    from scipy import ndimage

    fy, fx = axes
    reach = [
        2 * max(1, round(1.6 * w / (f[1] - f[0]))) + 1 for w, f in zip(width, axes, strict=True)
    ]
    peaks = inside & (amplitude == ndimage.maximum_filter(amplitude, size=reach))
    peaks &= amplitude > signal * background
    peaks &= (fx[None, :] > 0) | ((fx[None, :] == 0) & (fy[:, None] > 0))
    # leakage and shape fringes lie far below the strongest spots
    if peaks.any():
        peaks &= amplitude > 0.01 * amplitude[peaks].max()
    rows, columns = np.nonzero(peaks)
    order = np.argsort(-amplitude[rows, columns])
    kept: list[tuple[int, int]] = []
    for k in order:
        r, c = int(rows[k]), int(columns[k])
        for s, d in kept:
            apart = math.hypot((fy[r] - fy[s]) / width[0], (fx[c] - fx[d]) / width[1])
            # side lobes of a window with edges fall off with the distance
            if apart < 9 and amplitude[r, c] < 0.3 * amplitude[s, d] * min(1.0, 3 / apart):
                break
        else:
            if not _on_streak(amplitude, r, c, axes, width):
                kept.append((r, c))
    return kept


def _on_streak(
    amplitude: NDArray[np.float64],
    r: int,
    c: int,
    axes: tuple[NDArray[np.float64], NDArray[np.float64]],
    width: tuple[float, float],
) -> bool:
    """Return whether a maximum is a ripple of the streak that a straight edge draws.

    A spot of its own stands alone: around it, 2.5 to 5 widths away, little is as strong.
    """
    fy, fx = axes
    reach = [math.ceil(5 * w / (f[1] - f[0])) for w, f in zip(width, axes, strict=True)]
    rows = slice(max(r - reach[0], 0), r + reach[0] + 1)
    columns = slice(max(c - reach[1], 0), c + reach[1] + 1)
    apart = np.hypot((fy[rows, None] - fy[r]) / width[0], (fx[None, columns] - fx[c]) / width[1])
    around = amplitude[rows, columns][(apart > 2.5) & (apart < 5)]
    return bool(around.size > 20 and np.percentile(around, 85) > 0.45 * amplitude[r, c])


def _gaussian(n: int) -> NDArray[np.float64]:
    at = (np.arange(n) - (n - 1) / 2) / (n / 6)
    return np.asarray(np.exp(-0.5 * at**2))


def _background(
    amplitude: NDArray[np.float64], q: NDArray[np.float64], inside: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the median amplitude on rings, never below 1e-4 of the strongest spot."""
    from scipy import ndimage

    edges = np.linspace(q[inside].min(), q[inside].max(), 41)
    ring = np.where(inside, np.clip(np.digitize(q, edges), 1, 40), 0)
    medians = ndimage.median(amplitude, ring, np.arange(41))
    smooth = ndimage.median_filter(np.asarray(medians)[1:], 5, mode="nearest")
    table = np.concatenate([[np.inf], smooth])
    return np.asarray(np.maximum(table[ring], 1e-4 * amplitude[inside].max()))


def _vertex(amplitude: NDArray[np.float64], r: int, c: int) -> tuple[float, float]:
    """Return the offset of the maximum from pixel (r, c) by a parabola of the logarithm."""
    patch = np.log(amplitude[r - 1 : r + 2, c - 1 : c + 2] + 1e-300)
    if patch.shape != (3, 3):
        return 0.0, 0.0
    y, x = np.mgrid[-1:2, -1:2]
    design = np.stack([np.ones(9), *(a.ravel() for a in (x, y, x * x, y * y, x * y))], axis=1)
    _, bx, by, cx, cy, cxy = np.linalg.lstsq(design, patch.ravel(), rcond=None)[0]
    matrix = np.array([[2 * cx, cxy], [cxy, 2 * cy]])
    if np.linalg.eigvalsh(matrix).max() >= 0:
        return 0.0, 0.0
    right, up = np.clip(-np.linalg.solve(matrix, [bx, by]), -1, 1)
    return float(up), float(right)
