"""Types of alignment of the published heterostructures, with the catalog's values and their errors.

Ideal shapes with the sizes as printed. Run: ``python examples/published_systems.py`` (about a minute);
give a word to run only systems that contain it, e.g. ``Pb4S3``.
"""

import sys

import numpy as np

from heterodot.electronic import alignment, levels_of_shape, pure, robustness
from heterodot.electronic.ideal import ball, block, cube_and_cap, from_distances, without

POINTS = 36**3

SYSTEMS = [
    # donor, acceptor, edge and diameter (Å), shape, document, published type
    ("CsPbCl3", "PbS", 34, 30, "cap", "Livakas2024", "(quasi-)type I"),
    ("CsPbBr3", "PbS", 34, 30, "cap", "Livakas2024", "more perovskite at the edges"),
    ("CsPbBr3", "PbS", 75, 29, "cap", "Jagadeeswararao2021", "type I"),
    ("CsPbBr3", "PbS", 75, 29, "inside", "Jagadeeswararao2021", "type I"),
    ("CsPbI3", "PbS", 75, 29, "inside", "Jagadeeswararao2021", "type II"),
    ("CsPbCl3", "PbS", 75, 29, "inside", "Jagadeeswararao2021", "type I (asserted)"),
    ("CsPbBr3", "PbS", 94, 29, "cap", "Yang2024", "type I"),
    ("CsPbBr3", "PbS", 60, 34, "cap", "Yang2024", "type I"),
    ("CsPbBr3", "CdS", 55, 55, "half", "Qiu2023", "type II"),
    ("CsPbBr3", "CdS", 164, 164, "half", "Qiu2023", "type II"),
    ("CsPbBr3", "Pb4S3Br2", 32, 42, "half", "Imran2021", "quasi-type II"),
    ("CsPbCl3", "Pb4S3Br2", 32, 42, "half", "Imran2021", "quasi-type II"),
    ("CsPbI3", "Pb4S3Br2", 32, 42, "half", "Imran2021", "quasi-type II"),
    ("CsPbBr3", "PMA2PbBr4", 60, 100, "beside", "Yang2024", "type II"),
    ("CsPbCl3", "Cu2-xS", 34, 30, "cap", "Livakas2024", "no gap (PBE)"),
]


def shape_of(first, second, edge, size, how):
    """Return the ideal shape of a system."""
    if how == "cap":
        return cube_and_cap(first, second, edge, size, points=POINTS)
    if how == "half":
        return cube_and_cap(first, second, edge, size, sunk=0.5, points=POINTS)
    half = np.full(3, edge / 2)
    if how == "inside":
        dot = ball(size / 2)
        bodies = [(first, without(block(half), dot)), (second, dot)]
        return from_distances(bodies, -half, half, points=POINTS)
    plate = np.array([size / 2, edge / 2, edge / 2])  # layers normal to z, junction across x
    center = (edge / 2 + size / 2, 0.0, 0.0)
    bodies = [(first, block(half)), (second, block(plate, center))]
    high = np.array([edge / 2 + size, edge / 2, edge / 2])
    return from_distances(bodies, -half, high, points=POINTS)


def row(first, second, edge, size, how):
    """Return alignment, robustness and optical gap of a system."""
    found = levels_of_shape(shape_of(first, second, edge, size, how), (pure(first), pure(second)))
    return alignment(found), robustness(found), found.optical_gap


def main():
    """Print the table."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    for first, second, edge, size, how, document, published in SYSTEMS:
        if word not in f"{first}/{second} {document}":
            continue
        aligned, firm, gap = row(first, second, edge, size, how)
        likely = ", ".join(f"{k} {p:.0%}" for k, p in firm.probabilities.items() if p > 0.02)
        pair = ", ".join(f"{k} {p:.0%}" for k, p in firm.pair_probabilities.items() if p > 0.02)
        print(f"{first}/{second} {edge / 10:g} + {size / 10:g} nm {how} ({document}: {published})")
        print(f"    e {aligned.electron[second]:.0%}, h {aligned.hole[second]:.0%} in {second}: "
              f"{aligned.type}; gap {gap}; offset error {firm.error:.2f} eV")  # fmt: skip
        print(f"    free: {likely}\n    pair: {pair}")


if __name__ == "__main__":
    main()
