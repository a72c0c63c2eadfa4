"""Published beside computed: each row takes one entry of the catalog and one result of the study."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodot.errors import InputError, NotFoundError, nearest
from heterodot.study.store import StageResult
from heterodot.units import Value, symbol

if TYPE_CHECKING:
    from heterodot.catalog.literature import Published
    from heterodot.study.settings import Comparison, Settings

Done = Mapping[str, StageResult]


def compare(settings: Settings, done: Done) -> list[dict[str, Any]]:
    """Return a row for each comparison that the study asks for.

    Each row has ``what``, ``published`` and ``computed`` (values as JSON, or text),
    ``difference`` (in the published unit), ``agrees`` (True, False, or None where neither an
    error nor a bound allows a verdict), texts of all three, ``source`` and ``note``.

    Raises
    ------
    InputError
        An id or a name that is not known.
    """
    return [_row(wish, n, done) for n, wish in enumerate(settings.compare)]


def check(settings: Settings) -> None:
    """Refuse comparisons of entries or results that do not exist, before anything is computed.

    Raises
    ------
    InputError
    """
    for n, wish in enumerate(settings.compare):
        _known(wish, f"compare.{n}")


def _known(wish: Comparison, place: str) -> Published:
    try:
        found = _entry(wish.published)
    except (InputError, NotFoundError) as error:
        raise InputError(error.what, place=f"{place}.published", remedy=error.remedy) from error
    if wish.computed not in COMPUTED:
        close = nearest(wish.computed, COMPUTED) or list(COMPUTED)
        raise InputError(
            f"'{wish.computed}' is not computed",
            place=f"{place}.computed",
            remedy=f"choose among {', '.join(close)}",
        )
    return found


def _row(wish: Comparison, n: int, done: Done) -> dict[str, Any]:
    place = f"compare.{n}"
    found = _known(wish, place)
    skipped = done["electronic"].summary.get("skipped")
    try:
        computed: Value | str = (
            skipped.split(";")[0]
            if skipped and wish.computed.startswith("electronic.")
            else COMPUTED[wish.computed](wish, done)
        )
    except InputError as error:
        raise error.at(place=place) from error
    published, what = _published(found, wish, place)
    row: dict[str, Any] = {
        "what": wish.label or what,
        "id": wish.published,
        "name": wish.computed,
        "bound": found.bound,
        "how": found.how,
        "source": found.source.citation,
        "place": found.place,
        "note": wish.note,
        "published": published if isinstance(published, str) else published.to_json(),
        "computed": computed if isinstance(computed, str) else computed.to_json(),
        "published_text": _text(published, found.bound),
        "computed_text": _text(computed, ""),
    }
    row.update(_difference(published, computed, found.bound))
    return row


def _entry(name: str) -> Published:
    """Return the catalog's entry of an id, of whatever kind it is."""
    from heterodot.catalog import published
    from heterodot.catalog.literature import KINDS

    document = name.partition(".")[0]
    known: list[str] = []
    for kind in KINDS:
        try:
            found = published(document=document, kind=kind)
        except NotFoundError:
            continue
        for entry in found:
            if entry.id == name:
                return entry
            known.append(entry.id)
    close = nearest(name, known)
    raise InputError(
        f"'{name}' is not an entry of the catalog",
        remedy=f"did you mean {' or '.join(close)}?" if close else "see 'heterodot literature'",
    )


def _published(found: Published, wish: Comparison, place: str) -> tuple[Value | str, str]:
    """Return the published number or statement, and what it is called."""
    what = found.quantity or found.system or wish.published
    if wish.key is not None:
        node: Any = found.record
        for part in wish.key.split("."):
            if not isinstance(node, Mapping) or part not in node:
                raise InputError(
                    f"the entry has no '{part}'", place=f"{place}.key", remedy="check the path"
                )
            node = node[part]
        label = f"{what}: {wish.key.rsplit('.', 1)[-1]}"
        if isinstance(node, int | float):
            return Value(float(node), "", None, "not stated"), label
        return str(node), label
    if found.values:
        if wish.item is None and len(found.values) > 1:
            raise InputError(
                f"{wish.published} has {len(found.values)} numbers",
                place=f"{place}.item",
                remedy="say which one (0 is the first)",
            )
        item = wish.item or 0
        if item >= len(found.values):
            raise InputError(
                f"{wish.published} has {len(found.values)} numbers", place=f"{place}.item"
            )
        return found.values[item], what
    if "claim" in found.record:
        return str(found.record["claim"]), "claim"
    return found.text or what, what


