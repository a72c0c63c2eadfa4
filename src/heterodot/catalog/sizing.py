"""Sizing curves: the size of a nanocrystal from its first exciton, and back.

A curve is a record with the name of a form below and its parameters; nothing is evaluated.

References
----------
I. Moreels et al., ACS Nano 3, 3023 (2009); W. W. Yu et al., Chem. Mater. 15, 2854 (2003);
L. E. Brus, J. Chem. Phys. 80, 4403 (1984) for the confined exciton.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.catalog import database
from heterodot.catalog.records import Source
from heterodot.errors import InputError, NotFoundError, nearest
from heterodot.units import Value

Array = NDArray[np.float64]

# <1/|r1 - r2|> of two particles in the ground state of a cube of unit edge (tests recompute it)
CUBE_COULOMB = 3.047


def _hc() -> float:
    """Return h c in eV nm."""
    from scipy.constants import c, e, h

    return float(h * c / e * 1e9)


def _rational(d: Array, p: Mapping[str, Any]) -> Array:
    return np.asarray(p["gap"] + 1.0 / (p["a"] * d**2 + p["b"] * d + p.get("c", 0.0)))


def _cube_exciton(d: Array, p: Mapping[str, Any]) -> Array:
    from scipy.constants import e, epsilon_0, h, m_e, pi

    edge = d * 1e-9
    kinetic = 3 * h**2 / (8 * p["reduced_mass"] * m_e * edge**2) / e
    coulomb = CUBE_COULOMB * e / (4 * pi * epsilon_0 * p["dielectric"] * edge)
    return np.asarray(p["gap"] + kinetic - coulomb)


def _polynomial(d: Array, p: Mapping[str, Any]) -> Array:
    """Invert d(wavelength) on its rising branch, by a table fine enough for 1e-6 nm."""
    wavelength = np.linspace(200.0, 1500.0, 26001)
    size = np.polynomial.polynomial.polyval(wavelength, p["coefficients"])
    rising = _rising(size, float(np.median(d)))
    return np.asarray(_hc() / np.interp(d, size[rising], wavelength[rising]))


def _points(d: Array, p: Mapping[str, Any]) -> Array:
    """Interpolate measured energies linearly in 1/d."""
    turned = 1.0 / np.asarray(p["sizes"], dtype=float)
    order = np.argsort(turned)
    energies = np.asarray(p["energies"], dtype=float)
    return np.asarray(np.interp(1.0 / d, turned[order], energies[order]))


def _rising(size: Array, inside: float) -> slice:
    """Return the rising stretch of ``size`` that holds the value ``inside``."""
    up = np.diff(size) > 0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], up, [False]]).astype(int)))
    best, chosen = math.inf, slice(0, len(size))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        low, high = size[start], size[stop]
        distance = max(low - inside, inside - high, 0.0)
        if distance < best:
            best, chosen = distance, slice(int(start), int(stop) + 1)
    return chosen


FORMS: dict[str, Callable[[Array, Mapping[str, Any]], Array]] = {
    "rational": _rational,
    "polynomial": _polynomial,
    "cube_exciton": _cube_exciton,
    "points": _points,
}


@dataclass(frozen=True)
class SizingCurve:
    """First exciton of nanocrystals of one phase against their size.

    Attributes
    ----------
    id, phase : str
    form : str
        Name of the form, one of ``FORMS``.
    parameters : mapping
    size_name : str
        ``"diameter"`` or ``"edge"``.
    low, high : float
        Sizes that the curve was made from, nm.
    scatter : float or None
        Standard deviation of measured sizes about the curve, as a fraction.
    energy_error : float or None
        Error of the curve's energy, eV.
    source : Source
    note : str
    measured : bool
        Whether it follows measured sizes (else it is a model).

    Examples
    --------
    >>> curve = sizing_curve("PbS")
    >>> round(curve.energy(2.86), 3), str(curve.size(1.395, 0.01))
    (1.395, '2.86(2) nm')
    """

    id: str
    phase: str
    form: str
    parameters: Mapping[str, Any]
    size_name: str
    low: float
    high: float
    scatter: float | None
    energy_error: float | None
    source: Source
    note: str = ""
    measured: bool = True

    def energy(self, size: float) -> float:
        """Return the first exciton (eV) at a size (nm)."""
        return float(FORMS[self.form](np.asarray([size], dtype=float), self.parameters)[0])

    def size(self, energy: float, error: float | None = None) -> Value:
        """Return the size (nm) at an energy (eV), with the error of both energy and curve.

        Parameters
        ----------
        energy, error : float
            First exciton and its standard error, eV.

        Raises
        ------
        InputError
            The energy lies outside what the curve covers (by more than a tenth in size).
        """
        grid = np.linspace(self.low * 0.9, self.high * 1.1, 4001)
        curve = FORMS[self.form](grid, self.parameters)
        if not curve[-1] <= energy <= curve[0]:
            raise InputError(
                f"a first exciton at {energy:.3f} eV lies outside the sizing curve of {self.phase} "
                f"({curve[-1]:.3f} to {curve[0]:.3f} eV for {self.high:g} to {self.low:g} nm)",
                remedy="check the assignment of the peak or give another curve",
            )
        size = float(np.interp(-energy, -curve, grid))
        step = 1e-4 * size
        slope = abs(self.energy(size + step) - self.energy(size - step)) / (2 * step)
        terms = [(x or 0.0) / slope for x in (error, self.energy_error)]
        terms.append((self.scatter or 0.0) * size)
        total = math.hypot(*terms)
        if total == 0.0:
            return Value(size, "nm", None, "neither the peak nor the curve states an error")
        return Value(size, "nm", total)

    def covers(self, size: float) -> bool:
        """Whether a size (nm) is within the sizes that the curve was made from."""
        return self.low <= size <= self.high


@functools.cache
def _records() -> dict[str, dict[str, Any]]:
    found: list[dict[str, Any]] = database.records(
        "SELECT record FROM curve WHERE quantity = ? ORDER BY id", ("sizing_curve",)
    )
    return {r["id"]: r for r in found}


def sizing_phases() -> list[str]:
    """Return the phases that have a sizing curve."""
    return sorted({str(r["phase"]) for r in _records().values()})


def sizing_curve(phase: str, *, measured: bool = False) -> SizingCurve:
    """Return the sizing curve of a formula (``"PbS"``), a phase id or the id of a curve.

    Parameters
    ----------
    phase : str
    measured : bool
        Only a curve that follows measured sizes, not one that is itself a model.

    Raises
    ------
    NotFoundError
        There is none for the phase (those that there are get listed).
    """
    records = _records()
    formula = phase.split("_")[0]
    chosen = [r for r in records.values() if r["id"] == phase or r["phase"] in (phase, formula)]
    if measured:
        chosen = [r for r in chosen if r.get("measured", True)]
    if not chosen:
        known = sizing_phases()
        close = nearest(phase, known, 1)
        raise NotFoundError(
            f"the catalog has no sizing curve of {phase}",
            remedy=f"it has those of {', '.join(close or known)}",
        )
    record = sorted(chosen, key=lambda r: (r["id"] != phase, not r.get("default")))[0]
    source = record["source"]
    return SizingCurve(
        record["id"],
        record["phase"],
        record["form"],
        record["parameters"],
        record["size"],
        float(record["range"][0]),
        float(record["range"][1]),
        record.get("scatter"),
        record.get("energy_error"),
        Source(source["citation"], source.get("doi", "")),
        record.get("note", ""),
        bool(record.get("measured", True)),
    )
