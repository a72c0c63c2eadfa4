"""Micrographs with their scale: .tif and .png through Pillow, microscopes' files through RosettaSciIO.

An image without a scale is taken only if the caller gives one: sizes in pixels are of no use.
"""

from __future__ import annotations

import importlib
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, MissingExtraError
from heterodot.files import readable, sha256

if TYPE_CHECKING:
    from heterodot.measurement import Measurement

PLAIN = {".tif": "TIFF", ".tiff": "TIFF", ".png": "PNG"}
ROSETTA = {
    ".dm3": "digitalmicrograph",
    ".dm4": "digitalmicrograph",
    ".emd": "emd",
    ".ser": "tia",
}
MAX_PIXELS = 2**28
NANOMETERS = {"nm": 1.0, "um": 1e3, "µm": 1e3, "μm": 1e3, "micron": 1e3, "mm": 1e6, "cm": 1e7,
              "m": 1e9, "inch": 2.54e7, "pm": 1e-3, "a": 0.1, "å": 0.1, "angstrom": 0.1}  # fmt: skip
SMALLEST_PIXEL = 1e-4  # nm
LARGEST_PIXEL = 1e4  # nm: more is the resolution of a printer, not of a microscope


def read(path: Path, kind: str | None = None, *, pixel_size: float | None = None) -> Measurement:
    """Return a micrograph with axes x and y in nm.

    Parameters
    ----------
    path : Path
        .tif, .png, .dm3, .dm4, .emd or .ser.
    kind : str, optional
        Not used.
    pixel_size : float, optional
        nm; taken before what the file says.

    Raises
    ------
    InputError
        Not an image, not what its suffix says, damaged, or without scale.
    MissingExtraError
        A microscope's own format without RosettaSciIO.
    """
    import xarray as xr

    from heterodot.measurement import Measurement

    path = Path(path)
    readable(path, limit=2**33)
    suffix = path.suffix.lower()
    if suffix in PLAIN:
        data, found, metadata, notes = _plain(path)
    elif suffix in ROSETTA:
        data, found, metadata, notes = _rosetta(path)
    else:
        raise InputError("is no image that is read here", file=path, remedy="export it as .tif")
    if pixel_size is not None:
        if not (math.isfinite(pixel_size) and pixel_size > 0):
            raise InputError(f"{pixel_size} is not the size of a pixel", place="pixel size")
        if found is not None and abs(found / pixel_size - 1) > 0.02:
            notes.append(f"the file says {found:.4g} nm per pixel; {pixel_size:.4g} was given")
        found = pixel_size
    if found is None:
        raise InputError(
            "the image states no scale",
            file=path,
            remedy="give the size of a pixel, or the microscope's own file",
        )
    bar = scale_bar(data)
    if bar is not None:
        y0, y1, x0, x1 = bar
        notes.append(
            f"a burnt-in scale bar seems to be at rows {y0} to {y1}, columns {x0} to {x1} "
            f"({x1 - x0} pixels long): crop it; eight bits also cut off strong contrast"
        )
        metadata["scale_bar"] = list(bar)
    y, x = (np.arange(n) * found for n in data.shape)
    array = xr.DataArray(
        data,
        dims=("y", "x"),
        coords={"y": ("y", y, {"units": "nm"}), "x": ("x", x, {"units": "nm"})},
        name="intensity",
        attrs={"units": "", "pixel_size_nm": found, "y_axis": "down"},
    )
    return Measurement(array, "image", path.name, sha256(path), metadata, tuple(notes))


