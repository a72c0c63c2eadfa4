"""``heterodot fit absorption``: edge, exciton, Elliott, domains with sizes."""

from __future__ import annotations

from typing import Any

import click

from heterodot.cli.console import Console, verb
from heterodot.cli.light import between, deliver, load, source, warn_all


@click.command()
@click.argument("file", metavar="FILE")
@click.option(
    "--phase",
    "-p",
    "phases",
    multiple=True,
    help="Phase: one gives a size, two take the spectrum apart.",
)
@click.option("--near", multiple=True, help="Where an exciton is, e.g. PbS=1.2 (eV).")
@click.option(
    "--model",
    type=click.Choice(["auto", "tauc", "elliott", "exciton", "domains"]),
    default="auto",
    show_default=True,
)
@click.option(
    "--transition",
    type=click.Choice(["direct", "indirect"]),
    default="direct",
    show_default=True,
    help="Kind of the Tauc plot.",
)
@click.option("--range", "span", help="Energies to fit, eV, e.g. 2.1:2.9.")
@click.option("--binding", type=float, help="Hold the exciton binding energy at this, meV.")
@click.option("--scattering-below", type=float, help="Take scattering away, fitted below this, eV.")
@click.option("--sample", help="Name or number of the sample where a file holds several.")
@click.option("-o", "--output", type=click.Path(), help="Figure (.svg .pdf .png) or curves (.csv).")
@verb("heterodot/fit-absorption/1")
def absorption(
    console: Console,
    file: str,
    phases: tuple[str, ...],
    near: tuple[str, ...],
    model: str,
    transition: str,
    span: str | None,
    binding: float | None,
    scattering_below: float | None,
    sample: str | None,
    output: str | None,
) -> None:
    """Absorption: optical edge, exciton, gap, binding energy, domains and their sizes.

    Example: heterodot fit absorption film.csv --phase CsPbBr3 --phase PbS -o film.svg
    """
    from heterodot.probes.absorption import scattering

    measured, spectrum = load(console, file, "absorption", sample)
    document: dict[str, Any] = {**source(measured, file), "sample": spectrum.name or None}
    warnings: list[str] = []
    if scattering_below is not None:
        background = scattering(spectrum, scattering_below)
        spectrum = background.corrected
        warnings += background.warnings
        document["scattering_exponent"] = background.exponent
        console.say(f"scattering: E to the {background.exponent}")
    limits = between(span)
    chosen = model if model != "auto" else ("domains" if len(phases) > 1 else "auto")
    if chosen == "domains":
        _domains(console, document, warnings, spectrum, phases, near, limits, output)
    else:
        _single(
            console,
            document,
            warnings,
            spectrum,
            phases,
            chosen,
            transition,
            limits,
            binding,
            output,
        )
    document["warnings"] = list(dict.fromkeys(warnings))
    console.document(document)
    warn_all(console, warnings)


def _single(
    console: Console,
    document: dict[str, Any],
    warnings: list[str],
    spectrum: Any,
    phases: tuple[str, ...],
    chosen: str,
    transition: str,
    limits: tuple[float, float] | None,
    binding: float | None,
    output: str | None,
) -> None:
    from heterodot.errors import HeterodotError, NotFoundError
    from heterodot.probes.absorption import elliott, first_exciton, tauc

    rows: list[list[str]] = []
    results: dict[str, Any] = {}
    refused: list[str] = []

    def attempt(name: str, make: Any) -> None:
        if chosen not in ("auto", name):
            return
        try:
            results[name] = make()
        except (HeterodotError, ValueError) as error:
            if chosen == name or not isinstance(error, HeterodotError):
                raise
            refused.append(f"{name}: {error}")

    attempt("tauc", lambda: tauc(spectrum, transition, between=limits))
    attempt("exciton", lambda: first_exciton(spectrum, between=limits))
    held = None if binding is None else binding / 1000.0
    attempt("elliott", lambda: elliott(spectrum, between=limits, binding=held))
    if chosen == "auto" and "elliott" in results and not results["elliott"].adequate:
        del results["elliott"]
        refused.append("elliott: the model does not describe this edge (see --model elliott)")
    if not results:
        raise NotFoundError(
            "; ".join(refused), file=document["source"], remedy="check that the edge is in range"
        )
    if "tauc" in results:
        edge = results["tauc"]
        rows.append(
            [
                f"optical edge ({edge.transition} Tauc)",
                str(edge.edge),
                f"line {edge.low:.3f} to {edge.high:.3f} eV",
            ]
        )
        document["tauc"] = {
            "optical_edge": edge.edge,
            "transition": edge.transition,
            "range_eV": [edge.low, edge.high],
            "ranges_that_share_the_evidence": edge.windows,
            "background": edge.background,
            "exciton": edge.exciton,
            "warnings": list(edge.warnings),
        }
        warnings += edge.warnings
    if "exciton" in results:
        exciton = results["exciton"]
        rows.append(["first exciton", str(exciton.energy), exciton.how])
        rows.append(
            ["centre of the fitted peak", str(exciton.centre), f"full width {exciton.width}"]
        )
        rows.append(["minimum of the 2nd derivative", str(exciton.second_derivative), ""])
        document["exciton"] = {
            "energy": exciton.energy,
            "how": exciton.how,
            "centre": exciton.centre,
            "width": exciton.width,
            "second_derivative": exciton.second_derivative,
            "maximum": exciton.maximum,
            "fit": exciton.fit,
            "warnings": list(exciton.warnings),
        }
        warnings += exciton.warnings
        for phase in phases:
            _size(phase, exciton.energy, rows, document, warnings)
    if "elliott" in results:
        fit = results["elliott"]
        rows.append(["gap (Elliott)", str(fit.gap), f"binding {fit.binding}"])
        rows.append(["1s exciton (Elliott)", str(fit.exciton), f"full width {fit.width}"])
        document["elliott"] = {
            "gap": fit.gap,
            "binding": fit.binding,
            "exciton": fit.exciton,
            "width": fit.width,
            "fit": fit.fit,
            "warnings": list(fit.warnings),
        }
        warnings += fit.warnings
    document["not_possible"] = refused
    console.table(["quantity", "value", "how"], rows)
    for text in refused:
        console.remark(f"not possible: {text}")
    _deliver_single(console, spectrum, results, output)


