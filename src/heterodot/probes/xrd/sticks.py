"""Reflections of a bulk crystal: positions, multiplicities, structure factors, intensities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.probes.xrd.scattering import dispersion, form_factors
from heterodot.probes.xrd.setup import XrdSetup, angle

if TYPE_CHECKING:
    from heterodot.crystal import Crystal
    from heterodot.measurement import Measurement

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sticks:
    """Bulk reflections in order of falling d; one row per set of equivalent planes.

    Attributes
    ----------
    phase : str
    hkl : (n, 3) int array
        One of each set, in the crystal's own cell.
    d : (n,) array
        Å.
    two_theta : (n,) array
        Degrees, at the strongest line of the source.
    multiplicity : (n,) int array
        Planes in the set, (hkl) and (-h-k-l) both counted.
    structure_factor : (n,) array
        Root mean square |F| over the set, electrons per cell.
    intensity : (n,) array
        Integrated intensity (m |F|² LP), the strongest set to 100.
    """

    phase: str
    hkl: NDArray[np.int64]
    d: Floats
    two_theta: Floats
    multiplicity: NDArray[np.int64]
    structure_factor: Floats
    intensity: Floats

    def __len__(self) -> int:
        return len(self.d)

    def records(self) -> list[dict[str, Any]]:
        """Return one plain dictionary a reflection."""
        return [
            {
                "hkl": [int(x) for x in self.hkl[i]],
                "d": float(self.d[i]),
                "two_theta": float(self.two_theta[i]),
                "multiplicity": int(self.multiplicity[i]),
                "structure_factor": float(self.structure_factor[i]),
                "intensity": float(self.intensity[i]),
            }
            for i in range(len(self))
        ]

    def to_measurement(self) -> Measurement:
        """Return intensity over 2theta with d, hkl and multiplicity beside it."""
        import xarray as xr

        from heterodot.measurement import Measurement

        data = xr.DataArray(
            self.intensity,
            dims="two_theta",
            name="intensity",
            coords={
                "two_theta": ("two_theta", self.two_theta, {"units": "deg"}),
                "d": ("two_theta", self.d, {"units": "angstrom"}),
                "multiplicity": ("two_theta", self.multiplicity, {"units": ""}),
                "hkl": ("two_theta", [" ".join(map(str, row)) for row in self.hkl], {"units": ""}),
            },
            attrs={"units": "", "long_name": "relative intensity"},
        )
        return Measurement(data, "xrd-sticks", "simulated", "", {"phase": self.phase})


def planes(crystal: Crystal, d_min: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return one (hkl) of each set of equivalent planes with d >= d_min, and multiplicities.

    Equivalence is that of the Laue class (with inversion), lattice centering is not applied here.

    Raises
    ------
    InputError
        More than two million planes.
    """
    cell = crystal.cell
    limit = np.floor(np.linalg.norm(cell, axis=1) / d_min + 1e-9).astype(int)
    if np.prod(2.0 * limit + 1) > 2e6:
        raise InputError(
            f"there are too many reflections above d = {d_min:.3g} Å",
            place=crystal.name,
            remedy="take a smaller range of 2theta",
        )
    grid = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in limit], indexing="ij"), -1).reshape(
        -1, 3
    )
    grid = grid[np.any(grid != 0, axis=1)]
    lengths = np.linalg.norm(grid @ crystal.reciprocal, axis=1)
    grid = grid[lengths <= 1 / d_min * (1 + 1e-12)]
    if len(grid) == 0:
        return np.zeros((0, 3), dtype=np.int64), np.zeros(0, dtype=np.int64)
    rotations = crystal.symmetry.rotations
    span = 2 * int(np.abs(grid).max()) + 1
    key_of = np.array([span * span, span, 1])
    best = np.full(len(grid), np.iinfo(np.int64).min)
    for rotation in rotations:
        image = grid @ rotation
        key = image @ key_of
        best = np.maximum(best, np.maximum(key, -key))
    _, first, counts = np.unique(best, return_index=True, return_counts=True)
    own = grid @ key_of
    chosen = np.array([np.flatnonzero(own == best[i])[0] for i in first])
    return grid[chosen].astype(np.int64), counts.astype(np.int64)


