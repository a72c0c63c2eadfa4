"""STEM images by multislice: HAADF, annular and plain bright field, and iDPC, through abTEM.

iDPC is the integrated center of mass of the diffraction pattern, which a detector of four
quadrants approaches (Lazic, Bosch and Lazar, Ultramicroscopy 160, 265 (2016)).
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
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

DETECTORS = ("haadf", "abf", "bf", "idpc")
TILE = 4.0  # Å: probes of a tile share one window of the potential
MOMENTS = ("total", "x", "y", "square")


@dataclass(frozen=True)
class StemSetup(multislice.Beam):
    """A scanning microscope.

    Attributes
    ----------
    convergence : float
        Semi-angle of the probe, mrad.
    defocus : float
        Å that the focus lies below the entrance face.
    source : float
        Full width at half maximum of the effective source in the image, Å.
    haadf, abf, bf : (inner, outer)
        Collection semi-angles, mrad.
    idpc : float
        Outer collection semi-angle of the center of mass, mrad.
    reach : float or None
        Å of specimen around a probe that act on it; None takes 5 Å, or more where the cone
        of the probe opens wider in the thickness.
    """

    convergence: float = 21.0
    defocus: float = 0.0
    source: float = 0.8
    haadf: tuple[float, float] = (60.0, 80.0)
    abf: tuple[float, float] = (11.0, 21.0)
    bf: tuple[float, float] = (0.0, 10.0)
    idpc: float = 60.0
    reach: float | None = None

    def __post_init__(self) -> None:
        """Refuse what no microscope does."""
        super().__post_init__()
        multislice.check_limits(
            {
                "convergence": (self.convergence, 1.0, 60.0, "mrad"),
                "defocus": (self.defocus, -1e5, 1e5, "Å"),
                "source": (self.source, 0.0, 10.0, "Å"),
                "idpc": (self.idpc, 2.0, 300.0, "mrad"),
                "reach": (5.0 if self.reach is None else self.reach, 1.0, 200.0, "Å"),
            },
            "StemSetup",
        )
        for name in ("haadf", "abf", "bf"):
            inner, outer = getattr(self, name)
            if not 0 <= inner < outer <= 400:
                raise InputError(
                    f"{inner:g} to {outer:g} mrad is no detector", place=f"StemSetup.{name}",
                    remedy="give the inner, then the outer semi-angle in mrad",
                )  # fmt: skip


def simulate_stem(
    particle: Particle,
    view: EmSetup | None = None,
    setup: StemSetup | None = None,
    detectors: Sequence[str] = ("haadf",),
    *,
    workers: int | None = None,
    progress: Progress = silent,
) -> dict[str, Measurement]:
    """Return STEM images of a particle, all detectors from one scan.

    Every probe goes by multislice through the atoms within its reach. The scan is as fine as the
    probe's band limit asks for and is interpolated, without loss, to the pixels of ``view``.

    Parameters
    ----------
    particle : Particle
    view : EmSetup
        Zone axis, tilt, thickness, pixel, margin and displacement parameters; ``blur`` and
        ``exponent`` belong to the preview and are not used.
    setup : StemSetup
    detectors : names
        Among ``"haadf"``, ``"abf"``, ``"bf"``, ``"idpc"``.
    workers : int, optional
        Threads; all cores up to 8 if not given. The images do not depend on it.
    progress : Progress

    Returns
    -------
    dict of str to Measurement
        Kind ``"image"``, axes in Å: the collected fraction of the beam, or counted electrons if
        there is a dose; for iDPC the phase in rad.

    Raises
    ------
    InputError
        An unknown detector, or a grid too coarse for it.
    MissingExtraError
        abTEM is not installed.

    Notes
    -----
    With thermal displacements the default grid gives HAADF within 2 % (ten Pb and S atoms in a
    column) to 8 % (three) of one 2.5 times finer; atoms at rest need a sampling of 0.045 Å. The
    reach of 5 Å costs 3 %, the disk of bright field is drawn on steps of wavelength over window.

    References
    ----------
    Kirkland, Advanced Computing in Electron Microscopy, Springer (2020).
    """
    view, setup = view or EmSetup(), setup or StemSetup()
    names = _checked(detectors)
    with multislice.abtem() as module:
        scan = _Scan(module, particle, view, setup, names)
        total = scan.run(workers or min(os.cpu_count() or 1, 8), progress)
    metadata = {
        "engine": f"abTEM {module.__version__}",
        "setup": view.to_json(),
        "microscope": setup.to_json(),
        "atoms": scan.specimen.particle,
        "sampling": scan.sampling,
        "scan": list(scan.shape[::-1]),
        "reach": scan.reach,
    }
    notes = (multislice.phonon_note(setup, scan.specimen),)
    images = {}
    for number, name in enumerate(names):
        rng = np.random.default_rng([setup.seed, 1, DETECTORS.index(name)])
        values, units = scan.finished(total, name, rng)
        images[name] = as_image(
            values, view.pixel, name, units, {**metadata, "mode": name, "number": number}, notes
        )
    return images


def _checked(detectors: Sequence[str]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(detectors))
    unknown = [n for n in names if n not in DETECTORS]
    if unknown or not names:
        raise InputError(
            f"'{', '.join(unknown)}' is no detector", place="detectors",
            remedy=f"give some of {', '.join(DETECTORS)}",
        )  # fmt: skip
    return names


class _Scan:
    """One scan over the field, in tiles."""

    def __init__(
        self,
        module: Any,
        particle: Particle,
        view: EmSetup,
        setup: StemSetup,
        names: tuple[str, ...],
    ) -> None:
        from scipy import fft

        self.module, self.view, self.setup, self.names = module, view, setup, names
        seen, keep = projected(particle, view)
        self.pixels = canvas(seen, view)[::-1]
        self.size = np.array(self.pixels[::-1]) * view.pixel
        self.corner = -np.array([n // 2 for n in self.pixels[::-1]]) * view.pixel
        # intensity of a probe holds frequencies up to twice those of its aperture
        band = setup.wavelength / (4 * setup.convergence * 1e-3)
        self.shape = tuple(
            min(n, math.ceil(length / band))
            for n, length in zip(self.pixels, self.size[::-1], strict=True)
        )
        self.step = self.size / np.array(self.shape[::-1])
        thickness = float(np.ptp(seen[keep, 2])) + setup.support
        self.reach = setup.reach or max(
            5.0, 4.5 + setup.convergence * 1e-3 * (0.6 * thickness + abs(setup.defocus))
        )
        angles = [setup.idpc if n == "idpc" else getattr(setup, n)[1] for n in names]
        self.largest = max([*angles, setup.convergence])
        # a part of the probe on one side is scattered across to the edge of the detector
        wanted = setup.grid(self.largest + setup.convergence)
        self.per_tile = [max(1, round(TILE / s)) for s in self.step]
        edge = max(n * s for n, s in zip(self.per_tile, self.step, strict=True)) + 2 * self.reach
        self.gpts = fft.next_fast_len(math.ceil(edge / wanted))
        self.window = edge
        self.sampling = edge / self.gpts
        cutoff = 1e3 * setup.wavelength * multislice.BAND / (2 * self.sampling)
        if cutoff < self.largest:
            raise InputError(
                f"a grid of {self.sampling:.3f} Å holds angles up to {cutoff:.0f} mrad, the "
                f"detectors reach {self.largest:g} mrad", place="StemSetup.sampling",
                remedy="take a finer grid, or leave it open",
            )  # fmt: skip
        reach = np.array([self.reach, self.reach])
        self.specimen = multislice.specimen(
            particle, view, setup, self.corner - reach, self.corner + self.size + reach
        )
        self.entrance = float(self.specimen.positions[:, 2].min()) - setup.slice_thickness / 2
        self.empty: dict[str, float] = {}

    def run(self, workers: int, progress: Progress) -> dict[str, NDArray[np.float64]]:
        """Return the mean over the configurations of everything that is detected, on the scan."""
        keys = [n for n in self.names if n != "idpc"]
        if "idpc" in self.names:
            keys += list(MOMENTS)
        total = {key: np.zeros(self.shape) for key in keys}
        self.empty = {k: float(v[0, 0]) for k, v in self._probes(None, (0, 0), (1, 1)).items()}
        configurations = max(1, self.setup.phonons)
        tiles = [
            (c, r0, c0)
            for c in range(configurations)
            for r0 in range(0, self.shape[0], self.per_tile[1])
            for c0 in range(0, self.shape[1], self.per_tile[0])
        ]
        displaced = {c: self.specimen.displaced(self.setup.seed, c) for c in range(configurations)}
        pool = ThreadPoolExecutor(workers)
        try:
            jobs = [pool.submit(self._tile, displaced[c], r0, c0) for c, r0, c0 in tiles]
            for done, ((_, r0, c0), job) in enumerate(zip(tiles, jobs, strict=True)):
                for key, values in job.result().items():
                    rows, columns = values.shape
                    total[key][r0 : r0 + rows, c0 : c0 + columns] += values / configurations
                progress("multislice", (done + 1) / len(tiles))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return total

    def _tile(self, positions: NDArray[np.float64], r0: int, c0: int) -> dict[str, Any]:
        """Return what the probes of one tile give, arrays (rows, columns)."""
        rows = min(self.per_tile[1], self.shape[0] - r0)
        columns = min(self.per_tile[0], self.shape[1] - c0)
        first = self.corner + self.step * [c0, r0]
        middle = first + self.step * [columns - 1, rows - 1] / 2
        at = positions - [*(middle - self.window / 2), 0.0]
        inside = ((at[:, :2] >= 0) & (at[:, :2] < self.window)).all(axis=1)
        if not inside.any():
            return {k: np.full((rows, columns), v) for k, v in self.empty.items()}
        met = multislice.slices(
            self.module, self.specimen.numbers[inside], at[inside],
            (self.window, self.window), (self.gpts, self.gpts), self.setup, self.entrance,
        )  # fmt: skip
        return self._probes(met, tuple(first - middle + self.window / 2), (columns, rows))

    def _probes(
        self, met: multislice.Slices | None, start: tuple[float, ...], count: tuple[int, int]
    ) -> dict[str, Any]:
        """Return what probes on a grid of positions give, (rows, columns); None is vacuum."""
        module, setup = self.module, self.setup
        probe = module.Probe(
            energy=setup.energy, semiangle_cutoff=setup.convergence, gpts=(self.gpts, self.gpts),
            extent=(self.window, self.window), Cs=setup.cs, defocus=setup.defocus,
        )  # fmt: skip
        detectors = [
            module.PixelatedDetector(max_angle=min(self._held(), 1.02 * setup.idpc))
            if name == "idpc"
            else module.AnnularDetector(*getattr(setup, name))
            for name in self.names
        ]
        steps: dict[float, Any] = {}
        rows = []
        # row by row: the waves of one row stay in a processor's cache
        for r in range(count[1]):
            low = (start[0], start[1] + r * self.step[1])
            high = (start[0] + count[0] * self.step[0], low[1] + self.step[1])
            scan = module.GridScan(start=low, end=high, gpts=(count[0], 1), endpoint=False)
            waves = multislice.through(probe.build(scan=scan, lazy=False), met, steps)
            row: dict[str, Any] = {}
            for name, detector in zip(self.names, detectors, strict=True):
                found = detector.detect(waves)
                if name == "idpc":
                    row.update(self._moments(found, count[0]))
                else:
                    row[name] = np.asarray(found.array, dtype=float).reshape(count[0])
            rows.append(row)
        return {key: np.array([row[key] for row in rows]) for key in rows[0]}

    def _held(self) -> float:
        """Return the largest angle that the grid holds, mrad."""
        return float(1e3 * self.setup.wavelength * multislice.BAND / (2 * self.sampling))

    def _moments(self, patterns: Any, count: int) -> dict[str, Any]:
        """Return sums of 1, kx, ky, k² over the patterns within the collection angle."""
        kx, ky = (np.asarray(k, dtype=float) for k in patterns.coordinates)
        top = self.setup.idpc * 1e-3 / self.setup.wavelength
        inside = np.hypot(kx[:, None], ky[None, :]) <= top
        array = np.asarray(patterns.array, dtype=float).reshape(count, kx.size, ky.size) * inside
        along_x, along_y = array.sum(axis=2), array.sum(axis=1)
        return {
            "total": along_x.sum(axis=1),
            "x": along_x @ kx,
            "y": along_y @ ky,
            "square": along_x @ kx**2 + along_y @ ky**2,
        }

    def finished(
        self, total: dict[str, NDArray[np.float64]], name: str, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], str]:
        """Return the image of one detector on the pixels of the view, with noise, and its unit."""
        fitted = {
            key: resampled(values, self.pixels, self.view.pixel, self.setup.source)
            for key, values in total.items()
            if key == name or (name == "idpc" and key in MOMENTS)
        }
        dose = None if self.setup.dose is None else self.setup.dose * self.view.pixel**2
        if name != "idpc":
            if dose is None:
                return fitted[name], ""
            return rng.poisson(np.clip(fitted[name], 0, None) * dose).astype(float), "electron"
        beam = np.clip(fitted["total"], 1e-6, None)
        shift = np.stack([fitted["x"], fitted["y"]]) / beam
        if dose is not None:
            # a mean over N electrons scatters by the width of the pattern over sqrt(N)
            square = np.clip(fitted["square"] / beam - (shift**2).sum(axis=0), 0, None) / 2
            shift = shift + rng.normal(size=shift.shape) * np.sqrt(square / (beam * dose))
        return integrated(shift[0], shift[1], self.view.pixel), "radian"


def resampled(
    values: NDArray[np.float64], shape: tuple[int, ...], pixel: float, source: float
) -> NDArray[np.float64]:
    """Return a periodic, band-limited field on other pixels, blurred by the source (FWHM, Å)."""
    from scipy import fft, signal

    for axis, n in enumerate(shape):
        if values.shape[axis] != n:
            values = signal.resample(values, n, axis=axis)
    if source <= 0:
        return np.asarray(values)
    sigma = source / math.sqrt(8 * math.log(2))
    q2 = np.add.outer(fft.fftfreq(shape[0], pixel) ** 2, fft.rfftfreq(shape[1], pixel) ** 2)
    spread = fft.rfft2(values) * np.exp(-2 * (math.pi * sigma) ** 2 * q2)
    return np.asarray(fft.irfft2(spread, s=shape))


def integrated(x: NDArray[np.float64], y: NDArray[np.float64], pixel: float) -> NDArray[np.float64]:
    """Return the phase (rad) whose gradient over 2 pi is (x, y) in 1/Å, lowest value zero.

    Least squares over a periodic field, in Fourier space (Lazic et al. 2016, eq. 13).

    Examples
    --------
    >>> t = np.arange(32) * 2 * np.pi / 32
    >>> phase = np.cos(t)[None, :] + np.zeros((32, 1))
    >>> slope = -np.sin(t)[None, :] * (2 * np.pi / 32) / (2 * np.pi) + np.zeros((32, 1))
    >>> float(np.ptp(integrated(slope, 0 * slope, 1.0) - phase).round(9))
    0.0
    """
    from scipy import fft

    ny, nx = x.shape
    qy, qx = fft.fftfreq(ny, pixel)[:, None], fft.rfftfreq(nx, pixel)[None, :]
    q2 = qx**2 + qy**2
    q2[0, 0] = 1.0
    spectrum = (fft.rfft2(x) * qx + fft.rfft2(y) * qy) / (1j * q2)
    spectrum[0, 0] = 0.0
    phase = fft.irfft2(spectrum, s=(ny, nx))
    return np.asarray(phase - phase.min())
