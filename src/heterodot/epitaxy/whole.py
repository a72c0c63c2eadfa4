"""Orientation relationships of whole crystals: near-coincidence of sublattices in three dimensions.

No interface plane is given. Rotations that bring two short vectors of the one crystal onto two of
the other are tried, the homogeneous strain that is left is fitted, and the share of the cations
that come to lie on one another within a sphere is the figure of merit (in the spirit of the
near-coincidence-site and edge-to-edge models; Zhang and Kelly, Prog. Mater. Sci. 54, 1101 (2009)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.epitaxy.limits import check_bulk
from heterodot.epitaxy.planes import lattice_of
from heterodot.epitaxy.relationship import OrientationRelationship
from heterodot.errors import InputError, NotFoundError
from heterodot.progress import Progress, silent

RADIUS = 13.0  # Å, of the sphere in which sites are compared: a nucleus of 2.6 nm
SOFTNESS = 0.6  # Å, as in two dimensions a fifth of a bond
LONGEST_VECTOR = 13.0  # Å


@dataclass(frozen=True, eq=False)
class WholeRelation:
    """A rotation of two crystals at which their cation sublattices nearly coincide.

    Attributes
    ----------
    crystal_a, crystal_b : Crystal
    rotation : (3, 3) array
        Proper rotation, Cartesian of B -> Cartesian of A.
    strain : (3, 3) array
        Homogeneous strain of B that is left, in A's frame.
    strain_max : float
        Largest magnitude of its principal values.
    fit : float
        Share of the cations of the sparser sublattice with a partner, 0 to 1 (Gaussian weight).
    axes : tuple of ((uvw of A), (uvw of B), degrees)
        Low-index directions that are nearly parallel.
    facets : tuple of OrientationRelationship
        Interfaces of the plane search with this rotation: the facets that would join.
    """

    crystal_a: Crystal
    crystal_b: Crystal
    rotation: NDArray[np.float64]
    strain: NDArray[np.float64]
    strain_max: float
    fit: float
    axes: tuple[tuple[tuple[int, int, int], tuple[int, int, int], float], ...]
    facets: tuple[OrientationRelationship, ...] = ()

    @property
    def angle(self) -> float:
        """Smallest rotation angle among the equivalent ones, degrees."""
        from heterodot.epitaxy.equivalence import rotation_angle

        return min(
            rotation_angle(r) for r in equivalents(self.crystal_a, self.crystal_b, self.rotation)
        )

    @property
    def label(self) -> str:
        """The two best parallel axes in words."""
        from heterodot.epitaxy.relationship import direction_text

        a, b = self.crystal_a.formula, self.crystal_b.formula
        return ", ".join(
            f"{direction_text(u)}{a} ‖ {direction_text(v)}{b}"
            + (f" ({angle:.1f} deg)" if angle > 0.05 else "")
            for u, v, angle in self.axes[:2]
        )

    @property
    def facet_labels(self) -> tuple[str, ...]:
        """The planes that join, in the order of the plane search."""
        from heterodot.epitaxy.relationship import plane_text

        return tuple(f"{plane_text(r.plane_a)} ‖ {plane_text(r.plane_b)}" for r in self.facets)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "label": self.label,
            "rotation_b_to_a": self.rotation.tolist(),
            "angle": self.angle,
            "strain": self.strain.tolist(),
            "strain_max": self.strain_max,
            "fit": self.fit,
            "axes": [{"a": list(u), "b": list(v), "angle": angle} for u, v, angle in self.axes],
            "facets": [relation.to_json() for relation in self.facets],
        }


def equivalents(
    crystal_a: Crystal, crystal_b: Crystal, rotation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return all rotations equivalent under operations of both crystals, (n, 3, 3).

    Both operations are proper or both improper (mirror images of the whole bicrystal).
    """
    one, two = lattice_of(crystal_a), lattice_of(crystal_b)
    found = []
    for proper in (True, False):
        ops_a = one.cartesian[one.proper == proper]
        ops_b = two.cartesian[two.proper == proper]
        if len(ops_a) and len(ops_b):
            turned = np.einsum("aij,jk,blk->abil", ops_a, rotation, ops_b, optimize=True)
            found.append(turned.reshape(-1, 3, 3))
    return np.concatenate(found)


