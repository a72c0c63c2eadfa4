"""One self-contained HTML page: parts in, text out; nothing is fetched when it opens."""

from __future__ import annotations

import base64
import functools
import gzip
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from heterodot.documents import plain
from heterodot.report.palette import ROLES, domain_color, element_color

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from heterodot.particle import Particle


@dataclass
class Page:
    """A page that grows section by section; `render` gives the HTML.

    Attributes
    ----------
    title : str
    lead : str
        A sentence or two below the title.
    """

    title: str
    lead: str = ""
    _sections: list[tuple[str, str, list[str]]] = field(default_factory=list)
    _data: dict[str, Any] = field(default_factory=lambda: {"plots": {}})
    _figures: int = 0

    def section(self, title: str) -> None:
        """Start a section; what is added next goes into it."""
        anchor = "".join(c if c.isalnum() else "-" for c in title.lower()).strip("-")
        self._sections.append((title, anchor, []))

    def add(self, part: str) -> None:
        """Add a piece of HTML (from the functions of this module) to the current section."""
        if not self._sections:
            self._sections.append(("", "top", []))
        self._sections[-1][2].append(part)

    def text(self, words: str, kind: str = "") -> None:
        """Add a paragraph of plain words (escaped)."""
        self.add(f'<p class="{kind}">{escape(words)}</p>')

    def warn(self, words: str) -> None:
        """Add a warning."""
        self.add(f'<div class="warn">{escape(words)}</div>')

    def figure(self, figure: Figure, caption: str, *, name: str, table: str | None = None) -> None:
        """Add a Matplotlib figure as SVG, with links to save it and the numbers behind it.

        Parameters
        ----------
        figure : matplotlib Figure
        caption : str
        name : str
            File name (without suffix) of what is saved.
        table : str, optional
            The numbers as TSV with a unit row.
        """
        self._figures += 1
        anchor = f"figure-{self._figures}"
        links = [save_link(anchor, f"{name}.svg", "image/svg+xml", "Save SVG")]
        numbers = ""
        if table is not None:
            numbers = f'<pre hidden id="{anchor}-data">{escape(table)}</pre>'
            links.append(
                save_link(f"{anchor}-data", f"{name}.tsv", "text/tab-separated-values", "Save data")
            )
        self.add(
            f'<figure id="{anchor}">{svg(figure)}<figcaption>{escape(caption)} '
            f"{' '.join(links)}</figcaption>{numbers}</figure>"
        )

    def plot(
        self, name: str, traces: Sequence[Mapping[str, Any]], layout: Mapping[str, Any]
    ) -> None:
        """Add an interactive plot (Plotly, from its own package, travelling inside the page).

        Each trace's ``x`` and ``y`` are arrays; they are stored as float32.
        """
        packed = []
        for trace in traces:
            line = {"simplify": False, **trace.get("line", {})}
            packed.append(
                {
                    **plain({k: v for k, v in trace.items() if k not in ("x", "y", "line")}),
                    "line": line,
                    "x": _pack(trace["x"]),
                    "y": _pack(trace["y"]),
                }
            )
        base = {
            "margin": {"l": 64, "r": 16, "t": 12, "b": 52},
            "font": {"family": "system-ui, Helvetica, Arial, sans-serif", "size": 13},
            "paper_bgcolor": "white",
            "plot_bgcolor": "white",
            "legend": {"orientation": "h", "y": 1.08},
        }
        self._data["plots"][name] = {"traces": packed, "layout": {**base, **plain(layout)}}
        self.add(f'<div class="plot" data-plot="{escape(name)}"></div>')

    def viewer(
        self,
        frames: Sequence[tuple[str, Particle]],
        colorings: Sequence[tuple[str, ArrayLike, Sequence[str], Sequence[tuple[str, str]]]] = (),
        surfaces: Sequence[tuple[str, str, ArrayLike, ArrayLike]] = (),
        across: ArrayLike | None = None,
    ) -> None:
        """Add the 3-D view of one particle, with several sets of positions to choose among.

        Parameters
        ----------
        frames : sequence of (name, Particle)
            The same atoms in different positions (built, relaxed); the last is shown first.
        colorings : sequence of (name, values, ramp, legend)
            Per-atom values in 0..1, the colors of the ramp, and legend rows (label, color).
        surfaces : sequence of (name, color, vertices, triangles)
            Translucent surfaces (see `heterodot.report.isosurface`), off until ticked.
        across : (3,) array, optional
            Direction to show from left to right at first (the normal of an interface).
        """
        self._data["particle"] = _viewer_data(frames, colorings)
        self._data["particle"]["surfaces"] = [
            {
                "name": name,
                "color": color,
                "vertices": _pack(vertices),
                "faces": base64.b64encode(np.asarray(faces, dtype="<u4").tobytes()).decode(),
            }
            for name, color, vertices, faces in surfaces
        ]
        if across is not None:
            self._data["particle"]["start"] = _start(np.asarray(across, dtype=float))
        n = len(frames[-1][1])
        self.add(
            f"""<div class="viewer" id="particle-view"><div class="stage">
<canvas tabindex="0" role="img" aria-label="The particle in three dimensions, {n} atoms"></canvas>
<div class="tip" aria-live="polite"></div></div><aside>
<b>{n} atoms</b><label>Color by</label><select class="by" aria-label="Color by"></select>
<div class="legend"></div><div class="skins"></div>
<label>Structure</label><select class="frame" aria-label="Structure"></select>
<label>Sphere size</label><input class="size" type="range" min="0.25" max="1.3" step="0.01" value="0.75" aria-label="Sphere size">
<label>Cut open</label><input class="cut" type="range" min="-0.95" max="1" step="0.01" value="1" aria-label="Cut open">
<p><button class="reset">Reset view</button> <button class="save">Save PNG</button></p>
<p class="small soft">Drag to rotate, wheel or pinch to zoom, Shift-drag to move; arrow keys work too. Point at an atom to see what it is.</p>
</aside></div>"""
        )

    def render(self) -> str:
        """Return the HTML text of the page."""
        nav = " ".join(
            f'<a href="#{anchor}">{escape(title)}</a>'
            for title, anchor, _ in self._sections
            if title
        )
        body = []
        for title, anchor, parts in self._sections:
            head = f'<h2 id="{anchor}">{escape(title)}</h2>' if title else ""
            body.append(f"<section>{head}{''.join(parts)}</section>")
        data = json.dumps(self._data, separators=(",", ":"), ensure_ascii=False)
        plotly = (
            f'<script type="application/gzip" id="plotly">{_plotly()}</script>'
            if self._data["plots"]
            else ""
        )
        return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; connect-src data: blob:">
