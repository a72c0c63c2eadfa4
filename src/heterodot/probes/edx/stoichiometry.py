"""A composition against a formula: counts in its scale, charge balance, overlapping lines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.probes.edx.composition import Composition, parse_formula
from heterodot.probes.edx.lines import close_pairs, family, inflation, overlaps
from heterodot.units import Value


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
    present = [e for e, x in zip(found.elements, found.fractions, strict=True) if x > 0]
    warnings = [*found.warnings, *_balance(charge, expected), *overlaps(present)]
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


def overlap_consequences(found: Composition) -> list[str]:
    """Return what each pair of overlapping lines does to the weaker element, in words.

    For equal sensitivities (counts in proportion to mass), which is right within a factor of two.

    Examples
    --------
    >>> from heterodot.probes.edx import composition
    >>> overlap_consequences(composition({"Pb": 50, "S": 50}))
    ['where S K and Pb M are parted by a fit, the error of S is 2.1 times that of a free line;
    each percent of Pb M counted as S K raises S by 6.5 %']
    """
    percent = found.mass_percent()
    # of what was hardly found nothing can be said
    mass = {e: v.value if v.value > 3 * (v.error or 0) else 0.0 for e, v in percent.items()}
    said = []
    for pair in close_pairs(found.elements):
        (weak, shell), (strong, other) = sorted(pair, key=lambda line: mass[line[0]])
        if mass[weak] <= 0 or shell not in family(weak) or other not in family(strong):
            continue
        counts = {f"{weak} {shell}": 100 * mass[weak], f"{strong} {other}": 100 * mass[strong]}
        worse = inflation(list(counts), counts, {}, f"{weak} {shell}")
        said.append(
            f"where {weak} {shell} and {strong} {other} are parted by a fit, the error of {weak} "
            f"is {worse:.1f} times that of a free line; each percent of {strong} {other} counted "
            f"as {weak} {shell} raises {weak} by {mass[strong] / mass[weak]:.1f} %"
        )
    return said


def disagreement(atomic: Mapping[str, float], mass: Mapping[str, float]) -> list[str]:
    """Return where a table's mass percent do not follow from its atomic percent.

    Examples
    --------
    >>> disagreement({"Pb": 50.0, "S": 50.0}, {"Pb": 86.6, "S": 13.4})
    []
    """
    from heterodot.probes.edx.composition import composition

    follows = composition(dict(atomic)).mass_percent()
    total = sum(mass.values())
    said = []
    for element, value in follows.items():
        stated = 100 * mass[element] / total
        # tables are printed to 0.01 or 0.1 percent; light elements feel it most
        if abs(stated - value.value) > 0.06 + 0.01 * value.value:
            said.append(
                f"{element}: {stated:.2f} mass percent is stated, {value.value:.2f} follows from "
                "the atomic percent"
            )
    return said
