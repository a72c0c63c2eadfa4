"""Decay fits return the truth with honest errors, and refuse what cannot be fitted."""

import numpy as np
import pytest
import xarray as xr

from heterodot.errors import InputError
from heterodot.measurement import Measurement
from heterodot.probes.decay import (
    bootstrap,
    density,
    fit,
    fit_distribution,
    fit_map,
    fit_power_series,
    fit_quenching,
    fit_stretched,
    histogram,
    prepare,
    profile,
    simulate,
)
from heterodot.probes.decay.convolution import exponential
from heterodot.probes.decay.quenching import modes
from heterodot.probes.decay.recombination import convolved, stretched_kernel
from heterodot.units import Value


def test_three_exponentials_of_jagadeeswararao():
    """Table 1, CsPbBr3 NCs: 0.49, 2.85, 9.2 ns with 0.31, 0.47, 0.24 of the amplitude."""
    a, tau = np.array([0.31, 0.47, 0.24]), np.array([0.49, 2.85, 9.2])
    share = a * tau / (a * tau).sum()
    counts, irf = simulate(tau, share, counts=2e6, bins=2048, width=0.03, seed=1, shift=0.011)
    found = fit(counts, 3, irf=irf)
    for i in range(3):
        tau_i, amp = found[f"tau_{i + 1}"], found[f"amplitude_{i + 1}"]
        assert abs(tau_i.value - tau[i]) < 3.5 * tau_i.error
        assert abs(amp.value - a[i] / a.sum()) < 3.5 * amp.error
    assert abs(found["tau_amplitude"].value - 3.627) < 3.5 * found["tau_amplitude"].error
    assert abs(found["tau_intensity"].value - 6.543) < 3.5 * found["tau_intensity"].error
    assert found["tau_intensity"].error < 0.05
    assert abs(found.extra["deviance_z"]) < 4


def test_coverage_and_bias_beside_least_squares():
    """95 % intervals hold for Poisson likelihood; 1/N weights are biased by many errors."""
    truth = (1.0, 8.0)
    inside, poisson, squares = [], [], []
    for seed in range(200):
        counts, irf = simulate(truth, (0.4, 0.6), counts=4e4, bins=256, irf_counts=1e8, seed=seed)
        found = fit(counts, 2, irf=irf, start=truth)
        inside.append(
            [
                abs(found[f"tau_{i}"].value - t) < 1.96 * found[f"tau_{i}"].error
                for i, t in ((1, 1.0), (2, 8.0))
            ]
        )
        poisson.append(found["tau_2"].value)
        if seed < 20:
            biased = fit(counts, 2, irf=irf, start=truth, method="least_squares")
            squares.append((biased["tau_2"].value - 8.0) / biased["tau_2"].error)
            assert any("bias" in w for w in biased.warnings)
    assert 0.92 <= np.mean(inside) <= 0.98
    assert np.mean(poisson) == pytest.approx(8.0, rel=0.004)
    assert np.mean(squares) < -0.5


def test_model_is_chosen_by_evidence():
    counts, irf = simulate([1.0, 6.0], [0.4, 0.6], counts=1e5, bins=512, seed=4)
    found = fit(counts, "auto", irf=irf)
    assert found.model == "2 exponentials"
    rows = {r["components"]: r for r in found.extra["choice"]}
    assert rows[1]["runs_z"] < -3 or rows[1]["autocorrelation_z"] > 5
    assert rows[2]["bic"] < rows[1]["bic"]


def test_too_few_counts_say_what_they_support():
    counts, irf = simulate(
        [1.0, 3.0, 8.0], [0.3, 0.3, 0.4], counts=1500, bins=256, background=0.01, seed=5
    )
    found = fit(counts, 3, irf=irf)
    assert found.extra["supported"] < 3
    assert any("they support" in w for w in found.warnings)
    tiny, irf = simulate([3.0], [1.0], counts=30, bins=64, background=0.001, seed=6)
    with pytest.raises(InputError, match="too few for 3 exponentials"):
        fit(tiny, 3, irf=irf)


