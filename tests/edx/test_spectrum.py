"""Spectrum fits against counts that were drawn, and lines against measured energies."""

from __future__ import annotations

import numpy as np
import pytest

from heterodot.errors import InputError, NotFoundError
from heterodot.measurement import Measurement
from heterodot.probes.edx import (
    composition,
    family,
    fit_spectrum,
    from_counts,
    inflation,
    k_factors_of,
    simulate_spectrum,
    width,
)
from heterodot.probes.edx.lines import known_elements, shape

TRUE = {"S K": 3000.0, "Pb M": 9000.0, "Pb L": 4000.0, "Cs L": 2500.0, "Cl K": 2500.0,
        "Cu K": 5000.0}  # fmt: skip
ELEMENTS = ["S", "Pb", "Cs", "Cl", "Cu"]


def test_counts_are_unbiased_and_their_errors_those_of_repetition() -> None:
    rows, errors = [], []
    for seed in range(24):
        spectrum = simulate_spectrum(TRUE, background=60000, seed=seed, resolution=1.06)
        found = fit_spectrum(spectrum, ELEMENTS)
        rows.append([line.counts.value for line in found.lines])
        errors.append([line.counts.error for line in found.lines])
    names = [line.name for line in found.lines]
    wanted = np.array([TRUE[n] for n in names])
    mean, spread = np.mean(rows, 0), np.std(rows, 0)
    assert (np.abs(mean - wanted) < 4 * spread / 24**0.5).all()
    assert np.allclose(np.mean(errors, 0), spread, rtol=0.5)
    assert found.resolution.value == pytest.approx(1.06, abs=0.03)
    assert 0.85 < found.reduced_chi2 < 1.15
    worse = {line.name: line.inflation for line in found.lines}
    assert worse["S K"] > 1.8
    assert worse["Cu K"] < 1.1
    assert any("S K" in w and "Pb M" in w and "times that of a free line" in w
               for w in found.warnings)  # fmt: skip


def test_inflation_is_the_scatter_of_repeated_fits() -> None:
    edges = np.arange(0.2, 6.0, 0.01)
    two = np.stack([shape("S", "K", edges), shape("Pb", "M", edges)], 1)
    rng = np.random.default_rng(1)

    def scatter(design: np.ndarray, amounts: np.ndarray) -> float:
        expected = design @ amounts + 1e-9
        root = np.sqrt(expected)
        draws = rng.poisson(expected, size=(600, len(expected)))
        found = np.linalg.lstsq(design / root[:, None], (draws / root).T, rcond=None)[0]
        return float(found[0].std())

    for lead in (4000.0, 20000.0):
        worse = scatter(two, np.array([4000.0, lead])) / scatter(two[:, :1], np.array([4000.0]))
        counts = {"S": 4000.0, "Pb M": lead}
        assert inflation(["S", "Pb M"], counts, {"S": "K"}, "S") == pytest.approx(worse, rel=0.08)


def test_axis_off_by_some_electronvolts_is_found() -> None:
    spectrum = simulate_spectrum(TRUE, background=60000, seed=3)
    moved = spectrum.data.assign_coords(
        energy=("energy", spectrum.data.energy.values * 1.002 + 0.012, {"units": "keV"})
    )
    found = fit_spectrum(Measurement(moved, "edx"), ELEMENTS)
    assert found.offset.value == pytest.approx(0.012, abs=4 * (found.offset.error or 0))
    assert found.gain.value == pytest.approx(1.002, abs=4 * (found.gain.error or 0))


def test_a_missing_element_is_named() -> None:
    spectrum = simulate_spectrum(TRUE, background=60000, seed=3)
    found = fit_spectrum(spectrum, ["S", "Pb", "Cs", "Cl"])
    assert any("8.05 keV" in w and "Cu K" in w for w in found.warnings)
    assert not any("none of the elements" in w for w in fit_spectrum(spectrum, ELEMENTS).warnings)


