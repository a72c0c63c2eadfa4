"""The particle's own shape on a grid: how much of every voxel each domain fills.

Atoms carry the volume that the bulk crystal gives them. Smoothed, these volumes make a field that
is one inside and zero outside; the level set that keeps the volume is the surface, and the larger
of two fields tells the domains apart. Nothing is assumed of facets or of how the particle was made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError

if TYPE_CHECKING:
    from heterodot.particle import Particle

MARGIN = 1.5  # Å between the surface and the border of the box
SHARPEST = 0.1  # 1/Å; a sharper edge is finer than the tail outside and counts as this
SMALLEST = 6.0  # voxels across the smallest domain below which nothing is computed
POINTS = 64**3  # voxels that a grid of unspecified spacing may have
FINE_POINTS = 2e7  # voxels of the finer grid on which the surface of atoms is found
FINEST = 1.25  # Å, the spacing below which an unspecified grid is not refined

Field = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Shape:
    """A body of one or more domains on a regular grid.

    Attributes
    ----------
    names : tuple of str
        One a domain.
    fractions : (n_domains, nx, ny, nz) float32 array
        Volume fraction of each domain in each voxel; what is missing to one is the medium.
    openings : (3, nx + 1, ny + 1, nz + 1) float32 array
        Fraction of every face that lies in the particle; ``openings[0, i]`` is the face between
        voxels i - 1 and i along x.
    surface : (nx, ny, nz) float32 array
        Area of the particle's surface in each voxel over spacing squared.
    curvature : (nx, ny, nz) float32 array
        Mean curvature of the surface there, 1/Å (positive on a ball).
    spacing : float
        Edge of a voxel, Å.
    origin : (3,) array
        Center of the first voxel, Å.

    Examples
    --------
    >>> from heterodot.electronic.ideal import sphere
    >>> ball = sphere("PbS", 30.0, spacing=1.0)
    >>> round(ball.volume("PbS") / (np.pi / 6 * 30**3), 2)
    1.0
    """

    names: tuple[str, ...]
    fractions: Field
    openings: Field
    surface: Field
    curvature: Field
    spacing: float
    origin: NDArray[np.float64]

    @property
    def points(self) -> tuple[int, int, int]:
        """Number of voxels along each axis."""
        nx, ny, nz = self.fractions.shape[1:]
        return (int(nx), int(ny), int(nz))

    @property
    def inside(self) -> Field:
        """Fraction of every voxel that belongs to the particle, (nx, ny, nz)."""
        return np.asarray(self.fractions.sum(axis=0), dtype=np.float32)

    def index(self, name: str) -> int:
        """Return the place of a domain in ``names``."""
        if name not in self.names:
            raise InputError(
                f"there is no domain '{name}'", remedy=f"choose among {', '.join(self.names)}"
            )
        return self.names.index(name)

    def volume(self, name: str | None = None) -> float:
        """Return the volume of a domain, or of all, Å³."""
        part = self.inside if name is None else self.fractions[self.index(name)]
        return float(part.sum(dtype=np.float64) * self.spacing**3)

    def diameter(self, name: str | None = None) -> float:
        """Return the diameter of the sphere of the same volume, Å."""
        return float((6 * self.volume(name) / np.pi) ** (1 / 3))

    def coordinates(self) -> tuple[NDArray[np.float64], ...]:
        """Return x, y and z of the voxel centers, Å (three one-dimensional arrays)."""
        return tuple(self.origin[k] + self.spacing * np.arange(self.points[k]) for k in range(3))

    def coarsened(self) -> Shape:
        """Return the same body on voxels twice as wide (numbers of voxels must be even)."""
        area = halved(self.surface)
        bend = halved(self.surface * self.curvature)
        return Shape(
            self.names,
            np.stack([halved(part) for part in self.fractions]),
            _joined_faces(self.openings, 2),
            2 * area,
            np.divide(bend, area, out=np.zeros_like(area), where=area > 1e-6),
            2 * self.spacing,
            self.origin + self.spacing / 2,
        )


def halved(field: NDArray[Any]) -> NDArray[Any]:
    """Return the mean over blocks of 2 x 2 x 2 voxels of the last three axes."""
    *lead, nx, ny, nz = field.shape
    blocks = field.reshape(*lead, nx // 2, 2, ny // 2, 2, nz // 2, 2)
    return np.asarray(blocks.mean(axis=(-5, -3, -1)), dtype=field.dtype)


def doubled(field: NDArray[Any]) -> NDArray[Any]:
    """Return a field on voxels half as wide, by linear interpolation between voxel centers."""
    out = field
    for axis in (-3, -2, -1):
        moved = np.moveaxis(out, axis, -1)
        edge = np.concatenate([moved[..., :1], moved, moved[..., -1:]], axis=-1)
        fine = np.empty((*moved.shape[:-1], 2 * moved.shape[-1]), dtype=moved.dtype)
        fine[..., 0::2] = 0.75 * edge[..., 1:-1] + 0.25 * edge[..., :-2]
        fine[..., 1::2] = 0.75 * edge[..., 1:-1] + 0.25 * edge[..., 2:]
        out = np.moveaxis(fine, -1, axis)
    return np.ascontiguousarray(out)


def rasterize(particle: Particle, spacing: float | None = None, *, points: int = POINTS) -> Shape:
    """Return the shape of a particle's crystalline atoms.

    Parameters
    ----------
    particle : Particle
        Atoms of no domain (ligands) are left out.
    spacing : float, optional
        Edge of a voxel, Å; by default as fine as ``points`` voxels allow.
    points : int
        Voxels that an unspecified spacing may lead to.

    Raises
    ------
    InputError
        No crystalline atoms, a domain without crystal or atoms, a spacing that is not positive
        or does not resolve the smallest domain, overlapping atoms.

    Notes
    -----
    Each domain's volume is that of its atoms in the bulk: atoms at the surface own their full
    share, so that a facet lies half a layer outside its last plane of atoms.
    """
    chosen = np.flatnonzero((particle.domain >= 0) & (particle.role != "ligand"))
    if len(chosen) == 0:
        raise InputError("no atom belongs to a crystal", remedy="give a particle with domains")
    owned = np.zeros(len(particle.domains))
    for k, domain in enumerate(particle.domains):
        if not (particle.domain[chosen] == k).any():
            raise InputError(f"domain '{domain.name}' has no atoms", place="Particle")
        if domain.crystal is None:
            raise InputError(
                f"domain '{domain.name}' has no crystal",
                place="Particle",
                remedy="give the domain its bulk phase (Domain.crystal)",
            )
        stretch = float(np.linalg.det(np.eye(3) + domain.strain))
        owned[k] = domain.crystal.volume / len(domain.crystal) * stretch
    position, kind = particle.positions[chosen], particle.domain[chosen]
    _refuse_overlap(position)
    reach = 3.0 + MARGIN
    low, high = position.min(axis=0) - reach, position.max(axis=0) + reach
    spacing, counts, origin = lattice(low, high, spacing, points)
    parts = _parts(spacing, counts)
    fields = _smooth_volumes(position, kind, owned, origin, spacing, counts, parts)
    depth, weights = _levels_of(fields, float(owned[kind].sum()), spacing / parts)
    shape = body_of(tuple(d.name for d in particle.domains), depth, weights, spacing, origin, parts)
    check_resolution(shape)
    return shape


def _parts(spacing: float, counts: tuple[int, int, int]) -> int:
    """Return into how many pieces a voxel's edge is cut while the surface is found."""
    wanted = max(1, int(np.ceil(spacing / 0.8)))
    affordable = int((FINE_POINTS / float(np.prod(counts))) ** (1 / 3))
    return max(1, min(wanted, affordable))


