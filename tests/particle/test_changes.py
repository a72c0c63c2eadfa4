"""Exchange, etching, ligands: what stays, what changes, what is refused."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterodot.catalog import crystal
from heterodot.epitaxy import search
from heterodot.errors import InputError
from heterodot.particle import Particle, build, report
from heterodot.particle.ensemble import draw, draw_sizes, ensemble
from heterodot.particle.etching import etch
from heterodot.particle.exchange import exchange, interface_layers, parse_replacement
from heterodot.particle.ligands import passivate
from heterodot.particle.molecules import LIGANDS, molecule
from heterodot.particle.touch_up import least_contact


@cache
def janus() -> Particle:
    found = search(crystal("CsPbBr3"), crystal("PbS"), max_index=1)
    return build(
        "CsPbBr3", "cube", "3.5 nm", "PbS", "hemisphere", "3 nm",
        found.find((1, 0, 0), (1, 0, 0)),
    )  # fmt: skip


@cache
def cube() -> Particle:
    return build("CsPbBr3", "cube", "5 cells")


def sound(particle: Particle) -> None:
    failed = [check for check in report(particle)["checks"] if not check["passed"]]
    assert not failed, failed


@pytest.mark.parametrize(("halide", "cell"), [("Cl", 5.605), ("I", 6.289)])
def test_full_halide_exchange_keeps_cations_and_takes_the_new_cell(
    halide: str, cell: float
) -> None:
    changed = exchange(cube(), "CsPbBr3", f"Br={halide}")
    counts = changed.composition()
    assert counts == {"Cs": 200, "Pb": 125, halide: 450}
    assert changed.domains[0].name == f"CsPb{halide}3"
    spans = np.ptp(changed.positions, axis=0)
    assert spans == pytest.approx(5 * cell, rel=1e-6)
    assert changed.history[-1]["cell_change"] == pytest.approx(cell / 5.874 - 1)
    sound(changed)


def test_halide_exchange_leaves_the_other_domain_alone() -> None:
    before = janus()
    after = exchange(before, "CsPbBr3", "Br=Cl")
    assert after.composition("PbS") == before.composition("PbS")
    other = before.domain == 1
    moved = np.linalg.norm(after.positions[other] - before.positions[other], axis=1)
    assert np.mean(moved < 1e-9) > 0.8
    assert "Br" not in after.composition("CsPbCl3")
    step = after.history[-1]
    assert step["mismatch_after"][0] == pytest.approx(5.936 / 5.605 - 1, abs=1e-3)
    assert after.info["relation"] == before.info["relation"]
    assert np.allclose(after.domains[0].orientation, before.domains[0].orientation)
    sound(after)


@given(fraction=st.floats(0, 1), order=st.sampled_from(["random", "ordered", "graded"]))
@settings(max_examples=12, deadline=None)
def test_fraction_and_charge(fraction: float, order: str) -> None:
    changed = exchange(cube(), 0, "Br=I", fraction=fraction, order=order, seed=2)
    assert changed.composition().get("I", 0) == round(fraction * 450)
    assert changed.net_charge == 0.0
    assert len(changed) == len(cube())


def test_graded_exchange_starts_at_the_surface() -> None:
    changed = exchange(cube(), 0, "Br=Cl", fraction=0.4, order="graded", depth=4.0, cell="keep")
    symbols = np.array(changed.symbols)
    from_middle = np.abs(changed.positions).max(axis=1)
    assert from_middle[symbols == "Cl"].mean() > from_middle[symbols == "Br"].mean() + 3.0


def test_ordered_exchange_is_more_even_than_random() -> None:
    """Nearest distances between exchanged ions scatter less."""
    from scipy.spatial import cKDTree

    def scatter(order: str) -> float:
        changed = exchange(cube(), 0, "Br=Cl", fraction=0.1, order=order, cell="keep")
        points = changed.positions[np.array(changed.symbols) == "Cl"]
        return float(cKDTree(points).query(points, k=2)[0][:, 1].mean())

    assert scatter("ordered") > scatter("random")


def test_copper_keeps_the_sulfur_and_one_layer_of_lead() -> None:
    """Livakas et al. (2024): Cu exchange spares the perovskite and one PbS layer at the interface."""
    before = janus()
    layer = interface_layers(before, 1, 1, "Pb")
    after = exchange(before, "PbS", "Pb=2Cu", keep_layers=1, cell="keep")
    assert len(layer) > 0
    assert after.net_charge == 0.0
    gone = before.composition("PbS")["Pb"] - len(layer)
    assert after.composition()["Cu"] == 2 * gone
    assert after.composition()["S"] == before.composition()["S"]
    assert after.composition("CsPbBr3") == before.composition("CsPbBr3")
    assert {d.name for d in after.domains} == {"CsPbBr3", "PbS", "Cu2S"}
    sulfur = [
        np.sort(p.positions[np.array(p.symbols) == "S"].round(6), axis=0) for p in (before, after)
    ]
    assert np.abs(sulfur[0] - sulfur[1]).max() < 0.5
    sound(after)


def test_copper_sits_in_tetrahedra() -> None:
    """In the middle of a PbS body every Cu has four S at sqrt(3)/4 of the cell."""
    body = build("PbS", "cube", "3.6 nm", passivator="Cl")
    changed = exchange(body, "PbS", "Pb=2Cu", cell="keep")
    points, symbols = changed.positions, np.array(changed.symbols)
    middle = points.mean(0)
    copper = points[(symbols == "Cu") & (np.abs(points - middle).max(axis=1) < 9.0)]
    sulfur = points[symbols == "S"]
    d = np.sort(np.linalg.norm(copper[:, None] - sulfur[None], axis=2), axis=1)
    assert d[:, :4] == pytest.approx(np.sqrt(3) / 4 * 5.936, abs=0.02)
    assert d[:, 4].min() > 3.5


def test_cadmium_makes_zinc_blende() -> None:
    body = build("PbS", "cube", "3.6 nm", passivator="Cl")
    changed = exchange(body, "PbS", "Pb=Cd", cell="keep")
    points, symbols = changed.positions, np.array(changed.symbols)
    inner = (symbols == "Cd") & (np.abs(points - points.mean(0)).max(axis=1) < 9.0)
    cadmium = points[inner]
    d = np.sort(np.linalg.norm(cadmium[:, None] - cadmium[None], axis=2), axis=1)
    # the cations form one fcc lattice: nearest neighbors at a / sqrt 2, none closer
    assert d[:, 1].min() == pytest.approx(5.936 / np.sqrt(2), abs=0.05)
    assert changed.domains[0].crystal is not None
    assert changed.domains[0].crystal.symmetry.number == 216


@pytest.mark.parametrize("replacement", ["Pb=2Cu", "Pb=Zn"])
def test_nothing_comes_loose_when_small_cations_take_over(replacement: str) -> None:
    """Halide that capped lead and reaches none of the small cations leaves; charge is settled."""
    found = search(crystal("CsPbBr3"), crystal("PbS"), max_index=1)
    two = build(
        "CsPbBr3", "cube", "3.5 nm", "PbS", "hemisphere", "2.4 nm",
        found.find((1, 0, 0), (1, 0, 0)), caps=2,
    )  # fmt: skip
    changed = exchange(two, 1, replacement)
    sound(changed)
    assert changed.composition(1).get("Pb", 0) == 0


def test_etching_the_host_of_two_caps_leaves_one_of_them() -> None:
    found = search(crystal("CsPbBr3"), crystal("PbS"), max_index=1)
    two = build(
        "CsPbBr3", "cube", "3.5 nm", "PbS", "hemisphere", "2.4 nm",
        found.find((1, 0, 0), (1, 0, 0)), caps=2,
    )  # fmt: skip
    left = etch(two, "CsPbBr3")
    sound(left)
    assert len(left.domains) == 1
    assert {"action", "element", "count"} <= set(left.history[-1]["neutralized"][0])


def test_exchange_back_and_forth_returns_the_particle() -> None:
    there = exchange(cube(), 0, "Br=Cl")
    back = exchange(there, 0, "Cl=Br")
    assert back.symbols == cube().symbols
    assert np.abs(back.positions - cube().positions).max() < 1e-6


def test_etching_leaves_a_neutral_rest() -> None:
    for domain, other in (("CsPbBr3", "PbS"), ("PbS", "CsPbBr3")):
        rest = etch(janus(), domain)
        assert [d.name for d in rest.domains] == [other]
        sound(rest)
    rest = etch(janus(), "CsPbBr3")
    assert rest.composition()["S"] == janus().composition()["S"]


@pytest.mark.parametrize("name", sorted(LIGANDS))
def test_molecules_have_chemical_geometry(name: str) -> None:
    body = molecule(name)
    d = np.linalg.norm(body.positions[:, None] - body.positions[None], axis=2)
    symbols = np.array(body.symbols)
    heavy = {"C": 0.77, "N": 0.75, "O": 0.66, "H": 0.31}
    reach = 1.25 * (
        np.array([heavy[s] for s in symbols])[:, None] + np.array([heavy[s] for s in symbols])[None]
    )
    bond = (d < reach) & (d > 0.1)
    valence = {"C": (3, 4), "H": (1, 1), "N": (4, 4), "O": (1, 1)}
    for k, symbol in enumerate(symbols):
        low, high = valence[str(symbol)]
        assert low <= bond[k].sum() <= high, (symbol, bond[k].sum())
    assert (d + 9 * np.eye(len(d))).min() > 0.95
    assert abs(body.charge) == 1.0


@pytest.mark.parametrize("ligand", ["acetate", "oleate", "oleylammonium"])
def test_ligands_fit_and_keep_the_charge(ligand: str) -> None:
    covered = passivate(cube(), ligand, coverage=0.3, seed=1)
    step = covered.history[-1]
    assert step["attached"] >= 0.9 * step["wanted"]
    assert covered.net_charge == pytest.approx(0.0)
    sound(covered)
    held = covered.extra["molecule"]
    assert set(held[covered.domain >= 0]) == {0}
    assert len(set(held[covered.domain < 0])) == step["attached"]
    # no two molecules touch
    points = covered.positions[held > 0]
    owner, symbols = held[held > 0], np.array(covered.symbols)[held > 0]
    from scipy.spatial import cKDTree

    pairs = cKDTree(points).query_pairs(1.99, output_type="ndarray")
    assert (owner[pairs[:, 0]] == owner[pairs[:, 1]]).all()
    assert set(symbols) <= set("CHNO")
    assert least_contact(covered) > 0.75


def test_oleate_is_held_by_a_cation_on_odd_surfaces_too() -> None:
    """Oxygen binds a cation and stands off halide: no loose molecule, no short contact."""
    sphere = build("Pb4S3Br2", "sphere", "3.4 nm")
    sound(passivate(sphere, "oleate", coverage=0.4))


def test_ensembles_have_their_mean_and_spread() -> None:
    sizes = draw_sizes("2.86 nm", "0.69 nm", 4000, seed=5)
    assert sizes.mean() == pytest.approx(28.6, rel=0.03)
    assert sizes.std() == pytest.approx(6.9, rel=0.05)
    members = draw(
        2000, "7.5 nm", "2 nm", {"cube": 3.0, "sphere": 1.0},
        mean_b="2.9 nm", spread_b="0.7 nm", correlation=0.8, seed=3,
    )  # fmt: skip
    share = np.mean([m.shape_a == "cube" for m in members])
    assert share == pytest.approx(0.75, abs=0.04)
    a = np.array([m.size_a for m in members])
    b = np.array([m.size_b for m in members], dtype=float)
    assert np.corrcoef(a, b)[0, 1] == pytest.approx(0.8, abs=0.08)
    built = list(ensemble(draw(3, "3 nm", "0.6 nm", ["sphere"], seed=2), "CsPbBr3"))
    assert len({p.formula for p in built}) > 1


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("domain", "text", "words"),
    [
        ("CsPbBr3", "Cl=Br", "has no Cl"),
        ("PbSe", "Pb=Cd", "no domain 'PbSe'"),
        ("CsPbBr3", "Br to Cl", "not an exchange"),
        ("PbS", "Pb=Ag", "changes the charge"),
        ("CsPbBr3", "Br=S", "changes the charge"),
        ("CsPbBr3", "Br=Qq", "not an exchange"),
    ],
)
def test_exchange_refuses(domain: str, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        exchange(janus(), domain, text)


def test_more_refusals() -> None:
    with pytest.raises(InputError, match="fraction"):
        exchange(cube(), 0, "Br=Cl", fraction=1.5)
    with pytest.raises(InputError, match="only domain"):
        etch(cube(), "CsPbBr3")
    with pytest.raises(InputError, match="did you mean oleate"):
        passivate(cube(), "oleat")
    with pytest.raises(InputError, match="coverage"):
        passivate(cube(), "oleate", coverage=2.0)
    with pytest.raises(InputError, match="spread"):
        draw_sizes("2 nm", "3 nm", 10)
    assert parse_replacement(" Pb = 2Cu ") == ("Pb", "Cu", 2)
