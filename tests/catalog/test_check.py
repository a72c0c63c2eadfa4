"""The checker: finds the documents' slips and planted ones, and is silent on what is right."""

from __future__ import annotations

import pytest

from heterodot.catalog import published
from heterodot.catalog.check import check_catalog, check_file, check_record
from heterodot.errors import InputError


def v(value, unit, **more):
    return {"value": value, "unit": unit, **more}


KNOWN = [
    x for x in published(kind="inconsistencies") if x.record["basis"] in ("arithmetic", "physics")
]


@pytest.mark.parametrize("entry", KNOWN, ids=[x.id for x in KNOWN])
def test_known_slips_of_the_documents_are_found(entry):
    assert check_record(entry.record)


def test_nothing_else_is_reported_in_the_catalog():
    """Beside the known slips only the records that they are about."""
    found, count = check_catalog()
    assert count > 900
    other = {f.record for f in found if ".X" not in f.record}
    assert other == {
        "Imran2021.R001",  # X007
        "Jagadeeswararao2021.M003",  # X008
        "Jagadeeswararao2021.R002",  # X006
        "Qiu2023.M017",  # X009
        "Yang2024.M109",  # X018, as the next two
        "Yang2024.M110",
        "Yang2024.M113",
        "Yang2024.R003",  # X013
    }


# Statements of the five documents that are right (and a few textbook ones).
CONSISTENT = [
    {"name": "PbBr2", "mass": v(70, "mg"), "moles": v(0.19, "mmol")},
    {"name": "Cs2CO3", "mass": v(0.652, "g"), "moles": v(2, "mmol")},
    {"name": "Pb(OAc)2.3H2O", "mass": v(0.76, "g"), "moles": v(2, "mmol")},
    {
        "concentration": v(0.02, "mol/L"),
        "reagents": [
            {"name": "Cs2CO3", "mass": v(100, "mg")},
            {"name": "hexane", "volume": v(30, "mL")},
        ],
    },
    {
        "concentration": v(0.04, "M"),
        "reagents": [
            {"name": "PbBr2", "moles": v(1, "mmol")},
            {"name": "octane", "volume": v(5, "mL")},
            {"name": "hexane", "volume": v(20, "mL")},
        ],
    },
    {"formula": "Cs126Pb337S221Cl358", "total_atoms": 1042, "net_charge": 0},
    {"formula": "Cs200Pb125Br450"},
    {"formula": "Pb548S423Br250", "total_atoms": 1221},
    {"formula": "Pb4S3Br2"},
    {"formula": "Cu1.8S"},
    {"formula": "[PbBr6]4-"},
    {"formula": "Cs2SnI6"},
    {"formula": "Fe3O4"},
    {
        "composition": {
            "atomic": {"S": 21.42, "Cl": 17.18, "Mn": 1.74, "Cs": 11.43, "Pb": 48.23},
            "mass": {"S": 5.32, "Cl": 4.72, "Mn": 0.74, "Cs": 11.77, "Pb": 77.45},
        }
    },
    {"phase": "CsPbBr3", "plane": [0, 0, 2], "two_theta": v(21.68, "deg")},
    {"phase": "CsPbBr3", "plane": [2, 0, 2], "two_theta": v(30.7, "deg"), "spacing": v(2.9, "angstrom")},
    {"phase": "CsPbBr3", "plane": "(200)", "two_theta": v(30.41, "deg")},
    {"phase": "CdS", "plane": [1, 1, 1], "two_theta": v(26, "deg")},
    {"phase": "CdS", "plane": [2, 0, 0], "two_theta": v(31, "deg")},
    {"phase": "Pb", "plane": [1, 1, 1], "two_theta": v(31.3, "deg")},
    {"phase": "PbS", "plane": [2, 0, 0], "spacing": v(2.97, "A")},
    {"energy": v(2.45, "eV"), "wavelength": v(506, "nm")},
    {"energy": v(2.787, "eV"), "wavelength": v(445, "nm")},
    {"electron_beam": {"energy": v(100, "keV"), "wavelength": v(0.037, "angstrom")}},
    {"electron_beam": {"voltage": v(300, "kV"), "wavelength": v(1.97, "pm")}},
    {
        "amplitudes": [0.30, 0.43, 0.25],
        "lifetimes": v([0.83, 2.59, 11.5], "ns"),
        "average": v(4.3, "ns"),
        "weighting": "amplitude",
    },
    {"diffusion": v(0.0356, "cm2/s"), "mobility": v(1.4, "cm2/Vs"), "lifetime": v(9.2, "ns"), "length": v(181, "nm")},
    {"D": v(0.00144, "cm2/s"), "mobility": v(0.056, "cm2/Vs"), "lifetime": v(6.0, "ns"), "length": v(30, "nm")},
    {"fractions": v([3.3, 88.8, 7.9], "percent")},
    {
        "mismatch": {
            "a": {"phase": "CsPbBr3_ortho", "plane": [2, 0, 2]},
            "b": {"phase": "PbS", "plane": [2, 0, 0]},
            "stated": v(2.0, "percent"),
        }
    },
    {"facet": {"plane": [1, 0, 1], "setting": "Pnma", "called": [1, 0, 0]}},
    {"facet": {"plane": [0, 1, 0], "setting": "Pnma", "called": [1, 0, 0]}},
    {"reflection": {"phase": "PbS", "plane": [2, 0, 0]}},
    {"reflection": {"phase": "CsPbBr3_ortho", "plane": [2, 0, 2]}},
    {"zone": {"plane": [-4, -4, 2], "direction": [-1, 1, 0]}},
    {"excitation": {"wavelength": v(365, "nm"), "phase": "CsPbCl3"}},
    {"excitation": {"wavelength": v(450, "nm"), "phase": "CsPbBr3"}},
    {
        "derived": {
            "formula": "1/(1/a - 1/b)",
            "inputs": {"a": v(0.52, "ps"), "b": v(8.08, "ps")},
            "stated": v(0.556, "ps"),
        }
    },
    {
        "derived": {
            "formula": "R*h*c/(e*lam)",
            "inputs": {"R": v(4.8, "A/W"), "h": "constant", "c": "constant", "e": "constant", "lam": v(450, "nm")},
            "stated": v(1322, "percent"),
        }
    },
    {
        "equation": {
            "formula": "R*sqrt(S)/sqrt(2*q*I)",
            "variables": {"R": "A/W", "S": "cm**2", "q": "constant", "I": "A"},
            "unit": "Jones",
        }
    },
    {"law": {"name": "confinement energy of a sphere", "formula": "h^2*(me + mh)/(8*r^2*me*mh)"}},
    {"quantity": "lattice strain", "value": 0.58, "unit": "percent", "source": "x"},
    {"quantity": "band gap", "value": 520, "unit": "nm", "source": "x"},
]  # fmt: skip


