"""Errors that tell a person what was wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class HeterodotError(Exception):
    """An error that the user can act on, in one sentence.

    Parameters
    ----------
    what : str
        What was wrong, e.g. ``"0.4 nm is below one unit cell of CsPbCl3 (0.56 nm)"``.
    file : str or path, optional
        The file that holds the fault.
    place : str, optional
        Where in the file or call: a key path, a line, an option name.
    remedy : str, optional
        What to do about it, as an imperative.

    Examples
    --------
    >>> str(InputError("-3 is not a size", file="study.toml", place="particle.size_a",
    ...                remedy="give a length such as '3.4 nm'"))
    "study.toml: particle.size_a: -3 is not a size; give a length such as '3.4 nm'"
    """

    exit_code = 3

    def __init__(
        self,
        what: str,
        *,
        file: str | Path | None = None,
        place: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.what = what
        self.file = str(file) if file is not None else None
        self.place = place
        self.remedy = remedy
        super().__init__(what)

    def __str__(self) -> str:
        parts = [part for part in (self.file, self.place) if part]
        text = ": ".join([*parts, self.what])
        return f"{text}; {self.remedy}" if self.remedy else text

    def __reduce__(self) -> tuple[object, ...]:
        # keyword arguments survive a process pool
        return (_rebuild, (type(self), self.what, self.file, self.place, self.remedy))

    def at(self, *, file: str | Path | None = None, place: str | None = None) -> HeterodotError:
        """Return the same error with file or place filled in where it had none."""
        return type(self)(
            self.what,
            file=self.file or file,
            place=self.place or place,
            remedy=self.remedy,
        )


def _rebuild(
    kind: type[HeterodotError], what: str, file: str | None, place: str | None, remedy: str | None
) -> HeterodotError:
    return kind(what, file=file, place=place, remedy=remedy)


class InputError(HeterodotError):
    """A file, value or name that cannot be used (exit code 3)."""


class MissingValueError(InputError):
    """A physical value that a method needs and nothing provides (exit code 3)."""


class OutputError(HeterodotError):
    """A result that could not be written (exit code 3)."""


class NotFoundError(HeterodotError):
    """Nothing within the limits, or a search or fit that did not converge (exit code 4)."""

    exit_code = 4


class MissingExtraError(HeterodotError):
    """An optional part (library, program) that is not installed (exit code 5)."""

    exit_code = 5


def nearest(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Return up to ``n`` known names that look most like ``name``.

    Examples
    --------
    >>> nearest("CsPbC13", ["PbS", "CsPbCl3", "CsPbBr3"])[0]
    'CsPbCl3'
    """
    import difflib

    folded: dict[str, str] = {}
    for candidate in known:
        folded.setdefault(candidate.casefold(), candidate)
    hits = difflib.get_close_matches(name.casefold(), list(folded), n=n, cutoff=0.4)
    return [folded[hit] for hit in hits]
