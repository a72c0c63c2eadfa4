// Wires the page: unpacks the atoms, the viewer's controls, the pattern, the copy buttons.
"use strict";
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  function bytes(text) { return Uint8Array.from(atob(text), c => c.charCodeAt(0)); }
  function floats(text) { return new Float32Array(bytes(text).buffer); }
  function css(hex) { return [1, 3, 5].map(k => parseInt(hex.slice(k, k + 2), 16)); }

  const box = document.getElementById("particle-view");
  if (box && data.particle) {
    const p = data.particle, frames = p.frames.map(f => ({ name: f.name, at: floats(f.positions) }));
    const radius = new Float32Array(p.element.map(e => p.elements[e].radius));
    const colorings = p.colorings.map(c => {
      const colors = new Uint8Array(3 * p.element.length);
      if (c.values) {
        const values = floats(c.values);
        for (let i = 0; i < values.length; i++) {
          const t = Math.min(Math.max(values[i], 0), 1), k = t * (c.ramp.length - 1), a = Math.floor(k), b = Math.min(a + 1, c.ramp.length - 1);
          const x = css(c.ramp[a]), y = css(c.ramp[b]);
          for (let j = 0; j < 3; j++) colors[3 * i + j] = x[j] + (y[j] - x[j]) * (k - a);
        }
      } else {
        const of = p[c.by];
        for (let i = 0; i < of.length; i++) colors.set(css(c.legend[of[i]][1]), 3 * i);
      }
      return { name: c.name, colors, legend: c.legend };
    });
    const spin = viewer(box, {
      positions: frames[frames.length - 1].at, radius, colorings, start: p.start,
      surfaces: p.surfaces.map(s => ({ color: css(s.color).map(x => x / 255), vertices: floats(s.vertices), faces: new Uint32Array(bytes(s.faces).buffer) })),
      label: i => `${p.elements[p.element[i]].symbol} ${i + 1}: ${p.domains[p.domain[i]] || "ligand"}, ${p.roles[p.role[i]]}, charge ${p.charge[i] > 0 ? "+" : ""}${p.charge[i]}`,
    });
    const legend = box.querySelector(".legend");
    function show(k) {
      legend.replaceChildren(...colorings[k].legend.map(([label, color]) => {
        const row = document.createElement("div"), dot = document.createElement("i");
        dot.style.background = color;
        row.append(dot, label);
        return row;
      }));
      spin.set({ coloring: k });
    }
    const size = box.querySelector(".size"), skins = box.querySelector(".skins");
    p.surfaces.forEach((s, k) => {
      const row = document.createElement("label"), tick = document.createElement("input"), dot = document.createElement("i");
      tick.type = "checkbox"; dot.style.background = s.color;
      tick.onchange = () => {   // atoms shrink so that the surface is seen
        if (tick.checked && +size.value > 0.35) { size.value = 0.3; spin.set({ size: 0.3 }); }
        spin.set({ surface: [k, tick.checked] });
      };
      row.append(tick, dot, s.name);
      skins.append(row);
    });
    const by = box.querySelector(".by"), frame = box.querySelector(".frame");
    colorings.forEach((c, k) => by.add(new Option(c.name, k)));
    frames.forEach((f, k) => frame.add(new Option(f.name, k)));
    frame.value = frames.length - 1;
    by.onchange = () => show(+by.value);
    frame.onchange = () => spin.set({ positions: frames[+frame.value].at });
    size.oninput = e => spin.set({ size: +e.target.value });
    box.querySelector(".cut").oninput = e => spin.set({ cut: +e.target.value });
    box.querySelector(".reset").onclick = () => { box.querySelector(".cut").value = 1; spin.reset(); };
    box.querySelector(".save").onclick = () => {
      const link = document.createElement("a");
      link.href = spin.image(); link.download = "particle.png"; link.click();
    };
    show(0);
  }

  document.querySelectorAll("[data-copy]").forEach(b => b.onclick = () => {
    const text = document.getElementById(b.dataset.copy).textContent;
    const done = () => { const old = b.textContent; b.textContent = "Copied"; setTimeout(() => { b.textContent = old; }, 1200); };
    if (navigator.clipboard && window.isSecureContext) navigator.clipboard.writeText(text).then(done);
    else { // a page opened from disk may lack the clipboard
      const area = document.createElement("textarea");
      area.value = text; document.body.append(area); area.select(); document.execCommand("copy"); area.remove(); done();
    }
  });
  document.querySelectorAll("[data-save]").forEach(a => {
    const source = document.getElementById(a.dataset.save);
    a.onclick = () => {
      const text = source.tagName === "FIGURE" ? new XMLSerializer().serializeToString(source.querySelector("svg")) : source.textContent;
      a.href = URL.createObjectURL(new Blob([text], { type: a.dataset.type }));
    };
  });

  async function unpack(id) {   // the plotting library travels compressed
    const stream = new Blob([bytes(document.getElementById(id).textContent.trim())]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  }
  const plots = document.querySelectorAll(".plot");
  if (plots.length) unpack("plotly").then(() => {
    plots.forEach(place => {
      const drawn = data.plots[place.dataset.plot];
      const traces = drawn.traces.map(t => ({ ...t, x: floats(t.x), y: floats(t.y) }));
      Plotly.newPlot(place, traces, drawn.layout, { responsive: true, displaylogo: false, toImageButtonOptions: { format: "svg" } })
        .then(() => { place.dataset.drawn = "yes"; });
    });
  }).catch(error => { plots.forEach(p => { p.textContent = "The interactive plot needs a newer browser; the figure below it holds the same curve."; }); console.warn(String(error)); });
})();
