"""Organic ions in crystals and particles: which atoms are one molecule, its charge, its name.

A molecule is what covalent bonds hold together and has carbon, or nitrogen with hydrogen, in it.
Builders and the orientation search see each molecule as one ion on the atom that stands for its
charge (`ions`): the nitrogen of an ammonium group, the middle carbon of an amidinium. So it is
carved, kept, moved and removed as a whole.
"""

from __future__ import annotations

import functools
import itertools
import json
import weakref
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.symmetry import Symmetry

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# elements that bond covalently in molecules; halogens and sulfur only belong to a molecule where
# they are bonded to one
COVALENT = (1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 34, 35, 53)
# bonds are shorter than this multiple of the sum of covalent radii; the next contacts (H...Br at
# 2.3 Å, H...H at 1.75 Å) are at 1.5 and more
STRETCH = 1.25

Step = tuple[int, int, int]
Key = tuple[str, tuple[int, ...], tuple[int, ...]]


@functools.cache
def _table() -> dict[str, Any]:
    # read from beside the catalog's text, not through `heterodot.catalog`, which imports crystals
    path = Path(__file__).parent / "catalog" / "data" / "molecular_ions.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@functools.cache
def _names() -> dict[Key, str]:
    """Formula, hydrogens on each carbon and on each nitrogen -> what chemists call the ion."""
    return {
        (
            record["formula"],
            tuple(record["hydrogens_on_carbon"]),
            tuple(record["hydrogens_on_nitrogen"]),
        ): record["name"]
        for record in _table()["ions"]
    }


def ion_radius(number: int) -> float:
    """Return the radius of an organic cation seen from its carrier (nitrogen or carbon), Å.

    Examples
    --------
    >>> ion_radius(7)
    1.46
    """
    return float(_table()["radii"]["amidinium" if number == 6 else "ammonium"])


@dataclass(frozen=True, eq=False)
class Group:
    """One molecule of a structure.

    Attributes
    ----------
    atoms : (n,) int array
        Its atoms in the structure; the carrier first.
    shifts : (n, 3) int array
        Cells that bring each atom beside the carrier (zero in a particle).
    charge : float
        Formal charge, e.
    formula : str
        ``"C7H10N"``.
    name : str
        ``"PMA"`` where it is a well-known ion, else the formula.
    """

    atoms: Ints
    shifts: Ints
    charge: float
    formula: str
    name: str

    @property
    def carrier(self) -> int:
        """The atom that stands for the molecule's charge."""
        return int(self.atoms[0])


# -------------------------------------------------------------------- finding molecules


def bonded(numbers: Ints, positions: Array, cell: Array | None = None) -> tuple[Ints, Ints, Ints]:
    """Return the covalent bonds among atoms that can be in molecules, from both ends.

    Parameters
    ----------
    numbers : (n,) int array
    positions : (n, 3) array
        Å.
    cell : (3, 3) array, optional
        Repeats in all three directions.

    Returns
    -------
    first, second : (m,) int arrays
    shifts : (m, 3) int array
        Cell of ``second`` relative to that of ``first``.
    """
    from ase.data import covalent_radii

    mine = np.flatnonzero(np.isin(numbers, COVALENT))
    none = np.zeros(0, dtype=np.int64)
    if len(mine) < 2 or not np.isin(numbers[mine], (1, 6, 7)).any():
        return none, none, np.zeros((0, 3), dtype=np.int64)
    reach = STRETCH * covalent_radii[numbers[mine]]
    if cell is None:
        from scipy.spatial import cKDTree

        pairs = cKDTree(positions[mine]).query_pairs(2 * float(reach.max()), output_type="ndarray")
        i, j = pairs[:, 0], pairs[:, 1]
        near = np.linalg.norm(positions[mine[i]] - positions[mine[j]], axis=1) < reach[i] + reach[j]
        i, j = np.concatenate([i[near], j[near]]), np.concatenate([j[near], i[near]])
        shifts = np.zeros((len(i), 3), dtype=np.int64)
    else:
        from ase import Atoms
        from ase.neighborlist import neighbor_list

        work = Atoms(numbers[mine], positions=positions[mine], cell=cell, pbc=True)
        i, j, shifts = neighbor_list("ijS", work, list(reach))
    # two halogens or chalcogens beside each other are no molecule
    light = np.isin(numbers[mine], (1, 5, 6, 7, 8))
    keep = light[i] | light[j]
    return mine[i[keep]], mine[j[keep]], np.asarray(shifts[keep], dtype=np.int64)


