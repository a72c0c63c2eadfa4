"""Diffractometer files written here by the layouts' own rules, read back, cut off and damaged."""

from __future__ import annotations

import struct
import zipfile

import numpy as np
import pytest

from heterodot.errors import InputError
from heterodot.formats import read
from heterodot.probes.xrd.recorded import recorded

X = np.arange(40) * 0.05 + 20.0
Y = np.round(200 + 800 * np.exp(-(((X - 21) / 0.2) ** 2)))


def xrdml(path, *, counts=None, axis="2Theta", scans=1, tail=""):
    values = " ".join(str(int(v)) for v in (Y if counts is None else counts))
    scan = (
        '<scan scanAxis="Gonio" status="Completed"><dataPoints>'
        f'<positions axis="{axis}" unit="deg"><startPosition>{X[0]}</startPosition>'
        f"<endPosition>{X[-1]}</endPosition></positions>"
        '<commonCountingTime unit="seconds">2.0</commonCountingTime>'
        f'<intensities unit="counts">{values}</intensities></dataPoints></scan>'
    )
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<xrdMeasurements xmlns="http://www.xrdml.com/XRDMeasurement/1.5">'
        '<xrdMeasurement><usedWavelength><kAlpha1 unit="Angstrom">1.540598</kAlpha1>'
        '<kAlpha2 unit="Angstrom">1.544426</kAlpha2></usedWavelength>'
        f"{scan * scans}</xrdMeasurement></xrdMeasurements>{tail}",
        encoding="utf-8",
    )
    return path


