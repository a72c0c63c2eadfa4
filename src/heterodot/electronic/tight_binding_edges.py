"""Band-edge states of large tight-binding Hamiltonians by a filtered block Krylov space.

States nearest to an energy in the gap are the lowest of the folded operator ``(H - E)^2`` (Wang
and Zunger, J. Chem. Phys. 100, 2394 (1994)). Its Chebyshev filter (Zhou and Saad, J. Comput.
Phys. 219, 172 (2006)) is applied to a block of spinors, for large bodies in single precision; the
space is kept in double precision. Time reversal commutes with H, so every spinor brings its Kramers partner for
nothing and only half of the states has to be found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import NotFoundError
from heterodot.progress import Progress, silent

BLOCK = 6  # spinors a step; covers four equivalent valleys and fourfold levels of cubes
GROWTH = 9.0  # exponent of the filter's amplification at the center of the gap
DENSE = 1100  # up to this many spin orbitals LAPACK does it all
SMALL = 20_000  # orbitals up to which filter and images are kept in double precision
LARGEST = 78  # most spinors in the space before it is restarted


@dataclass(frozen=True, eq=False)
class SpinHamiltonian:
    """A real symmetric orbital matrix for both spins, plus spin-orbit coupling on p orbitals.

    Attributes
    ----------
    indptr, indices, data : CSR arrays of the orbital matrix (n, n), eV
    kind : (n,) int8 array
        0, or 1, 2, 3 for px, py, pz of an atom with spin-orbit coupling.
    strength : (n,) array
        Factor of L·sigma, eV.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    data: NDArray[np.float64]
    kind: NDArray[np.int8]
    strength: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.kind)

    def apply(
        self,
        x: NDArray[np.complex128],
        shift: float = 0.0,
    ) -> NDArray[np.complex128]:
        """Return ``(H - shift) x`` for spinors (n, b, 2), complex."""
        from heterodot.electronic.tight_binding_kernels import apply_shifted

        n, b, _ = x.shape
        real = np.ascontiguousarray(x).view(x.real.dtype).reshape(n, 4 * b)
        out = np.empty_like(real)
        data = self.data.astype(real.dtype, copy=False)
        strength = self.strength.astype(real.dtype, copy=False)
        apply_shifted(
            self.indptr, self.indices, data, self.kind, strength, shift, 1.0, 0.0, real, real, out
        )
        return out.view(x.dtype).reshape(n, b, 2)

    def dense(self) -> NDArray[np.complex128]:
        """Return the full matrix with spin fastest, (2 n, 2 n); for small bodies and tests."""
        n = len(self)
        eye = np.eye(2 * n, dtype=complex).reshape(2 * n, n, 2).transpose(1, 0, 2)
        columns = self.apply(np.ascontiguousarray(eye))
        return columns.transpose(0, 2, 1).reshape(2 * n, 2 * n)


@dataclass(frozen=True, eq=False)
class EdgeStates:
    """States around the gap, lowest first; Kramers partners follow one another.

    Attributes
    ----------
    energies : (k,) array
        eV.
    spinors : (n, k, 2) complex array
        Normalized; orbital, state, spin.
    residuals : (k,) array
        ``|H psi - E psi|``, eV: the distance to an exact eigenvalue is at most this.
    center : float
        Energy in the gap that they are nearest to, eV.
    products : int
        Products of H with one spinor that it took.
    """

    energies: NDArray[np.float64]
    spinors: NDArray[np.complex128]
    residuals: NDArray[np.float64]
    center: float
    products: int

    @property
    def populations(self) -> NDArray[np.float64]:
        """Weight of each orbital in each state, (n, k); columns add up to one."""
        return np.asarray((np.abs(self.spinors) ** 2).sum(axis=2), dtype=float)


