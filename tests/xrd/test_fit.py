"""Whole-pattern fits of mixtures whose truth is known from the particles that made them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from heterodot.catalog import crystal
from heterodot.errors import InputError, NotFoundError
from heterodot.fitting import Parameter
from heterodot.probes.xrd import XrdSetup, fit, simulate, suggest
from heterodot.probes.xrd.components import PhaseComponent, strain_basis
from heterodot.probes.xrd.pattern_fit import Problem, solve
from heterodot.probes.xrd.recorded import recorded

from .mixtures import as_measurement, ball, mass, mixture


def scaled(name: str, factor: float):
    found = crystal(name)
    return found.replace(cell=found.cell * factor)


CATALOG = (
    "PbS", "CsPbBr3_cubic", "CsPbCl3_cubic", "CdS_zincblende", "Pb4S3Br2", "CsPbBr3_ortho",
)  # fmt: skip


@pytest.mark.parametrize(
    ("seed", "parts", "silica"),
    [
        (1, [("PbS", 0.997, 34.0, 0.35), ("CsPbCl3_cubic", 1.0, 52.0, 0.65)], 0.3),
        (2, [("CsPbBr3_cubic", 0.998, 60.0, 0.45), ("Pb4S3Br2", 1.0, 45.0, 0.55)], 0.15),
    ],
)
def test_blind_mixture(seed, parts, silica):
    """The phases are found among six, fractions within 3 % and sizes within 10 %."""
    made = [(scaled(name, f), size, w) for name, f, size, w in parts]
    pattern, truth = mixture(made, seed=seed, silica=silica, zero=0.04)
    found = suggest(pattern, [crystal(n) for n in CATALOG], XrdSetup("CuKa"), most=3)
    present = {c.name for c in found.candidates if c.present}
    assert present == set(truth)
    rows = found.fit.extra["phases"]
    for name, true in truth.items():
        assert abs(rows[name]["weight_fraction"].value - true["fraction"]) < 0.03
        assert rows[name]["size"].value == pytest.approx(true["size"], rel=0.10)
        assert rows[name]["cell"]["a"].value == pytest.approx(true["a"], rel=2e-3)
    assert rows["silica"]["present"]
    ranks = [c.present for c in found.candidates]
    assert ranks == sorted(ranks, reverse=True)


def test_a_phase_that_is_not_there_is_not_there():
    pattern, _ = mixture([(crystal("PbS"), 40.0, 1.0)], seed=3)
    found = fit(pattern, [crystal(n) for n in ("PbS", "CsPbBr3_cubic")], XrdSetup("CuKa"))
    row = found.extra["phases"]["CsPbBr3_cubic"]
    assert not row["present"]
    assert row["weight_fraction"].value == 0.0
    assert row["upper_limit"].value < 0.05
    assert any("CsPbBr3_cubic is not there" in w for w in found.warnings)
    assert found.extra["phases"]["PbS"]["present"]
    assert "CsPbBr3_cubic.size" not in found.parameters


def test_errors_cover_the_truth():
    """Pulls of fraction, size and cell over repeated noise are of order one."""
    made = [(crystal("PbS"), 45.0, 0.4), (crystal("CsPbBr3_cubic"), 70.0, 0.6)]
    pulls = []
    for seed in range(3):
        pattern, truth = mixture(made, seed=seed, counts=4000, spread=0.15)
        found = fit(pattern, [crystal("PbS"), crystal("CsPbBr3_cubic")], XrdSetup("CuKa"))
        row = found.extra["phases"]["PbS"]
        pulls.append((row["weight_fraction"].value - 0.4) / row["weight_fraction"].error)
        a = row["cell"]["a"]
        pulls.append((a.value - truth["PbS"]["a"]) / a.error)
    assert np.sqrt(np.mean(np.square(pulls))) < 2.5
    assert np.abs(pulls).max() > 0.05


def test_wrong_wavelength_is_noticed():
    pattern, _ = mixture([(crystal("PbS"), 60.0, 1.0)], seed=4, silica=0.0)
    with pytest.raises(NotFoundError, match=r"may be wrong.*CuKa"):
        fit(pattern, [crystal("PbS")], XrdSetup("MoKa"))
    stated = as_measurement(
        pattern.data["two_theta"].values, pattern.data.values, wavelength=1.5406
    )
    found = fit(stated, [crystal("PbS")], XrdSetup("CuKa"))
    assert not any("wavelength" in w for w in found.warnings)


def test_slightly_wrong_wavelength_shows_in_all_cells():
    made = [(crystal("PbS"), 60.0, 0.5), (crystal("CsPbBr3_cubic"), 60.0, 0.5)]
    pattern, _ = mixture(made, seed=4, silica=0.0)
    # 2 % too long a wavelength makes every cell 2 % too large
    found = fit(pattern, [c for c, _, _ in made], XrdSetup(1.5419 * 1.02), refine_zero=False)
    assert any("all cells are +2" in w for w in found.warnings)
    strain = found.extra["phases"]["PbS"]["strain"]["a"]
    assert strain.value == pytest.approx(0.02, abs=0.003)
    assert strain.error < 0.003


def test_file_and_user_disagree_on_the_wavelength():
    pattern, _ = mixture([(crystal("PbS"), 60.0, 1.0)], seed=4, silica=0.0)
    stated = as_measurement(
        pattern.data["two_theta"].values, pattern.data.values, wavelength=0.7093
    )
    found = fit(stated, [crystal("PbS")], XrdSetup("CuKa"))
    assert any("the file says 0.7093" in w for w in found.warnings)


def test_particle_models_are_fitted_by_their_debye_pattern():
    rng = np.random.default_rng(5)
    pbs, chloride = ball(crystal("PbS"), 32.0, rng), ball(crystal("CsPbCl3"), 45.0, rng)
    setup = XrdSetup("CuKa", range=(15, 60), points=900, b_iso=1.0)
    y = 0.3 * simulate(pbs, setup).data.values / mass(pbs)
    longer = dataclasses.replace(setup)
    chloride_far = type(chloride)(symbols=chloride.symbols, positions=chloride.positions * 1.004)
    y = y + 0.7 * simulate(chloride_far, longer).data.values / mass(chloride)
    y = rng.poisson(y / y.max() * 20000)
    pattern = as_measurement(setup.two_theta, y)
    found = fit(pattern, {"PbS": pbs, "CsPbCl3": chloride}, setup, silica=False)
    rows = found.extra["phases"]
    assert rows["PbS"]["weight_fraction"].value == pytest.approx(0.3, abs=0.01)
    # the model is stretched in q, so that longer distances come out as positive
    assert rows["CsPbCl3"]["stretch"].value == pytest.approx(0.004, abs=5e-4)
    assert found.reduced < 1.5


def test_texture_is_refined():
    bulk = crystal("PbS")
    setup = XrdSetup("CuKa1", range=(20, 70), points=1200)
    made = PhaseComponent("PbS", bulk, setup, texture=(1, 0, 0), start_size=120.0)
    values = {p.name: p.value for p in made.parameters()} | {"PbS.march": 0.7, "PbS.size": 120.0}
    y = made.curve(setup.two_theta, values)
    y = np.random.default_rng(6).poisson(y / y.max() * 30000 + 200)
    found = fit(
        as_measurement(setup.two_theta, y), [bulk], setup, texture={"PbS": (1, 0, 0)},
        silica=False, shape="sphere", refine_b=False,
    )  # fmt: skip
    assert found["PbS.march"].value == pytest.approx(0.7, abs=0.01)
    assert found["PbS.size"].value == pytest.approx(120.0, rel=0.03)


def test_profile_component_agrees_with_the_debye_equation():
    """A sphere's pattern from reflections and ghost overlap is its Debye pattern within 2.5 %."""
    body = ball(crystal("PbS"), 70.0, np.random.default_rng(7))
    setup = XrdSetup("CuKa1", range=(20, 60), points=800, b_iso=0.5)
    debye = simulate(body, setup).data.values / mass(body)
    component = PhaseComponent("PbS", crystal("PbS"), setup, spread=0.0)
    values = {p.name: p.value for p in component.parameters()}
    values |= {"PbS.size": 70.0, "PbS.microstrain": 0.0}
    assert np.abs(component.curve(setup.two_theta, values) - debye).max() < 0.025 * debye.max()


