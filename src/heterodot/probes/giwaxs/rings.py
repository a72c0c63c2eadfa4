"""Reflections on a map over chi and q: where they are, how wide, how much at each angle.

Peaks are sought on profiles along q of three sectors (all angles, near the normal, near the film),
fitted as pseudo-Voigts on a straight line, and their shapes then laid on every row of the map, so
that neighbors that overlap are told apart row by row by linear least squares.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.probes.xrd.profile import pseudo_voigt
from heterodot.units import Value

if TYPE_CHECKING:
    from heterodot.measurement import Measurement

Floats = NDArray[np.float64]

SECTORS = {"all": (0.0, 90.0), "normal": (0.0, 20.0), "in plane": (70.0, 90.0)}  # degrees
REACH = 3.0  # half windows of a fit, in widths


@dataclass(frozen=True, eq=False)
class Polar:
    """A checked map, folded at the normal.

    Attributes
    ----------
    q : (n_q,) array
        1/Å, equally spaced.
    chi : (n_chi,) array
        Middles of equal steps from 0 to 90 degrees.
    values, error : (n_chi, n_q) arrays
        NaN where nothing was measured.
    wavelength : float or None
        Å.
    notes : tuple of str
    """

    q: Floats
    chi: Floats
    values: Floats
    error: Floats
    wavelength: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Ring:
    """One reflection.

    Attributes
    ----------
    q : Value
        1/Å.
    width : Value
        Full width at half maximum, 1/Å.
    share : float
        Lorentzian share of its shape.
    sector : str
        Where it stands out most: ``"all"``, ``"normal"`` or ``"in plane"``.
    significance : float
        Height over noise there.
    amount, error : (n_chi,) arrays
        Integrated over q at each angle.
    """

    q: Value
    width: Value
    share: float
    sector: str
    significance: float
    amount: Floats
    error: Floats

    @property
    def spacing(self) -> Value:
        """Interplanar distance 2 pi/q, Å."""
        d = 2 * math.pi / self.q.value
        return Value(d, "angstrom", d * (self.q.error or 0.0) / self.q.value)


def polar(measurement: Measurement, steps: int = 90) -> Polar:
    """Return a map checked and folded at the film normal.

    Raises
    ------
    InputError
        Not a map over chi and q, too small, without any finite value, or negative throughout.
    """
    data = measurement.data
    where = measurement.source or "map"
    if set(data.dims) != {"chi", "q"}:
        raise InputError(
            f"has axes {', '.join(map(str, data.dims))}, not chi and q",
            file=where,
            remedy="reduce the detector image first",
        )
    data = data.transpose("chi", "q")
    q = np.asarray(data["q"].values, dtype=float)
    chi = np.asarray(data["chi"].values, dtype=float)
    values = np.asarray(data.values, dtype=float)
    if len(q) < 40 or len(chi) < 12:
        raise InputError(
            f"has only {len(chi)} angles and {len(q)} steps in q",
            file=where,
            remedy="give at least 12 and 40",
        )
    if not (np.isfinite(q).all() and np.isfinite(chi).all()) or (np.diff(q) <= 0).any():
        raise InputError("q does not rise, or an axis has NaN", file=where, place="q")
    if np.abs(chi).max() > 181 or np.ptp(chi) < 20:
        raise InputError(
            f"chi runs from {chi.min():.3g} to {chi.max():.3g}",
            file=where,
            place="chi",
            remedy="give degrees from the film normal, over 20 degrees at least",
        )
    if not np.isfinite(values).any() or np.nanmax(values) <= 0:
        raise InputError("holds no intensity", file=where)
    if "error" in data.coords:
        error = np.asarray(data["error"].transpose("chi", "q").values, dtype=float)
    else:
        error = np.sqrt(np.maximum(values, 1.0))
    return _folded(q, chi, values, error, measurement, steps)


def _folded(
    q: Floats, chi: Floats, values: Floats, error: Floats, measurement: Measurement, steps: int
) -> Polar:
    """Return the mean of both sides, weighted by counting error, on equal steps of |chi|."""
    edges = np.linspace(0, 90, steps + 1)
    row = np.clip(np.digitize(np.abs(chi), edges) - 1, -1, steps)
    ok = np.isfinite(values) & np.isfinite(error) & (error > 0)
    w = np.where(ok, 1 / np.where(ok, error, 1.0) ** 2, 0.0)
    total, weighted = np.zeros((steps, len(q))), np.zeros((steps, len(q)))
    mean, many = np.zeros((steps, len(q))), np.zeros((steps, len(q)))
    for k in np.flatnonzero(row < steps):
        total[row[k]] += w[k]
        weighted[row[k]] += np.where(ok[k], 1.0, 0.0)
        mean[row[k]] += np.where(ok[k], values[k], 0.0)
        many[row[k]] += np.where(ok[k], error[k] ** 2, 0.0)
    # a plain mean: weights from the counts themselves would pull it down
    empty = weighted == 0
    safe = np.where(empty, 1.0, weighted)
    folded = np.where(empty, np.nan, mean / safe)
    sigma = np.where(empty, np.nan, np.sqrt(many) / safe)
    wavelength = measurement.metadata.get("wavelength")
    middle = (edges[1:] + edges[:-1]) / 2
    return Polar(
        q, middle, folded, sigma, None if wavelength is None else float(wavelength),
        tuple(measurement.notes),
    )  # fmt: skip


def sector_profile(data: Polar, low: float, high: float) -> tuple[Floats, Floats]:
    """Return mean over chi of a sector along q and its error, NaN where nothing was measured."""
    rows = (data.chi >= low) & (data.chi <= high)
    ok = np.isfinite(data.values[rows])
    n = ok.sum(0)
    # a column with few measured angles would compare other angles than its neighbors
    enough = n >= max(0.3 * float(n.max(initial=0)), 1)
    safe = np.where(n > 0, n, 1)
    values = np.where(ok, data.values[rows], 0.0).sum(0) / safe
    error = np.sqrt(np.where(ok, data.error[rows] ** 2, 0.0).sum(0)) / safe
    return np.where(enough, values, np.nan), np.where(enough, error, np.nan)


def powder_profile(data: Polar) -> tuple[Floats, Floats, Floats]:
    """Return mean over the sphere (weight sin chi) along q, its error and the share that was seen."""
    weight = np.sin(np.radians(data.chi))[:, None]
    ok = np.isfinite(data.values)
    total = np.where(ok, weight, 0.0).sum(0)
    safe = np.where(total > 0, total, 1.0)
    values = np.where(ok, weight * data.values, 0.0).sum(0) / safe
    error = np.sqrt(np.where(ok, (weight * data.error) ** 2, 0.0).sum(0)) / safe
    share = total / float(weight.sum())
    hidden = total <= 0
    return np.where(hidden, np.nan, values), np.where(hidden, np.nan, error), share


def smooth_background(values: Floats, rounds: int) -> Floats:
    """Return the background of a profile by clipping of peaks (SNIP).

    Ryan, Clayton, Griffin, Sie and Cousens, Nucl. Instrum. Methods B 34, 396 (1988).

    Parameters
    ----------
    values : (n,) array
        Not negative.
    rounds : int
        Half the width of the widest peak, in steps.
    """
    v = np.log(np.log(np.sqrt(np.maximum(values, 0) + 1) + 1) + 1)
    for k in range(rounds, 0, -1):
        inner = (v[: -2 * k] + v[2 * k :]) / 2
        v[k:-k] = np.minimum(v[k:-k], inner)
    return np.asarray((np.exp(np.exp(v) - 1) - 1) ** 2 - 1, dtype=float)


def find_rings(data: Polar, *, least: float = 8.0, most: int = 40) -> list[Ring]:
    """Return the reflections of a map in order of rising q.

    Parameters
    ----------
    data : Polar
    least : float
        Smallest height over noise on a sector's profile.
    most : int
        Largest number (the most significant are kept).

    Raises
    ------
    InputError
        Nothing stands out.
    """
    found: list[dict[str, Any]] = []
    for sector, span in SECTORS.items():
        found += _peaks(data, sector, *span, least)
    kept: list[dict[str, Any]] = []
    for peak in sorted(found, key=lambda p: -p["significance"]):
        if all(_apart(peak, other) for other in kept):
            kept.append(peak)
    kept = sorted(kept[:most], key=lambda p: p["q"])
    if not kept:
        raise InputError(
            "no reflection stands out of the noise",
            place="image",
            remedy="check center, mask and range, or count longer",
        )
    amount, error = amounts(data, kept)
    return [
        Ring(
            Value(p["q"], "1/angstrom", p["q_error"]),
            Value(p["width"], "1/angstrom", p["width_error"]),
            p["share"],
            p["sector"],
            p["significance"],
            amount[k],
            error[k],
        )
        for k, p in enumerate(kept)
    ]


def _apart(one: dict[str, Any], two: dict[str, Any]) -> bool:
    """Return whether two peaks of different sectors are two reflections.

    Two that differ in width by more than half may stand closer: a spot of large crystals on a ring
    of small ones.
    """
    narrow, wide = sorted((one["width"], two["width"]))
    off = abs(one["q"] - two["q"])
    if wide > 1.6 * narrow > 4 * max(one["step"], two["step"]):
        return bool(off > 0.35 * narrow and off > 4 * math.hypot(one["q_error"], two["q_error"]))
    return bool(off > 0.6 * narrow)


def line_shape(q: Floats, center: float, width: float, share: float) -> Floats:
    """Return a reflection's profile along q, of unit area but for the factor (center/q)².

    A node of the reciprocal lattice that is turned over a sphere is thinned out as 1/q² (powder or
    texture alike), which pulls the maximum of a wide line at low q inwards.
    """
    return np.asarray(
        pseudo_voigt(q - center, width, share) * (center / np.maximum(q, 0.2 * center)) ** 2,
        dtype=float,
    )


def _peaks(data: Polar, sector: str, low: float, high: float, least: float) -> list[dict[str, Any]]:
    """Return fitted peaks of one sector's profile."""
    from scipy.signal import find_peaks, peak_widths

    values, error = sector_profile(data, low, high)
    seen = np.flatnonzero(np.isfinite(values))
    if len(seen) < 30:
        return []
    part = slice(int(seen[0]), int(seen[-1]) + 1)
    q, y, sigma = data.q[part], values[part], error[part]
    gaps = ~np.isfinite(y)
    y = np.interp(q, q[~gaps], y[~gaps])
    sigma = np.where(gaps, np.inf, sigma)
    step = float(np.median(np.diff(q)))
    rounds = int(np.clip(0.12 / step, 8, len(q) // 6))
    scale = 1e4 / max(float(y.max()), 1e-300)
    net = y - smooth_background(y * scale, rounds) / scale
    noise = np.where(np.isfinite(sigma), sigma, float(np.nanmax(np.where(gaps, np.nan, sigma))))
    tall = np.maximum(least * noise, 0.004 * float(net.max()))
    peaks, _ = find_peaks(net, height=tall, prominence=0.6 * tall)
    if len(peaks) == 0:
        return []
    widths = np.maximum(peak_widths(net, peaks, rel_height=0.5)[0] * step, 2 * step)
    rows = []
    for group in _groups(q[peaks], widths):
        rows += _fit_group(q, y, sigma, peaks[group], widths[group], net)
    return [
        {**row, "sector": sector, "significance": row["height"] / row["noise"]}
        for row in rows
        if row["height"] > least * row["noise"]
    ]


def _groups(centers: Floats, widths: Floats) -> list[NDArray[np.int64]]:
    """Return indices of peaks whose windows overlap, in groups."""
    groups: list[list[int]] = []
    for k in range(len(centers)):
        if groups:
            last = groups[-1][-1]
            if centers[k] - centers[last] < REACH * 0.8 * (widths[k] + widths[last]) and len(groups[-1]) < 6:  # fmt: skip
                groups[-1].append(k)
                continue
        groups.append([k])
    return [np.array(g) for g in groups]


def _fit_group(
    q: Floats, y: Floats, sigma: Floats, peaks: NDArray[np.int64], widths: Floats, net: Floats
) -> list[dict[str, Any]]:
    """Return peaks fitted together on a straight line."""
    from scipy.optimize import least_squares

    low = q[peaks[0]] - REACH * widths[0]
    high = q[peaks[-1]] + REACH * widths[-1]
    near = (q >= low) & (q <= high) & np.isfinite(sigma)
    n = len(peaks)
    if near.sum() < 4 * n + 3:
        return []
    x, z, s = q[near], y[near], sigma[near]
    tall = float(net[peaks].max())
    middle, span = float(x.mean()), float(np.ptp(x)) or 1.0

    def model(p: Floats) -> Floats:
        curve = p[-2] + p[-1] * (x - middle) / span
        for k in range(n):
            center, width, share, height = p[4 * k : 4 * k + 4]
            top = float(pseudo_voigt(np.zeros(1), width, share)[0])
            curve = curve + height * line_shape(x, center, width, share) / top
        return np.asarray(tall * curve, dtype=float)

    begin, lower, upper = [], [], []
    step = float(np.median(np.diff(q)))
    for k, peak in enumerate(peaks):
        begin += [q[peak], widths[k], 0.5, max(net[peak] / tall, 1e-3)]
        lower += [q[peak] - widths[k], 0.7 * step, 0.0, 0.0]
        upper += [q[peak] + widths[k], 4 * widths[k], 1.0, 20.0]
    base = float(np.median((y - net)[near])) / tall
    begin += [base, 0.0]
    lower += [-np.inf, -np.inf]
    upper += [np.inf, np.inf]
    found = least_squares(
        lambda p: (model(p) - z) / s, np.clip(begin, np.add(lower, 1e-12), np.subtract(upper, 1e-12)),
        bounds=(lower, upper), x_scale="jac", max_nfev=200,
    )  # fmt: skip
    inflate = max(2 * found.cost / max(len(x) - len(begin), 1), 1.0)
    norm = np.linalg.norm(found.jac, axis=0)
    norm[norm == 0] = 1.0
    normal = (found.jac / norm).T @ (found.jac / norm)
    error = np.sqrt(np.abs(np.diag(np.linalg.pinv(normal, rcond=1e-12))) * inflate) / norm
    return [
        {
            "q": float(found.x[4 * k]), "q_error": float(error[4 * k]),
            "width": float(found.x[4 * k + 1]), "width_error": float(error[4 * k + 1]),
            "share": float(found.x[4 * k + 2]), "height": float(found.x[4 * k + 3] * tall),
            "noise": float(max(error[4 * k + 3] * tall, 1e-300)), "step": step,
        }
        for k in range(n)
    ]  # fmt: skip


def amounts(data: Polar, peaks: list[dict[str, Any]]) -> tuple[Floats, Floats]:
    """Return how much of each peak is in each row of the map, and errors, (n_peaks, n_chi).

    Each row is fitted by the peaks' shapes on a straight line, in groups of those that overlap.
    """
    n_chi = len(data.chi)
    amount = np.full((len(peaks), n_chi), np.nan)
    error = np.full((len(peaks), n_chi), np.nan)
    centers = np.array([p["q"] for p in peaks])
    widths = np.array([p["width"] for p in peaks])
    for group in _groups(centers, widths):
        low = centers[group[0]] - REACH * widths[group[0]]
        high = centers[group[-1]] + REACH * widths[group[-1]]
        near = np.flatnonzero((data.q >= low) & (data.q <= high))
        x = data.q[near]
        shapes = [
            line_shape(x, float(centers[k]), float(widths[k]), float(peaks[k]["share"]))
            for k in group
        ]
        columns = np.column_stack([*shapes, np.ones(len(x)), x - x.mean()])
        for row in range(n_chi):
            ok = np.isfinite(data.values[row, near])
            # rows that see less than two thirds of a window cannot tell peak from background
            if ok.sum() < max(0.66 * len(x), columns.shape[1] + 2):
                continue
            fitted, inverse, inflate = _row_fit(
                columns[ok], data.values[row, near][ok], data.error[row, near][ok]
            )
            amount[group, row] = fitted[: len(group)]
            error[group, row] = np.sqrt(np.abs(np.diag(inverse))[: len(group)] * inflate)
    return amount, error


def _row_fit(columns: Floats, values: Floats, error: Floats) -> tuple[Floats, Floats, float]:
    """Return factors, their covariance and reduced chi-square of one row of the map.

    Weights come from a first fit, not from each point's own count: a point that happens to be low
    would otherwise weigh more and pull weak parts down.
    """
    total = float(np.abs(values).sum())
    gain = float((error**2).sum()) / total if total > 0 else 1.0
    variance = np.full(len(values), float(np.mean(error**2)))
    for _ in range(2):
        a = columns / np.sqrt(variance)[:, None]
        inverse = np.linalg.pinv(a.T @ a, rcond=1e-12, hermitian=True)
        fitted = inverse @ (a.T @ (values / np.sqrt(variance)))
        model = columns @ fitted
        least = max(0.02 * float(np.abs(model).max()), 0.1 * total / len(values), 1e-300)
        left = float(((values - model) ** 2 / variance).sum())
        variance = gain * np.maximum(model, least)
    return fitted, inverse, max(left / max(len(values) - columns.shape[1], 1), 1.0)
