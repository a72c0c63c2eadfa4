"""A curve as a sum of reference curves with amounts that are not negative."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.probes.spectrum import Spectrum, noise_level
from heterodot.probes.uncertainty import correlation_time
from heterodot.units import Value

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Mixture:
    """Amounts of reference curves in a curve.

    Attributes
    ----------
    amounts : mapping of name to Value
        Factor of each reference; ``"constant"`` where one was allowed.
    covariance : (k, k) array
        Of the amounts that are not zero, in the order of ``active``.
    active : tuple of str
        References whose amount is above zero.
    explained : float
        Share of the variance about the mean (R^2).
    energy, data, model : (n,) arrays
    parts : mapping of name to (n,) array
    warnings : tuple of str
    """

    amounts: Mapping[str, Value]
    covariance: Array
    active: tuple[str, ...]
    explained: float
    energy: Array
    data: Array
    model: Array
    parts: Mapping[str, Array]
    warnings: tuple[str, ...] = ()


def unmix(
    spectrum: Spectrum,
    references: Mapping[str, Spectrum],
    *,
    between: tuple[float, float] | None = None,
    constant: bool = False,
) -> Mixture:
    """Return the amounts of reference spectra in a spectrum (non-negative least squares).

    Parameters
    ----------
    spectrum : Spectrum
    references : mapping of name to Spectrum
        Interpolated onto the energies of ``spectrum`` where all overlap.
    between : (low, high), optional
        Use this range only, eV.
    constant : bool
        Allow a constant beside the references.

    Raises
    ------
    InputError
        No overlap, fewer points than references, or references of one shape.

    References
    ----------
    C. L. Lawson and R. J. Hanson, Solving Least Squares Problems (Prentice-Hall, 1974).
    """
    from scipy.optimize import nnls

    if not references:
        raise InputError("no reference was given", remedy="give at least one")
    low = max([spectrum.energy[0], *(r.energy[0] for r in references.values())])
    high = min([spectrum.energy[-1], *(r.energy[-1] for r in references.values())])
    if between is not None:
        low, high = max(low, between[0]), min(high, between[1])
    inside = (spectrum.energy >= low - 1e-9) & (spectrum.energy <= high + 1e-9)
    names = [*references, *(["constant"] if constant else [])]
    if inside.sum() < len(names) + 2:
        raise InputError(
            f"spectrum and references share {int(inside.sum())} points",
            remedy="give references that cover the same energies",
        )
    x, y = spectrum.energy[inside], spectrum.values[inside]
    columns = [np.interp(x, r.energy, r.values) for r in references.values()]
    design = np.column_stack([*columns, *([np.ones_like(x)] if constant else [])])
    weight = np.ones_like(x) if spectrum.sigma is None else 1.0 / spectrum.sigma[inside]
    scale = np.linalg.norm(design * weight[:, None], axis=0)
    if (scale == 0).any():
        raise InputError(
            f"reference '{names[int(np.argmin(scale))]}' is zero in the shared range",
            remedy="leave it out or widen the range",
        )
    amounts = nnls(design * weight[:, None] / scale, y * weight)[0] / scale
    model = design @ amounts
    active = amounts > 1e-12 * np.abs(amounts).max(initial=1e-300)
    part = (design * weight[:, None])[:, active]
    warnings = _alike(part, [n for n, a in zip(names, active, strict=True) if a])
    covariance = _covariance(part, (y - model) * weight, spectrum.sigma is not None, warnings)
    errors = np.full(len(names), np.nan)
    errors[active] = np.sqrt(np.maximum(np.diag(covariance), 0))
    found = {
        n: Value(float(a), "", float(e) if np.isfinite(e) else None, "held at zero")
        if not np.isfinite(e)
        else Value(float(a), "", float(e))
        for n, a, e in zip(names, amounts, errors, strict=True)
    }
    spread = float(np.sum((y - y.mean()) ** 2))
    return Mixture(
        found,
        covariance,
        tuple(n for n, a in zip(names, active, strict=True) if a),
        1.0 - float(np.sum((y - model) ** 2)) / spread if spread > 0 else float("nan"),
        x,
        y,
        model,
        {n: design[:, k] * amounts[k] for k, n in enumerate(names)},
        tuple(warnings),
    )


def _alike(part: Array, names: list[str]) -> list[str]:
    unit = part / np.linalg.norm(part, axis=0)
    overlap = np.triu(unit.T @ unit, 1)
    return [
        f"references '{names[i]}' and '{names[j]}' have nearly one shape; their amounts hold only "
        "together"
        for i, j in np.argwhere(overlap > 0.9995)
    ]


def _covariance(part: Array, residual: Array, known: bool, warnings: list[str]) -> Array:
    """Return the covariance, for correlated residuals with the correlation time of the residual."""
    dof = max(len(residual) - part.shape[1], 1)
    scale = float(residual @ residual) / dof
    inverse = np.linalg.pinv(part.T @ part)
    time = 1.0
    if scale > 0 and noise_level(residual) < 0.7 * np.sqrt(scale):
        time = max(correlation_time(residual), 1.0)
        if time > 1.5:
            warnings.append(
                f"the residual is correlated over about {time:.0f} points (the references do not "
                "describe the curve exactly); errors were widened"
            )
    return np.asarray(inverse * (max(scale, 1.0) if known else scale) * time)
