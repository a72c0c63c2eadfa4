"""Readers of time-resolved instruments, on small files written here in the same layouts."""

import struct

import numpy as np
import pytest

from heterodot.errors import InputError
from heterodot.formats import read

COUNTS = np.random.default_rng(0).poisson(50, (2, 32)).astype("<u4")


def tag(name, kind, value=0, index=-1):
    raw = struct.pack("<d", value) if kind == 0x20000008 else struct.pack("<q", int(value))
    return name.encode().ljust(32, b"\0") + struct.pack("<iI", index, kind) + raw


INT, FLOAT, EMPTY = 0x10000008, 0x20000008, 0xFFFF0008


def phu(curves=COUNTS, bins=None, offset=None):
    n = len(curves)
    tags = [tag("HistoResult_NumberOfCurves", INT, n)]
    size = 16 + 48 * (1 + 3 * n + 1)
    for k, c in enumerate(curves):
        at = size + k * c.nbytes if offset is None else offset
        tags += [
            tag("HistResDscr_HistogramBins", INT, bins or c.size, k),
            tag("HistResDscr_DataOffset", INT, at, k),
            tag("HistResDscr_MDescResolution", FLOAT, 16e-12, k),
        ]
    tags.append(tag("Header_End", EMPTY))
    return b"PQHISTO\0" + b"1.0.00\0\0" + b"".join(tags) + b"".join(c.tobytes() for c in curves)


def ptu(records, kind=0x01010304, count=None, resolution=16e-12):
    tags = [
        tag("TTResultFormat_TTTRRecType", INT, kind),
        tag("TTResult_NumberOfRecords", INT, len(records) if count is None else count),
        tag("MeasDesc_Resolution", FLOAT, resolution),
        tag("MeasDesc_GlobalResolution", FLOAT, 64 * 16e-12),
        tag("Header_End", EMPTY),
    ]
    return b"PQTTTR\0\0" + b"1.0.00\0\0" + b"".join(tags) + np.array(records, "<u4").tobytes()


def test_phu(tmp_path):
    (tmp_path / "a.phu").write_bytes(phu())
    m = read(tmp_path / "a.phu", "decay")
    assert m.data.dims == ("time", "sample")
    assert np.array_equal(m.data.values.T, COUNTS)
    assert np.diff(m.data.time.values)[0] == pytest.approx(0.016)
    assert m.data.time.attrs["units"] == "ns"


def test_ptu_hydraharp_and_picoharp(tmp_path):
    hydra = [(3 << 25) | (10 << 10) | 1, (3 << 25) | (12 << 10) | 2, 0x80000000 | (0x3F << 25) | 1]
    (tmp_path / "h.ptu").write_bytes(ptu(hydra))
    m = read(tmp_path / "h.ptu", "decay")
    assert m.data.sizes["time"] == 64
    assert m.data.values.sum() == 2
    assert np.array_equal(np.flatnonzero(m.data.values), [10, 12])
    pico = [(1 << 28) | (5 << 16), (2 << 28) | (7 << 16), 0xF0000000]
    (tmp_path / "p.ptu").write_bytes(ptu(pico, kind=0x00010303))
    m = read(tmp_path / "p.ptu", "decay")
    assert m.data.dims == ("time", "sample")
    assert m.data.values[5, 0] == 1
    assert m.data.values[7, 1] == 1


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.phu", phu()[:-10], "cut off"),
        ("a.phu", phu(bins=2**40), "cut off"),
        ("a.phu", phu(offset=10**12), "points to byte"),
        ("a.phu", b"NOTPICOQUANT" * 10, "not a PicoQuant"),
        ("a.ptu", ptu([1, 2], count=2**44), "cut off"),
        ("a.ptu", ptu([1], kind=0x00010204), "T2 records"),
        ("a.ptu", ptu([1], kind=0x77), "unknown kind"),
        ("a.ptu", ptu([0x80000001]), "no photons"),
        ("a.ptu", ptu([1], resolution=0.0), "no bin width"),
        ("a.ptu", ptu([1])[:70], "cut off"),
    ],
)
def test_broken_picoquant(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message):
        read(tmp_path / name, "decay")


def sdt(curves, *, scan=(0, 0), kind=0x0000, length=None, valid=0x5555):
    curves = np.asarray(curves, "<u2")
    bins = curves.shape[-1]
    description = bytearray(211)
    description[:9], description[9:20] = b"12:00:00\0", b"2026-01-01\0"
    struct.pack_into("<fh", description, 64, 50e-9, 5)
    struct.pack_into("<hhhh", description, 82, bins, 0, 1, 1)
    struct.pack_into("<ii", description, 173, *scan)
    info = b"*IDENTIFICATION\r\n  ID : SPC Setup & Data File\r\n*END\r\n"
    at_description = 42 + len(info)
    at_block = at_description + len(description)
    head = struct.pack(
        "<hihiHihIihhHIHH",
        588,
        42,
        len(info),
        0,
        0,
        at_block,
        1,
        curves.nbytes,
        at_description,
        1,
        len(description),
        valid,
        0,
        0,
        0,
    )
    data = curves.tobytes()
    block = struct.pack(
        "<BBIIHhII", 0, 0, at_block + 22, 0, kind, 0, 0, len(data) if length is None else length
    )
    return head + info + bytes(description) + block + data


