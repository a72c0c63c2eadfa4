"""Fits return the truth within their errors, in any unit, or say why they cannot."""

import numpy as np
import pytest
import xarray as xr

from heterodot.errors import InputError
from heterodot.measurement import Measurement
from heterodot.probes.ta import (
    bootstrap,
    find_onset,
    fit,
    identify,
    noise,
    prepare,
    profile,
    read_scheme,
    simulate,
    singular_values,
)

TIME = np.r_[np.arange(-1.0, 2.0, 0.05), np.geomspace(2.0, 3000.0, 60)]
NM = np.linspace(420.0, 560.0, 24)
TRANSFER = "CsPbBr3* -> CsPbBr3+ CdS- : k_et\nCsPbBr3+ CdS- -> GS : k_cr"


def band(center, width):
    return np.exp(-0.5 * ((NM - center) / width) ** 2)


# overlapping bleach and induced absorption, as in CsPbBr3/CdS (Qiu 2023)
SPECTRA = 1e-3 * np.stack(
    [
        -8 * band(510, 8) + 2.5 * band(455, 25),
        -4 * band(512, 8) - 4 * band(440, 9) + 1.5 * band(470, 30),
    ]
)
TRUE = {"k_et": 1 / 8.9, "k_cr": 1 / 1200.0}


def measured(seed=0, spectra=SPECTRA, noise=1e-4, text=TRANSFER, rates=TRUE, **kw):
    return simulate(
        read_scheme(text),
        spectra,
        TIME,
        NM,
        rates=rates,
        fwhm=kw.pop("fwhm", 0.12),
        time_zero=0.1,
        chirp=(0.3, -0.05),
        noise=noise,
        seed=seed,
        **kw,
    )


def rescaled(m, factor):
    data = m.data * factor
    data.attrs = m.data.attrs
    return Measurement(data, m.kind)


def test_transfer_time_of_qiu_comes_back():
    """8.9 ps with bleach under induced absorption: bleach and absorption share the kinetics."""
    found = fit(measured(1), read_scheme(TRANSFER))
    tau = found["tau(k_et)"]
    assert found.converged
    assert abs(tau.value - 8.9) < 3 * tau.error
    assert tau.error < 0.2
    z = (found.extra["spectra"] - SPECTRA) / found.extra["spectra_error"]
    assert abs(z.mean()) < 0.6
    assert 0.7 < z.std() < 1.4
    # which of the two rates is which cannot be told from kinetics alone, and it is said
    assert any("exchanged" in w for w in found.warnings)


@pytest.mark.parametrize(("rise", "fwhm"), [(0.52, 0.12), (0.55, 0.15)])
def test_sub_picosecond_rise_within_the_response(rise, fwhm):
    """0.52 and 0.55 ps (Yang 2024) at 120 and 150 fs."""
    text = "A -> B : k_et\nB -> GS : k_cr"
    rates = {"k_et": 1 / rise, "k_cr": 1 / 500.0}
    found = fit(measured(2, text=text, rates=rates, fwhm=fwhm), read_scheme(text))
    tau = found["tau(k_et)"]
    assert abs(tau.value - rise) < 3 * tau.error
    assert abs(found["irf_fwhm"].value - fwhm) < 3 * found["irf_fwhm"].error


@pytest.mark.parametrize("factor", [1e-9, 1e-3, 1e6])
def test_result_does_not_depend_on_the_unit(factor):
    m = measured(3)
    plain = fit(m, 2)
    other = fit(rescaled(m, factor), 2)
    for name in ("tau_1", "tau_2", "irf_fwhm", "chirp_1"):
        assert other[name].value == pytest.approx(plain[name].value, rel=1e-5)
        assert other[name].error == pytest.approx(plain[name].error, rel=1e-4)


def test_coverage_of_the_intervals():
    """Over 200 realizations the 95 % interval holds the truth in 92 to 98 % of all cases."""
    time = np.r_[np.arange(-0.6, 1.0, 0.06), np.geomspace(1.0, 300.0, 26)]
    nm = np.linspace(440, 560, 8)
    scheme = read_scheme("A -> B : k_et\nB -> GS : k_cr")
    spectra = np.stack([np.cos(nm / 30), np.sin(nm / 25) + 0.5])
    truth = {"k_et": 0.35, "k_cr": 0.02}
    inside = []
    for seed in range(200):
        m = simulate(
            scheme, spectra, time, nm, rates=truth, fwhm=0.2, chirp=(0.1,), noise=0.05, seed=seed
        )
        found = fit(
            m,
            scheme,
            sigma=0.05,
            artefact=0,
            chirp=1,
            fwhm=0.2,
            time_zero=0.0,
            start={"k_et": 0.3, "k_cr": 0.03},
        )
        inside.append(
            [abs(found[n].value - v) < 1.96 * found[n].error for n, v in truth.items()]
            + [abs(found["irf_fwhm"].value - 0.2) < 1.96 * found["irf_fwhm"].error]
        )
    share = np.mean(inside)
    assert 0.92 <= share <= 0.98


