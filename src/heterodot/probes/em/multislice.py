"""Electrons through a particle slice by slice: what STEM and HRTEM share, computed by abTEM.

abTEM (Madsen and Susi, Open Research Europe 1, 24 (2021)) is under GPL and an extra of its own;
it is imported only here, when a simulation is asked for. Method: Cowley and Moodie, Acta Cryst.
10, 609 (1957); frozen phonons: Loane, Xu and Silcox, Acta Cryst. A 47, 267 (1991).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, MissingExtraError
from heterodot.probes.em.preview import EmSetup, projected
from heterodot.probes.em.support import carbon_film

if TYPE_CHECKING:
    from heterodot.particle import Particle

POTENTIALS = ("lobato", "kirkland", "peng")
BAND = 2 / 3  # part of the frequencies of a grid that multislice keeps free of aliasing
FINER = 2
MOST_SLICES = 4096


@dataclass(frozen=True)
class Beam:
    """Electrons and how their way through the particle is computed.

    Attributes
    ----------
    energy : float
        eV.
    cs : float
        Spherical aberration of third order, Å (1 mm is 1e7 Å).
    phonons : int
        Frozen configurations that are averaged; with 0 the atoms are at rest. Displacements are
        independent (Einstein), their variance along an axis is B / (8 pi²).
    seed : int
        Of displacements, support and noise.
    slice_thickness : float
        Å; layers of atoms closer than this are projected onto one plane.
    sampling : float or None
        Grid of the wave, Å; None takes what the largest angle asks for.
    potential : str
        Table of atomic potentials: ``"lobato"``, ``"kirkland"`` or ``"peng"``; neutral atoms,
        bonding shifts the potential between columns by some percent.
    dose : float or None
        Electrons per Å²; the image then holds counted electrons with Poisson noise.
    support : float
        Thickness of an amorphous carbon film on the exit side, Å; 0 for none.
    support_density : float
        g/cm³; the default is evaporated carbon (`heterodot.catalog.lookup("C", "density")`).
    """

    energy: float = 200e3
    cs: float = 0.0
    phonons: int = 1
    seed: int = 0
    slice_thickness: float = 2.0
    sampling: float | None = None
    potential: str = "lobato"
    dose: float | None = None
    support: float = 0.0
    support_density: float | None = None

    def __post_init__(self) -> None:
        """Refuse what no microscope does."""
        limits = {
            "energy": (self.energy, 2e4, 3e6, "eV; give 2e5 for 200 kV"),
            "cs": (abs(self.cs), 0.0, 1e8, "Å; 1 mm is 1e7 Å"),
            "phonons": (self.phonons, 0, 1000, ""),
            "slice_thickness": (self.slice_thickness, 0.2, 10.0, "Å"),
            "sampling": (self.sampling or 0.1, 0.005, 0.5, "Å"),
            "dose": (1.0 if self.dose is None else self.dose, 1e-3, 1e12, "electrons per Å²"),
            "support": (self.support, 0.0, 1000.0, "Å"),
            "support_density": (self.support_density or 2.0, 0.5, 3.6, "g/cm³"),
        }
        check_limits(limits, type(self).__name__)
        if self.potential not in POTENTIALS:
            raise InputError(
                f"'{self.potential}' is no table of potentials",
                place=f"{type(self).__name__}.potential",
                remedy=f"give one of {', '.join(POTENTIALS)}",
            )

    @property
    def wavelength(self) -> float:
        """Relativistic wavelength, Å.

        Examples
        --------
        >>> round(Beam(energy=200e3).wavelength, 5)
        0.02508
        """
        from scipy.constants import c, e, h, m_e

        v = self.energy
        return float(h / math.sqrt(2 * m_e * e * v * (1 + e * v / (2 * m_e * c**2))) * 1e10)

    def grid(self, angle: float) -> float:
        """Return the sampling (Å) that keeps waves up to an angle (mrad)."""
        return self.sampling or BAND * self.wavelength / (2 * angle * 1e-3) * 0.98

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)


def check_limits(limits: dict[str, tuple[float, float, float, str]], owner: str) -> None:
    """Refuse the first value outside its (low, high).

    Raises
    ------
    InputError
    """
    for name, (value, low, high, unit) in limits.items():
        if not low <= value <= high:
            raise InputError(
                f"{value:g} is not {low:g} to {high:g} {unit}".rstrip(), place=f"{owner}.{name}"
            )


@contextmanager
def abtem() -> Iterator[Any]:
    """Give the abTEM module, set to compute at once, quietly and reproducibly.

    Raises
    ------
    MissingExtraError
        abTEM is not installed.
    """
    try:
        import abtem as module
    except ImportError as error:
        raise MissingExtraError(
            "images by multislice are computed by abTEM, which is not installed",
            remedy="install heterodot[em], or take the preview (--engine preview)",
        ) from error
    # plans that are measured depend on the machine's load, and so do the last digits
    quiet = {
        "dask.lazy": False,
        "diagnostics.progress_bar": False,
        "fftw.planning_effort": "FFTW_ESTIMATE",
        "fftw.threads": 1,
        "precision": "float32",
        "device": "cpu",
    }
    with module.config.set(quiet):
        yield module


@dataclass(frozen=True)
class Specimen:
    """Atoms as the beam meets them: x right, y up, z along the beam, Å.

    Attributes
    ----------
    numbers : (n,) int array
    positions : (n, 3) array
    sigma : (n,) array
        Root mean square displacement along an axis.
    particle : int
        How many of the atoms, the first ones, are the particle's; the others are support.
    """

    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    sigma: NDArray[np.float64]
    particle: int

    def displaced(self, seed: int, configuration: int) -> NDArray[np.float64]:
        """Return positions with the displacements of one frozen configuration."""
        noise = np.random.default_rng([seed, configuration]).normal(size=self.positions.shape)
        return np.asarray(self.positions + noise * self.sigma[:, None])


def specimen(
    particle: Particle, setup: EmSetup, beam: Beam, low: NDArray[np.float64], high: Any
) -> Specimen:
    """Return the atoms seen along the beam, and the support under the field (low, high)."""
    seen, keep = projected(particle, setup)
    positions = seen[keep] * [1.0, 1.0, -1.0]
    numbers = particle.numbers[keep]
    symbols = np.array(particle.symbols)[keep]
    u2 = {s: setup.b_of(s) / (8 * math.pi**2) for s in np.unique(symbols)}
    sigma = np.sqrt([u2[s] for s in symbols])
    inside = len(numbers)
    if beam.support > 0:
        film = carbon_film(
            np.asarray(high) - low, beam.support, beam.support_density, seed=beam.seed
        )
        # the film starts a bond length under the lowest atom
        film += np.array([low[0], low[1], positions[:, 2].max() + 2.0])
        positions = np.concatenate([positions, film])
        numbers = np.concatenate([numbers, np.full(len(film), 6)])
        own = math.sqrt(setup.b_of("C") / (8 * math.pi**2))
        sigma = np.concatenate([sigma, np.full(len(film), own)])
    if beam.phonons == 0:
        sigma = np.zeros(len(numbers))
    if np.ptp(positions[:, 2]) / beam.slice_thickness > MOST_SLICES:
        raise InputError(
            f"the particle would be cut in more than {MOST_SLICES} slices",
            place="slice_thickness", remedy="take thicker slices",
        )  # fmt: skip
    return Specimen(numbers, positions, sigma, inside)


@dataclass(frozen=True)
class Slices:
    """What the wave meets in a box: transmission functions and free space after each.

    Attributes
    ----------
    lead : float
        Free space before the first slice, Å.
    transmission : (n, nx, ny) complex array
        exp(i sigma V) within the band of the grid.
    thickness : float
        Å after each slice.
    """

    lead: float
    transmission: NDArray[np.complex64]
    thickness: float


def slices(
    module: Any,
    numbers: NDArray[np.int64],
    positions: NDArray[np.float64],
    size: tuple[float, float],
    gpts: tuple[int, int],
    beam: Beam,
    entrance: float,
) -> Slices:
    """Return the slices of atoms in a box, only where there are atoms.

    Heavy atoms turn the phase by radians within a tenth of an Å. exp(i sigma V) is therefore
    taken on a grid `FINER` times finer and then limited to the band of the wave; taken on the
    wave's own grid it depends on where atoms lie between points (20 % of HAADF for lead).

    Parameters
    ----------
    module
        abTEM.
    numbers, positions
        Atoms; x and y within (0, size), z along the beam.
    size : (float, float)
        Å.
    gpts : (int, int)
        Grid along x and y.
    beam : Beam
    entrance : float
        z where the wave starts, Å, at or above the first atom.
    """
    from abtem.antialias import antialias_aperture
    from ase import Atoms
    from scipy import fft

    dz = beam.slice_thickness
    depth = positions[:, 2] - entrance
    # vacuum before the first atom is one step; vacuum after the last changes no intensity
    empty = max(0, math.floor(depth.min() / dz))
    count = max(1, math.floor(depth.max() / dz) - empty + 1)
    height = count * dz
    moved = np.column_stack([positions[:, :2], np.clip(depth - empty * dz, 1e-6, height - 1e-6)])
    fine = (FINER * gpts[0], FINER * gpts[1])
    built = module.Potential(
        Atoms(numbers, positions=moved, cell=(*size, height), pbc=True),
        gpts=fine, slice_thickness=dz, parametrization=beam.potential, projection="infinite",
    )  # fmt: skip
    sampling = (size[0] / gpts[0], size[1] / gpts[1])
    band = antialias_aperture(gpts, sampling, np)
    kept = np.ix_(*[np.rint(fft.fftfreq(n, 1 / n)).astype(int) % (FINER * n) for n in gpts])
    transmission = np.empty((count, *gpts), dtype=np.complex64)
    for k, one in enumerate(built.generate_slices()):
        exact = np.asarray(one.transmission_function(beam.energy).array).reshape(fine)
        transmission[k] = fft.ifft2(fft.fft2(exact)[kept] * band) / FINER**2
    return Slices(empty * dz, transmission, dz)


def through(waves: Any, met: Slices | None, steps: dict[float, Any]) -> Any:
    """Return the exit wave; ``steps`` keeps propagators (and their plans) by thickness."""
    from abtem.multislice import FresnelPropagator

    if met is None:
        return waves
    lengths = ([met.lead] if met.lead else []) + [met.thickness]
    for length in lengths:
        steps.setdefault(length, FresnelPropagator())
    if met.lead:
        waves = steps[met.lead].propagate(waves, thickness=met.lead, in_place=True)
    for plane in met.transmission:
        waves.array[...] *= plane
        waves = steps[met.thickness].propagate(waves, thickness=met.thickness, in_place=True)
    return waves


def phonon_note(beam: Beam, seen: Specimen) -> str:
    """Return in words how thermal motion was treated."""
    if beam.phonons == 0:
        return (
            "atoms at rest: no thermal diffuse scattering; HAADF of columns of heavy atoms is off "
            "by 30 % on the default grid, positions are not"
        )
    rms = float(np.sqrt(np.mean(seen.sigma[: seen.particle] ** 2)))
    if beam.phonons < 4:
        return (
            f"{beam.phonons} frozen configuration(s): a column of n atoms is displaced by about "
            f"{100 * rms / math.sqrt(beam.phonons):.0f} pm / sqrt(n); take 8 or more for numbers"
        )
    return f"{beam.phonons} frozen configurations, atoms move independently"
