"""Powder pattern of a particle or an ensemble as a diffractometer would record it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.probes.xrd.amorphous import hump, hump_of
from heterodot.probes.xrd.debye import (
    TOLERANCE,
    PairSums,
    histogram_error,
    intensity,
    pair_sums,
    resample,
    uniform_grid,
)
from heterodot.probes.xrd.lattice import lattice_sums
from heterodot.probes.xrd.profile import blur, chebyshev
from heterodot.probes.xrd.scattering import dispersion
from heterodot.probes.xrd.setup import XrdSetup, momentum
from heterodot.progress import Progress, silent

if TYPE_CHECKING:
    from heterodot.measurement import Measurement

Floats = NDArray[np.float64]


def simulate(
    particle: Any,
    setup: XrdSetup | None = None,
    *,
    weights: Sequence[float] | None = None,
    progress: Progress = silent,
) -> Measurement:
    """Return the powder pattern of a particle, or of an ensemble, by the Debye equation.

    The spherical average of the Debye equation holds the Lorentz factor already, so only the
    polarization factor is multiplied in. Absorption, inelastic scattering and texture are left
    out. With the default engine the error is below 1e-4 of the maximum; an estimate of it is in
    the metadata, and a pattern that misses the mark is made again exactly.

    Parameters
    ----------
    particle : Particle, ase.Atoms, or a sequence of them
        Anything with ``symbols`` and ``positions`` (Å). No periodicity is applied.
    setup : XrdSetup, optional
        Cu K-alpha, 10 to 60 degrees, 2500 points, B = 1 Å² by default.
    weights : sequence of float, optional
        How many of each particle; one of each by default.
    progress : Progress

    Returns
    -------
    Measurement
        ``kind="xrd"``: intensity over ``two_theta`` (degrees) in squared electrons per particle
        (mean over the ensemble), with the set-up, the engine and the error in ``metadata``.

    Raises
    ------
    InputError
        No atoms, two atoms nearer than 0.4 Å, an element without scattering factor.

    References
    ----------
    P. Debye, Ann. Phys. 46, 809 (1915).

    Examples
    --------
    >>> from ase.build import bulk
    >>> dot = bulk("PbS", "rocksalt", a=5.936, cubic=True) * (8, 8, 8)
    >>> pattern = simulate(dot, XrdSetup("CuKa1", range=(20, 40), points=401))
    >>> pattern.data.sizes["two_theta"], pattern.metadata["error_of_maximum"] < 1e-4
    (401, True)
    """
    import xarray as xr

    from heterodot.measurement import Measurement

    setup = setup or XrdSetup()
    bodies, shares = _ensemble(particle, weights)
    two_theta = setup.two_theta
    total = np.zeros(len(two_theta))
    errors: list[float] = []
    engines: list[str] = []
    for k, (body, share) in enumerate(zip(bodies, shares, strict=True)):

        def report(doing: str, fraction: float, k: int = k) -> None:
            progress(doing, (k + fraction) / len(bodies))

        one, engine, error = _one(body, setup, report)
        total += share * one
        errors.append(error)
        engines.append(engine)
    top = float(total.max())
    total = total + top * _added(two_theta, setup)
    data = xr.DataArray(
        total,
        dims="two_theta",
        name="intensity",
        coords={
            "two_theta": (
                "two_theta",
                two_theta,
                {"units": "deg", "long_name": "scattering angle 2theta"},
            ),
            "q": (
                "two_theta",
                momentum(two_theta, setup.mean_wavelength),
                {"units": "1/angstrom", "long_name": "momentum transfer at the mean wavelength"},
            ),
        },
        attrs={"units": "", "long_name": "scattered intensity / squared electrons per particle"},
    )
    metadata = {
        "setup": setup.to_json(),
        "wavelength": setup.mean_wavelength,
        "engine": sorted(set(engines)),
        "error_of_maximum": max(errors),
        "atoms": [len(_symbols(body)) for body in bodies],
        "weights": list(shares),
    }
    return Measurement(data, "xrd", "simulated", "", metadata)


def _added(two_theta: Floats, setup: XrdSetup) -> Floats:
    """Return background and silica hump as fractions of the maximum."""
    added = np.zeros(len(two_theta))
    if setup.background:
        added += np.asarray(setup.background) @ chebyshev(two_theta, len(setup.background))
    if setup.silica:
        known = hump_of("silica")
        added += setup.silica * hump(two_theta, setup, known.position, known.width)
    return added


def _symbols(body: Any) -> list[str]:
    return [str(s) for s in body.symbols]


def _ensemble(particle: Any, weights: Sequence[float] | None) -> tuple[list[Any], list[float]]:
    single = hasattr(particle, "symbols") and hasattr(particle, "positions")
    bodies = [particle] if single else list(particle)
    if not bodies:
        raise InputError("the ensemble is empty", place="particle", remedy="give a particle")
    for body in bodies:
        if not (hasattr(body, "symbols") and hasattr(body, "positions")):
            raise InputError(
                f"a {type(body).__name__} has no symbols and positions",
                place="particle",
                remedy="give a Particle or ASE Atoms",
            )
    shares = [1.0] * len(bodies) if weights is None else [float(w) for w in weights]
    if len(shares) != len(bodies) or min(shares) < 0 or sum(shares) <= 0:
        raise InputError("weights must be one non-negative number per particle", place="weights")
    return bodies, [w / sum(shares) for w in shares]


def _one(body: Any, setup: XrdSetup, progress: Progress) -> tuple[Floats, str, float]:
    """Return the pattern of one body at the points of the set-up, its engine and its error."""
    margin = 12.0 * float(np.sqrt(setup.width_squared(setup.two_theta).max()))
    margin += abs(setup.displacement)
    low = max(setup.range[0] - margin, 0.05)
    high = min(setup.range[1] + margin, 179.9)
    ends = np.array([low, high])
    q_low = min(float(momentum(ends, line.wavelength)[0]) for line in setup.lines)
    q_high = max(float(momentum(ends, line.wavelength)[1]) for line in setup.lines)
    sums, engine = _sums(body, setup, q_high, progress)
    curves, error = _curves(sums, setup, q_low, q_high)
    if engine != "exact" and error > TOLERANCE:
        sums, engine = pair_sums(_symbols(body), body.positions, q_high, exact=True), "exact"
        curves, error = _curves(sums, setup, q_low, q_high)
    start, step, _ = uniform_grid(q_low, q_high, sums.longest, sums.exact)

    def sharp(two_theta: Floats) -> Floats:
        inside = np.clip(setup.true_angle(two_theta), low, high)
        value = np.zeros(len(inside))
        for line, curve in zip(setup.lines, curves, strict=True):
            value += line.weight * resample(curve, start, step, momentum(inside, line.wavelength))
        return value * setup.polarization_factor(inside) * setup.absorption_factor(inside)

    two_theta = setup.two_theta
    if not setup.width_squared(two_theta).any():
        return sharp(two_theta), engine, error
    width = np.sqrt(setup.width_squared(two_theta))
    return blur(two_theta, sharp, width, setup.instrument_eta), engine, error


def _sums(body: Any, setup: XrdSetup, q_high: float, progress: Progress) -> tuple[PairSums, str]:
    symbols = _symbols(body)
    positions = np.asarray(body.positions, dtype=float)
    if setup.engine == "exact":
        return pair_sums(symbols, positions, q_high, exact=True, progress=progress), "exact"
    if setup.engine == "lattice" or (setup.engine == "auto" and len(symbols) > 2000):
        found = lattice_sums(body, q_high)
        if found is not None:
            return found, "lattice"
        if setup.engine == "lattice":
            raise InputError(
                "too many atoms are not on the lattices of their domains",
                place="engine",
                remedy="use the engine 'auto' for relaxed or displaced particles",
            )
    return pair_sums(symbols, positions, q_high, progress=progress), "histogram"


def _curves(
    sums: PairSums, setup: XrdSetup, q_low: float, q_high: float
) -> tuple[list[Floats], float]:
    """Return I(q) on a uniform grid for each spectral line, and the error of the pair sums."""
    start, step, n = uniform_grid(q_low, q_high, sums.longest, sums.exact)
    b = [setup.b_of(e) for e in sums.elements]
    partial = sums.sums(start, step, n)
    curves = []
    for line in setup.lines:
        extra = list(dispersion(sums.elements, line.wavelength)) if setup.dispersion else None
        curves.append(intensity(sums, start, step, n, b, extra, partial))
    # moments are cut at the eighth power of a phase below 0.2; the spline costs more than that
    error = 1e-7 if sums.exact else histogram_error(sums, start, step, n, b)
    return curves, error


def uniform_intensity(
    bodies: Sequence[Any],
    weights: Sequence[float],
    setup: XrdSetup,
    margin: float,
    mass_of: Any,
) -> tuple[float, float, list[Floats]]:
    """Return q start, step and I(q) per unit of mass of an ensemble, one curve a spectral line.

    Parameters
    ----------
    bodies, weights : sequences
        Particles and their numbers.
    setup : XrdSetup
    margin : float
        By what fraction q must reach beyond the range of the set-up on both sides.
    mass_of : callable
        Symbols of a body to its mass.
    """
    low = min(float(momentum(np.array([setup.range[0]]), x.wavelength)[0]) for x in setup.lines)
    high = max(float(momentum(np.array([setup.range[1]]), x.wavelength)[0]) for x in setup.lines)
    low, high = low * (1 - margin) * 0.97, high * (1 + margin) * 1.03
    total_mass = sum(w * mass_of(_symbols(body)) for body, w in zip(bodies, weights, strict=True))
    found = [_sums(body, setup, high, silent)[0] for body in bodies]
    longest = max(sums.longest for sums in found)
    start, step, n = uniform_grid(low, high, longest, any(sums.exact for sums in found))
    curves = [np.zeros(n) for _ in setup.lines]
    for sums, weight in zip(found, weights, strict=True):
        partial = sums.sums(start, step, n)
        b = [setup.b_of(e) for e in sums.elements]
        for k, line in enumerate(setup.lines):
            extra = list(dispersion(sums.elements, line.wavelength)) if setup.dispersion else None
            curves[k] += weight * intensity(sums, start, step, n, b, extra, partial) / total_mass
    return start, step, curves