def test_chirp_is_found_without_help():
    m = prepare(measured(4))
    x = (NM - 490.0) / 100.0
    zero = 0.1 + 0.3 * x - 0.05 * x**2
    assert np.abs(find_onset(m).at(NM) - zero).max() < 0.06


def test_coherent_artefact_is_taken_by_its_own_columns():
    m = measured(5, artefact=4e-3)
    found = fit(m, 2)
    assert found.extra["datasets"][""]["artefact"].shape[0] == 3
    assert abs(found["tau_1"].value - 8.9) < 3 * found["tau_1"].error
    without = fit(m, 2, artefact=0)
    assert without.cost > 1.2 * found.cost


def test_two_pumps_share_species():
    """Only shared spectra tell the fraction that the second pump excites in the other domain."""
    text = "A -> B : k_1\nB -> GS : k_2\nstart [blue]: A = 1\nstart [red]: A = x_A, B = 1"
    rates = {"k_1": 0.1, "k_2": 0.004, "x_A": 0.3}
    sets = {n: measured(6, text=text, rates=rates, dataset=n) for n in ("blue", "red")}
    found = fit(sets, read_scheme(text))
    for name, value in rates.items():
        assert abs(found[name].value - value) < 3.5 * found[name].error, name
    assert found["k_1"].error < 0.002


FOUR = "A -> B : k_1\nB -> A : k_2\nA -> GS : k_3\nB -> GS : k_4"


def test_four_rates_with_two_eigenvalues_are_refused():
    with pytest.raises(InputError, match="4 free rates, 2 determined"):
        fit(measured(7), read_scheme(FOUR))


def test_family_of_equal_fits_is_equal():
    m = measured(7)
    found = fit(m, read_scheme(FOUR), family=True)
    family = found.extra["family"]
    assert len(family) >= 2
    scheme = read_scheme(FOUR)
    eigen = [np.sort(scheme.modes("", row)[0]) for row in family]
    assert np.allclose(eigen, eigen[0], rtol=1e-3)
    assert any("held" in w for w in found.warnings)
    free = fit(m, read_scheme(TRANSFER))
    assert found.cost == pytest.approx(free.cost, rel=1e-5)


def test_spectral_zero_makes_a_branch_determined():
    """Where A has no signal, B's share is seen: k_1 and k_3 come apart."""
    text = "A -> B : k_1\nA -> GS : k_3\nB -> GS : k_4"
    spectra = SPECTRA.copy()
    spectra[0, NM < 450] = 0.0
    rates = {"k_1": 0.08, "k_3": 0.04, "k_4": 0.001}
    with pytest.raises(InputError, match="cannot tell"):
        fit(measured(8, spectra, text=text, rates=rates), read_scheme(text))
    # a zero alone does not set the size of B, so the branching stays open: known and stated
    with pytest.raises(InputError, match="cannot tell"):
        fit(measured(8, spectra, text=text, rates=rates), read_scheme(text + "\nzero: A 400-450"))
    fixed = text.replace("k_3", "k_3 = 0.04 /ps fixed")
    found = fit(measured(8, spectra, text=text, rates=rates), read_scheme(fixed))
    assert abs(found["k_1"].value - 0.08) < 3 * found["k_1"].error


def test_profile_and_bootstrap_agree_with_covariance():
    found = fit(measured(9), 2, artefact=0)
    profiled = profile(found, ["k_1"])
    low, high = profiled["k_1"].interval
    assert (high - low) / 2 == pytest.approx(1.96 * found["k_1"].error, rel=0.1)
    drawn = bootstrap(found, draws=40, seed=3)
    assert drawn["k_1"].error == pytest.approx(found["k_1"].error, rel=0.4)
    assert np.array_equal(
        bootstrap(found, draws=12, seed=3).extra["bootstrap"],
        bootstrap(found, draws=12, seed=3).extra["bootstrap"],
    )