def test_global_fit_shares_lifetimes():
    sets, responses = {}, {}
    for k, share in enumerate((0.2, 0.5, 0.8)):
        name = f"{500 + 10 * k} nm"
        sets[name], responses[name] = simulate(
            [1.0, 5.0], [share, 1 - share], counts=3e4, bins=256, seed=k
        )
    found = fit(sets, 2, irf=responses)
    alone = fit(sets["510 nm"], 2, irf=responses["510 nm"])
    assert abs(found["tau_1"].value - 1.0) < 3.5 * found["tau_1"].error
    assert found["tau_1"].error < 0.8 * alone["tau_1"].error
    assert abs(found["intensity_1 [520 nm]"].value - 0.8) < 4 * found["intensity_1 [520 nm]"].error
    assert "tau_amplitude [500 nm]" in found.parameters


def test_pile_up_is_in_the_model():
    counts, irf = simulate([4.0], [1.0], counts=3e5, pulses=1e6, bins=512, background=0.0, seed=7)
    with_it = fit(counts, 1, irf=irf, pulses=1e6)
    without = fit(counts, 1, irf=irf)
    assert abs(with_it["tau_1"].value - 4.0) < 3.5 * with_it["tau_1"].error
    assert abs(without["tau_1"].value - 4.0) > 5 * without["tau_1"].error


def test_period_of_the_laser():
    rng = np.random.default_rng(8)
    _, irf = simulate([10.0], [1.0], bins=256, width=0.1, seed=8)
    h = prepare(irf, irf)
    y = rng.poisson(2e5 * exponential(h.irf, 0.1 / 10.0, 256.0)[0] + 1)
    found = fit(histogram(h.time, y, "ns"), 1, irf=irf, period=25.6)
    assert abs(found["tau_1"].value - 10.0) < 3.5 * found["tau_1"].error


def test_tail_without_response():
    counts, _ = simulate([5.0], [1.0], counts=1e5, bins=512, irf_fwhm=0.03, seed=9)
    found = fit(counts, 1)
    assert abs(found["tau_1"].value - 5.0) < 4 * found["tau_1"].error
    assert any("no response" in n for n in found.extra["notes"])


def test_profile_and_bootstrap_of_a_decay():
    counts, irf = simulate([1.0, 6.0], [0.5, 0.5], counts=5e4, bins=256, seed=10)
    found = fit(counts, 2, irf=irf)
    low, high = profile(found, ["tau_2"])["tau_2"].interval
    assert (high - low) / 2 == pytest.approx(1.96 * found["tau_2"].error, rel=0.15)
    assert bootstrap(found, draws=40)["tau_2"].error == pytest.approx(found["tau_2"].error, rel=0.4)


def test_stretched_exponential():
    _, irf = simulate([2.0], [1.0], bins=512, width=0.05, seed=11)
    h = prepare(irf, irf)
    y = convolved(h.irf, stretched_kernel(512, 0.05, 2.0, 0.7))
    counts = histogram(h.time, np.random.default_rng(11).poisson(2e5 * y + 0.5), "ns")
    found = fit_stretched(counts, irf=irf)
    assert abs(found["beta"].value - 0.7) < 3.5 * found["beta"].error
    # (tau/beta) Gamma(1/beta)
    assert abs(found["tau_mean"].value - 2.5317) < 3.5 * found["tau_mean"].error


def test_maximum_entropy_finds_two_peaks_and_no_more():
    counts, irf = simulate([0.8, 6.0], [0.5, 0.5], counts=3e5, bins=512, seed=12)
    found = fit_distribution(counts, irf=irf)
    assert len(found.peaks) == 2
    for peak, tau in zip(found.peaks, (0.8, 6.0), strict=True):
        assert peak.center.value == pytest.approx(tau, rel=0.1)
        assert peak.fraction.value == pytest.approx(0.5, abs=0.05)
    assert abs(found.cost / found.expected - 1) < 0.25


