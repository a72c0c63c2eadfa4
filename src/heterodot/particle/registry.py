"""The rigid shift at which two lattices continue one another best across an interface.

Where the cation nets of two crystals do not lie on one another site by site (three cells of one on
four of the other), no shift is right for all ions. The one taken is that at which most ions of each
crystal stand where the other crystal would have an ion of the same sign, and fewest where it would
have the opposite one: the overlap of both lattices, each ion a Gaussian as wide as an ion may be
displaced (``SOFTNESS``), signed by its charge and weighted by its distance from the interface
(``DEPTH``), both as in the registry of `heterodot.epitaxy`. Both lattices are periodic, so the
overlap is a short Fourier sum over the waves that they share, known over the whole cell of rigid
shifts at once: it knows nothing of a start, and equivalent spellings of a relation have the same
best shift.

How far it can be trusted: this is geometry, chosen because it costs a millisecond and needs no
potential; for nets that coincide it gives the coincidence. Energies (`heterodot relax`) have the
last word.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from heterodot.epitaxy import OrientationRelationship
from heterodot.epitaxy.junction import common_waves
from heterodot.epitaxy.layers import Side, side
from heterodot.epitaxy.meeting import fitting
from heterodot.epitaxy.registry import DEPTH, SOFTNESS
from heterodot.particle.placement import Placement

Array = NDArray[np.float64]
Waves = NDArray[np.complex128]

# waves beyond this are damped below 1e-4 by the width of the Gaussians, 1/Å
LONGEST = 3.0 / SOFTNESS
STEP = 0.3
# a shift has to continue this share more of the ions than the start
WORTH = 0.02
HIGHEST = 1.5


@dataclasses.dataclass(frozen=True, eq=False)
class Overlap:
    """How well two lattices continue one another, as a function of the rigid shift of B.

    Attributes
    ----------
    waves : (m, 2) array
        In-plane wave vectors that both lattices share, 1/Å.
    dual : (2, 2) array
        Period of the shift in the plane, rows, Å.
    period : float
        Period of the shift along the normal, Å.
    heights_a, heights_b : (n,) arrays
        Of the ions from the interface, Å.
    amplitudes_a, amplitudes_b : (m, n) arrays
        Signed wave of each ion; damped and doubled for the opposite wave in ``amplitudes_b``.
    unit : float
        Overlap of a crystal with itself: the geometric mean of both.
    """

    waves: Array
    dual: Array
    period: float
    heights_a: Array
    heights_b: Array
    amplitudes_a: Waves
    amplitudes_b: Waves
    unit: float

    def spectrum(self, height: float) -> Waves:
        """Return the amplitude of each wave with B raised by ``height``, (m,)."""
        weight = _weight(self.heights_a[:, None], self.heights_b[None, :] + height)
        inner = self.amplitudes_a @ weight
        found: Waves = (inner * self.amplitudes_b).sum(axis=1) / self.unit
        return found

    def at(self, shift: Array) -> float:
        """Return the overlap at a shift (x, y, z), Å: 1 for a crystal that goes on."""
        phase = np.exp(1j * (self.waves @ shift[:2]))
        return float((self.spectrum(float(shift[2])) * phase).real.sum())

    def best(self) -> tuple[Array, float]:
        """Return the shift of largest overlap, (3,) Å, and the overlap there.

        No shift is the answer where none is better by more than ``WORTH``: the start, one cation
        on another, is then as good and has the symmetry.
        """
        numbers = [max(int(np.ceil(x / STEP)), 2) for x in np.linalg.norm(self.dual, axis=1)]
        flat = (np.array(list(np.ndindex(*numbers))) / numbers) @ self.dual
        top = min(self.period / 2, HIGHEST)
        n = max(int(np.ceil(top / STEP)), 1)
        heights = np.arange(-n, n + 1) * (top / n)
        spectra = np.stack([self.spectrum(float(z)) for z in heights], axis=1)
        phases = np.exp(1j * flat @ self.waves.T)
        values = phases.real @ spectra.real - phases.imag @ spectra.imag
        # of equal shifts the one that comes first on the grid, whatever the last digits say
        first = np.flatnonzero(values.ravel() > values.max() - 1e-4)[0]
        row, column = divmod(int(first), len(heights))
        shift = self._climb(np.append(flat[row], heights[column]), top)
        here, found = self.at(np.zeros(3)), self.at(shift)
        if found < here + WORTH:
            return np.zeros(3), here
        return np.append(_nearest(shift[:2], self.dual), shift[2]), found

    def _climb(self, shift: Array, top: float) -> Array:
        """Return the top nearest to a shift: Newton in the plane, a parabola along the normal."""
        for _ in range(4):
            phase = self.spectrum(float(shift[2])) * np.exp(1j * (self.waves @ shift[:2]))
            slope = -(self.waves * phase.imag[:, None]).sum(0)
            bend = -(self.waves[:, :, None] * self.waves[:, None, :] * phase.real[:, None, None])
            hessian = bend.sum(0)
            if np.linalg.eigvalsh(hessian).max() < -1e-6:
                step = -np.linalg.solve(hessian, slope)
                shift = (
                    shift + np.append(step * min(1.0, STEP / np.linalg.norm(step)), 0.0)
                    if (np.linalg.norm(step) > 1e-9)
                    else shift
                )
            low, mid, high = (self.at(shift + np.array([0, 0, d])) for d in (-0.05, 0.0, 0.05))
            if low + high < 2 * mid:
                move = 0.025 * (high - low) / (2 * mid - low - high)
                move = float(np.clip(move, -STEP / 2, STEP / 2))
                shift = shift + np.array([0.0, 0.0, move])
            shift[2] = float(np.clip(shift[2], -top, top))
        return shift


def overlap(relation: OrientationRelationship, placement: Placement) -> Overlap:
    """Return the overlap of both lattices around the anchor of a placement."""
    a, b = side(relation, "a"), side(relation, "b")
    cell = a.cell @ a.mesh.flat
    waves, dual = common_waves(cell, a.cell, b.cell, LONGEST)
    dual = _shortest(dual)
    deform = fitting(a, b)
    own = np.asarray(np.linalg.solve(placement.matrix, placement.anchor - placement.shift))
    points_a, heights_a, signs_a = _ions(a, placement.anchor, np.eye(2))
    points_b, heights_b, signs_b = _ions(b, own, deform)
    damp = np.exp(-(SOFTNESS**2) * (waves**2).sum(1))
    damp = damp * np.where(np.abs(waves).max(axis=1) > 1e-9, 2.0, 1.0)
    period_b = b.period
    found = Overlap(
        waves,
        dual,
        period_b,
        heights_a,
        heights_b,
        np.asarray(np.exp(-1j * waves @ points_a.T) * signs_a / a.mesh.area, dtype=complex),
        np.asarray(
            damp[:, None] * np.exp(1j * waves @ points_b.T) * signs_b / b.mesh.area, dtype=complex
        ),
        1.0,
    )
    one = _itself(points_a, heights_a, signs_a, a.mesh.flat)
    two = _itself(points_b, heights_b, signs_b, b.mesh.flat @ deform.T)
    return dataclasses.replace(found, unit=float(np.sqrt(one * two)))


def refine(relation: OrientationRelationship, placement: Placement) -> Placement:
    """Return the placement shifted to where both lattices continue one another best."""
    shift, _ = overlap(relation, placement).best()
    x = relation.crystal_a.direction(relation.direction_a)
    x = x / np.linalg.norm(x)
    axes = np.array([x, np.cross(relation.normal, x), relation.normal])
    return dataclasses.replace(placement, shift=placement.shift + np.round(shift, 4) @ axes)


def _weight(heights_a: Array, heights_b: Array) -> Array:
    """Weight of pairs of ions by their difference in height and their distance from the plane."""
    middle = 0.5 * (heights_a + heights_b)
    apart = heights_a - heights_b
    return np.asarray(np.exp(-((apart / (2 * SOFTNESS)) ** 2) - 0.5 * (middle / DEPTH) ** 2))


def _ions(view: Side, anchor: Array, deform: Array) -> tuple[Array, Array, Array]:
    """Ions of one primitive mesh near the interface: in-plane, height, sign of charge."""
    reach = 3.0 * DEPTH + HIGHEST
    local = anchor @ view.mesh.frame
    heights = view.stack.heights - local[2]
    turns = int(np.ceil((reach + np.abs(heights).max()) / view.period))
    points, levels, signs = [], [], []
    for n in range(-turns, turns + 1):
        h = heights + n * view.period
        keep = np.abs(h) < reach
        flat = (view.stack.flat[keep] + n * view.stack.drift) @ view.mesh.flat - local[:2]
        points.append(flat @ deform.T)
        levels.append(h[keep])
        signs.append(view.sites.signs[keep])
    return np.concatenate(points), np.concatenate(levels), np.concatenate(signs).astype(float)


def _itself(points: Array, heights: Array, signs: Array, mesh: Array) -> float:
    """Overlap of a lattice with itself where it stands."""
    one = np.eye(2, dtype=np.int64)
    waves, _ = common_waves(mesh, one, one, LONGEST)
    damp = np.exp(-(SOFTNESS**2) * (waves**2).sum(1))
    damp = damp * np.where(np.abs(waves).max(axis=1) > 1e-9, 2.0, 1.0)
    wave = np.exp(1j * waves @ points.T) * signs
    weight = _weight(heights[:, None], heights[None, :])
    area = abs(float(np.linalg.det(mesh)))
    return float((damp * ((wave.conj() @ weight) * wave).sum(1).real).sum()) / area**2


def _by_length(vectors: Array) -> Array:
    """Vectors from short to long; of equal ones those come first that lie along x, then y."""
    rounded = np.round(vectors, 3) + 0.0
    length = np.round(np.linalg.norm(vectors, axis=1), 3)
    return np.asarray(vectors[np.lexsort((-rounded[:, 1], -rounded[:, 0], length))])


def _shortest(mesh: Array) -> Array:
    """Return the one shortest basis of a plane lattice, rows, (2, 2)."""
    grid = (np.array(list(np.ndindex(7, 7))) - 3) @ mesh
    vectors = _by_length(grid)[1:]
    area = abs(float(np.linalg.det(mesh)))
    across = np.abs(vectors[0, 0] * vectors[:, 1] - vectors[0, 1] * vectors[:, 0])
    return np.array([vectors[0], vectors[np.flatnonzero(np.abs(across - area) < 1e-3 * area)[0]]])


def _nearest(point: Array, mesh: Array) -> Array:
    """The shortest of the vectors that differ from a point by those of a mesh, (2,)."""
    base = np.rint(point @ np.linalg.inv(mesh)) @ mesh
    around = (np.array(list(np.ndindex(5, 5))) - 2) @ mesh
    return np.asarray(_by_length(point - base - around)[0])