def edge_states(
    hamiltonian: SpinHamiltonian,
    n_states: int,
    center: float,
    *,
    tolerance: float = 1e-4,
    seed: int = 0,
    progress: Progress = silent,
    width: float = 1.8,
) -> EdgeStates:
    """Return the ``n_states`` eigenstates nearest to ``center``.

    Parameters
    ----------
    hamiltonian : SpinHamiltonian
    n_states : int
        Counting both Kramers partners.
    center : float
        An energy in the gap, eV.
    tolerance : float
        Largest residual, eV. An isolated energy is wrong by about its square over the distance to
        the next one.
    seed : int
    width : float
        First guess of how far the states lie from the center, eV.

    Raises
    ------
    NotFoundError
        Not converged within the work that is reasonable.
    """
    n = len(hamiltonian)
    pairs = min((n_states + 1) // 2, n)
    if 2 * n <= DENSE or 4 * pairs >= n:
        return _dense_states(hamiltonian, 2 * pairs, center)
    from threadpoolctl import threadpool_limits

    # thin matrices: more threads of a BLAS only wait for one another, at ten times the cost
    with threadpool_limits(limits=1, user_api="blas"):
        solver = _Krylov(hamiltonian, center, pairs, width, seed)
        best = np.inf
        for _ in range(120):
            if not solver.extend():
                break
            if solver.count < pairs + BLOCK:
                continue
            energies, spinors, residuals = solver.ritz()
            worst = float(residuals.max())
            best = min(best, worst)
            progress(
                f"band-edge states: residual {worst:.1e} eV",
                float(np.clip(np.log(1.0 / best) / np.log(1.0 / tolerance), 0.0, 1.0)),
            )
            if worst <= tolerance:
                return _both_partners(energies, spinors, residuals, center, solver.products)
            solver.improve(energies, spinors, residuals, tolerance)
    raise NotFoundError(
        f"the {n_states} states nearest to {center:.2f} eV did not converge "
        f"(residual {best:.1e} eV)",
        place="edge_states",
        remedy="ask for fewer states, a looser tolerance, or an energy inside the gap",
    )


class _Krylov:
    """The growing space: basis (K, n, 2), projections of H on it and its partners."""

    def __init__(
        self, hamiltonian: SpinHamiltonian, center: float, pairs: int, width: float, seed: int
    ) -> None:
        self.h = hamiltonian
        self.center = center
        self.pairs = pairs
        self.products = 0
        n = len(hamiltonian)
        rng = np.random.default_rng(seed)
        self.room = max(LARGEST, 3 * pairs + 4 * BLOCK)
        self.basis = np.empty((self.room + 2 * BLOCK, n, 2), dtype=complex)
        self.count = 0
        # single precision halves the memory of large bodies and limits residuals to about 5e-5 eV
        self.small = n < SMALL
        self.precision = np.complex128 if self.small else np.complex64
        self.images = np.empty((self.room + 2 * BLOCK, n, 2), dtype=self.precision)
        # [H, (H - center)^2]: <v|.|v> and <T v|.|v>
        self.inside = np.zeros((2, *(self.room + 2 * BLOCK,) * 2), dtype=complex)
        self.across = np.zeros((2, *(self.room + 2 * BLOCK,) * 2), dtype=complex)
        start = rng.normal(size=(n, BLOCK, 2)) + 1j * rng.normal(size=(n, BLOCK, 2))
        self.next = start
        low, high = _bounds(hamiltonian, rng)
        self.products += 2 * 24
        self.farthest = max(high - center, center - low) ** 2
        self.cut = width**2
        real = np.float64 if self.small else np.float32
        self._rounded = (hamiltonian.data.astype(real), hamiltonian.strength.astype(real))

    def extend(self) -> bool:
        """Filter the next block, make it orthonormal to the space, add it; False if nothing is new."""
        block = self._filtered(self.next)
        added = self._orthonormal(block)
        self._add(added)
        self.next = np.ascontiguousarray(added.transpose(1, 0, 2))
        return len(added) > 0

    def _add(self, rows: NDArray[np.complex128]) -> None:
        """Append orthonormal spinors and the projections of H and the folded operator."""
        first, last = self.count, self.count + len(rows)
        if last == first:
            return
        self.basis[first:last] = rows
        image = self.h.apply(np.ascontiguousarray(rows.transpose(1, 0, 2)), self.center)
        self.images[first:last] = image.transpose(1, 0, 2)
        self.count = last
        self.products += len(rows)
        image = image.transpose(1, 0, 2).reshape(len(rows), -1)
        narrow = image.astype(self.precision)
        operators: list[tuple[NDArray[Any], NDArray[Any]]] = [
            (self.basis, image),
            (self.images, narrow),
        ]
        for m, (left, right) in enumerate(operators):
            inside = left[:last].reshape(last, -1).conj() @ right.T
            across = _partners(left[:last]).reshape(last, -1).conj() @ right.T
            self.inside[m, :last, first:last] = inside
            self.inside[m, first:last, :last] = inside.conj().T
            self.across[m, :last, first:last] = across
            # <T v_i|H v_j> = -<T v_j|H v_i>, because H commutes with time reversal
            self.across[m, first:last, :last] = -across.T

    def _filtered(self, x: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Return the Chebyshev polynomial of the folded operator on a block."""
        from heterodot.electronic.tight_binding_kernels import apply_shifted

        n, b, _ = x.shape
        degree = max(4, round(GROWTH / 2 * np.sqrt(self.farthest / self.cut)))
        half = (self.farthest - self.cut) / 2
        middle = (self.farthest + self.cut) / 2
        data, strength = self._rounded
        h = self.h

        def times(factor: float, add: float, a: np.ndarray, z: np.ndarray, out: np.ndarray) -> None:
            apply_shifted(
                h.indptr, h.indices, data, h.kind, strength, self.center, factor, add, a, z, out
            )

        old = np.ascontiguousarray(x, dtype=self.precision).view(data.dtype).reshape(n, 4 * b)
        work, new = np.empty_like(old), np.empty_like(old)
        times(1.0, 0.0, old, old, work)
        times(1.0 / half, -middle / half, work, old, new)
        for _ in range(degree - 1):
            times(1.0, 0.0, new, new, work)
            # T_{k+1} = 2 y T_k - T_{k-1}; the old block is overwritten with the newest
            np.negative(old, out=old)
            old -= data.dtype.type(2.0 * middle / half) * new
            times(2.0 / half, 1.0, work, old, work2 := np.empty_like(old))
            old, new = new, work2
        self.products += 2 * degree * b
        return new.view(self.precision).reshape(n, b, 2).astype(complex)

    def _orthonormal(self, block: NDArray[np.complex128]) -> NDArray[np.complex128]:
        rows = np.ascontiguousarray(block.transpose(1, 0, 2))
        rows /= np.linalg.norm(rows.reshape(len(rows), -1), axis=1)[:, None, None]
        space = self.basis[: self.count]
        for _ in range(2):
            if self.count:
                _project_out(rows, space)
        kept: list[NDArray[np.complex128]] = []
        for row in rows:
            for _ in range(2):
                for other in kept:
                    row -= other * np.vdot(other, row)
                    partner = _partner(other)
                    row -= partner * np.vdot(partner, row)
            length = float(np.linalg.norm(row))
            if length > (1e-10 if self.small else 5e-7):
                kept.append(row / length)
        out = np.array(kept).reshape(len(kept), *rows.shape[1:])
        if self.count and len(out):
            _project_out(out, space)
            out /= np.linalg.norm(out.reshape(len(out), -1), axis=1)[:, None, None]
        return out

    def _full(self, which: int) -> NDArray[np.complex128]:
        """Return a projected operator over (basis, partners), Hermitian."""
        k = self.count
        g, c = self.inside[which, :k, :k], self.across[which, :k, :k]
        # <T v_i|H T v_j> = conj(<v_i|H v_j>) and <v_i|H T v_j> = -conj(<T v_i|H v_j>)
        full = np.block([[g, -c.conj()], [c, g.conj()]])
        return np.asarray(0.5 * (full + full.conj().T))

    def _nearest(self, pairs: int) -> NDArray[np.complex128]:
        """Return one vector of each of the Kramers pairs nearest to the center.

        The lowest vectors of the folded operator are taken first: its Ritz values are bounds
        from above, where those of H itself may be false inside the gap.
        """
        far, folded = np.linalg.eigh(self._full(1))
        beyond = min(2 * (self.pairs + self.pairs // 4 + 2), len(far))
        self.cut = float(np.clip(far[beyond - 1], 0.01, 0.5 * self.farthest))
        lowest = folded[:, : 2 * pairs]
        _, turned = np.linalg.eigh(lowest.conj().T @ self._full(0) @ lowest)
        return _one_of_each_pair(lowest @ turned)

    def ritz(
        self,
    ) -> tuple[NDArray[np.float64], NDArray[np.complex128], NDArray[np.float64]]:
        """Return one of each wanted pair: energies, spinors (n, pairs, 2) and residuals."""
        spinors = self._combine(self._nearest(self.pairs))
        image = self.h.apply(spinors)
        self.products += spinors.shape[1]
        energies = np.einsum("nbs,nbs->b", spinors.conj(), image).real
        rest = image - spinors * energies[None, :, None]
        residuals = np.sqrt((np.abs(rest) ** 2).sum(axis=(0, 2)))
        return energies, spinors, residuals

    def _combine(self, vectors: NDArray[np.complex128]) -> NDArray[np.complex128]:
        k = self.count
        flat = self.basis[:k].reshape(k, -1)
        n = flat.shape[1] // 2
        own = (vectors[:k].T @ flat).reshape(-1, n, 2)
        # sum_j b_j T v_j = T (sum_j conj(b_j) v_j)
        other = (vectors[k:].conj().T @ flat).reshape(-1, n, 2)
        return np.ascontiguousarray((own + _partners(other)).transpose(1, 0, 2))

    def improve(
        self,
        energies: NDArray[np.float64],
        spinors: NDArray[np.complex128],
        residuals: NDArray[np.float64],
        tolerance: float,
    ) -> None:
        """Choose the worst of the states for the next step; restart a space that is full."""
        open_ = np.flatnonzero(residuals > tolerance)
        order = open_[np.argsort(np.abs(energies[open_] - self.center), kind="stable")]
        self.next = np.ascontiguousarray(spinors[:, order[:BLOCK]])
        if self.count + BLOCK > self.room:
            kept = self._combine(self._nearest(self.pairs + 2 * BLOCK))
            self.count = 0
            self._add(self._orthonormal(kept))


def _one_of_each_pair(vectors: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Return half of the columns, none of which has a part in the partner of another.

    Columns are over (basis, partners), so the partner of (a, b) is (-b*, a*). Within a level that
    is more than twofold, LAPACK mixes partners, so they have to be taken out one by one.
    """
    k = len(vectors) // 2
    kept: list[NDArray[np.complex128]] = []
    taken = np.zeros((len(vectors), 0), dtype=complex)
    for column in vectors.T:
        rest = column - taken @ (taken.conj().T @ column)
        rest = rest - taken @ (taken.conj().T @ rest)
        length = float(np.linalg.norm(rest))
        if length < 0.1 or 2 * len(kept) >= vectors.shape[1]:
            continue
        one = rest / length
        partner = np.concatenate([-one[k:].conj(), one[:k].conj()])
        kept.append(one)
        taken = np.concatenate([taken, one[:, None], partner[:, None]], axis=1)
    return np.stack(kept, axis=1)


def _partner(spinor: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Return the time-reversed spinor (n, 2): (up, down) -> (-down*, up*)."""
    out = np.empty_like(spinor)
    out[:, 0] = -spinor[:, 1].conj()
    out[:, 1] = spinor[:, 0].conj()
    return out


def _partners(spinors: NDArray[np.complex128]) -> NDArray[np.complex128]:
    out = np.empty_like(spinors)
    out[..., 0] = -spinors[..., 1].conj()
    out[..., 1] = spinors[..., 0].conj()
    return out


def _project_out(rows: NDArray[np.complex128], space: NDArray[np.complex128]) -> None:
    """Remove from rows (b, n, 2), in place, what lies in the space and its partners."""
    flat, target = space.reshape(len(space), -1), rows.reshape(len(rows), -1)
    overlap = target @ flat.conj().T
    partner_rows = _partners(rows).reshape(len(rows), -1)
    # <T v|w> = -conj(<v|T w>)
    crossed = -(partner_rows @ flat.conj().T).conj()
    target -= overlap @ flat
    # sum_j c_j T v_j = T (sum_j conj(c_j) v_j)
    rest = (crossed.conj() @ flat).reshape(rows.shape)
    rows -= _partners(rest)


def _bounds(hamiltonian: SpinHamiltonian, rng: np.random.Generator) -> tuple[float, float]:
    """Return bounds of the spectrum: Lanczos values of one start, widened by the last residual."""
    n = len(hamiltonian)
    v = rng.normal(size=(n, 1, 2)) + 1j * rng.normal(size=(n, 1, 2))
    v /= np.linalg.norm(v)
    before = np.zeros_like(v)
    alphas: list[float] = []
    betas: list[float] = []
    for _ in range(24):
        w = hamiltonian.apply(v)
        alpha = float(np.vdot(v, w).real)
        w = w - alpha * v - (betas[-1] * before if betas else 0.0)
        beta = float(np.linalg.norm(w))
        alphas.append(alpha)
        betas.append(beta)
        if beta < 1e-10:
            break
        before, v = v, w / beta
    t = np.diag(alphas) + np.diag(betas[:-1], 1) + np.diag(betas[:-1], -1)
    values, vectors = np.linalg.eigh(t)
    low = values[0] - betas[-1] * abs(vectors[-1, 0])
    high = values[-1] + betas[-1] * abs(vectors[-1, -1])
    margin = 0.01 * (high - low)
    return float(low - margin), float(high + margin)


def _both_partners(
    energies: NDArray[np.float64],
    spinors: NDArray[np.complex128],
    residuals: NDArray[np.float64],
    center: float,
    products: int,
) -> EdgeStates:
    order = np.argsort(energies, kind="stable")
    one = spinors[:, order]
    both = np.stack([one, _partners(one)], axis=2).reshape(len(one), 2 * len(order), 2)
    return EdgeStates(
        np.repeat(energies[order], 2), both, np.repeat(residuals[order], 2), center, products
    )


def _dense_states(hamiltonian: SpinHamiltonian, n_states: int, center: float) -> EdgeStates:
    values, vectors = np.linalg.eigh(hamiltonian.dense())
    chosen = np.sort(np.argsort(np.abs(values - center), kind="stable")[:n_states])
    n = len(hamiltonian)
    spinors = np.ascontiguousarray(vectors[:, chosen].reshape(n, 2, -1).transpose(0, 2, 1))
    rest = hamiltonian.apply(spinors) - spinors * values[chosen][None, :, None]
    residuals = np.sqrt((np.abs(rest) ** 2).sum(axis=(0, 2)))
    return EdgeStates(values[chosen], spinors, residuals, center, 0)
