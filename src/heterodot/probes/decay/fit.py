"""Fits of counted decays by Poisson likelihood, with reconvolution of a measured response.

References
----------
M. Maus et al., Anal. Chem. 73, 2078 (2001) for the bias of 1/N weights;
S. Baker and R. D. Cousins, Nucl. Instrum. Methods 221, 437 (1984).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.fitting import Fit, Parameter
from heterodot.fitting import bootstrap as bootstrap_of
from heterodot.fitting import profile as profile_of
from heterodot.fitting.assess import errors_of
from heterodot.fitting.counting import deviance, goodness, log_likelihood
from heterodot.fitting.descent import Descent, descend
from heterodot.measurement import Measurement
from heterodot.probes.decay.convolution import exponential, pile_up, shifted
from heterodot.probes.decay.histogram import Histogram, prepare
from heterodot.probes.decay.start import starts
from heterodot.progress import Progress, silent

Floats = NDArray[np.float64]
MOST = 4  # exponentials; beyond, take a distribution


@dataclass(frozen=True, eq=False)
class Posed:
    """Histograms with a multi-exponential model and its parameters.

    Attributes
    ----------
    histograms : tuple of Histogram
    components : int
    parameters : tuple of Parameter
    period, pulses : float or None
    method : str
    scatter : bool
    """

    histograms: tuple[Histogram, ...]
    components: int
    parameters: tuple[Parameter, ...]
    period: float | None
    pulses: float | None
    method: str
    scatter: bool

    @property
    def free(self) -> tuple[str, ...]:
        """Names of parameters to be fitted."""
        return tuple(p.name for p in self.parameters if not p.fixed)

    def tag(self, h: Histogram) -> str:
        """Return what is added to the names of a trace's own parameters."""
        return f" [{h.name}]" if len(self.histograms) > 1 else ""


