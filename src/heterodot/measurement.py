"""A measured or simulated curve, matrix or image, with units and where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heterodot.errors import InputError
from heterodot.files import readable, replacing

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, eq=False)
class Measurement:
    """One recorded or simulated quantity over its axes.

    Attributes
    ----------
    data : xarray.DataArray
        Values over named coordinates. ``data.attrs["units"]`` and the ``units`` of every
        coordinate are set (``""`` for pure numbers); a coordinate ``error`` or a second
        variable may carry one standard deviation per point.
    kind : str
        What it is: ``"xrd"``, ``"absorption"``, ``"decay"``, ``"ta"``, ``"image"``...
    source : str
        File name or ``"simulated"``, never a full path of somebody's machine.
    sha256 : str
        Hash of the file it was read from, empty if simulated.
    metadata : mapping
        What the file says of instrument and conditions, as it says it; unknown fields are kept.
    notes : tuple of str
        What the reader had to assume or repair, for the user to confirm.
    """

    data: xr.DataArray
    kind: str
    source: str = ""
    sha256: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse data without units."""
        if "units" not in self.data.attrs:
            raise InputError("the values carry no units", place=self.source or self.kind)
        for name, axis in self.data.coords.items():
            if name in self.data.dims and "units" not in axis.attrs:
                raise InputError(f"axis '{name}' carries no units", place=self.source or self.kind)

    def write(self, path: str | Path) -> Path:
        """Write as NetCDF4 (h5netcdf) that xarray opens and silx shows as NXdata."""
        import json

        data = self.data.copy()
        name = str(data.name or "signal")
        data.name = name
        set_ = data.to_dataset()
        set_.attrs.update(
            {
                "NX_class": "NXdata",
                "signal": name,
                "axes": [str(d) for d in data.dims],
                "heterodot_kind": self.kind,
                "heterodot_source": self.source,
                "heterodot_sha256": self.sha256,
                "heterodot_metadata": json.dumps(dict(self.metadata), default=str),
                "heterodot_notes": json.dumps(list(self.notes)),
            }
        )
        with replacing(path) as beside:
            set_.to_netcdf(beside, engine="h5netcdf")
        return Path(path)

    @classmethod
    def read(cls, path: str | Path) -> Measurement:
        """Return the measurement that `write` stored.

        Raises
        ------
        InputError
            Not a NetCDF file, or not one of ours.
        """
        import json

        import xarray as xr

        readable(path)
        try:
            with xr.open_dataset(path, engine="h5netcdf") as opened:
                set_ = opened.load()
            attrs = set_.attrs
            return cls(
                set_[attrs["signal"]],
                str(attrs["heterodot_kind"]),
                str(attrs["heterodot_source"]),
                str(attrs["heterodot_sha256"]),
                json.loads(attrs["heterodot_metadata"]),
                tuple(json.loads(attrs["heterodot_notes"])),
            )
        except (OSError, KeyError, ValueError) as error:
            raise InputError(
                f"is not a measurement of ours ({error})",
                file=path,
                remedy="convert it with 'heterodot convert'",
            ) from error
