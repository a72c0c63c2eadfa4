"""Phases that explain a composition: least squares of formula units, with errors and a verdict."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.probes.edx.composition import Composition, composition, masses, parse_formula
from heterodot.units import Value

NO_ERRORS = "the table states no errors: taken from the misfit"
FOREIGN = 0.05  # of the atoms may be of elements that no phase has before it is no explanation
TYPICAL = 0.05  # relative error of EDX percentages where none is stated, for the verdict only


@dataclass(frozen=True)
class PhaseShare:
    """How much of a composition one phase is.

    Attributes
    ----------
    formula : str
    mole, mass, atoms : Value
        Its part of the formula units, of the mass and of the atoms.
    """

    formula: str
    mole: Value
    mass: Value
    atoms: Value


@dataclass(frozen=True, eq=False)
class PhaseMixture:
    """A composition as a mixture of phases.

    Attributes
    ----------
    shares : tuple of PhaseShare
    elements : tuple of str
    observed, expected : (n,) arrays
        Atomic percent found and of the mixture, of the elements that the phases have.
    chi2 : float or None
        Weighted sum of squared residuals; None where the table states no errors.
    freedom : int
        Elements less one, less phases but one.
    probability : float or None
        Of a worse fit by chance.
    rms : float
        Root mean square of the residuals, atomic percent.
    explained : bool or None
        Whether the phases explain the composition: probability above 1 %, or, without errors,
        residuals within three times 5 % of the entries; None with no freedom left.
    warnings : tuple of str
    """

    shares: tuple[PhaseShare, ...]
    elements: tuple[str, ...]
    observed: NDArray[np.float64]
    expected: NDArray[np.float64]
    chi2: float | None
    freedom: int
    probability: float | None
    rms: float
    explained: bool | None
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "phases": [
                {
                    "formula": s.formula,
                    "mole_fraction": s.mole.to_json(),
                    "mass_fraction": s.mass.to_json(),
                    "atom_fraction": s.atoms.to_json(),
                }
                for s in self.shares
            ],
            "observed_atomic_percent": dict(
                zip(self.elements, self.observed.tolist(), strict=True)
            ),
            "mixture_atomic_percent": dict(zip(self.elements, self.expected.tolist(), strict=True)),
            "chi2": self.chi2,
            "degrees_of_freedom": self.freedom,
            "probability": self.probability,
            "rms_atomic_percent": self.rms,
            "explained": self.explained,
            "warnings": list(self.warnings),
        }


def mixture(found: Composition, formulas: Sequence[str]) -> PhaseMixture:
    """Return the amounts of phases that come nearest to a composition.

    Parameters
    ----------
    found : Composition
    formulas : sequence of str
        Such as ``["CsPbBr3", "PbS"]``.

    Returns
    -------
    PhaseMixture

    Raises
    ------
    InputError
        No phase, one twice, two of the same proportions, or more phases than elements.

    Notes
    -----
    Elements that no phase has are left out and said; with more than 5 % of the atoms the phases count
    as no explanation. Amounts are not negative; the sum of all atoms is that of the composition. Without errors the
    residuals are weighted alike, and the errors of the shares come from the misfit. With stated
    errors they grow by the root of the reduced chi-square where it exceeds one.

    Examples
    --------
    >>> from heterodot.probes.edx import composition
    >>> table = composition({"Cs": 10, "Pb": 30, "Br": 30, "S": 20}, relative_error=3)
    >>> for share in mixture(table, ["CsPbBr3", "PbS"]).shares:
    ...     print(share.formula, f"{share.mole.value:.3f} +- {share.mole.error:.3f}")
    CsPbBr3 0.333 +- 0.008
    PbS 0.667 +- 0.008
    """
    elements, x, covariance, table, warnings = _tables(found, formulas)
    best = None
    for size in range(len(formulas), 0, -1):
        for active in itertools.combinations(range(len(formulas)), size):
            trial = _solved(x, covariance, table[:, active])
            if trial is None or (trial[0] < -1e-12).any():
                continue
            if best is None or trial[2] < best[1][2] - 1e-12:
                best = (active, trial)
        if best is not None and size == len(formulas):
            break  # nothing was forced to zero
    if best is None:
        raise InputError("no amounts of these phases come near", place="phases")
    active, (amounts, spread, chi2) = best
    n = np.zeros(len(formulas))
    n[list(active)] = amounts
    freedom = len(elements) - 1 - (len(formulas) - 1)
    full = np.zeros((len(formulas), len(formulas)))
    full[np.ix_(active, active)] = spread
    if covariance is None:
        full *= chi2 / freedom if freedom > 0 else math.nan
    elif freedom > 0:
        full *= max(chi2 / freedom, 1.0)
    expected = table @ n
    rest = x - expected
    for k, formula in enumerate(formulas):
        if k not in active:
            warnings.append(f"{formula} would come out negative: there is none of it")
    probability, explained = _verdict(chi2, freedom, covariance is not None, rest, x)
    if explained and 1 - sum(_inside(found, elements)) > FOREIGN:
        explained = False
    shares = _shares(formulas, n, full, table, elements, covariance is None, active)
    mixed = PhaseMixture(
        shares, elements, 100 * x, 100 * expected, chi2 if covariance is not None else None,
        freedom, probability, 100 * float(np.sqrt(np.mean(rest**2))), explained, (),
    )  # fmt: skip
    warnings += _misfit(mixed) + _swapped(found, formulas, mixed)
    return PhaseMixture(**{**vars(mixed), "warnings": tuple(warnings)})


def _inside(found: Composition, elements: Sequence[str]) -> list[float]:
    return [float(x) for e, x in zip(found.elements, found.fractions, strict=True) if e in elements]


def _tables(
    found: Composition, formulas: Sequence[str]
) -> tuple[tuple[str, ...], NDArray[np.float64], Any, NDArray[np.float64], list[str]]:
    """Return elements, fractions, their covariance, atoms of each phase, and remarks."""
    if not formulas:
        raise InputError("no phase is given", place="phases")
    if len(set(formulas)) < len(formulas):
        raise InputError("a phase is given twice", place="phases")
    counts = [parse_formula(f) for f in formulas]
    warnings = list(found.warnings)
    lacking = sorted({e for c in counts for e in c} - set(found.elements))
    elements = found.elements
    # an element of a phase that was not measured says nothing about the phases
    inside = np.array([any(e in c for c in counts) for e in elements])
    if not inside.any():
        raise InputError("none of the phases' elements was measured", place="phases")
    if lacking:
        warnings.append(f"{', '.join(lacking)} was not measured and is left out of the phases")
    names = tuple(e for e, i in zip(elements, inside, strict=True) if i)
    table = np.array([[c.get(e, 0.0) for c in counts] for e in names])
    if np.linalg.matrix_rank(table) < len(formulas):
        raise InputError(
            "the elements do not tell these phases apart", place="phases",
            remedy="give fewer, or measure another element",
        )  # fmt: skip
    part = found.fractions[inside]
    total = float(part.sum())
    if total <= 0:
        raise InputError("the phases' elements were found at 0 %", place="phases")
    for e, i, x in zip(elements, inside, found.fractions, strict=True):
        if not i and x > 0:
            warnings.append(
                f"{e} ({100 * x:.1f} atomic percent) is in none of the phases and left out"
            )
    jacobian = (np.eye(len(part)) - (part / total)[:, None]) / total
    covariance = None
    if found.covariance is not None:
        covariance = jacobian @ found.covariance[np.ix_(inside, inside)] @ jacobian.T
    return names, part / total, covariance, table, warnings


def _solved(
    x: NDArray[np.float64], covariance: NDArray[np.float64] | None, table: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float] | None:
    """Return amounts, their covariance and the weighted sum of squares; all atoms sum to one."""
    n = table.shape[1]
    weight: NDArray[np.float64] = np.eye(len(x))
    if covariance is not None:
        # fractions sum to one: the covariance says nothing in that direction, nor can the model
        floor = 1e-12 * max(float(np.trace(covariance)), 1e-12)
        weight = np.asarray(
            np.linalg.pinv(covariance + floor * np.eye(len(x)), rcond=1e-9), dtype=float
        )
    atoms = table.sum(0)
    system = np.zeros((n + 1, n + 1))
    system[:n, :n] = table.T @ weight @ table
    system[:n, n] = system[n, :n] = atoms
    right = np.concatenate([table.T @ weight @ x, [1.0]])
    try:
        inverse = np.linalg.inv(system)
    except np.linalg.LinAlgError:
        return None
    amounts = (inverse @ right)[:n]
    rest = x - table @ amounts
    return amounts, inverse[:n, :n], float(rest @ weight @ rest)


def _verdict(
    chi2: float, freedom: int, stated: bool, rest: NDArray[np.float64], x: NDArray[np.float64]
) -> tuple[float | None, bool | None]:
    from scipy.stats import chi2 as law

    if freedom <= 0:
        return None, None
    if stated:
        probability = float(law.sf(chi2, freedom))
        return probability, probability > 0.01
    return None, bool((np.abs(rest) < 3 * TYPICAL * np.maximum(x, 0.02)).all())


def _shares(
    formulas: Sequence[str],
    n: NDArray[np.float64],
    covariance: NDArray[np.float64],
    table: NDArray[np.float64],
    elements: Sequence[str],
    from_misfit: bool,
    active: Sequence[int],
) -> tuple[PhaseShare, ...]:
    unit_mass = np.array(
        [sum(c * masses([e])[0] for e, c in parse_formula(f).items()) for f in formulas]
    )
    parts = []
    for weight in (np.ones(len(n)), unit_mass, table.sum(0)):
        amount = n * weight
        total = amount.sum()
        share = amount / total
        jacobian = (np.diag(weight) - np.outer(share, weight)) / total
        parts.append((share, np.sqrt(np.maximum(np.diag(jacobian @ covariance @ jacobian.T), 0))))
    found = []
    for k, formula in enumerate(formulas):
        values = []
        for share, error in parts:
            sure = float(error[k]) if np.isfinite(error[k]) and k in active else None
            if len(active) == 1:
                sure = None
            reason = NO_ERRORS if from_misfit else "at its limit of zero, or alone"
            values.append(Value(float(share[k]), "", sure, reason))
        found.append(PhaseShare(formula, *values))
    return tuple(found)


def _misfit(found: PhaseMixture) -> list[str]:
    """Return a warning naming the elements that the phases do not explain."""
    if found.explained is not False:
        return []
    if found.probability is not None and found.probability > 0.01:
        return ["the phases lack elements that are there"]
    rest = found.observed - found.expected
    worst = np.argsort(-np.abs(rest))[:2]
    said = " and ".join(f"{found.elements[k]} by {rest[k]:+.1f}" for k in worst)
    return [f"the phases do not explain the composition: {said} atomic percent"]


def _swapped(found: Composition, formulas: Sequence[str], read: PhaseMixture) -> list[str]:
    """Return a warning if the numbers, read as the other kind of percent, fit far better."""
    if read.explained is not False or read.freedom <= 0:
        return []
    given = dict(zip(found.elements, found.as_given, strict=True))
    other = {"atomic": "mass", "mass": "atomic"}[found.kind]
    swapped = composition(given, kind=other)
    _elements, x, _, table, _ = _tables(swapped, formulas)
    trial = _solved(x, None, table)
    if trial is None or (trial[0] < 0).any():
        return []
    rms = 100 * float(np.sqrt(np.mean((x - table @ trial[0]) ** 2)))
    if rms > 0.35 * read.rms:
        return []
    return [
        f"read as {other} percent the phases fit far better (residual {rms:.1f} instead of "
        f"{read.rms:.1f} atomic percent): check the kind of percent"
    ]
