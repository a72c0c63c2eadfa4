"""Settings of one crystal: Pnma, Pbnm and pseudocubic axes, and indices carried between them.

The literature of halide perovskites indexes the same faces of CsPbBr3 in the Pnma axes (b is the
long one), in the Pbnm axes (c is the long one) and in the axes of the cubic parent. A setting is
here a matrix ``M`` that makes the new cell from the old one, rows being lattice vectors,
``cell' = M @ cell``. Then planes go as ``hkl' = M @ hkl`` and directions as
``uvw' = uvw @ inv(M)`` (International Tables for Crystallography A, section 1.5; there the matrix
P is the transpose of M).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from fractions import Fraction
from math import gcd, lcm

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.crystal import Crystal
from heterodot.errors import InputError, NotFoundError

Number = int | Fraction
Indices = tuple[Number, Number, Number]
Matrix = tuple[tuple[Fraction, ...], ...]

_H = Fraction(1, 2)
# The parent of an orthorhombic (a-b+a-) perovskite from its Pnma cell: a and c of Pnma are the
# diagonals of the parent's ac square and b is twice its b axis.
_PNMA_TO_PSEUDOCUBIC: Matrix = (
    (_H, Fraction(0), _H),
    (Fraction(0), _H, Fraction(0)),
    (-_H, Fraction(0), _H),
)


def transformation(source: str, target: str) -> NDArray[np.float64]:
    """Return ``M`` with ``cell_target = M @ cell_source`` (rows are lattice vectors).

    Parameters
    ----------
    source, target : str
        Hermann-Mauguin symbols of two settings of one space group (``"Pnma"``, ``"P b n m"``,
        ``"R -3 m:R"``), or ``"pseudocubic"`` for the cubic parent of a perovskite in the space
        group Pnma.

    Returns
    -------
    (3, 3) array

    Raises
    ------
    InputError
        A symbol that is not one, or two different space groups.

    Examples
    --------
    >>> transformation("Pnma", "Pbnm")
    array([[0., 0., 1.],
           [1., 0., 0.],
           [0., 1., 0.]])
    """
    return np.array(_exact(source, target), dtype=float)


def translate_plane(
    plane: Sequence[int], source: str, target: str, *, reduce: bool = False
) -> Indices:
    """Return the indices of plane or reflection (hkl) in another setting.

    Parameters
    ----------
    plane : three ints
    source, target : str
        See `transformation`.
    reduce : bool
        Return coprime integers, which name the same orientation but not the same reflection.

    Returns
    -------
    three ints or Fractions
        Fractions where the plane is no reflection of the target cell, as Pnma (010), which is
        half of the parent's (010).

    Examples
    --------
    >>> translate_plane((2, 0, 2), "Pnma", "pseudocubic")
    (2, 0, 0)
    >>> translate_plane((2, 0, 2), "Pnma", "Pbnm")
    (2, 2, 0)
    >>> translate_plane((0, 1, 0), "Pnma", "pseudocubic", reduce=True)
    (0, 1, 0)
    """
    matrix = _exact(source, target)
    indices = _integers(plane)
    found = [sum((row[k] * indices[k] for k in range(3)), Fraction(0)) for row in matrix]
    return _tidy(found, reduce)


def translate_direction(
    direction: Sequence[int], source: str, target: str, *, reduce: bool = False
) -> Indices:
    """Return the indices of direction [uvw] in another setting.

    Parameters
    ----------
    direction : three ints
    source, target : str
        See `transformation`.
    reduce : bool
        Return coprime integers, which name the same direction but not the same vector.

    Examples
    --------
    >>> translate_direction((1, 0, 1), "Pnma", "pseudocubic")
    (2, 0, 0)
    >>> translate_direction((0, 0, 1), "Pbnm", "pseudocubic")
    (0, 2, 0)
    """
    inverse = _exact(target, source)
    indices = _integers(direction)
    found = [sum((indices[k] * inverse[k][j] for k in range(3)), Fraction(0)) for j in range(3)]
    return _tidy(found, reduce)


def change_setting(crystal: Crystal, source: str, target: str) -> Crystal:
    """Return the same crystal, same orientation, in the cell of another setting.

    Parameters
    ----------
    crystal : Crystal
        In the cell of ``source``.
    source, target : str
        See `transformation`; not ``"pseudocubic"``, whose cell is not a period of the crystal
        (use `pseudocubic_cell`).

    Raises
    ------
    InputError
        The target's cell is not a period of the crystal.
    """
    matrix = transformation(source, target)
    if abs(abs(np.linalg.det(matrix)) - 1.0) > 1e-9:
        raise InputError(
            f"the cell of '{target}' is no period of {crystal.name}",
            place=crystal.name,
            remedy="use pseudocubic_cell for the mean cubic axes",
        )
    return crystal.replace(
        cell=matrix @ crystal.cell, scaled=crystal.scaled @ np.linalg.inv(matrix)
    )


def pseudocubic_cell(crystal: Crystal, setting: str = "Pnma") -> NDArray[np.float64]:
    """Return the pseudocubic axes of an orthorhombic perovskite as rows, (3, 3), Å.

    They are neither exactly equal nor exactly at right angles; the cube root of their volume is
    the usual pseudocubic parameter.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> axes = pseudocubic_cell(crystal("CsPbBr3_ortho"))
    >>> round(float(np.linalg.det(axes)) ** (1 / 3), 2)
    5.84
    """
    return np.asarray(transformation(setting, "pseudocubic") @ crystal.cell, dtype=float)


def setting_of(crystal: Crystal) -> str:
    """Return the Hermann-Mauguin symbol of the setting that a crystal is given in.

    Raises
    ------
    InputError
        The symmetry has no symbol of its own for this choice of axes.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> setting_of(crystal("CsPbBr3_ortho"))
    'P n m a'
    """
    import gemmi

    symmetry = crystal.symmetry
    group = gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(symmetry.hall))
    if group is None:
        raise InputError(
            f"the setting '{symmetry.hall}' has no symbol of its own", place=crystal.name
        )
    return str(group.xhm())


def find_transformation(
    cell: ArrayLike, target: ArrayLike, *, tolerance: float = 0.03, largest: int = 2
) -> NDArray[np.float64]:
    """Return ``M`` with halves and integers so that ``M @ cell`` has the metric of ``target``.

    For two cells of one phase whose settings are not known by name.

    Parameters
    ----------
    cell, target : (3, 3) arrays
        Lattice vectors as rows, Å; they may be turned against one another.
    tolerance : float
        Allowed relative difference of lengths, and of angles in radians.
    largest : int
        Largest entry of ``M`` tried.

    Raises
    ------
    NotFoundError
        No such matrix.

    Examples
    --------
    >>> find_transformation(np.diag([8.255, 11.759, 8.207]), np.diag([8.207, 8.255, 11.759]))
    array([[0., 0., 1.],
           [1., 0., 0.],
           [0., 1., 0.]])
    """
    old, new = np.asarray(cell, dtype=float), np.asarray(target, dtype=float)
    lengths = np.linalg.norm(new, axis=1)
    span = np.arange(-2 * largest, 2 * largest + 1)
    grid = np.stack(np.meshgrid(span, span, span, indexing="ij"), -1).reshape(-1, 3) / 2.0
    vectors = grid @ old
    norms = np.linalg.norm(vectors, axis=1)
    # few entries and positive ones first, so that the plainest of equal choices is found
    plain = np.lexsort((-grid[:, 2], -grid[:, 1], -grid[:, 0], np.abs(grid).sum(1)))
    ranked = [
        [i for i in plain if norms[i] > 0 and abs(norms[i] / lengths[k] - 1) < tolerance]
        for k in range(3)
    ]
    cosines = (new @ new.T) / np.outer(lengths, lengths)
    best: tuple[float, NDArray[np.float64]] | None = None
    volume = float(np.linalg.det(new))
    for i in ranked[0]:
        for j in ranked[1]:
            if abs(vectors[i] @ vectors[j] / (norms[i] * norms[j]) - cosines[0, 1]) > tolerance:
                continue
            for k in ranked[2]:
                rows = np.array([vectors[i], vectors[j], vectors[k]])
                cos = (rows @ rows.T) / np.outer(norms[[i, j, k]], norms[[i, j, k]])
                off = float(np.abs(cos - cosines).max())
                if off > tolerance or np.linalg.det(rows) * volume <= 0:
                    continue
                off += float(np.abs(norms[[i, j, k]] / lengths - 1).sum())
                if best is None or off < best[0] - 1e-9:
                    best = (off, grid[[i, j, k]])
    if best is None:
        raise NotFoundError(
            f"no matrix with entries up to {largest} carries one cell into the other",
            remedy="raise the tolerance, or check that both are cells of one phase",
        )
    return best[1] + 0.0


def _integers(indices: Sequence[int]) -> tuple[int, int, int]:
    values = tuple(int(x) for x in indices)
    if len(values) != 3 or any(int(x) != x for x in indices) or not any(values):
        raise InputError(
            f"{tuple(indices)} are not three indices", remedy="give three integers, not all zero"
        )
    return values


def _tidy(found: Sequence[Fraction], reduce: bool) -> Indices:
    values = [Fraction(x) for x in found]
    if reduce:
        scale = lcm(*(x.denominator for x in values))
        whole = [int(x * scale) for x in values]
        common = gcd(*whole)
        return (whole[0] // common, whole[1] // common, whole[2] // common)
    tidy = [int(x) if x.denominator == 1 else x for x in values]
    return (tidy[0], tidy[1], tidy[2])


@functools.lru_cache(maxsize=256)
def _exact(source: str, target: str) -> Matrix:
    """Return M from source to target as fractions, through the reference setting."""
    number_a, from_a = _from_reference(source)
    number_b, from_b = _from_reference(target)
    if number_a != number_b:
        raise InputError(
            f"'{source}' and '{target}' are settings of different space groups"
            f" ({number_a} and {number_b})",
            remedy="give two settings of one group, e.g. 'Pnma' and 'Pbnm'",
        )
    return _product(from_b, _inverse(from_a))


@functools.lru_cache(maxsize=64)
def _from_reference(name: str) -> tuple[int, Matrix]:
    """Return the group's number and M from its reference setting to this one."""
    import gemmi

    if name.strip().casefold() in ("pseudocubic", "pc"):
        return 62, _PNMA_TO_PSEUDOCUBIC
    group = gemmi.find_spacegroup_by_name(name)
    if group is None:
        raise InputError(
            f"'{name}' is not a setting",
            remedy="give a Hermann-Mauguin symbol such as 'Pnma', or 'pseudocubic'",
        )
    # gemmi's basisop gives coordinates of this setting from those of the reference:
    # x' = W x for columns, so cell' = W^-T cell for rows.
    op = group.basisop
    w = tuple(tuple(Fraction(int(x), op.DEN) for x in row) for row in op.rot)
    inverse = _inverse(w)
    return int(group.number), tuple(zip(*inverse, strict=True))


def _product(a: Matrix, b: Matrix) -> Matrix:
    return tuple(
        tuple(sum((a[i][k] * b[k][j] for k in range(3)), Fraction(0)) for j in range(3))
        for i in range(3)
    )


def _inverse(m: Matrix) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = m
    det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return (
        ((e * i - f * h) / det, (c * h - b * i) / det, (b * f - c * e) / det),
        ((f * g - d * i) / det, (a * i - c * g) / det, (c * d - a * f) / det),
        ((d * h - e * g) / det, (b * g - a * h) / det, (a * e - b * d) / det),
    )
