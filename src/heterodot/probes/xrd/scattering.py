"""Atomic scattering factors: four Gaussians (Int. Tables C, 6.1.1.4, 1992) and dispersion.

The coefficients and the Cromer-Liberman dispersion come with gemmi; neutral atoms are taken, since
formal charges say little of the density that high-angle X-rays see.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError


def form_factors(symbols: Sequence[str], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return f0 of neutral atoms, (n_symbols, n_q), in electrons.

    Good to about 0.01 electron up to q = 25 1/Å (sin(theta)/lambda = 2 1/Å).

    Parameters
    ----------
    symbols : sequence of str
    q : (n_q,) array
        1/Å.

    Raises
    ------
    InputError
        An element without coefficients.

    Examples
    --------
    >>> import numpy as np
    >>> form_factors(["Pb"], np.array([0.0])).round()
    array([[82.]])
    """
    import gemmi

    s2 = (np.asarray(q, dtype=float) / (4 * np.pi)) ** 2
    rows = []
    for symbol in symbols:
        coefficients = gemmi.Element(symbol).it92
        if coefficients is None:
            raise InputError(
                f"no X-ray scattering factor for '{symbol}'",
                place="symbols",
                remedy="use elements up to Cf",
            )
        a = np.array(coefficients.a)[:, None]
        b = np.array(coefficients.b)[:, None]
        rows.append((a * np.exp(-b * s2)).sum(0) + coefficients.c)
    return np.array(rows).reshape(len(symbols), len(s2))


def dispersion(symbols: Sequence[str], wavelength: float) -> NDArray[np.complex128]:
    """Return f' + i f'' at a wavelength (Å), (n_symbols,), in electrons.

    Cromer-Liberman with the Kissel-Pratt correction; poor within some eV of an absorption edge.

    Examples
    --------
    >>> dispersion(["Pb"], 1.5406).round(1)
    array([-3.9+8.5j])
    """
    import gemmi
    from scipy import constants

    energy = constants.h * constants.c / (wavelength * 1e-10) / constants.e
    return np.array(
        [complex(*gemmi.cromer_liberman(gemmi.Element(s).atomic_number, energy)) for s in symbols]
    )
