"""How fast the catalog opens and answers (50 ms is the limit that it was given)."""

from __future__ import annotations

from heterodot.catalog import compile as compiling
from heterodot.catalog import crystal, database, lookup, published
from heterodot.catalog.check import check_catalog


def reopen():
    database._built_in.cache_clear()
    return lookup("CsPbBr3", "band_gap")


def test_open_and_look_up(benchmark):
    """Open the database anew and answer one lookup."""
    reopen()  # compile once, as the first use after an installation does
    assert benchmark(reopen).value.unit == "eV"


def test_look_up(benchmark):
    assert benchmark(lookup, "CsPbBr3", "band_gap").value.unit == "eV"


def test_published(benchmark):
    found = benchmark(published, system="CsPbBr3/CdS", quantity="electron transfer time")
    assert len(found) == 4


def test_crystal(benchmark):
    assert len(benchmark(crystal, "Pb4S3Br2")) == 36


def test_compile_the_text(benchmark):
    """What the first use of a changed text costs."""
    import sqlite3

    def compiled():
        memory = sqlite3.connect(":memory:")
        compiling.fill(memory, database.data_folder())
        return memory.execute("SELECT count(*) FROM published").fetchone()[0]

    assert benchmark(compiled) > 800


def test_check_the_whole_catalog(benchmark):
    _found, count = benchmark.pedantic(check_catalog, rounds=2)
    assert count > 900
