"""An amorphous carbon film: hard spheres at random, at the density of evaporated carbon.

It gives the grain of a real film in an image (random phase, right mean potential), not its bonds:
the first neighbors of real carbon lie at 1.4 to 1.5 Å, here they spread above `CLOSEST`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError

CLOSEST = 1.4  # Å, least distance of two atoms: the bond of carbon
MOST = 3_000_000


def carbon_film(
    area: NDArray[np.float64], thickness: float, density: float | None = None, *, seed: int = 0
) -> NDArray[np.float64]:
    """Return atoms of a film, periodic in x and y.

    Parameters
    ----------
    area : (2,) array
        Edges along x and y, Å.
    thickness : float
        Å, along z from 0.
    density : float, optional
        g/cm³; the catalog's evaporated carbon if not given.
    seed : int

    Returns
    -------
    (n, 3) array
        Positions, no two closer than `CLOSEST`.

    Raises
    ------
    InputError
        Too many atoms, or too dense for spheres placed at random.

    Examples
    --------
    >>> len(carbon_film(np.array([20.0, 20.0]), 10.0, 2.0))
    401
    """
    from scipy.constants import N_A

    if density is None:
        from heterodot.catalog import lookup

        density = lookup("C", "density").value.to("g/cm**3").value
    from ase.data import atomic_masses

    volume = float(area[0] * area[1] * thickness)
    count = round(volume * 1e-24 * density / atomic_masses[6] * N_A)
    if count > MOST:
        raise InputError(
            f"the support would hold {count} atoms", place="support",
            remedy="take a thinner film, larger pixels or a smaller margin",
        )  # fmt: skip
    return _placed(np.array([*area, thickness]), count, seed)


def _placed(box: NDArray[np.float64], count: int, seed: int) -> NDArray[np.float64]:
    """Return ``count`` points placed one after the other where there is room."""
    from scipy.spatial import cKDTree

    rng = np.random.default_rng([seed, 7])
    # a periodic tree wants all axes periodic: z gets room enough never to meet itself
    room = [box[0], box[1], box[2] + 2 * CLOSEST]
    placed = np.empty((0, 3))
    for _ in range(200):
        if len(placed) >= count:
            return placed[:count]
        tried = rng.uniform(0, box, size=(max(count - len(placed), 64), 3)) % room
        if len(placed):
            near, _i = cKDTree(placed, boxsize=room).query(tried, distance_upper_bound=CLOSEST)
            tried = tried[~np.isfinite(near)]
        if len(tried):
            pairs = cKDTree(tried, boxsize=room).query_pairs(CLOSEST, output_type="ndarray")
            # of two new ones that are too close the later goes
            keep = np.ones(len(tried), dtype=bool)
            keep[pairs[:, 1]] = False
            placed = np.concatenate([placed, tried[keep]])
    raise InputError(
        "carbon of this density does not fit at random", place="support_density",
        remedy="give 1.8 to 2.2 g/cm³",
    )  # fmt: skip
