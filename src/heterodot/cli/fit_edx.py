"""``heterodot fit edx``: tables, spectra and maps to stoichiometry and phases with errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from heterodot.cli.console import Console, verb
from heterodot.cli.fit_xrd import Several


class _Words(Several):
    """--phases, --formula and --elements take all words up to the next option."""

    EATERS = ("--phases", "-p", "--elements", "--formula", "--shells")


@click.command(cls=_Words)
@click.argument("file", metavar="FILE")
@click.option("--kind", type=click.Choice(["atomic", "mass"]), help="Of the table's percent.")
@click.option("--error", type=float, help="Relative error of all entries, percent.")
@click.option("--region", help="Only this row of a table.")
@click.option("--formula", multiple=True, help="To compare with, e.g. Pb4S3Br2 (several).")
@click.option("--reference", help="Element whose count is the formula's; default all.")
@click.option("--phases", "-p", multiple=True, help="Formulas that may mix, e.g. CsPbBr3 PbS.")
@click.option("--elements", multiple=True, help="Of a spectrum or map, the grid's too.")
@click.option("--shells", multiple=True, help="Lines to be counted, e.g. Pb:L S:K.")
@click.option("--k-factors", "factors", type=click.Path(), help="Table of element, k, error.")
@click.option("--standard", help="The file is a standard of this formula: give its k-factors.")
@click.option("--domains", default=2, show_default=True, help="How many in a map.")
@click.option("--csv", "table", type=click.Path(), help="Write the result as a table.")
@click.option("-o", "--output", type=click.Path(), help="Figure (.svg .pdf .png).")
@verb("heterodot/fit-edx/1")
def edx(
    console: Console,
    file: str,
    kind: str | None,
    error: float | None,
    region: str | None,
    formula: tuple[str, ...],
    reference: str | None,
    phases: tuple[str, ...],
    elements: tuple[str, ...],
    shells: tuple[str, ...],
    factors: str | None,
    standard: str | None,
    domains: int,
    table: str | None,
    output: str | None,
) -> None:
    """Composition with errors from a table of percent, a spectrum (.msa) or a spectrum image.

    Spectra and maps need k-factors (from the instrument's program, or of a standard measured with
    it: --standard CsPbBr3 --csv k.csv); without them counts are given.

    Example: heterodot fit edx table.csv --phases CsPbBr3 PbS --formula CsPbBr3
    """
    from heterodot.cli.light import source, warn_all
    from heterodot.formats import read

    measured = read(file, "edx")
    if measured.kind != "edx":
        from heterodot.errors import InputError

        raise InputError(f"holds {measured.kind}, not EDX", file=file)
    for note in measured.notes:
        console.remark(f"{measured.source}: {note}")
    wanted = _words(elements)
    known = _k_factors(factors) if factors else None
    lines = dict(_pair(text) for text in _words(shells))
    job = _Job(console, measured, file, known, lines, wanted, domains, standard, output)
    found, extra, warnings = _read_out(job, kind, error, region)
    results = []
    for name, made in found.items():
        one, said = _assessed(console, name, made, _words(formula), reference, _words(phases))
        results.append(one)
        warnings += [f"{name}: {w}" if len(found) > 1 else w for w in said]
    if output and extra.get("figure") is not None:
        from heterodot.report.figures_light import save

        save(extra.pop("figure")(), output)
    elif output and found:
        from heterodot.report.figures_edx import composition_figure
        from heterodot.report.figures_light import save

        save(composition_figure(found, [r.get("mixture_object") for r in results]), output)
    extra.pop("figure", None)
    for one in results:
        one.pop("mixture_object", None)
    if table:
        _write(table, found, extra.get("k_factors"))
    console.document(
        {
            **source(measured, file),
            **extra,
            "regions": results,
            "warnings": list(dict.fromkeys(warnings)),
            "output": [o for o in (table, output) if o],
        }
    )
    warn_all(console, warnings)


class _Job:
    """What reading out a file needs."""

    def __init__(
        self, console: Console, measured: Any, file: str, known: Any, lines: Mapping[str, str],
        elements: Sequence[str], domains: int, standard: str | None, output: str | None,
    ) -> None:  # fmt: skip
        self.console, self.measured, self.file = console, measured, file
        self.known, self.lines, self.elements = known, lines, elements
        self.domains, self.standard, self.output = domains, standard, output


def _read_out(
    job: _Job, kind: str | None, error: float | None, region: str | None
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Return compositions by region, further results, and warnings."""
    dims = job.measured.data.dims
    if dims == ("region", "element"):
        return _of_table(job, kind, error, region)
    if dims == ("energy",):
        return _of_spectrum(job)
    if dims in (("y", "x", "energy"), ("element", "y", "x")):
        return _of_maps(job)
    from heterodot.errors import InputError

    raise InputError(f"holds data over {', '.join(map(str, dims))}, not EDX", file=job.file)


