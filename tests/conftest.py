"""Fixtures of the whole suite: crystals named by what they are."""

from __future__ import annotations

import hypothesis
import pytest

from heterodot.crystal import Crystal


@pytest.fixture(scope="session")
def pbs() -> Crystal:
    """Rock-salt PbS, a = 5.936 Å (Fm-3m, number 225)."""
    sites = {"Pb": (0, 0, 0), "S": (0.5, 0.5, 0.5)}
    return Crystal.from_sites("PbS", "F m -3 m", (5.936,), sites)


@pytest.fixture(scope="session")
def cspbcl3() -> Crystal:
    """Cubic CsPbCl3, a = 5.605 Å (Pm-3m, number 221)."""
    sites = {"Cs": (0, 0, 0), "Pb": (0.5, 0.5, 0.5), "Cl": (0.5, 0.5, 0)}
    return Crystal.from_sites("CsPbCl3_cubic", "P m -3 m", (5.605,), sites)


@pytest.fixture(scope="session")
def cspbbr3() -> Crystal:
    """Cubic CsPbBr3, a = 5.874 Å (Pm-3m, number 221)."""
    sites = {"Cs": (0, 0, 0), "Pb": (0.5, 0.5, 0.5), "Br": (0.5, 0.5, 0)}
    return Crystal.from_sites("CsPbBr3_cubic", "P m -3 m", (5.874,), sites)


@pytest.fixture(scope="session")
def cds() -> Crystal:
    """Zinc-blende CdS, a = 5.832 Å (F-43m, number 216)."""
    sites = {"Cd": (0, 0, 0), "S": (0.25, 0.25, 0.25)}
    return Crystal.from_sites("CdS_zincblende", "F -4 3 m", (5.832,), sites)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-slow", action="store_true", help="also run tests marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--run-slow"):
        return
    skip = pytest.mark.skip(reason="slow; run with --run-slow (make test-all does)")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


# a loaded machine must not fail a property test by the clock
hypothesis.settings.register_profile("heterodot", deadline=None, derandomize=True)
hypothesis.settings.load_profile("heterodot")
