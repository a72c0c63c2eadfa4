"""Singular values of a matrix and how many of them stand above the noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.measurement import Measurement
from heterodot.probes.ta.matrix import prepare

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Singular:
    """Singular value decomposition of noise-weighted data.

    Attributes
    ----------
    values : (n,) array
        In units of the noise of one point.
    floor : float
        Largest value that pure noise would give.
    significant : int
        How many are above it. With chirp, one species takes more than one.
    time_vectors : (n_times, n) array
    spectra : (n, n_wavelengths) array
    time, wavelength : arrays
    """

    values: Floats
    floor: float
    significant: int
    time_vectors: Floats
    spectra: Floats
    time: Floats
    wavelength: Floats


def singular_values(
    measurement: Measurement, *, after: float | None = None, most: int = 12
) -> Singular:
    """Return the singular values of a matrix with the noise floor.

    The largest singular value of an n by m matrix of unit noise is sqrt(n) + sqrt(m) within about
    one (Marchenko and Pastur; Geman 1980); what is 3 % above that is counted.

    Parameters
    ----------
    measurement : Measurement
    after : float, optional
        Only delays after this one (beyond the chirp, where the number is that of the species).
    most : int
        Vectors that are returned.

    Examples
    --------
    >>> from heterodot.probes.ta import read_scheme, simulate
    >>> scheme = read_scheme("A -> GS : k_1 = 0.1 /ps")
    >>> data = simulate(scheme, [np.linspace(1, 2, 30)], np.linspace(-1, 40, 80),
    ...                 np.linspace(500, 600, 30), noise=0.01)
    >>> singular_values(data).significant
    1
    """
    m = prepare(measurement, times=None if after is None else (after, np.inf))
    sigma = m.sigma if m.sigma.ndim == 1 else np.median(m.sigma, axis=0)
    u, s, v = np.linalg.svd(m.values / sigma, full_matrices=False)
    floor = 1.03 * (np.sqrt(m.time.size) + np.sqrt(m.wavelength.size))
    return Singular(
        s,
        float(floor),
        int((s > floor).sum()),
        u[:, :most],
        v[:most] * sigma,
        m.time,
        m.wavelength,
    )
