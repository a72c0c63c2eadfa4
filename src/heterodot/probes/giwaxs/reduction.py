"""From a detector image to maps over q: regrouping by pyFAI's integrator for grazing incidence.

pyFAI (Kieffer et al., J. Synchrotron Rad. 27, 558 (2020)) sorts pixels into (q parallel, q_z) and
(q, chi) with solid angle, polarization, dark and mask; what we add is errors from counting, the
horizon of the film, and the convention that chi is measured from the film normal.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, MissingExtraError
from heterodot.probes.giwaxs.films import polar_measurement
from heterodot.probes.giwaxs.geometry import UP, Geometry

if TYPE_CHECKING:
    from heterodot.measurement import Measurement

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reduced:
    """Maps of one image.

    Attributes
    ----------
    cartesian : Measurement
        Intensity over q_z and q_parallel, kind ``"giwaxs-map"``.
    polar : Measurement
        Intensity over chi (from the film normal, signed) and q, kind ``"giwaxs-polar"``, with a
        coordinate ``error``.
    geometry : Geometry
    engine : str
        What did it, with version.
    """

    cartesian: Measurement
    polar: Measurement
    geometry: Geometry
    engine: str


def reduce(
    image: Measurement | Floats,
    geometry: Geometry,
    *,
    mask: NDArray[np.bool_] | None = None,
    dark: Floats | None = None,
    q_range: tuple[float, float] | None = None,
    points: int | None = None,
    angles: int = 181,
    polarization: float = 0.0,
    solid_angle: bool = True,
    saturated: float | None = None,
) -> Reduced:
    """Return maps over (q parallel, q_z) and (q, chi) of a detector image.

    Parameters
    ----------
    image : Measurement or (rows, columns) array
        Counts.
    geometry : Geometry
    mask : (rows, columns) bool array, optional
        True where a pixel is not to be used. Negative pixels (gaps of modular detectors), those
        that are not finite and those below the film's horizon are never used.
    dark : (rows, columns) array, optional
    q_range : (low, high), optional
        1/Å; everything on the detector by default.
    points, angles : int
        Steps in q (600, or fewer where a pixel spans more than a step), and in chi over -90 to 90
        degrees.
    polarization : float
        (I_h - I_v)/(I_h + I_v): 0 for a tube, about 0.98 for a synchrotron.
    solid_angle : bool
        Divide by the solid angle of each pixel.
    saturated : float, optional
        Counts at and above which a pixel is not used.

    Raises
    ------
    MissingExtraError
        pyFAI is not installed.
    InputError
        Image and geometry do not fit, or nothing is left.
    """
    counts, source, digest, notes = _counts(image, geometry)
    hidden = _hidden(counts, geometry, mask, saturated, notes)
    parallel, q_z = geometry.momentum()
    seen = ~hidden
    q = np.hypot(parallel, q_z)
    low, high = q_range or (0.0, float(q[seen].max()))
    if not 0 <= low < high:
        raise InputError(f"{low:g} to {high:g} is no range of q", place="q_range")
    pixel_step = geometry.wavenumber * max(geometry.pixel) * 1e-3 / geometry.distance
    points = points or int(np.clip((high - low) / pixel_step, 60, 600))
    # pixels as large as a step would fall into some bins twice and into others not at all
    many = 2 if pixel_step > 0.75 * (high - low) / points and counts.size < 4_000_000 else 1
    integrator, engine = _integrator(geometry, many)
    common: dict[str, Any] = {
        "data": _split(np.where(hidden, 0.0, counts), many) / many**2,
        "mask": _split(hidden, many),
        "dark": None if dark is None else _split(dark, many) / many**2,
        "correctSolidAngle": solid_angle,
        "polarization_factor": polarization,
        "incident_angle": math.radians(geometry.incidence),
        "tilt_angle": math.radians(geometry.tilt),
        "sample_orientation": UP[geometry.up][0],
        "method": ("no", "histogram", "cython"),
    }
    top = min(high, float(q_z[seen].max()))
    wide = min(high, float(np.abs(parallel[seen]).max()))
    flat = integrator.integrate2d_grazing_incidence(
        unit_ip="qip_A^-1", unit_oop="qoop_A^-1", npt_ip=points, npt_oop=points,
        ip_range=(-wide, wide), oop_range=(0.0, top), **common,
    )  # fmt: skip
    # pyFAI's chigi is atan2(q parallel, q_z): from the film normal, as ours
    turned = integrator.integrate2d_grazing_incidence(
        unit_ip="qtot_A^-1", unit_oop="chigi_deg", npt_ip=points, npt_oop=angles,
        ip_range=(low, high), oop_range=(-90.0, 90.0), **common,
    )  # fmt: skip
    values, error = _values(turned)
    chi = np.asarray(turned.outofplane, dtype=float)
    if not np.isfinite(values).any():
        raise InputError(
            "no pixel is left in the range", file=source, remedy="check center, mask and q range"
        )
    told = {
        "geometry": geometry.to_json(), "engine": engine, "polarization": polarization,
        "incidence": geometry.incidence,
    }  # fmt: skip
    polar = polar_measurement(
        np.asarray(turned.inplane, dtype=float), chi, values, error, geometry.wavelength, source,
        digest, notes, **told,
    )  # fmt: skip
    return Reduced(_flat(flat, source, digest, notes, told), polar, geometry, engine)


def _counts(image: Measurement | Floats, geometry: Geometry) -> tuple[Floats, str, str, list[str]]:
    data = getattr(image, "data", image)
    counts = np.asarray(getattr(data, "values", data), dtype=float)
    source = str(getattr(image, "source", "") or "image")
    notes = list(getattr(image, "notes", ()))
    if counts.shape != tuple(geometry.shape):
        raise InputError(
            f"the image has {counts.shape} pixels, the geometry {tuple(geometry.shape)}",
            file=source,
            place="shape",
            remedy="give the .poni file of this detector and binning",
        )
    return counts, source, str(getattr(image, "sha256", "")), notes


def _hidden(
    counts: Floats,
    geometry: Geometry,
    mask: NDArray[np.bool_] | None,
    saturated: float | None,
    notes: list[str],
) -> NDArray[np.bool_]:
    """Return which pixels are not to be used, and say how many of each sort."""
    bad = ~np.isfinite(counts)
    negative = ~bad & (counts < 0)
    if negative.any():
        share = float(negative.mean())
        if share > 0.3:
            raise InputError(
                f"{100 * share:.0f} % of the pixels are negative",
                place="image",
                remedy="give the image as recorded, without a background taken off",
            )
        notes.append(f"{int(negative.sum())} negative pixels were taken as gaps of the detector")
    if bad.any():
        notes.append(f"{int(bad.sum())} pixels are not finite and were left out")
    hidden = bad | negative
    if mask is not None:
        if mask.shape != counts.shape:
            raise InputError(f"the mask has {mask.shape} pixels", place="mask")
        hidden |= np.asarray(mask, dtype=bool)
    if saturated is not None:
        full = counts >= saturated
        if full.any():
            notes.append(f"{int(full.sum())} saturated pixels were left out")
        hidden |= full
    hidden |= geometry.exit_angle() <= 0
    if hidden.all():
        raise InputError(
            "every pixel is masked or below the film's horizon",
            place="geometry",
            remedy="check the direct beam's pixel and which edge is up",
        )
    return np.asarray(hidden, dtype=bool)


def _split(plane: NDArray[Any], many: int) -> NDArray[Any]:
    """Return an image with each pixel cut into many x many equal ones."""
    return plane if many == 1 else np.repeat(np.repeat(plane, many, axis=0), many, axis=1)


def _integrator(geometry: Geometry, many: int = 1) -> tuple[Any, str]:
    """Return pyFAI's integrator for pixels cut into many x many, and its version."""
    try:
        import pyFAI
        from pyFAI.detectors import Detector
        from pyFAI.integrator.fiber import FiberIntegrator
    except ImportError as error:
        raise MissingExtraError(
            "images are reduced by pyFAI 2025.1 or later, which is not installed",
            remedy="pip install heterodot[giwaxs]",
        ) from error
    logging.getLogger("pyFAI").setLevel(logging.ERROR)
    detector = Detector(
        geometry.pixel[0] * 1e-6 / many,
        geometry.pixel[1] * 1e-6 / many,
        max_shape=(geometry.shape[0] * many, geometry.shape[1] * many),
    )
    integrator = FiberIntegrator(
        dist=geometry.distance * 1e-3, poni1=geometry.foot[0] * 1e-6, poni2=geometry.foot[1] * 1e-6,
        rot1=geometry.rotations[0], rot2=geometry.rotations[1], rot3=geometry.rotations[2],
        detector=detector, wavelength=geometry.wavelength * 1e-10,
    )  # fmt: skip
    return integrator, f"pyFAI {pyFAI.version}"


