"""``heterodot fit temperature``: gap, width and yield against temperature."""

from __future__ import annotations

import click

from heterodot.cli.console import Console, verb
from heterodot.cli.light import deliver, source, warn_all


@click.command()
@click.argument("file", metavar="FILE")
@click.option(
    "--quantity",
    "what",
    type=click.Choice(["gap", "width", "intensity"]),
    help="What the column is; default by its heading.",
)
@click.option("--law", "laws", multiple=True, help="Only this law (several); default all, by AIC.")
@click.option("--sample", help="Name or number of the column where a file holds several.")
@click.option("-o", "--output", type=click.Path(), help="Figure (.svg .pdf .png) or curves (.csv).")
@verb("heterodot/fit-temperature/1")
def temperature(
    console: Console,
    file: str,
    what: str | None,
    laws: tuple[str, ...],
    sample: str | None,
    output: str | None,
) -> None:
    """Varshni, Bose-Einstein and lattice expansion; phonon broadening; thermal quenching.

    The first column is temperature (K, or degC if its heading says so), then values and perhaps
    their errors.

    Example: heterodot fit temperature gap.csv --quantity gap -o gap.svg
    """
    import numpy as np

    from heterodot.cli.light import sample_of
    from heterodot.errors import InputError
    from heterodot.formats import read
    from heterodot.probes.spectrum import sample_names
    from heterodot.probes.temperature import fit_temperature
    from heterodot.report.figures_light import temperature_figure
    from heterodot.units import convert

    measured = read(file, "temperature")
    for note in measured.notes:
        console.remark(f"{measured.source}: {note}")
    axis = str(measured.data.dims[0])
    if axis not in ("temperature", "x"):
        raise InputError(
            f"the first column is {axis}, not temperature",
            file=file,
            remedy="head it 'Temperature (K)'",
        )
    unit = str(measured.data[axis].attrs["units"])
    t = np.asarray(measured.data[axis].values, dtype=float)
    t = t + 273.15 if unit == "degC" else t
    names = sample_names(measured)
    index = 0
    if "sample" in measured.data.dims:
        wanted = sample_of(measured, sample)
        index = (
            names.index(wanted)
            if isinstance(wanted, str) and wanted in names
            else (int(wanted) if wanted is not None else 0)
        )
        if not 0 <= index < len(names):
            raise InputError(f"there is no column {index + 1}", place="--sample")
    values = measured.data.values[:, index] if len(names) > 1 else measured.data.values
    sigma = measured.data["error"].values if "error" in measured.data.coords else None
    heading = f"{names[index]} {measured.data.attrs.get('long_name', '')}".casefold()
    quantity = what or _guess(heading)
    value_unit = str(
        measured.data["sample_units"].values[index]
        if len(names) > 1
        else measured.data.attrs["units"]
    )
    if quantity != "intensity" and value_unit:
        factor = convert(1.0, value_unit, "eV")
        values = np.asarray(values, dtype=float) * factor
        sigma = None if sigma is None else np.asarray(sigma, dtype=float) * factor
    found = fit_temperature(t, values, quantity, sigma=sigma, laws=laws or None)
    console.say(f"{found.law.name}: {found.law.formula}")
    console.table(
        ["parameter", "value"],
        [[p.name, str(p).split("= ", 1)[1]] for p in found.fit.parameters.values()],
    )
    console.document(
        {
            **source(measured, file),
            "quantity": quantity,
            "law": found.law.name,
            "formula": found.law.formula,
            "criteria": dict(found.criteria),
            "fit": found.fit,
            "warnings": list(found.warnings),
        }
    )
    warn_all(console, found.warnings)
    deliver(
        console,
        output,
        lambda: temperature_figure(found),
        ["temperature (K)", quantity, "model"],
        lambda: list(zip(found.temperature, found.data, found.model, strict=True)),
    )


def _guess(heading: str) -> str:
    from heterodot.errors import InputError

    for word, name in (
        ("width", "width"),
        ("fwhm", "width"),
        ("intens", "intensity"),
        ("yield", "intensity"),
        ("plqy", "intensity"),
        ("gap", "gap"),
        ("energy", "gap"),
        ("peak", "gap"),
        ("edge", "gap"),
    ):
        if word in heading:
            return name
    raise InputError(
        f"the heading '{heading.strip()}' does not say what it is",
        place="--quantity",
        remedy="give --quantity gap, width or intensity",
    )
