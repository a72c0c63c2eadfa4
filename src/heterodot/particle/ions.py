"""Sizes of ions and which pairs of them count as bonds or as clashes.

Radii are Shannon's effective ionic radii from the catalog; the atom that carries the charge of an
organic cation gets the radius of that cation (Kieslich et al., 2014), the other atoms of organic
parts their covalent radii.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import HeterodotError
from heterodot.organic import ion_radius

# Two ions of opposite charge bond below this multiple of the sum of their radii. The first shells
# of rock salt, zinc blende, fluorite and perovskite end at 0.9 to 1.1, second shells of opposite
# charge start at 1.6, so the value only matters for distorted sites.
BOND = 1.3
# No contact may be shorter than this multiple of the sum of ionic radii.
CONTACT = 0.75
ORGANIC = frozenset({1, 6, 7, 8, 15})


@functools.cache
def radius(number: int, charge: float) -> float:
    """Return the radius of an ion, Å.

    Parameters
    ----------
    number : int
        Atomic number.
    charge : float
        Formal charge, e; rounded to the next state of the table.

    Examples
    --------
    >>> radius(82, 2.0), radius(55, 1.0), radius(17, -1.0)
    (1.19, 1.88, 1.81)
    """
    from ase.data import chemical_symbols, covalent_radii

    from heterodot.catalog import ionic_radius

    symbol = chemical_symbols[number]
    if number == 8 and charge < 0:
        # half the charge of a carboxylate sits on each oxygen, which has its usual ionic size
        return float(ionic_radius("O", -2, 6).value.value)
    if number in (6, 7) and charge >= 0.5:
        # the atom that stands for an organic cation has the size of the cation there
        return ion_radius(number)
    state = round(charge) if abs(charge) >= 0.5 else 0
    if state and not (number in ORGANIC and state != -2):
        # large monovalent cations sit in twelve-fold cages, the rest in six- or four-fold sites
        orders = (12, 10, 8, 6, 4) if symbol in ("Cs", "Rb", "K", "Tl", "Ba") else (6, 4, 8, 2, 12)
        for coordination in orders:
            try:
                return float(ionic_radius(symbol, state, coordination).value.value)
            except HeterodotError:
                continue
    return float(covalent_radii[number])


def radii(numbers: NDArray[np.int64], charges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the radius of each ion, (n_atoms,), Å."""
    numbers = np.asarray(numbers)
    charges = np.asarray(charges, dtype=float)
    found = np.empty(len(numbers))
    keys = numbers.astype(np.int64) * 1000 + np.round(charges * 20).astype(np.int64)
    kinds, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    values = np.array([radius(int(numbers[i]), float(charges[i])) for i in first])
    found[:] = values[inverse] if len(kinds) else 0.0
    return found
