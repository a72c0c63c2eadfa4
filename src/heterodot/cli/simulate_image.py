"""``heterodot simulate stem`` and ``heterodot simulate hrtem``: images of a particle file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from heterodot.cli.console import Console, verb

if TYPE_CHECKING:
    from heterodot.measurement import Measurement
    from heterodot.particle import Particle
    from heterodot.probes.em import EmSetup

VIEW = (
    click.argument("file", metavar="FILE"),
    click.option("--zone", default="[001]", show_default=True, help="Axis that points at you."),
    click.option("--of", "domain", help="Domain whose axes these are (name); default the first."),
    click.option("--up", help="Axis whose projection points up, e.g. [100]."),
    click.option("--tilt", default="0,0", show_default=True, help="Degrees about x, then y."),
    click.option("--thickness", help="Keep only this much along the beam, e.g. '3 nm'."),
    click.option("--pixel", default="0.02 nm", show_default=True, help="Size of a pixel."),
    click.option("--margin", default="0.5 nm", show_default=True, help="Vacuum on every side."),
    click.option("--b-iso", default="1.0", show_default=True, help="B in Å², or Pb=1.2,S=0.8."),
    click.option("-o", "--output", type=click.Path(), help="Write .tif (with scale) or .nc."),
    click.option("--png", type=click.Path(), help="Write a picture with scale bar (.png...)."),
)
BEAM = (
    click.option("--energy", default="200 keV", show_default=True),
    click.option("--sampling", help="Grid of the wave, e.g. '0.01 nm'; default from the angles."),
    click.option("--slice", "slices", default="0.2 nm", show_default=True, help="Slice thickness."),
    click.option(
        "--potential", default="lobato", show_default=True, help="lobato, kirkland, peng."
    ),
    click.option("--dose", type=float, help="Electrons per Å²: counts with Poisson noise."),
    click.option("--seed", default=0, show_default=True, help="Of displacements and noise."),
    click.option("--support", help="Amorphous carbon under the particle, e.g. '3 nm'."),
)


def _all(options: tuple[Any, ...]) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@click.command()
@_all(VIEW)
@click.option("--engine", default="preview", show_default=True,
              type=click.Choice(["preview", "abtem"]), help="Quick projection, or multislice.")  # fmt: skip
@click.option("--detector", "detectors", multiple=True, default=("haadf",), show_default=True,
              help="haadf, abf, bf, idpc; may be repeated.")  # fmt: skip
@_all(BEAM)
@click.option("--convergence", default=21.0, show_default=True, help="Semi-angle, mrad.")
@click.option("--haadf", default="60:80", show_default=True, help="Collection, mrad.")
@click.option("--abf", default="11:21", show_default=True, help="Collection, mrad.")
@click.option("--bf", default="0:10", show_default=True, help="Collection, mrad.")
@click.option("--cs", default="0 mm", show_default=True, help="Spherical aberration.")
@click.option("--defocus", default="0 nm", show_default=True, help="Focus below the entrance.")
@click.option("--source", default="0.08 nm", show_default=True, help="FWHM of probe or source.")
@click.option("--phonons", default=1, show_default=True, help="Frozen configurations.")
@verb("heterodot/simulate-stem/1")
def stem(
    console: Console,
    file: str,
    engine: str,
    detectors: tuple[str, ...],
    convergence: float,
    haadf: str,
    abf: str,
    bf: str,
    cs: str,
    defocus: str,
    source: str,
    phonons: int,
    output: str | None,
    png: str | None,
    **rest: Any,
) -> None:
    """STEM images of a particle: a quick preview, or multislice by abTEM.

    The preview knows haadf (atomic number to a power) and idpc (projected potential). Multislice
    of a particle of 1,000 atoms takes several minutes of one core per frozen configuration,
    shared by all cores; the default collection angles are narrow to be quick: give --haadf
    60:200 for numbers.

    Example: heterodot simulate stem dimer.xyz --zone "[001]" --of CsPbBr3 -o dimer.tif
    """
    from heterodot.cli.simulate_xrd import parse_range
    from heterodot.particle import Particle
    from heterodot.units import parse

    particle = Particle.read(file)
    blur = parse(source, "angstrom", place="--source")
    view = _view(particle, rest, blur)
    if engine == "preview":
        images = {name: _preview(particle, view, name) for name in dict.fromkeys(detectors)}
        warnings = _unused(rest)
    else:
        from heterodot.probes.em import StemSetup, simulate_stem

        setup = StemSetup(
            **_beam(rest),
            convergence=convergence,
            haadf=parse_range(haadf, "--haadf"),
            abf=parse_range(abf, "--abf"),
            bf=parse_range(bf, "--bf"),
            cs=parse(cs, "angstrom", place="--cs"),
            defocus=parse(defocus, "angstrom", place="--defocus"),
            source=blur,
            phonons=phonons,
        )
        warnings = []
        images = simulate_stem(particle, view, setup, detectors, progress=console.progress)
    _finish(console, images, file, output, png, warnings)


@click.command()
@_all(VIEW)
@_all(BEAM)
@click.option("--cs", default="1 mm", show_default=True, help="Spherical aberration.")
@click.option("--defocus", help="Underfocus, e.g. '60 nm'; default Scherzer's.")
@click.option("--focal-spread", default="5 nm", show_default=True, help="1/e half width.")
@click.option("--angular-spread", default=0.3, show_default=True, help="mrad.")
@click.option("--aperture", type=float, help="Objective aperture, semi-angle in mrad.")
@click.option("--phonons", default=4, show_default=True, help="Frozen configurations.")
@verb("heterodot/simulate-hrtem/1")
def hrtem(
    console: Console,
    file: str,
    cs: str,
    defocus: str | None,
    focal_spread: str,
    angular_spread: float,
    aperture: float | None,
    phonons: int,
    output: str | None,
    png: str | None,
    **rest: Any,
) -> None:
    """High-resolution TEM image of a particle, multislice by abTEM.

    Example: heterodot simulate hrtem dimer.xyz --zone "[001]" --cs "1.2 mm" -o dimer.tif
    """
    from heterodot.particle import Particle
    from heterodot.probes.em import HrtemSetup, simulate_hrtem
    from heterodot.units import parse

    particle = Particle.read(file)
    setup = HrtemSetup(
        **_beam(rest),
        cs=parse(cs, "angstrom", place="--cs"),
        defocus=parse(defocus, "angstrom", place="--defocus") if defocus else None,
        focal_spread=parse(focal_spread, "angstrom", place="--focal-spread"),
        angular_spread=angular_spread,
        aperture=aperture,
        phonons=phonons,
    )
    image = simulate_hrtem(particle, _view(particle, rest, 0.8), setup, progress=console.progress)
    _finish(console, {"hrtem": image}, file, output, png, [])


def axis(text: str, place: str) -> tuple[float, float, float]:
    """Return the indices of an axis such as ``[001]``, ``[1-10]``, ``0,0,1`` or ``1 0 12``."""
    import re

    from heterodot.errors import InputError

    inner = text.strip().strip("[]<>()").strip()
    parts = re.split(r"[,\s]+", inner)
    if len(parts) == 1:
        parts = re.findall(r"-?\d", inner) if re.fullmatch(r"(-?\d){3}", inner) else []
    try:
        u, v, w = (float(p) for p in parts)
    except ValueError:
        raise InputError(
            f"'{text}' is no axis", place=place, remedy="write it as '[001]' or '0,0,1'"
        ) from None
    return u, v, w


def _view(particle: Particle, options: dict[str, Any], blur: float) -> EmSetup:
    """Return from where the particle is seen."""
    from heterodot.cli.simulate_xrd import _b_iso
    from heterodot.errors import InputError
    from heterodot.probes.em import EmSetup
    from heterodot.units import parse

    names, name = [d.name for d in particle.domains], options["domain"]
    if name is not None and name not in names:
        raise InputError(
            f"there is no domain '{name}'", place="--of", remedy=f"choose among {', '.join(names)}"
        )
    try:
        a, b = (float(t) for t in str(options["tilt"]).split(","))
    except ValueError:
        raise InputError(
            f"'{options['tilt']}' is no tilt", place="--tilt", remedy="as in 1.5,-0.5 (degrees)"
        ) from None
    thickness = options["thickness"]
    return EmSetup(
        zone=axis(options["zone"], "--zone"),
        domain=0 if name is None else names.index(name),
        up=axis(options["up"], "--up") if options["up"] else None,
        tilt=(a, b),
        thickness=parse(thickness, "angstrom", place="--thickness") if thickness else None,
        pixel=parse(options["pixel"], "angstrom", place="--pixel"),
        margin=parse(options["margin"], "angstrom", place="--margin"),
        blur=blur,
        b_iso=_b_iso(options["b_iso"]),
    )


def _beam(options: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that STEM and HRTEM share."""
    from heterodot.units import parse

    sampling, support = options["sampling"], options["support"]
    return {
        "energy": parse(options["energy"], "eV", place="--energy"),
        "sampling": parse(sampling, "angstrom", place="--sampling") if sampling else None,
        "slice_thickness": parse(options["slices"], "angstrom", place="--slice"),
        "potential": options["potential"],
        "dose": options["dose"],
        "seed": options["seed"],
        "support": parse(support, "angstrom", place="--support") if support else 0.0,
    }


