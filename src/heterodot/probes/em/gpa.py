"""Strain and rotation maps by geometric phase analysis.

Hÿtch, Snoeck, Kilaas, Ultramicroscopy 74, 131 (1998). The phase gradient is taken from the complex
image itself, so nothing is unwrapped. Maps come on a grid of a quarter of what they resolve, not
on the image's pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.measurement import Measurement
from heterodot.probes.em.bragg import Spectrum, beside, bragg, spectrum
from heterodot.probes.em.spots import Region, Spot, axes_of, find_spots, pixels
from heterodot.units import Value

Map = NDArray[np.float32]
Maps = tuple[Map, Map, Map, Map]
TRUST = 0.15  # amplitude of both reflections, relative to the reference region
FAR = 0.04  # strain beyond which another lattice, not a strained one, is the usual cause


@dataclass(frozen=True, eq=False)
class Strain:
    """Maps of strain and rotation against a reference lattice.

    Attributes
    ----------
    exx, eyy, exy, rotation : (ny, nx) array
        Strain (pure numbers) along the image axes and rotation (degrees, positive from +x to +y).
    amplitude : (ny, nx) array
        The weaker of both reflections, relative to the reference region.
    trusted : (ny, nx) bool array
        Where the amplitude is enough to read a phase.
    g : (2, 2) array
        Reflections of the reference lattice as rows (x, y), 1/Å, refined in the region.
    error : float
        Standard deviation of the strain within the reference region.
    resolution : float
        Length over which the maps average (full width), Å.
    region : (x0, x1, y0, y1)
        The reference region, Å.
    found : bool
        The region was found rather than given.
    warnings : tuple of str
    y, x : arrays
        Axes of the maps, Å (coarser than the image's).
    """

    exx: NDArray[np.float32]
    eyy: NDArray[np.float32]
    exy: NDArray[np.float32]
    rotation: NDArray[np.float32]
    amplitude: NDArray[np.float32]
    trusted: NDArray[np.bool_]
    g: NDArray[np.float64]
    error: float
    resolution: float
    region: Region
    found: bool
    warnings: tuple[str, ...]
    y: NDArray[np.float64]
    x: NDArray[np.float64]

    def mean(self, region: Region) -> dict[str, Value]:
        """Return median strain and rotation of a region with the spread as error.

        Raises
        ------
        NotFoundError
            No trusted pixel there.
        """
        here = self.trusted & _within(self.y, self.x, region)
        if not here.any():
            raise NotFoundError("the lattice is not seen in this region", place="region")
        units = {"exx": "1", "eyy": "1", "exy": "1", "rotation": "deg"}
        return {
            key: Value(float(np.median(m)), unit, max(_spread(m), 1e-6))
            for key, unit in units.items()
            for m in [getattr(self, key)[here]]
        }

    def to_measurement(self) -> Measurement:
        """Return the four maps and the amplitude stacked, untrusted pixels NaN."""
        import xarray as xr

        names = ["exx", "eyy", "exy", "rotation", "amplitude"]
        maps = [np.where(self.trusted, getattr(self, n), np.nan) for n in names[:4]]
        data = xr.DataArray(
            np.stack([*maps, self.amplitude]),
            dims=("map", "y", "x"),
            coords={
                "map": ("map", names, {"units": ""}),
                "y": ("y", self.y, {"units": "angstrom"}),
                "x": ("x", self.x, {"units": "angstrom"}),
            },
            name="strain",
            attrs={"units": "", "rotation_units": "deg"},
        )
        return Measurement(data, "strain", "image", metadata=self.to_json(), notes=self.warnings)

    def to_json(self) -> dict[str, Any]:
        """Return everything but the maps as plain data."""
        return {
            "reflections": self.g.tolist(),
            "strain_error": self.error,
            "resolution": {"value": self.resolution, "error": None, "unit": "angstrom",
                           "error_reason": "set by the mask"},
            "reference_region": list(self.region),
            "reference_found": self.found,
            "trusted_fraction": float(self.trusted.mean()),
            "warnings": list(self.warnings),
        }  # fmt: skip


def geometric_phase(
    image: Measurement,
    g: ArrayLike | None = None,
    reference: Region | NDArray[np.bool_] | None = None,
    *,
    width: float | None = None,
) -> Strain:
    """Return strain and rotation maps of an image.

    Parameters
    ----------
    image : Measurement
        Kind ``"image"``, axes with a scale.
    g : (2, 2) array, optional
        Two reflections (rows gx, gy in 1/Å); the two strongest spots of the reference region that
        are not parallel if not given.
    reference : (x0, x1, y0, y1) or (ny, nx) bool array, optional
        Where the strain is zero by definition: a box in Å, or pixels of the image (a grain's
        mask). If not given, the box in which both reflections are strong and the lattice is most
        even: a quarter of the field, or less where the crystals are smaller.
    width : float, optional
        Standard deviation of the Gaussian mask, 1/Å; a sixth of the shorter reflection if not
        given. Strain is averaged over about ``0.37 / width`` Å.

    Raises
    ------
    InputError
        No scale, reflections that are parallel or beyond the sampling, region outside.
    NotFoundError
        No spots.

    Examples
    --------
    >>> from heterodot.particle import build
    >>> from heterodot.probes.em import EmSetup, preview
    >>> strain = geometric_phase(preview(build("PbS", "cube", "5 nm"), EmSetup(zone=(0, 0, 1))))
    >>> abs(strain.mean((-10, 10, -10, 10))["exx"].value) < 0.003
    True
    """
    values, y, x = pixels(image)
    vectors = _two(_reference_spots(image, reference)) if g is None else np.array(g, dtype=float)
    dy, dx = float(np.diff(y).mean()), float(np.diff(x).mean())
    _check(vectors, dy, dx)
    lengths = np.linalg.norm(vectors, axis=1)
    sigma = float(lengths.min() / 6) if width is None else float(width)
    if not 1 / (len(x) * dx) < sigma < lengths.min():
        raise InputError(
            f"a mask of {sigma:g} 1/Å", place="width",
            remedy=f"stay between {1 / (len(x) * dx):.3g} and {lengths.min():.3g} 1/Å",
        )  # fmt: skip
    whole = spectrum((values - values.mean()) * _taper(*values.shape), y, x)
    first, second = (bragg(whole, vector, sigma) for vector in vectors)
    y, x = first.y, first.x
    slopes = [(f.slope_x, f.slope_y) for f in (first, second)]
    amplitudes = [first.amplitude, second.amplitude]
    found = reference is None
    region, here = _reference(reference, image, slopes, amplitudes, (y, x), 0.37 / sigma)
    if here.sum() < 9:
        raise InputError(
            "the reference region lies outside the image or is too small", place="reference",
            remedy=f"stay in x {x[0]:.0f} to {x[-1]:.0f}, y {y[0]:.0f} to {y[-1]:.0f} Å",
        )  # fmt: skip
    weaker = np.minimum(*[a / max(float(np.median(a[here])), 1e-30) for a in amplitudes])
    if g is not None:
        _check_seen(whole, vectors, amplitudes, here, sigma)
    # what is left of the gradient in the reference region corrects the reflections
    offsets = np.array([[float(np.median(s[k][here])) for k in (0, 1)] for s in slopes])
    refined = vectors + offsets
    # local reflections: refined + d; displacement gradient: g_local = (1 + grad u)^-T g
    d = [[s[k] - np.float32(o[k]) for k in (0, 1)] for s, o in zip(slopes, offsets, strict=True)]
    maps = _deform(refined, d)
    inner = _taper(*weaker.shape) > 0.9  # within the taper the phase is mostly noise
    trusted = (weaker > TRUST) & inner
    error = float(np.mean([_spread(m[here & trusted]) for m in maps[:3]]))
    warnings = _warnings(maps, trusted, inner, lengths, sigma)
    return Strain(
        *maps, weaker, trusted, refined, error, 0.37 / sigma, region, found, warnings, y, x
    )


def _check_seen(
    whole: Spectrum,
    vectors: NDArray[np.float64],
    amplitudes: list[NDArray[np.float32]],
    here: NDArray[np.bool_],
    sigma: float,
) -> None:
    """Refuse given reflections that are no stronger than what lies beside them."""
    for vector, amplitude in zip(vectors, amplitudes, strict=True):
        length = float(np.linalg.norm(vector))
        noise = np.sort(np.median(beside(whole, vector, sigma)[:, here], axis=1))[:2].mean()
        if float(np.median(amplitude[here])) < 2.5 * noise:
            raise NotFoundError(
                f"no fringes of {1 / length:.3f} Å stand out in the reference region", place="g",
                remedy="take reflections from 'heterodot fit fft', or leave g out",
            )  # fmt: skip


def _reference_spots(
    image: Measurement, reference: Region | NDArray[np.bool_] | None
) -> list[Spot]:
    if isinstance(reference, np.ndarray):
        return find_spots(image, weights=reference.astype(float))
    return find_spots(image, reference)


def _reference(
    reference: Region | NDArray[np.bool_] | None,
    image: Measurement,
    slopes: list[tuple[NDArray[np.float32], NDArray[np.float32]]],
    amplitudes: list[NDArray[np.float32]],
    axes: tuple[NDArray[np.float64], NDArray[np.float64]],
    resolution: float,
) -> tuple[Region, NDArray[np.bool_]]:
    """Return the box of the reference region and its places on the maps."""
    y, x = axes
    if reference is None:
        region = _find_reference(slopes, amplitudes, y, x, resolution)
        return region, _within(y, x, region)
    if not isinstance(reference, np.ndarray):
        return reference, _within(y, x, reference)
    fine_y, fine_x = axes_of(image)
    if reference.shape != (len(fine_y), len(fine_x)):
        raise InputError("the mask and the image differ in shape", place="reference")
    rows, columns = (
        np.clip(np.rint((a - f[0]) / (f[1] - f[0])).astype(int), 0, len(f) - 1)
        for a, f in ((y, fine_y), (x, fine_x))
    )
    here = reference[np.ix_(rows, columns)]
    weaker = np.minimum(*[a / max(float(a.max()), 1e-30) for a in amplitudes])
    # the rim of a grain is thin, and its neighbor's phase leaks in
    here = here & (weaker > 0.6 * (float(np.median(weaker[here])) if here.any() else 1.0))
    if not here.any():
        return (0.0, 0.0, 0.0, 0.0), here
    inside = np.nonzero(here.any(axis=1))[0], np.nonzero(here.any(axis=0))[0]
    rows_in, columns_in = inside
    box = x[columns_in[0]], x[columns_in[-1]], y[rows_in[0]], y[rows_in[-1]]
    return (float(box[0]), float(box[1]), float(box[2]), float(box[3])), here


def _two(spots: list[Spot]) -> NDArray[np.float64]:
    """Return the strongest spot and the strongest that is 25 degrees or more away from it."""
    first = np.array([spots[0].gx, spots[0].gy])
    for spot in spots[1:]:
        second = np.array([spot.gx, spot.gy])
        sine = abs(first[0] * second[1] - first[1] * second[0])
        if sine > math.sin(math.radians(25)) * np.linalg.norm(first) * np.linalg.norm(second):
            return np.array([first, second])
    raise NotFoundError(
        "all spots lie on one line", place="image", remedy="a strain map needs two directions"
    )


def _check(vectors: NDArray[np.float64], dy: float, dx: float) -> None:
    if vectors.shape != (2, 2) or not np.isfinite(vectors).all():
        raise InputError("two reflections of two components are needed", place="g")
    sine = abs(np.linalg.det(vectors)) / max(np.prod(np.linalg.norm(vectors, axis=1)), 1e-30)
    if sine < 0.17:
        raise InputError("the reflections are parallel", place="g", remedy="choose others")
    if (np.abs(vectors) >= 0.5 / np.array([dx, dy])).any():
        raise InputError("a reflection is finer than two pixels", place="g")


def _taper(ny: int, nx: int) -> NDArray[np.float64]:
    """Return a window that falls to zero over the outer 4 %, so that edges do not leak."""
    from scipy.signal.windows import tukey

    return np.asarray(np.outer(tukey(ny, 0.08), tukey(nx, 0.08)))


def _deform(g: NDArray[np.float64], d: list[list[NDArray[np.float32]]]) -> Maps:
    """Return exx, eyy, exy and rotation (degrees) from the changes of both reflections.

    With G the reflections as rows and L the local ones, L (1 + grad u) = G, exactly, where grad u
    is taken against the reference lattice; the strain is the symmetric part.
    """
    one = np.float32
    a, b = one(g[0, 0]) + d[0][0], one(g[0, 1]) + d[0][1]
    c, e = one(g[1, 0]) + d[1][0], one(g[1, 1]) + d[1][1]
    det = a * e - b * c
    det = np.where(np.abs(det) < 1e-6, one(1e-6), det)
    uxx = (e * one(g[0, 0]) - b * one(g[1, 0])) / det - one(1)
    uxy = (e * one(g[0, 1]) - b * one(g[1, 1])) / det
    uyx = (a * one(g[1, 0]) - c * one(g[0, 0])) / det
    uyy = (a * one(g[1, 1]) - c * one(g[0, 1])) / det - one(1)
    turn = np.degrees(np.arctan2(uyx - uxy, one(2) + uxx + uyy))
    return uxx, uyy, (uxy + uyx) / one(2), turn


def _find_reference(
    slopes: list[tuple[NDArray[np.float32], NDArray[np.float32]]],
    amplitudes: list[NDArray[np.float32]],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    resolution: float,
) -> Region:
    """Return the box with strong and even reflections, as large as the crystals allow."""
    ny, nx = amplitudes[0].shape
    weaker = np.minimum(*[a / np.percentile(a, 98) for a in amplitudes])
    region = (x[0], x[-1], y[0], y[-1])
    best = -math.inf
    for share in (0.5, 0.35, 0.25, 0.17, 0.12):
        h, w = max(round(ny * share), 4), max(round(nx * share), 4)
        if min(h * (y[1] - y[0]), w * (x[1] - x[0])) < 2 * resolution and best > -math.inf:
            break
        for top in np.unique(np.linspace(0.06 * ny, 0.94 * ny - h, 13).astype(int)):
            for left in np.unique(np.linspace(0.06 * nx, 0.94 * nx - w, 13).astype(int)):
                box = np.s_[top : top + h, left : left + w]
                strength = float(np.percentile(weaker[box], 5))
                uneven = sum(float(np.std(part[box])) for s in slopes for part in s)
                # a box with a hole or an edge in it loses against any that is whole
                score = min(strength, 0.5) / (uneven + 1e-4) + (1e6 if strength > 0.5 else 0.0)
                if score > best:
                    best = score
                    region = (x[left], x[left + w - 1], y[top], y[top + h - 1])
        if best > 1e6:
            break
    return (float(region[0]), float(region[1]), float(region[2]), float(region[3]))


def _within(y: NDArray[np.float64], x: NDArray[np.float64], region: Region) -> NDArray[np.bool_]:
    x0, x1, y0, y1 = region
    return np.logical_and.outer((y >= y0) & (y <= y1), (x >= x0) & (x <= x1))


def _spread(values: NDArray[Any]) -> float:
    """Return a standard deviation from quartiles (strain maps have wild pixels)."""
    if not values.size:
        return float("nan")
    low, high = np.percentile(values, [25, 75])
    return float(high - low) / 1.349


def _warnings(
    maps: Maps,
    trusted: NDArray[np.bool_],
    whole: NDArray[np.bool_],
    lengths: NDArray[np.float64],
    sigma: float,
) -> tuple[str, ...]:
    found = []
    share = float(trusted[whole].mean())
    if share < 0.9:
        found.append(
            f"the reference lattice is weak or absent in {100 * (1 - share):.0f} % of the field; "
            "the strain there is an artefact and is left out"
        )
    largest = np.maximum(np.maximum(np.abs(maps[0]), np.abs(maps[1])), np.abs(maps[2]))
    # the mask pulls a spot that lies far out toward its center
    far = float(np.mean(largest[trusted] > min(FAR, sigma / float(lengths.max())))) if share else 0
    if far > 0.05:
        found.append(
            f"{100 * far:.0f} % of the trusted field differs from the reference lattice by more "
            f"than {100 * min(FAR, sigma / float(lengths.max())):.1f} %: probably another lattice, "
            "whose difference is not an elastic strain (an artefact of the reference)"
        )
    return tuple(found)
