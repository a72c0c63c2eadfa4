"""The particle: one or more crystals in one finite body, every atom with domain, role and charge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.errors import InputError

if TYPE_CHECKING:
    from ase import Atoms

ROLES = ("core", "surface", "interface", "ligand")


@dataclass(frozen=True)
class Domain:
    """One crystal of a particle.

    Attributes
    ----------
    name : str
        What results call it, e.g. ``"CsPbCl3"``; unique in the particle.
    crystal : Crystal or None
        The bulk phase, None for a file of unknown origin.
    orientation : (3, 3) array
        Proper rotation, Cartesian frame of the crystal -> frame of the particle.
    strain : (3, 3) array
        Symmetric strain of the crystal in the particle's frame (zero when unstrained).
    origin : (3,) array
        Where the crystal's cell origin lies in the particle's frame, Å.
    shape : str
        How it was carved, in words (``"cube 3.4 nm"``).
    """

    name: str
    crystal: Crystal | None = None
    orientation: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))
    strain: NDArray[np.float64] = field(default_factory=lambda: np.zeros((3, 3)))
    origin: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    shape: str = ""

    def to_record(self) -> dict[str, Any]:
        """Return plain data from which `from_record` makes the same domain."""
        return {
            "name": self.name,
            "crystal": None if self.crystal is None else self.crystal.to_record(),
            "orientation": np.asarray(self.orientation).tolist(),
            "strain": np.asarray(self.strain).tolist(),
            "origin": np.asarray(self.origin).tolist(),
            "shape": self.shape,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Domain:
        """Return the domain that `to_record` wrote."""
        crystal = record.get("crystal")
        return cls(
            str(record["name"]),
            None if crystal is None else Crystal.from_record(crystal),
            np.array(record.get("orientation", np.eye(3)), dtype=float),
            np.array(record.get("strain", np.zeros((3, 3))), dtype=float),
            np.array(record.get("origin", np.zeros(3)), dtype=float),
            str(record.get("shape", "")),
        )


@dataclass(frozen=True, eq=False)
class Particle:
    """A finite body of one or more crystalline domains. Immutable: every change makes a new one.

    Attributes
    ----------
    symbols : tuple of str, n_atoms
    positions : (n_atoms, 3) array
        Å, read-only.
    domain : (n_atoms,) int array
        Index into ``domains``; -1 for atoms of no crystal (ligands).
    role : (n_atoms,) array of str
        ``core``, ``surface``, ``interface`` or ``ligand``.
    charge : (n_atoms,) array
        Formal charge, e.
    domains : tuple of Domain
    history : tuple of dict
        What was done, oldest first: ``{"step": ..., ...}`` plain data.
    extra : mapping of str to array
        Further per-atom arrays, kept in files (``molecule`` ids of ligands, for instance).
    info : mapping
        Further plain data about the whole particle (relation, interface report).

    Examples
    --------
    >>> import numpy as np
    >>> p = Particle(("Pb", "S"), np.array([[0, 0, 0], [0, 0, 2.97]]), np.zeros(2, int),
    ...              np.array(["surface"] * 2), np.array([2., -2.]), (Domain("PbS"),))
    >>> p.formula, p.net_charge, len(p)
    ('PbS', 0.0, 2)
    """

    symbols: tuple[str, ...]
    positions: NDArray[np.float64]
    domain: NDArray[np.int64]
    role: NDArray[np.str_]
    charge: NDArray[np.float64]
    domains: tuple[Domain, ...]
    history: tuple[dict[str, Any], ...] = ()
    extra: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check lengths and labels; freeze the arrays."""
        n = len(self.symbols)
        arrays: dict[str, Any] = {
            "positions": np.array(self.positions, dtype=float).reshape(-1, 3),
            "domain": np.array(self.domain, dtype=np.int64),
            "role": np.array(self.role, dtype="U9"),
            "charge": np.array(self.charge, dtype=float),
        }
        for key, array in arrays.items():
            if len(array) != n:
                raise InputError(f"{key} has {len(array)} entries for {n} atoms", place="Particle")
            array.setflags(write=False)
            object.__setattr__(self, key, array)
        for key, array in self.extra.items():
            if len(array) != n:
                raise InputError(f"{key} has {len(array)} entries for {n} atoms", place="Particle")
        if n and not np.isfinite(self.positions).all():
            raise InputError("a position is not finite", place="Particle")
        if n and (self.domain.max() >= len(self.domains) or self.domain.min() < -1):
            raise InputError("an atom belongs to a domain that is not listed", place="Particle")
        if not set(np.unique(self.role)) <= set(ROLES):
            raise InputError(f"roles must be among {', '.join(ROLES)}", place="Particle")
        names = [domain.name for domain in self.domains]
        if len(set(names)) != len(names):
            raise InputError("two domains share a name", place="Particle")

    # ---------------------------------------------------------------- what it is

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Atomic numbers, (n_atoms,)."""
        from ase.data import atomic_numbers

        return np.array([atomic_numbers[s] for s in self.symbols], dtype=np.int64)

    @property
    def net_charge(self) -> float:
        """Sum of the formal charges, e."""
        return float(np.round(self.charge.sum(), 9))

    def composition(self, domain: int | str | None = None) -> dict[str, int]:
        """Atoms of each element, of the whole particle or of one domain (index or name)."""
        chosen = self.select(domain)
        found: dict[str, int] = {}
        for i in np.flatnonzero(chosen):
            found[self.symbols[i]] = found.get(self.symbols[i], 0) + 1
        from heterodot.charges import PAULING

        return dict(sorted(found.items(), key=lambda item: (PAULING.get(item[0], 2.0), item[0])))

    @property
    def formula(self) -> str:
        """Formula with full counts, cations first (``Cs126Pb337S221Cl358``)."""
        return "".join(
            element + (str(count) if count > 1 else "")
            for element, count in self.composition().items()
        )

    def select(self, domain: int | str | None) -> NDArray[np.bool_]:
        """Return which atoms belong to a domain (all for None), (n_atoms,) bool.

        Raises
        ------
        InputError
            No domain of that name.
        """
        if domain is None:
            return np.ones(len(self), dtype=bool)
        if isinstance(domain, str):
            names = [d.name for d in self.domains]
            if domain not in names:
                raise InputError(
                    f"there is no domain '{domain}'", remedy=f"choose among {', '.join(names)}"
                )
            domain = names.index(domain)
        return np.asarray(self.domain == domain)

    @property
    def atoms(self) -> Atoms:
        """A fresh ASE Atoms with arrays ``domain``, ``role``, ``charge`` and the extra ones."""
        from ase import Atoms

        atoms = Atoms(self.numbers, positions=self.positions)
        atoms.set_array("domain", np.array(self.domain))
        atoms.set_array("role", np.array(self.role))
        atoms.set_array("charge", np.array(self.charge))
        for key, array in self.extra.items():
            atoms.set_array(key, np.array(array))
        return atoms

    # ---------------------------------------------------------------- changing

    def replace(self, step: Mapping[str, Any] | None = None, **changes: Any) -> Particle:
        """Return a changed copy, with ``step`` added to its history."""
        import dataclasses

        if step is not None:
            changes["history"] = (*self.history, dict(step))
        return dataclasses.replace(self, **changes)

    def take(self, keep: NDArray[Any], step: Mapping[str, Any] | None = None) -> Particle:
        """Return the particle of some atoms only (mask or indices), with ``step`` in its history."""
        index = np.flatnonzero(keep) if np.asarray(keep).dtype == bool else np.asarray(keep)
        return self.replace(
            step,
            symbols=tuple(self.symbols[i] for i in index),
            positions=self.positions[index],
            domain=self.domain[index],
            role=self.role[index],
            charge=self.charge[index],
            extra={key: np.asarray(array)[index] for key, array in self.extra.items()},
        )

    # ---------------------------------------------------------------- files

    def write(self, path: str | Path) -> Path:
        """Write as extended XYZ with full precision; `Particle.read` gives the same particle."""
        from heterodot.particle.extxyz import write_extxyz

        return write_extxyz(path, self)

    @classmethod
    def read(cls, path: str | Path) -> Particle:
        """Return the particle in an extended XYZ file, ours or any other (see `read_extxyz`)."""
        from heterodot.particle.extxyz import read_extxyz

        return read_extxyz(path)

    def to_info(self) -> dict[str, Any]:
        """Return domains, history and info as plain data (the part of a file beside the atoms)."""
        return {
            "format": 1,
            "domains": [domain.to_record() for domain in self.domains],
            "history": list(self.history),
            "info": dict(self.info),
        }

    def same_as(self, other: Particle) -> bool:
        """Return whether two particles are equal in every number, label and note."""
        return (
            self.symbols == other.symbols
            and np.array_equal(self.positions, other.positions)
            and np.array_equal(self.domain, other.domain)
            and np.array_equal(self.role, other.role)
            and np.array_equal(self.charge, other.charge)
            and set(self.extra) == set(other.extra)
            and all(np.array_equal(self.extra[k], other.extra[k]) for k in self.extra)
            and json.dumps(self.to_info(), sort_keys=True)
            == json.dumps(other.to_info(), sort_keys=True)
        )

    def __repr__(self) -> str:
        names = ", ".join(domain.name for domain in self.domains)
        return f"<Particle {self.formula}: {len(self)} atoms, charge {self.net_charge:+g}; {names}>"
