"""A finite particle from a P 1 CIF, such as other builders and viewers write."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from heterodot.errors import InputError
from heterodot.particle.particle import Particle


def read_particle_cif(path: str | Path) -> Particle:
    """Return the particle in a CIF whose box holds one finite particle with empty space around.

    Raises
    ------
    InputError
        Not a CIF, or a bulk crystal (nothing separates the atoms from their images).
    """
    from heterodot.cif import read_cif
    from heterodot.particle.extxyz import parse_extxyz

    crystal = read_cif(path)
    scaled = _gathered(crystal.scaled)
    points = scaled @ crystal.cell
    gaps = [_gap(scaled[:, k]) * np.linalg.norm(crystal.cell[k]) for k in range(3)]
    if min(gaps) < 3.5:
        raise InputError(
            "holds a crystal that repeats, not a finite particle",
            file=path,
            remedy="build a particle from it with 'heterodot build --a FILE'",
        )
    rows = "\n".join(
        f"{s} {x!r} {y!r} {z!r}"
        for s, (x, y, z) in zip(crystal.symbols, points.tolist(), strict=True)
    )
    return parse_extxyz(f"{len(points)}\n\n{rows}\n", path)


def _gap(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    """Widest empty stretch of a periodic coordinate, as a fraction of the period."""
    ordered = np.sort(values % 1.0)
    return float(np.diff(np.append(ordered, ordered[0] + 1.0)).max())


def _gathered(
    scaled: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Move atoms by whole periods so that the widest gap lies at the border of the box."""
    out = scaled.copy()
    for k in range(3):
        ordered = np.sort(out[:, k] % 1.0)
        steps = np.diff(np.append(ordered, ordered[0] + 1.0))
        start = ordered[(int(np.argmax(steps)) + 1) % len(ordered)]
        out[:, k] = (out[:, k] - start + 1e-9) % 1.0
    return out
