"""Two-center tight binding with spin-orbit coupling for crystals: sets, bands, edges, masses.

Slater and Koster, Phys. Rev. 94, 1498 (1954); hoppings scale with the inverse square of the
distance (Harrison, Electronic Structure and the Properties of Solids, 1980); spin-orbit coupling
on p orbitals after Chadi, Phys. Rev. B 16, 790 (1977).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heterodot.crystal import Crystal
from heterodot.errors import InputError

HOPPINGS = ("ss", "sp", "ps", "pps", "ppp")
REACH = (1.15, 1.30)  # a hopping fades out between these multiples of its distance

#: (L_a sigma_a) in the basis (px, py, pz) x (up, down): <b s| L.sigma |c t> = -i eps_abc sigma_a
_SIGMA = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


def spin_orbit_matrix() -> NDArray[np.complex128]:
    """Return ``L·sigma`` on (px, py, pz) with spin fastest, (6, 6).

    Examples
    --------
    Four states at +1 (j = 3/2) and two at -2 (j = 1/2):

    >>> [round(float(x)) for x in np.linalg.eigvalsh(spin_orbit_matrix())]
    [-2, -2, 1, 1, 1, 1]
    """
    eps = np.zeros((3, 3, 3))
    for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        eps[a, b, c], eps[a, c, b] = 1.0, -1.0
    momentum = -1j * eps
    full = np.einsum("abc,ast->bsct", momentum, _SIGMA)
    return np.asarray(full.reshape(6, 6), dtype=complex)


@dataclass(frozen=True)
class Hopping:
    """Two-center integrals of an ordered pair of elements at ``distance`` (Å), eV.

    ``sp`` is between s of the first and p of the second element, ``ps`` the other way round.
    """

    distance: float
    ss: float = 0.0
    sp: float = 0.0
    ps: float = 0.0
    pps: float = 0.0
    ppp: float = 0.0

    def turned(self) -> Hopping:
        """Return the same integrals for the pair in the other order."""
        return replace(self, sp=self.ps, ps=self.sp)


@dataclass(frozen=True)
class TightBindingSet:
    """Parameters of one material.

    Attributes
    ----------
    name : str
    orbitals : mapping of element to mapping of ``"s"``/``"p"`` to on-site energy, eV
        Elements that are not listed (Cs) bring no orbital.
    spin_orbit : mapping of element to float
        Factor of L·sigma on its p orbitals, eV; levels split by three times it.
    hoppings : mapping of (element, element) to Hopping
        Both orders are listed.
    structure : str
        ``"perovskite"``, ``"rock salt"`` or ``"zinc blende"``.
    gap_at : str
        Point of the Brillouin zone of the band gap: ``"R"``, ``"L"``, ``"Gamma"``.
    source : str
    note : str
        What the set follows, and shifts that were applied.

    Examples
    --------
    >>> chloride = tight_binding_set("CsPbCl3")
    >>> sorted(chloride.orbitals), chloride.spin_orbit["Pb"]
    (['Cl', 'Pb'], 0.53)
    """

    name: str
    orbitals: Mapping[str, Mapping[str, float]]
    spin_orbit: Mapping[str, float]
    hoppings: Mapping[tuple[str, str], Hopping]
    structure: str
    gap_at: str
    source: str
    note: str = ""
    lattice_parameter: float = float("nan")
    shifts: Mapping[str, float] = field(default_factory=dict)

    def at_lattice(self, lattice_parameter: float) -> TightBindingSet:
        """Return the set with its distances scaled to another lattice parameter.

        The bulk bands stay as published; only strain relative to that lattice then scales them.
        """
        factor = lattice_parameter / self.lattice_parameter
        return replace(
            self,
            lattice_parameter=lattice_parameter,
            hoppings={
                pair: replace(h, distance=h.distance * factor) for pair, h in self.hoppings.items()
            },
        )

    def shifted(self, energy: float) -> TightBindingSet:
        """Return the set with every level moved by ``energy`` eV."""
        return replace(
            self,
            orbitals={
                element: {key: value + energy for key, value in levels.items()}
                for element, levels in self.orbitals.items()
            },
            shifts={**self.shifts, "all": self.shifts.get("all", 0.0) + energy},
        )

    def with_cation_p(self, energy: float) -> TightBindingSet:
        """Return the set with the p level of its metal (s level for zinc blende) moved, eV."""
        metal = self.metal
        key = "s" if self.structure == "zinc blende" else "p"
        orbitals = {element: dict(levels) for element, levels in self.orbitals.items()}
        orbitals[metal][key] += energy
        label = f"{metal} {key}"
        return replace(
            self,
            orbitals=orbitals,
            shifts={**self.shifts, label: self.shifts.get(label, 0.0) + energy},
        )

    @property
    def metal(self) -> str:
        """Element whose orbitals make the conduction band."""
        from heterodot.charges import PAULING

        return min(self.orbitals, key=lambda element: PAULING.get(element, 2.0))

    @property
    def reach(self) -> float:
        """Longest distance of a hopping, Å."""
        return max(h.distance for h in self.hoppings.values()) * REACH[1]


@functools.cache
def _sets() -> dict[str, dict[str, Any]]:
    import yaml

    found: dict[str, dict[str, Any]] = {}
    folder = resources.files("heterodot.catalog").joinpath("data/tight_binding")
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if file.name.endswith(".yaml"):
            for record in yaml.safe_load(file.read_text(encoding="utf-8")):
                found[record["id"]] = record
    return found


def tight_binding_materials() -> list[str]:
    """Return the materials that have tight-binding parameters."""
    return list(_sets())


def tight_binding_set(material: str) -> TightBindingSet:
    """Return the parameters of a material (its formula or a phase id).

    Raises
    ------
    InputError
        There are none; the message says which there are and where to add more.
    """
    records = _sets()
    formula = material.split("_")[0]
    record = records.get(material) or records.get(formula)
    if record is None:
        raise InputError(
            f"no tight-binding parameters are known for {material}",
            place="tight binding",
            remedy=f"there are sets for {', '.join(records)}; add one in "
            "catalog/data/tight_binding, or use the confinement model",
        )
    hoppings: dict[tuple[str, str], Hopping] = {}
    for row in record["hoppings"]:
        a, b = row["pair"]
        hopping = Hopping(float(row["distance"]), **{k: float(row.get(k, 0.0)) for k in HOPPINGS})
        hoppings[a, b] = hopping
        hoppings[b, a] = hopping.turned()
    levels = {
        element: {key: float(row[key]) for key in ("s", "p") if key in row}
        for element, row in record["elements"].items()
    }
    return TightBindingSet(
        str(record["id"]),
        levels,
        {
            e: float(row["spin_orbit"])
            for e, row in record["elements"].items()
            if "spin_orbit" in row
        },
        hoppings,
        str(record["structure"]),
        str(record["gap_at"]),
        str(record["source"]["citation"]),
        str(record.get("follows", "")),
        float(record["lattice_parameter"]),
    )


# -------------------------------------------------------------------- blocks


def fade(r: NDArray[np.float64], distance: ArrayLike) -> NDArray[np.float64]:
    """Return how a hopping changes from its distance to ``r``: inverse square, then switched off."""
    distance = np.asarray(distance, dtype=float)
    t = np.clip((r / distance - REACH[0]) / (REACH[1] - REACH[0]), 0.0, 1.0)
    return np.asarray((distance / r) ** 2 * (1 - t**3 * (10 - 15 * t + 6 * t**2)))


def slater_koster(unit: NDArray[np.float64], integrals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (m, 4, 4) blocks over (s, px, py, pz) of the first and second atom.

    Parameters
    ----------
    unit : (m, 3) array
        Directions from the first to the second atom.
    integrals : (m, 5) array
        ss, sp, ps, pps, ppp in eV.
    """
    ss, sp, ps, pps, ppp = integrals.T
    block = np.zeros((len(unit), 4, 4))
    block[:, 0, 0] = ss
    block[:, 0, 1:] = sp[:, None] * unit
    block[:, 1:, 0] = -ps[:, None] * unit
    block[:, 1:, 1:] = (pps - ppp)[:, None, None] * unit[:, :, None] * unit[:, None, :]
    block[:, 1:, 1:] += ppp[:, None, None] * np.eye(3)
    return block