def groups_of(
    numbers: Ints,
    positions: Array,
    cell: Array | None = None,
    charges: Array | None = None,
) -> tuple[Group, ...]:
    """Return the molecules among atoms.

    Parameters
    ----------
    numbers, positions, cell
        As for `bonded`.
    charges : (n,) array, optional
        Formal charges where known; those of a molecule are summed. Otherwise its charge follows
        from its ammonium groups, or from whether its electrons pair.
    """
    numbers = np.asarray(numbers)
    if not np.isin(numbers, (6, 7)).any():
        return ()
    first, second, shifts = bonded(numbers, np.asarray(positions, dtype=float), cell)
    around: dict[int, list[tuple[int, Step]]] = {}
    for a, b, (x, y, z) in zip(first.tolist(), second.tolist(), shifts.tolist(), strict=True):
        around.setdefault(a, []).append((b, (x, y, z)))
    kind = numbers.tolist()
    seen: set[int] = set()
    found = []
    for start in sorted(around):
        if start in seen:
            continue
        members: dict[int, Step] = {start: (0, 0, 0)}
        queue = [start]
        endless = False
        while queue:
            a = queue.pop()
            x, y, z = members[a]
            for b, (u, v, w) in around[a]:
                where = (x + u, y + v, z + w)
                if b not in members:
                    members[b] = where
                    queue.append(b)
                elif members[b] != where:
                    endless = True
        seen |= set(members)
        kinds = {kind[m] for m in members}
        organic = 6 in kinds or kinds >= {1, 7}
        # a polymer or a covalent crystal (diamond, BN, SiC) is no molecule
        if organic and not endless and len(members) > 1:
            found.append(_group(numbers, positions, members, around, cell, charges))
    return tuple(found)


def _group(
    numbers: Ints,
    positions: Array,
    members: dict[int, Step],
    around: Mapping[int, Sequence[tuple[int, Step]]],
    cell: Array | None,
    charges: Array | None,
) -> Group:
    atoms = np.array(sorted(members), dtype=np.int64)
    shifts = np.array([members[int(a)] for a in atoms])
    points = positions[atoms] + (0.0 if cell is None else shifts @ cell)
    kinds = numbers[atoms]
    kind = dict(zip(atoms.tolist(), kinds.tolist(), strict=True))
    hydrogens = {a: sum(kind[b] == 1 for b, _ in around[a]) for a in kind}
    degree = np.array([len(around[a]) for a in kind])
    formula = hill(kinds)
    key = (
        formula,
        tuple(sorted(hydrogens[a] for a, k in kind.items() if k == 6)),
        tuple(sorted(hydrogens[a] for a, k in kind.items() if k == 7)),
    )
    heads = np.flatnonzero((kinds == 7) & (degree == 4))
    nitrogens = np.flatnonzero(kinds == 7)
    oxygens = np.flatnonzero(kinds == 8)
    if charges is not None:
        charge = float(charges[atoms].sum())
    elif len(heads):
        charge = float(len(heads))
    elif kinds.sum() % 2:
        charge = 1.0 if len(nitrogens) else -1.0
    else:
        charge = 0.0
    if len(heads):
        carrier = int(heads[0])
    elif len(nitrogens) == 1:
        carrier = int(nitrogens[0])
    else:
        ends = nitrogens if len(nitrogens) else oxygens if len(oxygens) else np.arange(len(atoms))
        middle = points[ends].mean(0)
        heavy = np.flatnonzero(kinds > 1)
        heavy = heavy if len(heavy) else np.arange(len(atoms))
        carrier = int(heavy[np.argmin(np.linalg.norm(points[heavy] - middle, axis=1).round(6))])
    order = np.concatenate([[carrier], np.delete(np.arange(len(atoms)), carrier)])
    return Group(
        atoms[order], (shifts - shifts[carrier])[order], charge, formula, _names().get(key, formula)
    )


def hill(numbers: Ints) -> str:
    """Return the formula of some atoms, carbon and hydrogen first.

    Examples
    --------
    >>> hill(np.array([7, 6, 1, 1, 1, 1, 1, 1]))
    'CH6N'
    """
    from ase.data import chemical_symbols

    symbols = {chemical_symbols[k]: n for k, n in Counter(np.asarray(numbers).tolist()).items()}
    first = [e for e in ("C", "H") if e in symbols] if "C" in symbols else []
    keys = first + sorted(set(symbols) - set(first))
    return "".join(k + (str(symbols[k]) if symbols[k] > 1 else "") for k in keys)


# -------------------------------------------------------------------- charges and formulas