<link rel="icon" href="data:,">
<title>{escape(self.title)}</title><style>{_own("page.css")}</style></head><body><main>
<h1>{escape(self.title)}</h1><p class="soft">{escape(self.lead)}</p><nav>{nav}</nav>
{"".join(body)}
</main>
<script type="application/json" id="data">{_inert(data)}</script>
{plotly}
<script>{_own("viewer.js")}
{_own("page.js")}</script></body></html>
"""


# ------------------------------------------------------------------------------ pieces


def escape(words: object) -> str:
    """Return text that is safe inside HTML."""
    return html.escape(str(words), quote=True)


def cards(items: Iterable[tuple[str, str]]) -> str:
    """Return a row of cards: (what, value)."""
    inner = "".join(
        f'<div class="card"><span>{escape(what)}</span><b>{escape(value)}</b></div>'
        for what, value in items
    )
    return f'<div class="cards">{inner}</div>'


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    chosen: int | None = None,
    name: str = "table",
) -> str:
    """Return a table; numbers are set right, True and False as yes and no.

    Parameters
    ----------
    columns : sequence of str
    rows : iterable of sequences
    chosen : int, optional
        Row to highlight.
    name : str
        For a test or a style to find it by.
    """
    body = []
    numeric = [True] * len(columns)
    kept = [list(row) for row in rows]
    for row in kept:
        for k, cell in enumerate(row):
            if cell is not None and (isinstance(cell, bool) or not isinstance(cell, int | float)):
                numeric[k] = False
    for i, row in enumerate(kept):
        cells = "".join(
            f'<td class="{"n" if numeric[k] else ""}">{_cell(cell)}</td>'
            for k, cell in enumerate(row)
        )
        mark = ' class="chosen"' if i == chosen else ""
        body.append(f"<tr{mark}>{cells}</tr>")
    head = "".join(
        f'<th class="{"n" if numeric[k] else ""}">{escape(column)}</th>'
        for k, column in enumerate(columns)
    )
    return (
        f'<div class="scroll"><table data-name="{escape(name)}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def code(text: str, anchor: str) -> str:
    """Return a block of code with a copy button."""
    return (
        f'<p><button data-copy="{escape(anchor)}">Copy</button></p>'
        f'<pre id="{escape(anchor)}">{escape(text)}</pre>'
    )


def save_link(source: str, file: str, kind: str, label: str) -> str:
    """Return a button that saves the content of an element of the page as a file."""
    return (
        f'<a class="button" href="#" download="{escape(file)}" data-save="{escape(source)}" '
        f'data-type="{escape(kind)}">{escape(label)}</a>'
    )


def svg(figure: Figure) -> str:
    """Return a Matplotlib figure as an SVG element with editable text and fixed ids."""
    import io
    import re
    import zlib

    import matplotlib

    stream = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "heterodot"}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    # ids of several figures must not clash in one page
    salt = format(zlib.crc32(text.encode()), "08x")
    text = re.sub(r'\bid="([^"]+)"', rf'id="\1-{salt}"', text)
    text = re.sub(r'(xlink:href|href)="#([^"]+)"', rf'\1="#\2-{salt}"', text)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#\1-{salt})", text)


def _cell(cell: Any) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return '<span class="yes">yes</span>' if cell else '<span class="no">no</span>'
    if isinstance(cell, float):
        return escape(f"{cell:.4g}")
    return escape(cell)


def _pack(array: ArrayLike) -> str:
    return base64.b64encode(np.asarray(array, dtype="<f4").tobytes()).decode()


def _inert(document: str) -> str:
    """Return JSON that cannot end the script element it stands in."""
    return document.replace("<", "\\u003c").replace("\u2028", "\\u2028")


def _own(name: str) -> str:
    return resources.files("heterodot.report").joinpath(f"page/{name}").read_text("utf-8")


@functools.cache
def _plotly() -> str:
    script = resources.files("plotly").joinpath("package_data/plotly.min.js").read_bytes()
    return base64.b64encode(gzip.compress(script, 6, mtime=0)).decode()


def _start(across: np.ndarray[Any, np.dtype[np.float64]]) -> list[float]:
    """Return the quaternion (w, x, y, z) that shows a direction from left to right, tilted."""
    from scipy.spatial.transform import Rotation

    right = across / np.linalg.norm(across)
    helper = np.eye(3)[np.argmin(np.abs(right))]
    up = helper - right * (right @ helper)
    up /= np.linalg.norm(up)
    frame = np.stack([right, up, np.cross(right, up)])
    tilt = Rotation.from_euler("yx", [-22, 18], degrees=True)
    x, y, z, w = (tilt * Rotation.from_matrix(frame)).as_quat()
    return [float(w), float(x), float(y), float(z)]


def _viewer_data(
    frames: Sequence[tuple[str, Particle]],
    colorings: Sequence[tuple[str, ArrayLike, Sequence[str], Sequence[tuple[str, str]]]],
) -> dict[str, Any]:
    from ase.data import atomic_numbers, covalent_radii

    particle = frames[-1][1]
    symbols = list(dict.fromkeys(particle.symbols))
    elements = [
        {
            "symbol": symbol,
            "color": element_color(symbol),
            # covalent radii, widened a little so that neighbors nearly touch
            "radius": float(covalent_radii[atomic_numbers[symbol]]) * 1.12,
        }
        for symbol in symbols
    ]
    where = {symbol: k for k, symbol in enumerate(symbols)}
    roles = [role for role in ROLES if role in set(particle.role.tolist())]
    names = [domain.name for domain in particle.domains]
    domain_legend = [(name, domain_color(name, k)) for k, name in enumerate(names)]
    domain_index = particle.domain.tolist()
    if -1 in domain_index:
        domain_legend.append(("ligand", ROLES["ligand"]))
        domain_index = [len(names) if d < 0 else d for d in domain_index]
    counts = particle.composition()
    charge: list[float] = [round(float(q), 3) for q in particle.charge]
    made: list[dict[str, Any]] = [
        {
            "name": "element",
            "by": "element",
            "legend": [
                (f"{e['symbol']} ({counts[str(e['symbol'])]})", e["color"]) for e in elements
            ],
        },
        {"name": "domain", "by": "domain", "legend": domain_legend},
        {"name": "role", "by": "role", "legend": [(role, ROLES[role]) for role in roles]},
    ]
    for name, values, ramp, legend in colorings:
        made.append(
            {"name": name, "values": _pack(values), "ramp": list(ramp), "legend": list(legend)}
        )
    return {
        "frames": [{"name": name, "positions": _pack(frame.positions)} for name, frame in frames],
        "elements": elements,
        "element": [where[symbol] for symbol in particle.symbols],
        "domains": names,
        "domain": domain_index,
        "roles": roles,
        "role": [roles.index(role) for role in particle.role.tolist()],
        "charge": charge,
        "colorings": made,
    }
