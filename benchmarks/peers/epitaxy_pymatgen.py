"""Side by side, in CPU seconds: our orientation search and pymatgen's SubstrateAnalyzer.

Ours runs in this interpreter, the peer in the one that PEER_PYTHON names (this one if unset)::

    python -m venv peer && peer/bin/pip install pymatgen
    PEER_PYTHON=peer/bin/python OMP_NUM_THREADS=1 python benchmarks/peers/epitaxy_pymatgen.py

Same limits: 400 Å², 3 %. What is counted differs: the peer lists every pair of supercells whose
lengths agree within 3 % and whose areas agree within 9 %, on meshes of conventional cells; ours
lists each rotation once, with both principal strains within 3 %, on primitive meshes.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time

REPEATS = 3
PEER = """
import json, statistics, sys, time, warnings
warnings.filterwarnings("ignore")
from pymatgen.analysis.interfaces import SubstrateAnalyzer
from pymatgen.core import Lattice, Structure
make = Structure.from_spacegroup
film = make("Pm-3m", Lattice.cubic(5.874), ["Cs", "Pb", "Br"], [[0,0,0],[.5,.5,.5],[.5,.5,0]])
base = make("Fm-3m", Lattice.cubic(5.936), ["Pb", "S"], [[0,0,0],[.5,.5,.5]])
for index in (1, 2, 3):
    times = []
    for _ in range(int(sys.argv[1])):
        start = time.process_time()
        analyzer = SubstrateAnalyzer(max_area_ratio_tol=0.09, max_area=400, max_length_tol=0.03,
            max_angle_tol=0.01, film_max_miller=index, substrate_max_miller=index)
        found = list(analyzer.calculate(film, base, lowest=False))
        times.append(time.process_time() - start)
    pairs = {(tuple(m.film_miller), tuple(m.substrate_miller)) for m in found}
    print(json.dumps({"index": index, "cpu": statistics.median(times), "rows": len(found),
                      "pairs": len(pairs)}), flush=True)
"""


def ours(index: int) -> dict[str, float]:
    from heterodot.catalog import crystal
    from heterodot.epitaxy import search

    search(crystal("CsPbBr3_cubic"), crystal("PbS"), max_index=1)  # compile, as once a machine
    times = []
    for _ in range(REPEATS):
        # fresh crystals, so that symmetry is found anew each time as the peer does
        a, b = crystal("CsPbBr3_cubic").replace(), crystal("PbS").replace()
        start = time.process_time()
        found = search(a, b, max_index=index)
        times.append(time.process_time() - start)
    return {
        "index": index,
        "cpu": statistics.median(times),
        "rows": len(found),
        "pairs": found.matched_pairs,
    }


def main() -> None:
    python = os.environ.get("PEER_PYTHON", sys.executable)
    done = subprocess.run(
        [python, "-c", PEER, str(REPEATS)], capture_output=True, text=True, check=False
    )
    peer = {row["index"]: row for row in map(json.loads, done.stdout.splitlines())}
    if done.returncode:
        print("pymatgen is not there:", done.stderr.strip().splitlines()[-1], file=sys.stderr)
    for index in (1, 2, 3):
        mine = ours(index)
        line = (
            f"index {index}: ours {mine['cpu']:.3f} CPU s, {mine['rows']} relations of "
            f"{mine['pairs']} plane pairs"
        )
        if index in peer:
            other = peer[index]
            line += (
                f"; pymatgen {other['cpu']:.2f} CPU s, {other['rows']} rows of {other['pairs']} "
                f"plane pairs; ratio {other['cpu'] / mine['cpu']:.0f}"
            )
        print(line)


if __name__ == "__main__":
    main()
