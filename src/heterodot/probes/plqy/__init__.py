"""Quantum yields and transfer efficiencies."""

from heterodot.probes.plqy.sphere import (
    SphereYield,
    composite_yield,
    photons_between,
    second_band_yield,
    sphere_yield,
)
from heterodot.probes.plqy.transfer import (
    CIRCULAR,
    Consistency,
    TransferRow,
    consistency,
    needed_calibration,
    rounding_error,
    transfer_efficiency,
)

__all__ = [
    "CIRCULAR",
    "Consistency",
    "SphereYield",
    "TransferRow",
    "composite_yield",
    "consistency",
    "needed_calibration",
    "photons_between",
    "rounding_error",
    "second_band_yield",
    "sphere_yield",
    "transfer_efficiency",
]
