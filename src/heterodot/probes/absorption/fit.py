"""The verb ``fit`` of absorption: a measurement and the name of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from heterodot.errors import InputError, nearest
from heterodot.measurement import Measurement
from heterodot.probes.absorption.domains import Decomposition, decompose
from heterodot.probes.absorption.elliott import ElliottFit, elliott
from heterodot.probes.absorption.exciton import FirstExciton, first_exciton
from heterodot.probes.absorption.tauc import TaucEdge, tauc
from heterodot.probes.spectrum import energy_spectrum

MODELS: dict[str, Callable[..., Any]] = {
    "tauc": tauc,
    "elliott": elliott,
    "exciton": first_exciton,
    "domains": decompose,
}


def fit(
    measurement: Measurement, model: str = "elliott", *, sample: str | int | None = None, **how: Any
) -> TaucEdge | ElliottFit | FirstExciton | Decomposition:
    """Fit an absorption spectrum with a model by name.

    Parameters
    ----------
    measurement : Measurement
        Over wavelength, energy or wavenumber.
    model : {"tauc", "elliott", "exciton", "domains"}
    sample : str or int, optional
        Which curve, where several stand side by side.
    **how
        Options of the model's function; ``domains`` needs ``phases=["CsPbBr3", "PbS"]``.

    Raises
    ------
    InputError
        An unknown model, or as the model's function.
    """
    if model not in MODELS:
        close = nearest(model, MODELS) or list(MODELS)
        raise InputError(f"'{model}' is not a model", remedy=f"choose among {', '.join(close)}")
    spectrum = energy_spectrum(measurement, sample, density=False)
    found: TaucEdge | ElliottFit | FirstExciton | Decomposition = MODELS[model](spectrum, **how)
    return found
