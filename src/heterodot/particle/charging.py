"""Neutrality of a particle of one or more domains: each by itself, then the whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal
from heterodot.errors import InputError
from heterodot.organic import IonicCrystal
from heterodot.particle.crystallite import Crystallite
from heterodot.particle.ions import CONTACT, radii
from heterodot.particle.join import couple, room_for, sides
from heterodot.particle.neutral import Capping, balance, own_halide
from heterodot.particle.organics import HEAVY, beside_bodies, crowded, drop_loose, named

NEAR = 4.5
# no empty site this close to an ion of another domain, or to one off the lattice, is filled, Å
CLEAR = 3.2


def capping_of(passivator: str | None, crystals: Sequence[Crystal]) -> Capping | None:
    """Return the halide that may cap surfaces: the one asked for, or one of the crystals'.

    Raises
    ------
    InputError
        Not a monovalent anion.
    """
    from ase.data import atomic_numbers

    from heterodot.charges import STATES

    if passivator is not None:
        if STATES.get(passivator, (0,))[0] != -1:
            raise InputError(
                f"{passivator} is not a monovalent anion",
                place="passivator",
                remedy="use F, Cl, Br or I",
            )
        return Capping(int(atomic_numbers[passivator]))
    for crystal in crystals:
        for number, charge in zip(crystal.numbers, crystal.require_charges(), strict=True):
            if -1.5 < charge < -0.5:
                return Capping(int(number), float(charge))
    return None


def neutralize(
    blocks: Sequence[Crystallite],
    capping: Capping | None,
    seed: int,
    *,
    inner: bool = False,
    completion: str = "halide",
) -> list[dict[str, Any]]:
    """Bring each domain, then the whole, to zero formal charge with ions of the surface.

    Bonds across an interface count for both sides by their Pauling strength, so that a domain
    that continues into another is not taken for charged.

    Parameters
    ----------
    inner : bool
        Whether all domains but the first lie inside it; they then take halide for chalcogen at
        their surface, and the outer one balances the rest.
    completion : str
        ``"halide"`` or ``"vacancies"`` at surfaces with too much chalcogen.

    Raises
    ------
    InputError
        Charge is left that no surface ion can balance.
    """
    done: list[dict[str, Any]] = []
    total = sum(block.charge for block in blocks)
    for turn in range(10):
        done += _once(blocks, capping, seed, inner, completion)
        # an ion that has lost its partners leaves with them, but not for ever
        loose = sum(block.prune() for block in blocks) if turn < 9 else 0
        if loose == 0:
            break
        if len(blocks) > 1:
            couple(blocks)
        done.append({"action": "remove", "element": "loose ions", "count": loose})
    left = sum(b.charge for b in blocks)
    if abs(left) > 1e-6:
        raise InputError(
            f"a charge of {left:+g} e is left of {total:+g} e; no ion of the surface balances it",
            place="neutrality",
            remedy="name a halide as passivator, change a size by one layer, or allow a charge "
            "with neutral=False",
        )
    return done


def settle(
    blocks: Sequence[Crystallite],
    capping: Capping | None,
    seed: int,
    *,
    inner: bool = False,
    neutral: bool = True,
    completion: str = "halide",
) -> list[dict[str, Any]]:
    """Drop what hangs on nothing and make neutral, until both hold; return what was done.

    Only layered crystals lose anything but for charge (`heterodot.particle.organics.drop_loose`).
    """
    done: list[dict[str, Any]] = []
    for turn in range(6):
        loose = drop_loose(blocks)
        if loose:
            done.append({"action": "remove", "element": "loose ions", "count": loose})
            if len(blocks) > 1:
                couple(blocks)
        if not neutral or (turn and not loose):
            break
        done += named(neutralize(blocks, capping, seed, inner=inner, completion=completion), blocks)
    return done


def _once(
    blocks: Sequence[Crystallite], capping: Capping | None, seed: int, inner: bool, completion: str
) -> list[dict[str, Any]]:
    done: list[dict[str, Any]] = []
    couple(blocks) if len(blocks) > 1 else None
    if inner:
        for k, block in enumerate(blocks[1:], 1):
            want = -float(np.rint(effective(block, blocks)))
            done += _balance(block, blocks, k, want, capping, seed, only="replace")
        left = -sum(b.charge for b in blocks)
        done += _balance(blocks[0], blocks, 0, left, capping, seed, None, completion)
    for k, block in enumerate(blocks if not inner else ()):
        last = k == len(blocks) - 1
        want = -sum(b.charge for b in blocks) if last else -float(np.rint(effective(block, blocks)))
        done += _balance(block, blocks, k, want, capping, seed, None, completion)
    for k, block in enumerate(blocks[:-1]):
        left = -sum(b.charge for b in blocks)
        if abs(left) < 1e-6:
            break
        done += _balance(block, blocks, k, left, capping, seed, None, completion)
    return done


def effective(block: Crystallite, blocks: Sequence[Crystallite]) -> float:
    """Return the charge of a domain with bonds across its interfaces shared by strength, e."""
    flat = block.filled()
    cross = block.cross[flat]
    sign = np.sign(block.charges(flat[cross > 0]))
    return block.charge - float((sign * cross[cross > 0]).sum())


def _balance(
    block: Crystallite,
    blocks: Sequence[Crystallite],
    k: int,
    want: float,
    capping: Capping | None,
    seed: int,
    only: str | None = None,
    completion: str = "halide",
) -> list[dict[str, Any]]:
    if abs(want) < 1e-6:
        return []
    near = blocked = None
    off_lattice = [b.positions(np.array(sorted(b.moved))) for b in blocks if b.moved]
    if off_lattice:
        # an empty site beside an ion that stands off the lattice stays empty
        from scipy.spatial import cKDTree

        blocked = np.zeros(block.flat.size, dtype=bool)
        open_ = np.flatnonzero((block.flat == 0) & (block.saturation() > 1e-9))
        if len(open_):
            distance, _ = cKDTree(np.concatenate(off_lattice)).query(block.positions(open_))
            blocked[open_[distance < CLEAR]] = True
    for m, other in enumerate(blocks):
        if m == k:
            continue
        pair = sides(block, other, empty=True)
        if pair is None:
            continue
        near = np.zeros(block.flat.size, dtype=bool) if near is None else near
        blocked = np.zeros(block.flat.size, dtype=bool) if blocked is None else blocked
        side, far = pair
        from scipy.spatial import cKDTree

        there = far.points[far.filled]
        if len(there):
            distance, _ = cKDTree(there).query(side.points)
            near[side.flat[distance < NEAR]] = True
            # an empty site this close to an ion of the other domain stays empty
            blocked[side.flat[(distance < CLEAR) & ~side.filled]] = True
    if len(blocks) > 1 and any(isinstance(b.crystal, IonicCrystal) for b in blocks):
        blocked = np.zeros(block.flat.size, dtype=bool) if blocked is None else blocked
        open_ = np.flatnonzero((block.flat == 0) & (block.saturation() > 1e-9))
        blocked[open_[crowded(blocks, k, open_) | beside_bodies(blocks, k, open_, HEAVY)]] = True
    tight = _tight(block, blocks, k, capping)
    _, done = balance(
        block, want, near=near, blocked=blocked, tight=tight, capping=capping, seed=seed,
        only=only, completion=completion,
    )  # fmt: skip
    for entry in done:
        entry["domain"] = block.crystal.formula
    if len(blocks) > 1:
        couple(blocks)
    return done


def _tight(
    block: Crystallite, blocks: Sequence[Crystallite], k: int, capping: Capping | None
) -> NDArray[np.bool_] | None:
    """Anion sites, filled or not, where halide would stand too close to foreign ions, (n_flat,).

    Foreign are the ions of the other domains, and those of this one that stand off the lattice.
    """
    own = own_halide(block) or capping
    if own is None or (len(blocks) == 1 and not block.moved):
        return None
    flat = [b.filled() for b in blocks]
    if block.moved:
        flat[k] = np.intersect1d(flat[k], np.array(sorted(block.moved)))
    else:
        flat[k] = flat[k][:0]
    there = np.concatenate([b.positions(f) for b, f in zip(blocks, flat, strict=True)])
    if len(there) == 0:
        return None
    sizes = np.concatenate(
        [radii(b.flat[f].astype(np.int64), b.charges(f)) for b, f in zip(blocks, flat, strict=True)]
    )
    charges = block.crystal.require_charges()
    anion = np.tile(charges < -0.5, block.flat.size // len(charges))
    empty = (block.flat == 0) & (block.saturation() > 1e-9)
    full = (block.flat != 0) & np.tile(charges < -1.5, len(anion) // len(charges))
    spots = np.setdiff1d(np.flatnonzero(anion & (empty | full)), sorted(block.moved))
    if len(spots) == 0:
        return None
    size = np.full(len(spots), radii(np.array([own.number]), np.array([own.charge]))[0])
    room = room_for(block.positions(spots), size, there, sizes, CONTACT + 0.005)
    found = np.zeros(block.flat.size, dtype=bool)
    found[spots[~room]] = True
    return found
