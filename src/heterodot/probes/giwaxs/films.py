"""What grazing incidence sees of powders and textured films, from the reflections of their crystals.

Kinematic: the intensity at (q, chi) is that of the powder line times the density of its poles at
chi, so that a powder gives rings and a fiber texture arcs. Optional refraction moves the pattern
along the normal, as a transmitted beam makes it (Breiby, Bunk, Andreasen, Lemke and Nielsen, J.
Appl. Cryst. 41, 262 (2008)). Left out: enhancement at the critical angle (Yoneda), absorption, the
footprint, rods of thin crystals and the reflected beam.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.probes.giwaxs.geometry import Geometry
from heterodot.probes.giwaxs.orientation import concentration, pole_density
from heterodot.probes.xrd.profile import pseudo_voigt, voigt_shape
from heterodot.probes.xrd.sticks import planes, structure_factors

if TYPE_CHECKING:
    from heterodot.crystal import Crystal
    from heterodot.measurement import Measurement

Floats = NDArray[np.float64]

_TABLE = np.linspace(0.0, 180.0, 3601)  # degrees, where pole densities are made


@dataclass(frozen=True, eq=False)
class Film:
    """One phase of a film and how its crystallites lie.

    Attributes
    ----------
    crystal : Crystal
    volume : float
        Share of the film's volume (any common unit).
    axis : (h, k, l)
        Plane that lies parallel to the substrate in the oriented part.
    width : float
        Full width at half maximum of the spread of its normal about that of the film, degrees.
    oriented : float
        Share of the crystallites that are oriented; the rest is a powder.
    size : float
        Scherrer size (K = 0.9) along all directions, Å.
    microstrain : float
        Root mean square.
    b_iso : float
        Displacement parameter B, Å².
    """

    crystal: Crystal
    volume: float = 1.0
    axis: tuple[int, int, int] = (0, 0, 1)
    width: float = 10.0
    oriented: float = 1.0
    size: float = 100.0
    microstrain: float = 0.0
    b_iso: float = 1.0
    kept: dict[tuple[float, float], Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Refuse shares and sizes that cannot be."""
        if not (self.volume > 0 and 0 <= self.oriented <= 1):
            raise InputError("shares must lie in 0 to 1", place=self.crystal.name)
        if not (10 <= self.size <= 1e5 and 0 < self.width <= 360 and 0 <= self.microstrain < 0.2):
            raise InputError(
                "size (10 Å or more), width (degrees) or microstrain is out of range",
                place=self.crystal.name,
            )

    def reflections(self, q_max: float, wavelength: float) -> list[tuple[float, float, Floats]]:
        """Return q (1/Å), strength per volume and angles of the poles from the axis (degrees).

        One row a set of equivalent planes, those of different angle to the axis kept together.
        """
        key = (round(q_max, 6), wavelength)
        if key not in self.kept:
            hkl, multiplicity = planes(self.crystal, 2 * math.pi / q_max)
            squared = structure_factors(self.crystal, hkl, lambda _: self.b_iso, wavelength)
            normal = self.crystal.plane_normal(self.axis)
            rows = []
            top = float((multiplicity * squared).max()) if len(squared) else 0.0
            for index, many, strength in zip(hkl, multiplicity, squared, strict=True):
                if many * strength < 1e-5 * top:
                    continue
                vector = index @ self.crystal.reciprocal
                length = float(np.linalg.norm(vector))
                images = self.crystal.point_operations @ (vector / length)
                angles = np.degrees(np.arccos(np.clip(np.abs(images @ normal), 0, 1)))
                rows.append(
                    (
                        2 * math.pi * length,
                        float(many * strength) / self.crystal.volume**2,
                        np.round(angles, 4),
                    )
                )
            self.kept[key] = rows
        found: list[tuple[float, float, Floats]] = self.kept[key]
        return found

    def intensity(self, q: Floats, chi: Floats, wavelength: float, blur: float = 0.0) -> Floats:
        """Return scattered intensity at q (1/Å) and chi (degrees), any one shape.

        ``blur`` is the instrument's full width at half maximum in q, 1/Å.
        """
        total = np.zeros(np.shape(q))
        q_max = float(np.max(q)) * 1.05 + 0.1
        kappa = concentration(self.width)
        for center, strength, angles in self.reflections(q_max, wavelength):
            # what size leaves is nearly the profile of a sphere: a pseudo-Voigt of share 0.3, made
            # here of its Gaussian and Lorentzian widths, so that strain and blur can be added
            own = 0.9 * 2 * math.pi / self.size
            strained = 2 * math.sqrt(2 * math.log(2)) * self.microstrain * center
            gauss = math.sqrt((0.861 * own) ** 2 + strained**2 + blur**2)
            width, share = voigt_shape(np.array([gauss]), np.array([0.238 * own]))
            near = np.abs(q - center) < 12 * width[0]
            if not near.any():
                continue
            different, many = np.unique(angles, return_counts=True)
            poles = np.zeros(len(_TABLE))
            for alpha, n in zip(different, many / many.sum(), strict=True):
                poles += n * pole_density(_TABLE, float(alpha), kappa)
            poles = np.interp(chi[near], _TABLE, poles)
            density = 1 - self.oriented + self.oriented * poles
            radial = pseudo_voigt(q[near] - center, float(width[0]), float(share[0]))
            total[near] += strength * radial * density / (4 * math.pi * q[near] ** 2)
        return self.volume * total


