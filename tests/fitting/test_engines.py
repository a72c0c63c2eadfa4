"""Engines against closed forms, scipy, and the statistics they claim."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterodot.errors import InputError
from heterodot.fitting import Parameter, bootstrap, least_squares, poisson, profile, runs_test
from heterodot.fitting.counting import deviance_moments

X = np.linspace(0.0, 4.0, 60)


def decay(p):
    return p["a"] * np.exp(-X / p["tau"]) + p["b"]


def start(**change):
    base = {
        "a": Parameter("a", 5.0, low=0),
        "tau": Parameter("tau", 0.5, "ns", low=1e-3, high=100),
        "b": Parameter("b", 0.0),
    }
    base.update(change)
    return list(base.values())


def test_line_equals_normal_equations():
    rng = np.random.default_rng(0)
    sigma = rng.uniform(0.1, 1.0, X.size)
    y = 2.0 - 3.0 * X + sigma * rng.standard_normal(X.size)
    fit = least_squares(
        lambda p: p["a"] + p["b"] * X, [Parameter("a", 0), Parameter("b", 0)], y, sigma=sigma
    )
    design = np.stack([np.ones_like(X), X], 1) / sigma[:, None]
    exact = np.linalg.inv(design.T @ design)
    assert fit.converged
    assert np.allclose(fit.covariance, exact, rtol=1e-6)
    assert np.allclose([fit["a"].value, fit["b"].value], exact @ design.T @ (y / sigma), rtol=1e-6)


def test_agrees_with_scipy_curve_fit():
    from scipy.optimize import curve_fit

    rng = np.random.default_rng(1)
    y = decay({"a": 10, "tau": 0.8, "b": 1}) + 0.2 * rng.standard_normal(X.size)
    fit = least_squares(decay, start(), y)
    best, covariance = curve_fit(
        lambda x, a, tau, b: a * np.exp(-x / tau) + b, X, y, [5, 0.5, 0], xtol=1e-12, ftol=1e-12
    )
    assert np.allclose([fit[n].value for n in ("a", "tau", "b")], best, rtol=1e-4)
    assert np.allclose(fit.covariance, covariance, rtol=1e-3)


@settings(max_examples=15, deadline=None)
@given(st.floats(-9, 6), st.floats(-12, 6))
def test_independent_of_units(data_power, time_power):
    """The same curve in other units gives the same relative values and errors."""
    rng = np.random.default_rng(2)
    y = decay({"a": 10, "tau": 0.8, "b": 1}) + 0.2 * rng.standard_normal(X.size)
    unit, time = 10.0**data_power, 10.0**time_power
    plain = least_squares(decay, start(), y)
    scaled = least_squares(
        lambda p: p["a"] * np.exp(-X * time / p["tau"]) + p["b"],
        [
            Parameter("a", 5 * unit, low=0),
            Parameter("tau", 0.5 * time, low=1e-3 * time, high=100 * time),
            Parameter("b", 0.0),
        ],
        y * unit,
    )
    assert scaled.converged
    assert scaled["tau"].value / time == pytest.approx(plain["tau"].value, rel=1e-4)
    assert scaled["tau"].error / time == pytest.approx(plain["tau"].error, rel=1e-3)


def test_poisson_mean_of_few_counts_is_unbiased():
    rng = np.random.default_rng(3)
    means, errors = [], []
    for _ in range(200):
        y = rng.poisson(0.3, 50)
        fit = poisson(lambda p: np.full(50, p["m"]), [Parameter("m", 1.0, low=0)], y)
        means.append(fit["m"].value)
        errors.append(fit["m"].error)
        assert fit["m"].value == pytest.approx(y.mean(), rel=1e-4)
    assert np.mean(means) == pytest.approx(0.3, abs=4 * math.sqrt(0.3 / 50 / 200))
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.2)


def test_poisson_agrees_with_iminuit():
    minuit = pytest.importorskip("iminuit")
    y = np.random.default_rng(4).poisson(decay({"a": 40, "tau": 0.9, "b": 2}))

    def deviance(a, tau, b):
        m = decay({"a": a, "tau": tau, "b": b})
        return 2 * np.sum(m - y * np.log(m))

    peer = minuit.Minuit(deviance, a=30, tau=0.5, b=1)
    peer.errordef = 1
    peer.limits = [(0, None), (0.01, None), (0.01, None)]
    peer.migrad()
    fit = poisson(decay, start(b=Parameter("b", 1.0, low=0)), y)
    for name in ("a", "tau", "b"):
        # the fit may stop a thousandth of an error away
        assert fit[name].value == pytest.approx(peer.values[name], abs=0.01 * fit[name].error)
        # observed (Minuit) and expected (here) information differ by the noise of the sample
        assert fit[name].error == pytest.approx(peer.errors[name], rel=0.1)


def test_deviance_moments_by_sampling():
    rng = np.random.default_rng(5)
    m = np.geomspace(0.02, 30, 40)
    y = rng.poisson(m, (4000, 40)).astype(float)
    d = 2 * np.sum(np.where(y > 0, y * np.log(np.where(y > 0, y, 1) / m), 0) - y + m, axis=1)
    mean, variance = deviance_moments(m)
    assert mean == pytest.approx(d.mean(), abs=5 * d.std() / 63)
    assert variance == pytest.approx(d.var(), rel=0.12)


def test_bound_hit_is_said():
    y = decay({"a": 10, "tau": 0.8, "b": 1})
    fit = least_squares(decay, start(tau=Parameter("tau", 0.3, low=0.1, high=0.5)), y)
    assert fit["tau"].value == pytest.approx(0.5)
    assert fit["tau"].error is None
    assert "upper bound" in fit["tau"].note
    assert any("tau" in w for w in fit.warnings)
    assert fit["a"].error is not None


def test_degenerate_pair_has_no_error():
    y = 3.0 * X
    fit = least_squares(
        lambda p: (p["u"] + p["v"]) * X + p["w"],
        [Parameter("u", 1.0), Parameter("v", 0.5), Parameter("w", 1.0)],
        y,
        sigma=0.1,
    )
    assert fit["u"].error is None
    assert fit["v"].error is None
    assert "combination of u, v" in fit["u"].note
    assert fit["w"].error is not None


def test_parameter_without_effect():
    fit = least_squares(
        lambda p: p["a"] * X, [Parameter("a", 1.0), Parameter("idle", 1.0)], 2 * X, sigma=0.1
    )
    assert fit["idle"].error is None
    assert any("do not depend on idle" in w for w in fit.warnings)


def test_not_converged_is_stated():
    y = decay({"a": 10, "tau": 0.8, "b": 1})
    fit = least_squares(decay, start(), y + 0.1, sigma=0.1, max_evaluations=2)
    assert not fit.converged
    assert "not converged" in fit.warnings[0]


def test_stop_keeps_best_so_far():
    y = decay({"a": 10, "tau": 0.8, "b": 1})
    calls = []

    def stop(doing, fraction):
        calls.append(fraction)
        if len(calls) == 3:
            raise KeyboardInterrupt

    fit = least_squares(decay, start(), y, sigma=0.1, progress=stop)
    first = float(np.sum(((decay({"a": 5, "tau": 0.5, "b": 0}) - y) / 0.1) ** 2))
    assert not fit.converged
    assert fit.cost < first


def test_profile_of_a_line_is_the_covariance_interval():
    rng = np.random.default_rng(6)
    y = 1 + 2 * X + 0.3 * rng.standard_normal(X.size)

    def refit(parameters):
        return least_squares(lambda p: p["a"] + p["b"] * X, parameters, y, sigma=0.3)

    fit = profile(refit, refit([Parameter("a", 0.0), Parameter("b", 0.0)]))
    for name in ("a", "b"):
        low, high = fit[name].interval
        assert (high - low) / 2 == pytest.approx(1.96 * fit[name].error, rel=5e-3)


def test_profile_is_one_sided_where_the_data_are():
    """A mean of zero counts: the 95 % interval ends where 2 n m = 3.84."""
    y = np.zeros(10)

    def refit(parameters):
        return poisson(lambda p: np.full(10, p["m"]), parameters, y)

    fit = refit([Parameter("m", 1.0, low=1e-9)])
    low, high = profile(refit, fit)["m"].interval
    assert low == pytest.approx(1e-9)
    assert high == pytest.approx(3.8415 / 20, rel=0.01)


def test_bootstrap_matches_covariance():
    y = np.random.default_rng(7).poisson(decay({"a": 400, "tau": 0.9, "b": 20}))

    def refit(counts):
        return poisson(
            decay, start(a=Parameter("a", 300, low=0), b=Parameter("b", 9, low=0)), counts
        )

    fit = refit(y)
    drawn = bootstrap(refit, fit, draws=150, seed=1)
    assert drawn["tau"].error == pytest.approx(fit["tau"].error, rel=0.2)
    again = bootstrap(refit, fit, draws=150, seed=1)
    assert np.array_equal(drawn.extra["bootstrap"], again.extra["bootstrap"])


def test_runs_test_sees_structure():
    rng = np.random.default_rng(8)
    assert abs(runs_test(rng.standard_normal(2000))) < 4
    assert runs_test(np.sin(X * 3) + 0.1 * rng.standard_normal(X.size)) < -4


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "empty"),
        ([1.0, np.nan, 2.0], "first at point 2"),
        ([1.0], "cannot determine"),
    ],
)
def test_bad_data(data, message):
    parameters = [Parameter("a", 1.0), Parameter("b", 1.0)]
    with pytest.raises(InputError, match=message):
        least_squares(lambda p: p["a"] + p["b"] * np.arange(len(data)), parameters, data)


def test_bad_arguments():
    one = [Parameter("a", 1.0)]
    with pytest.raises(InputError, match="negative"):
        poisson(lambda p: p["a"] * np.ones(3), one, [1, -1, 2])
    with pytest.raises(InputError, match="twice"):
        least_squares(lambda p: p["a"] * X, [*one, *one], X)
    with pytest.raises(InputError, match="fixed"):
        least_squares(lambda p: p["a"] * X, [Parameter("a", 1.0, fixed=True)], X)
    with pytest.raises(InputError, match="sigma must be positive"):
        least_squares(lambda p: p["a"] * X, one, X, sigma=0.0)
    with pytest.raises(InputError, match="not defined at the start"):
        poisson(lambda p: -p["a"] * np.ones(3), one, [1, 1, 2])
    with pytest.raises(InputError, match="gives 2 points for 3"):
        least_squares(lambda p: p["a"] * np.ones(2), one, [1, 1, 2])
