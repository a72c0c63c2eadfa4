"""Gaps along molecular-dynamics trajectories: spectral density, decoherence, populations.

Reads what nonadiabatic-dynamics programs write: Hefei-NAMD's ``EIGTXT`` (one line a step, one
column a band, eV) and the matrix series of PYXAID and Libra (one file a step, real part of the
vibronic Hamiltonian in a file that ends in ``_re``, or ``_re.npz`` for the sparse matrices of later
Libra; Rydberg in PYXAID's ``0_Ham_``, Hartree in Libra's ``Hvib_``). The files do not state their
unit: it is taken from the name, and has to be said for other names.

Theory: spectral density of the gap from its autocorrelation (un-normalized), pure-dephasing time
from the second cumulant of the optical response (Mukamel, Principles of Nonlinear Optical
Spectroscopy, 1995; Akimov and Prezhdo, J. Phys. Chem. Lett. 4, 3857 (2013)).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.electronic.rates import hbar_ev_ps
from heterodot.errors import InputError
from heterodot.files import read_text, readable
from heterodot.units import Value

Array = NDArray[np.float64]
LONGEST = 2_000_000  # numbers in one file or series


@dataclass(frozen=True, eq=False)
class GapTrajectory:
    """Band energies along a trajectory.

    Attributes
    ----------
    energies : (n_steps, n_bands) array
        eV.
    step : float
        Time between steps, ps.
    source : str
    """

    energies: Array
    step: float
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no trajectory."""
        if self.energies.ndim != 2 or len(self.energies) < 8:
            raise InputError(
                "needs at least 8 steps",
                file=self.source or None,
                remedy="give a longer trajectory",
            )
        if not np.isfinite(self.energies).all():
            raise InputError("holds an energy that is not finite", file=self.source or None)
        if not (np.isfinite(self.step) and self.step > 0):
            raise InputError(f"{self.step} ps is not a time step", place="step")

    def edges(self) -> tuple[int, int]:
        """Return the two neighboring bands with the largest mean gap between them."""
        if self.energies.shape[1] < 2:
            raise InputError("has one band only", file=self.source or None, remedy="give two")
        mean = self.energies.mean(axis=0)
        order = np.argsort(mean, kind="stable")
        k = int(np.argmax(np.diff(mean[order])))
        return int(order[k]), int(order[k + 1])

    def gap(self, lower: int, upper: int) -> Array:
        """Return the gap between two bands along the trajectory, eV.

        Parameters
        ----------
        lower, upper : int
            Columns, from 0; negative ones count from the end.

        Raises
        ------
        InputError
            No such band.
        """
        n = self.energies.shape[1]
        for band in (lower, upper):
            if not -n <= band < n:
                raise InputError(f"there is no band {band}", remedy=f"0 to {n - 1} are there")
        return np.asarray(self.energies[:, upper] - self.energies[:, lower])


@dataclass(frozen=True, eq=False)
class GapAnalysis:
    """What the fluctuations of a gap say.

    Attributes
    ----------
    mean : Value
        eV; the error allows for correlation between steps.
    spread : Value
        Standard deviation, eV.
    wavenumber : (n,) array
        1/cm.
    spectrum : (n,) array
        Spectral density of the gap: power of its fluctuations, eV² cm.
    correlation : (n_lags,) array
        Un-normalized autocorrelation, eV², at multiples of the step.
    dephasing : (n_lags,) array
        Second-cumulant dephasing function.
    decoherence : Value
        Pure-dephasing time, fs: where the function falls to exp(-1/2) for a Gaussian.
    """

    mean: Value
    spread: Value
    wavenumber: Array
    spectrum: Array
    correlation: Array
    dephasing: Array
    decoherence: Value

    def peaks(self, count: int = 5) -> list[tuple[float, float]]:
        """Return the strongest lines as (wavenumber, share of the strongest)."""
        s = self.spectrum
        top = np.flatnonzero((s[1:-1] > s[:-2]) & (s[1:-1] >= s[2:])) + 1
        order = top[np.argsort(s[top])[::-1][:count]]
        if len(order) == 0:
            return []
        return [(float(self.wavenumber[k]), float(s[k] / s[order[0]])) for k in order]

    def to_json(self) -> dict[str, Any]:
        """Return mean, spread, lines and decoherence time as plain data."""
        return {
            "mean_gap": self.mean.to_json(),
            "spread": self.spread.to_json(),
            "decoherence_time": self.decoherence.to_json(),
            "lines_per_cm": [[w, share] for w, share in self.peaks()],
        }


