"""Electron and hole together: attraction, own images, self-consistency, optical gap.

First-order attraction and self-polarization follow Brus (J. Chem. Phys. 80, 4403 (1984)) with the
particle's own densities; where the attraction moves the carriers (a hole next to an interface pulls
the electron to it) they are relaxed in each other's field. Correlation beyond that is estimated by
Brus's second-order term for a sphere and stated with an error of the same size as what it leaves.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.electronic.confinement import OnGrid, Solution, Well, solve
from heterodot.electronic.materials import Material
from heterodot.electronic.poisson import Dielectric, self_energy
from heterodot.electronic.shape import Shape
from heterodot.units import Value

Array = NDArray[np.float64]
SECOND_ORDER = 0.248  # Brus (1984): correlation of a pair in a sphere, in effective Rydbergs


@dataclass(frozen=True)
class Coulomb:
    """What electron and hole do to each other and to themselves, eV.

    Attributes
    ----------
    attraction : Value
        Of the uncorrelated edge states, positive.
    electron_image, hole_image : Value
        Energy of each in the polarization that it makes (positive in a medium of lower constant).
    relaxation : Value
        What relaxing both in each other's field gains beyond first order (not positive).
    correlation : Value
        Estimate of what is left (not positive).
    optical_gap : Value
        Energy of the lowest exciton; the error holds grid, bulk gap and correlation.
    electron, hole : mapping of domain name to float
        Where they are in each other's field, without the tails outside.
    """

    attraction: Value
    electron_image: Value
    hole_image: Value
    relaxation: Value
    correlation: Value
    optical_gap: Value
    electron: Mapping[str, float]
    hole: Mapping[str, float]

    @property
    def binding(self) -> Value:
        """Attraction, relaxation and correlation together, positive, eV."""
        return Value(
            self.attraction.value - self.relaxation.value - self.correlation.value,
            "eV",
            self.correlation.error,
        )

    def to_json(self) -> dict[str, Any]:
        """Return all terms as plain data."""
        return {
            "optical_gap": self.optical_gap.to_json(),
            "attraction": self.attraction.to_json(),
            "electron_self_polarization": self.electron_image.to_json(),
            "hole_self_polarization": self.hole_image.to_json(),
            "relaxation": self.relaxation.to_json(),
            "correlation": self.correlation.to_json(),
            "electron_in_pair": {k: float(v) for k, v in self.electron.items()},
            "hole_in_pair": {k: float(v) for k, v in self.hole.items()},
        }


@dataclass(frozen=True, eq=False)
class Electrostatics:
    """The dielectric problem of a particle on one grid, with what it takes to use it.

    Attributes
    ----------
    shape : Shape
    problem : Dielectric
    images : Shape and (nx, ny, nz) array
        Self-polarization energy on its own grid, eV.
    """

    shape: Shape
    problem: Dielectric
    images: tuple[Shape, Array]

    @classmethod
    def of(cls, shape: Shape, materials: Sequence[Material], outside: float) -> Electrostatics:
        """Set the problem up for a shape and the materials of its domains."""
        constants = [m.dielectric for m in materials]
        return cls(
            shape, Dielectric(shape, constants, outside), self_energy(shape, constants, outside)
        )

    @functools.cached_property
    def image_potential(self) -> Array:
        """Self-polarization energy at the voxels of ``shape``, eV, (nx, ny, nz)."""
        from scipy.ndimage import map_coordinates

        grid, field = self.images
        filled = _extended(np.where(grid.inside > 0.5, field, np.nan))
        x = [
            (c - o) / grid.spacing
            for c, o in zip(self.shape.coordinates(), grid.origin, strict=True)
        ]
        places = np.stack(np.meshgrid(*x, indexing="ij"))
        return np.asarray(map_coordinates(filled, places, order=1, mode="nearest"))

    def image(self, density: Array) -> float:
        """Return the self-polarization energy of a density on ``shape``, 1/Å³, in eV."""
        return float((self.image_potential * density).sum() / density.sum())


def _extended(field: Array) -> Array:
    """Give empty voxels the value of the nearest filled one."""
    from scipy.ndimage import distance_transform_edt

    empty = np.isnan(field)
    _, nearest = distance_transform_edt(empty, return_indices=True)
    return np.asarray(field[tuple(nearest)])


def density_of(solution: Solution, well: Well, index: int = 0) -> Array:
    """Return a state's probability in the box of its grid, 1/Å³; the tail outside is left out."""
    cells = well.cells
    return np.asarray(cells.boxed(solution.vectors[index] ** 2) / cells.spacing**3)


