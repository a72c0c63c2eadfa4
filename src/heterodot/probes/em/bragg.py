"""The part of an image that belongs to one reflection, on a grid no finer than it needs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

REACH = 4.0  # standard deviations of the mask that are kept


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Half of the Fourier transform of a real image, and the image's axes.

    Attributes
    ----------
    half : (ny, nx // 2 + 1) complex array
    y, x : arrays
        Axes of the image, Å.
    """

    half: NDArray[Any]
    y: NDArray[np.float64]
    x: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the image."""
        return len(self.y), len(self.x)

    @property
    def steps(self) -> tuple[float, float]:
        """Pixel size along y and x, Å."""
        return float(np.diff(self.y).mean()), float(np.diff(self.x).mean())

    def at(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[Any]:
        """Return a patch of the whole transform for frequency numbers of any sign."""
        ny = self.shape[0]
        patch = np.empty((len(rows), len(columns)), dtype=self.half.dtype)
        right = columns >= 0
        patch[:, right] = self.half[np.ix_(rows % ny, columns[right])]
        patch[:, ~right] = np.conj(self.half[np.ix_(-rows % ny, -columns[~right])])
        return patch


def spectrum(
    values: NDArray[np.float64], y: NDArray[np.float64], x: NDArray[np.float64]
) -> Spectrum:
    """Return the transform of an image (mean taken off, edges not tapered)."""
    from scipy import fft

    return Spectrum(fft.rfft2((values - values.mean()).astype(np.float32)), y, x)


@dataclass(frozen=True, eq=False)
class Filtered:
    """The complex image of one reflection, its phase taken against the reflection itself.

    Attributes
    ----------
    wave : (my, mx) complex array
        ``|wave|`` is the amplitude of the fringes (half of crest to mean).
    slope_x, slope_y : (my, mx) arrays
        Local reflection minus the given one, 1/Å.
    y, x : arrays
        Axes of these maps, Å; coarser than the image's.
    """

    wave: NDArray[Any]
    slope_x: NDArray[np.float32]
    slope_y: NDArray[np.float32]
    y: NDArray[np.float64]
    x: NDArray[np.float64]

    @property
    def amplitude(self) -> NDArray[np.float32]:
        """Amplitude of the fringes."""
        return np.asarray(np.abs(self.wave))


def bragg(
    whole: Spectrum, vector: NDArray[np.float64], sigma: float, *, cell: float | None = None
) -> Filtered:
    """Return the wave of one reflection under a Gaussian mask.

    Only the patch of the transform under the mask is transformed back, so the maps come on a grid
    of about ``0.1 / sigma`` Å, a quarter of what they resolve.

    Parameters
    ----------
    whole : Spectrum
    vector : (2,) array
        gx, gy, 1/Å.
    sigma : float
        Standard deviation of the mask, 1/Å.
    cell : float, optional
        Distance of the map's pixels, Å; a filter shared by several reflections sets the same.
    """
    from scipy import fft

    ny, nx = whole.shape
    dy, dx = whole.steps
    lengths = ny * dy, nx * dx
    cell = 1 / (2 * REACH * sigma) / 1.2 if cell is None else cell
    # the patch has to hold the mask; more of it means finer maps
    counts = [
        min(n, fft.next_fast_len(max(8, math.ceil(length / cell), math.ceil(2 * REACH * sigma * length) + 2)))
        for n, length in zip((ny, nx), lengths, strict=True)
    ]  # fmt: skip
    centers = [round(vector[1] * lengths[0]), round(vector[0] * lengths[1])]
    offsets = [np.arange(n) - n // 2 for n in counts]
    rows, columns = (c + o for c, o in zip(centers, offsets, strict=True))
    limit = (ny // 2, nx // 2)
    patch = whole.at(np.clip(rows, -limit[0], limit[0]), np.clip(columns, -limit[1], limit[1]))
    fy, fx = rows / lengths[0] - vector[1], columns / lengths[1] - vector[0]
    wy, wx = (np.exp(-(f**2) / (2 * sigma**2)) * (np.abs(f) <= REACH * sigma) for f in (fy, fx))
    wy[np.abs(rows) > limit[0]] = 0
    wx[np.abs(columns) > limit[1]] = 0
    patch = patch * (wy[:, None] * wx).astype(np.float32)
    waves = [
        fft.ifft2(fft.ifftshift(p))
        for p in (patch, patch * fx.astype(np.float32), patch * fy.astype(np.float32)[:, None])
    ]
    power = waves[0].real ** 2 + waves[0].imag ** 2
    inverse = np.conj(waves[0]) / (power + np.float32(1e-12) * max(float(power.max()), 1e-30))
    scale = counts[0] * counts[1] / (ny * nx)
    # map pixel k lies at k / count of the field
    return Filtered(
        waves[0] * np.float32(scale),
        np.asarray((inverse * waves[1]).real),
        np.asarray((inverse * waves[2]).real),
        whole.y[0] + np.arange(counts[0]) * lengths[0] / counts[0],
        whole.x[0] + np.arange(counts[1]) * lengths[1] / counts[1],
    )


def beside(whole: Spectrum, vector: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return amplitudes (4, ...) of the same mask turned away from a reflection: the noise there.

    The smaller half of the four is free of other reflections in practice.
    """
    found = []
    for degrees in (23.0, -23.0, 67.0, -67.0):
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        turned = vector @ np.array([[c, s], [-s, c]])
        found.append(np.asarray(bragg(whole, turned, sigma).amplitude, dtype=float))
    return np.array(found)
