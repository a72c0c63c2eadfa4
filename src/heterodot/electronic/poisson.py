"""Electrostatics of a particle in a medium of another dielectric constant.

The attraction of electron and hole comes from the Poisson equation on the grid; the interaction of
a carrier with the polarization that it makes itself (dielectric confinement) from the charges that
it induces on the particle's surface and on the interface, a boundary-element problem.
References: Brus, J. Chem. Phys. 80, 4403 (1984); Boda, Gillespie, Nonner, Henderson and Eisenberg,
Phys. Rev. E 69, 046702 (2004) for induced-charge elements.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.electronic._kernels import apply_links
from heterodot.electronic.shape import Shape
from heterodot.errors import NotFoundError

Array = NDArray[np.float64]
SAMPLES = 600  # places at which the images are computed; interpolated between them
PATCHES = 900  # boundary elements at most; the grid is coarsened until there are fewer


@functools.cache
def coulomb() -> float:
    """Return e²/(4 pi epsilon_0) in eV Å."""
    from scipy.constants import elementary_charge, epsilon_0

    return float(elementary_charge / (4 * np.pi * epsilon_0) * 1e10)


class Dielectric:
    """The Poisson problem of a shape: permittivity on faces and a solver.

    Parameters
    ----------
    shape : Shape
        Its grid is padded by half its width on every side.
    constants : sequence of float
        Dielectric constant of each domain.
    outside : float
        Of the medium.
    """

    def __init__(self, shape: Shape, constants: Sequence[float], outside: float) -> None:
        self.margin = tuple(_half_margin(n) for n in shape.points)
        pad = [(m, m) for m in self.margin]
        self.spacing, self.outside = shape.spacing, outside
        self.points = tuple(n + 2 * m for n, m in zip(shape.points, self.margin, strict=True))
        inside = np.pad(shape.inside, pad).astype(float)
        share = shape.fractions / np.maximum(shape.inside, 1e-6)
        within = np.pad(np.tensordot(np.asarray(constants), share, axes=1), pad)
        within = np.where(inside > 1e-3, within, outside)
        self.origin = shape.origin - shape.spacing * np.array(self.margin)
        volume = float(shape.inside.sum(dtype=float))
        axes = [c * 1.0 for c in shape.coordinates()]
        self.center = np.array(
            [float((shape.inside.sum(axis=_others(k)) * axes[k]).sum()) / volume for k in range(3)]
        )
        self.mean = float((within * inside).sum() / inside.sum())
        self._assemble(inside, within)

    def _assemble(self, inside: Array, within: Array) -> None:
        """Permittivity between centers: in series along the surface's normal, else in parallel."""
        slopes = np.gradient(inside)
        size = np.maximum(slopes[0] ** 2 + slopes[1] ** 2 + slopes[2] ** 2, 1e-12)
        shape = inside.shape
        links = np.zeros((*shape, 6))
        diagonal = np.zeros(shape)
        index = np.arange(inside.size, dtype=np.int32).reshape(shape)
        neighbors = np.repeat(index[..., None], 6, axis=-1)
        self.edges: list[tuple[int, int, Array]] = []
        for axis in range(3):
            f = _pairs(inside, axis)
            series = _pairs(1 / within, axis)
            inner = 1 / series
            straight = f * inner + (1 - f) * self.outside
            crossed = 1 / (f / inner + (1 - f) / self.outside)
            along = np.clip(_pairs(slopes[axis] ** 2 / size, axis), 0, 1)
            value = (along * crossed + (1 - along) * straight) / self.spacing**2
            for side in (0, 1):
                here: list[Any] = [slice(None)] * 3
                there: list[Any] = [slice(None)] * 3
                here[axis] = slice(1, None) if side == 0 else slice(None, -1)
                there[axis] = slice(None, -1) if side == 0 else slice(1, None)
                links[..., 2 * axis + side][tuple(here)] = -value
                neighbors[..., 2 * axis + side][tuple(here)] = index[tuple(there)]
                diagonal[tuple(here)] += value
                border: list[Any] = [slice(None)] * 3
                border[axis] = slice(0, 1) if side == 0 else slice(-1, None)
                diagonal[tuple(border)] += self.outside / self.spacing**2
        self.diagonal = diagonal.reshape(-1)
        self.links = links.reshape(-1, 6)
        self.neighbors = neighbors.reshape(-1, 6)
        local = np.sqrt(inside * within + (1 - inside) * self.outside)
        self.weight = (1 / local).astype(np.float32)
        x, y, z = (
            4 / self.spacing**2 * np.sin(np.pi * np.arange(1, n + 1) / (2 * n)) ** 2 for n in shape
        )
        self.inverse = (1 / (x[:, None, None] + y[None, :, None] + z[None, None, :])).astype(
            np.float32
        )

    def potential(self, density: NDArray[Any], tolerance: float = 1e-4) -> Array:
        """Return the potential energy of a unit charge in the field of another one.

        Parameters
        ----------
        density : (nx, ny, nz) array
            Charge density on the shape's grid, e/Å³ (its integral is the charge).
        tolerance : float
            Relative residual.

        Returns
        -------
        (nx, ny, nz) array
            eV, on the shape's grid; positive around a positive charge.

        Raises
        ------
        NotFoundError
            The solver did not converge.
        """
        pad = [(m, m) for m in self.margin]
        charge = np.pad(np.asarray(density, dtype=float), pad)
        right = 4 * np.pi * coulomb() * charge
        self._add_border(right, charge)
        found = self._conjugate_gradients(right.reshape(-1), tolerance)
        inner = tuple(slice(m, n - m) for m, n in zip(self.margin, self.points, strict=True))
        return np.ascontiguousarray(found.reshape(self.points)[inner])

    def _add_border(self, right: Array, charge: Array) -> None:
        """Fix the potential beyond the box to that of the charge, shifted by the screening."""
        total = charge.sum()
        if abs(total) < 1e-12:
            return
        axes = [self.origin[k] + self.spacing * np.arange(self.points[k]) for k in range(3)]
        place = np.array(
            [float((charge.sum(axis=_others(k)) * axes[k]).sum() / total) for k in range(3)]
        )
        # a dipole inside a ball looks smaller from outside by 3 eps_out / (eps_in + 2 eps_out)
        seen = 3 * self.outside / (self.mean + 2 * self.outside)
        source = self.center + (place - self.center) * min(seen, 1.0)
        strength = coulomb() * total * self.spacing**3 / self.outside
        for axis in range(3):
            for side in (0, 1):
                coordinates = [a.copy() for a in axes]
                border = (
                    axes[axis][0] - self.spacing if side == 0 else axes[axis][-1] + self.spacing
                )
                coordinates[axis] = np.array([border])
                x, y, z = np.meshgrid(*coordinates, indexing="ij", sparse=True)
                distance = np.sqrt(
                    (x - source[0]) ** 2 + (y - source[1]) ** 2 + (z - source[2]) ** 2
                )
                place_: list[slice] = [slice(None)] * 3
                place_[axis] = slice(0, 1) if side == 0 else slice(-1, None)
                right[tuple(place_)] += self.outside / self.spacing**2 * strength / distance

    def _conjugate_gradients(self, right: Array, tolerance: float, limit: int = 200) -> Array:
        x = np.zeros_like(right)
        residual = right.copy()
        size = float(np.linalg.norm(right))
        if size == 0:
            return x
        z = self._precondition(residual)
        p = z.copy()
        rho = float(residual @ z)
        image = np.empty((1, len(right)))
        for _ in range(limit):
            apply_links(p[None], self.diagonal, self.links, self.neighbors, image)
            step = rho / float(p @ image[0])
            x += step * p
            residual -= step * image[0]
            if np.linalg.norm(residual) <= tolerance * size:
                return x
            z = self._precondition(residual)
            rho, last = float(residual @ z), rho
            p *= rho / last
            p += z
        raise NotFoundError(
            f"the potential did not converge in {limit} iterations",
            remedy="give a finer grid or check the dielectric constants",
        )

    def _precondition(self, residual: Array) -> Array:
        from scipy.fft import dstn, idstn

        box = residual.astype(np.float32).reshape(self.points) * self.weight
        changed = dstn(box, type=2, overwrite_x=True) * self.inverse
        return np.asarray(
            (idstn(changed, type=2, overwrite_x=True) * self.weight).reshape(-1), dtype=float
        )