def _text(value: Value | str, bound: str) -> str:
    sign = {"about": "~ ", "<": "< ", ">": "> ", "<=": "≤ ", ">=": "≥ "}.get(bound, "")
    return value if isinstance(value, str) else f"{sign}{value.show()}"


def _difference(published: Value | str, computed: Value | str, bound: str) -> dict[str, Any]:
    """Return difference, verdict and their texts."""
    none: dict[str, Any] = {"difference": None, "agrees": None, "difference_text": ""}
    if isinstance(published, str) or isinstance(computed, str):
        return none
    theirs, ours = published, computed
    if ours.unit != theirs.unit:
        ours = ours.to(theirs.unit)
    gap = ours.value - theirs.value
    unit = f" {symbol(theirs.unit)}" if symbol(theirs.unit) else ""
    if bound in ("<", "<="):
        agrees: bool | None = ours.value <= theirs.value * (1 + 1e-9)
        said = "within the bound" if agrees else f"above the bound by {gap:.2g}{unit}"
    elif bound in (">", ">="):
        agrees = ours.value >= theirs.value * (1 - 1e-9)
        said = "within the bound" if agrees else f"below the bound by {-gap:.2g}{unit}"
    else:
        said = f"{gap:+.3g}{unit}"
        if theirs.value:
            said += f" ({100 * gap / abs(theirs.value):+.1f} %)"
        errors = [e for e in (theirs.error, ours.error) if e is not None]
        agrees = abs(gap) <= 2 * math.hypot(*errors) if errors else None
    return {"difference": gap, "agrees": agrees, "difference_text": said}


# ----------------------------------------------------------------- what a study computes


def _exact(number: float, unit: str, reason: str) -> Value:
    return Value(float(number), unit, None, reason)


def _mismatch(index: int) -> Callable[[Comparison, Done], Value]:
    def computed(wish: Comparison, done: Done) -> Value:
        chosen = done["epitaxy"].summary["chosen"]
        return _exact(100 * chosen["mismatch"][index], "percent", "follows from the cells as given")

    return computed


def _largest_mismatch(wish: Comparison, done: Done) -> Value:
    found = done["epitaxy"].summary["chosen"]["mismatch"]
    return _exact(100 * max(abs(x) for x in found), "percent", "follows from the cells as given")


def _rank(wish: Comparison, done: Done) -> Value:
    return _exact(done["epitaxy"].summary["chosen_rank"], "", "a count")


def _relation(wish: Comparison, done: Done) -> str:
    return str(done["epitaxy"].summary["chosen"]["label"])


def _need(wish: Comparison, *keys: str) -> None:
    for key in keys:
        if getattr(wish, key) is None:
            raise InputError(f"'{wish.computed}' needs '{key}', three indices", place=key)


def _tilt(wish: Comparison, done: Done) -> Value:
    """Smallest angle between a zone axis of A and one of B, over the equivalents of both."""
    from heterodot.crystal import Crystal

    _need(wish, "a", "b")
    rotation = np.array(done["epitaxy"].summary["chosen"]["rotation_b_to_a"])
    crystals = {
        key: Crystal.from_record(_read_json(done["crystals"], f"crystal_{key}.json"))
        for key in ("a", "b")
    }
    axis_a = crystals["a"].direction(wish.a)  # type: ignore[arg-type]
    axis_b = rotation @ crystals["b"].direction(wish.b)  # type: ignore[arg-type]
    cosine = abs(axis_a @ axis_b) / np.linalg.norm(axis_a) / np.linalg.norm(axis_b)
    angle = math.degrees(math.acos(min(float(cosine), 1.0)))
    return _exact(angle, "deg", "follows from the relation")


