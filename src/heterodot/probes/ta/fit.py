"""Global and target analysis of transient absorption by variable projection.

The chirp of the probe and the instrument response are parameters of the model and the data stay as
they were recorded: interpolating a matrix onto straightened delays correlates its noise and makes
errors too small. Spectra are linear and are projected out [1, 2]; their errors hold the part
that comes from the nonlinear parameters.

References
----------
[1] I. H. M. van Stokkum, D. S. Larsen, R. van Grondelle, Biochim. Biophys. Acta 1657, 82 (2004).
[2] K. M. Mullen and I. H. M. van Stokkum, J. Stat. Softw. 18, 3 (2007).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.fitting import Fit, Parameter
from heterodot.fitting.descent import Descent
from heterodot.measurement import Measurement
from heterodot.probes.ta.conclusion import conclude
from heterodot.probes.ta.matrix import Matrix, prepare
from heterodot.probes.ta.onset import Onset, find_onset
from heterodot.probes.ta.problem import Problem, absent_of, problem_of, solve
from heterodot.probes.ta.projection import Projection, Setup
from heterodot.probes.ta.scheme import Scheme, parallel
from heterodot.probes.ta.start import start_rates, thinned
from heterodot.progress import Progress, silent

Floats = NDArray[np.float64]


def fit(
    measurement: Measurement | Mapping[str, Measurement],
    model: int | Scheme = 2,
    *,
    fwhm: float | None = None,
    fix_fwhm: bool = False,
    chirp: int = 2,
    time_zero: float | None = None,
    artefact: int | str = "auto",
    offset: bool = False,
    sigma: Floats | float | None = None,
    background: float | None = None,
    exclude: Sequence[tuple[float, float]] = (),
    times: tuple[float, float] | None = None,
    wavelengths: tuple[float, float] | None = None,
    start: Mapping[str, float] | None = None,
    family: bool = False,
    max_evaluations: int = 200,
    progress: Progress = silent,
) -> Fit:
    """Fit a matrix (or several at once) with independent decays or a kinetic scheme.

    Parameters
    ----------
    measurement : Measurement or mapping of name to Measurement
        Several data sets share rates and species' spectra; each has its own time zero, chirp and
        response. The names are those of ``start [name]:`` lines of the scheme.
    model : int or Scheme
        Number of independent decays, or a target model from `read_scheme`.
    fwhm : float, optional
        Width of the response (start value), in the unit of the delays; found if None. Zero: no
        response (delays long against it); time zero is then fixed.
    fix_fwhm : bool
    chirp : int
        Order of the polynomial of time zero over wavelength; 0 for none.
    time_zero : float, optional
        Start value where the search for it is not wanted.
    artefact : int or "auto"
        Columns of coherent artefact; "auto" takes 3 where they lower the Bayesian criterion.
    offset : bool
        A constant spectrum (scatter, long-lived background).
    sigma, background, exclude, times, wavelengths
        See `prepare`.
    start : mapping, optional
        Start values by parameter name.
    family : bool
        Where the scheme has more rates than the data can tell apart: hold one and list the family
        of equal fits, instead of refusing.
    max_evaluations : int
    progress : Progress

    Returns
    -------
    Fit
        Rates with errors, lifetimes derived from them, ``time_zero``, ``chirp_n`` (per
        (100 nm)^n), ``irf_fwhm``. ``extra`` holds ``wavelength``, ``species``, ``spectra`` and
        ``spectra_error`` (n_species, n_wavelengths), and for each data set residuals and model.

    Raises
    ------
    InputError
        Data that cannot be used, or a scheme whose rates these data cannot tell apart.

    Examples
    --------
    >>> from heterodot.probes.ta import read_scheme, simulate
    >>> scheme = read_scheme("A -> B : k_et = 0.1 /ps\\nB -> GS : k_cr = 0.002 /ps")
    >>> time = np.r_[np.arange(-1, 1, 0.05), np.geomspace(1, 2000, 60)]
    >>> nm = np.linspace(450, 600, 16)
    >>> spectra = np.stack([-np.exp(-((nm - 510) / 15) ** 2), -np.exp(-((nm - 470) / 15) ** 2)])
    >>> data = simulate(scheme, spectra, time, nm, fwhm=0.15, noise=0.005, seed=1)
    >>> found = fit(data, scheme)
    >>> abs(found["k_et"].value - 0.1) < 4 * found["k_et"].error
    True
    """
    problem = pose(
        measurement,
        model,
        fwhm=fwhm,
        fix_fwhm=fix_fwhm,
        chirp=chirp,
        time_zero=time_zero,
        artefact=artefact,
        offset=offset,
        sigma=sigma,
        background=background,
        exclude=exclude,
        times=times,
        wavelengths=wavelengths,
        start=start,
        progress=progress,
    )
    warnings: list[str] = []
    extra: dict[str, object] = {}
    if not isinstance(model, int):
        from heterodot.probes.ta.identify import identify

        answer = identify(problem)
        if answer.lost and not family:
            raise InputError(
                f"the data cannot tell the rates apart: {answer}",
                place="scheme",
                remedy=f"fix one of {', '.join(answer.lost)}, give a species a spectral range "
                "without signal ('zero:'), or ask for the family of equal fits",
            )
        extra["family"] = [dict(row) for row in answer.family]
        if answer.exchanged:
            pairs = "; ".join(f"{a} with {b}" for a, b in answer.exchanged)
            warnings.append(
                f"the same fit has rates exchanged ({pairs}), with other spectra; judge by the "
                "spectra which is meant"
            )
        while answer.lost:
            held = answer.lost[0]
            problem = _hold(problem, held)
            warnings.append(f"the scheme is not determined by such data: {answer}; {held} is held")
            answer = identify(problem)
    end = solve(problem, max_evaluations=max_evaluations, progress=progress)
    return conclude(problem, end, warnings, extra)


def _hold(problem: Problem, name: str) -> Problem:
    note = "held: the data leave it free"
    return replace(
        problem,
        parameters=tuple(
            replace(p, fixed=True, note=note) if p.name == name else p for p in problem.parameters
        ),
    )


def pose(
    measurement: Measurement | Mapping[str, Measurement],
    model: int | Scheme,
    *,
    fwhm: float | None,
    fix_fwhm: bool,
    chirp: int,
    time_zero: float | None,
    artefact: int | str,
    offset: bool,
    sigma: Floats | float | None,
    background: float | None,
    exclude: Sequence[tuple[float, float]],
    times: tuple[float, float] | None,
    wavelengths: tuple[float, float] | None,
    start: Mapping[str, float] | None,
    progress: Progress,
) -> Problem:
    """Return the posed problem with start values found on data thinned in wavelength."""
    several = measurement if isinstance(measurement, Mapping) else {"": measurement}
    matrices = [
        prepare(
            m,
            name=name,
            sigma=sigma,
            background=background,
            exclude=exclude,
            times=times,
            wavelengths=wavelengths,
        )
        for name, m in several.items()
    ]
    _same_units(matrices)
    if isinstance(model, int):
        if not 1 <= model <= 8:
            raise InputError(f"{model} components", remedy="give 1 to 8")
        scheme = parallel(model, matrices[0].time_unit)
    else:
        scheme = model
        if scheme.time_unit != matrices[0].time_unit:
            raise InputError(
                f"the scheme is in 1/{scheme.time_unit}, the delays in {matrices[0].time_unit}",
                remedy="read the scheme with the unit of the delays",
            )
    _start_names(scheme, several)
    thin = [thinned(m) for m in matrices]
    progress("finding time zero", 0.0)
    setups, instrument = [], []
    for m in thin:
        setup, parameters = _instrument(m, len(matrices) > 1, fwhm, fix_fwhm, chirp, time_zero)
        setups.append(replace(setup, offset=offset))
        instrument += parameters
    given = dict(start or {})
    _known_names(given, scheme, instrument)
    if artefact == "auto" and not any(s.width for s in setups):
        artefact = 0
    choices = (0, 3) if artefact == "auto" else (int(artefact),)
    posed: list[tuple[float, Problem]] = []
    first: tuple[Parameter, ...] | None = None
    for count in choices:
        chosen = [replace(s, artefact=count if s.width else 0) for s in setups]
        if first is None:
            small = _posed(thin, chosen, scheme, instrument, given)
            first = small.parameters
        else:
            small = problem_of(thin, chosen, scheme, first)
        small, end = _from_widths(small, fixed=fwhm is not None)
        values = small.values(end.x)
        if not posed:
            first = tuple(replace(p, value=values[p.name]) for p in small.parameters)
        n = small.projection.points
        # the Bayesian criterion of a Gaussian likelihood with the noise from the residual
        criterion = n * np.log(max(end.cost, 1e-300) / n) + np.log(n) * (
            small.projection.amplitudes_used + len(small.free)
        )
        warm = tuple(replace(p, value=values[p.name]) for p in small.parameters)
        posed.append((float(criterion), problem_of(matrices, chosen, scheme, warm)))
    return min(posed, key=lambda pair: pair[0])[1]


def _from_widths(small: Problem, fixed: bool) -> tuple[Problem, Descent]:
    """Return where the thinned problem ends, from other widths too if it leaves more than noise.

    A response that starts narrower than the sampling has no slope to leave by.
    """
    projection = small.projection
    dof = projection.points - projection.amplitudes_used - len(small.free)
    best: tuple[Problem, Descent] | None = None
    widths = {s.width for s in projection.setups if s.width}
    for factor in (1.0, 3.0, 7.0):
        trial = replace(
            small,
            parameters=tuple(
                replace(p, value=min(p.value * factor, 0.9 * p.high)) if p.name in widths else p
                for p in small.parameters
            ),
        )
        end = solve(trial, max_evaluations=60, tolerance=0.05)
        if best is None or end.cost < best[1].cost:
            best = (trial, end)
        if fixed or not widths or best[1].cost < 1.15 * dof:
            break
    assert best is not None
    return best


def _same_units(matrices: Sequence[Matrix]) -> None:
    for m in matrices[1:]:
        if m.time_unit != matrices[0].time_unit:
            raise InputError(
                f"delays are in {matrices[0].time_unit} and in {m.time_unit}",
                place=m.name,
                remedy="bring the data sets to one unit",
            )


def _start_names(scheme: Scheme, several: Mapping[str, Measurement]) -> None:
    for name in scheme.starts:
        if name and name not in several:
            raise InputError(
                f"the scheme starts data set '{name}', which is not given",
                place="scheme",
                remedy=f"name one of {', '.join(several) or 'none'}",
            )


def _known_names(given: Mapping[str, float], scheme: Scheme, others: Sequence[Parameter]) -> None:
    known = [*(p.name for p in scheme.rates), *scheme.fractions, *(p.name for p in others)]
    for name in given:
        if name not in known:
            raise InputError(
                f"start value for '{name}', which is no parameter",
                remedy=f"use {', '.join(known)}",
            )


def _instrument(
    m: Matrix,
    several: bool,
    fwhm: float | None,
    fix_fwhm: bool,
    chirp: int,
    time_zero: float | None,
) -> tuple[Setup, list[Parameter]]:
    tag = f" [{m.name}]" if several else ""
    unit = m.time_unit
    span = float(m.time[-1] - m.time[0])
    if fwhm == 0:
        zero = 0.0 if time_zero is None else time_zero
        return (
            Setup(f"time_zero{tag}", reference=500.0),
            [Parameter(f"time_zero{tag}", zero, unit, fixed=True)],
        )
    order = min(chirp, max(0, m.wavelength.size - 2))
    if time_zero is None:
        if m.time[0] >= 0 and not (m.time < 0).any():
            # no delay before zero: the onset cannot be seen
            raise InputError(
                "there is no delay before time zero, so chirp and response cannot be fitted",
                place=m.name or "delays",
                remedy="give fwhm=0 (no response) or data from before the pulse",
            )
        onset = find_onset(m, order=order, fwhm=fwhm)
    else:
        middle = float(np.round(0.5 * (m.wavelength[0] + m.wavelength[-1])))
        fine = float(np.median(np.sort(np.diff(m.time))[: max(3, m.time.size // 3)]))
        onset = Onset((time_zero, *[0.0] * order), fwhm or 4.0 * fine, middle)
    # a response much narrower than the sampling cannot be seen
    narrow = 0.3 * float(np.median(np.sort(np.diff(m.time))[: max(3, m.time.size // 3)]))
    names = [f"chirp_{n}{tag}" for n in range(1, order + 1)]
    powers = [unit, *(f"{unit}/(100 nm)^{n}" if n > 1 else f"{unit}/(100 nm)" for n in range(1, 9))]
    width = fwhm or onset.fwhm
    parameters = [
        Parameter(
            f"time_zero{tag}",
            onset.coefficients[0],
            unit,
            low=float(m.time[0]) - 0.1 * span,
            high=float(m.time[-1]),
            note=f"at {onset.reference:g} nm",
        ),
        *(Parameter(name, onset.coefficients[n], powers[n]) for n, name in enumerate(names, 1)),
        Parameter(
            f"irf_fwhm{tag}",
            width,
            unit,
            low=min(narrow, 0.5 * width),
            high=50.0 * width,
            fixed=fix_fwhm,
        ),
    ]
    return Setup(
        f"time_zero{tag}", tuple(names), f"irf_fwhm{tag}", reference=onset.reference
    ), parameters


def _posed(
    matrices: Sequence[Matrix],
    setups: Sequence[Setup],
    scheme: Scheme,
    instrument: Sequence[Parameter],
    given: Mapping[str, float],
) -> Problem:
    values = {p.name: given.get(p.name, p.value) for p in instrument}
    span = max(float(m.time[-1] - m.time[0]) for m in matrices)
    step = min(float(np.diff(m.time).min()) for m in matrices)
    # what is ten times faster than the response is a coherent artefact, not a lifetime
    widths = [values[s.width] for s in setups if s.width]
    fastest = 10.0 / min(widths) if widths else 20.0 / step
    open_ = [
        p
        for p in scheme.rates
        if not p.fixed and p.name not in given and p.name not in scheme.given
    ]
    found: dict[str, float] = {}
    if open_:
        known = [given.get(p.name, p.value) for p in scheme.rates if p not in open_]
        guesses = start_rates(matrices, setups, values, len(open_), [k for k in known if k > 0])
        found = dict(zip((p.name for p in open_), guesses, strict=True))
        if scheme != parallel(len(scheme.rates), scheme.time_unit) and len(open_) > 1:
            found = _best_order(matrices, setups, scheme, values, found, given)
    rates = [
        replace(
            p,
            value=float(
                found.get(
                    p.name, given.get(p.name, p.value if p.fixed else max(p.value, 1e-3 / span))
                )
            ),
            low=p.low if p.fixed else max(p.low, 1e-3 / span),
            high=p.high if p.fixed else min(p.high, fastest),
        )
        for p in scheme.rates
    ]
    fractions = [Parameter(n, given.get(n, 1.0), "", low=0.0) for n in scheme.fractions]
    tools = [replace(p, value=float(given.get(p.name, p.value))) for p in instrument]
    return problem_of(matrices, setups, scheme, (*rates, *fractions, *tools))


def _best_order(
    matrices: Sequence[Matrix],
    setups: Sequence[Setup],
    scheme: Scheme,
    values: Mapping[str, float],
    found: Mapping[str, float],
    given: Mapping[str, float],
) -> dict[str, float]:
    """Return the rates dealt out to the reactions in the order that fits best."""
    import itertools

    names = list(found)
    held = {p.name: p.value for p in scheme.rates} | dict.fromkeys(scheme.fractions, 1.0)
    held = {**held, **given, **values}
    absent = absent_of(scheme, np.unique(np.concatenate([m.wavelength for m in matrices])))
    problem = Projection(matrices, setups, scheme.modes, len(scheme.species), (), absent)
    best: tuple[float, dict[str, float]] | None = None
    for order in itertools.islice(itertools.permutations(found.values()), 24):
        trial = dict(zip(names, order, strict=True))
        cost = problem.evaluate({**held, **trial}, (), False)[0]
        if best is None or cost < best[0] * (1.0 - 1e-9):
            best = (cost, trial)
    assert best is not None
    return best[1]
