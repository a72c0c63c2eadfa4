"""Start values of a transient-absorption fit, from the data alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from heterodot.probes.ta.matrix import Matrix
from heterodot.probes.ta.projection import Projection, Setup

Floats = NDArray[np.float64]


def thinned(matrix: Matrix, groups: int = 30, neighbors: int = 3) -> Matrix:
    """Return a few evenly spaced wavelengths, each the mean of close neighbors.

    For start values only. Few neighbors, so that the chirp inside a group stays small.
    """
    n = matrix.wavelength.size
    if n <= 2 * groups:
        return matrix
    sigma = matrix.sigma if matrix.sigma.ndim == 2 else np.tile(matrix.sigma, (matrix.time.size, 1))
    weight = matrix.mask / sigma**2
    half = min(neighbors, n // groups) // 2
    centers = np.linspace(half, n - 1 - half, groups).astype(int)
    at = centers[:, None] + np.arange(-half, half + 1)[None, :]
    part = weight[:, at]  # (times, groups, neighbors)
    total = part.sum(axis=2)
    mean = (part * matrix.values[:, at]).sum(axis=2) / np.maximum(total, 1e-300)
    return replace(
        matrix,
        wavelength=matrix.wavelength[at].mean(axis=1),
        values=np.where(total > 0, mean, 0.0),
        mask=total > 0,
        sigma=np.sqrt(1.0 / np.maximum(np.median(total, axis=0), 1e-300)),
    )


def start_rates(
    matrices: Sequence[Matrix],
    setups: Sequence[Setup],
    values: Mapping[str, float],
    count: int,
    fixed: Sequence[float] = (),
) -> list[float]:
    """Return ``count`` rates, fastest first, by adding one exponential at a time.

    Each new rate is the one of a logarithmic grid that lowers the misfit most.
    """
    span = max(float(m.time[-1] - values[s.zero]) for m, s in zip(matrices, setups, strict=True))
    fast = min(
        values[s.width] if s.width else float(np.diff(m.time).min())
        for m, s in zip(matrices, setups, strict=True)
    )
    decades = np.log10(max(span / fast, 10.0))
    grid = np.geomspace(0.3 / span, 1.0 / fast, max(count + 3, int(np.ceil(1.6 * decades))))
    chosen: list[float] = list(fixed)

    def misfit(rates: Sequence[float]) -> float:
        array = np.array(rates)
        problem = Projection(
            matrices, setups, lambda _, __: (array, np.eye(array.size)), array.size, ()
        )
        return problem.evaluate(values, (), False)[0]

    for _ in range(count):
        rest = [k for k in grid if all(abs(np.log(k / max(c, 1e-300))) > 0.3 for c in chosen)]
        if not rest:
            chosen.append(chosen[-1] * 0.5)
            continue
        chosen.append(float(min(rest, key=lambda k: misfit([*chosen, k]))))
    return sorted(chosen[len(fixed) :], reverse=True)
