"""Several exponentials through a response: parameters, expected counts, descent and result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from heterodot.fitting import Fit, Parameter
from heterodot.fitting.assess import errors_of
from heterodot.fitting.counting import deviance, goodness, log_likelihood
from heterodot.fitting.descent import Descent, descend
from heterodot.probes.decay.convolution import exponential, pile_up, shifted
from heterodot.probes.decay.histogram import Histogram
from heterodot.probes.decay.start import starts
from heterodot.progress import Progress

Floats = NDArray[np.float64]


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


def pose(
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
    """Return the model of ``count`` exponentials with parameters and start values."""
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


def solve(posed: Posed, max_evaluations: int, progress: Progress) -> Descent:
    """Return where the descent from the start values ends."""
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


def conclude(posed: Posed, end: Descent) -> Fit:
    """Return the whole result at the end of a descent, lifetimes ascending."""
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
