"""Plain data: what JSON knows, without NaN."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def plain(content: Any) -> Any:
    """Return nested data as JSON knows it: arrays as lists, NaN and infinity as null.

    Objects with ``to_json`` are turned into what it returns.

    Examples
    --------
    >>> import numpy as np
    >>> plain({"a": np.array([1.0, np.nan]), "b": (np.int64(3),)})
    {'a': [1.0, None], 'b': [3]}
    """
    import numpy as np

    if isinstance(content, Mapping):
        return {str(key): plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple | set | frozenset):
        return [plain(value) for value in content]
    if isinstance(content, np.ndarray):
        return plain(content.tolist())
    if isinstance(content, np.generic):
        return plain(content.item())
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Path):
        return str(content)
    if hasattr(content, "to_json"):
        return plain(content.to_json())
    return content