def _half_margin(n: int) -> int:
    """Return voxels to add on each side so that the padded number has a fast transform."""
    from scipy.fft import next_fast_len

    wanted = n + 2 * max(6, int(0.35 * n))
    total = int(next_fast_len(wanted, real=True))
    while (total - n) % 2:
        total = int(next_fast_len(total + 1, real=True))
    return (total - n) // 2


def _others(axis: int) -> tuple[int, int]:
    return tuple(k for k in range(3) if k != axis)  # type: ignore[return-value]


def _pairs(field: Array, axis: int) -> Array:
    moved = np.moveaxis(field, axis, 0)
    return np.moveaxis((moved[1:] + moved[:-1]) / 2, 0, axis)


# ---------------------------------------------------------------- a charge and its own image


@dataclass(frozen=True, eq=False)
class _Elements:
    """Boundary elements: places, normals (out of the medium of ``before``), areas, constants.

    ``group`` numbers the surface that an element belongs to.
    """

    place: Array
    normal: Array
    area: Array
    before: Array
    after: Array
    group: NDArray[np.int64]


def self_energy(shape: Shape, constants: Sequence[float], outside: float) -> tuple[Shape, Array]:
    """Return the energy of a unit charge in the field of the polarization that it makes.

    Parameters
    ----------
    shape : Shape
    constants : sequence of float
        Dielectric constant of each domain.
    outside : float
        Of the medium.

    Returns
    -------
    Shape
        The coarser shape on whose grid the energy is given.
    (nx, ny, nz) array
        eV; zero outside. Within one element of the surface, where the energy of a point charge
        diverges, it is that of one element away.
    """
    coarse = shape
    while int((coarse.surface > 0.05).sum()) > PATCHES and min(coarse.points) >= 16:
        if any(n % 2 for n in coarse.points):
            coarse = _evened(coarse)
        coarse = coarse.coarsened()
    elements = _elements(coarse, constants, outside)
    inside = coarse.inside
    chosen = np.flatnonzero(inside.reshape(-1) > 0.5)
    x, y, z = np.meshgrid(*coarse.coordinates(), indexing="ij")
    points = np.stack([x.reshape(-1), y.reshape(-1), z.reshape(-1)], axis=1)[chosen]
    share = (coarse.fractions / np.maximum(inside, 1e-6)).reshape(len(constants), -1)[:, chosen]
    local = np.tensordot(np.asarray(constants), share, axes=1)
    field = np.zeros(inside.size)
    some = _thinned(len(chosen))
    values = _images(elements, points[some], local[some])
    field[chosen] = values if len(some) == len(chosen) else _interpolated(points, some, values)
    return coarse, field.reshape(inside.shape)


