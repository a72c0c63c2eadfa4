"""Published results, found by system, quantity and document."""

from __future__ import annotations

import pytest

from heterodot.catalog import documents, published
from heterodot.errors import InputError, NotFoundError

PAIRS = [
    "CsPbBr3/PbS", "CsPbCl3/PbS", "CsPbI3/PbS", "CsPbBr3/CdS", "CsPbBr3/ZnS",
    "CsPbBr3/Pb4S3Br2", "CsPbCl3/Pb4S3Br2", "CsPbI3/Pb4S3Br2", "CsPbCl3/Cu2-xS",
    "CsPbBr3/PMA2PbBr4", "CsPbCl3/Pb4S3Cl2", "CsPbCl3/Cu2S", "CsPbCl3/CdS",
]  # fmt: skip


@pytest.mark.parametrize("pair", PAIRS)
def test_each_documents_system_is_there(pair):
    assert published(system=pair, kind="systems")


def test_electron_transfer_times_of_qiu():
    found = published(system="CsPbBr3/CdS", quantity="electron transfer time")
    assert [str(x.value) for x in found] == ["8.9(14) ps", "8.9(8) ps", "9 ps", "801 fs"]
    assert found[2].bound == "about"
    assert found[0].source.doi == "10.1002/advs.202206560"
    assert found[0].to_json()["values"][0]["unit"] == "ps"


def test_order_and_separator_of_the_pair_do_not_matter():
    first = published(system="CdS-CsPbBr3", quantity="mismatch")
    assert [x.id for x in first] == [
        x.id for x in published(system="CsPbBr3/CdS", quantity="misfit")
    ]


def test_a_phase_alone_is_not_the_heterostructure():
    for entry in published(system="PbS"):
        assert "PbS" in entry.systems


def test_words_of_the_sample():
    assert {x.system for x in published(system="large janus")} == {
        "large Janus NCs (200 C)",
        "device, large Janus NCs (200 C)",
    }


def test_several_values_have_their_units():
    lengths = published(document="Yang", quantity="diffusion lengths")
    assert [[v.value for v in x.values] for x in lengths] == [[181, 127], [49, 30]]
    assert lengths[0].value is None
    assert lengths[0].values[0].to("um").value == pytest.approx(0.181)
    storage = next(x for x in published(document="Qiu", quantity="storage"))
    assert [v.unit for v in storage.values] == ["degC", "percent", "day", "percent"]


def test_all_kinds_of_all_documents():
    assert set(documents()) == {
        "Imran2021", "Jagadeeswararao2021", "Livakas2024", "Qiu2023", "Yang2024", "comparison",
    }  # fmt: skip
    for kind in ("recipes", "equations", "claims", "inconsistencies", "comparisons"):
        assert published(kind=kind)
    assert len(published()) == 577


def test_nothing_found_says_what_there_is():
    with pytest.raises(NotFoundError, match="there are some of"):
        published(system="CsPbBr3/ZnTe")
    with pytest.raises(NotFoundError, match="electron-transfer time"):
        published(system="CsPbBr3/CdS", quantity="electron transfer tim3 x")
    with pytest.raises(InputError, match="Imran2021"):
        published(document="Smith")
    with pytest.raises(InputError, match="not a kind"):
        published(kind="figures")
