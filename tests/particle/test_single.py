"""Single crystals: exact reference counts, neutrality, shapes, terminations, symmetry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterodot.catalog import crystal
from heterodot.errors import InputError
from heterodot.particle import build, polyhedron, report, shape, wulff
from heterodot.particle.crystallite import bonds, carve
from heterodot.particle.facets import best_center
from heterodot.particle.layers import layers
from heterodot.particle.lengths import lengths
from heterodot.particle.shapes import cube_axes


def test_published_cube_of_five_octahedra() -> None:
    """Imran et al., JACS 143, 1435 (2021): Cs200Pb125Br450, neutral, CsBr-terminated."""
    particle = build("CsPbBr3", "cube", "5 cells", termination_a="CsBr")
    assert particle.formula == "Cs200Pb125Br450"
    assert particle.net_charge == 0.0
    assert report(particle)["passed"]
    removed = particle.history[0]["neutralized"]
    # 16 of 216 Cs: the 8 corners first, then 8 of the 48 on edges
    assert [(e["element"], e["count"]) for e in removed] == [("Cs", 8), ("Cs", 8)]


@pytest.mark.parametrize("n", [2, 3, 4, 6, 7])
def test_cubes_follow_the_closed_formula(n: int) -> None:
    """n^3 Pb, 3 n^2 (n + 1) halides, and Cs as neutrality wants: n^2 (n + 3)."""
    particle = build("CsPbBr3", "cube", f"{n} cells")
    assert particle.composition() == {
        "Cs": 3 * n * n * (n + 1) - 2 * n**3,
        "Pb": n**3,
        "Br": 3 * n * n * (n + 1),
    }


def test_removed_cesium_is_spread_over_the_cube() -> None:
    """No face is favored: the charge that left has its center in the middle of the cube."""
    particle = build("CsPbBr3", "cube", "5 cells")
    cesium = particle.positions[np.array(particle.symbols) == "Cs"]
    assert np.linalg.norm(cesium.mean(0)) < 0.25


def test_other_termination_has_lead_outside() -> None:
    particle = build("CsPbBr3", "cube", "5 cells", termination_a="PbBr2")
    found = report(particle)
    assert found["passed"]
    assert particle.composition()["Pb"] == 6**3
    assert particle.composition()["Cs"] == 5**3


def test_sulfide_sphere_of_ten_thousand_atoms_is_neutral() -> None:
    """The public builder leaves +574 e on such a particle."""
    particle = build("PbS", "sphere", "7.8 nm")
    assert 8_000 < len(particle) < 12_000
    assert particle.net_charge == 0.0
    assert report(particle)["passed"]


def test_chalcohalide_sphere_is_near_the_published_one() -> None:
    """Pb548S423Br250, 4.2 nm over the ions; about 4.0 nm from center to center."""
    particle = build("Pb4S3Br2", "sphere", "4.0 nm")
    found = particle.composition()
    assert found["Pb"] == pytest.approx(548, rel=0.03)
    assert found["S"] == pytest.approx(423, rel=0.06)
    assert found["Br"] == pytest.approx(250, rel=0.08)
    assert report(particle)["passed"]


@pytest.mark.parametrize(
    ("name", "size", "who"),
    [
        ("cube", "3 nm", "PbS"),
        ("cuboid", "2 x 3 x 4 nm", "CsPbCl3"),
        ("truncated cube", "4 nm", "PbS"),
        ("octahedron", "5 nm", "PbS"),
        ("truncated octahedron", "4 nm", "PbS"),
        ("cuboctahedron", "3.0 nm", "PbS"),
        ("rhombic dodecahedron", "4 nm", "CsPbBr3"),
        ("sphere", "4 nm", "CsPbBr3"),
        ("hemisphere", "5 nm", "CdS_zincblende"),
        ("cap", "5 nm x 2 nm", "PbS"),
        ("disk", "5 nm x 2 nm", "CsPbBr3"),
        ("platelet", "2 nm x 13 nm", "CsPbBr3"),
        ("rod", "2.5 nm x 6 nm", "CdS_wurtzite"),
        ("hexapod", "6 nm x 2 nm", "CsPbBr3"),
        ("tetrahedron", "5 nm", "CdS_zincblende"),
        ("cube", "4 nm", "CsPbBr3_ortho"),
    ],
)
def test_every_shape_gives_a_sound_particle(name: str, size: str, who: str) -> None:
    particle = build(who, name, size, passivator="Cl" if "CsPb" not in who else None)
    found = report(particle)
    failed = [check for check in found["checks"] if not check["passed"]]
    assert not failed, failed
    assert {"core", "surface"} >= set(np.unique(particle.role))


def test_sizes_are_kept() -> None:
    for n, edge in ((6, "3.4 nm"), (5, "2.9 nm")):
        particle = build("CsPbCl3", "cube", edge)
        spans = np.ptp(particle.positions, axis=0)
        assert spans == pytest.approx(n * 5.605, abs=1e-6)


@pytest.mark.parametrize(
    ("shape", "size"), [("disk", "4 nm x 1.5 nm"), ("platelet", "4 x 1.5 nm"), ("rod", "2 x 5 nm")]
)
def test_flat_and_long_bodies_take_their_sizes_in_either_order(shape: str, size: str) -> None:
    other = " x ".join(reversed([part.removesuffix(" nm") for part in size.split(" x ")])) + " nm"
    one, two = build("CsPbBr3", shape, size), build("CsPbBr3", shape, other)
    assert one.formula == two.formula
    assert np.array_equal(one.positions, two.positions)


def test_nanocluster_disk_has_the_printed_dimensions() -> None:
    particle = build("CsPbBr3", "disk", "13 nm x 2 nm")
    spans = np.sort(np.ptp(particle.positions, axis=0)) / 10
    assert spans[0] == pytest.approx(2.0, abs=0.3)
    assert spans[2] == pytest.approx(13.0, abs=0.4)


def test_pseudocubic_cube_of_the_orthorhombic_phase() -> None:
    """Facets (1 0 1), (1 0 -1) and (0 1 0) of Pnma, two thirds of them no cell faces."""
    ortho = crystal("CsPbBr3_ortho")
    body = shape("cube", ortho, "4 nm")
    planes = {tuple(abs(i) for i in f.plane) for f in body.facets if f.plane is not None}
    assert planes == {(1, 0, 1), (0, 1, 0)}
    assert cube_axes(ortho).length == pytest.approx(5.84, abs=0.03)


def test_volumes_of_polyhedra() -> None:
    """Solid geometry: cuboctahedron 5 sqrt 2 / 3 a^3, octahedron d^3 / 6, and so on."""
    lead = crystal("PbS")
    size = 40.0
    expected = {
        "cube": size**3,
        "cuboctahedron": 5 * np.sqrt(2) / 3 * (size / np.sqrt(2)) ** 3,
        "truncated octahedron": 8 * np.sqrt(2) * (size / np.sqrt(8)) ** 3,
        "octahedron": size**3 / 6,
        "sphere": np.pi / 6 * size**3,
        "hemisphere": np.pi / 12 * size**3,
    }
    for name, volume in expected.items():
        assert shape(name, lead, size).volume() == pytest.approx(volume, rel=0.01), name


def test_wulff_ratio_of_cube_and_octahedron() -> None:
    """Equal energies of {100} and {111} truncate; a cheap {100} gives a cube."""
    lead = crystal("PbS")
    cube = wulff(lead, {(1, 0, 0): 1.0, (1, 1, 1): 5.0}, "4 nm")
    low, high = cube.bounds()
    assert (high - low) == pytest.approx(np.full(3, (np.pi / 6) ** (1 / 3) * 40.0), rel=5e-3)


def test_winterbottom_halves_a_body_at_zero_energy() -> None:
    lead = crystal("PbS")
    energies = {(1, 0, 0): 1.0, (1, 1, 1): 1.0}
    free = wulff(lead, energies, "4 nm").volume()
    half = wulff(lead, energies, "4 nm", substrate=((0, 0, -1), 0.0)).volume()
    assert half == pytest.approx(free / 2, rel=0.02)
    with pytest.raises(InputError, match="wetted"):
        wulff(lead, energies, "4 nm", substrate=((0, 0, -1), -1.5))


def test_polyhedron_from_distances() -> None:
    lead = crystal("PbS")
    body = polyhedron(lead, [((1, 0, 0), "1.5 nm"), ((1, 1, 1), 16.0)])
    particle = build(lead, body, passivator="Cl")
    assert report(particle)["passed"]
    with pytest.raises(InputError, match="close"):
        polyhedron(lead, [((1, 0, 0), 10.0)], symmetric=False)


def test_layers_alternate() -> None:
    found, period = layers(crystal("PbS"), (1, 1, 1))
    assert [layer.name for layer in found] == ["Pb", "S"]
    assert period == pytest.approx(5.936 / np.sqrt(3))
    assert [layer.charge for layer in found] == [8.0, -8.0]


def test_saturation_agrees_with_a_slow_count() -> None:
    """The shifted sums over the grid against a loop over all pairs."""
    cubic = crystal("CsPbBr3_cubic")
    center, settled = best_center(shape("cube", cubic, "3 cells"), cubic)
    block = carve(cubic, settled, center)
    flat = block.filled()
    points, site = block.positions(flat), block.site(flat)
    table = bonds(cubic)
    fast = block.saturation()[flat]
    charges = cubic.require_charges()
    for n in range(0, len(flat), 7):
        total = 0.0
        for m in range(len(flat)):
            d = np.linalg.norm(points[n] - points[m])
            cation = n if charges[site[n]] > 0 else m
            limit = 4.5 if cubic.symbols[site[cation]] == "Cs" else 3.2
            if charges[site[n]] * charges[site[m]] < 0 and d < limit:
                total += charges[site[cation]] / table.coordination[site[cation]]
        assert fast[n] == pytest.approx(total / table.total[site[n]])


def test_same_seed_same_particle_and_no_seed_moves_atoms() -> None:
    one, two = (build("PbS", "sphere", "3 nm", passivator="Cl", seed=3) for _ in range(2))
    assert one.same_as(two)
    other = build("PbS", "sphere", "3 nm", passivator="Cl", seed=4)
    assert other.composition() == one.composition()


@given(size=st.floats(1.8, 4.5), name=st.sampled_from(["cube", "sphere", "cuboctahedron"]))
@settings(max_examples=12, deadline=None)
def test_any_size_is_neutral_connected_and_uncrowded(size: float, name: str) -> None:
    particle = build("CsPbCl3", name, f"{size} nm")
    assert report(particle)["passed"]


@given(seed=st.integers(0, 1000))
@settings(max_examples=5, deadline=None)
def test_neutrality_never_touches_the_inside(seed: int) -> None:
    free = build("CsPbBr3", "sphere", "3 nm", neutral=False)
    fixed = build("CsPbBr3", "sphere", "3 nm", seed=seed)
    inner = {tuple(np.round(p, 3)) for p in free.positions[free.role == "core"]}
    assert inner <= {tuple(np.round(p, 3)) for p in fixed.positions}


# ------------------------------------------------------------------ bad input


def test_sizes_that_cannot_be() -> None:
    for size, words in (
        ("0.4 nm", "below one unit cell"),
        ("-3 nm", "not a size"),
        ("0 nm", "not a size"),
        ("nan", "does not start with a number"),
        ("3 eV", "cannot be given"),
        ("3 x 4 nm", "takes 1 length"),
        ("4 um", "lattice sites"),
    ):
        with pytest.raises(InputError, match=words):
            build("CsPbBr3", "cube", size)


def test_unknown_shape_and_termination() -> None:
    with pytest.raises(InputError, match="did you mean cube"):
        build("CsPbBr3", "cubee", "3 nm")
    with pytest.raises(InputError, match="can end with"):
        build("CsPbBr3", "cube", "3 nm", termination_a="SrO")


def test_impossible_neutrality_says_what_is_left() -> None:
    """A body without ions of a surface kind that could go: nothing may leave, nothing is added."""
    with pytest.raises(InputError, match="monovalent"):
        build("PbS", "sphere", "3 nm", passivator="S")


def test_lengths() -> None:
    assert lengths("2 nm x 13 nm", 5.0) == (20.0, 130.0)
    assert lengths((1.0, "2 nm"), 5.0) == (1.0, 20.0)
    assert lengths("2.5 cells", 4.0) == (10.0,)