def _thinned(count: int) -> NDArray[np.int64]:
    """Return at most `SAMPLES` of ``count`` numbers, spread without a period of the grid."""
    if count <= SAMPLES:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, SAMPLES, replace=False))


def _interpolated(points: Array, some: NDArray[np.int64], values: Array) -> Array:
    from scipy.interpolate import RBFInterpolator

    smooth = RBFInterpolator(points[some], values, neighbors=12, kernel="linear")
    return np.asarray(smooth(points))


def _evened(shape: Shape) -> Shape:
    """Return the shape with an empty layer added where a number of voxels is odd."""
    add = [n % 2 for n in shape.points]
    wide = [(0, a) for a in add]
    return Shape(
        shape.names,
        np.pad(shape.fractions, [(0, 0), *wide]),
        np.pad(shape.openings, [(0, 0), *wide]),
        np.pad(shape.surface, wide),
        np.pad(shape.curvature, wide),
        shape.spacing,
        shape.origin,
    )


def _elements(shape: Shape, constants: Sequence[float], outside: float) -> _Elements:
    h = shape.spacing
    x, y, z = shape.openings
    outward = -np.stack(
        [
            x[1:, :-1, :-1] - x[:-1, :-1, :-1],
            y[:-1, 1:, :-1] - y[:-1, :-1, :-1],
            z[:-1, :-1, 1:] - z[:-1, :-1, :-1],
        ]
    )
    share = shape.fractions / np.maximum(shape.inside, 1e-6)
    within = np.tensordot(np.asarray(constants), share, axes=1)
    within = np.where(shape.inside > 1e-3, within, np.nan)
    grid = np.stack(np.meshgrid(*shape.coordinates(), indexing="ij"))
    parts = [_gather(grid, outward, shape.surface * h**2, shape.inside, within, outside, h)]
    share = _spread(share, shape.inside > 0.3)
    for k in range(len(constants) - 1):
        rise: Any = np.gradient(share[k])
        slopes = -np.stack(rise)
        area = np.sqrt((slopes**2).sum(axis=0)) * h**2 * shape.inside
        others = [j for j in range(len(constants)) if j != k]
        weight = np.maximum(share[others].sum(axis=0), 1e-6)
        beyond = np.tensordot(np.asarray(constants)[others], share[others], axes=1) / weight
        known = share[others].sum(axis=0) > 0.02
        if not known.any():
            continue
        beyond = _spread(beyond[None], known)[0]
        flat = np.full(area.shape, float(constants[k]))
        parts.append(_gather(grid, slopes, area, share[k], flat, beyond, h))
    joined = [np.concatenate([part[i] for part in parts]) for i in range(5)]
    group = np.repeat(np.arange(len(parts)), [len(part[2]) for part in parts])
    place, normal, area, before, after = joined
    return _Elements(place, normal, area, before, after, group)