def charges_with_groups(
    numbers: Ints, positions: Array, cell: Array | None = None
) -> tuple[Array | None, tuple[Group, ...]]:
    """Return formal charges of atoms among which there are molecules, and the molecules.

    The charge of a molecule stands on its carrier. The inorganic rest takes common oxidation
    states that make the whole neutral; in a particle (no cell), which may be charged, the most
    common ones.

    Returns
    -------
    charges : (n,) array or None
        None without molecules, or where no states are known that fit.
    groups : tuple of Group
    """
    from ase.data import chemical_symbols

    from heterodot.charges import STATES

    numbers = np.asarray(numbers)
    groups = groups_of(numbers, positions, cell)
    if not groups:
        return None, ()
    rest = np.ones(len(numbers), dtype=bool)
    for group in groups:
        rest[group.atoms] = False
    kinds, counts = np.unique(numbers[rest], return_counts=True)
    symbols = [chemical_symbols[k] for k in kinds]
    if any(s not in STATES for s in symbols):
        return None, groups
    chosen = tuple(STATES[s][0] for s in symbols)
    if cell is not None:
        options = sorted(
            itertools.product(*[range(len(STATES[s])) for s in symbols]), key=lambda pick: sum(pick)
        )
        own = sum(group.charge for group in groups)
        one_kind = len({group.formula for group in groups}) == 1
        for pick in options:
            chosen = tuple(STATES[s][k] for s, k in zip(symbols, pick, strict=True))
            net = sum(q * c for q, c in zip(chosen, counts, strict=True))
            if net + own == 0:
                break
        else:
            # without hydrogens in the file the charge is what balances the rest
            chosen = tuple(STATES[s][0] for s in symbols)
            net = sum(q * c for q, c in zip(chosen, counts, strict=True))
            each = -net / len(groups)
            if not one_kind or each != round(each) or abs(each) > 4:
                return None, groups
            groups = tuple(Group(g.atoms, g.shifts, float(each), g.formula, g.name) for g in groups)
    charges = np.zeros(len(numbers))
    for kind, q in zip(kinds, chosen, strict=True):
        charges[rest & (numbers == kind)] = q
    for group in groups:
        charges[group.carrier] = group.charge
    return charges, groups


_KNOWN: weakref.WeakKeyDictionary[Crystal, tuple[Group, ...]] = weakref.WeakKeyDictionary()


def molecules(crystal: Crystal) -> tuple[Group, ...]:
    """Return the molecules of a crystal, whole, wherever its cell cuts them.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> [group.name for group in molecules(crystal("PMA2PbBr4"))] == ["PMA"] * 8
    True
    """
    found = _KNOWN.get(crystal)
    if found is None:
        found = (
            groups_of(crystal.numbers, crystal.positions, crystal.cell, crystal.charges)
            if len(crystal) > 1
            else ()
        )
        _KNOWN[crystal] = found
    return found


