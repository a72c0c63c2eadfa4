"""``heterodot fit pl`` and ``fit plqy``: bands, excitation, stability, yields, transfer."""

from __future__ import annotations

from typing import Any

import click

from heterodot.cli.console import Console, verb
from heterodot.cli.light import between, deliver, load, quantity, source, warn_all


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--bands", type=click.IntRange(1, 8), help="Number of bands; default by evidence.")
@click.option(
    "--shape",
    default="lognormal",
    show_default=True,
    type=click.Choice(["gaussian", "lorentzian", "voigt", "lognormal", "split"]),
)
@click.option("--range", "span", help="Energies to fit, eV, e.g. 2.2:2.6.")
@click.option("--excitation", type=float, help="Wavelength of the exciting light, nm.")
@click.option(
    "--emitter",
    "emitters",
    multiple=True,
    type=float,
    help="Strong emission whose second order may appear, nm (several).",
)
@click.option(
    "--donor", type=click.Path(), help="FILE is an excitation spectrum: donor absorbance."
)
@click.option("--acceptor", type=click.Path(), help="... and the acceptor's absorbance.")
@click.option("--sample", help="Name or number of the sample where a file holds several.")
@click.option("-o", "--output", type=click.Path(), help="Figure (.svg .pdf .png) or curves (.csv).")
@verb("heterodot/fit-pl/1")
def pl(
    console: Console,
    file: str,
    bands: int | None,
    shape: str,
    span: str | None,
    excitation: float | None,
    emitters: tuple[float, ...],
    donor: str | None,
    acceptor: str | None,
    sample: str | None,
    output: str | None,
) -> None:
    """Emission bands in energy; with --donor and --acceptor an excitation spectrum.

    A file over time is taken as a stability curve.

    Example: heterodot fit pl pl.csv --excitation 400 --emitter 516 -o pl.svg
    """
    from heterodot.errors import InputError
    from heterodot.formats import read

    if (donor is None) != (acceptor is None):
        raise InputError("--donor and --acceptor go together", place="--donor, --acceptor")
    if donor is not None and acceptor is not None:
        _excitation(console, file, donor, acceptor, span, sample, output)
        return
    measured = read(file)
    if "time" in measured.data.dims:
        _stability(console, file, measured, sample, output)
        return
    _bands(console, file, bands, shape, span, excitation, emitters, sample, output)


def _bands(
    console: Console,
    file: str,
    bands: int | None,
    shape: str,
    span: str | None,
    excitation: float | None,
    emitters: tuple[float, ...],
    sample: str | None,
    output: str | None,
) -> None:
    from heterodot.errors import NotFoundError
    from heterodot.probes.emission import artefacts, fit_emission
    from heterodot.report.figures_light import emission_figure

    measured, spectrum = load(console, file, "pl", sample)
    found = fit_emission(spectrum, bands=bands, shape=shape, between=between(span))
    flagged = artefacts(
        [p.energy.value for p in found.peaks],
        [p.width.value for p in found.peaks],
        excitation=excitation,
        emitters=emitters,
    )
    warnings = [w for w in found.warnings if w not in spectrum.notes]
    warnings += [f"the band at {a.wavelength:.0f} nm may be {a.cause}" for a in flagged]
    console.table(
        ["band", "energy", "full width", "asymmetry", "wavelength", "width in nm", "area"],
        [
            [
                str(k + 1),
                str(p.energy),
                str(p.width),
                str(p.asymmetry or "-"),
                str(p.wavelength),
                str(p.width_wavelength),
                str(p.area),
            ]
            for k, p in enumerate(found.peaks)
        ],
    )
    console.document(
        {
            **source(measured, file),
            "sample": spectrum.name or None,
            "shape": shape,
            "jacobian": spectrum.jacobian,
            "bands": [
                {
                    "energy": p.energy,
                    "width": p.width,
                    "area": p.area,
                    "asymmetry": p.asymmetry,
                    "wavelength": p.wavelength,
                    "width_wavelength": p.width_wavelength,
                }
                for p in found.peaks
            ],
            "maximum": found.maximum,
            "maximum_wavelength_nm": found.maximum_wavelength,
            "criteria": dict(found.criteria),
            "artefacts": [{"wavelength_nm": a.wavelength, "cause": a.cause} for a in flagged],
            "fit": found.fit,
            "warnings": list(dict.fromkeys(warnings)),
        }
    )
    warn_all(console, warnings)
    deliver(
        console,
        output,
        lambda: emission_figure(found),
        [
            "energy (eV)",
            "emission per energy",
            "model",
            *(f"band {k + 1}" for k in range(len(found.parts))),
        ],
        lambda: list(zip(found.energy, found.data, found.model, *found.parts, strict=True)),
    )
    if not found.fit.converged:
        raise NotFoundError(
            f"the fit did not converge ({found.fit.message})",
            file=file,
            remedy="give --bands or a narrower --range",
        )