def bloch_hamiltonian(
    parameters: TightBindingSet, crystal: Crystal, k: ArrayLike
) -> NDArray[np.complex128]:
    """Return the Hamiltonian of a crystal at k (Cartesian, 1/Å), spin fastest, (2 n, 2 n).

    The orbitals are those of the crystal's atoms in order, s before p where an atom has both.
    """
    from ase.neighborlist import primitive_neighbor_list

    k = np.asarray(k, dtype=float)
    symbols = crystal.symbols
    starts, n = orbital_starts(parameters, symbols)
    h = np.zeros((n, n), dtype=complex)
    for atom, symbol in enumerate(symbols):
        for key, energy in parameters.orbitals.get(symbol, {}).items():
            at = starts[atom, 0] if key == "s" else starts[atom, 1]
            for m in range(1 if key == "s" else 3):
                h[at + m, at + m] = energy
    i, j, d, r = primitive_neighbor_list(
        "ijDd", (True, True, True), crystal.cell, crystal.positions, parameters.reach
    )
    for a, b, vector, distance in zip(i, j, d, r, strict=True):
        hopping = parameters.hoppings.get((symbols[a], symbols[b]))
        if hopping is None:
            continue
        factor = float(fade(np.array(distance), hopping.distance))
        if factor == 0.0:
            continue
        integrals = factor * np.array([[getattr(hopping, key) for key in HOPPINGS]])
        block = slater_koster(vector[None] / distance, integrals)[0] * np.exp(1j * vector @ k)
        for p in range(4):
            row = _index(starts, a, p)
            if row < 0:
                continue
            for q in range(4):
                column = _index(starts, b, q)
                if column >= 0:
                    h[row, column] += block[p, q]
    full: NDArray[np.complex128] = np.kron(h, np.eye(2)).astype(complex)
    coupling = spin_orbit_matrix()
    for atom, symbol in enumerate(symbols):
        strength = parameters.spin_orbit.get(symbol, 0.0)
        at = starts[atom, 1]
        if strength and at >= 0:
            full[2 * at : 2 * at + 6, 2 * at : 2 * at + 6] += strength * coupling
    return full