def test_noise_from_scans_weights_the_fit():
    rng = np.random.default_rng(10)
    truth = measured(0, noise=0.0)
    sigma = np.geomspace(5e-5, 1e-3, NM.size)
    cube = truth.data.values[None] + sigma * rng.standard_normal((6, TIME.size, NM.size))
    data = xr.DataArray(
        cube,
        dims=("scan", "time", "wavelength"),
        coords={k: truth.data[k] for k in ("time", "wavelength")}
        | {"scan": ("scan", np.arange(6), {"units": ""})},
        attrs={"units": ""},
    )
    found = fit(Measurement(data, "ta"), 2, artefact=0)
    assert found.statistic == "chi2"
    assert found.reduced == pytest.approx(1.0, abs=0.1)
    assert abs(found["tau_1"].value - 8.9) < 3.5 * found["tau_1"].error


def test_noise_estimate():
    assert np.allclose(noise(measured(11).data.values), 1e-4, rtol=0.25)


def test_singular_values_count_species():
    found = singular_values(measured(12), after=1.0)
    assert found.significant == 2


def test_one_component_too_many_is_said():
    found = fit(measured(13), 4, artefact=0)
    assert found.warnings


def test_long_lived_component_is_a_lower_limit():
    rates = {"k_et": 0.1, "k_cr": 1e-7}
    found = fit(measured(14, rates=rates), 2)
    assert any("longer than the last delay" in w for w in found.warnings)


def test_spikes_and_gaps_are_left_out():
    m = measured(15)
    values = m.data.values.copy()
    values[80, 5] = 0.05
    values[:, 7] = np.nan
    values[90, :] = np.nan
    bad = Measurement(m.data.copy(data=values), "ta")
    found = fit(bad, 2)
    notes = " ".join(found.extra["notes"])
    assert "empty wavelengths" in notes
    assert "empty delays" in notes
    assert "spikes" in notes
    assert abs(found["tau_1"].value - 8.9) < 3.5 * found["tau_1"].error


def changed(m, time=None, values=None, unit="ps"):
    t = m.data.time.values if time is None else time
    return Measurement(
        xr.DataArray(
            m.data.values if values is None else values,
            dims=("time", "wavelength"),
            coords={
                "time": ("time", t, {"units": unit}),
                "wavelength": ("wavelength", NM, {"units": "nm"}),
            },
            attrs={"units": ""},
        ),
        "ta",
    )


def test_bad_data_are_refused():
    m = measured(16)
    shuffled = TIME.copy()
    shuffled[[3, 4]] = shuffled[[4, 3]]
    with pytest.raises(InputError, match="not sorted"):
        fit(changed(m, shuffled), 2)
    twice = TIME.copy()
    twice[4] = twice[3]
    with pytest.raises(InputError, match="comes twice"):
        fit(changed(m, twice), 2)
    with pytest.raises(InputError, match="0 delays"):
        fit(changed(m, values=np.full(m.data.shape, np.nan)), 2)
    with pytest.raises(InputError, match="no delay before time zero"):
        fit(changed(m, TIME + 2.0), 2)
    with pytest.raises(InputError, match="seems wrong"):
        fit(changed(m, TIME * 1e3, unit="s"), 2)
    with pytest.raises(InputError, match="no time"):
        fit(changed(m, unit="nm"), 2)
    with pytest.raises(InputError, match="the delays in ns"):
        fit(changed(m, unit="ns"), read_scheme(TRANSFER))
    with pytest.raises(InputError, match="no parameter"):
        fit(m, 2, start={"tau": 3.0})
    with pytest.raises(InputError, match="no delay lies before"):
        fit(m, 2, background=-5.0)
    with pytest.raises(InputError, match="data set 'green'"):
        fit(m, read_scheme(TRANSFER + "\nstart [green]: CsPbBr3* = 1"))


def test_microsecond_delays_need_no_response():
    t = np.geomspace(0.01, 50, 60)
    scheme = read_scheme("A -> GS : k_1", time_unit="us")
    m = simulate(scheme, [SPECTRA[0]], t, NM, rates={"k_1": 0.2}, fwhm=0.0, noise=1e-5)
    found = fit(m, 1, fwhm=0)
    assert abs(found["tau_1"].value - 5.0) < 3.5 * found["tau_1"].error
    assert found["tau_1"].unit == "us"


def test_identify_knows_two_rates_of_a_chain():
    found = fit(measured(17), read_scheme(TRANSFER))
    answer = identify(found.extra["problem"])
    assert answer.lost == ()
    assert answer.exchanged == (("k_et", "k_cr"),)