@pytest.mark.parametrize(("name", "n"), [("PbS", 1), ("CdS_wurtzite", 2), ("CsPbBr3_ortho", 3)])
def test_strains_that_symmetry_allows(name, n):
    basis = strain_basis(crystal(name))
    assert len(basis) == n
    for rotation in crystal(name).point_operations:
        assert np.allclose(rotation @ basis @ rotation.T, basis, atol=1e-9)


def test_slope_of_the_problem_is_that_of_its_residual():
    pattern, _ = mixture([(crystal("PbS"), 50.0, 1.0)], seed=8, silica=0.0)
    setup = XrdSetup("CuKa", range=(14, 61))
    shared = [
        Parameter("zero", 0.0, "deg", low=-0.5, high=0.5),
        Parameter("b_overall", 0.0, low=-1, high=5),
    ]
    problem = Problem(
        recorded(pattern), [PhaseComponent("PbS", crystal("PbS"), setup)], setup, 4, shared
    )
    solution = solve(problem)
    best = np.array([solution.values[problem.names[i]] for i in problem.free])
    for k, step in enumerate([0.01, 0.05, 5e-4, 1.0, 1e-3]):
        moved = best.copy()
        moved[k] += step
        left = problem.factors(problem.columns(problem.values(moved)))[1]
        assert left @ left > solution.chi2 - 0.5