def whole_crystal(
    crystal_a: Crystal,
    crystal_b: Crystal,
    *,
    max_strain: float = 0.06,
    element: str | None = None,
    same_angle: float = 3.0,
    most: int = 12,
    max_index: int = 2,
    progress: Progress = silent,
) -> list[WholeRelation]:
    """Return rotations of near-coincidence of two crystals, the best first.

    Parameters
    ----------
    crystal_a, crystal_b : Crystal
    max_strain : float
        Largest principal strain that may bring the sublattices together. In three dimensions a
        few percent more than at an interface is usual; it is what a nucleus relaxes.
    element : str, optional
        The sublattice that is compared; the heaviest cation that both have, else all cations.
    same_angle : float
        Rotations closer than this are one, degrees.
    most : int
        Length of the list.
    max_index : int
        Of the planes among which joining facets are sought.

    Raises
    ------
    InputError
        An element that one of the crystals lacks, or no bulk crystal.
    NotFoundError
        No rotation within the strain.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> best = whole_crystal(crystal("CsPbBr3_cubic"), crystal("PbS"), max_strain=0.03)[0]
    >>> round(best.angle, 3), round(best.strain_max, 4)
    (0.0, 0.0104)
    """
    for crystal in (crystal_a, crystal_b):
        check_bulk(crystal)
    if not 0 < max_strain < 0.3:
        raise InputError(f"{max_strain} is not a strain", place="max_strain", remedy="give 0.05")
    cloud_a = _cloud(crystal_a, _sublattice(crystal_a, crystal_b, element), RADIUS)
    cloud_b = _cloud(crystal_b, _sublattice(crystal_b, crystal_a, element), RADIUS * 1.35)
    progress("trying rotations", 0.0)
    tried = _candidates(crystal_a, crystal_b, max_strain)
    tried = _thinned(crystal_a, crystal_b, tried)
    scored = []
    for n, rotation in enumerate(tried):
        if n % 50 == 0:
            progress("fitting sublattices", n / len(tried))
        scored.append(_fit(cloud_a, cloud_b, rotation, max_strain))
    keep = [entry for entry in scored if entry is not None]
    if not keep:
        raise NotFoundError(
            f"no rotation brings {crystal_a.formula} and {crystal_b.formula} together within "
            f"{100 * max_strain:g} %",
            remedy="raise max_strain",
        )
    keep.sort(key=lambda entry: (-round(entry[0], 4), round(entry[2], 5)))
    chosen: list[tuple[float, NDArray[np.float64], float, NDArray[np.float64]]] = []
    for entry in keep:
        family = equivalents(crystal_a, crystal_b, entry[1])
        close = any(
            float(np.einsum("nij,ij->n", family, other[1]).max())
            > 1.0 + 2.0 * math.cos(math.radians(same_angle))
            for other in chosen
        )
        if not close:
            chosen.append(entry)
        if len(chosen) == most:
            break
    joins = _joining(crystal_a, crystal_b, max_strain, max_index, progress)
    result = []
    for fit, rotation, strain_max, strain in chosen:
        spelled = _spelled(crystal_a, crystal_b, rotation)
        _, strain_here = _carried(crystal_a, crystal_b, rotation, spelled, strain)
        facets = tuple(r for r in joins if _same(crystal_a, crystal_b, r.rotation, rotation, 4.0))
        result.append(
            WholeRelation(
                crystal_a,
                crystal_b,
                spelled,
                strain_here,
                strain_max,
                fit,
                _axes(crystal_a, crystal_b, spelled),
                facets[:8],
            )
        )
    progress("fitting sublattices", 1.0)
    return result


def _sublattice(crystal: Crystal, other: Crystal, element: str | None) -> NDArray[np.bool_]:
    from ase.data import atomic_numbers

    symbols = np.array(crystal.symbols)
    if element is not None:
        if element not in symbols:
            raise InputError(f"{crystal.formula} has no {element}", place="element")
        return np.asarray(symbols == element)
    positive = (
        crystal.charges > 0 if crystal.charges is not None else np.ones(len(crystal), dtype=bool)
    )
    common = set(symbols[positive]) & set(other.symbols)
    if common:
        heaviest = max(common, key=lambda s: atomic_numbers[s])
        return np.asarray(symbols == heaviest)
    return np.asarray(positive)


def _cloud(crystal: Crystal, chosen: NDArray[np.bool_], radius: float) -> NDArray[np.float64]:
    """Sites of a sublattice around one of them, (n, 3), Å."""
    origin = crystal.positions[np.flatnonzero(chosen)[0]]
    heights = 1.0 / np.linalg.norm(crystal.reciprocal, axis=1)
    spans = [np.arange(-n, n + 1) for n in (np.ceil(radius / heights) + 1).astype(int)]
    cells = np.stack(np.meshgrid(*spans, indexing="ij"), -1).reshape(-1, 3) @ crystal.cell
    points = (crystal.positions[chosen][None] - origin + cells[:, None]).reshape(-1, 3)
    return np.asarray(points[np.linalg.norm(points, axis=1) < radius])


