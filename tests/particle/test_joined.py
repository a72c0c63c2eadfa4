"""Two crystals in one particle: the systems of the documents, topologies, checks, bad input."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest

from heterodot.catalog import crystal
from heterodot.epitaxy import OrientationRelationship, interfaces, search
from heterodot.errors import InputError, NotFoundError
from heterodot.particle import Particle, build, report


@cache
def relation(a: str, b: str, plane_a: tuple[int, ...], plane_b: tuple[int, ...], index: int = 1):
    found = search(crystal(a), crystal(b), max_index=index)
    return found.find(plane_a, plane_b)


@cache
def cubes() -> OrientationRelationship:
    return relation("CsPbBr3", "PbS", (1, 0, 0), (1, 0, 0))


@cache
def janus() -> Particle:
    return build("CsPbBr3", "cube", "4 nm", "PbS", "hemisphere", "3 nm", cubes())


@cache
def dimer() -> Particle:
    """CsPbCl3/PbS as Livakas et al. (2024) modelled it: both cut, stepped interface."""
    return build(
        "CsPbCl3", "cube", "3.4 nm", "PbS", "cuboctahedron", "2.8 nm",
        relation("CsPbCl3", "PbS", (2, 1, 0), (2, 2, 1), 2), cut_a="-0.5 nm",
        completion="vacancies",
    )  # fmt: skip


def passed(particle: Particle) -> dict:
    found = report(particle)
    failed = [check for check in found["checks"] if not check["passed"]]
    assert not failed, failed
    return found


def test_janus_shares_its_lead_plane() -> None:
    found = passed(janus())
    assert janus().info["interface"]["made"]["shared"] > 10
    census = found["interface"]["coordination"]["Pb"]

    assert census["6"] / sum(census.values()) > 0.8
    assert found["interface"]["complete"] > 0.85


def test_interface_lead_has_halide_below_and_sulfide_above() -> None:
    """The shared plane: halide on one side, sulfur on the other (Livakas 2024, Jagadeeswararao 2021)."""
    particle = janus()
    height = particle.positions @ np.array(cubes().normal)
    shared = (particle.domain == 0) & (np.array(particle.symbols) == "Pb")
    shared &= particle.role == "interface"
    level = np.median(height[shared])
    middle = np.linalg.norm(particle.positions - height[:, None] * cubes().normal, axis=1) < 8.0
    below = middle & (height < level - 1.0) & (height > level - 4.0)
    above = middle & (height > level + 1.0) & (height < level + 4.0)
    symbols = np.array(particle.symbols)
    assert set(symbols[below & (particle.charge < 0)]) == {"Br"}
    assert set(symbols[above & (particle.charge < 0)]) == {"S"}


def test_free_facet_keeps_its_termination() -> None:
    """Outside the cap the facet still ends with CsBr: no bare lead around the cap."""
    particle = janus()
    lead = (np.array(particle.symbols) == "Pb") & (particle.domain == 0)
    height = particle.positions @ np.array(cubes().normal)
    across = np.linalg.norm(particle.positions - height[:, None] * cubes().normal, axis=1)
    top = height[lead].max()
    rim = lead & (height > top - 1.0)
    assert across[rim].max() < 17.0


def test_dimer_is_near_the_published_model() -> None:
    """Cs126Pb337S221Cl358: same orientation and layers, same composition, a layer smaller.

    Neutrality ties chloride to the rest (Cl = Cs + 2 Pb - 2 S), so the published cluster has a
    sulfide of nearly its own composition: sulfur of the polar facets is left out, not replaced.
    """
    particle = dimer()
    found = passed(particle)
    counts = particle.composition()
    for element, published in (("Cs", 126), ("Pb", 337), ("S", 221), ("Cl", 358)):
        share = counts[element] / len(particle)
        assert share == pytest.approx(published / 1042, rel=0.05), element
        assert counts[element] == pytest.approx(published, rel=0.07), element
    made = particle.info["relation"]
    assert sorted(np.abs(made["plane_a"])) == [0, 1, 2]
    assert sorted(np.abs(made["plane_b"])) == [1, 2, 2]
    assert found["interface"]["bonds_across"] > 60


def test_surplus_sulfur_is_replaced_or_left_out() -> None:
    """PbS cuboctahedron with S-rich {111}: chloride instead, or vacancies and no halide at all."""
    capped = build("PbS", "cuboctahedron", "3 nm", passivator="Cl")
    bare = build("PbS", "cuboctahedron", "3 nm", passivator="Cl", completion="vacancies")
    passed(capped)
    passed(bare)
    assert capped.composition().get("Cl", 0) > 0.05 * len(capped)
    assert bare.composition().get("Cl", 0) <= 2
    assert bare.composition()["Pb"] == pytest.approx(bare.composition()["S"], abs=2)
    with pytest.raises(InputError, match="complete a surface"):
        build("PbS", "sphere", "3 nm", completion="paint")


def test_chalcohalide_keeps_its_lead_when_made_neutral() -> None:
    """Halide leaves where lead can do without: near Pb548S423Br250 (Imran et al. 2021)."""
    particle = build("Pb4S3Br2", "sphere", "4.1 nm", center_a="S")
    passed(particle)
    for element, published in (("Pb", 548), ("S", 423), ("Br", 250)):
        assert particle.composition()[element] == pytest.approx(published, rel=0.05), element
    assert not [e for e in particle.history[-1]["neutralized"] if e["element"] == "loose ions"]


def test_halide_that_replaces_sulfur_finds_room() -> None:
    """Iodide in the place of surface sulfur of a core, beside iodide of the host."""
    found = search(crystal("CsPbI3"), crystal("PbS"), max_index=2)
    passed(
        build("CsPbI3", "cube", "5 nm", "PbS", "sphere", "2.6 nm", found.matches[6], positions=1)
    )


def test_domain_frames_give_back_crystal_positions() -> None:
    """X = (1 + strain) orientation x_crystal + origin puts every lattice ion on a site."""
    particle = janus()
    for k, domain in enumerate(particle.domains):
        own = (particle.domain == k) & (particle.role == "core")
        assert domain.crystal is not None
        frame = (np.eye(3) + domain.strain) @ domain.orientation
        back = (particle.positions[own] - domain.origin) @ np.linalg.inv(frame).T
        index = domain.crystal.match_positions(back, particle.numbers[own], 1e-3)
        assert len(index) == own.sum()
        assert np.linalg.det(domain.orientation) == pytest.approx(1.0)


def test_round_trip_of_a_joined_particle_is_exact(tmp_path) -> None:
    path = janus().write(tmp_path / "a.xyz")
    assert Particle.read(path).same_as(janus())
    json.dumps(report(janus()))


def test_cadmium_sulfide_cap_of_the_small_janus_particle() -> None:
    """CsPbBr3/CdS, 5.5 nm cuboid with a hemisphere as wide as its edge (Qiu et al. 2023)."""
    found = search(crystal("CsPbBr3"), crystal("CdS_zincblende"), max_index=2)
    fits = [m for m in found.matches if sorted(np.abs(m.plane_a)) == [0, 0, 1]]
    particle = build("CsPbBr3", "cube", "5.5 nm", "CdS_zincblende", "hemisphere", "5.3 nm", fits[0])
    passed(particle)
    assert {d.name for d in particle.domains} == {"CsPbBr3", "CdS"}


def test_core_in_a_cube() -> None:
    """PbS of 2.9 nm in a CsPbBr3 cube of 7.5 nm (Jagadeeswararao et al. 2021)."""
    particle = build("CsPbBr3", "cube", "7.5 nm", "PbS", "sphere", "2.9 nm", cubes(), positions=1)
    found = passed(particle)
    sizes = [s["value"] for s in found["domains"][1]["size"]["along_axes"]]
    assert sizes == pytest.approx([2.9] * 3, abs=0.6)
    assert found["interface"]["complete"] > 0.9
    # nothing of the host is inside the core
    core = particle.positions[particle.domain == 1]
    host = particle.positions[particle.domain == 0]
    inner = np.linalg.norm(host - core.mean(0), axis=1).min()
    assert inner > 9.0


def test_two_cores() -> None:
    particle = build("CsPbBr3", "cube", "7.5 nm", "PbS", "sphere", "2.0 nm", cubes(), positions=2)
    found = passed(particle)
    assert [d["name"] for d in found["domains"]] == ["CsPbBr3", "PbS", "PbS 2"]


def test_caps_on_opposite_facets_are_images() -> None:
    particle = build("CsPbBr3", "cube", "4 nm", "PbS", "hemisphere", "2.5 nm", cubes(), caps=2)
    passed(particle)
    first, second = (particle.positions[particle.domain == k].mean(0) for k in (1, 2))
    assert first @ second < 0
    assert np.linalg.norm(first + second) < 2.0


@pytest.mark.parametrize("strain", ["b", "a", "both", "none"])
def test_strain_goes_where_it_was_asked(strain: str) -> None:
    particle = build(
        "CsPbBr3", "cube", "3 nm", "PbS", "hemisphere", "2.2 nm", cubes(), strain=strain
    )
    passed(particle)
    a, b = (np.abs(d.strain).max() for d in particle.domains)
    assert (a > 1e-4) == (strain in ("a", "both"))
    assert (b > 1e-4) == (strain in ("b", "both"))


# ------------------------------------------------------------------ bad input


def test_cap_wider_than_its_facet() -> None:
    with pytest.raises(InputError, match="wider at the interface"):
        build("CsPbBr3", "cube", "3 nm", "PbS", "hemisphere", "8 nm", cubes())
    mushroom = build("CsPbBr3", "cube", "3 nm", "PbS", "hemisphere", "5 nm", cubes(), overhang=True)
    passed(mushroom)


def test_two_crystals_need_their_relation() -> None:
    with pytest.raises(InputError, match="need a relation"):
        build("CsPbBr3", "cube", "3 nm", "PbS", "hemisphere", "2 nm")
    with pytest.raises(InputError, match="relation is for"):
        build("CsPbCl3", "cube", "3 nm", "PbS", "hemisphere", "2 nm", cubes())
    with pytest.raises(InputError, match="shape and a size"):
        build("CsPbBr3", "cube", "3 nm", "PbS", relation=cubes())


def test_shared_layer_that_is_not_there() -> None:
    with pytest.raises(NotFoundError, match="shares a layer of Cs"):
        build("CsPbBr3", "cube", "3 nm", "PbS", "hemisphere", "2 nm", cubes(), shared="Cs")


def test_interface_of_another_relation() -> None:
    other = interfaces(relation("CsPbBr3", "PbS", (1, 1, 0), (1, 1, 0)))[0]
    with pytest.raises(InputError, match="another relation"):
        build("CsPbBr3", "cube", "3 nm", "PbS", "hemisphere", "2 nm", cubes(), interface=other)


def test_core_that_does_not_fit() -> None:
    with pytest.raises(InputError, match="does not fit inside"):
        build("CsPbBr3", "cube", "3 nm", "PbS", "sphere", "4 nm", cubes(), positions=1)


def test_more_caps_than_facets() -> None:
    with pytest.raises(InputError, match="6 equivalent facets"):
        build("CsPbBr3", "cube", "3 nm", "PbS", "hemisphere", "1.5 nm", cubes(), caps=7)


def test_a_cut_of_zero_may_have_a_unit() -> None:
    one, two = (
        build("CsPbBr3", "cube", "3 nm", "PbS", "sphere", "2.4 nm", cubes(), cut_a=cut)
        for cut in (0.0, "0 nm")
    )
    assert one.same_as(two)


def test_cut_that_misses() -> None:
    with pytest.raises(InputError, match=r"misses|nothing is left"):
        build("CsPbBr3", "cube", "3 nm", "PbS", "hemisphere", "2 nm", cubes(), cut_a="9 nm")


def test_half_sphere_of_chalcohalide_on_the_small_cube() -> None:
    """CsPbBr3 cube (n = 5) under half a Pb4S3Br2 sphere of 4.2 nm (Imran et al. 2021)."""
    found = search(crystal("CsPbBr3"), crystal("Pb4S3Br2"), max_index=1)
    on_face = [m for m in found.matches if tuple(np.abs(m.plane_b)) == (0, 1, 0)]
    particle = build(
        "CsPbBr3", "cube", "5 cells", "Pb4S3Br2", "hemisphere", "4.2 nm", on_face[0],
        overhang=True,
    )  # fmt: skip
    passed(particle)
    assert particle.info["interface"]["made"]["shared"] >= 10
    height = particle.positions @ np.array(on_face[0].normal)
    assert height[particle.domain == 1].mean() > height[particle.domain == 0].max() - 12.0
    assert particle.composition("Pb4S3Br2")["S"] > 100
