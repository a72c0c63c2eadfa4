"""Two nanocrystals, their powder pattern with noise, and the fit that finds them again.

Run: python examples/xrd_mixture.py [figure.svg]
"""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
from ase import Atoms

from heterodot.catalog import crystal
from heterodot.measurement import Measurement
from heterodot.probes.xrd import XrdSetup, fit, simulate


def dot(name: str, diameter: float) -> Atoms:
    """All atoms of a bulk phase within a sphere (Å)."""
    cells = int(diameter / min(crystal(name).cellpar[:3])) + 2
    block = crystal(name).atoms * (cells, cells, cells)
    middle = block.positions.mean(0)
    return block[np.linalg.norm(block.positions - middle, axis=1) < diameter / 2]


def recorded(setup: XrdSetup, fraction: float) -> Measurement:
    """A pattern of PbS and CsPbBr3 dots with ``fraction`` of PbS by mass, as counts."""
    sulfide, bromide = dot("PbS", 40.0), dot("CsPbBr3_cubic", 70.0)
    first, second = simulate(sulfide, setup), simulate(bromide, setup)
    y = fraction * first.data / sulfide.get_masses().sum()
    y = y + (1 - fraction) * second.data / bromide.get_masses().sum()
    counts = np.random.default_rng(0).poisson(y / y.max() * 10000 + 2000).astype(float)
    return dataclasses.replace(first, data=first.data.copy(data=counts), source="example")


def main() -> None:
    setup = XrdSetup("CuKa", range=(12, 60), points=1500, b_iso=1.2)
    found = fit(
        recorded(setup, 0.35), [crystal("PbS"), crystal("CsPbBr3_cubic"), crystal("CsPbCl3")], setup
    )
    for name, row in found.extra["phases"].items():
        if not row["present"]:
            print(f"{name}: not there")
        elif "weight_fraction" in row:
            print(f"{name}: {row['weight_fraction']} by mass, {row['size'].to('nm')}, ", end="")
            print(f"a = {row['cell']['a']}")
    if len(sys.argv) > 1:
        from heterodot.report.figures_xrd import pattern_figure

        pattern_figure(found).savefig(sys.argv[1])


if __name__ == "__main__":
    main()
