"""Composition of a region: atomic and mass percent with errors, from percent or from counts.

Starts from the percentages that an instrument's program reports, or from counts and k-factors by
Cliff and Lorimer, J. Microsc. 103, 203 (1975).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
    kind : ``"atomic"`` or ``"mass"``
        The kind of percent that was given.
    as_given : tuple of float
        The numbers that were given.
    """

    elements: tuple[str, ...]
    fractions: NDArray[np.float64]
    covariance: NDArray[np.float64] | None
    warnings: tuple[str, ...] = ()
    kind: str = "atomic"
    as_given: tuple[float, ...] = ()

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
    spread = None
    if errors is not None:
        spread = np.diag((errors * amounts / np.where(values > 0, values, 1.0)) ** 2)
    given_ = tuple(float(v) for v in values)
    return _normalized(elements, amounts, spread, warnings, kind, given_)


def _normalized(
    elements: tuple[str, ...],
    amounts: NDArray[np.float64],
    spread: NDArray[np.float64] | None,
    warnings: Sequence[str],
    kind: str,
    given: tuple[float, ...],
) -> Composition:
    """Return the composition of amounts of atoms in any unit, and their covariance."""
    total = amounts.sum()
    fractions = amounts / total
    covariance = None
    if spread is not None:
        jacobian = (np.eye(len(elements)) - fractions[:, None]) / total
        covariance = jacobian @ spread @ jacobian.T
    return Composition(elements, fractions, covariance, tuple(warnings), kind, given)


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
    counts: Mapping[str, float | Value],
    k_factors: Mapping[str, float | Value],
    *,
    background: float = 0.0,
    covariance: NDArray[np.float64] | None = None,
) -> Composition:
    """Return the composition by Cliff and Lorimer's ratios from net line counts.

    Parameters
    ----------
    counts : mapping of element to net counts
        A Value's error is taken; the root of a plain number's.
    k_factors : mapping of element to k
        Mass fraction per count relative to any one element, as the instrument's program lists, or
        of `k_factors_of` a standard; a Value's error is taken.
    background : float
        Counts that were subtracted from each line; their noise is added to plain numbers'.
    covariance : (n, n) array, optional
        Of the counts in their order, instead of their errors: overlapping lines are correlated.

    Notes
    -----
    No absorption correction: right for particles below some 50 nm. Calculated k-factors are off by
    5 to 20 %, which is in the result only if they carry errors. Net counts below zero are taken as
    none found: zero, with their error.

    Examples
    --------
    >>> c = from_counts({"Pb": 4000.0, "S": 1200.0}, {"Pb": 1.0, "S": 0.5})
    >>> round(c.ratio_to("Pb")["S"].value, 3)
    0.969
    """
    missing = sorted(set(counts) - set(k_factors))
    if missing:
        raise InputError(f"no k-factor for {', '.join(missing)}", place="k_factors")
    if not counts:
        raise InputError("there are no counts", place="counts")
    elements = tuple(counts)
    weights = masses(elements)
    raw = np.array([_number(counts[e]) for e in elements])
    k = np.array([_number(k_factors[e]) for e in elements])
    if not (np.isfinite(k) & (k > 0)).all():
        raise InputError("k-factors must be positive numbers", place="k_factors")
    if not np.isfinite(raw).all() or raw.max() <= 0:
        raise InputError("no counts above zero", place="counts")
    n = np.maximum(raw, 0.0)
    if covariance is None:
        error = [
            v.error if isinstance(v, Value) and v.error is not None
            else math.sqrt(max(_number(v), 0.0) + 2 * background)
            for v in counts.values()
        ]  # fmt: skip
        covariance = np.diag(np.square(error))
    relative = np.array(
        [(f.error or 0.0) / f.value if isinstance(f := k_factors[e], Value) else 0.0
         for e in elements]
    )  # fmt: skip
    per_count = k / weights
    amounts = n * per_count
    spread = covariance * np.outer(per_count, per_count) + np.diag((amounts * relative) ** 2)
    warnings = [
        f"{e} was not found ({r:.0f} counts)" for e, r in zip(elements, raw, strict=True) if r <= 0
    ]
    given = tuple(float(v) for v in 100 * amounts * weights / (amounts * weights).sum())
    return _normalized(elements, amounts, spread, warnings, "mass", given)


def k_factors_of(
    counts: Mapping[str, float | Value], formula: str, reference: str | None = None
) -> dict[str, Value]:
    """Return the k-factors that make a standard's counts its formula.

    Parameters
    ----------
    counts : mapping of element to net counts
        Of the standard, measured with the same microscope, detector and lines.
    formula : str
        Of the standard, e.g. ``"CsPbBr3"``.
    reference : str, optional
        Element with k of one; the heaviest if left out.

    Raises
    ------
    InputError
        An element of the formula without counts.

    Examples
    --------
    >>> k = k_factors_of({"Cs": 1329.05, "Br": 2397.12, "Pb": 1036.0}, "CsPbBr3")
    >>> {e: round(v.value, 3) for e, v in k.items()}
    {'Cs': 0.5, 'Pb': 1.0, 'Br': 0.5}
    """
    wanted = parse_formula(formula)
    numbers = {e: _number(counts[e]) if e in counts else 0.0 for e in wanted}
    empty = [e for e, n in numbers.items() if n <= 0]
    if empty:
        raise InputError(f"the standard has no counts of {empty[0]}", place="counts")
    relative = {}
    for e, n in numbers.items():
        given = counts[e]
        known = given.error if isinstance(given, Value) else None
        relative[e] = (math.sqrt(n) if known is None else known) / n
    mass = dict(zip(wanted, masses(list(wanted)), strict=True))
    first = reference or max(wanted, key=lambda e: mass[e])
    if first not in wanted:
        raise InputError(f"there is no {first} in {formula}", place="reference")
    scale = wanted[first] * mass[first] / numbers[first]
    return {
        e: Value(
            float(c * mass[e] / numbers[e] / scale), "",
            0.0 if e == first else
            float(c * mass[e] / numbers[e] / scale * math.hypot(relative[e], relative[first])),
        )
        for e, c in wanted.items()
    }  # fmt: skip


def _number(value: float | Value) -> float:
    return value.value if isinstance(value, Value) else float(value)


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
