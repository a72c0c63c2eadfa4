"""``heterodot simulate``: one verb a technique, imported only when called."""

from __future__ import annotations

import click

from heterodot.cli.main import Verbs

# technique -> (module, one line of help); the function in the module is named like the technique.
TECHNIQUES: dict[str, tuple[str, str]] = {
    "xrd": ("heterodot.cli.simulate_xrd", "Powder pattern by the Debye equation."),
    "absorption": ("heterodot.cli.simulate_absorption", "Absorption from the particle's levels."),
    "stem": ("heterodot.cli.simulate_image", "STEM images (HAADF, BF, iDPC)."),
    "hrtem": ("heterodot.cli.simulate_image", "High-resolution TEM images."),
}


@click.group(cls=Verbs, verbs=TECHNIQUES)
def simulate() -> None:
    """Simulate what an instrument would see of a particle."""