def _preview(particle: Particle, view: EmSetup, detector: str) -> Measurement:
    from heterodot.errors import InputError
    from heterodot.probes.em import preview

    modes = {"haadf": "haadf", "idpc": "potential"}
    if detector not in modes:
        raise InputError(
            f"the preview has no detector '{detector}'", place="--detector",
            remedy="give haadf or idpc, or take --engine abtem",
        )  # fmt: skip
    return preview(particle, view, modes[detector])


def _unused(options: dict[str, Any]) -> list[str]:
    """Return a warning for options that the preview does not heed."""
    given = [f"--{n}" for n in ("dose", "support", "sampling") if options[n] is not None]
    return [f"the preview does not use {', '.join(given)}"] if given else []


def _finish(
    console: Console,
    images: dict[str, Measurement],
    file: str,
    output: str | None,
    png: str | None,
    warnings: list[str],
) -> None:
    """Write the images, show what they are."""
    written, records = [], {}
    for name, image in images.items():
        for target in (output, png):
            if target is None:
                continue
            path = Path(target)
            if len(images) > 1:
                path = path.with_name(f"{path.stem}_{name}{path.suffix}")
            _write(path, image, is_picture=target == png)
            written.append(str(path))
        values = image.data.values
        records[name] = {
            "shape": list(values.shape),
            "pixel": {
                "value": image.data.attrs["pixel_size_nm"], "error": None, "unit": "nm",
                "error_reason": "chosen",
            },
            "minimum": float(values.min()),
            "maximum": float(values.max()),
            "mean": float(values.mean()),
            "unit": image.data.attrs["units"],
            "notes": list(image.notes),
        }  # fmt: skip
        metadata = dict(image.metadata)
    console.document(
        {
            "source": Path(file).name,
            "engine": metadata["engine"],
            "atoms": metadata["atoms"],
            "view": metadata["setup"],
            "microscope": metadata.get("microscope"),
            "images": records,
            "output": written,
            "warnings": warnings,
        }
    )
    console.say(f"engine: {metadata['engine']}; {metadata['atoms']} atoms")
    rows = [
        [name, f"{r['shape'][1]} x {r['shape'][0]}", r["minimum"], r["maximum"], r["unit"] or "1"]
        for name, r in records.items()
    ]
    console.table(["image", "pixels", "lowest", "highest", "unit"], rows)
    for name in written:
        console.say(f"written: {name}")
    if not console.json:
        for note in dict.fromkeys(n for image in images.values() for n in image.notes):
            console.remark(f"note: {note}")
    for warning in warnings:
        console.warn(warning)


def _write(path: Path, image: Measurement, *, is_picture: bool) -> None:
    from heterodot.errors import OutputError
    from heterodot.files import replacing
    from heterodot.formats.images import write_tiff
    from heterodot.report.figures_em import image_figure

    kind = path.suffix.lower().lstrip(".")
    if is_picture:
        if kind not in ("png", "pdf", "svg"):
            raise OutputError(
                f"pictures are not written as '.{kind}'", file=path, remedy="take .png"
            )
        with replacing(path) as beside:
            image_figure(image).savefig(beside, format=kind, dpi=300)
    elif kind == "nc":
        image.write(path)
    else:
        write_tiff(path, image)
