"""What the envelope-function model knows of a phase: edges, masses, coupling, dielectric constants.

Every number comes from the catalog or from the caller and keeps its source.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.catalog import lookup
from heterodot.catalog.phases import phase_record
from heterodot.errors import InputError, MissingValueError, NotFoundError
from heterodot.units import Value

if TYPE_CHECKING:
    from heterodot.particle import Domain

Overrides = Mapping[str, Mapping[str, "float | Value"]]

MEDIUM = "alkane"
UNITS = {
    "band_gap": "eV",
    "electron_affinity": "eV",
    "ionization_energy": "eV",
    "band_coupling": "eV",
    "electron_band_coupling": "eV",
    "hole_band_coupling": "eV",
    "deformation_potential_gap": "eV",
    "deformation_potential_conduction": "eV",
    "deformation_potential_valence": "eV",
    "exciton_binding_energy": "eV",
    "kane_energy": "eV",
    "spin_orbit_splitting": "eV",
    "longitudinal_phonon_energy": "eV",
    "hole_density": "1/cm**3",
}
MASSES = (
    "electron_mass",
    "hole_mass",
    "reduced_mass",
    *(f"{c}_mass_{d}" for c in ("electron", "hole") for d in ("longitudinal", "transverse")),
)


@dataclass(frozen=True)
class Origin:
    """A value that was used and where it comes from.

    Attributes
    ----------
    quantity : str
    value : Value
    source : str
        Citation with DOI, ``"given by the caller"``, or how it was derived.
    """

    quantity: str
    value: Value
    source: str

    def to_json(self) -> dict[str, Any]:
        """Return quantity, value and source as plain data."""
        return {"quantity": self.quantity, **self.value.to_json(), "source": self.source}


@dataclass(frozen=True, eq=False)
class Carrier:
    """One band of a material, energies counted upward into confinement.

    Attributes
    ----------
    edge : float
        Band edge, eV: ``E_c`` for electrons, ``-E_v`` for holes.
    far : float
        The other band's edge with the same sign convention: ``E_v``, or ``-E_c``.
    mass : float
        At the edge, isotropic mean, m_e.
    coupling : float
        Part of ``1/mass`` due to the band across the gap, times the gap, eV; zero if parabolic.
    longitudinal, transverse : float
        Masses along and across a valley's axis (equal where there is no anisotropy).
    axis : tuple of float or None
        Unit vector of the axis in the particle's frame where the tensor itself is to be used; None
        for the mean mass.
    """

    edge: float
    far: float
    mass: float
    coupling: float
    longitudinal: float
    transverse: float
    axis: tuple[float, float, float] | None = None

    def inverse_mass(
        self, energy: float | NDArray[np.float64], *, floor: float = 0.15
    ) -> NDArray[np.float64]:
        """Return 1/m at an energy (eV, same convention), m_e^-1.

        ``1/m(E) = 1/m_remote + coupling/(E - far)``; an energy nearer than ``floor`` eV to the
        other band is taken at that distance, where the model has lost its meaning.
        """
        gap = self.edge - self.far
        remote = 1 / self.mass - self.coupling / gap
        return np.asarray(remote + self.coupling / np.maximum(energy - self.far, floor))


@dataclass(frozen=True, eq=False)
class Material:
    """Band parameters of one domain.

    Attributes
    ----------
    name : str
        Of the domain.
    phase : str
        Catalog phase.
    conduction, valence : Value
        Band edges against vacuum, eV, strain included.
    gap : Value
        eV.
    electron, hole : Carrier
    dielectric : float
        Constant that screens electron and hole (see ``origins``).
    optical_dielectric : float
        High-frequency constant.
    valleys : (n_valleys, 3) array
        Unit vectors of the valleys' axes in the particle's frame; empty for one isotropic valley,
        the crystal's third axis for a uniaxial one.
    coupling_energy : float or None
        Kane energy E_P for oscillator strengths, eV.
    origins : tuple of Origin
    warnings : tuple of str
    """

    name: str
    phase: str
    conduction: Value
    valence: Value
    gap: Value
    electron: Carrier
    hole: Carrier
    dielectric: float
    optical_dielectric: float
    valleys: NDArray[np.float64]
    coupling_energy: float | None
    origins: tuple[Origin, ...] = ()
    warnings: tuple[str, ...] = ()

    def moved(self, shift: float) -> Material:
        """Return the same material with both edges moved up by ``shift`` eV."""
        up, down = self.electron, self.hole
        return dataclasses.replace(
            self,
            conduction=dataclasses.replace(self.conduction, value=self.conduction.value + shift),
            valence=dataclasses.replace(self.valence, value=self.valence.value + shift),
            electron=dataclasses.replace(up, edge=up.edge + shift, far=up.far + shift),
            hole=dataclasses.replace(down, edge=down.edge - shift, far=down.far - shift),
        )

    def to_json(self) -> dict[str, Any]:
        """Return edges, masses and sources as plain data."""
        return {
            "domain": self.name,
            "phase": self.phase,
            "conduction": self.conduction.to_json(),
            "valence": self.valence.to_json(),
            "gap": self.gap.to_json(),
            "electron_mass": self.electron.mass,
            "hole_mass": self.hole.mass,
            "dielectric": self.dielectric,
            "dielectric_optical": self.optical_dielectric,
            "valleys": max(1, len(self.valleys)),
            "parameters": [origin.to_json() for origin in self.origins],
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class Medium:
    """What surrounds the particle: barriers, masses in them, dielectric constant.

    Attributes
    ----------
    conduction, valence : float
        Edges against vacuum, eV.
    electron_mass, hole_mass : float
        m_e.
    dielectric : float
    name : str
    origins : tuple of Origin
    """

    conduction: float
    valence: float
    electron_mass: float
    hole_mass: float
    dielectric: float
    name: str = MEDIUM
    origins: tuple[Origin, ...] = ()


@dataclass
class _Reader:
    """Looks values of one phase up and remembers what it found."""

    phase: str
    formula: str
    given: Mapping[str, float | Value]
    origins: list[Origin] = field(default_factory=list)

    def optional(self, quantity: str, *, prefer: str = "") -> Value | None:
        unit = UNITS.get(quantity, "m_e" if quantity in MASSES else "")
        if quantity in self.given:
            number = self.given[quantity]
            value = number if isinstance(number, Value) else Value(float(number), unit)
            source = "given by the caller"
        else:
            entry = self._entry(quantity, prefer)
            if entry is None:
                return None
            value, source = entry.value, f"{entry.source} [{entry.id}]"
        if unit == "eV":
            value = value.to("eV")
        if not np.isfinite(value.value):
            raise InputError(f"{quantity} is {value.value}", place=self.phase)
        self.origins.append(Origin(quantity, value, source))
        return value

    def _entry(self, quantity: str, prefer: str) -> Any:
        for name in dict.fromkeys((self.phase, self.formula)):
            try:
                entries = lookup(name, quantity, all=True)
            except (NotFoundError, InputError):
                continue
            if prefer:
                for entry in entries:
                    if entry.source.citation == prefer:
                        return entry
            return entries[0]
        return None

    def source_of(self, quantity: str) -> str:
        entry = None if quantity in self.given else self._entry(quantity, "")
        return "" if entry is None else str(entry.source.citation)

    def require(self, quantity: str, *, prefer: str = "") -> Value:
        value = self.optional(quantity, prefer=prefer)
        if value is None:
            raise MissingValueError(
                f"the catalog has no {quantity} of {self.phase}",
                place="band parameters",
                remedy=f"add a record of phase {self.formula} and quantity {quantity} to a catalog "
                f"folder of your own, or give it as materials={{'{self.formula}': "
                f"{{'{quantity}': ...}}}} (on the command line --set {self.formula}.{quantity}=...)",
            )
        return value


def material(domain: Domain, overrides: Overrides | None = None) -> Material:
    """Return the band parameters of a domain.

    Parameters
    ----------
    domain : Domain
        With its crystal; its strain shifts the edges, its orientation turns the valleys.
    overrides : mapping of domain name, phase or formula to mapping of quantity to number
        Values that replace the catalog's; bare numbers are in eV or m_e.

    Raises
    ------
    InputError
        A property is missing; the phase, the quantity and where to add it are named.

    Notes
    -----
    The valence edge is minus the ionization energy, the conduction edge lies a gap above. Where a
    measurement gave the exciton's binding energy, gap and reduced mass are taken from the same
    one, and calculated masses of electron and hole are scaled to that reduced mass. Where the
    masses across and along a valley are known but no mean at the gap's temperature, the mean is
    ``3/(2/m_t + 1/m_l)``.
    """
    if domain.crystal is None:
        raise InputError(f"domain '{domain.name}' has no crystal", place="band parameters")
    return _material(
        domain.name,
        domain.crystal.name,
        domain.crystal.formula,
        float(np.trace(domain.strain)),
        np.asarray(domain.orientation),
        overrides,
    )


def pure(name: str, overrides: Overrides | None = None) -> Material:
    """Return the band parameters of an unstrained phase of the catalog; its sites are not needed.

    Raises
    ------
    InputError
        As `material`.
    NotFoundError
        Unknown phase.

    Examples
    --------
    >>> pure("PbS").gap.value
    0.41
    """
    record = phase_record(name)
    formula = str(record.get("formula") or record.get("default_for") or record["id"].split("_")[0])
    return _material(name, str(record["id"]), formula, 0.0, np.eye(3), overrides)


def _material(
    name: str,
    phase: str,
    formula: str,
    dilation: float,
    orientation: NDArray[np.float64],
    overrides: Overrides | None,
) -> Material:
    given: dict[str, float | Value] = {}
    for key in (formula, phase, name):
        given.update((overrides or {}).get(key, {}))
    reader = _Reader(phase, formula, given)
    measured = reader.source_of("exciton_binding_energy")
    gap = reader.require("band_gap", prefer=measured)
    valence, error = _valence_edge(reader, gap)
    warnings: list[str] = []
    shift_c, shift_v = _strain_shifts(dilation, reader, warnings)
    gap_value = gap.value + shift_c - shift_v
    if gap_value <= 0:
        raise InputError(
            f"the gap of {phase} is {gap_value:.2f} eV; a metal has no levels of this kind",
            place=name,
        )
    edge_v = valence + shift_v
    edge_c = edge_v + gap_value
    masses = _masses(reader, warnings)
    carriers = {}
    for kind, edge, far in (("electron", edge_c, edge_v), ("hole", -edge_v, -edge_c)):
        mass, along, across = masses[kind]
        coupling = reader.optional(f"{kind}_band_coupling") or reader.optional("band_coupling")
        strength = 0.0 if coupling is None else min(coupling.value, gap.value / mass)
        carriers[kind] = Carrier(edge, far, mass, strength, along, across)
    _degenerate(reader, masses["hole"][0], warnings)
    valleys = _valleys(orientation, reader)
    if len(valleys) == 1:  # a layered or uniaxial crystal: its one valley is solved as it is
        x, y, z = (float(component) for component in valleys[0])
        carriers = {
            kind: dataclasses.replace(band, axis=(x, y, z)) for kind, band in carriers.items()
        }
    optical = reader.require("dielectric_optical").value
    screening = _screening(reader, gap.value, masses, optical)
    kane = reader.optional("kane_energy")
    reason = None if error is not None else "the source states none; a few 0.1 eV are usual"
    total = None if error is None else float(np.hypot(error, gap.error or 0.0))
    return Material(
        name,
        phase,
        Value(edge_c, "eV", total, reason if total is None else None),
        Value(edge_v, "eV", error, reason),
        Value(gap_value, "eV", gap.error, gap.error_reason),
        carriers["electron"],
        carriers["hole"],
        screening,
        optical,
        valleys,
        None if kane is None else kane.value,
        tuple(reader.origins),
        tuple(warnings),
    )


def _valence_edge(reader: _Reader, gap: Value) -> tuple[float, float | None]:
    """Return minus the ionization energy and its error, or minus affinity plus gap."""
    affinity = None
    if "electron_affinity" in reader.given or reader.source_of("ionization_energy") == "":
        affinity = reader.optional("electron_affinity")
    if affinity is not None and "ionization_energy" not in reader.given:
        return -affinity.value - gap.value, affinity.error
    found = reader.require("ionization_energy")
    return -found.value, found.error


def medium(overrides: Overrides | None = None) -> Medium:
    """Return the barriers and dielectric constant of the ligand shell and solvent."""
    given = dict((overrides or {}).get("medium", {}))
    reader = _Reader(MEDIUM, MEDIUM, given)
    return Medium(
        -reader.require("electron_affinity").value,
        -reader.require("ionization_energy").value,
        reader.require("electron_mass").value,
        reader.require("hole_mass").value,
        reader.require("dielectric_optical").value,
        MEDIUM,
        tuple(reader.origins),
    )


def _masses(reader: _Reader, warnings: list[str]) -> dict[str, tuple[float, float, float]]:
    """Return mean, longitudinal and transverse mass of electron and hole, m_e."""
    found: dict[str, tuple[float, float, float]] = {}
    for name in ("electron", "hole"):
        along = reader.optional(f"{name}_mass_longitudinal")
        across = reader.optional(f"{name}_mass_transverse")
        mean = reader.optional(f"{name}_mass")
        if mean is None and along is not None and across is not None:
            mean = Value(3 / (2 / across.value + 1 / along.value), "m_e")
        if mean is None:
            mean = reader.require(f"{name}_mass")
        if mean.value <= 0:
            raise InputError(f"{name}_mass is {mean.value}", place=reader.phase)
        if along is None or across is None:
            found[name] = (mean.value, mean.value, mean.value)
        else:  # keep the ratio, and the mean at the gap's temperature
            scale = mean.value / (3 / (2 / across.value + 1 / along.value))
            found[name] = (mean.value, along.value * scale, across.value * scale)
    reduced = reader.optional("reduced_mass")
    if reduced is not None and not {"electron_mass", "hole_mass"} & set(reader.given):
        scale = reduced.value * (1 / found["electron"][0] + 1 / found["hole"][0])
        found = {
            name: (m * scale, along * scale, across * scale)
            for name, (m, along, across) in found.items()
        }
        reader.origins.append(
            Origin("mass scale", Value(scale, ""), "masses scaled to the measured reduced mass")
        )
    return found


def _screening(
    reader: _Reader, gap: float, masses: dict[str, tuple[float, float, float]], optical: float
) -> float:
    """Return the dielectric constant between electron and hole.

    From the exciton's binding energy where it is known, ``E_b = Ry (mu/m_e)/eps^2``: phonons
    follow part of the motion, so that the constant lies between the optical and the static one.
    Otherwise the optical constant.
    """
    binding = reader.optional("exciton_binding_energy")
    if binding is None:
        return optical
    from scipy.constants import physical_constants

    rydberg = physical_constants["Rydberg constant times hc in eV"][0]
    mu = 1 / (1 / masses["electron"][0] + 1 / masses["hole"][0])
    value = float(np.sqrt(rydberg * mu / binding.value))
    reader.origins.append(
        Origin("dielectric", Value(value, ""), "from binding energy and reduced mass (hydrogenic)")
    )
    return max(value, optical)


def _degenerate(reader: _Reader, mass: float, warnings: list[str]) -> None:
    """Warn of a material that is full of holes, with how far they fill its valence band."""
    density = reader.optional("hole_density")
    if density is None:
        return
    from scipy.constants import physical_constants

    bohr = physical_constants["Bohr radius"][0] * 1e10
    hartree = physical_constants["Hartree energy in eV"][0]
    wave = (3 * np.pi**2 * density.value * 1e-24) ** (1 / 3)
    depth = hartree * bohr**2 * wave**2 / (2 * mass)
    warnings.append(
        f"{reader.phase} holds about {density.value:.1g} free holes per cubic centimeter, which "
        f"empty its valence band to {depth:.1f} eV below the edge: it screens like a metal, an "
        "excited hole ends there, and levels between are empty; the type says where bands lie, not "
        "that there is a gap"
    )


def _strain_shifts(trace: float, reader: _Reader, warnings: list[str]) -> tuple[float, float]:
    """Return shifts of conduction and valence edge by the volume strain, eV."""
    if abs(trace) < 1e-5:
        return 0.0, 0.0
    conduction = reader.optional("deformation_potential_conduction")
    valence = reader.optional("deformation_potential_valence")
    if conduction is not None and valence is not None:
        return conduction.value * trace, valence.value * trace
    gap = reader.optional("deformation_potential_gap")
    if gap is None:
        warnings.append(
            f"{reader.phase}: no deformation potential is known, so a volume strain of "
            f"{100 * trace:+.2f} % shifts nothing"
        )
        return 0.0, 0.0
    warnings.append(
        f"{reader.phase}: only the deformation potential of the gap is known; "
        "half of the shift is given to each band"
    )
    return gap.value * trace / 2, -gap.value * trace / 2


def _valleys(orientation: NDArray[np.float64], reader: _Reader) -> NDArray[np.float64]:
    """Return the axes of equivalent valleys in the particle's frame, (n, 3), or none."""
    count = reader.optional("valley_degeneracy")
    if count is not None and round(count.value) == 1:
        return np.asarray([[0.0, 0.0, 1.0]] @ orientation.T)
    if count is None or round(count.value) != 4:
        return np.zeros((0, 3))
    axes = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
    return np.asarray(axes @ orientation.T)
