"""Energy-dispersive X-ray results: percent, stoichiometry, charge balance, overlapping lines.

Starts from the percentages that an instrument's program reports (or from k-factors and counts by
Cliff and Lorimer, J. Microsc. 103, 203 (1975)) and says what they mean for one domain.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.units import Value

MASS_SUM_TOLERANCE = 2.0  # percent by which a table may miss 100 before it is said


@dataclass(frozen=True)
class Composition:
    """Atomic fractions of the elements of a region, with errors.

    Attributes
    ----------
    elements : tuple of str
    fractions : (n,) array
        Atomic fractions, sum one.
    covariance : (n, n) array or None
        Of the fractions; None where no errors were given.
    warnings : tuple of str
    """

    elements: tuple[str, ...]
    fractions: NDArray[np.float64]
    covariance: NDArray[np.float64] | None
    warnings: tuple[str, ...] = ()

    def atomic_percent(self) -> dict[str, Value]:
        """Return atomic percent of each element."""
        return self._percent(self.fractions, self.covariance)

    def mass_percent(self) -> dict[str, Value]:
        """Return mass percent of each element."""
        weights = masses(self.elements)
        raw = self.fractions * weights
        total = raw.sum()
        values = raw / total
        # d w_i / d x_j of w_i = x_i m_i / sum x m
        jacobian = np.diag(weights / total) - np.outer(values, weights / total)
        covariance = None if self.covariance is None else jacobian @ self.covariance @ jacobian.T
        return self._percent(values, covariance)

    def _percent(
        self, values: NDArray[np.float64], covariance: NDArray[np.float64] | None
    ) -> dict[str, Value]:
        errors = None if covariance is None else 100 * np.sqrt(np.diag(covariance))
        return {
            element: Value(
                float(100 * values[i]),
                "percent",
                None if errors is None else float(errors[i]),
                "the table states no errors",
            )
            for i, element in enumerate(self.elements)
        }

    def ratio_to(self, element: str, count: float = 1.0) -> dict[str, Value]:
        """Return atoms of each element per ``count`` atoms of one (``Pb:4`` for Pb4S3Br2).

        Raises
        ------
        InputError
            The element is not there.
        """
        if element not in self.elements or self.fractions[self.elements.index(element)] <= 0:
            raise InputError(f"there is no {element} to refer to", place="reference")
        k = self.elements.index(element)
        found = {}
        for i, other in enumerate(self.elements):
            value = count * self.fractions[i] / self.fractions[k]
            error = None
            if self.covariance is not None:
                slope = np.zeros(len(self.elements))
                slope[i] += count / self.fractions[k]
                slope[k] -= value / self.fractions[k]
                error = math.sqrt(max(float(slope @ self.covariance @ slope), 0.0))
            found[other] = Value(float(value), "", error, "the table states no errors")
        return found

    def charge(self, charges: Mapping[str, float] | None = None) -> Value:
        """Return the formal charge per atom, e (zero for a neutral compound)."""
        q = np.array([_charge(e, charges) for e in self.elements])
        error = None
        if self.covariance is not None:
            error = math.sqrt(max(float(q @ self.covariance @ q), 0.0))
        return Value(float(q @ self.fractions), "e", error, "the table states no errors")


def masses(elements: Sequence[str]) -> NDArray[np.float64]:
    """Return the atomic masses, (n,), u."""
    from ase.data import atomic_masses, atomic_numbers

    odd = [e for e in elements if e not in atomic_numbers or e == "X"]
    if odd:
        raise InputError(f"'{odd[0]}' is not an element", remedy="give symbols such as Pb")
    return np.array([float(atomic_masses[atomic_numbers[e]]) for e in elements])


def composition(
    percent: Mapping[str, float | Value],
    *,
    kind: str = "atomic",
    relative_error: Mapping[str, float] | float | None = None,
) -> Composition:
    """Return the composition that a table of percentages states.

    Parameters
    ----------
    percent : mapping of element to number or Value
        Percent (any scale: they are normalized; a sum away from 100 is said).
    kind : ``"atomic"`` or ``"mass"``
    relative_error : float or mapping of element to float, optional
        Relative standard error of each entry in percent (the "fit error" of many programs).
        Entries are taken as independent before they are normalized.

    Raises
    ------
    InputError
        Nothing, negative or non-finite entries, an unknown element or kind.

    Examples
    --------
    >>> c = composition({"Cs": 20, "Pb": 20, "Br": 60}, relative_error=5)
    >>> bromine = c.ratio_to("Pb")["Br"]
    >>> print(f"{bromine.value:.2f} +- {bromine.error:.2f}")
    3.00 +- 0.21
    """
    if kind not in ("atomic", "mass"):
        raise InputError(f"'{kind}' is not a kind of percent", remedy="give atomic or mass")
    if not percent:
        raise InputError("the table is empty", place="percent")
    elements = tuple(percent)
    given = [percent[e] for e in elements]
    values = np.array([v.value if isinstance(v, Value) else float(v) for v in given])
    if not np.isfinite(values).all() or (values < 0).any() or values.sum() <= 0:
        raise InputError("percentages must be positive numbers", place="percent")
    errors = _errors(elements, given, values, relative_error)
    warnings = []
    if abs(values.sum() - 100) > MASS_SUM_TOLERANCE and values.sum() > 5:
        warnings.append(f"the percentages sum to {values.sum():.2f}, not 100; they were normalized")
    weights = masses(elements)  # asked in both kinds: it refuses what is no element
    amounts = values / weights if kind == "mass" else values
    total = amounts.sum()
    fractions = amounts / total
    covariance = None
    if errors is not None:
        spread = np.diag((errors * amounts / np.where(values > 0, values, 1.0)) ** 2)
        jacobian = (np.eye(len(elements)) - fractions[:, None]) / total
        covariance = jacobian @ spread @ jacobian.T
    return Composition(elements, fractions, covariance, tuple(warnings))


def _errors(
    elements: Sequence[str],
    given: Sequence[float | Value],
    values: NDArray[np.float64],
    relative: Mapping[str, float] | float | None,
) -> NDArray[np.float64] | None:
    if relative is not None:
        part = [
            relative if isinstance(relative, int | float) else relative.get(e, math.nan)
            for e in elements
        ]
        if not np.isfinite(part).all():
            raise InputError("an error is missing for an element", place="relative_error")
        return np.asarray(part) / 100 * values
    own = [v.error if isinstance(v, Value) else None for v in given]
    if any(e is None for e in own):
        return None
    return np.array(own, dtype=float)


def from_counts(
    counts: Mapping[str, float], k_factors: Mapping[str, float], *, background: float = 0.0
) -> Composition:
    """Return the composition by Cliff and Lorimer's ratios from net line counts.

    Parameters
    ----------
    counts : mapping of element to net counts
    k_factors : mapping of element to k
        Mass fraction per count relative to any one element, as the instrument's program lists.
    background : float
        Counts that were subtracted from each line; their noise is added.

    Notes
    -----
    Poisson errors only; the k-factors' own error (5 to 20 % where they are calculated) is not
    in them. No absorption correction: right for particles below some 50 nm.
    """
    missing = sorted(set(counts) - set(k_factors))
    if missing:
        raise InputError(f"no k-factor for {', '.join(missing)}", place="k_factors")
    mass = {
        e: Value(k_factors[e] * n, "", k_factors[e] * math.sqrt(max(n, 0.0) + 2 * background))
        for e, n in counts.items()
    }
    return composition(mass, kind="mass")


@dataclass(frozen=True)
class Stoichiometry:
    """A composition against a formula.

    Attributes
    ----------
    formula : str
    counts : mapping of element to Value
        Atoms in the formula's own scale, by the least-squares factor.
    expected : mapping of element to float
    z : mapping of element to float
        Deviation in standard errors (nan where there are none).
    extra : mapping of element to Value
        Elements that the formula does not have, in its scale.
    charge : Value or None
        Formal charge of the counts of the formula's elements, e; None where a charge is unknown.
    warnings : tuple of str
    """

    formula: str
    counts: Mapping[str, Value]
    expected: Mapping[str, float]
    z: Mapping[str, float]
    extra: Mapping[str, Value]
    charge: Value | None
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "formula": self.formula,
            "counts": {e: v.to_json() for e, v in self.counts.items()},
            "expected": dict(self.expected),
            "z": {e: None if math.isnan(z) else z for e, z in self.z.items()},
            "extra": {e: v.to_json() for e, v in self.extra.items()},
            "charge": None if self.charge is None else self.charge.to_json(),
            "warnings": list(self.warnings),
        }


def stoichiometry(
    found: Composition, formula: str, *, reference: str | None = None
) -> Stoichiometry:
    """Return how a composition compares with a formula such as ``"Pb4S3Br2"``.

    Parameters
    ----------
    found : Composition
    formula : str
        Whole or fractional counts.
    reference : str, optional
        Element whose count is set to the formula's; the least-squares factor over all elements of
        the formula if left out.

    Raises
    ------
    InputError
        A formula that does not parse, or shares no element with the composition.
    """
    expected = parse_formula(formula)
    common = [e for e in found.elements if e in expected]
    if not common:
        raise InputError(f"none of the elements of {formula} was found", place="formula")
    if reference is not None and reference not in common:
        raise InputError(f"there is no {reference} to refer to", place="reference")
    scaled, covariance = _scaled(found, expected, reference)
    counts, z, extra = {}, {}, {}
    for i, element in enumerate(found.elements):
        error = None if covariance is None else math.sqrt(max(float(covariance[i, i]), 0.0))
        value = Value(float(scaled[i]), "", error, "the table states no errors")
        if element in expected:
            counts[element] = value
            gap = value.value - expected[element]
            z[element] = gap / error if error and error > 1e-12 else math.nan
        else:
            extra[element] = value
    charge = _formula_charge(found.elements, scaled, covariance, expected)
    warnings = [*found.warnings, *_balance(charge, expected), *overlaps(found.elements)]
    lacking = sorted(set(expected) - set(found.elements))
    if lacking:
        warnings.append(f"{', '.join(lacking)} of the formula was not measured")
    return Stoichiometry(formula, counts, expected, z, extra, charge, tuple(warnings))


def _scaled(
    found: Composition, expected: Mapping[str, float], reference: str | None
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return counts in the formula's scale, (n,), and their covariance by linear propagation."""
    x = found.fractions
    target = np.array([expected.get(e, 0.0) for e in found.elements])
    inside = np.array([e in expected for e in found.elements])
    if reference is not None:
        k = found.elements.index(reference)
        if x[k] <= 0:
            raise InputError(f"there is no {reference} to refer to", place="reference")
        scale = expected[reference] / x[k]
        slope = np.zeros(len(x))
        slope[k] = -scale / x[k]
    else:
        shared = np.where(inside, x, 0.0)
        norm = float(shared @ shared)
        if norm <= 0:
            raise InputError("the elements of the formula were found at 0 %", place="formula")
        scale = float(target @ shared) / norm
        slope = np.where(inside, target, 0.0) / norm - 2 * scale * shared / norm
    jacobian = scale * np.eye(len(x)) + np.outer(x, slope)
    if found.covariance is None:
        return scale * x, None
    return scale * x, jacobian @ found.covariance @ jacobian.T