def _vectors(crystal: Crystal) -> NDArray[np.float64]:
    primitive = lattice_of(crystal).primitive
    heights = 1.0 / np.linalg.norm(np.linalg.inv(primitive).T, axis=1)
    spans = [np.arange(-n, n + 1) for n in np.ceil(LONGEST_VECTOR / heights).astype(int)]
    cells = np.stack(np.meshgrid(*spans, indexing="ij"), -1).reshape(-1, 3)
    points = cells @ primitive
    length = np.linalg.norm(points, axis=1)
    near = (length > 0.1) & (length < LONGEST_VECTOR)
    order = np.argsort(np.round(length[near], 4), kind="stable")
    return np.asarray(points[near][order])


def _candidates(crystal_a: Crystal, crystal_b: Crystal, max_strain: float) -> NDArray[np.float64]:
    """Rotations that bring one pair of short lattice vectors onto another, (n, 3, 3)."""
    one, two = _vectors(crystal_a)[:90], _vectors(crystal_b)[:260]
    length_a, length_b = np.linalg.norm(one, axis=1), np.linalg.norm(two, axis=1)
    ops = lattice_of(crystal_a).cartesian
    first: list[int] = []
    for i, u in enumerate(one[:40]):  # one of each kind of first vector
        images = ops @ u
        if not any((np.linalg.norm(images - one[k], axis=1) < 1e-3).any() for k in first):
            first.append(i)
    limit = math.log1p(max_strain)
    ratio = np.abs(np.log(length_b[None, :] / length_a[:, None])) <= limit
    found = []
    for i in first[:8]:
        cos_a = (one @ one[i]) / (length_a * length_a[i])
        others = np.flatnonzero(np.abs(cos_a) < 0.95)
        for j in np.flatnonzero(ratio[i]):
            cos_b = (two @ two[j]) / (length_b * length_b[j])
            fits = ratio[others] & (
                np.abs(
                    np.arccos(np.clip(cos_a[others], -1, 1))[:, None]
                    - np.arccos(np.clip(cos_b, -1, 1))[None, :]
                )
                < 2.0 * max_strain
            )
            rows, columns = np.nonzero(fits)
            if len(rows) == 0:
                continue
            rows = others[rows]
            found.append(
                _frames(np.broadcast_to(one[i], (len(rows), 3)), one[rows])
                @ np.transpose(
                    _frames(np.broadcast_to(two[j], (len(rows), 3)), two[columns]), (0, 2, 1)
                )
            )
    if not found:
        return np.zeros((0, 3, 3))
    return np.concatenate(found)


