"""The ionic potential as an ASE calculator, for every tool that speaks ASE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from heterodot.energy.potential import OFF, IonicPotential, close_pairs, refuse_partly_periodic

if TYPE_CHECKING:
    from numpy.typing import NDArray

SKIN = 1.0  # Å; the list of close pairs holds until an atom has moved half of it


class PairList:
    """Pairs within reach of the short-range forces, made again only after atoms have moved.

    The energy does not depend on when it is made: pairs are sorted, and those out of reach add
    nothing.
    """

    def __init__(self, reach: float = OFF) -> None:
        self._reach = reach
        self._made_at: NDArray[np.float64] | None = None
        self._pairs: NDArray[np.int64] = np.zeros((0, 2), dtype=np.int64)

    def at(self, positions: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the list that is valid at these positions, (m, 2) int array."""
        old = self._made_at
        if (
            old is None
            or old.shape != positions.shape
            or float(np.max(np.sum((positions - old) ** 2, axis=1))) > (SKIN / 2) ** 2
        ):
            self._pairs = close_pairs(positions, self._reach + SKIN)
            self._made_at = positions.copy()
        return self._pairs


class IonicCalculator(Calculator):  # type: ignore[misc]
    """ASE calculator of an `IonicPotential`: energy and forces, and stress of crystals.

    Charges are the per-atom array ``charge`` where the atoms have one, else by element.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, potential: IonicPotential, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.potential = potential
        self._list = PairList(potential.reach)

    def calculate(
        self,
        atoms: Any = None,
        properties: Any = ("energy",),
        system_changes: Any = all_changes,
    ) -> None:
        """Fill ``results`` for the atoms (ASE calls this)."""
        super().calculate(atoms, properties, system_changes)
        own = self.atoms
        symbols = own.get_chemical_symbols()
        charges = own.arrays.get("charge")
        if all(own.pbc):
            energy, forces, stress = self.potential.evaluate_periodic(
                np.array(own.cell), own.positions, symbols, charges
            )
            self.results["stress"] = stress.ravel()[[0, 4, 8, 5, 2, 1]]
        else:
            refuse_partly_periodic(own)
            energy, forces = self.potential.evaluate(
                own.positions, symbols, charges, pairs=self._list.at(own.positions)
            )
        self.results["energy"] = self.results["free_energy"] = energy
        self.results["forces"] = forces


def ionic_calculator(potential: IonicPotential) -> IonicCalculator:
    """Return an ASE calculator of the potential."""
    return IonicCalculator(potential)
