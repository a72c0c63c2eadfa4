"""The repeat along the film normal from a series of (00l) lines, with refraction where it matters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.probes.giwaxs.films import inside
from heterodot.units import Value

Floats = NDArray[np.float64]

TOLERANCE = 0.012  # largest relative misfit of a line of the series


@dataclass(frozen=True)
class Layers:
    """A series of lines along the normal.

    Attributes
    ----------
    spacing : Value
        Repeat distance, Å, corrected for refraction where that is known.
    uncorrected : Value
        The same without refraction.
    orders : tuple of int
    q : tuple of float
        1/Å, as measured.
    misfit : float
        Reduced chi-square of the series.
    critical : Value or None
        Critical angle used or fitted, degrees.
    note : str
    """

    spacing: Value
    uncorrected: Value
    orders: tuple[int, ...]
    q: tuple[float, ...]
    misfit: float
    critical: Value | None
    note: str

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "spacing": self.spacing.to_json(), "uncorrected": self.uncorrected.to_json(),
            "orders": list(self.orders), "q": list(self.q), "misfit": self.misfit,
            "critical_angle": None if self.critical is None else self.critical.to_json(),
            "note": self.note,
        }  # fmt: skip


def allowed(q: Floats, sigma: Floats, incidence: float | None, wavelength: float) -> Floats:
    """Return how far lines may be off multiples: by errors, and by what refraction may move them."""
    k = 2 * math.pi / wavelength
    refraction = 0.0 if incidence is None else k * math.sin(math.radians(incidence))
    return np.asarray(np.maximum(5 * sigma / q, TOLERANCE) + refraction / q, dtype=float)


def orders_of(
    q: Sequence[float],
    error: Sequence[float],
    highest: int = 6,
    incidence: float | None = None,
    wavelength: float = 1.0,
) -> list[int] | None:
    """Return the orders that make lines multiples of one q, None if they are no series.

    The longest repeat is not taken but the shortest that explains all: the first line gets the
    smallest order for which every other line is a multiple too.

    Examples
    --------
    >>> orders_of([0.376, 0.752, 1.504], [0.001] * 3), orders_of([0.4, 0.47], [0.001] * 2)
    ([1, 2, 4], None)
    """
    values = np.asarray(q, dtype=float)
    sigma = np.asarray(error, dtype=float)
    for first in range(1, highest + 1):
        unit = values[0] / first
        n = np.round(values / unit)
        limit = allowed(values, sigma, incidence, wavelength)
        if first > 2 and len(values) < first + 1:
            break  # with few lines some fine comb always fits
        if (n >= 1).all() and (np.abs(values / unit / n - 1) < limit).all():
            return [int(k) for k in n]
    return None


def layers(
    q: Sequence[float],
    error: Sequence[float],
    *,
    wavelength: float,
    incidence: float | None = None,
    critical: float | None = None,
    fit_critical: bool = False,
    orders: Sequence[int] | None = None,
) -> Layers | None:
    """Return the repeat distance of a series of lines along the normal.

    Parameters
    ----------
    q, error : sequences
        Positions on the normal as measured outside the film, and standard errors, 1/Å.
    wavelength : float
        Å.
    incidence : float, optional
        Degrees; without it refraction cannot be corrected.
    critical : float, optional
        Critical angle of the film, degrees (see `heterodot.probes.giwaxs.films.critical_angle`).
    fit_critical : bool
        Fit it as well; with two lines only nothing is left to check the fit.
    orders : sequence of int, optional
        Known orders.

    Returns
    -------
    Layers or None
        None where fewer than two lines are multiples of one.
    """
    values = np.asarray(q, dtype=float)
    sigma = np.maximum(np.asarray(error, dtype=float), 1e-7)
    found = (
        list(orders)
        if orders is not None
        else orders_of(values.tolist(), sigma.tolist(), incidence=incidence, wavelength=wavelength)
    )
    if found is None or len(values) < 2:
        return None
    n = np.asarray(found, dtype=float)
    plain, plain_error, misfit = _line(values, sigma, n)
    spacing = Value(2 * math.pi / plain, "angstrom", 2 * math.pi * plain_error / plain**2)
    if incidence is None or (critical is None and not fit_critical):
        note = "refraction not corrected: no critical angle" if incidence is not None else (
            "refraction not corrected: no angle of incidence"
        )  # fmt: skip
        return Layers(spacing, spacing, tuple(found), tuple(q), misfit, None, note)
    k = 2 * math.pi / wavelength
    if fit_critical:
        return _with_critical(values, sigma, n, k, incidence, spacing, tuple(found))
    angle = critical or 0.0
    corrected, slope_error, left = _line(inside(values, k, incidence, angle), sigma, n)
    d = 2 * math.pi / corrected
    return Layers(
        Value(d, "angstrom", 2 * math.pi * slope_error / corrected**2), spacing, tuple(found),
        tuple(q), left, Value(angle, "deg", None, "given or computed, not fitted"),
        "corrected for refraction",
    )  # fmt: skip


def _line(q: Floats, sigma: Floats, n: Floats) -> tuple[float, float, float]:
    """Return slope of q = n b, its error (widened by misfit) and reduced chi-square."""
    w = 1 / sigma**2
    slope = float((w * n * q).sum() / (w * n * n).sum())
    chi2 = float((w * (q - slope * n) ** 2).sum())
    reduced = chi2 / max(len(q) - 1, 1)
    return slope, math.sqrt(max(reduced, 1.0) / float((w * n * n).sum())), reduced


def _with_critical(
    q: Floats,
    sigma: Floats,
    n: Floats,
    k: float,
    incidence: float,
    plain: Value,
    orders: tuple[int, ...],
) -> Layers:
    """Fit repeat and critical angle together.

    Chi-square over the critical angle has a kink where it meets the angle of incidence, so the
    angle is scanned; its error is where chi-square has risen by one (times the misfit).
    """
    grid = np.linspace(0.0, 1.0, 501)
    squares, slopes, errors = [], [], []
    for angle in grid:
        moved = inside(q, k, incidence, float(angle))
        slope, error, reduced = _line(moved, sigma, n)
        squares.append(reduced * max(len(q) - 1, 1))
        slopes.append(slope)
        errors.append(error)
    chi2 = np.array(squares)
    # the largest angle of those that fit alike would be as good: the middle of them is taken
    lowest = np.flatnonzero(chi2 <= chi2.min() + 1e-9)
    best = int(lowest[len(lowest) // 2])
    dof = max(len(q) - 2, 1)
    inflate = max(float(chi2[best]) / dof, 1.0)
    near = np.flatnonzero(chi2 < chi2[best] + inflate)
    angles, repeats = grid[near], 2 * math.pi / np.array(slopes)[near]
    d = 2 * math.pi / slopes[best]
    own = 2 * math.pi * errors[best] / slopes[best] ** 2
    spread = float(np.ptp(repeats)) / 2
    half = float(np.ptp(angles)) / 2
    edge = near[-1] == len(grid) - 1 or near[0] == 0
    critical = Value(
        float(grid[best]), "deg", None if edge else max(half, float(grid[1]) / 2),
        "only a limit: the lines hardly depend on it" if edge else None,
    )  # fmt: skip
    return Layers(
        Value(float(d), "angstrom", math.hypot(own, spread)), plain, orders,
        tuple(float(x) for x in q), float(chi2[best]) / dof, critical,
        "corrected for refraction with the critical angle fitted",
    )  # fmt: skip


def phases_by_repeat(
    spacing: Value, cells: Mapping[str, Sequence[float]], limit: float = 0.02
) -> list[dict[str, Any]]:
    """Return phases that have planes along an axis of the cell at the repeat distance.

    Parameters
    ----------
    spacing : Value
        Å.
    cells : mapping of phase to (a, b, c, alpha, beta, gamma)
        Å and degrees.
    limit : float
        Largest relative mismatch.

    Examples
    --------
    >>> found = phases_by_repeat(Value(16.7, "angstrom", 0.02), {"x": (8.1, 8.1, 33.4, 90, 90, 90)})
    >>> found[0]["plane"], round(found[0]["mismatch"], 4)
    ([0, 0, 2], 0.0)
    """
    found = []
    for name, cell in cells.items():
        for axis, d in enumerate(_axis_spacings(cell)):
            for order in (1, 2, 3, 4):
                mismatch = spacing.value / (d / order) - 1
                if abs(mismatch) < limit:
                    plane = [0, 0, 0]
                    plane[axis] = order
                    found.append(
                        {
                            "phase": name, "plane": plane, "spacing": d / order,
                            "mismatch": mismatch,
                            "sigmas": abs(mismatch) * spacing.value / spacing.error
                            if spacing.error else None,
                        }
                    )  # fmt: skip
    return sorted(found, key=lambda row: (abs(float(str(row["mismatch"]))), sum(row["plane"])))


def _axis_spacings(cell: Sequence[float]) -> list[float]:
    from ase.geometry import cellpar_to_cell

    reciprocal = np.linalg.inv(cellpar_to_cell(list(cell))).T
    return [1 / float(np.linalg.norm(row)) for row in reciprocal]
