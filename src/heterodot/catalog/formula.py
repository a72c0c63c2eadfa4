"""Chemical formulas: atoms, molar mass and net formal charge of what a formula says."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from heterodot.errors import InputError

# Groups that chemists write as if they were elements; longest first.
_GROUPS: dict[str, dict[str, int]] = {
    "OAc": {"C": 2, "H": 3, "O": 2},
    "PMA": {"C": 7, "H": 10, "N": 1},
    "PEA": {"C": 8, "H": 12, "N": 1},
    "TMS": {"C": 3, "H": 9, "Si": 1},
    "MA": {"C": 1, "H": 6, "N": 1},
    "FA": {"C": 1, "H": 5, "N": 2},
    "BA": {"C": 4, "H": 12, "N": 1},
    "Ac": {"C": 2, "H": 3, "O": 1},
    "Et": {"C": 2, "H": 5},
    "Me": {"C": 1, "H": 3},
    "Bu": {"C": 4, "H": 9},
    "Ph": {"C": 6, "H": 5},
}
_ION = re.compile(r"^\[(?P<body>.+)\]\s*(?:(?P<n>\d+)\s*(?P<sign>[+-−])|(?P<bare>[+-−]))$")
_TOKEN = re.compile(r"\(|\)|\[|\]|[A-Z][A-Za-z]*|\d+\.?\d*|\.\d+")


def parse_formula(text: str, *, place: str = "") -> dict[str, float]:
    """Return the atoms of a formula.

    Brackets, fractional numbers, hydrates (``"Pb(OAc)2.3H2O"``) and the groups OAc, PMA, MA, FA,
    TMS and others are understood.

    Raises
    ------
    InputError
        It does not parse, or has something that is no element.

    Examples
    --------
    >>> parse_formula("Pb(OAc)2.3H2O")["H"]
    12.0
    >>> parse_formula("Pb4S2.9Br2.6")
    {'Pb': 4.0, 'S': 2.9, 'Br': 2.6}
    """
    stripped = text.strip()
    match = _ION.match(stripped)
    body = match["body"] if match else stripped
    total: dict[str, float] = {}
    # a dot followed by a number and a letter after a bracket or element is a hydrate
    parts = re.split(r"[·*•]|(?<=[\da-zA-Z)\]])\.(?=\d*H2O)", body)
    for part in parts:
        lead = re.match(r"(\d+\.?\d*)(?=[A-Z(\[])", part)
        factor = float(lead[1]) if lead else 1.0
        atoms = _group(part[lead.end() :] if lead else part, text, place)
        for element, count in atoms.items():
            total[element] = total.get(element, 0.0) + factor * count
    if not total:
        raise _bad(text, place)
    return total


def _bad(text: str, place: str) -> InputError:
    return InputError(
        f"'{text}' is not a formula that parses",
        place=place or None,
        remedy="write element symbols with their numbers, e.g. Pb4S3Br2",
    )


def _group(body: str, text: str, place: str) -> dict[str, float]:
    tokens = _TOKEN.findall(body)
    if "".join(tokens) != body.replace(" ", ""):
        raise _bad(text, place)
    stack: list[dict[str, float]] = [{}]
    last: dict[str, float] | None = None
    for token in tokens:
        if token in "([":
            stack.append({})
            last = None
        elif token in ")]":
            if len(stack) < 2:
                raise _bad(text, place)
            last = stack.pop()
            _add(stack[-1], last, 1.0)
        elif token[0].isdigit() or token[0] == ".":
            if last is None:
                raise _bad(text, place)
            _add(stack[-1], last, float(token) - 1.0)
            last = None
        else:
            for atoms in _split(token, text, place):
                _add(stack[-1], atoms, 1.0)
                last = atoms
    if len(stack) != 1:
        raise _bad(text, place)
    return {element: count for element, count in stack[0].items() if count > 0}


def _split(token: str, text: str, place: str) -> list[dict[str, float]]:
    """Return the elements and groups of a run of letters such as ``CsPbBr`` or ``CdOAc``."""
    known = _elements()
    found: list[dict[str, float]] = []
    while token:
        for size in (3, 2, 1):
            head = token[:size]
            # an element symbol wins over a group of the same letters, save at a capital
            if len(head) == size and head in known and (size == 2 or not token[1:2].islower()):
                found.append({head: 1.0})
                break
            if len(head) == size and head in _GROUPS and not token[size : size + 1].islower():
                found.append({e: float(n) for e, n in _GROUPS[head].items()})
                break
        else:
            raise _bad(text, place)
        token = token[size:]
    return found


def _add(into: dict[str, float], atoms: Mapping[str, float], factor: float) -> None:
    for element, count in atoms.items():
        into[element] = into.get(element, 0.0) + factor * count


@functools.cache
def _elements() -> frozenset[str]:
    from ase.data import chemical_symbols

    return frozenset(chemical_symbols[1:])


def molar_mass(atoms: Mapping[str, float]) -> float:
    """Return the molar mass, g/mol.

    Examples
    --------
    >>> round(molar_mass(parse_formula("PbBr2")), 1)
    367.0
    """
    from ase.data import atomic_masses, atomic_numbers

    return float(sum(atomic_masses[atomic_numbers[e]] * n for e, n in atoms.items()))


def stated_charge(text: str) -> int | None:
    """Return the charge that a formula in brackets states, ``"[PbBr6]4-"`` giving -4, or None."""
    match = _ION.match(text.strip())
    if match is None:
        return None
    sign = match["sign"] or match["bare"]
    return int(match["n"] or 1) * (1 if sign == "+" else -1)


# Cations that do mix two states in one crystal; lead in Pb4S3Br2 does not.
_MIXING = frozenset({"Cu", "Fe", "Mn", "Co", "Eu", "Ti", "Ag", "Au", "Yb"})
# With oxygen these make ions of their own (nitrate, sulfate), where no simple state holds.
_OXO = frozenset({"C", "N", "P", "S", "Se", "As", "Cl", "Br", "I", "Si", "B"})


def net_charge(
    atoms: Mapping[str, float],
    charges: Mapping[str, float] | None = None,
    *,
    expected: float = 0.0,
) -> tuple[float, dict[str, float]] | None:
    """Return the net formal charge and the charge taken for each element.

    Common oxidation states are tried until the net charge is ``expected``; where none gives it,
    the most common states are used.

    Parameters
    ----------
    atoms : mapping of element to number
    charges : mapping of element to formal charge, optional
        Used as given, nothing is tried.
    expected : float
        Charge that the formula should have, e.

    Returns
    -------
    tuple or None
        None where a state is not known, for one element alone, and for molecules and oxo-ions.

    Examples
    --------
    >>> net_charge({"Pb": 4, "Br": 3, "S": 2})
    (1.0, {'Pb': 2.0, 'Br': -1.0, 'S': -2.0})
    """
    import itertools

    if charges is not None:
        if set(atoms) - set(charges):
            return None
        used = {e: float(charges[e]) for e in atoms}
        return sum(used[e] * n for e, n in atoms.items()), used
    states = _states(atoms)
    if states is None:
        return None
    picks = itertools.product(*[range(len(states[e])) for e in atoms])
    for pick in sorted(picks, key=sum):
        used = {e: float(states[e][k]) for e, k in zip(atoms, pick, strict=True)}
        net = sum(used[e] * n for e, n in atoms.items())
        if abs(net - expected) < 1e-9:
            return net, used
    usual = {e: float(states[e][0]) for e in atoms}
    net = sum(usual[e] * n for e, n in atoms.items())
    for element in atoms:
        if element not in _MIXING or len(states[element]) < 2:
            continue
        mean = usual[element] + (expected - net) / atoms[element]
        if min(states[element]) <= mean <= max(states[element]):
            return expected, {**usual, element: mean}
    return net, usual


def _states(atoms: Mapping[str, float]) -> dict[str, tuple[int, ...]] | None:
    from heterodot.charges import STATES

    if len(atoms) < 2 or "C" in atoms or any(e not in STATES for e in atoms):
        return None
    if ("O" in atoms and _OXO & set(atoms)) or {"N", "H"} <= set(atoms):
        return None
    found = {e: STATES[e] for e in atoms}
    if "Pb" in found and not {"O", "F"} & set(atoms):
        found["Pb"] = (2,)  # tetravalent lead is met with oxygen and fluorine only
    return found
