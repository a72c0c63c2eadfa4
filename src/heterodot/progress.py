"""How long work tells its caller how far it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called by long work with what it is doing and the fraction done.

    Floors below the faces never print; they call this. A caller that wants to stop raises
    ``KeyboardInterrupt`` from it, and work that can keep its best state so far does.
    """

    def __call__(self, doing: str, fraction: float) -> None:
        """Report ``doing`` (a short phrase) with ``fraction`` in 0..1 done."""


def silent(doing: str, fraction: float) -> None:
    """Report nothing (the default)."""