def _values(result: Any) -> tuple[Floats, Floats]:
    """Return mean counts and their counting error, NaN where no pixel fell."""
    signal = np.asarray(result.sum_signal, dtype=float)
    norm = np.asarray(result.sum_normalization, dtype=float)
    empty = ~(np.asarray(result.count, dtype=float) > 0) | ~(norm > 0)
    safe = np.where(empty, 1.0, norm)
    values = np.where(empty, np.nan, signal / safe)
    # one more count keeps empty pixels from weighing without limit
    error = np.where(empty, np.nan, np.sqrt(np.maximum(signal, 0) + 1.0) / safe)
    return values, error


def _flat(
    result: Any, source: str, digest: str, notes: list[str], told: dict[str, Any]
) -> Measurement:
    import xarray as xr

    from heterodot.measurement import Measurement

    values, error = _values(result)
    data = xr.DataArray(
        values,
        dims=("q_z", "q_parallel"),
        coords={
            "q_z": ("q_z", np.asarray(result.outofplane, dtype=float), {"units": "1/angstrom"}),
            "q_parallel": (
                "q_parallel",
                np.asarray(result.inplane, dtype=float),
                {"units": "1/angstrom"},
            ),
            "error": (("q_z", "q_parallel"), error, {"units": ""}),
        },
        name="intensity",
        attrs={"units": ""},
    )
    return Measurement(data, "giwaxs-map", source, digest, told, tuple(notes))