def lattice(
    low: NDArray[np.float64], high: NDArray[np.float64], spacing: float | None, points: int
) -> tuple[float, tuple[int, int, int], NDArray[np.float64]]:
    """Return spacing, numbers of voxels and center of the first one for a box."""
    step = _spacing(spacing, high - low, points)
    counts = _counts((high - low) / step)
    return step, counts, (low + high) / 2 - step * (np.array(counts) - 1) / 2


def body_of(
    names: tuple[str, ...],
    depth: Field,
    weights: Field,
    spacing: float,
    origin: NDArray[np.float64],
    parts: int,
) -> Shape:
    """Return the shape of a signed depth (positive inside, Å) given on ``parts`` times finer voxels."""
    fine = spacing / parts
    slope = np.gradient(depth, fine)
    steep = np.sqrt(slope[0] ** 2 + slope[1] ** 2 + slope[2] ** 2)
    steep = np.maximum(steep, 0.05 * max(float(np.median(steep[np.abs(depth) < fine])), 1e-6))
    filled = np.clip(0.5 + depth / (steep * fine), 0, 1)
    openings = np.zeros((3, *[n + 1 for n in depth.shape]), dtype=np.float32)
    for axis in range(3):
        middle = _between(depth, axis)
        across = np.sqrt(sum(_between(slope[k], axis) ** 2 for k in range(3) if k != axis))
        blur = np.maximum(across, 0.1 * _between(steep, axis)) * fine
        cut = np.clip(0.5 + middle / blur, 0, 1)
        inner: list[Any] = [slice(0, n) for n in depth.shape]
        inner[axis] = slice(1, depth.shape[axis])
        openings[axis][tuple(inner)] = cut
    bend = _mean_curvature(slope, steep, fine)
    area = _areas(openings)
    coarse_area = _blocks(area, parts) * parts
    coarse_bend = _blocks(area * bend, parts) * parts
    return Shape(
        names,
        np.stack([_blocks(filled * weight, parts) for weight in weights]),
        _joined_faces(openings, parts),
        coarse_area,
        np.divide(
            coarse_bend, coarse_area, out=np.zeros_like(coarse_area), where=coarse_area > 1e-6
        ),
        spacing,
        origin,
    )


