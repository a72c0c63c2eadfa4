"""Pair distances of undistorted crystallites by lattice autocorrelation (FFT).

Within a perfect crystallite the difference vectors of two sublattices are lattice points, and how
often each occurs is the autocorrelation of the occupied cells, made by FFT: work grows as N log N
instead of N². Between two domains that share a translation (a coincidence lattice) chains of atoms
along it are taken together; without one, their pairs are counted one by one.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.probes.xrd.debye import _PHASE_HISTOGRAM, PairSums, _diameter, sort_atoms

if TYPE_CHECKING:
    from heterodot.crystal import Crystal

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TOLERANCE = 2e-3  # Å; how far an atom may lie off its site


@dataclass(frozen=True, eq=False)
class Sublattices:
    """The atoms of one domain as occupied cells of each site.

    Attributes
    ----------
    cell : (3, 3) array
        Rows, Å, in the particle's frame.
    site : (n,) int array
        Index into ``offsets``.
    index : (n, 3) int array
        Cell of each atom, from zero.
    offsets : (n_sites, 3) array
        Cartesian position of each site in its cell, Å.
    elements : (n_sites,) int array
        Index of the element of each site.
    members : (n,) int array
        Which atoms of the particle these are.
    """

    cell: Floats
    site: Ints
    index: Ints
    offsets: Floats
    elements: Ints
    members: Ints


def on_lattice(
    crystal: Crystal,
    frames: list[Floats],
    origin: Floats,
    numbers: Ints,
    positions: Floats,
    element_of: dict[int, int],
    members: Ints,
) -> Sublattices | None:
    """Return the atoms of a domain that lie on its lattice, None if there are none.

    Parameters
    ----------
    crystal : Crystal
    frames : list of (3, 3) arrays
        Matrices that may carry the crystal's frame into the particle's (column vectors).
    origin : (3,) array
        Where the cell's origin may lie, Å; other shifts are tried too.
    numbers, positions
        Atomic numbers and positions of the domain's atoms.
    element_of : dict
        Atomic number to index of the element.
    members : (n,) int array
        Which atoms of the particle these are.
    """
    best: tuple[int, Sublattices] | None = None
    for frame in frames:
        cell = crystal.cell @ frame.T
        inverse = np.linalg.inv(cell)
        for shift in _shifts(crystal, cell, origin, numbers, positions):
            scaled = (positions - shift) @ inverse
            site = np.full(len(positions), -1, dtype=np.int64)
            index = np.zeros((len(positions), 3), dtype=np.int64)
            for k, point in enumerate(crystal.scaled):
                own = numbers == crystal.numbers[k]
                delta = scaled - point
                whole = np.round(delta)
                near = own & (np.linalg.norm((delta - whole) @ cell, axis=1) < TOLERANCE)
                site[near] = k
                index[near] = whole[near].astype(np.int64)
            on = site >= 0
            if on.any() and (best is None or on.sum() > best[0]):
                elements = np.array([element_of.get(int(z), -1) for z in crystal.numbers])
                cells = index[on] - index[on].min(0)
                offsets = crystal.scaled @ cell
                best = (
                    int(on.sum()),
                    Sublattices(cell, site[on], cells, offsets, elements, members[on]),
                )
            if on.all():
                return None if best is None else best[1]
    return None if best is None else best[1]


def _shifts(
    crystal: Crystal, cell: Floats, origin: Floats, numbers: Ints, positions: Floats
) -> list[Floats]:
    """Return where the origin may be: as stated, or from one atom put on each site of its kind."""
    middle = int(np.argmin(np.linalg.norm(positions - positions.mean(0), axis=1)))
    found = [np.asarray(origin, dtype=float)]
    for k in np.flatnonzero(crystal.numbers == numbers[middle]):
        found.append(positions[middle] - crystal.scaled[k] @ cell)
    return found


def lattice_sums(body: Any, q_max: float) -> PairSums | None:
    """Return pair sums of a particle most of whose atoms are on the lattices of its domains.

    The few that are not (capping ions, ligands, a shared layer) are paired one by one.

    Parameters
    ----------
    body : Particle
        With domains that state crystal, orientation, strain and origin.
    q_max : float
        1/Å.

    Returns
    -------
    PairSums or None
        None where there is no lattice to use: no domains, or more than a fifth of the atoms off
        their sites (a relaxed or shaken particle).
    """
    domains = getattr(body, "domains", ())
    if not domains:
        return None
    elements, counts, _, _ = sort_atoms(body.symbols, body.positions)
    from ase.data import atomic_numbers

    numbers = np.asarray(body.numbers)
    element_of = {atomic_numbers[e]: k for k, e in enumerate(elements)}
    parts: list[Sublattices] = []
    loose = np.ones(len(numbers), dtype=bool)
    for k, domain in enumerate(domains):
        mine = np.flatnonzero(body.domain == k)
        if len(mine) == 0 or domain.crystal is None:
            continue
        turn = np.asarray(domain.orientation)
        strain = np.eye(3) + np.asarray(domain.strain)
        frames = [turn] if np.allclose(strain, np.eye(3)) else [strain @ turn, turn]
        found = on_lattice(
            domain.crystal,
            frames,
            domain.origin,
            numbers[mine],
            body.positions[mine],
            element_of,
            mine,
        )
        if found is not None:
            parts.append(found)
            loose[found.members] = False
    if loose.sum() > 0.2 * len(numbers):
        return None
    index = np.array([element_of[int(z)] for z in numbers])
    return _together(body, elements, counts, parts, np.flatnonzero(loose), index, q_max)


def _together(
    body: Any,
    elements: tuple[str, ...],
    counts: Ints,
    parts: list[Sublattices],
    loose: Ints,
    element: Ints,
    q_max: float,
) -> PairSums:
    width = _PHASE_HISTOGRAM / q_max
    points = body.positions - body.positions.mean(0)
    longest = _diameter(points)
    n_bins = int(longest / width) + 4
    pairs = [(a, b) for a in range(len(elements)) for b in range(a, len(elements))]
    row_of = {pair: k for k, pair in enumerate(pairs)}
    table = np.zeros((len(pairs), n_bins))
    for part in parts:
        _within(part, table, row_of, width)
    for first, second in itertools.combinations(parts, 2):
        _between(points, first, second, table, row_of, width)
    if len(loose):
        rest = np.setdiff1d(np.arange(len(points)), loose)
        for a, b in pairs:
            one, two = loose[element[loose] == a], loose[element[loose] == b]
            row = table[row_of[a, b]]
            _one_by_one(points[one], points[one] if a == b else points[two], a == b, row, width)
            for mine, other in ((a, b), (b, a))[: 1 if a == b else 2]:
                few, many = loose[element[loose] == mine], rest[element[rest] == other]
                _one_by_one(points[few], points[many], False, row, width)
    return PairSums(elements, counts, tuple(pairs), table, width, longest)


def _one_by_one(first: Floats, second: Floats, same: bool, row: Floats, width: float) -> None:
    """Add pairs of two sets of atoms to a row of nodes by counting them."""
    from heterodot.probes.xrd import _kernels

    if len(first) == 0 or len(second) == 0:
        return
    both = first if same else np.concatenate([first, second])
    n, m = len(first), len(both)
    span = (0, n, 0, n) if same else (0, n, n, m)
    chunk = int(np.clip(n // 64, 16, 8192))
    row += _kernels.pair_histogram(
        *_split(both), *span, same, np.float32(256.0 / width), len(row), chunk
    )


def _within(
    part: Sublattices, table: Floats, row_of: dict[tuple[int, int], int], width: float
) -> None:
    """Add all pairs of one domain by autocorrelation of its occupied cells."""
    from scipy import fft

    shape = tuple(int(fft.next_fast_len(2 * int(n) + 1, real=True)) for n in part.index.max(0) + 1)
    used = np.unique(part.site)
    spectra = {}
    for s in used:
        grid = np.zeros(shape, dtype=np.float32)
        mine = part.index[part.site == s]
        grid[mine[:, 0], mine[:, 1], mine[:, 2]] = 1.0
        spectra[s] = fft.rfftn(grid)
    axes = [np.fft.fftfreq(n, 1 / n) for n in shape]
    steps = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    vectors = steps @ part.cell
    for i, s in enumerate(used):
        for t in used[i:]:
            counted = fft.irfftn(spectra[s].conj() * spectra[t], s=shape).ravel()
            many = np.rint(counted)
            keep = many > 0.5
            distance = np.linalg.norm(vectors[keep] + part.offsets[t] - part.offsets[s], axis=1)
            weight = many[keep].astype(float)
            if s == t:  # each pair is met twice, and each atom meets itself
                apart = distance > 1e-6
                distance, weight = distance[apart], weight[apart] / 2
            a, b = sorted((int(part.elements[s]), int(part.elements[t])))
            _deposit(table[row_of[a, b]], distance, weight, width)


def _deposit(row: Floats, distance: Floats, weight: Floats, width: float) -> None:
    """Add weighted distances to a row of cloud-in-cell nodes."""
    f = distance / width
    k = f.astype(np.int64)
    right = weight * (f - k)
    n = len(row)
    row += np.bincount(k, weight - right, minlength=n)[:n]
    row += np.bincount(k + 1, right, minlength=n)[:n]


def common_translation(a: Sublattices, b: Sublattices, longest: float = 40.0) -> Floats | None:
    """Return the shortest vector that is a lattice translation of both domains, or None.

    Å; equal within 0.01 % of its length and 0.002 Å.
    """
    reach = np.ceil(longest / np.linalg.norm(a.cell, axis=1)).astype(int)
    grid = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij"), -1).reshape(
        -1, 3
    )
    # half vectors too: a face- or body-centered cell repeats inside itself
    vectors = grid @ (a.cell / 2)
    length = np.linalg.norm(vectors, axis=1)
    keep = (length > 1.0) & (length <= longest)
    vectors, length = vectors[keep], length[keep]
    order = np.argsort(length)
    for vector in vectors[order]:
        if _translates(a, vector) and _translates(b, vector):
            return np.asarray(vector, dtype=float)
    return None


def _translates(part: Sublattices, vector: Floats) -> bool:
    """Return whether a vector carries each sublattice onto one of the same element."""
    scaled = part.offsets @ np.linalg.inv(part.cell)
    moved = scaled + vector @ np.linalg.inv(part.cell)
    for k, point in enumerate(moved):
        delta = scaled - point
        off = np.linalg.norm((delta - np.round(delta)) @ part.cell, axis=1)
        off[part.elements != part.elements[k]] = np.inf
        if off.min() > TOLERANCE:
            return False
    return True


def _between(
    points: Floats,
    part_a: Sublattices,
    part_b: Sublattices,
    table: Floats,
    row_of: dict[tuple[int, int], int],
    width: float,
) -> None:
    """Add all pairs of two domains."""
    from heterodot.probes.xrd import _kernels

    shift = common_translation(part_a, part_b)
    n_bins = table.shape[1]
    element_a, element_b = part_a.elements[part_a.site], part_b.elements[part_b.site]
    for a in np.unique(element_a):
        for b in np.unique(element_b):
            row = table[row_of[min(a, b), max(a, b)]]
            first = points[part_a.members[element_a == a]]
            second = points[part_b.members[element_b == b]]
            if shift is not None:
                start_a, many_a = chains(first, shift)
                start_b, many_b = chains(second, shift)
                # worth it where chains hold more than two atoms on average
                if many_a.mean() * many_b.mean() > 2 * (many_a.mean() + many_b.mean()):
                    order = np.argsort(-many_b, kind="stable")
                    row += _kernels.chain_histogram(
                        *_split(start_a),
                        many_a,
                        *_split(start_b[order]),
                        many_b[order],
                        *shift,
                        np.float32(256.0 / width),
                        n_bins,
                    )
                    continue
            _one_by_one(first, second, False, row, width)


def _split(points: Floats) -> list[NDArray[np.float32]]:
    return [np.ascontiguousarray(points[:, k], dtype=np.float32) for k in range(3)]


def chains(points: Floats, shift: Floats) -> tuple[Floats, Ints]:
    """Return first atoms and lengths of the chains that points form along a translation.

    Parameters
    ----------
    points : (n, 3) array
        Å.
    shift : (3,) array
        Å.

    Returns
    -------
    start : (n_chains, 3) array
    many : (n_chains,) int array
        Atoms in each; they add up to n.

    Examples
    --------
    >>> line = np.array([[0, 0, 0], [3.0, 0, 0], [6.0, 0, 0], [12.0, 0, 0]])
    >>> chains(line, np.array([3.0, 0, 0]))[1].tolist()
    [3, 1]
    """
    length = np.linalg.norm(shift)
    unit = shift / length
    along = points @ unit
    # atoms of one chain share what is across the translation and the phase along it
    phase = np.mod(along / length + 1e-4, 1.0)
    across = points - along[:, None] * unit
    key = np.round(np.column_stack([across, phase * length]) / 0.02).astype(np.int64)
    _, group = np.unique(key, axis=0, return_inverse=True)
    step = np.floor(along / length + 1e-4).astype(np.int64)
    order = np.lexsort((step, group))
    g, s = group.ravel()[order], step[order]
    new = np.concatenate([[True], (np.diff(g) != 0) | (np.diff(s) != 1)])
    begin = np.flatnonzero(new)
    many = np.diff(np.concatenate([begin, [len(points)]]))
    return points[order][begin], many.astype(np.int64)
