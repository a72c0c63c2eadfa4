"""Columns sorted to the sublattices of the domains: by place in the cell, then by strength.

With candidate phases the sites are the crystal's own columns seen along the zone axis that the
spots say; without, the places in the cell that the columns take, named A, B... by strength.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.probes.em.columns import Column
from heterodot.units import Value

if TYPE_CHECKING:
    from heterodot.crystal import Crystal
    from heterodot.measurement import Measurement
    from heterodot.probes.em.grains import Grain
    from heterodot.probes.em.reading import Reading

Array = NDArray[np.float64]
EXPONENT = 1.7  # of the atomic number in Z-contrast; only the order of sites matters here
MERGED = 0.6  # Å: atoms whose columns are closer make one spot in an image
CLEAR = 0.1  # lead in score that tells one way of naming the sites from the next


@dataclass(frozen=True)
class Sublattice:
    """Columns of one kind in one domain.

    Attributes
    ----------
    domain : str
    label : str
        Elements, heaviest first (``"Pb+Br"``), or A, B... where no phase is given.
    count : int
    intensity : Value
        Mean, with the standard error of the mean; a particle's thickness varies, so the columns
        scatter more than their errors.
    spread : float
        Standard deviation over the columns.
    """

    domain: str
    label: str
    count: int
    intensity: Value
    spread: float

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "domain": self.domain,
            "label": self.label,
            "count": self.count,
            "intensity": self.intensity.to_json(),
            "standard_deviation": self.spread,
        }


@dataclass(frozen=True)
class Sorted:
    """Columns with their sublattices.

    Attributes
    ----------
    columns : tuple of Column
        As given, with domain, sublattice and offset where they fit.
    sublattices : tuple of Sublattice
        By domain, strongest first.
    lattices : tuple of dict
        For each domain the two shortest spacings across the beam with errors, and the root mean
        square offset of its columns.
    warnings : tuple of str
    """

    columns: tuple[Column, ...]
    sublattices: tuple[Sublattice, ...]
    lattices: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "columns": [c.to_json() for c in self.columns],
            "sublattices": [s.to_json() for s in self.sublattices],
            "lattices": list(self.lattices),
            "warnings": list(self.warnings),
        }


@dataclass
class _Domain:
    """A lattice in the image: phase of a place r is r gᵀ - shift, whole numbers at site (0, 0)."""

    name: str
    g: Array
    sites: Array
    labels: list[str]
    strength: Array
    mask: NDArray[np.bool_]
    hkl: list[tuple[int, int, int]] | None = None
    shift: Array = field(default_factory=lambda: np.zeros(2))
    error: Array = field(default_factory=lambda: np.zeros((2, 2)))

    def offsets(self, xy: Array) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
        """Return site, cell and offset (Å) of places, the nearest site for each."""
        axes = np.linalg.inv(self.g)  # columns are the cell's edges: r = axes @ phase
        phase = (xy @ self.g.T - self.shift)[:, None, :] - self.sites[None]
        cell = np.rint(phase)
        away = (phase - cell) @ axes.T
        site = np.argmin((away**2).sum(axis=2), axis=1)
        n = np.arange(len(xy))
        return site, cell[n, site].astype(np.int64), away[n, site]

    def refined(self, xy: Array, tolerance: float) -> None:
        """Fit cell and shift to the places that are near a site."""
        for _ in range(4):
            site, cell, away = self.offsets(xy)
            good = np.hypot(*away.T) < tolerance
            if good.sum() < 6:
                return
            index = cell[good] + self.sites[site[good]]
            design = np.column_stack([xy[good], -np.ones(good.sum())])
            if np.linalg.matrix_rank(design) < 3:
                return
            solved, _r, _k, _s = np.linalg.lstsq(design, index, rcond=None)
            left = index - design @ solved
            self.g, self.shift = solved[:2].T.copy(), solved[2].copy()
            variance = (left**2).sum(axis=0) / max(good.sum() - 3, 1)
            inverse = np.linalg.inv(design.T @ design)
            self.error = np.sqrt(np.outer(variance, np.diag(inverse)[:2]))


def sort_columns(
    columns: Sequence[Column],
    image: Measurement,
    domains: Sequence[Reading] | Sequence[Grain],
    *,
    tolerance: float = 0.6,
) -> Sorted:
    """Return columns sorted to domains and sublattices.

    Parameters
    ----------
    columns : sequence of Column
        From `find_columns` of the image.
    image : Measurement
        The image, for the masks of the domains.
    domains : sequence of Reading or Grain
        From `read_domains` (candidate phases: sites are named by their elements) or `find_grains`
        (sites are named A, B...).
    tolerance : float
        Å; columns farther from every site stay without sublattice.

    Raises
    ------
    InputError
        No domain with a lattice across the beam, or masks of another image.
    """
    if not columns:
        raise InputError("there are no columns to sort", place="columns")
    xy = np.array([[c.x.value, c.y.value] for c in columns])
    strength = np.array([c.intensity.value for c in columns])
    far = _distances(image, domains, xy)
    found, warnings = [], []
    each: Sequence[Any] = domains
    for k, domain in enumerate(each):
        grain = getattr(domain, "grain", domain)
        inside = far[k] == 0
        if inside.sum() < 6:
            warnings.append(f"domain {grain.number} holds {inside.sum()} columns: not sorted")
            continue
        made = _lattice(domain, xy[inside], strength[inside], tolerance, warnings)
        if made is not None:
            found.append((k, made))
    if not found:
        raise InputError(
            "no domain has a lattice to which columns could be sorted", place="domains",
            remedy="give the phases, or a region inside one crystal",
        )  # fmt: skip
    return _assigned(columns, xy, far, found, tolerance, warnings)


def _distances(image: Measurement, domains: Sequence[Any], xy: Array) -> Array:
    """Return the distance of every column from every domain's mask, (n_domains, n), Å."""
    from scipy import ndimage

    from heterodot.probes.em.spots import pixels

    _, y, x = pixels(image)
    step = float(x[1] - x[0])
    rows = np.clip(np.rint((xy[:, 1] - y[0]) / step).astype(int), 0, len(y) - 1)
    columns = np.clip(np.rint((xy[:, 0] - x[0]) / step).astype(int), 0, len(x) - 1)
    far = []
    for domain in domains:
        mask = getattr(domain, "grain", domain).mask
        if mask.shape != (len(y), len(x)):
            raise InputError("the domains are those of another image", place="domains")
        far.append(ndimage.distance_transform_edt(~mask)[rows, columns] * step)
    return np.array(far)


