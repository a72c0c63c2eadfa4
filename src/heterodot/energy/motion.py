"""What became of a body: connected pieces and displacements without rigid motion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.errors import HeterodotError

if TYPE_CHECKING:
    from ase import Atoms


def fragments(atoms: Atoms) -> int:
    """Return the number of connected pieces (bonds within 1.25 times the sum of radii).

    Radii are Shannon's for atoms with a charge and covalent ones for the others.
    """
    from ase.data import chemical_symbols, covalent_radii
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    from heterodot.energy.ionic import ion_radius

    n = len(atoms)
    if n == 0:
        return 0
    charges = np.asarray(atoms.arrays.get("charge", np.zeros(n)), dtype=float)
    radius = np.array([covalent_radii[z] for z in atoms.numbers])
    for i, (z, q) in enumerate(zip(atoms.numbers, charges, strict=True)):
        if q != 0:
            try:
                radius[i] = ion_radius(chemical_symbols[z], q)
            except HeterodotError:
                continue
    pairs = cKDTree(atoms.positions).query_pairs(2.5 * float(radius.max()), output_type="ndarray")
    r = np.linalg.norm(atoms.positions[pairs[:, 0]] - atoms.positions[pairs[:, 1]], axis=1)
    pairs = pairs[r < 1.25 * (radius[pairs[:, 0]] + radius[pairs[:, 1]])]
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return int(connected_components(graph, directed=False)[0])


def moved(before: Atoms, after: Atoms, groups: ArrayLike | None = None) -> NDArray[np.float64]:
    """Return how far each atom moved, the rigid motion of its group taken out, (n,), Å.

    Parameters
    ----------
    before, after : ase.Atoms
    groups : (n,) int array, optional
        Domain of each atom; one group where not given.
    """
    owner = np.zeros(len(before), dtype=int) if groups is None else np.asarray(groups)
    found = np.zeros(len(before))
    for group in np.unique(owner):
        here = owner == group
        x = before.positions[here] - before.positions[here].mean(axis=0)
        y = after.positions[here] - after.positions[here].mean(axis=0)
        u, _, v = np.linalg.svd(y.T @ x)
        turn = u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ v))]) @ v
        found[here] = np.linalg.norm(x - y @ turn, axis=1)
    return found


def displacements(
    before: Atoms, after: Atoms, groups: ArrayLike | None = None
) -> dict[int, tuple[float, float]]:
    """Return mean and largest displacement of each group (see `moved`), Å.

    Examples
    --------
    >>> from ase import Atoms
    >>> a = Atoms("PbSPbS", [[0, 0, 0], [3, 0, 0], [0, 3, 0], [0, 0, 3]])
    >>> b = a.copy()
    >>> b.rotate(30, "z")
    >>> bool(displacements(a, b)[0][1] < 1e-9)
    True
    """
    owner = np.zeros(len(before), dtype=int) if groups is None else np.asarray(groups)
    far = moved(before, after, owner)
    return {
        int(group): (float(far[owner == group].mean()), float(far[owner == group].max()))
        for group in np.unique(owner)
    }
