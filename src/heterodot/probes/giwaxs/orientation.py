"""How the poles of a film's crystallites are spread about its normal: models and their averages.

The fiber axis of the crystallites is spread about the film normal as exp(kappa cos theta), the
distribution of von Mises and Fisher (Fisher, Proc. R. Soc. A 217, 295 (1953)); poles at an angle
alpha from that axis turn freely about it. Hermans' parameter is the mean of P2(cos chi) over the
sphere, so that intensities count with sin chi (Hermans and Platzek, Kolloid-Z. 88, 68 (1939); Baker
et al., Langmuir 26, 9146 (2010), for films).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.units import Value

Floats = NDArray[np.float64]

SHARPEST = 2.0  # degrees; narrower spreads look alike on a map of one degree
KAPPAS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0)


def concentration(width: float) -> float:
    """Return kappa of a spread with full width at half maximum ``width`` (degrees).

    Examples
    --------
    >>> round(width_of(concentration(12.0)), 6)
    12.0
    """
    return math.log(2) / (1 - math.cos(math.radians(width) / 2))


def width_of(kappa: float) -> float:
    """Return the full width at half maximum (degrees); 360 where it never falls to half."""
    cosine = 1 - math.log(2) / max(kappa, 1e-12)
    return 2 * math.degrees(math.acos(cosine)) if cosine > -1 else 360.0


def pole_density(chi: Floats, alpha: float, kappa: float) -> Floats:
    """Return the density of poles over that of a powder, for poles at +alpha and its opposite.

    Parameters
    ----------
    chi : array
        From the film normal, degrees.
    alpha : float
        Between pole and fiber axis, degrees.
    kappa : float
        Concentration of the fiber axes about the film normal.

    Examples
    --------
    The mean over the sphere is one.

    >>> chi = np.linspace(0, 180, 20001)
    >>> weight = np.sin(np.radians(chi))
    >>> density = pole_density(chi, 35.0, 50.0)
    >>> round(float(np.sum(density * weight) / np.sum(weight)), 4)
    1.0
    """
    from scipy.special import ive

    c, s = np.cos(np.radians(chi)), np.sin(np.radians(chi))
    ca, sa = math.cos(math.radians(alpha)), math.sin(math.radians(alpha))
    k = max(kappa, 1e-9)
    norm = 2 * k / -math.expm1(-2 * k)  # kappa/sinh(kappa), times e^kappa

    def one(sign: float) -> Floats:
        # ive(0, x) = I0(x) e^-x keeps the exponent below zero
        return np.asarray(
            norm * np.exp(k * (sign * c * ca + s * sa - 1)) * ive(0, k * s * sa), dtype=float
        )

    return 0.5 * (one(1.0) + one(-1.0))


def mean_p2(alpha: float, kappa: float) -> float:
    """Return the mean of P2(cos chi) of `pole_density`, without integrals.

    Examples
    --------
    >>> round(mean_p2(0.0, 1e6), 4), round(mean_p2(90.0, 1e6), 4), abs(round(mean_p2(54.7356, 9.0), 4))
    (1.0, -0.5, 0.0)
    """
    k = max(kappa, 1e-6)
    langevin = k / 3 if k < 1e-3 else 1 / math.tanh(k) - 1 / k
    axis = k * k / 15 if k < 1e-2 else 1 - 3 * langevin / k
    return axis * 0.5 * (3 * math.cos(math.radians(alpha)) ** 2 - 1)


@dataclass(frozen=True, eq=False)
class Orientation:
    """How the poles of one reflection are spread.

    Attributes
    ----------
    kind : str
        ``"ring"`` (no preferred orientation), ``"arc"``, ``"spot"`` (narrower than 15 degrees), or
        ``"ring and arc"``, ``"ring and spot"`` where most crystallites lie at random.
    angle : Value or None
        Of the poles from the film normal, degrees; None for a ring.
    width : Value or None
        Full width at half maximum of the spread of the fiber axis, degrees.
    oriented : Value
        Share of the crystallites with preferred orientation, counted over the whole sphere.
    hermans : Value
        Mean of P2(cos chi): 1 along the normal, 0 random, -0.5 in the plane.
    hermans_measured : Value
        The same integral over the measured angles, the model only where nothing was measured.
    coverage : float
        Share of the sphere's sin(chi) weight that was measured.
    evidence : float
        By how much chi-square falls from a ring to the model.
    misfit : float
        Reduced chi-square of the model; far above one for a ring of single grains.
    chi, intensity, error, model : (n,) arrays
        The folded azimuthal profile, 0 to 90 degrees; NaN where nothing was measured.
    """

    kind: str
    angle: Value | None
    width: Value | None
    oriented: Value
    hermans: Value
    hermans_measured: Value
    coverage: float
    evidence: float
    misfit: float
    chi: Floats
    intensity: Floats
    error: Floats
    model: Floats


def orientation(chi: Floats, intensity: Floats, error: Floats) -> Orientation | None:
    """Return how the poles of a reflection are spread, from its azimuthal profile.

    Parameters
    ----------
    chi : (n,) array
        Middles of equal steps from 0 to 90 degrees off the film normal.
    intensity, error : (n,) arrays
        Integrated over the reflection, background taken off; NaN where nothing was measured.

    Returns
    -------
    Orientation or None
        None with fewer than six measured angles, or nothing above the noise.

    Notes
    -----
    The model is a powder part plus one fiber component. A second component, or a reflection with
    several poles of one family (as (111) of a cubic crystal about [001] has one angle, but about
    [110] two), shows as misfit. Errors are those of the fit, widened by the misfit.
    """
    seen = np.isfinite(intensity) & np.isfinite(error) & (error > 0)
    if seen.sum() < 6:
        return None
    x, y, sigma = chi[seen], intensity[seen], error[seen]
    total = float((y / sigma).sum() / math.sqrt(len(y)))
    if total < 5 or (y / sigma**2).sum() <= 0:
        return None
    w = 1 / sigma**2
    mean = float((w * y).sum() / w.sum())
    flat = float((w * (y - mean) ** 2).sum())
    alpha, kappa = _start(x, y, sigma)
    values, covariance, left = _refine(x, y, sigma, alpha, kappa)
    # along or across the normal the density is even in the angle and its error has no meaning: the
    # end is taken unless the data speak against it
    for end in (0.0, 90.0):
        if abs(values[2] - end) < 12:
            at_end = _refine(x, y, sigma, end, values[3], fixed=True)
            if at_end[2] < left + 4 * max(left / max(len(x) - 4, 1), 1.0):
                values, covariance, left = at_end
                break
    powder, fiber, alpha, kappa = values
    dof = max(len(x) - 4, 1)
    inflate = max(left / dof, 1.0)
    covariance = covariance * inflate
    evidence = flat - left
    share = fiber / (powder + fiber) if powder + fiber > 0 else 0.0
    weight = np.sin(np.radians(chi))
    coverage = float(weight[seen].sum() / weight.sum())
    model = powder + fiber * pole_density(chi, alpha, kappa)
    share_error = _share_error(powder, fiber, covariance)
    sure = evidence / inflate if share > 3 * share_error else 0.0
    kind = _kind(share, width_of(kappa), sure, model[seen], weight[seen])
    hidden = float((model * weight)[~seen].sum() / (model * weight).sum())
    if kind == "ring" and hidden > 1.5 * (1 - coverage) + 0.02:
        # the data do not speak against poles where nothing was measured, nor for them
        values = np.array([mean, 0.0, 0.0, 1.0])
        covariance = np.diag([inflate / float(w.sum()), 0.0, 0.0, 0.0])
        model, share = np.full(len(chi), mean), 0.0
    hermans, measured = _hermans(chi, intensity, error, seen, values, covariance)
    if kind == "ring":  # angle and width were chosen among noise, which their errors do not know
        hermans = measured
    return Orientation(
        kind,
        _angle_value(kind, alpha, covariance[2, 2]),
        _width_value(kind, kappa, covariance[3, 3]),
        Value(share, "", share_error),
        hermans,
        measured,
        coverage,
        evidence,
        left / dof,
        chi,
        intensity,
        error,
        model,
    )


def _kind(share: float, width: float, evidence: float, model: Floats, weight: Floats) -> str:
    """Return ring, arc, spot, or a ring with one of them.

    A ring is what a powder model fits as well (BIC with three more parameters would need about
    twenty), or whose density nowhere leaves the mean by more than a fifth.
    """
    mean = float((model * weight).sum() / weight.sum())
    modulation = float(np.abs(model / mean - 1).max()) if mean > 0 else 0.0
    if evidence < 20 or share < 0.05 or modulation < 0.2:
        return "ring"
    form = "spot" if width < 15 else "arc"
    return form if share >= 0.5 else f"ring and {form}"


def _start(x: Floats, y: Floats, sigma: Floats) -> tuple[float, float]:
    """Return angle and concentration of the best of a grid, amplitudes not negative."""
    from scipy.optimize import nnls

    best = (math.inf, 0.0, 1.0)
    for alpha in np.arange(0.0, 91.0, 5.0):
        for kappa in KAPPAS:
            columns = np.column_stack([np.ones(len(x)), pole_density(x, float(alpha), kappa)])
            left = float(nnls(columns / sigma[:, None], y / sigma)[1])
            if left < best[0]:
                best = (left, float(alpha), kappa)
    return best[1], best[2]


def _refine(
    x: Floats, y: Floats, sigma: Floats, alpha: float, kappa: float, fixed: bool = False
) -> tuple[Floats, Floats, float]:
    """Return powder, fiber, angle (maybe fixed), kappa, their covariance and chi-square."""
    from scipy.optimize import least_squares, nnls

    columns = np.column_stack([np.ones(len(x)), pole_density(x, alpha, kappa)])
    factors, _ = nnls(columns / sigma[:, None], y / sigma)
    scale = max(float(np.abs(y).max()), 1e-300)
    sharpest = concentration(SHARPEST)

    def residual(p: Floats) -> Floats:
        turn = alpha if fixed else p[2]
        model = scale * (p[0] + p[1] * pole_density(x, turn, math.exp(p[3])))
        return np.asarray((model - y) / sigma, dtype=float)

    low = np.array([0.0, 0.0, 0.0, math.log(0.05)])
    high = np.array([np.inf, np.inf, 90.0, math.log(sharpest)])
    begin = np.clip(
        [factors[0] / scale, factors[1] / scale, alpha, math.log(kappa)], low + 1e-9, high - 1e-9
    )
    found = least_squares(residual, begin, bounds=(low, high), x_scale=[1.0, 1.0, 10.0, 0.5])
    p = found.x
    kappa = math.exp(p[3])
    # derivative by kappa itself, not its logarithm
    jacobian = found.jac / np.array([scale, scale, 1.0, kappa])
    if fixed:
        p[2] = alpha
        jacobian[:, 2] = 0.0
    norm = np.linalg.norm(jacobian, axis=0)
    norm[norm == 0] = 1.0
    normal = (jacobian / norm).T @ (jacobian / norm)
    covariance = np.linalg.pinv(normal, rcond=1e-12, hermitian=True) / np.outer(norm, norm)
    return np.array([p[0] * scale, p[1] * scale, p[2], kappa]), covariance, float(2 * found.cost)


def _angle_value(kind: str, alpha: float, variance: float) -> Value | None:
    if kind == "ring":
        return None
    if alpha < 0.01 or alpha > 89.99:
        return Value(
            round(alpha), "deg", None, "at the end of its range: along or across the normal"
        )
    return Value(alpha, "deg", math.sqrt(max(variance, 0.0)))


def _width_value(kind: str, kappa: float, variance: float) -> Value | None:
    width = width_of(kappa)
    if kind == "ring":
        return None
    if width >= 360:
        return Value(360.0, "deg", None, "so wide that it nowhere falls to half")
    if width < 1.02 * SHARPEST:
        return Value(width, "deg", None, "narrower than the map resolves: an upper limit")
    step = 1e-4 * kappa
    slope = (width_of(kappa + step) - width_of(kappa - step)) / (2 * step)
    return Value(width, "deg", abs(slope) * math.sqrt(max(variance, 0.0)))


def _share_error(powder: float, fiber: float, covariance: Floats) -> float:
    total = powder + fiber
    if total <= 0:
        return 1.0
    gradient = np.array([-fiber, powder]) / total**2
    return math.sqrt(max(float(gradient @ covariance[:2, :2] @ gradient), 0.0))


def _hermans(
    chi: Floats,
    intensity: Floats,
    error: Floats,
    seen: NDArray[np.bool_],
    values: Floats,
    covariance: Floats,
) -> tuple[Value, Value]:
    """Return Hermans' parameter of the model, and of the data filled up with the model."""
    weight = np.sin(np.radians(chi))
    p2 = 0.5 * (3 * np.cos(np.radians(chi)) ** 2 - 1)

    def of_model(p: Floats) -> float:
        return float(p[1] / (p[0] + p[1]) * mean_p2(p[2], p[3])) if p[0] + p[1] > 0 else 0.0

    def filled(p: Floats) -> float:
        whole = np.where(seen, intensity, p[0] + p[1] * pole_density(chi, p[2], p[3]))
        return float((whole * weight * p2).sum() / (whole * weight).sum())

    steps = np.array([1e-4 * max(abs(values[0] + values[1]), 1e-30)] * 2 + [1e-3, 1e-3 * values[3]])
    gradients = []
    for function in (of_model, filled):
        slope = np.zeros(4)
        for k in range(4):
            up, down = values.copy(), values.copy()
            up[k] += steps[k]
            down[k] -= steps[k]
            slope[k] = (function(up) - function(down)) / (2 * steps[k])
        gradients.append(slope)
    model_value, data_value = of_model(values), filled(values)
    model_error = math.sqrt(max(float(gradients[0] @ covariance @ gradients[0]), 0.0))
    whole = np.where(seen, intensity, 0.0) * weight
    total = float(whole.sum()) or 1.0
    noise = np.where(seen, error, 0.0) * weight * (p2 - data_value) / total
    data_error = math.sqrt(
        float((noise**2).sum()) + max(float(gradients[1] @ covariance @ gradients[1]), 0.0)
    )
    return Value(model_value, "", model_error), Value(data_value, "", data_error)