def _of_table(
    job: _Job, kind: str | None, error: float | None, region: str | None
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    import math

    from heterodot.errors import InputError, nearest
    from heterodot.probes.edx import composition, disagreement, from_counts
    from heterodot.units import Value

    data = job.measured.data
    percent_of = data.attrs["percent_of"]
    stated = kind or percent_of
    if not stated:
        raise InputError(
            "does not say whether its percent are of atoms or of mass", file=job.file,
            remedy="give --kind atomic or --kind mass",
        )  # fmt: skip
    warnings = []
    if kind and percent_of in ("atomic", "mass") and kind != percent_of:
        warnings.append(f"the file says {percent_of} percent; --kind {kind} was taken")
    names = [str(r) for r in data["region"].values]
    if region is not None and region not in names:
        close = nearest(region, names, n=1)
        raise InputError(
            f"there is no region '{region}'", file=job.file,
            remedy=f"did you mean {close[0]}?" if close else f"give one of {', '.join(names[:5])}",
        )  # fmt: skip
    elements = [str(e) for e in data["element"].values]
    sigma = data["error"].values if "error" in data.coords else None
    found = {}
    for i, name in enumerate(names):
        if region is not None and name != region:
            continue
        row: dict[str, float | Value] = {
            e: float(data.values[i, k])
            if sigma is None or not math.isfinite(sigma[i, k])
            else Value(float(data.values[i, k]), "", float(sigma[i, k]))
            for k, e in enumerate(elements)
        }
        try:
            if stated == "counts":
                if job.known is None:
                    raise InputError("holds counts", remedy="give --k-factors")
                found[name] = from_counts(row, job.known)
            else:
                found[name] = composition(row, kind=stated, relative_error=error)
        except InputError as fault:
            raise fault.at(file=job.file, place=name) from fault
        if "mass_percent" in data.coords and stated == "atomic":
            mass = dict(zip(elements, data["mass_percent"].values[i], strict=True))
            said = disagreement({e: float(x) for e, x in zip(elements, data.values[i], strict=True)},
                                {e: float(x) for e, x in mass.items()})  # fmt: skip
            warnings += said
    return found, {"percent_of": stated}, warnings


def _of_spectrum(job: _Job) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    from heterodot.probes.edx import fit_spectrum, from_counts, k_factors_of

    fit = fit_spectrum(job.measured, _needed(job))
    lines, covariance = fit.chosen(job.lines)
    job.console.table(
        ["line", "keV", "net counts", "error by a free line's", "taken"],
        [[x.name, x.energy, str(x.counts), x.inflation, x in lines] for x in fit.lines],
    )
    extra: dict[str, Any] = {"spectrum": fit.to_json(), "figure": _spectrum_figure(fit)}
    counts = {x.element: x.counts for x in lines}
    if job.standard:
        factors = k_factors_of(counts, job.standard)
        job.console.table(["element", "k-factor"], [[e, str(v)] for e, v in factors.items()])
        extra["k_factors"] = {e: v.to_json() for e, v in factors.items()}
        extra["lines_of_k_factors"] = {x.element: x.shell for x in lines}
        return {}, extra, list(fit.warnings)
    if job.known is None:
        return {}, extra, [*fit.warnings, _NO_FACTORS]
    index = [i for i, x in enumerate(lines) if x.element in job.known]
    left = [x.element for x in lines if x.element not in job.known]
    made = from_counts(
        {lines[i].element: lines[i].counts for i in index}, job.known,
        covariance=covariance[[[i] for i in index], index],
    )  # fmt: skip
    said = [f"{', '.join(left)} has no k-factor and is left out"] if left else []
    return {"spectrum": made}, extra, [*fit.warnings, *said]


_NO_FACTORS = "no k-factors were given: counts say nothing of composition (see --standard)"


def _of_maps(job: _Job) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    from heterodot.probes.edx import element_maps, find_domains
    from heterodot.probes.edx.maps import domain_document
    from heterodot.report.figures_edx import domains_figure

    cube = job.measured if "energy" in job.measured.data.dims else None
    warnings: list[str] = []
    maps = job.measured
    if cube is not None:
        maps, whole = element_maps(cube, _needed(job), job.lines)
        warnings += whole.warnings
    found = find_domains(maps, job.domains, k_factors=job.known, cube=cube, shells=job.lines)
    job.console.table(
        ["domain", "nm²", "pixels summed", *found.elements],
        [[d.number, d.area, d.pixels, *[str(d.counts[e]) if e in d.counts else None
                                        for e in found.elements]] for d in found.domains],
    )  # fmt: skip
    made = {f"domain {d.number}": d.composition for d in found.domains if d.composition is not None}
    if job.known is None:
        warnings.append(_NO_FACTORS)
    extra = {**domain_document(found), "figure": lambda: domains_figure(found)}
    return made, extra, [*warnings, *extra.pop("warnings")]


def _spectrum_figure(fit: Any) -> Any:
    def draw() -> Any:
        from heterodot.report.figures_edx import spectrum_figure

        return spectrum_figure(fit)

    return draw


def _assessed(
    console: Console, name: str, made: Any, formulas: Sequence[str], reference: str | None,
    phases: Sequence[str],
) -> tuple[dict[str, Any], list[str]]:  # fmt: skip
    """Return the document of one region, and its warnings; show its tables."""
    from heterodot.probes.edx import (
        mixture,
        overlap_consequences,
        overlaps,
        parse_formula,
        stoichiometry,
    )

    atomic, mass = made.atomic_percent(), made.mass_percent()
    console.say(f"\n{name}")
    console.table(
        ["element", "atomic %", "mass %"],
        [[e, _shown(atomic[e]), _shown(mass[e])] for e in made.elements],
    )
    warnings = [
        *made.warnings,
        *overlaps([e for e in made.elements if atomic[e].value > 0]),
        *overlap_consequences(made),
    ]
    one: dict[str, Any] = {
        "name": name,
        "atomic_percent": {e: v.to_json() for e, v in atomic.items()},
        "mass_percent": {e: v.to_json() for e, v in mass.items()},
    }
    if formulas:
        one["formulas"] = []
    for text in formulas:
        none = [e for e in parse_formula(text) if e not in atomic or atomic[e].value <= 0]
        if none:
            warnings.append(f"{', '.join(none)} of {text} was not found: it was not compared")
            continue
        against = stoichiometry(made, text, reference=reference)
        one["formulas"].append(against.to_json())
        console.table(
            [text, "found", "by standard errors"],
            [[f"{e} {n:g}", _shown(against.counts[e]), _sigmas(against.z[e])]
             for e, n in against.expected.items() if e in against.counts],
        )  # fmt: skip
        warnings += [f"{text}: {w}" for w in against.warnings
                     if w not in warnings and w not in made.warnings]  # fmt: skip
    if phases:
        mixed = mixture(made, phases)
        one["mixture"], one["mixture_object"] = mixed.to_json(), mixed
        console.table(
            ["phase", "mole fraction", "mass fraction", "of the atoms"],
            [[s.formula, str(s.mole), str(s.mass), str(s.atoms)] for s in mixed.shares],
        )
        verdict = {True: "yes", False: "no", None: "cannot be said"}[mixed.explained]
        console.say(f"explained by the phases: {verdict} (residual {mixed.rms:.1f} atomic percent)")
        warnings += mixed.warnings
    return one, warnings


def _shown(value: Any) -> str:
    from heterodot.units import Value

    return str(Value(value.value, "", value.error)) if value.error else f"{value.value:.2f}"


def _sigmas(z: float) -> str:
    return "-" if z != z else f"{z:+.1f}"


def _needed(job: _Job) -> Sequence[str]:
    from heterodot.errors import InputError

    if not job.elements:
        raise InputError("no elements are given", place="--elements", remedy="as in Cs,Pb,Br,S,Cu")
    return job.elements


def _words(given: Sequence[str]) -> list[str]:
    return [w for text in given for w in text.replace(",", " ").split()]


def _pair(text: str) -> tuple[str, str]:
    from heterodot.errors import InputError

    element, _, shell = text.partition(":")
    if shell not in ("K", "L", "M"):
        raise InputError(f"'{text}' is not a line", place="--shells", remedy="as in Pb:L")
    return element, shell


def _k_factors(path: str) -> dict[str, Any]:
    """Return k-factors from a table of element, k and perhaps error."""
    import csv

    from heterodot.errors import InputError
    from heterodot.files import read_text
    from heterodot.units import Value

    found: dict[str, Any] = {}
    lines = [x for x in read_text(path).splitlines() if x.strip() and not x.startswith("#")]
    for number, row in enumerate(csv.reader(lines), start=1):
        try:
            k = float(row[1])
            error = float(row[2]) if len(row) > 2 and row[2].strip() else None
        except (ValueError, IndexError):
            if number == 1:
                continue  # a heading
            raise InputError("is not element, k, error", file=path, place=f"row {number}") from None
        found[row[0].strip()] = Value(k, "", error)
    if not found:
        raise InputError("holds no k-factors", file=path, remedy="write rows of element, k, error")
    return found


def _write(path: str, found: Mapping[str, Any], factors: Mapping[str, Any] | None) -> None:
    from heterodot.cli.console import write_csv

    if factors is not None:
        rows = [[e, v["value"], v["error"]] for e, v in factors.items()]
        write_csv(path, ["element", "k", "error"], rows)
        return
    out = []
    for name, made in found.items():
        mass = made.mass_percent()
        for element, value in made.atomic_percent().items():
            out.append([name, element, value.value, value.error, mass[element].value,
                        mass[element].error])  # fmt: skip
    columns = ["region", "element", "atomic_percent", "error", "mass_percent", "mass_error"]
    write_csv(path, columns, out)