def _size(
    phase: str, energy: Any, rows: list[list[str]], document: dict[str, Any], warnings: list[str]
) -> None:
    from heterodot.catalog.sizing import sizing_curve

    curve = sizing_curve(phase)
    size = curve.size(energy.value, energy.error)
    rows.append([f"{curve.size_name} of {phase}", str(size), str(curve.source)])
    document["size"] = {
        "phase": phase,
        curve.size_name: size,
        "curve": curve.id,
        "source": curve.source.to_json(),
        "note": curve.note,
    }
    if not curve.covers(size.value):
        warnings.append(f"{phase}: {size} lies outside the sizes of the curve")


def _deliver_single(
    console: Console, spectrum: Any, results: dict[str, Any], output: str | None
) -> None:
    from heterodot.report import figures_light as figures

    def draw() -> Any:
        if "elliott" in results:
            return figures.elliott_figure(results["elliott"])
        if "exciton" in results:
            return figures.exciton_figure(spectrum, results["exciton"])
        return figures.tauc_figure(results["tauc"])

    if "elliott" in results:
        fit = results["elliott"]
        columns = ["energy (eV)", "absorbance", "exciton", "continuum", "background"]
        rows: list[Any] = list(
            zip(fit.energy, fit.fit.data, fit.bound, fit.continuum, fit.background, strict=True)
        )
    elif "tauc" in results and "exciton" not in results:
        columns = ["energy (eV)", "(A E)^n"]
        rows = list(zip(results["tauc"].energy, results["tauc"].ordinate, strict=True))
    else:
        from heterodot.probes.absorption import derivatives

        d = derivatives(spectrum)
        columns = ["energy (eV)", "absorbance", "first derivative", "second derivative"]
        rows = list(zip(d.energy, d.value, d.first, d.second, strict=True))
    deliver(console, output, draw, columns, lambda: rows)


def _domains(
    console: Console,
    document: dict[str, Any],
    warnings: list[str],
    spectrum: Any,
    phases: tuple[str, ...],
    near: tuple[str, ...],
    limits: tuple[float, float] | None,
    output: str | None,
) -> None:
    from heterodot.errors import InputError
    from heterodot.probes.absorption import decompose
    from heterodot.report.figures_light import domains_figure

    if len(phases) < 2:
        raise InputError("domains need two phases", place="--phase", remedy="give --phase twice")
    places: dict[str, float] = {}
    for text in near:
        name, _, value = text.partition("=")
        try:
            places[name] = float(value)
        except ValueError:
            raise InputError(
                f"'{text}' is not PHASE=eV", place="--near", remedy="e.g. --near PbS=1.2"
            ) from None
        if name not in phases:
            raise InputError(f"'{name}' is not one of the phases", place="--near")
    found = decompose(spectrum, phases, near=places, between=limits)
    rows = [
        [d.phase, str(d.exciton), str(d.width), f"{d.size_name} {d.size}", d.curve]
        for d in found.domains
    ]
    console.table(["domain", "first exciton", "full width", "size", "sizing curve"], rows)
    document["domains"] = [
        {
            "phase": d.phase,
            "exciton": d.exciton,
            "width": d.width,
            "size": d.size,
            "size_name": d.size_name,
            "curve": d.curve,
        }
        for d in found.domains
    ]
    document["fit"] = found.fit
    warnings += found.warnings
    names = [d.phase for d in found.domains]
    deliver(
        console,
        output,
        lambda: domains_figure(found),
        ["energy (eV)", "absorbance", "model", *names, "background"],
        lambda: list(
            zip(
                found.energy,
                found.data,
                found.model,
                *(d.absorbance for d in found.domains),
                found.background,
                strict=True,
            )
        ),
    )
