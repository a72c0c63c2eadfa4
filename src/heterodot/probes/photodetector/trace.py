"""Current against time under chopped light: rise, fall, on/off ratio, stability."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.units import Value

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Edge:
    """One switching of the light.

    Attributes
    ----------
    rising : bool
    time : float
        Where half of the step is passed, s.
    duration : float
        Between 10 and 90 percent of the step, s.
    samples : int
        Samples strictly between 10 and 90 percent.
    """

    rising: bool
    time: float
    duration: float
    samples: int


@dataclass(frozen=True)
class Trace:
    """What a chopped trace tells.

    Attributes
    ----------
    rise, fall : Value
        10 to 90 percent, s; an upper bound where the sampling is the limit (``limited``).
    rise_limited, fall_limited : bool
        The edge has fewer than two samples inside: the time is the sampling's, not the device's.
    interval : float
        Median sampling interval, s.
    light, dark : Value
        Mean currents, A, with the standard deviation of the mean over cycles.
    on_off : Value
        Light over dark current; none where the dark current is within its noise of zero.
    noise : Value
        Standard deviation of the dark current from sample to sample, A.
    drift : Value
        Relative change of the light current per hour.
    kept : Value
        Light current of the last cycle over that of the first.
    cycles : int
    edges : tuple of Edge
    warnings : tuple of str
    """

    rise: Value
    fall: Value
    rise_limited: bool
    fall_limited: bool
    interval: float
    light: Value
    dark: Value
    on_off: Value
    noise: Value
    drift: Value
    kept: Value
    cycles: int
    edges: tuple[Edge, ...]
    warnings: tuple[str, ...] = ()


def chopped_trace(time: Array, current: Array) -> Trace:
    """Return switching times, on/off ratio and stability of a trace.

    Parameters
    ----------
    time : (n,) array, s
    current : (n,) array, A

    Raises
    ------
    InputError
        Fewer than ten points, time that does not rise, no switching above the noise, or a trace
        that is clipped (its highest value stands exactly in a tenth of all samples).

    References
    ----------
    Levels by the two-means threshold of N. Otsu, IEEE Trans. SMC 9, 62 (1979).
    """
    time, current = np.asarray(time, float), np.asarray(current, float)
    good = np.isfinite(time) & np.isfinite(current)
    time, current = time[good], current[good]
    if len(time) < 10:
        raise InputError(f"{len(time)} points", place="trace", remedy="give at least ten")
    if (np.diff(time) <= 0).any():
        raise InputError("time does not rise", place="trace", remedy="sort the rows by time")
    sign = 1.0 if current[np.argmax(np.abs(current))] >= 0 else -1.0
    current = sign * current
    _refuse_clipped(current)
    level = _threshold(current)
    on = _hysteresis(current, level)
    switches = np.flatnonzero(np.diff(on.astype(int)))
    if len(switches) == 0:
        raise InputError(
            "no switching of the light stands out of the noise",
            place="trace",
            remedy="give a trace with light on and off",
        )
    plateaus = _plateaus(on, switches)
    edges = tuple(_edges(time, current, plateaus))
    interval = float(np.median(np.diff(time)))
    warnings: list[str] = []
    rise, rise_limited = _switching(edges, True, interval, warnings)
    fall, fall_limited = _switching(edges, False, interval, warnings)
    light = [_tail(current, p) for p in plateaus if p[2]]
    dark = [_tail(current, p) for p in plateaus if not p[2]]
    noise = _noise(current, plateaus)
    light_value, dark_value = _mean(light, noise), _mean(dark, noise)
    drift, kept = _stability(time, current, plateaus, noise, warnings)
    return Trace(
        rise,
        fall,
        rise_limited,
        fall_limited,
        interval,
        light_value,
        dark_value,
        _ratio(light_value, dark_value, warnings),
        Value(noise, "A", noise / math.sqrt(2 * max(len(current) - 1, 1))),
        drift,
        kept,
        len(light),
        edges,
        tuple(warnings),
    )


def _refuse_clipped(current: Array) -> None:
    top = current.max()
    share = float(np.mean(current >= top - 1e-12 * abs(top)))
    span = top - current.min()
    if share > 0.1 and len(np.unique(current)) > 3 and span > 0:
        raise InputError(
            f"{100 * share:.0f} % of the samples stand at the highest value {top:g}: clipped",
            place="trace",
            remedy="record again with a wider current range",
        )


def _threshold(current: Array) -> float:
    counts, edges = np.histogram(current, 256)
    middle = (edges[1:] + edges[:-1]) / 2
    weight = np.cumsum(counts)
    total, sums = weight[-1], np.cumsum(counts * middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (sums[-1] * weight / total - sums) ** 2 / (weight * (total - weight))
    between[~np.isfinite(between)] = 0
    # the criterion is flat between the levels: take the middle of its plateau
    best = np.flatnonzero(between >= between.max() * (1 - 1e-9))
    return float(middle[best].mean())


def _hysteresis(current: Array, level: float) -> NDArray[np.bool_]:
    high = np.median(current[current > level])
    low = np.median(current[current <= level])
    up, down = low + 0.6 * (high - low), low + 0.4 * (high - low)
    noise = 1.4826 * np.median(np.abs(np.diff(current))) / math.sqrt(2)
    if not high - low > 6 * noise:
        raise InputError(
            "no switching of the light stands out of the noise",
            place="trace",
            remedy="give a trace with light on and off",
        )
    state = np.empty(len(current), bool)
    now = bool(current[0] > level)
    for k, x in enumerate(current):
        now = (x > down) if now else (x > up)
        state[k] = now
    return state


def _plateaus(on: NDArray[np.bool_], switches: NDArray[np.int64]) -> list[tuple[int, int, bool]]:
    starts = [0, *[int(s) + 1 for s in switches]]
    stops = [*starts[1:], len(on)]
    return [(a, b, bool(on[a])) for a, b in zip(starts, stops, strict=True)]


def _settled(plateau: tuple[int, int, bool]) -> slice:
    """Return the settled part of a plateau: its second half less the start of the next edge."""
    a, b, _ = plateau
    start = a + (b - a) // 2
    return slice(start, max(b - (b - a) * 15 // 100, start + 1))


def _tail(current: Array, plateau: tuple[int, int, bool]) -> float:
    return float(np.median(current[_settled(plateau)]))


def _noise(current: Array, plateaus: list[tuple[int, int, bool]]) -> float:
    tails = [current[_settled(p)] for p in plateaus if not p[2]]
    steps = np.concatenate([np.diff(t) for t in tails]) if tails else np.zeros(0)
    if len(steps) < 3:
        steps = np.concatenate([np.diff(current[_settled(p)]) for p in plateaus])
    return float(1.4826 * np.median(np.abs(steps)) / math.sqrt(2)) if len(steps) else 0.0


def _edges(time: Array, current: Array, plateaus: list[tuple[int, int, bool]]) -> list[Edge]:
    found = []
    for before, after in itertools.pairwise(plateaus):
        low, high = _tail(current, before), _tail(current, after)
        span = slice(before[0] + (before[1] - before[0]) // 2, after[1])
        fraction = (current[span] - low) / (high - low)
        t = time[span]
        # the last crossing of 10 % before, and the first of 90 % after, the middle
        middle = int(np.flatnonzero(fraction >= 0.5)[0])
        start = _crossing(t, fraction, 0.1, np.arange(middle, 0, -1))
        stop = _crossing(t, fraction, 0.9, np.arange(middle, len(t)))
        half = _crossing(t, fraction, 0.5, np.arange(middle, 0, -1))
        if start is None or stop is None or half is None:
            continue
        inside = int(((t > start) & (t < stop)).sum())
        found.append(Edge(after[2], half, stop - start, inside))
    return found


def _crossing(t: Array, y: Array, level: float, order: NDArray[np.int64]) -> float | None:
    for k in order:
        if k >= 1 and y[k - 1] < level <= y[k]:
            return float(t[k - 1] + (level - y[k - 1]) / (y[k] - y[k - 1]) * (t[k] - t[k - 1]))
    return None


def _switching(
    edges: tuple[Edge, ...], rising: bool, interval: float, warnings: list[str]
) -> tuple[Value, bool]:
    name = "rise" if rising else "fall"
    mine = [e for e in edges if e.rising is rising]
    if not mine:
        warnings.append(f"the trace holds no {name}")
        return Value(math.nan, "s", None, f"the trace holds no {name}"), False
    times = np.array([e.duration for e in mine])
    if np.median([e.samples for e in mine]) < 2:
        # linear interpolation over one interval shows 0.8 of it for any faster device
        bound = max(float(np.median(times)), 0.8 * interval)
        warnings.append(
            f"the {name} takes fewer than two samples: it is at most about "
            f"{bound:.3g} s, the limit of the sampling every {interval:.3g} s"
        )
        return Value(bound, "s", None, "limited by the sampling; an upper bound"), True
    scatter = float(times.std(ddof=1) / math.sqrt(len(times))) if len(times) > 1 else 0.0
    # each of the two crossings is known to a fraction of the interval
    grain = interval / math.sqrt(6 * len(times))
    return Value(float(np.median(times)), "s", math.hypot(scatter, grain)), False


def _mean(values: list[float], noise: float) -> Value:
    if not values:
        return Value(math.nan, "A", None, "no such plateau")
    if len(values) == 1:
        return Value(values[0], "A", noise or None, None if noise else "one plateau")
    return Value(
        float(np.mean(values)), "A", float(np.std(values, ddof=1) / math.sqrt(len(values)))
    )


def _ratio(light: Value, dark: Value, warnings: list[str]) -> Value:
    error = dark.error or 0.0
    if not dark.value > 3 * error:
        warnings.append(
            "the dark current is zero within its error: the on/off ratio is a lower bound"
        )
        bound = light.value / max(dark.value + 2 * error, 1e-300)
        return Value(bound, "", None, "the dark current is zero within its error; a lower bound")
    relative = math.hypot((light.error or 0) / light.value, error / dark.value)
    return Value(light.value / dark.value, "", light.value / dark.value * relative)


def _stability(
    time: Array,
    current: Array,
    plateaus: list[tuple[int, int, bool]],
    noise: float,
    warnings: list[str],
) -> tuple[Value, Value]:
    lit = [(float(time[(a + b) // 2]), _tail(current, (a, b, on))) for a, b, on in plateaus if on]
    if len(lit) < 3:
        reason = "fewer than three light cycles"
        return Value(math.nan, "1/hour", None, reason), Value(math.nan, "", None, reason)
    t, y = np.array(lit).T
    design = np.column_stack([np.ones_like(t), t - t.mean()])
    solution, *_ = np.linalg.lstsq(design, y, rcond=None)
    residual = y - design @ solution
    scale = residual @ residual / max(len(t) - 2, 1)
    covariance = np.linalg.inv(design.T @ design) * scale
    drift = Value(
        float(solution[1] / solution[0] * 3600),
        "1/hour",
        float(math.sqrt(covariance[1, 1]) / abs(solution[0]) * 3600),
    )
    if abs(drift.value) > 3 * (drift.error or 0) and abs(y[-1] / y[0] - 1) > 0.01:
        warnings.append(
            f"the light current changes by {100 * (y[-1] / y[0] - 1):.1f} % over the trace"
        )
    spread = math.sqrt(scale) * math.sqrt(2) / abs(y[0])
    return drift, Value(float(y[-1] / y[0]), "", max(spread, noise / abs(y[0])))