def _excitation(
    console: Console,
    file: str,
    donor: str,
    acceptor: str,
    span: str | None,
    sample: str | None,
    output: str | None,
) -> None:
    from heterodot.probes.emission import excitation_spectrum
    from heterodot.report.figures_light import excitation_figure

    measured, ple = load(console, file, "ple", sample)
    _, of_donor = load(console, donor, "absorption")
    _, of_acceptor = load(console, acceptor, "absorption")
    found = excitation_spectrum(ple, of_donor, of_acceptor, between=between(span))
    console.table(
        ["quantity", "value"],
        [
            ["transfer efficiency", str(found.transfer)],
            ["share that came in through the donor", str(found.donor_part)],
            [
                "correlation with donor, acceptor, both",
                ", ".join(f"{found.similarity[k]:.3f}" for k in ("donor", "acceptor", "both")),
            ],
            ["explained", f"{100 * found.mixture.explained:.1f} %"],
        ],
    )
    console.document(
        {
            **source(measured, file),
            "transfer_efficiency": found.transfer,
            "donor_part": found.donor_part,
            "correlation": found.similarity,
            "explained": found.mixture.explained,
            "amounts": dict(found.mixture.amounts),
            "warnings": list(found.warnings),
        }
    )
    warn_all(console, found.warnings)
    mixture = found.mixture
    deliver(
        console,
        output,
        lambda: excitation_figure(found),
        ["energy (eV)", "excitation", "model", "donor", "acceptor"],
        lambda: list(
            zip(
                mixture.energy,
                mixture.data,
                mixture.model,
                mixture.parts["donor"],
                mixture.parts["acceptor"],
                strict=True,
            )
        ),
    )


def _stability(
    console: Console, file: str, measured: Any, sample: str | None, output: str | None
) -> None:
    import numpy as np

    from heterodot.cli.light import sample_of
    from heterodot.probes.emission import stability
    from heterodot.probes.spectrum import sample_names
    from heterodot.report.figures_light import stability_figure

    names = sample_names(measured)
    wanted = sample_of(measured, sample)
    chosen = (
        range(len(names))
        if wanted is None
        else [
            names.index(wanted) if isinstance(wanted, str) and wanted in names else int(wanted or 0)
        ]
    )
    time = np.asarray(measured.data["time"].values, dtype=float)
    unit = str(measured.data["time"].attrs["units"]) or "hour"
    table: list[list[str]] = []
    curves: list[dict[str, Any]] = []
    last: tuple[Any, Any, Any] | None = None
    warnings: list[str] = []
    for k in chosen:
        values = measured.data.values[:, k] if len(names) > 1 else measured.data.values
        found = stability(time, values, unit=unit)
        table.append(
            [
                names[k] or "signal",
                found.model,
                str(found.half_life),
                str(found.crossed or "not reached"),
                str(found.kept),
            ]
        )
        curves.append(
            {
                "sample": names[k] or None,
                "model": found.model,
                "half_life": found.half_life,
                "crossed_half": found.crossed,
                "kept": found.kept,
                "fit": found.fit,
                "warnings": list(found.warnings),
            }
        )
        warnings += [f"{names[k] or measured.source}: {w}" for w in found.warnings]
        last = (time, values, found)
    console.table(
        ["sample", "model", "half-life", "half passed in the data", "kept at the end"], table
    )
    console.document({**source(measured, file), "stability": curves, "warnings": warnings})
    warn_all(console, warnings)
    if last is not None:
        t, y, found = last
        deliver(
            console,
            output,
            lambda: stability_figure(t, y, found),
            [f"time ({unit})", "signal", "model"],
            lambda: list(zip(t, y, found.fit.model_values, strict=True)),
        )


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--laser", help="Wavelengths of the laser line, nm, e.g. 440:460.")
@click.option("--emission", help="Wavelengths of the emission, nm, e.g. 480:600.")
@click.option("--second", help="Wavelengths of a second band (composite yield), nm.")
@click.option("--power", is_flag=True, help="Values are power per wavelength, not photons.")
@click.option("--reabsorption", help="Probability of reabsorption, e.g. 0.12+-0.03.")
@click.option(
    "--form",
    type=click.Choice(["both", "absorbed", "printed"]),
    default="both",
    show_default=True,
    help="Of the transfer efficiency.",
)
@click.option("--calibration", help="Share of photons that is counted, e.g. 0.0336+-0.0001.")
@click.option("-o", "--output", type=click.Path(), help="Figure (.svg .pdf .png) or table (.csv).")
@verb("heterodot/fit-plqy/1")
def plqy(
    console: Console,
    file: str,
    laser: str | None,
    emission: str | None,
    second: str | None,
    power: bool,
    reabsorption: str | None,
    form: str,
    calibration: str | None,
    output: str | None,
) -> None:
    """Quantum yield from an integrating sphere, or transfer efficiencies from a table.

    A sphere file has wavelengths and columns 'empty', 'direct' and perhaps 'indirect'. A transfer
    table has columns named PL, I_ex, A_acceptor (or A_PbS), A_donor (or A_pero), PLQY and perhaps
    eta.

    Example: heterodot fit plqy sphere.csv --laser 440:460 --emission 480:600
    """
    from heterodot.cli.transfer_table import is_transfer_table, transfer_table

    if is_transfer_table(file):
        given = quantity(calibration, "", "--calibration")
        transfer_table(console, file, form, given, output)
        return
    _sphere(console, file, laser, emission, second, power, reabsorption)


