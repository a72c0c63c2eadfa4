"""The ionic potential: Coulomb energy of scaled formal charges plus Born-Mayer repulsion.

Born and Mayer, Z. Phys. 75, 1 (1932); radii and softness by element after Gilbert,
J. Chem. Phys. 49, 2640 (1968).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.energy.ewald import (
    NEAR_OFF,
    NEAR_ON,
    SCREENING_RATE,
    bare_part,
    coulomb_constant,
    gather,
    near_pairs,
    screened_ewald,
)
from heterodot.errors import InputError

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

    from heterodot.crystal import Crystal

ON, OFF = 6.5, 8.0  # Å; by 6.5 Å a Born-Mayer force has fallen below 1e-3 eV/Å for every pair


@dataclass(frozen=True)
class IonicPotential:
    """Rigid ions: ``scale² q_i q_j / r + rho f0 exp((contact - r) / rho)``, f0 = 1 eV/Å.

    ``contact`` of a pair is the distance at which its ions push each other with 1 eV/Å. Make one
    with `heterodot.energy.fit_potential`.

    How far it can be trusted: cell lengths of the fitted crystals are reproduced (see
    ``quality``), elastic constants to some tens of percent where they were not fitted, surface
    rumpling and interface energies in sign and order. Ions are not polarizable and bonds have no
    angle, so it says nothing on lone pairs, on surface reconstructions by covalent bonding, or on
    the energy of charged defects, and differences of energy between compounds are not formation
    enthalpies.

    Attributes
    ----------
    charges : mapping of element to float
        Formal charge, e, used where atoms bring none of their own.
    charge_scale : float
        Every charge is multiplied by it before the Coulomb sum.
    contact, rho : mapping of (element, element) to float
        Å, both orders of a pair are listed.
    crystals : tuple of str
        What it was fitted to.
    quality : mapping of str to mapping
        For each crystal: residual ``stress`` (GPa) and ``force`` (eV/Å), and elastic constants
        fitted and given (GPa).
    notes : tuple of str
        What the fit had to assume.
    screening : float
        Dielectric constant of the electrons by which distant charges are divided; 1 for bare ions.
        See `heterodot.energy.ewald.screened_ewald`.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> from heterodot.energy import fit_potential
    >>> potential = fit_potential(crystal("PbS"))
    >>> energy, forces = potential.evaluate(np.array([[0, 0, 0], [0, 0, 2.6]]), ["Pb", "S"])
    >>> energy < 0, bool(abs(forces.sum()) < 1e-12)
    (True, True)
    """

    charges: Mapping[str, float]
    charge_scale: float
    contact: Mapping[tuple[str, str], float]
    rho: Mapping[tuple[str, str], float]
    crystals: tuple[str, ...] = ()
    quality: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    screening: float = 1.0

    # ---------------------------------------------------------------- plain data

    def to_record(self) -> dict[str, Any]:
        """Return plain data from which `from_record` makes the same potential."""
        return {
            "kind": "ionic",
            "charges": dict(self.charges),
            "charge_scale": self.charge_scale,
            "screening": self.screening,
            "pairs": [
                {"elements": list(pair), "contact": self.contact[pair], "rho": self.rho[pair]}
                for pair in sorted(self.contact)
                if pair[0] <= pair[1]
            ],
            "units": {"charge": "e", "contact": "angstrom", "rho": "angstrom"},
            "crystals": list(self.crystals),
            "quality": {name: dict(values) for name, values in self.quality.items()},
            "notes": list(self.notes),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> IonicPotential:
        """Return the potential that `to_record` wrote."""
        contact: dict[tuple[str, str], float] = {}
        rho: dict[tuple[str, str], float] = {}
        for row in record["pairs"]:
            a, b = (str(element) for element in row["elements"])
            for pair in ((a, b), (b, a)):
                contact[pair] = float(row["contact"])
                rho[pair] = float(row["rho"])
        return cls(
            {str(k): float(v) for k, v in record["charges"].items()},
            float(record["charge_scale"]),
            contact,
            rho,
            tuple(record.get("crystals", ())),
            {str(k): dict(v) for k, v in record.get("quality", {}).items()},
            tuple(record.get("notes", ())),
            float(record.get("screening", 1.0)),
        )

    @property
    def reach(self) -> float:
        """Distance up to which pairs have to be listed, Å."""
        return OFF if self.screening == 1.0 else max(OFF, NEAR_OFF)

    @property
    def elements(self) -> tuple[str, ...]:
        """Elements that it knows."""
        return tuple(sorted(self.charges))

    def _known(self, *elements: str) -> None:
        missing = sorted(set(elements) - set(self.charges))
        if missing:
            raise InputError(
                f"the ionic potential of {', '.join(self.crystals) or 'no crystal'} has no "
                f"parameters for {', '.join(missing)}",
                place="IonicPotential",
                remedy="fit it to a crystal that has these elements, or give them to "
                "fit_potential(..., ions={'Mn': 2})",
            )

    # ---------------------------------------------------------------- pairs

    def pair_energy(
        self, r: ArrayLike, element1: str, element2: str, *, coulomb: bool = False
    ) -> NDArray[np.float64]:
        """Return the energy of one pair of ions at distances ``r``.

        Parameters
        ----------
        r : array
            Å.
        element1, element2 : str
        coulomb : bool
            Add the bare Coulomb energy of the two scaled charges (which in a body has to be
            summed over all atoms, not up to a cutoff); otherwise the repulsion alone.

        Returns
        -------
        array like ``r``, eV

        Raises
        ------
        InputError
            An element without parameters.
        """
        self._known(element1, element2)
        r = np.asarray(r, dtype=float)
        pair = (element1, element2)
        value, _ = _born_mayer(r, self.contact[pair], self.rho[pair])
        if coulomb:
            value = value + self._strength(element1, element2) * self._between(r)[0]
        return np.asarray(value)

    def pair_force(
        self, r: ArrayLike, element1: str, element2: str, *, coulomb: bool = False
    ) -> NDArray[np.float64]:
        """Return minus the slope of `pair_energy` (positive: they push apart), eV/Å."""
        self._known(element1, element2)
        r = np.asarray(r, dtype=float)
        pair = (element1, element2)
        _, slope = _born_mayer(r, self.contact[pair], self.rho[pair])
        force = -slope
        if coulomb:
            force = force - self._strength(element1, element2) * self._between(r)[1]
        return np.asarray(force)

    def _between(self, r: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the Coulomb energy of two unit charges over its constant, and its slope."""
        value, slope = 1 / r, -1 / r**2
        if self.screening == 1.0:
            return value, slope
        far, (near, change) = 1 / self.screening, bare_part(r)
        return far * value + (1 - far) * near, far * slope + (1 - far) * change

    def _strength(self, element1: str, element2: str) -> float:
        product = self.charges[element1] * self.charges[element2]
        return product * self.charge_scale**2 * coulomb_constant()

    def tables(
        self, species: Sequence[str]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Return per-atom kinds (n,) and the pair tables contact and rho (k, k) over them."""
        kinds = sorted(set(species))
        self._known(*kinds)
        at = {element: k for k, element in enumerate(kinds)}
        contact = np.array([[self.contact[a, b] for b in kinds] for a in kinds])
        rho = np.array([[self.rho[a, b] for b in kinds] for a in kinds])
        return np.array([at[s] for s in species], dtype=np.int64), contact, rho

    def charge_array(
        self, species: Sequence[str], charges: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Return the formal charges of atoms: as given, else by element, (n,)."""
        if charges is not None:
            given = np.asarray(charges, dtype=float)
            if given.shape != (len(species),):
                raise InputError(
                    f"{given.size} charges for {len(species)} atoms", place="IonicPotential"
                )
            if not np.isfinite(given).all():
                raise InputError("a charge is not a number", place="IonicPotential")
            return given
        self._known(*set(species))
        return np.array([self.charges[s] for s in species], dtype=float)

    # ---------------------------------------------------------------- finite bodies

    def evaluate(
        self,
        positions: NDArray[np.float64],
        species: Sequence[str],
        charges: ArrayLike | None = None,
        *,
        pairs: NDArray[np.int64] | None = None,
    ) -> tuple[float, NDArray[np.float64]]:
        """Return energy and forces of a finite body (open boundaries, every Coulomb pair).

        Parameters
        ----------
        positions : (n, 3) array
            Å.
        species : sequence of str, n
        charges : (n,) array, optional
            Formal charges (they are scaled here); by element where not given.
        pairs : (m, 2) int array, optional
            Pairs within `reach`, if the caller keeps a list of its own.

        Returns
        -------
        energy : float
            eV.
        forces : (n, 3) array
            eV/Å.

        Raises
        ------
        InputError
            Elements without parameters, or atoms on one another.
        """
        from heterodot.energy._kernels import bare_pairs, coulomb, short_range

        positions = np.ascontiguousarray(positions, dtype=float)
        q = self.charge_array(species, charges) * self.charge_scale
        kind, contact, rho = self.tables(species)
        listed = close_pairs(positions, self.reach) if pairs is None else pairs
        potential, fieldstrength = coulomb(positions, q)
        factor = coulomb_constant()
        forces = factor / self.screening * q[:, None] * fieldstrength
        energy = 0.5 * factor / self.screening * float(q @ potential)
        if self.screening != 1.0:
            strength = q * np.sqrt(factor * (1 - 1 / self.screening))
            energy += float(
                bare_pairs(positions, strength, listed, SCREENING_RATE, NEAR_ON, NEAR_OFF, forces)
            )
        energy += float(short_range(positions, kind, listed, contact, rho, ON, OFF, forces))
        if not np.isfinite(energy):
            raise InputError(
                "two atoms lie on one another",
                place="IonicPotential",
                remedy="remove one of them ('heterodot inspect' names the pair)",
            )
        return energy, forces

    # ---------------------------------------------------------------- crystals

    def evaluate_periodic(
        self,
        cell: NDArray[np.float64],
        positions: NDArray[np.float64],
        species: Sequence[str],
        charges: ArrayLike | None = None,
    ) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        """Return energy (eV), forces (eV/Å) and stress (eV/Å³) of a cell, Coulomb by Ewald.

        The stress is positive under tension, as in ASE.
        """
        kind, contact, rho = self.tables(species)
        q = self.charge_array(species, charges) * self.charge_scale
        positions = np.asarray(positions, dtype=float)
        energy, forces, stress = screened_ewald(
            np.asarray(cell, dtype=float), positions, q, self.screening
        )
        i, j, d, r = near_pairs(np.asarray(cell, dtype=float), positions, OFF)
        value, slope = _born_mayer(r, contact[kind[i], kind[j]], rho[kind[i], kind[j]])
        pull = (slope / r)[:, None] * d
        forces = forces + gather(i, pull, len(q))
        volume = abs(float(np.linalg.det(cell)))
        return energy + 0.5 * float(value.sum()), forces, stress + 0.5 * pull.T @ d / volume

    def bulk(self, crystal: Crystal) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        """Return energy per cell (eV), forces (eV/Å) and stress (eV/Å³) of a crystal."""
        return self.evaluate_periodic(
            crystal.cell, crystal.positions, crystal.symbols, crystal.require_charges()
        )

    def calculator(self) -> Calculator:
        """Return an ASE calculator of this potential (per-atom array ``charge`` if present)."""
        from heterodot.energy.calculator import ionic_calculator

        return ionic_calculator(self)

    def evaluate_atoms(self, atoms: Atoms) -> tuple[float, NDArray[np.float64]]:
        """Return energy and forces of ASE atoms, as a finite body unless fully periodic."""
        charges = atoms.arrays.get("charge")
        symbols = atoms.get_chemical_symbols()
        if all(atoms.pbc):
            energy, forces, _ = self.evaluate_periodic(
                np.array(atoms.cell), atoms.positions, symbols, charges
            )
            return energy, forces
        refuse_partly_periodic(atoms)
        return self.evaluate(atoms.positions, symbols, charges)


def refuse_partly_periodic(atoms: Atoms) -> None:
    """Refuse slabs and wires, whose Coulomb sum is not that of a body or of a crystal.

    Raises
    ------
    InputError
        The atoms repeat in one or two directions.
    """
    if any(atoms.pbc) and not all(atoms.pbc):
        raise InputError(
            "the ionic potential sums finite bodies and crystals, not slabs or wires",
            place=atoms.get_chemical_formula(),
            remedy="set pbc to all False, or to all True with vacuum in the cell",
        )


def close_pairs(positions: NDArray[np.float64], reach: float = OFF) -> NDArray[np.int64]:
    """Return every pair of atoms nearer than ``reach``, each once, sorted, (m, 2) int array."""
    from scipy.spatial import cKDTree

    pairs = cKDTree(positions).query_pairs(reach, output_type="ndarray")
    pairs = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return np.asarray(pairs[order], dtype=np.int64)


def _born_mayer(
    r: NDArray[np.float64], contact: ArrayLike, rho: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the switched repulsion and its slope at distances r (arrays that broadcast)."""
    contact, rho = np.asarray(contact), np.asarray(rho)
    t = np.clip((r - ON) / (OFF - ON), 0.0, 1.0)
    s = 1 - t**3 * (10 - 15 * t + 6 * t**2)
    ds = -30 * t**2 * (1 - t) ** 2 / (OFF - ON)
    e = np.exp((contact - r) / rho)
    return rho * e * s, -e * s + rho * e * ds
