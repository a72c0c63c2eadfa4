"""Is this a sound crystal structure: symmetry, density, shortest distances, bond valences."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np

from heterodot.catalog import database
from heterodot.crystal import Crystal

# A pair closer than this share of the sum of its radii is a fault of the structure. Effective
# radii overstate covalent bonds (Cu-S in digenite is 0.89 of the sum).
_CLOSEST = 0.75
# Bond-valence sums of sound structures lie within this of the formal charge; monovalent cations
# in the large hole of a cubic perovskite are the loosest (0.6 valence units below).
_VALENCE_ROOM = 0.70


@dataclass(frozen=True, slots=True)
class Contact:
    """The shortest distance of a pair of elements, Å, and the sum of their ionic radii."""

    pair: str
    distance: float
    radii: float | None

    @property
    def ratio(self) -> float | None:
        """Distance over the sum of radii."""
        return None if self.radii is None else self.distance / self.radii


@dataclass(frozen=True, slots=True)
class Valence:
    """The bond-valence sum of a site and its formal charge, valence units."""

    site: str
    valence: float
    charge: float

    @property
    def deviation(self) -> float:
        """Valence minus the magnitude of the charge."""
        return self.valence - abs(self.charge)


@dataclass(frozen=True, slots=True)
class StructureReport:
    """What the checks of a structure found.

    Attributes
    ----------
    space_group : str
        As found from the atoms.
    density : float
        g/cm³.
    contacts : tuple of Contact
        Shortest distance of each pair of elements.
    valences : tuple of Valence
        Of each site; empty where parameters are missing.
    instability : float or None
        Global instability index, the root mean square deviation, valence units; below about 0.2
        in unstrained crystals.
    faults : tuple of str
        What is not sound; empty for a good structure.
    """

    space_group: str
    density: float
    contacts: tuple[Contact, ...]
    valences: tuple[Valence, ...]
    instability: float | None
    faults: tuple[str, ...]


def check_structure(crystal: Crystal, space_group: int | None = None) -> StructureReport:
    """Return what symmetry, density, distances and bond valences say of a structure.

    Parameters
    ----------
    crystal : Crystal
    space_group : int, optional
        Number that the source states; another one found is a fault.

    References
    ----------
    I. D. Brown, The Chemical Bond in Inorganic Chemistry, 2nd ed., Oxford (2016), chapter 3;
    A. Salinas-Sanchez et al., J. Solid State Chem. 100, 201 (1992), for the instability index.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> report = check_structure(crystal("PbS"), 225)
    >>> report.faults, [(v.site, round(v.valence, 1)) for v in report.valences]
    ((), [('Pb', 1.9), ('S', 1.9)])
    """
    faults = []
    symmetry = crystal.symmetry
    if space_group is not None and symmetry.number != space_group:
        faults.append(
            f"the atoms have space group {symmetry.international} ({symmetry.number}),"
            f" number {space_group} is stated"
        )
    if not 0.5 < crystal.density < 23.0:
        faults.append(f"a density of {crystal.density:.2f} g/cm3 is not that of a solid")
    if crystal.charges is not None and abs(crystal.charges.sum()) > 1e-3:
        faults.append(f"the cell has a net formal charge of {crystal.charges.sum():+.3g} e")
    contacts = _contacts(crystal)
    for contact in contacts:
        if contact.ratio is not None and contact.ratio < _CLOSEST:
            faults.append(
                f"{contact.pair} come as close as {contact.distance:.2f} Å,"
                f" {contact.ratio:.2f} of the sum of their radii"
            )
        elif contact.radii is None and contact.distance < 0.7:
            faults.append(f"{contact.pair} come as close as {contact.distance:.2f} Å")
    valences = valence_sums(crystal)
    for valence in valences:
        if abs(valence.deviation) > _VALENCE_ROOM * max(1.0, abs(valence.charge)):
            faults.append(
                f"{valence.site} has a bond-valence sum of {valence.valence:.2f},"
                f" its charge is {valence.charge:+g}"
            )
    index = math.sqrt(sum(v.deviation**2 for v in valences) / len(valences)) if valences else None
    return StructureReport(
        symmetry.international, crystal.density, contacts, valences, index, tuple(faults)
    )


def valence_sums(crystal: Crystal, cutoff: float = 6.0) -> tuple[Valence, ...]:
    """Return the bond-valence sum of each distinct site, valence units.

    Parameters
    ----------
    crystal : Crystal
        With formal charges.
    cutoff : float
        Longest bond counted, Å.

    Returns
    -------
    tuple of Valence
        Empty where charges or the parameters of some cation-anion pair are not known.
    """
    if crystal.charges is None or not np.any(crystal.charges):
        return ()
    from ase.neighborlist import neighbor_list

    parameters = _parameters()
    symbols, charges = crystal.symbols, crystal.charges
    first, second, distance = neighbor_list("ijd", crystal.atoms, cutoff)
    sums = np.zeros(len(crystal))
    for i, j, d in zip(first, second, distance, strict=True):
        if charges[i] * charges[j] >= 0:
            continue
        cation, anion = (i, j) if charges[i] > 0 else (j, i)
        found = parameters.get((symbols[cation], symbols[anion]))
        if found is None:
            return ()
        sums[i] += math.exp((found[0] - d) / found[1])
    seen: dict[str, Valence] = {}
    for k, label in enumerate(crystal.labels):
        seen.setdefault(label, Valence(label, float(sums[k]), float(charges[k])))
    return tuple(seen.values())


def _parameters() -> dict[tuple[str, str], tuple[float, float]]:
    found = {}
    for cation, anion, text in database.rows("SELECT cation, anion, record FROM bond_valence"):
        record = json.loads(text)
        found[cation, anion] = (float(record["r0"]), float(record["b"]))
    return found


def _contacts(crystal: Crystal) -> tuple[Contact, ...]:
    from ase.neighborlist import neighbor_list

    first, second, distance = neighbor_list("ijd", crystal.atoms, 6.0)
    symbols = crystal.symbols
    nearest: dict[tuple[str, str], tuple[float, int, int]] = {}
    for i, j, d in zip(first, second, distance, strict=True):
        pair = (min(symbols[i], symbols[j]), max(symbols[i], symbols[j]))
        if pair not in nearest or d < nearest[pair][0]:
            nearest[pair] = (float(d), int(i), int(j))
    found = []
    for (a, b), (d, i, j) in sorted(nearest.items(), key=lambda item: item[1][0]):
        radii = _radius(crystal, i), _radius(crystal, j)
        opposite = crystal.charges is not None and crystal.charges[i] * crystal.charges[j] < 0
        whole = radii[0] + radii[1] if radii[0] is not None and radii[1] is not None else None
        # ions of like charge have no bond length; they only must not lie on one another
        found.append(Contact(f"{a} and {b}", d, whole if opposite else None))
    return tuple(found)


def _radius(crystal: Crystal, atom: int) -> float | None:
    if crystal.charges is None:
        return None
    rows = database.rows(
        "SELECT coordination, record FROM radius WHERE element = ? AND charge = ?",
        (crystal.symbols[atom], round(float(crystal.charges[atom]))),
    )
    by_coordination = {row[0]: json.loads(row[1])["radius"] for row in rows}
    for wanted in ("6", "4", "8", "12"):
        if wanted in by_coordination:
            return float(by_coordination[wanted])
    return float(next(iter(by_coordination.values()))) if by_coordination else None
