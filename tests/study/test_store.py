"""A stage's result is taken only when every file is as it was when the stage ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from heterodot.errors import OutputError
from heterodot.study.store import DONE, Store, content_hash


def counted(calls: list[int], text: str = "whole") -> Any:
    def work(folder: Path) -> dict[str, Any]:
        calls.append(1)
        (folder / "a.txt").write_text(text)
        return {"n": len(calls), "bad": float("nan")}

    return work


def test_a_second_run_does_nothing(tmp_path: Path) -> None:
    calls: list[int] = []
    key = content_hash({"x": 1})
    first = Store(tmp_path).make("s", key, counted(calls))
    second = Store(tmp_path).make("s", key, counted(calls))
    assert (first.reused, second.reused) == (False, True)
    assert second.summary == first.summary == {"n": 1, "bad": None}
    assert len(calls) == 1


@pytest.mark.parametrize("harm", ["cut", "lost", "no vouch", "half vouch", "other key"])
def test_anything_less_than_whole_is_made_again(tmp_path: Path, harm: str) -> None:
    calls: list[int] = []
    key = content_hash({"x": 1})
    folder = Store(tmp_path).make("s", key, counted(calls)).folder
    if harm == "cut":
        (folder / "a.txt").write_text("who")
    elif harm == "lost":
        (folder / "a.txt").unlink()
    elif harm == "no vouch":
        (folder / DONE).unlink()
    elif harm == "half vouch":
        (folder / DONE).write_text((folder / DONE).read_text()[:30])
    else:
        record = json.loads((folder / DONE).read_text())
        (folder / DONE).write_text(json.dumps({**record, "key": "0" * 64}))
    again = Store(tmp_path).make("s", key, counted(calls))
    assert not again.reused
    assert len(calls) == 2
    assert (folder / "a.txt").read_text() == "whole"


@pytest.mark.parametrize("blow", [KeyboardInterrupt, OSError, RuntimeError])
def test_a_killed_stage_leaves_nothing_that_counts(tmp_path: Path, blow: Any) -> None:
    calls: list[int] = []

    def dies(folder: Path) -> dict[str, Any]:
        (folder / "a.txt").write_text("half")
        raise blow

    with pytest.raises(blow):
        Store(tmp_path).make("s", "k" * 64, dies)
    assert Store(tmp_path).find("s", "k" * 64) is None
    assert Store(tmp_path).make("s", "k" * 64, counted(calls)).path("a.txt").read_text() == "whole"


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be used for results"):
        Store(tmp_path / "file")
