"""Spots and grains of drawn lattices, against the lattices that were drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from heterodot.errors import InputError, NotFoundError
from heterodot.measurement import Measurement
from heterodot.probes.em import find_grains, find_spots, from_regions
from heterodot.probes.em.spots import Spot, diffractogram, gathered, without_bar

PIXEL = 0.2


def as_image(values: np.ndarray, unit: str = "angstrom", **metadata: object) -> Measurement:
    axes = [np.arange(n) * PIXEL for n in values.shape]
    attrs = {"units": unit}
    data = xr.DataArray(
        values, dims=("y", "x"), coords={"y": ("y", axes[0], attrs), "x": ("x", axes[1], attrs)},
        attrs={"units": ""},
    )  # fmt: skip
    return Measurement(data, "image", metadata=metadata)


def waves(vectors: list[tuple[float, float]], shape: tuple[int, int] = (400, 400)) -> np.ndarray:
    y, x = np.meshgrid(*(np.arange(n) * PIXEL for n in shape), indexing="ij")
    return sum(np.cos(2 * np.pi * (gx * x + gy * y)) for gx, gy in vectors)  # type: ignore[return-value]


def rhombus(spacing: float, degrees: float, turn: float) -> list[tuple[float, float]]:
    angles = np.radians([turn, turn + degrees])
    return [(math.cos(a) / spacing, math.sin(a) / spacing) for a in angles]


@settings(max_examples=12, deadline=None)
@given(st.floats(2.2, 5.5), st.floats(0, 180))
def test_spacing_and_angle_within_their_errors(spacing: float, turn: float) -> None:
    values = waves(rhombus(spacing, 70.0, turn), (320, 320))
    values = values + np.random.default_rng(1).normal(0, 1.0, values.shape)
    spots = find_spots(as_image(values))[:2]
    for spot in spots:
        assert spot.spacing.error is not None
        assert abs(spot.spacing.value - spacing) < 3 * spot.spacing.error
    between = abs(spots[0].angle.value - spots[1].angle.value) % 180
    assert min(between, 180 - between) == pytest.approx(70, abs=0.5)


def test_errors_of_spots_are_those_of_noise() -> None:
    (gx, _), *_ = vectors = rhombus(3.0, 90.0, 17.0)
    clean = waves(vectors, (256, 256))
    pulls = []
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(0, 6.0, clean.shape)
        spots = find_spots(as_image(clean + noise))[:2]
        spot = min(spots, key=lambda s: min(abs(s.gx - gx), abs(s.gx + gx)))
        sign = 1 if abs(spot.gx - gx) < abs(spot.gx + gx) else -1
        pulls.append((sign * spot.gx - gx) / spot.error)
    assert 0.3 < np.std(pulls) < 1.5


def test_ripples_of_a_sharp_edge_are_no_spots() -> None:
    values = waves(rhombus(2.9, 90.0, 0.0))
    values[:, :110] = values[:, 290:] = values[:90] = values[310:] = 0
    weights = np.zeros(values.shape)
    weights[90:310, 110:290] = 1.0
    spots = find_spots(as_image(values), weights=weights)
    # the worst window there is: what is left of its ripples lies below 5 %
    assert len([s for s in spots if s.amplitude > 0.05]) == 2


def test_split_spots_are_gathered_in_their_middle() -> None:
    parts = [Spot(0.29, 0.1, 0.001, 0.8, 50), Spot(-0.31, -0.1, 0.001, 1.0, 60),
             Spot(0.1, 0.3, 0.001, 0.5, 30)]  # fmt: skip
    one, two = gathered(parts, 0.035)
    assert abs(one.gx) == pytest.approx((0.8 * 0.29 + 0.31) / 1.8)
    assert one.error > 0.004
    assert (two.gx, two.error) == (0.1, 0.001)


def test_noise_has_no_spots() -> None:
    noise = as_image(np.random.default_rng(5).normal(size=(300, 300)))
    with pytest.raises(NotFoundError, match="no lattice"):
        find_grains(noise)
    with pytest.raises(NotFoundError, match="stand above"):
        find_spots(noise)


# ---------------------------------------------------------------- grains


def test_two_lattices_are_two_grains_where_they_were_drawn() -> None:
    left, right = waves(rhombus(2.9, 90.0, 5.0)), waves(rhombus(3.3, 60.0, 40.0))
    values = np.where(np.arange(400)[None, :] < 220, left, right)
    values = values + np.random.default_rng(2).normal(0, 1.5, values.shape)
    grains = find_grains(as_image(values))
    assert len(grains) == 2
    assert grains[0].center[0] < 220 * PIXEL < grains[1].center[0]
    for grain, want, side in zip(grains, (2.9, 3.3), (slice(0, 200), slice(240, 400)), strict=True):
        assert grain.spots[0].spacing.value == pytest.approx(want, rel=0.01)
        assert grain.mask[40:-40, side][:, 20:-20].mean() > 0.9
    # the border is found within half the window
    row = grains[0].mask[200]
    assert np.flatnonzero(row).max() * PIXEL == pytest.approx(220 * PIXEL, abs=8)


def test_thickness_makes_no_grains() -> None:
    values = waves(rhombus(2.9, 90.0, 5.0)) * np.linspace(0.3, 1.5, 400)[None, :]
    values = values + np.random.default_rng(2).normal(0, 0.5, values.shape)
    assert len(find_grains(as_image(values))) == 1


def test_a_lattice_that_has_all_spots_of_the_other() -> None:
    both, own = rhombus(2.95, 90.0, 0.0), rhombus(5.9, 90.0, 0.0)
    below = np.arange(400)[:, None] < 200
    values = waves(both) + np.where(below, waves(own), 0.0)
    values = values + np.random.default_rng(2).normal(0, 1.0, values.shape)
    grains = find_grains(as_image(values))
    assert len(grains) == 2
    counts = {
        g.center[1] < 200 * PIXEL: len([s for s in g.spots if s.amplitude > 0.2]) for g in grains
    }
    assert counts == {True: 4, False: 2}


def test_vacuum_belongs_to_no_grain() -> None:
    values = waves(rhombus(2.9, 90.0, 5.0))
    y, x = np.mgrid[:400, :400] - 200
    values = np.where(np.hypot(y, x) < 110, values, 0.0)
    values = values + np.random.default_rng(2).normal(0, 0.5, values.shape)
    (grain,) = find_grains(as_image(values))
    radius = math.sqrt(grain.area / math.pi)
    assert radius == pytest.approx(110 * PIXEL, abs=4)


def test_regions_in_place_of_grains() -> None:
    image = as_image(waves(rhombus(2.9, 90.0, 5.0)))
    (grain,) = from_regions(image, [(10, 50, 20, 70)])
    assert grain.center == (30, 45)
    assert grain.spots[0].spacing.value == pytest.approx(2.9, rel=0.005)


# ---------------------------------------------------------------- pictures and bad input


def test_a_diffractogram_is_its_own_mirror() -> None:
    values = waves(rhombus(2.9, 80.0, 5.0), (300, 260))
    amplitude, fy, fx = diffractogram(as_image(values), reach=0.5)
    assert amplitude.shape == (len(fy), len(fx))
    assert fx == pytest.approx(-fx[::-1])
    assert fy == pytest.approx(-fy[::-1])
    # mirrored by construction in x only beside the axis; Friedel's law has to hold all over
    assert amplitude == pytest.approx(amplitude[::-1, ::-1], abs=1e-3 * amplitude.max())
    row, column = np.unravel_index(np.argmax(amplitude), amplitude.shape)
    assert math.hypot(fy[row], fx[column]) == pytest.approx(1 / 2.9, rel=0.02)


def test_a_bar_and_its_letters_are_smoothed_over() -> None:
    rng = np.random.default_rng(3)
    values = 100 + 40 * waves(rhombus(2.9, 90.0, 5.0)) / 2 + rng.normal(0, 5, (400, 400))
    drawn = values.copy()
    drawn[370:378, 20:140] = 255.0
    drawn[350:362, 40:44] = 255.0
    image, warnings = without_bar(as_image(drawn, scale_bar=[370, 378, 20, 140]))
    assert len(warnings) == 1
    assert float(image.data.values.max()) < 254
    assert image.data.values[350:362, 40:44].mean() == pytest.approx(100, abs=15)
    # the rest is as it was
    assert (image.data.values[:300] == drawn[:300]).all()
    same, none = without_bar(as_image(values))
    assert none == ()
    assert same.data.values is values or (same.data.values == values).all()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((300, 300)), "equal"),
        (np.where(np.eye(300) > 0, np.nan, 1.0), "300 pixels are not finite"),
        (np.ones((300, 20)), "too few"),
    ],
)
def test_what_is_no_image(values: np.ndarray, said: str) -> None:
    with pytest.raises(InputError, match=said):
        find_spots(as_image(values))
    with pytest.raises(InputError, match=said):
        find_grains(as_image(values))


def test_regions_and_windows_that_do_not_fit() -> None:
    image = as_image(waves(rhombus(2.9, 90.0, 5.0)))
    with pytest.raises(InputError, match="stay in"):
        find_spots(image, (0, 1, 0, 1))
    with pytest.raises(InputError, match="window"):
        find_grains(image, window=70.0)
    with pytest.raises(InputError, match="shape"):
        find_spots(image, weights=np.ones((3, 3)))
    with pytest.raises(InputError, match="no scale"):
        find_grains(as_image(np.ones((300, 300)), unit="px"))
