"""The verb ``fit`` of emission: bands of a measurement."""

from __future__ import annotations

from typing import Any

from heterodot.measurement import Measurement
from heterodot.probes.emission.peaks import EmissionFit, fit_emission
from heterodot.probes.spectrum import energy_spectrum


def fit(
    measurement: Measurement,
    shape: str = "lognormal",
    *,
    sample: str | int | None = None,
    **how: Any,
) -> EmissionFit:
    """Fit the bands of an emission spectrum over energy (see `fit_emission` for the options).

    Parameters
    ----------
    measurement : Measurement
        Over wavelength (multiplied by lambda^2 / h c), energy or wavenumber.
    shape : str
        Of the bands.
    sample : str or int, optional
        Which curve, where several stand side by side.
    """
    return fit_emission(energy_spectrum(measurement, sample, density=True), shape=shape, **how)
