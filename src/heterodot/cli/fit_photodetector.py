"""``heterodot fit photodetector``: figures of merit from traces, power series and spectra."""

from __future__ import annotations

from typing import Any

import click

from heterodot.cli.console import Console, verb
from heterodot.cli.light import deliver, quantity, source, warn_all


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--area", help="Illuminated area, e.g. '1e-5 cm^2'.")
@click.option("--intensity", help="Light on the device, e.g. '0.7 mW/cm^2'.")
@click.option("--power", help="Light on the device where the area is not known, e.g. '7 nW'.")
@click.option("--wavelength", help="Of the light, e.g. '450 nm'.")
@click.option("--dark", help="Dark current, e.g. '4.5e-13 A'; default from the trace.")
@click.option("--noise", help="Noise current density, e.g. '2e-14 A/Hz^0.5'.")
@click.option("--noise-spectrum", type=click.Path(), help="File of frequency and noise density.")
@click.option("--frequency", default=1.0, show_default=True, help="Where the noise is read, Hz.")
@click.option("-o", "--output", type=click.Path(), help="Figure (.svg .pdf .png) or curves (.csv).")
@verb("heterodot/fit-photodetector/1")
def photodetector(
    console: Console,
    file: str,
    area: str | None,
    intensity: str | None,
    power: str | None,
    wavelength: str | None,
    dark: str | None,
    noise: str | None,
    noise_spectrum: str | None,
    frequency: float,
    output: str | None,
) -> None:
    """Responsivity, EQE, detectivity, linear range, rise and fall, stability.

    FILE is current over time (chopped light), over light power or intensity, or over wavelength.

    Example: heterodot fit photodetector trace.csv --intensity '0.7 mW/cm^2' --area '1e-5 cm^2'
    --wavelength '450 nm'
    """
    from heterodot.errors import InputError
    from heterodot.formats.columns import read_columns
    from heterodot.formats.curves import measurement_of

    table = read_columns(file)
    unit, heading = table.units[0], table.names[0].casefold()
    given = {
        "area": quantity(area, "cm^2", "--area"),
        "intensity": quantity(intensity, "W/cm^2", "--intensity"),
        "power": quantity(power, "W", "--power"),
        "wavelength": quantity(wavelength, "nm", "--wavelength"),
        "dark": quantity(dark, "A", "--dark"),
        "noise": quantity(noise, "A/Hz^0.5", "--noise"),
    }
    warnings: list[str] = []
    if noise_spectrum is not None:
        given["noise"] = _noise(console, noise_spectrum, frequency, warnings)
    current_unit = table.units[1] if table.n_columns > 1 and table.units[1] else "A"
    light = "W" in unit or any(w in heading for w in ("power", "intensity", "irradiance"))
    if light:
        found = _series(console, table, unit, current_unit, given, warnings, output)
        document = {"source": file.rsplit("/", 1)[-1], "notes": list(table.notes)}
    else:
        measured = measurement_of(table, file, "photodetector")
        for note in measured.notes:
            console.remark(f"{measured.source}: {note}")
        document = source(measured, file)
        if "time" in measured.data.dims:
            found = _trace(console, measured, current_unit, given, warnings, output)
        elif "wavelength" in measured.data.dims:
            found = _response(console, measured, given, output)
        else:
            raise InputError(
                f"the first column is '{table.names[0]}'",
                file=file,
                remedy="head it Time (s), Power (W), Intensity (mW/cm2) or Wavelength (nm)",
            )
    console.document({**document, **found, "warnings": list(dict.fromkeys(warnings))})
    warn_all(console, warnings)


def _noise(console: Console, path: str, frequency: float, warnings: list[str]) -> Any:
    from heterodot.errors import InputError
    from heterodot.formats.columns import read_columns
    from heterodot.probes.photodetector import noise_at

    table = read_columns(path)
    if table.n_columns < 2:
        raise InputError("has one column", file=path, remedy="give frequency and noise density")
    found = noise_at(table.columns[:, 0], table.columns[:, 1], frequency)
    warnings += found.warnings
    console.say(
        f"noise at {frequency:g} Hz: {found.at} (white {found.white}, corner {found.corner})"
    )
    return found.at


