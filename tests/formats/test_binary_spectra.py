"""JASCO, SPC, Shimadzu, JCAMP-DX and Edinburgh files: made here byte by byte, and damaged."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterodot.errors import InputError
from heterodot.formats import read
from heterodot.formats.jcamp import table_of

from .compound import compound_file

X = np.linspace(320, 200, 1201)
Y = np.column_stack([np.sin(X / 20), 200 + X, np.exp(-(((X - 260) / 15) ** 2))])


def put(folder: Path, data: bytes, name: str) -> Path:
    file = folder / name
    file.write_bytes(data)
    return file


def jws(points: int = 1201, channels: int = 3, y: np.ndarray = Y) -> dict[str, bytes]:
    info = struct.pack("<6I3d", 3, 1, 0, channels, 1, points, 320.0, 200.0, -0.1)
    info += struct.pack("<4I", 0x10000103, 4097, 8193, 3)
    text = "film A".encode("utf-16-le") + b"\0\0"
    return {
        "DataInfo": info.ljust(184, b"\0"),
        "Y-Data": y.T.astype("<f4").tobytes(),
        "SampleInfo": struct.pack("<II", 1, len(text)) + text + struct.pack("<I", 0),
    }


def test_jasco_channels_share_the_axis(tmp_path: Path) -> None:
    measured = read(put(tmp_path, compound_file(jws()), "a.jws"))
    assert measured.data.shape == (1201, 3)
    assert measured.data["sample"].values.tolist() == ["CD", "HT voltage", "Absorbance"]
    assert measured.data["sample_units"].values.tolist() == ["mdeg", "V", ""]
    np.testing.assert_allclose(measured.data["wavelength"], X[::-1])
    np.testing.assert_allclose(measured.data, Y[::-1].astype("f4"))
    assert measured.metadata["sample"] == "film A"


def test_jasco_series_keeps_its_second_axis(tmp_path: Path) -> None:
    temperatures = [25.0, 30.0, 35.0]
    info = struct.pack("<6I3d", 3, 3, 1, 1, 1, 400, 799.0, 400.0, -1.0)
    info += struct.pack("<4I", 0x10000103, 3, 0, 3) + struct.pack("<3d", 25.0, 35.0, 0.0)
    info += struct.pack("<I3d", 0x30000301, *temperatures)
    streams = {"DataInfo": info, "Y-Data": np.arange(1200, dtype="<f4").tobytes()}
    measured = read(put(tmp_path, compound_file(streams), "a.jwb"))
    assert measured.data["sample"].values.tolist() == [f"Absorbance {t:.2f}" for t in temperatures]
    assert measured.data.values[0].tolist() == [399, 799, 1199]


@pytest.mark.parametrize(
    ("streams", "needle"),
    [
        (jws(points=4_000_000_000), "claims"),
        (jws(points=1200), "claims"),
        (jws(channels=1_000_000), "claims"),
        ({"Y-Data": b"x"}, "no stream 'DataInfo'"),
        ({"Other": b"x"}, "no stream"),
    ],
)
def test_jasco_claims_are_checked(tmp_path: Path, streams: dict[str, bytes], needle: str) -> None:
    with pytest.raises(InputError, match=needle):
        read(put(tmp_path, compound_file(streams), "a.jws"))


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(1, 20000), flip=st.integers(0, 20000), value=st.integers(0, 255))
def test_damaged_compound_files_end_in_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int, value: int
) -> None:
    data = bytearray(compound_file(jws()))
    data[flip % len(data)] = value
    file = put(tmp_path_factory.mktemp("d"), bytes(data[: max(1, len(data) - cut)]), "a.jws")
    try:
        measured = read(file)
    except InputError as error:
        sentence = str(error)
    else:
        sentence = f"a.jws: {measured.data.shape[0]}"
        assert measured.data.shape[0] == 1201
    assert "a.jws" in sentence


def spc(
    y: list[np.ndarray], *, power: int = -128, short: bool = False, x: np.ndarray | None = None
) -> bytes:
    flags = (1 if short else 0) | (128 if x is not None else 0) | (4 if len(y) > 1 else 0)
    head = struct.pack("<BBBbIddI", flags, 0x4B, 6, power, len(y[0]), 400.0, 800.0, len(y))
    head += bytes([3, 2, 0, 0]) + bytes(13) + b"UV-2600\0\0" + bytes(34)
    head = head.ljust(88, b"\0") + b"CsPbBr3".ljust(130, b"\0")
    head = head.ljust(512, b"\0")
    body = b"" if x is None else x.astype("<f4").tobytes()
    for k, values in enumerate(y):
        body += struct.pack("<BbHfffIIf4s", 0, power, k, 0, 0, 0, len(values), 1, 0, b"")
        if power == -128:
            body += values.astype("<f4").tobytes()
        else:
            bits = 16 if short else 32
            whole = np.round(values / 2.0 ** (power - bits))
            body += whole.astype("<i2" if short else "<i4").tobytes()
    return head + body


def test_spc_floats_fractions_and_series(tmp_path: Path) -> None:
    y = np.abs(np.sin(np.arange(401) / 30))
    for data, tolerance in (
        (spc([y]), 1e-6),
        (spc([y], power=2), 1e-8),
        (spc([y], power=2, short=True), 4e-5),
    ):
        measured = read(put(tmp_path, data, "a.spc"))
        assert measured.kind == "absorption"
        np.testing.assert_allclose(measured.data["wavelength"], np.arange(400, 801))
        np.testing.assert_allclose(measured.data, y, atol=tolerance)
        assert measured.metadata["comment"] == "CsPbBr3"
    series = read(put(tmp_path, spc([y, 2 * y, 3 * y]), "b.spc"))
    assert series.data.shape == (401, 3)
    np.testing.assert_allclose(series.data[:, 2], 3 * y, rtol=1e-6)
    uneven = np.cumsum(1 + np.arange(401) / 401) + 300
    own = read(put(tmp_path, spc([y], x=uneven), "c.spc"))
    np.testing.assert_allclose(own.data["wavelength"], uneven, rtol=1e-6)


@pytest.mark.parametrize(
    ("data", "needle"),
    [
        (b"nothing at all", "not an SPC file"),
        (spc([np.ones(50)])[:700], "claims"),
        (bytes([0, 0x4D]) + bytes(600), "before 1996"),
        (bytes([0, 0x4C]) + bytes(600), "big-endian"),
        (spc([np.ones(9)])[:4] + struct.pack("<I", 2**31) + spc([np.ones(9)])[8:], "claims"),
        (spc([np.full(9, np.nan)]), "not numbers"),
    ],
)
def test_bad_spc_files_are_refused(tmp_path: Path, data: bytes, needle: str) -> None:
    with pytest.raises(InputError, match=needle):
        read(put(tmp_path, data, "a.spc"))


def test_shimadzu_streams_of_doubles(tmp_path: Path) -> None:
    x, y = np.linspace(300, 811, 512), np.linspace(0, 1, 512)
    base = "DataStorage1/DataSetGroup/sample one/DataSpectrumStorage/Data/"
    data = compound_file(
        {base + "X Data.1": x.astype("<f8").tobytes(), base + "Y Data.1": y.astype("<f8").tobytes()}
    )
    measured = read(put(tmp_path, data, "a.spc"), "absorption")
    np.testing.assert_allclose(measured.data["wavelength"], x)
    np.testing.assert_allclose(measured.data, y)
    assert any("please confirm" in n for n in measured.notes)
    with pytest.raises(InputError, match="no 'X Data' stream"):
        read(put(tmp_path, compound_file({"Other": b"1"}), "b.spc"))


HEAD = (
    "##TITLE=sample\n##JCAMP-DX=4.24\n##XUNITS=NANOMETERS\n##YUNITS=ABSORBANCE\n##XFACTOR=1\n"
    "##YFACTOR={factor}\n##FIRSTX={first}\n##LASTX={last}\n##NPOINTS={n}\n##XYDATA=(X++(Y..Y))\n"
)


@pytest.mark.parametrize(
    "line",
    [
        # the five forms of one line, from McDonald and Wilks (1988)
        "99 1 2 3 3 2 1 0 -1 -2 -3",
        "99+1+2+3+3+2+1+0-1-2-3",
        "99ABCCBA@abc",
        "99AJJ%jjjjjj",
        "99AJJ%jX",
    ],
)
def test_jcamp_forms_of_the_standard_agree(line: str) -> None:
    text = HEAD.format(factor=0.5, first=99, last=108, n=10) + line + "\n##END=\n"
    table = table_of(text, Path("a.jdx"))
    assert (table.columns[:, 1] / 0.5).tolist() == [1, 2, 3, 3, 2, 1, 0, -1, -2, -3]
    assert table.columns[:, 0].tolist() == list(range(99, 109))
    assert table.units[0] == "nm"


def _difdup(values: list[int]) -> str:
    """Pack integers in difference form, by the table of the standard."""

    def packed(number: int, plus: str, minus: str, zero: str) -> str:
        digits = str(abs(number))
        if number == 0:
            return zero
        return (plus if number > 0 else minus)[int(digits[0]) - 1] + digits[1:]

    out = packed(values[0], "ABCDEFGHI", "abcdefghi", "@")
    for a, b in itertools.pairwise(values):
        out += packed(b - a, "JKLMNOPQR", "jklmnopqr", "%")
    return out


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-(10**6), 10**6), min_size=4, max_size=60))
def test_jcamp_differences_come_back(values: list[int]) -> None:
    half = len(values) // 2
    lines = [f"0{_difdup(values[: half + 1])}", f"{half}{_difdup(values[half:])}"]
    text = HEAD.format(factor=1, first=0, last=len(values) - 1, n=len(values)) + "\n".join(lines)
    assert table_of(text, Path("a.jdx")).columns[:, 1].tolist() == values


def test_jcamp_pairs_and_file(tmp_path: Path) -> None:
    text = (
        "##TITLE=x\n##XUNITS=NM\n##YUNITS=ABSORBANCE\n##NPOINTS=3\n##XYPOINTS=(XY..XY)\n"
        "500, 1.5; 501, 2.5\n502 3.5 $$ a remark\n##END=\n"
    )
    measured = read(put(tmp_path, text.encode(), "a.dx"))
    assert measured.kind == "absorption"
    assert measured.data.values.tolist() == [1.5, 2.5, 3.5]


@pytest.mark.parametrize(
    ("text", "needle"),
    [
        ("hello", "not JCAMP-DX"),
        ("##TITLE=x\n##END=\n", "holds no data"),
        (HEAD.format(factor=1, first=0, last=2, n=9) + "0 1 2 3\n", "header says 9"),
        (HEAD.format(factor=1, first=0, last=2, n=3) + "0 1 2 &\n", "line 11"),
        (HEAD.format(factor=1, first=0, last=5, n=6) + "0AJJ\n2DJJ\n", "check ordinate"),
        (HEAD.format(factor=1, first=0, last=5, n=6) + "0 1 2 3\n9 4 5 6\n", "abscissa 9"),
        (HEAD.format(factor=1, first=0, last=5, n=6) + "0 1 2 s999999999999\n", "too much"),
        (HEAD.format(factor=1, first="", last=2, n=3) + "0 1 2 3\n", "FIRSTX"),
    ],
)
def test_bad_jcamp_is_refused(tmp_path: Path, text: str, needle: str) -> None:
    with pytest.raises(InputError, match=needle):
        read(put(tmp_path, text.encode(), "a.jdx"))


def test_edinburgh_text_and_binary(tmp_path: Path) -> None:
    text = (
        "Labels,NC\nType,Emission Scan\nXaxis,Wavelength(nm)\nYaxis,Counts\n\n500,1\n501,4\n502,9\n"
    )
    measured = read(put(tmp_path, text.encode(), "a.fs"))
    assert measured.kind == "pl"
    assert measured.data["wavelength"].attrs["units"] == "nm"
    assert measured.data.attrs["units"] == "count"
    with pytest.raises(InputError, match="Export > ASCII"):
        read(put(tmp_path, b"EAI Single Scan\0\r\n" + bytes(100), "b.fs"))