def orbital_starts(
    parameters: TightBindingSet, symbols: tuple[str, ...]
) -> tuple[NDArray[np.int64], int]:
    """Return the first s and first p orbital of every atom (-1 for none), (n, 2), and the count."""
    starts = np.full((len(symbols), 2), -1, dtype=np.int64)
    n = 0
    for atom, symbol in enumerate(symbols):
        levels = parameters.orbitals.get(symbol, {})
        if "s" in levels:
            starts[atom, 0] = n
            n += 1
        if "p" in levels:
            starts[atom, 1] = n
            n += 3
    return starts, n


def _index(starts: NDArray[np.int64], atom: int, orbital: int) -> int:
    if orbital == 0:
        return int(starts[atom, 0])
    at = int(starts[atom, 1])
    return at + orbital - 1 if at >= 0 else -1


# -------------------------------------------------------------------- bulk results


@dataclass(frozen=True)
class BulkEdges:
    """Band edges of a bulk crystal by tight binding.

    Attributes
    ----------
    valence, conduction : float
        Energies at the point of the gap, eV.
    k : (3,) array
        That point, Cartesian, 1/Å.
    """

    valence: float
    conduction: float
    k: NDArray[np.float64]

    @property
    def gap(self) -> float:
        """Band gap, eV."""
        return self.conduction - self.valence


ELECTRONS = {
    "H": 1, "Cu": 11, "Ag": 11, "Zn": 2, "Cd": 2, "Hg": 2, "Pb": 4, "Sn": 4, "Ge": 4,
    "S": 6, "Se": 6, "Te": 6, "O": 6, "Cl": 7, "Br": 7, "I": 7, "F": 7, "Cs": 1, "Rb": 1,
}  # fmt: skip
"""Valence electrons of the elements in the sets (s and p shells, d shells left out)."""


