"""Two slabs that meet at an interface, as atoms: for other engines, and to count bonds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.epitaxy.layers import Layer, Side, layers, side
from heterodot.epitaxy.meeting import fitting
from heterodot.epitaxy.relationship import Interface
from heterodot.errors import InputError
from heterodot.organic import molecules
from heterodot.units import Value

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator


def bicrystal(
    interface: Interface,
    *,
    thickness: float = 12.0,
    vacuum: float = 15.0,
    parts: str = "both",
    most: int = 5000,
) -> Atoms:
    """Return slabs of both crystals on the coincidence cell, B strained onto A, z along the normal.

    Where both terminating planes are one it is A's: B starts with its next layer. Both slabs have whole repeat units, so
    each is neutral; nothing is relaxed or reconstructed.

    Parameters
    ----------
    interface : Interface
    thickness : float
        Smallest thickness of each slab, Å.
    vacuum : float
        Empty space above B, Å.
    parts : "a", "b" or "both"
        Leave the other slab out (same cell), for energies of separation.
    most : int
        Largest number of atoms.

    Returns
    -------
    Atoms
        Periodic, with arrays ``domain`` (0 for A, 1 for B) and, where known, ``charge``.

    Raises
    ------
    InputError
        More than ``most`` atoms.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> from heterodot.epitaxy import interfaces, search
    >>> found = search(crystal("CsPbBr3_cubic"), crystal("PbS"), max_index=1)
    >>> atoms = bicrystal(interfaces(found.matches[0])[0], thickness=10.0)
    >>> atoms.get_chemical_formula(), round(float(atoms.arrays["charge"].sum()), 9)
    ('Br6Cs2Pb10S8', 0.0)
    """
    from ase import Atoms

    a, b = side(interface.relation, "a"), side(interface.relation, "b")
    cell = a.cell @ a.mesh.flat
    stack_a, stack_b = layers(a), layers(b)
    last = _layer_at(stack_a, interface.offset_a * a.period, a.period)
    first = _layer_at(stack_b, interface.offset_b * b.period, b.period)
    shift = np.array(interface.shift) @ a.mesh.flat
    top = interface.offset_a * a.period
    if interface.shared is not None or interface.gap < 1.0:
        first += 1  # both terminating planes are one, and it is A's
    bodies = []
    if parts in ("a", "both"):
        bodies.append((0, _slab(a, stack_a, last, thickness, below=True)))
    if parts in ("b", "both"):
        where, heights, rows = _slab(b, stack_b, first, thickness, below=False)
        where = where @ fitting(a, b).T + shift
        heights = heights - interface.offset_b * b.period + top + interface.gap
        bodies.append((1, (where, heights, rows)))
    total = sum(
        len(rows) * abs(round(float(np.linalg.det((a, b)[n].cell)))) for n, (_, _, rows) in bodies
    )
    if total > most:
        raise InputError(
            f"the slabs have {total} atoms",
            place=interface.relation.label,
            remedy="lower the thickness or raise most",
        )
    positions, numbers, domain, charges = [], [], [], []
    for n, (where, heights, rows) in bodies:
        view = (a, b)[n]
        spread = _translations(view, fitting(a, b) if n else np.eye(2))
        flat = (where[None] + spread[:, None]).reshape(-1, 2)
        inside = flat @ np.linalg.inv(cell)
        inside -= np.floor(inside + 1e-9)
        count = len(spread)
        points = np.column_stack([inside @ cell, np.tile(heights, count)])
        kinds, points, charge = _with_molecules(view, np.tile(rows, count), points)
        positions.append(points)
        numbers.append(kinds)
        domain.append(np.full(len(kinds), n))
        if charge is not None:
            charges.append(charge)
    place = np.vstack(positions)
    low = place[:, 2].min()
    # room for both slabs whichever is asked for, so that energies are of one cell
    height = 2.0 * (thickness + max(a.period, b.period)) + abs(interface.gap) + vacuum + 3.0
    place[:, 2] -= low
    box = np.zeros((3, 3))
    box[:2, :2] = cell
    box[2, 2] = height
    atoms = Atoms(np.concatenate(numbers), positions=place, cell=box, pbc=True)
    atoms.set_array("domain", np.concatenate(domain))
    if len(charges) == len(bodies):
        atoms.set_array("charge", np.concatenate(charges))
    return atoms


def _with_molecules(
    view: Side, rows: NDArray[np.int64], points: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64] | None]:
    """Return elements, places and charges of ions with all atoms of those that are molecules."""
    crystal = view.crystal
    kinds = view.sites.numbers[rows]
    charge = None if crystal.charges is None else crystal.charges[view.sites.atoms[rows]]
    groups = {group.carrier: group for group in molecules(crystal)}
    if not groups:
        return kinds, points, charge
    more_kinds, more_points = [], []
    atoms = view.sites.atoms[rows]
    for carrier, group in groups.items():
        here = points[atoms == carrier]
        ends = crystal.positions[group.atoms] + group.shifts @ crystal.cell
        body = (ends[1:] - ends[0]) @ view.mesh.frame
        more_points.append((here[:, None] + body[None]).reshape(-1, 3))
        more_kinds.append(np.tile(crystal.numbers[group.atoms[1:]], len(here)))
    added = np.concatenate(more_kinds)
    if charge is not None:
        charge = np.concatenate([charge, np.zeros(len(added))])
    return np.concatenate([kinds, added]), np.concatenate([points, *more_points]), charge


def _layer_at(stack: list[Layer], height: float, period: float) -> int:
    off = [abs((layer.height - height + period / 2) % period - period / 2) for layer in stack]
    return int(np.argmin(off))


def _slab(
    view: Side, stack: list[Layer], edge: int, thickness: float, *, below: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """In-plane positions (Å), heights and rows of a slab whose outermost layer is ``edge``."""
    period, drift = view.period, view.stack.drift
    turns, edge = divmod(edge, len(stack))
    repeats = max(1, int(np.ceil(thickness / period - 1e-9)))
    flats, heights, rows = [], [], []
    for repeat in range(repeats):
        for n, layer in enumerate(stack):
            turn = turns + (-repeat if below else repeat)
            if below and n > edge:
                turn -= 1
            elif not below and n < edge:
                turn += 1
            whole = np.rint((view.stack.heights[layer.members] - layer.heights) / period)
            flats.append(view.stack.flat[layer.members] + (turn - whole)[:, None] * drift)
            heights.append(layer.heights + turn * period)
            rows.append(layer.members)
    return np.vstack(flats) @ view.mesh.flat, np.concatenate(heights), np.concatenate(rows)


def _translations(view: Side, deform: NDArray[np.float64]) -> NDArray[np.float64]:
    from heterodot.epitaxy._kernels import _translations as moves

    return np.asarray(moves(view.cell) @ view.mesh.flat @ deform.T)


def adhesion(
    interface: Interface, calculator: Calculator, *, thickness: float = 12.0, vacuum: float = 15.0
) -> Value:
    """Return the work of adhesion of an interface by any ASE calculator, eV/Å², rigid atoms.

    ``(E_A + E_B - E_AB) / area`` for slabs in one cell with vacuum. The far sides are those of
    the slabs, so polar terminations need a calculator and thickness that cope with dipoles.

    Parameters
    ----------
    interface : Interface
    calculator : ase.calculators.calculator.Calculator
    thickness, vacuum : float
        See `bicrystal`.
    """
    energies = []
    for parts in ("a", "b", "both"):
        atoms = bicrystal(interface, thickness=thickness, vacuum=vacuum, parts=parts)
        atoms.calc = calculator
        energies.append(float(atoms.get_potential_energy()))
    work = (energies[0] + energies[1] - energies[2]) / interface.relation.area
    return Value(work, "eV/angstrom^2", None, error_reason="rigid slabs; depends on the calculator")


def coordination(interface: Interface, *, stretch: float = 1.25) -> dict[str, dict[str, Any]]:
    """Return how well the cations next to the interface are coordinated.

    Cations of A's terminating layer and of B's first layer are looked at; a neighbor is an ion of
    opposite charge within ``stretch`` times the shortest such distance in their own crystal.

    Returns
    -------
    dict
        For ``"a"`` and ``"b"``: ``element``, ``sites`` in the cell, ``mean``, ``bulk`` (in the
        crystal) and ``complete`` (fraction with at least the bulk number).
    """
    from ase.neighborlist import neighbor_list

    found: dict[str, dict[str, Any]] = {}
    for view in (side(interface.relation, "a"), side(interface.relation, "b")):
        if not (view.crystal.require_charges() > 0).any():
            raise InputError(
                f"{view.crystal.formula} has no ions to count", place=view.crystal.name
            )
    atoms = bicrystal(interface, thickness=9.0)
    charges, domain = atoms.arrays["charge"], atoms.arrays["domain"]
    height = atoms.positions[:, 2]
    i, j, d = neighbor_list("ijd", atoms, 6.0)
    for n, key, crystal in (
        (0, "a", interface.relation.crystal_a),
        (1, "b", interface.relation.crystal_b),
    ):
        cations = (domain == n) & (charges > 0)
        heavy = cations & (charges == charges[cations].max())
        edge = height[heavy].max() if n == 0 else height[heavy].min()
        chosen = np.flatnonzero(heavy & (np.abs(height - edge) < 0.6))
        bulk = crystal.atoms
        one, two, length = neighbor_list("ijd", bulk, 6.0)
        q = bulk.arrays["charge"]
        element = atoms.get_chemical_symbols()[int(chosen[0])]
        same = np.array(bulk.get_chemical_symbols()) == element
        bonds = same[one] & (q[one] * q[two] < 0)
        reach = stretch * float(length[bonds].min())
        usual = float((bonds & (length < reach)).sum() / same.sum())
        numbers = np.array([int(((i == k) & (d < reach) & (charges[j] < 0)).sum()) for k in chosen])
        found[key] = {
            "element": element,
            "sites": len(chosen),
            "mean": float(numbers.mean()),
            "bulk": usual,
            "complete": float((numbers >= usual - 1e-9).mean()),
        }
    return found