def test_power_series_gives_three_orders():
    rng = np.random.default_rng(13)
    _, irf = simulate([20.0], [1.0], bins=400, width=0.25, irf_counts=1e8, seed=13)
    h = prepare(irf, irf)
    truth = {"k1": 0.02, "k2": 2e-19, "k3": 1e-37}
    sets = {}
    for n0, photons in ((1e16, 5e4), (1e17, 2e5), (1e18, 5e5)):
        n = density(np.arange(400) * 0.25, 1.0, truth["k1"], truth["k2"] * n0, truth["k3"] * n0**2)
        shape = n**2
        shape[0] *= 0.5
        sets[n0] = histogram(
            h.time, rng.poisson(photons * convolved(h.irf, shape / shape.sum()) + 0.5), "ns"
        )
    found = fit_power_series(sets, irf=irf)
    for name, value in truth.items():
        assert abs(found[name].value - value) < 3.5 * found[name].error
        assert found[name].error < 0.2 * value
    with pytest.raises(InputError, match="one excitation density"):
        fit_power_series({1e16: sets[1e16]}, irf=irf)


def test_diffusion_from_quenched_and_free_decay():
    """0.0176 cm2/s in 100 nm with 9.2 ns (Yang 2024) comes back from counted decays."""
    rng = np.random.default_rng(14)
    _, irf = simulate([9.2], [1.0], bins=600, width=0.06, irf_counts=1e8, seed=14)
    h = prepare(irf, irf)
    d = 0.0176
    free = rng.poisson(2e5 * exponential(h.irf, h.width / 9.2)[0] + 0.5)
    rates, weights = modes(1e-5, d * 1e-9, count=200)
    both = 1 / 9.2 + rates
    y = sum(
        w / (9.2 * b) * exponential(h.irf, h.width * b)[0]
        for w, b in zip(weights, both, strict=True)
    )
    quenched = rng.poisson(1.5e5 * y + 0.5)
    found = fit_quenching(
        histogram(h.time, free, "ns"),
        histogram(h.time, quenched, "ns"),
        Value(100, "nm", 3),
        irf=irf,
    )
    assert abs(found["diffusion"].value - d) < 3.5 * found["diffusion"].error
    assert found["diffusion_length"].value == pytest.approx(127, rel=0.06)
    # thickness enters squared
    assert found["diffusion"].error >= 0.06 * 0.9 * found["diffusion"].value


def image(ny=4, nx=5, seed=15):
    rng = np.random.default_rng(seed)
    t = (np.arange(256) + 0.5) * 0.1
    irf = np.exp(-0.5 * ((t - 2) / 0.2) ** 2)
    irf /= irf.sum()
    tau = np.linspace(1.5, 5.0, ny * nx).reshape(ny, nx)
    cube = np.stack(
        [[rng.poisson(4000 * exponential(irf, 0.1 / x)[0] + 0.3) for x in row] for row in tau]
    )
    coords = {"time": ("time", t, {"units": "ns"})}
    coords |= {d: (d, np.arange(n), {"units": "pixel"}) for d, n in (("y", ny), ("x", nx))}
    data = xr.DataArray(cube, dims=("y", "x", "time"), coords=coords, attrs={"units": "count"})
    return Measurement(data, "decay"), histogram(t, rng.poisson(irf * 1e7), "ns"), tau


def test_lifetime_map():
    measured, irf, tau = image()
    found = fit_map(measured, irf=irf)
    z = (found.lifetimes[0] - tau) / found.lifetimes_error[0]
    assert np.abs(z).max() < 4.5
    assert np.sqrt((z**2).mean()) < 1.6
    # each pixel agrees with the fit of one histogram
    one = histogram(measured.data.time.values, measured.data.values[2, 3], "ns")
    alone = fit(one, 1, irf=irf, shift=False)
    assert found.lifetimes[0, 2, 3] == pytest.approx(
        alone["tau_1"].value, abs=1.0 * alone["tau_1"].error
    )
    assert found.lifetimes_error[0, 2, 3] == pytest.approx(alone["tau_1"].error, rel=0.1)


