"""The imports of the package keep to the floors of ARCHITECTURE.md."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import heterodot

SOURCE = Path(heterodot.__file__).parent
FLOORS = {
    **dict.fromkeys(
        [
            "errors",
            "files",
            "progress",
            "units",
            "charges",
            "crystal",
            "organic",
            "sites",
            "symmetry",
            "cif",
            "settings",
        ],
        0,
    ),
    **dict.fromkeys(["measurement", "documents", "catalog", "fitting"], 0),
    **dict.fromkeys(["energy", "epitaxy", "particle"], 1),
    **dict.fromkeys(["electronic", "synthesis"], 2),
    **dict.fromkeys(["probes", "formats"], 3),
    "refine": 4,
    **dict.fromkeys(["study", "report"], 5),
    **dict.fromkeys(["cli", "web"], 6),
    "__main__": 7,
}
# neighbors on one floor that may be used: (who, whom)
ARROWS = {
    ("particle", "epitaxy"),
    ("particle", "energy"),
    ("epitaxy", "energy"),
    ("probes", "formats"),
    ("study", "report"),
}


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "heterodot" and len(parts) > 1 and parts[1] in FLOORS:
                found.add(parts[1])
    return found


FILES = sorted(p for p in SOURCE.rglob("*.py") if p.name != "__init__.py" or p.parent != SOURCE)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_go_down_only(path: Path) -> None:
    room = room_of(path)
    assert room in FLOORS, f"{room} is on no floor: add it to ARCHITECTURE.md and here"
    for other in imports(path) - {room}:
        allowed = (
            FLOORS[other] < FLOORS[room]
            or FLOORS[room] == 0 == FLOORS[other]
            or (room, other) in ARROWS
        )
        assert allowed, f"{room} must not use {other}"


def test_nothing_below_the_study_plots_prints_or_unpickles() -> None:
    for path in FILES:
        floor = FLOORS[room_of(path)]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec"), path
                assert not (floor < 6 and node.func.id == "print"), path
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                root = name.split(".")[0]
                assert root not in ("pickle", "shelve", "marshal"), path
                assert not (floor < 5 and root in ("matplotlib", "plotly", "click", "rich")), path


def test_import_and_help_load_no_heavy_library() -> None:
    code = (
        "import sys, heterodot, heterodot.cli.main as m\n"
        "try: m.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy','scipy','numba','ase','xarray','pandas','pint','matplotlib','plotly',"
        "'pydantic','spglib','gemmi','rich','yaml'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_every_public_name_is_there() -> None:
    for name in heterodot.__all__:
        assert getattr(heterodot, name) is not None
