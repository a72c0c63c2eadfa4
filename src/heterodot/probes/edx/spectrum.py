"""Net counts of each element in an EDX spectrum, overlapping lines parted with their correlation.

The spectrum is a sum of line families on a smooth background, fitted as Poisson counts by Fisher
scoring together with the channel's zero, its width and the detector's resolution.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.probes.edx.lines import family, shape
from heterodot.units import Value

if TYPE_CHECKING:
    from heterodot.measurement import Measurement

    Array = NDArray[np.float64]

LOWEST = 0.9  # keV: below, absorption and the detector's window decide, and lines crowd
HIGHEST = 20.0
KNOTS = 1.2  # keV between knots of the background
SEEN = 5.0  # standard errors of an unexplained peak that is said


@dataclass(frozen=True)
class Line:
    """One shell of one element in a spectrum.

    Attributes
    ----------
    element, shell : str
    energy : float
        Of its strongest line, keV.
    counts : Value
        Net counts of the whole shell.
    inflation : float
        Its error by that of the same counts without other elements' lines.
    """

    element: str
    shell: str
    energy: float
    counts: Value
    inflation: float

    @property
    def name(self) -> str:
        """Return e.g. ``"Pb M"``."""
        return f"{self.element} {self.shell}"

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**vars(self), "counts": self.counts.to_json()}


@dataclass(frozen=True, eq=False)
class SpectrumFit:
    """Net counts of a spectrum.

    Attributes
    ----------
    lines : tuple of Line
    covariance : (n, n) array
        Of the counts of ``lines``.
    energy, counts, model, background : (m,) arrays
        Over the fitted range; energy in keV as calibrated by the file.
    offset, gain, resolution : Value
        Zero of the energy axis (keV), its scale, width (FWHM) by the usual one.
    reduced_chi2 : float
        Pearson's, by degrees of freedom.
    warnings : tuple of str
    design : (m, k) array
        Lines' shapes, then the background's.
    """

    lines: tuple[Line, ...]
    covariance: Array
    energy: Array
    counts: Array
    model: Array
    background: Array
    offset: Value
    gain: Value
    resolution: Value
    reduced_chi2: float
    warnings: tuple[str, ...]
    design: Array

    def weights(self) -> Array:
        """Return what each channel adds to the counts of each line, (n, m).

        The fit's own linear estimate with the axis as found; applied to a part of the counts (one
        pixel of a map) it is unbiased.
        """
        scaled = self.design / np.maximum(self.model, 1e-3)[:, None]
        found = np.linalg.solve(self.design.T @ scaled, scaled.T)
        return np.asarray(found[: len(self.lines)], dtype=float)

    def chosen(self, shells: Mapping[str, str] | None = None) -> tuple[list[Line], Array]:
        """Return one line for each element and their covariance.

        Without a choice it is the shell whose counts have the least relative error.
        """
        shells = shells or {}
        index = []
        for element in dict.fromkeys(line.element for line in self.lines):
            own = [k for k, line in enumerate(self.lines) if line.element == element]
            if element in shells:
                own = [k for k in own if self.lines[k].shell == shells[element]]
                if not own:
                    raise InputError(f"{element} {shells[element]} is not in range", place="shells")
            index.append(max(own, key=lambda k: self.lines[k].counts.value
                             / math.sqrt(max(float(self.covariance[k, k]), 1e-12))))  # fmt: skip
        return [self.lines[k] for k in index], self.covariance[np.ix_(index, index)]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data without the curves."""
        return {
            "lines": [line.to_json() for line in self.lines],
            "offset": self.offset.to_json(),
            "gain": self.gain.to_json(),
            "resolution_by_usual": self.resolution.to_json(),
            "reduced_chi2": self.reduced_chi2,
            "warnings": list(self.warnings),
        }


