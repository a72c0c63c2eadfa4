"""Layers of a crystal along a plane normal: what each holds and where facets may end."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heterodot.crystal import Crystal
from heterodot.organic import symbols_shown


@dataclass(frozen=True)
class Layer:
    """One layer of atoms parallel to a plane.

    Attributes
    ----------
    position : float
        Along the normal from the cell origin, Å, within one period.
    name : str
        Elements with their ratio, cations first (``"CsBr"``, ``"PbBr2"``, ``"S"``); an organic
        ion has its name (``"PMABr"``).
    charge : float
        Formal charge in one cell, e.
    sites : tuple of int
        Atoms of the cell that are in it.
    """

    position: float
    name: str
    charge: float
    sites: tuple[int, ...]


def layers(
    crystal: Crystal, plane: Sequence[int], tolerance: float = 0.4
) -> tuple[tuple[Layer, ...], float]:
    """Return the layers along (hkl) within one period, and the period, Å.

    Atoms closer than ``tolerance`` (Å, along the normal) to the next belong to one layer.

    Examples
    --------
    >>> from heterodot.catalog import crystal
    >>> found, period = layers(crystal("CsPbBr3_cubic"), (1, 0, 0))
    >>> [layer.name for layer in found], round(period, 3)
    (['CsBr', 'PbBr2'], 5.874)
    """
    h, k, m = (int(x) for x in plane)
    return _layers(crystal, (h, k, m), tolerance)


@functools.lru_cache(maxsize=1024)
def _layers(
    crystal: Crystal, plane: tuple[int, int, int], tolerance: float
) -> tuple[tuple[Layer, ...], float]:
    period = crystal.d_spacing(np.asarray(plane))
    phase = (crystal.scaled @ np.asarray(plane)) % 1.0
    phase[phase > 1 - 1e-9] = 0.0
    order = np.argsort(phase, kind="stable")
    heights = phase[order] * period
    gaps = np.diff(np.append(heights, heights[0] + period))
    # start behind the widest gap so that no layer is split by the period's end
    start = (int(np.argmax(gaps)) + 1) % len(order)
    order = np.roll(order, -start)
    heights = np.roll(heights, -start)
    heights[heights < heights[0] - 1e-9] += period
    groups: list[list[int]] = [[0]]
    for k in range(1, len(order)):
        if heights[k] - heights[k - 1] > tolerance:
            groups.append([])
        groups[-1].append(k)
    charges = crystal.charges if crystal.charges is not None else np.zeros(len(crystal))
    shown = symbols_shown(crystal)
    found = []
    for group in groups:
        sites = tuple(int(order[k]) for k in group)
        found.append(
            Layer(
                float(np.mean(heights[group]) % period),
                _name([shown[i] for i in sites]),
                float(charges[list(sites)].sum()),
                sites,
            )
        )
    found.sort(key=lambda layer: layer.position if layer.position < period - 1e-6 else 0.0)
    return tuple(found), period


def layer_names(crystal: Crystal, plane: Sequence[int]) -> list[str]:
    """Return the names of the layers along (hkl), each once."""
    return list(dict.fromkeys(layer.name for layer in layers(crystal, plane)[0]))


def elements(name: str) -> frozenset[str]:
    """Return the elements in a layer's name.

    Examples
    --------
    >>> sorted(elements("PbBr2"))
    ['Br', 'Pb']
    """
    return frozenset(re.findall(r"[A-Z][a-z]?", name))


def _name(symbols: Sequence[str]) -> str:
    from heterodot.charges import PAULING

    counts: dict[str, int] = {}
    for symbol in symbols:
        counts[symbol] = counts.get(symbol, 0) + 1
    divisor = int(np.gcd.reduce(list(counts.values())))
    keys = sorted(counts, key=lambda s: (PAULING.get(s, 2.0), s))
    return "".join(k + (str(counts[k] // divisor) if counts[k] > divisor else "") for k in keys)
