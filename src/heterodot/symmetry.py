"""Space-group symmetry of crystals: found by spglib, named and read by gemmi."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError


@dataclass(frozen=True)
class Symmetry:
    """Space-group symmetry of a crystal in the cell that it is given in.

    Attributes
    ----------
    number : int
        International Tables number.
    international : str
        Short Hermann-Mauguin symbol in the axes of the cell as given (``"P b n m"`` and
        ``"P n m a"`` differ), or of the standard setting where the cell is none of the tabulated
        ones (a supercell, say; ``tabulated`` is False then).
    hall : str
        Hall symbol of the same setting.
    tabulated : bool
        Whether the cell as given is a tabulated setting, up to its origin.
    point_group : str
        Crystal class, e.g. ``"m-3m"``.
    rotations : (n, 3, 3) int array
        Rotation parts in fractional coordinates, pure lattice translations left out.
    translations : (n, 3) array
        Translation parts, fractional.
    equivalent : (n_atoms,) int array
        For each atom the first atom that symmetry maps it on.
    """

    number: int
    international: str
    hall: str
    tabulated: bool
    point_group: str
    rotations: NDArray[np.int64]
    translations: NDArray[np.float64]
    equivalent: NDArray[np.int64]


def find_symmetry(
    cell: NDArray[np.float64],
    scaled: NDArray[np.float64],
    numbers: NDArray[np.int64],
    *,
    symprec: float,
    place: str,
) -> Symmetry:
    """Return the symmetry of a cell (rows, Å) with atoms at fractional coordinates.

    Raises
    ------
    InputError
        No symmetry can be found (atoms on one another).
    """
    import spglib

    try:
        data = spglib.get_symmetry_dataset((cell, scaled, numbers), symprec=symprec)
    except Exception as error:  # spglib 2.7+ raises its own kinds
        raise InputError(
            f"no symmetry found ({error})", place=place, remedy="check the sites"
        ) from error
    if data is None:
        raise InputError(
            "no symmetry found: atoms may lie on one another",
            place=place,
            remedy="check the sites",
        )
    rotations, first = np.unique(np.asarray(data.rotations), axis=0, return_index=True)
    group = _tabulated_setting(data)
    return Symmetry(
        int(data.number),
        str(data.international) if group is None else str(group.hm),
        str(data.hall) if group is None else str(group.hall),
        group is not None,
        str(data.pointgroup).strip(),
        rotations.astype(np.int64),
        np.asarray(data.translations)[first],
        np.asarray(data.crystallographic_orbits, dtype=np.int64),
    )


def point_operations(
    cell: NDArray[np.float64],
    scaled: NDArray[np.float64],
    numbers: NDArray[np.int64],
    rotations: NDArray[np.int64],
    *,
    symprec: float,
) -> NDArray[np.float64]:
    """Return the crystal's point operations as Cartesian matrices, (n, 3, 3), read-only.

    ``rotations`` are those of the cell as given; where that is a supercell, those of the
    primitive cell are found.
    """
    import spglib

    found = spglib.standardize_cell(
        (cell, scaled, numbers),
        to_primitive=True,
        no_idealize=True,  # keeps the orientation
        symprec=symprec,
    )
    if found is not None and len(found[2]) < len(numbers):
        data = spglib.get_symmetry_dataset(found, symprec=symprec)
        cell = np.asarray(found[0], dtype=float)
        rotations = np.unique(np.asarray(data.rotations), axis=0)
    basis = cell.T
    operations = np.asarray(basis @ rotations @ np.linalg.inv(basis), dtype=float)
    operations[np.abs(operations) < 1e-12] = 0.0
    operations.setflags(write=False)
    return operations


def operations_of(space_group: str | int, *, place: str) -> tuple[NDArray[np.float64], str]:
    """Return the operations, (n, 4, 4) fractional, and the crystal system of a space group.

    ``space_group`` is a Hermann-Mauguin symbol with its setting, a Hall symbol (its system comes
    back empty) or a number (standard setting).

    Raises
    ------
    InputError
        There is no such space group.
    """
    import gemmi

    group = (
        gemmi.find_spacegroup_by_number(space_group)
        if isinstance(space_group, int)
        else gemmi.find_spacegroup_by_name(space_group)
    )
    if group is None and isinstance(space_group, str):
        try:
            operations = gemmi.symops_from_hall(space_group)
        except (RuntimeError, ValueError):
            raise InputError(
                f"'{space_group}' is not a space group",
                place=place,
                remedy="give a Hermann-Mauguin symbol such as 'P n m a'",
            ) from None
        system = ""
    elif group is None:
        raise InputError(f"{space_group} is not a space-group number", place=place)
    else:
        operations = group.operations()
        system = str(group.crystal_system_str())
    return np.array([op.float_seitz() for op in operations], dtype=float), system


def _tabulated_setting(data: Any) -> Any:
    """Return gemmi's space group for the axes of a spglib dataset's input, or None."""
    import gemmi

    to_standard = np.asarray(data.transformation_matrix)
    if abs(abs(np.linalg.det(to_standard)) - 1.0) > 1e-6:
        return None
    origin = np.linalg.solve(to_standard, np.asarray(data.origin_shift))
    ops = []
    for rotation, shift in zip(data.rotations, data.translations, strict=True):
        moved = np.asarray(shift) + origin - np.asarray(rotation) @ origin
        op = gemmi.Op()
        op.rot = (np.asarray(rotation) * 24).astype(int).tolist()
        op.tran = (np.round(moved * 24).astype(int) % 24).tolist()
        ops.append(op)
    return gemmi.find_spacegroup_by_ops(gemmi.GroupOps(ops))
