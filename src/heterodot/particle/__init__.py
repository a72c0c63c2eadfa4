"""Finite two-domain crystals: carve, join, complete, neutralize, exchange, passivate."""

from heterodot.particle.particle import Domain, Particle

__all__ = ["Domain", "Particle"]
