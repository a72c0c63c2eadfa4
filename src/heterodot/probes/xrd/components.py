"""What a powder pattern is made of: crystalline phases, particle models, amorphous humps.

Each component gives a curve per unit of mass, so that the factors that fit a pattern are masses and
their shares are weight fractions. Micro-absorption is left out, which is right for nanocrystals.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.fitting import Parameter
from heterodot.probes.xrd.amorphous import Hump, hump
from heterodot.probes.xrd.scattering import dispersion, form_factors
from heterodot.probes.xrd.setup import XrdSetup
from heterodot.probes.xrd.shape import column_length, overlap, overlap_terms
from heterodot.probes.xrd.sticks import planes, structure_factors

if TYPE_CHECKING:
    from heterodot.crystal import Crystal

Floats = NDArray[np.float64]

LARGEST = 2000.0  # Å; what is larger than this looks the same in a powder pattern
FWHM = 2 * math.sqrt(2 * math.log(2))


def strain_basis(crystal: Crystal) -> Floats:
    """Return the symmetric strains that a crystal's symmetry allows, (n, 3, 3), orthonormal.

    One for a cubic crystal, six for a triclinic one; any setting of the cell.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> strain_basis(crystal("PbS")).shape
    (1, 3, 3)
    """
    rotations = crystal.point_operations
    raw = []
    for i in range(3):
        for j in range(i, 3):
            strain = np.zeros((3, 3))
            strain[i, j] = strain[j, i] = 1.0
            raw.append(np.mean(rotations @ strain @ rotations.transpose(0, 2, 1), axis=0))
    flat = np.array(raw).reshape(6, 9)
    _, sizes, vectors = np.linalg.svd(flat)
    kept = vectors[: len(sizes)][sizes > 1e-6].reshape(-1, 3, 3)
    if len(kept) == 1:  # cubic: the plain fraction by which the cell is larger
        return np.eye(3)[None]
    if len(kept) == 3 and all(np.allclose(b, np.diag(np.diag(b))) for b in kept):
        return np.array([np.diag(row) for row in np.eye(3)])
    return np.asarray(kept, dtype=float)


@dataclass(frozen=True, eq=False)
class PhaseComponent:
    """A crystalline phase as sums over its reflections.

    Attributes
    ----------
    name : str
    crystal : Crystal
    setup : XrdSetup
    shape : str
        ``"sphere"`` or ``"cube"``.
    spread : float
        Standard deviation of ln(size).
    texture : (3,) ints or None
        Axis of a March-Dollase texture.
    free : tuple of str
        Which of ``cell``, ``size``, ``microstrain``, ``spread`` are refined.
    start_size : float
        Å.
    kept : dict
        The last overlap function, not part of the component's meaning.
    """

    name: str
    crystal: Crystal
    setup: XrdSetup
    shape: str = "sphere"
    spread: float = 0.15
    texture: tuple[int, int, int] | None = None
    free: tuple[str, ...] = ("cell", "size", "microstrain")
    start_size: float = 60.0
    kept: dict[str, Any] = field(default_factory=dict, repr=False)

    @functools.cached_property
    def basis(self) -> Floats:
        """Strains that the cell may take, (n, 3, 3)."""
        return strain_basis(self.crystal)

    @functools.cached_property
    def reflections(self) -> dict[str, Any]:
        """Reflections that reach into the range, with what does not change in a fit."""
        crystal, setup = self.crystal, self.setup
        line = max(setup.lines, key=lambda x: x.weight)
        shortest = min(x.wavelength for x in setup.lines)
        s_max = 2 * math.sin(math.radians(setup.range[1]) / 2) / shortest
        hkl, multiplicity = planes(crystal, 1 / (s_max * 1.08 + 0.03))
        squared = structure_factors(
            crystal, hkl, setup.b_of, line.wavelength if setup.dispersion else None
        )
        if len(squared) == 0:
            raise InputError(
                f"{self.name} has no reflections in {setup.range[0]:g} to {setup.range[1]:g} degrees",
                place="phases",
                remedy="check the wavelength and the range",
            )
        keep = multiplicity * squared > 1e-6 * (multiplicity * squared).max()
        hkl, multiplicity, squared = hkl[keep], multiplicity[keep], squared[keep]
        vectors = hkl @ crystal.reciprocal
        s = np.linalg.norm(vectors, axis=1)
        strength = multiplicity * squared / self._envelope(s) / s
        terms, end = overlap_terms(self.shape, vectors / s[:, None])
        if self.shape == "sphere":
            terms, end, group = terms[:1], end[:1], np.zeros(len(s), dtype=np.int64)
        else:
            group = np.arange(len(s))
        return {
            "hkl": hkl, "multiplicity": multiplicity, "squared": squared, "strength": strength,
            "terms": terms, "end": end, "group": group, "vectors": vectors,
        }  # fmt: skip

    def _envelope(self, s: Floats) -> Floats:
        """Return the sum of |f|² of the cell, with its own displacement factors, (n,)."""
        elements = sorted(self.crystal.counts)
        f = form_factors(elements, 2 * np.pi * s).astype(complex)
        if self.setup.dispersion:
            line = max(self.setup.lines, key=lambda x: x.weight)
            f = f + dispersion(elements, line.wavelength)[:, None]
        b = np.array([self.setup.b_of(e) for e in elements])[:, None]
        n = np.array([self.crystal.counts[e] for e in elements])[:, None]
        return np.asarray((n * np.abs(f) ** 2 * np.exp(-b * s**2 / 2)).sum(0), dtype=float)

    @functools.cached_property
    def cell_mass(self) -> float:
        """Mass of the cell in u."""
        from ase.data import atomic_masses

        return float(atomic_masses[self.crystal.numbers].sum())

    def parameters(self) -> list[Parameter]:
        """Return the phase's own parameters with start values and bounds."""
        found = []
        for k in range(len(self.basis)):
            found.append(
                Parameter(
                    f"{self.name}.strain_{k + 1}", 0.0, "", low=-0.04, high=0.04,
                    fixed="cell" not in self.free,
                )
            )  # fmt: skip
        found.append(
            Parameter(
                f"{self.name}.size", self.start_size, "angstrom", low=10.0, high=LARGEST,
                fixed="size" not in self.free,
            )
        )  # fmt: skip
        found.append(
            Parameter(
                f"{self.name}.microstrain", 0.002 if "microstrain" in self.free else 0.0, "",
                low=0.0, high=0.05, fixed="microstrain" not in self.free,
            )
        )  # fmt: skip
        found.append(
            Parameter(
                f"{self.name}.spread", self.spread, "", low=0.0, high=0.8,
                fixed="spread" not in self.free,
            )
        )  # fmt: skip
        if self.texture is not None:
            found.append(Parameter(f"{self.name}.march", 1.0, "", low=0.2, high=5.0))
        return found

    def cell(self, values: Mapping[str, float]) -> Floats:
        """Return the cell for parameter values, (3, 3), Å."""
        strain = sum(values[f"{self.name}.strain_{k + 1}"] * b for k, b in enumerate(self.basis))
        return np.asarray(self.crystal.cell @ (np.eye(3) + strain), dtype=float)

    def _texture(self, march: float) -> Floats:
        """Return March-Dollase factors, one a reflection (J. Appl. Cryst. 19, 267 (1986))."""
        r = self.reflections
        assert self.texture is not None
        axis = self.crystal.plane_normal(self.texture)
        normals = r["vectors"] / np.linalg.norm(r["vectors"], axis=1)[:, None]
        images = np.einsum("oij,j->oi", self.crystal.point_operations, axis)
        cosine2 = (normals @ images.T) ** 2
        factor = (march**2 * cosine2 + (1 - cosine2) / march) ** -1.5
        return np.asarray(factor.mean(1), dtype=float)

    def curve(self, two_theta: Floats, values: Mapping[str, float]) -> Floats:
        """Return intensity per unit of mass at corrected 2theta (degrees), (n,).

        The profile of a small crystal is taken with all that changes across it: the factor
        1/(s s_h) of the spherical average, the scattering factors and the polarization.
        """
        from heterodot.probes.xrd import _kernels

        r, setup = self.reflections, self.setup
        cell = self.cell(values)
        volume = float(np.linalg.det(cell))
        s_h = np.linalg.norm(r["hkl"] @ np.linalg.inv(cell).T, axis=1)
        size = values[f"{self.name}.size"]
        spread = values[f"{self.name}.spread"]
        strain = values[f"{self.name}.microstrain"]
        longest_end = float(r["end"].max())
        reach = size * longest_end * (math.exp(3.5 * spread) if spread > 1e-3 else 1.0)
        gauss, lorentz = self._instrument(s_h)
        gauss = gauss + 2 * (math.pi * strain * s_h) ** 2
        s_all = [2 * np.sin(np.radians(two_theta) / 2) / x.wavelength for x in setup.lines]
        low = min(float(s.min()) for s in s_all)
        high = max(float(s.max()) for s in s_all)
        step = 1 / (2 * (high + 0.3))
        n_l = int(np.clip(reach / step, 24, 20000)) + 2
        ghost = self._ghost(n_l, step, size, spread)
        weight = r["strength"]
        if self.texture is not None:
            weight = weight * self._texture(values[f"{self.name}.march"])
        transform = _kernels.profile_transform(weight, s_h, gauss, lorentz, r["group"], ghost, step)
        transform[0] /= 2
        used = int(np.flatnonzero(np.abs(transform) > 1e-9 * np.abs(transform[0]))[-1]) + 1
        # s on the grid of a padded FFT, fine enough for a local cubic
        n_fft = 1 << math.ceil(math.log2(max(used * 25.0, 64.0)))
        first = max(int(low * n_fft * step) - 2, 1)
        last = min(int(high * n_fft * step) + 4, n_fft - 1)
        profile = 2 * step * np.fft.fft(transform[:used], n_fft)[first:last].real
        ds = 1 / (n_fft * step)
        s_grid = ds * np.arange(first, last)
        grid, known = self._envelope_table
        per_cell = profile * np.interp(s_grid, grid, known) / (4 * np.pi * s_grid * volume)
        total = np.zeros(len(two_theta))
        for line, s in zip(setup.lines, s_all, strict=True):
            total += line.weight * _kernels.local_cubic(per_cell, first * ds, ds, s)
        return total * setup.polarization_factor(two_theta) / self.cell_mass

    @functools.cached_property
    def _envelope_table(self) -> tuple[Floats, Floats]:
        """Return the envelope on a fine grid of s."""
        shortest = min(x.wavelength for x in self.setup.lines)
        grid = np.linspace(0.0, 2 / shortest, 4000)
        return grid, self._envelope(grid)

    def _ghost(self, n_l: int, step: float, size: float, spread: float) -> Floats:
        """Return A(L) of the phase's reflections; the last one is kept."""
        key = (n_l, step, size, spread)
        if self.kept.get("key") != key:
            r = self.reflections
            self.kept["ghost"] = overlap(
                np.arange(n_l, dtype=float) * step, size, spread, r["terms"], r["end"]
            )
            self.kept["key"] = key
        return np.asarray(self.kept["ghost"], dtype=float)

    def _instrument(self, s_h: Floats) -> tuple[Floats, Floats]:
        """Return damping of the transform by the instrument's width, Gaussian and Lorentzian."""
        setup = self.setup
        line = max(setup.lines, key=lambda x: x.weight)
        sine = np.clip(s_h * line.wavelength / 2, 0, 0.999)
        two_theta = 2 * np.degrees(np.arcsin(sine))
        width = np.radians(np.sqrt(np.maximum(setup.width_squared(two_theta), 0)))
        width = width * np.sqrt(1 - sine**2) / line.wavelength
        # the two widths of the Voigt nearest to the pseudo-Voigt of this share
        eta = setup.instrument_eta
        ratio = eta * (0.72928 + 0.19289 * eta + 0.07783 * eta**2)
        part = max(1 - 0.74417 * eta - 0.24781 * eta**2 - 0.00810 * eta**3, 0.0)
        sigma = width * math.sqrt(part) / FWHM
        return 2 * (math.pi * sigma) ** 2, math.pi * width * ratio

    def column_length(self, values: Mapping[str, float]) -> float:
        """Volume-weighted mean column length, Å."""
        return column_length(values[f"{self.name}.size"], self.shape)


