"""Scattering below the gap: a power of the wavelength, found in the clear range and taken away.

References
----------
C. F. Bohren and D. R. Huffman, Absorption and Scattering of Light by Small Particles (Wiley,
1983): lambda^-4 for particles far below the wavelength, towards lambda^0 for large ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.fitting import Fit, Parameter, least_squares
from heterodot.probes.spectrum import Spectrum
from heterodot.units import Value

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scattering:
    """A scattering background.

    Attributes
    ----------
    exponent : Value
        n in A = a (E / E_0)^n.
    fit : Fit
    background : (n,) array
        Over the whole spectrum.
    corrected : Spectrum
        With the background taken away; its sigma holds the error of the extrapolation.
    warnings : tuple of str
    """

    exponent: Value
    fit: Fit
    background: Array
    corrected: Spectrum
    warnings: tuple[str, ...] = ()


def scattering(spectrum: Spectrum, below: float, *, offset: bool = False) -> Scattering:
    """Fit a power law to the absorbance below an energy and take it away everywhere.

    Parameters
    ----------
    spectrum : Spectrum
    below : float
        Only energies under this (eV), where nothing absorbs, are fitted.
    offset : bool
        Allow a constant baseline beside the power law.

    Raises
    ------
    InputError
        Fewer than eight points below.
    """
    clear = spectrum.energy < below
    if clear.sum() < 8:
        raise InputError(
            f"{int(clear.sum())} points lie below {below:g} eV",
            place="scattering",
            remedy="measure further into the clear range",
        )
    x, y = spectrum.energy[clear] / below, spectrum.values[clear]
    sigma = None if spectrum.sigma is None else spectrum.sigma[clear]
    start = max(float(y[-3:].mean()), 1e-6)

    def model(p: object, at: Array = x) -> Array:
        return np.asarray(p["offset"] + p["height"] * at ** p["exponent"])  # type: ignore[index]

    fit = least_squares(
        model,
        [
            Parameter("height", start, "", low=0.0),
            Parameter("exponent", 3.0, "", low=0.0, high=6.0),
            Parameter("offset", 0.0, "", fixed=not offset),
        ],
        y,
        sigma=sigma,
        name="scattering",
    )
    values = {n: p.value for n, p in fit.parameters.items()}
    everywhere = spectrum.energy / below
    background = model(values, everywhere)
    error = _error(fit, values, everywhere)
    old = np.zeros_like(everywhere) if spectrum.sigma is None else spectrum.sigma
    warnings = list(fit.warnings)
    share = float(background[-1] / max(spectrum.values[-1], 1e-300))
    if share > 0.5:
        warnings.append(
            f"scattering would make {100 * share:.0f} % of the absorbance at the highest energy: "
            "the power law is extrapolated too far"
        )
    sigma_new = np.hypot(old, error)
    corrected = replace(
        spectrum,
        values=spectrum.values - background,
        sigma=sigma_new if (sigma_new > 0).all() else None,
        notes=(*spectrum.notes, "scattering was taken away"),
    )
    p = fit["exponent"]
    return Scattering(
        Value(p.value, "", p.error, p.note or None), fit, background, corrected, tuple(warnings)
    )


def _error(fit: Fit, values: dict[str, float], at: Array) -> Array:
    if fit.covariance is None or not np.isfinite(fit.covariance).all():
        return np.zeros_like(at)
    shape = at ** values["exponent"]
    columns = {
        "height": shape,
        "exponent": values["height"] * shape * np.log(at),
        "offset": np.ones_like(at),
    }
    gradient = np.column_stack([columns[n] for n in fit.free])
    variance = np.einsum("ni,ij,nj->n", gradient, fit.covariance, gradient)
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)))