def merit(
    rows: list[list[str]], photocurrent: Any, dark: Any, given: dict[str, Any], warnings: list[str]
) -> dict[str, Any]:
    """Return R, EQE and all forms of D* that the inputs allow, and fill the table's rows."""
    from heterodot.probes import photodetector as pd

    document: dict[str, Any] = {"photocurrent": photocurrent, "dark_current": dark}
    if given["power"] is not None:
        response = pd.responsivity(photocurrent, given["power"])
    elif given["intensity"] is not None and given["area"] is not None:
        response = pd.responsivity(photocurrent, given["intensity"], given["area"])
    else:
        warnings.append("no responsivity: give --power, or --intensity and --area")
        return document
    document["responsivity"] = response
    rows.append(["responsivity", str(response)])
    if given["wavelength"] is not None:
        document["eqe"] = pd.external_quantum_efficiency(response, given["wavelength"])
        rows.append(["external quantum efficiency", str(document["eqe"])])
    if dark is not None and dark.value > 0:
        if given["area"] is not None:
            found = pd.shot_noise_detectivity(response, dark, given["area"])
            document["detectivity_shot_noise"] = found
            rows.append(["D*, shot noise of the dark current", _big(found)])
            warnings.append(pd.SHOT_WARNING)
        else:
            document["printed_form"] = pd.printed_detectivity(response, dark)
            rows.append(["R / sqrt(2 q I), no D*", _big(document["printed_form"])])
            warnings.append(pd.PRINTED_WARNING)
    if given["noise"] is not None and given["area"] is not None:
        document["detectivity_noise"] = pd.noise_detectivity(
            response, given["noise"], given["area"]
        )
        rows.append(["D*, from the noise", _big(document["detectivity_noise"])])
        if document.get("detectivity_shot_noise") is not None:
            ratio = document["detectivity_shot_noise"].value / document["detectivity_noise"].value
            document["shot_over_noise"] = ratio
            if ratio > 2:
                warnings.append(f"the shot-noise form is {ratio:.0f} times the measured one")
    return document


def _big(value: Any) -> str:
    error = "" if value.error is None else f" +- {value.error:.1g}"
    return f"{value.value:.3g}{error} {value.unit}"


def _trace(
    console: Console,
    measured: Any,
    unit: str,
    given: dict[str, Any],
    warnings: list[str],
    output: str | None,
) -> dict[str, Any]:
    import math

    import numpy as np

    from heterodot.probes.photodetector import chopped_trace
    from heterodot.report.figures_light import trace_figure
    from heterodot.units import Value, convert

    time = np.asarray(measured.data["time"].values, dtype=float) * convert(
        1.0, str(measured.data["time"].attrs["units"]), "s"
    )
    values = measured.data.values if measured.data.ndim == 1 else measured.data.values[:, 0]
    current = np.asarray(values, dtype=float) * convert(1.0, unit, "A")
    found = chopped_trace(time, current)
    warnings += found.warnings
    error = math.hypot(found.light.error or 0, found.dark.error or 0) or None
    photocurrent = Value(found.light.value - found.dark.value, "A", error, "not had")
    rows = [
        ["rise (10 to 90 %)", ("at most " if found.rise_limited else "") + str(found.rise)],
        ["fall (90 to 10 %)", ("at most " if found.fall_limited else "") + str(found.fall)],
        ["sampling interval", f"{found.interval:.4g} s"],
        ["light, dark current", f"{found.light}, {found.dark}"],
        ["on/off ratio", str(found.on_off)],
        ["drift of the light current", str(found.drift)],
    ]
    document = {
        "rise": found.rise,
        "fall": found.fall,
        "rise_limited_by_sampling": found.rise_limited,
        "fall_limited_by_sampling": found.fall_limited,
        "sampling_interval": Value(found.interval, "s", None, "as recorded"),
        "light": found.light,
        "on_off": found.on_off,
        "noise": found.noise,
        "drift": found.drift,
        "kept": found.kept,
        "cycles": found.cycles,
        **merit(rows, photocurrent, given["dark"] or found.dark, given, warnings),
    }
    console.table(["quantity", "value"], rows)
    deliver(
        console,
        output,
        lambda: trace_figure(time, current, found),
        ["time (s)", "current (A)"],
        lambda: list(zip(time, current, strict=True)),
    )
    return document


