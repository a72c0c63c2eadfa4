"""Sizing curves: what the model gives over size, beside what was measured.

Where the effective-mass model is known to fail, the empirical curve is the one to use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from heterodot.catalog.sizing import sizing_curve
from heterodot.electronic.ideal import box, sphere
from heterodot.electronic.levels import levels_of_shape
from heterodot.electronic.materials import Overrides, pure
from heterodot.errors import InputError
from heterodot.units import Value


def empirical_gap(formula: str, size: float) -> Value:
    """Return the first exciton of a nanocrystal by the published sizing curve, eV.

    Parameters
    ----------
    formula : str
    size : float
        Å: diameter of a sphere (PbS, CdS), edge of a cube (perovskites).

    Raises
    ------
    NotFoundError
        No measured curve is known.
    InputError
        The size lies outside the curve's range.

    Examples
    --------
    >>> round(empirical_gap("PbS", 40.0).value, 2)
    1.06
    """
    curve = sizing_curve(formula, measured=True)
    if not curve.covers(size / 10):
        raise InputError(
            f"{size / 10:.2f} nm is outside the curve's {curve.low:g} to {curve.high:g} nm",
            place=formula,
            remedy="give a size in that range, or compute the levels",
        )
    reason = None if curve.energy_error else "the curve's source states none"
    return Value(curve.energy(size / 10), "eV", curve.energy_error, reason)


@dataclass(frozen=True)
class SizingRow:
    """Computed and measured first exciton at one size (Å)."""

    size: float
    computed: Value
    empirical: Value

    @property
    def difference(self) -> float:
        """Computed minus empirical, eV."""
        return self.computed.value - self.empirical.value

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain data."""
        return {
            "size": Value(self.size, "angstrom", None, "chosen").to_json(),
            "computed": self.computed.to_json(),
            "empirical": self.empirical.to_json(),
            "difference_eV": self.difference,
        }


def sizing_table(
    formula: str,
    sizes: Sequence[float] | None = None,
    *,
    phase: str | None = None,
    materials: Overrides | None = None,
    points: int = 32**3,
) -> list[SizingRow]:
    """Return the model's first exciton beside the published curve.

    Parameters
    ----------
    formula : str
        Of a material with a curve.
    sizes : sequence of float, optional
        Å; by default six over the published range.
    phase : str, optional
        Catalog phase, by default the formula's.
    materials, points
        As in `heterodot.electronic.size_map`.
    """
    curve = sizing_curve(formula, measured=True)
    if sizes is None:
        sizes = [float(s) for s in np.linspace(10 * curve.low, 10 * curve.high, 6)]
    bulk = pure(phase or formula, materials)
    rows = []
    for size in sizes:
        expected = empirical_gap(formula, size)
        body = (
            sphere(bulk.name, size, points=points)
            if curve.size_name == "diameter"
            else box(bulk.name, (size,) * 3, points=points)
        )
        found = levels_of_shape(body, (bulk,), states=1)
        assert found.optical_gap is not None
        rows.append(SizingRow(size, found.optical_gap, expected))
    return rows
