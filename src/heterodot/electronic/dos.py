"""Density of states by domain and element, localization, and trap states of any calculation.

Works on orbitals of CP2K or of our tight binding alike: all it needs is the weight of every atom
in every orbital.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.errors import InputError
from heterodot.units import Value

if TYPE_CHECKING:
    from heterodot.electronic.atomistic import AtomisticLevels
    from heterodot.energy.cp2k_output import Cp2kResult

ENVELOPE = (3 / 2) ** 3
"""Participation of a box state against an even one: the mean of sin^4 over the square of that of
sin^2 is 3/2 in each direction, for every quantum number."""

CONFINED = 2.0**3
"""A trap fits into a box of half the edge of its domain."""


@dataclass(frozen=True, eq=False)
class Orbitals:
    """Energies and atomic weights of the orbitals of one calculation.

    Attributes
    ----------
    energies : (k,) array
        eV, ascending.
    occupations : (k,) array
        0 to 1 (to 2 for spatial orbitals).
    weights : (n_atoms, k) array
        Population of each atom in each orbital, not negative; columns add up to one.
    symbols : tuple of str, n_atoms
    domain : (n_atoms,) int array
        -1 for atoms of no domain.
    names : tuple of str
        Names of the domains.
    source : str
        Program and version.
    population : str
        What the weights are (``"Lowdin"``, ``"orthogonal tight binding"``).
    notes : tuple of str

    Examples
    --------
    >>> two = Orbitals([-5.0, -4.0], [1, 0], np.eye(2), ("Pb", "S"), [0, 0], ("PbS",))
    >>> float(participation(two.weights)[0])
    1.0
    """

    energies: NDArray[np.float64]
    occupations: NDArray[np.float64]
    weights: NDArray[np.float64]
    symbols: tuple[str, ...]
    domain: NDArray[np.int64]
    names: tuple[str, ...]
    source: str = ""
    population: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check shapes, sort by energy, normalize the weights."""
        e = np.asarray(self.energies, dtype=float)
        order = np.argsort(e, kind="stable")
        w = np.asarray(self.weights, dtype=float)
        n, k = len(self.symbols), len(e)
        if w.shape != (n, k) or np.asarray(self.domain).shape != (n,):
            raise InputError(
                f"weights are {w.shape} for {n} atoms and {k} orbitals",
                place="dos",
                remedy="give the particle that was calculated, with its atoms in the same order",
            )
        if not np.isfinite(w).all() or not np.isfinite(e).all():
            raise InputError("an energy or weight is not a number", place="dos")
        negative = float(w.min(initial=0.0))
        w = np.maximum(w, 0.0)
        total = w.sum(axis=0)
        if (total <= 0).any():
            raise InputError("an orbital has no weight on any atom", place="dos")
        object.__setattr__(self, "energies", e[order])
        object.__setattr__(self, "occupations", np.asarray(self.occupations, float)[order])
        object.__setattr__(self, "weights", (w / total)[:, order])
        object.__setattr__(self, "domain", np.asarray(self.domain, dtype=np.int64))
        if negative < -0.02:
            note = f"negative populations down to {negative:.2f} were set to zero"
            object.__setattr__(self, "notes", (*self.notes, note))

    @property
    def filled(self) -> NDArray[np.bool_]:
        """Which orbitals are filled (more than half of the largest occupation)."""
        return np.asarray(self.occupations > 0.5 * max(float(self.occupations.max()), 1e-9))

    def shares(self) -> dict[str, NDArray[np.float64]]:
        """Return the share of every domain (and of ligands) in every orbital, (k,) each."""
        found = {
            name: self.weights[self.domain == m].sum(axis=0) for m, name in enumerate(self.names)
        }
        if (self.domain < 0).any():
            found["ligands"] = self.weights[self.domain < 0].sum(axis=0)
        return found

    @classmethod
    def from_levels(
        cls, levels: AtomisticLevels, symbols: Sequence[str], domain: ArrayLike
    ) -> Orbitals:
        """Return the orbitals of a tight-binding calculation."""
        return cls(
            levels.energies,
            levels.occupied.astype(float),
            levels.populations,
            tuple(symbols),
            np.asarray(domain),
            tuple(levels.domains),
            "Heterodot tight binding",
            "orthogonal tight binding",
            levels.notes,
        )

    @classmethod
    def from_cp2k(
        cls, result: Cp2kResult, domain: ArrayLike | None = None, names: Sequence[str] = ()
    ) -> Orbitals:
        """Return the orbitals of a CP2K run that projected on every atom.

        Raises
        ------
        InputError
            The run has no projected states, or none by atom.
        """
        from heterodot.electronic.dos_sources import from_cp2k

        return from_cp2k(result, domain, names)


# -------------------------------------------------------------------- localization


