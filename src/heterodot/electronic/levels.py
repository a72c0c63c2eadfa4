"""Electron and hole levels of a particle: where they lie, in which domain, how well they are known.

A fast first answer on the particle's own shape: effective masses, sourced band edges, finite
barrier. It knows nothing of surface traps, of atoms at the interface or of band mixing beyond two
bands; the offsets it takes from the catalog carry errors of 0.1 to 0.3 eV, usually far more than
the solver's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.electronic.confinement import (
    Barrier,
    OnGrid,
    Solution,
    Well,
    solve_on,
)
from heterodot.electronic.coulomb import Coulomb, Electrostatics, interaction
from heterodot.electronic.materials import Material, Medium, Overrides, material, medium
from heterodot.electronic.shape import Shape, rasterize
from heterodot.electronic.valleys import valley_splitting
from heterodot.errors import InputError
from heterodot.progress import Progress, silent
from heterodot.units import Value

if TYPE_CHECKING:
    from heterodot.particle import Particle

CARRIERS = ("electron", "hole")


@dataclass(frozen=True)
class State:
    """One level.

    Attributes
    ----------
    carrier : str
        ``"electron"`` or ``"hole"``.
    index : int
        0 for the band edge.
    energy : Value
        Against vacuum, eV; the error is that of the grid (not that of the band edges).
    fractions : mapping of domain name to float
        Where the carrier is; they sum to one with ``outside``.
    outside : float
        Weight in the medium.
    own_mass : float
        What the mass at this energy (instead of that of the edge state) changed, eV.
    splitting : tuple of float
        Shifts of equivalent valleys by the anisotropy of their mass, eV (empty if none).
    """

    carrier: str
    index: int
    energy: Value
    fractions: Mapping[str, float]
    outside: float
    own_mass: float = 0.0
    splitting: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return energy, fractions and splitting as plain data."""
        return {
            "carrier": self.carrier,
            "index": self.index,
            "energy": self.energy.to_json(),
            "fractions": {name: float(x) for name, x in self.fractions.items()},
            "outside": float(self.outside),
            "splitting_eV": [float(x) for x in self.splitting],
        }


@dataclass(frozen=True, eq=False)
class Density:
    """A scalar field on a regular grid, ready for an isosurface.

    Attributes
    ----------
    values : (nx, ny, nz) float32 array
        Probability density, 1/Å³.
    spacing : float
        Å.
    origin : (3,) array
        Center of the first voxel, Å, in the particle's frame.
    label : str
    """

    values: NDArray[np.float32]
    spacing: float
    origin: NDArray[np.float64]
    label: str

    def isovalue(self, enclosed: float = 0.5) -> float:
        """Return the value whose isosurface encloses a share of the probability.

        Parameters
        ----------
        enclosed : float
            Between 0 and 1.
        """
        if not 0 < enclosed < 1:
            raise InputError(f"{enclosed} is not a share", remedy="give a number between 0 and 1")
        ordered = np.sort(self.values, axis=None)[::-1]
        running = np.cumsum(ordered, dtype=np.float64)
        place = int(np.searchsorted(running, enclosed * running[-1]))
        return float(ordered[min(place, len(ordered) - 1)])


