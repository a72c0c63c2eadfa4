"""Spectra over photon energy: from any axis, with the Jacobian where it is due.

A density over wavelength (emission) becomes one over energy by dE/dlambda = -h c / lambda^2; an
absorbance is no density and is not scaled. Peaks of an emission spectrum therefore differ
between the two axes (Mooney and Kambhampati, J. Phys. Chem. Lett. 4, 3316 (2013)).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, nearest
from heterodot.measurement import Measurement
from heterodot.units import convert

Array = NDArray[np.float64]

# kinds that are counts or power in a wavelength interval; a PLE is read at one detection band
DENSITIES = ("pl", "emission")


@functools.cache
def photon_constant() -> float:
    """Return h c in eV nm."""
    from scipy.constants import c, e, h

    return float(h * c / e * 1e9)


def energy_of(wavelength: Array | float) -> Array:
    """Return photon energies (eV) of vacuum wavelengths (nm).

    Examples
    --------
    >>> round(float(energy_of(450.0)), 3)
    2.755
    """
    return np.asarray(photon_constant() / np.asarray(wavelength, dtype=float))


def wavelength_of(energy: Array | float) -> Array:
    """Return vacuum wavelengths (nm) of photon energies (eV)."""
    return np.asarray(photon_constant() / np.asarray(energy, dtype=float))


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Values over photon energy, ascending.

    Attributes
    ----------
    energy : (n,) array, eV
    values : (n,) array
        Absorbance, or emission per energy interval.
    sigma : (n,) array or None
        Standard deviation of each value, where the measurement states it.
    name : str
    jacobian : bool
        Whether the values were multiplied by lambda^2 / (h c).
    notes : tuple of str
    """

    energy: Array
    values: Array
    sigma: Array | None = None
    name: str = ""
    jacobian: bool = False
    notes: tuple[str, ...] = field(default=())

    @property
    def wavelength(self) -> Array:
        """Wavelengths in nm, descending."""
        return wavelength_of(self.energy)

    def between(self, low: float, high: float) -> Spectrum:
        """Return the part from ``low`` to ``high`` eV."""
        keep = (self.energy >= low) & (self.energy <= high)
        if keep.sum() < 4:
            raise InputError(
                f"{int(keep.sum())} points lie between {low:g} and {high:g} eV",
                place=self.name or "spectrum",
                remedy=f"the data go from {self.energy[0]:.3f} to {self.energy[-1]:.3f} eV",
            )
        sigma = None if self.sigma is None else self.sigma[keep]
        return Spectrum(
            self.energy[keep], self.values[keep], sigma, self.name, self.jacobian, self.notes
        )


def sample_names(measurement: Measurement) -> list[str]:
    """Return the names of the samples side by side (one empty name if there is one curve)."""
    if "sample" in measurement.data.dims:
        return [str(s) for s in measurement.data["sample"].values]
    return [""]


def energy_spectrum(
    measurement: Measurement, sample: str | int | None = None, *, density: bool | None = None
) -> Spectrum:
    """Return one curve of a measurement over photon energy.

    Parameters
    ----------
    measurement : Measurement
        Over ``wavelength``, ``energy`` or ``wavenumber``.
    sample : str or int, optional
        Name or number (from zero) where several samples stand side by side; default the first,
        or the channel that is named like the kind.
    density : bool, optional
        Whether values are per interval and need the Jacobian; default: for kinds of emission.

    Raises
    ------
    InputError
        No spectral axis, an unknown sample, an axis that is not positive, or fewer than five
        points that are numbers.
    """
    data = measurement.data
    place = measurement.source or measurement.kind
    notes: list[str] = []
    name = ""
    if "sample" in data.dims:
        names = sample_names(measurement)
        index = _sample_index(names, sample, place, measurement.kind)
        name = names[index]
        if len(names) > 1 and sample is None:
            notes.append(f"{len(names)} samples in the file; '{name}' is taken")
        data = data.isel(sample=index)
    axis = next((a for a in ("wavelength", "energy", "wavenumber") if a in data.dims), None)
    if axis is None:
        raise InputError(
            f"the axis is {' and '.join(map(str, data.dims))}",
            place=place,
            remedy="give a spectrum over wavelength or energy",
        )
    x = np.asarray(data[axis].values, dtype=float)
    values = np.asarray(data.values, dtype=float)
    sigma = np.asarray(data["error"].values, dtype=float) if "error" in data.coords else None
    good = np.isfinite(x) & np.isfinite(values)
    if sigma is not None:
        good &= np.isfinite(sigma) & (sigma > 0)
    if not good.all():
        notes.append(f"{int((~good).sum())} point(s) without a number were left out")
    if good.sum() < 5:
        raise InputError(f"{int(good.sum())} usable points", place=place, remedy="give at least 5")
    if (x[good] <= 0).any():
        raise InputError(f"{axis} is not positive everywhere", place=place, remedy="check the axis")
    energy = _energies(x[good], axis, str(data[axis].attrs.get("units", "")))
    values, sigma = values[good], None if sigma is None else sigma[good]
    if density is None:
        density = measurement.kind in DENSITIES
    if density and axis == "wavelength":
        scale = photon_constant() / energy**2
        values = values * scale
        sigma = None if sigma is None else sigma * scale
        notes.append("values per wavelength were turned into values per energy (lambda^2 / h c)")
    order = np.argsort(energy)
    sigma = None if sigma is None else sigma[order]
    jacobian = density and axis == "wavelength"
    return Spectrum(energy[order], values[order], sigma, name, jacobian, tuple(notes))


def _sample_index(names: list[str], sample: str | int | None, place: str, kind: str) -> int:
    if sample is None:  # channels of one instrument: the one that is of the kind that is asked for
        words = {"absorption": ("absorbance", "abs", "od"), "pl": ("fluorescence", "emission")}
        for k, name in enumerate(names):
            if any(name.casefold().startswith(w) for w in words.get(kind, ())):
                return k
        return 0
    if isinstance(sample, str) and sample in names:
        return names.index(sample)
    if isinstance(sample, int) and -len(names) <= sample < len(names):
        return sample % len(names)
    close = nearest(str(sample), names) or names[:4]
    raise InputError(
        f"there is no sample '{sample}'", place=place, remedy=f"choose among {', '.join(close)}"
    )


def _energies(x: Array, axis: str, unit: str) -> Array:
    if axis == "energy":
        return x * convert(1.0, unit or "eV", "eV")
    if axis == "wavenumber":
        from scipy.constants import c, e, h

        per_metre = x * convert(1.0, unit or "1/cm", "1/m")
        return np.asarray(h * c / e * per_metre)
    return energy_of(x * convert(1.0, unit or "nm", "nm"))


def noise_level(values: Array) -> float:
    """Return the standard deviation of point-to-point noise of a smooth curve.

    From third differences by their median, so that peaks and steps do not count. It sees only
    noise that is independent from point to point: a smoothed export looks better than it is.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> curve = np.sin(np.linspace(0, 3, 2000)) + rng.normal(0, 0.01, 2000)
    >>> round(noise_level(curve), 3)
    0.01
    """
    third = np.diff(np.asarray(values, dtype=float), 3)
    if len(third) < 4:
        return 0.0
    # sum of the squares of the coefficients 1, 3, 3, 1 is 20
    return float(1.4826 * np.median(np.abs(third - np.median(third))) / np.sqrt(20.0))
