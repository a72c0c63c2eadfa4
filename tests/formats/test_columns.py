"""Columns of numbers: separators, decimal comma, headers, units, and every kind of bad file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterodot.errors import InputError
from heterodot.formats import read
from heterodot.formats.columns import read_columns, split_name, unit_of

SEPARATORS = {"tab": "\t", "semicolon": ";", "comma": ",", "spaces": "   "}


def put(folder: Path, text: str | bytes, name: str = "a.csv") -> Path:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separator_and_decimal_sign_are_found(
    tmp_path: Path, separator: str, decimal: str, end: str
) -> None:
    if separator == "comma" and decimal == ",":
        pytest.skip("refused, see below")
    sign = SEPARATORS[separator]
    rows = [(400.5 + k, 0.123 + 0.01 * k, -1.5e-3 * k) for k in range(9)]
    lines = ["instrument: X 2000", sign.join(["Wavelength (nm)", "Abs", "Blank"])]
    lines += [sign.join(f"{x:.6g}".replace(".", decimal) for x in row) for row in rows]
    table = read_columns(put(tmp_path, end.join(lines) + end))
    np.testing.assert_allclose(table.columns, rows, rtol=1e-5)
    assert table.names == ("Wavelength", "Abs", "Blank")
    assert table.units == ("nm", "", "")
    assert separator in table.notes[0]
    assert ("comma" if decimal == "," else "point") in table.notes[0].split("decimal")[1]
    assert table.line_of_row.tolist() == list(range(3, 12))
    assert table.metadata["instrument"] == "X 2000"


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(-1e6, 1e6, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-6),
            st.floats(-1e6, 1e6, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-6),
        ),
        min_size=3,
        max_size=30,
    ),
    st.sampled_from([("\t", "."), ("\t", ","), (";", "."), (";", ","), (",", "."), (" ", ".")]),
)
def test_what_was_written_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[float, float]],
    style: tuple[str, str],
) -> None:
    sign, decimal = style
    # repr always shows a decimal sign or an exponent, so that no comma is ambiguous
    text = "\n".join(sign.join(repr(x).replace(".", decimal) for x in row) for row in rows)
    table = read_columns(put(tmp_path_factory.mktemp("c"), text))
    np.testing.assert_array_equal(table.columns, rows)


def test_jasco_text_header_gives_axis_and_quantity(tmp_path: Path) -> None:
    head = "TITLE\t\nXUNITS\tNANOMETERS\nYUNITS\tABSORBANCE\nFIRSTX\t503.0\nNPOINTS\t4\nXYDATA\n"
    body = "".join(f"{503 - k}.0000\t0.1{k}\n" for k in range(4))
    measured = read(put(tmp_path, head + body, "s.txt"))
    assert measured.kind == "absorption"
    assert measured.data.dims == ("wavelength",)
    assert measured.data["wavelength"].values.tolist() == [500, 501, 502, 503]
    assert measured.data["wavelength"].attrs["units"] == "nm"
    assert measured.data.values[0] == pytest.approx(0.13)
    assert any("turned round" in note for note in measured.notes)
    assert measured.metadata["NPOINTS"] == "4"


def test_spcm_block_heading_and_end_mark(tmp_path: Path) -> None:
    text = "  Title : nd\n*BLOCK 1  ( Time[ns]  No_of_photons )\n0.000 ,  0\n0.004 ,  3\n0.008 ,  9\n*END\n"
    measured = read(put(tmp_path, text, "s.asc"))
    assert measured.kind == "decay"
    assert measured.data["time"].attrs["units"] == "ns"
    assert measured.data.values.tolist() == [0, 3, 9]


def test_units_row_of_origin_and_comments(tmp_path: Path) -> None:
    text = "# made by us\nTime\tCurrent\nms\tnA\n0\t1\n# pause\n1\t2\n2\t4\n"
    table = read_columns(put(tmp_path, text, "o.dat"))
    assert table.names == ("Time", "Current")
    assert table.units == ("ms", "nA")
    assert table.n_rows == 3
    assert any("'#'" in note for note in table.notes)


def test_utf16_and_byte_order_marks(tmp_path: Path) -> None:
    text = "Energy (eV);PL (counts)\n1,5;3\n1,6;4\n1,7;5\n"
    for encoding in ("utf-16", "utf-8-sig", "latin-1"):
        measured = read(put(tmp_path, text.encode(encoding)))
        assert measured.data["energy"].attrs["units"] == "eV"
        assert measured.data.attrs["units"] == "count"
        assert measured.kind == "pl"


def test_missing_cells_become_nan_and_are_counted(tmp_path: Path) -> None:
    table = read_columns(put(tmp_path, "a,b,c\n1,2.5,3\n2,,4\n3,n/a,5\n4,1,6\n"))
    assert np.isnan(table.columns[:, 1]).tolist() == [False, True, True, False]
    assert any("2 cell(s)" in note for note in table.notes)


def test_samples_side_by_side_keep_their_names(tmp_path: Path) -> None:
    measured = read(put(tmp_path, "Wavelength (nm),30 s,60 s\n500,1,2\n501,1.5,3\n502,2,4\n"))
    assert measured.data.dims == ("wavelength", "sample")
    assert measured.data["sample"].values.tolist() == ["30 s", "60 s"]


def test_third_column_of_a_diffractogram_is_its_error(tmp_path: Path) -> None:
    measured = read(put(tmp_path, "10 100 10\n11 400 20\n12 900 30\n", "p.xy"), "xrd")
    assert measured.data.dims == ("two_theta",)
    assert measured.data["error"].values.tolist() == [10, 20, 30]


def test_kinds_and_units_guessed_are_said(tmp_path: Path) -> None:
    decay = read(put(tmp_path, "0 0\n1 5\n2 9\n3 4\n", "d.txt"), "decay")
    assert decay.data["time"].attrs["units"] == "ns"
    assert any("please confirm" in note for note in decay.notes)
    assert any("bin width" in note for note in decay.notes)
    spectrum = read(put(tmp_path, "1.5 0\n1.6 5\n1.7 9\n", "d.txt"), "pl")
    assert spectrum.data["energy"].attrs["units"] == "eV"


@pytest.mark.parametrize(
    ("text", "needle"),
    [
        ("1,2\n2,3,4\n3,4\n4,5\n", "line 2"),
        ("1,2\n2,3\n3,4\n4\n", "cut short"),
        ("x,y\n1,2\n2,3\n3,4x\n4,5\n5,6\n", "'4x' is not a number"),
        ("hello\nworld\n", "no columns of numbers"),
        ("a;b;c\n1;;2\n2;;3\n3;;4\n", "column 'b' holds no number"),
        ("400,0123,1,05\n401,0456,1,06\n402,0789,1,07\n", "both as separator"),
        ("1\n2\n3\n", "one column"),
        ("1 2\n2 3\n", "at least three"),
        ("w nm\n500 1\n502 2\n501 3\n503 4\n", "not sorted"),
        ("500 1\n501 2\n501 3\n503 4\n", "not sorted"),
        ("a;b\n500;1\n;2\n501;3\n502;3\n", "line 3"),
    ],
)
def test_bad_text_is_refused_with_its_place(tmp_path: Path, text: str, needle: str) -> None:
    with pytest.raises(InputError) as caught:
        read(put(tmp_path, text))
    assert needle in str(caught.value)
    assert "a.csv" in str(caught.value)


def test_binary_empty_and_oversized_files_are_refused(tmp_path: Path) -> None:
    for content, needle in [
        (bytes(range(256)) * 20, "binary"),
        (b"\x01\x02\x03\x04" * 500, "binary"),
        (b"", "empty"),
    ]:
        with pytest.raises(InputError, match=needle):
            read(put(tmp_path, content))
    with pytest.raises(InputError, match="more than"):
        read_columns(put(tmp_path, "1,2\n" * 1000), limit=100)
    with pytest.raises(InputError, match="does not exist"):
        read(tmp_path / "nowhere.csv")


def test_kind_that_contradicts_the_axis_is_refused(tmp_path: Path) -> None:
    file = put(tmp_path, "Wavelength (nm);Abs\n500;1\n501;2\n502;3\n")
    with pytest.raises(InputError, match="wavelength"):
        read(file, "decay")
    with pytest.raises(InputError, match="two_theta"):
        read(file, "xrd")


def test_a_row_for_suffix_and_kind_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from heterodot import formats

    monkeypatch.setitem(formats.READERS, ".dat:odd", "heterodot.files:readable")
    file = put(tmp_path, "1 2\n2 3\n3 4\n", "x.dat")
    with pytest.raises(TypeError):  # `readable` takes no kind: it was the one that was called
        read(file, "odd")
    assert read(file).data.shape == (3,)


def test_units_and_headings() -> None:
    assert unit_of("mA") == "mA"
    assert unit_of("(µs)") == "us"
    assert unit_of("frog") is None
    assert split_name("Absorbance (a.u.)") == ("Absorbance", "")
    assert split_name("Power, mW") == ("Power", "mW")
    assert split_name("time_ps") == ("time", "ps")
    assert split_name("noise (A/sqrt(Hz))") == ("noise", "A/Hz^0.5")