def _plain(path: Path) -> tuple[NDArray[Any], float | None, dict[str, Any], list[str]]:
    """Return gray values, nm per pixel, metadata and notes of a .tif or .png."""
    import warnings

    from PIL import Image

    wanted = PLAIN[path.suffix.lower()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            opened = Image.open(path, formats=list(set(PLAIN.values())))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(
            f"is not an image of the type {path.suffix}", file=path, remedy="export it again"
        ) from error
    with opened:
        if opened.format != wanted:
            raise InputError(
                f"is {opened.format}, not {wanted}", file=path, remedy="correct its suffix"
            )
        if opened.size[0] * opened.size[1] > MAX_PIXELS:
            raise InputError(f"claims {opened.size} pixels", file=path, remedy="bin or crop it")
        try:
            found, metadata = _scale(opened)
            notes = []
            frames = int(getattr(opened, "n_frames", 1))
            if frames > 1:
                notes.append(f"the first of {frames} frames was taken")
            data = np.asarray(opened)
            if data.ndim == 3 or opened.mode == "P":
                notes.append("colors were turned into gray: a screenshot may not be linear")
                data = np.asarray(opened.convert("L"))
        except (OSError, ValueError, SyntaxError, TypeError) as error:
            raise InputError(
                "is damaged or cut off", file=path, remedy="copy or export it again"
            ) from error
    if data.dtype == np.uint8:
        notes.append("eight bits a pixel: gray may be clipped or not linear")
    return data.astype(np.float64), found, metadata, notes


def _scale(opened: Any) -> tuple[float | None, dict[str, Any]]:
    """Return nm per pixel from the tags of ImageJ, FEI/Thermo, Olympus, or the resolution."""
    metadata: dict[str, Any] = {}
    if not hasattr(opened, "tag_v2"):
        # the resolution of a .png is that of a printer; only a micrometer's would mean a scale
        dpi = opened.info.get("dpi")
        metadata["dpi"] = None if dpi is None else [float(x) for x in dpi]
        size = 2.54e7 / float(dpi[0]) if dpi and float(dpi[0]) > 0 else None
        return (size if size is not None and size < LARGEST_PIXEL else None), metadata
    tags = opened.tag_v2
    text = str(tags.get(270, ""))
    metadata["description"] = text[:2000]
    fei = tags.get(34682) or tags.get(34680)
    if fei is not None:
        said = fei if isinstance(fei, str) else bytes(fei).decode("latin-1", "replace")
        metadata["instrument"] = said[:20000]
        match = re.search(r"PixelWidth\s*=\s*([-+.\deE]+)", said)
        if match and float(match[1]) > 0:
            return float(match[1]) * 1e9, metadata
    gatan = str(tags.get(65003, "")).strip("\0 ").lower()
    if gatan in NANOMETERS and float(tags.get(65009, 0) or 0) > 0:
        return float(tags[65009]) * NANOMETERS[gatan], metadata
    zeiss = str(tags.get(34118, "")).split()
    if len(zeiss) > 3 and _number(zeiss[3]) > 0:
        return _number(zeiss[3]) * 1e9, metadata
    resolution = float(tags.get(282, 0) or 0)
    unit = re.search(r"^unit=(.+)$", text, re.MULTILINE)
    if text.startswith("ImageJ") and unit and resolution > 0:
        name = unit[1].strip().replace("\\u00B5", "µ").replace("\\u00C5", "Å").lower()
        if name in NANOMETERS:
            return NANOMETERS[name] / resolution, metadata
    step = {2: 2.54e7, 3: 1e7}.get(int(tags.get(296, 2) or 2))
    if resolution > 0 and step is not None and step / resolution < LARGEST_PIXEL:
        return step / resolution, metadata
    return None, metadata


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _rosetta(path: Path) -> tuple[NDArray[Any], float | None, dict[str, Any], list[str]]:
    """Return the first image of a microscope's file."""
    module = ROSETTA[path.suffix.lower()]
    try:
        reader = importlib.import_module(f"rsciio.{module}")
    except ImportError as error:
        raise MissingExtraError(
            f"files of type {path.suffix} are read through RosettaSciIO",
            file=path,
            remedy="install heterodot[microscopy], or export the image as .tif",
        ) from error
    try:
        signals = reader.file_reader(str(path))
    except Exception as error:  # the readers raise many kinds on damaged files
        raise InputError(
            f"is not what its suffix says, or damaged ({error})", file=path, remedy="copy it again"
        ) from error
    flat, stacks, others = _images(signals)
    notes = []
    if flat:
        signal, data = flat[0], np.asarray(flat[0]["data"])
    elif stacks:
        signal, data = stacks[0], np.asarray(stacks[0]["data"])[0]
        notes.append(f"the first of {np.shape(stacks[0]['data'])[0]} frames was taken")
    else:
        raise InputError(
            f"holds no image{f' but {others[0]}' if others else ''}", file=path,
            remedy="export the image as .tif",
        )  # fmt: skip
    if len(flat) > 1:
        notes.append(f"the first of {len(flat)} images was taken")
    size = _step(signal["axes"][-1])
    if size is not None and not SMALLEST_PIXEL <= size <= LARGEST_PIXEL * 100:
        raise InputError(
            f"states a pixel of {size:.3g} nm", file=path,
            remedy="it may hold a diffraction pattern; else give the size of a pixel",
        )  # fmt: skip
    if (
        size is not None
        and data.size
        and abs((_step(signal["axes"][-2]) or size) / size - 1) > 0.01
    ):
        raise InputError(
            "has pixels that are not square", file=path, remedy="resample it and export it as .tif"
        )
    metadata = {"original": signal.get("metadata", {})}
    return data.astype(np.float64), size, metadata, notes


def _images(signals: Any) -> tuple[list[Any], list[Any], list[str]]:
    """Return single images and stacks among what a file holds, and what else is in it."""
    flat: list[Any] = []
    stacks: list[Any] = []
    others: list[str] = []
    for signal in signals:
        shape = np.shape(signal["data"])
        units = [str(axis.get("units", "")).strip() for axis in signal["axes"]]
        kind = np.asarray(signal["data"]).dtype.kind
        if kind == "c":
            others.append("a Fourier transform (complex numbers)")
        elif any(u.lower() in ("ev", "kev", "mev") for u in units):
            others.append("spectra")
        elif any(u.replace(" ", "").startswith("1/") or u in ("mrad", "rad") for u in units[-2:]):
            others.append(f"a diffraction pattern (axes in {units[-1]})")
        elif kind not in "buif" or len(shape) not in (2, 3) or 0 in shape:
            others.append(f"{len(shape)}-dimensional data")
        else:
            (flat if len(shape) == 2 else stacks).append(signal)
    return flat, stacks, others


def _step(axis: Any) -> float | None:
    """Return the scale of an axis, nm, or None if it has none."""
    factor = NANOMETERS.get(str(axis.get("units", "")).strip().lower())
    size = abs(float(axis.get("scale", 0.0))) * factor if factor else 0.0
    return size if size > 0 and math.isfinite(size) else None


def write_tiff(path: str | Path, image: Measurement) -> Path:
    """Write an image as 32-bit TIFF with its scale, as ImageJ, Gatan's program and `read` find it.

    The top row of the file is the top of the picture; how the image was made goes into the
    description as JSON.

    Parameters
    ----------
    path : str or Path
        .tif or .tiff.
    image : Measurement
        Kind ``"image"``, axes in Å or nm.

    Raises
    ------
    OutputError
        The suffix is another, or the file cannot be written.
    """
    import json

    from PIL import Image

    from heterodot.errors import OutputError
    from heterodot.files import replacing

    if Path(path).suffix.lower() not in (".tif", ".tiff"):
        raise OutputError("images with a scale are written as .tif", file=path, remedy="name it so")
    values = np.asarray(image.data.values, dtype=np.float32)
    if image.data.attrs.get("y_axis") == "up":
        values = values[::-1]
    x = image.data["x"]
    step = float(x.values[1] - x.values[0]) * NANOMETERS[str(x.attrs["units"])]
    made = json.dumps({**image.metadata, "units": image.data.attrs["units"]}, default=str)
    text = (
        f"ImageJ=1.54f\nunit=nm\nmin={values.min():.7g}\nmax={values.max():.7g}\nheterodot={made}\n"
    )
    tags = {270: text, 282: 1 / step, 283: 1 / step, 296: 1}
    with replacing(path) as beside:
        Image.fromarray(np.ascontiguousarray(values)).save(beside, format="TIFF", tiffinfo=tags)
    return Path(path)


def scale_bar(image: NDArray[Any]) -> tuple[int, int, int, int] | None:
    """Return rows and columns (first, past the last) of a burnt-in bar, or None.

    A bar is a filled rectangle of the lightest or darkest gray, four times as long as high, in the
    lower or upper quarter of the frame.

    Examples
    --------
    >>> field = np.arange(40000.0).reshape(200, 200) % 97
    >>> scale_bar(field) is None
    True
    >>> field[180:186, 20:80] = 255
    >>> scale_bar(field)
    (180, 186, 20, 80)
    """
    from scipy import ndimage

    ny, nx = image.shape
    for extreme in (image.max(), image.min()):
        parts, count = ndimage.label(image == extreme)
        if count == 0 or count > 20_000:
            continue
        filled = np.bincount(parts.ravel(), minlength=count + 1)
        for number, (rows, columns) in enumerate(ndimage.find_objects(parts), start=1):
            high, long = rows.stop - rows.start, columns.stop - columns.start
            outside = rows.start > 0.75 * ny or rows.stop < 0.25 * ny
            solid = filled[number] > 0.97 * high * long
            if outside and solid and high >= 2 and long >= 4 * high and 0.03 * nx < long < 0.8 * nx:
                return rows.start, rows.stop, columns.start, columns.stop
    return None
