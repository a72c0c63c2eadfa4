"""What all verbs share: --json, --quiet, --debug, tables, progress on stderr."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from heterodot.documents import plain

if TYPE_CHECKING:
    from heterodot.fitting import Fit

Function = TypeVar("Function", bound=Callable[..., Any])


class Console:
    """Where a verb shows things: one JSON document, or text for people.

    Attributes
    ----------
    schema : str
        ``"heterodot/<command>/<n>"``.
    json : bool
        One JSON document on stdout and nothing else there.
    quiet : bool
        No progress and no remarks.
    """

    def __init__(self, schema: str, as_json: bool, quiet: bool) -> None:
        self.schema = schema
        self.json = as_json
        self.quiet = quiet
        self._live: Any = None
        self._task: Any = None

    def document(self, content: dict[str, Any]) -> None:
        """Print the JSON document if it was asked for (schema first, plain numbers, no NaN)."""
        if self.json:
            text = json.dumps({"schema": self.schema, **plain(content)}, ensure_ascii=False)
            click.echo(text)

    def say(self, text: str = "") -> None:
        """Print a line of the result for people (not with --json)."""
        if not self.json:
            click.echo(text)

    def remark(self, text: str) -> None:
        """Print an aside on stderr (not with --quiet)."""
        if not self.quiet:
            self.end_progress()
            click.echo(text, err=True)

    def warn(self, text: str) -> None:
        """Print a warning on stderr, always."""
        self.end_progress()
        click.echo(f"warning: {text}", err=True)

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None
    ) -> None:
        """Print a table for people (not with --json)."""
        if self.json:
            return
        from rich.console import Console as Rich
        from rich.table import Table

        drawn = Table(title=title, title_justify="left", header_style="bold", box=None)
        cells = [[_cell(x) for x in row] for row in rows]
        for k, column in enumerate(columns):
            numeric = all(_numeric(row[k]) for row in cells) if cells else False
            drawn.add_column(column, justify="right" if numeric else "left", overflow="fold")
        for row in cells:
            drawn.add_row(*row)
        width = None if sys.stdout.isatty() else 160
        Rich(file=sys.stdout, width=width, highlight=False, markup=False).print(drawn)

    def fit(self, found: Fit) -> None:
        """Print a fit for people: how it ended, each parameter with its error, the statistic."""
        self.say(f"{found.model}: {found.message}")
        rows = []
        for p in found.parameters.values():
            between = "" if p.interval is None else f"{p.interval[0]:.5g} to {p.interval[1]:.5g}"
            rows.append([p.name, p.value, p.error, p.unit, between, "fixed" if p.fixed else p.note])
        self.table(["parameter", "value", "error", "unit", "95 %", "note"], rows)
        self.say(
            f"{found.statistic} {found.cost:.6g}, {found.dof} degrees of freedom, "
            f"ratio {found.reduced:.4g}"
        )

    def progress(self, doing: str, fraction: float) -> None:
        """Show progress on stderr; pass this as ``progress`` to long work."""
        if self.quiet or not sys.stderr.isatty():
            return
        if self._live is None:
            from rich.console import Console as Rich
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            self._live = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f} %"),
                TimeElapsedColumn(),
                console=Rich(file=sys.stderr),
                transient=True,
            )
            self._live.start()
            self._task = self._live.add_task(doing, total=1.0)
        self._live.update(self._task, description=doing, completed=min(max(fraction, 0.0), 1.0))

    def end_progress(self) -> None:
        """Take the progress bar away."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def verb(schema: str) -> Callable[[Function], Function]:
    """Give a click command --json, --quiet and --debug and a `Console` as first argument.

    Put it below the ``@click.command`` line and its options::

        @click.command()
        @click.argument("path")
        @verb("heterodot/inspect/1")
        def inspect(console: Console, path: str) -> None:
            '''Say what a particle file holds.'''
    """

    def decorate(function: Function) -> Function:
        @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
        @click.option("--quiet", "-q", is_flag=True, help="No progress, no remarks.")
        @click.option("--debug", is_flag=True, help="Show a traceback on errors.")
        @functools.wraps(function)
        def wrapped(*args: Any, as_json: bool, quiet: bool, debug: bool, **options: Any) -> Any:
            console = Console(schema, as_json, quiet)
            try:
                return function(console, *args, **options)
            finally:
                console.end_progress()

        return wrapped  # type: ignore[return-value]

    return decorate


def write_csv(path: str | Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Write a table as CSV (UTF-8, comma, header row), whole or not at all."""
    import csv
    import io

    from heterodot.files import write_text

    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([plain(x) for x in row])
    return write_text(path, stream.getvalue())


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def _numeric(text: str) -> bool:
    try:
        float(text.rstrip("%").replace("-", "0", 1) if text == "-" else text.rstrip("%"))
    except ValueError:
        return False
    return True
