"""Orientation searches of many pairs of phases: in parallel, resumable, one table at the end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heterodot.crystal import Crystal
from heterodot.errors import HeterodotError, InputError, MissingExtraError
from heterodot.files import replacing, write_text
from heterodot.progress import Progress, silent

if TYPE_CHECKING:
    from heterodot.epitaxy.relationship import OrientationRelationship


@dataclass(frozen=True)
class Limits:
    """What each search of a screen is asked.

    Attributes
    ----------
    max_index : int
    max_area : float
        Å².
    max_strain : float
    energies : int
        How many relations of each pair get energies.
    keep : int
        How many relations of each pair are kept.
    """

    max_index: int = 2
    max_area: float = 400.0
    max_strain: float = 0.03
    energies: int = 0
    keep: int = 20


def pair_key(one: Mapping[str, Any], two: Mapping[str, Any], limits: Limits) -> str:
    """Return the hash of everything that a pair's result depends on."""
    from heterodot import __version__

    text = json.dumps([one, two, asdict(limits), __version__], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def search_pair(
    one: Mapping[str, Any], two: Mapping[str, Any], limits: Limits
) -> list[dict[str, Any]]:
    """Return the rows of one pair (crystals as plain records); what failed is a row that says so.

    Runs in another process: plain data in and out.
    """
    from heterodot.epitaxy.orientations import search
    from heterodot.epitaxy.ranking import rank

    a, b = Crystal.from_record(one), Crystal.from_record(two)
    base = {"a": a.name, "b": b.name, "formula_a": a.formula, "formula_b": b.formula}
    try:
        found = search(
            a,
            b,
            max_index=limits.max_index,
            max_area=limits.max_area,
            max_strain=limits.max_strain,
        )
        note = "; ".join(found.notes)
        if limits.energies:
            try:
                found = rank(found, best=limits.energies)
            except HeterodotError as error:
                note = "; ".join(filter(None, [note, f"no energies: {error}"]))
    except HeterodotError as error:
        return [{**base, "rank": None, "note": str(error)}]
    return [{**base, **relation_row(r), "note": note} for r in found.matches[: limits.keep]]


def relation_row(relation: OrientationRelationship) -> dict[str, Any]:
    """Return a relation as one flat row of plain numbers and lists."""
    known = "adhesion" in relation.parts
    return {
        "rank": relation.rank,
        "plane_a": list(relation.plane_a),
        "plane_b": list(relation.plane_b),
        "direction_a": list(relation.direction_a),
        "direction_b": list(relation.direction_b),
        "direction2_a": list(relation.direction2_a),
        "direction2_b": list(relation.direction2_b),
        "rotation_b_to_a": [float(x) for x in relation.rotation.ravel()],
        "cell_a": [int(x) for x in relation.cell_a.ravel()],
        "cell_b": [int(x) for x in relation.cell_b.ravel()],
        "area_A2": relation.area,
        "mismatch_1": float(relation.mismatch[0]),
        "mismatch_2": float(relation.mismatch[1]),
        "strain_max": relation.strain_max,
        "score": relation.score,
        "registry": float(relation.parts["registry"]),
        "cation_registry": float(relation.parts["cation_registry"]),
        "imbalance_e_A2": float(relation.parts["imbalance"]),
        "elastic_eV_A2": float(relation.parts["elastic"]),
        "bonding": float(relation.parts["bonding"]) if known else None,
        "adhesion_eV_A2": float(relation.parts["adhesion"]) if known else None,
        "interface_eV_A2": float(relation.parts["interface"]) if known else None,
    }


def screen(
    list_a: Sequence[Crystal],
    list_b: Sequence[Crystal],
    output: str | Path,
    *,
    limits: Limits | None = None,
    executor: Executor | None = None,
    shard: tuple[int, int] = (1, 1),
    progress: Progress = silent,
) -> dict[str, Any]:
    """Search every pair of two lists of crystals and write one Parquet table.

    The rows of a pair are kept as they come in ``<output>.parts/``, under the hash of crystals,
    limits and version; a screen that was stopped takes up where it was, and the table is written
    once all pairs of all shards are there.

    Parameters
    ----------
    list_a, list_b : sequences of Crystal
        A pair of a crystal with itself is left out.
    output : path
        The Parquet file.
    limits : Limits, optional
    executor : Executor, optional
        Runs the pairs (a process pool, or a Dask client's ``get_executor()``); here, one after
        the other, if not given.
    shard : (i, n)
        Work on every n-th pair only, counted from 1, for job arrays.
    progress : Progress

    Returns
    -------
    dict
        ``pairs``, ``done`` (before this run), ``searched``, ``failed`` (rows that say why),
        ``rows``, ``complete``, ``output``.

    Raises
    ------
    InputError
        An empty list or a shard out of range.
    MissingExtraError
        pyarrow is not installed.
    OutputError
        The table or its parts cannot be written.
    """
    check_parquet()
    limits = limits or Limits()
    if not list_a or not list_b:
        raise InputError("a list of phases is empty", place="screen", remedy="name phases")
    part, parts = shard
    if not 1 <= part <= parts:
        raise InputError(
            f"shard {part}/{parts} is out of range", remedy="give i/N with 1 <= i <= N"
        )
    folder = Path(f"{output}.parts")
    jobs = []
    for one in list_a:
        for two in list_b:
            if one.name == two.name:
                continue
            records = one.to_record(), two.to_record()
            jobs.append((*records, folder / f"{pair_key(*records, limits)}.json"))
    own = jobs[part - 1 :: parts]
    waiting = [job for job in own if not _whole(job[2])]
    _run(waiting, limits, executor, progress, total=len(own))
    complete = all(_whole(job[2]) for job in jobs)
    rows: list[dict[str, Any]] = []
    if complete:
        for _, _, file in jobs:
            rows.extend(json.loads(file.read_text(encoding="utf-8"))["rows"])
        write_parquet(output, rows)
    return {
        "pairs": len(jobs),
        "done": len(own) - len(waiting),
        "searched": len(waiting),
        "failed": sum(row["rank"] is None for row in rows),
        "rows": len(rows),
        "complete": complete,
        "output": str(output) if complete else None,
    }


def _whole(file: Path) -> bool:
    """Whether a pair's rows are there and whole; a damaged file counts as missing."""
    try:
        return isinstance(json.loads(file.read_text(encoding="utf-8"))["rows"], list)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _run(
    waiting: list[tuple[dict[str, Any], dict[str, Any], Path]],
    limits: Limits,
    executor: Executor | None,
    progress: Progress,
    *,
    total: int,
) -> None:
    done = total - len(waiting)

    def keep(file: Path, rows: list[dict[str, Any]]) -> None:
        nonlocal done
        write_text(file, json.dumps({"rows": rows}))
        done += 1
        progress(f"{done} of {total} pairs", done / max(total, 1))

    if executor is None:
        for one, two, file in waiting:
            keep(file, search_pair(one, two, limits))
        return
    futures: dict[Future[list[dict[str, Any]]], Path] = {
        executor.submit(search_pair, one, two, limits): file for one, two, file in waiting
    }
    try:
        for future in as_completed(futures):
            keep(futures[future], future.result())
    except BaseException:
        for future in futures:
            future.cancel()
        raise


def check_parquet() -> None:
    """Refuse early where pyarrow is missing.

    Raises
    ------
    MissingExtraError
    """
    import importlib.util

    if importlib.util.find_spec("pyarrow") is None:
        raise MissingExtraError(
            "pyarrow is not installed", place="screen", remedy="pip install 'heterodot[cluster]'"
        )


def write_parquet(output: str | Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows as Parquet, whole or not at all; columns that a row lacks are null."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, None] = {}
    for row in rows:
        columns.update(dict.fromkeys(row))
    table = pa.table({key: [row.get(key) for row in rows] for key in columns})
    with replacing(output) as beside:
        pq.write_table(table, beside)
    return Path(output)
