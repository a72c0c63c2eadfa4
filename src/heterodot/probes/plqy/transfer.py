"""Transfer efficiency from emission counts: the printed form, the right one, and a calibration.

For an acceptor (PbS) and a donor (perovskite) in one particle, N exciting photons give

    printed    PL = c N phi (A_acceptor + eta A_donor)
    absorbed   PL = c N phi (f_acceptor + eta f_donor),   f_i = A_i / A (1 - 10^-A), A = sum A_i

with phi the yield of the acceptor *on its own* and c what share of the photons is counted. The
printed form of Yang (2024) has no c and takes absorbances for absorbed shares; phi was taken from
the heterostructure itself, which already holds what was transferred.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.probes.emission.excitation import absorbed_shares
from heterodot.probes.uncertainty import propagate
from heterodot.units import Value

Array = NDArray[np.float64]

FORMS = ("absorbed", "printed")
CIRCULAR = (
    "the acceptor's yield must be that of the bare acceptor; one measured in the heterostructure "
    "already holds the transferred carriers"
)


@dataclass(frozen=True)
class TransferRow:
    """One sample of a transfer table.

    Attributes
    ----------
    name : str
    emission : Value
        Counts of the acceptor's emission.
    exciting : Value
        Exciting photons, counts.
    acceptor, donor : Value
        Absorbances at the exciting wavelength.
    quantum_yield : Value
        Of the acceptor.
    stated : Value or None
        Efficiency that the table prints, as a fraction.
    """

    name: str
    emission: Value
    exciting: Value
    acceptor: Value
    donor: Value
    quantum_yield: Value
    stated: Value | None = None


@dataclass(frozen=True)
class Consistency:
    """Whether one calibration carries a table's inputs to its printed efficiencies.

    Attributes
    ----------
    form : str
        ``"absorbed"`` or ``"printed"``.
    factor : Value
        Calibration c that fits the rows that agree with each other.
    needed : tuple of Value
        c that each row needs by itself.
    computed : tuple of Value
        Efficiency of each row with ``factor``.
    uncalibrated : tuple of Value
        Efficiency of each row with c = 1, as the printed equation reads.
    consistent : tuple of bool
        Whether each row needs the same c within its errors (three standard deviations).
    warnings : tuple of str
    """

    form: str
    factor: Value
    needed: tuple[Value, ...]
    computed: tuple[Value, ...]
    uncalibrated: tuple[Value, ...]
    consistent: tuple[bool, ...]
    warnings: tuple[str, ...] = ()


def _shares(acceptor: float, donor: float, form: str) -> tuple[float, float]:
    if form == "printed":
        return acceptor, donor
    f_donor, f_acceptor = absorbed_shares(np.array([donor]), np.array([acceptor]))
    return float(f_acceptor[0]), float(f_donor[0])


def _check(row: TransferRow, form: str) -> None:
    if form not in FORMS:
        raise InputError(f"'{form}' is not a form", remedy=f"choose among {', '.join(FORMS)}")
    for name in ("exciting", "donor", "quantum_yield"):
        value: Value = getattr(row, name)
        if not value.value > 0:
            raise InputError(f"{name} is {value}, not positive", place=f"row '{row.name}'")
    if row.quantum_yield.value > 1:
        raise InputError(
            f"a quantum yield of {row.quantum_yield} is more than one",
            place=f"row '{row.name}'",
            remedy="give fractions, not percent",
        )


def transfer_efficiency(
    row: TransferRow, *, form: str = "absorbed", calibration: Value | None = None
) -> Value:
    """Return eta of one sample.

    Parameters
    ----------
    row : TransferRow
    form : {"absorbed", "printed"}
    calibration : Value, optional
        Share of photons that is counted; one if not given (as the printed equation has it).

    Raises
    ------
    InputError
        An unknown form, or inputs that are not positive.

    Examples
    --------
    >>> row = TransferRow("1:1", *(Value(x, "") for x in (131987, 3011395668, 0.022, 0.138, 0.025)))
    >>> round(100 * transfer_efficiency(row, form="printed").value, 2)
    -14.67
    """
    _check(row, form)
    c = calibration or Value(1.0, "", 0.0)

    def eta(pl: float, n: float, a: float, d: float, q: float, c: float) -> float:
        f_a, f_d = _shares(a, d, form)
        return (pl / (n * q * c) - f_a) / f_d

    inputs = [row.emission, row.exciting, row.acceptor, row.donor, row.quantum_yield, c]
    return propagate(eta, inputs, "")


def needed_calibration(row: TransferRow, *, form: str = "absorbed") -> Value:
    """Return the calibration with which a row gives its stated efficiency."""
    _check(row, form)
    if row.stated is None:
        raise InputError("the row states no efficiency", place=f"row '{row.name}'")

    def factor(pl: float, n: float, a: float, d: float, q: float, eta: float) -> float:
        f_a, f_d = _shares(a, d, form)
        return pl / (n * q * (f_a + eta * f_d))

    inputs = [row.emission, row.exciting, row.acceptor, row.donor, row.quantum_yield, row.stated]
    return propagate(factor, inputs, "")


def consistency(rows: Sequence[TransferRow], *, form: str = "absorbed") -> Consistency:
    """Test row by row whether one calibration explains the stated efficiencies.

    The factor is the one with which most rows agree; rows outside three standard deviations of
    it (their own inputs' errors, e.g. of rounding) are named with what they would have to state.

    Raises
    ------
    InputError
        Fewer than two rows, or a row without a stated efficiency.
    """
    rows = list(rows)
    if len(rows) < 2:
        raise InputError(f"{len(rows)} row(s)", place="transfer table", remedy="give at least two")
    needed = [needed_calibration(row, form=form) for row in rows]
    numbers = np.array([n.value for n in needed])
    errors = np.array([n.error or 1e-4 * abs(n.value) for n in needed])
    agree = _largest_agreement(numbers, errors)
    weight = 1.0 / errors[agree] ** 2
    mean = float(np.sum(weight * numbers[agree]) / weight.sum())
    chi2 = float(np.sum(weight * (numbers[agree] - mean) ** 2)) / max(int(agree.sum()) - 1, 1)
    factor = Value(mean, "", float(math.sqrt(max(chi2, 1.0) / weight.sum())))
    computed = tuple(transfer_efficiency(r, form=form, calibration=factor) for r in rows)
    plain = tuple(transfer_efficiency(r, form=form) for r in rows)
    flags = tuple(bool(a) for a in agree)
    warnings = [CIRCULAR]
    negative = [r.name for r, p in zip(rows, plain, strict=True) if p.value < 0]
    if negative:
        warnings.append(
            f"without a calibration the equation gives negative efficiencies for "
            f"{', '.join(negative)}"
        )
    for row, eta, ok in zip(rows, computed, flags, strict=True):
        if not ok and row.stated is not None:
            warnings.append(
                f"row '{row.name}' states {100 * row.stated.value:.2f} %, with the calibration of "
                f"the others its inputs give {100 * eta.value:.2f} %"
            )
    if agree.sum() < 0.6 * len(rows):
        warnings.append(
            f"no single calibration explains the table in the {form} form: the factors needed go "
            f"from {numbers.min():.4g} to {numbers.max():.4g}"
        )
    return Consistency(form, factor, tuple(needed), computed, plain, flags, tuple(warnings))


def _largest_agreement(numbers: Array, errors: Array) -> NDArray[np.bool_]:
    best = np.zeros(len(numbers), bool)
    score: tuple[int, float] = (0, -math.inf)
    for number in numbers:
        agree = np.abs(numbers - number) <= 3 * errors
        spread = -float(np.sum(((numbers - number) / errors)[agree] ** 2))
        if (int(agree.sum()), spread) > score:
            best, score = agree, (int(agree.sum()), spread)
    return best


def rounding_error(column: Array) -> float:
    """Return the standard deviation that rounding leaves in a column of printed numbers.

    The last digit is the coarsest power of ten of which all numbers are multiples; rounding
    errors are uniform over it.

    Examples
    --------
    >>> round(rounding_error(np.array([0.022, 0.14])), 7)
    0.0002887
    """
    column = np.asarray(column, dtype=float)
    column = column[column != 0]
    for digits in range(-6, 13):
        units = np.abs(column) * 10.0**digits
        whole = np.round(units)
        if (
            len(column)
            and (whole >= 1).all()
            and np.all(np.abs(units - whole) < 1e-6 + 1e-12 * units)
        ):
            return float(10.0**-digits / math.sqrt(12.0))
    return 0.0
