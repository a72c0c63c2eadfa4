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