def participation(weights: ArrayLike, definition: str = "population") -> NDArray[np.float64]:
    """Return the inverse participation ratio of each orbital, (k,).

    Parameters
    ----------
    weights : (n, k) array
        Atomic populations (columns need not be normalized).
    definition : str
        ``"population"``: ``sum p^2 / (sum p)^2``, one over the number of atoms that share the
        orbital evenly. ``"amplitude"``: ``sum P^4 / (sum P^2)^2`` with the given numbers as P, the
        formula that is often printed; with P a population it is another, larger measure, with
        P the square root of a population it is the first one. Both run from 1/n to 1.

    Raises
    ------
    InputError
        Another definition.

    Examples
    --------
    >>> p = np.array([[0.5, 0.9], [0.5, 0.1]])
    >>> participation(p).round(2).tolist(), participation(p, "amplitude").round(2).tolist()
    ([0.5, 0.82], [0.5, 0.98])
    """
    p = np.asarray(weights, dtype=float)
    if definition == "amplitude":
        p = p**2
    elif definition != "population":
        raise InputError(
            f"'{definition}' is not a participation ratio", remedy="population or amplitude"
        )
    return np.asarray((p**2).sum(axis=0) / p.sum(axis=0) ** 2)


@dataclass(frozen=True, eq=False)
class Traps:
    """Which orbitals are traps, and by what measure.

    Attributes
    ----------
    ratio : (k,) array
        Participation ratio over that of an extended state with the same shares of domains and
        elements: about 1 for a box state, m for one in the m-th part of the volume.
    limit : float
        Orbitals above it are traps.
    threshold : (k,) array
        The same limit as a participation ratio (what others set to 0.03 by hand).
    is_trap : (k,) bool array
    gap : Value
        Gap between the frontier orbitals that are no traps, eV; its error is half the change of the
        gap when the limit is halved or doubled.
    raw_gap : float
        Gap with traps left in, eV.
    homo, lumo : int
        Frontier orbitals without traps.
    criterion : str
        The rule in words.
    """

    ratio: NDArray[np.float64]
    limit: float
    threshold: NDArray[np.float64]
    is_trap: NDArray[np.bool_]
    gap: Value
    raw_gap: float
    homo: int
    lumo: int
    criterion: str


def extended_participation(orbitals: Orbitals) -> NDArray[np.float64]:
    """Return the participation ratio that each orbital would have as an extended box state, (k,).

    With share ``f`` of each element of each domain spread over its ``n`` atoms under the envelope
    of a particle in a box, the ratio is ``(3/2)^3 sum f^2 / n``.
    """
    expected = np.zeros(len(orbitals.energies))
    symbols = np.array(orbitals.symbols)
    for m in np.unique(orbitals.domain):
        for element in np.unique(symbols[orbitals.domain == m]):
            here = (orbitals.domain == m) & (symbols == element)
            share = orbitals.weights[here].sum(axis=0)
            expected += share**2 / int(here.sum())
    return np.asarray(ENVELOPE * expected)


def find_traps(orbitals: Orbitals, limit: float = CONFINED) -> Traps:
    """Return which orbitals are traps by a criterion derived from the body itself.

    An orbital is a trap if it is confined more tightly than a box state of half the edge of its
    domain: ``IPR > limit (3/2)^3 sum f^2 / n`` with ``limit = 2^3``. For a body of 900 atoms that
    share evenly this is 0.03, the value that is often taken by hand; for other sizes it follows
    the size.

    Raises
    ------
    InputError
        No filled or no empty orbital, or only traps.
    """
    ipr = participation(orbitals.weights)
    ratio = ipr / extended_participation(orbitals)
    filled = orbitals.filled
    if not filled.any() or filled.all():
        raise InputError(
            "there are no " + ("empty" if filled.any() else "filled") + " orbitals",
            place="dos",
            remedy="compute some above and below the gap (n_lumo)",
        )

    def frontier(bound: float) -> tuple[int, int] | None:
        good = ratio <= bound
        below, above = np.flatnonzero(filled & good), np.flatnonzero(~filled & good)
        return (int(below[-1]), int(above[0])) if len(below) and len(above) else None

    found = frontier(limit)
    if found is None:
        raise InputError(
            "every orbital on one side of the gap is a trap",
            place="dos",
            remedy="compute more orbitals, relax or passivate the particle, or raise the limit",
        )
    homo, lumo = found
    e = orbitals.energies
    others = []
    for bound in (limit / 2, limit * 2):
        other = frontier(bound)
        if other is not None:
            others.append(float(e[other[1]] - e[other[0]]))
    gap = float(e[lumo] - e[homo])
    error = 0.5 * (max([*others, gap]) - min([*others, gap])) if len(others) == 2 else None
    reason = None if error is not None else "at half the limit one side of the gap has only traps"
    return Traps(
        ratio,
        limit,
        limit * ipr / np.maximum(ratio, 1e-300),
        ratio > limit,
        Value(gap, "eV", error, reason),
        float(e[~filled][0] - e[filled][-1]),
        homo,
        lumo,
        f"confined more tightly than in 1/{limit:g} of the volume of its domain",
    )


