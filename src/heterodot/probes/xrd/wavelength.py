"""Which wavelength would make the named phases fit: a guard against the wrong one."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from heterodot.probes.xrd.setup import lines_of

if TYPE_CHECKING:
    from heterodot.probes.xrd.pattern_fit import Problem

SEARCHED = (0.5, 2.4)  # Å
NAMES = ("CuKa", "MoKa", "CoKa", "FeKa", "CrKa", "AgKa")


def better_wavelength(problem: Problem, chi2: float) -> list[str]:
    """Return one sentence if the same phases fit far better at another wavelength, else nothing.

    Wavelengths from 0.5 to 2.4 Å in steps of 0.7 % are tried with bulk cells, two sizes a phase
    and free factors; the best must leave less than half of the squares that the fit left.

    Parameters
    ----------
    problem : Problem
        With the wavelength that was taken.
    chi2 : float
        What the fit left, infinity where it found nothing.
    """
    from heterodot.probes.xrd.components import PhaseComponent
    from heterodot.probes.xrd.pattern_fit import Problem as Whole

    phases = [c for c in problem.components if isinstance(c, PhaseComponent)]
    if not phases:
        return []
    now = problem.setup.mean_wavelength
    thin = max(len(problem.data.two_theta) // 600, 1)
    data = dataclasses.replace(
        problem.data,
        two_theta=problem.data.two_theta[::thin],
        intensity=problem.data.intensity[::thin],
        sigma=problem.data.sigma[::thin],
    )

    low, high = SEARCHED
    x = data.two_theta
    wide = dataclasses.replace(
        problem.setup, wavelength=low, dispersion=False, polarization="synchrotron",
        range=(0.3, float(x[-1]) + 1), caglioti=(0.0, 0.0, 0.0),
    )  # fmt: skip
    # the profile over s is the same at any wavelength: made once, read many times
    s_grid = np.linspace(np.sin(np.radians(0.5) / 2), np.sin(np.radians(x[-1]) / 2), 12000)
    s_grid = s_grid * 2 / low
    angles = 2 * np.degrees(np.arcsin(np.clip(s_grid * low / 2, 0, 1)))
    bank = []
    for c in phases:
        for size in (35.0, 100.0):
            trial = dataclasses.replace(
                c, setup=wide, start_size=size, free=(), texture=None, kept={}
            )
            values = {p.name: p.value for p in trial.parameters()}
            bank.append(trial.curve(angles, values))
    few = Whole(data, [], problem.setup, problem.background, problem.shared)

    def left(wavelength: float) -> float:
        s = 2 * np.sin(np.radians(x) / 2) / wavelength
        factor = problem.setup.polarization_factor(x) / data.sigma
        columns = np.array([np.interp(s, s_grid, row) * factor for row in bank]).T
        rest = few.factors(columns)[1]
        return float(rest @ rest)

    grid = np.geomspace(low, high, 230)
    squares = np.array([left(float(w)) for w in grid])
    here = left(now)
    best = int(np.argmin(squares))
    if squares[best] > 0.5 * min(here, chi2 / thin) or abs(grid[best] / now - 1) < 0.02:
        return []
    found = float(grid[best])
    named = [
        name
        for name in NAMES
        if abs(sum(x.wavelength * x.weight for x in lines_of(name)) / found - 1) < 0.012
    ]
    return [
        f"the wavelength may be wrong: the same phases fit far better at about {found:.3g} Å"
        + (f" ({named[0]})" if named else "")
        + f" than at {now:.4g} Å"
    ]
