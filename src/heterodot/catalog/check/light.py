"""Light and electrons: photon energy against wavelength, excitation against the gap."""

from __future__ import annotations

import math
from collections.abc import Iterator

from heterodot.catalog.check.findings import Finding, Node, Place, Stated, optional, short, stated
from heterodot.errors import HeterodotError
from heterodot.units import Value

_FOLLOWS = "follows from the record's own numbers"


def _hc() -> float:
    """Return h c in eV nm."""
    from scipy.constants import c, e, h

    return float(h * c / e * 1e9)


def photon_energy(node: Node, place: Place) -> Iterator[Finding]:
    """Compare a photon's energy with its wavelength."""
    if "energy" not in node or "wavelength" not in node:
        return
    if any(key in node for key in ("two_theta", "plane", "hkl", "electrons", "beam")):
        return
    if place.key.split(".")[-1].startswith("electron"):
        return
    energy = stated(node["energy"], "eV", place.at("energy"))
    wavelength = stated(node["wavelength"], "nm", place.at("wavelength"))
    if wavelength.value <= 0:
        return
    computed = _hc() / wavelength.value
    blur = computed * wavelength.slack / wavelength.value
    if energy.agrees(computed, 0.002, blur):
        return
    yield place.finding(
        "photon energy",
        f"{energy.value:g} eV and {wavelength.value:g} nm are not one photon:"
        f" {wavelength.value:g} nm is {short(computed)} eV",
        f"h c / lambda = {_hc():.2f} eV nm / {wavelength.value:g} nm = {short(computed)} eV",
        energy.as_value(),
        Value(computed, "eV", None, _FOLLOWS),
    )


def electron_wavelength(node: Node, place: Place) -> Iterator[Finding]:
    """Compare the wavelength of an electron beam with its (relativistic) energy."""
    beam = node.get("electron_beam", node.get("electrons"))
    if not isinstance(beam, dict) or "wavelength" not in beam:
        return
    here = place.at("electron_beam")
    energy = optional(beam, ("energy",), "keV", here)
    voltage = optional(beam, ("voltage",), "kV", here)
    kilo = energy.value if energy else voltage.value if voltage else None
    if kilo is None or kilo <= 0:
        return
    target = stated(beam["wavelength"], "angstrom", here.at("wavelength"))
    from scipy.constants import c, e, h, m_e

    kinetic = kilo * 1e3 * e
    momentum = math.sqrt(2 * m_e * kinetic * (1 + kinetic / (2 * m_e * c**2)))
    computed = float(h / momentum * 1e10)
    if target.agrees(computed, 0.002):
        return
    yield here.finding(
        "electron wavelength",
        f"{target.value:g} Å is stated for {kilo:g} keV electrons, which have {short(computed)} Å",
        "lambda = h / sqrt(2 m E (1 + E / 2 m c^2)) = " + f"{short(computed)} Å",
        target.as_value(),
        Value(computed, "angstrom", None, _FOLLOWS),
    )


def excitation(node: Node, place: Place) -> Iterator[Finding]:
    """Compare the photon energy of an excitation with the gap of what it shall excite."""
    content = node.get("excitation")
    if not isinstance(content, dict) or not (content.get("phase") or content.get("gap")):
        return
    here = place.at("excitation")
    energy, how = _energy(content, here)
    if energy is None:
        return
    gap, source = _gap(content, here)
    if gap is None or energy >= gap - 0.02:
        return
    yield here.finding(
        "excitation below the gap",
        f"{short(energy)} eV cannot excite {content.get('phase', 'it')} directly,"
        f" whose gap is {short(gap)} eV",
        f"{how}; gap {short(gap)} eV ({source}); {short(energy)} < {short(gap)}",
        Value(energy, "eV", None, "as stated in the record"),
        Value(gap, "eV", None, source),
    )


def _energy(content: Node, place: Place) -> tuple[float | None, str]:
    energy = optional(content, ("energy",), "eV", place)
    if energy is not None:
        return energy.value, f"photon of {short(energy.value)} eV"
    wavelength = optional(content, ("wavelength",), "nm", place)
    if wavelength is None or wavelength.value <= 0:
        return None, ""
    found = _hc() / wavelength.value
    return found, f"{_hc():.2f} eV nm / {wavelength.value:g} nm = {short(found)} eV"


def _gap(content: Node, place: Place) -> tuple[float | None, str]:
    own: Stated | None = optional(content, ("gap",), "eV", place)
    if own is not None:
        return own.value, "stated in the record"
    emission = content.get("emission")
    if isinstance(emission, dict):
        found, how = _energy(
            emission
            if "wavelength" in emission or "energy" in emission
            else {"wavelength": emission},
            place.at("emission"),
        )
        return found, f"its own emission, {how}"
    from heterodot.catalog.values import lookup

    try:
        entry = lookup(str(content["phase"]), "band_gap", temperature=300.0)
    except HeterodotError:
        return None, ""
    return entry.value.to("eV").value, str(entry.source)