def pixels(bins=16):
    return np.random.default_rng(1).integers(0, 99, (6, bins))


def test_sdt_curve_and_image(tmp_path):
    (tmp_path / "c.sdt").write_bytes(sdt(pixels()[0]))
    m = read(tmp_path / "c.sdt", "decay")
    assert np.array_equal(m.data.values, pixels()[0])
    assert np.diff(m.data.time.values)[0] == pytest.approx(50 / 5 / 16)
    (tmp_path / "i.sdt").write_bytes(sdt(pixels(), scan=(3, 2)))
    m = read(tmp_path / "i.sdt", "decay")
    assert m.data.dims == ("y", "x", "time")
    assert np.array_equal(m.data.values.reshape(6, 16), pixels())


def test_sdt_agrees_with_sdtfile(tmp_path):
    """A peer reads the same numbers from the same bytes (where it is installed)."""
    peer = pytest.importorskip("sdtfile")
    (tmp_path / "i.sdt").write_bytes(sdt(pixels(), scan=(3, 2)))
    m = read(tmp_path / "i.sdt", "decay")
    other = peer.SdtFile(str(tmp_path / "i.sdt"))
    assert np.array_equal(other.data[0].reshape(6, 16), m.data.values.reshape(6, 16))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (sdt(pixels()[0])[:-5], "cut off"),
        (sdt(pixels()[0])[:30], "cut off"),
        (sdt(pixels()[0], valid=0x1111), "not a whole"),
        (sdt(pixels()[0], length=2**31), "cut off"),
        (sdt(pixels()[0], kind=0x0300), "no histogram"),
        (sdt(pixels()[0], kind=0x1000), "cannot be unpacked"),
    ],
)
def test_broken_sdt(tmp_path, data, message):
    (tmp_path / "a.sdt").write_bytes(data)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "a.sdt", "decay")


def img(width=6, height=4, pixel=2, table=True):
    image = np.arange(width * height, dtype="<u2").reshape(height, width)
    x, y = np.linspace(500, 550, width, dtype="<f4"), np.linspace(0, 3, height, dtype="<f4")
    size = 600
    at = 64 + size + image.nbytes
    scaling = f'"#{at},{width}"' if table else '"Other"'
    comment = (
        (
            f'[Application],Date="1.1.2026"\r\n[Scaling],ScalingXType=2,ScalingXScale=10,'
            f'ScalingXUnit="nm",ScalingXScalingFile={scaling},ScalingYType=2,ScalingYScale=1,'
            f'ScalingYUnit="ns",ScalingYScalingFile="#{at + x.nbytes},{height}"\r\n'
        )
        .encode()
        .ljust(size)
    )
    head = b"IM" + struct.pack("<hhhhhh", size, width, height, 0, 0, pixel)
    return head.ljust(64, b"\0") + comment + image.tobytes() + x.tobytes() + y.tobytes()


def test_streak_image(tmp_path):
    (tmp_path / "s.img").write_bytes(img())
    m = read(tmp_path / "s.img", "decay")
    assert m.data.shape == (4, 6)
    assert m.data.wavelength.values[-1] == pytest.approx(550)
    assert m.data.time.values[-1] == pytest.approx(3)
    assert m.data.time.attrs["units"] == "ns"
    assert m.data.values[2, 3] == 15
    (tmp_path / "t.img").write_bytes(img(table=False))
    assert read(tmp_path / "t.img", "decay").data.wavelength.values[1] == pytest.approx(10)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"XX" + img()[2:], "not a Hamamatsu"),
        (img()[:-60], r"cut off|points to byte"),
        (img(pixel=9), "not read"),
        (b"IM" + struct.pack("<hhhhhh", 600, 30000, 30000, 0, 0, 2) + img()[14:], "cut off"),
    ],
)
def test_broken_streak_image(tmp_path, data, message):
    (tmp_path / "s.img").write_bytes(data)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "s.img", "decay")


def ufs(values, nm, t, sizes=None, announced=None):
    def text(s):
        return struct.pack(">I", len(s)) + s.encode()

    def axis(label, unit, x, n=None):
        return (
            text(label)
            + text(unit)
            + struct.pack(">I", n or len(x))
            + np.asarray(x, ">f8").tobytes()
        )

    return (
        text("Version2")
        + axis("Wavelength", "nm", nm, announced)
        + axis("Time", "ps", t)
        + text("DA")
        + struct.pack(">III", *(sizes or (0, len(nm), len(t))))
        + np.asarray(values, ">f8").tobytes()
        + b"Solvent: toluene"
    )


