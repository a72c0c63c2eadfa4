"""Speed of building particles, checks included; the slope over size is in the names."""

from __future__ import annotations

import pytest

from heterodot.catalog import crystal
from heterodot.epitaxy import search
from heterodot.particle import Particle, build, report
from heterodot.particle.exchange import exchange


@pytest.fixture(scope="module")
def cubes():
    found = search(crystal("CsPbBr3"), crystal("PbS"), max_index=1)
    return found.find((1, 0, 0), (1, 0, 0))


@pytest.mark.parametrize("edge", [3.2, 7.0, 15.0])
def test_neutral_cube_with_checks(benchmark, edge) -> None:
    """About 1,000, 10,000 and 90,000 atoms."""
    found = benchmark.pedantic(
        lambda: report(build("CsPbBr3", "cube", f"{edge} nm")), rounds=3, warmup_rounds=1
    )
    benchmark.extra_info["atoms"] = found["atoms"]
    assert found["passed"]


@pytest.mark.parametrize(("edge", "cap"), [(3.2, 2.4), (7.0, 5.0), (18.6, 13.0)])
def test_cube_with_cap_and_checks(benchmark, cubes, edge, cap) -> None:
    """About 1,000, 10,000 and 190,000 atoms; the last one is the 20 nm particle."""
    found = benchmark.pedantic(
        lambda: report(
            build("CsPbBr3", "cube", f"{edge} nm", "PbS", "hemisphere", f"{cap} nm", cubes)
        ),
        rounds=1 if edge > 10 else 3,
        warmup_rounds=1 if edge < 10 else 0,
    )
    benchmark.extra_info["atoms"] = found["atoms"]
    assert found["passed"]


@pytest.fixture(scope="module")
def stepped():
    found = search(crystal("CsPbCl3"), crystal("PbS"), max_index=2)
    return found.find((2, 1, 0), (2, 2, 1))


@pytest.mark.parametrize(("edge", "other"), [(3.4, 2.8), (7.0, 6.0), (20.0, 16.0)])
def test_stepped_dimer_with_checks(benchmark, stepped, edge, other) -> None:
    """About 1,000, 8,500 and 190,000 atoms, registry included."""
    found = benchmark.pedantic(
        lambda: report(
            build(
                "CsPbCl3",
                "cube",
                f"{edge} nm",
                "PbS",
                "cuboctahedron",
                f"{other} nm",
                stepped,
                overhang=True,
            )
        ),
        rounds=1 if edge > 10 else 3,
        warmup_rounds=1 if edge < 10 else 0,
    )
    benchmark.extra_info["atoms"] = found["atoms"]
    assert found["passed"]


def test_registry_of_a_stepped_interface(benchmark, stepped) -> None:
    from heterodot.particle.placement import place
    from heterodot.particle.registry import refine

    how = place(stepped)
    benchmark(lambda: refine(stepped, how))


def test_sulfide_sphere_of_ten_thousand_atoms(benchmark) -> None:
    particle = benchmark.pedantic(
        lambda: build("PbS", "sphere", "7.8 nm", passivator="Cl"), rounds=3, warmup_rounds=1
    )
    benchmark.extra_info["atoms"] = len(particle)
    assert particle.net_charge == 0.0


def test_halide_exchange(benchmark) -> None:
    cube = build("CsPbBr3", "cube", "7 nm")
    changed = benchmark.pedantic(
        lambda: exchange(cube, 0, "Br=Cl", fraction=0.5), rounds=3, warmup_rounds=1
    )
    assert changed.net_charge == 0.0


def test_write_and_read(benchmark, tmp_path) -> None:
    cube = build("CsPbBr3", "cube", "7 nm")

    def both() -> Particle:
        return Particle.read(cube.write(tmp_path / "a.xyz"))

    assert benchmark.pedantic(both, rounds=3, warmup_rounds=1).same_as(cube)
