"""Excitation spectra: whose absorption they are, and how much of it arrives.

The emission of domain A read against the exciting photon energy is
PLE ~ f_A + eta f_B, with f the share of the light that each domain absorbs. The ratio of the two
amounts is the transfer efficiency from B to A, whatever the scale of the PLE.

References
----------
B. Valeur and M. N. Berberan-Santos, Molecular Fluorescence, 2nd ed. (Wiley-VCH, 2012), chapter 9,
for transfer efficiency from excitation spectra.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.probes.spectrum import Spectrum
from heterodot.probes.uncertainty import propagate
from heterodot.probes.unmixing import Mixture, unmix
from heterodot.units import Value

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Excitation:
    """How an excitation spectrum is made of the absorption of two domains.

    Attributes
    ----------
    transfer : Value
        Efficiency from donor to acceptor: amount of the donor's share over the acceptor's.
    donor_part : Value
        Share of the excitation spectrum's integral that came in through the donor.
    similarity : mapping of str to float
        Correlation of the PLE with either share and with their sum.
    mixture : Mixture
    warnings : tuple of str
    """

    transfer: Value
    donor_part: Value
    similarity: dict[str, float]
    mixture: Mixture
    warnings: tuple[str, ...] = ()


def absorbed_shares(donor: Array, acceptor: Array) -> tuple[Array, Array]:
    """Return what share of the light each domain absorbs at absorbances of one solution.

    Of the light that is absorbed at all, 1 - 10^-(A_d + A_a), each takes its part of the sum.

    Examples
    --------
    >>> shares = absorbed_shares(np.array([1.0]), np.array([1.0]))
    >>> [round(float(s[0]), 3) for s in shares]
    [0.495, 0.495]
    """
    donor, acceptor = np.clip(donor, 0, None), np.clip(acceptor, 0, None)
    total = donor + acceptor
    per_unit = np.where(
        total > 1e-12, -np.expm1(-math.log(10) * total) / np.maximum(total, 1e-12), math.log(10)
    )
    return donor * per_unit, acceptor * per_unit


def excitation_spectrum(
    ple: Spectrum,
    donor: Spectrum,
    acceptor: Spectrum,
    *,
    between: tuple[float, float] | None = None,
    constant: bool = False,
) -> Excitation:
    """Return the transfer efficiency from an excitation spectrum of the acceptor's emission.

    Parameters
    ----------
    ple : Spectrum
        Corrected for the lamp (photons), of the acceptor's emission.
    donor, acceptor : Spectrum
        Absorbance of each domain in that very solution (e.g. from `decompose`).
    between : (low, high), optional
        Range of energies, eV; keep clear of scattered light.
    constant : bool
        Allow a constant background.

    Raises
    ------
    InputError
        No overlap of the three, or negative excitation throughout.
    """
    low = max(s.energy[0] for s in (ple, donor, acceptor))
    high = min(s.energy[-1] for s in (ple, donor, acceptor))
    if not low < high:
        raise InputError(
            "excitation and absorption spectra do not overlap", remedy="measure one range"
        )
    keep = (ple.energy >= low) & (ple.energy <= high)
    x = ple.energy[keep]
    a_donor = np.interp(x, donor.energy, donor.values)
    a_acceptor = np.interp(x, acceptor.energy, acceptor.values)
    f_donor, f_acceptor = absorbed_shares(a_donor, a_acceptor)
    references = {
        "donor": replace(donor, energy=x, values=f_donor, sigma=None),
        "acceptor": replace(acceptor, energy=x, values=f_acceptor, sigma=None),
    }
    mixture = unmix(ple, references, between=between, constant=constant)
    warnings = list(mixture.warnings)
    covariance = np.zeros((2, 2))
    for i, a in enumerate(("donor", "acceptor")):
        for j, b in enumerate(("donor", "acceptor")):
            if a in mixture.active and b in mixture.active:
                covariance[i, j] = mixture.covariance[
                    mixture.active.index(a), mixture.active.index(b)
                ]
    inputs = [mixture.amounts["donor"], mixture.amounts["acceptor"]]
    if mixture.amounts["acceptor"].value <= 0:
        transfer = Value(math.nan, "", None, "nothing of the acceptor's own absorption is seen")
        warnings.append(
            "the excitation spectrum shows nothing of the acceptor's own absorption, so that no "
            "efficiency can be told; is it the acceptor's emission?"
        )
    else:
        transfer = propagate(lambda d, a: d / a, inputs, "", covariance=covariance)
        if transfer.value > 1 + 2 * (transfer.error or 0):
            warnings.append(
                f"an efficiency of {transfer} is more than one: the lamp correction, the shares of "
                "absorbance, or the acceptor's own yield at high energies are wrong"
            )
    parts = {n: float(np.trapezoid(mixture.parts[n], mixture.energy)) for n in references}
    whole = sum(parts.values())
    share = parts["donor"] / whole if whole > 0 else math.nan
    donor_part = propagate(lambda d, a: _part(d, a, mixture), inputs, "", covariance=covariance)
    if not math.isfinite(share):
        donor_part = Value(math.nan, "", None, "no excitation at all")
    if mixture.explained < 0.9:
        warnings.append(
            f"the two absorptions explain {100 * mixture.explained:.0f} % of the excitation "
            "spectrum: something else feeds the emission, or a correction is missing"
        )
    on = (x >= mixture.energy[0] - 1e-9) & (x <= mixture.energy[-1] + 1e-9)
    similarity = {
        "donor": _correlation(mixture.data, f_donor[on]),
        "acceptor": _correlation(mixture.data, f_acceptor[on]),
        "both": _correlation(mixture.data, mixture.model),
    }
    return Excitation(transfer, donor_part, similarity, mixture, tuple(warnings))


def _part(donor: float, acceptor: float, mixture: Mixture) -> float:
    amounts = {"donor": donor, "acceptor": acceptor}
    areas = {}
    for name, amount in amounts.items():
        old = mixture.amounts[name].value
        area = float(np.trapezoid(mixture.parts[name], mixture.energy))
        areas[name] = area * amount / old if old > 0 else 0.0
    whole = areas["donor"] + areas["acceptor"]
    return areas["donor"] / whole if whole > 0 else math.nan


def _correlation(a: Array, b: Array) -> float:
    if np.std(a) == 0 or np.std(b) == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