def fit(
    measurement: Measurement | Mapping[str, Measurement],
    model: int | str = "auto",
    *,
    irf: Measurement | Mapping[str, Measurement] | None = None,
    window: tuple[float, float] | None = None,
    shift: bool = True,
    shift_limit: float | None = None,
    background: float | None = None,
    scatter: bool = False,
    period: float | None = None,
    pulses: float | None = None,
    method: str = "poisson",
    start: Sequence[float] | None = None,
    irf_background: bool = True,
    max_evaluations: int = 300,
    progress: Progress = silent,
) -> Fit:
    """Fit one decay, or several that share lifetimes, with 1 to 4 exponentials.

    Parameters
    ----------
    measurement : Measurement or mapping of name to Measurement
        Several (wavelengths, samples) share ``tau_i`` and have their own amounts, background and
        shift.
    model : int or "auto"
        Number of exponentials; "auto" takes the lowest Bayesian criterion.
    irf : Measurement or mapping, optional
        Measured response. Without one the tail after the maximum is fitted.
    window : (low, high), optional
        Times to fit, in the axis's unit.
    shift : bool
        Let the response move against the decay (color shift).
    shift_limit : float, optional
        Bound of the shift, in time; 10 % of the window if None.
    background : float, optional
        Counts a bin, held; fitted if None.
    scatter : bool
        A part that follows the response.
    period : float, optional
        Of the excitation: adds what earlier pulses left.
    pulses : float, optional
        Number of excitation pulses: adds pile-up to the model (the data stay as counted).
    method : {"poisson", "least_squares"}
        Least squares with weights 1/N is there for comparison; it is biased at few counts.
    start : sequence of float, optional
        Lifetimes to start from.
    irf_background : bool
    max_evaluations : int
    progress : Progress

    Returns
    -------
    Fit
        ``tau_i`` ascending; ``photons_i``, ``amplitude_i`` (fraction at time zero) and
        ``intensity_i`` (fraction of photons); ``tau_amplitude`` = sum(a tau)/sum(a), to which
        rates and yields belong, and ``tau_intensity`` = sum(a tau^2)/sum(a tau), the mean arrival
        time; ``shift``, ``background``.

    Raises
    ------
    InputError
        Data that cannot be used, or too few counts for any model.
    NotFoundError
        No fit from any start.

    Examples
    --------
    >>> from heterodot.probes.decay import simulate
    >>> counts, irf = simulate([1.0, 6.0], [0.5, 0.5], counts=2e5, unit="ns", seed=2)
    >>> found = fit(counts, 2, irf=irf)
    >>> abs(found["tau_2"].value - 6) < 4 * found["tau_2"].error
    True
    """
    histograms = _histograms(measurement, irf, window, irf_background)
    total = float(sum(h.counts.sum() for h in histograms))
    if method not in ("poisson", "least_squares"):
        raise InputError(f"method '{method}'", remedy="take 'poisson' or 'least_squares'")
    if model == "auto":
        return _chosen(
            histograms, shift, shift_limit, background, scatter, period, pulses, method, progress
        )
    try:
        count = int(model)
    except (TypeError, ValueError) as error:
        raise InputError(f"model '{model}'", remedy=f"give 1 to {MOST} or 'auto'") from error
    if not 1 <= count <= MOST:
        raise InputError(
            f"{count} exponentials", remedy=f"give 1 to {MOST}, or take a distribution"
        )
    if total < 20 * count and all(h.poisson for h in histograms):
        most = int(total // 20)
        raise InputError(
            f"{total:.0f} counts are too few for {count} exponentials",
            remedy=f"they support {most} at most" if most else "record longer",
        )
    settings = (shift, shift_limit, background, scatter, period, pulses, method)
    found = _best(histograms, count, settings, start, max_evaluations, progress)
    return _support(found, _problem_of(found), progress)


# shift, shift limit, background, scatter, period, pulses, method
Settings = tuple[bool, float | None, float | None, bool, float | None, float | None, str]


def _best(
    histograms: tuple[Histogram, ...],
    count: int,
    settings: Settings,
    start: Sequence[float] | None,
    max_evaluations: int = 300,
    progress: Progress = silent,
) -> Fit:
    """Return the fit from the first start that describes the counts, or the best of several.

    A response that is off by a few bins misleads the search for start lifetimes, so that other
    offsets are tried where the first fit leaves more than noise.
    """

    def trial(lifetimes: Sequence[float] | None, offset: float) -> Fit:
        posed = _pose(histograms, count, *settings, lifetimes, offset)
        return _conclude(posed, _solve(posed, max_evaluations, progress))

    best = trial(start, 0.0)
    if start is not None or not settings[0]:
        return best
    h = histograms[0]
    spread = np.geomspace(3.0 * h.width, 0.3 * h.width * h.counts.size, count + 2)[1:-1]
    others: list[tuple[Sequence[float] | None, float]] = [
        (None, -1.5),
        (None, 1.5),
        (None, -3.0),
        (None, 3.0),
        (list(spread), 0.0),
    ]
    for lifetimes, offset in others:
        if best.converged and float(best.extra.get("deviance_z", 0.0)) < 4.0:
            break
        other = trial(lifetimes, offset)
        if other.cost < best.cost - 1e-3:
            best = other
    return best


def _histograms(
    measurement: Measurement | Mapping[str, Measurement],
    irf: Measurement | Mapping[str, Measurement] | None,
    window: tuple[float, float] | None,
    irf_background: bool,
) -> tuple[Histogram, ...]:
    several = measurement if isinstance(measurement, Mapping) else {"": measurement}
    out = []
    for name, m in several.items():
        own = irf.get(name) if isinstance(irf, Mapping) else irf
        h = prepare(m, own, window=window, irf_background=irf_background, name=name)
        out.append(h if own is not None else _tail(h))
    return tuple(out)


def _tail(h: Histogram) -> Histogram:
    """Return the part from the maximum on, with an ideal response in its first bin."""
    smooth = np.convolve(h.counts, np.ones(5) / 5, mode="same") if h.counts.size > 50 else h.counts
    first = int(np.argmax(smooth))
    if h.counts.size - first < 8:
        raise InputError(
            "the maximum is at the end of the trace, so there is no tail to fit",
            place=h.name or "decay",
            remedy="give the instrument response",
        )
    irf = np.zeros(h.counts.size - first)
    irf[0] = 1.0
    return replace(
        h,
        time=h.time[first:],
        counts=h.counts[first:],
        irf=irf,
        notes=(*h.notes, "no response given: the tail after the maximum is fitted"),
    )


def _pose(
    histograms: tuple[Histogram, ...],
    count: int,
    shift: bool,
    shift_limit: float | None,
    background: float | None,
    scatter: bool,
    period: float | None,
    pulses: float | None,
    method: str,
    start: Sequence[float] | None,
    offset: float = 0.0,
) -> Posed:
    first = histograms[0]
    unit = first.unit
    span = max(h.width * h.counts.size for h in histograms)
    low, high = 0.02 * min(h.width for h in histograms), 100.0 * span
    guess = starts(histograms, count, start, shift, offset)
    shared = [
        Parameter(f"tau_{i}", float(np.clip(tau, 2 * low, 0.5 * high)), unit, low=low, high=high)
        for i, tau in enumerate(guess.lifetimes, 1)
    ]
    tagged = len(histograms) > 1
    own: list[Parameter] = []
    for k, h in enumerate(histograms):
        tag = f" [{h.name}]" if tagged else ""
        # a tail has no rise, so nothing tells where its response is
        fixed = not shift or bool(h.irf is not None and h.irf[0] == 1.0)
        limit = shift_limit if shift_limit is not None else 0.1 * span
        total = float(h.counts.sum())
        own += [
            Parameter(
                f"photons_{i}{tag}", max(n, 1e-3 * total), "", low=1e-9 * total, high=1e6 * total
            )
            for i, n in enumerate(guess.photons[k], 1)
        ]
        if scatter:
            own.append(Parameter(f"scatter{tag}", 0.01 * total, "", low=0.0))
        value = background if background is not None else max(guess.background[k], 1e-3)
        own += [
            Parameter(f"background{tag}", value, "", low=0.0, fixed=background is not None),
            Parameter(
                f"shift{tag}",
                0.0 if fixed else float(np.clip(guess.shift[k] * h.width, -limit, limit)),
                unit,
                low=-limit,
                high=limit,
                fixed=fixed,
            ),
        ]
    return Posed(histograms, count, (*shared, *own), period, pulses, method, scatter)


def expected(
    posed: Posed, h: Histogram, values: Mapping[str, float], derivatives: bool
) -> tuple[Floats, dict[str, Floats]]:
    """Return expected counts of a trace, and derivatives (logarithmic for tau and photons)."""
    assert h.irf is not None
    tag = posed.tag(h)
    irf, slope = shifted(h.irf, values[f"shift{tag}"] / h.width)
    period = None if posed.period is None else posed.period / h.width
    model = np.full(h.counts.size, values[f"background{tag}"])
    columns: dict[str, Floats] = {}
    moved = np.zeros(h.counts.size)
    moving = derivatives and f"shift{tag}" in posed.free
    for i in range(1, posed.components + 1):
        ratio = h.width / values[f"tau_{i}"]
        photons = values[f"photons_{i}{tag}"]
        column, by_tau = exponential(irf, ratio, period, derivatives)
        model = model + photons * column
        if derivatives:
            columns[f"photons_{i}{tag}"] = photons * column
            columns[f"tau_{i}"] = photons * by_tau
            if moving:
                moved = moved + photons * exponential(slope, ratio, period)[0]
    if posed.scatter:
        model = model + values[f"scatter{tag}"] * irf
        if derivatives:
            columns[f"scatter{tag}"] = irf
            moved = moved + values[f"scatter{tag}"] * slope
    if derivatives:
        columns[f"background{tag}"] = np.ones(h.counts.size)
        columns[f"shift{tag}"] = moved / h.width
    if posed.pulses is not None:
        names = list(columns)
        stack = np.stack([columns[n] for n in names], axis=1) if names else None
        model, bent = pile_up(np.maximum(model, 0.0), posed.pulses, stack)
        columns = {n: bent[:, k] for k, n in enumerate(names)}
    # cubic shifting may undershoot a sharp response by a little
    return np.maximum(model, 1e-9), columns


def _logarithmic(name: str) -> bool:
    return name.startswith(("tau_", "photons_"))


def _values(posed: Posed, x: Floats) -> dict[str, float]:
    held = {p.name: p.value for p in posed.parameters}
    for name, u in zip(posed.free, x, strict=True):
        held[name] = float(np.exp(min(u, 700.0))) if _logarithmic(name) else float(u)
    return held


def _box(posed: Posed) -> tuple[Floats, Floats, Floats]:
    chosen = [p for p in posed.parameters if not p.fixed]

    def inner(p: Parameter, v: float) -> float:
        if not _logarithmic(p.name):
            return v
        return float(np.log(v)) if v > 0 else -np.inf

    return (
        np.array([inner(p, p.value) for p in chosen]),
        np.array([inner(p, p.low) for p in chosen]),
        np.array([inner(p, p.high) for p in chosen]),
    )


def _solve(posed: Posed, max_evaluations: int, progress: Progress) -> Descent:
    free = posed.free
    place = {n: k for k, n in enumerate(free)}
    counted = posed.method == "poisson" and all(h.poisson for h in posed.histograms)

    def evaluate(x: Floats, derivatives: bool) -> tuple[float, Floats | None, Floats | None]:
        values = _values(posed, x)
        cost = 0.0
        gradient, curvature = np.zeros(x.size), np.zeros((x.size, x.size))
        for h in posed.histograms:
            model, columns = expected(posed, h, values, derivatives)
            if counted:
                cost += deviance(h.counts, model)
                weight, pull = 1.0 / model, 1.0 - h.counts / model
            else:
                weight = _weights(h)
                cost += float((weight * (h.counts - model) ** 2).sum())
                pull = weight * (model - h.counts)
            if derivatives:
                used = [n for n in columns if n in place]
                stack = np.stack([columns[n] for n in used])
                at = np.array([place[n] for n in used])
                gradient[at] += stack @ pull
                curvature[np.ix_(at, at)] += (stack * weight) @ stack.T
        if not derivatives:
            return cost, None, None
        return cost, gradient, curvature

    start, low, high = _box(posed)
    points = sum(h.counts.size for h in posed.histograms)
    return descend(
        evaluate,
        start,
        low,
        high,
        relative=not all(h.poisson for h in posed.histograms),
        dof=max(points - start.size, 1),
        max_evaluations=max_evaluations,
        progress=progress,
        doing="fitting the decay",
    )


def _weights(h: Histogram) -> Floats:
    if h.poisson:
        return np.asarray(1.0 / np.maximum(h.counts, 1.0))
    return np.ones(h.counts.size)


def _conclude(posed: Posed, end: Descent) -> Fit:
    free = posed.free
    values = _values(posed, end.x)
    _, low, high = _box(posed)
    whole = all(h.poisson for h in posed.histograms)
    counted = posed.method == "poisson" and whole
    points = sum(h.counts.size for h in posed.histograms)
    dof = points - len(free)
    scale = 1.0 if whole else end.cost / max(dof, 1)
    bad = errors_of(free, end, low, high, scale)
    slope = np.array([values[n] if _logarithmic(n) else 1.0 for n in free])
    covariance = None if bad.covariance is None else bad.covariance * np.outer(slope, slope)
    order = list(np.argsort([values[f"tau_{i}"] for i in range(1, posed.components + 1)]) + 1)
    rename = {
        f"{kind}_{old}": f"{kind}_{new}" for new, old in enumerate(order, 1) for kind in ("tau",)
    }
    for h in posed.histograms:
        tag = posed.tag(h)
        rename |= {f"photons_{old}{tag}": f"photons_{new}{tag}" for new, old in enumerate(order, 1)}
    parameters: dict[str, Parameter] = {}
    for p in sorted(
        posed.parameters, key=lambda p: rename.get(p.name, p.name).startswith("photons")
    ):
        error, note = None, p.note
        if p.name in free:
            k = free.index(p.name)
            variance = np.nan if covariance is None else covariance[k, k]
            error = float(np.sqrt(variance)) if variance >= 0 else None
            note = bad.notes.get(k, "")
        name = rename.get(p.name, p.name)
        parameters[name] = replace(p, name=name, value=values[p.name], error=error, note=note)
    parameters = {
        n: parameters[n] for n in sorted(parameters, key=lambda n: not n.startswith("tau"))
    }
    new_free = tuple(rename.get(n, n) for n in free)
    models = [expected(posed, h, values, False)[0] for h in posed.histograms]
    data = np.concatenate([h.counts for h in posed.histograms])
    model = np.concatenate(models)
    warnings = [_renamed(w, rename) for w in bad.warnings]
    if not end.converged:
        warnings.insert(0, f"not converged: {end.message}")
    quality = goodness(data, model, len(free)) if whole else {}
    if quality and abs(quality["autocorrelation_z"]) > 5.0 and quality["autocorrelation_z"] > 0:
        warnings.append(
            f"residuals are not random (autocorrelation z = {quality['autocorrelation_z']:.1f}): "
            "the model is incomplete or the response does not belong to this decay"
        )
    if whole and not counted:
        warnings.append("weights 1/N bias lifetimes where bins hold few counts; prefer Poisson")
    likelihood = (
        log_likelihood(data, model)
        if counted
        else -0.5 * end.cost
        if whole
        else -0.5 * points * float(np.log(max(end.cost, 1e-300) / points))
    )
    result = Fit(
        model=f"{posed.components} exponential{'s' * (posed.components > 1)}",
        parameters=parameters,
        covariance=covariance,
        free=new_free,
        converged=end.converged,
        message=end.message,
        statistic="poisson" if counted else "chi2" if whole else "squares",
        cost=end.cost,
        points=points,
        dof=dof,
        log_likelihood=likelihood,
        data=data,
        model_values=model,
        residual=(data - model) / np.sqrt(np.maximum(model, 1e-9) if whole else 1.0),
        warnings=tuple(warnings),
        extra={
            **quality,
            "notes": [n for h in posed.histograms for n in h.notes],
            "evaluations": end.evaluations,
            "problem": replace(
                posed,
                parameters=tuple(
                    replace(p, name=rename.get(p.name, p.name), value=values[p.name])
                    for p in posed.parameters
                ),
            ),
            "traces": {
                h.name: {
                    "time": h.time,
                    "counts": h.counts,
                    "model": m,
                    "irf": h.irf,
                    "unit": h.unit,
                }
                for h, m in zip(posed.histograms, models, strict=True)
            },
        },
    )
    from heterodot.probes.decay.averages import with_averages

    return with_averages(result, [posed.tag(h) for h in posed.histograms], posed.components)


def _renamed(text: str, rename: Mapping[str, str]) -> str:
    import re

    return re.sub(r"(tau|photons)_\d+( \[.*?\])?", lambda m: rename.get(m[0], m[0]), text)


def profile(
    found: Fit,
    names: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    progress: Progress = silent,
) -> Fit:
    """Return a decay's fit with profile-likelihood intervals (of the lifetimes if None)."""
    posed = _problem_of(found)
    chosen = names or [n for n in found.free if n.startswith("tau_")]

    def refit(parameters: Sequence[Parameter]) -> Fit:
        return _refit(posed, parameters)

    return profile_of(refit, found, chosen, level=level, progress=progress)


def bootstrap(found: Fit, *, draws: int = 100, seed: int = 0, progress: Progress = silent) -> Fit:
    """Return a decay's fit with bootstrap errors (new counting noise around the model)."""
    posed = _problem_of(found)

    def refit(counts: Floats) -> Fit:
        parts, at = [], 0
        for h in posed.histograms:
            parts.append(replace(h, counts=counts[at : at + h.counts.size]))
            at += h.counts.size
        return _refit(replace(posed, histograms=tuple(parts)), posed.parameters)

    return bootstrap_of(refit, found, draws=draws, seed=seed, progress=progress)


def _problem_of(found: Fit) -> Posed:
    posed = found.extra.get("problem")
    if not isinstance(posed, Posed):
        raise InputError("the fit does not hold its problem", remedy="pass the result of fit")
    return posed


def _refit(posed: Posed, parameters: Sequence[Parameter]) -> Fit:
    given = {p.name: p for p in parameters}
    trial = replace(
        posed,
        parameters=tuple(
            replace(p, value=given[p.name].value, fixed=given[p.name].fixed)
            if p.name in given
            else p
            for p in posed.parameters
        ),
    )
    return _conclude(trial, _solve(trial, 200, silent))


def _determined(found: Fit) -> bool:
    """Say whether every lifetime is known to better than half of itself and apart from others."""
    taus = [p for n, p in found.parameters.items() if n.startswith("tau_") and n[4:].isdigit()]
    if any(p.error is None or p.error > 0.5 * p.value for p in taus):
        return False
    return all(
        b.value - a.value > (a.error or 0.0) + (b.error or 0.0) for a, b in itertools.pairwise(taus)
    )


def _support(found: Fit, posed: Posed, progress: Progress) -> Fit:
    """Add how many exponentials the data support, where that is fewer than asked for."""
    if posed.components == 1 or _determined(found):
        return found
    best = posed.components
    criterion = found.bic
    for count in range(1, posed.components):
        fewer = _fewer(posed, count, progress)
        if fewer is not None and fewer.bic < criterion + 2.0 * (best - count > 0):
            best, criterion = count, min(criterion, fewer.bic)
            break
    if best < posed.components:
        text = (
            f"{float(found.data.sum() if found.data is not None else 0):.0f} counts do not tell "
            f"{posed.components} exponentials apart; they support {best}"
        )
    else:
        text = f"{posed.components} exponentials are needed but not all lifetimes are determined"
    return replace(
        found, warnings=(*found.warnings, text), extra={**found.extra, "supported": best}
    )


def _fewer(posed: Posed, count: int, progress: Progress) -> Fit | None:
    by_name = {p.name: p for p in posed.parameters}
    h = posed.histograms[0]
    fixed_background = by_name[f"background{posed.tag(h)}"]
    smaller = _pose(
        posed.histograms,
        count,
        not by_name[f"shift{posed.tag(h)}"].fixed,
        by_name[f"shift{posed.tag(h)}"].high,
        fixed_background.value if fixed_background.fixed else None,
        posed.scatter,
        posed.period,
        posed.pulses,
        posed.method,
        None,
    )
    end = _solve(smaller, 200, progress)
    return _conclude(smaller, end) if end.converged else None


def _chosen(
    histograms: tuple[Histogram, ...],
    shift: bool,
    shift_limit: float | None,
    background: float | None,
    scatter: bool,
    period: float | None,
    pulses: float | None,
    method: str,
    progress: Progress,
) -> Fit:
    """Return the fit of the lowest Bayesian criterion among 1 to 4 exponentials."""
    rows: list[tuple[float, Fit]] = []
    table = []
    previous: Fit | None = None
    for count in range(1, MOST + 1):
        progress(f"{count} exponentials", (count - 1) / MOST)
        settings = (shift, shift_limit, background, scatter, period, pulses, method)
        found = _best(histograms, count, settings, None)
        if previous is not None and found.cost > previous.cost - 1.0:
            # one more exponential cannot be worse: start beside the fit with one less
            taus = [previous[f"tau_{i}"].value for i in range(1, count)]
            for extra in (0.2 * taus[0], (taus[0] * taus[-1]) ** 0.5 * 1.3, 4.0 * taus[-1]):
                again = _pose(
                    histograms,
                    count,
                    shift,
                    shift_limit,
                    background,
                    scatter,
                    period,
                    pulses,
                    method,
                    sorted([*taus, extra]),
                )
                other = _conclude(again, _solve(again, 150, silent))
                found = min(found, other, key=lambda f: f.cost)
        previous = found
        table.append(
            {
                "components": count,
                "bic": found.bic,
                "aic": found.aic,
                "cost": found.cost,
                "runs_z": found.extra.get("runs_z"),
                "autocorrelation_z": found.extra.get("autocorrelation_z"),
                "determined": _determined(found),
                "converged": found.converged,
            }
        )
        if found.converged and (count == 1 or _determined(found)):
            rows.append((found.bic, found))
        if len(rows) >= 2 and rows[-1][0] > min(r[0] for r in rows) + 6.0:
            break
    if not rows:
        raise NotFoundError(
            "no number of exponentials could be fitted",
            remedy="check the response and the window, or give start lifetimes",
        )
    best = min(rows, key=lambda row: row[0])[1]
    return replace(best, extra={**best.extra, "choice": table})
