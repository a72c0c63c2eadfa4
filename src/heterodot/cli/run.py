"""``heterodot run``, ``demo``, ``schema`` and ``cite``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from heterodot.cli.console import Console, verb

if TYPE_CHECKING:
    from heterodot.study import Study


@click.command()
@click.argument("study", type=click.Path())
@click.option("--out", "-o", type=click.Path(), help="Output folder [STUDY-results].")
@verb("heterodot/run/1")
def run(console: Console, study: str, out: str | None) -> None:
    """Run the stages of a STUDY file and write results and report.html.

    Stages whose results are there already are not run again; a run that was stopped goes on
    where it was.

    Example: heterodot run study.toml --out my-results
    """
    from heterodot.study import Study

    _run(console, Study.read(study), out)


@click.command()
@click.argument("name", default="cspbcl3-pbs")
@click.option("--list", "listed", is_flag=True, help="Show the bundled studies.")
@click.option(
    "--copy", "copy_to", type=click.Path(), help="Write the study file here, run nothing."
)
@click.option(
    "--out", "-o", type=click.Path(), default="heterodot-demo", show_default=True, help="Folder."
)
@verb("heterodot/run/1")
def demo(console: Console, name: str, listed: bool, copy_to: str | None, out: str) -> None:
    """Run a bundled study end to end: CsPbCl3/PbS, or another NAME of --list.

    \b
    heterodot demo --out heterodot-demo
    heterodot demo cspbbr3-cds --copy mine.toml
    """
    from heterodot.study import Study
    from heterodot.study.study import bundled

    if listed:
        console.document({"studies": bundled()})
        console.table(["name", "study"], list(bundled().items()))
        return
    study = Study.demo(name)
    if copy_to is not None:
        _copy(console, study, copy_to)
        return
    _run(console, study, out)


def _copy(console: Console, study: Study, path: str) -> None:
    from pathlib import Path

    from heterodot.errors import OutputError
    from heterodot.files import write_text

    if Path(path).exists():
        raise OutputError("is there already", file=path, remedy="choose another name")
    write_text(path, study.text)
    console.document({"file": path})
    console.say(f"wrote {path}; run it with: heterodot run {path}")


def _run(console: Console, study: Study, out: str | None) -> None:
    result = study.run(out, progress=console.progress)
    console.end_progress()
    console.document(result.to_json())
    report = result.stages["particle"].summary["report"]
    chosen = result.stages["epitaxy"].summary
    console.say(
        f"{report['formula']}: {report['atoms']} atoms, charge {report['charge']['value']:+g}"
    )
    console.say(f"relation (rank {chosen['chosen_rank']}): {chosen['chosen']['label']}")
    rows = [
        [name, "kept" if stage.reused else "run", f"{stage.seconds:.1f} s"]
        for name, stage in result.stages.items()
    ]
    console.table(["stage", "", "time"], rows)
    if result.comparison:
        console.table(
            ["quantity", "published", "computed", "difference"],
            [
                [row["what"], row["published_text"], row["computed_text"], row["difference_text"]]
                for row in result.comparison
            ],
        )
    console.say(f"report: {result.report}")


@click.command()
@verb("heterodot/schema/1")
def schema(console: Console) -> None:
    """Print the JSON Schema of the study file, for editors that complete and check TOML.

    Example: heterodot schema > heterodot-study.schema.json
    """
    from heterodot.study.settings import json_schema

    if console.json:
        console.document({"json_schema": json_schema()})
    else:
        click.echo(json.dumps(json_schema(), indent=2))


@click.command()
@verb("heterodot/cite/1")
def cite(console: Console) -> None:
    """Print how to cite Heterodot.

    The sources of the data that a study used are listed in its report.
    """
    from heterodot import __version__

    text = (
        f"The Heterodot developers, Heterodot {__version__}: a toolkit for colloidal nanocrystal "
        "heterostructures (2026). Please cite the sources that your report lists as well."
    )
    console.document({"text": text, "version": __version__})
    console.say(text)
