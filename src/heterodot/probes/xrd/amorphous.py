"""Humps of amorphous scatterers in a powder pattern (fumed silica from the drying of samples)."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.probes.xrd.profile import pseudo_voigt
from heterodot.probes.xrd.setup import XrdSetup, momentum

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Hump:
    """First sharp diffraction peak of an amorphous scatterer, in q (1/Å).

    Attributes
    ----------
    name : str
    position, width : float
        Maximum and full width at half maximum.
    position_range, width_range : (low, high)
        How far a fit may move them.
    source : str
    """

    name: str
    position: float
    width: float
    position_range: tuple[float, float]
    width_range: tuple[float, float]
    source: str


@functools.cache
def hump_of(name: str = "silica") -> Hump:
    """Return a catalog hump.

    Raises
    ------
    InputError
        Unknown name.
    """
    import yaml

    file = resources.files("heterodot.catalog").joinpath("data/scattering/amorphous.yaml")
    records = {r["id"]: r for r in yaml.safe_load(file.read_text(encoding="utf-8"))}
    if name not in records:
        raise InputError(
            f"'{name}' is not a known amorphous scatterer",
            remedy=f"choose among {', '.join(records)}",
        )
    r = records[name]
    return Hump(
        r["name"],
        float(r["position"]),
        float(r["width"]),
        (float(r["position_range"][0]), float(r["position_range"][1])),
        (float(r["width_range"][0]), float(r["width_range"][1])),
        str(r["source"]["citation"]),
    )


def hump(
    two_theta: Floats, setup: XrdSetup, position: float, width: float, share: float = 0.5
) -> Floats:
    """Return a hump with maximum one, a pseudo-Voigt in q of Lorentzian ``share``, at 2theta."""
    q = momentum(two_theta, setup.mean_wavelength)
    shape = pseudo_voigt(q - position, width, share)
    return np.asarray(shape / float(pseudo_voigt(np.zeros(1), width, share)[0]), dtype=float)
