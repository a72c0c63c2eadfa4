"""Formal charges of the elements of a compound from their common oxidation states."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

# Oxidation states in the order in which they are tried (Greenwood and Earnshaw, Chemistry of the
# Elements, 2nd ed., 1997); only elements met in ionic nanocrystals and their usual states.
STATES: dict[str, tuple[int, ...]] = {
    "H": (1,), "Li": (1,), "Na": (1,), "K": (1,), "Rb": (1,), "Cs": (1,), "Ag": (1,),
    "Cu": (1, 2), "Au": (1, 3), "Tl": (1, 3), "In": (3, 1),
    "Be": (2,), "Mg": (2,), "Ca": (2,), "Sr": (2,), "Ba": (2,), "Zn": (2,), "Cd": (2,),
    "Hg": (2,), "Mn": (2, 3, 4), "Fe": (2, 3), "Co": (2, 3), "Ni": (2,), "Pb": (2, 4),
    "Sn": (2, 4), "Ge": (4, 2), "Eu": (2, 3), "Yb": (3, 2),
    "Al": (3,), "Ga": (3,), "Sc": (3,), "Y": (3,), "La": (3,), "Bi": (3,), "Sb": (3, 5),
    "Ti": (4, 3), "Zr": (4,), "Hf": (4,), "Si": (4,), "C": (4, -4),
    "F": (-1,), "Cl": (-1,), "Br": (-1,), "I": (-1,),
    "O": (-2,), "S": (-2,), "Se": (-2,), "Te": (-2,), "N": (-3,), "P": (-3, 5), "As": (-3, 3),
}  # fmt: skip

# Pauling electronegativities (CRC Handbook of Chemistry and Physics, 97th ed., section 9).
PAULING: dict[str, float] = {
    "Cs": 0.79, "Rb": 0.82, "K": 0.82, "Ba": 0.89, "Na": 0.93, "Sr": 0.95, "Li": 0.98,
    "Ca": 1.00, "La": 1.10, "Y": 1.22, "Mg": 1.31, "Zr": 1.33, "Hf": 1.3, "Sc": 1.36,
    "Ti": 1.54, "Mn": 1.55, "Be": 1.57, "Al": 1.61, "Zn": 1.65, "Cd": 1.69, "In": 1.78,
    "Ga": 1.81, "Fe": 1.83, "Pb": 1.87, "Co": 1.88, "Cu": 1.90, "Si": 1.90, "Ni": 1.91,
    "Ag": 1.93, "Sn": 1.96, "Hg": 2.00, "Ge": 2.01, "Bi": 2.02, "Tl": 1.62, "B": 2.04,
    "Sb": 2.05, "Te": 2.1, "As": 2.18, "P": 2.19, "H": 2.20, "Au": 2.54, "C": 2.55,
    "Se": 2.55, "S": 2.58, "I": 2.66, "Br": 2.96, "N": 3.04, "Cl": 3.16, "O": 3.44, "F": 3.98,
}  # fmt: skip


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
