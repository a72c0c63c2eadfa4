"""``heterodot fit xrd``: phases, fractions, sizes, strain and cells from a diffractogram."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from heterodot.cli.console import Console, verb
from heterodot.cli.simulate_xrd import parse_range


class Several(click.Command):
    """A command whose --phases, --elements and --model take all words up to the next option."""

    EATERS: tuple[str, ...] = ("--phases", "-p", "--elements", "--models")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option before each of its words; a lone last file stays a file."""
        spread: list[str] = []
        eaten: list[int] = []
        option = last = ""
        bare = 0
        for word in args:
            if word.startswith("-") and not re.fullmatch(r"-\d.*", word):
                option = word if word in self.EATERS else ""
                last = word
                if not option:
                    spread.append(word)
                continue
            if option:
                eaten.append(len(spread))
                spread += [option, word]
            else:
                # a word after an option that takes a value is that value, else it is the file
                takes = last and any(
                    last in p.opts and not getattr(p, "is_flag", False) for p in self.params
                )
                bare += 0 if takes else 1
                spread.append(word)
            last = ""
        if bare == 0 and eaten:
            at = eaten[-1]
            spread = [*spread[:at], *spread[at + 1 :]]
        return super().parse_args(ctx, spread)


@click.command(cls=Several)
@click.argument("file", metavar="FILE")
@click.option("--phases", "-p", multiple=True, help="Catalog names or CIF files (several).")
@click.option("--models", multiple=True, help="Particle files (.xyz) fitted by Debye patterns.")
@click.option("--elements", multiple=True, help="Without --phases: only phases of these.")
@click.option("--wavelength", help="CuKa, CuKa1, MoKa... or Å; default is what the file says.")
@click.option("--range", "span", help="2theta to fit, e.g. 15:60.")
@click.option("--shape", default="auto", type=click.Choice(["auto", "sphere", "cube"]))
@click.option("--texture", multiple=True, help="March-Dollase axis, e.g. CsPbBr3=1,0,0.")
@click.option("--silica", default="auto", type=click.Choice(["auto", "yes", "no"]))
@click.option("--background", default=4, show_default=True, help="Chebyshev terms.")
@click.option("--b-iso", default=1.0, show_default=True, help="Start of the overall B, Å².")
@click.option("--fwhm", default=0.0, help="Instrument width, degrees.")
@click.option("--fix-b", is_flag=True, help="Keep B as given.")
@click.option("--fix-zero", is_flag=True, help="No zero shift.")
@click.option("--fix-strain", is_flag=True, help="No microstrain.")
@click.option("--displacement", default=0.0, help="Shift by a displaced sample, degrees.")
@click.option("--refine-displacement", is_flag=True, help="Refine it (with --fix-zero).")
@click.option("--radius", type=float, help="Of the goniometer, mm: displacement also in mm.")
@click.option("--mu-t", type=float, help="Absorption times thickness of a thin sample.")
@click.option("--refine-mu-t", is_flag=True, help="Refine it.")
@click.option("--transmission", is_flag=True, help="Flat sample in transmission, for --mu-t.")
@click.option("--spread", default="auto", help="Spread of ln(size), or auto.")
@click.option("--rir", is_flag=True, help="Also fractions from the strongest lines (adiabatic).")
@click.option("-o", "--output", type=click.Path(), help="Write curves (.csv) or figure (.svg...).")
@verb("heterodot/fit-xrd/1")
def xrd(
    console: Console,
    file: str,
    phases: tuple[str, ...],
    models: tuple[str, ...],
    elements: tuple[str, ...],
    wavelength: str | None,
    span: str | None,
    shape: str,
    texture: tuple[str, ...],
    silica: str,
    background: int,
    b_iso: float,
    fwhm: float,
    fix_b: bool,
    fix_zero: bool,
    fix_strain: bool,
    displacement: float,
    refine_displacement: bool,
    radius: float | None,
    mu_t: float | None,
    refine_mu_t: bool,
    transmission: bool,
    spread: str,
    rir: bool,
    output: str | None,
) -> None:
    """Fit a powder diffractogram: weight fraction, size, strain and cell of each phase.

    Without --phases the phases are searched in the catalog.

    Example: heterodot fit xrd sample.xy --phases CsPbBr3 PbS --wavelength CuKa --json
    """
    from heterodot.formats import read
    from heterodot.probes.xrd import XrdSetup, fit, suggest
    from heterodot.probes.xrd.fit_phases import name_of
    from heterodot.probes.xrd.recorded import recorded

    measurement = read(file, "xrd")
    stated = recorded(measurement).wavelength
    source = _number(wavelength) if wavelength else name_of(stated) if stated else "CuKa"
    setup = XrdSetup(
        wavelength=source, b_iso=b_iso, caglioti=(0.0, 0.0, fwhm**2), displacement=displacement,
        mu_t=mu_t, mounting="transmission" if transmission else "reflection",
    )  # fmt: skip
    options: dict[str, Any] = {
        "range": parse_range(span) if span else None,
        "shape": shape,
        "silica": {"auto": "auto", "yes": True, "no": False}[silica],
        "background": background,
        "refine_b": not fix_b,
        "refine_zero": not fix_zero,
        "refine_displacement": refine_displacement,
        "refine_absorption": refine_mu_t,
        "spread": _number(spread),
        "free": ("cell", "size") if fix_strain else ("cell", "size", "microstrain"),
    }
    remarks = [] if wavelength or stated else ["the file names no wavelength; CuKa was taken"]
    chosen, taken = _phases(phases, models)
    for name, crystal in taken.items():
        if name != crystal:
            console.remark(f"{name}: taken as {crystal}")
    candidates: list[dict[str, Any]] = []
    if chosen:
        axes = dict(_texture(t) for t in texture)
        found = fit(measurement, chosen, setup, texture=axes, progress=console.progress, **options)
    else:
        suggestion = suggest(
            measurement,
            _catalog(),
            setup,
            elements=elements or None,
            progress=console.progress,
            **options,
        )
        found = suggestion.fit
        candidates = [vars(c) for c in suggestion.candidates]
        taken = {c.name: c.name for c in suggestion.candidates if c.present}
    rows = [
        {"name": name, "phase": taken.get(name, name), **row}
        for name, row in found.extra["phases"].items()
        if not row.get("amorphous")
    ]
    amorphous = [
        {"name": name, **row} for name, row in found.extra["phases"].items() if row.get("amorphous")
    ]
    table = _adiabatic(found, chosen or _named(taken), setup) if rir else None
    warnings = [*remarks, *measurement.notes, *found.warnings]
    if output:
        _write(output, found)
    console.document(
        {
            "source": Path(file).name,
            "wavelength": {"name": str(source), "value": setup.mean_wavelength, "unit": "angstrom"},
            "phases": rows,
            "amorphous": amorphous,
            "r_factors": found.extra["r_factors"],
            "zero": found["zero"].to_json(),
            **_sample(found, radius),
            "b_overall": {
                **found["b_overall"].to_json(),
                "note": f"added to the B of {b_iso:g} angstrom^2 that was given",
            },
            "converged": found.converged,
            "noise": found.extra["noise"],
            "unexplained_peaks": found.extra["unexplained"],
            "candidates": candidates,
            "adiabatic": table,
            "warnings": warnings,
            "fit": found.to_json(),
            "output": output,
        }
    )
    _show(console, found, rows, amorphous, candidates, table)
    if not console.json:
        for warning in warnings:
            console.remark(f"note: {warning}")
    if not found.converged:
        from heterodot.errors import NotFoundError

        raise NotFoundError("the fit did not converge", file=file, remedy="fix some parameters")


