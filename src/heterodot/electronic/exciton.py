"""Excitons of a particle: energies, oscillator strengths, absorption, Stokes shift, lifetime.

Transitions are pairs of envelope levels, with first-order attraction and self-polarization for
each pair. Strengths follow from the coupling of the bands across the gap (two-band model), the
overlap of the envelopes and the field inside a ball (quasi-static local-field factor). Known
limits: pairs are not mixed with each other, so that the strength of weakly confined excitons is
underestimated (giant oscillator strength), and the spectrum ends where the computed states end.
References: Efros and Efros, Sov. Phys. Semicond. 16, 772 (1982); Hens and Moreels, J. Mater. Chem.
22, 10406 (2012) for the local field.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.electronic.coulomb import density_of
from heterodot.electronic.levels import Levels
from heterodot.electronic.materials import Material
from heterodot.electronic.poisson import Dielectric
from heterodot.errors import InputError
from heterodot.measurement import Measurement
from heterodot.units import Value

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Transition:
    """One electron-hole pair.

    Attributes
    ----------
    electron, hole : int
        Indices of the levels.
    energy : Value
        eV.
    overlap : float
        ``|<electron|hole>|²`` of the envelopes.
    strength : float
        Oscillator strength for one polarization, summed over spins and valleys.
    domains : mapping of domain name to float
        Share of the strength by domain (of the squared amplitudes; interference left out).
    charge_moved : float
        One minus the overlap that the two carriers' shares could have: how much charge the pair
        moves from one domain to another.
    """

    electron: int
    hole: int
    energy: Value
    overlap: float
    strength: float
    domains: Mapping[str, float] = field(default_factory=dict)
    charge_moved: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the pair as plain data."""
        return {
            "electron": self.electron,
            "hole": self.hole,
            "energy": self.energy.to_json(),
            "overlap": self.overlap,
            "strength": self.strength,
            "domains": {name: float(x) for name, x in self.domains.items()},
            "charge_moved": self.charge_moved,
        }


@dataclass(frozen=True)
class Exciton:
    """Optical properties of a particle.

    Attributes
    ----------
    transitions : tuple of Transition
        By energy.
    lifetime : Value or None
        Radiative lifetime at ``temperature``, ns; None where no strength is known.
    stokes : Value
        Absorption's first band minus emission, electronic part, eV: how far the strong transitions
        lie above the thermally populated ones.
    temperature : float
        K.
    warnings : tuple of str
    """

    transitions: tuple[Transition, ...]
    lifetime: Value | None
    stokes: Value
    temperature: float
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return transitions, lifetime and shift as plain data."""
        return {
            "transitions": [t.to_json() for t in self.transitions],
            "radiative_lifetime": None if self.lifetime is None else self.lifetime.to_json(),
            "stokes_shift": self.stokes.to_json(),
            "temperature": Value(self.temperature, "K", None, "chosen").to_json(),
            "warnings": list(self.warnings),
        }


@functools.cache
def cross_section_unit() -> float:
    """Return pi e² hbar / (2 epsilon_0 m_e c) in Å² eV: area under a line of unit strength."""
    from scipy.constants import c, electron_mass, elementary_charge, epsilon_0, hbar

    joule = np.pi * elementary_charge**2 * hbar / (2 * epsilon_0 * electron_mass * c)
    return float(joule / elementary_charge * 1e20)


@functools.cache
def rate_unit() -> float:
    """Return e² / (6 pi epsilon_0 m_e c³ hbar²) in 1/(ns eV²): decay of a unit dipole line."""
    from scipy.constants import c, electron_mass, elementary_charge, epsilon_0, hbar

    value = elementary_charge**2 / (6 * np.pi * epsilon_0 * electron_mass * c**3)
    return float(value * (elementary_charge / hbar) ** 2 * 1e-9)


def coupling(material: Material) -> float | None:
    """Return ``2 |p|²/m_e`` of one polarization, eV, or None where it is not known.

    The band coupling of the two-band model; for a valence band of p character (no such record) two
    thirds of the Kane energy.
    """
    if material.electron.coupling > 0:
        return material.electron.coupling
    if material.coupling_energy is not None:
        return 2 / 3 * material.coupling_energy
    return None


def transitions(levels: Levels, *, fill: bool = False) -> tuple[Transition, ...]:
    """Return all pairs of the computed levels, by energy.

    Parameters
    ----------
    levels : Levels
        With Coulomb terms each pair has its own attraction and images; without, energies are those
        of free pairs.
    fill : bool
        Give a material without a known band coupling the mean of the others (one eV where none is
        known, so that strengths compare only with each other); else its pairs have no strength.
    """
    shifts, error = _pair_shifts(levels)
    volume = levels.shape.spacing**3
    waves_e = levels.wavefunctions["electron"].reshape(len(levels.electrons), -1).astype(float)
    waves_h = levels.wavefunctions["hole"].reshape(len(levels.holes), -1).astype(float)
    # overlaps domain by domain: a material's momentum matrix element acts where the material is,
    # so that amplitudes, not strengths, are added over the domains
    local = np.array(
        [(waves_e * part.reshape(-1)) @ waves_h.T * volume for part in levels.shape.fractions]
    )
    amplitudes = np.sqrt(_couplings(levels, fill))[:, None, None] * local
    strengths = amplitudes.sum(axis=0) ** 2
    overlaps = local.sum(axis=0) ** 2
    parts = amplitudes**2 / np.maximum((amplitudes**2).sum(axis=0), 1e-300)
    made = []
    for i, e in enumerate(levels.electrons):
        for j, h in enumerate(levels.holes):
            energy = float(e.energy.value - h.energy.value + shifts[i, j])
            common = sum(
                np.sqrt(max(e.fractions.get(n, 0.0) * h.fractions.get(n, 0.0), 0.0))
                for n in levels.domains
            )
            made.append(
                Transition(
                    i,
                    j,
                    Value(energy, "eV", error),
                    float(overlaps[i, j]),
                    float(strengths[i, j] / max(energy, 1e-3)),
                    {n: float(parts[d, i, j]) for d, n in enumerate(levels.domains)},
                    float(np.clip(1.0 - common, 0.0, 1.0)),
                )
            )
    return tuple(sorted(made, key=lambda t: t.energy.value))


def _pair_shifts(levels: Levels) -> tuple[Array, float | None]:
    """Return what Coulomb terms add to each pair of levels, eV, (n_e, n_h), and the pairs' error."""
    if levels.electrostatics is None or levels.coulomb is None:
        return np.zeros((len(levels.electrons), len(levels.holes))), levels.gap.error
    field = levels.electrostatics
    volume = field.shape.spacing**3
    electron, hole = levels.solved["electron"], levels.solved["hole"]
    rho_e = [
        density_of(electron.coarse_solution, electron.coarse_well, i)
        for i in range(len(levels.electrons))
    ]
    rho_h = [
        density_of(hole.coarse_solution, hole.coarse_well, j) for j in range(len(levels.holes))
    ]
    image_e = np.array([field.image(rho) for rho in rho_e])
    image_h = np.array([field.image(rho) for rho in rho_h])
    fewer, more = (rho_e, rho_h) if len(rho_e) <= len(rho_h) else (rho_h, rho_e)
    attraction = np.array(
        [
            [float((other * phi).sum() * volume) for other in more]
            for phi in (field.problem.potential(rho) for rho in fewer)
        ]
    )
    if len(rho_e) > len(rho_h):
        attraction = attraction.T
    common = levels.coulomb.relaxation.value + levels.coulomb.correlation.value
    total = image_e[:, None] + image_h[None, :] - attraction + common
    return np.asarray(total), levels.coulomb.optical_gap.error


