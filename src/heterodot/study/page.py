"""The report of a study: what was found, drawn and tabled, with every source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodot.files import read_text, write_text
from heterodot.report.page import Page, cards, code, table
from heterodot.report.palette import CHALCOGENIDE, PEROVSKITE
from heterodot.units import Value

if TYPE_CHECKING:
    from heterodot.study.settings import Settings
    from heterodot.study.study import StudyResult

ELECTRON_RAMP = ("#F2F2F2", "#9ECAE1", "#2171B5", "#08306B")
HOLE_RAMP = ("#F2F2F2", "#FDBE85", "#D94801", "#7F2704")


def write_report(result: StudyResult, settings: Settings, text: str) -> Path:
    """Write ``report.html`` into the output folder of a finished study."""
    page = Page(settings.study.title, _lead(result))
    _summary(page, result, settings)
    _particle(page, result)
    _orientations(page, result)
    _levels(page, result)
    _pattern(page, result, settings)
    _comparison(page, result)
    _checks(page, result)
    _sources(page, result, settings, text)
    return write_text(result.report, page.render())


def _lead(result: StudyResult) -> str:
    report = result.stages["particle"].summary["report"]
    chosen = result.stages["epitaxy"].summary["chosen"]
    return f"{report['formula']}, {report['atoms']} atoms, joined at {chosen['label']}."


def _value(node: Any) -> str:
    return Value.from_json(dict(node)).show() if isinstance(node, dict) else str(node)


def _summary(page: Page, result: StudyResult, settings: Settings) -> None:
    summary = {name: stage.summary for name, stage in result.stages.items()}
    report, epitaxy = summary["particle"]["report"], summary["epitaxy"]
    chosen = epitaxy["chosen"]
    electronic = summary["electronic"]
    page.section("Result")
    items = [
        ("Relation found, rank", f"{epitaxy['chosen_rank']} of {epitaxy['matches']}"),
        ("Mismatch", " / ".join(f"{100 * m:+.2f} %" for m in chosen["mismatch"])),
        ("Coincidence cell", f"{chosen['area']:.1f} Å²"),
        ("Net formal charge", f"{report['charge']['value']:g} e"),
    ]
    if "skipped" not in electronic:
        items.append(("Alignment", electronic["alignment"]["type"]))
        items.append(("Lowest transition", _value(lowest_transition(electronic["levels"]))))
    if "mean_displacement" in summary["energy"]:
        items.append(("Mean displacement", _value(summary["energy"]["mean_displacement"])))
        inner = summary["energy"]["internal_displacement"]
        moved = ", ".join(f"{name} {row['mean']:.2f} Å" for name, row in inner.items())
        items.append(("Within each domain", moved))
    page.add(cards(items))
    for note in _warnings(result, settings):
        page.warn(note)


def lowest_transition(levels: dict[str, Any]) -> Any:
    """Return the optical gap (with the electron-hole attraction) if it was computed, else the gap."""
    return levels.get("optical_gap") or levels["gap"]


def _warnings(result: StudyResult, settings: Settings) -> list[str]:
    notes = []
    energy = result.stages["energy"].summary
    if settings.energy.steps and not energy["steps"]:
        notes.append(_sentence(energy["message"]))
    if energy.get("steps") and not energy["converged"]:
        notes.append(
            f"The relaxation did not reach its force limit in {energy['steps']} steps "
            f"(largest force {_value(energy['max_force'])}); raise energy.steps to go on."
        )
    if energy.get("steps") and not energy.get("intact", True):
        notes.append("The particle fell into more pieces on relaxation; do not use this model.")
    for check in result.stages["particle"].summary["report"]["checks"]:
        if not check["passed"]:
            notes.append(f"Check not passed: {check['name']} ({_found(check)}): {check['note']}")
    for stage in ("epitaxy", "particle", "energy", "electronic", "xrd"):
        summary = result.stages[stage].summary
        notes += [str(n) for n in summary.get("warnings", ())]
    electronic = result.stages["electronic"].summary
    if "skipped" in electronic and settings.electronic.states:
        notes.append(_sentence(electronic["skipped"]))
    notes += [str(n) for n in electronic.get("levels", {}).get("warnings", ())]
    return notes


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}."


def _particle(page: Page, result: StudyResult) -> None:
    from heterodot.particle import Particle

    built = Particle.read(result.stages["particle"].path("built.xyz"))
    frames = [("built", built)]
    if result.stages["energy"].summary["steps"]:
        frames.append(("relaxed", Particle.read(result.stages["energy"].path("relaxed.xyz"))))
    page.section("Particle")
    normal = np.array(_normal(result))
    page.viewer(
        frames,
        _colorings(result),
        surfaces=_clouds(result),
        across=normal,
    )
    report = result.stages["particle"].summary["report"]
    rows = []
    for domain in report["domains"]:
        composition = " ".join(f"{e}{n}" for e, n in domain["composition"].items())
        extents = " x ".join(f"{size['value']:.2f}" for size in domain["size"]["along_axes"])
        rows.append([domain["name"], composition, domain["atoms"], domain["shape"], extents])
    columns = ["domain", "composition", "atoms", "asked for", "extent of atom centers (nm)"]
    page.add(table(columns, rows, name="domains"))
    page.text(interface_words(report["interface"]))
    page.text(
        f"Open particle.xyz (as built){' or relaxed.xyz' if len(frames) > 1 else ''} in ASE, OVITO "
        "or VESTA; particle.cif holds the same atoms in a box.",
        "small soft",
    )


def _colorings(result: StudyResult) -> list[tuple[str, Any, Any, Any]]:
    """Return how atoms may be colored by the lowest electron and hole state."""
    if "skipped" in result.stages["electronic"].summary:
        return []
    density = np.load(result.stages["electronic"].path("density_at_atoms.npy"), allow_pickle=False)
    return [
        (
            "electron density",
            density[0],
            ELECTRON_RAMP,
            [("most of the electron", ELECTRON_RAMP[-1]), ("none", ELECTRON_RAMP[0])],
        ),
        (
            "hole density",
            density[1],
            HOLE_RAMP,
            [("most of the hole", HOLE_RAMP[-1]), ("none", HOLE_RAMP[0])],
        ),
    ]


def _clouds(result: StudyResult) -> list[tuple[str, str, Any, Any]]:
    """Return the surfaces that enclose half of the lowest electron and hole state."""
    from heterodot.report.isosurface import isosurface

    if "skipped" in result.stages["electronic"].summary:
        return []
    stage, clouds = result.stages["electronic"], []
    kinds = [("electron", "", "#2171B5"), ("hole", "", "#D94801")]
    if "alignment" in stage.summary.get("atomistic", {}):
        kinds += [("electron", "_atomistic", "#6BAED6"), ("hole", "_atomistic", "#FDAE6B")]
    for carrier, model, color in kinds:
        path = stage.path(f"{carrier}_density{model}.npz")
        with np.load(path, allow_pickle=False) as kept:
            values = np.pad(kept["values"], 1)  # so that the surface closes at the grid's edge
            spacing = float(kept["spacing"])
            origin = kept["origin"] - spacing
            vertices, faces = isosurface(values, float(kept["level"]), spacing, origin)
        suffix = ", tight binding" if model else ""
        clouds.append((f"half of the {carrier}{suffix}", color, vertices, faces))
    return clouds


def interface_words(interface: dict[str, Any]) -> str:
    """Return what there is to say of an interface: bonds across and coordination of cations."""
    parts = [
        f"{interface['bonds_across']} bonds cross the interface, over {interface['cations']} "
        "cations."
    ]
    for element, found in interface["coordination"].items():
        counts = ", ".join(f"{count} with {number}" for number, count in sorted(found.items()))
        parts.append(f"Anions around {element} there: {counts}.")
    return " ".join(parts)


def _found(check: dict[str, Any]) -> str:
    value = check["value"]
    shown = f"{value:.4g}" if isinstance(value, float) else str(value)
    limit = "" if check["limit"] is None else f", limit {check['limit']:g}"
    return f"{shown} {check['unit']}".strip() + limit


def _normal(result: StudyResult) -> Any:
    from heterodot.epitaxy import OrientationRelationship

    text = read_text(result.stages["epitaxy"].path("relation.json"))
    return OrientationRelationship.from_record(json.loads(text)).normal


def _orientations(page: Page, result: StudyResult) -> None:
    from heterodot.epitaxy import OrientationRelationship
    from heterodot.epitaxy.description import COLUMNS, table_row

    summary = result.stages["epitaxy"].summary
    page.section("Orientation relationships")
    page.text(
        f"{summary['matches']} distinct relations lie within the limits of the search, ranked by "
        "misfit, registry and the parts shown in epitaxy.csv; A is "
        f"{result.stages['crystals'].summary['a']['name']}, B is "
        f"{result.stages['crystals'].summary['b']['name']}. The one built is marked."
    )
    chosen = summary["chosen_rank"]
    shown = [table_row(match, rank) for rank, match in enumerate(summary["first"], 1)]
    page.add(table(COLUMNS, shown, chosen=chosen - 1, name="orientations"))
    text = read_text(result.stages["epitaxy"].path("relation.json"))
    relation = OrientationRelationship.from_record(json.loads(text))
    page.add('<div class="two">')
    for figure, caption, name in _epitaxy_figures(relation):
        page.figure(figure, caption, name=name)
    page.add("</div>")


def _epitaxy_figures(relation: Any) -> list[tuple[Any, str, str]]:
    from heterodot.epitaxy import interfaces
    from heterodot.report.figures_epitaxy import nets, stereogram

    drawn = []
    meetings = interfaces(relation)
    if meetings:
        words = "Both surface nets at the interface, seen along its normal."
        drawn.append((nets(meetings[0]), words, "interface"))
    words = "Stereogram of the relation: which directions of both crystals point the same way."
    drawn.append((stereogram(relation), words, "stereogram"))
    return drawn


def _levels(page: Page, result: StudyResult) -> None:
    from heterodot.report.figures_electronic import level_diagram

    summary = result.stages["electronic"].summary
    if "skipped" in summary:
        return
    page.section("Levels")
    alignment = summary["alignment"]
    page.text(f"Alignment: {alignment['type']}; {alignment['reason']}. {alignment['rules']}")
    pair = alignment.get("pair_type")
    if pair and pair != alignment["type"]:
        page.text(f"Once electron and hole attract each other the pair is {pair}.")
    if "robustness" in summary:
        page.text(f"How firm that is: {summary['robustness']['said']}.")
    for offset in alignment["offsets"]:
        page.text(
            f"Bulk offsets of {offset['second']} from {offset['first']}: conduction "
            f"{_value(offset['conduction'])}, valence {_value(offset['valence'])} "
            f"(bulk type {offset['bulk_type']}). From {offset['source']}.",
            "small soft",
        )
    page.figure(
        level_diagram(summary),
        "Band edges of the bulk phases (bars) and the levels of the particle; the share of each "
        "state in the two domains is written beside it.",
        name="levels",
    )
    rows = []
    for carrier in ("electrons", "holes"):
        for n, state in enumerate(summary["levels"][carrier], 1):
            fractions = ", ".join(f"{k} {100 * v:.0f} %" for k, v in state["fractions"].items())
            rows.append([f"{carrier[:-1]} {n}", _value(state["energy"]), fractions])
    page.add(table(["state", "energy", "where it is"], rows, name="levels"))


def _pattern(page: Page, result: StudyResult, settings: Settings) -> None:
    summary = result.stages["xrd"].summary
    wish = settings.probes.xrd
    if wish is None or "skipped" in summary:
        return
    page.section("Powder pattern")
    stage = result.stages["xrd"]
    traces: list[dict[str, Any]] = []
    for which in summary["patterns"]:
        main = which == summary["structure"]
        angle, intensity = np.loadtxt(stage.path("xrd.xy" if main else f"xrd_{which}.xy")).T
        line = {"color": "#222222", "width": 1.6} if main else {"color": "#999999", "dash": "dot"}
        traces.append(
            {
                "x": angle,
                "y": 100 * intensity / float(intensity.max()),
                "mode": "lines",
                "name": f"particle as {which}",
                "line": line,
            }
        )
    for n, (key, color) in enumerate((("a", PEROVSKITE), ("b", CHALCOGENIDE))):
        bulk = summary["bulk"][key]
        x, y = _sticks(bulk["sticks"], -9.0 - 12.0 * n)
        traces.append(
            {"x": x, "y": y, "mode": "lines", "name": f"{bulk['formula']} (bulk)"}
            | {"line": {"color": color, "width": 2}}
        )
    page.plot(
        "xrd",
        traces,
        {
            "xaxis": {"title": {"text": f"2θ (°), {summary['wavelength']}"}},
            "yaxis": {"title": {"text": "Intensity (% of maximum)"}, "zeroline": False},
        },
    )
    page.text(
        "Curves are of the particle by the Debye equation, each scaled to its maximum; sticks are "
        "the reflections of the bulk phases, set below. xrd.xy and xrd.nc hold the numbers of the "
        f"particle as {summary['structure']}. The ionic potential that relaxes the other one is "
        "approximate at surfaces.",
        "small soft",
    )


def _sticks(sticks: list[dict[str, Any]], base: float) -> tuple[Any, Any]:
    """Return a line that draws sticks from ``base`` upwards, broken between them."""
    x, y = [], []
    for stick in sticks:
        height = 9.0 * stick["intensity"] / 100.0
        if height < 0.05:
            continue
        x += [stick["two_theta"], stick["two_theta"], np.nan]
        y += [base, base + height, np.nan]
    return np.array(x), np.array(y)


def _comparison(page: Page, result: StudyResult) -> None:
    if not result.comparison:
        return
    page.section("Published and computed")
    words = {True: "agrees", False: "differs", None: ""}
    rows = [
        [
            row["what"],
            row["published_text"],
            row["computed_text"],
            row["difference_text"],
            words[row["agrees"]],
            row["note"],
            f"{row['id']} ({row['how'] or 'stated'})",
        ]
        for row in result.comparison
    ]
    columns = ["quantity", "published", "computed", "difference", "", "note", "source"]
    page.add(table(columns, rows, name="comparison"))
    sources = sorted({row["source"] for row in result.comparison})
    page.text("Sources: " + "; ".join(sources) + ".", "small soft")


def _checks(page: Page, result: StudyResult) -> None:
    page.section("Checks of the particle")
    rows = [
        [check["name"], check["passed"], _found(check), check["note"]]
        for check in result.stages["particle"].summary["report"]["checks"]
    ]
    page.add(table(["check", "passed", "found", "remark"], rows, name="checks"))
    steps = [
        json.dumps(step, ensure_ascii=False)
        for step in result.stages["particle"].summary["history"]
    ]
    page.add(
        "<details><summary>What the builder did</summary>"
        + code("\n".join(steps), "builder-steps")
        + "</details>"
    )


def _sources(page: Page, result: StudyResult, settings: Settings, text: str) -> None:
    page.section("Inputs, sources and versions")
    crystals = result.stages["crystals"].summary
    rows: list[list[Any]] = []
    for key in ("a", "b"):
        found = crystals[key]
        taken = found["taken"]
        origin = (
            f"catalog, {taken['catalog']}"
            if "catalog" in taken
            else f"{taken['file']}, SHA-256 {taken['sha256'][:16]}"
        )
        cell = " ".join(f"{x:g}" for x in found["cellpar"])
        rows.append(
            [
                key.upper(),
                found["formula"],
                found["space_group"]["symbol"],
                cell,
                origin,
                found["source"],
            ]
        )
    page.add(
        table(
            ["", "crystal", "space group", "cell (Å, °)", "taken from", "source"],
            rows,
            name="crystals",
        )
    )
    levels = result.stages["electronic"].summary.get("levels")
    if levels is not None:
        page.add(table(["phase", "quantity", "value", "source"], _values(levels), name="values"))
    provenance = result.provenance
    seconds = provenance["seconds"]
    page.text(
        f"Run {provenance['time']} on {provenance['machine']}, seed {provenance['seed']}; "
        + ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())
        + "."
    )
    page.text(", ".join(f"{k} {v}" for k, v in provenance["versions"].items()), "small soft")
    if settings.study.notes:
        page.text(settings.study.notes)
    page.add(f"<h3>Study file</h3>{code(text, 'study-toml')}")
    name = result.provenance["study"]["file"]
    python = (
        "from heterodot import Study\n\n"
        f'result = Study.read("{name}").run("{result.out.name}")\n'
        'print(result.stages["particle"].summary["report"]["formula"])\n'
    )
    page.add(f"<h3>The same in Python</h3>{code(python, 'study-python')}")
    line = f"heterodot run {name} --out {result.out.name}"
    page.add(f"<h3>The same on the command line</h3>{code(line, 'study-cli')}")


def _values(levels: dict[str, Any]) -> list[list[str]]:
    """Return the rows of the physical values that the levels rest on."""
    parts = [(domain["phase"], domain["parameters"]) for domain in levels["domains"]]
    parts.append((levels["medium"]["name"], levels["medium"]["parameters"]))
    rows = [
        (name, p["quantity"], _value(p), p["source"])
        for name, parameters in parts
        for p in parameters
    ]
    return [list(row) for row in dict.fromkeys(rows)]  # electron and hole share some