UNITS = (("Ham_", "rydberg"), ("Hvib_", "hartree"))


def find_series(folder: str | Path) -> Path | None:
    """Return the file in a folder that `read_trajectory` can start from, if there is one."""
    place = Path(folder)
    if (place / "EIGTXT").is_file():
        return place / "EIGTXT"
    found = sorted(f for f in place.iterdir() if re.fullmatch(r".*\d+_re(\.npz)?", f.name))
    vibronic = [f for f in found if any(word in f.name for word, _ in UNITS)]
    chosen = vibronic or found
    return chosen[0] if chosen else None


def read_trajectory(
    path: str | Path, *, step: float, unit: str | None = None, limit: int = LONGEST
) -> GapTrajectory:
    """Read band energies: a table (``EIGTXT``), or the first file of a series ``NAME<i>_re``.

    Parameters
    ----------
    path : str or Path
        A text table with one line a step, or any file of a series whose name holds the step
        number just before ``_re`` (with an ending or without), square matrices whose diagonal is
        used; or the folder that holds them.
    step : float
        Time between steps, ps.
    unit : str, optional
        Of the energies: ``"eV"``, ``"rydberg"`` or ``"hartree"``. Where not given, eV for a table
        and what the program writes for a series of known name.
    limit : int
        Numbers to read at most.

    Raises
    ------
    InputError
        Not a table of numbers, rows of different length, a gap in the series, too large, or a
        series of unknown unit.
    """
    target = Path(path)
    if target.is_dir():
        first = find_series(target)
        if first is None:
            raise InputError(
                "holds no band energies",
                file=target,
                remedy="give a folder with EIGTXT, 0_Ham_*_re or Hvib_*_re files",
            )
        target = first
    match = re.fullmatch(r"(.*?)(\d+)(_re(?:\..*)?)", target.name)
    if match is None:
        return GapTrajectory(_table(target, limit) * _factor(unit or "eV"), step, target.name)
    unit = unit or next((u for word, u in UNITS if word in match[1]), None)
    if unit is None:
        raise InputError(
            "does not say the unit of its energies", file=target, remedy="give rydberg or hartree"
        )
    pattern = re.compile(re.escape(match[1]) + r"(\d+)" + re.escape(match[3]))
    found = {
        int(m[1]): file
        for file in target.parent.iterdir()
        if (m := pattern.fullmatch(file.name)) is not None
    }
    numbers = sorted(found)
    if numbers[-1] - numbers[0] + 1 != len(numbers):
        missing = next(n for n in range(numbers[0], numbers[-1]) if n not in found)
        raise InputError(
            f"step {missing} of the series is missing", file=target, remedy="give the whole series"
        )
    rows: list[Array] = []
    for n in numbers:
        diagonal = _diagonal(found[n], limit)
        if rows and len(rows[0]) != len(diagonal):
            raise InputError(
                f"has {len(diagonal)} states, the first file {len(rows[0])}", file=found[n]
            )
        rows.append(diagonal)
        if len(rows) * len(diagonal) > limit:
            raise InputError(f"the series holds more than {limit} energies", file=target)
    return GapTrajectory(np.array(rows) * _factor(unit), step, target.name)


def _factor(unit: str) -> float:
    from heterodot.units import convert

    return convert(0.5, "hartree", "eV") if unit == "rydberg" else convert(1.0, unit, "eV")


def _diagonal(path: Path, limit: int) -> Array:
    """Return the real diagonal of a matrix in a text file or in a sparse ``.npz`` file."""
    if path.suffix != ".npz":
        matrix = _table(path, limit)
        if matrix.shape[0] != matrix.shape[1]:
            raise InputError("is not a square matrix", file=path)
        return np.diag(matrix)
    import zipfile

    from scipy.sparse import load_npz

    readable(path)
    try:
        sparse = load_npz(path)
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f"is not a sparse matrix ({error})", file=path) from error
    if sparse.shape[0] != sparse.shape[1] or sparse.shape[0] > limit:
        raise InputError(f"is a matrix of {sparse.shape}, not a square one", file=path)
    return np.asarray(sparse.diagonal().real, dtype=float)


