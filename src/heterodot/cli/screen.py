"""``heterodot screen``: the orientation search for every pair of two lists of phases."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import click

from heterodot.cli.console import Console, verb


def phases(text: str) -> list[Any]:
    """Return the crystals of a list: names with commas, a text file, a folder of CIFs, or all."""
    from heterodot.catalog import crystal_or_file
    from heterodot.errors import InputError
    from heterodot.files import read_text

    path = Path(text)
    if text == "all":
        from heterodot.catalog import phase_names

        found = []
        for name in phase_names():
            with contextlib.suppress(InputError):  # phases whose sites are not known
                found.append(crystal_or_file(name)[0])
        return found
    if path.is_dir():
        names = [str(file) for file in sorted(path.glob("*.cif"))]
        if not names:
            raise InputError("has no .cif files", file=path, remedy="give a folder that has some")
    elif path.is_file() and path.suffix.lower() != ".cif":
        names = [line.split("#")[0].strip() for line in read_text(path).splitlines()]
    else:
        names = text.split(",")
    return [crystal_or_file(name.strip())[0] for name in names if name.strip()]


def parse_shard(text: str) -> tuple[int, int]:
    """Return (i, n) of a text such as ``2/8``."""
    from heterodot.errors import InputError

    try:
        part, parts = (int(x) for x in text.split("/"))
    except ValueError:
        raise InputError(f"'{text}' is not a shard", place="--shard", remedy="write 2/8") from None
    return part, parts


@contextlib.contextmanager
def workers(number: int, scheduler: str | None) -> Iterator[tuple[Executor | None, str]]:
    """Give an executor: Dask on this machine or at a scheduler's address, else a process pool."""
    from heterodot.errors import InputError, MissingExtraError

    if number == 1 and scheduler is None:
        yield None, "one process"
        return
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        if scheduler is not None:
            raise MissingExtraError(
                "dask is not installed",
                place="--scheduler",
                remedy="pip install 'heterodot[cluster]'",
            ) from None
        from concurrent.futures import ProcessPoolExecutor

        with ProcessPoolExecutor(number) as pool:
            yield pool, f"a pool of {number} processes"
        return
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout="15s")
        except (OSError, ValueError) as error:
            raise InputError(
                f"no Dask scheduler answers at {scheduler}",
                place="--scheduler",
                remedy="check the address, e.g. tcp://node:8786",
            ) from error
        with client:
            yield client.get_executor(), f"Dask at {scheduler}"
        return
    with (
        LocalCluster(
            n_workers=number, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client.get_executor(), f"Dask, {number} workers here"


@click.command()
@click.argument("list_a", metavar="LIST_A")
@click.argument("list_b", metavar="LIST_B")
@click.option("-o", "--output", default="screen.parquet", show_default=True, type=click.Path())
@click.option("--max-index", default=2, show_default=True, help="Largest Miller index.")
@click.option("--max-area", default="400", show_default=True, help="Coincidence cell, Å².")
@click.option("--max-strain", default="3", show_default=True, help="Principal strain, percent.")
@click.option("--energies", default=0, show_default=True, help="Relations of a pair with energies.")
@click.option("--keep", default=20, show_default=True, help="Relations kept of each pair.")
@click.option("--workers", "number", default=2, show_default=True, help="Processes here.")
@click.option("--scheduler", help="Address of a Dask scheduler, e.g. tcp://node:8786.")
@click.option("--shard", default="1/1", show_default=True, help="i/N: every N-th pair (job array).")
@verb("heterodot/screen/1")
def screen(
    console: Console,
    list_a: str,
    list_b: str,
    output: str,
    max_index: int,
    max_area: str,
    max_strain: str,
    energies: int,
    keep: int,
    number: int,
    scheduler: str | None,
    shard: str,
) -> None:
    """Search every pair of two lists of phases; write a Parquet table.

    A list is names with commas, a text file with one name or CIF path a line, a folder of CIFs,
    or 'all'. A screen that was stopped takes up where it was.

    Example: heterodot screen CsPbCl3_cubic,CsPbBr3_cubic PbS,CdS -o pairs.parquet
    """
    from heterodot.cli.epitaxy import fraction
    from heterodot.epitaxy.screening import Limits, check_parquet
    from heterodot.epitaxy.screening import screen as run
    from heterodot.errors import InputError
    from heterodot.units import parse

    check_parquet()
    if number < 1:
        raise InputError(f"{number} workers", place="--workers", remedy="give 1 or more")
    limits = Limits(
        max_index,
        parse(max_area, "angstrom^2", place="--max-area"),
        fraction(max_strain),
        energies,
        keep,
    )
    one, two = phases(list_a), phases(list_b)
    with workers(number, scheduler) as (executor, how):
        console.remark(f"{len(one)} x {len(two)} phases with {how}")
        done = run(
            one,
            two,
            output,
            limits=limits,
            executor=executor,
            shard=parse_shard(shard),
            progress=console.progress,
        )
    console.document(done)
    console.say(
        f"{done['pairs']} pairs: {done['searched']} searched, {done['done']} were there"
        + (f", {done['failed']} without a match" if done["failed"] else "")
    )
    if done["complete"]:
        console.say(f"wrote {output} ({done['rows']} rows)")
    else:
        console.say("run the other shards, then this one again, for the table")
