"""Orbitals and densities on grids: cube files, isosurfaces, density difference across a plane."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.errors import InputError
from heterodot.files import readable


@dataclass(frozen=True, eq=False)
class Cube:
    """A scalar field on a regular grid.

    Attributes
    ----------
    values : (nx, ny, nz) array
        In atomic units of the quantity (electrons per Bohr³ for densities).
    origin : (3,) array
        Å.
    steps : (3, 3) array
        Step vectors as rows, Å.
    numbers : (n_atoms,) int array
    positions : (n_atoms, 3) array
        Å.
    title : str
    """

    values: NDArray[np.float64]
    origin: NDArray[np.float64]
    steps: NDArray[np.float64]
    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    title: str = ""

    @property
    def voxel(self) -> float:
        """Volume of a grid point, Å³."""
        return abs(float(np.linalg.det(self.steps)))

    def __neg__(self) -> Cube:
        return Cube(-self.values, self.origin, self.steps, self.numbers, self.positions, self.title)

    def __sub__(self, other: Cube) -> Cube:
        same = self.values.shape == other.values.shape and np.allclose(
            self.steps, other.steps, atol=1e-4
        )
        if not same or not np.allclose(self.origin, other.origin, atol=1e-3):
            raise InputError(
                "the two fields are on different grids",
                place="cube",
                remedy="compute them in the same box with the same cutoff and stride",
            )
        return Cube(
            self.values - other.values, self.origin, self.steps, self.numbers, self.positions,
            f"{self.title} - {other.title}",
        )  # fmt: skip


def read_cube(path: str | Path) -> Cube:
    """Return the field in a Gaussian cube file.

    Raises
    ------
    InputError
        Not a cube file, cut off, or of a size that its length cannot hold.
    """
    from heterodot.energy.cp2k_output import bohr

    target = readable(path, limit=2**33)
    try:
        with open(target, encoding="ascii", errors="strict") as stream:
            title = stream.readline().strip() + " " + stream.readline().strip()
            head = [stream.readline().split() for _ in range(4)]
            n = int(head[0][0])
            origin = np.array([float(x) for x in head[0][1:4]])
            counts = [int(row[0]) for row in head[1:]]
            steps = np.array([[float(x) for x in row[1:4]] for row in head[1:]])
            if not 0 <= n < 10_000_000 or min(counts) < 1:
                raise InputError("has negative counts", file=path, place="line 3")
            size = int(np.prod(counts, dtype=object))
            if 2 * size > target.stat().st_size:
                raise InputError(
                    f"claims {size} values but has only {target.stat().st_size} bytes",
                    file=path,
                    remedy="the file is cut off; write it again",
                )
            atoms = [stream.readline().split() for _ in range(n)]
            values = np.array(stream.read().split(), dtype=float)
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise InputError(
            f"is not a cube file ({error})", file=path, remedy="export it again"
        ) from error
    if len(values) != size:
        raise InputError(
            f"has {len(values)} of {size} values", file=path, remedy="the file is cut off"
        )
    length = bohr()
    return Cube(
        values.reshape(counts),
        origin * length,
        steps * length,
        np.array([int(float(a[0])) for a in atoms], dtype=np.int64),
        np.array([[float(x) for x in a[2:5]] for a in atoms]).reshape(-1, 3) * length,
        title.strip(),
    )


def enclosing_value(cube: Cube, fraction: float = 0.5, *, power: int = 2) -> float:
    """Return the isovalue whose surface encloses a fraction of the norm of an orbital.

    Parameters
    ----------
    fraction : float
        Between 0 and 1.
    power : int
        2 for an orbital (its square is the density), 1 for a density.
    """
    if not 0 < fraction < 1:
        raise InputError(f"a fraction of {fraction}", place="isosurface", remedy="between 0 and 1")
    size = np.sort(np.abs(cube.values).ravel())[::-1]
    weight = np.cumsum(size**power)
    at = int(np.searchsorted(weight, fraction * weight[-1]))
    return float(size[min(at, len(size) - 1)])


def isosurface(cube: Cube, value: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return vertices (m, 3) in Å and triangles (t, 3) of the surface where the field is ``value``.

    By marching tetrahedra (six a cell; Doi and Koide, IEICE Trans. E74, 214 (1991)), which leaves
    no holes; normals point to lower values for positive ``value``.

    Examples
    --------
    >>> x = np.linspace(-1, 1, 21)
    >>> r = np.sqrt(x[:, None, None]**2 + x[:, None]**2 + x**2)
    >>> ball = Cube(1 - r, np.full(3, -1.0), np.eye(3) * 0.1, np.zeros(0, int), np.zeros((0, 3)))
    >>> v, t = isosurface(ball, 0.5)
    >>> bool(abs(np.linalg.norm(v, axis=1) - 0.5).max() < 0.01)
    True
    """
    field = cube.values
    corner = np.array(list(np.ndindex(2, 2, 2)))
    cells = np.stack(
        [
            field[
                a : a + field.shape[0] - 1, b : b + field.shape[1] - 1, c : c + field.shape[2] - 1
            ]
            for a, b, c in corner
        ],
        axis=-1,
    )
    crossed = (cells.min(axis=-1) < value) & (cells.max(axis=-1) >= value)
    at = np.argwhere(crossed)
    if len(at) == 0:
        return np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)
    points = at[:, None, :] + corner[None]
    values = cells[crossed]
    # the six tetrahedra around the diagonal 0-7 of a cell
    tetrahedra = np.array(
        [[0, 1, 3, 7], [0, 3, 2, 7], [0, 2, 6, 7], [0, 6, 4, 7], [0, 4, 5, 7], [0, 5, 1, 7]]
    )
    p = points[:, tetrahedra].reshape(-1, 4, 3).astype(float)
    f = values[:, tetrahedra].reshape(-1, 4)
    order = np.argsort(-f, axis=1, kind="stable")
    p = np.take_along_axis(p, order[:, :, None], axis=1)
    f = np.take_along_axis(f, order, axis=1)
    above = (f >= value).sum(axis=1)

    def between(rows: NDArray[np.bool_], a: int, b: int) -> NDArray[np.float64]:
        fa, fb = f[rows, a], f[rows, b]
        t = ((fa - value) / np.where(fa == fb, 1.0, fa - fb))[:, None]
        return np.asarray(p[rows, a] * (1 - t) + p[rows, b] * t)

    one, two, three = above == 1, above == 2, above == 3
    triangles = [
        np.stack([between(one, 0, k) for k in (1, 2, 3)], axis=1),
        np.stack([between(three, k, 3) for k in (0, 1, 2)], axis=1),
        np.stack([between(two, 0, 2), between(two, 0, 3), between(two, 1, 3)], axis=1),
        np.stack([between(two, 0, 2), between(two, 1, 3), between(two, 1, 2)], axis=1),
    ]
    inner = [p[one, 0], p[three, :3].mean(axis=1), p[two, :2].mean(axis=1), p[two, :2].mean(axis=1)]
    corners = np.concatenate(triangles)
    inside = np.concatenate(inner)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    away = corners.mean(axis=1) - inside
    flip = np.einsum("ij,ij->i", normal, away) < 0
    corners[flip] = corners[flip][:, ::-1]
    keys = np.round(corners.reshape(-1, 3), 7)
    unique, index = np.unique(keys, axis=0, return_inverse=True)
    faces = index.reshape(-1, 3)
    proper = (
        (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 0] != faces[:, 2])
    )
    return unique @ cube.steps + cube.origin, faces[proper].astype(np.int64)


