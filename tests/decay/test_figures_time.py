"""Figures carry labels with units, no titles, one color for each domain; verbs that need images."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from heterodot.cli.main import cli
from heterodot.probes.decay import fit, fit_distribution, fit_map, simulate
from heterodot.probes.decay.convolution import exponential
from heterodot.probes.decay.quenching import modes
from heterodot.report.figures_time import (
    decay_figure,
    distribution_figure,
    map_figure,
    species_color,
)
from heterodot.report.palette import CHALCOGENIDE, PEROVSKITE

from .test_fit import image


def labels(figure):
    return [text for ax in figure.axes for text in (ax.get_xlabel(), ax.get_ylabel())]


def test_decay_and_distribution_figures():
    counts, irf = simulate([1.0, 5.0], [0.5, 0.5], counts=1e5, bins=300, seed=1)
    drawn = decay_figure(fit(counts, 2, irf=irf))
    assert "Time (ns)" in labels(drawn)
    assert "Residual (σ)" in labels(drawn)
    assert not any(ax.get_title() for ax in drawn.axes)
    assert "Lifetime (ns)" in labels(distribution_figure(fit_distribution(counts, irf=irf)))


def test_map_figure_and_verb(tmp_path):
    measured, irf, tau = image()
    assert "Mean lifetime (ns)" in labels(map_figure(fit_map(measured, irf=irf)))
    measured.write(tmp_path / "map.nc")
    irf.write(tmp_path / "irf.nc")
    result = CliRunner().invoke(
        cli,
        [
            "fit",
            "decay",
            str(tmp_path / "map.nc"),
            "--irf",
            str(tmp_path / "irf.nc"),
            "--model",
            "map",
            "--json",
            "-q",
            "-o",
            str(tmp_path / "map.png"),
        ],
    )
    assert result.exception is None
    found = json.loads(result.stdout)
    assert np.allclose(found["mean"], tau, rtol=0.15)
    assert (tmp_path / "map.png").stat().st_size > 1000


def test_quenching_verb(tmp_path):
    rng = np.random.default_rng(2)
    width, n = 0.06, 500
    t = (np.arange(n) + 0.5) * width
    irf = np.exp(-0.5 * ((t - 1.5) / 0.1) ** 2)
    irf /= irf.sum()
    rates, weights = modes(1e-5, 0.02e-9, count=100)
    both = 1 / 9.2 + rates
    quenched = sum(
        w / (9.2 * b) * exponential(irf, width * b)[0] for w, b in zip(weights, both, strict=True)
    )
    files = {
        "free.csv": rng.poisson(2e5 * exponential(irf, width / 9.2)[0] + 0.5),
        "layer.csv": rng.poisson(2e5 * quenched + 0.5),
        "irf.csv": rng.poisson(1e7 * irf),
    }
    for name, y in files.items():
        rows = "".join(f"{a:.3f},{b}\n" for a, b in zip(t, y, strict=True))
        (tmp_path / name).write_text("time (ns),counts\n" + rows)
    result = CliRunner().invoke(
        cli,
        [
            "fit",
            "decay",
            str(tmp_path / "free.csv"),
            "--irf",
            str(tmp_path / "irf.csv"),
            "--quenched",
            str(tmp_path / "layer.csv"),
            "--thickness",
            "100+-5 nm",
            "--json",
            "-q",
        ],
    )
    assert result.exception is None
    d = json.loads(result.stdout)["parameters"]["diffusion"]
    assert d["unit"] == "cm^2/s"
    assert abs(d["value"] - 0.02) < 3 * d["error"]


@pytest.mark.parametrize(
    ("name", "color"),
    [
        ("CsPbBr3*", PEROVSKITE),
        ("CdS*", CHALCOGENIDE),
        ("CsPbBr3", PEROVSKITE),
        ("PbS", CHALCOGENIDE),
    ],
)
def test_domains_keep_their_color(name, color):
    assert species_color(name, 0) == color
