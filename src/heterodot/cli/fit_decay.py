"""``heterodot fit decay``: lifetimes with errors from counted histograms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from heterodot.cli.console import Console, verb
from heterodot.cli.light import between, deliver, quantity, source, warn_all

if TYPE_CHECKING:
    from heterodot.fitting import Fit
    from heterodot.measurement import Measurement


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--irf", help="File of the measured instrument response.")
@click.option(
    "--components",
    "-n",
    default="auto",
    show_default=True,
    help="Exponentials, 1 to 4, or auto (lowest Bayesian criterion).",
)
@click.option(
    "--model",
    type=click.Choice(["exponential", "stretched", "distribution", "map"]),
    default="exponential",
    show_default=True,
)
@click.option("--window", help="Times to fit in the file's unit, e.g. 0:200.")
@click.option(
    "--bin-width", help="Width of a channel, e.g. '4 ps', where the file counts channels."
)
@click.option("--sample", help="Name or number of the trace where a file holds several.")
@click.option("--sum", "summed", help="Sum a streak image over wavelengths, e.g. 505:525.")
@click.option("--together", is_flag=True, help="Fit all traces of the file with shared lifetimes.")
@click.option("--background", type=float, help="Hold the background at this, counts a bin.")
@click.option("--scatter", is_flag=True, help="Add a part that follows the response.")
@click.option("--no-shift", is_flag=True, help="Hold the response where it was measured.")
@click.option("--period", type=float, help="Of the excitation, in the file's unit of time.")
@click.option("--pulses", type=float, help="Number of excitation pulses, for pile-up.")
@click.option(
    "--method",
    type=click.Choice(["poisson", "least_squares"]),
    default="poisson",
    show_default=True,
)
@click.option("--quenched", help="Decay of the film with an extraction layer: fits diffusion.")
@click.option("--thickness", help="Of that film, e.g. '100+-5 nm'.")
@click.option("--profile", "profiled", is_flag=True, help="Profile-likelihood intervals.")
@click.option("--bootstrap", "draws", type=int, help="Bootstrap errors from so many draws.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("-o", "--output", type=click.Path(), help="Figure (.svg .pdf .png) or curves (.csv).")
@verb("heterodot/fit-decay/1")
def decay(
    console: Console,
    file: str,
    irf: str | None,
    components: str,
    model: str,
    window: str | None,
    bin_width: str | None,
    sample: str | None,
    summed: str | None,
    together: bool,
    background: float | None,
    scatter: bool,
    no_shift: bool,
    period: float | None,
    pulses: float | None,
    method: str,
    quenched: str | None,
    thickness: str | None,
    profiled: bool,
    draws: int | None,
    seed: int,
    output: str | None,
) -> int | None:
    """Decay histogram (TRPL, TCSPC, streak): lifetimes, averages, distributions, maps.

    Example: heterodot fit decay d.csv --irf irf.csv --components 3 -o d.svg
    """
    from heterodot.errors import InputError

    measured = _load(console, file, bin_width)
    if summed is not None:
        measured = _summed(measured, summed, file)
    response = None if irf is None else _one(_load(console, irf, bin_width), None, irf)
    limits = between(window, "--window")
    if model == "map":
        return _map(console, measured, response, components, file, output)
    if model in ("stretched", "distribution") and response is None:
        raise InputError(f"a {model} needs the response", place="--irf", remedy="give its file")
    if model == "distribution":
        return _distribution(console, _one(measured, sample, file), response, limits, file, output)
    if quenched is not None:
        found = _quenching(
            console, measured, quenched, thickness, response, components, bin_width, sample, file
        )
    elif model == "stretched":
        from heterodot.probes.decay import fit_stretched

        assert response is not None
        found = fit_stretched(_one(measured, sample, file), irf=response, window=limits)
    else:
        from heterodot.probes.decay import bootstrap, fit, profile

        found = fit(
            _all(measured) if together else _one(measured, sample, file),
            components if components == "auto" else _whole(components),
            irf=response,
            window=limits,
            shift=not no_shift,
            background=background,
            scatter=scatter,
            period=period,
            pulses=pulses,
            method=method,
            progress=console.progress,
        )
        if profiled:
            found = profile(found, progress=console.progress)
        if draws:
            found = bootstrap(found, draws=draws, seed=seed, progress=console.progress)
    return _report(console, measured, found, file, output)


def _whole(text: str) -> int:
    from heterodot.errors import InputError

    try:
        return int(text)
    except ValueError:
        raise InputError(
            f"'{text}' is no number of exponentials",
            place="--components",
            remedy="give 1 to 4 or auto",
        ) from None


def _load(console: Console, path: str, bin_width: str | None) -> Measurement:
    from dataclasses import replace

    import numpy as np

    from heterodot.formats import read
    from heterodot.units import parse

    measured = read(path, "decay")
    counted = any("counts channels" in note for note in measured.notes)
    for note in measured.notes:
        if not (bin_width and "channels" in note):
            console.remark(f"{measured.source}: {note}")
    if bin_width is not None and "time" in measured.data.dims:
        width = parse(bin_width, "ns", place="--bin-width")
        time = np.arange(measured.data.sizes["time"]) * width
        data = measured.data.assign_coords(time=("time", time, {"units": "ns"}))
        measured = replace(measured, data=data)
    elif counted:
        console.warn(f"{measured.source}: times are channel numbers taken as ns; give --bin-width")
    return measured


def _one(measured: Measurement, sample: str | None, path: str) -> Measurement:
    from dataclasses import replace

    from heterodot.errors import InputError

    data = measured.data
    if "sample" not in data.dims:
        return measured
    names = [str(x) for x in data["sample"].values]
    if sample is None:
        if len(names) > 1:
            raise InputError(
                f"holds {len(names)} traces ({', '.join(names[:5])})",
                file=path,
                remedy="pick one with --sample, or fit all with --together",
            )
        index = 0
    elif sample in names:
        index = names.index(sample)
    elif sample.isdigit() and 1 <= int(sample) <= len(names):
        index = int(sample) - 1
    else:
        raise InputError(
            f"has no trace '{sample}'", file=path, remedy=f"choose among {', '.join(names[:8])}"
        )
    return replace(measured, data=data.isel(sample=index, drop=True))


def _summed(measured: Measurement, text: str, path: str) -> Measurement:
    """Return a streak image's trace, summed over a range of its other axis."""
    from dataclasses import replace

    from heterodot.errors import InputError

    limits = between(text, "--sum")
    assert limits is not None
    data = measured.data
    others = [d for d in data.dims if d != "time" and data[d].dtype.kind in "fiu"]
    if len(others) != 1:
        raise InputError("holds no axis to sum over", file=path, place="--sum")
    axis = data[others[0]]
    inside = (axis.values >= limits[0]) & (axis.values <= limits[1])
    if not inside.any():
        raise InputError(
            f"no {others[0]} lies in {text}",
            file=path,
            place="--sum",
            remedy=f"it runs from {axis.values.min():g} to {axis.values.max():g}",
        )
    trace = data.isel({others[0]: inside}).sum(str(others[0]))
    trace.attrs = data.attrs
    trace["time"].attrs = data["time"].attrs
    return replace(measured, data=trace)