def _couplings(levels: Levels, fill: bool) -> Array:
    """Return strength times energy of a full overlap in each domain, eV, spins and valleys counted."""
    known = [coupling(m) for m in levels.materials]
    given = [value for value in known if value is not None]
    rest = (float(np.mean(given)) if given else 1.0) if fill else 0.0
    return np.array(
        [
            2 * (rest if value is None else value) * max(1, len(m.valleys))
            for value, m in zip(known, levels.materials, strict=True)
        ]
    )


def local_field(levels: Levels) -> float:
    """Return the field inside over that outside, for a ball of the mean optical constant."""
    volume = [levels.shape.volume(name) for name in levels.domains]
    inner = float(np.average([m.optical_dielectric for m in levels.materials], weights=volume))
    outer = levels.medium.dielectric
    return 3 * outer / (inner + 2 * outer)


def exciton(levels: Levels, *, temperature: float = 300.0) -> Exciton:
    """Return transitions, radiative lifetime and Stokes shift.

    Parameters
    ----------
    levels : Levels
        With Coulomb terms; more states make a longer spectrum and better thermal averages.
    temperature : float
        K, for the population of the emitting states.

    Returns
    -------
    Exciton

    Notes
    -----
    The lifetime counts all spin and valley states of a pair as populated alike, dark ones too:
    of ``(2 g)²`` states (g valleys), three polarizations emit.
    """
    from scipy.constants import Boltzmann, elementary_charge

    if levels.coulomb is None:
        raise InputError(
            "excitons need the Coulomb terms", remedy="compute the levels with coulomb=True"
        )
    found = transitions(levels)
    thermal = max(Boltzmann * temperature / elementary_charge, 1e-9)
    energy = np.array([t.energy.value for t in found])
    strength = np.array([t.strength for t in found])
    weight = np.exp(-(energy - energy[0]) / thermal)
    weight /= weight.sum()
    emission = float(weight @ energy)
    warnings = []
    for m in levels.materials:
        if coupling(m) is None:
            warnings.append(
                f"{m.phase}: no band coupling or Kane energy is known, so its transitions have no "
                "strength here"
            )
    lifetime: Value | None = None
    shift = Value(0.0, "eV", None, "no oscillator strength is known")
    if strength.max() > 0:
        home = max(levels.electrons[0].fractions, key=lambda n: levels.electrons[0].fractions[n])
        valleys = max(1, len(levels.material(home).valleys))
        index = float(np.sqrt(levels.medium.dielectric))
        per_state = 3 * strength / (2 * valleys) ** 2
        rate = (
            rate_unit() * index * local_field(levels) ** 2 * float(weight @ (per_state * energy**2))
        )
        lifetime = Value(
            1 / rate if rate > 0 else float("inf"),
            "ns",
            0.5 / rate if rate > 0 else None,
            None if rate > 0 else "no bright state",
        )
        strong = strength > 0.1 * strength.max()
        first = float(energy[strong].min())
        shift = Value(max(first - emission, 0.0), "eV", levels.coulomb.optical_gap.error)
    if not levels.coulomb or lifetime is None:
        warnings.append("no radiative lifetime")
    return Exciton(found, lifetime, shift, temperature, tuple(warnings))


