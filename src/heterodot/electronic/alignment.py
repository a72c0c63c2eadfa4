"""Type of alignment from where the carriers are, with written rules and the offsets used.

The rules are those that authors apply by eye to computed frontier orbitals, made explicit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from heterodot.electronic.coulomb import relaxed
from heterodot.electronic.levels import Levels, State, levels_of_shape
from heterodot.electronic.poisson import Dielectric
from heterodot.errors import InputError
from heterodot.units import Value

LOCALIZED = 0.80  # share in one domain from which a carrier counts as localized
LEANING = 2 / 3  # share below which a spread carrier counts as shared between the domains

RULES = (
    "Shares are those of the states within reach of k_B T of each band edge (Boltzmann weights), "
    "inside the particle. A carrier is localized in a domain that holds at least 80 % of it, and "
    "leans to one that holds at least two thirds. Both localized in one domain: type I. Localized "
    "in different domains: type II. Otherwise quasi-type I if both lean to the same domain, and "
    "quasi-type II if they do not. A particle of one domain has no type."
)


@dataclass(frozen=True)
class Offset:
    """Bulk band edges of one domain against another.

    Attributes
    ----------
    first, second : str
        Domain names.
    conduction, valence : Value
        Edge of the second minus edge of the first, eV.
    bulk_type : str
        ``"I"``, ``"II"`` or ``"III"`` from the edges alone.
    source : str
        Where the edges come from.
    """

    first: str
    second: str
    conduction: Value
    valence: Value
    bulk_type: str
    source: str

    def to_json(self) -> dict[str, Any]:
        """Return offsets, type and source as plain data."""
        return {
            "first": self.first,
            "second": self.second,
            "conduction": self.conduction.to_json(),
            "valence": self.valence.to_json(),
            "bulk_type": self.bulk_type,
            "source": self.source,
        }


@dataclass(frozen=True)
class Alignment:
    """Type of alignment and what it rests on.

    Attributes
    ----------
    type : str
        ``"type I"``, ``"quasi-type I"``, ``"type II"``, ``"quasi-type II"`` or ``"one domain"``.
    electron, hole : mapping of domain name to float
        Thermal shares inside the particle; they sum to one.
    electron_edge, hole_edge : mapping of domain name to float
        Shares of the lowest state alone.
    offsets : tuple of Offset
        Bulk edges of every pair of domains.
    temperature : float
        K, of the weights.
    reason : str
        One sentence.
    pair_type : str or None
        The same rules with electron and hole relaxed in each other's field; None where the levels
        have no Coulomb terms.
    rules : str
        The rules in words.
    """

    type: str
    electron: Mapping[str, float]
    hole: Mapping[str, float]
    electron_edge: Mapping[str, float]
    hole_edge: Mapping[str, float]
    offsets: tuple[Offset, ...]
    temperature: float
    reason: str
    pair_type: str | None = None
    rules: str = RULES

    def to_json(self) -> dict[str, Any]:
        """Return type, shares, offsets with sources and the rules as plain data."""
        return {
            "type": self.type,
            "electron": {k: float(v) for k, v in self.electron.items()},
            "hole": {k: float(v) for k, v in self.hole.items()},
            "electron_edge": {k: float(v) for k, v in self.electron_edge.items()},
            "hole_edge": {k: float(v) for k, v in self.hole_edge.items()},
            "offsets": [offset.to_json() for offset in self.offsets],
            "temperature": Value(self.temperature, "K", None, "chosen").to_json(),
            "reason": self.reason,
            "type_in_pair": self.pair_type,
            "rules": self.rules,
        }

    def __str__(self) -> str:
        text = f"{self.type}: {self.reason}"
        if self.pair_type is not None and self.pair_type != self.type:
            text += f" ({self.pair_type} once electron and hole attract each other)"
        return text


def alignment(levels: Levels, *, temperature: float = 300.0) -> Alignment:
    """Return the type of alignment of a particle's levels.

    Parameters
    ----------
    levels : Levels
    temperature : float
        K, for the weights of the states near each edge.

    Returns
    -------
    Alignment

    Notes
    -----
    The type belongs to this particle: confinement moves levels, so that other sizes of the same
    pair may differ (see `heterodot.electronic.size_map`). It inherits the errors of the offsets.
    """
    electron = shares(levels.electrons, temperature)
    hole = shares(levels.holes, temperature)
    name, reason = classify(electron, hole)
    pair = None
    if levels.coulomb is not None:
        pair = classify(levels.coulomb.electron, levels.coulomb.hole)[0]
    return Alignment(
        name,
        electron,
        hole,
        shares(levels.electrons[:1], temperature),
        shares(levels.holes[:1], temperature),
        offsets(levels),
        temperature,
        reason,
        pair,
    )


def shares(states: tuple[State, ...], temperature: float) -> dict[str, float]:
    """Return thermal shares of the domains, without the tails outside, summing to one."""
    from scipy.constants import Boltzmann, elementary_charge

    thermal = max(Boltzmann * temperature / elementary_charge, 1e-9)
    rise = np.array([abs(s.energy.value - states[0].energy.value) for s in states])
    weights = np.exp(-rise / thermal)
    total: dict[str, float] = {}
    for weight, state in zip(weights / weights.sum(), states, strict=True):
        inside = sum(state.fractions.values())
        for name, share in state.fractions.items():
            total[name] = total.get(name, 0.0) + float(weight * share / inside)
    return total


def classify(electron: Mapping[str, float], hole: Mapping[str, float]) -> tuple[str, str]:
    """Return type and reason from the shares of both carriers (see `RULES`).

    Examples
    --------
    >>> classify({"a": 0.95, "b": 0.05}, {"a": 0.1, "b": 0.9})[0]
    'type II'
    >>> classify({"a": 0.95, "b": 0.05}, {"a": 0.5, "b": 0.5})[0]
    'quasi-type II'
    """
    if len(electron) == 1:
        (only,) = electron
        return "one domain", f"the particle has the one domain {only}"
    place_e = max(electron, key=lambda name: electron[name])
    place_h = max(hole, key=lambda name: hole[name])
    share_e, share_h = electron[place_e], hole[place_h]
    text = f"electron {share_e:.0%} in {place_e}, hole {share_h:.0%} in {place_h}"
    if share_e >= LOCALIZED and share_h >= LOCALIZED:
        return ("type I" if place_e == place_h else "type II"), text
    if place_e == place_h and min(share_e, share_h) >= LEANING:
        return "quasi-type I", text
    return "quasi-type II", text


def offsets(levels: Levels) -> tuple[Offset, ...]:
    """Return the bulk offsets of every pair of domains with their source."""
    made = []
    for i, first in enumerate(levels.materials):
        for second in levels.materials[i + 1 :]:
            conduction = _difference(second.conduction, first.conduction)
            valence = _difference(second.valence, first.valence)
            used = [
                f"{m.phase}: {origin.quantity} {origin.value} ({origin.source})"
                for m in (first, second)
                for origin in m.origins
                if origin.quantity in ("ionization_energy", "electron_affinity", "band_gap")
            ]
            low = min(first.conduction.value, second.conduction.value)
            high = max(first.valence.value, second.valence.value)
            crossing = (conduction.value > 0) == (valence.value > 0)
            kind = "III" if low <= high else "II" if crossing else "I"
            made.append(Offset(first.name, second.name, conduction, valence, kind, "; ".join(used)))
    return tuple(made)


def _difference(a: Value, b: Value) -> Value:
    if a.error is None or b.error is None:
        return Value(
            a.value - b.value, "eV", None, "a source states no error; 0.1 to 0.3 eV are usual"
        )
    return Value(a.value - b.value, "eV", float(np.hypot(a.error, b.error)))


USUAL_ERROR = 0.2  # eV, of an offset whose sources state none: the scatter between laboratories


@dataclass(frozen=True)
class Robustness:
    """Types that the particle would have if one domain's edges lay elsewhere.

    Attributes
    ----------
    domain : str
        The domain whose edges are moved, both alike.
    shifts : tuple of float
        eV, upward.
    types : tuple of str
        Of free carriers.
    error : float
        Standard error of the offset between the domains, eV.
    error_source : str
        Where that error comes from.
    pair_types : tuple of str
        The same for electron and hole in each other's field; empty without Coulomb terms.
    """

    domain: str
    shifts: tuple[float, ...]
    types: tuple[str, ...]
    error: float = USUAL_ERROR
    error_source: str = ""
    pair_types: tuple[str, ...] = ()

    @property
    def range(self) -> tuple[float, float]:
        """Shifts between which the type is that without a shift, eV."""
        middle = self.shifts.index(0.0)
        low = high = middle
        while low > 0 and self.types[low - 1] == self.types[middle]:
            low -= 1
        while high < len(self.types) - 1 and self.types[high + 1] == self.types[middle]:
            high += 1
        return self.shifts[low], self.shifts[high]

    @property
    def probabilities(self) -> dict[str, float]:
        """Probability of each type of free carriers, by the error of the offset, most likely first."""
        return self._weighed(self.types)

    @property
    def pair_probabilities(self) -> dict[str, float]:
        """The same for the relaxed pair; empty without Coulomb terms."""
        return self._weighed(self.pair_types) if self.pair_types else {}

    def _weighed(self, types: tuple[str, ...]) -> dict[str, float]:
        from scipy.special import ndtr

        shifts = np.array(self.shifts)
        borders = np.concatenate([[-np.inf], (shifts[1:] + shifts[:-1]) / 2, [np.inf]])
        weights = np.diff(ndtr(borders / max(self.error, 1e-6)))
        found: dict[str, float] = {}
        for name, weight in zip(types, weights, strict=True):
            found[name] = found.get(name, 0.0) + float(weight)
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def to_json(self) -> dict[str, Any]:
        """Return shifts, types, their range and probabilities as plain data."""
        return {
            "domain": self.domain,
            "shifts_eV": list(self.shifts),
            "types": list(self.types),
            "types_in_pair": list(self.pair_types),
            "holds_between_eV": list(self.range),
            "offset_error": Value(self.error, "eV", None, self.error_source or "given").to_json(),
            "probabilities": self.probabilities,
            "probabilities_in_pair": self.pair_probabilities,
        }

    def __str__(self) -> str:
        low, high = self.range
        middle = self.types[self.shifts.index(0.0)]
        low_text = "at least " if low == self.shifts[0] else ""
        high_text = "at least " if high == self.shifts[-1] else ""
        text = (
            f"{middle} holds while the edges of {self.domain} move by {low_text}{low:+.2f} to "
            f"{high_text}{high:+.2f} eV; with an offset error of {self.error:.2f} eV: "
            f"{_listed(self.probabilities)}"
        )
        if self.pair_types:
            text += f"; electron and hole together: {_listed(self.pair_probabilities)}"
        return text


def _listed(probabilities: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {p:.0%}" for name, p in probabilities.items() if p >= 0.005)


def offset_error(levels: Levels, domain: str) -> tuple[float, str]:
    """Return the standard error of a domain's edges against the other domains', eV, and its source."""
    error = 0.0
    silent = []
    for m in levels.materials:
        known = m.valence.error
        if known is None:
            silent.append(m.phase)
        error = float(np.hypot(error, USUAL_ERROR if known is None else known))
    text = "errors of the ionization energies"
    if silent:
        text += f" ({USUAL_ERROR} eV where a source states none: {', '.join(silent)})"
    return error, text


def robustness(
    levels: Levels,
    *,
    domain: str | None = None,
    shifts: tuple[float, ...] = (-0.4, -0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3, 0.4),
    error: float | None = None,
    temperature: float = 300.0,
) -> Robustness:
    """Return which types other band offsets would give, on the coarser grid, and how likely each is.

    Parameters
    ----------
    levels : Levels
        Of two or more domains; with Coulomb terms the pair's types are found too.
    domain : str, optional
        Whose edges are moved; by default the one of the smaller gap.
    shifts : tuple of float
        eV, ascending, zero among them.
    error : float, optional
        Standard error of the offset, eV; by default from the sources of the band edges.
    temperature : float
        K.

    Raises
    ------
    InputError
        One domain, an unknown one, or no zero among the shifts.

    Notes
    -----
    Both edges of the domain move together, as an error of its ionization energy moves them; errors
    of gaps are smaller and left out.
    """
    if len(levels.domains) < 2:
        raise InputError("offsets need two domains", place=", ".join(levels.domains))
    if 0.0 not in shifts:
        raise InputError("the shifts lack zero", place="shifts", remedy="put 0.0 among them")
    if error is not None and not error > 0:
        raise InputError(f"{error} eV is not an error", remedy="give e.g. 0.2")
    if domain is None:
        domain = min(levels.materials, key=lambda m: m.gap.value).name
    place = levels.shape.index(domain)
    coarse = levels.shape.coarsened()
    if any(n % 2 for n in coarse.points):
        coarse = levels.shape
    types, pairs = [], []
    together = levels.coulomb is not None
    if together:
        # the dielectric constants stay where they are when edges move, and images move no shares
        constants = [m.dielectric for m in levels.materials]
        problem = Dielectric(coarse.coarsened(), constants, levels.medium.dielectric)
    for shift in sorted(shifts):
        moved = list(levels.materials)
        moved[place] = moved[place].moved(shift)
        found = levels_of_shape(
            coarse, tuple(moved), states=3, coulomb=False, splitting=False, around=levels.medium
        )
        types.append(alignment(found, temperature=temperature).type)
        if together:
            pair = relaxed(problem, found.solved["electron"], found.solved["hole"])
            both = [dict(zip(found.domains, x, strict=True)) for x in (pair.electron, pair.hole)]
            pairs.append(classify(*both)[0])
    spread, source = offset_error(levels, domain) if error is None else (error, "given")
    return Robustness(
        domain,
        tuple(sorted(shifts)),
        tuple(types),
        spread,
        source,
        tuple(pairs),
    )