def _series(
    console: Console,
    table: Any,
    unit: str,
    current_unit: str,
    given: dict[str, Any],
    warnings: list[str],
    output: str | None,
) -> dict[str, Any]:
    from heterodot.errors import InputError
    from heterodot.probes.photodetector import power_series
    from heterodot.report.figures_light import power_figure
    from heterodot.units import Value, convert

    if table.n_columns < 2:
        raise InputError("a power series needs a column of currents")
    light = table.columns[:, 0]
    current = table.columns[:, 1] * convert(1.0, current_unit, "A")
    dark = given["dark"]
    if dark is None and (light == 0).any():
        dark = Value(float(current[light == 0].mean()), "A", None, "the row without light")
    net = current - (dark.value if dark is not None else 0.0)
    if dark is None:
        warnings.append("no dark current was given: the currents are taken as photocurrents")
    sigma = table.columns[:, 2] * convert(1.0, current_unit, "A") if table.n_columns > 2 else None
    lit = light > 0
    found = power_series(light[lit], net[lit], sigma=None if sigma is None else sigma[lit])
    warnings += found.warnings
    rows = [
        ["exponent of I ~ P^x", str(found.exponent)],
        ["linear dynamic range", str(found.linear_range)],
        ["linear from, to", f"{found.low:g} to {found.high:g} {unit}"],
    ]
    weakest = int(light[lit].argmin())
    merits = dict(given)
    key = "intensity" if "cm" in unit else "power"
    merits["power"] = merits["intensity"] = None
    merits[key] = Value(float(light[lit][weakest]), unit or "W", None, "as listed").to(
        "W/cm^2" if key == "intensity" else "W"
    )
    error = None if sigma is None else float(sigma[lit][weakest])
    photocurrent = Value(float(net[lit][weakest]), "A", error, "the file states none")
    document = {
        "exponent": found.exponent,
        "linear_dynamic_range": found.linear_range,
        "linear_range_of_light": [
            Value(x, unit, None, "a measured point") for x in (found.low, found.high)
        ],
        "at_weakest_light": merit(rows, photocurrent, dark, merits, warnings),
    }
    console.table(["quantity (responsivity at the weakest light)", "value"], rows)
    deliver(
        console,
        output,
        lambda: power_figure(light[lit], net[lit], found, unit),
        [f"light ({unit})", "photocurrent (A)"],
        lambda: list(zip(light[lit], net[lit], strict=True)),
    )
    return document


def _response(
    console: Console, measured: Any, given: dict[str, Any], output: str | None
) -> dict[str, Any]:
    import numpy as np

    from heterodot.probes.photodetector import external_quantum_efficiency
    from heterodot.report.figures_light import spectrum_figure
    from heterodot.units import Value, convert

    x = np.asarray(measured.data["wavelength"].values, dtype=float) * convert(
        1.0, str(measured.data["wavelength"].attrs["units"]), "nm"
    )
    y = measured.data.values if measured.data.ndim == 1 else measured.data.values[:, 0]
    y = np.asarray(y, dtype=float)
    eqe = [
        external_quantum_efficiency(Value(v, "A/W"), Value(w, "nm")).value
        for w, v in zip(x, y, strict=True)
    ]
    top = int(np.nanargmax(y))
    console.table(
        ["quantity", "value"],
        [
            ["largest responsivity", f"{y[top]:.4g} A/W at {x[top]:g} nm"],
            ["largest EQE", f"{np.nanmax(eqe):.4g} % at {x[int(np.nanargmax(eqe))]:g} nm"],
        ],
    )
    deliver(
        console,
        output,
        lambda: spectrum_figure(x, y, "wavelength / nm", "responsivity / A W$^{-1}$"),
        ["wavelength (nm)", "responsivity (A/W)", "EQE (%)"],
        lambda: list(zip(x, y, eqe, strict=True)),
    )
    return {"wavelength_nm": x, "responsivity_A_per_W": y, "eqe_percent": eqe}
