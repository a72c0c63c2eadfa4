"""How much of an apparent strain is only the difference of two bulk lattices.

Geometric phase analysis measures every lattice against one reference. On the other side of an
interface that says how the lattices differ, elastic strain or not. With both phases indexed, the
difference that their unstrained bulk cells would show is known, and what is left is elastic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterodot.errors import NotFoundError
from heterodot.probes.em.gpa import Strain
from heterodot.probes.em.patterns import Indexing
from heterodot.probes.em.reading import Reading
from heterodot.probes.em.zones import reflections
from heterodot.units import Value

Array = NDArray[np.float64]
NAMES = ("exx", "eyy", "exy", "rotation")
FAR = 0.012  # apparent strain of bulk lattices that is called an artefact of the reference


@dataclass(frozen=True)
class Misfit:
    """A domain against the reference domain.

    Attributes
    ----------
    grain : int
    phase : str
    measured : mapping of name to Value or None
        Median of the maps in the domain; None where the reference's reflections are not seen.
    bulk : mapping of name to float or None
        What the unstrained bulk lattices would show, turned as they are; rotation in degrees.
        None where the phase has no reflection near one of the reference's.
    elastic : mapping of name to Value or None
        What is left: the domain's own strain, if the reference domain is unstrained.
    warning : str
        Empty where there is nothing to say.
    """

    grain: int
    phase: str
    measured: dict[str, Value] | None
    bulk: dict[str, float] | None
    elastic: dict[str, Value] | None
    warning: str

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""

        def shown(values: dict[str, Value] | None) -> dict[str, Any] | None:
            return None if values is None else {k: v.to_json() for k, v in values.items()}

        bulk = None if self.bulk is None else {
            k: Value(v, "deg" if k == "rotation" else "1", None, "from the bulk cells")
            for k, v in self.bulk.items()
        }  # fmt: skip
        return {
            "grain": self.grain,
            "phase": self.phase,
            "measured": shown(self.measured),
            "bulk": shown(bulk),
            "elastic": shown(self.elastic),
            "warning": self.warning,
        }


def misfits(strain: Strain, readings: Sequence[Reading], reference: int) -> list[Misfit]:
    """Return every other domain's apparent strain, split into bulk difference and elastic part.

    Parameters
    ----------
    strain : Strain
        From `geometric_phase` with reflections of the reference domain.
    readings : sequence of Reading
        Domains of the same image.
    reference : int
        Number of the grain that the reference region lies in.

    Raises
    ------
    NotFoundError
        There is no such grain, or its phase is not known.
    """
    own = [r for r in readings if r.grain.number == reference]
    if not own or own[0].best is None:
        raise NotFoundError(f"grain {reference} has no known phase", place="reference")
    found = []
    for reading in readings:
        best = reading.best
        if reading.grain.number == reference or best is None:
            continue
        measured = _measured(strain, reading)
        bulk = bulk_difference(strain.g, own[0].best, best)
        elastic = None
        if measured is not None and bulk is not None:
            elastic = _rest(measured, bulk)
        found.append(
            Misfit(reading.grain.number, best.crystal.name, measured, bulk, elastic,
                   _warning(own[0].best, best, measured, bulk))
        )  # fmt: skip
    return found


def _measured(strain: Strain, reading: Reading) -> dict[str, Value] | None:
    """Return medians of the maps over a grain, its rim left out, None where little is trusted."""
    weights = reading.grain.weights
    rows, columns = (
        np.linspace(0, n - 1, m).round().astype(int)
        for n, m in zip(weights.shape, strain.exx.shape, strict=True)
    )
    inner = weights[np.ix_(rows, columns)] > 0.5
    here = inner & strain.trusted
    if here.sum() < 4 or here.sum() < 0.4 * inner.sum():
        return None
    values = {}
    for name in NAMES:
        part = getattr(strain, name)[here]
        low, high = np.percentile(part, [25, 75])
        # places within the resolution are not independent
        step = float((strain.y[1] - strain.y[0]) * (strain.x[1] - strain.x[0]))
        independent = max(1.0, here.sum() * step / strain.resolution**2)
        error = float(high - low) / 1.349 / math.sqrt(independent)
        values[name] = Value(
            float(np.median(part)), "deg" if name == "rotation" else "1", max(error, 1e-5)
        )
    return values


def bulk_difference(g: Array, reference: Indexing, other: Indexing) -> dict[str, float] | None:
    """Return the strain that an unstrained lattice shows against the reference's bulk lattice.

    Parameters
    ----------
    g : (2, 2) array
        Reflections of the reference domain in the image, rows, 1/Å.
    reference, other : Indexing

    Returns
    -------
    dict or None
        exx, eyy, exy and rotation (degrees); None where the other phase has no reflection within
        a tenth of one of them.
    """
    pairs = []
    for vector in g:
        near = _nearest(reference, vector, 0.1)
        partner = None if near is None else _nearest(other, near, 0.1)
        if near is None or partner is None:
            return None
        pairs.append((near, partner))
    whole, local = (np.array([p[k] for p in pairs]) for k in (0, 1))
    # local (1 + grad u) = reference, as in `geometric_phase`
    gradient = np.linalg.solve(local, whole) - np.eye(2)
    symmetric = (gradient + gradient.T) / 2
    turn = math.atan2(gradient[1, 0] - gradient[0, 1], 2 + gradient.trace())
    return {
        "exx": float(symmetric[0, 0]),
        "eyy": float(symmetric[1, 1]),
        "exy": float(symmetric[0, 1]),
        "rotation": math.degrees(turn),
    }


def _nearest(domain: Indexing, vector: Array, tolerance: float) -> Array | None:
    """Return the bulk reflection of a domain nearest to a vector, in the image's axes."""
    length = float(np.linalg.norm(vector))
    hkl, _ = reflections(domain.crystal, 1.2 * length)
    hkl = hkl[hkl @ np.array(domain.zone) == 0]
    if not len(hkl):
        return None
    at = (hkl @ domain.crystal.reciprocal @ domain.orientation.T)[:, :2]
    away = np.linalg.norm(at - vector, axis=1)
    k = int(np.argmin(away))
    return np.asarray(at[k]) if away[k] < tolerance * length else None


def _rest(measured: dict[str, Value], bulk: dict[str, float]) -> dict[str, Value]:
    """Return measured strain over bulk difference, to first order in the rest."""
    rest = {}
    for name in NAMES:
        scale = 1.0
        if name in ("exx", "eyy"):
            scale = 1 + bulk[name]
        value = (measured[name].value - bulk[name]) / scale
        rest[name] = Value(value, measured[name].unit, measured[name].error)
    return rest


def _warning(
    reference: Indexing,
    other: Indexing,
    measured: dict[str, Value] | None,
    bulk: dict[str, float] | None,
) -> str:
    name, base = other.crystal.name, reference.crystal.name
    if bulk is None:
        return (
            f"{name} has no reflections near those of {base} that were used: its strain against "
            f"{base} is an artefact; map it with reflections and a reference region of its own"
        )
    largest = max(abs(bulk[k]) for k in ("exx", "eyy", "exy"))
    if measured is None:
        return f"the reference's reflections are too weak in {name}: nothing is known there"
    if largest > FAR:
        return (
            f"bulk {name} and {base} differ by up to {100 * largest:.1f} % along these axes: most "
            "of the apparent strain is an artefact of the reference, not elastic"
        )
    return (
        f"bulk {name} and {base} differ by up to {100 * largest:.2f} % along these axes; that part "
        "of the apparent strain is no elastic strain"
    )
