"""Single rock-salt bodies: WulffPack and ASE beside Heterodot, in CPU seconds.

WulffPack carves one crystal without regard to charge; the comparison says what neutrality and
checks cost on top. Run with `python particle_wulffpack.py` in an environment that has both.
"""

from __future__ import annotations

import sys
import time


def main() -> None:
    """Print atoms, net formal charge and CPU seconds of both."""
    from heterodot.particle import build, report

    for diameter in (4.0, 8.0, 12.0):
        start = time.process_time()
        particle = build("PbS", "cube", f"{diameter} nm", passivator="Cl")
        built = time.process_time() - start
        start = time.process_time()
        found = report(particle)
        checked = time.process_time() - start
        print(
            f"heterodot {len(particle):7d} atoms, charge {particle.net_charge:+5.0f}, "
            f"build {built:6.3f} s, checks {checked:6.3f} s, passed {found['passed']}"
        )
        try:
            import numpy as np
            from ase.build import bulk
            from wulffpack import SingleCrystal
        except ImportError:
            print("wulffpack is not installed here", file=sys.stderr)
            continue
        primitive = bulk("PbS", "rocksalt", a=5.936)
        start = time.process_time()
        other = SingleCrystal(
            {(1, 0, 0): 1.0}, primitive_structure=primitive, natoms=len(particle)
        ).atoms
        spent = time.process_time() - start
        charges = np.where(np.array(other.get_chemical_symbols()) == "Pb", 2, -2)
        print(
            f"wulffpack {len(other):7d} atoms, charge {int(charges.sum()):+5d}, build {spent:6.3f} s"
        )


if __name__ == "__main__":
    main()