@dataclass(frozen=True, eq=False)
class Levels:
    """Electron and hole levels of one particle or shape.

    Attributes
    ----------
    electrons, holes : tuple of State
        From the band edge outward: electrons upward, holes downward.
    materials : tuple of Material, one a domain
    medium : Medium
    shape : Shape
        The grid of the calculation.
    wavefunctions : mapping of carrier to (n_states, nx, ny, nz) float32 array
        Amplitudes, Å^-3/2, averaged over the filled part of each voxel.
    warnings : tuple of str
    coulomb : Coulomb or None
        Attraction and self-polarization of the edge states, where they were asked for.
    solved : mapping of carrier to OnGrid
        The solver's own results, for what is built on them (excitons, transfer).
    electrostatics : Electrostatics or None
    """

    electrons: tuple[State, ...]
    holes: tuple[State, ...]
    materials: tuple[Material, ...]
    medium: Medium
    shape: Shape
    wavefunctions: Mapping[str, NDArray[np.float32]]
    warnings: tuple[str, ...] = ()
    coulomb: Coulomb | None = None
    solved: Mapping[str, OnGrid] = field(default_factory=dict, repr=False)
    electrostatics: Electrostatics | None = field(default=None, repr=False)

    @property
    def gap(self) -> Value:
        """Energy between the edge levels without Coulomb terms, eV (error of grid and bulk gaps)."""
        electron, hole = self.electrons[0], self.holes[0]
        bulk = [(m.gap.error or 0.0) * electron.fractions.get(m.name, 0.0) for m in self.materials]
        grid = np.hypot(electron.energy.error or 0, hole.energy.error or 0)
        return Value(
            electron.energy.value - hole.energy.value,
            "eV",
            float(np.hypot(grid, sum(bulk))),
        )

    @property
    def optical_gap(self) -> Value | None:
        """Energy of the lowest exciton, eV; None without Coulomb terms."""
        return None if self.coulomb is None else self.coulomb.optical_gap

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the domains."""
        return self.shape.names

    def states(self, carrier: str) -> tuple[State, ...]:
        """Return the levels of ``"electron"`` or ``"hole"``.

        Raises
        ------
        InputError
            Another word.
        """
        if carrier not in CARRIERS:
            raise InputError(f"'{carrier}' is no carrier", remedy="give 'electron' or 'hole'")
        return self.electrons if carrier == "electron" else self.holes

    def material(self, name: str) -> Material:
        """Return the band parameters of a domain."""
        return self.materials[self.shape.index(name)]

    def density(self, carrier: str, index: int = 0) -> Density:
        """Return the probability density of a level on the grid.

        Parameters
        ----------
        carrier : str
            ``"electron"`` or ``"hole"``.
        index : int
            0 for the band edge.

        Raises
        ------
        InputError
            No such level.
        """
        states = self.states(carrier)
        if not 0 <= index < len(states):
            raise InputError(
                f"there is no {carrier} level {index}", remedy=f"0 to {len(states) - 1} are there"
            )
        wave = self.wavefunctions[carrier][index]
        return Density(
            np.asarray(wave**2 * self.shape.inside, dtype=np.float32),
            self.shape.spacing,
            self.shape.origin.copy(),
            f"{carrier} {index + 1}",
        )

    def overlap(self, electron: int = 0, hole: int = 0) -> float:
        """Return ``|<electron|hole>|²`` of the envelopes, the factor of the oscillator strength."""
        a = self.wavefunctions["electron"][electron].astype(float)
        b = self.wavefunctions["hole"][hole].astype(float)
        return float((a * b * self.shape.inside).sum() * self.shape.spacing**3) ** 2

    def to_json(self) -> dict[str, Any]:
        """Return levels, materials with their sources, grid and warnings as plain data."""
        return {
            "electrons": [state.to_json() for state in self.electrons],
            "holes": [state.to_json() for state in self.holes],
            "gap": self.gap.to_json(),
            **({} if self.coulomb is None else {"optical_gap": self.coulomb.optical_gap.to_json()}),
            "coulomb": None if self.coulomb is None else self.coulomb.to_json(),
            "overlap": self.overlap(),
            "domains": [
                {
                    **m.to_json(),
                    "volume": Value(
                        self.shape.volume(m.name), "angstrom^3", None, "follows from the atoms"
                    ).to_json(),
                    "equivalent_diameter": Value(
                        self.shape.diameter(m.name), "angstrom", None, "follows from the atoms"
                    ).to_json(),
                }
                for m in self.materials
            ],
            "medium": {
                "name": self.medium.name,
                "conduction": self.medium.conduction,
                "valence": self.medium.valence,
                "dielectric": self.medium.dielectric,
                "parameters": [origin.to_json() for origin in self.medium.origins],
            },
            "grid": {"points": list(self.shape.points), "spacing_angstrom": self.shape.spacing},
            "warnings": list(self.warnings),
            "method": "envelope functions with energy-dependent masses on the particle's shape; "
            "no traps, no interface chemistry",
        }

    def __str__(self) -> str:
        lines = []
        for state in (*reversed(self.electrons), *self.holes):
            where = ", ".join(f"{name} {x:.0%}" for name, x in state.fractions.items())
            lines.append(f"{state.carrier} {state.index + 1}: {state.energy}; {where}")
        return "\n".join(lines)


def levels(
    particle: Particle,
    *,
    states: int = 3,
    spacing: float | None = None,
    coulomb: bool = True,
    materials: Overrides | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Levels:
    """Return electron and hole levels of a particle.

    Parameters
    ----------
    particle : Particle
        Every domain needs its crystal. Ligands are left out: they are the medium.
    states : int
        Levels of each carrier.
    spacing : float, optional
        Edge of a voxel, Å; by default as fine as 64³ voxels allow, at least 1.25 Å.
    coulomb : bool
        Also the attraction of electron and hole and their self-polarization (the optical gap).
    materials : mapping, optional
        ``{"PbS": {"ionization_energy": 5.2}}`` replaces values of the catalog (keys: formula,
        phase or domain name; numbers in eV or m_e; ``"medium"`` for what is around).
    seed : int
        Of the first guess of the solver.
    progress : Progress

    Returns
    -------
    Levels

    Raises
    ------
    InputError
        No crystals, overlapping atoms, a property that the catalog lacks, a grid that does not
        resolve the smallest domain.
    NotFoundError
        The solver did not converge.

    Notes
    -----
    Trust: with band gaps and masses right, sizes above about 3 nm come out within 0.05 to 0.1 eV;
    the docs give the error for each material over its sizing curve.

    References
    ----------
    BenDaniel and Duke, Phys. Rev. 152, 683 (1966); Kang and Wise, J. Opt. Soc. Am. B 14, 1632
    (1997).
    """
    parts = tuple(material(domain, materials) for domain in particle.domains)
    shape = rasterize(particle, spacing)
    found = levels_of_shape(
        shape,
        parts,
        states=states,
        coulomb=coulomb,
        around=medium(materials),
        seed=seed,
        progress=progress,
    )
    if abs(particle.net_charge) > 1e-6:
        text = (
            f"the particle carries {particle.net_charge:+g} e by formal charges; its field is left "
            "out, as if ligands or counter-ions balanced it at the surface"
        )
        found = dataclasses.replace(found, warnings=(*found.warnings, text))
    return found


def levels_of_shape(
    shape: Shape,
    materials: tuple[Material, ...],
    *,
    states: int | Mapping[str, int] = 3,
    coulomb: bool = True,
    splitting: bool = True,
    around: Medium | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Levels:
    """Return electron and hole levels of any shape; see `levels`.

    Parameters
    ----------
    shape : Shape
    materials : tuple of Material
        One for each of ``shape.names``, in that order.
    states : int or mapping of carrier to int
        Levels of each carrier.
    coulomb, seed, progress
        As in `levels`.
    splitting : bool
        Also the shifts of equivalent valleys by the anisotropy of their mass.
    around : Medium, optional
        The catalog's alkyl chains by default.
    """
    if len(materials) != len(shape.names):
        raise InputError(f"{len(materials)} materials for {len(shape.names)} domains")
    if tuple(m.name for m in materials) != shape.names:
        raise InputError(
            f"materials of {', '.join(m.name for m in materials)} for domains "
            f"{', '.join(shape.names)}",
            remedy="give them in the order of the shape's domains",
        )
    around = medium() if around is None else around
    found: dict[str, tuple[State, ...]] = {}
    waves: dict[str, NDArray[np.float32]] = {}
    solved: dict[str, OnGrid] = {}
    coarse = shape.coarsened()
    for k, carrier in enumerate(CARRIERS):

        def part(doing: str, fraction: float, k: int = k, name: str = carrier) -> None:
            progress(f"{name} levels", 0.4 * (k + fraction))

        bands = tuple(m.electron if carrier == "electron" else m.hole for m in materials)
        count = states if isinstance(states, int) else states[carrier]
        on_grid = solve_on(
            shape, coarse, bands, barrier(around, carrier), count, seed=seed, progress=part
        )
        found[carrier] = _states(carrier, on_grid, shape.names, materials, splitting)
        waves[carrier] = _amplitudes(on_grid.solution, on_grid.well)
        solved[carrier] = on_grid
    notes = tuple(dict.fromkeys(w for m in materials for w in m.warnings))
    result = Levels(
        found["electron"], found["hole"], materials, around, shape, waves, notes, None, solved
    )
    if coulomb:
        progress("Coulomb terms", 0.8)
        terms, field = interaction(
            coarse, solved["electron"], solved["hole"], materials, around.dielectric, result.gap
        )
        result = dataclasses.replace(result, coulomb=terms, electrostatics=field)
    progress("levels", 1.0)
    return result


def _amplitudes(solution: Solution, well: Well) -> NDArray[np.float32]:
    inside = np.sqrt(1 - solution.outside)[:, None] / well.cells.spacing**1.5
    return well.cells.boxed(solution.vectors * well.cells.scale * inside).astype(np.float32)


def barrier(around: Medium, carrier: str) -> Barrier:
    """Return what the medium is to a carrier."""
    if carrier == "electron":
        return Barrier(around.conduction, around.electron_mass)
    return Barrier(-around.valence, around.hole_mass)


def _states(
    carrier: str,
    on_grid: OnGrid,
    names: tuple[str, ...],
    materials: tuple[Material, ...],
    splitting: bool,
) -> tuple[State, ...]:
    sign = 1.0 if carrier == "electron" else -1.0
    solution, well = on_grid.solution, on_grid.well
    shifts = np.zeros((0, len(solution.vectors)))
    for k, m in enumerate(materials):
        band = well.bands[k]
        if splitting and len(m.valleys) > 1 and band.longitudinal != band.transverse:
            # shifts are small and converge early: the wider voxels do where they are below 2.8 Å
            wide = on_grid.coarse_well.cells.spacing <= 2.8
            grid = (on_grid.coarse_well, on_grid.coarse_solution) if wide else (well, solution)
            shifts = sign * valley_splitting(*grid, k, band, m.valleys)
    made = []
    for k, vector in enumerate(solution.vectors):
        weights = [float((vector**2 * share).sum()) for share in well.cells.shares]
        inside = (1 - solution.outside[k]) / sum(weights)
        made.append(
            State(
                carrier,
                k,
                Value(sign * float(solution.energies[k]), "eV", float(on_grid.errors[k])),
                dict(zip(names, [float(w * inside) for w in weights], strict=True)),
                float(solution.outside[k]),
                float(solution.corrections[k]),
                tuple(float(x) for x in shifts[:, k]),
            )
        )
    return tuple(made)