def _lattice(
    domain: Any, xy: Array, strength: Array, tolerance: float, warnings: list[str]
) -> _Domain | None:
    """Return the lattice of one domain, its sites named."""
    grain = getattr(domain, "grain", domain)
    if hasattr(domain, "answers"):
        if domain.best is None:
            warnings.append(f"domain {grain.number} is none of the phases: its columns stay open")
            return None
        return _of_crystal(domain.best, grain.mask, xy, strength, tolerance, warnings)
    return _of_spots(grain, xy, strength, tolerance, warnings)


def in_zone(zone: Sequence[int], cell: Array) -> list[tuple[int, int, int]]:
    """Return the two shortest reflections that span all those of a zone.

    Examples
    --------
    >>> in_zone((0, 0, 1), np.eye(3) * 5.9)
    [(0, 1, 0), (1, 0, 0)]
    """
    u = np.array(zone, dtype=int) // math.gcd(*(int(z) for z in zone))
    n = int(np.abs(u).max()) + 1
    grid = np.array(np.meshgrid(*[np.arange(-n, n + 1)] * 3, indexing="ij")).reshape(3, -1).T
    grid = grid[(grid @ u == 0) & (np.abs(grid).sum(axis=1) > 0)]
    # one of each pair of opposite reflections
    first = np.array([row[np.flatnonzero(row)[0]] for row in grid])
    grid = grid[first > 0]
    length = np.linalg.norm(grid @ np.linalg.inv(cell).T, axis=1)
    grid = grid[np.lexsort((*grid.T[::-1], length.round(6)))]
    for j in range(1, len(grid)):
        for i in range(j):
            if np.array_equal(np.abs(np.cross(grid[i], grid[j])), np.abs(u)):
                one, two = (tuple(int(v) for v in grid[m]) for m in (i, j))
                return [(one[0], one[1], one[2]), (two[0], two[1], two[2])]
    raise InputError(f"{tuple(zone)} is no zone axis", place="zone")


