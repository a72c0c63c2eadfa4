"""Images of area detectors: counts over rows and columns, through fabio, .tif also without it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, MissingExtraError
from heterodot.files import readable, sha256

if TYPE_CHECKING:
    from heterodot.measurement import Measurement

# suffix -> module of fabio that reads it; only these, since its guess opens far more
FABIO = {
    ".edf": "edfimage", ".cbf": "cbfimage", ".tif": "tifimage", ".tiff": "tifimage",
    ".mccd": "marccdimage", ".gfrm": "brukerimage", ".img": "adscimage", ".mar3450": "mar345image",
    ".mar2300": "mar345image", ".gb": "raxisimage", ".osc": "raxisimage",
}  # fmt: skip
PLAIN = (".edf", ".img", ".mccd", ".osc", ".gb")  # not compressed
MAX_PIXELS = 2**28


def read(path: Path, kind: str | None = None) -> Measurement:
    """Return an image of an area detector, kind ``"giwaxs-image"``.

    Parameters
    ----------
    path : Path
        .edf, .cbf, .tif, .mccd, .gfrm, .img (ADSC), .mar3450, .osc.
    kind : str, optional
        Not used.

    Raises
    ------
    InputError
        Not such an image, damaged, of more than one or no frame, or without counts.
    MissingExtraError
        fabio is not installed (for all but .tif).
    """
    import xarray as xr

    from heterodot.measurement import Measurement

    path = Path(path)
    readable(path, limit=2**31)
    suffix = path.suffix.lower()
    if suffix not in FABIO:
        raise InputError(
            f"images of type '{suffix}' are not read",
            file=path,
            remedy="convert it to .edf or .tif",
        )
    data, header, notes = _fabio(path, suffix)
    if suffix in PLAIN and path.stat().st_size < data.nbytes:
        raise InputError(
            f"states {data.shape} pixels but is too short for them",
            file=path,
            remedy="it is cut off: copy it again",
        )
    if data.ndim != 2 or min(data.shape) < 2:
        raise InputError(
            f"holds {data.shape} numbers, no image", file=path, remedy="give a single frame"
        )
    if data.size > MAX_PIXELS:
        raise InputError(f"claims {data.shape} pixels", file=path, remedy="bin or crop it")
    counts = data.astype(np.float64)
    if not np.isfinite(counts).any() or float(np.nanmax(counts)) <= 0:
        raise InputError("has no positive pixel", file=path, remedy="give the image as recorded")
    if np.issubdtype(data.dtype, np.unsignedinteger) and data.dtype.itemsize > 1:
        # gaps of modular detectors are written as the largest number
        full = data == np.iinfo(data.dtype).max
        if full.any():
            counts[full] = np.nan
            notes.append(f"{int(full.sum())} pixels hold the largest number and were left out")
    if data.dtype == np.uint8:
        notes.append("eight bits a pixel: counts may be clipped or not linear")
    rows, columns = (np.arange(n) for n in counts.shape)
    array = xr.DataArray(
        counts,
        dims=("row", "column"),
        coords={
            "row": ("row", rows, {"units": ""}),
            "column": ("column", columns, {"units": ""}),
        },
        name="intensity",
        attrs={"units": "", "long_name": "counts"},
    )
    return Measurement(array, "giwaxs-image", path.name, sha256(path), header, tuple(notes))


def _fabio(path: Path, suffix: str) -> tuple[NDArray[Any], dict[str, Any], list[str]]:
    """Return pixels, header and notes of an image's first frame."""
    import importlib

    logging.getLogger("fabio").setLevel(logging.ERROR)
    try:
        module = importlib.import_module(f"fabio.{FABIO[suffix]}")
    except ImportError as error:
        if suffix in (".tif", ".tiff"):
            return _pillow(path)
        raise MissingExtraError(
            f"images of type {suffix} are read through fabio",
            file=path,
            remedy="pip install heterodot[giwaxs], or convert it to .tif",
        ) from error
    reader = next(v for k, v in vars(module).items() if k.lower() == FABIO[suffix])
    try:
        image = reader().read(str(path))
        data = np.array(image.data)
        header = {str(k)[:200]: str(v)[:2000] for k, v in list((image.header or {}).items())[:500]}
        frames = int(getattr(image, "nframes", 1) or 1)
    except MemoryError:
        raise InputError("claims more pixels than there is memory", file=path) from None
    except Exception as error:  # the readers raise many kinds on damaged files
        raise InputError(
            f"is not what its suffix says, or damaged ({str(error)[:120] or type(error).__name__})",
            file=path,
            remedy="copy or export it again",
        ) from error
    notes = [f"the first of {frames} frames was taken"] if frames > 1 else []
    return data, header, notes


def _pillow(path: Path) -> tuple[NDArray[Any], dict[str, Any], list[str]]:
    from PIL import Image

    try:
        with Image.open(path, formats=["TIFF"]) as opened:
            if opened.size[0] * opened.size[1] > MAX_PIXELS:
                raise InputError(f"claims {opened.size} pixels", file=path, remedy="bin it")
            data = np.array(opened)
            frames = int(getattr(opened, "n_frames", 1))
    except (OSError, ValueError, SyntaxError, TypeError, Image.DecompressionBombError) as error:
        raise InputError(
            "is not what its suffix says, or damaged", file=path, remedy="export it again"
        ) from error
    return data, {}, [f"the first of {frames} frames was taken"] if frames > 1 else []
