"""``heterodot fit ta``: rates, chirp and species' spectra of transient-absorption matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from heterodot.cli.console import Console, verb
from heterodot.cli.light import between, deliver, source, warn_all

if TYPE_CHECKING:
    from heterodot.fitting import Fit
    from heterodot.measurement import Measurement


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--components", "-n", type=int, help="Independent decays, 1 to 8.")
@click.option("--scheme", help="Text file with a kinetic scheme: 'A -> B : k_1', one line each.")
@click.option("--sequential", type=int, help="A chain of so many species.")
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    help="NAME=FILE: one more matrix with shared rates and spectra. FILE itself is 'main'.",
)
@click.option("--fwhm", type=float, help="Width of the response; 0 for none. Found if not given.")
@click.option("--fix-fwhm", is_flag=True, help="Hold it.")
@click.option("--chirp", type=int, default=2, show_default=True, help="Order of the polynomial.")
@click.option("--time-zero", type=float, help="Start value, where the search goes astray.")
@click.option(
    "--artefact",
    default="auto",
    show_default=True,
    help="Columns of coherent artefact: 0 to 3, or auto.",
)
@click.option("--offset", is_flag=True, help="A constant spectrum.")
@click.option("--background", type=float, help="Subtract the mean before this delay.")
@click.option("--noise", type=float, help="Known standard deviation of a point.")
@click.option("--exclude", multiple=True, help="Wavelengths to leave out, e.g. 395:405.")
@click.option("--times", help="Delays to fit, e.g. -1:2000.")
@click.option("--wavelengths", help="Wavelengths to fit, e.g. 430:700.")
@click.option("--time-unit", help="Unit of the delays where the file states none.")
@click.option("--start", "starts", multiple=True, help="Start value, e.g. k_et=0.1.")
@click.option("--family", is_flag=True, help="Fit although rates cannot be told apart.")
@click.option("--svd", is_flag=True, help="Print singular values and the noise floor.")
@click.option("--profile", "profiled", is_flag=True, help="Profile-likelihood intervals of rates.")
@click.option("--bootstrap", "draws", type=int, help="Bootstrap errors from so many draws.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "-o", "--output", type=click.Path(), help="Figure (.svg .pdf .png) or spectra (.csv)."
)
@verb("heterodot/fit-ta/1")
def ta(
    console: Console,
    file: str,
    components: int | None,
    scheme: str | None,
    sequential: int | None,
    datasets: tuple[str, ...],
    fwhm: float | None,
    fix_fwhm: bool,
    chirp: int,
    time_zero: float | None,
    artefact: str,
    offset: bool,
    background: float | None,
    noise: float | None,
    exclude: tuple[str, ...],
    times: str | None,
    wavelengths: str | None,
    time_unit: str | None,
    starts: tuple[str, ...],
    family: bool,
    svd: bool,
    profiled: bool,
    draws: int | None,
    seed: int,
    output: str | None,
) -> int | None:
    """Transient absorption: global fit, or a target model written as a scheme.

    Examples: heterodot fit ta m.csv --components 3 -o m.svg

    heterodot fit ta m.csv --scheme scheme.txt
    """
    from heterodot.probes.ta import bootstrap, fit, profile, singular_values

    main = _load(console, file, time_unit)
    several: dict[str, Measurement] = {}
    for text in datasets:
        name, path = _pair(text, "--dataset")
        several[name] = _load(console, path, time_unit)
    measured = {"main": main, **several} if several else main
    unit = str(main.data["time"].attrs["units"])
    if svd:
        found_values = singular_values(main)
        shown = ", ".join(f"{s:.3g}" for s in found_values.values[:8])
        console.say(
            f"singular values {shown} (noise floor {found_values.floor:.3g}): "
            f"{found_values.significant} significant"
        )
    found = fit(
        measured,
        _model(components, scheme, sequential, unit),
        fwhm=fwhm,
        fix_fwhm=fix_fwhm,
        chirp=chirp,
        time_zero=time_zero,
        artefact=_artefact(artefact),
        offset=offset,
        sigma=noise,
        background=background,
        exclude=[pair for text in exclude if (pair := between(text, "--exclude"))],
        times=between(times, "--times"),
        wavelengths=between(wavelengths, "--wavelengths"),
        start={name: _number(value, "--start") for name, value in map(_start, starts)},
        family=family,
        progress=console.progress,
    )
    if profiled:
        found = profile(found, progress=console.progress)
    if draws:
        found = bootstrap(found, draws=draws, seed=seed, progress=console.progress)
    return _report(console, main, found, file, output)


def _load(console: Console, path: str, time_unit: str | None) -> Measurement:
    from dataclasses import replace

    from heterodot.errors import InputError
    from heterodot.formats import read
    from heterodot.units import convert

    measured = read(path, "ta")
    for note in measured.notes:
        if not (time_unit and "unit of time" in note):
            console.remark(f"{measured.source}: {note}")
    if "time" not in measured.data.dims:
        raise InputError(
            f"has axes {', '.join(map(str, measured.data.dims))}, not delay and wavelength",
            file=path,
            remedy="give a matrix",
        )
    if time_unit is not None:
        convert(1.0, time_unit, "ps")
        data = measured.data.copy()
        data["time"].attrs["units"] = time_unit
        measured = replace(measured, data=data)
    return measured


def _pair(text: str, option: str) -> tuple[str, str]:
    from heterodot.errors import InputError

    name, sign, rest = text.partition("=")
    if not sign or not name.strip() or not rest.strip():
        raise InputError(f"'{text}' is not NAME=VALUE", place=option, remedy="write e.g. a=b")
    return name.strip(), rest.strip()


def _start(text: str) -> tuple[str, str]:
    return _pair(text, "--start")


def _number(text: str, option: str) -> float:
    from heterodot.errors import InputError

    try:
        return float(text)
    except ValueError:
        raise InputError(f"'{text}' is not a number", place=option) from None


def _artefact(text: str) -> int | str:
    from heterodot.errors import InputError

    if text == "auto":
        return text
    if text not in ("0", "1", "2", "3"):
        raise InputError(f"'{text}'", place="--artefact", remedy="give 0 to 3 or auto")
    return int(text)


def _model(components: int | None, scheme: str | None, chain: int | None, unit: str) -> Any:
    from heterodot.errors import InputError
    from heterodot.files import read_text
    from heterodot.probes.ta import read_scheme, sequential

    if sum(x is not None for x in (components, scheme, chain)) > 1:
        raise InputError(
            "more than one model is given",
            place="--components, --scheme, --sequential",
            remedy="give one of them",
        )
    if scheme is not None:
        return read_scheme(read_text(scheme, limit=2**20), time_unit=unit, file=scheme)
    if chain is not None:
        if not 1 <= chain <= 8:
            raise InputError(f"{chain} species", place="--sequential", remedy="give 1 to 8")
        return sequential(chain, unit)
    return components if components is not None else 2


def _report(
    console: Console, measured: Measurement, found: Fit, file: str, output: str | None
) -> int | None:
    console.fit(found)
    console.say(f"BIC with all amplitudes {found.extra['bic_with_amplitudes']:.6g}")
    for row in found.extra.get("family", []):
        console.say("  equal fit: " + ", ".join(f"{k} = {v:.4g}" for k, v in row.items()))
    for note in found.extra["notes"]:
        console.remark(note)
    warn_all(console, found.warnings)
    species = found.extra["species"]
    names = [x for s in species for x in (f"{s} (OD)", f"{s} error (OD)")]

    def draw() -> Any:
        from heterodot.report.figures_time import ta_figure

        return ta_figure(found)

    def table() -> list[list[Any]]:
        s, e = found.extra["spectra"], found.extra["spectra_error"]
        return [
            [nm, *(x for k in range(len(species)) for x in (s[k, i], e[k, i]))]
            for i, nm in enumerate(found.extra["wavelength"])
        ]

    deliver(console, output, draw, ["wavelength (nm)", *names], table)
    console.document(
        {
            **source(measured, file),
            **found.to_json(),
            "species": species,
            "wavelength": found.extra["wavelength"],
            "spectra": found.extra["spectra"],
            "spectra_error": found.extra["spectra_error"],
            "family": found.extra.get("family", []),
            "noise_scale": found.extra["noise_scale"],
            "amplitudes": found.extra["amplitudes"],
            "bic_with_amplitudes": found.extra["bic_with_amplitudes"],
            "treatment": found.extra["notes"],
            "output": output,
        }
    )
    return None if found.converged else 4