def crystal_sites(
    crystal: Crystal, zone: Sequence[int]
) -> tuple[list[tuple[int, int, int]], Array, list[str], Array]:
    """Return reflections that span the zone, and the columns of a cell along it.

    Returns
    -------
    hkl : two reflections
    sites : (n, 2) array
        Coordinates of the columns in the cell that is dual to ``hkl``.
    labels : list of str
        Elements of each, heaviest first.
    strength : (n,) array
        Sum of Z to the power 1.7 over one repeat.
    """
    from ase.data import atomic_numbers

    hkl = in_zone(zone, crystal.cell)
    inverse = np.linalg.inv(crystal.cell)
    fractional = crystal.positions @ inverse
    phase = (fractional @ np.array(hkl, dtype=float).T) % 1.0
    g = np.array(hkl, dtype=float) @ inverse.T
    gram = np.linalg.inv(g @ g.T)  # metric of the dual cell
    sites: list[Array] = []
    members: list[list[str]] = []
    order = sorted(range(len(phase)), key=lambda i: -atomic_numbers[crystal.symbols[i]])
    for i in order:
        for site, own in zip(sites, members, strict=True):
            away = phase[i] - site - np.rint(phase[i] - site)
            if away @ gram @ away < MERGED**2:
                own.append(crystal.symbols[i])
                break
        else:
            sites.append(phase[i])
            members.append([crystal.symbols[i]])
    labels = ["+".join(sorted(set(m), key=lambda s: -atomic_numbers[s])) for m in members]
    strength = np.array([sum(atomic_numbers[s] ** EXPONENT for s in m) for m in members])
    return hkl, np.array(sites), labels, strength


def _of_crystal(
    best: Any,
    mask: NDArray[np.bool_],
    xy: Array,
    strength: Array,
    tolerance: float,
    warnings: list[str],
) -> _Domain:
    """Return a crystal's lattice, laid so that its strong sites hold the strong columns."""
    crystal = best.crystal
    hkl, sites, labels, expected = crystal_sites(crystal, best.zone)
    cartesian = np.array(hkl, dtype=float) @ np.linalg.inv(crystal.cell).T
    g = (cartesian @ np.asarray(best.orientation).T)[:, :2] / best.spacing_ratio.value
    middle = np.median(xy, axis=0)
    bright = strength >= np.quantile(strength, 0.5)
    anchor = xy[bright][np.argmin(np.hypot(*(xy[bright] - middle).T))]
    scored = []
    # spots do not tell a structure from itself turned half a turn about the beam
    for turn in (1.0, -1.0):
        for site in sites:
            made = _Domain(crystal.name, turn * g, sites, labels, expected, mask, hkl)
            made.shift = anchor @ made.g.T - site
            made.refined(xy, tolerance)
            scored.append((_score(made, xy, strength, tolerance), made))
    scored.sort(key=lambda item: -item[0])
    top, chosen = scored[0]
    same = [labels[s] for s in chosen.offsets(xy)[0]]
    rivals = [s for s, made in scored[1:] if [labels[k] for k in made.offsets(xy)[0]] != same]
    if rivals and top - rivals[0] < CLEAR:
        warnings.append(
            f"{crystal.name}: intensities hardly tell which column is which (the next way of "
            f"naming them is {top - rivals[0]:.2f} worse)"
        )
    return chosen


def _score(domain: _Domain, xy: Array, strength: Array, tolerance: float) -> float:
    """Return the share of columns on sites, plus the correlation of strength with expectation."""
    site, cell, away = domain.offsets(xy)
    on = np.hypot(*away.T) < tolerance
    if on.sum() < 3:
        return -1.0
    held: dict[tuple[int, int, int], float] = {}
    for s, c, value in zip(site[on], cell[on], strength[on], strict=True):
        held[(int(s), int(c[0]), int(c[1]))] = float(value)
    # a site without a column counts as dark, in cells that hold columns
    cells = {(key[1], key[2]) for key in held}
    pairs = [
        (float(domain.strength[s]), held.get((s, *c), 0.0))
        for c in sorted(cells)
        for s in range(len(domain.sites))
    ]
    expected, measured = np.array(pairs).T
    share = float(on.mean())
    if np.ptp(expected) < 1e-9 or np.ptp(measured) == 0:
        return share
    return share + float(np.corrcoef(expected, measured)[0, 1])


def _of_spots(
    grain: Grain, xy: Array, strength: Array, tolerance: float, warnings: list[str]
) -> _Domain | None:
    """Return the lattice of a grain's spots with the places that its columns take."""
    g = _basis(np.array([[s.gx, s.gy] for s in grain.spots]))
    if g is None:
        warnings.append(f"domain {grain.number} has spots on one line: its columns stay open")
        return None
    made = _Domain(str(grain.number), g, np.zeros((1, 2)), ["A"], np.ones(1), grain.mask)
    axes = np.linalg.inv(g)
    phase = xy @ g.T
    left = np.ones(len(xy), dtype=bool)
    sites, power = [], []
    for i in np.argsort(-strength):
        if not left[i]:
            continue
        center = phase[i]
        for _ in range(3):
            away = phase - center
            away -= np.rint(away)
            near = left & (np.hypot(*(away @ axes.T).T) < tolerance)
            center = center + away[near].mean(axis=0)
        left &= ~near
        left[i] = False
        if near.sum() >= max(3, 0.05 * len(xy)):
            sites.append(center)
            power.append(float(strength[near].mean()))
    order = np.argsort(power)[::-1]
    made.sites, made.strength = np.array(sites)[order], np.array(power)[order]
    made.labels = [chr(ord("A") + k) if k < 26 else f"Z{k}" for k in range(len(order))]
    made.refined(xy, tolerance)
    return made


