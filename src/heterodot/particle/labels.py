"""From filled lattice sites to a particle with domains, roles, charges and history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.organic import IonicCrystal
from heterodot.particle.crystallite import Crystallite
from heterodot.particle.join import couple
from heterodot.particle.organics import grown
from heterodot.particle.particle import Domain, Particle

Array = NDArray[np.float64]


def with_interface_report(particle: Particle, joined: Mapping[str, Any]) -> Particle:
    """Return the particle with ``info["interface"]`` measured from its atoms."""
    from heterodot.particle.checks import contacts, coordination, interface_report

    found = contacts(particle)
    measured, check = interface_report(particle, found, coordination(particle, found))
    return particle.replace(
        info={**particle.info, "interface": {**measured, "made": dict(joined), "check": check}}
    )


def assemble(
    blocks: Sequence[Crystallite],
    texts: Sequence[str],
    step: Mapping[str, Any],
    info: Mapping[str, Any],
) -> Particle:
    """Return the particle of filled sites, with domains, roles and charges."""
    from ase.data import chemical_symbols

    if len(blocks) > 1:
        couple(blocks)
    names: list[str] = []
    for block in blocks:
        name, n = block.crystal.formula, 2
        while name in names:
            name = f"{block.crystal.formula} {n}"
            n += 1
        names.append(name)
    numbers, positions, charges, labels, roles, domains = [], [], [], [], [], []
    molecules: list[NDArray[np.int64]] = []
    for k, (block, text) in enumerate(zip(blocks, texts, strict=True)):
        flat = block.filled()
        kinds, points, charge, owner, molecule = grown(block, flat)
        numbers.append(kinds)
        positions.append(points)
        charges.append(charge)
        before = max((int(m.max(initial=0)) for m in molecules), default=0)
        molecules.append(np.where(molecule > 0, molecule + before, 0))
        labels.append(np.full(len(owner), k))
        saturation = block.saturation()[flat]
        role = np.where(saturation < 0.999, "surface", "core").astype("U9")
        role[block.cross[flat] > 1e-9] = "interface"
        roles.append(role[owner])
        rotation, strain = _polar(block.rotation)
        crystal = block.crystal.whole if isinstance(block.crystal, IonicCrystal) else block.crystal
        domains.append(Domain(names[k], crystal, rotation, strain, np.array(block.shift), text))
    whole = np.concatenate(molecules)
    table = np.array(chemical_symbols)
    particle = Particle(
        tuple(table[np.concatenate(numbers)].tolist()),
        np.concatenate(positions),
        np.concatenate(labels),
        np.concatenate(roles),
        np.concatenate(charges),
        tuple(domains),
        (),
        {"molecule": whole} if whole.any() else {},
        dict(info),
    )
    return replace(particle, history=({**step, "formula": particle.formula},))


def _polar(deformation: Array) -> tuple[Array, Array]:
    """Split a deformation into (rotation, strain): ``deformation = (1 + strain) @ rotation``."""
    u, s, vt = np.linalg.svd(deformation)
    rotation = u @ vt
    strain = u @ np.diag(s) @ u.T - np.eye(3)
    strain[np.abs(strain) < 1e-12] = 0.0
    return rotation, strain