def fit_spectrum(
    spectrum: Measurement, elements: Sequence[str], *, limits: tuple[float, float] | None = None
) -> SpectrumFit:
    """Return net counts of elements' lines in a spectrum.

    Parameters
    ----------
    spectrum : Measurement
        Counts over ``energy`` in keV.
    elements : sequence of str
        All that are there, the grid's copper and carbon too.
    limits : two floats, optional
        keV; by default 0.9 to 20 or the end of the spectrum.

    Raises
    ------
    InputError
        Not counts over energy, negative counts, an element without line in range.
    NotFoundError
        No counts.

    Notes
    -----
    Shares of lines within a shell are atomic constants (with a statistical filling of subshells);
    counts of whole shells are free. Escape and sum peaks, and absorption in the specimen, are not in
    the model. Errors are those of counting and of the fit.
    """
    energy, counts = _checked(spectrum)
    low, high = limits or (LOWEST, min(HIGHEST, float(energy[-1])))
    inside = (energy >= low) & (energy <= high)
    if inside.sum() < 50:
        raise InputError(f"fewer than 50 channels lie between {low:g} and {high:g} keV")
    energy, counts = energy[inside], counts[inside]
    if counts.sum() < 20:
        raise NotFoundError("the spectrum has no counts", remedy="sum more pixels")
    names = _shells_in(elements, energy[0], energy[-1])
    smooth = _background(energy)
    solved = _fisher(energy, counts, names, smooth)
    lines, warnings = _lines(names, solved)
    model = solved.model
    rest = float(np.sum((counts - model) ** 2 / np.maximum(model, 0.5)))
    freedom = max(len(energy) - len(solved.parameters), 1)
    warnings += _unexplained(energy, counts, model, elements)
    errors = np.sqrt(np.maximum(np.diag(solved.covariance), 0))
    scale = solved.scale
    n = len(names)
    return SpectrumFit(
        lines, solved.covariance[:n, :n], energy, counts, model,
        smooth @ solved.parameters[n : n + smooth.shape[1]],
        Value(float(scale[0]), "keV", float(errors[-3])),
        Value(float(scale[1]), "", float(errors[-2])),
        Value(float(scale[2]), "", float(errors[-1])), rest / freedom, tuple(warnings),
        np.concatenate([_design(energy, names, scale), smooth], axis=1),
    )  # fmt: skip


def _checked(spectrum: Measurement) -> tuple[Array, Array]:
    data = spectrum.data
    if data.dims != ("energy",) or data["energy"].attrs.get("units") != "keV":
        raise InputError("is no spectrum of counts over energy in keV", place=spectrum.source)
    energy, counts = np.asarray(data["energy"].values, float), np.asarray(data.values, float)
    if not np.isfinite(counts).all():
        raise InputError("the spectrum has values that are not finite", place=spectrum.source)
    if (counts < 0).any():
        raise InputError(
            "the spectrum has negative counts", place=spectrum.source,
            remedy="give it before a background was subtracted",
        )  # fmt: skip
    return energy, counts


def _shells_in(elements: Sequence[str], low: float, high: float) -> list[tuple[str, str]]:
    """Return the shells whose strongest line lies in the range."""
    found = []
    for element in dict.fromkeys(elements):
        shells = [
            shell for shell, lines in family(element).items()
            if low + 0.1 < max(lines, key=lambda line: line[1])[0] < high - 0.2
        ]  # fmt: skip
        found += [(element, shell) for shell in shells]
    if not found:
        raise InputError(
            f"no line of {', '.join(elements)} lies between {low:.2g} and {high:.3g} keV"
        )
    return found


def _background(energy: Array) -> Array:
    """Return cubic B-splines with knots so far apart that they follow no line, (m, k)."""
    from scipy.interpolate import BSpline

    # the background bends most at low energy: knots evenly in the root of it
    count = max(3, round((energy[-1] - energy[0]) / KNOTS / 2))
    knots = np.linspace(math.sqrt(energy[0]), math.sqrt(energy[-1]), count) ** 2
    knots[0], knots[-1] = energy[0], energy[-1]
    full = np.concatenate([[knots[0]] * 3, knots, [knots[-1]] * 3])
    return np.asarray(BSpline.design_matrix(energy, full, 3).toarray())


@dataclass(frozen=True, eq=False)
class _Solved:
    parameters: Array
    covariance: Array
    model: Array
    scale: Array
    single: Array


