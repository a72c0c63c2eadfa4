"""Lifetimes over an image: every pixel fitted by Poisson likelihood with one shared response."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.measurement import Measurement
from heterodot.probes.decay.convolution import shifted
from heterodot.probes.decay.histogram import prepare
from heterodot.probes.decay.simulation import histogram

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LifetimeMap:
    """Lifetimes of an image's pixels.

    Attributes
    ----------
    lifetimes, lifetimes_error : (n_components, ny, nx) arrays
        Ascending; NaN where a pixel has too few counts or did not converge.
    photons, photons_error : (n_components, ny, nx) arrays
    mean, mean_error : (ny, nx) arrays
        Amplitude-average lifetime.
    background : (ny, nx) array
        Counts a bin.
    reduced : (ny, nx) array
        Deviance over its degrees of freedom.
    shift : float
        Of the response, from the sum of all pixels.
    unit : str
    warnings : tuple of str
    """

    lifetimes: Floats
    lifetimes_error: Floats
    photons: Floats
    photons_error: Floats
    mean: Floats
    mean_error: Floats
    background: Floats
    reduced: Floats
    shift: float
    unit: str
    warnings: tuple[str, ...]


def fit_map(
    measurement: Measurement,
    *,
    irf: Measurement,
    components: int = 1,
    least: float | None = None,
) -> LifetimeMap:
    """Fit every pixel of an image of decays.

    Shift and start values come from the sum of all pixels; amounts, lifetimes and background are
    free in every pixel.

    Parameters
    ----------
    measurement : Measurement
        Axes ``time`` and two more.
    irf : Measurement
        One response for all.
    components : int
        1 or 2 exponentials; more are hardly told apart by a pixel's counts.
    least : float, optional
        Counts below which a pixel is left out; 30 for each lifetime if None.

    Raises
    ------
    InputError
        No image, or no pixel with enough counts.
    """
    from heterodot.probes.decay._kernels import fit_pixels
    from heterodot.probes.decay.fit import fit

    data = measurement.data
    where = measurement.source or measurement.kind
    if data.ndim != 3 or "time" not in data.dims:
        raise InputError(
            f"has axes {', '.join(map(str, data.dims))}, not time and two of an image",
            place=where,
            remedy="give an image of decays",
        )
    if components not in (1, 2):
        raise InputError(f"{components} exponentials in a pixel", remedy="give 1 or 2")
    others = [d for d in data.dims if d != "time"]
    cube = np.asarray(data.transpose(*others, "time").values, dtype=float)
    ny, nx, bins = cube.shape
    if not np.isfinite(cube).all() or (cube < 0).any():
        raise InputError("holds negative or missing counts", place=where, remedy="give raw counts")
    axis = data["time"]
    summed = histogram(
        np.asarray(axis.values), cube.sum(axis=(0, 1)), str(axis.attrs["units"]), source=where
    )
    whole = fit(summed, components, irf=irf)
    h = prepare(summed, irf)
    assert h.irf is not None
    response = np.ascontiguousarray(shifted(h.irf, whole["shift"].value / h.width)[0])
    ratios = np.array([h.width / whole[f"tau_{i}"].value for i in range(1, components + 1)])
    share = np.array([whole[f"intensity_{i}"].value for i in range(1, components + 1)])
    flat = np.ascontiguousarray(cube.reshape(-1, bins))
    enough = least if least is not None else 30.0 * components
    if not (flat.sum(axis=1) >= enough).any():
        raise InputError(
            f"no pixel has {enough:.0f} counts", place=where, remedy="bin the pixels together"
        )
    n = flat.shape[0]
    values = np.full((n, 2 * components + 2), np.nan)
    errors = np.full_like(values, np.nan)
    costs, done = np.full(n, np.nan), np.zeros(n, dtype=np.bool_)
    fit_pixels(flat, response, ratios, share, enough, values, errors, costs, done)
    values[~done], errors[~done] = np.nan, np.nan
    tau = np.exp(values[:, components : 2 * components]) * h.width
    amount = np.exp(values[:, :components])
    order = np.argsort(np.nan_to_num(tau, nan=np.inf), axis=1)
    tau_error = tau * errors[:, components : 2 * components]
    amount_error = amount * errors[:, :components]

    def image(a: Floats) -> Floats:
        return np.moveaxis(np.take_along_axis(a, order, axis=1).reshape(ny, nx, -1), 2, 0)

    warnings = []
    tried = flat.sum(axis=1) >= enough
    if (tried & ~done).any():
        warnings.append(f"{int((tried & ~done).sum())} pixels did not converge")
    if (~tried).any():
        warnings.append(f"{int((~tried).sum())} pixels have fewer than {enough:.0f} counts")
    return LifetimeMap(
        image(tau),
        image(tau_error),
        image(amount),
        image(amount_error),
        values[:, -1].reshape(ny, nx) * h.width,
        errors[:, -1].reshape(ny, nx) * h.width,
        values[:, 2 * components].reshape(ny, nx),
        (costs / max(bins - 2 * components - 1, 1)).reshape(ny, nx),
        whole["shift"].value,
        h.unit,
        tuple(warnings),
    )