def _frames(x: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    u = x / np.linalg.norm(x, axis=1)[:, None]
    n = np.cross(x, other)
    n = n / np.linalg.norm(n, axis=1)[:, None]
    return np.stack([u, np.cross(n, u), n], axis=2)


def _thinned(
    crystal_a: Crystal, crystal_b: Crystal, rotations: NDArray[np.float64], step: float = 2.0
) -> NDArray[np.float64]:
    """Keep one of the rotations that are equivalent within about ``step`` degrees."""
    kept: list[NDArray[np.float64]] = []
    families = np.zeros((0, 9))
    limit = 1.0 + 2.0 * math.cos(math.radians(step))
    for rotation in rotations:
        if len(families) and float((families @ rotation.ravel()).max()) > limit:
            continue
        kept.append(rotation)
        families = np.vstack([families, equivalents(crystal_a, crystal_b, rotation).reshape(-1, 9)])
        if len(kept) >= 400:
            break
    return np.array(kept).reshape(-1, 3, 3)


def _fit(
    cloud_a: NDArray[np.float64],
    cloud_b: NDArray[np.float64],
    rotation: NDArray[np.float64],
    max_strain: float,
) -> tuple[float, NDArray[np.float64], float, NDArray[np.float64]] | None:
    """Return (fit, rotation, largest strain, strain) after fitting the homogeneous strain."""
    from scipy.spatial import cKDTree

    matrix = np.array(rotation)
    inner = cloud_b[np.linalg.norm(cloud_b, axis=1) < RADIUS]
    for reach in (7.5, 10.0, RADIUS):
        distance, partner = cKDTree(cloud_b @ matrix.T).query(cloud_a)
        near = (np.linalg.norm(cloud_a, axis=1) < reach) & (distance < 1.6)
        if near.sum() < 4:
            break
        weight = np.exp(-0.5 * (distance[near] / SOFTNESS) ** 2)[:, None]
        source, target = cloud_b[partner[near]], cloud_a[near]
        if np.linalg.matrix_rank(source, tol=0.5) < 3:
            break
        solution, *_ = np.linalg.lstsq(source * weight, target * weight, rcond=None)
        u, s, vh = np.linalg.svd(solution.T)
        if np.linalg.det(u @ vh) < 0 or s.min() < 0.5:
            break
        s = np.clip(s, 1.0 / (1.0 + max_strain), 1.0 + max_strain)
        matrix = (u * s) @ vh
    u, s, vh = np.linalg.svd(matrix)
    turn = u @ vh
    strain = (u * (s - 1.0)) @ u.T
    distance, _ = cKDTree(cloud_b @ matrix.T).query(cloud_a)
    matched = float(np.exp(-0.5 * (distance / SOFTNESS) ** 2).sum()) - 1.0
    sparser = min(len(cloud_a), len(inner)) - 1
    if sparser < 1:
        return None
    return matched / sparser, turn, float(np.abs(s - 1.0).max()), strain


def _same(
    crystal_a: Crystal,
    crystal_b: Crystal,
    one: NDArray[np.float64],
    two: NDArray[np.float64],
    degrees: float,
) -> bool:
    family = equivalents(crystal_a, crystal_b, one).reshape(-1, 9)
    return bool(float((family @ two.ravel()).max()) > 1.0 + 2.0 * math.cos(math.radians(degrees)))


def _joining(
    crystal_a: Crystal, crystal_b: Crystal, max_strain: float, max_index: int, progress: Progress
) -> tuple[OrientationRelationship, ...]:
    from heterodot.epitaxy.orientations import search

    try:
        return search(
            crystal_a, crystal_b, max_index=max_index, max_strain=max_strain, progress=progress
        ).matches
    except NotFoundError:
        return ()


def _spelled(
    crystal_a: Crystal, crystal_b: Crystal, rotation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the equivalent rotation of smallest angle."""
    family = equivalents(crystal_a, crystal_b, rotation)
    traces = np.einsum("nii->n", family)
    return np.asarray(family[int(np.argmax(np.round(traces, 6)))])


def _carried(
    crystal_a: Crystal,
    crystal_b: Crystal,
    rotation: NDArray[np.float64],
    spelled: NDArray[np.float64],
    strain: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the operation of A that makes ``spelled`` of ``rotation``, and the strain it turns."""
    one, two = lattice_of(crystal_a), lattice_of(crystal_b)
    for op in one.cartesian:
        left = op @ rotation
        for other in two.cartesian:
            if np.abs(left @ other.T - spelled).max() < 1e-6:
                return op, np.asarray(op @ strain @ op.T)
    return np.eye(3), strain


def _axes(
    crystal_a: Crystal, crystal_b: Crystal, rotation: NDArray[np.float64]
) -> tuple[tuple[tuple[int, int, int], tuple[int, int, int], float], ...]:
    from heterodot.epitaxy.description import LOW
    from heterodot.epitaxy.planes import coprime

    low = sorted((h for h in LOW if h > (0, 0, 0)), key=lambda h: (sum(map(abs, h)), h))
    sides = []
    for crystal in (crystal_a, crystal_b):
        lattice = lattice_of(crystal)
        vectors = np.array(low, dtype=float) @ lattice.conventional
        sides.append(
            (
                [coprime(lattice.direction_given(np.array(u, dtype=float))) for u in low],
                vectors / np.linalg.norm(vectors, axis=1)[:, None],
            )
        )
    cosines = sides[0][1] @ (sides[1][1] @ rotation.T).T
    angles = np.degrees(np.arccos(np.clip(np.abs(cosines), 0, 1)))
    found: list[tuple[tuple[int, int, int], tuple[int, int, int], float]] = []
    used: set[int] = set()
    for flat in np.argsort(np.round(angles, 1), axis=None, kind="stable"):
        i, j = divmod(int(flat), angles.shape[1])
        if i in used or angles[i, j] > 15.0:
            continue
        used.add(i)
        b = sides[1][0][j]
        if cosines[i, j] < 0:
            b = (-b[0], -b[1], -b[2])
        found.append((sides[0][0][i], b, float(angles[i, j])))
        if len(found) == 3:
            break
    return tuple(found)
