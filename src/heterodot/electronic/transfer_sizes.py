"""Transfer over sizes: levels that reach the donor, and trends whose common errors cancel.

A carrier above the acceptor's edge can fall into hundreds of states of a large particle. How many
must be computed follows from Weyl's law; that they were enough is checked afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.electronic.confinement import kinetic
from heterodot.electronic.ideal import cube_and_cap
from heterodot.electronic.levels import Levels, levels_of_shape
from heterodot.electronic.materials import Carrier, Material, Medium, Overrides, medium, pure
from heterodot.electronic.shape import Shape
from heterodot.electronic.transfer import Transfer, transfer
from heterodot.errors import InputError, NotFoundError
from heterodot.progress import Progress, silent

Array = NDArray[np.float64]
MOST_STATES = 300


def states_below(shape: Shape, carriers: Mapping[str, Carrier], energy: float) -> float:
    """Return about how many states of a carrier lie below an energy, without spin.

    Weyl's law with its surface term for hard walls, ``V k^3/6 pi^2 - S k^2/16 pi``, summed over the
    domains at the mass of that energy.

    Parameters
    ----------
    shape : Shape
    carriers : mapping of domain name to Carrier
    energy : float
        eV, in the carrier's convention.

    Examples
    --------
    >>> from heterodot.electronic.ideal import sphere
    >>> heavy = Carrier(0.0, -2.0, 1.0, 0.0, 1.0, 1.0)
    >>> found = states_below(sphere("PbS", 60.0), {"PbS": heavy}, 1.0)
    >>> bool(150 < found < 250)
    True
    """
    total = 0.0
    for name, band in carriers.items():
        if energy <= band.edge:
            continue
        wave = np.sqrt((energy - band.edge) / (kinetic() * float(band.inverse_mass(energy))))
        volume = shape.volume(name)
        surface = np.pi * shape.diameter(name) ** 2
        total += max(volume * wave**3 / (6 * np.pi**2) - surface * wave**2 / (16 * np.pi), 0.0)
    return total


def donor_energy(shape: Shape, material: Material, carrier: str) -> float:
    """Return about where the donor's lowest state lies, eV in the carrier's convention."""
    band = material.electron if carrier == "electron" else material.hole
    radius = shape.diameter(material.name) / 2
    return band.edge + kinetic() * float(band.inverse_mass(band.edge)) * (np.pi / radius) ** 2


def levels_for_transfer(
    shape: Shape,
    materials: tuple[Material, ...],
    *,
    carrier: str = "electron",
    donor: str,
    margin: float = 0.15,
    around: Medium | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Levels:
    """Return levels with every acceptor state up to the donor's lowest one and a margin.

    Parameters
    ----------
    shape, materials, around, seed, progress
        As in `heterodot.electronic.levels_of_shape`.
    carrier, donor : str
        What crosses, and from where.
    margin : float
        How far above the donor's lowest state the levels shall reach, eV.

    Raises
    ------
    NotFoundError
        More than ``MOST_STATES`` levels would be needed.
    """
    place = shape.index(donor)
    bands = {m.name: m.electron if carrier == "electron" else m.hole for m in materials}
    goal = donor_energy(shape, materials[place], carrier) + margin
    count = int(np.ceil(states_below(shape, bands, goal) + 6))
    sign = 1.0 if carrier == "electron" else -1.0
    for _ in range(3):
        if count > MOST_STATES:
            raise NotFoundError(
                f"about {count} {carrier} levels lie below the donor's, more than the "
                f"{MOST_STATES} that are computed",
                place=", ".join(shape.names),
                remedy="take smaller domains, or give states and read the warning",
            )
        other = "hole" if carrier == "electron" else "electron"
        found = levels_of_shape(
            shape, materials, states={carrier: count, other: 3}, around=around,
            seed=seed, progress=progress,
        )  # fmt: skip
        levels = found.states(carrier)
        there = [
            sign * state.energy.value for state in levels if state.fractions.get(donor, 0.0) > 0.5
        ]
        top = sign * levels[-1].energy.value
        if there and top >= there[0] + 0.8 * margin:
            return found
        count = int(np.ceil(1.4 * count + 4))
    return found


@dataclass(frozen=True, eq=False)
class TransferTrend:
    """Transfer of one carrier over the size of both domains.

    Attributes
    ----------
    donor, acceptor, carrier : str
    sizes : tuple of float
        Edge of the donor's cube, Å.
    caps : tuple of float
        Diameter of the acceptor's truncated ball, Å.
    transfers : tuple of Transfer
    states : tuple of int
        Levels that were computed for each.
    """

    donor: str
    acceptor: str
    carrier: str
    sizes: tuple[float, ...]
    caps: tuple[float, ...]
    transfers: tuple[Transfer, ...]
    states: tuple[int, ...]

    def ratio(self, first: int = 0, second: int = -1) -> tuple[float, float, float]:
        """Return low end, median and high end (68 %) of the rate of one size over another's.

        Every draw moves offset, coupling and reorganization energy of both sizes alike.
        """
        quotient = self._quotients(first, second)
        low, middle, high = np.quantile(quotient, [0.16, 0.5, 0.84])
        return float(low), float(middle), float(high)

    def faster(self, first: int = 0, second: int = -1) -> float:
        """Return the share of the draws in which the first size is the faster one."""
        return float((self._quotients(first, second) > 1).mean())

    def _quotients(self, first: int, second: int) -> Array:
        a = np.array(self.transfers[first].draws)
        b = np.array(self.transfers[second].draws)
        return np.asarray(a / np.maximum(b, 1e-30))

    def to_json(self) -> dict[str, Any]:
        """Return sizes, rates and the ratio of first and last size as plain data."""
        low, middle, high = self.ratio()
        return {
            "donor": self.donor,
            "acceptor": self.acceptor,
            "carrier": self.carrier,
            "cube_sizes_angstrom": list(self.sizes),
            "cap_sizes_angstrom": list(self.caps),
            "states": list(self.states),
            "transfers": [t.to_json() for t in self.transfers],
            "rate_of_first_over_last": {"median": middle, "band_68": [low, high]},
            "probability_that_first_is_faster": self.faster(),
        }


def transfer_trend(
    donor: str,
    acceptor: str,
    sizes: Sequence[float],
    caps: Sequence[float] | None = None,
    *,
    carrier: str = "electron",
    sunk: float = 0.5,
    materials: Overrides | None = None,
    margin: float = 0.15,
    points: int = 32**3,
    samples: int = 400,
    seed: int = 0,
    progress: Progress = silent,
    **options: Any,
) -> TransferTrend:
    """Return the transfer from a cube into a truncated ball on one face over their sizes.

    Parameters
    ----------
    donor, acceptor : str
        Phases of cube and ball.
    sizes : sequence of float
        Edges of the cube, Å.
    caps : sequence of float, optional
        Diameters of the ball, Å; by default the cube's edge.
    carrier : str
    sunk : float
        Part of the ball's diameter that the face cuts off; 0.5 makes a hemisphere.
    materials : mapping, optional
        Values that replace the catalog's.
    margin : float
        See `levels_for_transfer`.
    points : int
        Voxels of each shape.
    samples, seed
        Of the band, the same draws for all sizes.
    progress : Progress
    **options
        Of `heterodot.electronic.transfer`.

    Raises
    ------
    InputError
        No sizes, lists of different length, one phase.
    """
    caps = sizes if caps is None else caps
    if not sizes or len(sizes) != len(caps):
        raise InputError(
            f"{len(sizes)} cubes and {len(caps)} caps", remedy="give one cap for each cube"
        )
    if donor == acceptor:
        raise InputError("a transfer needs two different phases", place=donor)
    bulk = (pure(donor, materials), pure(acceptor, materials))
    around = medium(materials)
    done, counts = [], []
    for k, (edge, diameter) in enumerate(zip(sizes, caps, strict=True)):

        def part(doing: str, fraction: float, k: int = k) -> None:
            progress(f"{sizes[k] / 10:g} nm: {doing}", (k + fraction) / len(sizes))

        body = cube_and_cap(donor, acceptor, edge, diameter, sunk=sunk, points=points)
        found = levels_for_transfer(
            body, bulk, carrier=carrier, donor=donor, margin=margin, around=around,
            seed=seed, progress=part,
        )  # fmt: skip
        counts.append(len(found.states(carrier)))
        done.append(
            transfer(
                found,
                carrier=carrier,
                donor=donor,
                acceptor=acceptor,
                samples=samples,
                seed=seed,
                **options,
            )
        )
    progress("transfer over sizes", 1.0)
    return TransferTrend(
        donor, acceptor, carrier, tuple(sizes), tuple(caps), tuple(done), tuple(counts)
    )
