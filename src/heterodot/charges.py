"""Formal charges of the elements of a compound from their common oxidation states."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def _elements() -> dict[str, dict[str, Any]]:
    # read from beside the catalog's text, not through `heterodot.catalog`, which imports crystals
    path = Path(__file__).parent / "catalog" / "data" / "elements.json"
    found: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["elements"]
    return found


_ELEMENTS = _elements()

# Oxidation states in the order in which they are tried; only elements met in ionic nanocrystals
# and their usual states. Sources stand in the data file.
STATES: dict[str, tuple[int, ...]] = {
    element: tuple(record["oxidation_states"])
    for element, record in _ELEMENTS.items()
    if "oxidation_states" in record
}

# Pauling electronegativities.
PAULING: dict[str, float] = {
    element: float(record["electronegativity"])
    for element, record in _ELEMENTS.items()
    if "electronegativity" in record
}


def formal_charges(counts: Mapping[str, int]) -> dict[str, float] | None:
    """Return a formal charge per element that makes the compound neutral, or None.

    One state per element is tried in the order of commonness. Where none is neutral and exactly
    one element is a cation with several states (Cu in Cu9S5), that cation gets the mean charge
    that balances the anions, if it lies within its states.

    Parameters
    ----------
    counts : mapping of element to number of atoms

    Returns
    -------
    dict or None
        None where the states are unknown, where no choice is neutral, or for an element alone
        other than a metal (a metal alone is neutral, with zero charge).

    Examples
    --------
    >>> formal_charges({"Cs": 1, "Pb": 1, "Cl": 3})
    {'Cs': 1.0, 'Pb': 2.0, 'Cl': -1.0}
    >>> formal_charges({"Cu": 9, "S": 5})["Cu"]
    1.1111...
    >>> formal_charges({"Fe": 1, "Xe": 1}) is None
    True
    """
    if len(counts) == 1:
        return dict.fromkeys(counts, 0.0)
    if any(element not in STATES for element in counts):
        return None
    elements = list(counts)
    choices = [STATES[element] for element in elements]
    ordered = sorted(
        itertools.product(*[range(len(states)) for states in choices]), key=lambda pick: sum(pick)
    )
    for pick in ordered:
        states = [choices[i][k] for i, k in enumerate(pick)]
        if sum(q * counts[e] for q, e in zip(states, elements, strict=True)) == 0:
            return {e: float(q) for e, q in zip(elements, states, strict=True)}
    cations = [e for e in elements if STATES[e][0] > 0]
    loose = [e for e in cations if len(STATES[e]) > 1]
    if len(loose) == 1 and len(cations) < len(elements):
        rest = sum(STATES[e][0] * counts[e] for e in elements if e != loose[0])
        mean = -rest / counts[loose[0]]
        if min(STATES[loose[0]]) <= mean <= max(STATES[loose[0]]):
            return {e: mean if e == loose[0] else float(STATES[e][0]) for e in elements}
    return None
