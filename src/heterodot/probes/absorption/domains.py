"""The absorption of a heterostructure taken apart into its domains, and their sizes.

Each domain is a first exciton (Gaussian) and a continuum that opens above it (a step of the same
kind, rising as a power of the energy). Amplitudes are not negative and are solved for exactly
at each trial of the positions and widths (variable projection).

References
----------
G. H. Golub and V. Pereyra, Inverse Problems 19, R1 (2003) for variable projection.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from heterodot.catalog.sizing import sizing_curve
from heterodot.errors import HeterodotError, InputError, NotFoundError
from heterodot.fitting import Fit, Parameter, least_squares
from heterodot.probes.absorption.exciton import derivatives, prominent
from heterodot.probes.spectrum import Spectrum, energy_of
from heterodot.probes.uncertainty import widened
from heterodot.units import Value

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DomainAbsorption:
    """What one domain absorbs.

    Attributes
    ----------
    phase : str
    exciton, width : Value
        First exciton and its full width at half maximum, eV.
    size : Value
        By the sizing curve, nm; NaN with a reason where there is none or it does not reach.
    size_name : str
        ``"diameter"`` or ``"edge"``.
    curve : str
        Source of the sizing curve.
    absorbance : (n,) array
        Of this domain over the fitted energies.
    """

    phase: str
    exciton: Value
    width: Value
    size: Value
    size_name: str
    curve: str
    absorbance: Array


@dataclass(frozen=True, eq=False)
class Decomposition:
    """Absorption of a heterostructure by domain.

    Attributes
    ----------
    domains : tuple of DomainAbsorption
        From the lowest exciton up.
    fit : Fit
    energy, data, model, background : (n,) arrays
    warnings : tuple of str
    """

    domains: tuple[DomainAbsorption, ...]
    fit: Fit
    energy: Array
    data: Array
    model: Array
    background: Array
    warnings: tuple[str, ...] = ()

    def absorbance_at(self, phase: str, wavelength: float) -> float:
        """Return the absorbance of a domain at a wavelength (nm)."""
        domain = next((d for d in self.domains if d.phase == phase), None)
        if domain is None:
            raise InputError(
                f"no domain '{phase}'", remedy=f"it has {', '.join(d.phase for d in self.domains)}"
            )
        energy = float(energy_of(wavelength))
        if not self.energy[0] <= energy <= self.energy[-1]:
            raise InputError(
                f"{wavelength:g} nm lies outside the fitted range", remedy="fit a wider range"
            )
        return float(np.interp(energy, self.energy, domain.absorbance))


def decompose(
    spectrum: Spectrum,
    phases: Sequence[str],
    *,
    near: Mapping[str, float] | None = None,
    between: tuple[float, float] | None = None,
    scattering: bool = True,
) -> Decomposition:
    """Take a spectrum apart into domains and give each a size.

    Parameters
    ----------
    spectrum : Spectrum
        Absorbance of the heterostructure.
    phases : sequence of str
        Two or so of the catalog's phases, e.g. ``["CsPbBr3", "PbS"]``.
    near : mapping of phase to eV, optional
        Where to look for a first exciton; default the sizing curve's range and the curvature.
    between : (low, high), optional
        Fitted range, eV.
    scattering : bool
        Allow a background E^4.

    Raises
    ------
    NotFoundError
        No place for an exciton of one of the phases.
    InputError
        Too few points.

    Notes
    -----
    A shoulder that no curvature shows is placed by the fit alone, and its error says how badly.
    Above its first exciton a domain is described by a power law: sizes are safe, the share of each
    domain far above its exciton is not, unless it is measured on the bare domain (see `unmix`).
    """
    part = spectrum if between is None else spectrum.between(*between)
    if len(part.energy) < 12 * len(phases):
        raise InputError(
            f"{len(part.energy)} points for {len(phases)} domains",
            place="decomposition",
            remedy="give a finer or wider spectrum",
        )
    start = _places(part, list(phases), dict(near or {}))
    order = sorted(phases, key=lambda p: start[p])
    weight = np.ones_like(part.energy) if part.sigma is None else 1.0 / part.sigma

    def projected(p: Mapping[str, float]) -> tuple[Array, Array]:
        from scipy.optimize import nnls

        shapes = _shapes(part.energy, p, order, scattering)
        scale = np.maximum(np.linalg.norm(shapes * weight[:, None], axis=0), 1e-300)
        amounts = nnls(shapes * weight[:, None] / scale, part.values * weight)[0] / scale
        return shapes, amounts

    def model(p: Mapping[str, float]) -> Array:
        shapes, amounts = projected(p)
        return np.asarray(shapes @ amounts)

    name = f"domains {' + '.join(order)}"
    fits = [
        least_squares(
            model, _start(order, start, near, *trial), part.values, sigma=part.sigma, name=name
        )
        for trial in ((2.0, 2.0), (1.0, 4.0), (4.0, 1.0))
    ]
    fit = widened(_over_valleys(fits))
    values = {n: q.value for n, q in fit.parameters.items()}
    shapes, amounts = projected(values)
    warnings = list(fit.warnings)
    domains = []
    for k, phase in enumerate(order):
        absorbance = shapes[:, 2 * k : 2 * k + 2] @ amounts[2 * k : 2 * k + 2]
        if amounts[2 * k] == 0:
            warnings.append(f"no exciton peak of {phase} is needed; its size means nothing")
        domains.append(_domain(fit, phase, absorbance, warnings))
    background = shapes[:, 2 * len(order) :] @ amounts[2 * len(order) :]
    return Decomposition(
        tuple(domains),
        replace(fit, warnings=tuple(warnings)),
        part.energy,
        part.values,
        np.asarray(shapes @ amounts),
        np.asarray(background),
        tuple(warnings),
    )


def _over_valleys(fits: Sequence[Fit]) -> Fit:
    """Return the best fit with errors that hold the other valleys as likely as they are.

    Powers and widths hide behind each other, so that the likelihood may have more than one
    maximum; a parameter's variance is that within and between them.
    """
    usable = [f for f in fits if f.converged and f.covariance is not None]
    if not usable:
        return min(fits, key=lambda f: f.cost)
    best = min(usable, key=lambda f: f.cost)
    noise = best.cost / max(best.dof, 1) if best.statistic == "squares" else 1.0
    weights = [math.exp(-0.5 * (f.cost - best.cost) / noise) for f in usable]
    total = sum(weights)
    parameters = dict(best.parameters)
    wider = np.ones(len(best.free))
    for k, name in enumerate(best.free):
        own = best[name].error
        if own is None or own == 0:
            continue
        spread = [
            (f[name].error or 0.0) ** 2 + (f[name].value - best[name].value) ** 2 for f in usable
        ]
        variance = sum(w * v for w, v in zip(weights, spread, strict=True)) / total
        wider[k] = max(math.sqrt(variance) / own, 1.0)
        parameters[name] = replace(best[name], error=own * float(wider[k]))
    warnings = best.warnings
    if wider.max() > 1.5:
        warnings = (*warnings, "two solutions fit about as well; the errors hold both")
    return replace(
        best,
        parameters=parameters,
        covariance=np.asarray(best.covariance) * np.outer(wider, wider),
        warnings=warnings,
    )


def _start(
    order: Sequence[str],
    places: Mapping[str, float],
    near: Mapping[str, float] | None,
    *powers: float,
) -> list[Parameter]:
    found: list[Parameter] = []
    for k, phase in enumerate(order):
        centre = places[phase]
        reach = 0.15 if near is not None and phase in near else 0.12
        found += [
            Parameter(f"{phase}.exciton", centre, "eV", low=centre - reach, high=centre + reach),
            Parameter(f"{phase}.width", 0.12, "eV", low=0.02, high=0.5),
            Parameter(f"{phase}.continuum", 0.15, "eV", low=0.02, high=0.8),
            Parameter(f"{phase}.power", powers[k % len(powers)], "", low=0.0, high=6.0),
        ]
    return found


def _shapes(energy: Array, p: Mapping[str, float], order: Sequence[str], scattering: bool) -> Array:
    from scipy.special import erfc

    columns = []
    for phase in order:
        centre, width = p[f"{phase}.exciton"], p[f"{phase}.width"]
        columns.append(np.exp(-4 * math.log(2) * ((energy - centre) / width) ** 2))
        opening = centre + p[f"{phase}.continuum"]
        step = 0.5 * erfc((opening - energy) / (0.85 * width))
        columns.append(step * (energy / centre) ** p[f"{phase}.power"])
    columns.append(np.ones_like(energy))
    if scattering:
        columns.append((energy / energy[-1]) ** 4)
    return np.column_stack(columns)


def _places(spectrum: Spectrum, phases: list[str], near: dict[str, float]) -> dict[str, float]:
    """Return a start for each phase's exciton: the strongest bend within its sizing curve."""
    d = derivatives(spectrum)
    edges = max(2, round(d.window / (d.energy[1] - d.energy[0])) // 2)
    inner = np.arange(edges, len(d.energy) - edges)
    minima = [
        int(k)
        for k in inner
        if d.second[k] <= min(d.second[k - 1], d.second[k + 1])
        and d.second[k] < -3 * d.sigma_second
        and prominent(d, int(k), 0.003)
    ]
    found: dict[str, float] = {}
    ranges = {}
    for phase in phases:
        if phase in near:
            found[phase] = near[phase]
            continue
        curve = sizing_curve(phase)
        ranges[phase] = (curve.energy(curve.high) - 0.06, curve.energy(curve.low) + 0.05)
    # the narrowest range chooses first
    for phase, (low, high) in sorted(ranges.items(), key=lambda item: item[1][1] - item[1][0]):
        free = [
            k
            for k in minima
            if low <= d.energy[k] <= high
            and all(abs(d.energy[k] - e) > 0.06 for e in found.values())
        ]
        if not free:
            raise NotFoundError(
                f"no exciton of {phase} bends the spectrum between {low:.2f} and {high:.2f} eV",
                place="decomposition",
                remedy=f"say where it is (near {phase}=...)",
            )
        found[phase] = float(d.energy[min(free, key=lambda k: d.second[k])])
    return found


def _domain(fit: Fit, phase: str, absorbance: Array, warnings: list[str]) -> DomainAbsorption:
    exciton = _value(fit, f"{phase}.exciton")
    try:
        curve = sizing_curve(phase)
        size = curve.size(exciton.value, exciton.error)
        if not curve.covers(size.value):
            warnings.append(
                f"{phase}: {size} lies outside the sizes of the curve ({curve.low:g} to "
                f"{curve.high:g} nm)"
            )
        name, source = curve.size_name, str(curve.source)
        if curve.scatter is None and curve.energy_error is None:
            warnings.append(
                f"{phase}: the sizing curve states no scatter; the error of the size is that of "
                "the peak alone"
            )
    except HeterodotError as error:
        size, name, source = Value(math.nan, "nm", None, str(error)), "size", ""
        warnings.append(f"{phase}: {error}")
    return DomainAbsorption(
        phase, exciton, _value(fit, f"{phase}.width"), size, name, source, absorbance
    )


def _value(fit: Fit, name: str) -> Value:
    p = fit[name]
    return Value(p.value, p.unit, p.error, None if p.error is not None else p.note or "not had")