def test_map_leaves_dark_pixels_out():
    measured, irf, _ = image()
    measured.data.values[0, 0] = 0
    found = fit_map(measured, irf=irf)
    assert np.isnan(found.mean[0, 0])
    assert any("fewer than" in w for w in found.warnings)
    measured.data.values[:] = 0
    with pytest.raises(InputError, match=r"no pixel|all counts"):
        fit_map(measured, irf=irf)


def made(t, y, unit="ns"):
    return histogram(np.asarray(t, float), np.asarray(y, float), unit)


T = np.arange(100) * 0.1
Y = 1000 * np.exp(-T / 2) // 1


@pytest.mark.parametrize(
    ("measured", "message"),
    [
        (made(T[::-1], Y), "not ascending"),
        (made(np.r_[T[:50], T[50:] * 1.5], Y), "not equal"),
        (made(T, np.where(T > 5, np.nan, Y)), "not numbers"),
        (made(T, Y - 500), "negative"),
        (made(T, 0 * Y), "all counts are zero"),
        (made(T, np.minimum(Y, 600)), "clipped"),
        (made(T, np.where(Y > 900, 65535, Y)), "clipped"),
        (made(T, Y, "nm"), "no time"),
        (made(T * 1e6, Y, "s"), "seems wrong"),
        (made(T, Y, ""), "no unit"),
        (made(T[:5], Y[:5]), "5 bins"),
    ],
)
def test_bad_histograms(measured, message):
    with pytest.raises(InputError, match=message):
        fit(measured, 1)


def test_bad_responses():
    counts, irf = simulate([3.0], [1.0], bins=256, width=0.1, seed=16)
    t = irf.data.time.values
    y = irf.data.values
    coarse = made(t[::2], y[::2] + y[1::2])
    with pytest.raises(InputError, match="coarser"):
        fit(counts, 1, irf=coarse)
    with pytest.raises(InputError, match="outside the times"):
        fit(counts, 1, irf=made(t + 1000, y))
    with pytest.raises(InputError, match=r"the response is empty|all counts are zero"):
        fit(counts, 1, irf=made(t, 0 * y))
    with pytest.raises(InputError, match="cuts into"):
        fit(counts, 1, irf=irf, window=(3.0, 25.0))


def test_response_on_finer_bins_and_in_other_units():
    counts, irf = simulate([3.0], [1.0], counts=2e5, bins=256, width=0.1, irf_fwhm=0.6, seed=17)
    plain = fit(counts, 1, irf=irf)
    t, y = irf.data.time.values, irf.data.values
    fine_t = np.arange(512) * 50.0 + 25.0
    fine = made(fine_t, np.repeat(y, 2) / 2, "ps")
    other = fit(counts, 1, irf=fine)
    assert other["tau_1"].value == pytest.approx(plain["tau_1"].value, rel=1e-4)
    assert any("rebinned" in n for n in other.extra["notes"])
    assert t.size == 256


def test_values_that_are_no_counts_use_the_residual():
    counts, irf = simulate([3.0], [1.0], counts=2e5, bins=256, seed=18)
    scaled = made(counts.data.time.values, counts.data.values / counts.data.values.max())
    found = fit(scaled, 1, irf=irf)
    assert found.statistic == "squares"
    assert abs(found["tau_1"].value - 3.0) < 0.1


@pytest.mark.parametrize(
    ("model", "message"), [(0, "0 exponentials"), (9, "9 exponentials"), ("many", "model 'many'")]
)
def test_bad_models(model, message):
    with pytest.raises(InputError, match=message):
        fit(made(T, Y), model)
    with pytest.raises(InputError, match="method"):
        fit(made(T, Y), 1, method="guess")
