"""Which q a pixel sees: analytic cases, pyFAI's own arithmetic, .poni files and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from heterodot.errors import InputError
from heterodot.formats.poni import read_poni
from heterodot.probes.giwaxs import Geometry
from heterodot.probes.giwaxs.geometry import UP


def simple(**changes):
    given = {
        "shape": (400, 300), "pixel": (172.0, 172.0), "distance": 200.0, "center": (380.0, 150.0),
        "wavelength": 1.5406, "incidence": 0.3,
    }  # fmt: skip
    return Geometry.simple(**(given | changes))


def test_a_ring_has_one_q_and_the_direct_beam_none():
    g = simple()
    parallel, q_z = g.momentum()
    assert np.hypot(parallel, q_z)[380, 150] < 1e-4
    x, y, z = g.positions()
    two_theta = np.arctan2(np.hypot(x, y), z)
    expected = 4 * np.pi * np.sin(two_theta / 2) / 1.5406
    assert np.allclose(np.hypot(parallel, q_z), expected, atol=1e-12)


def test_component_along_the_normal_is_the_sum_of_both_angles():
    g = simple(tilt=2.0)
    _, q_z = g.momentum()
    out, into = np.radians(g.exit_angle()), np.radians(0.3)
    # the tilt about the beam leaves the angle of incidence: tan(i') = cos(tilt) tan(i)
    into = np.arcsin(np.cos(np.radians(2.0)) * np.sin(into))
    assert np.allclose(q_z, g.wavenumber * (np.sin(out) + np.sin(into)), atol=1e-12)


@pytest.mark.parametrize("up", UP)
def test_the_normal_points_to_the_edge_that_was_named(up):
    g = simple(up=up, center=(200.0, 150.0))
    _, q_z = g.momentum()
    rise = {
        "first row": q_z[0, 150] - q_z[-1, 150], "last row": q_z[-1, 150] - q_z[0, 150],
        "first column": q_z[200, 0] - q_z[200, -1], "last column": q_z[200, -1] - q_z[200, 0],
    }  # fmt: skip
    assert rise[up] > 0.5


@pytest.mark.parametrize("up", UP)
def test_pixels_agree_with_pyfai(up):
    pytest.importorskip("pyFAI", reason="needs pyFAI (heterodot[giwaxs])")
    from pyFAI.units import get_unit_fiber

    from heterodot.probes.giwaxs.reduction import _integrator

    g = Geometry(
        (60, 50), (172, 170), 200.0, (5000.0, 3000.0), 1.2, 0.4, 1.0, (0.02, -0.03, 0.05), up
    )
    ai, _ = _integrator(g)
    angles = (np.radians(0.4), np.radians(1.0), UP[up][0])
    units = ("qip_A^-1", "qoop_A^-1", "chigi_deg")
    parallel, q_z, chi = (ai.array_from_unit(unit=get_unit_fiber(u, *angles)) for u in units)
    own_parallel, own_z = g.momentum()
    assert np.allclose(parallel, own_parallel, atol=1e-9)
    assert np.allclose(q_z, own_z, atol=1e-9)
    assert np.allclose(chi, np.degrees(np.arctan2(own_parallel, own_z)), atol=1e-6)
    assert np.allclose(ai.solidAngleArray(), g.solid_angle(), atol=1e-6)
    assert np.allclose(ai.polarization(g.shape, 0.7), g.polarization(0.7), atol=1e-5)


PONI = """# Nota: C-Order, 1 refers to the Y axis, 2 to the X axis
poni_version: 2
Detector: Detector
Detector_config: {"pixel1": 0.000172, "pixel2": 0.000172, "max_shape": [400, 300]}
Distance: 0.2
Poni1: 0.06
Poni2: 0.025
Rot1: 0.01
Rot2: -0.02
Rot3: 0.0
Wavelength: 1.0332e-10
"""


def test_poni_file_gives_the_geometry(tmp_path):
    path = tmp_path / "a.poni"
    path.write_text(PONI + PONI.replace("Distance: 0.2", "Distance: 0.21"))
    told = read_poni(path)
    g = Geometry.from_poni(told, (400, 300), incidence=0.2)
    assert g.distance == pytest.approx(210.0)  # the last of two refinements
    assert g.wavelength == pytest.approx(1.0332)
    assert g.foot == pytest.approx((60000.0, 25000.0))
    assert g.pixel == pytest.approx((172.0, 172.0))
    assert g.rotations == (0.01, -0.02, 0.0)
    assert told["shape"] == (400, 300)
    assert g.up == "first row"


def test_poni_file_of_a_named_detector_needs_pyfai_for_its_pixels(tmp_path):
    path = tmp_path / "a.poni"
    text = PONI.replace("Detector: Detector", "Detector: Pilatus1M")
    path.write_text(text.replace('{"pixel1": 0.000172, "pixel2": 0.000172, "max_shape": [400, 300]}', "{}"))  # fmt: skip
    told = read_poni(path)
    try:
        import pyFAI  # noqa: F401
    except ImportError:
        with pytest.raises(InputError, match=r"Pilatus1M.*giwaxs"):
            Geometry.from_poni(told, (1043, 981), incidence=0.2)
    else:
        assert told["pixel"] == pytest.approx((172.0, 172.0))
        assert told["shape"] == (1043, 981)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello", "has no Distance"),
        (PONI.replace("0.2\n", "far\n"), "'far' is no number"),
        (PONI.replace("{", "[{"), "not JSON"),
        (PONI.replace("Distance: 0.2", "Distance: nan"), "no number"),
        (PONI.replace("Distance: 0.2", "Distance: 200"), "200000 mm is outside"),
        (PONI.replace("Wavelength: 1.0332e-10", "Wavelength: None"), "no wavelength"),
    ],
)
def test_refused_poni_files(tmp_path, text, message):
    path = tmp_path / "a.poni"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        Geometry.from_poni(read_poni(path), (400, 300), incidence=0.2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"distance": 0.2}, "0.2 mm is outside"),
        ({"pixel": (0.000172, 0.000172)}, "outside 0.1 to 5000 µm"),
        ({"wavelength": 15.4}, "outside 0.05 to 5 Å"),
        ({"incidence": 25.0}, "no grazing incidence"),
        ({"incidence": float("nan")}, "not finite"),
        ({"up": "north"}, "no edge"),
        ({"shape": (1, 10)}, "no detector"),
    ],
)
def test_refused_geometries(changes, message):
    with pytest.raises(InputError, match=message):
        simple(**changes)