@pytest.mark.parametrize("record", CONSISTENT, ids=lambda r: "+".join(r))
def test_no_false_alarm(record):
    assert [str(f) for f in check_record({"id": "right", **record})] == []


# Slips that stand in none of the documents, with the rule that has to find each.
PLANTED = [
    ({"name": "PbI2", "mass": v(92, "mg"), "moles": v(0.3, "mmol")}, "mass against moles", 0.1996),
    ({"name": "PbBr2", "mass": v(83.4, "mg"), "moles": v(0.2, "mmol")}, "mass against moles", 0.2272),
    ({"name": "PbCl2", "amount": 55.6, "units": "mg", "mmol": 0.25}, "mass against moles", 0.2),
    (
        {"name": "Cs-oleate", "volume": v(0.4, "mL"), "concentration": v(0.1, "M"), "moles": v(0.4, "mmol")},
        "volume against moles",
        0.04,
    ),
    (
        {
            "concentration": v(0.4, "mol/L", of="Cs"),
            "reagents": [
                {"name": "Cs2CO3", "mass": v(0.326, "g")},
                {"name": "ODE", "volume": v(10, "mL")},
            ],
        },
        "stock concentration",
        0.2001,
    ),
    (
        {
            "reagents": [
                {"name": "PbBr2", "moles": v(0.2, "mmol")},
                {"name": "CsBr", "moles": v(0.1, "mmol")},
            ],
            "ratios": [{"of": "Br", "to": "Cs", "value": 3}],
        },
        "molar ratio",
        5.0,
    ),
    ({"formula": "CsPb2Br4"}, "formal charge", 1.0),
    ({"formula": "Pb4S3Cl3"}, "formal charge", -1.0),
    ({"formula": "[CdCl4]3-"}, "formal charge", -2.0),
    ({"formula": "Cs8Pb8Br24", "total_atoms": 42}, "number of atoms", 40.0),
    (
        {"composition": {"atomic": {"Pb": 50, "S": 50}, "mass": {"Pb": 80, "S": 20}}},
        "atomic against mass percent",
        86.6,
    ),
    ({"fractions": {"fast": 55, "middle": 31, "slow": 24}}, "sum of percentages", 110.0),
    (
        {
            "components": [
                {"amplitude": 0.7, "lifetime": v(2, "ns")},
                {"amplitude": 0.3, "lifetime": v(20, "ns")},
            ],
            "average": v(12.4, "ns"),
        },
        "average lifetime",
        None,
    ),
    (
        {"diffusion": v(0.5, "cm2/s"), "mobility": v(1.9, "cm2/Vs"), "temperature": v(298, "K")},
        "Einstein relation",
        19.47,
    ),
    ({"diffusion": v(0.01, "cm2/s"), "lifetime": v(25, "ns"), "length": v(250, "nm")}, "diffusion length", 158.1),
    ({"cell": [5.832], "plane": [2, 2, 0], "spacing": v(2.26, "angstrom")}, "spacing against cell", 2.062),
    ({"phase": "ZnS", "plane": [1, 1, 1], "two_theta": v(27.4, "deg")}, "2theta against cell", 28.56),
    ({"spacing": v(3.1, "angstrom"), "two_theta": v(30.5, "deg")}, "Bragg", 28.78),
    ({"energy": v(2.1, "eV"), "wavelength": v(532, "nm")}, "photon energy", 2.331),
    ({"electron_beam": {"energy": v(200, "keV"), "wavelength": v(0.037, "A")}}, "electron wavelength", 0.02508),
    ({"excitation": {"wavelength": v(600, "nm"), "phase": "CsPbBr3"}}, "excitation below the gap", 2.3),
    (
        {
            "mismatch": {
                "a": {"phase": "CsPbCl3_cubic", "plane": [2, 0, 0]},
                "b": {"phase": "PbS", "plane": [2, 0, 0]},
                "stated": v(1.1, "percent"),
            }
        },
        "mismatch",
        5.905,
    ),
    ({"reflection": {"phase": "PbS", "plane": [2, 1, 0]}}, "forbidden reflection", None),
    ({"zone": {"plane": [1, 1, 0], "direction": [1, 1, 0]}}, "plane and zone", None),
    ({"quantity": "mobility", "value": 3, "unit": "cm2/s", "source": "x"}, "dimension", None),
    ({"quantity": "quantum yield", "value": 140, "unit": "percent", "source": "x"}, "implausible size", None),
    (
        {
            "derived": {
                "formula": "(a - b)/b",
                "inputs": {"a": v(5.936, "angstrom"), "b": v(5.84, "angstrom")},
                "stated": v(3.1, "percent"),
            }
        },
        "derived value",
        1.644,
    ),
    (
        {"equation": {"formula": "D*tau", "variables": {"D": "cm**2/s", "tau": "ns"}, "unit": "nm"}},
        "dimension",
        None,
    ),
    (
        {"equation": {"formula": "E + k*T/e", "variables": {"E": "eV", "k": "constant", "T": "K", "e": "constant"}, "unit": "eV"}},
        "dimension",
        None,
    ),
    ({"law": {"name": "Bragg", "formula": "lam/sin(theta)"}}, "misprinted law", 2.0),
    (
        {"quantity": "XRD 2theta ZnS (111), (220)", "value": [28.6, 45.9], "units": "deg", "source": "x"},
        "2theta against cell",
        47.51,
    ),
    ({"quantity": "HRTEM spacing PbS (111)", "value": 3.9, "unit": "A", "source": "x"}, "spacing against cell", 3.427),
    ({"name": "PbBr2", "mass_mg": 150, "mmol": 0.3}, "mass against moles", 0.4087),
    (
        {"quantity": "d-spacing", "phase": "PbS", "plane": [2, 2, 0], "value": 2.3, "unit": "A", "source": "x"},
        "spacing against cell",
        2.099,
    ),
    (
        {
            "quantity": "average lifetime",
            "value": 30.0,
            "unit": "ns",
            "components": [
                {"amplitude": 1, "lifetime": v(5, "ns")},
                {"amplitude": 1, "lifetime": v(15, "ns")},
            ],
            "source": "x",
        },
        "average lifetime",
        12.5,
    ),
    (
        {"quantity": "emission energy", "value": 2.5, "unit": "eV", "wavelength": v(520, "nm"), "source": "x"},
        "photon energy",
        2.384,
    ),
    ({"tau1": v(1, "ns"), "A1": 0.5, "tau2": v(5, "ns"), "A2": 0.5, "tau_ave": v(2.2, "ns")}, "average lifetime", 3.0),
]  # fmt: skip