def _sphere(
    console: Console,
    file: str,
    laser: str | None,
    emission: str | None,
    second: str | None,
    power: bool,
    reabsorption: str | None,
) -> None:
    import numpy as np

    from heterodot.errors import InputError
    from heterodot.formats import read
    from heterodot.probes.plqy import (
        composite_yield,
        photons_between,
        second_band_yield,
        sphere_yield,
    )
    from heterodot.probes.spectrum import sample_names

    if laser is None or emission is None:
        raise InputError(
            "the ranges of laser and emission are needed",
            place="--laser, --emission",
            remedy="e.g. --laser 440:460",
        )
    measured = read(file, "pl")
    for note in measured.notes:
        console.remark(f"{measured.source}: {note}")
    if "wavelength" not in measured.data.dims:
        raise InputError("a sphere file goes over wavelength", file=file)
    names = [n.casefold() for n in sample_names(measured)]
    wavelength = np.asarray(measured.data["wavelength"].values, dtype=float)
    columns: dict[str, Any] = {}
    for key, words in (
        ("empty", ("empty", "blank", "reference")),
        ("indirect", ("indirect", "beside", "off")),
        ("direct", ("direct", "sample", "hit", "on")),
    ):
        at = [
            k
            for k, n in enumerate(names)
            if any(w in n.split() or w in n for w in words)
            and not (key == "direct" and "indirect" in n)
        ]
        if at:
            columns[key] = np.asarray(measured.data.values[:, at[0]], dtype=float)
    if not {"empty", "direct"} <= set(columns):
        raise InputError(
            f"columns {', '.join(names)} do not name 'empty' and 'direct'",
            file=file,
            remedy="name the columns empty, direct and (if measured) indirect",
        )
    ranges = {"laser": between(laser, "--laser"), "emission": between(emission, "--emission")}
    counts = {
        f"{what}_{key}": photons_between(wavelength, y, *span, power=power)
        for what, span in ranges.items()
        if span is not None
        for key, y in columns.items()
    }
    found = sphere_yield(
        counts["laser_empty"],
        counts["laser_direct"],
        counts["emission_empty"],
        counts["emission_direct"],
        laser_indirect=counts.get("laser_indirect"),
        emission_indirect=counts.get("emission_indirect"),
        reabsorption=quantity(reabsorption, "", "--reabsorption"),
    )
    rows = [["quantum yield", str(found.quantum_yield)], ["absorptance", str(found.absorptance)]]
    document: dict[str, Any] = {
        **source(measured, file),
        "method": found.method,
        "quantum_yield": found.quantum_yield,
        "absorptance": found.absorptance,
        "corrected": found.corrected,
        "photons": dict(found.photons),
    }
    if found.corrected is not None:
        rows.append(["corrected for reabsorption", str(found.corrected)])
    if second is not None:
        span = between(second, "--second")
        assert span is not None
        net = [
            photons_between(wavelength, columns["direct"] - columns["empty"], *r, power=power)
            for r in (ranges["emission"], span)
            if r is not None
        ]
        other = second_band_yield(found.quantum_yield, net[0], net[1])
        both = composite_yield(found.quantum_yield, other)
        rows += [["second band", str(other)], ["composite", str(both)]]
        document |= {"second_band": other, "composite": both}
    document["warnings"] = list(found.warnings)
    console.table(["quantity", "value"], rows)
    console.document(document)
    warn_all(console, found.warnings)
