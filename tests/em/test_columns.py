"""Columns of images whose truth is known: positions, errors, sublattices, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from heterodot.catalog import crystal
from heterodot.epitaxy import search
from heterodot.errors import InputError, NotFoundError
from heterodot.formats.images import write_tiff
from heterodot.measurement import Measurement
from heterodot.particle import Particle, build
from heterodot.probes.em import (
    EmSetup,
    find_columns,
    find_grains,
    preview,
    read_domains,
    sort_columns,
)
from heterodot.probes.em.preview import as_image, projected
from heterodot.probes.em.sublattices import crystal_sites, in_zone

VIEW = EmSetup(zone=(0, 0, 1))
PEAK = 300  # counts in the strongest pixel


@pytest.fixture(scope="module")
def dimer() -> Particle:
    a, b = crystal("CsPbBr3"), crystal("PbS")
    return build(a, "cube", "3 nm", b, "cuboctahedron", "2.6 nm", next(iter(search(a, b))))


@pytest.fixture(scope="module")
def noisy(dimer: Particle) -> Measurement:
    return counted(preview(dimer, VIEW), 5)


def counted(image: Measurement, seed: int) -> Measurement:
    values = np.clip(image.data.values, 0, None)
    counts = np.random.default_rng(seed).poisson(values / values.max() * PEAK)
    return replace(image, data=image.data.copy(data=counts.astype(float)))


def lattice(step: float = 0.2, width: float = 1.0) -> tuple[Measurement, np.ndarray, np.ndarray]:
    """Gaussians on an oblique lattice, of two strengths, on a constant."""
    n = 160
    axis = (np.arange(n) - n // 2) * step
    places, strengths = [], []
    for i in range(-6, 7):
        for j in range(-6, 7):
            x, y = 2.9 * i + 0.31 * j + 0.013, 2.7 * j - 0.17 * i + 0.041
            if abs(x) < 12 and abs(y) < 12:
                places.append((x, y))
                strengths.append(3.0 if (i + j) % 2 else 1.0)
    s2 = width**2 / (8 * np.log(2))
    values = np.full((n, n), 0.5)
    for (x, y), a in zip(places, strengths, strict=True):
        gx, gy = np.exp(-((axis - x) ** 2) / (2 * s2)), np.exp(-((axis - y) ** 2) / (2 * s2))
        values += a / (2 * np.pi * s2) * np.outer(gy, gx)
    image = as_image(values, step, "test", "", {}, ())
    return image, np.array(places), np.array(strengths)


def matched(found: object, places: np.ndarray) -> np.ndarray:
    """Index of the place nearest to each column."""
    from scipy.spatial import cKDTree

    xy = np.array([[c.x.value, c.y.value] for c in found])  # type: ignore[attr-defined]
    return np.asarray(cKDTree(places).query(xy)[1])


def test_gaussians_are_found_exactly() -> None:
    image, places, strengths = lattice()
    found = find_columns(image)
    assert len(found) == len(places)
    near = matched(found, places)
    xy = np.array([[c.x.value, c.y.value] for c in found])
    assert np.abs(xy - places[near]).max() < 2e-4
    assert [c.intensity.value for c in found] == pytest.approx(strengths[near], rel=2e-3)
    assert np.median([c.width.value for c in found]) == pytest.approx(1.0, rel=1e-3)
    assert np.median([c.background for c in found]) == pytest.approx(0.5, abs=2e-3)


def test_dark_columns_are_those_of_the_negative() -> None:
    image, _, _ = lattice()
    negative = replace(image, data=image.data.copy(data=2.0 - image.data.values))
    bright, dark = find_columns(image), find_columns(negative, dark=True)
    assert [c.x.value for c in dark] == pytest.approx([c.x.value for c in bright], abs=1e-6)
    assert np.median([c.background for c in dark]) == pytest.approx(1.5, abs=2e-3)


def test_errors_cover_the_scatter_of_counting_noise() -> None:
    image, places, _ = lattice()
    pulls = []
    for seed in range(4):
        found = find_columns(counted(image, seed))
        near = matched(found, places)
        for column, k in zip(found, near, strict=True):
            for value, truth in zip((column.x, column.y), places[k], strict=True):
                assert value.error
                pulls.append((value.value - truth) / value.error)
    assert 0.85 < np.std(pulls) < 1.2
    assert abs(np.mean(pulls)) < 0.15


def test_positions_and_sublattices_of_our_dimer(dimer: Particle, noisy: Measurement) -> None:
    from scipy.spatial import cKDTree

    found = find_columns(noisy)
    phases = [crystal("CsPbBr3"), crystal("PbS")]
    done = sort_columns(found, noisy, read_domains(noisy, phases))
    seen, _ = projected(dimer, VIEW)
    tree = cKDTree(seen[:, :2])
    away, right, total = [], 0, 0
    for column in done.columns:
        if not column.domain:
            continue
        atoms = tree.query_ball_point((column.x.value, column.y.value), 0.5)
        elements = {dimer.symbols[i] for i in atoms}
        total += 1
        # surfaces of PbS hold bromine in place of sulfur, and four cesium columns extra bromine
        right += {"Br": elements == {"Br"}, "Cs": "Cs" in elements}.get(
            column.sublattice, "Pb" in elements and ("+S" in column.sublattice or "Br" in elements)
        )
        weight = dimer.numbers[atoms] ** 1.7
        truth = (seen[atoms, :2] * weight[:, None]).sum(0) / weight.sum()
        away.append([column.x.value - truth[0], column.y.value - truth[1]])
    assert total > 190
    assert right / total > 0.97
    assert np.sqrt(np.mean(np.square(away))) < 0.02  # Å: two picometers
    means = {(s.domain, s.label): s.intensity.value for s in done.sublattices}
    name = phases[0].name
    ratio = (35 / 82) ** 1.7  # bromine alone has both its atoms in a column
    assert means[name, "Br"] < means[name, "Cs"] < means[name, "Pb+Br"]
    assert means[name, "Br"] / means[name, "Pb+Br"] == pytest.approx(ratio / (1 + ratio), rel=0.2)
    spacing = next(row for row in done.lattices if row["domain"] == name)["spacings"][0]
    assert abs(spacing["value"] - 5.874) < 4 * spacing["error"]


def test_sites_without_a_phase_are_named_by_strength(noisy: Measurement) -> None:
    done = sort_columns(find_columns(noisy), noisy, find_grains(noisy))
    strength = {(s.domain, s.label): s.intensity.value for s in done.sublattices}
    perovskite = next(d for d, label in strength if label == "C")
    own = [strength[perovskite, label] for label in "ABC"]
    assert own == sorted(own, reverse=True)
    assert own[2] < 0.6 * own[1] < 0.36 * own[0]
    assert {label for d, label in strength if d != perovskite} == {"A"}


@pytest.mark.parametrize("zone", [(0, 0, 1), (1, 1, 0), (1, -1, 2), (3, 1, 0), (2, 4, 2)])
def test_reflections_span_the_zone(zone: tuple[int, int, int]) -> None:
    one, two = in_zone(zone, np.diag([5.9, 6.3, 8.1]))
    axis = np.cross(one, two)
    assert np.linalg.norm(np.cross(axis, zone)) == 0
    assert np.gcd.reduce(axis) == 1


def test_sites_of_known_projections() -> None:
    _, sites, labels, _ = crystal_sites(crystal("PbS"), (1, 1, 0))
    assert set(labels) == {"Pb", "S"}
    assert len(sites) == 2 * labels.count("Pb")
    _, _, labels, _ = crystal_sites(crystal("PbS"), (0, 0, 1))
    assert set(labels) == {"Pb+S"}


def test_what_is_no_image_of_columns_is_refused() -> None:
    image, _, _ = lattice()
    coarse = replace(image, data=image.data[::4, ::4])
    with pytest.raises(InputError, match="too large"):
        find_columns(coarse)
    flat = np.random.default_rng(1).normal(size=(128, 128))
    with pytest.raises(NotFoundError):
        find_columns(as_image(flat, 0.2, "noise", "", {}, ()), signal=8.0)
    bare = replace(
        image, data=image.data.assign_coords(x=("x", image.data["x"].values, {"units": ""}))
    )
    with pytest.raises(InputError, match="no scale"):
        find_columns(bare)
    with pytest.raises(InputError):
        sort_columns((), image, [])


def test_columns_on_the_command_line(noisy: Measurement, tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "haadf.tif", noisy)
    table, picture = tmp_path / "columns.csv", tmp_path / "columns.png"
    words = ["fit", "columns", str(path), "--phases", "CsPbBr3", "PbS", "--json"]
    words += ["--csv", str(table), "--figure", str(picture)]
    done = subprocess.run(
        [sys.executable, "-m", "heterodot.cli.main", *words], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "heterodot/fit-columns/1"
    assert document["count"] == len(table.read_text().splitlines()) - 1
    column = document["columns"][0]
    assert column["x"]["unit"] == "angstrom"
    assert column["x"]["error"] > 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    # the file's lower left pixel is the origin there, the particle's middle here
    own = find_columns(noisy)
    shift = noisy.data["x"].values[0]
    assert sorted(c["x"]["value"] for c in document["columns"])[:5] == pytest.approx(
        sorted(c.x.value - shift for c in own)[:5], abs=1e-3
    )