def formula(crystal: Crystal) -> str | None:
    """Return the formula of a crystal with its molecules named, or None where it has none.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> formula(crystal("PMA2PbBr4")), formula(crystal("PbS"))
    ('PMA2PbBr4', None)
    """
    groups = molecules(crystal)
    if not groups:
        return None
    from heterodot.charges import PAULING

    counts: dict[str, int] = {}
    for group in groups:
        key = group.name if group.name != group.formula else f"({group.formula})"
        counts[key] = counts.get(key, 0) + 1
    inside = np.concatenate([group.atoms for group in groups])
    rest: dict[str, int] = {}
    for k in np.setdiff1d(np.arange(len(crystal)), inside):
        symbol = crystal.symbols[k]
        rest[symbol] = rest.get(symbol, 0) + 1
    keys = [*sorted(counts), *sorted(rest, key=lambda e: (PAULING.get(e, 2.0), e))]
    counts.update(rest)
    divisor = int(np.gcd.reduce(list(counts.values())))
    return "".join(k + (str(counts[k] // divisor) if counts[k] > divisor else "") for k in keys)


# -------------------------------------------------------------------- molecules as ions


@dataclass(frozen=True, eq=False, repr=False)
class IonicCrystal(Crystal):
    """A crystal in which one site, the carrier, stands for each molecule.

    Name, formula and symmetry are those of the crystal itself, since molecules lie as they lie.

    Attributes
    ----------
    whole : Crystal
        With all atoms.
    groups : tuple of Group or None
        For each site the molecule that it stands for.
    """

    whole: Crystal = field(kw_only=True)
    groups: tuple[Group | None, ...] = field(kw_only=True)

    @property
    def formula(self) -> str:
        """Formula of the whole crystal."""
        return self.whole.formula

    @functools.cached_property
    def symmetry(self) -> Symmetry:
        """Symmetry of the whole crystal."""
        return self.whole.symmetry

    @functools.cached_property
    def point_operations(self) -> NDArray[np.float64]:
        """Point operations of the whole crystal."""
        return self.whole.point_operations

    def primitive(self) -> Crystal:
        """Return the primitive cell of the whole crystal, molecules as ions."""
        return ions(self.whole.primitive())

    def atoms_of(self, site: int) -> tuple[Ints, Array, Array]:
        """Return numbers, offsets from the site (Å) and charges of a site's molecule.

        An ion that is no molecule is itself, at offset zero.
        """
        group = self.groups[site]
        if group is None:
            return (
                self.numbers[site : site + 1],
                np.zeros((1, 3)),
                self.require_charges()[site : site + 1],
            )
        whole = self.whole
        points = whole.positions[group.atoms] + group.shifts @ whole.cell
        charges = np.zeros(len(group.atoms))
        charges[0] = group.charge
        return whole.numbers[group.atoms], points - points[0], charges


_IONS: weakref.WeakKeyDictionary[Crystal, Crystal] = weakref.WeakKeyDictionary()


def ions(crystal: Crystal) -> Crystal:
    """Return the crystal with every molecule as one ion; itself where it has none.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> layered = ions(crystal("PMA2PbBr4"))
    >>> layered.formula, len(layered), sorted(layered.counts.items())
    ('PMA2PbBr4', 28, [('Br', 16), ('N', 8), ('Pb', 4)])
    """
    if isinstance(crystal, IonicCrystal):
        return crystal
    found = _IONS.get(crystal)
    if found is None:
        found = _reduced(crystal)
        _IONS[crystal] = found
    return found


def _reduced(crystal: Crystal) -> Crystal:
    groups = molecules(crystal)
    if not groups:
        return crystal
    owner: dict[int, Group] = {group.carrier: group for group in groups}
    inside = np.zeros(len(crystal), dtype=bool)
    for group in groups:
        inside[group.atoms] = True
    index = np.array([k for k in range(len(crystal)) if not inside[k] or k in owner])
    charges = None
    if crystal.charges is not None:
        charges = crystal.charges[index].copy()
        for n, k in enumerate(index):
            if int(k) in owner:
                charges[n] = owner[int(k)].charge
    return IonicCrystal(
        name=crystal.name,
        cell=crystal.cell,
        numbers=crystal.numbers[index],
        scaled=crystal.scaled[index],
        charges=charges,
        source=crystal.source,
        labels=tuple(crystal.labels[k] for k in index),
        temperature=crystal.temperature,
        method=crystal.method,
        symprec=crystal.symprec,
        whole=crystal,
        groups=tuple(owner.get(int(k)) for k in index),
    )


def symbols_shown(crystal: Crystal) -> tuple[str, ...]:
    """Return what each atom is called in names of layers: its element, or its molecule's name.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> sorted(set(symbols_shown(ions(crystal("PMA2PbBr4")))))
    ['Br', 'PMA', 'Pb']
    """
    found = list(crystal.symbols)
    if isinstance(crystal, IonicCrystal):
        for k, group in enumerate(crystal.groups):
            if group is not None:
                found[k] = group.name
        return tuple(found)
    for group in molecules(crystal):
        found[group.carrier] = group.name
    return tuple(found)


def sites_of(crystal: Crystal) -> Ints:
    """Return the atoms that stand for ions: all but the bodies of molecules, (n,)."""
    whole = ions(crystal)
    if whole is crystal:
        return np.arange(len(crystal), dtype=np.int64)
    inside = np.zeros(len(crystal), dtype=bool)
    for group in molecules(crystal):
        inside[group.atoms[1:]] = True
    return np.flatnonzero(~inside)


def with_cell(crystal: Crystal, cell: Array) -> Crystal:
    """Return a crystal in another cell, sites in proportion but molecules rigid.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> layered = crystal("PMA2PbBr4")
    >>> wide = with_cell(layered, 1.05 * layered.cell)
    >>> round(wide.volume / layered.volume, 3), wide.formula
    (1.158, 'PMA2PbBr4')
    """
    scaled = np.array(crystal.scaled)
    back = np.linalg.inv(cell)
    for group in molecules(crystal):
        points = crystal.positions[group.atoms] + group.shifts @ crystal.cell
        at = scaled[group.carrier] @ cell
        scaled[group.atoms] = (at + points - points[0]) @ back
    return crystal.replace(cell=cell, scaled=scaled)