@pytest.mark.parametrize(("record", "rule", "computed"), PLANTED, ids=[p[1] for p in PLANTED])
def test_planted_slip_is_found_with_its_arithmetic(record, rule, computed):
    found = [f for f in check_record({"id": "lab.7", **record}) if f.rule == rule]
    assert found
    assert found[0].record == "lab.7"
    assert found[0].arithmetic
    if computed is not None:
        assert computed in [
            pytest.approx(f.computed.value, rel=0.005) for f in found if f.computed is not None
        ]


BAD = [
    ({"wavelength": v("500", "nm"), "energy": v(2, "eV")}, "written as text", "wavelength.value"),
    ({"wavelength": "500", "energy": v(2, "eV")}, "written as text", "wavelength"),
    ({"wavelength": v(500, "nmm"), "energy": v(2, "eV")}, "not a known unit", "wavelength.unit"),
    ({"formula": "PbQr2"}, "is not a formula", "formula"),
    ({"formula": "Pb(Br2"}, "is not a formula", "formula"),
    ({"plane": [1, 1.5, 0], "cell": [5.0], "spacing": v(3, "A")}, "Miller indices", "plane"),
    ({"derived": {"formula": "__import__('os')", "inputs": {}, "stated": v(1, "")}}, "other than", "formula"),
    ({"derived": {"formula": "a +", "inputs": {"a": v(1, "")}, "stated": v(1, "")}}, "does not parse", "formula"),
    ({"derived": {"formula": "a/b", "inputs": {"a": v(1, ""), "b": v(0, "")}, "stated": v(1, "")}}, "cannot be computed", "formula"),
    ({"law": {"name": "no such law", "formula": "a"}}, "not a law", "law"),
]  # fmt: skip


