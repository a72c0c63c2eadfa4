"""What a grazing-incidence map says of a film: reflections, their orientation, layers and phases."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import HeterodotError, InputError
from heterodot.probes.giwaxs.layers import Layers, allowed, layers, phases_by_repeat
from heterodot.probes.giwaxs.orientation import Orientation, orientation
from heterodot.probes.giwaxs.rings import (
    Polar,
    Ring,
    find_rings,
    line_shape,
    polar,
    powder_profile,
)
from heterodot.progress import Progress, silent
from heterodot.units import Value

if TYPE_CHECKING:
    from heterodot.crystal import Crystal
    from heterodot.fitting import Fit
    from heterodot.measurement import Measurement
    from heterodot.probes.giwaxs.reduction import Reduced

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reflection:
    """One reflection with what its angles say.

    Attributes
    ----------
    ring : Ring
    orientation : Orientation or None
        None where too few angles were measured.
    size : Value
        Scherrer size along the normal of the planes, Å, K = 0.9.
    phase, hkl
        Which phase and planes it belongs to, where that was found.
    """

    ring: Ring
    orientation: Orientation | None
    size: Value
    phase: str = ""
    hkl: tuple[int, int, int] | None = None

    def record(self) -> dict[str, Any]:
        """Return plain data."""
        o = self.orientation
        few = "too few angles were measured"
        none = {"value": None, "error": None, "unit": "", "error_reason": few}
        ring = {**none, "error_reason": "a ring has neither"} if o else none
        return {
            "q": self.ring.q, "spacing": self.ring.spacing, "width": self.ring.width,
            "size": self.size, "significance": self.ring.significance,
            "phase": self.phase or None, "hkl": list(self.hkl) if self.hkl else None,
            "kind": o.kind if o else None,
            "angle": o.angle if o and o.angle else ring,
            "spread": o.width if o and o.width else ring,
            "oriented": o.oriented if o else none, "hermans": o.hermans if o else none,
            "hermans_measured": o.hermans_measured if o else none,
            "coverage": o.coverage if o else None,
            "misfit": o.misfit if o else None,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class FilmFit:
    """What was found on a map.

    Attributes
    ----------
    reflections : tuple of Reflection
    layers : Layers or None
        Series of lines along the normal.
    layer_phases : list of dict
        Catalog cells with such planes, nearest first.
    phases : Fit or None
        Whole-pattern fit of the powder equivalent (mean over the sphere).
    candidates : list of dict
        Phases tried where none were named.
    map : Polar
    q, powder, powder_error : (n,) arrays
        The powder equivalent, 1/Å.
    warnings : tuple of str
    """

    reflections: tuple[Reflection, ...]
    layers: Layers | None
    layer_phases: list[dict[str, Any]]
    phases: Fit | None
    candidates: list[dict[str, Any]]
    map: Polar
    q: Floats
    powder: Floats
    powder_error: Floats
    warnings: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        rows = [] if self.phases is None else [
            {"name": name, **row} for name, row in self.phases.extra["phases"].items()
        ]  # fmt: skip
        return {
            "reflections": [r.record() for r in self.reflections],
            "layers": None if self.layers is None else self.layers.to_json(),
            "layer_phases": self.layer_phases,
            "phases": rows,
            "candidates": self.candidates,
            "warnings": list(self.warnings),
        }


def fit(
    measurement: Measurement | Reduced,
    *,
    phases: Sequence[Crystal] | Mapping[str, Crystal] | None = None,
    candidates: Sequence[Crystal] | None = None,
    cells: Mapping[str, Sequence[float]] | None = None,
    incidence: float | None = None,
    critical: float | None = None,
    fit_critical: bool = False,
    resolution: float = 0.0,
    least: float = 8.0,
    progress: Progress = silent,
    **options: Any,
) -> FilmFit:
    """Return reflections with orientation, the layer spacing and the phases of a film.

    Parameters
    ----------
    measurement : Measurement or Reduced
        A map over chi and q (kind ``"giwaxs-polar"``), or what `reduce` returned.
    phases : crystals, optional
        Phases to be fitted to the powder equivalent.
    candidates : crystals, optional
        Where no phases are named: those to choose among.
    cells : mapping of name to (a, b, c, alpha, beta, gamma), optional
        Cells to be compared with the layer spacing, also of phases without sites.
    incidence : float, optional
        Degrees; taken from the reduction otherwise.
    critical : float, optional
        Critical angle, degrees, to correct the layer spacing for refraction.
    fit_critical : bool
        Fit the critical angle to the lines of the series.
    resolution : float
        Instrument's full width at half maximum, 1/Å.
    least : float
        Smallest height of a peak over its noise.
    progress : Progress
    **options
        Passed to `heterodot.probes.xrd.fit`.

    Raises
    ------
    InputError
        Not such a map, or nothing on it.

    Notes
    -----
    The mean over the sphere, weighted with sin(chi), is the pattern of the same crystallites as a
    powder: fractions from it do not suffer from texture, as long as little lies in the wedge about
    the normal that a flat detector cannot see; what is missing there is filled up with each
    reflection's orientation model.
    """
    source: Measurement = measurement.polar if hasattr(measurement, "polar") else measurement
    data = polar(source)
    warnings = list(data.notes)
    progress("finding reflections", 0.1)
    rings = find_rings(data, least=least)
    progress("orientation", 0.3)
    turned = [orientation(data.chi, r.amount, r.error) for r in rings]
    sizes = [_size(r, resolution) for r in rings]
    if resolution <= 0:
        warnings.append("no instrument width was given: sizes are lower limits")
    angle = incidence if incidence is not None else source.metadata.get("incidence")
    series = None
    if data.wavelength is not None:
        series = _layers(rings, turned, data.wavelength, angle, critical, fit_critical)
    known = dict(cells or {})
    for crystal in [*_named(phases).values(), *(candidates or [])]:
        known.setdefault(crystal.name, crystal.cellpar)
    layer_phases = [] if series is None else phases_by_repeat(series.spacing, known)
    q, powder, error = _powder(data, rings, turned)
    found = [Reflection(r, o, s) for r, o, s in zip(rings, turned, sizes, strict=True)]
    fitted: Fit | None = None
    tried: list[dict[str, Any]] = []
    if phases or candidates:
        if data.wavelength is None:
            raise InputError("the map states no wavelength", place="wavelength")
        progress("phases", 0.5)
        sites = {c.name for c in [*_named(phases).values(), *(candidates or [])]}
        alien = series is not None and not any(row["phase"] in sites for row in layer_phases)
        hidden = [r for r in rings if alien and series and _in_series(r, series)]
        try:
            fitted, tried = _phases(
                q, powder, error, hidden, data.wavelength, phases, candidates, options, progress
            )
        except HeterodotError as refused:
            warnings.append(f"no phases were fitted: {refused}")
        if fitted is not None:
            warnings += [f"phases: {w}" for w in fitted.warnings]
            crystals = _named(phases) or {c.name: c for c in candidates or []}
            found = _assigned(found, fitted, crystals, q[-1])
    found = [_in_layers(r, series, layer_phases) for r in found]
    warnings += _remarks(found, series, angle, data.wavelength or 1.0)
    return FilmFit(
        tuple(found), series, layer_phases, fitted, tried, data, q, powder, error, tuple(warnings)
    )


def _named(phases: Sequence[Crystal] | Mapping[str, Crystal] | None) -> dict[str, Crystal]:
    if phases is None:
        return {}
    return dict(phases) if isinstance(phases, Mapping) else {c.name: c for c in phases}


def _size(ring: Ring, resolution: float) -> Value:
    """Return the Scherrer size; instrument and size widths are taken off as squares."""
    width = ring.width.value
    left = width**2 - resolution**2
    if left <= (0.2 * width) ** 2:
        return Value(
            0.9 * 2 * math.pi / (0.2 * width),
            "angstrom",
            None,
            "as wide as the instrument: at least",
        )
    own = math.sqrt(left)
    size = 0.9 * 2 * math.pi / own
    error = size * width * (ring.width.error or 0.0) / left
    return Value(size, "angstrom", error)


def _layers(
    rings: Sequence[Ring],
    turned: Sequence[Orientation | None],
    wavelength: float,
    incidence: float | None,
    critical: float | None,
    fit_critical: bool,
) -> Layers | None:
    """Return the longest series of lines that stand on the normal."""
    upright = [
        r
        for r, o in zip(rings, turned, strict=True)
        if o is not None and o.angle is not None and o.angle.value < 15
        and o.hermans.value > 0.1
    ]  # fmt: skip
    if len(upright) < 2:
        return None
    q = np.array([r.q.value for r in upright])
    sigma = np.array([r.q.error or 1e-4 for r in upright])
    best: tuple[int, float, NDArray[np.int64]] | None = None
    for base in range(len(q)):
        for order in (1, 2, 3):
            unit = q[base] / order
            n = np.round(q / unit)
            fits = (n >= 1) & (np.abs(q / unit / np.maximum(n, 1) - 1) < allowed(q, sigma, incidence, wavelength))  # fmt: skip
            # an order of two or three is only believed where odd multiples are there as well
            chosen = np.flatnonzero(fits)
            if len(chosen) < 2 or (order > 1 and not (n[chosen] % order != 0).any()):
                continue
            # more lines first, then the longer unit
            if best is None or (len(chosen), unit) > best[:2]:
                best = (len(chosen), float(unit), chosen)
    if best is None:
        return None
    chosen = best[2]
    orders = [int(v) for v in np.round(q[chosen] / best[1])]
    return layers(
        q[chosen].tolist(), sigma[chosen].tolist(), wavelength=wavelength, incidence=incidence,
        critical=critical, fit_critical=fit_critical, orders=orders,
    )  # fmt: skip


def _in_series(ring: Ring, series: Layers) -> bool:
    return any(abs(ring.q.value - q) < 1e-9 for q in series.q)


def _in_layers(
    reflection: Reflection, series: Layers | None, known: Sequence[Mapping[str, Any]]
) -> Reflection:
    """Return a reflection of the series with its order written as (0 0 l) of the nearest phase."""
    import dataclasses

    if series is None or reflection.phase or not _in_series(reflection.ring, series):
        return reflection
    order = series.orders[[abs(reflection.ring.q.value - q) < 1e-9 for q in series.q].index(True)]
    if not known:
        return dataclasses.replace(reflection, phase="layers", hkl=(0, 0, order))
    h, k, l = (int(x) * order for x in known[0]["plane"])  # noqa: E741
    return dataclasses.replace(reflection, phase=str(known[0]["phase"]), hkl=(h, k, l))


def _powder(
    data: Polar, rings: Sequence[Ring], turned: Sequence[Orientation | None]
) -> tuple[Floats, Floats, Floats]:
    """Return the mean over the sphere, filled up where a reflection was not seen."""
    values, error, _ = powder_profile(data)
    weight = np.sin(np.radians(data.chi))
    for ring, o in zip(rings, turned, strict=True):
        if o is None or o.kind == "ring":
            continue
        seen = np.isfinite(ring.amount)
        whole = float((o.model * weight).sum() / weight.sum())
        part = float((o.model * weight)[seen].sum() / weight[seen].sum())
        if _mostly_hidden(ring, o):
            continue  # most would be extrapolated
        shape = line_shape(data.q, ring.q.value, ring.width.value, ring.share)
        values = values + (whole - part) * shape
        # what was not seen is believed to a third
        error = np.hypot(error, np.abs(whole - part) * shape / 3)
    keep = np.isfinite(values) & np.isfinite(error)
    return data.q[keep], values[keep], error[keep]


def _phases(
    q: Floats,
    powder: Floats,
    error: Floats,
    hidden: Sequence[Ring],
    wavelength: float,
    phases: Sequence[Crystal] | Mapping[str, Crystal] | None,
    candidates: Sequence[Crystal] | None,
    options: Mapping[str, Any],
    progress: Progress,
) -> tuple[Fit, list[dict[str, Any]]]:
    """Return the whole-pattern fit of the powder equivalent, and the candidates."""
    import xarray as xr

    from heterodot.measurement import Measurement
    from heterodot.probes.xrd import XrdSetup, suggest
    from heterodot.probes.xrd import fit as fit_pattern

    sine = q * wavelength / (4 * math.pi)
    keep = (sine < 0.98) & (powder > 0)
    for ring in hidden:
        keep &= np.abs(q - ring.q.value) > 3 * ring.width.value
    two_theta = 2 * np.degrees(np.arcsin(sine[keep]))
    scale = 1e4 / float(powder[keep].max())
    data = xr.DataArray(
        powder[keep] * scale,
        dims="two_theta",
        coords={
            "two_theta": ("two_theta", two_theta, {"units": "deg"}),
            "error": ("two_theta", error[keep] * scale, {"units": ""}),
        },
        attrs={"units": ""},
    )
    told = {"wavelength": wavelength}
    pattern = Measurement(data, "xrd", "powder equivalent", "", told)
    setup = XrdSetup(wavelength, polarization="synchrotron")
    chosen = {"silica": False, "refine_zero": False, **options}
    if phases:
        return fit_pattern(pattern, phases, setup, progress=progress, **chosen), []
    found = suggest(pattern, list(candidates or []), setup, progress=progress, **chosen)
    return found.fit, [vars(c) for c in found.candidates]


def _assigned(
    reflections: Sequence[Reflection], fitted: Fit, crystals: Mapping[str, Crystal], q_max: float
) -> list[Reflection]:
    """Return reflections with phase and planes, where a fitted phase has a line there."""
    import dataclasses

    from heterodot.probes.xrd.sticks import planes, structure_factors

    lines: list[tuple[float, float, str, tuple[int, int, int]]] = []
    for name, row in fitted.extra["phases"].items():
        if not row.get("present") or row.get("amorphous") or name not in crystals:
            continue
        crystal = crystals[name]
        stretch = (1 + row["cell_volume_change"]) ** (1 / 3)
        hkl, many = planes(crystal, 2 * math.pi / (1.03 * q_max))
        squared = structure_factors(crystal, hkl, lambda _: 1.0, None)
        q = 2 * math.pi * np.linalg.norm(hkl @ crystal.reciprocal, axis=1) / stretch
        strength = many * squared / q**2 * row["weight_fraction"].value
        for index, at, size in zip(hkl, q, strength, strict=True):
            if size > 2e-3 * strength.max():
                lines.append(
                    (float(at), float(size), name, (int(index[0]), int(index[1]), int(index[2])))
                )
    result = []
    for r in reflections:
        q = r.ring.q.value
        window = max(0.6 * r.ring.width.value, 0.008 * q)
        near = [line for line in lines if abs(line[0] - q) < window]
        if near:
            _, _, name, hkl_ = max(near, key=lambda line: line[1])
            r = dataclasses.replace(r, phase=name, hkl=hkl_)
        result.append(r)
    return result


def _mostly_hidden(ring: Ring, o: Orientation) -> bool:
    weight = o.model * np.sin(np.radians(o.chi))
    return o.kind != "ring" and float(weight[np.isfinite(ring.amount)].sum()) < 0.5 * weight.sum()


def _remarks(
    found: Sequence[Reflection], series: Layers | None, incidence: float | None, wavelength: float
) -> list[str]:
    said = []
    for r in found:
        o = r.orientation
        where = f"q = {r.ring.q.value:.3f} 1/Å"
        if o is not None and o.misfit > 6 and o.kind != "ring":
            said.append(
                f"{where}: one powder and one fiber part do not describe the angles "
                f"(misfit {math.sqrt(o.misfit):.1f} times the noise): several orientations, or few "
                "large grains"
            )
        if o is not None and _mostly_hidden(r.ring, o):
            said.append(
                f"{where}: most of its poles lie where nothing was measured; its amount is not known"
            )
        if o is not None and o.coverage < 0.7:
            said.append(f"{where}: only {100 * o.coverage:.0f} % of the sphere was measured")
    if series is not None and len(series.orders) == 2:
        said.append("the layer spacing rests on two lines only")
    if series is not None and series.critical is None and incidence:
        k_part = math.sin(math.radians(incidence)) * series.uncorrected.value
        said.append(
            "the layer spacing is not corrected for refraction, which can shorten it by up to "
            f"{100 * k_part / wavelength:.1f} % here: give or fit the critical angle"
        )
    if series is not None and series.misfit > 9:
        said.append(
            f"the lines along the normal are no exact multiples (misfit {math.sqrt(series.misfit):.1f}"
            " times the error): refraction, or a wrong center"
        )
    return said