def _formula_charge(
    elements: Sequence[str],
    counts: NDArray[np.float64],
    covariance: NDArray[np.float64] | None,
    expected: Mapping[str, float],
) -> Value | None:
    """Return the formal charge of the counts of the formula's elements, e; None if unknown."""
    from heterodot.charges import STATES, formal_charges

    inside = [e for e in elements if e in expected]
    whole = all(float(n).is_integer() for n in expected.values())
    states = formal_charges({e: int(n) for e, n in expected.items()}) if whole else None
    if states is None:
        if any(e not in STATES for e in inside):
            return None
        states = {e: float(STATES[e][0]) for e in inside}
    q = np.array([states.get(e, 0.0) if e in expected else 0.0 for e in elements])
    error = None if covariance is None else math.sqrt(max(float(q @ covariance @ q), 0.0))
    return Value(float(q @ counts), "e", error, "the table states no errors")


def _balance(charge: Value | None, expected: Mapping[str, float]) -> list[str]:
    """Return a warning if the formal charges of the counts do not cancel."""
    if charge is None:
        return ["no usual charges are known for all elements; their balance was not checked"]
    # without errors a deviation of 3 % of the formula's atoms times one charge is said: less is
    # within the repeatability of EDX
    limit = 2 * charge.error if charge.error else 0.03 * sum(expected.values())
    if abs(charge.value) <= limit:
        return []
    said = f"{charge.value:+.2f}" + (f" +- {charge.error:.2f}" if charge.error else "")
    return [f"formal charges do not balance: {said} e per formula unit"]