def brml(path, *, axis="TwoTheta"):
    rows = "".join(
        f"<Datum>1.5,1,{a:.4f},{a / 2:.4f},{v:.0f}</Datum>" for a, v in zip(X, Y, strict=True)
    )
    text = (
        '<?xml version="1.0"?><RawData xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        "<FixedInformation><Instrument><Tube>"
        '<WaveLengthAlpha1 Unit="A" Value="1.540598" /></Tube></Instrument></FixedInformation>'
        "<DataRoutes><DataRoute><ScanInformation><ScanAxes>"
        f'<ScanAxisInfo AxisId="{axis}"><Start>{X[0]}</Start><Stop>{X[-1]}</Stop>'
        "<Increment>0.05</Increment></ScanAxisInfo></ScanAxes></ScanInformation>"
        f"{rows}<DataViews><RawDataView xsi:type='RecordedRawDataView' Start='4' Length='1'/>"
        "</DataViews></DataRoute></DataRoutes></RawData>"
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Experiment0/RawData0.xml", text)
        archive.writestr("Experiment0/DataContainer.xml", "<a/>")
    return path


def put(buffer, offset, kind, value):
    struct.pack_into("<" + kind, buffer, offset, value)


def raw3(path, n=None, extra=40):
    data = bytearray(712 + 304 + extra)
    data[:8] = b"RAW1.01\x00"
    put(data, 12, "I", 1)
    data[608:610] = b"Cu"
    put(data, 624, "d", 1.540598)
    put(data, 632, "d", 1.544426)
    put(data, 712, "I", 304)
    put(data, 716, "I", n or len(X))
    put(data, 712 + 16, "d", X[0])
    put(data, 712 + 176, "d", 0.05)
    put(data, 712 + 192, "f", 1.0)
    put(data, 712 + 256, "I", extra)
    path.write_bytes(bytes(data) + Y.astype("<f4").tobytes())
    return path


def raw2(path):
    data = bytearray(256 + 48)
    data[:4] = b"RAW2"
    put(data, 4, "H", 1)
    put(data, 190, "f", 1.540598)
    put(data, 256, "H", 48)
    put(data, 258, "H", len(X))
    put(data, 268, "f", 0.05)
    put(data, 272, "f", X[0])
    path.write_bytes(bytes(data) + Y.astype("<f4").tobytes())
    return path


def raw1(path):
    data = bytearray(156)
    data[:4] = b"RAW "
    put(data, 4, "I", len(X))
    put(data, 12, "f", 0.05)
    put(data, 24, "f", X[0])
    put(data, 72, "f", 1.540598)
    path.write_bytes(bytes(data) + Y.astype("<f4").tobytes())
    return path


def raw4(path, size=4):
    head = bytearray(61)
    head[:7] = b"RAW4.00"
    hardware = bytearray(120)
    put(hardware, 0, "I", 30)
    put(hardware, 4, "I", 120)
    put(hardware, 80, "d", 1.540598)
    block = bytearray(160 + 64)
    block[32:46] = b"Locked Coupled"
    put(block, 72, "d", X[0])
    put(block, 80, "d", 0.05)
    put(block, 88, "I", len(X))
    put(block, 136, "I", size)
    put(block, 140, "I", 64)
    points = np.zeros((len(X), size), dtype=np.uint8)
    points[:, :4] = Y.astype("<f4").view(np.uint8).reshape(-1, 4)
    path.write_bytes(bytes(head) + bytes(hardware) + bytes(block) + points.tobytes())
    return path


def ras(path, *, end=True, factor=1.0):
    rows = "\n".join(f"{a:.4f} {v / factor:.4f} {factor:.4f}" for a, v in zip(X, Y, strict=True))
    path.write_text(
        "*RAS_DATA_START\n*RAS_HEADER_START\n"
        '*HW_XG_TARGET_NAME "Cu"\n*HW_XG_WAVE_LENGTH_ALPHA1 "1.540593"\n'
        '*MEAS_SCAN_AXIS_X "TwoThetaTheta"\n*MEAS_SCAN_UNIT_Y "counts"\n'
        f"*RAS_HEADER_END\n*RAS_INT_START\n{rows}\n"
        + ("*RAS_INT_END\n*RAS_DATA_END\n" if end else "")
    )
    return path


def gsas(path, layout="FXYE", n=None):
    head = f"title\nBANK 1 {n or len(X)} {len(X)} "
    if layout == "FXYE":
        body = "\n".join(
            f"{100 * a:.2f} {v:.1f} {np.sqrt(v):.3f}" for a, v in zip(X, Y, strict=True)
        )
        path.write_text(f"{head}CONST 2000.0 5.0 0 0 FXYE\n{body}\n")
    elif layout == "ESD":
        cells = [f"{v:8.0f}{np.sqrt(v):8.2f}" for v in Y]
        lines = ["".join(cells[i : i + 5]) for i in range(0, len(cells), 5)]
        path.write_text(f"{head}CONST 2000.0 5.0 0 0 ESD\n" + "\n".join(lines) + "\n")
    else:
        cells = [f"  {v:6.0f}" for v in Y]
        lines = ["".join(cells[i : i + 10]) for i in range(0, len(cells), 10)]
        path.write_text(f"{head}CONST 2000.0 5.0 0 0 STD\n" + "\n".join(lines) + "\n")
    return path


def uxd(path, layout="_COUNTS"):
    head = (
        "; made by hand\n_FILEVERSION=2\n_SAMPLE='x'\n_WL_UNIT='A'\n_WL1=1.540600\n_WL2=1.544390\n"
        "_WLRATIO=0.500000\n_ANODE='Cu'\n; (Data for Range number 1)\n_DRIVE='COUPLED'\n"
        f"_STEPSIZE=0.05\n_START={X[0]}\n_STEPCOUNT={len(X)}\n{layout}\n"
    )
    if "2THETA" in layout:
        body = "\n".join(f"{a:.4f}\t{v:.0f}" for a, v in zip(X, Y, strict=True))
    else:
        cells = [f"{v:8.0f}" for v in Y]
        body = "\n".join("".join(cells[i : i + 8]) for i in range(0, len(cells), 8))
    path.write_text(head + body + "\n")
    return path


WRITERS = {
    "counts.uxd": uxd,
    "pairs.uxd": lambda p: uxd(p, "_2THETACOUNTS"),
    "std.xra": lambda p: gsas(p, "STD"),
    "a.xrdml": xrdml,
    "a.brml": brml,
    "v1.raw": raw1,
    "v2.raw": raw2,
    "v3.raw": raw3,
    "v4.raw": raw4,
    "a.ras": ras,
    "fxye.gsas": gsas,
    "esd.gsas": lambda p: gsas(p, "ESD"),
    "std.gsas": lambda p: gsas(p, "STD"),
    "text.raw": gsas,
}


@pytest.mark.parametrize("name", WRITERS)
def test_angles_counts_and_wavelength(tmp_path, name):
    found = read(WRITERS[name](tmp_path / name), "xrd")
    assert np.allclose(found.data["two_theta"], X, atol=1e-4)
    assert np.allclose(found.data, Y, rtol=1e-4)
    assert found.kind == "xrd"
    assert len(found.sha256) == 64
    if "gsas" not in name and "text" not in name and "xra" not in name:
        assert recorded(found).wavelength == pytest.approx(1.5406, abs=1e-4)


def test_xy_with_wavelength_in_its_head(tmp_path):
    path = tmp_path / "a.xy"
    rows = "\n".join(f"{a} {v}" for a, v in zip(X, Y, strict=True))
    path.write_text(f"# wavelength: MoKa\n{rows}\n")
    found = read(path, "xrd")
    assert recorded(found).wavelength == pytest.approx(0.7107, abs=1e-3)


def test_repeated_scans_are_added_and_attenuation_is_undone(tmp_path):
    found = read(xrdml(tmp_path / "a.xrdml", scans=3))
    assert np.allclose(found.data, 3 * Y)
    assert "added up" in found.notes[-1]
    assert np.allclose(read(ras(tmp_path / "a.ras", factor=10.0)).data, Y)
    wide = read(raw4(tmp_path / "a.raw", size=8))
    assert np.allclose(wide.data, Y)


@pytest.mark.parametrize(
    "name", ["a.xrdml", "a.brml", "v1.raw", "v2.raw", "v3.raw", "v4.raw", "fxye.gsas"]
)
@pytest.mark.parametrize("part", [0.02, 0.3, 0.8])
def test_cut_off_files_are_refused(tmp_path, name, part):
    path = WRITERS[name](tmp_path / name)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(InputError) as caught:
        read(path, "xrd")
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: ras(p / "a.ras", end=False), "RAS_INT_END"),
        (lambda p: xrdml(p / "a.xrdml", axis="Omega"), "does not scan 2theta"),
        (lambda p: brml(p / "a.brml", axis="Theta"), "does not scan 2theta"),
        (lambda p: raw3(p / "a.raw", n=2_000_000_000), "more than the file holds"),
        (lambda p: gsas(p / "a.gsas", n=90), "states 90 points"),
        (lambda p: _write(p / "a.xrdml", b"<html></html>"), "another kind"),
        (lambda p: _write(p / "a.xrdml", b'<!DOCTYPE a [<!ENTITY b "c">]><a/>'), "entities"),
        (lambda p: _write(p / "a.brml", b"\x89PNG\r\n\x1a\n" + bytes(50)), "not a whole .brml"),
        (lambda p: _write(p / "a.raw", b"II*\x00" + bytes(90)), "does not begin with RAW"),
        (lambda p: _write(p / "a.ras", b"hello\nworld\n"), "RAS_DATA_START"),
        (lambda p: _write(p / "a.gsas", b"title\n1 2 3\n"), "no BANK"),
        (lambda p: _write(p / "a.gsas", b"t\nBANK 1 5 1 SLOG 1 2 3 4 FXYE\n1 2 3\n"), "constant"),
        (lambda p: _write(p / "a.xy", bytes(range(256)) * 9), "binary"),
        (lambda p: _write(p / "a.xy", b""), "empty"),
    ],
)
def test_files_that_are_not_what_they_say(tmp_path, make, message):
    with pytest.raises(InputError, match=message):
        read(make(tmp_path), "xrd")


