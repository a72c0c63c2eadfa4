"""Energies and shapes of characteristic lines, and which of them a detector cannot part."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, NotFoundError


@functools.cache
def _line_table() -> dict[str, Any]:
    import yaml

    file = resources.files("heterodot.catalog").joinpath("data/scattering/xray_lines.yaml")
    table: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return table


def width(energy: float) -> float:
    """Return the width (FWHM, keV) of a line at an energy (keV) by Fano's law.

    Anchored at the detector's width at Mn K-alpha (5.9 keV); Fano factor 0.115 and 3.64 eV per
    pair, the usual values of silicon.
    """
    table = _line_table()
    at_manganese = float(table["detector_width_keV"])
    slope = 2.355**2 * 0.115 * 3.64e-3
    return math.sqrt(max(at_manganese**2 + slope * (energy - 5.8988), 1e-6))


def overlaps(elements: Sequence[str]) -> list[str]:
    """Return a warning for each pair of elements whose lines a detector cannot part.

    Two lines count as one where they are closer than half the detector's width (FWHM). The
    warning names another line above 1 keV for each element that has one in the table.

    Examples
    --------
    >>> overlaps(["Pb", "S", "Cs"])
    ['S K (2.308 keV) and Pb M (2.345 keV) overlap: take Pb L for Pb; S has no other line']
    """
    table = _line_table()["lines"]
    return [_overlap(table, *pair) for pair in close_pairs(elements)]


def close_pairs(elements: Sequence[str]) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Return the pairs of element and shell whose strongest lines a detector cannot part."""
    table = _line_table()["lines"]
    known = [e for e in elements if e in table]
    found = []
    for i, a in enumerate(known):
        for b in known[i + 1 :]:
            for shell_a, energy_a in table[a].items():
                for shell_b, energy_b in table[b].items():
                    if abs(energy_a - energy_b) < 0.5 * width((energy_a + energy_b) / 2):
                        found.append(((a, shell_a), (b, shell_b)))
    return found


def _overlap(table: Mapping[str, Any], first: tuple[str, str], second: tuple[str, str]) -> str:
    pair = sorted([first, second], key=lambda line: table[line[0]][line[1]])
    names = " and ".join(f"{e} {s} ({table[e][s]:.3f} keV)" for e, s in pair)
    advice = []
    for element, shell in sorted(pair, key=lambda line: len(table[line[0]]), reverse=True):
        others = [s for s, energy in table[element].items() if s != shell and energy > 1.0]
        advice.append(
            f"take {element} {others[0]} for {element}"
            if others
            else f"{element} has no other line"
        )
    return f"{names} overlap: {'; '.join(advice)}"


@functools.cache
def _families() -> dict[str, dict[str, list[list[float]]]]:
    import yaml

    file = resources.files("heterodot.catalog").joinpath("data/scattering/xray_families.yaml")
    table = yaml.safe_load(file.read_text(encoding="utf-8"))
    found: dict[str, dict[str, list[list[float]]]] = table["families"]
    return found


def family(element: str, shell: str | None = None) -> dict[str, list[tuple[float, float]]]:
    """Return the lines of each shell of an element: energy, keV, and share of the shell's counts.

    Parameters
    ----------
    element : str
    shell : ``"K"``, ``"L"`` or ``"M"``, optional
        Only this one.

    Raises
    ------
    InputError
        The element or shell has no line in the table.

    Examples
    --------
    >>> family("S", "K")
    {'K': [(2.3074, 0.9418), (2.464, 0.0582)]}
    """
    table = _families()
    if element not in table:
        raise InputError(f"no X-ray line of '{element}' is tabled", place="elements")
    found = {s: [(e, w) for e, w in lines] for s, lines in table[element].items()}
    if shell is None:
        return found
    if shell not in found:
        raise InputError(
            f"{element} has no {shell} lines in the table",
            place="shells",
            remedy=f"give {' or '.join(found)}",
        )
    return {shell: found[shell]}


def known_elements() -> list[str]:
    """Return the elements whose lines are tabled."""
    return list(_families())


def shape(
    element: str, shell: str, edges: NDArray[np.float64], resolution: float = 1.0
) -> NDArray[np.float64]:
    """Return the share of a shell's counts in each channel, (n,).

    Parameters
    ----------
    element, shell : str
    edges : (n + 1,) array
        Borders of the channels, keV.
    resolution : float
        Width of a line by that of a usual detector.
    """
    from scipy.special import erf

    found = np.zeros(len(edges) - 1)
    for energy, share in family(element, shell)[shell]:
        sigma = resolution * width(energy) / math.sqrt(8 * math.log(2))
        found += share * np.diff(erf((edges - energy) / (math.sqrt(2) * sigma))) / 2
    return found


def inflation(
    elements: Sequence[str],
    counts: Mapping[str, float],
    shells: Mapping[str, str],
    element: str,
    background: float = 0.0,
) -> float:
    """Return by how much overlapping lines raise the error of an element's counts.

    One if its lines stand free. The ratio of its standard error with all counts unknown to the one
    without the other lines, from the information of Poisson counts in channels of 10 eV.

    Parameters
    ----------
    elements : sequence of str
    counts : mapping of element to float
        Expected counts of the shells of ``shells`` (a key such as ``"Pb M"`` names another shell).
    shells : mapping of element to str
        The shell that is counted.
    element : str
        Whose error is asked for.
    background : float
        Counts of background in each channel.

    Examples
    --------
    >>> two = {"S": 1000.0, "Pb M": 1000.0}
    >>> round(inflation(["S", "Pb M"], two, {"S": "K"}, "S"), 1)
    1.4
    """
    names = [e for e in elements if counts.get(e, 0.0) > 0]
    if element not in names:
        raise NotFoundError(f"no counts of {element} are expected")
    edges = np.arange(0.2, 20.01, 0.01)
    columns = []
    for name in names:
        symbol, _, shell = name.partition(" ")
        columns.append(shape(symbol, shell or shells[symbol], edges))
    design = np.array(columns).T
    expected = design @ np.array([counts[e] for e in names]) + background
    weight = np.where(expected > 1e-9, 1 / np.maximum(expected, 1e-9), 0)
    covariance = np.linalg.inv(design.T @ (design * weight[:, None]))
    k = names.index(element)
    alone = design[:, k] * counts[element] + background
    free = float(np.sum(design[:, k] ** 2 / np.maximum(alone, 1e-9)))
    return math.sqrt(float(covariance[k, k]) * free)