@pytest.mark.parametrize(("record", "text", "key"), BAD, ids=[b[1] for b in BAD])
def test_bad_record_is_refused_with_id_and_key(record, text, key):
    with pytest.raises(InputError) as caught:
        check_record({"id": "lab.8", **record})
    assert text in str(caught.value)
    assert "lab.8" in str(caught.value)
    assert key in str(caught.value)


def write(folder, text):
    path = folder / "records.yaml"
    path.write_text(text)
    return path


def test_file_of_a_laboratory(tmp_path):
    path = write(
        tmp_path,
        "- id: batch.12\n"
        "  reagents:\n"
        "  - {name: PbBr2, mass: {value: 146.8, unit: mg}, moles: {value: 0.4, unit: mmol}}\n"
        "- id: batch.13\n"
        "  emission: {energy: 2.41 eV, wavelength: 541 nm}\n",
    )
    found, count = check_file(path)
    assert count == 2
    assert [f.record for f in found] == ["batch.13"]
    assert "1239.84 eV nm / 541 nm = 2.292 eV" in found[0].arithmetic


def test_records_of_one_sample_are_taken_together(tmp_path):
    path = write(
        tmp_path,
        "document: {key: lab, citation: notebook 4}\n"
        "measurements:\n"
        "- {id: m1, system: A, quantity: tau1, value: 2.0, units: ns}\n"
        "- {id: m2, system: A, quantity: A1, value: 0.6, units: '1'}\n"
        "- {id: m3, system: A, quantity: tau2, value: 12.0, units: ns}\n"
        "- {id: m4, system: A, quantity: A2, value: 0.4, units: '1'}\n"
        "- {id: m5, system: A, quantity: tau_ave, value: 7.5, units: ns}\n"
        "- {id: m6, system: B, quantity: EDX atomic % Pb, value: 50.0, units: 'at%'}\n"
        "- {id: m7, system: B, quantity: EDX atomic % S, value: 50.0, units: 'at%'}\n"
        "- {id: m8, system: B, quantity: EDX mass % Pb, value: 76.6, units: 'wt%'}\n"
        "- {id: m9, system: B, quantity: EDX mass % S, value: 23.4, units: 'wt%'}\n"
        "- {id: m10, system: C, quantity: 'Cs relative intensity, bulk', value: 61.0, units: '%'}\n"
        "- {id: m11, system: C, quantity: 'Cs relative intensity, edge', value: 49.0, units: '%'}\n",
    )
    found, _ = check_file(path)
    assert {f.record for f in found} == {"m5", "m6", "m10"}
    assert "amplitude-weighted 6 ns; intensity-weighted 10 ns" in found[0].message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {id: a, quantity: band_gap, value: 2.3, unit: eV}\n", "record a has no source"),
        ("- {id: a, quantity: band_gap, value: 2.3, unit: eVV, source: n}\n", "'eVV' is not a known unit"),
        ("- {id: a, quantity: band_gap, value: '2.3', unit: eV, source: n}\n", "written as text"),
        ("- {id: a, value: .nan, unit: eV}\n", "not a finite number"),
        ("- {id: a}\n- {id: a}\n", "two records called a"),
        ("a: [1, 2\n", "is not YAML"),
        ("[]\n", "has no records"),
        ("- 5\n", "is not a record"),
        ("- {id: a, formula: XyPb3}\n", "is not a formula"),
        ("!!python/object/apply:os.system ['true']\n", "is not YAML"),
    ],
)  # fmt: skip
def test_bad_file_is_refused(tmp_path, text, message):
    with pytest.raises(InputError) as caught:
        check_file(write(tmp_path, text))
    assert message in str(caught.value)
    assert "records.yaml" in str(caught.value)


def test_missing_file():
    with pytest.raises(InputError, match="does not exist"):
        check_file("nowhere.yaml")