def _spread(fields: Array, known: NDArray[np.bool_]) -> Array:
    """Return fields with every unknown voxel given the value of the nearest known one."""
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return np.asarray(fields[(slice(None), *nearest)])


def _gather(
    grid: Array,
    outward: Array,
    area: Array,
    filled: Array,
    before: Array,
    after: Array | float,
    spacing: float,
) -> tuple[Array, Array, Array, Array, Array]:
    size = np.sqrt((outward**2).sum(axis=0))
    chosen = (area > 0.05 * spacing**2) & (size > 1e-6) & np.isfinite(before)
    normal = (outward[:, chosen] / size[chosen]).T
    depth = np.clip(filled[chosen] - 0.5, -0.5, 0.5) * spacing
    place = grid[:, chosen].T + normal * depth[:, None]
    beyond = np.broadcast_to(np.asarray(after, dtype=float), filled.shape)[chosen]
    total = area.sum()
    kept = area[chosen]
    return (
        place,
        normal,
        kept * (total / max(float(kept.sum()), 1e-9)),
        before[chosen],
        beyond,
    )


def _images(elements: _Elements, points: Array, local: Array) -> Array:
    """Return half the induced potential at each charge, eV."""
    n = len(elements.area)
    contrast = (elements.after - elements.before) / (elements.after + elements.before)
    gap = elements.place[:, None, :] - elements.place[None, :, :]
    distance = np.sqrt((gap**2).sum(axis=2))
    # elements of two surfaces that meet in one voxel are kept half an element apart
    distance = np.maximum(distance, 0.5 * np.sqrt(np.minimum.outer(elements.area, elements.area)))
    np.fill_diagonal(distance, 1.0)
    # field along the normal at i of a unit charge at j, over 4 pi epsilon_0
    field = (gap * elements.normal[:, None, :]).sum(axis=2) / distance**3
    np.fill_diagonal(field, 0.0)
    # an element's own field follows from Gauss: a closed surface sees 2 pi (outward normals) or
    # -2 pi from a point on it, a flat open one nothing
    same = elements.group[:, None] == elements.group[None, :]
    seen = (elements.area[:, None] * field * same).sum(axis=0)
    own = 2 * np.pi * np.round(seen / (2 * np.pi)) - seen
    own = np.clip(own, -np.pi, np.pi) / elements.area
    field[np.arange(n), np.arange(n)] = own
    matrix = np.eye(n) + (contrast[:, None] / (2 * np.pi)) * field * elements.area[None, :]
    reach = points[:, None, :] - elements.place[None, :, :]
    near = np.sqrt(elements.area / np.pi)[None, :]
    length = np.sqrt((reach**2).sum(axis=2) + (0.5 * near) ** 2)
    drive = -(reach * elements.normal[None, :, :]).sum(axis=2) / length**3 / local[:, None]
    density = np.linalg.solve(matrix, -(contrast[:, None] / (2 * np.pi)) * drive.T)
    value = ((elements.area[:, None] * density) / length.T).sum(axis=0)
    return np.asarray(0.5 * coulomb() * value)
