"""Absorption predicted from a particle's levels: pairs of envelopes, their overlap, a width.

Every pair of an electron and a hole level absorbs with the oscillator strength

    f = (2/3) g / E * | sum_d sqrt(E_P,d) <e|h>_d |^2

with the overlap of the envelopes in each domain d, its Kane energy E_P and g equivalent valleys.

References
----------
A. L. Efros and M. Rosen, Annu. Rev. Mater. Sci. 30, 475 (2000); for the Kane energy in oscillator
strengths see also P. Y. Yu and M. Cardona, Fundamentals of Semiconductors (Springer, 2010).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.measurement import Measurement
from heterodot.progress import Progress, silent
from heterodot.units import Value

if TYPE_CHECKING:
    from heterodot.electronic import Levels
    from heterodot.particle import Particle

Array = NDArray[np.float64]


@dataclass(frozen=True)
class AbsorptionSetup:
    """How a spectrum is made from levels.

    Attributes
    ----------
    width : float
        Full width at half maximum of every line (size distribution and broadening), eV.
    low, high : float or None
        Range, eV; default from below the first line to the highest that all levels cover.
    points : int
    states : int
        Levels of each carrier that are solved for.
    """

    width: float = 0.10
    low: float | None = None
    high: float | None = None
    points: int = 801
    states: int = 12

    def __post_init__(self) -> None:
        """Refuse widths and ranges that cannot be."""
        if not 1e-4 <= self.width <= 2.0:
            raise InputError(f"a width of {self.width:g} eV", remedy="give 0.0001 to 2 eV")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise InputError(f"the range {self.low:g} to {self.high:g} eV is empty")
        if not 16 <= self.points <= 10**6:
            raise InputError(f"{self.points} points", remedy="give 16 to 1000000")
        if not 1 <= self.states <= 200:
            raise InputError(f"{self.states} states", remedy="give 1 to 200")


@dataclass(frozen=True)
class Transition:
    """One pair of levels.

    Attributes
    ----------
    electron, hole : int
        Indices of the levels.
    energy : Value
        Photon energy, eV.
    strength : float
        Oscillator strength.
    domains : dict of str to float
        Share of the strength by domain (of the squares; interference left out).
    across : float
        One minus the overlap that the two densities could have: how much charge the pair moves
        from one domain to another.
    """

    electron: int
    hole: int
    energy: Value
    strength: float
    domains: dict[str, float]
    across: float

    def to_json(self) -> dict[str, Any]:
        """Return energy, strength and domains as plain data."""
        return {
            "electron": self.electron,
            "hole": self.hole,
            "energy": self.energy.to_json(),
            "strength": self.strength,
            "domains": self.domains,
            "charge_moved": self.across,
        }


def transitions(levels: Levels) -> tuple[tuple[Transition, ...], tuple[str, ...]]:
    """Return all pairs of levels with their oscillator strengths, and warnings.

    The lowest exciton's Coulomb shift, where the levels have it, is given to all pairs.

    Parameters
    ----------
    levels : heterodot.electronic.Levels
    """
    warnings = list(levels.warnings)
    kane = [m.coupling_energy for m in levels.materials]
    if any(k is None for k in kane):
        missing = ", ".join(m.phase for m in levels.materials if m.coupling_energy is None)
        warnings.append(
            f"the catalog has no Kane energy of {missing}: all domains are given the same, so that "
            "strengths compare within a domain only"
        )
        kane = [1.0] * len(kane)
    shift, shift_error = 0.0, 0.0
    if levels.optical_gap is not None:
        shift = levels.optical_gap.value - levels.gap.value
        shift_error = levels.optical_gap.error or 0.0
    else:
        shift_error = levels.gap.error or 0.0
        warnings.append("no Coulomb terms: energies are those of free pairs")
    shape = levels.shape
    volume = shape.spacing**3
    valleys = [max(1, len(m.valleys)) for m in levels.materials]
    found = []
    for i, electron in enumerate(levels.electrons):
        psi = levels.wavefunctions["electron"][i].astype(float)
        for j, hole in enumerate(levels.holes):
            product = psi * levels.wavefunctions["hole"][j]
            local = [float((product * part).sum() * volume) for part in shape.fractions]
            energy = electron.energy.value - hole.energy.value + shift
            amplitude = sum(
                math.sqrt((k or 1.0) * g) * o for k, g, o in zip(kane, valleys, local, strict=True)
            )
            parts = [(k or 1.0) * g * o**2 for k, g, o in zip(kane, valleys, local, strict=True)]
            whole = sum(parts) or 1.0
            common = sum(
                math.sqrt(max(electron.fractions.get(n, 0) * hole.fractions.get(n, 0), 0))
                for n in shape.names
            )
            found.append(
                Transition(
                    i,
                    j,
                    Value(energy, "eV", float(np.hypot(shift_error, electron.energy.error or 0))),
                    2.0 / 3.0 * amplitude**2 / max(energy, 1e-3),
                    {n: p / whole for n, p in zip(shape.names, parts, strict=True)},
                    float(np.clip(1.0 - common, 0.0, 1.0)),
                )
            )
    return tuple(sorted(found, key=lambda t: t.energy.value)), tuple(warnings)


def simulate(
    particle: Particle | Levels,
    setup: AbsorptionSetup | None = None,
    *,
    progress: Progress = silent,
) -> Measurement:
    """Return the absorption spectrum of a particle from its electron and hole levels.

    Parameters
    ----------
    particle : Particle or Levels
        Levels that are at hand are used as they are.
    setup : AbsorptionSetup, optional
    progress : Progress

    Returns
    -------
    Measurement
        Oscillator strength per eV over ``energy``, in all and by domain (dimension ``sample``:
        ``"all"`` and the domains). ``metadata["transitions"]`` lists the pairs.

    Raises
    ------
    InputError
        As `heterodot.electronic.levels`.

    Notes
    -----
    Trust: the positions are those of the levels (0.05 to 0.1 eV and the error of the gap), the
    strengths within one domain follow the overlap, and between domains they are good to a factor
    of about two. Above the highest pair of which both partners were solved for, the spectrum
    lacks strength and is not given.
    """
    import xarray as xr

    from heterodot.electronic import Levels
    from heterodot.electronic import levels as solve

    setup = setup or AbsorptionSetup()
    found = (
        particle
        if isinstance(particle, Levels)
        else solve(particle, states=setup.states, progress=progress)
    )
    pairs, warnings = transitions(found)
    complete = _complete(found, pairs)
    low = setup.low if setup.low is not None else pairs[0].energy.value - 3 * setup.width
    high = setup.high if setup.high is not None else max(complete, pairs[0].energy.value + 0.05)
    notes = list(warnings)
    if high > complete + 1e-9:
        notes.append(
            f"above {complete:.2f} eV pairs of unsolved levels are missing: the spectrum is too low "
            "there; ask for more states"
        )
    energy = np.linspace(low, high, setup.points)
    sigma = setup.width / 2.354820045
    lines = np.array([p.energy.value for p in pairs])
    shape = np.exp(-0.5 * ((energy[:, None] - lines) / sigma) ** 2) / (
        sigma * math.sqrt(2 * math.pi)
    )
    strength = np.array([p.strength for p in pairs])
    names = ["all", *found.shape.names]
    columns = [shape @ strength]
    for name in found.shape.names:
        columns.append(shape @ (strength * np.array([p.domains[name] for p in pairs])))
    data = xr.DataArray(
        np.column_stack(columns),
        dims=("energy", "sample"),
        coords={
            "energy": ("energy", energy, {"units": "eV"}),
            "sample": ("sample", np.asarray(names, dtype=str), {"units": ""}),
        },
        attrs={"units": "1/eV", "long_name": "oscillator strength per energy"},
        name="absorption",
    )
    metadata = {
        "width_eV": setup.width,
        "states": len(found.electrons),
        "complete_to_eV": complete,
        "transitions": [p.to_json() for p in pairs],
    }
    return Measurement(data, "absorption", "simulated", "", metadata, tuple(dict.fromkeys(notes)))


def _complete(levels: Levels, pairs: tuple[Transition, ...]) -> float:
    """Return the energy up to which no pair with an unsolved level can lie."""
    shift = pairs[0].energy.value - (
        levels.electrons[pairs[0].electron].energy.value - levels.holes[pairs[0].hole].energy.value
    )
    electron = max(e.energy.value for e in levels.electrons) - levels.holes[0].energy.value
    hole = levels.electrons[0].energy.value - min(h.energy.value for h in levels.holes)
    return float(min(electron, hole) + shift)
