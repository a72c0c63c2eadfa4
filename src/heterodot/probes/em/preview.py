"""A quick image of a particle along any axis: projected potential, or Z-contrast as in HAADF.

No dynamical scattering, no lens but a Gaussian probe. It says where columns are and how they
compare, for thin particles near a zone axis; contrast to compare
with an experiment needs a multislice program. Atomic potentials: Peng, Acta Cryst. A 52, 257 (1996).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.measurement import Measurement

if TYPE_CHECKING:
    from heterodot.particle import Particle

MODES = ("haadf", "potential")
LARGEST = 8192  # pixels along one edge


@dataclass(frozen=True)
class EmSetup:
    """From where a particle is seen, and on what grid.

    Attributes
    ----------
    zone : three numbers
        [uvw] of ``domain`` that points at the viewer, against the beam.
    domain : int
        The domain whose cell ``zone`` and ``up`` refer to.
    up : three numbers or None
        [uvw] whose projection points along +y; one is chosen if None.
    tilt : two floats
        Degrees about the image's x axis, then about its y axis.
    thickness : float or None
        Å along the beam that is kept, about the middle of the particle; None keeps all.
    pixel : float
        Å.
    margin : float
        Å of vacuum on every side.
    blur : float
        Full width at half maximum of the probe, Å.
    b_iso : float or mapping
        Debye-Waller B = 8 pi² <u²> in Å², of all atoms or by element (an element that is not
        listed takes the entry ``"default"``, else 1.0).
    exponent : float
        Power of Z in Z-contrast (1.6 to 2 by detector angle).
    """

    zone: tuple[float, float, float] = (0, 0, 1)
    domain: int = 0
    up: tuple[float, float, float] | None = None
    tilt: tuple[float, float] = (0.0, 0.0)
    thickness: float | None = None
    pixel: float = 0.2
    margin: float = 5.0
    blur: float = 0.8
    b_iso: float | Mapping[str, float] = field(default=1.0, hash=False)
    exponent: float = 1.7

    def __post_init__(self) -> None:
        """Refuse numbers that make no image."""
        limits = {
            "pixel": (self.pixel, 0.01, 5.0),
            "margin": (self.margin, 0.0, 1000.0),
            "blur": (self.blur, 0.0, 20.0),
            "exponent": (self.exponent, 0.5, 2.5),
            "thickness": (1.0 if self.thickness is None else self.thickness, 0.1, 1e5),
        }
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:
                raise InputError(f"{value:g} is not {low:g} to {high:g}", place=f"EmSetup.{name}")
        values = self.b_iso.values() if isinstance(self.b_iso, Mapping) else [self.b_iso]
        if not all(0.0 <= b <= 50.0 for b in values):
            raise InputError("B must lie in 0 to 50 Å²", place="EmSetup.b_iso")
        if not np.isfinite([*self.zone, *self.tilt]).all() or not np.any(self.zone):
            raise InputError("the zone axis has no direction", place="EmSetup.zone")

    def b_of(self, symbol: str) -> float:
        """Return B of an element, Å²."""
        if isinstance(self.b_iso, Mapping):
            return float(self.b_iso.get(symbol, self.b_iso.get("default", 1.0)))
        return float(self.b_iso)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)


def view(particle: Particle, setup: EmSetup) -> NDArray[np.float64]:
    """Return the rotation from the particle's frame to the image's (x, y, toward the viewer).

    Raises
    ------
    InputError
        The domain is unknown or has no crystal.
    """
    if not 0 <= setup.domain < len(particle.domains):
        raise InputError(f"there is no domain {setup.domain}", place="EmSetup.domain")
    domain = particle.domains[setup.domain]
    if domain.crystal is None:
        raise InputError(
            f"domain {domain.name} has no crystal, so [uvw] mean nothing", place="EmSetup.zone"
        )
    to_particle = (np.eye(3) + domain.strain) @ domain.orientation
    z = to_particle @ domain.crystal.direction(setup.zone)
    z /= np.linalg.norm(z)
    if setup.up is None:
        rows = (to_particle @ domain.crystal.cell.T).T
        up = rows[int(np.argmin(np.abs(rows @ z) / np.linalg.norm(rows, axis=1)))]
    else:
        up = to_particle @ domain.crystal.direction(setup.up)
    y = up - (up @ z) * z
    if np.linalg.norm(y) < 1e-6 * np.linalg.norm(up):
        raise InputError("'up' lies along the zone axis", place="EmSetup.up")
    y /= np.linalg.norm(y)
    a, b = np.deg2rad(setup.tilt)
    about_x = np.array([[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]])
    about_y = np.array([[math.cos(b), 0, math.sin(b)], [0, 1, 0], [-math.sin(b), 0, math.cos(b)]])
    return np.asarray(about_y @ about_x @ np.array([np.cross(y, z), y, z]))


def projected(particle: Particle, setup: EmSetup) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return positions in the image frame about the middle, (n, 3) Å, and which atoms are kept."""
    if len(particle) == 0:
        raise InputError("the particle has no atoms", place="preview")
    seen = particle.positions @ view(particle, setup).T
    seen = seen - (seen.max(axis=0) + seen.min(axis=0)) / 2
    keep = np.ones(len(seen), dtype=bool)
    if setup.thickness is not None:
        keep = np.abs(seen[:, 2]) <= setup.thickness / 2
    if not keep.any():
        raise InputError("no atom lies within the thickness", place="EmSetup.thickness")
    return seen, keep


