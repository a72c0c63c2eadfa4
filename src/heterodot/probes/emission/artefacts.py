"""What a grating shows that the sample does not emit: second orders and the exciting light.

References
----------
J. R. Lakowicz, Principles of Fluorescence Spectroscopy, 3rd ed. (Springer, 2006), chapter 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from heterodot.probes.spectrum import wavelength_of


@dataclass(frozen=True)
class Artefact:
    """A band that may come from the instrument.

    Attributes
    ----------
    energy, wavelength : float
        Of the band, eV and nm.
    cause : str
        In words.
    """

    energy: float
    wavelength: float
    cause: str


def artefacts(
    energies: Sequence[float],
    widths: Sequence[float],
    *,
    excitation: float | None = None,
    emitters: Sequence[float] = (),
    band_pass: float = 5.0,
) -> tuple[Artefact, ...]:
    """Return the bands that sit where an instrument makes some.

    Parameters
    ----------
    energies, widths : sequences of float
        Bands found in the spectrum and their full widths, eV.
    excitation : float, optional
        Wavelength of the exciting light, nm.
    emitters : sequence of float
        Wavelengths (nm) of strong emission of the sample, e.g. the perovskite's, whose second
        order falls at twice each.
    band_pass : float
        Of the monochromators, nm.

    Examples
    --------
    >>> found = artefacts([1.2], [0.05], emitters=[516.0])
    >>> found[0].cause
    'second order of the emission at 516 nm (1032 nm)'
    """
    found: list[Artefact] = []
    lines: list[tuple[float, str]] = []
    if excitation is not None:
        lines.append((excitation, f"scattered exciting light at {excitation:g} nm"))
        for order, word in ((2, "second"), (3, "third")):
            lines.append(
                (
                    order * excitation,
                    f"{word} order of the exciting light at {excitation:g} nm "
                    f"({order * excitation:g} nm)",
                )
            )
    lines += [(2 * e, f"second order of the emission at {e:g} nm ({2 * e:g} nm)") for e in emitters]
    for energy, width in zip(energies, widths, strict=True):
        wavelength = float(wavelength_of(energy))
        spread = wavelength * min(width / energy, 1.0)
        for at, cause in lines:
            # exciting light is as narrow as the band pass; an emission keeps its own width
            reach = band_pass if "exciting" in cause else max(0.35 * spread, band_pass)
            narrow = "exciting" not in cause or spread < 6 * band_pass
            if abs(wavelength - at) < reach and narrow:
                found.append(Artefact(energy, wavelength, cause))
    return tuple(found)