def _basis(g: Array) -> Array | None:
    """Return two spots of which the others are whole combinations, as nearly as there are any."""
    best: tuple[float, Array] | None = None
    length = np.linalg.norm(g, axis=1)
    shortest = np.argsort(length)[:12]
    for k, i in enumerate(shortest):
        for j in shortest[k + 1 :]:
            pair = g[[i, j]]
            area = abs(float(np.linalg.det(pair)))
            if area < 0.15 * length[i] * length[j]:
                continue
            index = g @ np.linalg.inv(pair)
            whole = (np.abs(index - np.rint(index)) < 0.12).all(axis=1).mean()
            # of equal ones the larger cell in reciprocal space: the smaller in the image
            score = float(whole) + 1e-3 * area - 1e-4 * float(length[i] + length[j])
            if best is None or score > best[0]:
                best = (score, pair)
    return None if best is None else best[1]


def _assigned(
    columns: Sequence[Column],
    xy: Array,
    far: Array,
    found: list[tuple[int, _Domain]],
    tolerance: float,
    warnings: list[str],
) -> Sorted:
    """Return the columns with the domain whose lattice and place fit them best."""
    cost, placed = [], []
    for k, domain in found:
        site, _, away = domain.offsets(xy)
        distance = np.hypot(*away.T)
        # half a window of doubt about where a domain ends weighs as much as the tolerance
        cost.append(np.where(distance < tolerance, distance + 0.06 * far[k], np.inf))
        placed.append((site, away))
    chosen = np.argmin(cost, axis=0)
    fits = np.isfinite(np.min(cost, axis=0))
    sorted_columns = []
    for n, column in enumerate(columns):
        if not fits[n]:
            sorted_columns.append(column)
            continue
        domain = found[chosen[n]][1]
        site, away = placed[chosen[n]]
        sorted_columns.append(
            replace(
                column,
                domain=domain.name,
                sublattice=domain.labels[site[n]],
                offset=(float(away[n, 0]), float(away[n, 1])),
            )
        )
    if not fits.all():
        warnings.append(f"{(~fits).sum()} of {len(columns)} columns are on no lattice")
    lattices = [
        _described(domain, [c for c in sorted_columns if c.domain == domain.name])
        for _, domain in found
    ]
    return Sorted(
        tuple(sorted_columns),
        tuple(_groups(sorted_columns, [d for _, d in found])),
        tuple(lattices),
        tuple(warnings),
    )


def _groups(columns: Sequence[Column], domains: Sequence[_Domain]) -> list[Sublattice]:
    groups = []
    for domain in domains:
        rows = []
        for label in dict.fromkeys(domain.labels):
            own = [
                c.intensity.value
                for c in columns
                if c.domain == domain.name and c.sublattice == label
            ]
            if not own:
                continue
            spread = float(np.std(own, ddof=1)) if len(own) > 1 else 0.0
            error = spread / math.sqrt(len(own)) if len(own) > 1 else None
            mean = Value(float(np.mean(own)), "angstrom^2", error, "one column only")
            rows.append(Sublattice(domain.name, label, len(own), mean, spread))
        groups += sorted(rows, key=lambda s: -s.intensity.value)
    return groups


def _described(domain: _Domain, columns: Sequence[Column]) -> dict[str, Any]:
    """Return spacings with errors and how far columns are off."""
    spacings = []
    for row, error in zip(domain.g, domain.error, strict=True):
        length = float(np.linalg.norm(row))
        along = float(np.hypot(*(error * row / length)))
        spacings.append(Value(1 / length, "angstrom", along / length**2).to_json())
    offsets = np.array([c.offset for c in columns if c.offset is not None]).reshape(-1, 2)
    rms = float(np.sqrt((offsets**2).sum(axis=1).mean())) if len(offsets) else None
    return {
        "domain": domain.name,
        "reflections": None if domain.hkl is None else [list(h) for h in domain.hkl],
        "spacings": spacings,
        "columns": len(columns),
        "rms_offset": {
            "value": rms, "error": None, "unit": "angstrom",
            "error_reason": "scatter of the columns about a uniform lattice",
        },
    }  # fmt: skip