def _sample(found: Any, radius: float | None) -> dict[str, Any]:
    """Return displacement (degrees, and mm for a known goniometer) and absorption if there."""
    import math

    from heterodot.units import Value

    told: dict[str, Any] = {}
    if "displacement" in found.parameters:
        shift = found["displacement"]
        told["displacement"] = shift.to_json()
        if radius is not None:
            mm = math.radians(1.0) * radius / 2
            error = None if shift.error is None else shift.error * mm
            told["displacement_height"] = Value(shift.value * mm, "mm", error, "held fixed")
    if "mu_t" in found.parameters:
        told["mu_t"] = found["mu_t"].to_json()
    return told


def _show(
    console: Console,
    found: Any,
    rows: list[dict[str, Any]],
    amorphous: list[dict[str, Any]],
    candidates: list[dict[str, Any]],
    table: dict[str, Any] | None,
) -> None:
    if candidates:
        console.table(
            ["candidate", "formula", "there", "evidence", "similarity"],
            [
                [c["name"], c["formula"], c["present"], c["evidence"], c["similarity"]]
                for c in candidates[:10]
            ],
        )
    cells = []
    for row in rows:
        if not row["present"]:
            cells.append([row["name"], "not there", "-", "-", "-", row["evidence"]])
            continue
        cell = row.get("cell") or {}
        cells.append(
            [
                row["name"],
                str(row["weight_fraction"]),
                str(row["size"].to("nm")) if "size" in row else "-",
                str(row["microstrain"]) if "microstrain" in row else "-",
                ", ".join(f"{k} {cell[k]}" for k in ("a", "b", "c") if k in cell),
                row["evidence"],
            ]
        )
    console.table(["phase", "weight fraction", "size", "microstrain", "cell", "evidence"], cells)
    for row in amorphous:
        if row["present"] and row.get("two_theta"):
            console.say(f"amorphous {row['name']}: hump at {row['two_theta']:.1f} degrees")
    r = found.extra["r_factors"]
    console.say(
        f"Rp {r['rp']:.3%}  Rwp {r['rwp']:.3%}  Rexp {r['rexp']:.3%}  "
        f"chi2/dof {r['chi2_reduced']:.2f}"
    )
    if table:
        console.table(
            ["phase", "line", "fraction (adiabatic)"],
            [[k, v["hkl"], str(v["weight_fraction"])] for k, v in table.items()],
        )