def _all(measured: Measurement) -> dict[str, Measurement]:
    from dataclasses import replace

    from heterodot.errors import InputError

    data = measured.data
    others = [d for d in data.dims if d != "time"]
    if len(others) != 1:
        raise InputError("holds one trace only", place="--together", remedy="leave --together away")
    return {
        str(name): replace(measured, data=data.isel({others[0]: k}, drop=True))
        for k, name in enumerate(data[others[0]].values)
    }


def _quenching(
    console: Console,
    measured: Measurement,
    quenched: str,
    thickness: str | None,
    response: Measurement | None,
    components: str,
    bin_width: str | None,
    sample: str | None,
    file: str,
) -> Fit:
    from heterodot.errors import InputError
    from heterodot.probes.decay import fit_quenching

    film = quantity(thickness, "nm", "--thickness")
    if film is None or response is None:
        raise InputError(
            "quenching needs the film's thickness and the response",
            place="--quenched",
            remedy="give --thickness '100+-5 nm' and --irf FILE",
        )
    other = _one(_load(console, quenched, bin_width), sample, quenched)
    return fit_quenching(
        _one(measured, sample, file),
        other,
        film,
        irf=response,
        components=1 if components == "auto" else _whole(components),
    )


def _report(
    console: Console, measured: Measurement, found: Fit, file: str, output: str | None
) -> int | None:
    import numpy as np

    console.fit(found)
    console.say(f"BIC {found.bic:.6g}")
    for row in found.extra.get("choice", []):
        console.say(
            f"  {row['components']} exponentials: BIC {row['bic']:.6g}"
            f"{'' if row['determined'] else ', not determined'}"
        )
    for note in found.extra.get("notes", []):
        console.remark(note)
    warn_all(console, found.warnings)
    traces = found.extra.get("traces")

    def draw() -> Any:
        from heterodot.report.figures_time import decay_figure

        return decay_figure(found)

    def curves() -> list[list[Any]]:
        table: list[list[Any]] = []
        for name, one in (traces or {}).items():
            residual = (one["counts"] - one["model"]) / np.sqrt(np.maximum(one["model"], 1e-9))
            table += [
                [name, *row]
                for row in zip(one["time"], one["counts"], one["model"], residual, strict=True)
            ]
        return table

    if output is not None and not traces:
        console.warn("this model has no figure yet; the parameters are printed")
    elif output is not None:
        unit = next(iter(traces.values()))["unit"] if traces else ""
        deliver(
            console,
            output,
            draw,
            ["trace", f"time ({unit})", "counts", "model", "residual"],
            curves,
        )
    console.document(
        {
            **source(measured, file),
            **found.to_json(),
            "choice": found.extra.get("choice"),
            "supported": found.extra.get("supported"),
            "quality": {
                k: found.extra.get(k)
                for k in ("deviance_z", "deviance_expected", "runs_z", "autocorrelation_z")
            },
            "treatment": list(found.extra.get("notes", [])),
            "output": output,
        }
    )
    return None if found.converged else 4


