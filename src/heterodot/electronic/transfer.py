"""How fast a carrier crosses from one domain into the other: Marcus and multiphonon rates.

Donor and acceptor states are had from the levels of the whole particle by diagonalizing the
projector on the acceptor's domain among them (fragment charge difference, Voityuk and Rosch, J.
Chem. Phys. 117, 5607 (2002)); what is left off the diagonal of the Hamiltonian is their coupling.
The rate is the sum over all acceptor states, averaged over the thermally populated donor states,
less what the lattice cannot bring fast enough to the crossings (`heterodot.electronic.rates`).

Trust: couplings rest on a smooth interface without a barrier and driving forces on bulk offsets, so
that a rate is an upper bound good to an order of magnitude; the band says so. What changes from one
size to another is better known, because most of these errors are common to both
(`heterodot.electronic.transfer_sizes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.catalog import lookup
from heterodot.electronic.diabats import Diabats, diabats
from heterodot.electronic.exciton import polar_relaxation
from heterodot.electronic.levels import Levels
from heterodot.electronic.rates import (
    boltzmann_ev,
    depletion,
    hbar_ev_ps,
    jortner_rate,
    marcus_rate,
    require_positive,
)
from heterodot.errors import InputError, NotFoundError
from heterodot.units import Value

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Channel:
    """Transfer into one acceptor state: driving force, coupling (thermal mean), rate (1/ps)."""

    acceptor_state: int
    driving: float
    coupling: float
    rate: float

    def to_json(self) -> dict[str, Any]:
        """Return the channel as plain data."""
        return {
            "acceptor_state": self.acceptor_state,
            "driving_eV": self.driving,
            "coupling_eV": self.coupling,
            "rate_per_ps": self.rate,
        }


@dataclass(frozen=True)
class Transfer:
    """Rate of one carrier from donor to acceptor.

    Attributes
    ----------
    carrier, donor, acceptor : str
    rate : Value
        1/ps, all acceptor states together; the error is half the width of ``band``.
    band : (low, high)
        68 % of the rates that the uncertain inputs allow, 1/ps.
    median : float
        Of the same rates, 1/ps.
    draws : tuple of float
        Those rates, 1/ps; the k-th draw of two particles with the same seed moves offset, coupling
        and reorganization energy alike, so that their ratios hold what the sizes change.
    marcus : float
        1/ps, with all modes classical.
    driving : Value
        Into the acceptor's lowest state, eV.
    coupling : Value
        Of the channel that carries most, eV.
    total_coupling : float
        Root of the sum of the squared couplings to all acceptor states within reach, eV.
    reachable : float
        Acceptor states that carry the rate: the inverse participation of the channels' rates.
    reorganization : Value
        eV.
    phonon : float
        Quantum of the mode, eV.
    classical_share : float
        Of the reorganization energy.
    temperature : float
        K.
    channels : tuple of Channel
    warnings : tuple of str
    """

    carrier: str
    donor: str
    acceptor: str
    rate: Value
    band: tuple[float, float]
    median: float
    marcus: float
    driving: Value
    coupling: Value
    reorganization: Value
    phonon: float
    classical_share: float
    temperature: float
    channels: tuple[Channel, ...]
    warnings: tuple[str, ...] = ()
    draws: tuple[float, ...] = ()
    total_coupling: float = 0.0
    reachable: float = 0.0

    @property
    def time(self) -> float:
        """Inverse of the rate, ps."""
        return float("inf") if self.rate.value == 0 else 1 / self.rate.value

    def to_json(self) -> dict[str, Any]:
        """Return rate, band and everything that it rests on as plain data."""
        return {
            "carrier": self.carrier,
            "donor": self.donor,
            "acceptor": self.acceptor,
            "rate": self.rate.to_json(),
            "rate_band_68": list(self.band),
            "rate_median": self.median,
            "time": Value(
                self.time, "ps", None, "see rate_band_68; the distribution is wide and skew"
            ).to_json(),
            "marcus_rate": Value(self.marcus, "1/ps", None, "as the rate's band").to_json(),
            "driving_force": self.driving.to_json(),
            "coupling": self.coupling.to_json(),
            "coupling_to_all": Value(
                self.total_coupling, "eV", self.total_coupling, None
            ).to_json(),
            "acceptor_states_that_carry": self.reachable,
            "reorganization_energy": self.reorganization.to_json(),
            "phonon": Value(self.phonon, "eV", None, "see sources").to_json(),
            "classical_share": self.classical_share,
            "temperature": Value(self.temperature, "K", None, "chosen").to_json(),
            "channels": [channel.to_json() for channel in self.channels],
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, eq=False)
class _Inputs:
    """Driving forces and couplings, (n_donor, n_acceptor), with donor populations and the bath."""

    driving: Array
    coupling: Array
    population: Array
    reorganization: float
    phonon: float
    classical: float
    temperature: float


FINEST_BIN = 0.3  # widths of the gap's distribution that one bin of crossings may span


def _rates(inputs: _Inputs) -> Array:
    """Return the rate into each acceptor state, 1/ps, averaged over the donor states."""
    total, thermal = inputs.reorganization, boltzmann_ev() * inputs.temperature
    variance = 2 * total * thermal
    found = np.zeros(inputs.driving.shape[1])
    for weight, driving, coupling in zip(
        inputs.population, inputs.driving, inputs.coupling, strict=True
    ):
        golden = coupling**2 * _densities(driving, inputs)
        strength = 2 * np.pi * coupling**2 / hbar_ev_ps()
        place = total + driving
        # crossings within a fraction of the gap's width deplete each other as one
        bins = np.round(place / (FINEST_BIN * np.sqrt(variance))).astype(int)
        names, member = np.unique(bins, return_inverse=True)
        sums = np.bincount(member, strength, minlength=len(names))
        means = np.bincount(member, strength * place, minlength=len(names))
        means = np.where(sums > 0, means / np.where(sums > 0, sums, 1.0), 0.0)
        left = depletion(
            sums.astype(float), means.astype(float), variance, hbar_ev_ps() / inputs.phonon
        )
        found += weight * golden * left[member]
    return found


def _densities(driving: Array, inputs: _Inputs) -> Array:
    """Return the golden-rule rate at unit coupling, 1/(ps eV²), interpolated where there are many."""

    def one(energy: float) -> float:
        return jortner_rate(
            1.0,
            energy,
            inputs.classical * inputs.reorganization,
            (1 - inputs.classical) * inputs.reorganization,
            inputs.phonon,
            inputs.temperature,
        )

    step = 0.2 * inputs.phonon
    low, high = float(driving.min()), float(driving.max())
    if len(driving) <= (high - low) / step + 2:
        return np.array([one(float(energy)) for energy in driving])
    knots = np.linspace(low, high, int((high - low) / step) + 2)
    logs = np.log(np.maximum([one(float(energy)) for energy in knots], 1e-300))
    return np.asarray(np.exp(np.interp(driving, knots, logs)))


def transfer(
    levels: Levels,
    *,
    carrier: str = "electron",
    donor: str | None = None,
    acceptor: str | None = None,
    reorganization: float | None = None,
    phonon: float | None = None,
    classical_share: float = 0.3,
    temperature: float = 300.0,
    offset_error: float | None = None,
    samples: int = 400,
    seed: int = 0,
) -> Transfer:
    """Return the rate at which a carrier crosses from one domain into another.

    Parameters
    ----------
    levels : Levels
        With Coulomb terms and enough states to reach the donor's edge.
    carrier : str
        ``"electron"`` or ``"hole"``.
    donor, acceptor : str, optional
        Domains; by default from the one with the higher edge level into the other.
    reorganization : float, optional
        eV; by default that of the polar lattice of both domains for this particle's densities.
    phonon : float, optional
        Quantum of the accepting mode, eV; by default the donor's longitudinal optical phonon.
    classical_share : float
        Part of the reorganization energy in slow, classical motion.
    temperature : float
        K.
    offset_error : float, optional
        Standard error of the driving force, eV; by default from the band edges, else 0.15.
    samples, seed : int
        Of the uncertainty band.

    Returns
    -------
    Transfer

    Raises
    ------
    InputError
        One domain only, unknown names, numbers that are not positive.
    NotFoundError
        The computed levels do not reach the donor's edge.

    Notes
    -----
    The band draws the driving force with its error, coupling and reorganization energy within a
    factor of two and of 1.5 (one standard deviation), and the classical share over 0.1 to 0.5.
    The other carrier is taken to stay in the donor.
    """
    if len(levels.domains) < 2:
        raise InputError("transfer needs two domains", place=", ".join(levels.domains))
    require_positive(temperature, "temperature", "K")
    if not 0 < classical_share <= 1:
        raise InputError(f"{classical_share} is not a share", remedy="give 0.05 to 1")
    donor, acceptor = _ends(levels, carrier, donor, acceptor)
    states = diabats(levels, carrier, donor, acceptor)
    warnings = []
    if states.purity < 0.8:
        warnings.append(
            f"the donor state is only {states.purity:.0%} in {donor}: the carrier is shared, and a "
            "rate means little"
        )
    change = _coulomb_change(levels, states)
    driving = states.acceptor_energies + change - states.donor_energies[:, None]
    if reorganization is None:
        reorganization = _lattice_reorganization(levels, states, warnings)
    require_positive(reorganization, "reorganization energy", "eV")
    if phonon is None:
        phonon = _phonon(levels, donor, acceptor, warnings)
    require_positive(phonon, "phonon energy", "eV")
    rise = (states.donor_energies - states.donor_energies[0]) / (boltzmann_ev() * temperature)
    warm = rise < 5  # donor states of less weight change nothing
    population = np.exp(-rise[warm]) / np.exp(-rise[warm]).sum()
    inputs = _Inputs(
        driving[warm], states.coupling[warm], population,
        reorganization, phonon, classical_share, temperature,
    )  # fmt: skip
    rates = _rates(inputs)
    spread = (
        _offset_error(levels, carrier, donor, acceptor) if offset_error is None else offset_error
    )
    top = float(driving[0].max())
    if top < -reorganization:
        warnings.append(
            f"the computed {acceptor} states end {-top:.2f} eV below the donor; those that the "
            "electron would reach without a barrier are missing: ask for more states"
        )
    draws = _draws(inputs, spread, samples, seed)
    low, median, high = (float(q) for q in np.quantile(draws, [0.16, 0.5, 0.84]))
    best = int(np.argmax(rates))
    felt = np.sqrt(population @ inputs.coupling**2)  # thermal mean over the donor states
    classical = sum(
        float(weight) * marcus_rate(float(v), float(g), reorganization, temperature)
        for weight, row_v, row_g in zip(population, inputs.coupling, inputs.driving, strict=True)
        for v, g in zip(row_v, row_g, strict=True)
    )
    if driving[0].min() > 0:
        warnings.append("every acceptor state lies above the donor: the transfer is uphill")
    near = np.abs(driving[0] + reorganization) < 3 * np.sqrt(
        2 * reorganization * boltzmann_ev() * temperature
    )
    strongest = float(felt[best])
    return Transfer(
        carrier,
        donor,
        acceptor,
        Value(float(rates.sum()), "1/ps", (high - low) / 2),
        (low, high),
        median,
        float(classical),
        Value(float(driving[0].min()), "eV", spread),
        Value(strongest, "eV", strongest),
        Value(reorganization, "eV", 0.5 * reorganization),
        phonon,
        classical_share,
        temperature,
        tuple(
            Channel(k, float(driving[0, k]), float(felt[k]), float(rates[k]))
            for k in range(len(rates))
        ),
        tuple(warnings),
        tuple(float(rate) for rate in draws),
        float(np.sqrt((felt[near] ** 2).sum())),
        float(rates.sum() ** 2 / (rates**2).sum()) if rates.any() else 0.0,
    )


def _ends(levels: Levels, carrier: str, donor: str | None, acceptor: str | None) -> tuple[str, str]:
    levels.states(carrier)
    edge_state = levels.states(carrier)[0]
    home = max(edge_state.fractions, key=lambda name: edge_state.fractions[name])
    if acceptor is None:
        acceptor = home if home != donor else next(n for n in levels.domains if n != donor)
    if donor is None:
        donor = next(name for name in levels.domains if name != acceptor)
    levels.shape.index(donor)
    levels.shape.index(acceptor)
    return donor, acceptor


def _coulomb_change(levels: Levels, states: Diabats) -> Array:
    """Return what leaving the other carrier behind costs into each acceptor state, eV."""
    field = levels.electrostatics
    if field is None:
        raise InputError("transfer needs the Coulomb terms", remedy="use coulomb=True")
    volume = field.shape.spacing**3
    phi = field.problem.potential(states.donor_density)
    start = float((states.donor_density * phi).sum() * volume)
    start_image = field.image(states.donor_density)
    ends = [
        field.image(rho) - start_image + start - float((rho * phi).sum() * volume)
        for rho in states.acceptor_densities
    ]
    return np.array(ends)


def _lattice_reorganization(levels: Levels, states: Diabats, warnings: list[str]) -> float:
    static = []
    for m in levels.materials:
        value = _known(m.phase, "dielectric_static")
        if value is None:
            warnings.append(
                f"{m.phase}: no static dielectric constant is known; its lattice is stiff"
            )
            value = m.optical_dielectric
        static.append(max(value, m.optical_dielectric))
    moved = states.acceptor_densities[0] - states.donor_density
    found = polar_relaxation(levels, moved, static)
    if found < 0.005:
        warnings.append("the computed reorganization energy is below 5 meV; 5 meV is used")
    return max(found, 0.005)


def _phonon(levels: Levels, donor: str, acceptor: str, warnings: list[str]) -> float:
    for name in (donor, acceptor):
        value = _known(levels.material(name).phase, "longitudinal_phonon_energy")
        if value is not None:
            return value
    raise InputError(
        f"the catalog has no longitudinal_phonon_energy of {levels.material(donor).phase} or "
        f"{levels.material(acceptor).phase}",
        remedy="give phonon in eV, or add a record to a catalog folder of your own",
    )


def _known(phase: str, quantity: str) -> float | None:
    try:
        value = lookup(phase, quantity).value
    except (InputError, NotFoundError):
        return None
    return float(value.to("eV").value if "energy" in quantity else value.value)


def _offset_error(levels: Levels, carrier: str, donor: str, acceptor: str) -> float:
    edges = [
        levels.material(n).conduction if carrier == "electron" else levels.material(n).valence
        for n in (donor, acceptor)
    ]
    if any(edge.error is None for edge in edges):
        return 0.15
    return float(np.hypot(edges[0].error or 0.0, edges[1].error or 0.0))


def _draws(inputs: _Inputs, spread: float, samples: int, seed: int) -> Array:
    """Return the rates of inputs drawn within their errors, 1/ps.

    An offset cannot be moved so far that the barrierless acceptor states lie above the computed
    ones: there the draw is taken at the last that are known.
    """
    generator = np.random.default_rng(seed)
    found = []
    top = float(inputs.driving[0].max())
    for _ in range(samples):
        shift, factor_v, factor_l = generator.normal(size=3)
        total = inputs.reorganization * 1.5**factor_l
        drawn = _Inputs(
            inputs.driving + max(spread * shift, -top - total),
            inputs.coupling * 2**factor_v,
            inputs.population,
            total,
            inputs.phonon,
            float(generator.uniform(0.1, 0.5)),
            inputs.temperature,
        )
        found.append(float(_rates(drawn).sum()))
    return np.array(found)
