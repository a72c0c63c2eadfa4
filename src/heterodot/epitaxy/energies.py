"""Energies of interfaces as quantities with unit and their known limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from heterodot.units import Value

LIMIT = (
    "rigid ions and a flat cut: adhesion is a lower bound and the interface energy an upper bound "
    "of the ionic potential, which itself is good to a factor of about two"
)


def with_units(parts: Mapping[str, float]) -> dict[str, Any]:
    """Return adhesion, interface and elastic energy of a relation's parts, with units.

    Adhesion is the work per area that parts the two crystals; the interface energy is that of the
    interface over both bulk crystals (surfaces that vanish minus adhesion). They are not the same.

    Examples
    --------
    >>> with_units({"elastic": 0.001})["elastic"]["unit"]
    'eV/angstrom^2'
    """
    found: dict[str, Any] = {}
    for key, reason in (
        ("adhesion", LIMIT),
        ("interface", LIMIT),
        ("elastic", "linear elasticity of two layers of 3 nm"),
    ):
        if key in parts:
            found[key] = Value(
                float(parts[key]), "eV/angstrom^2", None, error_reason=reason
            ).to_json()
    return found
