"""Segmentation against fields whose particles are known, with uneven film, noise and overlap."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from scipy import ndimage

from heterodot.cli.segment import segment as command
from heterodot.errors import InputError, NotFoundError
from heterodot.probes.segmentation import (
    binomial,
    burnt_in,
    flatten,
    otsu,
    pixel_noise,
    review_document,
    reviewed,
    segment,
)
from heterodot.probes.segmentation._kernels import distances, grown_labels, largest_of
from heterodot.probes.segmentation.shapes import blurred_rectangle, circle, rectangle
from heterodot.probes.segmentation.split import hills

from .fields import THIN, field, matched, screenshot


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


@pytest.mark.slow
def test_a_large_field_is_counted_within_one_percent() -> None:
    # a film that no polynomial of low order follows made 535 of 500 here
    truth = field("sphere", shape=(2048, 2048), count=500, seed=1)
    found = segment(truth.image, 0.25)
    assert abs(len(found.particles) - 500) <= 5
    rows = matched(found, truth, 0.25)
    ratio = rows[:, 0] / rows[:, 1]
    assert len(set(rows[:, 2])) == len(rows) > 450
    assert ratio.mean() == pytest.approx(1, abs=0.015)
    assert np.mean(np.abs(ratio - 1) < 0.03) > 0.97


@pytest.mark.parametrize(("bright", "noise"), [(True, 6.0), (False, 3.0)])
def test_platelets_on_edge_that_touch(bright: bool, noise: float) -> None:
    truth = field(
        "platelet", shape=(600, 700), size=90, spread=0.08, count=38, overlap=0.0, noise=noise,
        bright=bright, seed=6,
    )  # fmt: skip
    found = segment(truth.image, 0.15)
    assert found.shape == "platelet"
    assert found.size_name == "longer edge"
    assert len(found.particles) == 38
    assert sum(p.touching for p in found.particles) >= 2
    rows = matched(found, truth, 0.15)
    assert len(rows) > 28
    ratio = rows[:, 0] / rows[:, 1]
    assert ratio.mean() == pytest.approx(1, abs=0.01)
    assert np.mean(np.abs(ratio - 1) < 0.03) > 0.9
    # the shorter edge, 14 pixels, from the blurred rectangle
    true = THIN * rows[:, 1] * 0.15
    assert np.median(np.sort(found.widths()) / np.sort(true)) == pytest.approx(1, abs=0.02)
    sure = np.array([p.error for p in found.particles if p.size is not None])
    pulls = (rows[:, 0] - rows[:, 1]) * 0.15 / sure
    assert 0.5 < np.median(np.abs(pulls)) / 0.6745 < 2


@pytest.mark.parametrize("kind", ["sphere", "cube"])
def test_counted_electrons_and_uneven_illumination(kind: str) -> None:
    truth = field(
        kind, shape=(600, 700), count=55, film="haadf", dose=1.0, varied=0.4, overlap=0.1, seed=4
    )
    found = segment(truth.image, 0.25)
    assert len(found.particles) == 55
    rows = matched(found, truth, 0.25)
    ratio = rows[:, 0] / rows[:, 1]
    assert ratio.mean() == pytest.approx(1, abs=0.015)
    assert np.mean(np.abs(ratio - 1) < 0.03) > 0.93


def test_attached_domains_are_sized_apart() -> None:
    truth = field(
        "cube", second=0.6, attached="block", overlap=-0.5, count=30, shape=(700, 700), seed=9
    )
    found = segment(truth.image, 0.25)
    assert found.shape == "cube"
    assert len(found.particles) == 30
    rows = matched(found, truth, 0.25)
    assert np.mean(np.abs(rows[:, 0] / rows[:, 1] - 1) < 0.03) > 0.95  # the cube, not the whole
    two = [p for p in found.particles if len(p.domains) == 2]
    area = [p.domains[1].area / 0.0625 for p in two]
    near = [
        truth.second[np.hypot(*(truth.centers - np.array(p.center) / 0.25).T).argmin()] for p in two
    ]
    assert len(two) > 8
    assert np.abs(np.sqrt(np.array(area) / near) - 1).max() < 0.05


def test_domains_that_hang_by_a_neck_are_one_particle_if_asked() -> None:
    truth = field(
        "cube", second=0.7, attached="ball", overlap=-0.9, count=16, shape=(700, 700), seed=9,
        varied=0.2,
    )  # fmt: skip
    apart = segment(truth.image, 0.25)
    found = segment(truth.image, 0.25, dimers=True)
    with_ball = int((truth.second > 0).sum())
    assert len(found.particles) == 16
    assert 16 + with_ball // 2 < len(apart.particles) <= 16 + with_ball
    two = [p for p in found.particles if len(p.domains) == 2]
    inner = [p for p in found.particles if p.domains]
    ratio = []
    for p in inner:
        k = int(np.hypot(*(truth.centers - np.array(p.center) / 0.25).T).argmin())
        assert (len(p.domains) == 2) == (truth.second[k] > 0)
        if len(p.domains) == 2:
            ratio.append((p.domains[1].area / 0.0625 / truth.second[k]) ** 0.5)
            assert p.size == pytest.approx(0.25 * truth.sizes[k], rel=0.04)
    assert len(two) >= 3
    assert np.median(ratio) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("bright", [False, True])
def test_monolayer_where_the_film_is_the_lesser_part(bright: bool) -> None:
    rng = np.random.default_rng(1)
    ny, nx, step = 400, 450, 48
    y, x = np.mgrid[: 4 * ny, : 4 * nx] / 4
    covered = np.zeros((4 * ny, 4 * nx))
    edges = []
    for cy in np.arange(24, ny - 20, step):
        for cx in np.arange(24, nx - 20, step):
            edge = 40 * (1 + 0.04 * rng.normal())
            box = np.s_[int(4 * (cy - 30)) % (4 * ny) if cy > 30 else 0 : int(4 * (cy + 30)),
                        int(4 * (cx - 30)) % (4 * nx) if cx > 30 else 0 : int(4 * (cx + 30))]  # fmt: skip
            inside = (np.abs(y[box] - cy) < edge / 2) & (np.abs(x[box] - cx) < edge / 2)
            covered[box] += inside * rng.uniform(0.8, 1.2)
            edges.append(edge)
    thick = covered.reshape(ny, 4, nx, 4).mean((1, 3))
    assert (thick > 0.5).mean() > 0.6
    image = 200 + 0.03 * np.arange(nx) + (30 if bright else -30) * thick
    image = ndimage.gaussian_filter(image, 0.7) + 6 * rng.normal(size=image.shape)
    found = segment(image, 0.25)
    assert found.polarity == ("bright" if bright else "dark")
    assert found.shape == "cube"
    assert len(found.particles) == len(edges)
    assert found.mean().value == pytest.approx(0.25 * np.mean(edges), rel=0.02)


def test_screenshot_with_bar_and_label() -> None:
    truth = field("sphere", shape=(600, 700), count=45, seed=3)
    gray, bar = screenshot(truth)
    plain = segment(gray, 0.25)
    box = burnt_in(gray, bar)
    # digits are 24 to 6 pixels above the bar
    assert box[0] <= bar[0] - 24
    assert box[1] >= bar[1]
    found = segment(gray, 0.25, exclude=[box])
    assert len(found.particles) == 45 < len(plain.particles)
    rows = matched(found, truth, 0.25)
    assert np.mean(np.abs(rows[:, 0] / rows[:, 1] - 1) < 0.03) > 0.95
    with pytest.raises(InputError, match="hardly anything"):
        segment(gray, 0.25, exclude=[(0, 590, 0, 700)])


def test_an_edited_review_is_applied_and_others_are_refused() -> None:
    truth = field("cube", shape=(400, 420), count=16, overlap=-0.1, second=0.5, size=50, seed=4)
    found = segment(truth.image, 0.2)
    written = json.loads(json.dumps(review_document(found, "field.tif", "ab")))
    assert len(reviewed(found, written, "ab").particles) == len(found.particles)
    two = next(p.number for p in found.particles if len(p.domains) == 2)
    edited = copy.deepcopy(written)
    out = next(r for r in edited["particles"] if r["number"] != two)
    out["decision"] = "reject"
    next(r for r in edited["particles"] if r["number"] == two)["domains"] = 1
    after = reviewed(found, edited)
    assert {p.number for p in found.particles} - {p.number for p in after.particles} == {
        out["number"]
    }
    one = next(p for p in after.particles if p.number == two)
    assert len(one.domains) == 1
    before = next(p for p in found.particles if p.number == two)
    assert one.domains[0].area == pytest.approx(sum(d.area for d in before.domains))
    assert not after.second[after.labels == two].any()
    for change, message in [
        ({"decision": "maybe"}, "no decision"),
        ({"number": 999}, "is not where"),
        ({"center_nm": [0.0, 0.0]}, "is not where"),
        ({"domains": 3}, "cannot be measured"),
    ]:
        bad = copy.deepcopy(written)
        bad["particles"][0].update(change)
        with pytest.raises(InputError, match=message):
            reviewed(found, bad)
    with pytest.raises(InputError, match="another image"):
        reviewed(found, written, "cd")
    with pytest.raises(InputError, match="not in the review"):
        reviewed(found, {**written, "particles": written["particles"][1:]})
    with pytest.raises(InputError, match="no review"):
        reviewed(found, {"particles": []})


def test_kernels_against_plain_ones() -> None:
    rng = np.random.default_rng(4)
    mask = ndimage.gaussian_filter(rng.normal(size=(60, 75)), 3) > 0
    assert np.allclose(distances(mask), ndimage.distance_transform_edt(mask))
    labels = ndimage.label(ndimage.binary_erosion(mask, iterations=2))[0].astype(np.int32)
    grown = grown_labels(labels, 3.0)
    reach, nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    wanted = np.where(reach <= 3.0, labels[tuple(nearest)], 0)
    assert ((grown > 0) == (wanted > 0)).all()
    assert (grown == wanted).mean() > 0.995  # ties may go either way
    top = largest_of(reach, labels, int(labels.max()))
    assert np.allclose(top[1:], ndimage.maximum(reach, labels, np.arange(1, labels.max() + 1)))


def test_blurred_rectangle_recovers_what_is_thinner_than_half_height_tells() -> None:
    blur, truth = 1.6, np.array([30.3, 24.8, 0.4, 40.0, 3.0, 25.0])
    fine = (np.arange(60 * 8) + 0.5) / 8 - 0.5
    x, y = np.meshgrid(fine, fine)
    c, s = np.cos(truth[2]), np.sin(truth[2])
    u, v = c * (x - truth[0]) + s * (y - truth[1]), c * (y - truth[1]) - s * (x - truth[0])
    box = truth[5] * ((np.abs(u) < truth[3] / 2) & (np.abs(v) < truth[4] / 2))
    image = ndimage.gaussian_filter(box, 8 * blur).reshape(60, 8, 60, 8).mean((1, 3))
    free = np.ones(image.shape, dtype=bool)
    start = truth * [1.01, 0.98, 1.2, 0.9, 1.5, 0.7]
    # the average over a pixel blurs by the root of 1/12
    found, errors, rest = blurred_rectangle(image, free, start, np.hypot(blur, 12**-0.5))
    assert found == pytest.approx(truth, rel=0.02)
    assert rest < 0.01
    assert (errors < 0.2).all()
    over_half = (image > image.max() / 2).sum() / 40.0
    assert over_half > 3.6  # what a threshold would give for 3.0


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


def test_review_on_the_command_line(tmp_path: Path) -> None:
    truth = field("cube", shape=(400, 420), count=14, overlap=-0.1, seed=4)
    gray, bar = screenshot(truth)
    image, verdict = tmp_path / "shot.png", tmp_path / "review.json"
    Image.fromarray(gray).save(image)
    words = [str(image), "--pixel-size", "0.25 nm", "--json", "--quiet"]
    figure = tmp_path / "sizes.png"
    first = CliRunner().invoke(
        command, [*words, "--review", str(verdict), "--histogram", str(figure)]
    )
    assert first.exit_code == 0, first.output
    document = json.loads(first.stdout)
    assert document["counted"] == 14  # the bar and its label are none
    assert any("left out" in w for w in document["warnings"])
    assert document["counting_error"] == pytest.approx(14**0.5)
    assert figure.stat().st_size > 5000
    edited = json.loads(verdict.read_text(encoding="utf-8"))
    for row in edited["particles"][:2]:
        row["decision"] = "reject"
    verdict.write_text(json.dumps(edited), encoding="utf-8")
    again = CliRunner().invoke(command, [*words, "--review", str(verdict)])
    assert isinstance(again.exception, InputError)
    assert "already" in str(again.exception)
    assert json.loads(verdict.read_text(encoding="utf-8")) == edited
    applied = json.loads(CliRunner().invoke(command, [*words, "--reviewed", str(verdict)]).stdout)
    assert applied["counted"] == 12
    assert applied["taken_out_by_review"] == 2
    verdict.write_text("{", encoding="utf-8")
    broken = CliRunner().invoke(command, [*words, "--reviewed", str(verdict)])
    assert "not JSON" in str(broken.exception)
    box = f"{bar[2]}:{bar[3]},{bar[0]}:{bar[1]}"
    out = CliRunner().invoke(command, [*words, "--exclude", box, "--crop", "0:420,0:360"])
    assert json.loads(out.stdout)["counted"] <= 14
    off = CliRunner().invoke(command, [*words, "--exclude", "0:9999,0:10"])
    assert "leaves the image" in str(off.exception)


def test_published_count_of_isolated_cubes() -> None:
    # Imran et al.: 80 of 1300 counted, called 6 percent
    found = binomial(80, 1300)
    assert found.value == pytest.approx(0.06154, abs=1e-5)
    assert found.error == pytest.approx((0.06154 * 0.93846 / 1300) ** 0.5, rel=0.01)