def _design(energy: Array, names: Sequence[tuple[str, str]], scale: Array) -> Array:
    """Return the share of each shell in each channel for an offset, gain and relative width."""
    step = float(np.diff(energy).mean())
    edges = np.append(energy - step / 2, energy[-1] + step / 2)
    true = (edges - scale[0]) / scale[1]
    return np.stack([shape(e, s, true, float(scale[2])) for e, s in names], 1)


def _fisher(
    energy: Array, counts: Array, names: Sequence[tuple[str, str]], smooth: Array
) -> _Solved:
    n, m = len(names), smooth.shape[1]
    scale = np.array([0.0, 1.0, 1.0])
    floor = max(float(counts.mean()) * 1e-3, 1e-3)
    model = np.maximum(_averaged(counts), floor)
    lines = _design(energy, names, scale)
    parameters = np.zeros(n + m)
    matrix, design = np.zeros((0, 0)), lines
    for turn in range(25):
        design = np.concatenate([lines, smooth], axis=1)
        if turn >= 3:  # the axis is refined once the lines are about right
            design = np.concatenate([design, _slopes(energy, names, scale, parameters[:n])], axis=1)
        weight = 1 / np.maximum(model, floor)
        # the axis is known beforehand to 20 eV, 0.5 % and 15 %
        prior = np.diag([1e-9 * float(weight.mean())] * (n + m) + [0.02**-2, 0.005**-2, 0.15**-2])
        matrix = design.T @ (design * weight[:, None])
        right = design.T @ (weight * counts)
        if turn >= 3:
            right = design.T @ (
                weight * (counts - (lines @ parameters[:n] + smooth @ parameters[n:]))
            )
            right[: n + m] += matrix[: n + m, : n + m] @ parameters
            # step from where the axis is: its change is a linear parameter
            right[n + m :] += matrix[n + m :, : n + m] @ parameters
            matrix = matrix + prior
            right[n + m :] -= np.diag(prior)[n + m :] * (scale - [0.0, 1.0, 1.0])
        else:
            matrix = matrix + prior[: n + m, : n + m]
        step = np.linalg.solve(matrix, right)
        change = np.abs(step[: n + m] - parameters).max() if turn else math.inf
        parameters = step[: n + m]
        if turn >= 3:
            scale = np.clip(scale + np.clip(step[n + m:], -0.05, 0.05),
                            [-0.1, 0.97, 0.6], [0.1, 1.03, 1.6])  # fmt: skip
            lines = _design(energy, names, scale)
        model = np.maximum(lines @ parameters[:n] + smooth @ parameters[n:], floor)
        if turn > 4 and change < 1e-5 * max(float(np.abs(parameters).max()), 1.0):
            break
    covariance = np.linalg.inv(matrix)
    weight = 1 / np.maximum(model, floor)
    base = smooth @ parameters[n:]
    single = np.array(
        [
            np.sum(lines[:, k] ** 2 / np.maximum(lines[:, k] * max(parameters[k], 0) + base, floor))
            for k in range(n)
        ]
    )
    return _Solved(parameters, np.asarray(covariance, float), model, scale, single)


def _slopes(energy: Array, names: Sequence[tuple[str, str]], scale: Array, amounts: Array) -> Array:
    """Return slopes of the lines' sum against offset, gain and width, (m, 3)."""
    found = []
    for k, small in enumerate((1e-4, 1e-5, 1e-3)):
        change = np.zeros(3)
        change[k] = small
        up = _design(energy, names, scale + change) @ amounts
        down = _design(energy, names, scale - change) @ amounts
        found.append((up - down) / (2 * small))
    return np.stack(found, 1)


def _averaged(counts: Array) -> Array:
    from scipy import ndimage

    return np.asarray(ndimage.gaussian_filter1d(counts, 2.0))


