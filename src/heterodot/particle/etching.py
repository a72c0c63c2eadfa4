"""Etch one domain away and leave the other neutral."""

from __future__ import annotations

from typing import Any

import numpy as np

from heterodot.errors import InputError
from heterodot.particle.checks import contacts
from heterodot.particle.exchange import domain_index
from heterodot.particle.particle import Particle
from heterodot.particle.touch_up import halide_of, relabel, tidy


def etch(
    particle: Particle, domain: int | str, *, passivator: str | None = None, seed: int = 0
) -> Particle:
    """Remove a domain; cations that it shares with its neighbors stay with these.

    Charge is settled by halide on the new surface and by surface ions that leave, as
    `heterodot.particle.touch_up.settle_charge` says.

    Parameters
    ----------
    domain : int or str
    passivator : str, optional
        Halide that may cap what is laid bare; one that the particle holds if not given.

    Raises
    ------
    InputError
        No such domain, or it is the only one.

    Examples
    --------
    >>> from heterodot.particle import build
    >>> etch(build("PbS", "cube", "3 cells"), "PbS")
    Traceback (most recent call last):
    ...
    heterodot.errors.InputError: domain: PbS is the only domain; nothing would be left
    """
    k = domain_index(particle, domain)
    if len(particle.domains) == 1:
        raise InputError(
            f"{particle.domains[k].name} is the only domain; nothing would be left", place="domain"
        )
    halide = halide_of(particle, passivator)
    labels = _hand_over(particle, k)
    stay = labels != k
    kept = particle.replace(domain=labels).take(stay)
    index = {m: n for n, m in enumerate(m for m in range(len(particle.domains)) if m != k)}
    relabelled = np.array([index.get(int(m), -1) for m in kept.domain], dtype=np.int64)
    domains = tuple(d for m, d in enumerate(particle.domains) if m != k)
    info = {key: v for key, v in particle.info.items() if key not in ("relation", "interface")}
    bare = relabel(kept.replace(domain=relabelled, domains=domains, info=info))
    settled, done = tidy(bare, halide, seed)
    if abs(settled.net_charge) > 1e-6:
        raise InputError(
            f"a charge of {settled.net_charge:+g} e is left after etching",
            place="etch",
            remedy="name a halide as passivator",
        )
    step: dict[str, Any] = {
        "step": "etch",
        "domain": particle.domains[k].name,
        "removed": int((~stay).sum()),
        "handed_over": int((labels != particle.domain).sum()),
        "neutralized": done,
    }
    return relabel(settled).replace(step)


def _hand_over(particle: Particle, k: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Give shared cations of the domain to the neighbor whose anions they bond to."""
    found = contacts(particle)
    i, j = found.i[found.bond], found.j[found.bond]
    i, j = np.concatenate([i, j]), np.concatenate([j, i])
    d = particle.domain
    pick = (d[i] == k) & (d[j] != k) & (d[j] >= 0) & (particle.charge[i] > 1.5)
    other = {
        symbol for m in range(len(particle.domains)) if m != k for symbol in particle.composition(m)
    }
    labels = np.array(d)
    for a, b in zip(i[pick], j[pick], strict=True):
        if particle.symbols[a] in other and particle.charge[b] < -1.5:
            labels[a] = d[b]
    return labels
