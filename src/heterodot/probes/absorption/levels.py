"""Absorption predicted from a particle's levels: pairs of envelopes, their overlap, a width.

Pairs, their energies and strengths are those of `heterodot.electronic.exciton`; here they become a
spectrum, in all and by domain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.measurement import Measurement
from heterodot.progress import Progress, silent

if TYPE_CHECKING:
    from heterodot.electronic import Levels
    from heterodot.electronic.exciton import Transition
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


def transitions(levels: Levels) -> tuple[tuple[Transition, ...], tuple[str, ...]]:
    """Return all pairs of levels with their oscillator strengths, and warnings.

    Parameters
    ----------
    levels : heterodot.electronic.Levels
    """
    from heterodot.electronic.exciton import coupling
    from heterodot.electronic.exciton import transitions as pairs_of

    warnings = list(levels.warnings)
    missing = [m.phase for m in levels.materials if coupling(m) is None]
    if missing:
        warnings.append(
            f"the catalog has no Kane energy of {', '.join(missing)}: it is given that of the other "
            "domains, so that strengths compare within a domain only"
        )
    if levels.coulomb is None:
        warnings.append("no Coulomb terms: energies are those of free pairs")
    return pairs_of(levels, fill=True), tuple(warnings)


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
    from heterodot.electronic.exciton import complete_to, line_shapes

    setup = setup or AbsorptionSetup()
    found = (
        particle
        if isinstance(particle, Levels)
        else solve(particle, states=setup.states, progress=progress)
    )
    pairs, warnings = transitions(found)
    complete = complete_to(found, pairs)
    low = setup.low if setup.low is not None else pairs[0].energy.value - 3 * setup.width
    high = setup.high if setup.high is not None else max(complete, pairs[0].energy.value + 0.05)
    notes = list(warnings)
    if high > complete + 1e-9:
        notes.append(
            f"above {complete:.2f} eV pairs of unsolved levels are missing: the spectrum is too low "
            "there; ask for more states"
        )
    energy = np.linspace(low, high, setup.points)
    shape = line_shapes(energy, np.array([p.energy.value for p in pairs]), setup.width)
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
