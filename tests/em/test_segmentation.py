"""Segmentation against fields whose particles are known, with uneven film, noise and overlap."""

from __future__ import annotations

import numpy as np
import pytest

from heterodot.errors import InputError, NotFoundError
from heterodot.probes.segmentation import binomial, flatten, otsu, pixel_noise, segment
from heterodot.probes.segmentation.shapes import circle, rectangle
from heterodot.probes.segmentation.split import hills

from .fields import field, matched


@pytest.mark.parametrize(
    ("kind", "bright", "noise"),
    [("disc", False, 9.0), ("sphere", True, 6.0), ("cube", True, 6.0), ("cube", False, 9.0)],
)
def test_sizes_within_three_percent_with_overlap(kind: str, bright: bool, noise: float) -> None:
    truth = field(kind, bright=bright, noise=noise, shape=(600, 700), count=70)
    found = segment(truth.image, 0.25)
    assert found.shape == ("cube" if kind == "cube" else "round")
    assert found.thickness == ("round" if kind == "sphere" else "uniform")
    assert found.polarity == ("bright" if bright else "dark")
    assert abs(len(found.particles) - 70) <= 2
    rows = matched(found, truth, 0.25)
    ratio = rows[:, 0] / rows[:, 1]
    assert len(rows) > 45
    assert len(set(rows[:, 2])) == len(rows)
    assert ratio.mean() == pytest.approx(1, abs=0.015)
    assert np.mean(np.abs(ratio - 1) < 0.03) > 0.88
    assert rows[:, 0].std() == pytest.approx(rows[:, 1].std(), rel=0.1)
    assert sum(p.touching for p in found.particles) > 15


def test_two_domain_particles_are_counted_and_measured() -> None:
    truth = field(
        "cube", overlap=-0.1, second=0.6, count=60, size=50, shape=(900, 900), noise=5.0, seed=4
    )
    found = segment(truth.image, 0.2)
    rows = []
    for p in found.particles:
        k = int(np.hypot(*(truth.centers - np.array(p.center) / 0.2).T).argmin())
        if p.domains:
            area = p.domains[1].area / 0.04 if len(p.domains) == 2 else 0.0
            rows.append((area, truth.second[k]))
    table = np.array(rows)
    assert len(table) > 35
    assert ((table[:, 0] > 0) == (table[:, 1] > 0)).mean() > 0.97
    both = (table > 0).all(1)
    # an area by two lengths: twice the three percent of a length
    assert np.median(table[both, 0] / table[both, 1]) == pytest.approx(1, abs=0.06)
    alone = found.fraction_without_second()
    assert alone.error is not None
    assert abs(alone.value - np.mean(table[:, 1] == 0)) < alone.error
    assert len(found.domain_sizes("second")) == (table[:, 0] > 0).sum()
    bright = [d.level for p in found.particles for d in p.domains if d.name == "second"]
    assert np.median(bright) == pytest.approx(1.6, rel=0.05)


def test_size_does_not_depend_on_scale_of_gray_nor_orientation() -> None:
    truth = field("sphere", shape=(300, 320), count=14, overlap=0.0, noise=4.0)
    first = segment(truth.image, 1.0)
    again = segment(7.0 * truth.image - 900.0, 1.0)
    assert np.allclose(first.sizes(), again.sizes(), rtol=1e-9)
    turned = segment(truth.image.T, 2.0)
    assert np.allclose(np.sort(turned.sizes()), 2 * np.sort(first.sizes()), rtol=0.01)


def test_a_review_takes_particles_out() -> None:
    truth = field("disc", shape=(300, 320), count=14, overlap=0.0)
    found = segment(truth.image, 0.5)
    fewer = found.without([1, 3])
    assert len(fewer.particles) == len(found.particles) - 2
    assert not np.isin(fewer.labels, [1, 3]).any()
    with pytest.raises(InputError, match="no particle 999"):
        found.without([999])
    edges, counts, errors = found.histogram()
    assert counts.sum() == len(found.sizes())
    assert np.allclose(errors**2, counts)
    assert len(edges) == len(counts) + 1
    assert found.mean().error == pytest.approx(
        found.sizes().std(ddof=1) / len(found.sizes()) ** 0.5
    )


