"""The diffractometer as the probe sees it: lines, range, optics, widths."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, nearest

ENGINES = ("auto", "histogram", "exact", "lattice")


@dataclass(frozen=True)
class Line:
    """One spectral line: wavelength in Å and weight (weights of a source add up to one)."""

    wavelength: float
    weight: float
    name: str = ""


@functools.cache
def _table() -> dict[str, Any]:
    import yaml

    file = resources.files("heterodot.catalog").joinpath("data/scattering/wavelengths.yaml")
    table: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return table


def wavelength_names() -> list[str]:
    """Return the names that `lines_of` knows (``CuKa`` is the doublet, ``CuKa1`` one line)."""
    table = _table()
    return [
        *(f"{element}Ka" for element in table["mixtures"]["elements"]),
        *(record["id"] for record in table["lines"]),
    ]


def lines_of(wavelength: str | float) -> tuple[Line, ...]:
    """Return the spectral lines of a source.

    Parameters
    ----------
    wavelength : str or float
        ``"CuKa"`` (both lines of the doublet, 2:1), ``"CuKa1"``, ``"MoKa"``..., or a wavelength
        in Å (a synchrotron, or an effective one).

    Raises
    ------
    InputError
        An unknown name, or a number outside 0.05 to 5 Å.

    Examples
    --------
    >>> [(line.wavelength, round(line.weight, 3)) for line in lines_of("CuKa")]
    [(1.5405929, 0.667), (1.5444274, 0.333)]
    """
    number: float | None = None
    if not isinstance(wavelength, str):
        number = float(wavelength)
    else:
        try:
            number = float(wavelength)
        except ValueError:
            number = None
    if number is not None:
        if not (math.isfinite(number) and 0.05 <= number <= 5.0):
            raise InputError(
                f"{wavelength} is not an X-ray wavelength in Å",
                place="wavelength",
                remedy="give 0.05 to 5 Å, or a name such as CuKa",
            )
        return (Line(number, 1.0, f"{number:g} Å"),)
    name = str(wavelength).strip()
    table = _table()
    known = {record["id"].casefold(): record for record in table["lines"]}
    plain = (
        name.casefold().replace("α", "a").replace("alpha", "a").replace("-", "").replace(" ", "")
    )
    for element in table["mixtures"]["elements"]:
        if plain in (f"{element}ka".casefold(), f"{element}ka12".casefold(), element.casefold()):
            ratio = float(table["mixtures"]["ratio"])
            first, second = known[f"{element}ka1".casefold()], known[f"{element}ka2".casefold()]
            return (
                Line(float(first["wavelength"]), 1 / (1 + ratio), first["id"]),
                Line(float(second["wavelength"]), ratio / (1 + ratio), second["id"]),
            )
    if plain in known:
        return (Line(float(known[plain]["wavelength"]), 1.0, known[plain]["id"]),)
    close = nearest(name, wavelength_names(), n=2)
    raise InputError(
        f"'{name}' is not a known X-ray line",
        place="wavelength",
        remedy=f"give {' or '.join(close) if close else 'CuKa'}, or a number in Å",
    )


@dataclass(frozen=True)
class XrdSetup:
    """How a powder pattern is recorded.

    Attributes
    ----------
    wavelength : str or float
        ``"CuKa"`` (doublet), ``"CuKa1"``, ``"MoKa"``... or Å.
    range : (low, high)
        2theta in degrees.
    points : int
        Points of the pattern, equally spaced in 2theta.
    b_iso : float or mapping
        Isotropic displacement parameter B = 8 pi² <u²> in Å², one for all or one per element
        (an element that is not listed takes the entry ``"default"``, else 1.0).
    dispersion : bool
        Add f' and f'' at the wavelength.
    polarization : str
        ``"unpolarized"`` (tube), or ``"synchrotron"`` (horizontal beam, vertical scattering
        plane: no polarization factor).
    monochromator : float or None
        2theta of a crystal monochromator in the beam, degrees (26.6 for graphite and Cu K-alpha).
    caglioti : (U, V, W)
        Instrument width, FWHM² = U tan²theta + V tan theta + W, degrees².
    instrument_eta : float
        Lorentzian share of the instrument's profile, 0 to 1.
    background : tuple of float
        Chebyshev coefficients over the range, as fractions of the pattern's maximum.
    silica : float
        Height of the hump of amorphous silica as a fraction of the pattern's maximum.
    displacement : float
        Shift of a reflection at small angles by a sample off the goniometer's axis, degrees: 2theta
        is seen larger by displacement cos(theta). A height of s above the axis of a goniometer of
        radius R gives 2 s/R radians (0.1 mm at 250 mm: 0.046 degrees).
    mu_t : float or None
        Absorption times thickness of a flat sample; None for one that nothing passes.
    mounting : str
        ``"reflection"`` (Bragg-Brentano) or ``"transmission"`` (flat sample, normal halving the
        angle), for ``mu_t``.
    engine : str
        ``"auto"``, ``"histogram"`` (1e-4 of the maximum), ``"exact"`` (1e-6), ``"lattice"``
        (undistorted crystallites only; see `heterodot.probes.xrd.lattice`).

    Examples
    --------
    >>> XrdSetup(wavelength="CuKa", range=(10, 60)).two_theta[[0, -1]]
    array([10., 60.])
    """

    wavelength: str | float = "CuKa"
    range: tuple[float, float] = (10.0, 60.0)
    points: int = 2500
    b_iso: float | Mapping[str, float] = 1.0
    dispersion: bool = True
    polarization: str = "unpolarized"
    monochromator: float | None = None
    caglioti: tuple[float, float, float] = (0.0, 0.0, 0.0)
    instrument_eta: float = 0.5
    background: tuple[float, ...] = field(default=())
    silica: float = 0.0
    displacement: float = 0.0
    mu_t: float | None = None
    mounting: str = "reflection"
    engine: str = "auto"

    def __post_init__(self) -> None:
        """Refuse what is no diffractometer."""
        lines_of(self.wavelength)
        low, high = (float(x) for x in self.range)
        if not (0 < low < high < 180):
            raise InputError(
                f"{low:g} to {high:g} is not a range of 2theta in degrees",
                place="range",
                remedy="give low:high with 0 < low < high < 180, e.g. 10:60",
            )
        if not 2 <= int(self.points) <= 1_000_000:
            raise InputError(f"{self.points} points", place="points", remedy="give 2 to 1000000")
        if self.engine not in ENGINES:
            raise InputError(
                f"'{self.engine}' is not an engine",
                place="engine",
                remedy=f"choose among {', '.join(ENGINES)}",
            )
        if self.polarization not in ("unpolarized", "synchrotron"):
            raise InputError(
                f"'{self.polarization}' is not a polarization",
                place="polarization",
                remedy="choose unpolarized or synchrotron",
            )
        values = self.b_iso.values() if isinstance(self.b_iso, Mapping) else [self.b_iso]
        if any(not math.isfinite(b) or b < 0 or b > 50 for b in values):
            raise InputError("B must lie in 0 to 50 Å²", place="b_iso", remedy="typical is 1 Å²")
        if not 0 <= self.instrument_eta <= 1:
            raise InputError("the Lorentzian share must lie in 0 to 1", place="instrument_eta")
        if not abs(self.displacement) <= 2:
            raise InputError(
                f"{self.displacement} degrees is no displacement of a sample",
                place="displacement",
                remedy="give degrees, e.g. 0.05",
            )
        if self.mu_t is not None and not 1e-4 <= self.mu_t <= 100:
            raise InputError(
                f"absorption times thickness of {self.mu_t} is out of range",
                place="mu_t",
                remedy="give a pure number, 0.01 for a thin film, 1 where 1/e passes",
            )
        if self.mounting not in ("reflection", "transmission"):
            raise InputError(
                f"'{self.mounting}' is no mounting",
                place="mounting",
                remedy="choose reflection or transmission",
            )
        if self.silica < 0:
            raise InputError("the hump cannot be negative", place="silica")
        if (self.width_squared(np.array([low, high, (low + high) / 2])) < 0).any():
            raise InputError("the instrument width is imaginary in the range", place="caglioti")
        object.__setattr__(self, "range", (low, high))
        object.__setattr__(self, "points", int(self.points))

    @property
    def lines(self) -> tuple[Line, ...]:
        """Spectral lines of the source."""
        return lines_of(self.wavelength)

    @property
    def mean_wavelength(self) -> float:
        """Weighted mean wavelength, Å (1.5419 for the Cu doublet)."""
        return sum(line.wavelength * line.weight for line in self.lines)

    @property
    def two_theta(self) -> NDArray[np.float64]:
        """2theta of the points, degrees, (points,)."""
        return np.linspace(*self.range, self.points)

    def b_of(self, symbol: str) -> float:
        """Displacement parameter B of an element, Å²."""
        if isinstance(self.b_iso, Mapping):
            return float(self.b_iso.get(symbol, self.b_iso.get("default", 1.0)))
        return float(self.b_iso)

    def width_squared(self, two_theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """FWHM² of the instrument at ``two_theta`` (degrees), degrees²."""
        tangent = np.tan(np.radians(two_theta) / 2)
        u, v, w = self.caglioti
        return np.asarray(u * tangent**2 + v * tangent + w, dtype=float)

    def polarization_factor(self, two_theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Polarization factor at ``two_theta`` (degrees); one for a synchrotron.

        References
        ----------
        Azaroff, Acta Cryst. 8, 701 (1955), for the monochromator.
        """
        if self.polarization == "synchrotron":
            return np.ones_like(two_theta)
        cosine = np.cos(np.radians(two_theta)) ** 2
        k = 1.0 if self.monochromator is None else math.cos(math.radians(self.monochromator)) ** 2
        return np.asarray((1 + k * cosine) / (1 + k), dtype=float)

    def absorption_factor(
        self, two_theta: NDArray[np.float64], mu_t: float | None = None
    ) -> NDArray[np.float64]:
        """Return how much of a thick sample's intensity a thin one gives (``mu_t`` or its own).

        Reflection: 1 - exp(-2 mu t/sin theta). Transmission: (mu t/cos theta) exp(-mu t/cos theta)
        at its own scale (a sample that nothing passes has none).

        References
        ----------
        International Tables for Crystallography C, 6.3.3 (2006).

        Examples
        --------
        A film of mu t = 0.01 scatters nearly as 1/sin(theta).

        >>> thin = XrdSetup(mu_t=0.01).absorption_factor(np.array([20.0, 40.0]))
        >>> round(float(thin[0] / thin[1]), 2)
        1.92
        """
        value = self.mu_t if mu_t is None else mu_t
        if value is None:
            return np.ones_like(two_theta)
        theta = np.radians(two_theta) / 2
        if self.mounting == "transmission":
            path = value / np.cos(theta)
            return np.asarray(path * np.exp(-path), dtype=float)
        return np.asarray(-np.expm1(-2 * value / np.sin(theta)), dtype=float)

    def true_angle(
        self, two_theta: NDArray[np.float64], displacement: float | None = None
    ) -> NDArray[np.float64]:
        """Return 2theta (degrees) for what a displaced sample shows at ``two_theta``."""
        shift = self.displacement if displacement is None else displacement
        if shift == 0:
            return two_theta
        return np.asarray(two_theta - shift * np.cos(np.radians(two_theta) / 2), dtype=float)

    def to_json(self) -> dict[str, Any]:
        """Return the set-up as plain data."""
        return {
            "wavelength": self.wavelength,
            "lines": [{"wavelength": x.wavelength, "weight": x.weight} for x in self.lines],
            "range": list(self.range),
            "points": self.points,
            "b_iso": dict(self.b_iso) if isinstance(self.b_iso, Mapping) else self.b_iso,
            "dispersion": self.dispersion,
            "polarization": self.polarization,
            "monochromator": self.monochromator,
            "caglioti": list(self.caglioti),
            "instrument_eta": self.instrument_eta,
            "background": list(self.background),
            "silica": self.silica,
            "displacement": self.displacement,
            "mu_t": self.mu_t,
            "mounting": self.mounting,
            "engine": self.engine,
        }


def momentum(two_theta: NDArray[np.float64], wavelength: float) -> NDArray[np.float64]:
    """Return q = 4 pi sin(theta)/lambda in 1/Å for 2theta in degrees.

    Examples
    --------
    >>> round(float(momentum(np.array([30.0]), 1.5406)[0]), 4)
    2.1111
    """
    return np.asarray(4 * np.pi * np.sin(np.radians(two_theta) / 2) / wavelength, dtype=float)


def angle(d: NDArray[np.float64] | float, wavelength: float) -> NDArray[np.float64]:
    """Return 2theta in degrees of interplanar distances d (Å); NaN where there is no reflection."""
    with np.errstate(invalid="ignore"):
        return np.asarray(2 * np.degrees(np.arcsin(wavelength / (2 * np.asarray(d)))), dtype=float)
