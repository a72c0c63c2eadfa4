"""Levels of particles: shape from atoms, localization, alignment, bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterodot.catalog import crystal
from heterodot.electronic import (
    alignment,
    levels,
    levels_of_shape,
    material,
    medium,
    robustness,
)
from heterodot.electronic.alignment import Robustness, classify
from heterodot.electronic.confinement import Barrier, Well, cells, solve
from heterodot.electronic.ideal import box, cube_and_cap, from_distances, sphere
from heterodot.electronic.materials import Carrier, pure
from heterodot.electronic.shape import rasterize
from heterodot.electronic.size_map import size_map
from heterodot.errors import InputError
from heterodot.particle import Domain, Particle

from .particles import carved, janus, single
from .wells import slab_with_jump, sphere_level


@pytest.fixture(scope="module")
def heterostructure():
    return janus("CsPbCl3", "PbS", 23.0, 24.0)


@pytest.fixture(scope="module")
def found(heterostructure):
    return levels(heterostructure, spacing=1.8)


def cube(edge):
    return lambda p: (abs(p) <= edge / 2 + 0.1).all(axis=1)


def test_volume_is_that_of_the_atoms(heterostructure):
    shape = rasterize(heterostructure)
    for name, phase in (("CsPbCl3", "CsPbCl3"), ("PbS", "PbS")):
        bulk = crystal(phase)
        atoms = (heterostructure.domain == shape.index(name)).sum()
        assert shape.volume(name) == pytest.approx(atoms * bulk.volume / len(bulk), rel=0.04)


def test_cube_of_atoms_is_a_cube():
    particle = single("PbS", cube(23.8))  # nine planes, 8.9 half cells
    shape = rasterize(particle, 1.0)
    edge = shape.volume() ** (1 / 3)
    assert edge == pytest.approx(9 * 5.936 / 2, abs=0.4)
    # rounded edges take a little off the area of a cube
    assert shape.surface.sum() == pytest.approx(6 * edge**2, rel=0.12)


def test_shape_turns_and_moves_with_the_particle():
    particle = single("PbS", lambda p: (p**2).sum(axis=1) < 13.0**2)
    turn = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])
    moved = particle.replace(positions=particle.positions @ turn.T + [7.0, -3.0, 11.0])
    here, there = levels(particle, coulomb=False), levels(moved, coulomb=False)
    for a, b in zip(here.electrons, there.electrons, strict=True):
        error = np.hypot(a.energy.error, b.energy.error)
        assert abs(a.energy.value - b.energy.value) < 2 * error + 0.004


def test_ball_of_lead_sulfide_atoms_against_the_exact_ball():
    particle = single("PbS", lambda p: (p**2).sum(axis=1) < 15.0**2)
    bulk, around = pure("PbS"), medium()
    radius = (len(particle) * crystal("PbS").volume / 8 * 3 / (4 * np.pi)) ** (1 / 3)
    exact = sphere_level(
        radius, around.conduction - bulk.electron.edge,
        lambda e: bulk.electron.inverse_mass(e + bulk.electron.edge),
    )  # fmt: skip
    lowest = levels(particle, coulomb=False).electrons[0].energy.value
    assert lowest - bulk.electron.edge == pytest.approx(exact, rel=0.02)


def test_fractions_sum_to_one(found):
    for state in (*found.electrons, *found.holes):
        assert sum(state.fractions.values()) + state.outside == pytest.approx(1, abs=1e-9)


def test_density_is_a_probability(found):
    for carrier in ("electron", "hole"):
        density = found.density(carrier)
        total = density.values.sum() * density.spacing**3
        state = found.states(carrier)[0]
        assert density.values.dtype == np.float32
        assert total == pytest.approx(1 - state.outside, rel=1e-3)
        inner = density.values[density.values > density.isovalue(0.5)].sum()
        assert inner / density.values.sum() == pytest.approx(0.5, abs=0.02)


def test_wide_gap_and_lead_sulfide_is_type_one(found):
    result = alignment(found)
    assert result.type == "type I"
    assert result.electron["PbS"] > 0.8
    assert result.hole["PbS"] > 0.8
    (offset,) = result.offsets
    assert offset.bulk_type == "I"
    assert "ionization_energy" in offset.source
    assert "Tao" in offset.source


def test_moving_the_edges_changes_the_type(heterostructure):
    # push the conduction edge of PbS up: the electron must leave it
    moved = {"PbS": {"ionization_energy": 3.9}}
    result = alignment(levels(heterostructure, spacing=2.2, materials=moved, coulomb=False))
    assert result.type == "type II"
    assert result.electron["CsPbCl3"] > 0.8
    assert result.hole["PbS"] > 0.8
    assert result.offsets[0].source.count("given by the caller") == 1


@pytest.mark.parametrize(
    ("electron", "hole", "expected"),
    [
        ({"a": 0.9, "b": 0.1}, {"a": 0.85, "b": 0.15}, "type I"),
        ({"a": 0.9, "b": 0.1}, {"a": 0.7, "b": 0.3}, "quasi-type I"),
        ({"a": 0.9, "b": 0.1}, {"a": 0.55, "b": 0.45}, "quasi-type II"),
        ({"a": 0.9, "b": 0.1}, {"a": 0.3, "b": 0.7}, "quasi-type II"),
        ({"a": 0.9, "b": 0.1}, {"a": 0.1, "b": 0.9}, "type II"),
        ({"a": 1.0}, {"a": 1.0}, "one domain"),
    ],
)
def test_rules(electron, hole, expected):
    assert classify(electron, hole)[0] == expected


def test_documents_are_plain(found):
    document = json.loads(json.dumps(found.to_json()))
    assert document["electrons"][0]["energy"]["unit"] == "eV"
    assert {"value", "error", "unit"} <= set(document["coulomb"]["optical_gap"])
    assert json.loads(json.dumps(alignment(found).to_json()))["type"] == "type I"
    assert "electron 1" in str(found)


def test_coulomb_terms_have_their_signs(found):
    terms = found.coulomb
    assert terms.attraction.value > 0
    assert terms.electron_image.value > 0
    assert terms.hole_image.value > 0
    assert terms.relaxation.value <= 0
    assert terms.correlation.value <= 0
    parts = (
        found.gap.value + terms.electron_image.value + terms.hole_image.value
        - terms.attraction.value + terms.relaxation.value + terms.correlation.value
    )  # fmt: skip
    assert found.optical_gap.value == pytest.approx(parts, abs=1e-9)


def test_attraction_pulls_the_electron_back():
    # a shallow electron next to a localized hole
    shape = cube_and_cap("CsPbBr3", "PbS", 40.0, 30.0, 2.2)
    bulk = (pure("CsPbBr3", {"PbS": {}}), pure("PbS", {"PbS": {"ionization_energy": 4.85}}))
    found = levels_of_shape(shape, bulk, states=2)
    before = found.electrons[0].fractions["PbS"]
    assert found.coulomb.electron["PbS"] > before
    assert found.coulomb.relaxation.value < -0.005


def test_strain_shifts_edges():
    given = {
        "PbS": {"deformation_potential_conduction": -4.0, "deformation_potential_valence": 2.0}
    }
    strain = np.diag([0.01, 0.01, 0.01])
    plain = levels(single("PbS", cube(20)), coulomb=False, materials=given)
    pulled = levels(single("PbS", cube(20), strain=strain), coulomb=False, materials=given)
    assert pulled.materials[0].conduction.value - plain.materials[0].conduction.value == (
        pytest.approx(-0.12)
    )
    assert pulled.materials[0].valence.value - plain.materials[0].valence.value == (
        pytest.approx(0.06)
    )


def test_strain_without_potential_is_said():
    particle = single("CsPbCl3", cube(17), strain=np.diag([0.02, 0.0, 0.0]))
    found = levels(particle, coulomb=False, states=1)
    known = any("deformation" in o.quantity for o in found.materials[0].origins)
    assert known or any("deformation potential" in text for text in found.warnings)


def test_missing_property_names_phase_quantity_and_place():
    odd = crystal("PbS").replace(name="Nothing", labels=())
    odd = odd.replace(numbers=np.where(odd.numbers == 82, 50, 16))  # SnS, rock salt
    positions, symbols, charges = carved("PbS", cube(20))
    particle = Particle(
        tuple("Sn" if s == "Pb" else s for s in symbols), positions,
        np.zeros(len(positions), int), np.array(["core"] * len(positions)), charges,
        (Domain("SnS", odd),),
    )  # fmt: skip
    with pytest.raises(InputError) as caught:
        levels(particle)
    text = str(caught.value)
    assert "band_gap" in text
    assert "SnS" in text
    assert "catalog" in text


def test_bad_particles_are_refused():
    good = single("PbS", cube(12))
    with pytest.raises(InputError, match="does not resolve"):
        levels(good, spacing=4.0)
    with pytest.raises(InputError, match="not a grid spacing"):
        levels(good, spacing=-1.0)
    with pytest.raises(InputError, match="million voxels"):
        levels(good, spacing=0.01)
    with pytest.raises(InputError, match="has no crystal"):
        levels(good.replace(domains=(Domain("x"),)))
    twice = good.positions.copy()
    twice[1] = twice[0] + 0.1
    with pytest.raises(InputError, match="apart"):
        levels(good.replace(positions=twice))
    ligands = good.replace(role=np.array(["ligand"] * len(good)))
    with pytest.raises(InputError, match="no atom"):
        levels(ligands)
    with pytest.raises(InputError, match="no electron level 9"):
        levels(good, coulomb=False, states=1).density("electron", 9)


def test_materials_in_the_wrong_order_are_refused():
    with pytest.raises(InputError, match="materials"):
        levels_of_shape(sphere("PbS", 30.0, 2.0), (pure("CdS"),))


def test_confinement_grows_as_the_particle_shrinks():
    gaps = [
        levels_of_shape(sphere("PbS", d, points=24**3), (pure("PbS"),), states=1).optical_gap.value
        for d in (60.0, 40.0, 25.0)
    ]
    assert gaps[0] < gaps[1] < gaps[2]


def test_size_map_sees_the_electron_leave_small_lead_sulfide():
    found = size_map("CsPbBr3", "PbS", [60.0], [24.0, 60.0], points=22**3, coulomb=False)
    assert found.electron[0, 0] < 0.5 < found.electron[0, 1]
    assert found.types[0][1] == "type I"
    assert found.to_json()["types"][0][1] == "type I"
    with pytest.raises(InputError, match="two different"):
        size_map("PbS", "PbS", [30.0], [30.0])


def test_same_seed_same_numbers(heterostructure):
    first = levels(heterostructure, spacing=2.4, coulomb=False)
    second = levels(heterostructure, spacing=2.4, coulomb=False)
    assert [s.energy.value for s in first.electrons] == [s.energy.value for s in second.electrons]


def test_valleys_of_a_ball_are_degenerate_and_those_of_a_plate_split():
    bulk = (pure("PbS"),)
    round_one = levels_of_shape(sphere("PbS", 40.0, 2.0), bulk, states=1, coulomb=False)
    shifts = np.array(round_one.electrons[0].splitting)
    assert len(shifts) == 4
    assert np.abs(shifts).max() < 1e-3
    # a plate normal to [111]: that valley has the heavy mass along the confinement
    axis = np.ones(3) / np.sqrt(3)
    other = np.array([1, -1, 0]) / np.sqrt(2)
    turn = np.array([other, np.cross(axis, other), axis])  # [111] along z
    turned = material(Domain("PbS", crystal("PbS"), orientation=turn))
    plate = box("PbS", (70.0, 70.0, 22.0), 2.0)
    found = levels_of_shape(plate, (turned,), states=1, coulomb=False)
    shifts = np.array(found.electrons[0].splitting)
    assert shifts[0] < -0.008  # heavy along z: lower
    # in first order the four shifts add up to nothing
    assert shifts[1:] == pytest.approx([-shifts[0] / 3] * 3, rel=0.25)


def test_valley_splitting_against_separate_wells():
    turn = np.array([[1, -1, 0], [1, 1, -2], [1, 1, 1]]) / np.sqrt([[2], [6], [3]])
    given = {"PbS": {"band_coupling": 0.0}}
    turned = material(Domain("PbS", crystal("PbS"), orientation=turn), given)
    shape = box("PbS", (90.0, 90.0, 30.0), 2.5)
    found = levels_of_shape(shape, (turned,), states=1, coulomb=False)
    band, height = turned.electron, medium().conduction - turned.electron.edge

    def energy(along, across):
        return slab_with_jump(30.0, height, along) + 2 * slab_with_jump(90.0, height, across)

    exact = energy(band.longitudinal, band.transverse) - energy(band.mass, band.mass)
    assert found.electrons[0].splitting[0] == pytest.approx(exact, rel=0.08)


def _level(shape, axis, along, across, height):
    mean = 3 / (2 / across + 1 / along)
    band = Carrier(0.0, -30.0, mean, 0.0, along, across, axis=axis)
    return solve(Well(cells(shape), (band,), Barrier(height, 1.0)), 2).energies


def test_heavy_axis_of_a_cube_against_three_wells():
    # masses 0.6 along x and 0.2 across: the box separates; a mean mass would be 0.03 eV too high
    shape = box("PbS", (40.0,) * 3, 2.0)
    exact = slab_with_jump(40.0, 4.0, 0.6) + 2 * slab_with_jump(40.0, 4.0, 0.2)
    for axis in ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0)):
        assert _level(shape, axis, 0.6, 0.2, 4.0)[0] == pytest.approx(exact, rel=0.015)


def test_anisotropic_ball_is_an_isotropic_ellipsoid():
    # stretched by the root of the mass ratio along the axis, the masses become equal
    radius, stretch = 20.0, np.sqrt(3.0)

    def ellipsoid(x, y, z):
        size = np.sqrt(x**2 + y**2 + (z / stretch) ** 2)
        slope = np.sqrt(x**2 + y**2 + (z / stretch**2) ** 2)
        return (size - radius) * size / np.maximum(slope, 1e-6)

    corner = np.array([radius, radius, radius * stretch])
    other = from_distances([("PbS", ellipsoid)], -corner, corner, 1.5)
    plain = Carrier(0.0, -30.0, 0.2, 0.0, 0.2, 0.2)
    expected = solve(Well(cells(other), (plain,), Barrier(400.0, 1.0)), 2).energies
    ball = sphere("PbS", 2 * radius, 1.5)
    diagonal = tuple(float(c) for c in np.ones(3) / np.sqrt(3))
    for axis in ((0.0, 0.0, 1.0), diagonal):
        found = _level(ball, axis, 0.6, 0.2, 400.0)
        assert found[0] == pytest.approx(expected[0], rel=0.015)
        assert found[1] == pytest.approx(expected[1], rel=0.03)


def test_robustness_finds_where_the_type_changes(heterostructure):
    found = levels(heterostructure, spacing=1.6, coulomb=False)
    firm = robustness(found, shifts=(-0.2, 0.0, 0.2, 1.4))
    assert firm.domain == "PbS"
    assert firm.types[:3] == ("type I",) * 3
    assert firm.types[3] != "type I"  # PbS raised by 1.4 eV: its electron leaves
    assert firm.range == (-0.2, 0.2)
    assert "type I holds" in str(firm)
    with pytest.raises(InputError, match="zero"):
        robustness(found, shifts=(0.1,))


def test_probabilities_are_areas_under_the_error_of_the_offset():
    from scipy.special import ndtr

    firm = Robustness("b", (-0.2, 0.0, 0.2), ("type I", "type I", "type II"), 0.1, "", ())
    assert firm.probabilities["type II"] == pytest.approx(1 - ndtr(1.0))
    assert sum(firm.probabilities.values()) == pytest.approx(1)
    assert firm.pair_probabilities == {}
    sure = Robustness("b", (-0.2, 0.0, 0.2), ("type I", "type I", "type II"), 1e-3)
    assert sure.probabilities["type I"] == pytest.approx(1)


def test_a_type_that_hangs_on_the_offset_says_so():
    # CsPbBr3 of 7.5 nm with PbS of 2.9 nm: published as type I, and near the border here
    shape = cube_and_cap("CsPbBr3", "PbS", 75.0, 29.0, points=24**3)
    firm = robustness(levels_of_shape(shape, (pure("CsPbBr3"), pure("PbS"))))
    free, pair = firm.probabilities, firm.pair_probabilities
    assert max(free.values()) < 0.7  # no type of free carriers is safe
    assert pair["type I"] > 0.5  # the attraction brings the electron to the hole
    assert "together" in str(firm)
    with pytest.raises(InputError, match="not an error"):
        robustness(levels_of_shape(shape, (pure("CsPbBr3"), pure("PbS"))), error=-0.1)


def test_a_charged_particle_is_said(heterostructure):
    found = levels(heterostructure, spacing=2.4, states=1, coulomb=False)
    assert heterostructure.net_charge != 0
    assert any("carries" in text for text in found.warnings)


@given(st.floats(0, 1), st.floats(0, 1))
def test_type_does_not_depend_on_names(electron, hole):
    here = classify({"a": electron, "b": 1 - electron}, {"a": hole, "b": 1 - hole})[0]
    there = classify({"b": electron, "a": 1 - electron}, {"b": hole, "a": 1 - hole})[0]
    assert here == there
    # exchanging electron and hole keeps the type too
    assert classify({"a": hole, "b": 1 - hole}, {"a": electron, "b": 1 - electron})[0] == here
