"""Organic cations: found in crystals of our own making, carved whole, joined, exchanged, exported."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from ase.data import covalent_radii
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heterodot.catalog import crystal
from heterodot.cif import write_cif
from heterodot.cli.main import cli
from heterodot.crystal import Crystal
from heterodot.epitaxy import interfaces, search
from heterodot.epitaxy.slabs import bicrystal
from heterodot.errors import InputError
from heterodot.organic import IonicCrystal, groups_of, ions, molecules, with_cell
from heterodot.particle import Domain, Particle, build, report
from heterodot.particle.exchange import exchange
from heterodot.particle.export import export
from heterodot.particle.molecules import molecule
from heterodot.particle.organics import kept_rigid, with_partners
from heterodot.particle.recognize import recognize
from heterodot.particle.touch_up import settle_charge

# an ideal methylammonium, formamidinium: symbols and Å
_T = 2 * np.pi / 3
METHYL = (
    ["N", "C", *"HHHHHH"],
    np.array(
        [[0, 0, 0.74], [0, 0, -0.74]]
        + [[0.97 * np.cos(k * _T), 0.97 * np.sin(k * _T), 1.09] for k in range(3)]
        + [[1.03 * np.cos(k * _T + 1), 1.03 * np.sin(k * _T + 1), -1.10] for k in range(3)]
    ),
)
FORMAMIDINIUM = (
    ["C", "N", "N", *"HHHHH"],
    np.array(
        [
            [0, 0, 0.4], [1.15, 0, -0.22], [-1.15, 0, -0.22], [0, 0, 1.49],
            [1.15, 0, -1.23], [2.03, 0, 0.28], [-1.15, 0, -1.23], [-2.03, 0, 0.28],
        ]
    ),
)  # fmt: skip


def cage(halide: str, edge: float, body, shift=(0.0, 0.0, 0.0)) -> Crystal:
    """A cubic lead halide with one organic cation in its cage, moved and wrapped into the cell."""
    from ase import Atoms

    frame = Atoms(
        ["Pb", *[halide] * 3],
        scaled_positions=[[0.5, 0.5, 0.5], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]],
        cell=[edge] * 3,
        pbc=True,
    )
    frame += Atoms(body[0], positions=body[1])
    frame.positions += shift
    frame.set_pbc(True)
    frame.wrap()
    return Crystal.from_atoms(frame, name="hybrid")


def layered() -> Crystal:
    """BA2PbI4 of our own: square sheets, butylammonium upright over and under each cage."""
    from ase import Atoms

    edge, height = 6.3, 16.5
    body = molecule("butylammonium")
    sheet = Atoms(
        ["Pb", "I", "I", "I", "I"],
        positions=[
            [0, 0, 0], [edge / 2, 0, 0], [0, edge / 2, 0], [0, 0, 3.2], [0, 0, -3.2],
        ],
        cell=[edge, edge, height],
        pbc=True,
    )  # fmt: skip
    head = np.array([edge / 2, edge / 2, 2.6])
    up = np.array(body.positions) + head
    down = (np.array(body.positions) + head) * [1, -1, -1] + [0, edge, 0]
    sheet += Atoms(body.symbols, positions=up)
    sheet += Atoms(body.symbols, positions=down)
    sheet.cell[2, 2] = 2 * (np.ptp(up[:, 2]) + 2.6) + 2.2
    sheet.set_pbc(True)
    sheet.wrap()
    return Crystal.from_atoms(sheet, name="BA2PbI4")


def pieces_by_hand(c: Crystal) -> set[frozenset[int]]:
    """Molecules by comparing every atom with every image of every other (slow, obvious)."""
    organic = [k for k in range(len(c)) if c.symbols[k] in ("C", "N", "H")]
    owner = {k: k for k in organic}

    def root(k: int) -> int:
        while owner[k] != k:
            k = owner[k]
        return k

    for a, b in itertools.combinations(organic, 2):
        for image in itertools.product((-1, 0, 1), repeat=3):
            d = np.linalg.norm(c.positions[a] - c.positions[b] - np.array(image) @ c.cell)
            if d < 1.25 * (covalent_radii[c.numbers[a]] + covalent_radii[c.numbers[b]]):
                owner[root(a)] = root(b)
    found: dict[int, set[int]] = {}
    for k in organic:
        found.setdefault(root(k), set()).add(k)
    return {frozenset(v) for v in found.values()}


def failed(particle: Particle) -> list[str]:
    return [k["name"] for k in report(particle)["checks"] if not k["passed"]]


def shapes_of(particle: Particle, k: int = 0) -> set[tuple[float, ...]]:
    """Sorted inner distances of each molecule of a domain, Å."""
    found = set()
    for group in groups_of(particle.numbers, particle.positions):
        if particle.domain[group.carrier] != k:
            continue
        points = particle.positions[group.atoms]
        d = np.linalg.norm(points[:, None] - points[None], axis=2)
        found.add(tuple(np.round(np.sort(d[np.triu_indices(len(points), 1)]), 4)))
    return found


# ---------------------------------------------------------------- finding them


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(*[st.floats(-7, 7)] * 3),
    st.sampled_from([("I", 6.3, METHYL, "MAPbI3"), ("Br", 5.99, FORMAMIDINIUM, "FAPbBr3")]),
)
def test_molecules_are_found_wherever_the_cell_cuts_them(shift, case):
    halide, edge, body, name = case
    c = cage(halide, edge, body, shift)
    assert c.formula == name
    assert {frozenset(g.atoms.tolist()) for g in molecules(c)} == pieces_by_hand(c)
    assert c.charges is not None
    assert abs(c.charges.sum()) < 1e-12
    (group,) = molecules(c)
    assert group.charge == 1.0
    # unwrapped, it has the distances that it was made with
    points = c.positions[group.atoms] + group.shifts @ c.cell
    made = np.linalg.norm(body[1][:, None] - body[1][None], axis=2)
    mine = np.linalg.norm(points[:, None] - points[None], axis=2)
    assert np.allclose(np.sort(made.ravel()), np.sort(mine.ravel()), atol=1e-6)


def test_a_crystal_from_a_cif_of_the_user(tmp_path):
    c = cage("I", 6.3, METHYL, (1.0, -2.0, 3.0))
    path = write_cif(tmp_path / "mapi.cif", c.atoms)
    again = Crystal.read(path)
    assert again.formula == "MAPbI3"
    assert again.charge_of("Pb") == 2.0
    assert again.charge_of("I") == -1.0
    assert not failed(build(again, "cube", "3 cells"))


def test_charge_without_hydrogens_is_what_balances_the_rest():
    bare = ([s for s in METHYL[0] if s != "H"], METHYL[1][:2])
    (group,) = molecules(cage("I", 6.3, bare))
    assert group.formula == "CN"
    assert group.charge == 1.0


def test_inorganic_crystals_are_left_as_they_are():
    for name in ("CsPbBr3", "PbS", "Pb4S3Br2"):
        assert ions(crystal(name)) is crystal(name)
    diamond = Crystal.from_sites("C", "F d -3 m", (3.567,), {"C": (0.125, 0.125, 0.125)})
    assert molecules(diamond) == ()


def test_isomers_are_not_given_the_name_of_another():
    # 4-methylanilinium has the formula of PMA: hydrogens on carbon tell them apart
    turned = np.array([[np.cos(k * np.pi / 3), np.sin(k * np.pi / 3), 0] for k in range(6)])
    ring = 1.39 * turned
    symbols, points = ["C"] * 6, list(ring)
    for k in (1, 2, 4, 5):
        symbols.append("H")
        points.append(2.48 * turned[k])
    for k, element, sign in ((0, "N", 1), (3, "C", -1)):
        head = turned[k] * 2.88
        symbols.append(element)
        points.append(head)
        for j in range(3):
            side = np.array([0, np.cos(j * _T), np.sin(j * _T)])
            symbols.append("H")
            points.append(head + 0.36 * sign * np.array([1.0, 0, 0]) + 0.97 * side)
    from ase.data import atomic_numbers

    (group,) = groups_of(np.array([atomic_numbers[s] for s in symbols]), np.array(points))
    assert group.formula == "C7H10N"
    assert group.name == "C7H10N"
    assert group.charge == 1.0


# ---------------------------------------------------------------- the catalog's PMA2PbBr4


def test_structure_of_the_layered_bromide():
    from ase.neighborlist import neighbor_list

    c = crystal("PMA2PbBr4")
    assert c.symmetry.number == 36
    assert c.formula == "PMA2PbBr4"
    assert len(c) == 164
    assert "model" in c.method
    assert c.d_spacing((0, 0, 2)) == pytest.approx(16.7, abs=0.05)
    assert c.density == pytest.approx(2.23, abs=0.05)
    number = np.zeros(len(c), dtype=int)
    for n, group in enumerate(molecules(c), 1):
        number[group.atoms] = n
        assert group.name == "PMA"
        assert group.charge == 1.0
        assert len(group.atoms) == 18
    i, j, d = neighbor_list("ijd", c.atoms, 4.0)
    symbols = np.array(c.symbols)

    def between(a: str, b: str) -> np.ndarray:
        return d[(symbols[i] == a) & (symbols[j] == b) & (number[i] != number[j])]

    lead = d[(symbols[i] == "Pb") & (symbols[j] == "Br") & (d < 3.6)]
    assert len(lead) == 24
    assert lead.min() > 2.9
    assert lead.max() < 3.1
    assert 2.3 < between("H", "Br").min() < 2.6  # N-H...Br of ammonium bromides
    assert 3.3 < between("N", "Br").min() < 3.6
    assert between("H", "H").min() > 2.2
    assert between("C", "C").min() > 3.3
    cc = d[(symbols[i] == "C") & (symbols[j] == "C") & (number[i] == number[j])]
    assert 1.38 < cc.min() < 1.41
    assert 1.49 < cc[cc < 1.6].max() < 1.53


def test_seen_as_ions_it_keeps_name_and_symmetry():
    c = crystal("PMA2PbBr4")
    small = ions(c)
    assert isinstance(small, IonicCrystal)
    assert len(small) == 28
    assert small.symmetry.number == 36
    assert small.formula == "PMA2PbBr4"
    assert np.array_equal(small.point_operations, c.point_operations)
    assert small.require_charges().sum() == 0


def test_another_cell_moves_molecules_but_does_not_bend_them():
    c = crystal("PMA2PbBr4")
    wide = with_cell(c, c.cell * 1.06)
    one, two = molecules(c)[0], molecules(wide)[0]
    a = c.positions[one.atoms] + one.shifts @ c.cell
    b = wide.positions[two.atoms] + two.shifts @ wide.cell
    assert np.allclose(a - a[0], b - b[0], atol=1e-9)
    assert wide.volume == pytest.approx(1.06**3 * c.volume)


# ---------------------------------------------------------------- carving


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["sphere", "platelet", "disk", "cuboid"]),
    st.floats(2.2, 3.2),
    st.sampled_from(["PMA2PbBr4", "layered", "cage"]),
)
def test_no_shape_breaks_a_molecule(shape, width, which):
    c = {"PMA2PbBr4": lambda: crystal("PMA2PbBr4"), "layered": layered}.get(
        which, lambda: cage("I", 6.3, METHYL, (0.4, 0.1, -0.2))
    )()
    flat = f"{width} nm x 2.6 nm"
    size = {"sphere": f"{max(width, 2.8)} nm", "cuboid": f"{width} x {width} x 2.6 nm"}
    if which != "cage":
        size["sphere"] = "4.4 nm"
        flat, size["cuboid"] = f"{width} nm x 3.6 nm", f"{width} x {width} x 3.6 nm"
    particle = build(c, shape, size.get(shape, flat))
    assert not failed(particle)
    assert particle.net_charge == 0
    whole = molecules(c)[0]
    groups = groups_of(particle.numbers, particle.positions)
    assert {g.formula for g in groups} == {whole.formula}
    counts = particle.composition()
    per = {e: int((c.numbers[whole.atoms] == z).sum()) for e, z in (("C", 6), ("H", 1), ("N", 7))}
    assert all(counts[e] == n * len(groups) for e, n in per.items())
    points = c.positions[whole.atoms] + whole.shifts @ c.cell
    d = np.linalg.norm(points[:, None] - points[None], axis=2)
    mine = tuple(np.round(np.sort(d[np.triu_indices(len(points), 1)]), 4))
    assert any(np.allclose(mine, s, atol=2e-4) for s in shapes_of(particle))


def test_faces_of_the_layers_end_with_organic_cations():
    particle = build("PMA2PbBr4", "platelet", "2.6 nm x 3.4 nm")
    heavy = np.isin(particle.symbols, ("Pb", "Br"))
    height = particle.positions[:, 2]
    top, bottom = height[heavy].max(), height[heavy].min()
    assert (height > top + 3).sum() > 50
    assert (height < bottom - 3).sum() > 50
    assert report(particle)["domains"][0]["molecules"] == {"PMA": particle.composition()["N"]}
    # two sheets of lead, one layer spacing apart
    lead = np.unique(np.round(height[np.array(particle.symbols) == "Pb"], 1))
    assert len(lead) == 2
    assert np.diff(lead)[0] == pytest.approx(33.39 / 2, abs=0.1)


def test_a_termination_is_named_as_chemists_do():
    named = build("PMA2PbBr4", "platelet", "2.4 nm x 1.7 nm", termination_a={"100": "PMABr"})
    assert not failed(named)
    with pytest.raises(InputError, match="PMABr"):
        build("PMA2PbBr4", "platelet", "2.4 nm x 1.7 nm", termination_a="CsBr")


def test_the_same_seed_gives_the_same_particle():
    one, two = (build("PMA2PbBr4", "disk", "3 nm x 1.7 nm", seed=3) for _ in range(2))
    assert one.same_as(two)


# ---------------------------------------------------------------- joining


@pytest.fixture(scope="module")
def sheet_on_sheet():
    a, b = crystal("PMA2PbBr4"), crystal("CsPbBr3_cubic")
    found = search(a, b, max_index=1, max_area=450, max_strain=0.06)
    return found, found.find((1, -1, 0), (1, 0, 0), (0, 0, 1), (0, 1, 0))


@pytest.fixture(scope="module")
def lateral(sheet_on_sheet):
    _, relation = sheet_on_sheet
    return build(
        "PMA2PbBr4", "platelet", "2.6 nm x 3.4 nm",
        "CsPbBr3_cubic", "cuboid", "1.8 x 1.8 x 3.0 nm", relation,
    )  # fmt: skip


def test_mismatch_of_the_lateral_interface_by_hand(sheet_on_sheet):
    _, relation = sheet_on_sheet
    # one layer spacing against three cells, and the Pb-Br-Pb diagonal against two
    along = np.sort(np.abs(relation.mismatch))
    assert along[1] == pytest.approx(abs(3 * 5.874 / (33.39 / 2) - 1), abs=1e-3)
    assert along[0] == pytest.approx(abs(2 * 5.874 / np.hypot(8.149, 8.134) - 1), abs=1e-3)


def test_printed_plane_pairs_of_the_document():
    """Spacings that Yang2024 compares; printed 0.94, 1.35 and 5.61 %."""
    a, b = crystal("CsPbBr3_cubic"), crystal("PMA2PbBr4")
    pairs = [((1, 1, 0), (0, 0, 8)), ((1, 1, 1), (0, 0, 10)), ((1, 0, 0), (0, 0, 6))]
    off = [100 * (b.d_spacing(q) / a.d_spacing(p) - 1) for p, q in pairs]
    assert off == pytest.approx([0.49, -1.54, -5.26], abs=0.02)
    assert [abs(x) for x in off] == pytest.approx([0.94, 1.35, 5.61], abs=0.5)


def test_lateral_heterostructure_passes_every_check(lateral):
    assert failed(lateral) == []
    document = report(lateral)
    assert [d["name"] for d in document["domains"]] == ["PMA2PbBr4", "CsPbBr3"]
    assert document["interface"]["bonds_across"] >= 10
    # sheets are shared: lead of one domain has bromide of the other
    assert lateral.history[0]["shared"] >= 2
    assert set(document["domains"][1]["composition"]) == {"Cs", "Pb", "Br"}


def test_strain_moves_molecules_without_bending_them(sheet_on_sheet):
    found, _ = sheet_on_sheet
    back = search(crystal("CsPbBr3_cubic"), crystal("PMA2PbBr4"), max_index=1, max_strain=0.03)
    relation = back.find((1, 0, 0), (0, 0, 1))
    particle = build(
        "CsPbBr3_cubic", "cuboid", "2.4 x 2.4 x 1.8 nm",
        "PMA2PbBr4", "platelet", "1.7 nm x 1.7 nm", relation,
    )  # fmt: skip
    assert np.abs(particle.domains[1].strain).max() > 0.015
    assert shapes_of(particle, 1) == shapes_of(build("PMA2PbBr4", "platelet", "2.4 nm x 1.7 nm"))
    assert "molecules whole" not in failed(particle)
    assert found.matches


def test_the_documented_command_builds_the_preferred_interface(tmp_path):
    arguments = [
        "build", "--a", "PMA2PbBr4", "--shape-a", "platelet", "--size-a", "2.6 nm x 1.7 nm",
        "--b", "CsPbBr3", "--shape-b", "cuboid", "--size-b", "1.8 x 1.8 x 1.7 nm",
        "--plane-a", "1 -1 0", "--plane-b", "1 1 0", "--max-index", "1",
        "-o", str(tmp_path / "l.xyz"), "--json", "--quiet",
    ]  # fmt: skip
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    made = json.loads(result.stdout)
    assert made["passed"] is True
    names = [domain["name"] for domain in made["domains"]]
    assert names == ["PMA2PbBr4", "CsPbBr3"]
    assert made["domains"][0]["molecules"]["PMA"] == made["domains"][0]["composition"]["N"]


def test_slabs_for_other_engines_have_all_atoms(sheet_on_sheet):
    _, relation = sheet_on_sheet
    atoms = bicrystal(interfaces(relation)[0], thickness=10.0)
    mine = atoms[atoms.arrays["domain"] == 0]
    counts = mine.symbols.formula.count()
    assert counts["C"] == 7 * counts["N"]
    assert counts["H"] == 10 * counts["N"]
    assert counts["N"] == 2 * counts["Pb"]
    groups = groups_of(mine.numbers, mine.positions)
    assert len(groups) == counts["N"]
    assert {g.name for g in groups} == {"PMA"}
    assert abs(atoms.arrays["charge"].sum()) < 1e-9


def test_energies_are_refused_and_the_order_says_so():
    from heterodot.energy import fit_potential
    from heterodot.epitaxy import ranked

    with pytest.raises(InputError, match="molecules"):
        fit_potential(crystal("PMA2PbBr4"))
    found = ranked(crystal("CsPbBr3_cubic"), crystal("PMA2PbBr4"), max_index=1, max_strain=0.025)
    assert any("molecules" in note for note in found.notes)
    assert found.matches[0].plane_b in ((0, 0, 1), (0, 0, -1))


def test_a_foreign_file_of_it_is_recognized(lateral, tmp_path):
    lines = [str(len(lateral)), "somebody else's"]
    lines += [
        f"{s} {x:.4f} {y:.4f} {z:.4f}"
        for s, (x, y, z) in zip(lateral.symbols, lateral.positions, strict=True)
    ]
    path = tmp_path / "foreign.xyz"
    path.write_text("\n".join(lines) + "\n")
    bare = Particle.read(path)
    assert bare.net_charge == 0  # each molecule has its charge
    pool = [crystal("PMA2PbBr4"), crystal("CsPbBr3_cubic"), crystal("PbS")]
    found = recognize(bare, pool)
    assert [d.name for d in found.domains] == ["PMA2PbBr4", "CsPbBr3"]
    assert (found.domain == lateral.domain).mean() > 0.97
    for mine, theirs in zip(lateral.domains, found.domains, strict=True):
        turn = mine.orientation.T @ theirs.orientation
        assert mine.crystal is not None
        off = [np.abs(turn - op).max() for op in mine.crystal.proper_rotations]
        assert min(off) < 0.03
    for group in groups_of(found.numbers, found.positions):
        assert len(set(found.domain[group.atoms])) == 1


# ---------------------------------------------------------------- changing


def test_exchange_of_halide_leaves_molecules_alone():
    before = build("PMA2PbBr4", "platelet", "2.4 nm x 1.7 nm")
    after = exchange(before, "PMA2PbBr4", "Br=Cl")
    assert after.domains[0].name == "PMA2PbCl4"
    assert failed(after) == []
    assert shapes_of(before) == shapes_of(after)
    assert after.composition()["C"] == before.composition()["C"]
    half = exchange(before, "PMA2PbBr4", "Br=I", fraction=0.5)
    assert half.domains[0].name == "PMA2PbI2.00Br2.00"
    assert failed(half) == []


def test_elements_of_molecules_are_not_exchanged():
    before = build("PMA2PbBr4", "platelet", "2.4 nm x 1.7 nm")
    with pytest.raises(InputError, match="part of its molecules"):
        exchange(before, "PMA2PbBr4", "H=Na")


def test_exchange_in_the_neighbor_does_not_touch_them(lateral):
    after = exchange(lateral, "CsPbBr3", "Br=Cl")
    assert shapes_of(after) == shapes_of(lateral)
    mine = (lateral.domain == 0) & (np.abs(lateral.charge) < 0.5)
    assert np.array_equal(after.positions[mine], lateral.positions[mine])


def test_charge_is_settled_with_whole_cations():
    particle = build("PMA2PbBr4", "platelet", "2.4 nm x 1.7 nm")
    outer = np.flatnonzero((np.array(particle.symbols) == "Br") & (particle.role == "surface"))
    stay = np.ones(len(particle), dtype=bool)
    stay[outer[:3]] = False
    charged = particle.take(stay)
    assert charged.net_charge == 3
    again, _ = settle_charge(charged, None)
    assert again.net_charge == 0
    assert again.composition()["C"] == 7 * again.composition()["N"]
    assert "molecules whole" not in failed(again)


def test_partners_and_rigid_moves():
    particle = build("PMA2PbBr4", "platelet", "2.4 nm x 1.7 nm")
    nitrogen = np.flatnonzero(np.array(particle.symbols) == "N")[:2]
    assert len(with_partners(particle, nitrogen)) == 36
    lead = np.flatnonzero(np.array(particle.symbols) == "Pb")[:1]
    assert with_partners(particle, lead).tolist() == lead.tolist()
    moved = kept_rigid(particle, 1.1 * particle.positions)
    assert np.allclose(moved[nitrogen], 1.1 * particle.positions[nitrogen])
    assert shapes_of(particle.replace(positions=moved)) == shapes_of(particle)


def test_the_check_sees_a_molecule_that_lost_an_atom():
    particle = build("PMA2PbBr4", "platelet", "2.4 nm x 1.7 nm")
    carbon = int(np.flatnonzero(np.array(particle.symbols) == "C")[5])
    stay = np.ones(len(particle), dtype=bool)
    stay[carbon] = False
    assert "molecules whole" in failed(particle.take(stay))
    # one cation moved along its hydrogen bond
    squeezed = particle.positions.copy()
    symbols = np.array(particle.symbols)
    light, halide = np.flatnonzero(symbols == "H"), np.flatnonzero(symbols == "Br")
    d = np.linalg.norm(squeezed[light][:, None] - squeezed[halide][None], axis=2)
    h, b = np.unravel_index(d.argmin(), d.shape)
    along = (squeezed[halide[b]] - squeezed[light[h]]) / d.min()
    squeezed[with_partners(particle, light[h : h + 1])] += (d.min() - 1.93) * along
    assert "molecules apart" in failed(particle.replace(positions=squeezed))


# ---------------------------------------------------------------- files, diffraction


@pytest.mark.parametrize("ending", ["cif", "pdb", "vasp"])
def test_other_programs_read_every_atom(tmp_path, ending):
    from ase.io import read

    particle = build("PMA2PbBr4", "platelet", "2.4 nm x 1.7 nm")
    path = tmp_path / f"p.{ending}"
    export(particle, path)
    seen = read(path)
    assert seen.symbols.formula.count() == particle.atoms.symbols.formula.count()
    assert len(groups_of(seen.numbers, seen.positions)) == particle.composition()["N"]


def test_cp2k_knows_the_elements_and_lammps_their_charges(tmp_path):
    particle = build("PMA2PbBr4", "platelet", "2.4 nm x 1.7 nm")
    export(particle, tmp_path / "p.inp")
    text = (tmp_path / "p.inp").read_text()
    assert all(f"&KIND {e}\n" in text for e in ("H", "C", "N", "Pb", "Br"))
    export(particle, tmp_path / "p.data")
    rows = (tmp_path / "p.data").read_text().split("Atoms # full")[1].split("\n\n")[1]
    assert sum(float(row.split()[3]) for row in rows.strip().splitlines()) == pytest.approx(0)


def test_particle_and_molecules_survive_their_own_file(tmp_path, lateral):
    again = Particle.read(lateral.write(tmp_path / "l.xyz"))
    assert again.same_as(lateral)
    assert int(again.extra["molecule"].max()) > 50


def test_layer_reflections_of_a_stack():
    from heterodot.probes.xrd import XrdSetup, simulate

    stack = build("PMA2PbBr4", "cuboid", "1.7 x 1.7 x 10.0 nm")
    pattern = simulate(stack, XrdSetup(range=(4.0, 12.0), points=400))
    angles = np.linspace(4.0, 12.0, 400)
    intensity = np.asarray(pattern.data).ravel()
    for order in (2, 4):
        at = 2 * np.degrees(np.arcsin(1.5418 * order / (2 * 33.39)))
        near = np.abs(angles - at) < 1.2
        peak = angles[near][np.argmax(intensity[near])]
        assert peak == pytest.approx(at, abs=0.25)


def test_a_domain_without_crystal_is_judged_by_what_it_is():
    body = molecule("butylammonium")
    particle = Particle(
        (*body.symbols, "Br"),
        np.vstack([body.positions, [[0.0, 0.0, -3.3]]]),
        np.zeros(len(body.symbols) + 1, dtype=int),
        np.array(["surface"] * (len(body.symbols) + 1)),
        np.append(body.charges, -1.0),
        (Domain("salt"),),
    )
    assert "molecules whole" not in failed(particle)
