"""Peak shapes: pseudo-Voigt of a Gaussian and a Lorentzian width, and blurring by an instrument.

Thompson, Cox and Hastings, J. Appl. Cryst. 20, 79 (1987): width and mixing of the pseudo-Voigt
that is nearest to a Voigt profile (within 1 % of its height).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GAUSS = math.sqrt(4 * math.log(2) / math.pi)


def voigt_shape(gauss: Floats, lorentz: Floats) -> tuple[Floats, Floats]:
    """Return FWHM and Lorentzian share of the pseudo-Voigt for two FWHMs.

    Examples
    --------
    >>> import numpy as np
    >>> width, share = voigt_shape(np.array([1.0, 0.0]), np.array([0.0, 2.0]))
    >>> width.round(6).tolist(), share.round(6).tolist()
    ([1.0, 2.0], [0.0, 1.0])
    """
    g, x = np.asarray(gauss, dtype=float), np.asarray(lorentz, dtype=float)
    fifth = (
        g**5
        + 2.69269 * g**4 * x
        + 2.42843 * g**3 * x**2
        + 4.47163 * g**2 * x**3
        + 0.07842 * g * x**4
        + x**5
    )
    width = np.maximum(fifth, 1e-60) ** 0.2
    ratio = x / width
    share = 1.36603 * ratio - 0.47719 * ratio**2 + 0.11116 * ratio**3
    return width, np.clip(share, 0.0, 1.0)


def pseudo_voigt(offset: Floats, width: Floats | float, share: Floats | float) -> Floats:
    """Return the pseudo-Voigt of unit area at ``offset`` from its middle.

    Parameters
    ----------
    offset, width : array or float
        In one unit; ``width`` is the FWHM.
    share : array or float
        Lorentzian share.
    """
    u = np.asarray(offset) / width
    gauss = GAUSS / width * np.exp(-4 * math.log(2) * u**2)
    lorentz = 2 / (math.pi * width) / (1 + 4 * u**2)
    return np.asarray(share * lorentz + (1 - share) * gauss, dtype=float)


def blur(
    x: Floats, values: Callable[[Floats], Floats], width: Floats, share: float, reach: float = 12.0
) -> Floats:
    """Return a curve blurred by a pseudo-Voigt whose FWHM changes along x.

    Parameters
    ----------
    x : (n,) array
        Where the result is wanted.
    values : callable
        The sharp curve at any x.
    width : (n,) array
        FWHM at each x; zero leaves the point as it is.
    share : float
        Lorentzian share.
    reach : float
        Kernel cut, in FWHM on each side (the area that is cut off is put back).
    """
    # equal steps in asinh sample the peak and the tail of a Lorentzian alike
    t = np.linspace(-1, 1, 201)
    u = np.sinh(t * math.asinh(4 * reach)) / 4
    step = np.gradient(u)
    kernel = pseudo_voigt(u, 1.0, share) * step
    kernel /= kernel.sum()
    points = x[:, None] + width[:, None] * u[None, :]
    return np.asarray(values(points.ravel()).reshape(points.shape) @ kernel, dtype=float)


def chebyshev(x: Floats, n: int) -> Floats:
    """Return the first n Chebyshev polynomials over the range of x, (n, len(x))."""
    low, high = float(x.min()), float(x.max())
    u = (2 * x - (low + high)) / (high - low if high > low else 1.0)
    return np.asarray(np.polynomial.chebyshev.chebvander(u, n - 1).T, dtype=float)
