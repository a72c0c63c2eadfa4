"""Reconvolution, pile-up and diffusion against brute force, Monte Carlo and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterodot.errors import InputError, NotFoundError
from heterodot.probes.decay import averages, density, from_lifetimes, survival
from heterodot.probes.decay._kernels import unit_decay
from heterodot.probes.decay.convolution import exponential, pile_up, shifted
from heterodot.probes.decay.quenching import modes
from heterodot.probes.decay.recombination import convolved, stretched_kernel
from heterodot.units import Value

BINS = 200
X = np.arange(BINS)
IRF = np.exp(-0.5 * ((X - 20) / 3.0) ** 2)
IRF /= IRF.sum()


def slow_exponential(irf, ratio):
    """The response as an even density in each bin, the decay integrated over each bin."""
    fine = 64
    # survival from the middle of each fine slice, integrated over the bins by differences
    out = np.zeros(BINS)
    for n in np.flatnonzero(irf):
        starts = n + (np.arange(fine) + 0.5) / fine
        for s in starts:
            edges = np.maximum(np.arange(BINS + 1) - s, 0)
            out += irf[n] / fine * -np.diff(np.exp(-ratio * edges))
    return out


@pytest.mark.parametrize("ratio", [1e-3, 0.05, 1.0, 8.0])
def test_exponential_against_slow_twin(ratio):
    irf = np.zeros(BINS)
    irf[[15, 20, 21]] = [0.2, 0.5, 0.3]
    found, _ = exponential(irf, ratio)
    assert np.allclose(found, slow_exponential(irf, ratio), atol=2e-4 * max(ratio, 0.02))
    if ratio >= 0.05:
        assert found.sum() == pytest.approx(1.0, abs=2e-4)


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-4, 5.0), st.sampled_from([None, 230.0]))
def test_derivative_and_compiled_twin(ratio, period):
    h = 1e-5
    _, slope = exponential(IRF, ratio, period, True)
    up, down = (
        exponential(IRF, ratio * np.exp(-h), period)[0],
        exponential(IRF, ratio * np.exp(h), period)[0],
    )
    assert np.allclose(slope, (up - down) / (2 * h), atol=1e-7, rtol=1e-5)
    if period is None:
        a, b = np.empty(BINS), np.empty(BINS)
        unit_decay(IRF, ratio, a, b)
        column, slope = exponential(IRF, ratio, None, True)
        assert np.allclose(a, column)
        assert np.allclose(b, slope)


def test_period_is_the_sum_over_earlier_pulses():
    ratio, period = 0.02, 230
    long = exponential(np.r_[IRF, np.zeros(20 * period)], ratio)[0]
    summed = sum(long[k * period : k * period + BINS] for k in range(20))
    assert np.allclose(exponential(IRF, ratio, float(period))[0], summed, rtol=1e-4, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.floats(-12.0, 12.0))
def test_shift_moves_center_and_keeps_width(shift):
    irf = np.roll(IRF, 80)  # far from both ends
    moved, slope = shifted(irf, shift)
    assert moved.sum() == pytest.approx(1.0, abs=1e-7)
    assert (moved * X).sum() == pytest.approx((irf * X).sum() + shift, abs=1e-6)
    center = (moved * X).sum()
    assert (moved * (X - center) ** 2).sum() == pytest.approx(9.0, abs=0.02)
    h = 1e-5
    assert np.allclose(
        slope, (shifted(irf, shift + h)[0] - shifted(irf, shift - h)[0]) / 2 / h, atol=1e-5
    )


def test_pile_up_against_monte_carlo():
    """Photons drawn pulse by pulse, only the first of each kept."""
    rng = np.random.default_rng(0)
    pulses = 200_000
    rate = 0.6 * exponential(IRF[:100] / IRF[:100].sum(), 0.05)[0]
    photons = rng.poisson(rate, (pulses // 20, rate.size))
    first = np.argmax(photons > 0, axis=1)[photons.any(axis=1)]
    counted = np.bincount(first, minlength=rate.size) * 20.0
    expected, slope = pile_up(rate * pulses, pulses, (rate * pulses)[:, None])
    assert np.abs(counted - expected).max() < 6 * np.sqrt(20 * expected.max())
    h = 1e-6
    up = pile_up(rate * pulses * (1 + h), pulses)[0]
    assert np.allclose(slope[:, 0], (up - expected) / h, rtol=1e-3, atol=1e-3)
    assert expected.sum() == pytest.approx(pulses * -np.expm1(-rate.sum()), rel=1e-9)


def test_stretched_with_beta_one_is_exponential():
    kernel = stretched_kernel(BINS, 1.0, 12.0, 1.0)
    assert np.allclose(convolved(IRF, kernel), exponential(IRF, 1 / 12.0)[0], atol=2e-5)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.0, 2.0), st.floats(0.0, 2.0), st.floats(0.0, 2.0), st.floats(0.1, 3.0))
def test_density_solves_the_rate_equation(k1, k2, k3, n0):
    from scipy.integrate import solve_ivp

    t = np.linspace(0, 6, 15)
    end = solve_ivp(
        lambda _, n: -k1 * n - k2 * n**2 - k3 * n**3, (0, 6), [n0], t_eval=t, rtol=1e-10, atol=1e-13
    )
    assert np.allclose(density(t, n0, k1, k2, k3), end.y[0], rtol=1e-5, atol=1e-9)


def crank_nicolson(t_end, thickness, d, velocity, absorption, side):
    """Survival by finite volumes, made independently of the series."""
    n, steps = 400, 800
    dx, dt = thickness / n, t_end / steps
    x = (np.arange(n) + 0.5) * dx
    depth = x if side == "far" else thickness - x
    c = np.exp(-absorption * depth)
    c /= c.sum()
    a = np.zeros((n, n))
    for i in range(n - 1):
        a[i, i] -= d / dx**2
        a[i, i + 1] += d / dx**2
        a[i + 1, i + 1] -= d / dx**2
        a[i + 1, i] += d / dx**2
    # resistance of half a cell in series with the face
    a[-1, -1] -= 1 / (0.5 * dx / d + (0 if np.isinf(velocity) else 1 / velocity)) / dx
    half = np.linalg.solve(np.eye(n) - 0.5 * dt * a, np.eye(n) + 0.5 * dt * a)
    out = c
    for _ in range(steps):
        out = half @ out
    return out.sum()


@pytest.mark.parametrize(
    ("velocity", "absorption", "side"),
    [
        (np.inf, 0.0, "far"),
        (3.0, 2.0, "far"),
        (0.5, 5.0, "illuminated"),
        (np.inf, 5.0, "illuminated"),
    ],
)
def test_survival_against_finite_volumes(velocity, absorption, side):
    found = survival([0.15], 1.0, 0.8, velocity=velocity, absorption=absorption, side=side)[0]
    assert found == pytest.approx(
        crank_nicolson(0.15, 1.0, 0.8, velocity, absorption, side), rel=4e-3
    )


def test_mean_lifetime_has_its_closed_form():
    """Even excitation, ideal quencher: tau_q/tau = 1 - tanh(z)/z with z = L/L_D."""
    z = 0.7
    rates, weights = modes(z, 1.0, count=2000)
    assert (weights / (1 + rates)).sum() == pytest.approx(1 - np.tanh(z) / z, rel=1e-4)
    found = from_lifetimes(
        Value(1.0, "ns", 0.01), Value(1 - np.tanh(z) / z, "ns", 0.01), Value(z, "nm", 0.01)
    )
    assert found.length.value == pytest.approx(1.0, rel=1e-3)
    assert found.coefficient.error is not None


def test_yang_table_is_the_lowest_mode():
    """9.2, 1.0 and 1.8 ns with about 100 nm (Yang 2024) are 0.0356 and 0.0176 cm2/s, by one mode.

    The full solution with mean lifetimes gives a fifth less: what "lifetime" means matters.
    """
    film = Value(100, "nm")
    for quenched, printed in ((1.0, 0.0356), (1.8, 0.0176)):
        long = from_lifetimes(Value(9.2, "ns"), Value(quenched, "ns"), film, definition="long")
        mean = from_lifetimes(Value(9.2, "ns"), Value(quenched, "ns"), film)
        assert long.coefficient.value == pytest.approx(printed, rel=0.04)
        assert 0.7 < mean.coefficient.value / long.coefficient.value < 0.85
    assert long.coefficient.error is None
    assert "no error" in (long.coefficient.error_reason or "")
    assert from_lifetimes(
        Value(9.2, "ns"), Value(1.0, "ns"), film, definition="long"
    ).mobility.value == pytest.approx(1.4, rel=0.03)


def test_no_quenching_is_refused():
    with pytest.raises(NotFoundError, match="not shorter"):
        from_lifetimes(Value(6, "ns"), Value(6.1, "ns"), Value(100, "nm"))
    with pytest.raises(InputError):
        from_lifetimes(Value(6, "ns"), Value(3, "ns"), Value(100, "nm"), definition="typical")


@pytest.mark.parametrize(
    ("amplitudes", "lifetimes", "by_amplitude", "by_intensity"),
    [
        # Jagadeeswararao 2021, Table 1, ns
        ([0.31, 0.47, 0.24], [0.49, 2.85, 9.2], 3.627, 6.543),
        ([0.25, 0.43, 0.30], [0.50, 2.59, 10.7], 4.539, 8.383),
        # Yang 2024, Table 3-2, us (intensity-weighted, although the unit is printed as %)
        ([0.13, 0.87], [0.25, 6.27], 5.487, 6.23),
        ([0.12, 0.87], [0.49, 4.87], 4.339, 4.80),
        ([0.18, 0.82], [0.25, 4.26], 3.538, 4.20),
        ([0.50, 0.49], [0.21, 4.06], 2.116, 3.87),
        ([0.80, 0.20], [0.55, 4.84], 1.408, 3.47),
    ],
)
def test_published_averages(amplitudes, lifetimes, by_amplitude, by_intensity):
    first, second = averages(amplitudes, lifetimes)
    assert first.value == pytest.approx(by_amplitude, abs=0.002)
    assert second.value == pytest.approx(by_intensity, rel=0.009)


def test_averages_propagate_errors():
    rng = np.random.default_rng(1)
    a, t = np.array([0.31, 0.47, 0.24]), np.array([0.49, 2.85, 9.2])
    da, dt = np.full(3, 0.01), np.array([0.01, 0.03, 0.1])
    first, second = averages(a, t, amplitude_errors=da, lifetime_errors=dt)
    aa, tt = rng.normal(a, da, (20000, 3)), rng.normal(t, dt, (20000, 3))
    assert first.error == pytest.approx(((aa * tt).sum(1) / aa.sum(1)).std(), rel=0.05)
    assert second.error == pytest.approx(((aa * tt**2).sum(1) / (aa * tt).sum(1)).std(), rel=0.05)
    with pytest.raises(InputError):
        averages([1.0], [1.0, 2.0])
