"""What the verbs of absorption, emission, temperature and photodetectors share: input, output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from heterodot.cli.console import Console, write_csv

FIGURES = (".svg", ".pdf", ".png")


def between(text: str | None, option: str = "--range") -> tuple[float, float] | None:
    """Return (low, high) of ``2.1:2.6``, None for None."""
    from heterodot.errors import InputError

    if text is None:
        return None
    parts = text.replace("..", ":").split(":")
    try:
        low, high = (float(part) for part in parts)
    except ValueError:
        raise InputError(
            f"'{text}' is not a range", place=option, remedy="give two numbers, e.g. 2.1:2.6"
        ) from None
    if not low < high:
        raise InputError(f"'{text}' is empty", place=option, remedy="give the lower end first")
    return low, high


def quantity(text: str | None, unit: str, option: str) -> Any:
    """Return the `Value` of ``"0.5 mW/cm^2"`` or ``"0.5+-0.1 mW/cm^2"``, None for None."""
    import re

    from heterodot.errors import InputError
    from heterodot.units import Value, parse

    if text is None:
        return None
    match = re.fullmatch(r"\s*([^±]+?)\s*(?:±|\+-|\+/-)\s*([\d.eE+-]+)\s*(.*)", text)
    if match is None:
        return Value(parse(text, unit, place=option), unit, None, "not stated")
    rest = match[3] or unit
    value = parse(f"{match[1]} {rest}", unit, place=option)
    error = parse(f"{match[2]} {rest}", unit, place=option)
    if error <= 0:
        raise InputError(f"'{text}' has no positive error", place=option)
    return Value(value, unit, error)


def load(console: Console, path: str, kind: str | None, sample: str | None = None) -> Any:
    """Return (measurement, spectrum over energy) of a file, and show what was assumed."""
    from heterodot.formats import read
    from heterodot.probes.spectrum import energy_spectrum

    measured = read(path, kind)
    for note in measured.notes:
        console.remark(f"{measured.source}: {note}")
    found = energy_spectrum(measured, sample_of(measured, sample))
    for note in found.notes:
        console.remark(f"{measured.source}: {note}")
    return measured, found


def _sample(text: str | None) -> str | int | None:
    if text is None:
        return None
    return int(text) - 1 if text.isdigit() and int(text) > 0 else text


def sample_of(measured: Any, text: str | None) -> str | int | None:
    """Return which sample ``--sample`` names: a name, or a number from one."""
    from heterodot.probes.spectrum import sample_names

    if text is not None and text in sample_names(measured):
        return text
    return _sample(text)


def deliver(
    console: Console,
    path: str | None,
    draw: Callable[[], Any],
    columns: Sequence[str],
    rows: Callable[[], Sequence[Sequence[Any]]],
) -> None:
    """Write a figure (.svg, .pdf, .png) or the curves behind it (.csv), by the suffix."""
    from heterodot.errors import OutputError

    if path is None:
        return
    suffix = Path(path).suffix.lower()
    if suffix in FIGURES:
        from heterodot.report.figures_light import save

        save(draw(), path)
    elif suffix == ".csv":
        write_csv(path, columns, rows())
    else:
        raise OutputError(
            f"files of type '{suffix or 'none'}' are not written here",
            file=path,
            remedy=f"give {', '.join(FIGURES)} or .csv",
        )
    console.say(f"written: {path}")


def warn_all(console: Console, warnings: Sequence[str]) -> None:
    """Print each warning once."""
    for text in dict.fromkeys(warnings):
        console.warn(text)


def source(measured: Any, path: str) -> dict[str, Any]:
    """Return the source part of a JSON document."""
    return {
        "source": Path(path).name,
        "sha256": measured.sha256,
        "kind": measured.kind,
        "notes": list(measured.notes),
    }
