"""Spots in the Fourier transform of a lattice image, to a small part of a Fourier pixel."""

from __future__ import annotations

import math
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


def pixels(
    image: Measurement,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return values (ny, nx) and the axes y, x in Å of an image with a scale.

    Raises
    ------
    InputError
        Not an image, no scale, uneven axes or values that are not finite.
    """
    data = image.data
    place = image.source or "image"
    if data.dims != ("y", "x") or min(data.shape) < 32:
        raise InputError(f"{data.dims} of {data.shape} is no image (y, x)", place=place)
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
    values = np.asarray(data.values, dtype=float)
    if not np.isfinite(values).all():
        raise InputError("some pixels are not finite", place=place)
    if np.ptp(values) == 0:
        raise InputError("all pixels are equal", place=place)
    return values, axes[0], axes[1]


def cut(image: Measurement, region: Region | None) -> tuple[NDArray[np.float64], float, float]:
    """Return the pixels of a region (x0, x1, y0, y1 in Å) and the pixel size along y and x."""
    values, y, x = pixels(image)
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
    return values, dy, dx


def find_spots(
    image: Measurement,
    region: Region | None = None,
    *,
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
    from scipy import fft, ndimage

    values, dy, dx = cut(image, region)
    ny, nx = values.shape
    window = np.outer(_gaussian(ny), _gaussian(nx))
    values = (values - np.average(values, weights=window)) * window
    size = (max(256, fft.next_fast_len(2 * ny)), max(256, fft.next_fast_len(2 * nx)))
    amplitude = np.abs(fft.fftshift(fft.fft2(values, s=size)))
    fy = fft.fftshift(fft.fftfreq(size[0], dy))
    fx = fft.fftshift(fft.fftfreq(size[1], dx))
    q = np.hypot(fy[:, None], fx[None, :])
    inside = (q >= 1 / longest) & (q <= 1 / shortest)
    background = _background(amplitude, q, inside)
    # a Gaussian window of the region's length / 6 has its own width in Fourier space
    bin_y, bin_x = 1 / (ny * dy), 1 / (nx * dx)
    reach = [
        2 * round(1.5 * b / s) + 1
        for b, s in zip((bin_y, bin_x), (fy[1] - fy[0], fx[1] - fx[0]), strict=True)
    ]
    peaks = inside & (amplitude == ndimage.maximum_filter(amplitude, size=reach))
    peaks &= amplitude > signal * background
    peaks &= (fy[:, None] > 0) | ((fy[:, None] == 0) & (fx[None, :] > 0))
    # leakage and shape fringes lie far below the strongest spots
    rows, columns = np.nonzero(peaks & (amplitude > 0.01 * amplitude[inside].max()))
    if not len(rows):
        raise NotFoundError(
            "no lattice spots stand above the background", place=image.source or "image",
            remedy="choose a region inside one crystal, or lower the threshold",
        )  # fmt: skip
    order = np.argsort(-amplitude[rows, columns])[:limit]
    top = float(amplitude[rows, columns].max())
    spots = []
    for r, c in zip(rows[order], columns[order], strict=True):
        up, right = _vertex(amplitude, int(r), int(c))
        ratio = float(amplitude[r, c] / background[r, c])
        error = max(bin_x, bin_y) * math.hypot(FLOOR, 1 / ratio)
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
