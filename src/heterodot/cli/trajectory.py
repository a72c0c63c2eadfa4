"""``heterodot trajectory``: gaps and populations along molecular dynamics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from heterodot.cli.console import Console, verb


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--step", default="1 fs", show_default=True, help="Time between two steps.")
@click.option(
    "--bands",
    nargs=2,
    type=int,
    default=None,
    metavar="LOWER UPPER",
    help="Bands of the gap, from 0 [the neighbors with the largest gap].",
)
@click.option(
    "--unit", type=click.Choice(["eV", "rydberg", "hartree"]), help="Of the band energies."
)
@click.option("--longest", help="Longest lag of the autocorrelation, e.g. '500 fs'.")
@click.option("--state", type=int, help="State whose lifetime is fitted [the fullest at first].")
@click.option("--table", type=click.Path(), help="Write the populations as CSV.")
@click.option("--figure", type=click.Path(), help="Write a figure (.svg, .pdf, .png).")
@verb("heterodot/trajectory/1")
def trajectory(
    console: Console,
    path: Path,
    step: str,
    bands: tuple[int, int] | None,
    unit: str | None,
    longest: str | None,
    state: int | None,
    table: str | None,
    figure: str | None,
) -> None:
    """Spectral density, decoherence time and populations from nonadiabatic dynamics.

    PATH is a folder or file of Hefei-NAMD (EIGTXT, SHPROP.*), PYXAID (0_Ham_*_re, out*) or Libra
    (Hvib_*_re, also .npz; mem_data.hdf). What is there is analyzed.

    \b
    Example:
      heterodot trajectory namd/ --step 1fs --figure gap.svg
    """
    from heterodot.electronic.hopping import has_populations, read_hopping
    from heterodot.electronic.trajectory import analyze_gap, find_series, read_trajectory
    from heterodot.errors import InputError
    from heterodot.files import replacing
    from heterodot.units import parse

    interval = parse(step, "ps", place="--step")
    is_populations = has_populations(path)
    series = find_series(path) if path.is_dir() else (None if is_populations else path)
    if series is None and not is_populations:
        raise InputError(
            "holds neither band energies nor populations that are known here",
            file=path,
            remedy="give EIGTXT, SHPROP.*, 0_Ham_*_re, out*, Hvib_*_re or mem_data.hdf",
        )
    document: dict[str, Any] = {"path": str(path), "step": {"value": interval, "unit": "ps"}}
    gap = runs = None
    if series is not None:
        found = read_trajectory(series, step=interval, unit=unit)
        lower, upper = bands or found.edges()
        lag = None if longest is None else parse(longest, "ps", place="--longest")
        gap = analyze_gap(found.gap(lower, upper), interval, longest=lag)
        document["gap"] = {
            "file": series.name,
            "steps": len(found.energies),
            "bands": [lower, upper],
            "chosen": "as asked" if bands else "neighbors with the largest mean gap",
            **gap.to_json(),
        }
    if is_populations:
        runs = read_hopping(path, step=interval)
        document["populations"] = _populations(runs, state)
    if table:
        _write(table, runs)
    if figure:
        from heterodot.report.figures_trajectory import trajectory_figure

        drawn = trajectory_figure(gap, interval, runs)
        with replacing(figure) as beside:
            drawn.savefig(beside)
    console.document(document)
    _show(console, document, gap, runs, state)
    for name in (table, figure):
        if name:
            console.say(f"written: {name}")


def _populations(runs: Any, state: int | None) -> dict[str, Any]:
    from heterodot.units import Value

    error = runs.error
    reason = "one initial condition"
    end = [
        Value(float(p), "", None if error is None else float(error[-1, k]), reason).to_json()
        for k, p in enumerate(runs.mean[-1])
    ]
    return {
        "initial_conditions": len(runs.runs),
        "states": runs.runs.shape[2],
        "duration": Value(float(runs.times[-1] - runs.times[0]), "ps", 0.0).to_json(),
        "at_the_end": end,
        "lifetime": runs.lifetime(state).to_json(),
        "lifetime_of": int(runs.mean[0].argmax()) if state is None else state,
    }


def _write(table: str, runs: Any) -> None:
    from heterodot.cli.console import write_csv
    from heterodot.errors import InputError

    if runs is None:
        raise InputError("there are no populations to write", place="--table")
    states = range(runs.runs.shape[2])
    columns = ["time (ps)", *[f"state {k}" for k in states]]
    parts = [runs.times[:, None], runs.mean]
    if runs.error is not None:
        columns += [f"error of state {k}" for k in states]
        parts.append(runs.error)
    import numpy as np

    write_csv(table, columns, np.concatenate(parts, axis=1).tolist())


def _show(console: Console, document: dict[str, Any], gap: Any, runs: Any, state: Any) -> None:
    if gap is not None:
        about = document["gap"]
        console.say(
            f"{about['file']}: {about['steps']} steps, bands {about['bands'][0]} and "
            f"{about['bands'][1]} ({about['chosen']})"
        )
        console.say(f"gap {gap.mean.show()}, fluctuates by {gap.spread.show()}")
        console.say(f"decoherence time {gap.decoherence.show()}")
        rows = [(f"{w:.0f}", f"{share:.2f}") for w, share in gap.peaks()]
        console.table(("line (1/cm)", "relative strength"), rows)
    if runs is not None:
        about = document["populations"]
        console.say(
            f"populations of {about['states']} states over {about['initial_conditions']} initial "
            f"conditions, {runs.times[-1]:.4g} ps"
        )
        console.say(f"state {about['lifetime_of']} is left in {runs.lifetime(state).show()}")
