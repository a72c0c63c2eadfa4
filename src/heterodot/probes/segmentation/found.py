"""What was found in a field: particles, their domains, their statistics."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.units import Value


@dataclass(frozen=True)
class DomainSize:
    """One domain of a particle in projection.

    Attributes
    ----------
    name : ``"first"`` (the larger) or ``"second"``
    area : float
        nm².
    diameter : float
        Of the disc of equal area, nm.
    level : float
        Mean contrast against the support, relative to the particle's first domain.
    """

    name: str
    area: float
    diameter: float
    level: float


@dataclass(frozen=True)
class FoundParticle:
    """One particle of a field.

    Attributes
    ----------
    number : int
        Its label in the field, from 1.
    center : tuple of float
        x to the right and y downwards from the upper left corner, nm.
    size : float or None
        Edge length (root of the product of both edges; the longer one of platelets) or diameter of
        the disc of equal area, nm; None where too little of the outline is free. Of the first
        domain alone where a second one stands out of its outline.
    error : float or None
        Standard error of the size from the scatter of the outline, nm (not of the scale).
    aspect : float or None
        Longer by shorter side.
    touching, at_border : bool
        Its outline meets another particle's, or the frame (such are not sized).
    domains : tuple of DomainSize
        One or two; empty where it was not examined (touching or at the border).
    sides : tuple of float or None
        Longer and shorter edge of cubes and platelets, nm.
    """

    number: int
    center: tuple[float, float]
    size: float | None
    error: float | None
    aspect: float | None
    touching: bool
    at_border: bool
    domains: tuple[DomainSize, ...]
    sides: tuple[float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        size = None if self.size is None else Value(self.size, "nm", self.error).to_json()
        return {
            "number": self.number,
            "center_nm": list(self.center),
            "size": size,
            "aspect": self.aspect,
            "sides_nm": None if self.sides is None else list(self.sides),
            "touching": self.touching,
            "at_border": self.at_border,
            "domains": [vars(d) for d in self.domains],
        }


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The particles of a field and how they were found.

    Attributes
    ----------
    labels : (ny, nx) int32 array
        0 for the support, else the particle's number.
    second : (ny, nx) bool array
        Pixels of second domains.
    particles : tuple of FoundParticle
    pixel_size : float
        nm.
    shape : ``"round"``, ``"cube"`` or ``"platelet"``
        What the sizes are: diameters, edge lengths, or longer edges of platelets on edge.
    thickness : ``"round"`` or ``"uniform"``
        Contrast profile: chord of a sphere, or steps at the outline.
    polarity : ``"bright"`` or ``"dark"``
    smoothing : float
        Standard deviation of the Gaussian filter, pixels.
    signal_to_noise : float
        Contrast of the particles by the noise of one pixel.
    warnings : tuple of str
    """

    labels: NDArray[np.int32]
    second: NDArray[np.bool_]
    particles: tuple[FoundParticle, ...]
    pixel_size: float
    shape: str
    thickness: str
    polarity: str
    smoothing: float
    signal_to_noise: float
    warnings: tuple[str, ...]

    @property
    def size_name(self) -> str:
        """Return ``"edge length"``, ``"longer edge"`` or ``"diameter"``."""
        return {"cube": "edge length", "platelet": "longer edge"}.get(self.shape, "diameter")

    def sizes(self) -> NDArray[np.float64]:
        """Return the sizes of the sized particles, (n,), nm."""
        return np.array([p.size for p in self.particles if p.size is not None])

    def widths(self) -> NDArray[np.float64]:
        """Return the shorter edges of the sized cubes or platelets, (n,), nm."""
        return np.array([p.sides[1] for p in self.particles if p.sides is not None])

    def mean(self) -> Value:
        """Return the mean size with its standard error, nm."""
        return _mean(self._some(1))

    def spread(self) -> Value:
        """Return the standard deviation of the sizes with its standard error, nm."""
        sizes = self._some(2)
        width = float(sizes.std(ddof=1))
        return Value(width, "nm", width / math.sqrt(2 * (len(sizes) - 1)))

    def _some(self, least: int) -> NDArray[np.float64]:
        sizes = self.sizes()
        if len(sizes) < least:
            raise NotFoundError(
                f"{len(sizes)} particles could be sized", remedy="give a field with more of them"
            )
        return sizes

    def fraction_without_second(self) -> Value:
        """Return the fraction of examined particles without a second domain.

        The error is half the width of Wilson's 68 % interval, which stays finite at 0 and 1.
        """
        examined = [p for p in self.particles if p.domains]
        if not examined:
            raise NotFoundError("no particle stands free, so none could be examined for domains")
        return binomial(sum(len(p.domains) == 1 for p in examined), len(examined))

    def domain_sizes(self, name: str) -> NDArray[np.float64]:
        """Return diameters of equal area of the ``first`` or ``second`` domains, (n,), nm."""
        return np.array(
            [d.diameter for p in self.particles if len(p.domains) == 2 for d in p.domains
             if d.name == name]
        )  # fmt: skip

    def histogram(
        self, bins: int | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
        """Return bin edges (n + 1,), nm, counts (n,) and their errors (n,) (roots of counts).

        The rule of Freedman and Diaconis gives the number of bins if none is given.
        """
        sizes = self._some(1)
        rule = bins if bins is not None else "fd"
        edges = np.histogram_bin_edges(sizes, bins=rule if len(sizes) > 3 or bins else 1)
        counts, edges = np.histogram(sizes, bins=edges)
        return edges, counts.astype(np.int64), np.sqrt(counts)

    def without(self, numbers: Iterable[int]) -> Segmentation:
        """Return the field without particles that a reviewer took out.

        Raises
        ------
        InputError
            A number that is not in the field.
        """
        out = set(numbers)
        unknown = out - {p.number for p in self.particles}
        if unknown:
            raise InputError(f"there is no particle {min(unknown)}", place="drop")
        gone = np.isin(self.labels, list(out))
        return replace(
            self,
            labels=np.where(gone, 0, self.labels).astype(np.int32),
            second=self.second & ~gone,
            particles=tuple(p for p in self.particles if p.number not in out),
        )

    def to_json(self) -> dict[str, Any]:
        """Return all but the maps as plain data."""
        sizes = self.sizes()
        examined = sum(bool(p.domains) for p in self.particles)
        return {
            "size_is": self.size_name,
            "counted": len(self.particles),
            "sized": len(sizes),
            "mean": self.mean().to_json() if len(sizes) else None,
            "standard_deviation": self.spread().to_json() if len(sizes) > 1 else None,
            "mean_shorter_edge": _mean(self.widths()).to_json()
            if self.shape == "platelet" and len(sizes)
            else None,
            "counting_error": math.sqrt(len(self.particles)),
            "examined_for_domains": examined,
            "fraction_without_second_domain": (
                self.fraction_without_second().to_json() if examined else None
            ),
            "pixel_size": {"value": self.pixel_size, "error": None, "unit": "nm"},
            "thickness": self.thickness,
            "polarity": self.polarity,
            "smoothing_pixels": self.smoothing,
            "signal_to_noise": self.signal_to_noise,
            "particles": [p.to_json() for p in self.particles],
            "warnings": list(self.warnings),
        }


def _mean(sizes: NDArray[np.float64]) -> Value:
    if len(sizes) < 2:
        return Value(float(sizes.mean()), "nm", None, "one particle")
    return Value(float(sizes.mean()), "nm", float(sizes.std(ddof=1) / math.sqrt(len(sizes))))


def binomial(count: int, total: int) -> Value:
    """Return a counted fraction with half of Wilson's 68 % interval as its error.

    Examples
    --------
    >>> f = binomial(0, 50)
    >>> f.value, round(f.error, 4)
    (0.0, 0.0098)
    """
    p, n = count / total, total
    half = math.sqrt(p * (1 - p) / n + 1 / (4 * n * n)) / (1 + 1 / n)
    return Value(p, "", half)
