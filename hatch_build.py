"""Put the compiled catalog into the wheel, so that the first lookup is as fast as any other."""

from __future__ import annotations

import importlib.util
import sqlite3
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

DATA = "src/heterodot/catalog/data"


class CatalogHook(BuildHookInterface):
    """Compile the text under catalog/data; without PyYAML the first use does it instead."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write catalog.sqlite and add it to the wheel."""
        root = Path(self.root)
        spec = importlib.util.spec_from_file_location(
            "catalog_compile", root / "src/heterodot/catalog/compile.py"
        )
        assert spec is not None
        assert spec.loader is not None
        compiling = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(compiling)
        target = root / DATA / "catalog.sqlite"
        beside = target.with_suffix(".part")
        try:
            beside.unlink(missing_ok=True)
            database = sqlite3.connect(beside)
            compiling.fill(database, root / DATA, compiling.digest(root / DATA))
            database.close()
            beside.replace(target)
        except ImportError:
            beside.unlink(missing_ok=True)
            return
        build_data["artifacts"].append(f"{DATA}/catalog.sqlite")
