"""Fits of counted decays by Poisson likelihood, with reconvolution of a measured response.

References
----------
M. Maus et al., Anal. Chem. 73, 2078 (2001) for the bias of 1/N weights;
S. Baker and R. D. Cousins, Nucl. Instrum. Methods 221, 437 (1984).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.fitting import Fit
from heterodot.measurement import Measurement
from heterodot.probes.decay.exponentials import Posed, conclude, pose, solve
from heterodot.probes.decay.histogram import Histogram, prepare
from heterodot.probes.decay.intervals import problem_of
from heterodot.progress import Progress, silent

Floats = NDArray[np.float64]
MOST = 4  # exponentials; beyond, take a distribution
# shift, shift limit, background, scatter, period, pulses, method
Settings = tuple[bool, float | None, float | None, bool, float | None, float | None, str]


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
    return _support(found, problem_of(found), progress)


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
        posed = pose(histograms, count, *settings, lifetimes, offset)
        return conclude(posed, solve(posed, max_evaluations, progress))

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
    smaller = pose(
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
    end = solve(smaller, 200, progress)
    return conclude(smaller, end) if end.converged else None


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
                again = pose(
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
                other = conclude(again, solve(again, 150, silent))
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
