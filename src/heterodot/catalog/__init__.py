"""What is known of phases, levels, masses, optics, recipes and published results, with source."""

from heterodot.catalog.phases import crystal, phase_names

__all__ = ["crystal", "phase_names"]
