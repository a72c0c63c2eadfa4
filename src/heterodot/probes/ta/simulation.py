"""Transient absorption of a kinetic scheme: what a spectrometer would record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.errors import InputError
from heterodot.measurement import Measurement
from heterodot.probes.ta.response import FWHM, moments, rise
from heterodot.probes.ta.scheme import Scheme

Floats = NDArray[np.float64]


def simulate(
    scheme: Scheme,
    spectra: ArrayLike,
    time: ArrayLike,
    wavelength: ArrayLike,
    *,
    rates: Mapping[str, float] | None = None,
    fwhm: float = 0.1,
    time_zero: float = 0.0,
    chirp: Sequence[float] = (),
    reference: float | None = None,
    artefact: float = 0.0,
    noise: ArrayLike = 0.0,
    dataset: str = "",
    seed: int = 0,
) -> Measurement:
    """Return the difference absorbance of a scheme with given species' spectra.

    Parameters
    ----------
    scheme : Scheme
    spectra : (n_species, n_wavelengths) array
        Difference absorbance of one unit of each species.
    time : (n_times,) array
        Delays in the scheme's unit.
    wavelength : (n_wavelengths,) array, nm
    rates : mapping, optional
        Rate constants and fractions; those of the scheme where not given.
    fwhm : float
        Of the Gaussian response.
    time_zero : float
    chirp : sequence of float
        Coefficients of ((wavelength - reference)/100 nm)^n, n = 1, 2...
    reference : float, optional
        nm; the middle of the range if None.
    artefact : float
        Amplitude of a coherent artefact (first derivative of the response).
    noise : float or array
        Standard deviation of the normal noise.
    seed : int

    Examples
    --------
    >>> from heterodot.probes.ta import read_scheme
    >>> scheme = read_scheme("A -> GS : k = 1 /ps")
    >>> flat = simulate(scheme, [[1.0, 2.0]], [-5.0, 0.0, 1.0], [500.0, 510.0], fwhm=1e-3)
    >>> np.round(flat.data.values[:, 1], 3)
    array([0.   , 1.   , 0.736])
    """
    import xarray as xr

    t, nm = np.asarray(time, float), np.asarray(wavelength, float)
    s = np.asarray(spectra, float)
    if s.shape != (len(scheme.species), nm.size):
        raise InputError(
            f"spectra have the shape {s.shape}",
            remedy=f"give {len(scheme.species)} species (rows) at {nm.size} wavelengths",
        )
    values = {p.name: p.value for p in scheme.rates} | dict.fromkeys(scheme.fractions, 1.0)
    values |= dict(rates or {})
    k, weights = scheme.modes(dataset, values)
    middle = reference if reference is not None else float(np.round(0.5 * (nm[0] + nm[-1])))
    x = (nm - middle) / 100.0
    zero = time_zero + sum((c * x**n for n, c in enumerate(chirp, 1)), np.zeros(nm.size))
    sigma = fwhm / FWHM
    model = np.einsum("wjt,js,sw->tw", rise(t, zero, k, sigma), weights, s)
    if artefact:
        model = model + artefact * moments(t, zero, sigma, 2)[:, 1].T
    spread = np.broadcast_to(np.asarray(noise, float), model.shape)
    model = model + spread * np.random.default_rng(seed).standard_normal(model.shape)
    array = xr.DataArray(
        model,
        dims=("time", "wavelength"),
        coords={
            "time": ("time", t, {"units": scheme.time_unit}),
            "wavelength": ("wavelength", nm, {"units": "nm"}),
        },
        name="difference_absorbance",
        attrs={"units": ""},
    )
    return Measurement(array, "ta", "simulated")
