"""One study file, its stages, what is kept of them, and where it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from heterodot.study.study import Study, StudyResult

__all__ = ["Study", "StudyResult"]


def __getattr__(name: str) -> Any:
    # the study's model needs pydantic, which takes a while to import
    if name in __all__:
        from heterodot.study import study

        return getattr(study, name)
    raise AttributeError(f"module 'heterodot.study' has no attribute '{name}'")