def test_uxd_that_is_cut_off_or_no_2theta_scan(tmp_path):
    path = uxd(tmp_path / "a.uxd")
    text = path.read_text()
    for changed, message in (
        (text[: len(text) - 60], "states 40 points"),
        (text.replace("_COUNTS", ""), "no _COUNTS"),
        (text.replace("COUPLED", "PHI"), "drives 'PHI'"),
        (text.replace("     200", "   what?", 1), "no number"),
    ):
        path.write_text(changed)
        with pytest.raises(InputError, match=message):
            read(path, "xrd")


def test_coupled_axes_by_any_of_their_names(tmp_path):
    path = ras(tmp_path / "a.ras")
    text = path.read_text()
    for axis, fine in (("2-Theta/Omega", True), ("TwoThetaOmega", True), ("Omega", False)):
        path.write_text(text.replace("TwoThetaTheta", axis))
        if fine:
            assert len(read(path, "xrd").data) == len(X)
        else:
            with pytest.raises(InputError, match="not 2theta"):
                read(path, "xrd")


def test_a_map_of_scans_is_said_to_be_no_powder_pattern(tmp_path):
    path = xrdml(tmp_path / "a.xrdml", scans=2)
    text = path.read_text()
    place = '<positions axis="Omega" unit="deg"><commonPosition>{}</commonPosition></positions>'
    first, second = text.split("<dataPoints>", 2)[0], text.split("<dataPoints>", 2)[1:]
    path.write_text(
        first + "<dataPoints>" + place.format(30.1) + second[0] + "<dataPoints>"
        + place.format(30.2) + second[1]
    )  # fmt: skip
    assert any("differ in Omega" in note for note in read(path, "xrd").notes)


def _write(path, data):
    path.write_bytes(data)
    return path


def test_a_zip_that_would_burst_is_refused(tmp_path, monkeypatch):
    from heterodot.formats import brml as module

    monkeypatch.setattr(module, "_LARGEST", 100)
    with pytest.raises(InputError, match="unpack"):
        read(brml(tmp_path / "a.brml"))
