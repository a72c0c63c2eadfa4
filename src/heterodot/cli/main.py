"""The ``heterodot`` command: verbs are imported only when they are called."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

# verb -> (module, one line of help); `--help` reads this table and imports nothing else.
VERBS: dict[str, tuple[str, str]] = {
    "demo": ("heterodot.cli.run", "Run the bundled study CsPbCl3/PbS."),
    "run": ("heterodot.cli.run", "Run the stages of a study file."),
    "schema": ("heterodot.cli.run", "Print the JSON Schema of the study file."),
    "phases": ("heterodot.cli.catalog", "List, show or add crystal phases."),
    "lookup": ("heterodot.cli.catalog", "Look up a physical value with its source."),
    "literature": ("heterodot.cli.catalog", "Search the published results."),
    "check": ("heterodot.cli.check", "Recompute what a record states and report slips."),
    "epitaxy": ("heterodot.cli.epitaxy", "Search orientation relationships of two crystals."),
    "screen": ("heterodot.cli.screen", "Search every pair of two lists of phases."),
    "build": ("heterodot.cli.build", "Build a particle."),
    "inspect": ("heterodot.cli.inspect", "Say what a particle file holds."),
    "exchange": ("heterodot.cli.exchange", "Exchange ions in one domain."),
    "passivate": ("heterodot.cli.passivate", "Attach ligands."),
    "export": ("heterodot.cli.export", "Write a particle for another program."),
    "relax": ("heterodot.cli.relax", "Relax a particle."),
    "electronic": ("heterodot.cli.electronic", "Levels, localization and alignment."),
    "transfer": ("heterodot.cli.transfer", "Charge-transfer rates."),
    "trajectory": ("heterodot.cli.trajectory", "Gaps and populations along dynamics."),
    "dos": ("heterodot.cli.dos", "Density of states by domain from a calculation."),
    "simulate": ("heterodot.cli.simulate", "What an instrument would see of a particle."),
    "fit": ("heterodot.cli.fit", "Fit a measured file."),
    "convert": ("heterodot.cli.convert", "Read an instrument's file, write NetCDF."),
    "segment": ("heterodot.cli.segment", "Find and size particles in an image."),
    "cite": ("heterodot.cli.run", "Print how to cite Heterodot."),
}


class Verbs(click.Group):
    """A group whose verbs live in modules that are imported on call.

    Parameters
    ----------
    verbs : mapping of verb to (module, help line)
        The command is the function of that module named like the verb, ``-`` written as ``_``.
    """

    def __init__(self, *args: Any, verbs: dict[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of the way through the house."""
        return [verb for verb, (module, _) in self.verbs.items() if _exists(module)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's module and return its command."""
        if cmd_name not in self.verbs or not _exists(self.verbs[cmd_name][0]):
            return None
        import importlib

        module = importlib.import_module(self.verbs[cmd_name][0])
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest verb for one that is not known."""
        if args and args[0] not in self.verbs and not args[0].startswith("-"):
            from heterodot.errors import nearest

            close = nearest(args[0], self.list_commands(ctx), n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            ctx.fail(f"There is no command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List verbs from the table, without importing them."""
        rows = [(verb, self.verbs[verb][1]) for verb in self.list_commands(ctx)]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def _exists(module: str) -> bool:
    from pathlib import Path

    return (Path(__file__).parent / f"{module.rsplit('.', 1)[-1]}.py").is_file()


@click.group(cls=Verbs, verbs=VERBS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="heterodot", prog_name="heterodot")
def cli() -> None:
    """Colloidal nanocrystal heterostructures, from orientation search to fits.

    Start with 'heterodot demo', then open report.html in the folder that it names.
    Every command takes --json, --quiet and --debug.
    """


def main(args: list[str] | None = None) -> Any:
    """Run the command line; exit codes are 0, 2, 3, 4, 5 as ARCHITECTURE.md lists them."""
    from heterodot.errors import HeterodotError

    argv = sys.argv[1:] if args is None else args
    debug = "--debug" in argv
    try:
        result = cli.main(args=argv, prog_name="heterodot", standalone_mode=False)
        sys.exit(result if isinstance(result, int) else 0)
    except HeterodotError as error:
        if debug:
            raise
        _complain(str(error))
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _complain("stopped; finished stages and files are kept")
        if args is None:
            # an interrupt that hit code run by exec() would make Python end by the signal instead
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(130)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except MemoryError:
        if debug:
            raise
        _complain("not enough memory; take a smaller particle, grid or search limit")
        sys.exit(3)
    except OSError as error:
        if debug:
            raise
        _complain(f"{error.filename or 'a file'}: {error.strerror or error}; check path and space")
        sys.exit(3)


def _complain(text: str) -> None:
    click.echo(f"heterodot: {text}", err=True)


if __name__ == "__main__":
    main()
