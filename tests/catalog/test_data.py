"""Every record of the built-in text obeys the schema."""

from __future__ import annotations

import json
import math
from collections import Counter

import pytest

from heterodot.catalog import compile as compiling
from heterodot.catalog import database, find_phases, lookup, phase_names
from heterodot.catalog.schema import read_records
from heterodot.units import convert

FILES = compiling.text_files(database.data_folder())
QUANTITIES = dict(database.rows("SELECT name, unit FROM quantity"))
PROPERTIES = database.records("SELECT record FROM property")


@pytest.mark.parametrize(
    "path",
    [p for p in FILES if p.parent.name in ("phases", "properties", "curves", "literature")],
    ids=lambda p: f"{p.parent.name}/{p.name}",
)
def test_records_pass_the_schema(path):
    if path.name == "comparison.yaml":
        return  # holds comparisons, which are not measured records
    assert read_records(path)


def test_no_id_stands_twice():
    ids = Counter()
    for path in FILES:
        content = compiling.load_yaml(path.read_bytes())
        if path.parent.name in ("phases", "properties", "curves"):
            ids.update(record["id"] for record in content)
    assert [name for name, n in ids.items() if n > 1] == []


@pytest.mark.parametrize("record", PROPERTIES, ids=[r["id"] for r in PROPERTIES])
def test_property_has_number_unit_and_source(record):
    assert isinstance(record["value"], int | float)
    assert math.isfinite(record["value"])
    assert record["source"]["citation"].strip()
    doi = record["source"].get("doi", "")
    assert doi == "" or doi.startswith("10.")
    wanted = QUANTITIES.get(record["quantity"])
    if wanted is not None:
        convert(float(record["value"]), record["unit"] or "1", wanted or "1")


def test_at_most_one_default_per_phase_and_quantity():
    seen = Counter((r["phase"], r["quantity"]) for r in PROPERTIES if r.get("default"))
    assert [key for key, n in seen.items() if n > 1] == []


def test_a_default_says_why():
    assert [r["id"] for r in PROPERTIES if r.get("default") and not r.get("reason")] == []


def test_a_value_with_several_sources_has_a_default():
    groups: dict[tuple[str, str], list[bool]] = {}
    for record in PROPERTIES:
        key = (record["phase"], record["quantity"])
        groups.setdefault(key, []).append(bool(record.get("default")))
    assert [key for key, marks in groups.items() if len(marks) > 1 and not any(marks)] == []


def test_the_phases_of_the_five_documents_are_there():
    wanted = {
        "CsPbCl3_cubic", "CsPbCl3_ortho", "CsPbBr3_cubic", "CsPbBr3_ortho", "CsPbI3_alpha",
        "CsPbI3_gamma", "CsPbI3_delta", "PbS", "Pb4S3Br2", "Pb4S3Cl2", "Pb3S2Cl2",
        "CdS_zincblende", "CdS_wurtzite", "ZnS_zincblende", "Cu2-xS_digenite",
        "Cu2S_antifluorite", "Cs4PbBr6", "CsPb2Br5", "PbBr2", "PbCl2", "Pb_metal", "PMA2PbBr4",
    }  # fmt: skip
    assert wanted <= set(phase_names())


@pytest.mark.parametrize("phase", find_phases(), ids=lambda p: p.id)
def test_phase_without_sites_says_so(phase):
    assert phase.source.citation
    if not phase.sites:
        assert "sourced" in phase.note
    if not phase.cell:
        assert "cell" in phase.note


def test_literature_holds_all_entries_of_the_documents():
    counts = Counter(database.rows("SELECT document, kind FROM published"))
    totals = Counter()
    for (_, kind), n in counts.items():
        totals[kind] += n
    assert totals["results"] == 577
    assert totals["recipes"] == 46
    assert totals["equations"] == 43
    assert totals["claims"] == 76
    assert totals["systems"] == 55
    assert totals["inconsistencies"] == 89


def test_gap_and_levels_are_consistent_where_a_method_gives_both():
    for phase in ("PbS", "PMA2PbBr4"):
        gap = lookup(phase, "band_gap").value.value
        levels = (
            lookup(phase, "ionization_energy").value.value
            - lookup(phase, "electron_affinity").value.value
        )
        assert levels == pytest.approx(gap, abs=0.02)


def test_the_text_of_a_record_is_kept_whole():
    for text in database.rows("SELECT record FROM published LIMIT 50"):
        assert isinstance(json.loads(text[0]), dict)
