"""Where two crystals meet: shared cations, clashes, and coordination completed.

The rules, in order:

1. A cation of B within ``MERGE`` of a cation of the same element of A is the same ion: A's stays.
2. Of two ions that are too close (0.75 of the sum of radii for opposite charges and for anions,
   the full sum for cations) the one that is bound worse goes, B's where they are equal.
3. A cation of charge two and more that lacks neighbors gets them from empty anion sites of either
   crystal, those that serve most such cations first, where nothing is in the way.
4. Where such a cation still lacks a neighbor and there is room, halide is put beside it, off the
   lattice, where it serves most such cations and touches nothing.
5. What is then too weakly bound goes (`Crystallite.prune`).
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.particle.crystallite import Crystallite, bonds
from heterodot.particle.ions import BOND, CONTACT, radii

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

MERGE = 1.9
REACH = 5.0
ZONE = 9.0


class Side:
    """The sites of one crystallite near another domain, filled and empty."""

    def __init__(self, block: Crystallite, flat: Ints) -> None:
        self.block = block
        self.flat = flat
        self.points = block.positions(flat)
        self.site = block.site(flat)
        self.number = block.flat[flat].astype(np.int64)
        self.charge = block.charges(flat)
        self.kind = np.where(self.number > 0, self.number, block.crystal.numbers[self.site])
        self.radius = radii(self.kind, self.charge)

    @property
    def filled(self) -> Mask:
        """Which of the sites are filled."""
        return np.asarray(self.block.flat[self.flat] != 0)

    def strength(self) -> Array:
        """Bond strength of a cation on each site, e (zero for anions)."""
        number = np.maximum(bonds(self.block.crystal).coordination[self.site], 1)
        return np.where(self.charge > 0, self.charge / number, 0.0)


def resolve(
    a: Crystallite,
    b: Crystallite,
    capping: tuple[int, float] | None = None,
    everyone: Sequence[Crystallite] | None = None,
) -> dict[str, Any]:
    """Apply the rules of this module to two crystallites; both are changed in place.

    Parameters
    ----------
    capping : (atomic number, charge), optional
        Halide for rule 4; without one the rule is left out.
    everyone : sequence of Crystallite, optional
        All domains of the particle, where there are more than these two.

    Returns
    -------
    dict
        Counts of what was done: ``shared``, ``removed_a``, ``removed_b``, ``added_a``,
        ``added_b``, ``placed`` (halide off the lattice).
    """
    all_ = [a, b] if everyone is None else list(everyone)
    report = {"shared": 0, "removed_a": 0, "removed_b": 0, "added_a": 0, "added_b": 0, "placed": 0}
    near = sides(a, b, empty=False)
    if near is None:
        return report
    report["shared"] = _merge(b, *near)
    for side, count in zip(("removed_a", "removed_b"), _clashes(a, b, all_), strict=True):
        report[side] += count
    couple(all_)
    for side, count in zip(("added_a", "added_b"), _complete(a, b), strict=True):
        report[side] += count
    couple(all_)
    for _ in range(4):
        gone = _prune(a, b, all_)
        report["removed_a"] += gone[0]
        report["removed_b"] += gone[1]
        placed = _place_halide(a, b, *capping) if capping is not None else 0
        report["placed"] += placed
        couple(all_)
        if placed == 0:
            break
    return report


def _prune(a: Crystallite, b: Crystallite, all_: Sequence[Crystallite]) -> tuple[int, int]:
    """Remove what is too weakly bound in either, until nothing is."""
    total = [0, 0]
    while True:
        gone = a.prune(), b.prune()
        if gone == (0, 0):
            return total[0], total[1]
        total[0] += gone[0]
        total[1] += gone[1]
        couple(all_)


def sides(a: Crystallite, b: Crystallite, *, empty: bool) -> tuple[Side, Side] | None:
    """Return the sites of each that lie within reach of filled sites of the other.

    Empty sites are those that bond to a filled one.
    """
    from scipy.spatial import cKDTree

    zones = [_zone(a, b), _zone(b, a)]
    filled = [zone[block.flat[zone] != 0] for block, zone in zip((a, b), zones, strict=True)]
    if min(len(f) for f in filled) == 0:
        return None
    here = [block.positions(f) for block, f in zip((a, b), filled, strict=True)]
    found = []
    for k, block in enumerate((a, b)):
        flat, at = filled[k], here[k]
        other = here[1 - k]
        if empty:
            flat = zones[k][_beside(block, zones[k])]
            at = block.positions(flat)
        floor, top = other.min(0) - REACH, other.max(0) + REACH
        inside = ((at > floor) & (at < top)).all(1)
        flat, at = flat[inside], at[inside]
        if len(flat) == 0:
            return None
        distance, _ = cKDTree(other).query(at, distance_upper_bound=REACH)
        flat = flat[np.isfinite(distance)]
        if len(flat) == 0:
            return None
        found.append(Side(block, flat))
    return found[0], found[1]


def _beside(block: Crystallite, flat: Ints) -> Mask:
    """Which sites are filled or bond to a filled one."""
    seen = block.flat[flat] != 0
    table = bonds(block.crystal)
    site = block.site(flat)
    for kind in np.unique(site):
        mine = np.flatnonzero(site == kind)
        for offset in block.offsets[table.site == kind]:
            seen[mine] |= block.flat[flat[mine] + offset] != 0
    return np.asarray(seen)


# lattice sites of a crystallite that can come within reach of another one, found once for a pair
_ZONES: weakref.WeakKeyDictionary[Crystallite, weakref.WeakKeyDictionary[Crystallite, Ints]] = (
    weakref.WeakKeyDictionary()
)


def _zone(block: Crystallite, other: Crystallite) -> Ints:
    """Sites of a block, filled or not, within ``ZONE`` of ions of another when they first met.

    Ions are only added beside others, so what is in reach later is in the zone from the start.
    """
    from scipy.spatial import cKDTree

    known = _ZONES.setdefault(block, weakref.WeakKeyDictionary())
    if other in known:
        return known[other]
    (low, high), (low_b, high_b) = block.extent(), other.extent()
    low, high = np.maximum(low, low_b) - 2 * REACH, np.minimum(high, high_b) + 2 * REACH
    flat = np.zeros(0, dtype=np.int64)
    if (high > low).all():
        there = other.within(low, high, empty=False)
        mine = block.within(low, high, empty=True)
        if len(there) and len(mine):
            points = other.positions(there)
            at = block.positions(mine)
            inside = ((at > points.min(0) - ZONE) & (at < points.max(0) + ZONE)).all(1)
            mine, at = mine[inside], at[inside]
            distance, _ = cKDTree(points).query(at, distance_upper_bound=ZONE)
            flat = _grown(block, mine[np.isfinite(distance)])
    known[other] = flat
    return known[other]


def _grown(block: Crystallite, flat: Ints) -> Ints:
    """The sites and those that bond to them, inside the border of the box."""
    n1, n2, n3, ns = block.species.shape
    table = bonds(block.crystal)
    site = block.site(flat)
    found = [flat]
    for kind in np.unique(site):
        found += [flat[site == kind] + offset for offset in block.offsets[table.site == kind]]
    grown = np.unique(np.concatenate(found))
    cells = np.stack(np.unravel_index(grown // ns, (n1, n2, n3)), axis=-1)
    p = block.pad
    keep = ((cells >= p) & (cells < np.array([n1, n2, n3]) - p)).all(axis=1)
    return np.asarray(grown[keep])


def _pairs(p: Array, q: Array, reach: float) -> tuple[Ints, Ints, Array]:
    """Pairs of points within reach, nearest first."""
    from scipy.spatial import cKDTree

    found = cKDTree(p).sparse_distance_matrix(cKDTree(q), reach, output_type="ndarray")
    i, j = found["i"].astype(np.int64), found["j"].astype(np.int64)
    # in an order that the last digits of distances have no part in
    order = np.lexsort((j, i, np.round(found["v"], 5)))
    return i[order], j[order], np.asarray(found["v"])[order]


def _merge(b: Crystallite, sa: Side, sb: Side) -> int:
    i, j, _ = _pairs(sa.points, sb.points, MERGE)
    same = (sa.number[i] == sb.number[j]) & (sa.charge[i] > 0)
    shared = 0
    taken_a: set[int] = set()
    taken_b: set[int] = set()
    for x, y in zip(i[same].tolist(), j[same].tolist(), strict=True):
        if x in taken_a or y in taken_b:
            continue
        taken_a.add(x)
        taken_b.add(y)
        b.empty(sb.flat[y : y + 1])
        shared += 1
    return shared


def closest(sa: Side, sb: Side, i: Ints, j: Ints) -> Array:
    """Return the smallest distance that each pair of sites may have, Å."""
    total = sa.radius[i] + sb.radius[j]
    cations = (sa.charge[i] > 0) & (sb.charge[j] > 0)
    return np.asarray(np.where(cations, 1.0, CONTACT) * total)


def _clashes(a: Crystallite, b: Crystallite, all_: Sequence[Crystallite]) -> tuple[int, int]:
    gone = [0, 0]
    near = sides(a, b, empty=False)
    if near is None:
        return 0, 0
    couple(all_)
    sa, sb = near
    i, j, d = _pairs(sa.points, sb.points, REACH)
    close = d < closest(sa, sb, i, j)
    i, j, d = i[close], j[close], d[close]
    worth_a, worth_b = a.saturation()[sa.flat], b.saturation()[sb.flat]
    for k in range(len(d)):
        x, y = sa.flat[i[k]], sb.flat[j[k]]
        if a.flat[x] == 0 or b.flat[y] == 0:
            continue
        if worth_a[i[k]] < worth_b[j[k]] - 1e-6:
            a.empty(np.array([x]))
            gone[0] += 1
        else:
            b.empty(np.array([y]))
            gone[1] += 1
    return gone[0], gone[1]


def couple(blocks: Sequence[Crystallite]) -> None:
    """Write into each crystallite the bond strength that its sites get from the others."""
    for block in blocks:
        block.cross[:] = 0.0
    for m, a in enumerate(blocks):
        for b in blocks[m + 1 :]:
            near = sides(a, b, empty=True)
            if near is None:
                continue
            sa, sb = near
            i, j, d = _pairs(sa.points, sb.points, REACH)
            bound = (sa.charge[i] * sb.charge[j] < 0) & (d < BOND * (sa.radius[i] + sb.radius[j]))
            i, j = i[bound], j[bound]
            strength = np.where(sa.charge[i] > 0, sa.strength()[i], sb.strength()[j])
            filled_a, filled_b = sa.filled, sb.filled
            np.add.at(a.cross, sa.flat[i], strength * filled_b[j])
            np.add.at(b.cross, sb.flat[j], strength * filled_a[i])


def _complete(a: Crystallite, b: Crystallite) -> tuple[int, int]:
    """Rule 3: fill empty anion sites beside cations of the interface that lack neighbors."""
    near = sides(a, b, empty=True)
    if near is None:
        return 0, 0
    added = [0, 0]
    sa, sb = near
    points = np.concatenate([sa.points, sb.points])
    charge = np.concatenate([sa.charge, sb.charge])
    radius = np.concatenate([sa.radius, sb.radius])
    owner = np.repeat([0, 1], [len(sa.flat), len(sb.flat)])
    flat = np.concatenate([sa.flat, sb.flat])
    filled = np.concatenate([sa.filled, sb.filled])
    full = np.concatenate([bonds(s.block.crystal).coordination[s.site] for s in (sa, sb)])
    i, j, d = _pairs(points, points, REACH)
    keep = i != j
    i, j, d = i[keep], j[keep], d[keep]
    total = radius[i] + radius[j]
    bond = (charge[i] * charge[j] < 0) & (d < BOND * total)
    cations = (charge[i] > 0) & (charge[j] > 0)
    clash = d < np.where(cations, 1.0, CONTACT) * total
    blocks = (a, b)
    lacks = _lacking(blocks, owner, flat, charge, filled, full, i[bond], j[bond])
    there, sizes = _everything(blocks)
    free = np.ones(len(flat), dtype=bool)
    open_ = np.flatnonzero(~filled & (charge < 0))
    if len(open_):
        free[open_] = room_for(points[open_], radius[open_], there, sizes, CONTACT)
    while True:
        gain = np.zeros(len(flat))
        np.add.at(gain, j[bond], (lacks[i[bond]] > 0).astype(float))
        blocked = np.zeros(len(flat), dtype=bool)
        np.logical_or.at(blocked, j[clash], filled[i[clash]])
        bonded = np.zeros(len(flat))
        np.add.at(bonded, j[bond], (filled[i[bond]] & (charge[i[bond]] > 1.5)).astype(float))
        ok = (charge < 0) & ~filled & ~blocked & free & (gain > 0) & (bonded >= 2)
        if not ok.any():
            return added[0], added[1]
        score = np.where(ok, gain + 0.01 * bonded - 0.001 * owner, -1.0)
        k = int(np.argmax(score))
        block = blocks[owner[k]]
        block.flat[flat[k]] = block.crystal.numbers[flat[k] % len(block.crystal)]
        filled[k] = True
        added[owner[k]] += 1
        touched = i[bond & (j == k)]
        lacks[touched] -= 1


def _lacking(
    blocks: tuple[Crystallite, Crystallite],
    owner: Ints,
    flat: Ints,
    charge: Array,
    filled: Mask,
    full: Ints,
    i: Ints,
    j: Ints,
) -> Ints:
    """Neighbors that each strong cation bonded across the interface lacks, (n,)."""
    crossing = owner[i] != owner[j]
    count = np.zeros(len(flat), dtype=np.int64)
    np.add.at(count, i[crossing], filled[j[crossing]].astype(np.int64))
    mine = np.flatnonzero(filled & (charge > 1.5) & (count > 0))
    for x in mine:
        block = blocks[owner[x]]
        around, _ = block.around(int(flat[x]))
        count[x] += int((block.flat[around] != 0).sum())
    lacks = np.zeros(len(flat), dtype=np.int64)
    lacks[mine] = np.maximum(full[mine] - count[mine], 0)
    return lacks


def _place_halide(a: Crystallite, b: Crystallite, number: int, charge: float) -> int:
    """Rule 4; returns how many ions were placed."""
    near = sides(a, b, empty=True)
    if near is None:
        return 0
    blocks = (a, b)
    points = np.concatenate([s.points for s in near])
    owner = np.repeat([0, 1], [len(s.flat) for s in near])
    flat = np.concatenate([s.flat for s in near])
    charges = np.concatenate([s.charge for s in near])
    radius = np.concatenate([s.radius for s in near])
    filled = np.concatenate([s.filled for s in near])
    full = np.concatenate([bonds(s.block.crystal).coordination[s.site] for s in near])
    i, j, d = _pairs(points, points, REACH)
    bond = (charges[i] * charges[j] < 0) & (d < BOND * (radius[i] + radius[j]))
    lacks = _lacking(blocks, owner, flat, charges, filled, full, i[bond], j[bond])
    size = radii(np.array([number]), np.array([charge]))[0]
    spots = around_cations(points, radius + size, lacks)
    if len(spots) == 0:
        return 0
    there, sizes = _everything(blocks)
    spots = spots[room_for(spots, np.full(len(spots), size), there, sizes, 0.78)]
    lacking = np.flatnonzero(lacks > 0)
    empty = np.flatnonzero(~filled & (charges < 0))
    if len(spots) == 0 or len(empty) == 0:
        return 0
    content = np.flatnonzero(filled & (charges > 1.5) & (lacks == 0))
    crowd = touching(spots, points[content], BOND * (radius[content] + size))
    reach = 1.25 * (radius[lacking] + size)
    chosen = cover(spots, points[lacking], reach, lacks[lacking], size, crowd)
    return _hold(blocks, owner, flat, points, empty, spots[chosen], number, charge)


def touching(spots: Array, points: Array, reach: Array) -> Ints:
    """Return how many of the points each spot lies within reach of, (n_spots,)."""
    if len(points) == 0:
        return np.zeros(len(spots), dtype=np.int64)
    i, j, d = _pairs(spots, points, float(reach.max()))
    return np.asarray(np.bincount(i[d < reach[j]], minlength=len(spots)), dtype=np.int64)


def cover(
    spots: Array,
    cations: Array,
    reach: Array,
    lacks: Ints,
    size: float,
    crowd: Ints | None = None,
) -> list[int]:
    """Choose spots one by one where they serve most cations that still lack a neighbor.

    ``crowd`` counts, for each spot, cations that would get one neighbor too many there; each
    weighs a little more than half of one that is served.
    """
    import heapq

    from scipy.spatial import cKDTree

    i, j, d = _pairs(spots, cations, float(reach.max()))
    serves = d < reach[j]
    i, j = i[serves], j[serves]
    order = np.argsort(i, kind="stable")
    i, j = i[order], j[order]
    first = np.searchsorted(i, np.arange(len(spots) + 1))
    tree = cKDTree(spots)
    apart = 2 * CONTACT * size + 0.3
    left = lacks.copy()
    free = np.ones(len(spots), dtype=bool)
    burden = np.zeros(len(spots)) if crowd is None else 0.6 * crowd
    heap = [(float(burden[k]) - int(n), k) for k, n in enumerate(np.diff(first)) if n]
    heapq.heapify(heap)
    chosen: list[int] = []
    while heap:
        gain, k = heapq.heappop(heap)
        if not free[k]:
            continue
        served = j[first[k] : first[k + 1]]
        served = served[left[served] > 0]
        now = float(burden[k]) - len(served)
        if now > gain + 1e-9:
            if len(served):
                heapq.heappush(heap, (now, k))
            continue
        chosen.append(k)
        left[served] -= 1
        free[tree.query_ball_point(spots[k], apart)] = False
    return chosen


def _hold(
    blocks: tuple[Crystallite, Crystallite],
    owner: Ints,
    flat: Ints,
    points: Array,
    empty: Ints,
    spots: Array,
    number: int,
    charge: float,
) -> int:
    """Book each placed ion on the nearest empty anion site, with its displacement from there."""
    from scipy.spatial import cKDTree

    if len(spots) == 0:
        return 0
    distance, nearest = cKDTree(points[empty]).query(spots, k=min(12, len(empty)))
    distance = np.atleast_2d(distance.reshape(len(spots), -1))
    nearest = np.atleast_2d(nearest.reshape(len(spots), -1))
    used: set[int] = set()
    for spot, row, near in zip(spots, distance, nearest, strict=True):
        holder = next(
            (
                int(n)
                for d, n in zip(row, near, strict=True)
                if d < REACH / 2 and int(n) not in used
            ),
            None,
        )
        if holder is None:
            continue
        used.add(holder)
        at = empty[holder]
        block, key = blocks[owner[at]], int(flat[at])
        block.flat[key] = number
        block.moved[key] = spot - points[at]
        site = key % len(block.crystal)
        own = block.crystal.require_charges()[site]
        if block.crystal.numbers[site] != number or own != charge:
            block.changed[key] = charge
    return len(used)


def around_cations(points: Array, length: Array, lacks: Ints) -> Array:
    """Points around each lacking cation where a neighbor could be, (n, 3)."""
    lacking = np.flatnonzero(lacks > 0)
    # a finer search where it costs little
    directions, stretches = (
        (_directions(160), (0.93, 1.0, 1.08, 1.16))
        if len(lacking) < 300
        else (_directions(72), (0.93, 1.03, 1.13))
    )
    shells = [
        points[x] + stretch * length[x] * directions for x in lacking for stretch in stretches
    ]
    return np.concatenate(shells) if shells else np.zeros((0, 3))


def _directions(n: int) -> Array:
    """Unit vectors spread evenly over a sphere (golden spiral), (n, 3)."""
    k = np.arange(n) + 0.5
    z = 1 - 2 * k / n
    turn = np.pi * (1 + np.sqrt(5)) * k
    across = np.sqrt(1 - z**2)
    return np.stack([across * np.cos(turn), across * np.sin(turn), z], axis=-1)


def _everything(blocks: Sequence[Crystallite]) -> tuple[Array, Array]:
    """Positions and radii of all ions."""
    points = np.concatenate([k.positions(k.filled()) for k in blocks])
    sizes = np.concatenate(
        [radii(k.flat[k.filled()].astype(np.int64), k.charges(k.filled())) for k in blocks]
    )
    return points, sizes


def room_for(spots: Array, size: Array, there: Array, sizes: Array, factor: float) -> Mask:
    """Which spots are at least ``factor`` sums of radii from every ion, (n,) bool."""
    from scipy.spatial import cKDTree

    room = np.ones(len(spots), dtype=bool)
    low, high = spots.min(0) - 5.0, spots.max(0) + 5.0
    close = ((there > low) & (there < high)).all(1)
    for kind in np.unique(sizes[close]):
        mine = there[close & (sizes == kind)]
        left = np.flatnonzero(room)
        if len(left) == 0:
            break
        limit = factor * (size[left] + kind)
        distance, _ = cKDTree(mine).query(spots[left], distance_upper_bound=float(limit.max()))
        room[left[distance < limit]] = False
    return room
