"""Tight-binding states of a particle of one or two materials, atom by atom.

Interface rule. A bond takes its hoppings from the material of its anion. A metal atom's levels
are the mean of the materials of its bonds, weighted by their number, so a lead atom in a shared
layer lies between its two sides. Metal-metal hoppings act only within one domain. Each material
is moved so that its valence edge is at minus its ionization energy, and its conduction level so
that its bulk gap is the measured one; both shifts are reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.crystal import Crystal
from heterodot.electronic.atomistic_body import Body, assemble
from heterodot.electronic.tight_binding import (
    BulkEdges,
    TightBindingSet,
    bulk_edges,
    tight_binding_set,
)
from heterodot.electronic.tight_binding_edges import (
    DENSE,
    EdgeStates,
    SpinHamiltonian,
    edge_states,
)
from heterodot.errors import InputError, NotFoundError
from heterodot.progress import Progress, silent
from heterodot.units import Value

__all__ = ["AlignedSet", "AtomisticLevels", "Body", "aligned_set", "assemble", "atomistic_levels"]


@dataclass(frozen=True, eq=False)
class AtomisticLevels:
    """Band-edge states of a particle by tight binding.

    Attributes
    ----------
    energies : (k,) array
        eV against vacuum where the materials' ionization energies are known.
    occupied : (k,) bool array
        Whether a state lies below the gap.
    errors : (k,) array
        Numerical error bound (residual), eV; the model's own error is in ``notes``.
    populations : (n_atoms, k) array
        Weight of each atom in each state; columns add up to one.
    spinors : (n_orbitals, k, 2) array
    domains : mapping of domain name to (k,) array
        Share of each state in each domain.
    bulk : mapping of material to BulkEdges
        Bulk edges on the same scale.
    notes : tuple of str
        Shifts that were applied, and what was left out.
    """

    energies: NDArray[np.float64]
    occupied: NDArray[np.bool_]
    errors: NDArray[np.float64]
    populations: NDArray[np.float64]
    spinors: NDArray[np.complex128]
    domains: Mapping[str, NDArray[np.float64]]
    bulk: Mapping[str, BulkEdges]
    notes: tuple[str, ...] = ()
    products: int = 0

    @property
    def homo(self) -> int:
        """Index of the highest filled state."""
        return int(np.flatnonzero(self.occupied)[-1])

    @property
    def lumo(self) -> int:
        """Index of the lowest empty state."""
        return int(np.flatnonzero(~self.occupied)[0])

    @property
    def gap(self) -> Value:
        """Gap between the frontier states (no electron-hole attraction); error is numerical."""
        h, e = self.homo, self.lumo
        return Value(
            float(self.energies[e] - self.energies[h]),
            "eV",
            float(np.hypot(self.errors[e], self.errors[h])),
        )

    def to_json(self) -> dict[str, Any]:
        """Return energies, shares and notes as plain data."""
        return {
            "gap": self.gap.to_json(),
            "states": [
                {
                    "energy": Value(float(e), "eV", float(err)).to_json(),
                    "occupied": bool(filled),
                    "domains": {name: float(share[k]) for name, share in self.domains.items()},
                }
                for k, (e, err, filled) in enumerate(
                    zip(self.energies, self.errors, self.occupied, strict=True)
                )
            ],
            "bulk": {
                name: {"valence": edge.valence, "conduction": edge.conduction, "unit": "eV"}
                for name, edge in self.bulk.items()
            },
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class AlignedSet:
    """A parameter set placed on the vacuum scale with the measured gap.

    Attributes
    ----------
    parameters : TightBindingSet
    edges : BulkEdges
        Bulk edges after the shifts.
    notes : tuple of str
        What was shifted and why.
    """

    parameters: TightBindingSet
    edges: BulkEdges
    notes: tuple[str, ...] = field(default_factory=tuple)


def aligned_set(crystal: Crystal, *, measured_gap: bool = True, align: bool = True) -> AlignedSet:
    """Return the tight-binding set of a crystal, at its lattice, gap and ionization energy.

    Parameters
    ----------
    crystal : Crystal
    measured_gap : bool
        Move the metal's conduction level until the bulk gap is the catalog's.
    align : bool
        Put the bulk valence edge at minus the catalog's ionization energy.

    Raises
    ------
    InputError
        No parameters for the material.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> chloride = aligned_set(crystal("CsPbCl3"))
    >>> bool(chloride.edges.gap > 2.7), len(chloride.notes) > 0
    (True, True)
    """
    raw = tight_binding_set(crystal.name if _has_set(crystal.name) else crystal.formula)
    cubic = _cubic_reference(crystal, raw)
    parameters = raw.at_lattice(cubic.cellpar[0])
    notes = [f"{raw.name}: {raw.source} ({raw.note})"]
    edges = bulk_edges(parameters, cubic)
    target = _known(crystal, "band_gap") if measured_gap else None
    if target is not None:
        wanted = target.value
        total = 0.0
        for _ in range(30):
            miss = wanted - edges.gap
            if abs(miss) < 1e-6:
                break
            parameters = parameters.with_cation_p(miss)
            total += miss
            edges = bulk_edges(parameters, cubic)
        notes.append(
            f"{raw.name}: conduction level moved by {total:+.3f} eV so that the bulk gap is "
            f"the measured {target}"
        )
    elif measured_gap:
        notes.append(f"{raw.name}: no measured gap is known; its gap is {edges.gap:.3f} eV")
    ionization = _ionization(crystal) if align else None
    if ionization is not None:
        shift = -ionization.value - edges.valence
        parameters = parameters.shifted(shift)
        edges = BulkEdges(edges.valence + shift, edges.conduction + shift, edges.k)
        notes.append(f"{raw.name}: valence edge at minus the ionization energy {ionization}")
    elif align:
        notes.append(f"{raw.name}: no ionization energy is known; its energy zero is the set's own")
    return AlignedSet(parameters, edges, tuple(notes))


def _has_set(name: str) -> bool:
    from heterodot.electronic.tight_binding import tight_binding_materials

    return name in tight_binding_materials()


def _known(crystal: Crystal, quantity: str) -> Value | None:
    from heterodot.catalog import lookup

    for name in (crystal.name, crystal.formula):
        try:
            return lookup(name, quantity).value.to("eV")
        except (InputError, NotFoundError):
            continue
    return None


def _ionization(crystal: Crystal) -> Value | None:
    found = _known(crystal, "ionization_energy")
    if found is not None:
        return found
    affinity, gap = _known(crystal, "electron_affinity"), _known(crystal, "band_gap")
    if affinity is None or gap is None:
        return None
    error = float(np.hypot(affinity.error or 0.0, gap.error or 0.0)) or None
    return Value(affinity.value + gap.value, "eV", error)


def _cubic_reference(crystal: Crystal, parameters: TightBindingSet) -> Crystal:
    """Return the ideal cubic crystal with the volume per formula unit of the given one."""
    volume = crystal.volume / crystal.formula_units
    if parameters.structure == "perovskite":
        cation = next(e for e in crystal.counts if e not in parameters.orbitals)
        metal = parameters.metal
        anion = next(e for e in parameters.orbitals if e != metal)
        sites = {cation: (0, 0, 0), metal: (0.5, 0.5, 0.5), anion: (0.5, 0.5, 0)}
        return Crystal.from_sites(crystal.name, "P m -3 m", (volume ** (1 / 3),), sites)
    metal = parameters.metal
    anion = next(e for e in parameters.orbitals if e != metal)
    edge = (4 * volume) ** (1 / 3)
    if parameters.structure == "rock salt":
        sites = {metal: (0, 0, 0), anion: (0.5, 0.5, 0.5)}
        return Crystal.from_sites(crystal.name, "F m -3 m", (edge,), sites)
    sites = {metal: (0, 0, 0), anion: (0.25, 0.25, 0.25)}
    return Crystal.from_sites(crystal.name, "F -4 3 m", (edge,), sites)


# -------------------------------------------------------------------- levels


def atomistic_levels(
    positions: NDArray[np.float64],
    symbols: Sequence[str],
    domain: ArrayLike,
    crystals: Sequence[Crystal],
    *,
    n_states: int = 20,
    measured_gap: bool = True,
    tolerance: float = 1e-4,
    seed: int = 0,
    progress: Progress = silent,
) -> AtomisticLevels:
    """Return the states around the gap of a particle by tight binding with spin-orbit coupling.

    Parameters
    ----------
    positions : (n, 3) array
        Å.
    symbols : sequence of str, n
    domain : (n,) int array
        Index into ``crystals``; -1 for ligands, which are left out.
    crystals : sequence of Crystal
        Bulk phase of each domain.
    n_states : int
        States around the gap, counting spin.
    measured_gap : bool
        Correct each material's bulk gap to the measured one (see `aligned_set`).
    tolerance : float
        Largest residual, eV.

    Raises
    ------
    InputError
        A material without parameters (which, and where to add them).
    NotFoundError
        The states did not converge.
    """
    placed = [aligned_set(crystal, measured_gap=measured_gap) for crystal in crystals]
    names = _distinct([crystal.formula for crystal in crystals])
    body = assemble(positions, symbols, domain, [p.parameters for p in placed])
    notes = [note for p in placed for note in p.notes] + list(body.notes)
    top, bottom = max(p.edges.valence for p in placed), min(p.edges.conduction for p in placed)
    if top >= bottom:
        notes.append(
            f"broken gap: the bulk valence edge of one material ({top:.2f} eV) is above the "
            f"conduction edge of the other ({bottom:.2f} eV); filled and empty states are told "
            "apart at the middle and may be mixed"
        )
    center = 0.5 * (top + bottom)
    states = edge_states(
        body.hamiltonian,
        n_states,
        center,
        tolerance=tolerance,
        seed=seed,
        progress=progress,
        width=0.5 * abs(bottom - top) + 0.8,
    )
    states = _both_sides(body.hamiltonian, states, n_states, tolerance, seed, progress)
    weights = np.zeros((len(symbols), len(states.energies)))
    np.add.at(weights, body.atom, states.populations)
    owner = np.asarray(domain)
    return AtomisticLevels(
        states.energies,
        states.energies < states.center,
        states.residuals,
        weights,
        states.spinors,
        {name: weights[owner == k].sum(axis=0) for k, name in enumerate(names)},
        {name: p.edges for name, p in zip(names, placed, strict=True)},
        tuple(notes),
        states.products,
    )


def _both_sides(
    hamiltonian: SpinHamiltonian,
    states: EdgeStates,
    n_states: int,
    tolerance: float,
    seed: int,
    progress: Progress,
) -> EdgeStates:
    """Look again from other energies in the gap while all states come from one side.

    The center moves away from the known edge by steps that keep that edge in view, so no state
    between is missed; the far edge is checked once more from the middle of the gap found.
    """
    if 2 * len(hamiltonian) <= DENSE:
        return _with_frontier(
            edge_states(hamiltonian, 2 * len(hamiltonian), states.center), n_states
        )
    center, reach = states.center, float(np.abs(states.energies - states.center).max())
    for _ in range(12):
        below = states.energies < states.center
        if below.any() and (~below).any():
            break
        known = states.energies[-1] if below.all() else states.energies[0]
        near = abs(float(known) - center)
        center += (1.0 if below.all() else -1.0) * (0.5 * (reach - near) + 0.2)
        again = edge_states(
            hamiltonian, n_states, center, tolerance=tolerance, seed=seed, progress=progress
        )
        reach = float(np.abs(again.energies - center).max())
        other = (again.energies < states.center) != below[0]
        if other.any():
            far = again.energies[other].max() if not below[0] else again.energies[other].min()
            again = edge_states(
                hamiltonian,
                n_states,
                0.5 * (float(far) + float(known)),
                tolerance=tolerance,
                seed=seed,
                progress=progress,
            )
            other = (again.energies < again.center) != below[0]
        states = EdgeStates(
            np.concatenate([states.energies, again.energies[other]]),
            np.concatenate([states.spinors, again.spinors[:, other]], axis=1),
            np.concatenate([states.residuals, again.residuals[other]]),
            again.center if other.any() else states.center,
            states.products + again.products,
        )
    order = np.argsort(states.energies, kind="stable")
    return EdgeStates(
        states.energies[order],
        states.spinors[:, order],
        states.residuals[order],
        states.center,
        states.products,
    )


def _with_frontier(states: EdgeStates, n_states: int) -> EdgeStates:
    """Return the nearest of all states of a small body, and the frontier pair of either side."""
    below = states.energies < states.center
    nearest = np.argsort(np.abs(states.energies - states.center), kind="stable")[:n_states]
    frontier = np.concatenate([np.flatnonzero(below)[-2:], np.flatnonzero(~below)[:2]])
    keep = np.union1d(nearest, frontier)
    return EdgeStates(
        states.energies[keep],
        states.spinors[:, keep],
        states.residuals[keep],
        states.center,
        states.products,
    )


def _distinct(names: Sequence[str]) -> list[str]:
    out: list[str] = []
    for name in names:
        candidate, n = name, 2
        while candidate in out:
            candidate = f"{name} {n}"
            n += 1
        out.append(candidate)
    return out
