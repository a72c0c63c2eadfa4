"""Films of known truth, found again: layers, rings, texture, fractions; and what refraction does."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from heterodot.catalog import crystal
from heterodot.errors import InputError
from heterodot.measurement import Measurement
from heterodot.probes.giwaxs import (
    Film,
    Geometry,
    critical_angle,
    fit,
    layers,
    simulate_image,
    simulate_polar,
)
from heterodot.probes.giwaxs.films import inside
from heterodot.probes.giwaxs.layers import phases_by_repeat
from heterodot.probes.giwaxs.rings import polar as checked
from heterodot.probes.giwaxs.rings import powder_profile, smooth_background
from heterodot.report.figures_giwaxs import film_figure

from .layered import CELL, WAVELENGTH, films

Q = np.linspace(0.2, 2.6, 700)
ANGLES = np.arange(-89.5, 90.0)


@pytest.fixture(scope="module")
def found():
    """PMA2PbBr4 with (00l) on the substrate, CsPbBr3 at random, as Yang2024 found them."""
    pattern = simulate_polar(films(), Q, ANGLES, WAVELENGTH, counts=3000, seed=1, missing=1.0)
    return fit(
        pattern, phases=[crystal("CsPbBr3_cubic"), crystal("PbS")],
        cells={"PMA2PbBr4": (*CELL, 90, 90, 90), "CsPbBr3": (5.87, 5.87, 5.87, 90, 90, 90)},
        incidence=0.0, critical=0.0,
    )  # fmt: skip


def test_layers_lie_flat_and_their_spacing_is_right(found):
    series = found.layers
    assert series.spacing.value == pytest.approx(CELL[2] / 2, abs=5 * series.spacing.error)
    assert series.spacing.error < 0.02
    assert series.orders[:2] == (1, 2)
    assert found.layer_phases[0]["phase"] == "PMA2PbBr4"
    assert found.layer_phases[0]["plane"] == [0, 0, 2]
    first = found.reflections[0]
    assert first.hkl == (0, 0, 2)
    assert first.orientation.kind == "spot"
    assert first.orientation.width.value == pytest.approx(12.0, abs=0.5)
    share = first.orientation.oriented
    assert share.value == pytest.approx(0.95, abs=3 * share.error)
    assert share.error < 0.03
    assert first.orientation.hermans.value > 0.9
    assert first.size.value == pytest.approx(258.0, rel=0.06)


def test_perovskite_is_a_powder(found):
    rings = [r for r in found.reflections if r.hkl in ((1, 1, 0), (2, 0, 0))]
    assert len(rings) == 2
    for r in rings:
        assert r.phase == "CsPbBr3_cubic"
        assert r.orientation.kind == "ring"
        assert r.orientation.hermans.value == pytest.approx(0.0, abs=0.05)
        assert r.ring.spacing.value == pytest.approx(
            5.874 / np.linalg.norm(r.hkl), abs=0.01
        )  # fmt: skip
    assert found.phases.extra["phases"]["CsPbBr3_cubic"]["present"]
    assert not found.phases.extra["phases"]["PbS"]["present"]


def test_results_are_plain_data_and_a_figure(found):
    from heterodot.documents import plain

    document = plain(found.to_json())
    assert document["reflections"][0]["kind"] == "spot"
    ring = next(r for r in document["reflections"] if r["kind"] == "ring")
    assert ring["angle"]["value"] is None
    assert ring["angle"]["error_reason"]
    figure = film_figure(found)
    labels = [axis.get_xlabel() for axis in figure.axes]
    assert "q (1/Å)" in labels
    assert any("χ" in text for text in labels)


def test_texture_does_not_move_the_fractions():
    """Mean over the sphere: a (111)-oriented PbS film on random CsPbBr3 keeps its fraction."""
    pbs, bromide = crystal("PbS"), crystal("CsPbBr3_cubic")
    made = [
        Film(pbs, 0.4, (1, 1, 1), 15.0, 0.9, size=70.0),
        Film(bromide, 0.6, oriented=0.0, size=90.0),
    ]
    true = 0.4 * pbs.density / (0.4 * pbs.density + 0.6 * bromide.density)
    q = np.linspace(0.7, 3.3, 600)
    pattern = simulate_polar(made, q, ANGLES[::2], WAVELENGTH, counts=2000, seed=2)
    result = fit(pattern, phases=[pbs, bromide])
    row = result.phases.extra["phases"]["PbS"]
    assert row["weight_fraction"].value == pytest.approx(true, abs=0.03)
    assert row["size"].value == pytest.approx(70.0 * 1.107 / 0.9, rel=0.1)  # a sphere's diameter
    line = next(r for r in result.reflections if r.hkl == (2, 0, 0) and r.phase == "PbS")
    assert line.orientation.angle.value == pytest.approx(54.74, abs=1.0)


def test_refraction_is_corrected_or_said():
    """The series of one repeat as it leaves a film, the same by inverting the correction."""
    d, critical, incidence = 16.695, 0.28, 0.4
    k = 2 * np.pi / WAVELENGTH
    lines = 2 * np.pi * np.array([1, 2, 3, 4]) / d
    grid = np.linspace(0.02, 2.0, 400_001)
    outside = np.interp(lines, inside(grid, k, incidence, critical), grid)
    error = [1e-4] * 4
    plain = layers(outside, error, wavelength=WAVELENGTH, incidence=incidence)
    right = layers(outside, error, wavelength=WAVELENGTH, incidence=incidence, critical=critical)
    fitted = layers(outside, error, wavelength=WAVELENGTH, incidence=incidence, fit_critical=True)
    assert plain.misfit > 100
    assert abs(plain.spacing.value - d) > 0.05
    assert right.spacing.value == pytest.approx(d, abs=1e-4)
    assert fitted.spacing.value == pytest.approx(d, abs=3 * fitted.spacing.error)
    assert fitted.critical.value == pytest.approx(critical, abs=0.01)
    # below the critical angle all that the beam brought along the normal is lost
    assert inside(np.array([0.5]), k, 0.2, 0.25)[0] == pytest.approx(
        k * np.sqrt((0.5 / k - np.sin(np.radians(0.2))) ** 2 - np.sin(np.radians(0.25)) ** 2)
    )


def test_critical_angle_of_gold():
    """0.57 degrees for Cu K-alpha with Z = 79 (0.56 with f' of -5 in the tables of Henke)."""
    from heterodot.crystal import Crystal

    fcc = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    gold = Crystal(name="Au", cell=np.eye(3) * 4.078, numbers=np.full(4, 79), scaled=fcc)
    assert critical_angle(gold, 1.5406) == pytest.approx(0.57, abs=0.02)


def test_orders_need_more_than_chance():
    assert layers([0.4, 0.47], [1e-3] * 2, wavelength=1.54) is None
    assert layers([0.4], [1e-3], wavelength=1.54) is None
    odd = layers([0.376 * 2, 0.376 * 3, 0.376 * 5], [1e-3] * 3, wavelength=1.54)
    assert odd.orders == (2, 3, 5)
    assert phases_by_repeat(odd.spacing, {"a": (5, 5, 5, 90, 90, 90)}) == []


def test_superlattice_of_dots_is_a_series_too():
    """Stacked PbS dots of 6.4 nm repeat: lines at small q, found without a phase."""
    repeat = 64.0
    lines = 2 * np.pi * np.arange(1, 6) / repeat
    found = layers(lines + 1e-5, [3e-5] * 5, wavelength=1.0, incidence=0.2, fit_critical=True)
    assert found.spacing.value == pytest.approx(repeat, rel=0.02)
    assert found.orders == (1, 2, 3, 4, 5)


def test_image_of_a_powder_is_even_around_the_ring():
    g = Geometry.simple((220, 200), (600, 600), 120.0, (210, 100), 1.5406, incidence=0.4)
    powder = [Film(crystal("PbS"), 1.0, oriented=0.0, size=60.0)]
    image = simulate_image(powder, g, background=0.0).data.values
    parallel, q_z = g.momentum()
    q = np.hypot(parallel, q_z)
    even = image / g.solid_angle() / g.polarization(0.0)
    ring = (np.abs(q - 2.1168) < 0.004) & (g.exit_angle() > 0)
    assert ring.sum() > 30
    assert np.std(even[ring]) < 0.02 * np.mean(even[ring])
    assert (image[g.exit_angle() <= 0] == 0).all()


def test_noise_takes_a_seed_and_background_follows_peaks():
    g = Geometry.simple((60, 60), (2000, 2000), 120.0, (55, 30), 1.5406, incidence=0.4)
    powder = [Film(crystal("PbS"), 1.0, oriented=0.0, size=60.0)]
    a, b, c = (simulate_image(powder, g, counts=100, seed=s).data.values for s in (1, 1, 2))
    assert (a == b).all()
    assert (a != c).any()
    x = np.linspace(0, 10, 500)
    curve = 50 * np.exp(-x / 4) + 300 * np.exp(-(((x - 5) / 0.1) ** 2))
    assert np.allclose(smooth_background(curve, 25), 50 * np.exp(-x / 4), atol=3.0)


def test_powder_profile_weighs_with_the_sphere():
    chi = np.arange(-89.5, 90.0)
    values = np.where(np.abs(chi)[:, None] < 30, 1.0, 0.0) * np.ones((1, 60))
    pattern = Measurement(
        xr.DataArray(
            values, dims=("chi", "q"), attrs={"units": ""},
            coords={"chi": ("chi", chi, {"units": "deg"}), "q": ("q", np.linspace(1, 2, 60), {"units": "1/angstrom"})},
        ), "giwaxs-polar",
    )  # fmt: skip
    profile, _, share = powder_profile(checked(pattern))
    assert np.allclose(profile, 1 - np.cos(np.radians(30)), atol=1e-3)  # share of the half sphere
    assert np.allclose(share, 1.0)


def _map(change):
    pattern = simulate_polar(films(), Q[::4], ANGLES[::4], WAVELENGTH)
    data = pattern.data.copy(deep=True)
    return Measurement(change(data), "giwaxs-polar", "map.nc", "", dict(pattern.metadata))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.isel(q=slice(0, 20)), "only"),
        (lambda d: d * np.nan, "no intensity"),
        (lambda d: d.isel(chi=0), "not chi and q"),
        (lambda d: d * 0 + 5.0, "no reflection stands out"),
        (
            lambda d: d.assign_coords(chi=("chi", d.chi.values * 10, {"units": "deg"})),
            "film normal",
        ),
        (lambda d: d.isel(q=slice(None, None, -1)), "does not rise"),
    ],
)
def test_refused_maps(change, message):
    def kept(data):
        changed = change(data)
        changed.attrs["units"] = ""
        return changed

    with pytest.raises(InputError, match=message):
        fit(_map(kept))


@pytest.mark.parametrize(
    "wrong", [{"oriented": 1.5}, {"size": 2.0}, {"volume": -1.0}, {"width": 0.0}]
)
def test_refused_films(wrong):
    with pytest.raises(InputError):
        Film(crystal("PbS"), **wrong)
