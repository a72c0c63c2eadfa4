"""Random sizes and shapes around a mean, as syntheses give them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import InputError
from heterodot.particle.lengths import Size, lengths
from heterodot.particle.particle import Particle

KINDS = ("lognormal", "normal")


@dataclass(frozen=True)
class Draw:
    """One member of an ensemble: sizes in Å and the shape of each domain."""

    size_a: float
    shape_a: str
    size_b: float | None = None
    shape_b: str | None = None


def draw_sizes(
    mean: Size, spread: Size, count: int, *, kind: str = "lognormal", seed: int = 0
) -> NDArray[np.float64]:
    """Return random sizes of a given mean and standard deviation, (count,), Å.

    Parameters
    ----------
    mean, spread : length
        Of the sizes themselves, also for the log-normal distribution; bare numbers are Å.
    kind : str
        ``"lognormal"`` or ``"normal"`` (cut off at a tenth of the mean).

    Raises
    ------
    InputError
        No members, a spread as large as the mean, or another distribution.

    Examples
    --------
    >>> sizes = draw_sizes("7.5 nm", "2 nm", 20000)
    >>> round(float(sizes.mean())), round(float(sizes.std()))
    (75, 20)
    """
    (center,), (width,) = lengths(mean, 1.0, place="mean"), lengths(spread, 1.0, place="spread")
    if count < 1:
        raise InputError(
            f"{count} members make no ensemble", place="count", remedy="give 1 or more"
        )
    if width >= center:
        raise InputError(
            "the spread is as large as the mean", place="spread", remedy="give a smaller one"
        )
    random = np.random.default_rng(seed)
    if kind == "lognormal":
        variance = np.log1p((width / center) ** 2)
        return np.asarray(random.lognormal(np.log(center) - variance / 2, np.sqrt(variance), count))
    if kind == "normal":
        return np.asarray(np.maximum(random.normal(center, width, count), 0.1 * center))
    raise InputError(
        f"'{kind}' is no distribution of sizes", place="kind", remedy=f"use {' or '.join(KINDS)}"
    )


def draw(
    count: int,
    mean_a: Size,
    spread_a: Size,
    shapes_a: Mapping[str, float] | Sequence[str] = ("cube",),
    *,
    mean_b: Size | None = None,
    spread_b: Size | None = None,
    shapes_b: Mapping[str, float] | Sequence[str] = ("hemisphere",),
    correlation: float = 0.0,
    kind: str = "lognormal",
    seed: int = 0,
) -> list[Draw]:
    """Return the members of an ensemble without building them.

    Parameters
    ----------
    shapes_a, shapes_b : mapping of name to weight, or names
    correlation : float
        Of the ranks of the two sizes, -1 to 1 (large cubes with large caps).

    Raises
    ------
    InputError
        As `draw_sizes`; weights that are not positive; a correlation outside -1 to 1.
    """
    if not -1.0 <= correlation <= 1.0:
        raise InputError(
            f"a correlation of {correlation:g} is not possible",
            place="correlation",
            remedy="give -1 to 1",
        )
    random = np.random.default_rng(seed)
    sizes_a = draw_sizes(mean_a, spread_a, count, kind=kind, seed=seed)
    names_a = _names(shapes_a, count, random)
    if mean_b is None:
        return [Draw(float(s), n) for s, n in zip(sizes_a, names_a, strict=True)]
    sizes_b = np.sort(
        draw_sizes(
            mean_b, spread_b if spread_b is not None else 1e-6, count, kind=kind, seed=seed + 1
        )
    )
    # a Gaussian copula: ranks of B follow a mixture of A's own ranks and fresh noise
    rank_a = np.argsort(np.argsort(sizes_a))
    normal = np.sort(random.standard_normal(count))[rank_a]
    mixed = correlation * normal + np.sqrt(1 - correlation**2) * random.standard_normal(count)
    sizes_b = sizes_b[np.argsort(np.argsort(mixed))]
    names_b = _names(shapes_b, count, random)
    return [
        Draw(float(a), na, float(b), nb)
        for a, na, b, nb in zip(sizes_a, names_a, sizes_b, names_b, strict=True)
    ]


def _names(
    shapes: Mapping[str, float] | Sequence[str], count: int, random: np.random.Generator
) -> list[str]:
    names = list(shapes)
    weights = (
        np.array([float(shapes[n]) for n in names])
        if isinstance(shapes, Mapping)
        else np.ones(len(names))
    )
    if not names or (weights < 0).any() or weights.sum() <= 0:
        raise InputError("the shapes have no weights", place="shapes", remedy="name at least one")
    return [names[i] for i in random.choice(len(names), count, p=weights / weights.sum())]


def ensemble(
    members: Sequence[Draw],
    crystal_a: Any,
    crystal_b: Any = None,
    relation: Any = None,
    **more: Any,
) -> Iterator[Particle]:
    """Build the members of an ensemble one by one.

    Parameters
    ----------
    members : sequence of Draw
    crystal_a, crystal_b, relation, **more
        As `heterodot.particle.build` takes them.

    Examples
    --------
    >>> members = draw(3, "2.4 nm", "0.3 nm", seed=1)
    >>> [particle.net_charge for particle in ensemble(members, "CsPbBr3")]
    [0.0, 0.0, 0.0]
    """
    from heterodot.particle.assembly import build

    for member in members:
        if crystal_b is None:
            yield build(crystal_a, member.shape_a, member.size_a, **more)
        else:
            yield build(
                crystal_a, member.shape_a, member.size_a,
                crystal_b, member.shape_b, member.size_b, relation, **more,
            )  # fmt: skip