# ---------------------------------------------------------------- bad input


def good() -> tuple[np.ndarray, np.ndarray]:
    x = np.linspace(15, 60, 500)
    y = 100 + 900 * np.exp(-((x - 30.08) ** 2))
    return x, np.round(y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (np.radians(x), y), "radians"),
        (lambda x, y: (x, np.where(np.arange(500) == 7, np.nan, y)), "not a number"),
        (lambda x, y: (x, y - 500), "negative"),
        (lambda x, y: (x[:10], y[:10]), "10 points"),
        (lambda x, y: (x + 150, y), "below 180"),
        (lambda x, y: (x, y * 0), "no positive"),
        (lambda x, y: (x - 20, y), "above 0"),
    ],
)
def test_refused_patterns(change, message):
    with pytest.raises(InputError, match=message):
        recorded(as_measurement(*change(*good())))


def test_descending_and_doubled_angles_are_put_right_and_said():
    x, y = good()
    back = recorded(as_measurement(x[::-1], y[::-1]))
    assert (np.diff(back.two_theta) > 0).all()
    assert any("descending" in note for note in back.notes)
    doubled = recorded(as_measurement(np.repeat(x, 2), np.repeat(y, 2)))
    assert len(doubled.two_theta) == 500
    assert any("averaged" in note for note in doubled.notes)


def test_noise_is_estimated_where_values_are_not_counts():
    x, y = good()
    noisy = np.random.default_rng(0).poisson(y * 4) / 400.0
    found = recorded(as_measurement(x, noisy))
    assert found.noise == "estimated"
    true = np.sqrt(y * 4) / 400.0
    assert np.median(found.sigma / true) == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize(
    ("phases", "options", "message"),
    [
        ([], {}, "no phases"),
        (["PbS", "PbS"], {}, "twice"),
        (["PbS"], {"texture": {"CdS": (1, 0, 0)}}, "not among"),
        (["PbS"], {"range": (80, 90)}, "points lie in"),
    ],
)
def test_refused_fits(phases, options, message):
    with pytest.raises(InputError, match=message):
        fit(as_measurement(*good()), [crystal(p) for p in phases], XrdSetup("CuKa"), **options)


def test_phase_alone_in_flat_noise_is_not_found():
    x = np.linspace(15, 60, 600)
    y = np.random.default_rng(1).poisson(400, 600)
    with pytest.raises(NotFoundError, match="none of"):
        fit(as_measurement(x, y), [crystal("PbS")], XrdSetup("CuKa"))
