"""Rates of charge transfer: Marcus, Jortner with thermal quanta, and the kinetics they make.

Marcus and Sutin, Biochim. Biophys. Acta 811, 265 (1985); Jortner, J. Chem. Phys. 64, 4860 (1976).
What the lattice's own motion leaves of golden-rule rates into many states at once follows Zusman,
Chem. Phys. 49, 295 (1980), with the closure of Wilemski and Fixman, J. Chem. Phys. 60, 866 (1974).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError

Array = NDArray[np.float64]


@functools.cache
def hbar_ev_ps() -> float:
    """Return the reduced Planck constant in eV ps."""
    from scipy.constants import elementary_charge, hbar

    return float(hbar / elementary_charge * 1e12)


@functools.cache
def boltzmann_ev() -> float:
    """Return the Boltzmann constant in eV/K."""
    from scipy.constants import Boltzmann, elementary_charge

    return float(Boltzmann / elementary_charge)


def marcus_rate(
    coupling: float, driving: float, reorganization: float, temperature: float
) -> float:
    """Return Marcus's nonadiabatic rate, 1/ps.

    Parameters
    ----------
    coupling : float
        eV.
    driving : float
        Free energy of the reaction, eV; negative downhill.
    reorganization : float
        eV.
    temperature : float
        K.

    Examples
    --------
    >>> fastest = marcus_rate(0.01, -0.2, 0.2, 300)
    >>> fastest > marcus_rate(0.01, -0.6, 0.2, 300)  # inverted region
    True
    """
    require_positive(reorganization, "reorganization energy", "eV")
    require_positive(temperature, "temperature", "K")
    thermal = boltzmann_ev() * temperature
    barrier = (reorganization + driving) ** 2 / (4 * reorganization)
    density = np.exp(-barrier / thermal) / np.sqrt(4 * np.pi * reorganization * thermal)
    return float(2 * np.pi / hbar_ev_ps() * coupling**2 * density)


def jortner_rate(
    coupling: float,
    driving: float,
    classical: float,
    quantum: float,
    phonon: float,
    temperature: float,
) -> float:
    """Return the rate with one quantized mode (thermal quanta) and a classical rest, 1/ps.

    Parameters
    ----------
    coupling, driving : float
        eV.
    classical, quantum : float
        Reorganization energies of the classical rest and of the mode, eV.
    phonon : float
        Quantum of the mode, eV.
    temperature : float
        K.

    Notes
    -----
    Goes over into `marcus_rate` of the summed reorganization energies for a soft mode, and into
    Jortner's sum over quanta ``exp(-S) S^n/n!`` for a stiff one.
    """
    from scipy.special import ive

    require_positive(classical, "classical reorganization energy", "eV")
    require_positive(phonon, "phonon energy", "eV")
    require_positive(temperature, "temperature", "K")
    thermal = boltzmann_ev() * temperature
    strength = max(quantum, 0.0) / phonon
    filled = 1 / np.expm1(phonon / thermal)
    argument = 2 * strength * np.sqrt(filled * (filled + 1))
    reach = int(np.ceil(max(20, 3 * strength * (2 * filled + 1) + abs(driving) / phonon)))
    quanta = np.arange(-reach, reach + 1)
    # I_m(x) exp(-S (2n+1)) ((n+1)/n)^(m/2) in logarithms, I_m scaled by exp(-x)
    scaled = ive(quanta, argument)
    power = np.where(scaled > 0, np.log(np.where(scaled > 0, scaled, 1.0)), -np.inf)
    power += argument - strength * (2 * filled + 1) + quanta * phonon / (2 * thermal)
    barrier = (classical + driving + quanta * phonon) ** 2 / (4 * classical * thermal)
    density = np.exp(power - barrier).sum() / np.sqrt(4 * np.pi * classical * thermal)
    return float(2 * np.pi / hbar_ev_ps() * coupling**2 * density)


@functools.cache
def _gauss(nodes: int) -> tuple[Array, Array]:
    knots, weights = np.polynomial.legendre.leggauss(nodes)
    return knots, weights


def depletion(
    strengths: Array, places: Array, variance: float, memory: float, nodes: int = 48
) -> Array:
    """Return what is left of golden-rule rates at each crossing, between 0 and 1.

    The energy gap to the acceptor states moves like an overdamped oscillator around zero. Where a
    crossing takes carriers faster than the motion brings new ones, fewer are there than in
    equilibrium; crossings near each other deplete each other. For one crossing this is Zusman's
    result; for a dense row of weak ones nothing is lost, as in the decay into a continuum.

    Parameters
    ----------
    strengths : (n,) array
        ``2 pi V^2/hbar``, eV/ps.
    places : (n,) array
        Gap at each crossing, from its mean, eV.
    variance : float
        Of the gap, eV².
    memory : float
        Time after which the gap has forgotten, ps.
    nodes : int
        Of the integral over time.

    Returns
    -------
    (n,) array
        Population at each crossing over that in equilibrium.
    """
    require_positive(variance, "variance of the gap", "eV^2")
    require_positive(memory, "memory of the gap", "ps")
    width = np.sqrt(variance)
    x = np.asarray(places, dtype=float) / width
    # integral over u = t/memory of (propagator - equilibrium), with u = w^2 against the root at 0
    knots, weights = _gauss(nodes)
    w = 2.0 * (knots + 1)
    kept = np.exp(-(w**2))
    spread = -np.expm1(-2 * w**2)
    gap = x[:, None, None] - x[None, :, None] * kept
    moving = np.exp(-(gap**2) / (2 * spread)) / np.sqrt(2 * np.pi * spread)
    resting = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    surplus = ((moving - resting[:, None, None]) * (4 * w * weights)).sum(axis=2) * memory / width
    matrix = np.eye(len(x)) + surplus.T * np.asarray(strengths, dtype=float)
    return np.asarray(np.clip(np.linalg.solve(matrix, np.ones(len(x))), 0.0, 1.0))


def require_positive(number: float, what: str, unit: str) -> None:
    """Refuse a number that is not finite and positive."""
    if not (np.isfinite(number) and number > 0):
        raise InputError(f"{number} {unit} is not a {what}", remedy="give a positive number")


def rate_matrix(
    electron: float, hole: float, lifetimes: Mapping[str, float]
) -> tuple[tuple[str, ...], Array]:
    """Return species and rate matrix of a two-domain particle after excitation of the donor.

    Parameters
    ----------
    electron, hole : float
        Transfer rates, 1/ps (zero where a carrier stays).
    lifetimes : mapping of species to float
        ps, of any of ``"donor pair"``, ``"electron crossed"``, ``"hole crossed"``,
        ``"acceptor pair"``; species without one do not decay.

    Returns
    -------
    tuple of str
        The four species.
    (4, 4) array
        ``dN/dt = K N``, 1/ps, as target models of transient absorption use it.

    Examples
    --------
    >>> names, matrix = rate_matrix(1.0, 0.1, {"acceptor pair": 1000.0})
    >>> float(matrix[:, 3].sum())
    -0.001
    """
    names = ("donor pair", "electron crossed", "hole crossed", "acceptor pair")
    unknown = set(lifetimes) - set(names)
    if unknown:
        raise InputError(
            f"'{sorted(unknown)[0]}' is no species", remedy=f"choose among {', '.join(names)}"
        )
    if electron < 0 or hole < 0 or any(t <= 0 for t in lifetimes.values()):
        raise InputError("rates and lifetimes must be positive", place="rate_matrix")
    matrix = np.zeros((4, 4))
    for source, target, rate in ((0, 1, electron), (0, 2, hole), (1, 3, hole), (2, 3, electron)):
        matrix[target, source] += rate
        matrix[source, source] -= rate
    for k, name in enumerate(names):
        if name in lifetimes:
            matrix[k, k] -= 1 / lifetimes[name]
    return names, matrix