def _table(path: Path, limit: int) -> Array:
    rows: list[list[float]] = []
    total = 0
    for k, line in enumerate(read_text(path).splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        try:
            row = [float(word.replace("D", "e").replace("d", "e")) for word in words]
        except ValueError as error:
            raise InputError(
                f"'{line.strip()[:40]}' is not a row of numbers",
                file=path,
                place=f"line {k}",
                remedy="give a table of energies",
            ) from error
        if rows and len(row) != len(rows[0]):
            raise InputError(
                f"has {len(row)} numbers where the first row has {len(rows[0])}",
                file=path,
                place=f"line {k}",
                remedy="the file may be cut off; write it again",
            )
        total += len(row)
        if total > limit:
            raise InputError(f"holds more than {limit} numbers", file=path)
        rows.append(row)
    if not rows:
        raise InputError("holds no numbers", file=path)
    return np.array(rows)


def analyze_gap(gap: Array, step: float, *, longest: float | None = None) -> GapAnalysis:
    """Return spectral density and decoherence time of a gap along a trajectory.

    Parameters
    ----------
    gap : (n_steps,) array
        eV.
    step : float
        ps.
    longest : float, optional
        Longest lag of the autocorrelation, ps; by default a quarter of the trajectory, at most
        5 ps. The resolution of the spectrum follows from it.

    Raises
    ------
    InputError
        Fewer than 8 steps, numbers that are not finite or not positive.
    """
    from scipy.constants import c

    trajectory = GapTrajectory(np.asarray(gap, dtype=float)[:, None], step)
    values = trajectory.energies[:, 0]
    n = len(values)
    lags = min(n // 2, int((longest or min(5.0, n * step / 4)) / step))
    lags = max(lags, 4)
    mean = float(values.mean())
    moved = values - mean
    padded = np.fft.rfft(moved, 2 * n)
    full = np.fft.irfft(np.abs(padded) ** 2)[:lags] / (n - np.arange(lags))
    window = np.hanning(2 * lags)[lags:]
    spectrum = 2 * step * np.maximum(np.fft.rfft(full * window, 8 * lags).real, 0.0)
    frequency = np.fft.rfftfreq(8 * lags, step)  # 1/ps
    wavenumber = frequency * 1e12 / (100 * c)
    inner = np.concatenate([[0.0], np.cumsum((full[1:] + full[:-1]) / 2) * step])
    outer = np.concatenate([[0.0], np.cumsum((inner[1:] + inner[:-1]) / 2) * step])
    dephasing = np.exp(-outer / hbar_ev_ps() ** 2)
    spread = float(np.sqrt(full[0]))
    correlated = 1 + 2 * float((full[1:] / full[0]).clip(-1, 1).sum()) if full[0] > 0 else 1.0
    independent = max(n / max(correlated, 1.0), 1.0)
    return GapAnalysis(
        Value(mean, "eV", spread / np.sqrt(independent)),
        Value(spread, "eV", spread / np.sqrt(2 * independent)),
        wavenumber,
        spectrum * (100 * c) / 1e12,
        full,
        dephasing,
        _decoherence(dephasing, step, independent),
    )


def _decoherence(dephasing: Array, step: float, independent: float) -> Value:
    level = float(np.exp(-0.5))
    below = np.flatnonzero(dephasing < level)
    if len(below) == 0:
        return Value(
            float("inf"),
            "fs",
            None,
            "the dephasing function does not fall that far in the lags used",
        )
    k = int(below[0])
    part = (dephasing[k - 1] - level) / (dephasing[k - 1] - dephasing[k])
    time = (k - 1 + part) * step * 1000
    return Value(float(time), "fs", float(max(time / np.sqrt(2 * independent), step * 250)))


def populations(rates: Array, start: Array, times: Array) -> Array:
    """Return populations of ``dN/dt = K N``.

    Parameters
    ----------
    rates : (n, n) array
        1/ps; columns lose, rows gain (see `heterodot.electronic.rates.rate_matrix`).
    start : (n,) array
    times : (n_times,) array
        ps.

    Returns
    -------
    (n_times, n) array
    """
    from scipy.linalg import expm

    return np.array([expm(rates * t) @ start for t in times])
