"""Convolved exponentials against direct numerical convolution and a slow twin of the projection."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from heterodot.probes.ta.matrix import Matrix
from heterodot.probes.ta.projection import Projection, Setup
from heterodot.probes.ta.response import FWHM, moments, rise
from heterodot.probes.ta.scheme import read_scheme


@settings(max_examples=30, deadline=None)
@given(st.floats(-3, 6), st.floats(0.0, 30.0), st.floats(0.02, 0.5))
def test_rise_is_the_convolution_integral(t, k, sigma):
    def integrand(s):
        return np.exp(-k * s) * np.exp(-0.5 * ((t - s) / sigma) ** 2) / sigma / np.sqrt(2 * np.pi)

    top = max(t, 0) + 10 * sigma
    points = sorted({min(max(t + d * sigma, 0), top) for d in (-8, -2, 0, 2, 8)})
    exact = quad(integrand, 0, top, points=points, limit=400)[0]
    found = rise(np.array([t]), np.zeros(1), np.array([k]), sigma)[0, 0, 0]
    assert found == pytest.approx(exact, abs=2e-8)


def test_no_response_is_a_step():
    f = rise(np.array([-1.0, 0.0, 1.0]), np.zeros(1), np.array([1.0]), 0.0)[0, 0]
    assert np.allclose(f, [0, 1, np.exp(-1)])


def test_fast_split_equals_plain_formula():
    """Sorted delays take the split into near and far; shuffled ones do not."""
    time = np.r_[np.linspace(-1, 1, 60), np.geomspace(1.1, 500, 40)]
    zero, rates = np.array([-0.2, 0.0, 0.3]), np.array([0.0, 0.01, 2.0, 300.0])
    order = np.random.default_rng(0).permutation(time.size)
    fast = rise(time, zero, rates, 0.08)[:, :, order]
    assert np.allclose(fast, rise(time[order], zero, rates, 0.08), atol=1e-12)
    assert np.allclose(
        moments(time, zero, 0.08, 3)[:, :, order], moments(time[order], zero, 0.08, 3), atol=1e-12
    )


def slow_cost(matrix, values, scheme, setup):
    """Each wavelength by itself, with numpy's least squares."""
    rates, weights = scheme.modes("", values)
    sigma = values["w"] / FWHM
    total = 0.0
    for i, nm in enumerate(matrix.wavelength):
        x = (nm - setup.reference) / 100
        zero = np.array([values["t0"] + values["c1"] * x])
        f = rise(matrix.time, zero, rates, sigma)[0]
        columns = [weights.T @ f]
        columns.append(moments(matrix.time, zero, sigma, setup.artefact)[0])
        columns.append(np.ones((1, matrix.time.size)))
        a = np.concatenate(columns).T / matrix.sigma[i]
        keep = matrix.mask[:, i]
        y = matrix.values[:, i] / matrix.sigma[i]
        c = np.linalg.lstsq(a[keep], y[keep], rcond=None)[0]
        total += float(np.sum((y[keep] - a[keep] @ c) ** 2))
    return total


@pytest.mark.parametrize("holes", [False, True])
def test_projection_against_its_slow_twin(holes):
    rng = np.random.default_rng(1)
    scheme = read_scheme("A -> B : k1\nB -> A : kb\nB -> GS : k2")
    time = np.r_[np.linspace(-0.6, 0.6, 40), np.geomspace(0.7, 60, 20)]
    nm = np.linspace(480, 620, 30)
    data = rng.normal(size=(time.size, nm.size)) + 5 * (time[:, None] > 0)
    mask = np.ones(data.shape, bool)
    if holes:
        mask[10:14, 3] = False
        mask[rng.random(data.shape) < 0.02] = False
    sigma = rng.uniform(0.5, 2, nm.size)
    matrix = Matrix("", time, nm, np.where(mask, data, 0), mask, sigma, True)
    setup = Setup("t0", ("c1",), "w", artefact=2, offset=True, reference=550)
    problem = Projection([matrix], [setup], scheme.modes, 2, ("k1", "kb", "k2"))
    values = {"t0": 0.05, "c1": 0.1, "w": 0.15, "k1": 1.3, "kb": 0.2, "k2": 0.07}
    names = list(values)
    cost, gradient, curvature, solution = problem.evaluate(values, names, True, solution=True)
    assert cost == pytest.approx(slow_cost(matrix, values, scheme, setup), rel=1e-9)
    for k, name in enumerate(names):
        h = 1e-5 * abs(values[name])
        up = slow_cost(matrix, {**values, name: values[name] + h}, scheme, setup)
        down = slow_cost(matrix, {**values, name: values[name] - h}, scheme, setup)
        assert gradient[k] == pytest.approx((up - down) / (4 * h), rel=1e-4, abs=1e-4 * cost**0.5)
    assert (np.linalg.eigvalsh(curvature) > -1e-6 * curvature.max()).all()
    assert solution.amplitudes.shape == (nm.size, 5)
