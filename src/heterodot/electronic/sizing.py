"""Sizing curves: what the model gives over size, beside what was measured.

Where the effective-mass model is known to fail, the empirical curve is the one to use.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from heterodot.electronic.ideal import box, sphere
from heterodot.electronic.levels import levels_of_shape
from heterodot.electronic.materials import Overrides
from heterodot.electronic.size_map import pure
from heterodot.errors import InputError, nearest
from heterodot.units import Value


@dataclass(frozen=True)
class SizingCurve:
    """A published relation of size and first exciton.

    Attributes
    ----------
    formula, body : str
        Material, and ``"sphere"`` (size is a diameter) or ``"cube"`` (an edge).
    form : str
        ``"moreels"``: E = a + 1/(b d² + c d) with d in nm; ``"cubic"``: d = a w³ + b w² + c w + e
        with the wavelength w in nm; ``"points"``: interpolated in 1/d.
    numbers : tuple of float
        Coefficients, or size (nm) and energy (eV) alternating.
    low, high : float
        Range of sizes, Å.
    error : float
        eV.
    source : str
    note : str
    """

    formula: str
    body: str
    form: str
    numbers: tuple[float, ...]
    low: float
    high: float
    error: float
    source: str
    note: str = ""

    def gap(self, size: float) -> Value:
        """Return the first exciton at a size in Å, eV.

        Raises
        ------
        InputError
            Outside the published range.
        """
        if not self.low <= size <= self.high:
            raise InputError(
                f"{size / 10:.2f} nm is outside the curve's {self.low / 10:g} to "
                f"{self.high / 10:g} nm",
                place=self.formula,
                remedy="give a size in that range, or compute the levels",
            )
        d, c = size / 10, self.numbers
        if self.form == "moreels":
            value = c[0] + 1 / (c[1] * d**2 + c[2] * d)
        elif self.form == "cubic":
            value = self._from_wavelength(d)
        else:
            sizes, energies = np.array(c[0::2]), np.array(c[1::2])
            order = np.argsort(1 / sizes)
            value = float(np.interp(1 / d, (1 / sizes)[order], energies[order]))
        return Value(float(value), "eV", self.error)

    def _from_wavelength(self, size: float) -> float:
        from scipy.constants import c, elementary_charge, h
        from scipy.optimize import brentq

        a, b, s, e = self.numbers[:4]
        low, high = self.numbers[4], self.numbers[5]
        wave = brentq(lambda w: a * w**3 + b * w**2 + s * w + e - size, low, high)
        return float(h * c / elementary_charge * 1e9 / wave)


@functools.cache
def sizing_curves() -> dict[str, SizingCurve]:
    """Return the published curves by formula."""
    import yaml

    file = resources.files("heterodot.electronic").joinpath("sizing.yaml")
    records = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {
        r["formula"]: SizingCurve(
            r["formula"], r["body"], r["form"], tuple(float(x) for x in r["numbers"]),
            float(r["low"]), float(r["high"]), float(r["error"]), r["source"], r.get("note", ""),
        )
        for r in records
    }  # fmt: skip


def sizing_curve(formula: str) -> SizingCurve:
    """Return the published curve of a material.

    Raises
    ------
    InputError
        None is known (those that are, are listed).
    """
    curves = sizing_curves()
    if formula not in curves:
        close = nearest(formula, curves, n=1)
        raise InputError(
            f"no sizing curve of '{formula}' is known",
            remedy=(f"did you mean {close[0]}? " if close else "") + f"known: {', '.join(curves)}",
        )
    return curves[formula]


def empirical_gap(formula: str, size: float) -> Value:
    """Return the first exciton of a nanocrystal by the published sizing curve, eV.

    Parameters
    ----------
    formula : str
    size : float
        Å: diameter of a sphere (PbS, CdS), edge of a cube (perovskites).

    Examples
    --------
    >>> str(empirical_gap("PbS", 40.0))
    '1.06(5) eV'
    """
    return sizing_curve(formula).gap(size)


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
    curve = sizing_curve(formula)
    if sizes is None:
        sizes = [float(s) for s in np.linspace(curve.low, curve.high, 6)]
    bulk = pure(phase or formula, materials)
    rows = []
    for size in sizes:
        expected = curve.gap(size)
        body = (
            sphere(bulk.name, size, points=points)
            if curve.body == "sphere"
            else box(bulk.name, (size,) * 3, points=points)
        )
        found = levels_of_shape(body, (bulk,), states=1)
        assert found.optical_gap is not None
        rows.append(SizingRow(size, found.optical_gap, expected))
    return rows
