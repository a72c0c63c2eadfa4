"""Mass fractions from peak intensities: reference intensity ratios and the adiabatic principle.

Chung, J. Appl. Cryst. 7, 526 (1974): in a mixture whose phases are all known, the fraction of a
phase is I/K over the sum of I/K. Tables in papers are mostly made so; K (the RIR, against corundum)
is computed here from the crystal instead of taken from a card.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodot.errors import InputError
from heterodot.probes.xrd.setup import XrdSetup
from heterodot.probes.xrd.sticks import lorentz_polarization, sticks
from heterodot.units import Value

if TYPE_CHECKING:
    from heterodot.crystal import Crystal
    from heterodot.fitting import Fit


def line_strength(crystal: Crystal, hkl: Sequence[int], setup: XrdSetup | None = None) -> float:
    """Return the integrated intensity of a reflection per unit of mass of a phase.

    m |F|² LP / (v² rho), in squared electrons per Å^3 and g: relative numbers only.

    Raises
    ------
    InputError
        No such reflection in the range.
    """
    setup = setup or XrdSetup(range=(5.0, 150.0))
    found = sticks(crystal, setup)
    wanted = np.linalg.norm(np.asarray(hkl, dtype=float) @ crystal.reciprocal)
    for row in range(len(found)):
        same = np.any(
            np.all(found.hkl[row] @ crystal.symmetry.rotations == np.asarray(hkl), axis=-1)
            | np.all(found.hkl[row] @ crystal.symmetry.rotations == -np.asarray(hkl), axis=-1)
        )
        if same and abs(1 / found.d[row] - wanted) < 1e-6:
            strength = found.multiplicity[row] * found.structure_factor[row] ** 2
            factor = float(lorentz_polarization(found.two_theta[row : row + 1], setup)[0])
            return float(strength * factor / crystal.volume**2 / crystal.density)
    raise InputError(
        f"{crystal.name} has no reflection ({' '.join(map(str, hkl))}) in the range",
        place="hkl",
        remedy="name one that is not extinct",
    )


def reference_intensity_ratio(crystal: Crystal, setup: XrdSetup | None = None) -> float:
    """Return the RIR: strongest line over that of corundum (1 1 3) in a 1:1 mixture by mass.

    The corundum is the catalog's own structure model below (Al2O3, R-3c). Microabsorption and
    displacement factors other than the set-up's are left out; cards differ by 5 to 10 % likewise.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> 14 < reference_intensity_ratio(crystal("PbS")) < 17
    True
    """
    setup = setup or XrdSetup("CuKa1", range=(5.0, 150.0), b_iso=0.5)
    found = sticks(crystal, setup)
    best = int(np.argmax(found.intensity))
    own = line_strength(crystal, found.hkl[best].tolist(), setup)
    return own / line_strength(corundum(), (1, 1, 3), setup)


def corundum() -> Crystal:
    """Return the reference phase of RIR cards, corundum."""
    from importlib import resources

    import yaml

    from heterodot.crystal import Crystal

    file = resources.files("heterodot.catalog").joinpath("data/scattering/corundum.yaml")
    record = yaml.safe_load(file.read_text(encoding="utf-8"))
    return Crystal.from_sites(
        record["id"],
        record["space_group"],
        record["cell"],
        record["sites"],
        charges=record["charges"],
        source=record["source"],
    )


def adiabatic(
    intensities: Mapping[str, Value | float], factors: Mapping[str, float]
) -> dict[str, Value]:
    """Return weight fractions from one line intensity a phase and K (RIR) of that line.

    Parameters
    ----------
    intensities : mapping of phase to integrated intensity
        With errors where they are `Value`.
    factors : mapping of phase to K
        Intensity per unit of mass of the same line, any common unit.

    Raises
    ------
    InputError
        Phases without a factor, or nothing positive.

    Examples
    --------
    >>> found = adiabatic({"PbS": 300.0, "CsPbBr3": 100.0}, {"PbS": 15.0, "CsPbBr3": 5.0})
    >>> found["PbS"].value
    0.5
    """
    missing = set(intensities) - set(factors)
    if missing or not intensities:
        raise InputError(
            f"no factor for {', '.join(sorted(missing)) or 'any phase'}",
            place="factors",
            remedy="give K for every phase",
        )
    values = {
        name: (v if isinstance(v, Value) else Value(float(v))) for name, v in intensities.items()
    }
    mass = {name: v.value / factors[name] for name, v in values.items()}
    total = sum(mass.values())
    if not (math.isfinite(total) and total > 0) or min(mass.values()) < 0:
        raise InputError("intensities must be positive", place="intensities")
    found = {}
    for name in values:
        w = mass[name] / total
        variance, known = 0.0, True
        for other, v in values.items():
            if v.error is None:
                known = False
                continue
            slope = ((1.0 if other == name else 0.0) - w) / total / factors[other]
            variance += (slope * v.error) ** 2
        found[name] = Value(
            w, "", math.sqrt(variance) if known else None, None if known else "no errors given"
        )
    return found


def adiabatic_of_fit(
    found: Fit, phases: Mapping[str, Any], setup: XrdSetup
) -> dict[str, dict[str, Any]]:
    """Return adiabatic fractions from the strongest line of each phase of a whole-pattern fit.

    The line's intensity is that of the fitted component (so overlap is shared out as the fit did);
    this says what a table made from single lines would print, beside the fit's own fractions.
    """
    from heterodot.crystal import Crystal

    rows = {k: v for k, v in found.extra["phases"].items() if v["present"] and k in phases}
    intensities: dict[str, Value | float] = {}
    factors: dict[str, float] = {}
    lines: dict[str, str] = {}
    x = found.extra["two_theta"]
    for name in rows:
        crystal = phases[name]
        if not isinstance(crystal, Crystal):
            continue
        local = XrdSetup(setup.wavelength, range=(float(x[0]), float(x[-1])), b_iso=setup.b_iso)
        lists = sticks(crystal, local)
        best = int(np.argmax(lists.intensity))
        near = np.abs(x - lists.two_theta[best]) < 1.2
        curve = found.extra["components"][name]
        height = float(curve[near].max()) if near.any() else float(curve.max())
        width = float(np.trapezoid(curve, x)) / max(height, 1e-30)
        share = float(lists.intensity[best] / lists.intensity.sum())
        error = found[f"{name}.factor"]
        area = height * width * share
        relative = 0.0 if not error.error else error.error / max(error.value, 1e-30)
        intensities[name] = Value(area, "", abs(area) * relative)
        factors[name] = line_strength(crystal, lists.hkl[best].tolist(), local)
        lines[name] = " ".join(map(str, lists.hkl[best]))
    if not intensities:
        return {}
    return {
        name: {"hkl": lines[name], "weight_fraction": value}
        for name, value in adiabatic(intensities, factors).items()
    }