NM, T = np.linspace(450, 600, 7), np.array([-1.0, 0.0, 0.5, 2.0, 10.0])
VALUES = np.arange(35.0).reshape(7, 5)


def test_ufs(tmp_path):
    (tmp_path / "a.ufs").write_bytes(ufs(VALUES, NM, T))
    m = read(tmp_path / "a.ufs", "ta")
    assert np.array_equal(m.data.values, VALUES.T)
    assert m.data.time.attrs["units"] == "ps"
    assert "toluene" in m.metadata["text"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (ufs(VALUES, NM, T)[:-100], "cut off"),
        (ufs(VALUES, NM, T, announced=2**31), "cut off"),
        (ufs(VALUES, NM, T, sizes=(0, 3, 3)), "its axes 7 x 5"),
        (b"\xff" * 64, "announces a text"),
        (struct.pack(">I", 4) + b"None" + b"0" * 50, "does not start with a version"),
    ],
)
def test_broken_ufs(tmp_path, data, message):
    (tmp_path / "a.ufs").write_bytes(data)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "a.ufs", "ta")


def matrix_text(separator=",", decimal=".", corner="0", transpose=False):
    rows, columns, v = (NM, T, VALUES) if not transpose else (T, NM, VALUES.T)
    lines = [separator.join([corner, *map(repr, map(float, columns))])]
    lines += [
        separator.join(map(repr, map(float, [r, *row]))) for r, row in zip(rows, v, strict=True)
    ]
    return "\n".join(lines).replace(".", decimal)


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize(
    ("separator", "decimal", "corner"),
    [
        (",", ".", "0"),
        (";", ",", ""),
        ("\t", ".", "Time (ps)"),
        ("\t", ",", "nan"),
        (" ", ".", "0"),
    ],
)
def test_plain_matrix(tmp_path, separator, decimal, corner, transpose):
    text = matrix_text(separator, decimal, corner, transpose)
    (tmp_path / "m.csv").write_text(text + "\nSolvent: toluene\n")
    m = read(tmp_path / "m.csv", "ta")
    assert np.array_equal(m.data.values, VALUES.T)
    assert np.array_equal(m.data.time.values, T)
    assert np.array_equal(m.data.wavelength.values, NM)
    assert any("delays run along" in n for n in m.notes)


def explicit(by_time=True, count=None):
    axis, other, v = (T, NM, VALUES) if by_time else (NM, T, VALUES.T)
    lines = ["Header", "file", f"{'Time' if by_time else 'Wavelength'} explicit"]
    lines += [f"Intervalnr {count or axis.size}", "\t" + "\t".join(map(str, axis))]
    lines += ["\t".join(map(str, [o, *row])) for o, row in zip(other, v, strict=True)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("by_time", [True, False])
def test_pyglotaran_ascii(tmp_path, by_time):
    (tmp_path / "m.ascii").write_text(explicit(by_time))
    m = read(tmp_path / "m.ascii")
    assert m.kind == "ta"
    assert np.array_equal(m.data.values, VALUES.T)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (explicit(count=9), "announces 9 intervals and lists 5"),
        (explicit()[:-12], "line 12"),
        (explicit().replace("Intervalnr", "Nr"), "no 'Intervalnr'"),
        ("a b c\nd e f\n", "no matrix"),
        (matrix_text() + "\n1,2,3\n", "line 9"),
        (matrix_text().replace("450", "-450"), "neither axis"),
    ],
)
def test_broken_matrices(tmp_path, text, message):
    (tmp_path / "m.ascii").write_text(text)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "m.ascii", "ta")


SPCM = """  Title : film
  Author : someone
  #SP [SP_TAC_TC,F,4.0e-12]
*BLOCK 1  ( Time[ns]  No_of_photons )
0.000000 ,    1
0.004000 ,    5
0.008000 ,    9
*END
"""


def test_spcm_export(tmp_path):
    (tmp_path / "a.asc").write_text(SPCM)
    m = read(tmp_path / "a.asc", "decay")
    assert m.data.values.tolist() == [1, 5, 9]
    assert m.data.time.values[2] == pytest.approx(0.008)
    assert m.metadata["Title"] == "film"
    second = SPCM[SPCM.index("*BLOCK") :].replace("BLOCK 1", "BLOCK 2")
    (tmp_path / "b.asc").write_text(SPCM + second)
    assert read(tmp_path / "b.asc", "decay").data.shape == (3, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SPCM.replace("*END\n", ""), "cut off"),
        (SPCM.replace("0.004000 ,    5", "0.004000 ; five"), "line 6"),
        (SPCM[: SPCM.index("0.000")] + "*END\n", "empty"),
    ],
)
def test_broken_spcm(tmp_path, text, message):
    (tmp_path / "a.asc").write_text(text)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "a.asc", "decay")
