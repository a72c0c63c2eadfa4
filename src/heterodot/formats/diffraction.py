"""What all diffractometer files end as: intensity over 2theta, with wavelength and conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.files import sha256

if TYPE_CHECKING:
    from heterodot.measurement import Measurement

Floats = NDArray[np.float64]


def pattern(
    path: Path,
    two_theta: Floats,
    intensity: Floats,
    *,
    unit: str = "counts",
    error: Floats | None = None,
    wavelength: float | None = None,
    metadata: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> Measurement:
    """Return a powder pattern as a measurement of kind ``"xrd"``.

    Parameters
    ----------
    path : Path
        The file that it was read from.
    two_theta, intensity : (n,) arrays
        Degrees and values, as the file has them.
    unit : str
        ``"counts"`` or ``"counts/s"`` (kept in the long name; a count has no unit).
    error : (n,) array, optional
        One standard deviation.
    wavelength : float, optional
        Å, where the file states it (K-alpha1 where it states that).
    metadata, notes
        As the file says; what was assumed.

    Raises
    ------
    InputError
        Lengths differ, or there are fewer than three points.
    """
    import xarray as xr

    from heterodot.measurement import Measurement

    if len(two_theta) != len(intensity):
        raise InputError(
            f"has {len(two_theta)} angles and {len(intensity)} intensities",
            file=path,
            remedy="the file may be cut off; export it again",
        )
    if len(two_theta) < 3:
        raise InputError(f"has {len(two_theta)} points", file=path, remedy="give a whole scan")
    coords: dict[str, Any] = {
        "two_theta": (
            "two_theta",
            np.asarray(two_theta, dtype=float),
            {"units": "deg", "long_name": "scattering angle 2theta"},
        )
    }
    if error is not None:
        coords["error"] = ("two_theta", np.asarray(error, dtype=float), {"units": ""})
    data = xr.DataArray(
        np.asarray(intensity, dtype=float),
        dims="two_theta",
        name="intensity",
        coords=coords,
        attrs={"units": "", "long_name": unit},
    )
    found = dict(metadata or {})
    if wavelength is not None and np.isfinite(wavelength) and 0.05 < wavelength < 5:
        found["wavelength"] = float(wavelength)
    return Measurement(data, "xrd", path.name, sha256(path), found, tuple(notes))


def number(text: str | None) -> float | None:
    """Return the number that a text is, or None."""
    if text is None:
        return None
    try:
        value = float(text.strip().strip('"'))
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def numbers(text: str, path: Path, place: str) -> Floats:
    """Return the numbers of a text separated by blanks.

    Raises
    ------
    InputError
        Something else stands among them.
    """
    try:
        return np.array([float(word) for word in text.split()])
    except ValueError as error:
        raise InputError(
            f"holds what is no number ({error})", file=path, place=place, remedy="export it again"
        ) from None


def xml_root(data: bytes, path: Path) -> Any:
    """Return the root element of an XML document; entities are refused.

    Raises
    ------
    InputError
        Not whole XML, or XML with declarations of entities.
    """
    from xml.etree import ElementTree

    if b"<!ENTITY" in data[:65536] or b"<!DOCTYPE" in data[:65536]:
        raise InputError(
            "declares XML entities, which no diffractometer does",
            file=path,
            remedy="do not open it",
        )
    try:
        return ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise InputError(
            f"is not whole XML ({error})",
            file=path,
            remedy="the file may be cut off or of another type; export it again",
        ) from None


def local(tag: str) -> str:
    """Return an XML tag without its namespace."""
    return tag.rsplit("}", 1)[-1]


def children(element: Any, name: str) -> list[Any]:
    """Return all descendants of a name, whatever the namespace."""
    return [e for e in element.iter() if local(e.tag) == name]


def first_text(element: Any, name: str) -> str | None:
    """Return the text of the first descendant of a name."""
    for e in children(element, name):
        return str(e.text or "").strip()
    return None
