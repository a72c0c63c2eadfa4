"""Sites of a crystal: elements from labels, charges, images under symmetry, cells from lengths."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.errors import InputError


def element_of(label: str, *, place: str = "") -> int:
    """Return the atomic number of the element that a site label starts with."""
    from ase.data import atomic_numbers

    match = re.match(r"([A-Z][a-z]?)", label.strip())
    if match:
        for text in (match[1], match[1][0]):
            if text in atomic_numbers and text != "X":
                return int(atomic_numbers[text])
    raise InputError(
        f"'{label}' does not start with an element", place=place, remedy="name sites as in 'Pb1'"
    )


def charges_for(
    numbers: Sequence[int] | NDArray[np.int64],
    charges: Mapping[str, float] | None,
    *,
    place: str,
    cell: NDArray[np.float64] | None = None,
    scaled: NDArray[np.float64] | None = None,
) -> NDArray[np.float64] | None:
    """Return a formal charge per atom: as given, or from common oxidation states, or None.

    Where cell and fractional coordinates are given, molecules are found and have the charge of
    their ion on one atom (see `heterodot.organic`).
    """
    from ase.data import chemical_symbols

    symbols = [chemical_symbols[n] for n in numbers]
    if charges is None and cell is not None and scaled is not None and {"C", "N"} & set(symbols):
        from heterodot.organic import charges_with_groups

        found, groups = charges_with_groups(np.asarray(numbers), scaled @ cell, cell)
        if groups:
            return found
    if charges is None:
        from heterodot.charges import formal_charges

        counts: dict[str, int] = {}
        for symbol in symbols:
            counts[symbol] = counts.get(symbol, 0) + 1
        charges = formal_charges(counts)
        if charges is None:
            return None
    missing = sorted(set(symbols) - set(charges))
    if missing:
        raise InputError(
            f"no formal charge for {', '.join(missing)}", place=place, remedy="add it to charges"
        )
    return np.array([float(charges[symbol]) for symbol in symbols])


def expand(
    cell: NDArray[np.float64],
    operations: NDArray[np.float64],
    sites: Mapping[str, ArrayLike],
    *,
    place: str,
) -> tuple[NDArray[np.int64], NDArray[np.float64], tuple[str, ...]]:
    """Return what symmetry makes of asymmetric sites.

    Parameters
    ----------
    cell : (3, 3) array
        Vectors as rows, Å.
    operations : (n, 4, 4) array
        Fractional symmetry operations.
    sites : mapping of label to (3,) fractional coordinates

    Returns
    -------
    (m,) int array, (m, 3) array, tuple of str
        Atomic numbers, fractional coordinates in [0, 1) and the label of each atom.

    Raises
    ------
    InputError
        Two sites that fall on one another, or a label without an element.
    """
    numbers: list[int] = []
    scaled: list[NDArray[np.float64]] = []
    labels: list[str] = []
    for label, site in sites.items():
        element = element_of(label, place=place)
        point = np.asarray(site, dtype=float)
        images = operations[:, :3, :3] @ point + operations[:, :3, 3]
        images -= np.floor(images)
        for image in images:
            delta = np.array(scaled) - image if scaled else np.zeros((0, 3))
            delta -= np.round(delta)
            near = np.linalg.norm(delta @ cell, axis=1) < 0.05 if len(delta) else []
            hits = np.flatnonzero(near)
            if len(hits) == 0:
                numbers.append(element)
                scaled.append(image)
                labels.append(label)
            elif labels[hits[0]] != label:
                raise InputError(
                    f"sites {label} and {labels[hits[0]]} lie on one another",
                    place=place,
                    remedy="split or partly occupied sites are not supported; give one",
                )
    return np.array(numbers, dtype=np.int64), np.array(scaled), tuple(labels)


def cell_of(cellpar: Sequence[float], system: str, *, place: str) -> NDArray[np.float64]:
    """Return the vectors (rows, Å) of 1 to 6 lengths and angles in a crystal system."""
    from ase.geometry import cellpar_to_cell

    values = [float(x) for x in cellpar]
    if any(not np.isfinite(x) or x <= 0 for x in values):
        raise InputError("cell lengths and angles must be positive", place=place)
    if len(values) == 6:
        full = values
    elif len(values) in (1, 2, 3):
        a = values[0]
        if system == "cubic":
            full = [a, a, a, 90, 90, 90]
        elif system in ("hexagonal", "trigonal") and len(values) >= 2:
            full = [a, a, values[-1], 90, 90, 120]
        elif system == "tetragonal" and len(values) >= 2:
            full = [a, a, values[-1], 90, 90, 90]
        elif len(values) == 3:
            full = [*values, 90, 90, 90]
        else:
            raise InputError(f"a {system} cell needs more than {len(values)} numbers", place=place)
    elif len(values) == 4 and system == "monoclinic":
        full = [*values[:3], 90, values[3], 90]
    else:
        raise InputError(f"a cell cannot be made of {len(values)} numbers", place=place)
    return np.asarray(cellpar_to_cell(full), dtype=float)