def _lines(names: Sequence[tuple[str, str]], solved: _Solved) -> tuple[tuple[Line, ...], list[str]]:
    """Return the lines with counts, and what overlaps."""
    found, warnings = [], []
    error = np.sqrt(np.maximum(np.diag(solved.covariance), 0))
    for k, (element, shell) in enumerate(names):
        energy = max(family(element, shell)[shell], key=lambda line: line[1])[0]
        inflated = float(error[k] * math.sqrt(solved.single[k]))
        counts = Value(float(solved.parameters[k]), "", float(error[k]))
        found.append(Line(element, shell, energy, counts, inflated))
    n = len(names)
    correlation = solved.covariance[:n, :n] / np.outer(error[:n], error[:n])
    for i in range(n):
        for j in range(i + 1, n):
            if names[i][0] != names[j][0] and correlation[i, j] < -0.3:
                a, b = found[i], found[j]
                worse = a if a.inflation > b.inflation else b
                warnings.append(
                    f"{a.name} ({a.energy:.3f} keV) and {b.name} ({b.energy:.3f} keV) overlap "
                    f"(correlation {correlation[i, j]:.2f}): the error of {worse.name} is "
                    f"{worse.inflation:.1f} times that of a free line"
                )
    for line in found:
        if line.counts.error and line.counts.value < 3 * line.counts.error:
            warnings.append(f"{line.name} is below three standard errors")
    return tuple(found), warnings


def _unexplained(energy: Array, counts: Array, model: Array, elements: Sequence[str]) -> list[str]:
    """Return warnings for peaks that no element of the fit has, with who could."""
    from scipy import ndimage

    from heterodot.probes.edx.lines import known_elements, width

    step = float(np.diff(energy).mean())
    sigma = np.array([width(e) for e in energy]).mean() / 2.355 / step
    excess = ndimage.gaussian_filter1d(counts - model, sigma)
    noise = np.sqrt(np.maximum(ndimage.gaussian_filter1d(model, sigma), 0.05))
    noise = noise / math.sqrt(2 * math.sqrt(math.pi) * sigma)
    ratio = excess / noise
    # a misfit of 2 % of a strong line is the model's, not an element
    seen = (ratio > SEEN) & (excess > 0.02 * ndimage.maximum_filter1d(model, int(8 * sigma) | 1))
    said, nameless = [], []
    for part in ndimage.find_objects(ndimage.label(seen)[0]):
        at = energy[part[0]][int(ratio[part[0]].argmax())]
        near = [
            f"{e} {s}"
            for e in known_elements() if e not in elements
            for s, lines in family(e).items()
            if abs(max(lines, key=lambda line: line[1])[0] - at) < 0.035
        ]  # fmt: skip
        text = f"a peak at {at:.2f} keV belongs to none of the elements given"
        if near:
            said.append(f"{text} ({', '.join(near[:3])}?)")
        else:
            nameless.append(text)
    # weaker lines of a missing element have no name of their own
    return (said or nameless)[:4]


def simulate_spectrum(
    counts: Mapping[str, float],
    *,
    channels: int = 2048,
    channel: float = 0.01,
    background: float = 0.0,
    resolution: float = 1.0,
    seed: int | None = None,
) -> Measurement:
    """Return a spectrum of given counts of shells.

    Parameters
    ----------
    counts : mapping
        ``"Pb M"`` to counts.
    channels : int
    channel : float
        keV.
    background : float
        Total counts of bremsstrahlung (Kramers' law, absorbed below 1 keV).
    resolution : float
        Width by the usual one.
    seed : int, optional
        Of Poisson noise; none if left out.

    Examples
    --------
    >>> s = simulate_spectrum({"S K": 1000.0})
    >>> round(float(s.data.sum())), s.data.dims
    (1000, ('energy',))
    """
    import xarray as xr

    from heterodot.measurement import Measurement

    edges = np.asarray(np.arange(channels + 1) * channel, dtype=float)
    energy = (edges[1:] + edges[:-1]) / 2
    total = np.zeros(channels)
    for name, number in counts.items():
        element, _, shell = name.partition(" ")
        total += number * shape(element, shell, edges, resolution)
    if background:
        # Kramers (1923): proportional to (E0 - E)/E; E0 200 keV; the window takes low energies
        curve = (200 - energy) / np.maximum(energy, 0.05) * np.exp(-((0.7 / (energy + 0.05)) ** 2))
        total += background * curve / curve.sum()
    if seed is not None:
        total = np.random.default_rng(seed).poisson(total).astype(float)
    data = xr.DataArray(
        total, dims=("energy",), coords={"energy": ("energy", energy, {"units": "keV"})},
        name="counts", attrs={"units": "counts"},
    )  # fmt: skip
    return Measurement(data, "edx", "simulated", metadata={"counts": dict(counts)})