# -------------------------------------------------------------------- density of states


@dataclass(frozen=True, eq=False)
class DensityOfStates:
    """Density of states, total and by group.

    Attributes
    ----------
    energies : (m,) array
        eV.
    total : (m,) array
        States per eV.
    parts : mapping of name to (m,) array
        Domains (``"CsPbCl3"``) or elements of domains (``"CsPbCl3 Pb"``); domains add up to the
        total.
    sigma : float
        Gaussian broadening, eV.
    """

    energies: NDArray[np.float64]
    total: NDArray[np.float64]
    parts: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    sigma: float = 0.1


def density_of_states(
    orbitals: Orbitals,
    *,
    by: str = "domain",
    sigma: float = 0.1,
    grid: ArrayLike | None = None,
) -> DensityOfStates:
    """Return the broadened density of states by ``"domain"``, ``"element"`` or ``"both"``.

    Raises
    ------
    InputError
        A broadening that is not positive, or another grouping.
    """
    if not (np.isfinite(sigma) and sigma > 0):
        raise InputError(f"a broadening of {sigma}", place="dos", remedy="give eV above zero")
    e = orbitals.energies
    axis = (
        np.arange(e.min() - 5 * sigma, e.max() + 5 * sigma, sigma / 5)
        if grid is None
        else np.asarray(grid, dtype=float)
    )
    shape = np.exp(-0.5 * ((axis[:, None] - e[None, :]) / sigma) ** 2) / (
        sigma * np.sqrt(2 * np.pi)
    )
    symbols = np.array(orbitals.symbols)
    parts: dict[str, NDArray[np.float64]] = {}
    domains = [
        *enumerate(orbitals.names),
        *([(-1, "ligands")] if (orbitals.domain < 0).any() else []),
    ]
    if by in ("domain", "both"):
        for m, name in domains:
            parts[name] = shape @ orbitals.weights[orbitals.domain == m].sum(axis=0)
    if by == "element":
        for element in sorted(set(orbitals.symbols)):
            parts[element] = shape @ orbitals.weights[symbols == element].sum(axis=0)
    elif by == "both":
        for m, name in domains:
            for element in sorted(set(symbols[orbitals.domain == m])):
                here = (orbitals.domain == m) & (symbols == element)
                parts[f"{name} {element}"] = shape @ orbitals.weights[here].sum(axis=0)
    elif by != "domain":
        raise InputError(f"'{by}' is not a grouping", remedy="domain, element or both")
    return DensityOfStates(axis, shape.sum(axis=1), parts, sigma)


def summary(orbitals: Orbitals, traps: Traps) -> dict[str, Any]:
    """Return frontier orbitals, gaps and traps as plain data."""
    shares = orbitals.shares()
    population = participation(orbitals.weights)
    amplitude = participation(orbitals.weights, "amplitude")
    exact = "eigenvalue of the calculation; its model error is not known here"

    def one(k: int) -> dict[str, Any]:
        return {
            "index": k,
            "energy": Value(float(orbitals.energies[k]), "eV", None, exact).to_json(),
            "domains": {name: float(share[k]) for name, share in shares.items()},
            "participation_population": float(population[k]),
            "participation_amplitude": float(amplitude[k]),
            "confinement_ratio": float(traps.ratio[k]),
            "trap": bool(traps.is_trap[k]),
        }

    return {
        "source": orbitals.source,
        "population": orbitals.population,
        "homo": one(traps.homo),
        "lumo": one(traps.lumo),
        "gap": traps.gap.to_json(),
        "gap_with_traps": Value(traps.raw_gap, "eV", None, exact).to_json(),
        "criterion": {
            "text": traps.criterion,
            "limit": traps.limit,
            "threshold_at_homo": float(traps.threshold[traps.homo]),
            "threshold_at_lumo": float(traps.threshold[traps.lumo]),
        },
        "traps": [one(int(k)) for k in np.flatnonzero(traps.is_trap)],
        "notes": [*orbitals.notes, *_inverted(traps)],
    }


def _inverted(traps: Traps) -> list[str]:
    if traps.raw_gap >= 0:
        return []
    return [
        f"a filled orbital lies {-traps.raw_gap:.3f} eV above an empty one: this is not a ground "
        "state; smear the occupations, relax the particle, or passivate it"
    ]


def read_orbitals(
    path: str | Path, domain: ArrayLike | None = None, names: Sequence[str] = ()
) -> Orbitals:
    """Return the orbitals of a calculation (`heterodot.electronic.dos_sources.read_orbitals`)."""
    from heterodot.electronic import dos_sources

    return dos_sources.read_orbitals(path, domain, names)
