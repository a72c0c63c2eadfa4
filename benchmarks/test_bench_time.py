"""How long decays and transient absorption take; peers on the same data are in ``peers/time_*``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from heterodot.measurement import Measurement
from heterodot.probes import decay, ta

sys.path.insert(0, str(Path(__file__).parent / "peers"))
import time_data


def matrix(seed: int = 0) -> Measurement:
    nm, t, data = time_data.ta_matrix(seed)
    coords = {
        "time": ("time", t, {"units": "ps"}),
        "wavelength": ("wavelength", nm, {"units": "nm"}),
    }
    array = xr.DataArray(data, dims=("time", "wavelength"), coords=coords, attrs={"units": ""})
    return Measurement(array, "ta")


def histograms(count: int, seed: int = 0) -> tuple[Measurement, Measurement]:
    t, y, irf = time_data.decay(count, seed)
    return decay.histogram(t, y, "ns"), decay.histogram(t, irf, "ns")


def test_ta_global_fit(benchmark: Any) -> None:
    """600 x 300, chirp, response, three components, nothing given but their number."""
    m = matrix()
    found = benchmark.pedantic(ta.fit, args=(m, 3), rounds=3, warmup_rounds=1)
    for i, tau in enumerate(time_data.TAUS, 1):
        p = found[f"tau_{i}"]
        assert abs(p.value - tau) < 4 * p.error


@pytest.mark.parametrize("count", [2, 3])
def test_decay(benchmark: Any, count: int) -> None:
    """4,096 bins, measured response, errors and averages included."""
    counts, irf = histograms(count)
    found = benchmark.pedantic(
        decay.fit, args=(counts, count), kwargs={"irf": irf}, rounds=10, warmup_rounds=1
    )
    longest, truth = found[f"tau_{count}"], time_data.CASES[count][1][-1]
    assert abs(longest.value - truth) < 4 * longest.error


@pytest.mark.parametrize("components", [1, 2])
def test_lifetime_map(benchmark: Any, components: int) -> None:
    """900 pixels of 525 bins."""
    rng = np.random.default_rng(0)
    t = (np.arange(525) + 0.5) * 0.05
    irf = np.exp(-0.5 * ((t - 2) / 0.12) ** 2)
    irf /= irf.sum()
    taus = np.linspace(1.5, 4.0, 900).reshape(30, 30)
    from heterodot.probes.decay.convolution import exponential

    cube = np.stack(
        [[rng.poisson(3000 * exponential(irf, 0.05 / x)[0] + 0.5) for x in row] for row in taus]
    )
    coords = {"time": ("time", t, {"units": "ns"})}
    coords |= {d: (d, np.arange(30), {"units": "pixel"}) for d in ("y", "x")}
    array = xr.DataArray(cube, dims=("y", "x", "time"), coords=coords, attrs={"units": "count"})
    response = decay.histogram(t, rng.poisson(irf * 1e6), "ns")
    found = benchmark.pedantic(
        decay.fit_map,
        args=(Measurement(array, "decay"),),
        kwargs={"irf": response, "components": components},
        rounds=3,
        warmup_rounds=1,
    )
    assert np.isfinite(found.mean).mean() > 0.95


def test_maximum_entropy(benchmark: Any) -> None:
    counts, irf = histograms(2)
    benchmark.pedantic(
        decay.fit_distribution, args=(counts,), kwargs={"irf": irf}, rounds=1, warmup_rounds=0
    )
