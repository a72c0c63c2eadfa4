"""Variable projection over many groups that share nonlinear parameters (one group a wavelength).

Linear amplitudes are eliminated group by group (Golub and Pereyra 1973, in Kaufman's form of
1975, whose gradient is exact), from Gram matrices, so that no group's Jacobian is ever formed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# a relative ridge on the scaled normal matrix: keeps amplitudes of identical columns finite
RIDGE = 1e-13


class Normal:
    """Scaled normal matrices of all groups, factored once.

    Parameters
    ----------
    gram : (n_groups, n_linear, n_linear) array
        A^T A of each group.
    used : (n_groups, n_linear) array of bool
        Amplitudes that exist in the group; the others stay zero.

    Examples
    --------
    >>> gram = np.array([[[4.0, 0.0], [0.0, 0.0]]])
    >>> Normal(gram, np.array([[True, False]])).solve(np.array([[8.0, 1.0]]))
    array([[2., 0.]])
    """

    def __init__(self, gram: Floats, used: NDArray[np.bool_]) -> None:
        diagonal = np.einsum("gii->gi", gram)
        live = used & (diagonal > 0)
        self._scale = np.where(live, 1.0 / np.sqrt(np.where(live, diagonal, 1.0)), 0.0)
        scaled = gram * self._scale[:, :, None] * self._scale[:, None, :]
        n = gram.shape[-1]
        scaled[:, range(n), range(n)] = 1.0 + RIDGE
        self._inverse = np.linalg.inv(scaled)

    def solve(self, right: Floats) -> Floats:
        """Return the amplitudes for right-hand sides (n_groups, n_linear[, n])."""
        if right.ndim == 2:
            return self.solve(right[:, :, None])[:, :, 0]
        scale = self._scale[:, :, None]
        return np.asarray((self._inverse @ (right * scale)) * scale)

    def variance(self) -> Floats:
        """Return the diagonal of the inverse, (n_groups, n_linear)."""
        return np.asarray(np.einsum("gii->gi", self._inverse) * self._scale**2)


def eliminate(normal: Normal, cross: Floats, direct: Floats) -> tuple[Floats, Floats]:
    """Return the curvature of the nonlinear parameters with the amplitudes projected out.

    Parameters
    ----------
    normal : Normal
    cross : (n_groups, n_linear, n_parameters) array
        A^T V with V the derivative of the model at fixed amplitudes.
    direct : (n_parameters, n_parameters) array
        V^T V, summed over groups.

    Returns
    -------
    curvature : (n_parameters, n_parameters) array
    response : (n_groups, n_linear, n_parameters) array
        Minus the derivative of the amplitudes with respect to the parameters.
    """
    response = normal.solve(cross)
    n = cross.shape[2]
    flat = cross.reshape(-1, n)
    return direct - flat.T @ response.reshape(-1, n), response
