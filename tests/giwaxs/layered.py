"""A layered crystal and the films of the tests: random perovskite with oriented layers on it."""

from __future__ import annotations

import numpy as np

from heterodot.catalog import crystal
from heterodot.crystal import Crystal
from heterodot.probes.giwaxs import Film

CELL = (8.149, 8.134, 33.39)  # PMA2PbBr4, Du et al., Inorg. Chem. 56, 9291 (2017)
WAVELENGTH = 1.5406


def lead_bromide_layers() -> Crystal:
    """The PbBr4 sheets of a two-layer cell without their cations: ideal octahedra, 2.99 Å."""
    sites, numbers = [], []
    for z in (0.0, 0.5):
        for x, y in ((0.0, 0.0), (0.5, 0.5)):
            sites += [(x, y, z), (x, y, z + 2.99 / CELL[2]), (x, y, z - 2.99 / CELL[2])]
            numbers += [82, 35, 35]
        for x in (0.25, 0.75):
            sites += [(x, 0.25, z), (x, 0.75, z)]
            numbers += [35, 35]
    return Crystal(
        name="layers", cell=np.diag(CELL), numbers=np.array(numbers), scaled=np.array(sites) % 1.0
    )


def films(width: float = 12.0, oriented: float = 0.95) -> list[Film]:
    return [
        Film(crystal("CsPbBr3_cubic"), 0.6, oriented=0.0, size=76.0),
        Film(lead_bromide_layers(), 0.4, (0, 0, 1), width, oriented, size=258.0),
    ]
