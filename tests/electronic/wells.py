"""Exact levels that the tests compare with; written without anything of the package."""

from __future__ import annotations

import numpy as np
from scipy.constants import electron_mass, elementary_charge, epsilon_0, hbar
from scipy.optimize import brentq
from scipy.special import spherical_jn, spherical_kn

UNIT = hbar**2 / (2 * electron_mass) / elementary_charge * 1e20  # eV Å²
COULOMB = elementary_charge / (4 * np.pi * epsilon_0) * 1e10  # eV Å


def sphere_level(radius, height, inverse_mass, outer_mass=1.0, angular=0):
    """Lowest level of a ball with m(E): 1/m = inverse_mass(E); finite barrier, mass jump."""

    def mismatch(energy):
        inner = 1 / inverse_mass(energy)
        k = np.sqrt(energy * inner / UNIT)
        q = np.sqrt((height - energy) * outer_mass / UNIT)
        left = k * spherical_jn(angular, k * radius, True) * spherical_kn(angular, q * radius)
        right = q * spherical_kn(angular, q * radius, True) * spherical_jn(angular, k * radius)
        return left / inner - right / outer_mass

    energies = np.linspace(1e-4, height * 0.999, 500)
    values = mismatch(energies)
    place = np.flatnonzero(np.sign(values[1:]) != np.sign(values[:-1]))[0]
    return brentq(mismatch, energies[place], energies[place + 1])


def core_shell_level(core, outer, step, height, mass_core, mass_shell, mass_out=1.0):
    """Lowest s level of a core at 0, a shell at ``step`` (energy above ``step`` or below)."""

    def mismatch(energy):
        k = np.sqrt(energy * mass_core / UNIT)
        q = np.sqrt((height - energy) * mass_out / UNIT)
        inner = k / np.tan(k * core)  # u'/u of u = r psi
        flux = (inner - 1 / core) / mass_core * mass_shell + 1 / core
        kappa = np.sqrt(complex((step - energy) * mass_shell / UNIT))
        width = outer - core
        # u = A cosh(kappa x) + B sinh(kappa x), u(0) = 1, u'(0) = flux
        ch, sh = np.cosh(kappa * width), np.sinh(kappa * width) / kappa
        u = (ch + flux * sh).real
        du = (kappa**2 * sh + flux * ch).real
        return (du - u / outer) / mass_shell * mass_out + u * (q + 1 / outer)

    top = min(height, UNIT / mass_core * (np.pi / core) ** 2) * 0.9999
    energies = np.linspace(1e-4, top, 1000)
    values = np.array([mismatch(e) for e in energies])
    place = np.flatnonzero(np.sign(values[1:]) != np.sign(values[:-1]))[0]
    return brentq(mismatch, energies[place], energies[place + 1])


def slab_level(width, height, mass):
    """Lowest level of a finite square well with one mass everywhere."""

    def mismatch(energy):
        k = np.sqrt(energy * mass / UNIT)
        q = np.sqrt((height - energy) * mass / UNIT)
        return k * np.sin(k * width / 2) - q * np.cos(k * width / 2)

    top = min(height, UNIT / mass * (np.pi / width) ** 2)
    return brentq(mismatch, 1e-9, top * (1 - 1e-9))


def own_image(place, radius, inner, outer, terms=400):
    """Self-polarization energy of a unit charge at ``place`` in a dielectric ball, eV."""
    n = np.arange(terms)
    series = (inner - outer) * (n + 1) / (inner * (inner * n + outer * (n + 1)))
    return COULOMB / (2 * radius) * (series * (place / radius) ** (2 * n)).sum()


def slab_with_jump(width, height, mass, outer_mass=1.0):
    """Lowest level of a finite square well with another mass outside."""

    def mismatch(energy):
        k = np.sqrt(energy * mass / UNIT)
        q = np.sqrt((height - energy) * outer_mass / UNIT)
        return k / mass * np.sin(k * width / 2) - q / outer_mass * np.cos(k * width / 2)

    top = min(height, UNIT / mass * (np.pi / width) ** 2)
    return brentq(mismatch, 1e-9, top * (1 - 1e-9))
