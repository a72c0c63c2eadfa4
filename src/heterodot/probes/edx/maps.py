"""Element maps: simulated from a particle, parted into domains, and the domains' compositions.

Domains are found as the parts of a mixture of multinomials (each pixel's counts are draws from one
of a few compositions), by expectation and maximization (Dempster, Laird and Rubin, 1977).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, NotFoundError
from heterodot.measurement import Measurement
from heterodot.probes.edx.composition import Composition, from_counts, masses
from heterodot.probes.edx.spectrum import SpectrumFit, fit_spectrum
from heterodot.units import Value

if TYPE_CHECKING:
    from heterodot.particle import Particle
    from heterodot.probes.em.preview import EmSetup

    Array = NDArray[np.float64]

MAX_COUNTS = 2**29  # voxels of a spectrum image


def simulate_maps(
    particle: Particle,
    setup: EmSetup,
    *,
    counts_per_mass: float,
    k_factors: Mapping[str, float],
    background: float = 0.0,
    seed: int | None = None,
) -> Measurement:
    """Return element maps of a particle with Poisson noise.

    Parameters
    ----------
    particle : Particle
    setup : EmSetup
        Zone axis, pixel (Å), margin, blur (the probe's full width at half maximum, Å).
    counts_per_mass : float
        Counts for each atomic mass unit of an element with k of one.
    k_factors : mapping of element to float
    background : float
        Counts in each pixel and element that come from elsewhere.
    seed : int, optional
        Of the noise; expected counts if left out.

    Returns
    -------
    Measurement
        Kind ``"edx"``, dims ``("element", "y", "x")``, axes in nm. No absorption and no channeling.

    Examples
    --------
    >>> from heterodot.particle import build
    >>> from heterodot.probes.em.preview import EmSetup
    >>> maps = simulate_maps(build("PbS", "cube", "3 cells"), EmSetup(pixel=1.0),
    ...                      counts_per_mass=0.01, k_factors={"Pb": 1.0, "S": 0.5})
    >>> round(float(maps.data.sel(element="Pb").sum() / maps.data.sel(element="S").sum()), 2)
    3.23
    """
    import xarray as xr
    from scipy import ndimage

    from heterodot.probes.em.preview import projected

    elements = sorted(set(particle.symbols), key=lambda e: -masses([e])[0])
    missing = [e for e in elements if e not in k_factors]
    if missing:
        raise InputError(f"no k-factor for {', '.join(missing)}", place="k_factors")
    seen, keep = projected(particle, setup)
    half = np.abs(seen[:, :2]).max(axis=0) + setup.margin
    nx, ny = (int(n) for n in np.ceil(2 * half / setup.pixel))
    edges = [(np.arange(n + 1) - n / 2) * setup.pixel for n in (ny, nx)]
    symbols = np.array(particle.symbols)
    sigma = setup.blur / math.sqrt(8 * math.log(2)) / setup.pixel
    maps = np.zeros((len(elements), ny, nx))
    for k, element in enumerate(elements):
        at = seen[keep & (symbols == element)]
        columns = np.histogram2d(at[:, 1], at[:, 0], bins=edges)[0]
        yield_ = counts_per_mass * masses([element])[0] / k_factors[element]
        maps[k] = ndimage.gaussian_filter(columns * yield_, sigma) + background
    if seed is not None:
        maps = np.random.default_rng(seed).poisson(maps).astype(float)
    coords = {
        "element": ("element", elements, {"units": ""}),
        "y": ("y", (edges[0][1:] + edges[0][:-1]) / 20, {"units": "nm"}),
        "x": ("x", (edges[1][1:] + edges[1][:-1]) / 20, {"units": "nm"}),
    }
    data = xr.DataArray(
        maps, dims=("element", "y", "x"), coords=coords, name="counts", attrs={"units": "counts"}
    )
    return Measurement(data, "edx", "simulated", metadata={"k_factors": dict(k_factors)})


@dataclass(frozen=True, eq=False)
class MapDomain:
    """One domain in a map.

    Attributes
    ----------
    number : int
        Its label, from 1, by falling area.
    area : float
        nm² of all its pixels.
    pixels : int
        Those whose counts are summed: away from other domains.
    counts : mapping of element to Value
    covariance : (n, n) array
        Of the counts.
    composition : Composition or None
        None without k-factors.
    fit : SpectrumFit or None
        Of the summed spectrum, where there were spectra.
    """

    number: int
    area: float
    pixels: int
    counts: Mapping[str, Value]
    covariance: NDArray[np.float64]
    composition: Composition | None
    fit: SpectrumFit | None


@dataclass(frozen=True, eq=False)
class MapDomains:
    """The domains of a map.

    Attributes
    ----------
    labels : (ny, nx) int array
        0 for the support, else the domain's number.
    pure : (ny, nx) bool array
        Pixels whose counts were summed.
    elements : tuple of str
    maps : (n, ny, nx) array
        Counts of each element.
    pixel : float
        nm.
    domains : tuple of MapDomain
    warnings : tuple of str
    """

    labels: NDArray[np.int32]
    pure: NDArray[np.bool_]
    elements: tuple[str, ...]
    maps: NDArray[np.float64]
    pixel: float
    domains: tuple[MapDomain, ...]
    warnings: tuple[str, ...]


def element_maps(
    cube: Measurement, elements: Sequence[str], shells: Mapping[str, str] | None = None
) -> tuple[Measurement, SpectrumFit]:
    """Return maps of net counts from a spectrum image, and the fit of the summed spectrum.

    Each pixel's counts are a fixed weighted sum of its channels: the least-squares weights of the
    whole spectrum's fit. They part overlapping lines without bias; single pixels may be negative.

    Parameters
    ----------
    cube : Measurement
        Dims ``("y", "x", "energy")``.
    elements : sequence of str
    shells : mapping of element to str, optional
        The shell to be counted; the surest one if left out.

    Raises
    ------
    InputError
        Not a spectrum image, too large, or negative.
    """
    import xarray as xr

    if cube.data.dims != ("y", "x", "energy"):
        raise InputError("is no spectrum image", place=cube.source)
    if cube.data.size > MAX_COUNTS:
        raise InputError("has too many voxels", place=cube.source, remedy="bin or crop it")
    fit = fit_spectrum(summed(cube), elements)
    lines, _ = fit.chosen(shells)
    energy = np.asarray(cube.data["energy"].values, dtype=float)
    inside = (energy >= fit.energy[0] - 1e-9) & (energy <= fit.energy[-1] + 1e-9)
    values = np.asarray(cube.data.values, dtype=float)[:, :, inside]
    weights = fit.weights()
    chosen = [fit.lines.index(line) for line in lines]
    maps = np.einsum("yxe,ke->kyx", values, weights[chosen])
    coords = {
        "element": ("element", [line.element for line in lines], {"units": ""}),
        "y": cube.data["y"],
        "x": cube.data["x"],
    }
    data = xr.DataArray(
        maps, dims=("element", "y", "x"), coords=coords, name="counts", attrs={"units": "counts"}
    )
    return Measurement(data, "edx", cube.source, cube.sha256, cube.metadata, cube.notes), fit


def summed(cube: Measurement, mask: NDArray[np.bool_] | None = None) -> Measurement:
    """Return the sum spectrum of a spectrum image, or of the pixels of a mask."""
    import xarray as xr

    values = np.asarray(cube.data.values, dtype=float)
    total = values.sum((0, 1)) if mask is None else values[mask].sum(0)
    data = xr.DataArray(
        total, dims=("energy",), coords={"energy": cube.data["energy"]}, name="counts",
        attrs={"units": "counts"},
    )  # fmt: skip
    return Measurement(data, "edx", cube.source, cube.sha256, cube.metadata, cube.notes)


def find_domains(
    maps: Measurement,
    count: int = 2,
    *,
    k_factors: Mapping[str, float | Value] | None = None,
    cube: Measurement | None = None,
    shells: Mapping[str, str] | None = None,
    smoothing: float = 1.5,
    rim: int = 2,
) -> MapDomains:
    """Return the domains of element maps with their counts and compositions.

    Parameters
    ----------
    maps : Measurement
        Dims ``("element", "y", "x")``, counts.
    count : int
        How many domains.
    k_factors : mapping, optional
        For compositions.
    cube : Measurement, optional
        The spectrum image behind the maps: each domain's summed spectrum is fitted again, which
        gives the errors of overlapping lines.
    shells : mapping of element to str, optional
        The shells to be counted in those spectra.
    smoothing : float
        Standard deviation of the filter used to find domains (never for counts), pixels.
    rim : int
        Pixels next to another domain that are not summed, since the probe and a slanted
        interface mix them.

    Raises
    ------
    InputError
        Not maps, negative counts in maps that are no net counts, or a count below one.
    NotFoundError
        Too few counts, or no domain of that composition.

    Notes
    -----
    Where one domain lies over another in projection, their compositions mix: masks cannot part
    that. Maps of raw counts hold the background under the lines; subtract it, or give spectra.
    """
    counts, elements, pixel = _map_arrays(maps, cube is None)
    if count < 1 or count > 6:
        raise InputError(f"{count} domains are not looked for", place="count", remedy="give 1 to 6")
    mask = _particle(counts, smoothing)
    smooth = _filtered(counts, smoothing)
    labels = _mixture(smooth, mask, count)
    pure = _pure(labels, rim)
    warnings = []
    domains = []
    for k in range(1, count + 1):
        own = pure & (labels == k)
        if own.sum() < 4:
            warnings.append(f"domain {k} is all rim: its counts are those of the rim")
            own = labels == k
            pure |= own
        domains.append(_domain(k, own, labels, counts, elements, pixel, k_factors, cube, shells))
    empty = [d for d in domains if sum(v.value for v in d.counts.values()) <= 0]
    warnings += [f"domain {d.number} holds no counts" for d in empty]
    warnings += _same([d for d in domains if d not in empty])
    return MapDomains(labels, pure, elements, counts, pixel, tuple(domains), tuple(warnings))


def _map_arrays(maps: Measurement, raw: bool) -> tuple[Array, tuple[str, ...], float]:
    data = maps.data
    if data.dims != ("element", "y", "x"):
        raise InputError("holds no element maps", place=maps.source)
    counts = np.asarray(data.values, dtype=float)
    if not np.isfinite(counts).all():
        raise InputError("the maps have values that are not finite", place=maps.source)
    if raw and (counts < 0).any():
        raise InputError("the maps have negative counts", place=maps.source)
    if min(counts.shape[1:]) < 8:
        raise InputError("the maps are smaller than 8 by 8 pixels", place=maps.source)
    x = np.asarray(data["x"].values, dtype=float)
    return counts, tuple(str(e) for e in data["element"].values), float(np.diff(x).mean())


def _filtered(counts: Array, smoothing: float) -> Array:
    from scipy import ndimage

    return np.asarray(ndimage.gaussian_filter(counts, (0, smoothing, smoothing)))


def _particle(counts: Array, smoothing: float) -> NDArray[np.bool_]:
    """Return where the particle is, by the counts of all elements."""
    from scipy import ndimage

    from heterodot.probes.segmentation import otsu

    total = np.maximum(counts, 0).sum(0)
    if total.sum() < 200:
        raise NotFoundError("the maps have fewer than 200 counts", remedy="sum frames")
    smooth = ndimage.gaussian_filter(total, smoothing)
    # half of what lies above the threshold: the outline as the eye sees it
    rough = smooth > otsu(smooth.ravel())
    low = float(np.median(smooth[~rough])) if (~rough).any() else 0.0
    mask = smooth > low + 0.4 * (float(np.median(smooth[rough])) - low)
    parts, number = ndimage.label(mask)
    if number == 0:
        raise NotFoundError("no particle stands out of the maps")
    sizes = np.bincount(parts.ravel())[1:]
    return np.asarray(np.isin(parts, 1 + np.flatnonzero(sizes > 0.05 * sizes.max())))


def _mixture(smooth: Array, mask: NDArray[np.bool_], count: int) -> NDArray[np.int32]:
    """Return labels 1 to ``count`` by falling area: the likeliest composition of each pixel."""
    from scipy import ndimage

    data = np.maximum(smooth[:, mask].T, 0) + 1e-6
    part = data / data.sum(1, keepdims=True)
    # start: slices along the direction in which roots of fractions differ most
    roots = np.sqrt(part) - np.sqrt(part).mean(0)
    main = np.linalg.svd(roots, full_matrices=False)[2][0]
    order = np.argsort(np.argsort(roots @ main, kind="stable"), kind="stable")
    belongs = np.eye(count)[order * count // len(order)]
    for _ in range(100):
        profile = belongs.T @ data + 1e-6
        profile /= profile.sum(1, keepdims=True)
        prior = np.maximum(belongs.mean(0), 1e-6)
        score = data @ np.log(profile).T + np.log(prior)
        score -= score.max(1, keepdims=True)
        new = np.exp(score)
        new /= new.sum(1, keepdims=True)
        moved = float(np.abs(new - belongs).max())
        belongs = new
        if moved < 1e-6:
            break
    if (belongs.sum(0) < 2).any():
        raise NotFoundError(f"fewer than {count} compositions are in the maps")
    labels = np.zeros(mask.shape, dtype=np.int32)
    labels[mask] = 1 + belongs.argmax(1)
    # a pixel goes with most of its neighbors
    votes = np.stack([ndimage.uniform_filter((labels == k).astype(float), 3)
                      for k in range(1, count + 1)])  # fmt: skip
    labels[mask] = 1 + votes.argmax(0)[mask]
    rank = np.argsort(-np.bincount(labels[mask], minlength=count + 1)[1:], kind="stable")
    renamed = np.zeros(count + 1, dtype=np.int32)
    renamed[1 + rank] = np.arange(1, count + 1)
    found: NDArray[np.int32] = renamed[labels]
    return found


def _pure(labels: NDArray[np.int32], rim: int) -> NDArray[np.bool_]:
    """Return pixels of domains that lie further than ``rim`` from any other domain."""
    from scipy import ndimage

    found = labels > 0
    for k in range(1, int(labels.max()) + 1):
        other = (labels > 0) & (labels != k)
        if other.any() and rim > 0:
            near = ndimage.distance_transform_edt(~other) <= rim
            found &= ~(near & (labels == k))
    return np.asarray(found)


def _domain(
    number: int,
    own: NDArray[np.bool_],
    labels: NDArray[np.int32],
    counts: Array,
    elements: tuple[str, ...],
    pixel: float,
    k_factors: Mapping[str, float | Value] | None,
    cube: Measurement | None,
    shells: Mapping[str, str] | None,
) -> MapDomain:
    fit = None
    if cube is not None:
        fit = fit_spectrum(summed(cube, own), elements)
        lines, covariance = fit.chosen(shells)
        values = {line.element: line.counts for line in lines}
    else:
        total = counts[:, own].sum(1)
        covariance = np.diag(np.maximum(total, 1.0))
        values = {e: Value(float(t), "", math.sqrt(max(t, 1.0)))
                  for e, t in zip(elements, total, strict=True)}  # fmt: skip
    made = None
    if k_factors is not None and any(v.value > 0 for v in values.values()):
        known = [i for i, e in enumerate(values) if e in k_factors]
        made = from_counts(
            {e: v for e, v in values.items() if e in k_factors}, k_factors,
            covariance=covariance[np.ix_(known, known)],
        )  # fmt: skip
    area = float((labels == number).sum()) * pixel**2
    return MapDomain(number, area, int(own.sum()), values, covariance, made, fit)


def _same(domains: Sequence[MapDomain]) -> list[str]:
    """Return a warning for domains whose counts are in the same proportions within errors."""
    said = []
    for i, a in enumerate(domains):
        for b in domains[i + 1 :]:
            one = np.array([v.value for v in a.counts.values()])
            two = np.array([b.counts[e].value if e in b.counts else 0.0 for e in a.counts])
            share_one, share_two = one / one.sum(), two / max(two.sum(), 1e-9)
            spread = np.diag(a.covariance) / one.sum() ** 2
            other = np.array([(b.counts[e].error or 0) ** 2 if e in b.counts else 0.0
                              for e in a.counts]) / max(two.sum(), 1e-9) ** 2  # fmt: skip
            # the halves of noise differ too: an EM split of one composition reaches 10 %
            gap = np.abs(share_one - share_two)
            if (gap < np.maximum(5 * np.sqrt(spread + other), 0.05)).all():
                said.append(
                    f"domains {a.number} and {b.number} hardly differ: perhaps they are one"
                )
    return said


def domain_document(found: MapDomains) -> dict[str, Any]:
    """Return the domains as plain data."""
    return {
        "pixel": {"value": found.pixel, "error": None, "unit": "nm"},
        "domains": [
            {
                "number": d.number,
                "area": {"value": d.area, "error": None, "unit": "nm^2"},
                "pixels_summed": d.pixels,
                "counts": {e: v.to_json() for e, v in d.counts.items()},
                "atomic_percent": None
                if d.composition is None
                else {e: v.to_json() for e, v in d.composition.atomic_percent().items()},
                "spectrum": None if d.fit is None else d.fit.to_json(),
            }
            for d in found.domains
        ],
        "warnings": list(found.warnings),
    }
