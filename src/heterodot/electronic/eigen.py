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

from heterodot.electronic._kernels import apply_links
from heterodot.errors import NotFoundError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Operator:
    """A symmetric operator on the filled voxels, each coupled to its six neighbors.

    Attributes
    ----------
    diagonal : (n,) array
        eV.
    links : (n, 6) array
        Entries that couple to neighbors, eV.
    neighbors : (n, 6) int32 array
    slope : (n, n) sparse matrix or None
        Derivative along the axis of an anisotropic mass, of vectors as the operator takes them.
    excess : (n,) array or None
        What the coefficient along that axis has more than across, eV Å².
    """

    diagonal: Array
    links: Array
    neighbors: NDArray[np.int32]
    slope: Any = None
    excess: Array | None = None

    def __call__(self, vectors: Array) -> Array:
        """Apply to a block, (m, n)."""
        out = np.empty_like(vectors)
        apply_links(np.ascontiguousarray(vectors), self.diagonal, self.links, self.neighbors, out)
        if self.slope is not None and self.excess is not None:
            out += (self.slope.T @ (self.excess[:, None] * (self.slope @ vectors.T))).T
        return out


class BoxPreconditioner:
    """Approximate inverse of an `Operator` minus a shift, by cosine transforms of the whole box.

    Parameters
    ----------
    active : (n,) int array
        Places of the filled voxels in the flattened box.
    points : tuple of int
        Voxels of the box along each axis.
    spacing : float
        Å.
    coefficient : (n,) array
        The local ``a``, eV Å².
    scale : (n,) array
        One over the root of the filled fraction.
    well : float
        Added to the scaled operator so that it stays positive, 1/Å².
    """

    def __init__(
        self,
        active: NDArray[np.int64],
        points: tuple[int, int, int],
        spacing: float,
        coefficient: Array,
        scale: Array,
        well: float,
    ) -> None:
        self.active, self.points = active, points
        self.weight = (1 / (scale * np.sqrt(coefficient))).astype(np.float32)
        x, y, z = (4 / spacing**2 * np.sin(np.pi * np.arange(n) / (2 * n)) ** 2 for n in points)
        spectrum = x[:, None, None] + y[None, :, None] + z[None, None, :]
        self.inverse = (1 / (spectrum + well)).astype(np.float32)

    def __call__(self, residual: Array) -> Array:
        """Apply to a block, (m, n)."""
        from scipy.fft import dctn, idctn

        box = np.zeros((len(residual), int(np.prod(self.points))), dtype=np.float32)
        box[:, self.active] = residual * self.weight
        changed = dctn(box.reshape(-1, *self.points), type=2, axes=(1, 2, 3), overwrite_x=True)
        changed *= self.inverse
        back = idctn(changed, type=2, axes=(1, 2, 3), overwrite_x=True)
        result = back.reshape(len(residual), -1)[:, self.active]
        return np.asarray(result * self.weight, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Eigenpairs:
    """Energies, states and how well they were found.

    Attributes
    ----------
    values : (n,) array
        eV, ascending.
    states : (n, n_voxels) array
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
    operator, preconditioner : callables of a block (m, n)
    guess : (m, n) array
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
    x = _orthonormal_mix(guess)[0]
    m = len(x)
    if m < wanted:
        raise NotFoundError(
            f"the grid holds {m} independent states, fewer than the {wanted} asked for",
            remedy="ask for fewer states or give a finer grid",
        )
    hx = operator(x)
    values, rotation = np.linalg.eigh(x @ hx.T)
    x, hx = rotation.T @ x, rotation.T @ hx
    p: Array | None = None
    hp: Array | None = None
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
        # states that are good enough are only rotated, not improved (soft locking)
        w = preconditioner(r[norms > 0.3 * tolerance])
        stack, images = w, operator(w)
        if p is not None and hp is not None:
            stack, images = np.concatenate([stack, p]), np.concatenate([images, hp])
        coupling = stack @ x.T
        stack -= coupling @ x
        images -= coupling @ hx
        basis, mix = _orthonormal_mix(stack)
        images = mix @ images
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
    return Eigenpairs(values[:wanted], x[:wanted], norms[:wanted], iteration)


def _orthonormal_mix(x: Array) -> tuple[Array, Array]:
    """Return an orthonormal basis of the rows of x and the mixing that made it."""
    overlap = x @ x.T
    norms = np.sqrt(np.diag(overlap))
    norms[norms == 0] = 1
    values, vectors = np.linalg.eigh(overlap / np.outer(norms, norms))
    keep = values > 1e-10 * values.max()
    mix = (vectors[:, keep] / np.sqrt(values[keep])).T / norms
    return mix @ x, mix
