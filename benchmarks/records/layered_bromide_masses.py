"""In-plane masses of a single PbBr4 layer: where the PMA2PbBr4 masses of the catalog come from.

The cell of PMA2PbBr4 is known, its sites are not. Here one layer of corner-sharing octahedra has the
in-plane cell of that crystal; the octahedra keep the Pb-Br distance of the CsPbBr3 set and turn
about the layer's normal until they fit (11.5 degrees). Bands are those of the tight-binding set of
CsPbBr3, its gap set to the measured one of CsPbBr3. Run: ``python benchmarks/records/layered_bromide_masses.py``.
"""

import numpy as np
from ase.data import atomic_numbers

from heterodot.catalog import crystal, lookup
from heterodot.crystal import Crystal
from heterodot.electronic.confinement import kinetic
from heterodot.electronic.tight_binding import (
    bloch_hamiltonian,
    bulk_edges,
    occupied,
    tight_binding_set,
)

EDGES = (8.149, 8.134)  # Å, in-plane cell of PMA2PbBr4 (catalog: PMA2PbBr4)
PERIOD = 40.0  # Å, far enough that layers do not touch


def bulk_set():
    """Return the CsPbBr3 set with the measured gap, as the atomistic model uses it."""
    parameters = tight_binding_set("CsPbBr3")
    cubic = crystal("CsPbBr3_cubic")
    parameters = parameters.at_lattice(float(cubic.cell[0, 0]))
    gap = lookup("CsPbBr3", "band_gap").value.value
    low, high = -1.0, 4.0
    for _ in range(40):
        middle = (low + high) / 2
        edges = bulk_edges(parameters.with_cation_p(middle), cubic)
        low, high = (middle, high) if edges.conduction - edges.valence < gap else (low, middle)
    return parameters.with_cation_p(middle)


def layer(bond):
    """Return one layer of turned octahedra in a cell of two."""
    a, b = EDGES
    half = (a + b) / 2 / np.sqrt(2) / 2  # half of the Pb-Pb distance
    turn = np.arccos(min(1.0, half / bond))
    symbols, places = [], []
    for k, center in enumerate(((0.0, 0.0), (0.5, 0.5))):
        middle = np.array([center[0] * a, center[1] * b, PERIOD / 2])
        symbols.append("Pb")
        places.append(middle)
        angle = np.pi / 4 + (turn if k == 0 else -turn)
        for quarter in range(4) if k == 0 else ():
            direction = angle + quarter * np.pi / 2
            symbols.append("Br")
            places.append(middle + bond * np.array([np.cos(direction), np.sin(direction), 0.0]))
        for sign in (-1, 1):
            symbols.append("Br")
            places.append(middle + np.array([0.0, 0.0, sign * bond]))
    cell = np.diag([a, b, PERIOD])
    charges = [2.0 if s == "Pb" else -1.0 for s in symbols]
    scaled = np.array(places) @ np.linalg.inv(cell)
    numbers = np.array([atomic_numbers[symbol] for symbol in symbols])
    return Crystal("layer", cell, numbers, scaled, np.array(charges)), np.degrees(turn)


def main():
    parameters = bulk_set()
    bond = parameters.hoppings["Pb", "Br"].distance
    found, degrees = layer(bond)
    filled = occupied(parameters, found) + 2 * found.symbols.count("Pb")  # two cations a lead

    def bands(k):
        energy = np.linalg.eigvalsh(bloch_hamiltonian(parameters, found, k))
        return energy[filled - 1], energy[filled]

    valence, conduction = bands(np.zeros(3))
    print(f"turned by {degrees:.1f} degrees, gap {conduction - valence:.2f} eV at the zone center")
    step = 0.02
    for name, pick, sign in (("hole", 0, -1), ("electron", 1, 1)):
        masses = []
        for axis in np.eye(3)[:2]:
            up, down = bands(step * axis)[pick], bands(-step * axis)[pick]
            curve = sign * (up + down - 2 * bands(np.zeros(3))[pick]) / step**2
            masses.append(2 * kinetic() / curve)
        print(f"{name} mass in the plane: {masses[0]:.3f}, {masses[1]:.3f} m_e")


if __name__ == "__main__":
    main()
