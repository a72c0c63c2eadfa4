"""`heterodot fit edx` end to end: tables, a standard, a spectrum with its k-factors, maps."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from heterodot.cli.fit_edx import edx
from heterodot.errors import HeterodotError
from heterodot.probes.edx import composition, simulate_spectrum

from .test_composition import LIVAKAS
from .test_reading import LONG, emsa

K = {"Cs": 0.62, "Pb": 1.0, "Br": 0.55, "S": 0.42}
SHELLS = {"Cs": "L", "Pb": "L", "Br": "K", "S": "K"}


def call(*words: str) -> Result:
    return CliRunner().invoke(edx, list(words))


def document(*words: str) -> Any:
    found = call(*words, "--json", "--quiet")
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    made = json.loads(found.stdout)
    assert made["schema"] == "heterodot/fit-edx/1"
    return made


def counts_of(percent: dict[str, float], total: float) -> dict[str, float]:
    mass = composition(percent).mass_percent()
    raw = {e: v.value / K[e] for e, v in mass.items()}
    scale = total / sum(raw.values())
    found = {f"{e} {SHELLS[e]}": scale * v for e, v in raw.items()}
    found["Pb M"] = 1.8 * found["Pb L"]
    return found


def test_table_to_phases(tmp_path: Path) -> None:
    path = tmp_path / "s1.csv"
    path.write_text(LONG, encoding="utf-8")
    figure, table = tmp_path / "f.png", tmp_path / "out.csv"
    made = document(
        str(path), "--phases", "CsPbCl3", "PbS", "--formula", "CsPbCl3", "-o", str(figure),
        "--csv", str(table),
    )  # fmt: skip
    region = made["regions"][0]
    for element, row in LIVAKAS.items():
        assert region["mass_percent"][element]["value"] == pytest.approx(row[1], abs=0.011)
        assert region["mass_percent"][element]["unit"] == "percent"
    assert region["mixture"]["explained"] is False
    assert region["formulas"][0]["formula"] == "CsPbCl3"
    assert any("S K (2.308 keV) and Pb M (2.345 keV) overlap" in w for w in made["warnings"])
    assert any("raises S by" in w for w in made["warnings"])
    assert figure.stat().st_size > 5000
    rows = list(csv.DictReader(table.open(encoding="utf-8")))
    assert float(rows[0]["mass_percent"]) == pytest.approx(5.32, abs=0.011)
    text = call(str(path), "--phases", "CsPbCl3", "PbS").stdout
    assert "explained by the phases: no" in text


def test_regions_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text(
        "domain,Cs (at%),Pb (at%),Br (at%),S (at%)\nperovskite,20,20,60,0\nsulfide,0,50,0,50\n",
        encoding="utf-8",
    )
    made = document(str(path), "--error", "4", "--formula", "CsPbBr3", "PbS")
    assert [r["name"] for r in made["regions"]] == ["perovskite", "sulfide"]
    assert made["regions"][0]["formulas"][0]["charge"]["value"] == pytest.approx(0, abs=1e-9)
    assert any("S of PbS was not found" in w for w in made["warnings"])
    one = document(str(path), "--region", "sulfide")
    assert len(one["regions"]) == 1
    with pytest.raises(HeterodotError, match="no region 'sulphide'") as caught:
        document(str(path), "--region", "sulphide")
    assert "did you mean sulfide" in str(caught.value)


def test_standard_then_spectrum(tmp_path: Path) -> None:
    standard = emsa(
        tmp_path / "std.msa",
        simulate_spectrum(
            counts_of({"Cs": 20, "Pb": 20, "Br": 60}, 2e5), background=4e5, seed=1
        ).data.values,
    )
    factors = tmp_path / "k.csv"
    shells = ("--shells", "Pb:L", "Br:K")
    made = document(
        str(standard), "--elements", "Cs,Pb,Br", *shells, "--standard", "CsPbBr3", "--csv",
        str(factors),
    )  # fmt: skip
    assert made["k_factors"]["Cs"]["value"] == pytest.approx(0.62, rel=0.03)
    assert made["lines_of_k_factors"] == {"Cs": "L", "Pb": "L", "Br": "K"}
    with factors.open("a", encoding="utf-8") as stream:
        stream.write("S,0.42,0.02\n")
    mixed = {"Cs": 10.0, "Pb": 30.0, "Br": 30.0, "S": 20.0}
    sample = emsa(
        tmp_path / "mix.msa",
        simulate_spectrum(counts_of(mixed, 4e4), background=8e4, seed=2).data.values,
    )
    figure = tmp_path / "s.svg"
    found = document(
        str(sample), "--elements", "Cs", "Pb", "Br", "S", *shells, "--k-factors", str(factors),
        "--phases", "CsPbBr3", "PbS", "-o", str(figure),
    )  # fmt: skip
    share = found["regions"][0]["mixture"]["phases"][0]["mole_fraction"]
    assert share["value"] == pytest.approx(1 / 3, abs=4 * share["error"])
    assert share["error"] < 0.05
    assert found["regions"][0]["mixture"]["explained"] is True
    lines = {x["element"] + x["shell"]: x for x in found["spectrum"]["lines"]}
    assert lines["SK"]["inflation"] > 1.5
    assert "energy (keV)" in figure.read_text(encoding="utf-8")
    bare = document(str(sample), "--elements", "Cs", "Pb", "Br", "S")
    assert bare["regions"] == []
    assert any("no k-factors" in w for w in bare["warnings"])


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("site,Pb,S\na,50,50\n", (), "atoms or of mass"),
        ("Element,counts\nPb,50\nS,50\n", (), "holds counts"),
        ("Element,Atomic %\nPb,50\nS,50\n", ("--phases", "PbQ2"), "not an element"),
        ("Element,Atomic %\nPb,50\nS,50\n", ("--formula", "Pb(S"), "not a formula"),
        ("Element,Atomic %\nPb,0\nS,0\n", (), "positive"),
    ],
)
def test_bad_calls(tmp_path: Path, text: str, words: tuple[str, ...], message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(HeterodotError, match=message):
        document(str(path), *words)


def test_sum_far_from_hundred_is_said(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("Element,Atomic %\nPb,40\nS,40\n", encoding="utf-8")
    made = document(str(path))
    assert any("sum to 80.00" in w for w in made["warnings"])


def test_bad_k_factors_and_lines(tmp_path: Path) -> None:
    spectrum = emsa(tmp_path / "a.msa", simulate_spectrum({"Pb L": 4000.0}, seed=1).data.values)
    bad = tmp_path / "k.csv"
    bad.write_text("element,k\nPb,1\nS,none\n", encoding="utf-8")
    for words, message in [
        ((), "no elements are given"),
        (("--elements", "Pb", "--k-factors", str(bad)), "not element, k, error"),
        (("--elements", "Pb", "--shells", "PbL"), "not a line"),
        (("--elements", "Pb", "--shells", "Pb:K"), "not in range"),
    ]:
        with pytest.raises(HeterodotError, match=message):
            document(str(spectrum), *words)
