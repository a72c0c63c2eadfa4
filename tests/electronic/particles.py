"""Particles carved here, without the package's builder."""

from __future__ import annotations

import numpy as np

from heterodot.catalog import crystal
from heterodot.particle import Domain, Particle


def carved(name, keep, reach=6):
    """Atoms of a cubic phase whose positions ``keep`` accepts: positions, symbols, charges."""
    phase = crystal(name)
    cell = phase.cell[0, 0]
    steps = np.arange(-reach, reach)
    corners = np.array(np.meshgrid(steps, steps, steps, indexing="ij")).reshape(3, -1).T
    positions = ((corners[:, None, :] + phase.scaled[None]) * cell).reshape(-1, 3)
    chosen = keep(positions)
    symbols = np.tile(np.array(phase.symbols), len(corners))[chosen]
    charges = np.tile(phase.charges, len(corners))[chosen]
    return positions[chosen], symbols, charges


def single(name, keep, **domain):
    positions, symbols, charges = carved(name, keep)
    return Particle(
        tuple(symbols),
        positions,
        np.zeros(len(positions), int),
        np.array(["core"] * len(positions)),
        charges,
        (Domain(name, crystal(name), **domain),),
    )


def janus(first, second, edge, diameter):
    """A cube of one phase with a truncated ball of another on its +x face."""
    a, sa, qa = carved(first, lambda p: (abs(p) <= edge / 2 + 0.1).all(axis=1))
    b, sb, qb = carved(
        second,
        lambda p: ((p**2).sum(axis=1) <= (diameter / 2) ** 2) & (p[:, 0] > -0.3 * diameter),
    )
    b[:, 0] += a[:, 0].max() - b[:, 0].min() + 2.9
    return Particle(
        (*sa, *sb),
        np.vstack([a, b]),
        np.repeat([0, 1], [len(a), len(b)]),
        np.array(["core"] * (len(a) + len(b))),
        np.concatenate([qa, qb]),
        (Domain(first, crystal(first)), Domain(second, crystal(second))),
    )
