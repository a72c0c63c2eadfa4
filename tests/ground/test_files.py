"""Whole files or none, also when the disk is full or the work is cut off."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterodot.errors import (
    HeterodotError,
    InputError,
    MissingExtraError,
    NotFoundError,
    OutputError,
)
from heterodot.files import read_text, readable, replacing, write_text
from heterodot.units import Value, convert, format_error, parse


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.txt", "old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as beside:
        beside.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"No space left.*free some space"),
        replacing(tmp_path / "a.txt") as beside,
    ):
        beside.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_really_full_device(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="No space left"),
        replacing(tmp_path / "a.txt"),
        open("/dev/full", "w") as stream,
    ):
        stream.write("x" * 100_000)


def test_targets_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="part of the path is a file"):
        write_text(tmp_path / "file" / "a.txt", "x")
    with pytest.raises(OutputError, match="not of a folder"):
        write_text(tmp_path, "x")


def test_readable_refuses(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    (tmp_path / "big").write_text("12345")
    with pytest.raises(InputError, match="is empty"):
        readable(tmp_path / "empty")
    with pytest.raises(InputError, match="more than"):
        readable(tmp_path / "big", limit=3)


def test_text_in_other_encodings(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "latin-1"):
        path.write_bytes("Å °".encode(encoding) if encoding != "latin-1" else b"\xc5 \xb0")
        assert read_text(path) == "Å °"


def test_errors_survive_a_process_pool() -> None:
    error = InputError("bad", file="a.cif", place="line 3", remedy="mend it")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "a.cif: line 3: bad; mend it"
    assert {kind.exit_code for kind in (InputError, OutputError)} == {3}
    assert (NotFoundError.exit_code, MissingExtraError.exit_code) == (4, 5)
    assert issubclass(MissingExtraError, HeterodotError)


@given(st.floats(-1e6, 1e6), st.sampled_from(["nm", "angstrom", "um"]))
def test_units_there_and_back(number: float, unit: str) -> None:
    there = Value(number, unit, 0.1).to("pm")
    back = there.to(unit)
    assert back.value == pytest.approx(number, rel=1e-12, abs=1e-12)
    assert back.error == pytest.approx(0.1, rel=1e-6)


@pytest.mark.parametrize(
    ("text", "unit", "number"),
    [
        ("3.4 nm", "angstrom", 34.0),
        ("400 Å²", "angstrom^2", 400.0),
        ("0.05 eV/Å", "eV/angstrom", 0.05),
        ("15 °", "deg", 15.0),
        ("1e-3 um", "nm", 1.0),
        (7, "nm", 7.0),
    ],
)
def test_parse(text: str | float, unit: str, number: float) -> None:
    assert parse(text, unit) == pytest.approx(number)


@pytest.mark.parametrize("text", ["nm 3", "3 kg", "three nm", "3 nmm", "", "nan", True, "1e999"])
def test_parse_refuses(text: str) -> None:
    with pytest.raises(InputError):
        parse(text, "angstrom", place="here")


@given(st.floats(1e-25, 1e9), st.floats(1e-27, 1e3))
def test_error_in_brackets_keeps_the_value(value: float, error: float) -> None:
    text = format_error(value, error)
    number, _, rest = text.partition("(")
    power = float(f"1{rest.partition(')')[2] or 'e0'}")
    assert float(number) * power == pytest.approx(value, abs=0.51 * error + 1e-12 * value)
    assert ")" in rest


def test_convert_refuses_other_dimensions() -> None:
    with pytest.raises(InputError, match="cannot be given in"):
        convert(1, "eV", "nm")