def critical_angle(crystal: Crystal, wavelength: float) -> float:
    """Return the critical angle of total reflection, degrees.

    sqrt(2 delta), delta = r_e lambda² n_e / 2 pi with the electrons of the cell and f' left out
    (some percent of the angle for heavy atoms near an edge).

    Examples
    --------
    Silicon and Cu K-alpha: 0.22 degrees.

    >>> from heterodot.crystal import Crystal
    >>> a = 5.431
    >>> fcc = np.array([[0, 0, 0], [0, .5, .5], [.5, 0, .5], [.5, .5, 0]])
    >>> silicon = Crystal("Si", np.eye(3) * a, np.full(8, 14), np.vstack([fcc, fcc + 0.25]))
    >>> round(critical_angle(silicon, 1.5406), 2)
    0.22
    """
    from scipy import constants

    radius = constants.physical_constants["classical electron radius"][0] * 1e10
    density = float(np.sum(crystal.numbers)) / crystal.volume
    return math.degrees(math.sqrt(radius * wavelength**2 * density / math.pi))


def inside(q_z: Floats, wavenumber: float, incidence: float, critical: float) -> Floats:
    """Return the component along the normal inside the film for that outside, 1/Å.

    Parameters
    ----------
    q_z : array
        k (sin alpha_f + sin alpha_i), 1/Å.
    wavenumber : float
        2 pi over the wavelength, 1/Å.
    incidence, critical : float
        Degrees.

    Notes
    -----
    Below the critical angle the transmitted beam runs along the surface: its part of q_z is lost.
    At 0.2 degrees and Cu K-alpha that is 0.014 1/Å, four percent of the first line of a 16.7 Å
    stack.
    """
    entering = math.sin(math.radians(incidence))
    limit = math.sin(math.radians(critical)) ** 2
    leaving = np.asarray(q_z, dtype=float) / wavenumber - entering
    below = np.where(leaving < 0, -1.0, 1.0)
    out = below * np.sqrt(np.maximum(leaving**2 - limit, 0.0))
    return np.asarray(wavenumber * (out + math.sqrt(max(entering**2 - limit, 0.0))), dtype=float)


