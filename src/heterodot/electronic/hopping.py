"""Populations of states from surface-hopping programs, averaged over initial conditions.

Read are PYXAID's ``out<i>`` and ``me_pop<i>`` (``time 0 P(0)= 1 P(1)= 0``, one file an initial
condition; Akimov and Prezhdo, J. Chem. Theory Comput. 9, 4959 (2013)), Hefei-NAMD's ``SHPROP.<i>``
and ``PSICT.<i>`` (time in fs, mean energy in eV, then one column a state; Zheng et al., WIREs Comput.
Mol. Sci. 9, e1411 (2019)) and Libra's ``mem_data.hdf`` (time in atomic units and populations;
Akimov, J. Comput. Chem. 37, 1626 (2016)).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.files import read_text, readable
from heterodot.units import Value

Array = NDArray[np.float64]
LONGEST = 20_000_000  # numbers in one set of files


@dataclass(frozen=True, eq=False)
class HoppingPopulations:
    """Populations along time, for every initial condition.

    Attributes
    ----------
    times : (n_times,) array
        ps.
    runs : (n_runs, n_times, n_states) array
        One for each initial condition.
    source : str
    """

    times: Array
    runs: Array
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse what are no populations."""
        if self.runs.ndim != 3 or self.runs.shape[1] != len(self.times) or len(self.times) < 3:
            raise InputError("needs at least 3 times", file=self.source or None)
        if not np.isfinite(self.runs).all():
            raise InputError("holds a population that is not finite", file=self.source or None)
        total = self.runs.sum(axis=2)
        if self.runs.min() < -0.01 or np.abs(total - 1).max() > 0.05:
            worst = float(total.ravel()[np.abs(total - 1).argmax()])
            raise InputError(
                f"holds populations that add up to {worst:.3f}",
                file=self.source or None,
                remedy="give files with every state",
            )

    @property
    def mean(self) -> Array:
        """Mean over initial conditions, (n_times, n_states)."""
        return np.asarray(self.runs.mean(axis=0))

    @property
    def error(self) -> Array | None:
        """Standard error of the mean, (n_times, n_states); None with one initial condition."""
        n = len(self.runs)
        return None if n < 2 else np.asarray(self.runs.std(axis=0, ddof=1) / np.sqrt(n))

    def lifetime(self, state: int | None = None) -> Value:
        """Return the time in which a state is left, ps, by an exponential fit.

        The error is that of the jackknife over initial conditions (Efron, 1982). The fit goes to
        zero: a state that keeps part of its population has no such time.

        Parameters
        ----------
        state : int, optional
            The one that is fullest at the start where not given.
        """
        chosen = int(self.mean[0].argmax()) if state is None else state
        if not 0 <= chosen < self.runs.shape[2]:
            raise InputError(
                f"there is no state {chosen}", remedy=f"0 to {self.runs.shape[2] - 1} are there"
            )
        column = self.runs[:, :, chosen]
        best = _exponential(self.times, column.mean(axis=0))
        if best is None:
            return Value(float("inf"), "ps", None, "less than 5 % of it leaves in this time")
        n = len(column)
        if n < 3:
            return Value(best, "ps", None, "fewer than three initial conditions")
        parts = [_exponential(self.times, np.delete(column, k, axis=0).mean(0)) for k in range(n)]
        known = np.array([p for p in parts if p is not None])
        if len(known) < n:
            return Value(best, "ps", None, "some initial conditions alone carry the decay")
        spread = float(np.sqrt((n - 1) / n * ((known - known.mean()) ** 2).sum()))
        return Value(best, "ps", spread)


def _exponential(times: Array, population: Array) -> float | None:
    from scipy.optimize import least_squares

    start = float(population[0])
    if start <= 0 or population.min() > 0.95 * start:
        return None
    below = np.flatnonzero(population < start * np.exp(-1))
    guess = float(times[below[0]] if len(below) else 2 * times[-1])
    shifted = times - times[0]
    fit = least_squares(
        lambda x: start * np.exp(-shifted / np.exp(x[0])) - population,
        [np.log(max(guess, times[1] - times[0]))],
    )
    return float(np.exp(fit.x[0]))