def _between(field: Field, axis: int) -> Field:
    """Return the means of neighbors along an axis."""
    moved = np.moveaxis(field, axis, 0)
    return np.moveaxis((moved[1:] + moved[:-1]) / 2, 0, axis)


def _mean_curvature(slope: Any, steep: Field, spacing: float) -> Field:
    total = -sum(np.gradient(slope[k] / steep, spacing, axis=k) for k in range(3)) / 2
    return np.asarray(np.clip(total, -SHARPEST, SHARPEST), dtype=np.float32)


def _areas(openings: Field) -> Field:
    """Return the surface in each voxel: what its six openings leave unbalanced (Gauss)."""
    nx, ny, nz = (n - 1 for n in openings.shape[1:])
    x, y, z = openings
    return np.asarray(
        np.sqrt(
            (x[1:, :ny, :nz] - x[:-1, :ny, :nz]) ** 2
            + (y[:nx, 1:, :nz] - y[:nx, :-1, :nz]) ** 2
            + (z[:nx, :ny, 1:] - z[:nx, :ny, :-1]) ** 2
        ),
        dtype=np.float32,
    )


def _blocks(field: Field, parts: int) -> Field:
    nx, ny, nz = (n // parts for n in field.shape)
    mean = field.reshape(nx, parts, ny, parts, nz, parts).mean(axis=(1, 3, 5))
    return np.ascontiguousarray(mean, dtype=np.float32)


def _joined_faces(openings: Field, parts: int) -> Field:
    """Return the openings of faces made of ``parts`` x ``parts`` smaller ones."""
    counts = [(n - 1) // parts for n in openings.shape[1:]]
    out = np.zeros((3, *[n + 1 for n in counts]), dtype=np.float32)
    for axis in range(3):
        moved = np.moveaxis(openings[axis], axis, 0)[::parts, :-1, :-1]
        n, p, q = moved.shape
        mean = moved.reshape(n, p // parts, parts, q // parts, parts).mean(axis=(2, 4))
        np.moveaxis(out[axis], axis, 0)[:, :-1, :-1] = mean
    return out


def check_resolution(shape: Shape) -> None:
    """Refuse a grid that does not resolve the smallest domain.

    Raises
    ------
    InputError
        Naming the domain, its width and the spacing that would do.
    """
    name = min(shape.names, key=shape.diameter)
    wide = shape.diameter(name)
    if wide < SMALLEST * shape.spacing:
        raise InputError(
            f"a spacing of {shape.spacing:.2f} Å does not resolve domain '{name}', which is "
            f"about {wide:.1f} Å wide",
            place="spacing",
            remedy=f"give at most {wide / SMALLEST:.2f} Å",
        )


def _spacing(spacing: float | None, extent: NDArray[np.float64], points: int) -> float:
    if spacing is None:
        return max(FINEST, float((np.prod(extent) / points) ** (1 / 3)))
    if not np.isfinite(spacing) or spacing <= 0:
        raise InputError(f"{spacing} Å is not a grid spacing", remedy="give about 1 Å")
    voxels = float(np.prod(extent / spacing))
    if voxels > 400**3:
        raise InputError(
            f"a spacing of {spacing} Å makes {voxels / 1e6:.0f} million voxels",
            place="spacing",
            remedy=f"give at least {(np.prod(extent) / 200**3) ** (1 / 3):.2f} Å",
        )
    return float(spacing)


def _counts(wanted: NDArray[np.float64]) -> tuple[int, int, int]:
    """Return even numbers of voxels, multiples of four whose transforms are fast."""
    from scipy.fft import next_fast_len

    result = [4 * int(next_fast_len(int(np.ceil(w / 4 - 1e-9)), real=True)) for w in wanted]
    return (result[0], result[1], result[2])


def _refuse_overlap(position: NDArray[np.float64]) -> None:
    from scipy.spatial import cKDTree

    pairs = cKDTree(position).query_pairs(1.0, output_type="ndarray")
    if len(pairs):
        i, j = pairs[0]
        raise InputError(
            f"atoms {i + 1} and {j + 1} are {np.linalg.norm(position[i] - position[j]):.2f} Å apart",
            place="Particle",
            remedy="remove overlapping atoms or relax the particle first",
        )


def _smooth_volumes(
    position: NDArray[np.float64],
    domain: NDArray[np.int64],
    owned: NDArray[np.float64],
    origin: NDArray[np.float64],
    spacing: float,
    counts: tuple[int, int, int],
    parts: int,
) -> Field:
    """Return each domain's smoothed volume density (about one in its bulk)."""
    from scipy.ndimage import gaussian_filter

    from heterodot.electronic._kernels import deposit

    fine = spacing / parts
    start = origin - (spacing - fine) / 2
    width = max(
        1.9, 1.1 * fine
    )  # Å: washes out the atoms (interplanar spacings up to 3.2 Å), keeps the facets
    out = np.zeros((len(owned), *[parts * n for n in counts]), dtype=np.float32)
    for k, volume in enumerate(owned):
        raw = np.zeros(out.shape[1:])
        deposit(raw, (position[domain == k] - start) / fine, volume / fine**3)
        out[k] = gaussian_filter(raw.astype(np.float32), width / fine, mode="constant", truncate=5)
    return out


def _levels_of(fields: Field, volume: float, spacing: float) -> tuple[Field, Field]:
    """Return signed depth below the volume-keeping level set, and each domain's share, (n, ...)."""
    total = fields.sum(axis=0)
    slopes = np.gradient(total, spacing)
    steep = np.sqrt(sum(slope**2 for slope in slopes))
    steep = np.maximum(steep, 0.03)  # a flat top is deep inside, a flat floor far outside
    low, high = 0.05, 0.95
    for _ in range(24):
        level = (low + high) / 2
        inside = np.clip(0.5 + (total - level) / (steep * spacing), 0, 1)
        if float(inside.sum(dtype=np.float64)) * spacing**3 > volume:
            low = level
        else:
            high = level
    depth = np.asarray((total - level) / steep, dtype=np.float32)
    weights = np.ones_like(fields)
    if len(fields) > 1:
        for k, field in enumerate(fields):
            lead = field - np.delete(fields, k, axis=0).max(axis=0)
            rise = np.sqrt(sum(slope**2 for slope in np.gradient(lead, spacing)))
            weights[k] = np.clip(0.5 + lead / np.maximum(rise, 1e-3) / spacing, 0, 1)
        weights /= np.maximum(weights.sum(axis=0), 1e-6)
    return depth, weights
