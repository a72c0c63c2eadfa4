"""The whole house: import, help, demo, size of the default install."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(*args: str) -> None:
    subprocess.run([sys.executable, *args], check=True, capture_output=True)


def test_import(benchmark):
    """Goal: under 0.5 s in a fresh process."""
    benchmark.pedantic(run, args=("-c", "import heterodot"), rounds=7, warmup_rounds=1)


def test_help(benchmark):
    """Goal: under 0.4 s."""
    args = ("-m", "heterodot.cli.main", "--help")
    benchmark.pedantic(run, args=args, rounds=7, warmup_rounds=1)


def test_demo(benchmark):
    """Goal: under 90 s on two cores and under 2 GiB; peak memory is in extra_info."""

    def demo() -> None:
        with tempfile.TemporaryDirectory() as folder:
            code = (
                "import resource, sys, json\n"
                "from heterodot.study import Study\n"
                f"Study.demo().run({folder!r})\n"
                "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
            )
            done = subprocess.run(
                [sys.executable, "-c", code], check=True, capture_output=True, text=True
            )
            benchmark.extra_info["peak_MiB"] = round(float(done.stdout.split()[-1]))

    benchmark.pedantic(demo, rounds=1)


@pytest.mark.skipif(
    "HETERODOT_BENCH_INSTALL" not in os.environ, reason="set HETERODOT_BENCH_INSTALL=1"
)
def test_default_install_size(benchmark):
    """Goal: under 700 MB, no torch; needs a package index, so only where asked for."""

    def install() -> None:
        with tempfile.TemporaryDirectory() as folder:
            venv.create(folder, with_pip=True)
            pip = [str(Path(folder) / "bin" / "python"), "-m", "pip"]
            # as the Makefile does; byte code of everything would add about 190 MB
            subprocess.run([*pip, "install", "-q", "--no-compile", str(ROOT)], check=True)
            listed = subprocess.run(
                [*pip, "list", "--format=json"], check=True, capture_output=True, text=True
            )
            names = {row["name"] for row in json.loads(listed.stdout)}
            assert "torch" not in names
            total = sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file())
            benchmark.extra_info["MB"] = round(total / 1e6)
            shutil.rmtree(folder, ignore_errors=True)

    benchmark.pedantic(install, rounds=1)