@dataclass(frozen=True, eq=False)
class PlaneProfile:
    """A density summed over planes.

    Attributes
    ----------
    position : (m,) array
        Along the normal, Å.
    density : (m,) array
        Electrons per Å.
    normal : (3,) array
    """

    position: NDArray[np.float64]
    density: NDArray[np.float64]
    normal: NDArray[np.float64]

    def transferred(self, plane: float) -> float:
        """Return the electrons on the far side of a plane (for a difference: moved there)."""
        step = float(self.position[1] - self.position[0])
        return float(self.density[self.position >= plane].sum() * step)


def plane_profile(
    cube: Cube, normal: ArrayLike = (0, 0, 1), *, step: float | None = None
) -> PlaneProfile:
    """Return a density (electrons per Bohr³) integrated over planes, as electrons per Å.

    Parameters
    ----------
    normal : (3,) array
        Any direction.
    step : float
        Distance of the planes, Å; the longest grid step where not given.

    Raises
    ------
    InputError
        A zero normal.
    """
    from heterodot.energy.cp2k_output import bohr

    unit = np.asarray(normal, dtype=float)
    length = float(np.linalg.norm(unit))
    if length == 0:
        raise InputError("the normal is zero", place="plane_profile", remedy="give a direction")
    unit = unit / length
    spacing = step or float(np.linalg.norm(cube.steps, axis=1).max())
    shape = cube.values.shape
    height = sum(
        (cube.steps[k] @ unit)
        * np.arange(shape[k]).reshape([-1 if m == k else 1 for m in range(3)])
        for k in range(3)
    ) + float(cube.origin @ unit)
    height = np.broadcast_to(height, shape)
    low = float(height.min())
    n = int(np.floor((float(height.max()) - low) / spacing)) + 2
    where = (height - low) / spacing
    first = np.floor(where).astype(np.int64)
    part = where - first
    electrons = (cube.values * cube.voxel / bohr() ** 3).ravel()
    density = np.bincount(first.ravel(), electrons * (1 - part.ravel()), n)
    density += np.bincount(first.ravel() + 1, electrons * part.ravel(), n)[:n]
    position = low + spacing * np.arange(n, dtype=np.float64)
    return PlaneProfile(np.array(position), np.array(density / spacing), np.array(unit))


def density_difference(whole: Cube, *parts: Cube) -> Cube:
    """Return the density of a body minus those of its parts, all on one grid.

    Raises
    ------
    InputError
        Different grids.
    """
    left = whole
    for part in parts:
        left = left - part
    return left
