"""A study: one TOML file, its stages, what is kept and where it came from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heterodot.documents import plain
from heterodot.errors import InputError, OutputError, nearest
from heterodot.files import read_text, write_text
from heterodot.progress import Progress, silent
from heterodot.study.provenance import record
from heterodot.study.settings import Settings, read_settings
from heterodot.study.stages import STAGES, Job, Stage
from heterodot.study.store import StageResult, Store, content_hash

DATA = Path(__file__).parent / "data"

# what a user wants to find at once, and the stage that made it
PRODUCTS = {
    "particle.xyz": ("particle", "built.xyz"),
    "particle.cif": ("particle", "built.cif"),
    "relaxed.xyz": ("energy", "relaxed.xyz"),
    "epitaxy.csv": ("epitaxy", "epitaxy.csv"),
    "levels.json": ("electronic", "levels.json"),
    "xrd.xy": ("xrd", "xrd.xy"),
    "xrd.nc": ("xrd", "xrd.nc"),
}


@dataclass(frozen=True)
class StudyResult:
    """What a run of a study gave.

    Attributes
    ----------
    out : Path
        The output folder.
    stages : mapping of name to StageResult
    report : Path
        The page.
    comparison : tuple of dict
        Rows published / computed / difference.
    provenance : mapping
        Time, versions, machine, seed, inputs with hashes, run times.
    """

    out: Path
    stages: Mapping[str, StageResult]
    report: Path
    comparison: tuple[dict[str, Any], ...]
    provenance: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return the summary of every stage, the comparison and the provenance as plain data."""
        return {
            "out": str(self.out),
            "report": str(self.report),
            "stages": {
                name: {
                    "key": stage.key,
                    "folder": f"stages/{stage.folder.name}",
                    "files": list(stage.files),
                    "seconds": stage.seconds,
                    "reused": stage.reused,
                    "summary": dict(stage.summary),
                }
                for name, stage in self.stages.items()
            },
            "comparison": list(self.comparison),
            "provenance": dict(self.provenance),
        }


@dataclass(frozen=True)
class Study:
    """A study file that was read and checked.

    Attributes
    ----------
    settings : Settings
    path : Path
        Where it was read from; relative paths in it start from its folder.
    text : str
        The file as it was.

    Examples
    --------
    >>> Study.demo().settings.crystals.a
    'CsPbCl3'
    """

    settings: Settings
    path: Path
    text: str

    @classmethod
    def read(cls, path: str | Path) -> Study:
        """Read and check a study file.

        Raises
        ------
        InputError
            As `heterodot.study.settings.read_settings` says.
        """
        return cls(read_settings(path), Path(path), read_text(path))

    @classmethod
    def demo(cls, name: str = "cspbcl3-pbs") -> Study:
        """Return a bundled study by its name; see `bundled`.

        Raises
        ------
        InputError
            There is no such study.
        """
        known = bundled()
        if name not in known:
            close = nearest(name, known) or list(known)
            raise InputError(
                f"'{name}' is not a bundled study", remedy=f"choose among {', '.join(close)}"
            )
        return cls.read(DATA / f"{name}.toml")

    def run(self, out: str | Path | None = None, *, progress: Progress = silent) -> StudyResult:
        """Run every stage that has no whole result yet, and write the report.

        Parameters
        ----------
        out : str or Path, optional
            Output folder; ``<name of the study file>-results`` beside the working directory if
            left out. Results of other settings in it are kept.
        progress : Progress
            Told what runs and how far it is.

        Returns
        -------
        StudyResult

        Raises
        ------
        HeterodotError
            Of the stage that failed; the results of earlier stages are kept and taken next time.
        """
        from heterodot.catalog import crystal_or_file
        from heterodot.study.comparison import check, compare
        from heterodot.study.page import write_report

        folder = Path(out) if out is not None else Path(f"{self.path.stem}-results")
        progress("reading crystals", 0.0)
        crystals = {}
        taken = {}
        for key in ("a", "b"):
            name = getattr(self.settings.crystals, key)
            try:
                crystals[key], taken[key] = crystal_or_file(name, base=self.path.parent)
            except InputError as error:
                # a CIF names itself; a catalog name is a fault of the study file
                raise error.at(file=self.path, place=f"crystals.{key}") from error
        try:
            check(self.settings)
        except InputError as error:
            raise error.at(file=self.path) from error
        store = Store(folder)
        done: dict[str, StageResult] = {}
        for n, stage in enumerate(STAGES):
            key = self._key(stage, crystals, done)

            def advance(doing: str, fraction: float, n: int = n, name: str = stage.name) -> None:
                progress(f"{name}: {doing}", (n + min(fraction, 1.0)) / (len(STAGES) + 1))

            advance("starting", 0.0)

            def work(place: Path, stage: Stage = stage, advance: Progress = advance) -> Any:
                return stage.work(
                    Job(
                        place,
                        self.settings,
                        crystals["a"],
                        crystals["b"],
                        taken,
                        done,
                        advance,
                        self.path.parent,
                    )
                )

            done[stage.name] = store.make(stage.name, key, work)
        progress("report", len(STAGES) / (len(STAGES) + 1))
        rows = tuple(compare(self.settings, done))
        provenance = record(
            seed=self.settings.study.seed,
            study={"file": self.path.name, "sha256": content_hash(self.text)},
            inputs=taken,
            seconds={name: stage.seconds for name, stage in done.items()},
            keys={name: stage.key for name, stage in done.items()},
        )
        _copy_products(folder, done)
        write_text(folder / "study.toml", self.text)
        result = StudyResult(folder, done, folder / "report.html", rows, provenance)
        write_text(folder / "results.json", json.dumps(plain(result.to_json()), indent=1))
        write_report(result, self.settings, self.text)
        _append_history(folder, provenance)
        progress("done", 1.0)
        return result

    def _key(
        self, stage: Stage, crystals: Mapping[str, Any], done: Mapping[str, StageResult]
    ) -> str:
        """Hash of everything that a stage's result depends on."""
        from heterodot import __version__

        return content_hash(
            {
                "stage": stage.name,
                "version": [__version__, stage.version],
                "settings": plain(stage.depends(self.settings)),
                "crystals": {key: plain(crystal.to_record()) for key, crystal in crystals.items()},
                "needs": {name: done[name].key for name in stage.needs},
            }
        )


def bundled() -> dict[str, str]:
    """Return the names of the studies that come with the package, and their titles.

    Examples
    --------
    >>> bundled()["cspbbr3-cds"]
    'CsPbBr3/CdS Janus'
    """
    import tomllib

    return {
        path.stem: tomllib.loads(path.read_text(encoding="utf-8"))["study"]["title"]
        for path in sorted(DATA.glob("*.toml"))
    }


def _copy_products(folder: Path, done: Mapping[str, StageResult]) -> None:
    """Put what a user wants first at the top of the output folder."""
    from heterodot.files import replacing

    for name, (stage, file) in PRODUCTS.items():
        if file in done[stage].files:
            with replacing(folder / name) as beside:
                shutil.copyfile(done[stage].path(file), beside)


def _append_history(folder: Path, provenance: Mapping[str, Any]) -> None:
    """Add this run to the folder's history, which is only ever added to."""
    try:
        with open(folder / "history.jsonl", "a", encoding="utf-8") as stream:
            stream.write(json.dumps(plain(dict(provenance))) + "\n")
    except OSError as error:
        raise OutputError(
            f"cannot be written ({error.strerror or error})", file=folder / "history.jsonl"
        ) from error
