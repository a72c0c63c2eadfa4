"""Where a detector stands, and which momentum transfer each of its pixels sees in the film's frame.

Distances, point of normal incidence and rotations are those of pyFAI (Kieffer, Valls, Blanc and
Hennig, J. Synchrotron Rad. 27, 558 (2020)), so that a .poni file says the same here and there.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError

Floats = NDArray[np.float64]

# which way the film's normal points in the image -> EXIF number of the sample in pyFAI, and
# (horizontal, vertical) as signed axes of the detector (+1 rows, +2 columns)
UP = {
    "last row": (1, (2, 1)),
    "first row": (4, (2, -1)),
    "last column": (7, (1, 2)),
    "first column": (8, (1, -2)),
}


@dataclass(frozen=True)
class Geometry:
    """Detector, beam and film.

    Attributes
    ----------
    shape : (rows, columns)
        Pixels of the detector.
    pixel : (row, column)
        Size of a pixel along rows and columns, µm.
    distance : float
        From the sample to the foot of the normal on the detector, mm.
    foot : (row, column)
        Where the normal through the sample meets the detector, µm from the outer edge of the first
        pixel; the direct beam, where the detector is not rotated.
    wavelength : float
        Å.
    incidence : float
        Between beam and film, degrees.
    tilt : float
        Of the film about the beam, degrees.
    rotations : (3,) tuple
        Of the detector, radians, as in a .poni file.
    up : str
        Which edge of the image the film's normal points to: ``"first row"``, ``"last row"``,
        ``"first column"`` or ``"last column"``.
    detector : str
        pyFAI's name of the detector, empty for a plain grid of pixels.

    Examples
    --------
    >>> g = Geometry.simple((400, 300), (172, 172), 200.0, (390, 150), 1.5406, incidence=0.3)
    >>> g.up
    'first row'
    """

    shape: tuple[int, int]
    pixel: tuple[float, float]
    distance: float
    foot: tuple[float, float]
    wavelength: float
    incidence: float
    tilt: float = 0.0
    rotations: tuple[float, float, float] = (0.0, 0.0, 0.0)
    up: str = "first row"
    detector: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be a detector behind a film."""
        numbers = (
            *self.pixel, self.distance, *self.foot, self.wavelength, self.incidence, self.tilt,
            *self.rotations,
        )  # fmt: skip
        if not all(math.isfinite(float(x)) for x in numbers):
            raise InputError("a number is not finite", place="geometry")
        if min(self.shape) < 2 or self.shape[0] * self.shape[1] > 2**28:
            raise InputError(f"{self.shape} is no detector", place="geometry.shape")
        limits = {
            "pixel": (min(self.pixel), 0.1, 5000.0, "µm", "172"),
            "distance": (self.distance, 1.0, 1e5, "mm", "200"),
            "wavelength": (self.wavelength, 0.05, 5.0, "Å", "1.5406"),
        }
        for what, (value, low, high, unit, example) in limits.items():
            if not low <= value <= high:
                raise InputError(
                    f"{value:g} {unit} is outside {low:g} to {high:g} {unit}",
                    place=what,
                    remedy=f"give it in {unit}, e.g. {example}",
                )
        if not 0 <= self.incidence < 10:
            raise InputError(
                f"{self.incidence:g} degrees is no grazing incidence",
                place="incidence",
                remedy="give degrees between beam and film, e.g. 0.3",
            )
        if abs(self.tilt) > 45:
            raise InputError(f"{self.tilt:g} degrees is no small tilt", place="tilt")
        if self.up not in UP:
            raise InputError(
                f"'{self.up}' is no edge of an image",
                place="up",
                remedy=f"choose among {', '.join(UP)}",
            )

    @classmethod
    def simple(
        cls,
        shape: tuple[int, int],
        pixel: tuple[float, float],
        distance: float,
        center: tuple[float, float],
        wavelength: float,
        *,
        incidence: float,
        tilt: float = 0.0,
        up: str | None = None,
    ) -> Geometry:
        """Return the geometry of a detector square to the beam.

        Parameters
        ----------
        shape : (rows, columns)
        pixel : (row, column)
            µm.
        distance : float
            mm.
        center : (row, column)
            Pixel that the direct beam hits (a whole number is the middle of that pixel).
        wavelength : float
            Å.
        incidence, tilt : float
            Degrees.
        up : str, optional
            As in `Geometry`; otherwise the edge that is farthest from the direct beam.
        """
        foot = ((center[0] + 0.5) * pixel[0], (center[1] + 0.5) * pixel[1])
        return cls(
            shape, pixel, distance, foot, wavelength, incidence, tilt,
            up=up or farthest_edge(shape, center),
        )  # fmt: skip

    @classmethod
    def from_poni(
        cls,
        poni: Mapping[str, Any],
        shape: tuple[int, int],
        *,
        incidence: float,
        wavelength: float | None = None,
        tilt: float = 0.0,
        up: str | None = None,
    ) -> Geometry:
        """Return the geometry that a .poni file states (see `heterodot.formats.poni.read_poni`).

        Raises
        ------
        InputError
            No wavelength there nor given, or no size of a pixel.
        """
        length = wavelength if wavelength is not None else poni.get("wavelength")
        if length is None:
            raise InputError(
                "the .poni file states no wavelength", place="wavelength", remedy="give it in Å"
            )
        pixel = poni.get("pixel")
        if pixel is None:
            raise InputError(
                f"the size of a pixel of '{poni.get('detector')}' is not known",
                place="pixel",
                remedy="install heterodot[giwaxs], or give the size of a pixel in µm",
            )
        foot = poni["foot"]
        return cls(
            shape, pixel, poni["distance"], foot, float(length), incidence, tilt,
            poni["rotations"], up or farthest_edge(shape, (foot[0] / pixel[0], foot[1] / pixel[1])),
            str(poni.get("detector", "")),
        )  # fmt: skip

    @property
    def wavenumber(self) -> float:
        """2 pi over the wavelength, 1/Å."""
        return 2 * math.pi / self.wavelength

    def positions(self) -> tuple[Floats, Floats, Floats]:
        """Return each pixel's middle along the film, up and along the beam, mm, (rows, columns)."""
        return self._axes(self.up)

    def _axes(self, up: str) -> tuple[Floats, Floats, Floats]:
        rows = ((np.arange(self.shape[0]) + 0.5) * self.pixel[0] - self.foot[0]) * 1e-3
        columns = ((np.arange(self.shape[1]) + 0.5) * self.pixel[1] - self.foot[1]) * 1e-3
        matrix = _rotation(self.rotations)
        p1, p2 = np.meshgrid(rows, columns, indexing="ij")
        axes = [m[0] * p1 + m[1] * p2 + m[2] * self.distance for m in matrix]
        horizontal, vertical = UP[up][1]
        x = math.copysign(1, horizontal) * axes[abs(horizontal) - 1]
        y = math.copysign(1, vertical) * axes[abs(vertical) - 1]
        return x, y, axes[2]

    def momentum(self) -> tuple[Floats, Floats]:
        """Return q parallel to the film (signed) and along its normal, 1/Å, (rows, columns).

        The parallel part has the sign of its component across the beam, and includes the
        component along the beam: of a film with fiber texture only its size matters.

        Examples
        --------
        >>> g = Geometry.simple((101, 101), (100, 100), 100.0, (100, 50), 1.0, incidence=0.5)
        >>> q_parallel, q_z = g.momentum()
        >>> [round(abs(float(v)), 5) for v in (q_parallel[100, 50], q_z[100, 50], q_z[0, 50])]
        [0.0, 0.0, 0.62545]
        """
        x, y, z = self.positions()
        length = np.sqrt(x**2 + y**2 + z**2)
        k = self.wavenumber
        beam, across, vertical = k * (z / length - 1), k * x / length, k * y / length
        angle, tilt = math.radians(self.incidence), math.radians(self.tilt)
        beam, vertical = (
            math.cos(angle) * beam + math.sin(angle) * vertical,
            math.cos(angle) * vertical - math.sin(angle) * beam,
        )
        across, vertical = (
            math.cos(tilt) * across + math.sin(tilt) * vertical,
            math.cos(tilt) * vertical - math.sin(tilt) * across,
        )
        return np.where(across < 0, -1.0, 1.0) * np.hypot(beam, across), vertical

    def exit_angle(self) -> Floats:
        """Return the angle between the scattered beam and the film, degrees, (rows, columns)."""
        x, y, z = self.positions()
        length = np.sqrt(x**2 + y**2 + z**2)
        angle, tilt = math.radians(self.incidence), math.radians(self.tilt)
        # the normal of the film in the frame of the laboratory
        upward = math.cos(tilt) * (math.cos(angle) * y - math.sin(angle) * z) - math.sin(tilt) * x
        return np.asarray(np.degrees(np.arcsin(upward / length)), dtype=float)

    def solid_angle(self) -> Floats:
        """Return each pixel's solid angle over that of the foot of the normal, (rows, columns)."""
        x, y, z = self.positions()
        return np.asarray((self.distance / np.sqrt(x**2 + y**2 + z**2)) ** 3, dtype=float)

    def polarization(self, horizontal: float) -> Floats:
        """Return the polarization factor of each pixel, (rows, columns).

        Parameters
        ----------
        horizontal : float
            (I_h - I_v)/(I_h + I_v) of the incoming beam: 0 for a tube, about 0.98 for a synchrotron.
            Horizontal is along the rows of the image, as in pyFAI.
        """
        x, y, z = self._axes("last row")
        square = x**2 + y**2 + z**2
        along, upright = 1 - x**2 / square, 1 - y**2 / square
        factor = 0.5 * ((1 + horizontal) * along + (1 - horizontal) * upright)
        return np.asarray(factor, dtype=float)

    def replace(self, **changes: Any) -> Geometry:
        """Return the geometry with some fields changed."""
        return dataclasses.replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Return plain data with units in the names."""
        return {
            "shape": list(self.shape), "pixel_um": list(self.pixel), "distance_mm": self.distance,
            "foot_um": list(self.foot), "wavelength_angstrom": self.wavelength,
            "incidence_deg": self.incidence, "tilt_deg": self.tilt,
            "rotations_rad": list(self.rotations), "up": self.up, "detector": self.detector,
        }  # fmt: skip


def farthest_edge(shape: tuple[int, int], center: tuple[float, float]) -> str:
    """Return the edge of an image that is farthest from the direct beam (in parts of its size).

    Examples
    --------
    >>> farthest_edge((100, 200), (90.0, 100.0)), farthest_edge((100, 200), (50.0, 10.0))
    ('first row', 'last column')
    """
    row, column = center[0] / shape[0], center[1] / shape[1]
    room = {
        "first row": row, "last row": 1 - row, "first column": column, "last column": 1 - column
    }  # fmt: skip
    return max(room, key=lambda edge: room[edge])


def _rotation(angles: tuple[float, float, float]) -> Floats:
    """Return the detector's rotation in the frame (rows, columns, beam): 1 and 2 left-handed."""
    (c1, c2, c3), (s1, s2, s3) = np.cos(angles), np.sin(angles)
    first = np.array([[1, 0, 0], [0, c1, s1], [0, -s1, c1]])
    second = np.array([[c2, 0, -s2], [0, 1, 0], [s2, 0, c2]])
    third = np.array([[c3, -s3, 0], [s3, c3, 0], [0, 0, 1]])
    return np.asarray(third @ second @ first, dtype=float)