def simulate_image(
    films: Sequence[Film],
    geometry: Geometry,
    *,
    counts: float | None = None,
    background: float = 0.02,
    critical: float = 0.0,
    polarization: float = 0.0,
    blur: float = 0.0,
    seed: int = 0,
) -> Measurement:
    """Return what a detector would see of a film, a measurement of kind ``"giwaxs-image"``.

    Parameters
    ----------
    films : sequence of Film
    geometry : Geometry
    counts : float, optional
        Counts of the brightest pixel; then counting noise is added with ``seed``.
    background : float
        Diffuse scattering, of the maximum (99.9th percentile), falling with q.
    critical : float
        Critical angle, degrees; refraction is left out where it is zero.
    polarization : float
        As in `Geometry.polarization`.
    blur : float
        Instrument width, 1/Å.
    seed : int
    """
    import xarray as xr

    from heterodot.measurement import Measurement

    if not films:
        raise InputError("there are no films", place="films", remedy="give at least one")
    parallel, q_z = geometry.momentum()
    if critical > 0:
        q_z = inside(q_z, geometry.wavenumber, geometry.incidence, critical)
    q = np.maximum(np.hypot(parallel, q_z), 1e-3)
    chi = np.degrees(np.arctan2(np.abs(parallel), q_z))
    image = np.zeros(geometry.shape)
    for film in films:
        image += film.intensity(q, chi, geometry.wavelength, blur)
    above = geometry.exit_angle() > 0
    top = float(np.percentile(image[above], 99.9)) or 1.0
    image += background * top * (0.3 + np.exp(-q / 0.6))
    image *= above * geometry.solid_angle() * geometry.polarization(polarization)
    if counts is not None:
        scale = counts / float(image.max())
        image = np.random.default_rng(seed).poisson(image * scale).astype(float)
    rows, columns = (np.arange(n) for n in geometry.shape)
    data = xr.DataArray(
        image,
        dims=("row", "column"),
        coords={
            "row": ("row", rows, {"units": ""}),
            "column": ("column", columns, {"units": ""}),
        },
        name="intensity",
        attrs={"units": "", "long_name": "counts" if counts is not None else "intensity"},
    )
    told = {"geometry": geometry.to_json(), "seed": seed, "critical_deg": critical}
    return Measurement(data, "giwaxs-image", "simulated", "", told)


def simulate_polar(
    films: Sequence[Film],
    q: Floats,
    chi: Floats,
    wavelength: float,
    *,
    counts: float | None = None,
    background: float = 0.02,
    missing: float = 0.0,
    seed: int = 0,
) -> Measurement:
    """Return a reduced map over chi and q directly, as an ideal detector would give it.

    Parameters
    ----------
    films : sequence of Film
    q : (n_q,) array
        1/Å.
    chi : (n_chi,) array
        Degrees from the film normal.
    wavelength : float
        Å.
    counts : float, optional
        Counts at the maximum; adds noise.
    background : float
        Of the maximum.
    missing : float
        Width of the wedge about the normal that a flat detector does not see, as the angle between
        the normal and q on the Ewald sphere (asin(q/2k)) if positive.
    seed : int
    """
    grid_chi, grid_q = np.meshgrid(chi, q, indexing="ij")
    image = np.zeros(grid_q.shape)
    for film in films:
        image += film.intensity(grid_q, np.abs(grid_chi), wavelength)
    image += background * float(image.max()) * (0.3 + np.exp(-grid_q / 0.6))
    error = np.full(image.shape, 1e-3 * float(image.max()))
    if counts is not None:
        scale = counts / float(image.max())
        image = np.random.default_rng(seed).poisson(image * scale).astype(float)
        error = np.sqrt(np.maximum(image, 1.0))
    if missing > 0:
        hidden = np.abs(grid_chi) < np.degrees(np.arcsin(np.clip(grid_q * wavelength / (4 * np.pi), 0, 1)))  # fmt: skip
        image[hidden] = np.nan
        error[hidden] = np.nan
    return polar_measurement(q, chi, image, error, wavelength, "simulated")


def polar_measurement(
    q: Floats,
    chi: Floats,
    values: Floats,
    error: Floats,
    wavelength: float,
    source: str,
    sha256: str = "",
    notes: Sequence[str] = (),
    **metadata: Any,
) -> Measurement:
    """Return a map over chi and q as a measurement of kind ``"giwaxs-polar"``."""
    import xarray as xr

    from heterodot.measurement import Measurement

    data = xr.DataArray(
        values,
        dims=("chi", "q"),
        coords={
            "chi": ("chi", chi, {"units": "deg", "long_name": "angle from the film normal"}),
            "q": ("q", q, {"units": "1/angstrom"}),
            "error": (("chi", "q"), error, {"units": ""}),
        },
        name="intensity",
        attrs={"units": ""},
    )
    told = {"wavelength": wavelength, **metadata}
    return Measurement(data, "giwaxs-polar", source, sha256, told, tuple(notes))
