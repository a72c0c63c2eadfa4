"""Side by side, in CPU seconds: our Debye pattern and that of DebyeCalculator on the same atoms.

Run in an environment with both installed::

    pip install torch==2.13.0 DebyeCalculator && pip install -e .
    OMP_NUM_THREADS=1 python benchmarks/peers/xrd_debye.py 22

The argument is the number of atoms along the edge of a PbS cube with displacements of 0.05 Å.
Both make 2500 points of Cu K-alpha1 from 10 to 60 degrees; ours states its error, theirs is in
single precision with distances binned.
"""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace

import numpy as np


def body(edge: int) -> SimpleNamespace:
    grid = np.stack(np.meshgrid(*[np.arange(edge)] * 3, indexing="ij"), -1).reshape(-1, 3)
    shake = np.random.default_rng(0).normal(0, 0.05, grid.shape)
    symbols = np.where(grid.sum(1) % 2 == 0, "Pb", "S")
    return SimpleNamespace(symbols=tuple(symbols), positions=grid * 2.968 + shake)


def ours(particle: SimpleNamespace) -> tuple[np.ndarray, np.ndarray]:
    from heterodot.probes.xrd import XrdSetup, simulate

    setup = XrdSetup("CuKa1", range=(10, 60), points=2500, b_iso=0.0, dispersion=False)
    found = simulate(particle, setup).data
    return found["q"].values, found.values / setup.polarization_factor(setup.two_theta)


def theirs(particle: SimpleNamespace) -> tuple[np.ndarray, np.ndarray]:
    import torch
    from debyecalculator import DebyeCalculator

    torch.set_num_threads(1)
    low, high = 4 * np.pi * np.sin(np.radians([5.0, 30.0])) / 1.5405929
    step = (high - low) / 2499
    calculator = DebyeCalculator(
        qmin=low, qmax=high + step / 2, qstep=step, biso=0.0, device="cpu", rmax=20
    )
    found = calculator.iq((list(particle.symbols), particle.positions))
    return np.asarray(calculator.q.squeeze()), np.asarray(found.i)


def timed(function: object, *args: object) -> tuple[object, float]:
    start = time.process_time()
    result = function(*args)  # type: ignore[operator]
    return result, time.process_time() - start


def main() -> None:
    particle = body(int(sys.argv[1]) if len(sys.argv) > 1 else 22)
    small = body(4)
    (q, y), mine = timed(ours, particle) if ours(small) else ((None, None), 0.0)
    print(f"heterodot        {len(particle.symbols)} atoms  {mine:.2f} CPU s")
    theirs(small)
    (q2, y2), other = timed(theirs, particle)
    y2 = np.interp(q, q2, y2)
    y2 *= (y @ y2) / (y2 @ y2)
    print(f"DebyeCalculator  {len(particle.symbols)} atoms  {other:.2f} CPU s")
    print(f"ratio {other / mine:.1f}, largest difference {np.abs(y - y2).max() / y.max():.1e}")


if __name__ == "__main__":
    main()
