"""Quantum yields from an integrating sphere, and those of two bands of one sample.

References
----------
J. C. de Mello, H. F. Wittmann and R. H. Friend, Adv. Mater. 9, 230 (1997) for the three
measurements; T.-S. Ahn, R. O. Al-Kaysi, A. M. Mueller, K. M. Wentz and C. J. Bardeen, Rev. Sci.
Instrum. 78, 086105 (2007) for reabsorption.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.probes.uncertainty import propagate
from heterodot.units import Value

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SphereYield:
    """A quantum yield from an integrating sphere.

    Attributes
    ----------
    absorptance : Value
        Share of the light that the sample absorbs when it is hit directly.
    quantum_yield : Value
    corrected : Value or None
        For reabsorption, where its probability was given.
    method : str
        ``"three measurements"`` (de Mello) or ``"two measurements"``.
    photons : mapping of str to Value
        Integrated counts: laser and emission with the sphere empty, sample hit, sample beside.
    warnings : tuple of str
    """

    quantum_yield: Value
    absorptance: Value
    corrected: Value | None
    method: str
    photons: Mapping[str, Value]
    warnings: tuple[str, ...] = ()


def sphere_yield(
    laser_empty: Value,
    laser_direct: Value,
    emission_empty: Value,
    emission_direct: Value,
    *,
    laser_indirect: Value | None = None,
    emission_indirect: Value | None = None,
    reabsorption: Value | None = None,
) -> SphereYield:
    """Return the quantum yield from photon counts in an integrating sphere.

    Parameters
    ----------
    laser_empty, laser_direct, laser_indirect : Value
        Photons in the laser line: empty sphere, sample hit, sample in the sphere but not hit.
    emission_empty, emission_direct, emission_indirect : Value
        The same in the emission range. All in photons, corrected for the response.
    reabsorption : Value, optional
        Probability that emitted light is absorbed again.

    Raises
    ------
    InputError
        No laser light, or a sample that does not absorb.

    Examples
    --------
    >>> counts = [Value(1e6, "count", 1e3), Value(6e5, "count", 8e2), Value(0.0, "count", 10.0)]
    >>> found = sphere_yield(*counts, Value(2e5, "count", 450.0))
    >>> str(found.quantum_yield), str(found.absorptance)
    ('0.500(2)', '0.4000(10)')
    """
    la, lc, pa, pc = laser_empty, laser_direct, emission_empty, emission_direct
    lb, pb = laser_indirect, emission_indirect
    if la.value <= 0:
        raise InputError("there is no laser light in the empty sphere", place="quantum yield")
    warnings: list[str] = []
    if lb is None or pb is None:
        method = "two measurements"
        warnings.append(
            "without the measurement beside the beam, light that the sphere returns to the sample "
            "counts as absorbed at first pass; the yield is still right if it absorbs and emits "
            "alike"
        )
        absorptance = propagate(lambda a, c: 1 - c / a, [la, lc], "")
        _absorbs(absorptance)
        found = propagate(lambda a, c, p0, p: (p - p0) / (a - c), [la, lc, pa, pc], "")
    else:
        method = "three measurements"
        absorptance = propagate(lambda b, c: 1 - c / b, [lb, lc], "")
        _absorbs(absorptance)
        found = propagate(
            lambda a, b, c, p0, q, p: ((p - p0) - (c / b) * (q - p0)) / (a * (1 - c / b)),
            [la, lb, lc, pa, pb, pc],
            "",
        )
    if found.value > 1 + 2 * (found.error or 0) or found.value < -2 * (found.error or 0):
        warnings.append(
            f"a yield of {found} cannot be: check the response correction, the ranges, and that "
            "the laser line is not clipped"
        )
    corrected = None
    if reabsorption is not None:
        corrected = propagate(
            lambda q, a: q / (1 - a + a * q) if 1 - a + a * q > 0 else math.nan,
            [found, reabsorption],
            "",
        )
    names = ("laser_empty", "laser_direct", "emission_empty", "emission_direct")
    photons = dict(zip(names, (la, lc, pa, pc), strict=True))
    if lb is not None and pb is not None:
        photons |= {"laser_indirect": lb, "emission_indirect": pb}
    return SphereYield(found, absorptance, corrected, method, photons, tuple(warnings))


def _absorbs(absorptance: Value) -> None:
    if not absorptance.value > 3 * (absorptance.error or 0):
        raise InputError(
            f"the sample absorbs {absorptance} of the light, nothing beyond the error",
            place="quantum yield",
            remedy="use a more concentrated sample or another excitation wavelength",
        )


def photons_between(
    wavelength: Array, counts: Array, low: float, high: float, *, power: bool = False
) -> Value:
    """Return the photons between two wavelengths (nm), with the error of counting.

    Parameters
    ----------
    wavelength : (n,) array, nm, ascending
    counts : (n,) array
        Per channel, corrected for the response.
    low, high : float
        nm.
    power : bool
        The values are power per wavelength: they are multiplied by the wavelength to count
        photons (only ratios of such numbers mean anything), and have no error of counting.

    Raises
    ------
    InputError
        Fewer than two channels, or a clipped top.
    """
    inside = (wavelength >= low) & (wavelength <= high)
    if inside.sum() < 2:
        raise InputError(
            f"{int(inside.sum())} channels lie between {low:g} and {high:g} nm",
            place="quantum yield",
            remedy=f"the data go from {wavelength.min():g} to {wavelength.max():g} nm",
        )
    part = counts[inside]
    top = part.max()
    flat = np.flatnonzero(part >= top * (1 - 1e-12))
    if top > 100 and len(flat) >= 3 and flat[-1] - flat[0] == len(flat) - 1:
        raise InputError(
            f"{len(flat)} neighboring channels share the highest value {top:g}: clipped",
            place="quantum yield",
            remedy="measure again with less light or a shorter exposure",
        )
    if power:
        step = np.gradient(wavelength)[inside]
        total = float(np.sum(part * wavelength[inside] * step))
        return Value(total, "", None, "power, not counts")
    total = float(part.sum())
    return Value(total, "count", math.sqrt(max(float(np.abs(part).sum()), 1.0)))


def second_band_yield(first: Value, area_first: Value, area_second: Value) -> Value:
    """Return the yield of a second band from that of the first: phi_2 = phi_1 A_2 / A_1.

    Valid only for areas in photons, corrected for the response of both detectors (the form of
    Yang (2024) for PbS beside CsPbBr3).

    Examples
    --------
    >>> str(second_band_yield(Value(0.4, "", 0.02), Value(100.0, ""), Value(50.0, "")))
    '0.200(10)'
    """
    if area_first.value <= 0:
        raise InputError("the area of the first band is not positive", place="composite yield")
    return propagate(lambda q, a, b: q * b / a, [first, area_first, area_second], "")


def composite_yield(*yields: Value) -> Value:
    """Return the yield of all bands together (photons out by photons absorbed).

    Examples
    --------
    >>> str(composite_yield(Value(0.2, "", 0.03), Value(0.1, "", 0.04)))
    '0.30(5)'
    """
    found = propagate(lambda *q: float(sum(q)), list(yields), "")
    if found.value > 1 + 2 * (found.error or 0):
        raise InputError(
            f"the yields add up to {found}, more than one photon for each absorbed",
            place="composite yield",
            remedy="areas must be photons, corrected for the response of each detector",
        )
    return found
