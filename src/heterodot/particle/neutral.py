"""Charge neutrality by surface ions alone, in an order that is chemical.

Ions inside are never touched. To lower a positive charge, in this order: monovalent cations of the
surface leave; halide settles on open anion sites of divalent cations; divalent cations leave. To
raise a negative charge: halide that dangles leaves; monovalent cations settle on open sites; in
crystals without halide of their own, halide replaces chalcogen; bound halide leaves where its
cations can do without; in chalcohalides halide replaces chalcogen; bound halide leaves; chalcogen
leaves. Where surfaces are to be completed by vacancies instead, chalcogen leaves before halide is
touched and is not replaced. Within each step the least bound ion goes first and the best bound site is filled first
(see `heterodot.particle.crystallite` for the measure); ions that are equally bound are taken as
far from each other as they can be, so that no side is favored. Sites near an interface come last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from heterodot.particle.crystallite import Crystallite, bonds

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

STEP = 0.02


class Capping(NamedTuple):
    """A monovalent anion that may settle on surfaces: atomic number and charge."""

    number: int
    charge: float = -1.0


@dataclass(frozen=True)
class _Move:
    """One kind of change: candidates with their saturation, what it does, its charge."""

    name: str
    sites: Ints
    rank: Array
    number: int
    charge: float
    delta: float
    gentle: bool = False


def balance(
    block: Crystallite,
    wanted: float,
    *,
    near: NDArray[np.bool_] | None = None,
    blocked: NDArray[np.bool_] | None = None,
    tight: NDArray[np.bool_] | None = None,
    capping: Capping | None = None,
    seed: int = 0,
    only: str | None = None,
    completion: str = "halide",
) -> tuple[float, list[dict[str, Any]]]:
    """Change the charge of a crystallite by ``wanted`` with ions of its surface.

    Parameters
    ----------
    block : Crystallite
        Changed in place.
    wanted : float
        Charge to be added, e (minus the present charge, for a neutral crystal).
    near : (n_flat,) bool array, optional
        Sites near an interface: touched only when nothing else is left.
    blocked : (n_flat,) bool array, optional
        Empty sites that must stay empty (an atom of another domain is too close).
    tight : (n_flat,) bool array, optional
        Anion sites that are too small for halide.
    capping : Capping, optional
        Halide that may be added or replace chalcogen; the crystal's own if it has one.
    seed : int
        Orders sites that are equal in every respect.
    only : str, optional
        Restrict to one action: ``"replace"``, ``"remove"`` or ``"add"``.
    completion : str
        ``"halide"``: halide takes the place of surplus chalcogen; ``"vacancies"``: chalcogen
        leaves.

    Returns
    -------
    left : float
        Charge that could not be added (zero if all went well).
    done : list of dict
        What was done: ``{"action", "element", "count", "saturation", "near_interface"}``.
    """
    from ase.data import chemical_symbols

    own = own_halide(block)
    capping = own or capping
    done: list[dict[str, Any]] = []
    left = wanted
    random = np.random.default_rng(seed)
    none = np.zeros(block.flat.size, dtype=bool)
    blocked = none if blocked is None else blocked
    for close in (False, True):
        allowed = ~near if near is not None and not close else ~none
        if close and near is None:
            break
        for make in _order(left, own is not None, completion):
            while abs(left) > 1e-6:
                moves = make(block, capping, allowed & ~blocked)
                moves = [_roomy(m, tight) for m in moves if only in (None, m.name)]
                step = _level(moves, left)
                if step is None:
                    break
                count = int(np.floor(abs(left) / abs(step.delta) + 1e-9))
                chosen = _spread(block, step.sites, min(count, len(step.sites)), random)
                if step.gentle:
                    chosen = _one_each(block, chosen)
                _apply(block, step, chosen)
                left -= step.delta * len(chosen)
                done.append(
                    {
                        "action": step.name,
                        "element": chemical_symbols[step.number],
                        "count": len(chosen),
                        "saturation": round(float(step.rank[0]), 3),
                        "near_interface": close,
                    }
                )
            if abs(left) <= 1e-6:
                return 0.0, done
    return left, done


def _roomy(move: _Move, tight: NDArray[np.bool_] | None) -> _Move:
    """The move without sites where halide has no room."""
    if tight is None or move.name == "remove" or move.charge > 0:
        return move
    fits = ~tight[move.sites]
    return replace(move, sites=move.sites[fits], rank=move.rank[fits])


def _order(
    wanted: float, halide: bool, completion: str
) -> Iterator[Callable[[Crystallite, Capping | None, NDArray[np.bool_]], list[_Move]]]:
    if wanted < 0:
        yield lambda b, c, ok: _removals(b, ok, 0.5, 1.5, 0.999)
        yield lambda b, c, ok: _cappings(b, c, ok)
        yield lambda b, c, ok: _removals(b, ok, 1.5, 9.0, 0.999)
    else:
        yield lambda b, c, ok: _removals(b, ok, -1.5, -0.5, 0.45)
        yield lambda b, c, ok: _additions(b, ok, 0.4)
        if completion == "vacancies":
            yield lambda b, c, ok: _spared(b, ok, -9.0, -1.5)
            yield lambda b, c, ok: _removals(b, ok, -9.0, -1.5, 0.999)
        elif not halide:
            yield lambda b, c, ok: _replacements(b, c, ok)
        yield lambda b, c, ok: _spared(b, ok, -1.5, -0.5)
        if halide and completion != "vacancies":
            yield lambda b, c, ok: _replacements(b, c, ok)
        yield lambda b, c, ok: _removals(b, ok, -1.5, -0.5, 0.999)
        yield lambda b, c, ok: _spared(b, ok, -9.0, -1.5)
        yield lambda b, c, ok: _removals(b, ok, -9.0, -1.5, 0.999)
        yield lambda b, c, ok: _additions(b, ok, 0.24)


def own_halide(block: Crystallite) -> Capping | None:
    """Return the monovalent anion of the crystal itself, None where it has none."""
    charges = block.crystal.require_charges()
    for number, charge in zip(block.crystal.numbers, charges, strict=True):
        if -1.5 < charge < -0.5:
            return Capping(int(number), float(charge))
    return None


def _removals(
    block: Crystallite, allowed: NDArray[np.bool_], low: float, high: float, most: float
) -> list[_Move]:
    """Filled surface sites whose charge lies in (low, high) and that may leave."""
    flat = np.flatnonzero((block.flat != 0) & allowed)
    charge = block.charges(flat)
    own = (charge > low) & (charge < high)
    flat, charge = flat[own], charge[own]
    rank = block.saturation()[flat]
    loose = rank < most
    flat, charge, rank = flat[loose], charge[loose], rank[loose]
    moves = []
    for number in np.unique(block.flat[flat]):
        mine = block.flat[flat] == number
        for q in np.unique(charge[mine]):
            pick = mine & (charge == q)
            moves.append(_Move("remove", flat[pick], rank[pick], int(number), 0.0, -float(q)))
    return moves


def _spared(block: Crystallite, allowed: NDArray[np.bool_], low: float, high: float) -> list[_Move]:
    """Anions that leave each of their strong cations at least half of its bond strength."""
    saturation = block.saturation()
    moves = []
    for move in _removals(block, allowed, low, high, 0.999):
        keep = np.zeros(len(move.sites), dtype=bool)
        for n, site in enumerate(move.sites.tolist()):
            near, strength = _strong_around(block, site)
            left = saturation[near] - strength / bonds(block.crystal).total[block.site(near)]
            keep[n] = bool((left >= 0.5 - 1e-6).all())
        if keep.any():
            moves.append(
                _Move(
                    "remove", move.sites[keep], move.rank[keep], move.number, 0.0, move.delta, True
                )
            )
    return moves


def _strong_around(block: Crystallite, site: int) -> tuple[Ints, Array]:
    """Filled sites of cations of charge two and more beside a site, and the bonds to them."""
    near, strength = block.around(site)
    there = block.flat[near] != 0
    near, strength = near[there], strength[there]
    strong = block.charges(near) >= 1.5
    return near[strong], strength[strong]


def _one_each(block: Crystallite, sites: Ints) -> Ints:
    """Those of the sites, in order, that share no strong cation with one before."""
    taken: set[int] = set()
    kept = []
    for site in sites.tolist():
        near = set(_strong_around(block, site)[0].tolist())
        if not near & taken:
            kept.append(site)
            taken |= near
    return np.array(kept, dtype=np.int64)


def _cappings(
    block: Crystallite, capping: Capping | None, allowed: NDArray[np.bool_]
) -> list[_Move]:
    """Empty anion sites beside cations of charge two and more, best bound first."""
    if capping is None:
        return []
    charges = block.crystal.require_charges()
    saturation = block.saturation()
    anion = np.tile(charges < -0.5, block.flat.size // len(charges))
    flat = np.flatnonzero((block.flat == 0) & anion & allowed & (saturation > 0.1))
    strong = np.array([_strong(block, int(i)) for i in flat], dtype=bool)
    flat = flat[strong] if len(flat) else flat
    return [_Move("add", flat, -saturation[flat], capping.number, capping.charge, capping.charge)]


def _strong(block: Crystallite, flat: int) -> bool:
    near, _ = block.around(flat)
    near = near[block.flat[near] != 0]
    return bool((block.charges(near) >= 1.5).any())


def _additions(block: Crystallite, allowed: NDArray[np.bool_], least: float) -> list[_Move]:
    """Empty sites of monovalent cations that are bound well enough, best bound first."""
    charges = block.crystal.require_charges()
    saturation = block.saturation()
    moves = []
    for number in np.unique(block.crystal.numbers[(charges > 0.5) & (charges < 1.5)]):
        sites = (block.crystal.numbers == number) & (charges > 0.5) & (charges < 1.5)
        mine = np.tile(sites, block.flat.size // len(charges))
        flat = np.flatnonzero((block.flat == 0) & mine & allowed & (saturation >= least))
        q = float(charges[sites][0])
        moves.append(_Move("add", flat, -saturation[flat], int(number), q, q))
    return moves


def _replacements(
    block: Crystallite, capping: Capping | None, allowed: NDArray[np.bool_]
) -> list[_Move]:
    """Divalent anions of the surface that a halide may replace, least bound first."""
    if capping is None:
        return []
    moves = _removals(block, allowed, -9.0, -1.5, 0.999)
    return [
        _Move("replace", m.sites, m.rank, capping.number, capping.charge, m.delta + capping.charge)
        for m in moves
    ]


def _level(moves: list[_Move], left: float) -> _Move | None:
    """The most urgent group of equal candidates that does not overshoot, or None."""
    best: _Move | None = None
    for move in moves:
        fits = move.delta * left > 0 and abs(move.delta) <= abs(left) + 1e-6
        if not fits or len(move.sites) == 0:
            continue
        lowest = float(move.rank.min())
        if best is None or lowest < float(best.rank[0]) - 1e-9:
            group = move.rank < lowest + STEP
            best = replace(move, sites=move.sites[group], rank=move.rank[group])
    return best


def _spread(block: Crystallite, sites: Ints, count: int, random: np.random.Generator) -> Ints:
    """Choose ``count`` of equal sites as far apart as they go.

    The sites are taken one by one where the repulsion of those already taken is least; the first
    is the one farthest from the middle. For very many candidates the choice is a random one.
    """
    if count >= len(sites):
        return sites
    sites = random.permutation(sites)
    if count * len(sites) > 300_000_000:
        return sites[:count]
    points = block.positions(sites)
    middle = block.positions(block.filled()).mean(0)
    repulsion = -1e-6 * np.round(np.linalg.norm(points - middle, axis=1), 3)
    chosen: list[int] = []
    for _ in range(count):
        i = int(np.argmin(repulsion))
        chosen.append(i)
        away = np.linalg.norm(points - points[i], axis=1)
        repulsion += 1.0 / np.maximum(away, 1e-3)
        repulsion[i] = np.inf
    return np.asarray(sites[chosen])


def _apply(block: Crystallite, move: _Move, chosen: Ints) -> None:
    if move.name == "remove":
        block.empty(chosen)
        return
    block.flat[chosen] = move.number
    own = block.crystal.numbers[block.site(chosen)]
    base = block.crystal.require_charges()[block.site(chosen)]
    for index, number, charge in zip(chosen, own, base, strict=True):
        if number != move.number or abs(charge - move.charge) > 1e-9:
            block.changed[int(index)] = move.charge
