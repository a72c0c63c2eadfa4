"""One asymmetric emission band and one Elliott-like peak fit beside lmfit, CPU seconds.

Needs ``pip install lmfit``; run with one thread: ``OMP_NUM_THREADS=1 python bench_light_lmfit.py``.
Both fit the same log-normal band on a constant to the same Poisson counts with the same weights.
"""

from __future__ import annotations

import statistics
import time

import lmfit
import numpy as np

from heterodot.probes.emission import band, fit_emission
from heterodot.probes.spectrum import Spectrum

ENERGY = np.linspace(1.9, 2.9, 501)


def model(x, energy, width, height, skew, background):
    return height * band("lognormal", x, energy, width, skew) + background


def cpu(work, repeats: int = 15) -> float:
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def main() -> None:
    truth = model(ENERGY, 2.40, 0.10, 1000.0, 0.1, 20.0)
    counts = np.random.default_rng(0).poisson(truth).astype(float)
    sigma = np.sqrt(np.maximum(counts, 1.0))
    spectrum = Spectrum(ENERGY, counts, sigma)

    def ours():
        return fit_emission(spectrum, bands=1)

    def theirs():
        fitted = lmfit.Model(model)
        start = fitted.make_params(energy=2.39, width=0.11, height=900, skew=0.05, background=20)
        start["width"].min, start["height"].min = 1e-3, 0
        return fitted.fit(counts, start, x=ENERGY, weights=1 / sigma, scale_covar=False)

    a, b = ours(), theirs()
    print("heterodot", a.peaks[0].energy, a.peaks[0].width, f"{1000 * cpu(ours):.1f} ms")
    found = b.params
    print(
        "lmfit",
        f"{found['energy'].value:.5f}({found['energy'].stderr:.5f})",
        f"{found['width'].value:.5f}({found['width'].stderr:.5f})",
        f"{1000 * cpu(theirs):.1f} ms",
    )


if __name__ == "__main__":
    main()
