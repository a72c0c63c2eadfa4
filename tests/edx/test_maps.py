"""Maps simulated from a particle whose composition is known, by counting its atoms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from heterodot.catalog import crystal
from heterodot.errors import InputError, NotFoundError
from heterodot.measurement import Measurement
from heterodot.particle import Particle
from heterodot.probes.edx import element_maps, find_domains, masses, mixture, simulate_maps, summed
from heterodot.probes.edx.lines import shape
from heterodot.probes.em.preview import EmSetup
from heterodot.report.figures_edx import domains_figure
from tests.xrd.test_lattice import joined

K = {"Pb": 1.0, "Cs": 0.62, "Br": 0.55, "S": 0.42}
SETUP = EmSetup(zone=(1, 0, 0), pixel=1.5, blur=3.0, margin=10.0)
SHELLS = {"Pb": "L", "Cs": "L", "Br": "K", "S": "K"}


@pytest.fixture(scope="module")
def dimer() -> Particle:
    return joined(crystal("CsPbBr3_cubic"), crystal("PbS"), 25.0)


def true_percent(particle: Particle, domain: int) -> dict[str, float]:
    own = np.array(particle.symbols)[particle.domain == domain]
    return {e: 100 * float(np.mean(own == e)) for e in ("Pb", "Cs", "Br", "S")}


def seen_percent(particle: Particle, mask: np.ndarray) -> dict[str, float]:
    """Atomic percent under a mask, from expected counts without noise."""
    clean = simulate_maps(particle, SETUP, counts_per_mass=0.02, k_factors=K).data
    atoms = {e: float(clean.sel(element=e).values[mask].sum()) * K[e] / masses([e])[0] for e in K}
    return {e: 100 * n / sum(atoms.values()) for e, n in atoms.items()}


def spectrum_image(particle: Particle, seed: int) -> Measurement:
    clean = simulate_maps(particle, SETUP, counts_per_mass=0.02, k_factors=K)
    edges = np.arange(1201) * 0.0125
    columns = np.stack([
        shape(e, SHELLS[e], edges) + (1.8 * shape("Pb", "M", edges) if e == "Pb" else 0)
        for e in clean.data.element.values
    ])  # fmt: skip
    expected = np.einsum("kyx,ke->yxe", clean.data.values, columns) + 0.003
    counts = np.random.default_rng(seed).poisson(expected).astype(float)
    data = xr.DataArray(
        counts, dims=("y", "x", "energy"), name="counts", attrs={"units": "counts"},
        coords={"y": clean.data.y, "x": clean.data.x,
                "energy": ("energy", (edges[1:] + edges[:-1]) / 2, {"units": "keV"})},
    )  # fmt: skip
    return Measurement(data, "edx", "simulated")


def test_maps_hold_every_atom_by_its_mass(dimer: Particle) -> None:
    maps = simulate_maps(dimer, SETUP, counts_per_mass=0.02, k_factors=K)
    for element in ("Pb", "Cs", "Br", "S"):
        number = dimer.symbols.count(element)
        expected = 0.02 * number * masses([element])[0] / K[element]
        assert float(maps.data.sel(element=element).sum()) == pytest.approx(expected, rel=1e-3)
    noisy = simulate_maps(dimer, SETUP, counts_per_mass=0.02, k_factors=K, seed=1)
    assert np.allclose(noisy.data.values, np.rint(noisy.data.values))
    assert float(noisy.data.sum()) == pytest.approx(float(maps.data.sum()), rel=0.05)


def test_domains_of_maps_have_the_particles_composition(dimer: Particle) -> None:
    pulls = []
    for seed in range(6):
        maps = simulate_maps(dimer, SETUP, counts_per_mass=0.02, k_factors=K, seed=seed)
        found = find_domains(maps, 2, k_factors=K)
        assert found.warnings == ()
        for d in found.domains:
            assert d.composition is not None
            percent = d.composition.atomic_percent()
            which = 1 if percent["S"].value > 20 else 0
            truth = seen_percent(dimer, found.pure & (found.labels == d.number))
            whole = true_percent(dimer, which)
            for element, value in percent.items():
                # counts that a Poisson draw has none of carry the error of one
                assert value.value == pytest.approx(
                    truth[element], abs=4 * (value.error or 0) + 0.1
                )
                # the rim is not summed, so the outermost layers weigh more
                assert value.value == pytest.approx(whole[element], abs=5.0)
            if which == 1:
                pulls.append((percent["S"].value - truth["S"]) / (percent["S"].error or 1))
        sulfide = [d for d in found.domains if d.composition and d.counts["S"].value > 50]
        assert len(sulfide) == 1
        # 5 nm long and 2.2 nm wide by construction
        assert sulfide[0].area == pytest.approx(5.0 * 2.3, rel=0.15)
    assert abs(np.mean(pulls)) < 2


def test_spectrum_image_parts_sulfur_from_lead(dimer: Particle) -> None:
    cube = spectrum_image(dimer, 3)
    maps, whole = element_maps(cube, ["Cs", "Pb", "Br", "S"], SHELLS)
    # net maps add up to the fit of the sum
    for line in whole.chosen(SHELLS)[0]:
        total = float(maps.data.sel(element=line.element).sum())
        assert total == pytest.approx(line.counts.value, abs=0.5 * (line.counts.error or 0))
    found = find_domains(maps, 2, k_factors=K, cube=cube, shells=SHELLS)
    for d in found.domains:
        assert d.composition is not None
        assert d.fit is not None
        percent = d.composition.atomic_percent()
        truth = seen_percent(dimer, found.pure & (found.labels == d.number))
        for element, value in percent.items():
            assert value.value == pytest.approx(truth[element], abs=4 * (value.error or 0) + 0.1)
    perovskite = next(d for d in found.domains if d.counts["Cs"].value > 300)
    assert perovskite.composition is not None
    # windows would have counted lead's M line as sulfur here
    assert perovskite.counts["S"].value < 4 * (perovskite.counts["S"].error or 0)
    sulfide = next(d for d in found.domains if d is not perovskite)
    assert sulfide.composition is not None
    shares = mixture(sulfide.composition, ["CsPbBr3", "PbS"]).shares
    assert shares[1].mole.value > 0.99


def test_one_composition_is_not_two(dimer: Particle) -> None:
    only = np.asarray(dimer.domain == 1)
    part = Particle(
        tuple(np.array(dimer.symbols)[only]), dimer.positions[only], dimer.domain[only] * 0,
        dimer.role[only], dimer.charge[only], dimer.domains[1:],
    )  # fmt: skip
    maps = simulate_maps(part, SETUP, counts_per_mass=0.02, k_factors=K, seed=2)
    try:
        found = find_domains(maps, 2, k_factors=K)
    except NotFoundError:
        return
    assert any("hardly differ" in w or "all rim" in w for w in found.warnings)


def test_figure_and_bad_maps(dimer: Particle, tmp_path: Path) -> None:
    maps = simulate_maps(dimer, SETUP, counts_per_mass=0.02, k_factors=K, seed=2)
    figure = domains_figure(find_domains(maps, 2))
    figure.savefig(tmp_path / "maps.png")
    assert (tmp_path / "maps.png").stat().st_size > 10_000
    assert [t.get_text() for ax in figure.axes for t in ax.texts][-1] == "domains"
    with pytest.raises(InputError, match="no k-factor for S"):
        simulate_maps(dimer, SETUP, counts_per_mass=0.02, k_factors={"Pb": 1, "Cs": 1, "Br": 1})
    negative = Measurement((maps.data - 5).assign_attrs(units="counts"), "edx")
    with pytest.raises(InputError, match="negative counts"):
        find_domains(negative, 2)
    with pytest.raises(InputError, match="not looked for"):
        find_domains(maps, 0)
    empty = Measurement((maps.data * 0).assign_attrs(units="counts"), "edx")
    with pytest.raises(NotFoundError, match="fewer than 200"):
        find_domains(empty, 2)
    with pytest.raises(InputError, match="no spectrum image"):
        element_maps(maps, ["Pb"])
    cube = spectrum_image(dimer, 1)
    mask = np.zeros(cube.data.shape[:2], dtype=bool)
    mask[10:20, 10:20] = True
    part = float(cube.data.values[10:20, 10:20].sum())
    assert float(summed(cube, mask).data.sum()) == pytest.approx(part)
