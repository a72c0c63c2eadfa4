"""EDX files: tables in several layouts, EMSA spectra, spectrum images, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from heterodot.errors import InputError
from heterodot.formats import read
from heterodot.probes.edx import simulate_spectrum

LONG = """Element,Atomic %,Mass %,Fit error (%)
S,21.42,5.32,3.79
Cl,17.18,4.72,0.73
Mn,1.74,0.74,1.06
Cs,11.43,11.77,0.05
Pb,48.23,77.45,0.09
Total,100.00,100.00,
"""


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def emsa(
    path: Path, counts: np.ndarray, step: float = 10.0, unit: str = "eV", **other: str
) -> Path:
    fields = {
        "FORMAT": "EMSA/MAS Spectral Data File", "VERSION": "1.0", "TITLE": "particle",
        "NPOINTS": str(len(counts)), "NCOLUMNS": "1", "XUNITS": unit, "YUNITS": "counts",
        "DATATYPE": "Y", "XPERCHAN": str(step), "OFFSET": "5.0", "SIGNALTYPE": "EDS",
        "BEAMKV   -kV": "200.0", **other,
    }  # fmt: skip
    head = "".join(f"#{name:<12}: {value}\n" for name, value in fields.items() if value != "-")
    rows = "".join(f"{v:.1f}, \n" for v in counts)
    path.write_text(f"{head}#SPECTRUM    : data\n{rows}#ENDOFDATA   : \n", encoding="utf-8")
    return path


def test_one_element_a_row(tmp_path: Path) -> None:
    found = read(written(tmp_path, "s1.csv", LONG), "edx")
    assert found.kind == "edx"
    assert list(found.data.element.values) == ["S", "Cl", "Mn", "Cs", "Pb"]
    assert found.data.attrs["percent_of"] == "atomic"
    assert found.data.values[0].sum() == pytest.approx(100)
    # relative errors, as the heading's "fit" says
    assert found.data["error"].values[0, 0] == pytest.approx(21.42 * 0.0379)
    assert found.data["mass_percent"].values[0, 4] == 77.45
    assert any("percent of the value" in n for n in found.notes)


@pytest.mark.parametrize(
    ("text", "kind", "regions", "row"),
    [
        ("domain,Cs (at%),Pb (at%),Br (at%)\nNC,20,20,60\nother,21,19,60\n", "atomic",
         ["NC", "other"], [20, 20, 60]),
        ("region;Cs L;Pb L;Br K\nWeight %;;;\n1;22,9;35,7;41,3\n", "mass", ["1"],
         [22.9, 35.7, 41.3]),
        ("Element\tWt%\nPb (L)\t86.6\nS (K)\t13.4\n", "mass", ["t"], [86.6, 13.4]),
        ("Element,net counts\nPb,4000\nS,1200\n", "counts", ["t"], [4000, 1200]),
        ("site,Pb,S\na,50.1 ± 0.4,49.9 ± 0.5\n", "", ["a"], [50.1, 49.9]),
        ("site,Pb,S\na,50.1(4),49.9(5)\n", "", ["a"], [50.1, 49.9]),
    ],
)  # fmt: skip
def test_layouts(
    tmp_path: Path, text: str, kind: str, regions: list[str], row: list[float]
) -> None:
    if text.startswith("region;"):
        text = text.replace("Weight %;;;\n", "").replace("region", "Weight % of region")
    found = read(written(tmp_path, "t.csv", text), "edx")
    assert found.data.attrs["percent_of"] == kind
    assert list(found.data.region.values) == regions
    assert found.data.values[0] == pytest.approx(row)
    if "±" in text or "(4)" in text:
        assert found.data["error"].values[0] == pytest.approx([0.4, 0.5])
    assert any("does not say" in n for n in found.notes) == (kind == "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Element,Atomic %\nPb,50\nQq,50\n", "no elements in a column|'Qq' is not an element"),
        ("Element,Atomic %\nPb,50\nS,30\nQq,20\n", "'Qq' is not an element"),
        ("Element,Atomic %\nPb,50\nS,-3\n", "S is negative"),
        ("Element,Atomic %\nPb,50\nPb,50\n", "there twice"),
        ("Element,Atomic %\nPb,50\nS,\n", "not a number"),
        ("Element,Atomic %,Error\nPb,50,1\nS,50\n", "no error there"),
        ("domain,Pb,S\nNC,50,5x\n", "'5x' is not a number"),
        ("domain,Pb,S,Cs\nNC,50,50\n", "row 2, Cs.*cut off"),
        ("Wavelength,Absorbance\n400,0.1\n500,0.2\n", "no elements"),
        ("# only a remark\n", "no table"),
    ],
)
def test_bad_tables(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(written(tmp_path, "t.csv", text), "edx")
    import re

    assert re.search(message, str(caught.value)), str(caught.value)


def test_emsa_spectrum(tmp_path: Path) -> None:
    counts = simulate_spectrum({"Pb L": 5000.0}, seed=1).data.values
    found = read(emsa(tmp_path / "a.msa", counts))
    assert found.kind == "edx"
    assert np.array_equal(found.data.values, counts)
    assert found.data.energy.values[0] == pytest.approx(0.005)
    assert np.diff(found.data.energy.values) == pytest.approx(0.01)
    assert found.metadata["BEAMKV"] == "200.0"
    kilo = read(emsa(tmp_path / "b.emsa", counts, 0.01, "keV", OFFSET="0.005"))
    assert np.allclose(kilo.data.energy.values, found.data.energy.values)


def test_emsa_pairs(tmp_path: Path) -> None:
    text = (
        "#FORMAT : EMSA/MAS Spectral Data File\n#NPOINTS : 20\n#XUNITS : keV\n#DATATYPE : XY\n"
        "#SPECTRUM : \n"
        + "".join(f"{0.1 * k:.3f}, {k * k}\n" for k in range(20))
        + "#ENDOFDATA :\n"
    )
    found = read(written(tmp_path, "xy.msa", text))
    assert found.data.values[7] == 49
    assert found.data.energy.values[7] == pytest.approx(0.7)


def test_bad_spectra(tmp_path: Path) -> None:
    counts = simulate_spectrum({"Pb L": 5000.0}, seed=1).data.values
    good = emsa(tmp_path / "a.msa", counts).read_text(encoding="utf-8")
    lines = good.splitlines(keepends=True)
    cases = {
        "cut.msa": ("".join(lines[:900]), "cut off"),
        "short.msa": ("".join(lines[:900]) + "#ENDOFDATA : \n", "cut off"),
        "open.msa": (good.replace("#ENDOFDATA   : \n", ""), "no #ENDOFDATA"),
        "eels.msa": (good.replace(": EDS", ": ELS"), "ELS, not EDX"),
        "huge.msa": (good.replace(": 2048", ": 99999999999"), "claims"),
        "none.msa": (good.replace(": 2048", ": many"), "no number there"),
        "unit.msa": (good.replace(": eV", ": nm"), "no unit of energy"),
        "ev.msa": (good.replace(": eV", ": keV"), "seem to be in eV"),
        "text.msa": ("Wavelength,Absorbance\n1,2\n", "no EMSA"),
    }
    for name, (text, message) in cases.items():
        with pytest.raises(InputError, match=message):
            read(written(tmp_path, name, text))
    negative = read(emsa(tmp_path / "neg.msa", counts - 50))
    assert any("negative counts" in n for n in negative.notes)


def test_spectrum_image_of_another_program(tmp_path: Path) -> None:
    hspy = pytest.importorskip("rsciio.hspy")
    cube = np.random.default_rng(1).poisson(0.4, size=(9, 11, 300)).astype("uint16")
    axes = [
        {"name": n, "size": s, "scale": c, "offset": 0.0, "units": u, "index_in_array": k,
         "navigate": k < 2, "_type": "UniformDataAxis"}
        for k, (n, s, c, u) in enumerate([("y", 9, 0.5, "nm"), ("x", 11, 0.5, "nm"),
                                          ("Energy", 300, 0.01, "keV")])
    ]  # fmt: skip
    signal = {"data": cube, "axes": axes, "metadata": {"General": {"title": "c"}}, "original_metadata": {},
              "learning_results": {}, "package_info": {}, "package": "", "package_version": "", "attributes": {"_lazy": False},
              "tmp_parameters": {}, "models": {}}  # fmt: skip
    hspy.file_writer(str(tmp_path / "c.hspy"), signal)
    found = read(tmp_path / "c.hspy")
    assert found.data.dims == ("y", "x", "energy")
    assert np.array_equal(found.data.values, cube)
    assert found.data.x.values[-1] == pytest.approx(5.0)
    with pytest.raises(InputError, match="not what its suffix says"):
        read(written(tmp_path, "d.hspy", "no image"))
