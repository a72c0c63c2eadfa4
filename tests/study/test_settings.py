"""A study file that is wrong is refused with the key, what is allowed, and the nearest spelling."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from heterodot.errors import InputError
from heterodot.study.settings import check_settings, json_schema, read_settings

BASE: dict[str, Any] = {"crystals": {"a": "CsPbCl3", "b": "PbS"}}


def test_defaults_and_units() -> None:
    settings = check_settings(
        {
            **BASE,
            "epitaxy": {"max_area": "4 nm^2", "max_strain": "2.5 %"},
            "energy": {"fmax": "1 eV/nm"},
            "probes": {"xrd": {"two_theta": ["0.2 rad", 60]}},
        }
    )
    assert settings.epitaxy.max_area == pytest.approx(400)
    assert settings.epitaxy.max_strain == pytest.approx(0.025)
    assert settings.energy.fmax == pytest.approx(0.1)
    assert settings.probes.xrd is not None
    assert settings.probes.xrd.two_theta[0] == pytest.approx(11.4592, abs=1e-4)
    assert settings.particle.size_a == "3.4 nm"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"particle": {"sise_a": 3}}, r"particle\.sise_a: .*did you mean 'size_a'.*shape_b"),
        ({"particel": {}}, r"particel: .*did you mean 'particle'"),
        ({"probes": {"xrd": {"wavelenght": 1}}}, r"probes\.xrd\.wavelenght.*'wavelength'"),
        ({"particle": {"size_a": "-3 nm"}}, r"particle\.size_a: .*positive"),
        ({"particle": {"size_b": "3 kg"}}, r"particle\.size_b: .*'3.4 nm' or '5 cells'"),
        ({"particle": {"size_b": True}}, r"particle\.size_b"),
        ({"epitaxy": {"max_index": "two"}}, r"epitaxy\.max_index: 'two'"),
        ({"epitaxy": {"max_index": 0}}, r"epitaxy\.max_index: 0.*greater than or equal to 1"),
        ({"epitaxy": {"max_area": "400 nm"}}, r"epitaxy\.max_area: .*angstrom\^2"),
        ({"epitaxy": {"max_strain": 3}}, r"epitaxy\.max_strain: 3.*less than or equal to 0.2"),
        ({"particle": {"match": {"plane_a": [1, 0]}}}, r"particle\.match\.plane_a\.2: is missing"),
        (
            {"particle": {"match": {"plane_a": [1, 0, 0], "plane_c": [1, 0, 0]}}},
            r"particle\.match\.plane_c.*'plane_b'",
        ),
        ({"probes": {"xrd": {"structure": "melted"}}}, r"probes\.xrd\.structure.*'relaxed' or"),
        ({"compare": [{"published": "x", "computd": "y"}]}, r"compare\.0\.computd.*'computed'"),
        ({"crystals": {"a": "PbS"}}, r"crystals\.b: is missing"),
    ],
)
def test_faults(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        check_settings({**BASE, **change}, file="s.toml")
    assert str(caught.value).startswith("s.toml: ")


def test_toml_faults_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text("[crystals]\nb = 1 2\n")
    with pytest.raises(InputError, match=r"s.toml: is not TOML .*line 2"):
        read_settings(path)


def test_published_schema_is_that_of_the_model() -> None:
    kept = Path(__file__).parents[2] / "docs" / "heterodot-study.schema.json"
    assert json.loads(kept.read_text(encoding="utf-8")) == json_schema()


def test_schema_describes_every_key() -> None:
    schema = json_schema()
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) >= {"crystals", "epitaxy", "particle", "energy", "electronic"}
    assert schema["required"] == ["crystals"]
    epitaxy = schema["$defs"]["Epitaxy"]["properties"]
    assert all("description" in entry for entry in epitaxy.values())