def test_standard_gives_k_factors_that_give_its_formula_back() -> None:
    wanted = {"Cs": 0.62, "Pb": 1.0, "Br": 0.55}
    mass = composition({"Cs": 20, "Pb": 20, "Br": 60}).mass_percent()
    shells = {"Cs": "L", "Pb": "L", "Br": "K"}
    counts = {f"{e} {shells[e]}": 1500 * v.value / wanted[e] for e, v in mass.items()}
    fit = fit_spectrum(simulate_spectrum(counts, background=3e5, seed=1), list(wanted))
    lines, _ = fit.chosen(shells)
    k = k_factors_of({line.element: line.counts for line in lines}, "CsPbBr3")
    for element, value in k.items():
        error = value.error or 0.0
        assert value.value == pytest.approx(wanted[element], abs=4 * error + 1e-12)
        assert error < 0.01
    back = from_counts({line.element: line.counts for line in lines}, k).ratio_to("Pb")
    assert back["Br"].value == pytest.approx(3.0, abs=1e-9)
    # errors of k and counts add
    assert back["Br"].error == pytest.approx(
        3 * np.sqrt(2 * (k["Br"].error / k["Br"].value) ** 2),
        rel=0.05,  # type: ignore[operator]
    )


def test_lines_lie_where_they_were_measured() -> None:
    # Bearden, Rev. Mod. Phys. 39, 78 (1967): energies of alpha 1 lines, keV
    measured = {("Cs", "L"): 4.2865, ("Pb", "L"): 10.5515, ("Pb", "M"): 2.3455, ("Cu", "K"): 8.0478,
                ("Cl", "K"): 2.6224, ("S", "K"): 2.3078, ("Br", "K"): 11.9242}  # fmt: skip
    for (element, shell), energy in measured.items():
        main = max(family(element, shell)[shell], key=lambda line: line[1])[0]
        assert main == pytest.approx(energy, abs=0.003)
    edges = np.arange(0, 30, 0.01)
    for element in known_elements():
        for shell, lines in family(element).items():
            assert sum(w for _, w in lines) == pytest.approx(1, abs=0.002)
            assert shape(element, shell, edges).sum() == pytest.approx(1, abs=0.01)


def test_one_line_is_a_gaussian_of_the_detectors_width() -> None:
    edges = np.arange(5.5, 6.3, 0.001)
    profile = shape("Mn", "K", edges)
    middle = (edges[1:] + edges[:-1]) / 2
    above = middle[profile > profile.max() / 2]
    assert above[-1] - above[0] == pytest.approx(width(5.895), rel=0.02)


def test_bad_spectra() -> None:
    good = simulate_spectrum(TRUE, seed=1)
    with pytest.raises(InputError, match="negative counts"):
        less = (good.data - 100.0).assign_attrs(units="counts")
        less.coords["energy"].attrs["units"] = "keV"
        fit_spectrum(Measurement(less, "edx"), ELEMENTS)
    with pytest.raises(InputError, match="tabled"):
        fit_spectrum(good, ["Xx"])
    with pytest.raises(InputError, match="no line of C lies"):
        fit_spectrum(good, ["C"])
    with pytest.raises(InputError, match="fewer than 50"):
        fit_spectrum(good, ELEMENTS, limits=(2.0, 2.2))
    with pytest.raises(NotFoundError, match="no counts"):
        fit_spectrum(simulate_spectrum({"S K": 1.0}), ["S"])
    with pytest.raises(InputError, match="no K lines"):
        family("Pb", "K")
    with pytest.raises(InputError, match="no counts of Br"):
        k_factors_of({"Cs": 10, "Pb": 10}, "CsPbBr3")
    with pytest.raises(InputError, match="must be positive"):
        from_counts({"Pb": 5, "S": 5}, {"Pb": 1.0, "S": -1.0})
    assert "not found" in from_counts({"Pb": 50, "S": -5}, {"Pb": 1.0, "S": 1.0}).warnings[0]
