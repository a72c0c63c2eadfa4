"""Interface energies against lattice sums that were not made here, and elastic sharing."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from heterodot.catalog import crystal
from heterodot.crystal import Crystal
from heterodot.energy import fit_potential
from heterodot.energy.potential import IonicPotential
from heterodot.epitaxy import adhesion, bicrystal, coordination, interfaces, rank, search
from heterodot.epitaxy._planewise import amplitudes, spectrum
from heterodot.epitaxy.elasticity import isotropic_stiffness, plane_stress, rotated, share
from heterodot.epitaxy.junction import Half, Junction, cheapest_face, cleavage, common_waves, half
from heterodot.epitaxy.layers import Side, layers, net_shape, side
from heterodot.epitaxy.planes import surface_mesh
from heterodot.epitaxy.registry import primitive_sites, stacking


@functools.cache
def potential(a="CsPbBr3_cubic", b="PbS"):
    return fit_potential(crystal(a), crystal(b))


@functools.cache
def bromide():
    return search(crystal("CsPbBr3_cubic"), crystal("PbS"), max_index=1)


def view_of(solid, plane):
    mesh = surface_mesh(solid, plane)
    sites = primitive_sites(solid)
    return Side(solid, sites, mesh, stacking(sites, mesh), np.eye(2, dtype=np.int64))


def test_adhesion_is_that_of_three_dimensional_ewald_sums():
    # the planewise sum of two half crystals against slabs with vacuum in the Ewald sum of energy/
    for meeting in interfaces(bromide().matches[0], potential=potential())[:2]:
        work = adhesion(meeting, potential().calculator(), thickness=12.0, vacuum=60.0)
        assert meeting.energy["adhesion"] == pytest.approx(work.value, abs=2e-6)


def test_madelung_constant_of_an_ion_on_a_surface():
    # an ion on top of the (001) face of rock salt is bound with 0.0660 e^2/(4 pi eps0 r0)
    # (1.7476 in the bulk, 1.6816 in the surface; Mackenzie, surface Madelung constants)
    salt = Crystal.from_sites("NaCl", "F m -3 m", (4.0,), {"Na": (0, 0, 0), "Cl": (0.5, 0.5, 0.5)})
    kinds = ("Cl", "Na")
    nothing = IonicPotential(
        {"Na": 1.0, "Cl": -1.0},
        1.0,
        {(a, b): -60.0 for a in kinds for b in kinds},
        {(a, b): 0.3 for a in kinds for b in kinds},
    )
    view = view_of(salt, (1, 0, 0))
    stack = layers(view)
    lower = half(view, stack, 0, below=True)
    layer = Half(
        lower.points[:2], np.zeros(2), np.ones(2), lower.charges[:2], lower.species[:2],
        lower.area, 0.0, 0.0, 1.0,
    )  # fmt: skip
    one = np.eye(2, dtype=np.int64)
    junction = Junction.between(lower, layer, view.mesh.flat, one, one, nothing)
    # a Na over Cl: half the mesh diagonal, one bond above
    values = [junction.energy(s, 2.0) for s in junction.waves.shifts]
    per_ion = min(values) * view.mesh.area / 2
    assert per_ion == pytest.approx(-0.0660 * 14.3996 / 2.0, rel=0.01)


def test_energy_of_every_registry_is_a_direct_sum():
    # slow twin: repulsion summed over pairs; the waves must give the same at any shift
    solid = crystal("PbS")
    view = view_of(solid, (1, 1, 0))
    stack = layers(view)
    lower, upper = half(view, stack, 0, below=True), half(view, stack, 0, below=False)
    uncharged = IonicPotential({"Pb": 0.0, "S": 0.0}, 1.0, potential().contact, potential().rho)
    zero = [
        Half(
            h.points, h.depths, h.weights, 0 * h.charges, h.species,
            h.area, h.edge, h.bound, h.occupancy,
        )
        for h in (lower, upper)
    ]  # fmt: skip
    one = np.eye(2, dtype=np.int64)
    junction = Junction.between(*zero, view.mesh.flat, one, one, uncharged)
    images = np.array([(i, j) for i in range(-4, 5) for j in range(-4, 5)]) @ view.mesh.flat
    for shift, gap in (((0.3, 1.1), 1.5), ((2.0, 0.0), 2.1)):
        total = 0.0
        for p, d, s in zip(lower.points, lower.depths, lower.species, strict=True):
            for q, e, t in zip(upper.points, upper.depths, upper.species, strict=True):
                if d > 6.5 or e > 6.5:
                    continue
                flat = q + np.array(shift) - p + images
                r = np.sqrt((flat**2).sum(axis=1) + (gap + d + e) ** 2)
                total += float(uncharged.pair_energy(r, s, t).sum())
        assert junction.energy(np.array(shift), gap) == pytest.approx(
            total / view.mesh.area, rel=2e-3
        )


def test_gradient_is_the_slope():
    relation = bromide().matches[1]
    a, b = side(relation, "a"), side(relation, "b")
    pot = potential()
    lower = half(a, layers(a), 0, below=True, scale=pot.charge_scale)
    upper = half(
        b, layers(b), 0, below=False, deform=np.eye(2) + relation.strain, scale=pot.charge_scale
    )
    junction = Junction.between(lower, upper, a.cell @ a.mesh.flat, a.cell, b.cell, pot)
    at = np.array([0.4, 0.9, 2.2])
    _, slope = junction.gradient(at[:2], at[2])
    for k in range(3):
        step = np.zeros(3)
        step[k] = 1e-4
        up, down = at + step, at - step
        numeric = (junction.energy(up[:2], up[2]) - junction.energy(down[:2], down[2])) / 2e-4
        assert slope[k] == pytest.approx(numeric, abs=1e-7)


def test_a_crystal_on_itself_has_no_interface_energy():
    solid = crystal("PbS")
    found = search(solid, solid.replace(name="PbS again"), max_index=1)
    relation = found.find((1, 0, 0), (1, 0, 0), (0, 1, 0), (0, 1, 0))
    pot = fit_potential(solid)
    best = interfaces(relation, potential=pot)[0]
    assert best.energy["interface"] == pytest.approx(0.0, abs=2e-4)
    assert best.parts["bonding"] == pytest.approx(1.0, abs=1e-2)
    assert best.energy["adhesion"] == pytest.approx(2 * best.energy["surface_a"], rel=1e-2)


def test_shift_map_has_the_period_and_the_optimum_is_its_lowest():
    relation = bromide().matches[0]
    a, b = side(relation, "a"), side(relation, "b")
    pot = potential()
    lower = half(a, layers(a), 1, below=True, scale=pot.charge_scale)
    upper = half(
        b, layers(b), 0, below=False, deform=np.eye(2) + relation.strain, scale=pot.charge_scale
    )
    junction = Junction.between(lower, upper, a.cell @ a.mesh.flat, a.cell, b.cell, pot)
    shift, gap, energy = junction.optimum()
    _, values = junction.shift_map(gap)
    assert energy <= values.min() + 1e-9
    for vector in junction.waves.dual:
        assert junction.energy(shift + vector, gap) == pytest.approx(energy, abs=1e-9)


def test_cleavage_of_polar_planes_is_not_below_the_cheapest_face():
    pot = potential()
    face = cheapest_face(crystal("PbS"), pot)
    view = view_of(crystal("PbS"), (1, 0, 0))
    # (100) is the cleavage plane of rock salt; the rigid ionic value is some tenths of a J/m^2
    assert face == pytest.approx(0.5 * cleavage(view, layers(view), 0, pot))
    assert 0.1 < face * 16.0218 < 1.0
    polar = view_of(crystal("PbS"), (1, 1, 1))
    body = half(polar, layers(polar), 0, below=True)
    assert body.occupancy == pytest.approx(0.5)
    assert abs(body.bound) * polar.mesh.area == pytest.approx(1.0)


def test_waves_are_those_of_both_lattices():
    a = np.array([[4.0, 0.0], [0.0, 4.0]])
    waves, dual = common_waves(3 * a, np.diag([3, 3]), np.diag([2, 2]), 12.0)
    for wave in waves:
        for lattice in (a, 1.5 * a):
            turns = lattice @ wave / (2 * np.pi)
            assert turns == pytest.approx(np.round(turns), abs=1e-9)
    assert abs(np.linalg.det(dual)) == pytest.approx(4.0)  # 4 and 6 leave 2 x 2


def test_kernel_twins():
    rng = np.random.default_rng(1)
    waves, points = rng.normal(size=(5, 2)), rng.normal(size=(4, 2))
    depths, weights = rng.uniform(0, 3, 4), rng.uniform(0.2, 1, 4)
    charges, kinds = rng.normal(size=4), np.array([0, 1, 0, 1])
    rates = rng.uniform(2, 4, (2, 3))
    got = amplitudes(waves, points, depths, weights, charges, kinds, 6.5, rates, 1.0)
    lengths = np.linalg.norm(waves, axis=1)
    phase = np.exp(1j * waves @ points.T)
    assert got[0] == pytest.approx((charges * phase * np.exp(-np.outer(lengths, depths))).sum(1))
    for k in range(2):
        for other in range(3):
            q = np.sqrt(lengths**2 + rates[k, other] ** 2)
            own = (kinds == k) * weights * phase * np.exp(-np.outer(q, depths))
            assert got[1][k, other] == pytest.approx(own.sum(1))
            assert got[2][k, other] == pytest.approx((own * depths).sum(1))
    # spectrum: derivative by the gap against a difference
    p_b, w_b = np.ones((3, 2, 5), complex), 0.3 * np.ones((3, 2, 5), complex)
    strengths = rng.uniform(1, 2, (2, 3))
    out = [np.empty(5, complex) for _ in range(4)]
    for gap, values in ((1.5, out[0]), (1.5 + 1e-5, out[1])):
        spectrum(
            gap, lengths, got[0], got[1], got[2], p_b, w_b, rates, strengths, values,
            out[2] if gap == 1.5 else out[3],
        )  # fmt: skip
    assert (out[1] - out[0]) / 1e-5 == pytest.approx(out[2], rel=1e-3, abs=1e-6)


# ------------------------------------------------------------------ ranking


def test_ranking_with_energies_explains_both_systems():
    chloride = search(crystal("CsPbCl3_cubic"), crystal("PbS"))
    ranked = rank(chloride, fit_potential(crystal("CsPbCl3_cubic"), crystal("PbS")), best=15)
    published = ranked.find((-2, 1, 0), (-4, -4, 2), (0, 0, 1), (1, -1, 0))
    assert published.rank == 1
    # it is the one in which the crystals bond most, by a wide margin
    bonding = [r.parts["bonding"] for r in ranked.matches]
    assert bonding[0] > 0.45
    assert max(bonding[1:]) < 0.8 * bonding[0]
    cubes = rank(search(crystal("CsPbBr3_cubic"), crystal("PbS")), potential(), best=10)
    assert cubes.find((1, 0, 0), (1, 0, 0), (0, 1, 0), (0, 1, 0)).rank == 1


def test_shared_square_lead_plane_of_the_chalcohalide():
    one, two = crystal("CsPbBr3_cubic"), crystal("Pb4S3Br2")
    ranked = rank(search(one, two, max_index=1), fit_potential(one, two), best=6)
    best = ranked.matches[0]
    assert (best.plane_a, best.plane_b) == ((1, 0, 0), (0, 1, 0))
    meeting = interfaces(best)[0]
    assert meeting.shared == "Pb"
    view = side(best, "a")
    leads = [layer for layer in layers(view) if "Pb" in layer.cations]
    assert net_shape(view, leads[0]) == "square"


def test_coordination_at_the_shared_layer():
    report = coordination(interfaces(bromide().matches[0])[0])
    assert report["a"]["element"] == "Pb"
    assert report["a"]["mean"] == report["a"]["bulk"] == 6.0
    assert report["b"]["complete"] == 1.0


def test_slabs_are_neutral_and_reach_no_contact():
    atoms = bicrystal(interfaces(bromide().matches[0])[0], thickness=10.0)
    assert atoms.arrays["charge"].sum() == pytest.approx(0.0, abs=1e-9)
    distance = atoms.get_all_distances(mic=True)[np.triu_indices(len(atoms), 1)]
    assert distance.min() > 2.8


# ------------------------------------------------------------------ elasticity


def test_misfit_is_shared_by_compliance():
    relation = bromide().matches[0]
    stiff, soft = isotropic_stiffness(100.0, 0.25), isotropic_stiffness(25.0, 0.25)
    shared = share(relation, soft, stiff)
    # the soft crystal takes 4/5 of the misfit, both parts add up to it
    assert shared.fraction_b == pytest.approx(0.2)
    assert shared.strain_b - shared.strain_a == pytest.approx(relation.strain, abs=1e-12)
    alone = share(relation, soft, stiff, strained="b")
    assert shared.energy == pytest.approx(0.2 * alone.energy)
    # biaxial strain e of an isotropic layer: Y/(1 - nu) e^2 h
    e = relation.strain[0, 0]
    expected = 100.0 / 160.2176634 / 0.75 * e**2 * 30.0
    assert alone.energy == pytest.approx(expected, rel=1e-9)


def test_isotropic_stiffness_does_not_turn():
    c = isotropic_stiffness(70.0, 0.3)
    q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    assert rotated(c, q) == pytest.approx(c, abs=1e-9)
    assert plane_stress(c)[0, 0] == pytest.approx(70.0 / (1 - 0.09))
