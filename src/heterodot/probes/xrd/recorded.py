"""A recorded pattern made fit to be fitted: order, duplicates, units and noise, each said aloud."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError

if TYPE_CHECKING:
    from heterodot.measurement import Measurement

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Recorded:
    """A pattern that was checked.

    Attributes
    ----------
    two_theta, intensity, sigma : (n,) arrays
        Rising angles in degrees, values, one standard deviation each.
    noise : str
        ``"counting"`` (values are counts), ``"stated"`` or ``"estimated"``.
    notes : tuple of str
        What was put right, for the user to see.
    wavelength : float or None
        Å, where the file says so.
    """

    two_theta: Floats
    intensity: Floats
    sigma: Floats
    noise: str
    notes: tuple[str, ...]
    wavelength: float | None = None

    def between(self, low: float, high: float) -> Recorded:
        """Return the part of the pattern in a range of 2theta.

        Raises
        ------
        InputError
            Fewer than twenty points are left.
        """
        keep = (self.two_theta >= low) & (self.two_theta <= high)
        if keep.sum() < 20:
            raise InputError(
                f"only {int(keep.sum())} points lie in {low:g} to {high:g} degrees",
                place="range",
                remedy=f"the file has {self.two_theta[0]:g} to {self.two_theta[-1]:g} degrees",
            )
        return Recorded(
            self.two_theta[keep],
            self.intensity[keep],
            self.sigma[keep],
            self.noise,
            self.notes,
            self.wavelength,
        )


def recorded(measurement: Measurement) -> Recorded:
    """Return a checked pattern.

    Descending angles are put in order, doubled ones averaged, and both are noted.

    Raises
    ------
    InputError
        Not a curve; fewer than 20 points; NaN; angles in radians or outside 0 to 180 degrees;
        negative counts; nothing but zeros.
    """
    data = measurement.data
    where = measurement.source or "pattern"
    if data.ndim != 1:
        raise InputError(f"has {data.ndim} axes, not one", file=where, remedy="give a 1-D pattern")
    axis = str(data.dims[0])
    x = np.asarray(data[axis].values, dtype=float)
    y = np.asarray(data.values, dtype=float)
    unit = str(data[axis].attrs.get("units", "deg")).lower()
    if unit in ("rad", "radian", "radians"):
        x = np.degrees(x)
    error = np.asarray(data["error"].values, dtype=float) if "error" in data.coords else None
    notes: list[str] = []
    _finite(x, y, where)
    if len(x) < 20:
        raise InputError(f"has {len(x)} points", file=where, remedy="a pattern needs at least 20")
    if x.min() >= 0 and x.max() <= np.pi and np.ptp(x) > 0.05:
        raise InputError(
            f"2theta runs from {x.min():.4g} to {x.max():.4g}, which looks like radians",
            file=where,
            place="two_theta",
            remedy="multiply the first column by 57.29578 (180/pi)",
        )
    if x.min() <= 0 or x.max() >= 180:
        raise InputError(
            f"2theta runs from {x.min():.4g} to {x.max():.4g}",
            file=where,
            place="two_theta",
            remedy="give 2theta in degrees, above 0 and below 180",
        )
    if (np.diff(x) < 0).any():
        falling = (np.diff(x) < 0).all()
        notes.append(
            "angles were descending; put in rising order"
            if falling
            else "angles were out of order; sorted"
        )
        order = np.argsort(x, kind="stable")
        x, y = x[order], y[order]
        error = None if error is None else error[order]
    x, y, error, repeats = _merged(x, y, error)
    if repeats is not None:
        notes.append(f"{int((repeats - 1).sum())} points at angles met before were averaged")
    sigma, noise = _sigma(y, error, repeats, where, notes)
    return Recorded(x, y, sigma, noise, tuple(notes), _wavelength(measurement))


def _wavelength(measurement: Measurement) -> float | None:
    """Return the wavelength (Å) that a file states, as a number, a text or a line's name."""
    from heterodot.probes.xrd.setup import lines_of

    wanted = r"wave\s*-?_?length|lambda|k-?alpha_?1?$"
    # readers write "wavelength"; a ratio or a second line of the doublet is not what is asked for
    other = r"ratio|alpha_?2|beta|average|unit"
    keys = sorted(measurement.metadata, key=lambda key: str(key).lower() != "wavelength")
    for key in keys:
        value = measurement.metadata[key]
        name = str(key)
        if not re.search(wanted, name, re.IGNORECASE) or re.search(other, name, re.IGNORECASE):
            continue
        words = [str(value), *re.split(r"[\s,;()]+", str(value))]
        for word in words:
            try:
                lines = lines_of(word)
            except InputError:
                continue
            return sum(line.wavelength * line.weight for line in lines)
    return None


def _finite(x: Floats, y: Floats, where: str) -> None:
    bad = np.flatnonzero(~(np.isfinite(x) & np.isfinite(y)))
    if len(bad):
        raise InputError(
            f"{len(bad)} value{' is not a number' if len(bad) == 1 else 's are not numbers'}",
            file=where,
            place=f"point {bad[0] + 1}",
            remedy="remove those lines or export the file again",
        )


def _merged(
    x: Floats, y: Floats, error: Floats | None
) -> tuple[Floats, Floats, Floats | None, Floats | None]:
    values, index, repeats = np.unique(x, return_inverse=True, return_counts=True)
    if len(values) == len(x):
        return x, y, error, None
    if len(values) < 20:
        raise InputError(
            f"has only {len(values)} different angles", remedy="check which column is 2theta"
        )
    mean = np.bincount(index, y) / repeats
    if error is not None:
        error = np.sqrt(np.bincount(index, error**2)) / repeats
    return values, mean, error, repeats.astype(float)


def _sigma(
    y: Floats, error: Floats | None, repeats: Floats | None, where: str, notes: list[str]
) -> tuple[Floats, str]:
    """Return one standard deviation a point and where it comes from."""
    if y.max() <= 0:
        raise InputError("has no positive intensity", file=where, remedy="check the columns")
    if error is not None and np.isfinite(error).all() and (error > 0).all():
        return error, "stated"
    whole = repeats is None and bool(np.all(np.abs(y - np.round(y)) < 1e-6))
    n = 1.0 if repeats is None else repeats
    if y.min() < 0:
        if whole or y.min() < -0.05 * y.max():
            raise InputError(
                f"it has negative counts ({int((y < 0).sum())}, lowest {y.min():g})",
                file=where,
                place="intensity",
                remedy="give counts as recorded, without background subtracted",
            )
        notes.append("some values are below zero: was a background subtracted?")
    if whole and np.median(y) >= 3:
        return np.sqrt(np.maximum(y, 1.0)), "counting"
    # third differences leave noise and little of a smooth curve; variance taken as a line in y
    third = np.convolve(y, [1, -3, 3, -1], "valid") ** 2 / 20
    middle = np.clip((y[1:-2] + y[2:-1]) / 2, 0, None)
    level = middle + 0.02 * float(y.max())
    factor = float(np.median(third / level) / 0.455)
    floor = (1e-4 * float(y.max())) ** 2
    notes.append("values are not counts: their noise was estimated from point to point")
    variance = factor * np.maximum(np.abs(y), 0.02 * y.max()) + floor
    return np.sqrt(variance / n), "estimated"