def _charge(element: str, charges: Mapping[str, float] | None) -> float:
    from heterodot.charges import STATES

    if charges is not None and element in charges:
        return float(charges[element])
    if element not in STATES:
        raise InputError(f"no usual charge is known for {element}", remedy="give charges")
    return float(STATES[element][0])


def parse_formula(formula: str) -> dict[str, float]:
    """Return the counts in a formula without brackets.

    Examples
    --------
    >>> parse_formula("Cs1.05PbBr2.7")
    {'Cs': 1.05, 'Pb': 1.0, 'Br': 2.7}
    """
    import re

    text = formula.replace(" ", "")
    parts = re.findall(r"([A-Z][a-z]?)(\d+\.?\d*|\.\d+)?", text)
    if not parts or "".join(e + n for e, n in parts) != text:
        raise InputError(
            f"'{formula}' is not a formula", place="formula", remedy="write it as in Pb4S3Br2"
        )
    counts: dict[str, float] = {}
    for element, number in parts:
        counts[element] = counts.get(element, 0.0) + (float(number) if number else 1.0)
    masses(list(counts))
    return counts


# ------------------------------------------------------------------------------ lines


@functools.cache
def _line_table() -> dict[str, Any]:
    import yaml

    file = resources.files("heterodot.catalog").joinpath("data/scattering/xray_lines.yaml")
    table: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return table