def interaction(
    coarse: Shape,
    electron: OnGrid,
    hole: OnGrid,
    materials: Sequence[Material],
    outside: float,
    gap: Value,
    *,
    rounds: int = 12,
) -> tuple[Coulomb, Electrostatics]:
    """Return the Coulomb terms of the lowest electron and hole.

    Computed on the coarser grid, where densities are smooth enough.
    """
    field = Electrostatics.of(coarse, materials, outside)
    volume = coarse.spacing**3
    rho_e = density_of(electron.coarse_solution, electron.coarse_well)
    rho_h = density_of(hole.coarse_solution, hole.coarse_well)
    phi_h = field.problem.potential(rho_h)
    first = float((rho_e * phi_h).sum() * volume)
    image_e, image_h = field.image(rho_e), field.image(rho_h)
    pair = relaxed(field.problem, electron, hole, phi_h, rounds=rounds)
    start = electron.coarse_solution.energies[0] + hole.coarse_solution.energies[0] - first
    relaxation = min(pair.energy - start, 0.0)
    correlation = _correlation(materials, pair)
    total = gap.value + image_e + image_h - first + relaxation + correlation.value
    # what the grid and the boundary elements leave: against exact balls one and two percent; an
    # inner boundary makes the images of its neighborhood rougher (measured on shifted grids)
    rough = 0.02 if len(coarse.names) == 1 else 0.10
    parts = (
        gap.error or 0.0,
        correlation.error or 0.0,
        0.01 * first,
        rough * image_e,
        rough * image_h,
    )
    error = float(np.sqrt(sum(part**2 for part in parts)))
    names = coarse.names
    return (
        Coulomb(
            Value(first, "eV", 0.01 * first),
            Value(image_e, "eV", rough * abs(image_e)),
            Value(image_h, "eV", rough * abs(image_h)),
            Value(relaxation, "eV", 0.02 * first),
            correlation,
            Value(total, "eV", error),
            dict(zip(names, pair.electron, strict=True)),
            dict(zip(names, pair.hole, strict=True)),
        ),
        field,
    )


@dataclass(frozen=True)
class Pair:
    """Electron and hole in each other's field.

    Attributes
    ----------
    energy : float
        Of both together against their band edges, eV; without images and correlation.
    electron, hole : list of float
        Share of each in every domain.
    """

    energy: float
    electron: list[float]
    hole: list[float]


def relaxed(
    problem: Dielectric,
    electron: OnGrid,
    hole: OnGrid,
    phi_h: Array | None = None,
    *,
    rounds: int = 12,
) -> Pair:
    """Relax electron and hole in each other's field on the coarse grid.

    Parameters
    ----------
    problem : Dielectric
        Of the coarse grid.
    electron, hole : OnGrid
    phi_h : (nx, ny, nz) array, optional
        Potential of the unrelaxed hole, where it is known already, eV.
    rounds : int
        Solutions of one carrier in the other's field, at most.
    """
    volume = problem.spacing**3
    grids = (electron.coarse_well, hole.coarse_well)
    solutions = [electron.coarse_solution, hole.coarse_solution]
    phi = problem.potential(density_of(solutions[1], grids[1])) if phi_h is None else phi_h
    first = float((density_of(solutions[0], grids[0]) * phi).sum() * volume)
    last = solutions[0].energies[0] + solutions[1].energies[0] - first
    for turn in range(rounds):
        k = turn % 2
        well = grids[k]
        pulled = Well(well.cells, well.bands, well.barrier, -well.cells.gathered(phi))
        solutions[k] = solve(
            pulled,
            1,
            guess=solutions[k].vectors[:3],
            reference=None if turn < 2 else solutions[k].reference,
            own_masses=False,
        )
        rho = density_of(solutions[k], pulled)
        phi = problem.potential(rho)
        other = density_of(solutions[1 - k], grids[1 - k])
        attraction = float((other * phi).sum() * volume)
        if k == 0:
            continue
        # the electron's energy was found in the field of the hole before this one
        bare_e = _bare(solutions[0], grids[0])
        bare_h = solutions[1].energies[0] + attraction
        now = bare_e + bare_h - attraction
        if abs(now - last) < 1e-3:
            last = min(now, last)
            break
        last = now
    shares = [
        [float((s.vectors[0] ** 2 * share).sum()) for share in well.cells.shares]
        for s, well in zip(solutions, grids, strict=True)
    ]
    return Pair(float(last), shares[0], shares[1])


def _bare(solution: Solution, well: Well) -> float:
    """Return the energy of a state without the other carrier's field, at its own mass."""
    vector, energy = solution.vectors[0], solution.energies[0]
    for _ in range(3):
        _, operator = well.parts(float(energy))
        value = float((vector * operator(vector[None])[0]).sum())
        slope = float(well.slopes(vector[None], float(energy))[0])
        energy = energy + (value - energy) / (1 - slope)
    return float(energy)


def _correlation(materials: Sequence[Material], pair: Pair) -> Value:
    """Return Brus's second-order term, weighted with the chance to meet in each domain."""
    from scipy.constants import physical_constants

    rydberg = physical_constants["Rydberg constant times hc in eV"][0]
    total = 0.0
    for m, e, h in zip(materials, pair.electron, pair.hole, strict=True):
        mu = 1 / (1 / m.electron.mass + 1 / m.hole.mass)
        total += rydberg * mu / m.dielectric**2 * e * h
    return Value(-SECOND_ORDER * total, "eV", (1 - SECOND_ORDER) * total)