def _distribution(
    console: Console,
    measured: Measurement,
    response: Measurement | None,
    limits: tuple[float, float] | None,
    file: str,
    output: str | None,
) -> int | None:
    from heterodot.probes.decay import fit_distribution

    assert response is not None
    found = fit_distribution(measured, irf=response, window=limits, progress=console.progress)
    console.table(
        ["peak", "center", "width (log)", "share"],
        [[k, str(p.center), p.log_width, str(p.fraction)] for k, p in enumerate(found.peaks, 1)],
    )
    console.say(f"mean (amplitude average) {found.mean}")
    warn_all(console, found.warnings)

    def draw() -> Any:
        from heterodot.report.figures_time import distribution_figure

        return distribution_figure(found)

    deliver(
        console,
        output,
        draw,
        [f"lifetime ({found.unit})", "photons", "error"],
        lambda: [list(r) for r in zip(found.lifetimes, found.photons, found.error, strict=True)],
    )
    console.document(
        {
            **source(measured, file),
            "model": "maximum-entropy distribution",
            "peaks": [
                {"center": p.center, "log_width": p.log_width, "fraction": p.fraction}
                for p in found.peaks
            ],
            "mean": found.mean,
            "lifetimes": found.lifetimes,
            "photons": found.photons,
            "error": found.error,
            "unit": found.unit,
            "deviance": found.cost,
            "deviance_expected": found.expected,
            "warnings": list(found.warnings),
            "output": output,
        }
    )
    return None


def _map(
    console: Console,
    measured: Measurement,
    response: Measurement | None,
    components: str,
    file: str,
    output: str | None,
) -> int | None:
    import numpy as np

    from heterodot.errors import InputError
    from heterodot.probes.decay import fit_map

    if response is None:
        raise InputError("a map needs the response", place="--irf", remedy="give its file")
    found = fit_map(
        measured, irf=response, components=1 if components == "auto" else _whole(components)
    )
    good = np.isfinite(found.mean)
    console.say(
        f"{int(good.sum())} of {good.size} pixels, median mean lifetime "
        f"{np.nanmedian(found.mean):.4g} {found.unit}, median error "
        f"{np.nanmedian(found.mean_error):.2g} {found.unit}"
    )
    warn_all(console, found.warnings)

    def draw() -> Any:
        from heterodot.report.figures_time import map_figure

        return map_figure(found)

    def rows() -> list[list[Any]]:
        return [
            [y, x, found.mean[y, x], found.mean_error[y, x], found.reduced[y, x]]
            for y, x in np.ndindex(found.mean.shape)
        ]

    deliver(console, output, draw, ["y", "x", f"mean ({found.unit})", "error", "reduced"], rows)
    console.document(
        {
            **source(measured, file),
            "model": "lifetime map",
            "mean": found.mean,
            "mean_error": found.mean_error,
            "lifetimes": found.lifetimes,
            "lifetimes_error": found.lifetimes_error,
            "unit": found.unit,
            "shift": found.shift,
            "warnings": list(found.warnings),
            "output": output,
        }
    )
    return None