def read_hopping(path: str | Path, *, step: float | None = None) -> HoppingPopulations:
    """Read populations from a file, or from all files of its kind in a folder.

    Parameters
    ----------
    path : str or Path
        A folder (Libra's one folder an initial condition below it is looked into), or one file.
    step : float, optional
        Time between lines, ps; needed for PYXAID, whose files count steps.

    Raises
    ------
    InputError
        Nothing that is known, files of different length, or a missing time step.
    """
    target = Path(path)
    kind, files = _files(target)
    if kind == "pyxaid" and step is None:
        raise InputError("counts steps, not time", file=files[0], remedy="give the time step")
    times: Array | None = None
    runs: list[Array] = []
    total = 0
    for file in files:
        t, p = _READERS[kind](file)
        total += p.size
        if total > LONGEST:
            raise InputError(f"the files hold more than {LONGEST} numbers", file=target)
        if times is not None and (p.shape != runs[0].shape or not np.allclose(t, times)):
            raise InputError(
                "has other times or states than the files beside it",
                file=file,
                remedy="keep runs of one set-up in the folder",
            )
        times = t
        runs.append(p)
    assert times is not None
    scale = {"pyxaid": step or 1.0, "hefei": 1e-3, "libra": _atomic_time()}[kind]
    return HoppingPopulations(times * scale, np.array(runs), target.name)


def has_populations(folder: str | Path) -> bool:
    """Return whether `read_hopping` would find something in a folder."""
    try:
        _files(Path(folder))
    except InputError:
        return False
    return True


def _atomic_time() -> float:
    from scipy.constants import physical_constants

    return float(physical_constants["atomic unit of time"][0] * 1e12)


PATTERNS = (
    ("hefei", r"SHPROP\.\d+"),
    ("libra", r".*mem_data.*\.hdf5?"),
    ("pyxaid", r"out\d+"),
    ("hefei", r"PSICT\.\d+"),
    ("pyxaid", r"me_pop\d+"),
)


def _files(target: Path) -> tuple[str, list[Path]]:
    """Return the program and its files; surface-hopping ones before those of the wavefunction."""
    if target.is_file():
        for kind, pattern in PATTERNS:
            if re.fullmatch(pattern, target.name):
                return kind, [target]
    elif target.is_dir():
        near = [
            *target.iterdir(),
            *(f for d in target.iterdir() if d.is_dir() for f in d.iterdir()),
        ]
        for kind, pattern in PATTERNS:
            found = [f for f in near if f.is_file() and re.fullmatch(pattern, f.name)]
            if found:
                return kind, sorted(found)
    else:
        readable(target)
    raise InputError(
        "holds no populations that are known here",
        file=target,
        remedy="give SHPROP.* (Hefei-NAMD), out* (PYXAID) or mem_data.hdf (Libra)",
    )


def _pyxaid(path: Path) -> tuple[Array, Array]:
    times: list[float] = []
    rows: list[list[float]] = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        head = re.match(r"\s*time\s+(\d+)", line)
        found = re.findall(r"P\((\d+)\)=\s*(\S+)", line)
        try:
            values = [float(x) for _, x in found]
        except ValueError:
            values = []
        if head is None or not values or (rows and len(values) != len(rows[0])):
            raise InputError(
                "is not a line of PYXAID's populations",
                file=path,
                place=f"line {number}",
                remedy="the file may be cut off",
            )
        times.append(float(head[1]))
        rows.append(values)
    return np.array(times), np.array(rows, dtype=float)


def _hefei(path: Path) -> tuple[Array, Array]:
    from heterodot.electronic.trajectory import _table

    table = _table(path, LONGEST)
    if table.shape[1] < 4:
        raise InputError(
            "has fewer than two states", file=path, remedy="columns are time, energy, populations"
        )
    return table[:, 0], table[:, 2:]


def _libra(path: Path) -> tuple[Array, Array]:
    import h5py  # type: ignore[import-untyped]

    readable(path, limit=2**33)
    try:
        with h5py.File(path, "r") as file:
            names = ("sh_pop_adi/data", "SH_pop/data", "se_pop_adi/data")
            name = next((n for n in names if n in file), None)
            if name is None or "time/data" not in file:
                raise InputError(
                    "has no populations",
                    file=path,
                    remedy="let Libra keep sh_pop_adi and time (mem_output_level 2 or more)",
                )
            data: Any = file[name]
            if data.size > LONGEST or data.ndim < 2:
                raise InputError(f"holds populations of shape {data.shape}", file=path)
            values = np.array(data, dtype=float)
            times = np.array(file["time/data"], dtype=float).reshape(-1)
    except OSError as error:
        raise InputError(f"is not an HDF5 file ({error})", file=path) from error
    return times, values.reshape(len(values), -1) if values.ndim == 2 else values[:, :, 0]


_READERS = {"pyxaid": _pyxaid, "hefei": _hefei, "libra": _libra}
