"""Run every side-by-side comparison, each in an environment of its own under .peers/.

Usage: python benchmarks/peers/run.py [NAME ...]      (make bench-peers runs all)

Environments are made once and kept. A comparison prints CPU seconds of both tools on the same work,
made in the same run on this machine; one that cannot be installed is said and left out.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# name -> (requirements in the order of installation, script and arguments)
COMPARISONS: dict[str, tuple[list[str], list[list[str]]]] = {
    "epitaxy": (["pymatgen"], [["epitaxy_pymatgen.py"]]),
    "particle": (["WulffPack"], [["particle_wulffpack.py"]]),
    "confinement": (["pyamg"], [["plain_confinement.py", "2.0", "lobpcg"]]),
    "xrd": (["torch==2.13.0", "DebyeCalculator"], [["xrd_debye.py", "22"]]),
    "decay": (["iminuit", "lmfit"], [["time_decay_iminuit.py"]]),
    "ta": (["pyglotaran==0.7.5"], [["time_ta_pyglotaran.py"]]),
    "light": (["lmfit"], [["bench_light_lmfit.py"]]),
    "segmentation": (["scikit-image"], [["segmentation_skimage.py"]]),
}


def environment(name: str, requirements: list[str]) -> Path:
    """Make (once) and return the interpreter of a comparison."""
    folder = ROOT / ".peers" / name
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        for requirement in [*requirements, str(ROOT)]:
            subprocess.run([python, "-m", "pip", "install", "-q", requirement], check=True)
        (folder / ".ready").touch()
    return python


def main(names: list[str]) -> int:
    """Run the comparisons named (all if none)."""
    failed = 0
    for name in names or list(COMPARISONS):
        requirements, scripts = COMPARISONS[name]
        print(f"== {name}: beside {', '.join(requirements)}", flush=True)
        try:
            python = environment(name, requirements)
            for script in scripts:
                subprocess.run(
                    [python, HERE / script[0], *script[1:]],
                    check=True,
                    env={**os.environ, "OMP_NUM_THREADS": "1", "PEER_PYTHON": str(python)},
                )
        except subprocess.CalledProcessError as error:
            failed += 1
            print(f"   left out: {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