def preview(particle: Particle, setup: EmSetup | None = None, mode: str = "haadf") -> Measurement:
    """Return a quick image of a particle.

    Parameters
    ----------
    particle : Particle
    setup : EmSetup
    mode : str
        ``"haadf"`` (Z to a power in each column, arbitrary units) or ``"potential"`` (projected
        electrostatic potential of neutral atoms, V Å; bonding shifts it by some percent).

    Notes
    -----
    On a PbS cube at B = 1 Å² and a blur of 0.8 Å the potential differs from abTEM's by 0.2 % of its
    standard deviation with the same table of amplitudes (pixel 0.05 Å; 0.6 % at 0.1 Å), by 1.5 %
    with Lobato's and 1.1 % with Kirkland's table, whose mean inner potential is 3 % higher. Without
    a blur pixels must be far below the width of an atom: 3 % at 0.1 Å. The Z-contrast correlates
    with multislice HAADF to about 0.95 in a dimer 3 nm thick; it knows no channeling.

    Returns
    -------
    Measurement
        Kind ``"image"``, dims ``("y", "x")`` in Å; +x right, +y up, +z toward the viewer.

    Examples
    --------
    >>> from heterodot.particle import build
    >>> image = preview(build("PbS", "cube", "3 cells"), EmSetup(zone=(0, 0, 1)))
    >>> image.data.dims
    ('y', 'x')
    """
    from ase.data import chemical_symbols
    from scipy import fft

    setup = setup or EmSetup()
    if mode not in MODES:
        raise InputError(
            f"'{mode}' is no preview", place="mode", remedy=f"give {' or '.join(MODES)}"
        )
    seen, keep = projected(particle, setup)
    nx, ny = canvas(seen, setup)
    q2 = np.add.outer(fft.fftfreq(ny, setup.pixel) ** 2, fft.rfftfreq(nx, setup.pixel) ** 2)
    total = np.zeros(q2.shape, dtype=complex)
    origin = np.array([nx // 2, ny // 2])
    numbers = particle.numbers
    for number in np.unique(numbers[keep]):
        at = seen[keep & (numbers == number), :2] / setup.pixel + origin
        b = setup.b_of(chemical_symbols[number])
        total += fft.rfft2(_deposit(at, nx, ny)) * _form(int(number), q2, setup, b, mode)
    total /= np.multiply.outer(np.sinc(fft.fftfreq(ny)), np.sinc(fft.rfftfreq(nx))) ** 4
    image = fft.irfft2(total, s=(ny, nx)) / setup.pixel**2
    metadata = {
        "engine": "preview", "mode": mode, "setup": setup.to_json(), "atoms": int(keep.sum())
    }  # fmt: skip
    units = "V angstrom" if mode == "potential" else ""
    note = "single scattering, no dynamical diffraction"
    return as_image(image, setup.pixel, mode, units, metadata, (note,))


def canvas(seen: NDArray[np.float64], setup: EmSetup) -> tuple[int, int]:
    """Return how many pixels (nx, ny) hold the particle and its margin; pixel n // 2 is at 0.

    Raises
    ------
    InputError
        More than `LARGEST` along an edge.
    """
    from scipy import fft

    half = np.abs(seen[:, :2]).max(axis=0) + setup.margin
    nx, ny = (fft.next_fast_len(int(n), real=True) for n in np.ceil(2 * half / setup.pixel) + 1)
    if max(nx, ny) > LARGEST:
        raise InputError(
            f"the image would be {nx} x {ny} pixels", place="EmSetup.pixel",
            remedy=f"take larger pixels (at most {LARGEST} along an edge)",
        )  # fmt: skip
    return nx, ny


def as_image(
    values: NDArray[np.float64],
    pixel: float,
    name: str,
    units: str,
    metadata: Mapping[str, Any],
    notes: tuple[str, ...],
) -> Measurement:
    """Return (ny, nx) values as an image with axes in Å about the middle pixel (n // 2)."""
    import xarray as xr

    axes = {
        key: (key, (np.arange(n) - n // 2) * pixel, {"units": "angstrom"})
        for key, n in zip(("y", "x"), values.shape, strict=True)
    }
    attrs = {"units": units, "long_name": name, "pixel_size_nm": pixel / 10, "y_axis": "up"}
    data = xr.DataArray(values, dims=("y", "x"), coords=axes, name=name, attrs=attrs)
    return Measurement(data, "image", "simulated", metadata=metadata, notes=notes)


def _deposit(at: NDArray[np.float64], nx: int, ny: int) -> NDArray[np.float64]:
    """Return points spread over 4 x 4 pixels each by cubic B-splines, (ny, nx), periodic."""
    base = np.floor(at).astype(np.int64)
    t = at - base
    weights = (
        np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3])
        / 6
    )  # (4, n, 2)
    flat = np.zeros(nx * ny)
    for j in range(4):
        row = (base[:, 1] + j - 1) % ny
        for i in range(4):
            column = (base[:, 0] + i - 1) % nx
            share = weights[i, :, 0] * weights[j, :, 1]
            flat += np.bincount(row * nx + column, weights=share, minlength=nx * ny)
    return flat.reshape(ny, nx)


def _form(
    number: int, q2: NDArray[np.float64], setup: EmSetup, b: float, mode: str
) -> NDArray[np.float64]:
    """Return what one atom adds at squared frequencies q2 (1/Å²)."""
    sigma2 = (setup.blur / math.sqrt(8 * math.log(2))) ** 2
    damping = np.exp(-q2 * (b / 4 + 2 * math.pi**2 * sigma2))
    if mode == "haadf":
        return np.asarray(number**setup.exponent * damping)
    return np.asarray(volt_per_amplitude() * scattering(number, q2) * damping)


def volt_per_amplitude() -> float:
    """Return h²/(2 pi m e), V Å²: electron scattering amplitude (Å) to projected potential."""
    from scipy.constants import e, h, m_e

    return float(h**2 / (2 * math.pi * m_e * e) * 1e20)


def scattering(number: int, q2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the electron scattering amplitude of a neutral atom at q² (1/Å²), Å, no damping."""
    import gemmi

    table = gemmi.Element(number).c4322
    terms = (a * np.exp(-b * q2 / 4) for a, b in zip(table.a, table.b, strict=True))
    return np.asarray(sum(terms))
