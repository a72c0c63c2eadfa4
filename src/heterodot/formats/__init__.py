"""Instrument files in, `Measurement` out, or an error that says where and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from heterodot.errors import InputError, nearest
from heterodot.files import readable

if TYPE_CHECKING:
    from collections.abc import Callable

    from heterodot.measurement import Measurement

# suffix -> "module:function"; the function takes a path and the kind that the caller expects
# ("xrd", "decay", "ta", "absorption"... or None) and returns a Measurement. A reader refuses a
# file whose content is not what its suffix says. Keep the rows sorted.
# A row "suffix:kind" comes before the row of the suffix alone where one suffix is shared.
READERS: dict[str, str] = {
    ".asc": "heterodot.formats.tcspc:read",
    ".ascii": "heterodot.formats.ta:read",
    ".bcf": "heterodot.formats.edx:read",
    ".brml": "heterodot.formats.brml:read",
    ".cbf": "heterodot.formats.detector:read",
    ".csv": "heterodot.formats.columns:read",
    ".csv:edx": "heterodot.formats.edx:read",
    ".csv:ta": "heterodot.formats.ta:read",
    ".dat": "heterodot.formats.columns:read",
    ".dat:edx": "heterodot.formats.edx:read",
    ".dat:ta": "heterodot.formats.ta:read",
    ".dm3": "heterodot.formats.images:read",
    ".dm3:edx": "heterodot.formats.edx:read",
    ".dm4": "heterodot.formats.images:read",
    ".dm4:edx": "heterodot.formats.edx:read",
    ".dx": "heterodot.formats.jcamp:read",
    ".edf": "heterodot.formats.detector:read",
    ".emd": "heterodot.formats.images:read",
    ".emd:edx": "heterodot.formats.edx:read",
    ".emsa": "heterodot.formats.edx:read",
    ".fs": "heterodot.formats.edinburgh:read",
    ".fxye": "heterodot.formats.gsas:read",
    ".gda": "heterodot.formats.gsas:read",
    ".gfrm": "heterodot.formats.detector:read",
    ".gsa": "heterodot.formats.gsas:read",
    ".gsas": "heterodot.formats.gsas:read",
    ".gss": "heterodot.formats.gsas:read",
    ".hspy": "heterodot.formats.edx:read",
    ".img": "heterodot.formats.hamamatsu:read",
    ".img:giwaxs": "heterodot.formats.detector:read",
    ".jcamp": "heterodot.formats.jcamp:read",
    ".jdx": "heterodot.formats.jcamp:read",
    ".jwb": "heterodot.formats.jasco:read",
    ".jws": "heterodot.formats.jasco:read",
    ".mar2300": "heterodot.formats.detector:read",
    ".mar3450": "heterodot.formats.detector:read",
    ".mccd": "heterodot.formats.detector:read",
    ".msa": "heterodot.formats.edx:read",
    ".nc": "heterodot.formats.netcdf:read",
    ".osc": "heterodot.formats.detector:read",
    ".phu": "heterodot.formats.picoquant:read",
    ".png": "heterodot.formats.images:read",
    ".ptu": "heterodot.formats.picoquant:read",
    ".ras": "heterodot.formats.rigaku:read",
    ".raw": "heterodot.formats.bruker_raw:read",
    ".sdt": "heterodot.formats.becker_hickl:read",
    ".ser": "heterodot.formats.images:read",
    ".spc": "heterodot.formats.spc:read",
    ".tif": "heterodot.formats.images:read",
    ".tif:giwaxs": "heterodot.formats.detector:read",
    ".tiff": "heterodot.formats.images:read",
    ".tiff:giwaxs": "heterodot.formats.detector:read",
    ".tsv": "heterodot.formats.columns:read",
    ".tsv:edx": "heterodot.formats.edx:read",
    ".tsv:ta": "heterodot.formats.ta:read",
    ".txt": "heterodot.formats.columns:read",
    ".txt:edx": "heterodot.formats.edx:read",
    ".txt:ta": "heterodot.formats.ta:read",
    ".ufs": "heterodot.formats.ufs:read",
    ".uxd": "heterodot.formats.uxd:read",
    ".xra": "heterodot.formats.gsas:read",
    ".xrdml": "heterodot.formats.xrdml:read",
    ".xy": "heterodot.formats.columns:read",
    ".xye": "heterodot.formats.columns:read",
}


def read(path: str | Path, kind: str | None = None) -> Measurement:
    """Return what an instrument's file holds.

    Parameters
    ----------
    path : str or Path
    kind : str, optional
        What it should be (``"xrd"``, ``"decay"``...), which helps where a suffix is shared.

    Raises
    ------
    InputError
        Missing, empty, of a suffix that is not known, or not what it claims to be.
    """
    import importlib

    readable(path, limit=2**33)
    suffix = Path(path).suffix.lower()
    if suffix not in READERS:
        close = nearest(suffix, READERS, n=1)
        raise InputError(
            f"files of type '{suffix or 'none'}' are not read",
            file=path,
            remedy=f"{f'did you mean {close[0]}? ' if close else ''}export it as .csv or .txt",
        )
    row = READERS.get(f"{suffix}:{kind}", READERS[suffix])
    module, function = row.split(":")
    reader: Callable[[Path, str | None], Measurement] = getattr(
        importlib.import_module(module), function
    )
    return reader(Path(path), kind)
