"""The CP2K input of a particle: `heterodot.energy.cp2k_input` with a list for each domain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from heterodot.energy.cp2k_input import Cp2kSettings, input_text
from heterodot.particle.particle import Particle

EXPORTED = Cp2kSettings(task="energy", n_lumo=20, cube=(-2, 2))


def domain_lists(particle: Particle) -> dict[str, NDArray[np.int64]]:
    """Return the atoms (from 0) of each domain, and of the ligands where there are any.

    Two domains of one name are told apart by a number.
    """
    found: dict[str, NDArray[np.int64]] = {}
    for k, domain in enumerate(particle.domains):
        name, n = domain.name, 2
        while name in found:
            name, n = f"{domain.name}-{n}", n + 1
        found[name] = np.flatnonzero(particle.domain == k)
    ligands = np.flatnonzero(particle.domain < 0)
    if len(ligands):
        found["ligands"] = ligands
    return {name: index for name, index in found.items() if len(index)}


def cp2k_input(particle: Particle, project: str, settings: Cp2kSettings | None = None) -> str:
    """Return the input text.

    Parameters
    ----------
    project : str
        Project name of the run.
    settings : Cp2kSettings, optional
        By default an energy with projected states of every domain and atom, and cubes of the
        orbitals next to the gap.

    Raises
    ------
    InputError
        An element without pseudopotential, or a net charge other than the particle's.
    """
    chosen = settings or EXPORTED
    if chosen.charge == 0:
        chosen = replace(chosen, charge=round(particle.net_charge))
    name = "".join(ch if ch.isalnum() or ch in "-_" else "_" for ch in project) or "particle"
    title = f"# {particle.formula}\n"
    return title + input_text(particle.atoms, chosen, name=name, domains=domain_lists(particle))