def _phases(
    phases: tuple[str, ...], models: tuple[str, ...]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what to fit by the name that was given, and which catalog phase that is."""
    from heterodot.catalog import crystal_or_file
    from heterodot.particle import Particle

    chosen: dict[str, Any] = {}
    taken: dict[str, str] = {}
    for name in [part for word in phases for part in word.split(",") if part]:
        crystal = crystal_or_file(name)[0]
        label = re.sub(r"\W+", "_", Path(name).stem if name.lower().endswith(".cif") else name)
        chosen[label] = crystal
        taken[label] = crystal.name
    for path in models:
        label = re.sub(r"\W+", "_", Path(path).stem)
        chosen[label] = Particle.read(path)
        taken[label] = Path(path).name
    return chosen, taken


def _named(taken: dict[str, str]) -> dict[str, Any]:
    from heterodot.catalog import crystal

    return {name: crystal(phase) for name, phase in taken.items()}


def _catalog() -> list[Any]:
    from heterodot.catalog import crystal, phase_names
    from heterodot.errors import InputError

    known = []
    for name in phase_names():
        try:
            known.append(crystal(name))
        except InputError:  # only its cell is known, not its sites
            continue
    return known


def _texture(text: str) -> tuple[str, tuple[int, int, int]]:
    from heterodot.errors import InputError

    match = re.fullmatch(r"([^=]+)=\(?\s*(-?\d+)[, ]+(-?\d+)[, ]+(-?\d+)\)?", text)
    if match is None:
        raise InputError(
            f"'{text}' is not a texture", place="--texture", remedy="give e.g. CsPbBr3=1,0,0"
        )
    return match[1], (int(match[2]), int(match[3]), int(match[4]))


def _adiabatic(found: Any, phases: dict[str, Any], setup: Any) -> dict[str, Any]:
    from heterodot.probes.xrd.fractions import adiabatic_of_fit

    return adiabatic_of_fit(found, phases, setup)


def _write(path: str, found: Any) -> None:
    import numpy as np

    from heterodot.cli.console import write_csv

    suffix = Path(path).suffix.lower()
    if suffix in (".svg", ".pdf", ".png"):
        from heterodot.files import replacing
        from heterodot.report.figures_xrd import pattern_figure

        with replacing(path) as beside:
            pattern_figure(found).savefig(beside, format=suffix[1:])
        return
    parts = found.extra["components"]
    columns = ["two_theta_deg", "measured", "fitted", "background", *parts]
    data = [
        found.extra["two_theta"], found.data, found.model_values, found.extra["background"],
        *parts.values(),
    ]  # fmt: skip
    write_csv(path, columns, np.array(data).T.tolist())


def _number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text
