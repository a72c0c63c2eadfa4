"""Localization, traps and density of states against limits known in closed form, and CP2K's files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterodot.electronic.dos import (
    CONFINED,
    Orbitals,
    density_of_states,
    extended_participation,
    find_traps,
    participation,
    read_orbitals,
    summary,
)
from heterodot.errors import InputError, NotFoundError

CP2K = Path(__file__).parent / "cp2k_pbs"
DZVP = Path(__file__).parent / "cp2k_dzvp"


def box(n: int = 10) -> Orbitals:
    """Box states of a simple cubic body of n^3 atoms, and two states on a corner atom."""
    x = np.arange(1, n + 1) * np.pi / (n + 1)
    modes = [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2), (2, 2, 1), (1, 2, 2)]
    columns = []
    for a, b, c in modes:
        field = np.sin(a * x)[:, None, None] * np.sin(b * x)[:, None] * np.sin(c * x)
        columns.append((field**2).ravel() / (field**2).sum())
    corner = np.zeros(n**3)
    corner[0] = 1.0
    weights = np.stack([*columns[:3], corner, corner, *columns[3:]], axis=1)
    energies = np.array([-6.3, -6.2, -6.0, -5.5, -4.5, -4.0, -3.8, -3.7])
    return Orbitals(
        energies, np.array([1, 1, 1, 1, 0, 0, 0, 0]), weights, ("Pb",) * n**3,
        np.zeros(n**3, int), ("PbS",),
    )  # fmt: skip


@given(st.integers(1, 200), st.sampled_from(["population", "amplitude"]))
@settings(max_examples=30, deadline=None)
def test_even_and_single_site_limits(n, definition) -> None:
    assert participation(np.full((n, 1), 0.3), definition)[0] == pytest.approx(1 / n)
    one = np.zeros((n, 1))
    one[0] = 0.7
    assert participation(one, definition)[0] == pytest.approx(1.0)


@given(st.lists(st.floats(1e-3, 1.0), min_size=2, max_size=40))
@settings(max_examples=40, deadline=None)
def test_definitions_agree_where_they_should(values) -> None:
    p = np.array(values)[:, None]
    assert participation(np.sqrt(p), "amplitude")[0] == pytest.approx(participation(p)[0])
    assert participation(p, "amplitude")[0] >= participation(p)[0] - 1e-12
    with pytest.raises(InputError, match="not a participation"):
        participation(p, "entropy")


def test_box_states_are_extended_and_corner_states_are_traps() -> None:
    orbitals = box()
    traps = find_traps(orbitals)
    # (3/2)^3 holds for every box state; a grid of 10 has (n + 1) intervals
    np.testing.assert_allclose(traps.ratio[[0, 1, 2, 5, 6, 7]], (10 / 11) ** 3, rtol=1e-6)
    assert traps.is_trap.tolist() == [False, False, False, True, True, False, False, False]
    assert traps.gap.value == pytest.approx(2.0)
    assert traps.gap.error == 0.0
    assert traps.raw_gap == pytest.approx(1.0)
    assert (traps.homo, traps.lumo) == (2, 5)


def test_threshold_follows_the_size_and_meets_the_usual_number() -> None:
    """0.03 is what the criterion gives for a body of 900 atoms that share evenly."""
    n = 900
    even = Orbitals([-1.0, 1.0], [1, 0], np.full((n, 2), 1 / n), ("Pb",) * n, [0] * n, ("x",))
    assert find_traps(even).threshold[0] == pytest.approx(0.03)
    assert extended_participation(even)[0] == pytest.approx(27 / 8 / n)
    assert CONFINED == 8.0


def test_domains_add_up_to_the_total() -> None:
    rng = np.random.default_rng(0)
    weights = rng.random((30, 12))
    orbitals = Orbitals(
        np.linspace(-8, -2, 12), (np.arange(12) < 6).astype(float), weights,
        tuple(rng.choice(["Pb", "S"], 30)), np.repeat([0, 1, -1], 10), ("A", "B"),
    )  # fmt: skip
    curves = density_of_states(orbitals, by="domain")
    np.testing.assert_allclose(sum(curves.parts.values()), curves.total, atol=1e-12)
    step = curves.energies[1] - curves.energies[0]
    assert curves.total.sum() * step == pytest.approx(12, rel=1e-5)
    elements = density_of_states(orbitals, by="element")
    np.testing.assert_allclose(sum(elements.parts.values()), elements.total, atol=1e-12)
    both = density_of_states(orbitals, by="both", grid=curves.energies)
    np.testing.assert_allclose(both.parts["A Pb"] + both.parts["A S"], both.parts["A"], atol=1e-12)
    for bad in ({"sigma": 0.0}, {"by": "color"}):
        with pytest.raises(InputError):
            density_of_states(orbitals, **bad)


def test_cp2k_run_of_ours_is_read_whole() -> None:
    orbitals = read_orbitals(CP2K / "run.out")
    assert orbitals.symbols == ("Pb", "S", "Pb", "S")
    assert int(orbitals.filled.sum()) == 10  # 20 valence electrons
    # the ring has a center of inversion: both lead atoms weigh the same in every orbital
    np.testing.assert_allclose(orbitals.weights[0], orbitals.weights[2], atol=5e-3)
    assert "2023" in orbitals.source
    report = summary(orbitals, find_traps(orbitals, limit=100.0))
    assert report["gap"]["value"] > 0.5
    from heterodot.energy.cp2k_output import hartree, read_output

    result = read_output(CP2K / "run.out")
    assert result.energy == pytest.approx(-27.208082241610587 * hartree(), abs=1e-9)
    assert result.forces is not None
    np.testing.assert_allclose(result.forces.sum(axis=0), 0, atol=0.05)
    assert result.states is not None
    # element weights and atom weights are two projections of the same orbitals
    np.testing.assert_allclose(
        result.states.weights["Pb"],
        result.states.weights["list 1"] + result.states.weights["list 3"], atol=1e-4,
    )  # fmt: skip


def test_half_finished_foreign_and_odd_outputs_are_refused(tmp_path) -> None:
    from heterodot.energy.cp2k_output import read_output, read_pdos

    for file in CP2K.glob("run*"):
        shutil.copy(file, tmp_path / file.name)
    whole = (tmp_path / "run.out").read_text()
    (tmp_path / "run.out").write_text(whole.replace("PROGRAM ENDED", "PROGRAM"))
    with pytest.raises(NotFoundError, match=r"stopped half-way.*same command again"):
        read_output(tmp_path / "run.out")
    (tmp_path / "run.out").write_text(whole.replace("2023.1", "1999.9"))
    assert "not tried on" in read_output(tmp_path / "run.out").notes[0]
    (tmp_path / "run.out").write_text("VASP 6\n")
    with pytest.raises(InputError, match="not an output of CP2K"):
        read_output(tmp_path / "run.out")
    first = tmp_path / "run-list1-1.pdos"
    kept = first.read_text()
    first.write_text(kept[:-40])
    with pytest.raises(InputError, match="cut off"):
        read_pdos(tmp_path, "run")
    first.write_text(kept.replace("# Projected", "# Rejected", 1).replace("list 1", "item 1", 1))
    with pytest.raises(InputError, match="not a projected density"):
        read_pdos(tmp_path, "run")
    with pytest.raises(InputError, match=r"no \.pdos"):
        read_pdos(tmp_path, "other")


def test_molden_orbitals_are_normal_and_give_the_populations_of_cp2k() -> None:
    """Our overlap matrix against CP2K: orbitals orthonormal, Löwdin weights those of its PDOS."""
    from heterodot.energy.cp2k_output import bohr, read_pdos
    from heterodot.energy.molden import lowdin, read_molden
    from heterodot.energy.overlap import overlap_times

    found = read_molden(DZVP / "run-MOS-1_0.molden")
    c = found.coefficients
    metric = c.T @ overlap_times(found.shells, found.positions / bohr(), c)
    np.testing.assert_allclose(metric, np.eye(c.shape[1]), atol=1e-6)
    np.testing.assert_allclose(found.populations.sum(axis=0), 1.0, atol=1e-12)
    states = read_pdos(DZVP, "run")
    assert states.sizes["list 2"] == 1
    theirs = states.by_atom(4)
    assert theirs is not None
    np.testing.assert_allclose(lowdin(found), theirs[:, : c.shape[1]], atol=2e-6)
    np.testing.assert_allclose(found.energies, states.energies[: c.shape[1]], atol=1e-4)
    orbitals = read_orbitals(DZVP / "run-MOS-1_0.molden")
    assert orbitals.population.startswith("Lowdin")
    # the same run by its output: projected states
    by_output = read_orbitals(DZVP / "run.out")
    np.testing.assert_allclose(by_output.weights[:, :18], orbitals.weights, atol=2e-6)


def test_molden_alone_serves_where_atoms_have_no_lists(tmp_path) -> None:
    for name in ("run.out", "run-MOS-1_0.molden", "run-list1-1.pdos"):
        shutil.copy(DZVP / name, tmp_path / name)
    orbitals = read_orbitals(tmp_path / "run.out", [0, 1, 0, 1], ["A", "B"])
    assert "molden" in orbitals.source
    assert orbitals.shares()["A"][9] == pytest.approx(2 * 0.0346, abs=1e-3)
    (tmp_path / "run-MOS-1_0.molden").unlink()
    with pytest.raises(InputError, match="not by atom"):
        read_orbitals(tmp_path / "run.out")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t[: len(t) // 9], "section"),
        (lambda t: t.replace("[Molden Format]", "[Molten]"), "not an output"),
        (lambda t: t.replace("[5D7F]", ""), "Cartesian d"),
        (lambda t: t.replace("s       5    1.00", "s       4    1.00", 1), "cannot be understood"),
        (lambda t: t.replace("     1 -2.4676", "     1 -9.4676"), "not normalized"),
        (lambda t: t.replace("     1 -2.4676", "   999 -2.4676"), "function 999"),
    ],
)
def test_damaged_molden_files_are_refused(tmp_path, change, words) -> None:
    path = tmp_path / "a.molden"
    path.write_text(change((DZVP / "run-MOS-1_0.molden").read_text()))
    with pytest.raises(InputError, match=words):
        read_orbitals(path)


@pytest.mark.parametrize("angular", [0, 1, 2, 3, 4])
def test_overlap_against_quadrature(angular) -> None:
    """Two shells on two centers, integrated on a fine grid."""
    from heterodot.energy.molden import ORDER, GaussianShell
    from heterodot.energy.overlap import overlap_times, solid_harmonics

    centers = np.array([[0.0, 0, 0], [0.5, -0.7, 0.9]])
    shells = [
        GaussianShell(0, angular, np.array([0.9, 2.1]), np.array([0.7, 0.4])),
        GaussianShell(1, 1, np.array([1.1]), np.array([1.0])),
    ]
    n = 2 * angular + 4
    ours = overlap_times(shells, centers, np.eye(n))
    np.testing.assert_allclose(np.diag(ours), 1.0, atol=1e-12)
    x = np.linspace(-6, 6, 81)
    grid = np.stack(np.meshgrid(x, x, x, indexing="ij"), -1).reshape(-1, 3)
    columns = []
    for shell in shells:
        d = grid - centers[shell.atom]
        r2 = (d**2).sum(1)
        radial = sum(
            c * a ** (shell.angular / 2 + 0.75) * np.exp(-a * r2)
            for a, c in zip(shell.exponents, shell.coefficients, strict=True)
        )
        for m in ORDER[shell.angular]:
            poly = solid_harmonics()[shell.angular, m]
            f = radial * sum(v * d[:, 0] ** i * d[:, 1] ** j * d[:, 2] ** k
                             for (i, j, k), v in poly.items())  # fmt: skip
            columns.append(f / np.sqrt((f**2).sum()))
    table = np.array(columns)
    np.testing.assert_allclose(table @ table.T, ours, atol=1e-7)


def test_cells_of_atoms_share_an_orbital() -> None:
    from heterodot.electronic.dos_cube import Cube
    from heterodot.electronic.dos_sources import cell_weights

    x = np.linspace(-6, 6, 61)
    r = [np.sqrt((x[:, None, None] - s) ** 2 + x[:, None] ** 2 + x**2) for s in (-2.0, 2.0)]
    field = np.sqrt(0.8) * np.exp(-2 * r[0]) + np.sqrt(0.2) * np.exp(-2 * r[1])
    cube = Cube(
        field, np.full(3, -6.0), np.eye(3) * 0.2, np.array([82, 82]),
        np.array([[-2.0, 0, 0], [2.0, 0, 0]]),
    )  # fmt: skip
    np.testing.assert_allclose(cell_weights(cube), [0.8, 0.2], atol=0.01)
    with pytest.raises(InputError, match="empty"):
        cell_weights(Cube(0 * field, cube.origin, cube.steps, cube.numbers, cube.positions))


def test_both_spins_are_read(tmp_path) -> None:
    from heterodot.energy.cp2k_output import read_pdos

    for k in (1, 2):
        text = (CP2K / f"run-k{k}-1.pdos").read_text()
        (tmp_path / f"run-ALPHA_k{k}-1.pdos").write_text(text)
        (tmp_path / f"run-BETA_k{k}-1.pdos").write_text(text)
    assert len(read_pdos(tmp_path, "run").energies) == 28


def test_layout_of_2025_is_read(tmp_path) -> None:
    """The same run as CP2K 2025 prints it: other unit label, forces with a prefix and a norm."""
    from heterodot.energy.cp2k_output import read_output

    whole = (CP2K / "run.out").read_text()
    lines = []
    for line in whole.replace("2023.1", "2025.1").splitlines():
        part = line.split()
        if "energy [a.u.]:" in line:
            line = line.replace("[a.u.]:", "[hartree]")
        elif "ATOMIC FORCES in" in line:
            line = " FORCES| Atomic forces [hartree/bohr]"
        elif len(part) == 6 and part[2] in ("Pb", "S") and part[0].isdigit():
            line = f" FORCES| {part[0]} {part[3]} {part[4]} {part[5]} 1.0E-02"
        lines.append(line)
    (tmp_path / "run.out").write_text("\n".join(lines) + "\n")
    old, new = read_output(CP2K / "run.out"), read_output(tmp_path / "run.out")
    assert new.energy == old.energy
    assert old.forces is not None
    np.testing.assert_array_equal(new.forces, old.forces)
    assert not new.notes
    (tmp_path / "run.out").write_text(whole.replace("ENERGY| Total FORCE_EVAL", "ENERGY: total"))
    with pytest.raises(InputError, match="no total energy in a form that is known"):
        read_output(tmp_path / "run.out")


def test_inverted_gap_is_said() -> None:
    upside = Orbitals(
        [-5.0, -4.0, -3.5, -3.0], [2, 0, 2, 0], np.full((9, 4), 1 / 9), ("Pb",) * 9, [0] * 9, ("x",)
    )
    assert "not a ground state" in summary(upside, find_traps(upside))["notes"][-1]


def test_wrong_shapes_and_one_sided_spectra_are_refused() -> None:
    with pytest.raises(InputError, match="same order"):
        Orbitals([0.0], [1], np.ones((2, 1)), ("Pb",), [0], ("x",))
    only = Orbitals([0.0, 1.0], [1, 1], np.ones((1, 2)), ("Pb",), [0], ("x",))
    with pytest.raises(InputError, match="no empty orbitals"):
        find_traps(only)


def test_figure_draws() -> None:
    from heterodot.report.figures_dos import domain_colors, dos_figure

    orbitals = box(4)
    figure = dos_figure(density_of_states(orbitals), orbitals, find_traps(orbitals))
    assert figure.axes[0].get_ylabel().endswith("(1/eV)")
    assert len(set(domain_colors(["PbS", "CdS", "CsPbCl3"]).values())) == 3
