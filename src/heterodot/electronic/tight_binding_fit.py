"""Fit a nearest-neighbor sp3 set to measured edges, masses and levels of a cubic crystal.

For materials without a published set at hand: unknowns are the four levels and five hoppings,
started from Harrison's universal hoppings (W. A. Harrison, Elementary Electronic Structure, World
Scientific (1999)) and held near them where the targets leave them free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.electronic.tight_binding import (
    HOPPINGS,
    Hopping,
    TightBindingSet,
    bloch_hamiltonian,
    occupied,
    special_point,
)
from heterodot.errors import InputError, NotFoundError

#: Harrison's factors of hbar^2/(m d^2): ss, sp, pp sigma, pp pi
HARRISON = {"ss": -1.32, "sp": 1.42, "pps": 2.22, "ppp": -0.63}


@dataclass(frozen=True)
class Target:
    """One thing that the bands should reproduce.

    Attributes
    ----------
    kind : str
        ``"level"`` (energy of a band at a point against the valence edge) or ``"mass"``.
    point : str
        ``"L"``, ``"Gamma"``, ``"X_fcc"``.
    band : int
        Kramers pairs counted from the valence edge: 0 is the highest filled pair, 1 the lowest
        empty one, -1 the next filled one.
    value, error : float
        eV, or electron masses (both kinds of carrier positive).
    direction : three floats, optional
        Of the mass.
    """

    kind: str
    point: str
    band: int
    value: float
    error: float
    direction: tuple[float, float, float] = (1.0, 0.0, 0.0)


def harrison_hopping(distance: float) -> Hopping:
    """Return the universal hoppings at a distance (Å), eV.

    Examples
    --------
    >>> round(harrison_hopping(2.35).ss, 2)
    -1.82
    """
    from scipy import constants as c

    unit = c.hbar**2 / (c.m_e * c.e) * 1e20 / distance**2
    sp = HARRISON["sp"] * unit
    return Hopping(
        distance, HARRISON["ss"] * unit, sp, sp, HARRISON["pps"] * unit, HARRISON["ppp"] * unit
    )


def fit_set(
    start: TightBindingSet,
    crystal: Crystal,
    targets: list[Target],
    *,
    spread: Mapping[str, float] | None = None,
) -> tuple[TightBindingSet, NDArray[np.float64]]:
    """Return the set whose bands meet the targets, and the remaining misses in units of error.

    Parameters
    ----------
    start : TightBindingSet
        Levels and hoppings to start from; spin-orbit factors are kept.
    crystal : Crystal
        Conventional cubic cell.
    targets : list of Target
    spread : mapping, optional
        How far ``level`` (eV) and ``hopping`` (relative) may stray from the start.

    Raises
    ------
    NotFoundError
        The targets cannot be met within three times their errors.
    """
    from scipy.optimize import least_squares

    limits = {"level": 2.0, "hopping": 0.3, **(spread or {})}
    elements = sorted(start.orbitals)
    names = [(e, key) for e in elements for key in start.orbitals[e]]
    pair = next(p for p in start.hoppings if p[0] == start.metal)
    base = start.hoppings[pair]
    used = [key for key in HOPPINGS if getattr(base, key) != 0.0]
    cell = crystal.primitive()
    filled = occupied(start, cell)

    def build(x: NDArray[np.float64]) -> TightBindingSet:
        orbitals = {e: dict(levels) for e, levels in start.orbitals.items()}
        for (e, key), move in zip(names, x, strict=False):
            orbitals[e][key] += limits["level"] * float(move)
        factors = {
            key: getattr(base, key) * float(np.exp(limits["hopping"] * m))
            for key, m in zip(used, x[len(names) :], strict=True)
        }
        hopping = replace(base, **factors)
        hoppings = {**start.hoppings, pair: hopping, pair[::-1]: hopping.turned()}
        return replace(start, orbitals=orbitals, hoppings=hoppings)

    def misses(x: NDArray[np.float64]) -> NDArray[np.float64]:
        found = predictions(build(x), crystal, cell, filled, targets)
        return np.array([(f - t.value) / t.error for f, t in zip(found, targets, strict=True)])

    solution = least_squares(
        lambda x: np.concatenate([misses(x), x]), np.zeros(len(names) + len(used)), max_nfev=400
    )
    rest = misses(solution.x)
    if np.abs(rest).max() > 3.0:
        worst = targets[int(np.abs(rest).argmax())]
        raise NotFoundError(
            f"no nearest-neighbor sp3 set meets the targets of {start.name}: {worst.kind} at "
            f"{worst.point} misses {worst.value:g} by {np.abs(rest).max():.1f} errors",
            place="fit_set",
            remedy="loosen it or widen the spread",
        )
    return build(solution.x), rest


def predictions(
    parameters: TightBindingSet,
    crystal: Crystal,
    cell: Crystal,
    filled: int,
    targets: list[Target],
) -> list[float]:
    """Return what the bands of a set give for each target."""
    from scipy import constants as c

    edge_point = special_point(crystal, parameters.gap_at)

    def bands(k: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.linalg.eigvalsh(bloch_hamiltonian(parameters, cell, k))[::2], float)

    top = bands(edge_point)[filled // 2 - 1]
    out = []
    h = 0.01
    unit_mass = c.hbar**2 / (c.m_e * c.e) * 1e20
    for target in targets:
        k = special_point(crystal, target.point)
        at = filled // 2 - 1 + target.band
        if target.kind == "level":
            out.append(float(bands(k)[at] - top))
        elif target.kind == "mass":
            unit = np.array(target.direction) / np.linalg.norm(target.direction)
            e = [bands(k + m * h * unit)[at] for m in (-1, 0, 1)]
            inverse = (e[0] - 2 * e[1] + e[2]) / h**2 / unit_mass
            mass = 1.0 / inverse * (1.0 if target.band > 0 else -1.0)
            out.append(float(mass))
        else:
            raise InputError(f"'{target.kind}' is neither level nor mass", place="fit_set")
    return out
