"""iminuit (Poisson) and lmfit (1/N weights) on the histograms of `time_data`.

Run beside `test_bench_time.py` on one machine; needs ``pip install iminuit lmfit``.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from iminuit import Minuit
from scipy.signal import lfilter
from time_data import BINS, CASES, WIDTH, decay

X = np.arange(BINS, dtype=float)
START = {2: [3e4, 3e4, 0.5, 20.0, 0.0, 1.0], 3: [2e4, 2e4, 2e4, 0.4, 3.0, 30.0, 0.0, 1.0]}


def model(p, n, irf):
    moved = np.interp(X - p[2 * n], X, irf, left=0, right=0)
    y = np.full(BINS, p[2 * n + 1])
    for i in range(n):
        r = np.exp(-WIDTH / p[n + i])
        y = y + p[i] * lfilter([1 - r], [1, -r], moved)
    return y


def by_minuit(y, n, irf):
    def deviance(p):
        m = np.maximum(model(p, n, irf), 1e-12)
        return 2 * np.sum(m - y + np.where(y > 0, y * np.log(np.maximum(y, 1) / m), 0))

    deviance.errordef = 1.0
    peer = Minuit(deviance, START[n])
    peer.limits = [(0, None)] * n + [(0.01, 500)] * n + [(-20, 20), (0, None)]
    peer.migrad()
    peer.hesse()
    return np.array(peer.values)


def by_lmfit(y, n, irf):
    import lmfit

    p = lmfit.Parameters()
    for i, v in enumerate(START[n]):
        low = -20 if i == 2 * n else 0.01 if n <= i < 2 * n else 0
        p.add(f"p{i}", v, min=low)
    w = 1 / np.sqrt(np.maximum(y, 1))
    end = lmfit.minimize(lambda p: (model([v.value for v in p.values()], n, irf) - y) * w, p)
    return np.array([v.value for v in end.params.values()])


for n in (2, 3):
    for name, run in (("iminuit, Poisson", by_minuit), ("lmfit, 1/N weights", by_lmfit)):
        spent, bias = [], []
        for seed in range(int(sys.argv[1]) if len(sys.argv) > 1 else 8):
            _, y, irf = decay(n, seed)
            begin = time.process_time()
            p = run(y, n, irf / irf.sum())
            spent.append(time.process_time() - begin)
            bias.append(np.sort(p[n : 2 * n])[-1] / CASES[n][1][-1] - 1)
        print(
            f"{n} exponentials, {name}: {1e3 * np.median(spent):.0f} CPU ms, "
            f"longest lifetime off by {100 * np.mean(bias):+.1f} %"
        )