def structure_factors(
    crystal: Crystal, hkl: NDArray[np.int64], b_of: Any, wavelength: float | None
) -> Floats:
    """Return |F|² averaged over Friedel mates, (n,), in squared electrons per cell.

    Parameters
    ----------
    crystal : Crystal
    hkl : (n, 3) int array
    b_of : callable
        Element symbol to B in Å².
    wavelength : float or None
        Å, for dispersion; None leaves it out.
    """
    symbols = list(crystal.symbols)
    elements = sorted(set(symbols))
    index = np.array([elements.index(s) for s in symbols])
    s2 = (np.linalg.norm(hkl @ crystal.reciprocal, axis=1) / 2) ** 2
    f = form_factors(elements, 4 * np.pi * np.sqrt(s2)).astype(complex)
    if wavelength is not None:
        f = f + dispersion(elements, wavelength)[:, None]
    f = f * np.exp(-np.array([b_of(e) for e in elements])[:, None] * s2)
    phase = np.exp(2j * np.pi * (hkl @ crystal.scaled.T))
    weight = f[index].T
    forward = (weight * phase).sum(1)
    backward = (weight * phase.conj()).sum(1)
    return np.asarray((np.abs(forward) ** 2 + np.abs(backward) ** 2) / 2, dtype=float)


def lorentz_polarization(two_theta: Floats, setup: XrdSetup) -> Floats:
    """Return the powder factor P(2theta) / (sin²theta cos theta)."""
    theta = np.radians(two_theta) / 2
    return np.asarray(
        setup.polarization_factor(two_theta) / (np.sin(theta) ** 2 * np.cos(theta)), dtype=float
    )


def sticks(crystal: Crystal, setup: XrdSetup | None = None) -> Sticks:
    """Return the reflections of a bulk crystal in the range of a set-up.

    Intensities are m |F|² LP without absorption or texture; extinct planes are left out.

    Raises
    ------
    InputError
        An element without scattering factor, or too many reflections.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> lines = sticks(crystal("PbS"), XrdSetup("CuKa1", range=(20, 45)))
    >>> [("".join(map(str, h)), round(t, 2)) for h, t in zip(lines.hkl, lines.two_theta.tolist())]
    [('111', 25.98), ('200', 30.08), ('220', 43.07)]
    """
    setup = setup or XrdSetup()
    wavelength = max(setup.lines, key=lambda line: line.weight).wavelength
    low, high = setup.range
    d_min = wavelength / (2 * np.sin(np.radians(high) / 2))
    hkl, multiplicity = planes(crystal, d_min)
    squared = structure_factors(crystal, hkl, setup.b_of, wavelength if setup.dispersion else None)
    d = 1 / np.linalg.norm(hkl @ crystal.reciprocal, axis=1) if len(hkl) else np.zeros(0)
    two_theta = angle(d, wavelength)
    keep = (two_theta >= low) & (two_theta <= high)
    if len(squared):
        keep &= squared > 1e-8 * squared.max()
    order = np.flatnonzero(keep)[np.argsort(-d[keep], kind="stable")]
    hkl, multiplicity, squared = hkl[order], multiplicity[order], squared[order]
    d, two_theta = d[order], two_theta[order]
    weight = multiplicity * squared * lorentz_polarization(two_theta, setup)
    if len(weight):
        weight = weight / weight.max() * 100
    return Sticks(crystal.name, hkl, d, two_theta, multiplicity, np.sqrt(squared), weight)


def strongest(found: Sticks, n: int = 3) -> Sequence[int]:
    """Return the indices of the strongest reflections, strongest first."""
    return [int(i) for i in np.argsort(-found.intensity)[:n]]
