"""States of a carrier on donor and acceptor, and what couples them (fragment charge difference).

Voityuk and Rosch, J. Chem. Phys. 117, 5607 (2002).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.electronic.levels import Levels
from heterodot.electronic.shape import halved
from heterodot.errors import InputError, NotFoundError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Diabats:
    """States of one carrier confined to donor or acceptor, and what couples them.

    Attributes
    ----------
    carrier, donor, acceptor : str
    donor_energies : (n_donor,) array
        eV, upward into confinement.
    acceptor_energies : (n_acceptor,) array
    coupling : (n_donor, n_acceptor) array
        eV.
    donor_density : (nx, ny, nz) array
        Of the lowest donor state on the coarse grid, 1/Å³.
    acceptor_densities : (n_acceptor, nx, ny, nz) array
    purity : float
        Share of the lowest donor state in its domain.
    """

    carrier: str
    donor: str
    acceptor: str
    donor_energies: Array
    acceptor_energies: Array
    coupling: Array
    donor_density: Array
    acceptor_densities: Array
    purity: float


def diabats(levels: Levels, carrier: str, donor: str, acceptor: str) -> Diabats:
    """Return donor and acceptor states from the levels of the whole particle.

    Raises
    ------
    InputError
        Unknown carrier or domain, donor and acceptor the same.
    NotFoundError
        The computed levels hold no state of the donor or acceptor domain.
    """
    levels.states(carrier)
    if donor == acceptor:
        raise InputError("donor and acceptor are the same domain", place=donor)
    index = levels.shape.index(acceptor)
    levels.shape.index(donor)
    solved = levels.solved[carrier]
    vectors, energies = solved.solution.vectors, solved.solution.energies
    share = solved.well.cells.shares[index]
    projector = (vectors * share) @ vectors.T
    weights, rotation = np.linalg.eigh(projector)
    on_acceptor = weights > 0.5
    if on_acceptor.all() or not on_acceptor.any():
        missing = donor if on_acceptor.all() else acceptor
        raise NotFoundError(
            f"none of the {len(energies)} {carrier} levels lies in {missing}",
            remedy="ask for more states, or swap donor and acceptor",
        )
    hamiltonian = rotation.T @ (energies[:, None] * rotation)
    donor_part, acceptor_part = np.flatnonzero(~on_acceptor), np.flatnonzero(on_acceptor)
    e_d, u_d = np.linalg.eigh(hamiltonian[np.ix_(donor_part, donor_part)])
    e_a, u_a = np.linalg.eigh(hamiltonian[np.ix_(acceptor_part, acceptor_part)])
    coupling = u_d.T @ hamiltonian[np.ix_(donor_part, acceptor_part)] @ u_a
    to_d = rotation[:, donor_part] @ u_d
    to_a = rotation[:, acceptor_part] @ u_a
    cells = solved.well.cells
    volume = cells.spacing**3

    def density(mix: Array) -> Array:
        return np.asarray(halved(cells.boxed((mix @ vectors) ** 2) / volume))

    weight = float((to_d[:, 0] @ vectors) ** 2 @ cells.shares[levels.shape.index(donor)])
    return Diabats(
        carrier,
        donor,
        acceptor,
        e_d,
        e_a,
        coupling,
        density(to_d[:, 0]),
        np.stack([density(to_a[:, k]) for k in range(to_a.shape[1])]),
        weight,
    )
