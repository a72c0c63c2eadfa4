"""Lowest states of -div(a grad) + V on a grid: LOBPCG with a fast-transform preconditioner.

The preconditioner inverts the constant-coefficient operator of the box between diagonal scalings
by the square root of the local coefficient (Concus and Golub, SIAM J. Numer. Anal. 10, 1103
(1973)), which takes most of the contrast of masses out of the problem; the eigensolver is the
locally optimal block method of Knyazev (SIAM J. Sci. Comput. 23, 517 (2001)).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.electronic._kernels import apply_operator
from heterodot.errors import NotFoundError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Operator:
    """A symmetric seven-point operator ``scale (flow + potential) scale`` on a box.

    Attributes
    ----------
    stiff : (3, nx + 1, ny + 1, nz + 1) array
        Coupling of neighbors through their common face, eV.
    potential : (nx, ny, nz) array
        eV.
    scale : (nx, ny, nz) array
        One over the square root of the filled fraction of a voxel, zero where it is empty, so
        that vectors are ``psi / scale`` and the overlap matrix is the identity.
    """

    stiff: Array
    potential: Array
    scale: Array

    def __call__(self, vectors: Array) -> Array:
        """Apply to a block, (m, nx, ny, nz)."""
        out = np.empty_like(vectors)
        apply_operator(vectors * self.scale, self.stiff, self.potential, out)
        out *= self.scale
        return out


def faces(coefficient: Array, openings: NDArray[Any], spacing: float) -> Array:
    """Return what flows through each face: harmonic mean of the coefficient, times its opening.

    The flux ``a grad psi`` is continuous, so two half voxels add like resistances in series.
    """
    nx, ny, nz = coefficient.shape
    out = np.zeros((3, nx + 1, ny + 1, nz + 1))
    inverse = np.pad(1 / coefficient, 1, mode="edge")
    out[0, :, :ny, :nz] = 2 / (inverse[:-1, 1:-1, 1:-1] + inverse[1:, 1:-1, 1:-1])
    out[1, :nx, :, :nz] = 2 / (inverse[1:-1, :-1, 1:-1] + inverse[1:-1, 1:, 1:-1])
    out[2, :nx, :ny, :] = 2 / (inverse[1:-1, 1:-1, :-1] + inverse[1:-1, 1:-1, 1:])
    out *= openings
    return out / spacing**2


class BoxPreconditioner:
    """Approximate inverse of an `Operator` minus a shift, by cosine or sine transforms.

    Parameters
    ----------
    coefficient : (nx, ny, nz) array
        The local ``a``, eV Å².
    spacing : float
        Å.
    well : float
        Added to the scaled operator so that it stays positive, 1/Å².
    scale : (nx, ny, nz) array
        Of the operator.
    free : bool
        Whether the flux (True) or the function (False) vanishes at the border of the box.
    """

    def __init__(
        self, coefficient: Array, spacing: float, well: float, scale: Array, free: bool = True
    ) -> None:
        self.free = free
        root = np.where(scale > 0, 1 / np.where(scale > 0, scale, 1), 0.0)
        self.scale = (root / np.sqrt(coefficient)).astype(np.float32)
        parts = []
        for n in coefficient.shape:
            k = np.arange(n) if free else np.arange(1, n + 1)
            parts.append(4 / spacing**2 * np.sin(np.pi * k / (2 * n)) ** 2)
        spectrum = parts[0][:, None, None] + parts[1][None, :, None] + parts[2][None, None, :]
        self.inverse = (1 / (spectrum + well)).astype(np.float32)

    def __call__(self, residual: Array) -> Array:
        """Apply to a block, (m, nx, ny, nz)."""
        from scipy import fft

        there, back = (fft.dctn, fft.idctn) if self.free else (fft.dstn, fft.idstn)
        changed = there(
            residual.astype(np.float32) * self.scale, type=2, axes=(1, 2, 3), overwrite_x=True
        )
        changed *= self.inverse
        result = back(changed, type=2, axes=(1, 2, 3), overwrite_x=True)
        result *= self.scale
        return np.asarray(result, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Eigenpairs:
    """Energies, states and how well they were found.

    Attributes
    ----------
    values : (n,) array
        eV, ascending.
    states : (n, nx, ny, nz) array
        Unit sum of squares.
    residuals : (n,) array
        Norm of ``H psi - E psi``, eV; the error of E is below residual^2 over the next gap.
    iterations : int
    """

    values: Array
    states: Array
    residuals: Array
    iterations: int


def lowest(
    operator: Callable[[Array], Array],
    preconditioner: Callable[[Array], Array],
    guess: Array,
    wanted: int,
    *,
    tolerance: float = 2e-3,
    limit: int = 200,
) -> Eigenpairs:
    """Return the lowest states by locally optimal block iteration.

    Parameters
    ----------
    operator, preconditioner : callables of a block (m, nx, ny, nz)
    guess : (m, nx, ny, nz) array
        Start; ``m - wanted`` more states than asked for guard the last ones.
    wanted : int
    tolerance : float
        Largest norm of the residual, eV.
    limit : int
        Iterations before giving up.

    Raises
    ------
    NotFoundError
        Not converged.
    """
    shape = guess.shape[1:]
    x = guess.reshape(len(guess), -1)
    x = _orthonormal(x)
    hx = operator(x.reshape(-1, *shape)).reshape(x.shape)
    values, rotation = np.linalg.eigh(x @ hx.T)
    x, hx = rotation.T @ x, rotation.T @ hx
    p: Array | None = None
    hp: Array | None = None
    m = len(x)
    iteration = 0
    while True:
        iteration += 1
        r = hx - values[:, None] * x
        norms = np.linalg.norm(r, axis=1)
        if norms[:wanted].max() <= tolerance:
            break
        if iteration > limit:
            raise NotFoundError(
                f"the states did not converge in {limit} iterations "
                f"(residual {norms[:wanted].max():.1e} eV)",
                remedy="ask for fewer states or give a finer grid",
            )
        open_ = norms > 0.3 * tolerance
        w = preconditioner(r[open_].reshape(-1, *shape))
        hw = operator(w).reshape(len(w), -1)
        stack = w.reshape(len(w), -1)
        images = hw
        if p is not None and hp is not None:
            stack, images = np.concatenate([stack, p]), np.concatenate([images, hp])
        coupling = stack @ x.T
        basis, mix = _orthonormal_mix(stack - coupling @ x)
        images = mix @ (images - coupling @ hx)
        small = np.empty((m + len(basis),) * 2)
        small[:m, :m] = np.diag(values)
        small[:m, m:] = x @ images.T
        small[m:, :m] = small[:m, m:].T
        small[m:, m:] = basis @ images.T
        small = (small + small.T) / 2
        found, vectors = np.linalg.eigh(small)
        values, pick = found[:m], vectors[:, :m]
        p, hp = pick[m:].T @ basis, pick[m:].T @ images
        x, hx = pick[:m].T @ x + p, pick[:m].T @ hx + hp
    return Eigenpairs(values[:wanted], x.reshape(-1, *shape)[:wanted], norms[:wanted], iteration)


def _orthonormal(x: Array) -> Array:
    return _orthonormal_mix(x)[0]


def _orthonormal_mix(x: Array) -> tuple[Array, Array]:
    """Return an orthonormal basis of the rows of x and the mixing that made it."""
    norms = np.linalg.norm(x, axis=1)
    norms[norms == 0] = 1
    overlap = (x @ x.T) / np.outer(norms, norms)
    values, vectors = np.linalg.eigh(overlap)
    keep = values > 1e-10 * values.max()
    mix = (vectors[:, keep] / np.sqrt(values[keep])).T / norms
    return mix @ x, mix
