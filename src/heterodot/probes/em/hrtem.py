"""High-resolution TEM images by multislice and a contrast transfer function, through abTEM."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.probes.em import multislice
from heterodot.probes.em.preview import EmSetup, as_image, canvas, projected
from heterodot.progress import Progress, silent

if TYPE_CHECKING:
    from heterodot.measurement import Measurement
    from heterodot.particle import Particle

FINEST = 60.0  # mrad that the wave holds at least, whatever the aperture
LARGEST_GRID = 8192


@dataclass(frozen=True)
class HrtemSetup(multislice.Beam):
    """A microscope with parallel illumination.

    Attributes
    ----------
    cs : float
        Spherical aberration, Å (1 mm is 1e7 Å); small and negative in a corrected microscope.
    defocus : float or None
        Å, underfocus positive, from the exit face of the particle; None takes Scherzer's.
    focal_spread : float
        1/e half width of the spread of focus (chromatic aberration), Å.
    angular_spread : float
        Standard deviation of the illumination angle, mrad.
    aperture : float or None
        Semi-angle of the objective aperture, mrad.
    """

    cs: float = 1.0e7
    phonons: int = 4
    defocus: float | None = None
    focal_spread: float = 50.0
    angular_spread: float = 0.3
    aperture: float | None = None

    def __post_init__(self) -> None:
        """Refuse what no microscope does."""
        super().__post_init__()
        multislice.check_limits(
            {
                "defocus": (self.defocus or 0.0, -1e5, 1e5, "Å"),
                "focal_spread": (self.focal_spread, 0.0, 1e3, "Å"),
                "angular_spread": (self.angular_spread, 0.0, 10.0, "mrad"),
                "aperture": (self.aperture or 20.0, 1.0, 200.0, "mrad"),
            },
            "HrtemSetup",
        )

    @property
    def focus(self) -> float:
        """Defocus that is used, Å: the one given, or Scherzer's sqrt(1.5 Cs lambda).

        Examples
        --------
        >>> round(HrtemSetup(cs=1.0e7).focus)
        613
        """
        if self.defocus is not None:
            return self.defocus
        return math.copysign(math.sqrt(1.5 * abs(self.cs) * self.wavelength), self.cs)


def simulate_hrtem(
    particle: Particle,
    view: EmSetup | None = None,
    setup: HrtemSetup | None = None,
    *,
    progress: Progress = silent,
) -> Measurement:
    """Return the HRTEM image of a particle.

    The spreads of focus and angle are envelopes of the wave (quasi-coherent), good where the
    direct beam is much stronger than the others: particles below some 20 nm.

    Parameters
    ----------
    particle : Particle
    view : EmSetup
        Zone axis, tilt, thickness, pixel, margin and displacement parameters; ``blur`` and
        ``exponent`` belong to the preview and are not used.
    setup : HrtemSetup
    progress : Progress

    Returns
    -------
    Measurement
        Kind ``"image"``, axes in Å: intensity of the beam without specimen one, or counted
        electrons per pixel if there is a dose.

    Raises
    ------
    InputError
        A field too large for the grid.
    MissingExtraError
        abTEM is not installed.

    References
    ----------
    Kirkland, Advanced Computing in Electron Microscopy, Springer (2020), chapter 3.
    """
    view, setup = view or EmSetup(), setup or HrtemSetup()
    seen, _ = projected(particle, view)
    nx, ny = canvas(seen, view)
    # the wave's grid is a whole number of times finer than the pixels
    finer = max(1, math.ceil(view.pixel / setup.grid(max(FINEST, setup.aperture or 0.0))))
    grid = (nx * finer, ny * finer)
    if max(grid) > LARGEST_GRID:
        raise InputError(
            f"the wave would need {grid[0]} x {grid[1]} points", place="HrtemSetup.sampling",
            remedy="look at a smaller particle or take a coarser sampling",
        )  # fmt: skip
    size = (nx * view.pixel, ny * view.pixel)
    corner = -np.array([nx // 2, ny // 2]) * view.pixel
    with multislice.abtem() as module:
        atoms = multislice.specimen(particle, view, setup, corner, corner + size)
        entrance = float(atoms.positions[:, 2].min()) - setup.slice_thickness / 2
        total = np.zeros((ny, nx))
        steps: dict[float, Any] = {}
        configurations = max(1, setup.phonons)
        for c in range(configurations):
            at = atoms.displaced(setup.seed, c) - [*corner, 0.0]
            met = multislice.slices(module, atoms.numbers, at, size, grid, setup, entrance)
            plane = module.PlaneWave(energy=setup.energy, gpts=grid, extent=size)
            wave = multislice.through(plane.build(lazy=False), met, steps)
            ctf = module.CTF(
                Cs=setup.cs, defocus=setup.focus, energy=setup.energy,
                semiangle_cutoff=setup.aperture or np.inf,
                focal_spread=setup.focal_spread, angular_spread=setup.angular_spread,
            )  # fmt: skip
            image = np.asarray(wave.apply_ctf(ctf).intensity().array, dtype=float)
            total += _on_pixels(image.reshape(grid).T, (ny, nx)) / configurations
            progress("multislice", (c + 1) / configurations)
    units = ""
    if setup.dose is not None:
        rng = np.random.default_rng([setup.seed, 1])
        total = rng.poisson(np.clip(total, 0, None) * setup.dose * view.pixel**2).astype(float)
        units = "electron"
    metadata = {
        "engine": f"abTEM {module.__version__}",
        "mode": "hrtem",
        "setup": view.to_json(),
        "microscope": {**setup.to_json(), "defocus": setup.focus},
        "atoms": atoms.particle,
        "sampling": view.pixel / finer,
    }
    return as_image(
        total, view.pixel, "hrtem", units, metadata, (multislice.phonon_note(setup, atoms),)
    )


def _on_pixels(values: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return the mean over the area of every pixel, by the Fourier series, on coarser pixels."""
    from scipy import fft, signal

    if values.shape == shape:
        return values
    for axis, n in enumerate(shape):
        values = signal.resample(values, n, axis=axis)
    box = np.multiply.outer(np.sinc(fft.fftfreq(shape[0])), np.sinc(fft.rfftfreq(shape[1])))
    return np.asarray(fft.irfft2(fft.rfft2(values) * box, s=shape))
