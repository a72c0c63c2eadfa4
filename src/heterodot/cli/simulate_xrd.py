"""``heterodot simulate xrd``: the powder pattern of a particle file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from heterodot.cli.console import Console, verb


def parse_range(text: str, option: str = "--range") -> tuple[float, float]:
    """Return (low, high) of a text such as ``10:60``."""
    from heterodot.errors import InputError

    parts = text.replace("..", ":").split(":")
    try:
        low, high = (float(part) for part in parts)
    except ValueError:
        raise InputError(
            f"'{text}' is not a range", place=option, remedy="give two numbers, e.g. 10:60"
        ) from None
    return low, high


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--wavelength", default="CuKa", show_default=True, help="CuKa, CuKa1, MoKa... or Å.")
@click.option("--range", "span", default="10:60", show_default=True, help="2theta in degrees.")
@click.option("--points", default=2500, show_default=True, type=int)
@click.option("--b-iso", default="1.0", show_default=True, help="B in Å², or Pb=1.2,S=0.8.")
@click.option("--fwhm", default=0.0, show_default=True, help="Instrument width, degrees.")
@click.option("--silica", default=0.0, help="Hump of fumed silica, as a fraction of the maximum.")
@click.option("--background", default="", help="Chebyshev coefficients, fractions of the maximum.")
@click.option("--exact", is_flag=True, help="Good to 1e-6 of the maximum (default 1e-4).")
@click.option("--counts", type=float, help="Scale the maximum to this many counts, add noise.")
@click.option("--seed", default=0, show_default=True, help="Seed of the counting noise.")
@click.option("--sticks", "phases", multiple=True, help="Add reflections of a bulk phase or CIF.")
@click.option("-o", "--output", type=click.Path(), help="Write .xy, .csv or .nc.")
@verb("heterodot/simulate-xrd/1")
def xrd(
    console: Console,
    files: tuple[str, ...],
    wavelength: str,
    span: str,
    points: int,
    b_iso: str,
    fwhm: float,
    silica: float,
    background: str,
    exact: bool,
    counts: float | None,
    seed: int,
    phases: tuple[str, ...],
    output: str | None,
) -> None:
    """Powder X-ray pattern of one particle, or of several as an ensemble (Debye equation).

    Example: heterodot simulate xrd dimer.xyz --wavelength CuKa --range 10:60 -o dimer.xy
    """
    import numpy as np

    from heterodot.catalog import crystal_or_file
    from heterodot.particle import Particle
    from heterodot.probes.xrd import XrdSetup, simulate, sticks

    setup = XrdSetup(
        wavelength=_number(wavelength),
        range=parse_range(span),
        points=points,
        b_iso=_b_iso(b_iso),
        caglioti=(0.0, 0.0, fwhm**2),
        silica=silica,
        background=tuple(_floats(background, "--background")) if background else (),
        engine="exact" if exact else "auto",
    )
    particles = [Particle.read(path) for path in files]
    result = simulate(particles, setup, progress=console.progress)
    x = result.data["two_theta"].values
    y = result.data.values
    if counts is not None:
        y = add_noise(y, counts, seed)
        import dataclasses

        from heterodot.measurement import Measurement

        data = result.data.copy(data=y)
        data.attrs["long_name"] = "counts"
        metadata = {**dict(result.metadata), "counts_at_maximum": counts, "seed": seed}
        result = dataclasses.replace(result, data=data, metadata=metadata)
        assert isinstance(result, Measurement)
    bulk = {name: sticks(crystal_or_file(name)[0], setup) for name in phases}
    if output:
        write_pattern(output, result, [Path(f).name for f in files])
    document: dict[str, Any] = {
        "source": [Path(f).name for f in files],
        "output": output,
        "setup": setup.to_json(),
        "engine": result.metadata["engine"],
        "atoms": result.metadata["atoms"],
        "error_of_maximum": result.metadata["error_of_maximum"],
        "maximum": {"two_theta": float(x[np.argmax(y)]), "intensity": float(y.max())},
        "two_theta": {"unit": "deg", "values": x},
        "intensity": {"unit": "counts" if counts else "squared electrons", "values": y},
        "sticks": {name: found.records() for name, found in bulk.items()},
    }
    console.document(document)
    console.say(
        f"{sum(result.metadata['atoms'])} atoms, {points} points, engine "
        f"{', '.join(result.metadata['engine'])}, error below "
        f"{result.metadata['error_of_maximum']:.1e} of the maximum"
    )
    console.say(f"maximum at {x[np.argmax(y)]:.2f} degrees")
    for name, found in bulk.items():
        rows = [
            [
                " ".join(map(str, r["hkl"])),
                r["d"],
                r["two_theta"],
                r["multiplicity"],
                r["intensity"],
            ]
            for r in found.records()
        ]
        console.table(["h k l", "d / Å", "2theta / deg", "m", "I"], rows, title=name)
    if output:
        console.say(f"written: {output}")


def add_noise(values: Any, counts: float, seed: int) -> Any:
    """Return counts with Poisson noise, scaled so that the maximum expects ``counts``."""
    import numpy as np

    from heterodot.errors import InputError

    if not 0 < counts < 1e12:
        raise InputError(f"{counts:g} counts", place="--counts", remedy="give 1 to 1e12")
    expected = np.clip(values / values.max() * counts, 0, None)
    return np.random.default_rng(seed).poisson(expected).astype(float)


def write_pattern(path: str, result: Any, sources: list[str]) -> None:
    """Write a pattern as .xy (two columns), .csv (header row) or .nc, by the suffix."""
    from heterodot.errors import OutputError
    from heterodot.files import write_text

    suffix = Path(path).suffix.lower()
    x, y = result.data["two_theta"].values, result.data.values
    if suffix == ".nc":
        result.write(path)
        return
    if suffix == ".csv":
        head = "two_theta_deg,intensity\n"
        body = "".join(f"{a:.6f},{b:.8g}\n" for a, b in zip(x, y, strict=True))
    elif suffix in (".xy", ".txt", ".dat"):
        setup = result.metadata.get("setup", {})
        lines = setup.get("lines", [])
        head = (
            f"# powder pattern simulated by heterodot from {', '.join(sources)}\n"
            f"# wavelength: {setup.get('wavelength', '')}"
            f" ({', '.join(format(line['wavelength'], '.6f') for line in lines)} Å)\n"
            "# 2theta/deg intensity\n"
        )
        body = "".join(f"{a:.6f} {b:.8g}\n" for a, b in zip(x, y, strict=True))
    else:
        raise OutputError(
            f"'{suffix}' is not a format for patterns",
            file=path,
            remedy="name it .xy, .csv or .nc",
        )
    write_text(path, head + body)


def _number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _floats(text: str, option: str) -> list[float]:
    from heterodot.errors import InputError

    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"'{text}' is not a list of numbers", place=option) from None


def _b_iso(text: str) -> float | dict[str, float]:
    from heterodot.errors import InputError

    try:
        if "=" not in text:
            return float(text)
        return {k.strip(): float(v) for k, v in (item.split("=") for item in text.split(","))}
    except ValueError:
        raise InputError(
            f"'{text}' is not a displacement parameter",
            place="--b-iso",
            remedy="give 1.0 or Pb=1.2,S=0.8",
        ) from None