def absorption(
    levels: Levels,
    *,
    width: float = 0.08,
    energies: Array | None = None,
    points: int = 600,
) -> Measurement:
    """Return the absorption cross-section of one particle.

    Parameters
    ----------
    levels : Levels
        With Coulomb terms. The spectrum is complete up to the transition of the highest computed
        levels; ask for 10 to 30 states to see both domains.
    width : float
        Full width at half maximum of each (Gaussian) line, eV: size distribution and temperature.
    energies : (n,) array, optional
        Photon energies, eV.
    points : int
        Their number where none are given.

    Returns
    -------
    Measurement
        Cross-section in Å² over energy in eV; attribute ``complete_to`` says where the computed
        states end.

    Raises
    ------
    InputError
        No Coulomb terms, a width that is not positive.
    """
    import xarray as xr

    if not width > 0:
        raise InputError(f"{width} eV is not a width", remedy="give e.g. 0.08")
    found = transitions(levels)
    center = np.array([t.energy.value for t in found])
    strength = np.array([t.strength for t in found])
    end = complete_to(levels, found)
    if energies is None:
        energies = np.linspace(max(center[0] - 4 * width, 0.01), center.max() + 2 * width, points)
    lines = line_shapes(energies, center, width)
    index = float(np.sqrt(levels.medium.dielectric))
    values = cross_section_unit() * local_field(levels) ** 2 / index * (lines @ strength)
    data = xr.DataArray(
        values,
        dims=("energy",),
        coords={"energy": ("energy", energies, {"units": "eV"})},
        attrs={"units": "angstrom^2", "complete_to": end, "width": width},
        name="absorption",
    )
    return Measurement(
        data,
        "absorption",
        "simulated",
        metadata={"method": "pairs of envelope levels", "complete_to_eV": end},
        notes=(f"computed levels end at {end:.2f} eV; absorption above is too weak",),
    )


def line_shapes(energies: Array, centers: Array, width: float) -> Array:
    """Return Gaussian lines of unit area, 1/eV, (n_energies, n_lines); ``width`` is full at half."""
    sigma = width / np.sqrt(8 * np.log(2))
    return np.asarray(
        np.exp(-0.5 * ((energies[:, None] - centers) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    )


def complete_to(levels: Levels, pairs: tuple[Transition, ...]) -> float:
    """Return the energy up to which no pair with a level that was not computed can lie, eV."""
    first = pairs[0]
    shift = first.energy.value - (
        levels.electrons[first.electron].energy.value - levels.holes[first.hole].energy.value
    )
    electron = max(e.energy.value for e in levels.electrons) - levels.holes[0].energy.value
    hole = levels.electrons[0].energy.value - min(h.energy.value for h in levels.holes)
    return float(min(electron, hole) + shift)


def polar_relaxation(levels: Levels, density: Array, static: list[float]) -> float:
    """Return how much the slow lattice relaxes around a charge density, eV.

    Parameters
    ----------
    levels : Levels
    density : (nx, ny, nz) array
        On the coarse grid of ``levels.electrostatics``, e/Å³ (of zero or other total charge).
    static : list of float
        Static dielectric constant of each domain.

    Notes
    -----
    Difference of the field energy with fast and with static screening, Marcus's reorganization
    energy of a polarizable continuum (J. Chem. Phys. 24, 979 (1956)).
    """
    field = levels.electrostatics
    if field is None:
        raise InputError("the relaxation needs the Coulomb terms", remedy="use coulomb=True")
    volume = field.shape.spacing**3
    energies = []
    for constants in ([m.optical_dielectric for m in levels.materials], static):
        problem = Dielectric(field.shape, constants, levels.medium.dielectric)
        energies.append(0.5 * float((density * problem.potential(density)).sum() * volume))
    return max(energies[0] - energies[1], 0.0)