@dataclass(frozen=True, eq=False)
class ParticleComponent:
    """A particle model (or an ensemble) whose Debye pattern is stretched to fit.

    Attributes
    ----------
    name : str
    bodies : sequence
        Particles or ASE atoms.
    setup : XrdSetup
    weights : sequence of float
        Numbers of each.
    """

    name: str
    bodies: Sequence[Any]
    setup: XrdSetup
    weights: Sequence[float] = field(default=())
    stretch_limit: float = 0.03

    @functools.cached_property
    def table(self) -> tuple[float, float, list[Floats]]:
        """Start and step of a q grid, and intensity per unit of mass on it for each line."""
        from ase.data import atomic_masses, atomic_numbers

        from heterodot.probes.xrd.pattern import uniform_intensity

        return uniform_intensity(
            self.bodies,
            list(self.weights) or [1.0] * len(self.bodies),
            self.setup,
            self.stretch_limit + 0.01,
            lambda symbols: float(sum(atomic_masses[atomic_numbers[s]] for s in symbols)),
        )

    def parameters(self) -> list[Parameter]:
        """Return the one parameter: by what fraction all distances are longer."""
        limit = self.stretch_limit
        return [Parameter(f"{self.name}.stretch", 0.0, "", low=-limit, high=limit)]

    def curve(self, two_theta: Floats, values: Mapping[str, float]) -> Floats:
        """Return intensity per unit of mass at corrected 2theta (degrees), (n,)."""
        from heterodot.probes.xrd.debye import resample
        from heterodot.probes.xrd.setup import momentum

        start, step, curves = self.table
        stretch = 1 + values[f"{self.name}.stretch"]
        total = np.zeros(len(two_theta))
        for line, curve in zip(self.setup.lines, curves, strict=True):
            q = momentum(two_theta, line.wavelength) * stretch
            q = np.clip(q, start, start + step * (len(curve) - 1))
            total += line.weight * resample(curve, start, step, q)
        return total * self.setup.polarization_factor(two_theta)


@dataclass(frozen=True, eq=False)
class HumpComponent:
    """The hump of an amorphous scatterer; its factor is a height, not a mass."""

    name: str
    hump: Hump
    setup: XrdSetup

    def parameters(self) -> list[Parameter]:
        """Return position and width in q, within the catalog's ranges, and Lorentzian share."""
        known = self.hump
        return [
            Parameter(
                f"{self.name}.position", known.position, "1/angstrom",
                low=known.position_range[0], high=known.position_range[1],
            ),
            Parameter(
                f"{self.name}.width", known.width, "1/angstrom",
                low=known.width_range[0], high=known.width_range[1],
            ),
            Parameter(f"{self.name}.share", 0.5, "", low=0.0, high=1.0),
        ]  # fmt: skip

    def curve(self, two_theta: Floats, values: Mapping[str, float]) -> Floats:
        """Return the hump with height one at 2theta (degrees), (n,)."""
        name = self.name
        return hump(
            two_theta, self.setup, values[f"{name}.position"], values[f"{name}.width"],
            values[f"{name}.share"],
        )  # fmt: skip


Component = PhaseComponent | ParticleComponent | HumpComponent