def width(energy: float) -> float:
    """Return the width (FWHM, keV) of a line at an energy (keV) by Fano's law.

    Anchored at the detector's width at Mn K-alpha (5.9 keV); Fano factor 0.115 and 3.64 eV per
    pair, the usual values of silicon.
    """
    table = _line_table()
    at_manganese = float(table["detector_width_keV"])
    slope = 2.355**2 * 0.115 * 3.64e-3
    return math.sqrt(max(at_manganese**2 + slope * (energy - 5.8988), 1e-6))


def overlaps(elements: Sequence[str]) -> list[str]:
    """Return a warning for each pair of elements whose lines a detector cannot part.

    Two lines count as one where they are closer than half the detector's width (FWHM). The
    warning names another line above 1 keV for each element that has one in the table.

    Examples
    --------
    >>> overlaps(["Pb", "S", "Cs"])
    ['S K (2.308 keV) and Pb M (2.345 keV) overlap: take Pb L for Pb; S has no other line']
    """
    table = _line_table()["lines"]
    known = [e for e in elements if e in table]
    found = []
    for i, a in enumerate(known):
        for b in known[i + 1 :]:
            for shell_a, energy_a in table[a].items():
                for shell_b, energy_b in table[b].items():
                    if abs(energy_a - energy_b) < 0.5 * width((energy_a + energy_b) / 2):
                        found.append(_overlap(table, (a, shell_a), (b, shell_b)))
    return found


def _overlap(table: Mapping[str, Any], first: tuple[str, str], second: tuple[str, str]) -> str:
    pair = sorted([first, second], key=lambda line: table[line[0]][line[1]])
    names = " and ".join(f"{e} {s} ({table[e][s]:.3f} keV)" for e, s in pair)
    advice = []
    for element, shell in sorted(pair, key=lambda line: len(table[line[0]]), reverse=True):
        others = [s for s, energy in table[element].items() if s != shell and energy > 1.0]
        advice.append(
            f"take {element} {others[0]} for {element}"
            if others
            else f"{element} has no other line"
        )
    return f"{names} overlap: {'; '.join(advice)}"
