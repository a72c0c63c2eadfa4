"""What a whole-pattern fit says of each phase: fraction, size, strain, cell, with errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.fitting import Parameter
from heterodot.probes.xrd.components import (
    Component,
    HumpComponent,
    ParticleComponent,
    PhaseComponent,
)
from heterodot.probes.xrd.pattern_fit import Problem, Solution
from heterodot.probes.xrd.recorded import Recorded
from heterodot.probes.xrd.shape import column_length, half_width
from heterodot.units import Value

Floats = NDArray[np.float64]

CELL = ("a", "b", "c", "alpha", "beta", "gamma")


def background_curve(problem: Problem, solution: Solution) -> Floats:
    """Return the background on the points of the data, (n,)."""
    return np.asarray(solution.smooth @ problem.smooth * problem.data.sigma, dtype=float)


def phase_records(
    problem: Problem,
    solution: Solution,
    names: tuple[str, ...],
    covariance: Floats,
    notes: Mapping[str, str],
    standing: Mapping[str, dict[str, Any]],
    absent: Sequence[Component],
) -> tuple[dict[str, dict[str, Any]], dict[str, Parameter]]:
    """Return one plain record a phase, and derived parameters."""
    rows: dict[str, dict[str, Any]] = {}
    derived: dict[str, Parameter] = {}
    crystalline = [
        (k, c) for k, c in enumerate(problem.components) if not isinstance(c, HumpComponent)
    ]
    total = float(sum(solution.factors[k] for k, _ in crystalline))
    index = {name: j for j, name in enumerate(names)}
    for k, component in crystalline:
        fraction, error = _fraction(k, crystalline, solution.factors, total, index, covariance)
        row: dict[str, Any] = {
            "present": True,
            "evidence": standing[component.name]["evidence"],
            "weight_fraction": Value(
                fraction, "", error, None if error is not None else "the only phase"
            ),
        }
        label = f"{component.name}.weight_fraction"
        derived[label] = Parameter(label, fraction, "", error, note="derived")
        if isinstance(component, PhaseComponent):
            row |= _crystal_record(component, solution.values, index, covariance, notes, derived)
        else:
            name = f"{component.name}.stretch"
            row["stretch"] = _value(solution.values, name, "", index, covariance, notes)
        rows[component.name] = row
    for other in problem.components:
        if isinstance(other, HumpComponent):
            said = _hump_record(other, solution.values, index, covariance, notes)
            said["evidence"] = standing[other.name]["evidence"]
            rows[other.name] = {"present": True, "amorphous": True, **said}
    for missing in absent:
        state = standing[missing.name]
        reason = "not determined: it is not there"
        row = {"present": False, "evidence": state["evidence"]}
        if isinstance(missing, HumpComponent):
            row["amorphous"] = True
        else:
            row["weight_fraction"] = Value(0.0, "", max(state["fraction_error"], 1e-6))
            row["upper_limit"] = Value(
                state["fraction"] + 2 * state["fraction_error"], "", None, "95 % upper limit"
            )
            for what in ("size", "microstrain"):
                row[what] = {"value": None, "error": None, "unit": "", "error_reason": reason}
            row["cell"] = None
        if not isinstance(missing, ParticleComponent | HumpComponent):
            row["formula"] = missing.crystal.formula
        rows[missing.name] = row
    return rows, derived


def _fraction(
    k: int,
    crystalline: Sequence[tuple[int, Component]],
    factors: Floats,
    total: float,
    index: Mapping[str, int],
    covariance: Floats,
) -> tuple[float, float | None]:
    """Return a weight fraction and its standard error from the covariance of all masses."""
    fraction = float(factors[k]) / total if total > 0 else 0.0
    if len(crystalline) < 2:
        return fraction, None
    gradient = np.zeros(len(covariance))
    for j, other in crystalline:
        label = f"{other.name}.factor"
        if label in index:
            gradient[index[label]] = ((1.0 if j == k else 0.0) - fraction) / total
    return fraction, math.sqrt(max(float(gradient @ covariance @ gradient), 0.0))


def _value(
    values: Mapping[str, float],
    name: str,
    unit: str,
    index: Mapping[str, int],
    covariance: Floats,
    notes: Mapping[str, str],
) -> Value:
    if name in index:
        return Value(values[name], unit, math.sqrt(covariance[index[name], index[name]]))
    return Value(values[name], unit, None, notes.get(name, "held fixed"))


def _times(value: Value, factor: float) -> Value:
    error = None if value.error is None else value.error * factor
    return Value(value.value * factor, value.unit, error, value.error_reason)


def _crystal_record(
    component: PhaseComponent,
    values: dict[str, float],
    index: Mapping[str, int],
    covariance: Floats,
    notes: Mapping[str, str],
    derived: dict[str, Parameter],
) -> dict[str, Any]:
    name = component.name
    size = _value(values, f"{name}.size", "angstrom", index, covariance, notes)
    column = _times(size, column_length(1.0, component.shape))
    spread = values[f"{name}.spread"]
    row: dict[str, Any] = {
        "formula": component.crystal.formula,
        "shape": component.shape,
        "size": size,
        "column_length": column,
        "scherrer_size": _times(size, 0.9 / half_width(component.shape, round(spread, 2))),
        "microstrain": _value(values, f"{name}.microstrain", "", index, covariance, notes),
        "spread": _value(values, f"{name}.spread", "", index, covariance, notes),
        "cell": {},
        "cell_reference": dict(zip(CELL, component.crystal.cellpar, strict=True)),
        "source": component.crystal.source,
    }
    if component.texture is not None:
        row["march_dollase"] = _value(values, f"{name}.march", "", index, covariance, notes)
        row["texture_axis"] = list(component.texture)
    label = f"{name}.column_length"
    derived[label] = Parameter(label, column.value, "angstrom", column.error, note="derived")
    cell = np.array(cellpar_of(component.cell(values)))
    gradient = np.zeros((6, len(covariance)))
    for k in range(len(component.basis)):
        strain = f"{name}.strain_{k + 1}"
        if strain in index:
            moved = dict(values)
            moved[strain] += 1e-5
            gradient[:, index[strain]] = (np.array(cellpar_of(component.cell(moved))) - cell) / 1e-5
    error = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", gradient, covariance, gradient), 0))
    for k, what in enumerate(CELL):
        unit = "angstrom" if k < 3 else "deg"
        fixed = not (np.abs(gradient[k]) > 1e-9).any()
        row["cell"][what] = Value(
            float(cell[k]), unit, None if fixed else float(error[k]),
            ("fixed by symmetry" if k > 2 else "at its bound or held fixed") if fixed else None,
        )  # fmt: skip
        if k < 3:
            label = f"{name}.{what}"
            derived[label] = Parameter(
                label, float(cell[k]), unit, None if fixed else float(error[k]), note="derived"
            )
    reference = np.array(component.crystal.cellpar)
    row["strain"] = {
        what: Value(
            float(cell[k] / reference[k] - 1),
            "",
            None if row["cell"][what].error is None else float(error[k] / reference[k]),
            row["cell"][what].error_reason,
        )
        for k, what in enumerate(CELL[:3])
    }
    volume = component.cell(values)
    row["cell_volume_change"] = float(np.linalg.det(volume) / component.crystal.volume - 1)
    return row


def _hump_record(
    component: HumpComponent,
    values: Mapping[str, float],
    index: Mapping[str, int],
    covariance: Floats,
    notes: Mapping[str, str],
) -> dict[str, Any]:
    name = component.name
    position = values[f"{name}.position"]
    wavelength = component.setup.mean_wavelength
    sine = position * wavelength / (4 * math.pi)
    return {
        "position": _value(values, f"{name}.position", "1/angstrom", index, covariance, notes),
        "width": _value(values, f"{name}.width", "1/angstrom", index, covariance, notes),
        "two_theta": 2 * math.degrees(math.asin(sine)) if sine < 1 else None,
        "source": component.hump.source,
    }


def cellpar_of(cell: Floats) -> tuple[float, ...]:
    """Return a, b, c (Å) and alpha, beta, gamma (degrees) of a cell, rows."""
    lengths = np.linalg.norm(cell, axis=1)
    unit = cell / lengths[:, None]
    cosines = [unit[1] @ unit[2], unit[0] @ unit[2], unit[0] @ unit[1]]
    angles = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    return (*(float(x) for x in lengths), *(float(x) for x in angles))


def unexplained(data: Recorded, residual: Floats, model: Floats) -> list[dict[str, float]]:
    """Return peaks of the residual that stand out of noise and of three percent of the maximum.

    The residual is averaged over half a degree first, so that a wrong tail does not count.
    """
    from scipy.signal import find_peaks

    x = data.two_theta
    step = float(np.median(np.diff(x)))
    n = max(round(0.5 / step) | 1, 3)
    if n * 3 > len(x):
        return []
    kernel = np.hanning(n + 2)[1:-1]
    smooth = np.convolve(residual * data.sigma, kernel / kernel.sum(), "same")
    noise = np.sqrt(np.convolve(data.sigma**2, (kernel / kernel.sum()) ** 2, "same"))
    top = float(model.max() - model.min())
    height = np.maximum(8 * noise, 0.04 * top)
    peaks, _ = find_peaks(smooth, height=height, prominence=0.03 * top, distance=n)
    order = sorted(peaks, key=lambda i: -smooth[i])
    return [{"two_theta": float(x[i]), "height": float(smooth[i])} for i in order]
