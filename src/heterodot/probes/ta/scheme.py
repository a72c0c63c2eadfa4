"""Kinetic schemes as a chemist writes them: ``A* -> A+ B- : k_et``, one reaction a line."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError, nearest
from heterodot.fitting import Parameter
from heterodot.units import parse as parse_quantity

Floats = NDArray[np.float64]
GROUND = ("GS", "ground", "S0", "0")


@dataclass(frozen=True)
class Reaction:
    """A first-order step from one species to another.

    Attributes
    ----------
    source, target : str
    rate : str
        Name of its rate constant; steps of one name share it.
    """

    source: str
    target: str
    rate: str


@dataclass(frozen=True)
class Scheme:
    """Species, first-order reactions, what is excited, what is dark.

    Attributes
    ----------
    reactions : tuple of Reaction
    species : tuple of str
        All that absorb in the difference spectrum, in order of appearance (no ground state).
    rates : tuple of Parameter
        Rate constants in the inverse of ``time_unit``.
    starts : mapping of data set to {species: population or name of a fraction}
        ``""`` is for every data set without its own line. Fractions with names are parameters.
    zeros : tuple of (species, low, high)
        Wavelength ranges (nm) where a species does not absorb.
    time_unit : str

    Examples
    --------
    >>> scheme = read_scheme('''
    ... CsPbBr3* -> CsPbBr3+ CdS- : k_et = 0.1 /ps
    ... CsPbBr3+ CdS- -> GS      : k_cr
    ... ''')
    >>> scheme.species
    ('CsPbBr3*', 'CsPbBr3+ CdS-')
    >>> [str(r.name) for r in scheme.rates]
    ['k_et', 'k_cr']
    """

    reactions: tuple[Reaction, ...]
    species: tuple[str, ...]
    rates: tuple[Parameter, ...]
    starts: Mapping[str, Mapping[str, float | str]]
    zeros: tuple[tuple[str, float, float], ...] = ()
    time_unit: str = "ps"
    given: frozenset[str] = field(default_factory=frozenset)

    @property
    def fractions(self) -> tuple[str, ...]:
        """Names of excited fractions that are parameters."""
        names = [x for start in self.starts.values() for x in start.values() if isinstance(x, str)]
        return tuple(dict.fromkeys(names))

    def matrix(self, values: Mapping[str, float]) -> Floats:
        """Return K of dc/dt = K c, (n_species, n_species)."""
        index = {name: i for i, name in enumerate(self.species)}
        k = np.zeros((len(index), len(index)))
        for step in self.reactions:
            rate = values[step.rate]
            if step.source in index:
                k[index[step.source], index[step.source]] -= rate
                if step.target in index:
                    k[index[step.target], index[step.source]] += rate
        return k

    def start(self, dataset: str, values: Mapping[str, float]) -> Floats:
        """Return the populations right after excitation, (n_species,)."""
        given = self.starts.get(dataset, self.starts[""])
        c = np.zeros(len(self.species))
        for name, amount in given.items():
            c[self.species.index(name)] = values[amount] if isinstance(amount, str) else amount
        return c

    def modes(self, dataset: str, values: Mapping[str, float]) -> tuple[Floats, Floats]:
        """Return decay rates and what each contributes to every species.

        Returns
        -------
        rates : (n_species,) array
            Minus the eigenvalues of K, ascending.
        weights : (n_species, n_species) array
            Populations are ``weights.T @ exp(-rates t)``.

        Raises
        ------
        InputError
            A cycle that oscillates.

        Notes
        -----
        Equal eigenvalues with one eigenvector (A -> B -> C with equal rates) are split by a
        millionth of their size, which changes populations by less than 1e-6.
        """
        return decompose(self.matrix(values), self.start(dataset, values))

    def __str__(self) -> str:
        lines = [f"{r.source} -> {r.target} : {r.rate}" for r in self.reactions]
        return "\n".join(lines)


def decompose(matrix: Floats, start: Floats) -> tuple[Floats, Floats]:
    """Return decay rates and mode weights of dc/dt = K c from ``start`` (see `Scheme.modes`)."""
    size = float(np.abs(matrix).max())
    if size == 0:
        return np.zeros(start.size), np.diag(start)
    diagonal = np.diag(matrix)
    if np.count_nonzero(matrix) == np.count_nonzero(diagonal):
        return np.maximum(-diagonal, 0.0), np.diag(start)
    for attempt in range(4):
        nudge = 1e-6 * attempt * np.arange(start.size) / start.size
        values, vectors = np.linalg.eig(matrix * (1.0 + nudge)[None, :])
        if np.abs(values.imag).max() > 1e-7 * size:
            raise InputError(
                "the scheme has a cycle whose populations oscillate",
                remedy="remove a step of the cycle or make it reversible",
            )
        vectors = vectors.real
        if np.linalg.cond(vectors) < 1e8:
            break
    order = np.argsort(-values.real, kind="stable")
    vectors = vectors[:, order]
    amount = np.linalg.solve(vectors, start)
    rates = np.maximum(-values.real[order], 0.0)
    return rates, (vectors * amount).T


def read_scheme(text: str, *, time_unit: str = "ps", file: str | None = None) -> Scheme:
    """Return the scheme that a text spells out.

    One statement a line; ``#`` starts a remark::

        CsPbBr3* -> CsPbBr3+ CdS- : k_et = 0.11 /ps     # a start value
        CsPbBr3+ CdS- -> GS       : k_cr
        CsPbBr3* -> GS            : k_r = 1e-4 /ps fixed
        A <-> B                   : k_f, k_b            # reversible
        start: CsPbBr3* = 1                             # default: the first species
        start [pump 600]: PbS* = 1                      # for one data set
        start [pump 400]: PbS* = x_PbS, CsPbBr3* = 1    # a fraction to be fitted
        dark: trapped                                   # has population but no spectrum
        zero: PbS* 480-560 nm                           # no signal in a range
        k_r = 2 /ns fixed

    Raises
    ------
    InputError
        The line that cannot be read, an unknown species, a rate without use.
    """
    reactions: list[Reaction] = []
    rates: dict[str, Parameter] = {}
    given: set[str] = set()
    dark: set[str] = set(GROUND)
    starts: dict[str, dict[str, float | str]] = {}
    zeros: list[tuple[str, float, float]] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split("#", 1)[0].strip()
        if not line:
            continue
        place = f"line {number}"
        try:
            if re.search(r"\s(->|→|<->|⇌)\s", line):
                _reaction(line, reactions, rates, given, time_unit)
            elif match := re.fullmatch(r"start\s*(?:\[(.*?)\])?\s*:\s*(.*)", line):
                starts[(match[1] or "").strip()] = _start(match[2])
            elif match := re.fullmatch(r"dark\s*:\s*(.*)", line):
                dark.update(x.strip() for x in match[1].split(",") if x.strip())
            elif match := re.fullmatch(
                r"zero\s*:\s*(.+?)\s+([\d.]+)\s*(?:-|–|to)\s*([\d.]+)\s*(?:nm)?", line
            ):
                low, high = sorted((float(match[2]), float(match[3])))
                zeros.append((match[1].strip(), low, high))
            elif re.match(r"[^\W\d]\w*\s*=(?!>)", line):
                name, value = line.split("=", 1)
                _rate(f"{name.strip()} = {value}", rates, given, time_unit)
            else:
                raise InputError(
                    f"'{line}' is not a reaction or setting",
                    remedy="write 'A -> B : k_name', 'start: A = 1' or 'dark: C'",
                )
        except InputError as error:
            raise error.at(file=file, place=place) from error
    return _assemble(reactions, rates, given, dark, starts, zeros, time_unit, file)


def _assemble(
    reactions: Sequence[Reaction],
    rates: Mapping[str, Parameter],
    given: set[str],
    dark: set[str],
    starts: dict[str, dict[str, float | str]],
    zeros: Sequence[tuple[str, float, float]],
    time_unit: str,
    file: str | None,
) -> Scheme:
    if not reactions:
        raise InputError(
            "the scheme has no reaction", file=file, remedy="write e.g. 'A -> GS : k_1'"
        )
    everything = list(dict.fromkeys(x for r in reactions for x in (r.source, r.target)))
    species = tuple(x for x in everything if x not in GROUND)
    if not species:
        raise InputError("the scheme has no excited species", file=file)
    if not starts:
        starts = {"": {species[0]: 1.0}}
    starts.setdefault("", next(iter(starts.values())))
    hidden = [(name, 0.0, np.inf) for name in sorted(dark - set(GROUND))]
    for name in [*(x for s in starts.values() for x in s), *(z[0] for z in [*zeros, *hidden])]:
        if name not in species:
            close = nearest(name, species, n=1)
            raise InputError(
                f"'{name}' is not a species of the scheme",
                file=file,
                remedy=f"did you mean '{close[0]}'?" if close else f"use {', '.join(species)}",
            )
    used = {r.rate for r in reactions}
    idle = sorted(set(rates) - used)
    if idle:
        raise InputError(f"rate '{idle[0]}' is in no reaction", file=file, remedy="remove it")
    return Scheme(
        tuple(reactions),
        species,
        tuple(rates[name] for name in dict.fromkeys(r.rate for r in reactions)),
        starts,
        (*zeros, *hidden),
        time_unit,
        frozenset(given),
    )


def _reaction(
    line: str,
    reactions: list[Reaction],
    rates: dict[str, Parameter],
    given: set[str],
    time_unit: str,
) -> None:
    if ":" not in line:
        raise InputError(f"'{line}' names no rate", remedy="end it with ' : k_name'")
    arrow_part, rate_part = line.rsplit(":", 1)
    both = re.split(r"\s+(<->|⇌|->|→)\s+", arrow_part.strip())
    if len(both) != 3 or not both[0].strip() or not both[2].strip():
        raise InputError(f"'{arrow_part.strip()}' is not one reaction", remedy="write 'A -> B'")
    source, arrow, target = both[0].strip(), both[1], both[2].strip()
    if source == target:
        raise InputError(f"'{source}' reacts to itself", remedy="name two species")
    names = [_rate(part, rates, given, time_unit) for part in rate_part.split(",")]
    reversible = arrow in ("<->", "⇌")
    if len(names) != (2 if reversible else 1):
        raise InputError(
            f"{len(names)} rates for '{arrow}'",
            remedy="give two rates, 'k_f, k_b'" if reversible else "give one rate",
        )
    reactions.append(Reaction(source, target, names[0]))
    if reversible:
        reactions.append(Reaction(target, source, names[1]))


def _rate(text: str, rates: dict[str, Parameter], given: set[str], time_unit: str) -> str:
    match = re.fullmatch(
        r"\s*([^\W\d]\w*)\s*(?:=\s*([\d.eE+-]+)\s*(.*?)\s*(fixed)?)?\s*", text, re.UNICODE
    )
    if match is None:
        raise InputError(f"'{text.strip()}' is not a rate", remedy="write 'k_et = 0.11 /ps fixed'")
    name = match[1]
    if match[2] is None:
        rates.setdefault(name, Parameter(name, 1.0, f"1/{time_unit}", low=0.0))
        return name
    unit = match[3].replace("^-1", "").replace("-1", "").strip()
    if unit.startswith("/"):
        unit = f"1{unit}"
    elif unit and not unit.startswith("1/"):
        unit = f"1/{unit}" if "s" in unit and "/" not in unit else unit
    try:
        number = float(match[2])
    except ValueError as error:
        raise InputError(f"'{match[2]}' is not a number", remedy="write '0.11 /ps'") from error
    value = parse_quantity(f"{number} {unit}" if unit else number, f"1/{time_unit}")
    if value < 0:
        raise InputError(f"rate {name} is negative", remedy="turn the arrow round")
    rates[name] = Parameter(name, value, f"1/{time_unit}", low=0.0, fixed=match[4] is not None)
    given.add(name)
    return name


def _start(text: str) -> dict[str, float | str]:
    found: dict[str, float | str] = {}
    for part in text.split(","):
        name, _, amount = part.partition("=")
        amount = amount.strip() or "1"
        if not name.strip():
            raise InputError("'start' names no species", remedy="write 'start: A = 1'")
        if re.fullmatch(r"[^\W\d]\w*", amount):
            found[name.strip()] = amount
            continue
        try:
            found[name.strip()] = float(amount)
        except ValueError as error:
            raise InputError(
                f"'{amount}' is not a population", remedy="give a number or a name"
            ) from error
    return found


def parallel(count: int, time_unit: str = "ps") -> Scheme:
    """Return independent decays (decay-associated spectra), rates ``k_1`` to ``k_count``."""
    names = [f"component {i}" for i in range(1, count + 1)]
    return Scheme(
        tuple(Reaction(n, "GS", f"k_{i}") for i, n in enumerate(names, 1)),
        tuple(names),
        tuple(Parameter(f"k_{i}", 1.0, f"1/{time_unit}", low=0.0) for i in range(1, count + 1)),
        {"": dict.fromkeys(names, 1.0)},
        time_unit=time_unit,
    )


def sequential(count: int, time_unit: str = "ps") -> Scheme:
    """Return a chain S1 -> S2 -> ... -> ground state (evolution-associated spectra)."""
    names = [*(f"S{i}" for i in range(1, count + 1)), "GS"]
    return Scheme(
        tuple(Reaction(a, b, f"k_{i}") for i, (a, b) in enumerate(itertools.pairwise(names), 1)),
        tuple(names[:-1]),
        tuple(Parameter(f"k_{i}", 1.0, f"1/{time_unit}", low=0.0) for i in range(1, count + 1)),
        {"": {names[0]: 1.0}},
        time_unit=time_unit,
    )
