"""Nanocrystals in an image: found against an uneven background, split, sized, counted by domain.

Touching particles are split by the watershed of the distance to the outline (Beucher and
Lantuejoul, 1979); outlines lie where a blurred edge of the particle's own height would lie.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.units import Value

if TYPE_CHECKING:
    Image = NDArray[np.float64]

BACKGROUND_ORDER = 4  # of the polynomial through the support film
GROUPS = 160  # blocks along the longer side on which the background is fitted
MAX_PIXELS = 2**28


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
        Edge length (root of the product of both edges) or diameter of the disc of equal area, nm;
        None where too little of the outline is free.
    error : float or None
        Standard error of the size from the scatter of the outline, nm (not of the scale).
    aspect : float or None
        Longer by shorter side.
    touching, at_border : bool
        Its outline meets another particle's, or the frame (such are not sized).
    domains : tuple of DomainSize
        One or two; empty where it was not examined (touching or at the border).
    """

    number: int
    center: tuple[float, float]
    size: float | None
    error: float | None
    aspect: float | None
    touching: bool
    at_border: bool
    domains: tuple[DomainSize, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        size = None if self.size is None else Value(self.size, "nm", self.error).to_json()
        return {
            "number": self.number,
            "center_nm": list(self.center),
            "size": size,
            "aspect": self.aspect,
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
    shape : ``"round"`` or ``"cube"``
        What the sizes are: diameters or edge lengths.
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
        """Return ``"edge length"`` or ``"diameter"``."""
        return "edge length" if self.shape == "cube" else "diameter"

    def sizes(self) -> NDArray[np.float64]:
        """Return the sizes of the sized particles, (n,), nm."""
        return np.array([p.size for p in self.particles if p.size is not None])

    def mean(self) -> Value:
        """Return the mean size with its standard error, nm."""
        sizes = self._some(1)
        if len(sizes) < 2:
            return Value(float(sizes.mean()), "nm", None, "one particle")
        return Value(float(sizes.mean()), "nm", float(sizes.std(ddof=1) / math.sqrt(len(sizes))))

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


def segment(
    image: NDArray[Any],
    pixel_size: float,
    *,
    polarity: str = "auto",
    shape: str = "auto",
    thickness: str = "auto",
    smoothing: float | None = None,
    blur: float = 0.7,
    split: float = 0.12,
    smallest: float | None = None,
    domain_contrast: float = 0.15,
) -> Segmentation:
    """Return the particles of a field.

    Parameters
    ----------
    image : (ny, nx) array
        Intensities in any linear scale.
    pixel_size : float
        nm.
    polarity : ``"auto"``, ``"bright"`` (dark field) or ``"dark"`` (bright field)
    shape : ``"auto"``, ``"round"`` or ``"cube"``
        Which size is asked for; auto asks whether most outlines have four corners.
    thickness : ``"auto"``, ``"round"`` or ``"uniform"``
        Contrast across a particle: the chord of a sphere, or flat up to its outline.
    smoothing : float, optional
        Gaussian filter, pixels; by default 1 to 3 by the noise.
    blur : float
        Standard deviation of the microscope's blur and the pixel together, pixels. Only matters
        for round thickness, and there by its root.
    split : float
        Necks narrower than ``1 - split`` of the smaller neighbor's width part particles.
    smallest : float, optional
        Least diameter, nm; by default six pixels.
    domain_contrast : float
        Least step of contrast, relative to the particle's, that makes a second domain.

    Returns
    -------
    Segmentation

    Raises
    ------
    InputError
        Not an image, no scale, or values that are not finite.
    NotFoundError
        Nothing that stands out of the noise.

    Notes
    -----
    Sizes are good to about 2 % for particles wider than 20 pixels whose contrast is three times
    the noise of a pixel. Two cubes that lie flush along whole edges cannot be parted by their
    outline; they show in the overlay and as warnings of aspect. Particles at the frame are not
    sized, which takes out slightly more large ones than small.

    Examples
    --------
    >>> y, x = np.mgrid[:120, :160]
    >>> field = 100.0 + 50 * (np.hypot(x - 50, y - 60) < 20) + 50 * (np.hypot(x - 110, y - 60) < 20)
    >>> found = segment(field, 0.5, thickness="uniform")
    >>> len(found.particles), found.shape, round(found.mean().value)
    (2, 'round', 20)
    """
    from heterodot.probes import segmentation_outline as outline

    for name, given, choices in (
        ("polarity", polarity, ("auto", "bright", "dark")),
        ("shape", shape, ("auto", "round", "cube")),
        ("thickness", thickness, ("auto", "round", "uniform")),
    ):
        if given not in choices:
            raise InputError(f"'{given}' is not one of {', '.join(choices)}", place=name)
    values = _checked(image, pixel_size)
    flat, sign, warnings = flatten(values, polarity)
    least = max(6.0, (smallest or 0.0) / pixel_size)
    noise = pixel_noise(flat)
    level = _level(flat, noise)
    sigma = smoothing if smoothing is not None else _smoothing(level, noise)
    field = outline.Field.prepared(flat, sigma, math.hypot(sigma, blur), noise, level)
    labels = outline.split_field(field, split, least)
    if labels.max() == 0:
        raise NotFoundError(
            "no particle stands out of the noise",
            remedy="check the polarity, or give a smaller least size",
        )
    kind = outline.thickness_of(field, labels) if thickness == "auto" else thickness
    labels, excess = outline.final_outlines(field, labels, kind)
    pieces = outline.pieces(labels, excess)
    form = outline.shape_of(pieces) if shape == "auto" else shape
    second = np.zeros(labels.shape, dtype=bool)
    particles = tuple(
        outline.measured(piece, field, form, kind, pixel_size, domain_contrast, second)
        for piece in pieces
    )
    warnings += _remarks(particles, level / noise if noise > 0 else math.inf)
    return Segmentation(
        labels, second, particles, pixel_size, form, kind, "bright" if sign > 0 else "dark",
        float(sigma), float(level / noise) if noise > 0 else math.inf, tuple(warnings),
    )  # fmt: skip


def _checked(image: NDArray[Any], pixel_size: float) -> Image:
    if not isinstance(pixel_size, int | float) or not (
        math.isfinite(pixel_size) and pixel_size > 0
    ):
        raise InputError("the image has no scale", remedy="give the size of a pixel in nm")
    array = np.asarray(image)
    if array.ndim != 2 or min(array.shape) < 32 or array.size > MAX_PIXELS:
        raise InputError(
            f"an array of shape {array.shape} is not a field of particles",
            remedy="give one gray image of at least 32 by 32 pixels",
        )
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        raise InputError("the image has values that are not finite", remedy="crop or mend it")
    if np.ptp(values) == 0:
        raise NotFoundError("the image is of one gray only")
    return values


def flatten(image: Image, polarity: str = "auto") -> tuple[Image, int, list[str]]:
    """Return contrast against the support, its sign, and remarks.

    A polynomial in x and y is fitted to block means, again and again without the blocks that stand
    out on the particles' side.

    Parameters
    ----------
    image : (ny, nx) array
    polarity : ``"auto"``, ``"bright"`` or ``"dark"``

    Returns
    -------
    (ny, nx) array
        Support at zero, particles positive.
    int
        1 for bright particles, -1 for dark.
    list of str
    """
    step = max(1, math.ceil(max(image.shape) / GROUPS))
    ny, nx = (n // step * step for n in image.shape)
    blocks = image[:ny, :nx].reshape(ny // step, step, nx // step, step).mean((1, 3))
    y = (np.arange(blocks.shape[0]) * step + (step - 1) / 2) / image.shape[0] * 2 - 1
    x = (np.arange(blocks.shape[1]) * step + (step - 1) / 2) / image.shape[1] * 2 - 1
    powers = [
        (i, j)
        for i in range(BACKGROUND_ORDER + 1)
        for j in range(BACKGROUND_ORDER + 1 - i)
    ]  # fmt: skip
    terms = np.stack([np.outer(y**i, x**j).ravel() for i, j in powers], 1)
    data = blocks.ravel()
    sides = {"bright": (1,), "dark": (-1,), "auto": (1, -1)}[polarity]
    fits = {s: _one_sided(terms, s * data) for s in sides}
    # the support is the side on which what is left is narrow and fills most of the blocks
    sign = min(fits, key=lambda s: fits[s][1])
    warnings = []
    if len(fits) == 2 and min(f[1] for f in fits.values()) > 0.8 * max(f[1] for f in fits.values()):
        warnings.append("bright or dark particles is a close call: check the overlay, or say which")
    coefficients = fits[sign][0]
    ys = np.arange(image.shape[0]) / image.shape[0] * 2 - 1
    xs = np.arange(image.shape[1]) / image.shape[1] * 2 - 1
    table = np.zeros((BACKGROUND_ORDER + 1, BACKGROUND_ORDER + 1))
    for (i, j), c in zip(powers, coefficients, strict=True):
        table[i, j] = c
    support = np.polynomial.polynomial.polygrid2d(ys, xs, table)
    return sign * image - support, sign, warnings


def _one_sided(terms: Image, data: Image) -> tuple[Image, float]:
    """Return coefficients of the support below the data, and how much stands above it.

    Asymmetric least squares finds the lower envelope (Eilers and Boelens, 2005); a fit through
    all blocks within its noise follows. The second number is the median of the rest by its top:
    small where most of the field is support.
    """
    weights = np.ones(len(data))
    found: Image = np.zeros(terms.shape[1])
    for _ in range(20):
        root = np.sqrt(weights)[:, None]
        found = np.asarray(np.linalg.lstsq(terms * root, data * root[:, 0], rcond=None)[0], float)
        weights = np.where(data > terms @ found, 0.02, 0.98)
    for _ in range(20):
        rest = data - terms @ found
        # the mirror of what lies below the envelope is support too
        width = math.sqrt(float(np.mean(np.minimum(rest, 0) ** 2) / max(np.mean(rest < 0), 1e-9)))
        keep = rest < 2.5 * width + 1e-9 * float(np.ptp(data))
        if keep.sum() < 3 * terms.shape[1]:
            break
        found = np.asarray(np.linalg.lstsq(terms[keep], data[keep], rcond=None)[0], float)
    rest = data - terms @ found
    top = float(np.quantile(rest, 0.98))
    return np.asarray(found), float(np.median(np.abs(rest))) / top if top > 0 else math.inf


def pixel_noise(image: Image) -> float:
    """Return the noise of one pixel, by the median of second differences (Immerkaer, 1996)."""
    a = image
    second = (
        a[:-2, :-2] - 2 * a[:-2, 1:-1] + a[:-2, 2:]
        - 2 * (a[1:-1, :-2] - 2 * a[1:-1, 1:-1] + a[1:-1, 2:])
        + a[2:, :-2] - 2 * a[2:, 1:-1] + a[2:, 2:]
    )  # fmt: skip
    return float(np.median(np.abs(second))) / 0.6745 / 6.0


def otsu(values: NDArray[np.float64], bins: int = 256) -> float:
    """Return the threshold that parts values into two classes of least variance (Otsu, 1979)."""
    counts, edges = np.histogram(values, bins=bins)
    middle = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts).astype(float)
    above = below[-1] - below
    first = np.cumsum(counts * middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (first / below - (first[-1] - first) / above) ** 2
    best = np.flatnonzero(between == np.nanmax(between))
    return float(edges[1 + int(best.mean())])


def _level(flat: Image, noise: float) -> float:
    """Return the usual contrast of the particles."""
    from scipy import ndimage

    rough = ndimage.gaussian_filter(flat, 1.5)
    threshold = otsu(rough[::2, ::2].ravel())
    high = rough[rough > threshold]
    level = float(np.median(high)) if len(high) else 0.0
    if level <= 1.5 * noise / (2 * math.sqrt(math.pi) * 1.5) or level <= 0:
        raise NotFoundError(
            "no particle stands out of the noise", remedy="check the polarity or average frames"
        )
    return level


def _smoothing(level: float, noise: float) -> float:
    """Return the filter that brings noise to a tenth of the contrast, 1 to 3 pixels."""
    wanted = 10 * noise / (2 * math.sqrt(math.pi) * level)
    return float(np.clip(wanted, 1.0, 3.0))


def _remarks(particles: Iterable[FoundParticle], signal_to_noise: float) -> list[str]:
    particles = list(particles)
    said = []
    if signal_to_noise < 1.0:
        said.append(f"contrast is only {signal_to_noise:.1f} of the noise: sizes may be off")
    rest = [p for p in particles if p.size is None]
    border = sum(p.at_border for p in rest)
    if border:
        said.append(f"{border} particles at the frame were counted but not sized")
    if len(rest) > border:
        said.append(f"{len(rest) - border} crowded particles were counted but not sized")
    long = [p.number for p in particles if p.aspect is not None and p.aspect > 1.7]
    if long:
        numbers = ", ".join(map(str, long[:8]))
        said.append(f"long outlines, perhaps two particles side by side: {numbers}")
    return said
