"""``heterodot fit``: one verb a technique, imported only when called."""

from __future__ import annotations

import click

from heterodot.cli.main import Verbs

# technique -> (module, one line of help); the function in the module is named like the technique.
TECHNIQUES: dict[str, tuple[str, str]] = {
    "xrd": ("heterodot.cli.fit_xrd", "Powder diffractogram: phases, fractions, sizes, strain."),
    "giwaxs": ("heterodot.cli.fit_giwaxs", "Grazing incidence: orientation, layers, phases."),
    "absorption": ("heterodot.cli.fit_absorption", "Absorption: gap, exciton, domain sizes."),
    "pl": ("heterodot.cli.fit_emission", "Emission: peaks in energy with errors."),
    "plqy": ("heterodot.cli.fit_emission", "Quantum yield and transfer efficiency."),
    "temperature": ("heterodot.cli.fit_temperature", "Temperature series of gap, width, yield."),
    "decay": ("heterodot.cli.fit_decay", "Decay histogram with instrument response."),
    "ta": ("heterodot.cli.fit_ta", "Transient absorption: global and target models."),
    "photodetector": ("heterodot.cli.fit_photodetector", "Responsivity, detectivity, speed."),
    "fft": ("heterodot.cli.fit_image", "Zone axes and orientation relation from an image."),
    "gpa": ("heterodot.cli.fit_strain", "Strain and rotation maps from an image."),
    "columns": (
        "heterodot.cli.fit_columns",
        "Atomic columns: positions, sublattices, intensities.",
    ),
    "edx": ("heterodot.cli.fit_edx", "Composition and stoichiometry with errors."),
}


@click.group(cls=Verbs, verbs=TECHNIQUES)
def fit() -> None:
    """Fit a measured file."""
