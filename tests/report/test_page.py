"""The page opens from disk without a network, draws, and cannot be broken by odd text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from heterodot.crystal import Crystal
from heterodot.particle import Domain, Particle
from heterodot.report.page import Page, cards, code, svg, table
from heterodot.report.palette import CHALCOGENIDE, ELEMENTS, PEROVSKITE, domain_color
from tests.browser import needs_chromium, open_page

ODD = 'A </script><b>"x" & <!-- é \u2028'


def make_page(cspbcl3: Crystal) -> Page:
    bulk = cspbcl3.supercell((4, 4, 4))
    n = len(bulk)
    particle = Particle(
        bulk.symbols,
        bulk.positions,
        (bulk.positions[:, 2] > 11).astype(int),
        np.where(bulk.positions[:, 0] > 16, "surface", "core"),
        bulk.charges,  # type: ignore[arg-type]
        (Domain("CsPbCl3"), Domain(ODD)),
    )
    page = Page(ODD, ODD)
    page.section("Particle")
    page.add(cards([(ODD, ODD)]))
    page.viewer(
        [("built", particle), (ODD, particle.replace(positions=particle.positions * 1.01))],
        [("density", np.linspace(0, 1, n), ("#ffffff", "#0072b2"), [("much", "#0072b2")])],
        across=np.array([0.0, 0.0, 1.0]),
    )
    page.section("Pattern")
    x = np.linspace(15, 60, 1200)
    page.plot("xrd", [{"x": x, "y": np.sin(x) ** 2, "mode": "lines", "name": ODD}], {})
    figure = Figure(figsize=(3, 2))
    figure.add_subplot().plot([1, 2, 3])
    page.figure(figure, ODD, name="levels", table="a\tb\neV\tnm\n1\t2\n")
    page.add(table(["number", ODD], [[1.5, ODD], [2.0, True]], chosen=1, name="t"))
    page.add(code(ODD, "code"))
    page.warn(ODD)
    return page


@pytest.fixture(scope="module")
def html(cspbcl3: Crystal) -> str:
    return make_page(cspbcl3).render()


def test_nothing_is_fetched_and_odd_text_stays_text(html: str) -> None:
    assert "<b>" not in re.sub(r"<b>\d+ atoms</b>|<b>[^<]*&lt;", "", html).split("<script")[0]
    assert not re.search(r'(src|href)="(https?:)?//', html.split("<script type")[0])
    assert "connect-src data: blob:" in html
    data = re.search(r'id="data">(.*?)</script>', html, re.S)
    assert data is not None
    content = json.loads(data[1])
    assert content["particle"]["domains"][1] == ODD


def test_same_input_same_page(cspbcl3: Crystal, html: str) -> None:
    assert make_page(cspbcl3).render() == html


def test_svg_keeps_text_editable() -> None:
    figure = Figure(figsize=(2, 2))
    figure.add_subplot().set_xlabel("2θ (°)")
    drawn = svg(figure)
    assert "<text" in drawn
    assert "2θ (°)" in drawn


def test_colors_tell_apart() -> None:
    assert len({ELEMENTS[e] for e in ("Cs", "Pb", "Cl", "Br", "I", "S", "Cd", "Zn", "Cu")}) == 9
    assert domain_color("CsPbBr3", 1) == PEROVSKITE
    for formula in ("PbS", "CdS", "Cu2S", "Pb4S3Br2"):
        assert domain_color(formula, 0) == CHALCOGENIDE
    assert domain_color("Cs4PbBr6", 2) == PEROVSKITE


class TestBrowser:
    pytestmark = needs_chromium

    def test_opens_offline_and_draws(self, html: str, tmp_path: Path) -> None:
        path = tmp_path / "report.html"
        path.write_text(html, encoding="utf-8")
        opened = open_page(path, tmp_path)
        assert opened.errors == []
        assert opened.requests == []
        assert 'data-drawn="320"' in opened.dom  # atoms that the 3-D view drew
        assert 'data-plot="xrd" data-drawn="yes"' in opened.dom
        assert "Cs (64)" in opened.dom  # legend made by the script
        assert 'class="main-svg"' in opened.dom
        assert 'data-name="t"' in opened.dom