def occupied(parameters: TightBindingSet, crystal: Crystal) -> int:
    """Return how many spin orbitals are filled in one cell.

    An element without s orbital in the set keeps its s electrons in the core.
    """
    electrons = 0
    for symbol in crystal.symbols:
        levels = parameters.orbitals.get(symbol)
        electrons += ELECTRONS[symbol]
        if levels is not None and "s" not in levels:
            electrons -= 2
    return electrons


def special_point(crystal: Crystal, name: str) -> NDArray[np.float64]:
    """Return a special point of a cubic crystal's zone in Cartesian 1/Å.

    Raises
    ------
    InputError
        The name is not one of Gamma, R, X, M (simple cubic) or Gamma, L, X (face-centered).
    """
    a = crystal.cellpar[0] if _is_cube(crystal) else _cube_edge(crystal)
    points = {
        "Gamma": (0, 0, 0),
        "R": (0.5, 0.5, 0.5),
        "X": (0, 0, 0.5),
        "M": (0.5, 0.5, 0),
        "L": (0.5, 0.5, 0.5),
        "X_fcc": (0, 0, 1.0),
    }
    if name not in points:
        raise InputError(f"'{name}' is not a special point", remedy=f"give one of {list(points)}")
    return 2 * np.pi / a * np.array(points[name], dtype=float)


def _is_cube(crystal: Crystal) -> bool:
    a, b, c, *angles = crystal.cellpar
    return abs(a - b) < 1e-3 and abs(a - c) < 1e-3 and all(abs(x - 90) < 1e-2 for x in angles)


def _cube_edge(crystal: Crystal) -> float:
    raise InputError(
        "its cell is not a cube", place=crystal.name, remedy="give the conventional cell"
    )


def bulk_edges(
    parameters: TightBindingSet, crystal: Crystal, k: ArrayLike | None = None
) -> BulkEdges:
    """Return the valence and conduction edge of a crystal at the set's gap (or at ``k``).

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> chloride = tight_binding_set("CsPbCl3").at_lattice(crystal("CsPbCl3").cellpar[0])
    >>> round(bulk_edges(chloride, crystal("CsPbCl3")).gap, 3)
    2.127
    """
    point = special_point(crystal, parameters.gap_at) if k is None else np.asarray(k, dtype=float)
    cell = crystal.primitive()
    energies = np.linalg.eigvalsh(bloch_hamiltonian(parameters, cell, point))
    filled = occupied(parameters, cell)
    return BulkEdges(float(energies[filled - 1]), float(energies[filled]), point)


def effective_mass(
    parameters: TightBindingSet,
    crystal: Crystal,
    direction: ArrayLike,
    band: str,
    *,
    step: float = 5e-3,
) -> float:
    """Return the effective mass at the gap along a Cartesian direction, in electron masses.

    Parameters
    ----------
    direction : (3,) array
    band : str
        ``"electron"`` or ``"hole"`` (positive for both where the band bends the usual way).
    step : float
        Length of the finite difference, 1/Å.

    Returns
    -------
    float
        From the mean of the (Kramers-degenerate) edge pair, by a fourth-order difference.
    """
    from scipy import constants as c

    point = special_point(crystal, parameters.gap_at)
    cell = crystal.primitive()
    filled = occupied(parameters, cell)
    pair = slice(filled, filled + 2) if band == "electron" else slice(filled - 2, filled)
    unit = np.asarray(direction, dtype=float)
    unit = unit / np.linalg.norm(unit)
    e = [
        float(
            np.linalg.eigvalsh(bloch_hamiltonian(parameters, cell, point + m * step * unit))[
                pair
            ].mean()
        )
        for m in (-2, -1, 0, 1, 2)
    ]
    curvature = (-e[0] + 16 * e[1] - 30 * e[2] + 16 * e[3] - e[4]) / (12 * step**2)
    unit_mass = c.hbar**2 / (c.m_e * c.e) * 1e20  # eV Å²
    return float(unit_mass / curvature) * (1 if band == "electron" else -1)