def _read_json(stage: StageResult, name: str) -> Any:
    import json

    return json.loads(stage.path(name).read_text(encoding="utf-8"))


def _reflection(domain: str) -> Callable[[Comparison, Done], Value]:
    def computed(wish: Comparison, done: Done) -> Value:
        _need(wish, domain)
        plane = sorted((abs(i) for i in getattr(wish, domain)), reverse=True)
        for stick in done["xrd"].summary["bulk"][domain]["sticks"]:
            if sorted((abs(i) for i in stick["hkl"]), reverse=True) == plane:
                return _exact(stick["two_theta"], "deg", "bulk reflection of the cell as given")
        raise InputError(f"no reflection {plane} lies in the pattern", place=domain)

    return computed


def _report(done: Done) -> Any:
    return done["particle"].summary["report"]


def _count(wish: Comparison, done: Done) -> Value:
    """Atoms of the element that the entry's key ends with."""
    element = (wish.key or "").rsplit(".", 1)[-1]
    total = sum(d["composition"].get(element, 0) for d in _report(done)["domains"])
    return _exact(total, "", "a count")


def _formula(wish: Comparison, done: Done) -> str:
    return str(_report(done)["formula"])


def _atoms(wish: Comparison, done: Done) -> Value:
    return _exact(_report(done)["atoms"], "", "a count")


def _charge(wish: Comparison, done: Done) -> Value:
    return _exact(_report(done)["charge"]["value"], "", "sum of formal charges")


def _size(domain: int) -> Callable[[Comparison, Done], Value]:
    """Middle one of the three extents along the crystal's axes, from atom centers."""

    def computed(wish: Comparison, done: Done) -> Value:
        extents = [s["value"] for s in _report(done)["domains"][domain]["size"]["along_axes"]]
        return _exact(sorted(extents)[1], "nm", "extent of atom centers")

    return computed


def _coordination(wish: Comparison, done: Done) -> str:
    """Say how many anions the cations have that bond across the interface."""
    said = []
    for element, found in _report(done)["interface"]["coordination"].items():
        said += [f"{element}: {count} with {number}" for number, count in sorted(found.items())]
    return ", ".join(said)


def _alignment(wish: Comparison, done: Done) -> str:
    return str(done["electronic"].summary["alignment"]["type"])


def _level(name: str) -> Callable[[Comparison, Done], Value]:
    def computed(wish: Comparison, done: Done) -> Value:
        levels = done["electronic"].summary["levels"]
        if name not in levels:
            raise InputError(f"'{wish.computed}' was not computed (electronic.coulomb is off)")
        return Value.from_json(dict(levels[name]))

    return computed


def _emission(wish: Comparison, done: Done) -> Value:
    """Wavelength of the lowest electron-hole transition (no Stokes shift)."""
    from scipy.constants import c, e, h

    levels = done["electronic"].summary["levels"]
    gap = Value.from_json(dict(levels.get("optical_gap") or levels["gap"]))
    wavelength = h * c / e / gap.value * 1e9
    error = None if gap.error is None else wavelength * gap.error / gap.value
    return Value(wavelength, "nm", error, "no error of the gap is known")


COMPUTED: dict[str, Callable[[Comparison, Done], Value | str]] = {
    "epitaxy.relation": _relation,
    "epitaxy.rank": _rank,
    "epitaxy.mismatch_1": _mismatch(0),
    "epitaxy.mismatch_2": _mismatch(1),
    "epitaxy.largest_mismatch": _largest_mismatch,
    "epitaxy.tilt": _tilt,
    "particle.formula": _formula,
    "particle.atoms": _atoms,
    "particle.charge": _charge,
    "particle.count": _count,
    "particle.size_a": _size(0),
    "particle.size_b": _size(1),
    "interface.coordination": _coordination,
    "electronic.type": _alignment,
    "electronic.gap": _level("gap"),
    "electronic.optical_gap": _level("optical_gap"),
    "electronic.emission": _emission,
    "xrd.reflection_a": _reflection("a"),
    "xrd.reflection_b": _reflection("b"),
}
