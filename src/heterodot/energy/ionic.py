"""Fit the ionic potential to bulk crystals: cells at rest, atoms at rest, elastic constants.

Radii and softness are one of each per element (Gilbert, J. Chem. Phys. 49, 2640 (1968)), started
from Shannon's radii and moved as little as the crystals allow; pairs may deviate a little further.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.energy.ewald import near_pairs, screened_ewald
from heterodot.energy.potential import OFF, IonicPotential
from heterodot.energy.shells import Shells, shells_of, strains, voigt
from heterodot.errors import InputError, MissingValueError, NotFoundError
from heterodot.organic import molecules

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["CHARGE_SCALE", "IonicPotential", "elastic_constants", "fit_potential", "potential_for"]

CHARGE_SCALE = 0.80
"""Share of the formal charges in the Coulomb sum, fixed once for all.

With formal charges and no polarizability the ions at polar or stepped surfaces feel fields that
real, covalent and polarizable solids screen: they leave their sites. See docs/energy.md for
how 0.80 was chosen from the bulk moduli of rock-salt and perovskite crystals.
"""

GPA = 160.2176634  # GPa in one eV/Å³, exact by the definition of the electronvolt
SOFTNESS = 0.165  # Å per ion, so that rho is 0.33 Å, the usual value of alkali halides
SPREAD = {"radius": 0.25, "softness": 0.02, "pair": 0.08}  # Å, how far a fit may move each
LIMIT = {"radius": 0.6, "softness": 0.05, "pair": 0.3}  # Å
AIM = {"stress": 0.01, "force": 0.1, "elastic": 0.15}  # GPa, eV/Å, relative


@functools.cache
def ion_radius(element: str, charge: float) -> float:
    """Return Shannon's radius of an ion (interpolated between its charges), Å.

    Raises
    ------
    InputError
        No radius is known.

    Examples
    --------
    >>> ion_radius("Pb", 2), ion_radius("Cl", -1)
    (1.19, 1.81)
    """
    from heterodot.catalog.values import radii_by_charge

    table = radii_by_charge(element)
    rows = {q: r for q, r in table.items() if q * charge > 0 or charge == 0}
    if not rows:
        raise InputError(
            f"no ionic radius is known for {element} with charge {charge:+g}",
            place="ionic potential",
            remedy="add it to catalog/data/ionic_radii.yaml, or correct the charge",
        )
    states = sorted(rows)
    return float(np.interp(charge, states, [rows[q] for q in states]))


@dataclass
class _Bulk:
    """One crystal prepared for the fit: what does not depend on the repulsion, and its shells."""

    crystal: Crystal
    met: set[tuple[str, str]]
    shells: Shells
    coulomb_forces: NDArray[np.float64]
    coulomb_stress: NDArray[np.float64]
    coulomb_response: tuple[NDArray[np.float64], ...] | None
    targets: dict[str, tuple[float, float]]


def fit_potential(
    *crystals: Crystal,
    ions: Mapping[str, float] | None = None,
    charge_scale: float = CHARGE_SCALE,
    screening: float = 1.0,
) -> IonicPotential:
    """Return the ionic potential in which every given crystal is at rest in its own cell.

    Unknowns are a radius and a softness per element and a small deviation per pair that meets in
    a crystal. Residuals are the stress and forces of every crystal and, where
    `heterodot.catalog.lookup` knows ``elastic_c11``, c12 and c44, those; each unknown is held to
    its starting value with the spread in ``SPREAD``, so that pairs which no crystal determines
    (Cs-S across an interface) keep sensible radii.

    Parameters
    ----------
    *crystals : Crystal
        With formal charges.
    ions : mapping of element to charge, optional
        Further ions (dopants, counter-ions) that get Shannon's radii.
    charge_scale : float
        Share of the formal charges; the default is documented at ``CHARGE_SCALE``.
    screening : float
        Dielectric constant of the electrons between distant ions; 1 for bare ions. See
        `optical_screening`.

    Raises
    ------
    InputError
        No crystal, unknown charges or radii, atoms on one another, a charged cell.
    MissingValueError
        A crystal with molecules.
    NotFoundError
        No repulsion brings a crystal to rest (stress above 1 GPa remains).

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> potential = fit_potential(crystal("CsPbCl3"), crystal("PbS"))
    >>> bool(abs(potential.quality["PbS"]["stress"]) < 0.05)
    True
    """
    if not crystals:
        raise InputError("no crystal is given", place="fit_potential")
    if not 0 < charge_scale <= 1:
        raise InputError(f"charge_scale {charge_scale:g} is not in (0, 1]", place="fit_potential")
    if not 1 <= screening < 1e3:
        raise InputError(f"a screening of {screening:g} is not 1 or more", place="fit_potential")
    key = (
        *[_content(crystal) for crystal in crystals],
        tuple(sorted((ions or {}).items())),
        charge_scale,
        screening,
    )
    if key not in _FITTED:
        if len(_FITTED) >= 64:
            _FITTED.pop(next(iter(_FITTED)))
        _FITTED[key] = _fit(crystals, ions or {}, charge_scale, screening)
    return _FITTED[key]


_FITTED: dict[tuple[Any, ...], IonicPotential] = {}
"""Potentials fitted in this process: the same crystals give the same potential again."""


def _content(crystal: Crystal) -> tuple[Any, ...]:
    """Return everything of a crystal that the fit depends on, hashable."""
    targets = _known_elastic(crystal)
    arrays = (crystal.cell, crystal.numbers, crystal.scaled, crystal.require_charges())
    return (crystal.name, *[a.tobytes() for a in arrays], tuple(sorted(targets.items())))


def _fit(
    crystals: tuple[Crystal, ...],
    ions: Mapping[str, float],
    charge_scale: float,
    screening: float,
) -> IonicPotential:
    from scipy.optimize import least_squares

    for crystal in crystals:
        if molecules(crystal):
            raise MissingValueError(
                f"{crystal.formula} has molecules, which are no point ions",
                place="fit_potential",
                remedy="use an engine that knows molecules (see heterodot.energy.engines)",
            )
    notes: list[str] = []
    charges = _charges(crystals, ions, notes)
    elements = sorted(charges)
    bulks = [
        _prepare(crystal, charge_scale, screening, elements) for crystal in _distinct(crystals)
    ]
    met = sorted({pair for bulk in bulks for pair in bulk.met})
    start = np.array([ion_radius(e, charges[e]) for e in elements])
    model = _Model(elements, met, start)
    solution = least_squares(
        lambda x: _residuals(x, model, bulks),
        np.zeros(model.size),
        method="trf",
        bounds=model.bounds(),
        max_nfev=300,
        xtol=1e-9,
        ftol=1e-9,
        gtol=1e-9,
    )
    contact, rho = model.tables(solution.x)
    pairs = {
        (a, b): (float(contact[m, n]), float(rho[m, n]))
        for m, a in enumerate(elements)
        for n, b in enumerate(elements)
    }
    quality = {bulk.crystal.name: _quality(bulk, contact, rho) for bulk in bulks}
    for name, values in quality.items():
        if values["stress"] > 1.0 or values["force"] > 1.5:
            raise NotFoundError(
                f"no ionic potential brings {name} to rest (stress {values['stress']:.2f} GPa, "
                f"force {values['force']:.2f} eV/Å remain)",
                place="fit_potential",
                remedy="check its cell, sites and formal charges",
            )
        if values["stress"] > 0.1 or values["force"] > 0.1:
            notes.append(
                f"{name}: stress {values['stress']:.2f} GPa and force {values['force']:.2f} eV/Å "
                "remain at its own cell"
            )
    return IonicPotential(
        charges,
        charge_scale,
        {pair: values[0] for pair, values in pairs.items()},
        {pair: values[1] for pair, values in pairs.items()},
        tuple(bulk.crystal.name for bulk in bulks),
        quality,
        tuple(notes),
        screening,
    )


def optical_screening(*crystals: Crystal) -> float:
    """Return the dielectric constant of the electrons in a body of these crystals.

    The geometric mean of the catalog's ``dielectric_optical``; 1 where it has none.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> round(optical_screening(crystal("PbS"), crystal("CsPbCl3")), 1)
    8.4
    """
    from heterodot.catalog import lookup

    known: list[float] = []
    for one in crystals:
        for name in (one.name, one.formula):
            try:
                known.append(max(1.0, float(lookup(name, "dielectric_optical").value.value)))
            except (InputError, NotFoundError):
                continue
            break
    return float(np.exp(np.mean(np.log(known)))) if known else 1.0


def potential_for(
    atoms: Atoms, *crystals: Crystal, screening: float | None = None
) -> IonicPotential:
    """Return the potential to relax atoms with: crystals, and the further ions (dopants) there.

    Parameters
    ----------
    screening : float, optional
        Dielectric constant between distant ions; `optical_screening` of the crystals where not
        given.

    Raises
    ------
    InputError
        An element that is no ion of known radius (carbon or hydrogen of a ligand).
    """
    known = {symbol for crystal in crystals for symbol in crystal.symbols}
    symbols = np.array(atoms.get_chemical_symbols())
    charges = atoms.arrays.get("charge")
    extra: dict[str, float] = {}
    for element in sorted(set(symbols.tolist()) - known):
        if element in ("H", "C", "N", "P") or charges is None:
            raise MissingValueError(
                f"the ionic potential has no parameters for {element}",
                place=atoms.get_chemical_formula(),
                remedy="relax the particle before ligands are attached, or take another engine",
            )
        extra[element] = float(np.mean(np.asarray(charges)[symbols == element]))
    wanted = optical_screening(*crystals) if screening is None else screening
    return fit_potential(*crystals, ions=extra, screening=wanted)


class _Model:
    """How unknowns (in units of their spreads) make the pair tables."""

    def __init__(
        self, elements: list[str], met: list[tuple[str, str]], start: NDArray[np.float64]
    ) -> None:
        at = {element: k for k, element in enumerate(elements)}
        self.elements = elements
        self.at = at
        self.start = start
        self.met = [(at[a], at[b]) for a, b in met]
        self.size = 2 * len(elements) + len(met)

    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Limits of the unknowns: outside of them ions would be too soft to stay apart."""
        n = len(self.elements)
        limit = np.concatenate(
            [
                np.full(n, LIMIT["radius"] / SPREAD["radius"]),
                np.full(n, LIMIT["softness"] / SPREAD["softness"]),
                np.full(len(self.met), LIMIT["pair"] / SPREAD["pair"]),
            ]
        )
        return -limit, limit

    def tables(self, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        n = len(self.elements)
        radius = self.start + SPREAD["radius"] * x[:n]
        softness = SOFTNESS * np.exp(SPREAD["softness"] / SOFTNESS * x[n : 2 * n])
        contact = radius[:, None] + radius[None, :]
        for (a, b), extra in zip(self.met, x[2 * n :], strict=True):
            contact[a, b] += SPREAD["pair"] * extra
            if a != b:
                contact[b, a] += SPREAD["pair"] * extra
        return contact, softness[:, None] + softness[None, :]


def _distinct(crystals: tuple[Crystal, ...]) -> list[Crystal]:
    found: dict[str, Crystal] = {}
    for crystal in crystals:
        name = crystal.name
        while name in found and found[name] is not crystal:
            name += "'"
        found[name] = crystal if name == crystal.name else crystal.replace(name=name)
    return list(found.values())


def _charges(
    crystals: tuple[Crystal, ...], ions: Mapping[str, float], notes: list[str]
) -> dict[str, float]:
    seen: dict[str, set[float]] = {}
    for crystal in crystals:
        charges = crystal.require_charges()
        if not charges.any():
            raise InputError(
                f"{crystal.formula} has no ions",
                place=crystal.name,
                remedy="use a machine-learned potential for metals and elements",
            )
        for symbol, q in zip(crystal.symbols, charges, strict=True):
            seen.setdefault(symbol, set()).add(round(float(q), 6))
    for symbol, q in ions.items():
        seen.setdefault(symbol, set()).add(float(q))
    for symbol, states in seen.items():
        if len(states) > 1:
            texts = ", ".join(f"{q:+g}" for q in sorted(states))
            notes.append(f"{symbol} has charges {texts}; its repulsion is that of their mean")
    return {symbol: float(np.mean(sorted(states))) for symbol, states in seen.items()}


def _prepare(crystal: Crystal, scale: float, screening: float, elements: list[str]) -> _Bulk:
    small = crystal.primitive()
    if len(small) < len(crystal):
        crystal = small
    i, j, d, r = near_pairs(crystal.cell, crystal.positions, OFF)
    if len(r) and r.min() < 0.8:
        raise InputError(
            f"two atoms are {r.min():.2f} Å apart", place=crystal.name, remedy="check the sites"
        )
    q = crystal.require_charges() * scale
    _, forces, stress = screened_ewald(crystal.cell, crystal.positions, q, screening)
    targets = _known_elastic(crystal)
    response = _coulomb_response(crystal, q, screening) if targets else None
    shells = shells_of(crystal, (i, j, d, r), elements, response=bool(targets))
    return _Bulk(crystal, _met(crystal, i, j), shells, forces, stress, response, targets)


def _met(crystal: Crystal, i: NDArray[Any], j: NDArray[Any]) -> set[tuple[str, str]]:
    """Pairs of unlike charge that touch in the crystal."""
    symbols = np.array(crystal.symbols)
    charges = crystal.require_charges()
    opposite = charges[i] * charges[j] < 0
    found = set()
    for a, b in {
        tuple(sorted(p)) for p in zip(symbols[i[opposite]], symbols[j[opposite]], strict=True)
    }:
        found.add((str(a), str(b)))
    return found


def _residuals(x: NDArray[np.float64], model: _Model, bulks: list[_Bulk]) -> NDArray[np.float64]:
    contact, rho = model.tables(x)
    parts = [x]
    for bulk in bulks:
        n = len(bulk.crystal)
        forces, stress = bulk.shells.forces_stress(contact, rho)
        total = (stress + bulk.coulomb_stress) * GPA
        parts.append(total[np.triu_indices(3)] / AIM["stress"])
        parts.append((forces + bulk.coulomb_forces).ravel() / AIM["force"] / np.sqrt(n))
        if bulk.targets:
            found = _elastic(bulk, contact, rho)
            parts.append(
                np.array(
                    [
                        (found[key] - value) / (error + AIM["elastic"] * abs(value) + 1.0)
                        for key, (value, error) in bulk.targets.items()
                    ]
                )
            )
    return np.concatenate(parts)


# -------------------------------------------------------------------- elastic constants

STEP = 1e-3


def _response(evaluate: Any, n: int, cell: Any, positions: Any) -> tuple[NDArray[np.float64], ...]:
    """Return clamped-ion stiffness (6, 6), force on strain (3n, 6) and Hessian (3n, 3n)."""
    stiffness, coupling = np.zeros((6, 6)), np.zeros((3 * n, 6))
    for m, strain in enumerate(strains()):
        ends = []
        for sign in (1, -1):
            deform = np.eye(3) + sign * STEP * strain
            ends.append(evaluate(cell @ deform, positions @ deform))
        stiffness[:, m] = voigt(ends[0][1] - ends[1][1]) / (2 * STEP)
        coupling[:, m] = (ends[0][0] - ends[1][0]).ravel() / (2 * STEP)
    hessian = np.zeros((3 * n, 3 * n))
    for k in range(3 * n):
        ends = []
        for sign in (1, -1):
            moved = positions.copy()
            moved[k // 3, k % 3] += sign * STEP
            ends.append(evaluate(cell, moved))
        hessian[:, k] = -(ends[0][0] - ends[1][0]).ravel() / (2 * STEP)
    return stiffness, coupling, 0.5 * (hessian + hessian.T)


def _coulomb_response(
    crystal: Crystal, q: NDArray[np.float64], screening: float
) -> tuple[NDArray[np.float64], ...]:
    def evaluate(cell: Any, positions: Any) -> tuple[Any, Any]:
        _, forces, stress = screened_ewald(cell, positions, q, screening)
        return forces, stress

    return _response(evaluate, len(crystal), crystal.cell, crystal.positions)


def _relaxed(
    parts: tuple[NDArray[np.float64], ...], volume: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    stiffness, coupling, hessian = parts
    values, vectors = np.linalg.eigh(0.5 * (hessian + hessian.T))
    keep = np.abs(values) > 1e-3
    projected = vectors[:, keep].T @ coupling
    relief = projected.T @ (projected / values[keep, None]) / volume
    return (stiffness - relief) * GPA, values


def _elastic(
    bulk: _Bulk, contact: NDArray[np.float64], rho: NDArray[np.float64]
) -> dict[str, float]:
    assert bulk.coulomb_response is not None
    short = bulk.shells.response(contact, rho)
    total = tuple(a + b for a, b in zip(bulk.coulomb_response, short, strict=True))
    c, _ = _relaxed(total, bulk.crystal.volume)
    return {
        "elastic_c11": float((c[0, 0] + c[1, 1] + c[2, 2]) / 3),
        "elastic_c12": float((c[0, 1] + c[0, 2] + c[1, 2]) / 3),
        "elastic_c44": float((c[3, 3] + c[4, 4] + c[5, 5]) / 3),
    }


def elastic_constants(potential: IonicPotential, crystal: Crystal) -> NDArray[np.float64]:
    """Return the relaxed-ion elastic stiffness of a crystal, (6, 6), GPa, Voigt order.

    Axes are the Cartesian axes of the crystal's cell. Valid at rest (stress near zero).

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> c = elastic_constants(fit_potential(crystal("PbS")), crystal("PbS"))
    >>> bool(c[0, 0] > c[0, 1] > 0), bool(abs(c[0, 1] - c[3, 3]) < 0.5)  # Cauchy's relation
    (True, True)
    """
    q = crystal.require_charges()

    def evaluate(cell: Any, positions: Any) -> tuple[Any, Any]:
        _, forces, stress = potential.evaluate_periodic(cell, positions, crystal.symbols, q)
        return forces, stress

    parts = _response(evaluate, len(crystal), crystal.cell, crystal.positions)
    return _relaxed(parts, crystal.volume)[0]


def _known_elastic(crystal: Crystal) -> dict[str, tuple[float, float]]:
    """Return measured c11, c12, c44 (GPa, with error) of a cubic crystal, where all are known."""
    from heterodot import catalog

    lookup = getattr(catalog, "lookup", None)
    if lookup is None or len(crystal) > 64 or crystal.symmetry.number < 195:
        return {}
    found: dict[str, tuple[float, float]] = {}
    for key in ("elastic_c11", "elastic_c12", "elastic_c44"):
        for name in (crystal.name, crystal.formula):
            try:
                value = lookup(name, key).value.to("GPa")
            except (InputError, NotFoundError):
                continue
            found[key] = (value.value, value.error or 0.0)
            break
    return found if len(found) == 3 else {}


def _quality(
    bulk: _Bulk, contact: NDArray[np.float64], rho: NDArray[np.float64]
) -> dict[str, float]:
    forces, stress = bulk.shells.forces_stress(contact, rho)
    quality = {
        "stress": float(np.abs((stress + bulk.coulomb_stress) * GPA).max()),
        "force": float(np.linalg.norm(forces + bulk.coulomb_forces, axis=1).max()),
    }
    if bulk.targets:
        found = _elastic(bulk, contact, rho)
        for key, (value, _) in bulk.targets.items():
            quality[f"{key}_fitted"] = found[key]
            quality[f"{key}_given"] = value
    return quality