def test_fits_of_arcs_and_corners_are_exact_on_exact_points() -> None:
    angle = np.linspace(0.3, 3.3, 80)
    middle, radius, rest = circle(np.stack([7 + 5 * np.cos(angle), 3 + 5 * np.sin(angle)], 1))
    assert (*middle, radius) == pytest.approx((7, 3, 5), abs=1e-6)
    assert np.abs(rest).max() < 1e-6
    t = np.linspace(-1, 1, 60)
    one = np.ones(60)
    square = np.concatenate(
        [np.stack(p, 1) for p in [(10 * t, 8 * one), (10 * t, -8 * one), (10 * one, 8 * t)]]
    )
    c, s = np.cos(0.4), np.sin(0.4)
    points = square @ np.array([[c, s], [-s, c]]) + [50, 60]
    center, sides, _ = rectangle(points, (52.0, 59.0), np.array([1.0, 0.0]), 17.0)
    assert center == pytest.approx((50, 60), abs=1e-3)
    assert sorted(sides) == pytest.approx([16, 20], abs=1e-3)


def test_hills_against_climbing_one_pixel_at_a_time() -> None:
    rng = np.random.default_rng(2)
    height = rng.uniform(size=(12, 15))
    height[height < 0.2] = 0
    found = hills(height)
    ends = {}
    for y, x in np.argwhere(height > 0):
        at = (int(y), int(x))
        while True:
            around = [
                (i, j)
                for i in range(max(at[0] - 1, 0), min(at[0] + 2, 12))
                for j in range(max(at[1] - 1, 0), min(at[1] + 2, 15))
            ]
            best = max(around, key=lambda q: height[q])
            if best == at:
                break
            at = best
        assert ends.setdefault(at, found[y, x]) == found[y, x]
    assert len(set(ends.values())) == len(ends) == found.max()


def test_background_noise_and_threshold() -> None:
    truth = field("disc", count=40, noise=8.0, shape=(500, 500))
    flat, sign, _ = flatten(truth.image)
    assert sign == 1
    assert pixel_noise(truth.image) == pytest.approx(8.0, rel=0.03)
    support = np.ones(flat.shape, dtype=bool)
    y, x = np.mgrid[:500, :500]
    for (cx, cy), s in zip(truth.centers, truth.sizes, strict=True):
        support &= np.hypot(x - cx, y - cy) > s / 2 + 4
    # the film varies by 40 and more, the contrast is 30
    assert abs(flat[support].mean()) < 1.5
    assert np.std(flat[support]) < 9.0
    assert 2 < otsu(np.concatenate([np.zeros(50), np.full(30, 9.0)]) + 0.5) < 9


def test_binomial_error_near_the_middle_is_the_usual_one() -> None:
    assert binomial(200, 500).error == pytest.approx((0.4 * 0.6 / 500) ** 0.5, rel=0.01)
    # Wilson's interval at 0 of n is z^2 / (n + z^2) long
    assert binomial(0, 10).error == pytest.approx(0.5 / 11)


def test_bad_images() -> None:
    good = field("disc", shape=(200, 200), count=5, overlap=0.0).image
    with pytest.raises(InputError, match="no scale"):
        segment(good, 0.0)
    with pytest.raises(InputError, match="not finite"):
        segment(np.where(good > 250, np.nan, good), 1.0)
    with pytest.raises(InputError, match="not a field"):
        segment(np.zeros((200, 200, 3)), 1.0)
    with pytest.raises(NotFoundError, match="one gray"):
        segment(np.zeros((200, 200)), 1.0)
    with pytest.raises(InputError, match="not one of"):
        segment(good, 1.0, polarity="gray")
    with pytest.raises(NotFoundError, match="noise"):
        segment(np.random.default_rng(1).normal(size=(300, 300)), 1.0)
