"""A bulk crystal: cell, sites, formal charges, symmetry and source."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.errors import InputError

if TYPE_CHECKING:
    from ase import Atoms

    from heterodot.symmetry import Symmetry


@dataclass(frozen=True, eq=False)
class Crystal:
    """A bulk phase. Immutable; arrays are read-only.

    Build one with `Crystal.from_sites`, `Crystal.from_atoms` or `Crystal.read`.

    Attributes
    ----------
    name : str
        What it is called in results, e.g. ``"CsPbCl3_cubic"``.
    cell : (3, 3) array
        Lattice vectors as rows, Å.
    numbers : (n_atoms,) int array
        Atomic numbers.
    scaled : (n_atoms, 3) array
        Fractional coordinates in [0, 1).
    charges : (n_atoms,) array or None
        Formal charges in e; None where they are not known (never silently zero).
    source : str
        Where cell and sites come from.
    labels : tuple of str
        A site label per atom (``"Pb1"``).
    temperature : float or None
        Temperature of the structure, K, where stated.
    method : str
        How it was determined (``"X-ray"``, ``"DFT PBE"``); structures of different methods
        should not be compared on the 1 % scale.
    symprec : float
        Distance tolerance of the symmetry search, Å.

    Examples
    --------
    >>> pbs = Crystal.from_sites("PbS", "F m -3 m", (5.936,), {"Pb": (0, 0, 0), "S": (.5, .5, .5)})
    >>> pbs.formula, pbs.symmetry.number, round(pbs.d_spacing((2, 0, 0)), 3), pbs.charge_of("Pb")
    ('PbS', 225, 2.968, 2.0)
    """

    name: str
    cell: NDArray[np.float64]
    numbers: NDArray[np.int64]
    scaled: NDArray[np.float64]
    charges: NDArray[np.float64] | None = None
    source: str = ""
    labels: tuple[str, ...] = ()
    temperature: float | None = None
    method: str = ""
    symprec: float = 0.01

    def __post_init__(self) -> None:
        """Freeze the arrays and refuse what is not a three-dimensional crystal."""
        cell = np.array(self.cell, dtype=float)
        numbers = np.array(self.numbers, dtype=np.int64)
        scaled = np.array(self.scaled, dtype=float).reshape(-1, 3)
        if cell.shape != (3, 3) or not np.isfinite(cell).all():
            raise InputError("the cell is not three vectors", place=self.name)
        if len(numbers) == 0 or len(numbers) != len(scaled):
            raise InputError("there are no atoms, or sites and elements differ", place=self.name)
        if abs(np.linalg.det(cell)) < 1e-3:
            raise InputError(
                "the cell is flat: a molecule or layer, not a crystal",
                place=self.name,
                remedy="give a structure that repeats in three directions",
            )
        if np.linalg.det(cell) < 0:
            raise InputError("the cell is left-handed", place=self.name, remedy="swap two vectors")
        scaled = scaled - np.floor(scaled + 1e-9)
        scaled[np.abs(scaled) < 1e-12] = 0.0
        arrays: dict[str, Any] = {"cell": cell, "numbers": numbers, "scaled": scaled}
        if self.charges is not None:
            charges = np.array(self.charges, dtype=float)
            if len(charges) != len(numbers):
                raise InputError("charges and atoms differ in number", place=self.name)
            arrays["charges"] = charges
        for key, array in arrays.items():
            array.setflags(write=False)
            object.__setattr__(self, key, array)
        if not self.labels:
            from ase.data import chemical_symbols

            object.__setattr__(self, "labels", tuple(chemical_symbols[n] for n in numbers))

    # ---------------------------------------------------------------- makers

    @classmethod
    def from_sites(
        cls,
        name: str,
        space_group: str | int,
        cellpar: Sequence[float],
        sites: Mapping[str, ArrayLike],
        *,
        charges: Mapping[str, float] | None = None,
        source: str = "",
        **more: Any,
    ) -> Crystal:
        """Return the crystal that a space group makes of its asymmetric sites.

        Parameters
        ----------
        space_group : str or int
            Hermann-Mauguin symbol with its setting (``"P b n m"`` is not ``"P n m a"``), Hall
            symbol, or number (standard setting).
        cellpar : 1 to 6 floats
            a, b, c (Å) and angles (degrees); what the lattice system fixes may be left out.
        sites : mapping of label to (3,) fractional coordinates
            The label starts with the element: ``"Pb2"``, ``"Cl"``.
        charges : mapping of element to formal charge, optional
            Guessed from common oxidation states where not given.

        Raises
        ------
        InputError
            Unknown space group or element, or sites that collide.
        """
        from heterodot.sites import cell_of
        from heterodot.symmetry import operations_of

        symops, system = operations_of(space_group, place=name)
        cell = cell_of(cellpar, system, place=name)
        return cls.from_operations(
            name, cell, symops, sites, charges=charges, source=source, **more
        )

    @classmethod
    def from_operations(
        cls,
        name: str,
        cell: NDArray[np.float64],
        operations: NDArray[np.float64],
        sites: Mapping[str, ArrayLike],
        *,
        charges: Mapping[str, float] | None = None,
        source: str = "",
        **more: Any,
    ) -> Crystal:
        """Return the crystal that (n, 4, 4) fractional symmetry operations make of its sites."""
        from heterodot.sites import charges_for, expand

        numbers, scaled, labels = expand(cell, operations, sites, place=name)
        atom_charges = charges_for(numbers, charges, place=name, cell=cell, scaled=scaled)
        return cls(
            name,
            cell,
            numbers,
            scaled,
            atom_charges,
            source,
            labels,
            **more,
        )

    @classmethod
    def from_atoms(
        cls,
        atoms: Atoms,
        *,
        name: str | None = None,
        charges: Mapping[str, float] | None = None,
        source: str = "",
        **more: Any,
    ) -> Crystal:
        """Return the crystal of ASE atoms that are periodic in all three directions.

        Raises
        ------
        InputError
            Not periodic in three directions (a molecule, a slab).
        """
        if not all(atoms.pbc):
            raise InputError(
                "the structure does not repeat in three directions",
                place=name or atoms.get_chemical_formula(),
                remedy="give a bulk crystal (set pbc=True if it is one)",
            )
        from heterodot.sites import charges_for

        own = atoms.arrays.get("charge")
        atom_charges = (
            np.asarray(own, dtype=float)
            if own is not None and charges is None
            else charges_for(
                atoms.numbers,
                charges,
                place=name or "atoms",
                cell=np.array(atoms.cell),
                scaled=atoms.get_scaled_positions(),
            )
        )
        return cls(
            name or atoms.get_chemical_formula(empirical=True),
            np.array(atoms.cell),
            atoms.numbers,
            atoms.get_scaled_positions(),
            atom_charges,
            source,
            **more,
        )

    @classmethod
    def read(cls, path: str | Path, *, charges: Mapping[str, float] | None = None) -> Crystal:
        """Return the crystal in a CIF file (see `heterodot.cif.read_cif` for what is refused)."""
        from heterodot.cif import read_cif

        return read_cif(path, charges=charges)

    # ---------------------------------------------------------------- what it is

    @property
    def atoms(self) -> Atoms:
        """A fresh ASE Atoms of the cell, with arrays ``charge`` (where known) and ``site``."""
        from ase import Atoms

        atoms = Atoms(self.numbers, scaled_positions=self.scaled, cell=self.cell, pbc=True)
        if self.charges is not None:
            atoms.set_array("charge", np.array(self.charges))
        return atoms

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def positions(self) -> NDArray[np.float64]:
        """Cartesian positions, (n_atoms, 3), Å."""
        return self.scaled @ self.cell

    @property
    def symbols(self) -> tuple[str, ...]:
        """Element symbol of each atom."""
        from ase.data import chemical_symbols

        return tuple(chemical_symbols[n] for n in self.numbers)

    @property
    def counts(self) -> dict[str, int]:
        """Atoms of each element in the cell."""
        found: dict[str, int] = {}
        for symbol in self.symbols:
            found[symbol] = found.get(symbol, 0) + 1
        return found

    @property
    def formula(self) -> str:
        """Empirical formula, cations first (``CsPbCl3``); molecules by name (``PMA2PbBr4``)."""
        counts = self.counts
        if "C" in counts or {"N", "H"} <= set(counts):
            from heterodot.organic import formula

            named = formula(self)
            if named is not None:
                return named
        from heterodot.charges import PAULING

        divisor = int(np.gcd.reduce(list(counts.values())))
        keys = sorted(counts, key=lambda symbol: (PAULING.get(symbol, 2.0), symbol))
        return "".join(
            key + (str(counts[key] // divisor) if counts[key] > divisor else "") for key in keys
        )

    @property
    def formula_units(self) -> int:
        """Formula units in the cell."""
        return int(np.gcd.reduce(list(self.counts.values())))

    @property
    def volume(self) -> float:
        """Cell volume, Å³."""
        return float(np.linalg.det(self.cell))

    @property
    def density(self) -> float:
        """Mass density, g/cm³."""
        from ase.data import atomic_masses
        from scipy.constants import atomic_mass

        return float(atomic_masses[self.numbers].sum() * atomic_mass / self.volume * 1e27)

    @property
    def cellpar(self) -> tuple[float, float, float, float, float, float]:
        """a, b, c (Å), alpha, beta, gamma (degrees)."""
        lengths = np.linalg.norm(self.cell, axis=1)
        unit = self.cell / lengths[:, None]
        angles = np.degrees(
            np.arccos(np.clip([unit[1] @ unit[2], unit[0] @ unit[2], unit[0] @ unit[1]], -1, 1))
        )
        a, b, c = (float(x) for x in lengths)
        alpha, beta, gamma = (float(x) for x in angles)
        return a, b, c, alpha, beta, gamma

    @functools.cached_property
    def symmetry(self) -> Symmetry:
        """Space-group symmetry found by spglib within `symprec`.

        Raises
        ------
        InputError
            No symmetry can be found (atoms on one another).
        """
        from heterodot.symmetry import find_symmetry

        return find_symmetry(
            self.cell, self.scaled, self.numbers, symprec=self.symprec, place=self.name
        )

    @functools.cached_property
    def point_operations(self) -> NDArray[np.float64]:
        """Point-group operations as Cartesian matrices, (n, 3, 3); column vectors, v' = R v.

        They are those of the crystal, not of the cell: a supercell of lower symmetry has the
        same ones as the primitive cell.
        """
        from heterodot.symmetry import point_operations

        return point_operations(
            self.cell, self.scaled, self.numbers, self.symmetry.rotations, symprec=self.symprec
        )

    @property
    def proper_rotations(self) -> NDArray[np.float64]:
        """The proper rotations among `point_operations`, (n, 3, 3)."""
        operations = self.point_operations
        return np.asarray(operations[np.linalg.det(operations) > 0], dtype=float)

    @property
    def reciprocal(self) -> NDArray[np.float64]:
        """Reciprocal vectors as rows, 1/Å, without 2 pi: ``cell @ reciprocal.T == 1``."""
        return np.asarray(np.linalg.inv(self.cell).T, dtype=float)

    def plane_normal(self, plane: ArrayLike) -> NDArray[np.float64]:
        """Unit normal of plane (hkl), Cartesian, (3,)."""
        vector = np.asarray(plane, dtype=float) @ self.reciprocal
        length = np.linalg.norm(vector)
        if length == 0:
            raise InputError("(0 0 0) is not a plane", place=self.name)
        return np.asarray(vector / length, dtype=float)

    def direction(self, indices: ArrayLike) -> NDArray[np.float64]:
        """Cartesian vector of direction [uvw], Å, (3,)."""
        return np.asarray(np.asarray(indices, dtype=float) @ self.cell, dtype=float)

    def d_spacing(self, plane: ArrayLike) -> float:
        """Interplanar distance of (hkl) as indexed, Å (no extinction is applied)."""
        return float(1.0 / np.linalg.norm(np.asarray(plane, dtype=float) @ self.reciprocal))

    def charge_of(self, element: str) -> float:
        """Formal charge of an element (its mean, where sites differ)."""
        charges = self.require_charges()
        return float(charges[[symbol == element for symbol in self.symbols]].mean())

    def require_charges(self) -> NDArray[np.float64]:
        """Return the formal charges, (n_atoms,), e.

        Raises
        ------
        InputError
            They are not known.
        """
        if self.charges is None:
            raise InputError(
                f"no formal charges are known for {self.formula}",
                place=self.name,
                remedy="give them, e.g. charges={'Cu': 1, 'S': -2}",
            )
        return self.charges

    # ---------------------------------------------------------------- other cells

    def replace(self, **changes: Any) -> Crystal:
        """Return a copy with some attributes changed (the symmetry is found again)."""
        import dataclasses

        return dataclasses.replace(self, **changes)

    def supercell(self, matrix: ArrayLike) -> Crystal:
        """Return the same crystal in the cell ``matrix @ cell`` (integer matrix, det > 0)."""
        transform = np.asarray(matrix, dtype=np.int64)
        if transform.ndim == 1:
            transform = np.diag(transform)
        volume = round(float(np.linalg.det(transform)))
        if volume <= 0:
            raise InputError("the supercell matrix has no positive determinant", place=self.name)
        corners = np.array(list(np.ndindex(2, 2, 2))) @ transform
        low, high = corners.min(0), corners.max(0)
        grids = np.meshgrid(*[np.arange(a, b + 1) for a, b in zip(low, high, strict=True)])
        shifts = np.stack(grids, -1).reshape(-1, 3)
        inverse = np.linalg.inv(transform)
        inside = shifts @ inverse
        keep = ((inside > -1e-9) & (inside < 1 - 1e-9)).all(1)
        shifts = shifts[keep]
        if len(shifts) != volume:
            raise InputError("the supercell could not be filled", place=self.name)
        scaled = ((self.scaled[None] + shifts[:, None]) @ inverse).reshape(-1, 3)
        repeats = len(shifts)
        return self.replace(
            cell=transform @ self.cell,
            numbers=np.tile(self.numbers, repeats),
            scaled=scaled,
            charges=None if self.charges is None else np.tile(self.charges, repeats),
            labels=self.labels * repeats,
        )

    def primitive(self) -> Crystal:
        """Return the crystal in a primitive cell (Niggli-reduced), in the same orientation."""
        import spglib

        found = spglib.standardize_cell(
            (self.cell, self.scaled, self.numbers),
            to_primitive=True,
            no_idealize=True,  # keeps the orientation
            symprec=self.symprec,
        )
        if found is None:
            raise InputError("no primitive cell found", place=self.name)
        cell, scaled, numbers = found
        reduced = spglib.niggli_reduce(np.asarray(cell), eps=1e-5)
        cell2 = np.asarray(reduced if reduced is not None else cell, dtype=float)
        if np.linalg.det(cell2) < 0:
            cell2 = -cell2
        positions = np.asarray(scaled) @ np.asarray(cell)
        charges = None
        labels: tuple[str, ...] = ()
        if self.charges is not None or self.labels:
            index = self.match_positions(positions, np.asarray(numbers))
            charges = None if self.charges is None else self.charges[index]
            labels = tuple(self.labels[i] for i in index)
        return self.replace(
            cell=cell2,
            numbers=np.asarray(numbers),
            scaled=positions @ np.linalg.inv(cell2),
            charges=charges,
            labels=labels,
        )

    def match_positions(
        self, positions: NDArray[np.float64], numbers: NDArray[np.int64], tolerance: float = 0.1
    ) -> NDArray[np.int64]:
        """Return for each Cartesian position the atom of the cell that it is an image of.

        Parameters
        ----------
        positions : (m, 3) array
            Å, any lattice translation.
        numbers : (m,) int array
            Atomic numbers that have to agree.
        tolerance : float
            Largest distance, Å.

        Raises
        ------
        InputError
            A position that is no image of an atom.
        """
        scaled = positions @ np.linalg.inv(self.cell)
        result = np.empty(len(scaled), dtype=np.int64)
        for i, (point, number) in enumerate(zip(scaled, numbers, strict=True)):
            delta = self.scaled - point
            delta -= np.round(delta)
            distance = np.linalg.norm(delta @ self.cell, axis=1)
            distance[self.numbers != number] = np.inf
            result[i] = int(np.argmin(distance))
            if distance[result[i]] > tolerance:
                raise InputError("an atom is not on a site of the crystal", place=self.name)
        return result

    # ---------------------------------------------------------------- showing

    def to_json(self) -> dict[str, Any]:
        """Return name, formula, space group, cell, sites and source as plain data."""
        return {
            "name": self.name,
            "formula": self.formula,
            "space_group": {
                "number": self.symmetry.number,
                "symbol": self.symmetry.international,
                "hall": self.symmetry.hall,
            },
            "cell": [[float(x) for x in row] for row in self.cell],
            "cellpar": list(self.cellpar),
            "sites": [
                {
                    "label": label,
                    "element": symbol,
                    "position": [float(x) for x in site],
                    "charge": None if self.charges is None else float(self.charges[i]),
                }
                for i, (label, symbol, site) in enumerate(
                    zip(self.labels, self.symbols, self.scaled, strict=True)
                )
            ],
            "density": {
                "value": self.density,
                "error": None,
                "unit": "g/cm^3",
                "error_reason": "follows from the cell as given",
            },
            "method": self.method,
            "temperature": self.temperature,
            "source": self.source,
        }

    def to_record(self) -> dict[str, Any]:
        """Return everything needed to make the same Crystal again (see `from_record`)."""
        return {
            "name": self.name,
            "cell": self.cell.tolist(),
            "numbers": self.numbers.tolist(),
            "scaled": self.scaled.tolist(),
            "charges": None if self.charges is None else self.charges.tolist(),
            "source": self.source,
            "labels": list(self.labels),
            "temperature": self.temperature,
            "method": self.method,
            "symprec": self.symprec,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Crystal:
        """Return the Crystal that `to_record` wrote."""
        return cls(
            name=str(record["name"]),
            cell=np.array(record["cell"], dtype=float),
            numbers=np.array(record["numbers"], dtype=np.int64),
            scaled=np.array(record["scaled"], dtype=float),
            charges=None if record.get("charges") is None else np.array(record["charges"]),
            source=str(record.get("source", "")),
            labels=tuple(record.get("labels", ())),
            temperature=record.get("temperature"),
            method=str(record.get("method", "")),
            symprec=float(record.get("symprec", 0.01)),
        )

    def __repr__(self) -> str:
        a, b, c, *_ = self.cellpar
        return (
            f"<Crystal {self.name}: {self.formula}, {len(self)} atoms, {a:.4g} {b:.4g} {c:.4g} Å>"
        )
